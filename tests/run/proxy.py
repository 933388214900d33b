#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""http:server:proxy, between clients and a server that does as the test says."""

import http.client
import os
import queue
import socket
import sys
import threading
import time

sys.dont_write_bytecode = True
from harness import SECONDS, Run, check, check_equal, main, wait_until
from ports import own_port
from scripted import Server

OLD = "Sun, 09 Sep 2001 01:46:40 GMT"
BIG = bytes(range(256)) * 40000                 # more than fits between the ends


class Asked:
    """One request of a client, in the background."""

    def __init__(self, port, path, method="GET", **headers):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
        self.status = self.body = self.answer = self.failure = None
        self.thread = threading.Thread(target=self.run, args=(method, path, headers), daemon=True)
        self.thread.start()

    def run(self, method, path, headers):
        try:
            self.connection.request(method, path, headers=headers)
            self.answer = self.connection.getresponse()
            self.status = self.answer.status
            self.body = self.answer.read()
        except (OSError, http.client.HTTPException) as e:
            self.failure = e

    def end(self):
        self.thread.join(SECONDS)
        check(not self.thread.is_alive(), "the client got no answer")
        return self.status, self.body


def content(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return None


class Stage:
    """A server of ours with a proxy for another one."""

    def __init__(self, s, more='cache => "$SCRATCH/cache/",', head=True, who=""):
        self.s, self.server, self.port = s, Server(), own_port()
        up = f'head => "http://{who}127.0.0.1:{self.server.port}/pub/",' if head else ""
        self.run = Run(s, "--tmp-prefix", "--converger-timeout=0", s.program(f"""
            http:server "127.0.0.1:{self.port}" {{}}
            http:server:proxy "/distro/7/" {{
                    sub => "/distro/",
                    {up}
                    {more}
            }}
        """))
        self.run.wait_converged()

    def ask(self, path="/distro/7/a/b.txt", method="GET", **headers):
        return Asked(self.port, path, method, **headers)

    def hang_up_until_end(self, client):
        """On whoever asks upstream, until the client has its answer."""
        deadline = time.monotonic() + SECONDS
        while client.thread.is_alive() and time.monotonic() < deadline:
            try:
                self.server.requests.get(timeout=0.02).hang_up()
            except queue.Empty:
                pass

    def cached(self, path="a/b.txt"):
        return content(self.s.at("cache/" + path))

    def __enter__(self):
        self.run.__enter__()
        return self

    def __exit__(self, *why):
        self.run.__exit__(*why)
        self.server.close()


def fetches_once(s):
    """What was fetched is kept, and served from there: with its date, conditions, and ranges."""
    with Stage(s) as t:
        client = t.ask(If_Modified_Since=OLD, Cookie="secret")
        q = t.server.take("upstream")
        check_equal((q.method, q.path, q.headers["Cookie"], q.headers["If-Modified-Since"]), ("GET", "/pub/7/a/b.txt", None, None), "request")
        q.answer(200, b"0123456789", Last_Modified=OLD)
        check_equal(client.end(), (200, b"0123456789"), "answer")
        got = {h: client.answer.headers[h] for h in ("Last-Modified", "Content-Length", "Content-Type")}
        check_equal(got, {"Last-Modified": OLD, "Content-Length": "10", "Content-Type": "text/plain; charset=utf-8"}, "headers")
        wait_until(lambda: t.cached() == b"0123456789", "it is in the cache")
        check_equal(os.stat(s.at("cache/a/b.txt")).st_mtime, 1000000000, "time of modification")
        check_equal(os.stat(s.at("cache/a")).st_mode & 0o777, 0o700, "mode of the directory")
        check_equal(t.ask(Range="bytes=2-3").end(), (206, b"23"), "a range")
        check_equal(t.ask(**{"If-Modified-Since": OLD}).end(), (304, b""), "with a condition")
        check_equal(t.ask(method="HEAD").end(), (200, b""), "HEAD")
        check(t.server.requests.empty(), "asked again upstream")
        t.run.end()
    s.check_clean()


def says_what_is_not_there(s):
    """Other methods, other paths, and what the other server has not."""
    with Stage(s) as t:
        check_equal(t.ask(method="POST").end()[0], 405, "status of POST")
        for path in ("/distro/7/", "/distro/7/a/", "/distro/other/x", "/other"):
            check_equal(t.ask(path).end()[0], 404, f"status of {path}")
        for status in (404, 403, 500, 204):
            client = t.ask()
            t.server.take("upstream").answer(status, b"" if status == 204 else b"no")
            check_equal(client.end()[0], 404, f"status after {status}")
        client = t.ask()
        t.server.take("upstream").hang_up()
        t.hang_up_until_end(client)             # on an old connection that may have been an accident, so it asks again
        check_equal(client.end()[0], 500, "status after nothing")
        os.makedirs(s.at("cache/a/dir"))
        check_equal(t.cached(), None, "the cache")
        client = t.ask("/distro/7/a/x%20y%3f")
        q = t.server.take("upstream")
        check_equal(q.path, "/pub/7/a/x%20y%3F", "path")
        q.answer(200, b"odd")
        check_equal(client.end(), (200, b"odd"), "answer")
        t.run.end()


def keeps_the_password_to_itself(s):
    """Who asks the other server is in no log."""
    with Stage(s, who="james:secret@") as t:
        client = t.ask()
        q = t.server.take("upstream")
        check_equal(q.headers["Authorization"], "Basic amFtZXM6c2VjcmV0", "who asks")
        q.hang_up()
        check_equal(client.end()[0], 500, "status after nothing")
        log = t.run.wait_event("a complaint", type="log", kind="http:server:proxy")
        check(f"'http://127.0.0.1:{t.server.port}/pub/7/a/b.txt'" in log["text"], log["text"])
        t.run.end()


def asks_for_heads(s):
    """HEAD leaves the cache alone."""
    with Stage(s) as t:
        client = t.ask(method="HEAD")
        q = t.server.take("upstream")
        check_equal(q.method, "HEAD", "method")
        q.answer(200, b"12345", Last_Modified=OLD)
        check_equal(client.end(), (200, b""), "answer")
        check_equal((client.answer.headers["Content-Length"], client.answer.headers["Last-Modified"]), ("5", OLD), "headers")
        check_equal(t.cached(), None, "the cache")
        client = t.ask()
        t.server.take("upstream").answer(200, b"")
        check_equal(client.end(), (200, b""), "an empty one")
        wait_until(lambda: t.cached() == b"", "it is in the cache")
        t.run.end()


def keeps_whole_files_only(s):
    """A transfer that breaks off is seen by the client, and not kept; the next one is."""
    with Stage(s) as t:
        client = t.ask()
        t.server.take("upstream").answer(200, b"half", Content_Length="8", Connection="close")
        client.end()
        check(isinstance(client.failure, http.client.IncompleteRead), f"the client saw {client.failure!r}")
        wait_until(lambda: os.listdir(s.at("cache/a")) == [], "nothing is left in the cache")
        client = t.ask()
        t.server.take("upstream").answer(200, b"complete")
        check_equal(client.end(), (200, b"complete"), "answer")
        wait_until(lambda: t.cached() == b"complete", "it is in the cache")
        t.run.end()


def goes_on_where_it_broke_off(s):
    """Of a file with a date, only what is missing is asked for; if it is another file by then, the client sees that it is not whole."""
    with Stage(s) as t:
        client = t.ask()
        t.server.take("upstream").answer(200, b"0123", Content_Length="10", Last_Modified=OLD, Connection="close")
        q = t.server.take("the rest")
        check_equal((q.headers["Range"], q.headers["If-Range"]), ("bytes=4-", OLD), "headers")
        q.answer(206, b"45", Content_Length="6", Content_Range="bytes 4-9/10", Last_Modified=OLD, Connection="close")
        q = t.server.take("the rest of that")
        check_equal(q.headers["Range"], "bytes=6-", "header")
        q.answer(206, b"6789", Content_Range="bytes 6-9/10", Last_Modified=OLD)
        check_equal(client.end(), (200, b"0123456789"), "answer")
        wait_until(lambda: t.cached() == b"0123456789", "it is in the cache")
        for status, headers in ((200, {}), (206, {"Content_Range": "bytes 3-9/10"}), (416, {})):
            client = t.ask("/distro/7/a/other")
            t.server.take("upstream").answer(200, b"0123", Content_Length="10", Last_Modified=OLD, Connection="close")
            t.server.take("the rest").answer(status, b"xxxxxxxxxx", **headers)
            client.end()
            check(isinstance(client.failure, http.client.IncompleteRead), f"the client saw {client.failure!r}")
            check_equal(t.cached("a/other"), None, "the cache")
        t.run.end()


def serves_many_at_once(s):
    """Clients that ask for a file that is on its way do not wait for each other, however slow one of them is."""
    with Stage(s) as t:
        slow = socket.create_connection(("127.0.0.1", t.port), SECONDS)
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 * 1024)
        slow.sendall(b"GET /distro/7/a/b.txt HTTP/1.1\r\nHost: a\r\n\r\n")
        t.server.take("for the slow one").answer(200, BIG)
        clients = [t.ask() for _ in range(5)]
        for _ in clients:
            t.server.take("for the others").answer(200, BIG)
        for c in clients:
            check(c.end() == (200, BIG), "what one of them got is something else")
        check_equal(t.cached(), None, "the cache")      # the slow one writes it, and is not through
        got = 0
        while got < len(BIG):
            n = len(slow.recv(1 << 20))
            check(n > 0, f"the slow one was hung up on after {got} bytes")
            got += n
        wait_until(lambda: t.cached() == BIG, "it is in the cache")
        slow.close()

        # a client that leaves takes its request upstream with it, and what it would have kept
        gone = t.ask("/distro/7/gone")
        q = t.server.take("for one that leaves")
        gone.connection.sock.shutdown(socket.SHUT_RDWR)
        q.answer(200, BIG)
        wait_until(lambda: "gone" not in "".join(os.listdir(s.at("cache"))), "nothing of it is left")
        check_equal(t.ask().end()[0], 200, "status of another")
        t.run.end()
    s.check_clean()


def leaves_with_its_client(s):
    """Whoever does not want to wait any longer for the other server takes its request there along."""
    with Stage(s) as t:
        waiting = []
        for n in range(280):            # more than may be under way at a time
            client = socket.create_connection(("127.0.0.1", t.port), SECONDS)
            client.sendall(f"GET /distro/7/{n} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            waiting.append(t.server.take("upstream"))
            client.close()
        client = t.ask()
        q = t.server.take("upstream, for one that stays")
        q.answer(200, b"served")
        check_equal(client.end(), (200, b"served"), "answer")
        for q in waiting:
            q.hang_up()
        t.run.end()
    s.check_clean()


def keeps_no_more_than_allowed(s):
    """Files that were asked for longest ago make room for others; one that is too large is passed on, and not kept."""
    with Stage(s, more='cache => "$SCRATCH/cache/", cache_files => 8, cache_size => 1000,') as t:
        def kept():
            return {name for _, _, names in os.walk(s.at("cache")) for name in names}

        for n in range(30):
            client = t.ask(f"/distro/7/d{n % 3}/f{n}")
            t.server.take("upstream").answer(200, b"x" * 50)
            check_equal(client.end(), (200, b"x" * 50), "answer")
            wait_until(lambda: len(kept()) <= 8, "no more than eight are kept")
        wait_until(lambda: "f29" in kept(), "the last one is kept")
        check(len(kept()) >= 5, f"only these are kept: {kept()}")
        check_equal(t.ask("/distro/7/d2/f29").end(), (200, b"x" * 50), "answer from the cache")
        client = t.ask("/distro/7/large")
        t.server.take("upstream").answer(200, b"y" * 1001)
        check_equal(client.end(), (200, b"y" * 1001), "a large one")
        check("large" not in kept(), f"these are kept: {kept()}")
        check(t.server.requests.empty(), "asked again upstream")
        t.run.end()
    s.check_clean()


def works_without_either(s):
    """Without a cache all is fetched; without another server all is in the cache."""
    with Stage(s, more="") as t:
        for n in range(3):
            client = t.ask()
            t.server.take("upstream").answer(200, b"%d" % n)
            check_equal(client.end(), (200, b"%d" % n), "answer")
        t.run.end()
    os.makedirs(s.at("cache/a"))
    with open(s.at("cache/a/b.txt"), "wb") as f:
        f.write(b"kept")
    with Stage(s, head=False) as t:
        check_equal(t.ask().end(), (200, b"kept"), "answer")
        check_equal(t.ask("/distro/7/other").end()[0], 500, "status of what is not there")
        os.symlink("/etc/passwd", s.at("cache/a/link"))
        check_equal(t.ask("/distro/7/a/link").end()[0], 500, "status of a link that leads out")
        t.run.end()


main(fetches_once, says_what_is_not_there, keeps_the_password_to_itself, asks_for_heads, keeps_whole_files_only,
     goes_on_where_it_broke_off, serves_many_at_once, leaves_with_its_client, keeps_no_more_than_allowed, works_without_either)
