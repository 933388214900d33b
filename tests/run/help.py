#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What mgmtctl says of itself: help, manual page, completion; and what it says to who is wrong."""

import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
from harness import MGMTCTL, Skipped, check, check_equal, main, write

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")


def commands(s):
    text = s.ctl("--help").stdout
    return re.findall(r"^  ([a-z]+)\b", text.split("\nOptions:\n")[0], re.MULTILINE)


def options(text):
    return re.findall(r"^  (?:-\w, )?(--[a-z-]+)", text.split("\nOptions:\n")[1], re.MULTILINE)


def columns(s):
    """Help: what a row says begins at the same place in all of them."""
    found = commands(s)
    check(len(found) > 10 and "run" in found, f"commands: {found}")
    for text in [s.ctl("--help").stdout] + [s.ctl(c, "--help").stdout for c in found]:
        rows = [line for line in text.splitlines() if line.startswith("  ") and len(line) > 32]
        check(rows, f"no rows in {text!r}")
        for row in rows:
            check(row[31] == " " and row[32] != " ", f"out of its column: {row!r}")


def man_page(s):
    """The manual page has all commands and all options, and groff has nothing against it."""
    page = s.ctl("--man-page").stdout
    plain = page.replace("\\-", "-").replace("\\fB", "").replace("\\fR", "").replace("\\fI", "")
    for c in commands(s):
        check(f"\n.SS {c} " in plain, f"no {c}")
        section = plain.split(f"\n.SS {c} ")[1].split("\n.S")[0]
        common = set(options(s.ctl("--help").stdout))
        for o in set(options(s.ctl(c, "--help").stdout)) - common:
            check(re.search(rf"^(-\w, )?{o}\b", section, re.MULTILINE), f"no {o} of {c}")
    try:
        done = subprocess.run(["groff", "-k", "-man", "-Tutf8", "-ww", "-z"], input=page, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=False)
    except FileNotFoundError as e:
        raise Skipped("no groff") from e
    check_equal((done.returncode, done.stderr), (0, ""), "groff")


STATUS = "RESOURCE                     STATE  CHANGED  ERROR\\nfile[/etc/motd]              ok     now\\n" \
         "http:server[127.0.0.1:8080]  ok     -\\n2 resources: 2 ok\\n"


def complete(s, line):
    """What bash would offer at the end of the line."""
    script = f"""
mgmtctl() {{ case $1 in status) printf '{STATUS}' ;; *) "{MGMTCTL}" "$@" ;; esac; }}
compopt() {{ :; }}
source "{ROOT}/daemons/mgmtctl/completion.bash"
COMP_LINE=$1 COMP_POINT=${{#1}}
_mgmtctl
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-uc", script, "bash", line], env=s.environment(), cwd=s.path, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60, check=False)
    check_equal(done.stderr, "", f"stderr of {line!r}")
    return sorted(done.stdout.split("\n")[:-1]) if done.stdout != "\n" else []


def completion(s):
    """Bash is offered commands, options, files, values and resources, each where it belongs."""
    write(s.at("site.mcl"), "")
    write(s.at("other.txt"), "")
    everything = commands(s)
    check_equal(complete(s, "mgmtctl "), sorted(everything), "nothing yet")
    for line, want in [
            ("mgmtctl sta", ["status"]),
            ("mgmtctl --color ", ["always", "auto", "never"]),
            ("mgmtctl --color=al", ["always"]),
            ("mgmtctl --color never sta", ["status"]),
            ("mgmtctl --vers", ["--version"]),
            ("mgmtctl run --max", ["--max-runtime"]),
            ("mgmtctl run si", ["site.mcl"]),
            ("mgmtctl run --noop si", ["site.mcl"]),
            ("mgmtctl deploy --sign ot", ["other.txt"]),
            ("mgmtctl run --max-runtime ", []),
            ("mgmtctl why fi", ["file[/etc/motd]"]),
            ("mgmtctl why http:s", ["server[127.0.0.1:8080]"]),         # bash has the rest before its cursor
            ("mgmtctl doc strings.spl", ["strings.split"]),
            ("mgmtctl nonsense ", [])]:
        check_equal(complete(s, line), want, line)


def mistakes(s):
    """Who is wrong is told what is wrong, and what to do."""
    write(s.at("main"), "")
    unreadable = s.at("unreadable.mcl")
    write(unreadable, "")
    os.chmod(unreadable, 0)
    nowhere = {"MGMT_BUS_ADDRESS": f"unix:path={s.at('nowhere')}"}
    for arguments, want in [
            (["statsu"], "mgmtctl: there is no command 'statsu', did you mean 'status'?"),
            (["xyzzyx"], "mgmtctl: there is no command 'xyzzyx', 'mgmtctl --help' lists them"),
            (["status", "--jsno"], "mgmtctl: there is no option '--jsno', did you mean '--json'?"),
            (["--xyzzyx"], "mgmtctl: there is no option '--xyzzyx', --help lists them"),
            (["status", "-y"], "mgmtctl: there is no option '-y', --help lists them"),
            (["fmt", "-ytv"], "mgmtctl: there is no option '-y', --help lists them"),
            (["status", "--json=yes"], "mgmtctl: option '--json=yes' takes no value"),
            (["run", "x.mcl", "--max-runtime"], "mgmtctl: option '--max-runtime' needs a value"),
            (["run", "x.mcl", "--max-runtime=soon"], "mgmtctl: --max-runtime must be a whole number between "),
            (["check", "nowhere.mcl"], "mgmtctl: cannot read 'nowhere.mcl': No such file or directory"),
            (["run", "nowhere.mcl"], "mgmtctl: cannot read 'nowhere.mcl': No such file or directory"),
            (["deploy", "/no/where"], "mgmtctl: cannot read '/no/where': No such file or directory"),
            (["run", "./no where"], "mgmtctl: cannot read './no where': No such file or directory"),
            (["run", "main"], "mgmtctl: 'main' is neither a directory nor does its name end in .mcl"),
            (["run", ""], "mgmtctl: input is empty"),
            (["run", "."], "mgmtctl: there is neither metadata.yaml nor main.mcl in the directory '.'"),
            (["remote", "h", "main", "--converged-exit"], "mgmtctl: --converged-exit needs --converger-timeout"),
            (["--color=never", "--", "remote", "--parallel", "2", "--", "h", "nowhere.mcl"],
             "mgmtctl: cannot read 'nowhere.mcl': No such file or directory"),
            (["remote", "h:0", "main"], "mgmtctl: '0' is no port"),
            (["status"], "mgmtctl: cannot connect to the bus: No such file or directory; does dbus run?"),
            (["why", "nonsense"], "'nonsense' is not a resource, expected one such as file[/etc/motd]")]:
        done = s.ctl(*arguments, **nowhere)
        check_equal((done.returncode, done.stdout), (1, ""), arguments)
        check(want in done.stderr, f"{arguments}: {done.stderr!r}")
    write(s.at("types.mcl"), 'file "/x" {\n\tcontent => 42,\n}\n')
    check_equal(s.ctl("check", "types.mcl").stderr, """\
types.mcl:2:2: type error: str != int

\tcontent => 42,
\t^^^^^^^^^^^^^^
types.mcl:2:13: note: this is of type int, where str is needed

\tcontent => 42,
\t           ^^
""", "both places, as the user names the file")
    s.program('file "$SCRATCH/x" {\n\tcontent => "a",\n}\n', "site.mcl")
    done = s.ctl("run", "--tmp-prefix", "--converged-exit", "--converger-timeout=0", "site.mcl")
    check(" failed: site.mcl:1:1: '" in done.stdout, f"a failure while it runs: {done.stdout!r}")
    if os.geteuid() != 0:
        check("Permission denied" in s.ctl("check", unreadable).stderr, "a file that may not be read")


main(columns, man_page, completion, mistakes)
