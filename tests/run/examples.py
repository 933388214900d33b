#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What we show newcomers works: every program in examples/ and the one in the README converge, and have nothing to do then."""

import os
import re
import socket
import sys

sys.dont_write_bytecode = True
from harness import Run, check, check_equal, main, read

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def here(s, text):
    """The same program, but in a directory and on a port that nobody else uses."""
    return s.program(text.replace("/tmp/", "$SCRATCH/").replace('"8080"', f'"{free_port()}"'))


def converge(s, program):
    """Twice: what the second run changes is not idempotent, or was not kept. Exec and print act at each start. The engine has to be
    right for a moment, in which values that resources have published reach the program."""
    for n in (1, 2):
        with Run(s, "--prefix", s.at("prefix"), "--converger-timeout=1", "--converged-exit", program) as run:
            check_equal(run.wait_end(), 0, f"exit status of run {n}")
            errors = [e for e in run.events if e.get("priority", 6) <= 3]
            check(not errors, f"run {n} has errors: {errors}")
            changed = {e["kind"] for e in run.events if e["type"] == "changed"}
    check(changed <= {"print", "virt", "exec"}, f"the second run changes something: {changed}")
    s.check_clean()


def examples(s):
    """Programs in examples/."""
    folder = os.path.join(SOURCE, "examples")
    names = sorted(n for n in os.listdir(folder) if n.endswith(".mcl"))
    check("hello.mcl" in names, "there is no hello.mcl")
    for name in names:
        print(f"# {name}")
        converge(s, here(s, read(os.path.join(folder, name))))


def readme(s):
    """The program in the README."""
    blocks = re.findall(r"(?:^    .*\n|^\n)+", read(os.path.join(SOURCE, "README.md")), re.MULTILINE)
    programs = [b for b in blocks if "=>" in b]
    check_equal(len(programs), 1, "number of programs in the README")
    converge(s, here(s, re.sub(r"^    ", "", programs[0], flags=re.MULTILINE)))


if __name__ == "__main__":
    main(examples, readme)
