/* SPDX-License-Identifier: GPL-3.0-or-later */

/* nspawn, with a machined and a systemd that are made up. With the real ones it is tested by tests/system. */

#include "tests/daemons/engine/systemd-test.h"

extern const ResourceType nspawn_type;

#define MACHINED "org.freedesktop.machine1"
#define MACHINE "/org/freedesktop/machine1/machine/box"

static struct {
        sd_bus *bus;
        const char *state;      /* NULL: there is no such machine */
        bool image;
} machined;

static int get_machine(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        if (!machined.state)
                return sd_bus_error_set(reterr, MACHINED ".NoSuchMachine", "No machine 'box' known");
        return sd_bus_reply_method_return(m, "o", MACHINE);
}

static int get_image(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        if (!machined.image)
                return sd_bus_error_set(reterr, MACHINED ".NoSuchImage", "No image 'box' known");
        return sd_bus_reply_method_return(m, "o", "/org/freedesktop/machine1/image/box");
}

static int get_state(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply, void *userdata,
                     sd_bus_error *reterr) {
        return sd_bus_message_append(reply, "s", machined.state);
}

static const sd_bus_vtable machined_vtable[] = {
        SD_BUS_VTABLE_START(SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetMachine", "s", "o", get_machine, 0),
        SD_BUS_METHOD("GetImage", "s", "o", get_image, 0),
        SD_BUS_SIGNAL("MachineNew", "so", 0),
        SD_BUS_SIGNAL("MachineRemoved", "so", 0),
        SD_BUS_VTABLE_END
};

static const sd_bus_vtable machine_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("State", "s", get_state, 0, 0),
        SD_BUS_VTABLE_END
};

static int machined_start(const char *state, bool image) {
        int r;

        machined.bus = service_connect();
        machined.state = state;
        machined.image = image;
        if (!machined.bus)
                return -ENOTCONN;
        r = sd_bus_add_object_vtable(machined.bus, NULL, "/org/freedesktop/machine1", MACHINED ".Manager", machined_vtable, NULL);
        if (r >= 0)
                r = sd_bus_add_object_vtable(machined.bus, NULL, MACHINE, MACHINED ".Machine", machine_vtable, NULL);
        return r < 0 ? r : sd_bus_request_name(machined.bus, MACHINED, 0);
}

static void machined_stop(int *unused) {
        machined.bus = sd_bus_close_unref(machined.bus);
}

#define MACHINED_RIG(state, image, ...) \
        SYSTEMD_RIG(.unit = "systemd-nspawn@box.service", .load = "loaded", .active = "inactive", .file = "disabled", ##__VA_ARGS__); \
        __attribute__((__cleanup__(machined_stop), __unused__)) int machined_guard = 0; \
        REQUIRE(machined_start((state), (image)) >= 0)

TEST(what_is_done_follows_from_what_is) {
        static const struct {
                const char *field, *state;
                bool image;
                const char *called;
                int result;
        } cases[] = {
                { "state=running", "running", true, "", CHECK_OK },
                { "state=running", NULL, true, "StartUnit", CHECK_CHANGED },
                { "state=running", NULL, false, "", -ENOENT },
                { "state=stopped", NULL, false, "", CHECK_OK },
                { "state=stopped", NULL, true, "", CHECK_OK },
                { "state=stopped", "running", true, "StopUnit", CHECK_CHANGED },
                { "state=stopped", "opening", true, "StopUnit", CHECK_CHANGED },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                unsigned before = test_failures;
                MACHINED_RIG(cases[i].state, cases[i].image);
                CHECK_INT(rig_make(&nspawn_type, "box", FIELDS(cases[i].field)), 0);
                int r = rig_apply(false);
                CHECK(cases[i].result < 0 ? r < 0 : r == cases[i].result);
                CHECK_STR(systemd.called, "");
                r = rig_apply(true);
                CHECK(cases[i].result < 0 ? r < 0 : r == cases[i].result);
                CHECK_STR(systemd.called, cases[i].called);
                CHECK(cases[i].result >= 0 || (rig.host.diag.message && strstr(rig.host.diag.message, "machine 'box' has no image")));
                if (test_failures > before)
                        printf("# case %zu: %s\n", i, rig.host.diag.message ? rig.host.diag.message : "");
        }
}

TEST(a_machine_that_ends_at_once_is_not_started_for_ever) {
        MACHINED_RIG(NULL, true, .becomes = "failed");

        CHECK_INT(rig_make(&nspawn_type, "box", FIELDS("state=running")), 0);
        CHECK_INT(rig_apply(true), -EPROTO);
        CHECK_STR(rig.host.diag.message, "state: the job for 'systemd-nspawn@box.service' is done, but it is 'failed'");
}

TEST(a_notification_disturbs_nothing) {
        MACHINED_RIG("running", true);

        CHECK((nspawn_type.flags & RESOURCE_REFRESHABLE) != 0);
        CHECK_INT(rig_make(&nspawn_type, "box", FIELDS("state=running")), 0);
        rig.host.refresh = true;
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_STR(systemd.called, "");
}

TEST(machines_come_and_go) {
        MACHINED_RIG("running", true);

        CHECK_INT(rig_make(&nspawn_type, "box", FIELDS("state=running")), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK(bus_wait(&rig.host.n_armed, 0));
        CHECK_INT(rig_apply(true), CHECK_OK);
        rig_run(20000);
        rig.host.n_changed = 0;
        CHECK(sd_bus_emit_signal(machined.bus, "/org/freedesktop/machine1", MACHINED ".Manager", "MachineRemoved", "so", "other", "/o") >= 0);
        rig_run(50000);
        CHECK_INT(rig.host.n_changed, 0);
        CHECK(sd_bus_emit_signal(machined.bus, "/org/freedesktop/machine1", MACHINED ".Manager", "MachineRemoved", "so", "box", MACHINE) >= 0);
        CHECK(bus_wait(&rig.host.n_changed, 0));
}

TEST(without_machined_it_waits) {
        SYSTEMD_RIG(.unit = "systemd-nspawn@box.service");

        CHECK_INT(rig_make(&nspawn_type, "box", FIELDS("state=running")), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK(bus_wait(&rig.host.n_armed, 0));
        CHECK_INT(rig_apply(true), -EAGAIN);
        CHECK(rig.host.reason && strstr(rig.host.reason, MACHINED));
        rig.host.n_changed = 0;
        REQUIRE(machined_start("running", true) >= 0);
        CHECK(bus_wait(&rig.host.n_changed, 0));
        CHECK_INT(rig_apply(true), CHECK_OK);
        machined_stop(NULL);
}

TEST(validate) {
        RIG();

        CHECK(rig_make(&nspawn_type, "a/b", FIELDS("state=running")) < 0);
        CHECK(rig_make(&nspawn_type, "box", FIELDS("state=up")) < 0);
        CHECK_INT(rig_make(&nspawn_type, "a-b.c_1", FIELDS()), 0);
}

TEST_MAIN()
