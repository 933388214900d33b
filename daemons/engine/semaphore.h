/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Meta:sema. A vertex takes all its semaphores at once or none, so no order of taking them can lock up, and naming one twice
 * does no harm. */

#include <stdbool.h>

#include "common/map.h"
#include "daemons/engine/vertex.h"

/* What is after the last ':' if that is a number above 0, else 1. */
uint32_t semaphore_capacity(const char *id);

/* Replaces the set of semaphores the root v needs by those of all its members. It must hold none. */
int semaphores_bind(Map *all, Vertex *v);
void semaphores_unbind(Map *all, Vertex *v);

/* true if v has them now; otherwise it was put in the queue of one that is taken, and comes back to ready when it may try
 * again. */
bool semaphores_take(Vertex *v, VertexList *ready);
void semaphores_release(Vertex *v, VertexList *ready);

/* v was woken but something else keeps it from running, or it goes away: somebody else may have the chance. */
void semaphores_pass_on(Vertex *v, VertexList *ready);

/* The one that v would have to wait for, or NULL. */
const char *semaphores_taken(const Vertex *v);

void semaphores_free_all(Map *all);
