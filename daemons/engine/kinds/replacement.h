/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A new file that is made beside the one whose place it then takes, so that nobody ever sees half of it. Its name follows from that
 * of the file: one that a killed engine left behind is used up by the next attempt. */

#include <stdbool.h>
#include <sys/types.h>

#include "common/macro.h"

enum { REPLACEMENT_NAME_MAX = 32 };

typedef struct Replacement {
        int fd;                 /* open for writing; owned */
        int dir_fd;             /* borrowed */
        const char *base;       /* borrowed */
        char name[REPLACEMENT_NAME_MAX];
        bool made;              /* and neither put in place nor removed yet */
} Replacement;

#define REPLACEMENT_INIT { .fd = -EBADF }

/* mode: as open() has it. 0600, if it is to be another's. */
int replacement_open(Replacement *n, int dir_fd, const char *base, mode_t mode);

/* Closes it, so that whoever watches the place sees one event of its name. -EBUSY: something is mounted there, it can be written in
 * place only. */
int replacement_put(Replacement *n);
void replacement_done(Replacement *n);          /* removes it, if it was not put in place */

/* Extended attributes of the file that goes, as far as the file system lets us; but not what must not outlive a content:
 * capabilities, checksums. */
void replacement_copy_attributes(const Replacement *n, int from_fd);

void replacement_name(const char *base, char ret[static REPLACEMENT_NAME_MAX]);
bool replacement_is_name(const char *name);     /* of any file */
