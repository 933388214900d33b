/* SPDX-License-Identifier: GPL-3.0-or-later */

/* history: each value comes when it is old enough, and none before; what has to be kept has a limit. */

#include "tests/daemons/lang/source-test.h"

/* What it said and when, in steps of 100 ms since the start: "a@0 b@3". */
typedef struct Timeline {
        int64_t start;
        StrBuf text;
        unsigned n_seen;
} Timeline;

static void look(Timeline *t, const Call *c) {
        static char last[64];

        if (c->n_said == t->n_seen)
                return;
        t->n_seen = c->n_said;
        if (t->text.size > 0 && streq(last, c->text))
                return;
        (void) snprintf(last, sizeof(last), "%s", c->text);
        strbuf_printf(&t->text, "%s%.*s@%d", t->text.size > 0 ? " " : "", (int) strlen(c->text) - 2, c->text + 1,
                      (int) ((now_msec() - t->start + 20) / 100));
}

static void run_until(Stage *stage, Timeline *t, const Call *c, int64_t msec) {
        while (now_msec() - t->start < msec) {
                (void) sd_event_run(stage->event, TURN_USEC);
                look(t, c);
        }
}

TEST(values_come_when_they_are_old_enough) {
        size_t fds = count_fds();
        Timeline t = {};
        Stage stage;
        Call c = {};

        stage_start(&stage);
        t.start = now_msec();
        CHECK_INT(call_open(&stage, &c, "history", "\"a\"", "300", NULL), 0);
        look(&t, &c);
        run_until(&stage, &t, &c, 100);
        CHECK_INT(call_change(&c, "\"b\"", "300", NULL), 0);
        run_until(&stage, &t, &c, 200);
        CHECK_INT(call_change(&c, "\"c\"", "300", NULL), 0);
        run_until(&stage, &t, &c, 600);
        CHECK_INT(call_change(&c, "\"d\"", "300", NULL), 0);
        run_until(&stage, &t, &c, 1000);
        CHECK_STR(t.text.data, "a@0 b@4 c@5 d@9");
        CHECK(c.n_said <= 7);           /* four values, and an answer to each of three changes: no ticks in between */
        strbuf_done(&t.text);
        call_close(&c);
        stage_end(&stage);
        CHECK_INT(count_fds(), fds);
}

TEST(another_time_begins_anew) {
        Stage stage;
        Call c = {};

        stage_start(&stage);
        CHECK_INT(call_open(&stage, &c, "history", "\"a\"", "100000", NULL), 0);
        CHECK_INT(call_change(&c, "\"b\"", "100000", NULL), 0);
        CHECK_STR(c.text, "\"a\"");
        CHECK_INT(call_change(&c, "\"b\"", "200000", NULL), 0);
        CHECK_STR(c.text, "\"b\"");
        CHECK_INT(call_change(&c, "\"c\"", "0", NULL), 0);
        CHECK_STR(c.text, "\"c\"");
        CHECK_INT(call_change(&c, "\"d\"", "0", NULL), 0);
        CHECK_STR(c.text, "\"d\"");             /* no time ago is now */
        CHECK_INT(call_change(&c, "\"e\"", "9223372036854775807", NULL), 0);
        CHECK_STR(c.text, "\"e\"");
        CHECK_INT(call_change(&c, "\"f\"", "9223372036854775807", NULL), 0);
        CHECK_STR(c.text, "\"e\"");
        CHECK(call_change(&c, "\"f\"", "-1", NULL) < 0);
        call_close(&c);
        CHECK(call_open(&stage, &c, "history", "\"a\"", "-1", NULL) < 0);
        CHECK_STR(c.text, "error: can't use a negative interval of -1");
        call_close(&c);
        stage_end(&stage);
}

/* A quarter of a million changes within the time: only some thousand of them are kept, and yet the value follows. */
TEST(fast_changes_are_kept_as_one) {
        Stage stage;
        Call c = {};
        char text[32];
        int64_t start, n = 0;

        stage_start(&stage);
        CHECK_INT(call_open(&stage, &c, "history", "0", "200", NULL), 0);
        start = now_msec();
        while (now_msec() - start < 400) {
                (void) snprintf(text, sizeof(text), "%d", (int) (now_msec() - start));
                CHECK_INT(call_change(&c, text, "200", NULL), 0);
                if (++n % 64 == 0)
                        (void) sd_event_run(stage.event, 0);
                if (c.n_history == ELEMENTSOF(c.history))
                        while (c.n_history > 0)
                                value_done(&c.history[--c.n_history]);
        }
        int64_t age = now_msec() - start - atoll(c.text);
        CHECK(n > 1000);
        CHECK(age >= 195 && age < 300);
        call_close(&c);
        stage_end(&stage);
}

TEST_MAIN()
