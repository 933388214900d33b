/* SPDX-License-Identifier: GPL-3.0-or-later */

/* libcurl in the loop, against a server of a few lines behind a unix socket in the same loop. */

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <systemd/sd-event.h>

#include "common/http/curl-loop.h"
#include "tests/test.h"

#define NEED(condition) do { if (!(condition)) abort(); } while (0)

typedef struct Fixture {
        sd_event *event;
        CurlLoop *loop;
        char path[64];
        int listener;
        sd_event_source *source;
        const char *answer;     /* NULL: none, the client waits */
        int clients[16];
        size_t n_clients;
} Fixture;

typedef struct Request {
        CurlJob job;
        char body[4096];
        size_t size;
        bool done;
        CURLcode result;
        struct Request *removes;        /* in done() */
        CurlLoop *loop;
} Request;

static int on_client(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        Fixture *f = userdata;
        char request[4096];
        int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

        NEED(client >= 0 && f->n_clients < ELEMENTSOF(f->clients));
        f->clients[f->n_clients++] = client;
        if (!f->answer)
                return 0;
        NEED(read(client, request, sizeof(request)) > 0);
        NEED(write(client, f->answer, strlen(f->answer)) == (ssize_t) strlen(f->answer));
        return shutdown(client, SHUT_WR);
}

static void setup(Fixture *f, const char *answer) {
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        char dir[] = "/tmp/test-curl-loop-XXXXXX";

        *f = (Fixture) { .answer = answer };
        NEED(mkdtemp(dir));
        (void) snprintf(f->path, sizeof(f->path), "%s/socket", dir);
        memcpy(a.sun_path, f->path, sizeof(f->path));
        f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        NEED(f->listener >= 0 && bind(f->listener, (struct sockaddr *) &a, sizeof(a)) == 0 && listen(f->listener, 16) == 0);
        NEED(sd_event_new(&f->event) >= 0 && curl_loop_new(&f->loop, f->event) >= 0 &&
                       sd_event_add_io(f->event, &f->source, f->listener, EPOLLIN, on_client, f) >= 0);
}

static void teardown(Fixture *f) {
        for (size_t i = 0; i < f->n_clients; i++)
                (void) close(f->clients[i]);
        curl_loop_free(f->loop);
        sd_event_source_disable_unref(f->source);
        sd_event_unref(f->event);
        (void) close(f->listener);
        (void) unlink(f->path);
        *strrchr(f->path, '/') = 0;
        (void) rmdir(f->path);
}

static size_t on_data(char *data, size_t one, size_t n, void *userdata) {
        Request *q = userdata;

        n = MIN(n, sizeof(q->body) - 1 - q->size);
        memcpy(q->body + q->size, data, n);
        q->size += n;
        return n;
}

static void on_done(CurlJob *j, CURLcode result) {
        Request *q = container_of(j, Request, job);

        CHECK(!q->done);
        q->done = true;
        q->result = result;
        if (q->removes)
                curl_loop_remove(q->loop, &q->removes->job);
}

static void start(Fixture *f, Request *q) {
        *q = (Request) { .job = { .easy = curl_easy_init(), .done = on_done }, .loop = f->loop };
        NEED(q->job.easy);
        (void) curl_easy_setopt(q->job.easy, CURLOPT_URL, "http://localhost/");
        (void) curl_easy_setopt(q->job.easy, CURLOPT_UNIX_SOCKET_PATH, f->path);
        (void) curl_easy_setopt(q->job.easy, CURLOPT_WRITEFUNCTION, on_data);
        (void) curl_easy_setopt(q->job.easy, CURLOPT_WRITEDATA, q);
        CHECK_INT(curl_loop_add(f->loop, &q->job), 0);
        CHECK(!q->done);        /* only from the loop */
}

static void finish(Fixture *f, Request *q) {
        curl_loop_remove(f->loop, &q->job);
        curl_easy_cleanup(q->job.easy);
}

static void run_until_done(Fixture *f, const Request *q) {
        for (time_t end = time(NULL) + 60; !q->done && time(NULL) < end;)
                CHECK(sd_event_run(f->event, 100000) >= 0);
        CHECK(q->done);
}

#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

TEST(an_answer_arrives) {
        Fixture f;
        Request q[8];

        setup(&f, ANSWER);
        for (size_t i = 0; i < ELEMENTSOF(q); i++)
                start(&f, &q[i]);
        for (size_t i = 0; i < ELEMENTSOF(q); i++) {
                run_until_done(&f, &q[i]);
                CHECK_INT(q[i].result, CURLE_OK);
                CHECK_STR(q[i].body, "hello");
                finish(&f, &q[i]);
        }
        teardown(&f);
}

TEST(failures_are_told) {
        static const struct {
                const char *answer;
                CURLcode want;
        } cases[] = {
                { "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", CURLE_PARTIAL_FILE },
                { "", CURLE_GOT_NOTHING },
                { "SSH-2.0-x\r\n", CURLE_UNSUPPORTED_PROTOCOL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Fixture f;
                Request q;

                setup(&f, cases[i].answer);
                start(&f, &q);
                run_until_done(&f, &q);
                CHECK_INT(q.result, cases[i].want);
                finish(&f, &q);
                teardown(&f);
        }
}

TEST(no_server) {
        Fixture f;
        Request q;

        setup(&f, ANSWER);
        (void) unlink(f.path);
        start(&f, &q);
        run_until_done(&f, &q);
        CHECK_INT(q.result, CURLE_COULDNT_CONNECT);
        finish(&f, &q);
        teardown(&f);
}

TEST(timeouts_come_from_the_loop) {
        Fixture f;
        Request q;

        setup(&f, NULL);
        start(&f, &q);
        (void) curl_easy_setopt(q.job.easy, CURLOPT_TIMEOUT_MS, 30L);
        run_until_done(&f, &q);
        CHECK_INT(q.result, CURLE_OPERATION_TIMEDOUT);
        finish(&f, &q);
        teardown(&f);
}

TEST(what_is_removed_is_silent) {
        Fixture f;
        Request a, b;

        setup(&f, NULL);
        start(&f, &a);
        start(&f, &b);
        (void) curl_easy_setopt(b.job.easy, CURLOPT_TIMEOUT_MS, 30L);
        b.removes = &a;
        run_until_done(&f, &b);
        CHECK(!a.done);
        finish(&f, &a);
        finish(&f, &b);
        teardown(&f);
}

static curl_socket_t open_and_copy(void *userdata, curlsocktype purpose, struct curl_sockaddr *a) {
        int fd = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);

        *(int *) userdata = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return fd;
}

/* Nobody is let in any more: whoever connects now waits. */
static int full_listener(int *ret_port, int waiting[], size_t n) {
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof(a);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        NEED(fd >= 0 && bind(fd, (struct sockaddr *) &a, sizeof(a)) == 0 && listen(fd, 0) == 0 &&
             getsockname(fd, (struct sockaddr *) &a, &size) == 0);
        for (size_t i = 0; i < n; i++) {
                waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                (void) connect(waiting[i], (struct sockaddr *) &a, sizeof(a));
        }
        *ret_port = ntohs(a.sin_port);
        return fd;
}

/* As a process does that is about to be born. What happens to it afterwards is nobody's business. */
TEST(a_socket_that_somebody_else_has_as_well) {
        int waiting[3], port, copy = -1, listener = full_listener(&port, waiting, ELEMENTSOF(waiting));
        _cleanup_(teardown) Fixture f;
        Request q = { .job = { .easy = curl_easy_init(), .done = on_done } };
        char url[64];

        setup(&f, ANSWER);
        (void) snprintf(url, sizeof(url), "http://127.0.0.1:%d/", port);
        (void) curl_easy_setopt(q.job.easy, CURLOPT_URL, url);
        (void) curl_easy_setopt(q.job.easy, CURLOPT_OPENSOCKETFUNCTION, open_and_copy);
        (void) curl_easy_setopt(q.job.easy, CURLOPT_OPENSOCKETDATA, &copy);
        CHECK_INT(curl_loop_add(f.loop, &q.job), 0);
        for (time_t end = time(NULL) + 60; copy < 0 && time(NULL) < end;)
                CHECK(sd_event_run(f.event, 100000) >= 0);
        CHECK(copy >= 0 && !q.done);
        finish(&f, &q);                 /* while it connects */
        (void) shutdown(copy, SHUT_RDWR);
        for (unsigned i = 0; i < 3; i++)
                CHECK(sd_event_run(f.event, 0) >= 0);
        (void) close(copy);
        (void) close(listener);
        for (size_t i = 0; i < ELEMENTSOF(waiting); i++)
                (void) close(waiting[i]);
}

TEST_MAIN()
