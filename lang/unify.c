/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Type inference: Hindley-Milner without generalisation, since what is polymorphic was copied before. A walk over the program
 * lists what must be equal, in the order that decides which of several errors is told first; then the list is solved, one by
 * one, by union-find over type variables; then each expression is given its type, and builtins may still refuse theirs. */

#include <errno.h>
#include <string.h>

#include "common/meta.h"
#include "common/strbuf.h"
#include "lang/builtins.h"
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

static const Type *infer(Unify *u, Expr *e);

/* ---- types with variables ---- */

static const Type *fresh(Unify *u) {
        if (GROW(u->variables, u->n_variables, u->capacity_variables) < 0 || u->n_variables >= UINT32_MAX)
                return NULL;

        uint32_t n = (uint32_t) u->n_variables;
        const Type *t = type_unknown(u->arena, n);
        if (!t)
                return NULL;
        u->variables[u->n_variables++] = (Variable) { .parent = n, .self = t };
        return t;
}

static uint32_t find(Unify *u, uint32_t v) {
        while (u->variables[v].parent != v) {
                u->variables[v].parent = u->variables[u->variables[v].parent].parent;
                v = u->variables[v].parent;
        }
        return v;
}

static bool has_variables(const Type *t) {
        if (t->kind == TYPE_UNKNOWN || t->kind == TYPE_VARIANT)
                return true;
        for (uint32_t i = 0; i < t->n_fields; i++)
                if (has_variables(t->fields[i].type))
                        return true;
        return (t->key && has_variables(t->key)) || (t->element && has_variables(t->element));
}

/* The type with its variables ?1, ?2, … replaced by fresh ones, and each variant by a fresh one too. */
typedef struct Renaming {
        uint32_t from;
        const Type *to;
} Renaming;

typedef AST_ARRAY(Renaming) Renamings;

static const Type *instantiate(Unify *u, const Type *t, Renamings *names) {
        if (!has_variables(t))
                return t;
        switch (t->kind) {
        case TYPE_VARIANT:
                return fresh(u);
        case TYPE_UNKNOWN: {
                for (uint32_t i = 0; i < names->n; i++)
                        if (names->items[i].from == t->variable)
                                return names->items[i].to;
                const Type *to = fresh(u);
                return to && AST_PUSH(u->scratch, names, ((Renaming) { t->variable, to })) >= 0 ? to : NULL;
        }
        case TYPE_LIST: {
                const Type *element = instantiate(u, t->element, names);
                return element ? type_list(u->arena, element) : NULL;
        }
        case TYPE_MAP: {
                const Type *key = instantiate(u, t->key, names), *value = key ? instantiate(u, t->element, names) : NULL;
                return value ? type_map(u->arena, key, value) : NULL;
        }
        default: {
                TypeFields fields = {};
                for (uint32_t i = 0; i < t->n_fields; i++) {
                        TypeField f = { t->fields[i].name, instantiate(u, t->fields[i].type, names) };
                        if (!f.type || AST_PUSH(u->scratch, &fields, f) < 0)
                                return NULL;
                }
                if (t->kind == TYPE_STRUCT)
                        return type_struct(u->arena, fields.items, fields.n);
                const Type *result = t->element ? instantiate(u, t->element, names) : NULL;
                return result || !t->element ? type_func(u->arena, fields.items, fields.n, result) : NULL;
        }
        }
}

/* ---- solving ---- */

static bool occurs_in_variable(Unify *u, uint32_t v, const Type *t, unsigned depth, bool *ret_ground);

/* Whether variable v (a root) is part of the type; visits each variable once per question. */
static bool occurs(Unify *u, uint32_t v, const Type *t, unsigned depth, bool *ret_ground) {
        bool ground = true, found = false;

        if (depth > UNIFY_DEPTH_MAX)
                return true;
        if (t->kind == TYPE_UNKNOWN)
                return occurs_in_variable(u, v, t, depth, ret_ground);
        for (uint32_t i = 0; i < t->n_fields && !found; i++) {
                bool g = true;
                found = occurs(u, v, t->fields[i].type, depth + 1, &g);
                ground = ground && g;
        }
        if (t->key && !found) {
                bool g = true;
                found = occurs(u, v, t->key, depth + 1, &g);
                ground = ground && g;
        }
        if (t->element && !found) {
                bool g = true;
                found = occurs(u, v, t->element, depth + 1, &g);
                ground = ground && g;
        }
        *ret_ground = ground;
        return found;
}

static bool occurs_in_variable(Unify *u, uint32_t v, const Type *t, unsigned depth, bool *ret_ground) {
        uint32_t root = find(u, t->variable);
        Variable *x = &u->variables[root];
        bool ground = false;

        *ret_ground = x->ground;
        if (root == v)
                return true;
        if (x->ground || !x->binding || x->stamp == u->stamp)
                return false;
        x->stamp = u->stamp;
        bool found = occurs(u, v, x->binding, depth + 1, &ground);
        u->variables[root].ground = *ret_ground = ground && !found;
        return found;
}

static int bind(Unify *u, uint32_t v, const Type *t, Diag *reterr) {
        bool ground = true;

        u->stamp++;
        if (occurs(u, v, t, 0, &ground))
                return diag_set(reterr, (Pos) {}, -EINVAL, "directly in the same set");
        u->variables[v].binding = t;
        u->variables[v].bound_at = u->current;
        u->variables[v].ground = ground;
        return 0;
}

static void merge(Unify *u, uint32_t a, uint32_t b) {
        Variable *x = &u->variables[a], *y = &u->variables[b];

        x->doubtful = y->doubtful = x->doubtful || y->doubtful;
        if (x->rank < y->rank)
                x->parent = b;
        else {
                y->parent = a;
                x->rank += x->rank == y->rank;
        }
}

/* Which side is told first in messages follows from the order of the cases. */
static int unify(Unify *u, const Type *expect, const Type *actual, unsigned depth, Diag *reterr) {
        int r;

        if (expect == actual)
                return 0;
        if (depth > UNIFY_DEPTH_MAX)
                return diag_set(reterr, (Pos) {}, -EINVAL, "the types nest too deeply");
        if (expect->kind == TYPE_UNKNOWN || actual->kind == TYPE_UNKNOWN) {
                uint32_t a = expect->kind == TYPE_UNKNOWN ? find(u, expect->variable) : UINT32_MAX;
                uint32_t b = actual->kind == TYPE_UNKNOWN ? find(u, actual->variable) : UINT32_MAX;
                const Type *x = a != UINT32_MAX ? u->variables[a].binding : NULL;
                const Type *y = b != UINT32_MAX ? u->variables[b].binding : NULL;

                if (x || y)
                        u->via = x ? a : b;
                if (b == UINT32_MAX)
                        return x ? unify(u, x, actual, depth + 1, reterr) : bind(u, a, actual, reterr);
                if (a == UINT32_MAX)
                        return y ? unify(u, y, expect, depth + 1, reterr) : bind(u, b, expect, reterr);
                if (a == b)
                        return 0;
                if (!x && !y) {
                        merge(u, a, b);
                        return 0;
                }
                if (!x)
                        return unify(u, u->variables[a].self, y, depth + 1, reterr);
                if (!y)
                        return unify(u, x, u->variables[b].self, depth + 1, reterr);
                r = unify(u, x, y, depth + 1, reterr);
                if (r >= 0)
                        merge(u, a, b);         /* the same question need not be asked again */
                return r;
        }
        if (expect->kind != actual->kind)
                return diag_set(reterr, (Pos) {}, -EINVAL, "type error: %s != %s", type_kind_name(expect->kind),
                                type_kind_name(actual->kind));
        if (expect->kind == TYPE_VARIANT)
                return diag_set(reterr, (Pos) {}, -EINVAL, "nil type");
        if (expect->n_fields != actual->n_fields)
                return diag_set(reterr, (Pos) {}, -EINVAL, expect->kind == TYPE_FUNC ? "func arg count differs"
                                                                                    : "struct field count differs");
        if (expect->kind == TYPE_STRUCT)
                for (uint32_t i = 0; i < expect->n_fields; i++)
                        if (!streq(expect->fields[i].name, actual->fields[i].name))
                                return diag_set(reterr, (Pos) {}, -EINVAL, "struct fields differ");
        if (expect->key) {
                r = unify(u, expect->key, actual->key, depth + 1, reterr);
                if (r < 0)
                        return r;
        }
        for (uint32_t i = 0; i < expect->n_fields; i++) {
                r = unify(u, expect->fields[i].type, actual->fields[i].type, depth + 1, reterr);
                if (r < 0)
                        return r;
        }
        return expect->element && actual->element ? unify(u, expect->element, actual->element, depth + 1, reterr) : 0;
}

/* How large a type is. */
typedef struct Measure {
        uint32_t depth, parts;
} Measure;

static void measure_add(Measure *m, Measure part) {
        m->depth = MAX(m->depth, part.depth);
        m->parts = MIN(m->parts + part.parts, (uint32_t) TYPE_PARTS_MAX + 1);
}

/* The type with all bindings put in; *ret_known is cleared if a variable is left over. NULL if out of memory or too large. */
static const Type *resolve(Unify *u, const Type *t, unsigned depth, bool *ret_known, Measure *ret_measure) {
        Measure all = {}, part = {};

        *ret_measure = (Measure) { 0, 1 };
        if (depth > UNIFY_DEPTH_MAX)
                return NULL;
        if (t->kind == TYPE_UNKNOWN) {
                uint32_t root = find(u, t->variable);
                Variable *v = &u->variables[root];
                if (v->resolved) {
                        *ret_measure = (Measure) { v->resolved_depth, v->resolved_parts };
                        return v->resolved;
                }
                if (!v->binding) {
                        *ret_known = false;
                        return v->self;
                }
                bool known = true;
                const Type *found = resolve(u, v->binding, depth + 1, &known, ret_measure);
                if (found && known) {
                        u->variables[root].resolved = found;
                        u->variables[root].resolved_depth = ret_measure->depth;
                        u->variables[root].resolved_parts = ret_measure->parts;
                }
                *ret_known = *ret_known && known;
                return found;
        }
        if (!has_variables(t))
                return t;
        const Type *result = NULL;
        if (t->kind == TYPE_LIST || t->kind == TYPE_MAP) {
                const Type *key = NULL;
                if (t->key && !(key = resolve(u, t->key, depth + 1, ret_known, &all)))
                        return NULL;
                const Type *element = resolve(u, t->element, depth + 1, ret_known, &part);
                if (!element)
                        return NULL;
                measure_add(&all, part);
                result = key ? type_map(u->arena, key, element) : type_list(u->arena, element);
        } else {
                TypeFields fields = {};
                for (uint32_t i = 0; i < t->n_fields; i++) {
                        TypeField f = { t->fields[i].name, resolve(u, t->fields[i].type, depth + 1, ret_known, &part) };
                        if (!f.type || AST_PUSH(u->scratch, &fields, f) < 0)
                                return NULL;
                        measure_add(&all, part);
                }
                if (t->kind == TYPE_STRUCT)
                        result = type_struct(u->arena, fields.items, fields.n);
                else {
                        const Type *back = t->element ? resolve(u, t->element, depth + 1, ret_known, &part) : NULL;
                        if (t->element && !back)
                                return NULL;
                        if (back)
                                measure_add(&all, part);
                        result = type_func(u->arena, fields.items, fields.n, back);
                }
        }
        *ret_measure = (Measure) { all.depth + 1, all.parts + 1 };
        return ret_measure->depth > VALUE_DEPTH_MAX || ret_measure->parts > TYPE_PARTS_MAX ? NULL : result;
}

/* ---- listing what must be equal ---- */

static int invariant(Unify *u, Pos pos, Expr *e, Def *d, const Type *expect, const Type *actual) {
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
                d->type = d->annotation ?: fresh(u);
        return invariant(u, d->pos, NULL, d, d->type, d->type);
}

static const Type *infer_var(Unify *u, Expr *e) {
        Def *d = e->var.def;

        if (!d->type)
                d->type = d->annotation ?: fresh(u);
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
        const Type *result = e->fn->result ?: fresh(u);
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
        const Type *t = signature ? instantiate(u, signature, &names) : NULL;
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
        const Type *result = fresh(u);
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

static const Type *infer(Unify *u, Expr *e) {
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
                const Type *element = fresh(u);
                if (!element)
                        break;
                for (uint32_t i = 0; i < e->list.n; i++)
                        if (check(u, e->list.items[i], element) < 0)
                                return NULL;
                t = type_list(u->arena, element);
                return t ? own(u, e, t) : NULL;
        }
        case EXPR_MAP: {
                const Type *key = fresh(u), *value = fresh(u);
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
                        TypeField f = { e->st.items[i].name, fresh(u) };
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
                const Type *result = fresh(u);
                if (!result || check(u, e->branch.then, result) < 0 || check(u, e->branch.otherwise, result) < 0)
                        return NULL;
                return own(u, e, result);
        }
        case EXPR_EXCEPT: {
                const Type *result = fresh(u);
                if (!result || check(u, e->except.value, result) < 0 || check(u, e->except.fallback, result) < 0)
                        return NULL;
                return own(u, e, result);
        }
        case EXPR_BUILTIN:
                t = fresh(u);
                return t ? own(u, e, t) : NULL;
        default:
                break;
        }
        program_oom(u->program);
        return NULL;
}

/* Infers the definitions that an expression uses, those first that others need: an explicit stack, since chains of definitions
 * can be long. */
static int infer_uses(Unify *u, const Defs *uses) {
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

/* ---- statements ---- */

static int unify_block(Unify *u, Block *b);

static bool is_str(const Type *t) {
        return t && t->kind == TYPE_STR;
}

static bool is_list_str(const Type *t) {
        return t && t->kind == TYPE_LIST && t->element->kind == TYPE_STR;
}

static const Type *type_collected(Unify *u, bool data) {
        const TypeField fields[] = { { "name", &type_str }, { "host", &type_str }, { "data", &type_str } };
        const Type *t = type_struct(u->arena, fields, data ? 3 : 2);

        return t ? type_list(u->arena, t) : NULL;
}

/* What the name of a resource or edge must be: one name where that is plain to see, else a list of names. */
static const Type *name_type(Unify *u, Expr *name, bool collect) {
        const Type *known = known_type(u->program, name);

        if (is_str(known))
                return &type_str;
        if (is_list_str(known) || !collect)
                return &type_list_str;
        return type_collected(u, false);
}

static int unify_half(Unify *u, EdgeHalf *h) {
        const Type *t = infer(u, h->name);

        return t ? invariant(u, h->pos, h->name, NULL, name_type(u, h->name, false), t) : -EINVAL;
}

static int unify_condition(Unify *u, const Item *item) {
        if (!item->condition)
                return 0;

        const Type *t = infer(u, item->condition);
        return t ? invariant(u, item->pos, item->condition, NULL, &type_bool, t) : -EINVAL;
}

static int suggest_kind(Unify *u, const char *kind) {
        const Schema *schema = u->program->host.schema;
        Suggestion near = suggestion_for(kind);

        for (size_t i = 0; i < schema_count(schema); i++)
                suggestion_add(&near, schema_at(schema, i)->kind);
        program_suggest(u->program, &near, "");
        return -EINVAL;
}

static int unknown_kind(Unify *u, const char *kind, Pos pos) {
        program_fail(u->program, pos, "no resource kind `%s` available", kind);
        return suggest_kind(u, kind);
}

static int unify_field(Unify *u, Stmt *s, Item *item, const Type **ret_expect) {
        const SchemaKind *kind = schema_kind(u->program->host.schema, s->resource.kind);
        Renamings names = {};

        if (!kind)
                return unknown_kind(u, s->resource.kind, s->pos);
        const SchemaField *f = schema_field(kind, item->name);
        if (!f || (f->flags & FIELD_HIDDEN)) {
                Suggestion near = suggestion_for(item->name);
                for (size_t i = 0; i < kind->n_fields; i++)
                        if (!(kind->fields[i].flags & FIELD_HIDDEN))
                                suggestion_add(&near, kind->fields[i].name);
                program_fail(u->program, item->pos, "field `%s` does not exist in `%s` resource", item->name, s->resource.kind);
                program_suggest(u->program, &near, "");
                return -EINVAL;
        }
        *ret_expect = instantiate(u, f->mcl_type, &names);
        return *ret_expect ? 0 : program_oom(u->program);
}

static int unify_meta(Unify *u, const Item *item, const Type **ret_expect) {
        if (item->name) {
                *ret_expect = field_mcl_type(field_find(meta_fields, item->name));
                return 0;
        }
        if (!u->meta_type) {
                TypeFields fields = {};
                for (const FieldSpec *f = meta_fields; f->name; f++)
                        if (AST_PUSH(u->scratch, &fields, ((TypeField) { f->name, field_mcl_type(f) })) < 0)
                                return program_oom(u->program);
                u->meta_type = type_struct(u->arena, fields.items, fields.n);
        }
        *ret_expect = u->meta_type;
        return 0;
}

static int unify_item(Unify *u, Stmt *s, Item *item) {
        const Type *expect = NULL, *t;
        int r;

        switch (item->kind) {
        case ITEM_EDGE:
                r = unify_half(u, item->half);
                return r < 0 ? r : unify_condition(u, item);
        case ITEM_COLLECT:
                if (!schema_kind(u->program->host.schema, s->resource.kind)) {
                        program_fail(u->program, s->pos, "invalid resource kind: %s", s->resource.kind);
                        return suggest_kind(u, s->resource.kind);
                }
                t = infer(u, item->value);
                return t ? invariant(u, item->pos, item->value, NULL, type_collected(u, true), t) : -EINVAL;
        case ITEM_FIELD:
        case ITEM_META:
                t = infer(u, item->value);
                if (!t)
                        return -EINVAL;
                r = unify_condition(u, item);
                if (r >= 0)
                        r = item->kind == ITEM_FIELD ? unify_field(u, s, item, &expect) : unify_meta(u, item, &expect);
                return r < 0 ? r : invariant(u, item->pos, item->value, NULL, expect, t);
        }
        return 0;
}

static int unify_resource(Unify *u, Stmt *s) {
        const Type *t = infer(u, s->resource.name);
        if (!t)
                return -EINVAL;

        for (uint32_t i = 0; i < s->resource.items.n; i++) {
                int r = unify_item(u, s, s->resource.items.items[i]);
                if (r < 0)
                        return r;
        }
        return invariant(u, s->pos, s->resource.name, NULL, name_type(u, s->resource.name, s->resource.collect), t);
}

/* How the other end of a transfer is told: with its name, if that is known. */
static char *half_text(Unify *u, const EdgeHalf *h) {
        const Value *v = known_value(u->program, h->name);
        StrBuf b = {};

        strbuf_puts(&b, h->kind);
        if (v && v->kind == TYPE_STR)
                strbuf_printf(&b, "[%s]", value_cstr(*v));
        else if (v && v->kind == TYPE_LIST) {
                _cleanup_free_ char *text = value_text(*v);
                strbuf_puts(&b, text ?: "");
        }
        strbuf_printf(&b, ".%s", h->field);
        return strbuf_take(&b);
}

/* The native kind of a field, as messages about transfers name it. */
static const char *native_kind(const SchemaField *f) {
        switch (f->type) {
        case FIELD_INT64:
                return "int";
        case FIELD_VALUE:
                return f->mcl_type->kind == TYPE_LIST ? "slice" : f->mcl_type->kind == TYPE_STR ? "string"
                                                                                                : type_kind_name(f->mcl_type->kind);
        default:
                return field_type_name(f->type);
        }
}

static int check_transfer(Unify *u, Stmt *s, const EdgeHalf *from, const EdgeHalf *to) {
        const Schema *schema = u->program->host.schema;
        const SchemaKind *sender = schema_kind(schema, from->kind), *receiver = schema_kind(schema, to->kind);
        _cleanup_free_ char *a = NULL, *b = NULL;

        if (!sender)
                return unknown_kind(u, from->kind, from->pos);
        if (!receiver)
                return unknown_kind(u, to->kind, to->pos);
        if (sender->n_sends == 0)
                return program_fail(u->program, s->pos, "cannot send from resource of kind: %s", from->kind);
        if (!(receiver->flags & RESOURCE_RECEIVES))
                return program_fail(u->program, s->pos, "cannot recv to resource of kind: %s", to->kind);
        a = half_text(u, from);
        b = half_text(u, to);
        if (!a || !b)
                return program_oom(u->program);

        const SchemaField *sent = schema_send(sender, from->field), *received = schema_field(receiver, to->field);
        if (!sent || !received) {
                Suggestion near = suggestion_for(sent ? to->field : from->field);
                const SchemaKind *k = sent ? receiver : sender;
                for (size_t i = 0; i < (sent ? k->n_fields : k->n_sends); i++)
                        suggestion_add(&near, sent ? k->fields[i].name : k->sends[i].name);
                program_fail(u->program, s->pos, "cannot send/recv from %s to %s: key not found in %s struct", a, b,
                             sent ? "recv" : "send");
                program_suggest(u->program, &near, "");
                return -EINVAL;
        }
        if ((sent->flags & FIELD_OPTIONAL) || (received->flags & FIELD_OPTIONAL) || sent->mcl_type->kind == TYPE_VARIANT ||
            received->mcl_type->kind == TYPE_VARIANT || type_equal(sent->mcl_type, received->mcl_type))
                return 0;
        if (sent->mcl_type->kind != received->mcl_type->kind)
                return program_fail(u->program, s->pos, "cannot send/recv from %s to %s: field kind mismatch between %s and %s",
                                    a, b, native_kind(sent), native_kind(received));
        return program_fail(u->program, s->pos, "cannot send/recv from %s to %s: type mismatch between %s and %s", a, b,
                            native_kind(sent), native_kind(received));
}

static int unify_edge(Unify *u, Stmt *s) {
        const EdgeHalves *halves = &s->edge;
        int r;

        if (halves->n == 1)
                return program_fail(u->program, s->pos, "can't create an edge with only one half");
        if (halves->items[0]->field) {
                r = check_transfer(u, s, halves->items[0], halves->items[1]);
                if (r < 0)
                        return r;
        }
        for (uint32_t i = 0; i < halves->n; i++) {
                r = unify_half(u, halves->items[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int unify_loop(Unify *u, Stmt *s) {
        const Type *t = infer(u, s->loop.over), *over;
        Def *first = s->loop.first.def, *second = s->loop.second.def;

        if (!t)
                return -EINVAL;
        const Type *value = second->type ?: fresh(u), *key = s->kind == STMT_FOR ? &type_int : fresh(u);
        over = !value || !key ? NULL : s->kind == STMT_FOR ? type_list(u->arena, value) : type_map(u->arena, key, value);
        if (!over)
                return program_oom(u->program);
        int r = invariant(u, s->pos, s->loop.over, NULL, over, t);
        if (r < 0)
                return r;
        first->type = key;
        second->type = value;
        r = invariant(u, s->pos, NULL, first, key, key);
        if (r >= 0)
                r = invariant(u, s->pos, NULL, second, value, value);
        return r < 0 ? r : unify_block(u, s->loop.body);
}

static int unify_include(Unify *u, Stmt *s) {
        int r = unify_block(u, s->include.body);

        for (uint32_t i = 0; i < s->include.params.n && r >= 0; i++) {
                const Param *x = &s->include.params.items[i];
                Defs self = {};
                if (AST_PUSH(u->scratch, &self, x->def) < 0)
                        return program_oom(u->program);
                r = infer_uses(u, &self);
                if (r >= 0 && x->type)
                        r = invariant(u, s->pos, x->def->expr, NULL, x->type, x->def->type);
        }
        return r;
}

static int unify_stmt(Unify *u, Stmt *s) {
        const Type *t;
        int r;

        r = s->kind == STMT_BIND || s->kind == STMT_FUNC || s->kind == STMT_CLASS ? 0 : infer_uses(u, &s->uses);
        if (r < 0)
                return r;
        switch (s->kind) {
        case STMT_RESOURCE:
                return unify_resource(u, s);
        case STMT_EDGE:
                return unify_edge(u, s);
        case STMT_IF:
                t = infer(u, s->branch.condition);
                r = t ? invariant(u, s->pos, s->branch.condition, NULL, &type_bool, t) : -EINVAL;
                if (r >= 0)
                        r = unify_block(u, s->branch.then);
                return r >= 0 && s->branch.otherwise ? unify_block(u, s->branch.otherwise) : r;
        case STMT_FOR:
        case STMT_FORKV:
                return unify_loop(u, s);
        case STMT_INCLUDE:
                return unify_include(u, s);
        default:
                return 0;
        }
}

/* A statement with an error does not keep the ones after it from being looked at. */
static int unify_block(Unify *u, Block *b) {
        int r = 0;

        for (uint32_t i = 0; i < b->n && r != -ENOMEM; i++) {
                int k = unify_stmt(u, b->items[i]);
                r = r < 0 ? r : k;
        }
        return r;
}

/* ---- after solving ---- */

static const char *invariant_text(Unify *u, const Invariant *i) {
        const char *text = i->expr ? expr_text(u->arena, i->expr) : arena_printf(u->arena, "param(%s)", i->def->name);

        return text ?: "?";
}

static int give_type(Unify *u, const Invariant *i, const Type *t) {
        _cleanup_(diag_done) Diag error = {};
        Expr *e = i->expr;

        if (!e) {
                i->def->type = t;
                return 0;
        }
        if (e->type)
                return 0;
        e->type = t;
        if (e->kind == EXPR_VAR && e->annotation)
                type_compare(e->annotation, t, &error);
        else if (e->kind == EXPR_MAP && !type_is_hashable(t->key)) {
                _cleanup_free_ char *text = type_text(t->key);
                diag_set(&error, e->pos, -EINVAL, "map key type %s is not hashable", text ?: "?");
        } else if (e->kind == EXPR_BUILTIN && e->builtin->check) {
                BuiltinCall call = { .builtin = e->builtin, .type = t, .field = e->field ?: "", .base = e->base,
                                     .host = &u->program->host };
                e->builtin->check(&call, &error);
                if (error.error < 0 && (e->builtin->flags & BUILTIN_TAKES_SYMBOL))
                        return program_fail(u->program, e->pos, "%s", error.message ?: "?");
        }
        if (error.error < 0)
                return program_fail(u->program, e->pos, "error setting type: %s, error: %s", invariant_text(u, i),
                                    error.message ?: "?");
        return 0;
}

/* Whether a type has part in an error that was told; with mark, it has from now on. */
static bool doubtful(Unify *u, const Type *t, unsigned depth, bool mark) {
        bool found = false;

        if (depth > 16)
                return false;
        if (t->kind == TYPE_UNKNOWN) {
                Variable *v = &u->variables[find(u, t->variable)];
                found = v->doubtful;
                v->doubtful = v->doubtful || mark;
                return found || (v->binding && doubtful(u, v->binding, depth + 1, mark));
        }
        for (uint32_t i = 0; i < t->n_fields; i++)
                found = doubtful(u, t->fields[i].type, depth + 1, mark) || found;
        if (t->key)
                found = doubtful(u, t->key, depth + 1, mark) || found;
        if (t->element)
                found = doubtful(u, t->element, depth + 1, mark) || found;
        return found;
}

static char *text_of(Unify *u, const Type *t) {
        Measure measure;
        bool known = true;

        t = resolve(u, t, 0, &known, &measure);
        return t ? type_text(t) : NULL;
}

static bool same_place(Pos a, Pos b) {
        return a.line == b.line && a.column == b.column && a.end_line == b.end_line && a.end_column == b.end_column;
}

/* What is of which type, and where, beside the message itself. */
static void explain(Unify *u, const Invariant *x) {
        Program *p = u->program;

        if (x->call) {
                for (uint32_t i = 0; i < x->call->call.args.n && i < 8; i++) {
                        const Expr *arg = x->call->call.args.items[i];
                        if (x->call->form == CALL_OPERATOR && i == 0)
                                continue;       /* the operator itself */
                        _cleanup_free_ char *text = text_of(u, x->expect->fields[i].type);
                        if (text)
                                program_note(p, arg->pos, "note: this is of type %s", text);
                }
                return;
        }
        _cleanup_free_ char *expect = text_of(u, x->expect), *actual = text_of(u, x->actual);
        Pos pos = x->expr ? x->expr->pos : x->pos;
        if (expect && actual && !streq(expect, actual))
                program_note(p, pos, "note: this is of type %s, where %s is needed", actual, expect);
        if (expect && actual && startswith(expect, "[]") && streq(expect + strlen("[]"), actual))
                program_note(p, (Pos) {}, "help: brackets make a list of it: [ … ]");
        if (u->via == UINT32_MAX)
                return;
        const Variable *v = &u->variables[find(u, u->via)];
        const Invariant *cause = &u->invariants[v->bound_at];
        _cleanup_free_ char *text = v->binding ? text_of(u, v->binding) : NULL;
        if (text && cause != x && cause->expr && !same_place(cause->expr->pos, pos))
                program_note(p, cause->expr->pos, "note: this made it %s", text);
}

/* Goes on after an error, as far as other types are concerned: what follows from it is not told. */
static int solve(Unify *u) {
        int r = 0;

        for (size_t i = 0; i < u->n_invariants && r != -ENOMEM; i++) {
                const Invariant *x = &u->invariants[i];
                _cleanup_(diag_done) Diag error = {};
                bool doubt = r < 0 && (doubtful(u, x->expect, 0, false) || doubtful(u, x->actual, 0, false));

                u->current = (uint32_t) i;
                u->via = UINT32_MAX;
                if (unify(u, x->expect, x->actual, 0, &error) >= 0 || doubt)
                        continue;
                r = program_fail(u->program, x->pos, "%s", error.message ?: "type error");
                explain(u, x);
                (void) doubtful(u, x->expect, 0, true);
                (void) doubtful(u, x->actual, 0, true);
        }
        return r;
}

/* What is known of the field that a call names, in a struct of which some is known: NULL if it is no such call, or nothing is. */
static const Type *late_field(Unify *u, const LateCall *late) {
        const Expr *call = late->call;
        const Type *st = late->wanted->fields[0].type;

        if (!(call->call.callee->builtin->flags & BUILTIN_TAKES_FIELD) || late->wanted->n_fields != 2)
                return NULL;
        while (st && st->kind == TYPE_UNKNOWN)
                st = u->variables[find(u, st->variable)].binding;
        const Value *name = known_value(u->program, call->call.args.items[1]);
        for (uint32_t i = 0; st && name && st->kind == TYPE_STRUCT && i < st->n_fields; i++)
                if (streq(st->fields[i].name, value_cstr(*name)))
                        return st->fields[i].type;
        return NULL;
}

/* Asks for the signatures of calls again, now that the types of their arguments are known. Each answer may help others. */
static int infer_late(Unify *u) {
        for (bool again = true; again && u->n_late > 0;) {
                again = false;
                for (size_t i = 0; i < u->n_late; i++) {
                        const LateCall late = u->late[i];
                        const Builtin *b = late.call->call.callee->builtin;
                        uint32_t n = late.wanted->n_fields;
                        _cleanup_free_ BuiltinArg *args = calloc((size_t) n + 1, sizeof(BuiltinArg));
                        _cleanup_(diag_done) Diag error = {};
                        const Type *signature;
                        bool known = true;
                        Measure measure;
                        Renamings names = {};

                        if (!args)
                                return program_oom(u->program);
                        const Type *field = late_field(u, &late);
                        if (field) {
                                u->late[i--] = u->late[--u->n_late];
                                (void) unify(u, late.wanted->element, field, 0, &error);        /* the builtin's check has the words */
                                again = true;
                                continue;
                        }
                        (void) resolve(u, late.wanted->element, 0, &known, &measure);
                        if (known)
                                continue;       /* its use said what it is */
                        known = true;
                        for (uint32_t j = 0; j < n && known; j++) {
                                args[j].type = resolve(u, late.wanted->fields[j].type, 0, &known, &measure);
                                args[j].value = known_value(u->program, late.call->call.args.items[j]);
                                known = known && args[j].type;
                        }
                        if (!known || b->infer(u->arena, args, n, &signature, &error) < 0)
                                continue;
                        u->late[i--] = u->late[--u->n_late];
                        signature = instantiate(u, signature, &names);
                        if (!signature)
                                return program_oom(u->program);
                        if (unify(u, late.wanted, signature, 0, &error) < 0)
                                return program_fail(u->program, late.call->pos, "%s", error.message ?: "type error");
                        again = true;
                }
        }
        return 0;
}

static int give_types(Unify *u) {
        _cleanup_free_ const Type **types = calloc(u->n_invariants + 1, sizeof(Type *));
        int r = 0;

        if (!types)
                return program_oom(u->program);
        for (size_t i = 0; i < u->n_invariants; i++) {
                const Invariant *x = &u->invariants[i];
                bool known = true;
                Measure measure;
                types[i] = resolve(u, x->expect, 0, &known, &measure);
                if (!types[i])
                        return program_fail(u->program, x->pos, "the type has more than %d levels, or more than %d parts",
                                            VALUE_DEPTH_MAX, TYPE_PARTS_MAX);
                if (known)
                        continue;
                _cleanup_free_ char *text = type_text(types[i]);
                program_fail(u->program, x->expr ? x->expr->pos : x->def->pos, "expr: %s is ambiguous: %s", invariant_text(u, x),
                             text ?: "?");
                program_note(u->program, (Pos) {}, "help: say its type: $name TYPE = …");
                return -EINVAL;
        }
        for (size_t i = 0; i < u->n_invariants && r >= 0; i++)
                r = give_type(u, &u->invariants[i], types[i]);
        return r;
}

int unify_program(Program *p) {
        _cleanup_(arena_freep) Arena *scratch = arena_new(0);
        Unify u = { .program = p, .arena = p->arena, .scratch = scratch };
        int r;

        if (!scratch)
                return program_oom(p);
        r = unify_block(&u, p->main->ast.block);
        if (r != -ENOMEM) {
                int k = solve(&u);
                r = r < 0 ? r : k;
        }
        if (r >= 0)
                r = infer_late(&u);
        if (r >= 0)
                r = give_types(&u);
        if (r < 0 && p->errors->n == 0)
                r = program_oom(p);
        free(u.invariants);
        free(u.variables);
        free(u.late);
        return r;
}
