/* SPDX-License-Identifier: GPL-3.0-or-later */

/* From values to resources. A resource statement is a node like any other: when one of its inputs changes it declares its
 * resources and edges anew, and takes back what it declared before. What leaves is the difference between what is declared now
 * and what was sent last; the work is proportional to what changed. If what is declared makes no sense (two resources that
 * contradict each other, an edge to nothing, a cycle) nothing leaves, and everything waits for the next attempt. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/graph.h"
#include "common/strbuf.h"
#include "lang/funcgraph.h"

typedef struct ResourceEntry ResourceEntry;
typedef struct EdgeEntry EdgeEntry;

/* What one statement says of one resource. */
typedef struct Declared {
        uint32_t n_ref;
        ResourceSpec spec;
        uint64_t sequence;      /* of the statement */
        int rank;               /* which one counts, of several that differ in a field that merges; see FieldSpec.merges */
        ResourceEntry *entry;
        struct Declared *next;  /* of the same resource, the higher ranks first, and then by sequence */
} Declared;

struct ResourceEntry {
        Declared *declared;
        Declared *sent;         /* or NULL */
        ResourceEntry *prev, *next;     /* of all, in order of appearance */
        ResourceEntry *next_dirty;
        uint32_t n_edges;       /* declared ones that end here */
        bool dirty;
        VertexId vertex;        /* while the order is checked */
        char *key;              /* owned; kind, NUL, name */
        size_t key_size;
};

typedef struct DeclaredEdge {
        EdgeSpec spec;
        EdgeEntry *entry;
        struct DeclaredEdge *next;      /* of the same edge */
} DeclaredEdge;

struct EdgeEntry {
        DeclaredEdge *declared;
        bool sent, sent_notify, dirty;
        EdgeEntry *prev, *next, *next_dirty;
        ResourceEntry *from, *to;
        EdgeSpec spec;          /* as it was first declared; for taking it back */
        char *key;              /* owned */
        size_t key_size;
};

struct Output {
        Map *resources, *edges;
        ResourceEntry *first, *last, *dirty;
        EdgeEntry *first_edge, *last_edge, *dirty_edge;
        bool unordered;         /* edges were added since the order was checked */
};

/* ---- entries ---- */

static Declared *declared_unref(Declared *d) {
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
        e->key_size = size;
        e->prev = o->last;
        *(o->last ? &o->last->next : &o->first) = e;
        o->last = e;
        return e;
}

static void resource_entry_free(Output *o, ResourceEntry *e) {
        *(e->prev ? &e->prev->next : &o->first) = e->next;
        *(e->next ? &e->next->prev : &o->last) = e->prev;
        (void) map_remove_n(o->resources, e->key, e->key_size);
        declared_unref(e->sent);
        free(e->key);
        free(e);
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
        e->from->n_edges++;
        e->to->n_edges++;
        e->key = TAKE_PTR(key);
        e->key_size = size;
        e->prev = o->last_edge;
        *(o->last_edge ? &o->last_edge->next : &o->first_edge) = e;
        o->last_edge = e;
        return e;
}

static void edge_entry_free(Output *o, EdgeEntry *e) {
        *(e->prev ? &e->prev->next : &o->first_edge) = e->next;
        *(e->next ? &e->next->prev : &o->last_edge) = e->prev;
        (void) map_remove_n(o->edges, e->key, e->key_size);
        e->from->n_edges--;
        e->to->n_edges--;
        set_dirty(o, e->from);
        set_dirty(o, e->to);
        edge_spec_done(&e->spec);
        free(e->key);
        free(e);
}

/* ---- what a statement declared ---- */

typedef struct Contribution {
        Declared **resources;
        size_t n_resources, capacity_resources;
        DeclaredEdge **edges;
        size_t n_edges, capacity_edges;
} Contribution;

static void take_back(Output *o, Contribution *c) {
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

/* The field of this kind that merges, or NULL. */
static const SchemaField *merging_field(const Program *p, const char *kind) {
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

/* Takes the content of spec. */
static int declare(FuncGraph *g, Contribution *c, ResourceSpec *spec, uint64_t sequence) {
        Output *o = g->output;
        const SchemaField *f = merging_field(g->program, spec->kind);
        int rank = f ? merge_rank(f, spec) : -1;
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
        while (*at && ((*at)->rank > rank || ((*at)->rank == rank && (*at)->sequence <= sequence)))
                at = &(*at)->next;
        d->next = *at;
        *at = d;
        c->resources[c->n_resources++] = d;
        set_dirty(o, e);
        return 0;
}

static int declare_edge(Output *o, Contribution *c, EdgeSpec *spec) {
        EdgeEntry *e = edge_entry(o, spec);
        DeclaredEdge *d = e ? calloc(1, sizeof(DeclaredEdge)) : NULL;

        if (!d || GROW(c->edges, c->n_edges, c->capacity_edges) < 0) {
                free(d);
                edge_spec_done(spec);
                return -ENOMEM;
        }
        o->unordered = o->unordered || !e->declared;
        *d = (DeclaredEdge) { .spec = *spec, .entry = e, .next = e->declared };
        *spec = (EdgeSpec) {};
        e->declared = d;
        c->edges[c->n_edges++] = d;
        set_edge_dirty(o, e);
        return 0;
}

/* Names as they stand in a value: one, or a list in which repeated ones count once. */
typedef struct Names {
        const char **items;
        size_t n;
} Names;

static bool is_text(Value v) {
        return strlen(value_cstr(v)) == v.s->size;
}

static int names_of(Value v, Names *ret, Pos pos, Diag *reterr) {
        Names names = { calloc(v.kind == TYPE_LIST ? (size_t) v.l->n + 1 : 2, sizeof(char *)), 0 };
        _cleanup_(map_freep) Map *seen = NULL;

        if (!names.items)
                return -ENOMEM;
        for (uint32_t i = 0; i < (v.kind == TYPE_LIST ? v.l->n : 1); i++)
                if (!is_text(v.kind == TYPE_LIST ? value_list_at(v.l, i) : v)) {
                        free(names.items);
                        return diag_set(reterr, pos, -EINVAL, "names with NUL bytes cannot be used");
                }
        if (v.kind != TYPE_LIST)
                names.items[names.n++] = value_cstr(v);
        else
                for (uint32_t i = 0; i < v.l->n; i++) {
                        const char *name = value_cstr(value_list_at(v.l, i));
                        if (v.l->n > 1) {
                                int r = seen || (seen = map_new()) ? map_put(seen, name, names.items) : -ENOMEM;
                                if (r < 0) {
                                        free(names.items);
                                        return r;
                                }
                                if (r == 0)
                                        continue;
                        }
                        names.items[names.n++] = name;
                }
        *ret = names;
        return 0;
}

static void names_done(Names *names) {
        free(names->items);
}

static char *copy_text(const char *s) {
        return strdup(s);
}

static int make_edge(EdgeSpec *ret, const char *from_kind, const char *from, const char *to_kind, const char *to, Pos pos) {
        *ret = (EdgeSpec) { .from_kind = copy_text(from_kind), .from_name = copy_text(from), .to_kind = copy_text(to_kind),
                            .to_name = copy_text(to), .pos = pos };
        ret->pos.file = pos.file ? copy_text(pos.file) : NULL;
        if (ret->from_kind && ret->from_name && ret->to_kind && ret->to_name && (ret->pos.file || !pos.file))
                return 0;
        edge_spec_done(ret);
        return -ENOMEM;
}

/* ---- resource statements ---- */

/* An input of a statement: known, or what a node gives. */
typedef struct Part {
        const Value *known;
        uint32_t input;
        bool given;
} Part;

typedef struct ResourceNode {
        StmtNode stmt;
        Contribution contribution;
        Part name;
        Part *parts;            /* owned; condition and value of each item */
} ResourceNode;

static int part_init(FuncGraph *g, Node *n, Expr *e, Env *env, Part *ret) {
        *ret = (Part) { .known = known_value(g->program, e), .input = n->n_in, .given = true };
        if (ret->known)
                return 0;

        Node *from;
        int r = build_expr(g, e, env, &from);
        return r < 0 ? r : node_add_input(g, n, from);
}

static Value part_value(const Node *n, const Part *p) {
        return p->known ? *p->known : n->in[p->input].from->value;
}

/* Numbers must fit the field's native type; everything else was settled by inference. */
static int check_range(const SchemaField *f, Value v, Diag *reterr) {
        uint64_t scratch = 0;
        const FieldSpec spec = { .name = f->name, .type = f->type };

        if ((f->type >= FIELD_INT8 && f->type <= FIELD_UINT64) || f->type == FIELD_FLOAT32)
                return field_set(&spec, &scratch, v, reterr);
        if (f->type == FIELD_STR && v.kind == TYPE_STR && !is_text(v))
                return diag_set(reterr, (Pos) {}, -EINVAL, "strings with NUL bytes cannot be stored here");
        return 0;
}

static int add_field(FuncGraph *g, ResourceSpec *spec, const Item *item, Value v, Diag *reterr) {
        const SchemaKind *kind = schema_kind(g->program->host.schema, spec->kind);
        _cleanup_(diag_done) Diag problem = {};

        if (check_range(schema_field(kind, item->name), v, &problem) < 0)
                return diag_set(reterr, item->pos, problem.error, "error building resource: %s", problem.message);
        FieldValue *f = &spec->fields[spec->n_fields];
        f->name = copy_text(item->name);
        if (!f->name)
                return -ENOMEM;
        f->value = value_ref(v);
        spec->n_fields++;
        return 0;
}

static int set_meta(Meta *m, const char *name, Value v, Diag *reterr) {
        const FieldSpec *f = field_find(meta_fields, name);
        _cleanup_(diag_done) Diag problem = {};

        int r = field_set(f, m, v, &problem);
        if (r >= 0)
                return 0;
        if (v.kind != TYPE_INT)
                return diag_set(reterr, (Pos) {}, r, "error generating metaparams: %s: %s", name, problem.message ?: "?");
        if (f->type >= FIELD_UINT8 && f->type <= FIELD_UINT64 && v.i < 0)
                return diag_set(reterr, (Pos) {}, r, "error generating metaparams: %s value %" PRId64 " is negative", name, v.i);
        return diag_set(reterr, (Pos) {}, r, "error generating metaparams: %s value %" PRId64 " overflows %s", name, v.i,
                        field_type_name(f->type));
}

static int add_meta(Meta *m, const Item *item, Value v, Diag *reterr) {
        _cleanup_(diag_done) Diag problem = {};
        int r = 0;

        if (item->name)
                r = set_meta(m, item->name, v, &problem);
        else
                for (uint32_t i = 0; i < v.st->n && r >= 0; i++)
                        r = set_meta(m, v.st->fields[i].name->data, v.st->fields[i].value, &problem);
        return r < 0 ? diag_set(reterr, item->pos, r, "%s", problem.message ?: "?") : 0;
}

static bool item_active(const ResourceNode *n, size_t i) {
        const Part *condition = &n->parts[i * 2];

        return !condition->given || part_value(&n->stmt.node, condition).b;
}

static int fill_resource(FuncGraph *g, const ResourceNode *n, const char *name, ResourceSpec *spec, Diag *reterr) {
        const Stmt *s = n->stmt.stmt;
        const Items *items = &s->resource.items;
        _cleanup_(diag_done) Diag problem = {};
        int r;

        meta_init(&spec->meta);
        spec->kind = copy_text(s->resource.kind);
        spec->name = copy_text(name);
        spec->pos = s->pos;
        spec->pos.file = s->pos.file ? copy_text(s->pos.file) : NULL;
        spec->fields = calloc((size_t) items->n + 1, sizeof(FieldValue));
        if (!spec->kind || !spec->name || !spec->fields)
                return -ENOMEM;
        if (!schema_kind(g->program->host.schema, s->resource.kind)) {
                r = diag_set(reterr, s->pos, -EINVAL, "error building resource: cannot create resource kind `%s` with name `%s`: "
                             "no resource kind `%s` available", s->resource.kind, name, s->resource.kind);
                Suggestion near = suggestion_for(s->resource.kind);
                for (size_t i = 0; i < schema_count(g->program->host.schema); i++)
                        suggestion_add(&near, schema_at(g->program->host.schema, i)->kind);
                if (near.best)
                        (void) diag_note(reterr, (Pos) {}, "help: did you mean '%s'?", near.best);
                return r;
        }
        if (name[0] == 0)
                return diag_set(reterr, s->pos, -EINVAL, "error building resource: cannot create resource kind `%s` with name ``: "
                                "resource name is empty", s->resource.kind);
        for (uint32_t i = 0; i < items->n; i++) {
                const Item *item = items->items[i];
                if (item->kind == ITEM_EDGE || !item_active(n, i))
                        continue;
                Value v = part_value(&n->stmt.node, &n->parts[i * 2 + 1]);
                r = item->kind == ITEM_FIELD ? add_field(g, spec, item, v, reterr) : add_meta(&spec->meta, item, v, reterr);
                if (r < 0)
                        return r;
        }
        r = meta_validate(&spec->meta, &problem);
        if (r >= 0 && name[0] == '$' && !spec->meta.dollar)
                r = diag_set(&problem, (Pos) {}, -EINVAL, "the Res name starts with a $");
        return r < 0 ? diag_set(reterr, s->pos, r, "%s[%s] did not Validate: %s", s->resource.kind, name, problem.message ?: "?") : 0;
}

static int declare_item_edges(FuncGraph *g, const ResourceNode *n, const char *name, Contribution *c, Diag *reterr) {
        const Stmt *s = n->stmt.stmt;

        for (uint32_t i = 0; i < s->resource.items.n; i++) {
                const Item *item = s->resource.items.items[i];
                if (item->kind != ITEM_EDGE || !item_active(n, i))
                        continue;
                _cleanup_(names_done) Names names = {};
                int r = names_of(part_value(&n->stmt.node, &n->parts[i * 2 + 1]), &names, item->pos, reterr);
                bool before = streq(item->name, "before") || streq(item->name, "notify");
                for (size_t j = 0; j < names.n && r >= 0; j++) {
                        EdgeSpec e;
                        if (before)
                                r = make_edge(&e, s->resource.kind, name, item->half->kind, names.items[j], s->pos);
                        else
                                r = make_edge(&e, item->half->kind, names.items[j], s->resource.kind, name, s->pos);
                        if (r < 0)
                                break;
                        e.notify = streq(item->name, "notify") || streq(item->name, "listen");
                        r = declare_edge(g->output, c, &e);
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

static int declare_all(FuncGraph *g, const ResourceNode *n, Contribution *c, Diag *reterr) {
        _cleanup_(names_done) Names names = {};
        int r = names_of(part_value(&n->stmt.node, &n->name), &names, n->stmt.stmt->pos, reterr);

        for (size_t i = 0; i < names.n && r >= 0; i++) {
                ResourceSpec spec = {};
                r = fill_resource(g, n, names.items[i], &spec, reterr);
                if (r < 0) {
                        resource_spec_done(&spec);
                        return r;
                }
                r = declare(g, c, &spec, n->stmt.sequence);
                if (r >= 0)
                        r = declare_item_edges(g, n, names.items[i], c, reterr);
        }
        return r;
}

/* Puts what a statement declares now in the place of what it declared before; on an error that stays. */
static int replace(FuncGraph *g, StmtNode *s, Contribution *old, Contribution *new, int r, Diag *error) {
        if (r < 0) {
                take_back(g->output, new);
                if (error->error == 0)
                        return r;
                Failure *f = failure_new(error, s->node.pos, false);
                if (!f)
                        return -ENOMEM;
                f->interpret = true;
                stmt_node_problem(g, s, f);
                return 0;
        }
        stmt_node_problem(g, s, NULL);
        take_back(g->output, old);
        *old = *new;
        return 0;
}

static int resource_run(FuncGraph *g, Node *node) {
        ResourceNode *n = (ResourceNode *) node;
        _cleanup_(diag_done) Diag error = {};
        Contribution c = {};

        if (!stmt_node_ready(g, &n->stmt))
                return 0;
        int r = declare_all(g, n, &c, &error);
        return replace(g, &n->stmt, &n->contribution, &c, r, &error);
}

static void resource_done(FuncGraph *g, Node *node) {
        ResourceNode *n = (ResourceNode *) node;

        take_back(g->output, &n->contribution);
        free(n->parts);
        stmt_node_problem(g, &n->stmt, NULL);
}

static const NodeType resource_type = {
        .name = "resource", .size = sizeof(ResourceNode), .run = resource_run, .done = resource_done, .manual = true,
};

int interpret_resource(FuncGraph *g, const Stmt *s, Env *env, StmtNode **ret) {
        ResourceNode *n = (ResourceNode *) stmt_node_new(g, &resource_type, s);
        int r;

        if (!n)
                return -ENOMEM;
        Node *node = &n->stmt.node;
        n->parts = calloc((size_t) s->resource.items.n * 2 + 1, sizeof(Part));
        if (!n->parts)
                return -ENOMEM;
        if (s->resource.collect) {
                _cleanup_(diag_done) Diag error = {};
                diag_set(&error, s->pos, -ENOSYS, "collect is not supported yet");
                Failure *f = failure_new(&error, s->pos, false);
                Node *never = f ? node_source(g, VALUE_NIL) : NULL;
                if (!never)
                        return -ENOMEM;
                node_fail(g, never, f);
                *ret = &n->stmt;
                return node_add_input(g, node, never);
        }
        r = part_init(g, node, s->resource.name, env, &n->name);
        for (uint32_t i = 0; i < s->resource.items.n && r >= 0; i++) {
                const Item *item = s->resource.items.items[i];
                if (item->condition)
                        r = part_init(g, node, item->condition, env, &n->parts[i * 2]);
                if (r >= 0)
                        r = part_init(g, node, item->half ? item->half->name : item->value, env, &n->parts[i * 2 + 1]);
        }
        *ret = &n->stmt;
        return r;
}

/* ---- edge statements ---- */

typedef struct EdgeNode {
        StmtNode stmt;
        Contribution contribution;
        Part *parts;            /* owned; the name of each half */
} EdgeNode;

static int declare_pair(FuncGraph *g, const EdgeNode *n, uint32_t i, Contribution *c, Diag *reterr) {
        const EdgeHalf *from = n->stmt.stmt->edge.items[i], *to = n->stmt.stmt->edge.items[i + 1];
        _cleanup_(names_done) Names froms = {};
        _cleanup_(names_done) Names tos = {};
        int r = names_of(part_value(&n->stmt.node, &n->parts[i]), &froms, from->pos, reterr);

        if (r >= 0)
                r = names_of(part_value(&n->stmt.node, &n->parts[i + 1]), &tos, to->pos, reterr);
        for (size_t j = 0; j < froms.n && r >= 0; j++)
                for (size_t k = 0; k < tos.n && r >= 0; k++) {
                        EdgeSpec e;
                        r = make_edge(&e, from->kind, froms.items[j], to->kind, tos.items[k], n->stmt.stmt->pos);
                        if (r < 0)
                                break;
                        if (from->field) {
                                e.send_key = copy_text(from->field);
                                e.receive_field = copy_text(to->field);
                                if (!e.send_key || !e.receive_field) {
                                        edge_spec_done(&e);
                                        return -ENOMEM;
                                }
                        }
                        r = declare_edge(g->output, c, &e);
                }
        return r;
}

static int edge_run(FuncGraph *g, Node *node) {
        EdgeNode *n = (EdgeNode *) node;
        _cleanup_(diag_done) Diag error = {};
        Contribution c = {};
        int r = 0;

        if (!stmt_node_ready(g, &n->stmt))
                return 0;
        for (uint32_t i = 0; i + 1 < n->stmt.stmt->edge.n && r >= 0; i++)
                r = declare_pair(g, n, i, &c, &error);
        return replace(g, &n->stmt, &n->contribution, &c, r, &error);
}

static void edge_done(FuncGraph *g, Node *node) {
        EdgeNode *n = (EdgeNode *) node;

        take_back(g->output, &n->contribution);
        free(n->parts);
        stmt_node_problem(g, &n->stmt, NULL);
}

static const NodeType edge_type = {
        .name = "edge", .size = sizeof(EdgeNode), .run = edge_run, .done = edge_done, .manual = true,
};

int interpret_edge(FuncGraph *g, const Stmt *s, Env *env, StmtNode **ret) {
        EdgeNode *n = (EdgeNode *) stmt_node_new(g, &edge_type, s);
        int r = 0;

        if (!n)
                return -ENOMEM;
        n->parts = calloc((size_t) s->edge.n + 1, sizeof(Part));
        if (!n->parts)
                return -ENOMEM;
        for (uint32_t i = 0; i < s->edge.n && r >= 0; i++)
                r = part_init(g, &n->stmt.node, s->edge.items[i]->name, env, &n->parts[i]);
        *ret = &n->stmt;
        return r;
}

/* ---- what leaves ---- */

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

static bool is_given(const ResourceSpec *s, const char *field) {
        for (size_t i = 0; i < s->n_fields; i++)
                if (streq(s->fields[i].name, field))
                        return true;
        return false;
}

/* "the AnotherStr differs", by the name that users know from listings of values. Of a field that may be unset, being set is one
 * thing and what is in it another. */
static char *difference(const Program *p, const ResourceSpec *a, const ResourceSpec *b, const char *field) {
        const SchemaKind *k = schema_kind(p->host.schema, a->kind);
        const SchemaField *f = k ? schema_field(k, field) : NULL;
        bool contents = f && (f->flags & FIELD_OPTIONAL) && is_given(a, field) && is_given(b, field);
        _cleanup_free_ char *name = strdup(f && f->native ? f->native : field);
        char *text = NULL;

        if (!name)
                return NULL;
        if (name[0] >= 'a' && name[0] <= 'z')
                name[0] = (char) (name[0] - 'a' + 'A');
        return asprintf(&text, contents ? "the contents of %s differ" : "the %s differs", name) < 0 ? NULL : text;
}

/* The same without one field: borrows everything but the array. */
static int without_field(ResourceSpec *to, const ResourceSpec *from, const char *field) {
        *to = *from;
        to->n_fields = 0;
        to->fields = calloc(from->n_fields + 1, sizeof(*to->fields));
        if (!to->fields)
                return -ENOMEM;
        for (size_t i = 0; i < from->n_fields; i++)
                if (!streq(from->fields[i].name, field))
                        to->fields[to->n_fields++] = from->fields[i];
        return 0;
}

/* 1 if both say the same, or what differs merges; 0 and a field if not. */
static int agree(const Declared *a, const Declared *b, const SchemaField *merging, const char **ret_field) {
        ResourceSpec x, y;
        int r;

        *ret_field = NULL;
        if (resource_spec_equal(&a->spec, &b->spec, ret_field))
                return 1;
        if (!merging || a->rank < 0 || b->rank < 0)
                return 0;
        r = without_field(&x, &a->spec, merging->name);
        if (r < 0)
                return r;
        r = without_field(&y, &b->spec, merging->name);
        if (r >= 0) {
                r = resource_spec_equal(&x, &y, ret_field);
                free(y.fields);
        }
        free(x.fields);
        return r;
}

/* Several statements may say the same; they must not contradict each other. Whoever stands later in the program is to blame. */
static int check_duplicates(FuncGraph *g, const ResourceEntry *e, Diag *reterr) {
        const SchemaField *merging = e->declared && e->declared->next ? merging_field(g->program, e->declared->spec.kind) : NULL;

        for (const Declared *d = e->declared; d && d->next; d = d->next) {
                const char *field;
                int r = agree(d, d->next, merging, &field);
                if (r > 0)
                        continue;
                if (r < 0)
                        return r;
                bool swapped = d->sequence > d->next->sequence;
                const ResourceSpec *a = swapped ? &d->next->spec : &d->spec, *b = swapped ? &d->spec : &d->next->spec;
                _cleanup_free_ char *text = difference(g->program, a, b, field ?: "field");
                r = diag_set(reterr, b->pos, -EEXIST, "%s duplicate resource `%s[%s]` found: %s",
                             merging ? "incompatible" : "inequivalent", a->kind, a->name, text ?: "they differ");
                (void) diag_note(reterr, a->pos, "note: it is declared here already");
                return r;
        }
        return 0;
}

static int missing_end(const EdgeSpec *s, bool from, Diag *reterr) {
        return diag_set(reterr, s->pos, -ENOENT, "edge cannot find resource kind: %s named: `%s`", from ? s->from_kind : s->to_kind,
                        from ? s->from_name : s->to_name);
}

static int check_edge(const EdgeEntry *e, Diag *reterr) {
        const EdgeSpec *s = e->declared ? &e->declared->spec : NULL;

        if (s && !e->from->declared)
                return missing_end(s, true, reterr);
        if (s && !e->to->declared)
                return missing_end(s, false, reterr);
        if (s && s->send_key && e->from->declared->spec.meta.hidden)
                return diag_set(reterr, s->pos, -EINVAL, "cannot send from hidden resource: %s[%s]", s->from_kind, s->from_name);
        return 0;
}

/* Two senders for one field of one receiver. One pass over all edges, so that many transfers cost no more than their number. */
static int check_receivers(const Output *o, Diag *reterr) {
        _cleanup_(map_freep) Map *receivers = map_new();

        if (!receivers)
                return -ENOMEM;
        for (const EdgeEntry *e = o->first_edge; e; e = e->next) {
                if (!e->declared || !e->spec.receive_field)
                        continue;
                size_t size;
                const char *const parts[] = { e->spec.to_kind, e->spec.to_name, e->spec.receive_field };
                _cleanup_free_ char *key = make_key(&size, parts, ELEMENTSOF(parts));
                int r = key ? map_put_n(receivers, key, size, (void *) e) : -ENOMEM;
                if (r < 0)
                        return r;
                if (r == 0)
                        return diag_set(reterr, e->declared->spec.pos, -EEXIST,
                                        "resource: `%s[%s]` has duplicate receive on: `%s` param", e->spec.to_kind,
                                        e->spec.to_name, e->spec.receive_field);
        }
        return 0;
}

static int report_cycle(Output *o, const Graph *graph, Diag *reterr) {
        _cleanup_free_ VertexId *cycle = NULL;
        size_t n = 0;
        StrBuf text = {};

        int r = graph_find_cycle(graph, &cycle, &n);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                for (const ResourceEntry *e = o->first; e; e = e->next)
                        if (e->declared && e->vertex == cycle[i]) {
                                strbuf_printf(&text, "%s%s[%s]", i > 0 ? " -> " : "", e->declared->spec.kind, e->declared->spec.name);
                                break;
                        }
        _cleanup_free_ char *path = strbuf_take(&text);
        Pos pos = {};
        for (const EdgeEntry *e = o->first_edge; e && pos.line == 0; e = e->next)
                if (e->declared && n > 1 && e->from->vertex == cycle[0] && e->to->vertex == cycle[1])
                        pos = e->declared->spec.pos;
        r = diag_set(reterr, pos, -ELOOP, "resource graph has cycles: not a dag");
        (void) diag_note(reterr, (Pos) {}, "note: %s", path ?: "?");
        return r;
}

static int check_order(Output *o, Diag *reterr) {
        _cleanup_(graph_freep) Graph *graph = NULL;
        _cleanup_free_ VertexId *order = NULL;
        int r;

        if (!o->unordered)
                return 0;
        graph = graph_new();
        if (!graph)
                return -ENOMEM;
        for (ResourceEntry *e = o->first; e; e = e->next) {
                r = graph_add_vertex(graph, &e->vertex);
                if (r < 0)
                        return r;
        }
        for (const EdgeEntry *e = o->first_edge; e; e = e->next) {
                if (!e->declared)
                        continue;
                r = e->from == e->to ? -ELOOP : graph_add_edge(graph, e->from->vertex, e->to->vertex, 0);
                if (r == -ELOOP)
                        return diag_set(reterr, e->declared->spec.pos, r, "resource graph has cycles: not a dag");
                if (r < 0)
                        return r;
        }
        r = graph_topological_order(graph, &order);
        if (r == -ELOOP)
                return report_cycle(o, graph, reterr);
        if (r >= 0)
                o->unordered = false;
        return r;
}

static int check_output(FuncGraph *g, Diag *reterr) {
        Output *o = g->output;
        bool ends_changed = false, transfers = false;
        int r;

        for (const ResourceEntry *e = o->dirty; e; e = e->next_dirty) {
                r = check_duplicates(g, e, reterr);
                if (r < 0)
                        return r;
                /* An end that is gone, or is hidden now and must not send. */
                ends_changed = ends_changed || (e->n_edges > 0 && (!e->declared || e->declared->spec.meta.hidden));
        }
        for (const EdgeEntry *e = o->dirty_edge; e; e = e->next_dirty) {
                r = check_edge(e, reterr);
                if (r < 0)
                        return r;
                transfers = transfers || e->spec.receive_field;
        }
        for (const EdgeEntry *e = o->first_edge; e && ends_changed; e = e->next) {
                r = check_edge(e, reterr);
                if (r < 0)
                        return r;
        }
        r = transfers ? check_receivers(o, reterr) : 0;
        return r < 0 ? r : check_order(o, reterr);
}

static bool edge_notify(const EdgeEntry *e) {
        for (const DeclaredEdge *d = e->declared; d; d = d->next)
                if (d->spec.notify)
                        return true;
        return false;
}

static int put_edge(ChangeSet *c, const EdgeSpec *s, bool notify, bool cut) {
        EdgeSpec copy = {};
        int r = edge_spec_copy(&copy, s);

        if (r < 0)
                return r;
        copy.notify = notify;
        return cut ? change_set_cut(c, &copy) : change_set_edge(c, &copy);
}

static int put_resource(ChangeSet *c, const ResourceSpec *s) {
        ResourceSpec copy = {};
        int r = resource_spec_copy(&copy, s);

        return r < 0 ? r : change_set_put(c, &copy);
}

static bool resource_changed_since_sent(const ResourceEntry *e) {
        if (!e->declared || !e->sent)
                return e->declared != e->sent;
        return e->declared != e->sent && !resource_spec_equal(&e->declared->spec, &e->sent->spec, NULL);
}

/* Collects the differences; nothing is marked as sent yet. */
static int collect_changes(Output *o, ChangeSet *c) {
        int r = 0;

        for (const ResourceEntry *e = o->dirty; e && r >= 0; e = e->next_dirty) {
                if (!resource_changed_since_sent(e))
                        continue;
                if (e->declared)
                        r = put_resource(c, &e->declared->spec);
                else
                        r = change_set_remove(c, e->sent->spec.kind, e->sent->spec.name);
        }
        for (const EdgeEntry *e = o->dirty_edge; e && r >= 0; e = e->next_dirty) {
                bool notify = edge_notify(e);
                if (!e->declared && e->sent)
                        r = put_edge(c, &e->spec, e->sent_notify, true);
                else if (e->declared && (!e->sent || e->sent_notify != notify))
                        r = put_edge(c, &e->declared->spec, notify, false);
        }
        return r;
}

static void mark_sent(Output *o) {
        while (o->dirty_edge) {
                EdgeEntry *e = o->dirty_edge;
                o->dirty_edge = e->next_dirty;
                e->dirty = false;
                e->sent = e->declared;
                e->sent_notify = edge_notify(e);
                if (!e->declared)
                        edge_entry_free(o, e);
        }
        while (o->dirty) {
                ResourceEntry *e = o->dirty;
                o->dirty = e->next_dirty;
                e->dirty = false;
                if (e->sent != e->declared) {
                        declared_unref(e->sent);
                        e->sent = e->declared;
                        if (e->sent)
                                e->sent->n_ref++;
                }
                if (!e->declared && e->n_edges == 0)
                        resource_entry_free(o, e);
        }
}

/* Entries were put in front as they became dirty; the order of the program is nicer to read. */
static void reverse_dirty(Output *o) {
        ResourceEntry *reversed = NULL;
        EdgeEntry *reversed_edge = NULL;

        while (o->dirty) {
                ResourceEntry *e = o->dirty;
                o->dirty = e->next_dirty;
                e->next_dirty = reversed;
                reversed = e;
        }
        while (o->dirty_edge) {
                EdgeEntry *e = o->dirty_edge;
                o->dirty_edge = e->next_dirty;
                e->next_dirty = reversed_edge;
                reversed_edge = e;
        }
        o->dirty = reversed;
        o->dirty_edge = reversed_edge;
}

int output_commit(FuncGraph *g, ChangeSet *ret, Diag *reterr) {
        ChangeSet c = {};
        int r;

        reverse_dirty(g->output);
        r = check_output(g, reterr);
        if (r < 0)
                return r;
        r = collect_changes(g->output, &c);
        if (r < 0) {
                change_set_done(&c);
                return r;
        }
        mark_sent(g->output);
        *ret = c;
        return 0;
}

int output_snapshot(Output *o, ChangeSet *ret) {
        ChangeSet c = { .full = true };
        int r = 0;

        for (const ResourceEntry *e = o->first; e && r >= 0; e = e->next)
                if (e->sent)
                        r = put_resource(&c, &e->sent->spec);
        for (const EdgeEntry *e = o->first_edge; e && r >= 0; e = e->next)
                if (e->sent)
                        r = put_edge(&c, &e->spec, e->sent_notify, false);
        if (r < 0) {
                change_set_done(&c);
                return r;
        }
        *ret = c;
        return 0;
}
