/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Elements of lists and maps, and iter.map and its relatives, which call a function for each of them. */

#include <errno.h>
#include <string.h>

#include "lang/build.h"
#include "lang/builtins.h"

/* ---- elements ---- */

/* An element of a list, or a value of a map, as it is now. Where there is none any more nothing happens: whoever made this node
 * is about to drop it. */
typedef struct ElementNode {
        Node node;
        uint32_t index;
        Value key;              /* of a map, or nil */
} ElementNode;

static int element_run(FuncGraph *g, Node *n) {
        const ElementNode *e = (ElementNode *) n;
        Value all = n->in[0].from->value;

        if (all.kind == TYPE_MAP) {
                const Value *v = value_map_get(all, e->key);
                if (v)
                        node_set(g, n, value_ref(*v));
        } else if (e->index < all.l->n)
                node_set(g, n, value_ref(all.l->items[e->index]));
        return 0;
}

static void element_done(FuncGraph *g, Node *n) {
        value_done(&((ElementNode *) n)->key);
}

static const NodeType element_type = {
        .name = "element", .size = sizeof(ElementNode), .run = element_run, .done = element_done,
};

int make_element(FuncGraph *g, Node *all, uint32_t index, const Value *key, Pos pos, Node **ret) {
        ElementNode *e = (ElementNode *) node_new(g, &element_type, pos);
        if (!e)
                return -ENOMEM;
        e->index = index;
        if (key)
                e->key = value_ref(*key);
        *ret = &e->node;
        return node_add_input(g, &e->node, all);
}

/* iter.map and its relatives. Inputs: the lists (one or two) and the function, an initial value where there is one, then one per
 * element: what the function makes of it; for a reduction only the last one. */
typedef struct EachNode {
        Node node;
        BuiltinEach each;
        uint32_t n_lists, function, first;      /* places among the inputs */
        int initial;            /* place, or -1 */
        uint32_t n_bodies;      /* how many elements there are bodies for */
        Value built_with;
} EachNode;

static uint32_t each_length(const EachNode *e) {
        uint32_t n = UINT32_MAX;

        for (uint32_t i = 0; i < e->n_lists; i++)
                n = MIN(n, e->node.in[e->function - e->n_lists + i].from->value.l->n);
        return n;
}

static int each_body(FuncGraph *g, EachNode *e, uint32_t index, Node *accumulated, Node **ret) {
        const Closure *closure = (const Closure *) e->built_with.fn;
        Node *args[2] = {};
        uint32_t n_args = 0;

        if (accumulated)
                args[n_args++] = accumulated;
        for (uint32_t i = 0; i < e->n_lists; i++) {
                int r = make_element(g, e->node.in[e->function - e->n_lists + i].from, index, NULL, e->node.pos, &args[n_args++]);
                if (r < 0)
                        return r;
        }
        return build_body(g, closure->fn, closure->env, args, e->node.pos, ret);
}

static int each_shrink(FuncGraph *g, EachNode *e, uint32_t n) {
        while (e->n_bodies > n) {
                int r = node_set_input(g, &e->node, e->node.n_in - 1, NULL);
                if (r < 0)
                        return r;
                e->node.n_in--;
                e->n_bodies--;
        }
        return 0;
}

static int each_grow(FuncGraph *g, EachNode *e, uint32_t n) {
        while (e->n_bodies < n) {
                Node *body;
                int r = each_body(g, e, e->n_bodies, NULL, &body);
                if (r >= 0)
                        r = node_add_input(g, &e->node, body);
                if (r < 0)
                        return r;
                e->n_bodies++;
        }
        return 0;
}

/* A reduction is one chain: it is built anew for another length. */
static int each_chain(FuncGraph *g, EachNode *e, uint32_t n) {
        Node *at = e->initial >= 0 ? e->node.in[e->initial].from : NULL;
        uint32_t i = 0;
        int r = 0;

        if (e->n_bodies == n && e->node.n_in > e->first)
                return 0;
        if (!at)
                r = make_element(g, e->node.in[e->function - 1].from, i++, NULL, e->node.pos, &at);
        for (; i < n && r >= 0; i++)
                r = each_body(g, e, i, at, &at);
        if (r < 0)
                return r;
        r = e->node.n_in > e->first ? node_set_input(g, &e->node, e->first, at) : node_add_input(g, &e->node, at);
        if (r >= 0)
                e->n_bodies = n;
        return r;
}

static int each_value(const EachNode *e, Value *ret) {
        const Node *n = &e->node;
        size_t k = 0;

        _cleanup_free_ Value *items = calloc((size_t) e->n_bodies + 1, sizeof(Value));
        if (!items)
                return -ENOMEM;
        for (uint32_t i = 0; i < e->n_bodies; i++) {
                Value v = n->in[e->first + i].from->value;
                if (e->each != BUILTIN_EACH_FILTER)
                        items[k++] = value_ref(v);
                else if (v.b)
                        items[k++] = value_ref(n->in[e->function - 1].from->value.l->items[i]);
        }
        return value_list(ret, items, k);
}

static int each_fail(FuncGraph *g, EachNode *e, const char *message) {
        _cleanup_(diag_done) Diag error = {};

        diag_set(&error, e->node.pos, -EINVAL, "%s", message);
        return node_fail_with(g, &e->node, &error, false);
}

static int each_run(FuncGraph *g, Node *n) {
        EachNode *e = (EachNode *) n;
        int r;

        for (uint32_t i = 0; i < e->first; i++) {
                if (!n->in[i].from->set)
                        return 0;
                if (n->in[i].from->failure && (int) i != e->initial) {
                        node_fail(g, n, failure_ref(n->in[i].from->failure));
                        return 0;
                }
        }
        Value function = n->in[e->function].from->value;
        uint32_t length = each_length(e);
        bool reduce = e->each == BUILTIN_EACH_REDUCE;
        if (e->built_with.kind != TYPE_FUNC || e->built_with.fn != function.fn) {
                if (reduce)
                        e->n_bodies = UINT32_MAX;
                else {
                        r = each_shrink(g, e, 0);
                        if (r < 0)
                                return r;
                }
                value_done(&e->built_with);
                e->built_with = value_ref(function);
        }
        if (reduce && length == 0 && e->initial < 0)
                return each_fail(g, e, "cannot reduce an empty list without an initial value");
        if (reduce)
                r = each_chain(g, e, length);
        else {
                r = each_shrink(g, e, length);
                if (r >= 0)
                        r = each_grow(g, e, length);
        }
        if (r < 0)
                return r;
        for (uint32_t i = e->first; i < n->n_in; i++)
                if (!n->in[i].from->set)
                        return 0;
        if (n->queued)
                return 0;
        for (uint32_t i = e->first; i < n->n_in; i++)
                if (n->in[i].from->failure) {
                        node_fail(g, n, failure_ref(n->in[i].from->failure));
                        return 0;
                }
        if (reduce)
                return node_forward(g, n, n->in[e->first].from);
        Value v;
        r = each_value(e, &v);
        if (r < 0)
                return r;
        node_set(g, n, v);
        return 0;
}

static void each_done(FuncGraph *g, Node *n) {
        value_done(&((EachNode *) n)->built_with);
}

static const NodeType each_type = { .name = "each", .size = sizeof(EachNode), .run = each_run, .done = each_done, .manual = true };

int build_each(FuncGraph *g, Expr *e, Env *env, Node **ret) {
        EachNode *each = (EachNode *) node_new(g, &each_type, e->pos);
        int r = 0;

        if (!each)
                return -ENOMEM;
        each->each = e->call.callee->builtin->each;
        each->n_lists = each->each == BUILTIN_EACH_ZIP ? 2 : 1;
        each->first = e->call.args.n;
        each->function = each->first - 1;
        each->initial = each->each == BUILTIN_EACH_REDUCE && each->first == 3 ? 0 : -1;
        for (uint32_t i = 0; i < e->call.args.n && r >= 0; i++)
                r = add_part(g, &each->node, e->call.args.items[i], env);
        *ret = &each->node;
        return r;
}
