/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The host of functions against a scripted mgmt-lang, over a real channel. The functions here write down what is asked of them; a
 * script is a few messages, then what the functions saw and what mgmt-lang heard, as text. */

#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/ipc/source-server.h"
#include "common/strbuf.h"
#include "tests/test.h"

/* ---- functions that write down what happens ---- */

static StrBuf seen;
static unsigned n_room;
static Source *last;            /* the last one that was opened, until it is closed */

static void see(const char *what, const Source *s) {
        strbuf_printf(&seen, "%s(", what);
        for (size_t i = 0; i < s->n_args; i++) {
                strbuf_puts(&seen, i > 0 ? ", " : "");
                strbuf_value(&seen, s->args[i]);
        }
        strbuf_puts(&seen, "); ");
}

static int echo_open(Source *s, Diag *reterr) {
        see("open", s);
        CHECK(!last);
        last = s;
        source_set(s, value_ref(s->args[0]));
        return 0;
}

static int quiet_open(Source *s, Diag *reterr) {
        see("open", s);
        last = s;
        return 0;
}

static int failing_open(Source *s, Diag *reterr) {
        see("open", s);
        last = s;
        source_set(s, value_ref(s->args[0]));
        return diag_set(reterr, (Pos) {}, -EIO, "it broke");
}

static int change(Source *s, Diag *reterr) {
        see("change", s);
        if (streq(value_cstr(s->args[0]), "bad"))
                return diag_set(reterr, (Pos) {}, -EINVAL, "not bad");
        source_set(s, value_ref(s->args[0]));
        return 0;
}

static void fake_close(Source *s) {
        see("close", s);
        if (last == s)
                last = NULL;
}

static void taken(Source *s) {
        see("taken", s);
}

static int whole_open(Source *s, Diag *reterr) {
        _cleanup_free_ char *result = type_text(s->result);

        strbuf_printf(&seen, "%s %s %s %s %s; ", s->function, result, s->base, s->host->hostname, s->host->state_dir);
        return 0;
}

static const SourceType first_table[] = {
        { .name = "t.echo", .size = sizeof(Source), .takes = "func(str)", .open = echo_open, .close = fake_close },
        { .name = "t.quiet", .size = sizeof(Source), .takes = "func()", .open = quiet_open, .close = fake_close, .taken = taken },
        { .name = "t.fails", .size = sizeof(Source), .takes = "func(str)", .open = failing_open, .close = fake_close },
        {}
};
static const SourceType second_table[] = {
        { .name = "t.change", .size = sizeof(Source), .takes = "func(str)", .open = echo_open, .change = change, .close = fake_close },
        { .name = "t.whole", .size = sizeof(Source), .takes = "func([]int, a float)", .open = whole_open },
        { .name = "t.local", .size = sizeof(Source), .open = quiet_open, .close = fake_close },
        {}
};
static const SourceType *const tables[] = { first_table, second_table, NULL };

/* ---- the two ends ---- */

typedef struct Stage {
        sd_event *event;
        char directory[64], path[96];
        Channel *listener, *lang;
        SourceServer *server;
        StrBuf heard;
        unsigned n_connected;
        bool done;
} Stage;

#define LAST_QUESTION UINT64_MAX

static void on_message(Channel *c, PeerId peer, Message *m, void *userdata) {
        Stage *s = userdata;

        if (!source_server_message(s->server, c, peer, m))
                strbuf_printf(&s->heard, "(not the server's: %s) ", message_name(m->type));
}

static void on_gone(Channel *c, PeerId peer, void *userdata) {
        source_server_gone(((Stage *) userdata)->server, peer);
}

static void on_room(Channel *c, PeerId peer, void *userdata) {
        n_room++;
        source_server_room(((Stage *) userdata)->server, peer);
}

static void on_answer(Channel *c, PeerId peer, Message *m, void *userdata) {
        Stage *s = userdata;
        StrBuf *b = &s->heard;

        switch (m->type) {
        case MESSAGE_WELCOME:
                strbuf_puts(b, "welcome; ");
                break;
        case MESSAGE_SOURCE_VALUE:
                strbuf_printf(b, "%d/%u ", (int) m->source_value.id, m->source_value.question);
                if (m->source_value.value.kind == TYPE_STR && m->source_value.value.s->size > 100)
                        strbuf_printf(b, "%u bytes", m->source_value.value.s->size);
                else
                        strbuf_value(b, m->source_value.value);
                strbuf_puts(b, "; ");
                break;
        case MESSAGE_SOURCE_FAILED:
                if (m->source_failed.id == LAST_QUESTION) {
                        s->done = true;
                        break;
                }
                strbuf_printf(b, "%d/%u %s%s '%s'; ", (int) m->source_failed.id, m->source_failed.question,
                              strerrorname_np(-m->source_failed.diag.error), m->source_failed.catchable ? " (catchable)" : "",
                              m->source_failed.diag.message ?: "");
                break;
        default:
                strbuf_printf(b, "%s; ", message_name(m->type));
        }
}

static void on_connected(Channel *c, void *userdata) {
        ((Stage *) userdata)->n_connected++;
}

static const ChannelOps server_ops = { .message = on_message, .gone = on_gone, .room = on_room },
                        lang_ops = { .message = on_answer, .connected = on_connected };

static uint64_t now_usec(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

#define RUN_UNTIL(stage, condition) \
        ({ \
                uint64_t _end = now_usec() + 60000000; \
                while (!(condition) && now_usec() < _end) \
                        (void) sd_event_run((stage)->event, 10000); \
                CHECK(condition); \
        })

static void give(Stage *s, const Message *m) {
        CHECK_INT(channel_send(s->lang, 0, m), 0);
}

static void come(Stage *s) {
        s->n_connected = 0;
        CHECK_INT(channel_connect(&s->lang, s->event, s->path, &lang_ops, s), 0);
        RUN_UNTIL(s, s->n_connected == 1);
}

static void hello(Stage *s) {
        give(s, &(Message) { .type = MESSAGE_HELLO, .hello = { .role = (char *) "lang", .hostname = (char *) "h1" } });
}

static void stage_init(Stage *s) {
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0);

        *s = (Stage) { .directory = "/tmp/test-sources-XXXXXX" };
        CHECK(mkdtemp(s->directory));
        snprintf(s->path, sizeof(s->path), "%s/x.sock", s->directory);
        snprintf(a.sun_path, sizeof(a.sun_path), "%s", s->path);
        CHECK(bind(fd, (struct sockaddr *) &a, sizeof(a)) == 0 && listen(fd, 8) == 0);
        CHECK(sd_event_new(&s->event) >= 0);
        CHECK_INT(source_server_new(&s->server, tables, &(SourceHost) { .event = s->event, .state_dir = "/state" }), 0);
        CHECK_INT(channel_listen(&s->listener, s->event, fd, &server_ops, s), 0);
        strbuf_done(&seen);
        come(s);
}

static void stage_done(Stage *s) {
        source_server_free(s->server);
        CHECK(!last);
        channel_free(s->lang);
        channel_free(s->listener);
        strbuf_done(&s->heard);
        strbuf_done(&seen);
        sd_event_unref(s->event);
        (void) remove_tree(s->directory);
}

/* ---- the words of the scripts ---- */

static void ask_typed(Stage *s, uint64_t id, uint32_t question, const char *function, const char *args, const char *result) {
        _cleanup_(value_done) Value v = {};

        if (value_parse(args, NULL, &v, NULL) < 0)
                CHECK_INT(value_list(&v, NULL, 0), 0);
        give(s, &(Message) {
                        .type = MESSAGE_SOURCE_OPEN,
                        .source_open = { .id = id, .question = question, .function = (char *) function, .args = v,
                                         .result = (char *) result, .base = (char *) "/modules/" },
                });
}

static void ask(Stage *s, uint64_t id, uint32_t question, const char *function, const char *args) {
        ask_typed(s, id, question, function, args, "str");
}

static void leave_alone(Stage *s, uint64_t id) {
        give(s, &(Message) { .type = MESSAGE_SOURCE_CLOSE, .source_close.id = id });
}

static void take(Stage *s, uint64_t id, uint32_t question) {
        give(s, &(Message) { .type = MESSAGE_SOURCE_TAKEN, .source_taken = { .id = id, .question = question } });
}

static void say(const char *text) {
        Value v;

        CHECK_INT(value_strz(&v, text), 0);
        CHECK(last);
        if (last)
                source_set(last, v);
        else
                value_done(&v);
}

/* Waits until all that was sent is answered: what nobody serves is refused in its turn. */
static void settle(Stage *s) {
        s->done = false;
        ask(s, LAST_QUESTION, 0, "no.such", "[]");
        RUN_UNTIL(s, s->done);
        leave_alone(s, LAST_QUESTION);
}

static void check_text(const char *file, int line, StrBuf *got, const char *want) {
        _cleanup_free_ char *text = strbuf_take(got);

        if (!text || !streq(text, want)) {
                test_failures++;
                printf("# %s:%d: got\n#   %s\n# not\n#   %s\n", file, line, text ?: "(null)", want);
        }
}

/* What the functions saw and what mgmt-lang heard. */
#define EXPECT(stage, functions, lang) \
        do { \
                settle(stage); \
                check_text(__FILE__, __LINE__, &seen, (functions)); \
                check_text(__FILE__, __LINE__, &(stage)->heard, (lang)); \
        } while (0)

/* ---- the cases ---- */

TEST(life_of_a_call) {
        _cleanup_(stage_done) Stage s;

        stage_init(&s);
        hello(&s);
        ask(&s, 1, 1, "t.echo", "[\"a\"]");
        EXPECT(&s, "open(\"a\"); ", "welcome; 1/1 \"a\"; ");
        take(&s, 1, 1);
        EXPECT(&s, "", "");
        say("b");
        EXPECT(&s, "", "1/1 \"b\"; ");
        take(&s, 1, 1);
        leave_alone(&s, 1);
        EXPECT(&s, "close(); ", "");
        CHECK_INT(source_server_n_sources(s.server), 1);        /* the question of EXPECT is closed after it */
        leave_alone(&s, 1);
        take(&s, 1, 1);
        EXPECT(&s, "", "");
}

TEST(what_is_handed_on) {
        _cleanup_(stage_done) Stage s;

        stage_init(&s);
        hello(&s);
        ask_typed(&s, 7, 1, "t.whole", "[[1, 2], 0.5]", "map{str: struct{a int; b []bool}}");
        EXPECT(&s, "t.whole map{str: struct{a int; b []bool}} /modules/ h1 /state; ", "welcome; ");
        CHECK_INT(source_server_n_sources(s.server), 2);
}

TEST(what_cannot_be_asked) {
        static const struct { const char *function, *args, *result, *heard; } cases[] = {
                { "t.none",     "[]",                   "str",          "ENOSYS 'function `t.none` has no value here'" },
                { "",           "[]",                   "str",          "ENOSYS 'function `` has no value here'" },
                { "t.local",    "[]",                   "str",          "ENOSYS 'function `t.local` has no value here'" },
                { "t.echo",     "[]",                   "str",          "EBADMSG 'function takes 1 arguments'" },
                { "t.echo",     "[\"a\", \"b\"]",       "str",          "EBADMSG 'function takes 1 arguments'" },
                { "t.echo",     "\"a\"",                "str",          "EBADMSG 'function takes 1 arguments'" },
                { "t.echo",     "[1]",                  "str",          "EINVAL 'argument 1: base kind does not match (str != int)'" },
                { "t.echo",     "[\"a\"]",              "",             "EINVAL '" },
                { "t.echo",     "[\"a\"]",              "st",           "EINVAL '" },
                { "t.echo",     "[\"a\"]",              "map{[",        "EINVAL '" },
                { "t.fails",    "[\"a\"]",              "str",          "EIO 'it broke'" },
        };
        _cleanup_(stage_done) Stage s;

        stage_init(&s);
        hello(&s);
        EXPECT(&s, "", "welcome; ");
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *heard = NULL;

                ask_typed(&s, i, (uint32_t) i + 10, cases[i].function, cases[i].args, cases[i].result);
                settle(&s);
                /* what it said before it failed is under way, and the failure comes when that was taken */
                take(&s, i, (uint32_t) i + 10);
                settle(&s);
                heard = strbuf_take(&s.heard);
                if (!heard || !strstr(heard, cases[i].heard))
                        TEST_FAIL("%s%s %s: got %s", cases[i].function, cases[i].args, cases[i].result, heard ?: "");
        }
        check_text(__FILE__, __LINE__, &seen, "open(\"a\"); close(); ");
}

TEST(one_answer_at_a_time_and_the_newest) {
        _cleanup_(stage_done) Stage s;

        stage_init(&s);
        hello(&s);
        ask(&s, 1, 1, "t.quiet", "[]");
        EXPECT(&s, "open(); ", "welcome; ");
        take(&s, 1, 1);                 /* of nothing */
        EXPECT(&s, "", "");
        say("a");
        say("b");
        say("c");
        EXPECT(&s, "", "1/1 \"a\"; ");
        take(&s, 1, 7);                 /* of another question */
        EXPECT(&s, "", "");
        take(&s, 1, 1);
        EXPECT(&s, "", "1/1 \"c\"; ");
        source_failf(last, true, -EIO, "gone: %m");
        EXPECT(&s, "", "");
        take(&s, 1, 1);
        EXPECT(&s, "", "1/1 EIO (catchable) 'gone: Input/output error'; ");
        take(&s, 1, 1);                 /* and only when nothing waits is the function told */
        EXPECT(&s, "taken(); ", "");
        source_failf(last, false, -EIO, "gone");
        say("d");
        take(&s, 1, 1);
        EXPECT(&s, "", "1/1 EIO 'gone'; 1/1 \"d\"; ");
}

TEST(another_question) {
        _cleanup_(stage_done) Stage s;

        stage_init(&s);
        hello(&s);
        ask(&s, 1, 1, "t.echo", "[\"a\"]");
        ask(&s, 1, 2, "t.echo", "[\"b\"]");
        EXPECT(&s, "open(\"a\"); close(); open(\"b\"); ", "welcome; 1/1 \"a\"; 1/2 \"b\"; ");
        take(&s, 1, 1);                 /* too late: it does not make room for an answer to the second */
        EXPECT(&s, "", "");
        say("c");
        EXPECT(&s, "", "");
        ask(&s, 1, 3, "t.change", "[\"d\"]");
        EXPECT(&s, "close(); open(\"d\"); ", "1/3 \"d\"; ");
        say("e");
        ask(&s, 1, 4, "t.change", "[\"f\"]");
        EXPECT(&s, "change(\"f\"); ", "1/4 \"f\"; ");
        ask_typed(&s, 1, 5, "t.change", "[\"f\"]", "int");
        EXPECT(&s, "close(); open(\"f\"); ", "1/5 \"f\"; ");
        ask_typed(&s, 1, 6, "t.change", "[\"bad\"]", "int");
        EXPECT(&s, "change(\"bad\"); close(); ", "1/6 EINVAL 'not bad'; ");
        ask_typed(&s, 1, 7, "t.change", "[\"good\"]", "int");
        EXPECT(&s, "open(\"good\"); ", "1/7 \"good\"; ");
        ask_typed(&s, 1, 8, "t.change", "[1]", "int");
        EXPECT(&s, "close(); ", "1/8 EINVAL 'argument 1: base kind does not match (str != int)'; ");
}

TEST(peers_come_and_go) {
        _cleanup_(stage_done) Stage s;

        stage_init(&s);
        ask(&s, 1, 1, "t.echo", "[\"a\"]");
        take(&s, 1, 1);
        leave_alone(&s, 1);
        EXPECT(&s, "", "1/1 EPERM 'only a program that said HELLO may ask'; ");
        give(&s, &(Message) { .type = MESSAGE_HELLO, .hello.role = (char *) "engine" });
        EXPECT(&s, "", "(not the server's: HELLO) ");
        hello(&s);
        ask(&s, 1, 1, "t.echo", "[\"a\"]");
        EXPECT(&s, "open(\"a\"); ", "welcome; 1/1 \"a\"; ");
        hello(&s);
        EXPECT(&s, "close(); ", "welcome; ");
        ask(&s, 1, 1, "t.echo", "[\"a\"]");
        EXPECT(&s, "open(\"a\"); ", "1/1 \"a\"; ");

        /* it is gone, and what it asked for with it; and back */
        s.lang = channel_free(s.lang);
        RUN_UNTIL(&s, source_server_n_sources(s.server) == 0);
        check_text(__FILE__, __LINE__, &seen, "close(); ");
        come(&s);
        hello(&s);
        ask(&s, 1, 1, "t.echo", "[\"b\"]");
        EXPECT(&s, "open(\"b\"); ", "welcome; 1/1 \"b\"; ");
}

/* More than fits into the queue of a peer that does not read: the rest waits, and comes. */
TEST(nothing_is_lost_for_want_of_room) {
        enum { N = 150 };
        _cleanup_(stage_done) Stage s;
        _cleanup_(value_done) Value big = {};
        Source *sources[N];
        _cleanup_free_ char *text = malloc(1024 * 1024);
        unsigned n = 0;

        stage_init(&s);
        hello(&s);
        settle(&s);
        strbuf_done(&s.heard);
        REQUIRE(text);
        memset(text, 'x', 1024 * 1024);
        CHECK_INT(value_str(&big, text, 1024 * 1024), 0);
        for (unsigned i = 0; i < N; i++) {
                ask(&s, i, 1, "t.quiet", "[]");
                settle(&s);
                sources[i] = last;
        }
        for (unsigned i = 0; i < N; i++)
                source_set(sources[i], value_ref(big));
        RUN_UNTIL(&s, s.heard.data && endswith(s.heard.data, "149/1 1048576 bytes; "));
        for (const char *t = s.heard.data; (t = strstr(t, "1048576 bytes")); t++)
                n++;
        CHECK_INT(n, N);
        CHECK_INT(n_room, 2);           /* 64 MiB at a time */
}

TEST(what_cannot_travel_is_told) {
        _cleanup_(stage_done) Stage s;
        Value v = {};

        stage_init(&s);
        hello(&s);
        ask(&s, 1, 1, "t.quiet", "[]");
        settle(&s);
        REQUIRE(last);
        for (unsigned i = 0; i < VALUE_DEPTH_MAX + 1; i++) {
                Value item = v;
                CHECK_INT(value_list(&v, &item, 1), 0);
        }
        source_set(last, v);
        EXPECT(&s, "open(); ", "welcome; 1/1 E2BIG 'cannot send the value: Argument list too long'; ");
        take(&s, 1, 1);
        say("a");
        EXPECT(&s, "", "1/1 \"a\"; ");
}

TEST_MAIN()
