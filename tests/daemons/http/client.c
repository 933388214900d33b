/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads by an io source; whoever waits runs the loop. */

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/sockios.h>

#include "daemons/http/address.h"
#include "tests/daemons/http/client.h"

const char *test_address(void) {
        static char address[64];

        if (!address[0]) {
                unsigned pid = (unsigned) getpid();
                (void) snprintf(address, sizeof(address), "127.%u.%u.%u:9118", 1 + (pid >> 16 & 0x7f), pid >> 8 & 0xff, pid & 0xff);
        }
        return address;
}

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        Client *c = userdata;
        char buffer[64 * 1024];
        ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);

        if (n > 0)
                strbuf_add(&c->in, buffer, (size_t) n);
        else if (n == 0 || errno != EAGAIN) {
                c->closed = true;
                (void) sd_event_source_set_enabled(source, SD_EVENT_OFF);
        }
        return 0;
}

int client_open(Client *c, TestHost *h, const char *address) {
        struct sockaddr_storage where;
        socklen_t size;
        int r;

        *c = (Client) { .host = h, .fd = -EBADF };
        r = address_resolve(address, &where, &size);
        if (r < 0)
                return r;
        c->fd = socket(where.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (c->fd < 0)
                return -errno;
        while (connect(c->fd, (struct sockaddr *) &where, size) < 0 && errno != EISCONN)
                if (errno != EINTR && errno != EALREADY)        /* a fuzzer has timers */
                        return -errno;
        return sd_event_add_io(h->host.event, &c->source, c->fd, EPOLLIN, on_readable, c);
}

void client_close(Client *c) {
        c->source = sd_event_source_disable_unref(c->source);
        closep(&c->fd);
        c->fd = -EBADF;
        strbuf_done(&c->in);
}

int client_send(Client *c, const char *data, size_t size) {
        while (size > 0) {
                ssize_t n = send(c->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n < 0 && errno == EAGAIN) {
                        testhost_run(c->host, 1);
                        continue;
                }
                if (n < 0)
                        return -errno;
                data += n;
                size -= (size_t) n;
        }
        return 0;
}

static bool is_on_its_way(const Client *c) {
        int n = 0;

        return ioctl(c->fd, SIOCOUTQ, &n) >= 0 && n > 0;
}

void client_settle(Client *c) {
        for (unsigned i = 0; i < PATIENCE_MSEC / 5 && is_on_its_way(c); i++)
                testhost_run(c->host, 5);
        testhost_run(c->host, 20);
}

/* The size of the first answer in the buffer; 0 if it is not complete. */
static size_t answer_size(const Client *c, bool without_body, size_t *ret_head) {
        char *end = c->in.data ? memmem(c->in.data, c->in.size, "\r\n\r\n", 4) : NULL;
        size_t head, body = 0;

        if (!end)
                return 0;
        head = (size_t) (end - c->in.data) + 4;
        *ret_head = head;
        if (without_body || strncmp(c->in.data + 9, "304", 3) == 0)
                return head;

        const char *p = strcasestr(c->in.data, "\r\nContent-Length:");
        if (p && p < end)
                body = strtoull(p + 17, NULL, 10);
        else if (!c->closed)
                return 0;
        else
                body = c->in.size - head;
        return c->in.size - head >= body ? head + body : 0;
}

typedef struct Wait {
        Client *client;
        bool without_body;
} Wait;

static bool is_answered(void *userdata) {
        const Wait *w = userdata;
        size_t head;

        return w->client->closed || answer_size(w->client, w->without_body, &head) > 0;
}

Answer client_read(Client *c, bool without_body, unsigned milliseconds) {
        Wait w = { .client = c, .without_body = without_body };
        Answer a = {};
        size_t head;

        (void) testhost_until(c->host, is_answered, &w, milliseconds);
        size_t size = answer_size(c, without_body, &head);
        if (size == 0)
                return a;

        a.status = (unsigned) atoi(c->in.data + 9);
        a.head = strndup(c->in.data, head - 2);
        a.body_size = size - head;
        a.body = calloc(1, a.body_size + 1);
        if (!a.head || !a.body) {       /* tests let memory run out */
                answer_done(&a);
                return a;
        }
        memcpy(a.body, c->in.data + head, a.body_size);
        memmove(c->in.data, c->in.data + size, c->in.size - size);
        c->in.size -= size;
        return a;
}

static bool is_closed(void *userdata) {
        const Client *c = userdata;

        return c->closed;
}

bool client_until_closed(Client *c, unsigned milliseconds) {
        return testhost_until(c->host, is_closed, c, milliseconds);
}

void answer_done(Answer *a) {
        free(a->head);
        free(a->body);
        *a = (Answer) {};
}

const char *answer_header(const Answer *a, const char *name) {
        static char value[512];
        size_t n = strlen(name);

        for (const char *line = a->head ? strstr(a->head, "\r\n") : NULL; line && line[2]; line = strstr(line + 2, "\r\n"))
                if (strncasecmp(line + 2, name, n) == 0 && line[2 + n] == ':') {
                        const char *start = line + 3 + n;
                        start += strspn(start, " ");
                        (void) snprintf(value, sizeof(value), "%.*s", (int) strcspn(start, "\r"), start);
                        return value;
                }
        return NULL;
}

Answer ask(TestHost *h, const char *address, const char *request, ...) {
        _cleanup_free_ char *text = NULL;
        Answer a = {};
        Client c = { .fd = -EBADF };
        va_list ap;
        int r;

        va_start(ap, request);
        r = vasprintf(&text, request, ap);
        va_end(ap);
        if (r >= 0 && client_open(&c, h, address) >= 0 && client_send(&c, text, strlen(text)) >= 0)
                a = client_read(&c, startswith(text, "HEAD") != NULL, PATIENCE_MSEC);
        client_close(&c);
        return a;
}
