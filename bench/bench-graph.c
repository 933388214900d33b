/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The graph library on 10,000 vertices. The floor does the same on bare arrays whose size and shape are known beforehand. */

#include <string.h>

#include "bench/bench.h"
#include "common/graph.h"

enum { N = 10000, ROUNDS = 15, FAN = 100 };

static Graph *make(bool chain) {
        Graph *g = graph_new();
        VertexId v;

        for (uint32_t i = 0; g && i < N; i++)
                if (graph_add_vertex(g, &v) < 0)
                        return graph_free(g);
        for (uint32_t i = 1; g && i < N; i++)
                if (graph_add_edge(g, chain ? i - 1 : i / FAN, i, i) < 0)
                        return graph_free(g);
        return g;
}

/* Edges as two arrays, sorted by origin: successors of v are to[first[v]] … to[first[v + 1]]. */
typedef struct Bare {
        uint32_t first[N + 1], to[N], missing[N], queue[N];
} Bare;

static void bare_make(Bare *b, bool chain) {
        memset(b->first, 0, sizeof(b->first));
        for (uint32_t i = 1; i < N; i++)
                b->first[(chain ? i - 1 : i / FAN) + 1]++;
        for (uint32_t v = 0; v < N; v++)
                b->first[v + 1] += b->first[v];
        for (uint32_t i = 1; i < N; i++)
                b->to[i - 1] = i;       /* origins grow with i, so this is sorted */
}

static uint32_t bare_order(Bare *b) {
        uint32_t n = 0;

        memset(b->missing, 0, sizeof(b->missing));
        for (uint32_t i = 0; i < b->first[N]; i++)
                b->missing[b->to[i]]++;
        for (uint32_t v = 0; v < N; v++)
                if (b->missing[v] == 0)
                        b->queue[n++] = v;
        for (uint32_t i = 0; i < n; i++)
                for (uint32_t e = b->first[b->queue[i]]; e < b->first[b->queue[i] + 1]; e++)
                        if (--b->missing[b->to[e]] == 0)
                                b->queue[n++] = b->to[e];
        return n;
}

static int measure(bool chain) {
        uint64_t build[ROUNDS], order[ROUNDS], remove[ROUNDS], bare_build[ROUNDS], bare[ROUNDS];
        static Bare b;
        uint32_t sum = 0;

        for (unsigned round = 0; round < ROUNDS; round++) {
                VertexId *ids;
                uint64_t start = now_nsec();
                Graph *g = make(chain);
                build[round] = now_nsec() - start;
                start = now_nsec();
                if (!g || graph_topological_order(g, &ids) < 0)
                        return -1;
                order[round] = now_nsec() - start;
                sum += ids[N - 1];
                free(ids);
                start = now_nsec();
                for (VertexId v = 0; v < N; v++)
                        graph_remove_vertex(g, v);
                remove[round] = now_nsec() - start;
                graph_free(g);

                start = now_nsec();
                bare_make(&b, chain);
                bare_build[round] = now_nsec() - start;
                start = now_nsec();
                sum += bare_order(&b);
                bare[round] = now_nsec() - start;
        }
        if (sum == 0)
                return -1;
        report(chain ? "graph: a chain of 10,000, built" : "graph: 100 hubs of 100, built", median(build, ROUNDS),
               median(bare_build, ROUNDS));
        report(chain ? "graph: topological order of the chain" : "graph: topological order of the hubs", median(order, ROUNDS),
               median(bare, ROUNDS));
        report(chain ? "graph: the chain taken apart, vertex by vertex" : "graph: the hubs taken apart, vertex by vertex",
               median(remove, ROUNDS), 0);
        return 0;
}

int main(void) {
        return measure(true) < 0 || measure(false) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
