/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Requests to a server of a few lines in the same loop. */

#include <arpa/inet.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <systemd/sd-event.h>

#include "common/http/curl-loop.h"
#include "common/http/transfer.h"
#include "tests/test.h"

#define NEED(condition) do { if (!(condition)) abort(); } while (0)
#define BODY "the body"
#define ANSWER "HTTP/1.1 200 OK\r\nX-Index: 7\r\nx-index:  8 \r\nContent-Length: 6\r\n\r\nanswer"

typedef struct Server {
        sd_event *event;
        CurlLoop *loop;
        char url[64];
        sd_event_source *listener, *drip;
        sd_event_source *clients[16];
        unsigned n_clients, n_bodies;
        unsigned closes;        /* which body, from 1, is answered by closing the connection; 0: none */
        unsigned drips;         /* bytes that are left of an answer that comes little by little; 0: it comes at once */
        uint64_t drip_usec;     /* one each */
        char method[16];        /* of the last request */
} Server;

static int on_drip(sd_event_source *source, uint64_t usec, void *userdata) {
        Server *s = userdata;
        int fd = sd_event_source_get_io_fd(s->clients[s->n_clients - 1]);

        NEED(write(fd, ".", 1) == 1);
        if (--s->drips == 0)
                return 0;
        NEED(sd_event_source_set_time_relative(source, s->drip_usec) >= 0 && sd_event_source_set_enabled(source, SD_EVENT_ONESHOT) >= 0);
        return 0;
}

static void answer(Server *s, int fd) {
        char head[64];

        if (s->drips == 0) {
                NEED(write(fd, ANSWER, strlen(ANSWER)) == (ssize_t) strlen(ANSWER));
                return;
        }
        (void) snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n", s->drips);
        NEED(write(fd, head, strlen(head)) == (ssize_t) strlen(head));
        NEED(sd_event_add_time_relative(s->event, &s->drip, CLOCK_MONOTONIC, s->drip_usec, 1, on_drip, s) >= 0);
}

static int on_client(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        Server *s = userdata;
        char data[4096] = "";
        ssize_t n = read(fd, data, sizeof(data) - 1);

        if (n <= 0)
                return sd_event_source_set_enabled(source, SD_EVENT_OFF);
        if (!strstr(data, BODY))
                return 0;
        (void) snprintf(s->method, sizeof(s->method), "%.*s", (int) strcspn(data, " "), data);
        s->n_bodies++;
        if (s->n_bodies == s->closes)
                (void) shutdown(fd, SHUT_RDWR);
        else
                answer(s, fd);
        return 0;
}

static int on_connection(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        Server *s = userdata;
        int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

        NEED(client >= 0 && s->n_clients < ELEMENTSOF(s->clients));
        NEED(sd_event_add_io(s->event, &s->clients[s->n_clients], client, EPOLLIN, on_client, s) >= 0);
        return sd_event_source_set_io_fd_own(s->clients[s->n_clients++], true);
}

static void server_init(Server *s) {
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof(a);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        *s = (Server) {};
        NEED(fd >= 0 && bind(fd, (struct sockaddr *) &a, sizeof(a)) == 0 && listen(fd, 16) == 0 &&
             getsockname(fd, (struct sockaddr *) &a, &size) == 0);
        (void) snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%u/", ntohs(a.sin_port));
        NEED(sd_event_new(&s->event) >= 0 && curl_loop_new(&s->loop, s->event) >= 0 &&
             sd_event_add_io(s->event, &s->listener, fd, EPOLLIN, on_connection, s) >= 0 &&
             sd_event_source_set_io_fd_own(s->listener, true) >= 0);
}

static void server_done(Server *s) {
        curl_loop_free(s->loop);
        for (unsigned i = 0; i < s->n_clients; i++)
                sd_event_source_disable_unref(s->clients[i]);
        sd_event_source_disable_unref(s->drip);
        sd_event_source_disable_unref(s->listener);
        sd_event_unref(s->event);
}

typedef struct Outcome {
        bool came, sent;
        int error;
        char text[256], index[16], none[16];
} Outcome;

static void copy_header(const Transfer *t, const char *name, char ret[static 16]) {
        (void) snprintf(ret, 16, "%s", transfer_header(t, name) ?: "-");
}

static void on_done(Transfer *t, const TransferResult *result, void *userdata) {
        Outcome *o = userdata;

        *o = (Outcome) { .came = true, .sent = result->sent, .error = result->error };
        (void) snprintf(o->text, sizeof(o->text), "%s", result->error < 0 ? result->problem : result->data);
        copy_header(t, "X-INDEX", o->index);
        copy_header(t, "X-Inde", o->none);
}

static Outcome ask_for(Server *s, TransferRequest request) {
        Outcome o = {};
        Transfer *t;

        request.url = s->url;
        request.body = BODY;
        request.body_size = strlen(BODY);
        request.answer_max = 4096;
        request.done = on_done;
        request.userdata = &o;
        CHECK_INT(transfer_start(s->loop, s->event, &request, &t), 0);
        for (time_t end = time(NULL) + 60; !o.came && time(NULL) < end;)
                CHECK(sd_event_run(s->event, 100000) >= 0);
        CHECK(o.came);
        return o;
}

static Outcome ask(Server *s, bool once, uint64_t silence_usec) {
        return ask_for(s, (TransferRequest) { .once = once, .silence_usec = silence_usec });
}

/* The second request goes over the connection of the first, which ends instead of an answer. */
TEST(what_may_be_repeated_is_sent_again) {
        _cleanup_(server_done) Server s;

        server_init(&s);
        CHECK_STR(ask(&s, false, 0).text, "answer");
        s.closes = 2;
        CHECK_STR(ask(&s, false, 0).text, "answer");
        CHECK_INT(s.n_bodies, 3);
        CHECK_INT(s.n_clients, 2);
}

TEST(what_may_not_be_repeated_is_not) {
        _cleanup_(server_done) Server s;
        Outcome o;

        server_init(&s);
        CHECK_STR(ask(&s, true, 0).text, "answer");
        s.closes = 2;
        o = ask(&s, true, 0);
        CHECK_INT(o.error, -ECONNRESET);
        CHECK(o.sent);
        CHECK_INT(s.n_bodies, 2);
        CHECK_STR(ask(&s, true, 0).text, "answer");
        CHECK_INT(s.n_bodies, 3);
}

TEST(silence_ends_it_and_slowness_does_not) {
        _cleanup_(server_done) Server s;
        Outcome o;

        server_init(&s);
        s.drips = 12;
        s.drip_usec = 100000;
        CHECK_STR(ask(&s, true, 1000000).text, "............");
        s.drip = sd_event_source_disable_unref(s.drip);
        s.drips = 2;
        s.drip_usec = 3600000000;
        o = ask(&s, true, 500000);
        CHECK_INT(o.error, -ETIMEDOUT);
        CHECK(o.sent);
        CHECK_STR(o.text, "nothing came for 500 ms");
}

TEST(a_limit_ends_what_goes_on_for_ever) {
        _cleanup_(server_done) Server s;
        Outcome o;

        server_init(&s);
        s.drips = 1000000;
        s.drip_usec = 1000;
        o = ask_for(&s, (TransferRequest) { .limit_usec = 300000, .silence_usec = UINT64_C(3600000000) });
        CHECK_INT(o.error, -ETIMEDOUT);
        CHECK(s.drips > 0);
}

TEST(methods_are_those_that_were_asked_for) {
        static const struct {
                const char *method;
                bool once;
                const char *seen;
        } cases[] = { { NULL, false, "POST" }, { NULL, true, "POST" }, { "PUT", false, "PUT" }, { "PUT", true, "PUT" },
                      { "DELETE", false, "DELETE" } };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(server_done) Server s;

                server_init(&s);
                CHECK_STR(ask_for(&s, (TransferRequest) { .method = cases[i].method, .once = cases[i].once }).text, "answer");
                CHECK_STR(s.method, cases[i].seen);
        }
}

TEST(headers_of_the_answer_are_there) {
        _cleanup_(server_done) Server s;
        Outcome o;

        server_init(&s);
        o = ask(&s, false, 0);
        CHECK_STR(o.index, "8");
        CHECK_STR(o.none, "-");
        s.closes = s.n_bodies + 1;
        CHECK_STR(ask(&s, true, 0).index, "-");
}

TEST_MAIN()
