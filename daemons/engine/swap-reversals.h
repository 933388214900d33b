/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Meta:reverse, as far as a change of the graph is concerned: what goes and has a reversal does not go yet, but becomes that. */

#include "daemons/engine/swap.h"

/* Whether v is, or will be, what the program says: neither on its way out nor the reversal of something that is out. */
static inline bool swap_is_declared(const Vertex *v) {
        return v->swap ? !v->swap->removed && !v->swap->reversal : !v->reversal;
}

/* All vertices of the set are there, and those that go are marked. */
int swap_add_reversals(Swap *s, const ChangeSet *set);

/* What came later is undone first. Edges of the set are in place. */
int swap_order_reversals(Swap *s);

/* The swap is in force: what is declared without Meta:reverse shall stay. */
void swap_settle_reversals(Swap *s);
