/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who is grouped into whom is planned anew for all kinds that can be grouped, whenever vertices of such kinds or any edges
 * change, and then compared with what is: only groups that differ are restarted. Where no such kind is used, nothing is done.
 *
 * Deeper kinds go first, so that http:server:ui:input is in its http:server:ui before that goes into its http:server; and equals go
 * before that, so that each http:server:flag is in the one of its path before that goes into its http:server. A graph
 * without cycles stays one if two vertices are merged of which neither can be reached from the other; in the search for that, a
 * group planned so far counts as one vertex. */

#include "daemons/engine/autogroup.h"
#include "daemons/engine/comparable.h"
#include "daemons/engine/engine-manager.h"

enum {
        MARK_DOWN = 1 << 0,     /* reachable from the leader */
        MARK_UP = 1 << 1,       /* the leader is reachable from it */
};

typedef struct Vertices {
        Vertex **items;
        size_t n, capacity;
} Vertices;

static void vertices_done(Vertices *v) {
        free(v->items);
}

static int vertices_add(Vertices *list, Vertex *v) {
        if (GROW(list->items, list->n, list->capacity) < 0)
                return -ENOMEM;
        list->items[list->n++] = v;
        return 0;
}

static Vertex *plan_root(Vertex *v) {
        while (v->regroup_parent)
                v = v->regroup_parent;
        return v;
}

static bool will_be(const Vertex *v) {
        return !v->swap || !v->swap->removed;
}

/* ---- reachability ---- */

typedef struct Marks {
        Vertices down, up;      /* marked roots, in the order of marking */
} Marks;

static int mark(Vertices *list, Vertex *root, uint8_t bit) {
        int r;

        if (root->regroup_marks & bit)
                return 0;
        r = vertices_add(list, root);
        if (r >= 0)
                root->regroup_marks |= bit;
        return r;
}

static int mark_neighbours(const Graph *g, Vertices *list, Vertex *v, uint8_t bit) {
        const GraphAdjacency *a = bit == MARK_DOWN ? graph_successors(g, v->id) : graph_predecessors(g, v->id);
        int r = 0;

        for (uint32_t i = 0; i < a->n && r >= 0; i++)
                r = mark(list, plan_root(manager_vertex(v->manager, a->items[i].peer)), bit);
        for (Vertex *child = v->regroup_children; child && r >= 0; child = child->regroup_sibling)
                r = mark_neighbours(g, list, child, bit);
        return r;
}

static int spread(const Graph *g, Vertices *list, size_t from, uint8_t bit) {
        int r = 0;

        for (size_t i = from; i < list->n && r >= 0; i++)
                r = mark_neighbours(g, list, list->items[i], bit);
        return r;
}

/* Marks all that root's neighbours lead to. Called again for whatever joins the group, it adds what is new. */
static int marks_add(Marks *m, Vertex *root) {
        const Graph *g = root->manager->graph;
        size_t down = m->down.n, up = m->up.n;
        int r;

        r = mark_neighbours(g, &m->down, root, MARK_DOWN);
        if (r >= 0)
                r = spread(g, &m->down, down, MARK_DOWN);
        if (r >= 0)
                r = mark_neighbours(g, &m->up, root, MARK_UP);
        if (r >= 0)
                r = spread(g, &m->up, up, MARK_UP);
        return r;
}

static void marks_done(Marks *m) {
        for (size_t i = 0; i < m->down.n; i++)
                m->down.items[i]->regroup_marks = 0;
        for (size_t i = 0; i < m->up.n; i++)
                m->up.items[i]->regroup_marks = 0;
        vertices_done(&m->down);
        vertices_done(&m->up);
}

/* ---- who may be grouped ---- */

static bool wants_group(const Vertex *v) {
        const Resource *r = swap_resource(v);
        return will_be(v) && r->meta.autogroup && !r->meta.hidden;
}

/* The parent's metaparameters rule the group, so those of equals must be the same but for the semaphores, which add up. A child
 * belongs to one server and to no other; there only what could harm must agree. */
static bool metas_agree(const Resource *parent, const Resource *child, bool equals) {
        Meta a = parent->meta, b = child->meta;

        if (!equals)
                return a.noop == b.noop && a.reverse == b.reverse && strv_equal(a.export, b.export);
        a.sema = b.sema = NULL;
        return meta_equal(&a, &b, NULL);
}

static void join(Vertex *parent, Vertex *child) {
        child->regroup_parent = parent;
        child->regroup_sibling = parent->regroup_children;
        parent->regroup_children = child;
}

static const char *parent_name(const Resource *r) {
        const FieldSpec *f = field_find(r->type->fields, r->type->parent_field);
        return f && f->type == FIELD_STR ? *(char *const *) ((const char *) r + f->offset) : NULL;
}

static int join_if_apart(Vertex *parent, Vertex *child) {
        _cleanup_(marks_done) Marks marks = {};
        Vertex *root = plan_root(parent);
        const Graph *g = parent->manager->graph;
        int r = 0;

        /* Most have no edges at all; then there is nothing to search. */
        if (child->regroup_children || graph_successors(g, child->id)->n > 0 || graph_predecessors(g, child->id)->n > 0)
                r = marks_add(&marks, child);
        if (r < 0 || root->regroup_marks)
                return r;
        join(parent, child);
        return 1;
}

/* Who says no name takes any: the last by name, as long as it is one and the same each time. */
static Vertex *any_parent(const KindSet *parents) {
        Vertex *best = NULL;
        size_t it = 0;
        void *value;

        while (map_next(parents->by_name, &it, NULL, &value)) {
                Vertex *v = value;
                if (wants_group(v) && (!best || strcmp(vertex_name(v), vertex_name(best)) > 0))
                        best = v;
        }
        return best;
}

/* list is sorted by name, downwards. */
static int plan_children(Manager *m, const Vertices *list, const ResourceType *type) {
        const char *parent_kind;
        size_t n = resource_type_parent_kind(type, &parent_kind);
        int r;

        const KindSet *parents = map_get_n(m->kinds, parent_kind, n);
        for (size_t i = 0; parents && i < list->n; i++) {
                Vertex *child = list->items[i];
                const char *name = parent_name(swap_resource(child));

                if (child->regroup_parent || !wants_group(child))
                        continue;
                Vertex *parent = name && *name ? map_get(parents->by_name, name) : any_parent(parents);
                if (!parent || !wants_group(parent) || !metas_agree(swap_resource(parent), swap_resource(child), false))
                        continue;
                r = join_if_apart(parent, child);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Of those in a list, block by block, who is out of the question before anything is grouped: that spares the search, which matters
 * where many follow one after another. Made when it is first asked for, since most would group with nobody anyway. */
typedef struct Apart {
        const Vertices *list;
        const Graph *graph;
        Comparable *comparable;
        size_t block;           /* that is loaded; SIZE_MAX: none */
} Apart;

static bool is_worthwhile(const Apart *a) {
        return a->list->n > 32 && graph_n_edges(a->graph) > 0;
}

static int load_block(Apart *a, size_t at) {
        VertexId ids[COMPARABLE_BLOCK];
        size_t block = at / COMPARABLE_BLOCK, first = block * COMPARABLE_BLOCK, n = MIN(a->list->n - first, (size_t) COMPARABLE_BLOCK);

        if (!is_worthwhile(a) || a->block == block)
                return 0;
        if (!a->comparable) {
                int r = comparable_new(&a->comparable, a->graph);
                if (r < 0)
                        return r;
        }
        for (size_t k = 0; k < n; k++)
                ids[k] = a->list->items[first + k]->id;
        comparable_load(a->comparable, ids, n);
        a->block = block;
        return 0;
}

/* Who would not take a twin of itself takes nobody. */
static bool may_lead(const Vertex *v) {
        const Resource *r = swap_resource(v);

        return wants_group(v) && resource_groups(r, r);
}

/* Whether there may be a group of equals, or is one. */
static bool may_be_grouped(const Vertex *v) {
        return resource_type_groups(v->kind->type) && (may_lead(v) || v->parent || v->group);
}

static bool has_groups(const KindSet *k) {
        size_t it = 0;
        void *value;

        while (resource_type_groups(k->type) && map_next(k->by_name, &it, NULL, &value))
                if (may_be_grouped(value))
                        return true;
        return false;
}

/* Leads a group of all behind it in the list that fit. */
static int lead(Apart *apart, size_t at) {
        const Vertices *list = apart->list;
        Vertex *leader = list->items[at];
        const Resource *parent = swap_resource(leader);
        _cleanup_(marks_done) Marks marks = {};
        bool marked = false;
        int r;

        if (leader->regroup_parent || !may_lead(leader))
                return 0;
        r = load_block(apart, at);
        if (r < 0)
                return r;
        for (size_t k = at + 1; k < list->n; k++) {
                Vertex *v = list->items[k];
                if (v->regroup_parent || v->regroup_children ||
                    (apart->comparable && comparable_get(apart->comparable, at % COMPARABLE_BLOCK, v->id)))
                        continue;
                if (!wants_group(v) || !resource_groups(parent, swap_resource(v)) || !metas_agree(parent, swap_resource(v), true))
                        continue;
                if (!marked) {
                        r = marks_add(&marks, leader);
                        if (r < 0)
                                return r;
                        marked = true;
                }
                if (v->regroup_marks)
                        continue;
                join(leader, v);
                r = marks_add(&marks, v);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int plan_equals(const Manager *m, const Vertices *list) {
        Apart apart = { .list = list, .graph = m->graph, .block = SIZE_MAX };
        int r = 0;

        for (size_t i = 0; i < list->n && r >= 0; i++)
                r = lead(&apart, i);
        comparable_free(apart.comparable);
        return r;
}

/* ---- the plan ---- */

static int compare_names(const void *a, const void *b) {
        return -strcmp(vertex_name(*(Vertex *const *) a), vertex_name(*(Vertex *const *) b));
}

static unsigned depth(const char *kind) {
        unsigned n = 0;

        for (; *kind; kind++)
                n += *kind == ':';
        return n;
}

static int compare_kinds(const void *a, const void *b) {
        const char *x = (*(KindSet *const *) a)->type->kind, *y = (*(KindSet *const *) b)->type->kind;

        if (depth(x) != depth(y))
                return depth(x) > depth(y) ? -1 : 1;
        return -strcmp(x, y);
}

static int plan_kind(Manager *m, const KindSet *k, Vertices *all) {
        size_t first = all->n, it = 0;
        void *value;
        int r;

        while (map_next(k->by_name, &it, NULL, &value)) {
                r = vertices_add(all, value);
                if (r < 0)
                        return r;
        }
        Vertices list = { .items = all->items + first, .n = all->n - first };
        qsort(list.items, list.n, sizeof(*list.items), compare_names);
        if (resource_type_groups(k->type)) {
                r = plan_equals(m, &list);
                if (r < 0)
                        return r;
        }
        return k->type->parent_field ? plan_children(m, &list, k->type) : 0;
}

/* Kinds of which something may be grouped, or is; deepest first. The others are left alone, however many there are of them. */
/* Of a kind that had none to be grouped, only those that change are looked at. */
static int find_kinds(const Swap *s, KindSet ***ret, size_t *ret_n) {
        const Manager *m = s->manager;
        _cleanup_free_ KindSet **list = calloc(map_size(m->kinds) + 1, sizeof(*list));
        size_t n = 0, it = 0;
        void *value;

        if (!list)
                return -ENOMEM;
        while (map_next(m->kinds, &it, NULL, &value)) {
                KindSet *k = value;
                k->planned = map_size(k->by_name) > 0 && (k->type->parent_field || (k->planned && has_groups(k)));
        }
        for (size_t i = 0; i < s->n_entries; i++) {
                const Vertex *v = s->entries[i]->vertex;
                v->kind->planned = v->kind->planned || may_be_grouped(v);
        }
        for (it = 0; map_next(m->kinds, &it, NULL, &value);) {
                KindSet *k = value;
                if (k->planned)
                        list[n++] = k;
        }
        qsort(list, n, sizeof(*list), compare_kinds);
        *ret = TAKE_PTR(list);
        *ret_n = n;
        return 0;
}

static bool changes(const Vertex *v) {
        return v->regroup_parent != v->parent || (v->swap && (v->swap->added || v->swap->removed || v->swap->restart));
}

static int enter(Swap *s, Vertex *v) {
        SwapEntry *e;

        if (!vertex_root(v)->regroup_hit && !plan_root(v)->regroup_hit)
                return 0;
        e = swap_entry(s, v);
        if (!e)
                return -ENOMEM;
        e->grouped = true;
        e->parent = v->regroup_parent;
        return 0;
}

/* Enters into the swap every member, old or new, of every group that changes. */
static int compare_plan(Swap *s, const Vertices *all) {
        int r;

        for (size_t i = 0; i < all->n; i++)
                if (changes(all->items[i])) {
                        vertex_root(all->items[i])->regroup_hit = true;
                        plan_root(all->items[i])->regroup_hit = true;
                }
        for (size_t i = 0; i < all->n; i++) {
                r = enter(s, all->items[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Whoever has children in the plan is the parent of one of all. */
static void forget_plan(const Vertices *all) {
        for (size_t i = 0; i < all->n; i++) {
                Vertex *v = all->items[i], *parent = v->regroup_parent;

                vertex_root(v)->regroup_hit = v->regroup_hit = false;
                if (parent) {
                        parent->regroup_children = NULL;
                        parent->regroup_hit = false;
                }
                v->regroup_parent = v->regroup_children = v->regroup_sibling = NULL;
        }
}

/* Parents need not be groupable themselves (http:server). */
static int add_parents(Manager *m, Vertices *all) {
        size_t it = 0;
        void *value;
        int r;

        while (map_next(m->kinds, &it, NULL, &value)) {
                const KindSet *k = value;
                size_t at = 0;
                void *vertex;

                if (k->planned)
                        continue;
                while (map_next(k->by_name, &at, NULL, &vertex)) {
                        Vertex *v = vertex;
                        if (!v->regroup_children && !v->group)
                                continue;
                        r = vertices_add(all, v);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

static bool anything_changed(const Swap *s) {
        if (s->n_undo > 0)
                return true;
        for (size_t i = 0; i < s->n_entries; i++)
                if (s->entries[i]->added || s->entries[i]->removed || s->entries[i]->restart)
                        return true;
        return false;
}

void autogroup_restore(const Swap *s) {
        size_t it = 0;
        void *value;

        while (map_next(s->manager->kinds, &it, NULL, &value))
                ((KindSet *) value)->planned = true;
}

int autogroup_update(Swap *s) {
        Manager *m = s->manager;
        _cleanup_free_ KindSet **kinds = NULL;
        _cleanup_(vertices_done) Vertices all = {};
        size_t n = 0;
        int r;

        if (!anything_changed(s))
                return 0;
        r = find_kinds(s, &kinds, &n);
        if (r < 0 || n == 0)
                return r;

        for (size_t i = 0; i < n && r >= 0; i++)
                r = s->options->autogroup ? plan_kind(m, kinds[i], &all) : 0;
        if (r >= 0 && !s->options->autogroup)
                for (VertexId id = 0; id < graph_id_limit(m->graph) && r >= 0; id++) {
                        Vertex *v = manager_vertex(m, id);
                        if (v && (v->parent || v->group))
                                r = vertices_add(&all, v);
                }
        else if (r >= 0)
                r = add_parents(m, &all);
        if (r >= 0)
                r = compare_plan(s, &all);
        forget_plan(&all);
        return r;
}
