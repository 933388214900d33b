/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* All reversals this engine knows, by kind and name; and the way out of the graph for those that are done. What puts them into the
 * graph is swap-reversals.c. */

#include "daemons/engine/reversal.h"
#include "daemons/engine/vertex.h"

typedef struct Reversals Reversals;

/* Reads what is in the directory. A file that cannot be read is logged, and left alone. */
int reversals_open(Reversals **ret, Manager *m, const char *directory);
Reversals *reversals_free(Reversals *rs);
DEFINE_CLEANUP(Reversals *, reversals_free)

/* Before an attempt that may change something: remembers what would undo v, unless it is remembered already. The oldest counts,
 * because it is from before the first change. */
int reversals_keep(Reversals *rs, Vertex *v, Diag *reterr);

const Reversal *reversals_find(const Reversals *rs, const char *kind, const char *name);
bool reversals_next(const Reversals *rs, size_t *iterator, const Reversal **ret);
size_t reversals_n(const Reversals *rs);

/* There is nothing to be undone any more. */
void reversals_forget(Reversals *rs, const char *kind, const char *name);

/* The vertex of a reversal has succeeded: it is forgotten, and leaves the graph when the loop has nothing better to do. */
void reversals_done(Reversals *rs, const Vertex *v);
