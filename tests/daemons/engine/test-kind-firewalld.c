/* SPDX-License-Identifier: GPL-3.0-or-later */

/* firewalld with one that is made up: what it is asked to change. With the real one it is tested by tests/system. */

#include "tests/daemons/engine/bus-test.h"

extern const ResourceType firewalld_type;

#define SERVICE "org.fedoraproject.FirewallD1"
#define SERVICE_PATH "/org/fedoraproject/FirewallD1"

static struct {
        sd_bus *bus;
        const char *services[4];
        const char *ports[4][2];
        const char *refusal;
        char called[256];
} firewalld;

static int get_default_zone(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        return sd_bus_reply_method_return(m, "s", "public");
}

static int get_services(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r = sd_bus_message_new_method_return(m, &reply);

        if (r >= 0)
                r = sd_bus_message_append_strv(reply, (char **) firewalld.services);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int get_ports(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r = sd_bus_message_new_method_return(m, &reply);

        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "as");
        for (size_t i = 0; r >= 0 && firewalld.ports[i][0]; i++)
                r = sd_bus_message_append(reply, "as", 2, firewalld.ports[i][0], firewalld.ports[i][1]);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

/* Writes down "member zone word word", and does nothing. */
static int change(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        const char *text;
        size_t n = strlen(firewalld.called);

        (void) snprintf(firewalld.called + n, sizeof(firewalld.called) - n, "%s%s", n > 0 ? "; " : "", sd_bus_message_get_member(m));
        while (sd_bus_message_peek_type(m, NULL, NULL) > 0 && sd_bus_message_read(m, "s", &text) > 0) {
                n = strlen(firewalld.called);
                (void) snprintf(firewalld.called + n, sizeof(firewalld.called) - n, " %s", text);
        }
        if (firewalld.refusal)
                return sd_bus_error_set(reterr, SERVICE ".Exception", firewalld.refusal);
        return sd_bus_reply_method_return(m, "s", "public");
}

static const sd_bus_vtable service_vtable[] = {
        SD_BUS_VTABLE_START(SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("getDefaultZone", NULL, "s", get_default_zone, 0),
        SD_BUS_SIGNAL("Reloaded", NULL, 0),
        SD_BUS_VTABLE_END
};

static const sd_bus_vtable zone_vtable[] = {
        SD_BUS_VTABLE_START(SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("getServices", "s", "as", get_services, 0),
        SD_BUS_METHOD("getPorts", "s", "aas", get_ports, 0),
        SD_BUS_METHOD("addService", "ssi", "s", change, 0),
        SD_BUS_METHOD("removeService", "ss", "s", change, 0),
        SD_BUS_METHOD("addPort", "sssi", "s", change, 0),
        SD_BUS_METHOD("removePort", "sss", "s", change, 0),
        SD_BUS_SIGNAL("ServiceRemoved", "ss", 0),
        SD_BUS_VTABLE_END
};

static int firewalld_start(void) {
        int r;

        memset(&firewalld, 0, sizeof(firewalld));
        firewalld.services[0] = "ssh";
        firewalld.services[1] = "http";
        firewalld.ports[0][0] = "1000-2000";
        firewalld.ports[0][1] = "udp";
        firewalld.ports[1][0] = "80";
        firewalld.ports[1][1] = "tcp";
        firewalld.bus = service_connect();
        if (!firewalld.bus)
                return -ENOTCONN;
        r = sd_bus_add_object_vtable(firewalld.bus, NULL, SERVICE_PATH, SERVICE, service_vtable, NULL);
        if (r >= 0)
                r = sd_bus_add_object_vtable(firewalld.bus, NULL, SERVICE_PATH, SERVICE ".zone", zone_vtable, NULL);
        return r < 0 ? r : sd_bus_request_name(firewalld.bus, SERVICE, 0);
}

static void firewalld_stop(int *unused) {
        firewalld.bus = sd_bus_close_unref(firewalld.bus);
}

#define FIREWALLD_RIG() \
        BUS_RIG(); \
        __attribute__((__cleanup__(firewalld_stop), __unused__)) int firewalld_guard = 0; \
        REQUIRE(bus_start() >= 0); \
        REQUIRE(firewalld_start() >= 0)

TEST(what_is_done_follows_from_what_is) {
        static const struct {
                const char *fields[4], *refusal, *called;
                int result;
        } cases[] = {
                { { "services=ssh http", "ports=80/tcp 1500/udp 1000/udp" }, NULL, "", CHECK_OK },
                { { "services=ssh https" }, NULL, "addService public https", CHECK_CHANGED },
                { { "zone=home", "services=https" }, NULL, "addService home https", CHECK_CHANGED },
                { { "ports=1500/tcp 81/tcp" }, NULL, "addPort public 1500 tcp; addPort public 81 tcp", CHECK_CHANGED },
                { { "services=https", "ports=2001/udp" }, NULL, "addService public https; addPort public 2001 udp", CHECK_CHANGED },
                { { "state=absent", "services=https", "ports=81/tcp" }, NULL, "", CHECK_OK },
                { { "state=absent", "services=ssh", "ports=80/tcp" }, NULL, "removeService public ssh; removePort public 80 tcp", CHECK_CHANGED },
                { { "services=https" }, "ALREADY_ENABLED: https", "addService public https", CHECK_CHANGED },
                { { "state=absent", "services=ssh" }, "NOT_ENABLED: ssh", "removeService public ssh", CHECK_CHANGED },
                { { "state=absent", "ports=1500/udp" }, "NOT_ENABLED: 1500:udp", "removePort public 1500 udp", -EIO },
                { { "services=nonsense" }, "INVALID_SERVICE: nonsense", "addService public nonsense", -EIO },
                { { NULL }, NULL, "", CHECK_OK },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                unsigned before = test_failures;
                FIREWALLD_RIG();
                bool fails = cases[i].result < 0;
                firewalld.refusal = cases[i].refusal;
                CHECK_INT(rig_make(&firewalld_type, "f", cases[i].fields), 0);
                CHECK_INT(rig_apply(false), fails ? CHECK_CHANGED : cases[i].result);
                CHECK_STR(firewalld.called, "");
                int r = rig_apply(true);
                CHECK(fails ? r < 0 : r == cases[i].result);
                CHECK_STR(firewalld.called, cases[i].called);
                CHECK(!fails || (rig.host.diag.message && strstr(rig.host.diag.message, cases[i].refusal)));
                if (test_failures > before)
                        printf("# case %zu: %s\n", i, rig.host.diag.message ? rig.host.diag.message : "");
        }
}

TEST(changes_are_seen) {
        FIREWALLD_RIG();

        CHECK_INT(rig_make(&firewalld_type, "f", FIELDS("services=ssh")), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK(bus_wait(&rig.host.n_armed, 0));
        CHECK_INT(rig_apply(true), CHECK_OK);
        rig.host.n_changed = 0;
        CHECK(sd_bus_emit_signal(firewalld.bus, SERVICE_PATH, SERVICE ".zone", "ServiceRemoved", "ss", "public", "ssh") >= 0);
        CHECK(bus_wait(&rig.host.n_changed, 0));
        rig.host.n_changed = 0;
        CHECK(sd_bus_emit_signal(firewalld.bus, SERVICE_PATH, SERVICE, "Reloaded", NULL) >= 0);
        CHECK(bus_wait(&rig.host.n_changed, 0));
}

TEST(it_is_waited_for) {
        BUS_RIG();

        REQUIRE(bus_start() >= 0);
        CHECK_INT(rig_make(&firewalld_type, "f", FIELDS("services=ssh")), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK(bus_wait(&rig.host.n_armed, 0));
        CHECK_INT(rig_apply(true), -EAGAIN);
        rig.host.n_changed = 0;
        __attribute__((__cleanup__(firewalld_stop), __unused__)) int firewalld_guard = 0;
        REQUIRE(firewalld_start() >= 0);
        CHECK(bus_wait(&rig.host.n_changed, 0));
        CHECK_INT(rig_apply(true), CHECK_OK);
}

TEST(validate) {
        static const char *const bad[][2] = { { "state=up" }, { "ports=80" }, { "ports=80/" }, { "ports=/tcp" }, { "ports=0/tcp" },
                                              { "ports=65536/tcp" }, { "ports=80-90/tcp" }, { "ports=a/tcp" }, { "ports=80/tcp/x" } };
        RIG();

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (rig_make(&firewalld_type, "f", bad[i]) >= 0)
                        TEST_FAIL("case %zu is taken", i);
}

TEST_MAIN()
