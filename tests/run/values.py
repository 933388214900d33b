#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""mgmtctl run: values that resources keep, and functions that read them, over crashes of the daemon between them."""

import os
import signal
import sqlite3
import sys
import time

sys.dont_write_bytecode = True
from harness import Run, Skipped, check, check_equal, kill, main, read, wait_until, write

QUICK = ["--tmp-prefix", "--converger-timeout=0"]

# Archives of the reference that send through value resources, where they are at hand.
ARCHIVES = os.environ.get("MGMT_CONFORMANCE", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../shared/conformance"))

VALUES = """\
import "fmt"
import "value"

$out = value.get_str("out")
$number = value.get("number")

value "in" {
        any => "wow",
}
value "out" {
        any => "replaced by what is received",
}
value "number" {
        any => 41,
}
Value["in"].any -> Value["out"].any

file "$SCRATCH/out" {
        state => "exists",
        content => fmt.printf("%s %t %d", $out->value, $out->ready, $number->value + 1),
}
"""

# The content of a file goes through a value resource and comes back into the program.
CIRCLE = """\
import "os"
import "value"
import "world"

value "copied" {
        any => os.readfile("$SCRATCH/in"),
}
kv "shared" {
        value => os.readfile("$SCRATCH/in"),
}
kv "hosts" {
        value => os.readfile("$SCRATCH/in"),
        mapped => true,
}
file "$SCRATCH/out" {
        state => "exists",
        content => value.get_str("copied")->value + world.getval("shared")->value + (world.kvlookup("hosts")["h1"] <|> ""),
}
"""


def in_one_program(s):
    """A value of a program is read in the same program, also one that was received."""
    with Run(s, *QUICK, s.program(VALUES)) as run:
        wait_until(lambda: read(s.at("out")) == "wow true 42", "the values are in the file")
        run.end()
    check(not any(e["type"] == "state" and e["state"] == "failed" for e in run.events), "something failed")
    s.check_clean()


def over_runs(s):
    """A value survives the program that kept it; of another type it is an error, until it is replaced."""
    state = ["--prefix", s.at("state"), "--converger-timeout=0"]
    with Run(s, *state, s.program('value "k" {\n        any => 42,\n}\n')) as run:
        run.wait_converged()
        run.end()
    reads = 'import "value"\nfile "$SCRATCH/out" {\n        state => "exists",\n        content => %s,\n}\n'
    as_int = s.program('import "fmt"\n' + reads % 'fmt.printf("%d", value.get_int("k")->value)', "int.mcl")
    with Run(s, *state, as_int) as run:
        wait_until(lambda: read(s.at("out")) == "42", "the number is still there")
        run.end()
    with Run(s, *state, s.program(reads % 'value.get_str("k")->value', "str.mcl")) as run:
        check_equal(run.wait_end(), 1, "exit status")
    want = "type mismatch, check type in Value[k]: base kind does not match (str != int)"
    check(any(want in e.get("message", "") for e in run.events), "it does not say what is wrong")
    s.check_clean()


def circle(s):
    """What is read is written, and what is written is read; kill -9 of mgmt-world at any time loses and fails nothing."""
    write(s.at("in"), "0")
    with Run(s, *QUICK, "--hostname=h1", s.program(CIRCLE)) as run:
        wait_until(lambda: read(s.at("out")) == "000", "the first text has come round")
        for n in range(1, 13):
            old = run.pid_of("world")
            if n % 3 == 0:
                kill(old, signal.SIGKILL)
            write(s.at("in"), f"{n},")
            if n % 3 == 1:
                kill(old, signal.SIGKILL)
            elif n % 3 == 2:
                time.sleep(0.003 * n)
                kill(old, signal.SIGKILL)
            wait_until(lambda: read(s.at("out")) == f"{n},{n},{n},", f"text {n} has come round")
            wait_until(lambda: run.pid_of("world") not in (None, old), "mgmt-world is back")
        run.end()
    check(not any(e["type"] == "state" and e["state"] == "failed" for e in run.events), "something failed")
    s.check_clean()


def stays_while_gone(s):
    """While mgmt-world cannot run the values stay as they were; nothing is emptied."""
    write(s.at("in"), "x")
    with Run(s, *QUICK, "--hostname=h1", s.program(CIRCLE)) as run:
        wait_until(lambda: read(s.at("out")) == "xxx", "the text has come round")
        os.kill(run.pid_of("world"), signal.SIGSTOP)
        write(s.at("in"), "y")
        for _ in range(20):
            check_equal(read(s.at("out")), "xxx", "the file, while nobody answers")
            time.sleep(0.01)
        kill(run.pid_of("world"), signal.SIGKILL)
        wait_until(lambda: read(s.at("out")) == "yyy", "the text has come round")
        run.end()
    s.check_clean()


def numbers_and_directories(s):
    """local: numbers that stay over runs, directories that are there."""
    state = ["--prefix", s.at("state"), "--converger-timeout=0"]
    program = """\
import "fmt"
import "local"

file "%s/out" {
        state => "exists",
        content => fmt.printf("%%d %%d %%s", local.pool("n", "%s"), local.pool("n", "b"), local.vardir("some/where/")),
}
"""
    for first, number in (("a", 1), ("c", 3), ("a", 1)):
        with Run(s, *state, s.program(program % (s.path, first))) as run:
            run.wait_converged()
            wait_until(lambda: (read(s.at("out")) or "").startswith(f"{number} 2 "), f"the numbers, not {read(s.at('out'))}")
            where = read(s.at("out")).split(" ", 2)[2]
            check(where.endswith("/vardir/some/where/"), f"the directory is {where}")
            check_equal(os.stat(where).st_mode & 0o7777, 0o750, "its mode")
            run.end()
    s.check_clean()


def only_when_asked(s):
    """A daemon is started by the first function that asks it, and not before."""
    with Run(s, *QUICK, s.program('print "x" {\n        msg => "no function",\n}\n')) as run:
        run.wait_converged()
        check_equal((run.pid_of("world"), run.pid_of("http")), (None, None), "pids of mgmt-world and mgmt-http")
        run.end()
    program = 'import "net/http"\nimport "fmt"\nprint "x" {\n        msg => fmt.printf("%d", http.response("none")->status),\n}\n'
    with Run(s, *QUICK, s.program(program)) as run:
        run.wait_event("the print", type="log", kind="print", text="Msg: 0")
        check_equal(run.pid_of("world"), None, "pid of mgmt-world")
        check(run.pid_of("http"), "mgmt-http does not run")
        run.end()
    s.check_clean()


def of_the_reference(s):
    """The reference's programs with value resources converge, and its values are there."""
    if not os.path.isdir(f"{ARCHIVES}/TestAstFunc3"):
        raise Skipped("its archives are not at hand")
    for name in "value-resource0", "value-resource-get0":
        text = read(f"{ARCHIVES}/TestAstFunc3/{name}.txtar")
        program = text.split("-- main.mcl --\n", 1)[1].split("-- OUTPUT --\n", 1)[0]
        want = {line.split("[")[1].split("]")[0]: line.split(" = ", 1)[1]
                for line in text.splitlines() if line.startswith("Field: value[")}
        state = s.at(f"state-{name}")
        with Run(s, "--prefix", state, "--converger-timeout=0", "--json", s.program(program)) as run:
            run.wait_converged()
            run.end()
        check(not any(e["type"] == "state" and e["state"] == "failed" for e in run.events), "something failed")
        databases = [os.path.join(d, f) for d, _, files in os.walk(state) for f in files if f == "world.sqlite"]
        check_equal(len(databases), 1, "number of databases")
        with sqlite3.connect(databases[0]) as db:
            stored = dict(db.execute("SELECT substr(key, 7), value FROM entries WHERE key LIKE 'local/%'"))
        check_equal(set(stored), set(want), "names of the values")
        for key, value in want.items():
            check(stored[key].endswith(value.strip('"').encode()), f"value[{key}] is {stored[key]}, not {value}")


main(in_one_program, over_runs, circle, stays_while_gone, numbers_and_directories, only_when_asked, of_the_reference)
