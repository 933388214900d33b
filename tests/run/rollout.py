#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploys of a cluster: three hosts, each with a bus and daemons of its own, around a real etcd; from mgmtctl on one of them to files
of all."""

import base64
import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request

sys.dont_write_bytecode = True
from harness import BUILD, SECONDS, Failed, Skipped, check, check_equal, kill, main, read, wait_until, write
from ports import own_port

NAMES = ("h1", "h2", "h3")

BUS = """<busconfig>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""


class Host:
    """A bus, the sockets, and the daemons that a deploy needs."""

    def __init__(self, cluster, name):
        self.cluster, self.name, self.scratch = cluster, name, cluster.scratch
        self.directory = self.scratch.at(name)
        self.processes, self.listeners = {}, {}
        os.mkdir(self.directory)
        write(self.at("bus.conf"), BUS.format(path=self.at("bus.sock")))

    def at(self, name):
        return os.path.join(self.directory, name)

    def environment(self, daemon=None):
        more = {"STATE_DIRECTORY": self.at("state-" + daemon)} if daemon else {}
        return {**self.scratch.environment(), "MGMT_RUNTIME_DIR": self.directory, "MGMT_BUS_ADDRESS": "unix:path=" + self.at("bus.sock"),
                "MGMT_STORE": self.cluster.store, "MGMT_LOG_LEVEL": "info", **more}

    def spawn(self, name, command, daemon=None, listener=None):
        if listener:
            fd = listener.fileno()
            command = ["bash", "-c", f'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$0" "$@" 3<&{fd}', *command]
        with open(self.at(name + ".log"), "ab") as log:
            self.processes[name] = subprocess.Popen(command, env=self.environment(daemon), cwd=self.directory, stdin=subprocess.DEVNULL,
                                                    stdout=log, stderr=log, pass_fds=[listener.fileno()] if listener else [])

    def start_daemon(self, name):
        """Its socket is made once and stays, as a service manager has it."""
        if name not in self.listeners:
            s = socket.socket(socket.AF_UNIX)
            s.bind(self.at(name + ".sock"))
            s.listen(64)
            self.listeners[name] = s
        arguments = {"engine": ["--hostname=" + self.name, "--converger-timeout=0"],
                     "lang": ["--hostname=" + self.name, "--trust=" + self.at("trusted-keys")]}
        self.spawn(name, [os.path.join(BUILD, "mgmt-" + name), *arguments.get(name, [])], name, self.listeners[name])

    def start(self):
        if "bus" not in self.processes:
            self.spawn("bus", ["dbus-daemon", "--config-file=" + self.at("bus.conf"), "--nofork", "--nopidfile"])
            wait_until(self.is_bus_there, "the bus")
        for name in "world", "engine", "lang":
            if name not in self.processes:
                self.start_daemon(name)

    def is_bus_there(self):
        with socket.socket(socket.AF_UNIX) as s:
            return s.connect_ex(self.at("bus.sock")) == 0

    def kill(self, name):
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def stop(self):
        for name in "lang", "engine", "world":
            self.processes[name].terminate()
        for name in "lang", "engine", "world":
            check_equal(self.processes.pop(name).wait(SECONDS), 0, f"exit status of mgmt-{name}")

    def end(self):
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()
        for s in self.listeners.values():
            s.close()
        self.processes = {}

    def command(self, *arguments, **more):
        environment = {k: v for k, v in self.environment().items() if k not in ("STATE_DIRECTORY", "MGMT_LOG_LEVEL")}
        return subprocess.Popen([os.path.join(BUILD, "mgmtctl"), *arguments], env=environment, cwd=self.directory, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)

    def ctl(self, *arguments, seconds=2 * SECONDS):
        """Status, and all that was said."""
        process = self.command(*arguments)
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise Failed(f"mgmtctl {' '.join(arguments)} still runs after {seconds} s: {out}{err}") from None
        return process.returncode, out + err

    def ok(self, *arguments):
        code, said = self.ctl(*arguments)
        check(code == 0, f"mgmtctl {' '.join(arguments)} on {self.name} exits with {code}: {said}")
        return said

    def fails(self, *arguments):
        code, said = self.ctl(*arguments)
        check(code == 1, f"mgmtctl {' '.join(arguments)} on {self.name} exits with {code}: {said}")
        return said

    def deploys(self):
        return [json.loads(line) for line in self.ok("--json", "deploys").splitlines()]

    def property(self, resource, name):
        return subprocess.run(["busctl", "--address=unix:path=" + self.at("bus.sock"), "get-property", "org.mgmt.engine1",
                               "/org/mgmt/engine1/resource/" + resource, "org.mgmt.engine1.Resource", name],
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout

    def log(self, daemon):
        return read(self.at(daemon + ".log")) or ""

    def wait_log(self, daemon, text, seconds=SECONDS):
        wait_until(lambda: text in self.log(daemon), f"mgmt-{daemon} of {self.name} says '{text}'", seconds)

    def is_ready(self):
        return self.ctl("deploys")[0] == 0


class Cluster:
    def __init__(self, scratch, members=1):
        self.scratch, self.members = scratch, members
        self.etcds, self.hosts = {}, []

    def __enter__(self):
        if not all(map(shutil.which, ("etcd", "dbus-daemon", "busctl"))):
            raise Skipped("etcd, dbus-daemon or busctl is not installed")
        ports = [own_port() for _ in range(2 * self.members)]
        self.clients = [f"http://127.0.0.1:{p}" for p in ports[:self.members]]
        self.peers = [f"http://127.0.0.1:{p}" for p in ports[self.members:]]
        self.store = "etcd:" + ",".join(self.clients)
        try:
            for i in range(self.members):
                self.start_etcd(i)
            self.hosts = [Host(self, name) for name in NAMES]
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, *_):
        for host in self.hosts:
            host.end()
            if kind:
                for name in "world", "lang", "engine":
                    print("# " + f"{host.name} {name}:\n{host.log(name)[-1500:]}".replace("\n", "\n#   "))
        for i in list(self.etcds):
            self.kill_etcd(i)

    def kill_etcd(self, i):
        etcd = self.etcds.pop(i)
        etcd.kill()
        etcd.wait()

    def start_etcd(self, i):
        members = ",".join(f"n{k}={peer}" for k, peer in enumerate(self.peers))
        self.etcds[i] = subprocess.Popen(
            ["etcd", "--name", f"n{i}", "--data-dir", self.scratch.at(f"etcd{i}"), "--log-level", "error", "--heartbeat-interval", "50",
             "--election-timeout", "500", "--unsafe-no-fsync", "--listen-client-urls", self.clients[i], "--advertise-client-urls",
             self.clients[i], "--listen-peer-urls", self.peers[i], "--initial-advertise-peer-urls", self.peers[i], "--initial-cluster",
             members], env=self.scratch.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def etcdctl(self, *arguments):
        done = subprocess.run(["etcdctl", f"--command-timeout={SECONDS}s", f"--dial-timeout={SECONDS}s", *arguments], env={**os.environ, "ETCDCTL_API": "3"}, cwd=self.scratch.path, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        check(done.returncode == 0, f"etcdctl {' '.join(arguments)}: {done.stdout}")

    def back_up(self):
        self.etcdctl("--endpoints", self.clients[0], "snapshot", "save", "backup")

    def restore(self):
        """Of one member."""
        self.kill_etcd(0)
        shutil.rmtree(self.scratch.at("etcd0"))
        self.etcdctl("snapshot", "restore", "backup", "--name", "n0", "--data-dir", "etcd0", "--initial-cluster", f"n0={self.peers[0]}",
                     "--initial-advertise-peer-urls", self.peers[0])
        self.start_etcd(0)

    def post(self, path, body):
        request = urllib.request.Request(f"{self.clients[0]}/v3/{path}", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=SECONDS) as f:
            return json.load(f)

    def keys(self, prefix):
        """What is below, and its values."""
        text = lambda s: base64.b64decode(s).decode(errors="replace")
        code = lambda s: base64.b64encode(s.encode()).decode()
        whole = "/mgmt/1/" + prefix
        found = self.post("kv/range", {"key": code(whole), "range_end": code(whole[:-1] + chr(ord(whole[-1]) + 1))})
        return {text(kv["key"])[len("/mgmt/1/"):]: text(kv["value"]) for kv in found.get("kvs", [])}

    def start(self):
        for host in self.hosts:
            host.start()
        for host in self.hosts:
            wait_until(host.is_ready, f"{host.name} is there")
        wait_until(lambda: len(self.keys("deploys/hosts/")) == len(NAMES), "all hosts are known")


def site(scratch, who, more=""):
    """A program that says who it is in a file for each host."""
    return scratch.program('file "$SCRATCH/${hostname}-who" {\n\tstate => "exists",\n\tcontent => "%s\\n",\n}\n%s' % (who, more), who + ".mcl")


def who(scratch, name):
    return (read(scratch.at(name + "-who")) or "").strip()


def wait_who(scratch, text, names=NAMES):
    for name in names:
        wait_until(lambda: who(scratch, name) == text, f"{name} is '{text}' (it is '{who(scratch, name)}')")


def wait_state(cluster, name, deploy, state):
    def now():
        said = json.loads(cluster.keys("deploys/hosts/").get("deploys/hosts/" + name, "{}"))
        return (said.get("deploy"), said.get("state"))

    wait_until(lambda: now() == (deploy, state), f"{name} says {state} of deploy {deploy} (it says {now()})")


# ---- the cases ----

def reaches_all(scratch):
    """A deploy on one host reaches all, a late one and one that was off; what is in force starts without the cluster"""
    with Cluster(scratch) as cluster:
        h1, h2, h3 = cluster.hosts
        for host in h1, h2:
            host.start()
            wait_until(host.is_ready, f"{host.name} is there")
        check("deploy 1 is in force" in h1.ok("deploy", site(scratch, "first")), "no word of success")
        wait_who(scratch, "first", ("h1", "h2"))
        wait_state(cluster, "h1", 1, "converged")
        wait_state(cluster, "h2", 1, "converged")
        check_equal([(d["deploy"], d["in_force"], d["hosts"]) for d in h2.deploys()], [(1, True, "")], "the list on the other host")

        h3.start()
        wait_who(scratch, "first", ("h3",))
        h2.stop()
        check("deploy 2 is in force" in h3.ok("deploy", site(scratch, "second")), "no word of success")
        wait_who(scratch, "second", ("h1", "h3"))
        check_equal(who(scratch, "h2"), "first", "what is off")
        h2.start()
        wait_who(scratch, "second", ("h2",))
        wait_state(cluster, "h2", 2, "converged")

        # Larger than a request may be, with what does not compress.
        blob = base64.b64encode(os.urandom(1500 * 1000)).decode()
        os.makedirs(scratch.at("big/files"))
        write(scratch.at("big/metadata.yaml"), "main: main.mcl\nfiles: files/\n")
        write(scratch.at("big/files/blob"), blob)
        write(scratch.at("big/main.mcl"), 'import "deploy"\nfile "%s/${hostname}-who" {\n\tstate => "exists",\n\tcontent => '
              'deploy.readfile("/files/blob"),\n}\n' % scratch.path)
        h1.ok("deploy", scratch.at("big"))
        wait_who(scratch, blob)
        wait_state(cluster, "h2", 3, "converged")

        # Back, on another host; then everything but h2 dies.
        h2.ok("rollback")
        wait_who(scratch, "second")
        wait_state(cluster, "h2", 4, "converged")
        h2.stop()
        cluster.kill_etcd(0)
        os.unlink(scratch.at("h2-who"))
        h2.start()
        wait_who(scratch, "second", ("h2",))
        code, said = h2.ctl("deploy", site(scratch, "alone"))
        check(code == 1 and "the program runs, but cannot be kept" in said, f"status {code}: {said}")


def signed(scratch):
    """A host that trusts somebody takes nothing else from the cluster: neither unsigned nor changed nor old nor meant for others"""
    if not shutil.which("ssh-keygen"):
        raise Skipped("no ssh-keygen")
    for name in "admin", "mallory":
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", scratch.at(name)], check=True)
    admin, mallory = scratch.at("admin"), scratch.at("mallory")
    with Cluster(scratch) as cluster:
        h1, h2, _ = cluster.hosts
        shutil.copy(admin + ".pub", h1.at("trusted-keys"))
        cluster.start()
        h2.ok("deploy", "--sign", admin, site(scratch, "good"))
        wait_who(scratch, "good")
        wait_state(cluster, "h1", 1, "converged")

        h2.ok("deploy", site(scratch, "unsigned"))
        wait_who(scratch, "unsigned", ("h2", "h3"))
        h1.wait_log("lang", "this host takes only programs that are signed")
        wait_state(cluster, "h1", 2, "refused")
        check("it is not signed" in cluster.keys("deploys/hosts/h1")["deploys/hosts/h1"], "the cluster does not hear why")
        h2.ok("deploy", "--sign", mallory, site(scratch, "strange"))
        wait_state(cluster, "h1", 3, "refused")
        h1.wait_log("lang", "who is not trusted")

        h2.ok("deploy", "--sign", admin, site(scratch, "better"))
        wait_who(scratch, "better")
        wait_state(cluster, "h1", 4, "converged")

        # Somebody who may write the store: brings the first one back, changes the last one, and gives to all what was meant for some.
        entry = "deploys/list/%020d"
        part = "deploys/parts/%020d/0000"
        everything = {**cluster.keys("deploys/list/"), **cluster.keys("deploys/parts/")}

        def put(key, value):
            code = lambda s: base64.b64encode(s).decode()
            cluster.post("kv/put", {"key": code(b"/mgmt/1/" + key.encode()), "value": code(value)})

        def raw(key):
            found = cluster.post("kv/range", {"key": base64.b64encode(b"/mgmt/1/" + key.encode()).decode()})
            return base64.b64decode(found["kvs"][0]["value"])

        put(part % 5, raw(part % 1))
        put(entry % 5, everything[entry % 1].encode())
        wait_state(cluster, "h1", 5, "refused")
        h1.wait_log("lang", "it is older (sequence")
        put(part % 6, raw(part % 4).replace(b"better", b"bitter"))
        put(entry % 6, everything[entry % 4].encode())
        wait_state(cluster, "h1", 6, "refused")
        h1.wait_log("lang", "something was changed")
        wait_who(scratch, "bitter", ("h2", "h3"))       # they trust everybody
        put(part % 7, b"what is this")
        put(entry % 7, everything[entry % 4].encode())
        h1.wait_log("world", "cannot read deploy 7 of the cluster")
        wait_state(cluster, "h1", 7, "refused")
        check_equal(who(scratch, "h1"), "better", "what the host runs")

        h1.ok("deploy", "--sign", admin, site(scratch, "best"))
        wait_who(scratch, "best")
        wait_state(cluster, "h1", 8, "converged")
        check("deploy 8 is in force" not in h1.log("lang"), "it came to itself from the cluster")
        h1.stop()
        h1.start()
        h1.wait_log("lang", "deploy 8 is in force")


def failures_are_told(scratch):
    """What has become of a deploy on each host is told: a resource that fails, a run-time error, and their end"""
    more = """
exec "flag" {
        cmd => "/usr/bin/test ${hostname} != h2",
        shell => "/bin/sh",
}
"""
    with Cluster(scratch) as cluster:
        h1, _, h3 = cluster.hosts
        cluster.start()
        h1.ok("deploy", site(scratch, "one", more))
        wait_state(cluster, "h1", 1, "converged")
        wait_state(cluster, "h2", 1, "failed")
        check("exec[flag]: cmd" in cluster.keys("deploys/hosts/h2")["deploys/hosts/h2"], "the error is not told")
        h3.kill("engine")
        h3.start_daemon("engine")
        wait_state(cluster, "h3", 1, "converged")
        for host in cluster.hosts:
            host.kill("world")
            host.start_daemon("world")
        h1.ok("deploy", site(scratch, "two"))
        for name in NAMES:
            wait_state(cluster, name, 2, "converged")


def failing_on(*names):
    """Part of a program: a resource that fails on these."""
    hosts = ", ".join(f'"{n}"' for n in names)
    return f"""
if $hostname in [{hosts}] {{
        exec "bad" {{
                cmd => "/bin/false",
        }}
}}
"""


def list_of(host):
    return [(d["deploy"], d["hosts"]) for d in host.deploys()]


def staged(scratch):
    """The canaries take it first; what fails there goes back and nobody else has seen it; what does well is released to all"""
    with Cluster(scratch, members=3) as cluster:
        h1, h2, h3 = cluster.hosts
        cluster.start()
        h3.ok("deploy", site(scratch, "old"))
        wait_who(scratch, "old")

        # From a host that is none of them.
        said = h3.fails("deploy", "--canary", "2", site(scratch, "broken", failing_on("h2")))
        check("deploy 2 is on its way to h1,h2" in said, said)
        check("h2 failed: " in said and "exec[bad]: cmd '/bin/false' failed with status 1" in said, said)
        check("h1,h2: back to deploy 1, as deploy 3" in said, said)
        wait_who(scratch, "old")
        for name in "h1", "h2":
            wait_state(cluster, name, 3, "converged")
        check("broken" not in h3.log("lang") and "deploy 2" not in h3.log("lang"), "a host that is no canary has seen it")
        check_equal(list_of(h1), [(3, "h1,h2"), (2, "h1,h2"), (1, "")], "the list")

        said = h1.ok("deploy", "--canary", "2", site(scratch, "new"))
        check("h1 converged" in said and "h2 converged" in said and "released to all hosts as deploy 5" in said, said)
        wait_who(scratch, "new")
        for name in NAMES:
            wait_state(cluster, name, 5, "converged")
        check("generation 4:" not in h3.log("engine"), "the others saw more than the old one and the new one")

        said = h2.fails("deploy", "--canary", "3", "--max-failing", "1", site(scratch, "worse", failing_on("h2", "h3")))
        check("h1,h2,h3: back to deploy 5, as deploy 7" in said, said)
        wait_who(scratch, "new")
        said = h2.ok("deploy", "--canary", "3", "--max-failing", "1", site(scratch, "bearable", failing_on("h2")))
        check("h2 failed: " in said and "released to all hosts as deploy 9" in said, said)
        wait_who(scratch, "bearable")

        # What does not even begin there, and what never ends.
        said = h2.fails("deploy", "--canary", "h3", site(scratch, "odd", 'if $hostname == "h3" {\n\tfile "relative" {}\n}\n'))
        check("h3 refused: " in said and "odd.mcl:" in said and "h3: back to deploy 9, as deploy 11" in said, said)
        wait_state(cluster, "h3", 11, "converged")
        slow = site(scratch, "slow", 'exec "slow" {\n\tcmd => "/bin/sleep 300",\n}\n')
        said = h2.fails("deploy", "--canary", "h3", "--wait", "2", slow)
        check("h3 has not converged after 2 s" in said and "h3: back to deploy 9, as deploy 13" in said, said)
        wait_who(scratch, "bearable")
        said = h2.fails("deploy", "--canary", "4", site(scratch, "many"))
        check("the cluster has 3 hosts, not 4" in said, said)
        check("the cluster has no host 'h4'" in h2.fails("deploy", "--canary", "h1,h4", site(scratch, "many")), "an unknown host is taken")

        # For machines.
        said = [json.loads(line) for line in h2.fails("--json", "deploy", "--canary", "h2", site(scratch, "last", failing_on("h2"))).splitlines()]
        check_equal([(o.get("host"), o.get("state")) for o in said if o["type"] == "host"][-1], ("h2", "failed"), "the last state")
        check("exec[bad]: " in [o for o in said if o["type"] == "host"][-1]["text"], said)
        check_equal(said[-1], {"type": "stopped", "deploy": 15, "canary": 14}, "the last line")

        h1.ok("rollback", "1")
        wait_who(scratch, "old")
        rows = {r["host"]: (r["deploy"], r["state"]) for r in map(json.loads, h2.ok("--json", "deploys", "--hosts").splitlines())}
        wait_state(cluster, "h3", 16, "converged")
        check_equal(set(rows), set(NAMES), "the hosts that are shown")
        wait_until(lambda: re.search(r"^h3 +16 +converged", h2.ok("deploys", "--hosts"), re.M), "the table of hosts says so")


def first_of_all(scratch):
    """Where there is nothing to go back to, the canaries keep it; a host that shares nothing has no canaries"""
    with Cluster(scratch) as cluster:
        h1, _, _ = cluster.hosts
        cluster.start()
        said = h1.fails("deploy", "--canary", "1", site(scratch, "broken", failing_on("h1")))
        check("there is no earlier deploy to go back to" in said and "deploy 1 stays in force on h1" in said, said)
        check_equal((who(scratch, "h2"), who(scratch, "h3")), ("", ""), "what others run")
        h1.ok("deploy", site(scratch, "good"))
        wait_who(scratch, "good")

        cluster.store = "sqlite:"
        h1.stop()
        h1.start()
        wait_until(h1.is_ready, "h1 is there")
        check("this host shares nothing with others" in h1.fails("deploy", "--canary", "1", site(scratch, "good")), "canaries on one host")


class RollOut:
    """mgmtctl in the middle of one: some hosts have it, and do not converge before $SCRATCH/go is there."""

    def __init__(self, scratch, host, text, *arguments):
        self.scratch, self.host = scratch, host
        program = site(scratch, text, """
exec "wait for %s" {
        cmd => "/usr/bin/test -e $SCRATCH/go",
        shell => "/bin/sh",
        Meta:retry => -1,
        Meta:delay => 50,
}
""" % text)
        self.process = host.command("deploy", *arguments, program)

    def go(self):
        write(self.scratch.at("go"), "")

    def end(self, code):
        out, err = self.process.communicate(timeout=2 * SECONDS)
        check_equal(self.process.returncode, code, f"its status; it said {out}{err}")
        return out + err


def dies_in_the_middle(scratch):
    """When mgmtctl dies nothing spreads by itself, and a rollback ends it; when mgmt-world does, it goes on; who is overtaken stops"""
    with Cluster(scratch) as cluster:
        h1, h2, h3 = cluster.hosts
        cluster.start()
        h3.ok("deploy", site(scratch, "old"))
        wait_who(scratch, "old")

        run = RollOut(scratch, h3, "dead", "--canary", "2")
        wait_who(scratch, "dead", ("h1", "h2"))
        run.process.kill()
        run.process.wait()
        run.go()
        for name in "h1", "h2":
            wait_state(cluster, name, 2, "converged")
        check_equal((list_of(h3), who(scratch, "h3")), ([(2, "h1,h2"), (1, "")], "old"), "the list, and what h3 runs")
        check(re.search(r"2 .* h1,h2 .*dead", h3.ok("deploys")), "the table does not say who has it")
        h3.ok("rollback")
        wait_who(scratch, "old")
        check_equal(list_of(h1)[0], (3, ""), "the newest")

        os.unlink(scratch.at("go"))
        run = RollOut(scratch, h3, "asked", "--canary", "1")
        wait_who(scratch, "asked", ("h1",))
        run.process.send_signal(signal.SIGTERM)
        check("deploy 4 stays in force on h1" in run.end(1), "who is asked to end does not say what is left")

        # mgmt-world of the one who deploys, and of a canary.
        run = RollOut(scratch, h3, "new", "--canary", "2")
        wait_who(scratch, "new", ("h1", "h2"))
        for host in h3, h1:
            host.kill("world")
        run.go()
        for host in h1, h3:
            host.start_daemon("world")
        check("released to all hosts as deploy 6" in run.end(0), "it is not released")
        wait_who(scratch, "new")

        os.unlink(scratch.at("go"))
        run = RollOut(scratch, h3, "slow", "--canary", "2")
        wait_who(scratch, "slow", ("h1", "h2"))
        h1.ok("deploy", site(scratch, "quick"))
        check("deploy 8 took its place on h" in run.end(1), "it does not say that it was overtaken")
        wait_who(scratch, "quick")


def kept(scratch):
    """Whenever mgmt-world is killed, what is in force on its host is kept in the end, and starts without the cluster"""
    seed = int(os.environ.get("MGMT_SEED", time.time_ns() % 1000000))
    print(f"# seed {seed}")
    chance = random.Random(seed)
    with Cluster(scratch) as cluster:
        h1, h2, _ = cluster.hosts
        cluster.start()
        for n in range(1, 11):
            deploying = h1.command("deploy", site(scratch, f"v{n}"))
            time.sleep(chance.uniform(0, 0.15))         # wherever it is by then
            host = chance.choice((h1, h2))
            host.kill("world")
            host.start_daemon("world")
            said = deploying.communicate(timeout=2 * SECONDS)
            check_equal((deploying.returncode, said[1]), (0, ""), "exit status of deploy, and what it says")
            wait_who(scratch, f"v{n}")

        def in_database():
            with contextlib.closing(sqlite3.connect(h2.at("state-world/world.sqlite"), timeout=SECONDS)) as db:
                return db.execute("SELECT id FROM cluster_deploy").fetchall()

        # One whose answer was lost was added once more.
        wait_until(h1.is_ready, "mgmt-world is back on the bus")
        newest = h1.deploys()[0]["deploy"]
        check(10 <= newest <= 20, f"there are {newest} deploys")
        wait_until(lambda: in_database() == [(newest,)], f"h2 keeps deploy {newest}, not {in_database()}")
        wait_state(cluster, "h2", newest, "converged")
        h2.stop()
        cluster.kill_etcd(0)
        os.unlink(scratch.at("h2-who"))
        h2.start()
        wait_who(scratch, "v10", ("h2",))


def store_dies_in_the_middle(scratch):
    """Members of the store die during a roll-out, then all of them: it goes on when they are back"""
    with Cluster(scratch, members=3) as cluster:
        h1, h2, h3 = cluster.hosts
        cluster.start()
        h3.ok("deploy", site(scratch, "old"))
        wait_who(scratch, "old")
        run = RollOut(scratch, h3, "new", "--canary", "2")
        wait_who(scratch, "new", ("h1", "h2"))
        cluster.kill_etcd(0)
        run.go()
        check("released to all hosts as deploy 3" in run.end(0), "it is not released")
        wait_who(scratch, "new")
        cluster.start_etcd(0)

        os.unlink(scratch.at("go"))
        run = RollOut(scratch, h3, "newer", "--canary", "2")
        wait_who(scratch, "newer", ("h1", "h2"))
        for i in range(3):
            cluster.kill_etcd(i)
        run.go()                                # they converge while nobody hears of it
        for host in h1, h2:
            wait_until(lambda: "s \"ok\"" in host.property("exec/wait_20for_20newer", "State"), f"{host.name} has converged")
        check(run.process.poll() is None, "it does not wait")
        for i in range(3):
            cluster.start_etcd(i)
        check("released to all hosts as deploy 5" in run.end(0), "it is not released")
        wait_who(scratch, "newer")


def signed_stages(scratch):
    """Each stage is signed by itself: the names of the canaries cannot be taken off, and they can go back"""
    if not shutil.which("ssh-keygen"):
        raise Skipped("no ssh-keygen")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", scratch.at("admin")], check=True)
    admin = scratch.at("admin")
    with Cluster(scratch) as cluster:
        h1, h2, h3 = cluster.hosts
        for host in cluster.hosts:
            shutil.copy(admin + ".pub", host.at("trusted-keys"))
        cluster.start()
        h1.ok("deploy", "--sign", admin, site(scratch, "old"))
        wait_who(scratch, "old")
        said = h3.fails("deploy", "--sign", admin, "--canary", "2", site(scratch, "broken", failing_on("h2")))
        check("h1,h2: back to deploy 1, as deploy 3" in said, said)
        wait_who(scratch, "old")
        wait_state(cluster, "h1", 3, "converged")
        h3.ok("deploy", "--sign", admin, "--canary", "2", site(scratch, "new"))
        wait_who(scratch, "new")
        check(all(d["signed"] for d in h3.deploys()), "a stage is not signed")

        said = h3.fails("deploy", "--canary", "1", site(scratch, "unsigned"))
        check("h1 refused: " in said and "it is not signed" in said and "h1: back to deploy 5" in said, said)
        wait_state(cluster, "h1", 7, "refused")

        # The canaries have it; somebody who may write the store, and has no key, gives it to all.
        run = RollOut(scratch, h3, "trial", "--sign", admin, "--canary", "h1")
        wait_who(scratch, "trial", ("h1",))
        run.process.kill()
        run.process.wait()
        entry, part = cluster.keys("deploys/list/")["deploys/list/%020d" % 8], cluster.keys("deploys/parts/")["deploys/parts/%020d/0000" % 8]
        check('"hosts":"h1"' in entry, entry)
        code = lambda s: base64.b64encode(s.encode()).decode()
        cluster.post("kv/put", {"key": code("/mgmt/1/deploys/list/%020d" % 8), "value": code(entry.replace('"hosts":"h1"', '"hosts":""'))})
        for host in h2, h3:
            host.wait_log("lang", "something was changed")
            check_equal(who(scratch, host.name), "new", f"what {host.name} runs")
        h3.ok("rollback", "--sign", admin, "5")
        wait_who(scratch, "new")


def restored(scratch):
    """A store that was restored from a backup: all hosts are in it again, and take what is deployed next, whatever its number"""
    if not shutil.which("etcdctl"):
        raise Skipped("etcdctl is not installed")
    with Cluster(scratch) as cluster:
        h1, h2, h3 = cluster.hosts
        cluster.start()
        h1.ok("deploy", site(scratch, "first"))
        wait_who(scratch, "first")
        for name in NAMES:
            wait_state(cluster, name, 1, "converged")
        cluster.back_up()
        h2.stop()
        for text in "second", "third":
            h1.ok("deploy", site(scratch, text))
        wait_who(scratch, "third", ("h1", "h3"))
        wait_state(cluster, "h3", 3, "converged")

        cluster.restore()
        for host in h1, h3:
            host.wait_log("world", "the cluster was restored from a backup, or made anew")
            host.wait_log("world", "older than the one in force here (3)")
            wait_state(cluster, host.name, 3, "converged")      # written again, and what is in force stays
        check_equal(who(scratch, "h1"), "third", "what is in force")

        # Number 2 was another deploy, which two of them have seen.
        h2.start()
        wait_until(h2.is_ready, "h2 is there")
        check("deploy 2 is in force" in h2.ok("deploy", site(scratch, "after")), "no word of success")
        wait_who(scratch, "after")
        for name in NAMES:
            wait_state(cluster, name, 2, "converged")
        h1.wait_log("world", "was made after deploy 3, which this host has")
        h3.stop()
        h3.start()
        h1.ok("deploy", site(scratch, "last"))
        wait_who(scratch, "last")
        wait_state(cluster, "h3", 3, "converged")


main(reaches_all, signed, failures_are_told, staged, first_of_all, dies_in_the_middle, kept, store_dies_in_the_middle, signed_stages, restored)
