/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Templates: values as text, and printf with all its verbs. Mistakes in a format are printed, they are no errors. */

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "common/utf8.h"
#include "lang/template.h"

enum { WIDTH_MAX = 1000000 };

/* The shortest digits that read back as f, with an exponent where that is below -4 or at least 6 (or as many as there is
 * precision). */
static void put_float_general(StrBuf *b, double f, bool capital) {
        char text[FLOAT_TEXT_MAX], digits[FLOAT_TEXT_MAX];
        size_t n = 0;
        int exponent = 0;
        bool seen = false, point = false;

        (void) float_text(f, text);
        if (!isfinite(f)) {
                strbuf_puts(b, text);
                return;
        }
        for (const char *s = text; *s; s++) {
                if (*s == '.') {
                        point = true;
                        continue;
                }
                if (!isdigit((unsigned char) *s))
                        continue;
                if (!seen && *s == '0') {
                        exponent -= point;
                        continue;
                }
                if (!seen)
                        exponent += point ? -1 : 0;
                else
                        exponent += !point;
                seen = true;
                digits[n++] = *s;
        }
        while (n > 1 && digits[n - 1] == '0')
                n--;
        if (!seen || (exponent >= -4 && exponent < 6)) {
                strbuf_puts(b, text);
                return;
        }
        strbuf_printf(b, "%s%c%s%.*s%c%c%02d", signbit(f) ? "-" : "", digits[0], n > 1 ? "." : "", (int) n - 1, digits + 1,
                      capital ? 'E' : 'e', exponent < 0 ? '-' : '+', abs(exponent));
}

void template_print(StrBuf *b, Value v) {
        switch (v.kind) {
        case TYPE_NIL:
                strbuf_puts(b, "<nil>");
                break;
        case TYPE_BOOL:
                strbuf_puts(b, v.b ? "true" : "false");
                break;
        case TYPE_INT:
                strbuf_printf(b, "%" PRId64, v.i);
                break;
        case TYPE_FLOAT:
                put_float_general(b, v.f, false);
                break;
        case TYPE_STR:
                strbuf_add(b, v.s->data, v.s->size);
                break;
        case TYPE_LIST:
                strbuf_putc(b, '[');
                for (uint32_t i = 0; i < v.l->n; i++) {
                        strbuf_puts(b, i > 0 ? " " : "");
                        template_print(b, value_list_at(v.l, i));
                }
                strbuf_putc(b, ']');
                break;
        case TYPE_MAP:
                strbuf_puts(b, "map[");
                for (uint32_t i = 0; i < v.m->n; i++) {
                        strbuf_puts(b, i > 0 ? " " : "");
                        template_print(b, v.m->items[i].key);
                        strbuf_putc(b, ':');
                        template_print(b, v.m->items[i].value);
                }
                strbuf_putc(b, ']');
                break;
        case TYPE_STRUCT:
                strbuf_putc(b, '{');
                for (uint32_t i = 0; i < v.st->n; i++) {
                        strbuf_puts(b, i > 0 ? " " : "");
                        template_print(b, v.st->fields[i].value);
                }
                strbuf_putc(b, '}');
                break;
        default:
                strbuf_puts(b, "<func>");
        }
}

static bool all_of(const ValueList *l, TypeKind kind) {
        VALUE_LIST_FOREACH(item, l)
                if (item->kind != kind)
                        return false;
        return l->n > 0;
}

const char *template_type_name(Value v) {
        switch (v.kind) {
        case TYPE_NIL:
                return "<nil>";
        case TYPE_BOOL:
                return "bool";
        case TYPE_INT:
                return "int64";
        case TYPE_FLOAT:
                return "float64";
        case TYPE_STR:
                return "string";
        case TYPE_LIST:
                return all_of(v.l, TYPE_STR) ? "[]string" : all_of(v.l, TYPE_INT) ? "[]int64" : all_of(v.l, TYPE_BOOL) ? "[]bool" :
                       all_of(v.l, TYPE_FLOAT) ? "[]float64" : "[]interface {}";
        case TYPE_MAP:
                return "map[string]interface {}";
        default:
                return "struct {}";
        }
}

/* ---- printf ---- */

typedef struct Spec {
        bool minus, plus, sharp, space, zero;
        bool has_width, has_precision;
        int width, precision;
        char verb;
} Spec;

/* strchr() would find a NUL byte in every set. */
static bool is_one_of(char c, const char *set) {
        return c && strchr(set, c);
}

static size_t n_characters(const char *s, size_t size) {
        size_t n = 0;
        uint32_t c;

        for (size_t i = 0; i < size; n++)
                i += utf8_decode(s + i, size - i, &c) ?: 1;
        return n;
}

/* Zeros go behind the sign. */
static void pad(StrBuf *b, const Spec *s, const char *text, size_t size, bool number) {
        size_t n = n_characters(text, size), fill = s->has_width && (size_t) s->width > n ? (size_t) s->width - n : 0;
        bool zeros = s->zero && !s->minus;

        if (zeros && number && size > 0 && (*text == '-' || *text == '+' || *text == ' ')) {
                strbuf_putc(b, *text++);
                size--;
        }
        if (!s->minus)
                for (size_t i = 0; i < fill && !b->failed; i++)
                        strbuf_putc(b, zeros ? '0' : ' ');
        strbuf_add(b, text, size);
        if (s->minus)
                for (size_t i = 0; i < fill && !b->failed; i++)
                        strbuf_putc(b, ' ');
}

static void put_bad(StrBuf *b, const Spec *s, Value v) {
        strbuf_printf(b, "%%!%c(", s->verb);
        if (v.kind != TYPE_NIL)
                strbuf_printf(b, "%s=", template_type_name(v));
        template_print(b, v);
        strbuf_putc(b, ')');
}

static void put_integer(StrBuf *b, const Spec *s, int64_t i) {
        unsigned base = s->verb == 'b' ? 2 : s->verb == 'o' || s->verb == 'O' ? 8 : (s->verb | 32) == 'x' ? 16 : 10;
        const char *letters = s->verb == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
        uint64_t x = i < 0 ? -(uint64_t) i : (uint64_t) i;
        char digits[80], text[96];
        size_t n = 0, at = 0;

        do
                digits[n++] = letters[x % base];
        while ((x /= base) > 0);
        while (s->has_precision && n < (size_t) MIN(s->precision, 70))
                digits[n++] = '0';
        if (i < 0 || s->plus || s->space)
                text[at++] = i < 0 ? '-' : s->plus ? '+' : ' ';
        if (s->verb == 'O' || (s->sharp && base != 10)) {
                text[at++] = '0';
                if (s->verb == 'O')
                        text[at++] = 'o';
                else if (base != 8)
                        text[at++] = s->verb;
        }
        while (n > 0)
                text[at++] = digits[--n];
        pad(b, s, text, at, true);
}

static void put_float(StrBuf *b, const Spec *s, double f) {
        StrBuf text = {};

        if ((s->plus || s->space) && !signbit(f))
                strbuf_putc(&text, s->plus ? '+' : ' ');
        if (!isfinite(f) || ((s->verb == 'v' || (s->verb | 32) == 'g') && !s->has_precision))
                put_float_general(&text, f, s->verb == 'G');
        else {
                char format[] = { '%', '.', '*', s->verb == 'v' ? 'g' : s->verb == 'F' ? 'f' : s->verb, '\0' };
                char number[512];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
                (void) snprintf(number, sizeof(number), format, s->has_precision ? MIN(s->precision, 100) : 6, f);
#pragma GCC diagnostic pop
                strbuf_puts(&text, number);
        }
        if (text.data)
                pad(b, s, text.data, text.size, true);
        strbuf_fail_as(b, &text);
        strbuf_done(&text);
}

static void put_hex(StrBuf *b, const Spec *s, const char *data, size_t size) {
        StrBuf text = { .limit = b->limit };

        for (size_t i = 0; i < size && !text.failed; i++) {
                strbuf_puts(&text, i > 0 && s->space ? " " : "");
                if (s->sharp && (i == 0 || s->space))
                        strbuf_puts(&text, s->verb == 'X' ? "0X" : "0x");
                strbuf_printf(&text, s->verb == 'X' ? "%02X" : "%02x", (unsigned char) data[i]);
        }
        pad(b, s, text.data ?: "", text.size, false);
        strbuf_fail_as(b, &text);
        strbuf_done(&text);
}

static void put_str(StrBuf *b, const Spec *s, Value v) {
        size_t size = v.s->size;
        uint32_t c;

        if (s->has_precision) {
                size_t at = 0;
                for (int i = 0; i < s->precision && at < v.s->size; i++)
                        at += utf8_decode(v.s->data + at, v.s->size - at, &c) ?: 1;
                size = at;
        }
        if ((s->verb | 32) == 'x') {
                put_hex(b, s, v.s->data, size);
                return;
        }
        StrBuf text = { .limit = b->limit };
        if (s->verb == 'q' || (s->verb == 'v' && s->sharp))
                strbuf_quote(&text, v.s->data, size);
        else
                strbuf_add(&text, v.s->data, size);
        pad(b, s, text.data ?: "", text.size, false);
        strbuf_fail_as(b, &text);
        strbuf_done(&text);
}

static void put_rune(StrBuf *b, const Spec *s, int64_t i) {
        char text[64];
        size_t n = utf8_encode(i >= 0 && i <= 0x10ffff ? (uint32_t) i : 0xfffd, text);

        if (s->verb == 'U') {
                int written = snprintf(text, sizeof(text), "U+%04" PRIX64, (uint64_t) i);
                pad(b, s, text, (size_t) MAX(written, 0), false);
        } else if (s->verb == 'q') {
                char quoted[sizeof(text) + 2];
                int written = snprintf(quoted, sizeof(quoted), "'%.*s'", (int) n, text);
                pad(b, s, quoted, (size_t) MAX(written, 0), false);
        } else
                pad(b, s, text, n, false);
}

static void put(StrBuf *b, const Spec *s, Value v) {
        if (s->verb == 'T') {
                const char *name = template_type_name(v);
                pad(b, s, name, strlen(name), false);
                return;
        }
        switch (v.kind) {
        case TYPE_BOOL:
                if (s->verb == 't' || s->verb == 'v')
                        pad(b, s, v.b ? "true" : "false", v.b ? 4 : 5, false);
                else
                        put_bad(b, s, v);
                return;
        case TYPE_INT:
                if (is_one_of(s->verb, "dboOxXv"))
                        put_integer(b, s, v.i);
                else if (is_one_of(s->verb, "cqU"))
                        put_rune(b, s, v.i);
                else
                        put_bad(b, s, v);
                return;
        case TYPE_FLOAT:
                if (is_one_of(s->verb, "eEfFgGv"))
                        put_float(b, s, v.f);
                else
                        put_bad(b, s, v);
                return;
        case TYPE_STR:
                if (is_one_of(s->verb, "sqxXv"))
                        put_str(b, s, v);
                else
                        put_bad(b, s, v);
                return;
        case TYPE_LIST:
                strbuf_putc(b, '[');
                for (uint32_t i = 0; i < v.l->n && !b->failed; i++) {
                        strbuf_puts(b, i > 0 ? " " : "");
                        put(b, s, value_list_at(v.l, i));
                }
                strbuf_putc(b, ']');
                return;
        case TYPE_MAP:
                strbuf_puts(b, "map[");
                for (uint32_t i = 0; i < v.m->n && !b->failed; i++) {
                        strbuf_puts(b, i > 0 ? " " : "");
                        put(b, s, v.m->items[i].key);
                        strbuf_putc(b, ':');
                        put(b, s, v.m->items[i].value);
                }
                strbuf_putc(b, ']');
                return;
        case TYPE_NIL:
                if (s->verb == 'v')
                        pad(b, s, "<nil>", 5, false);
                else
                        put_bad(b, s, v);
                return;
        default:
                template_print(b, v);
        }
}

/* A number in the format, or * for one of the arguments. */
static bool read_number(const char **f, const char *end, const Value *args, size_t n, size_t *next, int *ret, const char *bad, StrBuf *b) {
        if (*f < end && **f == '*') {
                (*f)++;
                if (*next < n && args[*next].kind == TYPE_INT && args[*next].i >= -WIDTH_MAX && args[*next].i <= WIDTH_MAX) {
                        *ret = (int) args[(*next)++].i;
                        return true;
                }
                *next += *next < n;
                strbuf_puts(b, bad);
                return false;
        }
        bool any = false;
        *ret = 0;
        for (; *f < end && isdigit((unsigned char) **f); (*f)++) {
                *ret = MIN(*ret * 10 + (**f - '0'), (int) WIDTH_MAX);
                any = true;
        }
        return any;
}

static bool read_index(const char **f, const char *end, size_t n, size_t *next, bool *bad) {
        if (*f >= end || **f != '[')
                return false;
        const char *close = memchr(*f, ']', (size_t) (end - *f));
        char *rest = NULL;
        long i = strtol(*f + 1, &rest, 10);
        if (!close || rest != close || i < 1 || (size_t) i >= n) {
                *bad = true;
                *f = close ? close + 1 : end;
                return true;
        }
        *next = (size_t) i;
        *f = close + 1;
        return true;
}

void template_printf(StrBuf *b, const Value *args, size_t n) {
        const char *f = args[0].s->data, *end = f + args[0].s->size;
        size_t next = 1;
        bool reordered = false;

        while (f < end && !b->failed) {
                const char *percent = memchr(f, '%', (size_t) (end - f));
                strbuf_add(b, f, (size_t) ((percent ?: end) - f));
                if (!percent)
                        break;
                f = percent + 1;

                Spec s = {};
                for (; f < end && is_one_of(*f, "-+# 0"); f++) {
                        s.minus = s.minus || *f == '-';
                        s.plus = s.plus || *f == '+';
                        s.sharp = s.sharp || *f == '#';
                        s.space = s.space || *f == ' ';
                        s.zero = s.zero || *f == '0';
                }
                bool bad = false;
                reordered = read_index(&f, end, n, &next, &bad) || reordered;
                s.has_width = read_number(&f, end, args, n, &next, &s.width, "%!(BADWIDTH)", b);
                if (s.has_width && s.width < 0) {
                        s.minus = true;
                        s.width = -s.width;
                }
                if (f < end && *f == '.') {
                        f++;
                        reordered = read_index(&f, end, n, &next, &bad) || reordered;
                        s.has_precision = true;
                        (void) read_number(&f, end, args, n, &next, &s.precision, "%!(BADPREC)", b);
                        s.has_precision = s.precision >= 0;
                }
                reordered = read_index(&f, end, n, &next, &bad) || reordered;
                if (f >= end) {
                        strbuf_puts(b, "%!(NOVERB)");
                        break;
                }
                s.verb = *f++;
                if (s.verb == '%')
                        strbuf_putc(b, '%');
                else if (bad)
                        strbuf_printf(b, "%%!%c(BADINDEX)", s.verb);
                else if (next >= n)
                        strbuf_printf(b, "%%!%c(MISSING)", s.verb);
                else
                        put(b, &s, args[next++]);
        }
        if (next < n && !reordered) {
                strbuf_puts(b, "%!(EXTRA ");
                for (size_t first = next; next < n; next++) {
                        strbuf_puts(b, next > first ? ", " : "");
                        if (args[next].kind != TYPE_NIL)
                                strbuf_printf(b, "%s=", template_type_name(args[next]));
                        template_print(b, args[next]);
                }
                strbuf_putc(b, ')');
        }
}
