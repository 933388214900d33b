/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Only the acknowledgement of the last packet moves it on: an older one that comes twice would otherwise make everything from there
 * on be sent twice. Numbers of blocks are of 16 bits, and begin anew behind that. */

#include <sys/socket.h>

#include <systemd/sd-event.h>

#include "daemons/http/tftp-transfer.h"

#define USEC_PER_SEC UINT64_C(1000000)

enum {
        TRIES_MAX = 6,          /* how often one packet is sent */
        PACKETS_AT_ONCE = 16,   /* that are read in one turn of the loop */
        NOTHING = -1,
};

struct TftpTransfer {
        int fd;
        sd_event_source *io, *timer;
        uint64_t timeout_usec;
        tftp_ended_t ended;
        void *userdata;

        StaticContent content;
        uint64_t at;            /* what was read of it */
        bool netascii;
        int held;               /* half of what one byte became in netascii, or NOTHING */

        size_t block_size;
        uint16_t block;         /* the last packet is this one; 0: options */
        bool last;
        bool heard;             /* one was acknowledged */
        unsigned n_tries;
        size_t packet_size;
        uint8_t packet[];       /* with room for TFTP_HEADER and a block, or options */
};

TftpTransfer *tftp_transfer_free(TftpTransfer *t) {
        if (!t)
                return NULL;
        sd_event_source_disable_unref(t->io);
        sd_event_source_disable_unref(t->timer);
        static_content_done(&t->content);
        closep(&t->fd);
        free(t);
        return NULL;
}

bool tftp_transfer_is_heard(const TftpTransfer *t) {
        return t->heard;
}

bool tftp_transfer_has_sent_all(const TftpTransfer *t) {
        return t->last;
}

/* ---- content ---- */

/* Up to size bytes: as many as there are. */
static ssize_t read_content(TftpTransfer *t, uint8_t *to, size_t size) {
        size_t n = 0;

        size = (size_t) MIN((uint64_t) size, t->content.size - t->at);
        if (t->content.fd < 0) {
                memcpy(to, t->content.data.s->data + t->at, size);
                n = size;
        }
        while (n < size) {
                ssize_t k = pread(t->content.fd, to + n, size - n, (off_t) (t->at + n));
                if (k < 0 && errno == EINTR)
                        continue;
                if (k <= 0)
                        return k < 0 ? -errno : -EIO;           /* it has become shorter */
                n += (size_t) k;
        }
        t->at += n;
        return (ssize_t) n;
}

/* A newline is sent as CR LF, a CR as CR NUL. */
static size_t to_netascii(TftpTransfer *t, const uint8_t *from, size_t size, uint8_t *to, size_t room, size_t *ret_used) {
        size_t n = 0, i = 0;

        if (t->held != NOTHING && room > 0) {
                to[n++] = (uint8_t) t->held;
                t->held = NOTHING;
        }
        for (; i < size && n < room; i++) {
                if (from[i] != '\n' && from[i] != '\r') {
                        to[n++] = from[i];
                        continue;
                }
                to[n++] = '\r';
                t->held = from[i] == '\n' ? '\n' : '\0';
                if (n < room) {
                        to[n++] = (uint8_t) t->held;
                        t->held = NOTHING;
                }
        }
        *ret_used = i;
        return n;
}

static ssize_t read_block(TftpTransfer *t, uint8_t *to) {
        uint8_t piece[1024];
        size_t n = 0, used;

        if (!t->netascii)
                return read_content(t, to, t->block_size);
        while (n < t->block_size) {
                uint64_t before = t->at;
                ssize_t k = read_content(t, piece, MIN(sizeof(piece), t->block_size - n));
                if (k < 0)
                        return k;
                if (k == 0 && t->held == NOTHING)
                        break;
                n += to_netascii(t, piece, (size_t) k, to + n, t->block_size - n, &used);
                t->at = before + used;
        }
        return (ssize_t) n;
}

/* ---- packets ---- */

static int fail(TftpTransfer *t, const char *text) {
        uint8_t packet[TFTP_REPLY_MAX];

        (void) send(t->fd, packet, tftp_put_error(packet, TFTP_ERROR_OTHER, text), MSG_DONTWAIT | MSG_NOSIGNAL);
        return -EIO;
}

/* What does not get through is sent again by and by. */
static void send_packet(TftpTransfer *t) {
        t->n_tries++;
        (void) send(t->fd, t->packet, t->packet_size, MSG_DONTWAIT | MSG_NOSIGNAL);
        (void) sd_event_source_set_time_relative(t->timer, t->timeout_usec);
        (void) sd_event_source_set_enabled(t->timer, SD_EVENT_ONESHOT);
}

static int send_next(TftpTransfer *t) {
        ssize_t n = read_block(t, t->packet + TFTP_HEADER);

        if (n < 0)
                return fail(t, "cannot read the file");
        t->block++;
        tftp_put_data_header(t->packet, t->block);
        t->packet_size = TFTP_HEADER + (size_t) n;
        t->last = (size_t) n < t->block_size;
        t->n_tries = 0;
        send_packet(t);
        return 0;
}

static void end(TftpTransfer *t) {
        t->ended(t, t->userdata);
}

/* False if the transfer is over. */
static bool take_packet(TftpTransfer *t, const uint8_t *packet, size_t size) {
        uint16_t block;

        switch (tftp_parse(packet, size, &block)) {
        case TFTP_ACK:
                if (block != t->block)
                        return true;
                t->heard = true;
                return !t->last && send_next(t) >= 0;
        case TFTP_ERROR:
                return false;
        default:
                return true;
        }
}

static int on_packet(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        TftpTransfer *t = userdata;
        uint8_t packet[64];

        for (unsigned i = 0; i < PACKETS_AT_ONCE; i++) {
                ssize_t n = recv(fd, packet, sizeof(packet), MSG_DONTWAIT);
                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        return 0;
                if (n < 0 || !take_packet(t, packet, (size_t) n)) {     /* the former: nobody is there */
                        end(t);
                        return 0;
                }
        }
        return 0;
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        TftpTransfer *t = userdata;

        if (t->n_tries >= TRIES_MAX)
                end(t);
        else
                send_packet(t);
        return 0;
}

static int add_sources(TftpTransfer *t, sd_event *event) {
        int r = sd_event_add_io(event, &t->io, t->fd, EPOLLIN, on_packet, t);

        if (r >= 0)
                r = sd_event_add_time(event, &t->timer, CLOCK_MONOTONIC, UINT64_MAX, 10000, on_timeout, t);
        return r;
}

int tftp_transfer_new(TftpTransfer **ret, sd_event *event, int fd, StaticContent *content, const TftpRequest *q, uint64_t timeout_usec,
                      tftp_ended_t ended, void *userdata) {
        const size_t room = MAX((size_t) TFTP_REPLY_MAX, TFTP_HEADER + (size_t) q->block_size);
        _cleanup_(tftp_transfer_freep) TftpTransfer *t = calloc(1, sizeof(*t) + room);
        int r;

        if (!t) {
                static_content_done(content);
                (void) close(fd);
                return -ENOMEM;
        }
        t->fd = fd;
        t->content = *content;
        *content = STATIC_CONTENT_EMPTY;
        t->timeout_usec = q->has_timeout ? q->timeout_sec * USEC_PER_SEC : timeout_usec;
        t->ended = ended;
        t->userdata = userdata;
        t->netascii = q->netascii;
        t->held = NOTHING;
        t->block_size = q->block_size;
        r = add_sources(t, event);
        if (r < 0)
                return r;
        t->packet_size = tftp_put_options(t->packet, q, t->content.size);
        if (t->packet_size > 0)
                send_packet(t);
        else
                r = send_next(t);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}
