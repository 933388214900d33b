/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What can be said of an expression before the program runs: its type, as far as it is plain to see without inference, and its
 * value, where everything it needs is written in the program. Some decisions depend on it: whether a resource name is one name
 * or a list of names, what a format string asks for. Answers are kept at the expression. Definitions are asked in order of
 * dependency by infer.c, so that long chains of them do not make this recursion deep. */

#include <errno.h>
#include <string.h>

#include "lang/builtins.h"
#include "lang/program.h"

static const Type *same(const Type *a, const Type *b) {
        if (!a || !b)
                return a ?: b;
        return type_equal(a, b) ? a : NULL;
}

static const Type *known_func(Program *p, Expr *e) {
        const Func *fn = e->fn;
        const Type *result = fn->result;
        TypeFields args = {};

        for (uint32_t i = 0; i < fn->params.n; i++) {
                TypeField f = { fn->params.items[i].name, fn->params.items[i].type };
                if (!f.type || AST_PUSH(p->arena, &args, f) < 0)
                        return NULL;
        }
        if (!result)
                result = known_type(p, fn->body);
        return result ? type_func(p->arena, args.items, args.n, result) : NULL;
}

static const Type *ask_type(Program *p, Expr *e) {
        switch ((ExprKind) e->kind) {
        case EXPR_BOOL:
                return &type_bool;
        case EXPR_STR:
                return &type_str;
        case EXPR_INT:
                return &type_int;
        case EXPR_FLOAT:
                return &type_float;
        case EXPR_LIST: {
                const Type *element = NULL;
                for (uint32_t i = 0; i < e->list.n; i++) {
                        const Type *t = known_type(p, e->list.items[i]);
                        if (!t || (element && !type_equal(element, t)))
                                return NULL;
                        element = element ?: t;
                }
                return element ? type_list(p->arena, element) : NULL;
        }
        case EXPR_MAP: {
                const Type *key = NULL, *value = NULL;
                for (uint32_t i = 0; i < e->map.n; i++) {
                        const Type *k = known_type(p, e->map.items[i].key), *v = known_type(p, e->map.items[i].value);
                        if (!k || !v || (key && !type_equal(key, k)) || (value && !type_equal(value, v)))
                                return NULL;
                        key = key ?: k;
                        value = value ?: v;
                }
                return key ? type_map(p->arena, key, value) : NULL;
        }
        case EXPR_STRUCT: {
                TypeFields fields = {};
                for (uint32_t i = 0; i < e->st.n; i++) {
                        TypeField f = { e->st.items[i].name, known_type(p, e->st.items[i].value) };
                        if (!f.type || AST_PUSH(p->arena, &fields, f) < 0)
                                return NULL;
                }
                return type_struct(p->arena, fields.items, fields.n);
        }
        case EXPR_FUNC:
                return known_func(p, e);
        case EXPR_VAR: {
                const Def *d = e->var.def;
                return d->kind == DEF_BIND ? known_type(p, d->expr) : d->annotation;
        }
        case EXPR_CALL:
                if (e->form != CALL_LAMBDA)
                        return NULL;
                return e->call.callee->fn->result ?: known_type(p, e->call.callee->fn->body);
        case EXPR_IF:
                return same(known_type(p, e->branch.then), known_type(p, e->branch.otherwise));
        case EXPR_EXCEPT:
                return same(known_type(p, e->except.value), known_type(p, e->except.fallback));
        default:
                return NULL;
        }
}

static bool type_is_small(const Type *t, size_t *left) {
        if ((*left)-- == 0)
                return false;
        for (uint32_t i = 0; i < t->n_fields; i++)
                if (!type_is_small(t->fields[i].type, left))
                        return false;
        return (!t->key || type_is_small(t->key, left)) && (!t->element || type_is_small(t->element, left));
}

const Type *known_type(Program *p, Expr *e) {
        if (e->annotation)
                return e->annotation;
        if (!e->type_asked) {
                e->type_asked = true;
                if (p->known_depth < AST_DEPTH_MAX) {
                        p->known_depth++;
                        const Type *t = ask_type(p, e);
                        size_t left = TYPE_PARTS_MAX;
                        e->known_type = t && type_is_small(t, &left) ? t : NULL;
                        p->known_depth--;
                }
        }
        return e->known_type;
}

/* ---- values ---- */

bool value_is_small(Value v, uint32_t max_parts) {
        ValueExtent extent = value_extent(v);

        return extent.n_parts <= max_parts && extent.depth <= VALUE_DEPTH_MAX;
}

/* The values of all expressions at step stride of the array, with references of their own: false if one is not known. */
static bool known_values(Program *p, Expr *const *exprs, size_t n, Value *values) {
        for (size_t i = 0; i < n; i++) {
                const Value *v = known_value(p, exprs[i]);
                if (!v) {
                        while (i-- > 0)
                                value_done(&values[i]);
                        return false;
                }
                values[i] = value_ref(*v);
        }
        return true;
}

static bool known_composite(Program *p, Expr *e, Value *ret) {
        size_t n = e->kind == EXPR_LIST ? e->list.n : e->kind == EXPR_MAP ? e->map.n * (size_t) 2 : e->st.n;
        _cleanup_free_ Value *values = calloc(n + 1, sizeof(Value));
        _cleanup_free_ Expr **exprs = calloc(n + 1, sizeof(Expr *));
        _cleanup_free_ const char **names = calloc(n + 1, sizeof(char *));
        int r;

        if (!values || !exprs || !names)
                return false;
        for (size_t i = 0; i < n; i++)
                if (e->kind == EXPR_LIST)
                        exprs[i] = e->list.items[i];
                else if (e->kind == EXPR_MAP)
                        exprs[i] = i % 2 ? e->map.items[i / 2].value : e->map.items[i / 2].key;
                else {
                        exprs[i] = e->st.items[i].value;
                        names[i] = e->st.items[i].name;
                }
        if (!known_values(p, exprs, n, values))
                return false;
        if (e->kind == EXPR_LIST)
                r = value_list(ret, values, n);
        else if (e->kind == EXPR_MAP)
                r = value_map(ret, values, n / 2);
        else
                r = value_struct(ret, names, values, n);
        if (r >= 0 && !value_is_small(*ret, KNOWN_PARTS_MAX)) {
                value_done(ret);
                return false;
        }
        return r >= 0;
}

/* Whether a value can be one of a type, where unknown parts take anything. All of it is looked at: before types are checked the
 * elements of a list may be of several. */
static bool value_fits(Value v, const Type *t) {
        if (t->kind == TYPE_UNKNOWN || t->kind == TYPE_VARIANT)
                return true;
        if (t->kind != v.kind)
                return false;
        switch (t->kind) {
        case TYPE_LIST:
                for (uint32_t i = 0; i < v.l->n; i++)
                        if (!value_fits(value_list_at(v.l, i), t->element))
                                return false;
                return true;
        case TYPE_MAP:
                for (uint32_t i = 0; i < v.m->n; i++)
                        if (!value_fits(v.m->items[i].key, t->key) || !value_fits(v.m->items[i].value, t->element))
                                return false;
                return true;
        case TYPE_STRUCT:
                if (v.st->n != t->n_fields)
                        return false;
                for (uint32_t i = 0; i < v.st->n; i++)
                        if (!streq(v.st->fields[i].name->data, t->fields[i].name) ||
                            !value_fits(v.st->fields[i].value, t->fields[i].type))
                                return false;
                return true;
        default:
                return true;
        }
}

static bool known_call(Program *p, Expr *e, Value *ret) {
        const Expr *callee = e->call.callee;
        _cleanup_(diag_done) Diag ignored = {};

        if (!callee || callee->kind != EXPR_BUILTIN || !callee->builtin->eval || !(callee->builtin->flags & BUILTIN_PURE))
                return false;

        size_t n = e->call.args.n;
        _cleanup_free_ Value *values = calloc(n + 1, sizeof(Value));
        BuiltinCall call = { .builtin = callee->builtin, .base = callee->base, .host = &p->host, .early = true };
        if (!values || !known_values(p, e->call.args.items, n, values))
                return false;
        /* Types are not checked yet: leave it to inference to complain. */
        const Type *signature = builtin_type(callee->builtin);
        bool fits = callee->builtin->infer || (signature && signature->n_fields == n);
        for (size_t i = 0; fits && !callee->builtin->infer && i < n; i++)
                fits = value_fits(values[i], signature->fields[i].type);
        if (fits && callee->builtin->fits)
                fits = callee->builtin->fits(values, n);
        int r = fits ? callee->builtin->eval(&call, values, n, ret, &ignored) : -EINVAL;
        for (size_t i = 0; i < n; i++)
                value_done(&values[i]);
        if (r == 0 && !value_is_small(*ret, KNOWN_PARTS_MAX)) {
                value_done(ret);
                return false;
        }
        return r == 0;
}

static const Value *keep(Program *p, bool ok, Value v) {
        return ok ? program_value(p, v) : NULL;
}

static const Value *ask_value(Program *p, Expr *e) {
        Value v = VALUE_NIL;

        switch ((ExprKind) e->kind) {
        case EXPR_BOOL:
                return keep(p, true, VALUE_BOOL(e->b));
        case EXPR_INT:
                return keep(p, true, VALUE_INT(e->i));
        case EXPR_FLOAT:
                return keep(p, true, VALUE_FLOAT(e->f));
        case EXPR_STR: {
                int r = value_str(&v, e->str.text, e->str.size);
                return keep(p, r >= 0, v);
        }
        case EXPR_LIST:
        case EXPR_MAP:
        case EXPR_STRUCT: {
                bool ok = known_composite(p, e, &v);
                return keep(p, ok, v);
        }
        case EXPR_VAR: {
                const Def *d = e->var.def;
                return d->kind == DEF_BIND ? known_value(p, d->expr) : d->kind == DEF_CONST ? &d->value : NULL;
        }
        case EXPR_CALL: {
                bool ok = known_call(p, e, &v);
                return keep(p, ok, v);
        }
        case EXPR_IF: {
                const Value *condition = known_value(p, e->branch.condition);
                if (!condition || condition->kind != TYPE_BOOL)
                        return NULL;
                return known_value(p, condition->b ? e->branch.then : e->branch.otherwise);
        }
        case EXPR_EXCEPT:
                return known_value(p, e->except.value);
        default:
                return NULL;
        }
}

const Value *known_value(Program *p, Expr *e) {
        if (!e->known_asked) {
                e->known_asked = true;
                if (p->known_depth < AST_DEPTH_MAX) {
                        p->known_depth++;
                        e->known = ask_value(p, e);
                        p->known_depth--;
                }
        }
        return e->known;
}

static const Type *natural_type(Arena *a, Value v, size_t *left) {
        if ((*left)-- == 0)
                return NULL;
        switch (v.kind) {
        case TYPE_BOOL:
                return &type_bool;
        case TYPE_STR:
                return &type_str;
        case TYPE_INT:
                return &type_int;
        case TYPE_FLOAT:
                return &type_float;
        case TYPE_LIST: {
                const Type *element = v.l->n > 0 ? natural_type(a, value_list_at(v.l, 0), left) : NULL;
                return element ? type_list(a, element) : NULL;
        }
        case TYPE_MAP: {
                const Type *key = v.m->n > 0 ? natural_type(a, v.m->items[0].key, left) : NULL;
                const Type *value = key ? natural_type(a, v.m->items[0].value, left) : NULL;
                return value ? type_map(a, key, value) : NULL;
        }
        case TYPE_STRUCT: {
                TypeFields fields = {};
                for (uint32_t i = 0; i < v.st->n; i++) {
                        TypeField f = { v.st->fields[i].name->data, natural_type(a, v.st->fields[i].value, left) };
                        if (!f.type || AST_PUSH(a, &fields, f) < 0)
                                return NULL;
                }
                return type_struct(a, fields.items, fields.n);
        }
        default:
                return NULL;
        }
}

const Type *value_natural_type(Arena *a, Value v) {
        size_t left = TYPE_PARTS_MAX;

        return natural_type(a, v, &left);
}
