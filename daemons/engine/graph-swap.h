/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Takes a change set over into the running graph. Everything is built, validated, grouped and checked for cycles first; if
 * anything is wrong, the set is rejected as a whole and nothing has happened. Then only those vertices that differ are stopped
 * and started; the rest keeps running. */

#include <stdbool.h>
#include <stdint.h>

#include "common/change-set.h"
#include "daemons/engine/vertex.h"

typedef struct SwapOptions {
        uint64_t deploy;
        bool noop;
        uint32_t sema;          /* 0: no limit */
        bool autoedge, autogroup;
} SwapOptions;

int graph_swap(Manager *m, const ChangeSet *set, const SwapOptions *options, Diag *reterr);

/* The same, but -EBUSY if it would take away or replace a resource with Meta:realize that was not right yet and may soon be. Then
 * *ret_holder is its vertex. See graph-hold.h. */
int graph_swap_unless_held(Manager *m, const ChangeSet *set, const SwapOptions *options, const Vertex **ret_holder, Diag *reterr);
bool graph_holds(const Vertex *v);

/* Stops and frees every vertex; for shutdown. */
void graph_clear(Manager *m);
