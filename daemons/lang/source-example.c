/* SPDX-License-Identifier: GPL-3.0-or-later */

/* example: functions that programs learn with. */

#include <inttypes.h>
#include <math.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "common/sd/child.h"
#include "daemons/lang/sources.h"
#include "daemons/lang/ticker.h"

enum { FLIP_USEC = 5 * 1000 * 1000, RECORD_USEC = 1000 * 1000, BAR_MAX = 1024 * 1024, OUTPUT_MAX = 64 * 1024, ACCURACY_USEC = 1000 };

static int say_flip(Ticker *t, Value *ret) {
        *ret = VALUE_BOOL(t->n_said % 2 == 0);
        return 0;
}

static int flipflop_open(Source *s, Diag *reterr) {
        return ticker_open((Ticker *) s, FLIP_USEC, say_flip, reterr);
}

/* ---- the loudness at the microphone ---- */

typedef struct Meter {
        Source source;
        Value symbol;
        int64_t multiplier;
        double peak;
        Child *child;
        sd_event_source *timer;
} Meter;

/* What `stat` of sox prints among others: "Maximum amplitude:     0.031250". */
static int find_ratio(const char *text, double *ret, Diag *reterr) {
        static const char label[] = "Maximum amplitude:";
        const char *found = strstr(text, label);
        char *end;

        if (!found)
                return diag_set(reterr, (Pos) {}, -EBADMSG, "rec does not say how loud it is");
        *ret = strtod(found + strlen(label), &end);
        if (end == found + strlen(label) || !(*ret >= 0 && *ret <= 1))
                return diag_set(reterr, (Pos) {}, -ERANGE, "invalid ratio of %f", *ret);
        return 0;
}

static int draw(const Meter *m, double ratio, Value *ret, Diag *reterr) {
        double n = MAX(round(ratio * (double) m->multiplier), 1.0);    /* there is always something to see */
        _cleanup_(strbuf_done) StrBuf bar = {};

        if (n * m->symbol.s->size > BAR_MAX)
                return diag_set(reterr, (Pos) {}, -E2BIG, "a bar of %.0f times '%s' is too long", n, value_cstr(m->symbol));
        for (size_t i = 0; i < (size_t) n; i++)
                strbuf_add(&bar, m->symbol.s->data, m->symbol.s->size);
        if (ratio > m->peak)
                strbuf_puts(&bar, " PEAK!!!");
        if (bar.failed)
                return -ENOMEM;
        return value_strf(ret, "(%f):\n%s\n%s", ratio, bar.data ?: "", bar.data ?: "");
}

static void meter_recorded(Child *c, ChildResult *result, void *userdata) {
        Meter *m = userdata;
        _cleanup_(diag_done) Diag d = {};
        Value v = VALUE_NIL;
        double ratio = 0;
        int r;

        if (result->signal != 0 || result->status != 0)
                r = diag_set(&d, (Pos) {}, -EIO, "rec failed with status %d: %s", result->status, result->err.data ?: "");
        else
                r = find_ratio(result->err.data ?: "", &ratio, &d);
        if (r >= 0)
                r = draw(m, ratio, &v, &d);
        m->child = child_free(c);
        if (r >= 0)
                r = sd_event_source_set_enabled(m->timer, SD_EVENT_ONESHOT);
        if (r < 0) {
                value_done(&v);
                (void) diag_set(&d, (Pos) {}, r, "cannot measure: %m");
                source_fail(&m->source, false, &d);
        } else
                source_set(&m->source, v);
}

/* The recording takes a second, so that there is a value each second; rec failing at once must not make it more. */
static int record(Meter *m, Diag *reterr) {
        const ChildSpec spec = {
                .argv = (char *[]) { (char *) "rec", (char *) "-q", (char *) "-n", (char *) "trim", (char *) "0", (char *) "1",
                                     (char *) "stat", NULL },
                .env = environ,
                .uid = (uid_t) -1,
                .gid = (gid_t) -1,
                .output_max = OUTPUT_MAX,
                .whole_group = true,
        };
        int r = sd_event_source_set_time_relative(m->timer, RECORD_USEC);

        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "cannot set a timer: %m");
        return child_start(&m->child, m->source.host->event, &spec, meter_recorded, m, reterr);
}

static int on_next(sd_event_source *timer, uint64_t usec, void *userdata) {
        Meter *m = userdata;
        _cleanup_(diag_done) Diag d = {};

        if (record(m, &d) < 0)
                source_fail(&m->source, false, &d);
        return 0;
}

static int vumeter_open(Source *s, Diag *reterr) {
        Meter *m = (Meter *) s;
        int r;

        m->symbol = value_ref(s->args[0]);
        m->multiplier = s->args[1].i;
        m->peak = s->args[2].f;
        r = sd_event_add_time_relative(s->host->event, &m->timer, CLOCK_BOOTTIME, RECORD_USEC, ACCURACY_USEC, on_next, m);
        if (r >= 0)
                r = sd_event_source_set_enabled(m->timer, SD_EVENT_OFF);
        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "cannot set a timer: %m");
        return record(m, reterr);
}

static void vumeter_close(Source *s) {
        Meter *m = (Meter *) s;

        child_free(m->child);
        sd_event_source_disable_unref(m->timer);
        value_done(&m->symbol);
}

const SourceType example_sources[] = {
        { .name = "example.flipflop", .size = sizeof(Ticker), .open = flipflop_open, .close = ticker_close },
        { .name = "example.vumeter", .size = sizeof(Meter), .open = vumeter_open, .close = vumeter_close },
        {}
};
