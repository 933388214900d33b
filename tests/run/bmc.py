#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""bmc:power and bmc:firmware, against a BMC that does as the test says."""

import base64
import json
import os
import ssl
import sys
import threading

sys.dont_write_bytecode = True
from harness import Run, check, check_equal, main, wait_until
from scripted import Server

SYSTEMS = {"Members": [{"@odata.id": "/redfish/v1/Systems/7"}, {"@odata.id": "/redfish/v1/Systems/8"}]}
AUTHORIZATION = "Basic " + base64.b64encode(b"admin:hunter2").decode()


def power(port, state="on", more="", driver="redfish", meta="Meta:poll => 1,"):
    return f"""\
bmc:power "{driver}://admin@127.0.0.1:{port}" {{
        password => "hunter2",
        state => "{state}",
        {more}
        {meta}
}}
"""


def give(request, what, status=200):
    request.answer(status, json.dumps(what).encode() if not isinstance(what, bytes) else what)


def start(s, program, *arguments):
    return Run(s, "--tmp-prefix", "--converger-timeout=0", *arguments, s.program(program))


def take(server, method, path, body=None):
    q = server.take(f"{method} {path}")
    check_equal((q.method, q.path, q.headers["Authorization"]), (method, path, AUTHORIZATION), "request")
    if method == "POST":
        check_equal(q.headers["Content-Type"], "application/json", "type of the body")
        check_equal(json.loads(q.body), body, "body")
    return q


def show(server, state, actions=None):
    """The machine is asked for, and is so."""
    give(take(server, "GET", "/redfish/v1/Systems"), SYSTEMS)
    q = take(server, "GET", "/redfish/v1/Systems/7")
    give(q, {"PowerState": state, **({"Actions": actions} if actions else {})})


def keeps_it_on(s):
    """What is off is turned on, once; what is on its way is left alone."""
    server = Server()
    with start(s, power(server.port)) as run:
        show(server, "Off", {"#ComputerSystem.Reset": {"target": "/reset?it"}})
        give(take(server, "POST", "/reset?it", {"ResetType": "On"}), b"", 204)
        changed = run.wait_event("turned on", type="changed", kind="bmc:power")
        check("state: off -> on" in changed["text"], changed["text"])
        show(server, "PoweringOn")
        show(server, "PoweringOn")
        show(server, "On")
        show(server, "On")
        run.end()
        check_equal(len([e for e in run.events if e["type"] == "changed"]), 1, "changes")
        check("hunter2" not in json.dumps(run.events) + run.stderr(), "the password is told")
    server.close()
    s.check_clean()


def keeps_it_off(s):
    """A machine that does not say where it is reset is reset where machines are; with noop it is left alone."""
    server = Server()
    with start(s, power(server.port, "off")) as run:
        show(server, "On")
        give(take(server, "POST", "/redfish/v1/Systems/7/Actions/ComputerSystem.Reset", {"ResetType": "ForceOff"}), {"ok": True})
        run.wait_event("turned off", type="changed", kind="bmc:power")
        show(server, "Off")
        run.end()
    with start(s, power(server.port, "off", meta="Meta:poll => 1, Meta:noop => true,")) as run:
        for _ in range(2):
            show(server, "On")
        run.wait_event("noop", type="state", state="drifted", kind="bmc:power")
        run.end()
        check(all(q.method == "GET" for q in list(server.requests.queue)), "noop changed it")
    server.close()


def says_what_is_wrong(s):
    """Answers of all sorts of servers: errors that say so, and nothing is changed."""
    server = Server()
    usual = "the BMC at 'http://127.0.0.1:%d' " % server.port
    first = [
        (401, {}, "does not let user 'admin' do that: status 401"),
        (403, b"", "does not let user 'admin' do that: status 403"),
        (500, {}, "answers with status 500"),
        (302, {}, "answers with status 302"),
        (200, b"<html>", "answers what is not understood: it is no JSON"),
        (200, b'{"Members": [', "answers what is not understood: it is no JSON"),
        (200, b'{"a":' * 50 + b"1" + b"}" * 50, "answers what is not understood: it is no JSON"),
        (200, b"", "answers what is not understood: there is no system"),
        (200, [], "answers what is not understood: there is no system"),
        (200, {"Members": {}}, "answers what is not understood: there is no system"),
        (200, {"Members": []}, "answers what is not understood: there is no system"),
        (200, {"Members": [7]}, "answers what is not understood: there is no system"),
        (200, {"Members": [{"@odata.id": "http://127.0.0.1:1/"}]}, "answers what is not understood: there is no system"),
        (200, {"Members": [{"@odata.id": "//127.0.0.1:1/"}]}, "answers what is not understood: there is no system"),
        (200, {"Members": [{"@odata.id": "@127.0.0.1:1/"}]}, "answers what is not understood: there is no system"),
        (200, {"Members": [{"@odata.id": "/a\r\nb"}]}, "answers what is not understood: there is no system"),
        (200, {"Members": [{"@odata.id": "/" + "a" * 2000}]}, "answers what is not understood: there is no system"),
    ]
    second = [
        ({}, "there is no PowerState"),
        ({"PowerState": None}, "there is no PowerState"),
        ({"PowerState": "Off", "Actions": {"#ComputerSystem.Reset": {"target": "http://127.0.0.1:1/"}}},
         "the target of its reset is no path"),
    ]
    with start(s, power(server.port, meta="Meta:poll => 1, Meta:retry => -1, Meta:delay => 10,")) as run:
        def error(text):
            event = run.wait_event("an error", type="state", state="retrying", kind="bmc:power")
            check(usual + text in event["text"], event["text"])

        for status, what, text in first:
            give(take(server, "GET", "/redfish/v1/Systems"), what, status)
            error(text)
        for what, text in second:
            give(take(server, "GET", "/redfish/v1/Systems"), SYSTEMS)
            give(take(server, "GET", "/redfish/v1/Systems/7"), what)
            error("answers what is not understood: " + text)
        show(server, "Off")
        take(server, "POST", "/redfish/v1/Systems/7/Actions/ComputerSystem.Reset", {"ResetType": "On"}).answer(409)
        error("answers with status 409")
        for _ in range(2):              # on an old connection that may have been an accident, so it is asked again
            take(server, "GET", "/redfish/v1/Systems").hang_up()
        event = run.wait_event("an error", type="state", state="retrying", kind="bmc:power")
        check("cannot ask the BMC at 'http://127.0.0.1" in event["text"], event["text"])
        server.take("again").answer(200, b" " * (1024 * 1024 + 1))
        event = run.wait_event("an error", type="state", state="retrying", kind="bmc:power")
        check("cannot ask the BMC at 'http://127.0.0.1" in event["text"], event["text"])
        show(server, "On")
        run.wait_event("it is right in the end", type="state", state="ok", kind="bmc:power")
        run.end()
        check("hunter2" not in json.dumps(run.events) + run.stderr(), "the password is told")
    server.close()


def calls_services(s):
    """A service that takes calls: for all of a rack, so it is told for which machine."""
    server = Server()
    with start(s, power(server.port, driver="rpc", meta="Meta:poll => 1, Meta:retry => -1, Meta:delay => 10,")) as run:
        get = {"id": 1, "host": "127.0.0.1", "method": "getPowerState"}
        put = {"id": 2, "host": "127.0.0.1", "method": "setPowerState", "params": {"state": "on"}}
        give(take(server, "POST", "/", get), {"id": 1, "result": "off"})
        give(take(server, "POST", "/", put), {"id": 2, "result": "ok"})
        run.wait_event("turned on", type="changed", kind="bmc:power")
        give(take(server, "POST", "/", get), {"id": 1, "result": "ON", "error": None})
        for what, text in (({"error": {"code": 1, "message": "no such machine"}}, "says: no such machine"),
                           ({"error": {}}, "says: there is an error"), ({"result": 7}, "there is no result"), ({}, "there is no result")):
            give(take(server, "POST", "/", get), what)
            event = run.wait_event("an error", type="state", state="retrying", kind="bmc:power")
            check(text in event["text"], event["text"])
        give(take(server, "POST", "/", get), {"result": "off"})
        give(take(server, "POST", "/", put), {"error": {"message": "busy"}})
        event = run.wait_event("an error", type="state", state="retrying", kind="bmc:power")
        check("says: busy" in event["text"], event["text"])
        run.end()
    server.close()


def wants_a_certificate(s):
    """Over TLS, a BMC that nobody vouches for gets no password."""
    tls = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tls")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(tls, "a.crt"), os.path.join(tls, "a.key"))
    server = Server(context=context)
    for certificate in ("", f'certificate => "{tls}/b.crt",'):
        with start(s, power(server.port, "on", certificate, "redfishs", "Meta:poll => 1, Meta:retry => -1,")) as run:
            error = run.wait_event("an error", type="state", state="retrying", kind="bmc:power")
            check(f"cannot ask the BMC at 'https://127.0.0.1:{server.port}': " in error["text"], error["text"])
            run.end()
    check(server.requests.empty(), "it was asked")
    with start(s, power(server.port, "on", f'certificate => "{tls}/a.crt",', "gofishs")) as run:
        show(server, "On")
        run.wait_event("right", type="state", state="ok", kind="bmc:power")
        run.end()
    server.close()


def takes_it_from_the_name(s):
    """What is said beside the name counts more than the name; a password in the name only where that is allowed."""
    server = Server()
    with start(s, f"""
        bmc:power "redfish://admin:hunter%32@127.0.0.1:{server.port}" {{ insecure_password => true, state => "on", Meta:poll => 1, }}
    """) as run:
        show(server, "on")
        run.end()
    with start(s, f"""
        bmc:power "rpcs://nobody@bmc.example.com:1" {{
                hostname => "127.0.0.1", port => {server.port}, username => "admin", password => "hunter2", driver => "gofish",
                state => "on", Meta:poll => 1,
        }}
    """) as run:
        show(server, "on")
        run.end()
    server.close()


def refuses(s):
    """What makes no sense is seen before anything runs."""
    for name, fields, text in (
            ("redfish://h", 'state => "on",', "poll"),
            ("redfish://h", 'Meta:poll => 1,', "state must be on or off, got ''"),
            ("redfish://h", 'state => "reset", Meta:poll => 1,', "state must be on or off, got 'reset'"),
            ("rack 7", 'state => "on", Meta:poll => 1,', "hostname must be given"),
            ("rack 7", 'state => "on", hostname => "h", Meta:poll => 1,', "driver must be redfish"),
            ("ipmi://h", 'state => "on", Meta:poll => 1,', "driver must be redfish"),
            ("rpcss://h", 'state => "on", Meta:poll => 1,', "driver must be redfish"),
            ("RPC://h", 'state => "on", Meta:poll => 1,', "driver must be redfish"),
            ("rpc://h/path", 'state => "on", Meta:poll => 1,', "not of the form"),
            ("rpc://h", 'state => "on", hostname => "a/b", Meta:poll => 1,', "hostname must be a name or an address"),
            ("rpc://h", 'state => "on", port => 65536, Meta:poll => 1,', "port must be from"),
            ("rpc://h", 'state => "on", certificate => "ca.pem", Meta:poll => 1,', "certificate must be an absolute path"),
            ("rpc://h:x", 'state => "on", Meta:poll => 1,', "not of the form"),
            ("rpc://a:b@h", 'state => "on", Meta:poll => 1,', "insecure_password is not set"),
    ):
        done = s.ctl("plan", s.program(f'bmc:power "{name}" {{ {fields} }}'))
        check(done.returncode != 0 and text in done.stderr + done.stdout, f"{name} {fields}: {done.returncode}, {done.stderr}{done.stdout}")


# ---- firmware ----

FIRMWARE = b"--x\r\n" + bytes(range(256)) * 1000         # longer than a buffer, and not text
TASK = "/redfish/v1/TaskService/Tasks/5"


def firmware(s, port, more="", meta="Meta:poll => 1,", provider="acme", kept=FIRMWARE):
    path = s.at("bmc.bin")
    with open(path, "wb") as f:
        f.write(kept)
    return f"""\
bmc:firmware "redfish://admin@127.0.0.1:{port}" {{
        password => "hunter2",
        provider => "{provider}",
        file => "{path}",
        version => "1.2.4",
        {more}
        {meta}
}}
"""


def show_version(server, version, root=None):
    """It is asked for its version, and says so."""
    give(take(server, "GET", "/redfish/v1/"),
         {"Managers": {"@odata.id": "/m"}, "UpdateService": {"@odata.id": "/u"}, "Vendor": "ACME, Inc.", **(root or {})})
    give(take(server, "GET", "/m"), {"Members": [{"@odata.id": "/m/1"}]})
    give(take(server, "GET", "/m/1"), {"FirmwareVersion": version, "Manufacturer": "somebody"})


def take_parts(server, path="/push"):
    """The upload, and what is in it."""
    q = server.take(f"POST {path}")
    check_equal((q.method, q.path, q.headers["Authorization"]), ("POST", path, AUTHORIZATION), "request")
    kind, boundary = q.headers["Content-Type"].split("; boundary=")
    check_equal(kind, "multipart/form-data", "type")
    parts = q.body.split(b"--" + boundary.encode())
    check_equal((parts[0], parts[3]), (b"", b"--\r\n"), "beginning and end")
    parameters, content = (part.split(b"\r\n\r\n", 1) for part in parts[1:3])
    check(b'name="UpdateParameters"' in parameters[0] and b'name="UpdateFile"' in content[0], "names of the parts")
    check_equal(json.loads(parameters[1])["Targets"], [], "targets")
    check_equal(content[1], FIRMWARE + b"\r\n", "the file")
    return q


def take_when(server, path, version):
    """The first request for this path; those about the version, before it, are answered."""
    answers = {"/redfish/v1/": {"Managers": {"@odata.id": "/m"}, "UpdateService": {"@odata.id": "/u"}, "Oem": {"A.C.M.E.": {}}},
               "/m": {"Members": [{"@odata.id": "/m/1"}]}, "/m/1": {"FirmwareVersion": version}}
    while True:
        q = server.take(path)
        if q.path == path:
            return q
        give(q, answers[q.path])


def answer_power(server, asked):
    """A machine that is on, asked by whomever and as often as he likes."""
    while (q := server.requests.get()) is not None:
        asked.append(q.path)
        give(q, SYSTEMS if q.path.endswith("Systems") else {"PowerState": "On"})


def updates_firmware(s):
    """A BMC gets a file, once, and is given time; whoever changes the power of the machine keeps out of its way."""
    server, rack, asked = Server(), Server(), []
    machine = f"redfish://admin@127.0.0.1:{rack.port}"
    with start(s, power(rack.port) + firmware(s, server.port, f'block => "{machine}",')) as run:
        first = take(rack, "GET", "/redfish/v1/Systems")
        for _ in range(2):              # as long as the other is busy, it begins anew
            show_version(server, "1.2.3")
        give(first, SYSTEMS)
        threading.Thread(target=answer_power, args=[rack, asked], daemon=True).start()
        q = take_when(server, "/u", "1.2.3")
        before = len(asked)
        give(q, {"ServiceEnabled": True, "MultipartHttpPushUri": "/push", "HttpPushUri": "/plain"})
        give(take_parts(server), {"@odata.id": TASK, "TaskState": "New"}, 202)
        changed = run.wait_event("sent", type="changed", kind="bmc:firmware")
        check("version: 1.2.3 -> 1.2.4" in changed["text"], changed["text"])
        give(take_when(server, TASK, "1.2.3"), {"TaskState": "Running"})
        take(server, "GET", "/redfish/v1/").answer(503)
        take_when(server, TASK, "1.2.3").answer(404)
        show_version(server, "1.2.3")
        check_equal(len(asked), before, "questions about power, meanwhile")
        show_version(server, "1.2.4")
        run.wait_event("it is right", type="state", state="ok", kind="bmc:firmware")
        wait_until(lambda: len(asked) > before, "the other goes on")
        run.end()
        check_equal(len([e for e in run.events if e["type"] == "changed"]), 1, "changes")
        check(not [e for e in run.events if e.get("state") in ("failed", "retrying")], "a BMC that is busy is a failure")
        check("hunter2" not in json.dumps(run.events) + run.stderr(), "the password is told")
    rack.requests.put(None)
    server.close()
    rack.close()
    s.check_clean()


def looks_before_it_sends(s):
    """Neither the wrong file nor the wrong BMC; what is refused may be sent again, and so may what has failed."""
    server = Server()
    retry = "Meta:poll => 1, Meta:retry => -1, Meta:delay => 10,"

    def fails(run, text):
        event = run.wait_event("an error", type="state", state="retrying", kind="bmc:firmware")
        check(text in event["text"], event["text"])

    with start(s, firmware(s, server.port, meta="Meta:poll => 1, Meta:noop => true,")) as run:
        show_version(server, "1.2.3")
        run.wait_event("noop", type="state", state="drifted", kind="bmc:firmware")
        run.end()
    check(all(q.method == "GET" and q.path != "/u" for q in list(server.requests.queue)), "it was sent")
    server.close()
    for more, provider, root, text in (
            (f'hash => "{"0" * 64}",', "acme", {}, "is not the file that it should be: its hash is "),
            ("", "dell", {}, "does not say that it is one of 'dell'"),
            ("", "redfish", {"UpdateService": 7}, "has no update service")):
        server = Server()
        with start(s, firmware(s, server.port, more, retry, provider)) as run:
            show_version(server, "1.2.3", root)
            fails(run, text)
            run.end()
        check(all(q.method == "GET" and q.path != "/u" for q in list(server.requests.queue)), "it was sent")
        server.close()
    server = Server()
    with start(s, firmware(s, server.port, "", retry, "De-L.L")) as run:
        oem = {"Oem": {"Dell": {}}}
        for answer, text in (({}, "does not say where firmware is to be sent"),
                             ({"MultipartHttpPushUri": "http://127.0.0.1:1/"}, "does not say where firmware is to be sent"),
                             ({"ServiceEnabled": False, "HttpPushUri": "/plain"}, "has its update service turned off")):
            show_version(server, "1.2.3", oem)
            give(take(server, "GET", "/u"), answer)
            fails(run, text)
        for status in (400, 503):
            show_version(server, "1.2.3", oem)
            give(take(server, "GET", "/u"), {"HttpPushUri": "/plain"})
            q = server.take("the file")
            check_equal((q.method, q.path, q.headers["Content-Type"], q.body), ("POST", "/plain", "application/octet-stream", FIRMWARE), "upload")
            q.answer(status)
            fails(run, f"answers with status {status}")
        show_version(server, "1.2.3", oem)
        give(take(server, "GET", "/u"), {"HttpPushUri": "/plain"})
        give(server.take("the file"), {"@odata.id": TASK, "TaskState": "New"}, 202)
        run.wait_event("sent", type="changed", kind="bmc:firmware")
        show_version(server, "1.2.3", oem)
        give(take(server, "GET", TASK), {"TaskState": "Exception", "Messages": [{"Message": "first"}, {"Message": "bad signature"}]})
        fails(run, "could not update its firmware: Exception: bad signature")
        show_version(server, "1.2.3", oem)
        give(take(server, "GET", "/u"), {"HttpPushUri": "/plain"})
        server.take("the file").hang_up()       # it may have it, and is given time
        for version in ("1.2.3", "1.2.3", "1.2.4"):
            show_version(server, version, oem)
        run.wait_event("it is right", type="state", state="ok", kind="bmc:firmware")
        run.end()
    server.close()


def refuses_firmware(s):
    """What makes no sense is seen before anything runs."""
    for name, fields, text in (
            ("redfish://h", 'provider => "x", file => "/f", version => "1",', "poll"),
            ("redfish://h", 'provider => "x", file => "f", version => "1", Meta:poll => 1,', "file must be the absolute path of a file, got 'f'"),
            ("redfish://h", 'provider => "x", file => "/f/", version => "1", Meta:poll => 1,', "file must be the absolute path of a file"),
            ("redfish://h", 'provider => "x", file => "/f", version => "1", hash => "A", Meta:poll => 1,', "hash must be 64 lower-case"),
            ("redfish://h", 'provider => "", file => "/f", version => "1", Meta:poll => 1,', "provider"),
            ("redfish://h", 'provider => "x", file => "/f", Meta:poll => 1,', "version"),
            ("rpc://h", 'provider => "x", file => "/f", version => "1", Meta:poll => 1,', "driver must be redfish, redfishs, gofish or gofishs, got 'rpc'"),
            ("rack 7", 'provider => "x", file => "/f", version => "1", Meta:poll => 1,', "hostname must be given"),
    ):
        done = s.ctl("plan", s.program(f'bmc:firmware "{name}" {{ {fields} }}'))
        check(done.returncode != 0 and text in done.stderr + done.stdout, f"{name} {fields}: {done.returncode}, {done.stderr}{done.stdout}")


main(updates_firmware, looks_before_it_sends, refuses_firmware, keeps_it_on, keeps_it_off, says_what_is_wrong, calls_services, wants_a_certificate, takes_it_from_the_name, refuses)
