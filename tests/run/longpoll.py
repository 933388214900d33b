#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""http:server:file with long poll: many clients that wait, and what they miss while the server is not there (nothing)."""

import http.client
import json
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
from ports import own_port

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


class Share:
    """A part of the crowd, in a process of its own: clients that have sent a request, and wait."""

    def __init__(self, port, n):
        self.port, self.selector, self.sockets, self.answers = port, selectors.DefaultSelector(), [None] * n, {}

    def connect(self, i):
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                c = socket.create_connection(("127.0.0.1", self.port), SECONDS)
                break
            except ConnectionError:     # it is not there
                check(time.monotonic() < deadline, "nobody listens")
                time.sleep(0.01)
        self.sockets[i] = c
        self.selector.register(c, selectors.EVENT_READ, i)

    def drop(self, i):
        self.selector.unregister(self.sockets[i])
        self.sockets[i].close()
        self.sockets[i] = None

    def ask(self, since):
        """Each of them, on the connection that it has; without an answer yet."""
        self.answers = {}
        request = f"GET /news HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: {since}\r\n\r\n".encode()
        for i in range(len(self.sockets)):
            if not self.sockets[i]:
                self.connect(i)
            self.sockets[i].sendall(request)

    def look(self, seconds):
        """What has come; those whose server has gone are without a connection then."""
        for key, _ in self.selector.select(seconds):
            try:
                data = key.fileobj.recv(65536)
            except ConnectionResetError:
                data = b""
            if data:
                self.answers[key.data] = self.answers.get(key.data, b"") + data
            else:
                self.drop(key.data)

    def gather(self, since, end):
        """Until all are answered by what ends so; whoever loses the connection asks again. Answers that are not one of these."""
        deadline = time.monotonic() + 2 * SECONDS
        while len(self.answers) < len(self.sockets) and time.monotonic() < deadline:
            self.look(0.05)
            for i, c in enumerate(self.sockets):
                if not c and i not in self.answers:
                    self.connect(i)
                    try:
                        self.sockets[i].sendall(f"GET /news HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: {since}\r\n\r\n".encode())
                    except ConnectionError:     # it was about to die
                        self.drop(i)
        self.look(0.2)
        return [self.answers.get(i, b"").decode() for i in range(len(self.sockets))
                if not ((a := self.answers.get(i, b"")).startswith(b"HTTP/1.1 200 ") and a.endswith(b"\r\n\r\n" + end.encode()) and a.count(b"HTTP/") == 1)]

    def serve(self, orders, says):
        for line in orders:
            what, *arguments = json.loads(line)
            says.write(json.dumps(getattr(self, what)(*arguments)) + "\n")
            says.flush()


class Crowd:
    """Clients that wait, in as many processes as it takes: one may not open enough files."""

    def __init__(self, port, n, processes=4):
        self.n, self.ends = n, []
        for i in range(processes):
            orders, says = os.pipe(), os.pipe()
            if os.fork() == 0:
                try:
                    signal.alarm(6 * SECONDS)
                    for end in self.ends:       # so that the others see when there are no more orders
                        end[0].close()
                    os.close(orders[1])
                    Share(port, n // processes).serve(os.fdopen(orders[0]), os.fdopen(says[1], "w"))
                finally:
                    os._exit(1)
            os.close(orders[0])
            os.close(says[1])
            self.ends.append((os.fdopen(orders[1], "w"), os.fdopen(says[0])))

    def order(self, *what):
        for orders, _ in self.ends:
            orders.write(json.dumps(what) + "\n")
            orders.flush()

    def heard(self):
        lines = [says.readline() for _, says in self.ends]
        check(all(lines), "a part of the clients has died")
        return [json.loads(line) for line in lines]

    def ask(self, since):
        self.order("ask", since)
        self.heard()

    def check_gathered(self):
        bad = sum(self.heard(), [])
        check(not bad, f"{len(bad)} of {self.n} did not get what they should, but for example {bad[:1]}")

    def close(self):
        for orders, says in self.ends:
            orders.close()
            says.close()
        for _ in self.ends:
            os.wait()


def many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < CLIENTS * 8 // 5:
        raise Skipped(f"only {hard} files may be open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft, hard


def last_is_served(port):
    """The newest connection is served after all others were read."""
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    c.request("GET", "/nothing")
    check_equal(c.getresponse().status, 404, "status")
    c.close()


def serves_thousands_at_once(s):
    """Ten thousand clients wait, and one change answers each of them, once, also if the server dies; the engine has other things to do."""
    limits, n, port = many_files(), CLIENTS, own_port()
    replace(s.at("news"), "old")
    with Run(s, "--tmp-prefix", "--converger-timeout=0", program(s, port)) as run:
        run.wait_converged()
        status, modified, _, body = get(port)
        check_equal((status, body), (200, "old"), "the answer to the first one")
        pid, before = run.pid_of("http"), resident(run.pid_of("http"))
        crowd = Crowd(port, n)
        crowd.ask(modified)
        last_is_served(port)
        waiting = resident(pid) - before

        crowd.order("gather", modified, "new")
        replace(s.at("news"), "new")
        os.unlink(s.at("other"))
        start = time.monotonic()
        repaired = wait_until(lambda: read(s.at("other")) == "as it should be\n", "the file is repaired")
        crowd.check_gathered()
        print(f"# {n} clients: {waiting / n:.0f} bytes each while they wait, all served within {time.monotonic() - start:.2f} s; meanwhile a file "
              f"was repaired in {repaired:.2f} s")
        status, newer, _, body = get(port)
        check_equal((status, body), (200, "new"), "the answer to a new one")
        check(newer != modified, "the new content has the date of the old one")
        check(waiting < n * 24 * 1024, f"{waiting / MIB:.0f} MiB for {n} clients")

        crowd.ask(newer)                # on the connections that they have
        last_is_served(port)
        crowd.order("gather", newer, "newest")
        start = time.monotonic()
        kill(pid, signal.SIGKILL)
        replace(s.at("news"), "newest")
        crowd.check_gathered()
        print(f"# {n} clients were told within {time.monotonic() - start:.2f} s although the server died before the change")
        crowd.close()
        pid = run.pid_of("http")
        wait_until(lambda: resident(pid) < before + 24 * MIB, "memory is as before")
        run.end()
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


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
    port = own_port()
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
        run.end()


main(serves_thousands_at_once, loses_nothing)
