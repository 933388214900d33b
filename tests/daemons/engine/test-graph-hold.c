/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Meta:realize: a change of the graph that would take such a resource away waits for it. */

#include "daemons/engine/graph-hold.h"
#include "tests/daemons/engine/engine-order.h"

static StrBuf released;

static void on_released(GraphHold *h, uint64_t generation, int r, const Diag *diag, void *userdata) {
        strbuf_printf(&released, "%s%d%s", released.size > 0 ? " " : "", (int) generation, r < 0 ? "!" : "");
}

#define CHECK_RELEASED(want) \
        do { \
                char *_text = strbuf_take(&released); \
                CHECK_STR(_text ? _text : "", want); \
                free(_text); \
        } while (0)

static int submit(Engine *e, GraphHold *h, bool full, const char *line) {
        ChangeSet set_ = { .generation = ++e->generation, .full = full };
        int r;

        parse(line, &set_);
        diag_done(&e->diag);
        r = graph_hold_submit(h, &set_, &e->options, &e->diag);
        change_set_done(&set_);
        return r;
}

#define HOLD(e, h) \
        ENGINE(e); \
        _cleanup_(graph_hold_freep) GraphHold *h = NULL; \
        REQUIRE(graph_hold_new(&h, e.m, on_released, NULL) >= 0)

TEST(a_change_waits_for_the_first_success) {
        static const struct {
                const char *change;
                bool full;
        } cases[] = {
                { "a:out=2" },                  /* replaced */
                { "-a" },
                { "b", .full = true },          /* as good as removed */
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                HOLD(e, h);
                CHECK_INT(submit(&e, h, true, "a:pending,realize b:pending a>b"), 0);
                run(&e);
                CHECK_TRACE("a?");
                CHECK_INT(submit(&e, h, cases[i].full, cases[i].change), 1);
                CHECK_STR(e.diag.message, "probe[a] has Meta:realize and was not right yet");
                run(&e);
                CHECK_TRACE("");
                finish(&e, "a", CHECK_CHANGED);
                run(&e);
                CHECK_RELEASED("2");
                CHECK_INT(graph_hold_n(h), 0);
                char *text = strbuf_take(&world.trace);
                CHECK(strstr(text, "b"));       /* and then the change has come */
                free(text);
                check_order(&e);
        }
}

TEST(what_does_not_concern_it_does_not_wait) {
        HOLD(e, h);

        CHECK_INT(submit(&e, h, true, "a:pending,realize b"), 0);
        run(&e);
        CHECK_TRACE("a? b");
        CHECK_INT(submit(&e, h, false, "b:out=2 c b>c"), 0);
        run(&e);
        CHECK_TRACE("b c");
        CHECK_INT(submit(&e, h, true, "a:pending,realize c"), 0);
        run(&e);
        CHECK_TRACE("");
        finish(&e, "a", CHECK_OK);
        CHECK_INT(submit(&e, h, true, "c"), 0);
        run(&e);
        CHECK_TRACE("");
}

/* It can be seen not to succeed without help, which the change may well be. */
TEST(nobody_waits_in_vain) {
        static const struct {
                const char *graph, *fails;
                bool waits;
        } cases[] = {
                { "a:realize", "a" },
                { "a:realize,retry=5,delay=100000", "a", .waits = true },
                { "a:realize,retry=-1,delay=100000", "a" },
                { "a:realize,need", "" },
                { "a:realize,service", "" },
                { "a:realize,late", "", .waits = true },
                { "p a:realize p>a", "p" },
                { "p:need q a:realize p>q q>a", "" },
                { "p:pending a:realize p>a", "", .waits = true },
                { "p:pending,sema=x a:realize,sema=x", "", .waits = true },
                { "a:realize,hidden p:late p>a", "" },
                { "p:late a p>a", "" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                HOLD(e, h);
                set(world.failures, cases[i].fails, 1);
                CHECK_INT(submit(&e, h, true, cases[i].graph), 0);
                run(&e);
                if (submit(&e, h, true, "z") != cases[i].waits)
                        TEST_FAIL("%s: %s", cases[i].graph, e.diag.message ? e.diag.message : "does not wait");
                run(&e);
                CHECK_INT(graph_hold_n(h), cases[i].waits);
        }
        strbuf_done(&released);
}

TEST(it_ends_with_the_failure) {
        HOLD(e, h);

        CHECK_INT(submit(&e, h, true, "p:pending a:realize p>a"), 0);
        run(&e);
        CHECK_INT(submit(&e, h, false, "-a"), 1);
        finish(&e, "p", -EIO);
        run(&e);
        CHECK_RELEASED("2");
        CHECK(!find_vertex(&e, "a"));
        check_order(&e);
}

/* What follows a change that waits waits behind it, but for a whole graph, which takes its place. */
TEST(one_after_another) {
        HOLD(e, h);

        CHECK_INT(submit(&e, h, true, "a:pending,realize"), 0);
        run(&e);
        CHECK_INT(submit(&e, h, false, "-a b:pending,realize"), 1);
        CHECK_INT(submit(&e, h, false, "c b>c"), 1);
        CHECK_INT(submit(&e, h, false, "-b d"), 1);
        CHECK_INT(submit(&e, h, false, "-nothing"), 1);
        CHECK_INT(graph_hold_n(h), 4);
        finish(&e, "a", CHECK_OK);
        run(&e);
        CHECK_RELEASED("2 3");
        CHECK_TRACE("a? b?");
        finish(&e, "b", CHECK_OK);
        run(&e);
        CHECK_RELEASED("4 5!");
        CHECK_INT(graph_n_vertices(e.m->graph), 2);

        CHECK_INT(submit(&e, h, true, "a:pending,realize"), 0);
        run(&e);
        CHECK_INT(submit(&e, h, false, "-a b"), 1);
        CHECK_INT(submit(&e, h, true, "x x>y"), -ENOENT);       /* and a bad one takes nobody's place */
        CHECK_INT(graph_hold_n(h), 1);
        CHECK_INT(submit(&e, h, true, "z"), 1);
        CHECK_INT(graph_hold_n(h), 1);
        finish(&e, "a", CHECK_OK);
        run(&e);
        CHECK_RELEASED("9");
        CHECK(find_vertex(&e, "z") && !find_vertex(&e, "b"));
        check_order(&e);
}

/* After the change nobody could be grouped. It waits, so all is as before; and the next one finds that. */
TEST(what_can_be_grouped_is_not_forgotten_by_a_change_that_waits) {
        HOLD(e, h);

        e.options.autogroup = false;
        CHECK_INT(submit(&e, h, true, "a:pending,realize b:group=1 c:group=1"), 0);
        run(&e);
        CHECK_INT(submit(&e, h, false, "-a b c"), 1);
        e.options.autogroup = true;
        CHECK_INT(swap(&e, false, "y"), 0);
        CHECK(vertex_root(find_vertex(&e, "b")) == vertex_root(find_vertex(&e, "c")));
}

TEST_MAIN()
