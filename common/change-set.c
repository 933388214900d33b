/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Change sets: plain data with owners. */

#include "common/change-set.h"
#include "common/hash.h"

static int copy_string(char **to, const char *from) {
        *to = from ? strdup(from) : NULL;
        return from && !*to ? -ENOMEM : 0;
}

static int copy_pos(Pos *to, Pos from) {
        *to = from;
        return copy_string((char **) &to->file, from.file);
}

/* ---- resources ---- */

void resource_spec_done(ResourceSpec *s) {
        for (size_t i = 0; i < s->n_fields; i++) {
                free(s->fields[i].name);
                value_done(&s->fields[i].value);
        }
        free(s->fields);
        meta_done(&s->meta);
        free((char *) s->pos.file);
        free(s->kind);
        free(s->name);
        *s = (ResourceSpec) {};
}

static const FieldValue *find_field(const ResourceSpec *s, const char *name) {
        for (size_t i = 0; i < s->n_fields; i++)
                if (streq(s->fields[i].name, name))
                        return &s->fields[i];
        return NULL;
}

static bool differs(const char *what, const char **ret_field) {
        if (ret_field)
                *ret_field = what;
        return false;
}

bool resource_spec_equal(const ResourceSpec *a, const ResourceSpec *b, const char **ret_field) {
        if (!streq(a->kind, b->kind))
                return differs("kind", ret_field);
        if (!streq(a->name, b->name))
                return differs("name", ret_field);
        for (size_t i = 0; i < a->n_fields; i++) {
                const FieldValue *f = &a->fields[i];
                /* Nearly always both were written in the same order. */
                const FieldValue *g = i < b->n_fields && streq(b->fields[i].name, f->name) ? &b->fields[i] : find_field(b, f->name);
                if (!g || !value_same(f->value, g->value))
                        return differs(f->name, ret_field);
        }
        for (size_t i = 0; i < b->n_fields && a->n_fields != b->n_fields; i++)
                if (!find_field(a, b->fields[i].name))
                        return differs(b->fields[i].name, ret_field);
        return meta_equal(&a->meta, &b->meta, ret_field);
}

/* What is to be hashed is put together here; most resources fit in one piece. */
typedef struct Hasher {
        uint64_t hash;
        size_t n;
        char buffer[512];
} Hasher;

static void hasher_flush(Hasher *h) {
        static uint64_t secret;

        if (h->n == 0)
                return;
        if (secret == 0)
                secret = hash_bytes(NULL, 0);
        h->hash = hash_bytes_keyed((uint64_t[]) { h->hash, secret }, h->buffer, h->n);
        h->n = 0;
}

static inline void hasher_add(Hasher *h, const void *data, size_t size) {
        if (size > sizeof(h->buffer) - h->n)
                hasher_flush(h);
        if (size > sizeof(h->buffer)) {
                uint64_t hash = hash_bytes(data, size);
                hasher_add(h, &hash, sizeof(hash));
                return;
        }
        memcpy(h->buffer + h->n, data, size);
        h->n += size;
}

static void hasher_add_meta(Hasher *h, const Meta *m) {
        Meta usual;

        meta_init(&usual);
        if (memcmp(m, &usual, sizeof(usual)) == 0) {
                hasher_add(h, "", 1);
                return;
        }
        for (const FieldSpec *f = meta_fields; f->name; f++) {
                const char *at = (const char *) m + f->offset;
                if (f->type != FIELD_STRV) {
                        hasher_add(h, at, field_type_size(f->type));
                        continue;
                }
                for (char *const *v = *(char *const *const *) at; v && *v; v++)
                        hasher_add(h, *v, strlen(*v) + 1);
                hasher_add(h, "", 1);
        }
}

static void hasher_add_value(Hasher *h, Value v) {
        uint64_t hash;

        hasher_add(h, &v.kind, sizeof(v.kind));
        switch (v.kind) {
        case TYPE_BOOL:
                hasher_add(h, &v.b, sizeof(v.b));
                break;
        case TYPE_INT:
        case TYPE_FLOAT:
                hasher_add(h, &v.i, sizeof(v.i));
                break;
        case TYPE_STR:
                hasher_add(h, &v.s->size, sizeof(v.s->size));
                hasher_add(h, v.s->data, v.s->size);
                break;
        case TYPE_NIL:
                break;
        default:
                hash = value_hash(v);
                hasher_add(h, &hash, sizeof(hash));
                break;
        }
}

uint64_t resource_spec_hash(const ResourceSpec *s) {
        Hasher h;

        h.hash = s->n_fields;
        h.n = 0;
        hasher_add_meta(&h, &s->meta);
        for (size_t i = 0; i < s->n_fields; i++) {
                hasher_add(&h, s->fields[i].name, strlen(s->fields[i].name) + 1);
                hasher_add_value(&h, s->fields[i].value);
        }
        hasher_flush(&h);
        return h.hash;
}

/* last: the one before, or NULL. Most are between resources of one kind, row after row. */
static void hasher_add_edge(Hasher *h, const EdgeSpec *e, const EdgeSpec *last) {
        const bool same_from = last && streq(e->from_kind, last->from_kind), same_to = streq(e->to_kind, e->from_kind);
        const char *const texts[] = {
                same_from ? NULL : e->from_kind, e->from_name, same_to ? NULL : e->to_kind, e->to_name, e->send_key, e->receive_field,
        };
        const char flags = (char) (e->notify | (e->send_key ? 2 : 0) | (e->receive_field ? 4 : 0) | (same_from ? 8 : 0) |
                                   (same_to ? 16 : 0));

        hasher_add(h, &flags, 1);
        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                if (texts[i])
                        hasher_add(h, texts[i], strlen(texts[i]) + 1);
}

/* Of what was added so far; more may follow. */
static uint64_t hasher_get(const Hasher *h) {
        Hasher copy = *h;

        hasher_flush(&copy);
        return copy.hash;
}

int resource_spec_copy(ResourceSpec *to, const ResourceSpec *from) {
        _cleanup_(resource_spec_done) ResourceSpec s = {};

        if (copy_string(&s.kind, from->kind) < 0 || copy_string(&s.name, from->name) < 0 || copy_pos(&s.pos, from->pos) < 0 ||
            meta_copy(&s.meta, &from->meta) < 0)
                return -ENOMEM;
        s.fields = calloc(from->n_fields + 1, sizeof(FieldValue));
        if (!s.fields)
                return -ENOMEM;
        for (; s.n_fields < from->n_fields; s.n_fields++) {
                const FieldValue *f = &from->fields[s.n_fields];
                if (copy_string(&s.fields[s.n_fields].name, f->name) < 0)
                        return -ENOMEM;
                s.fields[s.n_fields].value = value_ref(f->value);
        }
        *to = s;
        s = (ResourceSpec) {};
        return 0;
}

/* ---- edges ---- */

void edge_spec_done(EdgeSpec *e) {
        free(e->from_kind);
        free(e->from_name);
        free(e->to_kind);
        free(e->to_name);
        free(e->send_key);
        free(e->receive_field);
        free((char *) e->pos.file);
        *e = (EdgeSpec) {};
}

int edge_spec_copy(EdgeSpec *to, const EdgeSpec *from) {
        _cleanup_(edge_spec_done) EdgeSpec e = { .notify = from->notify };

        if (copy_string(&e.from_kind, from->from_kind) < 0 || copy_string(&e.from_name, from->from_name) < 0 ||
            copy_string(&e.to_kind, from->to_kind) < 0 || copy_string(&e.to_name, from->to_name) < 0 ||
            copy_string(&e.send_key, from->send_key) < 0 || copy_string(&e.receive_field, from->receive_field) < 0 ||
            copy_pos(&e.pos, from->pos) < 0)
                return -ENOMEM;
        *to = e;
        e = (EdgeSpec) {};
        return 0;
}

/* ---- the set ---- */

int change_set_put(ChangeSet *c, ResourceSpec *s) {
        if (GROW(c->put, c->n_put, c->capacity_put) < 0) {
                resource_spec_done(s);
                return -ENOMEM;
        }
        c->put[c->n_put++] = *s;
        *s = (ResourceSpec) {};
        return 0;
}

int change_set_remove(ChangeSet *c, const char *kind, const char *name) {
        ResourceKey key;

        if (GROW(c->removed, c->n_removed, c->capacity_removed) < 0)
                return -ENOMEM;
        if (copy_string(&key.kind, kind) < 0)
                return -ENOMEM;
        if (copy_string(&key.name, name) < 0) {
                free(key.kind);
                return -ENOMEM;
        }
        c->removed[c->n_removed++] = key;
        return 0;
}

int change_set_edge(ChangeSet *c, EdgeSpec *e) {
        if (GROW(c->edges, c->n_edges, c->capacity_edges) < 0) {
                edge_spec_done(e);
                return -ENOMEM;
        }
        c->edges[c->n_edges++] = *e;
        *e = (EdgeSpec) {};
        return 0;
}

int change_set_cut(ChangeSet *c, EdgeSpec *e) {
        if (GROW(c->cut, c->n_cut, c->capacity_cut) < 0) {
                edge_spec_done(e);
                return -ENOMEM;
        }
        c->cut[c->n_cut++] = *e;
        *e = (EdgeSpec) {};
        return 0;
}

size_t change_set_n_twins(const ChangeSet *c, size_t i) {
        const ResourceSpec *s = &c->put[i];
        size_t n = 0;

        while (i + n + 1 < c->n_put && s[n + 1].meta.hidden && streq(s[n + 1].name, s->name) && streq(s[n + 1].kind, s->kind))
                n++;
        return n;
}

uint64_t change_set_edges_hash(const ChangeSet *c, size_t n, uint64_t *ret_all) {
        uint64_t first;
        Hasher h;

        h.hash = 0;
        h.n = 0;
        for (size_t i = 0; i < n; i++)
                hasher_add_edge(&h, &c->edges[i], i > 0 ? &c->edges[i - 1] : NULL);
        first = hasher_get(&h);
        for (size_t i = n; i < c->n_edges; i++)
                hasher_add_edge(&h, &c->edges[i], i > 0 ? &c->edges[i - 1] : NULL);
        *ret_all = hasher_get(&h);
        return first;
}

void change_set_done(ChangeSet *c) {
        for (size_t i = 0; i < c->n_put; i++)
                resource_spec_done(&c->put[i]);
        for (size_t i = 0; i < c->n_removed; i++) {
                free(c->removed[i].kind);
                free(c->removed[i].name);
        }
        for (size_t i = 0; i < c->n_edges; i++)
                edge_spec_done(&c->edges[i]);
        for (size_t i = 0; i < c->n_cut; i++)
                edge_spec_done(&c->cut[i]);
        free(c->put);
        free(c->removed);
        free(c->edges);
        free(c->cut);
        *c = (ChangeSet) {};
}
