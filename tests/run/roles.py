#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real etcd that knows users: what the roles of docs/world.md let a host do, and what they do not. The commands are those that stand
there."""

import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request

sys.dont_write_bytecode = True
from harness import SECONDS, Run, Skipped, check, check_equal, main, read, wait_until, write
from namespace import enter_network_namespace

enter_network_namespace()

DOCUMENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/world.md")
DEPLOYS = os.path.join(os.path.dirname(DOCUMENT), "deploys.md")
URL = "http://127.0.0.1:2379"
PASSWORD = "the password of "


class Etcd:
    """With users root, web1 and web2."""

    def __init__(self, scratch):
        self.scratch = scratch

    def __enter__(self):
        if not shutil.which("etcd") or not shutil.which("etcdctl"):
            raise Skipped("etcd or etcdctl is not installed")
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        self.process = subprocess.Popen(["etcd", "--data-dir", self.scratch.at("etcd"), "--log-level", "error", "--unsafe-no-fsync", "--bcrypt-cost", "4",
                                         "--listen-client-urls", URL, "--advertise-client-urls", URL, "--listen-peer-urls",
                                         "http://127.0.0.1:2380"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(self.answers, "etcd answers")
            for command in (["user", "add", "root:" + PASSWORD + "root"], ["user", "grant-role", "root", "root"], ["auth", "enable"]):
                self.ctl(*command)
            for host in ("web1", "web2"):
                self.follow_document(host)
                os.mkdir(self.scratch.at(host + ".credentials"))
                write(self.scratch.at(host + ".credentials/etcd.password"), PASSWORD + host + "\n")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def answers(self):
        try:
            urllib.request.urlopen(URL + "/health", timeout=1).close()
            return True
        except (urllib.error.URLError, OSError):
            return False

    def ctl(self, *arguments):
        """As root of it, once there are users."""
        auth = [] if arguments[:1] in (("user",), ("auth",)) and not getattr(self, "secured", False) else ["--user", "root:" + PASSWORD + "root"]
        done = subprocess.run(["etcdctl", f"--command-timeout={SECONDS}s", f"--dial-timeout={SECONDS}s", "--endpoints", URL, *auth, *arguments], env={**os.environ, "ETCDCTL_API": "3"}, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        check_equal(done.returncode, 0, f"exit status of etcdctl {' '.join(arguments)} ({done.stdout.strip()})")
        self.secured = getattr(self, "secured", False) or arguments == ("auth", "enable")
        return done.stdout

    def follow_document(self, host):
        """The commands of the chapter, in their order."""
        chapter = read(DOCUMENT).split("## What a host may write", 1)[1].split("\n## ", 1)[0]
        commands = [line.split() for line in chapter.splitlines() if line.startswith("    etcdctl ")]
        check(len(commands) > 8, "the chapter has no commands")
        for words in commands:
            words = [w.replace("$host", host) for w in words[1:]]
            if words[:2] == ["user", "add"]:
                words[2] += ":" + PASSWORD + host       # in place of the prompt
            self.ctl(*words)


def start(scratch, host, text, **environment):
    return Run(scratch, "--tmp-prefix", "--converger-timeout=0", "--hostname", host, scratch.program(text, host + ".mcl"),
               MGMT_STORE="etcd:" + URL, MGMT_STORE_USER=host, CREDENTIALS_DIRECTORY=scratch.at(host + ".credentials"), **environment)


OWN = """
import "fmt"
import "world"
kv "web/${hostname}" {
        value => "mine",
}
kv "there" {
        mapped => true,
        value => $hostname,
}
file "$SCRATCH/${hostname}.shared" {
        state => "exists",
        content => "of ${hostname}",
        Meta:hidden => true,
        Meta:export => ["proxy"],
}
schedule "database" {
        ttl => 10,
}
file "$SCRATCH/${hostname}.seen" {
        state => "exists",
        content => fmt.printf("%d %v", len(world.kvlookup("there")), world.schedule("database")),
}
"""


def own(scratch):
    """With its role a host does all that a program needs: strings, maps, exports, schedules, and their ends"""
    with Etcd(scratch) as etcd:
        with start(scratch, "web1", OWN) as first:
            wait_until(lambda: (read(scratch.at("web1.seen")) or "").startswith('1 ["web1"'), "it is chosen, and in the map")
            with start(scratch, "web2", OWN) as second:
                wait_until(lambda: (read(scratch.at("web2.seen")) or "").startswith('2 ["web1"'), "the other sees both")
                keys = lambda: etcd.ctl("get", "--prefix", "--keys-only", "/mgmt/1/").split()
                wait_until(lambda: {f"/mgmt/1/exports/proxy/file/{h}/{scratch.at(h)}.shared" for h in ("web1", "web2")} <= set(keys()), "exports")
                first.end(signal.SIGINT)
                wait_until(lambda: (read(scratch.at("web2.seen")) or "").endswith('["web2"]'), "the other takes over")
                for run in (first, second):
                    check(not [e for e in run.events if e.get("state") == "failed"], f"something failed: {run.events}")
                second.end(signal.SIGINT)


def foreign(scratch):
    """What a role does not allow fails with the key and whose role it is; the rest goes on, and nothing of another host changes"""
    cases = {
        "kv[db/x]": ('kv "db/x" {\n        value => "stolen",\n}\n', "cannot write key 'db/x'"),
        "kv[mine]": ('kv "mine" {\n        mapped => true,\n        value => "x",\n}\n', "cannot write key 'mine'"),
        "schedule[other]": ('schedule "other" {}\n', "cannot put this host forward"),
    }
    with Etcd(scratch) as etcd:
        etcd.ctl("put", "/mgmt/1/strings/db/x", "theirs")
        for name, (text, says) in cases.items():
            with start(scratch, "web1", text + 'kv "web/rest" {\n        value => "%s",\n}\n' % name) as run:
                event = run.wait_event(f"{name} fails", type="state", state="failed")
                check_equal(f"{event['kind']}[{event['name']}]", name, "what fails")
                check(says in event["text"] and "no role of user 'web1' allows it" in event["text"], f"it says {event['text']!r}")
                wait_until(lambda: name in etcd.ctl("get", "--print-value-only", "/mgmt/1/strings/web/rest"), "the rest goes on")
                run.end(signal.SIGINT)
        check("theirs" in etcd.ctl("get", "--print-value-only", "/mgmt/1/strings/db/x"), "the key of another was written")

        # Exports have no state of their own: mgmt-world says it.
        program = 'file "/x" {\n        Meta:hidden => true,\n        Meta:export => ["elsewhere"],\n}\n'
        with start(scratch, "web1", program, MGMT_LOG_LEVEL="warning") as run:
            wait_until(lambda: "no role of user 'web1' allows it" in run.stderr() and "cannot export" in run.stderr(), "it says that it cannot export")
            run.end(signal.SIGINT)
        check_equal(etcd.ctl("get", "--prefix", "--keys-only", "/mgmt/1/exports/").strip(), "", "exports")


def later(scratch):
    """A role that is widened is noticed by whoever tries again; a user whom nobody knows waits, and says why"""
    with Etcd(scratch) as etcd:
        with start(scratch, "web1", 'kv "db/x" {\n        value => "now",\n        Meta:retry => -1,\n        Meta:delay => 100,\n}\n') as run:
            run.wait_event("it is refused", type="state", state="retrying")
            etcd.ctl("role", "grant-permission", "host-web1", "--prefix=true", "readwrite", "/mgmt/1/strings/db/")
            run.wait_converged()
            check("now" in etcd.ctl("get", "--print-value-only", "/mgmt/1/strings/db/x"), "it was not written")
            run.end(signal.SIGINT)
        write(scratch.at("web1.credentials/etcd.password"), "wrong")
        with start(scratch, "web1", 'kv "web/x" {\n        value => "now",\n}\n') as run:
            while "authentication failed" not in run.wait_event("it waits, and says why", type="state", state="waiting")["text"]:
                pass                            # at first it waits for mgmt-world
            run.end(signal.SIGINT)


def status(scratch, run):
    """As soon as there is one."""
    done = scratch.ctl("status", MGMT_BUS_ADDRESS=run.bus())
    return done.stdout if done.returncode == 0 else "cannot be asked"


def refused_until_allowed(scratch):
    """What may not be read or exported is shown by status as long as that lasts, is tried again, and goes on when the role allows it"""
    text = """
import "fmt"
import "world/collect"
file "$SCRATCH/seen" {
        state => "exists",
        content => fmt.printf("%d", len(collect.res("file"))),
}
file "/x" {
        Meta:hidden => true,
        Meta:export => ["elsewhere"],
}
"""
    with Etcd(scratch) as etcd:
        etcd.ctl("put", "/mgmt/1/exports/web1/file/web2//y", "{}")
        etcd.ctl("role", "revoke-permission", "host-web1", "/mgmt/1/", "/mgmt/10")
        with start(scratch, "web1", text, MGMT_LOG_LEVEL="info") as run:
            run.wait_event("it has a bus", type="started")
            reading, exporting = "cannot read what is below 'exports/web1/file/': no role of user 'web1' allows it", "cannot export 'exports/elsewhere/file/web1//x'"
            wait_until(lambda: reading in status(scratch, run), "status shows what cannot be read")
            etcd.ctl("role", "grant-permission", "host-web1", "--prefix=true", "read", "/mgmt/1/")
            wait_until(lambda: read(scratch.at("seen")) == "1", "it is read", 2 * SECONDS)
            wait_until(lambda: exporting in status(scratch, run), "status shows what cannot be exported")
            check(reading not in status(scratch, run), "status still shows what can be read again")
            etcd.ctl("role", "grant-permission", "host-web1", "--prefix=true", "readwrite", "/mgmt/1/exports/elsewhere/")
            wait_until(lambda: "/mgmt/1/exports/elsewhere/file/web1//x" in etcd.ctl("get", "--prefix", "--keys-only", "/mgmt/1/exports/"), "it is exported", 2 * SECONDS)
            wait_until(lambda: "cannot" not in status(scratch, run), "status is well again")
            for line in reading, exporting:
                said = [l for l in run.stderr().splitlines() if line in l and "this is over" not in l]
                check_equal(len(said), 1, f"how often it was said: {said}")
            run.end(signal.SIGINT)


def deploying(scratch):
    """Who may not write the list of deploys cannot deploy to the others, and hears why; with the rights of docs/deploys.md it can"""
    with Etcd(scratch) as etcd, start(scratch, "web1", 'print "here" {}\n') as run:
        run.wait_converged()
        program = scratch.program('print "there" {}\n', "deployed.mcl")
        done = scratch.ctl("deploy", program, MGMT_BUS_ADDRESS=run.bus())
        check_equal(done.returncode, 1, "exit status of a deploy that is not allowed")
        check("cannot store the deploy: no role of user 'web1' allows it" in done.stderr, f"it says {done.stderr!r}")
        for line in read(DEPLOYS).splitlines():
            if line.startswith("    etcdctl ") and "host-admin" in line:
                etcd.ctl(*line.replace("host-admin", "host-web1").split()[1:])
        done = scratch.ctl("deploy", program, MGMT_BUS_ADDRESS=run.bus())
        check_equal((done.returncode, done.stderr), (0, ""), "exit status and errors of one that is")
        check("/mgmt/1/deploys/list/00000000000000000001" in etcd.ctl("get", "--prefix", "--keys-only", "/mgmt/1/deploys/list/"), "it is not there")
        run.end(signal.SIGINT)


main(own, foreign, later, refused_until_allowed, deploying)
