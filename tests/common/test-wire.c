/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Frames and messages: every type there and back, and what happens to frames that were cut, changed or made up. */

#include <math.h>

#include "common/message.h"
#include "tests/common/alloc.h"
#include "tests/common/random-message.h"
#include "tests/test.h"

/* Reads the only frame of a buffer. */
static int decode(const uint8_t *data, size_t size, Message *ret) {
        WireReader r = { .data = data, .size = size }, body;
        WireHeader header;
        int e = wire_next(&r, &header, &body);

        if (e <= 0)
                return e < 0 ? e : -ENODATA;
        e = message_decode(&header, &body, ret);
        if (e < 0)
                return e;
        if (wire_next(&r, &header, &body) != 0) {
                message_done(ret);
                return -EBADMSG;
        }
        return 0;
}

TEST(every_message_there_and_back) {
        srandom(1);
        for (size_t t = 0; t < n_message_types; t++)
                for (unsigned round = 0; round < 200; round++) {
                        Message m, back;
                        WireWriter w = {}, again = {};
                        const char *field = "?";

                        random_message(message_types[t], &m);
                        REQUIRE(message_encode(&w, &m) == 0);
                        CHECK_INT(decode(w.data, w.size, &back), 0);
                        if (!messages_equal(&m, &back, &field))
                                TEST_FAIL("%s: field %s differs", message_name(message_types[t]), field);
                        CHECK_INT(message_encode(&again, &back), 0);
                        CHECK(again.size == w.size && memcmp(again.data, w.data, w.size) == 0);
                        message_done(&m);
                        message_done(&back);
                        CHECK_INT(m.type, 0);
                        wire_writer_done(&w);
                        wire_writer_done(&again);
                }
}

TEST(names_and_numbers_of_messages) {
        CHECK_STR(message_name(MESSAGE_HELLO), "HELLO");
        CHECK_STR(message_name(MESSAGE_TASK_PUT), "TASK_PUT");
        CHECK(!message_name((MessageType) 0) && !message_name((MessageType) 9999) && !message_name(_MESSAGE_TYPE_INVALID));
        /* On the wire for ever. */
        CHECK_INT(MESSAGE_HELLO, 1);
        CHECK_INT(MESSAGE_GRAPH_BEGIN, 10);
        CHECK_INT(MESSAGE_TASK_PUT, 30);
        CHECK_INT(MESSAGE_EVENT, 81);
        for (size_t i = 0; i < n_message_types; i++)
                for (size_t j = 0; j < i; j++)
                        CHECK(message_types[i] != message_types[j]);
}

TEST(bytes_are_what_the_header_says) {
        static const uint8_t want[] = { 'M', 'G', 1, 0, 35, 0, 10, 0, 0, 0, 0x78, 0x56, 0x34, 0x12, 0xff, 0xff, 0xff, 0xff, 1, 0 };
        Message m = { .type = MESSAGE_TASK_CHECK, .task_check = { .id = 0x12345678, .attempt = UINT32_MAX, .apply = true } };
        WireWriter w = {};

        CHECK_INT(message_encode(&w, &m), 0);
        CHECK(w.size == sizeof(want) && memcmp(w.data, want, sizeof(want)) == 0);
        wire_writer_done(&w);
}

TEST(batches) {
        WireWriter w = {};
        Message m = { .type = MESSAGE_TASK_CHANGED }, bad = { .type = MESSAGE_TASK_SET };
        ValueFunc f = { .n_ref = 1 };

        bad.task_set.value = (Value) { .kind = TYPE_FUNC, .fn = &f };
        for (uint32_t i = 0; i < 100; i++) {
                m.task_changed.id = i;
                CHECK_INT(message_encode(&w, &m), 0);
                size_t before = w.size;
                CHECK_INT(message_encode(&w, &bad), -EINVAL);   /* functions stay at home, and the batch stays whole */
                CHECK_INT(message_encode(&w, &(Message) { .type = 9999 }), -EINVAL);
                CHECK_INT(w.size, before);
        }

        WireReader r = { .data = w.data, .size = w.size }, body;
        WireHeader header;
        for (uint32_t i = 0; i < 100; i++) {
                Message back;
                REQUIRE(wire_next(&r, &header, &body) == 1);
                CHECK_INT(header.type, MESSAGE_TASK_CHANGED);
                CHECK_INT(header.size, 4);
                REQUIRE(message_decode(&header, &body, &back) == 0);
                CHECK_INT(back.task_changed.id, i);
        }
        CHECK_INT(wire_next(&r, &header, &body), 0);
        wire_writer_done(&w);
}

TEST(headers_are_checked) {
        static const struct {
                uint8_t bytes[12];
                size_t size;
                int want;
        } cases[] = {
                { {}, 0, 0 },
                { { 'M', 'G', 1, 0, 31, 0, 0, 0, 0, 0 }, 10, 1 },
                { { 'M', 'G', 1, 0, 31, 0, 0, 0, 0, 0 }, 9, -EBADMSG },
                { { 'M' }, 1, -EBADMSG },
                { { 'N', 'G', 1, 0, 31, 0, 0, 0, 0, 0 }, 10, -EBADMSG },
                { { 'M', 'H', 1, 0, 31, 0, 0, 0, 0, 0 }, 10, -EBADMSG },
                { { 'M', 'G', 2, 0, 31, 0, 0, 0, 0, 0 }, 10, -EPROTONOSUPPORT },
                { { 'M', 'G', 0, 0, 31, 0, 0, 0, 0, 0 }, 10, -EPROTONOSUPPORT },
                { { 'M', 'G', 1, 1, 31, 0, 0, 0, 0, 0 }, 10, -EBADMSG },
                { { 'M', 'G', 1, 0, 31, 0, 1, 0, 0, 0 }, 10, -EBADMSG },
                { { 'M', 'G', 1, 0, 31, 0, 1, 0, 0, 0 }, 11, 1 },
                { { 'M', 'G', 1, 0, 31, 0, 0xff, 0xff, 0xff, 0xff }, 12, -EBADMSG },
                { { 'M', 'G', 1, 0, 31, 0, 1, 0, 0, 4 }, 12, -EBADMSG },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                WireReader r = { .data = cases[i].bytes, .size = cases[i].size }, body;
                WireHeader header = {};
                CHECK_INT(wire_next(&r, &header, &body), cases[i].want);
                if (cases[i].want == -EPROTONOSUPPORT)
                        CHECK_INT(header.version, cases[i].bytes[2]);
                if (cases[i].want < 0)
                        CHECK_INT(wire_next(&r, &header, &body), cases[i].want);        /* and stays so */
        }
}

TEST(cut_frames_are_refused) {
        srandom(2);
        for (size_t t = 0; t < n_message_types; t++)
                for (unsigned round = 0; round < 4; round++) {
                        Message m, back = { .type = 1 };
                        WireWriter w = {};

                        random_message(message_types[t], &m);
                        REQUIRE(message_encode(&w, &m) == 0);
                        for (size_t n = 1; n < w.size; n++) {
                                /* Exactly n bytes, so that a sanitizer sees whoever reads on. */
                                uint8_t *cut = memcpy(malloc(n), w.data, n);
                                CHECK_INT(decode(cut, n, &back), -EBADMSG);
                                if (n >= WIRE_HEADER_SIZE) {    /* the same with a header that knows it */
                                        uint32_t size = (uint32_t) (n - WIRE_HEADER_SIZE);
                                        memcpy(cut + 6, &size, sizeof(size));
                                        int r = decode(cut, n, &back);
                                        CHECK(r == -EBADMSG || r == -E2BIG);
                                        CHECK_INT(back.type, 0);
                                        back.type = 1;
                                }
                                free(cut);
                        }
                        /* One byte too many is no better. */
                        uint32_t size = (uint32_t) (w.size + 1 - WIRE_HEADER_SIZE);
                        uint8_t *more = memcpy(malloc(w.size + 1), w.data, w.size);
                        more[w.size] = 0;
                        memcpy(more + 6, &size, sizeof(size));
                        CHECK_INT(decode(more, w.size + 1, &back), -EBADMSG);
                        free(more);
                        message_done(&m);
                        wire_writer_done(&w);
                }
}

TEST(changed_bytes_do_no_harm) {
        static const uint8_t masks[] = { 0xff, 0x01, 0x80 };
        unsigned n_accepted = 0;

        srandom(3);
        for (size_t t = 0; t < n_message_types; t++)
                for (unsigned round = 0; round < 4; round++) {
                        Message m, back;
                        WireWriter w = {};

                        random_message(message_types[t], &m);
                        REQUIRE(message_encode(&w, &m) == 0);
                        for (size_t i = 0; i < w.size; i++)
                                for (size_t k = 0; k < ELEMENTSOF(masks); k++) {
                                        w.data[i] ^= masks[k];
                                        if (decode(w.data, w.size, &back) == 0) {
                                                WireWriter again = {};
                                                CHECK_INT(message_encode(&again, &back), 0);
                                                wire_writer_done(&again);
                                                message_done(&back);
                                                n_accepted++;
                                        }
                                        w.data[i] ^= masks[k];
                                }
                        message_done(&m);
                        wire_writer_done(&w);
                }
        CHECK(n_accepted > 0);
}

/* ---- single fields ---- */

typedef struct Body {
        WireWriter w;
        WireReader r;
} Body;

static void body_done(Body *b) {
        wire_writer_done(&b->w);
}

static void turn_round(Body *b) {
        b->r = (WireReader) { .data = b->w.data + WIRE_HEADER_SIZE, .size = b->w.size - WIRE_HEADER_SIZE };
}

TEST(broken_values) {
        static const struct {
                const char *bytes;
                size_t size;
                int want;
        } cases[] = {
                { "\x00", 1, 0 },                                               /* nil */
                { "\x01\x01", 2, 0 },
                { "\x01\x02", 2, -EBADMSG },                                    /* neither true nor false */
                { "\x09", 1, -EBADMSG },                                        /* variants, functions, variables do not travel */
                { "\x08", 1, -EBADMSG },
                { "\x0a", 1, -EBADMSG },
                { "\xff", 1, -EBADMSG },
                { "\x02\x03\x00\x00\x00\x61\x62", 7, -EBADMSG },
                { "\x02\x02\x00\x00\x00\x61\x00", 7, 0 },                       /* str values are any bytes */
                { "\x02\xff\xff\xff\xff", 5, -E2BIG },
                { "\x05\x01\x00\x00\x00", 5, -EBADMSG },
                { "\x05\x00\x00\x00\x80", 5, -E2BIG },
                { "\x05\x02\x00\x00\x00\x00\x00", 7, 0 },
                { "\x06\x01\x00\x00\x00\x01\x00\x00", 8, 0 },                   /* {false: nil} */
                { "\x06\x01\x00\x00\x00\x00\x00", 7, -EBADMSG },                /* nil is no key */
                { "\x06\x01\x00\x00\x00\x05\x00\x00\x00\x00\x00", 11, -EBADMSG },       /* nor is a list */
                { "\x06\x01\x00\x00\x00\x07\x00\x00\x00\x00\x00", 11, 0 },      /* an empty struct is */
                { "\x06\x02\x00\x00\x00\x01\x00\x00\x01\x01\x00", 11, 0 },       /* {false: nil, true: nil} */
                { "\x06\x02\x00\x00\x00\x01\x01\x00\x01\x00\x00", 11, -EBADMSG },        /* not in order */
                { "\x06\x02\x00\x00\x00\x01\x00\x00\x01\x00\x00", 11, -EBADMSG },        /* one key twice */
                { "\x07\x01\x00\x00\x00\x01\x00\x00\x00\x61\x00", 11, 0 },      /* struct{a: nil} */
                { "\x07\x01\x00\x00\x00\x01\x00\x00\x00\xff\x00", 11, -EBADMSG },       /* names are UTF-8 */
                { "\x07\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00", 11, -EBADMSG },
                { "\x07\x01\x00\x00\x00\xff\xff\xff\xff\x00", 10, -EBADMSG },
                { "\x07\xe9\x03\x00\x00", 5, -E2BIG },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                WireReader r = { .data = (const uint8_t *) cases[i].bytes, .size = cases[i].size };
                Value v = VALUE_INT(7);
                wire_get_value(&r, &v);
                if (wire_finish(&r) != cases[i].want)
                        TEST_FAIL("case %zu: %d, not %d", i, r.error, cases[i].want);
                if (cases[i].want < 0)
                        CHECK_INT(v.kind, TYPE_NIL);
                value_done(&v);
        }
}

TEST(nesting_is_limited) {
        Value v = VALUE_INT(1);

        for (unsigned i = 1; i < VALUE_DEPTH_MAX; i++)
                REQUIRE(value_list(&v, &v, 1) == 0);
        for (unsigned extra = 0; extra < 2; extra++) {
                _cleanup_(body_done) Body b = {};
                wire_begin(&b.w, 1);
                wire_put_value(&b.w, v);
                CHECK_INT(wire_end(&b.w), extra ? -E2BIG : 0);
                if (!extra) {
                        _cleanup_(value_done) Value back = {};
                        turn_round(&b);
                        wire_get_value(&b.r, &back);
                        CHECK_INT(wire_finish(&b.r), 0);
                        CHECK(value_equal(v, back));
                        REQUIRE(value_list(&v, &v, 1) == 0);
                }
        }
        value_done(&v);

        uint8_t *deep = malloc(5 * 100000);     /* [[[[… */
        for (size_t i = 0; i < 100000; i++)
                memcpy(deep + 5 * i, "\x05\x01\x00\x00\x00", 5);
        WireReader r = { .data = deep, .size = 5 * 100000 };
        wire_get_value(&r, &v);
        CHECK_INT(r.error, -E2BIG);
        free(deep);
}

TEST(sizes_are_limited) {
        _cleanup_free_ char *text = malloc(WIRE_NAME_MAX + 2);
        _cleanup_(diag_done) Diag d = {}, back = {};
        Body b = {};

        memset(text, 'x', WIRE_NAME_MAX + 1);
        text[WIRE_NAME_MAX + 1] = '\0';
        wire_begin(&b.w, 1);
        wire_put_str(&b.w, text + 1);
        CHECK_INT(wire_end(&b.w), 0);
        wire_begin(&b.w, 1);
        wire_put_str(&b.w, text);
        CHECK_INT(wire_end(&b.w), -E2BIG);
        body_done(&b);

        /* A diagnostic is cut rather than lost, and between characters. */
        memcpy(text + WIRE_NAME_MAX - 1, "\xc3\xa4", 2);
        for (unsigned i = 0; i < DIAGS_MAX + 5; i++)
                diag_note(diag_set(&d, (Pos) {}, -EIO, "%s", text) ? &d : NULL, (Pos) {}, "note");
        wire_begin(&b.w, 1);
        wire_put_diag(&b.w, &d);
        REQUIRE(wire_end(&b.w) == 0);
        turn_round(&b);
        wire_get_diag(&b.r, &back);
        CHECK_INT(wire_finish(&b.r), 0);
        CHECK_INT(strlen(back.message), WIRE_NAME_MAX - 1);
        CHECK_INT(back.n_notes, DIAGS_MAX);
        body_done(&b);

        /* So is a line of a log. */
        WireWriter w = {};
        Message m = { .type = MESSAGE_TASK_LOG, .task_log.text = text }, log = {};
        CHECK_INT(message_encode(&w, &m), 0);
        REQUIRE(decode(w.data, w.size, &log) == 0);
        CHECK_INT(strlen(log.task_log.text), WIRE_NAME_MAX - 1);
        message_done(&log);
        m = (Message) { .type = MESSAGE_TASK_SEND, .task_send.key = text };
        CHECK_INT(message_encode(&w, &m), -E2BIG);
        wire_writer_done(&w);

        /* A body of more than the limit, from values that each are within it. */
        _cleanup_(value_done) Value half = {};
        _cleanup_free_ char *big = calloc(1, WIRE_BODY_MAX / 2);
        REQUIRE(value_str(&half, big, WIRE_BODY_MAX / 2) == 0);
        wire_begin(&b.w, 1);
        wire_put_value(&b.w, half);
        CHECK_INT(wire_end(&b.w), 0);
        size_t before = b.w.size;
        wire_begin(&b.w, 1);
        wire_put_value(&b.w, half);
        wire_put_value(&b.w, half);
        CHECK_INT(wire_end(&b.w), -E2BIG);
        CHECK_INT(b.w.size, before);
        body_done(&b);
}

TEST(names_are_text) {
        EdgeSpec e = { .from_kind = (char *) "file", .from_name = (char *) "\xff", .to_kind = (char *) "file", .to_name = (char *) "b" };
        WireWriter w = {};

        CHECK_INT(message_encode(&w, &(Message) { .type = MESSAGE_GRAPH_EDGE, .graph_edge.edge = e }), -EINVAL);
        e.from_name = NULL;
        CHECK_INT(message_encode(&w, &(Message) { .type = MESSAGE_GRAPH_EDGE, .graph_edge.edge = e }), -EINVAL);
        CHECK_INT(w.size, 0);

        /* And a reader does not rely on the writer. */
        e.from_name = (char *) "aaa";
        CHECK_INT(message_encode(&w, &(Message) { .type = MESSAGE_GRAPH_EDGE, .graph_edge.edge = e }), 0);
        Message back;
        uint8_t *name = memmem(w.data, w.size, "aaa", 3);
        name[1] = 0xff;
        CHECK_INT(decode(w.data, w.size, &back), -EBADMSG);
        name[1] = 0;
        CHECK_INT(decode(w.data, w.size, &back), -EBADMSG);
        wire_writer_done(&w);
}

TEST(metaparameters_out_of_range) {
        Meta m;
        Body b = {};

        meta_init(&m);
        m.delay = (uint64_t) INT64_MAX + 1;     /* the language has no such number */
        wire_begin(&b.w, 1);
        wire_put_meta(&b.w, &m);
        CHECK_INT(wire_end(&b.w), -ERANGE);

        m.delay = 0;
        m.retry = 7;
        wire_begin(&b.w, 1);
        wire_put_meta(&b.w, &m);
        CHECK_INT(wire_end(&b.w), 0);
        turn_round(&b);
        CHECK_INT(b.r.size, 4 + 1 + 8);         /* only what is not the default */
        b.w.data[WIRE_HEADER_SIZE + 4 + 1 + 2] = 1;     /* 65543 is no int16 */
        wire_get_meta(&b.r, &m);
        CHECK_INT(b.r.error, -EBADMSG);
        meta_done(&m);

        WireReader r = { .data = (const uint8_t *) "\x00\x00\x00\x80", .size = 4 };      /* a parameter nobody knows */
        wire_get_meta(&r, &m);
        CHECK_INT(r.error, -EBADMSG);
        meta_done(&m);
        body_done(&b);
}

TEST(readers_stay_failed) {
        WireReader r = { .data = (const uint8_t *) "\x05", .size = 1 };
        Pos pos;

        CHECK_INT(wire_get_u64(&r), 0);
        CHECK_INT(r.error, -EBADMSG);
        CHECK(!wire_get_bool(&r) && wire_get_u32(&r) == 0 && wire_get_i32(&r) == 0 && !wire_get_str(&r));
        wire_get_pos(&r, &pos);
        CHECK(!pos.file && pos.line == 0);
        CHECK_INT(wire_finish(&r), -EBADMSG);
}

/* ---- memory ---- */

/* What a frame can make us allocate, per byte of it: the worst is a list of nils, sixteen bytes of memory for one. */
TEST(memory_is_proportional_to_the_bytes) {
        enum { SIZE = 1 << 20 };
        _cleanup_free_ uint8_t *data = malloc(SIZE);

        if (!alloc_counts_bytes())
                TEST_SKIP("a sanitizer owns the memory");

        /* Lists in lists, each claiming all the rest, with nothing behind them. */
        for (size_t i = 0; i + 5 <= SIZE; i += 5) {
                uint32_t n = SIZE / 2;
                data[i] = TYPE_LIST;
                memcpy(data + i + 1, &n, sizeof(n));
        }
        Value v;
        WireReader r = { .data = data, .size = SIZE };
        alloc_reset_peak();
        size_t before = alloc_bytes();
        wire_get_value(&r, &v);
        CHECK(r.error < 0);
        CHECK(alloc_peak() - before < SIZE);
        CHECK_INT(alloc_bytes(), before);

        /* As many nils as fit. */
        memset(data, 0, SIZE);
        data[0] = TYPE_LIST;
        uint32_t n = SIZE - 5;
        memcpy(data + 1, &n, sizeof(n));
        r = (WireReader) { .data = data, .size = SIZE };
        alloc_reset_peak();
        wire_get_value(&r, &v);
        CHECK_INT(wire_finish(&r), 0);
        CHECK(alloc_peak() - before < 64 * (size_t) SIZE);
        value_done(&v);

        /* Fields of a resource that are promised and do not come. */
        static const uint8_t promise[] = { 1, 0, 0, 0, 'k', 1, 0, 0, 0, 'n', 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                           0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0 };
        memset(data, 0xff, SIZE);
        memcpy(data, promise, sizeof(promise));
        r = (WireReader) { .data = data, .size = SIZE };
        ResourceSpec s;
        alloc_reset_peak();
        wire_get_resource(&r, &s);
        CHECK(r.error < 0);
        resource_spec_done(&s);
        CHECK(alloc_peak() - before < 4096);
        CHECK_INT(alloc_bytes(), before);
}

TEST(no_memory) {
        srandom(4);
        for (size_t t = 0; t < n_message_types; t++) {
                Message m, back = {};
                size_t before = alloc_bytes();
                uint64_t n;
                int r;

                random_message(message_types[t], &m);
                size_t with_message = alloc_bytes();
                for (n = 1;; n++) {
                        WireWriter w = {};
                        alloc_fail_at(n);
                        r = message_encode(&w, &m);
                        if (r >= 0)
                                r = decode(w.data, w.size, &back);
                        bool failed = alloc_failed();
                        message_done(&back);
                        wire_writer_done(&w);
                        CHECK_INT(alloc_bytes(), with_message);
                        if (!failed)
                                break;
                        CHECK_INT(r, -ENOMEM);
                }
                CHECK_INT(r, 0);
                message_done(&m);
                CHECK_INT(alloc_bytes(), before);
        }
}

TEST_MAIN()
