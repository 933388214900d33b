#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""mgmtctl run: programs whose values come from outside."""

import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
from harness import MGMTCTL, SECONDS, Run, check, check_equal, main, read, wait_until, write

QUICK = ["--tmp-prefix", "--converger-timeout=0"]

# $x is what the program has to say.
OUT = """
file "$SCRATCH/out" {
        state => "exists",
        content => $x,
}
"""


def put(path, text):
    """In one step, so that it is never seen empty."""
    write(path + ".next", text)
    os.rename(path + ".next", path)


def wait_out(s, text, seconds=SECONDS):
    wait_until(lambda: read(s.at("out")) == text, f"what comes out is {text!r}", seconds)


def fallback(s):
    """A file that comes and goes is followed, and <|> has another value meanwhile."""
    program = s.program('import "os"\n$x = os.readfile("$SCRATCH/a/in") <|> "default"\n' + OUT)
    with Run(s, *QUICK, program) as run:
        run.wait_converged()
        for n in range(3):
            wait_out(s, "default")
            os.mkdir(s.at("a"))
            put(s.at("a/in"), f"one {n}")
            wait_out(s, f"one {n}")
            put(s.at("a/in"), f"two {n}")
            wait_out(s, f"two {n}")
            os.unlink(s.at("a/in"))
            wait_out(s, "default")
            os.rmdir(s.at("a"))
        run.end()
    s.check_clean()


def error(s):
    """What cannot be caught leaves the last good graph in force; the next value is taken."""
    program = s.program('import "os"\n$x = os.readfile("$SCRATCH/in") <|> "default"\n' + OUT)
    with Run(s, *QUICK, program) as run:
        run.wait_converged()
        put(s.at("in"), "good")
        wait_out(s, "good")
        os.unlink(s.at("in"))
        wait_out(s, "default")
        os.mkdir(s.at("in"))
        e = run.wait_event("the error is told", type="error")
        check_equal((e["file"], e["line"], e["column"]), ("main.mcl", 2, 6), "its place")
        check(e["message"].endswith("Is a directory"), f"it says {e['message']}")
        write(s.at("out"), "drift")
        wait_out(s, "default")                  # still kept so
        os.rmdir(s.at("in"))
        put(s.at("in"), "good again")
        wait_out(s, "good again")
        run.end()
    s.check_clean()


def lines(s):
    """The lines of a command are values, and the command ends with the program."""
    program = s.program('import "os"\n$x = os.system("while read line; do echo \\"<$line>\\"; done < $SCRATCH/fifo; sleep 1000")\n' + OUT)
    os.mkfifo(s.at("fifo"))
    with Run(s, *QUICK, program) as run:
        with open(s.at("fifo"), "w") as fifo:
            for text in ("one", "", "three"):
                fifo.write(text + "\n")
                fifo.flush()
                wait_out(s, f"<{text}>")
        wait_until(lambda: s.processes("sleep"), "the command goes on")
        run.end()
    s.check_clean()


def many_lines(s):
    """A command that is faster than the engine does not overrun it, nor keep it from the last line."""
    program = s.program('import "os"\n$x = os.system("seq 1 1000")\n' + OUT)
    with Run(s, *QUICK, program) as run:
        wait_out(s, "1000")
        run.end()
    s.check_clean()


def silent_command(s):
    """A command that ends without a word is an error with a place, not a wait."""
    program = s.program('import "os"\n$x = os.system("exit 7")\n' + OUT)
    done = s.ctl("run", *QUICK, program)
    check_equal(done.returncode, 1, "exit status")
    check("printed nothing, exit status 7" in done.stderr and "main.mcl:2:6" in done.stderr, f"stderr is {done.stderr}")
    s.check_clean()


def ticks(s):
    """A clock is one resource that changes with each second, and nothing else does."""
    program = s.program('import "datetime"\n$x = datetime.str_now()\n' + OUT + 'print "still" {}\n')
    with Run(s, *QUICK, program) as run:
        run.wait_converged()
        seen = [0]

        def is_later():
            text = read(s.at("out")) or "0"
            later = int(text) > seen[-1]
            if later:
                seen.append(int(text))
            return later
        for _ in range(3):
            wait_until(is_later, f"a second after {seen[-1]}")          # the next one, unless the machine stood still
        run.end()
    check(sum(e["type"] == "changed" and e.get("kind") == "print" for e in run.events) <= 1, "the other resource acted as well")
    s.check_clean()


def numbers(s):
    """What the kernel counts."""
    program = s.program('import "fmt"\nimport "sys"\n$load = sys.load()\n'
                        '$x = fmt.printf("%v %v %v %v", $load->x1, $load->x5, $load->x15, sys.cpu_count())\n' + OUT)
    with Run(s, *QUICK, program) as run:
        wait_until(lambda: re.fullmatch(r"([0-9.]+ ){3}[0-9]+", read(s.at("out")) or ""), "load and processors")
        check_equal(int(read(s.at("out")).split()[3]), os.sysconf("SC_NPROCESSORS_ONLN"), "the processors")
        run.end()
    s.check_clean()


def environment(s):
    """The environment of the command is that of the program; what is not set can be caught."""
    program = s.program('import "sys"\n$a = sys.getenv("MGMT_TEST_ONE")\n$b = sys.getenv("MGMT_TEST_NONE") <|> "none"\n$x = "${a} ${b}"\n' + OUT)
    with Run(s, *QUICK, program, MGMT_TEST_ONE="one") as run:
        wait_out(s, "one none")
        run.end()


def directory(s):
    """A directory of the program stands on the host, with nothing else in it."""
    s.program('import "deploy"\nimport "os"\n$dir = deploy.directory("/files/")\n$x = os.readfile($dir + "sub/a")\n' + OUT +
              'file "$SCRATCH/where" {\n        state => "exists",\n        content => $dir,\n}\n', "prog/main.mcl")
    os.makedirs(s.at("prog/files/sub"))
    write(s.at("prog/files/sub/a"), "text of a")
    write(s.at("prog/metadata.yaml"), "main: main.mcl\n")
    with Run(s, "--converger-timeout=0", s.at("prog")) as run:
        wait_out(s, "text of a")
        wait_until(lambda: read(s.at("where")), "the place")
        where = read(s.at("where"))
        check(where.endswith("/directory/files/"), f"it is at {where}")
        found = subprocess.run(["find", where, "-mindepth", "1", "-printf", "%P\\n"], stdout=subprocess.PIPE, text=True, check=True)
        check_equal(sorted(found.stdout.split()), ["sub", "sub/a"], "what is there")
        run.end()


main(fallback, error, lines, many_lines, silent_command, ticks, numbers, environment, directory)
