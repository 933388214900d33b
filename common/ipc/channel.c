/* SPDX-License-Identifier: GPL-3.0-or-later */

/* ZeroMQ sockets as sources of an sd-event loop. What is surprising about them:
 *
 * - ZMQ_FD is edge-triggered: it becomes readable when ZeroMQ's thread has left a command for the socket, and every call on the
 *   socket may swallow that. Whoever trusts it alone goes deaf. So after each call the prepare hook asks ZMQ_EVENTS before the
 *   loop sleeps, and arms a defer source while there is input.
 * - Left to itself, a DEALER reconnects behind our back and sends to the new peer what was meant for the old one. So its own
 *   reconnecting is turned off (by an interval that never passes); a monitor tells when the connection is lost, what the peer
 *   still had sent is delivered, and then a new socket takes the place of the old one.
 * - A connection to a socket that systemd listens on succeeds before anybody runs. Only the ZMTP handshake proves that the
 *   daemon is there.
 * - A ROUTER names its peers by five bytes: 0 and a number. That number is the PeerId. Peers that choose names of their own are
 *   ignored. It does not say when a peer leaves; peers.h tells how we know.
 *
 * Who may connect is decided by the permissions of the socket file. (libzmq 4.3.4 can also filter by SO_PEERCRED, but
 * ZMQ_IPC_FILTER_GID does not see a process's supplementary groups, by which our daemons are let in.) It aborts if accept() fails
 * with EMFILE, so the limit of open files has to be high: daemon_main() raises it as far as it may. */

#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <zmq.h>

#include <systemd/sd-event.h>

#include "common/ipc/channel.h"
#include "common/ipc/peers.h"
#include "common/sd/log.h"

enum {
        FRAMES_PER_TURN = 64,           /* then other event sources have their turn */
        HIGH_WATER_MARK = 64,           /* batches in each direction that ZeroMQ itself keeps */
        LINGER_MSEC = 100,
        NEVER_MSEC = 24 * 60 * 60 * 1000,
        ROUTING_ID_SIZE = 5,
};

#define RETRY_MIN_USEC (UINT64_C(10) * 1000)
#define RETRY_MAX_USEC (UINT64_C(1000) * 1000)
#define COMPLAIN_USEC (UINT64_C(1000) * 1000)

static const int LISTENER_EVENTS = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED;
static const int CLIENT_EVENTS = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
        ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED |
        ZMQ_EVENT_CONNECT_RETRIED;

struct Channel {
        sd_event *event;
        const ChannelOps *ops;
        void *userdata;
        char *endpoint;
        bool listening;

        void *socket;           /* NULL while waiting for the next attempt to connect */
        void *monitor;
        sd_event_source *io, *monitor_io;
        sd_event_source *more;  /* made for each turn, see arm() */
        sd_event_source *retry;
        bool unsure;            /* the socket was used since ZMQ_EVENTS was last looked at */

        bool connected;
        bool lost;              /* what the peer had sent is still being delivered */
        uint64_t connected_usec, retry_usec;

        bool reading;           /* inbox is open */
        zmq_msg_t inbox;
        WireReader reader;
        PeerId reading_peer;

        Peers peers;            /* of a listening channel */
        Peer server;            /* the one peer of a connecting channel */
        Peer *flush;            /* peers with something to send */
        bool some_room;         /* one of those that refused a message may have room for it now */

        unsigned depth;         /* of callbacks under way */
        bool closing;
        uint64_t complained_usec;
        unsigned n_unsaid;
};

/* ---- the context: one for the process, as long as there is a channel ---- */

static void *context;
static unsigned n_context_users;

static int zmq_error(void) {
        int e = zmq_errno();

        return e > 0 && e < ZMQ_HAUSNUMERO ? -e : -EIO;
}

/* ZeroMQ starts its threads with the first socket; they inherit the mask, and no signal is theirs. */
static void *new_socket(int type) {
        sigset_t all, before;
        void *socket;

        sigfillset(&all);
        (void) pthread_sigmask(SIG_SETMASK, &all, &before);
        socket = zmq_socket(context, type);
        (void) pthread_sigmask(SIG_SETMASK, &before, NULL);
        return socket;
}

static int context_acquire(void) {
        if (!context) {
                context = zmq_ctx_new();
                if (!context)
                        return zmq_error();
                (void) zmq_ctx_set(context, ZMQ_IO_THREADS, 1);
        }
        n_context_users++;
        return 0;
}

/* Waits until what was sent has left, at most LINGER_MSEC. */
static void context_release(void) {
        if (--n_context_users > 0)
                return;
        while (zmq_ctx_term(context) < 0 && zmq_errno() == EINTR)
                ;
        context = NULL;
}

static int set_int(void *socket, int option, int value) {
        return zmq_setsockopt(socket, option, &value, sizeof(value)) < 0 ? zmq_error() : 0;
}

static int set_limits(void *socket) {
        int64_t size_max = WIRE_HEADER_SIZE + (int64_t) WIRE_BODY_MAX + BATCH_SIZE;
        int r;

        if (zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &size_max, sizeof(size_max)) < 0)
                return zmq_error();
        r = set_int(socket, ZMQ_LINGER, LINGER_MSEC);
        if (r < 0)
                return r;
        r = set_int(socket, ZMQ_SNDHWM, HIGH_WATER_MARK);
        if (r < 0)
                return r;
        return set_int(socket, ZMQ_RCVHWM, HIGH_WATER_MARK);
}

/* ---- turns of the loop ---- */

static void channel_turn(Channel *c);

static int on_more(sd_event_source *s, void *userdata) {
        Channel *c = userdata;

        c->more = sd_event_source_unref(c->more);
        channel_turn(c);
        return 0;
}

/* A fresh source each time: sd-event serves sources of one priority in the order in which they became pending, and a defer
 * source that is only switched off and on stays the oldest, so that a stream of input would starve all others. */
static int arm(Channel *c) {
        if (c->more)
                return 0;
        return sd_event_add_defer(c->event, &c->more, on_more, c);
}

static int on_prepare(sd_event_source *s, void *userdata) {
        Channel *c = userdata;
        int events = 0;
        size_t size = sizeof(events);

        (void) channel_flush(c);
        if (!c->unsure || !c->socket)
                return 0;
        c->unsure = false;
        if (zmq_getsockopt(c->socket, ZMQ_EVENTS, &events, &size) < 0 || (events & ZMQ_POLLIN)) {
                c->unsure = true;
                (void) arm(c);
        }
        return 0;
}

static int on_io(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        Channel *c = userdata;

        c->unsure = true;
        channel_turn(c);
        return 0;
}

static int watch_socket(Channel *c, void *socket, sd_event_source **ret) {
        int fd = -1, r;
        size_t size = sizeof(fd);

        if (zmq_getsockopt(socket, ZMQ_FD, &fd, &size) < 0)
                return zmq_error();
        r = sd_event_add_io(c->event, ret, fd, EPOLLIN, on_io, c);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(*ret, c->endpoint);
        return 0;
}

static int watch_data(Channel *c) {
        int r;

        r = watch_socket(c, c->socket, &c->io);
        if (r < 0)
                return r;
        c->unsure = true;
        return sd_event_source_set_prepare(c->io, on_prepare);
}

/* ---- peers and sending ---- */

static Peer *find_peer(Channel *c, PeerId id) {
        return c->listening ? peers_find(&c->peers, id) : &c->server;
}

static void flush_list_leave(Channel *c, Peer *p) {
        for (Peer **i = &c->flush; p->listed && *i; i = &(*i)->next)
                if (*i == p) {
                        *i = p->next;
                        p->listed = false;
                        return;
                }
}

/* Only when there is nothing left to read: what they had sent before they left comes first. */
static void tell_who_left(Channel *c) {
        Peer *p;

        while (!c->closing && (p = peers_find_left(&c->peers))) {
                PeerId id = p->id;

                flush_list_leave(c, p);
                peers_remove(&c->peers, p);
                if (c->ops->gone)
                        c->ops->gone(c, id, c->userdata);
        }
}

static void tell_who_has_room(Channel *c) {
        Peer *p;

        if (!c->some_room)
                return;
        c->some_room = false;
        while (!c->closing && (p = c->listening ? peers_find_roomy(&c->peers) :
                                   c->server.refused && c->server.out.queued == 0 ? &c->server : NULL)) {
                p->refused = false;
                if (c->ops->room)
                        c->ops->room(c, p->id, c->userdata);
        }
}

/* 0: all is sent. -EAGAIN: the peer has to read first; its pipe wakes us up then. */
static int peer_flush(Channel *c, Peer *p) {
        for (;;) {
                Batch *b;
                int r;

                r = outbox_first(&p->out, &b);
                if (r < 0)
                        return r;
                if (!b) {
                        if (p->refused && arm(c) >= 0)
                                c->some_room = true;    /* told in the next turn */
                        return 0;
                }
                if (c->listening) {
                        uint8_t id[ROUTING_ID_SIZE] = {};
                        uint32_t number = htonl(p->id);

                        memcpy(id + 1, &number, sizeof(number));
                        if (zmq_send(c->socket, id, sizeof(id), ZMQ_SNDMORE|ZMQ_DONTWAIT) < 0)
                                return zmq_error();
                }
                if (zmq_msg_send(&b->message, c->socket, ZMQ_DONTWAIT) < 0)
                        return zmq_error();
                outbox_drop_first(&p->out);
        }
}

int channel_flush(Channel *c) {
        Peer *blocked = NULL;
        int result = 0;

        if (!c->flush || !c->socket)
                return 0;
        c->unsure = true;
        while (c->flush) {
                Peer *p = c->flush;
                int r;

                c->flush = p->next;
                p->listed = false;
                r = peer_flush(c, p);
                if (r == -EHOSTUNREACH) {
                        peers_set_gone(&c->peers, p);
                        (void) arm(c);          /* told in the next turn */
                } else if (r < 0) {
                        if (r != -EAGAIN && result >= 0)
                                result = r;
                        p->next = blocked;
                        blocked = p;
                        p->listed = true;
                }
        }
        c->flush = blocked;
        return result;
}

int channel_send(Channel *c, PeerId id, const Message *m) {
        Peer *p = find_peer(c, id);
        int r;

        if (!p || (c->listening ? peers_has_left(&c->peers, p) : !c->connected || c->lost))
                return -ENOTCONN;
        r = outbox_add(&p->out, m);
        if (r == -ENOBUFS)
                p->refused = true;
        if (r < 0)
                return r;
        if (!p->listed) {
                p->listed = true;
                p->next = c->flush;
                c->flush = p;
        }
        return 0;
}

size_t channel_queued(const Channel *c, PeerId id) {
        const Peer *p = c->listening ? peers_find(&c->peers, id) : &c->server;

        return p ? p->out.queued : 0;
}

bool channel_is_connected(const Channel *c) {
        return c->listening || (c->connected && !c->lost);
}

/* ---- receiving ---- */

/* What arrives broken can arrive often. */
static void complain(Channel *c, PeerId peer, int error, const char *what) {
        uint64_t now = 0;

        (void) sd_event_now(c->event, CLOCK_MONOTONIC, &now);
        if (c->complained_usec > 0 && now < c->complained_usec + COMPLAIN_USEC) {
                c->n_unsaid++;
                return;
        }
        c->complained_usec = now;
        if (c->n_unsaid > 0)
                log_warning(error, "%s: %s from peer %" PRIu32 ", ignoring: %m (and %u times before)", c->endpoint, what, peer,
                            c->n_unsaid);
        else
                log_warning(error, "%s: %s from peer %" PRIu32 ", ignoring: %m", c->endpoint, what, peer);
        c->n_unsaid = 0;
}

static void refuse(Channel *c, const WireHeader *header, int error, const char *what) {
        Message answer = { .type = MESSAGE_ERROR };
        char text[128];

        complain(c, c->reading_peer, error, what);
        if (header->type == MESSAGE_ERROR)      /* an answer to an answer would never end */
                return;
        if (error == -EPROTONOSUPPORT)
                snprintf(text, sizeof(text), "message format %u is not supported, expected %u", header->version, WIRE_VERSION);
        else
                snprintf(text, sizeof(text), "%s", what);
        answer.error.error = error;
        answer.error.text = text;
        (void) channel_send(c, c->reading_peer, &answer);
}

static void close_inbox(Channel *c) {
        if (!c->reading)
                return;
        (void) zmq_msg_close(&c->inbox);
        c->reading = false;
}

/* Takes the parts of a message that follow the first ones off the socket. */
static unsigned skip_parts(Channel *c) {
        unsigned n = 0;
        int more = 0;
        size_t size = sizeof(more);

        while (zmq_getsockopt(c->socket, ZMQ_RCVMORE, &more, &size) == 0 && more) {
                zmq_msg_t part;

                (void) zmq_msg_init(&part);
                if (zmq_msg_recv(&part, c->socket, ZMQ_DONTWAIT) < 0) {
                        (void) zmq_msg_close(&part);
                        break;
                }
                (void) zmq_msg_close(&part);
                n++;
        }
        return n;
}

static void read_monitor(Channel *c);

/* Whoever speaks is a peer from then on. */
static int know_peer(Channel *c, PeerId id, zmq_msg_t *m) {
        if (peers_find(&c->peers, id))
                return 0;
        read_monitor(c);                /* it knew of the connection before there was a message */
        return peers_add(&c->peers, id, zmq_msg_get(m, ZMQ_SRCFD));
}

/* The next ZeroMQ message into the inbox. 1; 0 if there is none; -EAGAIN if it was not for us, and there may be another. */
static int open_inbox(Channel *c) {
        c->reading_peer = 0;
        (void) zmq_msg_init(&c->inbox);
        if (zmq_msg_recv(&c->inbox, c->socket, ZMQ_DONTWAIT) < 0) {
                (void) zmq_msg_close(&c->inbox);
                return 0;
        }
        if (c->listening) {
                const uint8_t *id = zmq_msg_data(&c->inbox);
                bool own_name = zmq_msg_size(&c->inbox) != ROUTING_ID_SIZE || id[0] != 0;
                uint32_t number = 0;

                if (!own_name)
                        memcpy(&number, id + 1, sizeof(number));
                c->reading_peer = ntohl(number);
                if (own_name || zmq_msg_recv(&c->inbox, c->socket, ZMQ_DONTWAIT) < 0) {
                        (void) skip_parts(c);
                        (void) zmq_msg_close(&c->inbox);
                        complain(c, 0, -EBADMSG, "message with a name of the sender's choice");
                        return -EAGAIN;
                }
        }
        if (c->listening && know_peer(c, c->reading_peer, &c->inbox) < 0) {
                (void) skip_parts(c);
                (void) zmq_msg_close(&c->inbox);
                complain(c, c->reading_peer, -ENOMEM, "message");
                return -EAGAIN;
        }
        if (skip_parts(c) > 0) {
                (void) zmq_msg_close(&c->inbox);
                refuse(c, &(WireHeader) {}, -EBADMSG, "message of several parts");
                return -EAGAIN;
        }
        c->reading = true;
        c->reader = (WireReader) { .data = zmq_msg_data(&c->inbox), .size = zmq_msg_size(&c->inbox) };
        return 1;
}

/* Delivers one frame, or turns to the next message. 0 if there is nothing left. */
static int receive_one(Channel *c) {
        WireHeader header = {};
        WireReader body = {};
        Message m = {};
        int r;

        if (!c->reading) {
                r = open_inbox(c);
                if (r <= 0)
                        return r < 0;
        }

        r = wire_next(&c->reader, &header, &body);
        if (r <= 0) {
                if (r < 0)
                        refuse(c, &header, r, r == -EPROTONOSUPPORT ? "message of another version" : "broken message");
                close_inbox(c);
                return 1;
        }
        r = message_decode(&header, &body, &m);
        if (r < 0) {
                refuse(c, &header, r, r == -ENOMEM ? "message too big for the memory" :
                                      message_name(header.type) ? "broken message" : "message of unknown type");
                return 1;
        }
        c->ops->message(c, c->reading_peer, &m, c->userdata);
        message_done(&m);
        return 1;
}

/* ---- connecting ---- */

static int channel_dial(Channel *c);
static void schedule_retry(Channel *c);

static void disconnect(Channel *c, int linger_msec) {
        close_inbox(c);
        c->io = sd_event_source_disable_unref(c->io);
        c->monitor_io = sd_event_source_disable_unref(c->monitor_io);
        if (c->monitor) {
                (void) zmq_socket_monitor(c->socket, NULL, 0);
                (void) set_int(c->monitor, ZMQ_LINGER, 0);
                (void) zmq_close(c->monitor);
                c->monitor = NULL;
        }
        if (c->socket) {
                (void) set_int(c->socket, ZMQ_LINGER, linger_msec);
                (void) zmq_close(c->socket);
                c->socket = NULL;
        }
        c->connected = c->lost = false;
        outbox_done(&c->server.out);
        c->server.listed = c->server.refused = false;
        if (!c->listening)
                c->flush = NULL;
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata) {
        Channel *c = userdata;
        int r;

        c->retry = sd_event_source_unref(c->retry);
        r = channel_dial(c);
        if (r < 0) {
                log_error(r, "%s: cannot connect: %m", c->endpoint);
                disconnect(c, 0);
                schedule_retry(c);
        }
        return 0;
}

static void schedule_retry(Channel *c) {
        int r;

        r = sd_event_add_time_relative(c->event, &c->retry, CLOCK_MONOTONIC, c->retry_usec, 1000, on_retry, c);
        if (r < 0)
                log_error(r, "%s: will not be connected again: %m", c->endpoint);
        c->retry_usec = c->retry_usec == 0 ? RETRY_MIN_USEC : MIN(c->retry_usec * 2, RETRY_MAX_USEC);
}

/* The old socket, with whatever it still held for the old peer, goes; a new one follows: at once, if the connection had been a
 * lasting one. */
static void reconnect(Channel *c) {
        bool was_connected = c->connected;
        uint64_t now = 0;

        (void) sd_event_now(c->event, CLOCK_MONOTONIC, &now);
        if (was_connected && now >= c->connected_usec + RETRY_MAX_USEC)
                c->retry_usec = 0;
        disconnect(c, 0);
        schedule_retry(c);
        if (was_connected && c->ops->disconnected)
                c->ops->disconnected(c, c->userdata);
}

/* One event of the monitor: two parts, of which the first holds its number and a value. */
static bool take_monitor_event(Channel *c, uint16_t *ret, uint32_t *ret_value) {
        bool more = true;

        *ret = 0;
        *ret_value = 0;
        for (unsigned i = 0; more; i++) {
                zmq_msg_t m;

                (void) zmq_msg_init(&m);
                if (zmq_msg_recv(&m, c->monitor, ZMQ_DONTWAIT) < 0) {
                        (void) zmq_msg_close(&m);
                        return false;
                }
                if (i == 0 && zmq_msg_size(&m) >= sizeof(*ret) + sizeof(*ret_value)) {
                        memcpy(ret, zmq_msg_data(&m), sizeof(*ret));
                        memcpy(ret_value, (uint8_t *) zmq_msg_data(&m) + sizeof(*ret), sizeof(*ret_value));
                }
                more = zmq_msg_more(&m);
                (void) zmq_msg_close(&m);
        }
        return true;
}

static void read_monitor(Channel *c) {
        uint16_t event;
        uint32_t value;

        while (!c->closing && c->monitor && take_monitor_event(c, &event, &value)) {
                if (event == ZMQ_EVENT_ACCEPTED)
                        peers_accepted(&c->peers, (int) value);
                else if (c->listening)
                        peers_closed(&c->peers, (int) value);
                else if (event != ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
                        c->lost = true;
                else {
                        c->connected = true;
                        (void) sd_event_now(c->event, CLOCK_MONOTONIC, &c->connected_usec);
                        if (c->ops->connected)
                                c->ops->connected(c, c->userdata);
                }
        }
}

static int open_monitor(Channel *c, int events) {
        static unsigned n_monitors;
        char address[64];

        snprintf(address, sizeof(address), "inproc://monitor-%u", n_monitors++);
        if (zmq_socket_monitor(c->socket, address, events) < 0)
                return zmq_error();
        c->monitor = new_socket(ZMQ_PAIR);
        if (!c->monitor || zmq_connect(c->monitor, address) < 0)
                return zmq_error();
        return watch_socket(c, c->monitor, &c->monitor_io);
}

static int channel_dial(Channel *c) {
        int r;

        c->socket = new_socket(ZMQ_DEALER);
        if (!c->socket)
                return zmq_error();
        r = set_limits(c->socket);
        if (r < 0)
                return r;
        r = set_int(c->socket, ZMQ_RECONNECT_IVL, NEVER_MSEC);
        if (r < 0)
                return r;

        r = open_monitor(c, CLIENT_EVENTS);
        if (r < 0)
                return r;
        if (zmq_connect(c->socket, c->endpoint) < 0)
                return zmq_error();
        r = watch_data(c);
        if (r < 0)
                return r;
        return arm(c);          /* a socket signals only after it was once found empty */
}

/* ---- both ---- */

static void channel_destroy(Channel *c) {
        (void) channel_flush(c);
        c->more = sd_event_source_disable_unref(c->more);
        c->retry = sd_event_source_disable_unref(c->retry);
        disconnect(c, LINGER_MSEC);
        peers_done(&c->peers);
        if (context)
                context_release();
        sd_event_unref(c->event);
        free(c->endpoint);
        free(c);
}

static void channel_turn(Channel *c) {
        unsigned budget = FRAMES_PER_TURN;

        c->depth++;
        read_monitor(c);
        while (!c->closing && c->socket && budget > 0) {
                c->unsure = true;
                if (receive_one(c) == 0)
                        break;
                budget--;
        }
        if (!c->closing) {
                if (budget == 0 && c->socket)
                        (void) arm(c);
                else if (c->lost)
                        reconnect(c);
                else {
                        tell_who_left(c);
                        tell_who_has_room(c);
                }
        }
        if (--c->depth == 0 && c->closing)
                channel_destroy(c);
}

Channel *channel_free(Channel *c) {
        if (!c)
                return NULL;
        if (c->depth > 0)
                c->closing = true;
        else
                channel_destroy(c);
        return NULL;
}

static int channel_new(Channel **ret, sd_event *event, const ChannelOps *ops, void *userdata) {
        Channel *c;
        int r;

        c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        r = context_acquire();
        if (r < 0) {
                free(c);
                return r;
        }
        c->event = sd_event_ref(event);
        c->ops = ops;
        c->userdata = userdata;
        outbox_init(&c->server.out);
        *ret = c;
        return 0;
}

/* The endpoint of a bound socket: ipc://PATH, or ipc://@NAME for one in the abstract name space. */
static int endpoint_of(int fd, char **ret) {
        struct sockaddr_un address = {};
        socklen_t size = sizeof(address);
        size_t length;

        if (getsockname(fd, (struct sockaddr *) &address, &size) < 0)
                return -errno;
        if (address.sun_family != AF_UNIX || size <= offsetof(struct sockaddr_un, sun_path))
                return -EINVAL;
        length = MIN((size_t) size - offsetof(struct sockaddr_un, sun_path), sizeof(address.sun_path));
        if (address.sun_path[0] != 0)
                length = strnlen(address.sun_path, length);
        else {
                address.sun_path[0] = '@';
                if (memchr(address.sun_path, 0, length))
                        return -EINVAL;
        }
        return asprintf(ret, "ipc://%.*s", (int) length, address.sun_path) < 0 ? -ENOMEM : 0;
}

int channel_listen(Channel **ret, sd_event *event, int fd, const ChannelOps *ops, void *userdata) {
        _cleanup_(channel_freep) Channel *c = NULL;
        _cleanup_close_ int taken = fd;
        int r, flags;

        flags = fcntl(fd, F_GETFL);
        if (flags < 0 || fcntl(fd, F_SETFL, flags|O_NONBLOCK) < 0)
                return -errno;
        r = channel_new(&c, event, ops, userdata);
        if (r < 0)
                return r;
        c->listening = true;
        r = peers_init(&c->peers);
        if (r < 0)
                return r;
        r = endpoint_of(fd, &c->endpoint);
        if (r < 0)
                return r;

        c->socket = new_socket(ZMQ_ROUTER);
        if (!c->socket)
                return zmq_error();
        r = set_limits(c->socket);
        if (r < 0)
                return r;
        r = set_int(c->socket, ZMQ_ROUTER_MANDATORY, 1);
        if (r < 0)
                return r;
        r = open_monitor(c, LISTENER_EVENTS);
        if (r < 0)
                return r;
        r = set_int(c->socket, ZMQ_USE_FD, fd);
        if (r < 0)
                return r;
        if (zmq_bind(c->socket, c->endpoint) < 0)
                return zmq_error();
        (void) TAKE_FD(taken);          /* ZeroMQ closes it */
        r = watch_data(c);
        if (r >= 0)
                r = arm(c);             /* see channel_dial() */
        if (r < 0)
                return r;

        *ret = TAKE_PTR(c);
        return 0;
}

int channel_connect(Channel **ret, sd_event *event, const char *socket_path, const ChannelOps *ops, void *userdata) {
        _cleanup_(channel_freep) Channel *c = NULL;
        int r;

        r = channel_new(&c, event, ops, userdata);
        if (r < 0)
                return r;
        if (asprintf(&c->endpoint, "ipc://%s", socket_path) < 0) {
                c->endpoint = NULL;
                return -ENOMEM;
        }
        r = channel_dial(c);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(c);
        return 0;
}
