/* SPDX-License-Identifier: GPL-3.0-or-later */

/* svc with a systemd that is made up: what it says when that answers this or that, or not at all. With the real one it is tested
 * by tests/system. */

#include "tests/daemons/engine/bus-test.h"

extern const ResourceType svc_type;

#define SYSTEMD "org.freedesktop.systemd1"

/* One unit, and how to answer. */
typedef struct Systemd {
        sd_bus *bus;
        const char *load, *active, *file;       /* load NULL: not loaded */
        const char *result;     /* of jobs; NULL: they do not end */
        const char *refusal;    /* error name for jobs */
        uint32_t job;           /* somebody else's */
        bool outdated;
        unsigned n_jobs, n_reloads, n_subscribed;
        char called[256];       /* "StartUnit EnableUnitFiles …" */
} Systemd;

static Systemd systemd;

static void called(const char *what) {
        size_t n = strlen(systemd.called);

        (void) snprintf(systemd.called + n, sizeof(systemd.called) - n, "%s%s", n > 0 ? " " : "", what);
}

static int get_unit(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        if (!systemd.load)
                return sd_bus_error_set(reterr, SYSTEMD ".NoSuchUnit", "Unit not loaded.");
        return sd_bus_reply_method_return(m, "o", "/org/freedesktop/systemd1/unit/web_2eservice");
}

static int get_file_state(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        if (!systemd.file)
                return sd_bus_error_set(reterr, SD_BUS_ERROR_FILE_NOT_FOUND, "No such file or directory");
        return sd_bus_reply_method_return(m, "s", systemd.file);
}

static int run_job(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        const char *member = sd_bus_message_get_member(m), *name, *mode;
        char job[64];
        int r;

        called(member);
        if (systemd.refusal)
                return sd_bus_error_set(reterr, systemd.refusal, "No.");
        r = sd_bus_message_read(m, "ss", &name, &mode);
        if (r < 0)
                return r;
        (void) snprintf(job, sizeof(job), "/org/freedesktop/systemd1/job/%u", ++systemd.n_jobs);
        r = sd_bus_reply_method_return(m, "o", job);
        if (r < 0 || !systemd.result)
                return r;
        if (streq(systemd.result, "done") && !streq(member, "ReloadOrTryRestartUnit")) {
                systemd.load = "loaded";
                systemd.active = streq(member, "StartUnit") ? "active" : "inactive";
        }
        return sd_bus_emit_signal(systemd.bus, "/org/freedesktop/systemd1", SYSTEMD ".Manager", "JobRemoved", "uoss", systemd.n_jobs, job,
                                  name, systemd.result);
}

static int change_files(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        const char *member = sd_bus_message_get_member(m);
        bool enable = streq(member, "EnableUnitFiles");

        called(member);
        systemd.file = enable ? "enabled" : "disabled";
        return enable ? sd_bus_reply_method_return(m, "ba(sss)", true, 0) : sd_bus_reply_method_return(m, "a(sss)", 0);
}

static int reload(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        called("Reload");
        systemd.outdated = false;
        return sd_bus_reply_method_return(m, NULL);
}

static int subscribe(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        systemd.n_subscribed++;
        return sd_bus_reply_method_return(m, NULL);
}

static const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Subscribe", NULL, NULL, subscribe, 0),
        SD_BUS_METHOD("GetUnit", "s", "o", get_unit, 0),
        SD_BUS_METHOD("GetUnitFileState", "s", "s", get_file_state, 0),
        SD_BUS_METHOD("StartUnit", "ss", "o", run_job, 0),
        SD_BUS_METHOD("StopUnit", "ss", "o", run_job, 0),
        SD_BUS_METHOD("ReloadOrTryRestartUnit", "ss", "o", run_job, 0),
        SD_BUS_METHOD("EnableUnitFiles", "asbb", "ba(sss)", change_files, 0),
        SD_BUS_METHOD("DisableUnitFiles", "asb", "a(sss)", change_files, 0),
        SD_BUS_METHOD("Reload", NULL, NULL, reload, 0),
        SD_BUS_VTABLE_END
};

static int get_text(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply, void *userdata,
                    sd_bus_error *reterr) {
        const char *text = streq(property, "Id") ? "web.service" : streq(property, "LoadState") ? systemd.load
                : streq(property, "Result") ? "exit-code" : systemd.active;

        return sd_bus_message_append(reply, "s", text);
}

static int get_job(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply, void *userdata,
                   sd_bus_error *reterr) {
        return sd_bus_message_append(reply, "(uo)", systemd.job, "/");
}

static int get_outdated(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                        void *userdata, sd_bus_error *reterr) {
        return sd_bus_message_append(reply, "b", systemd.outdated);
}

static int get_status(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply, void *userdata,
                      sd_bus_error *reterr) {
        return sd_bus_message_append(reply, "i", streq(property, "ExecMainCode") ? 1 : 7);
}

static const sd_bus_vtable unit_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Id", "s", get_text, 0, 0),
        SD_BUS_PROPERTY("LoadState", "s", get_text, 0, 0),
        SD_BUS_PROPERTY("ActiveState", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Job", "(uo)", get_job, 0, 0),
        SD_BUS_PROPERTY("NeedDaemonReload", "b", get_outdated, 0, 0),
        SD_BUS_VTABLE_END
};

static const sd_bus_vtable service_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Result", "s", get_text, 0, 0),
        SD_BUS_PROPERTY("ExecMainCode", "i", get_status, 0, 0),
        SD_BUS_PROPERTY("ExecMainStatus", "i", get_status, 0, 0),
        SD_BUS_VTABLE_END
};

static int systemd_start(Systemd initial) {
        static const char unit[] = "/org/freedesktop/systemd1/unit/web_2eservice";
        int r;

        systemd = initial;
        systemd.bus = service_connect();
        if (!systemd.bus)
                return -ENOTCONN;
        r = sd_bus_add_object_vtable(systemd.bus, NULL, "/org/freedesktop/systemd1", SYSTEMD ".Manager", manager_vtable, NULL);
        if (r >= 0)
                r = sd_bus_add_object_vtable(systemd.bus, NULL, unit, SYSTEMD ".Unit", unit_vtable, NULL);
        if (r >= 0)
                r = sd_bus_add_object_vtable(systemd.bus, NULL, unit, SYSTEMD ".Service", service_vtable, NULL);
        return r < 0 ? r : sd_bus_request_name(systemd.bus, SYSTEMD, 0);
}

static void systemd_stop(int *unused) {
        systemd.bus = sd_bus_close_unref(systemd.bus);
}

#define SYSTEMD_BENCH(...) \
        BUS_BENCH(); \
        __attribute__((__cleanup__(systemd_stop), __unused__)) int systemd_guard = 0; \
        REQUIRE(bus_start() >= 0); \
        REQUIRE(systemd_start((Systemd) { .result = "done", __VA_ARGS__ }) >= 0)

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
        SYSTEMD_BENCH();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char state[32], startup[32];
                (void) snprintf(state, sizeof(state), "state=%s", cases[i].state);
                (void) snprintf(startup, sizeof(startup), "startup=%s", cases[i].startup);
                CHECK_INT(bench_make(&svc_type, "web", FIELDS(state, startup)), 0);
                bench.refresh = cases[i].refresh;
                systemd.load = cases[i].load;
                systemd.active = cases[i].active;
                systemd.file = cases[i].file;
                systemd.outdated = cases[i].outdated;
                systemd.called[0] = '\0';

                int r = bench_apply(false);
                if (r != cases[i].result || *systemd.called)
                        TEST_FAIL("case %zu, noop: %d, '%s' (%s)", i, r, systemd.called, bench.diag.message);
                r = bench_apply(true);
                if (r != cases[i].result || !streq(systemd.called, cases[i].called))
                        TEST_FAIL("case %zu: %d, '%s', not '%s' (%s)", i, r, systemd.called, cases[i].called, bench.diag.message);
                bench.refresh = false;
                if (cases[i].result >= 0)
                        CHECK_INT(bench_apply(true), CHECK_OK);
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
        SYSTEMD_BENCH(.load = "loaded", .active = "inactive", .file = "static");

        CHECK_INT(bench_make(&svc_type, "web", FIELDS("state=running")), 0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                systemd.result = cases[i].result;
                systemd.refusal = cases[i].refusal;
                CHECK_INT(bench_apply(true), cases[i].error);
                CHECK_STR(bench.diag.message, cases[i].message);
        }
}

TEST(another_job_is_waited_for) {
        SYSTEMD_BENCH(.load = "loaded", .active = "deactivating", .file = "static", .job = 9);

        CHECK_INT(bench_make(&svc_type, "web", FIELDS("state=running")), 0);
        CHECK_INT(bench_watch(), 0);
        CHECK(bus_wait(&bench.n_armed, 0));
        CHECK_INT(bench_apply(true), -EAGAIN);
        CHECK_STR(bench.reason, "another job for this unit is under way");
        CHECK_STR(systemd.called, "");
        unsigned before = bench.n_changed;
        systemd.job = 0;
        systemd.active = "inactive";
        CHECK(sd_bus_emit_signal(systemd.bus, "/org/freedesktop/systemd1", SYSTEMD ".Manager", "JobRemoved", "uoss", 9,
                                 "/org/freedesktop/systemd1/job/9", "web.service", "done") >= 0);
        CHECK(bus_wait(&bench.n_changed, before));
        CHECK_INT(bench_apply(true), CHECK_CHANGED);
}

TEST(a_state_that_is_told_again_is_no_news) {
        SYSTEMD_BENCH(.load = "loaded", .active = "active", .file = "static");
        static const char unit[] = "/org/freedesktop/systemd1/unit/web_2eservice";

        CHECK_INT(bench_make(&svc_type, "web", FIELDS("state=running")), 0);
        CHECK_INT(bench_watch(), 0);
        CHECK(bus_wait(&bench.n_armed, 0));
        CHECK_INT(bench_apply(true), CHECK_OK);
        CHECK(sd_bus_emit_properties_changed(systemd.bus, unit, SYSTEMD ".Unit", "ActiveState", NULL) >= 0);
        bench_run(100000);
        CHECK_INT(bench.n_changed, 0);
        systemd.active = "failed";
        CHECK(sd_bus_emit_properties_changed(systemd.bus, unit, SYSTEMD ".Unit", "ActiveState", NULL) >= 0);
        CHECK(bus_wait(&bench.n_changed, 0));
        CHECK_INT(bench_apply(true), CHECK_CHANGED);
}

TEST(systemd_goes_away_during_a_job) {
        _cleanup_(diag_done) Diag diag = {};
        SYSTEMD_BENCH(.load = "loaded", .active = "inactive", .file = "static");

        systemd.result = NULL;
        CHECK_INT(bench_make(&svc_type, "web", FIELDS("state=running")), 0);
        CHECK_INT(bench_watch(), 0);
        CHECK(bus_wait(&bench.n_armed, 0));
        bench.finished = NOT_FINISHED;
        CHECK_INT(svc_type.check_apply(bench.r, true, &diag), CHECK_PENDING);
        for (int i = 0; i < 200 && systemd.n_jobs == 0; i++)
                bench_run(10000);
        bench_run(50000);
        CHECK_INT(bench.finished, NOT_FINISHED);
        systemd_stop(NULL);
        bench_run(50000);
        CHECK(systemd_start((Systemd) { .load = "loaded", .active = "inactive", .file = "static", .result = "done" }) >= 0);
        for (int i = 0; i < 200 && bench.finished == NOT_FINISHED; i++)
                bench_run(10000);
        CHECK_INT(bench.finished, -EAGAIN);
        CHECK(bus_wait(&bench.n_changed, 0));
        CHECK_INT(bench_apply(true), CHECK_CHANGED);
        CHECK_INT(systemd.n_subscribed, 1);
}

TEST(a_job_that_gives_way_to_another) {
        SYSTEMD_BENCH(.load = "loaded", .active = "inactive", .file = "static");

        systemd.result = "canceled";
        CHECK_INT(bench_make(&svc_type, "web", FIELDS("state=running")), 0);
        CHECK_INT(bench_apply(true), -EAGAIN);
        CHECK_STR(bench.reason, "another job for this unit is under way");
        systemd.result = "done";
        CHECK_INT(bench_apply(true), CHECK_CHANGED);
}

TEST(cancelled_during_a_job) {
        _cleanup_(diag_done) Diag diag = {};
        SYSTEMD_BENCH(.load = "loaded", .active = "inactive", .file = "static");

        systemd.result = NULL;
        CHECK_INT(bench_make(&svc_type, "web", FIELDS("state=running")), 0);
        bench.finished = NOT_FINISHED;
        CHECK_INT(svc_type.check_apply(bench.r, true, &diag), CHECK_PENDING);
        for (int i = 0; i < 200 && systemd.n_jobs == 0; i++)
                bench_run(10000);
        bench_run(50000);
        svc_type.cancel(bench.r);
        CHECK(sd_bus_emit_signal(systemd.bus, "/org/freedesktop/systemd1", SYSTEMD ".Manager", "JobRemoved", "uoss", 1,
                                 "/org/freedesktop/systemd1/job/1", "web.service", "done") >= 0);
        bench_run(100000);
        CHECK_INT(bench.finished, NOT_FINISHED);
        systemd.result = "done";
        CHECK_INT(bench_apply(true), CHECK_CHANGED);
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
        BENCH();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CHECK_INT(bench_make(&svc_type, cases[i].name, FIELDS(cases[i].field)), -EINVAL);
                CHECK_STR(bench.diag.message, cases[i].message);
        }
        CHECK_INT(bench_make(&svc_type, "getty@tty1", FIELDS("state=running")), 0);
}

TEST(autoedge) {
        BENCH();
        _cleanup_(resource_uids_done) ResourceUids offers = {}, wants = {};
        bool file = false, timer = false;

        CHECK_INT(bench_make(&svc_type, "web", FIELDS()), 0);
        CHECK_INT(svc_type.uids(bench.r, &offers), 0);
        REQUIRE(offers.n == 1);
        CHECK_STR(offers.items[0].domain, "svc");
        CHECK_STR(offers.items[0].key, "web");
        CHECK_INT(svc_type.wants(bench.r, 0, &wants), 0);
        for (size_t i = 0; i < wants.n; i++) {
                file = file || (streq(wants.items[i].key, "/etc/systemd/system/web.service") && !wants.items[i].after);
                timer = timer || (streq(wants.items[i].domain, "cron") && wants.items[i].after);
        }
        CHECK(file);
        CHECK(timer);
}

TEST_MAIN()
