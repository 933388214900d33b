/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "daemons/engine/swap.h"

/* Brings the graph's edges to what the change set says; its vertices are there already. */
int swap_build_edges(Swap *s, const ChangeSet *set, Diag *reterr);

/* The list of values v will receive, open for changes: SwapEntry.receives. empty: what it has now does not count. */
int swap_open_receives(Swap *s, Vertex *v, bool empty, SwapEntry **ret);

/* Takes everything back that swap_edge() did, whoever called it. */
void swap_undo_edges(Swap *s);
