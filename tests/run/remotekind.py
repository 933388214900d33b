#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The resource `remote` with real sshds: what a cluster deploys runs on hosts where nothing of mgmt is."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys

sys.dont_write_bytecode = True
from harness import SECONDS, Run, check, check_equal, kill, main, read, wait_until, write
import sshd
from sshd import NETWORK, Etcd, make_key

EXIT = ("--converger-timeout=0", "--converged-exit")
PROGRAM = """
file "$SCRATCH/${hostname}.out" {
        state => "exists",
        content => "I am ${hostname}\\n",
}
"""


def read_bytes(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""


def parent(pid):
    return int(re.search(r"^PPid:\s*(\d+)$", read(f"/proc/{pid}/status"), re.MULTILINE)[1])


class Host(sshd.Host):
    """Whose /var/lib is its own."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.out = self.scratch.at(f"{self.name}.out")
        subprocess.run([*self.enter, "mount", "--bind", self.tmp, "/var/lib"], check=True)

    def processes(self):
        """All of mgmt that runs in its namespace."""
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{pid}/ns/mnt") != os.readlink(f"/proc/{self.holder.pid}/ns/mnt"):
                    continue
                name = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
            except OSError:
                continue
            if name.startswith("mgmt"):
                found[int(pid)] = name
        return found

    def is_idle(self):
        return not self.processes()

    def wait_idle(self):
        wait_until(self.is_idle, f"nothing runs on {self.name}")

    def directories(self):
        """Of resources."""
        path = os.path.join(self.tmp, "mgmt/remote")
        return [os.path.join(path, d) for d in os.listdir(path)] if os.path.isdir(path) else []

    def has_run(self):
        return read(self.out) == f"I am {self.name}\n"

    def wait_run(self):
        wait_until(self.has_run, f"the program has run on {self.name}", 3 * SECONDS)

    def pids(self, name):
        return [pid for pid, n in self.processes().items() if n == name]

    def keeper(self):
        """What has the lock of the one directory."""
        found = [pid for pid in self.pids("mgmt-remote") if b"stay" in read_bytes(f"/proc/{pid}/cmdline")]
        check_equal(len(found), 1, f"number of keepers on {self.name}")
        return found[0]

    def stop_sshd(self):
        self.sshd.kill()
        self.sshd.wait()


class Network(sshd.Network):
    Host = Host


class Resources(Run):
    """A program with such resources, on the host that we are."""

    def __init__(self, scratch, etcd, text, *arguments, **environment):
        super().__init__(scratch, "--tmp-prefix", *(arguments or ("--converger-timeout=0",)), scratch.program(text, "resources.mcl"),
                         MGMT_STORE=f"etcd:{etcd.url}", **environment)

    def wait_event(self, what, seconds=3 * SECONDS, **fields):          # some megabytes go there first
        return super().wait_event(what, seconds, **fields)

    def wait_text(self, what, pattern, **fields):
        """An event with such a text."""
        while True:
            event = self.wait_event(what, **fields)
            if re.search(pattern, event.get("text") or ""):
                return event


class Deployer(Run):
    """A member of the cluster who deploys to all."""

    def __init__(self, scratch, etcd, text=PROGRAM):
        super().__init__(scratch, "--tmp-prefix", "--deploys", "--hostname=boss", "--converger-timeout=0", MGMT_STORE=f"etcd:{etcd.url}")
        self.wait_event("it has started", type="started")
        self.deploy(text)

    def deploy(self, text):
        done = self.scratch.ctl("deploy", self.scratch.program(text), MGMT_BUS_ADDRESS=self.bus())
        check_equal(done.returncode, 0, f"exit status of deploy ({done.stdout}{done.stderr})")


def changed(text):
    return dict(type="changed", text=f"state: {text}")


# ---- the cases ----

def connected(scratch):
    """Two hosts at a time run what the cluster deploys, through the tunnel, as long as they are connected; nothing is left that runs"""
    with Network(scratch, 2) as network, Etcd(scratch) as etcd, Deployer(scratch, etcd) as boss:
        one, two = network.hosts
        write(network.known_hosts, f"{one.address} {one.key}\n")
        with Resources(scratch, etcd, f"""
remote "root@{one.address}" {{
        hostname => "h1",
        converger_timeout => -1,
        Meta:retry => -1,
        Meta:delay => 100,
}}
remote "second" {{
        remote => "ssh://{two.address}:22",
        hostkey => "{two.key.split()[1]}",
        caching => false,
        converger_timeout => -1,
        Meta:retry => -1,
        Meta:delay => 100,
}}
""") as run:
            one.wait_run()
            two.wait_run()
            os.unlink(two.out)
            two.wait_run()
            boss.deploy(PROGRAM.replace("I am", "I was"))
            wait_until(lambda: read(one.out) == "I was h1\n" and read(two.out) == "I was h2\n", "both take the next deploy")

            # whatever is killed, it is an error, and another one comes
            (agent,) = one.pids("mgmt-remote")
            kill(agent, signal.SIGKILL)
            run.wait_event("it is missed", type="state", state="retrying", kind="remote", name=f"root@{one.address}")
            wait_until(lambda: one.pids("mgmt-remote") not in ([], [agent]), "one comes again", 3 * SECONDS)
            ssh = set(scratch.processes("mgmt-ssh"))
            check_equal(len(ssh), 2, "number of children")
            kill(parent(min(ssh)), signal.SIGKILL)
            wait_until(lambda: not ssh & set(scratch.processes("mgmt-ssh")), "they end with mgmt-world")
            wait_until(lambda: len(scratch.processes("mgmt-ssh")) == 2, "others are started", 3 * SECONDS)
            for host in network.hosts:
                os.unlink(host.out)
                wait_until(lambda: read(host.out) == f"I was {host.name}\n", "it is repaired there", 3 * SECONDS)
            run.end(signal.SIGINT)
        for host in network.hosts:
            host.wait_idle()
        (kept,) = one.directories()
        check("mgmt-engine" in os.listdir(kept) and "credentials" not in os.listdir(kept), f"what is kept: {os.listdir(kept)}")
        wait_until(lambda: not two.directories(), "what is not to be kept is gone")


def ended(scratch):
    """An attempt is over when what runs there has ended; noop starts nothing, and what leaves the program ends there as well"""
    with Network(scratch, 1) as network, Etcd(scratch) as etcd, Deployer(scratch, etcd):
        (host,) = network.hosts
        text = f'remote "h1" {{\n        remote => "{host.address}",\nMORE}}\n'

        with Resources(scratch, etcd, text.replace("MORE", "        Meta:noop => true,\n"), *EXIT) as run:
            check_equal(run.wait_end(3 * SECONDS), 0, "exit status under noop")
        check_equal(host.directories(), [], "what is there")
        # the timeout is that of this run
        with Resources(scratch, etcd, text.replace("MORE", ""), *EXIT) as run:
            run.wait_event("it has run", **changed("stopped -> running"))
            check_equal(run.wait_end(), 0, "exit status")
        check(host.has_run(), "it has not run there")
        check(host.is_idle(), f"it runs: {host.processes()}")

        os.unlink(host.out)
        write(scratch.at("switch"), "on")
        with Resources(scratch, etcd, 'import "os"\nif os.readfile("$SCRATCH/switch") == "on" {\n'
                       + text.replace("MORE", "        converger_timeout => -1,\n") + "}\n") as run:
            host.wait_run()
            write(scratch.at("switch"), "off")
            run.wait_converged()
            host.wait_idle()
            run.end(signal.SIGINT)


def alone(scratch):
    """What goes on without us is started once, watched, started again when it has ended, and stopped"""
    with Network(scratch, 1) as network, Etcd(scratch, f"{NETWORK}.254") as etcd, Deployer(scratch, etcd):
        (host,) = network.hosts
        text = f"""
remote "web" {{
        remote => "{host.address}",
        hostname => "h1",
        tunnelled => false,
        transient => false,
        MORE
        Meta:retry => -1,
        Meta:delay => 100,
}}
"""
        running = text.replace("MORE", "")
        again = "runs already on h1"
        with Resources(scratch, etcd, running) as run:
            run.wait_event("it is started", **changed("stopped -> running"))
            run.wait_converged()
            host.wait_run()
            keeper = host.keeper()
            run.end(signal.SIGINT)
        os.unlink(host.out)
        host.wait_run()

        with Resources(scratch, etcd, running) as run:
            run.wait_text("it runs", again)
            run.wait_converged()
            (ssh,) = scratch.processes("mgmt-ssh")
            kill(ssh, signal.SIGKILL)
            run.wait_text("it is watched again", again)
            check_equal(host.keeper(), keeper, "the keeper")
            kill(keeper, signal.SIGKILL)
            run.wait_text("its end is noticed", "has ended; it said: ", type="log")
            run.wait_event("it is started again", **changed("stopped -> running"))
            check(host.keeper() != keeper, "it is the same")
            run.end(signal.SIGINT)

        # what is said to it is something else now
        keeper = host.keeper()
        with Resources(scratch, etcd, running.replace('"h1"', '"other"')) as run:
            run.wait_event("it is started anew", **changed("stopped -> running"))
            check(host.keeper() != keeper, "it is the same")
            run.end(signal.SIGINT)

        stopped = text.replace("MORE", 'state => "stopped",')
        with Resources(scratch, etcd, stopped.replace("state", "Meta:noop => true,\n        state"), *EXIT) as run:
            run.wait_event("it would be stopped", kind="remote", type="state", state="drifted")
            check_equal(run.wait_end(), 0, "exit status under noop")
        check(host.keeper() != keeper, "it was stopped under noop")
        for n in range(2):
            with Resources(scratch, etcd, stopped, *EXIT) as run:
                check_equal(run.wait_end(3 * SECONDS), 0, "exit status")
            check_equal([e["text"] for e in run.events if e["type"] == "changed"], [] if n else ["state: running -> stopped"], "changes")
            check(host.is_idle(), f"it runs: {host.processes()}")


def access(scratch):
    """Who it is and who we are: unknown hosts and wrong passwords are refused, and no password is seen anywhere"""
    secret, mark = "p%40ss word", "p@ss word"
    with Network(scratch, 1) as network, Etcd(scratch) as etcd, Deployer(scratch, etcd):
        (host,) = network.hosts
        hashed = subprocess.run(["openssl", "passwd", "-6", mark], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        write(scratch.at("shadow"), f"root:{hashed}:19000:0:99999:7:::\n")
        subprocess.run([*host.enter, "mount", "--bind", scratch.at("shadow"), "/etc/shadow"], check=True)
        host.stop_sshd()
        config = scratch.at("h1.config")
        write(config, read(config).replace("PasswordAuthentication no", "PasswordAuthentication yes"))
        host.start()

        def text(address="root:" + secret, **fields):
            fields = {"remote": f"{address}@{host.address}", "hostname": "h1", "allow_cleartext_password": True, "ssh_id": "", **fields}
            return 'remote "it" {\n' + "".join(f"        {k} => {json.dumps(v)},\n" for k, v in fields.items()) + "}\n"

        def refused(pattern, text):
            with Resources(scratch, etcd, text) as run:
                event = run.wait_event("it fails", type="state", state="failed")
                run.end(signal.SIGINT)
            check(re.search(pattern, event["text"]), f"it says {event['text']!r}, not {pattern!r}")

        refused("does not take the password", text("root:wrong"))
        other = make_key(scratch.at("other")).split()[1]
        write(network.known_hosts, "")
        refused("is not in known_hosts", text())
        refused("is not in known_hosts", text(hostkey=other))
        write(network.known_hosts, f"{host.address} ssh-ed25519 {other}\n")
        refused("is another one than known_hosts has", text())
        write(scratch.at("authorized"), "")
        refused("none of our keys", text("root", ssh_id=scratch.at("other"), hostkey=host.key.split()[1]))
        check("Accepted" not in read(scratch.at("h1.log")), "it logged in")

        with Resources(scratch, etcd, text(hostkey=host.key.split()[1], converger_timeout=-1)) as run:
            host.wait_run()
            for pid in scratch.processes():
                seen = read_bytes(f"/proc/{pid}/cmdline") + read_bytes(f"/proc/{pid}/environ")
                check(mark.encode() not in seen and secret.encode() not in seen, f"the password is seen: {seen}")
            run.end(signal.SIGINT)
        host.wait_idle()
        told = json.dumps(run.events) + run.stderr()
        check(mark not in told and secret not in told, f"the password is told: {told}")


def packages(scratch):
    """What is missing there is said, or installed if it may be"""
    bin_directory = scratch.at("bin")
    os.mkdir(bin_directory)
    for name in os.listdir("/usr/bin"):
        if name not in ("tar", "apt-get", "dnf", "yum"):
            os.symlink(os.path.join("/usr/bin", name), os.path.join(bin_directory, name))
    write(os.path.join(bin_directory, "apt-get"), f"""#!/bin/sh
echo "$*" >>{scratch.at("asked")}
ln -s {shutil.which("tar")} {bin_directory}/tar
""")
    os.chmod(os.path.join(bin_directory, "apt-get"), 0o755)
    with Network(scratch, 1, f"PATH={bin_directory}") as network, Etcd(scratch) as etcd, Deployer(scratch, etcd):
        (host,) = network.hosts
        text = f'remote "h1" {{\n        remote => "{host.address}",\nMORE}}\n'
        with Resources(scratch, etcd, text.replace("MORE", "")) as run:
            event = run.wait_event("it fails", type="state", state="failed")
            check("tar is not installed there" in event["text"], f"it says {event['text']!r}")
            run.end(signal.SIGINT)
        check(not os.path.exists(scratch.at("asked")), "something is installed without being asked for")
        with Resources(scratch, etcd, text.replace("MORE", "        install_deps => true,\n"), *EXIT) as run:
            check_equal(run.wait_end(3 * SECONDS), 0, "exit status")
        check_equal(read(scratch.at("asked")), "-y install tar dbus-daemon\n", "what was installed")
        check(host.has_run(), "it has not run there")


main(connected, ended, alone, access, packages)
