/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See base64.h. */

#include <stdint.h>

#include "common/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void strbuf_base64(StrBuf *b, const void *data, size_t size) {
        const unsigned char *in = data;

        for (size_t i = 0; i < size; i += 3) {
                size_t left = MIN(size - i, (size_t) 3);
                uint32_t bits = (uint32_t) in[i] << 16 | (left > 1 ? (uint32_t) in[i + 1] << 8 : 0) | (left > 2 ? in[i + 2] : 0);
                for (size_t j = 0; j < 4; j++)
                        strbuf_putc(b, j <= left ? alphabet[bits >> (18 - 6 * j) & 63] : '=');
        }
}

static int bad_input(size_t at, size_t *reterr_at) {
        *reterr_at = at;
        return -EINVAL;
}

int strbuf_unbase64(StrBuf *b, const char *data, size_t size, size_t *reterr_at) {
        size_t n_chars = 0, n_padding = 0, group = 0;
        uint32_t bits = 0;

        for (size_t i = 0; i < size; i++) {
                if (data[i] == '\r' || data[i] == '\n')
                        continue;
                if (n_chars == 0) {
                        group = i;
                        if (n_padding > 0)
                                return bad_input(i, reterr_at);         /* after the end */
                }
                const char *digit = data[i] != '\0' ? strchr(alphabet, data[i]) : NULL;
                if (data[i] == '=' && n_chars >= 2)
                        n_padding++;
                else if (!digit || n_padding > 0)
                        return bad_input(i, reterr_at);
                bits = bits << 6 | (digit ? (uint32_t) (digit - alphabet) : 0);
                if (++n_chars < 4)
                        continue;
                for (size_t j = 0; j < 3 - n_padding; j++)
                        strbuf_putc(b, (char) (bits >> (16 - 8 * j)));
                n_chars = 0;
                bits = 0;
        }
        return n_chars > 0 ? bad_input(group, reterr_at) : b->failed ? -ENOMEM : 0;
}
