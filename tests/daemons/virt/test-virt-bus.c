/* SPDX-License-Identifier: GPL-3.0-or-later */

/* org.mgmt.virt1.Manager: what it says while connections come and go. */

#include "daemons/virt/kinds.h"
#include "daemons/virt/virt.h"
#include "tests/daemons/busstage.h"
#include "tests/daemons/testhost.h"
#include "tests/test.h"

#define OBJECT "/org/mgmt/virt1"
#define INTERFACE "org.mgmt.virt1.Manager"

/* The only connection there is: "uri state users", or "" if there is none. */
static const char *connection(BusStage *s) {
        static char text[128];
        const char *uri = NULL, *state = NULL;
        unsigned n = 0;

        text[0] = 0;
        CHECK(busstage_get(s, OBJECT, INTERFACE, "Connections", "a(ssu)") >= 0);
        CHECK(sd_bus_message_enter_container(s->answer, 'a', "(ssu)") >= 0);
        if (sd_bus_message_read(s->answer, "(ssu)", &uri, &state, &n) > 0)
                (void) snprintf(text, sizeof(text), "%s %s %u", uri, state, n);
        return text;
}

static bool nobody_is_connected(void *userdata) {
        return !virt_connection_next(userdata, NULL);
}

TEST(properties) {
        Daemon daemon = { .name = "virt" };
        Virtd v = { .daemon = &daemon };
        TestHost host;
        BusStage s;
        const char *text = NULL;
        unsigned n = 999;

        REQUIRE(sd_event_new(&daemon.event) >= 0 && virt_manager_init(&v.manager, daemon.event) >= 0);
        REQUIRE(docker_new(&v.docker, daemon.event, v.manager.paths, "/nowhere/docker.sock") >= 0);
        v.manager.docker = v.docker;
        REQUIRE(worker_new(&v.worker, daemon.event, virt_kinds, "/nowhere", &v.manager) >= 0);
        REQUIRE(testhost_init(&host, daemon.event, &v.manager, NULL) >= 0);
        busstage_init(&s, daemon.event);
        CHECK_INT(virtd_export(&v), 0);

        CHECK(busstage_get(&s, OBJECT, INTERFACE, "Version", "s") >= 0);
        CHECK(sd_bus_message_read(s.answer, "s", &text) > 0);
        CHECK_STR(text, MGMT_VERSION);
        CHECK(busstage_get(&s, OBJECT, INTERFACE, "ResourceCount", "u") >= 0);
        CHECK(sd_bus_message_read(s.answer, "u", &n) > 0);
        CHECK_INT(n, 0);
        CHECK_STR(connection(&s), "");

        n = s.n_changed;
        Resource *r = testhost_resource(&host, resource_type_find(virt_kinds, "virt"), "m", "uri", "\"test:///default\"", "memory", "1024", "cpus", "1", NULL);
        REQUIRE(r);
        CHECK_INT(testhost_watch(&host, r), 0);
        CHECK(busstage_until_changed(&s, n));
        CHECK_STR(connection(&s), "test:///default closed 1");

        n = s.n_changed;
        CHECK_INT(testhost_check(&host, r, true), CHECK_CHANGED);
        CHECK(busstage_until_changed(&s, n));
        CHECK_STR(connection(&s), "test:///default open 1");

        testhost_free(r);
        CHECK(testhost_until(&host, nobody_is_connected, &v.manager, PATIENCE_MSEC));
        CHECK_STR(connection(&s), "");

        n = s.n_changed;
        r = testhost_resource(&host, resource_type_find(virt_kinds, "docker:image"), "app", NULL);
        REQUIRE(r);
        CHECK_INT(testhost_watch(&host, r), 0);
        CHECK(busstage_until_changed(&s, n));
        CHECK_STR(connection(&s), "unix:///nowhere/docker.sock closed 1");
        n = s.n_changed;
        CHECK_INT(testhost_check(&host, r, true), -EAGAIN);
        CHECK(busstage_until_changed(&s, n));
        CHECK_STR(connection(&s), "unix:///nowhere/docker.sock waiting 1");
        testhost_free(r);
        CHECK_STR(connection(&s), "");

        worker_free(v.worker);
        docker_free(v.docker);
        testhost_done(&host);
        virt_manager_done(&v.manager);
        busstage_done(&s);
        sd_event_unref(daemon.event);
}

TEST_MAIN()
