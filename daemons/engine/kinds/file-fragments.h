/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* One content out of many files and directories of files, gathered piece by piece. */

#include "common/strbuf.h"
#include "daemons/engine/kinds/file-content.h"
#include "daemons/engine/kinds/safe-path.h"

typedef struct FileFragments {
        const Resource *resource;       /* for messages */
        char *const *next;              /* fragments to come; borrowed */
        const SafePath *target;         /* where all this goes to: not a fragment itself; borrowed, may be NULL */

        const char *path;               /* the one under way */
        int dir_fd;                     /* if it is a directory */
        char **names;                   /* of the files in it, sorted; owned */
        size_t n_names, i_name;
        FileContent content;            /* the file under way */
        uint64_t at;
        StrBuf text;
} FileFragments;

#define FILE_FRAGMENTS_INIT { .dir_fd = -EBADF, .content = FILE_CONTENT_INIT }

/* 1: there is more to do. 0: text is complete. Or negative errno. */
int file_fragments_step(FileFragments *f, Diag *reterr);
void file_fragments_done(FileFragments *f);
