/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Serving content that has a size and a date: conditions, ranges, types. For files and for values alike. */

#include <stdbool.h>
#include <stdint.h>

#include "common/value.h"
#include "daemons/http/mhd.h"

typedef struct StaticContent {
        int fd;                 /* a regular file, or -EBADF: then data */
        Value data;             /* of type str */
        uint64_t size;
        int64_t modified;       /* seconds since 1970; 0: unknown */
        int64_t accessed;       /* likewise, of a file */
} StaticContent;

#define STATIC_CONTENT_EMPTY ((StaticContent) { .fd = -EBADF })

void static_content_done(StaticContent *c);

/* Opens a regular file for serving. With a directory, path is relative and looked up below it, wherever symbolic links point:
 * with links_inside an absolute link means one from that directory on, else it is refused. -ENOENT if it is no regular file. */
int static_content_open(StaticContent *ret, const char *directory, const char *path, bool links_inside);

/* A file that stays open for an answer; or, if there are too many of them, -EMFILE, and it is closed. fd < 0: errno. */
int static_affordable(int fd);

int static_content_from_value(StaticContent *ret, Value data, int64_t modified);

/* Whether the request may be served with static content; answers it (405) if not. */
bool static_accept_method(HttpRequest *q);

/* Answers the request; takes the content. With fresh, the client is known to have an older one, and If-Modified-Since does not
 * count. */
void static_serve(HttpRequest *q, StaticContent *c, bool fresh);

/* Answers with what an error of static_content_open() means to a client: 404, 403, 503 or 500. */
void static_serve_error(HttpRequest *q, int error);
