#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host exports, as the store of this host has it."""

import json
import os
import signal
import sqlite3
import sys

sys.dont_write_bytecode = True
from harness import SECONDS, Run, check, check_equal, kill, main, read, wait_until, write


def exported(s):
    """Of file resources: target, name → what is exported of it."""
    path = s.at("prefix/world/world.sqlite")
    if not os.path.exists(path):
        return {}
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=SECONDS)
    try:
        rows = db.execute("SELECT key, value FROM entries WHERE key LIKE 'exports/%'").fetchall()
    except sqlite3.OperationalError:            # it is just being made
        return {}
    finally:
        db.close()
    found = {}
    for key, value in rows:
        _, target, kind, host, name = key.split("/", 4)
        check_equal((kind, host), ("file", "here"), f"kind and host of '{key}'")
        found[target, name] = json.loads(value)
    return found


def run(s, text, *options):
    return Run(s, f"--prefix={s.at('prefix')}", "--hostname=here", "--converger-timeout=0", *options, s.program(text))


def wait_for(s, want, what):
    wait_until(lambda: set(exported(s)) == set(want), what)
    return exported(s)


SHARED = """
file "$SCRATCH/shared" {
        state => "exists",
        content => "text\\n",
        Meta:hidden => true,
        Meta:export => ["h2", "*"],
}
"""


def fields(s):
    """Fields and metaparameters, to each host; the resource itself is hidden"""
    with run(s, SHARED) as r:
        r.wait_converged()
        shared = s.at("shared")
        found = wait_for(s, {("h2", shared), ("*", shared)}, "it is exported")
        for one in found.values():
            check_equal(one, {"mgmt": 1, "kind": "file", "fields": {"state": '"exists"', "content": '"text\\n"'},
                              "meta": {"hidden": "true"}}, "what is exported")
        check(not os.path.exists(shared), "it was applied here")
        r.end()
    s.check_clean()


def received(s):
    """What was received is exported, and what comes before has succeeded"""
    text = """
exec "make" {
        cmd => "cat $SCRATCH/value",
        shell => "/bin/sh",
        Meta:retry => -1,
        Meta:delay => 50,
}
file "$SCRATCH/shared" {
        state => "exists",
        Meta:export => ["*"],
}
Exec["make"].stdout -> File["$SCRATCH/shared"].content
"""
    with run(s, text) as r:
        r.wait_event("the command fails", type="state", kind="exec", state="retrying")
        check_equal(exported(s), {}, "what is exported before its time")
        write(s.at("value"), "received")
        found = wait_for(s, {("*", s.at("shared"))}, "it is exported")
        check_equal(found["*", s.at("shared")]["fields"]["content"], '"received"', "content")
        r.end()
    s.check_clean()


def leaves(s):
    """What leaves the program is taken back, by this engine and by one that comes after it; what is in it outlives them"""
    text = """
import "os"
if os.readfile("$SCRATCH/in") == "yes" {
        file "$SCRATCH/a" {
                state => "exists",
                Meta:export => ["*"],
        }
}
file "$SCRATCH/b" {
        state => "exists",
        Meta:export => ["*"],
}
"""
    a, b = ("*", s.at("a")), ("*", s.at("b"))

    def say(word):
        write(s.at("in.new"), word)
        os.rename(s.at("in.new"), s.at("in"))

    say("yes")
    with run(s, text) as r:
        r.wait_converged()
        wait_for(s, {a, b}, "both are exported")
        say("no")
        wait_for(s, {b}, "one is taken back")
        say("yes")
        wait_for(s, {a, b}, "it is there again")
        old = r.pid_of("engine")
        say("no")
        kill(old, signal.SIGKILL)
        wait_for(s, {b}, "one is taken back by the next engine")
        kill(r.pid_of("world"), signal.SIGKILL)
        say("yes")
        wait_for(s, {a, b}, "mgmt-world hears everything again")
        r.end()
    check_equal(set(exported(s)), {a, b}, "what is exported when it has ended")
    s.check_clean()


def noop(s):
    """Under noop nothing is exported"""
    with run(s, SHARED, "--noop") as r:
        r.wait_converged()
        check_equal(exported(s), {}, "what is exported")
        r.end()
    s.check_clean()


def twins(s):
    """Of one name: something for one host, something else for another, and here what this host collects of its own"""
    text = """
import "os"
file "$SCRATCH/shared" {
        state => "exists",
        content => "for h2",
        Meta:hidden => true,
        Meta:export => ["h2"],
}
file "$SCRATCH/shared" {
        state => "exists",
        content => os.readfile("$SCRATCH/in"),
        Meta:hidden => true,
        Meta:export => ["here"],
}
collect file "$SCRATCH/shared" {
        Meta:hidden => false,
}
"""
    write(s.at("in"), "first")
    with run(s, text) as r:
        shared = s.at("shared")
        found = wait_for(s, {("h2", shared), ("here", shared)}, "it is exported")
        check_equal([found[h, shared]["fields"]["content"] for h in ("h2", "here")], ['"for h2"', '"first"'], "what is exported")
        wait_until(lambda: read(shared) == "first", "this host collects its own")
        r.wait_converged()
        ask = lambda: json.loads(s.ctl("why", "--json", f"file[{shared}]", MGMT_BUS_ADDRESS=r.bus()).stdout)
        wait_until(lambda: ask()["state"] == "ok", "it is right")
        why = ask()
        check_equal((why["twins"], why["source"], why["state"]), (["/main.mcl:3:1", "/main.mcl:9:1"], "/main.mcl:15:9", "ok"), "where they stand")
        write(s.at("in.new"), "second")
        os.rename(s.at("in.new"), s.at("in"))
        wait_until(lambda: read(shared) == "second", "what changed is collected")
        check_equal(exported(s)["h2", shared]["fields"]["content"], '"for h2"', "what is for the other")
        r.end()
    s.check_clean()


main(fields, received, leaves, noop, twins)
