/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Paths of files as text: nothing here looks at the disk. */

#include <stdbool.h>
#include <stddef.h>

/* The length of the directory part, with its slash; a slash at the end belongs to the last part. "/" has no directory part. */
size_t path_dirname_length(const char *path);
size_t path_dirname_length_n(const char *path, size_t size);

static inline bool path_is_directory(const char *path) {
        size_t n = __builtin_strlen(path);
        return n > 0 && path[n - 1] == '/';
}

/* Whether path is top or lies below it, by whole parts. What "." and ".." and repeated slashes mean is seen through. */
bool path_is_inside(const char *path, const char *top);

/* The rest of path below top, without slashes around it, if it lies below: "" if it is top itself; NULL if neither. Both are
 * clean, as path_tidy() makes them. */
const char *path_below(const char *path, const char *top);

/* A copy without ".", ".." and empty parts, and without a slash at its end ("/" is ""). NULL: out of memory. */
char *path_tidy(const char *path);
