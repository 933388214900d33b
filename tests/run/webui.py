#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The web ui as people see it: a real browser moves, types and looks, while programs change, daemons die and others do the same."""

import http.client
import os
import re
import signal
import sys
import time
import urllib.parse

sys.dont_write_bytecode = True
from browser import Window, driver
from harness import SECONDS, Run, check, check_equal, kill, main, read, wait_until
from ports import own_port
from sse import Events

PORT = own_port()
URL = f"http://127.0.0.1:{PORT}/ui/"
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
QUICK = ["--tmp-prefix", "--converger-timeout=0"]

# A number that goes through the store of this host, the program, and a file.
SLIDER = f"""\
import "value"

http:server "127.0.0.1:{PORT}" {{}}
http:server:ui "/ui/" {{}}
http:server:ui:input "machines" {{
        type => "range://?min=0&max=20",
        store => "local://",
        label => "Machines",
        unit => "machines",
}}
$n = value.get_str("machines")->value
file "$SCRATCH/out" {{
        state => "exists",
        content => $n,
}}
"""


def inputs(text, title="Settings"):
    return (f'http:server "127.0.0.1:{PORT}" {{}}\nhttp:server:ui "/ui/" {{\n        data => struct{{title => "{title}", head => ""}},\n}}\n' +
            "".join(f'http:server:ui:input "{name}" {{\n        type => "{kind}",\n        {more}\n}}\n' for name, kind, more in text))


def post(name, value, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=SECONDS)
    connection.request("POST", "/ui/save/", urllib.parse.urlencode({"id": name, "value": value}),
                       {"Content-Type": "application/x-www-form-urlencoded", **headers})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def stage(w, name):
    return w.run("document.querySelector(arguments[0]).dataset.stage", f"#f-{name}")


def value(w, name):
    return w.run("document.querySelector(arguments[0]).value", f"#c-{name}")


def shown(w, name):
    return w.text(f"#f-{name} .now b")


def deploy(s, run, text):
    done = s.ctl("deploy", s.program(text), MGMT_BUS_ADDRESS=run.bus())
    check_equal((done.returncode, done.stderr), (0, ""), "status and stderr of deploy")


def ready(w):
    w.wait("document.querySelector('.link')?.dataset.link === 'done'", "the page is connected, and all is done")


def moves(s):
    """What a slider says reaches the program and its resources; what others say, the slider; at every step it shows how far it has come."""
    with Run(s, *QUICK, s.program(SLIDER)) as run:
        run.wait_converged()
        with Window(URL) as w, Window(URL) as other:
            ready(w)
            check_equal((stage(w, "machines"), shown(w, "machines")), ("none", "–"), "stage and value before the first")
            w.run("""(() => { window.stages = []; new MutationObserver(() => stages.push(document.querySelector("#f-machines").dataset.stage))
                     .observe(document.querySelector("#f-machines"), { attributeFilter: ["data-stage"] }); })()""")
            events = Events(PORT, "/ui/events")
            w.drag("#c-machines", 0, 0.25, 0.5, 0.75, 1, 0.65)
            wait_until(lambda: read(s.at("out")) == "13", f"the file says 13, not {read(s.at('out'))}")
            w.wait("document.querySelector('#f-machines').dataset.stage === 'converged'", "it has converged")
            check_equal(w.run("[stages[0], stages.at(-1)]"), ["sent", "converged"], "the first and the last stage that were shown")
            events.wait("field", lambda f: f["value"] == "13" and f["stage"] == "converged")
            seen = [(f["value"], f["stage"]) for kind, f in events.seen if kind == "field"]
            last = max((i for i, s_ in enumerate(seen) if s_ == ("13", "accepted")), default=0)      # it may have come by there before
            check(("13", "applied") in seen[last:] and seen[last][1] == "accepted", f"the stages of the last value: {seen}")
            other.wait("document.querySelector('#c-machines').value === '13'", "the other page shows it")
            check_equal(shown(other, "machines"), "13", "what the other page shows")

            w.run("document.querySelector('#c-machines').focus()")
            w.press("\ue012" * 3)              # to the left
            wait_until(lambda: read(s.at("out")) == "10", "the keys moved it")
            check_equal(post("machines", "4"), (200, "null"), "the answer to another client")
            for page in w, other:
                page.wait("document.querySelector('#c-machines').value === '4'", "both pages show what another client has set")
            check_equal(w.complaints() + other.complaints(), [], "what the browser complains of")
        run.end()
    s.check_clean()


def round_trip(s):
    """From the hand on the slider to the file and back to another page, again and again."""
    with Run(s, *QUICK, s.program(SLIDER)) as run:
        run.wait_converged()
        with Window(URL) as w, Window(URL) as other:
            ready(w)
            ready(other)
            other.run("""(() => { const f = document.querySelector("#f-machines"); window.seen = {};
                new MutationObserver(() => { seen[f.querySelector(".now b").textContent] ??= Date.now(); })
                .observe(f, { subtree: true, childList: true, characterData: true, attributes: true }); })()""")
            times = {"file": [], "page": [], "converged": []}
            for n in range(1, 21):
                sent = w.run("""(() => { const c = document.querySelector("#c-machines"); window.ended = null;
                    const f = c.form, o = new MutationObserver(() => { if (f.dataset.stage === "converged") { ended = Date.now(); o.disconnect(); } });
                    o.observe(f, { attributeFilter: ["data-stage"] });
                    c.value = arguments[0]; const t = Date.now(); c.dispatchEvent(new Event("input", { bubbles: true })); return t; })()""", str(n))
                wait_until(lambda: read(s.at("out")) == str(n), f"the file says {n}")
                times["file"].append(os.stat(s.at("out")).st_mtime * 1000 - sent)
                w.wait("window.ended", "it has converged")
                times["converged"].append(w.run("ended") - sent)
                other.wait("seen[arguments[0]]", "the other page shows it", str(n))
                times["page"].append(other.run("seen[arguments[0]]", str(n)) - sent)
            for name, list_ in times.items():
                list_.sort()
                print(f"# {name}: median {list_[len(list_) // 2]:.0f} ms, worst {list_[-1]:.0f} ms")
        run.end()
    s.check_clean()


def killed_while_dragged(s):
    """mgmt-http, mgmt-world and the engine are killed again and again while somebody drags: the last value gets there."""
    with Run(s, *QUICK, s.program(SLIDER)) as run:
        run.wait_converged()
        with Window(URL) as w:
            ready(w)
            for n, daemon in enumerate(["http", "engine", "world", "http", "engine", "lang", "http"]):
                target = 3 + n
                for step in range(6):
                    if step == 2 and (pid := run.pid_of(daemon)):
                        kill(pid, signal.SIGKILL)
                    w.run("""(() => { const c = document.querySelector("#c-machines"); c.value = arguments[0];
                             c.dispatchEvent(new Event("input", { bubbles: true })); })()""", str(20 - step if step < 5 else target))
                seconds = wait_until(lambda: read(s.at("out")) == str(target), f"the file says {target} after mgmt-{daemon} was killed")
                w.wait("document.querySelector('#f-machines').dataset.stage === 'converged'", "it has converged")
                wait_until(lambda: (value(w, "machines"), shown(w, "machines")) == (str(target), str(target)), f"the page shows {target}")
                print(f"# mgmt-{daemon}: {seconds * 1000:.0f} ms")
        check(not any(e["type"] == "state" and e["state"] == "failed" for e in run.events), "something failed")
        run.end()
    s.check_clean()


def in_place(s):
    """When the program has another page, this one becomes it, around what somebody is typing."""
    first = [("a", "text://", 'value => "one",'), ("b", "text://", 'label => "Second",'), ("c", "range://?max=5", 'value => "1",')]
    second = [("z", "checkbox://", 'sort => "0",'), ("c", "range://?max=9", 'value => "2", sort => "1",'),
              ("b", "text://?maxlength=50", 'label => "Other", unit => "x", sort => "2",'), ("d", "date://", 'sort => "3",')]
    with Run(s, *QUICK, s.program(inputs(first))) as run:
        run.wait_converged()
        with Window(URL) as w:
            ready(w)
            w.run("window.mark = 1")
            w.keys("#c-b", "half of")
            w.run("document.querySelector('#c-b').setSelectionRange(2, 2)")
            deploy(s, run, inputs(second, "New"))
            w.wait("document.querySelector('h1').textContent === 'New'", "the new title")
            w.wait("document.querySelector('#f-z')", "the new input")
            check_equal(w.run("[...document.querySelectorAll('form')].map((f) => f.dataset.id)"), ["z", "c", "b", "d"], "the order")
            check_equal(w.run("mark"), 1, "the page is the same")
            check_equal(w.text("#l-b"), "Other", "the new label")
            check_equal((value(w, "b"), w.run("document.activeElement.id"), w.run("document.activeElement.selectionStart")), ("half of", "c-b", 2),
                        "what is being typed, where the focus is, and the caret")
            check_equal((w.run("document.querySelector('#c-c').max"), value(w, "c")), ("9", "2"), "the new limit and value")
            w.press("X\ue007")                  # enter
            w.wait("document.querySelector('#f-b').dataset.stage === 'converged'", "it was sent")
            w.wait("document.querySelector('#f-b .now b').textContent === 'haXlf of'", "the value is shown")
            deploy(s, run, inputs(first))
            w.wait("document.querySelector('#f-a')", "the old page again")
            check_equal((w.run("document.activeElement.id"), value(w, "b")), ("c-b", "haXlf of"), "focus and value")
            check_equal(w.complaints(), [], "what the browser complains of")
        run.end()
    s.check_clean()


def never_left_behind(s):
    """What could not be sent yet is sent when the server is there again, also if its input has become another meanwhile."""
    with Run(s, *QUICK, s.program(inputs([("n", "range://?max=5", 'value => "1",')]))) as run:
        run.wait_converged()
        with Window(URL) as w:
            ready(w)
            w.run("""(() => { const real = window.fetch; window.away = true;
                     window.fetch = (url, o) => away && o?.method === "POST" ? Promise.reject(new TypeError("away")) : real(url, o); })()""")
            w.drag("#c-n", 0.2, 0.8)
            w.wait("document.querySelector('#s-n').textContent === 'waiting for the server'", "it says that it waits")
            deploy(s, run, inputs([("n", "range://?max=9", 'value => "1",')]))
            w.wait("document.querySelector('#c-n').max === '9'", "the other input")
            check_equal((value(w, "n"), stage(w, "n")), ("4", "sent"), "value and stage, while it is away")
            w.run("(() => { window.away = false; })()")
            w.wait("document.querySelector('#f-n').dataset.stage === 'converged' && document.querySelector('#f-n .now b').textContent === '4'",
                   "it got there")
            check_equal(value(w, "n"), "4", "the value")
        run.end()
    s.check_clean()


def typing(s):
    """Text is sent when it is finished; what others send meanwhile does not disturb; what is wrong is said and stays."""
    with Run(s, *QUICK, s.program(inputs([("a", "text://?maxlength=20", 'value => "one",'), ("n", "number://?min=1&max=5", 'value => "1",')]))) as run:
        run.wait_converged()
        with Window(URL) as w:
            ready(w)
            w.keys("#c-a", " two")
            check_equal(w.text("#s-a"), "not sent yet", "what is said while typing")
            check_equal(post("a", "else"), (200, "null"), "the answer to another client")
            w.wait("document.querySelector('#s-a').textContent === 'changed elsewhere to else'", "it says that it has changed")
            check_equal(value(w, "a"), "one two", "what was typed")
            w.press("\ue00c")                   # escape
            w.wait("document.querySelector('#c-a').value === 'else'", "what is in force")
            w.run("document.querySelector('#c-n').select()")
            w.press("9\ue007")
            w.wait("document.querySelector('#f-n').dataset.stage === 'refused'", "it is refused")
            check_equal(w.run("document.querySelector('#c-n').getAttribute('aria-invalid')"), "true", "aria-invalid")
            check_equal((value(w, "n"), shown(w, "n")), ("9", "1"), "what was typed, and what is in force")
            check("not sent" in w.text("#s-n"), "it does not say so: " + w.text("#s-n"))
        run.end()
    s.check_clean()


def without_script(s):
    """Every input works as a plain form."""
    with Run(s, *QUICK, s.program(inputs([
            ("a", "text://", 'value => "one",'), ("n", "number://?max=5", 'value => "1",'), ("on", "checkbox://", 'value => "true",'),
            ("s", "select://", 'options => ["x", "y"], value => "x",'), ("r", "radio://", 'options => ["x", "y"], value => "x",')]))) as run:
        run.wait_converged()
        with Window(URL) as w:
            w.scripts(False)
            w.open(URL)
            w.keys("#c-a", " two")
            for name, selector in ("a", None), ("on", "#c-on"), ("r", "#f-r label:last-child"), ("s", "#c-s option:last-child"):
                if selector:
                    w.click(selector)
                w.click(f"#f-{name} button")
                wait_until(lambda: w.driver("GET", "/url") == f"{URL}index.html#f-{name}", "the page is there again")
            w.scripts(True)
            w.open(URL)
            ready(w)
            check_equal([shown(w, name) for name in ("a", "on", "s", "r")], ["one two", "false", "y", "y"], "the values")
        run.end()
    s.check_clean()


def running(run):
    """The machines that run, by what the engine has told of them."""
    states = {}
    while not run.lines.empty():
        run.next(time.monotonic() + 1, "what is there already")
    for e in run.events:
        if e["type"] == "changed" and e.get("kind") == "virt" and (found := re.search(r"state: \S+ -> (\w+)|state: (\w+)", e["text"])):
            states[e["name"]] = found[1] or found[2]
    return sorted(name for name, state in states.items() if state == "running")


def machines(s):
    """examples/slider.mcl: a hand on the slider starts and stops machines, up and down, and pages follow."""
    with open(os.path.join(SOURCE, "examples/slider.mcl")) as f:
        program = f.read().replace('"8080"', f'"{PORT}"')
    with Run(s, *QUICK, s.program(program)) as run:
        run.wait_converged(60)
        check_equal(running(run), [], "machines that run")
        with Window(URL) as w, Window(URL) as other:
            ready(w)
            for n in 5, 8, 2, 0, 3:
                start = time.monotonic()
                w.drag("#c-machines", int(value(w, "machines")) / 8, n / 8)
                wait_until(lambda: running(run) == [f"machine-{i}" for i in range(n)], f"{n} machines run, not {running(run)}")
                print(f"# {n} machines: {(time.monotonic() - start) * 1000:.0f} ms")
                for page in w, other:
                    page.wait("document.querySelector('#f-machines .now b').textContent === arguments[0]", f"the page shows {n}", str(n))
                    page.wait("document.querySelector('#f-running .now b').textContent === arguments[0]", "and what the program says of it",
                              f"machine-0 to machine-{n - 1}" if n else "none")
                w.wait("document.querySelector('#f-machines').dataset.stage === 'converged'", "it has converged")
        run.end()
    s.check_clean()


def kinds_of_input(s):
    """Each kind of input: it has a label that a screen reader finds, takes a value of its kind, and shows what it took."""
    cases = [("text", "text://", "some text", ""), ("area", "textarea://", "two\nlines", ""), ("number", "number://?max=9", "7", ""),
             ("range", "range://?min=2&max=8&step=2", "6", ""), ("box", "checkbox://", "true", ""),
             ("choice", "select://", "b", 'options => ["a", "b"],'), ("radio", "radio://", "b", 'options => ["a", "b"],'),
             ("colour", "color://", "#aabbcc", ""), ("date", "date://", "2024-02-29", ""), ("time", "time://", "12:30", ""),
             ("moment", "datetime-local://", "2024-02-29T12:30", ""), ("month", "month://", "2024-02", ""), ("week", "week://", "2024-W09", ""),
             ("mail", "email://", "a@example.org", ""), ("link", "url://", "https://example.org/", ""), ("phone", "tel://", "+49 1", "")]
    with Run(s, *QUICK, s.program(inputs([(n, t, f'label => "The {n}", {m}') for n, t, _, m in cases]))) as run:
        run.wait_converged()
        with Window(URL) as w, Window(URL) as other:
            ready(w)
            for name, _, text, _ in cases:
                w.run("""(() => { const f = document.querySelector(`#f-${arguments[0]}`), all = [...f.querySelectorAll("[name=value]:not([type=hidden])")];
                    let c = all[0];
                    if (c.type === "checkbox") c.checked = arguments[1] === "true";
                    else if (c.type === "radio") (c = all.find((r) => r.value === arguments[1])).checked = true;
                    else c.value = arguments[1];
                    c.dispatchEvent(new Event("input", { bubbles: true })); c.dispatchEvent(new Event("change", { bubbles: true }));
                    c.dispatchEvent(new FocusEvent("focusout", { bubbles: true })); })()""", name, text)
                w.wait("document.querySelector(`#f-${arguments[0]}`).dataset.stage === 'converged' && "
                       "document.querySelector(`#f-${arguments[0]} .now b`).textContent === arguments[1]", f"{name} has taken it", name, text)
                other.wait("document.querySelector(`#f-${arguments[0]} .now b`).textContent === arguments[1]", f"{name} on the other page", name, text)
                e = w.element(f"#f-{name} [role=radiogroup]" if name == "radio" else f"#c-{name}")
                check_equal(w.driver("GET", f"/element/{e}/computedlabel"), f"The {name}", f"the label of {name}")
            check_equal(w.complaints() + other.complaints(), [], "what the browser complains of")
        run.end()
    s.check_clean()


def by_keyboard(s):
    """Nothing needs a mouse, or eyes: Tab goes from input to input, keys change them, and each has a role and a name."""
    page = inputs([("a", "text://?required", 'value => "one",\n label => "A text",\n help => "Any will do.",'), ("b", "range://?max=9", 'value => "3",\n label => "A slider",'),
                   ("c", "checkbox://", 'value => "false",\n label => "A switch",'), ("d", "radio://", 'options => ["x", "y"],\n value => "x",\n label => "One of",'),
                   ("e", "select://", 'options => ["p", "q"],\n value => "p",\n label => "Another",'), ("f", "output://", 'value => "said",\n label => "A word",')])
    with Run(s, *QUICK, s.program(page)) as run:
        run.wait_converged()
        with Window(URL) as w:
            ready(w)
            for name, keys, want in (("a", "\ue010!\ue007", "one!"), ("b", "\ue014\ue014", "5"), ("c", " ", "true"), ("d", "\ue015", "y"), ("e", "\ue015", "q")):
                w.press("\ue004")               # Tab
                check_equal(w.run("document.activeElement.form?.dataset.id"), name, "the input that has the focus")
                check(w.run("getComputedStyle(document.activeElement.closest('label') ?? document.activeElement).outlineStyle") != "none",
                      f"nobody sees that {name} has the focus")
                w.press(keys)
                w.wait("document.querySelector(`#f-${arguments[0]} .now b`).textContent === arguments[1]", f"{name} is {want}", name, want)
                w.wait("document.querySelector(`#f-${arguments[0]}`).dataset.stage === 'converged'", f"{name} has converged", name)
            told = w.accessible()
            named = {name: (role, state) for role, name, state in told}
            roles = {name: named.get(name, ("nothing",))[0] for name in ("Settings", "A text", "A slider", "A switch", "One of", "x", "y", "Another")}
            check_equal(roles, {"Settings": "heading", "A text": "textbox", "A slider": "slider", "A switch": "switch", "One of": "radiogroup", "x": "radio",
                                "y": "radio", "Another": "combobox"}, "the roles")
            check_equal((named["A text"][1].get("required"), named["A switch"][1].get("checked"), named["y"][1].get("checked")), (True, "true", "true"), "states")
            check({"main", "banner", "status"} <= {role for role, _, _ in told}, f"the parts of the page: {told}")
            check(any(role == "status" and name == "A word" for role, name, _ in told), f"what is only shown has no name: {told}")
            check_equal([told_of for told_of in told if told_of[0] in ("textbox", "slider", "switch", "radio", "combobox", "button", "img") and not told_of[1]], [],
                        "what has no name")
        run.end()
    s.check_clean()


try:
    driver()
except Exception as e:
    print(f"1..0 # SKIP {e}")
    sys.exit(0)
main(moves, round_trip, machines, killed_while_dragged, in_place, never_left_behind, typing, without_script, kinds_of_input,
     by_keyboard)
