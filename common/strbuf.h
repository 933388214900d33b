/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A growing text. The first failure sticks, so that callers check once, at the end. */

#include <stdbool.h>
#include <stddef.h>

#include "common/macro.h"

typedef struct StrBuf {
        char *data;             /* owned; always NUL-terminated once anything was added; NULL before */
        size_t size, capacity;
        size_t limit;           /* what would become longer than that fails; 0: none */
        bool failed;
        bool full;              /* that is why it failed */
} StrBuf;

/* 0, -ENOMEM, or -E2BIG if it was full. */
int strbuf_error(const StrBuf *b);
void strbuf_fail_as(StrBuf *b, const StrBuf *part);     /* if part, which b is made of, did */

void strbuf_add(StrBuf *b, const char *data, size_t size);
void strbuf_puts(StrBuf *b, const char *s);
void strbuf_putc(StrBuf *b, char c);
void strbuf_printf(StrBuf *b, const char *format, ...) _printf_(2, 3);
void strbuf_quote(StrBuf *b, const char *data, size_t size);    /* "…" with mcl's escapes */

/* One character of that form, without the quotes: how many bytes of s (at least one, size is not 0) it stands for. */
enum { QUOTED_CHAR_MAX = 12 };
size_t quote_char(const char *s, size_t size, char ret[static QUOTED_CHAR_MAX], size_t *ret_size);

char *strbuf_take(StrBuf *b);   /* the text ("" if nothing was added), or NULL if anything failed; b is empty afterwards */
void strbuf_done(StrBuf *b);

/* The value of a hexadecimal digit, or -1. */
static inline int hex_digit(char c) {
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}
