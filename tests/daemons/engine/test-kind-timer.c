/* SPDX-License-Identifier: GPL-3.0-or-later */

/* timer: each period is one change, a notification begins anew, and noop changes nothing. */

#include "tests/daemons/engine/kind-test.h"

extern const ResourceType timer_type;

TEST(it_is_due_each_period) {
        BENCH();

        CHECK_INT(bench_make(&timer_type, "t", FIELDS("interval=1")), 0);
        CHECK_INT(bench_watch(), 0);
        CHECK_INT(bench.n_armed, 1);
        CHECK_INT(bench_apply(true), CHECK_OK);
        for (unsigned i = 1; i <= 2; i++) {
                for (int k = 0; k < 300 && bench.n_changed < i; k++)
                        bench_run(10000);
                CHECK_INT(bench.n_changed, i);
                CHECK_INT(bench_apply(false), CHECK_CHANGED);
                CHECK_INT(bench_apply(true), CHECK_CHANGED);
                CHECK_INT(bench_apply(true), CHECK_OK);
        }
}

TEST(a_notification_begins_anew) {
        BENCH();

        CHECK_INT(bench_make(&timer_type, "t", FIELDS("interval=1")), 0);
        CHECK_INT(bench_watch(), 0);
        bench_run(600000);
        CHECK_INT(bench.n_changed, 0);
        bench.refresh = true;
        CHECK_INT(bench_apply(false), CHECK_CHANGED);
        CHECK_INT(bench_apply(true), CHECK_CHANGED);
        bench.refresh = false;
        CHECK_INT(bench_apply(true), CHECK_OK);
        bench_run(600000);
        CHECK_INT(bench.n_changed, 0);          /* a second after the first beginning it was not due */
        for (int k = 0; k < 300 && bench.n_changed == 0; k++)
                bench_run(10000);
        CHECK_INT(bench.n_changed, 1);
}

TEST(not_watched_it_is_still) {
        BENCH();

        CHECK_INT(bench_make(&timer_type, "t", FIELDS("interval=1")), 0);
        bench.refresh = true;
        CHECK_INT(bench_apply(true), CHECK_CHANGED);    /* as with Meta:poll */
        CHECK_INT(bench_watch(), 0);
        timer_type.unwatch(bench.r);
        bench_run(1100000);
        CHECK_INT(bench.n_changed, 0);
}

TEST(validate) {
        BENCH();

        CHECK(bench_make(&timer_type, "t", FIELDS("interval=0")) < 0);
        CHECK(bench_make(&timer_type, "t", FIELDS("interval=-1")) < 0);
        CHECK_INT(bench_make(&timer_type, "t", FIELDS("interval=4294967295")), 0);
}

TEST_MAIN()
