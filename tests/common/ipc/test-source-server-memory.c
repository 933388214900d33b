/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The host of functions when memory runs out: with whichever allocation fails, every question is answered, and the next ones are as
 * if nothing had happened. The channel is replaced by functions that count (ZeroMQ itself aborts without memory). */

#include "common/ipc/source-server.h"
#include "tests/common/alloc.h"
#include "tests/test.h"

/* ---- instead of common/ipc/channel.c ---- */

static unsigned n_values, n_failures, n_welcomes, n_refused;

int channel_send(Channel *c, PeerId peer, const Message *m) {
        n_welcomes += m->type == MESSAGE_WELCOME;
        n_refused += m->type == MESSAGE_ERROR;
        n_values += m->type == MESSAGE_SOURCE_VALUE;
        n_failures += m->type == MESSAGE_SOURCE_FAILED;
        return 0;
}

/* ---- a function ---- */

static int echo_open(Source *s, Diag *reterr) {
        _cleanup_free_ char *copy = strdup(value_cstr(s->args[0]));

        if (!copy)
                return -ENOMEM;
        source_set(s, value_ref(s->args[0]));
        return 0;
}

static const SourceType table[] = {
        { .name = "t.echo", .size = sizeof(Source), .takes = "func(str)", .open = echo_open, .change = echo_open },
        {}
};
static const SourceType *const tables[] = { table, NULL };

static void give(SourceServer *s, Message *m) {
        CHECK(source_server_message(s, (Channel *) &table, 7, m));      /* only compared */
}

static void hello(SourceServer *s) {
        give(s, &(Message) { .type = MESSAGE_HELLO, .hello = { .role = (char *) "lang", .hostname = (char *) "h" } });
}

static void ask(SourceServer *s, uint64_t id, uint32_t question, Value args) {
        give(s, &(Message) {
                        .type = MESSAGE_SOURCE_OPEN,
                        .source_open = { .id = id, .question = question, .function = (char *) "t.echo", .args = args,
                                         .result = (char *) "struct{a str; b []int}", .base = (char *) "/" },
                });
}

static void leave_alone(SourceServer *s, uint64_t id) {
        give(s, &(Message) { .type = MESSAGE_SOURCE_CLOSE, .source_close.id = id });
}

TEST(every_question_is_answered) {
        _cleanup_(value_done) Value args = {};
        SourceServer *s = NULL;
        uint64_t n;

        CHECK_INT(value_parse("[\"a\"]", NULL, &args, NULL), 0);
        CHECK_INT(source_server_new(&s, tables, &(SourceHost) { .state_dir = "/nowhere" }), 0);
        hello(s);
        ask(s, 1, 1, args);             /* texts of types that are parsed once stay */
        leave_alone(s, 1);
        source_server_gone(s, 7);
        for (n = 1; n < 1000; n++) {
                size_t before = alloc_bytes();
                bool failed;

                n_values = n_failures = n_welcomes = n_refused = 0;
                alloc_fail_at(n);
                hello(s);
                for (uint64_t id = 1; id <= 2; id++)
                        for (uint32_t question = 1; question <= 2; question++)
                                ask(s, id, question, args);
                failed = alloc_failed();
                CHECK_INT(n_welcomes + n_refused, 1);
                CHECK_INT(n_values + n_failures, 4);
                CHECK(failed || n_values == 4);

                /* whatever went wrong, what comes next is right */
                if (n_refused > 0)
                        hello(s);
                n_values = n_failures = 0;
                for (uint64_t id = 1; id <= 3; id++)
                        ask(s, id, 3, args);
                CHECK_INT(n_values, 3);
                CHECK_INT(n_failures, 0);
                CHECK_INT(source_server_n_sources(s), 3);
                leave_alone(s, 1);
                source_server_gone(s, 7);
                CHECK_INT(source_server_n_sources(s), 0);
                if (alloc_bytes() != before)
                        TEST_FAIL("%zu bytes were lost with allocation %" PRIu64, alloc_bytes() - before, n);
                if (!failed)
                        break;
        }
        CHECK(n > 10 && n < 1000);
        source_server_free(s);
}

TEST_MAIN()
