/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Where a vertex's events come from: the watches of its members, Meta:poll in their place, the delay before a retry, and
 * Meta:limit, which holds events back. */

#include "daemons/engine/scheduler.h"

/* Prepares what was not prepared yet and starts the watches of all members. */
void arming_start(Scheduler *s, Vertex *v);

/* What a watch needs may be there by now. */
void arming_again(Scheduler *s, Vertex *v);

/* Ends watches and timers. */
void arming_stop(Scheduler *s, Vertex *v);

void arming_armed(Scheduler *s, Vertex *member);
void arming_failed(Scheduler *s, Vertex *member, int error, Diag *diag);

/* After so long, v waits no more but is looked at. */
void arming_delay(Scheduler *s, Vertex *v, uint64_t usec);
void arming_rest(Scheduler *s, Vertex *v, uint64_t usec);       /* unless that is so already, sooner */

/* Takes a token for an event: false if it has to wait for one; then v is dirty when the token is due. */
bool arming_limit(Scheduler *s, Vertex *v);
bool arming_is_limited(const Vertex *v);
