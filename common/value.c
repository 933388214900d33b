/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Values: building them, reading them, what type they are of. */

#include <stdarg.h>
#include <stdio.h>

#include "common/strbuf.h"
#include "common/value.h"

typedef __typeof__(((ValueMap *) NULL)->items[0]) Pair;

static struct {
        ValueStr str;
        char nul;
} empty_str = { .str = { .n_ref = 1 } };        /* shared by all empty strings; this one reference is never dropped */

/* ---- lifetime ---- */

void value_free(Value v) {
        switch (v.kind) {
        case TYPE_LIST:
                value_list_free(v.l);
                break;
        case TYPE_MAP:
                for (uint32_t i = 0; i < v.m->n; i++) {
                        value_done(&v.m->items[i].key);
                        value_done(&v.m->items[i].value);
                }
                free(v.m);
                break;
        case TYPE_STRUCT:
                for (uint32_t i = 0; i < v.st->n; i++) {
                        value_done(&(Value) { .kind = TYPE_STR, .s = v.st->fields[i].name });
                        value_done(&v.st->fields[i].value);
                }
                free(v.st);
                break;
        case TYPE_FUNC:
                v.fn->free(v.fn);
                break;
        default:
                free(v.s);
        }
}

/* ---- building ---- */

int value_str(Value *ret, const char *data, size_t size) {
        if (size > VALUE_STR_MAX)
                return -E2BIG;
        if (size == 0) {
                *ret = value_ref((Value) { .kind = TYPE_STR, .s = &empty_str.str });
                return 0;
        }

        ValueStr *s = malloc(sizeof(ValueStr) + size + 1);
        if (!s)
                return -ENOMEM;
        s->n_ref = 1;
        s->size = (uint32_t) size;
        memcpy(s->data, data, size);
        s->data[size] = '\0';
        *ret = (Value) { .kind = TYPE_STR, .s = s };
        return 0;
}

int value_strz(Value *ret, const char *s) {
        return value_str(ret, s, strlen(s));
}

int value_strf(Value *ret, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        va_list ap;

        va_start(ap, format);
        int n = vasprintf(&text, format, ap);
        va_end(ap);
        if (n < 0) {
                text = NULL;
                return -ENOMEM;
        }
        return value_str(ret, text, (size_t) n);
}

int value_str_take(Value *ret, StrBuf *b) {
        int r = strbuf_error(b);
        if (r >= 0)
                r = value_str(ret, b->data ?: "", b->size);

        strbuf_done(b);
        return r;
}

static void done_all(Value *values, size_t n) {
        for (size_t i = 0; i < n; i++)
                value_done(&values[i]);
}

/* Stable, so that the later of two equal keys stays behind the earlier. Both arrays have room for n. */
static void merge_sort(Pair *pairs, Pair *spare, size_t n) {
        if (n < 2)
                return;

        size_t half = n / 2, a = 0, b = half, to = 0;
        merge_sort(pairs, spare, half);
        merge_sort(pairs + half, spare, n - half);
        if (value_compare(pairs[half - 1].key, pairs[half].key) <= 0)
                return;
        memcpy(spare, pairs, half * sizeof(Pair));
        while (a < half && b < n)
                pairs[to++] = value_compare(spare[a].key, pairs[b].key) <= 0 ? spare[a++] : pairs[b++];
        memcpy(pairs + to, spare + a, (half - a) * sizeof(Pair));
}

static bool is_sorted(const ValueMap *m) {
        for (uint32_t i = 1; i < m->n; i++)
                if (value_compare(m->items[i - 1].key, m->items[i].key) >= 0)
                        return false;
        return true;
}

/* Keys that are in the same place of the order are the same key, but for NaN, which is never the same as anything. */
static void drop_duplicates(ValueMap *m) {
        uint32_t n = 0;

        for (uint32_t i = 0; i < m->n; i++) {
                if (i + 1 < m->n && value_equal(m->items[i].key, m->items[i + 1].key)) {
                        value_done(&m->items[i].key);
                        value_done(&m->items[i].value);
                } else
                        m->items[n++] = m->items[i];
        }
        m->n = n;
}

int value_map(Value *ret, Value *items, size_t n_pairs) {
        ValueMap *m = n_pairs <= VALUE_ITEMS_MAX ? malloc(sizeof(ValueMap) + n_pairs * sizeof(Pair)) : NULL;

        if (!m) {
                done_all(items, n_pairs * 2);
                return n_pairs <= VALUE_ITEMS_MAX ? -ENOMEM : -E2BIG;
        }
        *m = (ValueMap) { .n_ref = 1, .n = (uint32_t) n_pairs };
        for (size_t i = 0; i < n_pairs; i++) {
                m->items[i].key = value_take(&items[2 * i]);
                m->items[i].value = value_take(&items[2 * i + 1]);
        }
        Value v = { .kind = TYPE_MAP, .m = m };
        if (!is_sorted(m)) {
                _cleanup_free_ Pair *spare = malloc((n_pairs / 2 + 1) * sizeof(Pair));
                if (!spare) {
                        value_done(&v);
                        return -ENOMEM;
                }
                merge_sort(m->items, spare, n_pairs);
                drop_duplicates(m);
        }
        for (uint32_t i = 0; i < m->n; i++) {
                value_extent_add(&m->extent, m->items[i].key);
                value_extent_add(&m->extent, m->items[i].value);
        }
        *ret = v;
        return 0;
}

int value_struct(Value *ret, const char *const *names, Value *values, size_t n) {
        ValueStruct *st = n <= TYPE_FIELDS_MAX ? malloc(sizeof(ValueStruct) + n * sizeof(ValueField)) : NULL;

        if (!st) {
                done_all(values, n);
                return n <= TYPE_FIELDS_MAX ? -ENOMEM : -E2BIG;
        }
        *st = (ValueStruct) { .n_ref = 1 };
        Value v = { .kind = TYPE_STRUCT, .st = st };
        for (; st->n < n; st->n++) {
                Value name;
                int r = value_strz(&name, names[st->n]);
                if (r < 0) {
                        done_all(values + st->n, n - st->n);
                        value_done(&v);
                        return r;
                }
                value_extent_add(&st->extent, values[st->n]);
                st->fields[st->n] = (ValueField) { .name = name.s, .value = value_take(&values[st->n]) };
        }
        *ret = v;
        return 0;
}

static int zero_struct(Value *ret, const Type *type) {
        _cleanup_free_ const char **names = calloc((size_t) type->n_fields + 1, sizeof(char *));
        _cleanup_free_ Value *values = calloc((size_t) type->n_fields + 1, sizeof(Value));

        if (!names || !values)
                return -ENOMEM;
        for (uint32_t i = 0; i < type->n_fields; i++) {
                int r = value_zero(&values[i], type->fields[i].type);
                if (r < 0) {
                        done_all(values, i);
                        return r;
                }
                names[i] = type->fields[i].name;
        }
        return value_struct(ret, names, values, type->n_fields);
}

int value_zero(Value *ret, const Type *type) {
        switch (type->kind) {
        case TYPE_BOOL:
                *ret = VALUE_BOOL(false);
                return 0;
        case TYPE_INT:
                *ret = VALUE_INT(0);
                return 0;
        case TYPE_FLOAT:
                *ret = VALUE_FLOAT(0);
                return 0;
        case TYPE_STR:
                return value_str(ret, "", 0);
        case TYPE_LIST:
                return value_list(ret, NULL, 0);
        case TYPE_MAP:
                return value_map(ret, NULL, 0);
        case TYPE_STRUCT:
                return zero_struct(ret, type);
        default:
                return -EINVAL;
        }
}

/* ---- reading ---- */

const Value *value_map_get(Value map, Value key) {
        const ValueMap *m = map.m;
        size_t low = 0, high = m->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int c = value_compare(m->items[middle].key, key);
                if (c == 0)
                        return value_equal(m->items[middle].key, key) ? &m->items[middle].value : NULL;
                if (c < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return NULL;
}

const Value *value_struct_get(Value st, const char *name) {
        for (uint32_t i = 0; i < st.st->n; i++)
                if (streq(st.st->fields[i].name->data, name))
                        return &st.st->fields[i].value;
        return NULL;
}

/* ---- types ---- */

static int check_fields(const ValueStruct *st, const Type *type, Diag *reterr) {
        if (st->n != type->n_fields)
                return diag_set(reterr, (Pos) {}, -EINVAL, "struct field count differs");
        for (uint32_t i = 0; i < st->n; i++) {
                if (!streq(st->fields[i].name->data, type->fields[i].name))
                        return diag_set(reterr, (Pos) {}, -EINVAL, "struct fields differ");
                int r = value_check_type(st->fields[i].value, type->fields[i].type, reterr);
                if (r < 0) {
                        diag_prefix(reterr, "field '%s'", type->fields[i].name);
                        return r;
                }
        }
        return 0;
}

static int check_items(const ValueList *l, const Type *type, Diag *reterr) {
        uint32_t i = 0;

        VALUE_LIST_FOREACH(item, l) {
                int r = value_check_type(*item, type, reterr);
                if (r < 0) {
                        diag_prefix(reterr, "element %u", i);
                        return r;
                }
                i++;
        }
        return 0;
}

int value_check_type(Value v, const Type *type, Diag *reterr) {
        int r;

        if (type->kind == TYPE_VARIANT)
                return 0;
        if (v.kind != type->kind)
                return diag_set(reterr, (Pos) {}, -EINVAL, "base kind does not match (%s != %s)", type_kind_name(type->kind),
                                type_kind_name(v.kind));

        switch (v.kind) {
        case TYPE_LIST:
                return check_items(v.l, type->element, reterr);
        case TYPE_MAP:
                for (uint32_t i = 0; i < v.m->n; i++) {
                        r = value_check_type(v.m->items[i].key, type->key, reterr);
                        if (r >= 0)
                                r = value_check_type(v.m->items[i].value, type->element, reterr);
                        if (r < 0) {
                                _cleanup_free_ char *key = value_text(v.m->items[i].key);
                                diag_prefix(reterr, "key %s", key ?: "?");
                                return r;
                        }
                }
                return 0;
        case TYPE_STRUCT:
                return check_fields(v.st, type, reterr);
        case TYPE_FUNC:
                return type_compare(v.fn->type, type, reterr);
        default:
                return 0;
        }
}
