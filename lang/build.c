/* SPDX-License-Identifier: GPL-3.0-or-later */

/* From the syntax tree to nodes. Whatever can be computed now becomes a constant: known values, pure functions of constants,
 * branches on constants, calls of functions that are known. What remains of the shape-changing constructs is a node that builds
 * and drops its part of the graph while it runs: only the taken branch of an if exists, a list that grows by one builds one
 * element, and everything is let go of by dropping the one thing that depends on it. */

#include <errno.h>
#include <string.h>

#include "lang/build.h"
#include "lang/builtins.h"

enum { BUILD_DEPTH_MAX = 6000 };

static Env *env_find(Env *env, const Level *level) {
        while (env && env->level != level)
                env = env->parent;
        return env;
}

static Env *env_new(FuncGraph *g, Level *level, Env *parent) {
        Env *e = calloc(1, sizeof(Env) + level->n_slots * sizeof(Node *));
        if (!e)
                return NULL;
        e->n_ref = 1;
        e->level = level;
        e->parent = env_ref(parent);
        e->graph = g;
        return e;
}

DEFINE_CLEANUP(Env *, env_unref)

static void env_hold(Env *e, Node *n) {
        node_hold(n);
        e->slots[e->n_held++] = n;
}

static void closure_free(ValueFunc *f) {
        Closure *c = (Closure *) f;

        env_unref(c->env);
        free(c);
}

/* ---- constants ---- */

/* Takes the reference. */
static int make_const(FuncGraph *g, Value v, Pos pos, Node **ret) {
        Node *n = node_constant(g, v);
        if (!n)
                return -ENOMEM;
        n->constant = true;
        n->pos = pos;
        *ret = n;
        return 0;
}

/* Runs a node whose inputs are all constants, and makes it one. */
int node_fold(FuncGraph *g, Node *n) {
        for (uint32_t i = 0; i < n->n_in; i++)
                if (!n->in[i].from->constant)
                        return 0;
        int r = n->type->run(g, n);
        if (r < 0)
                return r;
        return n->set && !n->failure ? node_freeze(g, n) : 0;
}

int node_fail_with(FuncGraph *g, Node *n, Diag *error, bool catchable) {
        Failure *f = failure_new(error, n->pos, catchable);
        if (!f)
                return -ENOMEM;
        node_fail(g, n, f);
        return 0;
}

int node_fail_large(FuncGraph *g, Node *n) {
        _cleanup_(diag_done) Diag error = {};

        diag_set(&error, n->pos, -E2BIG, "the value is too large");
        return node_fail_with(g, n, &error, false);
}

int node_set_made(FuncGraph *g, Node *n, int r, Value v, bool measure) {
        if (r >= 0 && measure && !value_is_small(v, VALUE_PARTS_MAX)) {
                value_done(&v);
                r = -E2BIG;
        }
        if (r == -E2BIG)
                return node_fail_large(g, n);
        if (r < 0)
                return r;
        node_set(g, n, v);
        return 0;
}

/* ---- composites ---- */

typedef struct CompositeNode {
        Node node;
        const Expr *expr;
} CompositeNode;

static int composite_run(FuncGraph *g, Node *n) {
        const Expr *e = ((CompositeNode *) n)->expr;
        _cleanup_free_ Value *values = calloc((size_t) n->n_in + 1, sizeof(Value));
        Value v = VALUE_NIL;
        int r;

        if (!values)
                return -ENOMEM;
        for (uint32_t i = 0; i < n->n_in; i++)
                values[i] = value_ref(n->in[i].from->value);
        if (e->kind == EXPR_MAP)
                r = value_map(&v, values, n->n_in / 2);
        else {
                _cleanup_free_ const char **names = calloc((size_t) n->n_in + 1, sizeof(char *));
                if (!names) {
                        for (uint32_t i = 0; i < n->n_in; i++)
                                value_done(&values[i]);
                        return -ENOMEM;
                }
                for (uint32_t i = 0; i < n->n_in; i++)
                        names[i] = e->st.items[i].name;
                r = value_struct(&v, names, values, n->n_in);
        }
        return node_set_made(g, n, r, v, true);
}

static const NodeType composite_type = { .name = "composite", .size = sizeof(CompositeNode), .run = composite_run };

int add_part(FuncGraph *g, Node *n, Expr *e, Env *env) {
        Node *part;
        int r = build_expr(g, e, env, &part);

        return r < 0 ? r : node_add_input(g, n, part);
}

static int build_composite(FuncGraph *g, Expr *e, Env *env, Node **ret) {
        Node *n = node_new(g, &composite_type, e->pos);
        int r = 0;

        if (!n)
                return -ENOMEM;
        ((CompositeNode *) n)->expr = e;
        if (e->kind == EXPR_MAP)
                for (uint32_t i = 0; i < e->map.n && r >= 0; i++) {
                        r = add_part(g, n, e->map.items[i].key, env);
                        if (r >= 0)
                                r = add_part(g, n, e->map.items[i].value, env);
                }
        else
                for (uint32_t i = 0; i < e->st.n && r >= 0; i++)
                        r = add_part(g, n, e->st.items[i].value, env);
        if (r < 0)
                return r;
        node_queue(g, n);
        *ret = n;
        return node_fold(g, n);
}

/* ---- calls of functions ---- */

/* Passes its first input on, and fails with any of the others: arguments that a function does not look at must still have values. */
static int anchor_run(FuncGraph *g, Node *n) {
        node_set(g, n, value_ref(n->in[0].from->value));
        return 0;
}

static const NodeType anchor_type = { .name = "anchor", .size = sizeof(Node), .run = anchor_run };

/* What a function gives fails at the place of the call; of calls in each other, at that of the outermost. Only what was built for
 * this call, though: not an argument, what a branch gives, or a definition that others use as well. */
static void stamp(Node *result, Pos pos) {
        for (uint32_t n_out = 0; !result->constant && !result->placed && !result->env && result->n_hold == 0 && result->n_out == n_out;
             n_out = 1) {
                result->pos = pos;
                if (result->type != &anchor_type)
                        break;
                result = result->in[0].from;
        }
}

/* Builds the body of a function with these arguments. */
int build_body(FuncGraph *g, const Func *fn, Env *surroundings, Node *const *args, Pos pos, Node **ret) {
        _cleanup_(env_unrefp) Env *env = env_new(g, fn->level, surroundings);
        Node *result = NULL, *anchor = NULL;
        int r;

        if (!env)
                return -ENOMEM;
        for (uint32_t i = 0; i < fn->params.n; i++) {
                env_hold(env, args[i]);
                args[i]->placed = true;
        }
        r = build_expr(g, fn->body, env, &result);
        if (r < 0)
                return r;
        stamp(result, pos);
        for (uint32_t i = 0; i < fn->params.n; i++) {
                if (args[i] == result || fn->params.items[i].def->needed || args[i]->constant)
                        continue;
                if (!anchor) {
                        anchor = node_new(g, &anchor_type, pos);
                        if (!anchor)
                                return -ENOMEM;
                        r = node_add_input(g, anchor, result);
                        if (r < 0)
                                return r;
                        node_queue(g, anchor);
                }
                r = node_add_input(g, anchor, args[i]);
                if (r < 0)
                        return r;
        }
        result = anchor ?: result;
        node_hold(result);      /* it may be one of the arguments, which env lets go of */
        env = env_unref(env);
        result->n_hold--;
        *ret = result;
        return 0;
}

static int build_args(FuncGraph *g, Expr *e, Env *env, Node ***ret) {
        Node **args = calloc((size_t) e->call.args.n + 1, sizeof(Node *));
        if (!args)
                return -ENOMEM;

        for (uint32_t i = 0; i < e->call.args.n; i++) {
                int r = build_expr(g, e->call.args.items[i], env, &args[i]);
                if (r < 0) {
                        free(args);
                        return r;
                }
        }
        *ret = args;
        return 0;
}

/* A call of a function value that is not known yet, or changes. Inputs: the function, and what its body gives. */
typedef struct CallNode {
        Node node;
        Node **args;            /* owned, each held */
        uint32_t n_args;
        Value function;         /* the one whose body is there */
} CallNode;

static int call_run(FuncGraph *g, Node *n) {
        CallNode *c = (CallNode *) n;
        const Node *function = n->in[0].from;
        int r;

        if (!node_ready(g, n, 0, 1)) {
                value_done(&c->function);
                return node_set_input(g, n, 1, NULL);
        }
        if (c->function.kind != TYPE_FUNC || c->function.fn != function->value.fn) {
                Node *body;
                const Closure *closure = (const Closure *) function->value.fn;
                r = build_body(g, closure->fn, closure->env, c->args, n->pos, &body);
                if (r >= 0)
                        r = node_set_input(g, n, 1, body);
                if (r < 0)
                        return r;
                value_done(&c->function);
                c->function = value_ref(function->value);
        }
        return node_forward(g, n, n->in[1].from);
}

static void call_done(FuncGraph *g, Node *n) {
        CallNode *c = (CallNode *) n;

        for (uint32_t i = 0; i < c->n_args; i++)
                node_drop(g, c->args[i]);
        free(c->args);
        value_done(&c->function);
}

static const NodeType call_type = { .name = "call", .size = sizeof(CallNode), .run = call_run, .done = call_done, .manual = true };

static int build_call_value(FuncGraph *g, Expr *e, Env *env, Node **ret) {
        _cleanup_free_ Node **args = NULL;
        Node *function;
        int r;

        r = build_args(g, e, env, &args);
        if (r < 0)
                return r;
        r = build_expr(g, e->call.callee, env, &function);
        if (r < 0)
                return r;
        if (function->constant) {
                const Closure *closure = (const Closure *) function->value.fn;
                node_hold(function);            /* until its body stands by itself */
                r = build_body(g, closure->fn, closure->env, args, e->pos, ret);
                function->n_hold--;
                return r;
        }

        CallNode *c = (CallNode *) node_new(g, &call_type, e->pos);
        if (!c)
                return -ENOMEM;
        c->n_args = e->call.args.n;
        c->args = TAKE_PTR(args);
        for (uint32_t i = 0; i < c->n_args; i++)
                node_hold(c->args[i]);
        r = node_add_input(g, &c->node, function);
        if (r >= 0)
                r = node_add_input(g, &c->node, NULL);
        *ret = &c->node;
        return r;
}

static int build_call(FuncGraph *g, Expr *e, Env *env, Node **ret) {
        const Expr *callee = e->call.callee;

        if (callee->kind == EXPR_BUILTIN)
                return build_builtin(g, e, env, ret);
        if (callee->kind != EXPR_FUNC)
                return build_call_value(g, e, env, ret);

        _cleanup_free_ Node **args = NULL;
        int r = build_args(g, e, env, &args);
        return r < 0 ? r : build_body(g, callee->fn, env_find(env, callee->fn->level->parent), args, e->pos, ret);
}

static int build_closure(FuncGraph *g, Expr *e, Env *env, Node **ret) {
        Closure *c = calloc(1, sizeof(Closure));
        if (!c)
                return -ENOMEM;
        c->func = (ValueFunc) { .n_ref = 1, .type = e->type, .free = closure_free };
        c->fn = e->fn;
        c->env = env_ref(env_find(env, e->fn->level->parent));
        return make_const(g, (Value) { .kind = TYPE_FUNC, .fn = &c->func }, e->pos, ret);
}

/* ---- if and <|> ---- */

/* Inputs: the condition (or the value that may fail), and what the chosen part gives. */
typedef struct BranchNode {
        Node node;
        Expr *expr;
        Env *env;
        int chosen;             /* -1: none yet */
} BranchNode;

static void branch_done(FuncGraph *g, Node *n) {
        BranchNode *b = (BranchNode *) n;

        b->env = env_unref(b->env);
}

int node_forward(FuncGraph *g, Node *n, const Node *result) {
        if (n->queued)
                return 0;
        if (!result->set)
                node_unset(g, n);
        else if (result->failure)
                node_fail(g, n, failure_ref(result->failure));
        else
                node_set(g, n, value_ref(result->value));
        return 0;
}

static int if_run(FuncGraph *g, Node *n) {
        BranchNode *b = (BranchNode *) n;
        const Node *condition = n->in[0].from;

        if (!node_ready(g, n, 0, 1)) {
                b->chosen = -1;
                return node_set_input(g, n, 1, NULL);
        }
        if (b->chosen != condition->value.b) {
                Node *part;
                int r = build_expr(g, condition->value.b ? b->expr->branch.then : b->expr->branch.otherwise, b->env, &part);
                if (r >= 0)
                        r = node_set_input(g, n, 1, part);
                if (r < 0)
                        return r;
                b->chosen = condition->value.b;
        }
        return node_forward(g, n, n->in[1].from);
}

static const NodeType if_type = { .name = "if", .size = sizeof(BranchNode), .run = if_run, .done = branch_done, .manual = true };

static int except_run(FuncGraph *g, Node *n) {
        BranchNode *b = (BranchNode *) n;
        const Node *value = n->in[0].from;
        int r;

        if (!value->set || !value->failure || !value->failure->catchable) {
                r = node_set_input(g, n, 1, NULL);
                return r < 0 ? r : node_forward(g, n, value);
        }
        if (!n->in[1].from) {
                Node *part;
                r = build_expr(g, b->expr->except.fallback, b->env, &part);
                if (r >= 0)
                        r = node_set_input(g, n, 1, part);
                if (r < 0)
                        return r;
        }
        return node_forward(g, n, n->in[1].from);
}

static const NodeType except_type = {
        .name = "except", .size = sizeof(BranchNode), .run = except_run, .done = branch_done, .manual = true,
};

static int build_branch(FuncGraph *g, Expr *e, Env *env, Node **ret) {
        bool is_if = e->kind == EXPR_IF;
        Node *first;
        int r;

        r = build_expr(g, is_if ? e->branch.condition : e->except.value, env, &first);
        if (r < 0)
                return r;
        if (first->constant) {
                if (is_if) {
                        r = build_expr(g, first->value.b ? e->branch.then : e->branch.otherwise, env, ret);
                        if (r >= 0)
                                (*ret)->placed = true;
                        return r;
                }
                *ret = first;
                return 0;
        }
        BranchNode *b = (BranchNode *) node_new(g, is_if ? &if_type : &except_type, e->pos);
        if (!b)
                return -ENOMEM;
        b->expr = e;
        b->env = env_ref(env);
        b->chosen = -1;
        r = node_add_input(g, &b->node, first);
        if (r >= 0)
                r = node_add_input(g, &b->node, NULL);
        *ret = &b->node;
        return r;
}

/* ---- expressions ---- */

static int build_var(FuncGraph *g, Expr *e, Env *env, Node **ret) {
        const Def *d = e->var.def;

        if (d->kind == DEF_CONST)
                return make_const(g, value_ref(d->value), e->pos, ret);
        env = env_find(env, d->level);
        if (env->slots[d->slot]) {
                *ret = env->slots[d->slot];
                return 0;
        }
        int r = build_expr(g, d->expr, env, ret);
        /* What is held is a parameter; remembering it would make its surroundings keep themselves. */
        if (r >= 0 && !(*ret)->env && !(*ret)->constant && (*ret)->n_hold == 0) {
                (*ret)->env = env_ref(env);
                (*ret)->slot = d->slot;
                env->slots[d->slot] = *ret;
        }
        return r;
}

static int too_deep(FuncGraph *g, const Expr *e, Node **ret) {
        _cleanup_(diag_done) Diag error = {};

        diag_set(&error, e->pos, -ELOOP, "definitions and calls are nested too deeply");
        *ret = node_constant(g, VALUE_NIL);
        return *ret ? node_fail_with(g, *ret, &error, false) : -ENOMEM;
}

static int build_kind(FuncGraph *g, Expr *e, Env *env, Node **ret) {
        switch ((ExprKind) e->kind) {
        case EXPR_LIST:
                return build_list(g, e, env, ret);
        case EXPR_MAP:
        case EXPR_STRUCT:
                return build_composite(g, e, env, ret);
        case EXPR_FUNC:
                return build_closure(g, e, env, ret);
        case EXPR_VAR:
                return build_var(g, e, env, ret);
        case EXPR_CALL:
                return build_call(g, e, env, ret);
        case EXPR_IF:
        case EXPR_EXCEPT:
                return build_branch(g, e, env, ret);
        default:
                return -EINVAL; /* literals are known, the rest is gone by now */
        }
}

int build_expr(FuncGraph *g, Expr *e, Env *env, Node **ret) {
        const Value *known = known_value(g->program, e);

        if (known)
                return make_const(g, value_ref(*known), e->pos, ret);
        if (g->depth >= BUILD_DEPTH_MAX)
                return too_deep(g, e, ret);
        g->depth++;
        int r = build_kind(g, e, env, ret);
        g->depth--;
        return r;
}

/* ---- statements that own others ---- */

typedef struct IfStmtNode {
        StmtNode stmt;
        Env *env;
        int chosen;
        StmtNodes body;
} IfStmtNode;

static int if_stmt_run(FuncGraph *g, Node *n) {
        IfStmtNode *s = (IfStmtNode *) n;

        if (!stmt_node_ready(g, &s->stmt)) {
                stmt_nodes_done(g, &s->body);
                s->chosen = -1;
                return 0;
        }
        stmt_node_problem(g, &s->stmt, NULL);
        bool condition = n->in[0].from->value.b;
        if (s->chosen == condition)
                return 0;
        stmt_nodes_done(g, &s->body);
        s->chosen = -1;
        const Block *taken = condition ? s->stmt.stmt->branch.then : s->stmt.stmt->branch.otherwise;
        int r = taken ? build_block(g, taken, s->env, &s->body) : 0;
        if (r >= 0)
                s->chosen = condition;
        return r;
}

static void if_stmt_done(FuncGraph *g, Node *n) {
        IfStmtNode *s = (IfStmtNode *) n;

        stmt_nodes_done(g, &s->body);
        s->env = env_unref(s->env);
        stmt_node_problem(g, &s->stmt, NULL);
}

static const NodeType if_stmt_type = {
        .name = "stmt-if", .size = sizeof(IfStmtNode), .run = if_stmt_run, .done = if_stmt_done, .manual = true,
};

/* One turn of a loop. */
typedef struct Turn {
        Value key;              /* of a map, or nil */
        StmtNodes body;
} Turn;

typedef struct LoopNode {
        StmtNode stmt;
        Env *env;
        Turn *turns;            /* by index; those of a map in the order of its keys */
        size_t n, capacity;
        Node *elements;         /* held; NULL until it ran */
} LoopNode;

static void turn_done(FuncGraph *g, Turn *t) {
        value_done(&t->key);
        stmt_nodes_done(g, &t->body);
}

static void drop_turns(FuncGraph *g, LoopNode *l) {
        while (l->n > 0)
                turn_done(g, &l->turns[--l->n]);
        node_drop(g, TAKE_PTR(l->elements));
}

static int make_turn(FuncGraph *g, LoopNode *l, uint32_t index, const Value *key, Turn *ret) {
        const Stmt *s = l->stmt.stmt;
        _cleanup_(env_unrefp) Env *env = env_new(g, s->loop.level, l->env);
        Node *first, *second;
        int r;

        if (!env)
                return -ENOMEM;
        r = make_const(g, key ? value_ref(*key) : VALUE_INT(index), s->loop.first.pos, &first);
        if (r < 0)
                return r;
        env_hold(env, first);
        r = make_element(g, l->elements, index, s->loop.second.pos, &second);
        if (r < 0)
                return r;
        env_hold(env, second);
        *ret = (Turn) {};
        r = build_block(g, s->loop.body, env, &ret->body);
        if (r < 0)
                stmt_nodes_done(g, &ret->body);
        else if (key)
                ret->key = value_ref(*key);
        return r;
}

static int loop_list(FuncGraph *g, LoopNode *l, uint32_t n) {
        while (l->n > n)
                turn_done(g, &l->turns[--l->n]);
        while (l->n < n) {
                if (GROW(l->turns, l->n, l->capacity) < 0)
                        return -ENOMEM;
                int r = make_turn(g, l, (uint32_t) l->n, NULL, &l->turns[l->n]);
                if (r < 0)
                        return r;
                l->n++;
        }
        return 0;
}

/* Both the turns and the map are sorted by key: one pass tells what stays. */
static int loop_map(FuncGraph *g, LoopNode *l, const ValueMap *m) {
        _cleanup_free_ Turn *turns = calloc((size_t) m->n + 1, sizeof(Turn));
        size_t old = 0, n = 0;
        int r = 0;

        if (!turns)
                return -ENOMEM;
        for (uint32_t i = 0; i < m->n && r >= 0; i++) {
                const Value *key = &m->items[i].key;
                while (old < l->n && value_compare(l->turns[old].key, *key) < 0)
                        turn_done(g, &l->turns[old++]);
                if (old < l->n && value_compare(l->turns[old].key, *key) == 0)
                        turns[n++] = l->turns[old++];
                else {
                        r = make_turn(g, l, i, key, &turns[n]);
                        n += r >= 0;
                }
        }
        while (old < l->n)
                turn_done(g, &l->turns[old++]);
        free(l->turns);
        l->turns = TAKE_PTR(turns);
        l->n = n;
        l->capacity = m->n + 1;
        return r;
}

static int loop_run(FuncGraph *g, Node *n) {
        LoopNode *l = (LoopNode *) n;
        Node *elements = NULL;
        int r;

        if (!stmt_node_ready(g, &l->stmt)) {
                drop_turns(g, l);
                return 0;
        }
        stmt_node_problem(g, &l->stmt, NULL);
        r = l->elements ? elements_sync(g, l->elements) : make_elements(g, n->in[0].from, l->stmt.stmt->pos, &elements);
        if (r < 0)
                return r;
        if (elements) {
                node_hold(elements);
                l->elements = elements;
        }
        Value v = n->in[0].from->value;
        return v.kind == TYPE_MAP ? loop_map(g, l, v.m) : loop_list(g, l, v.l->n);
}

static void loop_done(FuncGraph *g, Node *n) {
        LoopNode *l = (LoopNode *) n;

        drop_turns(g, l);
        free(l->turns);
        l->env = env_unref(l->env);
        stmt_node_problem(g, &l->stmt, NULL);
}

static const NodeType loop_type = {
        .name = "stmt-for", .size = sizeof(LoopNode), .run = loop_run, .done = loop_done, .manual = true,
};

/* ---- blocks ---- */

static int add_stmt(FuncGraph *g, StmtNodes *list, StmtNode *s) {
        if (GROW(list->items, list->n, list->capacity) < 0)
                return -ENOMEM;
        list->items[list->n++] = s;
        node_hold(&s->node);
        return 0;
}

static int add_owner(FuncGraph *g, const NodeType *type, const Stmt *s, Expr *input, Env *env, StmtNodes *ret) {
        Node *from;
        int r = build_expr(g, input, env, &from);
        if (r < 0)
                return r;

        StmtNode *n = stmt_node_new(g, type, s);
        if (!n)
                return -ENOMEM;
        if (type == &if_stmt_type) {
                ((IfStmtNode *) n)->env = env_ref(env);
                ((IfStmtNode *) n)->chosen = -1;
        } else
                ((LoopNode *) n)->env = env_ref(env);
        r = node_add_input(g, &n->node, from);
        return r < 0 ? r : add_stmt(g, ret, n);
}

/* Builds the definitions that a statement needs in any case, those first that others need, so that long chains of them do not
 * make building recurse deeply. They stay only if the statement takes them. */
static int build_needs(FuncGraph *g, const Defs *needs, Env *env) {
        struct { const Defs *needs; uint32_t next; Def *def; } *stack = NULL;
        size_t n = 0, capacity = 0;
        int r = 0;

        if (needs->n == 0)
                return 0;
        if (GROW(stack, n, capacity) < 0)
                return -ENOMEM;
        stack[n].needs = needs;
        stack[n].next = 0;
        stack[n++].def = NULL;
        while (n > 0 && r >= 0) {
                if (stack[n - 1].next < stack[n - 1].needs->n) {
                        Def *d = stack[n - 1].needs->items[stack[n - 1].next++];
                        Env *home = env_find(env, d->level);
                        if (!home || home->slots[d->slot] || known_value(g->program, d->expr))
                                continue;
                        if (GROW(stack, n, capacity) < 0) {
                                r = -ENOMEM;
                                break;
                        }
                        stack[n].needs = &d->needs;
                        stack[n].next = 0;
                        stack[n++].def = d;
                        continue;
                }
                Def *d = stack[--n].def;
                if (d) {
                        Expr var = { .kind = EXPR_VAR, .pos = d->pos, .var = { d->name, d }, .known_asked = true };
                        Node *ignored;
                        r = build_var(g, &var, env, &ignored);
                }
        }
        free(stack);
        return r;
}

static int build_stmt(FuncGraph *g, const Stmt *s, Env *env, StmtNodes *ret) {
        const Value *known;
        StmtNode *n;
        int r = build_needs(g, &s->needs, env);

        if (r < 0)
                return r;
        switch (s->kind) {
        case STMT_RESOURCE:
                r = build_resource(g, s, env, &n);
                return r < 0 ? r : add_stmt(g, ret, n);
        case STMT_EDGE:
                r = build_edge(g, s, env, &n);
                return r < 0 ? r : add_stmt(g, ret, n);
        case STMT_IF:
                known = known_value(g->program, s->branch.condition);
                if (!known)
                        return add_owner(g, &if_stmt_type, s, s->branch.condition, env, ret);
                if (known->b)
                        return build_block(g, s->branch.then, env, ret);
                return s->branch.otherwise ? build_block(g, s->branch.otherwise, env, ret) : 0;
        case STMT_FOR:
        case STMT_FORKV:
                return add_owner(g, &loop_type, s, s->loop.over, env, ret);
        case STMT_INCLUDE:
                return build_block(g, s->include.body, env, ret);
        default:
                return 0;
        }
}

int build_block(FuncGraph *g, const Block *b, Env *env, StmtNodes *ret) {
        for (uint32_t i = 0; i < b->n; i++) {
                int r = build_stmt(g, b->items[i], env, ret);
                if (r < 0)
                        return r;
        }
        return 0;
}
