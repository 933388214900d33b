/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See suggest.h. */

#include <stdint.h>
#include <string.h>

#include "common/macro.h"
#include "common/suggest.h"

enum { SUGGESTION_SIZE_MAX = 64 };

/* How many characters must be added, dropped, replaced or swapped with their neighbour. */
static size_t distance(const char *a, const char *b) {
        size_t n = strlen(a), m = strlen(b);
        size_t rows[3][SUGGESTION_SIZE_MAX + 1], *before = rows[0], *above = rows[1], *row = rows[2];

        if (n > SUGGESTION_SIZE_MAX || m > SUGGESTION_SIZE_MAX)
                return SIZE_MAX;
        for (size_t j = 0; j <= m; j++)
                above[j] = before[j] = j;
        for (size_t i = 1; i <= n; i++) {
                row[0] = i;
                for (size_t j = 1; j <= m; j++) {
                        size_t replaced = above[j - 1] + (a[i - 1] != b[j - 1]), moved = MIN(above[j], row[j - 1]) + 1;
                        row[j] = MIN(replaced, moved);
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                                row[j] = MIN(row[j], before[j - 2] + 1);
                }
                size_t *spare = before;
                before = above;
                above = row;
                row = spare;
        }
        return above[m];
}

Suggestion suggestion_for(const char *wanted) {
        return (Suggestion) { .wanted = wanted, .distance = MAX(strlen(wanted) / 3, (size_t) 1) + 1 };
}

void suggestion_add(Suggestion *s, const char *candidate) {
        size_t d = distance(s->wanted, candidate);

        /* Of equally near ones the first in the alphabet, so that the answer does not depend on the order of asking. */
        if (d > 0 && (d < s->distance || (d == s->distance && s->best && strcmp(candidate, s->best) < 0))) {
                s->best = candidate;
                s->distance = d;
        }
}
