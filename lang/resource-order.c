/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Whether resources have an order. Each has a place, and what was looked at leads from lower to higher places; so an edge that does the
 * same is no news. For one that does not, those that stand between its ends and have to do with one of them change places (the method
 * of Pearce and Kelly). If many are new, all is put in order at once. */

#include <errno.h>
#include <stdlib.h>

#include "common/strbuf.h"
#include "lang/output.h"

static bool is_placed(const EdgeEntry *e) {
        return e->from->place < e->to->place;
}

/* ---- all of them ---- */

static int report_cycle(Output *o, const Graph *graph, Diag *reterr) {
        _cleanup_free_ VertexId *cycle = NULL;
        size_t n = 0;
        StrBuf text = {};

        int r = graph_find_cycle(graph, &cycle, &n);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                for (const ResourceEntry *e = o->first; e; e = e->next)
                        if (e->declared && e->vertex == cycle[i]) {
                                strbuf_printf(&text, "%s%s[%s]", i > 0 ? " -> " : "", e->declared->spec.kind, e->declared->spec.name);
                                break;
                        }
        _cleanup_free_ char *path = strbuf_take(&text);
        Pos pos = {};
        for (const EdgeEntry *e = o->first_edge; e && pos.line == 0; e = e->next)
                if (e->declared && n > 1 && e->from->vertex == cycle[0] && e->to->vertex == cycle[1])
                        pos = e->declared->spec.pos;
        r = diag_set(reterr, pos, -ELOOP, "resource graph has cycles: not a dag");
        (void) diag_note(reterr, (Pos) {}, "note: %s", path ?: "?");
        return r;
}

static int take_places(Output *o, const VertexId *order, size_t n) {
        _cleanup_free_ uint64_t *places = calloc(n + 1, sizeof(uint64_t));

        if (!places)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                places[order[i]] = i;
        for (ResourceEntry *e = o->first; e; e = e->next)
                e->place = places[e->vertex];
        o->next_place = n;
        return 0;
}

static int order_all(Output *o, Diag *reterr) {
        _cleanup_(graph_freep) Graph *graph = graph_new();
        _cleanup_free_ VertexId *order = NULL;
        size_t n = 0;
        int r;

        if (!graph)
                return -ENOMEM;
        for (ResourceEntry *e = o->first; e; e = e->next, n++) {
                r = graph_add_vertex(graph, &e->vertex);
                if (r < 0)
                        return r;
        }
        for (const EdgeEntry *e = o->first_edge; e; e = e->next) {
                if (!e->declared)
                        continue;
                r = e->from == e->to ? -ELOOP : graph_add_edge(graph, e->from->vertex, e->to->vertex, 0);
                if (r == -ELOOP)
                        return diag_set(reterr, e->declared->spec.pos, r, "resource graph has cycles: not a dag");
                if (r < 0)
                        return r;
        }
        r = graph_topological_order(graph, &order);
        if (r == -ELOOP)
                return report_cycle(o, graph, reterr);
        return r < 0 ? r : take_places(o, order, n);
}

/* ---- one edge ---- */

/* Those that have to do with one end, from low places to high ones once it is complete. */
typedef struct Group {
        ResourceEntry **items;
        size_t n, capacity;
} Group;

static void group_done(Group *g) {
        free(g->items);
}

static int group_add(Output *o, Group *g, ResourceEntry *e) {
        if (e->round == o->round)
                return 0;
        if (GROW(g->items, g->n, g->capacity) < 0)
                return -ENOMEM;
        e->round = o->round;
        g->items[g->n++] = e;
        return 0;
}

/* What comes after the end of the edge, as far as the place of its beginning. -ELOOP if the beginning is among it. */
static int find_after(Output *o, const EdgeEntry *edge, Group *ret) {
        int r = group_add(o, ret, edge->to);

        for (size_t i = 0; i < ret->n && r >= 0; i++)
                for (const EdgeEntry *e = ret->items[i]->first_out; e && r >= 0; e = e->next_out) {
                        if (!e->declared || !is_placed(e) || e->to->place > edge->from->place)
                                continue;
                        r = e->to == edge->from ? -ELOOP : group_add(o, ret, e->to);
                }
        return r;
}

static int find_before(Output *o, const EdgeEntry *edge, Group *ret) {
        int r = group_add(o, ret, edge->from);

        for (size_t i = 0; i < ret->n && r >= 0; i++)
                for (const EdgeEntry *e = ret->items[i]->first_in; e && r >= 0; e = e->next_in)
                        if (e->declared && is_placed(e) && e->from->place >= edge->to->place)
                                r = group_add(o, ret, e->from);
        return r;
}

static int compare_places(const void *a, const void *b) {
        const ResourceEntry *x = *(ResourceEntry *const *) a, *y = *(ResourceEntry *const *) b;

        return (x->place > y->place) - (x->place < y->place);
}

/* The places that both have, to those before and then to those after. */
static int share_places(Group *before, Group *after) {
        size_t n = before->n + after->n, b = 0, a = 0;
        _cleanup_free_ uint64_t *places = calloc(n, sizeof(uint64_t));

        if (!places)
                return -ENOMEM;
        qsort(before->items, before->n, sizeof(ResourceEntry *), compare_places);
        qsort(after->items, after->n, sizeof(ResourceEntry *), compare_places);
        for (size_t i = 0; i < n; i++) {
                bool take_before = a == after->n || (b < before->n && before->items[b]->place < after->items[a]->place);
                places[i] = take_before ? before->items[b++]->place : after->items[a++]->place;
        }
        for (size_t i = 0; i < n; i++)
                (i < before->n ? before->items[i] : after->items[i - before->n])->place = places[i];
        return 0;
}

static int order_edge(Output *o, const EdgeEntry *e) {
        _cleanup_(group_done) Group before = {};
        _cleanup_(group_done) Group after = {};

        if (e->from == e->to)
                return -ELOOP;
        o->round++;
        int r = find_after(o, e, &after);
        if (r >= 0)
                r = find_before(o, e, &before);
        return r < 0 ? r : share_places(&before, &after);
}

int output_check_order(Output *o, Diag *reterr) {
        size_t n_news = 0, n_edges = map_size(o->edges);
        int r = 0;

        for (const EdgeEntry *e = o->dirty_edge; e; e = e->next_dirty)
                n_news += e->declared && !is_placed(e);
        if (n_news > n_edges / 8 + 1)
                return order_all(o, reterr);
        for (const EdgeEntry *e = o->dirty_edge; e && r >= 0; e = e->next_dirty)
                if (e->declared && !is_placed(e))
                        r = order_edge(o, e);
        return r == -ELOOP ? order_all(o, reterr) : r;  /* which has the words */
}
