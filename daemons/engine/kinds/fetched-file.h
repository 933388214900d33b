/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A file from elsewhere, by URL or path, as a file without a name that nobody else can write to: what was compared with its checksum is
 * what is used. It is downloaded, or copied, and hashed by children, so nobody waits. */

#include <stdint.h>

#include "common/resource.h"

typedef struct FetchedFile FetchedFile;

typedef struct FetchSpec {
        const char *location;           /* "https://…", "http://…", "file:///…", or an absolute path */
        uint64_t size_max;              /* bytes; more of them are an error */
        char *const *checksums;         /* in hexadecimal digits, of which the strongest kind counts; empty or NULL: any file will do */
} FetchSpec;

/* The end, once, never before fetched_file_start() has returned: 0; or negative errno, with diag. It may free the file. */
typedef void (*fetched_callback_t)(FetchedFile *f, int error, Diag *diag, void *userdata);

int fetched_file_start(FetchedFile **ret, Resource *r, const FetchSpec *spec, fetched_callback_t callback, void *userdata, Diag *reterr);
int fetched_file_fd(const FetchedFile *f);      /* after that: for reading, at its beginning; borrowed */
FetchedFile *fetched_file_free(FetchedFile *f); /* ends what is under way */
DEFINE_CLEANUP(FetchedFile *, fetched_file_free)
