/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A socket that is closed while something of the other side is unread, or still comes, is reset, and what was sent last is lost on
 * its way: the very answer that says why. So after a request that was refused in the middle, the rest is read and dropped for a
 * moment, as long as there are not too many of them. */

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "daemons/http/mhd-private.h"

enum {
        LINGERING_MAX = 64,             /* of one listener */
        LINGER_USEC = 2 * 1000 * 1000,
        LINGER_BYTES = 4 * 1024 * 1024,
};

typedef struct HttpLinger {
        HttpListener *listener;
        int fd;
        size_t n_read;
        sd_event_source *io, *timer;
        TAILQ_ENTRY(HttpLinger) entries;
} HttpLinger;

static HttpLinger *linger_free(HttpLinger *g) {
        if (!g)
                return NULL;
        TAILQ_REMOVE(&g->listener->lingering, g, entries);
        g->listener->n_lingering--;
        sd_event_source_disable_unref(g->io);
        sd_event_source_disable_unref(g->timer);
        closep(&g->fd);
        free(g);
        return NULL;
}
DEFINE_CLEANUP(HttpLinger *, linger_free)

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        HttpLinger *g = userdata;
        char buffer[16 * 1024];
        ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);

        if (n > 0)
                g->n_read += (size_t) n;
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || g->n_read > LINGER_BYTES)
                linger_free(g);
        return 0;
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata) {
        linger_free(userdata);
        return 0;
}

/* What fails here only leaves things as they are without it. */
void linger(HttpConnection *c) {
        HttpListener *l = c->listener;

        if (l->closing || c->hung_up || c->phase == PHASE_SHUT || l->n_lingering >= LINGERING_MAX ||
            (!c->refused && connection_n_unread(c) == 0))
                return;
        HttpLinger *g = calloc(1, sizeof(*g));
        if (!g)
                return;
        g->listener = l;
        TAILQ_INSERT_TAIL(&l->lingering, g, entries);
        l->n_lingering++;
        _cleanup_(linger_freep) HttpLinger *unfinished = g;

        g->fd = fcntl(c->fd, F_DUPFD_CLOEXEC, 3);
        if (g->fd < 0 || sd_event_add_io(l->event, &g->io, g->fd, EPOLLIN, on_readable, g) < 0 ||
            sd_event_add_time_relative(l->event, &g->timer, CLOCK_MONOTONIC, LINGER_USEC, 0, on_time, g) < 0)
                return;
        (void) shutdown(g->fd, SHUT_WR);
        TAKE_PTR(unfinished);
}

void linger_end(HttpListener *l) {
        while (!TAILQ_EMPTY(&l->lingering))
                linger_free(TAILQ_FIRST(&l->lingering));
}
