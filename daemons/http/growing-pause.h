/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The time to the next try of something that fails: short at first, doubled each time. */

#include <stdint.h>

#include <systemd/sd-event.h>

typedef struct GrowingPause {
        sd_event_source *timer;         /* enabled during the pause */
        uint64_t usec;                  /* how long the last one was; 0: the next is the first */
} GrowingPause;

int growing_pause_init(GrowingPause *p, sd_event *event, sd_event_time_handler_t over, void *userdata);
void growing_pause_done(GrowingPause *p);

void growing_pause_begin(GrowingPause *p, uint64_t max_usec);   /* over() is called at its end */
void growing_pause_end(GrowingPause *p);        /* without over() */
void growing_pause_reset(GrowingPause *p);      /* the next one is short again */
