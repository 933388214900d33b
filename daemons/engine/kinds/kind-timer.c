/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Does something every so many seconds: nothing, but whoever it notifies hears of it. A notification to the timer itself begins
 * the period anew. */

#include <inttypes.h>
#include <syslog.h>

#include <systemd/sd-event.h>

#include "common/resource.h"

typedef struct Timer {
        Resource resource;
        uint32_t interval;

        sd_event_source *source;
        bool due;
} Timer;

static const FieldSpec timer_fields[] = {
        FIELD(Timer, interval, FIELD_UINT32, FIELD_REQUIRED, "Seconds from one time to the next."),
        {}
};

static int timer_validate(const Resource *r, Diag *reterr) {
        return ((const Timer *) r)->interval > 0 ? 0 : resource_error(r, reterr, -EINVAL, "interval must be at least 1, got '0'");
}

static uint64_t period(const Timer *t) {
        return (uint64_t) t->interval * 1000000;
}

static int start(Timer *t) {
        int r = sd_event_source_set_time_relative(t->source, period(t));

        return r < 0 ? r : sd_event_source_set_enabled(t->source, SD_EVENT_ONESHOT);
}

static int on_due(sd_event_source *source, uint64_t usec, void *userdata) {
        Timer *t = userdata;

        t->due = true;
        resource_changed(&t->resource);
        return start(t);
}

static int timer_watch(Resource *r, Diag *reterr) {
        Timer *t = (Timer *) r;
        int k;

        k = sd_event_add_time_relative(r->host->event, &t->source, CLOCK_BOOTTIME, period(t), 0, on_due, t);
        if (k < 0)
                return resource_error(r, reterr, k, "cannot start the timer: %m");
        resource_armed(r);
        return 0;
}

static void timer_unwatch(Resource *r) {
        Timer *t = (Timer *) r;

        t->source = sd_event_source_disable_unref(t->source);
}

static int timer_check_apply(Resource *r, bool apply, Diag *reterr) {
        Timer *t = (Timer *) r;
        bool refresh = resource_refresh(r);
        int k;

        if (!t->due && !refresh)
                return CHECK_OK;
        if (!apply)
                return CHECK_CHANGED;
        if (refresh && t->source) {
                k = start(t);
                if (k < 0)
                        return resource_error(r, reterr, k, "cannot start the timer: %m");
        }
        t->due = false;
        return CHECK_CHANGED;
}

static void timer_done(Resource *r) {
        timer_unwatch(r);
}

const ResourceType timer_type = {
        .kind = "timer",
        .doc = "Notifies others every so many seconds.",
        .example = "timer \"hourly\" {\n"
                   "\tinterval => 3600,\n"
                   "}\n",
        .size = sizeof(Timer),
        .flags = RESOURCE_REFRESHABLE,
        .fields = timer_fields,
        .done = timer_done,
        .validate = timer_validate,
        .watch = timer_watch,
        .unwatch = timer_unwatch,
        .check_apply = timer_check_apply,
};
