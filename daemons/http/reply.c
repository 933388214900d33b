/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A reply owns what its body is made of, so that it can go on being sent when the resource it came from is long gone. */

#include <stdarg.h>
#include <stdio.h>

#include "daemons/http/reply.h"

HttpReply *http_reply_new(unsigned status) {
        HttpReply *p = calloc(1, sizeof(*p));

        if (!p)
                return NULL;
        p->status = status;
        p->fd = -EBADF;
        return p;
}

HttpReply *http_reply_free(HttpReply *p) {
        if (!p)
                return NULL;

        for (size_t i = 0; i < p->n_headers; i++)
                free(p->headers[i].value);
        for (size_t i = 0; i < p->n_pieces; i++)
                free(p->pieces[i].text);
        free(p->pieces);
        closep(&p->fd);
        value_done(&p->data);
        free(p);
        return NULL;
}

const char *http_status_text(unsigned status) {
        static const struct {
                unsigned status;
                const char *text;
        } table[] = {
                { 200, "OK" },
                { 206, "Partial Content" },
                { 301, "Moved Permanently" },
                { 304, "Not Modified" },
                { 400, "Bad Request" },
                { 401, "Unauthorized" },
                { 403, "Forbidden" },
                { 404, "Not Found" },
                { 405, "Method Not Allowed" },
                { 412, "Precondition Failed" },
                { 413, "Content Too Large" },
                { 415, "Unsupported Media Type" },
                { 416, "Range Not Satisfiable" },
                { 500, "Internal Server Error" },
                { 503, "Service Unavailable" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                if (table[i].status == status)
                        return table[i].text;
        return "Unknown";
}

int http_reply_new_status(HttpReply **ret, unsigned status) {
        _cleanup_(http_reply_freep) HttpReply *p = http_reply_new(status);
        char *text = NULL;
        int r;

        if (!p)
                return -ENOMEM;
        r = http_reply_header(p, "Content-Type", "text/plain; charset=utf-8");
        if (r < 0)
                return r;
        if (asprintf(&text, "%u %s\n", status, http_status_text(status)) < 0)
                return -ENOMEM;
        r = http_reply_piece(p, text, 0, 0);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(p);
        return 0;
}

int http_reply_header(HttpReply *p, const char *name, const char *format, ...) {
        va_list ap;
        int r;

        if (p->n_headers >= HTTP_REPLY_HEADERS_MAX)
                return -ENOBUFS;

        va_start(ap, format);
        r = vasprintf(&p->headers[p->n_headers].value, format, ap);
        va_end(ap);
        if (r < 0)
                return -ENOMEM;
        p->headers[p->n_headers++].name = name;
        return 0;
}

int http_reply_piece(HttpReply *p, char *text, uint64_t offset, uint64_t size) {
        if (GROW(p->pieces, p->n_pieces, p->pieces_capacity) < 0) {
                free(text);
                return -ENOMEM;
        }

        size_t text_size = text ? strlen(text) : 0;
        p->pieces[p->n_pieces++] = (HttpPiece) { .text = text, .text_size = text_size, .offset = offset, .size = size };
        p->size += text_size + size;
        return 0;
}

static ssize_t read_source(const HttpReply *p, uint64_t offset, char *buffer, size_t size) {
        if (p->fd >= 0) {
                ssize_t n = pread(p->fd, buffer, size, (off_t) offset);
                return n > 0 ? n : -EIO;
        }

        memcpy(buffer, p->data.s->data + offset, size);
        return (ssize_t) size;
}

ssize_t http_reply_read(const HttpReply *p, uint64_t position, char *buffer, size_t size) {
        for (size_t i = 0; i < p->n_pieces; i++) {
                const HttpPiece *piece = p->pieces + i;

                if (position < piece->text_size) {
                        size_t n = MIN(piece->text_size - (size_t) position, size);
                        memcpy(buffer, piece->text + position, n);
                        return (ssize_t) n;
                }
                position -= piece->text_size;

                if (position < piece->size)
                        return read_source(p, piece->offset + position, buffer,
                                           (size_t) MIN(piece->size - position, (uint64_t) size));
                position -= piece->size;
        }
        return 0;
}
