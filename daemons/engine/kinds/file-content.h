/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What shall be in a file: bytes in memory, or an open file that they are read from piece by piece. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "common/resource.h"

typedef struct FileContent {
        const char *data;       /* in memory; NULL if it is in fd */
        uint64_t size;
        char *owned;            /* what data points to, if it is ours */
        int fd;                 /* an open source, owned */
        struct stat st;         /* of the source */
} FileContent;

#define FILE_CONTENT_INIT { .fd = -EBADF }

enum { FILE_PIECE_SIZE = 64 * 1024 };

/* A regular file, on the way to which only links that can be trusted are followed. Errors are at r's place. */
int file_content_open(FileContent *c, const Resource *r, const char *path, Diag *reterr);

/* The same, of an open file, which is taken: -EISDIR or -EINVAL if it is not a regular one. */
int file_content_take(FileContent *c, int fd);
void file_content_done(FileContent *c);

/* At most FILE_PIECE_SIZE bytes from a place on: their number, 0 at the end, or negative errno. *ret points to them: into the content,
 * or the buffer. The content has at most size bytes, also if a source grows meanwhile. */
ssize_t file_content_piece(const FileContent *c, uint64_t at, char buffer[static FILE_PIECE_SIZE], const char **ret);

/* Tells how the content shall change. fd: the file that is there, of this size, or negative. */
void file_content_differs(Resource *r, int fd, uint64_t size, const FileContent *c);

/* Whether a file has these bytes at the place: 1, 0, or negative errno. */
int file_content_compare(int fd, uint64_t at, const char *data, size_t size);
