/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Two halves. The first, here, changes nothing that runs: it builds resources beside those in use, and it changes edges of the graph
 * with a log to take them back (the graph itself is only read by the scheduler, which does not run meanwhile). The second is in
 * swap-commit.c. */

#include "common/arena.h"
#include "common/hash.h"
#include "common/sd/log.h"
#include "common/strbuf.h"
#include "daemons/engine/autoedge.h"
#include "daemons/engine/autogroup.h"
#include "daemons/engine/engine-manager.h"
#include "daemons/engine/exports.h"
#include "daemons/engine/graph-swap.h"
#include "daemons/engine/reversals.h"
#include "daemons/engine/swap-edges.h"
#include "daemons/engine/swap-memo.h"
#include "daemons/engine/swap-neighbours.h"
#include "daemons/engine/swap-reversals.h"

SwapEntry *swap_entry(Swap *s, Vertex *v) {
        if (v->swap)
                return v->swap;
        if (GROW(s->entries, s->n_entries, s->capacity_entries) < 0)
                return NULL;
        if (!s->arena)
                s->arena = arena_new(0);
        SwapEntry *e = s->arena ? arena_new0(s->arena, SwapEntry) : NULL;
        if (!e)
                return NULL;
        e->vertex = v;
        e->reversal = v->reversal;
        v->swap = e;
        s->entries[s->n_entries++] = e;
        return e;
}

static void swap_entry_done(SwapEntry *e) {
        resource_free(e->replacement);
        for (size_t i = 0; i < e->n_twins; i++)
                resource_free(e->twins[i]);
        free(e->twins);
        for (size_t i = 0; i < e->n_receives; i++)
                receive_done(&e->receives[i]);
        free(e->receives);
        free(e->auto_edges);
}

static void swap_done(Swap *s) {
        for (size_t i = 0; i < s->n_entries; i++)
                swap_entry_done(s->entries[i]);
        arena_free(s->arena);
        free(s->entries);
        free(s->undo);
        free(s->moved);
        free(s->neighbours);
        free(s->declared);
}

/* ---- resources ---- */

static int add_semaphore(Meta *meta, uint32_t n) {
        size_t have = strv_count(meta->sema);
        char **v = reallocarray(meta->sema, have + 2, sizeof(*v));

        if (!v)
                return -ENOMEM;
        meta->sema = v;
        v[have + 1] = NULL;
        if (asprintf(&v[have], ":%u", n) < 0) {
                v[have] = NULL;
                return -ENOMEM;
        }
        return 0;
}

static int build_fields(Resource *r, const ResourceSpec *spec, const SwapOptions *o, Diag *reterr) {
        int k;

        k = meta_copy(&r->meta, &spec->meta);
        if (k < 0)
                return k;
        r->meta.noop = r->meta.noop || o->noop;
        if (o->sema > 0) {
                k = add_semaphore(&r->meta, o->sema);
                if (k < 0)
                        return k;
        }
        for (size_t i = 0; i < spec->n_fields; i++) {
                k = resource_set(r, spec->fields[i].name, spec->fields[i].value, reterr);
                if (k < 0)
                        return k;
        }
        return 0;
}

int swap_build_resource(Swap *s, const ResourceSpec *spec, Resource **ret, Diag *reterr) {
        Manager *m = s->manager;
        _cleanup_(resource_freep) Resource *r = NULL;
        int k;

        const ResourceType *type = manager_type(m, spec->kind);
        if (!type)
                return diag_set(reterr, spec->pos, -ENOENT, "unknown kind of resource '%s'", spec->kind);
        k = resource_new(&r, type, &m->host, spec->name, spec->pos);
        if (k < 0)
                return diag_set(reterr, spec->pos, k, "cannot create %s[%s]: %m", spec->kind, spec->name);
        k = build_fields(r, spec, s->options, reterr);
        if (k < 0) {
                (void) diag_set(reterr, spec->pos, k, "invalid: %m");
                (void) diag_prefix(reterr, "%s[%s]", spec->kind, spec->name);
                return k;
        }
        k = resource_validate(r, reterr);
        if (k < 0) {
                (void) diag_set(reterr, spec->pos, k, "%m");
                (void) diag_prefix(reterr, "%s[%s] did not Validate", spec->kind, spec->name);
                return k;
        }
        if (m->options.plan)
                r->meta.retry = 0;
        *ret = TAKE_PTR(r);
        return 0;
}

static const Receive *find_transfer(const Vertex *v, const char *field) {
        for (size_t i = 0; i < v->n_receives; i++)
                if (v->receives[i].transferred && streq(v->receives[i].field, field))
                        return &v->receives[i];
        return NULL;
}

/* What a field has received is no difference if it goes on receiving: the new resource would receive the same. */
static int prefill_field(const Vertex *v, Resource *r, Receive *in) {
        const FieldSpec *f = field_find(r->type->fields, in->field);
        _cleanup_(value_done) Value value = VALUE_NIL, declared = VALUE_NIL;
        int k;

        if (!f || in->sender == VERTEX_NONE || !find_transfer(v, in->field))
                return 0;
        k = field_get(f, v->resource, &value);
        if (k < 0 || value.kind == TYPE_NIL)
                return k;
        k = field_get(f, r, &declared);
        if (k < 0)
                return k;
        k = resource_store(r, f, value, NULL);
        if (k < 0)
                return k;
        r->received |= v->resource->received & UINT64_C(1) << (f - r->type->fields);
        value_done(&in->declared);
        in->declared = value_take(&declared);
        in->transferred = true;
        return 0;
}

static int prefill(Swap *s, Vertex *v, Resource *r) {
        SwapEntry *e = v->swap;
        int k;

        if ((e->has_receives ? e->n_receives : v->n_receives) == 0)
                return 0;
        k = swap_open_receives(s, v, false, &e);
        for (size_t i = 0; i < e->n_receives && k >= 0; i++)
                k = prefill_field(v, r, &e->receives[i]);
        return k;
}

static bool differs(Vertex *v, Resource *r) {
        const char *field;

        /* Children are compared by grouping; here a parent and its replacement-to-be have none in common. */
        Resource **children = v->resource->children;
        size_t n_children = v->resource->n_children;
        v->resource->children = NULL;
        v->resource->n_children = 0;
        bool equal = v->resource->type == r->type && resource_equal(v->resource, r, &field);
        v->resource->children = children;
        v->resource->n_children = n_children;
        return !equal;
}

static bool wants_rewatch(Vertex *root) {
        for (size_t i = 0; i < vertex_n_members(root); i++)
                if (swap_resource(vertex_member(root, i))->meta.rewatch || vertex_member(root, i)->resource->meta.rewatch)
                        return true;
        return false;
}

int swap_put_new(Swap *s, Resource *r, uint64_t spec_hash) {
        Manager *m = s->manager;
        Vertex *v;
        int k;

        k = vertex_new(&v, m, r);
        if (k < 0) {
                resource_free(r);
                return k;
        }
        v->fresh = true;
        v->spec_hash = spec_hash;
        v->named_in = s->number;
        k = manager_index(m, v);
        if (k < 0) {
                vertex_free(v);
                return k;
        }
        SwapEntry *e = swap_entry(s, v);
        if (!e) {
                manager_unindex(m, v);
                vertex_free(v);
                return -ENOMEM;
        }
        e->added = true;
        return 0;
}

/* Of a resource and its twins, which stand behind it. */
static uint64_t declaration_hash(const Swap *s, const ResourceSpec *spec, size_t n_twins) {
        uint64_t hash = resource_spec_hash(spec);

        for (size_t i = 1; i <= n_twins; i++)
                hash = hash_bytes((uint64_t[]) { hash, resource_spec_hash(&spec[i]) }, 2 * sizeof(uint64_t));
        return s->options->noop || s->options->sema > 0
                               ? hash_bytes((uint64_t[]) { hash, s->options->noop, s->options->sema }, 3 * sizeof(uint64_t))
                               : hash;
}

/* Whether it stays as it is, because it is declared as it was. */
static bool is_same(const Vertex *v, uint64_t hash) {
        const ResourceType *t = v->resource->type;
        const char *field;

        return v->spec_hash == hash && !v->reversal && (!t->equal || t->equal(v->resource, v->resource, &field));
}

static int note_pos(Swap *s, Resource *r, const Pos *pos) {
        const Pos *old = &r->pos;

        if (old->line == pos->line && old->column == pos->column && old->end_line == pos->end_line && old->end_column == pos->end_column &&
            streq_ptr(old->file, pos->file))
                return 0;
        if (GROW(s->moved, s->n_moved, s->capacity_moved) < 0)
                return -ENOMEM;
        s->moved[s->n_moved++] = (Moved) { .resource = r, .pos = pos };
        return 0;
}

static int note_all_pos(Swap *s, Vertex *v, const ResourceSpec *spec) {
        int r = note_pos(s, v->resource, &spec->pos);

        for (size_t i = 0; i < v->n_twins && r >= 0; i++)
                r = note_pos(s, v->twins[i], &spec[i + 1].pos);
        return r;
}

static int build_twins(Swap *s, SwapEntry *e, const ResourceSpec *specs, size_t n, Diag *reterr) {
        int r = 0;

        if (n == 0)
                return 0;
        e->twins = calloc(n, sizeof(Resource *));
        if (!e->twins)
                return -ENOMEM;
        for (size_t i = 0; i < n && r >= 0; i++) {
                r = swap_build_resource(s, &specs[i], &e->twins[i], reterr);
                e->n_twins += r >= 0;
        }
        return r;
}

/* The i-th of the set, and its twins. */
static int put(Swap *s, size_t i, const ResourceSpec *spec, size_t n_twins, Vertex **ret, Diag *reterr) {
        _cleanup_(resource_freep) Resource *r = NULL;
        Vertex *v = swap_memo_vertex(s, i, spec) ?: manager_find(s->manager, spec->kind, spec->name);
        uint64_t hash = declaration_hash(s, spec, n_twins);
        int k;

        *ret = v;

        if (v && v->named_in == s->number)
                return diag_set(reterr, spec->pos, -EEXIST, "resource %s[%s] is there twice", spec->kind, spec->name);
        if (v && is_same(v, hash)) {
                v->named_in = s->number;
                return note_all_pos(s, v, spec);
        }
        k = swap_build_resource(s, spec, &r, reterr);
        if (k < 0)
                return k;
        if (!v) {
                k = swap_put_new(s, TAKE_PTR(r), hash);
                if (k < 0)
                        return k;
                SwapEntry *new = s->entries[s->n_entries - 1];
                *ret = new->vertex;
                return build_twins(s, new, spec + 1, n_twins, reterr);
        }

        SwapEntry *e = swap_entry(s, v);
        if (!e)
                return -ENOMEM;
        v->named_in = s->number;
        e->reversal = false;
        e->spec_hash = hash;
        e->replacement = TAKE_PTR(r);
        return build_twins(s, e, spec + 1, n_twins, reterr);
}

static int mark_removed(Swap *s, Vertex *v) {
        SwapEntry *e = swap_entry(s, v);
        if (!e)
                return -ENOMEM;
        e->removed = true;
        v->named_in = s->number;
        return 0;
}

/* It is in the graph, though not in the program, until it is done. */
static bool is_undoing(const Vertex *v) {
        return v->reversal && reversals_find(v->manager->reversals, vertex_kind(v), vertex_name(v));
}

static int put_all(Swap *s, const ChangeSet *set, Diag *reterr) {
        s->declared = calloc(set->n_put + 1, sizeof(VertexId));
        if (!s->declared)
                return -ENOMEM;
        for (size_t i = 0; i < set->n_put; i++) {
                size_t n_twins = change_set_n_twins(set, i);
                Vertex *v;

                int r = put(s, i, &set->put[i], n_twins, &v, reterr);
                if (r < 0)
                        return r;
                s->declared[i] = v->id;
                for (; n_twins > 0; n_twins--)
                        s->declared[++i] = v->id;
        }
        return 0;
}

static int remove_named(Swap *s, const ChangeSet *set, Diag *reterr) {
        int r = 0;

        for (size_t i = 0; i < set->n_removed && r >= 0; i++) {
                Vertex *v = manager_find(s->manager, set->removed[i].kind, set->removed[i].name);
                bool named = v && v->named_in == s->number;
                if (!v || named || is_undoing(v))
                        return diag_set(reterr, (Pos) {}, -ENOENT, "cannot remove %s[%s]: %s", set->removed[i].kind,
                                        set->removed[i].name, named ? "it is in the same change set" : "there is no such resource");
                r = mark_removed(s, v);
        }
        return r;
}

/* Of a whole graph: what it does not name is not in it. */
static int remove_unnamed(Swap *s) {
        Manager *m = s->manager;
        int r = 0;

        for (VertexId id = 0; id < graph_id_limit(m->graph) && r >= 0; id++) {
                Vertex *v = manager_vertex(m, id);
                if (v && v->named_in != s->number && !is_undoing(v))
                        r = mark_removed(s, v);
        }
        return r;
}

static int build_vertices(Swap *s, const ChangeSet *set, Diag *reterr) {
        int r = put_all(s, set, reterr);
        if (r >= 0)
                r = remove_named(s, set, reterr);
        if (r >= 0 && set->full)
                r = remove_unnamed(s);
        return r;
}

/* Once it is known what is received by whom: who must make way for another, or start again because Meta:rewatch wants it? */
static int find_restarts(Swap *s, Diag *reterr) {
        Vertex *v;
        int r;

        for (size_t i = 0; i < s->n_entries; i++) {
                SwapEntry *e = s->entries[i];
                if (!e->replacement)
                        continue;
                r = e->replacement->type == e->vertex->resource->type ? prefill(s, e->vertex, e->replacement) : 0;
                if (r < 0)
                        return diag_set(reterr, e->replacement->pos, r, "cannot carry over what %s[%s] received: %m",
                                        vertex_kind(e->vertex), vertex_name(e->vertex));
                e->restart = differs(e->vertex, e->replacement);
        }
        TAILQ_FOREACH(v, &s->manager->scheduler.failed, link) {
                if (!wants_rewatch(v))
                        continue;
                SwapEntry *e = swap_entry(s, v);
                if (!e)
                        return -ENOMEM;
                e->restart = e->restart || !e->removed;
        }
        return 0;
}

/* ---- cycles ---- */

static int report_cycle(Swap *s, Diag *reterr) {
        Manager *m = s->manager;
        _cleanup_free_ VertexId *cycle = NULL;
        _cleanup_(strbuf_done) StrBuf text = {};
        size_t n = 0;

        if (graph_find_cycle(m->graph, &cycle, &n) < 0)
                return diag_set(reterr, (Pos) {}, -ELOOP, "the graph has a cycle");
        for (size_t i = 0; i < n; i++) {
                const Vertex *v = manager_vertex(m, cycle[i]);
                strbuf_printf(&text, "%s%s[%s]", i > 0 ? " -> " : "", vertex_kind(v), vertex_name(v));
        }
        return diag_set(reterr, swap_resource(manager_vertex(m, cycle[0]))->pos, -ELOOP, "the graph has a cycle: %s",
                        text.data ? text.data : "");
}

static bool is_added(const Swap *s, VertexId id) {
        const Vertex *v = manager_vertex(s->manager, id);
        return v->swap && v->swap->added;
}

/* A cycle leads through a new edge. If those lead to new vertices only, so does all that follows: it would be a cycle of new ones. */
static bool only_leads_to_added(const Swap *s) {
        for (size_t i = 0; i < s->n_undo; i++)
                if (!s->undo[i].existed && !is_added(s, s->undo[i].b))
                        return false;
        return true;
}

/* Takes away those that have no predecessor among the added ones that are left, until there are none. */
static int check_added(Swap *s, Diag *reterr) {
        const Graph *g = s->manager->graph;
        _cleanup_free_ SwapEntry **ready = calloc(s->n_entries + 1, sizeof(*ready));
        size_t n_ready = 0, n_left = 0;

        if (!ready)
                return -ENOMEM;
        for (size_t i = 0; i < s->n_entries; i++) {
                SwapEntry *e = s->entries[i];
                const GraphAdjacency *in = graph_predecessors(g, e->vertex->id);

                e->n_before = 0;
                for (uint32_t k = 0; e->added && k < in->n; k++)
                        e->n_before += is_added(s, in->items[k].peer);
                n_left += e->added;
                if (e->added && e->n_before == 0)
                        ready[n_ready++] = e;
        }
        while (n_ready > 0) {
                const GraphAdjacency *out = graph_successors(g, ready[--n_ready]->vertex->id);

                n_left--;
                for (uint32_t k = 0; k < out->n; k++) {
                        SwapEntry *e = manager_vertex(s->manager, out->items[k].peer)->swap;
                        if (--e->n_before == 0)
                                ready[n_ready++] = e;
                }
        }
        return n_left > 0 ? report_cycle(s, reterr) : 0;
}

static int check_cycles(Swap *s, Diag *reterr) {
        Graph *g = s->manager->graph;
        int r;

        if (s->n_new_edges == 0)
                return 0;
        if (s->n_new_edges <= 4) {
                /* It had no cycle before, so one would lead through a new edge. */
                for (size_t i = 0; i < s->n_undo; i++)
                        if (!s->undo[i].existed && graph_find_edge(g, s->undo[i].a, s->undo[i].b, NULL) &&
                            graph_reaches(g, s->undo[i].b, s->undo[i].a))
                                return report_cycle(s, reterr);
                return 0;
        }
        if (only_leads_to_added(s))
                return check_added(s, reterr);

        _cleanup_free_ VertexId *order = NULL;
        r = graph_topological_order(g, &order);
        return r == -ELOOP ? report_cycle(s, reterr) : r;
}

/* ---- all of it ---- */

static void roll_back(Swap *s) {
        swap_undo_edges(s);
        for (size_t i = 0; i < s->n_entries; i++)
                if (s->entries[i]->added)
                        manager_unindex(s->manager, s->entries[i]->vertex);
        autoedge_restore(s);
        autogroup_restore(s);
        for (size_t i = 0; i < s->n_entries; i++) {
                s->entries[i]->vertex->swap = NULL;
                if (s->entries[i]->added)
                        vertex_free(s->entries[i]->vertex);
        }
}

static bool journal_keep(JournalVertex source, JournalVertex target, void *userdata) {
        const Manager *m = userdata;
        uint32_t data = 0;

        const Vertex *from = manager_find(m, source.kind, source.name);
        if (!from)
                return false;
        if (!target.kind)
                return from->acting || from->notifies;
        const Vertex *to = manager_find(m, target.kind, target.name);
        return to && graph_find_edge(m->graph, from->id, to->id, &data) && (data & EDGE_PENDING);
}

static int build(Swap *s, const ChangeSet *set, Diag *reterr) {
        int r;

        r = build_vertices(s, set, reterr);
        if (r < 0)
                return r;
        r = swap_add_reversals(s, set);
        if (r < 0)
                return r;
        r = swap_build_edges(s, set, reterr);
        if (r < 0)
                return r;
        r = swap_order_reversals(s);
        if (r < 0)
                return r;
        r = find_restarts(s, reterr);
        if (r < 0)
                return r;
        r = autoedge_update(s, reterr);
        if (r < 0)
                return r;
        r = check_cycles(s, reterr);
        if (r < 0)
                return r;
        return autogroup_update(s);
}

bool graph_holds(const Vertex *v) {
        const Resource *r = v->resource;

        return r->meta.realize && !r->meta.hidden && !v->realized && scheduler_is_coming(vertex_root((Vertex *) v));
}

static int find_holder(const Swap *s, const Vertex **ret_holder, Diag *reterr) {
        for (size_t i = 0; i < s->n_entries; i++) {
                const SwapEntry *e = s->entries[i];

                if (e->added || (!e->removed && !(e->restart && e->replacement)) || !graph_holds(e->vertex))
                        continue;
                *ret_holder = e->vertex;
                return resource_error(e->vertex->resource, reterr, -EBUSY, "%s[%s] has Meta:realize and was not right yet",
                                      vertex_kind(e->vertex), vertex_name(e->vertex));
        }
        return 0;
}

static int take_over(Manager *m, const ChangeSet *set, const SwapOptions *options, const Vertex **ret_holder, Diag *reterr) {
        _cleanup_(swap_done) Swap s = { .manager = m, .options = options, .number = ++m->n_swaps };
        int r;

        r = build(&s, set, reterr);
        if (r >= 0 && ret_holder)
                r = find_holder(&s, ret_holder, reterr);
        if (r < 0) {
                roll_back(&s);
                return diag_set(reterr, (Pos) {}, r, "cannot take over the graph: %m");
        }
        swap_memo_keep(&s, set);
        r = swap_commit(&s);
        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "cannot take over the graph: %m");

        m->generation = set->generation;
        m->deploy = options->deploy;
        m->swap_options = *options;
        m->has_graph = true;
        exports_graph_changed(m->exports);
        if (set->full) {
                r = notify_journal_prune(m->journal, journal_keep, m);
                if (r < 0)
                        (void) log_warning(r, "cannot write the journal of notifications: %m, ignoring");
        }
        converger_update(&m->converger, m->scheduler.n_unsettled);
        converger_start(&m->converger);
        return 0;
}

int graph_swap_unless_held(Manager *m, const ChangeSet *set, const SwapOptions *options, const Vertex **ret_holder, Diag *reterr) {
        uint64_t begin = metrics_now();
        int r = take_over(m, set, options, ret_holder, reterr);

        if (r >= 0 || !ret_holder || !*ret_holder)
                metrics_swapped(m, r >= 0, begin);
        return r;
}

int graph_swap(Manager *m, const ChangeSet *set, const SwapOptions *options, Diag *reterr) {
        return graph_swap_unless_held(m, set, options, NULL, reterr);
}
