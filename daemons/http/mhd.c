/* SPDX-License-Identifier: GPL-3.0-or-later */

/* libmicrohttpd runs here without threads: its epoll descriptor is one io source, and whenever that is readable, MHD_run() does
 * what there is to do and calls back. What is surprising:
 *
 * - A request that is answered before its last byte was read loses its connection, so even a GET is answered in the second
 *   call of handle(), the one that says that the body is over.
 * - The library knows only one timeout (silence). The times that a server's fields give are counted here; a connection that
 *   is out of time is shut down below the library, which then sees its end and cleans up by itself.
 * - A suspended connection is not watched by the library, nor does it notice the end of what a client sends if that came in the
 *   same moment as the last bytes. So every connection has a source of ours that tells when the other side has hung up. */

#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include "common/usec.h"
#include "daemons/http/mhd-private.h"
#include "daemons/http/tls-private.h"

enum {
        LISTEN_BACKLOG = 512,
        TIMER_ACCURACY_USEC = 1000,     /* pipelined requests wait for it */
        CROWDED_USEC = 50 * 1000,       /* an idle connection may stay so long where all places are taken */
        DOUBT_USEC = 20 * 1000,
        STOPPED_USEC = 10 * 1000,       /* a turn that takes longer may have been interrupted: the process was stopped or frozen */
        CROWD_MIN = 512,                /* connections from which on it matters that their memory is given back */
        READ_INCREMENT = 512,           /* of what is more than half of its memory, the library reads a third of that at a time; not more */
        ANSWER_HEAD = 2 * 1024,         /* bytes for the head of an answer, and to read a body by */
};

uint64_t listener_now(const HttpListener *l) {
        uint64_t now = 0;

        (void) sd_event_now(l->event, CLOCK_MONOTONIC, &now);
        return now;
}

void connection_enter(HttpConnection *c, Phase phase) {
        HttpListener *l = c->listener;

        if (c->phase == PHASE_SHUT)             /* for good */
                return;
        TAILQ_REMOVE(&l->connections[c->phase], c, entries);
        c->phase = phase;
        c->since_usec = listener_now(l);
        TAILQ_INSERT_TAIL(&l->connections[phase], c, entries);
}

int connection_n_unread(const HttpConnection *c) {
        int n = 0;

        return ioctl(c->fd, FIONREAD, &n) >= 0 ? n : 0;
}

/* Below the library, which sees the end of the connection and cleans up. */
static void connection_shut(HttpConnection *c) {
        (void) shutdown(c->fd, SHUT_RDWR);
        c->listener->n_shut += c->phase != PHASE_SHUT;
        connection_enter(c, PHASE_SHUT);
        slow_forget(c);
}

/* ---- time ---- */

static uint64_t phase_timeout(const HttpListener *l, Phase phase) {
        return phase == PHASE_READING ? l->serving.read_timeout_usec :
               phase == PHASE_WRITING ? l->serving.write_timeout_usec : 0;
}

/* With all places taken, that one goes which has said nothing complete for the longest time: those who only hold places cannot
 * keep others out. NULL if there is none, or if one goes already. */
static HttpConnection *listener_superfluous(const HttpListener *l) {
        bool crowded = l->n_connections >= l->connections_max && TAILQ_EMPTY(&l->connections[PHASE_SHUT]);

        return crowded ? TAILQ_FIRST(&l->connections[PHASE_READING]) : NULL;
}

static void listener_expire(HttpListener *l) {
        uint64_t now = listener_now(l);
        HttpConnection *slow;

        for (Phase phase = PHASE_READING; phase <= PHASE_WRITING; phase++) {
                uint64_t timeout = phase_timeout(l, phase);
                HttpConnection *c;

                while (timeout > 0 && (c = TAILQ_FIRST(&l->connections[phase])) && now - c->since_usec >= timeout)
                        connection_shut(c);
        }
        while ((slow = slow_find(l, now)))
                connection_shut(slow);
}

/* After all that has come was read: when it was us who did not run, a request that was there in time is a request. */
static void listener_make_room(HttpListener *l) {
        HttpConnection *superfluous = listener_superfluous(l);

        if (superfluous && listener_now(l) - superfluous->since_usec >= CROWDED_USEC)
                connection_shut(superfluous);
}

/* Whether the library has something to do right now: then it must not be waited for. */
static bool is_busy(HttpListener *l, uint64_t *ret_milliseconds) {
        MHD_UNSIGNED_LONG_LONG milliseconds = UINT64_MAX;

        if (MHD_get_timeout(l->daemon, &milliseconds) != MHD_YES)
                milliseconds = UINT64_MAX;
        *ret_milliseconds = milliseconds;
        return l->resumed || milliseconds == 0;
}

void listener_arm(HttpListener *l) {
        const HttpConnection *superfluous = listener_superfluous(l);
        uint64_t next = l->draining ? l->drain_until_usec : UINT64_MAX, milliseconds;

        if (l->paused)
                return;
        if (is_busy(l, &milliseconds))
                next = 0;
        else if (milliseconds != UINT64_MAX)
                next = MIN(next, listener_now(l) + milliseconds * 1000);
        if (superfluous)
                next = MIN(next, superfluous->since_usec + CROWDED_USEC);
        if (l->in_doubt)
                next = MIN(next, listener_now(l) + DOUBT_USEC);
        next = MIN(next, slow_next(l));
        for (Phase phase = PHASE_READING; phase <= PHASE_WRITING; phase++) {
                uint64_t timeout = phase_timeout(l, phase);
                const HttpConnection *c = TAILQ_FIRST(&l->connections[phase]);
                if (timeout > 0 && c)
                        next = MIN(next, c->since_usec + timeout);
        }

        if (next == UINT64_MAX) {
                (void) sd_event_source_set_enabled(l->timer, SD_EVENT_OFF);
                return;
        }
        (void) sd_event_source_set_time(l->timer, next);
        (void) sd_event_source_set_enabled(l->timer, SD_EVENT_ONESHOT);
}

/* Those who have hung up in the middle of a request, or between two, get nothing any more: all they sent was read. If something is left
 * twice in a row although the library has nothing to do, it is stuck with that. */
static void listener_drop_hung_up(HttpListener *l) {
        uint64_t milliseconds;
        HttpConnection *c, *next;

        l->in_doubt = false;
        if (l->n_hung_up == 0 || is_busy(l, &milliseconds))
                return;
        for (c = TAILQ_FIRST(&l->connections[PHASE_READING]); c; c = next) {
                int n = c->hung_up ? connection_n_unread(c) : 0;

                next = TAILQ_NEXT(c, entries);
                if (!c->hung_up)
                        continue;
                if (n == 0 || n == c->n_left)
                        connection_shut(c);
                else
                        l->in_doubt = true;
                c->n_left = n;
        }
}

/* What thousands of connections have left behind in the heap would stay with us for ever. */
static void listener_trim(HttpListener *l) {
        l->n_connections_peak = MAX(l->n_connections_peak, l->n_connections);
        if (l->n_connections_peak < CROWD_MIN || l->n_connections > l->n_connections_peak / 8)
                return;
        (void) malloc_trim(0);
        l->n_connections_peak = l->n_connections;
}

static void listener_turn(HttpListener *l) {
        unsigned before = l->n_connections;
        uint64_t begun = usec_now(CLOCK_BOOTTIME);

        l->resumed = false;
        (void) MHD_run(l->daemon);
        /* at its limit of connections (or the system's), the library stops listening, and looks only here whether it may go on */
        if (l->n_connections < before)
                (void) MHD_run(l->daemon);
        if (usec_now(CLOCK_BOOTTIME) - begun >= STOPPED_USEC)
                slow_announce_room(l);
}

static void listener_run(HttpListener *l) {
        if (l->paused)
                return;
        listener_expire(l);
        listener_turn(l);
        listener_make_room(l);
        listener_drop_hung_up(l);
        listener_trim(l);

        if (l->draining && (l->n_active == 0 || listener_now(l) >= l->drain_until_usec)) {
                l->draining = false;
                (void) sd_event_source_set_enabled(l->io, SD_EVENT_OFF);
                (void) sd_event_source_set_enabled(l->timer, SD_EVENT_OFF);
                l->drained(l, l->drained_userdata);     /* which may have freed the listener */
                return;
        }
        listener_arm(l);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        listener_run(userdata);
        return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        listener_run(userdata);
        return 0;
}

static int on_hang_up(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        HttpConnection *c = userdata;
        HttpRequest *q = c->request;

        c->hung_up = true;
        c->listener->n_hung_up++;
        if (q && q->holds) {
                HttpHolds *holds = q->holds;

                q->gone = true;
                request_release(q);
                if (holds->gone)
                        holds->gone(holds);
        } else if (q && q->stream)
                stream_hang_up(q->stream);
        else
                listener_run(c->listener);
        return 0;
}

/* ---- what the library calls ---- */

static enum MHD_Result handle(void *userdata, struct MHD_Connection *mhd, const char *url, const char *method,
                              const char *version, const char *upload, size_t *upload_size, void **state) {
        HttpRequest *q = *state;

        if (!q)                         /* on_target() had no memory */
                return MHD_NO;

        if (!q->begun)
                return request_begin(q, method, version);
        if (*upload_size > 0) {
                size_t size = *upload_size;

                *upload_size = 0;
                return request_add_body(q, upload, size);
        }
        return request_answer(q);
}

/* The library takes the line apart before it lets us look at it, and if there is not enough memory for that, it stops without a word, or
 * for good. So the answer to a line that is too long does not come from the library. */
static bool refuse_line(HttpConnection *c, struct MHD_Connection *mhd, const char *target) {
        static const char answer[] = "HTTP/1.1 414 URI Too Long\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        size_t size = strlen(target);

        for (const char *p = strchr(target, '?'); p; p = strchr(p + 1, '&'))
                size += HTTP_HEADER_COST;
        if (size <= HTTP_HEAD_MAX)
                return false;
        if (!c->listener->has_tls)
                (void) send(c->fd, answer, strlen(answer), MSG_NOSIGNAL | MSG_DONTWAIT);
        c->refused = true;
        linger(c);
        c->listener->n_shut += c->phase != PHASE_SHUT;
        connection_enter(c, PHASE_SHUT);
        slow_forget(c);
        (void) MHD_set_connection_option(mhd, MHD_CONNECTION_OPTION_TIMEOUT, 1U);
        return true;
}

static void *on_target(void *userdata, const char *target, struct MHD_Connection *mhd) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
        HttpConnection *c = info ? info->socket_context : NULL;

        if (!c || refuse_line(c, mhd, target))
                return NULL;
        c->request = request_new(c, mhd, target);
        connection_enter(c, PHASE_READING);     /* the time to read counts from its first line */
        if (c->wanted == WANTED_REQUEST)
                slow_want(c, WANTED_HEADERS);
        return c->request;
}

static void on_completed(void *userdata, struct MHD_Connection *mhd, void **state, enum MHD_RequestTerminationCode code) {
        HttpRequest *q = *state;

        if (!q)
                return;
        if (q->active)
                q->connection->listener->n_active--;
        q->connection->request = NULL;
        connection_enter(q->connection, PHASE_READING);
        slow_want(q->connection, WANTED_REQUEST);
        *state = request_free(q);
}

static void on_connection(void *userdata, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code) {
        HttpListener *l = userdata;

        if (code == MHD_CONNECTION_NOTIFY_STARTED) {
                const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
                HttpConnection *c = calloc(1, sizeof(*c));

                if (!c)                 /* on_target() will see it */
                        return;
                c->listener = l;
                c->fd = info->connect_fd;
                c->since_usec = listener_now(l);
                if (sd_event_add_io(l->event, &c->hang_up, c->fd, EPOLLRDHUP, on_hang_up, c) >= 0)
                        (void) sd_event_source_set_enabled(c->hang_up, SD_EVENT_ONESHOT);
                TAILQ_INSERT_TAIL(&l->connections[PHASE_READING], c, entries);
                slow_want(c, WANTED_HEADERS);
                l->n_connections++;
                *context = c;
        } else if (*context) {
                HttpConnection *c = *context;

                linger(c);
                request_free(c->request);       /* one that the library has refused itself, and does not tell of */
                TAILQ_REMOVE(&l->connections[c->phase], c, entries);
                slow_forget(c);
                l->n_connections--;
                l->n_hung_up -= c->hung_up;
                l->n_shut -= c->phase == PHASE_SHUT;
                sd_event_source_disable_unref(c->hang_up);
                free(c);
                *context = NULL;
        }
}

static size_t leave_escaped(void *userdata, struct MHD_Connection *mhd, char *text) {
        return strlen(text);            /* url.c decodes, once */
}

/* ---- listeners ---- */

static int listen_on(const struct sockaddr *address, socklen_t size) {
        _cleanup_close_ int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        int yes = 1, no = 0;

        if (fd < 0)
                return -errno;
        if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0)
                return -errno;
        if (address->sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no)) < 0)
                return -errno;
        if (bind(fd, address, size) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
                return -errno;
        return TAKE_FD(fd);
}

/* Once for each handshake. */
static int on_certificate_wanted(gnutls_session_t session, const gnutls_datum_t *authorities, int n_authorities,
                                 const gnutls_pk_algorithm_t *algorithms, int n_algorithms, gnutls_pcert_st **ret_chain,
                                 unsigned *ret_n, gnutls_privkey_t *ret_key) {
        struct MHD_Connection *mhd = gnutls_session_get_ptr(session);
        const union MHD_ConnectionInfo *info = mhd ? MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT) : NULL;
        const HttpConnection *c = info ? info->socket_context : NULL;

        if (!c || !c->listener->tls)
                return -1;
        http_tls_get(c->listener->tls, ret_chain, ret_n, ret_key);
        return 0;
}

/* Some answers need a file of their own; those for which there is none are to ask again. */
static unsigned connections_max(void) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return HTTP_CONNECTIONS_MAX;
        return (unsigned) MIN(limit.rlim_cur / 8 * 5, (rlim_t) HTTP_CONNECTIONS_MAX);
}

static int listener_start(HttpListener *l, int fd) {
        const struct MHD_OptionItem tls[] = {
                { MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *) on_certificate_wanted },
                { MHD_OPTION_HTTPS_PRIORITIES, 0, (void *) "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2" },
                { MHD_OPTION_END, 0, NULL },
        };

        l->connections_max = connections_max();
        l->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (l->has_tls ? MHD_USE_TLS : 0), 0, NULL, NULL, handle, l,
                                     MHD_OPTION_LISTEN_SOCKET, fd,
                                     MHD_OPTION_CONNECTION_LIMIT, l->connections_max,
                                     MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) HTTP_HEAD_MAX + ANSWER_HEAD,
                                     MHD_OPTION_CONNECTION_MEMORY_INCREMENT, (size_t) READ_INCREMENT,
                                     MHD_OPTION_CONNECTION_TIMEOUT, (unsigned) HTTP_SILENCE_SECONDS,
                                     MHD_OPTION_STRICT_FOR_CLIENT, 1,
                                     MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
                                     MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,
                                     MHD_OPTION_URI_LOG_CALLBACK, on_target, NULL,
                                     MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
                                     MHD_OPTION_NOTIFY_CONNECTION, on_connection, l,
                                     MHD_OPTION_ARRAY, l->has_tls ? tls : tls + ELEMENTSOF(tls) - 1,
                                     MHD_OPTION_END);
        if (!l->daemon) {
                /* whether it has closed the socket depends on where it failed */
                if (fcntl(fd, F_GETFD) >= 0)
                        (void) close(fd);
                return -ENOMEM;
        }

        const union MHD_DaemonInfo *info = MHD_get_daemon_info(l->daemon, MHD_DAEMON_INFO_EPOLL_FD);
        if (!info || info->epoll_fd < 0)
                return -EOPNOTSUPP;
        return sd_event_add_io(l->event, &l->io, info->epoll_fd, EPOLLIN, on_io, l);
}

static void listener_pause(HttpListener *l, bool paused) {
        l->paused = paused;
        (void) sd_event_source_set_enabled(l->io, paused ? SD_EVENT_OFF : SD_EVENT_ON);
        if (paused)
                (void) sd_event_source_set_enabled(l->timer, SD_EVENT_OFF);
        else {
                l->served_usec = listener_now(l);
                listener_arm(l);
        }
}

int http_listener_new(HttpListener **ret, sd_event *event, const struct sockaddr *address, socklen_t size, bool tls) {
        _cleanup_(http_listener_freep) HttpListener *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return -ENOMEM;
        l->event = sd_event_ref(event);
        l->has_tls = tls;
        for (Phase phase = 0; phase < _PHASE_MAX; phase++)
                TAILQ_INIT(&l->connections[phase]);
        TAILQ_INIT(&l->wanted);
        TAILQ_INIT(&l->lingering);

        (void) signal(SIGPIPE, SIG_IGN);        /* sendfile() knows no MSG_NOSIGNAL */

        r = sd_event_add_time(event, &l->timer, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_USEC, on_timer, l);
        if (r < 0)
                return r;
        (void) sd_event_source_set_enabled(l->timer, SD_EVENT_OFF);

        int fd = listen_on(address, size);
        if (fd < 0)
                return fd;
        r = listener_start(l, fd);
        if (r < 0)
                return r;
        listener_pause(l, true);

        *ret = TAKE_PTR(l);
        return 0;
}

/* The library must not be stopped while it has suspended connections. */
static void connection_release(HttpConnection *c) {
        HttpRequest *q = c->request;

        if (q && q->holds)
                request_release(q);
        else if (q && q->stream)
                stream_gone(q->stream);
}

HttpListener *http_listener_free(HttpListener *l) {
        HttpConnection *c;

        if (!l)
                return NULL;

        l->closing = true;
        TAILQ_FOREACH(c, &l->connections[PHASE_WRITING], entries)
                connection_release(c);
        while ((c = TAILQ_FIRST(&l->connections[PHASE_STREAMING])))
                connection_release(c);          /* which takes it out of this list */
        TAILQ_FOREACH(c, &l->connections[PHASE_SHUT], entries)
                connection_release(c);

        sd_event_source_disable_unref(l->io);
        sd_event_source_disable_unref(l->timer);
        if (l->daemon)
                MHD_stop_daemon(l->daemon);
        linger_end(l);
        http_tls_unref(l->tls);
        sd_event_unref(l->event);
        free(l);
        return NULL;
}

void http_listener_serve(HttpListener *l, const HttpServing *serving) {
        if (serving) {
                HttpTls *old = l->tls;

                l->tls = http_tls_ref(serving->tls);
                http_tls_unref(old);
                l->serving = *serving;
        } else
                l->serving.request = NULL;      /* the times stay, for what is still to be answered */
        listener_pause(l, !serving);
}

void http_listener_drain(HttpListener *l, uint64_t timeout_usec, void (*drained)(HttpListener *l, void *userdata),
                         void *userdata) {
        int fd = MHD_quiesce_daemon(l->daemon);

        if (fd >= 0)
                (void) close(fd);
        listener_pause(l, false);
        l->draining = true;
        l->drain_until_usec = timeout_usec > 0 ? listener_now(l) + timeout_usec : UINT64_MAX;
        l->drained = drained;
        l->drained_userdata = userdata;

        /* the first look at what is left happens from the loop, so that drained is never called from in here */
        (void) sd_event_source_set_time(l->timer, 0);
        (void) sd_event_source_set_enabled(l->timer, SD_EVENT_ONESHOT);
}

bool http_listener_has_tls(const HttpListener *l) {
        return l->has_tls;
}

unsigned http_listener_connections_max(const HttpListener *l) {
        return l->connections_max;
}

unsigned http_listener_n_connections(const HttpListener *l) {
        return l->n_connections;
}
