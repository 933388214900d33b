/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The graph as the engine holds it, read over the bus, and in an order that does not depend on how it came to be. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"
#include "common/strbuf.h"

typedef struct sd_bus sd_bus;

enum { NO_NODE = UINT32_MAX };

/* As org.mgmt.engine1.Manager.GetGraph says them. */
enum {
        LINE_DECLARED = 1 << 0,
        LINE_AUTO = 1 << 1,
        LINE_TRANSFER = 1 << 2,
        LINE_NOTIFY = 1 << 3,
        LINE_PENDING = 1 << 4,
};

typedef struct GraphNode {
        uint32_t id;                    /* the engine's */
        char *kind, *name, *state, *error, *source;     /* owned */
        char *label;                    /* "kind[name]", fit to be shown: control characters are not in it; owned */
        int noop;
        uint64_t last_check_usec, last_apply_usec;
        uint32_t parent_id;
        uint32_t parent, root;          /* indices; parent NO_NODE: it stands for itself, and is its own root */
} GraphNode;

typedef struct GraphLine {
        uint32_t from, to;              /* ids, and then indices */
        uint32_t flags;
} GraphLine;

typedef struct GraphData {
        uint64_t generation;
        GraphNode *nodes;               /* sorted by kind and name */
        size_t n_nodes, capacity_nodes;
        GraphLine *lines;               /* sorted by from and to */
        size_t n_lines, capacity_lines;
} GraphData;

/* pattern: a glob over "kind[name]", or NULL for all. Errors have been printed. */
int graph_data_read(GraphData *ret, sd_bus *bus, const char *pattern);
void graph_data_done(GraphData *g);

/* What is drawn: lines between groups, each once, sorted. */
int graph_data_between_roots(const GraphData *g, GraphLine **ret, size_t *ret_n);

int graph_print_tree(const GraphData *g);               /* for a terminal */
int graph_write_svg(const GraphData *g, StrBuf *ret);
