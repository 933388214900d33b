/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Changes of the graph: what keeps running, what starts, what is rejected; groups, derived edges, notifications that survive. */

#include "tests/daemons/engine/engine-test.h"

TEST(what_is_equal_keeps_running) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:pending+quiet b c:out=1 a>b"), 0);
        run(&e);
        CHECK_TRACE("watch:a a? c");
        Vertex *a = find_vertex(&e, "a");
        Resource *resource = a->resource;
        CHECK_INT(swap(&e, true, "a:pending+quiet b c:out=2 d a>b"), 0);
        run(&e);
        CHECK_TRACE("c d");
        CHECK(find_vertex(&e, "a") == a && a->resource == resource);
        CHECK_STR(state_of(&e, "a"), "running");
        finish(&e, "a", CHECK_OK);
        run(&e);
        CHECK_TRACE("b");
}

TEST(what_goes_is_cancelled) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:pending+quiet b a>b"), 0);
        run(&e);
        CHECK_TRACE("watch:a a?");
        CHECK_INT(swap(&e, false, "-a"), 0);
        CHECK_TRACE("a/ unwatch:a done:a");
        run(&e);
        CHECK_TRACE("b");
        CHECK_INT(graph_n_vertices(e.m->graph), 1);
        CHECK_INT(swap(&e, true, ""), 0);
        CHECK_INT(graph_n_vertices(e.m->graph), 0);
        CHECK_INT(e.m->scheduler.n_unsettled, 0);
}

TEST(what_is_replaced_is_stopped_and_started) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:pending+quiet b a>b"), 0);
        run(&e);
        CHECK_TRACE("watch:a a?");
        CHECK_INT(swap(&e, false, "a:quiet"), 0);
        run(&e);
        CHECK_TRACE("a/ unwatch:a done:a watch:a a b");
}

TEST(rejected_as_a_whole) {
        static const struct {
                const char *graph, *message;
                int error;
                bool full;
        } cases[] = {
                { "x a>b b>c c>a", "the graph has a cycle: probe[a] -> probe[b] -> probe[c] -> probe[a]", -ELOOP },
                { "x c>x x>a", "the graph has a cycle: probe[a] -> probe[b] -> probe[c] -> probe[x] -> probe[a]", -ELOOP },
                { "x y z a>x b>x c>x x>y y>z z>y", "the graph has a cycle: probe[y] -> probe[z] -> probe[y]", -ELOOP },
                { "x y a>x b>x c>x x>y y>a", "the graph has a cycle: probe[a] -> probe[b] -> probe[c] -> probe[x] -> probe[y] -> probe[a]", -ELOOP },
                { "a>a", "probe[a] cannot come before itself", -ELOOP },
                { "x x>y", "edge to unknown resource probe[y]", -ENOENT },
                { "-c b>c", "edge to unknown resource probe[c]", -ENOENT },
                { "x:invalid -a", "probe[x] did not Validate: told to be invalid", -EINVAL },
                { "-y", "cannot remove probe[y]: there is no such resource", -ENOENT },
                { "!a>c", "cannot cut probe[a] -> probe[c]: there is no such edge", -ENOENT },
                { "x x", "resource probe[x] is there twice", -EEXIST },
                { "x x:hidden y x:hidden", "resource probe[x] is there twice", -EEXIST },
                { "x:hidden x", "resource probe[x] is there twice", -EEXIST },
                { "x x:hidden,poll=0,sema=7", "probe[x] did not Validate: the Res has an invalid meta param: semaphore format is invalid", -EINVAL },
                { "no.x", "unknown kind of resource 'no'", -ENOENT },
                { "x y x~>z y~>z z", "field 'in' of probe[z] is received from two places", -EEXIST },
                { "x:out=1,hidden y x~>y", "probe[x] is hidden and cannot send", -EINVAL },
                { "a b:out=7 c b>a a>b", "the graph has a cycle: probe[a] -> probe[b] -> probe[a]", -ELOOP, true },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                ENGINE(e);
                CHECK_INT(swap(&e, true, "a b c a>b b=>c"), 0);
                run(&e);
                CHECK_TRACE("a b c");
                CHECK_INT(swap(&e, cases[i].full, cases[i].graph), cases[i].error);
                CHECK_STR(e.diag.message, cases[i].message);
                run(&e);
                CHECK_TRACE("");
                CHECK_INT(graph_n_vertices(e.m->graph), 3);
                CHECK_INT(graph_n_edges(e.m->graph), 2);
                CHECK_INT(e.m->scheduler.n_unsettled, 0);

                /* and the next good one is taken as if nothing had been */
                CHECK_INT(swap(&e, false, "b:always c"), 0);
                run(&e);
                CHECK_TRACE("b+ c*");
        }
}

TEST(much_may_be_added_at_once) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a b a>b"), 0);
        run(&e);
        CHECK_TRACE("a b");
        CHECK_INT(swap(&e, false, "z y x w b>w a>w w>x w>y x>y x>z y>z a>z"), 0);
        run(&e);
        CHECK_TRACE("w x y z");
}

TEST(edges_come_and_go) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:pending b c"), 0);
        run(&e);
        CHECK_TRACE("a? b c");
        CHECK_INT(swap(&e, false, "a>b"), 0);
        run(&e);
        CHECK_TRACE("");                /* an edge alone is no reason to run */
        touch(&e, "b");
        run(&e);
        CHECK_TRACE("");
        CHECK_INT(swap(&e, false, "!a>b"), 0);
        run(&e);
        CHECK_TRACE("b");
        CHECK_INT(graph_n_edges(e.m->graph), 0);
}

/* "a>b a~>c", in the order of the vertices; "=" notifies, "~" transfers. */
static char *edges_text(const Engine *e) {
        const Graph *g = e->m->graph;
        StrBuf text = {};
        uint32_t data;

        for (VertexId a = 0; a < graph_id_limit(g); a++)
                for (VertexId b = 0; b < graph_id_limit(g); b++)
                        if (graph_find_edge(g, a, b, &data))
                                strbuf_printf(&text, "%s%s%s>%s", text.size > 0 ? " " : "", vertex_name(manager_vertex(e->m, a)),
                                              data & EDGE_TRANSFER ? "~" : data & EDGE_NOTIFY ? "=" : "", vertex_name(manager_vertex(e->m, b)));
        return strbuf_take(&text);
}

TEST(a_whole_graph_is_sent_again) {
        static const char first[] = "a:out=1 b:out=2 c d a>b a~>c b=>d";
        static const struct {
                const char *between, *again, *edges, *message;
        } cases[] = {
                { NULL, first, "a>b a~>c b=>d" },
                { NULL, "a:out=1 b:out=2 c d e a>b a~>c b=>d d>e c>e", "a>b a~>c b=>d c>e d>e" },
                { NULL, "e a:out=1 b:out=2 c d a>b a~>c b=>d e>a", "a>b a~>c b=>d e>a" },
                { NULL, "d c b:out=2 a:out=1 b=>d a~>c a>b", "a>b a~>c b=>d" },
                { NULL, "a:out=1 b:out=2 c d a>b b=>d", "a>b b=>d" },
                { NULL, "a:out=1 b:out=2 c d a>b a~>c", "a>b a~>c" },
                { NULL, "a:out=1 b:out=2 c d", "" },
                { NULL, "a:out=1 b:out=2 c d a>b a>c b>d", "a>b a>c b>d" },
                { NULL, "a:out=1 b:out=2 c d a>b a~>c b=>d b~>c", NULL, "field 'in' of probe[c] is received from two places" },
                { NULL, "a:out=1 b:out=2 c a>b a~>c b=>d", NULL, "edge to unknown resource probe[d]" },
                { NULL, "a:out=1,hidden b:out=2 c d a>b a~>c b=>d", NULL, "probe[a] is hidden and cannot send" },
                { NULL, "a:out=1 b:out=2 c d a>b a~>c b=>d d>a", NULL, "the graph has a cycle: probe[a] -> probe[b] -> probe[d] -> probe[a]" },
                { NULL, "a:out=1 a:out=1 b:out=2 c d a>b a~>c b=>d", NULL, "resource probe[a] is there twice" },
                { "!a>b", first, "a>b a~>c b=>d" },
                { "a>d", first, "a>b a~>c b=>d" },
                { "-d", first, "a>b a~>c b=>d" },
                { "a:out=3", first, "a>b a~>c b=>d" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                ENGINE(e);
                CHECK_INT(swap(&e, true, first), 0);
                run(&e);
                if (cases[i].between)
                        CHECK_INT(swap(&e, false, cases[i].between), 0);
                CHECK_INT(swap(&e, true, cases[i].again) < 0, cases[i].message != NULL);
                CHECK_STR(e.diag.message, cases[i].message);
                run(&e);
                _cleanup_free_ char *edges = edges_text(&e);
                CHECK_STR(edges ?: "", cases[i].edges ?: "a>b a~>c b=>d");
                /* and once more, after what was taken over or refused */
                CHECK_INT(swap(&e, true, first), 0);
                run(&e);
                _cleanup_free_ char *back = edges_text(&e);
                CHECK_STR(back, "a>b a~>c b=>d");
                CHECK_INT(graph_n_vertices(e.m->graph), 4);
        }
}

/* Also where the change says nothing of the transfer. */
TEST(who_sends_cannot_hide) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:out=1 b a~>b"), 0);
        run(&e);
        CHECK_INT(swap(&e, false, "a:out=1,hidden"), -EINVAL);
        CHECK_STR(e.diag.message, "probe[a] is hidden and cannot send");
        _cleanup_free_ char *kept = edges_text(&e);
        CHECK_STR(kept, "a~>b");
        CHECK_INT(swap(&e, false, "a:out=1,hidden !a~>b"), 0);
        run(&e);
        CHECK_INT(swap(&e, false, "a:out=1 a~>b"), 0);
        run(&e);
        _cleanup_free_ char *back = edges_text(&e);
        CHECK_STR(back, "a~>b");
}

/* One ordered pair: a declared edge, two transfers, a notification; what is left when some of them go. */
TEST(an_edge_lasts_as_long_as_it_has_a_reason) {
        ENGINE(e);
        uint32_t data;

        CHECK_INT(swap(&e, true, "a:out=1 b a=>b a~>b"), 0);
        run(&e);
        VertexId a = find_vertex(&e, "a")->id, b = find_vertex(&e, "b")->id;
        REQUIRE(graph_find_edge(e.m->graph, a, b, &data));
        CHECK_INT(data, EDGE_DECLARED | EDGE_DECLARED_NOTIFY | EDGE_NOTIFY | EDGE_TRANSFER);
        CHECK_INT(swap(&e, false, "!a>b"), 0);
        REQUIRE(graph_find_edge(e.m->graph, a, b, &data));
        CHECK_INT(data, EDGE_TRANSFER);
        CHECK_INT(swap(&e, false, "!a~>b"), 0);
        CHECK(!graph_find_edge(e.m->graph, a, b, &data));
        run(&e);
        CHECK_INT(find_vertex(&e, "b")->n_receives, 0);
}

TEST(what_was_received_is_no_difference) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:out=5 b a~>b"), 0);
        run(&e);
        CHECK_TRACE("a b<5 b");
        CHECK_INT(swap(&e, true, "a:out=5 b a~>b"), 0);
        run(&e);
        CHECK_TRACE("");
        CHECK_INT(swap(&e, true, "b"), 0);      /* the sender goes: what the program says itself counts again */
        run(&e);
        CHECK_TRACE("b<0 b");
        CHECK_INT(((Probe *) find_vertex(&e, "b")->resource)->in, 0);
        CHECK_INT(swap(&e, false, "a:out=6 a~>b"), 0);
        run(&e);
        CHECK_TRACE("a b<6 b");
        CHECK_INT(swap(&e, false, "-a"), 0);
        run(&e);
        CHECK_TRACE("b<0 b");
}

/* A running resource receives from somebody who has sent already, and no more: it is looked at without anything else. */
TEST(a_transfer_alone_is_a_reason_to_run) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:out=5 b"), 0);
        run(&e);
        CHECK_TRACE("a b");
        CHECK_INT(swap(&e, false, "a~>b"), 0);
        run(&e);
        CHECK_TRACE("b<5 b");
        CHECK_INT(swap(&e, false, "!a~>b c:out=7 c~>b"), 0);
        run(&e);
        CHECK_TRACE("c b<7 b");
        CHECK_INT(swap(&e, false, "!c~>b"), 0);
        run(&e);
        CHECK_TRACE("b<0 b");
}

/* Both at once: the transfer ends, and the program says it again. */
TEST(a_declared_value_counts_when_nothing_is_received) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:out=5 b a~>b"), 0);
        run(&e);
        CHECK_TRACE("a b<5 b");
        CHECK_INT(swap(&e, false, "!a~>b b"), 0);
        run(&e);
        CHECK_TRACE("b<0 b");
        CHECK_INT(((Probe *) find_vertex(&e, "b")->resource)->in, 0);
}

/* An attempt that did not succeed has not used what it received; its successor hears of it. */
TEST(received_and_not_used_survives_a_replacement) {
        ENGINE(e);

        set(world.failures, "b", 1);
        CHECK_INT(swap(&e, true, "a:out=5 b:retry=1,delay=100000 a~>b"), 0);
        run(&e);
        CHECK_TRACE("a b<5 b!");
        CHECK_INT(swap(&e, true, "a:out=5 b:retry=1 a~>b"), 0);
        run(&e);
        CHECK_TRACE("b<5 b");
}

TEST(nothing_is_received_from_what_goes) {
        static const char *const cases[] = { "-a", "-a !a~>b", "-a b:out=1" };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                ENGINE(e);
                CHECK_INT(swap(&e, true, "a:out=5 b c:out=6 a~>b"), 0);
                run(&e);
                CHECK_INT(swap(&e, false, cases[i]), 0);
                for (size_t k = 0; k < find_vertex(&e, "b")->n_receives; k++)
                        CHECK_INT(find_vertex(&e, "b")->receives[k].sender, VERTEX_NONE);
                CHECK_INT(swap(&e, false, "c~>b"), 0);
                strbuf_done(&world.trace);
                run(&e);
                CHECK_TRACE("b<6 b");
        }
}

TEST(rewatch_starts_what_had_given_up) {
        ENGINE(e);

        set(world.failures, "a", 1);
        set(world.failures, "b", 1);
        CHECK_INT(swap(&e, true, "a:rewatch b"), 0);
        run(&e);
        CHECK_TRACE("a! b!");
        CHECK_INT(swap(&e, true, "a:rewatch b"), 0);
        run(&e);
        CHECK_TRACE("a");
        CHECK_STR(state_of(&e, "b"), "failed");

        set(world.failures, "a", 1);            /* a change that does not speak of it will do */
        touch(&e, "a");
        run(&e);
        CHECK_TRACE("a!");
        CHECK_INT(swap(&e, false, "c"), 0);
        run(&e);
        CHECK_TRACE("c a");
}

/* ---- notifications ---- */

TEST(a_pending_notification_survives_a_change_of_either_end) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:always b:late a=>b"), 0);
        run(&e);
        CHECK_TRACE("a+");
        CHECK_INT(swap(&e, true, "a:out=1 b:late,out=2 a=>b"), 0);
        run(&e);
        CHECK_TRACE("a");
        resource_armed(find_vertex(&e, "b")->resource);
        run(&e);
        CHECK_TRACE("b*");
        touch(&e, "b");
        run(&e);
        CHECK_TRACE("b");
}

TEST(a_failed_attempt_keeps_its_notification) {
        ENGINE(e);

        set(world.failures, "b", 1);
        CHECK_INT(swap(&e, true, "a:always b:retry=1 a=>b"), 0);
        run(&e);
        CHECK_TRACE("a+ b*! b*");
}

TEST(noop_does_not_use_up_a_notification) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:always b:noop a=>b"), 0);
        run(&e);
        CHECK_TRACE("a+ b*");
        CHECK_STR(state_of(&e, "b"), "drifted");
        CHECK_INT(swap(&e, false, "b"), 0);
        run(&e);
        CHECK_TRACE("b*");
}

/* The engine is killed at the worst moments, and another takes over its state directory. */
static int restart(Engine *e) {
        engine_stop(e);
        e->generation = 0;
        return engine_begin_in(e, probe_types, &no_options);
}

TEST(a_pending_notification_survives_the_engine) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:always b:late a=>b"), 0);
        run(&e);
        CHECK_TRACE("a+");
        REQUIRE(restart(&e) >= 0);
        CHECK_INT(swap(&e, true, "a b a=>b"), 0);
        run(&e);
        CHECK_TRACE("a b*");
        REQUIRE(restart(&e) >= 0);
        CHECK_INT(swap(&e, true, "a b a=>b"), 0);
        run(&e);
        CHECK_TRACE("a b");             /* it was consumed */
}

/* As kill -9 leaves it: what is written while it is taken apart does not count. */
static int kill_engine(Engine *e) {
        char path[128];
        _cleanup_free_ char *journal = NULL;
        size_t size;
        int r;

        (void) snprintf(path, sizeof(path), "%s/notify-journal", e->dir);
        r = read_file_at(AT_FDCWD, path, 10000, &journal, &size);
        engine_stop(e);
        if (r >= 0)
                r = write_file_atomic_at(AT_FDCWD, path, journal, size, 0600, false);
        return r < 0 ? r : engine_begin_in(e, probe_types, &no_options);
}

/* Killed in the middle of an attempt that may have changed something already. */
TEST(an_attempt_that_was_cut_off_notifies) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:pending b a=>b"), 0);
        run(&e);
        CHECK_TRACE("a?");
        REQUIRE(kill_engine(&e) >= 0);
        CHECK_INT(swap(&e, true, "a b a=>b"), 0);
        run(&e);
        CHECK_TRACE("a b*");
        touch(&e, "a");
        run(&e);
        CHECK_TRACE("a");
}

TEST(an_attempt_that_may_notify_only_since_it_began) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:pending b"), 0);
        run(&e);
        CHECK_INT(swap(&e, false, "a=>b"), 0);
        run(&e);
        CHECK_TRACE("a? b");
        REQUIRE(kill_engine(&e) >= 0);
        CHECK_INT(swap(&e, true, "a b a=>b"), 0);
        run(&e);
        CHECK_TRACE("a b*");
}

/* Whoever notifies no more makes up for the attempt that was cut off as well. */
TEST(an_attempt_that_was_cut_off_is_made_up_for) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:pending b a=>b"), 0);
        run(&e);
        REQUIRE(kill_engine(&e) >= 0);
        CHECK_INT(swap(&e, true, "a:late b a=>b"), 0);
        CHECK_INT(swap(&e, false, "a !a>b"), 0);
        run(&e);
        CHECK_TRACE("a b");
        CHECK_INT(swap(&e, false, "b:out=1 a=>b"), 0);
        run(&e);
        CHECK_TRACE("b");
}

/* It is running already, and was told of nothing: it must be told in its next attempt. */
TEST(a_notification_that_comes_during_an_attempt) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a b:pending a=>b"), 0);
        run(&e);
        set(world.drift, "a", 1);
        touch(&e, "a");
        run(&e);
        CHECK_TRACE("a b? a+");
        finish(&e, "b", CHECK_OK);
        run(&e);
        CHECK_TRACE("b*?");
        set(world.drift, "a", 1);
        touch(&e, "a");
        run(&e);
        finish(&e, "b", CHECK_OK);
        run(&e);
        CHECK_TRACE("a+ b*?");
        finish(&e, "b", CHECK_OK);
        run(&e);
        touch(&e, "b");
        run(&e);
        CHECK_TRACE("b?");
}

/* One member was repaired, another failed: what the first did is told when the group is right, or has fallen apart. */
TEST(half_a_group_was_repaired) {
        ENGINE(e);

        set(world.drift, "a", 1);
        set(world.failures, "b", 1);
        CHECK_INT(swap(&e, true, "a:group=1 b:group=1 c a=>c"), 0);
        run(&e);
        CHECK_TRACE("a+ b!");
        CHECK_INT(swap(&e, false, "b:group=2"), 0);
        run(&e);
        CHECK_TRACE("b a c*");
}

TEST(a_cancelled_attempt_notifies_as_well) {
        ENGINE(e);
        Diag diag = {};

        CHECK_INT(swap(&e, true, "a:pending,retry=1 b a=>b"), 0);
        run(&e);
        resource_watch_failed(find_vertex(&e, "a")->resource, -EIO, &diag);
        run(&e);
        CHECK_TRACE("a? a/ a?");
        finish(&e, "a", CHECK_OK);
        run(&e);
        CHECK_TRACE("b*");
        diag_done(&diag);
}

TEST(the_journal_forgets_what_left_the_graph) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:always b:late c:late a=>b a=>c"), 0);
        run(&e);
        CHECK_TRACE("a+");
        CHECK_INT(swap(&e, false, "!a>b"), 0);
        CHECK_INT(swap(&e, true, "a:always b c:late a=>b"), 0);
        run(&e);
        CHECK_TRACE("b");
        CHECK_INT(swap(&e, true, "a:always b c a=>b a=>c"), 0);
        run(&e);
        CHECK_TRACE("c");
}

TEST(a_torn_journal_is_read_as_far_as_it_goes) {
        static const JournalVertex a = { "probe", "a" }, b = { "probe", "b" }, c = { "probe", "c" };
        char path[] = "/tmp/test-journal-XXXXXX";
        _cleanup_free_ char *data = NULL;
        size_t size;

        REQUIRE(mkstemp(path) >= 0);
        NotifyJournal *j;
        REQUIRE(notify_journal_open(&j, path) >= 0);
        CHECK_INT(notify_journal_pend(j, a, b), 0);
        CHECK_INT(notify_journal_pend(j, a, c), 0);
        notify_journal_free(j);
        REQUIRE(read_file_at(AT_FDCWD, path, 10000, &data, &size) >= 0);
        for (size_t n = 0; n <= size; n++) {
                REQUIRE(write_file_atomic_at(AT_FDCWD, path, data, n, 0600, false) >= 0);
                REQUIRE(notify_journal_open(&j, path) >= 0);
                CHECK_INT(notify_journal_is_pending(j, a, b) + notify_journal_is_pending(j, a, c), n == size ? 2 : n >= size / 2);
                CHECK(!notify_journal_is_pending(j, b, a));
                CHECK_INT(notify_journal_begin(j, b), 0);       /* it can be written to */
                notify_journal_free(j);
        }
        (void) unlink(path);
}

TEST(a_journal_does_not_grow_for_ever) {
        static const JournalVertex a = { "probe", "a" }, b = { "probe", "b" };
        char path[] = "/tmp/test-journal-XXXXXX";
        struct stat st;

        REQUIRE(mkstemp(path) >= 0);
        NotifyJournal *j;
        REQUIRE(notify_journal_open(&j, path) >= 0);
        CHECK_INT(notify_journal_pend(j, b, a), 0);
        for (int i = 0; i < 20000; i++) {
                CHECK_INT(notify_journal_begin(j, a), 0);
                CHECK_INT(notify_journal_pend(j, a, b), 0);
                CHECK_INT(notify_journal_end(j, a), 0);
                CHECK_INT(notify_journal_consume(j, a, b), 0);
        }
        CHECK(stat(path, &st) >= 0 && st.st_size < 100000);
        CHECK(notify_journal_is_pending(j, b, a));
        CHECK(!notify_journal_is_pending(j, a, b));
        notify_journal_free(j);
        (void) unlink(path);
}

/* ---- autoedge ---- */

TEST(derived_edges) {
        static const struct {
                const char *graph, *trace;
        } cases[] = {
                { "/a/b /a /", "/ /a /a/b" },
                { "/a/b /", "/ /a/b" },
                { "/a/b/c /a", "/a /a/b/c" },
                { "/a/b /a:noautoedge", "/a/b /a" },
                { "/a/b:noautoedge /a", "/a/b /a" },
                { "/a/b:late /a /a/b/c", "/a" },
                { "/a/b /a /a/b>/a", "/a/b /a" },                       /* what the program says counts more */
                { "/a:always /a/b /a=>/a/b", "/a+ /a/b*" },             /* and keeps its notification */
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                ENGINE(e);
                CHECK_INT(swap(&e, true, cases[i].graph), 0);
                run(&e);
                CHECK_TRACE(cases[i].trace);
        }
}

static bool has_edge(Engine *e, const char *a, const char *b) {
        return graph_find_edge(e->m->graph, find_vertex(e, a)->id, find_vertex(e, b)->id, NULL);
}

TEST(derived_edges_follow_the_graph) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "/a /a/b/c"), 0);
        CHECK(has_edge(&e, "/a", "/a/b/c"));
        CHECK_INT(swap(&e, false, "/a/b"), 0);          /* a nearer one appears */
        CHECK(has_edge(&e, "/a/b", "/a/b/c") && has_edge(&e, "/a", "/a/b") && !has_edge(&e, "/a", "/a/b/c"));
        CHECK_INT(swap(&e, false, "-/a/b"), 0);
        CHECK(has_edge(&e, "/a", "/a/b/c"));
        CHECK_INT(swap(&e, false, "/a/b x /a/b/c>/a"), -ELOOP); /* rejected: everything as before */
        CHECK(has_edge(&e, "/a", "/a/b/c"));
        CHECK_INT(graph_n_edges(e.m->graph), 1);
        CHECK_INT(swap(&e, false, "/a/b"), 0);
        CHECK(has_edge(&e, "/a/b", "/a/b/c") && !has_edge(&e, "/a", "/a/b/c"));
        CHECK_INT(swap(&e, true, "/a /a/b /a/b/c"), 0);
        CHECK_INT(graph_n_edges(e.m->graph), 2);
        e.options.autoedge = false;
        CHECK_INT(swap(&e, true, "/a /a/b /a/b/c"), 0);
        CHECK_INT(graph_n_edges(e.m->graph), 0);
        e.options.autoedge = true;
        CHECK_INT(swap(&e, true, "/a /a/b /a/b/c"), 0);
        CHECK_INT(graph_n_edges(e.m->graph), 2);
}

TEST(what_is_wanted_or_else_is_the_first_there_is) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "/f /f/a/b/c"), 0);
        CHECK(has_edge(&e, "/f", "/f/a/b/c"));
        CHECK_INT(swap(&e, false, "/f/a/b"), 0);
        CHECK(has_edge(&e, "/f/a/b", "/f/a/b/c") && has_edge(&e, "/f", "/f/a/b"));
        CHECK_INT(graph_n_edges(e.m->graph), 2);
        CHECK_INT(swap(&e, false, "/f/a"), 0);          /* of no concern to who has a nearer one */
        CHECK(has_edge(&e, "/f/a", "/f/a/b") && has_edge(&e, "/f", "/f/a") && has_edge(&e, "/f/a/b", "/f/a/b/c"));
        CHECK_INT(graph_n_edges(e.m->graph), 3);
        CHECK_INT(swap(&e, false, "-/f/a/b"), 0);
        CHECK(has_edge(&e, "/f/a", "/f/a/b/c"));
        CHECK_INT(graph_n_edges(e.m->graph), 2);
}

/* ---- autogroup ---- */

/* "a+b x": the groups, each with its members in their order (the root last), by the name of the root. */
static char *groups_of(Engine *e) {
        StrBuf b = {};

        for (char c = 'a'; c <= 'z'; c++)
                for (size_t k = 0; k < ELEMENTSOF(probe_types) - 1; k++) {
                        char name[2] = { c };
                        Vertex *v = manager_find(e->m, probe_types[k]->kind, name);
                        if (!v || v->parent)
                                continue;
                        if (b.size > 0)
                                strbuf_putc(&b, ' ');
                        for (size_t i = 0; i < vertex_n_members(v); i++)
                                strbuf_printf(&b, "%s%s", i > 0 ? "+" : "", vertex_name(vertex_member(v, i)));
                }
        return strbuf_take(&b);
}

TEST(groups) {
        static const struct {
                const char *graph, *groups, *trace;
        } cases[] = {
                { "a b", "a b", "a b" },
                { "a:group=1 b:group=1", "a+b", "a b" },
                { "a:group=1 b:group=2 c:group=1 d:group=2", "a+c b+d", NULL },
                { "a:group=1 b:group=1 a>b", "a b", "a b" },                            /* one after the other */
                { "a:group=1 b:group=1 x a>x x>b", "a b x", "a x b" },
                { "a:group=1 b:group=1 c:group=1 x a>x x>b", "a b+c x", NULL },         /* a could join c, but then b could not */
                { "a:group=1 b:group=1 x y a>x b>y", "a+b x y", "a b x y" },
                { "a:group=1 b:group=1 x:pending x>a", "a+b x", "x?" },                 /* b waits with a */
                { "a:group=1 b:group=1,noautogroup", "a b", "a b" },
                { "a:group=1 b:group=1,noop", "a b", "a b" },                           /* else noop would be lost */
                { "a:group=1 b:group=1,hidden", "a b", "a" },
                { "a:group=1,sema=x b:group=1,sema=y", "a+b", "a b" },
                { "box.a box_item.b box_item.c:group=a", "b+c+a", NULL },
                { "box.a box.d box_item.b:group=a box_item.c:group=d", "b+a c+d", NULL },
                { "box.a box_item.b:group=a,pair=x box_item.c:group=a,pair=x box_item.d:group=a", "b+c+d+a", NULL },
                { "box.a box_item.b:group=a,pair=x box_item.c:pair=x box_item.d:pair=d", "b+c+d+a", NULL },
                { "box_item.b:pair=x box_item.c:pair=x box_item.d:pair=b box_item.e:group=e,pair=x", "b+c d e", NULL },
                { "box_item.b:pair=x box_item.c:pair=x x box_item.b>x x>box_item.c", "b c x", NULL },
                { "box.a box_item.b:group=q", "a b", NULL },                            /* its box is not there */
                { "box.a box_item.b x box.a>x x>box_item.b", "a b x", "a x b" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                ENGINE(e);
                CHECK_INT(swap(&e, true, cases[i].graph), 0);
                _cleanup_free_ char *groups = groups_of(&e);
                CHECK_STR(groups, cases[i].groups);
                run(&e);
                if (cases[i].trace)
                        CHECK_TRACE(cases[i].trace);
                strbuf_done(&world.trace);
        }
}

#define CHECK_GROUPS(want) \
        do { \
                _cleanup_free_ char *_groups = groups_of(&e); \
                CHECK_STR(_groups, want); \
        } while (0)

TEST(groups_follow_the_graph) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:group=1 b:group=1 c:group=2 d:group=2 x"), 0);
        CHECK_GROUPS("a+b c+d x");
        run(&e);
        strbuf_done(&world.trace);

        CHECK_INT(swap(&e, false, "f:group=1"), 0);             /* one joins: only its group starts again */
        CHECK_GROUPS("c+d a+b+f x");
        run(&e);
        CHECK_TRACE("a b f");
        CHECK_INT(swap(&e, false, "-a"), 0);
        CHECK_GROUPS("c+d b+f x");
        run(&e);
        CHECK_TRACE("b f");
        CHECK_INT(swap(&e, false, "b>x x>f"), 0);               /* must part */
        CHECK_GROUPS("b c+d f x");
        run(&e);
        CHECK_TRACE("b f");
        CHECK_INT(swap(&e, false, "!b>x d:group=2,out=1"), 0);
        CHECK_GROUPS("c+d b+f x");
        CHECK_INT(swap(&e, false, "b c d f"), 0);               /* nobody leads any more */
        CHECK_GROUPS("b c d f x");
        CHECK_INT(swap(&e, false, "b:group=1 c:group=2 d:group=2 f:group=1"), 0);
        CHECK_GROUPS("c+d b+f x");
        CHECK_INT(swap(&e, false, "b f x>b b>x"), -ELOOP);
        CHECK_GROUPS("c+d b+f x");
        e.options.autogroup = false;
        CHECK_INT(swap(&e, false, "y"), 0);
        CHECK_GROUPS("b c d f x y");
        CHECK_INT(swap(&e, true, ""), 0);
        CHECK_INT(graph_n_vertices(e.m->graph), 0);
}

/* Many at once go another way than few: chains of 40 do not mix, but each can run beside the others. */
TEST(long_chains_are_grouped_across) {
        ENGINE(e);
        _cleanup_(strbuf_done) StrBuf b = {};
        size_t n_roots = 0;

        for (char chain = 'a'; chain <= 'c'; chain++)
                for (int i = 0; i < 40; i++) {
                        strbuf_printf(&b, "%c%d:group=1 ", chain, i);
                        if (i > 0)
                                strbuf_printf(&b, "%c%d>%c%d ", chain, i - 1, chain, i);
                }
        CHECK_INT(swap(&e, true, b.data), 0);
        for (VertexId id = 0; id < graph_id_limit(e.m->graph); id++) {
                Vertex *v = manager_vertex(e.m, id);
                n_roots += v && !v->parent;
                for (size_t i = 0; v && v->group && i < v->group->n_members; i++)
                        for (size_t k = i + 1; k < v->group->n_members; k++)
                                CHECK(vertex_name(v->group->members[i])[0] != vertex_name(v->group->members[k])[0]);
        }
        CHECK(n_roots < 120);
        run(&e);
        CHECK_INT(e.m->scheduler.n_unsettled, 0);       /* no group waits for another that waits for it */
}

TEST(a_group_fails_and_repairs_as_one) {
        ENGINE(e);

        set(world.failures, "a", 1);
        CHECK_INT(swap(&e, true, "a:group=1,retry=1 b:group=1,retry=1 x b>x"), 0);
        run(&e);
        CHECK_TRACE("a! a b x");
        set(world.drift, "a", 1);
        CHECK_INT(swap(&e, false, "y a=>y"), 0);
        run(&e);
        CHECK_TRACE("y");
        touch(&e, "b");         /* any member's event is one of the group */
        run(&e);
        CHECK_TRACE("a+ b y*");
}

/* ---- convergence ---- */

TEST(converged) {
        static const EngineOptions options = { .converger_timeout = 0 };
        __attribute__((__cleanup__(engine_end))) Engine e;
        REQUIRE(engine_begin_with(&e, probe_types, &options) >= 0);

        run(&e);
        CHECK(!e.m->converger.converged);       /* there is no graph yet */
        CHECK_INT(swap(&e, true, "a:pending b"), 0);
        run(&e);
        CHECK(!e.m->converger.converged);
        finish(&e, "a", CHECK_OK);
        run(&e);
        CHECK(e.m->converger.converged);
        touch(&e, "a");
        CHECK(!e.m->converger.converged);
        run(&e);
        finish(&e, "a", -EIO);
        run(&e);
        CHECK(e.m->converger.converged);        /* given up: nothing more will happen */
        CHECK_INT(swap(&e, false, "c a>c"), 0);
        run(&e);
        CHECK(!e.m->converger.converged);       /* c will wait for ever, and that is not what was wanted */
}

TEST(converged_after_a_time_and_in_a_file) {
        __attribute__((__cleanup__(engine_end))) Engine e;
        char path[] = "/tmp/test-converged-XXXXXX";
        REQUIRE(mkstemp(path) >= 0);
        EngineOptions options = { .converger_timeout = 1, .status_file = path };
        REQUIRE(engine_begin_with(&e, probe_types, &options) >= 0);
        _cleanup_free_ char *text = NULL;

        CHECK_INT(swap(&e, true, "a"), 0);
        run_for(&e, 400000);
        touch(&e, "a");
        uint64_t begin = clock_usec();
        run(&e);
        CHECK(RUN_UNTIL(&e, e.m->converger.converged));
        CHECK(clock_usec() - begin >= 1000000);         /* and not a second after the first time */
        touch(&e, "a");
        run(&e);
        CHECK(read_file_at(AT_FDCWD, path, 100, &text, NULL) >= 0);
        CHECK(endswith(text, "true\nfalse\n"));          /* on a busy machine that second may have passed as well */
        (void) unlink(path);
}

TEST(who_minds_others_is_told_when_they_go) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "plain.a:minds plain.b:minds plain.ax plain.ay plain.c"), 0);
        run(&e);
        strbuf_done(&world.trace);
        CHECK_INT(swap(&e, false, "-plain.c"), 0);
        run(&e);
        CHECK_TRACE("");
        CHECK_INT(swap(&e, false, "-plain.ax"), 0);
        run(&e);
        CHECK_TRACE("a");
        CHECK_INT(swap(&e, false, "plain.ay:other"), 0);
        run(&e);
        CHECK_TRACE("ay a");
        CHECK_INT(swap(&e, false, "plain.az"), 0);
        run(&e);
        CHECK_TRACE("az");
        CHECK_INT(swap(&e, false, "-plain.a -plain.az"), 0);
        run(&e);
        CHECK_TRACE("");
}

TEST_MAIN()
