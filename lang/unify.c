/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Types with variables, and solving: union-find. See unify.h. */

#include <errno.h>

#include "lang/unify.h"

/* ---- types with variables ---- */

const Type *type_fresh(Unify *u) {
        if (GROW(u->variables, u->n_variables, u->capacity_variables) < 0 || u->n_variables >= UINT32_MAX)
                return NULL;

        uint32_t n = (uint32_t) u->n_variables;
        const Type *t = type_unknown(u->arena, n);
        if (!t)
                return NULL;
        u->variables[u->n_variables++] = (Variable) { .parent = n, .self = t };
        return t;
}

uint32_t type_find(Unify *u, uint32_t v) {
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

const Type *type_instantiate(Unify *u, const Type *t, Renamings *names) {
        if (!has_variables(t))
                return t;
        switch (t->kind) {
        case TYPE_VARIANT:
                return type_fresh(u);
        case TYPE_UNKNOWN: {
                for (uint32_t i = 0; i < names->n; i++)
                        if (names->items[i].from == t->variable)
                                return names->items[i].to;
                const Type *to = type_fresh(u);
                return to && AST_PUSH(u->scratch, names, ((Renaming) { t->variable, to })) >= 0 ? to : NULL;
        }
        case TYPE_LIST: {
                const Type *element = type_instantiate(u, t->element, names);
                return element ? type_list(u->arena, element) : NULL;
        }
        case TYPE_MAP: {
                const Type *key = type_instantiate(u, t->key, names), *value = key ? type_instantiate(u, t->element, names) : NULL;
                return value ? type_map(u->arena, key, value) : NULL;
        }
        default: {
                TypeFields fields = {};
                for (uint32_t i = 0; i < t->n_fields; i++) {
                        TypeField f = { t->fields[i].name, type_instantiate(u, t->fields[i].type, names) };
                        if (!f.type || AST_PUSH(u->scratch, &fields, f) < 0)
                                return NULL;
                }
                if (t->kind == TYPE_STRUCT)
                        return type_struct(u->arena, fields.items, fields.n);
                const Type *result = t->element ? type_instantiate(u, t->element, names) : NULL;
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
        uint32_t root = type_find(u, t->variable);
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
                uint32_t a = expect->kind == TYPE_UNKNOWN ? type_find(u, expect->variable) : UINT32_MAX;
                uint32_t b = actual->kind == TYPE_UNKNOWN ? type_find(u, actual->variable) : UINT32_MAX;
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

static const Type *resolve(Unify *u, const Type *t, unsigned depth, bool *ret_known, Measure *ret_measure) {
        Measure all = {}, part = {};

        *ret_measure = (Measure) { 0, 1 };
        if (depth > UNIFY_DEPTH_MAX)
                return NULL;
        if (t->kind == TYPE_UNKNOWN) {
                uint32_t root = type_find(u, t->variable);
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

const Type *type_resolve(Unify *u, const Type *t, bool *ret_known) {
        Measure measure;

        return resolve(u, t, 0, ret_known, &measure);
}

int type_unify(Unify *u, const Type *expect, const Type *actual, Diag *reterr) {
        return unify(u, expect, actual, 0, reterr);
}
