/* SPDX-License-Identifier: GPL-3.0-or-later */

/* history: what a value was some time ago. Changes are kept with their time for as long, and each becomes the value when it is old
 * enough; nothing happens in between. Changes that come faster than a thousandth of that time are kept as one, so that there is a
 * limit to what has to be kept. */

#include <inttypes.h>

#include <systemd/sd-event.h>

#include "common/usec.h"
#include "daemons/lang/sources.h"

enum { RESOLUTION = 1000, ACCURACY_USEC = 1000 };

typedef struct Sample {
        uint64_t usec;          /* CLOCK_BOOTTIME */
        Value value;
} Sample;

typedef struct History {
        Source source;
        int64_t index;          /* milliseconds */
        Sample *samples;        /* owned; oldest first, which is the one that is shown */
        size_t n, capacity;
        sd_event_source *timer;
} History;

static uint64_t age_usec(const History *h) {
        return (uint64_t) MIN(h->index, INT64_MAX / 2000) * 1000;
}

static void forget(History *h, size_t n) {
        if (n == 0)
                return;
        for (size_t i = 0; i < n; i++)
                value_done(&h->samples[i].value);
        h->n -= n;
        memmove(h->samples, h->samples + n, h->n * sizeof(Sample));
}

static int on_time(sd_event_source *timer, uint64_t usec, void *userdata);

static int arm(History *h) {
        if (h->n < 2)
                return h->timer ? sd_event_source_set_enabled(h->timer, SD_EVENT_OFF) : 0;

        uint64_t due = h->samples[1].usec + age_usec(h);
        if (!h->timer)
                return sd_event_add_time(h->source.host->event, &h->timer, CLOCK_BOOTTIME, due, ACCURACY_USEC, on_time, h);
        int r = sd_event_source_set_time(h->timer, due);
        return r < 0 ? r : sd_event_source_set_enabled(h->timer, SD_EVENT_ONESHOT);
}

/* The newest one that is old enough, or the oldest of all. */
static void show(History *h) {
        uint64_t now = usec_now(CLOCK_BOOTTIME);
        size_t n = 0;

        while (n + 1 < h->n && h->samples[n + 1].usec + age_usec(h) <= now)
                n++;
        forget(h, n);
        int r = arm(h);
        if (r < 0)
                source_failf(&h->source, false, r, "cannot set a timer: %m");
        else
                source_set(&h->source, value_ref(h->samples[0].value));
}

static int on_time(sd_event_source *timer, uint64_t usec, void *userdata) {
        show(userdata);
        return 0;
}

static int record(History *h, Value v) {
        uint64_t now = usec_now(CLOCK_BOOTTIME), width = MAX(age_usec(h) / RESOLUTION, 1U);
        Sample *last = h->n > 1 ? &h->samples[h->n - 1] : NULL;

        if (last && last->usec / width == now / width) {
                value_done(&last->value);
                *last = (Sample) { .usec = now, .value = value_ref(v) };
                return 0;
        }
        if (GROW(h->samples, h->n, h->capacity) < 0)
                return -ENOMEM;
        h->samples[h->n++] = (Sample) { .usec = now, .value = value_ref(v) };
        return 0;
}

static int history_change(Source *s, Diag *reterr) {
        History *h = (History *) s;
        int64_t index = s->args[1].i;

        if (index < 0)
                return diag_set(reterr, (Pos) {}, -EINVAL, "can't use a negative interval of %" PRId64, index);
        if (index != h->index)
                forget(h, h->n);
        h->index = index;
        int r = record(h, s->args[0]);
        if (r < 0)
                return r;
        show(h);
        return 0;
}

static void history_close(Source *s) {
        History *h = (History *) s;

        sd_event_source_disable_unref(h->timer);
        forget(h, h->n);
        free(h->samples);
}

const SourceType history_sources[] = {
        { .name = "history", .size = sizeof(History), .open = history_change, .change = history_change, .close = history_close },
        {}
};
