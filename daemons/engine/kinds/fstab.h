/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The texts of /etc/fstab and /proc/self/mountinfo. */

#include "common/macro.h"

typedef struct FstabEntry {
        char *device, *point, *type, *options;  /* owned, without escapes */
        int freq, passno;
} FstabEntry;

void fstab_entry_done(FstabEntry *e);

/* What the text has to become so that entry is the only one for this mount point; with NULL there shall be none. All other lines,
 * comments among them, stay as they are. 0: it is so already; 1: *ret. */
int fstab_edit(const char *text, const char *point, const FstabEntry *entry, char **ret);

/* What is mounted there, the last one if there are several on top of each other: 1, or 0 if there is nothing. */
int mountinfo_find(const char *text, const char *point, FstabEntry *ret);
