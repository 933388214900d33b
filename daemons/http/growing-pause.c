/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "common/macro.h"
#include "daemons/http/growing-pause.h"

#define FIRST_USEC UINT64_C(100000)
#define ACCURACY_USEC UINT64_C(10000)

int growing_pause_init(GrowingPause *p, sd_event *event, sd_event_time_handler_t over, void *userdata) {
        int r;

        *p = (GrowingPause) {};
        r = sd_event_add_time(event, &p->timer, CLOCK_MONOTONIC, UINT64_MAX, ACCURACY_USEC, over, userdata);
        if (r >= 0)
                r = sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
        return r;
}

void growing_pause_done(GrowingPause *p) {
        p->timer = sd_event_source_disable_unref(p->timer);
}

void growing_pause_begin(GrowingPause *p, uint64_t max_usec) {
        p->usec = p->usec == 0 ? FIRST_USEC : MIN(p->usec * 2, max_usec);
        (void) sd_event_source_set_time_relative(p->timer, p->usec);
        (void) sd_event_source_set_enabled(p->timer, SD_EVENT_ONESHOT);
}

void growing_pause_end(GrowingPause *p) {
        if (p->timer)
                (void) sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
}

void growing_pause_reset(GrowingPause *p) {
        p->usec = 0;
}
