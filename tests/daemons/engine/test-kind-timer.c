/* SPDX-License-Identifier: GPL-3.0-or-later */

/* timer: each period is one change, a notification begins anew, and noop changes nothing. */

#include "tests/daemons/engine/kind-test.h"

extern const ResourceType timer_type;

TEST(it_is_due_each_period) {
        RIG();

        CHECK_INT(rig_make(&timer_type, "t", FIELDS("interval=1")), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig.host.n_armed, 1);
        CHECK_INT(rig_apply(true), CHECK_OK);
        for (unsigned i = 1; i <= 2; i++) {
                for (int k = 0; k < 300 && rig.host.n_changed < i; k++)
                        rig_run(10000);
                CHECK_INT(rig.host.n_changed, i);
                CHECK_INT(rig_apply(false), CHECK_CHANGED);
                CHECK_INT(rig_apply(true), CHECK_CHANGED);
                CHECK_INT(rig_apply(true), CHECK_OK);
        }
}

TEST(a_notification_begins_anew) {
        RIG();

        CHECK_INT(rig_make(&timer_type, "t", FIELDS("interval=1")), 0);
        CHECK_INT(rig_watch(), 0);
        rig_run(600000);
        CHECK_INT(rig.host.n_changed, 0);
        rig.host.refresh = true;
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        rig.host.refresh = false;
        CHECK_INT(rig_apply(true), CHECK_OK);
        rig_run(600000);
        CHECK_INT(rig.host.n_changed, 0);          /* a second after the first beginning it was not due */
        for (int k = 0; k < 300 && rig.host.n_changed == 0; k++)
                rig_run(10000);
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
