/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A server while memory runs out, at every place where it can: it is set up, and serves. A request may then fail; the server may not,
 * and the next request is served. */

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
        Resource *server;
        char folder[64];
} Fixture;

/* With its children, at test_address(); NULL if memory ran out on the way. */
typedef Resource *(*make_server_t)(Fixture *f);

typedef struct RequestCase {
        const char *request;
        unsigned status;        /* 0: the answer does not end */
} RequestCase;

static void setup(Fixture *f) {
        *f = (Fixture) { .folder = "/tmp/test-http-memory-XXXXXX" };
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

static void start(Fixture *f, make_server_t make) {
        f->server = make(f);
        if (!f->server || testhost_watch(&f->host, f->server) < 0)
                abort();
}

/* Puts the child where it belongs, or ends it. */
static bool add(Resource *parent, Resource *child) {
        if (parent && child && resource_add_child(parent, child) >= 0)
                return true;
        resource_free(child);
        return false;
}

static void set_up_without_memory(Fixture *f, make_server_t make) {
        bool failed = true;
        uint64_t n;

        for (n = 1; failed && n < 10000; n++) {
                alloc_fail_at(n);
                f->server = make(f);
                int r = f->server ? testhost_watch(&f->host, f->server) : -ENOMEM;
                if (r >= 0)
                        r = testhost_check(&f->host, f->server, true);
                failed = alloc_failed();
                if (!failed)
                        CHECK(r >= 0);
                testhost_free(f->server);
                f->server = NULL;
                testhost_run(&f->host, 1);
        }
        printf("# %llu places\n", (unsigned long long) n - 1);
        CHECK(!failed && n > 20);
}

static void serve_one_without_memory(Fixture *f, const RequestCase *one, const char *next) {
        bool failed = true;
        uint64_t n;

        for (n = 1; failed && n < 2000; n++) {
                Client c;

                if (client_open(&c, &f->host, test_address()) < 0)
                        abort();
                testhost_run(&f->host, 1);
                alloc_fail_at(n);
                (void) client_send(&c, one->request, strlen(one->request));
                Answer a = client_read(&c, false, one->status == 0 ? 20 : 200);
                if (!alloc_failed() && a.status == 0 && one->status != 0)       /* on a busy machine */
                        a = client_read(&c, false, PATIENCE_MSEC);
                failed = alloc_failed();
                if (!failed && a.status != one->status)
                        TEST_FAIL("status is %u, not %u, of %s", a.status, one->status, one->request);
                answer_done(&a);
                client_close(&c);

                a = ask(&f->host, test_address(), "%s", next);
                CHECK_INT(a.status, 200);
                answer_done(&a);
        }
        CHECK(!failed);
}

/* next: what is asked after each of them, and answered. */
static void serve_without_memory(Fixture *f, const RequestCase *cases, size_t n, const char *next) {
        for (size_t i = 0; i < n; i++)
                serve_one_without_memory(f, &cases[i], next);
}
