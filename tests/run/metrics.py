#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine counts: over the bus, and as http:server:metrics serves it."""

import http.client
import json
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
from harness import SECONDS, Run, check, check_equal, main, wait_until, write
from ports import own_port

PORT = own_port()

PROGRAM = """\
http:server "SERVER" {}
http:server:metrics "/metrics" {
        REMOTE
}
file "$SCRATCH/one" {
        state => "exists",
        content => "1",
}
file "$SCRATCH/two" {
        state => "exists",
        content => "2",
}
file "$SCRATCH/three" {
        state => "exists",
        content => "3",
}
file "$SCRATCH/four" {
        state => "exists",
        content => "4",

        Meta:noop => true,
}
file "$SCRATCH/no/such" {
        state => "exists",
        content => "5",
}
"""


def program(s, server, remote=""):
    return s.program(PROGRAM.replace("SERVER", server).replace("REMOTE", remote))


def get(path="/metrics", host="127.0.0.1", method="GET"):
    c = http.client.HTTPConnection(host, PORT, timeout=SECONDS)
    c.request(method, path)
    a = c.getresponse()
    return a.status, a.getheader("Content-Type"), a.read().decode()


def scraped():
    """The samples; while the engine cannot be asked there are none."""
    found = []

    def is_there():
        status, _, text = get()
        found[:] = [text]
        return status == 200
    wait_until(is_there, "there are samples")
    return samples(found[0])


def samples(text):
    """Name and labels → number."""
    check(text.endswith("# EOF\n"), f"it does not end: {text[-200:]}")
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            m = re.fullmatch(r"([a-z_]+(?:\{[^}]*\})?) ([0-9.]+)", line)
            check(m and m[1] not in found, f"not a sample, or a second one: {line}")
            found[m[1]] = float(m[2])
    return found


def checks(found, apply, eventful, errorful, kind="file"):
    return found[f'mgmt_checkapply_total{{kind="{kind}",apply="{apply}",eventful="{eventful}",errorful="{errorful}"}}']


def counted(s):
    """Three files are written, one would be, one fails: so say the counters, by http and on the bus."""
    with Run(s, "--tmp-prefix", "--converger-timeout=0", program(s, f"127.0.0.1:{PORT}")) as run:
        run.wait_converged()
        wait_until(lambda: scraped()["mgmt_unsettled_resources"] == 0, "all is settled")
        check_equal(get()[1], "application/openmetrics-text; version=1.0.0; charset=utf-8", "type")
        found = scraped()
        check_equal(checks(found, "true", "true", "false"), 3, "effective applies")
        check_equal(checks(found, "false", "true", "false"), 1, "what noop would have changed")
        check_equal(checks(found, "true", "false", "true"), 1, "failures")
        check_equal(checks(found, "true", "true", "true"), 0, "what cannot be")
        check_equal(found['mgmt_failures_total{kind="file",failure="hard"}'], 1, "hard failures")
        check_equal(found['mgmt_resources{kind="file",state="ok"}'], 3, "files that are right")
        check_equal(found['mgmt_resources{kind="file",state="drifted"}'], 1, "files that are not")
        check_equal(found['mgmt_resources{kind="http:server:metrics",state="ok"}'], 1, "those of another daemon")
        check_equal((found["mgmt_converged"], found["mgmt_unsettled_resources"], found["mgmt_graph_generation"]), (1, 0, 1), "the graph")
        check(found["mgmt_process_resident_memory_bytes"] > 1e6, "no memory")

        write(s.at("one"), "drift")
        wait_until(lambda: checks(scraped(), "true", "true", "false") == 4, "a repair is counted")
        check(scraped()['mgmt_events_total{kind="file"}'] >= 1, "no event")

        done = subprocess.run(["busctl", f"--address={run.bus()}", "--json=short", "call", "org.mgmt.engine1", "/org/mgmt/engine1",
                               "org.mgmt.engine1.Manager", "GetMetrics"], text=True, timeout=SECONDS, stdout=subprocess.PIPE)
        check_equal(samples(json.loads(done.stdout)["data"][0]).keys(), found.keys(), "what the bus has")
        check_equal(get(method="HEAD")[0::2], (200, ""), "the answer to HEAD")
        check_equal(get("/other")[0], 404, "the status of another path")
        run.end()
    s.check_clean()


def addresses():
    """Of this machine, but not loopback."""
    done = subprocess.run(["hostname", "-I"], text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return [a for a in done.stdout.split() if re.fullmatch(r"[0-9.]+", a)]


def local_only(s):
    """A server for everybody gives them to this machine alone, unless it is told otherwise."""
    others = addresses()
    with Run(s, "--tmp-prefix", "--converger-timeout=0", program(s, f":{PORT}")) as run:
        run.wait_converged()
        wait_until(lambda: get()[0] == 200, "this machine is answered")
        if others:
            check_equal(get(host=others[0])[0], 403, "the status for others")
        done = s.ctl("deploy", program(s, f":{PORT}", "remote => true,"), MGMT_BUS_ADDRESS=run.bus())
        check_equal((done.returncode, done.stderr), (0, ""), "status and stderr of deploy")
        if others:
            wait_until(lambda: get(host=others[0])[0] == 200, "others are answered")
        else:
            print("# no other address than loopback: only half of it was seen")
        run.end()


def engine_dies(s):
    """While the engine is away there are none; they come back with it."""
    with Run(s, "--tmp-prefix", "--converger-timeout=0", program(s, f"127.0.0.1:{PORT}")) as run:
        run.wait_converged()
        os.kill(run.pid_of("engine"), 9)
        check(get()[0] in (200, 503), "neither there nor not")
        wait_until(lambda: get()[0] == 200, "they are back")
        run.end()


main(counted, local_only, engine_dies)
