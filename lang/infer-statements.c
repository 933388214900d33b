/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What must be equal, of statements. See unify.h. */

#include <errno.h>
#include <string.h>

#include "common/meta.h"
#include "common/strbuf.h"
#include "lang/unify.h"

static bool is_str(const Type *t) {
        return t && t->kind == TYPE_STR;
}

static bool is_list_str(const Type *t) {
        return t && t->kind == TYPE_LIST && t->element->kind == TYPE_STR;
}

static const Type *type_collected(Unify *u, bool data) {
        const TypeField fields[] = { { "name", &type_str }, { "host", &type_str }, { "data", &type_str } };
        const Type *t = type_struct(u->arena, fields, data ? 3 : 2);

        return t ? type_list(u->arena, t) : NULL;
}

/* What the name of a resource or edge must be: one name where that is plain to see, else a list of names. */
static const Type *name_type(Unify *u, Expr *name, bool collect) {
        const Type *known = known_type(u->program, name);

        if (is_str(known))
                return &type_str;
        if (is_list_str(known) || !collect)
                return &type_list_str;
        return type_collected(u, false);
}

static int infer_half(Unify *u, EdgeHalf *h) {
        const Type *t = infer(u, h->name);

        return t ? invariant(u, h->pos, h->name, NULL, name_type(u, h->name, false), t) : -EINVAL;
}

static int infer_condition(Unify *u, const Item *item) {
        if (!item->condition)
                return 0;

        const Type *t = infer(u, item->condition);
        return t ? invariant(u, item->pos, item->condition, NULL, &type_bool, t) : -EINVAL;
}

static int suggest_kind(Unify *u, const char *kind) {
        const Schema *schema = u->program->host.schema;
        Suggestion near = suggestion_for(kind);

        for (size_t i = 0; i < schema_count(schema); i++)
                suggestion_add(&near, schema_at(schema, i)->kind);
        program_suggest(u->program, &near, "");
        return -EINVAL;
}

static int unknown_kind(Unify *u, const char *kind, Pos pos) {
        program_fail(u->program, pos, "no resource kind `%s` available", kind);
        return suggest_kind(u, kind);
}

static int infer_field(Unify *u, Stmt *s, Item *item, const Type **ret_expect) {
        const SchemaKind *kind = schema_kind(u->program->host.schema, s->resource.kind);
        Renamings names = {};

        if (!kind)
                return unknown_kind(u, s->resource.kind, s->pos);
        const SchemaField *f = schema_field(kind, item->name);
        if (!f || (f->flags & FIELD_HIDDEN)) {
                Suggestion near = suggestion_for(item->name);
                for (size_t i = 0; i < kind->n_fields; i++)
                        if (!(kind->fields[i].flags & FIELD_HIDDEN))
                                suggestion_add(&near, kind->fields[i].name);
                program_fail(u->program, item->pos, "field `%s` does not exist in `%s` resource", item->name, s->resource.kind);
                program_suggest(u->program, &near, "");
                return -EINVAL;
        }
        *ret_expect = type_instantiate(u, f->mcl_type, &names);
        return *ret_expect ? 0 : program_oom(u->program);
}

static int infer_meta(Unify *u, const Item *item, const Type **ret_expect) {
        if (item->name) {
                *ret_expect = field_mcl_type(field_find(meta_fields, item->name));
                return 0;
        }
        if (!u->meta_type) {
                TypeFields fields = {};
                for (const FieldSpec *f = meta_fields; f->name; f++)
                        if (AST_PUSH(u->scratch, &fields, ((TypeField) { f->name, field_mcl_type(f) })) < 0)
                                return program_oom(u->program);
                u->meta_type = type_struct(u->arena, fields.items, fields.n);
        }
        *ret_expect = u->meta_type;
        return 0;
}

static int infer_item(Unify *u, Stmt *s, Item *item) {
        const Type *expect = NULL, *t;
        int r;

        switch (item->kind) {
        case ITEM_EDGE:
                r = infer_half(u, item->half);
                return r < 0 ? r : infer_condition(u, item);
        case ITEM_COLLECT:
                if (!schema_kind(u->program->host.schema, s->resource.kind)) {
                        program_fail(u->program, s->pos, "invalid resource kind: %s", s->resource.kind);
                        return suggest_kind(u, s->resource.kind);
                }
                t = infer(u, item->value);
                return t ? invariant(u, item->pos, item->value, NULL, type_collected(u, true), t) : -EINVAL;
        case ITEM_FIELD:
        case ITEM_META:
                t = infer(u, item->value);
                if (!t)
                        return -EINVAL;
                r = infer_condition(u, item);
                if (r >= 0)
                        r = item->kind == ITEM_FIELD ? infer_field(u, s, item, &expect) : infer_meta(u, item, &expect);
                return r < 0 ? r : invariant(u, item->pos, item->value, NULL, expect, t);
        }
        return 0;
}

static bool is_said(const Stmt *s, ItemKind kind, const char *name) {
        for (uint32_t i = 0; i < s->resource.items.n; i++) {
                const Item *item = s->resource.items.items[i];
                if (item->kind == kind && streq_ptr(item->name, name))
                        return true;
        }
        return false;
}

/* What fields a collected resource has is not known, and of a hidden one none is looked at. */
static int infer_required(Unify *u, const Stmt *s) {
        const SchemaKind *kind = schema_kind(u->program->host.schema, s->resource.kind);

        if (!kind || s->resource.collect || is_said(s, ITEM_META, "hidden") || is_said(s, ITEM_META, NULL))
                return 0;
        for (size_t i = 0; i < kind->n_fields; i++) {
                const SchemaField *f = &kind->fields[i];
                if (!(f->flags & FIELD_REQUIRED) || is_said(s, ITEM_FIELD, f->name))
                        continue;
                program_fail(u->program, s->pos, "field `%s` of `%s` resource must be given", f->name, s->resource.kind);
                return -EINVAL;
        }
        return 0;
}

static int infer_resource(Unify *u, Stmt *s) {
        const Type *t = infer(u, s->resource.name);
        if (!t)
                return -EINVAL;

        for (uint32_t i = 0; i < s->resource.items.n; i++) {
                int r = infer_item(u, s, s->resource.items.items[i]);
                if (r < 0)
                        return r;
        }
        if (infer_required(u, s) < 0)
                return -EINVAL;
        return invariant(u, s->pos, s->resource.name, NULL, name_type(u, s->resource.name, s->resource.collect), t);
}

/* How the other end of a transfer is told: with its name, if that is known. */
static char *half_text(Unify *u, const EdgeHalf *h) {
        const Value *v = known_value(u->program, h->name);
        StrBuf b = {};

        strbuf_puts(&b, h->kind);
        if (v && v->kind == TYPE_STR)
                strbuf_printf(&b, "[%s]", value_cstr(*v));
        else if (v && v->kind == TYPE_LIST) {
                _cleanup_free_ char *text = value_text(*v);
                strbuf_puts(&b, text ?: "");
        }
        strbuf_printf(&b, ".%s", h->field);
        return strbuf_take(&b);
}

/* The native kind of a field, as messages about transfers name it. */
static const char *native_kind(const SchemaField *f) {
        switch (f->type) {
        case FIELD_INT64:
                return "int";
        case FIELD_VALUE:
                return f->mcl_type->kind == TYPE_LIST ? "slice" : f->mcl_type->kind == TYPE_STR ? "string"
                                                                                                : type_kind_name(f->mcl_type->kind);
        default:
                return field_type_name(f->type);
        }
}

static int check_transfer(Unify *u, Stmt *s, const EdgeHalf *from, const EdgeHalf *to) {
        const Schema *schema = u->program->host.schema;
        const SchemaKind *sender = schema_kind(schema, from->kind), *receiver = schema_kind(schema, to->kind);
        _cleanup_free_ char *a = NULL, *b = NULL;

        if (!sender)
                return unknown_kind(u, from->kind, from->pos);
        if (!receiver)
                return unknown_kind(u, to->kind, to->pos);
        if (sender->n_sends == 0)
                return program_fail(u->program, s->pos, "cannot send from resource of kind: %s", from->kind);
        if (!(receiver->flags & RESOURCE_RECEIVES))
                return program_fail(u->program, s->pos, "cannot recv to resource of kind: %s", to->kind);
        a = half_text(u, from);
        b = half_text(u, to);
        if (!a || !b)
                return program_oom(u->program);

        const SchemaField *sent = schema_send(sender, from->field), *received = schema_field(receiver, to->field);
        if (!sent || !received) {
                Suggestion near = suggestion_for(sent ? to->field : from->field);
                const SchemaKind *k = sent ? receiver : sender;
                for (size_t i = 0; i < (sent ? k->n_fields : k->n_sends); i++)
                        suggestion_add(&near, sent ? k->fields[i].name : k->sends[i].name);
                program_fail(u->program, s->pos, "cannot send/recv from %s to %s: key not found in %s struct", a, b,
                             sent ? "recv" : "send");
                program_suggest(u->program, &near, "");
                return -EINVAL;
        }
        if ((sent->flags & FIELD_OPTIONAL) || (received->flags & FIELD_OPTIONAL) || sent->mcl_type->kind == TYPE_VARIANT ||
            received->mcl_type->kind == TYPE_VARIANT || type_equal(sent->mcl_type, received->mcl_type))
                return 0;
        if (sent->mcl_type->kind != received->mcl_type->kind)
                return program_fail(u->program, s->pos, "cannot send/recv from %s to %s: field kind mismatch between %s and %s",
                                    a, b, native_kind(sent), native_kind(received));
        return program_fail(u->program, s->pos, "cannot send/recv from %s to %s: type mismatch between %s and %s", a, b,
                            native_kind(sent), native_kind(received));
}

static int infer_edge(Unify *u, Stmt *s) {
        const EdgeHalves *halves = &s->edge;
        int r;

        if (halves->n == 1)
                return program_fail(u->program, s->pos, "can't create an edge with only one half");
        if (halves->items[0]->field) {
                r = check_transfer(u, s, halves->items[0], halves->items[1]);
                if (r < 0)
                        return r;
        }
        for (uint32_t i = 0; i < halves->n; i++) {
                r = infer_half(u, halves->items[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int infer_loop(Unify *u, Stmt *s) {
        const Type *t = infer(u, s->loop.over), *over;
        Def *first = s->loop.first.def, *second = s->loop.second.def;

        if (!t)
                return -EINVAL;
        const Type *value = second->type ?: type_fresh(u), *key = s->kind == STMT_FOR ? &type_int : type_fresh(u);
        over = !value || !key ? NULL : s->kind == STMT_FOR ? type_list(u->arena, value) : type_map(u->arena, key, value);
        if (!over)
                return program_oom(u->program);
        int r = invariant(u, s->pos, s->loop.over, NULL, over, t);
        if (r < 0)
                return r;
        first->type = key;
        second->type = value;
        r = invariant(u, s->pos, NULL, first, key, key);
        if (r >= 0)
                r = invariant(u, s->pos, NULL, second, value, value);
        return r < 0 ? r : infer_block(u, s->loop.body);
}

static int infer_include(Unify *u, Stmt *s) {
        int r = infer_block(u, s->include.body);

        for (uint32_t i = 0; i < s->include.params.n && r >= 0; i++) {
                const Param *x = &s->include.params.items[i];
                Defs self = {};
                if (AST_PUSH(u->scratch, &self, x->def) < 0)
                        return program_oom(u->program);
                r = infer_uses(u, &self);
                if (r >= 0 && x->type)
                        r = invariant(u, s->pos, x->def->expr, NULL, x->type, x->def->type);
        }
        return r;
}

static int infer_stmt(Unify *u, Stmt *s) {
        const Type *t;
        int r;

        r = s->kind == STMT_BIND || s->kind == STMT_FUNC || s->kind == STMT_CLASS ? 0 : infer_uses(u, &s->uses);
        if (r < 0)
                return r;
        switch (s->kind) {
        case STMT_RESOURCE:
                return infer_resource(u, s);
        case STMT_EDGE:
                return infer_edge(u, s);
        case STMT_IF:
                t = infer(u, s->branch.condition);
                r = t ? invariant(u, s->pos, s->branch.condition, NULL, &type_bool, t) : -EINVAL;
                if (r >= 0)
                        r = infer_block(u, s->branch.then);
                return r >= 0 && s->branch.otherwise ? infer_block(u, s->branch.otherwise) : r;
        case STMT_FOR:
        case STMT_FORKV:
                return infer_loop(u, s);
        case STMT_INCLUDE:
                return infer_include(u, s);
        default:
                return 0;
        }
}

/* A statement with an error does not keep the ones after it from being looked at. */
int infer_block(Unify *u, Block *b) {
        int r = 0;

        for (uint32_t i = 0; i < b->n && r != -ENOMEM; i++) {
                int k = infer_stmt(u, b->items[i]);
                r = r < 0 ? r : k;
        }
        return r;
}
