/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The edges of a change set. Every step is a swap_edge(), which keeps in a log what was there before. An edge may have several
 * reasons (EdgeFlags), and goes with the last; what a vertex receives is kept in its swap entry until the swap is committed. */

#include "daemons/engine/engine-manager.h"
#include "daemons/engine/swap-edges.h"
#include "daemons/engine/swap-reversals.h"

int swap_edge(Swap *s, VertexId a, VertexId b, uint32_t data) {
        Graph *g = s->manager->graph;
        uint32_t old = 0;
        bool existed = graph_find_edge(g, a, b, &old);
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

static int edge_ends(Swap *s, const EdgeSpec *spec, Vertex **ret_from, Vertex **ret_to, Diag *reterr) {
        Vertex *from = manager_find(s->manager, spec->from_kind, spec->from_name);
        Vertex *to = manager_find(s->manager, spec->to_kind, spec->to_name);

        if (!from || !swap_is_declared(from))
                return diag_set(reterr, spec->pos, -ENOENT, "edge from unknown resource %s[%s]", spec->from_kind, spec->from_name);
        if (!to || !swap_is_declared(to))
                return diag_set(reterr, spec->pos, -ENOENT, "edge to unknown resource %s[%s]", spec->to_kind, spec->to_name);
        if (from == to)
                return diag_set(reterr, spec->pos, -ELOOP, "%s[%s] cannot come before itself", spec->to_kind, spec->to_name);
        if (!spec->send_key != !spec->receive_field)
                return diag_set(reterr, spec->pos, -EINVAL, "a transfer needs both a key and a field");
        *ret_from = from;
        *ret_to = to;
        return 0;
}

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

static int add_edge(Swap *s, const EdgeSpec *spec, Diag *reterr) {
        Vertex *from, *to;
        uint32_t data = 0;
        int r;

        r = edge_ends(s, spec, &from, &to, reterr);
        if (r < 0)
                return r;
        if (spec->send_key) {
                r = add_receive(s, from, to, spec, reterr);
                if (r < 0)
                        return r;
        }
        (void) graph_find_edge(s->manager->graph, from->id, to->id, &data);
        data |= spec->send_key ? EDGE_TRANSFER : EDGE_DECLARED;
        if (spec->notify)
                data |= EDGE_NOTIFY | (spec->send_key ? 0 : EDGE_DECLARED_NOTIFY);
        return swap_edge(s, from->id, to->id, data);
}

static bool is_removed(Swap *s, const char *kind, const char *name) {
        const Vertex *v = manager_find(s->manager, kind, name);
        return v && !swap_is_declared(v);
}

static int cut_edge(Swap *s, const EdgeSpec *spec, Diag *reterr) {
        Vertex *from, *to;
        uint32_t data = 0;
        SwapEntry *e;
        int r;

        /* Its edges go with it anyway. */
        if (is_removed(s, spec->from_kind, spec->from_name) || is_removed(s, spec->to_kind, spec->to_name))
                return 0;
        r = edge_ends(s, spec, &from, &to, reterr);
        if (r < 0)
                return r;
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

/* Takes back what the program had said about v's edges to its successors, or all edges at either side. */
static int strip_edges(Swap *s, Vertex *v, uint32_t mask, bool both_sides) {
        Graph *g = s->manager->graph;
        int r;

        for (int side = 0; side < (both_sides ? 2 : 1); side++) {
                const GraphAdjacency *a = side == 0 ? graph_successors(g, v->id) : graph_predecessors(g, v->id);
                for (uint32_t i = a->n; i > 0; i--) {
                        GraphEdge edge = a->items[i - 1];
                        uint32_t data = edge.data & ~mask;

                        r = swap_edge(s, side == 0 ? v->id : edge.peer, side == 0 ? edge.peer : v->id, data & EDGE_REASONS ? data : 0);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

int swap_build_edges(Swap *s, const ChangeSet *set, Diag *reterr) {
        Manager *m = s->manager;
        SwapEntry *e;
        int r;

        /* Of a whole graph only what it says itself is left. That edges come back with their pending notification is seen
         * to when they are in place (settle_edges()). */
        if (set->full)
                for (VertexId id = 0; id < graph_id_limit(m->graph); id++) {
                        Vertex *v = manager_vertex(m, id);
                        if (!v)
                                continue;
                        r = strip_edges(s, v, EDGE_DECLARED | EDGE_DECLARED_NOTIFY | EDGE_TRANSFER | EDGE_NOTIFY | EDGE_PENDING | EDGE_TOLD,
                                        false);
                        if (r < 0)
                                return r;
                        if (v->n_receives == 0)
                                continue;
                        r = swap_open_receives(s, v, true, &e);
                        if (r < 0)
                                return r;
                }

        for (size_t i = 0; i < set->n_cut; i++) {
                r = cut_edge(s, &set->cut[i], reterr);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < s->n_entries; i++) {
                e = s->entries[i];
                if (!e->removed && e->reversal == e->vertex->reversal)
                        continue;
                r = drop_receives(s, e->vertex);
                if (r >= 0)
                        r = strip_edges(s, e->vertex, UINT32_MAX, true);
                if (r >= 0 && e->reversal)
                        r = forget_receives(s, e->vertex);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < set->n_edges; i++) {
                r = add_edge(s, &set->edges[i], reterr);
                if (r < 0)
                        return r;
        }
        return 0;
}
