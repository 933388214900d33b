/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Edges that follow from what resources are: a file in a directory comes after the directory. Each vertex offers identities
 * (domain and key) and wants others; an index by identity holds both sides, so a change of the graph only looks at those whose
 * offers or wants it touches. */

#include "daemons/engine/swap.h"

typedef struct UidIndex UidIndex;

int uid_index_new(UidIndex **ret);
UidIndex *uid_index_free(UidIndex *u);
DEFINE_CLEANUP(UidIndex *, uid_index_free)

/* Brings the derived edges up to what the vertices will be after the swap. */
int autoedge_update(Swap *s, Diag *reterr);

/* After a rejected swap: the index knows the running resources again. */
void autoedge_restore(Swap *s);
