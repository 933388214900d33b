#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""http:server with a certificate, and with clients that must say who they are."""

import base64
import http.client
import os
import shutil
import socket
import ssl
import sys

sys.dont_write_bytecode = True
from harness import SECONDS, Run, check, check_equal, main, read, wait_until, write
from ports import own_port

TLS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tls")  # two certificates of our own making, for 127.0.0.1


def connect(port, trusted):
    context = ssl.create_default_context(cafile=os.path.join(TLS, trusted + ".crt"))
    c = http.client.HTTPSConnection("127.0.0.1", port, timeout=SECONDS, context=context)
    c.connect()
    return c


def get(c, path="/text", **headers):
    c.request("GET", path, headers=headers)
    a = c.getresponse()
    return a.status, a.read()


def is_certified(port, name):
    try:
        connect(port, name).close()
        return True
    except ssl.SSLError:
        return False


def install(s, name, parts=("crt", "key")):
    for part in parts:
        shutil.copy(os.path.join(TLS, f"{name}.{part}"), s.at("new"))
        os.rename(s.at("new"), s.at(part))


def program(s, port, more=""):
    return s.program(f"""
        http:server "127.0.0.1:{port}" {{
                certificate => "$SCRATCH/crt",
                key => "$SCRATCH/key",
                root => "$SCRATCH/",
        }}
        http:server:file "/text" {{ data => "hello", }}
        http:server:file "/news" {{ path => "$SCRATCH/news", longpoll => true, }}
        {more}
    """)


def speaks_tls(s):
    """Files of any size, ranges and long poll, as without; who does not speak TLS gets nothing."""
    port = own_port()
    install(s, "a")
    big = os.urandom(5 << 20)
    with open(s.at("big"), "wb") as f:
        f.write(big)
    write(s.at("news"), "old")
    with Run(s, "--tmp-prefix", "--converger-timeout=0", program(s, port)) as run:
        run.wait_converged()
        c = connect(port, "a")
        check(c.sock.version() in ("TLSv1.2", "TLSv1.3"), c.sock.version())
        check_equal(get(c), (200, b"hello"), "a text")
        check(get(c, "/big") == (200, big), "a big file is another")
        check_equal(get(c, "/big", Range="bytes=4000000-4000009"), (206, big[4000000:4000010]), "a range")
        c.request("GET", "/news")
        a = c.getresponse()
        modified = a.getheader("Last-Modified")
        check_equal(a.read(), b"old", "the news")
        c.request("GET", "/news", headers={"If-Modified-Since": modified})
        get(connect(port, "a"))
        write(s.at("news.new"), "new")
        os.rename(s.at("news.new"), s.at("news"))
        check_equal(c.getresponse().read(), b"new", "the news")
        check(not is_certified(port, "b"), "it has another certificate")
        plain = socket.create_connection(("127.0.0.1", port), SECONDS)
        plain.sendall(b"GET /text HTTP/1.1\r\nHost: a\r\n\r\n")
        try:
            check(b"hello" not in plain.recv(65536), "it answers without TLS")
        except ConnectionError:
            pass
        for _ in range(50):             # who leaves in the middle of a handshake leaves nothing behind
            with socket.create_connection(("127.0.0.1", port), SECONDS) as half:
                half.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        check_equal(get(c), (200, b"hello"), "a text")
        run.end()
    s.check_clean()


def reads_new_certificates(s):
    """A changed certificate counts at once for new connections; the old ones go on; a broken one changes nothing."""
    port = own_port()
    install(s, "a")
    with Run(s, "--tmp-prefix", "--converger-timeout=0", program(s, port)) as run:
        run.wait_converged()
        c = connect(port, "a")
        check_equal(get(c), (200, b"hello"), "a text")
        install(s, "b")
        wait_until(lambda: is_certified(port, "b"), "the new certificate")
        check(not is_certified(port, "a"), "the old one is still used")
        check_equal(get(c), (200, b"hello"), "a text on the old connection")
        install(s, "a", ["crt"])        # whose key it has not
        log = run.wait_event("a complaint", type="log", kind="http:server")
        check("the certificate from before stays in force: the key in" in log["text"], log["text"])
        check(is_certified(port, "b"), "it has lost its certificate")
        install(s, "a", ["key"])
        wait_until(lambda: is_certified(port, "a"), "both of them are new")
        run.end()
        check("PRIVATE" not in "".join(str(e) for e in run.events), "the key is told")


def waits_for_its_certificate(s):
    """A certificate that the program makes itself is waited for."""
    port = own_port()
    more = "\n".join(f'file "$SCRATCH/{part}" {{ state => "exists", content => "{read(os.path.join(TLS, "a." + part))}", }}' for part in ("crt", "key"))
    more += f'\nFile["$SCRATCH/crt"] -> Http:Server["127.0.0.1:{port}"]\nFile["$SCRATCH/key"] -> Http:Server["127.0.0.1:{port}"]'
    with Run(s, "--tmp-prefix", "--converger-timeout=0", program(s, port, more)) as run:
        run.wait_converged()
        check_equal(get(connect(port, "a")), (200, b"hello"), "a text")
        run.end()


def lets_in_who_may(s):
    """By name and password, or by a token; neither is ever told."""
    port = own_port()
    with Run(s, "--tmp-prefix", "--converger-timeout=0", s.program(f"""
            http:server "127.0.0.1:{port}" {{ user => "me", password => "se:cret", token => "to-ken", }}
            http:server:file "/text" {{ data => "hello", }}
            http:server:flag "/flag" {{ key => "a", }}
        """)) as run:
        run.wait_converged()

        def ask(authorization, path="/text", method="GET", body=None):
            c = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
            c.request(method, path, body, {"Authorization": authorization} if authorization else {})
            return c.getresponse()

        def basic(text):
            return "Basic " + base64.b64encode(text.encode()).decode()

        for good in (basic("me:se:cret"), "Bearer to-ken"):
            check_equal(ask(good).status, 200, good)
        for wrong in (None, basic("me:se:cre"), basic("you:se:cret"), basic("me"), "Bearer to-kem", "Bearer se:cret", basic("me:to-ken")):
            a = ask(wrong)
            check_equal(a.status, 401, wrong)
            check_equal(a.headers.get_all("WWW-Authenticate"), ['Basic realm="mgmt", charset="UTF-8"', 'Bearer realm="mgmt"'], "challenges")
        check_equal(ask(None, "/flag", "POST", b"a=1").status, 401, "a flag")
        check_equal(ask(None, "/nothing").status, 401, "nothing")
        run.end()
        said = "".join(str(e) for e in run.events)
        check("cret" not in said and "ken" not in said, "a secret is told")
    s.check_clean()


main(speaks_tls, reads_new_certificates, waits_for_its_certificate, lets_in_who_may)
