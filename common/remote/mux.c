/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See mux.h. Only one side opens streams, so it also chooses their numbers; one is used again when both sides have closed it. */

#include <sys/epoll.h>
#include <sys/socket.h>

#include <systemd/sd-event.h>

#include "common/remote/mux.h"

enum { READ_SIZE = 16 * 1024 };

struct MuxStream {
        Mux *mux;
        uint16_t id;
        void *owner;
        int fd;                 /* -EBADF before it was answered, and after it ended */
        sd_event_source *io;
        StrBuf out;             /* for the descriptor */
        size_t out_at;
        uint32_t credit;        /* bytes that we may send */
        uint32_t window;        /* bytes that the other side may send */
        bool opened_here, answered;
        bool read_ended;        /* we have sent EOF */
        bool peer_ended;        /* it has */
        bool write_ended;       /* and its last byte was written */
        bool close_sent, close_received;
};

struct Mux {
        sd_event *event;
        const MuxOps *ops;
        void *userdata;
        FrameReader reader;
        MuxStream *streams[MUX_STREAMS_MAX];    /* stream n is at n - 1 */
};

static int send_frame(Mux *m, FrameType type, uint16_t stream, const void *payload, size_t size) {
        _cleanup_(strbuf_done) StrBuf b = {};

        if (size > FRAME_PAYLOAD_MAX)
                return -E2BIG;
        frame_add(&b, type, stream, payload, size);
        if (b.failed)
                return -ENOMEM;
        m->ops->send(b.data, b.size, m->userdata);
        return 0;
}

int mux_send(Mux *m, FrameType type, const void *payload, size_t size) {
        return send_frame(m, type, 0, payload, size);
}

/* ---- the life of a stream ---- */

static void drop_descriptor(MuxStream *s) {
        s->io = sd_event_source_disable_unref(s->io);
        closep(&s->fd);
        s->fd = -EBADF;
        strbuf_done(&s->out);
        s->out_at = 0;
}

static void stream_free(MuxStream *s) {
        drop_descriptor(s);
        s->mux->streams[s->id - 1] = NULL;
        free(s);
}

/* Our part of it is over. Its number stays taken until the other side has closed it as well. */
static void say_close(MuxStream *s) {
        drop_descriptor(s);
        if (!s->close_sent)
                (void) send_frame(s->mux, FRAME_CLOSE, s->id, NULL, 0);
        s->close_sent = true;
        if (s->close_received)
                stream_free(s);
}

void mux_close(MuxStream *s) {
        s->owner = NULL;
        say_close(s);
}

static MuxStream *stream_new(Mux *m, uint16_t id, bool here, void *owner) {
        MuxStream *s = calloc(1, sizeof(*s));

        if (!s)
                return NULL;
        *s = (MuxStream) { .mux = m, .id = id, .owner = owner, .fd = -EBADF, .credit = MUX_WINDOW, .window = MUX_WINDOW,
                           .opened_here = here };
        m->streams[id - 1] = s;
        return s;
}

void *mux_owner(const MuxStream *s) {
        return s->owner;
}

void mux_set_owner(MuxStream *s, void *owner) {
        s->owner = owner;
}

/* ---- from and to the descriptor ---- */

static bool may_read(const MuxStream *s) {
        return !s->read_ended && s->credit > 0;
}

static bool may_write(const MuxStream *s) {
        return s->out.size > s->out_at;
}

/* Off where nothing is wanted: a peer that has gone would be told again and again, and what it left behind has to wait for credit. */
static void set_events(MuxStream *s) {
        uint32_t events = (may_read(s) ? EPOLLIN : 0) | (may_write(s) ? EPOLLOUT : 0);

        if (!s->io)
                return;
        (void) sd_event_source_set_io_events(s->io, events);
        (void) sd_event_source_set_enabled(s->io, events ? SD_EVENT_ON : SD_EVENT_OFF);
}

static bool has_ended(const MuxStream *s) {
        return s->close_received ? s->write_ended || s->out.size == s->out_at : s->read_ended && s->write_ended;
}

/* false: the stream is over, and s may be gone. */
static bool write_out(MuxStream *s) {
        while (s->fd >= 0 && may_write(s)) {
                ssize_t n = send(s->fd, s->out.data + s->out_at, s->out.size - s->out_at, MSG_NOSIGNAL);

                if (n < 0 && errno == EAGAIN)
                        break;
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0) {
                        say_close(s);
                        return false;
                }
                s->out_at += (size_t) n;
        }
        if (s->out_at == s->out.size) {
                strbuf_done(&s->out);
                s->out_at = 0;
        }

        /* What was written makes room; half a window is worth a frame. */
        size_t waiting = s->out.size - s->out_at;
        if (!s->peer_ended && !s->close_received && s->window + waiting <= MUX_WINDOW / 2) {
                uint32_t more = (uint32_t) (MUX_WINDOW - s->window - waiting);
                char text[4];

                frame_put_u32(text, more);
                s->window += more;
                (void) send_frame(s->mux, FRAME_WINDOW, s->id, text, sizeof(text));
        }
        if (s->peer_ended && waiting == 0 && !s->write_ended && s->fd >= 0) {
                s->write_ended = true;
                (void) shutdown(s->fd, SHUT_WR);
        }
        if (has_ended(s)) {
                say_close(s);
                return false;
        }
        set_events(s);
        return true;
}

static void read_in(MuxStream *s) {
        char data[READ_SIZE];
        ssize_t n = read(s->fd, data, MIN(sizeof(data), (size_t) s->credit));

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n > 0)
                s->credit -= (uint32_t) n;
        else if (n == 0)
                s->read_ended = true;
        if (n < 0 || send_frame(s->mux, n > 0 ? FRAME_DATA : FRAME_EOF, s->id, data, (size_t) n) < 0 || (n == 0 && has_ended(s)))
                say_close(s);           /* also for want of memory: rather than a hole in it */
        else
                set_events(s);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        MuxStream *s = userdata;
        bool hung_up = events & (EPOLLERR | EPOLLHUP);

        if (may_write(s) && (hung_up || (events & EPOLLOUT)) && !write_out(s))
                return 0;
        if (may_read(s) && (hung_up || (events & EPOLLIN)))
                read_in(s);
        return 0;
}

int mux_attach(MuxStream *s, int fd) {
        s->fd = fd;
        s->answered = true;
        int r = sd_event_add_io(s->mux->event, &s->io, fd, 0, on_io, s);

        if (r < 0) {
                mux_close(s);
                return r;
        }
        (void) write_out(s);
        return 0;
}

int mux_accept(MuxStream *s, int fd) {
        int r = send_frame(s->mux, FRAME_OPENED, s->id, NULL, 0);

        if (r < 0) {
                (void) close(fd);
                mux_close(s);
                return r;
        }
        return mux_attach(s, fd);
}

int mux_open(Mux *m, const char *target, void *owner, MuxStream **ret) {
        uint16_t id = 1;

        while (id <= MUX_STREAMS_MAX && m->streams[id - 1])
                id++;
        if (id > MUX_STREAMS_MAX)
                return -EBUSY;
        MuxStream *s = stream_new(m, id, true, owner);
        if (!s)
                return -ENOMEM;
        int r = send_frame(m, FRAME_OPEN, id, target, strlen(target));
        if (r < 0) {
                stream_free(s);
                return r;
        }
        *ret = s;
        return 0;
}

/* ---- what the other side says ---- */

static int on_open(Mux *m, const Frame *f) {
        if (!m->ops->open || m->streams[f->stream - 1] || f->size > MUX_TARGET_MAX || memchr(f->payload, 0, f->size))
                return -EPROTO;
        _cleanup_free_ char *target = strndup(f->payload, f->size);
        MuxStream *s = target ? stream_new(m, f->stream, false, NULL) : NULL;
        if (!s)
                return -ENOMEM;
        m->ops->open(s, target, m->userdata);
        return 0;
}

static int on_data(MuxStream *s, const Frame *f) {
        if (!s->answered || s->peer_ended || s->close_received || f->size > s->window)
                return -EPROTO;
        s->window -= (uint32_t) f->size;
        if (s->close_sent)
                return 0;
        strbuf_add(&s->out, f->payload, f->size);
        if (s->out.failed)
                return -ENOMEM;
        (void) write_out(s);
        return 0;
}

static int on_close(Mux *m, MuxStream *s) {
        if (s->close_received)
                return -EPROTO;
        s->close_received = true;
        if (s->close_sent) {
                stream_free(s);
                return 0;
        }
        if (s->answered) {
                (void) write_out(s);    /* and ends when everything is written */
                return 0;
        }
        m->ops->closed(s, m->userdata);
        say_close(s);
        return 0;
}

static int on_stream_frame(Mux *m, const Frame *f) {
        MuxStream *s;

        if (f->stream == 0 || f->stream > MUX_STREAMS_MAX)
                return -EPROTO;
        if (f->type == FRAME_OPEN)
                return on_open(m, f);
        s = m->streams[f->stream - 1];
        if (!s)
                return -EPROTO;
        switch (f->type) {
        case FRAME_OPENED:
                if (!s->opened_here || s->answered || s->close_received)
                        return -EPROTO;
                s->answered = true;
                if (!s->close_sent)
                        m->ops->opened(s, m->userdata);
                return 0;
        case FRAME_DATA:
                return on_data(s, f);
        case FRAME_WINDOW:
                if (f->size != 4 || frame_get_u32(f->payload) > MUX_WINDOW - s->credit)
                        return -EPROTO;
                s->credit += frame_get_u32(f->payload);
                set_events(s);
                return 0;
        case FRAME_EOF:
                if (s->peer_ended)
                        return -EPROTO;
                s->peer_ended = true;
                if (s->fd >= 0)
                        (void) write_out(s);
                return 0;
        default:
                return on_close(m, s);
        }
}

int mux_input(Mux *m, const char *data, size_t size) {
        Frame f;
        int r = frame_reader_add(&m->reader, data, size);

        while (r >= 0 && (r = frame_reader_next(&m->reader, &f)) > 0) {
                if (f.type >= FRAME_OPEN)
                        r = on_stream_frame(m, &f);
                else
                        m->ops->frame(&f, m->userdata);
        }
        return r;
}

/* ---- life ---- */

int mux_new(Mux **ret, sd_event *event, const MuxOps *ops, void *userdata) {
        Mux *m = calloc(1, sizeof(*m));

        if (!m)
                return -ENOMEM;
        *m = (Mux) { .event = sd_event_ref(event), .ops = ops, .userdata = userdata };
        *ret = m;
        return 0;
}

Mux *mux_free(Mux *m) {
        if (!m)
                return NULL;
        for (size_t i = 0; i < MUX_STREAMS_MAX; i++) {
                MuxStream *s = m->streams[i];

                if (!s)
                        continue;
                if (s->fd < 0 && !s->close_sent)
                        m->ops->closed(s, m->userdata);
                stream_free(s);
        }
        frame_reader_done(&m->reader);
        sd_event_unref(m->event);
        free(m);
        return NULL;
}
