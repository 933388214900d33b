/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Everything the manual tells of, read from the tables that the compiler and the daemons use: functions, kinds and their fields,
 * metaparameters, properties of resources, constants. */

#include <stdbool.h>
#include <stddef.h>

#include "common/arena.h"
#include "common/diag.h"
#include "common/meta.h"
#include "common/schema.h"
#include "daemons/mgmtctl/doc-page.h"
#include "lang/builtins.h"
#include "lang/query.h"

struct json_object;

/* What the manual calls the functions that need no import. */
#define MODULE_CORE "core"

typedef enum TopicKind {
        TOPIC_MODULE,
        TOPIC_FUNCTION,
        TOPIC_KIND,
        TOPIC_FIELD,            /* of a kind */
        TOPIC_META,             /* a metaparameter */
        TOPIC_METAS,            /* all of them */
        TOPIC_PROPERTY,         /* of every resource: Depend, Notify, … */
        TOPIC_CONST,
} TopicKind;

/* One thing with a name. */
typedef struct Topic {
        TopicKind kind;
        const char *name;       /* "golang/strings", "golang/strings.join", "file.content", "Meta:retry", "$const.res.tar.format.pax" */
        const char *doc;        /* in one line, for lists; may be empty */
        const Builtin *function;
        const SchemaKind *resource;     /* of a FIELD, too */
        const SchemaField *field;
        const FieldSpec *meta;
        const QueryItem *property;
        const BuiltinConst *constant;
} Topic;

typedef struct Manual {
        Schema *schema;
        Arena *arena;           /* of all texts that are put together for it */
        Topic *topics;          /* a module comes before its functions, a kind before its fields */
        size_t n, capacity;
} Manual;

int manual_open(Manual *ret, Diag *reterr);
void manual_done(Manual *m);

typedef enum TopicRank {
        TOPIC_OTHER,
        TOPIC_LIKELY,           /* its name in short: "join", "strings.join", "content" */
        TOPIC_EXACT,
} TopicRank;
TopicRank topic_rank(const Topic *t, const char *wanted);

const char *topic_short_name(const Topic *t);           /* "join", "content", "retry": part of its name */
const char *module_alias(const char *module);           /* what an import calls it: "strings" */
bool topic_is_of_module(const Topic *t, const char *module);    /* its functions and constants; "": those without import */

/* The page of a topic; several constants share one. */
void manual_write(const Manual *m, DocPage *p, const Topic *t);
void manual_write_consts(const Manual *m, DocPage *p, const Topic *const *topics, size_t n);
void manual_write_list(const Manual *m, DocPage *p, const Topic *const *topics, size_t n);      /* names, and what they are in a line */
void manual_write_overview(const Manual *m, DocPage *p);

/* NULL if out of memory. */
struct json_object *manual_json(const Manual *m, const Topic *t);

/* The whole manual in Markdown, as files below that directory. Those of an older one that have no place in it are removed. */
int manual_write_files(const Manual *m, const char *directory);         /* errors have been printed */

/* Where the file of a topic's page is, below that directory. */
const char *manual_path(const Manual *m, const Topic *t);
