/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Statements of a block may stand in any order, as long as no name is defined by way of itself. Vertices are the statements of
 * a whole file, nested ones included; a statement depends on the ones inside it and on the ones that define what it uses. The
 * strongly connected components of that graph are the errors. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lang/program.h"

typedef struct OrderEdge {
        uint32_t to;
        bool reference;
        Pos pos;                /* of the reference */
} OrderEdge;

typedef struct OrderVertex {
        Stmt *stmt;
        AST_ARRAY(OrderEdge) edges;
        uint32_t index, low, component, next_edge;
        bool on_stack;
        uint8_t walked;         /* report(): in which round */
} OrderVertex;

typedef struct Frame {
        struct Frame *parent;
        Map *names;             /* "var:x" and so on; the number of the vertex, plus one */
} Frame;

#define HIDDEN ((void *) UINTPTR_MAX)   /* a parameter: no statement defines it */

typedef struct Order {
        Program *program;
        Arena *arena;
        AST_ARRAY(OrderVertex) vertices;
        int error;
} Order;

static void order_block(Order *o, Block *b, Frame *outer, uint32_t owner);

static void add_edge(Order *o, uint32_t from, uint32_t to, bool reference, Pos pos) {
        OrderEdge e = { .to = to, .reference = reference, .pos = pos };

        if (AST_PUSH(o->arena, &o->vertices.items[from].edges, e) < 0)
                o->error = -ENOMEM;
}

static void define(Order *o, Frame *f, const char *space, const char *name, void *what) {
        char key[512];

        int n = snprintf(key, sizeof(key), "%s:%s", space, name);
        if (n < 0 || (size_t) n >= sizeof(key))
                return;         /* nobody finds it, and nothing is refused that should not be */
        if ((!f->names && !(f->names = map_new())) || (!map_get(f->names, key) && map_put(f->names, key, what) < 0))
                o->error = -ENOMEM;
}

static bool refer_to(Order *o, const Frame *f, uint32_t from, const char *space, const char *name, size_t size, Pos pos) {
        char key[512];

        int n = snprintf(key, sizeof(key), "%s:%.*s", space, (int) size, name);
        if (n < 0 || (size_t) n >= sizeof(key))
                return false;
        for (; f; f = f->parent) {
                void *found = map_get(f->names, key);
                if (!found)
                        continue;
                if (found != HIDDEN)
                        add_edge(o, from, (uint32_t) ((uintptr_t) found - 1), true, pos);
                return true;
        }
        return false;
}

static void refer(Order *o, const Frame *f, uint32_t from, const char *space, const char *name, Pos pos) {
        const char *dot = strchr(name, '.');

        if (dot)
                refer_to(o, f, from, "scoped", name, (size_t) (dot - name), pos);
        else
                refer_to(o, f, from, space, name, strlen(name), pos);
}

static void order_expr(Order *o, Expr *e, Frame *f, uint32_t from) {
        switch ((ExprKind) e->kind) {
        case EXPR_LIST:
                for (uint32_t i = 0; i < e->list.n; i++)
                        order_expr(o, e->list.items[i], f, from);
                break;
        case EXPR_MAP:
                for (uint32_t i = 0; i < e->map.n; i++) {
                        order_expr(o, e->map.items[i].key, f, from);
                        order_expr(o, e->map.items[i].value, f, from);
                }
                break;
        case EXPR_STRUCT:
                for (uint32_t i = 0; i < e->st.n; i++)
                        order_expr(o, e->st.items[i].value, f, from);
                break;
        case EXPR_FUNC: {
                Frame inner = { .parent = f };
                for (uint32_t i = 0; i < e->fn->params.n; i++)
                        define(o, &inner, "var", e->fn->params.items[i].name, HIDDEN);
                order_expr(o, e->fn->body, &inner, from);
                map_free(inner.names);
                break;
        }
        case EXPR_VAR:
                refer(o, f, from, "var", e->var.name, e->pos);
                break;
        case EXPR_CALL:
                if (e->form == CALL_LAMBDA)
                        order_expr(o, e->call.callee, f, from);
                else
                        refer(o, f, from, e->form == CALL_VAR ? "var" : "func", e->call.name, e->pos);
                for (uint32_t i = 0; i < e->call.args.n; i++)
                        order_expr(o, e->call.args.items[i], f, from);
                break;
        case EXPR_IF:
                order_expr(o, e->branch.condition, f, from);
                order_expr(o, e->branch.then, f, from);
                order_expr(o, e->branch.otherwise, f, from);
                break;
        case EXPR_EXCEPT:
                order_expr(o, e->except.value, f, from);
                order_expr(o, e->except.fallback, f, from);
                break;
        case EXPR_PAREN:
        case EXPR_BRACES:
                order_expr(o, e->inner, f, from);
                break;
        default:
                break;
        }
}

static void order_stmt(Order *o, Stmt *s, Frame *f, uint32_t at) {
        switch (s->kind) {
        case STMT_BIND:
                order_expr(o, s->bind.value, f, at);
                break;
        case STMT_RESOURCE:
                order_expr(o, s->resource.name, f, at);
                for (uint32_t i = 0; i < s->resource.items.n; i++) {
                        Item *item = s->resource.items.items[i];
                        if (item->kind == ITEM_COLLECT)
                                continue;
                        if (item->condition)
                                order_expr(o, item->condition, f, at);
                        order_expr(o, item->half ? item->half->name : item->value, f, at);
                }
                break;
        case STMT_EDGE:
                for (uint32_t i = 0; i < s->edge.n; i++)
                        order_expr(o, s->edge.items[i]->name, f, at);
                break;
        case STMT_IF:
                order_expr(o, s->branch.condition, f, at);
                order_block(o, s->branch.then, f, at);
                if (s->branch.otherwise)
                        order_block(o, s->branch.otherwise, f, at);
                break;
        case STMT_FOR:
        case STMT_FORKV: {
                Frame inner = { .parent = f };
                order_expr(o, s->loop.over, f, at);
                define(o, &inner, "var", s->loop.first.name, HIDDEN);
                define(o, &inner, "var", s->loop.second.name, HIDDEN);
                order_block(o, s->loop.body, &inner, at);
                map_free(inner.names);
                break;
        }
        case STMT_FUNC:
                order_expr(o, s->func.fn, f, at);
                break;
        case STMT_CLASS: {
                Frame inner = { .parent = f };
                for (uint32_t i = 0; i < s->class.params.n; i++)
                        define(o, &inner, "var", s->class.params.items[i].name, HIDDEN);
                order_block(o, s->class.body, &inner, at);
                map_free(inner.names);
                break;
        }
        case STMT_INCLUDE:
                refer(o, f, at, "class", s->include.name, s->pos);
                for (uint32_t i = 0; i < s->include.args.n; i++)
                        order_expr(o, s->include.args.items[i], f, at);
                break;
        case STMT_IMPORT:
                break;
        }
}

static void order_block(Order *o, Block *b, Frame *outer, uint32_t owner) {
        Frame f = { .parent = outer };
        uint32_t first = o->vertices.n;

        for (uint32_t i = 0; i < b->n && o->error == 0; i++) {
                Stmt *s = b->items[i];
                OrderVertex v = { .stmt = s };
                void *number = (void *) (uintptr_t) (o->vertices.n + 1);

                if (AST_PUSH(o->arena, &o->vertices, v) < 0)
                        o->error = -ENOMEM;
                if (s->kind == STMT_BIND)
                        define(o, &f, "var", s->bind.name, number);
                else if (s->kind == STMT_FUNC)
                        define(o, &f, "func", s->func.name, number);
                else if (s->kind == STMT_CLASS)
                        define(o, &f, "class", s->class.name, number);
                else if (s->kind == STMT_INCLUDE && s->include.alias)
                        define(o, &f, "scoped", s->include.alias, number);
        }
        for (uint32_t i = 0; i < b->n && o->error == 0; i++) {
                if (owner != UINT32_MAX)
                        add_edge(o, owner, first + i, false, (Pos) {});
                order_stmt(o, b->items[i], &f, first + i);
        }
        map_free(f.names);
}

static int compare_pos(const void *a, const void *b) {
        const Pos *x = a, *y = b;

        if (x->line != y->line)
                return x->line < y->line ? -1 : 1;
        if (x->column != y->column)
                return x->column < y->column ? -1 : 1;
        if (x->end_line != y->end_line)
                return x->end_line < y->end_line ? -1 : 1;
        return x->end_column < y->end_column ? -1 : x->end_column > y->end_column;
}

typedef AST_ARRAY(Pos) Places;

/* The first reference that stays in the component; NULL: it is a single statement, and nothing is wrong with it. */
static const OrderEdge *first_inside(const Order *o, const OrderVertex *v) {
        for (uint32_t i = 0; i < v->edges.n; i++)
                if (o->vertices.items[v->edges.items[i].to].component == v->component)
                        return &v->edges.items[i];
        return NULL;
}

/* Follows first references from a vertex to where the walk repeats itself, which it returns. Their places are noted where ret is given. */
static uint32_t walk(Order *o, uint32_t at, int round, Places *ret) {
        for (OrderVertex *v = &o->vertices.items[at]; v->walked < round; v = &o->vertices.items[at]) {
                const OrderEdge *e = first_inside(o, v);

                v->walked = round;
                if (!e)
                        break;
                if (ret && e->reference && AST_PUSH(o->arena, ret, e->pos) < 0)
                        o->error = -ENOMEM;
                at = e->to;
        }
        return at;
}

/* Tells one cycle of a component: the one that following the first references leads to. */
static void report(Order *o, const uint32_t *members, size_t n) {
        Places places = {};
        uint32_t first = members[0];

        for (size_t i = 0; i < n; i++)
                first = MIN(first, members[i]);
        (void) walk(o, walk(o, first, 1, NULL), 2, &places);
        if (places.n == 0)
                return;
        qsort(places.items, places.n, sizeof(Pos), compare_pos);
        program_fail(o->program, places.items[0], "recursive reference while setting scope: not a dag");
        for (uint32_t i = 1; i < places.n; i++)
                if (compare_pos(&places.items[i - 1], &places.items[i]) != 0)
                        program_note(o->program, places.items[i], NOTE_CYCLE);
        program_note(o->program, (Pos) {}, "help: a name cannot be defined by way of itself; there is no recursion");
}

/* Tarjan's algorithm, with its own stack: chains of definitions may be long. */
typedef struct Components {
        uint32_t *path;         /* from where the search began to where it is */
        uint32_t *stack;        /* visited, and not known to be of any component */
        uint32_t n_path, n_stack, last_index, n_components;
} Components;

/* v is where its component was entered: all that was visited since, and is of no other, is of it. */
static void close_component(Order *o, Components *c, const OrderVertex *v) {
        uint32_t end = c->n_stack;
        OrderVertex *w;

        c->n_components++;
        do {
                w = &o->vertices.items[c->stack[--c->n_stack]];
                w->on_stack = false;
                w->component = c->n_components;
        } while (w != v);
        report(o, c->stack + c->n_stack, end - c->n_stack);
}

/* The next edge of v, which is the end of the path. false: there is none. */
static bool follow_edge(Order *o, Components *c, OrderVertex *v) {
        if (v->next_edge >= v->edges.n)
                return false;

        uint32_t to = v->edges.items[v->next_edge].to;
        const OrderVertex *w = &o->vertices.items[to];
        if (w->index == 0) {
                c->path[c->n_path++] = to;      /* and the edge comes again, when its end is done */
                return true;
        }
        if (w->on_stack)
                v->low = MIN(v->low, w->index);
        v->next_edge++;
        return true;
}

static void search(Order *o, Components *c, uint32_t root) {
        c->path[c->n_path++] = root;
        while (c->n_path > 0) {
                uint32_t at = c->path[c->n_path - 1];
                OrderVertex *v = &o->vertices.items[at];

                if (v->index == 0) {
                        v->index = v->low = ++c->last_index;
                        v->on_stack = true;
                        c->stack[c->n_stack++] = at;
                }
                if (follow_edge(o, c, v))
                        continue;
                c->n_path--;
                if (c->n_path > 0) {
                        OrderVertex *u = &o->vertices.items[c->path[c->n_path - 1]];
                        u->low = MIN(u->low, v->low);
                }
                if (v->low == v->index)
                        close_component(o, c, v);
        }
}

static void find_components(Order *o) {
        uint32_t n = o->vertices.n;
        _cleanup_free_ uint32_t *path = calloc(n + 1, sizeof(uint32_t)), *stack = calloc(n + 1, sizeof(uint32_t));
        Components c = { .path = path, .stack = stack };

        if (!path || !stack) {
                o->error = -ENOMEM;
                return;
        }
        for (uint32_t root = 0; root < n; root++)
                if (o->vertices.items[root].index == 0)
                        search(o, &c, root);
}

int order_check(Program *p, Block *b) {
        _cleanup_(arena_freep) Arena *scratch = arena_new(0);
        size_t before = p->errors->n;
        Order o = { .program = p, .arena = scratch };

        if (!scratch)
                return program_oom(p);
        order_block(&o, b, NULL, UINT32_MAX);
        if (o.error == 0)
                find_components(&o);
        if (o.error < 0)
                return program_oom(p);
        return p->errors->n > before ? -EINVAL : 0;
}
