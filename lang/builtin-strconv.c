/* SPDX-License-Identifier: GPL-3.0-or-later */

/* golang/strconv: numbers and their texts, and texts in quotes. Errors can be caught in convert only. */

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/strbuf.h"
#include "common/utf8.h"
#include "lang/builtins.h"

static int itoa(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return value_strf(ret, "%lld", (long long) args[0].i);
}

static int format_bool(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return value_strz(ret, args[0].b ? "true" : "false");
}

static int format_int(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
        char text[66], *at = text + sizeof(text);
        int64_t i = args[0].i, base = args[1].i;
        uint64_t left = i < 0 ? -(uint64_t) i : (uint64_t) i;

        if (base < 2 || base > 36)
                return diag_set(reterr, (Pos) {}, -EINVAL, "the base must be from 2 to 36, got %lld", (long long) base);
        do {
                *--at = digits[left % (uint64_t) base];
                left /= (uint64_t) base;
        } while (left > 0);
        if (i < 0)
                *--at = '-';
        return value_str(ret, at, (size_t) (text + sizeof(text) - at));
}

static int atoi_(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        _cleanup_(diag_done) Diag problem = {};

        int r = builtin_find("convert.str_to_int")->eval(call, args, n, ret, &problem);
        if (r != BUILTIN_CATCHABLE)
                return r;
        /* The same but for the name of the function. */
        const char *rest = startswith(problem.message ?: "", "strconv.ParseInt");
        return diag_set(reterr, (Pos) {}, problem.error, "strconv.Atoi%s", rest ?: "");
}

/* ---- texts of numbers ---- */

static int refuse(const char *function, const ValueStr *s, int error, const char *problem, Diag *reterr) {
        StrBuf b = {};

        strbuf_quote(&b, s->data, s->size);
        _cleanup_free_ char *quoted = strbuf_take(&b);
        return diag_set(reterr, (Pos) {}, error, "strconv.%s: parsing %s: %s", function, quoted ?: "?", problem);
}

static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

static int digit_of(char c) {
        return is_digit(c) ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'z' ? (c | 0x20) - 'a' + 10 : 36;
}

static bool skip_digits(const char **p, int base) {
        const char *from = *p;

        while (digit_of(**p) < base)
                (*p)++;
        return *p > from;
}

/* Whether all of it is a float as programs write them; the words were looked for before. */
static bool is_float(const char *p) {
        p += *p == '+' || *p == '-';
        bool hex = p[0] == '0' && (p[1] | 0x20) == 'x';
        int base = hex ? 16 : 10;

        p += hex ? 2 : 0;
        bool digits = skip_digits(&p, base);
        if (*p == '.') {
                p++;
                digits = skip_digits(&p, base) || digits;
        }
        bool exponent = (*p | 0x20) == (hex ? 'p' : 'e');
        if (!digits || (hex && !exponent))
                return false;
        if (exponent) {
                p++;
                p += *p == '+' || *p == '-';
                if (!skip_digits(&p, 10))
                        return false;
        }
        return *p == '\0';
}

/* 0, -EINVAL or -ERANGE. An underscore between two digits counts for nothing. */
static int read_float(const ValueStr *s, bool single, double *ret) {
        static const char *const infinities[] = { "inf", "infinity" };
        _cleanup_free_ char *text = malloc((size_t) s->size + 1);
        size_t n = 0;

        if (!text)
                return -ENOMEM;
        for (size_t i = 0; i < s->size; i++)
                if (s->data[i] != '_' || i == 0 || digit_of(s->data[i - 1]) >= 16 || digit_of(s->data[i + 1]) >= 16)
                        text[n++] = s->data[i];
        text[n] = '\0';
        if (strlen(text) != n)
                return -EINVAL;
        for (size_t i = 0; i < ELEMENTSOF(infinities); i++)
                if (strcasecmp(text + (*text == '+' || *text == '-'), infinities[i]) == 0) {
                        *ret = *text == '-' ? -INFINITY : INFINITY;
                        return 0;
                }
        if (strcasecmp(text, "nan") == 0) {
                *ret = NAN;
                return 0;
        }
        if (!is_float(text))
                return -EINVAL;
        *ret = single ? (double) strtof(text, NULL) : strtod(text, NULL);
        return isinf(*ret) ? -ERANGE : 0;
}

static int parse_float(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        double x;
        int r = read_float(args[0].s, args[1].i == 32, &x);

        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return refuse("ParseFloat", args[0].s, r, r == -ERANGE ? "value out of range" : "invalid syntax", reterr);
        *ret = VALUE_FLOAT(x);
        return 0;
}

static int str_to_float(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        int r = parse_float(call, (Value[]) { args[0], VALUE_INT(64) }, 2, ret, reterr);

        return r < 0 && r != -ENOMEM ? BUILTIN_CATCHABLE : r;
}

static int parse_bool(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        int r = builtin_find("convert.parse_bool")->eval(call, args, n, ret, NULL);

        return r == BUILTIN_CATCHABLE ? refuse("ParseBool", args[0].s, -EINVAL, "invalid syntax", reterr) : r;
}

/* The base that a prefix says; *p goes behind it. */
static int prefix_base(const char **p) {
        static const struct {
                char letter;
                int base;
        } prefixes[] = { { 'x', 16 }, { 'b', 2 }, { 'o', 8 } };

        if (**p != '0' || (*p)[1] == '\0')
                return 10;
        for (size_t i = 0; i < ELEMENTSOF(prefixes); i++)
                if (((*p)[1] | 0x20) == prefixes[i].letter) {
                        *p += 2;
                        return prefixes[i].base;
                }
        (*p)++;
        return 8;
}

static int parse_int(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const ValueStr *s = args[0].s;
        const char *p = s->data, *end = p + s->size;
        int64_t base = args[1].i, bits = args[2].i == 0 ? 64 : args[2].i;
        bool negative = *p == '-', any = false, large = false, underscores = base == 0;
        char problem[64];
        uint64_t x = 0;

        if (s->size == 0)
                return refuse("ParseInt", s, -EINVAL, "invalid syntax", reterr);
        if (base < 0 || base == 1 || base > 36) {
                snprintf(problem, sizeof(problem), "invalid base %lld", (long long) base);
                return refuse("ParseInt", s, -EINVAL, problem, reterr);
        }
        if (bits < 0 || bits > 64) {
                snprintf(problem, sizeof(problem), "invalid bit size %lld", (long long) bits);
                return refuse("ParseInt", s, -EINVAL, problem, reterr);
        }
        p += *p == '-' || *p == '+';
        const char *begin = p;
        if (base == 0)
                base = prefix_base(&p);
        any = base == 8 && p == begin + 1;      /* the 0 that says so is a digit */
        bool after = p > begin;                 /* an underscore may stand here */
        for (; p < end; p++) {
                int digit = digit_of(*p);
                if (*p == '_' && underscores && after && digit_of(p[1]) < base) {
                        after = false;
                        continue;
                }
                if (digit >= base)
                        return refuse("ParseInt", s, -EINVAL, "invalid syntax", reterr);
                large = large || __builtin_mul_overflow(x, (uint64_t) base, &x) || __builtin_add_overflow(x, (uint64_t) digit, &x);
                any = after = true;
        }
        if (!any)
                return refuse("ParseInt", s, -EINVAL, "invalid syntax", reterr);
        if (large || x > ((uint64_t) 1 << (bits - 1)) - !negative)
                return refuse("ParseInt", s, -ERANGE, "value out of range", reterr);
        *ret = VALUE_INT((int64_t) (negative ? -x : x));
        return 0;
}

/* ---- appending ---- */

static int append(Value to, int r, Value *tail, Value *ret) {
        StrBuf b = {};

        if (r < 0)
                return r;
        strbuf_add(&b, to.s->data, to.s->size);
        strbuf_add(&b, tail->s->data, tail->s->size);
        value_done(tail);
        return value_str_take(ret, &b);
}

static int append_bool(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        Value tail = VALUE_NIL;

        return append(args[0], format_bool(call, args + 1, 1, &tail, reterr), &tail, ret);
}

static int append_int(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        Value tail = VALUE_NIL;

        return append(args[0], format_int(call, args + 1, 2, &tail, reterr), &tail, ret);
}

/* ---- quotes ---- */

typedef enum Quotes {
        QUOTES_PRINT,           /* what can be printed stands for itself */
        QUOTES_ASCII,
        QUOTES_GRAPHIC,         /* and all spaces */
} Quotes;

static bool is_wide_space(uint32_t c) {
        return c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x202f || c == 0x205f || c == 0x3000;
}

static void add_quoted(StrBuf *b, const ValueStr *s, Quotes quotes) {
        strbuf_putc(b, '"');
        for (size_t i = 0; i < s->size;) {
                char text[QUOTED_CHAR_MAX];
                uint32_t c = 0;
                size_t n, size = utf8_decode(s->data + i, s->size - i, &c);

                if (size > 1 && quotes == QUOTES_GRAPHIC && is_wide_space(c))
                        strbuf_add(b, s->data + i, size);
                else if (size > 1 && quotes == QUOTES_ASCII)
                        strbuf_printf(b, c > 0xffff ? "\\U%08x" : "\\u%04x", c);
                else {
                        size = quote_char(s->data + i, s->size - i, text, &n);
                        strbuf_add(b, text, n);
                }
                i += size;
        }
        strbuf_putc(b, '"');
}

static int append_quoted(const Value *to, Value s, Quotes quotes, Value *ret) {
        StrBuf b = {};

        if (to)
                strbuf_add(&b, to->s->data, to->s->size);
        add_quoted(&b, s.s, quotes);
        return value_str_take(ret, &b);
}

#define QUOTE(suffix, quotes) \
        static int quote##suffix(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) { \
                return append_quoted(NULL, args[0], quotes, ret); \
        } \
        static int append_quote##suffix(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) { \
                return append_quoted(&args[0], args[1], quotes, ret); \
        }
QUOTE(, QUOTES_PRINT)
QUOTE(_ascii, QUOTES_ASCII)
QUOTE(_graphic, QUOTES_GRAPHIC)
#undef QUOTE

static int can_backquote(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const ValueStr *s = args[0].s;
        bool can = utf8_valid(s->data, s->size) && !memmem(s->data, s->size, "\ufeff", 3);

        for (size_t i = 0; i < s->size; i++) {
                unsigned char c = (unsigned char) s->data[i];
                can = can && (c >= ' ' || c == '\t') && c != '`' && c != 0x7f;
        }
        *ret = VALUE_BOOL(can);
        return 0;
}

/* What follows a backslash: its length, 0 if it is nothing known. Bytes are added as they are, characters as UTF-8. */
static size_t read_escape(const char *s, size_t size, char quote, StrBuf *b) {
        static const char letters[] = "abfnrtv\\", codes[] = "\a\b\f\n\r\t\v\\";
        const char *letter = size > 0 && s[0] ? strchr(letters, s[0]) : NULL;
        int base = size > 0 && is_digit(s[0]) ? 8 : 16;
        size_t from = base == 16, digits;
        char text[4];
        uint32_t c = 0;

        if (letter || (size > 0 && s[0] == quote)) {
                strbuf_putc(b, letter ? codes[letter - letters] : quote);
                return 1;
        }
        if (size == 0 || (base == 16 && (s[0] == '\0' || !strchr("xuU", s[0]))))
                return 0;
        digits = base == 8 ? 3 : s[0] == 'x' ? 2 : s[0] == 'u' ? 4 : 8;
        if (size < from + digits)
                return 0;
        for (size_t i = from; i < from + digits; i++) {
                if (digit_of(s[i]) >= base)
                        return 0;
                c = c * (uint32_t) base + (uint32_t) digit_of(s[i]);
        }
        if (digits <= 3) {
                if (c > 255)
                        return 0;
                strbuf_putc(b, (char) c);
        } else if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
                return 0;
        else
                strbuf_add(b, text, utf8_encode(c, text));
        return from + digits;
}

/* The literal that s begins with: its length with the quotes, 0 if there is none. What it stands for goes to b. */
static size_t read_literal(const char *s, size_t size, StrBuf *b) {
        char quote = size > 0 ? s[0] : '\0';
        size_t n = 0, i = 1;

        if (quote != '"' && quote != '\'' && quote != '`')
                return 0;
        for (; i < size && s[i] != quote; n++) {
                size_t length = 1;
                if (quote == '`') {
                        if (s[i] != '\r')
                                strbuf_putc(b, s[i]);
                } else if (s[i] == '\n')
                        return 0;
                else if (s[i] == '\\') {
                        length = read_escape(s + i + 1, size - i - 1, quote, b);
                        if (length++ == 0)
                                return 0;
                } else {
                        uint32_t c;
                        length = utf8_decode(s + i, size - i, &c);
                        length = MAX(length, (size_t) 1);
                        strbuf_add(b, s + i, length);
                }
                i += length;
        }
        return i < size && (quote != '\'' || n == 1) ? i + 1 : 0;
}

static int unquote(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        StrBuf b = {};

        if (args[0].s->size > 0 && read_literal(args[0].s->data, args[0].s->size, &b) == args[0].s->size)
                return value_str_take(ret, &b);
        strbuf_done(&b);
        return diag_set(reterr, (Pos) {}, -EINVAL, "invalid syntax");
}

static int quoted_prefix(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        StrBuf b = {};
        size_t size = read_literal(args[0].s->data, args[0].s->size, &b);

        strbuf_done(&b);
        return size > 0 ? value_str(ret, args[0].s->data, size) : diag_set(reterr, (Pos) {}, -EINVAL, "invalid syntax");
}

const Builtin strconv_builtins[] = {
        { .name = "convert.str_to_float", .signature = "func(a str) float", .eval = str_to_float,
          .flags = BUILTIN_PURE, .doc = "The number that the text a is. Anything else is an error that can be caught.",
          .example = MCL(convert.str_to_float("2.5e1")), .gives = MCL(25) },
        { .name = "golang/strconv.append_bool", .signature = "func(dst str, b bool) str", .eval = append_bool,
          .flags = BUILTIN_PURE, .doc = "dst and \"true\" or \"false\".",
          .example = MCL(strconv.append_bool("x", true)), .gives = MCL("xtrue") },
        { .name = "golang/strconv.append_int", .signature = "func(dst str, i int, base int) str", .eval = append_int,
          .flags = BUILTIN_PURE, .doc = "dst and the number in that base.",
          .example = MCL(strconv.append_int("x", 255, 16)), .gives = MCL("xff") },
        { .name = "golang/strconv.append_quote", .signature = "func(dst str, s str) str", .eval = append_quote,
          .flags = BUILTIN_PURE, .doc = "dst and s in quotes.",
          .example = MCL(strconv.append_quote("x", "é")), .gives = MCL("x\"é\"") },
        { .name = "golang/strconv.append_quote_to_ascii", .signature = "func(dst str, s str) str", .eval = append_quote_ascii,
          .flags = BUILTIN_PURE, .doc = "dst and s in quotes, in ASCII.",
          .example = MCL(strconv.append_quote_to_ascii("x", "é")), .gives = MCL("x\"\\u00e9\"") },
        { .name = "golang/strconv.append_quote_to_graphic", .signature = "func(dst str, s str) str", .eval = append_quote_graphic,
          .flags = BUILTIN_PURE, .doc = "dst and s in quotes, with all spaces as they are.",
          .example = MCL(strconv.append_quote_to_graphic("x", "é")), .gives = MCL("x\"é\"") },
        { .name = "golang/strconv.atoi", .signature = "func(s str) int", .eval = atoi_, .flags = BUILTIN_PURE,
          .doc = "A decimal number with an optional sign.",
          .example = MCL(strconv.atoi("42")), .gives = MCL(42) },
        { .name = "golang/strconv.can_backquote", .signature = "func(s str) bool", .eval = can_backquote,
          .flags = BUILTIN_PURE, .doc = "Whether s can stand between back quotes.",
          .example = MCL(strconv.can_backquote("a`b")), .gives = MCL(false) },
        { .name = "golang/strconv.format_bool", .signature = "func(b bool) str", .eval = format_bool, .flags = BUILTIN_PURE,
          .doc = "\"true\" or \"false\".",
          .example = MCL(strconv.format_bool(false)), .gives = MCL("false") },
        { .name = "golang/strconv.format_int", .signature = "func(i int, base int) str", .eval = format_int,
          .flags = BUILTIN_PURE, .doc = "The number in a base from 2 to 36.",
          .example = MCL(strconv.format_int(255, 16)), .gives = MCL("ff") },
        { .name = "golang/strconv.itoa", .signature = "func(i int) str", .eval = itoa, .flags = BUILTIN_PURE,
          .doc = "The number in decimal.",
          .example = MCL(strconv.itoa(42)), .gives = MCL("42") },
        { .name = "golang/strconv.parse_bool", .signature = "func(str str) bool", .eval = parse_bool,
          .flags = BUILTIN_PURE, .doc = "1, t, true and the like, or 0, f, false.",
          .example = MCL(strconv.parse_bool("T")), .gives = MCL(true) },
        { .name = "golang/strconv.parse_float", .signature = "func(s str, bitSize int) float", .eval = parse_float,
          .flags = BUILTIN_PURE, .doc = "The number that the text is, rounded to 32 or 64 bits.",
          .example = MCL(strconv.parse_float("0.1", 32)), .gives = MCL(0.10000000149011612) },
        { .name = "golang/strconv.parse_int", .signature = "func(s str, base int, bitSize int) int", .eval = parse_int,
          .flags = BUILTIN_PURE, .doc = "The number in that base; base 0 goes by the prefix, 0x, 0o, 0b or 0.",
          .example = MCL(strconv.parse_int("0x1F", 0, 64)), .gives = MCL(31) },
        { .name = "golang/strconv.quote", .signature = "func(s str) str", .eval = quote,
          .flags = BUILTIN_PURE, .doc = "s in quotes.",
          .example = MCL(strconv.quote("a\tb")), .gives = MCL("\"a\\tb\"") },
        { .name = "golang/strconv.quote_to_ascii", .signature = "func(s str) str", .eval = quote_ascii,
          .flags = BUILTIN_PURE, .doc = "s in quotes, in ASCII.",
          .example = MCL(strconv.quote_to_ascii("é")), .gives = MCL("\"\\u00e9\"") },
        { .name = "golang/strconv.quote_to_graphic", .signature = "func(s str) str", .eval = quote_graphic,
          .flags = BUILTIN_PURE, .doc = "s in quotes, with all spaces as they are.",
          .example = MCL(strconv.quote_to_graphic("é")), .gives = MCL("\"é\"") },
        { .name = "golang/strconv.quoted_prefix", .signature = "func(s str) str", .eval = quoted_prefix,
          .flags = BUILTIN_PURE, .doc = "What s begins with that is in quotes.",
          .example = MCL(strconv.quoted_prefix("`a` b")), .gives = MCL("`a`") },
        { .name = "golang/strconv.unquote", .signature = "func(s str) str", .eval = unquote,
          .flags = BUILTIN_PURE, .doc = "What the text in quotes stands for.",
          .example = MCL(strconv.unquote("`a`")), .gives = MCL("a") },
        {}
};
