/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Brings one regular file to a content, piece by piece: compares, and, if that finds a difference and the user says so, writes a new
 * file and puts it in place. */

#include "daemons/engine/kinds/file-access.h"
#include "daemons/engine/kinds/file-content.h"
#include "daemons/engine/kinds/replacement.h"

typedef struct FileCopy {
        /* Given by the user, borrowed: */
        const Resource *resource;       /* for messages, as is path */
        const char *path;
        const FileContent *content;
        int dir_fd;                     /* where it is, or shall be; needed for writing, as is base */
        const char *base;
        int have_fd;                    /* what is there, if it is a regular file, open for reading; else -EBADF */
        struct stat have;               /* of it */
        FileAccess access;              /* what is not said is as it was, or as it is with a new file */

        bool sync;                      /* on the disk before it is in place: what a host needs to boot */

        bool changed;                   /* result of comparing: it is different */
        bool differs;                   /* known to, see file_copy_write() */
        bool replaced;                  /* what is written was put in place by renaming, and was until then as it shall be */
        struct stat put;                /* of that */
        uint64_t n_bytes;               /* written so far, for those who watch */

        int (*next)(struct FileCopy *c, Diag *reterr);
        uint64_t at;
        Replacement replacement;
        int in_place_fd;                /* where renaming is not possible */
} FileCopy;

#define FILE_COPY_INIT \
        { .dir_fd = -EBADF, .have_fd = -EBADF, .in_place_fd = -EBADF, .access = FILE_ACCESS_INIT, .replacement = REPLACEMENT_INIT }

/* Compares, without changing anything; after file_copy_write() writes. 1: there is more to do. 0: done. Or negative errno; then it
 * is as it was. */
int file_copy_step(FileCopy *c, Diag *reterr);
void file_copy_write(FileCopy *c);
void file_copy_done(FileCopy *c);
