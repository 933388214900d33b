#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""http:server:flag: what a client posts reaches the resources that receive it, all of it at once."""

import http.client
import os
import sys
import urllib.parse

sys.dont_write_bytecode = True
from harness import SECONDS, Run, check_equal, main, read
from ports import own_port

PORT = own_port()

PROGRAM = f"""\
http:server "127.0.0.1:{PORT}" {{}}
http:server:flag "text" {{ path => "/both", key => "text", }}
http:server:flag "mode" {{ path => "/both", key => "mode", }}
http:server:flag "other" {{ path => "/other", key => "text", }}
file "$SCRATCH/got" {{ state => "exists", }}
Http:Server:Flag["text"].value -> File["$SCRATCH/got"].content
Http:Server:Flag["mode"].value -> File["$SCRATCH/got"].mode
"""


def post(path, **fields):
    c = http.client.HTTPConnection("127.0.0.1", PORT, timeout=SECONDS)
    c.request("POST", path, urllib.parse.urlencode(fields), {"Content-Type": "application/x-www-form-urlencoded"})
    return c.getresponse().status


def changes(run):
    return [e for e in run.events if e["type"] == "changed" and e.get("kind") == "file"]


def both_values_come_in_one_wave(s):
    """Two keys of one request are applied by one attempt, ten times in a row."""
    with Run(s, "--tmp-prefix", "--converger-timeout=0", s.program(PROGRAM)) as run:
        run.wait_converged()
        made = len(changes(run))
        for n in range(10):
            mode = 0o600 + n % 2 * 0o44
            check_equal(post("/both", text=f"number {n}", mode=f"{mode:04o}"), 200, "status")
            run.wait_event(f"number {n}", type="changed", kind="file")
            check_equal((read(s.at("got")), os.stat(s.at("got")).st_mode & 0o7777), (f"number {n}", mode), "content and mode")
        run.end()
        check_equal(len(changes(run)) - made, 10, "number of times the file was changed")
    s.check_clean()


def the_program_sees_no_other_path(s):
    """A flag of another path is not set."""
    with Run(s, "--tmp-prefix", "--converger-timeout=0", s.program(PROGRAM)) as run:
        run.wait_converged()
        made = len(changes(run))
        check_equal(post("/both", text="a", mode="0600"), 200, "status")
        run.wait_event("a", type="changed", kind="file")
        check_equal(read(s.at("got")), "a", "the file")
        check_equal(post("/other", text="b"), 200, "status")
        check_equal(post("/nowhere", text="b"), 404, "status")
        check_equal(post("/both", text="c", mode="0600"), 200, "status")
        run.wait_event("c", type="changed", kind="file")
        check_equal(read(s.at("got")), "c", "the file")
        run.end()
        check_equal(len(changes(run)) - made, 2, "number of times the file was changed")
    s.check_clean()


main(both_values_come_in_one_wave, the_program_sees_no_other_path)
