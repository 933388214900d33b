#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""mgmtctl fmt: what it writes, what it leaves alone, what it returns."""

import json
import os
import sys

sys.dont_write_bytecode = True
from harness import check, check_equal, main, read, write

UGLY, FINE, WRONG = '$x=1\n\n\ntest "a"{}\n', '$x = 1\n\ntest "a" {}\n', "$x = = 1\n"


def rewrites(s):
    """A file is rewritten with its mode, through a link, and only if it must be."""
    write(s.at("a.mcl"), UGLY)
    os.chmod(s.at("a.mcl"), 0o640)
    os.symlink("a.mcl", s.at("link.mcl"))
    check_equal(s.ctl("fmt", "link.mcl").returncode, 0, "exit status")
    check_equal(read(s.at("a.mcl")), FINE, "the file")
    check_equal(os.stat(s.at("a.mcl")).st_mode & 0o7777, 0o640, "the mode")
    check(os.path.islink(s.at("link.mcl")), "the link was replaced")
    before = os.stat(s.at("a.mcl"))
    done = s.ctl("fmt", "-v", "a.mcl")
    check_equal((done.returncode, done.stdout, done.stderr), (0, "", ""), "the second run")
    after = os.stat(s.at("a.mcl"))
    check_equal((after.st_ino, after.st_mtime_ns), (before.st_ino, before.st_mtime_ns), "inode and time of a file that was fine")


def test_only(s):
    """--test writes nothing and fails if anything would change."""
    write(s.at("a.mcl"), UGLY)
    write(s.at("b.mcl"), FINE)
    for option in ("-t", "--test"):
        done = s.ctl("fmt", option, "./")
        check_equal((done.returncode, done.stdout), (1, "not formatted: a.mcl\n"), "status and output")
    check_equal(read(s.at("a.mcl")), UGLY, "the file")
    check_equal(s.ctl("fmt", "-t", "b.mcl").returncode, 0, "status of a file that is fine")
    done = s.ctl("fmt", "--json", "-t", "a.mcl")
    check_equal(json.loads(done.stdout), {"type": "not-formatted", "file": "a.mcl"}, "JSON")


def directories(s):
    """Directories are walked, hidden ones and links are not; an error in one file does not keep others from being formatted."""
    for name in ("", "sub", ".git", "away"):
        os.makedirs(s.at("d/" + name if name != "away" else "away"), exist_ok=True)
    for name in ("d/b.mcl", "d/sub/c.mcl", "d/.git/d.mcl", "d/e.txt", "away/f.mcl"):
        write(s.at(name), UGLY)
    write(s.at("d/a.mcl"), WRONG)
    os.symlink("../away", s.at("d/link"))
    done = s.ctl("fmt", "-v", "d/")
    check_equal(done.returncode, 1, "exit status")
    check_equal(done.stdout, "wrote: d/b.mcl\nwrote: d/sub/c.mcl\n", "what it wrote")
    check("d/a.mcl:1:6: " in done.stderr and "^" in done.stderr, f"no place in: {done.stderr}")
    for name, text in (("d/a.mcl", WRONG), ("d/b.mcl", FINE), ("d/sub/c.mcl", FINE), ("d/.git/d.mcl", UGLY), ("d/e.txt", UGLY),
                       ("away/f.mcl", UGLY)):
        check_equal(read(s.at(name)), text, name)


def standard_input(s):
    """'-' formats standard input to standard output."""
    done = s.ctl("fmt", "-", stdin=UGLY)
    check_equal((done.returncode, done.stdout), (0, FINE), "status and output")
    done = s.ctl("fmt", "-", stdin=WRONG)
    check_equal((done.returncode, done.stdout), (1, ""), "status and output for an error")
    check("<stdin>:1:6: " in done.stderr, f"no place in: {done.stderr}")


def missing(s):
    """What is not there is an error."""
    done = s.ctl("fmt", "nothing.mcl")
    check_equal(done.returncode, 1, "exit status")
    check("nothing.mcl" in done.stderr, f"no name in: {done.stderr}")


main(rewrites, test_only, directories, standard_input, missing)
