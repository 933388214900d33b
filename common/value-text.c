/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Values as the language writes them. */

#include <math.h>
#include <stdio.h>

#include "common/strbuf.h"
#include "common/value.h"

/* The fewest digits that read back as f, in the form d.ddde±x. Fifteen digits are always kept by a double of normal size; so if
 * they are enough, the zeros at their end are all there is to drop. */
static void shortest_digits(double f, char text[static 40]) {
        for (int precision = fabs(f) < 2.2250738585072014e-308 ? 1 : 15; precision < 17; precision++) {
                (void) snprintf(text, 40, "%.*e", precision - 1, f);
                if (strtod(text, NULL) == f)
                        return;
                /* Below a power of two numbers stand closer: there the nearest text may miss, and the next one hit. */
                char *last = strchr(text, 'e') - 1;
                if (*last < '9') {
                        (*last)++;
                        if (strtod(text, NULL) == f)
                                return;
                }
        }
        (void) snprintf(text, 40, "%.16e", f);
}

size_t float_text(double f, char ret[static FLOAT_TEXT_MAX]) {
        char text[40], digits[20], *to = ret;
        int n = 0;

        if (isnan(f))
                return (size_t) (stpcpy(ret, "NaN") - ret);
        if (isinf(f))
                return (size_t) (stpcpy(ret, f > 0 ? "+Inf" : "-Inf") - ret);
        if (signbit(f))
                *to++ = '-';
        if (f == 0)
                return (size_t) (stpcpy(to, "0") - ret);

        shortest_digits(fabs(f), text);
        long exponent = strtol(strchr(text, 'e') + 1, NULL, 10);
        for (const char *p = text; *p != 'e'; p++)
                if (*p >= '0' && *p <= '9')     /* all but the decimal point, whichever the locale has */
                        digits[n++] = *p;
        while (n > 1 && digits[n - 1] == '0')
                n--;

        if (exponent < 0) {
                *to++ = '0';
                *to++ = '.';
                size_t zeros = (size_t) (-exponent - 1);
                memset(to, '0', zeros);
                to += zeros;
        }
        for (int i = 0; i < MAX(n, exponent + 1); i++) {
                if (exponent >= 0 && i == exponent + 1)
                        *to++ = '.';
                *to++ = i < n ? digits[i] : '0';
        }
        *to = '\0';
        return (size_t) (to - ret);
}

static void strbuf_list(StrBuf *b, const ValueList *l) {
        const char *between = "";

        strbuf_putc(b, '[');
        VALUE_LIST_FOREACH(item, l) {
                strbuf_puts(b, between);
                strbuf_value(b, *item);
                between = ", ";
        }
        strbuf_putc(b, ']');
}

void strbuf_value(StrBuf *b, Value v) {
        char text[FLOAT_TEXT_MAX];

        switch (v.kind) {
        case TYPE_BOOL:
                strbuf_puts(b, v.b ? "true" : "false");
                break;
        case TYPE_STR:
                strbuf_quote(b, v.s->data, v.s->size);
                break;
        case TYPE_INT:
                strbuf_printf(b, "%lld", (long long) v.i);
                break;
        case TYPE_FLOAT:
                strbuf_add(b, text, float_text(v.f, text));
                break;
        case TYPE_LIST:
                strbuf_list(b, v.l);
                break;
        case TYPE_MAP:
                strbuf_putc(b, '{');
                for (uint32_t i = 0; i < v.m->n; i++) {
                        if (i > 0)
                                strbuf_puts(b, ", ");
                        strbuf_value(b, v.m->items[i].key);
                        strbuf_puts(b, ": ");
                        strbuf_value(b, v.m->items[i].value);
                }
                strbuf_putc(b, '}');
                break;
        case TYPE_STRUCT:
                strbuf_puts(b, "struct{");
                for (uint32_t i = 0; i < v.st->n; i++) {
                        if (i > 0)
                                strbuf_puts(b, "; ");
                        strbuf_add(b, v.st->fields[i].name->data, v.st->fields[i].name->size);
                        strbuf_puts(b, ": ");
                        strbuf_value(b, v.st->fields[i].value);
                }
                strbuf_putc(b, '}');
                break;
        case TYPE_FUNC: {
                _cleanup_free_ char *type = type_text(v.fn->type);
                if (!type)
                        b->failed = true;
                else
                        strbuf_printf(b, "func(%s)", type);
                break;
        }
        default:
                strbuf_puts(b, "nil");
        }
}

char *value_text(Value v) {
        StrBuf b = { .limit = VALUE_STR_MAX };

        strbuf_value(&b, v);
        return strbuf_take(&b);
}
