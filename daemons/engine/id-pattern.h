/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Patterns over the identity of a resource, "kind[name]". '*' stands for any text, '?' for any character; brackets stand for
 * themselves, which is why fnmatch() will not do. */

#include <stdbool.h>

/* pattern NULL or "" matches everything. Linear in the length of the identity times the number of '*'. */
bool id_pattern_match(const char *pattern, const char *kind, const char *name);
