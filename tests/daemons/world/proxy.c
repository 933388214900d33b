/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See proxy.h. */

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <systemd/sd-event.h>

#include "common/macro.h"
#include "tests/daemons/world/proxy.h"

#define UNKNOWN_SOURCE UINT32_MAX

typedef enum Side { CLIENT, SERVER, _SIDE_MAX } Side;

typedef struct Connection Connection;

/* One end of a connection, and what it has said that the other has not taken yet. */
typedef struct End {
        Connection *connection;
        sd_event_source *io;
        char data[16384];
        size_t n, sent;
        bool ended;             /* it says nothing any more, and the other knows */
} End;

struct Connection {
        Proxy *proxy;
        End ends[_SIDE_MAX];
        unsigned source;
        LIST_ENTRY(Connection) link;
};

struct Proxy {
        sd_event *event;
        sd_event_source *listener;
        int port, target;
        bool of_peers;
        int peers[PROXY_SOURCES_MAX];
        unsigned n_peers, n_connections;
        bool held[PROXY_SOURCES_MAX][_SIDE_MAX];        /* what this side says */
        LIST_HEAD(, Connection) connections;
};

static void connection_free(Connection *c) {
        LIST_REMOVE(c, link);
        for (Side s = 0; s < _SIDE_MAX; s++)
                sd_event_source_disable_unref(c->ends[s].io);
        free(c);
}

static bool is_held(const Connection *c, Side s) {
        return c->source != UNKNOWN_SOURCE && c->proxy->held[c->source][s];
}

static uint32_t events_of(const Connection *c, Side s) {
        const End *mine = &c->ends[s], *other = &c->ends[!s];

        return (mine->n == 0 && !mine->ended && !is_held(c, s) ? EPOLLIN : 0) | (other->n > 0 && !is_held(c, !s) ? EPOLLOUT : 0);
}

static void set_events(Connection *c) {
        for (Side s = 0; s < _SIDE_MAX; s++)
                (void) sd_event_source_set_io_events(c->ends[s].io, events_of(c, s));
}

static void find_source(Connection *c, const End *e) {
        const char *found = memmem(e->data, e->n, "X-Peerurls: http://127.0.0.1:", strlen("X-Peerurls: http://127.0.0.1:"));

        for (unsigned i = 0; found && i < c->proxy->n_peers; i++)
                if (atoi(strrchr(strndupa(found, 40), ':') + 1) == c->proxy->peers[i])
                        c->source = i;
}

/* False: the connection is broken. */
static bool say(Connection *c, Side s) {
        End *e = &c->ends[s];
        int to = sd_event_source_get_io_fd(c->ends[!s].io);

        while (e->n > 0 && !is_held(c, s)) {
                ssize_t k = send(to, e->data + e->sent, e->n - e->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

                if (k < 0)
                        return errno == EAGAIN || errno == EINTR;
                e->sent += (size_t) k;
                if (e->sent == e->n)
                        e->n = e->sent = 0;
        }
        return true;
}

static bool hear(Connection *c, Side s) {
        End *e = &c->ends[s];
        ssize_t k = recv(sd_event_source_get_io_fd(e->io), e->data, sizeof(e->data), MSG_DONTWAIT);

        if (k < 0)
                return errno == EAGAIN || errno == EINTR;
        if (k == 0) {
                e->ended = true;
                (void) shutdown(sd_event_source_get_io_fd(c->ends[!s].io), SHUT_WR);
                return !c->ends[!s].ended;
        }
        e->n = (size_t) k;
        if (s == CLIENT && c->source == UNKNOWN_SOURCE)
                find_source(c, e);
        return say(c, s);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        Connection *c = ((End *) userdata)->connection;
        Side s = userdata == &c->ends[SERVER];
        bool works = !(events & EPOLLERR) && (!(events & EPOLLHUP) || (events_of(c, s) & EPOLLIN));

        if (works && (events & (EPOLLIN | EPOLLHUP)) && (events_of(c, s) & EPOLLIN))
                works = hear(c, s);
        if (works && (events & EPOLLOUT))
                works = say(c, !s);
        if (works)
                set_events(c);
        else
                connection_free(c);
        return 0;
}

static int dial(int port) {
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t) port) };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0)
                abort();
        if (port > 0 && (connect(fd, (struct sockaddr *) &a, sizeof(a)) == 0 || errno == EINPROGRESS))
                return fd;
        (void) close(fd);
        return -1;
}

static int on_connection(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        Proxy *p = userdata;
        int fds[_SIDE_MAX] = { accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK) };
        Connection *c;

        if (fds[CLIENT] < 0)
                return 0;
        p->n_connections++;
        fds[SERVER] = dial(p->target);
        if (fds[SERVER] < 0) {
                (void) close(fds[CLIENT]);
                return 0;
        }
        c = calloc(1, sizeof(*c));
        *c = (Connection) { .proxy = p, .source = p->of_peers ? UNKNOWN_SOURCE : 0 };
        for (Side s = 0; s < _SIDE_MAX; s++) {
                c->ends[s].connection = c;
                if (sd_event_add_io(p->event, &c->ends[s].io, fds[s], 0, on_io, &c->ends[s]) < 0 ||
                    sd_event_source_set_io_fd_own(c->ends[s].io, true) < 0)
                        abort();
        }
        LIST_INSERT_HEAD(&p->connections, c, link);
        set_events(c);
        return 0;
}

Proxy *proxy_new(sd_event *event, bool of_peers) {
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof(a);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        Proxy *p = calloc(1, sizeof(*p));

        if (fd < 0 || bind(fd, (struct sockaddr *) &a, sizeof(a)) < 0 || listen(fd, 128) < 0 || getsockname(fd, (struct sockaddr *) &a, &size) < 0)
                abort();
        *p = (Proxy) { .event = sd_event_ref(event), .port = ntohs(a.sin_port), .of_peers = of_peers };
        LIST_INIT(&p->connections);
        if (sd_event_add_io(event, &p->listener, fd, EPOLLIN, on_connection, p) < 0 || sd_event_source_set_io_fd_own(p->listener, true) < 0)
                abort();
        return p;
}

Proxy *proxy_free(Proxy *p) {
        if (!p)
                return NULL;
        while (!LIST_EMPTY(&p->connections))
                connection_free(LIST_FIRST(&p->connections));
        sd_event_source_disable_unref(p->listener);
        sd_event_unref(p->event);
        free(p);
        return NULL;
}

int proxy_port(const Proxy *p) {
        return p->port;
}

unsigned proxy_n_connections(const Proxy *p) {
        return p->n_connections;
}

void proxy_set_target(Proxy *p, int port) {
        p->target = port;
}

void proxy_add_peer(Proxy *p, int port) {
        p->peers[p->n_peers++] = port;
}

void proxy_hold(Proxy *p, unsigned source, bool questions, bool answers) {
        Connection *c;

        p->held[source][CLIENT] = questions;
        p->held[source][SERVER] = answers;
        LIST_FOREACH(c, &p->connections, link)
                set_events(c);
}

void proxy_cut(Proxy *p, unsigned source) {
        Connection *next;

        for (Connection *c = LIST_FIRST(&p->connections); c; c = next) {
                next = LIST_NEXT(c, link);
                if (c->source == source)
                        connection_free(c);
        }
}
