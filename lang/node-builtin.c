/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Calls of the standard library: those that are computed from their arguments, and those whose value comes from outside. */

#include <errno.h>
#include <string.h>

#include "lang/build.h"
#include "lang/builtins.h"

/* ---- arguments ---- */

/* Those that are known stand in their places for good; the others are taken from the inputs each time, and are only borrowed. */
typedef struct Args {
        Value *values;          /* n of them; in the node, as is the next */
        uint32_t *of_input;     /* which argument each input is */
        uint32_t n;
        uint32_t n_inputs;      /* the first inputs of the node; behind them is what it asked while it was computed */
} Args;

static size_t args_size(uint32_t n) {
        return n * (sizeof(Value) + sizeof(uint32_t));
}

static int build_arg(FuncGraph *g, Node *n, Args *a, uint32_t i, Expr *e, Env *env) {
        const Value *known = known_value(g->program, e);
        Node *part;
        int r;

        if (known) {
                a->values[i] = value_ref(*known);
                return 0;
        }
        r = build_expr(g, e, env, &part);
        if (r < 0)
                return r;
        if (part->constant) {
                a->values[i] = value_ref(part->value);  /* the node is left over */
                return 0;
        }
        a->of_input[n->n_in] = i;
        return node_add_input(g, n, part);
}

/* room is that many bytes as args_size() says, zeroed. */
static void args_init(Args *a, void *room, uint32_t n) {
        a->n = n;
        a->values = room;
        a->of_input = (uint32_t *) (a->values + n);
}

static int build_args(FuncGraph *g, Node *n, Args *a, const Expr *e, Env *env) {
        int r = 0;

        for (uint32_t i = 0; i < a->n && r >= 0; i++)
                r = build_arg(g, n, a, i, e->call.args.items[i], env);
        a->n_inputs = n->n_in;
        return r;
}

/* False: one has no value, so neither has the node. */
static inline bool args_take(FuncGraph *g, Args *a, Node *n) {
        for (uint32_t i = 0; i < a->n_inputs; i++) {
                const Node *from = n->in[i].from;
                if (!from->set || from->failure)
                        return node_ready(g, n, 0, a->n_inputs);
                a->values[a->of_input[i]] = from->value;
        }
        return true;
}

static bool is_known(const Args *a, uint32_t i) {
        for (uint32_t k = 0; k < a->n_inputs; k++)
                if (a->of_input[k] == i)
                        return false;
        return true;
}

/* The inputs of the node are still there. */
static void args_done(Args *a) {
        for (uint32_t k = 0; k < a->n_inputs; k++)
                a->values[a->of_input[k]] = VALUE_NIL;
        for (uint32_t i = 0; i < a->n; i++)
                value_done(&a->values[i]);
        a->n = 0;
}

/* ---- functions that are computed ---- */

typedef struct BuiltinNode {
        Node node;
        BuiltinEval *eval;
        Args args;
        BuiltinCall call;
        uint32_t n_computed;    /* counted from when it asked first: tells what it asks now from what it asked before */
        uint32_t completed;     /* n_computed when nothing was missing last */
        bool waits;             /* what it asks has no value yet */
        Value room[];
} BuiltinNode;

static bool asking_done(FuncGraph *g, BuiltinNode *b);

static int builtin_error(FuncGraph *g, Node *n, int r) {
        _cleanup_(diag_done) Diag error = {};

        diag_move(&error, &g->error);
        if (r == -ENOMEM)
                return r;
        if (error.error == 0 && r == -E2BIG)
                return node_fail_large(g, n);
        return node_fail_with(g, n, &error, r == BUILTIN_CATCHABLE);
}

static int builtin_run(FuncGraph *g, Node *n) {
        BuiltinNode *b = (BuiltinNode *) n;
        Value v = VALUE_NIL;

        if (!args_take(g, &b->args, n))
                return 0;
        if (n->n_in > b->args.n_inputs)
                b->n_computed++;
        int r = b->eval(&b->call, b->args.values, b->args.n, &v, &g->error);
        if (n->n_in > b->args.n_inputs && asking_done(g, b)) {
                diag_done(&g->error);
                value_done(&v);
                node_unset(g, n);
                return 0;
        }
        if (r != 0)
                return builtin_error(g, n, r);
        node_set(g, n, v);
        return 0;
}

static void builtin_done(FuncGraph *g, Node *n) {
        args_done(&((BuiltinNode *) n)->args);
}

static const NodeType builtin_node_type = {
        .name = "builtin", .size = sizeof(BuiltinNode), .run = builtin_run, .done = builtin_done, .manual = true,
};

static int build_computed(FuncGraph *g, Expr *e, Env *env, Node **ret) {
        const Expr *callee = e->call.callee;
        BuiltinNode *b = (BuiltinNode *) node_new_with(g, &builtin_node_type, args_size(e->call.args.n), e->pos);
        int r;

        if (!b)
                return -ENOMEM;
        b->call = (BuiltinCall) { .builtin = callee->builtin, .type = callee->type, .field = callee->field, .base = callee->base,
                                  .host = &g->program->host, .graph = g, .node = &b->node };
        args_init(&b->args, b->room, e->call.args.n);
        r = build_args(g, &b->node, &b->args, e, env);
        if (r < 0)
                return r;
        b->eval = callee->builtin->eval;
        if (callee->builtin->choose && b->args.n > 0 && is_known(&b->args, 0))
                b->eval = callee->builtin->choose(b->args.values[0]) ?: b->eval;
        node_queue(g, &b->node);
        *ret = &b->node;
        if (!(callee->builtin->flags & BUILTIN_PURE))
                return 0;
        b->call.early = true;
        r = node_fold(g, &b->node);
        b->call.early = false;
        return r;
}

/* ---- functions whose value comes from outside ---- */

/* A node that is set when its source says something. It runs only to hand its arguments on. */
typedef struct SourceNode {
        Node node;
        FuncGraph *graph;
        Source like;            /* what every source of this call begins with */
        Source *source;         /* NULL while it could not be opened, or has no arguments */
        Args args;
        Value *given;           /* owned; the arguments that the source has */
        bool waiting;           /* for its first value, or the first one with other arguments */
        bool spoke;             /* since the last change set; the graph lists it */
        uint32_t asked;         /* BuiltinNode.n_computed, when somebody asked last who was computed */
        struct SourceNode *next_spoken;
        Value room[];
} SourceNode;

static void set_waiting(FuncGraph *g, SourceNode *s, bool waiting) {
        if (s->waiting == waiting)
                return;
        s->waiting = waiting;
        g->n_waiting += waiting ? 1 : -1;
}

/* Something came from outside, perhaps between two waves. */
static void spoke(FuncGraph *g, SourceNode *s) {
        const LangHost *host = &g->program->host;

        set_waiting(g, s, false);
        if (!s->spoke && s->like.type->taken) {
                s->spoke = true;
                s->next_spoken = g->spoken;
                g->spoken = s;
        }
        if (!g->running && host->due)
                host->due(host->userdata);
}

static void sink_set(Source *source, Value v) {
        SourceNode *s = source->owner;

        node_set(s->graph, &s->node, v);
        spoke(s->graph, s);
}

static void sink_fail(Source *source, bool catchable, Diag *d) {
        SourceNode *s = source->owner;

        /* Without memory for the reason it stays as it was. */
        if (node_fail_with(s->graph, &s->node, d, catchable) >= 0)
                spoke(s->graph, s);
}

static const SourceSink sink = { .set = sink_set, .fail = sink_fail };

/* What it said was said to another question, and nobody takes it. */
static void unsay(FuncGraph *g, SourceNode *s) {
        if (!s->spoke)
                return;
        for (SourceNode **at = &g->spoken; *at; at = &(*at)->next_spoken)
                if (*at == s) {
                        *at = s->next_spoken;
                        break;
                }
        s->spoke = false;
}

static void source_end(FuncGraph *g, SourceNode *s) {
        unsay(g, s);
        s->source = source_close(s->source);
        for (uint32_t i = 0; s->given && i < s->args.n; i++)
                value_done(&s->given[i]);
        set_waiting(g, s, false);
}

static bool args_as_given(const SourceNode *s) {
        for (uint32_t i = 0; i < s->args.n; i++)
                if (!value_same(s->given[i], s->args.values[i]))
                        return false;
        return true;
}

static int not_here(FuncGraph *g, SourceNode *s) {
        _cleanup_(diag_done) Diag error = {};

        diag_set(&error, s->node.pos, -ENOSYS, "function `%s` has no value here", s->like.function);
        return node_fail_with(g, &s->node, &error, false);
}

static int source_run(FuncGraph *g, Node *n) {
        SourceNode *s = (SourceNode *) n;
        _cleanup_(diag_done) Diag error = {};
        int r;

        if (!args_take(g, &s->args, n)) {
                source_end(g, s);
                return 0;
        }
        if (!s->like.type)
                return not_here(g, s);
        if (s->source && args_as_given(s))
                return 0;

        bool change = s->source && s->like.type->change;
        if (change)
                unsay(g, s);
        else
                source_end(g, s);
        for (uint32_t i = 0; i < s->args.n; i++) {
                value_done(&s->given[i]);
                s->given[i] = value_ref(s->args.values[i]);
        }
        set_waiting(g, s, true);
        node_unset(g, n);       /* nobody shall see what it said to the question before */
        if (change)
                r = source_change(s->source, s->args.values, s->args.n, &error);
        else {
                s->like.args = s->args.values;
                s->like.n_args = s->args.n;
                r = source_open(&s->source, s->like.type, &s->like, &error);
        }
        if (r >= 0)
                return 0;
        source_end(g, s);
        return r == -ENOMEM ? r : node_fail_with(g, n, &error, false);
}

static void source_node_done(FuncGraph *g, Node *n) {
        SourceNode *s = (SourceNode *) n;

        source_end(g, s);
        free(s->given);
        args_done(&s->args);
}

static const NodeType source_node_type = {
        .name = "from outside", .size = sizeof(SourceNode), .run = source_run, .done = source_node_done, .manual = true,
};

/* What they say next is for the next wave, and is taken after that: so they are told from a list of their own. */
void sources_taken(FuncGraph *g) {
        SourceNode *next;

        for (SourceNode *s = TAKE_PTR(g->spoken); s; s = next) {
                next = s->next_spoken;
                s->spoke = false;
                if (s->source)
                        s->like.type->taken(s->source);
        }
}

/* like has the type (NULL: nobody serves it), the function, the type of its values, and the base. */
static SourceNode *source_node_new(FuncGraph *g, const Source *like, uint32_t n_args, Pos pos) {
        SourceNode *s = (SourceNode *) node_new_with(g, &source_node_type, args_size(n_args), pos);

        if (!s)
                return NULL;
        s->graph = g;
        s->like = *like;
        s->like.host = g->program->host.source_host;
        s->like.sink = &sink;
        s->like.owner = s;
        args_init(&s->args, s->room, n_args);
        s->given = calloc((size_t) n_args + 1, sizeof(Value));
        return s->given ? s : NULL;     /* what is left over is swept */
}

static int build_source(FuncGraph *g, Expr *e, Env *env, Node **ret) {
        const Expr *callee = e->call.callee;
        const char *function = callee->builtin->name;
        const LangHost *host = &g->program->host;
        const Source like = { .type = host->source ? host->source(host->userdata, function) : NULL, .function = function,
                              .result = callee->type->element, .base = callee->base };
        SourceNode *s = source_node_new(g, &like, e->call.args.n, e->pos);
        int r;

        if (!s)
                return -ENOMEM;
        *ret = &s->node;
        r = build_args(g, &s->node, &s->args, e, env);
        if (r >= 0)
                node_queue(g, &s->node);
        return r;
}

int build_builtin(FuncGraph *g, Expr *e, Env *env, Node **ret) {
        unsigned flags = e->call.callee->builtin->flags;

        if (flags & BUILTIN_PER_ELEMENT)
                return build_each(g, e, env, ret);
        return flags & BUILTIN_SOURCE ? build_source(g, e, env, ret) : build_computed(g, e, env, ret);
}

/* ---- asking while something is computed ---- */

/* Lets go of what was not asked for this time; but where something was missing it did not come to ask for the rest. True: something
 * was missing, and what was computed is nothing. */
static bool asking_done(FuncGraph *g, BuiltinNode *b) {
        bool waits = b->waits;

        b->waits = false;
        if (!waits)
                b->completed = b->n_computed;
        for (uint32_t i = b->node.n_in; i-- > b->args.n_inputs;) {
                uint32_t asked = ((SourceNode *) b->node.in[i].from)->asked;
                if (asked != b->n_computed && asked != b->completed)
                        node_forget_input(g, &b->node, i);
        }
        return waits;
}

static SourceNode *asked_before(const BuiltinNode *b, const char *function, const Value *args, size_t n) {
        for (uint32_t i = b->args.n_inputs; i < b->node.n_in; i++) {
                SourceNode *s = (SourceNode *) b->node.in[i].from;
                bool same = streq(s->like.function, function) && s->args.n == n;
                for (size_t k = 0; same && k < n; k++)
                        same = value_same(s->args.values[k], args[k]);
                if (same)
                        return s;
        }
        return NULL;
}

/* Opens the source at once; it may have said something when this returns. */
static int ask_source(FuncGraph *g, BuiltinNode *b, const Source *like, const Value *args, size_t n, SourceNode **ret) {
        SourceNode *s = source_node_new(g, like, (uint32_t) n, b->node.pos);
        int r;

        if (!s)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                s->args.values[i] = value_ref(args[i]);
        r = source_run(g, &s->node);
        if (r >= 0)
                r = node_see_input(g, &b->node, &s->node);
        *ret = s;
        return r;
}

/* NULL in *ret: nobody serves it. */
static int ask(const BuiltinCall *call, const Source *like, const Value *args, size_t n, SourceNode **ret) {
        BuiltinNode *b = (BuiltinNode *) call->node;
        SourceNode *s = asked_before(b, like->function, args, n);
        int r = 0;

        *ret = NULL;
        if (!s && !like->type)
                return 0;
        if (!s)
                r = ask_source(call->graph, b, like, args, n, &s);
        if (r < 0)
                return r;
        s->asked = b->n_computed;
        *ret = s;
        return 0;
}

static const SourceType *serves(const BuiltinCall *call, const char *function) {
        const LangHost *host = call->host;

        return call->node && !call->early && host && host->source ? host->source(host->userdata, function) : NULL;
}

int builtin_ask(const BuiltinCall *call, const Builtin *b, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const Source like = { .type = serves(call, b->name), .function = b->name, .result = builtin_type(b)->element, .base = call->base };
        SourceNode *s = NULL;
        int r = like.type ? ask(call, &like, args, n, &s) : 0;

        if (r < 0)
                return r;
        if (!s)
                return diag_set(reterr, (Pos) {}, -ENOSYS, "function `%s` has no value here", b->name);
        if (!s->node.set) {
                ((BuiltinNode *) call->node)->waits = true;
                return diag_set(reterr, (Pos) {}, -EAGAIN, "function `%s` has no value yet", b->name);
        }
        const Failure *f = s->node.failure;
        if (f) {
                r = reterr ? diag_copy(reterr, &f->diag) : 0;
                return r < 0 ? r : f->catchable ? BUILTIN_CATCHABLE : f->diag.error < 0 ? f->diag.error : -EINVAL;
        }
        *ret = value_ref(s->node.value);
        return 0;
}

int builtin_follow(const BuiltinCall *call, const char *source, Diag *reterr) {
        const Source like = { .type = serves(call, source), .function = source, .result = &type_int, .base = "" };
        SourceNode *s;

        if (call->early)
                return diag_set(reterr, (Pos) {}, -EAGAIN, "this is not computed ahead of time");
        return like.type ? ask(call, &like, NULL, 0, &s) : 0;
}
