/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Where something is mounted, as the kernel tells it in /proc/self/mountinfo. */

#include <fcntl.h>

#include "common/io.h"
#include "common/sd/path-tree.h"

enum { MOUNTINFO_MAX = 64 * 1024 * 1024 };

/* Blanks and the like are written as "\040". */
static void unescape(char *text) {
        char *to = text;

        for (const char *p = text; *p; to++)
                if (p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' && p[3] >= '0' && p[3] <= '7') {
                        *to = (char) ((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
                        p += 4;
                } else
                        *to = *p++;
        *to = '\0';
}

/* The fifth word. */
static char *mount_point(char *line) {
        char *word = NULL;

        for (int i = 0; i < 5; i++)
                word = strsep(&line, " ");
        if (word)
                unescape(word);
        return word;
}

int path_mounts_read(Map **ret) {
        _cleanup_(map_freep) Map *mounts = map_new();
        _cleanup_free_ char *text = NULL;
        char *rest, *line;

        if (!mounts)
                return -ENOMEM;
        int r = read_file_at(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL);
        rest = text;
        while (r >= 0 && (line = strsep(&rest, "\n"))) {
                const char *point = mount_point(line);
                r = point ? map_put(mounts, point, mounts) : 0;
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(mounts);
        return 0;
}
