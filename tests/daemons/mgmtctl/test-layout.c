/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Pictures of graphs: boxes do not overlap, edges go from left to right, the same graph gives the same picture, and large graphs are
 * drawn in reasonable time. */

#include <math.h>
#include <stdio.h>
#include <time.h>

#include "daemons/mgmtctl/graph-data.h"
#include "daemons/mgmtctl/layout.h"
#include "daemons/mgmtctl/output.h"
#include "tests/test.h"

/* What graph-data.c says when it cannot read; here it reads nothing. */
void output_error(const char *format, ...) {
}

static void layout_free(Layout *l) {
        for (size_t i = 0; i < l->n_edges; i++)
                free(l->edges[i].points);
        free(l->edges);
        free(l->boxes);
        *l = (Layout) {};
}

static void add_box(Layout *l, double width, double height) {
        l->boxes = reallocarray(l->boxes, l->n_boxes + 1, sizeof(*l->boxes));
        l->boxes[l->n_boxes++] = (LayoutBox) { .width = width, .height = height };
}

static void add_edge(Layout *l, uint32_t from, uint32_t to) {
        l->edges = reallocarray(l->edges, l->n_edges + 1, sizeof(*l->edges));
        l->edges[l->n_edges++] = (LayoutEdge) { .from = from, .to = to };
}

static int compare_boxes(const void *a, const void *b) {
        const LayoutBox *x = a, *y = b;

        return x->x != y->x ? (x->x < y->x ? -1 : 1) : x->y < y->y ? -1 : x->y > y->y;
}

/* All that is true of every picture. forwards: there is no cycle. */
static void check_layout(const Layout *l, bool forwards) {
        LayoutBox *sorted = malloc((l->n_boxes + 1) * sizeof(*sorted));
        size_t n_overlaps = 0, n_backwards = 0, n_loose = 0;

        memcpy(sorted, l->boxes, l->n_boxes * sizeof(*sorted));
        qsort(sorted, l->n_boxes, sizeof(*sorted), compare_boxes);
        for (size_t i = 0; i < l->n_boxes; i++) {
                CHECK(sorted[i].x >= 0 && sorted[i].y >= -0.001);
                CHECK(sorted[i].x + sorted[i].width <= l->width + 0.001 && sorted[i].y + sorted[i].height <= l->height + 0.001);
                for (size_t k = i + 1; k < l->n_boxes && k < i + 50 && sorted[k].x < sorted[i].x + sorted[i].width; k++)
                        n_overlaps += sorted[k].y < sorted[i].y + sorted[i].height - 0.001 && sorted[i].y < sorted[k].y + sorted[k].height - 0.001;
        }
        for (size_t i = 0; i < l->n_edges; i++) {
                const LayoutEdge *e = &l->edges[i];
                const LayoutBox *from = &l->boxes[e->from], *to = &l->boxes[e->to];
                LayoutPoint a = e->points[0], b = e->points[e->n_points - 1];

                n_backwards += from->x + from->width >= to->x;
                if (from->x < to->x)
                        n_loose += fabs(a.x - from->x - from->width) > 0.001 || fabs(a.y - from->y - from->height / 2) > 0.001 ||
                                   fabs(b.x - to->x) > 0.001 || fabs(b.y - to->y - to->height / 2) > 0.001;
                for (size_t k = 0; k + 1 < e->n_points && forwards; k++)
                        n_loose += e->points[k].x > e->points[k + 1].x + 0.001 || (k % 2 == 1 && e->points[k].y != e->points[k + 1].y);
        }
        CHECK_INT(n_overlaps, 0);
        CHECK_INT(n_loose, 0);
        if (forwards)
                CHECK_INT(n_backwards, 0);
        free(sorted);
}

static bool is_same(const Layout *a, const Layout *b) {
        if (a->width != b->width || a->height != b->height)
                return false;
        for (size_t i = 0; i < a->n_boxes; i++)
                if (a->boxes[i].x != b->boxes[i].x || a->boxes[i].y != b->boxes[i].y)
                        return false;
        return true;
}

TEST(small_graphs) {
        for (unsigned seed = 1; seed <= 300; seed++) {
                Layout l[2] = {};

                for (int twin = 0; twin < 2; twin++) {
                        srandom(seed);
                        uint32_t n = 1 + (uint32_t) random() % 25;
                        bool cycles = random() % 4 == 0;
                        for (uint32_t i = 0; i < n; i++)
                                add_box(&l[twin], 40 + (double) (random() % 200), 20 + (double) (random() % 80));
                        for (uint32_t i = 0; i < n * (uint32_t) (random() % 3); i++) {
                                uint32_t a = (uint32_t) random() % n, b = (uint32_t) random() % n;
                                if (a != b)
                                        add_edge(&l[twin], cycles ? a : MIN(a, b), cycles ? b : MAX(a, b));
                        }
                        CHECK_INT(layout_run(&l[twin]), 0);
                        check_layout(&l[twin], !cycles);
                }
                if (!is_same(&l[0], &l[1]))
                        TEST_FAIL("seed %u gives two pictures", seed);
                layout_free(&l[0]);
                layout_free(&l[1]);
        }
}

TEST(nothing) {
        Layout l = {};

        CHECK_INT(layout_run(&l), 0);
        CHECK(l.width == 0 && l.height == 0);
}

/* A diamond is symmetric, and a row is straight. */
TEST(what_is_simple_looks_simple) {
        Layout l = {};

        for (int i = 0; i < 6; i++)
                add_box(&l, 100, 30);
        add_edge(&l, 0, 1);
        add_edge(&l, 0, 2);
        add_edge(&l, 1, 3);
        add_edge(&l, 2, 3);
        add_edge(&l, 3, 4);
        add_edge(&l, 4, 5);
        CHECK_INT(layout_run(&l), 0);
        check_layout(&l, true);
        CHECK(fabs(l.boxes[0].y - l.boxes[3].y) < 0.5);
        CHECK(fabs(l.boxes[3].y - l.boxes[4].y) < 0.5 && fabs(l.boxes[4].y - l.boxes[5].y) < 0.5);
        CHECK(fabs(l.boxes[1].y + l.boxes[2].y - 2 * l.boxes[0].y) < 0.5);
        CHECK(l.boxes[1].x == l.boxes[2].x);
        layout_free(&l);
}

/* Two that cross are untangled. */
TEST(crossings_are_few) {
        Layout l = {};

        for (int i = 0; i < 8; i++)
                add_box(&l, 100, 30);
        for (uint32_t i = 0; i < 4; i++)
                add_edge(&l, i, 7 - i);
        add_edge(&l, 0, 6);
        add_edge(&l, 1, 5);
        add_edge(&l, 2, 4);
        CHECK_INT(layout_run(&l), 0);
        check_layout(&l, true);
        for (size_t i = 0; i < l.n_edges; i++)
                for (size_t k = i + 1; k < l.n_edges; k++) {
                        double a = l.edges[i].points[0].y - l.edges[k].points[0].y, b = l.edges[i].points[1].y - l.edges[k].points[1].y;
                        CHECK(a * b >= 0);
                }
        layout_free(&l);
}

static bool passes_through(const LayoutBox *box, LayoutPoint a, LayoutPoint b) {
        return a.x < box->x + box->width && b.x > box->x && a.y > box->y && a.y < box->y + box->height;
}

/* One, then a layer of n, then one, and a line from the first to the last. */
TEST(tall_layers_have_columns) {
        static const uint32_t sizes[] = { 40, 41, 79, 120, 1000 };

        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                Layout l = {};
                uint32_t n = sizes[i];
                size_t n_through = 0;

                for (uint32_t k = 0; k < n + 2; k++)
                        add_box(&l, 60 + k % 7 * 10, 30 + k % 5 * 18);
                for (uint32_t k = 1; k <= n; k++) {
                        add_edge(&l, 0, k);
                        add_edge(&l, k, n + 1);
                }
                add_edge(&l, 0, n + 1);
                CHECK_INT(layout_run(&l), 0);
                check_layout(&l, true);
                for (size_t e = 0; e < l.n_edges; e++)
                        for (size_t k = 1; k + 1 < l.edges[e].n_points; k += 2)
                                for (size_t b = 0; b < l.n_boxes; b++)
                                        n_through += passes_through(&l.boxes[b], l.edges[e].points[k], l.edges[e].points[k + 1]);
                CHECK_INT(n_through, 0);
                if (n <= 40)
                        CHECK(l.height > 40 * 30);
                else
                        CHECK(l.height < n * 60);
                if (n == 1000)
                        CHECK(l.height < 20000);
                layout_free(&l);
        }
}

static double seconds(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

TEST(large_graphs) {
        enum { N = 10000 };

        for (int shape = 0; shape < 5; shape++) {
                static const char *const names[] = { "chain", "fan", "isolated", "random", "long edges" };
                Layout l = {};
                double begin = seconds();

                srandom(42);
                l.boxes = calloc(N, sizeof(*l.boxes));
                for (uint32_t i = 0; i < N; i++)
                        l.boxes[l.n_boxes++] = (LayoutBox) { .width = 120, .height = 30 };
                for (uint32_t i = 1; i < N; i++) {
                        if (shape == 0 || shape == 4)
                                add_edge(&l, i - 1, i);
                        if (shape == 1)
                                add_edge(&l, 0, i);
                        if (shape == 3 || (shape == 4 && i > 1 && i % 3 == 0))
                                add_edge(&l, (uint32_t) random() % (i - (shape == 4)), i);
                }
                CHECK_INT(layout_run(&l), 0);
                check_layout(&l, true);
                printf("# %s: %.2f s, %.0f x %.0f\n", names[shape], seconds() - begin, l.width, l.height);
                CHECK(seconds() - begin < 60);
                layout_free(&l);
        }
}

/* ---- as SVG ---- */

static void add_node(GraphData *g, const char *name, const char *error) {
        g->nodes = reallocarray(g->nodes, g->n_nodes + 1, sizeof(*g->nodes));
        GraphNode *n = &g->nodes[g->n_nodes];
        *n = (GraphNode) { .kind = strdup("file"), .name = strdup(name), .state = strdup("ok"), .error = strdup(error), .source = strdup(""),
                           .parent = NO_NODE, .root = (uint32_t) g->n_nodes };
        if (asprintf(&n->label, "file[%s]", name) < 0)
                abort();
        g->n_nodes++;
}

TEST(texts_are_escaped) {
        _cleanup_(graph_data_done) GraphData g = {};
        _cleanup_(strbuf_done) StrBuf b = {}, again = {};

        add_node(&g, "<script>&\"'", "</title>\x01\n<x>");
        add_node(&g, "a very long name that does not fit into any box that somebody would like to see, und \xc3\xa4\xc3\xb6\xc3\xbc", "");
        CHECK_INT(graph_write_svg(&g, &b), 0);
        CHECK(strstr(b.data, "file[&lt;script&gt;&amp;&quot;'] ") == NULL);
        CHECK(strstr(b.data, "file[&lt;script&gt;&amp;&quot;']</text>"));
        CHECK(strstr(b.data, "&lt;/title&gt;\xef\xbf\xbd\n&lt;x&gt;"));
        CHECK(!strstr(b.data, "<script") && !strstr(b.data, "<x>") && !strchr(b.data, '\x01'));
        CHECK(strstr(b.data, "…"));
        CHECK(strstr(b.data, "und \xc3\xa4\xc3\xb6\xc3\xbc]</text>"));
        CHECK_INT(graph_write_svg(&g, &again), 0);
        CHECK_STR(again.data, b.data);
}

TEST_MAIN()
