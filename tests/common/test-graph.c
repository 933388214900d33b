/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The graph against a plain matrix: random changes, and after each of them everything the graph answers. */

#include "common/graph.h"
#include "tests/common/alloc.h"
#include "tests/test.h"

enum { N = 24 };

typedef struct Naive {
        bool vertex[N];
        bool edge[N][N];
        uint32_t data[N][N];
        bool reach[N][N];       /* by at least one edge */
} Naive;

static void close_naive(Naive *m) {
        for (size_t a = 0; a < N; a++)
                for (size_t b = 0; b < N; b++)
                        m->reach[a][b] = m->edge[a][b];
        for (size_t k = 0; k < N; k++)
                for (size_t a = 0; a < N; a++)
                        for (size_t b = 0; b < N; b++)
                                m->reach[a][b] = m->reach[a][b] || (m->reach[a][k] && m->reach[k][b]);
}

/* The smallest ready vertex first. false: there is a cycle. */
static bool naive_order(const Naive *m, VertexId *ret, size_t *ret_n) {
        bool placed[N] = {};
        size_t n = 0, n_vertices = 0;

        for (size_t v = 0; v < N; v++)
                n_vertices += m->vertex[v];
        while (n < n_vertices) {
                size_t v;
                for (v = 0; v < N; v++) {
                        bool ready = m->vertex[v] && !placed[v];
                        for (size_t p = 0; p < N; p++)
                                ready = ready && !(m->edge[p][v] && !placed[p]);
                        if (ready)
                                break;
                }
                if (v == N)
                        return false;
                placed[v] = true;
                ret[n++] = (VertexId) v;
        }
        *ret_n = n;
        return true;
}

static void check_adjacency(const Graph *g, const Naive *m) {
        size_t n_vertices = 0, n_edges = 0;

        for (VertexId a = 0; a < N; a++) {
                uint32_t out = 0, in = 0, data = 0;

                CHECK_INT(graph_has_vertex(g, a), m->vertex[a]);
                if (!m->vertex[a])
                        continue;
                n_vertices++;
                for (VertexId b = 0; b < N; b++) {
                        CHECK_INT(graph_find_edge(g, a, b, &data), m->edge[a][b]);
                        if (m->edge[a][b])
                                CHECK_INT(data, m->data[a][b]);
                        out += m->edge[a][b];
                        in += m->edge[b][a];
                }
                n_edges += out;
                const GraphAdjacency *s = graph_successors(g, a), *p = graph_predecessors(g, a);
                CHECK_INT(s->n, out);
                CHECK_INT(p->n, in);
                for (uint32_t i = 0; i < s->n; i++)
                        CHECK(m->edge[a][s->items[i].peer] && m->data[a][s->items[i].peer] == s->items[i].data);
                for (uint32_t i = 0; i < p->n; i++)
                        CHECK(m->edge[p->items[i].peer][a] && m->data[p->items[i].peer][a] == p->items[i].data);
        }
        CHECK_INT(graph_n_vertices(g), n_vertices);
        CHECK_INT(graph_n_edges(g), n_edges);
}

static void check_answers(const Graph *g, Naive *m) {
        VertexId want[N], *order = NULL, *cycle = NULL;
        size_t n_want, n = 0;
        bool acyclic = naive_order(m, want, &n_want);

        CHECK_INT(graph_topological_order(g, &order), acyclic ? 0 : -ELOOP);
        if (acyclic)
                CHECK(memcmp(order, want, n_want * sizeof(VertexId)) == 0);
        free(order);

        CHECK_INT(graph_find_cycle(g, &cycle, &n), acyclic ? -ENOENT : 0);
        if (!acyclic) {
                CHECK(n >= 3 && cycle[0] == cycle[n - 1]);
                for (size_t i = 0; i + 1 < n; i++) {
                        CHECK(m->edge[cycle[i]][cycle[i + 1]]);
                        for (size_t j = 0; j < i; j++)
                                CHECK(cycle[i] != cycle[j]);
                }
        }
        free(cycle);

        close_naive(m);
        for (VertexId a = 0; a < N; a++)
                for (VertexId b = 0; b < N; b++)
                        CHECK_INT(graph_reaches(g, a, b), m->reach[a][b]);
}

TEST(random_graphs) {
        for (unsigned seed = 0; seed < 60; seed++) {
                _cleanup_(graph_freep) Graph *g = graph_new();
                Naive m = {};
                bool forwards = seed % 2;       /* edges to larger ids only: no cycles */

                srandom(seed);
                for (unsigned step = 0; step < 120; step++) {
                        size_t a = (size_t) random() % N, b = (size_t) random() % N;
                        uint32_t data = (uint32_t) random();

                        if (forwards && a > b) {
                                size_t t = a;
                                a = b;
                                b = t;
                        }
                        switch (random() % 8) {
                        case 0:
                        case 1:
                        case 2: {
                                VertexId v;
                                if (graph_n_vertices(g) == N)
                                        break;
                                REQUIRE(graph_add_vertex(g, &v) == 0);
                                REQUIRE(v < N && !m.vertex[v]);
                                m.vertex[v] = true;
                                break;
                        }
                        case 3:
                                graph_remove_vertex(g, (VertexId) a);
                                m.vertex[a] = false;
                                for (size_t i = 0; i < N; i++)
                                        m.edge[a][i] = m.edge[i][a] = false;
                                break;
                        case 4:
                                CHECK_INT(graph_remove_edge(g, (VertexId) a, (VertexId) b), m.edge[a][b]);
                                m.edge[a][b] = false;
                                break;
                        default: {
                                int want = a == b || !m.vertex[a] || !m.vertex[b] ? -EINVAL : !m.edge[a][b];
                                CHECK_INT(graph_add_edge(g, (VertexId) a, (VertexId) b, data), want);
                                if (want >= 0) {
                                        m.edge[a][b] = true;
                                        m.data[a][b] = data;
                                }
                        }
                        }
                        check_adjacency(g, &m);
                        if (step % 10 == 9)
                                check_answers(g, &m);
                        if (test_failures > 0)
                                return;
                }
        }
}

TEST(empty_and_absent) {
        _cleanup_(graph_freep) Graph *g = graph_new();
        VertexId *order = NULL, v;
        size_t n;

        REQUIRE(g);
        CHECK_INT(graph_topological_order(g, &order), 0);
        free(order);
        CHECK_INT(graph_find_cycle(g, &order, &n), -ENOENT);
        CHECK_INT(graph_id_limit(g), 0);
        CHECK(!graph_has_vertex(g, 0) && !graph_has_vertex(g, VERTEX_NONE));
        CHECK(!graph_reaches(g, 0, 1) && !graph_find_edge(g, 0, 1, NULL) && !graph_remove_edge(g, 0, 1));
        CHECK_INT(graph_add_edge(g, 0, 1, 0), -EINVAL);
        graph_remove_vertex(g, 0);
        REQUIRE(graph_add_vertex(g, &v) == 0);
        graph_remove_vertex(g, v);
        graph_remove_vertex(g, v);
        CHECK_INT(graph_n_vertices(g), 0);
        CHECK(!graph_free(NULL));
}

TEST(order_crosses_words_of_bits) {
        enum { MANY = 64 * 64 + 70 };
        _cleanup_(graph_freep) Graph *g = graph_new();
        VertexId v, *order = NULL;

        /* Every vertex waits for the one after it: exactly one is ready at any time, from the largest down. */
        for (uint32_t i = 0; i < MANY; i++)
                REQUIRE(graph_add_vertex(g, &v) == 0 && v == i);
        for (uint32_t i = 0; i + 1 < MANY; i++)
                REQUIRE(graph_add_edge(g, i + 1, i, i) == 1);
        REQUIRE(graph_topological_order(g, &order) == 0);
        for (uint32_t i = 0; i < MANY; i++)
                REQUIRE(order[i] == MANY - 1 - i);
        free(order);

        /* One more edge closes it. */
        REQUIRE(graph_add_edge(g, 0, MANY - 1, 0) == 1);
        CHECK_INT(graph_topological_order(g, &order), -ELOOP);
        size_t n;
        REQUIRE(graph_find_cycle(g, &order, &n) == 0);
        CHECK_INT(n, MANY + 1);
        free(order);
        CHECK(graph_reaches(g, 5, 5));
}

TEST(hubs_are_not_slow) {
        enum { LEAVES = 100000 };
        _cleanup_(graph_freep) Graph *g = graph_new();
        VertexId hub, v;

        /* Quadratic behaviour would take minutes. */
        REQUIRE(graph_add_vertex(g, &hub) == 0);
        for (uint32_t i = 0; i < LEAVES; i++)
                REQUIRE(graph_add_vertex(g, &v) == 0 && graph_add_edge(g, hub, v, i) == 1 && graph_add_edge(g, v, hub, i) == 1);
        CHECK_INT(graph_n_edges(g), 2 * LEAVES);
        for (v = 1; v <= LEAVES / 2; v++)
                graph_remove_vertex(g, v);
        CHECK_INT(graph_successors(g, hub)->n, LEAVES / 2);
        graph_remove_vertex(g, hub);
        CHECK_INT(graph_n_edges(g), 0);
        CHECK_INT(graph_n_vertices(g), LEAVES / 2);
}

static int build(VertexId **ret_order) {
        _cleanup_(graph_freep) Graph *g = graph_new();
        VertexId v[40], *path = NULL;
        size_t n;
        int r;

        if (!g)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(v); i++) {
                r = graph_add_vertex(g, &v[i]);
                if (r < 0)
                        return r;
                for (size_t j = 0; j < i; j += 3) {
                        r = graph_add_edge(g, v[j], v[i], 1);
                        if (r < 0) {
                                /* Nothing half-added. */
                                if (graph_find_edge(g, v[j], v[i], NULL))
                                        abort();
                                return r;
                        }
                }
        }
        r = graph_find_cycle(g, &path, &n);
        if (r != -ENOENT)
                return r;
        return graph_topological_order(g, ret_order);
}

TEST(no_memory) {
        size_t before = alloc_bytes();
        VertexId *order = NULL;
        uint64_t n;
        int r;

        for (n = 1;; n++) {
                alloc_fail_at(n);
                r = build(&order);
                if (!alloc_failed())
                        break;
                CHECK_INT(r, -ENOMEM);
                CHECK_INT(alloc_bytes(), before);
        }
        CHECK_INT(r, 0);
        CHECK(n > 40);
        free(order);
}

TEST_MAIN()
