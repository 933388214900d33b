/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* "Did you mean 'x'?": whatever of the candidates is nearest to what was written, if any is near. */

#include <stddef.h>

typedef struct Suggestion {
        const char *wanted;
        const char *best;       /* NULL if nothing is near; else one of the candidates */
        size_t distance;
} Suggestion;

Suggestion suggestion_for(const char *wanted);
void suggestion_add(Suggestion *s, const char *candidate);      /* must live as long as best is used */
