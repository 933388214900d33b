/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Paths, walked by root through folders that belong to others. A symbolic link is followed only if it belongs to root or to us:
 * then whoever made it could have done the damage without it. One syscall where there is no link at all. */

#include <stdbool.h>
#include <sys/types.h>

#include "common/macro.h"

typedef struct SafePath {
        int dir_fd;             /* O_PATH; owned */
        char *base;             /* name in it, owned; "." for the root directory */
} SafePath;

#define SAFE_PATH_INIT { .dir_fd = -EBADF }

/* What to say of -EPERM from here. */
#define SAFE_PATH_UNTRUSTED "'%s' leads over a symbolic link that is not trusted: neither root nor we made it"

/* Opens an existing object. flags as of open(); O_CLOEXEC, O_NOCTTY and O_NONBLOCK are added. A link at the end is followed
 * under the same rule. -EPERM: a link was not trusted. */
int safe_open(const char *path, int flags);

/* The same, but for a path without any link. -ELOOP: there is one; -ENOSYS, -EPERM: the system does not let us say so. */
int safe_open_direct(const char *path, int flags);

/* As safe_open(), for a name in a directory; not with O_PATH. */
int safe_open_at(int dir_fd, const char *name, int flags);

/* Finds where path ends: its directory must exist, the last part need not. follow: a trusted link at the end is replaced by what
 * it points to; otherwise the end is the link itself. Slashes at the end do not count. */
int safe_path_find(const char *path, bool follow, SafePath *ret);

/* The same, following, but directories on the way that are missing are made. */
int safe_path_make(const char *path, mode_t mode, SafePath *ret);
void safe_path_done(SafePath *p);

/* Whether others than root and we can put things into the directory, which is open as O_PATH or otherwise. */
bool safe_path_is_shared(int dir_fd);
