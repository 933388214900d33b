/* SPDX-License-Identifier: GPL-3.0-or-later */

/* svc with a systemd that is made up: what it says when that answers this or that, or not at all. With the real one it is tested
 * by tests/system. */

#include "tests/daemons/engine/systemd-test.h"

extern const ResourceType svc_type;

TEST(what_is_done_follows_from_what_is) {
        static const struct {
                const char *state, *startup, *load, *active, *file;
                bool refresh, outdated;
                const char *called;
                int result;
        } cases[] = {
                { "running", "", "loaded", "active", "static", false, false, "", CHECK_OK },
                { "running", "", "loaded", "inactive", "static", false, false, "StartUnit", CHECK_CHANGED },
                { "running", "", "loaded", "failed", "static", false, false, "StartUnit", CHECK_CHANGED },
                { "running", "", "loaded", "activating", "static", false, false, "StartUnit", CHECK_CHANGED },
                { "running", "", NULL, "", "disabled", false, false, "StartUnit", CHECK_CHANGED },
                { "running", "", "not-found", "inactive", "disabled", false, false, "Reload StartUnit", CHECK_CHANGED },
                { "running", "", "loaded", "inactive", "static", false, true, "Reload StartUnit", CHECK_CHANGED },
                { "running", "enabled", "loaded", "active", "disabled", false, false, "EnableUnitFiles Reload", CHECK_CHANGED },
                { "running", "enabled", NULL, "", "disabled", false, false, "EnableUnitFiles Reload StartUnit", CHECK_CHANGED },
                { "running", "enabled", "loaded", "active", "disabled", true, false, "EnableUnitFiles Reload ReloadOrTryRestartUnit",
                  CHECK_CHANGED },
                { "running", "enabled", "loaded", "active", "enabled", true, false, "ReloadOrTryRestartUnit", CHECK_CHANGED },
                { "running", "", "loaded", "inactive", "static", true, false, "StartUnit", CHECK_CHANGED },
                { "stopped", "", NULL, "", "disabled", false, false, "", CHECK_OK },
                { "stopped", "", "loaded", "failed", "disabled", false, false, "", CHECK_OK },
                { "stopped", "", "loaded", "active", "disabled", false, false, "StopUnit", CHECK_CHANGED },
                { "stopped", "disabled", "loaded", "active", "enabled", false, false, "DisableUnitFiles Reload StopUnit", CHECK_CHANGED },
                { "", "disabled", "loaded", "active", "enabled-runtime", false, false, "DisableUnitFiles Reload", CHECK_CHANGED },
                { "", "disabled", "loaded", "active", "masked", false, false, "", CHECK_OK },
                { "", "disabled", "loaded", "active", "static", false, false, "", CHECK_OK },
                { "", "enabled", "loaded", "active", "static", false, false, "", -EOPNOTSUPP },
                { "", "enabled", "loaded", "active", "generated", false, false, "", -EOPNOTSUPP },
                { "", "disabled", "loaded", "active", "generated", false, false, "", -EOPNOTSUPP },
                { "", "", "loaded", "active", "enabled", false, false, "", CHECK_OK },
                { "", "", "loaded", "active", "enabled", true, false, "ReloadOrTryRestartUnit", CHECK_CHANGED },
                { "running", "", "not-found", "inactive", NULL, false, false, "", -EAGAIN },
                { "stopped", "", NULL, "", NULL, false, false, "", -EAGAIN },
        };
        SYSTEMD_RIG();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char state[32], startup[32];
                (void) snprintf(state, sizeof(state), "state=%s", cases[i].state);
                (void) snprintf(startup, sizeof(startup), "startup=%s", cases[i].startup);
                CHECK_INT(rig_make(&svc_type, "web", FIELDS(state, startup)), 0);
                rig.host.refresh = cases[i].refresh;
                systemd.load = cases[i].load;
                systemd.active = cases[i].active;
                systemd.file = cases[i].file;
                systemd.outdated = cases[i].outdated;
                systemd.called[0] = '\0';

                int r = rig_apply(false);
                if (r != cases[i].result || *systemd.called)
                        TEST_FAIL("case %zu, noop: %d, '%s' (%s)", i, r, systemd.called, rig.host.diag.message);
                r = rig_apply(true);
                if (r != cases[i].result || !streq(systemd.called, cases[i].called))
                        TEST_FAIL("case %zu: %d, '%s', not '%s' (%s)", i, r, systemd.called, cases[i].called, rig.host.diag.message);
                rig.host.refresh = false;
                if (cases[i].result >= 0)
                        CHECK_INT(rig_apply(true), CHECK_OK);
        }
        CHECK_INT(systemd.n_subscribed, 1);
}

TEST(jobs_that_do_not_end_well) {
        static const struct {
                const char *result, *refusal, *message;
                int error;
        } cases[] = {
                { "failed", NULL, "cannot start 'web.service': its process ended with status 7", -EPROTO },
                { "timeout", NULL, "cannot start 'web.service': its job ended with 'timeout'", -ETIMEDOUT },
                { "dependency", NULL, "cannot start 'web.service': its job ended with 'dependency'", -EPROTO },
                { NULL, SYSTEMD ".UnitMasked", "cannot start 'web.service': No.", -ERFKILL },
                { NULL, SD_BUS_ERROR_ACCESS_DENIED, "cannot start 'web.service': No.", -EACCES },
                { NULL, SYSTEMD ".TransactionIsDestructive", NULL, -EAGAIN },
        };
        SYSTEMD_RIG(.load = "loaded", .active = "inactive", .file = "static");

        CHECK_INT(rig_make(&svc_type, "web", FIELDS("state=running")), 0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                systemd.result = cases[i].result;
                systemd.refusal = cases[i].refusal;
                CHECK_INT(rig_apply(true), cases[i].error);
                CHECK_STR(rig.host.diag.message, cases[i].message);
        }
}

/* A program that ends, conditions that are not met: the job is done all the same. Nor does what the job did wake us again. */
TEST(started_for_nothing) {
        static const struct {
                const char *becomes, *message;
                int result;
        } cases[] = {
                { "inactive", "state: 'web.service' was started, but is 'inactive', not 'active'", -EPROTO },
                { "failed", "state: 'web.service' was started, but is 'failed', not 'active'", -EPROTO },
                { "activating", NULL, CHECK_CHANGED },
        };
        static const char unit[] = "/org/freedesktop/systemd1/unit/web_2eservice";
        SYSTEMD_RIG(.load = "loaded", .active = "inactive", .file = "static");

        CHECK_INT(rig_make(&svc_type, "web", FIELDS("state=running")), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK(bus_wait(&rig.host.n_armed, 0));
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                systemd.active = "inactive";
                systemd.becomes = cases[i].becomes;
                CHECK_INT(rig_apply(true), cases[i].result);
                CHECK_STR(rig.host.diag.message, cases[i].message);
                rig_run(50000);
                CHECK_INT(rig.host.n_changed, 0);
        }
        systemd.active = "active";
        CHECK(sd_bus_emit_properties_changed(systemd.bus, unit, SYSTEMD ".Unit", "ActiveState", NULL) >= 0);
        CHECK(bus_wait(&rig.host.n_changed, 0));
        CHECK_INT(rig_apply(true), CHECK_OK);
}

TEST(another_job_is_waited_for) {
        SYSTEMD_RIG(.load = "loaded", .active = "deactivating", .file = "static", .job = 9);

        CHECK_INT(rig_make(&svc_type, "web", FIELDS("state=running")), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK(bus_wait(&rig.host.n_armed, 0));
        CHECK_INT(rig_apply(true), -EAGAIN);
        CHECK_STR(rig.host.reason, "another job for this unit is under way");
        CHECK_STR(systemd.called, "");
        unsigned before = rig.host.n_changed;
        systemd.job = 0;
        systemd.active = "inactive";
        CHECK(sd_bus_emit_signal(systemd.bus, "/org/freedesktop/systemd1", SYSTEMD ".Manager", "JobRemoved", "uoss", 9,
                                 "/org/freedesktop/systemd1/job/9", "web.service", "done") >= 0);
        CHECK(bus_wait(&rig.host.n_changed, before));
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
}

TEST(a_state_that_is_told_again_is_no_news) {
        SYSTEMD_RIG(.load = "loaded", .active = "active", .file = "static");
        static const char unit[] = "/org/freedesktop/systemd1/unit/web_2eservice";

        CHECK_INT(rig_make(&svc_type, "web", FIELDS("state=running")), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK(bus_wait(&rig.host.n_armed, 0));
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK(sd_bus_emit_properties_changed(systemd.bus, unit, SYSTEMD ".Unit", "ActiveState", NULL) >= 0);
        rig_run(100000);
        CHECK_INT(rig.host.n_changed, 0);
        systemd.active = "failed";
        CHECK(sd_bus_emit_properties_changed(systemd.bus, unit, SYSTEMD ".Unit", "ActiveState", NULL) >= 0);
        CHECK(bus_wait(&rig.host.n_changed, 0));
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
}

TEST(systemd_goes_away_during_a_job) {
        _cleanup_(diag_done) Diag diag = {};
        SYSTEMD_RIG(.load = "loaded", .active = "inactive", .file = "static");

        systemd.result = NULL;
        CHECK_INT(rig_make(&svc_type, "web", FIELDS("state=running")), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK(bus_wait(&rig.host.n_armed, 0));
        rig.host.finished = NOT_FINISHED;
        CHECK_INT(svc_type.check_apply(rig.r, true, &diag), CHECK_PENDING);
        CHECK(RIG_UNTIL(systemd.n_jobs > 0));
        rig_run(50000);
        CHECK_INT(rig.host.finished, NOT_FINISHED);
        systemd_stop(NULL);
        rig_run(50000);
        CHECK(systemd_start((Systemd) { .load = "loaded", .active = "inactive", .file = "static", .result = "done" }) >= 0);
        CHECK(RIG_UNTIL(rig.host.finished != NOT_FINISHED));
        CHECK_INT(rig.host.finished, -EAGAIN);
        CHECK(bus_wait(&rig.host.n_changed, 0));
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_INT(systemd.n_subscribed, 1);
}

TEST(a_job_that_gives_way_to_another) {
        SYSTEMD_RIG(.load = "loaded", .active = "inactive", .file = "static");

        systemd.result = "canceled";
        CHECK_INT(rig_make(&svc_type, "web", FIELDS("state=running")), 0);
        CHECK_INT(rig_apply(true), -EAGAIN);
        CHECK_STR(rig.host.reason, "another job for this unit is under way");
        systemd.result = "done";
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
}

TEST(cancelled_during_a_job) {
        _cleanup_(diag_done) Diag diag = {};
        SYSTEMD_RIG(.load = "loaded", .active = "inactive", .file = "static");

        systemd.result = NULL;
        CHECK_INT(rig_make(&svc_type, "web", FIELDS("state=running")), 0);
        rig.host.finished = NOT_FINISHED;
        CHECK_INT(svc_type.check_apply(rig.r, true, &diag), CHECK_PENDING);
        CHECK(RIG_UNTIL(systemd.n_jobs > 0));
        rig_run(50000);
        svc_type.cancel(rig.r);
        CHECK(sd_bus_emit_signal(systemd.bus, "/org/freedesktop/systemd1", SYSTEMD ".Manager", "JobRemoved", "uoss", 1,
                                 "/org/freedesktop/systemd1/job/1", "web.service", "done") >= 0);
        rig_run(100000);
        CHECK_INT(rig.host.finished, NOT_FINISHED);
        systemd.result = "done";
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
}

TEST(validate) {
        static const struct {
                const char *name, *field, *message;
        } cases[] = {
                { "a", "state=on", "state must be 'running', 'stopped' or '', got 'on'" },
                { "a", "startup=on", "startup must be 'enabled', 'disabled' or '', got 'on'" },
                { "a.service", "state=", "name must be that of a unit without '.service', got 'a.service'" },
                { "a b", "state=", "name must be that of a unit: letters, digits and ':-_.\\@', got 'a b'" },
                { "../a", "state=", "name must be that of a unit: letters, digits and ':-_.\\@', got '../a'" },
                { "a\n", "state=", "name must be that of a unit: letters, digits and ':-_.\\@', got 'a\n'" },
        };
        RIG();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CHECK_INT(rig_make(&svc_type, cases[i].name, FIELDS(cases[i].field)), -EINVAL);
                CHECK_STR(rig.host.diag.message, cases[i].message);
        }
        CHECK_INT(rig_make(&svc_type, "getty@tty1", FIELDS("state=running")), 0);
}

TEST(autoedge) {
        RIG();
        _cleanup_(resource_uids_done) ResourceUids offers = {}, wants = {};
        bool file = false, timer = false;

        CHECK_INT(rig_make(&svc_type, "web", FIELDS()), 0);
        CHECK_INT(svc_type.uids(rig.r, &offers), 0);
        REQUIRE(offers.n == 1);
        CHECK_STR(offers.items[0].domain, "svc");
        CHECK_STR(offers.items[0].key, "web");
        CHECK_INT(svc_type.wants(rig.r, 0, &wants), 0);
        for (size_t i = 0; i < wants.n; i++) {
                file = file || (streq(wants.items[i].key, "/etc/systemd/system/web.service") && !wants.items[i].after);
                timer = timer || (streq(wants.items[i].domain, "cron") && wants.items[i].after);
        }
        CHECK(file);
        CHECK(timer);
}

TEST_MAIN()
