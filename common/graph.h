/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A directed graph of dense integer ids, with adjacency in both directions. It knows nothing of what its vertices are. Ids of
 * removed vertices are used again. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

typedef uint32_t VertexId;
#define VERTEX_NONE UINT32_MAX

typedef struct GraphEdge {
        VertexId peer;
        uint32_t data;          /* the user's; the same number at both ends */
} GraphEdge;

typedef struct GraphAdjacency {
        GraphEdge *items;
        uint32_t n, capacity;
} GraphAdjacency;

typedef struct Graph Graph;

Graph *graph_new(void);
Graph *graph_free(Graph *g);
DEFINE_CLEANUP(Graph *, graph_free)

int graph_add_vertex(Graph *g, VertexId *ret);
void graph_remove_vertex(Graph *g, VertexId v);                 /* and its edges */
bool graph_has_vertex(const Graph *g, VertexId v);
size_t graph_n_vertices(const Graph *g);
size_t graph_n_edges(const Graph *g);
VertexId graph_id_limit(const Graph *g);                        /* ids are below this */

/* At most one edge per ordered pair: 1 if it was new, 0 if data of an existing one was replaced, -EINVAL for a == b. */
int graph_add_edge(Graph *g, VertexId a, VertexId b, uint32_t data);
bool graph_remove_edge(Graph *g, VertexId a, VertexId b);
bool graph_find_edge(const Graph *g, VertexId a, VertexId b, uint32_t *ret_data);

/* The edge will be asked for, or added: what that needs is fetched from memory meanwhile. */
void graph_prefetch(const Graph *g, VertexId a, VertexId b);

const GraphAdjacency *graph_successors(const Graph *g, VertexId v);     /* borrowed until the next change */
const GraphAdjacency *graph_predecessors(const Graph *g, VertexId v);

/* Order in which every vertex comes after its predecessors; ties by id, so it is deterministic. *ret has
 * graph_n_vertices() ids and is the caller's. -ELOOP if there is a cycle. O(V + E). */
int graph_topological_order(const Graph *g, VertexId **ret);

/* One cycle, closed (first == last), deterministic. -ENOENT if there is none. */
int graph_find_cycle(const Graph *g, VertexId **ret, size_t *ret_n);

bool graph_reaches(const Graph *g, VertexId from, VertexId to);         /* by at least one edge. O(V + E) */
/* By at least one edge as well: from and to are its first and last vertex, even where they are the same. */
