/* SPDX-License-Identifier: GPL-3.0-or-later */

/* datetime: clocks. Each wakes up when what it shows changes, and not before. */

#include <inttypes.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "daemons/lang/sources.h"

typedef struct Clock {
        Source source;
        sd_event_source *timer;
        int (*show)(time_t now, Value *ret, time_t *ret_until);
} Clock;

static int show_number(time_t now, Value *ret, time_t *ret_until) {
        *ret = VALUE_INT(now);
        *ret_until = now + 1;
        return 0;
}

static int show_text(time_t now, Value *ret, time_t *ret_until) {
        *ret_until = now + 1;
        return value_strf(ret, "%" PRId64, (int64_t) now);
}

static int show_weekday(time_t now, Value *ret, time_t *ret_until) {
        static const char *const names[] = { "sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday" };
        struct tm day;

        if (!localtime_r(&now, &day))
                return -EOVERFLOW;
        int r = value_strz(ret, names[day.tm_wday]);
        day.tm_mday++;
        day.tm_hour = day.tm_min = day.tm_sec = 0;
        day.tm_isdst = -1;
        *ret_until = mktime(&day);
        return r;
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *userdata) {
        Clock *c = userdata;
        Value v = VALUE_NIL;
        time_t until;
        int r = c->show(time(NULL), &v, &until);

        if (r >= 0) {
                r = sd_event_source_set_time(timer, (uint64_t) until * 1000000);
                if (r >= 0)
                        r = sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
                if (r < 0)
                        value_done(&v);
        }
        source_result(&c->source, r, v);
        return 0;
}

static int clock_open(Source *s, Diag *reterr) {
        Clock *c = (Clock *) s;
        Value v = VALUE_NIL;
        time_t until;
        int r = c->show(time(NULL), &v, &until);

        if (r >= 0)
                r = sd_event_add_time(s->host->event, &c->timer, CLOCK_REALTIME, (uint64_t) until * 1000000, 1000, on_timer, c);
        if (r < 0) {
                value_done(&v);
                return diag_set(reterr, (Pos) {}, r, "cannot watch the clock: %m");
        }
        source_set(s, v);
        return 0;
}

static int number_open(Source *s, Diag *reterr) {
        ((Clock *) s)->show = show_number;
        return clock_open(s, reterr);
}

static int text_open(Source *s, Diag *reterr) {
        ((Clock *) s)->show = show_text;
        return clock_open(s, reterr);
}

static int weekday_open(Source *s, Diag *reterr) {
        ((Clock *) s)->show = show_weekday;
        return clock_open(s, reterr);
}

static void clock_close(Source *s) {
        sd_event_source_disable_unref(((Clock *) s)->timer);
}

const SourceType datetime_sources[] = {
        { .name = "datetime.now", .size = sizeof(Clock), .open = number_open, .close = clock_close },
        { .name = "datetime.str_now", .size = sizeof(Clock), .open = text_open, .close = clock_close },
        { .name = "datetime.weekday_fast", .size = sizeof(Clock), .open = weekday_open, .close = clock_close },
        {}
};
