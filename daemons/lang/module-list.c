/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A line is "NAME SIZE USES USERS STATE ADDRESS …". */

#include <string.h>

#include "daemons/lang/module-list.h"

static bool is_live(const char *line) {
        const char *end = line + strcspn(line, "\n");

        for (int i = 0; i < 4; i++) {
                line += strcspn(line, " \n");
                line += *line == ' ';
        }
        return end - line >= 4 && strncmp(line, "Live", 4) == 0 && (line[4] == ' ' || line[4] == '\n' || line[4] == '\0');
}

bool module_list_has(const char *text, const char *name, size_t size) {
        for (const char *line = text, *next; *line; line = next) {
                size_t length = strcspn(line, "\n");
                next = line + length + (line[length] == '\n');
                if (size > 0 && strcspn(line, " \n") == size && memcmp(line, name, size) == 0)
                        return is_live(line);
        }
        return false;
}
