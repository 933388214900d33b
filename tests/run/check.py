#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""mgmtctl check: what it finds, how it says it, what it returns."""

import json
import os
import sys

sys.dont_write_bytecode = True
from harness import check, check_equal, main, write

PROGRAM = """\
import "lib.mcl"

test "é${nowhere}" {
        int8=>$lib.answer,
}
test "b" {
        content => $nothing,
}
"""


def objects(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def everything(s):
    """Errors of several places and the layout of several files, in one run."""
    write(s.at("main.mcl"), PROGRAM)
    write(s.at("lib.mcl"), "$answer=42\n")
    done = s.ctl("check", "--json", "main.mcl")
    check_equal(done.returncode, 1, "exit status")
    found = [(o["severity"], o["file"], o["line"], o["column"], o["end_line"], o["end_column"], o["message"]) for o in objects(done)]
    check_equal(found, [
        ("error", "main.mcl", 3, 6, 3, 20, "var `$nowhere` does not exist in this scope"),
        ("error", "main.mcl", 7, 20, 7, 28, "var `$nothing` does not exist in this scope"),
        ("warning", "main.mcl", 4, 1, 4, 2, "not formatted"),
        ("warning", "lib.mcl", 1, 8, 1, 9, "not formatted"),
    ], "what it found")
    text = s.ctl("check", "main.mcl")
    check("main.mcl:7:20: " in text.stderr and "^^^^^^^^" in text.stderr, f"no place in: {text.stderr}")
    check_equal(text.stdout, "", "stdout")


def skipping(s):
    """--skip-fmt and --skip-unify leave out what they say."""
    write(s.at("a.mcl"), '$x int=len("abc")+"d"\nprint "x" {\n\tmsg => $x,\n}\n')
    for arguments, want in (([], ["error", "warning"]), (["--skip-fmt"], ["error"]), (["--skip-unify"], ["warning"]),
                            (["--skip-unify", "--skip-fmt"], [])):
        done = s.ctl("check", "--json", *arguments, "a.mcl")
        check_equal(sorted({o["severity"] for o in objects(done)}), want, f"severities with {arguments}")
        check_equal(done.returncode, 1 if want else 0, f"status with {arguments}")


def forms(s):
    """All forms of input are checked, none leaves anything behind."""
    os.mkdir(s.at("d"))
    write(s.at("d/main.mcl"), "$x = 1\n")
    write(s.at("d/metadata.yaml"), "main: main.mcl\n")
    for argument, stdin in (("d/", ""), ("d", ""), ("d/metadata.yaml", ""), ("$x = 1", ""), ("-", "$x = 1\n")):
        done = s.ctl("check", argument, stdin=stdin)
        check_equal((done.returncode, done.stdout, done.stderr), (0, "", ""), f"check {argument}")
    check_equal(s.ctl("check", "-", stdin="$x=1\n").returncode, 1, "status of what is not formatted")
    check_equal(s.ctl("check", "nothing.mcl").returncode, 1, "status of what is not there")
    s.check_clean()


def syntax(s):
    """A syntax error is told once, and not as a matter of layout."""
    write(s.at("a.mcl"), "$x = = 1\n")
    found = objects(s.ctl("check", "--json", "a.mcl"))
    check_equal([(o["severity"], o["line"], o["column"]) for o in found], [("error", 1, 6)], "what it found")


main(everything, skipping, forms, syntax)
