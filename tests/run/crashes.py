#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""mgmtctl run: kill -9 of each daemon, during activity, ends in the same state."""

import os
import signal
import sys
import time
import urllib.error
import urllib.request

sys.dont_write_bytecode = True
from harness import DAEMONS, Run, check, check_equal, kill, main, read, wait_until, write
from ports import own_port

PORT = own_port()

PROGRAM = f"""\
import "world"

file "$SCRATCH/a" {{
        state => "exists",
        content => "a\\n",

        Notify => Print["told"],
}}
print "told" {{
        msg => "the file was put right",
}}
exec "copy" {{
        # In one step: half a copy, left by a cp that died with its engine, would satisfy creates.
        cmd => "cp $SCRATCH/a $SCRATCH/copy.new && mv $SCRATCH/copy.new $SCRATCH/copy",
        shell => "/bin/sh",
        mtimes => ["$SCRATCH/a"],
        creates => "$SCRATCH/copy",

        Meta:retry => -1,               # cp minds if the file is replaced under it
        Meta:delay => 10,
        Depend => File["$SCRATCH/a"],
}}
http:server "127.0.0.1:{PORT}" {{}}
http:server:file "/page" {{
        data => "page\\n",
}}
kv "key" {{
        value => "value",
}}
file "$SCRATCH/value" {{
        state => "exists",
        content => world.getval("key")->value,
}}
virt "guest" {{
        uri => "test:///default",
        state => "running",
        cpus => 1,
        maxcpus => 1,
        hotcpus => false,
        memory => 65536,
}}
"""


def page():
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/page", timeout=2) as f:
            return f.read()
    except (urllib.error.URLError, OSError):
        return None


def check_state(s):
    wait_until(lambda: read(s.at("a")) == "a\n", "the file is right")
    wait_until(lambda: read(s.at("copy")) == "a\n", "the command ran")
    wait_until(lambda: page() == b"page\n", "the page is served")
    wait_until(lambda: read(s.at("value")) == "value", "the value is in its file")


def start(s):
    run = Run(s, "--tmp-prefix", "--converger-timeout=0", s.program(PROGRAM))
    run.wait_converged()
    check_state(s)
    return run


def each_daemon(s):
    """Each daemon in turn, while a file drifts."""
    with start(s) as run:
        for daemon in DAEMONS:
            wait_until(lambda: run.pid_of(daemon), f"mgmt-{daemon} runs")
            for _ in range(3):
                old = run.pid_of(daemon)
                os.unlink(s.at("copy"))        # first: the command may be done with before this line is
                write(s.at("a"), "drift\n")
                os.unlink(s.at("value"))
                kill(old, signal.SIGKILL)
                write(s.at("a"), "more drift\n")
                check_state(s)
                wait_until(lambda: run.pid_of(daemon) not in (None, old), f"mgmt-{daemon} is back")
        run.end()
    s.check_clean()


def all_at_once(s):
    """All of them at the same time, again and again."""
    with start(s) as run:
        for n in range(5):
            write(s.at("a"), f"drift {n}\n")
            os.unlink(s.at("copy"))
            os.unlink(s.at("value"))
            for pid in s.processes("mgmt-*"):
                kill(pid, signal.SIGKILL)
            check_state(s)
        run.end()
    s.check_clean()


def the_bus(s):
    """The bus: it comes back, and with it the program."""
    with start(s) as run:
        for n in range(3):
            old = list(s.processes("dbus-daemon"))
            check_equal(len(old), 1, "number of buses")
            kill(old[0], signal.SIGKILL)
            write(s.at("a"), "drift\n")
            check_state(s)
            wait_until(lambda: [p for p in s.processes("dbus-daemon") if p not in old], "the bus is back")
            wait_until(lambda: s.ctl("status", MGMT_BUS_ADDRESS=run.bus()).returncode == 0, "the engine is on it")
        run.end()
    s.check_clean()


def while_starting(s):
    """At every moment of the start."""
    for milliseconds in (2, 5, 8, 12, 16, 20, 25, 30, 40, 60):
        for name in ("a", "copy", "value"):
            if os.path.exists(s.at(name)):
                os.unlink(s.at(name))
        with Run(s, "--tmp-prefix", "--converger-timeout=0", s.program(PROGRAM)) as run:
            time.sleep(milliseconds / 1000)
            for pid in s.processes("mgmt-*"):
                kill(pid, signal.SIGKILL)
            run.wait_converged()
            check_state(s)
            run.end()
    s.check_clean()


def refuses_to_run(s):
    """A daemon that cannot run ends it with 1, and is not tried for ever."""
    os.makedirs(s.at("state/world/world.sqlite"))       # where its database should be
    with Run(s, s.program(PROGRAM)) as run:
        check_equal(run.wait_end(), 1, "exit status")
        check(any("mgmt-world" in e.get("message", "") for e in run.events), "it does not say which")
    s.check_clean()


main(each_daemon, all_at_once, the_bus, while_starting, refuses_to_run)
