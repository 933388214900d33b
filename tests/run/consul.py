#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""consul:kv, against a store that answers as Consul does: each state has a number, and a request that names one is held until the next."""

import json
import os
import ssl
import sys
import threading
import urllib.parse

sys.dont_write_bytecode = True
from harness import Run, check, check_equal, main, wait_until
from ports import own_port
from scripted import Server
from web import Web

TLS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tls")
TOKEN = "4f0c-token"


class Consul(Web):
    """Keys, each with the number of the state in which it was written last. What was asked is remembered; `status` is what all get instead."""

    def __init__(self, port=0, context=None, index=10):
        self.changed = threading.Condition()
        self.keys, self.index, self.status, self.ended = {}, index, None, False
        self.hold = True                        # else those that would be held are refused
        self.asked = []                         # (method, path, index or None, token)
        super().__init__(port, context)

    def close(self):
        """All that are held are hung up on."""
        super().close()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def reply(self, method, path, headers, body):
        path, _, query = path.partition("?")
        query = urllib.parse.parse_qs(query, keep_blank_values=True)
        index = int(query["index"][0]) if "index" in query else None
        key = urllib.parse.unquote(path).removeprefix("/v1/kv/")
        with self.changed:
            self.asked.append((method, path, index, headers["X-Consul-Token"]))
            if index is not None and not self.hold:
                return 429, b"", {}
            if index is not None and "wait" in query:
                self.changed.wait_for(lambda: self.ended or self.status or self.index_of(key) != index)
            if self.ended:
                return None
            if self.status:
                return self.status, b"No cluster leader", {}
            if method == "PUT":
                self.write(key, body)
                return 200, b"true\n", {}
            check("raw" in query, "it is not asked for the bytes")
            value, index = self.keys.get(key, (None, self.index))
            return 404 if value is None else 200, value or b"", {"X-Consul-Index": str(index)}

    def index_of(self, key):
        return self.keys[key][1] if key in self.keys else self.index

    def write(self, key, value):
        """None: it is removed."""
        with self.changed:
            self.index += 1
            if value is None:
                self.keys.pop(key, None)
            else:
                self.keys[key] = (value, self.index)
            self.changed.notify_all()

    def say(self, status):
        """What all are answered with from now on, those that are held included."""
        with self.changed:
            self.status = status
            self.changed.notify_all()

    def value(self, key):
        with self.changed:
            return self.keys.get(key, (None,))[0]

    def wait_value(self, key, value):
        with self.changed:
            wait = self.changed.wait_for(lambda: self.keys.get(key, (None,))[0] == value, 60)
        check(wait, f"{key} is {self.value(key)!r}, not {value!r}")

    def wait_held(self, index):
        """Somebody waits for what comes after this state."""
        wait_until(lambda: any(a[2] == index for a in list(self.asked)), f"nobody waits behind {index}")

    def count(self, method, held=False):
        return len([a for a in list(self.asked) if a[0] == method and (a[2] is not None) == held])


def key(consul, name="a/b", more="", value="hello", meta=""):
    return f'consul:kv "{name}" {{ address => "127.0.0.1:{consul.port}", value => "{value}", {more} {meta} }}\n'


def start(s, program, *arguments):
    return Run(s, "--tmp-prefix", *arguments, s.program(program))


def wait_reason(s, run, resource, text):
    """The resource waits, and says why."""
    wait_until(lambda: text in s.ctl("why", resource, MGMT_BUS_ADDRESS=run.bus()).stdout, f"{resource} says: {text}")


def keeps_a_value(s):
    """What is not there is written, what others write or remove is set right; only Consul gets the token."""
    consul = Consul()
    with start(s, key(consul, more=f'token => "{TOKEN}",')) as run:
        changed = run.wait_event("written", type="changed", kind="consul:kv")
        check("value: " in changed["text"] and "hello" in changed["text"], changed["text"])
        check_equal(consul.value("a/b"), b"hello", "value")
        for other in (b"other", b"", b"hello\0", None):
            consul.wait_held(consul.index)
            consul.write("a/b", other)
            run.wait_event("set right", type="changed", kind="consul:kv")
            check_equal(consul.value("a/b"), b"hello", "value")
        run.end()
        check(TOKEN not in json.dumps(run.events) + run.stderr(), "the token is told")
    check_equal(consul.count("PUT"), 5, "times it was written")
    check_equal({a[3] for a in consul.asked}, {TOKEN}, "tokens")
    consul.close()
    s.check_clean()


def keeps_an_empty_value(s):
    """An empty value is one, and not there is none."""
    consul = Consul()
    with start(s, key(consul, value="")) as run:
        run.wait_event("written", type="changed", kind="consul:kv")
        check_equal(consul.value("a/b"), b"", "value")
        consul.write("a/b", None)
        consul.wait_value("a/b", b"")
        run.end()
    consul.close()


def waits_for_consul(s):
    """One that is not there is waited for, at first and later; another store in its place is looked at anew."""
    port = own_port()
    program = f'consul:kv "http://127.0.0.1:{port}/a/b" {{ value => "hello", }}\n'
    with start(s, program) as run:
        run.wait_event("graph", type="graph")
        wait_reason(s, run, f"consul:kv[http://127.0.0.1:{port}/a/b]", f"Consul at 'http://127.0.0.1:{port}' cannot be asked: ")
        consul = Consul(port, index=1000)
        run.wait_event("written", type="changed", kind="consul:kv")
        consul.wait_held(consul.index)
        consul.close()
        wait_reason(s, run, f"consul:kv[http://127.0.0.1:{port}/a/b]", "cannot be asked: ")
        consul = Consul(port, index=3)
        run.wait_event("written again", type="changed", kind="consul:kv")
        check_equal(consul.value("a/b"), b"hello", "value")
        run.end()
        check(not [e for e in run.events if e.get("state") in ("retrying", "failed")], "it has failed")
    consul.close()


def waits_for_a_leader(s):
    """A cluster without a leader is waited for; a number that becomes smaller is another store, and ends nothing."""
    consul = Consul()
    consul.say(500)
    with start(s, key(consul)) as run:
        def wait_waiting():
            wait_reason(s, run, "consul:kv[a/b]", "cannot be asked: status 500, No cluster leader")
        run.wait_event("graph", type="graph")
        wait_waiting()
        consul.say(None)
        run.wait_event("written", type="changed", kind="consul:kv")
        consul.wait_held(consul.index)
        consul.say(500)
        wait_waiting()
        with consul.changed:
            consul.index = 2
            consul.keys["a/b"] = (b"old", 2)
        consul.say(None)
        run.wait_event("written", type="changed", kind="consul:kv")
        consul.wait_held(3)
        with consul.changed:
            consul.index = 1
            consul.keys["a/b"] = (b"older", 1)
            consul.changed.notify_all()
        run.wait_event("written", type="changed", kind="consul:kv")
        check_equal(consul.value("a/b"), b"hello", "value")
        run.end()
    consul.close()


def says_who_may_not(s):
    """What Consul does not allow is a failure, and so is somebody who is no Consul."""
    consul = Consul()
    with start(s, key(consul, meta="Meta:retry => -1, Meta:delay => 10,")) as run:
        for status, text in ((403, "does not let the key be watched: status 403"), (301, "does not let the key be watched: status 301")):
            consul.say(status)
            error = run.wait_event("an error", type="state", state="retrying", kind="consul:kv")
            while text not in error["text"]:
                error = run.wait_event("an error", type="state", state="retrying", kind="consul:kv")
        consul.say(None)
        run.wait_event("written", type="changed", kind="consul:kv")
        run.end()
    consul.close()
    server = Server()
    with start(s, f'consul:kv "k" {{ address => "127.0.0.1:{server.port}", Meta:poll => 1, Meta:retry => -1, Meta:delay => 10, }}\n') as run:
        for status, body, more, text in (
                (403, b"Permission denied: no 'key:read' on \"k\"\n", {}, "does not let us: status 403, Permission denied: no 'key:read' on"),
                (404, b"", {}, "answers what is not understood: there is no index"),
                (200, b"x", {"X_Consul_Index": "7x"}, "answers what is not understood: there is no index"),
                (200, b"x", {"X_Consul_Index": "0"}, "answers what is not understood: there is no index"),
                (302, b"", {"Location": "http://127.0.0.1:1/"}, "does not do it: status 302"),
                (200, b"x" * (16 * 1024 * 1024 + 1), {"X_Consul_Index": "7"}, "the answer is too long")):
            server.take("the value").answer(status, body, **more)
            error = run.wait_event("an error", type="state", state="retrying", kind="consul:kv")
            check(text in error["text"], error["text"])
        for status, body, text in ((200, b"false", "has not taken the value"),
                                   (413, b"Value exceeds 524288 byte limit", "does not do it: status 413, Value exceeds 524288 byte limit")):
            server.take("the value").answer(404, X_Consul_Index="7")
            q = server.take("it is written")
            check_equal((q.method, q.path, q.body), ("PUT", "/v1/kv/k", b""), "request")
            q.answer(status, body)
            error = run.wait_event("an error", type="state", state="retrying", kind="consul:kv")
            check(text in error["text"], error["text"])
        run.end()
    server.close()


def does_not_wake_for_others(s):
    """A store in which others write is none of the business of a key that is not there."""
    consul = Consul()
    with start(s, key(consul, meta="Meta:noop => true,")) as run:
        run.wait_event("looked at", type="state", state="drifted", kind="consul:kv")
        consul.wait_held(consul.index)
        looked = consul.count("GET")
        for _ in range(3):
            consul.write("other", b"x")
            consul.wait_held(consul.index)
        check_equal(consul.count("GET"), looked, "times it was looked at")
        consul.write("a/b", b"hello")
        run.wait_event("right", type="state", state="ok", kind="consul:kv")
        run.end()
    check_equal(consul.count("PUT"), 0, "times it was written")
    consul.close()


def does_without_a_watch(s):
    """A Consul that holds no more requests is going to be asked now and then."""
    consul = Consul()
    consul.hold = False
    with start(s, key(consul)) as run:
        run.wait_event("written", type="changed", kind="consul:kv")
        log = run.wait_event("a warning", type="log", kind="consul:kv")
        check("does not let the key be watched: status 429; looking at it every 30 seconds" in log["text"], log["text"])
        run.end()
        check(not [e for e in run.events if e.get("state") in ("retrying", "failed")], "it has failed")
    consul.close()


def finds_its_key(s):
    """A key is in the name, or in the field; where Consul is too. A key may have any character."""
    consul = Consul()
    at = f"127.0.0.1:{consul.port}"
    cases = [
        ("plain", f'address => "{at}",', "plain"),
        ("x:y", f'address => "{at}",', "x:y"),
        (f"http://{at}/in/url", "", "in/url"),
        (f"http://{at}/a%20b%3fc%23", "", "a b?c#"),
        (f"http://{at}/folder/", "", "folder/"),
        (f"https://{at}/over/scheme", 'scheme => "http",', "over/scheme"),
        ("http://192.0.2.1:1/over/address", f'address => "{at}",', "over/address"),
        ("http://192.0.2.1:1/not/this", f'address => "{at}", key => "http://but/this",', "http://but/this"),
        ("a", f'address => "{at}", key => "ä %2f+&=;?#\\"",', 'ä %2f+&=;?#"'),
    ]
    names = [n.replace("http://192.0.2.1:1/not/this", "http://192.0.2.1:1/n") for n, _, _ in cases]
    program = "".join(f'consul:kv "{n}" {{ {fields} value => "{i}", }}\n' for i, (n, (_, fields, _)) in enumerate(zip(names, cases)))
    with start(s, program) as run:
        for _ in cases:
            run.wait_event("written", type="changed", kind="consul:kv")
        run.end()
    check_equal({k: v[0].decode() for k, v in consul.keys.items()}, {k: str(i) for i, (_, _, k) in enumerate(cases)}, "keys")
    consul.close()


def wants_a_certificate(s):
    """Over TLS, a Consul that nobody vouches for gets no token."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{TLS}/a.crt", f"{TLS}/a.key")
    consul = Consul(context=context)
    https = 'scheme => "https",'
    for more in ("", f'certificate => "{TLS}/b.crt",'):
        with start(s, key(consul, more=f'{https} token => "{TOKEN}", {more}', meta="Meta:retry => -1,")) as run:
            error = run.wait_event("an error", type="state", state="retrying", kind="consul:kv")
            check(f"Consul at 'https://127.0.0.1:{consul.port}' does not let the key be watched: " in error["text"], error["text"])
            run.end()
    check_equal(consul.asked, [], "what it was asked")
    with start(s, key(consul, more=f'{https} certificate => "{TLS}/a.crt",')) as run:
        run.wait_event("written", type="changed", kind="consul:kv")
        run.end()
    consul.close()


def refuses(s):
    """What makes no sense is seen before anything runs."""
    for name, fields, text in (
            ("/a", "", "key must not begin with a slash, got '/a'"),
            ("a", 'key => "/b",', "key must not begin with a slash, got '/b'"),
            ("http://h//b", "", "key must not begin with a slash, got '/b'"),
            ("http://h", "", "key must be given"),
            ("http://h/", "", "key must be given"),
            ("a/../b", "", "key must not have '.' or '..'"),
            ("a/.", "", "key must not have '.' or '..'"),
            ("http://h/%2e%2e/b", "", "key must not have '.' or '..'"),
            ("http://h/b?c", "", "the name is not of the form"),
            ("http://h/b?c", 'address => "h",', "the name is not of the form"),
            ("http://u:p@h/b", "", "the name is not of the form"),
            ("http:///b", "", "the name is not of the form"),
            ("http://h:0/b", "", "the name is not of the form"),
            ("a", 'scheme => "ftp",', "scheme must be http or https, got 'ftp'"),
            ("a", 'address => "h:x",', "address must be 'HOST:PORT', got 'h:x'"),
            ("a", 'address => "h/x",', "address must be 'HOST:PORT', got 'h/x'"),
            ("a", 'address => "u@h",', "address must be 'HOST:PORT', got 'u@h'"),
            ("a", 'address => "http://h",', "address must be 'HOST:PORT'"),
            ("a", 'address => "h", token => "a\\r\\nb: c",', "token must have neither blanks"),
            ("a", 'address => "h", certificate => "ca.pem",', "certificate must be an absolute path"),
    ):
        done = s.ctl("plan", s.program(f'consul:kv "{name}" {{ {fields} }}'))
        check(done.returncode != 0 and text in done.stderr + done.stdout, f"{name} {fields}: {done.returncode}, {done.stderr}{done.stdout}")


def plans(s):
    """A plan says what would be written, and writes nothing."""
    consul = Consul()
    consul.write("a/b", b"old")
    done = s.ctl("plan", s.program(key(consul)))
    check("hello" in done.stdout and "old" in done.stdout, done.stdout + done.stderr)
    check_equal(consul.count("PUT"), 0, "times it was written")
    consul.close()


main(keeps_a_value, keeps_an_empty_value, waits_for_consul, waits_for_a_leader, says_who_may_not, does_not_wake_for_others, does_without_a_watch,
     finds_its_key, wants_a_certificate, refuses, plans)
