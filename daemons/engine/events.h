/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What happens, as it happens: one stream for people and programs (MESSAGE_EVENT) and, with the same words, the log. A new
 * subscriber is first told what was kept of the recent past, so that nothing is missed between starting an engine and listening
 * to it. Events cost nothing but a place in a ring while nobody listens. */

#include <stdbool.h>
#include <stdint.h>

#include "common/ipc/channel.h"

/* Types, as they stand in EVENT.type:
 *
 *      changed     the resource was wrong and has been repaired
 *      state       its state is now EVENT.state: one of vertex_state_name(). Not sent for the steps in between (waiting for a
 *                  predecessor, running), nor for the first "ok"
 *      log         a line from the resource
 *      graph       another graph is in force, or (priority LOG_ERR) was rejected
 *      converged   EVENT.state is "true" or "false"
 *      exit        a resource asks for the end of the program; EVENT.state is the exit code */
#define EVENT_CHANGED "changed"
#define EVENT_STATE "state"
#define EVENT_LOG "log"
#define EVENT_GRAPH "graph"
#define EVENT_CONVERGED "converged"
#define EVENT_EXIT "exit"

typedef struct Events Events;

int events_new(Events **ret);
Events *events_free(Events *e);
DEFINE_CLEANUP(Events *, events_free)

/* kind and name may both be NULL; all texts are copied. A failure to remember or to send an event is not one of the caller. */
void events_emit(Events *e, const char *type, const char *kind, const char *name, int priority, const char *state, const char *text);

/* pattern: see id-pattern.h; NULL for all. A peer that subscribes again replaces what it asked before. */
int events_subscribe(Events *e, Channel *c, PeerId peer, const char *pattern);

void events_unsubscribe(Events *e, const Channel *c, PeerId peer);     /* also one that never subscribed */

unsigned events_n_subscribers(const Events *e);
