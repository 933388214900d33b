/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What runs when: order, failures, retries, notifications, semaphores, metaparameters. */

#include "daemons/engine/local-host.h"
#include "daemons/engine/semaphore.h"
#include "tests/daemons/engine/engine-test.h"

/* What the first run of a graph does, and what an event at one vertex does after that. */
TEST(order) {
        static const struct {
                const char *graph, *first, *event, *then;
        } cases[] = {
                { "a b c a>b b>c", "a b c", "c", "c" },
                { "c b a a>b b>c", "a b c", "a", "a" },
                { "a b c d a>b a>c b>d c>d", "a b c d", "b", "b" },
                { "a b c d d>a c>a b>a", "b c d a", "b", "b" },
                { "a b", "a b", "b", "b" },
                { "a:always b a>b", "a+ b", "a", "a+" },
                { "a:always b a=>b", "a+ b*", "a", "a+ b*" },
                { "a b a=>b", "a b", "a", "a" },                                        /* nothing was done, nobody is told */
                { "a:always plain.b a=>plain.b", "a+ b", "a", "a+" },                   /* does not know what to do with it */
                { "a:always b:always c a=>b b=>c", "a+ b*+ c*", "b", "b+ c*" },
                { "a:always b:always c b=>c a=>c", "a+ b+ c*", "a", "a+ c*" },          /* several become one */
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                ENGINE(e);
                CHECK_INT(swap(&e, true, cases[i].graph), 0);
                run(&e);
                CHECK_TRACE(cases[i].first);
                touch(&e, cases[i].event);
                run(&e);
                CHECK_TRACE(cases[i].then);
                CHECK_INT(e.m->scheduler.n_unsettled, 0);
        }
}

TEST(nothing_runs_before_its_watch_is_armed) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:late b a>b"), 0);
        run(&e);
        touch(&e, "a");
        run(&e);
        CHECK_TRACE("");
        CHECK_STR(state_of(&e, "a"), "waiting");
        resource_armed(find_vertex(&e, "a")->resource);
        run(&e);
        CHECK_TRACE("a b");
}

TEST(independent_attempts_overlap) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:pending b:pending c a>c b>c"), 0);
        run(&e);
        CHECK_TRACE("a? b?");
        finish(&e, "a", CHECK_OK);
        run(&e);
        CHECK_TRACE("");
        CHECK_STR(state_of(&e, "c"), "waiting");
        finish(&e, "b", CHECK_OK);
        run(&e);
        CHECK_TRACE("c");
}

TEST(a_failure_stops_what_depends_on_it_and_nothing_else) {
        ENGINE(e);

        set(world.failures, "a", 1);
        CHECK_INT(swap(&e, true, "a b c x y a>b b>c x>y"), 0);
        run(&e);
        CHECK_TRACE("a! x y");
        CHECK_STR(state_of(&e, "a"), "failed");
        CHECK_STR(state_of(&e, "b"), "waiting");
        CHECK(find_vertex(&e, "b")->blocker == find_vertex(&e, "a"));
        CHECK_STR(find_vertex(&e, "a")->error.message, "told to fail");
}

/* Who has given up makes another attempt when there is news, and rests in between if that came to nothing. */
TEST(news_for_those_who_have_given_up) {
        static const struct { const char *graph, *change, *news; } cases[] = {
                { "a:retry=1", "", "a!" },                      /* an event; the budget stays used up */
                { "b a b=>a", "b:always", "b+ a*!" },           /* a notification */
                { "b:out=1 a b~>a", "b:out=2", "b a<2 a!" },    /* another value */
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                ENGINE(e);
                set(world.failures, "a", 100);
                CHECK_INT(swap(&e, true, cases[i].graph), 0);
                run(&e);
                strbuf_done(&world.trace);
                CHECK_STR(state_of(&e, "a"), "failed");
                if (*cases[i].change)
                        CHECK_INT(swap(&e, false, cases[i].change), 0);
                else
                        touch(&e, "a");
                run(&e);
                CHECK_TRACE(cases[i].news);
                CHECK_STR(state_of(&e, "a"), "failed");
                CHECK_INT(e.m->scheduler.n_unsettled, 0);
        }
}

/* A watch that breaks may be had again, whatever the reason. */
TEST(a_broken_watch_of_a_path) {
        ENGINE(e);

        e.m->fallback_poll_usec = 3600000000;
        CHECK_INT(swap(&e, true, "a:quiet b a>b"), 0);
        run(&e);
        CHECK_TRACE("watch:a a b");
        local_host_path_changed(NULL, -ESTALE, find_vertex(&e, "a")->resource);
        run(&e);
        CHECK_TRACE("unwatch:a a");     /* looked at without one */
        CHECK_STR(state_of(&e, "a"), "ok");
        e.m->fallback_poll_usec = 1000;
        CHECK_INT(swap(&e, false, "a:nowatch"), 0);
        run(&e);
        CHECK_STR(state_of(&e, "a"), "failed");         /* it never had one */
        strbuf_done(&world.trace);

        CHECK_INT(swap(&e, false, "a:quiet"), 0);
        run(&e);
        CHECK_TRACE("watch:a a");
        local_host_path_changed(NULL, -ESTALE, find_vertex(&e, "a")->resource);
        run(&e);
        CHECK_TRACE("unwatch:a a");
        CHECK(RUN_UNTIL(&e, world.trace.size > 0));
        run(&e);
        CHECK_TRACE("watch:a a");       /* watched again, and what was missed is seen */
        run_for(&e, 5000);
        CHECK_TRACE("");
}

TEST(who_gives_up_again_and_again_rests) {
        static const uint64_t rest_usec = UINT64_C(1000000000);
        ENGINE(e);
        uint64_t begin;

        e.m->rest_usec = rest_usec;
        set(world.failures, "a", 3);
        CHECK_INT(swap(&e, true, "a:quiet b a>b"), 0);
        run(&e);
        begin = clock_usec();
        touch(&e, "a");
        run(&e);
        CHECK_TRACE("watch:a a! a!");
        for (int i = 0; i < 5; i++)
                touch(&e, "a");
        run(&e);
        CHECK_TRACE("");
        CHECK_STR(state_of(&e, "a"), "failed");
        CHECK_INT(e.m->scheduler.n_unsettled, 1);       /* b */
        CHECK(is_due(find_vertex(&e, "a")->delay_timer, rest_usec, begin, clock_usec()));
        begin = clock_usec();
        elapse(find_vertex(&e, "a")->delay_timer);
        run(&e);
        CHECK_TRACE("a!");
        touch(&e, "a");
        run(&e);
        CHECK_TRACE("");
        CHECK(is_due(find_vertex(&e, "a")->delay_timer, 2 * rest_usec, begin, clock_usec()));   /* longer each time */
        elapse(find_vertex(&e, "a")->delay_timer);
        run(&e);
        CHECK_TRACE("a b");

        /* a success, and all that is forgotten */
        set(world.failures, "a", 2);
        touch(&e, "a");
        run(&e);
        touch(&e, "a");
        run(&e);
        CHECK_TRACE("a! a!");
        CHECK_INT(swap(&e, false, "-a"), 0);
        CHECK_TRACE("unwatch:a done:a");
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata) {
        ++*(unsigned *) userdata;
        (void) sd_event_source_set_time_relative(source, 1000);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* 200 checks of half a millisecond, ready at once: who shares the loop is not kept waiting for all of them. */
TEST(a_long_queue_leaves_the_loop_to_others) {
        ENGINE(e);
        ChangeSet set_ = { .generation = 1, .full = true };
        sd_event_source *timer;
        unsigned n_ticks = 0;

        for (unsigned i = 0; i < 200; i++) {
                char word[16];
                (void) snprintf(word, sizeof(word), "v%u:busy", i);
                add_put(&set_, word);
        }
        CHECK_INT(graph_swap(e.m, &set_, &e.options, &e.diag), 0);
        change_set_done(&set_);
        REQUIRE(sd_event_add_time_relative(e.event, &timer, CLOCK_MONOTONIC, 0, 1, on_tick, &n_ticks) >= 0);
        while (e.m->scheduler.n_unsettled > 0)
                REQUIRE(sd_event_run(e.event, UINT64_MAX) >= 0);
        CHECK(n_ticks >= 4);
        sd_event_source_disable_unref(timer);
        free(strbuf_take(&world.trace));
}

TEST(retries) {
        static const struct {
                const char *graph, *trace, *state;
                unsigned failures;
        } cases[] = {
                { "a", "a!", "failed", 1 },
                { "a:retry=1", "a! a", "ok", 1 },
                { "a:retry=1", "a! a!", "failed", 2 },
                { "a:retry=3", "a! a! a! a", "ok", 3 },
                { "a:retry=-1", "a! a! a! a! a! a! a! a! a", "ok", 8 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                ENGINE(e);
                set(world.failures, "a", cases[i].failures);
                CHECK_INT(swap(&e, true, cases[i].graph), 0);
                run(&e);
                CHECK_TRACE(cases[i].trace);
                CHECK_STR(state_of(&e, "a"), cases[i].state);
        }
}

TEST(the_retry_budget_survives_a_change_but_not_with_reset) {
        ENGINE(e);

        set(world.failures, "a", 2);
        CHECK_INT(swap(&e, true, "a:retry=1"), 0);
        run(&e);
        CHECK_TRACE("a! a!");
        set(world.failures, "a", 1);
        CHECK_INT(swap(&e, true, "a:retry=1,x=y"), -EINVAL);    /* no such field: nothing happened */
        CHECK_INT(swap(&e, true, "a:retry=1,out=2"), 0);
        run(&e);
        CHECK_TRACE("a!");
        set(world.failures, "a", 1);
        CHECK_INT(swap(&e, true, "a:retry=1,out=3,reset"), 0);
        run(&e);
        CHECK_TRACE("a! a");
}

TEST(retryreset_refills_the_budget) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:retry=1,retryreset b:retry=1"), 0);
        run(&e);
        CHECK_TRACE("a b");
        for (int i = 0; i < 2; i++) {
                set(world.failures, "a", 1);
                set(world.failures, "b", 1);
                touch(&e, "a");
                touch(&e, "b");
                run(&e);
        }
        CHECK_STR(state_of(&e, "a"), "ok");
        CHECK_STR(state_of(&e, "b"), "failed");
}

TEST(a_delay_comes_before_the_retry) {
        ENGINE(e);
        uint64_t begin = clock_usec();

        set(world.failures, "a", 1);
        CHECK_INT(swap(&e, true, "a:retry=1,delay=3600000"), 0);
        run(&e);
        CHECK_TRACE("a!");
        CHECK_STR(state_of(&e, "a"), "retrying");
        touch(&e, "a");         /* is no reason to be earlier */
        run(&e);
        CHECK_TRACE("");
        CHECK(is_due(find_vertex(&e, "a")->delay_timer, UINT64_C(3600000000), begin, clock_usec()));

        set(world.failures, "b", 1);
        begin = clock_usec();
        CHECK_INT(swap(&e, true, "b:retry=1,delay=30"), 0);
        CHECK(RUN_UNTIL(&e, e.m->scheduler.n_unsettled == 0));
        CHECK_TRACE("b! b");
        CHECK(clock_usec() - begin >= 30000);
}

TEST(an_event_during_an_attempt_makes_another) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:pending b a>b"), 0);
        run(&e);
        touch(&e, "a");
        touch(&e, "a");
        run(&e);
        CHECK_TRACE("a?");
        finish(&e, "a", CHECK_OK);
        run(&e);
        CHECK_TRACE("a?");      /* b waits: a is not clean */
        finish(&e, "a", CHECK_OK);
        run(&e);
        CHECK_TRACE("b");
}

TEST(waiting_is_no_failure) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:need b a>b"), 0);
        run(&e);
        CHECK_TRACE("a~");
        CHECK_STR(state_of(&e, "a"), "waiting");
        CHECK_STR(find_vertex(&e, "a")->error.message, "told to wait");
        touch(&e, "a");
        run(&e);
        CHECK_TRACE("a~");
        set(world.pending, "a", 1);
        touch(&e, "a");
        run(&e);
        CHECK_TRACE("a b");
        CHECK(!find_vertex(&e, "a")->error.message);
}

TEST(a_failed_watch_cancels_the_attempt_and_starts_again) {
        ENGINE(e);
        Diag diag = {};

        CHECK_INT(swap(&e, true, "a:pending+quiet,retry=1"), 0);
        run(&e);
        CHECK_TRACE("watch:a a?");
        resource_watch_failed(find_vertex(&e, "a")->resource, -EIO, &diag);
        run(&e);
        CHECK_TRACE("a/ unwatch:a watch:a a?");
        finish(&e, "a", CHECK_OK);
        CHECK_STR(state_of(&e, "a"), "ok");
        resource_watch_failed(find_vertex(&e, "a")->resource, -EIO, &diag);
        run(&e);
        CHECK_TRACE("unwatch:a");
        CHECK_STR(state_of(&e, "a"), "failed");
        CHECK_STR(find_vertex(&e, "a")->error.message, "cannot watch: Input/output error");
        diag_done(&diag);
}

TEST(a_watch_that_cannot_start_is_retried) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:nowatch+quiet,retry=2 b"), 0);
        run(&e);
        CHECK_TRACE("watch:a unwatch:a b watch:a unwatch:a watch:a unwatch:a");
        CHECK_STR(state_of(&e, "a"), "failed");
}

/* No retry is spent on it. Its predecessor may bring the service about; else it is asked for now and then. */
TEST(a_watch_whose_service_is_not_there_waits) {
        ENGINE(e);

        set(world.failures, "p", 1);
        CHECK_INT(swap(&e, true, "p:retry=1,delay=3600000 a:service b p>a a>b"), 0);
        run(&e);
        CHECK_TRACE("p! watch:a~");
        CHECK_STR(state_of(&e, "a"), "waiting");
        CHECK_STR(find_vertex(&e, "a")->error.message, "told that there is no service");
        set(world.services, "a", 1);
        run(&e);
        CHECK_TRACE("");
        elapse(find_vertex(&e, "p")->delay_timer);
        run(&e);
        CHECK_TRACE("p a b");
        CHECK_STR(state_of(&e, "a"), "ok");
        CHECK(!find_vertex(&e, "a")->error.message);
}

TEST(a_watch_that_waits_is_tried_again) {
        ENGINE(e);

        e.m->watch_wait_usec = 3600000000;
        CHECK_INT(swap(&e, true, "a:service"), 0);
        run(&e);
        CHECK_TRACE("watch:a~");
        touch(&e, "a");         /* the kind sees something */
        run(&e);
        CHECK_TRACE("watch:a~");
        set(world.services, "a", 1);
        run(&e);
        CHECK_TRACE("");
        elapse(find_vertex(&e, "a")->delay_timer);
        run(&e);
        CHECK_TRACE("a");
        CHECK_INT(e.m->scheduler.n_unsettled, 0);
}

/* Later each time, as long as it is in vain. */
TEST(a_watch_that_waits_is_waited_for_with_patience) {
        ENGINE(e);

        CHECK(e.m->watch_wait_usec >= 100000 && e.m->watch_wait_usec <= 1000000);
        e.m->watch_wait_usec = 3600000000;
        uint64_t begin = clock_usec();
        CHECK_INT(swap(&e, true, "a:service"), 0);
        for (unsigned i = 0; i < 10; i++) {
                run(&e);
                CHECK_TRACE("watch:a~");
                CHECK(is_due(find_vertex(&e, "a")->delay_timer, e.m->watch_wait_usec << MIN(i, 7u), begin, clock_usec()));
                begin = clock_usec();
                elapse(find_vertex(&e, "a")->delay_timer);
        }
}

/* It was there, and goes: the same. What was under way is as if it had not been. */
TEST(a_service_that_goes_is_waited_for) {
        ENGINE(e);

        set(world.services, "a", 1);
        CHECK_INT(swap(&e, true, "a:service+pending"), 0);
        run(&e);
        CHECK_TRACE("a?");
        set(world.services, "a", 0);
        resource_watch_failed(find_vertex(&e, "a")->resource, -EAGAIN, NULL);
        CHECK_TRACE("a/");
        CHECK_STR(state_of(&e, "a"), "waiting");
        set(world.services, "a", 1);
        touch(&e, "a");
        run(&e);
        CHECK_TRACE("a?");
        finish(&e, "a", CHECK_OK);
        CHECK_STR(state_of(&e, "a"), "ok");
}

TEST(timeout_cancels) {
        ENGINE(e);

        uint64_t begin = clock_usec();
        CHECK_INT(swap(&e, true, "a:pending,timeout=20"), 0);
        CHECK(RUN_UNTIL(&e, e.m->scheduler.n_unsettled == 0));
        CHECK(clock_usec() - begin >= 20000);
        CHECK_TRACE("a? a/");
        CHECK_STR(state_of(&e, "a"), "failed");
        CHECK_STR(find_vertex(&e, "a")->error.message, "timeout after 0.02 seconds");
}

TEST(noop_looks_and_does_nothing) {
        ENGINE(e);

        set(world.drift, "a", 1);
        CHECK_INT(swap(&e, true, "a:noop b:noop c a=>c b>c"), 0);
        run(&e);
        CHECK_TRACE("a b c");
        CHECK_STR(state_of(&e, "a"), "drifted");
        CHECK_STR(state_of(&e, "b"), "ok");
        CHECK_INT(e.m->scheduler.n_unsettled, 0);       /* as converged as it will ever be */
}

TEST(hidden_ones_are_passed_over) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:hidden,quiet b a>b"), 0);
        run(&e);
        CHECK_TRACE("b");
        CHECK_STR(state_of(&e, "a"), "ok");
        CHECK_INT(e.m->scheduler.n_unsettled, 0);
}

/* ... but they keep their place in the order, receive, and hand notifications to nobody. */
TEST(hidden_ones_are_ordered) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:pending,out=4 h:hidden,invalid,poll=1 b a>h h>b a~>h"), 0);
        run(&e);
        CHECK_TRACE("a?");
        CHECK_STR(state_of(&e, "h"), "waiting");
        finish(&e, "a", CHECK_CHANGED);
        run(&e);
        CHECK_TRACE("b");
        CHECK_INT(((Probe *) find_vertex(&e, "h")->resource)->in, 4);
        CHECK_INT(swap(&e, false, "h:hidden b a>h h=>b"), 0);
        run(&e);
        CHECK_TRACE("");
}

TEST(poll_in_place_of_a_watch) {
        ENGINE(e);

        uint64_t begin = clock_usec();
        CHECK_INT(swap(&e, true, "a:late,poll=1 b:late,poll=-1"), 0);
        CHECK(RUN_UNTIL(&e, world.trace.size >= strlen("a b a")));
        CHECK_TRACE("a b a");
        CHECK(clock_usec() - begin >= 1000000);
}

TEST(without_watches_it_is_polled) {
        ENGINE(e);
        uint64_t at;

        CHECK_INT(swap(&e, true, "a:full b a>b"), 0);
        run(&e);
        CHECK_TRACE("a b");
        CHECK_STR(state_of(&e, "a"), "ok");
        REQUIRE(find_vertex(&e, "a")->poll_timer);
        CHECK_INT(sd_event_source_get_enabled(find_vertex(&e, "a")->poll_timer, NULL), 1);
        CHECK(sd_event_source_get_time(find_vertex(&e, "a")->poll_timer, &at) >= 0);
        CHECK_INT(swap(&e, false, "a"), 0);
        run(&e);
        CHECK_TRACE("a");
        CHECK_INT(sd_event_source_get_enabled(find_vertex(&e, "a")->poll_timer, NULL), 0);
}

TEST(limit_holds_events_back) {
        ENGINE(e);
        uint64_t begin = clock_usec();

        CHECK_INT(swap(&e, true, "a:limit=0.001,burst=3"), 0);
        run(&e);
        CHECK_TRACE("a");       /* the first look takes a token as well */
        touch(&e, "a");
        run(&e);
        touch(&e, "a");
        run(&e);
        CHECK_TRACE("a a");
        touch(&e, "a");
        touch(&e, "a");
        run(&e);
        CHECK_TRACE("");
        CHECK(is_due(find_vertex(&e, "a")->limit_timer, 1000000000, begin, clock_usec()));
        elapse(find_vertex(&e, "a")->limit_timer);
        run(&e);
        CHECK_TRACE("a");

        begin = clock_usec();
        CHECK_INT(swap(&e, true, "b:limit=20,burst=1"), 0);
        run(&e);
        touch(&e, "b");
        CHECK(RUN_UNTIL(&e, world.trace.size > 1));
        CHECK_TRACE("b b");
        CHECK(clock_usec() - begin >= 50000);
}

TEST(a_limit_of_nothing_is_the_burst) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "n:always a:limit=0,burst=2"), 0);
        run(&e);
        for (int i = 0; i < 5; i++) {
                touch(&e, "a");
                run(&e);
        }
        CHECK_TRACE("n+ a a");
        CHECK_STR(state_of(&e, "a"), "ok");
        CHECK_INT(swap(&e, false, "n=>a"), 0);
        touch(&e, "n");
        run(&e);
        CHECK_TRACE("n+ a*");   /* the graph itself is not limited */
}

TEST(semaphores) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:pending,sema=x:2 b:pending,sema=x:2,sema=x:2 c:pending,sema=x:2 d:pending,sema=y,sema=x:2"), 0);
        run(&e);
        CHECK_TRACE("a? b?");
        finish(&e, "b", CHECK_OK);
        run(&e);
        CHECK_TRACE("c?");
        finish(&e, "a", CHECK_OK);
        run(&e);
        CHECK_TRACE("d?");
        finish(&e, "c", CHECK_OK);
        finish(&e, "d", CHECK_OK);
        CHECK_INT(e.m->scheduler.n_unsettled, 0);
}

/* c has the chance at x first but cannot use it: y is taken. d must get it. */
TEST(a_semaphore_is_not_lost_on_who_cannot_use_it) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:pending,sema=x b:pending,sema=y c:pending,sema=x,sema=y d:pending,sema=x"), 0);
        run(&e);
        CHECK_TRACE("a? b?");
        finish(&e, "a", CHECK_OK);
        run(&e);
        CHECK_TRACE("d?");
        finish(&e, "b", CHECK_OK);
        finish(&e, "d", CHECK_OK);
        run(&e);
        CHECK_TRACE("c?");
}

/* v is woken by the semaphore, but by then its predecessor is not clean any more: w must get the chance. */
TEST(a_semaphore_is_not_lost_on_who_must_wait_again) {
        ENGINE(e);

        set(world.pending, "p", 1);
        CHECK_INT(swap(&e, true, "p:need a:pending,sema=x v:sema=x w:sema=x p>v"), 0);
        run(&e);
        CHECK_TRACE("p a?");
        CHECK_STR(semaphores_taken(find_vertex(&e, "v")), "x");
        touch(&e, "p");
        run(&e);
        CHECK_TRACE("p~");
        finish(&e, "a", CHECK_OK);
        run(&e);
        CHECK_TRACE("w");
        set(world.pending, "p", 1);
        touch(&e, "p");
        run(&e);
        CHECK_TRACE("p v");
}

TEST(values_flow_before_the_receiver_runs) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:out=5 b a~>b"), 0);
        run(&e);
        CHECK_TRACE("a b<5 b");
        touch(&e, "b");
        run(&e);
        CHECK_TRACE("b");       /* the same value is no news */
        CHECK_INT(swap(&e, false, "a:out=6"), 0);
        run(&e);
        CHECK_TRACE("a b<6 b");
}

/* What was received and not used successfully is still new. */
TEST(received_is_sticky) {
        ENGINE(e);

        set(world.failures, "b", 1);
        CHECK_INT(swap(&e, true, "a:out=5 b:retry=1 a~>b"), 0);
        run(&e);
        CHECK_TRACE("a b<5 b! b<5 b");
}

TEST(many_predecessors_cost_no_more_than_their_number) {
        ENGINE(e);
        StrBuf line = {};
        unsigned n = 3000;

        for (unsigned i = 0; i < n; i++)
                strbuf_printf(&line, "p%u p%u>z ", i, i);
        strbuf_puts(&line, "z");
        CHECK_INT(swap(&e, true, line.data), 0);
        strbuf_done(&line);
        run(&e);
        char *text = strbuf_take(&world.trace);
        CHECK(endswith(text, " z"));
        free(text);
        CHECK_INT(e.m->scheduler.n_unsettled, 0);
}

/* The one that was woken fails before its turn comes: the next must have the chance. */
TEST(a_semaphore_is_not_lost_with_who_was_woken) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:pending,sema=x,noautogroup b:sema=x,noautogroup c:sema=x,noautogroup"), 0);
        run(&e);
        CHECK_TRACE("a?");
        resource_watch_failed(find_vertex(&e, "a")->resource, -EIO, NULL);
        resource_watch_failed(find_vertex(&e, "b")->resource, -EIO, NULL);
        run(&e);
        CHECK_TRACE("a/ c");
}

TEST_MAIN()
