/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Memory that runs out while a foreign service is asked, at every place where it can. An attempt may then fail; the next one is right. (Not
 * with one that answers in JSON, or wants signatures: json-c 0.16 and the signing part of libcurl 7.88 do not look whether they got any.) */

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "daemons/http/http-manager.h"
#include "daemons/http/kinds.h"
#include "tests/common/alloc.h"
#include "tests/daemons/testhost.h"
#include "tests/test.h"

#define NEED(condition) do { if (!(condition)) abort(); } while (0)

/* ---- a service in a process of its own, which has all the memory that it needs ---- */

static const struct {
        const char *request, *body;     /* of what begins so; NULL: it is held */
} answers[] = {
        { "GET /v1/kv/a?raw&index=", NULL },
        { "GET /v1/kv/a?raw", "old" },
        { "PUT /v1/kv/a", "true" },
};

static void answer(int fd, const char *body) {
        char text[1024];

        (void) snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nX-Consul-Index: 7\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
        (void) send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static void serve_one(struct pollfd *client) {
        char request[16384] = "";
        ssize_t n = read(client->fd, request, sizeof(request) - 1);

        for (size_t i = 0; n > 0 && i < ELEMENTSOF(answers); i++)
                if (startswith(request, answers[i].request)) {
                        if (answers[i].body)
                                answer(client->fd, answers[i].body);
                        return;
                }
        if (n > 0 && !strstr(request, "HTTP/1.1"))      /* the rest of one */
                return;
        (void) close(client->fd);
        client->fd = -1;
}

_noreturn_ static void serve(int fd) {
        struct pollfd fds[256] = { { .fd = fd, .events = POLLIN } };
        size_t n = 1;

        for (;;) {
                NEED(poll(fds, n, -1) > 0);
                for (size_t i = 1; i < n; i++)
                        if (fds[i].fd >= 0 && fds[i].revents)
                                serve_one(&fds[i]);
                if (!fds[0].revents)
                        continue;
                size_t at = 1;
                while (at < n && fds[at].fd >= 0)
                        at++;
                NEED(at < ELEMENTSOF(fds));
                fds[at] = (struct pollfd) { .fd = accept(fd, NULL, NULL), .events = POLLIN };
                n = MAX(n, at + 1);
        }
}

static pid_t service_start(char address[static 32]) {
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof(a);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        pid_t parent = getpid(), pid;

        NEED(fd >= 0 && bind(fd, (struct sockaddr *) &a, sizeof(a)) == 0 && listen(fd, 64) == 0 &&
             getsockname(fd, (struct sockaddr *) &a, &size) == 0);
        (void) snprintf(address, 32, "127.0.0.1:%u", ntohs(a.sin_port));
        pid = fork();
        NEED(pid >= 0);
        if (pid == 0) {
                NEED(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
                if (getppid() == parent)
                        serve(fd);
                _exit(0);
        }
        (void) close(fd);
        return pid;
}

static void service_end(pid_t pid) {
        NEED(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
}

/* ---- asking it ---- */

typedef struct Fixture {
        sd_event *event;
        HttpManager manager;
        TestHost host;
} Fixture;

static void setup(Fixture *f) {
        *f = (Fixture) {};
        NEED(sd_event_new(&f->event) >= 0 && http_manager_init(&f->manager, f->event) >= 0 &&
             testhost_init(&f->host, f->event, &f->manager, NULL) >= 0);
}

static void teardown(Fixture *f) {
        testhost_done(&f->host);
        http_manager_done(&f->manager);
        sd_event_unref(f->event);
}

static Resource *make_consul(Fixture *f, const char *address) {
        char name[64];

        (void) snprintf(name, sizeof(name), "http://%s/a", address);
        return testhost_resource(&f->host, resource_type_find(http_kinds, "consul:kv"), name, "value", "\"new\"", "token", "\"t\"", NULL);
}

TEST(consul) {
        char address[32];
        bool failed = true;
        pid_t service = service_start(address);
        Fixture f;
        uint64_t n;

        setup(&f);
        for (n = 1; failed && n < 10000; n++) {
                int r = -ENOMEM;

                alloc_fail_at(n);
                Resource *c = make_consul(&f, address);
                if (c && testhost_watch(&f.host, c) >= 0)
                        r = testhost_check(&f.host, c, true);
                failed = alloc_failed();
                alloc_fail_at(0);
                if (c && r < 0) {
                        testhost_unwatch(c);
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
        service_end(service);
}

TEST_MAIN()
