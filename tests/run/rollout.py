#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploys of a cluster: three hosts, each with a bus and daemons of its own, around a real etcd; from mgmtctl on one of them to files
of all."""

import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

sys.dont_write_bytecode = True
from harness import BUILD, Failed, Skipped, check, check_equal, kill, main, read, wait_until, write

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


def free_ports(n):
    held = [socket.socket() for _ in range(n)]
    for s in held:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


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
            wait_until(lambda: os.path.exists(self.at("bus.sock")), "the bus")
        for name in "world", "engine", "lang":
            if name not in self.processes:
                self.start_daemon(name)

    def kill(self, name):
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def stop(self):
        for name in "lang", "engine", "world":
            self.processes[name].terminate()
        for name in "lang", "engine", "world":
            check_equal(self.processes.pop(name).wait(20), 0, f"exit status of mgmt-{name}")

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

    def ctl(self, *arguments, seconds=40):
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

    def log(self, daemon):
        return read(self.at(daemon + ".log")) or ""

    def wait_log(self, daemon, text, seconds=20):
        wait_until(lambda: text in self.log(daemon), f"mgmt-{daemon} of {self.name} says '{text}'", seconds)

    def is_ready(self):
        return self.ctl("deploys")[0] == 0


class Cluster:
    def __init__(self, scratch, members=1):
        self.scratch, self.members = scratch, members
        self.etcds, self.hosts = [], []

    def __enter__(self):
        if not shutil.which("etcd") or not shutil.which("dbus-daemon"):
            raise Skipped("etcd or dbus-daemon is not installed")
        ports = free_ports(2 * self.members)
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
        for etcd in self.etcds:
            etcd.kill()
            etcd.wait()

    def start_etcd(self, i):
        members = ",".join(f"n{k}={peer}" for k, peer in enumerate(self.peers))
        self.etcds.append(subprocess.Popen(
            ["etcd", "--name", f"n{i}", "--data-dir", self.scratch.at(f"etcd{i}"), "--log-level", "error", "--heartbeat-interval", "50",
             "--election-timeout", "500", "--unsafe-no-fsync", "--listen-client-urls", self.clients[i], "--advertise-client-urls",
             self.clients[i], "--listen-peer-urls", self.peers[i], "--initial-advertise-peer-urls", self.peers[i], "--initial-cluster",
             members], env=self.scratch.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def post(self, path, body):
        request = urllib.request.Request(f"{self.clients[0]}/v3/{path}", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=10) as f:
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
        for etcd in cluster.etcds:
            etcd.kill()
            etcd.wait()
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
        put(part % 7, b"what is this")
        put(entry % 7, everything[entry % 4].encode())
        h1.wait_log("world", "cannot read deploy 7 of the cluster")
        wait_state(cluster, "h1", 7, "refused")
        check_equal(who(scratch, "h1"), "better", "what the host runs")
        check_equal(who(scratch, "h2"), "bitter", "what a host runs that trusts everybody")

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


main(reaches_all, signed, failures_are_told)
