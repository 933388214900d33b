/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The way of Sugiyama: layers by the longest path; an edge that passes a layer has a dummy node in it; the order within layers by
 * barycentres, sweeping to and fro; then the places, each layer at once: those nearest (by least squares) to where the neighbours
 * are, in the given order and without overlaps. A layer of very many boxes has several columns: boxes that follow each other stand in a
 * row then, and their lines run level above and below it. Each connected part is laid out for itself, and the parts are put on
 * shelves. */

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/macro.h"
#include "daemons/mgmtctl/layout.h"

enum {
        LAYER_GAP = 70,
        BOX_GAP = 16,
        LINE_GAP = 8,
        PART_GAP = 36,
        COLUMN_GAP = 24,
        ROW_LINE_GAP = 4,
        TALL_LAYER = 40,                /* boxes; beyond, it has several columns ... */
        COLUMNS_MAX = 10,               /* ... up to so many */
        DUMMIES_MAX = 300000,           /* beyond, long edges are straight */
};

typedef struct Node {
        double width, height, y;        /* y: the middle */
        double wish;
        uint32_t part, rank, visit, place;      /* place: index in its layer */
        uint32_t column, n_row;         /* in its row, from 0 on; of how many, which follow each other in the layer */
        double row_height;              /* of the boxes in its row */
        double above, below;            /* room that the row's lines take */
} Node;

typedef struct Segment {
        uint32_t from, to;              /* nodes of neighbouring layers */
} Segment;

/* Neighbours of node i: items[begin[i]] … items[begin[i + 1] - 1]. */
typedef struct Neighbours {
        uint32_t *begin, *items;
} Neighbours;

typedef struct Work {
        Layout *layout;
        Node *nodes;                    /* the boxes, then the dummies */
        uint32_t n_nodes;
        Segment *segments;
        size_t n_segments, capacity_segments;
        uint32_t *first_dummy;          /* of each edge; dummies of one edge follow each other. UINT32_MAX: none */
        bool *turned;                   /* edges that are taken the other way */
        Neighbours left, right;
        uint32_t *order;                /* nodes by part, rank and place */
        uint32_t *layers;               /* where each layer begins in order; one more at the end */
        uint32_t n_layers;
        uint32_t *scratch;
} Work;

static void work_done(Work *w) {
        free(w->nodes);
        free(w->segments);
        free(w->first_dummy);
        free(w->turned);
        free(w->left.begin);
        free(w->left.items);
        free(w->right.begin);
        free(w->right.items);
        free(w->order);
        free(w->layers);
        free(w->scratch);
}

/* ---- neighbours ---- */

static int collect(Neighbours *n, uint32_t n_nodes, const Segment *segments, size_t n_segments, bool right) {
        free(n->begin);
        free(n->items);
        n->begin = calloc((size_t) n_nodes + 2, sizeof(uint32_t));
        n->items = calloc(n_segments + 1, sizeof(uint32_t));
        if (!n->begin || !n->items)
                return -ENOMEM;
        for (size_t i = 0; i < n_segments; i++)
                n->begin[(right ? segments[i].from : segments[i].to) + 2]++;
        for (uint32_t i = 2; i < n_nodes + 2; i++)
                n->begin[i] += n->begin[i - 1];
        for (size_t i = 0; i < n_segments; i++)
                n->items[n->begin[(right ? segments[i].from : segments[i].to) + 1]++] = right ? segments[i].to : segments[i].from;
        return 0;
}

static int collect_both(Work *w) {
        int r = collect(&w->left, w->n_nodes, w->segments, w->n_segments, false);

        return r < 0 ? r : collect(&w->right, w->n_nodes, w->segments, w->n_segments, true);
}

static int add_segment(Work *w, uint32_t from, uint32_t to) {
        if (GROW(w->segments, w->n_segments, w->capacity_segments) < 0)
                return -ENOMEM;
        w->segments[w->n_segments++] = (Segment) { from, to };
        return 0;
}

/* ---- ranks ---- */

/* Depth first; an edge to a node that is still open closes a cycle. state: 0 new, 1 open, 2 done. */
static int turn_cycles(Work *w) {
        Layout *l = w->layout;
        _cleanup_free_ uint8_t *state = calloc(w->n_nodes + 1, 1);
        _cleanup_free_ uint32_t *stack = calloc(w->n_nodes + 1, sizeof(uint32_t)), *next = calloc(w->n_nodes + 1, sizeof(uint32_t));
        _cleanup_free_ size_t *edge_at = calloc(l->n_edges + 1, sizeof(size_t));

        if (!state || !stack || !next || !edge_at)
                return -ENOMEM;
        /* the items of right are filled in the order of edges, so the k-th of a node is found again by counting */
        _cleanup_free_ uint32_t *fill = calloc(w->n_nodes + 1, sizeof(uint32_t));
        if (!fill)
                return -ENOMEM;
        for (size_t i = 0; i < l->n_edges; i++)
                edge_at[w->right.begin[l->edges[i].from] + fill[l->edges[i].from]++] = i;

        for (uint32_t root = 0; root < w->n_nodes; root++) {
                uint32_t depth = 0;

                if (state[root] != 0)
                        continue;
                stack[depth++] = root;
                state[root] = 1;
                while (depth > 0) {
                        uint32_t n = stack[depth - 1], k = w->right.begin[n] + next[n];

                        if (k >= w->right.begin[n + 1]) {
                                state[n] = 2;
                                depth--;
                                continue;
                        }
                        next[n]++;
                        uint32_t to = w->right.items[k];
                        if (state[to] == 1)
                                w->turned[edge_at[k]] = true;
                        else if (state[to] == 0) {
                                state[to] = 1;
                                stack[depth++] = to;
                        }
                }
        }
        return 0;
}

static Segment edge_segment(const Work *w, size_t i) {
        const LayoutEdge *e = &w->layout->edges[i];

        return w->turned[i] ? (Segment) { e->to, e->from } : (Segment) { e->from, e->to };
}

/* As far left as those before it allow; then what has nobody before it moves up to those after it. */
static int rank_nodes(Work *w) {
        _cleanup_free_ uint32_t *waits = calloc(w->n_nodes + 1, sizeof(uint32_t)), *queue = calloc(w->n_nodes + 1, sizeof(uint32_t));
        uint32_t n = 0;

        if (!waits || !queue)
                return -ENOMEM;
        for (uint32_t i = 0; i < w->n_nodes; i++) {
                waits[i] = w->left.begin[i + 1] - w->left.begin[i];
                if (waits[i] == 0)
                        queue[n++] = i;
        }
        for (uint32_t at = 0; at < n; at++)
                for (uint32_t k = w->right.begin[queue[at]]; k < w->right.begin[queue[at] + 1]; k++) {
                        uint32_t to = w->right.items[k];
                        w->nodes[to].rank = MAX(w->nodes[to].rank, w->nodes[queue[at]].rank + 1);
                        if (--waits[to] == 0)
                                queue[n++] = to;
                }
        for (uint32_t i = 0; i < w->n_nodes; i++) {
                uint32_t nearest = UINT32_MAX;

                if (w->left.begin[i + 1] != w->left.begin[i])
                        continue;
                for (uint32_t k = w->right.begin[i]; k < w->right.begin[i + 1]; k++)
                        nearest = MIN(nearest, w->nodes[w->right.items[k]].rank);
                if (nearest != UINT32_MAX)
                        w->nodes[i].rank = nearest - 1;
        }
        return 0;
}

static int add_dummies(Work *w) {
        size_t n_edges = w->layout->n_edges, n_dummies = 0;

        for (size_t i = 0; i < n_edges; i++) {
                Segment s = edge_segment(w, i);
                n_dummies += w->nodes[s.to].rank - w->nodes[s.from].rank - 1;
        }
        w->first_dummy = calloc(n_edges + 1, sizeof(uint32_t));
        Node *nodes = n_dummies <= DUMMIES_MAX ? reallocarray(w->nodes, w->n_nodes + n_dummies + 1, sizeof(Node)) : w->nodes;
        if (!w->first_dummy || !nodes)
                return -ENOMEM;
        w->nodes = nodes;
        w->n_segments = 0;
        for (size_t i = 0; i < n_edges; i++) {
                Segment s = edge_segment(w, i);
                uint32_t last = s.from, gap = w->nodes[s.to].rank - w->nodes[s.from].rank - 1;

                w->first_dummy[i] = UINT32_MAX;
                if (gap > 0 && n_dummies > DUMMIES_MAX)
                        continue;
                if (gap > 0)
                        w->first_dummy[i] = w->n_nodes;
                for (uint32_t k = 1; k <= gap; k++) {
                        w->nodes[w->n_nodes] = (Node) { .height = 1, .rank = w->nodes[s.from].rank + k };
                        if (add_segment(w, last, w->n_nodes) < 0)
                                return -ENOMEM;
                        last = w->n_nodes++;
                }
                if (add_segment(w, last, s.to) < 0)
                        return -ENOMEM;
        }
        return collect_both(w);
}

/* ---- parts and layers ---- */

/* The first of them is the next to be visited. */
static size_t push_neighbours(const Work *w, const Neighbours *side, uint32_t n, uint32_t *stack, size_t depth) {
        for (uint32_t k = side->begin[n + 1]; k > side->begin[n]; k--)
                if (w->nodes[side->items[k - 1]].part == UINT32_MAX)
                        stack[depth++] = side->items[k - 1];
        return depth;
}

/* Depth first from each part's first node to both sides: neighbours are visited soon after each other, which is a good order to
 * begin with. */
static int visit_parts(Work *w) {
        _cleanup_free_ uint32_t *stack = calloc(w->n_segments * 2 + w->n_nodes + 2, sizeof(uint32_t));
        uint32_t n_parts = 0, n_visits = 0;

        if (!stack)
                return -ENOMEM;
        for (uint32_t i = 0; i < w->n_nodes; i++)
                w->nodes[i].part = UINT32_MAX;
        for (uint32_t i = 0; i < w->n_nodes; i++) {
                size_t depth = 0;

                if (w->nodes[i].part != UINT32_MAX)
                        continue;
                stack[depth++] = i;
                while (depth > 0) {
                        uint32_t n = stack[--depth];

                        if (w->nodes[n].part != UINT32_MAX)
                                continue;
                        w->nodes[n].part = n_parts;
                        w->nodes[n].visit = n_visits++;
                        depth = push_neighbours(w, &w->left, n, stack, depth);
                        depth = push_neighbours(w, &w->right, n, stack, depth);
                }
                n_parts++;
        }
        return 0;
}

static int compare_nodes(const void *a, const void *b, void *userdata) {
        const Node *nodes = userdata, *x = &nodes[*(const uint32_t *) a], *y = &nodes[*(const uint32_t *) b];

        if (x->part != y->part)
                return x->part < y->part ? -1 : 1;
        if (x->rank != y->rank)
                return x->rank < y->rank ? -1 : 1;
        return x->visit < y->visit ? -1 : x->visit > y->visit;
}

static int make_layers(Work *w) {
        w->order = calloc(w->n_nodes + 1, sizeof(uint32_t));
        w->layers = calloc(w->n_nodes + 2, sizeof(uint32_t));
        w->scratch = calloc((size_t) w->n_nodes * 2 + 2, sizeof(uint32_t));
        if (!w->order || !w->layers || !w->scratch)
                return -ENOMEM;
        for (uint32_t i = 0; i < w->n_nodes; i++)
                w->order[i] = i;
        qsort_r(w->order, w->n_nodes, sizeof(uint32_t), compare_nodes, w->nodes);
        for (uint32_t i = 0; i < w->n_nodes; i++) {
                Node *n = &w->nodes[w->order[i]];
                const Node *before = i > 0 ? &w->nodes[w->order[i - 1]] : NULL;

                if (!before || before->part != n->part || before->rank != n->rank)
                        w->layers[w->n_layers++] = i;
                n->place = i - w->layers[w->n_layers - 1];
        }
        w->layers[w->n_layers] = w->n_nodes;
        return 0;
}

static uint32_t part_of(const Work *w, uint32_t layer) {
        return w->nodes[w->order[w->layers[layer]]].part;
}

/* ---- the order in layers ---- */

static int compare_wishes(const void *a, const void *b, void *userdata) {
        const Node *nodes = userdata, *x = &nodes[*(const uint32_t *) a], *y = &nodes[*(const uint32_t *) b];

        if (x->wish != y->wish)
                return x->wish < y->wish ? -1 : 1;
        return x->place < y->place ? -1 : x->place > y->place;
}

static void sort_layer(Work *w, uint32_t layer, const Neighbours *by) {
        uint32_t *slice = w->order + w->layers[layer], n = w->layers[layer + 1] - w->layers[layer];

        for (uint32_t i = 0; i < n; i++) {
                uint32_t id = slice[i], degree = by->begin[id + 1] - by->begin[id];
                double sum = 0;

                for (uint32_t k = by->begin[id]; k < by->begin[id + 1]; k++)
                        sum += w->nodes[by->items[k]].place;
                w->nodes[id].wish = degree > 0 ? sum / degree : w->nodes[id].place;
        }
        qsort_r(slice, n, sizeof(uint32_t), compare_wishes, w->nodes);
        for (uint32_t i = 0; i < n; i++)
                w->nodes[slice[i]].place = i;
}

static int compare_places(const void *a, const void *b) {
        uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;

        return x < y ? -1 : x > y;
}

/* Between a layer and the next: pairs in the wrong order, counted with a tree of sums over places. */
static uint64_t count_crossings(Work *w, uint32_t layer) {
        uint32_t n = w->layers[layer + 2] - w->layers[layer + 1];
        uint32_t *tree = w->scratch, *ends = w->scratch + n + 1;
        uint64_t crossings = 0, total = 0;

        memset(tree, 0, (n + 1) * sizeof(uint32_t));
        for (uint32_t i = w->layers[layer]; i < w->layers[layer + 1]; i++) {
                uint32_t id = w->order[i], degree = 0;

                for (uint32_t k = w->right.begin[id]; k < w->right.begin[id + 1]; k++)
                        ends[degree++] = w->nodes[w->right.items[k]].place;
                qsort(ends, degree, sizeof(uint32_t), compare_places);
                for (uint32_t k = 0; k < degree; k++) {
                        uint64_t upto = 0;
                        for (uint32_t t = ends[k] + 1; t > 0; t -= t & -t)
                                upto += tree[t];
                        crossings += total - upto;
                }
                for (uint32_t k = 0; k < degree; k++, total++)
                        for (uint32_t t = ends[k] + 1; t <= n; t += t & -t)
                                tree[t]++;
        }
        return crossings;
}

/* One part: layers first … last - 1. */
static int order_part(Work *w, uint32_t first, uint32_t last) {
        uint32_t begin = w->layers[first], n = w->layers[last] - begin;
        unsigned sweeps = n < 500 ? 24 : n < 5000 ? 8 : 3;
        uint64_t best = UINT64_MAX;

        if (last - first < 2)
                return 0;
        _cleanup_free_ uint32_t *kept = calloc(n, sizeof(uint32_t));
        if (!kept)
                return -ENOMEM;
        for (unsigned i = 0; i <= sweeps && best > 0; i++) {
                uint64_t crossings = 0;

                for (uint32_t k = first; k + 1 < last; k++)
                        crossings += count_crossings(w, k);
                if (crossings < best) {
                        best = crossings;
                        memcpy(kept, w->order + begin, n * sizeof(uint32_t));
                }
                if (i % 2 == 0)
                        for (uint32_t k = first + 1; k < last; k++)
                                sort_layer(w, k, &w->left);
                else
                        for (uint32_t k = last - 1; k > first; k--)
                                sort_layer(w, k - 1, &w->right);
        }
        memcpy(w->order + begin, kept, n * sizeof(uint32_t));
        for (uint32_t k = first; k < last; k++)
                for (uint32_t i = w->layers[k]; i < w->layers[k + 1]; i++)
                        w->nodes[w->order[i]].place = i - w->layers[k];
        return 0;
}

/* ---- places ---- */

static bool is_box(const Node *n) {
        return n->width > 0;
}

static uint32_t columns_of_layer(const Work *w, uint32_t layer) {
        uint32_t n = 0;

        for (uint32_t i = w->layers[layer]; i < w->layers[layer + 1]; i++)
                n += is_box(&w->nodes[w->order[i]]);
        return MIN((n + TALL_LAYER - 1) / TALL_LAYER, (uint32_t) COLUMNS_MAX);
}

static void make_row(Work *w, const uint32_t *slice, uint32_t n) {
        bool lines_in = false, lines_out = false;
        double height = 0;

        for (uint32_t i = 0; i < n; i++) {
                height = MAX(height, w->nodes[slice[i]].height);
                lines_in = lines_in || (i > 0 && w->left.begin[slice[i]] < w->left.begin[slice[i] + 1]);
                lines_out = lines_out || (i + 1 < n && w->right.begin[slice[i]] < w->right.begin[slice[i] + 1]);
        }
        for (uint32_t i = 0; i < n; i++) {
                Node *node = &w->nodes[slice[i]];
                node->column = i;
                node->n_row = n;
                node->row_height = height;
                node->above = lines_in ? ROW_LINE_GAP * (double) (n - 1) : 0;
                node->below = lines_out ? ROW_LINE_GAP * (double) (n - 1) : 0;
        }
}

/* Boxes without lines between them stand in rows; what is only a line has one for itself. */
static void make_rows(Work *w, uint32_t layer) {
        uint32_t n_columns = columns_of_layer(w, layer), end = w->layers[layer + 1];

        for (uint32_t i = w->layers[layer], n; i < end; i += n) {
                n = 1;
                while (is_box(&w->nodes[w->order[i]]) && n < n_columns && i + n < end && is_box(&w->nodes[w->order[i + n]]))
                        n++;
                make_row(w, w->order + i, n);
        }
}

static double row_extent(const Node *n) {
        return n->above + n->row_height + n->below;
}

/* From the middle of all that a row takes to the middle of its boxes. */
static double row_middle(const Node *n) {
        return (n->above - n->below) / 2;
}

static double distance(const Node *a, const Node *b) {
        return (row_extent(a) + row_extent(b)) / 2 + (is_box(a) && is_box(b) ? BOX_GAP : LINE_GAP);
}

/* Nearest to the wishes, in order, without overlaps: with the least distances taken off, places only must not decrease, and blocks of
 * those that would are moved as one. */
typedef struct Block {
        double sum, weight;
        uint32_t n;
} Block;

static double block_place(const Block *b) {
        return b->sum / b->weight;
}

static double row_wish(const Work *w, const uint32_t *slice) {
        const Node *first = &w->nodes[slice[0]];
        double sum = 0;

        for (uint32_t i = 0; i < first->n_row; i++)
                sum += w->nodes[slice[i]].wish;
        return sum / first->n_row - row_middle(first);
}

static void place_layer(Work *w, uint32_t layer, Block *blocks) {
        const uint32_t *slice = w->order + w->layers[layer];
        uint32_t n = w->layers[layer + 1] - w->layers[layer], n_blocks = 0;
        double offset = 0;

        for (uint32_t i = 0; i < n; i += w->nodes[slice[i]].n_row) {
                const Node *node = &w->nodes[slice[i]];
                double weight = is_box(node) ? node->n_row : 4; /* long edges shall be straight */

                if (i > 0)
                        offset += distance(&w->nodes[slice[i - 1]], node);
                blocks[n_blocks++] = (Block) { (row_wish(w, slice + i) - offset) * weight, weight, 1 };
                while (n_blocks > 1 && block_place(&blocks[n_blocks - 2]) >= block_place(&blocks[n_blocks - 1])) {
                        Block *b = &blocks[--n_blocks - 1];
                        b->sum += b[1].sum;
                        b->weight += b[1].weight;
                        b->n += b[1].n;
                }
        }
        offset = 0;
        for (uint32_t i = 0, b = 0, left = blocks[0].n; i < n; i += w->nodes[slice[i]].n_row) {
                const Node *first = &w->nodes[slice[i]];

                if (i > 0)
                        offset += distance(&w->nodes[slice[i - 1]], first);
                if (left == 0)
                        left = blocks[++b].n;
                left--;
                for (uint32_t k = 0; k < first->n_row; k++)
                        w->nodes[slice[i + k]].y = block_place(&blocks[b]) + offset + row_middle(first);
        }
}

static void wish_layer(Work *w, uint32_t layer, bool left, bool right) {
        for (uint32_t i = w->layers[layer]; i < w->layers[layer + 1]; i++) {
                uint32_t id = w->order[i], n = 0;
                double sum = 0;

                for (uint32_t k = w->left.begin[id]; left && k < w->left.begin[id + 1]; k++, n++)
                        sum += w->nodes[w->left.items[k]].y;
                for (uint32_t k = w->right.begin[id]; right && k < w->right.begin[id + 1]; k++, n++)
                        sum += w->nodes[w->right.items[k]].y;
                w->nodes[id].wish = n > 0 ? sum / n : w->nodes[id].y;
        }
}

static void place_part(Work *w, uint32_t first, uint32_t last, Block *blocks) {
        unsigned sweeps = w->layers[last] - w->layers[first] < 5000 ? 12 : 4;

        for (uint32_t k = first; k < last; k++)
                make_rows(w, k);
        for (uint32_t k = first; k < last; k++) {
                for (uint32_t i = w->layers[k]; i < w->layers[k + 1]; i++)
                        w->nodes[w->order[i]].wish = 0;
                place_layer(w, k, blocks);
        }
        for (unsigned i = 0; i < sweeps; i++) {
                bool both = i + 2 >= sweeps;

                for (uint32_t k = 0; k < last - first; k++) {
                        uint32_t layer = i % 2 == 0 ? first + k : last - 1 - k;
                        wish_layer(w, layer, both || i % 2 == 0, both || i % 2 == 1);
                        place_layer(w, layer, blocks);
                }
        }
}

/* ---- shelves ---- */

typedef struct Part {
        uint32_t first, last;           /* layers */
        double width, height, top;      /* top: the smallest y of it as yet */
        double x, y;
} Part;

/* Of each of its columns, and of all together. */
static double layer_widths(const Work *w, uint32_t layer, double ret[static COLUMNS_MAX]) {
        uint32_t n = columns_of_layer(w, layer);
        double width = 0;

        memset(ret, 0, COLUMNS_MAX * sizeof(*ret));
        for (uint32_t i = w->layers[layer]; i < w->layers[layer + 1]; i++) {
                const Node *node = &w->nodes[w->order[i]];
                ret[node->column] = MAX(ret[node->column], node->width);
        }
        for (uint32_t k = 0; k < n; k++)
                width += ret[k] + (k > 0 ? COLUMN_GAP : 0);
        return width;
}

static void measure(const Work *w, Part *p) {
        double bottom = -INFINITY;

        p->top = INFINITY;
        for (uint32_t i = w->layers[p->first]; i < w->layers[p->last]; i++) {
                const Node *n = &w->nodes[w->order[i]];
                p->top = MIN(p->top, n->y - n->row_height / 2 - n->above);
                bottom = MAX(bottom, n->y + n->row_height / 2 + n->below);
        }
        p->height = bottom - p->top;
        for (uint32_t k = p->first; k < p->last; k++) {
                double widths[COLUMNS_MAX];
                p->width += layer_widths(w, k, widths) + (k > p->first ? LAYER_GAP : 0);
        }
}

/* The tallest first; where all is alike, in the order of the boxes. */
static int compare_parts(const void *a, const void *b) {
        const Part *x = a, *y = b;

        if (x->height != y->height)
                return x->height > y->height ? -1 : 1;
        return x->first < y->first ? -1 : x->first > y->first;
}

static void put_on_shelves(Layout *l, Part *parts, size_t n) {
        double area = 0, widest = 0, x = 0, y = 0, shelf = 0;

        qsort(parts, n, sizeof(*parts), compare_parts);
        for (size_t i = 0; i < n; i++) {
                area += (parts[i].width + PART_GAP) * (parts[i].height + PART_GAP);
                widest = MAX(widest, parts[i].width);
        }
        widest = MAX(widest, sqrt(area * 1.6));
        for (size_t i = 0; i < n; i++) {
                Part *p = &parts[i];

                if (x > 0 && x + p->width > widest) {
                        x = 0;
                        y += shelf + PART_GAP;
                        shelf = 0;
                }
                p->x = x;
                p->y = y;
                x += p->width + PART_GAP;
                shelf = MAX(shelf, p->height);
                l->width = MAX(l->width, p->x + p->width);
                l->height = MAX(l->height, p->y + p->height);
        }
}

/* ---- the result ---- */

/* Of each node its left end, where its column ends, and where its layer begins and ends. */
typedef struct Column {
        double x, end, layer_begin, layer_end;
} Column;

static void add_level(LayoutEdge *e, double from, double to, double y) {
        e->points[e->n_points++] = (LayoutPoint) { from, y };
        e->points[e->n_points++] = (LayoutPoint) { to, y };
}

/* Below the boxes that stand to the right of it in its row; the line of the last but one is nearest to them. */
static void leave_row(LayoutEdge *e, const Node *n, const Column *c) {
        if (n->column + 1 < n->n_row)
                add_level(e, c->end + COLUMN_GAP / 2.0, c->layer_end,
                          n->y + n->row_height / 2 + ROW_LINE_GAP * (double) (n->n_row - 1 - n->column));
}

static void enter_row(LayoutEdge *e, const Node *n, const Column *c) {
        if (n->column > 0)
                add_level(e, c->layer_begin, c->x - COLUMN_GAP / 2.0, n->y - n->row_height / 2 - ROW_LINE_GAP * (double) n->column);
}

static int set_points(const Work *w, size_t i, const Column *columns) {
        LayoutEdge *e = &w->layout->edges[i];
        Segment s = edge_segment(w, i);
        uint32_t n_dummies = w->first_dummy[i] == UINT32_MAX ? 0 : w->nodes[s.to].rank - w->nodes[s.from].rank - 1;

        e->points = calloc(6 + 2 * (size_t) n_dummies, sizeof(LayoutPoint));
        if (!e->points)
                return -ENOMEM;
        e->points[e->n_points++] = (LayoutPoint) { columns[s.from].x + w->nodes[s.from].width, w->nodes[s.from].y };
        leave_row(e, &w->nodes[s.from], &columns[s.from]);
        for (uint32_t k = 0; k < n_dummies; k++) {
                uint32_t id = w->first_dummy[i] + k;
                add_level(e, columns[id].layer_begin, columns[id].layer_end, w->nodes[id].y);
        }
        enter_row(e, &w->nodes[s.to], &columns[s.to]);
        e->points[e->n_points++] = (LayoutPoint) { columns[s.to].x, w->nodes[s.to].y };
        if (w->turned[i])
                for (size_t k = 0; k < e->n_points / 2; k++) {
                        LayoutPoint swap = e->points[k];
                        e->points[k] = e->points[e->n_points - 1 - k];
                        e->points[e->n_points - 1 - k] = swap;
                }
        return 0;
}

static int finish(Work *w, Part *parts, size_t n_parts) {
        Layout *l = w->layout;
        _cleanup_free_ Column *columns = calloc(w->n_nodes + 1, sizeof(*columns));

        if (!columns)
                return -ENOMEM;
        put_on_shelves(l, parts, n_parts);
        for (size_t p = 0; p < n_parts; p++) {
                double x = parts[p].x;

                for (uint32_t k = parts[p].first; k < parts[p].last; k++) {
                        double widths[COLUMNS_MAX], begins[COLUMNS_MAX] = { x }, width = layer_widths(w, k, widths);

                        for (uint32_t c = 1; c < COLUMNS_MAX; c++)
                                begins[c] = begins[c - 1] + widths[c - 1] + COLUMN_GAP;
                        for (uint32_t i = w->layers[k]; i < w->layers[k + 1]; i++) {
                                uint32_t id = w->order[i], c = w->nodes[id].column;
                                w->nodes[id].y += parts[p].y - parts[p].top;
                                columns[id] = (Column) { begins[c], begins[c] + widths[c], x, x + width };
                        }
                        x += width + LAYER_GAP;
                }
        }
        for (size_t i = 0; i < l->n_boxes; i++) {
                l->boxes[i].x = columns[i].x;
                l->boxes[i].y = w->nodes[i].y - w->nodes[i].height / 2;
        }
        for (size_t i = 0; i < l->n_edges; i++)
                if (set_points(w, i, columns) < 0)
                        return -ENOMEM;
        return 0;
}

static int build(Work *w) {
        Layout *l = w->layout;
        int r;

        w->n_nodes = (uint32_t) l->n_boxes;
        w->nodes = calloc(l->n_boxes + 1, sizeof(Node));
        w->turned = calloc(l->n_edges + 1, sizeof(bool));
        if (!w->nodes || !w->turned)
                return -ENOMEM;
        for (size_t i = 0; i < l->n_boxes; i++)
                w->nodes[i] = (Node) { .width = l->boxes[i].width, .height = l->boxes[i].height };
        for (size_t i = 0; i < l->n_edges; i++)
                if (add_segment(w, l->edges[i].from, l->edges[i].to) < 0)
                        return -ENOMEM;
        r = collect_both(w);
        if (r >= 0)
                r = turn_cycles(w);
        for (size_t i = 0; r >= 0 && i < l->n_edges; i++)
                w->segments[i] = edge_segment(w, i);
        if (r >= 0)
                r = collect_both(w);
        if (r >= 0)
                r = rank_nodes(w);
        if (r >= 0)
                r = add_dummies(w);
        if (r >= 0)
                r = visit_parts(w);
        return r < 0 ? r : make_layers(w);
}

int layout_run(Layout *l) {
        _cleanup_(work_done) Work w = { .layout = l };
        size_t n_parts = 0;
        int r;

        l->width = l->height = 0;
        r = build(&w);
        if (r < 0)
                return r;
        _cleanup_free_ Part *parts = calloc(w.n_layers + 1, sizeof(*parts));
        _cleanup_free_ Block *blocks = calloc(w.n_nodes + 1, sizeof(*blocks));
        if (!parts || !blocks)
                return -ENOMEM;
        for (uint32_t first = 0, last; first < w.n_layers; first = last) {
                for (last = first + 1; last < w.n_layers && part_of(&w, last) == part_of(&w, first);)
                        last++;
                r = order_part(&w, first, last);
                if (r < 0)
                        return r;
                place_part(&w, first, last, blocks);
                parts[n_parts] = (Part) { .first = first, .last = last };
                measure(&w, &parts[n_parts++]);
        }
        return finish(&w, parts, n_parts);
}
