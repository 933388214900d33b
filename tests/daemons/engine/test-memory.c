/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A change of the graph while memory runs out, at every place it can. It is taken or rejected; either way the engine goes on, and
 * the next whole graph puts everything right. */

#include "tests/common/alloc.h"
#include "tests/daemons/engine/engine-order.h"

/* What it was, what it is to become, and whether that is a whole graph. */
static const struct {
        const char *before, *change;
        bool full;
} cases[] = {
        { "a b c a>b b=>c", "a:out=1 d d>a -c", false },
        { "a:out=1 b a~>b c:sema=x", "a:out=2 b:out=1 c:sema=x,sema=y:2 c=>b", true },
        { "/a /a/b/c", "/a/b /x /x/y", false },
        { "a:group=1 b:group=1 c:group=1 d", "e:group=1 -b c>d", false },
        { "box.a box_item.b box_item.c", "box.a:out=1 box_item.d -box_item.b", false },
        { "a:pending b c a>b", "b c:always c=>b", true },
        { "a:always,reverse b:always,reverse c a>b", "c:out=1", true },
        { "a:always,reverse b c a~>c", "-a b:always,reverse", false },
        { "a:out=1 b b:hidden,out=2 c a~>b", "b:hidden b:hidden,out=2 b:hidden,out=3 c c:hidden", false },
};

static const char after[] = "a b:group=1 c:group=1 d:always plain.e box.f box_item.g /a /a/b a>b c=>d a~>box.f";

/* Returns whether memory ran out. */
static bool try(size_t i, uint64_t n) {
        __attribute__((__cleanup__(engine_end))) Engine e;
        ChangeSet set_ = { .generation = 2, .full = cases[i].full };
        Diag diag = {};

        if (engine_begin_with(&e, probe_types, &no_options) < 0) {
                TEST_FAIL("no engine");
                return false;
        }
        CHECK_INT(swap(&e, true, cases[i].before), 0);
        run(&e);
        size_t n_vertices = graph_n_vertices(e.m->graph), n_edges = graph_n_edges(e.m->graph);
        parse(cases[i].change, &set_);

        alloc_fail_at(n);
        int r = graph_swap(e.m, &set_, &e.options, &diag);
        bool failed = alloc_failed();
        if (!failed)
                CHECK_INT(r, 0);
        else if (r < 0 && graph_n_vertices(e.m->graph) == n_vertices && graph_n_edges(e.m->graph) == n_edges) {
                run(&e);
                check_order(&e);        /* rejected before anything had been done */
        } else
                run(&e);
        diag_done(&diag);
        change_set_done(&set_);

        CHECK_INT(swap(&e, true, after), 0);
        run(&e);
        check_order(&e);
        CHECK_INT(e.m->scheduler.n_unsettled, 0);
        return failed;
}

TEST(changes) {
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                for (uint64_t n = 1; try(i, n); n++)
                        if (test_failures > 0) {
                                TEST_FAIL("case %zu, allocation %" PRIu64, i, n);
                                return;
                        }
}

/* The same for what goes on all the time: attempts, notifications, values, events. */
TEST(attempts) {
        for (uint64_t n = 1;; n++) {
                ENGINE(e);
                CHECK_INT(swap(&e, true, "a:always,out=1,retry=3,reverse b:retry=3 c:retry=3 /d /d/e f:need g:service a=>b a~>c"), 0);
                Resource *a = find_vertex(&e, "a")->resource, *f = find_vertex(&e, "f")->resource;
                alloc_fail_at(n);
                run(&e);
                resource_changed(a);
                resource_changed(f);
                run(&e);
                bool failed = alloc_failed();
                CHECK_INT(swap(&e, true, ""), 0);
                CHECK_INT(swap(&e, true, after), 0);
                run(&e);
                check_order(&e);
                CHECK_INT(e.m->scheduler.n_unsettled, 0);
                if (test_failures > 0)
                        TEST_FAIL("allocation %" PRIu64, n);
                if (!failed || test_failures > 0)
                        return;
        }
}

TEST_MAIN()
