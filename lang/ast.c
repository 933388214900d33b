/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Building, copying and printing the syntax tree. Copies are what makes func statements and classes polymorphic: each use gets
 * its own, so they must be cheap, and they leave out everything that later stages filled in. */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/strbuf.h"
#include "lang/ast.h"
#include "lang/builtins.h"

int ast_grow(Arena *a, void **items, uint32_t n, uint32_t *capacity, size_t item_size) {
        if (n < *capacity)
                return 0;

        uint32_t want = *capacity ? *capacity * 2 : 2;
        if (want < *capacity)
                return -E2BIG;
        void *grown = arena_alloc(a, want * item_size);
        if (!grown)
                return -ENOMEM;
        if (n > 0)
                memcpy(grown, *items, n * item_size);
        *items = grown;
        *capacity = want;
        return 0;
}

Expr *expr_new(Arena *a, ExprKind kind, Pos pos) {
        Expr *e = arena_new0(a, Expr);
        if (!e)
                return NULL;
        e->kind = (uint8_t) kind;
        e->pos = pos;
        e->depth = 1;
        return e;
}

Expr *expr_str(Arena *a, Pos pos, const char *text, size_t size) {
        Expr *e = expr_new(a, EXPR_STR, pos);
        if (!e)
                return NULL;
        e->str.text = arena_strndup(a, text, size);
        e->str.size = (uint32_t) size;
        return e->str.text ? e : NULL;
}

Expr *expr_call(Arena *a, Pos pos, CallForm form, const char *name) {
        Expr *e = expr_new(a, EXPR_CALL, pos);
        if (!e)
                return NULL;
        e->form = (uint8_t) form;
        e->call.name = name;
        return e;
}

Stmt *stmt_new(Arena *a, StmtKind kind, Pos pos) {
        Stmt *s = arena_new0(a, Stmt);
        if (!s)
                return NULL;
        s->kind = kind;
        s->pos = pos;
        s->depth = 1;
        return s;
}

/* ---- copies ---- */

/* The array itself is copied; its elements still point to the originals. */
#define COPY_ARRAY(arena, array) \
        ({ \
                (array)->capacity = (array)->n; \
                void *_items = (array)->n > 0 ? arena_alloc((arena), (array)->n * sizeof(*(array)->items)) : NULL; \
                if (_items) \
                        memcpy(_items, (array)->items, (array)->n * sizeof(*(array)->items)); \
                (array)->items = _items; \
                _items || (array)->n == 0; \
        })

static bool copy_expr(Arena *a, Expr **e) {
        if (*e)
                *e = expr_copy(a, *e);
        return *e;
}

static bool copy_exprs(Arena *a, Exprs *list) {
        if (!COPY_ARRAY(a, list))
                return false;
        for (uint32_t i = 0; i < list->n; i++)
                if (!copy_expr(a, &list->items[i]))
                        return false;
        return true;
}

static bool copy_params(Arena *a, Params *params) {
        if (!COPY_ARRAY(a, params))
                return false;
        for (uint32_t i = 0; i < params->n; i++)
                params->items[i].def = NULL;
        return true;
}

static bool copy_children(Arena *a, Expr *e) {
        switch ((ExprKind) e->kind) {
        case EXPR_BOOL:
        case EXPR_STR:
        case EXPR_INT:
        case EXPR_FLOAT:
        case EXPR_BUILTIN:
                return true;
        case EXPR_VAR:
                e->var.def = NULL;
                return true;
        case EXPR_LIST:
                return copy_exprs(a, &e->list);
        case EXPR_MAP:
                if (!COPY_ARRAY(a, &e->map))
                        return false;
                for (uint32_t i = 0; i < e->map.n; i++)
                        if (!copy_expr(a, &e->map.items[i].key) || !copy_expr(a, &e->map.items[i].value))
                                return false;
                return true;
        case EXPR_STRUCT:
                if (!COPY_ARRAY(a, &e->st))
                        return false;
                for (uint32_t i = 0; i < e->st.n; i++)
                        if (!copy_expr(a, &e->st.items[i].value))
                                return false;
                return true;
        case EXPR_FUNC: {
                Func *fn = arena_new0(a, Func);
                if (!fn)
                        return false;
                *fn = *e->fn;
                fn->level = NULL;
                e->fn = fn;
                return copy_params(a, &fn->params) && copy_expr(a, &fn->body);
        }
        case EXPR_CALL:
                if (e->form == CALL_LAMBDA) {
                        if (!copy_expr(a, &e->call.callee))
                                return false;
                } else
                        e->call.callee = NULL;
                return copy_exprs(a, &e->call.args);
        case EXPR_IF:
                return copy_expr(a, &e->branch.condition) && copy_expr(a, &e->branch.then) &&
                       copy_expr(a, &e->branch.otherwise);
        case EXPR_EXCEPT:
                return copy_expr(a, &e->except.value) && copy_expr(a, &e->except.fallback);
        case EXPR_PAREN:
        case EXPR_BRACES:
                return copy_expr(a, &e->inner);
        }
        return false;
}

Expr *expr_copy(Arena *a, const Expr *from) {
        Expr *e = arena_new0(a, Expr);
        if (!e)
                return NULL;
        *e = *from;
        e->type = NULL;
        e->known_type = NULL;
        e->known = NULL;
        e->type_asked = e->known_asked = false;
        return copy_children(a, e) ? e : NULL;
}

static EdgeHalf *half_copy(Arena *a, const EdgeHalf *from) {
        EdgeHalf *h = arena_new0(a, EdgeHalf);
        if (!h)
                return NULL;
        *h = *from;
        return copy_expr(a, &h->name) ? h : NULL;
}

static bool copy_block(Arena *a, Block **b) {
        if (*b)
                *b = block_copy(a, *b);
        return *b;
}

static bool copy_items(Arena *a, Stmt *s, const Expr *old_name) {
        Items *items = &s->resource.items;

        if (!COPY_ARRAY(a, items))
                return false;
        for (uint32_t i = 0; i < items->n; i++) {
                Item *item = arena_new0(a, Item);
                if (!item)
                        return false;
                *item = *items->items[i];
                items->items[i] = item;
                if (item->condition && !copy_expr(a, &item->condition))
                        return false;
                if (item->half && !(item->half = half_copy(a, item->half)))
                        return false;
                if (item->value && !copy_expr(a, &item->value))
                        return false;
                /* collect asks for the very names of its resource. */
                if (item->kind == ITEM_COLLECT && item->value->call.args.n == 2 && old_name)
                        item->value->call.args.items[1] = s->resource.name;
        }
        return true;
}

static Stmt *stmt_copy(Arena *a, const Stmt *from) {
        Stmt *s = arena_new0(a, Stmt);
        if (!s)
                return NULL;
        *s = *from;

        s->uses = s->needs = (Defs) {};
        bool ok = true;
        switch (s->kind) {
        case STMT_BIND:
                s->bind.def = NULL;
                ok = copy_expr(a, &s->bind.value);
                break;
        case STMT_RESOURCE:
                ok = copy_expr(a, &s->resource.name) && copy_items(a, s, from->resource.name);
                break;
        case STMT_EDGE:
                ok = COPY_ARRAY(a, &s->edge);
                for (uint32_t i = 0; ok && i < s->edge.n; i++)
                        ok = (s->edge.items[i] = half_copy(a, s->edge.items[i]));
                break;
        case STMT_IF:
                ok = copy_expr(a, &s->branch.condition) && copy_block(a, &s->branch.then) &&
                     (!s->branch.otherwise || copy_block(a, &s->branch.otherwise));
                break;
        case STMT_FOR:
        case STMT_FORKV:
                s->loop.first.def = s->loop.second.def = NULL;
                ok = copy_expr(a, &s->loop.over) && copy_block(a, &s->loop.body);
                break;
        case STMT_FUNC:                 /* copied at each call */
                break;
        case STMT_CLASS:                /* copied at each include */
                s->class.scope = NULL;
                break;
        case STMT_INCLUDE:
                s->include.body = NULL;
                s->include.params = (Params) {};
                s->include.broken = false;
                ok = copy_exprs(a, &s->include.args);
                break;
        case STMT_IMPORT:
                s->import.module = NULL;
                break;
        }
        return ok ? s : NULL;
}

Block *block_copy(Arena *a, const Block *from) {
        Block *b = arena_new0(a, Block);
        if (!b)
                return NULL;
        *b = *from;
        b->scope = NULL;
        if (!COPY_ARRAY(a, b))
                return NULL;
        for (uint32_t i = 0; i < b->n; i++)
                if (!(b->items[i] = stmt_copy(a, b->items[i])))
                        return NULL;
        return b;
}

/* ---- annotations ---- */

static int annotate_literal(const Type *have, const Type *want, Pos pos, Diag *reterr) {
        return type_compare(have, want, reterr);
}

int expr_annotate(Expr *e, const Type *type, Diag *reterr) {
        switch ((ExprKind) e->kind) {
        case EXPR_BOOL:
                return annotate_literal(&type_bool, type, e->pos, reterr);
        case EXPR_STR:
                return annotate_literal(&type_str, type, e->pos, reterr);
        case EXPR_INT:
                return annotate_literal(&type_int, type, e->pos, reterr);
        case EXPR_FLOAT:
                return annotate_literal(&type_float, type, e->pos, reterr);
        case EXPR_PAREN:
        case EXPR_BRACES:
                return expr_annotate(e->inner, type, reterr);
        case EXPR_MAP:
                if (type->kind != TYPE_MAP)
                        return diag_set(reterr, e->pos, -EINVAL, "type is nil");
                if (!type_is_hashable(type->key)) {
                        _cleanup_free_ char *text = type_text(type->key);
                        return diag_set(reterr, e->pos, -EINVAL, "map key type %s is not hashable", text ? text : "?");
                }
                break;
        default:
                break;
        }
        if (e->annotation)
                return type_compare(e->annotation, type, reterr);
        e->annotation = type;
        return 0;
}

/* ---- text ---- */

enum { TEXT_MAX = 16 * 1024 };

static void print_block(StrBuf *b) {
        strbuf_puts(b, "prog");
}

static void print_type(StrBuf *b, const Type *t) {
        _cleanup_free_ char *text = type_text(t);
        strbuf_puts(b, text ? text : "?");
}

static void print_expr(StrBuf *b, const Expr *e);

static void print_list(StrBuf *b, const Exprs *list) {
        for (uint32_t i = 0; i < list->n; i++) {
                if (i > 0)
                        strbuf_puts(b, ", ");
                print_expr(b, list->items[i]);
        }
}

static void print_func(StrBuf *b, const Func *fn) {
        strbuf_puts(b, "func");
        if (fn->title)
                strbuf_printf(b, ":%s", fn->title);
        strbuf_puts(b, "(");
        for (uint32_t i = 0; i < fn->params.n; i++) {
                strbuf_printf(b, "%s%s", i > 0 ? ", " : "", fn->params.items[i].name);
                if (fn->params.items[i].type) {
                        strbuf_puts(b, " ");
                        print_type(b, fn->params.items[i].type);
                }
        }
        strbuf_puts(b, ")");
        if (fn->result) {
                strbuf_puts(b, " ");
                print_type(b, fn->result);
        }
        strbuf_puts(b, " { ");
        print_expr(b, fn->body);
        strbuf_puts(b, " }");
}

static void print_expr(StrBuf *b, const Expr *e) {
        if (b->size > TEXT_MAX)
                return;
        switch ((ExprKind) e->kind) {
        case EXPR_BOOL:
                strbuf_printf(b, "bool(%s)", e->b ? "true" : "false");
                break;
        case EXPR_STR:
                strbuf_puts(b, "str(");
                strbuf_quote(b, e->str.text, e->str.size);
                strbuf_puts(b, ")");
                break;
        case EXPR_INT:
                strbuf_printf(b, "int(%lld)", (long long) e->i);
                break;
        case EXPR_FLOAT: {
                _cleanup_free_ char *text = value_text(VALUE_FLOAT(e->f));
                strbuf_printf(b, "float(%s)", text ? text : "?");
                break;
        }
        case EXPR_LIST:
                strbuf_puts(b, "list(");
                print_list(b, &e->list);
                strbuf_puts(b, ")");
                break;
        case EXPR_MAP:
                strbuf_puts(b, "map(");
                for (uint32_t i = 0; i < e->map.n; i++) {
                        if (i > 0)
                                strbuf_puts(b, ", ");
                        print_expr(b, e->map.items[i].key);
                        strbuf_puts(b, ": ");
                        print_expr(b, e->map.items[i].value);
                }
                strbuf_puts(b, ")");
                break;
        case EXPR_STRUCT:
                strbuf_puts(b, "struct(");
                for (uint32_t i = 0; i < e->st.n; i++) {
                        strbuf_printf(b, "%s%s: ", i > 0 ? "; " : "", e->st.items[i].name);
                        print_expr(b, e->st.items[i].value);
                }
                strbuf_puts(b, ")");
                break;
        case EXPR_FUNC:
                print_func(b, e->fn);
                break;
        case EXPR_VAR:
                strbuf_printf(b, "var(%s)", e->var.name);
                break;
        case EXPR_CALL:
                strbuf_printf(b, "call:%s(", e->call.name ? e->call.name : "<anon>");
                print_list(b, &e->call.args);
                strbuf_puts(b, ")");
                break;
        case EXPR_IF:
                strbuf_puts(b, "if( ");
                print_expr(b, e->branch.condition);
                strbuf_puts(b, " ) { ");
                print_expr(b, e->branch.then);
                strbuf_puts(b, " } else { ");
                print_expr(b, e->branch.otherwise);
                strbuf_puts(b, " }");
                break;
        case EXPR_EXCEPT:
                strbuf_puts(b, "except( ");
                print_expr(b, e->except.value);
                strbuf_puts(b, " <|> ");
                print_expr(b, e->except.fallback);
                strbuf_puts(b, " )");
                break;
        case EXPR_PAREN:
        case EXPR_BRACES:
                print_expr(b, e->inner);
                break;
        case EXPR_BUILTIN:
                strbuf_printf(b, "func() { <built-in:%s> }", builtin_title(e->builtin));
                break;
        }
}

/* Moves the text into the arena. */
static const char *finish_text(Arena *a, StrBuf *b) {
        _cleanup_free_ char *text = strbuf_take(b);
        if (!text)
                return NULL;
        if (strlen(text) <= TEXT_MAX)
                return arena_strdup(a, text);
        return arena_printf(a, "%.*s…", (int) TEXT_MAX, text);
}

const char *expr_text(Arena *a, const Expr *e) {
        StrBuf b = {};

        print_expr(&b, e);
        return finish_text(a, &b);
}

const char *stmt_text(Arena *a, const Stmt *s) {
        StrBuf b = {};

        switch (s->kind) {
        case STMT_BIND:
                strbuf_printf(&b, "bind(%s)", s->bind.name);
                break;
        case STMT_RESOURCE:
                strbuf_printf(&b, "res(%s)", s->resource.kind);
                break;
        case STMT_EDGE:
                strbuf_puts(&b, "edge");
                break;
        case STMT_IF:
                strbuf_puts(&b, "if( ");
                print_expr(&b, s->branch.condition);
                strbuf_puts(&b, " ) { ");
                print_block(&b);
                if (s->branch.otherwise) {
                        strbuf_puts(&b, " } else { ");
                        print_block(&b);
                }
                strbuf_puts(&b, " }");
                break;
        case STMT_FOR:
        case STMT_FORKV:
                strbuf_printf(&b, "%s($%s, $%s) in ", s->kind == STMT_FOR ? "for" : "forkv", s->loop.first.name,
                              s->loop.second.name);
                print_expr(&b, s->loop.over);
                strbuf_puts(&b, " { ");
                print_block(&b);
                strbuf_puts(&b, " }");
                break;
        case STMT_FUNC:
                strbuf_printf(&b, "func(%s)", s->func.name);
                break;
        case STMT_CLASS:
                strbuf_printf(&b, "class(%s)", s->class.name);
                break;
        case STMT_INCLUDE:
                strbuf_printf(&b, "include(%s)", s->include.name);
                break;
        case STMT_IMPORT:
                strbuf_printf(&b, "import(%s)", s->import.name);
                break;
        }
        return finish_text(a, &b);
}
