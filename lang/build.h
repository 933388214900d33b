/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files that turn expressions into nodes share. */

#include "lang/funcgraph.h"

/* A function value: what to build when it is called, and where its surroundings live. */
typedef struct Closure {
        ValueFunc func;         /* first */
        const Func *fn;
        Env *env;
} Closure;

/* Runs a node whose inputs are all constants, and makes it one. */
int node_fold(FuncGraph *g, Node *n);

/* The node has no value: takes the content of error, whose place is the node's where it has none. */
int node_fail_with(FuncGraph *g, Node *n, Diag *error, bool catchable);
int node_fail_large(FuncGraph *g, Node *n);

/* The end of a run that put a value together: r says what became of it. Takes v. measure: it may be too large as a whole. */
int node_set_made(FuncGraph *g, Node *n, int r, Value v, bool measure);

/* Makes the node what one of its inputs is, unless it runs again in this wave. */
int node_forward(FuncGraph *g, Node *n, const Node *result);

int add_part(FuncGraph *g, Node *n, Expr *e, Env *env);         /* e is the next input of n */

/* The body of a function with these arguments. */
int build_body(FuncGraph *g, const Func *fn, Env *surroundings, Node *const *args, Pos pos, Node **ret);

/* node-builtin.c: a call of the standard library. */
int build_builtin(FuncGraph *g, Expr *e, Env *env, Node **ret);

/* node-list.c: lists whose items are what nodes give. */
int build_list(FuncGraph *g, const Expr *e, Env *env, Node **ret);      /* what is written down */
/* One without items, and those that are made of it. In *ret is what stands for the list from then on, perhaps another node; whoever
 * takes its value runs again. */
int make_list(FuncGraph *g, Pos pos, Node **ret);
int list_append(FuncGraph *g, Node *list, uint32_t n, Node *item, Node **ret);  /* it has n items */
int list_truncate(FuncGraph *g, Node *list, uint32_t n, Node **ret);            /* it has n items or more */

/* node-each.c */
int build_each(FuncGraph *g, Expr *e, Env *env, Node **ret);

/* What an owner takes the elements of a list or map from, which must have a value; the owner holds it. */
int make_elements(FuncGraph *g, Node *list, Pos pos, Node **ret);
int elements_sync(FuncGraph *g, Node *elements);        /* takes in how the list is now, before elements come or go */
/* The element at that position of the list, or of the map in the order of its keys; it follows the key. One of each position. */
int make_element(FuncGraph *g, Node *elements, uint32_t position, Pos pos, Node **ret);

/* node-filter.c: those of some elements to which something says yes. */
int make_filter(FuncGraph *g, Pos pos, Node **ret);
int filter_append(FuncGraph *g, Node *filter, Node *said, Node *element);
int filter_truncate(FuncGraph *g, Node *filter, uint32_t n);    /* it has n elements or more */
