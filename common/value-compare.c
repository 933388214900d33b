/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Whether values are equal, and which comes first. The order of map keys is what the language prints; it is compared without
 * allocating anything, so that looking up a key cannot fail. */

#include <math.h>
#include <stdio.h>

#include "common/hash.h"
#include "common/value.h"

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
