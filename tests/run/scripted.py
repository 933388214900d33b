# SPDX-License-Identifier: GPL-3.0-or-later
"""A web server whose answers a test writes down, one after the other; it remembers what it was asked."""

import http.server
import queue
import socket
import threading

from harness import SECONDS, Failed


class Server:
    """The requests are in a queue; whoever takes one answers it, or leaves it waiting."""

    def __init__(self, port=0):
        self.requests = queue.Queue()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                size = int(self.headers.get("Content-Length") or 0)
                request = Request(self.command, self.path, self.headers, self.rfile.read(size))
                outer.requests.put(request)
                answer = request.answers.get()
                if answer is None:
                    self.close_connection = True
                    return
                status, headers, body = answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD" and status != 304:
                    self.wfile.write(body)

            do_GET = do_HEAD = do_POST = do_PUT = handle_any

            def log_message(self, *_):
                pass

        class Threads(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):         # a client that went away
                pass

        self.http = Threads(("127.0.0.1", port), Handler)
        self.port = self.http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def take(self, what, seconds=SECONDS):
        try:
            return self.requests.get(timeout=seconds)
        except queue.Empty:
            raise Failed(f"nobody asked: {what}") from None

    def close(self):
        self.http.shutdown()
        self.http.server_close()


class Request:
    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body = method, path, headers, body
        self.answers = queue.Queue()

    def answer(self, status, body=b"", **headers):
        self.answers.put((status, {k.replace("_", "-"): v for k, v in headers.items()}, body))

    def hang_up(self):
        self.answers.put(None)
