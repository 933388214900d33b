/* SPDX-License-Identifier: GPL-3.0-or-later */

/* sd-event takes those first that have been due longest, and a defer source is due from the day it was made, so one that stays
 * enabled is the only one that ever runs. Ours is made anew after each slice, and stands behind everybody who was due by then. */

#include <stdint.h>

#include <systemd/sd-event.h>

#include "common/sd/slices.h"
#include "common/usec.h"

enum {
        SLICE_USEC = 2000,
        SHORT_STEPS = 4,        /* so few are not worth a look at the clock */
};

struct Slices {
        sd_event *event;
        sd_event_source *source;
        slices_step_t step;
        slices_end_t end;
        void *userdata;
};

static int do_slice(slices_step_t step, void *userdata) {
        uint64_t end;
        int r = 1;

        for (int i = 0; r > 0 && i < SHORT_STEPS; i++)
                r = step(userdata);
        end = r > 0 ? usec_now(CLOCK_MONOTONIC) + SLICE_USEC : 0;
        while (r > 0 && usec_now(CLOCK_MONOTONIC) < end)
                r = step(userdata);
        return r;
}

static int stand_in_line(Slices *s);

static int on_turn(sd_event_source *source, void *userdata) {
        Slices *s = userdata;

        int r = do_slice(s->step, s->userdata);
        if (r > 0)
                r = stand_in_line(s);
        if (r <= 0)
                s->end(r, s->userdata);
        return 0;
}

static int stand_in_line(Slices *s) {
        s->source = sd_event_source_disable_unref(s->source);
        int r = sd_event_add_defer(s->event, &s->source, on_turn, s);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(s->source, "slices");
        return 1;
}

int slices_start(Slices **ret, sd_event *event, slices_step_t step, slices_end_t end, void *userdata) {
        int r = do_slice(step, userdata);
        if (r <= 0)
                return r;

        _cleanup_(slices_freep) Slices *s = calloc(1, sizeof(Slices));
        if (!s)
                return -ENOMEM;
        *s = (Slices) { .event = event, .step = step, .end = end, .userdata = userdata };
        r = stand_in_line(s);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 1;
}

Slices *slices_free(Slices *s) {
        if (!s)
                return NULL;

        sd_event_source_disable_unref(s->source);
        free(s);
        return NULL;
}
