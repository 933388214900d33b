#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""mgmtctl doc: what it finds by which name, in which form, and what it writes."""

import json
import os
import sys

sys.dont_write_bytecode = True
from harness import check, check_equal, main, read, write


def doc(s, *arguments):
    done = s.ctl("doc", *arguments)
    check_equal((done.returncode, done.stderr), (0, ""), f"doc {arguments}")
    return done.stdout


def objects(s, *arguments):
    return [json.loads(line) for line in doc(s, "--json", *arguments).splitlines()]


def names(s, *arguments):
    return [(o["type"], o["name"]) for o in objects(s, *arguments)]


def function(s):
    """A function: how it is called, what it does, an example and what it gives."""
    want = """\
strings.split

    strings.split(a str, b str) []str

The parts of a between the separators b; its characters if b is empty.

    import "strings"

    strings.split("a,b", ",")                 # ["a", "b"]
"""
    check_equal(doc(s, "strings.split"), want, "the page")
    check_equal(doc(s, "split"), want, "the page by its short name")
    check_equal(doc(s, "--color=always", "strings.split"), "\033[1mstrings.split\033[0m" + want[len("strings.split"):], "the page in colour")
    check_equal(doc(s, "--markdown", "strings.split"), "# " + want, "the page in Markdown")
    check_equal(objects(s, "strings.split"), [{
        "type": "function", "name": "strings.split", "signature": "func(a str, b str) []str", "pure": True, "watched": False,
        "doc": "The parts of a between the separators b; its characters if b is empty.",
        "example": 'strings.split("a,b", ",")', "gives": '["a", "b"]'}], "the object")
    check("goes on with each new value" in doc(s, "datetime.now") and "asked for once" in doc(s, "sys.env"), "where values come from")
    check("\nlen(?1) int\n" in doc(s, "len").replace("    ", ""), "an argument without a name has a number")


def kind(s):
    """A kind: example, fields with types and defaults, what it sends, constants."""
    text = doc(s, "exec")
    for part in ("\n    exec \"", "\nFields\n", "\n    args []str = []\n", "\n    cmd str\n", "\nSends\n", "\n    stdout str\n"):
        check(part in text, f"not in the page: {part!r}")
    check("$const.res.file.state.exists" in doc(s, "file"), "no constants of file")
    k = objects(s, "file")[0]
    path = next(f for f in k["fields"] if f["field"] == "path")
    check_equal((path["mcl"], path["is_name"], path["required"]), ("str", True, False), "path")
    check_equal(doc(s, "Http:Server"), doc(s, "http:server"), "the kind as edges name it")


def several(s):
    """Names that many have, and names of parts."""
    check_equal([t for t, _ in names(s, "value")], ["function"] * 5 + ["kind"], "a module and a kind")
    check_equal(names(s, "noop"), [("kind", "noop"), ("metaparameter", "Meta:noop")], "a kind and a metaparameter")
    check_equal(names(s, "join"), [("function", f"golang/{m}.join") for m in ("path", "path/filepath", "strings")], "a short name")
    check_equal(names(s, "strings.join"), [("function", "golang/strings.join")], "a name as it stands in programs")
    lines = [line.split()[0] for line in doc(s, "join").splitlines() if line.startswith("    golang")]
    check_equal(lines, [f"golang/{m}.join" for m in ("path", "path/filepath", "strings")], "the list of candidates")
    check_equal(names(s, "file.content"), [("field", "file.content")], "a field")
    check(("field", "file.content") in names(s, "content"), "a field by its short name")
    for name in ("retry", "Meta:retry", "Meta.retry"):
        check_equal(names(s, name), [("metaparameter", "Meta:retry")], name)
    check_equal(names(s, "Depend"), [("property", "Depend")], "a property")
    for name in ("const.res.file.state", "$const.res.file.state"):
        check_equal([n for _, n in names(s, name)], [f"$const.res.file.state.{x}" for x in ("exists", "absent", "undefined")], name)
    check(all(n.startswith("strings.") for _, n in names(s, "strings")), "more than a module")


def everything(s):
    """Without a name: everything, in short for people, in full for programs."""
    found = names(s)
    check(len(found) == len(set(found)), "something is told twice")
    for one in (("function", "strings.split"), ("kind", "file"), ("metaparameter", "Meta:retry"), ("constant", "$os.family_debian")):
        check(one in found, f"{one} is missing")
    check(not any(n.split(".")[-1].startswith("_") for t, n in found if t == "function"), "functions that nobody can call")
    text = doc(s)
    for part in ("file ", "golang/strings", "split", "retry"):
        check(part in text, f"not in the overview: {part}")
    check(len(text.splitlines()) < 250, "the overview is long")


def unknown(s):
    """A name that nothing has."""
    for name, want in (("strings.splti", "did you mean 'strings.split'?"), ("flie", "did you mean 'file'?"),
                       ("Meta:retri", "did you mean 'Meta:retry'?"), ("xxxxxxxx", "lists what there is"), ("_operator", "nothing is called"),
                       ("", "nothing is called")):
        done = s.ctl("doc", name)
        check_equal((done.returncode, done.stdout), (1, ""), name)
        check(want in done.stderr, f"{name!r}: {done.stderr}")


def files(s):
    """--output writes pages, replaces and removes old ones, and leaves everything else alone."""
    where = s.at("manual")
    doc(s, "--output", where)
    page = os.path.join(where, "functions/strings.md")
    text = read(page)
    check("## strings.split\n" in text, "no page of strings")
    old, ours = os.path.join(where, "functions/gone.md"), os.path.join(where, "functions/ours.md")
    write(old, text)
    write(ours, "ours\n")
    write(page, text.split("\n")[0] + "\n")
    doc(s, "--output", where)
    check_equal((read(page), read(old), read(ours)), (text, None, "ours\n"), "pages")

    write(os.path.join(where, "README.md"), "ours\n")
    done = s.ctl("doc", "--output", where)
    check_equal(done.returncode, 1, "status with another file in the way")
    check("README.md' is in the way" in done.stderr, done.stderr)
    check_equal(read(os.path.join(where, "README.md")), "ours\n", "the file in the way")
    check_equal(s.ctl("doc", "--output", where, "strings").returncode, 1, "status of --output with a name")


main(function, kind, several, everything, unknown, files)
