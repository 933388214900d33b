/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The identity is never put together: it is read piece by piece from kind and name. */

#include <stddef.h>
#include <string.h>

#include "daemons/engine/id-pattern.h"

typedef struct Id {
        const char *kind, *name;
        size_t n_kind, n_name;
} Id;

static char char_at(const Id *id, size_t i) {
        if (i < id->n_kind)
                return id->kind[i];
        i -= id->n_kind;
        if (i == 0)
                return '[';
        i--;
        return i < id->n_name ? id->name[i] : ']';
}

bool id_pattern_match(const char *pattern, const char *kind, const char *name) {
        const char *star = NULL;        /* behind the last one */
        size_t i = 0, taken = 0;        /* what the star has taken so far ends here */

        if (!pattern || !*pattern)
                return true;
        Id id = { .kind = kind, .name = name, .n_kind = strlen(kind), .n_name = strlen(name) };
        size_t n = id.n_kind + id.n_name + 2;

        while (i < n) {
                if (*pattern == '*') {
                        star = ++pattern;
                        taken = i;
                } else if (*pattern && (*pattern == '?' || *pattern == char_at(&id, i))) {
                        pattern++;
                        i++;
                } else if (star) {
                        pattern = star;
                        i = ++taken;
                } else
                        return false;
        }
        while (*pattern == '*')
                pattern++;
        return *pattern == '\0';
}
