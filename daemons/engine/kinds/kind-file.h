/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The kind file, between kind-file.c (what can be said, watching), file-attempt.c (checking and repairing) and file-reverse.c. */

#include <stdbool.h>

#include "common/resource.h"
#include "daemons/engine/kinds/account.h"

typedef struct FileAttempt FileAttempt;
typedef struct PathWatch PathWatch;

typedef struct File {
        Resource resource;
        char *path, *dirname, *basename;
        char *state;
        Value content;
        char *source;
        char **fragments;
        char *owner, *group, *mode, *selinux;
        bool recurse, force, purge, symlink;

        char *target;           /* the effective path, as given: with its slash, if it is a directory */
        bool watching;
        PathWatch **watches;    /* the first is that of the target; few, or an array of its own */
        PathWatch *few[2];
        size_t n_watches;
        FileAttempt *attempt;   /* under way */
} File;

extern const ResourceType file_type;

/* The effective path; *ret_free is what it was put together in, or NULL. NULL: out of memory. */
const char *file_target(const File *f, char **ret_free);

/* What the path is made of, or what is copied, was received: it is prepared anew, and watched, if it was, where it is now. */
int file_move(File *f, Diag *reterr);

/* The hooks of the same names. */
int file_check_apply(Resource *r, bool apply, Diag *reterr);
void file_cancel(Resource *r);
int file_reverse(const Resource *r, Resource **ret, Diag *reterr);
