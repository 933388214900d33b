#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What we show newcomers works: every program in examples/ and the one in the README converge, and have nothing to do then.

They run on this very machine. Those that would change it stand in examples/system/, which only tests/system runs, in its container."""

import os
import re
import sys

sys.dont_write_bytecode = True
from harness import Run, check, check_equal, main, read
from ports import own_port

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def here(s, text):
    """The same program, but in a directory and on a port that nobody else uses."""
    return s.program(text.replace("/tmp/", "$SCRATCH/").replace('"8080"', f'"{own_port()}"'))


# What a program may declare that runs here: nothing of it outlives the test's directory.
HARMLESS = {"exec", "file", "http:client", "http:server", "http:server:file", "http:server:flag", "http:server:ui", "http:server:ui:input", "kv", "print",
            "schedule", "test", "value", "virt"}


def check_harmless(name, text):
    """Also that nobody adds, one day, an example that changes the machine of whoever runs the tests."""
    kinds = set(re.findall(r"^\s*([a-z][a-z0-9:]*) [^=\n]*\{$", text, re.MULTILINE)) - {"class", "for", "forkv", "func", "if", "else"}
    kinds |= set(re.findall(r"^\s*([a-z][a-z0-9:]*) [^=\n]*\{\}$", text, re.MULTILINE))
    check(kinds <= HARMLESS, f"{name} declares {kinds - HARMLESS}: a program that changes the machine belongs to examples/system/")
    outside = [p for p in re.findall(r'^\s*file "(/[^"]*)"', text, re.MULTILINE) if not p.startswith("/tmp/")]
    check(not outside, f"{name} writes to {outside}: only /tmp/ is replaced by the test's directory")


def converge(s, program):
    """Twice: what the second run changes is not idempotent, or was not kept. Exec and print act at each start. The engine has to be
    right for a moment, in which values that resources have published reach the program; where the machine is so busy that they do not,
    the next run has them."""
    for n in range(1, 6):
        with Run(s, "--prefix", s.at("prefix"), "--converger-timeout=1", "--converged-exit", program) as run:
            check_equal(run.wait_end(), 0, f"exit status of run {n}")
            errors = [e for e in run.events if e.get("priority", 6) <= 3]
            check(not errors, f"run {n} has errors: {errors}")
            changed = {e["kind"] for e in run.events if e["type"] == "changed"} - {"print", "virt", "exec", "schedule"}  # votes are for a run
        if n > 1 and not changed:
            break
    check(not changed, f"each run changes something: {changed}")
    s.check_clean()


def examples(s):
    """Programs in examples/."""
    folder = os.path.join(SOURCE, "examples")
    names = sorted(n for n in os.listdir(folder) if n.endswith(".mcl"))
    check("hello.mcl" in names, "there is no hello.mcl")
    for name in names:
        print(f"# {name}")
        text = read(os.path.join(folder, name))
        check_harmless(name, text)
        converge(s, here(s, text))


def readme(s):
    """The program in the README."""
    blocks = re.findall(r"(?:^    .*\n|^\n)+", read(os.path.join(SOURCE, "README.md")), re.MULTILINE)
    programs = [b for b in blocks if "=>" in b]
    check_equal(len(programs), 1, "number of programs in the README")
    converge(s, here(s, re.sub(r"^    ", "", programs[0], flags=re.MULTILINE)))


if __name__ == "__main__":
    main(examples, readme)
