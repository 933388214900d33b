#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""mgmtctl check: what it finds, how it says it, what it returns."""

import json
import os
import subprocess
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


def git(s, *arguments):
    identity = {f"GIT_{who}_{what}": "x@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    subprocess.run(["git", "-C", s.at("origin"), *arguments], env={**os.environ, **identity, "HOME": s.path}, check=True,
                   capture_output=True, timeout=60)


def modules(s):
    """Modules of others come by git, and only when asked for."""
    os.mkdir(s.at("origin"))
    os.mkdir(s.at("modules"))
    write(s.at("origin/metadata.yaml"), "main: main.mcl\n")
    write(s.at("origin/main.mcl"), '$greeting = "hello"\n')
    git(s, "init", "--quiet")
    git(s, "add", ".")
    git(s, "commit", "--quiet", "--message", "one")
    write(s.at("main.mcl"), f'import "file://{s.at("origin")}/" as far\n\nprint "x" {{\n\tmsg => $far.greeting + $far.name,\n}}\n')
    path = ["--module-path", s.at("modules/"), "main.mcl"]

    check_equal(s.ctl("check", *path).returncode, 1, "status without --download")
    check_equal(os.listdir(s.at("modules")), [], "modules without --download")
    text = s.ctl("check", "--download", *path).stderr
    check("var `$far.name` does not exist" in text, f"the module is not there: {text}")
    write(s.at("origin/main.mcl"), '$greeting = "hello"\n$name = "you"\n')
    git(s, "commit", "--quiet", "--all", "--message", "two")
    check_equal(s.ctl("check", "--download", *path).returncode, 1, "status without --update")
    done = s.ctl("check", "--download", "--update", *path)
    check_equal((done.returncode, done.stderr), (0, ""), "with --update")
    check_equal(s.ctl("check", *path).returncode, 0, "status with the module in its place")

    write(s.at("bad.mcl"), f'import "file://{s.at("nothing")}/" as far\n')
    text = s.ctl("check", "--download", "--module-path", s.at("modules/"), "bad.mcl").stderr
    check("could not download: git clone failed" in text, f"no clear error: {text}")
    write(s.at("evil.mcl"), 'import "ext::sh%20-c%20touch%20evil/" as far\n')
    s.ctl("check", "--download", "--module-path", s.at("modules/"), "evil.mcl")
    check(not os.path.exists(s.at("evil")), "a transport ran a command")


main(everything, skipping, forms, syntax, modules)
