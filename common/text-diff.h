/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What is different between two texts, line by line, as `diff -u` shows it (without its first two lines). The work is bounded,
 * whatever the texts are: where they have little in common, it may be shown as more than the least that would do. */

#include <stddef.h>

enum {
        TEXT_DIFF_INPUT_MAX = 1024 * 1024,      /* bytes of either text */
        TEXT_DIFF_MAX = 15 * 1024,              /* bytes that come out; a last line says how much is left out */
};

/* The empty string for equal texts. -EFBIG: one is too long; -EINVAL: one is no text, because there is a NUL in it; -ENOMEM. */
int text_diff(const char *from, size_t from_size, const char *to, size_t to_size, char **ret);
