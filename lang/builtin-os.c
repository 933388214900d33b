/* SPDX-License-Identifier: GPL-3.0-or-later */

/* os, the part that needs nothing of the machine. */

#include <string.h>

#include "lang/builtins.h"

/* "fedora39-x86_64": a name, a version in digits, and what follows the first dash. All are empty if one is. */
static int parse_distro_uid(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        static const char *const names[] = { "distro", "version", "arch" };
        const char *s = args[0].s->data, *end = s + args[0].s->size, *dash = memchr(s, '-', args[0].s->size);
        const char *version = dash;
        Value fields[3] = {};
        int r;

        while (version && version > s && version[-1] >= '0' && version[-1] <= '9')
                version--;
        if (!dash || version == s || version == dash || dash + 1 == end)
                s = version = dash = end = "";  /* three empty texts */
        r = value_str(&fields[0], s, (size_t) (version - s));
        if (r >= 0)
                r = value_str(&fields[1], version, (size_t) (dash - version));
        if (r >= 0)
                r = dash == end ? value_strz(&fields[2], "") : value_str(&fields[2], dash + 1, (size_t) (end - dash - 1));
        if (r >= 0)
                r = value_struct(ret, names, fields, ELEMENTSOF(fields));
        for (size_t i = 0; i < ELEMENTSOF(fields); i++)
                value_done(&fields[i]);
        return r;
}

const Builtin os_builtins[] = {
        { .name = "os.parse_distro_uid", .signature = "func(str) struct{distro str; version str; arch str}", .eval = parse_distro_uid,
          .flags = BUILTIN_PURE, .doc = "The parts of a text such as fedora39-x86_64; all are empty if one is missing.",
          .example = MCL(os.parse_distro_uid("fedora39-x86_64")),
          .gives = MCL(struct{distro: "fedora"; version: "39"; arch: "x86_64"}) },
        BUILTIN_ASKED("os.args", "func() []str",
                      "The arguments with which the process was started.",
                      MCL(os.args())),
        BUILTIN_ASKED("os.expand_home", "func(str) str",
                      "The path with ~/ or ~name/ at its start replaced by the home directory.",
                      MCL(os.expand_home("~/x"))),
        BUILTIN_ASKED("os.family", "func() str",
                      "The family of the distribution: redhat, debian, archlinux, or nothing.",
                      MCL(os.family())),
        BUILTIN_WATCHED("os.file_exists", "func(filename str) bool",
                        "Whether there is a file of that name; anew when that changes.",
                        MCL(os.file_exists("/etc/motd"))),
        BUILTIN_ASKED("os.home", "func(str) str",
                      "The home directory of a user, with a slash at its end.",
                      MCL(os.home("root"))),
        BUILTIN_ASKED("os.is_family_archlinux", "func() bool",
                      "Whether this is Arch Linux.",
                      MCL(os.is_family_archlinux())),
        BUILTIN_ASKED("os.is_family_debian", "func() bool",
                      "Whether this is Debian or made from it.",
                      MCL(os.is_family_debian())),
        BUILTIN_ASKED("os.is_family_redhat", "func() bool",
                      "Whether this is Fedora or one of its relatives.",
                      MCL(os.is_family_redhat())),
        BUILTIN_ASKED("os.is_virtual", "func() bool",
                      "Whether this is a virtual machine.",
                      MCL(os.is_virtual())),
        BUILTIN_WATCHED("os.modinfo_loaded", "func(module str) bool",
                        "Whether the kernel has that module loaded; anew when that changes.",
                        MCL(os.modinfo_loaded("kvm"))),
        BUILTIN_WATCHED("os.readfile", "func(filename str) str",
                        "What is in the file, anew when it changes. That there is none can be caught.",
                        MCL(os.readfile("/etc/hostname") <|> "")),
        BUILTIN_ASKED("os.release", "func() struct{id str; variant_id str; version_id str}",
                      "What os-release says of the distribution: ID, VARIANT_ID and VERSION_ID.",
                      MCL(os.release())),
        BUILTIN_WATCHED("os.system", "func(cmd str) str",
                        "What the shell command cmd prints: each line is a new value.",
                        MCL(os.system("echo hello"))),
        BUILTIN_ASKED("os.uid", "func(str) str",
                      "The number of a user, as a text.",
                      MCL(os.uid("root"))),
        BUILTIN_WATCHED("os.user_exists", "func(user str) bool",
                        "Whether there is such a user; anew when users come and go.",
                        MCL(os.user_exists("root"))),
        {}
};
