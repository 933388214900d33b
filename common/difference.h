/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What an attempt found wrong at a resource: how something is, and how it shall be. Kinds say it with resource_differs(). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

typedef enum DifferenceFlags {
        DIFFERENCE_SECRET       = 1 << 0,       /* there are no texts, because nobody shall see them */
        DIFFERENCE_UNKNOWN      = 1 << 1,       /* what it will be cannot be known before other things are done; to says why, unless it is
                                                 * only a value to be sent, which is for receivers to know */
        _DIFFERENCE_FLAGS       = DIFFERENCE_SECRET | DIFFERENCE_UNKNOWN,
} DifferenceFlags;

typedef struct Difference {
        char *field;            /* of the kind, or what else is not as it shall be; "" for all of it */
        char *from, *to;        /* NULL: nothing is there, or nothing is said of it */
        char *diff;             /* in place of both, where the texts are long: see text-diff.h */
        unsigned flags;
} Difference;

/* Texts that are short stay as they are. For long ones there is a diff, or with brief, and where they are no text, their sizes. A
 * NULL pointer is "nothing there". */
int difference_new(Difference *ret, const char *field, const char *from, size_t from_size, const char *to, size_t to_size, bool brief);
void difference_done(Difference *d);

/* "mode: 0644 -> 0600", without a newline at the end; a diff begins in a line of its own, unless it is not wanted. NULL if out of
 * memory. */
char *difference_text(const Difference *d, bool with_diff);

typedef struct Differences {
        Difference *items;
        size_t n, capacity;
        size_t size;            /* of all texts */
} Differences;

enum {
        DIFFERENCES_MAX = 64,
        DIFFERENCES_SIZE_MAX = 256 * 1024,      /* what comes then loses its texts */
};

int differences_add(Differences *list, Difference *d);  /* takes the content of d, also on failure */
void differences_done(Differences *list);

bool difference_is_for_people(const Difference *d);

/* Those for people, one after another: separated by newlines, or, without diffs, by ", ". */
char *differences_text(const Differences *list, bool with_diffs);
