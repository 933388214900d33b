/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A graph is no tree: what several come before is printed below the first of them, and named below the others. A row of resources, each
 * the only one after the one before, stays at its depth; what would stand too far to the right is printed by itself later. */

#include <stdio.h>

#include "daemons/mgmtctl/graph-data.h"
#include "daemons/mgmtctl/output.h"

enum { DEPTH_MAX = 12 };

typedef struct Tree {
        const GraphData *data;
        GraphLine *lines;               /* between roots */
        size_t n_lines;
        size_t *begin;                  /* of the lines from each node */
        uint32_t *n_before;
        size_t *members;                /* of each root: the first in member_list */
        uint32_t *member_list;
        bool *printed;
        uint32_t *later;                /* to be printed by themselves */
        size_t n_later;
} Tree;

static void tree_done(Tree *t) {
        free(t->lines);
        free(t->begin);
        free(t->n_before);
        free(t->members);
        free(t->member_list);
        free(t->printed);
        free(t->later);
}

static int tree_init(Tree *t, const GraphData *g) {
        int r;

        *t = (Tree) { .data = g };
        r = graph_data_between_roots(g, &t->lines, &t->n_lines);
        if (r < 0)
                return r;
        t->begin = calloc(g->n_nodes + 2, sizeof(*t->begin));
        t->n_before = calloc(g->n_nodes + 1, sizeof(*t->n_before));
        t->members = calloc(g->n_nodes + 2, sizeof(*t->members));
        t->member_list = calloc(g->n_nodes + 1, sizeof(*t->member_list));
        t->printed = calloc(g->n_nodes + 1, sizeof(*t->printed));
        t->later = calloc(g->n_nodes + 1, sizeof(*t->later));
        if (!t->begin || !t->n_before || !t->members || !t->member_list || !t->printed || !t->later)
                return -ENOMEM;
        for (size_t i = 0; i < t->n_lines; i++) {
                t->begin[t->lines[i].from + 1]++;
                t->n_before[t->lines[i].to]++;
        }
        for (size_t i = 0; i < g->n_nodes; i++) {
                t->begin[i + 1] += t->begin[i];
                if (g->nodes[i].root != i)
                        t->members[g->nodes[i].root + 2]++;
        }
        for (size_t i = 2; i < g->n_nodes + 2; i++)
                t->members[i] += t->members[i - 1];
        for (size_t i = 0; i < g->n_nodes; i++)
                if (g->nodes[i].root != i)
                        t->member_list[t->members[g->nodes[i].root + 1]++] = (uint32_t) i;
        return 0;
}

static const char *line_words(uint32_t flags) {
        if (flags & LINE_PENDING)
                return "  notified, and has not acted yet";
        if (flags & LINE_NOTIFY)
                return flags & LINE_TRANSFER ? "  receives, notified" : "  notified";
        if (flags & LINE_TRANSFER)
                return "  receives";
        return flags & LINE_DECLARED ? "" : "  automatic";
}

/* prefix: before the branch; branch: how it hangs there. */
static void print_node(Tree *t, uint32_t i, const char *prefix, const char *branch, uint32_t flags, const char *note) {
        const GraphNode *n = &t->data->nodes[i];

        output_line({ OUTPUT_DIM, prefix }, { OUTPUT_DIM, branch }, { OUTPUT_BOLD, n->label }, { NULL, "  " },
                    { output_state_color(n->state), n->state }, { OUTPUT_DIM, line_words(flags) }, { OUTPUT_DIM, note });
}

static void print_members(const Tree *t, uint32_t i, const char *prefix) {
        for (size_t k = t->members[i]; k < t->members[i + 1]; k++)
                output_line({ OUTPUT_DIM, prefix }, { OUTPUT_DIM, "  + " }, { NULL, t->data->nodes[t->member_list[k]].label });
}

static size_t n_after(const Tree *t, uint32_t i) {
        return t->begin[i + 1] - t->begin[i];
}

static void print_below(Tree *t, uint32_t i, const char *prefix, unsigned depth);

/* One that hangs below another, with all below it. */
static void print_branch(Tree *t, const GraphLine *line, bool last, const char *prefix, unsigned depth) {
        _cleanup_free_ char *deeper = NULL;
        uint32_t i = line->to;

        if (t->printed[i]) {
                print_node(t, i, prefix, last ? "└─ " : "├─ ", line->flags, "  (above)");
                return;
        }
        if (depth >= DEPTH_MAX) {
                print_node(t, i, prefix, last ? "└─ " : "├─ ", line->flags, "  (below)");
                t->printed[i] = true;
                t->later[t->n_later++] = i;
                return;
        }
        t->printed[i] = true;
        print_node(t, i, prefix, last ? "└─ " : "├─ ", line->flags, "");
        if (asprintf(&deeper, "%s%s", prefix, last ? "   " : "│  ") < 0) {
                deeper = NULL;
                return;
        }
        print_members(t, i, deeper);
        print_below(t, i, deeper, depth + 1);
}

static void print_below(Tree *t, uint32_t i, const char *prefix, unsigned depth) {
        while (n_after(t, i) == 1) {
                const GraphLine *line = &t->lines[t->begin[i]];

                if (t->n_before[line->to] != 1 || t->printed[line->to])
                        break;
                i = line->to;
                t->printed[i] = true;
                print_node(t, i, prefix, "↓ ", line->flags, "");
                print_members(t, i, prefix);
        }
        for (size_t k = t->begin[i]; k < t->begin[i + 1]; k++)
                print_branch(t, &t->lines[k], k + 1 == t->begin[i + 1], prefix, depth);
}

static void print_top(Tree *t, uint32_t i) {
        t->printed[i] = true;
        print_node(t, i, "", "", LINE_DECLARED, "");
        print_members(t, i, "");
        print_below(t, i, "", 0);
}

int graph_print_tree(const GraphData *g) {
        _cleanup_(tree_done) Tree t;
        size_t done = 0;
        int r;

        r = tree_init(&t, g);
        if (r < 0)
                return r;
        for (uint32_t i = 0; i < g->n_nodes; i++)
                if (g->nodes[i].root == i && t.n_before[i] == 0) {
                        print_top(&t, i);
                        for (; done < t.n_later; done++)
                                print_top(&t, t.later[done]);
                }
        return 0;
}
