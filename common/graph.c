/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Adjacency arrays in both directions, and a hash index of edges that knows where each edge stands in both of its arrays: finding,
 * adding and removing an edge are O(1), however many neighbours a vertex has. */

#include <stdio.h>

#include "common/graph.h"

typedef struct Vertex {
        GraphAdjacency out, in;
        bool used;
        VertexId next_free;
} Vertex;

typedef struct Slot {
        VertexId a, b;          /* a == b: empty, for there are no such edges */
        uint32_t out, in;       /* where it stands: in the successors of a, in the predecessors of b */
} Slot;

/* For walks that must not fail: as large as the vertex array, allocated with it. */
typedef struct Scratch {
        uint32_t round;         /* mark[v] == round: v was seen in this walk */
        uint32_t *mark;
        VertexId *queue;
} Scratch;

struct Graph {
        Vertex *vertices;
        uint32_t limit, capacity;
        VertexId first_free;
        size_t n_vertices, n_edges;
        Slot *slots;
        uint32_t n_slots;       /* a power of two, at least twice n_edges */
        Scratch *scratch;
};

Graph *graph_new(void) {
        Graph *g = calloc(1, sizeof(Graph));
        Scratch *scratch = calloc(1, sizeof(Scratch));

        if (!g || !scratch) {
                free(g);
                free(scratch);
                return NULL;
        }
        g->scratch = scratch;
        g->first_free = VERTEX_NONE;
        return g;
}

Graph *graph_free(Graph *g) {
        if (!g)
                return NULL;
        for (uint32_t v = 0; v < g->limit; v++) {
                free(g->vertices[v].out.items);
                free(g->vertices[v].in.items);
        }
        free(g->scratch->mark);
        free(g->scratch->queue);
        free(g->scratch);
        free(g->vertices);
        free(g->slots);
        free(g);
        return NULL;
}

/* ---- the index of edges ---- */

static uint32_t home(const Graph *g, VertexId a, VertexId b) {
        uint64_t x = ((uint64_t) a << 32 | b) * UINT64_C(0x9e3779b97f4a7c15);

        return (uint32_t) (x >> 32 ^ x >> 17) & (g->n_slots - 1);
}

/* The slot of the edge, or the empty one where it would go. */
static uint32_t find_slot(const Graph *g, VertexId a, VertexId b) {
        uint32_t i = home(g, a, b);

        while (g->slots[i].a != g->slots[i].b && (g->slots[i].a != a || g->slots[i].b != b))
                i = (i + 1) & (g->n_slots - 1);
        return i;
}

static Slot *find_edge(const Graph *g, VertexId a, VertexId b) {
        /* Most of what is asked for is not there, and most vertices have few neighbours or none. */
        if (a == b || a >= g->limit || b >= g->limit || g->vertices[a].out.n == 0 || g->vertices[b].in.n == 0)
                return NULL;
        Slot *s = &g->slots[find_slot(g, a, b)];
        return s->a != s->b ? s : NULL;
}

static int reserve_slot(Graph *g) {
        if ((g->n_edges + 1) * 2 <= g->n_slots)
                return 0;
        if (g->n_edges >= UINT32_MAX / 8)
                return -ENOMEM;

        Graph grown = { .n_slots = g->n_slots > 0 ? g->n_slots * 2 : 16 };
        grown.slots = calloc(grown.n_slots, sizeof(Slot));
        if (!grown.slots)
                return -ENOMEM;
        for (uint32_t i = 0; i < g->n_slots; i++)
                if (g->slots[i].a != g->slots[i].b)
                        grown.slots[find_slot(&grown, g->slots[i].a, g->slots[i].b)] = g->slots[i];
        free(g->slots);
        g->slots = grown.slots;
        g->n_slots = grown.n_slots;
        return 0;
}

static void empty_slot(Graph *g, uint32_t gap) {
        uint32_t mask = g->n_slots - 1;

        for (uint32_t i = (gap + 1) & mask; g->slots[i].a != g->slots[i].b; i = (i + 1) & mask) {
                uint32_t distance = (i - home(g, g->slots[i].a, g->slots[i].b)) & mask;
                if (distance >= ((i - gap) & mask)) {
                        g->slots[gap] = g->slots[i];
                        gap = i;
                }
        }
        g->slots[gap] = (Slot) {};
}

/* ---- vertices ---- */

static int grow_vertices(Graph *g) {
        uint32_t capacity = g->capacity > 0 ? g->capacity * 2 : 16;

        if (g->capacity >= UINT32_MAX / 4)
                return -ENOMEM;
        Vertex *vertices = reallocarray(g->vertices, capacity, sizeof(Vertex));
        if (!vertices)
                return -ENOMEM;
        g->vertices = vertices;
        uint32_t *mark = reallocarray(g->scratch->mark, capacity, sizeof(uint32_t));
        if (!mark)
                return -ENOMEM;
        g->scratch->mark = mark;
        VertexId *queue = reallocarray(g->scratch->queue, capacity, sizeof(VertexId));
        if (!queue)
                return -ENOMEM;
        g->scratch->queue = queue;
        g->capacity = capacity;
        return 0;
}

int graph_add_vertex(Graph *g, VertexId *ret) {
        VertexId v = g->first_free;

        if (v != VERTEX_NONE)
                g->first_free = g->vertices[v].next_free;
        else {
                if (g->limit == g->capacity && grow_vertices(g) < 0)
                        return -ENOMEM;
                v = g->limit++;
                g->scratch->mark[v] = 0;
        }
        g->vertices[v] = (Vertex) { .used = true };
        g->n_vertices++;
        *ret = v;
        return 0;
}

void graph_remove_vertex(Graph *g, VertexId v) {
        if (!graph_has_vertex(g, v))
                return;

        Vertex *x = &g->vertices[v];
        while (x->out.n > 0)
                graph_remove_edge(g, v, x->out.items[x->out.n - 1].peer);
        while (x->in.n > 0)
                graph_remove_edge(g, x->in.items[x->in.n - 1].peer, v);
        free(x->out.items);
        free(x->in.items);
        *x = (Vertex) { .next_free = g->first_free };
        g->first_free = v;
        g->n_vertices--;
}

bool graph_has_vertex(const Graph *g, VertexId v) {
        return v < g->limit && g->vertices[v].used;
}

size_t graph_n_vertices(const Graph *g) {
        return g->n_vertices;
}

size_t graph_n_edges(const Graph *g) {
        return g->n_edges;
}

VertexId graph_id_limit(const Graph *g) {
        return g->limit;
}

/* ---- edges ---- */

/* Most vertices have a neighbour or two; there are many vertices. */
static int reserve_edge(GraphAdjacency *l) {
        if (l->n < l->capacity)
                return 0;
        uint32_t capacity = l->capacity > 0 ? l->capacity * 2 : 2;
        GraphEdge *grown = reallocarray(l->items, capacity, sizeof(GraphEdge));
        if (!grown)
                return -ENOMEM;
        l->items = grown;
        l->capacity = capacity;
        return 0;
}

int graph_add_edge(Graph *g, VertexId a, VertexId b, uint32_t data) {
        if (a == b || !graph_has_vertex(g, a) || !graph_has_vertex(g, b))
                return -EINVAL;

        GraphAdjacency *out = &g->vertices[a].out, *in = &g->vertices[b].in;
        Slot *s = find_edge(g, a, b);
        if (s) {
                out->items[s->out].data = in->items[s->in].data = data;
                return 0;
        }
        if (reserve_slot(g) < 0 || reserve_edge(out) < 0 || reserve_edge(in) < 0)
                return -ENOMEM;
        g->slots[find_slot(g, a, b)] = (Slot) { .a = a, .b = b, .out = out->n, .in = in->n };
        out->items[out->n++] = (GraphEdge) { .peer = b, .data = data };
        in->items[in->n++] = (GraphEdge) { .peer = a, .data = data };
        g->n_edges++;
        return 1;
}

bool graph_remove_edge(Graph *g, VertexId a, VertexId b) {
        Slot *s = find_edge(g, a, b);
        if (!s)
                return false;

        /* The last edge of each array takes the place of the removed one. */
        GraphAdjacency *out = &g->vertices[a].out, *in = &g->vertices[b].in;
        GraphEdge last_out = out->items[--out->n], last_in = in->items[--in->n];
        if (s->out < out->n) {
                out->items[s->out] = last_out;
                find_edge(g, a, last_out.peer)->out = s->out;
        }
        if (s->in < in->n) {
                in->items[s->in] = last_in;
                find_edge(g, last_in.peer, b)->in = s->in;
        }
        empty_slot(g, (uint32_t) (s - g->slots));
        g->n_edges--;
        return true;
}

bool graph_find_edge(const Graph *g, VertexId a, VertexId b, uint32_t *ret_data) {
        const Slot *s = find_edge(g, a, b);

        if (s && ret_data)
                *ret_data = g->vertices[a].out.items[s->out].data;
        return s;
}

void graph_prefetch(const Graph *g, VertexId a, VertexId b) {
        if (a >= g->limit || b >= g->limit || g->n_slots == 0)
                return;
        __builtin_prefetch(&g->vertices[a].out);
        __builtin_prefetch(&g->vertices[b].in);
        __builtin_prefetch(&g->slots[home(g, a, b)]);
}

const GraphAdjacency *graph_successors(const Graph *g, VertexId v) {
        return &g->vertices[v].out;
}

const GraphAdjacency *graph_predecessors(const Graph *g, VertexId v) {
        return &g->vertices[v].in;
}

/* ---- order ---- */

/* A set of ids that gives up its smallest: a bit per id, above it a bit per word that is not empty, and so on up to one word. Six
 * levels hold every id there can be, so both operations take constant time. */
enum { LEVELS_MAX = 6 };

typedef struct IdSet {
        uint64_t *level[LEVELS_MAX];    /* from the bits up; one allocation */
        unsigned n_levels;
} IdSet;

static int id_set_init(IdSet *s, uint32_t limit) {
        size_t words[LEVELS_MAX], total = 0;

        for (size_t n = (size_t) limit + 1; s->n_levels == 0 || n > 1;) {
                n = (n + 63) / 64;
                words[s->n_levels++] = n;
                total += n;
        }
        uint64_t *p = calloc(total, sizeof(uint64_t));
        if (!p)
                return -ENOMEM;
        for (unsigned i = 0; i < s->n_levels; i++) {
                s->level[i] = p;
                p += words[i];
        }
        return 0;
}

static void id_set_done(IdSet *s) {
        free(s->level[0]);
}

static void id_set_add(IdSet *s, uint32_t id) {
        for (unsigned i = 0; i < s->n_levels; i++, id /= 64)
                s->level[i][id / 64] |= UINT64_C(1) << id % 64;
}

static bool id_set_take_smallest(IdSet *s, uint32_t *ret) {
        uint32_t id = 0;

        if (s->level[s->n_levels - 1][0] == 0)
                return false;
        for (unsigned i = s->n_levels; i-- > 0;)
                id = id * 64 + (uint32_t) __builtin_ctzll(s->level[i][id]);
        *ret = id;
        for (unsigned i = 0; i < s->n_levels; i++, id /= 64) {
                s->level[i][id / 64] &= ~(UINT64_C(1) << id % 64);
                if (s->level[i][id / 64] != 0)
                        break;
        }
        return true;
}

int graph_topological_order(const Graph *g, VertexId **ret) {
        _cleanup_free_ VertexId *order = calloc(g->n_vertices + 1, sizeof(VertexId));
        _cleanup_free_ uint32_t *missing = calloc((size_t) g->limit + 1, sizeof(uint32_t));     /* predecessors not placed yet */
        _cleanup_(id_set_done) IdSet ready = {};
        size_t n = 0;
        VertexId v;

        if (!order || !missing || id_set_init(&ready, g->limit) < 0)
                return -ENOMEM;
        for (v = 0; v < g->limit; v++) {
                missing[v] = g->vertices[v].in.n;
                if (g->vertices[v].used && missing[v] == 0)
                        id_set_add(&ready, v);
        }
        while (id_set_take_smallest(&ready, &v)) {
                const GraphAdjacency *out = &g->vertices[v].out;
                order[n++] = v;
                for (uint32_t i = 0; i < out->n; i++)
                        if (--missing[out->items[i].peer] == 0)
                                id_set_add(&ready, out->items[i].peer);
        }
        if (n < g->n_vertices)
                return -ELOOP;
        *ret = TAKE_PTR(order);
        return 0;
}

typedef struct CycleSearch {
        uint8_t *state;         /* of each vertex: NEW, ON_PATH or LEFT */
        uint32_t *next;         /* the edge of each to follow next */
        VertexId *path;
        size_t depth;
} CycleSearch;

enum { NEW, ON_PATH, LEFT };

static void enter_path(CycleSearch *c, VertexId v) {
        c->state[v] = ON_PATH;
        c->path[c->depth++] = v;
}

/* Follows edges from the end of the path. Whether they have led back to to, which is on it. */
static bool search_from(const Graph *g, CycleSearch *c, VertexId start, VertexId *ret_to) {
        enter_path(c, start);
        while (c->depth > 0) {
                VertexId v = c->path[c->depth - 1];
                const GraphAdjacency *out = &g->vertices[v].out;

                if (c->next[v] == out->n) {
                        c->state[v] = LEFT;
                        c->depth--;
                        continue;
                }
                VertexId to = out->items[c->next[v]++].peer;
                if (c->state[to] == NEW)
                        enter_path(c, to);
                else if (c->state[to] == ON_PATH) {
                        *ret_to = to;
                        return true;
                }
        }
        return false;
}

int graph_find_cycle(const Graph *g, VertexId **ret, size_t *ret_n) {
        _cleanup_free_ uint8_t *state = calloc((size_t) g->limit + 1, 1);
        _cleanup_free_ uint32_t *next = calloc((size_t) g->limit + 1, sizeof(uint32_t));
        _cleanup_free_ VertexId *path = calloc((size_t) g->limit + 2, sizeof(VertexId));
        CycleSearch c = { .state = state, .next = next, .path = path };
        VertexId to;

        if (!state || !next || !path)
                return -ENOMEM;
        for (VertexId start = 0; start < g->limit; start++) {
                if (state[start] != NEW || !search_from(g, &c, start, &to))
                        continue;
                size_t first = 0;
                while (path[first] != to)
                        first++;
                path[c.depth++] = to;
                memmove(path, path + first, (c.depth - first) * sizeof(VertexId));
                *ret_n = c.depth - first;
                *ret = TAKE_PTR(path);
                return 0;
        }
        return -ENOENT;
}

/* ---- walks ---- */

static bool mark(const Graph *g, VertexId v) {
        Scratch *s = g->scratch;

        if (s->mark[v] == s->round)
                return false;
        s->mark[v] = s->round;
        return true;
}

static void begin_walk(const Graph *g) {
        Scratch *s = g->scratch;

        if (++s->round == 0) {          /* after four thousand million walks */
                memset(s->mark, 0, g->limit * sizeof(uint32_t));
                s->round = 1;
        }
}

/* Breadth first, from the successors of from on. */
bool graph_reaches(const Graph *g, VertexId from, VertexId to) {
        VertexId *queue = g->scratch->queue;
        size_t head = 0, tail = 0;

        if (!graph_has_vertex(g, from) || !graph_has_vertex(g, to))
                return false;
        begin_walk(g);
        /* from itself is not marked: it may be reached again, over a cycle. */
        for (VertexId v = from;; v = queue[head++]) {
                const GraphAdjacency *out = &g->vertices[v].out;
                for (uint32_t i = 0; i < out->n; i++) {
                        VertexId peer = out->items[i].peer;
                        if (!mark(g, peer))
                                continue;
                        if (peer == to)
                                return true;
                        queue[tail++] = peer;
                }
                if (head == tail)
                        return false;
        }
}
