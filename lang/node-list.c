/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Lists of what other nodes give. The nodes stand as the parts of the list do (common/value.h): if one item becomes another, or one
 * more comes at the end, only those parts are made anew in which it stands. */

#include <assert.h>
#include <errno.h>

#include "lang/build.h"

/* Inputs: the items, or the parts, each a ListNode that is lower by one. */
typedef struct ListNode {
        Node node;
        uint32_t height;
        bool whole;             /* what stands for the list, and not for a part of it */
} ListNode;

static uint64_t full_size(uint32_t height) {
        return (uint64_t) VALUE_LIST_PART << (VALUE_LIST_BITS * height);
}

/* How many items one input stands for. */
static uint32_t step_of(uint32_t height) {
        return height > 0 ? (uint32_t) full_size(height - 1) : 1;
}

static int list_run(FuncGraph *g, Node *n) {
        const ListNode *l = (ListNode *) n;
        Value values[VALUE_LIST_PART], v = VALUE_NIL;
        int r;

        assert(n->n_in <= VALUE_LIST_PART);
        for (uint32_t i = 0; i < n->n_in; i++)
                values[i] = l->height > 0 ? n->in[i].from->value : value_ref(n->in[i].from->value);
        r = l->height > 0 ? value_list_join(&v, values, n->n_in) : value_list(&v, values, n->n_in);
        return node_set_made(g, n, r, v, l->whole);
}

static const NodeType written_type = { .name = "list", .size = sizeof(ListNode), .run = list_run };

/* They may run twice in a wave: once for their items, and again if whoever makes the items sees then that there are fewer or more. */
static const NodeType growing_type = { .name = "growing list", .size = sizeof(ListNode), .run = list_run };

static ListNode *list_new(FuncGraph *g, const NodeType *type, uint32_t height, Pos pos) {
        ListNode *l = (ListNode *) node_new(g, type, pos);

        if (l) {
                l->height = height;
                node_queue(g, &l->node);
        }
        return l;
}

/* ---- those that are written down ---- */

/* What begins at that place of the list and has room in that height. */
static int build_part(FuncGraph *g, const Expr *e, Env *env, uint32_t first, uint32_t height, Node **ret) {
        ListNode *l = list_new(g, &written_type, height, e->pos);
        uint32_t end = (uint32_t) MIN(first + full_size(height), (uint64_t) e->list.n), step = step_of(height);
        int r = l ? 0 : -ENOMEM;

        for (uint32_t i = first; i < end && r >= 0; i += step) {
                Node *part;
                r = height > 0 ? build_part(g, e, env, i, height - 1, &part) : build_expr(g, e->list.items[i], env, &part);
                if (r >= 0)
                        r = node_add_input(g, &l->node, part);
        }
        if (r < 0)
                return r;
        l->whole = end - first == e->list.n;
        *ret = &l->node;
        return node_fold(g, *ret);
}

int build_list(FuncGraph *g, const Expr *e, Env *env, Node **ret) {
        uint32_t height = 0;

        while (full_size(height) < e->list.n)
                height++;
        return build_part(g, e, env, 0, height, ret);
}

/* ---- those that grow and shrink ---- */

int make_list(FuncGraph *g, Pos pos, Node **ret) {
        ListNode *l = list_new(g, &growing_type, 0, pos);

        if (!l)
                return -ENOMEM;
        l->whole = true;
        *ret = &l->node;
        return 0;
}

/* One item, in parts down from that height. */
static int make_part(FuncGraph *g, Node *item, uint32_t height, Pos pos, Node **ret) {
        for (uint32_t h = 0; h <= height; h++) {
                ListNode *l = list_new(g, &growing_type, h, pos);
                int r = l ? node_add_input(g, &l->node, item) : -ENOMEM;
                if (r < 0)
                        return r;
                item = &l->node;
        }
        *ret = item;
        return 0;
}

int list_append(FuncGraph *g, Node *list, uint32_t n, Node *item, Node **ret) {
        ListNode *l = (ListNode *) list;
        Node *part;
        int r;

        *ret = list;
        if (n == full_size(l->height)) {
                ListNode *higher = list_new(g, &growing_type, l->height + 1, list->pos);
                r = higher ? node_add_input(g, &higher->node, list) : -ENOMEM;
                if (r < 0)
                        return r;
                higher->whole = true;
                l->whole = false;
                *ret = &higher->node;
                l = higher;
        }
        while (l->height > 0 && n % full_size(l->height - 1) != 0)
                l = (ListNode *) l->node.in[l->node.n_in - 1].from;
        if (l->height == 0)
                return node_add_input(g, &l->node, item);
        r = make_part(g, item, l->height - 1, list->pos, &part);
        return r < 0 ? r : node_add_input(g, &l->node, part);
}

static int trim(FuncGraph *g, ListNode *l, uint32_t n) {
        uint32_t step = step_of(l->height), keep = (n + step - 1) / step;
        Node *node = &l->node;

        if (node->n_in > keep)
                node_queue(g, node);
        while (node->n_in > keep) {
                int r = node_set_input(g, node, node->n_in - 1, NULL);
                if (r < 0)
                        return r;
                node->n_in--;
        }
        return l->height > 0 ? trim(g, (ListNode *) node->in[keep - 1].from, n - (keep - 1) * step) : 0;
}

int list_truncate(FuncGraph *g, Node *list, uint32_t n, Node **ret) {
        ListNode *l = (ListNode *) list;

        while (l->height > 0 && n <= full_size(l->height - 1))
                l = (ListNode *) l->node.in[0].from;
        l->whole = true;
        *ret = &l->node;
        return trim(g, l, n);
}
