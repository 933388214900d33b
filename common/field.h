/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A field, said once: its name, type, place in a C struct, flags and doc text are one row. Storing a language value into the
 * struct, reading it back, comparing, the wire, --describe-kinds, D-Bus and the manual all walk the rows. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/diag.h"
#include "common/type.h"
#include "common/value.h"

typedef enum FieldType {
        FIELD_BOOL,             /* bool */
        FIELD_STR,              /* char *, for the functions below alone to free; never NULL after fields_init() unless optional (then NULL
                                 * is unset) */
        FIELD_INT8, FIELD_INT16, FIELD_INT32, FIELD_INT64,
        FIELD_UINT8, FIELD_UINT16, FIELD_UINT32, FIELD_UINT64,
        FIELD_FLOAT32, FIELD_FLOAT64,   /* float, double */
        FIELD_STRV,             /* char **, NULL-terminated, owned; NULL is the empty list (or unset, if optional) */
        FIELD_VALUE,            /* Value, owned; FieldSpec.mcl_type says its type; TYPE_NIL is unset */
        _FIELD_TYPE_MAX,
} FieldType;

typedef enum FieldFlags {
        FIELD_REQUIRED  = 1 << 0,       /* must be given, and not empty */
        FIELD_OPTIONAL  = 1 << 1,       /* "not given" differs from every value. STR, STRV and VALUE only: an int that need
                                         * not be given is a VALUE with .mcl_type = "int" */
        FIELD_SECRET    = 1 << 2,       /* never in logs, events, diffs or on the bus */
        FIELD_IS_NAME   = 1 << 3,       /* STR only: what is left empty holds the name of the resource */
        FIELD_HIDDEN    = 1 << 4,       /* not settable and not documented: state that outlives a graph change */
} FieldFlags;

typedef struct FieldSpec {
        const char *name;       /* as the language spells it */
        const char *native;     /* name that messages and listings of values use, e.g. "AnotherStr"; NULL: name, capitalised */
        FieldType type;
        unsigned flags;
        size_t offset;
        const char *mcl_type;   /* FIELD_VALUE: canonical text, e.g. "map{str: str}", or "variant" for any */
        const char *initial;    /* default as mcl literal, where it is not the zero value; NULL otherwise */
        const char *doc;        /* one sentence, or a few */

        /* STR only: words, with blanks between them, on which several declarations of one resource need not agree; the one that comes
         * last in here counts. NULL: as all fields, they must say the same. */
        const char *merges;
} FieldSpec;

/* FIELD(File, path, FIELD_STR, FIELD_IS_NAME, "Absolute path.") : member and field have the same name.
 * Further members follow in the variadic part: FIELD(…, .initial = "32"). */
#define FIELD(struct_, member, type_, flags_, doc_, ...) \
        { .name = #member, .type = (type_), .flags = (flags_), .offset = offsetof(struct_, member), .doc = (doc_), ##__VA_ARGS__ }
/* The same where the member cannot be spelled like the field ("int", "float32"). */
#define FIELD_NAMED(struct_, member, name_, type_, flags_, doc_, ...) \
        { .name = (name_), .type = (type_), .flags = (flags_), .offset = offsetof(struct_, member), .doc = (doc_), ##__VA_ARGS__ }

const Type *field_mcl_type(const FieldSpec *f); /* the language's type of it: every integer is int, and so on */
const char *field_type_name(FieldType type);    /* "bool", "string", "int8", …, "slice", "interface" */
int field_type_from_name(const char *name);     /* -EINVAL */
size_t field_type_size(FieldType type);         /* of the member in the struct */
const Type *field_type_from_text(const char *text);     /* parsed once per text; NULL if it is no type (or out of memory) */
const FieldSpec *field_find(const FieldSpec *fields, const char *name);
size_t fields_count(const FieldSpec *fields);

int fields_init(const FieldSpec *fields, void *object);         /* sets the defaults in a zeroed struct */
void fields_done(const FieldSpec *fields, void *object);        /* frees what the fields own */

/* Whether there is a function in it, which no field can store. */
bool field_holds_func(Value v);

/* Stores a value: type and range are checked, the old content is freed only when the new one is in place. */
int field_set(const FieldSpec *f, void *object, Value v, Diag *reterr);
void field_take_text(char **member, char *text);        /* of a STR; takes text */
int field_get(const FieldSpec *f, const void *object, Value *ret);      /* unset optional fields give nil */
int fields_to_struct(const FieldSpec *fields, const void *object, Value *ret);  /* of all of them, by their names */
bool field_is_zero(const FieldSpec *f, const void *object);
bool field_equal(const FieldSpec *f, const void *a, const void *b);

/* NULL-terminated string arrays. */
char **strv_free(char **v);
DEFINE_CLEANUP(char **, strv_free)
int strv_copy(char ***ret, char *const *v);
size_t strv_count(char *const *v);
bool strv_equal(char *const *a, char *const *b);
