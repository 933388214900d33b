/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A timer alone would do for a clock that only runs. One that is set back would go on showing what it will show later, and
 * midnight in another zone is at another time. */

#include <time.h>

#include <systemd/sd-event.h>

#include "daemons/lang/clock-alarm.h"
#include "daemons/lang/sources.h"

#define ZONE_FILE "/etc/localtime"

enum { ACCURACY_USEC = 1000 };

static int on_time(sd_event_source *timer, uint64_t usec, void *userdata) {
        ClockAlarm *a = userdata;

        a->callback(a->source);
        return 0;
}

static void on_set(void *userdata) {
        ClockAlarm *a = userdata;

        a->callback(a->source);
}

/* The zone is looked at once in the life of a process, if nobody asks for more. */
static void on_zone(void *userdata) {
        ClockAlarm *a = userdata;

        tzset();
        a->callback(a->source);
}

int zone_watch(Source *s, steady_watch_callback_t callback, void *userdata, SteadyWatch **ret, Diag *reterr) {
        return getenv("TZ") ? 0 : source_watch_path(s, ZONE_FILE, callback, userdata, ret, reterr);
}

int clock_alarm_start(ClockAlarm *a, Source *s, void (*callback)(Source *s), Diag *reterr) {
        int r;

        *a = (ClockAlarm) { .source = s, .callback = callback };
        r = source_watch_kernel(s, KERNEL_CLOCK, NULL, on_set, a, &a->set, reterr);
        return r < 0 ? r : zone_watch(s, on_zone, a, &a->zone, reterr);
}

int clock_alarm_at(ClockAlarm *a, uint64_t usec) {
        int r;

        if (!a->timer)
                return sd_event_add_time(a->source->host->event, &a->timer, CLOCK_REALTIME, usec, ACCURACY_USEC, on_time, a);
        r = sd_event_source_set_time(a->timer, usec);
        return r < 0 ? r : sd_event_source_set_enabled(a->timer, SD_EVENT_ONESHOT);
}

void clock_alarm_done(ClockAlarm *a) {
        a->timer = sd_event_source_disable_unref(a->timer);
        a->set = kernel_watch_free(a->set);
        a->zone = steady_watch_free(a->zone);
}
