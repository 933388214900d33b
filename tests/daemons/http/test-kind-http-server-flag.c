/* SPDX-License-Identifier: GPL-3.0-or-later */

/* http:server:flag through its ResourceType: what a POST brings, and what is sent of it. */

#include "daemons/http/http-manager.h"
#include "daemons/http/kinds.h"
#include "tests/daemons/http/client.h"
#include "tests/test.h"

typedef struct Fixture {
        sd_event *event;
        HttpManager manager;
        TestHost host;
        Resource *server, *flag;
} Fixture;

static const ResourceType *kind(const char *name) {
        return resource_type_find(http_kinds, name);
}

/* A server with the flag "first" of key "a", and grouped into that one "second" of key "b". */
static void build(Fixture *f) {
        char address[80];

        (void) snprintf(address, sizeof(address), "\"%s\"", test_address());
        f->server = testhost_resource(&f->host, kind("http:server"), "web", "address", address, NULL);
        f->flag = testhost_resource(&f->host, kind("http:server:flag"), "first", "path", "\"/flag\"", "key", "\"a\"", NULL);
        Resource *second = testhost_resource(&f->host, kind("http:server:flag"), "second", "path", "\"/flag\"", "key", "\"b\"", NULL);
        if (resource_add_child(f->flag, second) < 0 || resource_add_child(f->server, f->flag) < 0)
                abort();
        CHECK_INT(testhost_watch(&f->host, f->server), 0);
}

static void setup(Fixture *f) {
        *f = (Fixture) {};
        if (sd_event_new(&f->event) < 0 || http_manager_init(&f->manager, f->event) < 0 ||
            testhost_init(&f->host, f->event, &f->manager, NULL) < 0)
                abort();
        build(f);
        CHECK_INT(testhost_check(&f->host, f->server, true), CHECK_OK);
        CHECK_STR(value_cstr(f->host.sent), "");
}

static void teardown(Fixture *f) {
        testhost_free(f->server);
        testhost_done(&f->host);
        http_manager_done(&f->manager);
        sd_event_unref(f->event);
}

static unsigned post(Fixture *f, const char *type, const char *body) {
        Answer a = ask(&f->host, test_address(), "POST /flag HTTP/1.1\r\nHost: a\r\n%s%s\r\nContent-Length: %zu\r\n\r\n%s",
                       type ? "Content-Type: " : "X: ", type ? type : "", strlen(body), body);
        unsigned status = a.status;

        answer_done(&a);
        return status;
}

#define FORM "application/x-www-form-urlencoded"

TEST(one_request_sets_all_flags_of_the_path) {
        Fixture f;

        setup(&f);
        unsigned before = f.host.n_changed;
        CHECK_INT(post(&f, FORM, "a=1&b=two&c=3"), 200);
        CHECK_INT(f.host.n_changed, before + 1);
        CHECK_INT(testhost_check(&f.host, f.server, true), CHECK_CHANGED);
        CHECK(f.host.differences.data && strstr(f.host.differences.data, "value: \"\" -> \"two\""));
        CHECK(f.host.differences.data && strstr(f.host.differences.data, "value: \"\" -> \"1\""));
        CHECK_STR(f.host.sent_key, "value");
        CHECK_STR(value_cstr(f.host.sent), "1");         /* children first, so the one of the parent comes last */
        CHECK_INT(testhost_check(&f.host, f.server, true), CHECK_OK);
        CHECK_STR(value_cstr(f.host.sent), "1");         /* sent again, for those who come later */

        /* the first of two counts, and what is not there is taken away */
        CHECK_INT(post(&f, FORM ";charset=utf-8", "a=x&a=y"), 200);
        CHECK_INT(testhost_check(&f.host, f.server, true), CHECK_CHANGED);
        CHECK_STR(value_cstr(f.host.sent), "x");
        CHECK(f.host.differences.data && strstr(f.host.differences.data, "value: \"two\" -> \"\""));
        teardown(&f);
}

TEST(what_is_no_form_changes_nothing) {
        static const struct {
                const char *type, *body;
                unsigned status;
        } cases[] = {
                { FORM, "a=%", 400 },
                { "application/json", "{\"a\": 2}", 415 },
                { NULL, "a=2", 415 },
                { "multipart/form-data", "a=2", 400 },
        };
        Fixture f;

        setup(&f);
        CHECK_INT(post(&f, FORM, "a=1"), 200);
        CHECK_INT(testhost_check(&f.host, f.server, true), CHECK_CHANGED);
        unsigned before = f.host.n_changed;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                CHECK_INT(post(&f, cases[i].type, cases[i].body), cases[i].status);
        CHECK_INT(f.host.n_changed, before);
        CHECK_INT(testhost_check(&f.host, f.server, true), CHECK_OK);

        /* a form may be empty */
        CHECK_INT(post(&f, NULL, ""), 200);
        CHECK_INT(testhost_check(&f.host, f.server, true), CHECK_CHANGED);
        CHECK_STR(value_cstr(f.host.sent), "");
        teardown(&f);
}

TEST(only_a_post_to_the_path_is_taken) {
        static const char *const requests[] = {
                "GET /flag HTTP/1.1\r\nHost: a\r\n\r\n",
                "PUT /flag HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
                "POST /flag/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
                "POST /fla HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        };
        Fixture f;

        setup(&f);
        for (size_t i = 0; i < ELEMENTSOF(requests); i++) {
                Answer a = ask(&f.host, test_address(), "%s", requests[i]);
                CHECK_INT(a.status, 404);
                answer_done(&a);
        }
        teardown(&f);
}

TEST(values_may_be_long_but_not_too_long) {
        enum { MAX = 4 * 1024 * 1024 };
        _cleanup_free_ char *body = malloc(MAX + 1);
        Fixture f;

        setup(&f);
        memset(body, 'x', MAX);
        memcpy(body, "a=", 2);
        body[MAX] = 0;
        CHECK_INT(post(&f, FORM, body), 200);
        CHECK_INT(testhost_check(&f.host, f.server, true), CHECK_CHANGED);
        CHECK_INT(f.host.sent.s->size, MAX - 2);
        Answer a = ask(&f.host, test_address(), "POST /flag HTTP/1.1\r\nHost: a\r\nContent-Length: %i\r\n\r\n", MAX + 1);
        CHECK_INT(a.status, 413);
        answer_done(&a);
        teardown(&f);
}

/* The engine exchanges the whole server when one of its children changes. */
TEST(a_value_outlives_the_exchange_of_the_server) {
        Fixture f;

        setup(&f);
        CHECK_INT(post(&f, FORM, "a=1&b=2"), 200);
        Resource *old = f.server;
        for (int i = 0; i < 2; i++) {   /* the new one is there before the old one goes, or after that */
                if (i == 1)
                        testhost_free(old);
                build(&f);
                CHECK_INT(testhost_check(&f.host, f.server, true), CHECK_OK);
                CHECK_STR(value_cstr(f.host.sent), "1");
                if (i == 0)
                        testhost_free(old);
                old = f.server;
        }
        teardown(&f);
}

TEST(paths_are_checked) {
        Fixture f;

        setup(&f);
        CHECK(!testhost_resource(&f.host, kind("http:server:flag"), "flag", NULL));
        CHECK_STR(f.host.diag.message, "path must begin with a slash, got 'flag'");
        Resource *r = testhost_resource(&f.host, kind("http:server:flag"), "/flag", NULL);
        CHECK(r);
        testhost_free(r);
        teardown(&f);
}

TEST_MAIN()
