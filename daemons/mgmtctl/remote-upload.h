/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What goes to one host before anything runs there: a number on a line, and an archive of so many bytes, of which the large part is the
 * same for all hosts. */

#include <stdbool.h>
#include <stddef.h>

#include "common/diag.h"
#include "common/strbuf.h"

typedef struct RemoteLibraries RemoteLibraries;

typedef struct RemoteUpload {
        StrBuf head;            /* the number; and the whole archive, if it is no more than libraries */
        const StrBuf *shared;   /* borrowed; NULL: there is none */
        StrBuf tail;
        size_t sent;            /* of all three */
} RemoteUpload;

typedef struct RemoteUploadSpec {
        const char *what;               /* a word for the other side */
        const StrBuf *programs;         /* an archive without its end, borrowed; NULL: they are there */
        const char *credentials;        /* a directory, those of the host itself in one of its name below it; NULL: there are none */
        const char *host;
        const char *started;            /* content of a file of this name; NULL: none */
} RemoteUploadSpec;

int remote_upload_programs(RemoteUpload *u, const RemoteUploadSpec *spec, Diag *reterr);

/* Names with blanks between them, as the other side says them. Of those that none of our programs needs nothing is sent: -ENOENT. */
int remote_upload_libraries(RemoteUpload *u, const RemoteLibraries *libraries, const char *names, Diag *reterr);

/* The next piece, borrowed; false: there is none. */
bool remote_upload_next(RemoteUpload *u, const char **ret, size_t *ret_size);
void remote_upload_done(RemoteUpload *u);
