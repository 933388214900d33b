/* SPDX-License-Identifier: GPL-3.0-or-later */

/* test: functions that tests of programs are written with. */

#include <inttypes.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "daemons/lang/sources.h"
#include "daemons/lang/ticker.h"

enum { SLOW_USEC = 5 * 1000 * 1000, COUNT_MAX = 16 * 1024 * 1024 };

/* ---- again and again ---- */

typedef struct Counter {
        Source source;
        int64_t n;
} Counter;

static void fastcount_next(Source *s) {
        source_set(s, VALUE_INT(++((Counter *) s)->n));
}

static int fastcount_open(Source *s, Diag *reterr) {
        fastcount_next(s);
        return 0;
}

static int say_map(Ticker *t, Value *ret) {
        Value pair[2] = {};
        int r = value_strz(&pair[0], "foo");

        if (r >= 0)
                r = value_strz(&pair[1], "bar");
        if (r >= 0)
                return value_map(ret, pair, 1);
        value_done(&pair[0]);
        return r;
}

static int forkvloop_open(Source *s, Diag *reterr) {
        return ticker_open((Ticker *) s, SLOW_USEC, say_map, reterr);
}

static int say_list(Ticker *t, Value *ret) {
        Value item;
        int r = value_strz(&item, t->n_said == 0 ? "foo" : "bar");

        return r < 0 ? r : value_list(ret, &item, 1);
}

static int forloop_open(Source *s, Diag *reterr) {
        return ticker_open((Ticker *) s, SLOW_USEC, say_list, reterr);
}

/* ---- once ---- */

/* One of those that a program may have only once. Which program it is says the host. */
struct SingleSource {
        Source source;
        SingleSource *next;
        bool listed;
};

static int single_open(Source *s, Diag *reterr) {
        SingleSource *single = (SingleSource *) s, **list = &source_share(s)->singles;

        for (const SingleSource *other = *list; other; other = other->next)
                if (other->source.host == s->host && streq(other->source.function, s->function))
                        return diag_set(reterr, (Pos) {}, -EEXIST, "function `%s` is asked more than once", s->function);
        single->next = *list;
        single->listed = true;
        *list = single;
        source_set_text(s, "hello");
        return 0;
}

static void single_close(Source *s) {
        SingleSource *single = (SingleSource *) s;

        if (!single->listed)
                return;
        for (SingleSource **at = &source_share(s)->singles; *at; at = &(*at)->next)
                if (*at == single) {
                        *at = single->next;
                        return;
                }
}

typedef struct OneStream {
        Source source;
        int64_t count;
} OneStream;

static int one_stream_open(Source *s, Diag *reterr) {
        int64_t count = ((OneStream *) s)->count = s->args[0].i;
        Value v = VALUE_NIL;

        if (count < 0)
                return diag_set(reterr, (Pos) {}, -EINVAL, "cannot use a negative count");
        if (count > COUNT_MAX)
                return diag_set(reterr, (Pos) {}, -E2BIG, "cannot use a count of more than %d", COUNT_MAX);
        _cleanup_free_ char *text = malloc((size_t) count + 1);
        if (!text)
                return -ENOMEM;
        memset(text, 'x', (size_t) count);
        int r = value_str(&v, text, (size_t) count);
        source_result(s, r, v);
        return 0;
}

static int one_stream_change(Source *s, Diag *reterr) {
        source_failf(s, false, -EEXIST, "you can only pass in a single input, got: %" PRId64 ", previously: %" PRId64, s->args[0].i,
                     ((OneStream *) s)->count);
        return 0;
}

typedef struct Slow {
        Source source;
        sd_event_source *timer;
} Slow;

static int on_slow(sd_event_source *timer, uint64_t usec, void *userdata) {
        source_set_text(userdata, "five seconds has elapsed");
        return 0;
}

static int slow_open(Source *s, Diag *reterr) {
        int r = sd_event_add_time_relative(s->host->event, &((Slow *) s)->timer, CLOCK_BOOTTIME, SLOW_USEC, 0, on_slow, s);

        return r < 0 ? diag_set(reterr, (Pos) {}, r, "cannot set a timer: %m") : 0;
}

static void slow_close(Source *s) {
        sd_event_source_disable_unref(((Slow *) s)->timer);
}

#define SINGLE(n) { .name = (n), .size = sizeof(SingleSource), .open = single_open, .close = single_close }

const SourceType test_sources[] = {
        { .name = "test.fastcount", .size = sizeof(Counter), .open = fastcount_open, .taken = fastcount_next },
        { .name = "test.forkvloop", .size = sizeof(Ticker), .open = forkvloop_open, .close = ticker_close },
        { .name = "test.forloop", .size = sizeof(Ticker), .open = forloop_open, .close = ticker_close },
        SINGLE("test.one_instance_a"),
        SINGLE("test.one_instance_b"),
        SINGLE("test.one_instance_c"),
        SINGLE("test.one_instance_d"),
        SINGLE("test.one_instance_e"),
        SINGLE("test.one_instance_f"),
        SINGLE("test.one_instance_g"),
        SINGLE("test.one_instance_h"),
        { .name = "test.one_stream", .size = sizeof(OneStream), .open = one_stream_open, .change = one_stream_change },
        { .name = "test.slow_string", .size = sizeof(Slow), .open = slow_open, .close = slow_close },
        {}
};
