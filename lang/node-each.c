/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Elements of lists and maps, and iter.map and its relatives, which call a function for each of them. */

#include <errno.h>
#include <string.h>

#include "lang/build.h"
#include "lang/builtins.h"

/* ---- elements ---- */

/* An element of a list, or the value of a key of a map. It is set by the node below, which sees what changed; it runs only when it
 * is new, or when the list has failed. Where there is none any more it keeps what it was: whoever made it is about to drop it. */
typedef struct ElementNode {
        Node node;
        uint32_t position;      /* in the list, or in the map as it is now; NOWHERE once its key is gone */
} ElementNode;

#define NOWHERE UINT32_MAX

/* All elements that one owner has of one list or map. What changes costs one comparison of the list before with the list now, not
 * a visit to every element. */
typedef struct ElementsNode {
        Node node;
        Value now;
        ElementNode **items;    /* owned; by position, NULL where nobody asked */
        uint32_t n, capacity;
} ElementsNode;

static Value value_at(const ElementsNode *all, uint32_t position) {
        return all->now.kind == TYPE_MAP ? all->now.m->items[position].value : value_list_at(all->now.l, position);
}

static void touch(FuncGraph *g, const ElementsNode *all, uint32_t position) {
        if (all->items[position] && all->items[position]->node.set)
                node_set(g, &all->items[position]->node, value_ref(value_at(all, position)));
}

static int room_for(ElementsNode *all, uint32_t n) {
        if (n > all->capacity) {
                uint32_t capacity = MAX(n, all->capacity * 2);
                ElementNode **items = reallocarray(all->items, capacity, sizeof(ElementNode *));
                if (!items)
                        return -ENOMEM;
                memset(items + all->capacity, 0, (capacity - all->capacity) * sizeof(ElementNode *));
                all->items = items;
                all->capacity = capacity;
        }
        all->n = MAX(all->n, n);
        return 0;
}

static int sync_list(FuncGraph *g, ElementsNode *all, Value now) {
        Value old = all->now;
        uint32_t both = old.kind == TYPE_LIST ? MIN(old.l->n, now.l->n) : 0;
        int r = room_for(all, now.l->n);

        if (r < 0)
                return r;
        all->now = value_ref(now);
        for (uint32_t i = 0; both > 0 && (i = value_list_difference(old.l, now.l, i)) < both; i++)
                touch(g, all, i);
        for (uint32_t i = both; i < now.l->n; i++)
                touch(g, all, i);
        value_done(&old);
        return 0;
}

static bool same_keys(const ValueMap *a, const ValueMap *b) {
        if (a->n != b->n)
                return false;
        for (uint32_t i = 0; i < a->n; i++)
                if (!value_same(a->items[i].key, b->items[i].key))
                        return false;
        return true;
}

/* Both maps are sorted by key: one pass tells where each element is now. */
static int move_elements(ElementsNode *all, const ValueMap *old, const ValueMap *now) {
        ElementNode **items = calloc((size_t) now->n + 1, sizeof(ElementNode *));
        uint32_t k = 0;

        if (!items)
                return -ENOMEM;
        for (uint32_t i = 0; i < now->n; i++) {
                while (k < old->n && value_compare(old->items[k].key, now->items[i].key) < 0) {
                        if (all->items[k])
                                all->items[k]->position = NOWHERE;
                        k++;
                }
                if (k < old->n && value_compare(old->items[k].key, now->items[i].key) == 0) {
                        items[i] = all->items[k++];
                        if (items[i])
                                items[i]->position = i;
                }
        }
        for (; k < old->n; k++)
                if (all->items[k])
                        all->items[k]->position = NOWHERE;
        free(all->items);
        all->items = items;
        all->n = now->n;
        all->capacity = now->n + 1;
        return 0;
}

static int sync_map(FuncGraph *g, ElementsNode *all, Value now) {
        Value old = all->now;
        bool in_place = old.kind == TYPE_MAP && same_keys(old.m, now.m);       /* so that positions can be compared */
        int r = 0;

        if (old.kind != TYPE_MAP)
                r = room_for(all, now.m->n);
        else if (!in_place)
                r = move_elements(all, old.m, now.m);
        if (r < 0)
                return r;
        all->now = value_ref(now);
        for (uint32_t i = 0; i < now.m->n; i++)
                if (!in_place || !value_same(old.m->items[i].value, now.m->items[i].value))
                        touch(g, all, i);
        value_done(&old);
        return 0;
}

int elements_sync(FuncGraph *g, Node *n) {
        ElementsNode *all = (ElementsNode *) n;
        Value now = n->in[0].from->value;

        if (all->now.kind == now.kind && all->now.l == now.l)
                return 0;
        return now.kind == TYPE_MAP ? sync_map(g, all, now) : sync_list(g, all, now);
}

static int elements_run(FuncGraph *g, Node *n) {
        int r = elements_sync(g, n);

        if (r >= 0)
                node_set(g, n, VALUE_NIL);
        return r;
}

static void elements_done(FuncGraph *g, Node *n) {
        ElementsNode *all = (ElementsNode *) n;

        value_done(&all->now);
        free(all->items);
}

static const NodeType elements_type = {
        .name = "elements", .size = sizeof(ElementsNode), .run = elements_run, .done = elements_done,
};

int make_elements(FuncGraph *g, Node *list, Pos pos, Node **ret) {
        Node *n = node_new(g, &elements_type, pos);
        if (!n)
                return -ENOMEM;

        int r = node_add_input(g, n, list);
        *ret = n;
        return r < 0 ? r : elements_run(g, n);
}

static int element_run(FuncGraph *g, Node *n) {
        const ElementsNode *all = (ElementsNode *) n->in[0].from;
        uint32_t position = ((ElementNode *) n)->position;

        if (position != NOWHERE && position < (all->now.kind == TYPE_MAP ? all->now.m->n : all->now.l->n))
                node_set(g, n, value_ref(value_at(all, position)));
        return 0;
}

static void element_done(FuncGraph *g, Node *n) {
        uint32_t position = ((ElementNode *) n)->position;

        if (position == NOWHERE)
                return;
        ElementNode **item = &((ElementsNode *) n->in[0].from)->items[position];
        if (*item == (ElementNode *) n)         /* a reduction is built anew before the old one goes */
                *item = NULL;
}

static const NodeType element_type = {
        .name = "element", .size = sizeof(ElementNode), .run = element_run, .done = element_done,
};

int make_element(FuncGraph *g, Node *elements, uint32_t position, Pos pos, Node **ret) {
        ElementsNode *all = (ElementsNode *) elements;
        ElementNode *e = (ElementNode *) node_new(g, &element_type, pos);
        if (!e)
                return -ENOMEM;

        e->position = NOWHERE;
        int r = node_add_input(g, &e->node, elements);
        if (r < 0)
                return r;
        e->position = position;
        all->items[position] = e;
        *ret = &e->node;
        return 0;
}

/* iter.map and its relatives. Inputs: the lists (one or two) and the function, an initial value where there is one, then what the
 * function makes of the elements: a list of that, or of those to which it says yes; for a reduction what it makes of the last one. */
typedef struct EachNode {
        Node node;
        BuiltinEach each;
        uint32_t n_lists, function, first;      /* places among the inputs */
        int initial;            /* place, or -1 */
        uint32_t n_bodies;      /* how many elements there are bodies for */
        Value built_with;
        Node *elements[2];      /* of each list; held, NULL until there is one */
} EachNode;

static uint32_t each_length(const EachNode *e) {
        uint32_t n = UINT32_MAX;

        for (uint32_t i = 0; i < e->n_lists; i++)
                n = MIN(n, e->node.in[e->function - e->n_lists + i].from->value.l->n);
        return n;
}

/* In *ret_element, which may be NULL, is the element of the last list. */
static int each_body(FuncGraph *g, EachNode *e, uint32_t index, Node *accumulated, Node **ret_element, Node **ret) {
        const Closure *closure = (const Closure *) e->built_with.fn;
        Node *args[2] = {};
        uint32_t n_args = 0;

        if (accumulated)
                args[n_args++] = accumulated;
        for (uint32_t i = 0; i < e->n_lists; i++) {
                int r = make_element(g, e->elements[i], index, e->node.pos, &args[n_args++]);
                if (r < 0)
                        return r;
        }
        if (ret_element)
                *ret_element = args[n_args - 1];
        return build_body(g, closure->fn, closure->env, args, e->node.pos, ret);
}

static void drop_elements(FuncGraph *g, EachNode *e) {
        value_done(&e->built_with);
        for (uint32_t i = 0; i < ELEMENTSOF(e->elements); i++)
                node_drop(g, TAKE_PTR(e->elements[i]));
}

/* What is behind the function. */
static int drop_bodies(FuncGraph *g, EachNode *e) {
        e->n_bodies = 0;
        if (e->node.n_in <= e->first)
                return 0;
        int r = node_set_input(g, &e->node, e->first, NULL);
        if (r >= 0)
                e->node.n_in = e->first;
        return r;
}

static int set_result(FuncGraph *g, EachNode *e, Node *result) {
        return e->node.n_in > e->first ? node_set_input(g, &e->node, e->first, result) : node_add_input(g, &e->node, result);
}

static int filter_bodies(FuncGraph *g, EachNode *e, uint32_t n) {
        Node *filter = NULL, *body;
        int r = 0;

        if (e->node.n_in > e->first)
                filter = e->node.in[e->first].from;
        else {
                r = make_filter(g, e->node.pos, &filter);
                if (r >= 0)
                        r = set_result(g, e, filter);
        }
        if (e->n_bodies > n && r >= 0) {
                r = filter_truncate(g, filter, n);
                if (r >= 0)
                        e->n_bodies = n;
                node_queue(g, &e->node);
        }
        while (e->n_bodies < n && r >= 0) {
                Node *element = NULL;
                r = each_body(g, e, e->n_bodies, NULL, &element, &body);
                if (r >= 0)
                        r = filter_append(g, filter, body, element);
                if (r >= 0)
                        e->n_bodies++;
                node_queue(g, &e->node);
        }
        return r;
}

/* The list that is the result comes or goes with its elements, and takes its turn before this node has another. */
static int map_bodies(FuncGraph *g, EachNode *e, uint32_t n) {
        Node *list = NULL, *body;
        int r = 0;

        if (e->node.n_in > e->first)
                list = e->node.in[e->first].from;
        else {
                r = make_list(g, e->node.pos, &list);
                if (r >= 0)
                        r = set_result(g, e, list);
        }
        if (e->n_bodies > n && r >= 0) {
                r = list_truncate(g, list, n, &list);
                if (r >= 0)
                        r = set_result(g, e, list);
                if (r >= 0)
                        e->n_bodies = n;
                node_queue(g, &e->node);
        }
        while (e->n_bodies < n && r >= 0) {
                r = each_body(g, e, e->n_bodies, NULL, NULL, &body);
                if (r >= 0)
                        r = list_append(g, list, e->n_bodies, body, &list);
                if (r >= 0)
                        r = set_result(g, e, list);
                if (r >= 0)
                        e->n_bodies++;
                node_queue(g, &e->node);
        }
        return r;
}

/* A reduction is one chain: it is built anew for another length. */
static int each_chain(FuncGraph *g, EachNode *e, uint32_t n) {
        Node *at = e->initial >= 0 ? e->node.in[e->initial].from : NULL;
        uint32_t i = 0;
        int r = 0;

        if (e->n_bodies == n && e->node.n_in > e->first)
                return 0;
        if (!at)
                r = make_element(g, e->elements[0], i++, e->node.pos, &at);
        for (; i < n && r >= 0; i++)
                r = each_body(g, e, i, at, NULL, &at);
        if (r < 0)
                return r;
        r = set_result(g, e, at);
        if (r >= 0)
                e->n_bodies = n;
        return r;
}

/* What the bodies take their elements from, as the lists are now. */
static int each_elements(FuncGraph *g, EachNode *e) {
        int r = 0;

        for (uint32_t i = 0; i < e->n_lists && r >= 0; i++)
                if (e->elements[i])
                        r = elements_sync(g, e->elements[i]);
                else {
                        r = make_elements(g, e->node.in[e->function - e->n_lists + i].from, e->node.pos, &e->elements[i]);
                        if (r >= 0)
                                node_hold(e->elements[i]);
                        else
                                e->elements[i] = NULL;
                }
        return r;
}

static int each_fail(FuncGraph *g, EachNode *e, const char *message) {
        _cleanup_(diag_done) Diag error = {};

        diag_set(&error, e->node.pos, -EINVAL, "%s", message);
        return node_fail_with(g, &e->node, &error, false);
}

static int each_run(FuncGraph *g, Node *n) {
        EachNode *e = (EachNode *) n;
        int r;

        /* What is wrong with the initial value comes by way of the bodies, which may catch it. */
        if (!node_ready(g, n, e->function - e->n_lists, e->first)) {
                drop_elements(g, e);
                return drop_bodies(g, e);
        }
        r = each_elements(g, e);
        if (r < 0)
                return r;
        Value function = n->in[e->function].from->value;
        uint32_t length = each_length(e);
        bool reduce = e->each == BUILTIN_EACH_REDUCE, filter = e->each == BUILTIN_EACH_FILTER;
        if (e->built_with.kind != TYPE_FUNC || e->built_with.fn != function.fn) {
                r = drop_bodies(g, e);
                if (r < 0)
                        return r;
                value_done(&e->built_with);
                e->built_with = value_ref(function);
        }
        if (reduce && length == 0 && e->initial < 0) {
                r = drop_bodies(g, e);
                return r < 0 ? r : each_fail(g, e, "cannot reduce an empty list without an initial value");
        }
        r = reduce ? each_chain(g, e, length) : filter ? filter_bodies(g, e, length) : map_bodies(g, e, length);
        if (r < 0)
                return r;
        if (n->queued || !node_ready(g, n, e->first, n->n_in))
                return 0;
        return node_forward(g, n, n->in[e->first].from);
}

static void each_done(FuncGraph *g, Node *n) {
        drop_elements(g, (EachNode *) n);
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
