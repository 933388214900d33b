/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The text templates of golang.template: a language of its own, in which {{ … }} stands for a value. The parser makes a tree
 * in an arena; the runner walks it. Values are those of mcl, but for structs, which become maps with capitalised keys. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/diag.h"
#include "common/strbuf.h"
#include "common/value.h"

typedef enum TemplateExprKind {
        TEMPLATE_DOT,           /* . */
        TEMPLATE_NIL,
        TEMPLATE_CONSTANT,      /* value */
        TEMPLATE_FIELD,         /* .A.B: names */
        TEMPLATE_VARIABLE,      /* $x.A.B: names, the first is "$x" */
        TEMPLATE_FUNCTION,      /* a name */
        TEMPLATE_PIPELINE,      /* ( … ) */
        TEMPLATE_CHAIN,         /* ( … ).A.B: pipeline and names */
} TemplateExprKind;

typedef struct TemplatePipeline TemplatePipeline;
typedef struct TemplateNode TemplateNode;

typedef struct TemplateExpr {
        TemplateExprKind kind;
        size_t at;              /* byte offset that messages point to */
        size_t begin, end;      /* its text in the source */
        Value value;            /* TEMPLATE_CONSTANT; belongs to the Template */
        bool is_rune;           /* 'x' */
        char **names;
        size_t n_names;
        TemplatePipeline *pipeline;
} TemplateExpr;

typedef struct TemplateCommand {
        TemplateExpr **args;    /* the first is what is called, if there are more */
        size_t n;
        size_t begin, end;
} TemplateCommand;

struct TemplatePipeline {
        char **variables;       /* declared or assigned, "$x" */
        size_t n_variables;
        bool assign;            /* = in place of := */
        TemplateCommand *commands;
        size_t n;
        size_t begin, end;
};

typedef enum TemplateNodeKind {
        TEMPLATE_TEXT,
        TEMPLATE_ACTION,
        TEMPLATE_IF,
        TEMPLATE_WITH,
        TEMPLATE_RANGE,
        TEMPLATE_BREAK,
        TEMPLATE_CONTINUE,
        TEMPLATE_CALL,          /* {{ template "name" pipeline }} */
} TemplateNodeKind;

struct TemplateNode {
        TemplateNodeKind kind;
        TemplateNode *next;
        size_t at;              /* CALL: of the name */
        size_t end;             /* CALL: behind the name, or behind the pipeline */
        const char *text;       /* TEXT: borrowed from the source, or CALL: the name */
        size_t size;
        TemplatePipeline *pipeline;
        TemplateNode *body, *otherwise;
};

typedef struct TemplateDefinition TemplateDefinition;
struct TemplateDefinition {
        const char *name;
        TemplateNode *body;
        TemplateDefinition *next;
};

typedef struct Template {
        const char *source;     /* borrowed */
        size_t size;
        Arena *arena;
        TemplateNode *body;
        TemplateDefinition *definitions;
        Value *constants;       /* referenced by the tree */
        size_t n_constants, capacity;
} Template;

/* known() says whether a function of that name exists. source is borrowed and must outlive t. 0, or negative errno with the
 * text that users know in reterr. */
int template_parse(Template *t, const char *source, size_t size, bool (*known)(const char *name), Diag *reterr);
void template_done(Template *t);

/* The functions of the world around, which known() of template_parse() knows. */
typedef struct TemplateWorld {
        void *userdata;
        /* Whether a function takes this as its i-th argument. A constant may become another one that says the same; written is how
         * it stands in the template, NULL for what is none. 0, or -EINVAL. */
        int (*accept)(void *userdata, const char *name, size_t i, const char *written, int written_size, Value *arg, Diag *reterr);
        /* What it gives: 0, BUILTIN_CATCHABLE or negative errno. */
        int (*call)(void *userdata, const char *name, const Value *args, size_t n, Value *ret, Diag *reterr);
} TemplateWorld;

/* 0 and the text in out, or what a called function returned, or -EINVAL. */
int template_run(const Template *t, Value data, const TemplateWorld *world, StrBuf *out, Diag *reterr);

/* Structs become maps whose keys begin with a capital; lists and maps are converted inside. */
int template_value(Value v, Value *ret);

/* ---- template-builtin.c ---- */

bool template_has_builtin(const char *name);

/* The functions every template has, but for and, or, which the runner knows: they do not need all of their arguments. */
int template_builtin(const char *name, const Value *args, size_t n, Value *ret, Diag *reterr);

bool template_truth(Value v);

/* ---- template-print.c ---- */

void template_print(StrBuf *b, Value v);                /* as %v does */
void template_printf(StrBuf *b, const Value *args, size_t n);   /* args[0] is the format */
const char *template_type_name(Value v);
