/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Types of mcl. Immutable once built. Memory belongs to the Arena they were made in, or, for types made without one, to
 * the process: builtin signatures and field types are parsed once at start and never freed. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/diag.h"

typedef struct Arena Arena;

typedef enum TypeKind {
        TYPE_NIL,
        TYPE_BOOL,
        TYPE_STR,
        TYPE_INT,
        TYPE_FLOAT,
        TYPE_LIST,
        TYPE_MAP,
        TYPE_STRUCT,
        TYPE_FUNC,
        TYPE_VARIANT,
        TYPE_UNKNOWN,           /* a unification variable, ?1, ?2, … */
        _TYPE_KIND_MAX,
        _TYPE_KIND_INVALID = -22 /* -EINVAL */
} TypeKind;

enum { TYPE_FIELDS_MAX = 1000 }; /* of a struct, and arguments of a func */

typedef struct Type Type;

typedef struct TypeField {
        const char *name;       /* struct field or function argument; "0", "1", … where an argument has no name */
        const Type *type;
} TypeField;

struct Type {
        TypeKind kind;
        uint32_t n_fields;      /* STRUCT: fields, FUNC: arguments */
        uint32_t variable;      /* UNKNOWN: its number */
        const Type *key;        /* MAP */
        const Type *element;    /* LIST: element, MAP: value, FUNC: result (NULL if it has none) */
        const TypeField *fields;
};

extern const Type type_nil, type_bool, type_str, type_int, type_float, type_variant, type_list_str;

const char *type_kind_name(TypeKind kind);      /* "bool", "str", "list", …; as messages print it */

/* Constructors. arena may be NULL (see above). NULL if out of memory. The array of fields and its names are copied. */
const Type *type_list(Arena *arena, const Type *element);
const Type *type_map(Arena *arena, const Type *key, const Type *value);
const Type *type_struct(Arena *arena, const TypeField *fields, size_t n);
const Type *type_func(Arena *arena, const TypeField *args, size_t n, const Type *result);
const Type *type_unknown(Arena *arena, uint32_t variable);

/* Parses the canonical text: "[]str", "map{str: int}", "struct{a int; b str}", "func(a int, str) bool", "?1". Argument
 * names are optional. Nesting is limited to VALUE_DEPTH_MAX. */
int type_parse(Arena *arena, const char *text, const Type **ret, Diag *reterr);

/* The canonical text; unification variables are renumbered in order of appearance. NULL if out of memory; free() it. */
char *type_text(const Type *t);

/* Structural equality; argument names do not count. With reterr, says how they differ. */
bool type_equal(const Type *a, const Type *b);
int type_compare(const Type *a, const Type *b, Diag *reterr);

bool type_is_hashable(const Type *t);           /* may be a map key */
