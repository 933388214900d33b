/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Files of the tree that stand beside the source of a test. The compiler knows the source by its path from the build directory, and
 * there the program is as well, wherever it was started. */

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BESIDE(name) path_beside(__FILE__, (name))

/* Owned by the caller; NULL: out of memory. */
static inline char *path_beside(const char *file, const char *name) {
        char program[PATH_MAX], *path;
        const char *slash = strrchr(file, '/');
        ssize_t n = *file == '/' ? 0 : readlink("/proc/self/exe", program, sizeof(program) - 1);

        program[n > 0 ? n : 0] = '\0';
        char *end = strrchr(program, '/');
        if (end)
                end[1] = '\0';
        return asprintf(&path, "%s%.*s/%s", program, (int) (slash - file), file, name) < 0 ? NULL : path;
}
