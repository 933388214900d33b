/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The second half of a swap: what was built takes its place in the graph that runs. It cannot fail for reasons that lie in the change
 * set, only for want of memory, and then it goes on as well as it can. */

#include "daemons/engine/attempt.h"
#include "daemons/engine/engine-manager.h"
#include "daemons/engine/graph-swap.h"
#include "daemons/engine/resource-bus.h"
#include "daemons/engine/swap-neighbours.h"
#include "daemons/engine/swap-reversals.h"

static void stop_vertices(Swap *s) {
        Scheduler *scheduler = &s->manager->scheduler;

        for (size_t i = 0; i < s->n_entries; i++) {
                const SwapEntry *e = s->entries[i];
                if (!e->removed && !e->restart && !e->grouped)
                        continue;
                scheduler_remove(scheduler, vertex_root(e->vertex));
        }
}

static void detach_children(Vertex *v) {
        free(v->resource->children);
        v->resource->children = NULL;
        v->resource->n_children = 0;
        v->resource->parent = NULL;
        if (v->group)
                free(v->group->members);
        free(v->group);
        v->group = NULL;
        v->covered = false;
}

static void set_resource(Vertex *v, Resource *r) {
        resource_free(v->resource);
        v->resource = r;
        r->vertex = v;
        v->prepared = false;
        v->realized = false;
        vertex_forget_sent(v);
}

/* The running resource stays, but the statement it comes from may have moved. */
static void move_pos(Vertex *v, Resource *twin) {
        Pos pos = v->resource->pos;

        v->resource->pos = twin->pos;
        twin->pos = pos;
}

static void set_pos(Resource *r, const Pos *pos) {
        const char *file = r->pos.file;

        if (!streq_ptr(file, pos->file)) {
                file = pos->file ? strdup(pos->file) : NULL;
                if (pos->file && !file)
                        return;
                free((char *) r->pos.file);
        }
        r->pos = *pos;
        r->pos.file = file;
}

static void remove_vertex(Manager *m, Vertex *v) {
        if (v->acting)
                (void) notify_journal_end(m->journal, (JournalVertex) { vertex_kind(v), vertex_name(v) });
        manager_unindex(m, v);
        vertex_free(v);
}

static int add_members(Vertex *root, Vertex *v, size_t *capacity) {
        Group *g = root->group;
        const Resource *r = v->resource;
        int k;

        for (size_t i = 0; i < r->n_children; i++) {
                Vertex *child = r->children[i]->vertex;
                child->covered = v->covered || (r->type->flags & RESOURCE_RUNS_CHILDREN);
                k = add_members(root, child, capacity);
                if (k < 0)
                        return k;
        }
        if (GROW(g->members, g->n_members, *capacity) < 0)
                return -ENOMEM;
        g->members[g->n_members++] = v;
        return 0;
}

/* All that would have been in it stand alone. */
static void dissolve_group(Vertex *v) {
        for (size_t i = 0; i < v->resource->n_children; i++) {
                Vertex *child = v->resource->children[i]->vertex;

                dissolve_group(child);
                child->parent = NULL;
                child->resource->parent = NULL;
                child->covered = false;
        }
        v->resource->n_children = 0;
}

static int build_group(Vertex *root) {
        size_t capacity = 0;
        int r;

        if (root->resource->n_children == 0)
                return 0;
        root->covered = false;
        root->group = calloc(1, sizeof(*root->group));
        r = root->group ? add_members(root, root, &capacity) : -ENOMEM;
        if (r >= 0)
                return 0;
        if (root->group)
                free(root->group->members);
        free(root->group);
        root->group = NULL;
        dissolve_group(root);
        return r;
}

static int compare_children(const void *a, const void *b) {
        const Resource *x = *(Resource *const *) a, *y = *(Resource *const *) b;
        int c = strcmp(x->type->kind, y->type->kind);

        return c != 0 ? c : strcmp(x->name, y->name);
}

/* Everything that is about to start, or is in a group with it, was stopped. Without memory some stay alone; the first error is
 * returned. */
static int regroup(Swap *s) {
        int r = 0, k;

        for (size_t i = 0; i < s->n_entries; i++) {
                SwapEntry *e = s->entries[i];
                if (e->grouped && !e->removed)
                        e->vertex->parent = e->parent;
        }
        for (size_t i = 0; i < s->n_entries; i++) {
                SwapEntry *e = s->entries[i];
                if (!e->grouped || e->removed || !e->vertex->parent)
                        continue;
                k = resource_add_child(e->vertex->parent->resource, e->vertex->resource);
                if (k >= 0)
                        continue;
                e->vertex->parent = NULL;
                r = r < 0 ? r : k;
        }
        for (size_t i = 0; i < s->n_entries; i++) {
                SwapEntry *e = s->entries[i];
                if (!e->grouped || e->removed)
                        continue;
                Resource *resource = e->vertex->resource;
                if (resource->n_children > 1)
                        qsort(resource->children, resource->n_children, sizeof(Resource *), compare_children);
        }
        for (size_t i = 0; i < s->n_entries; i++) {
                SwapEntry *e = s->entries[i];
                if (!e->grouped || e->removed || e->vertex->parent)
                        continue;
                k = build_group(e->vertex);
                r = r < 0 ? r : k;
        }
        return r;
}

/* Notifications that are pending according to the journal come back on new edges; those of edges that are no more are void. */
static void settle_edges(Swap *s) {
        Manager *m = s->manager;

        for (size_t i = 0; i < s->n_undo; i++) {
                const EdgeUndo *u = &s->undo[i];
                bool was_pending = u->existed && (u->data & EDGE_PENDING);

                if (!was_pending && notify_journal_is_empty(m->journal))
                        continue;
                const Vertex *from = manager_vertex(m, u->a), *to = manager_vertex(m, u->b);
                JournalVertex source = { vertex_kind(from), vertex_name(from) }, target = { vertex_kind(to), vertex_name(to) };
                uint32_t data = 0;

                if (!was_pending && !notify_journal_is_pending(m->journal, source, target))
                        continue;
                (void) graph_find_edge(m->graph, u->a, u->b, &data);
                if ((data & EDGE_NOTIFY) && (swap_resource(to)->type->flags & RESOURCE_REFRESHABLE)) {
                        (void) graph_add_edge(m->graph, u->a, u->b, data | EDGE_PENDING | (u->existed ? u->data & EDGE_TOLD : 0));
                        (void) notify_journal_pend(m->journal, source, target);
                } else
                        (void) notify_journal_consume(m->journal, source, target);
        }
}

static void update_notifies(Vertex *v) {
        const GraphAdjacency *out = graph_successors(v->manager->graph, v->id);

        v->notifies = false;
        for (uint32_t i = 0; i < out->n && !v->notifies; i++)
                v->notifies = out->items[i].data & EDGE_NOTIFY;
}

static void start_vertices(Swap *s) {
        Scheduler *scheduler = &s->manager->scheduler;

        for (size_t i = 0; i < s->n_entries; i++) {
                Vertex *v = s->entries[i]->vertex;
                if (s->entries[i]->removed)
                        continue;
                v = vertex_root(v);
                if (s->manager->resource_bus && (s->entries[i]->added || s->entries[i]->grouped))
                        resource_bus_changed(s->manager->resource_bus, v);
                if (!v->counted)
                        scheduler_add(scheduler, v);
                else if (s->entries[i]->touched) {
                        scheduler_requeue(scheduler, v);
                        if (scheduler_refresh(v, EDGE_PENDING) || s->entries[i]->rewired)
                                scheduler_dirty(scheduler, v);
                }
                if (s->entries[i]->exports)
                        scheduler_publish(scheduler, v);
        }
}

static bool is_received(const Vertex *v, const Receive *in) {
        for (size_t i = 0; i < v->n_receives; i++)
                if (v->receives[i].sender == in->sender && streq(v->receives[i].send_key, in->send_key) &&
                    streq(v->receives[i].field, in->field))
                        return true;
        return false;
}

static void exchange_receives(Vertex *v, SwapEntry *e) {
        Receive *receives = v->receives;
        size_t n = v->n_receives;

        for (size_t i = 0; i < e->n_receives; i++)
                e->rewired = e->rewired || !is_received(v, &e->receives[i]);
        v->receives = e->receives;
        v->n_receives = v->capacity_receives = e->n_receives;
        e->receives = receives;
        e->n_receives = n;
}

static void put_in_place(SwapEntry *e) {
        Vertex *v = e->vertex;

        v->fresh = v->fresh || v->reversal != e->reversal;
        v->reversal = e->reversal;
        if (e->replacement)
                v->spec_hash = e->spec_hash;
        if (e->replacement || e->added) {
                e->exports = v->n_twins + e->n_twins > 0;
                vertex_set_twins(v, TAKE_PTR(e->twins), e->n_twins);
                e->n_twins = 0;
        }
        if (e->replacement && e->restart)
                set_resource(v, TAKE_PTR(e->replacement));
        else if (e->replacement)
                move_pos(v, e->replacement);
        if (e->has_receives)
                exchange_receives(v, e);
        if (e->has_auto_edges) {
                free(v->auto_edges);
                v->auto_edges = TAKE_PTR(e->auto_edges);
                v->n_auto_edges = v->capacity_auto_edges = e->n_auto_edges;
        }
}

int swap_commit(Swap *s) {
        Manager *m = s->manager;
        int r;

        /* For want of memory they are looked at when something else happens. */
        (void) swap_find_neighbours(s);
        stop_vertices(s);
        settle_edges(s);
        for (size_t i = 0; i < s->n_entries; i++)
                if (s->entries[i]->source && !s->entries[i]->removed) {
                        update_notifies(s->entries[i]->vertex);
                        attempt_notifies(vertex_root(s->entries[i]->vertex));
                }

        for (size_t i = 0; i < s->n_entries; i++)
                if (s->entries[i]->grouped)
                        detach_children(s->entries[i]->vertex);
        for (size_t i = 0; i < s->n_entries; i++)
                put_in_place(s->entries[i]);
        for (size_t i = 0; i < s->n_moved; i++)
                set_pos(s->moved[i].resource, s->moved[i].pos);
        /* Without memory for a group the rest goes on as well as it can; mgmt-lang hears of it and sends everything again. */
        r = regroup(s);
        for (size_t i = 0; i < s->n_entries; i++)
                s->entries[i]->vertex->swap = NULL;
        swap_settle_reversals(s);
        start_vertices(s);
        swap_wake_neighbours(s);
        for (size_t i = 0; i < s->n_entries; i++)
                if (s->entries[i]->removed)
                        remove_vertex(m, s->entries[i]->vertex);
        return r;
}

void graph_clear(Manager *m) {
        for (VertexId id = 0; m->graph && id < graph_id_limit(m->graph); id++) {
                Vertex *v = manager_vertex(m, id);
                if (v)
                        scheduler_remove(&m->scheduler, vertex_root(v));
        }
        for (VertexId id = 0; m->graph && id < graph_id_limit(m->graph); id++) {
                Vertex *v = manager_vertex(m, id);
                if (v)
                        detach_children(v);
        }
        for (VertexId id = 0; m->graph && id < graph_id_limit(m->graph); id++) {
                Vertex *v = manager_vertex(m, id);
                if (!v)
                        continue;
                manager_unindex(m, v);
                vertex_free(v);
        }
}
