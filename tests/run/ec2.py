#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""aws:ec2, against a cloud that checks signatures, and whose instances take a look or two until they are what they shall be."""

import base64
import hashlib
import hmac
import json
import os
import re
import sys
import threading
import urllib.parse

sys.dont_write_bytecode = True
from harness import Run, check, check_equal, main, wait_until, write
from ports import own_port
from web import Web

USER, SECRET, SESSION = "AKIDEXAMPLE", "s3cr3t/key+of=nobody", "session/token=="
REGION = "eu-test-1"
for variable in [v for v in os.environ if v.startswith("AWS_") or v == "CREDENTIALS_DIRECTORY"]:
    del os.environ[variable]                    # whoever runs the tests has none of them


def sign(secret, method, path, headers, names, body):
    """What AWS Signature Version 4 gives for a request with these headers."""
    def digest(key, text):
        return hmac.new(key, text.encode(), hashlib.sha256).digest()
    moment = headers["X-Amz-Date"]
    scope = f"{moment[:8]}/{REGION}/ec2/aws4_request"
    lines = [method, path, "", *[f"{n}:{' '.join(headers[n].split())}" for n in names], "", ";".join(names), hashlib.sha256(body).hexdigest()]
    text = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256("\n".join(lines).encode()).hexdigest()])
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = digest(key, part)
    return scope, digest(key, text).hex()


class Cloud(Web):
    """Instances by their numbers; what was asked, but for looks, is remembered. What stands in `answers` is said instead of anything else."""

    def __init__(self, port=0, instances=(), session=None):
        self.lock = threading.Lock()
        self.instances = {i["id"]: i for i in instances}
        self.session, self.looks, self.asked, self.answers, self.tokens, self.problems = session, 0, [], [], {}, []
        super().__init__(port)

    def reply(self, method, path, headers, body):
        with self.lock:
            self.check_signature(method, path, headers, body)
            status, answer = self.answer(dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True)))
        return status and (status, answer, {})

    def close(self):
        super().close()
        check_equal(self.problems, [], "what is wrong with signatures")

    def check_signature(self, method, path, headers, body):
        said = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=(.+?)/(.+), SignedHeaders=(.+), Signature=([0-9a-f]+)",
                            headers["Authorization"] or "")
        if not said:
            self.problems.append(f"no signature: {headers['Authorization']}")
            return
        names = said[3].split(";")
        scope, signature = sign(SECRET, method, path, headers, names, body)
        if (said[1], said[2], said[4]) != (USER, scope, signature):
            self.problems.append(f"{said[0]} is not {scope} {signature}")
        if not {"host", "x-amz-date"} <= set(names):
            self.problems.append(f"not signed: {names}")
        if headers["X-Amz-Security-Token"] != self.session or (self.session and "x-amz-security-token" not in names):
            self.problems.append(f"session {headers['X-Amz-Security-Token']} of {names}")

    def say(self, *answers):
        """What is answered next: (action, status, body); None as status hangs up, after it was done."""
        with self.lock:
            self.answers += answers

    def answer(self, q):
        action = q["Action"]
        check_equal(q["Version"], "2016-11-15", "version")
        if action != "DescribeInstances":
            self.asked.append(q)
        said = self.answers.pop(0) if self.answers and self.answers[0][0] == action else None
        if said and said[1]:
            return said[1:]
        answer = getattr(self, action)(q)
        return (None, b"") if said else answer

    def DescribeInstances(self, q):
        self.looks += 1
        check_equal(q["Filter.1.Name"], "tag:Name", "filter")
        found = [i for i in self.instances.values() if i["name"] == q["Filter.1.Value.1"]]
        answer = describe(*found)
        for i in found:
            if i["then"]:
                i["state"] = i["then"].pop(0)
        return 200, answer

    def RunInstances(self, q):
        if q["ClientToken"] not in self.tokens:
            new = instance(f"i-{len(self.instances) + 100}", "pending", ["pending", "running"], name=q["TagSpecification.1.Tag.1.Value"])
            self.instances[new["id"]] = self.tokens[q["ClientToken"]] = new
        return 200, b"<RunInstancesResponse/>"

    def change(self, q, state, then):
        self.instances[q["InstanceId.1"]].update(state=state, then=[then])
        return 200, f"<{q['Action']}Response/>".encode()

    def StartInstances(self, q):
        return self.change(q, "pending", "running")

    def StopInstances(self, q):
        return self.change(q, "stopping", "stopped")

    def TerminateInstances(self, q):
        return self.change(q, "shutting-down", "terminated")

    def states(self):
        with self.lock:
            return sorted(i["state"] for i in self.instances.values())

    def actions(self):
        return [q["Action"] for q in self.asked]

    def wait_looks(self, n):
        start = self.looks
        wait_until(lambda: self.looks >= start + n, f"{n} looks")


def instance(id="i-1", state="running", then=(), name="_mgmt-web 1"):
    return {"id": id, "state": state, "then": list(then), "name": name}


def describe(*instances, more=""):
    items = "".join(f"""
        <item><reservationId>r-1</reservationId><groupSet/><instancesSet><item>
            <instanceId>{i['id']}</instanceId><instanceState><code>16</code><name>{i['state']}</name></instanceState>
            <privateIpAddress>10.0.0.1</privateIpAddress><ipAddress>192.0.2.1</ipAddress>
            <tagSet><item><key>Name</key><value>a &amp; b</value></item></tagSet>
        </item></instancesSet></item>""" for i in instances)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
    <requestId>1</requestId><reservationSet>{items}</reservationSet>{more}
</DescribeInstancesResponse>""".encode()


def error(code, message=""):
    return f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>1</RequestID></Response>".encode()


def ec2(cloud, state="running", more="", meta="Meta:poll => 1,"):
    return f"""\
aws:ec2 "web 1" {{
        state => "{state}",
        region => "{REGION}",
        type => "t3.micro",
        imageid => "ami-12",
        endpoint => "http://127.0.0.1:{cloud.port}",
        {more} {meta}
}}
"""


EXIT = ["--converged-exit", "--converger-timeout=0"]
RETRY = "Meta:poll => 1, Meta:retry => -1, Meta:delay => 10,"
AS_USER = {"AWS_ACCESS_KEY_ID": USER, "AWS_SECRET_ACCESS_KEY": SECRET}


def start(s, program, *arguments, **environment):
    return Run(s, "--tmp-prefix", *arguments, s.program(program), **(environment or AS_USER))


def wait_error(run, text):
    event = run.wait_event(f"an error: {text}", type="state", state="retrying", kind="aws:ec2")
    check(text in event["text"], event["text"])


def wait_reason(s, run, text):
    wait_until(lambda: text in s.ctl("why", "aws:ec2[web 1]", MGMT_BUS_ADDRESS=run.bus()).stdout, f"it says: {text}")


def check_secret(run):
    text = json.dumps(run.events) + run.stderr()
    check(SECRET not in text and SESSION not in text, "a secret is told")


def launches(s):
    """An instance that is not there is launched, with its tag. Others, and those that were terminated, count for nothing."""
    cloud = Cloud(instances=[instance("i-1", name="_mgmt-web"), instance("i-2", "terminated"), instance("i-3", "shutting-down")])
    with start(s, ec2(cloud, more='userdata => "#cloud-config\\nä",')) as run:
        changed = run.wait_event("launched", type="changed", kind="aws:ec2")
        check("state: terminated -> running" in changed["text"], changed["text"])
        cloud.wait_looks(2)
        run.end()
        check_secret(run)
    check_equal(cloud.actions(), ["RunInstances"], "what was done")
    q = cloud.asked[0]
    check(re.fullmatch("[0-9a-f]{32}", q.pop("ClientToken")), "the token is none")
    check_equal(q, {"Action": "RunInstances", "Version": "2016-11-15", "MinCount": "1", "MaxCount": "1", "ImageId": "ami-12",
                    "InstanceType": "t3.micro", "TagSpecification.1.ResourceType": "instance", "TagSpecification.1.Tag.1.Key": "Name",
                    "TagSpecification.1.Tag.1.Value": "_mgmt-web 1", "UserData": base64.b64encode("#cloud-config\nä".encode()).decode()}, "request")
    cloud.close()
    s.check_clean()


def sends(s):
    """Where it is can be received."""
    cloud = Cloud(instances=[instance()])
    with start(s, ec2(cloud) + """
        file "$SCRATCH/id" { state => "exists", }
        file "$SCRATCH/ip" { state => "exists", }
        Aws:Ec2["web 1"].id -> File["$SCRATCH/id"].content
        Aws:Ec2["web 1"].public_ip -> File["$SCRATCH/ip"].content
    """.replace("$SCRATCH", s.path), *EXIT) as run:
        check_equal(run.wait_end(), 0, "exit status")
    check_equal((open(s.at("id")).read(), open(s.at("ip")).read()), ("i-1", "192.0.2.1"), "what was received")
    cloud.close()


def starts_and_stops(s):
    """Each state is brought about from each other; what is on its way is waited for."""
    for state, before, done in (("running", instance(state="stopped"), ["StartInstances"]), ("stopped", instance(), ["StopInstances"]),
                                ("terminated", instance(), ["TerminateInstances"]), ("running", instance(state="pending", then=["running"]), []),
                                ("running", instance(state="stopping", then=["stopped"]), ["StartInstances"]),
                                ("terminated", instance(state="shutting-down", then=["terminated"]), []), ("running", instance(), []),
                                ("stopped", instance(state="terminated"), []), ("terminated", instance(state="terminated"), [])):
        cloud = Cloud(instances=[dict(before, then=list(before["then"]))])
        with start(s, ec2(cloud, state), *EXIT) as run:
            check_equal(run.wait_end(), 0, "exit status")
            check_equal(len([e for e in run.events if e["type"] == "changed"]), len(done), f"changes for {state} from {before}")
        check_equal(cloud.actions(), done, f"what was done for {state} from {before}")
        check(cloud.states() == [state] or before["state"] == "terminated", f"it is {cloud.states()}")
        cloud.close()


def only_looks(s):
    """A plan says what would be done, and does nothing."""
    for instances, state in (([], "running"), ([instance()], "stopped"), ([instance()], "terminated")):
        cloud = Cloud(instances=instances)
        done = s.ctl("plan", s.program(ec2(cloud, state)), **AS_USER)
        check(state in done.stdout and SECRET not in done.stdout + done.stderr, done.stdout + done.stderr)
        check_equal(cloud.asked, [], "what was done")
        cloud.close()


def launches_no_second_one(s):
    """A request that may have been lost is repeated under the same token."""
    cloud = Cloud()
    cloud.say(("RunInstances", None, b""))
    cloud.say(("DescribeInstances", 200, describe()))
    with cloud.lock:
        cloud.answers.insert(0, ("DescribeInstances", 200, describe()))
    with start(s, ec2(cloud)) as run:
        run.wait_event("launched", type="changed", kind="aws:ec2")
        run.end()
    check(set(cloud.actions()) == {"RunInstances"}, f"what was done: {cloud.actions()}")
    check_equal(len(cloud.instances), 1, "instances")
    cloud.close()


def finds_credentials(s):
    """They are where the tools of AWS have them."""
    file = f"""
[default]
aws_access_key_id = wrong
[ other ]
# aws_access_key_id = wrong
aws_access_key_id={USER}
  aws_secret_access_key =  {SECRET}\t
aws_session_token = {SESSION}
[third]
aws_secret_access_key = {SECRET}
"""
    write(s.at("credentials"), file)
    write(s.at("aws.credentials"), file.replace("other", "default"))
    at = {"AWS_SHARED_CREDENTIALS_FILE": s.at("credentials")}
    for environment, session in (({**AS_USER, "AWS_SESSION_TOKEN": SESSION}, SESSION), (AS_USER, None), ({**at, "AWS_PROFILE": "other"}, SESSION),
                                 ({"CREDENTIALS_DIRECTORY": s.path}, SESSION)):
        cloud = Cloud(instances=[instance()], session=session)
        with start(s, ec2(cloud), *EXIT, **environment) as run:
            check_equal(run.wait_end(), 0, "exit status")
            check_secret(run)
        check(cloud.looks > 0, "nobody asked")
        cloud.close()
    for environment, text in (({}, f"nor '{s.home}/.aws/credentials'"), (at, "in section 'default' of"),
                              ({**at, "AWS_PROFILE": "third"}, "in section 'third' of"), ({**at, "AWS_PROFILE": "none"}, "in section 'none' of"),
                              ({**AS_USER, "AWS_ACCESS_KEY_ID": "a b"}, "has blanks in it")):
        cloud = Cloud()
        done = s.ctl("plan", s.program(ec2(cloud)), **environment)
        check(text in done.stdout + done.stderr, f"{environment}: {done.stdout}{done.stderr}")
        check_equal(cloud.looks, 0, "looks")
        cloud.close()


def is_patient(s):
    """An API that is not there, or takes no more requests, is asked again later."""
    port = own_port()

    class At:
        pass
    At.port = port
    with start(s, ec2(At)) as run:
        run.wait_event("graph", type="graph")
        wait_reason(s, run, "cannot be asked")
        cloud = Cloud(port, [instance(state="stopped")])
        cloud.say(("DescribeInstances", 503, error("RequestLimitExceeded")), ("StartInstances", 503, error("RequestLimitExceeded")))
        changed = run.wait_event("started", type="changed", kind="aws:ec2")
        check_equal(changed["text"].count("state: stopped -> running"), 1, "times it is said")
        run.end()
        check(not [e for e in run.events if e.get("state") in ("retrying", "failed")], "it has failed")
    check_equal(cloud.actions(), ["StartInstances"] * 2, "what was done")
    cloud.close()


def says_what_is_wrong(s):
    """Answers of all sorts: errors that say so, and nothing is done."""
    cases = [
        (401, error("AuthFailure", "AWS was not able to validate"), "does not do it: status 401, AuthFailure: AWS was not able to validate"),
        (403, error("UnauthorizedOperation"), "does not do it: status 403, UnauthorizedOperation"),
        (500, b"<html>", "does not do it: status 500"),
        (302, b"", "does not do it: status 302"),
        (200, b"", "answers what is not understood: it does not tell of instances"),
        (200, b"{}", "answers what is not understood: it is no XML of AWS"),
        (200, describe(instance())[:-5], "answers what is not understood: it is no XML of AWS"),
        (200, b"<a>" * 40 + b"</a>" * 40, "answers what is not understood: it is no XML of AWS"),
        (200, b'<!DOCTYPE a [<!ENTITY b "c">]><DescribeInstancesResponse/>', "answers what is not understood: it is no XML of AWS"),
        (200, b"<a/>", "answers what is not understood: it does not tell of instances"),
        (200, describe(instance("")), "answers what is not understood: it does not tell of instances"),
        (200, describe(more="<nextToken>x</nextToken>"), "answers what is not understood: it does not tell of instances"),
        (200, describe(instance(), instance("i-2", "stopped")), "there are 2 instances of the name '_mgmt-web 1'"),
        (200, b" " * (1024 * 1024 + 1), "the answer is too long"),
    ]
    cloud = Cloud(instances=[instance()])
    cloud.say(*[("DescribeInstances", status, answer) for status, answer, _ in cases])
    with start(s, ec2(cloud, meta=RETRY)) as run:
        for _, _, text in cases:
            wait_error(run, text)
        run.end()
        check_secret(run)
    check_equal(cloud.asked, [], "what was done")
    cloud.close()


def refuses(s):
    """What makes no sense is seen before anything runs."""
    usual = 'state => "running", region => "r", type => "t", imageid => "i",'
    for name, fields, text in (
            ("a", usual, "poll"),
            ("a", usual + "Meta:poll => -1,", "Meta:poll must be at least 1"),
            ("a*", usual + "Meta:poll => 1,", "the name must have no '*'"),
            ("a", usual.replace("running", "pending") + "Meta:poll => 1,", "state must be running, stopped or terminated, got 'pending'"),
            ("a", usual.replace('"r"', '"r/"') + "Meta:poll => 1,", "region, type and imageid must be letters"),
            ("a", usual.replace('"i"', '""') + "Meta:poll => 1,", "field 'imageid' is required"),
            ("a", usual + 'endpoint => "http://ec2.example.com", Meta:poll => 1,', "endpoint must be a URL with https"),
            ("a", usual + f'userdata => "{"x" * 16385}", Meta:poll => 1,', "userdata must have at most 16384 bytes, got 16385"),
    ):
        done = s.ctl("plan", s.program(f'aws:ec2 "{name}" {{ {fields} }}'))
        check(done.returncode != 0 and text in done.stderr + done.stdout, f"{name} {fields}: {done.returncode}, {done.stderr}{done.stdout}")


main(launches, sends, starts_and_stops, only_looks, launches_no_second_one, finds_credentials, is_patient, says_what_is_wrong, refuses)
