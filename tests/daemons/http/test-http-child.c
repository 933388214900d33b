/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What an http:server gives its children: bodies, streams, and protection from pages of other sites. The child here is one of our
 * own, whose paths say what it shall do. */

#include "daemons/http/child.h"
#include "daemons/http/http-manager.h"
#include "daemons/http/kinds.h"
#include "tests/daemons/http/client.h"
#include "tests/test.h"

enum { BODY_MAX = 200000 };

typedef struct Echo {
        HttpChild child;
        char *server;

        HttpStream *stream;
        unsigned n_gone, n_room;
        bool end_when_gone;
} Echo;

static void on_gone(HttpStream *s, void *userdata) {
        Echo *e = userdata;

        e->n_gone++;
        if (e->end_when_gone)
                e->stream = http_stream_end(e->stream, 0);
}

static void on_room(HttpStream *s, void *userdata) {
        ((Echo *) userdata)->n_room++;
}

static bool echo_accepts(HttpChild *c, const HttpRequest *q) {
        return startswith(http_request_path(q), "/echo") || startswith(http_request_path(q), "/stream");
}

static void begin_stream(Echo *e, HttpRequest *q) {
        static const HttpStreamOps ops = { .gone = on_gone, .room = on_room };
        const char *size = http_request_query(q);

        CHECK_INT(http_request_stream(q, http_reply_new(200), size ? atoi(size) : HTTP_STREAM_OPEN, &ops, e, &e->stream), 0);
}

static void echo_serve(HttpChild *c, HttpRequest *q) {
        const StrBuf *body = http_request_body(q);
        HttpReply *reply = http_reply_new(200);

        if (startswith(http_request_path(q), "/stream")) {
                http_reply_free(reply);
                begin_stream((Echo *) c, q);
                return;
        }
        CHECK_INT(value_str(&reply->data, body->data ? body->data : "", body->size), 0);
        if (body->size > 0)
                CHECK_INT(http_reply_piece(reply, NULL, 0, body->size), 0);
        http_request_reply(q, reply);
}

static int echo_init(Resource *r) {
        static const HttpChildOps ops = { .accepts = echo_accepts, .serve = echo_serve, .body_max = BODY_MAX };

        ((Echo *) r)->child.ops = &ops;
        return 0;
}

static int echo_watch(Resource *r, Diag *reterr) {
        resource_armed(r);
        return 0;
}

static void echo_unwatch(Resource *r) {
        Echo *e = (Echo *) r;

        e->stream = http_stream_end(e->stream, 0);
}

static int echo_check_apply(Resource *r, bool apply, Diag *reterr) {
        return CHECK_OK;
}

static const FieldSpec echo_fields[] = {
        FIELD(Echo, server, FIELD_STR, 0, "Name of the http:server."),
        {}
};

static const ResourceType echo_type = {
        .kind = "http:server:echo",
        .doc = "Gives back what it gets.",
        .size = sizeof(Echo),
        .fields = echo_fields,
        .parent_field = "server",
        .init = echo_init,
        .watch = echo_watch,
        .unwatch = echo_unwatch,
        .check_apply = echo_check_apply,
};

typedef struct Fixture {
        sd_event *event;
        HttpManager manager;
        TestHost host;
        Resource *server;
        Echo *echo;
} Fixture;

static void setup(Fixture *f) {
        char address[80];

        *f = (Fixture) {};
        if (sd_event_new(&f->event) < 0 || http_manager_init(&f->manager, f->event) < 0 ||
            testhost_init(&f->host, f->event, &f->manager, NULL) < 0)
                abort();
        (void) snprintf(address, sizeof(address), "\"%s\"", test_address());
        f->server = testhost_resource(&f->host, resource_type_find(http_kinds, "http:server"), "web", "address", address, "hosts", "[\"a\"]",
                                      NULL);
        f->echo = (Echo *) testhost_resource(&f->host, &echo_type, "echo", NULL);
        if (resource_add_child(f->server, &f->echo->child.resource) < 0)
                abort();
        CHECK_INT(testhost_watch(&f->host, f->server), 0);
}

static void teardown(Fixture *f) {
        testhost_free(f->server);
        testhost_done(&f->host);
        http_manager_done(&f->manager);
        sd_event_unref(f->event);
}

/* ---- bodies ---- */

TEST(bodies_come_whole) {
        _cleanup_free_ char *big = calloc(1, BODY_MAX + 2);
        Fixture f;
        Answer a;

        setup(&f);
        memset(big, 'x', BODY_MAX);
        a = ask(&f.host, test_address(), "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
        CHECK_INT(a.status, 200);
        CHECK_STR(a.body, "hello");
        answer_done(&a);

        a = ask(&f.host, test_address(), "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
        CHECK_STR(a.body, "abcde");
        answer_done(&a);

        a = ask(&f.host, test_address(), "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        CHECK_INT(a.status, 200);
        CHECK_INT(a.body_size, 0);
        answer_done(&a);

        a = ask(&f.host, test_address(), "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %i\r\n\r\n%s", BODY_MAX, big);
        CHECK_INT(a.status, 200);
        CHECK_INT(a.body_size, BODY_MAX);
        answer_done(&a);

        a = ask(&f.host, test_address(), "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %i\r\n\r\n", BODY_MAX + 1);
        CHECK_INT(a.status, 413);
        answer_done(&a);
        teardown(&f);
}

/* What a chunked one will grow to nobody knows before. */
TEST(a_body_that_grows_too_large_ends) {
        _cleanup_free_ char *big = calloc(1, BODY_MAX + 2);
        Fixture f;
        Answer a;

        setup(&f);
        memset(big, 'x', BODY_MAX + 1);
        a = ask(&f.host, test_address(), "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", BODY_MAX + 1, big);
        CHECK_INT(a.status, 0);
        answer_done(&a);
        teardown(&f);
}

/* The program has changed while it was on its way: who wants it was not there when it began. */
TEST(a_body_that_nobody_wanted_is_asked_for_again) {
        static const char start[] = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe";
        char address[80];
        Fixture f;
        Client c;
        Answer a;

        setup(&f);
        (void) snprintf(address, sizeof(address), "\"%s\"", test_address());
        Resource *without = testhost_resource(&f.host, resource_type_find(http_kinds, "http:server"), "web", "address", address, NULL);
        CHECK_INT(testhost_watch(&f.host, without), 0);
        CHECK_INT(client_open(&c, &f.host, test_address()), 0);
        CHECK_INT(client_send(&c, start, strlen(start)), 0);
        client_settle(&c);
        CHECK_INT(testhost_watch(&f.host, f.server), 0);
        CHECK_INT(client_send(&c, "llo", 3), 0);
        a = client_read(&c, false, PATIENCE_MSEC);
        CHECK_INT(a.status, 503);
        CHECK_STR(answer_header(&a, "Retry-After"), "1");
        answer_done(&a);
        client_close(&c);
        testhost_free(without);
        teardown(&f);
}

/* ---- streams ---- */

static bool has_stream(void *userdata) {
        return ((Echo *) userdata)->stream;
}

static bool is_gone(void *userdata) {
        return ((Echo *) userdata)->n_gone > 0;
}

static bool is_sent(void *userdata) {
        return http_stream_pending(((Echo *) userdata)->stream) == 0;
}

typedef struct Received {
        Client *client;
        const char *text;
} Received;

static bool has_received(void *userdata) {
        const Received *r = userdata;

        return r->client->in.data && strstr(r->client->in.data, r->text);
}

static bool client_until(Client *c, const char *text) {
        Received r = { c, text };

        return testhost_until(c->host, has_received, &r, PATIENCE_MSEC);
}

static void open_stream(Fixture *f, Client *c, const char *target) {
        char request[128];

        (void) snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", target);
        CHECK_INT(client_open(c, &f->host, test_address()), 0);
        CHECK_INT(client_send(c, request, strlen(request)), 0);
        CHECK(testhost_until(&f->host, has_stream, f->echo, PATIENCE_MSEC));
}

TEST(a_stream_says_things_as_they_happen) {
        static const char again[] = "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n";
        Fixture f;
        Client c;

        setup(&f);
        open_stream(&f, &c, "/stream");
        CHECK(client_until(&c, "\r\n\r\n"));            /* the head does not wait for the body */
        CHECK(strstr(c.in.data, "Transfer-Encoding: chunked"));
        CHECK_INT(http_stream_write(f.echo->stream, "first", 5), 0);
        CHECK(client_until(&c, "first"));
        CHECK(!strstr(c.in.data, "second"));
        CHECK_INT(http_stream_write(f.echo->stream, "second", 6), 0);
        CHECK(client_until(&c, "second"));
        CHECK_INT(http_stream_write(f.echo->stream, "last", 4), 0);
        f.echo->stream = http_stream_end(f.echo->stream, 0);
        CHECK(client_until(&c, "last\r\n0\r\n\r\n"));
        CHECK_INT(f.echo->n_gone, 0);

        /* the connection is as good as before */
        CHECK_INT(client_send(&c, again, strlen(again)), 0);
        CHECK(client_until(&c, "Content-Length: 0"));
        client_close(&c);
        teardown(&f);
}

TEST(a_stream_of_known_size) {
        Fixture f;
        Client c;
        Answer a;

        setup(&f);
        open_stream(&f, &c, "/stream?6");
        CHECK_INT(http_stream_write(f.echo->stream, "abc", 3), 0);
        CHECK_INT(http_stream_write(f.echo->stream, "def", 3), 0);
        f.echo->stream = http_stream_end(f.echo->stream, 0);
        a = client_read(&c, false, PATIENCE_MSEC);
        CHECK_STR(a.body, "abcdef");
        CHECK_STR(answer_header(&a, "Content-Length"), "6");
        CHECK_INT(f.echo->n_gone, 0);
        answer_done(&a);
        client_close(&c);

        /* what is missing is seen */
        f.echo->stream = NULL;
        open_stream(&f, &c, "/stream?6");
        CHECK_INT(http_stream_write(f.echo->stream, "abc", 3), 0);
        f.echo->stream = http_stream_end(f.echo->stream, -EIO);
        CHECK(client_until_closed(&c, PATIENCE_MSEC));
        CHECK(strstr(c.in.data, "\r\n\r\nabc"));
        client_close(&c);
        teardown(&f);
}

TEST(the_owner_of_a_stream_is_told_that_the_client_left) {
        for (int i = 0; i < 2; i++) {
                Fixture f;
                Client c;

                setup(&f);
                f.echo->end_when_gone = i;
                open_stream(&f, &c, "/stream");
                CHECK(client_until(&c, "\r\n\r\n"));
                client_close(&c);
                CHECK(testhost_until(&f.host, is_gone, f.echo, PATIENCE_MSEC));
                CHECK_INT(f.echo->n_gone, 1);
                if (f.echo->stream)
                        CHECK_INT(http_stream_write(f.echo->stream, "x", 1), -EPIPE);
                teardown(&f);
        }
}

TEST(a_stream_that_nobody_reads_is_bounded) {
        static char block[HTTP_STREAM_MAX];
        unsigned n = 0;
        Fixture f;
        Client c;
        int r;

        setup(&f);
        open_stream(&f, &c, "/stream");
        (void) sd_event_source_set_enabled(c.source, SD_EVENT_OFF);
        CHECK_INT(http_stream_write(f.echo->stream, block, sizeof(block) + 1), -ENOBUFS);
        while ((r = http_stream_write(f.echo->stream, block, sizeof(block))) >= 0 && n++ < 1000)
                (void) testhost_until(&f.host, is_sent, f.echo, 500);
        CHECK_INT(r, -ENOBUFS);
        CHECK(http_stream_pending(f.echo->stream) <= HTTP_STREAM_MAX);

        (void) sd_event_source_set_enabled(c.source, SD_EVENT_ON);
        unsigned before = f.echo->n_room;
        CHECK(testhost_until(&f.host, is_sent, f.echo, PATIENCE_MSEC));
        testhost_run(&f.host, 20);
        CHECK_INT(f.echo->n_room, before + 1);
        client_close(&c);
        teardown(&f);
}

TEST(streams_end_with_the_listener) {
        Fixture f;
        Client c;

        setup(&f);
        open_stream(&f, &c, "/stream");
        CHECK(client_until(&c, "\r\n\r\n"));
        http_manager_done(&f.manager);          /* which is not waited for */
        CHECK_INT(f.echo->n_gone, 1);
        client_close(&c);
        testhost_free(f.server);
        testhost_done(&f.host);
        sd_event_unref(f.event);
}

/* ---- pages of other sites ---- */

TEST(pages_of_other_sites_change_nothing) {
        static const struct {
                const char *method, *headers;
                unsigned status;
                const char *host;       /* NULL: "a", which is one of the hosts */
        } cases[] = {
                { "POST", "", 200 },
                { "POST", "", 200, "b" },
                { "POST", "Origin: http://b\r\n", 403, "b" },
                { "POST", "Sec-Fetch-Site: same-origin\r\nOrigin: http://b\r\n", 403, "b" },
                { "POST", "Origin: http://localhost:80\r\n", 200, "localhost:80" },
                { "POST", "Origin: http://127.0.0.1\r\n", 200, "127.0.0.1" },
                { "GET", "Origin: http://b\r\n", 200, "b" },
                { "POST", "Origin: http://a\r\n", 200 },
                { "POST", "Origin: http://A\r\n", 200 },
                { "POST", "Origin: http://b\r\n", 403 },
                { "POST", "Origin: http://a.b\r\n", 403 },
                { "POST", "Origin: http://a:8080\r\n", 403 },
                { "POST", "Origin: null\r\n", 403 },
                { "POST", "Origin: \r\n", 403 },
                { "POST", "Sec-Fetch-Site: same-origin\r\nOrigin: http://other-name\r\n", 200 },
                { "POST", "Sec-Fetch-Site: none\r\n", 200 },
                { "POST", "Sec-Fetch-Site: same-site\r\n", 403 },
                { "POST", "Sec-Fetch-Site: cross-site\r\nOrigin: http://a\r\n", 403 },
                { "DELETE", "Sec-Fetch-Site: cross-site\r\n", 403 },
                { "GET", "Sec-Fetch-Site: cross-site\r\nOrigin: http://b\r\n", 200 },
        };
        Fixture f;

        setup(&f);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Answer a = ask(&f.host, test_address(), "%s /echo HTTP/1.1\r\nHost: %s\r\n%sContent-Length: 0\r\n\r\n", cases[i].method,
                               cases[i].host ?: "a", cases[i].headers);

                if (a.status != cases[i].status)
                        TEST_FAIL("%u, not %u, of %s with %s", a.status, cases[i].status, cases[i].method, cases[i].headers);
                answer_done(&a);
        }
        teardown(&f);
}

TEST_MAIN()
