#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""mgmtctl run: a web server whose program changes while clients are connected."""

import http.client
import sys
import threading

sys.dont_write_bytecode = True
from harness import SECONDS, Run, check, check_equal, main, wait_until
from ports import own_port

PORT = own_port()


def program(n):
    """Number n serves its number, and one file more than the one before."""
    files = "".join(f'http:server:file "/more/{i}" {{ data => "{i}", }}\n' for i in range(n))
    return f'http:server "127.0.0.1:{PORT}" {{}}\nhttp:server:file "/number" {{ data => "{n}", }}\n{files}'


class Client(threading.Thread):
    """Asks for the number again and again, over one connection."""

    def __init__(self):
        super().__init__(daemon=True)
        self.connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=SECONDS)
        self.connection.connect()
        self.socket = self.connection.sock
        self.seen, self.n, self.failure, self.ended = [], 0, None, False

    def get(self, path):
        self.connection.request("GET", path)
        answer = self.connection.getresponse()
        return answer.status, answer.read().decode()

    def run(self):
        try:
            while not self.ended:
                answer = self.get("/number")
                self.n += 1
                if answer not in self.seen:
                    self.seen.append(answer)
        except (OSError, http.client.HTTPException) as e:
            self.failure = e


def changes_without_a_gap(s):
    """The program changes five times; no client loses its connection or gets an error."""
    with Run(s, "--tmp-prefix", "--converger-timeout=0", s.program(program(0))) as run:
        run.wait_converged()
        client = Client()
        client.start()
        wait_until(lambda: client.seen or client.failure, "the first is served")
        for n in range(1, 6):
            done = s.ctl("deploy", s.program(program(n)), MGMT_BUS_ADDRESS=run.bus())
            check_equal((done.returncode, done.stderr), (0, ""), "status and stderr of deploy")
            wait_until(lambda: (200, str(n)) in client.seen or client.failure, f"number {n} is served")
        client.ended = True
        client.join(SECONDS)
        check_equal(client.failure, None, "what went wrong")
        check_equal(client.seen, [(200, str(n)) for n in range(6)], "what was served")
        check_equal(client.get("/more/4"), (200, "4"), "the newest file")
        check(client.connection.sock is client.socket, "the connection is another")
        print(f"# {client.n} requests over one connection")
        run.end()
    s.check_clean()


main(changes_without_a_gap)
