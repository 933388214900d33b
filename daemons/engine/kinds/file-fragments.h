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

/* All but ret is borrowed, target as long as it lives. -ENOMEM. */
int file_fragments_new(FileFragments **ret, const Resource *r, char *const *paths, const SafePath *target);

/* 1: there is more to do. 0: text is complete. Or negative errno. */
int file_fragments_step(FileFragments *f, Diag *reterr);
FileFragments *file_fragments_free(FileFragments *f);
