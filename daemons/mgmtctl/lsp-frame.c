/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The header looks like one of HTTP, with exactly one field that counts. Others are allowed and mean nothing to us. */

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "common/macro.h"
#include "daemons/mgmtctl/lsp-frame.h"

static int parse_length(const char *value, size_t size, size_t *ret) {
        size_t n = 0, i = 0;

        while (i < size && (value[i] == ' ' || value[i] == '\t'))
                i++;
        if (i == size)
                return -EBADMSG;
        for (; i < size; i++) {
                if (value[i] < '0' || value[i] > '9')
                        return -EBADMSG;
                n = n * 10 + (size_t) (value[i] - '0');
                if (n > LSP_BODY_MAX)
                        return -E2BIG;
        }
        *ret = n;
        return 0;
}

/* One line, without its end. */
static int parse_field(const char *line, size_t size, bool *has_length, size_t *length) {
        static const char name[] = "Content-Length";
        const char *colon = memchr(line, ':', size);

        if (!colon)
                return -EBADMSG;
        if ((size_t) (colon - line) != strlen(name) || strncasecmp(line, name, strlen(name)) != 0)
                return 0;
        if (*has_length)
                return -EBADMSG;
        *has_length = true;
        return parse_length(colon + 1, size - (size_t) (colon + 1 - line), length);
}

int lsp_frame_next(const char *data, size_t size, const char **ret_body, size_t *ret_body_size, size_t *ret_used) {
        bool has_length = false;
        size_t length = 0, at = 0;

        for (;;) {
                const char *line = data + at, *end = memchr(line, '\n', MIN(size, (size_t) LSP_HEADER_MAX) - at);
                if (!end)
                        return size >= LSP_HEADER_MAX ? -E2BIG : 0;

                size_t n = (size_t) (end - line);
                at += n + 1;
                if (n > 0 && line[n - 1] == '\r')
                        n--;
                if (n == 0)
                        break;
                int r = parse_field(line, n, &has_length, &length);
                if (r < 0)
                        return r;
        }
        if (!has_length)
                return -EBADMSG;
        if (size - at < length)
                return 0;
        *ret_body = data + at;
        *ret_body_size = length;
        *ret_used = at + length;
        return 1;
}
