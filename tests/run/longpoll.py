#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""http:server:file with long poll: many clients that wait, and what they miss while the server is not there (nothing)."""

import http.client
import os
import resource
import selectors
import signal
import socket
import sys
import threading
import time

sys.dont_write_bytecode = True
from harness import SECONDS, Run, Skipped, check, check_equal, kill, main, read, wait_until
from scripted import free_port

CLIENTS = 10000
MIB = 1024 * 1024


def replace(path, text):
    """So that nobody sees half of it."""
    with open(path + ".new", "w") as f:
        f.write(text)
    os.rename(path + ".new", path)


def program(s, port):
    return s.program(f"""\
        http:server "127.0.0.1:{port}" {{}}
        http:server:file "/news" {{ path => "$SCRATCH/news", longpoll => true, }}
        file "$SCRATCH/other" {{ state => "exists", content => "as it should be\\n", }}
    """)


def get(port, since=None):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    c.request("GET", "/news", headers={"If-Modified-Since": since} if since else {})
    a = c.getresponse()
    return a.status, a.getheader("Last-Modified"), a.getheader("Retry-After"), a.read().decode()


def resident(pid):
    with open(f"/proc/{pid}/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")


class Crowd:
    """Clients that have sent a request, and wait; all in one thread."""

    def __init__(self, port, n, request):
        self.selector, self.waiting, self.answers = selectors.DefaultSelector(), set(), {}
        for i in range(n):
            c = socket.create_connection(("127.0.0.1", port), SECONDS)
            c.sendall(request)
            c.setblocking(False)
            self.selector.register(c, selectors.EVENT_READ, i)
            self.waiting.add(c)
            if i % 100 == 99:
                self.look(0)

    def look(self, seconds):
        for key, _ in self.selector.select(seconds):
            data = key.fileobj.recv(65536)
            self.answers[key.data] = self.answers.get(key.data, b"") + data
            if not data:
                self.answers[key.data] += b"(hung up)"
                self.selector.unregister(key.fileobj)

    def close(self):
        for c in self.waiting:
            c.close()
        self.selector.close()


def serves_thousands_at_once(s):
    """Ten thousand clients wait, and one change answers each of them, once; the engine has other things to do."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    n = min(CLIENTS, (hard - 200) // 2)
    if n < 1000:
        raise Skipped(f"only {hard} files may be open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    port = free_port()
    replace(s.at("news"), "old")
    with Run(s, "--tmp-prefix", "--converger-timeout=0", program(s, port)) as run:
        run.wait_converged()
        status, modified, _, body = get(port)
        check_equal((status, body), (200, "old"), "the answer to the first one")
        pid, before = run.pid_of("http"), resident(run.pid_of("http"))
        crowd = Crowd(port, n, f"GET /news HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: {modified}\r\n\r\n".encode())
        # the newest one is served after all others were read
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
        c.request("GET", "/nothing")
        check_equal(c.getresponse().status, 404, "status")
        crowd.look(0)
        check_equal(len(crowd.answers), 0, "number of those who did not have to wait")
        waiting = resident(pid) - before

        replace(s.at("news"), "new")
        os.unlink(s.at("other"))
        start, repaired = time.monotonic(), None
        while len(crowd.answers) < n or not repaired:
            crowd.look(0.01)
            if not repaired and read(s.at("other")) == "as it should be\n":
                repaired = time.monotonic() - start
            check(time.monotonic() - start < SECONDS, f"only {len(crowd.answers)} answers; file repaired: {repaired}")
        served = time.monotonic() - start
        status, newer, _, body = get(port)
        check_equal((status, body), (200, "new"), "the answer to a new one")
        crowd.look(0.2)
        bad = [a for a in crowd.answers.values() if not (a.startswith(b"HTTP/1.1 200 ") and a.endswith(b"\r\n\r\nnew") and a.count(b"HTTP/") == 1)]
        check_equal(bad[:1], [], "an answer that is not the one it should be")
        check(newer != modified, "the new content has the date of the old one")
        print(f"# {n} clients: {waiting / n:.0f} bytes each while they wait, all served in {served:.2f} s; meanwhile a file was repaired in {repaired:.2f} s")
        check(waiting < n * 24 * 1024, f"{waiting / MIB:.0f} MiB for {n} clients")
        crowd.close()
        print(f"# {before / MIB:.1f} MiB before, {waiting / MIB:.1f} more while they wait, {(resident(pid) - before) / MIB:.1f} after that")
        wait_until(lambda: resident(pid) < before + 24 * MIB, "memory is as before")
        run.end(seconds=SECONDS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Follower(threading.Thread):
    """Always has a request under way for what is newer than what it has, as clients of a long poll do."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.seen, self.failure, self.ended = port, [], None, False
        self.start()

    def run(self):
        since = None
        while not self.ended:
            try:
                status, modified, again, body = get(self.port, since)
            except (OSError, http.client.HTTPException):
                time.sleep(0.01)        # it is not there
                continue
            if status == 503 and again:
                continue
            if status != 200:
                self.failure = f"status {status}"
                return
            self.seen.append(body)
            since = modified


def kill_server(run):
    pids = []
    wait_until(lambda: pids.append(run.pid_of("http")) or pids[-1], "there is a server")
    kill(pids[-1], signal.SIGKILL)


def loses_nothing(s):
    """Whether the server is killed before a change, after it, or both: everybody gets to know it."""
    port = free_port()
    replace(s.at("news"), "0")
    with Run(s, "--tmp-prefix", "--converger-timeout=0", program(s, port)) as run:
        run.wait_converged()
        followers = [Follower(port) for _ in range(50)]
        for n in range(1, 13):
            wait_until(lambda: all(f.seen and f.seen[-1] == str(n - 1) for f in followers) or any(f.failure for f in followers),
                       f"all have {n - 1}")
            if n % 3 != 0:
                kill_server(run)
            replace(s.at("news"), str(n))
            if n % 3 != 1:
                kill_server(run)
        wait_until(lambda: all(f.seen[-1] == "12" for f in followers) or any(f.failure for f in followers), "all have the last one")
        for f in followers:
            f.ended = True
            check_equal(f.failure, None, "what went wrong")
            check_equal(f.seen, sorted(f.seen, key=int), "order")
        run.end(seconds=SECONDS)


main(serves_thousands_at_once, loses_nothing)
