#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""mgmtctl why: what a resource waits for, who notified it, its error and its line."""

import json
import sys
import time

sys.dont_write_bytecode = True
from harness import Failed, Run, check, check_equal, main, wait_until

PROGRAM = """\
exec "bad" {
        cmd => "/bin/false",
}
noop "last" {
        Depend => Exec["bad"],
}
exec "again" {
        cmd => "/bin/false",

        Meta:retry => 5,
        Meta:delay => 100000,
}
exec "one" {
        cmd => "/usr/bin/tail -f $SCRATCH/main.mcl",

        Meta:sema => ["s"],
}
exec "two" {
        cmd => "/bin/true",

        Meta:sema => ["s"],
        Depend => Exec["one"],
        Depend => Exec["bad"],
}
file "$SCRATCH/a \\"b\\"" {
        state => "exists",
        content => "x",

        Notify => Print["told"],
}
print "told" {
        msg => "a",
        refresh_only => true,
}
virt "m" {
        uri => "qemu+unix:///system?socket=$SCRATCH/no.sock",
        cpus => 1,
        memory => 1024,
}
print "p" {
        msg => "1",
}
print "q" {
        msg => "2",
}
"""


def started(s):
    run = Run(s, "--tmp-prefix", s.program(PROGRAM))
    wanted = {("exec", "bad", "failed"), ("exec", "again", "retrying"), ("virt", "m", "waiting"), ("print", "told", None)}
    while wanted:
        event = run.wait_event("all is as it shall be")
        wanted.discard((event.get("kind"), event.get("name"), event.get("state")))
    return run


def why(s, run, resource):
    done = s.ctl("why", "--json", resource, MGMT_BUS_ADDRESS=run.bus())
    check_equal((done.returncode, done.stderr), (0, ""), f"status and stderr of why {resource}")
    return json.loads(done.stdout)


def reasons(w):
    return [(r["why"], r["what"]) for r in w["waits_for"]]


def wait_reasons(s, run, resource, wanted):
    """Until it waits for that."""
    seen = []

    def is_so():
        seen[:] = sorted(reasons(why(s, run, resource)))
        return seen == wanted
    try:
        wait_until(is_so, "it waits")
    except Failed:
        raise Failed(f"{resource} waits for {seen}, not for {wanted}") from None


def waiting(s):
    """Predecessors, semaphores, attempts, delays and services."""
    with started(s) as run:
        last = why(s, run, "noop[last]")
        check_equal(last["waits_for"], [{"why": "resource", "what": "exec[bad]", "state": "failed",
                                         "error": "cmd '/bin/false' failed with status 1"}], "what comes before")
        check_equal((last["state"], last["line"]), ("waiting", 'noop "last" {'), "its state and line")
        check(last["source"].endswith("main.mcl:4:1"), f"its place is {last['source']}")
        wait_reasons(s, run, "exec[one]", [("attempt", "exec[one]")])
        wait_reasons(s, run, "exec[two]", [("resource", "exec[bad]"), ("resource", "exec[one]"), ("semaphore", "s")])
        again = why(s, run, "exec[again]")
        check_equal((reasons(again), again["failures"], again["retries_left"]), ([("delay", "")], 1, 4), "what is tried again")
        check(0 < again["until_usec"] - time.time() * 1e6 < 100e6, "when it is tried again")
        wait_until(lambda: [r[0] for r in reasons(why(s, run, "virt[m]"))] == ["service"], "what needs a service waits for it")
        bad = why(s, run, "exec[bad]")
        check_equal((bad["state"], bad["error"], bad["waits_for"]), ("failed", "cmd '/bin/false' failed with status 1", []), "what failed")
        run.end()


def past(s):
    """What it did, who notified it, and into what it is grouped; names as the language writes them."""
    with started(s) as run:
        name = s.at('a "b"')
        file = why(s, run, f"file[{name}]")
        check_equal((file["name"], file["last_change"], file["state"]), (name, "state, content", "ok"), "the file")
        check(0 < time.time() * 1e6 - file["last_apply_usec"] < 100e6, "when it was changed")
        check_equal(why(s, run, 'File["' + s.at('a \\"b\\"') + '"]')["name"], name, "the same in the words of the language")
        wait_until(lambda: why(s, run, "print[told]")["state"] == "ok", "it has acted on that")
        told = why(s, run, "print[told]")
        check_equal((told["notified_by"], told["notifications"]), (f"file[{name}]", []), "who notified it")
        check(told["notified_usec"] > 0, "when it was notified")
        check_equal(why(s, run, "print[p]")["group"], "print[q]", "its group")
        run.end()


def words(s):
    """For people; and what is meant by what is not there."""
    with started(s) as run:
        done = s.ctl("why", "noop[last]", MGMT_BUS_ADDRESS=run.bus())
        check_equal(done.stdout, "noop[last]  waiting\n  at main.mcl:4:1: noop \"last\" {\n"
                    "  waits for exec[bad]  failed: cmd '/bin/false' failed with status 1\n  last success never\n  last change never\n", "the text")
        for wrong, right in {"noop[lasst]": "noop[last]", "file[told]": "print[told]", 'Exec["bda"]': "exec[bad]"}.items():
            done = s.ctl("why", wrong, MGMT_BUS_ADDRESS=run.bus())
            check(done.returncode == 1 and f"did you mean '{right}'?" in done.stderr, f"{wrong}: {done.stderr}")
        done = s.ctl("why", "what", MGMT_BUS_ADDRESS=run.bus())
        check(done.returncode == 1 and "is not a resource" in done.stderr, f"what: {done.stderr}")
        run.end()


main(waiting, past, words)
