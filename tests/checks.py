# SPDX-License-Identifier: GPL-3.0-or-later
"""What the check-* programs share: the files of the tree, C without its comments, and TAP."""

import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def files(*endings):
    """Every file of the tree, tracked or new, that ends so; relative paths, sorted."""
    try:
        names = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=TOP, check=True,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):    # not a clone
        names = [os.path.relpath(os.path.join(d, f), TOP) for d, _, names in os.walk(TOP) for f in names
                 if not re.match(r"(\.git|build[^/]*)(/|$)", os.path.relpath(d, TOP))]
    return sorted(n for n in names if n and os.path.isfile(os.path.join(TOP, n)) and (not endings or n.endswith(endings)))


def read(name):
    """The text of a file; None if it is not text."""
    with open(os.path.join(TOP, name), "rb") as f:
        data = f.read()
    return None if b"\0" in data else data.decode(errors="replace")


def code_lines(text):
    """The lines of a C file with comments and the contents of literals blanked, so that words in them are not code."""
    def blank(m):
        s = m[0]
        return re.sub(r"[^\n]", " ", s) if s.startswith("/") else s[0] + " " * (len(s) - 2) + s[-1]

    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.DOTALL).split("\n")


class Tap:
    """One case per rule; each case collects what is wrong and where."""

    def __init__(self):
        self.n = self.n_failed = 0

    def case(self, name, problems):
        self.n += 1
        problems = list(problems)
        for p in problems:
            print(f"# {p}")
        print(f"{'not ok' if problems else 'ok'} {self.n} - {name}", flush=True)
        self.n_failed += bool(problems)

    def skip(self, name, reason):
        self.n += 1
        print(f"ok {self.n} - {name} # SKIP {reason}", flush=True)

    def done(self):
        print(f"1..{self.n}")
        sys.exit(1 if self.n_failed else 0)
