#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""http:client, against a server that does as the test says."""

import hashlib
import http.client
import os
import sys
import time

sys.dont_write_bytecode = True
from harness import SECONDS, Run, check, check_equal, main, wait_until
from ports import own_port
from scripted import Server

OLD, NEW, NEWER = "Sun, 09 Sep 2001 01:46:40 GMT", "Sun, 09 Sep 2001 01:46:41 GMT", "Sun, 09 Sep 2001 01:46:42 GMT"
BINARY = bytes(range(256)) * 300


def content(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return None


def fetch(url, more="", meta="Meta:poll => 1,", head=""):
    return f"""\
{head}
http:client "$SCRATCH/got" {{
        url => "{url}",
        {more}
        {meta}
}}
"""


LONGPOLL = "longpoll => true, longpoll_conditional => true,"


def start(s, program, *arguments):
    return Run(s, "--tmp-prefix", "--converger-timeout=0", *arguments, s.program(program))


def until_content(s, want, path="got"):
    wait_until(lambda: content(s.at(path)) == want, f"{path} is {want[:40]!r}")


def polls(s):
    """It asks now and then, for what is newer only; what comes is the file, byte for byte."""
    server = Server()
    with start(s, fetch(server.url + "/a?b=c")) as run:
        q = server.take("the first time")
        check_equal((q.method, q.path, q.headers["If-Modified-Since"], q.headers["Expect"]), ("GET", "/a?b=c", None, None), "request")
        q.answer(200, BINARY, Last_Modified=OLD)
        run.wait_event("file", type="changed", kind="http:client")
        check_equal(content(s.at("got")), BINARY, "content")
        check_equal(os.stat(s.at("got")).st_mtime, 1000000000, "time of modification")
        check_equal(os.stat(s.at("got")).st_mode & 0o777, 0o644, "mode")
        q = server.take("again")
        check_equal(q.headers["If-Modified-Since"], OLD, "header")
        q.answer(304)
        server.take("again").answer(200, b"", Last_Modified=NEW)
        run.wait_event("file", type="changed", kind="http:client")
        check_equal(content(s.at("got")), b"", "content")
        check_equal(os.listdir(s.path).count("got"), 1, "files")
        run.end()
        changes = [e for e in run.events if e["type"] == "changed"]
        check_equal(len(changes), 2, "changes")
    server.close()
    s.check_clean()


def sends_a_body(s):
    """Method and body are as the program says; without the check of times nothing is said of them."""
    server = Server()
    program = fetch(server.url, 'method => "PUT", body => "hello", mtime_check => false,', "Meta:poll => 1,")
    with start(s, program) as run:
        for _ in range(2):
            q = server.take("a request")
            check_equal((q.method, q.path, q.body, q.headers["If-Modified-Since"], q.headers["Content-Type"]), ("PUT", "/", b"hello", None, None), "request")
            q.answer(200, b"done", Last_Modified=OLD)
        until_content(s, b"done")
        run.end()
    server.close()


def looks_at_digests(s):
    """With the right digest nothing is fetched; with a wrong one it is an error, and nothing changes, until the right one comes."""
    server = Server()
    right = b"right"
    program = fetch(server.url, f'sha256 => "{hashlib.sha256(right).hexdigest()}",', "Meta:poll => 1, Meta:retry => -1, Meta:delay => 10,")
    with start(s, program) as run:
        server.take("the first time").answer(200, b"wrong")
        error = run.wait_event("an error", type="state", state="retrying", kind="http:client")
        check("SHA-256 digest " + hashlib.sha256(b"wrong").hexdigest() in error["text"], error["text"])
        check_equal(content(s.at("got")), None, "content")
        check_equal([f for f in os.listdir(s.path) if "part" in f], [], "what is left")
        server.take("again").answer(200, right)
        until_content(s, right)
        for _ in range(3):              # it looked again
            run.wait_converged()
        check(server.requests.empty(), "asked, though the file is right")
        with open(s.at("got"), "w") as f:
            f.write("broken")
        q = server.take("after the file was broken")
        check_equal(q.headers["If-Modified-Since"], None, "header")     # it is newer, and wrong all the same
        q.answer(200, right)
        until_content(s, right)
        run.end()
    server.close()


def errors_are_told(s):
    """A status that is no success, and a server that is not there; the file stays."""
    server = Server()
    program = fetch(server.url.replace("//", "//name:secret@"), "", "Meta:poll => 1, Meta:retry => -1, Meta:delay => 10,")
    with start(s, program) as run:
        q = server.take("the first time")
        check(q.headers["Authorization"].startswith("Basic "), "authorization")
        q.answer(200, b"one")
        until_content(s, b"one")
        server.take("again").answer(500, b"no")
        error = run.wait_event("an error", type="state", state="retrying", kind="http:client")
        check(f"'{server.url}' gives 500 Internal Server Error" in error["text"], error["text"])
        server.take("again").hang_up()
        error = run.wait_event("an error", type="state", state="retrying", kind="http:client")
        check(f"cannot fetch '{server.url}': " in error["text"], error["text"])
        server.close()
        error = run.wait_event("an error", type="state", state="retrying", kind="http:client")
        check_equal(content(s.at("got")), b"one", "content")
        run.end()
        check("secret" not in "".join(str(e) for e in run.events), "the password is told")


def long_polls(s):
    """A request is always under way, and its answer is the event; the program sees it, and who receives it gets it."""
    server = Server()
    program = fetch(server.url, LONGPOLL, "", head='import "net/http"') + """
        file "$SCRATCH/received" { state => "exists", }
        Http:Client["$SCRATCH/got"].content -> File["$SCRATCH/received"].content
        $r = http.response("$SCRATCH/got")
        file "$SCRATCH/seen" { state => "exists", content => $r->output, }
    """
    with start(s, program) as run:
        q = server.take("the first time")
        check_equal((q.headers["Prefer"], q.headers["If-Modified-Since"]), (None, None), "headers")
        q.answer(200, b"one", Last_Modified=OLD)
        for path in ("got", "received", "seen"):
            until_content(s, b"one", path)
        q = server.take("then")
        check_equal((q.headers["Prefer"], q.headers["If-Modified-Since"]), ("wait=60", OLD), "headers")
        q.answer(304)
        q = server.take("after nothing was new")
        run.wait_converged()
        q.answer(200, b"two", Last_Modified=NEW)
        for path in ("got", "received", "seen"):
            until_content(s, b"two", path)
        # an answer may take its time, and is not seen before it is complete
        q = server.take("then")
        check_equal(q.headers["If-Modified-Since"], NEW, "header")
        q.answer(200, BINARY, Last_Modified=NEWER)
        until_content(s, BINARY)
        server.take("then")
        run.end()
    server.close()
    s.check_clean()


def repairs(s):
    """A file that somebody changes, or removes, is fetched again, while the long poll goes on."""
    server = Server()
    with start(s, fetch(server.url, LONGPOLL, "")) as run:
        server.take("the first time").answer(200, b"one", Last_Modified=OLD)
        until_content(s, b"one")
        server.take("then")             # stays open
        with open(s.at("got"), "w") as f:
            f.write("mine")
        q = server.take("after it was changed")
        check_equal((q.headers["Prefer"], q.headers["If-Modified-Since"]), (None, None), "headers")
        q.answer(200, b"one", Last_Modified=OLD)
        until_content(s, b"one")
        os.unlink(s.at("got"))
        server.take("after it was removed").answer(200, b"one", Last_Modified=OLD)
        until_content(s, b"one")
        run.end()
    server.close()


def knows_what_it_has(s):
    """A server that holds the very first request has nothing newer than the file that is there."""
    server = Server()
    with open(s.at("got"), "wb") as f:
        f.write(b"one")
    os.utime(s.at("got"), (1000000000, 1000000000))
    with start(s, fetch(server.url, LONGPOLL, "")) as run:
        q = server.take("the first time")
        check_equal(q.headers["If-Modified-Since"], OLD, "header")
        run.wait_converged()
        q.answer(200, b"two", Last_Modified=NEW)
        until_content(s, b"two")
        run.end()
    server.close()


def follows_redirects(s):
    """A server may send it elsewhere to wait."""
    server = Server()
    with start(s, fetch(server.url + "/a", "longpoll => true, longpoll_redirect => true,", "")) as run:
        server.take("the first time").answer(307, Location="/wait")
        q = server.take("elsewhere")
        check_equal(q.path, "/wait", "path")
        q.answer(200, b"one", Last_Modified=OLD)
        until_content(s, b"one")
        q = server.take("then")
        check_equal((q.path, q.headers["If-Modified-Since"], q.headers["Prefer"]), ("/a", OLD, None), "request")
        run.end()
    server.close()


def outlasts_a_restart(s):
    """A server that says that it will be back is waited for, also while nobody listens."""
    port = own_port()
    server = Server(port)
    with start(s, fetch(server.url, LONGPOLL, "Meta:retry => 1,")) as run:
        server.take("the first time").answer(200, b"one", Last_Modified=OLD)
        until_content(s, b"one")
        server.take("then").answer(503, Retry_After="0", Connection="close")
        server.take("after the time is over").answer(503, Retry_After="1", Connection="close")
        server.close()
        time.sleep(1.5)                 # so that it is refused at least once
        server = Server(port)
        q = server.take("when it is back")
        check_equal(q.headers["If-Modified-Since"], OLD, "header")
        q.answer(200, b"two", Last_Modified=NEW)
        until_content(s, b"two")
        server.take("then").answer(503, Retry_After="soon")
        error = run.wait_event("an error", type="state", state="retrying", kind="http:client")
        check("Retry-After that makes no sense: 'soon'" in error["text"], error["text"])
        run.end()
    server.close()


def changes_nothing_under_noop(s):
    """Under noop it looks, and leaves the file alone."""
    server = Server()
    with start(s, fetch(server.url), "--noop") as run:
        server.take("the first time").answer(200, b"one")
        run.wait_event("what would change", type="state", state="drifted", kind="http:client")
        check_equal(content(s.at("got")), None, "content")
        run.end()
    server.close()


def speaks_to_our_own_server(s):
    """http:server:file with long poll on the other side: what is posted there is here in no time."""
    port, flag_port = own_port(), own_port()
    # one that receives from another cannot be in one group with it
    program = f"""\
        http:server "files" {{ address => "127.0.0.1:{port}", }}
        http:server "flags" {{ address => "127.0.0.1:{flag_port}", }}
        http:server:flag "/set" {{ server => "flags", key => "text", }}
        http:server:file "/text" {{ server => "files", longpoll => true, }}
        Http:Server:Flag["/set"].value -> Http:Server:File["/text"].data
    """ + fetch(f"http://127.0.0.1:{port}/text", LONGPOLL, "Meta:retry => -1, Meta:delay => 10,")
    with start(s, program) as run:
        until_content(s, b"")
        for n in range(5):
            c = http.client.HTTPConnection("127.0.0.1", flag_port, timeout=SECONDS)
            c.request("POST", "/set", f"text=number+{n}", {"Content-Type": "application/x-www-form-urlencoded"})
            check_equal(c.getresponse().status, 200, "status")
            until_content(s, f"number {n}".encode())
        run.end()
    s.check_clean()


main(polls, sends_a_body, looks_at_digests, errors_are_told, long_polls, repairs, knows_what_it_has, follows_redirects, outlasts_a_restart,
     changes_nothing_under_noop, speaks_to_our_own_server)
