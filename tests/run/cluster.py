#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three hosts, each in a network namespace of its own with a member of a real etcd cluster. MGMT_SECONDS is how long a cluster stays
away (5)."""

import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request

sys.dont_write_bytecode = True
from harness import SECONDS, Failed, Run, Skipped, check, check_equal, kill, main, read, wait_until, write
from namespace import enter_network_namespace

enter_network_namespace()

HOSTS = (1, 2, 3)
NETWORK = "10.77.0"
AWAY_SECONDS = int(os.environ.get("MGMT_SECONDS", "5"))
PATIENCE = 2 * SECONDS                           # with leases that run out first
STORE = "etcd:" + ",".join(f"http://{NETWORK}.{n}:2379" for n in HOSTS)


def ip(*arguments):
    done = subprocess.run(["ip", *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise Skipped(f"no such network here: ip {' '.join(arguments)}: {done.stdout.strip()}")


class Host:
    """A namespace with an address, and what runs in it."""

    def __init__(self, cluster, n):
        self.cluster, self.n, self.name, self.address = cluster, n, f"h{n}", f"{NETWORK}.{n}"
        self.etcd, self.run = None, None
        self.holder = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sh", "-c", "echo; exec sleep infinity"], stdout=subprocess.PIPE)
        self.holder.stdout.readline()           # it is in its namespace
        self.enter = ["nsenter", "-t", str(self.holder.pid), "-n", "--"]
        ip("link", "add", f"link{n}", "type", "veth", "peer", "name", "eth0", "netns", str(self.holder.pid))
        ip("link", "set", f"link{n}", "master", "br0", "up")
        for command in (["link", "set", "lo", "up"], ["address", "add", f"{self.address}/24", "dev", "eth0"], ["link", "set", "eth0", "up"]):
            subprocess.run([*self.enter, "ip", *command], check=True)

    def link(self, state):
        ip("link", "set", f"link{self.n}", state)

    def start_etcd(self):
        clients, peers = f"http://{self.address}:2379", f"http://{self.address}:2380"
        members = ",".join(f"n{n}=http://{NETWORK}.{n}:2380" for n in HOSTS)
        self.etcd = subprocess.Popen(
            [*self.enter, "etcd", "--name", f"n{self.n}", "--data-dir", self.cluster.scratch.at(f"etcd{self.n}"), "--log-level", "error",
             "--heartbeat-interval", "100", "--election-timeout", "1500", "--unsafe-no-fsync", "--listen-client-urls", clients,
             "--advertise-client-urls", clients, "--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers,
             "--initial-cluster", members], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill_etcd(self):
        self.etcd.kill()
        self.etcd.wait()

    def start(self, program):
        self.run = HostRun(self, "--tmp-prefix", "--converger-timeout=0", "--hostname", self.name, program, MGMT_STORE=STORE)
        return self.run

    def pids(self):
        """mgmtctl, and what it has started."""
        found = [self.run.process.pid]
        for pid in found:
            try:
                with open(f"/proc/{pid}/task/{pid}/children") as f:
                    found += map(int, f.read().split())
            except OSError:
                pass
        return found

    def kill(self):
        for pid in self.pids():
            kill(pid, signal.SIGKILL)
        self.run.process.wait()

    def cpu_seconds(self):
        """Of mgmt-world."""
        for pid in self.pids():
            if os.path.basename(os.readlink(f"/proc/{pid}/exe")) == "mgmt-world":
                with open(f"/proc/{pid}/stat") as f:
                    fields = f.read().rsplit(")", 1)[1].split()
                return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        raise Failed(f"mgmt-world does not run on {self.name}")


class HostRun(Run):
    def __init__(self, host, *arguments, **environment):
        self.prefix = host.enter
        super().__init__(host.cluster.scratch, *arguments, **environment)


class Cluster:
    def __init__(self, scratch):
        self.scratch, self.hosts = scratch, []

    def __enter__(self):
        if not shutil.which("etcd"):
            raise Skipped("etcd is not installed")
        try:
            ip("link", "add", "br0", "type", "bridge")
            ip("address", "add", f"{NETWORK}.254/24", "dev", "br0")
            ip("link", "set", "br0", "up")
            for n in HOSTS:
                self.hosts.append(Host(self, n))
            for host in self.hosts:
                host.start_etcd()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, *_):
        for host in self.hosts:
            if host.run and host.run.process.poll() is None:
                host.kill()
            if host.run and kind:
                host.run.drain()
                print(f"# {host.name}:")
                for e in host.run.events[-12:]:
                    print(f"#   {json.dumps(e)[:300]}")
            if host.etcd and host.etcd.poll() is None:
                host.kill_etcd()
            host.holder.kill()
            host.holder.wait()
            # Its namespace goes some time later, and the next cluster has a link of this name.
            subprocess.run(["ip", "link", "delete", f"link{host.n}"], check=False, stderr=subprocess.DEVNULL)
        subprocess.run(["ip", "link", "delete", "br0"], check=False, stderr=subprocess.DEVNULL)

    def post(self, path, body, seconds=PATIENCE):
        """A question to whichever member answers it."""
        deadline = time.monotonic() + seconds
        while True:
            for host in self.hosts:
                try:
                    request = urllib.request.Request(f"http://{host.address}:2379/v3/{path}", json.dumps(body).encode())
                    with urllib.request.urlopen(request, timeout=2) as f:
                        return json.load(f)
                except (urllib.error.URLError, OSError):
                    check(time.monotonic() < deadline, f"no member answers {path}")

    def start_all(self, text):
        program = self.scratch.program(text)
        for host in self.hosts:
            host.start(program)
        for host in self.hosts:
            host.run.wait_converged()

    def end_all(self):
        """Each of them, and with 0."""
        for host in self.hosts:
            if host.run.process.poll() is None:
                host.run.end(signal.SIGINT)


def put(path, text):
    write(path + ".new", text)
    os.rename(path + ".new", path)


# ---- the cases ----

def any_order(scratch):
    """Hosts in any order of starting and ending: each does what the program says of it, and hears of the others"""
    text = """
import "fmt"
import "world"
file "$SCRATCH/${hostname}" {
        state => "exists",
        content => "I am ${hostname}\\n",
}
kv "there" {
        mapped => true,
        value => $hostname,
}
file "$SCRATCH/${hostname}-count" {
        state => "exists",
        content => fmt.printf("%d", len(world.kvlookup("there"))),
}
"""
    with Cluster(scratch) as cluster:
        program = scratch.program(text)
        for order in ((2, 0, 1), (1, 2, 0)):
            for i in order:
                cluster.hosts[i].start(program)
            for host in cluster.hosts:
                wait_until(lambda: read(scratch.at(host.name)) == f"I am {host.name}\n", f"the file of {host.name}")
                wait_until(lambda: read(scratch.at(host.name + "-count")) == "3", f"all are known to {host.name}")
            for i in order:
                cluster.hosts[i].run.end(signal.SIGINT)
            for host in cluster.hosts:
                os.unlink(scratch.at(host.name))


def exports(scratch):
    """What one host exports the others have in a moment; it goes when its host has died"""
    with Cluster(scratch) as cluster:
        put(scratch.at("in"), "first")
        exporter = scratch.program("""
import "os"
file "$SCRATCH/shared" {
        state => "exists",
        content => os.readfile("$SCRATCH/in"),
        Meta:hidden => true,
        Meta:export => ["h2", "h3"],
}
""", "exporter.mcl")
        collector = scratch.program("""
import "fmt"
import "world/collect"
collect file "$SCRATCH/shared" {
        path => "$SCRATCH/${hostname}-out",
        Meta:hidden => false,
}
file "$SCRATCH/${hostname}-count" {
        state => "exists",
        content => fmt.printf("%d", len(collect.res("file"))),
}
""", "collector.mcl")
        h1, h2, h3 = cluster.hosts
        h1.start(exporter)
        h2.start(collector)
        h3.start(collector)
        outputs = [scratch.at("h2-out"), scratch.at("h3-out")]
        wait_until(lambda: all(read(o) == "first" for o in outputs), "what was exported is collected")
        check(not os.path.exists(scratch.at("shared")), "a hidden resource was applied")

        took = []
        for i in range(21):
            put(scratch.at("in"), f"round {i}")
            took.append(wait_until(lambda: all(read(o) == f"round {i}" for o in outputs), f"round {i}"))
        print(f"# from a file of one host to files of two others: median {statistics.median(took) * 1000:.0f} ms, "
              f"quickest {min(took) * 1000:.0f} ms")

        h1.kill()
        wait_until(lambda: all(read(scratch.at(f"{h.name}-count")) == "0" for h in (h2, h3)), "the export of the dead host is gone", PATIENCE)
        cluster.end_all()


def exports_cut_off(scratch):
    """What a host exports that is cut off goes after its time and comes back with it, but for what it has taken back meanwhile"""
    exporter = """
import "os"
file "$SCRATCH/stays" {
        state => "exists",
        Meta:hidden => true,
        Meta:export => ["*"],
}
if os.readfile("$SCRATCH/in") == "both" {
        file "$SCRATCH/goes" {
                state => "exists",
                Meta:hidden => true,
                Meta:export => ["*"],
        }
}
"""
    collector = """
import "fmt"
import "world/collect"
file "$SCRATCH/${hostname}-count" {
        state => "exists",
        content => fmt.printf("%d", len(collect.res("file"))),
}
"""
    with Cluster(scratch) as cluster:
        h1, h2, h3 = cluster.hosts
        put(scratch.at("in"), "both")
        h1.start(scratch.program(exporter, "exporter.mcl"))
        for host in (h2, h3):
            host.start(scratch.program(collector, "collector.mcl"))

        def wait_for_count(count, what):
            wait_until(lambda: all(read(scratch.at(f"{h.name}-count")) == count for h in (h2, h3)), what, PATIENCE)

        wait_for_count("2", "both are collected")
        h1.link("down")
        put(scratch.at("in"), "one")
        wait_for_count("0", "they run out")
        h1.link("up")
        wait_for_count("1", "one of them is back")
        check(not any(e["type"] == "state" and e.get("state") == "failed" for e in h1.run.events), "something failed on h1")

        # It dies cut off, with something that it should have taken back: the next life does so as soon as it can.
        put(scratch.at("in"), "both")
        wait_for_count("2", "both are collected again")
        h1.link("down")
        h1.kill()
        put(scratch.at("in"), "one")
        h1.link("up")
        h1.start(scratch.program(exporter, "exporter.mcl"))
        took = wait_until(lambda: read(scratch.at("h2-count")) == "1", "what it exports no more is gone", PATIENCE)
        check(took < 20, f"it ran out, after {took:.0f} s, instead of being taken back")
        cluster.end_all()


def chosen(scratch, host):
    """As the host has heard, or None."""
    text = read(scratch.at(f"{host.name}-chosen"))
    return None if text is None else tuple(re.findall(r"h\d", text))


def schedules(scratch):
    """So many are chosen; who withdraws, dies or is cut off is replaced, and comes back without taking the place of another"""
    text = """
import "fmt"
import "os"
import "world"
if os.readfile("$SCRATCH/${hostname}-in") == "yes" {
        schedule "db" {
                max => 2,
                ttl => 10,
        }
} else {
        schedule "db" {
                withdraw => true,
        }
}
file "$SCRATCH/${hostname}-chosen" {
        state => "exists",
        content => fmt.printf("%v", world.schedule("db")),
}
"""
    with Cluster(scratch) as cluster:
        for host in cluster.hosts:
            put(scratch.at(host.name + "-in"), "yes")
        program = scratch.program(text)
        cluster.start_all(text)

        def agreed(hosts):
            said = {chosen(scratch, h) for h in hosts}
            return said.pop() if len(said) == 1 else None

        def wait_for(condition, hosts, what, seconds=PATIENCE):
            found = []

            def holds():
                now = agreed(hosts)
                found[:] = [now]
                return now is not None and condition(now)

            wait_until(holds, what, seconds)
            return found[0]

        by_name = {h.name: h for h in cluster.hosts}
        first = wait_for(lambda c: len(c) == 2, cluster.hosts, "two are chosen")

        # who withdraws
        gone = by_name[first[0]]
        put(scratch.at(gone.name + "-in"), "no")
        second = wait_for(lambda c: len(c) == 2 and gone.name not in c, cluster.hosts, "who withdrew is replaced")
        put(scratch.at(gone.name + "-in"), "yes")

        # who is killed
        dead = by_name[second[0]]
        others = [h for h in cluster.hosts if h is not dead]
        dead.kill()
        third = wait_for(lambda c: len(c) == 2 and dead.name not in c, others, "who died is replaced")
        dead.start(program)
        wait_until(lambda: chosen(scratch, dead) == third, "who comes back waits")

        # who is cut off
        cut = by_name[third[0]]
        others = [h for h in cluster.hosts if h is not cut]
        cut.link("down")
        fourth = wait_for(lambda c: len(c) == 2 and cut.name not in c, others, "who is cut off is replaced")
        wait_until(lambda: cut.name not in (chosen(scratch, cut) or (cut.name,)), "who is cut off knows", PATIENCE)
        cut.link("up")
        wait_until(lambda: chosen(scratch, cut) == fourth, "it comes back, and waits", PATIENCE)
        cluster.end_all()


def troubles(scratch):
    """Members die, history is compacted, all are away: no value is lost, nobody is left behind, and waiting costs nothing"""
    text = """
import "os"
import "world"
if $hostname == "h1" {
        kv "n" {
                value => os.readfile("$SCRATCH/in"),
        }
}
file "$SCRATCH/${hostname}-out" {
        state => "exists",
        content => world.getval("n")->value,
}
"""
    with Cluster(scratch) as cluster:
        put(scratch.at("in"), "0")
        cluster.start_all(text)
        outputs = [scratch.at(h.name + "-out") for h in cluster.hosts]

        def say(value):
            put(scratch.at("in"), value)
            wait_until(lambda: all(read(o) == value for o in outputs), f"'{value}' is everywhere", PATIENCE)

        for n, host in enumerate(cluster.hosts):        # the leader is among them
            host.kill_etcd()
            say(f"without {n}")
            host.start_etcd()
        say("all")
        revision = cluster.post("kv/range", {"key": "AA=="})["header"]["revision"]
        cluster.post("kv/compaction", {"revision": revision})
        say("compacted")

        for host in cluster.hosts:
            host.kill_etcd()
        put(scratch.at("in"), "said in vain")
        before, start = [h.cpu_seconds() for h in cluster.hosts], time.monotonic()
        time.sleep(AWAY_SECONDS)        # it is about what happens in that time: nothing
        for host, b in zip(cluster.hosts, before):
            share = (host.cpu_seconds() - b) / (time.monotonic() - start)
            check(share < 0.05, f"mgmt-world of {host.name} takes {share:.0%} of a processor while the cluster is away")
        check(all(read(o) == "compacted" for o in outputs), "a value was lost meanwhile")
        put(scratch.at("in"), "back")
        for host in cluster.hosts:
            host.start_etcd()
        wait_until(lambda: all(read(o) == "back" for o in outputs), "'back' is everywhere", PATIENCE)
        say("and goes on")
        for host in cluster.hosts:
            check(not any(e["type"] == "state" and e.get("state") == "failed" for e in host.run.events), f"something failed on {host.name}")
        cluster.end_all()


main(any_order, exports, exports_cut_off, schedules, troubles)
