/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A vertex that is removed and has a reversal keeps its place, gets the reversal as its resource, and loses all edges. It leaves the
 * graph when that has succeeded (reversals.c). After a restart of the engine it is the first whole graph that shows what is gone. */

#include "common/graph.h"
#include "common/sd/log.h"
#include "daemons/engine/engine-manager.h"
#include "daemons/engine/reversals.h"
#include "daemons/engine/swap-reversals.h"

/* The kind may have changed since the reversal was made. That must not stand in the way of a graph. */
static int build(Swap *s, const Reversal *x, Resource **ret) {
        _cleanup_(diag_done) Diag diag = {};
        int r;

        r = swap_build_resource(s, &x->spec, ret, &diag);
        if (r < 0 && r != -ENOMEM)
                (void) log_warning(r, "cannot undo %s[%s]: %s, ignoring", x->spec.kind, x->spec.name, diag.message ?: "");
        return r;
}

static int become(Swap *s, SwapEntry *e, const Reversal *x) {
        Resource *r;
        int k;

        k = build(s, x, &r);
        if (k < 0)
                return k == -ENOMEM ? k : 0;
        resource_free(e->replacement);
        e->replacement = r;
        e->removed = false;
        e->reversal = true;
        return 0;
}

static int come_back(Swap *s, const Reversal *x) {
        Resource *r;
        int k;

        k = build(s, x, &r);
        if (k < 0)
                return k == -ENOMEM ? k : 0;
        k = swap_put_new(s, r, 0);
        if (k < 0)
                return k;
        s->entries[s->n_entries - 1]->reversal = true;
        return 0;
}

int swap_add_reversals(Swap *s, const ChangeSet *set) {
        Manager *m = s->manager;
        const Reversal *x;
        size_t it = 0, n = s->n_entries;
        int r = 0;

        if (reversals_n(m->reversals) == 0)
                return 0;
        for (size_t i = 0; i < n && r >= 0; i++) {
                SwapEntry *e = s->entries[i];

                if (!e->removed || e->vertex->reversal)
                        continue;
                x = reversals_find(m->reversals, vertex_kind(e->vertex), vertex_name(e->vertex));
                r = x ? become(s, e, x) : 0;
        }
        while (set->full && r >= 0 && reversals_next(m->reversals, &it, &x))
                if (!manager_find(m, x->spec.kind, x->spec.name))
                        r = come_back(s, x);
        return r;
}

/* ---- order ---- */

static Vertex *find(Manager *m, const char *kind, const char *name) {
        Vertex *v = manager_find(m, kind, name);
        return v && (v->swap ? v->swap->reversal && !v->swap->removed : v->reversal) ? v : NULL;
}

/* What was learned at different times need not fit together; then the order does not matter that much. */
static int add_edge(Swap *s, const Vertex *from, const Vertex *to) {
        const Graph *g = s->manager->graph;

        if (from == to || graph_reaches(g, to->id, from->id))
                return 0;
        return swap_edge(s, from->id, to->id, EDGE_REVERSAL);
}

int swap_order_reversals(Swap *s) {
        Manager *m = s->manager;
        const Reversal *x;
        size_t it = 0;
        bool any = false;
        int r = 0;

        for (size_t i = 0; i < s->n_entries && !any; i++)
                any = s->entries[i]->reversal && !s->entries[i]->vertex->reversal;
        while (any && r >= 0 && reversals_next(m->reversals, &it, &x)) {
                const Vertex *v = find(m, x->spec.kind, x->spec.name);

                for (size_t i = 0; v && i < x->n_after && r >= 0; i++) {
                        const Vertex *before = find(m, x->after[i].kind, x->after[i].name);
                        if (before)
                                r = add_edge(s, v, before);
                }
        }
        return r;
}

void swap_settle_reversals(Swap *s) {
        Reversals *rs = s->manager->reversals;

        for (size_t i = 0; i < s->n_entries && reversals_n(rs) > 0; i++) {
                const SwapEntry *e = s->entries[i];
                const Vertex *v = e->vertex;

                if (v->named_in == s->number && !e->removed && !e->reversal && !v->resource->meta.reverse)
                        reversals_forget(rs, vertex_kind(v), vertex_name(v));
        }
}
