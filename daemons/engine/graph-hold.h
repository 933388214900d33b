/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Changes of the graph on their way in. Most are in force at once. One that would take away a resource with Meta:realize which has
 * not been right yet waits until that has succeeded once, or can be seen not to; what comes after it waits behind it. */

#include "common/change-set.h"
#include "daemons/engine/graph-swap.h"

typedef struct GraphHold GraphHold;

/* A set that had waited is in force, or (r < 0) was rejected after all. */
typedef void (*graph_hold_callback_t)(GraphHold *h, uint64_t generation, int r, const Diag *diag, void *userdata);

int graph_hold_new(GraphHold **ret, Manager *m, graph_hold_callback_t callback, void *userdata);
GraphHold *graph_hold_free(GraphHold *h);
DEFINE_CLEANUP(GraphHold *, graph_hold_free)

/* 0: it is in force. 1: it waits; its content was taken, and reterr says for whom. Negative: it was rejected. A full set takes the
 * place of all that wait. */
int graph_hold_submit(GraphHold *h, ChangeSet *set, const SwapOptions *options, Diag *reterr);

/* Some vertex is in another state. */
void graph_hold_poke(GraphHold *h);

size_t graph_hold_n(const GraphHold *h);
