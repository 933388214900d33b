/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The way down the tree to a place: which blocks and parameters are around it. Bodies of classes and functions are resolved in
 * copies, one per use; where there is a copy, the way leads through it, because it knows the types. */

#include <errno.h>

#include "lang/query-parts.h"

enum { VISITS_MAX = 1000 * 1000 };      /* nodes that are looked at for a copy */

static bool contains(const Query *q, Pos pos) {
        return pos.line > 0 && streq_ptr(pos.file, q->at->file) && query_before(pos.line, pos.column, q->at->line, q->at->column) &&
               !query_before(pos.end_line, pos.end_column, q->at->line, q->at->column + 1);
}

static bool same_place(Pos a, Pos b) {
        return a.line == b.line && a.column == b.column && streq_ptr(a.file, b.file);
}

/* What is looked for: a copy of the body of a class or of a function, or the type of a variable where it is used. */
typedef struct Wanted {
        Pos body, function, variable;
        const Stmt *include;
        const Func *copy;
        const Type *type;
} Wanted;

static bool is_found(const Wanted *w) {
        return w->include || w->copy || w->type;
}

static void look_in_block(Query *q, const Block *b, Wanted *w);

static void look_in_expr(Query *q, const Expr *e, Wanted *w) {
        if (!e || is_found(w) || q->visits++ > VISITS_MAX)
                return;
        switch ((ExprKind) e->kind) {
        case EXPR_VAR:
                if (e->type && e->type->kind != TYPE_UNKNOWN && w->variable.line > 0 && same_place(e->pos, w->variable))
                        w->type = e->type;
                break;
        case EXPR_LIST:
                for (uint32_t i = 0; i < e->list.n; i++)
                        look_in_expr(q, e->list.items[i], w);
                break;
        case EXPR_MAP:
                for (uint32_t i = 0; i < e->map.n; i++) {
                        look_in_expr(q, e->map.items[i].key, w);
                        look_in_expr(q, e->map.items[i].value, w);
                }
                break;
        case EXPR_STRUCT:
                for (uint32_t i = 0; i < e->st.n; i++)
                        look_in_expr(q, e->st.items[i].value, w);
                break;
        case EXPR_FUNC:
                if (e->fn->level && w->function.line > 0 && same_place(e->pos, w->function))
                        w->copy = e->fn;
                look_in_expr(q, e->fn->body, w);
                break;
        case EXPR_CALL:
                look_in_expr(q, e->call.callee, w);
                for (uint32_t i = 0; i < e->call.args.n; i++)
                        look_in_expr(q, e->call.args.items[i], w);
                break;
        case EXPR_IF:
                look_in_expr(q, e->branch.condition, w);
                look_in_expr(q, e->branch.then, w);
                look_in_expr(q, e->branch.otherwise, w);
                break;
        case EXPR_EXCEPT:
                look_in_expr(q, e->except.value, w);
                look_in_expr(q, e->except.fallback, w);
                break;
        case EXPR_PAREN:
        case EXPR_BRACES:
                look_in_expr(q, e->inner, w);
                break;
        default:
                break;
        }
}

static void look_in_stmt(Query *q, const Stmt *s, Wanted *w) {
        switch (s->kind) {
        case STMT_BIND:
                look_in_expr(q, s->bind.value, w);
                break;
        case STMT_RESOURCE:
                look_in_expr(q, s->resource.name, w);
                for (uint32_t i = 0; i < s->resource.items.n; i++) {
                        const Item *item = s->resource.items.items[i];
                        look_in_expr(q, item->condition, w);
                        look_in_expr(q, item->half ? item->half->name : item->value, w);
                }
                break;
        case STMT_EDGE:
                for (uint32_t i = 0; i < s->edge.n; i++)
                        look_in_expr(q, s->edge.items[i]->name, w);
                break;
        case STMT_IF:
                look_in_expr(q, s->branch.condition, w);
                look_in_block(q, s->branch.then, w);
                look_in_block(q, s->branch.otherwise, w);
                break;
        case STMT_FOR:
        case STMT_FORKV:
                look_in_expr(q, s->loop.over, w);
                look_in_block(q, s->loop.body, w);
                break;
        case STMT_INCLUDE:
                for (uint32_t i = 0; i < s->include.args.n; i++)
                        look_in_expr(q, s->include.args.items[i], w);
                if (s->include.body && w->body.line > 0 && same_place(s->include.body->pos, w->body))
                        w->include = s;
                look_in_block(q, s->include.body, w);
                break;
        case STMT_FUNC:
        case STMT_CLASS:
        case STMT_IMPORT:
                break;
        }
}

static void look_in_block(Query *q, const Block *b, Wanted *w) {
        for (uint32_t i = 0; b && i < b->n && !is_found(w) && q->visits++ <= VISITS_MAX; i++)
                look_in_stmt(q, b->items[i], w);
}

static void look(Query *q, Wanted *w) {
        q->visits = 0;
        look_in_block(q, q->program->main->ast.block, w);
}

const Type *query_type_at(Query *q, Pos pos) {
        Wanted w = { .variable = pos };

        look(q, &w);
        return w.type;
}

static int enter_expr(Query *q, const Expr *e);

static int enter_func(Query *q, const Func *fn) {
        if (AST_PUSH(q->arena, &q->around, ((Surrounding) { .params = &fn->params })) < 0)
                return -ENOMEM;
        return enter_expr(q, fn->body);
}

/* Into the functions that the place is in. */
static int enter_expr(Query *q, const Expr *e) {
        int r = 0;

        if (!e)
                return 0;
        switch ((ExprKind) e->kind) {
        case EXPR_LIST:
                for (uint32_t i = 0; r >= 0 && i < e->list.n; i++)
                        r = enter_expr(q, e->list.items[i]);
                return r;
        case EXPR_MAP:
                for (uint32_t i = 0; r >= 0 && i < e->map.n; i++) {
                        r = enter_expr(q, e->map.items[i].key);
                        r = r < 0 ? r : enter_expr(q, e->map.items[i].value);
                }
                return r;
        case EXPR_STRUCT:
                for (uint32_t i = 0; r >= 0 && i < e->st.n; i++)
                        r = enter_expr(q, e->st.items[i].value);
                return r;
        case EXPR_FUNC:
                return contains(q, e->pos) ? enter_func(q, e->fn) : 0;
        case EXPR_CALL:
                if (e->form == CALL_LAMBDA)
                        r = enter_expr(q, e->call.callee);
                for (uint32_t i = 0; r >= 0 && i < e->call.args.n; i++)
                        r = enter_expr(q, e->call.args.items[i]);
                return r;
        case EXPR_IF:
                r = enter_expr(q, e->branch.condition);
                r = r < 0 ? r : enter_expr(q, e->branch.then);
                return r < 0 ? r : enter_expr(q, e->branch.otherwise);
        case EXPR_EXCEPT:
                r = enter_expr(q, e->except.value);
                return r < 0 ? r : enter_expr(q, e->except.fallback);
        case EXPR_PAREN:
        case EXPR_BRACES:
                return enter_expr(q, e->inner);
        default:
                return 0;
        }
}

static int enter_class(Query *q, const Stmt *s) {
        Wanted w = { .body = s->class.body->pos };

        look(q, &w);
        const Params *params = w.include ? &w.include->include.params : &s->class.params;
        if (AST_PUSH(q->arena, &q->around, ((Surrounding) { .params = params })) < 0)
                return -ENOMEM;
        return query_enter(q, w.include ? w.include->include.body : s->class.body);
}

static int enter_stmt(Query *q, const Stmt *s) {
        int r = 0;

        switch (s->kind) {
        case STMT_BIND:
                return enter_expr(q, s->bind.value);
        case STMT_RESOURCE:
                r = enter_expr(q, s->resource.name);
                for (uint32_t i = 0; r >= 0 && i < s->resource.items.n; i++) {
                        const Item *item = s->resource.items.items[i];
                        r = enter_expr(q, item->condition);
                        r = r < 0 ? r : enter_expr(q, item->half ? item->half->name : item->value);
                }
                return r;
        case STMT_IF:
                r = enter_expr(q, s->branch.condition);
                if (r >= 0 && contains(q, s->branch.then->pos))
                        r = query_enter(q, s->branch.then);
                if (r >= 0 && s->branch.otherwise && contains(q, s->branch.otherwise->pos))
                        r = query_enter(q, s->branch.otherwise);
                return r;
        case STMT_FOR:
        case STMT_FORKV:
                r = enter_expr(q, s->loop.over);
                if (r < 0 || !contains(q, s->loop.body->pos))
                        return r;
                if (AST_PUSH(q->arena, &q->around, ((Surrounding) { .loop = { &s->loop.first, &s->loop.second } })) < 0)
                        return -ENOMEM;
                return query_enter(q, s->loop.body);
        case STMT_FUNC: {
                Wanted w = { .function = s->pos };

                if (!contains(q, s->pos))
                        return 0;
                look(q, &w);
                return enter_func(q, w.copy ?: s->func.fn->fn);
        }
        case STMT_CLASS:
                return contains(q, s->pos) ? enter_class(q, s) : 0;
        case STMT_INCLUDE:
                for (uint32_t i = 0; r >= 0 && i < s->include.args.n; i++)
                        r = enter_expr(q, s->include.args.items[i]);
                return r;
        case STMT_EDGE:
        case STMT_IMPORT:
                return 0;
        }
        return 0;
}

int query_enter(Query *q, const Block *b) {
        int r = AST_PUSH(q->arena, &q->around, ((Surrounding) { .block = b }));

        for (uint32_t i = 0; r >= 0 && i < b->n; i++)
                r = enter_stmt(q, b->items[i]);
        return r;
}
