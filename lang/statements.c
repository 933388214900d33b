/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The statements that make resources and edges. Each is a node like any other: when one of its inputs changes it declares its
 * resources and edges anew, and takes back what it declared before. */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/exported.h"
#include "lang/declared.h"

/* ---- names ---- */

/* Names as they stand in a value: one, or a list in which repeated ones count once. */
typedef struct Names {
        const char **items;
        size_t n;
} Names;

static bool is_text(Value v) {
        return strlen(value_cstr(v)) == v.s->size;
}

static void names_done(Names *names) {
        free(names->items);
}

static int names_of(Value v, Names *ret, Pos pos, Diag *reterr) {
        size_t n = v.kind == TYPE_LIST ? v.l->n : 1;
        _cleanup_(names_done) Names names = { calloc(n + 1, sizeof(char *)), 0 };
        _cleanup_(map_freep) Map *seen = n > 1 ? map_new() : NULL;

        if (!names.items || (n > 1 && !seen))
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                Value item = v.kind == TYPE_LIST ? value_list_at(v.l, (uint32_t) i) : v;
                if (!is_text(item))
                        return diag_set(reterr, pos, -EINVAL, "names with NUL bytes cannot be used");
                int r = seen ? map_put(seen, value_cstr(item), names.items) : 1;
                if (r < 0)
                        return r;
                if (r > 0)
                        names.items[names.n++] = value_cstr(item);
        }
        *ret = names;
        names.items = NULL;
        return 0;
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

/* What is declared of one of many names. */
typedef struct Said {
        Contribution contribution;
        uint32_t n;             /* how often the name stands in the list */
} Said;

typedef struct ResourceNode {
        StmtNode stmt;
        Contribution contribution;      /* of all names, where they are few */
        Part name;
        Part *parts;            /* owned; condition and value of each item */
        /* Where they are many, so that one name more is one resource more: */
        Map *said;              /* name → Said; NULL where they are few */
        Value names;            /* the list of them */
        Value *values;          /* owned; what the parts were then */
} ResourceNode;

enum { FEW_NAMES = 8 };

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

/* What inference does not settle: numbers must fit the native type of the field, and not everything can be kept. */
static int check_range(const SchemaField *f, Value v, Diag *reterr) {
        uint64_t scratch = 0;
        const FieldSpec spec = { .name = f->name, .type = f->type };

        if ((f->type >= FIELD_INT8 && f->type <= FIELD_UINT64) || f->type == FIELD_FLOAT32)
                return field_set(&spec, &scratch, v, reterr);
        if (f->type == FIELD_VALUE && field_holds_func(v))
                return diag_set(reterr, (Pos) {}, -EINVAL, "functions cannot be stored in fields");
        bool whole = f->type != FIELD_STR || v.kind != TYPE_STR || is_text(v);
        if (f->type == FIELD_STRV && v.kind == TYPE_LIST)
                VALUE_LIST_FOREACH(item, v.l)
                        whole = whole && is_text(*item);
        return whole ? 0 : diag_set(reterr, (Pos) {}, -EINVAL, "strings with NUL bytes cannot be stored here");
}

static int add_field(FuncGraph *g, ResourceSpec *spec, const Item *item, Value v, Diag *reterr) {
        const SchemaKind *kind = schema_kind(g->program->host.schema, spec->kind);
        _cleanup_(diag_done) Diag problem = {};

        if (check_range(schema_field(kind, item->name), v, &problem) < 0)
                return diag_set(reterr, item->pos, problem.error, "error building resource: %s", problem.message);
        FieldValue *f = &spec->fields[spec->n_fields];
        for (size_t i = 0; i < spec->n_fields; i++)
                if (streq(spec->fields[i].name, item->name)) {          /* what was collected says it as well */
                        value_done(&spec->fields[i].value);
                        spec->fields[i].value = value_ref(v);
                        return 0;
                }
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

/* What another host says of it is where the statement begins. */
static int begin_with(FuncGraph *g, const Stmt *s, Value record, ResourceSpec *spec, Diag *reterr) {
        const SchemaKind *kind = schema_kind(g->program->host.schema, spec->kind);
        const Value *data = value_struct_get(record, "data"), *host = value_struct_get(record, "host");
        _cleanup_(diag_done) Diag problem = {};
        FieldValue *grown;
        int r;

        r = exported_decode(value_cstr(*data), data->s->size, kind, spec, &problem);
        if (r < 0)
                return r == -ENOMEM ? r : diag_set(reterr, s->pos, r, "cannot collect %s[%s] of host '%s': %s", spec->kind, spec->name,
                                                   value_cstr(*host), problem.message ?: "?");
        grown = reallocarray(spec->fields, spec->n_fields + s->resource.items.n + 1, sizeof(FieldValue));
        if (!grown)
                return -ENOMEM;
        spec->fields = grown;
        memset(grown + spec->n_fields, 0, ((size_t) s->resource.items.n + 1) * sizeof(FieldValue));
        return 0;
}

/* A field whose condition is false is not given. */
static const char *missing_field(const FuncGraph *g, const ResourceSpec *spec) {
        const SchemaKind *kind = schema_kind(g->program->host.schema, spec->kind);

        for (size_t i = 0; i < kind->n_fields; i++) {
                bool given = !(kind->fields[i].flags & FIELD_REQUIRED);
                for (size_t k = 0; k < spec->n_fields && !given; k++)
                        given = streq(spec->fields[k].name, kind->fields[i].name);
                if (!given)
                        return kind->fields[i].name;
        }
        return NULL;
}

/* record: what was collected, or NULL. */
static int fill_resource(FuncGraph *g, const ResourceNode *n, const char *name, const Value *record, ResourceSpec *spec, Diag *reterr) {
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
        r = record ? begin_with(g, s, *record, spec, reterr) : 0;
        if (r < 0)
                return r;
        for (uint32_t i = 0; i < items->n; i++) {
                const Item *item = items->items[i];
                if (item->kind == ITEM_EDGE || item->kind == ITEM_COLLECT || !item_active(n, i))
                        continue;
                Value v = part_value(&n->stmt.node, &n->parts[i * 2 + 1]);
                r = item->kind == ITEM_FIELD ? add_field(g, spec, item, v, reterr) : add_meta(&spec->meta, item, v, reterr);
                if (r < 0)
                        return r;
        }
        r = meta_validate(&spec->meta, &problem);
        if (r >= 0 && name[0] == '$' && !spec->meta.dollar)
                r = diag_set(&problem, (Pos) {}, -EINVAL, "the Res name starts with a $");
        if (r >= 0 && !spec->meta.hidden && missing_field(g, spec))
                r = diag_set(&problem, (Pos) {}, -EINVAL, "field '%s' is required", missing_field(g, spec));
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

static int declare_one(FuncGraph *g, const ResourceNode *n, const char *name, const Value *record, Contribution *c, Diag *reterr) {
        ResourceSpec spec = {};
        int r;

        r = fill_resource(g, n, name, record, &spec, reterr);
        if (r < 0) {
                resource_spec_done(&spec);
                return r;
        }
        r = declare_resource(g, c, &spec, n->stmt.sequence);
        return r < 0 ? r : declare_item_edges(g, n, name, c, reterr);
}

/* The resources that others export under the names. */
static int declare_collected(FuncGraph *g, const ResourceNode *n, Contribution *c, Diag *reterr) {
        const Items *items = &n->stmt.stmt->resource.items;
        int r = 0;

        for (uint32_t i = 0; i < items->n && r >= 0; i++) {
                if (items->items[i]->kind != ITEM_COLLECT)
                        continue;
                Value records = part_value(&n->stmt.node, &n->parts[i * 2 + 1]);
                for (uint32_t j = 0; j < records.l->n && r >= 0; j++) {
                        const Value record = value_list_at(records.l, j);
                        const Value *name = value_struct_get(record, "name");

                        r = is_text(*name) ? declare_one(g, n, value_cstr(*name), &record, c, reterr) :
                                diag_set(reterr, n->stmt.stmt->pos, -EINVAL, "names with NUL bytes cannot be used");
                }
        }
        return r;
}

static int declare_few(FuncGraph *g, const ResourceNode *n, Contribution *c, Diag *reterr) {
        _cleanup_(names_done) Names names = {};
        int r;

        if (n->stmt.stmt->resource.collect)
                r = declare_collected(g, n, c, reterr);
        else
                r = names_of(part_value(&n->stmt.node, &n->name), &names, n->stmt.stmt->pos, reterr);
        for (size_t i = 0; i < names.n && r >= 0; i++)
                r = declare_one(g, n, names.items[i], NULL, c, reterr);
        if (r < 0)
                take_back(g->output, c);
        return r;
}

/* ---- many names ---- */

static int say(FuncGraph *g, const ResourceNode *n, Map *said, Value name, Diag *reterr) {
        Said *s = map_get(said, value_cstr(name));

        if (!is_text(name))
                return diag_set(reterr, n->stmt.stmt->pos, -EINVAL, "names with NUL bytes cannot be used");
        if (s) {
                s->n++;
                return 0;
        }
        s = calloc(1, sizeof(Said));
        if (!s)
                return -ENOMEM;
        s->n = 1;
        int r = declare_one(g, n, value_cstr(name), NULL, &s->contribution, reterr);
        if (r >= 0)
                r = map_put(said, value_cstr(name), s);
        if (r < 0) {
                take_back(g->output, &s->contribution);
                free(s);
        }
        return r < 0 ? r : 0;
}

static void unsay(FuncGraph *g, Map *said, Value name) {
        Said *s = map_get(said, value_cstr(name));

        if (--s->n > 0)
                return;
        take_back(g->output, &s->contribution);
        (void) map_remove(said, value_cstr(name));
        free(s);
}

/* The first index from i on where names differs from others, which may be nil. */
static uint32_t other_name(Value names, Value others, uint32_t i) {
        return others.kind == TYPE_LIST && i < MIN(names.l->n, others.l->n) ? value_list_difference(names.l, others.l, i) : i;
}

/* Those of names up to, without, end that are other ones than in others. */
static void unsay_all(FuncGraph *g, Map *said, Value names, Value others, uint32_t end) {
        for (uint32_t i = other_name(names, others, 0); i < end; i = other_name(names, others, i + 1))
                unsay(g, said, value_list_at(names.l, i));
}

static bool parts_are_as_before(const ResourceNode *n) {
        for (uint32_t i = 0; i < n->stmt.stmt->resource.items.n * 2; i++)
                if (n->parts[i].given && !value_same(n->values[i], part_value(&n->stmt.node, &n->parts[i])))
                        return false;
        return true;
}

static void keep_parts(ResourceNode *n) {
        for (uint32_t i = 0; i < n->stmt.stmt->resource.items.n * 2; i++) {
                value_done(&n->values[i]);
                if (n->parts[i].given)
                        n->values[i] = value_ref(part_value(&n->stmt.node, &n->parts[i]));
        }
}

static void drop_many(FuncGraph *g, ResourceNode *n) {
        if (!n->said)
                return;
        unsay_all(g, n->said, n->names, VALUE_NIL, n->names.l->n);
        n->said = map_free(n->said);
        value_done(&n->names);
        for (uint32_t i = 0; i < n->stmt.stmt->resource.items.n * 2; i++)
                value_done(&n->values[i]);
}

static int declare_many(FuncGraph *g, ResourceNode *n, Value names, Diag *reterr) {
        bool known = n->said && parts_are_as_before(n);
        Value before = known ? n->names : VALUE_NIL;
        Map *said = known ? n->said : map_new();
        int r = 0;

        if (!n->values)
                n->values = calloc((size_t) n->stmt.stmt->resource.items.n * 2 + 1, sizeof(Value));
        if (!said || !n->values) {
                map_free(known ? NULL : said);
                return -ENOMEM;
        }
        for (uint32_t i = other_name(names, before, 0); i < names.l->n; i = other_name(names, before, i + 1)) {
                r = say(g, n, said, value_list_at(names.l, i), reterr);
                if (r >= 0)
                        continue;
                unsay_all(g, said, names, before, i);
                map_free(known ? NULL : said);
                return r;
        }
        if (known)
                unsay_all(g, said, before, names, before.l->n);
        else {
                drop_many(g, n);
                n->said = said;
                keep_parts(n);
        }
        value_done(&n->names);
        n->names = value_ref(names);
        return 0;
}

/* ---- running ---- */

/* What the statement declared before stays. */
static int refuse(FuncGraph *g, StmtNode *s, int r, Diag *error) {
        if (error->error == 0)
                return r;
        Failure *f = failure_new(error, s->node.pos, false);
        if (!f)
                return -ENOMEM;
        f->interpret = true;
        stmt_node_problem(g, s, f);
        return 0;
}

/* Puts what a statement declares now in the place of what it declared before. */
static void replace(FuncGraph *g, StmtNode *s, Contribution *old, Contribution *new) {
        stmt_node_problem(g, s, NULL);
        take_back(g->output, old);
        *old = *new;
}

static int resource_run(FuncGraph *g, Node *node) {
        ResourceNode *n = (ResourceNode *) node;
        _cleanup_(diag_done) Diag error = {};
        Contribution c = {};

        if (!stmt_node_ready(g, &n->stmt))
                return 0;
        Value names = n->stmt.stmt->resource.collect ? VALUE_NIL : part_value(node, &n->name);
        bool many = names.kind == TYPE_LIST && names.l->n > FEW_NAMES;
        int r = many ? declare_many(g, n, names, &error) : declare_few(g, n, &c, &error);
        if (r < 0)
                return refuse(g, &n->stmt, r, &error);
        if (!many)
                drop_many(g, n);
        replace(g, &n->stmt, &n->contribution, &c);
        return 0;
}

static void resource_done(FuncGraph *g, Node *node) {
        ResourceNode *n = (ResourceNode *) node;

        drop_many(g, n);
        free(n->values);
        take_back(g->output, &n->contribution);
        free(n->parts);
        stmt_node_problem(g, &n->stmt, NULL);
}

static const NodeType resource_type = {
        .name = "resource", .size = sizeof(ResourceNode), .run = resource_run, .done = resource_done, .manual = true,
};

int build_resource(FuncGraph *g, const Stmt *s, Env *env, StmtNode **ret) {
        ResourceNode *n = (ResourceNode *) stmt_node_new(g, &resource_type, s);
        int r;

        if (!n)
                return -ENOMEM;
        Node *node = &n->stmt.node;
        n->parts = calloc((size_t) s->resource.items.n * 2 + 1, sizeof(Part));
        if (!n->parts)
                return -ENOMEM;
        r = s->resource.collect ? 0 : part_init(g, node, s->resource.name, env, &n->name);     /* else a hidden item asks for them */
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
        if (r < 0) {
                take_back(g->output, &c);
                return refuse(g, &n->stmt, r, &error);
        }
        replace(g, &n->stmt, &n->contribution, &c);
        return 0;
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

int build_edge(FuncGraph *g, const Stmt *s, Env *env, StmtNode **ret) {
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
