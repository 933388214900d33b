/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See socks.h. What a client and we say before it is connected is so little that it goes in one piece. */

#include <stdio.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <systemd/sd-event.h>

#include "daemons/remote/socks.h"

enum {
        CLIENTS_MAX = MUX_STREAMS_MAX,
        SAID_MAX = 600,         /* a greeting and a request */
};

typedef struct Client {
        Socks *socks;
        int fd;
        sd_event_source *io;
        char said[SAID_MAX];
        size_t n;
        bool greeted;
        MuxStream *stream;      /* NULL before it said whither */
        LIST_ENTRY(Client) link;
} Client;

struct Socks {
        sd_event *event;
        Mux *mux;
        int listen_fd;
        sd_event_source *io;
        size_t n_clients;
        LIST_HEAD(, Client) clients;
};

static void client_free(Client *c) {
        c->socks->n_clients--;
        LIST_REMOVE(c, link);
        sd_event_source_disable_unref(c->io);
        closep(&c->fd);
        free(c);
}

static void client_end(Client *c) {
        if (c->stream)
                mux_close(c->stream);
        client_free(c);
}

static bool say(Client *c, const char *data, size_t size) {
        return send(c->fd, data, size, MSG_NOSIGNAL) == (ssize_t) size;
}

/* Bound address and port, which nobody wants to know, are zero. */
static bool answer(Client *c, bool connected) {
        const char reply[] = { 5, connected ? 0 : 5 /* refused */, 0, 1, 0, 0, 0, 0, 0, 0 };

        return say(c, reply, sizeof(reply));
}

void socks_opened(MuxStream *s) {
        Client *c = mux_owner(s);

        mux_set_owner(s, NULL);
        c->io = sd_event_source_disable_unref(c->io);   /* a descriptor has one source */
        if (answer(c, true))
                (void) mux_attach(s, TAKE_FD(c->fd));
        else
                mux_close(s);
        client_free(c);
}

void socks_closed(MuxStream *s) {
        Client *c = mux_owner(s);

        if (!c)
                return;
        (void) answer(c, false);
        client_free(c);
}

/* false: it makes no sense. */
static bool understand(Client *c) {
        char target[MUX_TARGET_MAX];
        size_t size;
        int r;

        if (!c->greeted) {
                r = socks_parse_greeting(c->said, c->n, &size);
                if (r <= 0)
                        return r == 0;
                memmove(c->said, c->said + size, c->n - size);
                c->n -= size;
                c->greeted = true;
                if (!say(c, "\005", 2))
                        return false;
        }
        r = socks_parse_request(c->said, c->n, &size, target);
        if (r <= 0)
                return r == 0;
        if (size < c->n)        /* it speaks before it is connected */
                return false;
        return mux_open(c->socks->mux, target, c, &c->stream) >= 0;
}

static int on_client(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        Client *c = userdata;
        ssize_t n = c->n < sizeof(c->said) ? recv(fd, c->said + c->n, sizeof(c->said) - c->n, MSG_DONTWAIT) : 0;

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        /* Whoever goes, or speaks, while he should wait is done with. */
        if (n <= 0 || c->stream) {
                client_end(c);
                return 0;
        }
        c->n += (size_t) n;
        if (!understand(c))
                client_end(c);
        return 0;
}

static int on_connect(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        Socks *s = userdata;
        _cleanup_close_ int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (client < 0 || s->n_clients >= CLIENTS_MAX)
                return 0;
        Client *c = calloc(1, sizeof(*c));
        if (!c)
                return 0;
        *c = (Client) { .socks = s, .fd = TAKE_FD(client) };
        LIST_INSERT_HEAD(&s->clients, c, link);
        s->n_clients++;
        if (sd_event_add_io(s->event, &c->io, c->fd, EPOLLIN, on_client, c) < 0)
                client_free(c);
        return 0;
}

int socks_new(Socks **ret, sd_event *event, Mux *mux, const char *path, Diag *reterr) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s", path), r;

        _cleanup_(socks_freep) Socks *s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        *s = (Socks) { .event = sd_event_ref(event), .mux = mux, .listen_fd = -EBADF };
        LIST_INIT(&s->clients);
        if (n < 0 || (size_t) n >= sizeof(address.sun_path))
                return diag_set(reterr, (Pos) {}, -ENAMETOOLONG, "'%s' is too long for a socket", path);
        s->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (s->listen_fd < 0 || bind(s->listen_fd, (struct sockaddr *) &address, sizeof(address)) < 0 ||
            listen(s->listen_fd, SOMAXCONN) < 0)
                return diag_set(reterr, (Pos) {}, -errno, "cannot listen on '%s': %m", path);
        r = sd_event_add_io(event, &s->io, s->listen_fd, EPOLLIN, on_connect, s);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

Socks *socks_free(Socks *s) {
        if (!s)
                return NULL;
        while (!LIST_EMPTY(&s->clients))
                client_free(LIST_FIRST(&s->clients));
        sd_event_source_disable_unref(s->io);
        closep(&s->listen_fd);
        sd_event_unref(s->event);
        free(s);
        return NULL;
}
