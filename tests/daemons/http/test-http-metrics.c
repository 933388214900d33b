/* SPDX-License-Identifier: GPL-3.0-or-later */

/* http:server:metrics: an engine at the other end of a socket pair that answers when it is told to. */

#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include <systemd/sd-bus.h>

#include "daemons/http/address.h"
#include "daemons/http/http-manager.h"
#include "daemons/http/kinds.h"
#include "tests/daemons/http/client.h"
#include "tests/test.h"

#define GET "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"

typedef struct Fixture {
        sd_event *event;
        HttpManager manager;
        TestHost host;
        Resource *server;
        sd_bus *engine, *bus;
} Fixture;

static struct {
        unsigned n_calls;
        bool fails, silent;
        sd_bus_message *last;
} engine;

static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        char text[64];

        if (!sd_bus_message_is_method_call(m, "org.mgmt.engine1.Manager", "GetMetrics"))
                return 0;
        engine.n_calls++;
        if (engine.fails)
                return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_FAILED, "told to fail");
        if (engine.silent) {
                engine.last = sd_bus_message_ref(m);
                return 1;
        }
        (void) snprintf(text, sizeof(text), "calls %u\n# EOF\n", engine.n_calls);
        return sd_bus_reply_method_return(m, "s", text);
}

static void must(int r) {
        if (r < 0)
                abort();
}

static sd_bus *start_bus(Fixture *f, int fd, bool server) {
        sd_bus *bus;
        sd_id128_t id;

        must(sd_id128_randomize(&id));
        must(sd_bus_new(&bus));
        must(sd_bus_set_fd(bus, fd, fd));
        if (server) {
                must(sd_bus_set_server(bus, true, id));
                must(sd_bus_set_anonymous(bus, true));
        }
        must(sd_bus_start(bus));
        must(sd_bus_attach_event(bus, f->event, 0));
        return bus;
}

static bool is_ready(void *userdata) {
        return sd_bus_is_ready(((Fixture *) userdata)->bus) > 0;
}

static void setup(Fixture *f, const char *remote) {
        char address[80];
        int pair[2];

        *f = (Fixture) {};
        memset(&engine, 0, sizeof(engine));
        must(sd_event_new(&f->event));
        must(http_manager_init(&f->manager, f->event));
        must(testhost_init(&f->host, f->event, &f->manager, NULL));
        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
        f->engine = start_bus(f, pair[0], true);
        f->bus = start_bus(f, pair[1], false);
        f->manager.bus = &f->bus;
        must(sd_bus_add_filter(f->engine, NULL, on_call, NULL));
        CHECK(testhost_until(&f->host, is_ready, f, PATIENCE_MSEC));

        (void) snprintf(address, sizeof(address), "\"%s\"", test_address());
        f->server = testhost_resource(&f->host, resource_type_find(http_kinds, "http:server"), "s", "address", address, NULL);
        Resource *metrics = testhost_resource(&f->host, resource_type_find(http_kinds, "http:server:metrics"), "/metrics", "remote", remote, NULL);
        REQUIRE(f->server && metrics);
        must(resource_add_child(f->server, metrics));
        CHECK_INT(testhost_watch(&f->host, f->server), 0);
        CHECK_INT(testhost_check(&f->host, f->server, true), CHECK_OK);
}

static void close_bus(sd_bus **bus) {
        sd_bus_close(*bus);
        *bus = sd_bus_unref(*bus);
}

static void teardown(Fixture *f) {
        testhost_free(f->server);
        engine.last = sd_bus_message_unref(engine.last);
        close_bus(&f->bus);
        close_bus(&f->engine);
        testhost_done(&f->host);
        http_manager_done(&f->manager);
        sd_event_unref(f->event);
}

TEST(each_request_asks_the_engine) {
        Fixture f;

        setup(&f, "false");
        for (unsigned i = 1; i < 4; i++) {
                char want[64];
                Answer a = ask(&f.host, test_address(), GET);

                (void) snprintf(want, sizeof(want), "calls %u\n# EOF\n", i);
                CHECK_INT(a.status, 200);
                CHECK_STR(a.body, want);
                CHECK_STR(answer_header(&a, "Content-Type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
                answer_done(&a);
        }
        Answer a = ask(&f.host, test_address(), "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        CHECK_INT(a.status, 405);
        answer_done(&a);
        a = ask(&f.host, test_address(), "GET /metrics/x HTTP/1.1\r\nHost: a\r\n\r\n");
        CHECK_INT(a.status, 404);
        answer_done(&a);
        CHECK_INT(engine.n_calls, 3);
        teardown(&f);
}

static bool was_called(void *userdata) {
        return engine.last;
}

/* Many who ask at once are one question. */
TEST(those_who_wait_share_the_answer) {
        Fixture f;
        Client c[3];

        setup(&f, "false");
        engine.silent = true;
        for (size_t i = 0; i < ELEMENTSOF(c); i++) {
                REQUIRE(client_open(&c[i], &f.host, test_address()) >= 0);
                REQUIRE(client_send(&c[i], GET, strlen(GET)) >= 0);
        }
        CHECK(testhost_until(&f.host, was_called, NULL, PATIENCE_MSEC));
        for (size_t i = 0; i < ELEMENTSOF(c); i++)
                client_settle(&c[i]);
        CHECK_INT(engine.n_calls, 1);
        must(sd_bus_reply_method_return(engine.last, "s", "late\n"));
        for (size_t i = 0; i < ELEMENTSOF(c); i++) {
                Answer a = client_read(&c[i], false, PATIENCE_MSEC);
                CHECK_INT(a.status, 200);
                CHECK_STR(a.body, "late\n");
                answer_done(&a);
                client_close(&c[i]);
        }
        teardown(&f);
}

TEST(without_an_engine_there_is_nothing) {
        Fixture f;
        sd_bus *none = NULL;
        Client c;

        setup(&f, "false");
        engine.fails = true;
        Answer a = ask(&f.host, test_address(), GET);
        CHECK_INT(a.status, 503);
        answer_done(&a);
        f.manager.bus = &none;
        a = ask(&f.host, test_address(), GET);
        CHECK_INT(a.status, 503);
        answer_done(&a);
        f.manager.bus = NULL;
        a = ask(&f.host, test_address(), GET);
        CHECK_INT(a.status, 503);
        answer_done(&a);

        /* the resource goes while somebody waits */
        f.manager.bus = &f.bus;
        engine.fails = false;
        engine.silent = true;
        REQUIRE(client_open(&c, &f.host, test_address()) >= 0);
        REQUIRE(client_send(&c, GET, strlen(GET)) >= 0);
        CHECK(testhost_until(&f.host, was_called, NULL, PATIENCE_MSEC));
        testhost_free(TAKE_PTR(f.server));
        must(sd_bus_reply_method_return(engine.last, "s", "late\n"));
        testhost_run(&f.host, 20);
        client_close(&c);
        teardown(&f);
}

TEST(who_is_local) {
        static const struct { const char *address; bool local; } cases[] = {
                { "127.0.0.1:1", true },
                { "127.200.0.9:1", true },
                { "128.0.0.1:1", false },
                { "10.0.0.1:1", false },
                { "[::1]:1", true },
                { "[::2]:1", false },
                { "[::ffff:127.0.0.5]:1", true },
                { "[::ffff:10.0.0.5]:1", false },
                { "[fe80::7f00:1]:1", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                struct sockaddr_storage a;
                socklen_t size;
                CHECK_INT(address_resolve(cases[i].address, &a, &size), 0);
                if (address_is_loopback((struct sockaddr *) &a) != cases[i].local)
                        TEST_FAIL("%s", cases[i].address);
        }
        CHECK(!address_is_loopback(&(struct sockaddr) { .sa_family = AF_UNIX }));
}

TEST_MAIN()
