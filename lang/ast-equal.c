/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Whether two syntax trees say the same. The formatter proves by it that it has changed nothing: so everything that a program can
 * say must be compared here, parentheses included, and nothing but places is left out. */

#include "lang/ast.h"

static bool types_equal(const Type *a, const Type *b) {
        if (!a || !b)
                return a == b;
        if (a->kind != b->kind || a->n_fields != b->n_fields || !types_equal(a->key, b->key) || !types_equal(a->element, b->element))
                return false;
        for (uint32_t i = 0; i < a->n_fields; i++)
                if (!streq(a->fields[i].name, b->fields[i].name) || !types_equal(a->fields[i].type, b->fields[i].type))
                        return false;
        return true;
}

static bool params_equal(const Params *a, const Params *b) {
        if (a->n != b->n)
                return false;
        for (uint32_t i = 0; i < a->n; i++)
                if (!streq(a->items[i].name, b->items[i].name) || !types_equal(a->items[i].type, b->items[i].type))
                        return false;
        return true;
}

static bool expr_equal(const Expr *a, const Expr *b);

static bool exprs_equal(const Exprs *a, const Exprs *b) {
        if (a->n != b->n)
                return false;
        for (uint32_t i = 0; i < a->n; i++)
                if (!expr_equal(a->items[i], b->items[i]))
                        return false;
        return true;
}

static bool pairs_equal(const Pairs *a, const Pairs *b) {
        if (a->n != b->n)
                return false;
        for (uint32_t i = 0; i < a->n; i++)
                if (!expr_equal(a->items[i].key, b->items[i].key) || !expr_equal(a->items[i].value, b->items[i].value))
                        return false;
        return true;
}

static bool fields_equal(const Fields *a, const Fields *b) {
        if (a->n != b->n)
                return false;
        for (uint32_t i = 0; i < a->n; i++)
                if (!streq(a->items[i].name, b->items[i].name) || !expr_equal(a->items[i].value, b->items[i].value))
                        return false;
        return true;
}

static bool funcs_equal(const Func *a, const Func *b) {
        return streq_ptr(a->title, b->title) && params_equal(&a->params, &b->params) && types_equal(a->result, b->result) &&
               expr_equal(a->body, b->body);
}

static bool expr_equal(const Expr *a, const Expr *b) {
        if (!a || !b)
                return a == b;
        if (a->kind != b->kind || a->form != b->form)
                return false;
        switch ((ExprKind) a->kind) {
        case EXPR_BOOL:
                return a->b == b->b;
        case EXPR_STR:
                return a->str.size == b->str.size && memcmp(a->str.text, b->str.text, a->str.size) == 0;
        case EXPR_INT:
                return a->i == b->i;
        case EXPR_FLOAT:        /* bit by bit: -0.0 is not 0.0 */
                return memcmp(&a->f, &b->f, sizeof(a->f)) == 0;
        case EXPR_LIST:
                return exprs_equal(&a->list, &b->list);
        case EXPR_MAP:
                return pairs_equal(&a->map, &b->map);
        case EXPR_STRUCT:
                return fields_equal(&a->st, &b->st);
        case EXPR_FUNC:
                return funcs_equal(a->fn, b->fn);
        case EXPR_VAR:
                return streq(a->var.name, b->var.name);
        case EXPR_CALL:
                return streq_ptr(a->call.name, b->call.name) && exprs_equal(&a->call.args, &b->call.args) &&
                       expr_equal(a->call.callee, b->call.callee);
        case EXPR_IF:
                return expr_equal(a->branch.condition, b->branch.condition) && expr_equal(a->branch.then, b->branch.then) &&
                       expr_equal(a->branch.otherwise, b->branch.otherwise);
        case EXPR_EXCEPT:
                return expr_equal(a->except.value, b->except.value) && expr_equal(a->except.fallback, b->except.fallback);
        case EXPR_PAREN:
        case EXPR_BRACES:
                return expr_equal(a->inner, b->inner);
        case EXPR_BUILTIN:
                return a->builtin == b->builtin;
        }
        return false;
}

static bool half_equal(const EdgeHalf *a, const EdgeHalf *b) {
        if (!a || !b)
                return a == b;
        return streq(a->kind, b->kind) && streq_ptr(a->field, b->field) && expr_equal(a->name, b->name);
}

static bool items_equal(const Items *a, const Items *b) {
        if (a->n != b->n)
                return false;
        for (uint32_t i = 0; i < a->n; i++) {
                const Item *x = a->items[i], *y = b->items[i];
                if (x->kind != y->kind || !streq_ptr(x->name, y->name) || !streq_ptr(x->property, y->property) ||
                    !expr_equal(x->condition, y->condition) || !expr_equal(x->value, y->value) || !half_equal(x->half, y->half))
                        return false;
        }
        return true;
}

static bool edges_equal(const EdgeHalves *a, const EdgeHalves *b) {
        if (a->n != b->n)
                return false;
        for (uint32_t i = 0; i < a->n; i++)
                if (!half_equal(a->items[i], b->items[i]))
                        return false;
        return true;
}

static bool loop_params_equal(const Stmt *a, const Stmt *b) {
        return streq(a->loop.first.name, b->loop.first.name) && streq(a->loop.second.name, b->loop.second.name);
}

static bool stmt_equal(const Stmt *a, const Stmt *b) {
        if (a->kind != b->kind)
                return false;
        switch (a->kind) {
        case STMT_BIND:
                return streq(a->bind.name, b->bind.name) && types_equal(a->bind.type, b->bind.type) &&
                       expr_equal(a->bind.value, b->bind.value);
        case STMT_RESOURCE:
                return streq(a->resource.kind, b->resource.kind) && a->resource.collect == b->resource.collect &&
                       expr_equal(a->resource.name, b->resource.name) && items_equal(&a->resource.items, &b->resource.items);
        case STMT_EDGE:
                return edges_equal(&a->edge, &b->edge);
        case STMT_IF:
                return a->branch.panic == b->branch.panic && expr_equal(a->branch.condition, b->branch.condition) &&
                       block_equal(a->branch.then, b->branch.then) && block_equal(a->branch.otherwise, b->branch.otherwise);
        case STMT_FOR:
        case STMT_FORKV:
                return loop_params_equal(a, b) && expr_equal(a->loop.over, b->loop.over) && block_equal(a->loop.body, b->loop.body);
        case STMT_FUNC:
                return streq(a->func.name, b->func.name) && expr_equal(a->func.fn, b->func.fn);
        case STMT_CLASS:
                return streq(a->class.name, b->class.name) && a->class.parens == b->class.parens &&
                       params_equal(&a->class.params, &b->class.params) && block_equal(a->class.body, b->class.body);
        case STMT_INCLUDE:
                return streq(a->include.name, b->include.name) && streq_ptr(a->include.alias, b->include.alias) &&
                       a->include.parens == b->include.parens && exprs_equal(&a->include.args, &b->include.args);
        case STMT_IMPORT:
                return a->import.name_size == b->import.name_size && streq_ptr(a->import.alias, b->import.alias) &&
                       memcmp(a->import.name, b->import.name, a->import.name_size) == 0 && a->import.star == b->import.star;
        }
        return false;
}

bool block_equal(const Block *a, const Block *b) {
        if (!a || !b)
                return a == b;
        if (a->n != b->n)
                return false;
        for (uint32_t i = 0; i < a->n; i++)
                if (!stmt_equal(a->items[i], b->items[i]))
                        return false;
        return true;
}
