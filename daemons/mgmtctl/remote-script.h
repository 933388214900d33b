/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the other host's shell is given to do: a private directory, archives that come in unpacked there, mgmt-remote started, and all of
 * it removed at the end, however that comes. It says, on lines of their own:
 *
 *      mgmt-remote is SYSTEM/MACHINE HOSTNAME DIRECTORY
 *      mgmt-remote needs LIBRARY…              what the loader has not found; perhaps several times, what these need themselves
 *      mgmt-remote starts                      frames from now on
 *
 * After each of the first two it reads a line with a number, and an archive of so many bytes.
 *
 * The login shell may be any: it sees one word in single quotes, without newlines and exclamation marks in it. */

#define REMOTE_SAYS "mgmt-remote "

static const char remote_script[] =
        "exec /bin/sh -c '"
        "umask 077; d=; "
        "fail() { echo \"$*\" >&2; exit 1; }; "
        "say() { echo \"" REMOTE_SAYS "$*\"; }; "
        "trap \"exit 1\" HUP INT PIPE TERM; "
        "trap \"cd /; test -z \\\"\\$d\\\" || rm -rf -- \\\"\\$d\\\"\" EXIT; "
        "command -v tar >/dev/null || fail \"tar is not installed there\"; "
        "test -x /usr/bin/dbus-daemon || fail \"/usr/bin/dbus-daemon is not installed there\"; "
        /* Many hosts let nobody execute anything in /tmp. */
        "for t in \"${TMPDIR:-/tmp}\" /var/tmp \"$HOME\"; do "
        "d=$(mktemp -d \"$t/mgmt-remote-XXXXXXXXXX\" 2>/dev/null) || continue; "
        "echo : >\"$d/try\" && chmod 700 \"$d/try\" && \"$d/try\" 2>/dev/null && break; "
        "rm -rf -- \"$d\"; d=; "
        "done; "
        "test -n \"$d\" || fail \"there is no place there in which programs may be put and run, tried ${TMPDIR:-/tmp}, /var/tmp and $HOME\"; "
        "cd \"$d\" || exit 1; "
        /* Nobody who is cut off here is waited for. */
        "t=; command -v timeout >/dev/null && t=\"timeout 600\"; "
        "get() { read -r n && $t head -c \"$n\" | tar -xomf - || fail \"cannot unpack the programs there\"; }; "
        /* Asks the loader, without running anything. */
        "check() { { export LC_ALL=C LD_TRACE_LOADED_OBJECTS=1 LD_LIBRARY_PATH=\"$d/lib\"; "
        "for f in ./mgmtctl ./mgmt-*; do \"$f\" 2>&1; done; } | "
        "while read -r l; do case $l in *\"not found\"* | *\"error while\"*) echo \"$l\";; esac; done | sort -u; }; "
        "say \"is $(uname -s)/$(uname -m) $(uname -n) $d\"; get; "
        "for i in 1 2 3 4 5 6 7 8; do "
        "m=$(check); n=$(echo \"$m\" | while read -r l w r; do test \"$w\" = \"=>\" && echo \"$l\"; done); "
        "test -n \"$n\" || break; "
        "say needs $n; get; "
        "done; "
        "test -z \"$m\" || fail \"what is needed is missing there: $m\"; "
        "if test -d lib; then LD_LIBRARY_PATH=\"$d/lib\"; export LD_LIBRARY_PATH; fi; "
        "say starts; ./mgmt-remote \"$d\"; exit $?'";
