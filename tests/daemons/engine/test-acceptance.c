/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What an engine of this language must do, scenario by scenario; times are a hundredth of those that people would see. Scenarios
 * that need whole daemons are in tests/run/acceptance.py (T7, T8, T11, T16), metrics (T17) in tests/run/metrics.py. */

#include <sys/stat.h>

#include "daemons/engine/kinds.h"
#include "tests/daemons/engine/engine-order.h"

static uint64_t now_usec(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

TEST(t1_a_poke_before_the_first_event_of_the_watch) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "p:always a:late p=>a"), 0);
        run(&e);
        CHECK_TRACE("p+");              /* p pokes and notifies; a has no watch yet */
        touch(&e, "p");
        run(&e);
        CHECK_TRACE("p+");
        resource_armed(find_vertex(&e, "a")->resource);
        run(&e);
        CHECK_TRACE("a*");
}

TEST(t2_a_watch_fails_during_an_attempt) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:pending+quiet,retry=1"), 0);
        run(&e);
        CHECK_TRACE("watch:a a?");
        resource_watch_failed(find_vertex(&e, "a")->resource, -EIO, NULL);
        run(&e);
        CHECK_TRACE("a/ unwatch:a watch:a a?");         /* cancelled before the new watch began, and made anew after it */
        CHECK_INT(find_vertex(&e, "a")->retries, 1);    /* and not counted */
        finish(&e, "a", -EIO);
        run(&e);
        CHECK_TRACE("a?");
        finish(&e, "a", CHECK_OK);
        CHECK_STR(state_of(&e, "a"), "ok");
}

TEST(t3_an_event_during_an_attempt_that_succeeds) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:pending"), 0);
        run(&e);
        touch(&e, "a");
        finish(&e, "a", CHECK_CHANGED);
        run(&e);
        CHECK_TRACE("a? a?");
        finish(&e, "a", CHECK_OK);
        run(&e);
        CHECK_TRACE("");
}

/* There is no pause; what needed one, a change of the graph, is not held up by somebody who fails for ever without a delay. */
TEST(t4_failing_for_ever_holds_nobody_up) {
        ENGINE(e);

        set(world.failures, "a", 1000000);
        CHECK_INT(swap(&e, true, "a:retry=-1 b"), 0);
        run_for(&e, 50000);
        char *trace_ = strbuf_take(&world.trace);
        CHECK(strstr(trace_, "a! ") && strstr(trace_, "b"));
        free(trace_);
        CHECK_INT(swap(&e, true, "c"), 0);
        run(&e);
        CHECK_TRACE("c");
        CHECK_INT(graph_n_vertices(e.m->graph), 1);
}

TEST(t5_changes_around_somebody_who_has_given_up) {
        static const char *const changes[] = { "b", "a b a>b", "a:out=1 b", "-a", "a:noautogroup", "b>a" };

        for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
                ENGINE(e);
                set(world.failures, "a", 1);
                CHECK_INT(swap(&e, true, "a b"), 0);
                run(&e);
                CHECK_STR(state_of(&e, "a"), "failed");
                for (int twice = 0; twice < 2; twice++) {
                        (void) swap(&e, false, changes[i]);
                        touch(&e, "a");
                        finish(&e, "a", CHECK_OK);
                        run(&e);
                        check_order(&e);
                }
        }
}

TEST(t6_what_is_sent_again) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:out=5 b:retry=2 a~>b"), 0);
        run(&e);
        CHECK_TRACE("a b<5 b");
        touch(&e, "a");
        touch(&e, "b");
        run(&e);
        CHECK_TRACE("a b");             /* the same value, used before: no news */
        set(world.failures, "b", 1);
        CHECK_INT(swap(&e, false, "a:out=6"), 0);
        run(&e);
        CHECK_TRACE("a b<6 b! b<6 b");  /* not used: still news the second time */
}

/* ---- commands that take their time ---- */

static const EngineOptions converges_after_a_second = { .converger_timeout = 1 };

static void put_command(ChangeSet *set_, const char *name, const char *cmd, const char *const *sema) {
        ResourceSpec s = { .kind = strdup("exec"), .name = strdup(name) };

        meta_init(&s.meta);
        (void) strv_copy(&s.meta.sema, (char *const *) sema);
        add_field(&s, "cmd", cmd);
        add_field(&s, "shell", "/bin/sh");
        (void) change_set_put(set_, &s);
}

/* Runs until it has converged; the time it took. */
static double converge(Engine *e, const char *cmd, const char *names, const char *edges, const char *const *sema) {
        ChangeSet set_ = { .generation = 1, .full = true };
        uint64_t begin = now_usec();
        char *copy = strdup(names), *state = NULL;

        for (char *name = strtok_r(copy, " ", &state); name; name = strtok_r(NULL, " ", &state))
                put_command(&set_, name, cmd, sema);
        parse(edges, &set_);
        free(copy);
        CHECK_INT(graph_swap(e->m, &set_, &e->options, &e->diag), 0);
        change_set_done(&set_);
        (void) RUN_UNTIL(e, e->m->converger.converged);
        for (VertexId id = 0; id < graph_id_limit(e->m->graph); id++)
                CHECK_STR(vertex_state_name(manager_vertex(e->m, id)->state), "ok");
        return (double) (now_usec() - begin) / 1e6;
}

/* Two rows of commands, then a second of silence. Those of the first wait for each other: one after another they would never end. */
TEST(t9_fan_in) {
        __attribute__((__cleanup__(engine_end))) Engine e;
        char cmd[256];

        REQUIRE(engine_begin_with(&e, engine_kinds, &converges_after_a_second) >= 0);
        (void) snprintf(cmd, sizeof(cmd), "echo >%1$s/began-$$; while set -- %1$s/began-*; [ $# -lt 4 ]; do sleep 0.02; done; sleep 0.5", e.dir);
        double took = converge(&e, cmd, "1 2 3 4 5", "exec.1>exec.4 exec.2>exec.4 exec.3>exec.4", NULL);
        CHECK(took >= 2);
}

TEST(t10_fans_with_a_semaphore_of_two) {
        static const struct {
                const char *names, *edges;
                const char *sema[2];
                uint32_t global;
                unsigned rows;
        } cases[] = {
                /* in: seven before one; out: one before seven */
                { "1 2 3 4 5 6 7 8", "exec.1>exec.8 exec.2>exec.8 exec.3>exec.8 exec.4>exec.8 exec.5>exec.8 exec.6>exec.8 exec.7>exec.8",
                  { "x:2" }, 0, 5 },
                { "1 2 3 4 5 6 7 8", "exec.1>exec.2 exec.1>exec.3 exec.1>exec.4 exec.1>exec.5 exec.1>exec.6 exec.1>exec.7 exec.1>exec.8",
                  {}, 2, 5 },
                { "1 2 3 4 5 6 7 8", "exec.1>exec.8 exec.2>exec.8 exec.3>exec.8 exec.4>exec.8 exec.5>exec.8 exec.6>exec.8 exec.7>exec.8",
                  {}, 2, 5 },
                { "1 2 3 4 5 6 7 8", "exec.1>exec.2 exec.1>exec.3 exec.1>exec.4 exec.1>exec.5 exec.1>exec.6 exec.1>exec.7 exec.1>exec.8",
                  { "x:2" }, 2, 5 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                __attribute__((__cleanup__(engine_end))) Engine e;
                REQUIRE(engine_begin_with(&e, engine_kinds, &converges_after_a_second) >= 0);
                e.options.sema = cases[i].global;
                double took = converge(&e, "sleep 0.2", cases[i].names, cases[i].edges, cases[i].sema);
                CHECK(took >= 1 + 0.2 * cases[i].rows);
        }
}

/* ---- the converger ---- */

TEST(t14_converged_and_not_and_converged_again) {
        char path[] = "/tmp/test-status-XXXXXX";
        __attribute__((__cleanup__(engine_end))) Engine e;
        _cleanup_free_ char *text = NULL;

        REQUIRE(mkstemp(path) >= 0);
        (void) unlink(path);
        REQUIRE(engine_begin_with(&e, probe_types, &(EngineOptions) { .converger_timeout = 1, .status_file = path }) >= 0);
        CHECK_INT(swap(&e, true, "a:pending b"), 0);
        run(&e);
        run_for(&e, 1200000);
        CHECK(!e.m->converger.converged);       /* a is not right yet */
        uint64_t begin = now_usec();
        finish(&e, "a", CHECK_OK);
        CHECK(RUN_UNTIL(&e, e.m->converger.converged));
        CHECK(now_usec() - begin >= 1000000);
        touch(&e, "a");                         /* the value flips */
        run(&e);
        CHECK(!e.m->converger.converged);       /* at once */
        begin = now_usec();
        finish(&e, "a", CHECK_CHANGED);
        CHECK(RUN_UNTIL(&e, e.m->converger.converged));
        CHECK(now_usec() - begin >= 1000000);
        CHECK_INT(read_file_at(AT_FDCWD, path, 100, &text, NULL), 0);
        CHECK_STR(text, "true\nfalse\ntrue\n");
        struct stat st;
        CHECK(stat(path, &st) >= 0 && (st.st_mode & 07777) == 0600);
        (void) unlink(path);
}

/* ---- grouping ---- */

/* Who is in whose group, in the order of names: "b<a d<a". */
static char *groups(Engine *e, const char *names) {
        char *copy = strdup(names), *state = NULL;
        StrBuf b = {};

        for (char *id = strtok_r(copy, " ", &state); id; id = strtok_r(NULL, " ", &state)) {
                const Vertex *v = find_vertex(e, id);
                if (v->parent)
                        strbuf_printf(&b, "%s%s<%s", b.size > 0 ? " " : "", vertex_name(v), vertex_name(v->parent));
        }
        free(copy);
        return strbuf_take(&b);
}

TEST(t15_groups) {
        static const struct {
                const char *graph, *names, *groups;
        } cases[] = {
                { "a:group=1 b:group=1 c:group=2 d", "a b c d", "a<b" },
                { "a:group=1 b c d:group=1 a>b a>c b>d c>d", "a b c d", "" },                           /* a diamond */
                { "a b:group=1 c:group=1 d a>b a>c b>d c>d", "a b c d", "b<c" },
                { "a:group=1 b:group=1 c:group=1 z a>z b>z c>z", "a b c z", "a<c b<c" },                /* wide fans */
                { "z a:group=1 b:group=1 c:group=1 z>a z>b z>c", "a b c z", "a<c b<c" },
                { "a:group=1 b:group=2 c:group=1 d:group=2 a>b c>d", "a b c d", "a<c b<d" },            /* parallel chains */
                { "a:group=1 b:group=2 c:group=2 d:group=1 a>b c>d", "a b c d", "a<d" },                /* crosswise: only one of both */
                { "a:group=1 b c:group=1 a>b b>c", "a b c", "" },                                       /* a dependency in between */
                { "a:group=1,retry=1 b:group=1", "a b", "" },
                { "a:group=1,noop b:group=1", "a b", "" },
                { "a:group=1,hidden b:group=1", "a b", "" },
                { "a:group=1,noautogroup b:group=1", "a b", "" },
                { "box.p box_item.q:group=p box_item.r:group=p box.s", "box.p box_item.q box_item.r box.s", "q<p r<p" },
                { "box.p box_item.q:group=no", "box.p box_item.q", "" },
                { "box.p box_item.q:group=p box_item.r:group=p box_item_part.s:group=q box_item_part.t:group=r", "box.p box_item.q "
                  "box_item.r box_item_part.s box_item_part.t", "q<p r<p s<q t<r" },                    /* three levels */
                { "box.p box_item.q:group=p box_item_part.s:group=q a:group=1 b:group=1 a>box.p box_item_part.s>b", "box_item.q "
                  "box_item_part.s a b", "q<p s<q" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                for (int again = 0; again < 2; again++) {
                        ENGINE(e);
                        CHECK_INT(swap(&e, true, cases[i].graph), 0);
                        run(&e);
                        check_order(&e);
                        char *text = groups(&e, cases[i].names);
                        if (!streq(text, cases[i].groups))
                                TEST_FAIL("%s: %s", cases[i].graph, text);
                        free(text);
                }
}

TEST(t15_semaphores_of_a_group_are_those_of_all) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:group=1,sema=x,sema=y b:group=1,sema=y,sema=z:3 c:pending,sema=z:3 d:pending,sema=x"), 0);
        CHECK(find_vertex(&e, "a")->parent == find_vertex(&e, "b"));
        CHECK_INT(find_vertex(&e, "b")->n_semaphores, 3);
        run(&e);
        check_order(&e);
}

/* 200 vertices, whatever the order in which they are said: the same groups, no cycle between them, and everything runs. */
TEST(t15_two_hundred) {
        enum { N = 200 };
        uint64_t state = 88172645463325252;
        char *before = NULL;

        for (unsigned round = 0; round < 10; round++) {
                ENGINE(e);
                StrBuf edges = {}, line = {}, names = {};
                unsigned order[N];

                for (unsigned i = 0; i < N; i++) {
                        order[i] = i;
                        strbuf_printf(&names, "n%03u ", i);
                        if (i >= 7)     /* each after one or two earlier ones */
                                strbuf_printf(&edges, "n%03u>n%03u n%03u>n%03u ", i - 7, i, i * 5 / 8, i);
                }
                for (unsigned i = N - 1; i > 0 && round % 2; i--) {
                        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
                        unsigned k = (unsigned) (state % (i + 1)), t = order[i];
                        order[i] = order[k];
                        order[k] = t;
                }
                for (unsigned i = 0; i < N; i++)
                        strbuf_printf(&line, "n%03u:group=%u ", order[i], order[i] % 26 / 9);
                strbuf_puts(&line, edges.data);
                CHECK_INT(swap(&e, true, line.data), 0);
                char *now = groups(&e, names.data);
                CHECK(strlen(now) > 0);
                if (before)
                        CHECK_STR(now, before);
                free(before);
                before = now;
                run(&e);
                check_order(&e);
                CHECK_INT(e.m->scheduler.n_unsettled, 0);
                strbuf_done(&edges);
                strbuf_done(&line);
                strbuf_done(&names);
        }
        free(before);
}

TEST_MAIN()
