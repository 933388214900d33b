/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Long rows of random changes, events, results and failures. After each the engine must be in order: nothing is forgotten that
 * could run, nothing runs that must not, nothing is counted twice; and in the end everything can still be brought to rest. */

#include "tests/daemons/engine/engine-order.h"

enum { ROWS = 200, STEPS = 120, NAMES = 9 };

static uint64_t random_state;

/* xorshift: the same on every machine. */
static unsigned pick(unsigned n) {
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        return (unsigned) (random_state >> 33) % n;
}

/* Each name has its kind, or hardly any change would make sense. */
static const char *const ids[NAMES] = {
        "a", "b", "c", "d", "plain.e", "box.f", "box_item.g", "box_item.h", "plain.i",
};

static void add_random_put(StrBuf *b, unsigned i) {
        static const char *const options[] = {
                "always", "pending", "pending", "late", "service", "service", "need", "nowatch", "full", "group=1", "group=1", "group=f", "sema=x", "sema=x,sema=y:2",
                "noop", "hidden", "retry=2", "retry=-1", "out=1", "out=2", "noautogroup", "reset", "rewatch", "retryreset", "limit=1000,burst=5",
        };

        strbuf_printf(b, "%s:", ids[i]);
        for (unsigned n = pick(3); n > 0; n--)
                strbuf_printf(b, "%s,", options[pick(ELEMENTSOF(options))]);
        strbuf_putc(b, ' ');
}

/* Mostly from left to right: some cycles are wanted, to be rejected. */
static void add_random_edge(StrBuf *b, const char *before, unsigned present) {
        static const char *const arrows[] = { ">", "=>", "~>" };
        unsigned x = pick(NAMES), y = pick(NAMES);

        if (x > y && pick(8) > 0) {
                unsigned t = x;
                x = y;
                y = t;
        }
        if ((present >> x & present >> y & 1) || pick(20) == 0)
                strbuf_printf(b, "%s%s%s%s ", before, ids[x], arrows[pick(ELEMENTSOF(arrows))], ids[y]);
}

static unsigned n_taken, n_rejected;

static void random_swap(Engine *e, bool full) {
        _cleanup_(strbuf_done) StrBuf b = {};
        unsigned present = 0;

        for (unsigned i = 0; i < NAMES; i++) {
                bool here = !full && find_vertex(e, ids[i]);

                if (pick(full ? 2 : 8) == 0) {
                        add_random_put(&b, i);
                        here = true;
                } else if (here && pick(10) == 0) {
                        strbuf_printf(&b, "-%s ", ids[i]);
                        here = false;
                }
                present |= (unsigned) here << i;
        }
        for (unsigned n = pick(full ? 12 : 3); n > 0; n--)
                add_random_edge(&b, "", present);
        for (unsigned n = full ? 0 : pick(3); n > 0; n--) {
                VertexId from = pick(graph_id_limit(e->m->graph) + 1);
                if (!manager_vertex(e->m, from) || graph_successors(e->m->graph, from)->n == 0)
                        continue;
                for (unsigned x = 0; x < NAMES; x++)
                        for (unsigned y = 0; y < NAMES; y++) {
                                const Vertex *v = find_vertex(e, ids[x]), *w = find_vertex(e, ids[y]);
                                if (v && w && v->id == from && w->id == graph_successors(e->m->graph, from)->items[0].peer)
                                        strbuf_printf(&b, "!%s%s%s ", ids[x], pick(2) ? ">" : "~>", ids[y]);
                        }
        }
        if (swap(e, full, b.data ? b.data : "") >= 0)
                n_taken++;
        else
                n_rejected++;
}

static Vertex *random_vertex(Engine *e) {
        VertexId n = graph_id_limit(e->m->graph);

        return n > 0 ? manager_vertex(e->m, pick(n)) : NULL;
}

/* ---- the rows ---- */

static void random_step(Engine *e) {
        Vertex *v = random_vertex(e);
        char name[2] = { (char) ('a' + pick(NAMES)) };

        switch (pick(9)) {
        case 0:
        case 1:
                random_swap(e, false);
                break;
        case 2:
                if (pick(4) == 0)
                        random_swap(e, true);
                break;
        case 3:
                set(world.failures, name, pick(4));
                break;
        case 4:
                set(world.drift, name, 1);
                break;
        case 5:
                set(world.pending, name, 1);
                set(world.services, name, pick(2));
                break;
        case 6:
                if (v && vertex_root(v)->pending)
                        resource_finish(vertex_root(v)->pending->resource, pick(4) == 0 ? -EIO : (int) pick(2), NULL);
                break;
        case 7:
                if (v && vertex_root(v)->watching && pick(4) == 0)
                        resource_watch_failed(v->resource, pick(2) ? -EIO : -EAGAIN, NULL);
                else if (v && vertex_root(v)->watching && v->hooked)
                        resource_armed(v->resource);
                break;
        default:
                if (v)
                        resource_changed(v->resource);
                break;
        }
}

/* Whatever was, a graph without traps comes to rest. */
static void come_to_rest(Engine *e) {
        for (int i = 0; i < NAMES; i++) {
                char name[2] = { (char) ('a' + i) };
                set(world.failures, name, 0);
        }
        CHECK_INT(swap(e, true, ""), 0);
        run(e);
        check_order(e);
        CHECK_INT(graph_n_vertices(e->m->graph) + graph_n_edges(e->m->graph), 0);
        CHECK_INT(swap(e, true, "a b:group=1 c:group=1 d:always plain.e box.f box_item.g a>b c=>d d=>plain.e box_item.g>a"), 0);
        run(e);
        check_order(e);
        CHECK_INT(e->m->scheduler.n_unsettled, 0);
        for (VertexId id = 0; id < graph_id_limit(e->m->graph); id++) {
                Vertex *v = manager_vertex(e->m, id);
                if (v && vertex_root(v)->state != VERTEX_OK)
                        TEST_FAIL("%s[%s] is %s: %s", vertex_kind(v), vertex_name(v), vertex_state_name(vertex_root(v)->state),
                                  vertex_root(v)->error.message);
        }
}

TEST(random_rows) {
        for (unsigned row = 0; row < ROWS && test_failures == 0; row++) {
                ENGINE(e);
                random_state = UINT64_C(0x9e3779b97f4a7c15) * (row + 1);
                random_swap(&e, true);
                for (unsigned step = 0; step < STEPS && test_failures == 0; step++) {
                        random_step(&e);
                        if (pick(3) == 0)
                                continue;       /* more before anything can run */
                        run(&e);
                        check_order(&e);
                        if (test_failures > 0)
                                TEST_FAIL("in row %u, step %u", row, step);
                        strbuf_done(&world.trace);
                }
                if (test_failures == 0)
                        come_to_rest(&e);
                if (test_failures > 0)
                        TEST_FAIL("in row %u", row);
        }
        CHECK(n_taken > n_rejected && n_rejected > 100);        /* else the rows would not say much */
}

TEST_MAIN()
