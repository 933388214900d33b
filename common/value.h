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

struct ValueList {
        uint32_t n_ref;
        uint32_t n;
        Value items[];
};

/* Sorted by key in the internal order of values, keys unique. */
struct ValueMap {
        uint32_t n_ref;
        uint32_t n;
        struct { Value key, value; } items[];
};

typedef struct ValueField {
        ValueStr *name;
        Value value;
} ValueField;

struct ValueStruct {
        uint32_t n_ref;
        uint32_t n;
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

/* items are pairs key, value, …; moved as above. Sorts; of equal keys the later one wins. */
int value_map(Value *ret, Value *items, size_t n_pairs);

/* names are borrowed and copied, values moved as above. */
int value_struct(Value *ret, const char *const *names, Value *values, size_t n);

/* The value of a type where nothing has a say: false, 0, nothing in it. -EINVAL for types that have none, such as functions. */
int value_zero(Value *ret, const Type *type);

/* ---- reading ---- */

static inline const char *value_cstr(Value v) { return v.s->data; }
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
int value_compare(Value a, Value b);            /* the internal order that printing uses: total, total even over kinds */
uint64_t value_hash(Value v);

/* ---- text and JSON ---- */

/* The printed form: strings quoted, maps sorted. NULL if out of memory. */
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
