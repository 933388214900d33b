/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the last whole graph said, in the order in which it said it. A whole graph that is sent again mostly says the same in the same
 * order; then nothing is looked up, and only what comes after is new. As soon as anything else has changed the graph, it is void. */

#include "daemons/engine/swap.h"

typedef struct SwapMemo {
        VertexId *vertices;     /* of the resources; NULL: void */
        uint64_t edges_hash;    /* of all edges, in order */
        size_t n_vertices, n_edges;
} SwapMemo;

void swap_memo_done(SwapMemo *m);       /* and void from then on */

/* The vertex of the i-th resource of the set, if it is known by its place. NULL says nothing. */
Vertex *swap_memo_vertex(const Swap *s, size_t i, const ResourceSpec *spec);

/* So many of the set's edges, from the first on, are in the graph just as they are said, and no others are declared; false if that is
 * not known. The vertices of the set are there. */
bool swap_memo_edges(Swap *s, const ChangeSet *set, size_t *ret);

/* The set is in force. */
void swap_memo_keep(Swap *s, const ChangeSet *set);
