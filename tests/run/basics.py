#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""mgmtctl run: converging, repairing, refusing, ending."""

import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time

sys.dont_write_bytecode = True
from harness import MGMTCTL, SECONDS, Run, check, check_equal, main, read, wait_until, write

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
QUICK = ["--tmp-prefix", "--converger-timeout=0"]
EXIT = [*QUICK, "--converged-exit"]

FILE = """\
file "$SCRATCH/motd" {
        state => "exists",
        content => "one\\n",
        mode => "0640",
}
"""

FOREVER = """\
exec "forever" {
        cmd => "/usr/bin/tail -f $SCRATCH/motd",

        Depend => File["$SCRATCH/motd"],
}
"""


def hello(s):
    """The first example converges and ends with 0."""
    text = read(os.path.join(SOURCE, "examples/hello.mcl"))
    check("/tmp/mgmt-hello" in text, "it writes another file")
    done = s.ctl("run", *EXIT, s.program(text.replace("/tmp/mgmt-hello", "$SCRATCH/hello")))
    check_equal((done.returncode, done.stderr), (0, ""), "status and stderr")
    check_equal(read(s.at("hello")), "hello from mgmt\n", "the file")
    s.check_clean()


def itself(s):
    """The files of the program can be packed, though it was never deployed."""
    program = s.program('deploy:tar "$SCRATCH/site.tar" {}\n')
    for wanted in (1, 0):
        with Run(s, *EXIT, program) as run:
            check_equal(run.wait_end(), 0, "exit status")
        with tarfile.open(s.at("site.tar")) as archive:
            check_equal(archive.extractfile("/main.mcl").read().decode(), read(program), "what is in it")
        check_equal(sum(e["type"] == "changed" for e in run.events), wanted, "number of changes")
    s.check_clean()


def converges(s):
    """A file is made, with its mode; the second run changes nothing."""
    program = s.program(FILE)
    for wanted in (1, 0):
        with Run(s, *EXIT, program) as run:
            check_equal(run.wait_end(), 0, "exit status")
        check_equal(read(s.at("motd")), "one\n", "the content")
        check_equal(os.stat(s.at("motd")).st_mode & 0o7777, 0o640, "the mode")
        check_equal(sum(e["type"] == "changed" for e in run.events), wanted, "number of changes")
    s.check_clean()


def startup(s):
    """A one-file program converges again and again; how long that takes is printed, the machine may be busy."""
    program, times = s.program(FILE), []
    for _ in range(7):
        if os.path.exists(s.at("motd")):
            os.unlink(s.at("motd"))
        with Run(s, *QUICK, program) as run:
            run.wait_converged()
            times.append(time.monotonic() - run.start)
            run.end()
    times.sort()
    print(f"# started to converged: best {times[0] * 1000:.1f} ms, median {times[len(times) // 2] * 1000:.1f} ms")


def drift(s):
    """Content, mode and existence are repaired."""
    target, times = s.at("motd"), []
    with Run(s, *QUICK, s.program(FILE)) as run:
        run.wait_converged()
        for n in range(10):
            write(target, f"drift {n}\n")
            times.append(wait_until(lambda: read(target) == "one\n", "the content is repaired"))
        os.chmod(target, 0o600)
        wait_until(lambda: os.stat(target).st_mode & 0o7777 == 0o640, "the mode is repaired")
        os.unlink(target)
        wait_until(lambda: read(target) == "one\n", "the file is made again")
        wait_until(lambda: os.stat(target).st_mode & 0o7777 == 0o640, "with its mode")
        run.end()
    print(f"# edit to repaired: median {sorted(times)[5] * 1000:.1f} ms, worst {max(times) * 1000:.1f} ms")
    s.check_clean()


def compile_error(s):
    """An error has file:line:column and a caret, ends with 1, and leaves nothing."""
    s.program('print "a" {\n        msg => $nowhere,\n}\n', "wrong.mcl")
    done = s.ctl("run", *EXIT, "wrong.mcl")
    check_equal(done.returncode, 1, "exit status")
    check("wrong.mcl:2:16: " in done.stderr, f"no place in: {done.stderr}")
    lines = done.stderr.split("\n")
    at = next((i for i, l in enumerate(lines) if "msg => $nowhere" in l), None)
    check(at is not None and "^" in lines[at + 1], f"no line with a caret in: {done.stderr}")
    check_equal(lines[at + 1].index("^"), lines[at].index("$nowhere"), "the column of the caret")
    check_equal(done.stdout, "", "stdout")
    s.check_clean()


def compile_error_json(s):
    """The same as an object."""
    done = s.ctl("run", "--json", *EXIT, s.program('print "a" {\n        msg => $nowhere,\n}\n'))
    check_equal(done.returncode, 1, "exit status")
    e = json.loads(done.stdout.split("\n")[0])
    check_equal((e["type"], e["file"], e["line"], e["column"]), ("error", "main.mcl", 2, 16), "type and place")


def compile_errors(s):
    """Of a program that only mgmt-lang compiles the same is told as by mgmtctl check: places, notes, all errors."""
    programs = {
        "unknown.mcl": 'file "/x" {\n        stat => "exists",\n}\nprint "a" {\n        msg => 1,\n}\nnoop "b" {\n        x => 1,\n}\n',
        "types.mcl": '$x = 1 + "a"\n\nprint "a" {\n        msg => $x,\n}\n',
        "syntax.mcl": 'print "a" {\n        msg => \n}\n',
        "imports.mcl": 'import "fmt"\n\nprint "a" {\n        msg => fmt.printf("%d", "b"),\n}\n',
    }
    for name, text in programs.items():
        s.program(text, name)
        run, check_ = s.ctl("run", "--json", *EXIT, name), s.ctl("check", "--json", "--skip-fmt", name)
        check_equal((run.returncode, run.stdout, run.stderr), (1, check_.stdout, check_.stderr), name)
        check(run.stdout.count("\n") >= (3 if name == "unknown.mcl" else 1), f"too little of {name}: {run.stdout}")
    s.check_clean()


def engine_error(s):
    """What only the kind can refuse has its place, too."""
    with Run(s, *EXIT, s.program('file "relative" {\n        state => "exists",\n}\n')) as run:
        check_equal(run.wait_end(), 1, "exit status")
        check(any((e["type"], e.get("file"), e.get("line"), e.get("column")) == ("error", "main.mcl", 1, 1) for e in run.events),
              "no error with a place")
    s.check_clean()


def run_time_error(s):
    """An error that shows when the program starts has its place, too, and ends with 1."""
    done = s.ctl("run", *EXIT, s.program('print "a" {}\npanic("oh no")\n'))
    check_equal(done.returncode, 1, "exit status")
    check("main.mcl:2:1: " in done.stderr and "\n^" in done.stderr, f"no place or caret in: {done.stderr}")
    s.check_clean()


def closed_output(s):
    """A reader that goes away ends it."""
    run = subprocess.Popen([MGMTCTL, "run", *QUICK, s.program(FILE)], env=s.environment(), stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL)
    run.stdout.readline()
    run.stdout.close()

    def has_ended():
        write(s.at("motd"), "drift\n")          # all may have been said already, and who says nothing does not notice
        return run.poll() is not None
    wait_until(has_ended, "it ends")
    check_equal(run.returncode, 1, "exit status")
    s.check_clean()

    # also when there is nothing more to be said
    run = subprocess.Popen([MGMTCTL, "run", *QUICK, s.program(FILE)], env=s.environment(), stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL, text=True)
    while "converged" not in (line := run.stdout.readline()):
        check(line, "it ended before it had converged")
    run.stdout.close()
    check_equal(run.wait(SECONDS), 1, "exit status of one that is silent")
    s.check_clean()


def noop(s):
    """--noop says what it would do and does nothing."""
    with Run(s, "--noop", *QUICK, s.program(FILE)) as run:
        run.wait_event("what it would change", kind="file", name=s.at("motd"))
        time.sleep(0.3)
        check(not os.path.exists(s.at("motd")), "it made the file")
        run.end()


def max_runtime(s):
    """--max-runtime ends it, as an error."""
    start = time.monotonic()
    with Run(s, "--tmp-prefix", "--max-runtime=1", s.program(FILE)) as run:
        check_equal(run.wait_end(), 1, "exit status")
    check(1 <= time.monotonic() - start < SECONDS, "not after a second")
    s.check_clean()


def ends(s):
    """SIGTERM, SIGINT and SIGHUP end it, whatever its commands do, and leave nothing behind."""
    program = s.program(FILE + FOREVER)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        with Run(s, "--tmp-prefix", program) as run:
            wait_until(lambda: s.processes("tail"), "the command of the exec runs")
            print(f"# {number.name}: {run.end(number) * 1000:.0f} ms")
        s.check_clean()


def mgmtctl_killed(s):
    """kill -9 of mgmtctl ends the daemons; the next run removes the directory."""
    program = s.program(FILE + FOREVER)
    with Run(s, "--tmp-prefix", program) as run:
        wait_until(lambda: s.processes("tail"), "the command of the exec runs")
        run.process.kill()
        run.process.wait()
        wait_until(lambda: not s.processes(), "everything ends")
    left = os.listdir(s.tmp)
    check_equal(len(left), 1, "number of directories left")
    lookalikes = ["mgmt-run-abcdef", "mgmt-run-mine", left[0] + "x"]
    for name in lookalikes:
        os.mkdir(os.path.join(s.tmp, name), 0o700)
    check_equal(s.ctl("run", *EXIT, s.program(FILE, "other.mcl")).returncode, 0, "exit status of the next run")
    check_equal(sorted(os.listdir(s.tmp)), sorted(lookalikes), "what it leaves alone")
    wait_until(lambda: not s.processes(), "nothing runs any more")


def inputs(s):
    """Standard input, raw code, a directory and metadata.yaml are programs as well."""
    target = s.at("out")
    text = f'file "{target}" {{ state => "exists", content => "%s", }}'
    s.program(text % "directory", "site/main.mcl")
    s.program("main: deep/start.mcl\n", "module/metadata.yaml")
    s.program(text % "metadata", "module/deep/start.mcl")
    cases = [("-", text % "stdin", "stdin"), (text % "code", "", "code"), ("site/", "", "directory"), ("site", "", "directory"),
             ("module/metadata.yaml", "", "metadata"), ("module/", "", "metadata")]
    for argument, stdin, want in cases:
        done = s.ctl("run", *EXIT, argument, stdin=stdin)
        check_equal((done.returncode, done.stderr), (0, ""), f"status and stderr of '{argument}'")
        check_equal(read(target), want, f"the file after '{argument}'")


def refusals(s):
    """Command lines that make no sense end with 1 and start nothing."""
    program = s.program(FILE)
    for arguments in (["run"], ["run", ""], ["run", "a", "b"], ["run", "nowhere.mcl"], ["run", "metadata.yaml"], ["jump"],
                      ["run", "--sema=x", program], ["run", "--max-runtime=-1", program], ["run", "--no-such", program],
                      ["run", "--converged-exit", program], ["run", "--prefix=p", "--tmp-prefix", program],
                      ["run", "--hostname=-x", program], ["run", "--color=red", program], ["run", "--module-path=m", program]):
        done = s.ctl(*arguments)
        check_equal(done.returncode, 1, f"exit status of {arguments}")
        check(done.stderr, f"{arguments} does not say why")
    for arguments in ([], ["help"], ["--help"], ["--version"], ["run", "--help"]):
        done = s.ctl(*arguments)
        check_equal((done.returncode, done.stderr), (0, ""), f"status and stderr of {arguments}")
    s.check_clean()


def prefix(s):
    """State is kept below --prefix, by one run at a time."""
    program, where = s.program(FILE), s.at("kept")
    with Run(s, f"--prefix={where}", "--converger-timeout", "0", program) as run:
        run.wait_converged()
        check_equal(sorted(os.listdir(where)), ["engine", "lang"], "what is in the prefix")    # those that ran
        done = s.ctl("run", f"--prefix={where}", program)
        check_equal(done.returncode, 1, "exit status of a second run")
        check("another run" in done.stderr, done.stderr)
        run.end()
    s.check_clean()
    check_equal(sorted(os.listdir(where)), ["engine", "lang"], "what stays in the prefix")


def status_file(s):
    """--converger-status-file gets a line per change."""
    lines = s.at("lines")
    with Run(s, *QUICK, f"--converger-status-file={lines}", s.program(FILE)) as run:
        run.wait_converged()
        wait_until(lambda: re.fullmatch(r"true\n(false\ntrue\n)*", read(lines) or ""), "it says true")    # it may look again
        run.end()


def other_commands(s):
    """status, events and version work with the bus of a run."""
    with Run(s, *QUICK, s.program(FILE)) as run:
        run.wait_converged()
        bus = dict(MGMT_BUS_ADDRESS=run.bus())
        directory = os.path.dirname(run.bus().split("=", 1)[1])
        done = s.ctl("status", **bus)
        check_equal((done.returncode, done.stderr), (0, ""), "status and stderr of status")
        check_equal([l.split()[:2] for l in done.stdout.splitlines()[:-1]],
                    [["RESOURCE", "STATE"], [f"file[{s.at('motd')}]", "ok"]], "the table")
        check_equal(done.stdout.splitlines()[-1], "1 resource: 1 ok", "the last line")
        done = s.ctl("status", "--json", "file*", **bus)
        check_equal([json.loads(l)["state"] for l in done.stdout.splitlines()], ["ok"], "the states as JSON")
        check_equal(s.ctl("status", "nothing*", "--json", **bus).stdout, "", "what matches nothing")
        done = s.ctl("version", "--json", **bus)
        check_equal(sorted(json.loads(done.stdout)["daemons"]), ["engine", "lang"], "daemons that say their version")
        events = s.ctl("events", "--json", MGMT_RUNTIME_DIR=s.at("none"))
        check_equal(events.returncode, 1, "exit status of events without an engine")
        check(directory in bus["MGMT_BUS_ADDRESS"], "the bus is not in the private directory")
        run.end()


main(hello, itself, converges, startup, drift, compile_error, compile_error_json, compile_errors, engine_error, run_time_error, closed_output, noop, max_runtime, ends, mgmtctl_killed,
     inputs, refusals, prefix, status_file, other_commands)
