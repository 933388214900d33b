/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What this host lets others collect: resources with Meta:export, and what they are for whom: hidden ones of one name may be different
 * things for different hosts. When an attempt begins, which is when all that comes before has
 * succeeded and values have been received, the resource is said to mgmt-world; when it leaves the graph, mgmt-world hears of that.
 * That mgmt-world is away, or the cluster, is nobody's failure: it hears everything again when it is back. */

#include "common/diag.h"
#include "common/macro.h"

typedef struct Exports Exports;
typedef struct Manager Manager;
typedef struct Vertex Vertex;

int exports_new(Exports **ret, Manager *m);
Exports *exports_free(Exports *x);
DEFINE_CLEANUP(Exports *, exports_free)

/* An attempt begins; only_twins: it is one under noop. */
int exports_publish(Exports *x, const Vertex *v, bool only_twins, Diag *reterr);
void exports_forget(Exports *x, const Vertex *v);       /* it leaves the graph. x may be NULL */
void exports_graph_changed(Exports *x);                 /* a change of the graph was made */
