/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Clients that take their time, or say too much, before they have asked for anything. The listener here has a fraction of a second of
 * patience. */

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "daemons/http/address.h"
#include "daemons/http/http-manager.h"
#include "daemons/http/mhd.h"
#include "tests/daemons/http/client.h"
#include "tests/test.h"

enum {
        PATIENCE_MS = 200,
        PLACES = 20,
        LARGE = 8 * 1024 * 1024,                        /* bytes; more than the kernel keeps for a connection */
        MUCH_PATIENCE_MS = 1000,                        /* for clients that are to get on also where the machine has much to do */
        TIMES = 8,                                      /* much longer than anybody's patience */
};

#define REQUEST(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"

typedef struct Fixture {
        sd_event *event;
        HttpManager manager;
        TestHost host;
        HttpListener *listener;
        HttpServing serving;
        HttpHolds holds;
} Fixture;

static void reply_large(HttpRequest *q) {
        static char data[LARGE];
        HttpReply *reply = http_reply_new(200);

        memset(data, 'a', sizeof(data));
        CHECK_INT(value_str(&reply->data, data, sizeof(data)), 0);
        CHECK_INT(http_reply_piece(reply, NULL, 0, sizeof(data)), 0);
        http_request_reply(q, reply);
}

static unsigned n_interruptions, stopped_ms;

/* The library calls this one. It is interrupted as if the process were stopped for that long. */
__attribute__((__visibility__("default"))) ssize_t sendfile64(int to, int from, off64_t *offset, size_t size) {
        if (n_interruptions > 0) {
                n_interruptions--;
                size = MIN(size, (size_t) MUCH_PATIENCE_MS * HTTP_RATE / 1000 / 2);
                (void) usleep(stopped_ms * 1000);
        }
        return syscall(SYS_sendfile, to, from, offset, size);
}

static void reply_file(HttpRequest *q) {
        HttpReply *reply = http_reply_new(200);

        reply->fd = memfd_create("large", MFD_CLOEXEC);
        CHECK_INT(ftruncate(reply->fd, LARGE), 0);
        CHECK_INT(http_reply_piece(reply, NULL, 0, LARGE), 0);
        http_request_reply(q, reply);
}

static void serve(HttpRequest *q, void *userdata) {
        Fixture *f = userdata;

        if (streq(http_request_path(q), "/held") && !http_request_is_woken(q))
                http_request_hold(q, &f->holds);
        else if (streq(http_request_path(q), "/large"))
                reply_large(q);
        else if (streq(http_request_path(q), "/file"))
                reply_file(q);
        else
                http_request_reply_status(q, 404);
}

static uint64_t body_max(HttpRequest *q, void *userdata) {
        return 64 * 1024;
}

static void setup_listener(Fixture *f, unsigned patience_ms, bool tls) {
        struct rlimit limit, few;
        struct sockaddr_storage where;
        socklen_t size;

        *f = (Fixture) {};
        f->serving = (HttpServing) { .request = serve, .body_max = body_max, .userdata = f, .patience_usec = patience_ms * UINT64_C(1000) };
        if (sd_event_new(&f->event) < 0 || http_manager_init(&f->manager, f->event) < 0 ||
            testhost_init(&f->host, f->event, &f->manager, NULL) < 0 || address_resolve(test_address(), &where, &size) < 0)
                abort();

        (void) getrlimit(RLIMIT_NOFILE, &limit);        /* of which it takes five eighths */
        few = (struct rlimit) { PLACES / 5 * 8, limit.rlim_max };
        (void) setrlimit(RLIMIT_NOFILE, &few);
        if (http_listener_new(&f->listener, f->event, (struct sockaddr *) &where, size, tls) < 0)
                abort();
        (void) setrlimit(RLIMIT_NOFILE, &limit);
        http_listener_serve(f->listener, &f->serving);
}

static void setup_with(Fixture *f, unsigned patience_ms) {
        setup_listener(f, patience_ms, false);
}

static void setup(Fixture *f) {
        setup_with(f, PATIENCE_MS);
}

static void teardown(Fixture *f) {
        http_listener_free(f->listener);
        testhost_done(&f->host);
        http_manager_done(&f->manager);
        sd_event_unref(f->event);
}

/* Sends a byte again and again, a tenth of the listener's patience apart; whether the listener hangs up. Where the machine stalls, it
 * gives time to everybody, so it takes as long as it takes. */
static bool drip_until_closed(Fixture *f, Client *c, char byte) {
        for (unsigned i = 0; i < PATIENCE_MSEC / (PATIENCE_MS / 10) && !c->closed; i++) {
                if (client_send(c, &byte, 1) < 0)
                        return true;
                testhost_run(&f->host, PATIENCE_MS / 10);
        }
        return c->closed;
}

static void check_answered(Client *c, unsigned status) {
        Answer a = client_read(c, false, PATIENCE_MSEC);

        CHECK_INT(a.status, status);
        answer_done(&a);
}

static void check_works(Client *c) {
        CHECK_INT(client_send(c, REQUEST("/"), strlen(REQUEST("/"))), 0);
        check_answered(c, 404);
}

TEST(who_says_nothing_or_never_comes_to_an_end_must_go) {
        static const char *const beginnings[] = {
                "",
                "G",
                "GET / HTTP/1.1\r\n",
                "GET / HTTP/1.1\r\nHost: a\r\n",
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n",
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        };
        Fixture f;
        Client c;

        setup(&f);
        for (size_t i = 0; i < ELEMENTSOF(beginnings); i++) {
                REQUIRE(client_open(&c, &f.host, test_address()) >= 0);
                CHECK_INT(client_send(&c, beginnings[i], strlen(beginnings[i])), 0);
                if (!client_until_closed(&c, PATIENCE_MSEC))
                        TEST_FAIL("still open after '%s'", beginnings[i]);
                client_close(&c);
        }
        teardown(&f);
}

/* What follows them never comes to an end. */
TEST(a_byte_now_and_then_does_not_help) {
        static const char *const beginnings[] = {
                "GET /",
                "GET / HTTP/1.1\r\nHost: ",
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n",
        };
        Fixture f;
        Client c;

        setup(&f);
        for (size_t i = 0; i < ELEMENTSOF(beginnings); i++)
                for (unsigned kept = 0; kept < 2; kept++) {
                        REQUIRE(client_open(&c, &f.host, test_address()) >= 0);
                        if (kept)
                                check_works(&c);
                        CHECK_INT(client_send(&c, beginnings[i], strlen(beginnings[i])), 0);
                        CHECK(drip_until_closed(&f, &c, 'a'));
                        client_close(&c);
                }
        teardown(&f);
}

/* A handshake is part of what comes before the headers. */
TEST(nor_does_it_in_a_handshake) {
        static const char hello[] = "\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03";  /* the first of so many bytes */
        Fixture f;
        Client c;

        setup_listener(&f, PATIENCE_MS, true);
        REQUIRE(client_open(&c, &f.host, test_address()) >= 0);
        CHECK_INT(client_send(&c, hello, sizeof(hello) - 1), 0);
        CHECK(drip_until_closed(&f, &c, 'a'));
        client_close(&c);
        REQUIRE(client_open(&c, &f.host, test_address()) >= 0);
        CHECK(client_until_closed(&c, PATIENCE_MSEC));
        client_close(&c);
        teardown(&f);
}

TEST(who_gets_on_may_be_slow) {
        static const char head[] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 15360\r\n\r\n";
        static char piece[MUCH_PATIENCE_MS * HTTP_RATE / 1000];         /* enough for a patience, and sent ten times in one */
        Fixture f;
        Client c;

        setup_with(&f, MUCH_PATIENCE_MS);
        memset(piece, 'a', sizeof(piece));
        REQUIRE(client_open(&c, &f.host, test_address()) >= 0);
        CHECK_INT(client_send(&c, head, strlen(head)), 0);
        for (unsigned i = 0; i < 15360 / sizeof(piece); i++) {
                CHECK_INT(client_send(&c, piece, sizeof(piece)), 0);
                testhost_run(&f.host, MUCH_PATIENCE_MS / 10);
        }
        check_answered(&c, 404);
        client_close(&c);
        teardown(&f);
}

static bool somebody_is_held(void *userdata) {
        const Fixture *f = userdata;

        return f->holds.first;
}

/* Of those who wait for us, and of those who want nothing at the moment, nothing is expected. */
TEST(who_has_asked_may_wait) {
        Fixture f;
        Client kept, held;

        setup_with(&f, PATIENCE_MSEC);
        REQUIRE(client_open(&kept, &f.host, test_address()) >= 0 && client_open(&held, &f.host, test_address()) >= 0);
        check_works(&kept);
        CHECK_INT(client_send(&held, REQUEST("/held"), strlen(REQUEST("/held"))), 0);
        CHECK(testhost_until(&f.host, somebody_is_held, &f, PATIENCE_MSEC));
        f.serving.patience_usec = PATIENCE_MS * UINT64_C(1000);         /* only now, whatever took us so long */
        http_listener_serve(f.listener, &f.serving);
        testhost_run(&f.host, TIMES * PATIENCE_MS);
        CHECK(!kept.closed);
        CHECK(!held.closed);
        check_works(&kept);
        http_holds_wake(&f.holds);
        check_answered(&held, 404);
        check_works(&held);
        client_close(&kept);
        client_close(&held);
        teardown(&f);
}

TEST(nobody_is_slow_while_nobody_serves) {
        Fixture f;
        Client open, fresh;

        setup_with(&f, MUCH_PATIENCE_MS);
        REQUIRE(client_open(&open, &f.host, test_address()) >= 0);
        testhost_run(&f.host, 10);
        http_listener_serve(f.listener, NULL);
        REQUIRE(client_open(&fresh, &f.host, test_address()) >= 0);
        CHECK_INT(client_send(&open, REQUEST("/"), strlen(REQUEST("/"))), 0);
        CHECK_INT(client_send(&fresh, REQUEST("/"), strlen(REQUEST("/"))), 0);
        testhost_run(&f.host, 2 * MUCH_PATIENCE_MS);
        http_listener_serve(f.listener, &f.serving);
        check_answered(&open, 404);
        check_answered(&fresh, 404);
        client_close(&open);
        client_close(&fresh);
        teardown(&f);
}

typedef struct Crowd {
        HttpListener *listener;
        unsigned n;
} Crowd;

static bool all_are_there(void *userdata) {
        const Crowd *c = userdata;

        return http_listener_n_connections(c->listener) == c->n;
}

/* They ask for much, and take a little of it now and then. With places for others that is their affair. */
static void check_readers(unsigned n, unsigned n_stay) {
        static Client clients[PLACES];
        unsigned n_turns = n_stay == n ? 3 * 20 : PATIENCE_MSEC / (MUCH_PATIENCE_MS / 20);      /* or until some have gone */
        Fixture f;
        char byte;

        setup_with(&f, MUCH_PATIENCE_MS);
        CHECK_INT(http_listener_connections_max(f.listener), PLACES);
        for (unsigned i = 0; i < n; i++) {
                REQUIRE(client_open(&clients[i], &f.host, test_address()) >= 0);
                clients[i].source = sd_event_source_disable_unref(clients[i].source);   /* read is below */
                CHECK_INT(client_send(&clients[i], REQUEST("/large"), strlen(REQUEST("/large"))), 0);
        }
        CHECK(testhost_until(&f.host, all_are_there, &(Crowd) { f.listener, n }, PATIENCE_MSEC));
        while (n_turns-- > 0 && (n_stay == n || http_listener_n_connections(f.listener) > n_stay)) {
                char buffer[16 * 1024];

                testhost_run(&f.host, MUCH_PATIENCE_MS / 20);
                for (unsigned i = 0; i < n; i++)        /* the first one is quick enough */
                        (void) !recv(clients[i].fd, buffer, i == 0 ? sizeof(buffer) : 1, MSG_DONTWAIT);
        }
        CHECK_INT(http_listener_n_connections(f.listener), n_stay);
        CHECK_INT(recv(clients[0].fd, &byte, 1, 0), 1);
        for (unsigned i = 0; i < n; i++)
                client_close(&clients[i]);
        teardown(&f);
}

TEST(slow_readers_go_where_others_want_the_place) {
        check_readers(PLACES / 2, PLACES / 2);
        check_readers(PLACES - 1, PLACES / 4 * 3 - 1);
}

static void check_file(Client *c) {
        n_interruptions = 2;
        CHECK_INT(client_send(c, REQUEST("/file"), strlen(REQUEST("/file"))), 0);
        Answer a = client_read(c, false, PATIENCE_MSEC);
        CHECK_INT(n_interruptions, 0);
        CHECK_INT(a.status, 200);
        CHECK_INT(a.body_size, LARGE);
        answer_done(&a);
}

/* As if the process had been stopped in the middle of its first calls: the socket is not full, and the library waits for room in it.
 * From a client that is slow, so little would not be enough where others want the place. */
static void check_interrupted(unsigned n_others) {
        static Client others[PLACES];
        Fixture f;
        Client c;

        setup_with(&f, MUCH_PATIENCE_MS);       /* the kernel has some as well, with less than a packet */
        for (unsigned i = 0; i < n_others; i++) {
                REQUIRE(client_open(&others[i], &f.host, test_address()) >= 0);
                CHECK_INT(client_send(&others[i], REQUEST("/held"), strlen(REQUEST("/held"))), 0);
        }
        REQUIRE(client_open(&c, &f.host, test_address()) >= 0);
        check_file(&c);
        client_close(&c);
        for (unsigned i = 0; i < n_others; i++)
                client_close(&others[i]);
        teardown(&f);
}

TEST(an_interrupted_download_goes_on) {
        check_interrupted(0);
        check_interrupted(PLACES / 4 * 3);
}

/* With all the patience in the world, so it is not the look at slow clients that helps. */
TEST(a_download_does_not_wait_after_a_stop) {
        Fixture f;
        Client c;

        stopped_ms = 50;
        setup_with(&f, 2 * PATIENCE_MSEC);
        REQUIRE(client_open(&c, &f.host, test_address()) >= 0);
        check_file(&c);
        client_close(&c);
        teardown(&f);
        stopped_ms = 0;
}

/* ---- too much ---- */

static void repeat(StrBuf *b, const char *part, size_t times) {
        for (size_t i = 0; i < times; i++)
                strbuf_puts(b, part);
}

static void check_head(Fixture *f, const StrBuf *request, unsigned status, const char *what, size_t size) {
        Client c;

        REQUIRE(client_open(&c, &f->host, test_address()) >= 0);
        (void) client_send(&c, request->data, request->size);
        Answer a = client_read(&c, false, PATIENCE_MSEC);
        if (a.status != status)
                TEST_FAIL("%s of %zu: expected %u, got %u", what, size, status, a.status);
        answer_done(&a);
        client_close(&c);
}

static const struct {
        const char *what, *before, *part, *after;
        size_t cost;                    /* of a part: its bytes, and what the library makes of it */
        unsigned too_large;
} heads[] = {
        { "target",  "GET /", "a", " HTTP/1.1\r\nHost: a\r\n\r\n", 1, 414 },
        { "post",    "POST /", "a", " HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n123456789", 1, 414 },
        { "query",   "GET /?", "&", " HTTP/1.1\r\nHost: a\r\n\r\n", 1 + HTTP_HEADER_COST, 414 },
        { "value",   "POST /?", "a", " HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n123456789", 1, 414 },
        { "header",  "GET / HTTP/1.1\r\nHost: a\r\nX: ", "a", "\r\n\r\n", 1, 431 },
        { "headers", "GET / HTTP/1.1\r\nHost: a\r\n", "X: y\r\n", "\r\n", 6 + HTTP_HEADER_COST, 431 },
        { "cookie",  "GET / HTTP/1.1\r\nHost: a\r\nCookie: c=", "d", "\r\n\r\n", 2, 431 },
        { "cookies", "GET / HTTP/1.1\r\nHost: a\r\nCookie: c=d", "; a=b", "\r\n\r\n", 10 + HTTP_HEADER_COST, 431 },
};

static void make_head(StrBuf *ret, size_t i, size_t n) {
        repeat(ret, heads[i].before, 1);
        repeat(ret, heads[i].part, n);
        repeat(ret, heads[i].after, 1);
}

/* Whether it fits or not, there is an answer: what a head needs in memory never takes the place of what answers it. */
TEST(heads_of_all_sizes_are_answered) {
        Fixture f;

        setup_with(&f, PATIENCE_MSEC);
        for (size_t i = 0; i < ELEMENTSOF(heads); i++) {
                size_t most = HTTP_HEAD_MAX / heads[i].cost, little = 512 / heads[i].cost;

                for (size_t n = most - little; n <= most + little; n += heads[i].cost <= 2 ? 13 : 1) {
                        _cleanup_(strbuf_done) StrBuf request = {};
                        size_t size = strlen(heads[i].before) + n * heads[i].cost + strlen(heads[i].after);

                        make_head(&request, i, n);
                        if (size + 4 * HTTP_HEADER_COST <= HTTP_HEAD_MAX)
                                check_head(&f, &request, 404, heads[i].what, n);
                        else if (size > HTTP_HEAD_MAX)
                                check_head(&f, &request, heads[i].too_large, heads[i].what, n);
                }
        }
        teardown(&f);
}

/* Where there is not even memory for that any more, the connection ends, and not only when patience does. */
TEST(heads_that_are_larger_still_come_to_an_end) {
        Fixture f;
        Client c;

        setup_with(&f, 10 * PATIENCE_MSEC);
        for (size_t i = 0; i < ELEMENTSOF(heads); i++)
                for (size_t size = HTTP_HEAD_MAX + 512; size < HTTP_HEAD_MAX + 8192; size += 97) {
                        _cleanup_(strbuf_done) StrBuf request = {};

                        make_head(&request, i, size / heads[i].cost);
                        REQUIRE(client_open(&c, &f.host, test_address()) >= 0);
                        (void) client_send(&c, request.data, request.size);
                        if (!client_until_closed(&c, PATIENCE_MSEC))
                                TEST_FAIL("%s of %zu stays", heads[i].what, size / heads[i].cost);
                        client_close(&c);
                }
        teardown(&f);
}

/* With so many the library itself comes to an end of its memory, after it has told us of the line. */
TEST(too_many_arguments_leave_nothing_behind) {
        Fixture f;

        setup_with(&f, PATIENCE_MSEC);
        for (size_t n = 100; n < 250; n += 10) {
                _cleanup_(strbuf_done) StrBuf request = {};

                repeat(&request, "GET /?", 1);
                repeat(&request, "&", n);
                repeat(&request, " HTTP/1.1\r\nHost: a\r\n\r\n", 1);
                check_head(&f, &request, n < 124 ? 404 : 414, "arguments", n);
        }
        teardown(&f);
}

/* All we are told of such a line is what stands before the NUL. The library stops in the middle, and says nothing. */
TEST(where_the_library_is_stuck_it_ends_as_well) {
        Fixture f;
        Client c;

        setup(&f);
        for (size_t n = 3000; n < 3300; n += 25)
                for (unsigned hang_up = 0; hang_up < 2; hang_up++) {
                        _cleanup_(strbuf_done) StrBuf request = {};

                        repeat(&request, "GET /?", 1);
                        repeat(&request, "a", 7000);
                        strbuf_add(&request, "", 1);
                        repeat(&request, "a", n);
                        repeat(&request, " HTTP/1.1\r\nHost: a\r\n\r\n" REQUEST("/"), 1);
                        REQUIRE(client_open(&c, &f.host, test_address()) >= 0);
                        (void) client_send(&c, request.data, request.size);
                        if (hang_up)
                                (void) shutdown(c.fd, SHUT_WR);
                        if (!client_until_closed(&c, PATIENCE_MSEC))
                                TEST_FAIL("%zu stays", n);
                        client_close(&c);
                }
        teardown(&f);
}

/* It is asked for under another path, which may be longer than what was said. */
TEST(the_way_to_the_right_path_may_be_too_long) {
        static const struct {
                size_t n;
                unsigned status;
        } cases[] = { { 500, 301 }, { 1500, 301 }, { 2500, 414 }, { 7000, 414 } };
        Fixture f;

        setup_with(&f, PATIENCE_MSEC);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(strbuf_done) StrBuf request = {};

                repeat(&request, "GET //", 1);
                repeat(&request, "\xc3", cases[i].n);   /* becomes three */
                repeat(&request, " HTTP/1.1\r\nHost: a\r\n\r\n", 1);
                check_head(&f, &request, cases[i].status, "path", cases[i].n);
        }
        teardown(&f);
}

/* The client is still sending when it is refused. */
TEST(the_reason_for_a_refusal_arrives) {
        static const struct {
                const char *head;
                unsigned status;
        } cases[] = {
                { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n", 413 },
                { "POST / HTTP/1.1\r\nHost: a\r\nX: ", 431 },
                { "POST /", 414 },
        };
        static char rest[1000000];
        Fixture f;
        Client c;

        setup_with(&f, PATIENCE_MSEC);
        memset(rest, 'a', sizeof(rest));
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                for (unsigned n = 0; n < 20; n++) {
                        REQUIRE(client_open(&c, &f.host, test_address()) >= 0);
                        CHECK_INT(client_send(&c, cases[i].head, strlen(cases[i].head)), 0);
                        CHECK_INT(client_send(&c, rest, sizeof(rest)), 0);
                        check_answered(&c, cases[i].status);
                        client_close(&c);
                }
        teardown(&f);
}

TEST_MAIN()
