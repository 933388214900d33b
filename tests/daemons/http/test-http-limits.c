/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What clients can cost: many of them, slow ones, and rude ones. The server runs here, the clients in a child process, so that the
 * memory that is measured is the server's alone. */

#include <arpa/inet.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "daemons/http/address.h"
#include "daemons/http/http-manager.h"
#include "daemons/http/kinds.h"
#include "tests/daemons/http/client.h"
#include "tests/test.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum {
        MIB = 1024 * 1024,
        BIG = 8 * MIB,                  /* size of the file that is downloaded */
        PLACES = 1020,                  /* connections that the server takes at a time: five eighths of the files that it may open */
};

typedef struct Fixture {
        sd_event *event;
        HttpManager manager;
        TestHost host;
        Resource *server;
        char path[64];
} Fixture;

static void setup(Fixture *f) {
        struct rlimit limit;
        char quoted[80], address[80];

        *f = (Fixture) {};
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = PLACES / 5 * 8;
                (void) setrlimit(RLIMIT_NOFILE, &limit);
        }
        if (sd_event_new(&f->event) < 0 || http_manager_init(&f->manager, f->event) < 0 ||
            testhost_init(&f->host, f->event, &f->manager, NULL) < 0)
                abort();

        (void) snprintf(f->path, sizeof(f->path), "/tmp/test-http-limits-XXXXXX");
        int fd = mkostemp(f->path, O_CLOEXEC);
        if (fd < 0 || ftruncate(fd, BIG) < 0)
                abort();
        (void) close(fd);
        (void) snprintf(quoted, sizeof(quoted), "\"%s\"", f->path);
        (void) snprintf(address, sizeof(address), "\"%s\"", test_address());
        const ResourceType *file = resource_type_find(http_kinds, "http:server:file");
        f->server = testhost_resource(&f->host, resource_type_find(http_kinds, "http:server"), "web", "address", address, NULL);
        Resource *children[] = {
                testhost_resource(&f->host, file, "/hello", "data", "\"hello\"", NULL),
                testhost_resource(&f->host, file, "/big", "path", quoted, NULL),
                testhost_resource(&f->host, file, "/held", "data", "\"x\"", "longpoll", "true", NULL),
        };
        for (size_t i = 0; i < ELEMENTSOF(children); i++)
                if (!children[i] || resource_add_child(f->server, children[i]) < 0)
                        abort();
        CHECK_INT(testhost_watch(&f->host, f->server), 0);
}

static void teardown(Fixture *f) {
        testhost_free(f->server);
        testhost_done(&f->host);
        http_manager_done(&f->manager);
        sd_event_unref(f->event);
        (void) unlink(f->path);
}

static size_t resident_bytes(void) {
        FILE *file = fopen("/proc/self/statm", "re");
        unsigned long total = 0, resident = 0;

        (void) malloc_trim(0);  /* what an earlier case has freed is not to be counted */
        if (!file || fscanf(file, "%lu %lu", &total, &resident) != 2)
                abort();
        (void) fclose(file);
        return resident * (size_t) sysconf(_SC_PAGESIZE);
}

static unsigned n_connections(const Fixture *f) {
        HttpPort *p = http_manager_next(&f->manager, NULL);

        return p ? http_port_n_connections(p) : 0;
}

/* ---- in the child: plain blocking sockets ---- */

static int dial(void) {
        struct sockaddr_storage where;
        socklen_t size;

        if (address_resolve(test_address(), &where, &size) < 0)
                return -1;
        int fd = socket(where.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, (struct sockaddr *) &where, size) < 0) {
                (void) close(fd);
                return -1;
        }
        return fd;
}

/* Sends a request and reads the whole of a small answer that ends with end. */
static bool request(int fd, const char *text, const char *end) {
        char buffer[4096];
        size_t n = 0;

        if (send(fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t) strlen(text))
                return false;
        while (n < sizeof(buffer) - 1) {
                ssize_t k = recv(fd, buffer + n, sizeof(buffer) - 1 - n, 0);
                if (k <= 0)
                        return false;
                n += (size_t) k;
                buffer[n] = 0;
                if (endswith(buffer, end))
                        return true;
        }
        return false;
}

#define HELLO "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"

typedef struct Child {
        pid_t pid;
        int report;             /* the child says here how far it is */
        int go;                 /* closed or written by us: it may go on */
} Child;

/* Runs clients() in a child; it reports by bytes written to report, and waits by reading from go. */
static Child run_clients(void (*clients)(int report, int go)) {
        struct rlimit limit;
        int report[2], go[2];
        Child c;

        if (pipe2(report, O_CLOEXEC) < 0 || pipe2(go, O_CLOEXEC) < 0)
                abort();
        c.pid = fork();
        if (c.pid < 0)
                abort();
        if (c.pid == 0) {
                (void) close(report[0]);
                (void) close(go[1]);
                (void) alarm(5 * PATIENCE_MSEC / 1000);
                (void) getrlimit(RLIMIT_NOFILE, &limit);
                limit.rlim_cur = limit.rlim_max;        /* theirs is not the server's */
                (void) setrlimit(RLIMIT_NOFILE, &limit);
                clients(report[1], go[0]);
                _exit(0);
        }
        (void) close(report[1]);
        (void) close(go[0]);
        c.report = report[0];
        c.go = go[1];
        return c;
}

static void say(int report, char what) {
        (void) !write(report, &what, 1);
}

static void wait_for(int go) {
        char c;

        (void) !read(go, &c, 1);
}

static bool has_reported(void *userdata) {
        const Child *c = userdata;
        struct pollfd p = { .fd = c->report, .events = POLLIN };

        return poll(&p, 1, 0) > 0;
}

static int on_report(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        return 0;
}

/* The next byte of the child, while the server serves; 0 if it ended. */
static char next_report(Fixture *f, Child *c) {
        sd_event_source *wake = NULL;
        char what = 0;

        if (sd_event_add_io(f->event, &wake, c->report, POLLIN, on_report, NULL) < 0)
                abort();
        if (testhost_until(&f->host, has_reported, c, PATIENCE_MSEC))
                (void) !read(c->report, &what, 1);
        sd_event_source_disable_unref(wake);
        return what;
}

static void end_clients(Child *c) {
        (void) close(c->go);
        (void) close(c->report);
        (void) kill(c->pid, SIGKILL);
        (void) waitpid(c->pid, NULL, 0);
}

typedef struct Number {
        const Fixture *fixture;
        unsigned n;
} Number;

static bool are_connected(void *userdata) {
        const Number *want = userdata;

        return n_connections(want->fixture) == want->n;
}

static void check_connections(Fixture *f, unsigned n) {
        (void) testhost_until(&f->host, are_connected, &(Number) { f, n }, PATIENCE_MSEC);
        CHECK_INT(n_connections(f), n);
}

/* ---- cases ---- */

static void thousand_clients(int report, int go) {
        static int fds[1000];
        bool good = true;

        for (unsigned round = 0; round < 2; round++) {
                for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                        if (round == 0)
                                fds[i] = dial();
                        good = good && request(fds[i], HELLO, "hello");
                }
                say(report, good ? 'y' : 'n');
                wait_for(go);
        }
}

TEST(a_thousand_kept_connections) {
        Fixture f;

        setup(&f);
        size_t before = resident_bytes();
        Child c = run_clients(thousand_clients);
        CHECK_INT(next_report(&f, &c), 'y');
        check_connections(&f, 1000);
        size_t used = resident_bytes() - before;
        printf("# 1000 connections: %zu KiB, %zu bytes each\n", used / 1024, used / 1000);
        CHECK(used < (size_t) (SANITIZED ? 96 : 24) * MIB);

        (void) !write(c.go, "", 1);
        CHECK_INT(next_report(&f, &c), 'y');
        CHECK(resident_bytes() - before < (size_t) (SANITIZED ? 96 : 24) * MIB);
        end_clients(&c);
        check_connections(&f, 0);
        teardown(&f);
}

/* Nobody gets in while all places are in use by requests that wait for their answer. */
static void held_clients(int report, int go) {
        static const char text[] = "GET /held HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n\r\n";
        static int fds[PLACES];
        bool good = true;

        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                if (i == ELEMENTSOF(fds) - 1) {         /* who takes the last place has little time to ask */
                        say(report, 's');
                        wait_for(go);
                }
                fds[i] = dial();
                good = good && send(fds[i], text, strlen(text), MSG_NOSIGNAL) > 0;
        }
        say(report, 's');
        wait_for(go);
        int late = dial();      /* sits in the kernel's queue */
        struct timeval soon = { .tv_usec = 200000 };
        (void) setsockopt(late, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
        good = good && !request(late, HELLO, "hello");
        say(report, good ? 'y' : 'n');
        wait_for(go);

        (void) close(fds[0]);
        soon.tv_sec = PATIENCE_MSEC / 1000;
        (void) setsockopt(late, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
        say(report, request(late, HELLO, "hello") ? 'y' : 'n');
        wait_for(go);
}

TEST(more_requests_than_allowed_wait) {
        Fixture f;

        setup(&f);
        Child c = run_clients(held_clients);
        CHECK_INT(next_report(&f, &c), 's');
        check_connections(&f, PLACES - 1);
        (void) !write(c.go, "", 1);
        char asked = 0;                 /* before we see it */
        CHECK(read(c.report, &asked, 1) == 1 && asked == 's');
        check_connections(&f, PLACES);
        testhost_run(&f.host, 200);
        (void) !write(c.go, "", 1);
        CHECK_INT(next_report(&f, &c), 'y');
        CHECK_INT(n_connections(&f), PLACES);
        (void) !write(c.go, "", 1);
        CHECK_INT(next_report(&f, &c), 'y');
        end_clients(&c);
        teardown(&f);
}

/* Those who have connected and say nothing, or not all of it, make room. */
static void idle_clients(int report, int go) {
        static int fds[3000];
        bool good = true;

        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                fds[i] = dial();
                if (i % 2 == 0)
                        good = good && send(fds[i], "GET /hello HT", 13, MSG_NOSIGNAL) == 13;
                if (i % 300 == 299) {
                        int fd = dial();
                        good = good && request(fd, HELLO, "hello");
                        (void) close(fd);
                }
        }
        say(report, good ? 'y' : 'n');
        wait_for(go);
}

TEST(idle_connections_make_room) {
        Fixture f;

        setup(&f);
        Child c = run_clients(idle_clients);
        CHECK_INT(next_report(&f, &c), 'y');
        testhost_run(&f.host, 50);
        CHECK(n_connections(&f) <= PLACES);
        end_clients(&c);
        teardown(&f);
}

static void slow_clients(int report, int go) {
        static const char *const requests[] = {
                "GET /big HTTP/1.1\r\nHost: a\r\n\r\n",
                "GET /big HTTP/1.1\r\nHost: a\r\nRange: bytes=0-3999999,4000000-7999999\r\n\r\n",
        };
        static int fds[200];
        bool good = true;

        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {          /* they ask, and read nothing */
                fds[i] = dial();
                const char *text = requests[i % 2];
                good = good && send(fds[i], text, strlen(text), 0) > 0;
        }
        for (unsigned i = 0; i < 100; i++) {
                int fd = dial();
                good = good && request(fd, HELLO, "hello");
                (void) close(fd);
        }
        say(report, good ? 'y' : 'n');
        wait_for(go);
}

TEST(slow_readers_cost_little_and_stop_nobody) {
        Fixture f;

        setup(&f);
        size_t before = resident_bytes();
        Child c = run_clients(slow_clients);
        CHECK_INT(next_report(&f, &c), 'y');
        check_connections(&f, 200);
        size_t used = resident_bytes() - before;
        printf("# 200 slow readers: %zu KiB\n", used / 1024);
        CHECK(used < (size_t) (SANITIZED ? 48 : 12) * MIB);
        end_clients(&c);
        teardown(&f);
}

/* More downloads than there may be open files: who is too many is told to come again. */
static void downloading_clients(int report, int go) {
        static const char text[] = "GET /big HTTP/1.1\r\nHost: a\r\n\r\n";
        static int fds[PLACES - 100];
        unsigned n[2] = {};
        char head[64];

        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                fds[i] = dial();
                if (send(fds[i], text, strlen(text), MSG_NOSIGNAL) < 0 || recv(fds[i], head, sizeof(head) - 1, 0) < 13)
                        continue;
                n[0] += memcmp(head, "HTTP/1.1 200 ", 13) == 0;
                n[1] += memcmp(head, "HTTP/1.1 503 ", 13) == 0;
        }
        say(report, n[0] + n[1] == ELEMENTSOF(fds) ? 'y' : 'n');
        say(report, n[0] > PLACES / 3 && n[1] > PLACES / 3 ? 'y' : 'n');
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                (void) close(fds[i]);
        int fd = dial();
        say(report, send(fd, text, strlen(text), MSG_NOSIGNAL) > 0 && recv(fd, head, 13, MSG_WAITALL) == 13 &&
                            memcmp(head, "HTTP/1.1 200 ", 13) == 0 ? 'y' : 'n');
        wait_for(go);
}

TEST(files_run_out) {
        Fixture f;

        setup(&f);
        Child c = run_clients(downloading_clients);
        CHECK_INT(next_report(&f, &c), 'y');
        CHECK_INT(next_report(&f, &c), 'y');
        CHECK_INT(next_report(&f, &c), 'y');
        end_clients(&c);
        teardown(&f);
}

/* Sends a beginning, then the same part for ever, until the server has had enough. */
static bool is_cut_off(const char *beginning, const char *part) {
        int fd = dial();
        size_t sent = 0;

        if (send(fd, beginning, strlen(beginning), MSG_NOSIGNAL) < 0)
                return false;
        while (sent < 64 * MIB) {
                ssize_t n = send(fd, part, strlen(part), MSG_NOSIGNAL);
                if (n < 0)
                        return true;
                sent += (size_t) n;
                struct pollfd p = { .fd = fd, .events = POLLIN };
                char answer[4096];
                if (poll(&p, 1, 0) > 0 && recv(fd, answer, sizeof(answer), 0) <= 0)
                        return true;
        }
        return false;
}

static void rude_clients(int report, int go) {
        static char long_part[64 * 1024];
        bool good = true;

        memset(long_part, 'a', sizeof(long_part) - 1);
        good = good && is_cut_off("GET /", long_part);
        good = good && is_cut_off("GET /hello HTTP/1.1\r\nHost: ", long_part);
        good = good && is_cut_off("GET /hello HTTP/1.1\r\n", "X: y\r\n");
        good = good && is_cut_off("POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n", long_part);
        good = good && is_cut_off("POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nabcde\r\n");
        good = good && is_cut_off("POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "ffffffffffffffffff");
        good = good && is_cut_off("", long_part);
        say(report, good ? 'y' : 'n');
        wait_for(go);
}

TEST(endless_requests_are_cut_off) {
        Fixture f;

        setup(&f);
        size_t before = resident_bytes();
        Child c = run_clients(rude_clients);
        CHECK_INT(next_report(&f, &c), 'y');
        CHECK(resident_bytes() - before < (size_t) (SANITIZED ? 16 : 4) * MIB);
        end_clients(&c);
        check_connections(&f, 0);
        teardown(&f);
}

TEST_MAIN()
