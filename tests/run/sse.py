# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of server-sent events."""

import http.client
import json

from harness import SECONDS, check, check_equal


class Events:
    """The stream of events, as it comes; what was waited past is in seen."""

    def __init__(self, port, path):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
        self.connection.request("GET", path)
        self.answer = self.connection.getresponse()
        check_equal(self.answer.status, 200, "status of the events")
        self.seen = []

    def wait(self, kind, condition=lambda data: True):
        """The next event of a kind for which the condition holds."""
        event = None
        while True:
            line = self.answer.readline().decode()
            check(line, f"the stream ended before an event '{kind}'")
            line = line.rstrip("\n")
            if line.startswith("event: "):
                event = line[7:]
            elif line.startswith("data: "):
                data = json.loads(line[6:])
                self.seen.append((event, data))
                if event == kind and condition(data):
                    return data
