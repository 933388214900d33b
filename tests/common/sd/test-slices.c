/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Long work leaves room for others, ends with its result, and can be given up. */

#include <time.h>

#include <systemd/sd-event.h>

#include "common/sd/slices.h"
#include "tests/test.h"

typedef struct Work {
        Slices *slices;
        long nsec;                      /* that a step takes */
        unsigned n_steps, steps;        /* done; in all */
        int last;                       /* what the last step returns */
        bool ended;
        int result;
} Work;

static int step(void *userdata) {
        Work *w = userdata;

        (void) nanosleep(&(struct timespec) { .tv_nsec = w->nsec }, NULL);
        return ++w->n_steps < w->steps ? 1 : w->last;
}

static void end(int result, void *userdata) {
        Work *w = userdata;

        w->ended = true;
        w->result = result;
        w->slices = slices_free(w->slices);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata) {
        ++*(unsigned *) userdata;
        return sd_event_source_set_time_relative(source, 1000) < 0 ? -1 : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

TEST(short_work_is_done_at_once) {
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;

        REQUIRE(sd_event_new(&event) >= 0);
        for (int last = 0; last >= -5; last -= 5) {
                Work w = { .steps = 1, .last = last };
                CHECK_INT(slices_start(&w.slices, event, step, end, &w), last);
                CHECK(!w.slices && !w.ended);
                CHECK_INT(w.n_steps, 1);
        }
}

TEST(long_work_leaves_room_for_others) {
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(sd_event_source_unrefp) sd_event_source *timer = NULL;
        unsigned n_ticks = 0;

        REQUIRE(sd_event_new(&event) >= 0);
        REQUIRE(sd_event_add_time_relative(event, &timer, CLOCK_MONOTONIC, 1000, 1, on_tick, &n_ticks) >= 0);
        for (int last = 0; last >= -5; last -= 5) {
                Work a = { .steps = 1000, .nsec = 100 * 1000, .last = last }, b = a;
                CHECK_INT(slices_start(&a.slices, event, step, end, &a), 1);
                CHECK_INT(slices_start(&b.slices, event, step, end, &b), 1);
                n_ticks = 0;
                while (!a.ended || !b.ended)
                        REQUIRE(sd_event_run(event, 1000 * 1000) > 0);
                CHECK_INT(a.n_steps, 1000);
                CHECK_INT(a.result, last);
                CHECK_INT(b.result, last);
                CHECK(n_ticks >= 10);           /* 200 ms of work in slices of 2 */
        }
}

TEST(it_can_be_given_up) {
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        Work w = { .steps = 1000, .nsec = 100 * 1000 };

        REQUIRE(sd_event_new(&event) >= 0);
        CHECK_INT(slices_start(&w.slices, event, step, end, &w), 1);
        CHECK(sd_event_run(event, 0) >= 0);
        w.slices = slices_free(w.slices);
        unsigned n = w.n_steps;
        CHECK(n < 1000);
        CHECK(sd_event_run(event, 0) >= 0);
        CHECK_INT(w.n_steps, n);
        CHECK(!w.ended);
}

TEST_MAIN()
