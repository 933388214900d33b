/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* For what a clock on the wall shows: called when a point in time comes, and at once when the clock is set, when the machine wakes
 * up, and when the time zone is another. */

#include <stdint.h>

#include "common/sd/kernel-watch.h"
#include "common/sd/steady-watch.h"
#include "common/source.h"

typedef struct sd_event_source sd_event_source;

/* All zero is one that is not set. */
typedef struct ClockAlarm {
        Source *source;
        void (*callback)(Source *s);
        sd_event_source *timer;
        KernelWatch *set;
        SteadyWatch *zone;
} ClockAlarm;

/* The time zone of the host, which may become another while we run; not where the environment says which it is. *ret is NULL then. */
int zone_watch(Source *s, steady_watch_callback_t callback, void *userdata, SteadyWatch **ret, Diag *reterr);

int clock_alarm_start(ClockAlarm *a, Source *s, void (*callback)(Source *s), Diag *reterr);
int clock_alarm_at(ClockAlarm *a, uint64_t usec);       /* since 1970; replaces the one before */
void clock_alarm_done(ClockAlarm *a);
