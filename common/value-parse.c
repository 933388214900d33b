/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Constants as text: defaults in field tables, values on a command line. Both notations are read by one parser, because they
 * differ in two tokens only: "=>" or ":" behind a key or field, "," or ";" behind a struct's field. */

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "common/strbuf.h"
#include "common/utf8.h"
#include "common/value.h"

typedef struct Parser {
        const char *text, *at;
        unsigned depth;
        Diag *reterr;
} Parser;

typedef struct Values {
        Value *items;
        size_t n, capacity;
} Values;

static void values_done(Values *l) {
        for (size_t i = 0; i < l->n; i++)
                value_done(&l->items[i]);
        free(l->items);
}

static int parse(Parser *p, const Type *type, Value *ret);

static int bad(Parser *p, const char *expected) {
        return diag_set(p->reterr, (Pos) {}, -EINVAL, "invalid value '%s': expected %s at '%s'", p->text, expected, p->at);
}

static bool accept(Parser *p, const char *token) {
        p->at += strspn(p->at, " \t\n");
        const char *rest = startswith(p->at, token);

        if (rest)
                p->at = rest;
        return rest;
}

/* A word that is not only the beginning of a longer one. */
static bool accept_word(Parser *p, const char *word) {
        const char *before = p->at;

        if (!accept(p, word))
                return false;
        if (*p->at && strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.", *p->at)) {
                p->at = before;
                return false;
        }
        return true;
}

static int parse_into(Parser *p, const Type *type, Values *l) {
        if (l->n >= VALUE_ITEMS_MAX)
                return -E2BIG;
        if (GROW(l->items, l->n, l->capacity) < 0)
                return -ENOMEM;
        l->items[l->n] = VALUE_NIL;
        int r = parse(p, type, &l->items[l->n]);
        if (r >= 0)
                l->n++;
        return r;
}

static int parse_escape(Parser *p, StrBuf *b) {
        static const char names[] = "abfnrtv\\\"$", meanings[] = "\a\b\f\n\r\t\v\\\"$";
        static const struct {
                char letter;
                int digits;
        } numeric[] = { { 'x', 2 }, { 'u', 4 }, { 'U', 8 } };
        char c = *p->at;
        const char *named = c ? strchr(names, c) : NULL;

        if (named) {
                p->at++;
                strbuf_putc(b, meanings[named - names]);
                return 0;
        }
        for (size_t i = 0; i < ELEMENTSOF(numeric); i++) {
                if (c != numeric[i].letter)
                        continue;
                char hex[9] = {}, *end, bytes[4];
                (void) stpncpy(hex, p->at + 1, (size_t) numeric[i].digits);
                if (strspn(hex, "0123456789abcdefABCDEF") != (size_t) numeric[i].digits)
                        break;
                uint32_t code = (uint32_t) strtoul(hex, &end, 16);
                p->at += 1 + numeric[i].digits;
                if (c == 'x')
                        strbuf_putc(b, (char) code);
                else
                        strbuf_add(b, bytes, utf8_encode(code, bytes));
                return 0;
        }
        return bad(p, "an escape");
}

static int parse_str(Parser *p, const Type *type, Value *ret) {
        _cleanup_(strbuf_done) StrBuf b = {};

        while (*p->at != '"') {
                size_t plain = strcspn(p->at, "\\\"");
                strbuf_add(&b, p->at, plain);
                p->at += plain;
                if (*p->at == '\\') {
                        p->at++;
                        int r = parse_escape(p, &b);
                        if (r < 0)
                                return r;
                } else if (!*p->at)
                        return bad(p, "'\"'");
        }
        p->at++;
        return b.failed ? -ENOMEM : value_str(ret, b.size > 0 ? b.data : "", b.size);
}

static int parse_list(Parser *p, const Type *type, Value *ret) {
        _cleanup_(values_done) Values l = {};
        const Type *element = type && type->kind == TYPE_LIST ? type->element : NULL;

        while (!accept(p, "]")) {
                if (l.n > 0 && !accept(p, ","))
                        return bad(p, "',' or ']'");
                if (l.n > 0 && accept(p, "]"))
                        break;
                int r = parse_into(p, element, &l);
                if (r < 0)
                        return r;
        }
        return value_list(ret, l.items, l.n);
}

static int parse_map(Parser *p, const Type *type, Value *ret) {
        _cleanup_(values_done) Values l = {};
        bool typed = type && type->kind == TYPE_MAP;

        while (!accept(p, "}")) {
                if (l.n > 0 && !accept(p, ","))
                        return bad(p, "',' or '}'");
                if (l.n > 0 && accept(p, "}"))
                        break;
                int r = parse_into(p, typed ? type->key : NULL, &l);
                if (r < 0)
                        return r;
                if (!accept(p, "=>") && !accept(p, ":"))
                        return bad(p, "'=>'");
                r = parse_into(p, typed ? type->element : NULL, &l);
                if (r < 0)
                        return r;
        }
        return value_map(ret, l.items, l.n / 2);
}

static const Type *field_type(const Type *type, const char *name) {
        if (type && type->kind == TYPE_STRUCT)
                for (uint32_t i = 0; i < type->n_fields; i++)
                        if (streq(type->fields[i].name, name))
                                return type->fields[i].type;
        return NULL;
}

static void free_names(char ***names) {
        for (size_t i = 0; *names && (*names)[i]; i++)
                free((*names)[i]);
        free(*names);
}

static int parse_struct(Parser *p, const Type *type, Value *ret) {
        _cleanup_(values_done) Values l = {};
        _cleanup_(free_names) char **names = calloc(TYPE_FIELDS_MAX + 1, sizeof(char *));

        if (!names)
                return -ENOMEM;
        while (!accept(p, "}")) {
                if (l.n > 0 && !accept(p, ",") && !accept(p, ";"))
                        return bad(p, "',' or '}'");
                if (l.n > 0 && accept(p, "}"))
                        break;
                if (l.n >= TYPE_FIELDS_MAX)
                        return -E2BIG;
                p->at += strspn(p->at, " \t\n");
                size_t size = strcspn(p->at, " \t\n=:,;}\"");
                if (size == 0)
                        return bad(p, "a field name");
                char *name = names[l.n] = strndup(p->at, size);
                if (!name)
                        return -ENOMEM;
                p->at += size;
                if (!accept(p, "=>") && !accept(p, ":"))
                        return bad(p, "'=>'");
                int r = parse_into(p, field_type(type, name), &l);
                if (r < 0)
                        return r;
        }
        return value_struct(ret, (const char *const *) names, l.items, l.n);
}

static int parse_number(Parser *p, const Type *type, Value *ret) {
        const char *digits = p->at + (*p->at == '-');
        size_t whole = strspn(digits, "0123456789"), fraction = 0;
        bool is_float = type && type->kind == TYPE_FLOAT;

        if (whole > 0 && digits[whole] == '.')
                fraction = strspn(digits + whole + 1, "0123456789");
        if (whole == 0 || (digits[whole] == '.' && fraction == 0))
                return bad(p, "a value");

        errno = 0;
        char *end;
        if (fraction > 0 || is_float) {
                double f = strtod(p->at, &end);
                if (errno == ERANGE && isinf(f))
                        return diag_set(p->reterr, (Pos) {}, -ERANGE, "float: overflow in '%s'", p->text);
                *ret = VALUE_FLOAT(f);
                p->at = digits + whole + (fraction > 0 ? 1 + fraction : 0);
                return 0;
        }
        int64_t i = strtoimax(p->at, &end, 10);
        if (errno == ERANGE)
                return diag_set(p->reterr, (Pos) {}, -ERANGE, "integer: overflow in '%s'", p->text);
        *ret = VALUE_INT(i);
        p->at = end;
        return 0;
}

static int parse(Parser *p, const Type *type, Value *ret) {
        static const struct {
                const char *opening;
                int (*parse)(Parser *p, const Type *type, Value *ret);
        } forms[] = {
                { "\"", parse_str }, { "[", parse_list }, { "{", parse_map }, { "struct{", parse_struct },
        };
        const struct {
                const char *word;
                Value value;
        } words[] = {
                { "true", VALUE_BOOL(true) }, { "false", VALUE_BOOL(false) }, { "nil", VALUE_NIL },
                { "NaN", VALUE_FLOAT(NAN) }, { "+Inf", VALUE_FLOAT(INFINITY) }, { "-Inf", VALUE_FLOAT(-INFINITY) },
        };

        if (p->depth >= VALUE_DEPTH_MAX)
                return diag_set(p->reterr, (Pos) {}, -E2BIG, "invalid value: nested deeper than %d", VALUE_DEPTH_MAX);
        for (size_t i = 0; i < ELEMENTSOF(forms); i++)
                if (accept(p, forms[i].opening)) {
                        p->depth++;
                        int r = forms[i].parse(p, type, ret);
                        p->depth--;
                        return r;
                }
        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (accept_word(p, words[i].word)) {
                        *ret = words[i].value;
                        return 0;
                }
        return parse_number(p, type, ret);
}

int value_parse(const char *text, const Type *type, Value *ret, Diag *reterr) {
        Parser p = { .text = text, .at = text, .reterr = reterr };
        _cleanup_(value_done) Value v = VALUE_NIL;
        int r;

        r = parse(&p, type, &v);
        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "invalid value '%s': %m", text);
        p.at += strspn(p.at, " \t\n");
        if (*p.at)
                return bad(&p, "nothing more");
        if (type) {
                r = value_check_type(v, type, reterr);
                if (r < 0)
                        return r;
        }
        *ret = value_take(&v);
        return 0;
}
