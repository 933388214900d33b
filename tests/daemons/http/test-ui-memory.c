/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Memory that runs out, at every place where it can: while a page is set up, while it is shown, while it takes a value. A request may
 * then fail; the server may not, no value becomes another one, and the next request is served. */

#include <stdio.h>

#include "common/io.h"
#include "daemons/http/http-manager.h"
#include "daemons/http/kinds.h"
#include "tests/common/alloc.h"
#include "tests/daemons/http/client.h"
#include "tests/test.h"

typedef struct Fixture {
        sd_event *event;
        HttpManager manager;
        TestHost host;
        char folder[64];
        Resource *server;
} Fixture;

static void setup(Fixture *f) {
        *f = (Fixture) { .folder = "/tmp/test-ui-memory-XXXXXX" };
        if (!mkdtemp(f->folder) || setenv("MGMT_BUS_ADDRESS", "unix:path=/nonexistent", 1) < 0 || sd_event_new(&f->event) < 0 ||
            http_manager_init(&f->manager, f->event) < 0 || testhost_init(&f->host, f->event, &f->manager, f->folder) < 0)
                abort();
}

static void teardown(Fixture *f) {
        testhost_free(f->server);
        testhost_done(&f->host);
        http_manager_done(&f->manager);
        sd_event_unref(f->event);
        (void) remove_tree(f->folder);
}

static Resource *make(Fixture *f, const char *kind, const char *name, const char *field, const char *text) {
        return testhost_resource(&f->host, resource_type_find(http_kinds, kind), name, field, text, NULL);
}

/* Puts the child where it belongs, or ends it. */
static bool add(Resource *parent, Resource *child) {
        if (parent && child && resource_add_child(parent, child) >= 0)
                return true;
        resource_free(child);
        return false;
}

/* A server with a page of inputs; NULL if memory ran out on the way. */
static Resource *make_server(Fixture *f) {
        char address[80];

        (void) snprintf(address, sizeof(address), "\"%s\"", test_address());
        Resource *server = make(f, "http:server", "s", "address", address);
        Resource *ui = make(f, "http:server:ui", "/ui/", NULL, NULL);
        bool good = add(server, ui);
        if (good) {
                good = add(ui, make(f, "http:server:ui:input", "n", "type", "\"range://?max=5\"")) && good;
                good = add(ui, make(f, "http:server:ui:input", "t", "value", "\"a text\"")) && good;
                good = add(ui, make(f, "http:server:ui:input", "p", "type", "\"text://?placeholder=a%20b\"")) && good;
        }
        if (good)
                return server;
        testhost_free(server);
        return NULL;
}

TEST(setting_up) {
        bool failed = true;
        Fixture f;
        uint64_t n;

        setup(&f);
        for (n = 1; failed && n < 10000; n++) {
                alloc_fail_at(n);
                f.server = make_server(&f);
                int r = f.server ? testhost_watch(&f.host, f.server) : -ENOMEM;
                if (r >= 0)
                        r = testhost_check(&f.host, f.server, true);
                failed = alloc_failed();
                if (!failed)
                        CHECK(r >= 0);
                testhost_free(f.server);
                f.server = NULL;
                testhost_run(&f.host, 1);
        }
        printf("# %llu places\n", (unsigned long long) n - 1);
        CHECK(!failed && n > 20);
        teardown(&f);
}

/* status 0: the answer does not end */
static void serve_with_failures(Fixture *f, const char *request, unsigned status) {
        bool failed = true;
        uint64_t n;

        for (n = 1; failed && n < 2000; n++) {
                Client c;

                if (client_open(&c, &f->host, test_address()) < 0)
                        abort();
                testhost_run(&f->host, 1);
                alloc_fail_at(n);
                (void) client_send(&c, request, strlen(request));
                Answer a = client_read(&c, false, status == 0 ? 20 : 200);
                failed = alloc_failed();
                if (!failed && a.status != status)
                        TEST_FAIL("status is %u, not %u, of %s", a.status, status, request);
                answer_done(&a);
                client_close(&c);

                a = ask(&f->host, test_address(), "GET /ui/ping HTTP/1.1\r\nHost: localhost\r\n\r\n");
                CHECK_INT(a.status, 200);
                answer_done(&a);
        }
        printf("# %llu places\n", (unsigned long long) n - 1);
        CHECK(!failed);
}

#define HEAD " HTTP/1.1\r\nHost: localhost\r\n"
#define FORM "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: "

TEST(serving) {
        static const struct {
                const char *request;
                unsigned status;
        } cases[] = {
                { "GET /ui/index.html" HEAD "\r\n", 200 },
                { "GET /ui/list/" HEAD "\r\n", 200 },
                { "GET /ui/ui.css" HEAD "\r\n", 200 },
                { "GET /ui/" HEAD "\r\n", 301 },
                { "POST /ui/save/" HEAD FORM "12\r\n\r\nid=n&value=3", 200 },
                { "POST /ui/save/" HEAD FORM "12\r\n\r\nid=n&value=9", 400 },
                { "POST /ui/save/" HEAD "Accept: text/html\r\n" FORM "12\r\n\r\nid=n&value=9", 400 },
                { "POST /ui/save/" HEAD "Accept: text/html\r\n" FORM "12\r\n\r\nid=n&value=3", 303 },
                { "GET /ui/events" HEAD "\r\n", 0 },
                { "GET /ui/watch/n" HEAD "\r\n", 0 },
        };
        Fixture f;

        setup(&f);
        f.server = make_server(&f);
        REQUIRE(f.server);
        CHECK_INT(testhost_watch(&f.host, f.server), 0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                serve_with_failures(&f, cases[i].request, cases[i].status);
        Answer a = ask(&f.host, test_address(), "GET /ui/list/n" HEAD "\r\n");
        CHECK(a.body && startswith(a.body, "{\"value\":\"3\","));
        answer_done(&a);
        teardown(&f);
}

/* A page that listens while a value comes and goes through. */
TEST(telling) {
        static const char listen[] = "GET /ui/events" HEAD "\r\n", save[] = "POST /ui/save/" HEAD FORM "12\r\n\r\nid=t&value=%02llu";
        bool failed = true;
        Fixture f;
        uint64_t n;

        setup(&f);
        f.server = make_server(&f);
        REQUIRE(f.server);
        CHECK_INT(testhost_watch(&f.host, f.server), 0);
        for (n = 1; failed && n < 2000; n++) {
                char request[sizeof(save) + 20];
                Client page, other;

                if (client_open(&page, &f.host, test_address()) < 0 || client_open(&other, &f.host, test_address()) < 0)
                        abort();
                (void) client_send(&page, listen, strlen(listen));
                testhost_run(&f.host, 3);
                (void) snprintf(request, sizeof(request), save, (unsigned long long) n % 100);
                alloc_fail_at(n);
                (void) client_send(&other, request, strlen(request));
                Answer a = client_read(&other, false, 200);
                (void) testhost_check(&f.host, f.server, true);
                testhost_run(&f.host, 3);
                failed = alloc_failed();
                answer_done(&a);
                client_close(&page);
                client_close(&other);
        }
        printf("# %llu places\n", (unsigned long long) n - 1);
        CHECK(!failed);
        CHECK(testhost_check(&f.host, f.server, true) >= 0);
        teardown(&f);
}

TEST_MAIN()
