/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Memory that runs out, at every place where it can: while a server is set up, and while it serves. A request may then fail; the
 * server may not, and the next request is served. */

#include <fcntl.h>

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
        Resource *server;
        char path[64], root[80], address[80];
} Fixture;

static void setup(Fixture *f) {
        *f = (Fixture) {};
        if (sd_event_new(&f->event) < 0 || http_manager_init(&f->manager, f->event) < 0 ||
            testhost_init(&f->host, f->event, &f->manager, NULL) < 0)
                abort();
        (void) snprintf(f->path, sizeof(f->path), "/tmp/test-http-memory-XXXXXX");
        if (!mkdtemp(f->path))
                abort();
        (void) snprintf(f->root, sizeof(f->root), "\"%s/\"", f->path);
        (void) snprintf(f->address, sizeof(f->address), "\"%s\"", test_address());

        char file[80];
        (void) snprintf(file, sizeof(file), "%s/a", f->path);
        if (write_file_atomic_at(AT_FDCWD, file, "0123456789", 10, 0644, false) < 0)
                abort();
}

static void teardown(Fixture *f) {
        testhost_free(f->server);
        testhost_done(&f->host);
        http_manager_done(&f->manager);
        sd_event_unref(f->event);
        (void) remove_tree(f->path);
}

/* A server with its children; NULL if memory ran out on the way. */
static Resource *make_server(Fixture *f) {
        const ResourceType *file = resource_type_find(http_kinds, "http:server:file");
        Resource *server = testhost_resource(&f->host, resource_type_find(http_kinds, "http:server"), "web", "address", f->address,
                                             "root", f->root, NULL);
        Resource *children[] = {
                testhost_resource(&f->host, file, "/data", "data", "\"hello\"", NULL),
                testhost_resource(&f->host, file, "/held", "data", "\"hello\"", "longpoll", "true", NULL),
                testhost_resource(&f->host, file, "/tree/", "path", f->root, NULL),
                testhost_resource(&f->host, resource_type_find(http_kinds, "http:server:flag"), "/flag", "key", "\"a\"", NULL),
                testhost_resource(&f->host, resource_type_find(http_kinds, "http:server:proxy"), "/kept/", "cache", f->root, NULL),
        };
        bool good = server != NULL;

        for (size_t i = 0; i < ELEMENTSOF(children); i++)
                if (!good || !children[i] || resource_add_child(server, children[i]) < 0) {
                        good = false;
                        resource_free(children[i]);
                }
        if (good)
                return server;
        testhost_free(server);
        return NULL;
}

TEST(setting_up) {
        Fixture f;
        uint64_t n;
        bool failed = true;

        setup(&f);
        for (n = 1; failed && n < 10000; n++) {
                alloc_fail_at(n);
                f.server = make_server(&f);
                int r = f.server ? testhost_watch(&f.host, f.server) : -ENOMEM;
                failed = alloc_failed();
                if (!failed)
                        CHECK_INT(r, 0);
                testhost_free(f.server);
                f.server = NULL;
                testhost_run(&f.host, 1);
        }
        printf("# %llu places\n", (unsigned long long) n - 1);
        CHECK(!failed && n > 20);
        teardown(&f);
}

static void serve_with_failures(Fixture *f, const char *request, unsigned status) {
        bool failed = true;
        uint64_t n;

        for (n = 1; failed && n < 1000; n++) {
                Client c;

                if (client_open(&c, &f->host, test_address()) < 0)
                        abort();
                testhost_run(&f->host, 1);
                alloc_fail_at(n);
                (void) client_send(&c, request, strlen(request));
                Answer a = client_read(&c, false, 100);
                failed = alloc_failed();
                if (!failed && a.status != status)
                        TEST_FAIL("status is %u, not %u, of %s", a.status, status, request);
                answer_done(&a);
                client_close(&c);

                a = ask(&f->host, test_address(), "GET /data HTTP/1.1\r\nHost: a\r\n\r\n");
                CHECK_INT(a.status, 200);
                answer_done(&a);
        }
        CHECK(!failed);
}

TEST(serving) {
        static const struct {
                const char *request;
                unsigned status;
        } cases[] = {
                { "GET /data HTTP/1.1\r\nHost: a\r\n\r\n", 200 },
                { "GET /data HTTP/1.1\r\nHost: a\r\nRange: bytes=0-0,2-2\r\n\r\n", 206 },
                { "GET /tree/a HTTP/1.1\r\nHost: a\r\n\r\n", 200 },
                { "GET /a HTTP/1.1\r\nHost: a\r\nRange: bytes=1-\r\n\r\n", 206 },
                { "GET //data HTTP/1.1\r\nHost: a\r\n\r\n", 301 },
                { "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 404 },
                { "POST /data HTTP/1.1\r\nHost: a\r\n\r\n", 405 },
                { "POST /flag HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\na=1&b=2", 200 },
                { "POST /flag HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=X\r\nContent-Length: 61\r\n\r\n"
                  "--X\r\nContent-Disposition: form-data; name=a\r\n\r\nhello\r\n--X--\r\n", 200 },
                { "GET /kept/a HTTP/1.1\r\nHost: a\r\n\r\n", 200 },
                { "GET /kept/b HTTP/1.1\r\nHost: a\r\n\r\n", 500 },
                { "GET /held HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n\r\n", 0 },
        };
        Fixture f;

        setup(&f);
        f.server = make_server(&f);
        REQUIRE(f.server);
        CHECK_INT(testhost_watch(&f.host, f.server), 0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                serve_with_failures(&f, cases[i].request, cases[i].status);
        teardown(&f);
}

/* A client of the server beside it, both of which may run out of memory. Whatever an attempt comes to, the next one is right. */
TEST(fetching) {
        char url[96], name[80];
        bool failed = true;
        Fixture f;
        uint64_t n;

        setup(&f);
        f.server = make_server(&f);
        REQUIRE(f.server);
        CHECK_INT(testhost_watch(&f.host, f.server), 0);
        (void) snprintf(url, sizeof(url), "\"http://%s/data\"", test_address());
        (void) snprintf(name, sizeof(name), "%s/got", f.path);
        for (n = 1; failed && n < 10000; n++) {
                int r = -ENOMEM;

                (void) unlink(name);
                alloc_fail_at(n);
                Resource *c = testhost_resource(&f.host, resource_type_find(http_kinds, "http:client"), name, "url", url, "longpoll", "true",
                                                "longpoll_conditional", "true", NULL);
                if (c && testhost_watch(&f.host, c) >= 0)
                        r = testhost_check(&f.host, c, true);
                failed = alloc_failed();
                alloc_fail_at(0);
                if (c && r < 0) {
                        testhost_unwatch(c);
                        (void) unlink(name);
                        CHECK_INT(testhost_watch(&f.host, c), 0);
                        r = testhost_check(&f.host, c, true);
                }
                if (c)
                        CHECK_INT(r, CHECK_CHANGED);
                testhost_free(c);
        }
        printf("# %llu places\n", (unsigned long long) n - 1);
        CHECK(!failed && n > 20);
        teardown(&f);
}

TEST_MAIN()
