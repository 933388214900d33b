/* SPDX-License-Identifier: GPL-3.0-or-later */

/* datetime: clocks. Each wakes up when what it shows changes, and not before. */

#include <inttypes.h>
#include <time.h>

#include "daemons/lang/clock-alarm.h"

typedef struct Clock {
        Source source;
        ClockAlarm alarm;
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

/* Says what the clock shows, and comes again when it shows something else. */
static void show(Source *s) {
        Clock *c = (Clock *) s;
        Value v = VALUE_NIL;
        time_t until;
        struct timespec now;

        (void) clock_gettime(CLOCK_REALTIME, &now);        /* time() is a few milliseconds behind it */
        int r = c->show(now.tv_sec, &v, &until);

        if (r >= 0) {
                r = clock_alarm_at(&c->alarm, (uint64_t) until * 1000000);
                if (r < 0)
                        value_done(&v);
        }
        source_result(s, r, v);
}

static int clock_open(Source *s, Diag *reterr) {
        int r = clock_alarm_start(&((Clock *) s)->alarm, s, show, reterr);

        if (r >= 0)
                show(s);
        return r;
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
        clock_alarm_done(&((Clock *) s)->alarm);
}

/* ---- the zone ---- */

/* What is written in local time follows this. Its value says nothing but that the zone is another than before. */
typedef struct Zone {
        Source source;
        SteadyWatch *watch;
        int64_t n_changes;
} Zone;

static void zone_changed(void *userdata) {
        Zone *z = userdata;

        tzset();
        source_set(&z->source, VALUE_INT(++z->n_changes));
}

static int zone_open(Source *s, Diag *reterr) {
        Zone *z = (Zone *) s;
        int r = zone_watch(s, zone_changed, z, &z->watch, reterr);

        if (r >= 0)
                source_set(s, VALUE_INT(0));
        return r;
}

static void zone_close(Source *s) {
        steady_watch_free(((Zone *) s)->watch);
}

const SourceType datetime_sources[] = {
        { .name = "datetime._zone", .size = sizeof(Zone), .open = zone_open, .close = zone_close },
        { .name = "datetime.now", .size = sizeof(Clock), .open = number_open, .close = clock_close },
        { .name = "datetime.str_now", .size = sizeof(Clock), .open = text_open, .close = clock_close },
        { .name = "datetime.weekday_fast", .size = sizeof(Clock), .open = weekday_open, .close = clock_close },
        {}
};
