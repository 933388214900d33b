/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Everything that is not known to be harmless is written another way. */

#include <stdbool.h>

#include "common/utf8.h"
#include "daemons/http/markup.h"

#define REPLACEMENT "\xef\xbf\xbd"

/* One character at the front of a text that is not empty: its bytes, and what it is; what is none is one byte of U+FFFD. */
static size_t take(const char *s, size_t left, uint32_t *ret) {
        size_t n = utf8_decode(s, left, ret);

        if (n == 0)
                *ret = 0xfffd;
        return n ?: 1;
}

static bool is_control(uint32_t c) {
        return (c < 0x20 && c != '\t' && c != '\n') || (c >= 0x7f && c < 0xa0) || (c & 0xfffe) == 0xfffe || (c >= 0xfdd0 && c <= 0xfdef);
}

void markup_html(StrBuf *b, const char *s) {
        size_t left = strlen(s), n;
        uint32_t c;

        for (; left > 0; s += n, left -= n) {
                n = take(s, left, &c);
                if (is_control(c) || c == 0xfffd)
                        strbuf_puts(b, REPLACEMENT);
                else if (c == '&' || c == '<' || c == '>' || c == '"' || c == '\'' || c == '`' || c == '\n')
                        strbuf_printf(b, "&#%u;", c);
                else
                        strbuf_add(b, s, n);
        }
}

void markup_json(StrBuf *b, const char *s) {
        size_t left, n;
        uint32_t c;

        if (!s) {
                strbuf_puts(b, "null");
                return;
        }
        strbuf_putc(b, '"');
        for (left = strlen(s); left > 0; s += n, left -= n) {
                n = take(s, left, &c);
                if (c == 0xfffd)
                        strbuf_puts(b, REPLACEMENT);
                else if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || (c < 0x80 && strchr("\"\\<>&", (int) c)))
                        strbuf_printf(b, "\\u%04x", c);
                else
                        strbuf_add(b, s, n);
        }
        strbuf_putc(b, '"');
}

void markup_word(StrBuf *b, const char *s) {
        for (; *s; s++)
                if ((*s >= '0' && *s <= '9') || (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || *s == '-')
                        strbuf_putc(b, *s);
                else
                        strbuf_printf(b, "_%02x", (unsigned char) *s);
}
