#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""`mgmtctl remote` with real sshds."""

import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request

sys.dont_write_bytecode = True
from harness import DAEMONS, MGMTCTL, SECONDS, Failed, Run, Skipped, check, check_equal, kill, main, read, wait_until, write
import sshd
from sshd import SSHD, Etcd, make_key

OPTIONS = ("--converger-timeout=0", "--converged-exit")


class Network(sshd.Network):
    def run(self, hosts, program, *arguments, **environment):
        return RemoteRun(self.scratch, hosts, program, *arguments, **environment)


class RemoteRun(Run):
    command = "remote"

    def wait_event(self, what, seconds=3 * SECONDS, **fields):
        return super().wait_event(what, seconds, **fields)

    def wait_end(self, seconds=3 * SECONDS):             # some megabytes go there first
        return super().wait_end(seconds)

    def errors(self):
        return [e["message"] for e in self.events if e["type"] == "error"]

    def of(self, host):
        return [e for e in self.events if e.get("host") == host.address]

    def wait_all(self, hosts, what, **fields):
        """An event with these fields from each of them, in any order."""
        missing = {h.address for h in hosts}
        missing -= {e.get("host") for e in self.events if all(e.get(k) == v for k, v in fields.items())}
        while missing:
            missing.discard(self.wait_event(what, **fields).get("host"))


FILE = """
file "$SCRATCH/${hostname}.out" {
        state => "exists",
        content => "I am ${hostname}\\n",
}
"""


# ---- the cases ----

def loaded(scratch):
    """The libraries of SSH are loaded by who speaks it, and by no other command"""
    def libraries(program):
        done = subprocess.run(["ldd", os.path.join(os.path.dirname(MGMTCTL), program)], stdout=subprocess.PIPE, text=True, check=True)
        return {line.split(".so")[0].strip() for line in done.stdout.splitlines()}
    check_equal({"libssh", "libcurl"} & libraries("mgmtctl"), set(), "mgmtctl")
    check_equal({"libssh", "libcurl"} - libraries("mgmt-ssh"), set(), "not in mgmt-ssh")


def one(scratch):
    """A program with files of its own runs on another host, which is left as it was but for what the program did"""
    with Network(scratch, 1) as network:
        host = network.hosts[0]
        os.makedirs(scratch.at("site/files"))
        write(scratch.at("site/metadata.yaml"), "main: main.mcl\n")
        write(scratch.at("site/files/text"), "x" * 100000)
        program = scratch.program("""
import "deploy"
file "$SCRATCH/${hostname}.out" {
        state => "exists",
        content => deploy.readfile("/files/text"),
}
""", "site/main.mcl")
        with network.run(f"root@{host.address}", os.path.dirname(program) + "/", *OPTIONS) as run:
            check_equal(run.wait_end(), 0, "exit status")
        check_equal(read(scratch.at("h1.out")), "x" * 100000, "what the program wrote")
        check(all(e["host"] == host.address for e in run.events), "an event does not say which host it is about")
        check(any(e["type"] == "changed" for e in run.events), "the change was not told")
        host.check_clean()

        # for people, and a second time, when there is nothing to do
        done = scratch.ctl("remote", f"there=root@{host.address}", os.path.dirname(program) + "/", *OPTIONS)
        check_equal(done.returncode, 0, "exit status of the second run")
        check("there: ended well" in done.stdout, f"it does not say how it ended: {done.stdout}")
        check_equal(read(scratch.at("there.out")), "x" * 100000, "what the host wrote under the name that it was given")


def several(scratch):
    """Three hosts at a time, and one that is down: the others do not mind, and the exit code says it"""
    with Network(scratch, 3) as network:
        program = scratch.program(FILE)
        hosts = [h.address for h in network.hosts]
        write(scratch.at("hosts"), "# three\n" + "\n".join(f"root@{h}" for h in hosts) + "\n")
        with network.run("@hosts", program, "--parallel=2", *OPTIONS) as run:
            check_equal(run.wait_end(), 0, "exit status")
        for host in network.hosts:
            check_equal(read(scratch.at(f"{host.name}.out")), f"I am {host.name}\n", f"what {host.name} wrote")
            host.check_clean()

        network.hosts[1].sshd.kill()
        network.hosts[1].sshd.wait()
        with network.run(network.names(), program, *OPTIONS) as run:
            check_equal(run.wait_end(), 1, "exit status")
        check_equal(len(run.errors()), 1, "number of errors")
        check([e["host"] for e in run.events if e["type"] == "error"] == [network.hosts[1].address], "the wrong host has failed")
        check_equal(sum(e["type"] == "ended" for e in run.events), 2, "number of hosts that ended well")


def interrupted(scratch):
    """What goes on for ever ends well when it is interrupted; a host on which the program fails does not end the others"""
    with Network(scratch, 2) as network:
        first, second = network.hosts
        program = scratch.program(FILE)
        with network.run(network.names(), program, "--converger-timeout=0") as run:
            run.wait_all(network.hosts, "both converge", type="converged", state="true")
            os.unlink(scratch.at("h1.out"))
            run.wait_event("drift is repaired there", type="changed", host=first.address)
            run.end(signal.SIGINT)
        for host in network.hosts:
            host.check_clean()
        program = scratch.program('if $hostname == "h1" {\n        exit "now" {\n                code => 7,\n        }\n}\n' + FILE)
        with network.run(network.names(), program, "--converger-timeout=0") as run:
            run.wait_event("it fails", type="error", host=first.address)
            run.wait_all([second], "the other converges", type="converged", state="true")
            check(run.process.poll() is None, "it ended with the first")
            run.process.send_signal(signal.SIGTERM)
            check_equal(run.wait_end(), 1, "exit status")
        check(any("status 7" in e for e in run.errors()), f"the status is not told: {run.errors()}")


def keys(scratch):
    """A host whose key is unknown or another one is refused, as is a user whose key is; nothing is added to known_hosts"""
    with Network(scratch, 1) as network:
        host = network.hosts[0]
        program = scratch.program(FILE)
        right = read(network.known_hosts)

        def refused(what):
            with network.run(f"root@{host.address}", program, *OPTIONS) as run:
                check_equal(run.wait_end(), 1, f"exit status, {what}")
            check_equal(len(run.errors()), 1, f"number of errors, {what}")
            return run.errors()[0]

        fingerprint = subprocess.run(["ssh-keygen", "-lf", scratch.at("h1.key.pub")], stdout=subprocess.PIPE, text=True, check=True).stdout.split()[1]
        other = make_key(scratch.at("other"))
        for known, says in (("", "not in known_hosts"), (f"{host.address} {other}\n", "is another one"), (f"10.1.1.1 {host.key}\n", "not in known_hosts")):
            write(network.known_hosts, known)
            text = refused(f"with {known!r}")
            check(says in text and fingerprint in text, f"it says {text!r}, not {says!r} and {fingerprint}")
            check_equal(read(network.known_hosts), known, "known_hosts")
        os.unlink(network.known_hosts)
        check("known_hosts" in refused("without known_hosts"), "it does not say that there is no known_hosts")
        check(not os.path.exists(network.known_hosts), "it has made a known_hosts")

        write(network.known_hosts, right)
        write(scratch.at("authorized"), other + "\n")
        check("none of our keys" in refused("with another key"), "it does not say that the key is refused")
        check("Accepted" not in read(scratch.at("h1.log")), "it logged in")
        with network.run(f"root@{host.address}", program, "--identity", scratch.at("other"), *OPTIONS) as run:
            check_equal(run.wait_end(), 0, "exit status with the right key")
        host.check_clean()


def configured(scratch):
    """What ssh's configuration says of a host counts, as do keys of ssh-agent; a way through another host is refused"""
    with Network(scratch, 1) as network:
        host = network.hosts[0]
        ssh = os.path.join(scratch.home, ".ssh")
        program = scratch.program(FILE)
        write(os.path.join(ssh, "config"), f"""
Host there
        HostName {host.address}
        User root
        StrictHostKeyChecking no
Host behind
        HostName {host.address}
        ProxyJump root@192.0.2.1
""")
        with network.run("there", program, *OPTIONS) as run:
            check_equal(run.wait_end(), 0, "exit status with an alias")
        check(all(e.get("host") == "there" for e in run.events), "it is called something else")
        with network.run("behind", program, *OPTIONS) as run:
            check_equal(run.wait_end(), 1, "exit status of a host behind another")
        check("not supported" in run.errors()[0], f"it says {run.errors()}")

        # whatever the configuration says of unknown hosts
        known = read(network.known_hosts)
        write(network.known_hosts, "")
        with network.run("there", program, *OPTIONS) as run:
            check_equal(run.wait_end(), 1, "exit status of an unknown host")
        check_equal(read(network.known_hosts), "", "known_hosts")
        write(network.known_hosts, known)

        agent = scratch.at("agent.sock")
        process = subprocess.Popen(["ssh-agent", "-D", "-a", agent], stdout=subprocess.DEVNULL)
        try:
            wait_until(lambda: os.path.exists(agent), "ssh-agent is there")
            key = os.path.join(ssh, "id_ed25519")
            add = lambda: subprocess.run(["ssh-add", "-q", key], env={**os.environ, "SSH_AUTH_SOCK": agent}, stderr=subprocess.DEVNULL, check=False)
            wait_until(lambda: add().returncode == 0, "it has our key")
            os.unlink(key)
            for name, environment, code in (("without", {}, 1), ("with", {"SSH_AUTH_SOCK": agent}, 0)):
                with network.run("there", program, *OPTIONS, **environment) as run:
                    check_equal(run.wait_end(), code, f"exit status {name} an agent")
        finally:
            process.kill()
            process.wait()


def killed(scratch):
    """Whatever is killed, and whenever: nothing stays there"""
    with Network(scratch, 1) as network:
        host = network.hosts[0]
        program = scratch.program(FILE)
        target = f"root@{host.address}"

        # us, when it runs
        with network.run(target, program, "--converger-timeout=0") as run:
            run.wait_converged()
            check(len(host.processes()) >= 4, f"too little runs there: {host.processes()}")
            run.process.kill()
            run.process.wait()
        host.check_clean()

        # us, while the programs are on their way, and a little earlier and later
        for step in range(6):
            with network.run(target, program, "--converger-timeout=0") as run:
                wait_until(lambda: os.listdir(host.tmp), "a directory is made")
                time.sleep(step * 0.02)         # any moment is as good as another
                run.process.kill()
                run.process.wait()
            host.check_clean()

        # theirs
        for victim in ("mgmt-remote", "mgmtctl", "mgmt-engine"):
            with network.run(target, program, "--converger-timeout=0") as run:
                run.wait_converged()
                pids = [p for p, name in host.processes().items() if name == victim]
                check(pids, f"there is no {victim}: {host.processes()}")
                for pid in pids:
                    kill(pid, signal.SIGKILL)
                if victim == "mgmt-engine":
                    run.wait_event("it is started again", type="died")
                    run.wait_converged()
                    run.end(signal.SIGINT)
                else:
                    check_equal(run.wait_end(), 1, f"exit status without {victim}")
                    check(run.errors(), f"nothing is said of the end of {victim}")
            host.check_clean()


def cut_off(scratch):
    """A link that is cut says nothing: either end notices all the same, and the host is left clean"""
    with Network(scratch, 1) as network:
        host = network.hosts[0]
        with network.run(f"root@{host.address}", scratch.program(FILE), "--converger-timeout=0") as run:
            run.wait_converged()
            host.link("down")
            start = time.monotonic()
            host.check_clean(3 * SECONDS)
            print(f"# the host was clean after {time.monotonic() - start:.0f} s")
            check_equal(run.wait_end(), 1, "exit status")
            check(any("lost" in e for e in run.errors()), f"it does not say that the connection is lost: {run.errors()}")


def told(scratch):
    """Errors: in the program before anything is started, at run time with the place in the program here, and what is missing there"""
    with Network(scratch, 1) as network:
        host = network.hosts[0]
        target = f"root@{host.address}"
        with network.run(target, scratch.program("file 1 {}\n", "wrong.mcl"), *OPTIONS) as run:
            check_equal(run.wait_end(), 1, "exit status")
        check("Accepted" not in read(scratch.at("h1.log")), "it logged in for a program with errors")

        os.mkdir(scratch.at("below"))
        with network.run(target, scratch.program('import "fmt"\n$a = [1]\nprint "x" {\n        msg => fmt.printf("%d", $a[7]),\n}\n',
                                                 "below/late.mcl"), "--converger-timeout=0") as run:
            event = run.wait_event("the error", type="error", host=host.address)
            check_equal((event.get("file"), event.get("line")), ("below/late.mcl", 4), "its place")
            check_equal(run.wait_end(), 1, "exit status of a program that fails when it starts")

        # a library that cannot be loaded
        linked = subprocess.run(["ldd", os.path.join(os.path.dirname(MGMTCTL), "mgmt-http")], stdout=subprocess.PIPE, text=True, check=True).stdout
        library = os.path.realpath(next(line.split()[2] for line in linked.splitlines() if "libmicrohttpd" in line))
        subprocess.run([*host.enter, "mount", "--bind", "/dev/null", library], check=True)
        with network.run(target, scratch.program(FILE), *OPTIONS) as run:
            check_equal(run.wait_end(), 1, "exit status without a library")
        check(any("missing there" in e and "libmicrohttpd" in e for e in run.errors()), f"it says {run.errors()}")
        host.check_clean()

    for problem, environment in (("tar is not installed there", f"PATH={scratch.at('bin')}"), ("no place there", "HOME=/nowhere")):
        other = type(scratch)()
        with other, Network(other, 1, environment.replace(scratch.path, other.path)) as network:
            host = network.hosts[0]
            os.mkdir(other.at("bin"))
            for name in ("mktemp", "rm", "uname", "chmod"):
                os.symlink(shutil.which(name), os.path.join(other.at("bin"), name))
            if "HOME" in environment:
                subprocess.run([*host.enter, "mount", "-t", "tmpfs", "-o", "noexec", "tmpfs", host.tmp], check=True)
                subprocess.run([*host.enter, "mount", "-t", "tmpfs", "-o", "noexec", "tmpfs", "/var/tmp"], check=True)
            with network.run(f"root@{host.address}", other.program(FILE), *OPTIONS) as run:
                check_equal(run.wait_end(), 1, "exit status")
            check(any(problem in e for e in run.errors()), f"it says {run.errors()}, not '{problem}'")
            host.check_clean()


def bare(scratch):
    """A host without the libraries that mgmt needs gets them for as long as they are needed"""
    with Network(scratch, 1) as network:
        host = network.hosts[0]
        own = os.path.dirname(MGMTCTL)
        linked = "".join(subprocess.run(["ldd", os.path.join(own, p)], stdout=subprocess.PIPE, text=True, check=True).stdout
                         for p in ["mgmtctl", *(f"mgmt-{d}" for d in DAEMONS)])
        libraries = {line.split()[0]: line.split()[2] for line in linked.splitlines() if "=> /" in line}
        needed = "".join(subprocess.run(["ldd", p], stdout=subprocess.PIPE, text=True, check=True).stdout
                         for p in (SSHD, shutil.which("tar"), shutil.which("sh"), "/usr/bin/dbus-daemon", sys.executable, shutil.which("mount")))
        hidden = {name: path for name, path in libraries.items() if name not in needed}
        check({"libzmq.so.5", "libjson-c.so.5", "libmicrohttpd.so.12"} <= set(hidden), f"the wrong ones are hidden: {sorted(hidden)}")
        # A directory of links in the place of each in which one of them is.
        for n, directory in enumerate({os.path.dirname(os.path.realpath(path)) for path in hidden.values()}):
            gone = {os.path.realpath(p) for p in hidden.values()}
            real, links = scratch.at(f"real{n}"), scratch.at(f"links{n}")
            os.mkdir(real)
            os.mkdir(links)
            for name in os.listdir(directory):
                if os.path.realpath(os.path.join(directory, name)) not in gone:
                    os.symlink(os.path.join(real, name), os.path.join(links, name))
            for pair in ([directory, real], [links, directory]):
                subprocess.run([*host.enter, "mount", "--bind", *pair], check=True)
        found = subprocess.run([*host.enter, MGMTCTL, "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        check(found.returncode == 127, f"the libraries are there: {found}")

        program = FILE + 'exec "tell" {\n        cmd => "echo told >$SCRATCH/told",\n        shell => "/bin/sh",\n}\n'
        with network.run(f"root@{host.address}", scratch.program(program), *OPTIONS) as run:
            check_equal(run.wait_end(), 0, "exit status")
        check_equal(read(scratch.at("h1.out")), "I am h1\n", "what it wrote")
        check_equal(read(scratch.at("told")), "told\n", "what a command wrote")
        host.check_clean()


class ByHand:
    """mgmt-remote without SSH: we are who has started it."""

    HELLO, START, STOP, PING, OUTPUT, ERRORS, EXIT, FAILED, OPEN = range(1, 10)

    def __init__(self, scratch, name):
        self.mark = scratch.mark                # of the environment, which is not passed on
        self.path = os.path.join(scratch.tmp, "mgmt-remote-" + name)
        os.makedirs(os.path.join(self.path, "program"), 0o700)
        os.chmod(self.path, 0o700)
        own = os.path.dirname(MGMTCTL)
        os.symlink(MGMTCTL, os.path.join(self.path, "mgmtctl"))
        write(os.path.join(self.path, "program/metadata.yaml"), "main: main.mcl\n")
        write(os.path.join(self.path, "program/main.mcl"), FILE.replace("$SCRATCH", scratch.path))
        self.process = subprocess.Popen([os.path.join(own, "mgmt-remote"), self.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env=scratch.environment())

    def say(self, kind, payload=b"", stream=0):
        self.process.stdin.write(struct.pack("<BBHI", kind, 0, stream, len(payload)) + payload)
        self.process.stdin.flush()

    def hear(self):
        head = self.process.stdout.read(8)
        check(len(head) == 8, "it has ended")
        kind, _, _, size = struct.unpack("<BBHI", head)
        return kind, self.process.stdout.read(size)

    def wait_for(self, kind, text=b""):
        while True:
            got, payload = self.hear()
            if got == kind and text in payload:
                return payload

    def start(self, *more):
        words = (self.mark, "", "run", "./metadata.yaml", "--json", "--tmp-prefix", "--hostname=h1", *more)
        self.say(self.START, b"".join(w.encode() + b"\0" for w in words))


def by_hand(scratch):
    """What runs there, without SSH: does as it is told, answers, and goes when nobody is there or what it hears makes no sense"""
    def gone(agent, code=0):
        check_equal(agent.process.wait(SECONDS), code, "exit status of mgmt-remote")
        scratch.check_clean()

    agent = ByHand(scratch, "aaaaaaaaaa")
    check_equal(agent.hear()[0], agent.HELLO, "the first word")
    agent.say(agent.PING)
    check_equal(agent.hear(), (agent.PING, b""), "the answer")
    agent.start(*OPTIONS)
    agent.wait_for(agent.OUTPUT, b'"converged"')
    check_equal(agent.wait_for(agent.EXIT), b"\0", "exit status")
    gone(agent)
    check_equal(read(scratch.at("h1.out")), "I am h1\n", "what was written")

    def end_of_input(a):
        a.process.stdin.close()

    def nonsense(a):
        a.say(77)

    def another_start(a):
        a.start()
        a.wait_for(a.FAILED)

    def asked(a):
        a.say(a.STOP)
        a.wait_for(a.EXIT)

    def asked_twice(a):
        a.say(a.STOP)
        try:
            a.say(a.STOP)
        except BrokenPipeError:                 # it is quicker than we are
            pass

    def told_to(a):
        a.process.send_signal(signal.SIGTERM)

    for n, way in enumerate((end_of_input, nonsense, another_start, asked, asked_twice, told_to)):
        agent = ByHand(scratch, f"{n:010}")
        agent.wait_for(agent.HELLO)
        agent.start("--converger-timeout=0")
        agent.wait_for(agent.OUTPUT, b'"converged"')
        check({"mgmt-remote", "mgmtctl", "mgmt-engine", "mgmt-lang"} <= set(scratch.processes().values()), f"it runs {scratch.processes()}")
        way(agent)
        gone(agent)

    # what it would remove must be its own
    for name, mode in (("mgmt-remote-bbbbbbbbbb", 0o755), ("else", 0o700)):
        path = os.path.join(scratch.tmp, name)
        os.mkdir(path)
        os.chmod(path, mode)
        done = subprocess.run([os.path.join(os.path.dirname(MGMTCTL), "mgmt-remote"), path], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        check_equal(done.returncode, 2, f"exit status for a directory {name} with mode {mode:o}")
        os.rmdir(path)


def ask_socks(path, address, port):
    """The code of the answer to: connect me to address."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(SECONDS)
        s.connect(path)
        s.sendall(b"\5\1\0")
        check_equal(s.recv(2, socket.MSG_WAITALL), b"\5\0", "the answer to a greeting")
        s.sendall(b"\5\1\0\1" + socket.inet_aton(address) + struct.pack(">H", port))
        return s.recv(10, socket.MSG_WAITALL)[1]


def tunnel(scratch):
    """Hosts share what a cluster keeps that they cannot reach themselves; through the tunnel they reach nothing else"""
    program = """
import "fmt"
import "world"
kv "there" {
        mapped => true,
        value => $hostname,
}
file "$SCRATCH/${hostname}.out" {
        state => "exists",
        content => fmt.printf("%d", len(world.kvlookup("there"))),
}
file "$SCRATCH/${hostname}.shared" {
        state => "exists",
        content => world.getval("from us")->value,
}
"""
    with Network(scratch, 2) as network, Etcd(scratch) as etcd, socket.socket() as other:
        first, second = network.hosts
        other.bind(("127.0.0.1", 0))
        other.listen()
        check(subprocess.run([*first.enter, sys.executable, "-c", "import socket; socket.create_connection(('127.0.0.1', 2379), 1)"],
                             stderr=subprocess.DEVNULL, check=False).returncode != 0, "a host reaches the cluster by itself")
        with network.run(network.names(), scratch.program(program), "--converger-timeout=0", MGMT_STORE=f"etcd:{etcd.url}") as run:
            run.wait_all(network.hosts, "they run", type="running")
            wait_until(lambda: all(read(scratch.at(f"{h.name}.out")) == "2" for h in network.hosts), "each knows of both")

            # what changes comes through, however much it is
            text = "x" * 300000
            mine = scratch.program(f'kv "from us" {{\n        value => "{text}",\n}}\n', "mine.mcl")
            done = scratch.ctl("run", "--tmp-prefix", *OPTIONS, mine, MGMT_STORE=f"etcd:{etcd.url}")
            check_equal(done.returncode, 0, "exit status of a host that reaches the cluster")
            wait_until(lambda: all(read(scratch.at(f"{h.name}.shared")) == text for h in network.hosts), "a long value comes through")

            # a member that goes away and comes back
            etcd.process.kill()
            etcd.process.wait()
            etcd.__enter__()
            done = scratch.ctl("run", "--tmp-prefix", *OPTIONS, scratch.program('kv "from us" {\n        value => "short",\n}\n', "mine.mcl"),
                               MGMT_STORE=f"etcd:{etcd.url}")
            check_equal(done.returncode, 0, "exit status after the cluster came back")
            wait_until(lambda: all(read(scratch.at(f"{h.name}.shared")) == "short" for h in network.hosts), "it is back, for them as well")

            # whither it leads
            (name,) = os.listdir(first.tmp)
            path = os.path.join(first.tmp, name, "store.sock")
            check_equal(os.stat(os.path.dirname(path)).st_mode & 0o777, 0o700, "mode of the directory")
            check_equal(ask_socks(path, "127.0.0.1", 2379), 0, "the answer for the cluster")
            check_equal(ask_socks(path, "127.0.0.1", other.getsockname()[1]), 5, "the answer for another port")
            check_equal(ask_socks(path, second.address, 22), 5, "the answer for another host")
            run.end(signal.SIGINT)
        for host in network.hosts:
            host.check_clean()


def credentials(scratch):
    """Each host gets its own credentials, by the name that it has here and not by the one that it claims, for itself alone"""
    with Network(scratch, 2) as network, Etcd(scratch) as etcd:
        first, second = network.hosts
        directory = scratch.at("credentials")
        for name, text in (("web1", "of web1"), ("h1", "of h1"), ("h2", "of h2"), (".", "of all")):
            os.makedirs(os.path.join(directory, name), exist_ok=True)
            write(os.path.join(directory, name, "etcd.password"), text)
        with network.run(f"web1=root@{first.address},root@{second.address}", scratch.program(FILE), "--converger-timeout=0",
                         MGMT_STORE=f"etcd:{etcd.url}", MGMT_STORE_USER="host-%h", CREDENTIALS_DIRECTORY=directory) as run:
            wait_until(lambda: all(os.path.exists(scratch.at(f"{n}.out")) for n in ("web1", "h2")), "both run")
            for host, text, user in ((first, "of web1", "host-web1"), (second, "of all", f"host-{second.address}")):
                (name,) = os.listdir(host.tmp)
                path = os.path.join(host.tmp, name, "credentials", "etcd.password")
                check_equal(read(path), text, f"the password that {host.name} got")
                check_equal(os.stat(path).st_mode & 0o777, 0o600, "its mode")
                pid = next(p for p, n in host.processes().items() if n == "mgmtctl")
                with open(f"/proc/{pid}/environ", "rb") as f:
                    environment = f.read().decode().split("\0")
                check(f"MGMT_STORE_USER={user}" in environment, f"who {host.name} is for etcd: {[e for e in environment if 'MGMT' in e]}")
                check(not any(text in e for e in environment), "the password is in the environment")
            run.end(signal.SIGINT)
        for host in network.hosts:
            host.check_clean()


main(loaded, by_hand, one, several, interrupted, keys, configured, killed, cut_off, told, bare, tunnel, credentials)
