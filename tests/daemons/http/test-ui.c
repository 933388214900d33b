/* SPDX-License-Identifier: GPL-3.0-or-later */

/* http:server:ui and its inputs, with clients: pages, values, streams, and what survives. */

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "common/io.h"
#include "daemons/http/host-name.h"
#include "daemons/http/http-manager.h"
#include "daemons/http/kinds.h"
#include "daemons/http/ui-memory.h"
#include "tests/daemons/http/client.h"
#include "tests/test.h"

typedef struct Fixture {
        sd_event *event;
        HttpManager manager;
        TestHost host;
        char folder[64];
        Resource *server, *ui;
} Fixture;

static void must(int r) {
        if (r < 0)
                abort();
}

static void setup(Fixture *f) {
        *f = (Fixture) { .folder = "/tmp/test-ui-XXXXXX" };
        if (!mkdtemp(f->folder))
                abort();
        must(setenv("MGMT_BUS_ADDRESS", "unix:path=/nonexistent", 1));
        must(sd_event_new(&f->event));
        must(http_manager_init(&f->manager, f->event));
        must(testhost_init(&f->host, f->event, &f->manager, f->folder));
}

static Resource *make(Fixture *f, const char *kind, const char *name, Resource *parent, const char *field, const char *text) {
        Resource *r = testhost_resource(&f->host, resource_type_find(http_kinds, kind), name, field, text, NULL);

        if (!r)
                abort();
        if (parent)
                must(resource_add_child(parent, r));
        return r;
}

static Resource *input(Fixture *f, const char *name, const char *type, const char *value) {
        Resource *r = testhost_resource(&f->host, resource_type_find(http_kinds, "http:server:ui:input"), name, "type", type, "value", value,
                                        NULL);

        if (!r)
                abort();
        must(resource_add_child(f->ui, r));
        return r;
}

static void begin(Fixture *f) {
        char address[80];

        (void) snprintf(address, sizeof(address), "\"%s\"", test_address());
        f->server = make(f, "http:server", "s", NULL, "address", address);
        f->ui = make(f, "http:server:ui", "/ui/", f->server, NULL, NULL);
}

static void start(Fixture *f) {
        CHECK_INT(testhost_watch(&f->host, f->server), 0);
        CHECK(testhost_check(&f->host, f->server, true) >= 0);
        CHECK_INT(testhost_check(&f->host, f->server, true), CHECK_OK);
}

/* The program changes: the old server goes, another one comes. */
static void end(Fixture *f) {
        testhost_free(TAKE_PTR(f->server));
        f->ui = NULL;
}

static void teardown(Fixture *f) {
        if (f->server)
                end(f);
        testhost_done(&f->host);
        http_manager_done(&f->manager);
        sd_event_unref(f->event);
        (void) remove_tree(f->folder);
}

static Answer get(Fixture *f, const char *path) {
        return ask(&f->host, test_address(), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
}

static Answer post(Fixture *f, const char *headers, const char *body) {
        return ask(&f->host, test_address(), "POST /ui/save/ HTTP/1.1\r\nHost: localhost\r\n%sContent-Type: application/x-www-form-urlencoded\r\n"
                   "Content-Length: %zu\r\n\r\n%s", headers, strlen(body), body);
}

static void check_post(Fixture *f, const char *body, unsigned status, const char *want) {
        Answer a = post(f, "", body);

        CHECK_INT(a.status, status);
        CHECK_STR(a.body, want);
        answer_done(&a);
}

static void check_sent(Fixture *f, const char *want) {
        CHECK_STR(f->host.sent_key, "value");
        CHECK_STR(f->host.sent.kind == TYPE_STR ? value_cstr(f->host.sent) : NULL, want);
}

TEST(routes) {
        static const struct { const char *path; unsigned status; const char *body; } cases[] = {
                { "/ui/list/", 200,
                  "{\"elements\":[{\"kind\":\"http:server:ui:input\",\"id\":\"a/b\",\"type\":{\"type\":\"text\"},\"sort\":\"\"},"
                  "{\"kind\":\"http:server:ui:input\",\"id\":\"n\",\"type\":{\"type\":\"range\",\"min\":\"0\",\"max\":\"5\"},\"sort\":\"\"}]}" },
                { "/ui/ping", 200, "{\"message\":\"pong\"}" },
                { "/ui/list/none", 400, "{\"error\":\"there is no input of this id\"}" },
                { "/ui/watch/none", 400, "{\"error\":\"there is no input of this id\"}" },
                { "/ui/nothing", 404, "404 Not Found\n" },
                { "/ui/index.html/x", 404, "404 Not Found\n" },
                { "/ui/save/", 405, "405 Method Not Allowed\n" },
        };
        Fixture f;

        setup(&f);
        begin(&f);
        input(&f, "n", "\"range://?min=0&max=5\"", "\"2\"");
        input(&f, "a/b", "\"text://\"", "\"x\"");
        start(&f);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Answer a = get(&f, cases[i].path);
                CHECK_INT(a.status, cases[i].status);
                CHECK_STR(a.body, cases[i].body);
                answer_done(&a);
        }
        Answer a = get(&f, "/ui/");
        CHECK_INT(a.status, 301);
        CHECK_STR(answer_header(&a, "Location"), "/ui/index.html");
        answer_done(&a);
        a = get(&f, "/ui/list/a/b");
        CHECK(a.body && startswith(a.body, "{\"value\":\"x\",\"seq\":"));
        answer_done(&a);
        a = get(&f, "/ui/ui.js");
        CHECK_INT(a.status, 200);
        CHECK_STR(answer_header(&a, "Cache-Control"), "no-cache");
        CHECK_STR(answer_header(&a, "Content-Type"), "text/javascript; charset=utf-8");
        answer_done(&a);
        teardown(&f);
}

TEST(page) {
        Fixture f;

        setup(&f);
        begin(&f);
        input(&f, "<b>&\"'", "\"text://\"", "\"</textarea><script>\"");
        start(&f);
        Answer a = get(&f, "/ui/index.html");
        CHECK_INT(a.status, 200);
        CHECK(strstr(answer_header(&a, "Content-Security-Policy"), "default-src 'none'"));
        CHECK(!strstr(answer_header(&a, "Content-Security-Policy"), "unsafe"));
        CHECK_STR(answer_header(&a, "Cache-Control"), "no-store");
        CHECK(a.body && strstr(a.body, "data-id=\"&#60;b&#62;&#38;&#34;&#39;\""));
        CHECK(a.body && strstr(a.body, "value=\"&#60;/textarea&#62;&#60;script&#62;\""));
        CHECK(a.body && !strstr(a.body, "<b>&\"") && !strstr(a.body, "</textarea><script>"));
        answer_done(&a);
        teardown(&f);
}

TEST(what_is_posted_is_checked) {
        Fixture f;

        setup(&f);
        begin(&f);
        input(&f, "n", "\"range://?min=0&max=5\"", "\"2\"");
        start(&f);
        check_sent(&f, "2");
        check_post(&f, "value=1", 400, "{\"error\":\"id is missing\"}");
        check_post(&f, "id=&value=1", 400, "{\"error\":\"id is missing\"}");
        check_post(&f, "id=x&value=1", 400, "{\"error\":\"there is no input of this id\"}");
        check_post(&f, "id=n%00&value=1", 400, "{\"error\":\"there is no input of this id\"}");
        check_post(&f, "id=n", 400, "{\"error\":\"value is missing\"}");
        check_post(&f, "id=n&value=1&value=2", 400, "{\"error\":\"there must be one value\"}");
        check_post(&f, "id=n&value=6", 400, "{\"error\":\"must be at most 5\"}");
        check_post(&f, "id=n&value=%3Cscript%3E", 400, "{\"error\":\"must be a number such as 12 or 0.5\"}");
        CHECK_INT(testhost_check(&f.host, f.server, true), CHECK_OK);
        check_sent(&f, "2");
        Answer a = ask(&f.host, test_address(), "GET /ui/index.html HTTP/1.1\r\nHost: evil.example\r\n\r\n");
        CHECK_INT(a.status, 403);
        answer_done(&a);
        a = post(&f, "Origin: http://evil.example\r\n", "id=n&value=3");
        CHECK_INT(a.status, 403);
        answer_done(&a);
        a = post(&f, "Sec-Fetch-Site: cross-site\r\n", "id=n&value=3");
        CHECK_INT(a.status, 403);
        answer_done(&a);
        CHECK_INT(testhost_check(&f.host, f.server, true), CHECK_OK);
        check_sent(&f, "2");
        teardown(&f);
}

TEST(a_value_is_sent_on) {
        unsigned n;
        Fixture f;

        setup(&f);
        begin(&f);
        input(&f, "n", "\"range://?min=0&max=5\"", "\"2\"");
        start(&f);
        n = f.host.n_changed;
        check_post(&f, "id=n&value=3", 200, "null");
        CHECK_INT(f.host.n_changed, n + 1);
        CHECK_INT(testhost_check(&f.host, f.server, false), CHECK_CHANGED);
        CHECK_STR(f.host.differences.data, "value: 2 -> 3\n");
        CHECK_INT(testhost_check(&f.host, f.server, true), CHECK_CHANGED);
        check_sent(&f, "3");
        CHECK_INT(testhost_check(&f.host, f.server, true), CHECK_OK);
        check_sent(&f, "3");
        teardown(&f);
}

/* Without a script the browser shows what we answer: the page again, or where it is. */
TEST(plain_forms) {
        Fixture f;

        setup(&f);
        begin(&f);
        input(&f, "n", "\"number://?max=5\"", "\"2\"");
        input(&f, "on", "\"checkbox://\"", "\"true\"");
        start(&f);
        Answer a = post(&f, "Accept: text/html,*/*\r\n", "id=n&value=3");
        CHECK_INT(a.status, 303);
        CHECK_STR(answer_header(&a, "Location"), "/ui/index.html#f-n");
        answer_done(&a);
        a = post(&f, "Accept: text/html,*/*\r\n", "id=n&value=77");
        CHECK_INT(a.status, 400);
        CHECK(a.body && strstr(a.body, "not sent: must be at most 5") && strstr(a.body, "value=\"77\"") && strstr(a.body, "<b>3</b>"));
        answer_done(&a);
        check_post(&f, "id=on&value=false", 200, "null");
        a = get(&f, "/ui/list/on");
        CHECK(a.body && startswith(a.body, "{\"value\":\"false\""));
        answer_done(&a);
        check_post(&f, "id=on&value=false&value=true", 200, "null");
        a = get(&f, "/ui/list/on");
        CHECK(a.body && startswith(a.body, "{\"value\":\"true\""));
        answer_done(&a);
        teardown(&f);
}

TEST(what_was_accepted_survives) {
        Fixture f;

        setup(&f);
        begin(&f);
        input(&f, "n", "\"range://?min=0&max=5\"", "\"2\"");
        start(&f);
        check_post(&f, "id=n&value=4", 200, "null");
        end(&f);                                                        /* before any attempt */
        begin(&f);
        input(&f, "n", "\"range://?min=0&max=5\"", "\"2\"");
        CHECK_INT(testhost_watch(&f.host, f.server), 0);
        CHECK_INT(testhost_check(&f.host, f.server, true), CHECK_CHANGED);
        check_sent(&f, "4");
        end(&f);
        begin(&f);
        input(&f, "n", "\"range://?min=0&max=5\"", "\"2\"");
        CHECK_INT(testhost_watch(&f.host, f.server), 0);
        CHECK_INT(testhost_check(&f.host, f.server, true), CHECK_OK);   /* that was done already */
        check_sent(&f, "4");
        end(&f);
        begin(&f);
        input(&f, "n", "\"range://?min=0&max=5\"", "\"1\"");             /* the program wants another one */
        CHECK_INT(testhost_watch(&f.host, f.server), 0);
        CHECK_INT(testhost_check(&f.host, f.server, true), CHECK_CHANGED);
        check_sent(&f, "1");
        teardown(&f);
}

static bool has_text(void *userdata) {
        const void *const *p = userdata;
        const Client *c = p[0];

        return c->in.data && strstr(c->in.data, p[1]);
}

static void wait_text(Fixture *f, Client *c, const char *text) {
        const void *p[] = { c, text };

        if (!testhost_until(&f->host, has_text, p, PATIENCE_MSEC))
                TEST_FAIL("no '%s' in: %s", text, c->in.data ? c->in.data : "");
}

/* A page stays connected while the program changes around it. */
TEST(pages_follow) {
        static const char request[] = "GET /ui/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
        Fixture f;
        Client c[2];

        setup(&f);
        begin(&f);
        input(&f, "n", "\"range://?min=0&max=5\"", "\"2\"");
        start(&f);
        for (size_t i = 0; i < ELEMENTSOF(c); i++) {
                REQUIRE(client_open(&c[i], &f.host, test_address()) >= 0);
                REQUIRE(client_send(&c[i], request, strlen(request)) >= 0);
                wait_text(&f, &c[i], "event: hello\ndata: {\"shape\":\"");
                wait_text(&f, &c[i], "\"value\":\"2\",");
        }
        check_post(&f, "id=n&value=3", 200, "null");
        for (size_t i = 0; i < ELEMENTSOF(c); i++) {
                wait_text(&f, &c[i], "event: field\ndata: {\"id\":\"n\",\"value\":\"3\",");
                wait_text(&f, &c[i], "\"stage\":\"accepted\"");
        }
        CHECK_INT(testhost_check(&f.host, f.server, true), CHECK_CHANGED);
        wait_text(&f, &c[0], "\"stage\":\"applied\"");

        client_close(&c[1]);
        strbuf_done(&c[0].in);
        end(&f);
        testhost_run(&f.host, 20);
        begin(&f);
        input(&f, "m", "\"text://\"", "\"new\"");
        start(&f);
        wait_text(&f, &c[0], "event: hello\ndata: {\"shape\":\"");
        wait_text(&f, &c[0], "\"id\":\"m\",\"value\":\"new\"");
        CHECK(!c[0].closed);
        strbuf_done(&c[0].in);
        check_post(&f, "id=m&value=newer", 200, "null");
        wait_text(&f, &c[0], "\"value\":\"newer\"");

        end(&f);                /* and nobody comes */
        CHECK(client_until_closed(&c[0], PATIENCE_MSEC));
        client_close(&c[0]);
        teardown(&f);
}

/* More than fits into a stream at once. */
TEST(very_much_is_fetched) {
        static const char request[] = "GET /ui/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
        enum { N = 12, SIZE = 16000 };
        char value[SIZE + 3], name[8];
        Fixture f;
        Client c;

        setup(&f);
        begin(&f);
        memset(value, 'x', sizeof(value));
        value[0] = value[SIZE + 1] = '"';
        value[SIZE + 2] = 0;
        for (unsigned i = 0; i < N; i++) {
                (void) snprintf(name, sizeof(name), "i%u", i);
                input(&f, name, "\"textarea://\"", value);
        }
        start(&f);
        REQUIRE(client_open(&c, &f.host, test_address()) >= 0);
        REQUIRE(client_send(&c, request, strlen(request)) >= 0);
        wait_text(&f, &c, "event: hello\ndata: {\"more\":true,");
        client_close(&c);
        Answer a = get(&f, "/ui/all");
        CHECK_INT(a.status, 200);
        CHECK(a.body_size > (size_t) N * SIZE);
        answer_done(&a);
        teardown(&f);
}

TEST(who_watches_hears_the_next_value) {
        static const char request[] = "GET /ui/watch/n HTTP/1.1\r\nHost: localhost\r\n\r\n";
        Fixture f;
        Client c;

        setup(&f);
        begin(&f);
        input(&f, "n", "\"range://?min=0&max=5\"", "\"2\"");
        input(&f, "m", "\"text://\"", "\"x\"");
        start(&f);
        REQUIRE(client_open(&c, &f.host, test_address()) >= 0);
        REQUIRE(client_send(&c, request, strlen(request)) >= 0);
        client_settle(&c);
        check_post(&f, "id=m&value=y", 200, "null");
        testhost_run(&f.host, 30);
        CHECK_INT(c.in.size, 0);
        check_post(&f, "id=n&value=5", 200, "null");
        Answer a = client_read(&c, false, PATIENCE_MSEC);
        CHECK_INT(a.status, 200);
        CHECK(a.body && startswith(a.body, "{\"value\":\"5\",\"seq\":"));
        answer_done(&a);
        client_close(&c);
        a = get(&f, "/ui/watch/n?since=1");
        CHECK(a.body && startswith(a.body, "{\"value\":\"5\",\"seq\":"));
        answer_done(&a);
        teardown(&f);
}

TEST(what_is_refused) {
        static const struct { const char *kind, *name, *field, *text, *message; } cases[] = {
                { "http:server:ui", "ui/", "path", "\"\"", "path must begin and end with a slash, got 'ui/'" },
                { "http:server:ui", "x", "path", "\"/ui\"", "path must begin and end with a slash, got '/ui'" },
                { "http:server:ui:input", "x", "type", "\"nix://\"", "type 'nix' is not known" },
                { "http:server:ui:input", "x", "store", "\"nix\"", "store must begin with local:// or world://, got 'nix'" },
                { "http:server:ui:input", "x", "store", "\"local://x\"", "store must end with ?key=NAME, got 'local://x'" },
                { "http:server:ui:input", "x", "store", "\"world://?key=%4\"",
                  "store has a key that is too long, or has a broken escape: 'world://?key=%4'" },
        };
        Fixture f;

        setup(&f);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CHECK(!testhost_resource(&f.host, resource_type_find(http_kinds, cases[i].kind), cases[i].name, cases[i].field, cases[i].text, NULL));
                CHECK(f.host.diag.message && startswith(f.host.diag.message, cases[i].message));
                if (f.host.diag.message && !startswith(f.host.diag.message, cases[i].message))
                        printf("# %s\n", f.host.diag.message);
        }
        CHECK(!testhost_resource(&f.host, resource_type_find(http_kinds, "http:server:ui:input"), "x", "value", "\"1\"", "store",
                                 "\"local://\"", NULL));
        CHECK_STR(f.host.diag.message, "value and store cannot both be given");
        teardown(&f);
}

/* A browser here that came by a name which is not ours was led here by somebody; a proxy beside us passes one on that we know. */
TEST(names_under_which_it_is_known) {
        static const struct {
                const char *method, *host, *headers;
                unsigned status;
        } cases[] = {
                { "GET", "localhost", "", 200 },
                { "GET", "ui.example.org", "", 200 },
                { "GET", "evil.example", "", 403 },
                { "POST", "localhost:80", "Origin: http://localhost:80\r\n", 400 },    /* it says not what to set */
                { "POST", "ui.example.org", "Origin: https://ui.example.org\r\n", 400 },
                { "POST", "ui.example.org", "Origin: https://evil.example\r\n", 403 },
                { "POST", "evil.example", "Origin: http://evil.example\r\nSec-Fetch-Site: same-origin\r\n", 403 },
                { "POST", "evil.example", "", 403 },
        };
        char address[80];
        Fixture f;

        setup(&f);
        (void) snprintf(address, sizeof(address), "\"%s\"", test_address());
        f.server = make(&f, "http:server", "s", NULL, "address", address);
        f.ui = make(&f, "http:server:ui", "/ui/", f.server, "hosts", "[\"ui.example.org\"]");
        start(&f);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const char *path = streq(cases[i].method, "GET") ? "index.html" : "save/";
                Answer a = ask(&f.host, test_address(), "%s /ui/%s HTTP/1.1\r\nHost: %s\r\n%sContent-Length: 0\r\n\r\n", cases[i].method, path,
                               cases[i].host, cases[i].headers);
                if (a.status != cases[i].status)
                        TEST_FAIL("%u, not %u, for %s at %s with %s", a.status, cases[i].status, cases[i].method, cases[i].host, cases[i].headers);
                answer_done(&a);
        }
        teardown(&f);
}

TEST(an_id_is_of_one_input) {
        Fixture f;

        setup(&f);
        begin(&f);
        make(&f, "http:server:ui:input", "a", f.ui, "id", "\"x\"");
        make(&f, "http:server:ui:input", "b", f.ui, "id", "\"x\"");
        CHECK_INT(testhost_watch(&f.host, f.server), -EEXIST);
        CHECK_STR(f.host.diag.message, "id 'x' is that of another input as well, 'a'");
        teardown(&f);
}

TEST(names_of_this_machine) {
        static const struct { const char *host; bool local; } cases[] = {
                { "localhost", true },
                { "LocalHost:8080", true },
                { "127.0.0.1", true },
                { "127.3.2.1:80", true },
                { "[::1]:80", true },
                { "localhost.evil.example", false },
                { "127.0.0.1.evil.example", false },
                { "127.evil", false },
                { "evil.example:80", false },
                { "", false },
                { NULL, false },
        };
        char *const names[] = { (char *) "ui.example.org", NULL };
        char own[HOST_NAME_MAX + 1], with_port[HOST_NAME_MAX + 16];

        REQUIRE(gethostname(own, sizeof(own)) >= 0);
        CHECK(host_is_local(own));
        (void) snprintf(with_port, sizeof(with_port), "%s:8080", own);
        CHECK(host_is_local(with_port));

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                if (host_is_local(cases[i].host) != cases[i].local)
                        TEST_FAIL("%s", cases[i].host ? cases[i].host : "no name");
        CHECK(host_is_one_of("UI.example.org:443", names));
        CHECK(!host_is_one_of("ui.example.org.evil", names));
        CHECK(!host_is_one_of("ui.example.org", NULL));
}

/* ---- memory ---- */

TEST(echoes_do_not_count) {
        UiMemory m = {};

        CHECK_INT(ui_memory_declare(&m, "0", 1), 0);
        CHECK_INT(ui_memory_accept(&m, "1", 2), 0);
        CHECK_INT(ui_memory_accept(&m, "2", 3), 0);
        CHECK_INT(ui_memory_declare(&m, "1", 4), 0);            /* the first comes back, somebody is at the second */
        CHECK_STR(m.value, "2");
        CHECK_INT(ui_memory_declare(&m, "2", 5), 0);
        CHECK_STR(m.value, "2");
        CHECK_INT(ui_memory_declare(&m, "1", 6), 0);            /* this is no echo any more */
        CHECK_STR(m.value, "1");
        CHECK_INT(ui_memory_accept(&m, "3", 7), 0);
        CHECK_INT(ui_memory_accept(&m, "4", 8), 0);
        CHECK_INT(ui_memory_declare(&m, "3", 9 + UI_ECHO_USEC), 0);     /* nor is what comes so late */
        CHECK_STR(m.value, "3");
        for (unsigned i = 0; i < 3 * UI_RECENT_MAX; i++)
                CHECK_INT(ui_memory_accept(&m, "5", 10), 0);
        CHECK_INT(m.n_recent, UI_RECENT_MAX);
        ui_memory_done(&m);
}

TEST(memory_is_what_was_saved) {
        static const char *const broken[] = { "", "\n\n", "{}", "valuex\nvalue\n", "value %4\nrecent x\nrecent 12\nrecent 99999999999999999999 a\n", "value %00" };
        char path[] = "/tmp/test-ui-memory-XXXXXX";
        UiMemory m = {}, n;
        int fd = mkstemp(path);

        REQUIRE(fd >= 0);
        CHECK_INT(ui_memory_declare(&m, "a \"quoted\" one", 1), 0);
        CHECK_INT(ui_memory_accept(&m, "täxt 100%+\n", 2), 0);
        CHECK_INT(ui_memory_apply(&m, "old"), 0);
        CHECK_INT(ui_memory_save(&m, path), 0);
        CHECK_INT(ui_memory_load(&n, path), 0);
        CHECK_STR(n.declared, m.declared);
        CHECK_STR(n.value, m.value);
        CHECK_STR(n.applied, "old");
        CHECK(!ui_memory_is_applied(&n));
        CHECK_INT(n.n_recent, 1);
        ui_memory_done(&n);
        ui_memory_done(&m);
        for (size_t i = 0; i < ELEMENTSOF(broken); i++) {
                CHECK_INT(write_file_atomic_at(AT_FDCWD, path, broken[i], strlen(broken[i]), 0600, false), 0);
                CHECK_INT(ui_memory_load(&n, path), 0);
                CHECK(!n.value && n.n_recent == 0);
                ui_memory_done(&n);
        }
        (void) unlink(path);
        (void) close(fd);
}

TEST_MAIN()
