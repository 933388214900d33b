#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""mgmt-http, asked by programs that are not ours (curl, wrk) and by clients that behave badly."""

import filecmp
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from harness import SECONDS, Run, Skipped, check, check_equal, main, read, wait_until
from ports import own_port

MIB = 1024 * 1024
OLD, LATER = "Sun, 09 Sep 2001 01:46:40 GMT", "Sun, 09 Sep 2001 01:46:50 GMT"


class Stage:
    """A server with a big file, a small one, a text, and a file resource for the engine to look after."""

    def __init__(self, s):
        self.s, self.port = s, own_port()
        self.url = f"http://127.0.0.1:{self.port}"
        os.mkdir(s.at("root"))
        piece = random.randbytes(MIB)
        with open(s.at("root/big"), "wb") as f:
            for _ in range(100):
                f.write(piece)
        with open(s.at("root/small.txt"), "wb") as f:
            f.write(b"0123456789" * 100)
        for name in ("big", "small.txt"):
            os.utime(s.at("root/" + name), (1000000000, 1000000000))
        self.run = Run(s, "--tmp-prefix", "--converger-timeout=0", s.program(f"""
            http:server "127.0.0.1:{self.port}" {{ root => "$SCRATCH/root/", }}
            http:server:file "/text" {{ data => "hello", }}
            file "$SCRATCH/other" {{ state => "exists", content => "as it should be", }}
        """))

    def __enter__(self):
        self.run.__enter__()
        self.run.wait_converged()
        self.pid = self.run.pid_of("http")
        return self

    def __exit__(self, *why):
        self.run.__exit__(*why)

    def resident(self):
        with open(f"/proc/{self.pid}/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def repair_seconds(self):
        """How long the engine takes to do its work."""
        os.unlink(self.s.at("other"))
        return wait_until(lambda: read(self.s.at("other")) == "as it should be", "the file is repaired")

    def dial(self):
        c = socket.create_connection(("127.0.0.1", self.port), SECONDS)
        return c

    def check_well(self):
        """It is the same process, and answers."""
        check_equal(self.run.pid_of("http"), self.pid, "its pid")
        c = self.dial()
        c.sendall(b"GET /text HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answer = b""
        while data := c.recv(65536):
            answer += data
        check(answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"hello"), f"it answers {answer!r}")


def need(program):
    if not shutil.which(program):
        raise Skipped(f"no {program}")


def curl(*arguments):
    done = subprocess.run(["curl", "--silent", "--show-error", "--max-time", str(SECONDS * 3), *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=SECONDS * 4)
    check_equal((done.returncode, done.stderr), (0, b""), "status and stderr of curl")
    return done.stdout


def serves_curl(s):
    """curl: a file of 100 MiB, whole and in parts; ranges, conditions, HEAD, and paths that lead nowhere."""
    need("curl")
    with Stage(s) as t:
        got = s.at("got")
        curl("--output", got, t.url + "/big")
        check(filecmp.cmp(got, s.at("root/big"), shallow=False), "the big file is another")
        os.truncate(got, 30 * MIB + 17)
        curl("--continue-at", "-", "--output", got, t.url + "/big")
        check(filecmp.cmp(got, s.at("root/big"), shallow=False), "the big file is another when it was resumed")
        check_equal(curl("--range", "5-14", t.url + "/small.txt"), b"5678901234", "a range")
        check_equal(curl("--range", "-3", t.url + "/small.txt"), b"789", "the end")
        parts = curl("--range", "0-1,998-", t.url + "/small.txt").decode()
        check(re.fullmatch(r"--(\w+)\r\n.*bytes 0-1/1000\r\n.*\r\n\r\n01\r\n--\1\r\n.*bytes 998-999/1000\r\n.*\r\n\r\n89\r\n--\1--\r\n", parts, re.DOTALL),
              f"two ranges: {parts!r}")
        status = ("--output", "/dev/null", "--write-out", "%{http_code} %{size_download}")
        for arguments, want in (
                (["--time-cond", OLD, "/small.txt"], b"304 0"),
                (["--time-cond", "-" + LATER, "/small.txt"], b"200 1000"),
                (["--range", "1000-", "/small.txt"], None),
                (["--head", "/small.txt"], b"200 0"),
                (["--head", "/nothing"], b"404 0"),
                (["--path-as-is", "/../../etc/passwd"], b"301"),
                (["--path-as-is", "/%2e%2e/%2e%2e/etc/passwd"], b"301"),
                (["--location", "--path-as-is", "/../../etc/passwd"], b"404"),
                (["--request", "DELETE", "/small.txt"], b"405"),
                (["--data", "x=y", "/small.txt"], b"405"),
                (["--http1.0", "/small.txt"], b"200 1000")):
            out = curl(*status, *arguments[:-1], t.url + arguments[-1])
            check(out.startswith(want or b"416 "), f"curl {' '.join(arguments)} got {out}")
        head = curl("--head", t.url + "/small.txt").decode()
        for line in ("Content-Length: 1000", "Accept-Ranges: bytes", f"Last-Modified: {OLD}", "Content-Type: text/plain; charset=utf-8"):
            check(line + "\r\n" in head, f"no '{line}' in {head}")
        check_equal(curl(*[x for _ in range(50) for x in (t.url + "/text",)]), b"hello" * 50, "fifty on one connection")
        t.run.end()
    s.check_clean()


def bears_wrk(s):
    """wrk: a thousand connections that ask as fast as they can, without an error; others are served meanwhile."""
    need("wrk")
    with Stage(s) as t:
        before = t.resident()
        wrk = subprocess.Popen(["wrk", "--threads", "1", "--connections", "1000", "--duration", "4s", "--timeout", f"{SECONDS}s", t.url + "/small.txt"],
                               stdout=subprocess.PIPE, text=True)
        worst = 0
        while wrk.poll() is None:
            start = time.monotonic()
            t.check_well()
            worst = max(worst, time.monotonic() - start)
            t.repair_seconds()
        out = wrk.stdout.read()
        check("Socket errors" not in out and "Non-2xx" not in out, out)
        rate = re.search(r"Requests/sec: *([0-9.]+)", out)[1]
        used = t.resident() - before
        print(f"# {rate} requests per second; the slowest of the others took {worst:.2f} s; {used / MIB:.1f} MiB")
        check(used < 64 * MIB, f"{used / MIB:.0f} MiB more than before")
        t.run.end()


def bears_slow_readers(s):
    """Clients that take next to nothing of a big file cost next to nothing, and nobody waits for them."""
    with Stage(s) as t:
        before, slow = t.resident(), []
        for i in range(300):
            c = socket.socket()
            c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            c.connect(("127.0.0.1", t.port))
            c.sendall(b"GET /big HTTP/1.1\r\nHost: a\r\n" + (b"Range: bytes=0-40000000,50000000-90000000\r\n" if i % 2 else b"") + b"\r\n")
            slow.append(c)
        for c in slow:
            check_equal(c.recv(1), b"H", "the first byte")
        for _ in range(20):
            t.check_well()
        t.repair_seconds()
        used = t.resident() - before
        check(used < 32 * MIB, f"{used / MIB:.0f} MiB for {len(slow)} slow readers")
        for c in slow:
            c.close()
        t.check_well()
        t.run.end()


REQUEST = b"POST /text HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n"


def bears_nonsense(s):
    """Requests that break off at any byte, and such in which any byte is another; it never falls silent, nor grows."""
    with Stage(s) as t:
        chance = random.Random(1)
        for i in range(len(REQUEST)):
            c = t.dial()
            try:
                c.sendall(REQUEST[:i])
                c.shutdown(socket.SHUT_WR)
                while c.recv(65536):
                    pass
            except ConnectionError:
                pass
            c.close()
        before = t.resident()
        for _ in range(3000):
            broken = bytearray(REQUEST)
            for _ in range(chance.randrange(1, 5)):
                broken[chance.randrange(len(broken))] = chance.randrange(256)
            c = t.dial()
            try:
                c.sendall(broken)
                c.shutdown(socket.SHUT_WR)
                while c.recv(65536):
                    pass
            except ConnectionError:
                pass
            c.close()
        t.check_well()
        check(t.resident() - before < 8 * MIB, "it has grown")
        for _ in range(200):            # as large as it gets
            c = t.dial()
            try:
                c.sendall(b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 2000 + b"\r\n")
                check(c.recv(65536)[:12] in (b"HTTP/1.1 414", b"HTTP/1.1 431", b"HTTP/1.1 400", b""), "it takes such a thing")
            except ConnectionError:
                pass
            c.close()
        t.check_well()
        t.run.end()
    s.check_clean()


main(serves_curl, bears_wrk, bears_slow_readers, bears_nonsense)
