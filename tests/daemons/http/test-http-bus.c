/* SPDX-License-Identifier: GPL-3.0-or-later */

/* org.mgmt.http1.Manager: what it says while servers come and go. */

#include "daemons/http/http.h"
#include "daemons/http/kinds.h"
#include "tests/daemons/busstage.h"
#include "tests/daemons/http/client.h"
#include "tests/test.h"

#define OBJECT "/org/mgmt/http1"
#define INTERFACE "org.mgmt.http1.Manager"

static unsigned get_number(BusStage *s, const char *property) {
        unsigned n = 999;

        CHECK(busstage_get(s, OBJECT, INTERFACE, property, "u") >= 0);
        CHECK(sd_bus_message_read(s->answer, "u", &n) > 0);
        return n;
}

TEST(properties) {
        Daemon daemon = { .name = "http" };
        Httpd h = { .daemon = &daemon };
        TestHost host;
        BusStage s;
        Client c;
        char address[80];
        const char *text = NULL, *where = NULL;

        REQUIRE(sd_event_new(&daemon.event) >= 0 && http_manager_init(&h.manager, daemon.event) >= 0);
        REQUIRE(worker_new(&h.worker, daemon.event, http_kinds, "/nowhere", &h.manager) >= 0);
        REQUIRE(testhost_init(&host, daemon.event, &h.manager, NULL) >= 0);
        busstage_init(&s, daemon.event);
        CHECK_INT(httpd_export(&h), 0);

        CHECK(busstage_get(&s, OBJECT, INTERFACE, "Version", "s") >= 0);
        CHECK(sd_bus_message_read(s.answer, "s", &text) > 0);
        CHECK_STR(text, MGMT_VERSION);
        CHECK_INT(get_number(&s, "ResourceCount"), 0);
        CHECK_INT(get_number(&s, "CallCount"), 0);
        CHECK_INT(get_number(&s, "Connections"), 0);
        CHECK(busstage_get(&s, OBJECT, INTERFACE, "Servers", "a(ss)") >= 0);
        CHECK(sd_bus_message_enter_container(s.answer, 'a', "(ss)") >= 0);
        CHECK_INT(sd_bus_message_read(s.answer, "(ss)", &text, &where), 0);

        unsigned n = s.n_changed;
        (void) snprintf(address, sizeof(address), "\"%s\"", test_address());
        Resource *server = testhost_resource(&host, resource_type_find(http_kinds, "http:server"), "web", "address", address, NULL);
        REQUIRE(server);
        CHECK_INT(testhost_watch(&host, server), 0);
        CHECK(busstage_until_changed(&s, n));
        CHECK(busstage_get(&s, OBJECT, INTERFACE, "Servers", "a(ss)") >= 0);
        CHECK(sd_bus_message_enter_container(s.answer, 'a', "(ss)") >= 0);
        CHECK(sd_bus_message_read(s.answer, "(ss)", &text, &where) > 0);
        CHECK_STR(text, "web");
        CHECK_STR(where, test_address());
        CHECK_INT(sd_bus_message_read(s.answer, "(ss)", &text, &where), 0);

        REQUIRE(client_open(&c, &host, test_address()) >= 0);
        for (unsigned i = 0; i < PATIENCE_MSEC / 20 && get_number(&s, "Connections") == 0; i++)
                testhost_run(&host, 20);
        CHECK_INT(get_number(&s, "Connections"), 1);
        client_close(&c);

        n = s.n_changed;
        testhost_free(server);
        CHECK(busstage_until_changed(&s, n));
        CHECK(busstage_get(&s, OBJECT, INTERFACE, "Servers", "a(ss)") >= 0);
        CHECK(sd_bus_message_enter_container(s.answer, 'a', "(ss)") >= 0);
        CHECK_INT(sd_bus_message_read(s.answer, "(ss)", &text, &where), 0);

        worker_free(h.worker);
        testhost_done(&host);
        http_manager_done(&h.manager);
        busstage_done(&s);
        sd_event_unref(daemon.event);
}

TEST_MAIN()
