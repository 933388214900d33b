/* SPDX-License-Identifier: GPL-3.0-or-later */

/* history: each value comes when it is old enough, and none before; what has to be kept has a limit. */

#include "tests/daemons/lang/source-test.h"

/* When each of the values "a", "b", … was given and first said. */
typedef struct Timeline {
        int64_t given[8], said[8];
        char order[9];          /* of the values that were said, one behind the other */
        int64_t looked, longest;        /* when we looked last, and for how long we did not */
} Timeline;

static void look(Timeline *t, const Call *c) {
        size_t n = strlen(t->order);
        int64_t now = now_msec();

        t->longest = MAX(t->longest, t->looked > 0 ? now - t->looked : 0);
        t->looked = now;
        if (n > 0 && t->order[n - 1] == c->text[1])
                return;
        t->order[n] = c->text[1];
        t->said[c->text[1] - 'a'] = now;
}

static void run_for(Stage *stage, Timeline *t, const Call *c, int64_t msec) {
        int64_t end = now_msec() + msec;

        while (now_msec() < end) {
                (void) sd_event_run(stage->event, TURN_USEC);
                look(t, c);
        }
}

static void give(Timeline *t, Call *c, const char *value) {
        t->given[value[1] - 'a'] = now_msec();
        CHECK_INT(call_change(c, value, "300", NULL), 0);
        look(t, c);
}

TEST(values_come_when_they_are_old_enough) {
        size_t fds = count_fds();
        Timeline t = {};
        Stage stage;
        Call c = {};

        stage_start(&stage);
        CHECK_INT(call_open(&stage, &c, "history", "\"a\"", "300", NULL), 0);
        look(&t, &c);
        run_for(&stage, &t, &c, 100);
        give(&t, &c, "\"b\"");
        run_for(&stage, &t, &c, 100);
        give(&t, &c, "\"c\"");
        run_for(&stage, &t, &c, 400);
        give(&t, &c, "\"d\"");
        for (int64_t end = now_msec() + PATIENCE_MSEC; !streq_ptr(c.text, "\"d\"") && now_msec() < end;)
                run_for(&stage, &t, &c, 1);
        CHECK_STR(c.text, "\"d\"");
        if (t.longest < 50)             /* else a busy machine may have had two of them come at once */
                CHECK_STR(t.order, "abcd");
        for (int i = 1; i < 4; i++)
                if (t.said[i] > 0 && t.said[i] - t.given[i] < 299)
                        TEST_FAIL("%c came after %d ms", 'a' + i, (int) (t.said[i] - t.given[i]));
        CHECK(c.n_said <= 7);           /* four values, and an answer to each of three changes: no ticks in between */
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

/* Far more changes within the time than are kept; the value follows nevertheless. */
TEST(fast_changes_are_kept_as_one) {
        Stage stage;
        Call c = {};
        char text[32];
        int64_t start, n = 0;

        stage_start(&stage);
        CHECK_INT(call_open(&stage, &c, "history", "0", "200", NULL), 0);
        start = now_msec();
        while (now_msec() - start < 400 || n <= 300) {
                (void) snprintf(text, sizeof(text), "%d", (int) (now_msec() - start));
                CHECK_INT(call_change(&c, text, "200", NULL), 0);
                if (++n % 64 == 0)
                        (void) sd_event_run(stage.event, 0);
                if (c.n_history == ELEMENTSOF(c.history))
                        while (c.n_history > 0)
                                value_done(&c.history[--c.n_history]);
        }
        CHECK(now_msec() - start - atoll(c.text) >= 195);
        CHECK_SAYS(&c, text);
        call_close(&c);
        stage_end(&stage);
}

TEST_MAIN()
