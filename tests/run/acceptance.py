#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""mgmtctl run: scenarios that the whole system must master. Those of the engine alone are in tests/daemons/engine/test-acceptance.c."""

import os
import signal
import sys
import time

sys.dont_write_bytecode = True
from harness import Run, check, check_equal, is_pending, main, read, wait_until, write


def commands(n, chained, text="echo {i} >> $SCRATCH/began; sleep 1000; echo {i} >> $SCRATCH/done"):
    """n commands, one after another or beside each other."""
    lines = []
    for i in range(n):
        lines += [f'exec "c{i}" {{', f'\tcmd => "{text.format(i=i)}",', '\tshell => "/bin/sh",',
                  *([f'\tDepend => Exec["c{i - 1}"],'] if chained and i else []), "}"]
    return "\n".join(lines) + "\n"


def interrupted(s, chained):
    path = s.program(commands(5, chained))
    with Run(s, "--tmp-prefix", path) as run:
        wait_until(lambda: read(s.at("began")), "the first command began")
        run.process.send_signal(signal.SIGINT)
        wait_until(lambda: not is_pending(run.process.pid, signal.SIGINT), "it has taken the first signal")
        run.process.send_signal(signal.SIGINT)
        run.wait_end()
    began = read(s.at("began")).split()
    check(began == ["0"] if chained else len(set(began)) == len(began), f"these began: {began}")
    time.sleep(0.3)
    check_equal(read(s.at("began")).split(), began, "what began")
    check(not read(s.at("done")), "a command that was ended went on")
    s.check_clean()


def t7_chain(s):
    """T7: five commands one after another, interrupted twice: it ends, and no later one begins."""
    interrupted(s, True)


def t7_beside(s):
    """T7: five commands beside each other, interrupted twice."""
    interrupted(s, False)


def t8_retries(s):
    """T8: the first command fails and is retried: one interrupt ends it, and what depends on it never ran."""
    path = s.program("""\
exec "first" {
        cmd => "echo x >> $SCRATCH/tries; sleep 0.1; exit 1",
        shell => "/bin/sh",

        Meta:retry => -1,
        Meta:delay => 200,
}
exec "second" {
        cmd => "touch $SCRATCH/second",
        shell => "/bin/sh",

        Depend => Exec["first"],
}
""")
    with Run(s, "--tmp-prefix", path) as run:
        wait_until(lambda: len((read(s.at("tries")) or "").split()) >= 2, "it was retried")
        run.end(signal.SIGINT)
    check(not os.path.exists(s.at("second")), "what depends on it ran")
    s.check_clean()


def t11_same_place(s):
    """T11: two in one place: the second ends with status 1 and says why."""
    path = s.program('print "x" {\n\tmsg => "x",\n}\n')
    with Run(s, "--prefix", s.at("prefix"), path) as run:
        run.wait_converged()
        second = s.ctl("run", "--prefix", s.at("prefix"), path)
        check_equal(second.returncode, 1, "the status of the second")
        check("another run uses" in second.stderr, second.stderr)
        run.end()
    s.check_clean()


def t16_list(s):
    """T16: a list of 67 shrinks to 66 under iterators, and grows, again and again."""
    path = s.program("""\
import "iter"
import "os"
import "strings"
import "golang/strings" as golang_strings

$names = iter.filter(strings.split(golang_strings.trim_space(os.readfile("$SCRATCH/list")), "\\n"), func($x) { $x != "" })
file "$SCRATCH/out" {
        state => "exists",
        content => golang_strings.join(iter.map($names, func($x) { "<" + $x + ">" }), ""),
}
for $i, $name in $names {
        test "t-${name}" {
                anotherstr => $name,
        }
}
""")
    lists = [[f"n{i}" for i in range(n)] for n in (67, 66)]
    write(s.at("list"), "\n".join(lists[0]) + "\n")

    def is_right(n):
        return read(s.at("out")) == "".join(f"<{x}>" for x in lists[n])

    with Run(s, "--tmp-prefix", path) as run:
        run.wait_converged()
        check(is_right(0), f"the file says {read(s.at('out'))!r}")
        for i in range(1, 31):
            write(s.at("list.new"), "\n".join(lists[i % 2]) + "\n")
            os.rename(s.at("list.new"), s.at("list"))
            if i % 3 == 0:      # else faster than anybody can follow
                wait_until(lambda i=i: is_right(i % 2), f"step {i}: the file follows the list")
        wait_until(lambda: is_right(0), "the file follows the list to the end")
        run.end()
        bad = [e for e in run.events if e.get("priority", 6) <= 3 or e["type"] == "died"]
        check_equal(bad, [], "errors")
    s.check_clean()


def reversal(s):
    """What leaves the program is put back as it was, also by the next run."""
    write(s.at("edited"), "as it was\n")
    write(s.at("unwanted"), "keep me\n")
    whole = s.program("""\
file "$SCRATCH/edited" {
        content => "as it is\\n",
        Meta:reverse => true,
}
file "$SCRATCH/made" {
        state => "exists",
        content => "made\\n",
        Meta:reverse => true,
        Depend => File["$SCRATCH/edited"],
}
file "$SCRATCH/unwanted" {
        state => "absent",
        Meta:reverse => true,
}
""")
    empty = s.program('print "nothing" {\n\tmsg => "nothing",\n}\n', "empty.mcl")
    arguments = ("--prefix", s.at("prefix"))
    for _ in range(2):          # the second time it finds everything right, and knows all the same how it was
        with Run(s, *arguments, whole) as run:
            run.wait_converged()
            check_equal(read(s.at("edited")), "as it is\n", "the edited file")
            check_equal(read(s.at("made")), "made\n", "the file that was made")
            check_equal(read(s.at("unwanted")), None, "the unwanted file")
            run.end()
    with Run(s, *arguments, empty) as run:
        run.wait_converged()
        check_equal(read(s.at("edited")), "as it was\n", "the edited file")
        check_equal(read(s.at("made")), None, "the file that was made")
        check_equal(read(s.at("unwanted")), "keep me\n", "the unwanted file")
        run.end()
    write(s.at("edited"), "mine\n")     # and that was that
    with Run(s, *arguments, empty) as run:
        run.wait_converged()
        check_equal(read(s.at("edited")), "mine\n", "the edited file")
        run.end()
    s.check_clean()


if __name__ == "__main__":
    main(t7_chain, t7_beside, t8_retries, t11_same_place, t16_list, reversal)
