/* SPDX-License-Identifier: GPL-3.0-or-later */

/* sys and sys/fwupd: what this machine says of itself while it runs. */

#include "lang/builtins.h"

const Builtin sys_builtins[] = {
        BUILTIN_WATCHED("sys.cpu_count", "func() int",
                        "How many processors are online.",
                        MCL(sys.cpu_count())),
        BUILTIN_ASKED("sys.env", "func() map{str: str}",
                      "All environment variables.",
                      MCL(sys.env())),
        BUILTIN_ASKED("sys.getenv", "func(str) str",
                      "An environment variable. That it is not set can be caught.",
                      MCL(sys.getenv("HOME") <|> "")),
        BUILTIN_ASKED("sys.hasenv", "func(str) bool",
                      "Whether an environment variable is set.",
                      MCL(sys.hasenv("HOME"))),
        BUILTIN_WATCHED("sys.hostname", "func() str",
                        "The name of this host as the system has it.",
                        MCL(sys.hostname())),
        BUILTIN_WATCHED("sys.load", "func() struct{x1 float; x5 float; x15 float}",
                        "How many processes wanted to run in the last 1, 5 and 15 minutes; anew every five seconds.",
                        MCL(sys.load())),
        BUILTIN_WATCHED("sys.uptime", "func() int",
                        "Seconds since the boot, anew each second.",
                        MCL(sys.uptime())),
        BUILTIN_WATCHED("sys/fwupd.reboot_needed", "func() bool",
                        "Whether an update of firmware waits for a reboot.",
                        MCL(fwupd.reboot_needed())),
        {}
};
