/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* For a block of vertices at a time: which other vertices are reachable from each of them, or reach it. One sweep over the graph in
 * either direction answers it for the whole block, a bit for each. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/graph.h"

enum { COMPARABLE_BLOCK = 512 };

typedef struct Comparable Comparable;

/* The graph must not change while this is used, and has no cycle. */
int comparable_new(Comparable **ret, const Graph *g);
Comparable *comparable_free(Comparable *c);
DEFINE_CLEANUP(Comparable *, comparable_free)

void comparable_load(Comparable *c, const VertexId *block, size_t n);   /* n ≤ COMPARABLE_BLOCK */

/* Whether the i-th vertex of the block reaches v, or v reaches it. */
bool comparable_get(const Comparable *c, size_t i, VertexId v);
