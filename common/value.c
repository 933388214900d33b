/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Values: building, comparing, printing. The order of map keys is what the language prints; it is compared without allocating
 * anything, so that looking up a key cannot fail. */

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/hash.h"
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
        int r = b->failed ? -ENOMEM : value_str(ret, b->data ?: "", b->size);

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

/* ---- comparing ---- */

static bool str_equal(const ValueStr *a, const ValueStr *b) {
        return a == b || (a->size == b->size && memcmp(a->data, b->data, a->size) == 0);
}

/* The parts of two maps, or of two structs, one by one; what "alike" is depends on who asks. */
static inline __attribute__((__always_inline__)) bool parts_alike(Value a, Value b, bool (*alike)(Value a, Value b)) {
        uint32_t n = a.kind == TYPE_MAP ? a.m->n : a.st->n;

        if (n != (a.kind == TYPE_MAP ? b.m->n : b.st->n))
                return false;
        for (uint32_t i = 0; i < n; i++)
                if (a.kind == TYPE_MAP ? !alike(a.m->items[i].key, b.m->items[i].key) || !alike(a.m->items[i].value, b.m->items[i].value)
                                       : !str_equal(a.st->fields[i].name, b.st->fields[i].name) ||
                                                 !alike(a.st->fields[i].value, b.st->fields[i].value))
                        return false;
        return true;
}

bool value_same_deep(Value a, Value b) {
        switch (a.kind) {
        case TYPE_NIL:
                return true;
        case TYPE_FLOAT:
                return isnan(a.f) && isnan(b.f);        /* what prints alike has the same bits */
        case TYPE_LIST:
                return a.l->n == b.l->n && value_list_difference(a.l, b.l, 0) == a.l->n;
        case TYPE_MAP:
        case TYPE_STRUCT:
                return parts_alike(a, b, value_same);
        default:
                return value_equal(a, b);
        }
}

static bool lists_equal(const ValueList *a, const ValueList *b) {
        ValueListWalk other = { .list = b };

        if (a->n != b->n)
                return false;
        VALUE_LIST_FOREACH(item, a)
                if (!value_equal(*item, *value_list_next(&other)))
                        return false;
        return true;
}

bool value_equal(Value a, Value b) {
        if (a.kind != b.kind)
                return false;

        switch (a.kind) {
        case TYPE_NIL:
                return true;
        case TYPE_BOOL:
                return a.b == b.b;
        case TYPE_INT:
                return a.i == b.i;
        case TYPE_FLOAT:
                return a.f == b.f;
        case TYPE_STR:
                return str_equal(a.s, b.s);
        case TYPE_LIST:
                return lists_equal(a.l, b.l);
        case TYPE_MAP:
        case TYPE_STRUCT:
                return parts_alike(a, b, value_equal);
        default:
                return a.fn == b.fn;
        }
}

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static int compare_bytes(const ValueStr *a, const ValueStr *b) {
        int c = memcmp(a->data, b->data, MIN(a->size, b->size));
        return c != 0 ? c : COMPARE(a->size, b->size);
}

static int compare_floats(double a, double b) {
        if (isnan(a) || isnan(b))
                return isnan(b) - isnan(a);     /* NaN comes first */
        return COMPARE(a, b);
}

/* Where both begin to differ, or up to three bytes before: a place where a character begins in both. */
static size_t skip_common(const ValueStr *a, const ValueStr *b) {
        size_t i = 0, n = MIN(a->size, b->size);

        while (i < n && a->data[i] == b->data[i])
                i++;
        for (size_t back = 1; back <= 3 && back <= i; back++)
                if ((a->data[i - back] & 0xc0) != 0x80)         /* not inside a character */
                        return i - back;
        return i;
}

/* As the quoted texts of both would compare. No quoted character is the beginning of another one, and none begins with the
 * closing quote. */
static int compare_quoted(const ValueStr *a, const ValueStr *b) {
        char x[QUOTED_CHAR_MAX], y[QUOTED_CHAR_MAX];
        size_t i = skip_common(a, b), j = i, n, m;

        for (;;) {
                if (i == a->size && j == b->size)
                        return 0;
                x[0] = y[0] = '"';
                n = m = 1;
                size_t step = i < a->size ? quote_char(a->data + i, a->size - i, x, &n) : 0;
                size_t other = j < b->size ? quote_char(b->data + j, b->size - j, y, &m) : 0;
                int c = memcmp(x, y, MIN(n, m));
                if (c != 0 || n != m)
                        return c ?: COMPARE(n, m);
                i += step;
                j += other;
        }
}

static int compare_texts(Value a, Value b, char end_a, char end_b);

/* The texts of scalars, each with the character behind it: "1;" comes after "10;" if that character decides. */
static int compare_scalar_texts(Value a, Value b, char end_a, char end_b) {
        char x[FLOAT_TEXT_MAX + 2], y[FLOAT_TEXT_MAX + 2];
        size_t n, m;

        if (a.kind == TYPE_FLOAT) {
                n = float_text(a.f == 0 ? 0 : a.f, x);  /* -0 is the same key as 0 */
                m = float_text(b.f == 0 ? 0 : b.f, y);
        } else {
                n = (size_t) snprintf(x, sizeof(x), "%lld", (long long) a.i);
                m = (size_t) snprintf(y, sizeof(y), "%lld", (long long) b.i);
        }
        x[n] = end_a;
        y[m] = end_b;
        x[n + 1] = y[m + 1] = '\0';
        return strcmp(x, y);
}

static int compare_structs(const ValueStruct *a, const ValueStruct *b) {
        for (uint32_t i = 0; i < a->n && i < b->n; i++) {
                int c = compare_bytes(a->fields[i].name, b->fields[i].name);
                if (c == 0)
                        c = compare_texts(a->fields[i].value, b->fields[i].value, i + 1 < a->n ? ';' : '}', i + 1 < b->n ? ';' : '}');
                if (c != 0)
                        return c;
        }
        return COMPARE(a->n, b->n);
}

/* Structs are ordered by their printed text, so inside of them numbers are compared as texts. This walks both at once. (Texts
 * of lists and maps never decide anything: they cannot be keys. They only have to be in some order.) */
static int compare_texts(Value a, Value b, char end_a, char end_b) {
        if (a.kind != b.kind)
                return COMPARE(a.kind, b.kind);
        if (a.kind == TYPE_STR)
                return compare_quoted(a.s, b.s);
        if (a.kind == TYPE_INT || a.kind == TYPE_FLOAT)
                return compare_scalar_texts(a, b, end_a, end_b);
        return value_compare(a, b);
}

static int compare_lists(const ValueList *a, const ValueList *b) {
        ValueListWalk walk_a = { .list = a }, walk_b = { .list = b };
        const Value *x, *y;

        while ((x = value_list_next(&walk_a)) && (y = value_list_next(&walk_b))) {
                int c = value_compare(*x, *y);
                if (c != 0)
                        return c;
        }
        return COMPARE(a->n, b->n);
}

int value_compare(Value a, Value b) {
        int c = 0;

        if (a.kind != b.kind)
                return COMPARE(a.kind, b.kind);

        switch (a.kind) {
        case TYPE_NIL:
                return 0;
        case TYPE_BOOL:
                return COMPARE(a.b, b.b);
        case TYPE_INT:
                return COMPARE(a.i, b.i);
        case TYPE_FLOAT:
                return compare_floats(a.f, b.f);
        case TYPE_STR:
                return compare_bytes(a.s, b.s);
        case TYPE_LIST:
                return compare_lists(a.l, b.l);
        case TYPE_MAP:
                for (uint32_t i = 0; c == 0 && i < a.m->n && i < b.m->n; i++)
                        c = value_compare(a.m->items[i].key, b.m->items[i].key) ?:
                            value_compare(a.m->items[i].value, b.m->items[i].value);
                return c ?: COMPARE(a.m->n, b.m->n);
        case TYPE_STRUCT:
                return compare_structs(a.st, b.st);
        default:
                return COMPARE((uintptr_t) a.fn, (uintptr_t) b.fn);
        }
}

static uint64_t mix(uint64_t hash, uint64_t x) {
        return hash_bytes((uint64_t[]) { hash, x }, 2 * sizeof(uint64_t));
}

uint64_t value_hash(Value v) {
        uint64_t hash = (uint64_t) v.kind, bits = 0;

        switch (v.kind) {
        case TYPE_NIL:
                return mix(hash, 0);
        case TYPE_BOOL:
                return mix(hash, v.b);
        case TYPE_FLOAT:
                v.f = v.f == 0 ? 0 : v.f;       /* -0 equals 0 */
                memcpy(&bits, &v.f, sizeof(bits));
                return mix(hash, bits);
        case TYPE_INT:
                return mix(hash, (uint64_t) v.i);
        case TYPE_STR:
                return hash_bytes(v.s->data, v.s->size);
        case TYPE_LIST:
                hash = mix(hash, v.l->n);
                VALUE_LIST_FOREACH(item, v.l)
                        hash = mix(hash, value_hash(*item));
                return hash;
        case TYPE_MAP:
                hash = mix(hash, v.m->n);
                for (uint32_t i = 0; i < v.m->n; i++)
                        hash = mix(mix(hash, value_hash(v.m->items[i].key)), value_hash(v.m->items[i].value));
                return hash;
        case TYPE_STRUCT:
                hash = mix(hash, v.st->n);
                for (uint32_t i = 0; i < v.st->n; i++)
                        hash = mix(hash, value_hash(v.st->fields[i].value));
                return hash;
        default:
                return mix(hash, (uintptr_t) v.fn);
        }
}

/* ---- text ---- */

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
        StrBuf b = {};

        strbuf_value(&b, v);
        return strbuf_take(&b);
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
