/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What shall be in a file. */

#include <sys/types.h>

#include "common/resource.h"

typedef struct FileContent {
        const char *data;       /* in memory; NULL if it is in fd */
        size_t size;
        char *owned;            /* what data points to, if it is ours */
        int fd;                 /* an open source, owned */
        mode_t mode;            /* of the source */
} FileContent;

#define FILE_CONTENT_INIT { .fd = -EBADF }

/* From the one of content (a str), source (a path) and fragments (paths) that is given. Errors are at r's place. */
int file_content_get(const Resource *r, Value content, const char *source, char *const *fragments, FileContent *ret, Diag *reterr);
void file_content_done(FileContent *c);

/* 1 if the file, which has the size of the content, has this content; 0 if not. */
int file_content_matches(int fd, const FileContent *c);
int file_content_write(int fd, const FileContent *c);

/* Tells how the content shall change. fd: the file that is there, of this size, or negative. */
void file_content_differs(Resource *r, int fd, size_t size, const FileContent *c);
