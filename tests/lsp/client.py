#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""mgmtctl lsp, asked as an editor asks: every feature, right and broken texts, UTF-16, and a client that misbehaves."""

import json
import os
import queue
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "run"))
from harness import MGMTCTL, SECONDS, Failed, check, check_equal, main, write

PROGRAM = '''\
import "fmt"
import "lib.mcl"

# How often.
# And why.
$count = 3
$name str = "x"

# Says hello.
func hello($who str) str {
        "hello ${who}"
}

class base($n int) {
        $twice = $n + $n
        test "a${name}" {
                int8 => $twice,
                Meta:noop => true,
                Before => File["/tmp/x"],
        }
}

include base($count) as b

file "/tmp/x" {
        content => hello(fmt.printf("%d", $count + $lib.answer)),
}
'''
LIB = "# Of everything.\n$answer = 42\n"


class Client:
    """One server with one open document."""

    def __init__(self, s, text=None, name="main.mcl", initialize=True):
        self.scratch, self.messages, self.next_id = s, queue.Queue(), 0
        self.process = subprocess.Popen([MGMTCTL, "lsp"], env=s.environment(), cwd=s.path, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=open(s.at("stderr"), "ab"))
        threading.Thread(target=self.follow, daemon=True).start()
        self.diagnostics = {}
        if initialize:
            self.capabilities = self.ask("initialize", {"processId": None, "rootUri": None, "capabilities": {}})["capabilities"]
            self.tell("initialized", {})
        if text is not None:
            self.open(name, text)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.ask("shutdown")
            self.tell("exit")
            check_equal(self.process.wait(SECONDS), 0, "exit status")
        self.process.kill()
        self.process.wait(SECONDS)

    def follow(self):
        stream = self.process.stdout
        while True:
            length = None
            while (line := stream.readline()) not in (b"\r\n", b""):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            if length is None:
                break
            self.messages.put(json.loads(stream.read(length)))
        self.messages.put(None)

    def send_raw(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, **message):
        body = json.dumps({"jsonrpc": "2.0", **message}, ensure_ascii=False).encode()
        self.send_raw(b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def tell(self, method, params=None):
        self.send(method=method, **({} if params is None else {"params": params}))

    def receive(self):
        try:
            message = self.messages.get(timeout=SECONDS)
        except queue.Empty:
            raise Failed("no answer in time") from None
        check(message is not None, "the server ended")
        return message

    def answer(self, method, params=None):
        """The whole answer. Diagnostics that come before it are kept."""
        self.next_id += 1
        self.send(id=self.next_id, method=method, **({} if params is None else {"params": params}))
        while True:
            message = self.receive()
            if message.get("id") == self.next_id:
                return message
            self.keep(message)

    def keep(self, message):
        if message.get("method") == "textDocument/publishDiagnostics":
            self.diagnostics[message["params"]["uri"]] = message["params"]
            return message["params"]
        return None

    def ask(self, method, params=None):
        message = self.answer(method, params)
        check("result" in message, f"{method} failed: {message}")
        return message["result"]

    # -- documents --

    def uri(self, name="main.mcl"):
        return "file://" + self.scratch.at(name)

    def open(self, name, text):
        self.name, self.text, self.version = name, text, 1
        self.tell("textDocument/didOpen",
                  {"textDocument": {"uri": self.uri(name), "languageId": "mcl", "version": 1, "text": text}})

    def change(self, text):
        self.text, self.version = text, self.version + 1
        self.tell("textDocument/didChange", {"textDocument": {"uri": self.uri(self.name), "version": self.version},
                                             "contentChanges": [{"text": text}]})

    def change_range(self, start, end, text):
        self.version += 1
        self.tell("textDocument/didChange", {"textDocument": {"uri": self.uri(self.name), "version": self.version}, "contentChanges": [
            {"range": {"start": dict(zip(("line", "character"), start)), "end": dict(zip(("line", "character"), end))}, "text": text}]})

    def wait_diagnostics(self):
        """Those of the version of now."""
        while True:
            found = self.keep(self.receive())
            if found and found["uri"] == self.uri(self.name) and found.get("version") == self.version:
                return found["diagnostics"]

    def at(self, mark, offset=0):
        """The place of a text in the document, in UTF-16."""
        index = self.text.index(mark) + offset
        before = self.text[:index]
        line = before.count("\n")
        last = before.rsplit("\n", 1)[-1]
        return {"textDocument": {"uri": self.uri(self.name)},
                "position": {"line": line, "character": len(last.encode("utf-16-le")) // 2}}

    def hover(self, mark, offset=0):
        result = self.ask("textDocument/hover", self.at(mark, offset))
        return result and result["contents"]["value"]

    def definition(self, mark, offset=0):
        result = self.ask("textDocument/definition", self.at(mark, offset))
        return result and (os.path.basename(result["uri"]), result["range"]["start"]["line"], result["range"]["start"]["character"])

    def complete(self, text, **more):
        """What is offered at the mark | in a text, by label."""
        self.text = text
        self.open(self.name, text.replace("|", "", 1))
        place = self.at_mark(text)
        self.items = {i["label"]: i for i in self.ask("textDocument/completion", place)}
        return self.items

    def at_mark(self, text):
        self.text = text
        return self.at("|")


def range_of(d):
    r = d["range"]
    return (r["start"]["line"], r["start"]["character"], r["end"]["line"], r["end"]["character"])


def capabilities(s):
    """It says what it can."""
    with Client(s) as c:
        for name in ("hoverProvider", "definitionProvider", "documentFormattingProvider", "completionProvider"):
            check(c.capabilities.get(name), f"no {name}")
        check_equal(c.capabilities["textDocumentSync"], {"openClose": True, "change": 2}, "kind of synchronisation")
        check_equal(c.capabilities["positionEncoding"], "utf-16", "encoding of positions")


def diagnostics(s):
    """Errors come while typing, with their places, and go."""
    with Client(s, '$x = 1\ntest "a" {\n\tcontent => $nope,\n}\n') as c:
        found = c.wait_diagnostics()
        check_equal([(range_of(d), d["severity"]) for d in found], [((2, 12, 2, 17), 1)], "places")
        check("`$nope` does not exist" in found[0]["message"], f"message: {found}")
        c.change_range((2, 13), (2, 17), "x")
        found = c.wait_diagnostics()
        check(found and "nope" not in json.dumps(found), f"after the change, a type error: {found}")
        c.change_range((0, 5), (0, 6), '"text"')
        check_equal([d["message"] for d in c.wait_diagnostics() if "content" not in d["message"]], [], "after both changes")
        c.change("$x = = 2\n")
        check_equal([range_of(d) for d in c.wait_diagnostics()], [(0, 5, 0, 6)], "a syntax error")
        c.change("$x = 2\n")
        check_equal(c.wait_diagnostics(), [], "at the end")


def diagnostics_elsewhere(s):
    """An error in an imported file is shown at the import and points there; an open document hides its file."""
    write(s.at("lib.mcl"), "$answer = $nowhere\n")
    with Client(s, 'import "lib.mcl"\n$x = $lib.answer\n') as c:
        found = c.wait_diagnostics()
        check_equal(range_of(found[0])[0], 0, "line of the import")
        related = found[0]["relatedInformation"][0]["location"]
        check_equal((related["uri"], related["range"]["start"]), (c.uri("lib.mcl"), {"line": 0, "character": 10}), "where it is")
        c.tell("textDocument/didOpen", {"textDocument": {"uri": c.uri("lib.mcl"), "languageId": "mcl", "version": 1, "text": LIB}})
        check_equal(c.wait_diagnostics(), [], "with the other document in place of its file")


def utf16(s):
    """Characters outside the basic plane are two code units, in both directions."""
    text = '$x = "\N{GRINNING FACE}é"\ntest "\N{GRINNING FACE}${nope}é" {} # \N{GRINNING FACE}\n$y = "\N{GRINNING FACE}\N{GRINNING FACE}" + $nope2\n'
    with Client(s, text) as c:
        places = sorted(range_of(d) for d in c.wait_diagnostics())
        check_equal(places[0][:2], (1, 5), "start of the string")
        check_equal(places[1], (2, 14, 2, 20), "behind characters of two units")
        c.change_range((2, 14), (2, 20), "$x")
        c.text = c.text.replace("$nope2", "$x")
        c.change_range((1, 7), (1, 14), "${x}")
        c.text = c.text.replace("${nope}", "${x}")
        c.change_range((0, 6), (0, 8), "\N{PILE OF POO}")
        c.text = c.text.replace("\N{GRINNING FACE}é\"\ntest", "\N{PILE OF POO}é\"\ntest")
        check_equal(c.wait_diagnostics(), [], "after changes of ranges")
        edits = c.ask("textDocument/formatting", {"textDocument": {"uri": c.uri()}, "options": {}})
        check_equal(edits, [], "the text is what it should be, and formatted")
        check_equal(c.hover("+ $x", 3), "```mcl\n$x str\n```", "hover behind two units")


def hover(s):
    """Hover tells type and doc."""
    write(s.at("lib.mcl"), LIB)
    with Client(s, PROGRAM) as c:
        check_equal(c.wait_diagnostics(), [], "diagnostics")
        for mark, offset, want in (
                ("$count + ", 2, "```mcl\n$count int\n```\n\nHow often.\nAnd why."),
                ("$name str", 0, "```mcl\n$name str\n```"),
                ("hello(fmt", 1, "```mcl\nfunc hello($who str) str\n```\n\nSays hello."),
                ("${who}", 3, "```mcl\n$who str\n```"),
                ("$twice,", 1, "```mcl\n$twice int\n```"),
                ("$n + $n", 1, "```mcl\n$n int\n```"),
                ("base($count)", 1, "```mcl\nclass base($n int)\n```"),
                ("$lib.answer", 6, "```mcl\n$lib.answer int\n```\n\nOf everything."),
                ("a${name}", 4, "```mcl\n$name str\n```")):
            check_equal(c.hover(mark, offset), want, f"hover over {mark}")
        for mark, offset, words in (("printf", 1, ("fmt.printf", "func")), ("file \"", 1, ("file",)), ("content", 1, ("content str",)),
                                    ("noop", 1, ("noop bool",)), ("File[", 1, ("File",)), ("Before", 1, ("Before",))):
            got = c.hover(mark, offset)
            check(got and all(w in got for w in words), f"hover over {mark}: {got}")
        check_equal(c.hover("42" if "42" in PROGRAM else "3\n"), None, "hover over a number")


def definition(s):
    """Definitions of variables, functions, classes, parameters, modules; in other files, too."""
    write(s.at("lib.mcl"), LIB)
    with Client(s, PROGRAM) as c:
        c.wait_diagnostics()
        for mark, offset, want in (("$count + ", 1, ("main.mcl", 5, 0)), ("hello(fmt", 1, ("main.mcl", 9, 0)),
                                   ("base($count)", 1, ("main.mcl", 13, 0)), ("$n + $n", 1, ("main.mcl", 13, 11)),
                                   ("${who}", 3, ("main.mcl", 9, 11)), ("$lib.answer", 6, ("lib.mcl", 1, 0)),
                                   ("$lib.answer", 2, ("main.mcl", 1, 0)), ('"lib.mcl"', 3, ("lib.mcl", 0, 0)),
                                   ("fmt.printf", 1, ("main.mcl", 0, 0)), ("file \"", 1, None)):
            check_equal(c.definition(mark, offset), want, f"definition of {mark}")


def completion(s):
    """Names that could stand there, in texts that are broken there."""
    write(s.at("lib.mcl"), LIB)
    head = 'import "fmt"\nimport "lib.mcl"\n$count = 3\nfunc hello($who str) str { $who }\nclass base($n int) {\n\t$inner = $n\n}\n'
    with Client(s, "") as c:
        for text, wanted, unwanted in (
                ("$y = $c|\n", ["$count"], ["$lib", "hello"]),
                ("$y = |\n", ["$count", "hello", "fmt", "lib", "if", "true"], ["file", "content"]),
                ("$y = $lib.|\n", ["$lib.answer"], ["$count"]),
                ("$y = fmt.p|\n", ["fmt.printf"], ["hello"]),
                ("$y = hel|", ["hello"], ["$count"]),
                ("include b|\n", ["base"], ["hello"]),
                ("fi|\n", ["file"], ["hello", "content"]),
                ("http:s|\n", ["http:server"], ["file"]),
                ("Fi|\n", ["File"], ["file"]),
                ('file "/x" {\n\tcon|\n}\n', ["content"], ["state", "hello"]),
                ('file "/x" {\n\t|\n}\n', ["content", "state", "Meta", "Before"], ["hello", "file"]),
                ('file "/x" {\n\tcontent => |\n}\n', ["hello", "$count"], ["state"]),
                ('file "/x" {\n\tMeta:re|\n}\n', ["retry"], ["noop", "state"]),
                ('file "/x" {\n\tBefore => Fi|\n}\n', ["File"], ["Print"]),
                ('if $count == 3 {\n\tfile "/x" {\n\t\tst|\n\t}\n}\n', ["state"], ["content"]),
                ('test "${co|}" {}\n', ["count"], ["$count", "hello"]),
                ('test "${co|\n', ["count"], ["hello"]),
                ('import "gol|"\n', ["golang/strings"], ["fmt"]),
                ("for $i, $v in [1, 2] {\n\t$z = $|\n}\n", ["$i", "$v", "$count"], ["$inner"]),
                ("class other($par str) {\n\t$z = $p|\n}\n", ["$par"], ["$count"]),
                ("func g($par str) str { $p| }\n", ["$par"], []),
                ("# $c|\n", [], ["$count"]),
                ("func |\n", [], ["hello"])):
            items = c.complete(head + text)
            for name in wanted:
                check(name in items, f"{text!r} offers no {name}: {sorted(items)[:20]}")
            for name in unwanted:
                check(name not in items, f"{text!r} offers {name}")
        items = c.complete(head + 'http:s|\n')
        edit = items["http:server"]["textEdit"]
        check_equal((edit["newText"], edit["range"]["start"]["character"], edit["range"]["end"]["character"]), ("http:server", 0, 6),
                    "what it replaces")
        check("documentation" in c.complete(head + 'file "/x" {\n\tcon|\n}\n')["content"], "no documentation of a field")


def formatting(s):
    """The text becomes what mgmtctl fmt makes of it."""
    with Client(s, '$x=1\n# \N{GRINNING FACE}') as c:
        edit, = c.ask("textDocument/formatting", {"textDocument": {"uri": c.uri()}, "options": {}})
        check_equal((edit["newText"], range_of(edit)), ("$x = 1\n# \N{GRINNING FACE}\n", (0, 0, 1, 4)), "the edit")
        c.change("$x = = 1\n")
        check_equal(c.ask("textDocument/formatting", {"textDocument": {"uri": c.uri()}, "options": {}}), [], "of what does not parse")


def programs(s):
    """A file that belongs to a module is compiled as part of it; a name with blanks is one."""
    os.makedirs(s.at("my module/modules/example.com/other"))
    write(s.at("my module/metadata.yaml"), 'main: "main.mcl"\npath: "modules/"\n')
    write(s.at("my module/modules/example.com/other/metadata.yaml"), "main: main.mcl\n")
    write(s.at("my module/modules/example.com/other/main.mcl"), "$x = 1\n")
    with Client(s) as c:
        c.uri = lambda name="main.mcl": "file://" + s.at("my module").replace(" ", "%20") + "/" + name
        c.open("main.mcl", 'import "git://example.com/other"\n$y = $other.x\n')
        check_equal(c.wait_diagnostics(), [], "diagnostics")
        check_equal(c.definition("$other.x", 8), ("main.mcl", 0, 0), "definition")


def misbehaving(s):
    """Wrong methods, parameters, order and JSON are answered; it goes on."""
    with Client(s, initialize=False) as c:
        check_equal(c.answer("textDocument/hover", {})["error"]["code"], -32002, "before initialize")
        c.ask("initialize", {})
        check_equal(c.answer("initialize", {})["error"]["code"], -32600, "initialize again")
        check_equal(c.answer("no/such")["error"]["code"], -32601, "an unknown method")
        for params in (None, {}, [], {"textDocument": 3}, {"textDocument": {"uri": "file:///none"}},
                       {"textDocument": {"uri": "file:///none"}, "position": {"line": -1, "character": "x"}}):
            check_equal(c.answer("textDocument/hover", params)["error"]["code"], -32602, f"parameters {params}")
        c.tell("textDocument/didChange", {"textDocument": {"uri": "file:///none"}, "contentChanges": [{"text": "x"}]})
        c.tell("$/whatever", {})
        c.send_raw(b"Content-Length: 5\r\nContent-Type: x\r\n\r\n{...}")
        check_equal(c.receive()["error"]["code"], -32700, "no JSON")
        c.open("main.mcl", "$x = 1\n")
        for start, end in (((0, 99), (99, 99)), ((5, 0), (1, 0))):
            c.change_range(start, end, "\n$y = 2\n")
        c.wait_diagnostics()
        body = b'{"jsonrpc":"2.0","id":99,"method":"textDocument/hover","params":{}}'
        for i in range(0, len(body), 7):
            c.send_raw((b"Content-Length: %d\r\n\r\n" % len(body) if i == 0 else b"") + body[i:i + 7])
        check_equal(c.receive()["id"], 99, "a message in pieces")


def framing(s):
    """What is no message at all ends it, with an error."""
    for data in (b"GET / HTTP/1.0\r\n\r\n", b"Content-Length: 99999999999999999999\r\n\r\n", b"x" * 5000, b"\r\n"):
        c = Client(s, initialize=False)
        c.send_raw(data)
        check_equal(c.process.wait(SECONDS), 1, f"exit status after {data[:20]}")
    c = Client(s, initialize=False)
    c.process.stdin.close()
    check_equal(c.process.wait(SECONDS), 1, "exit status when the editor is gone")


def many_changes(s):
    """Typing fast costs one compile, not one per key; the last word counts."""
    with Client(s, "") as c:
        c.wait_diagnostics()
        for i in range(300):
            c.change(f"$x = {i}\n" * (1 if i == 299 else 3))
        check_equal(c.wait_diagnostics(), [], "at the end")


def large(s):
    """In a file of 50,000 lines there are answers as well; how long they take is printed."""
    text = "".join(f"# Number {i}.\n$x{i} = {i} + 1\ntest \"{i}\" {{\n\tint8 => $x{i},\n}}\n" for i in range(10000))
    with Client(s, text) as c:
        check_equal(c.wait_diagnostics(), [], "diagnostics")
        times = {}
        for what, call in (("hover", lambda: c.hover("=> $x9000", 4)), ("definition", lambda: c.definition("=> $x9000", 4)),
                           ("completion", lambda: c.ask("textDocument/completion", c.at("=> $x9000", 4))),
                           ("formatting", lambda: c.ask("textDocument/formatting", {"textDocument": {"uri": c.uri()}}))):
            start = time.monotonic()
            call()
            times[what] = time.monotonic() - start
        print("# " + ", ".join(f"{what} {seconds * 1000:.0f} ms" for what, seconds in times.items()))


main(capabilities, diagnostics, diagnostics_elsewhere, utf16, hover, definition, completion, formatting, programs, misbehaving, framing,
     many_changes, large)
