/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A thread for calls that block, and the way back to the loop. The only place with a second thread; what runs in it must not
 * touch resources, values or event sources. */

#include <stdint.h>

#include "common/macro.h"

typedef struct sd_event sd_event;
typedef struct Work Work;
typedef struct WorkThread WorkThread;

/* A call. It belongs to the thread from work_thread_add() until done. */
struct Work {
        void (*run)(Work *w);           /* in the thread */
        void (*done)(Work *w);          /* in the loop, after run; frees it */
        Work *next;
};

/* The thread is started by the first work. It does one at a time, in order. */
int work_thread_new(WorkThread **ret, sd_event *event);
int work_thread_add(WorkThread *t, Work *w);

/* Lets the thread do what is queued, ends and frees it; what was done and not yet delivered is delivered from in here. Waits at
 * most patience_usec: -ETIMEDOUT if the thread hangs in a call by then; it keeps its memory and is left to the end of the
 * process. May be called from the done of the last work. */
int work_thread_end(WorkThread *t, uint64_t patience_usec);
