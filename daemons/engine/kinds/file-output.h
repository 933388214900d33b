/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A file that is made by a program, from its beginning to its end and the same each time: an archive, say. Whether it is right is
 * found out by making it and comparing; if not it is made once more, beside its place, and put there. */

#include "daemons/engine/kinds/replacement.h"
#include "daemons/engine/kinds/safe-path.h"
#include "common/resource.h"

#include <sys/stat.h>

typedef struct FileOutput {
        const Resource *resource;       /* for messages, as is path; both borrowed */
        const char *path;
        SafePath where;
        int fd;                         /* of what is there, if it is; owned */
        struct stat st;
        uint64_t at;
        bool differs;                   /* it is not what is being made, or not there; what comes then is dropped */
        bool writing;
        Replacement replacement;
} FileOutput;

#define FILE_OUTPUT_INIT { .where = SAFE_PATH_INIT, .fd = -EBADF, .replacement = REPLACEMENT_INIT }

/* Ready for comparing. What is there, if anything is, has to be a regular file. */
int file_output_open(FileOutput *o, const Resource *r, const char *path, Diag *reterr);

/* All of it will come once more, and be written. */
int file_output_rewrite(FileOutput *o, Diag *reterr);

int file_output_add(FileOutput *o, const void *data, size_t size, Diag *reterr);

/* That was all: puts it in place, with owner and mode of what was there. */
int file_output_end(FileOutput *o, Diag *reterr);
void file_output_done(FileOutput *o);
