#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""mgmtctl graph: the graph that runs, in all its forms."""

import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET

sys.dont_write_bytecode = True
from harness import SECONDS, Run, check, check_equal, main, read, wait_until

PROGRAM = """\
file "$SCRATCH/d/" {
        state => "exists",
}
file "$SCRATCH/d/<&\\"'>" {
        state => "exists",
        content => "x",

        Notify => Print["told"],
}
exec "say" {
        cmd => "/bin/echo hi",

        Depend => File["$SCRATCH/d/"],
}
file "$SCRATCH/said" {
        state => "exists",
}
Exec["say"].output -> File["$SCRATCH/said"].content
exec "bad" {
        cmd => "/bin/false",

        Before => Noop["last"],
}
noop "last" {}
print "told" {
        msg => "a",
        refresh_only => true,
}
print "one" {
        msg => "1",
}
print "two" {
        msg => "2",
}
kv "far" {
        value => "v",
}
"""

TREE = """\
exec[bad]  failed
↓ noop[last]  waiting
file[$SCRATCH/d/]  ok
├─ exec[say]  ok
│  ↓ file[$SCRATCH/said]  ok  receives
└─ file[$SCRATCH/d/<&"'>]  ok  automatic
   ↓ print[told]  ok  notified
kv[far]  ok
print[two]  ok
  + print[one]
"""


def settled(s):
    """Until all has come to what it will come to."""
    run = Run(s, "--tmp-prefix", "--converger-timeout=0", s.program(PROGRAM))
    run.wait_event("the failure", type="state", kind="exec", name="bad", state="failed")
    wanted = sorted(["failed", "waiting"] + ["ok"] * 8)

    def states():
        found = map(json.loads, graph(s, run, "--json").splitlines())
        return sorted(v["state"] for v in found if v["type"] == "vertex")
    wait_until(lambda: states() == wanted and read(s.at("said")) == "hi\n", "all is settled")
    return run


def graph(s, run, *arguments):
    done = s.ctl("graph", *arguments, MGMT_BUS_ADDRESS=run.bus())
    check_equal((done.returncode, done.stderr), (0, ""), f"status and stderr of graph {' '.join(arguments)}")
    return done.stdout


def tree(s):
    """For people: who comes before whom, how, and in which state."""
    with settled(s) as run:
        check_equal(graph(s, run), TREE.replace("$SCRATCH", s.path), "the tree")
        check_equal(graph(s, run, "print*"), "print[told]  ok\nprint[two]  ok\n  + print[one]\n", "what a pattern leaves")
        run.end()


def objects(s):
    """Vertices and edges, with everything that is known of them."""
    with settled(s) as run:
        found = [json.loads(line) for line in graph(s, run, "--json").splitlines()]
        vertices = {(v["kind"], v["name"]): v for v in found if v["type"] == "vertex"}
        edges = {(e["from"]["name"], e["to"]["name"]): e for e in found if e["type"] == "edge"}
        check_equal(len(vertices), 10, "number of vertices")
        check_equal(len(edges), 5, "number of edges")
        bad = vertices["exec", "bad"]
        check_equal((bad["state"], bad["noop"], bad["error"]), ("failed", False, "cmd '/bin/false' failed with status 1"), "what fails")
        check(bad["source"].endswith("main.mcl:19:1"), f"its place is {bad['source']}")
        check(vertices["file", s.at("said")]["last_apply_usec"] > 0, "no time of a repair")
        check_equal(vertices["print", "one"]["group"], {"kind": "print", "name": "two"}, "its group")
        flags = ["declared", "auto", "transfer", "notify", "pending"]
        for (a, b), want in {("bad", "last"): ["declared"], ("say", s.at("said")): ["transfer"], (s.at("d/"), "say"): ["declared"],
                             (s.at("d/"), s.at("d/<&\"'>")): ["auto"], (s.at("d/<&\"'>"), "told"): ["declared", "notify"]}.items():
            check_equal([f for f in flags if edges[a, b][f]], want, f"what {a} -> {b} is")
        run.end()


def pictures(s):
    """SVG and DOT are well formed, hold all names and edges, and are the same each time."""
    with settled(s) as run:
        svg = graph(s, run, "--svg")
        root = ET.fromstring(svg)
        spaces = {"s": "http://www.w3.org/2000/svg"}
        texts = [t.text for t in root.iterfind(".//s:g/s:text", spaces)]
        check("exec[say]" in texts and "print[one]" in texts and any(t.endswith("<&\"'>]") for t in texts), f"the texts: {texts}")
        edges = [p.get("class") for p in root.findall("s:path", spaces)][:5]
        check_equal(sorted(edges), ["e", "e", "e auto", "e notify", "e transfer"], "the lines")
        check_equal(sum("failed" in g.get("class") for g in root.findall("s:g", spaces)), 2, "red boxes, with that of the legend")
        check_equal(graph(s, run, "--svg"), svg, "the second picture")

        dot = graph(s, run, "--dot")
        check(dot.startswith("digraph mgmt {\n") and dot.count(" -> ") == 5 and 'label="exec[say]"' in dot, f"no DOT: {dot}")
        if shutil.which("dot"):
            done = subprocess.run(["dot", "-Tplain"], input=dot, text=True, timeout=SECONDS, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            check_equal((done.returncode, done.stderr), (0, ""), "what graphviz says of it")
        done = s.ctl("graph", "--dot", "--svg", MGMT_BUS_ADDRESS=run.bus())
        check(done.returncode == 1 and "exclude each other" in done.stderr, "two forms at once")
        run.end()


def many(s):
    """Two thousand of them: all are there, in parts or at once."""
    s.program("".join(f'noop "n{i}" {{\n        Meta:autogroup => false,\n{f"        Depend => Noop[{chr(34)}n{i // 2}{chr(34)}]," if i else ""}\n}}\n'
                      for i in range(2000)))
    with Run(s, "--tmp-prefix", "--converger-timeout=0", "main.mcl") as run:
        run.wait_converged()
        found = [json.loads(line)["type"] for line in graph(s, run, "--json").splitlines()]
        check_equal((found.count("vertex"), found.count("edge")), (2000, 1999), "vertices and edges")
        check(len(graph(s, run).splitlines()) >= 2000, "too few lines of text")
        check(len(ET.fromstring(graph(s, run, "--svg"))) > 3999, "too little in the picture")
        done = subprocess.run(["busctl", f"--address={run.bus()}", "--json=short", "call", "org.mgmt.engine1", "/org/mgmt/engine1",
                               "org.mgmt.engine1.Manager", "GetGraph", "uu", "1990", "5"], text=True, timeout=SECONDS, stdout=subprocess.PIPE)
        generation, after, vertices, edges = json.loads(done.stdout)["data"]
        check_equal((generation, after, [v[0] for v in vertices]), (1, 1995, list(range(1990, 1995))), "a part of it")
        run.end()


main(tree, objects, pictures, many)
