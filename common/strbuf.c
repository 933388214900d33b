/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A growing text. Capacity doubles, so adding is O(1) amortised. */

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "common/strbuf.h"
#include "common/utf8.h"

/* Room for size more bytes and a NUL. */
static bool reserve(StrBuf *b, size_t size) {
        if (b->failed)
                return false;
        if (b->limit > 0 && size > b->limit - MIN(b->limit, b->size)) {
                b->failed = b->full = true;
                return false;
        }
        if (size < b->capacity - b->size)
                return true;
        if (size > SIZE_MAX / 4 || b->size > SIZE_MAX / 4) {
                b->failed = true;
                return false;
        }

        size_t want = MAX(b->capacity * 2, (size_t) 64);
        want = MAX(want, b->size + size + 1);
        char *grown = realloc(b->data, want);
        if (!grown) {
                b->failed = true;
                return false;
        }
        b->data = grown;
        b->capacity = want;
        return true;
}

int strbuf_error(const StrBuf *b) {
        return b->full ? -E2BIG : b->failed ? -ENOMEM : 0;
}

void strbuf_fail_as(StrBuf *b, const StrBuf *part) {
        b->failed = b->failed || part->failed;
        b->full = b->full || part->full;
}

void strbuf_add(StrBuf *b, const char *data, size_t size) {
        if (!reserve(b, size))
                return;
        if (size > 0)
                memcpy(b->data + b->size, data, size);
        b->size += size;
        b->data[b->size] = '\0';
}

void strbuf_puts(StrBuf *b, const char *s) {
        strbuf_add(b, s, strlen(s));
}

void strbuf_putc(StrBuf *b, char c) {
        strbuf_add(b, &c, 1);
}

void strbuf_printf(StrBuf *b, const char *format, ...) {
        va_list ap, again;

        if (!reserve(b, 0))
                return;
        va_start(ap, format);
        va_copy(again, ap);
        int n = vsnprintf(b->data + b->size, b->capacity - b->size, format, ap);
        va_end(ap);

        if (n < 0)
                b->failed = true;
        else if ((size_t) n < b->capacity - b->size)
                b->size += (size_t) n;
        else if (reserve(b, (size_t) n)) {
                (void) vsnprintf(b->data + b->size, b->capacity - b->size, format, again);
                b->size += (size_t) n;
        } else
                b->data[b->size] = '\0';
        va_end(again);
}

size_t quote_char(const char *s, size_t size, char ret[static QUOTED_CHAR_MAX], size_t *ret_size) {
        static const char named[] = { ['\a'] = 'a', ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't',
                                      ['\v'] = 'v', ['\\'] = '\\', ['"'] = '"' };
        unsigned char first = (unsigned char) s[0];
        uint32_t c;

        if (first < sizeof(named) && named[first]) {
                ret[0] = '\\';
                ret[1] = named[first];
                *ret_size = 2;
                return 1;
        }

        size_t n = utf8_decode(s, size, &c);
        if (n > 0 && unicode_is_print(c)) {
                memcpy(ret, s, n);
                *ret_size = n;
                return n;
        }
        if (n == 0 || c < 0x80)
                *ret_size = (size_t) snprintf(ret, QUOTED_CHAR_MAX, "\\x%02x", first);
        else
                *ret_size = (size_t) snprintf(ret, QUOTED_CHAR_MAX, c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
        return MAX(n, (size_t) 1);
}

void strbuf_quote(StrBuf *b, const char *data, size_t size) {
        char quoted[QUOTED_CHAR_MAX];

        strbuf_putc(b, '"');
        for (size_t i = 0; i < size && !b->failed;) {
                size_t plain = i;       /* runs of plain ASCII are copied at once */
                while (plain < size && data[plain] >= ' ' && data[plain] < 0x7f && data[plain] != '"' && data[plain] != '\\')
                        plain++;
                if (plain > i) {
                        strbuf_add(b, data + i, plain - i);
                        i = plain;
                        continue;
                }
                size_t n;
                i += quote_char(data + i, size - i, quoted, &n);
                strbuf_add(b, quoted, n);
        }
        strbuf_putc(b, '"');
}

char *strbuf_take(StrBuf *b) {
        if (!b->failed && !b->data)
                (void) reserve(b, 0);

        char *text = b->failed ? NULL : TAKE_PTR(b->data);
        if (text)
                text[b->size] = '\0';
        strbuf_done(b);
        return text;
}

void strbuf_done(StrBuf *b) {
        free(b->data);
        *b = (StrBuf) {};
}
