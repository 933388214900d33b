/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What attempts find wrong, and how far noop can see: values that are not there yet, failures behind what would be changed, and
 * notifications that would be sent. */

#include "daemons/engine/drift.h"
#include "tests/daemons/engine/engine-test.h"

static void check_drift(Engine *e, const char *id, const char *want, const char *file, int line) {
        _cleanup_free_ char *text = drift_text(find_vertex(e, id), true);

        if (!streq_ptr(text, want)) {
                test_failures++;
                printf("# %s:%d: %s is '%s', not '%s'\n", file, line, id, text ?: "(null)", want ?: "(null)");
        }
}

#define CHECK_DRIFT(id, want) check_drift(&e, (id), (want), __FILE__, __LINE__)

TEST(a_change_is_remembered) {
        ENGINE(e);

        set(world.drift, "a", 1);
        CHECK_INT(swap(&e, true, "a:right b"), 0);
        run(&e);
        CHECK_STR(find_vertex(&e, "a")->last_change, "param");
        CHECK(!find_vertex(&e, "b")->last_change);
        CHECK_DRIFT("a", NULL);
        touch(&e, "a");
        run(&e);
        CHECK_STR(find_vertex(&e, "a")->last_change, "param");        /* nothing was wrong any more */
}

TEST(noop_keeps_what_would_be_changed) {
        ENGINE(e);

        set(world.drift, "a", 1);
        CHECK_INT(swap(&e, true, "a:right,noop"), 0);
        run(&e);
        CHECK_STR(state_of(&e, "a"), "drifted");
        CHECK_DRIFT("a", "param: drifted -> right");
        set(world.drift, "a", 0);
        touch(&e, "a");
        run(&e);
        CHECK_STR(state_of(&e, "a"), "ok");
        CHECK_DRIFT("a", NULL);
        CHECK(!find_vertex(&e, "a")->last_change);
}

TEST(of_groups_each_member_says_its_own) {
        ENGINE(e);

        set(world.drift, "a", 1);
        set(world.drift, "b", 1);
        CHECK_INT(swap(&e, true, "a:one,noop,group=1 b:two,noop,group=1"), 0);
        run(&e);
        CHECK(find_vertex(&e, "a")->parent == find_vertex(&e, "b"));
        CHECK_DRIFT("b", "probe[a] param: drifted -> one\nparam: drifted -> two");
}

TEST(who_would_be_notified_says_so) {
        ENGINE(e);

        set(world.drift, "a", 1);
        CHECK_INT(swap(&e, true, "a:right,noop b:noop c:noop d:noop plain.e:noop a=>b b=>c b>d c=>plain.e"), 0);
        run(&e);
        CHECK_TRACE("a b* c* d e");
        CHECK_DRIFT("b", "refresh: notified by probe[a]");
        CHECK_DRIFT("c", "refresh: notified by probe[b]");      /* it would have acted on it */
        CHECK_STR(state_of(&e, "d"), "ok");
        CHECK_STR(state_of(&e, "plain.e"), "ok");               /* cannot be notified */

        set(world.drift, "a", 0);
        touch(&e, "a");
        run(&e);
        CHECK_STR(state_of(&e, "a"), "ok");
        CHECK_STR(state_of(&e, "b"), "ok");
        CHECK_STR(state_of(&e, "c"), "ok");
        CHECK_INT(e.m->scheduler.n_unsettled, 0);
}

TEST(failures_behind_a_change_are_unknown) {
        ENGINE(e);

        set(world.drift, "a", 1);
        set(world.failures, "b", 1);
        set(world.failures, "c", 1);
        set(world.failures, "d", 1);
        CHECK_INT(swap(&e, true, "a:right,noop x:noop b:noop c:need,noop d:noop a>x x>b a>c b>d"), 0);
        run(&e);
        CHECK_STR(state_of(&e, "x"), "ok");
        CHECK_STR(state_of(&e, "b"), "drifted");
        CHECK_DRIFT("b", "cannot be known yet: told to fail");
        CHECK_DRIFT("c", "cannot be known yet: told to fail");
        CHECK_DRIFT("d", "cannot be known yet: told to fail");
        CHECK_INT(e.m->scheduler.n_unsettled, 0);

        touch(&e, "c");                                         /* now it waits */
        run(&e);
        CHECK_STR(state_of(&e, "c"), "drifted");
        CHECK_DRIFT("c", "cannot be known yet: told to wait");

        set(world.drift, "a", 0);                               /* somebody has done it; guesses are made anew */
        set(world.failures, "b", 1);
        touch(&e, "a");
        run(&e);
        CHECK_STR(state_of(&e, "b"), "failed");                 /* for lack of an excuse */
        CHECK_STR(state_of(&e, "c"), "waiting");
}

TEST(failures_of_their_own_stay_failures) {
        ENGINE(e);

        set(world.failures, "a", 1);
        set(world.failures, "c", 1);
        set(world.drift, "b", 1);
        CHECK_INT(swap(&e, true, "a:noop b:right c b>c"), 0);
        run(&e);
        CHECK_STR(state_of(&e, "a"), "failed");
        CHECK_STR(state_of(&e, "c"), "failed");
        set(world.failures, "d", 1);
        set(world.drift, "b", 1);
        CHECK_INT(swap(&e, true, "b:right,noop d b>d"), 0);     /* d is no noop: it fails in earnest */
        run(&e);
        CHECK_STR(state_of(&e, "b"), "drifted");
        CHECK_STR(state_of(&e, "d"), "failed");
}

TEST(values_that_are_not_there_yet) {
        ENGINE(e);

        set(world.drift, "a", 1);
        CHECK_INT(swap(&e, true, "a:secretive,noop,out=5 b:noop a~>b"), 0);
        run(&e);
        CHECK_TRACE("a");                                       /* to look at b would tell nothing */
        CHECK_STR(state_of(&e, "b"), "drifted");
        CHECK_DRIFT("a", "param: drifted -> secretive");
        CHECK_DRIFT("b", "in cannot be known yet: probe[a] has to send it first");

        set(world.drift, "a", 0);
        touch(&e, "a");
        run(&e);
        CHECK_TRACE("a b<5 b");
        CHECK_STR(state_of(&e, "b"), "ok");
}

/* A plan looks once: it watches nothing, tries nothing again and does not wait. */
TEST(a_plan) {
        static const EngineOptions plan = { .converger_timeout = 0, .noop = true, .plan = true, .state_of = "/nowhere" };
        __attribute__((__cleanup__(engine_end))) Engine e;
        REQUIRE(engine_begin_with(&e, probe_types, &plan) >= 0);
        e.options.noop = true;

        set(world.drift, "a", 1);
        set(world.failures, "b", 5);
        CHECK_INT(swap(&e, true, "a:right+quiet b:retry=3,delay=1000 c:need d c>d x:late y:nowatch"), 0);
        run(&e);
        CHECK_TRACE("a b! c~ d x y");
        CHECK_DRIFT("a", "param: drifted -> right+quiet");
        CHECK_STR(state_of(&e, "b"), "failed");
        CHECK_DRIFT("c", "cannot be known yet: told to wait");
        CHECK_STR(state_of(&e, "d"), "ok");
        CHECK_STR(state_of(&e, "x"), "ok");
        CHECK_STR(state_of(&e, "y"), "ok");
        CHECK(e.m->converger.converged);

        _cleanup_free_ char *dir = NULL;
        CHECK_INT(resource_state_dir(find_vertex(&e, "a")->resource, &dir), 0);
        CHECK(startswith(dir, "/nowhere/"));
        CHECK_INT(access(dir, F_OK), -1);
}

TEST_MAIN()
