/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What must be equal, of expressions. See unify.h. */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "lang/builtins.h"
#include "lang/unify.h"

int invariant(Unify *u, Pos pos, Expr *e, Def *d, const Type *expect, const Type *actual) {
        if (!expect || !actual || GROW(u->invariants, u->n_invariants, u->capacity_invariants) < 0)
                return program_oom(u->program);
        u->invariants[u->n_invariants++] = (Invariant) { pos, e, d, NULL, expect, actual };
        return 0;
}

/* The node has its own type: the annotation, if there is one. */
static const Type *own(Unify *u, Expr *e, const Type *t) {
        const Type *annotation = e->kind == EXPR_VAR ? NULL : e->annotation;

        return invariant(u, e->pos, e, NULL, t, annotation ?: t) < 0 ? NULL : t;
}

static int check(Unify *u, Expr *e, const Type *t) {
        const Type *actual = infer(u, e);

        return actual ? invariant(u, e->pos, e, NULL, t, actual) : -EINVAL;
}

static int check_param(Unify *u, Def *d) {
        if (!d->type)
                d->type = d->annotation ?: type_fresh(u);
        return invariant(u, d->pos, NULL, d, d->type, d->type);
}

static int add_field(Unify *u, TypeFields *fields, const char *name, const Type *t) {
        if (!name || !t || AST_PUSH(u->scratch, fields, ((TypeField) { name, t })) < 0)
                return program_oom(u->program);
        return 0;
}

static const Type *infer_var(Unify *u, Expr *e) {
        Def *d = e->var.def;

        if (!d->type)
                d->type = d->annotation ?: type_fresh(u);
        return own(u, e, d->type);
}

static const Type *infer_func(Unify *u, Expr *e) {
        TypeFields args = {};

        for (uint32_t i = 0; i < e->fn->params.n; i++) {
                Param *x = &e->fn->params.items[i];
                if (check_param(u, x->def) < 0 || add_field(u, &args, x->name, x->def->type) < 0)
                        return NULL;
        }
        const Type *result = e->fn->result ?: type_fresh(u);
        if (check(u, e->fn->body, result) < 0)
                return NULL;
        return own(u, e, type_func(u->arena, args.items, args.n, result));
}

static const Type *infer_list(Unify *u, Expr *e) {
        const Type *element = type_fresh(u);

        for (uint32_t i = 0; i < e->list.n; i++)
                if (check(u, e->list.items[i], element) < 0)
                        return NULL;
        return own(u, e, element ? type_list(u->arena, element) : NULL);
}

static const Type *infer_map(Unify *u, Expr *e) {
        const Type *key = type_fresh(u), *value = type_fresh(u);

        for (uint32_t i = 0; i < e->map.n; i++)
                if (check(u, e->map.items[i].key, key) < 0 || check(u, e->map.items[i].value, value) < 0)
                        return NULL;
        return own(u, e, key && value ? type_map(u->arena, key, value) : NULL);
}

static const Type *infer_struct(Unify *u, Expr *e) {
        TypeFields fields = {};

        for (uint32_t i = 0; i < e->st.n; i++) {
                const Type *t = type_fresh(u);
                if (check(u, e->st.items[i].value, t) < 0 || add_field(u, &fields, e->st.items[i].name, t) < 0)
                        return NULL;
        }
        return own(u, e, type_struct(u->arena, fields.items, fields.n));
}

/* It has the type that each of the two has. */
static const Type *infer_either(Unify *u, Expr *e, Expr *a, Expr *b) {
        const Type *t = type_fresh(u);

        return check(u, a, t) >= 0 && check(u, b, t) >= 0 ? own(u, e, t) : NULL;
}

static const Type *infer_if(Unify *u, Expr *e) {
        if (check(u, e->branch.condition, &type_bool) < 0)
                return NULL;
        return infer_either(u, e, e->branch.then, e->branch.otherwise);
}

/* What is known of the arguments before running, for a builtin whose type depends on them. */
static int ask_args(Unify *u, Expr *call, BuiltinArg *args) {
        const Builtin *b = call->call.callee->builtin;

        for (uint32_t i = 0; i < call->call.args.n; i++) {
                Expr *arg = call->call.args.items[i];
                args[i].type = known_type(u->program, arg);
                args[i].value = known_value(u->program, arg);
                if (!args[i].value)
                        continue;
                const Type *natural = value_natural_type(u->arena, *args[i].value);
                if (!args[i].type)
                        args[i].type = natural;
                else if (natural && !type_equal(args[i].type, natural)) {
                        _cleanup_free_ char *a = type_text(args[i].type), *c = type_text(natural);
                        return program_fail(u->program, arg->pos, "type/value inconsistent at arg #%u for func `%s`: %s != %s", i,
                                            b->name, a ?: "?", c ?: "?");
                }
        }
        return 0;
}

static const Type *builtin_signature(Unify *u, Expr *call) {
        const Builtin *b = call->call.callee->builtin;
        const Type *signature = NULL;
        Renamings names = {};

        if (!b->infer)
                signature = builtin_type(b);
        else {
                _cleanup_(diag_done) Diag error = {};
                _cleanup_free_ BuiltinArg *args = calloc(call->call.args.n + 1, sizeof(BuiltinArg));
                if (!args) {
                        program_oom(u->program);
                        return NULL;
                }
                if (ask_args(u, call, args) < 0)
                        return NULL;
                if (b->infer(u->arena, args, call->call.args.n, &signature, &error) < 0) {
                        program_fail(u->program, call->pos, "func `%s` infer error: %s", builtin_title(b),
                                     error.message ?: "?");
                        program_note(u->program, (Pos) {}, "note: its type is %s", b->signature);
                        return NULL;
                }
        }
        const Type *t = signature ? type_instantiate(u, signature, &names) : NULL;
        if (!t)
                program_oom(u->program);
        return t;
}

static int check_n_args(Unify *u, const Expr *call, const Builtin *b) {
        if (b->n_args_max < 0)
                return 0;

        uint32_t max = b->n_args_max > 0 ? (uint32_t) b->n_args_max : builtin_type(b)->n_fields;
        if (call->call.args.n <= max)
                return 0;
        int r = program_fail(u->program, call->pos, "error getting arg name #%u for func `%s`: index %u exceeds arg length of %u",
                             max, b->name, max, max);
        program_note(u->program, (Pos) {}, "note: its type is %s", b->signature);
        return r;
}

static int check_builtin(Unify *u, Expr *call, const Builtin *b, const Type *wanted) {
        const Type *signature = builtin_signature(u, call);

        if (!signature || invariant(u, call->pos, call->call.callee, NULL, wanted, signature) < 0)
                return -EINVAL;
        u->invariants[u->n_invariants - 1].call = call;
        if (!b->infer || signature->element->kind != TYPE_UNKNOWN)
                return 0;
        if (GROW(u->late, u->n_late, u->capacity_late) < 0)
                return program_oom(u->program);
        u->late[u->n_late++] = (LateCall) { call, wanted };
        return 0;
}

static const Type *infer_call(Unify *u, Expr *e) {
        Expr *callee = e->call.callee;
        const Builtin *b = callee->kind == EXPR_BUILTIN ? callee->builtin : NULL;
        TypeFields args = {};

        if (b && check_n_args(u, e, b) < 0)
                return NULL;
        for (uint32_t i = 0; i < e->call.args.n; i++) {
                const Type *t = infer(u, e->call.args.items[i]);
                if (!t || add_field(u, &args, builtin_arg_name(u->arena, b, i), t) < 0)
                        return NULL;
        }
        const Type *result = type_fresh(u);
        if (!own(u, e, result))
                return NULL;
        const Type *wanted = type_func(u->arena, args.items, args.n, result);
        if (check(u, callee, wanted) < 0 || (b && check_builtin(u, e, b, wanted) < 0))
                return NULL;
        return result;
}

const Type *infer(Unify *u, Expr *e) {
        switch ((ExprKind) e->kind) {
        case EXPR_BOOL:
                return own(u, e, &type_bool);
        case EXPR_STR:
                return own(u, e, &type_str);
        case EXPR_INT:
                return own(u, e, &type_int);
        case EXPR_FLOAT:
                return own(u, e, &type_float);
        case EXPR_LIST:
                return infer_list(u, e);
        case EXPR_MAP:
                return infer_map(u, e);
        case EXPR_STRUCT:
                return infer_struct(u, e);
        case EXPR_FUNC:
                return infer_func(u, e);
        case EXPR_VAR:
                return infer_var(u, e);
        case EXPR_CALL:
                return infer_call(u, e);
        case EXPR_IF:
                return infer_if(u, e);
        case EXPR_EXCEPT:
                return infer_either(u, e, e->except.value, e->except.fallback);
        case EXPR_BUILTIN:
                return own(u, e, type_fresh(u));
        case EXPR_PAREN:
        case EXPR_BRACES:
                break;          /* gone since interpolation */
        }
        assert(false);
        return NULL;
}

/* Of a definition that others need: those that it uses itself, up to the next one. */
typedef struct Visit {
        const Defs *uses;
        uint32_t next;
        Def *def;               /* NULL: what the walk began with */
} Visit;

typedef struct Visits {
        Visit *items;
        size_t n, capacity;
} Visits;

static int visit(Unify *u, Visits *stack, const Defs *uses, Def *d) {
        if (GROW(stack->items, stack->n, stack->capacity) < 0)
                return program_oom(u->program);
        stack->items[stack->n++] = (Visit) { .uses = uses, .def = d };
        return 0;
}

static int infer_def(Unify *u, Def *d) {
        int r = 0;

        d->inferred = true;
        const Type *t = infer(u, d->expr);
        if (!t)
                r = -EINVAL;
        else if (d->type)
                r = invariant(u, d->expr->pos, d->expr, NULL, d->type, t);
        else
                d->type = t;
        (void) known_type(u->program, d->expr);
        (void) known_value(u->program, d->expr);
        return r;
}

/* Infers the definitions that an expression uses, those first that others need: an explicit stack, since chains of definitions
 * can be long. */
int infer_uses(Unify *u, const Defs *uses) {
        Visits stack = {};
        int r = visit(u, &stack, uses, NULL);

        while (stack.n > 0 && r >= 0) {
                Visit *top = &stack.items[stack.n - 1];
                if (top->next < top->uses->n) {
                        Def *d = top->uses->items[top->next++];
                        if (d->inferred || d->visiting)
                                continue;
                        d->visiting = true;
                        r = visit(u, &stack, &d->uses, d);
                } else {
                        stack.n--;
                        r = top->def ? infer_def(u, top->def) : 0;
                }
        }
        free(stack.items);
        return r;
}
