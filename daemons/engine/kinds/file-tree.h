/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Makes one directory like another: what is missing is copied, what differs is replaced, what is too much is removed; or empties
 * it. It goes from entry to entry, and of a large file from piece to piece, and keeps in memory only the way from the top to where
 * it is. */

#include <stdbool.h>
#include <stdint.h>

#include "common/resource.h"

typedef struct FileTree FileTree;

typedef struct FileTreeSpec {
        Resource *resource;             /* for messages, and whose differences are told: one for each path */
        const char *target;             /* for messages: the path of target_fd */
        int target_fd;                  /* the directory; may be O_PATH. Not needed after file_tree_new() */
        const char *source;             /* path of a directory to copy from; NULL: all of the target is too much */
        int parent_fd;                  /* with parent_base, which may be NULL: the target itself is too much as well. Borrowed */
        const char *parent_base;
        bool apply;
        bool force;                     /* replace a directory by a file, or the other way round */

        /* Paths below the target, without a slash at the end, sorted by strcmp(), that are left alone; a directory that is too much
         * stays if one of them is in it. NULL-terminated, or NULL; borrowed. */
        char *const *keep;
} FileTreeSpec;

typedef struct FileTreeProgress {
        uint64_t n_entries;             /* looked at */
        uint64_t n_bytes;               /* written */
} FileTreeProgress;

int file_tree_new(FileTree **ret, const FileTreeSpec *spec, Diag *reterr);
FileTree *file_tree_free(FileTree *t);  /* at any time; a file that is half copied goes */
DEFINE_CLEANUP(FileTree *, file_tree_free)

/* 1: there is more to do. 0: done, or, with apply false, there are more differences than anybody wants to hear of. Or negative errno. */
int file_tree_step(FileTree *t, Diag *reterr);
bool file_tree_changed(const FileTree *t);
FileTreeProgress file_tree_progress(const FileTree *t);
