/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The inside of the scheduler: what attempts (attempt.c) and watches (arming.c) bring a vertex to. */

#include "daemons/engine/scheduler.h"

void scheduler_set_state(Scheduler *s, Vertex *v, VertexState state);    /* and whoever shows or counts states is told */
void scheduler_wake(Scheduler *s, Vertex *v);           /* into the queue, unless it waits for what has not given way yet */
void scheduler_wake_waiters(Scheduler *s, Vertex *v);   /* v is clean now */
void scheduler_kick(Scheduler *s);                      /* after putting something in the queue */

/* Puts v in the queue of the first direct predecessor that is not clean; false if there is none. */
bool scheduler_block(Scheduler *s, Vertex *v);

/* An attempt or a watch failed, and nothing goes on at the vertex any more: retries, as long as the budget lasts. Takes the
 * content of diag. */
void scheduler_failed(Scheduler *s, Vertex *v, int32_t *budget_left, Diag *diag);
