/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See declared.h. */

#include <errno.h>
#include <string.h>

#include "lang/output.h"

/* ---- entries ---- */

Declared *declared_unref(Declared *d) {
        if (d && --d->n_ref == 0) {
                resource_spec_done(&d->spec);
                free(d);
        }
        return NULL;
}

static void set_dirty(Output *o, ResourceEntry *e) {
        if (e->dirty)
                return;
        e->dirty = true;
        e->next_dirty = o->dirty;
        o->dirty = e;
}

static void set_edge_dirty(Output *o, EdgeEntry *e) {
        if (e->dirty)
                return;
        e->dirty = true;
        e->next_dirty = o->dirty_edge;
        o->dirty_edge = e;
}

/* The parts with the NUL behind each, one after the other: what maps have as key. NULL if out of memory. */
static char *make_key(size_t *ret_size, const char *const *parts, size_t n) {
        size_t size = 0, at = 0;

        for (size_t i = 0; i < n; i++)
                size += strlen(parts[i]) + 1;
        char *key = malloc(size);
        for (size_t i = 0; key && i < n; i++) {
                size_t k = strlen(parts[i]) + 1;
                memcpy(key + at, parts[i], k);
                at += k;
        }
        *ret_size = size;
        return key;
}

static ResourceEntry *resource_entry(Output *o, const char *kind, const char *name) {
        size_t size;
        _cleanup_free_ char *key = make_key(&size, (const char *const[]) { kind, name }, 2);
        if (!key)
                return NULL;

        ResourceEntry *e = map_get_n(o->resources, key, size);
        if (e)
                return e;
        e = calloc(1, sizeof(ResourceEntry));
        if (!e || map_put_n(o->resources, key, size, e) < 0) {
                free(e);
                return NULL;
        }
        e->key = TAKE_PTR(key);
        e->place = o->next_place++;
        e->key_size = size;
        e->prev = o->last;
        *(o->last ? &o->last->next : &o->first) = e;
        o->last = e;
        return e;
}

void resource_entry_free(Output *o, ResourceEntry *e) {
        *(e->prev ? &e->prev->next : &o->first) = e->next;
        *(e->next ? &e->next->prev : &o->last) = e->prev;
        (void) map_remove_n(o->resources, e->key, e->key_size);
        declared_unref(e->sent);
        twins_free(e->twins);
        free(e->key);
        free(e);
}

static void link_ends(EdgeEntry *e) {
        e->next_out = e->from->first_out;
        if (e->next_out)
                e->next_out->prev_out = e;
        e->from->first_out = e;
        e->next_in = e->to->first_in;
        if (e->next_in)
                e->next_in->prev_in = e;
        e->to->first_in = e;
}

static void unlink_ends(EdgeEntry *e) {
        *(e->prev_out ? &e->prev_out->next_out : &e->from->first_out) = e->next_out;
        if (e->next_out)
                e->next_out->prev_out = e->prev_out;
        *(e->prev_in ? &e->prev_in->next_in : &e->to->first_in) = e->next_in;
        if (e->next_in)
                e->next_in->prev_in = e->prev_in;
}

static EdgeEntry *edge_entry(Output *o, const EdgeSpec *s) {
        const char *parts[] = { s->from_kind, s->from_name, s->to_kind, s->to_name, s->send_key ?: "", s->receive_field ?: "" };
        size_t size;
        _cleanup_free_ char *key = make_key(&size, parts, ELEMENTSOF(parts));
        if (!key)
                return NULL;

        EdgeEntry *e = map_get_n(o->edges, key, size);
        if (e)
                return e;
        e = calloc(1, sizeof(EdgeEntry));
        if (!e)
                return NULL;
        e->from = resource_entry(o, s->from_kind, s->from_name);
        e->to = resource_entry(o, s->to_kind, s->to_name);
        if (!e->from || !e->to || edge_spec_copy(&e->spec, s) < 0 || map_put_n(o->edges, key, size, e) < 0) {
                edge_spec_done(&e->spec);
                free(e);
                return NULL;
        }
        link_ends(e);
        e->number = o->next_number++;
        e->key = TAKE_PTR(key);
        e->key_size = size;
        e->prev = o->last_edge;
        *(o->last_edge ? &o->last_edge->next : &o->first_edge) = e;
        o->last_edge = e;
        return e;
}

void edge_entry_free(Output *o, EdgeEntry *e) {
        *(e->prev ? &e->prev->next : &o->first_edge) = e->next;
        *(e->next ? &e->next->prev : &o->last_edge) = e->prev;
        (void) map_remove_n(o->edges, e->key, e->key_size);
        unlink_ends(e);
        set_dirty(o, e->from);
        set_dirty(o, e->to);
        edge_spec_done(&e->spec);
        free(e->key);
        free(e);
}

/* ---- what a statement declared ---- */

void take_back(Output *o, Contribution *c) {
        for (size_t i = 0; i < c->n_resources; i++) {
                Declared *d = c->resources[i], **at = &d->entry->declared;
                while (*at != d)
                        at = &(*at)->next;
                *at = d->next;
                set_dirty(o, d->entry);
                declared_unref(d);
        }
        for (size_t i = 0; i < c->n_edges; i++) {
                DeclaredEdge *d = c->edges[i], **at = &d->entry->declared;
                while (*at != d)
                        at = &(*at)->next;
                *at = d->next;
                set_edge_dirty(o, d->entry);
                edge_spec_done(&d->spec);
                free(d);
        }
        free(c->resources);
        free(c->edges);
        *c = (Contribution) {};
}

const SchemaField *merging_field(const Program *p, const char *kind) {
        const SchemaKind *k = schema_kind(p->host.schema, kind);

        for (size_t i = 0; k && i < k->n_fields; i++)
                if (k->fields[i].merges)
                        return &k->fields[i];
        return NULL;
}

/* Which of the words it is that merge, or -1. A field that is not given is what it is from the beginning: a literal in quotes. */
static int merge_rank(const SchemaField *f, const ResourceSpec *s) {
        const char *word = f->initial ? f->initial + 1 : "", *merges = f->merges;
        size_t size = f->initial ? strlen(f->initial) - 2 : 0;

        for (size_t i = 0; i < s->n_fields; i++)
                if (streq(s->fields[i].name, f->name)) {
                        if (s->fields[i].value.kind != TYPE_STR)
                                return -1;
                        word = value_cstr(s->fields[i].value);
                        size = strlen(word);
                }
        for (int rank = 0; *merges; rank++) {
                size_t n = strcspn(merges, " ");
                if (n == size && memcmp(merges, word, n) == 0)
                        return rank;
                merges += n + (merges[n] == ' ');
        }
        return -1;
}

static bool stands_before(const Declared *a, const Declared *b) {
        if (a->spec.meta.hidden != b->spec.meta.hidden)
                return b->spec.meta.hidden;
        return a->rank != b->rank ? a->rank > b->rank : a->sequence <= b->sequence;
}

int declare_resource(FuncGraph *g, Contribution *c, ResourceSpec *spec, uint64_t sequence) {
        Output *o = g->output;
        const SchemaField *f = merging_field(g->program, spec->kind);
        int rank = f && !spec->meta.hidden ? merge_rank(f, spec) : -1;
        ResourceEntry *e = resource_entry(o, spec->kind, spec->name);
        Declared *d = e ? calloc(1, sizeof(Declared)) : NULL;

        if (!d || GROW(c->resources, c->n_resources, c->capacity_resources) < 0) {
                free(d);
                resource_spec_done(spec);
                return -ENOMEM;
        }
        *d = (Declared) { .n_ref = 1, .spec = *spec, .sequence = sequence, .rank = rank, .entry = e };
        *spec = (ResourceSpec) {};
        Declared **at = &e->declared;
        while (*at && stands_before(*at, d))
                at = &(*at)->next;
        d->next = *at;
        *at = d;
        c->resources[c->n_resources++] = d;
        set_dirty(o, e);
        return 0;
}

int declare_edge(Output *o, Contribution *c, EdgeSpec *spec) {
        EdgeEntry *e = edge_entry(o, spec);
        DeclaredEdge *d = e ? calloc(1, sizeof(DeclaredEdge)) : NULL;

        if (!d || GROW(c->edges, c->n_edges, c->capacity_edges) < 0) {
                free(d);
                edge_spec_done(spec);
                return -ENOMEM;
        }
        *d = (DeclaredEdge) { .spec = *spec, .entry = e, .next = e->declared };
        *spec = (EdgeSpec) {};
        e->declared = d;
        c->edges[c->n_edges++] = d;
        set_edge_dirty(o, e);
        return 0;
}

/* ---- the whole ---- */

int output_new(Output **ret) {
        Output *o = calloc(1, sizeof(Output));

        if (!o || !(o->resources = map_new()) || !(o->edges = map_new())) {
                output_free(o);
                return -ENOMEM;
        }
        *ret = o;
        return 0;
}

Output *output_free(Output *o) {
        if (!o)
                return NULL;
        while (o->first_edge)
                edge_entry_free(o, o->first_edge);
        while (o->first)
                resource_entry_free(o, o->first);
        map_free(o->resources);
        map_free(o->edges);
        free(o);
        return NULL;
}
