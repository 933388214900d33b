/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What must be equal, of expressions. See unify.h. */

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
                if (check_param(u, x->def) < 0)
                        return NULL;
                if (AST_PUSH(u->scratch, &args, ((TypeField) { x->name, x->def->type })) < 0)
                        return NULL;
        }
        const Type *result = e->fn->result ?: type_fresh(u);
        if (!result || check(u, e->fn->body, result) < 0)
                return NULL;
        const Type *t = type_func(u->arena, args.items, args.n, result);
        return t ? own(u, e, t) : NULL;
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

static const Type *infer_call(Unify *u, Expr *e) {
        Expr *callee = e->call.callee;
        const Builtin *b = callee->kind == EXPR_BUILTIN ? callee->builtin : NULL;
        TypeFields args = {};

        if (b && b->n_args_max >= 0) {
                uint32_t max = b->n_args_max > 0 ? (uint32_t) b->n_args_max : builtin_type(b)->n_fields;
                if (e->call.args.n > max) {
                        program_fail(u->program, e->pos, "error getting arg name #%u for func `%s`: index %u exceeds arg length of %u",
                                     max, b->name, max, max);
                        program_note(u->program, (Pos) {}, "note: its type is %s", b->signature);
                        return NULL;
                }
        }
        for (uint32_t i = 0; i < e->call.args.n; i++) {
                TypeField f = { builtin_arg_name(u->arena, b, i), infer(u, e->call.args.items[i]) };
                if (!f.type)
                        return NULL;
                if (!f.name || AST_PUSH(u->scratch, &args, f) < 0) {
                        program_oom(u->program);
                        return NULL;
                }
        }
        const Type *result = type_fresh(u);
        if (!result || !own(u, e, result))
                return NULL;
        const Type *wanted = type_func(u->arena, args.items, args.n, result);
        if (!wanted) {
                program_oom(u->program);
                return NULL;
        }
        if (check(u, callee, wanted) < 0)
                return NULL;
        if (b) {
                const Type *signature = builtin_signature(u, e);
                if (!signature || invariant(u, e->pos, callee, NULL, wanted, signature) < 0)
                        return NULL;
                u->invariants[u->n_invariants - 1].call = e;
                if (b->infer && signature->element->kind == TYPE_UNKNOWN) {
                        if (GROW(u->late, u->n_late, u->capacity_late) < 0) {
                                program_oom(u->program);
                                return NULL;
                        }
                        u->late[u->n_late++] = (LateCall) { e, wanted };
                }
        }
        return result;
}

const Type *infer(Unify *u, Expr *e) {
        const Type *t;

        switch ((ExprKind) e->kind) {
        case EXPR_BOOL:
                return own(u, e, &type_bool);
        case EXPR_STR:
                return own(u, e, &type_str);
        case EXPR_INT:
                return own(u, e, &type_int);
        case EXPR_FLOAT:
                return own(u, e, &type_float);
        case EXPR_LIST: {
                const Type *element = type_fresh(u);
                if (!element)
                        break;
                for (uint32_t i = 0; i < e->list.n; i++)
                        if (check(u, e->list.items[i], element) < 0)
                                return NULL;
                t = type_list(u->arena, element);
                return t ? own(u, e, t) : NULL;
        }
        case EXPR_MAP: {
                const Type *key = type_fresh(u), *value = type_fresh(u);
                if (!key || !value)
                        break;
                for (uint32_t i = 0; i < e->map.n; i++)
                        if (check(u, e->map.items[i].key, key) < 0 || check(u, e->map.items[i].value, value) < 0)
                                return NULL;
                t = type_map(u->arena, key, value);
                return t ? own(u, e, t) : NULL;
        }
        case EXPR_STRUCT: {
                TypeFields fields = {};
                for (uint32_t i = 0; i < e->st.n; i++) {
                        TypeField f = { e->st.items[i].name, type_fresh(u) };
                        if (!f.type || check(u, e->st.items[i].value, f.type) < 0 || AST_PUSH(u->scratch, &fields, f) < 0)
                                return NULL;
                }
                t = type_struct(u->arena, fields.items, fields.n);
                return t ? own(u, e, t) : NULL;
        }
        case EXPR_FUNC:
                return infer_func(u, e);
        case EXPR_VAR:
                return infer_var(u, e);
        case EXPR_CALL:
                return infer_call(u, e);
        case EXPR_IF: {
                if (check(u, e->branch.condition, &type_bool) < 0)
                        return NULL;
                const Type *result = type_fresh(u);
                if (!result || check(u, e->branch.then, result) < 0 || check(u, e->branch.otherwise, result) < 0)
                        return NULL;
                return own(u, e, result);
        }
        case EXPR_EXCEPT: {
                const Type *result = type_fresh(u);
                if (!result || check(u, e->except.value, result) < 0 || check(u, e->except.fallback, result) < 0)
                        return NULL;
                return own(u, e, result);
        }
        case EXPR_BUILTIN:
                t = type_fresh(u);
                return t ? own(u, e, t) : NULL;
        default:
                break;
        }
        program_oom(u->program);
        return NULL;
}

/* Infers the definitions that an expression uses, those first that others need: an explicit stack, since chains of definitions
 * can be long. */
int infer_uses(Unify *u, const Defs *uses) {
        struct { const Defs *uses; uint32_t next; Def *def; } *stack = NULL;
        size_t n = 0, capacity = 0;
        int r = 0;

        if (GROW(stack, n, capacity) < 0)
                return program_oom(u->program);
        stack[n].uses = uses;
        stack[n].next = 0;
        stack[n++].def = NULL;
        while (n > 0 && r >= 0) {
                if (stack[n - 1].next < stack[n - 1].uses->n) {
                        Def *d = stack[n - 1].uses->items[stack[n - 1].next++];
                        if (d->inferred || d->visiting)
                                continue;
                        d->visiting = true;
                        if (GROW(stack, n, capacity) < 0) {
                                r = program_oom(u->program);
                                break;
                        }
                        stack[n].uses = &d->uses;
                        stack[n].next = 0;
                        stack[n++].def = d;
                        continue;
                }
                Def *d = stack[--n].def;
                if (!d)
                        continue;
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
        }
        free(stack);
        return r;
}
