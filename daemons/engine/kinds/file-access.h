/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Who may do what with a file: owner, group, mode, security context. */

#include <stdbool.h>
#include <sys/stat.h>

#include "common/resource.h"

typedef struct FileAccess {
        uid_t uid;              /* (uid_t) -1: as it is */
        gid_t gid;
        mode_t mode;            /* the low 12 bits */
        bool has_mode;          /* else as it is */
        const char *context;    /* of SELinux; NULL: as it is; "": none */
} FileAccess;

#define FILE_ACCESS_INIT { .uid = (uid_t) -1, .gid = (gid_t) -1 }

const char *file_type_text(const struct stat *st);              /* "file", "directory", … */

/* fd may be O_PATH, and that of a symbolic link; path is for messages. Whether the object has it: 1, 0, or negative errno. */
int file_access_check(const FileAccess *a, int fd, const struct stat *st, const Resource *r, const char *path, Diag *reterr);
int file_access_set(const FileAccess *a, int fd, const Resource *r, const char *path, Diag *reterr);

/* Says what is to change: st and fd are of the object that is there, or st is NULL. owner and group are as the program has them. */
void file_access_differs(const FileAccess *a, int fd, const struct stat *st, Resource *r, const char *owner, const char *group);

/* The context of an object: 0 and "" where there is none. */
int file_context_get(int fd, char *ret, size_t size);

/* What a file shall have that takes the place of another: owner and mode of that; NULL: of none, then it is as open() would make it.
 * Ids that are ours already are left as they are. */
FileAccess file_access_after(const struct stat *before);
