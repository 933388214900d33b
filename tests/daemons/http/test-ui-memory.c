/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Memory that runs out, at every place where it can: while a page is set up, while it is shown, while it takes a value. A request may
 * then fail; the server may not, no value becomes another one, and the next request is served. */

#include "tests/daemons/http/memory-test.h"

static Resource *make(Fixture *f, const char *kind, const char *name, const char *field, const char *text) {
        return testhost_resource(&f->host, resource_type_find(http_kinds, kind), name, field, text, NULL);
}

/* A server with a page of inputs. */
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
        Fixture f;

        setup(&f);
        set_up_without_memory(&f, make_server);
        teardown(&f);
}

#define HEAD " HTTP/1.1\r\nHost: localhost\r\n"
#define FORM "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: "

TEST(serving) {
        static const RequestCase cases[] = {
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
        start(&f, make_server);
        serve_without_memory(&f, cases, ELEMENTSOF(cases), "GET /ui/ping" HEAD "\r\n");
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
        start(&f, make_server);
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
