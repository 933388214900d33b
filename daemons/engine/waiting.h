/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Why a vertex does not go on: all that stands in its way now, not only what it happened to meet first. */

#include <stdint.h>

#include "daemons/engine/vertex.h"

enum { WAITING_MAX = 100 };             /* predecessors that are told; there may be thousands */

/* why is one of
 *
 *      resource    what has to be right before: "kind[name]"
 *      semaphore   its id
 *      watch       of this member of the group, which is not armed yet: "kind[name]"
 *      service     what the kind waits for, in its own words
 *      limit       Meta:limit lets no event through yet
 *      delay       before another try
 *      attempt     is under way: at which member
 *      turn        it will be looked at as soon as the loop comes to it
 *
 * Both texts are borrowed. */
typedef int (*waiting_tell_t)(const char *why, const char *what, void *userdata);

/* root: of a group. Returns what tell returned, if that is negative. */
int waiting_tell(Vertex *root, waiting_tell_t tell, void *userdata);

/* CLOCK_REALTIME in µs at which a timer lets it go on; 0: none runs. */
uint64_t waiting_until(const Vertex *root);
