/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* An answer to a request, before it is on its way: status, headers, and a body that is read while it is sent. */

#include <stdint.h>
#include <sys/types.h>

#include "common/macro.h"
#include "common/value.h"

/* A part of the body: some text of ours, then a range of the source. */
typedef struct HttpPiece {
        char *text;             /* owned; NULL if there is none */
        size_t text_size;
        uint64_t offset, size;
} HttpPiece;

typedef struct HttpHeader {
        const char *name;       /* static */
        char *value;            /* owned */
} HttpHeader;

enum {
        HTTP_REPLY_HEADERS_MAX = 8,
};

typedef struct HttpReply {
        unsigned status;
        HttpHeader headers[HTTP_REPLY_HEADERS_MAX];
        size_t n_headers;

        /* what the pieces are ranges of: a file (owned), or a value of type str */
        int fd;
        Value data;

        HttpPiece *pieces;
        size_t n_pieces, pieces_capacity;
        uint64_t size;          /* of the whole body */
} HttpReply;

HttpReply *http_reply_new(unsigned status);     /* NULL if out of memory */
HttpReply *http_reply_free(HttpReply *p);
DEFINE_CLEANUP(HttpReply *, http_reply_free)

/* An error as people see it: the status and its standard words, nothing from inside. */
int http_reply_new_status(HttpReply **ret, unsigned status);

int http_reply_header(HttpReply *p, const char *name, const char *format, ...) _printf_(3, 4);

/* Appends to the body; text is taken over, also on failure, and may be NULL. */
int http_reply_piece(HttpReply *p, char *text, uint64_t offset, uint64_t size);

/* Reads the body at a position: bytes put into buffer, 0 at its end, -EIO if the source has become shorter than it was. */
ssize_t http_reply_read(const HttpReply *p, uint64_t position, char *buffer, size_t size);

const char *http_status_text(unsigned status);  /* "Not Found" */
