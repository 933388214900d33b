/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The second stage: what can be said of each node by itself, before names mean anything. It works on the raw text of strings,
 * so that "$" and "\$" are two different keys of a map here. */

#include <errno.h>
#include <string.h>

#include "common/meta.h"
#include "lang/program.h"

static int init_expr(Program *p, Expr *e);

static int init_exprs(Program *p, Exprs *list) {
        int r = 0;

        for (uint32_t i = 0; i < list->n; i++) {
                int k = init_expr(p, list->items[i]);
                r = r < 0 ? r : k;
        }
        return r;
}

/* Uses of names are checked, definitions are not. */
static int init_name(Program *p, const char *name, Pos pos) {
        if (strstr(name, "__"))
                return program_fail(p, pos, "var name contains multiple underscores: `%s`", name);
        return 0;
}

static Expr *unwrap(Expr *e) {
        while (e->kind == EXPR_PAREN || e->kind == EXPR_BRACES)
                e = e->inner;
        return e;
}

/* The value of a literal, as it is written. 1, 0 if it is not one, or -ENOMEM. Depth is bounded by the parser. */
static int literal_value(const Expr *e, Value *ret) {
        e = unwrap((Expr *) e);
        switch ((ExprKind) e->kind) {
        case EXPR_BOOL:
                *ret = VALUE_BOOL(e->b);
                return 1;
        case EXPR_INT:
                *ret = VALUE_INT(e->i);
                return 1;
        case EXPR_FLOAT:
                *ret = VALUE_FLOAT(e->f);
                return 1;
        case EXPR_STR:
                return value_str(ret, e->str.text, e->str.size) < 0 ? -ENOMEM : 1;
        case EXPR_STRUCT: {
                _cleanup_free_ const char **names = calloc(e->st.n + 1, sizeof(char *));
                _cleanup_free_ Value *values = calloc(e->st.n + 1, sizeof(Value));
                if (!names || !values)
                        return -ENOMEM;
                for (uint32_t i = 0; i < e->st.n; i++) {
                        int r = literal_value(e->st.items[i].value, &values[i]);
                        if (r <= 0) {
                                while (i-- > 0)
                                        value_done(&values[i]);
                                return r;
                        }
                        names[i] = e->st.items[i].name;
                }
                int r = value_struct(ret, names, values, e->st.n);
                return r < 0 ? r : 1;
        }
        default:
                return 0;
        }
}

/* Types of keys that are plain to see. */
static const Type *literal_type(Program *p, const Expr *e) {
        e = unwrap((Expr *) e);
        switch ((ExprKind) e->kind) {
        case EXPR_BOOL:
                return &type_bool;
        case EXPR_STR:
                return &type_str;
        case EXPR_INT:
                return &type_int;
        case EXPR_FLOAT:
                return &type_float;
        case EXPR_LIST: {
                const Type *element = e->list.n > 0 ? literal_type(p, e->list.items[0]) : NULL;
                return element ? type_list(p->arena, element) : NULL;
        }
        case EXPR_MAP: {
                const Type *key = e->map.n > 0 ? literal_type(p, e->map.items[0].key) : NULL;
                const Type *value = key ? literal_type(p, e->map.items[0].value) : NULL;
                return value ? type_map(p->arena, key, value) : NULL;
        }
        case EXPR_STRUCT: {
                TypeFields fields = {};
                for (uint32_t i = 0; i < e->st.n; i++) {
                        TypeField f = { e->st.items[i].name, literal_type(p, e->st.items[i].value) };
                        if (!f.type || AST_PUSH(p->arena, &fields, f) < 0)
                                return NULL;
                }
                return type_struct(p->arena, fields.items, fields.n);
        }
        default:
                return e->annotation;
        }
}

static int init_map(Program *p, Expr *e) {
        _cleanup_(map_freep) Map *seen = NULL;
        const Type *first = NULL;

        for (uint32_t i = 0; i < e->map.n; i++) {
                const Expr *key = e->map.items[i].key;
                const Type *type = literal_type(p, key);
                if (!type)
                        continue;

                _cleanup_(diag_done) Diag difference = {};
                if (first && type_compare(first, type, &difference) < 0)
                        return program_fail(p, e->pos, "inconsistent map key type: %s", difference.message);
                first = first ?: type;
                if (!type_is_hashable(type)) {
                        _cleanup_free_ char *text = type_text(type);
                        return program_fail(p, e->pos, "map key type %s is not hashable", text ?: "?");
                }

                _cleanup_(value_done) Value v = {};
                int r = literal_value(key, &v);
                if (r < 0)
                        return program_oom(p);
                if (r == 0)
                        continue;
                _cleanup_free_ char *text = value_text(v);
                if (!text || (!seen && !(seen = map_new())))
                        return program_oom(p);
                r = map_put(seen, text, e);
                if (r < 0)
                        return program_oom(p);
                if (r == 0) {
                        program_fail(p, e->pos, "duplicate map key: %s", text);
                        program_note(p, unwrap((Expr *) key)->pos, "note: here it is given again");
                        return -EINVAL;
                }
        }
        return 0;
}

static int init_struct(Program *p, Expr *e) {
        _cleanup_(map_freep) Map *seen = map_new();
        if (!seen)
                return program_oom(p);

        for (uint32_t i = 0; i < e->st.n; i++) {
                int r = map_put(seen, e->st.items[i].name, e);
                if (r < 0)
                        return program_oom(p);
                if (r == 0) {
                        program_fail(p, e->pos, "duplicate struct field name of: `%s`", e->st.items[i].name);
                        program_note(p, e->st.items[i].pos, "note: here it is given again");
                        return -EINVAL;
                }
        }
        return 0;
}

static int init_expr(Program *p, Expr *e) {
        int r = 0, k;

        switch ((ExprKind) e->kind) {
        case EXPR_LIST:
                return init_exprs(p, &e->list);
        case EXPR_MAP:
                for (uint32_t i = 0; i < e->map.n; i++) {
                        k = init_expr(p, e->map.items[i].key);
                        r = r < 0 ? r : k;
                        k = init_expr(p, e->map.items[i].value);
                        r = r < 0 ? r : k;
                }
                return r < 0 ? r : init_map(p, e);
        case EXPR_STRUCT:
                for (uint32_t i = 0; i < e->st.n; i++) {
                        k = init_expr(p, e->st.items[i].value);
                        r = r < 0 ? r : k;
                }
                return r < 0 ? r : init_struct(p, e);
        case EXPR_FUNC:
                for (uint32_t i = 0; i < e->fn->params.n; i++) {
                        k = init_name(p, e->fn->params.items[i].name, e->fn->params.items[i].pos);
                        r = r < 0 ? r : k;
                }
                k = init_expr(p, e->fn->body);
                return r < 0 ? r : k;
        case EXPR_VAR:
                return init_name(p, e->var.name, e->pos);
        case EXPR_CALL:
                if (e->form == CALL_VAR)
                        r = init_name(p, e->call.name, e->pos);
                else if (e->form == CALL_LAMBDA)
                        r = init_expr(p, e->call.callee);
                k = init_exprs(p, &e->call.args);
                return r < 0 ? r : k;
        case EXPR_IF:
                r = init_expr(p, e->branch.condition);
                k = init_expr(p, e->branch.then);
                r = r < 0 ? r : k;
                k = init_expr(p, e->branch.otherwise);
                return r < 0 ? r : k;
        case EXPR_EXCEPT:
                r = init_expr(p, e->except.value);
                k = init_expr(p, e->except.fallback);
                return r < 0 ? r : k;
        case EXPR_PAREN:
        case EXPR_BRACES:
                return init_expr(p, e->inner);
        default:
                return 0;
        }
}

static const char *const edge_properties[] = { "before", "notify", "depend", "listen" };

static int init_item(Program *p, Stmt *s, const Item *item) {
        if (item->kind == ITEM_EDGE) {
                Suggestion near = suggestion_for(item->name);
                for (size_t i = 0; i < ELEMENTSOF(edge_properties); i++) {
                        if (streq(item->name, edge_properties[i]))
                                return 0;
                        suggestion_add(&near, edge_properties[i]);
                }
                program_fail(p, item->pos, "invalid property: `%s`", item->name);
                program_suggest(p, &near, "");
                return -EINVAL;
        }
        if (item->kind == ITEM_META && item->name && !field_find(meta_fields, item->name)) {
                Suggestion near = suggestion_for(item->name);
                for (const FieldSpec *f = meta_fields; f->name; f++)
                        suggestion_add(&near, f->name);
                program_fail(p, item->pos, "invalid property: `%s`", item->name);
                program_suggest(p, &near, "Meta:");
                return -EINVAL;
        }
        return 0;
}

enum { ITEMS_COMPARED_MAX = 16 };       /* so many are compared with each other; more go into a map */

static bool has_unique_name(const Item *item) {
        return item->kind != ITEM_COLLECT && item->kind != ITEM_EDGE && item->name;
}

/* Whether the i-th is given before as well: 1 or 0. */
static int is_given_before(Program *p, const Stmt *s, uint32_t i, Map **seen) {
        Item *const *items = s->resource.items.items;
        bool meta = items[i]->kind == ITEM_META;

        if (s->resource.items.n > ITEMS_COMPARED_MAX) {
                const char *key = arena_printf(p->arena, "%s%s", meta ? "meta:" : "", items[i]->name);

                if (!key || (!*seen && !(*seen = map_new())))
                        return -ENOMEM;
                int r = map_put(*seen, key, items[i]);
                return r < 0 ? r : r == 0;
        }
        for (uint32_t k = 0; k < i; k++)
                if (has_unique_name(items[k]) && (items[k]->kind == ITEM_META) == meta && streq(items[k]->name, items[i]->name))
                        return 1;
        return 0;
}

static int init_resource(Program *p, Stmt *s) {
        _cleanup_(map_freep) Map *seen = NULL;
        int r, k;

        r = init_expr(p, s->resource.name);
        for (uint32_t i = 0; i < s->resource.items.n; i++) {
                Item *item = s->resource.items.items[i];
                if (item->kind == ITEM_COLLECT)
                        continue;
                k = init_item(p, s, item);
                r = r < 0 ? r : k;
                if (item->condition) {
                        k = init_expr(p, item->condition);
                        r = r < 0 ? r : k;
                }
                k = init_expr(p, item->half ? item->half->name : item->value);
                r = r < 0 ? r : k;

                if (!has_unique_name(item))
                        continue;
                k = is_given_before(p, s, i, &seen);
                if (k < 0)
                        return program_oom(p);
                if (k > 0) {
                        r = program_fail(p, s->pos, item->kind == ITEM_META ? "resource has duplicate meta entry of: %s"
                                                                            : "resource has duplicate field of: %s", item->name);
                        program_note(p, item->pos, "note: here it is given again");
                }
        }
        return r;
}

static int init_stmt(Program *p, Stmt *s) {
        int r = 0, k;

        switch (s->kind) {
        case STMT_BIND:
                return init_expr(p, s->bind.value);
        case STMT_RESOURCE:
                return init_resource(p, s);
        case STMT_EDGE:
                for (uint32_t i = 0; i < s->edge.n; i++) {
                        k = init_expr(p, s->edge.items[i]->name);
                        r = r < 0 ? r : k;
                }
                return r;
        case STMT_IF:
                r = init_expr(p, s->branch.condition);
                k = init_block(p, s->branch.then);
                r = r < 0 ? r : k;
                k = s->branch.otherwise ? init_block(p, s->branch.otherwise) : 0;
                return r < 0 ? r : k;
        case STMT_FOR:
        case STMT_FORKV:
                r = init_expr(p, s->loop.over);
                for (uint32_t i = 0; i < s->loop.body->n; i++)
                        if (s->loop.body->items[i]->kind == STMT_IMPORT) {
                                r = program_fail(p, s->pos, "a StmtImport can't be contained inside a %s",
                                                 s->kind == STMT_FOR ? "StmtFor" : "StmtForKV");
                                program_note(p, s->loop.body->items[i]->pos, "help: move the import out of the loop");
                        }
                k = init_block(p, s->loop.body);
                return r < 0 ? r : k;
        case STMT_FUNC:
                return init_expr(p, s->func.fn);
        case STMT_CLASS:
                return init_block(p, s->class.body);
        case STMT_INCLUDE:
                return init_exprs(p, &s->include.args);
        case STMT_IMPORT:
                return 0;
        }
        return 0;
}

int init_block(Program *p, Block *b) {
        int r = 0;

        for (uint32_t i = 0; i < b->n; i++) {
                int k = init_stmt(p, b->items[i]);
                r = r < 0 ? r : k;
        }
        return r;
}
