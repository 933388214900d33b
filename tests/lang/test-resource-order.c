/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Edges that come and go, one at a time and many at once, against a graph that is asked as a whole. */

#include "common/graph.h"
#include "lang/output.h"
#include "tests/test.h"

enum { VERTICES = 40, STEPS = 20000, EDGES_MAX = 400 };

typedef struct Play {
        Output *output;
        Graph *model;
        VertexId ids[VERTICES];
        struct { uint32_t from, to; Contribution said; } edges[EDGES_MAX];
        size_t n;
        uint64_t random;
} Play;

static uint32_t random_below(Play *p, uint32_t n) {
        p->random = p->random * 6364136223846793005u + 1442695040888963407u;
        return (uint32_t) (p->random >> 33) % n;
}

static void say(Play *p, uint32_t from, uint32_t to) {
        char names[2][16];
        EdgeSpec s = { .from_kind = strdup("test"), .from_name = names[0], .to_kind = strdup("test"), .to_name = names[1] };

        (void) snprintf(names[0], sizeof(names[0]), "%u", from);
        (void) snprintf(names[1], sizeof(names[1]), "%u", to);
        s.from_name = strdup(names[0]);
        s.to_name = strdup(names[1]);
        p->edges[p->n].from = from;
        p->edges[p->n].to = to;
        p->edges[p->n].said = (Contribution) {};
        CHECK_INT(declare_edge(p->output, &p->edges[p->n].said, &s), 0);
        p->n++;
}

static void unsay(Play *p, size_t i) {
        take_back(p->output, &p->edges[i].said);
        p->edges[i] = p->edges[--p->n];
}

/* As what was sent. */
static void settle(Output *o) {
        while (o->dirty_edge) {
                EdgeEntry *e = o->dirty_edge;
                o->dirty_edge = e->next_dirty;
                e->dirty = false;
                e->sent = e->declared;
                if (!e->declared)
                        edge_entry_free(o, e);
        }
}

static bool all_placed(const Output *o) {
        for (const EdgeEntry *e = o->first_edge; e; e = e->next)
                if (e->declared && e->from->place >= e->to->place)
                        return false;
        return true;
}

/* Whether what is said now has an order. */
static bool model_has_order(Play *p) {
        VertexId *order;
        int r;

        p->model = graph_free(p->model);
        p->model = graph_new();
        for (size_t i = 0; i < VERTICES; i++)
                CHECK_INT(graph_add_vertex(p->model, &p->ids[i]), 0);
        for (size_t i = 0; i < p->n; i++) {
                if (p->edges[i].from == p->edges[i].to)
                        return false;
                CHECK(graph_add_edge(p->model, p->ids[p->edges[i].from], p->ids[p->edges[i].to], 0) >= 0);
        }
        r = graph_topological_order(p->model, &order);
        if (r >= 0)
                free(order);
        return r >= 0;
}

TEST(edges_that_come_and_go_have_an_order_or_not) {
        Play p = { .random = 42 };
        _cleanup_(diag_done) Diag d = {};
        unsigned n_good = 0, n_bad = 0;

        CHECK_INT(output_new(&p.output), 0);
        for (int step = 0; step < STEPS; step++) {
                size_t before = p.n, n_new = random_below(&p, 8) == 0 ? 1 + random_below(&p, 30) : 1;
                while (p.n > 0 && random_below(&p, 3) == 0)
                        unsay(&p, random_below(&p, (uint32_t) p.n));
                before = p.n;
                /* Most lead upwards, or there would be nothing but cycles. */
                for (size_t i = 0; i < n_new && p.n < EDGES_MAX; i++) {
                        uint32_t a = random_below(&p, VERTICES), b = random_below(&p, VERTICES);
                        bool any = random_below(&p, 12) == 0;
                        say(&p, any || a < b ? a : b, any || a < b ? b : a);
                }
                diag_done(&d);
                int r = output_check_order(p.output, &d);
                if (!model_has_order(&p)) {
                        n_bad++;
                        if (r != -ELOOP)
                                TEST_FAIL("step %d: there is a cycle, and %d", step, r);
                        while (p.n > before)
                                unsay(&p, p.n - 1);
                        /* What was refused is gone; the rest has an order. */
                        CHECK_INT(output_check_order(p.output, &d), 0);
                } else if (r != 0)
                        TEST_FAIL("step %d: there is an order, and %d", step, r);
                else
                        n_good++;
                settle(p.output);
                if (!all_placed(p.output)) {
                        TEST_FAIL("step %d: an edge leads downwards", step);
                        break;
                }
                if (p.n > EDGES_MAX - 40)
                        while (p.n > 0)
                                unsay(&p, p.n - 1);
        }
        CHECK(n_good > STEPS / 10 && n_bad > STEPS / 100);
        printf("# %u with an order, %u without\n", n_good, n_bad);
        while (p.n > 0)
                unsay(&p, p.n - 1);
        output_free(p.output);
        graph_free(p.model);
}

TEST_MAIN()
