/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The engine's listening socket. mgmt-lang sends changes of the graph over it (GRAPH_…), others listen to events. */

#include "common/macro.h"

typedef struct GraphLink GraphLink;
typedef struct Manager Manager;

/* fd: the inherited socket; taken over. */
int graph_link_new(GraphLink **ret, Manager *m, int fd);
GraphLink *graph_link_free(GraphLink *l);
DEFINE_CLEANUP(GraphLink *, graph_link_free)

/* Resources have failed, or the graph has converged, or neither any more: who sent it is told. */
void graph_link_state_changed(GraphLink *l);
