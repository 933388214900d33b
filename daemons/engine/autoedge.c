/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The index of identities, and the edges that come from it.
 *
 * An identity's entry lists who offers it and who asked for it. Nothing is ever searched for to be taken out: a vertex that
 * offers or wants something else gets a new number, and what the index has under the old one is passed over, and swept out when
 * a list would grow. A rejected swap gives the old numbers back, and everything is as before. */

#include "common/edge-rule.h"
#include "daemons/engine/autoedge.h"
#include "daemons/engine/engine-manager.h"

typedef struct UidRef {
        VertexId id;
        uint32_t serial;
} UidRef;

/* Most have one, which needs no array. */
typedef struct UidRefs {
        UidRef *array;          /* NULL: the only one is in .one */
        UidRef one;
        size_t n, capacity;     /* of the array */
} UidRefs;

typedef struct UidEntry {
        UidRefs offers, wants;
} UidEntry;

/* Many ask for the same few directories, one after another. */
typedef struct RecentEntry {
        UidEntry *entry;        /* NULL: none */
        size_t size;
        char key[128];          /* as in the map */
} RecentEntry;

struct UidIndex {
        RecentEntry recent[32];  /* by size of the key */
        Map *entries;           /* "domain" NUL "key" → UidEntry */
        bool enabled;           /* as of the last swap */
        bool stale;             /* it was built for a swap that was rejected */
        size_t n_registered;    /* since the index was last built from nothing */
        bool outdated;          /* since then some vertex has got another number, or is gone: there may be something to sweep out */
};

static void uid_entry_free(void *p) {
        UidEntry *e = p;

        free(e->offers.array);
        free(e->wants.array);
        free(e);
}

int uid_index_new(UidIndex **ret) {
        _cleanup_(uid_index_freep) UidIndex *u = calloc(1, sizeof(*u));
        if (!u || !(u->entries = map_new()))
                return -ENOMEM;
        *ret = TAKE_PTR(u);
        return 0;
}

UidIndex *uid_index_free(UidIndex *u) {
        if (u)
                map_free_with(u->entries, uid_entry_free);
        free(u);
        return NULL;
}

/* ---- the index ---- */

/* Those that are new are not remembered: each file has one of its own, and nobody asks for it. */
static int get_entry(UidIndex *u, const ResourceUid *uid, bool create, UidEntry **ret) {
        const char *key = uid->id;
        const size_t size = uid->id_size;
        RecentEntry *recent = &u->recent[size % ELEMENTSOF(u->recent)];
        void **place;

        *ret = NULL;
        if (recent->entry && recent->size == size && memcmp(recent->key, key, size) == 0) {
                *ret = recent->entry;
                return 0;
        }
        if (create) {
                place = map_place_n(u->entries, key, size);
                if (!place)
                        return -ENOMEM;
                if (!*place) {
                        *ret = *place = calloc(1, sizeof(UidEntry));
                        if (!*ret)
                                (void) map_remove_n(u->entries, key, size);
                        return *ret ? 0 : -ENOMEM;
                }
                *ret = *place;
        } else
                *ret = map_get_n(u->entries, key, size);
        if (*ret && size <= sizeof(recent->key)) {
                recent->entry = *ret;
                recent->size = size;
                memcpy(recent->key, key, size);
        }
        return 0;
}

/* The vertex behind a reference, or NULL if that is out of date. */
static Vertex *offering(const Manager *m, UidRef ref) {
        Vertex *v = manager_vertex(m, ref.id);
        return v && v->offer_serial == ref.serial ? v : NULL;
}

static Vertex *wanting(const Manager *m, UidRef ref) {
        Vertex *v = manager_vertex(m, ref.id);
        return v && v->want_serial == ref.serial ? v : NULL;
}

static bool may_come_back(const Manager *m, UidRef ref) {
        const Vertex *v = manager_vertex(m, ref.id);
        return v && v->swap && v->swap->has_serials &&
               (v->swap->offer_serial == ref.serial || v->swap->want_serial == ref.serial);
}

static UidRef *refs_items(const UidRefs *refs) {
        return refs->array ?: (UidRef *) &refs->one;
}

static void sweep(const Manager *m, UidRefs *refs, Vertex *(*find)(const Manager *m, UidRef ref)) {
        UidRef *items = refs_items(refs);
        size_t kept = 0;

        if (!m->uids->outdated)
                return;
        for (size_t i = 0; i < refs->n; i++)
                if (find(m, items[i]) || may_come_back(m, items[i]))
                        items[kept++] = items[i];
        refs->n = kept;
}

static int grow(UidRefs *refs) {
        size_t capacity = refs->array ? refs->capacity * 2 : 4;
        UidRef *grown = reallocarray(refs->array, capacity, sizeof(UidRef));

        if (!grown)
                return -ENOMEM;
        if (!refs->array)
                grown[0] = refs->one;
        refs->array = grown;
        refs->capacity = capacity;
        return 0;
}

static int add_ref(Manager *m, UidRefs *refs, UidRef ref, Vertex *(*find)(const Manager *m, UidRef ref)) {
        size_t room = refs->array ? refs->capacity : 1;

        if (refs->n == room) {
                sweep(m, refs, find);
                /* Swept lists keep some room, or the next one would sweep again. */
                if (refs->n > room / 2 && grow(refs) < 0)
                        return -ENOMEM;
        }
        refs_items(refs)[refs->n++] = ref;
        m->uids->n_registered++;
        return 0;
}

/* ---- what changes ---- */

static void keep_serials(const Vertex *v, SwapEntry *e) {
        if (e->has_serials)
                return;
        e->has_serials = true;
        e->offer_serial = v->offer_serial;
        e->want_serial = v->want_serial;
        v->manager->uids->outdated = v->manager->uids->outdated || v->offer_serial != 0 || v->want_serial != 0 || e->removed;
}

static bool takes_part(const Swap *s, const Resource *r) {
        return s->options->autoedge && r->meta.autoedge && !r->meta.hidden;
}

static int get_offers(const Swap *s, const Resource *r, ResourceUids *ret) {
        return takes_part(s, r) ? edge_offers(r, ret) : 0;
}

static bool uids_equal(const ResourceUids *a, const ResourceUids *b) {
        if (a->n != b->n)
                return false;
        for (size_t i = 0; i < a->n; i++)
                if (a->items[i].id_size != b->items[i].id_size || memcmp(a->items[i].id, b->items[i].id, a->items[i].id_size) != 0)
                        return false;
        return true;
}

/* Everybody who asked for it looks again. */
static int call_wanting(Swap *s, const UidEntry *entry) {
        for (size_t i = 0; entry && i < entry->wants.n; i++) {
                Vertex *v = wanting(s->manager, refs_items(&entry->wants)[i]);
                if (!v)
                        continue;
                SwapEntry *e = swap_entry(s, v);
                if (!e)
                        return -ENOMEM;
                e->wants = true;
        }
        return 0;
}

static int take_back(Swap *s, const ResourceUid *uid) {
        UidEntry *entry;
        int r = get_entry(s->manager->uids, uid, false, &entry);

        return r < 0 ? r : call_wanting(s, entry);
}

static int offer(Swap *s, const Vertex *v, const ResourceUid *uid) {
        UidEntry *entry;
        int r = get_entry(s->manager->uids, uid, true, &entry);

        if (r >= 0)
                r = add_ref(s->manager, &entry->offers, (UidRef) { v->id, v->offer_serial }, offering);
        return r < 0 ? r : call_wanting(s, entry);
}

/* What it offered and will offer; used for one after another. */
typedef struct Offers {
        ResourceUids before, after;
} Offers;

static void offers_done(Offers *o) {
        resource_uids_done(&o->before);
        resource_uids_done(&o->after);
}

static int update_offers(Swap *s, Vertex *v, SwapEntry *e, bool anew, Offers *o) {
        ResourceUids *before = &o->before, *after = &o->after;
        int r = 0;

        resource_uids_clear(before);
        resource_uids_clear(after);
        if (!e->added && !anew)
                r = get_offers(s, v->resource, before);
        if (r >= 0 && !e->removed)
                r = get_offers(s, swap_resource(v), after);
        if (r < 0)
                return r;
        if (!e->added && !anew && !e->removed && uids_equal(before, after))
                return 0;

        v->offer_serial = ++s->manager->last_serial;
        for (size_t i = 0; i < before->n && r >= 0; i++)
                r = take_back(s, &before->items[i]);
        for (size_t i = 0; i < after->n && r >= 0; i++)
                r = offer(s, v, &after->items[i]);
        return r;
}

/* ---- edges ---- */

static bool comes_first(const Vertex *a, const Vertex *b) {
        int c = strcmp(vertex_kind(a), vertex_kind(b));
        return c < 0 || (c == 0 && strcmp(vertex_name(a), vertex_name(b)) < 0);
}

/* Of several that offer the same the first by kind and name counts. */
static Vertex *find_match(Swap *s, const UidEntry *entry, const Vertex *me) {
        Vertex *best = NULL;

        for (size_t i = 0; i < entry->offers.n; i++) {
                Vertex *v = offering(s->manager, refs_items(&entry->offers)[i]);
                if (v && v != me && (!best || comes_first(v, best)))
                        best = v;
        }
        return best;
}

static int drop_edges(Swap *s, const Vertex *v) {
        for (size_t i = 0; i < v->n_auto_edges; i++) {
                const AutoEdge *a = &v->auto_edges[i];
                const Vertex *peer = manager_vertex(s->manager, a->peer);
                VertexId from = a->after ? v->id : a->peer, to = a->after ? a->peer : v->id;
                uint32_t data;
                int r;

                if (!peer || peer->serial != a->peer_serial || !graph_find_edge(s->manager->graph, from, to, &data))
                        continue;
                data &= ~(uint32_t) EDGE_AUTO;
                r = swap_edge(s, from, to, data & EDGE_REASONS ? data : 0);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_edge(Swap *s, Vertex *v, SwapEntry *e, const Vertex *match, bool after) {
        VertexId from = after ? v->id : match->id, to = after ? match->id : v->id;
        uint32_t data = 0;
        int r;

        /* What the program says itself counts more. */
        if (graph_find_edge(s->manager->graph, to, from, NULL))
                return 0;
        if (GROW(e->auto_edges, e->n_auto_edges, e->capacity_auto_edges) < 0)
                return -ENOMEM;
        (void) graph_find_edge(s->manager->graph, from, to, &data);
        r = swap_edge(s, from, to, data | EDGE_AUTO);
        if (r < 0)
                return r;
        e->auto_edges[e->n_auto_edges++] = (AutoEdge) { .peer = match->id, .peer_serial = match->serial, .after = after };
        return 0;
}

static int find_edges(Swap *s, Vertex *v, SwapEntry *e, ResourceUids *uids, Diag *reterr) {
        const Resource *resource = swap_resource(v);
        bool matched = false;
        int r;

        keep_serials(v, e);
        v->want_serial = ++s->manager->last_serial;
        e->has_auto_edges = true;
        r = drop_edges(s, v);
        if (r < 0 || e->removed || !edge_may_want(resource->type) || !takes_part(s, resource))
                return r;

        for (unsigned batch = 0; !matched || !resource->type->first_match_ends; batch++) {
                resource_uids_clear(uids);
                r = edge_wants(resource, batch, uids);
                if (r < 0)
                        return resource_error(resource, reterr, r, "%s[%s]: autoedge: %m", resource->type->kind, resource->name);
                if (uids->n == 0)
                        return 0;
                const Vertex *match = NULL;
                for (size_t i = 0; i < uids->n; i++) {
                        UidEntry *entry;
                        if (uids->items[i].fallback && match)
                                continue;
                        r = get_entry(s->manager->uids, &uids->items[i], true, &entry);
                        if (r >= 0)
                                r = add_ref(s->manager, &entry->wants, (UidRef) { v->id, v->want_serial }, wanting);
                        if (r < 0)
                                return r;
                        match = find_match(s, entry, v);
                        if (!match)
                                continue;
                        matched = matched || !uids->go_on;
                        r = add_edge(s, v, e, match, uids->items[i].after);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

/* Names come and go for years; entries that nobody refers to any more would stay. */
static bool is_bloated(const Manager *m) {
        return m->uids->n_registered > 64 * graph_n_vertices(m->graph) + 10000;
}

int autoedge_update(Swap *s, Diag *reterr) {
        Manager *m = s->manager;
        UidIndex *u = m->uids;
        bool anew = u->enabled != s->options->autoedge || u->stale || is_bloated(m);
        _cleanup_(offers_done) Offers offers = {};
        int r;

        if (anew) {
                Map *empty = map_new();
                if (!empty)
                        return -ENOMEM;
                map_free_with(u->entries, uid_entry_free);
                memset(u->recent, 0, sizeof(u->recent));
                u->entries = empty;
                u->n_registered = 0;
                u->outdated = false;
                u->enabled = s->options->autoedge;
                u->stale = false;
                s->reindexed = true;
                for (VertexId id = 0; id < graph_id_limit(m->graph); id++) {
                        Vertex *v = manager_vertex(m, id);
                        if (v && !swap_entry(s, v))
                                return -ENOMEM;
                }
        }

        /* Both loops may append entries; those have nothing to offer that is new. */
        for (size_t i = 0; i < s->n_entries; i++) {
                SwapEntry *e = s->entries[i];
                if (!anew && !e->added && !e->removed && !e->restart)
                        continue;
                keep_serials(e->vertex, e);
                r = update_offers(s, e->vertex, e, anew, &offers);
                if (r < 0)
                        return r;
                e->wants = true;
        }
        for (size_t i = 0; i < s->n_entries; i++) {
                SwapEntry *e = s->entries[i];
                if (!e->wants)
                        continue;
                r = find_edges(s, e->vertex, e, &offers.after, reterr);
                if (r < 0)
                        return r;
        }
        return 0;
}

void autoedge_restore(Swap *s) {
        s->manager->uids->stale = s->manager->uids->stale || s->reindexed;
        s->manager->uids->outdated = true;
        for (size_t i = 0; i < s->n_entries; i++) {
                const SwapEntry *e = s->entries[i];
                if (!e->has_serials || e->added)
                        continue;
                e->vertex->offer_serial = e->offer_serial;
                e->vertex->want_serial = e->want_serial;
        }
}
