/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What is known of kinds without linking their daemons. Each daemon prints its ResourceTypes (--describe-kinds); the build
 * installs the sum as kinds.json; the compiler, the engine (for kinds of other daemons), mgmtctl and the manual read it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "common/diag.h"
#include "common/edge-rule.h"
#include "common/field.h"
#include "common/resource.h"

typedef struct SchemaField {
        char *name, *native, *doc, *initial, *merges;
        FieldType type;         /* so that ranges can be checked early */
        const Type *mcl_type;
        unsigned flags;         /* FieldFlags */
} SchemaField;

typedef struct SchemaKind {
        char *kind, *doc, *example;
        char *daemon;           /* "engine", "http", … */
        unsigned flags;         /* ResourceFlags */
        char *parent_field;     /* NULL if it has no parent kind */
        char *parent_kind;      /* NULL: its kind without the last part */
        char *groups_by;        /* as in ResourceType; NULL if its equals are not grouped by fields */
        bool groups;            /* may be grouped with its equals */
        bool reversible;
        bool edgeable;
        EdgeRule *edges;        /* ends with an empty row; NULL if there are none */
        SchemaField *fields;
        size_t n_fields;
        SchemaField *sends;
        size_t n_sends;         /* 0: cannot send */
} SchemaKind;

typedef struct Schema Schema;

int schema_describe(FILE *f, const char *daemon, const ResourceType *const *types);    /* JSON array of one object per kind */

int schema_load(Schema **ret, const char *path, Diag *reterr);          /* an array, or an array of arrays */
int schema_parse(Schema **ret, const char *json, size_t size, Diag *reterr);
Schema *schema_free(Schema *s);
DEFINE_CLEANUP(Schema *, schema_free)

const SchemaKind *schema_kind(const Schema *s, const char *kind);       /* NULL if unknown */
const SchemaField *schema_field(const SchemaKind *k, const char *name);
const SchemaField *schema_send(const SchemaKind *k, const char *name);
size_t schema_count(const Schema *s);
const SchemaKind *schema_at(const Schema *s, size_t i);         /* sorted by kind */
