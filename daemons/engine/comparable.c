/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reachability by bits. In topological order every vertex hands on what it has to those behind it; in the opposite order, to
 * those before it. */

#include "daemons/engine/comparable.h"

enum { WORDS = COMPARABLE_BLOCK / 64 };

typedef struct Bits {
        uint64_t down[WORDS];   /* of the block, who reaches this vertex */
        uint64_t up[WORDS];     /* of the block, whom this vertex reaches */
} Bits;

struct Comparable {
        const Graph *graph;
        VertexId *order;
        size_t n;
        Bits *bits;             /* by id */
        size_t limit;
};

int comparable_new(Comparable **ret, const Graph *g) {
        _cleanup_(comparable_freep) Comparable *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        c->graph = g;
        c->n = graph_n_vertices(g);
        c->limit = graph_id_limit(g);
        c->bits = calloc(c->limit + 1, sizeof(*c->bits));
        if (!c->bits)
                return -ENOMEM;
        r = graph_topological_order(g, &c->order);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}

Comparable *comparable_free(Comparable *c) {
        if (!c)
                return NULL;
        free(c->order);
        free(c->bits);
        free(c);
        return NULL;
}

static void add(uint64_t to[static WORDS], const uint64_t from[static WORDS]) {
        for (size_t i = 0; i < WORDS; i++)
                to[i] |= from[i];
}

void comparable_load(Comparable *c, const VertexId *block, size_t n) {
        memset(c->bits, 0, c->limit * sizeof(*c->bits));
        for (size_t i = 0; i < n; i++) {
                c->bits[block[i]].down[i / 64] |= UINT64_C(1) << i % 64;
                c->bits[block[i]].up[i / 64] |= UINT64_C(1) << i % 64;
        }
        for (size_t i = 0; i < c->n; i++) {
                const GraphAdjacency *out = graph_successors(c->graph, c->order[i]);
                for (uint32_t k = 0; k < out->n; k++)
                        add(c->bits[out->items[k].peer].down, c->bits[c->order[i]].down);
        }
        for (size_t i = c->n; i > 0; i--) {
                const GraphAdjacency *in = graph_predecessors(c->graph, c->order[i - 1]);
                for (uint32_t k = 0; k < in->n; k++)
                        add(c->bits[in->items[k].peer].up, c->bits[c->order[i - 1]].up);
        }
}

bool comparable_get(const Comparable *c, size_t i, VertexId v) {
        return (c->bits[v].down[i / 64] | c->bits[v].up[i / 64]) >> i % 64 & 1;
}
