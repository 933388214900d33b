/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "daemons/engine/engine-manager.h"
#include "daemons/engine/swap-memo.h"

void swap_memo_done(SwapMemo *m) {
        free(m->vertices);
        *m = (SwapMemo) {};
}

static Vertex *known(const Swap *s, size_t i) {
        const SwapMemo *m = &s->manager->memo;

        return i < m->n_vertices ? manager_vertex(s->manager, m->vertices[i]) : NULL;
}

/* Those that come next will be looked at soon. A large graph is in no cache, and each part of a vertex tells where the next one is: so
 * what is three steps away is asked for by its first part, and so on. */
static void prefetch(const Swap *s, size_t i) {
        enum { STEP = 4 };
        const Vertex *v;

        if ((v = known(s, i + 3 * STEP)))
                __builtin_prefetch(&v->resource);
        if ((v = known(s, i + 2 * STEP)))
                __builtin_prefetch(v->resource);
        if ((v = known(s, i + STEP))) {
                __builtin_prefetch(&v->spec_hash);
                __builtin_prefetch(&v->resource->pos);
                __builtin_prefetch(vertex_name(v));
        }
}

Vertex *swap_memo_vertex(const Swap *s, size_t i, const ResourceSpec *spec) {
        Vertex *v = known(s, i);

        prefetch(s, i);
        return v && streq(vertex_name(v), spec->name) && streq(vertex_kind(v), spec->kind) ? v : NULL;
}

/* A resource that goes takes edges with it, and one that is another now may refuse to send or to receive. */
static bool only_adds(const Swap *s) {
        for (size_t i = 0; i < s->n_entries; i++)
                if (!s->entries[i]->added)
                        return false;
        return true;
}

bool swap_memo_edges(Swap *s, const ChangeSet *set, size_t *ret) {
        const SwapMemo *m = &s->manager->memo;
        uint64_t first = change_set_edges_hash(set, MIN(m->n_edges, set->n_edges), &s->edges_hash);

        *ret = m->n_edges;
        return m->vertices && m->n_edges <= set->n_edges && first == m->edges_hash && only_adds(s);
}

void swap_memo_keep(Swap *s, const ChangeSet *set) {
        SwapMemo *m = &s->manager->memo;

        swap_memo_done(m);
        if (!set->full)
                return;
        *m = (SwapMemo) {
                .vertices = TAKE_PTR(s->declared), .n_vertices = set->n_put, .edges_hash = s->edges_hash, .n_edges = set->n_edges,
        };
}
