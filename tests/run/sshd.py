# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts for those who speak SSH: real sshds, each in a network namespace of its own, that share nothing with us but one link; and an
etcd that they cannot reach unless they are to."""

import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request

from harness import SECONDS, Failed, Skipped, kill, read, wait_until, write
from namespace import enter_network_namespace

if os.geteuid() == 0:
    enter_network_namespace()

NETWORK = "10.78.0"
SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", ""))


def ip(*arguments):
    done = subprocess.run(["ip", *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise Skipped(f"no such network here: ip {' '.join(arguments)}: {done.stdout.strip()}")


def make_key(path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return " ".join(read(path + ".pub").split()[:2])


class Host:
    """A namespace with an address and a name, and sshd in it. What is put there goes below tmp."""

    def __init__(self, network, n, environment=""):
        self.network, self.n, self.name, self.address = network, n, f"h{n}", f"{NETWORK}.{n}"
        self.scratch, self.sshd = network.scratch, None
        self.tmp = self.scratch.at(f"{self.name}.tmp")
        os.mkdir(self.tmp)
        self.holder = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--uts", "--mount", "sh", "-c",
                                        f"hostname {self.name}; mount -t tmpfs tmpfs /run && mkdir /run/sshd; echo; exec sleep infinity"],
                                       stdout=subprocess.PIPE)
        self.holder.stdout.readline()           # it is in its namespaces
        self.enter = ["nsenter", "-t", str(self.holder.pid), "-n", "-u", "-m", "--"]
        ip("link", "add", f"link{n}", "type", "veth", "peer", "name", "eth0", "netns", str(self.holder.pid))
        ip("link", "set", f"link{n}", "master", "br0", "up")
        for command in (["link", "set", "lo", "up"], ["address", "add", f"{self.address}/24", "dev", "eth0"], ["link", "set", "eth0", "up"]):
            subprocess.run([*self.enter, "ip", *command], check=True)
        self.key = make_key(self.scratch.at(f"{self.name}.key"))
        write(self.scratch.at(f"{self.name}.config"), f"""
ListenAddress {self.address}
HostKey {self.scratch.at(self.name + ".key")}
AuthorizedKeysFile {self.scratch.at("authorized")}
PidFile none
UsePAM no
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowTcpForwarding no
SetEnv TMPDIR={self.tmp} {environment}
""")
        self.start()

    def start(self):
        self.sshd = subprocess.Popen([*self.enter, SSHD, "-D", "-e", "-f", self.scratch.at(f"{self.name}.config")],
                                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(self.scratch.at(f"{self.name}.log"), "ab"))
        wait_until(lambda: "Server listening" in (read(self.scratch.at(f"{self.name}.log")) or ""), f"sshd of {self.name}")

    def link(self, state):
        ip("link", "set", f"link{self.n}", state)

    def processes(self):
        """What was put there and runs: pid → name."""
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    words = f.read().split(b"\0")
                if any(w.startswith(self.tmp.encode()) for w in words):
                    found[int(pid)] = os.path.basename(words[0].decode())
            except OSError:
                pass
        return found

    def is_clean(self):
        return not os.listdir(self.tmp) and not self.processes()

    def check_clean(self, seconds=SECONDS):
        try:
            wait_until(self.is_clean, "nothing is left", seconds)
        except Failed:
            raise Failed(f"left on {self.name} after {seconds} s: {os.listdir(self.tmp)}, {self.processes()}") from None


class Network:
    """So many hosts that know our key, and whose keys we know."""

    Host = Host

    def __init__(self, scratch, n_hosts, environment=""):
        self.scratch, self.n_hosts, self.environment, self.hosts = scratch, n_hosts, environment, []

    def __enter__(self):
        if not SSHD:
            raise Skipped("sshd is not installed")
        if os.geteuid() != 0:
            raise Skipped("sshd needs root to log anybody in")
        ssh = os.path.join(self.scratch.home, ".ssh")
        os.mkdir(ssh, 0o700)
        write(self.scratch.at("authorized"), make_key(os.path.join(ssh, "id_ed25519")) + "\n")
        try:
            ip("link", "set", "lo", "up")
            ip("link", "add", "br0", "type", "bridge")
            ip("address", "add", f"{NETWORK}.254/24", "dev", "br0")
            ip("link", "set", "br0", "up")
            for n in range(1, self.n_hosts + 1):
                self.hosts.append(self.Host(self, n, self.environment))
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        self.known_hosts = os.path.join(ssh, "known_hosts")
        write(self.known_hosts, "".join(f"{h.address} {h.key}\n" for h in self.hosts))
        return self

    def __exit__(self, kind, *_):
        for host in self.hosts:
            if host.sshd:
                host.sshd.kill()
                host.sshd.wait()
            for pid in host.processes():
                kill(pid, signal.SIGKILL)
            if kind:
                print(f"# sshd of {host.name}: {(read(self.scratch.at(host.name + '.log')) or '')[-600:]!r}")
            host.holder.kill()
            host.holder.wait()
            subprocess.run(["ip", "link", "delete", f"link{host.n}"], check=False, stderr=subprocess.DEVNULL)
        subprocess.run(["ip", "link", "delete", "br0"], check=False, stderr=subprocess.DEVNULL)

    def names(self):
        return ",".join(f"root@{h.address}" for h in self.hosts)


class Etcd:
    """On our loopback, where nobody else can reach it, or elsewhere."""

    def __init__(self, scratch, address="127.0.0.1"):
        self.scratch, self.url = scratch, f"http://{address}:2379"

    def __enter__(self):
        if not shutil.which("etcd"):
            raise Skipped("etcd is not installed")
        self.process = subprocess.Popen(["etcd", "--data-dir", self.scratch.at("etcd"), "--log-level", "error", "--unsafe-no-fsync",
                                         "--listen-client-urls", self.url, "--advertise-client-urls", self.url, "--listen-peer-urls",
                                         "http://127.0.0.1:2380"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self.answers, "etcd answers")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def answers(self):
        try:
            urllib.request.urlopen(self.url + "/health", timeout=1).close()
            return True
        except (urllib.error.URLError, OSError):
            return False
