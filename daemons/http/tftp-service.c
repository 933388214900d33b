/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A client whose request is repeated, because it has not heard of us yet, still has one transfer: who it is says its address and port.
 * When all was sent, though, the same request is a new one, which may overtake the last acknowledgement.
 *
 * Whoever asks can give a wrong address, so the number of transfers is limited, as is how often a packet is repeated; and where there
 * are too many, those make room of whom nothing was heard. */

#include <netinet/in.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <systemd/sd-event.h>

#include "daemons/http/address.h"
#include "daemons/http/tftp-service.h"
#include "daemons/http/tftp-transfer.h"

enum {
        TRANSFERS_MAX = 256,            /* each has a socket */
        REQUESTS_AT_ONCE = 16,          /* in one turn of the loop */
        BACKLOG_MAX = 4096,             /* more than a socket keeps */
};

typedef struct Running {
        TftpService *service;
        TftpTransfer *transfer;
        struct sockaddr_storage peer;
        char *filename;
        LIST_ENTRY(Running) link;
} Running;

struct TftpService {
        sd_event *event;
        int fd;
        sa_family_t family;
        sd_event_source *io;
        TftpServing serving;
        LIST_HEAD(, Running) running;
        unsigned n_running;
};

/* ---- transfers ---- */

static void running_free(Running *r) {
        LIST_REMOVE(r, link);
        r->service->n_running--;
        tftp_transfer_free(r->transfer);
        free(r->filename);
        free(r);
}

static void on_ended(TftpTransfer *t, void *userdata) {
        running_free(userdata);
}

static bool same_peer(const struct sockaddr_storage *a, const struct sockaddr_storage *b) {
        const struct sockaddr_in *a4 = (const struct sockaddr_in *) a, *b4 = (const struct sockaddr_in *) b;
        const struct sockaddr_in6 *a6 = (const struct sockaddr_in6 *) a, *b6 = (const struct sockaddr_in6 *) b;

        if (a->ss_family == AF_INET)
                return a4->sin_port == b4->sin_port && a4->sin_addr.s_addr == b4->sin_addr.s_addr;
        return a6->sin6_port == b6->sin6_port && a6->sin6_scope_id == b6->sin6_scope_id &&
               memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr)) == 0;
}

static bool is_served(const TftpService *s, const struct sockaddr_storage *peer, const char *filename) {
        const Running *r;

        LIST_FOREACH(r, &s->running, link)
                if (same_peer(&r->peer, peer) && streq(r->filename, filename) && !tftp_transfer_has_sent_all(r->transfer))
                        return true;
        return false;
}

/* False: all are busy. */
static bool make_room(TftpService *s) {
        Running *oldest = NULL, *r;

        if (s->n_running < TRANSFERS_MAX)
                return true;
        LIST_FOREACH(r, &s->running, link)
                if (!tftp_transfer_is_heard(r->transfer))
                        oldest = r;
        if (oldest)
                running_free(oldest);
        return oldest;
}

/* ---- requests ---- */

typedef struct Arrival {
        struct sockaddr_storage from, to;       /* to: the address of ours that was asked, if it is known */
        socklen_t size;                         /* of both */
} Arrival;

static void take_destination(Arrival *a, struct msghdr *message) {
        struct sockaddr_in *to4 = (struct sockaddr_in *) &a->to;
        struct sockaddr_in6 *to6 = (struct sockaddr_in6 *) &a->to;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
                if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
                        struct in_pktinfo info;
                        memcpy(&info, CMSG_DATA(c), sizeof(info));
                        to4->sin_addr = info.ipi_spec_dst;
                } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
                        struct in6_pktinfo info;
                        memcpy(&info, CMSG_DATA(c), sizeof(info));
                        to6->sin6_addr = info.ipi6_addr;
                        to6->sin6_scope_id = ((const struct sockaddr_in6 *) &a->from)->sin6_scope_id;
                }
        }
}

static ssize_t receive(const TftpService *s, uint8_t *packet, size_t size, Arrival *ret) {
        _Alignas(struct cmsghdr) char control[256];
        struct iovec v = { packet, size };
        struct msghdr message = {
                .msg_name = &ret->from,
                .msg_namelen = sizeof(ret->from),
                .msg_iov = &v,
                .msg_iovlen = 1,
                .msg_control = control,
                .msg_controllen = sizeof(control),
        };

        *ret = (Arrival) {};
        ssize_t n = recvmsg(s->fd, &message, MSG_DONTWAIT);
        if (n < 0)
                return -errno;
        ret->size = message.msg_namelen;
        ret->to.ss_family = s->family;
        take_destination(ret, &message);
        return message.msg_flags & MSG_TRUNC ? 0 : n;
}

/* From the address that was asked; one that many hosts have, as for a broadcast, is none to answer from. */
static int connect_back(const TftpService *s, const Arrival *a) {
        _cleanup_close_ int fd = socket(s->family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        int no = 0;

        if (fd < 0)
                return -errno;
        if (s->family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no)) < 0)
                return -errno;
        (void) bind(fd, (const struct sockaddr *) &a->to, a->size);
        if (connect(fd, (const struct sockaddr *) &a->from, a->size) < 0)
                return -errno;
        return TAKE_FD(fd);
}

static void refuse(const TftpService *s, const Arrival *a, TftpError error, const char *text) {
        uint8_t packet[TFTP_REPLY_MAX];
        size_t n = tftp_put_error(packet, error, text);

        _cleanup_close_ int fd = connect_back(s, a);
        if (fd >= 0)
                (void) send(fd, packet, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static int start_transfer(TftpService *s, const Arrival *a, const TftpRequest *q, StaticContent *content) {
        _cleanup_free_ Running *r = calloc(1, sizeof(*r));
        _cleanup_free_ char *filename = strdup(q->filename);
        int fd = connect_back(s, a), k;

        if (!r || !filename || fd < 0) {
                closep(&fd);
                static_content_done(content);
                return fd < 0 ? fd : -ENOMEM;
        }
        k = tftp_transfer_new(&r->transfer, s->event, fd, content, q, s->serving.timeout_usec, on_ended, r);
        if (k < 0)
                return k;
        r->service = s;
        r->peer = a->from;
        r->filename = TAKE_PTR(filename);
        LIST_INSERT_HEAD(&s->running, r, link);
        s->n_running++;
        (void) TAKE_PTR(r);
        return 0;
}

static void answer(TftpService *s, const Arrival *a, const TftpRequest *q) {
        StaticContent content = STATIC_CONTENT_EMPTY;
        int r;

        if (q->write) {
                refuse(s, a, TFTP_ERROR_ILLEGAL, "nothing can be written here");
                return;
        }
        r = s->serving.open(q->filename, &content, s->serving.userdata);
        if (r == -ENOENT)
                refuse(s, a, TFTP_ERROR_NOT_FOUND, "there is no such file");
        else if (r < 0)
                refuse(s, a, TFTP_ERROR_OTHER, "cannot read the file");
        else
                (void) start_transfer(s, a, q, &content);       /* without room the client asks again */
}

static int on_request(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        TftpService *s = userdata;
        uint8_t packet[TFTP_REQUEST_MAX];

        for (unsigned i = 0; i < REQUESTS_AT_ONCE; i++) {
                TftpRequest q;
                Arrival a;

                ssize_t n = receive(s, packet, sizeof(packet), &a);
                if (n < 0)
                        return 0;
                int r = tftp_request_parse(packet, (size_t) n, &q);
                if (r == -EPROTONOSUPPORT)
                        refuse(s, &a, TFTP_ERROR_ILLEGAL, "the mode must be octet or netascii");
                else if (r >= 0 && !is_served(s, &a.from, q.filename) && make_room(s))
                        answer(s, &a, &q);
        }
        return 0;
}

/* ---- life ---- */

static int listen_on(const char *address, int *ret_fd, sa_family_t *ret_family) {
        struct sockaddr_storage where;
        int yes = 1, no = 0, r;
        socklen_t size;

        r = address_resolve(address, &where, &size);
        if (r < 0)
                return r;
        _cleanup_close_ int fd = socket(where.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (where.ss_family == AF_INET6
            ? setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no)) < 0 ||
              setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &yes, sizeof(yes)) < 0
            : setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &yes, sizeof(yes)) < 0)
                return -errno;
        if (bind(fd, (const struct sockaddr *) &where, size) < 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        *ret_family = where.ss_family;
        return 0;
}

int tftp_service_new(TftpService **ret, sd_event *event, const char *address, const TftpServing *serving) {
        _cleanup_(tftp_service_freep) TftpService *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->event = sd_event_ref(event);
        s->serving = *serving;
        LIST_INIT(&s->running);
        s->fd = -EBADF;
        r = listen_on(address, &s->fd, &s->family);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

int tftp_service_start(TftpService *s) {
        uint8_t packet[1];

        if (s->io)
                return 0;
        for (unsigned i = 0; i < BACKLOG_MAX && recv(s->fd, packet, sizeof(packet), MSG_DONTWAIT) >= 0; i++)
                ;
        return sd_event_add_io(s->event, &s->io, s->fd, EPOLLIN, on_request, s);
}

TftpService *tftp_service_free(TftpService *s) {
        Running *r;

        if (!s)
                return NULL;
        while ((r = LIST_FIRST(&s->running)))
                running_free(r);
        sd_event_source_disable_unref(s->io);
        closep(&s->fd);
        sd_event_unref(s->event);
        free(s);
        return NULL;
}
