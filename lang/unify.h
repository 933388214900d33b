/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Type inference, and what its parts share. Hindley-Milner without generalisation, since what is polymorphic was copied before. A walk
 * over the program lists what must be equal, in the order that decides which of several errors is told first (infer.c the
 * expressions, infer-statements.c the statements); then the list is solved, one by one, by union-find over type variables (unify.c);
 * then each expression is given its type, and builtins may still refuse theirs (solve.c). */

#include "lang/program.h"

enum { UNIFY_DEPTH_MAX = 1000 };

/* expr (or def, a parameter) has type actual where expect is needed; pos is where to tell it. */
typedef struct Invariant {
        Pos pos;
        Expr *expr;
        Def *def;
        const Expr *call;       /* whose arguments are the cause, or NULL */
        const Type *expect, *actual;
} Invariant;

typedef struct Variable {
        uint32_t parent;        /* itself at the root */
        uint32_t rank;
        const Type *self;
        const Type *binding;    /* at the root */
        const Type *resolved;   /* the binding without variables, once that is known */
        uint32_t resolved_depth, resolved_parts;
        uint32_t stamp;
        uint32_t bound_at;      /* number of the invariant that bound it */
        bool ground;            /* the binding has no unbound variables */
        bool doubtful;          /* part of a type error that was told already */
} Variable;

/* A call whose signature depended on what was known of its arguments then; more may be known once everything is solved. */
typedef struct LateCall {
        Expr *call;
        const Type *wanted;     /* its arguments and its result */
} LateCall;

typedef struct Unify {
        Program *program;
        Arena *arena;
        Arena *scratch;         /* for what is not needed after unification */
        Invariant *invariants;
        size_t n_invariants, capacity_invariants;
        Variable *variables;
        size_t n_variables, capacity_variables;
        LateCall *late;
        size_t n_late, capacity_late;
        uint32_t stamp;
        uint32_t current;       /* number of the invariant that is solved */
        uint32_t via;           /* the variable that led to the last mismatch, or UINT32_MAX */
        const Type *meta_type;  /* of Meta => struct{…} */
} Unify;

/* ---- unify.c: types with variables ---- */

typedef struct Renaming {
        uint32_t from;
        const Type *to;
} Renaming;

typedef AST_ARRAY(Renaming) Renamings;

/* A new variable. NULL if out of memory, as all of these. */
const Type *type_fresh(Unify *u);
uint32_t type_find(Unify *u, uint32_t variable);        /* its root */
/* The type with its variables ?1, ?2, … replaced by fresh ones, and each variant by a fresh one too. */
const Type *type_instantiate(Unify *u, const Type *t, Renamings *names);
int type_unify(Unify *u, const Type *expect, const Type *actual, Diag *reterr);
/* The type with all bindings put in; *ret_known is cleared if a variable is left over. NULL also if it is too large. */
const Type *type_resolve(Unify *u, const Type *t, bool *ret_known);

/* ---- infer.c ---- */

/* Notes that the two must be equal. Negative if out of memory, also if a type is NULL for that reason. */
int invariant(Unify *u, Pos pos, Expr *e, Def *d, const Type *expect, const Type *actual);
const Type *infer(Unify *u, Expr *e);           /* NULL if it failed, which was told */
int infer_uses(Unify *u, const Defs *uses);     /* the definitions that somebody uses, and those that these use */

/* ---- infer-statements.c ---- */

int infer_block(Unify *u, Block *b);
