/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Clients from whom we want something, and who do not get on: whoever has a place must use it. The library closes
 * connections on which nothing at all moves; here those end that move by a byte now and then.
 *
 * All are in one list and looked at again and again, each after the same time, so the order of the list is that of time. What a
 * client has sent of its next request before the line is complete, the library tells nobody; the kernel counts its bytes. */

#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/sockios.h>
#include <linux/tcp.h>

#include "daemons/http/mhd-private.h"

static const uint64_t NOBODY_ASKED = UINT64_MAX;        /* the kernel; for most connections nobody ever does */

static uint64_t progress(const HttpConnection *c) {
        struct tcp_info info = {};
        socklen_t size = sizeof(info);

        if (c->wanted == WANTED_BODY)
                return c->request->body_size;
        if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
                return 0;
        return c->wanted == WANTED_TAKEN ? info.tcpi_bytes_acked : info.tcpi_bytes_received;
}

void slow_forget(HttpConnection *c) {
        if (c->wanted != WANTED_NOTHING)
                TAILQ_REMOVE(&c->listener->wanted, c, wanted_entries);
        c->wanted = WANTED_NOTHING;
}

static void want(HttpConnection *c, Wanted wanted) {
        slow_forget(c);
        c->wanted = wanted;
        c->wanted_usec = listener_now(c->listener);
        TAILQ_INSERT_TAIL(&c->listener->wanted, c, wanted_entries);
}

void slow_want(HttpConnection *c, Wanted wanted) {
        want(c, wanted);
        c->wanted_progress = wanted == WANTED_REQUEST || wanted == WANTED_TAKEN ? NOBODY_ASKED : 0;
}

static uint64_t patience_usec(const HttpListener *l) {
        return l->serving.patience_usec > 0 ? l->serving.patience_usec : HTTP_PATIENCE_SECONDS * UINT64_C(1000000);
}

/* Nobody read while nobody served. */
static uint64_t look_usec(const HttpListener *l, const HttpConnection *c) {
        return MAX(c->wanted_usec, l->served_usec) + patience_usec(l);
}

/* Thousands that came one after the other are looked at together. */
uint64_t slow_next(const HttpListener *l) {
        const HttpConnection *c = TAILQ_FIRST(&l->wanted);
        uint64_t grain = MAX(patience_usec(l) / 16, 1U);

        return c ? (look_usec(l, c) / grain + 1) * grain : UINT64_MAX;
}

static bool is_crowded(const HttpListener *l) {
        return l->n_connections - l->n_shut >= l->connections_max / 4 * 3;
}

/* Nothing of what was sent is still on its way. */
static bool has_all(const HttpConnection *c) {
        int n;

        return ioctl(c->fd, SIOCOUTQ, &n) >= 0 && n == 0;
}

/* A sendfile() that is interrupted (that the process is stopped or frozen is enough) sends less than it was asked to. To the library
 * that means that the socket is full; it waits for the edge at which there is room again, and where there always was, that never
 * comes. The kernel tells of room also when this option is set: to the default, which it has. Where there is too little room to speak
 * of, it tells of more once somebody has asked. */
static void announce_room(const HttpConnection *c) {
        struct pollfd room = { .fd = c->fd, .events = POLLOUT };
        int standard = 0;

        if (poll(&room, 1, 0) > 0)
                (void) setsockopt(c->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &standard, sizeof(standard));
}

void slow_announce_room(HttpListener *l) {
        const HttpConnection *c;

        TAILQ_FOREACH(c, &l->wanted, wanted_entries)
                if (c->wanted == WANTED_TAKEN)
                        announce_room(c);
}

static bool gets_on(const HttpConnection *c, uint64_t n) {
        uint64_t least = patience_usec(c->listener) * HTTP_RATE / 1000000;

        if (n != c->wanted_progress && connection_n_unread(c) > 0)        /* it is us who are slow */
                return true;
        switch (c->wanted) {
        case WANTED_REQUEST:            /* it need not ask for anything */
                return true;
        case WANTED_BODY:
                return n - c->wanted_progress >= least;
        case WANTED_TAKEN:              /* it may take its time as long as nobody else wants the place */
                return c->wanted_progress == NOBODY_ASKED || n - c->wanted_progress >= least || !is_crowded(c->listener);
        default:
                return false;
        }
}

HttpConnection *slow_find(HttpListener *l, uint64_t now) {
        HttpConnection *c = TAILQ_FIRST(&l->wanted);

        if (c && now >= look_usec(l, c) + patience_usec(l) / 2)
                l->served_usec = now;           /* it was us who did not run */
        while ((c = TAILQ_FIRST(&l->wanted)) && now >= look_usec(l, c)) {
                uint64_t n = progress(c);
                bool waits = c->wanted == WANTED_TAKEN && has_all(c);   /* for us */

                if (waits)
                        announce_room(c);
                else if (!gets_on(c, n))
                        return c;
                bool begun = c->wanted == WANTED_REQUEST && c->wanted_progress != NOBODY_ASKED && n != c->wanted_progress;
                want(c, begun ? WANTED_HEADERS : c->wanted);
                c->wanted_progress = n;
        }
        return NULL;
}
