/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Files, whole. Paths with symbolic links in the wrong place are a matter of the kinds; these are for our own. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

int read_file_at(int dir_fd, const char *path, size_t limit, char **ret, size_t *ret_size);     /* -E2BIG beyond limit; NUL added */

/* Written beside it, flushed (fsync) if sync, renamed over it: never seen half-written. */
int write_file_atomic_at(int dir_fd, const char *path, const void *data, size_t size, mode_t mode, bool sync);

/* A new file in the directory that has no name: it is gone when it is closed. For reading and writing; closed by exec. */
int open_unnamed(const char *directory);

int make_directories(const char *path, mode_t mode);            /* as mkdir -p; 0 also if it exists */
int remove_tree(const char *path);                              /* as rm -rf, without following links; 0 if absent */
int remove_tree_at(int dir_fd, const char *path);
int write_all(int fd, const void *data, size_t size);
