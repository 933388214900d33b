#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine on the bus, seen with busctl: one object per resource, states, errors, signals, the interface as it is written down."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

sys.dont_write_bytecode = True
from harness import MGMTCTL, SECONDS, Run, check, check_equal, main, read, wait_until, write

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NAME, PATH = "org.mgmt.engine1", "/org/mgmt/engine1"
MANAGER, RESOURCE = NAME + ".Manager", NAME + ".Resource"

PROGRAM = """\
file "$SCRATCH/motd" {
        state => "exists",
        content => "one\\n",
}
exec "bad" {
        cmd => "/bin/false",
}
print "later" {
        msg => "never",

        Depend => Exec["bad"],
}
"""


def busctl(run, *arguments):
    done = subprocess.run(["busctl", f"--address={run.bus()}", "--json=short", *arguments], text=True, timeout=SECONDS,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    check_equal((done.returncode, done.stderr), (0, ""), f"status and errors of busctl {' '.join(arguments)}")
    return done.stdout


def call(run, method, signature="", *arguments):
    out = busctl(run, "call", NAME, PATH, MANAGER, method, *([signature, *arguments] if signature else []))
    return json.loads(out)["data"] if out.strip() else None


def get(run, path, interface, name):
    return json.loads(busctl(run, "get-property", NAME, path, interface, name))["data"]


def object_of(run, kind, name):
    return call(run, "GetResource", "ss", kind, name)[0]


def started(s):
    run = Run(s, "--tmp-prefix", s.program(PROGRAM))
    run.wait_event("the failure", type="state", kind="exec", name="bad", state="failed")
    wait_until(lambda: read(s.at("motd")) == "one\n", "the file is there")
    return run


def objects(s):
    """A tree with an object per resource, each with its state, its place and what it waits for."""
    with started(s) as run:
        paths = busctl(run, "tree", "--list", NAME).split()
        motd, bad, later = (object_of(run, k, n) for k, n in (("file", s.at("motd")), ("exec", "bad"), ("print", "later")))
        for path in motd, bad, later:
            check(path in paths, f"{path} is not in the tree: {paths}")
        wait_until(lambda: get(run, motd, RESOURCE, "State") == "ok", "the file is ok")
        check_equal(get(run, motd, RESOURCE, "Kind"), "file", "its kind")
        check_equal(get(run, motd, RESOURCE, "Name"), s.at("motd"), "its name")
        check(get(run, motd, RESOURCE, "Converged"), "the file is not converged")
        check(get(run, motd, RESOURCE, "LastApplyUSec") > 0, "no time of its repair")
        check(get(run, motd, RESOURCE, "Source").endswith("main.mcl:1:1"), "its place: " + get(run, motd, RESOURCE, "Source"))
        check_equal(get(run, bad, RESOURCE, "State"), "failed", "the state of what fails")
        check_equal(get(run, bad, RESOURCE, "LastError"), "cmd '/bin/false' failed with status 1", "its error")
        check_equal(get(run, later, RESOURCE, "State"), "waiting", "the state of what comes after")
        check_equal(get(run, later, RESOURCE, "WaitsFor"), "exec[bad]", "what it waits for")
        managed = json.loads(busctl(run, "call", NAME, PATH + "/resource", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"))
        check(set(managed["data"][0]) >= {motd, bad, later}, "GetManagedObjects lacks some")
        run.end()


def lists(s):
    """ListResources and GetErrors, with patterns, offset and limit."""
    with started(s) as run:
        check_equal(get(run, PATH, MANAGER, "ResourceCount"), 3, "the number of resources")
        everything = call(run, "ListResources", "suu", "", "0", "0")[0]
        check_equal(sorted(r[0] for r in everything), ["exec", "file", "print"], "the kinds")
        parts = [call(run, "ListResources", "suu", "", str(i), "1")[0] for i in range(4)]
        check_equal([p[0][:2] for p in parts[:3]] + [parts[3]], [r[:2] for r in everything] + [[]], "one at a time")
        check_equal([r[1] for r in call(run, "ListResources", "suu", "*[l*]", "0", "0")[0]], ["later"], "a pattern")
        check_equal([r[1] for r in call(run, "GetErrors")[0]], ["bad"], "what fails")
        done = subprocess.run(["busctl", f"--address={run.bus()}", "call", NAME, PATH, MANAGER, "GetResource", "ss", "file", "no"],
                              text=True, timeout=SECONDS, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        check(done.returncode != 0 and "there is no resource file[no]" in done.stderr, f"no error: {done.stderr}")
        run.end()


class Monitor:
    """busctl monitor; it is on the bus some time after its start."""

    def __init__(self, run):
        self.process = subprocess.Popen(["busctl", f"--address={run.bus()}", "--json=short", "monitor", NAME],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.lines = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(SECONDS)

    def find(self, member, text, holds=lambda data: True):
        """What the first such signal says that was seen by now and for which the condition holds."""
        self.lines += self.process.stdout.read() or b""
        for line in self.lines.decode().splitlines(keepends=True):
            if line.endswith("\n") and f'"{member}"' in line and text in line:
                data = json.loads(line)["payload"]["data"]
                if holds(data):
                    return data
        return None

    def wait(self, member, text, meanwhile=lambda: None, holds=lambda data: True):
        """Doing something again and again, since it is not known when the monitor listens."""
        found = []

        def is_told():
            found[:] = [self.find(member, text, holds)]
            if found[0] is None:
                meanwhile()
            return found[0] is not None
        wait_until(is_told, f"{member} of {text}")
        return found[0]


def signals(s):
    """Changes, new and removed resources are told as signals; what was given up can be checked again."""
    with started(s) as run, Monitor(run) as monitor:
        motd = object_of(run, "file", s.at("motd"))
        before = get(run, motd, RESOURCE, "LastApplyUSec")

        def drift():
            write(s.at("motd"), "drift")
            wait_until(lambda: read(s.at("motd")) == "one\n", "the repair")
            time.sleep(0.05)
        monitor.wait("PropertiesChanged", motd, drift,
                     lambda told: told[0] == RESOURCE and told[1].get("LastApplyUSec", {}).get("data", 0) > before)

        call(run, "Check", "ss", "exec", "bad")
        run.wait_event("it fails again", type="state", kind="exec", name="bad", state="failed")

        later = object_of(run, "print", "later")
        done = s.ctl("deploy", s.program(PROGRAM.replace('print "later"', 'print "new"')), MGMT_BUS_ADDRESS=run.bus())
        check_equal((done.returncode, done.stderr), (0, ""), "status and stderr of deploy")
        new = json.loads(busctl(run, "call", NAME, PATH, MANAGER, "GetResource", "ss", "print", "new"))["data"][0]
        told = monitor.wait("InterfacesAdded", new)
        check_equal(told[1][RESOURCE]["Name"]["data"], "new", "its name")
        check(RESOURCE in monitor.wait("InterfacesRemoved", later)[1], "its interface has not gone")
        run.end()


def lines(s):
    """While the engine has a program and has not said whether it takes it, nobody is told a line of the one before in its place."""
    lang = ("org.mgmt.lang1", "/org/mgmt/lang1", "org.mgmt.lang1.Manager")

    def generation():
        return json.loads(busctl(run, "get-property", *lang, "Generation"))["data"]

    with started(s) as run:
        sent, engine = generation(), run.pid_of("engine")
        os.kill(engine, signal.SIGSTOP)
        try:
            deploy = subprocess.Popen([MGMTCTL, "deploy", s.program('noop "new" {}\n' + PROGRAM)], env=s.environment(MGMT_BUS_ADDRESS=run.bus()),
                                      stdout=subprocess.DEVNULL)
            wait_until(lambda: generation() > sent, "the engine has the new program")
            asked = subprocess.Popen(["busctl", f"--address={run.bus()}", "call", *lang, "GetLine", "su", "/main.mcl", "1"],
                                     text=True, stdout=subprocess.PIPE)
            time.sleep(0.3)
            check(asked.poll() is None, "it was answered before the engine took the program")
        finally:
            os.kill(engine, signal.SIGCONT)
        check_equal(asked.communicate(timeout=SECONDS)[0], 's "noop \\"new\\" {}"\n', "the line")
        check_equal(deploy.wait(SECONDS), 0, "status of the deploy")
        run.end()


def members(node, name):
    """What an interface has, but for comments and the order."""
    for interface in node.iter("interface"):
        if interface.get("name") == name:
            return sorted((m.tag, m.get("name"), m.get("type"), tuple(a.get("type") for a in m.iter("arg")),
                           tuple(sorted((a.get("name"), a.get("value")) for a in m.iter("annotation"))))
                          for m in interface if m.tag != "annotation")
    return None


def written_down(s):
    """Both interfaces are what dbus/org.mgmt.engine1.xml says."""
    said = ET.parse(os.path.join(SOURCE, "dbus/org.mgmt.engine1.xml")).getroot()
    with started(s) as run:
        for path, name in (PATH, MANAGER), (object_of(run, "exec", "bad"), RESOURCE):
            xml = busctl(run, "introspect", "--xml-interface", NAME, path)
            check_equal(members(ET.fromstring(xml), name), members(said, name), name)
        run.end()


if not shutil.which("busctl"):
    print("1..0 # SKIP needs busctl")
    sys.exit(0)
main(objects, lists, signals, lines, written_down)
