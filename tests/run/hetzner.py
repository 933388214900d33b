#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""hetzner:vm, against a cloud whose servers take a look or two until they are what they shall be."""

import json
import os
import sys
import threading
import time
import urllib.parse

sys.dont_write_bytecode = True
from harness import Run, check, check_equal, main, wait_until
from ports import own_port
from web import Web

TOKEN = "hunter2-token"
KNOWN = {"server_types": ["cx22"], "datacenters": ["nbg1-dc3", "fsn1-dc14"], "images": ["debian-12"]}
PASSWORD = "root-password"                      # of servers and rescue systems: nobody is to see it


class Cloud(Web):
    """Servers by their names; what was asked, but for looks, is remembered. What stands in `answers` is said instead of anything else."""

    def __init__(self, port=0, servers=(), keys=("alice", "bob")):
        self.lock = threading.Lock()
        self.servers = {s["name"]: s for s in servers}
        self.keys = [{"id": 100 + i, "name": k} for i, k in enumerate(keys)]
        self.next_id, self.looks, self.asked, self.answers, self.later = 1000, 0, [], [], []
        super().__init__(port)

    def say(self, *answers):
        """What is answered next: (method, status, answer, headers); None as status hangs up, without doing it."""
        with self.lock:
            self.answers += answers

    def reply(self, method, path, headers, body):
        with self.lock:
            status, answer, more = self.answer(method, path, headers["Authorization"], body)
        return status and (status, answer if isinstance(answer, bytes) else json.dumps(answer).encode(), more)

    def answer(self, method, path, authorization, body):
        path, _, query = path.partition("?")
        if authorization != f"Bearer {TOKEN}":
            return 401, error("unauthorized", "unable to authenticate"), {}
        body = json.loads(body) if body else None
        if method != "GET":
            self.asked.append((method, path, body))
            self.answers, self.later = self.answers + self.later, []
        if self.answers and self.answers[0][0] == method:
            return self.answers.pop(0)[1:]
        return (*self.act(method, path, dict(urllib.parse.parse_qsl(query)), body), {})

    def act(self, method, path, query, body):
        if (method, path) == ("GET", "/v1/servers"):
            self.looks += 1
            return 200, {"servers": [self.look(s) for s in list(self.servers.values()) if s["name"] == query["name"]]}
        if (method, path) == ("GET", "/v1/ssh_keys"):
            page = int(query["page"])           # pages of one key, to see that all of them are read
            more = page + 1 if page < len(self.keys) else None
            return 200, {"ssh_keys": self.keys[page - 1:page], "meta": {"pagination": {"next_page": more}}}
        if (method, path) == ("POST", "/v1/servers"):
            return self.create(body)
        for kind, known in KNOWN.items():
            if (method, path) == ("GET", f"/v1/{kind}"):
                return 200, {kind: [{"id": 9, "name": n} for n in known if n == query["name"]]}
            if (method, path) == ("GET", f"/v1/{kind}/77"):
                return 200, {kind[:-1]: {"id": 77}}
        server = next((s for s in self.servers.values() if path.startswith(f"/v1/servers/{s['id']}")), None)
        if not server:
            return 404, error("not_found", "server not found")
        action = path.removeprefix(f"/v1/servers/{server['id']}")
        if (method, action) == ("DELETE", ""):
            server.update(status="deleting", then=[None])
        elif action == "/actions/poweron":
            server.update(status="starting", then=["running"])
        elif action == "/actions/poweroff":
            server.update(then=["off"])         # says that it runs for a moment
        elif action == "/actions/enable_rescue":
            server.update(rescue_enabled=True)
        elif action == "/actions/disable_rescue":
            server.update(rescue_enabled=False)
        else:
            return 404, error("not_found", "no such action")
        return 201, {"action": {"id": 1, "status": "running"}, "root_password": PASSWORD}

    def create(self, body):
        if body["name"] in self.servers:
            return 409, error("uniqueness_error", "server name is already used")
        self.next_id += 1
        status = "running" if body["start_after_create"] else "off"
        self.servers[body["name"]] = server(body["name"], "initializing", body["server_type"], body.get("datacenter", "nbg1-dc3"), body["image"],
                                            id=self.next_id, then=[status])
        return 201, {"server": {"id": self.next_id}, "action": {"id": 1}, "root_password": PASSWORD}

    def look(self, s):
        """As it is now; by the next look it is further."""
        now = {k: v for k, v in s.items() if k != "then"}
        if s["then"]:
            s["status"] = s["then"].pop(0)
            if s["status"] is None:
                del self.servers[s["name"]]
        return now

    def status(self, name="web1"):
        with self.lock:
            return self.servers[name]["status"] if name in self.servers else None

    def wait_looks(self, n):
        """So many looks from now on."""
        start = self.looks
        wait_until(lambda: self.looks >= start + n, f"{n} looks")


def error(code, message):
    return {"error": {"code": code, "message": message}}


def server(name="web1", status="running", kind="cx22", datacenter="nbg1-dc3", image="debian-12", rescue=False, id=42, then=()):
    return {"id": id, "name": name, "status": status, "server_type": {"id": 1, "name": kind}, "datacenter": {"id": 2, "name": datacenter},
            "image": {"id": 3, "name": image}, "rescue_enabled": rescue, "then": list(then)}


def vm(cloud, state="running", more="", meta="Meta:poll => 1,", waits="waitinterval => 1, waittimeout => 60,", name="web1"):
    return f"""\
hetzner:vm "{name}" {{
        apitoken => "{TOKEN}",
        endpoint => "http://127.0.0.1:{cloud.port}/v1/",
        state => "{state}",
        servertype => "cx22",
        image => "debian-12",
        {more} {waits} {meta}
}}
"""


def start(s, program, *arguments):
    return Run(s, "--tmp-prefix", *arguments, s.program(program))


def check_secret(run):
    text = json.dumps(run.events) + run.stderr()
    check(TOKEN not in text and PASSWORD not in text, "a secret is told")


def wait_error(run, text):
    event = run.wait_event(f"an error: {text}", type="state", state="retrying", kind="hetzner:vm")
    check(text in event["text"], event["text"])


def wait_reason(s, run, resource, text):
    """The resource waits, and says why."""
    wait_until(lambda: text in s.ctl("why", resource, MGMT_BUS_ADDRESS=run.bus()).stdout, f"{resource} says: {text}")


EXIT = ["--converged-exit", "--converger-timeout=0"]
RETRY = "Meta:poll => 1, Meta:retry => -1, Meta:delay => 10,"


def creates(s):
    """A server that is not there is created, with all keys of the project; then nothing is done any more."""
    cloud = Cloud()
    with start(s, vm(cloud, more='datacenter => "fsn1-dc14", userdata => "#cloud-config\\n",')) as run:
        changed = run.wait_event("created", type="changed", kind="hetzner:vm")
        check("state: absent -> running" in changed["text"], changed["text"])
        check_equal(cloud.status(), "running", "status")
        cloud.wait_looks(2)
        run.end()
        check_secret(run)
    check_equal(cloud.asked, [("POST", "/v1/servers", {
        "name": "web1", "server_type": "cx22", "image": "debian-12", "datacenter": "fsn1-dc14", "user_data": "#cloud-config\n",
        "ssh_keys": [100, 101], "start_after_create": True})], "what was done")
    cloud.close()
    s.check_clean()


def turns_on_and_off(s):
    """Each state is brought about from each other."""
    off = server(status="off")
    for state, before, done in (("running", off, "/v1/servers/42/actions/poweron"), ("off", server(), "/v1/servers/42/actions/poweroff"),
                                ("off", server(status="stopping", then=["stopping", "off"]), None), ("exists", off, None), ("", off, None)):
        cloud = Cloud(servers=[dict(before)])
        with start(s, vm(cloud, state), *EXIT) as run:
            check_equal(run.wait_end(), 0, "exit status")
            check_equal(len([e for e in run.events if e["type"] == "changed"]), 1 if done else 0, "changes")
        check_equal([a[1] for a in cloud.asked], [done] if done else [], f"what was done for {state}")
        check(not state or state == "exists" or cloud.status() == state, f"it is {cloud.status()}")
        cloud.close()


def removes(s):
    """A server that shall not be there is deleted, and waited for until it has gone."""
    cloud = Cloud(servers=[server(), server("web2", id=43)])
    with start(s, vm(cloud, "absent"), *EXIT) as run:
        check_equal(run.wait_end(), 0, "exit status")
    check_equal(cloud.asked, [("DELETE", "/v1/servers/42", None)], "what was done")
    check_equal(list(cloud.servers), ["web2"], "servers")
    cloud.close()
    for state in ("absent", ""):
        cloud = Cloud()
        with start(s, vm(cloud, state), *EXIT) as run:
            check_equal(run.wait_end(), 0, "exit status")
        check_equal(cloud.asked, [], "what was done")
        cloud.close()


def only_looks(s):
    """A plan and noop say what would be done, and do nothing."""
    for servers, state, more, text in (([], "running", "", "running"), ([server()], "off", "", "off"), ([server()], "absent", "", "absent"),
                                       ([server(kind="cx11")], "running", 'allowrebuild => "ifneeded",', "cx22"),
                                       ([server()], "running", 'serverrescuemode => "linux64",', "linux64")):
        cloud = Cloud(servers=servers)
        done = s.ctl("plan", s.program(vm(cloud, state, more)))
        check(text in done.stdout, f"{state} {more}: {done.stdout}{done.stderr}")
        check(TOKEN not in done.stdout + done.stderr, "the token is told")
        check_equal(cloud.asked, [], "what was done")
        cloud.close()


def rebuilds(s):
    """What only another server can have: it is refused, ignored, or the server is deleted and created anew."""
    other = server(image="debian-11")
    cloud = Cloud(servers=[dict(other, status="off")])
    with start(s, vm(cloud, meta=RETRY)) as run:
        wait_error(run, "the server has image 'debian-11', not 'debian-12'; allowrebuild says")
        run.end()
    check_equal([a[1] for a in cloud.asked], ["/v1/servers/42/actions/poweron"], "what was done: its power is none of that")
    cloud.close()
    cloud = Cloud(servers=[dict(other)])
    with start(s, vm(cloud, more='allowrebuild => "ignore",'), *EXIT) as run:
        check_equal(run.wait_end(), 0, "exit status")
    check_equal(cloud.asked, [], "what was done")
    cloud.close()
    cases = {"a": ("running", "off", True), "b": ("off", "running", False), "c": ("", "running", True), "d": ("exists", "off", False)}
    cloud = Cloud(servers=[server(name, before, image="debian-11", id=n) for n, (name, (_, before, _)) in enumerate(cases.items(), 42)])
    program = "".join(vm(cloud, state, 'allowrebuild => "ifneeded",', name=name) for name, (state, _, _) in cases.items())
    with start(s, program) as run:
        for _ in cases:
            changed = run.wait_event("rebuilt", type="changed", kind="hetzner:vm")
            check("image: debian-11 -> debian-12" in changed["text"], changed["text"])
        cloud.wait_looks(2 * len(cases))
        run.end()
    check_equal(sorted(a[1] for a in cloud.asked if a[0] == "DELETE"), [f"/v1/servers/{n}" for n in range(42, 46)], "what was deleted")
    check_equal({a[2]["name"]: a[2]["start_after_create"] for a in cloud.asked if a[0] == "POST"}, {n: c[2] for n, c in cases.items()},
                "what was created and started")
    check_equal(len(cloud.asked), 2 * len(cases), "what was done")
    cloud.close()


def rebuilds_with_what_there_is(s):
    """For what does not exist no server is deleted; one that was deleted is created as soon as that is possible."""
    for more, text in (('image => "debian-21",', "there is no image 'debian-21', so the server with another one stays"),
                       ('image => "78",', "does not do it: status 404")):
        cloud = Cloud(servers=[server()])
        with start(s, vm(cloud, more='allowrebuild => "ifneeded",', meta=RETRY).replace('image => "debian-12",', more)) as run:
            wait_error(run, text)
            run.end()
        check_equal(cloud.asked, [], "what was done")
        cloud.close()
    cloud = Cloud(servers=[server()])
    cloud.say(("POST", 503, error("unavailable", "come again"), {}))
    with start(s, vm(cloud, "", 'allowrebuild => "ifneeded",', meta=RETRY).replace('"debian-12"', '"77"')) as run:
        wait_error(run, "does not do it: status 503, come again")
        run.wait_event("created", type="changed", kind="hetzner:vm")
        run.end()
    check_equal([a[0] for a in cloud.asked], ["DELETE", "POST", "POST"], "what was done")
    cloud.close()


def leaves_what_is_not_known(s):
    """What the API does not say, or says by number, is no reason to delete a server."""
    unknown = dict(server(), image=None, datacenter=None)
    for before, image in ((unknown, "debian-12"), (dict(server(), image={"id": 77, "name": None}), "77"), (dict(server(), image={}), "debian-12")):
        cloud = Cloud(servers=[dict(before)])
        program = vm(cloud, more='datacenter => "nbg1-dc3", allowrebuild => "ifneeded",').replace('"debian-12"', f'"{image}"')
        program = program.replace('datacenter => "nbg1-dc3"', 'datacenter => "2"') if image == "77" else program
        with start(s, program, *EXIT) as run:
            check_equal(run.wait_end(), 0, "exit status")
        check_equal(cloud.asked, [], "what was done")
        cloud.close()


def rescues(s):
    """The rescue mode is enabled once, with the keys of these names; one of which nobody knows the image is left alone."""
    cloud = Cloud(servers=[server()])
    mode = 'serverrescuemode => "{}", serverrescuekeys => ["bob"],'
    with start(s, vm(cloud, more=mode.format("linux64"))) as run:
        run.wait_event("enabled", type="changed", kind="hetzner:vm")
        cloud.wait_looks(2)
        with cloud.lock:
            cloud.servers["web1"]["rescue_enabled"] = False
        run.wait_event("enabled", type="changed", kind="hetzner:vm")
        run.end()
        check_secret(run)
    enable = ("POST", "/v1/servers/42/actions/enable_rescue", {"type": "linux64", "ssh_keys": [101]})
    check_equal(cloud.asked, [enable, enable], "what was done")
    cloud.asked.clear()
    with start(s, vm(cloud, more=mode.format("linux32")), *EXIT) as run:
        check_equal(run.wait_end(), 0, "exit status")
    check_equal(cloud.asked, [], "what was done")
    cloud.close()
    cloud = Cloud(servers=[server()])
    with start(s, vm(cloud, more=mode.format("linux64").replace("bob", "carol"), meta=RETRY)) as run:
        wait_error(run, "there is no SSH key 'carol' in the project")
        run.end()
    check_equal(cloud.asked, [], "what was done")
    cloud.close()


def exchanges_a_rescue_image(s):
    """In one run of the program, the image that was enabled is known, also when the program changes."""
    cloud = Cloud(servers=[server()])
    program = f"""
        $mode = os.readfile("$SCRATCH/mode")
        import "os"
    """ + vm(cloud).replace("state =>", "serverrescuemode => $mode, state =>")
    with open(s.at("mode"), "w") as f:
        f.write("linux64")
    with start(s, program) as run:
        run.wait_event("enabled", type="changed", kind="hetzner:vm")
        with open(s.at("mode.new"), "w") as f:
            f.write("linux32")
        os.rename(s.at("mode.new"), s.at("mode"))
        changed = run.wait_event("exchanged", type="changed", kind="hetzner:vm")
        check("serverrescuemode: linux64 -> linux32" in changed["text"], changed["text"])
        run.end()
    check_equal([(a[1].rsplit("/", 1)[1], (a[2] or {}).get("type")) for a in cloud.asked],
                [("enable_rescue", "linux64"), ("disable_rescue", None), ("enable_rescue", "linux32")], "what was done")
    cloud.close()


def is_patient(s):
    """A server that is busy, and an API that takes no more requests, are asked again later."""
    cloud = Cloud(servers=[server(status="off")])
    cloud.say(("POST", 423, error("locked", "server is locked"), {}), ("POST", 429, error("rate_limit_exceeded", "limit"), {"Retry-After": "1"}),
              ("GET", 429, b"", {"RateLimit-Reset": str(int(time.time()) + 1)}))
    with start(s, vm(cloud)) as run:
        changed = run.wait_event("turned on", type="changed", kind="hetzner:vm")
        check_equal(changed["text"].count("state: off -> running"), 1, "times it is said")
        run.end()
    check_equal([a[1] for a in cloud.asked], ["/v1/servers/42/actions/poweron"] * 3, "what was done")
    cloud.close()
    cloud = Cloud(servers=[server()])
    cloud.say(("GET", 429, b"", {"RateLimit-Reset": str(int(time.time()) + 3600)}))
    with start(s, vm(cloud)) as run:
        run.wait_event("graph", type="graph")
        wait_reason(s, run, "hetzner:vm[web1]", "takes no more requests for 3")
        check_equal(cloud.looks, 0, "looks before the limit is raised")
        run.end()
    cloud.close()


def waits_for_the_api(s):
    """An API that cannot be reached is waited for; one that has hung up may have done what it was asked for."""
    port = own_port()

    class At:
        pass
    At.port = port
    with start(s, vm(At)) as run:
        run.wait_event("graph", type="graph")
        wait_reason(s, run, "hetzner:vm[web1]", "cannot be asked")
        cloud = Cloud(port, [server(status="off", then=["running"])])
        cloud.say(("POST", None, b"", {}))
        run.wait_event("turned on", type="changed", kind="hetzner:vm")
        run.end()
        check(not [e for e in run.events if e.get("state") in ("retrying", "failed")], "it has failed")
    check_equal({a[1] for a in cloud.asked}, {"/v1/servers/42/actions/poweron"}, "what was done")
    cloud.close()


def gives_up(s):
    """What does not come in time is an error that says what there is."""
    cloud = Cloud(servers=[server(status="migrating")])
    with start(s, vm(cloud, meta=RETRY, waits="waitinterval => 1, waittimeout => 1,")) as run:
        wait_error(run, "waited for 1 s until it is running or off; it is migrating")
        run.end()
    cloud.close()


def says_what_is_wrong(s):
    """Answers of all sorts: errors that say so, and nothing is done."""
    cloud = Cloud(servers=[server()])
    cases = [
        (401, error("unauthorized", "unable to authenticate"), "does not let the token do that: status 401, unable to authenticate"),
        (403, b"", "does not let the token do that: status 403"),
        (404, error("not_found", "nothing"), "does not do it: status 404, nothing"),
        (500, b"<html>", "does not do it: status 500"),
        (302, b"", "does not do it: status 302"),
        (200, b"<html>", "answers what is not understood: it is no JSON"),
        (200, b"", "answers what is not understood: there is no list of servers"),
        (200, {"servers": {}}, "answers what is not understood: there is no list of servers"),
        (200, {"servers": [{"name": "web1"}]}, "the server has no number, or no status"),
        (200, {"servers": [{"name": "web1", "id": "x", "status": "off"}]}, "the server has no number, or no status"),
        (200, {"servers": [{"name": "web1", "id": -1, "status": "off"}]}, "the server has no number, or no status"),
        (200, b" " * (1024 * 1024 + 1), "the answer is too long"),
    ]
    cloud.say(*[("GET", status, answer, {}) for status, answer, _ in cases])
    with start(s, vm(cloud, meta=RETRY)) as run:
        for _, _, text in cases:
            wait_error(run, text)
        run.end()
        check_secret(run)
    check_equal(cloud.asked, [], "what was done")
    cloud.close()
    cloud = Cloud()
    cloud.say(("POST", 412, error("placement_error", "no room"), {}))
    with start(s, vm(cloud, meta=RETRY)) as run:
        wait_error(run, "does not do it: status 412, no room")
        run.wait_event("created", type="changed", kind="hetzner:vm")
        run.end()
    cloud.close()


def tells_of_what_it_has_done(s):
    """What was done is told also when something goes wrong before it is seen."""
    cloud = Cloud(servers=[server(status="off")])
    cloud.later = [("GET", 500, b"", {})]       # after the server was told to start
    with start(s, vm(cloud, meta=RETRY)) as run:
        wait_error(run, "does not do it: status 500")
        run.wait_event("turned on", type="changed", kind="hetzner:vm")
        cloud.wait_looks(2)
        run.end()
        check_equal(len([e for e in run.events if e["type"] == "changed"]), 1, "changes")
    check_equal([a[1] for a in cloud.asked], ["/v1/servers/42/actions/poweron"], "what was done")
    cloud.close()


def refuses(s):
    """What makes no sense is seen before anything runs."""
    for name, fields, text in (
            ("a", 'apitoken => "t",', "poll"),
            ("a", 'apitoken => "t", Meta:poll => -1,', "Meta:poll must be at least 1"),
            ("a", 'apitoken => "", Meta:poll => 1,', "field 'apitoken' is required"),
            ("a", 'apitoken => "a b", Meta:poll => 1,', "apitoken must have neither blanks"),
            ("a", 'apitoken => "a\\r\\nb", Meta:poll => 1,', "apitoken must have neither blanks"),
            ("a b", 'apitoken => "t", Meta:poll => 1,', "the name must be letters"),
            ("a&b", 'apitoken => "t", Meta:poll => 1,', "the name must be letters"),
            ("a", 'apitoken => "t", image => "a?b", Meta:poll => 1,', "servertype, datacenter and image must be names or numbers"),
            ("a", 'apitoken => "t", state => "on", Meta:poll => 1,', "state must be exists, running, off, absent or empty, got 'on'"),
            ("a", 'apitoken => "t", allowrebuild => "yes", Meta:poll => 1,', "allowrebuild must be ignore, ifneeded or empty"),
            ("a", 'apitoken => "t", serverrescuemode => "dos", Meta:poll => 1,', "serverrescuemode must be linux64"),
            ("a", 'apitoken => "t", waitinterval => 0, Meta:poll => 1,', "waitinterval and waittimeout must be at least 1"),
            ("a", 'apitoken => "t", endpoint => "http://api.example.com/v1", Meta:poll => 1,', "endpoint must be a URL with https"),
            ("a", 'apitoken => "t", endpoint => "ftp://localhost/v1", Meta:poll => 1,', "endpoint must be a URL with https"),
            ("a", 'apitoken => "t", endpoint => "https://u:p@h/v1", Meta:poll => 1,', "endpoint must be a URL with https"),
            ("a", 'apitoken => "t", endpoint => "https://h/v1?a", Meta:poll => 1,', "endpoint must be a URL with https"),
            ("a", 'apitoken => "t", endpoint => "", Meta:poll => 1,', "endpoint must be a URL with https"),
    ):
        done = s.ctl("plan", s.program(f'hetzner:vm "{name}" {{ {fields} }}'))
        check(done.returncode != 0 and text in done.stderr + done.stdout, f"{name} {fields}: {done.returncode}, {done.stderr}{done.stdout}")


main(creates, turns_on_and_off, removes, only_looks, rebuilds, rebuilds_with_what_there_is, leaves_what_is_not_known, rescues, exchanges_a_rescue_image, is_patient,
     waits_for_the_api, gives_up, says_what_is_wrong, tells_of_what_it_has_done, refuses)
