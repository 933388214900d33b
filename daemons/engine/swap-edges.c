/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The edges of a change set. Every step is a swap_edge(), which keeps in a log what was there before. An edge may have several
 * reasons (EdgeFlags), and goes with the last; what a vertex receives is kept in its swap entry until the swap is committed. */

#include "daemons/engine/engine-manager.h"
#include "daemons/engine/swap-edges.h"
#include "daemons/engine/swap-memo.h"
#include "daemons/engine/swap-reversals.h"

/* existed, old: what graph_find_edge() says. */
static int change_edge(Swap *s, VertexId a, VertexId b, bool existed, uint32_t old, uint32_t data) {
        Graph *g = s->manager->graph;
        int r;

        if (existed ? data == old : data == 0)
                return 0;
        if (GROW(s->undo, s->n_undo, s->capacity_undo) < 0)
                return -ENOMEM;
        SwapEntry *from = swap_entry(s, manager_vertex(s->manager, a)), *to = swap_entry(s, manager_vertex(s->manager, b));
        if (!from || !to)
                return -ENOMEM;
        from->source = true;
        to->touched = true;
        if (data == 0)
                (void) graph_remove_edge(g, a, b);
        else {
                r = graph_add_edge(g, a, b, data);
                if (r < 0)
                        return r;
                s->n_new_edges += r > 0;
        }
        s->undo[s->n_undo++] = (EdgeUndo) { .a = a, .b = b, .data = old, .existed = existed };
        return 0;
}

int swap_edge(Swap *s, VertexId a, VertexId b, uint32_t data) {
        uint32_t old = 0;
        bool existed = graph_find_edge(s->manager->graph, a, b, &old);

        return change_edge(s, a, b, existed, old, data);
}

void swap_undo_edges(Swap *s) {
        while (s->n_undo > 0) {
                const EdgeUndo *u = &s->undo[--s->n_undo];
                if (u->existed)
                        (void) graph_add_edge(s->manager->graph, u->a, u->b, u->data);
                else
                        (void) graph_remove_edge(s->manager->graph, u->a, u->b);
        }
}

int swap_open_receives(Swap *s, Vertex *v, bool empty, SwapEntry **ret) {
        SwapEntry *e = swap_entry(s, v);
        if (!e)
                return -ENOMEM;
        *ret = e;
        if (e->has_receives)
                return 0;
        e->has_receives = true;
        for (size_t i = 0; i < (empty ? 0 : v->n_receives); i++) {
                Receive copy = v->receives[i];

                if (GROW(e->receives, e->n_receives, e->capacity_receives) < 0)
                        return -ENOMEM;
                copy.send_key = strdup(copy.send_key);
                copy.field = strdup(copy.field);
                copy.declared = value_ref(copy.declared);
                if (!copy.send_key || !copy.field) {
                        receive_done(&copy);
                        return -ENOMEM;
                }
                e->receives[e->n_receives++] = copy;
        }
        return 0;
}

static Receive *find_receive(SwapEntry *e, VertexId sender, const EdgeSpec *spec) {
        for (size_t i = 0; i < e->n_receives; i++)
                if (e->receives[i].sender == sender && streq(e->receives[i].send_key, spec->send_key) &&
                    streq(e->receives[i].field, spec->receive_field))
                        return &e->receives[i];
        return NULL;
}

static Receive *find_field(SwapEntry *e, const char *field) {
        for (size_t i = 0; i < e->n_receives; i++)
                if (streq(e->receives[i].field, field))
                        return &e->receives[i];
        return NULL;
}

/* The same field from elsewhere: what it was declared as is still known. */
static int replace_sender(Receive *r, const Vertex *from, const EdgeSpec *spec) {
        char *key = strdup(spec->send_key);
        if (!key)
                return -ENOMEM;
        free(r->send_key);
        r->send_key = key;
        r->sender = from->id;
        r->notify = spec->notify;
        return 0;
}

/* Nothing is transferred any more; what was before shall come back. */
static void drop_receive(SwapEntry *e, Receive *r) {
        if (r->transferred) {
                r->sender = VERTEX_NONE;
                return;
        }
        receive_done(r);
        *r = e->receives[--e->n_receives];
}

static int forget_receives(Swap *s, Vertex *v) {
        SwapEntry *e;
        int r;

        r = swap_open_receives(s, v, true, &e);
        if (r < 0)
                return r;
        while (e->n_receives > 0)
                receive_done(&e->receives[--e->n_receives]);
        return 0;
}

/* ---- the ends of edges ---- */

/* So many edges have their ends looked for together. A large graph is in no cache: what one end has to wait for, comes for all. */
enum { BATCH = 16 };

typedef struct EdgeEnds {
        Vertex *from, *to;      /* NULL: there is none */
} EdgeEnds;

static const Map *find_names(Swap *s, const char *kind) {
        if (!s->last_kind || !streq(s->last_kind->type->kind, kind))
                s->last_kind = map_get(s->manager->kinds, kind);
        return s->last_kind ? s->last_kind->by_name : NULL;
}

/* The vertices of n edges, at most BATCH. Neighbours in the set often have an end in common, and nearly always a kind. */
static void find_ends(Swap *s, const EdgeSpec *edges, size_t n, EdgeEnds *ret) {
        MapQuery queries[2 * BATCH];
        unsigned from[BATCH], to[BATCH];        /* which query */
        unsigned n_queries = 0;

        for (size_t i = 0; i < n; i++) {
                const EdgeSpec *e = &edges[i], *last = i > 0 ? e - 1 : NULL;

                if (last && streq(last->from_name, e->from_name) && streq(last->from_kind, e->from_kind))
                        from[i] = from[i - 1];
                else {
                        queries[n_queries] = (MapQuery) { .map = find_names(s, e->from_kind), .key = e->from_name };
                        from[i] = n_queries++;
                }
                if (last && streq(last->to_name, e->to_name) && streq(last->to_kind, e->to_kind))
                        to[i] = to[i - 1];
                else {
                        queries[n_queries] = (MapQuery) { .map = find_names(s, e->to_kind), .key = e->to_name };
                        to[i] = n_queries++;
                }
        }
        map_get_many(queries, n_queries);
        for (unsigned i = 0; i < n_queries; i++)
                if (queries[i].value) {
                        const Vertex *v = queries[i].value;
                        __builtin_prefetch(&v->id);
                        __builtin_prefetch(&v->swap);
                }
        for (size_t i = 0; i < n; i++) {
                ret[i] = (EdgeEnds) { queries[from[i]].value, queries[to[i]].value };
                if (ret[i].from && ret[i].to)
                        graph_prefetch(s->manager->graph, ret[i].from->id, ret[i].to->id);
        }
}

static int check_ends(const EdgeSpec *spec, const EdgeEnds *ends, Diag *reterr) {
        if (!ends->from || !swap_is_declared(ends->from))
                return diag_set(reterr, spec->pos, -ENOENT, "edge from unknown resource %s[%s]", spec->from_kind, spec->from_name);
        if (!ends->to || !swap_is_declared(ends->to))
                return diag_set(reterr, spec->pos, -ENOENT, "edge to unknown resource %s[%s]", spec->to_kind, spec->to_name);
        if (ends->from == ends->to)
                return diag_set(reterr, spec->pos, -ELOOP, "%s[%s] cannot come before itself", spec->to_kind, spec->to_name);
        if (!spec->send_key != !spec->receive_field)
                return diag_set(reterr, spec->pos, -EINVAL, "a transfer needs both a key and a field");
        return 0;
}

/* ---- one edge ---- */

static int check_transfer(const Vertex *from, const Vertex *to, const EdgeSpec *spec, Diag *reterr) {
        const Resource *sender = swap_resource(from), *receiver = swap_resource(to);

        if (!sender->type->sends || !field_find(sender->type->sends, spec->send_key))
                return diag_set(reterr, spec->pos, -EINVAL, "%s[%s] does not send '%s'", spec->from_kind, spec->from_name, spec->send_key);
        const FieldSpec *f = field_find(receiver->type->fields, spec->receive_field);
        if (!(receiver->type->flags & RESOURCE_RECEIVES) || !f || (f->flags & FIELD_HIDDEN))
                return diag_set(reterr, spec->pos, -EINVAL, "%s[%s] does not receive into '%s'", spec->to_kind, spec->to_name,
                                spec->receive_field);
        if (sender->meta.hidden)
                return diag_set(reterr, spec->pos, -EINVAL, "%s[%s] is hidden and cannot send", spec->from_kind, spec->from_name);
        return 0;
}

static int add_receive(Swap *s, Vertex *from, Vertex *to, const EdgeSpec *spec, Diag *reterr) {
        SwapEntry *e;
        int r;

        r = check_transfer(from, to, spec, reterr);
        if (r < 0)
                return r;
        r = swap_open_receives(s, to, false, &e);
        if (r < 0)
                return r;
        Receive *known = find_receive(e, from->id, spec);
        if (known) {
                known->notify = known->notify || spec->notify;
                return 0;
        }
        Receive *same = find_field(e, spec->receive_field);
        if (same && same->sender == VERTEX_NONE)
                return replace_sender(same, from, spec);
        if (same)
                return diag_set(reterr, spec->pos, -EEXIST, "field '%s' of %s[%s] is received from two places",
                                        spec->receive_field, spec->to_kind, spec->to_name);

        if (GROW(e->receives, e->n_receives, e->capacity_receives) < 0)
                return -ENOMEM;
        Receive in = {
                .sender = from->id,
                .send_key = strdup(spec->send_key),
                .field = strdup(spec->receive_field),
                .notify = spec->notify,
        };
        if (!in.send_key || !in.field) {
                receive_done(&in);
                return -ENOMEM;
        }
        e->receives[e->n_receives++] = in;
        return 0;
}

static uint32_t said(const EdgeSpec *spec) {
        uint32_t data = spec->send_key ? EDGE_TRANSFER : EDGE_DECLARED;

        return spec->notify ? data | EDGE_NOTIFY | (spec->send_key ? 0 : EDGE_DECLARED_NOTIFY) : data;
}

/* Sees to what is received. */
static int enter_edge(Swap *s, const EdgeSpec *spec, const EdgeEnds *ends, Diag *reterr) {
        int r = check_ends(spec, ends, reterr);

        return r >= 0 && spec->send_key ? add_receive(s, ends->from, ends->to, spec, reterr) : r;
}

static int add_edge(Swap *s, const EdgeSpec *spec, const EdgeEnds *ends, Diag *reterr) {
        uint32_t old = 0;
        int r;

        r = enter_edge(s, spec, ends, reterr);
        if (r < 0)
                return r;
        bool existed = graph_find_edge(s->manager->graph, ends->from->id, ends->to->id, &old);
        return change_edge(s, ends->from->id, ends->to->id, existed, old, old | said(spec));
}

static bool is_removed(Swap *s, const char *kind, const char *name) {
        const Vertex *v = manager_find(s->manager, kind, name);
        return v && !swap_is_declared(v);
}

static int cut_edge(Swap *s, const EdgeSpec *spec, Diag *reterr) {
        EdgeEnds ends;
        uint32_t data = 0;
        SwapEntry *e;
        int r;

        /* Its edges go with it anyway. */
        if (is_removed(s, spec->from_kind, spec->from_name) || is_removed(s, spec->to_kind, spec->to_name))
                return 0;
        find_ends(s, spec, 1, &ends);
        r = check_ends(spec, &ends, reterr);
        if (r < 0)
                return r;
        Vertex *from = ends.from, *to = ends.to;
        if (!graph_find_edge(s->manager->graph, from->id, to->id, &data))
                return diag_set(reterr, spec->pos, -ENOENT, "cannot cut %s[%s] -> %s[%s]: there is no such edge", spec->from_kind,
                                spec->from_name, spec->to_kind, spec->to_name);

        if (spec->send_key) {
                r = swap_open_receives(s, to, false, &e);
                if (r < 0)
                        return r;
                Receive *in = find_receive(e, from->id, spec);
                if (in)
                        drop_receive(e, in);
        } else
                data &= ~(uint32_t) (EDGE_DECLARED | EDGE_DECLARED_NOTIFY);

        /* What is left decides. */
        const Receive *receives = to->swap && to->swap->has_receives ? to->swap->receives : to->receives;
        size_t n = to->swap && to->swap->has_receives ? to->swap->n_receives : to->n_receives;
        data &= ~(uint32_t) (EDGE_TRANSFER | EDGE_NOTIFY);
        if (data & EDGE_DECLARED_NOTIFY)
                data |= EDGE_NOTIFY;
        for (size_t i = 0; i < n; i++)
                if (receives[i].sender == from->id)
                        data |= EDGE_TRANSFER | (receives[i].notify ? EDGE_NOTIFY : 0);
        if (!(data & EDGE_NOTIFY))
                data &= ~(uint32_t) (EDGE_PENDING | EDGE_TOLD);
        return swap_edge(s, from->id, to->id, data & EDGE_REASONS ? data : 0);
}

/* Nothing is received any more from what goes. */
static int drop_receives(Swap *s, const Vertex *sender) {
        const GraphAdjacency *out = graph_successors(s->manager->graph, sender->id);
        int r;

        for (uint32_t i = 0; i < out->n; i++) {
                SwapEntry *e;

                if (!(out->items[i].data & EDGE_TRANSFER))
                        continue;
                r = swap_open_receives(s, manager_vertex(s->manager, out->items[i].peer), false, &e);
                if (r < 0)
                        return r;
                for (size_t k = e->n_receives; k > 0; k--)
                        if (e->receives[k - 1].sender == sender->id)
                                drop_receive(e, &e->receives[k - 1]);
        }
        return 0;
}

static int strip_edges(Swap *s, const Vertex *v) {
        const GraphAdjacency *out = graph_successors(s->manager->graph, v->id), *in = graph_predecessors(s->manager->graph, v->id);
        int r = 0;

        while (out->n > 0 && r >= 0)
                r = swap_edge(s, v->id, out->items[out->n - 1].peer, 0);
        while (in->n > 0 && r >= 0)
                r = swap_edge(s, in->items[in->n - 1].peer, v->id, 0);
        return r;
}

/* ---- a whole graph ---- */

/* What a whole graph says of each pair: a hash table, open-addressed. Only what it says differently from before is changed. */
typedef struct Said {
        VertexId a, b;          /* equal: empty */
        uint32_t data;
} Said;

typedef struct SaidEdges {
        Said *slots;
        size_t mask;
} SaidEdges;

static Said *said_slot(const SaidEdges *t, VertexId a, VertexId b) {
        uint64_t hash = ((uint64_t) a << 32 | b) * UINT64_C(0x9e3779b97f4a7c15);
        size_t i = (hash >> 32 ^ hash >> 17) & t->mask;

        while (t->slots[i].a != t->slots[i].b && (t->slots[i].a != a || t->slots[i].b != b))
                i = (i + 1) & t->mask;
        return &t->slots[i];
}

/* Of an edge that the graph has, what is left or comes back. */
static int set_said(Swap *s, VertexId a, VertexId b, uint32_t old, uint32_t new) {
        uint32_t data = (old & ~(uint32_t) EDGE_SAID) | new;

        if (!(data & EDGE_NOTIFY))
                data &= ~(uint32_t) (EDGE_PENDING | EDGE_TOLD);
        return swap_edge(s, a, b, data & EDGE_REASONS ? data : 0);
}

static int enter_said(Swap *s, const ChangeSet *set, SaidEdges *t, Diag *reterr) {
        EdgeEnds ends[BATCH];
        int r;

        for (size_t i = 0; i < set->n_edges; i++) {
                if (i % BATCH == 0)
                        find_ends(s, &set->edges[i], MIN(set->n_edges - i, (size_t) BATCH), ends);
                const EdgeEnds *e = &ends[i % BATCH];
                r = enter_edge(s, &set->edges[i], e, reterr);
                if (r < 0)
                        return r;
                Said *x = said_slot(t, e->from->id, e->to->id);
                x->a = e->from->id;
                x->b = e->to->id;
                x->data |= said(&set->edges[i]);
        }
        return 0;
}

/* Edges that are there and said no more; those of v to its successors. */
static int strip_unsaid(Swap *s, const Vertex *v, const SaidEdges *t) {
        const GraphAdjacency *out = graph_successors(s->manager->graph, v->id);

        for (uint32_t i = out->n; i > 0; i--) {
                GraphEdge edge = out->items[i - 1];
                const Said *x = edge.data & EDGE_SAID ? said_slot(t, v->id, edge.peer) : NULL;
                int r = x && x->a == x->b ? set_said(s, v->id, edge.peer, edge.data, 0) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

static int change_said(Swap *s, const SaidEdges *t) {
        Graph *g = s->manager->graph;
        int r;

        for (VertexId id = 0; id < graph_id_limit(g); id++) {
                const Vertex *v = manager_vertex(s->manager, id);
                r = v ? strip_unsaid(s, v, t) : 0;
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i <= t->mask; i++) {
                const Said *x = &t->slots[i];
                uint32_t old = 0;

                if (x->a == x->b)
                        continue;
                (void) graph_find_edge(g, x->a, x->b, &old);
                r = (old & EDGE_SAID) != x->data ? set_said(s, x->a, x->b, old, x->data) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

/* What is received no more shows what was declared; so it is kept in mind that it was received. */
static int drop_all_receives(Swap *s) {
        for (VertexId id = 0; id < graph_id_limit(s->manager->graph); id++) {
                Vertex *v = manager_vertex(s->manager, id);
                SwapEntry *e;

                if (!v || v->n_receives == 0)
                        continue;
                int r = swap_open_receives(s, v, false, &e);
                if (r < 0)
                        return r;
                for (size_t i = e->n_receives; i > 0; i--)
                        drop_receive(e, &e->receives[i - 1]);
        }
        return 0;
}

static int build_whole(Swap *s, const ChangeSet *set, Diag *reterr) {
        _cleanup_free_ Said *slots = NULL;
        SaidEdges t = { .mask = 15 };
        int r;

        if (set->n_cut > 0)
                return diag_set(reterr, set->cut[0].pos, -EINVAL, "there is nothing to cut in a whole graph");
        while (t.mask < set->n_edges * 2)
                t.mask = t.mask * 2 + 1;
        t.slots = slots = calloc(t.mask + 1, sizeof(Said));
        if (!slots)
                return -ENOMEM;
        r = enter_said(s, set, &t, reterr);
        return r < 0 ? r : change_said(s, &t);
}

/* ---- all of it ---- */

/* Of what goes; or of what stays only to undo what it did, or comes back from that. */
static int remove_edges(Swap *s, const SwapEntry *e) {
        int r = drop_receives(s, e->vertex);

        if (r >= 0)
                r = strip_edges(s, e->vertex);
        if (r >= 0 && e->reversal)
                r = forget_receives(s, e->vertex);
        return r;
}

static int add_edges(Swap *s, const ChangeSet *set, size_t first, Diag *reterr) {
        EdgeEnds ends[BATCH];
        int r = 0;

        for (size_t i = 0; first + i < set->n_edges && r >= 0; i++) {
                const EdgeSpec *e = &set->edges[first + i];
                if (i % BATCH == 0)
                        find_ends(s, e, MIN(set->n_edges - first - i, (size_t) BATCH), ends);
                r = add_edge(s, e, &ends[i % BATCH], reterr);
        }
        return r;
}

static int remove_edges_of_gone(Swap *s) {
        int r = 0;

        for (size_t i = 0; i < s->n_entries && r >= 0; i++)
                if (s->entries[i]->removed || s->entries[i]->reversal != s->entries[i]->vertex->reversal)
                        r = remove_edges(s, s->entries[i]);
        return r;
}

/* Of what is declared anew, and sent before: the set need not speak of its edges. */
static int check_sender(const Swap *s, const SwapEntry *e, Diag *reterr) {
        const GraphAdjacency *out = graph_successors(s->manager->graph, e->vertex->id);
        const Resource *r = e->replacement;

        if (!r || e->removed || !r->meta.hidden)
                return 0;
        for (uint32_t i = 0; i < out->n; i++)
                if (out->items[i].data & EDGE_TRANSFER)
                        return diag_set(reterr, r->pos, -EINVAL, "%s[%s] is hidden and cannot send", r->type->kind, r->name);
        return 0;
}

static int check_senders(const Swap *s, Diag *reterr) {
        int r = 0;

        for (size_t i = 0; i < s->n_entries && r >= 0; i++)
                r = check_sender(s, s->entries[i], reterr);
        return r;
}

static int build_full(Swap *s, const ChangeSet *set, Diag *reterr) {
        size_t n_known;
        int r;

        if (swap_memo_edges(s, set, &n_known))
                return add_edges(s, set, n_known, reterr);
        r = drop_all_receives(s);
        if (r >= 0)
                r = remove_edges_of_gone(s);
        return r < 0 ? r : build_whole(s, set, reterr);
}

int swap_build_edges(Swap *s, const ChangeSet *set, Diag *reterr) {
        int r = 0;

        if (set->full)
                return build_full(s, set, reterr);
        for (size_t i = 0; i < set->n_cut && r >= 0; i++)
                r = cut_edge(s, &set->cut[i], reterr);
        if (r >= 0)
                r = remove_edges_of_gone(s);
        if (r >= 0)
                r = add_edges(s, set, 0, reterr);
        return r < 0 ? r : check_senders(s, reterr);
}
