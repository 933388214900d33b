/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A swap of graphs while it is being built: what graph-swap.c, the other swap-*.c, autoedge.c and autogroup.c share. */

#include <stdbool.h>
#include <stdint.h>

#include "common/change-set.h"
#include "daemons/engine/graph-swap.h"
#include "daemons/engine/vertex.h"

/* What is to become of one vertex. A large change makes thousands of them; what most need comes first. */
typedef struct SwapEntry {
        Vertex *vertex;
        bool added, removed;
        bool touched;           /* edges into it are others */
        bool source;            /* edges out of it are others */
        bool restart;           /* must be stopped and started although it is the same */
        bool reversal;          /* it is, or will be, one: see swap-reversals.h */
        bool grouped;           /* parent says what will be */
        bool exports;           /* its twins are others */
        bool rewired;           /* something of it is received anew, or no more */
        bool wants;             /* autoedge looks at it again */
        bool has_serials;       /* those before the swap are kept here */
        bool has_receives, has_auto_edges;
        uint32_t n_before;      /* added ones: how many of those before it are, too */
        Resource *replacement;  /* owned until it is put in place; NULL: the one it has stays */
        uint64_t spec_hash;     /* of the replacement; 0: it was not declared */
        Vertex *parent;
        AutoEdge *auto_edges;   /* the new list, if has_auto_edges */
        size_t n_auto_edges, capacity_auto_edges;
        uint32_t offer_serial, want_serial;
        Receive *receives;      /* the new list, if has_receives */
        size_t n_receives, capacity_receives;
        Resource **twins;       /* of the replacement; owned until they are put in place */
        size_t n_twins;
} SwapEntry;

typedef struct EdgeUndo {
        VertexId a, b;
        uint32_t data;
        bool existed;
} EdgeUndo;

/* Declared as before, but at another place. */
typedef struct Moved {
        Resource *resource;
        const Pos *pos;         /* the change set's */
} Moved;

typedef struct Swap {
        Manager *manager;
        const SwapOptions *options;
        uint64_t number;
        VertexId *declared;     /* by place in the set; see swap-memo.h */
        uint64_t edges_hash;    /* of all edges of a whole graph */
        Moved *moved;
        size_t n_moved, capacity_moved;
        const struct KindSet *last_kind;        /* of the end of an edge that was looked for last */
        struct Arena *arena;    /* of the entries; NULL while there are none */
        SwapEntry **entries;
        size_t n_entries, capacity_entries;
        EdgeUndo *undo;
        size_t n_undo, capacity_undo;
        size_t n_new_edges;
        bool reindexed;         /* autoedge began anew */
        Vertex **neighbours;    /* to be looked at again, see swap-neighbours.h */
        size_t n_neighbours, capacity_neighbours;
} Swap;

/* The entry of a vertex, made on demand; NULL if out of memory. */
SwapEntry *swap_entry(Swap *s, Vertex *v);

/* Makes what the spec says and validates it, as part of the deploy (noop, the semaphore of all). */
int swap_build_resource(Swap *s, const ResourceSpec *spec, Resource **ret, Diag *reterr);

/* Enters a vertex that was not there; takes the resource. Its entry is the last one then. */
int swap_put_new(Swap *s, Resource *r, uint64_t spec_hash);

/* The resource a vertex will have. */
static inline Resource *swap_resource(const Vertex *v) {
        return v->swap && v->swap->replacement ? v->swap->replacement : v->resource;
}

/* Changes of edges that can be undone. data 0 removes. */
int swap_edge(Swap *s, VertexId a, VertexId b, uint32_t data);

/* swap-commit.c: puts everything in place, stops and starts what has to be. Negative: all was done, but some stand alone for want of
 * memory that should be in a group. */
int swap_commit(Swap *s);
