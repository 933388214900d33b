/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "daemons/engine/engine-manager.h"
#include "daemons/engine/swap-memo.h"

void swap_memo_done(SwapMemo *m) {
        free(m->vertices);
        free(m->edges);
        *m = (SwapMemo) {};
}

Vertex *swap_memo_vertex(const Swap *s, size_t i, const ResourceSpec *spec) {
        const SwapMemo *m = &s->manager->memo;
        Vertex *v = i < m->n_vertices ? manager_vertex(s->manager, m->vertices[i]) : NULL;

        return v && streq(vertex_name(v), spec->name) && streq(vertex_kind(v), spec->kind) ? v : NULL;
}

/* A resource that goes takes edges with it, and one that is another now may refuse to send or to receive. */
static bool only_adds(const Swap *s) {
        for (size_t i = 0; i < s->n_entries; i++)
                if (!s->entries[i]->added)
                        return false;
        return true;
}

int64_t swap_memo_edges(Swap *s, const ChangeSet *set) {
        const SwapMemo *m = &s->manager->memo;

        s->edge_hashes = calloc(set->n_edges + 1, sizeof(uint64_t));
        if (!s->edge_hashes)
                return -ENOMEM;
        for (size_t i = 0; i < set->n_edges; i++)
                s->edge_hashes[i] = edge_spec_hash(&set->edges[i]);
        if (!m->edges || m->n_edges > set->n_edges || !only_adds(s))
                return -ENODATA;
        return memcmp(m->edges, s->edge_hashes, m->n_edges * sizeof(uint64_t)) == 0 ? (int64_t) m->n_edges : -ENODATA;
}

void swap_memo_keep(Swap *s, const ChangeSet *set) {
        SwapMemo *m = &s->manager->memo;

        swap_memo_done(m);
        if (!set->full)
                return;
        *m = (SwapMemo) {
                .vertices = TAKE_PTR(s->declared), .n_vertices = set->n_put, .edges = TAKE_PTR(s->edge_hashes), .n_edges = set->n_edges,
        };
}
