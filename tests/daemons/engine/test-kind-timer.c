/* SPDX-License-Identifier: GPL-3.0-or-later */

/* timer: each period is one change, a notification begins anew, and noop changes nothing. */

#include "tests/daemons/engine/kind-test.h"

extern const ResourceType timer_type;

/* On a machine that is busy for a whole period it may be due again at once. */
TEST(it_is_due_each_period) {
        RIG();
        uint64_t begin = rig_now();

        CHECK_INT(rig_make(&timer_type, "t", FIELDS("interval=1")), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig.host.n_armed, 1);
        CHECK_INT(rig_apply(true), CHECK_OK);
        for (unsigned i = 1; i <= 2; i++) {
                CHECK(RIG_UNTIL(rig.host.n_changed >= i));
                CHECK(rig_now() - begin >= rig.host.n_changed * UINT64_C(1000000));
                CHECK_INT(rig_apply(false), CHECK_CHANGED);
                CHECK_INT(rig_apply(true), CHECK_CHANGED);
                CHECK_INT(rig_apply(true), CHECK_OK);
        }
}

TEST(a_notification_begins_anew) {
        RIG();

        CHECK_INT(rig_make(&timer_type, "t", FIELDS("interval=2")), 0);
        CHECK_INT(rig_watch(), 0);
        rig_run(500000);
        rig.host.refresh = true;
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        uint64_t begin = rig_now();
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        rig.host.refresh = false;
        CHECK_INT(rig_apply(true), CHECK_OK);
        rig.host.n_changed = 0;
        CHECK(RIG_UNTIL(rig.host.n_changed > 0));
        CHECK(rig_now() - begin >= 2000000);          /* two seconds after the first beginning it was not due */
        CHECK_INT(rig.host.n_changed, 1);
}

TEST(not_watched_it_is_still) {
        RIG();

        CHECK_INT(rig_make(&timer_type, "t", FIELDS("interval=1")), 0);
        rig.host.refresh = true;
        CHECK_INT(rig_apply(true), CHECK_CHANGED);    /* as with Meta:poll */
        CHECK_INT(rig_watch(), 0);
        timer_type.unwatch(rig.r);
        rig_run(1100000);
        CHECK_INT(rig.host.n_changed, 0);
}

TEST(validate) {
        RIG();

        CHECK(rig_make(&timer_type, "t", FIELDS("interval=0")) < 0);
        CHECK(rig_make(&timer_type, "t", FIELDS("interval=-1")) < 0);
        CHECK_INT(rig_make(&timer_type, "t", FIELDS("interval=4294967295")), 0);
}

TEST_MAIN()
