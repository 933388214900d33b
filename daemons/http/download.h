/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A file that comes piece by piece: written beside its place, compared with what is there while it comes, and put in its place at the
 * end, in one step. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "common/macro.h"

typedef struct Download Download;

enum { SHA256_TEXT_SIZE = 65 };         /* in lower-case hexadecimal digits, with the NUL */

int download_new(Download **ret, const char *path);
Download *download_free(Download *d);   /* what is not in its place is gone */
DEFINE_CLEANUP(Download *, download_free)

int download_write(Download *d, const void *data, size_t size);
uint64_t download_size(const Download *d);      /* so far */

/* It is complete: written out, given that time of modification (0: now), and put in its place. -EBADMSG: it is not the one of that
 * digest (NULL: any will do); then nothing has happened to what is there. *ret_same: what was there had this content. */
int download_finish(Download *d, const char *sha256, int64_t modified, bool *ret_same);

/* After that: the file as it was put there. False: somebody has changed it already. */
bool download_identity(const Download *d, struct stat *ret);

/* The digest of what has come so far. */
void download_sha256(const Download *d, char ret[static SHA256_TEXT_SIZE]);

/* Of a file, in slices: 1: call again; 0: *ret is complete; negative errno. copy: a borrowed descriptor to which what is read is written
 * as well, or -1. */
typedef struct FileDigest FileDigest;
int file_digest_new(FileDigest **ret, const char *path, int copy);
int file_digest_step(FileDigest *d, char ret[static SHA256_TEXT_SIZE]);
FileDigest *file_digest_free(FileDigest *d);
DEFINE_CLEANUP(FileDigest *, file_digest_free)
