/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* One attempt to bring a vertex (a whole group) into the right state: values are received, then check_apply of each member
 * runs, each after the one before has finished, under Meta:timeout. */

#include "daemons/engine/scheduler.h"

/* The vertex holds its semaphores and is otherwise idle. May finish before it returns. */
void attempt_start(Scheduler *s, Vertex *v);

/* What its twins export, without an attempt. */
void attempt_publish(Scheduler *s, Vertex *v);

/* A member's check_apply, which was pending, has finished. */
void attempt_finished(Scheduler *s, Vertex *member, int result, Diag *diag);

/* Stops what is under way, if anything; the vertex is dirty afterwards, and nothing counts as failed. */
void attempt_cancel(Scheduler *s, Vertex *v);

/* It may have to notify now, and did not before: the journal learns of the attempt under way. */
void attempt_notifies(Vertex *v);
