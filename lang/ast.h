/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The syntax tree. Every node lives in the arena of its compile and keeps its place. The parser builds it as it was written
 * (with parentheses and braces, which the formatter needs); interpolate.c takes those away; scope.c points names at their
 * definitions; solve.c fills in types. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/diag.h"
#include "common/type.h"
#include "common/value.h"

typedef struct Block Block;
typedef struct Builtin Builtin;
typedef struct Def Def;
typedef struct Expr Expr;
typedef struct Stmt Stmt;

/* How deep expressions and blocks may nest, so that walking them cannot overflow the stack. */
enum { AST_DEPTH_MAX = 4000 };

/* A growing array in an arena. */
#define AST_ARRAY(type) struct { type *items; uint32_t n, capacity; }
#define AST_PUSH(arena, array, item) \
        ({ \
                int _r = ast_grow((arena), (void **) &(array)->items, (array)->n, &(array)->capacity, sizeof(*(array)->items)); \
                if (_r >= 0) \
                        (array)->items[(array)->n++] = (item); \
                _r; \
        })
int ast_grow(Arena *a, void **items, uint32_t n, uint32_t *capacity, size_t item_size);

typedef AST_ARRAY(Expr *) Exprs;
typedef AST_ARRAY(Def *) Defs;
typedef AST_ARRAY(TypeField) TypeFields;

typedef enum ExprKind {
        EXPR_BOOL,
        EXPR_STR,
        EXPR_INT,
        EXPR_FLOAT,
        EXPR_LIST,
        EXPR_MAP,
        EXPR_STRUCT,
        EXPR_FUNC,
        EXPR_VAR,
        EXPR_CALL,
        EXPR_IF,
        EXPR_EXCEPT,
        EXPR_PAREN,             /* (e), until interpolation */
        EXPR_BRACES,            /* { e }, the body of a function or a branch, until interpolation */
        EXPR_BUILTIN,           /* a builtin as callee: made by scope.c */
} ExprKind;

/* What a call was written as. */
typedef enum CallForm {
        CALL_NAME,              /* f(…) */
        CALL_VAR,               /* $f(…) */
        CALL_LAMBDA,            /* func(…) {…}(…) */
        CALL_OPERATOR,          /* a + b, not a */
        CALL_IN,                /* a in b */
        CALL_LOOKUP,            /* a[b] */
        CALL_FIELD,             /* a->b */
        CALL_FIELD_OR,          /* a->b <|> c */
} CallForm;

typedef struct Param {
        const char *name;
        const Type *type;       /* annotation, or NULL */
        Pos pos;
        uint32_t end_line;      /* of its type, which may be longer than pos says */
        Def *def;               /* set by scope.c, anew in each copy */
} Param;
typedef AST_ARRAY(Param) Params;

typedef struct Pair {
        Expr *key, *value;
        Pos pos;
} Pair;
typedef AST_ARRAY(Pair) Pairs;

typedef struct Field {
        const char *name;
        Expr *value;
        Pos pos;
} Field;
typedef AST_ARRAY(Field) Fields;

typedef struct Func {
        const char *title;      /* of a func statement, else NULL */
        Params params;
        const Type *result;     /* annotation, or NULL */
        Expr *body;
        uint32_t close_line;    /* where the parenthesis after the parameters stands */
        struct Level *level;    /* scope.c: where its parameters live */
} Func;

struct Expr {
        uint8_t kind;           /* ExprKind */
        uint8_t form;           /* CallForm */
        bool interpolated;      /* came out of a string with ${…} */
        bool type_asked, known_asked;
        uint32_t depth;
        Pos pos;
        const Type *annotation; /* what the program says its type is, or NULL */
        const Type *type;       /* what unification found */
        const Type *known_type; /* known.c: the type that is plain to see */
        const Value *known;     /* known.c: the value, if it was computed before running */
        union {
                bool b;
                int64_t i;
                double f;
                struct { const char *text; uint32_t size; } str;        /* raw until interpolation */
                Exprs list;
                Pairs map;
                Fields st;
                Func *fn;
                struct { const char *name; Def *def; } var;
                struct {
                        const char *name;       /* NULL for a lambda */
                        Exprs args;
                        Expr *callee;           /* the lambda; or, after scope.c, what is called */
                } call;
                struct { Expr *condition, *then, *otherwise; } branch;
                struct { Expr *value, *fallback; } except;
                Expr *inner;
                /* base: directory of the importing module; field: what a struct is asked for */
                struct { const Builtin *builtin; const char *base, *field; };
        };
};

typedef struct EdgeHalf {
        const char *kind;       /* lower-case, with colons */
        Expr *name;
        const char *field;      /* sent or received, NULL if nothing is */
        Pos pos;
} EdgeHalf;
typedef AST_ARRAY(EdgeHalf *) EdgeHalves;

typedef enum ItemKind {
        ITEM_FIELD,             /* content => "x", */
        ITEM_EDGE,              /* Before => Kind["x"], */
        ITEM_META,              /* Meta:retry => 3, or Meta => struct{…}, (then name is NULL) */
        ITEM_COLLECT,           /* hidden: what collect gathers */
} ItemKind;

typedef struct Item {
        ItemKind kind;
        const char *name;       /* field, property or metaparameter; lower-case */
        const char *property;   /* ITEM_META: what stood before the colon */
        Expr *condition;        /* or NULL */
        Expr *value;
        EdgeHalf *half;         /* ITEM_EDGE */
        Pos pos;
} Item;
typedef AST_ARRAY(Item *) Items;

typedef enum StmtKind {
        STMT_BIND,
        STMT_RESOURCE,
        STMT_EDGE,
        STMT_IF,
        STMT_FOR,
        STMT_FORKV,
        STMT_FUNC,
        STMT_CLASS,
        STMT_INCLUDE,
        STMT_IMPORT,
} StmtKind;

typedef struct Scope Scope;
typedef struct Module Module;

struct Stmt {
        StmtKind kind;
        uint32_t depth;
        Pos pos;
        Defs uses, needs;       /* scope.c: the binds it uses itself, and those it needs whatever happens */
        union {
                struct { const char *name; Pos name_pos; const Type *type; Expr *value; Def *def; } bind;
                struct { const char *kind; Expr *name; Items items; bool collect; } resource;
                EdgeHalves edge;
                struct { Expr *condition; Block *then, *otherwise; bool panic; } branch;
                struct {
                        Param first, second;            /* FOR: index, value; FORKV: key, value */
                        Expr *over;
                        Block *body;
                        struct Level *level;
                } loop;
                struct { const char *name; Expr *fn; } func;
                struct { const char *name; Params params; bool parens; Block *body; Scope *scope; } class;
                struct {
                        const char *name, *alias;       /* alias NULL if there is none */
                        Exprs args;
                        bool parens;
                        Block *body;                    /* scope.c: this include's own copy of the class body */
                        Params params;                  /* scope.c: likewise */
                        Module *module;                 /* of the class */
                        bool broken;
                } include;
                struct { const char *name, *alias; uint32_t name_size; bool star; Module *module; } import;
        };
};

struct Block {
        Stmt **items;
        uint32_t n, capacity;
        uint32_t depth;
        Pos pos;                /* { … }; no place for the block of a file */
        Scope *scope;           /* scope.c */
};

typedef struct Comment {
        uint32_t line, column;
        const char *text;       /* after the # */
        uint32_t size;
} Comment;
typedef AST_ARRAY(Comment) Comments;

/* One file, parsed. */
typedef struct Ast {
        const char *file;
        Block *block;
        Comments comments;
        uint64_t n_tokens;
} Ast;

/* lexer.c, grammar.y: 0, -EBADMSG with reterr, -ENOMEM. text needs no NUL and may go away afterwards. */
int ast_parse(Arena *a, const char *file, const char *text, size_t size, Ast *ret, Diag *reterr);

/* A literal's escapes and everything else are as written. */
Expr *expr_new(Arena *a, ExprKind kind, Pos pos);
Expr *expr_str(Arena *a, Pos pos, const char *text, size_t size);
Expr *expr_call(Arena *a, Pos pos, CallForm form, const char *name);
Stmt *stmt_new(Arena *a, StmtKind kind, Pos pos);

/* Deep copies, unresolved: for what is instantiated once per use. NULL if out of memory. */
Expr *expr_copy(Arena *a, const Expr *e);
Block *block_copy(Arena *a, const Block *b);

/* Whether two syntax trees, fresh from the parser, say the same: places do not count. */
bool block_equal(const Block *a, const Block *b);

/* Declares that e has this type: for literals it must fit at once. */
int expr_annotate(Expr *e, const Type *type, Diag *reterr);

/* How messages print a node; long ones are cut. In the arena. NULL if out of memory. */
const char *expr_text(Arena *a, const Expr *e);
const char *stmt_text(Arena *a, const Stmt *s);
