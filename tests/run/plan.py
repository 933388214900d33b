#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""mgmtctl plan: what would change is told, and nothing is changed."""

import json
import os
import signal
import subprocess
import sys

sys.dont_write_bytecode = True
from harness import MGMTCTL, SECONDS, Run, check, check_equal, main, read, wait_until, write
from ports import own_port

PORT = own_port()

PROGRAM = """\
file "$SCRATCH/made/" {
        state => "exists",
}
file "$SCRATCH/made/new" {
        state => "exists",
        content => "one\\ntwo",
        mode => "0600",

        Notify => Print["told"],
}
file "$SCRATCH/there" {
        state => "exists",
        content => "a\\nB\\nc\\n",
}
file "$SCRATCH/gone" {
        state => "absent",
}
file "$SCRATCH/right" {
        state => "exists",
        content => "right\\n",
}
exec "say" {
        cmd => "/usr/bin/touch $SCRATCH/touched",
        ifcmd => "/usr/bin/test -e $SCRATCH/there",
        watchcmd => "/usr/bin/touch $SCRATCH/watched",
}
exec "guarded" {
        cmd => "/usr/bin/touch $SCRATCH/touched",
        nifcmd => "/usr/bin/test -e $SCRATCH/there",
}
file "$SCRATCH/said" {
        state => "exists",

        Depend => Exec["say"],
}
Exec["say"].output -> File["$SCRATCH/said"].content
exec "late" {
        cmd => "/bin/true",
        mtimes => ["$SCRATCH/made/new"],

        Depend => File["$SCRATCH/made/new"],
}
print "told" {
        msg => "again",
        refresh_only => true,
}
print "quiet" {
        msg => "never",
        refresh_only => true,
}
kv "key" {
        value => "v",
}
"""

TEXT = """\
+ file[$SCRATCH/made/]  main.mcl:1:1
    state: absent -> directory
+ file[$SCRATCH/made/new]  main.mcl:4:1
    state: absent -> file
    content:
      @@ -0,0 +1,2 @@
      +one
      +two
      \\ No newline at end of file
    mode: 0600
~ print[told]  main.mcl:43:1
    refresh: notified by file[$SCRATCH/made/new]
    msg: again
~ file[$SCRATCH/there]  main.mcl:11:1
    content:
      @@ -1,3 +1,3 @@
       a
      -b
      +B
       c
- file[$SCRATCH/gone]  main.mcl:15:1
    state: file -> absent
~ exec[say]  main.mcl:22:1
    cmd: /usr/bin/touch $SCRATCH/touched
? file[$SCRATCH/said]  main.mcl:31:1
    content cannot be known yet: exec[say] has to send it first
? exec[late]  main.mcl:37:1
    cannot be known yet: '$SCRATCH/made/new' of mtimes is not there
~ kv[key]  main.mcl:51:1
    value: v
7 would change, 2 cannot be known yet, 0 errors, 3 are right
"""


def tree(s, *but):
    """Every file below the directory: its mode, times and content."""
    found = {}
    for folder, folders, files in os.walk(s.path):
        folders[:] = [f for f in folders if os.path.join(folder, f) not in (s.home, s.tmp, *but)]
        for name in folders + files:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            found[path] = (st.st_mode, st.st_uid, st.st_ino, st.st_mtime_ns if name in files else 0,
                           read(path) if name in files and not name.endswith("-shm") else "")    # memory of SQLite's, not state
    return found


def lay_out(s):
    write(s.at("there"), "a\nb\nc\n")
    write(s.at("gone"), "x\n")
    write(s.at("right"), "right\n")


def blocks(text):
    """The resources of a plan, in any order, and its last line."""
    lines, found = text.splitlines(), []
    for line in lines[:-1]:
        if line.startswith("    "):
            found[-1] += line + "\n"
        else:
            found.append(line + "\n")
    return sorted(found), lines[-1]


def exact(s):
    """All that would change is told, with its place, and nothing is done but to run guards."""
    lay_out(s)
    s.program(PROGRAM)
    before = tree(s)
    done = s.ctl("plan", "main.mcl")
    check_equal((done.returncode, done.stderr), (2, ""), "status and stderr")
    want = TEXT.replace("$SCRATCH", s.path)
    check_equal(blocks(done.stdout), blocks(want), "the plan")
    order = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    for first, second in ("made/]", "made/new]"), ("made/new]", "print[told]"), ("exec[say]", "said]"), ("made/new]", "exec[late]"):
        at = [next(i for i, line in enumerate(order) if text in line) for text in (first, second)]
        check(at[0] < at[1], f"{second} stands before {first}")
    check_equal(tree(s), before, "the files afterwards")
    check_equal(s.ctl("plan", "main.mcl").stdout, done.stdout, "the second plan")
    s.check_clean()


def objects(s):
    """The same as objects; without diffs where they are not wanted."""
    lay_out(s)
    s.program(PROGRAM)
    done = s.ctl("plan", "--json", "main.mcl")
    check_equal((done.returncode, done.stderr), (2, ""), "status and stderr")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    check_equal(found[-1], {"type": "summary", "changes": 7, "unknown": 2, "errors": 0, "right": 3}, "the summary")
    by_id = {(e["kind"], e["name"]): e for e in found[:-1]}
    check_equal(by_id["file", s.at("there")],
                {"type": "change", "kind": "file", "name": s.at("there"), "source": "main.mcl:11:1",
                 "differences": [{"field": "content", "diff": "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"}]}, "a change")
    check_equal(by_id["file", s.at("said")]["differences"],
                [{"field": "content", "to": "exec[say] has to send it first", "unknown": True}], "what cannot be known")
    check_equal(by_id["file", s.at("said")]["type"], "unknown", "its type")

    done = s.ctl("plan", "--json", "--no-diff", "main.mcl")
    check('"diff"' not in done.stdout and '"content"' in done.stdout, f"there are diffs: {done.stdout}")
    done = s.ctl("plan", "--no-diff", "main.mcl")
    check("    content: (not shown)\n" in done.stdout and "+B" not in done.stdout, f"there are diffs: {done.stdout}")


STATE = """\
file "$SCRATCH/made" {
        state => "exists",
        content => "one\\n",
        mode => "0600",
}
exec "newer" {
        cmd => "/usr/bin/touch $SCRATCH/touched",
        ifcmd => "/bin/false",
        mtimes => ["$SCRATCH/made"],

        Depend => File["$SCRATCH/made"],
}
kv "key" {
        value => "v",
}
value "number" {
        any => 42,
}
http:server "127.0.0.1:$PORT" {}
http:server:file "/x" {
        data => "x",
}
""".replace("$PORT", str(PORT))


def state(s):
    """The state that a run has kept is looked at, and stays as it is; so does the run itself."""
    s.program(STATE)
    check_equal(s.ctl("plan", "main.mcl").returncode, 2, "status before there is any")
    with Run(s, "--converger-timeout=0", "main.mcl") as run:
        run.wait_converged()
        os.unlink(s.at("touched"))
        for _ in range(5):
            before = tree(s)
            done = s.ctl("plan", "main.mcl")
            check_equal((done.stdout, done.stderr, done.returncode), ("nothing would change, 6 resources are right\n", "", 0), "the plan beside it")
            after = tree(s)
            if after == before:                 # else it was the run, perhaps, which may have had something to write still
                break
        check_equal(after, before, "the files afterwards")
        done = s.ctl("plan", "--tmp-prefix", "--json", "main.mcl")
        check_equal([e.get("kind") for e in map(json.loads, done.stdout.splitlines())], ["exec", "kv", "value", None],
                    "what would change without that state")
        n = len(run.events)
        run.end()
        check(not any(e["type"] == "changed" for e in run.events[n:]), "the run did something")
    before = tree(s)
    done = s.ctl("plan", "main.mcl")
    check_equal((done.returncode, [line for line in done.stdout.splitlines() if line[0] != " "][0].split("  ")[0]),
                (2, f"~ http:server[127.0.0.1:{PORT}]"), "the plan when it has ended")
    check_equal(tree(s), before, "the files afterwards")
    s.check_clean()


def undone(s):
    """What would be undone because it left the program is shown, and kept until it really is."""
    with open(s.at("made"), "w") as f:
        f.write("before\n")
    s.program('file "$SCRATCH/made" {\n        content => "after\\n",\n\n        Meta:reverse => true,\n}\n')
    with Run(s, "--converger-timeout=0", "main.mcl") as run:
        run.wait_converged()
        run.end()
    check_equal(read(s.at("made")), "after\n", "the file")
    s.program('noop "other" {}\n')
    before = tree(s)
    for _ in range(2):
        done = s.ctl("plan", "main.mcl")
        check_equal((done.returncode, done.stderr), (2, ""), "the plan")
        check(f"~ file[{s.at('made')}]" in done.stdout and "undo: it is not in the program any more" in done.stdout and
              "-after" in done.stdout and "+before" in done.stdout, f"nothing is to be undone: {done.stdout}")
        check_equal(tree(s), before, "the files afterwards")
    check_equal(s.ctl("plan", "--tmp-prefix", "main.mcl").returncode, 0, "without that state")
    with Run(s, "--converger-timeout=0", "main.mcl") as run:
        run.wait_converged()
        wait_until(lambda: read(s.at("made")) == "before\n", "it is undone")
        run.end()
    check_equal(s.ctl("plan", "main.mcl").returncode, 0, "the plan after that")
    s.check_clean()


def errors(s):
    """What fails is an error, also if other things would change; a program with errors is refused as everywhere."""
    s.program('file "$SCRATCH/no/such" {\n        state => "exists",\n}\nfile "$SCRATCH/x" {\n        state => "exists",\n}\n')
    done = s.ctl("plan", "main.mcl")
    check_equal(done.returncode, 1, "exit status")
    check(f"! file[{s.at('no/such')}]  main.mcl:1:1\n    cannot find the directory of " in done.stdout, f"no error: {done.stdout}")
    check(f"+ file[{s.at('x')}]  main.mcl:4:1\n    state: absent -> file\n" in done.stdout, f"no change: {done.stdout}")
    check(done.stdout.endswith("1 would change, 0 cannot be known yet, 1 error, 0 are right\n"), f"the last line: {done.stdout}")
    done = s.ctl("plan", 'file "relative" {}')
    check_equal((done.returncode, done.stdout), (1, ""), "status and stdout of what the engine refuses")
    check("path must be absolute" in done.stderr, f"no error: {done.stderr}")
    done = s.ctl("plan", 'print "a" { msg => $nowhere, }')
    check_equal((done.returncode, done.stdout), (1, ""), "status and stdout of what does not compile")
    s.check_clean()


def absent_service(s):
    """A service that is not there and does not come: unknown."""
    done = s.ctl("plan", f'virt "m" {{ uri => "qemu+unix:///system?socket={s.at("no.sock")}", cpus => 1, memory => 1024, }}')
    check_equal((done.returncode, done.stderr), (2, ""), "status and stderr")
    check("? virt[m]  <code>:1:1\n    cannot be known yet: " in done.stdout, f"it is known: {done.stdout}")


def retries(s):
    """What fails is not tried again, whatever the program says."""
    s.program('exec "bad" {\n        cmd => "/bin/true",\n        ifcmd => "/no/such/program",\n\n'
              '        Meta:retry => -1,\n        Meta:delay => 100000,\n}\n')
    done = s.ctl("plan", "main.mcl")
    check_equal(done.returncode, 1, "exit status")
    check("! exec[bad]" in done.stdout, f"no error: {done.stdout}")


def interrupted(s):
    """One that was interrupted does not say that nothing would change."""
    s.program('exec "slow" {\n        cmd => "/bin/true",\n        ifcmd => "/usr/bin/tail -f $SCRATCH/main.mcl",\n}\n')
    plan = subprocess.Popen([MGMTCTL, "plan", "main.mcl"], env=s.environment(), cwd=s.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until(lambda: s.processes("tail"), "the guard runs")
    plan.send_signal(signal.SIGINT)
    out, err = plan.communicate(timeout=SECONDS)
    check_equal((plan.returncode, out, err), (1, b"", b""), "status and output")
    s.check_clean()


main(exact, objects, state, undone, errors, absent_service, retries, interrupted)
