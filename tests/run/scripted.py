# SPDX-License-Identifier: GPL-3.0-or-later
"""A web server whose answers a test writes down, one after the other; it remembers what it was asked."""

import queue

from harness import SECONDS, Failed
from web import Web


class Server(Web):
    """The requests are in a queue; whoever takes one answers it, or leaves it waiting."""

    def __init__(self, port=0, context=None):
        self.requests = queue.Queue()
        super().__init__(port, context)
        self.url = f"http://127.0.0.1:{self.port}"

    def reply(self, *what):
        request = Request(*what)
        self.requests.put(request)
        return request.answers.get()

    def take(self, what, seconds=SECONDS):
        try:
            return self.requests.get(timeout=seconds)
        except queue.Empty:
            raise Failed(f"nobody asked: {what}") from None


class Request:
    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body = method, path, headers, body
        self.answers = queue.Queue()

    def answer(self, status, body=b"", **headers):
        self.answers.put((status, body, {k.replace("_", "-"): v for k, v in headers.items()}))

    def hang_up(self):
        self.answers.put(None)
