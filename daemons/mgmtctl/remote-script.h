/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the other host's shell is given to do: archives that come in unpacked in a directory, mgmt-remote started there, and all of it
 * removed at the end, however that comes. It says, on lines of their own:
 *
 *      mgmt-remote is SYSTEM/MACHINE HOSTNAME SUMS RUNS
 *                                              SUMS: SHA-256 of the list of programs that are there, and were found right; RUNS: of what
 *                                              was said to whatever runs there; "none"
 *      mgmt-remote needs LIBRARY…              what the loader has not found; perhaps several times, what these need themselves
 *      mgmt-remote starts                      frames from now on
 *      mgmt-remote installs                    that takes its time
 *      mgmt-remote was, mgmt-remote idle       it runs, or did; or did not
 *
 * After the first it reads a line "NUMBER WHAT", after the second "NUMBER"; then an archive of so many bytes. WHAT: "new" comes in an empty
 * place, "more" is added to the programs that are there, and "watch" is for what runs.
 *
 * There are two, which share most: remote_script has a private directory for this once, as `mgmtctl remote` wants it. The other one is
 * followed by arguments:
 *
 *      MODE ID keep|remove no|deps             MODE: run, start, look or stop, as mgmt-remote has them
 *
 * ID makes part of the name of the directory, in which somebody who comes later finds what there is. "deps" has packages installed that
 * are missing.
 *
 * The login shell may be any: it sees words in single quotes, without newlines and exclamation marks in them. */

#define REMOTE_SAYS "mgmt-remote "

#define SCRIPT_BEGIN \
        "exec /bin/sh -c '" \
        "umask 077; d=; x=; " \
        "fail() { echo \"$*\" >&2; exit 1; }; " \
        "say() { echo \"" REMOTE_SAYS "$*\"; }; " \
        "end() { cd /; test -z \"$x\" || rm -rf -- \"$x\"; }; " \
        "trap \"exit 1\" HUP INT PIPE TERM; " \
        "trap end EXIT; "

/* Many hosts let nobody execute anything in /tmp. */
#define SCRIPT_NEEDS \
        "command -v tar >/dev/null || fail \"tar is not installed there\"; " \
        "test -x /usr/bin/dbus-daemon || fail \"/usr/bin/dbus-daemon is not installed there\"; " \
        "may() { echo : >\"$d/try\" && chmod 700 \"$d/try\" && \"$d/try\" 2>/dev/null && rm -f \"$d/try\"; }; "

/* Nobody who is cut off here is waited for. The loader is asked without running anything. */
#define SCRIPT_UNPACK \
        "t=; command -v timeout >/dev/null && t=\"timeout 600\"; " \
        "get() { $t head -c \"$n\" | tar -xomf - || fail \"cannot unpack the programs there\"; }; " \
        "check() { { export LC_ALL=C LD_TRACE_LOADED_OBJECTS=1 LD_LIBRARY_PATH=\"$d/lib\"; " \
        "for f in ./mgmtctl ./mgmt-*; do \"$f\" 2>&1; done; } | " \
        "while read -r l; do case $l in *\"not found\"* | *\"error while\"*) echo \"$l\";; esac; done | sort -u; }; " \
        "its() { echo \"$(uname -s)/$(uname -m) $(uname -n)\"; }; "

#define SCRIPT_START \
        "get; " \
        "for i in 1 2 3 4 5 6 7 8; do " \
        "m=$(check); n=$(echo \"$m\" | while read -r l w r; do test \"$w\" = \"=>\" && echo \"$l\"; done); " \
        "test -n \"$n\" || break; " \
        "say needs $n; read -r n && get; " \
        "done; " \
        "test -z \"$m\" || fail \"what is needed is missing there: $m\"; " \
        "if test -d lib; then LD_LIBRARY_PATH=\"$d/lib\"; export LD_LIBRARY_PATH; fi; " \
        "say starts; "

static const char remote_script[] =
        SCRIPT_BEGIN
        SCRIPT_NEEDS
        "for t in \"${TMPDIR:-/tmp}\" /var/tmp \"$HOME\"; do "
        "d=$(mktemp -d \"$t/mgmt-remote-XXXXXXXXXX\" 2>/dev/null) || continue; "
        "x=$d; may && break; "
        "rm -rf -- \"$d\"; d=; x=; "
        "done; "
        "test -n \"$d\" || fail \"there is no place there in which programs may be put and run, tried ${TMPDIR:-/tmp}, /var/tmp and $HOME\"; "
        "cd \"$d\" || exit 1; "
        SCRIPT_UNPACK
        "say \"is $(its) none none\"; read -r n w || exit 1; "
        SCRIPT_START
        "./mgmt-remote \"$d\"; exit $?'";

static const char remote_kept_script[] =
        SCRIPT_BEGIN
        "lent() { LD_LIBRARY_PATH=\"$d/lib\" \"$@\"; }; "
        "if test \"$(id -u)\" = 0; then b=/var/lib/mgmt; else b=$HOME/.mgmt; fi; "
        "d=$b/remote/mgmt-remote-$2; "
        /* Where others may come, nothing is to be of anybody but us. */
        "safe() { for p in \"$b\" \"$b/remote\" \"$d\"; do "
        "case $(ls -ldn \"$p\" 2>/dev/null) in d????" "-?" "?-*) test -O \"$p\" && continue;; esac; "
        "fail \"$p must be a directory of $(id -un), in which nobody else may write\"; "
        "done; }; "
        "make() { "
        "test -d \"$b\" || mkdir -m 755 \"$b\" || exit 1; "
        "test -d \"$b/remote\" || mkdir \"$b/remote\" || exit 1; "
        "test -d \"$d\" || mkdir \"$d\" || exit 1; "
        "safe; chmod 700 \"$b/remote\" \"$d\" && cd \"$d\" || exit 1; }; "

        "case $1 in look|stop) "
        "test -x \"$d/mgmt-remote\" || { say idle; exit 0; }; safe; "
        "lent \"$d/mgmt-remote\" \"$1\" \"$d\"; "
        "case $? in 0) say was; exit 0;; 3) say idle; exit 0;; esac; exit 1;; "
        "esac; "

        "ready() { command -v tar >/dev/null && test -x /usr/bin/dbus-daemon; }; "
        "add() { "
        "if command -v apt-get; then export DEBIAN_FRONTEND=noninteractive; "
        "apt-get -y install tar dbus-daemon || apt-get -y install tar dbus; "
        "elif command -v dnf; then dnf -y install tar dbus-daemon; "
        "elif command -v yum; then yum -y install tar dbus-daemon; "
        "fi; }; "
        "test \"$4\" = deps && { ready || add </dev/null 2>&1 | while read -r l; do say installs; done; }; "
        SCRIPT_NEEDS

        "make; may || { rm -f try; fail \"programs may not be run in $d\"; }; "
        "runs=none; sums=none; "
        "if test -x ./mgmt-remote; then case $1 in "
        "run) lent ./mgmt-remote stop \"$d\";; "
        "*) if lent ./mgmt-remote look \"$d\"; then runs=$(head -c 64 started 2>/dev/null); runs=${runs:-other}; fi;; "
        "esac; fi; "
        /* What was stopped may have removed all of it. */
        "make; "
        "tidy() { case $3 in keep) x=$d/credentials;; *) x=$d;; esac; }; "
        "test \"$runs\" = none && tidy \"$@\"; "
        "test \"$3\" = keep && sha256sum -c programs.sha256 >/dev/null 2>&1 && sums=$(sha256sum <programs.sha256 | head -c 64); "
        SCRIPT_UNPACK
        "say \"is $(its) $sums $runs\"; read -r n w || exit 1; "
        "case $w in watch) say starts; lent ./mgmt-remote watch \"$d\"; exit $?;; esac; "
        "test \"$runs\" = none || { lent ./mgmt-remote stop \"$d\"; make; tidy \"$@\"; }; "
        "case $w in "
        "more) test -f mgmtctl || fail \"what was there has been removed\"; rm -rf credentials started;; "
        "*) rm -rf lib credentials started programs.sha256 kinds.json mgmtctl mgmt-[a-z]*;; "
        "esac; "
        SCRIPT_START
        "case $1 in start) x=;; esac; "
        "./mgmt-remote \"$1\" \"$3\" \"$d\"; exit $?'";
