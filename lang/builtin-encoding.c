/* SPDX-License-Identifier: GPL-3.0-or-later */

/* encoding: base64. */

#include <errno.h>
#include <string.h>

#include "common/strbuf.h"
#include "lang/builtins.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int encode(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const unsigned char *in = (const unsigned char *) args[0].s->data;
        size_t size = args[0].s->size;
        StrBuf b = {};

        for (size_t i = 0; i < size; i += 3) {
                size_t left = MIN(size - i, (size_t) 3);
                uint32_t bits = (uint32_t) in[i] << 16 | (left > 1 ? (uint32_t) in[i + 1] << 8 : 0) | (left > 2 ? in[i + 2] : 0);
                for (size_t j = 0; j < 4; j++)
                        strbuf_putc(&b, j <= left ? alphabet[bits >> (18 - 6 * j) & 63] : '=');
        }
        int r = b.failed ? -ENOMEM : value_str(ret, b.data ?: "", b.size);
        strbuf_done(&b);
        return r;
}

static int bad_input(size_t at, Diag *reterr) {
        return diag_set(reterr, (Pos) {}, -EINVAL, "could not decode base64: illegal base64 data at input byte %zu", at);
}

/* Groups of four; line ends between them count for nothing. */
static int decode(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const char *in = args[0].s->data;
        size_t size = args[0].s->size, n_chars = 0, n_padding = 0, group = 0;
        uint32_t bits = 0;
        StrBuf b = {};
        int r = 0;

        for (size_t i = 0; i < size && r >= 0; i++) {
                if (in[i] == '\r' || in[i] == '\n')
                        continue;
                if (n_chars == 0) {
                        group = i;
                        if (n_padding > 0) {
                                r = bad_input(i, reterr);       /* after the end */
                                break;
                        }
                }
                const char *digit = in[i] != '\0' ? strchr(alphabet, in[i]) : NULL;
                if (in[i] == '=' && n_chars >= 2)
                        n_padding++;
                else if (!digit || n_padding > 0) {
                        r = bad_input(i, reterr);
                        break;
                }
                bits = bits << 6 | (digit ? (uint32_t) (digit - alphabet) : 0);
                if (++n_chars < 4)
                        continue;
                for (size_t j = 0; j < 3 - n_padding; j++)
                        strbuf_putc(&b, (char) (bits >> (16 - 8 * j)));
                n_chars = 0;
                bits = 0;
        }
        if (r >= 0 && n_chars > 0)
                r = bad_input(group, reterr);
        if (r >= 0)
                r = b.failed ? -ENOMEM : value_str(ret, b.data ?: "", b.size);
        strbuf_done(&b);
        return r;
}

const Builtin encoding_builtins[] = {
        { .name = "encoding.base64_decode", .signature = "func(data str) str", .eval = decode, .flags = BUILTIN_PURE,
          .doc = "The bytes that a text in base64 stands for." },
        { .name = "encoding.base64_encode", .signature = "func(data str) str", .eval = encode, .flags = BUILTIN_PURE,
          .doc = "The bytes as a text in base64, with padding." },
        {}
};
