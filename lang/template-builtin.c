/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The functions that every template has. One row each. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/utf8.h"
#include "lang/template.h"

bool template_truth(Value v) {
        switch (v.kind) {
        case TYPE_NIL:
                return false;
        case TYPE_BOOL:
                return v.b;
        case TYPE_INT:
                return v.i != 0;
        case TYPE_FLOAT:
                return v.f != 0;
        case TYPE_STR:
                return v.s->size > 0;
        case TYPE_LIST:
                return v.l->n > 0;
        case TYPE_MAP:
                return v.m->n > 0;
        default:
                return true;
        }
}

#define FAIL(...) diag_set(reterr, (Pos) {}, -EINVAL, __VA_ARGS__)

static int not_comparable(Value v, Diag *reterr) {
        StrBuf b = { .limit = VALUE_STR_MAX };

        template_print(&b, v);
        int r = FAIL("non-comparable type %s: %s", b.data ?: "", template_type_name(v));
        strbuf_done(&b);
        return r;
}

static bool is_composite(Value v) {
        return v.kind == TYPE_LIST || v.kind == TYPE_MAP;
}

static int equals(Value a, Value b, bool *ret, Diag *reterr) {
        if (a.kind == TYPE_NIL || b.kind == TYPE_NIL) {
                *ret = a.kind == b.kind;
                return 0;
        }
        if (is_composite(a) || is_composite(b))
                return not_comparable(is_composite(a) ? a : b, reterr);
        if (a.kind != b.kind)
                return FAIL("incompatible types for comparison");
        *ret = value_equal(a, b);
        return 0;
}

static int eq(const char *name, const Value *args, size_t n, Value *ret, Diag *reterr) {
        bool equal = false;

        for (size_t i = 1; i < n && !equal; i++) {
                int r = equals(args[0], args[i], &equal, reterr);
                if (r < 0)
                        return r;
        }
        *ret = VALUE_BOOL(equal == (*name == 'e'));
        return 0;
}

static int order(const char *name, const Value *args, size_t n, Value *ret, Diag *reterr) {
        Value a = args[0], b = args[1];

        if (a.kind != b.kind)
                return FAIL("incompatible types for comparison");
        if (a.kind != TYPE_INT && a.kind != TYPE_FLOAT && a.kind != TYPE_STR)
                return FAIL("invalid type for comparison");

        int c = value_compare(a, b);
        bool nan = a.kind == TYPE_FLOAT && (a.f != a.f || b.f != b.f);
        *ret = VALUE_BOOL(!nan && ((name[0] == 'l' ? c < 0 : c > 0) || (name[1] == 'e' && c == 0)));
        return 0;
}

static int not_(const char *name, const Value *args, size_t n, Value *ret, Diag *reterr) {
        *ret = VALUE_BOOL(!template_truth(args[0]));
        return 0;
}

static int len(const char *name, const Value *args, size_t n, Value *ret, Diag *reterr) {
        switch (args[0].kind) {
        case TYPE_STR:
                *ret = VALUE_INT(args[0].s->size);
                return 0;
        case TYPE_LIST:
                *ret = VALUE_INT(args[0].l->n);
                return 0;
        case TYPE_MAP:
                *ret = VALUE_INT(args[0].m->n);
                return 0;
        case TYPE_NIL:
                return FAIL("len of nil pointer");
        default:
                return FAIL("len of type %s", template_type_name(args[0]));
        }
}

/* What a map whose values all are of one kind gives for a key that it does not have. */
static int zero_value(const ValueMap *m, Value *ret) {
        TypeKind kind = m->n > 0 ? m->items[0].value.kind : TYPE_NIL;

        for (uint32_t i = 1; i < m->n; i++)
                if (m->items[i].value.kind != kind)
                        kind = TYPE_NIL;
        if (kind == TYPE_STR)
                return value_strz(ret, "");
        *ret = kind == TYPE_BOOL ? VALUE_BOOL(false) : kind == TYPE_INT ? VALUE_INT(0) : kind == TYPE_FLOAT ? VALUE_FLOAT(0) : VALUE_NIL;
        return 0;
}

static int index_one(Value v, Value i, Value *ret, Diag *reterr) {
        size_t size = v.kind == TYPE_STR ? v.s->size : v.kind == TYPE_LIST ? v.l->n : 0;

        switch (v.kind) {
        case TYPE_STR:
        case TYPE_LIST:
                if (i.kind != TYPE_INT)
                        return FAIL("cannot index slice/array with type %s", template_type_name(i));
                if (i.i < 0 || (uint64_t) i.i >= size)
                        return FAIL("index out of range: %" PRId64, i.i);
                *ret = v.kind == TYPE_STR ? VALUE_INT((unsigned char) v.s->data[i.i]) : value_ref(value_list_at(v.l, (uint32_t) i.i));
                return 0;
        case TYPE_MAP: {
                if (v.m->n > 0 && v.m->items[0].key.kind != i.kind)
                        return FAIL("value has type %s; should be %s", template_type_name(i), template_type_name(v.m->items[0].key));
                const Value *found = value_map_get(v, i);
                if (!found)
                        return zero_value(v.m, ret);
                *ret = value_ref(*found);
                return 0;
        }
        case TYPE_NIL:
                return FAIL("index of untyped nil");
        default:
                return FAIL("can't index item of type %s", template_type_name(v));
        }
}

static int index_(const char *name, const Value *args, size_t n, Value *ret, Diag *reterr) {
        _cleanup_(value_done) Value v = value_ref(args[0]);

        for (size_t i = 1; i < n; i++) {
                Value next = VALUE_NIL;
                int r = index_one(v, args[i], &next, reterr);
                if (r < 0)
                        return r;
                value_done(&v);
                v = next;
        }
        *ret = value_take(&v);
        return 0;
}

static int slice(const char *name, const Value *args, size_t n, Value *ret, Diag *reterr) {
        Value v = args[0];
        int64_t size, bounds[3];

        if (v.kind != TYPE_STR && v.kind != TYPE_LIST)
                return FAIL("can't slice item of type %s", template_type_name(v));
        if (v.kind == TYPE_STR && n > 3)
                return FAIL("cannot 3-index slice a string");
        size = v.kind == TYPE_STR ? v.s->size : v.l->n;
        bounds[0] = 0;
        bounds[1] = size;
        for (size_t i = 1; i < n; i++) {
                if (args[i].kind != TYPE_INT)
                        return FAIL("cannot index slice/array with type %s", template_type_name(args[i]));
                if (args[i].i < 0 || args[i].i > size)
                        return FAIL("index out of range: %" PRId64, args[i].i);
                bounds[i - 1] = args[i].i;
        }
        if (bounds[0] > bounds[1])
                return FAIL("invalid slice index: %" PRId64 " > %" PRId64, bounds[0], bounds[1]);
        if (v.kind == TYPE_STR)
                return value_str(ret, v.s->data + bounds[0], (size_t) (bounds[1] - bounds[0]));

        size_t count = (size_t) (bounds[1] - bounds[0]);
        _cleanup_free_ Value *items = calloc(count + 1, sizeof(Value));
        if (!items)
                return -ENOMEM;
        for (size_t i = 0; i < count; i++)
                items[i] = value_ref(value_list_at(v.l, (uint32_t) bounds[0] + (uint32_t) i));
        return value_list(ret, items, count);
}

/* Spaces stand between operands where neither is a text; println has them everywhere. */
static void print_args(StrBuf *b, const Value *args, size_t n, bool line) {
        for (size_t i = 0; i < n; i++) {
                if (i > 0 && (line || (args[i - 1].kind != TYPE_STR && args[i].kind != TYPE_STR)))
                        strbuf_putc(b, ' ');
                template_print(b, args[i]);
        }
        if (line)
                strbuf_putc(b, '\n');
}

static int print(const char *name, const Value *args, size_t n, Value *ret, Diag *reterr) {
        StrBuf b = { .limit = VALUE_STR_MAX };

        print_args(&b, args, n, streq(name, "println"));
        return value_str_take(ret, &b);
}

static int printf_(const char *name, const Value *args, size_t n, Value *ret, Diag *reterr) {
        StrBuf b = { .limit = VALUE_STR_MAX };

        if (args[0].kind != TYPE_STR)
                return FAIL("wrong type for value; expected string; got %s", template_type_name(args[0]));
        template_printf(&b, args, n);
        return value_str_take(ret, &b);
}

static void escape_html(StrBuf *b, const char *s, size_t size) {
        for (size_t i = 0; i < size; i++)
                switch (s[i]) {
                case '"':
                        strbuf_puts(b, "&#34;");
                        break;
                case '\'':
                        strbuf_puts(b, "&#39;");
                        break;
                case '&':
                        strbuf_puts(b, "&amp;");
                        break;
                case '<':
                        strbuf_puts(b, "&lt;");
                        break;
                case '>':
                        strbuf_puts(b, "&gt;");
                        break;
                case '\0':
                        strbuf_puts(b, "\xef\xbf\xbd");
                        break;
                default:
                        strbuf_putc(b, s[i]);
                }
}

static void escape_js(StrBuf *b, const char *s, size_t size) {
        for (size_t i = 0; i < size;) {
                uint32_t c;
                size_t n = utf8_decode(s + i, size - i, &c);
                if (n == 0) {
                        c = 0xfffd;
                        n = 1;
                }
                if (c == '\\' || c == '\'' || c == '"') {
                        strbuf_putc(b, '\\');
                        strbuf_putc(b, (char) c);
                } else if (c < ' ' || strchr("<>&=", c < 128 ? (int) c : 'x') || !unicode_is_print(c))
                        strbuf_printf(b, "\\u%04X", c);
                else
                        strbuf_add(b, s + i, n);
                i += n;
        }
}

static void escape_query(StrBuf *b, const char *s, size_t size) {
        for (size_t i = 0; i < size; i++) {
                unsigned char c = (unsigned char) s[i];
                if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-_.~", c)))
                        strbuf_putc(b, (char) c);
                else if (c == ' ')
                        strbuf_putc(b, '+');
                else
                        strbuf_printf(b, "%%%02X", c);
        }
}

static int escape(const char *name, const Value *args, size_t n, Value *ret, Diag *reterr) {
        StrBuf plain = { .limit = VALUE_STR_MAX }, b = { .limit = VALUE_STR_MAX };

        print_args(&plain, args, n, false);
        (*name == 'h' ? escape_html : *name == 'j' ? escape_js : escape_query)(&b, plain.data ?: "", plain.size);
        strbuf_fail_as(&b, &plain);
        strbuf_done(&plain);
        return value_str_take(ret, &b);
}

static int call(const char *name, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return FAIL("call of non-function");
}

static const struct {
        const char *name;
        size_t min, max;        /* arguments; max 0: any number */
        int (*run)(const char *name, const Value *args, size_t n, Value *ret, Diag *reterr);
} builtins[] = {
        { "and",      1, 0, NULL },     /* the runner's */
        { "call",     1, 0, call },
        { "eq",       2, 0, eq },
        { "ge",       2, 2, order },
        { "gt",       2, 2, order },
        { "html",     0, 0, escape },
        { "index",    1, 0, index_ },
        { "js",       0, 0, escape },
        { "le",       2, 2, order },
        { "len",      1, 1, len },
        { "lt",       2, 2, order },
        { "ne",       2, 2, eq },
        { "not",      1, 1, not_ },
        { "or",       1, 0, NULL },     /* the runner's */
        { "print",    0, 0, print },
        { "printf",   1, 0, printf_ },
        { "println",  0, 0, print },
        { "slice",    1, 4, slice },
        { "urlquery", 0, 0, escape },
};

bool template_has_builtin(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(builtins); i++)
                if (streq(builtins[i].name, name))
                        return true;
        return false;
}

int template_builtin(const char *name, const Value *args, size_t n, Value *ret, Diag *reterr) {
        for (size_t i = 0; i < ELEMENTSOF(builtins); i++) {
                if (!streq(builtins[i].name, name))
                        continue;
                if (n < builtins[i].min || (builtins[i].max > 0 && n > builtins[i].max))
                        return FAIL("wrong number of args for %s: want %s%zu got %zu", name,
                                    builtins[i].min == builtins[i].max ? "" : "at least ", builtins[i].min, n);
                if (!builtins[i].run)
                        return 0;
                int r = builtins[i].run(name, args, n, ret, reterr);
                if (r < 0 && reterr)
                        (void) diag_prefix(reterr, "error calling %s", name);
                return r;
        }
        return FAIL("%s is not a defined function", name);
}
