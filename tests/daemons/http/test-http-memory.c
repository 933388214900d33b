/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Memory that runs out while files, flags and a proxy are served, and while a client fetches. */

#include <fcntl.h>

#include "tests/daemons/http/memory-test.h"

static Resource *make_server(Fixture *f) {
        const ResourceType *file = resource_type_find(http_kinds, "http:server:file");
        char root[80], address[80];

        (void) snprintf(root, sizeof(root), "\"%s/\"", f->folder);
        (void) snprintf(address, sizeof(address), "\"%s\"", test_address());
        Resource *server = testhost_resource(&f->host, resource_type_find(http_kinds, "http:server"), "web", "address", address,
                                             "root", root, NULL);
        Resource *children[] = {
                testhost_resource(&f->host, file, "/data", "data", "\"hello\"", NULL),
                testhost_resource(&f->host, file, "/held", "data", "\"hello\"", "longpoll", "true", NULL),
                testhost_resource(&f->host, file, "/tree/", "path", root, NULL),
                testhost_resource(&f->host, resource_type_find(http_kinds, "http:server:flag"), "/flag", "key", "\"a\"", NULL),
                testhost_resource(&f->host, resource_type_find(http_kinds, "http:server:proxy"), "/kept/", "cache", root, NULL),
        };
        bool good = server != NULL;

        for (size_t i = 0; i < ELEMENTSOF(children); i++)
                good = add(server, children[i]) && good;
        if (good)
                return server;
        testhost_free(server);
        return NULL;
}

/* With a file in its folder. */
static void setup_files(Fixture *f) {
        char file[80];

        setup(f);
        (void) snprintf(file, sizeof(file), "%s/a", f->folder);
        if (write_file_atomic_at(AT_FDCWD, file, "0123456789", 10, 0644, false) < 0)
                abort();
}

TEST(setting_up) {
        Fixture f;

        setup_files(&f);
        set_up_without_memory(&f, make_server);
        teardown(&f);
}

TEST(serving) {
        static const RequestCase cases[] = {
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

        setup_files(&f);
        start(&f, make_server);
        serve_without_memory(&f, cases, ELEMENTSOF(cases), "GET /data HTTP/1.1\r\nHost: a\r\n\r\n");
        teardown(&f);
}

/* A client of the server beside it, both of which may run out of memory. Whatever an attempt comes to, the next one is right. */
TEST(fetching) {
        char url[96], name[80];
        bool failed = true;
        Fixture f;
        uint64_t n;

        setup_files(&f);
        start(&f, make_server);
        (void) snprintf(url, sizeof(url), "\"http://%s/data\"", test_address());
        (void) snprintf(name, sizeof(name), "%s/got", f.folder);
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
