/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Decides which vertex runs when. There is one queue of vertices that may be ready. A vertex that is taken from it runs if it
 * is dirty (or was notified), its watch is armed, every direct predecessor is clean, and its semaphores are free. If not, it
 * waits at the first thing that stops it, and is queued again when that thing gives way: a predecessor keeps a list of those
 * who wait for it, so an event at a vertex costs nothing at vertices that have nothing to do.
 *
 * All functions take the root of a group; members other than the root appear only where a kind reports something. */

#include <stdbool.h>
#include <stdint.h>

#include "common/map.h"
#include "daemons/engine/vertex.h"

typedef struct Scheduler {
        sd_event *event;
        sd_event_source *turn;          /* takes from the queue while it is not empty ... */
        sd_event_source *resume;        /* ... or this does, after others had their turn */
        bool yields;                    /* until resume runs */
        bool in_turn;                   /* whoever becomes ready now is taken in it */
        VertexList ready;
        VertexList failed;              /* given up; Meta:rewatch looks here */
        Map *semaphores;                /* id → Semaphore; they live as long as the engine */
        size_t n_unsettled;             /* vertices that may still come to something: neither clean nor given up */
        size_t n_failed;                /* vertices that were given up */
} Scheduler;

int scheduler_init(Scheduler *s, sd_event *event);
void scheduler_done(Scheduler *s);

/* A vertex enters, or comes back with another resource: counts it, and starts its watch. To be called for roots, after
 * grouping and edges are in place. */
void scheduler_add(Scheduler *s, Vertex *v);

/* Ends whatever goes on at a vertex: attempt, watches, timers, waiting. Those who wait for it are queued again. It may be
 * added again. */
void scheduler_remove(Scheduler *s, Vertex *v);

/* Its edges changed: whatever it waits for, it looks again. */
void scheduler_requeue(Scheduler *s, Vertex *v);

/* It must be checked because something happened: outside (under Meta:limit) or in the graph. */
void scheduler_event(Scheduler *s, Vertex *v);
void scheduler_dirty(Scheduler *s, Vertex *v);

/* Its twins are to be exported, when its predecessors are right: at once, or with the attempt that is due anyway. Nothing is checked for
 * that. */
void scheduler_publish(Scheduler *s, Vertex *v);

/* Whether v, which is not right yet, may become so without anything from outside. Who retries for ever and has failed may not, or
 * it could go on for ever. */
bool scheduler_is_coming(const Vertex *v);

/* A notification for some member of the group is pending; with EDGE_TOLD as well: the attempt under way knows of it. */
bool scheduler_refresh(const Vertex *v, EdgeFlags flags);
