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
        {}
};
