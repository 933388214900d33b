/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Values of mcl. A Value is sixteen bytes and is handed around by value. Scalars live inside it; everything else is a
 * shared, immutable, reference-counted object behind it. Nothing changes after it was built, so values can be shared
 * freely inside a process (which is single-threaded).
 *
 * Ownership: a Value in a variable, array or struct member holds one reference. value_ref() adds one, value_done() drops
 * one. Functions borrow their const Value arguments; a Value *ret receives a reference that the caller owns. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/diag.h"
#include "common/macro.h"
#include "common/strbuf.h"
#include "common/type.h"

typedef struct StrBuf StrBuf;

typedef struct ValueStr {
        uint32_t n_ref;
        uint32_t size;          /* bytes, without the final NUL */
        char data[];            /* any bytes (normally UTF-8), then a NUL */
} ValueStr;

typedef struct ValueList ValueList;
typedef struct ValueMap ValueMap;
typedef struct ValueStruct ValueStruct;
typedef struct ValueFunc ValueFunc;

typedef struct Value {
        TypeKind kind;          /* TYPE_NIL if unset; TYPE_VARIANT never appears: the inner value stands for itself */
        union {
                bool b;
                int64_t i;
                double f;
                uint32_t *n_ref;        /* of whichever object is behind it: its first member */
                ValueStr *s;
                ValueList *l;
                ValueMap *m;
                ValueStruct *st;
                ValueFunc *fn;
        };
} Value;

/* How much there is in a value, at all depths; what is there twice counts twice. Both end at their largest number. */
typedef struct ValueExtent {
        uint32_t n_parts;
        uint32_t depth;         /* 0: there is nothing in it; 1: nothing that has parts itself */
} ValueExtent;

enum {
        VALUE_LIST_BITS = 5,
        VALUE_LIST_PART = 1 << VALUE_LIST_BITS,
};

/* A list is a tree of parts, which lists that differ little share: one that is longer by one, or has one other item, costs a few
 * parts and not a copy. Those of up to VALUE_LIST_PART items have no parts. */
struct ValueList {
        uint32_t n_ref;
        uint32_t n;             /* items, those in the parts included */
        ValueExtent extent;
        uint32_t height;        /* 0: it has the items itself; else each part is lower by one */
        union {
                struct {
                        struct {} have_items;
                        Value items[];
                };
                struct {
                        struct {} have_parts;
                        ValueList *parts[];     /* value_list_n_parts() of them, all full but the last */
                };
        };
};

/* Sorted by key in the internal order of values, keys unique. */
struct ValueMap {
        uint32_t n_ref;
        uint32_t n;
        ValueExtent extent;
        struct { Value key, value; } items[];
};

typedef struct ValueField {
        ValueStr *name;
        Value value;
} ValueField;

struct ValueStruct {
        uint32_t n_ref;
        uint32_t n;
        ValueExtent extent;
        ValueField fields[];    /* in the order of the type */
};

/* A function value. The language owns what is behind it; here it is only counted, and compared by identity. */
struct ValueFunc {
        uint32_t n_ref;
        const Type *type;       /* lives as long as the function value */
        void (*free)(ValueFunc *f);
};

/* Limits for whatever comes from outside; larger ones give -E2BIG. */
enum {
        VALUE_STR_MAX = 64 * 1024 * 1024,
        VALUE_ITEMS_MAX = 16 * 1024 * 1024,
        VALUE_DEPTH_MAX = 64,
};

#define VALUE_NIL ((Value) { .kind = TYPE_NIL })
#define VALUE_BOOL(x) ((Value) { .kind = TYPE_BOOL, .b = (x) })
#define VALUE_INT(x) ((Value) { .kind = TYPE_INT, .i = (x) })
#define VALUE_FLOAT(x) ((Value) { .kind = TYPE_FLOAT, .f = (x) })

/* ---- lifetime ---- */

void value_free(Value v);               /* the last reference is gone; only value_done() calls this */
void value_list_free(ValueList *l);     /* likewise; only value_free() calls this */

static inline bool value_is_counted(Value v) {
        return v.kind == TYPE_STR || v.kind >= TYPE_LIST;
}

static inline Value value_ref(Value v) {
        if (value_is_counted(v))
                (*v.n_ref)++;
        return v;
}

/* Drops the reference and makes it nil. */
static inline void value_done(Value *v) {
        if (value_is_counted(*v) && --*v->n_ref == 0)
                value_free(*v);
        *v = VALUE_NIL;
}

static inline Value value_take(Value *v) { Value t = *v; *v = VALUE_NIL; return t; }

/* ---- building: 0 or -ENOMEM/-E2BIG ---- */

int value_str(Value *ret, const char *data, size_t size);
int value_strz(Value *ret, const char *s);
int value_strf(Value *ret, const char *format, ...) _printf_(2, 3);
int value_str_take(Value *ret, StrBuf *b);      /* the text of b, which is empty afterwards, also on failure */

/* Takes over the n items (they are moved, on failure as well, when they are released). */
int value_list(Value *ret, Value *items, size_t n);
int value_list_from_strv(Value *ret, char *const *strv);        /* NULL-terminated; NULL is the empty list */

/* Lists that share what they have in common with the one that they are made of. The items are moved as above. */
int value_list_extend(Value *ret, Value list, Value *items, size_t n);
int value_list_replace(Value *ret, Value list, uint32_t i, Value item);         /* i is below its length */
int value_list_truncate(Value *ret, Value list, uint32_t n);                    /* n is not above its length */
/* One after the other. At most VALUE_LIST_PART, of the same height, all full (of VALUE_LIST_PART, or that many such) but the last. */
int value_list_join(Value *ret, const Value *lists, size_t n);

/* items are pairs key, value, …; moved as above. Sorts; of equal keys the later one wins. */
int value_map(Value *ret, Value *items, size_t n_pairs);

/* names are borrowed and copied, values moved as above. */
int value_struct(Value *ret, const char *const *names, Value *values, size_t n);

/* The value of a type where nothing has a say: false, 0, nothing in it. -EINVAL for types that have none, such as functions. */
int value_zero(Value *ret, const Type *type);

/* ---- reading ---- */

static inline const char *value_cstr(Value v) { return v.s->data; }

static inline uint32_t value_list_n_parts(const ValueList *l) {
        return (l->n + ((uint32_t) 1 << (VALUE_LIST_BITS * l->height)) - 1) >> (VALUE_LIST_BITS * l->height);
}

/* The items that lie side by side from i on, which is below the length of the list: at least one, at most VALUE_LIST_PART. */
const Value *value_list_run(const ValueList *l, uint32_t i, uint32_t *ret_n);

static inline Value value_list_at(const ValueList *l, uint32_t i) {
        uint32_t n;
        return l->height == 0 ? l->items[i] : *value_list_run(l, i, &n);
}

typedef struct ValueListWalk {
        const ValueList *list;
        const Value *item;
        uint32_t n_left, next;  /* of these side by side; the first behind them */
} ValueListWalk;

static inline const Value *value_list_next(ValueListWalk *w) {
        if (w->n_left == 0) {
                if (w->next >= w->list->n)
                        return NULL;
                w->item = value_list_run(w->list, w->next, &w->n_left);
                w->next += w->n_left;
        }
        w->n_left--;
        return w->item++;
}

/* item is a const Value *, and declared here. */
#define VALUE_LIST_FOREACH(item, l) \
        for (ValueListWalk item##_walk = { .list = (l) }, *item##_once = &item##_walk; item##_once; item##_once = NULL) \
                for (const Value *item; (item = value_list_next(item##_once));)

static inline ValueExtent value_extent(Value v) {
        switch (v.kind) {
        case TYPE_LIST:
                return v.l->extent;
        case TYPE_MAP:
                return v.m->extent;
        case TYPE_STRUCT:
                return v.st->extent;
        default:
                return (ValueExtent) {};
        }
}

static inline void value_extent_join(ValueExtent *e, ValueExtent other) {
        e->n_parts = other.n_parts > UINT32_MAX - e->n_parts ? UINT32_MAX : e->n_parts + other.n_parts;
        e->depth = MAX(e->depth, other.depth);
}

static inline void value_extent_add(ValueExtent *e, Value part) {
        ValueExtent inner = value_extent(part);

        value_extent_join(e, (ValueExtent) { 1, inner.depth == UINT32_MAX ? UINT32_MAX : inner.depth + 1 });
        value_extent_join(e, (ValueExtent) { inner.n_parts, 0 });
}
const Value *value_map_get(Value map, Value key);               /* NULL if absent */
const Value *value_struct_get(Value st, const char *name);      /* NULL if absent */

/* ---- comparing ---- */

bool value_equal(Value a, Value b);             /* deep; functions by identity; NaN differs from itself */
/* Whether nobody could tell them apart. What both share is not looked into, NaN is the same as itself, and
 * -0 is not 0. */
bool value_same_deep(Value a, Value b);
static inline bool value_same(Value a, Value b) {
        if (a.kind != b.kind)
                return false;
        if (a.kind == TYPE_INT || (a.kind != TYPE_BOOL && a.i == b.i))
                return a.i == b.i;
        return value_same_deep(a, b);
}
/* The first index from i on where the two are not the same in that sense, or the length of the shorter list. What both share is skipped. */
uint32_t value_list_difference(const ValueList *a, const ValueList *b, uint32_t i);
int value_compare(Value a, Value b);            /* the internal order that printing uses: total, total even over kinds */
uint64_t value_hash(Value v);

/* ---- text and JSON ---- */

/* The printed form: strings quoted, maps sorted. NULL if out of memory, or if it is longer than a string may be: parts can be shared,
 * and be printed each time. */
char *value_text(Value v);
void strbuf_value(StrBuf *b, Value v);

/* Shortest decimal that reads back as the same number, never with an exponent: "42", "0.1", "-0", "NaN", "+Inf". */
enum { FLOAT_TEXT_MAX = 352 };
size_t float_text(double f, char ret[static FLOAT_TEXT_MAX]);

/* Reads a constant, in mcl's notation ({"a" => 1,}, struct{x => 2.5,}) or in the printed form. With a type the value has
 * exactly that type, so that 42 may be a float; NULL: whatever it looks like. */
int value_parse(const char *text, const Type *type, Value *ret, Diag *reterr);

/* JSON form: nil null, bool, str (bytes that are not UTF-8 become U+FFFD), int and float numbers (NaN and infinities are
 * strings), list array, map object if its keys are str, else an array of [key, value] pairs, struct object, func null. */
struct json_object;
int value_to_json(Value v, struct json_object **ret);

/* With a type the value has exactly that type; with NULL the natural one (object → struct, array → list). */
int value_from_json(struct json_object *j, const Type *type, Value *ret, Diag *reterr);

/* Whether the value is one of the type (variant takes any). Names what differs. */
int value_check_type(Value v, const Type *type, Diag *reterr);
