/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Time is that of CLOCK_BOOTTIME, which nobody sets, and which goes on while the machine sleeps. */


#include <systemd/sd-event.h>

#include "common/usec.h"
#include "daemons/lang/ticker.h"

enum { ACCURACY_USEC = 1000 };

static uint64_t next_time(const Ticker *t) {
        return (usec_now(CLOCK_BOOTTIME) / t->interval_usec + 1) * t->interval_usec;
}

static void say(Ticker *t) {
        Value v = VALUE_NIL;
        int r = t->say(t, &v);

        t->n_said++;
        source_result(&t->source, r, v);
}

static int on_time(sd_event_source *timer, uint64_t usec, void *userdata) {
        Ticker *t = userdata;
        int r;

        r = sd_event_source_set_time(timer, next_time(t));
        if (r >= 0)
                r = sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
        if (r < 0)
                source_failf(&t->source, false, r, "cannot set a timer: %m");
        else
                say(t);
        return 0;
}

int ticker_open(Ticker *t, uint64_t interval_usec, int (*what)(Ticker *t, Value *ret), Diag *reterr) {
        int r;

        t->interval_usec = interval_usec;
        t->say = what;
        r = sd_event_add_time(t->source.host->event, &t->timer, CLOCK_BOOTTIME, next_time(t), ACCURACY_USEC, on_time, t);
        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "cannot set a timer: %m");
        say(t);
        return 0;
}

void ticker_close(Source *s) {
        sd_event_source_disable_unref(((Ticker *) s)->timer);
}
