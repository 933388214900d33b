/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the other host's shell is given to do: a private directory, the archive that comes in unpacked there, mgmt-remote started, and all
 * of it removed at the end, however that comes. Says one line on stdout before it reads the archive:
 *
 *      mgmt-remote SYSTEM/MACHINE HOSTNAME DIRECTORY
 *
 * The login shell may be any: it sees one word in single quotes, without newlines and exclamation marks in it. */

#define REMOTE_SAYS "mgmt-remote "

static const char remote_script[] =
        "exec /bin/sh -c '"
        "umask 077; d=; "
        "fail() { echo \"$*\" >&2; exit 1; }; "
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
        "echo \"" REMOTE_SAYS "$(uname -s)/$(uname -m) $(uname -n) $d\"; "
        "t=; command -v timeout >/dev/null && t=\"timeout 600\"; "
        "$t tar -xomf - || fail \"cannot unpack the programs there\"; "
        /* Asks the loader, without running them. */
        "m=$({ export LC_ALL=C LD_TRACE_LOADED_OBJECTS=1; for f in ./mgmtctl ./mgmt-*; do \"$f\" 2>&1; done; } | "
        "while read -r l; do case $l in *\"not found\"* | *\"error while\"*) echo \"$l\";; esac; done | sort -u); "
        "test -z \"$m\" || fail \"what is needed is missing there: $m\"; "
        "./mgmt-remote \"$d\"; exit $?'";
