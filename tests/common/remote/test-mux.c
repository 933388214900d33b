/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Frames, and connections in them: two ends that hear each other when the test says so. */

#include <fcntl.h>
#include <sys/socket.h>

#include <systemd/sd-event.h>

#include "common/remote/mux.h"
#include "tests/test.h"

/* ---- frames ---- */

TEST(frames_come_in_any_pieces) {
        for (size_t piece = 1; piece < 40; piece++) {
                _cleanup_(strbuf_done) StrBuf b = {};
                FrameReader r = {};
                Frame f;
                unsigned n = 0;

                frame_add(&b, FRAME_HELLO, 0, "abc", 3);
                frame_add(&b, FRAME_DATA, 0x1234, "", 0);
                frame_add(&b, FRAME_PING, 0, "0123456789012345678901234567890", 31);
                for (size_t at = 0; at < b.size; at += piece) {
                        CHECK_INT(frame_reader_add(&r, b.data + at, MIN(piece, b.size - at)), 0);
                        while (frame_reader_next(&r, &f) > 0) {
                                static const Frame want[] = { { FRAME_HELLO, 0, NULL, 3 }, { FRAME_DATA, 0x1234, NULL, 0 }, { FRAME_PING, 0, NULL, 31 } };

                                REQUIRE(n < ELEMENTSOF(want));
                                CHECK(f.type == want[n].type && f.stream == want[n].stream && f.size == want[n].size);
                                n++;
                        }
                }
                CHECK_INT(n, 3);
                frame_reader_done(&r);
        }
}

TEST(what_is_no_frame_is_refused) {
        static const struct {
                const char *bytes;
                int want;
        } cases[] = {
                { "\0\0\0\0\0\0\0\0", -EPROTO },                /* no type */
                { "\xff\0\0\0\0\0\0\0", -EPROTO },              /* another one */
                { "\4\1\0\0\0\0\0\0", -EPROTO },                /* reserved */
                { "\4\0\0\0\1\0\4\0", -EPROTO },                /* one byte too long */
                { "\4\0\0\0\0\0\4\0", 0 },                      /* as long as may be, and not there yet */
                { "\4\0\0\0\0\0\0\0", 1 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                FrameReader r = {};
                Frame f;

                CHECK_INT(frame_reader_add(&r, cases[i].bytes, FRAME_HEADER_SIZE), 0);
                CHECK_INT(frame_reader_next(&r, &f), cases[i].want);
                frame_reader_done(&r);
        }
}

/* ---- two ends ---- */

typedef struct End {
        Mux *mux;
        StrBuf wire;            /* what it has said */
        MuxStream *wanted;      /* opened by the other side, not answered */
        char target[MUX_TARGET_MAX];
        int fd;                 /* what an opened stream is attached to */
        unsigned n_opened, n_closed, n_frames;
        size_t n_bytes;         /* said since */
} End;

typedef struct Pair {
        sd_event *event;
        End here, there;        /* there opens, here answers */
} Pair;

static void on_send(const char *data, size_t size, void *userdata) {
        End *e = userdata;

        strbuf_add(&e->wire, data, size);
        e->n_bytes += size;
}

static void on_frame(const Frame *f, void *userdata) {
        ((End *) userdata)->n_frames++;
}

static void on_open(MuxStream *s, const char *target, void *userdata) {
        End *e = userdata;

        e->wanted = s;
        memcpy(e->target, target, strlen(target) + 1);
}

static void on_opened(MuxStream *s, void *userdata) {
        End *e = userdata;

        e->n_opened++;
        (void) mux_attach(s, TAKE_FD(e->fd));
}

static void on_closed(MuxStream *s, void *userdata) {
        ((End *) userdata)->n_closed++;
}

static const MuxOps here_ops = { .send = on_send, .frame = on_frame, .open = on_open, .opened = on_opened, .closed = on_closed };
static const MuxOps there_ops = { .send = on_send, .frame = on_frame, .opened = on_opened, .closed = on_closed };

static bool pair_init(Pair *p) {
        *p = (Pair) { .here.fd = -EBADF, .there.fd = -EBADF };
        return sd_event_new(&p->event) >= 0 && mux_new(&p->here.mux, p->event, &here_ops, &p->here) >= 0 &&
                mux_new(&p->there.mux, p->event, &there_ops, &p->there) >= 0;
}

static void pair_done(Pair *p) {
        mux_free(p->here.mux);
        mux_free(p->there.mux);
        strbuf_done(&p->here.wire);
        strbuf_done(&p->there.wire);
        closep(&p->here.fd);
        closep(&p->there.fd);
        sd_event_unref(p->event);
}

static bool hand_over(End *from, End *to) {
        _cleanup_(strbuf_done) StrBuf wire = from->wire;

        from->wire = (StrBuf) {};
        if (wire.size > 0)
                CHECK_INT(mux_input(to->mux, wire.data, wire.size), 0);
        return wire.size > 0;
}

/* Until nobody has anything to say. */
static void settle(Pair *p) {
        bool busy = true;

        while (busy) {
                busy = sd_event_run(p->event, 0) > 0;
                busy = hand_over(&p->here, &p->there) || busy;
                busy = hand_over(&p->there, &p->here) || busy;
        }
}

static bool make_sockets(int ret[static 2]) {
        return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ret) >= 0;
}

/* A stream: what is written to one of these comes out of the other. */
static bool make_stream(Pair *p, int *ret_here, int *ret_there) {
        int here[2], there[2];
        MuxStream *s;

        if (!make_sockets(here) || !make_sockets(there) || mux_open(p->there.mux, "a:1", NULL, &s) < 0)
                return false;
        p->there.fd = there[0];
        settle(p);
        if (!p->here.wanted || mux_accept(TAKE_PTR(p->here.wanted), here[0]) < 0)
                return false;
        settle(p);
        *ret_here = here[1];
        *ret_there = there[1];
        return true;
}

static size_t fill(int fd, char byte, size_t limit) {
        char block[4096];
        size_t n = 0;

        memset(block, byte, sizeof(block));
        for (ssize_t k; n < limit && (k = write(fd, block, MIN(sizeof(block), limit - n))) > 0;)
                n += (size_t) k;
        return n;
}

static size_t drain(int fd, char byte) {
        char block[4096];
        size_t n = 0;

        for (ssize_t k; (k = read(fd, block, sizeof(block))) > 0; n += (size_t) k)
                for (ssize_t i = 0; i < k; i++)
                        if (block[i] != byte)
                                return SIZE_MAX;
        return n;
}

TEST(a_stream_is_a_connection) {
        _cleanup_(pair_done) Pair p;
        _cleanup_close_ int here = -EBADF, there = -EBADF;
        char text[16] = "";

        REQUIRE(pair_init(&p) && make_stream(&p, &here, &there));
        CHECK_STR(p.here.target, "a:1");
        CHECK_INT(write(there, "question", 8), 8);
        settle(&p);
        CHECK_INT(read(here, text, sizeof(text)), 8);
        CHECK_STR(text, "question");

        /* Half of it ends, and the other goes on. */
        (void) shutdown(there, SHUT_WR);
        settle(&p);
        CHECK_INT(read(here, text, sizeof(text)), 0);
        CHECK_INT(write(here, "answer", 6), 6);
        settle(&p);
        CHECK_INT(read(there, text, sizeof(text)), 6);
        closep(&here);
        here = -EBADF;
        settle(&p);
        CHECK_INT(read(there, text, sizeof(text)), 0);
        CHECK_INT(p.here.n_closed + p.there.n_closed, 0);
}

TEST(a_slow_reader_holds_up_nobody_else) {
        _cleanup_(pair_done) Pair p;
        _cleanup_close_ int slow_here = -EBADF, slow_there = -EBADF, here = -EBADF, there = -EBADF;
        size_t n = 0, k, last;

        REQUIRE(pair_init(&p) && make_stream(&p, &slow_here, &slow_there) && make_stream(&p, &here, &there));
        /* Nobody reads there: after a while nothing more is taken here, and no more than a window is on its way. */
        p.here.n_bytes = 0;
        do {
                k = fill(slow_here, 's', SIZE_MAX);
                n += k;
                settle(&p);
        } while (k > 0);
        CHECK(p.here.n_bytes >= MUX_WINDOW);
        last = p.here.n_bytes;
        settle(&p);
        CHECK_INT((intmax_t) p.here.n_bytes, (intmax_t) last);

        /* The other stream does not mind, in either direction. */
        for (unsigned i = 0; i < 50; i++) {
                CHECK_INT((intmax_t) fill(here, 'f', 20000), 20000);
                CHECK_INT((intmax_t) fill(there, 't', 20000), 20000);
                settle(&p);
                CHECK_INT((intmax_t) drain(there, 'f'), 20000);
                CHECK_INT((intmax_t) drain(here, 't'), 20000);
        }

        /* And all of it comes, also after its writer has gone. */
        closep(&slow_here);
        slow_here = -EBADF;
        for (size_t got = 1; got > 0; n -= got) {
                settle(&p);
                got = drain(slow_there, 's');
                REQUIRE(got <= n);
        }
        CHECK_INT((intmax_t) n, 0);
        CHECK_INT(read(slow_there, &(char) { 0 }, 1), 0);
}

TEST(streams_are_refused_and_numbers_used_again) {
        _cleanup_(pair_done) Pair p;
        MuxStream *s;

        REQUIRE(pair_init(&p));
        for (unsigned i = 0; i < 3 * MUX_STREAMS_MAX; i++) {
                REQUIRE(mux_open(p.there.mux, "a:1", NULL, &s) >= 0);
                settle(&p);
                REQUIRE(p.here.wanted);
                mux_close(TAKE_PTR(p.here.wanted));
                settle(&p);
                CHECK_INT(p.there.n_closed, i + 1);
        }
        CHECK_INT(p.there.n_opened, 0);

        /* The one who has asked may also go away first. */
        REQUIRE(mux_open(p.there.mux, "a:1", NULL, &s) >= 0);
        mux_close(s);
        settle(&p);
        CHECK_INT(p.here.n_closed, 1);

        for (unsigned i = 0; i < MUX_STREAMS_MAX; i++)
                REQUIRE(mux_open(p.there.mux, "a:1", NULL, &s) >= 0);
        CHECK_INT(mux_open(p.there.mux, "a:1", NULL, &s), -EBUSY);
}

TEST(an_answer_that_comes_too_late_is_dropped) {
        _cleanup_(pair_done) Pair p;
        int here[2];
        MuxStream *s;

        REQUIRE(pair_init(&p) && make_sockets(here) && mux_open(p.there.mux, "a:1", NULL, &s) >= 0);
        (void) hand_over(&p.there, &p.here);
        REQUIRE(p.here.wanted);
        CHECK_INT(mux_accept(TAKE_PTR(p.here.wanted), here[0]), 0);
        CHECK_INT(write(here[1], "data", 4), 4);
        mux_close(s);                           /* the two cross */
        settle(&p);
        CHECK_INT(p.there.n_opened, 0);
        CHECK_INT(read(here[1], &(char) { 0 }, 1), 0);
        (void) close(here[1]);
        REQUIRE(mux_open(p.there.mux, "a:1", NULL, &s) >= 0);
        settle(&p);
        CHECK(p.here.wanted);
}

TEST(what_may_not_be_said_ends_it) {
        static const struct {
                FrameType type;
                uint16_t stream;
                const char *payload;
                size_t size;
        } cases[] = {
                { FRAME_OPEN, 0, "a:1", 3 },                            /* it has no number */
                { FRAME_OPEN, MUX_STREAMS_MAX + 1, "a:1", 3 },
                { FRAME_OPEN, 1, "b:1", 3 },                            /* there is one */
                { FRAME_OPEN, 2, "a\0:1", 4 },
                { FRAME_OPENED, 1, NULL, 0 },                           /* it was not opened here */
                { FRAME_DATA, 1, "x", 1 },                              /* nobody has answered */
                { FRAME_DATA, 7, "x", 1 },                              /* there is none */
                { FRAME_CLOSE, 7, NULL, 0 },
                { FRAME_WINDOW, 1, "\1\0\0\0", 4 },                     /* more than a window */
                { FRAME_WINDOW, 1, "\0", 1 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(pair_done) Pair p;
                _cleanup_(strbuf_done) StrBuf b = {};

                REQUIRE(pair_init(&p));
                frame_add(&b, FRAME_OPEN, 1, "a:1", 3);
                CHECK_INT(mux_input(p.here.mux, b.data, b.size), 0);
                frame_add(&b, cases[i].type, cases[i].stream, cases[i].payload, cases[i].size);
                CHECK_INT(mux_input(p.here.mux, b.data + FRAME_HEADER_SIZE + 3, b.size - FRAME_HEADER_SIZE - 3), -EPROTO);
        }
}

TEST(the_window_is_kept) {
        _cleanup_(pair_done) Pair p;
        _cleanup_close_ int here = -EBADF, there = -EBADF;
        _cleanup_(strbuf_done) StrBuf b = {};
        _cleanup_free_ char *much = calloc(1, MUX_WINDOW + 1);

        REQUIRE(much && pair_init(&p) && make_stream(&p, &here, &there));
        frame_add(&b, FRAME_DATA, 1, much, MUX_WINDOW + 1);
        CHECK_INT(mux_input(p.here.mux, b.data, b.size), -EPROTO);
}

TEST_MAIN()
