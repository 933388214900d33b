# SPDX-License-Identifier: GPL-3.0-or-later
"""A web server for tests, on the loopback: who derives from it says what is answered."""

import http.server
import threading


class Web:
    def __init__(self, port=0, context=None):
        """context: of TLS, or None."""
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                size = int(self.headers.get("Content-Length") or 0)
                answer = outer.reply(self.command, self.path, self.headers, self.rfile.read(size))
                if answer is None:
                    self.close_connection = True
                    return
                status, body, headers = answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD" and status != 304:
                    self.wfile.write(body)

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_any

            def log_message(self, *_):
                pass

        class Threads(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *_):         # a client that went away
                pass

        self.http = Threads(("127.0.0.1", port), Handler)
        self.port = self.http.server_address[1]
        if context:
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def reply(self, method, path, headers, body):
        """In a thread of its own: status, body and headers; or None, to hang up."""
        raise NotImplementedError

    def close(self):
        self.http.shutdown()
        self.http.server_close()
