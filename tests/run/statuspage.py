#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status page: what it tells programs, and what people see of it in a real browser."""

import http.client
import json
import os
import signal
import sys
import urllib.parse

sys.dont_write_bytecode = True
from browser import Window
from harness import SECONDS, Run, check, check_equal, kill, main, read, wait_until, write
from ports import own_port
from sse import Events

PORT = own_port()
URL = f"http://127.0.0.1:{PORT}/status/"
QUICK = ["--tmp-prefix", "--converger-timeout=0"]
PROGRAM = f"""\
http:server "127.0.0.1:{PORT}" {{}}
http:server:status "/status/" {{}}
file "$SCRATCH/motd" {{
        state => "exists",
        content => "one\\n",
}}
exec "bad" {{
        cmd => "/bin/false",
}}
print "later" {{
        msg => "never",

        Depend => Exec["bad"],
}}
exec "<b>&\\"'" {{
        cmd => "/bin/true",

        Depend => File["$SCRATCH/motd"],
}}
"""


def get(path, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=SECONDS)
    connection.request("GET", "/status/" + path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def resource(kind, name):
    status, text = get("resource?" + urllib.parse.urlencode({"kind": kind, "name": name}))
    check_equal(status, 200, f"status of {kind}[{name}]")
    return json.loads(text)


def graph():
    status, text = get("graph")
    check_equal(status, 200, "status of the graph")
    return json.loads(text)


def graph_if_any():
    """None while there is nobody to ask."""
    try:
        status, text = get("graph")
    except (OSError, http.client.HTTPException):
        return None
    return json.loads(text) if status == 200 else None


def started(s, text=PROGRAM):
    run = Run(s, *QUICK, s.program(text))
    run.wait_event("the failure", type="state", kind="exec", name="bad", state="failed")
    wait_until(lambda: read(s.at("motd")) == "one\n", "the file is there")
    wait_until(graph_if_any, "the graph can be read")
    return run


def answers(s):
    """The graph, a resource with its line, and the events of a repair, as JSON; only for this machine."""
    with started(s) as run:
        g = graph()
        check_equal(sorted((v[1], v[2]) for v in g["vertices"] if v[1] != "file"),
                    [("exec", "<b>&\"'"), ("exec", "bad"), ("http:server", f"127.0.0.1:{PORT}"), ("http:server:status", "/status/"), ("print", "later")],
                    "the resources")
        check(g["edges"] and not g["more"], f"edges and more: {g}")
        bad = resource("exec", "bad")
        check_equal((bad["State"], bad["LastError"], bad["line"].strip()), ("failed", "cmd '/bin/false' failed with status 1", 'exec "bad" {'),
                    "state, error and line of what fails")
        check_equal(resource("print", "later")["Waiting"], [["resource", "exec[bad]"]], "what another waits for")
        check_equal(get("resource?kind=file&name=none")[0], 404, "status of what is not there")
        check_equal(get("resource?kind=file")[0], 400, "status without a name")
        for host, want in (f"127.0.0.1:{PORT}", 200), ("localhost", 200), ("evil.example", 403), ("127.0.0.1.evil.example", 403), ("127.evil", 403):
            check_equal(get("index.html", Host=host)[0], want, f"status for {host}")
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=SECONDS)
        connection.request("POST", "/status/graph", "x")
        check_equal(connection.getresponse().status, 405, "status of a POST")

        events = Events(PORT, "/status/events")
        hello = events.wait("hello")
        check_equal(hello["engine"]["there"], True, "whether there is an engine")
        write(s.at("motd"), "drift")
        change = events.wait("change", lambda d: d["what"] == "changed" and d["kind"] == "file")
        check_equal(change["name"], s.at("motd"), "what has changed")
        check("content" in change["text"], f"it does not say what: {change}")

        more = PROGRAM + 'http:server:file "/x" {\n        data => "x",\n}\nnoop "new" {}\n'
        done = s.ctl("deploy", s.program(more), MGMT_BUS_ADDRESS=run.bus())
        check_equal((done.returncode, done.stderr), (0, ""), "status and stderr of deploy")
        events.wait("resource", lambda r: (r["kind"], r["name"], r["state"]) == ("noop", "new", "ok"))     # also of a new one, once
        wait_until(lambda: any(v[1] == "http:server:file" for v in (graph_if_any() or {"vertices": []})["vertices"]), "the new resource")
        changes = Events(PORT, "/status/events").wait("hello")["changes"]
        check(change in changes, f"the change was forgotten with the old program: {changes}")
        g = graph()

        kill(run.pid_of("engine"), signal.SIGKILL)
        events.wait("engine", lambda d: not d["there"])
        events.wait("engine", lambda d: d["there"])
        wait_until(lambda: len((graph_if_any() or {"vertices": []})["vertices"]) == len(g["vertices"]), "the graph of the new engine")
        run.end()
    s.check_clean()


def pages(s):
    """In a browser: the graph is drawn and follows, errors have their line, changes are listed, the filter filters."""
    with started(s) as run, Window(URL) as w:
        motd = f"file[{s.at('motd')}]"
        w.wait("document.querySelectorAll('#graph .box').length === 5", "five boxes are drawn")
        w.wait("document.querySelectorAll('#graph svg > path').length === 2", "two edges are drawn")
        check(w.run("[...document.querySelectorAll('.box')].some((b) => b.dataset.id === arguments[0])", "exec[<b>&\"']"), "no box for a name with markup")
        w.wait("!document.querySelector('#problems').hidden", "what is wrong is shown")
        w.wait("document.querySelector('#problems pre')?.textContent === 'exec \"bad\" {'", "with its line")
        w.wait("document.querySelector('#problems').textContent.includes('failed with status 1')", "the error is shown")
        write(s.at("motd"), "drift")
        w.wait("document.querySelector('#changes li .text')?.textContent.includes('content')", "the repair is listed")
        w.run("document.querySelector(`.box[data-id=\"${CSS.escape(arguments[0])}\"]`).dispatchEvent(new MouseEvent('click'))", motd)
        w.wait("document.querySelector('#one h3')?.textContent.includes(arguments[0])", "the file is shown", motd)
        w.wait("document.querySelector('#one').textContent.includes('content')", "what changed is shown")
        w.run("[...document.querySelectorAll('.box')].find((b) => b.dataset.id === 'print[later]').focus()")
        w.press("\ue007")
        w.wait("document.querySelector('#one h3')?.textContent.includes('print[later]')", "it opens by a key as well")
        told = []

        def is_told():
            told[:] = w.accessible()
            return any(role == "button" and name == "exec[bad]: failed" for role, name, _ in told)
        wait_until(is_told, "the box of what fails has its name")
        for role, name in (("heading", "What is wrong"), ("searchbox", "Filter resources"), ("region", "Graph"), ("columnheader", "Resource")):
            check(any((r, n) == (role, name) for r, n, _ in told), f"there is no {role} '{name}': {told}")
        check_equal([t for t in told if t[0] in ("button", "searchbox", "link") and not t[1]], [], "what has no name")
        check_equal(w.run("document.querySelectorAll('#legend span').length"), 1, "kinds of lines that are explained")
        w.keys("#filter", "exec[b")
        w.wait("document.querySelectorAll('#graph .box').length === 1 && document.querySelectorAll('#list tbody tr').length === 1", "the filter filters")
        w.run("(() => { const f = document.querySelector('#filter'); f.value = ''; f.dispatchEvent(new Event('input', { bubbles: true })); })()")
        w.run("window.mark = 1")
        done = s.ctl("deploy", s.program(PROGRAM.replace("/bin/false", "/bin/true").replace('print "later"', 'print "other"')), MGMT_BUS_ADDRESS=run.bus())
        check_equal((done.returncode, done.stderr), (0, ""), "status and stderr of deploy")
        w.wait("[...document.querySelectorAll('.box')].some((b) => b.dataset.id === 'print[other]' && b.dataset.state === 'ok')", "the new resource is drawn")
        w.wait("document.querySelector('#problems').hidden", "nothing is wrong any more")
        w.wait("document.querySelector('.link').dataset.link === 'done'", "all is done")
        check_equal(w.run("mark"), 1, "the page is the same")
        check_equal(w.complaints(), [], "what the browser complains of")
        run.end()
    s.check_clean()


# Fails until a file is there.
FLIP = """\
exec "flip" {
        cmd => "/usr/bin/test -e $SCRATCH/flag",

        Meta:retry => -1,
        Meta:delay => 20,
}
"""


def in_order(s):
    """What was told while the graph was on its way to the page counts more than the graph, which is older."""
    with started(s, PROGRAM + FLIP) as run, Window(URL) as w:
        w.wait("document.querySelector('.box[data-id=\"exec[flip]\"]')?.dataset.state === 'retrying'", "it fails")
        w.run("""(() => { const real = window.fetch, gate = new Promise((open) => { window.open_gate = open; });
                 window.held = 0;
                 window.fetch = async (url, o) => {
                         const answer = await real(url, o);
                         if (url !== "graph") return answer;
                         const text = await answer.text();
                         held++; await gate;
                         return new Response(text); }; })()""")
        done = s.ctl("deploy", s.program(PROGRAM + FLIP + 'noop "new" {}\n'), MGMT_BUS_ADDRESS=run.bus())
        check_equal((done.returncode, done.stderr), (0, ""), "status and stderr of deploy")
        w.wait("held", "the graph has been read, and is held back")
        write(s.at("flag"), "")
        w.wait("document.querySelector('.box[data-id=\"exec[flip]\"]').dataset.state === 'ok'", "the page hears that it is right")
        w.run("(() => { open_gate(); })()")
        w.wait("document.querySelector('.box[data-id=\"noop[new]\"]')", "the graph is drawn anew")
        check_equal(w.run("document.querySelector('.box[data-id=\"exec[flip]\"]').dataset.state"), "ok", "its state")
        run.end()
    s.check_clean()


main(answers, pages, in_order)
