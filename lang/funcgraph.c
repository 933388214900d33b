/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Nodes, the queue, and waves. See funcgraph.h for the rules. Recursion is avoided throughout, because chains of nodes can be as
 * long as programs are. */

#include <errno.h>
#include <string.h>

#include "lang/funcgraph.h"
#include "lang/output.h"

/* ---- failures ---- */

Failure *failure_new(Diag *d, Pos pos, bool catchable) {
        Failure *f = calloc(1, sizeof(Failure));
        if (!f)
                return NULL;
        f->n_ref = 1;
        f->catchable = catchable;
        if (d->pos.line > 0 || pos.line == 0)
                diag_move(&f->diag, d);
        else {
                diag_set(&f->diag, pos, d->error < 0 ? d->error : -EINVAL, "%s", d->message ?: "failed");
                for (size_t i = 0; i < d->n_notes; i++)
                        (void) diag_note(&f->diag, d->notes[i].pos, "%s", d->notes[i].text);
                diag_done(d);
        }
        return f;
}

Failure *failure_ref(Failure *f) {
        if (f)
                f->n_ref++;
        return f;
}

static Failure *failure_unref(Failure *f) {
        if (!f || --f->n_ref > 0)
                return NULL;
        diag_done(&f->diag);
        free(f);
        return NULL;
}

/* ---- the queue ---- */

static int buckets_grow(FuncGraph *g, uint32_t height) {
        if (height < g->n_buckets)
                return 0;

        uint32_t n = MAX(g->n_buckets * 2, height + 64);
        Bucket *grown = reallocarray(g->buckets, n, sizeof(Bucket));
        if (!grown)
                return -ENOMEM;
        memset(grown + g->n_buckets, 0, (n - g->n_buckets) * sizeof(Bucket));
        g->buckets = grown;
        g->n_buckets = n;
        return 0;
}

/* There is a bucket for the height of every node: node_raise() sees to it. */
static void put_in_bucket(FuncGraph *g, Node *n) {
        Bucket *b = &g->buckets[n->height];

        n->queue_next = NULL;
        *(b->first ? &b->last->queue_next : &b->first) = n;
        b->last = n;
        g->lowest = MIN(g->lowest, n->height);
}

void node_queue(FuncGraph *g, Node *n) {
        if (n->queued || n->dead)
                return;
        n->queued = true;
        put_in_bucket(g, n);
}

static Node *take_lowest(FuncGraph *g) {
        for (;;) {
                while (g->lowest < g->n_buckets && !g->buckets[g->lowest].first)
                        g->lowest++;
                if (g->lowest >= g->n_buckets)
                        return NULL;
                Node *n = g->buckets[g->lowest].first;
                g->buckets[g->lowest].first = n->queue_next;
                if (!n->dead && n->height != g->lowest) {
                        put_in_bucket(g, n);    /* it was raised meanwhile */
                        continue;
                }
                n->queued = false;
                if (n->dead) {
                        g->n_dead--;
                        free(n);
                        continue;
                }
                return n;
        }
}

/* A node that dies leaves the queue when its turn comes. While a program is built that is not before the end, and calls that are
 * computed at once leave many behind: so now and then all of them go. */
static void leave_queue(FuncGraph *g) {
        enum { DEAD_MIN = 64 * 1024 };

        if (++g->n_dead < DEAD_MIN + g->n_nodes)
                return;
        for (uint32_t i = g->lowest; i < g->n_buckets; i++) {
                Bucket *b = &g->buckets[i];

                for (Node **next = &b->first, *n; (n = *next);)
                        if (n->dead) {
                                *next = n->queue_next;
                                free(n);
                        } else {
                                b->last = n;
                                next = &n->queue_next;
                        }
        }
        g->n_dead = 0;
}

/* ---- nodes ---- */

Node *node_new(FuncGraph *g, const NodeType *type, Pos pos) {
        return node_new_with(g, type, 0, pos);
}

Node *node_new_with(FuncGraph *g, const NodeType *type, size_t extra, Pos pos) {
        if (buckets_grow(g, 0) < 0)
                return NULL;
        if (g->n_nodes >= g->max_nodes || g->n_made >= g->max_made) {
                g->too_large = true;
                g->too_large_at = pos;
                return NULL;
        }

        Node *n = calloc(1, type->size + extra);
        if (!n)
                return NULL;
        n->in = n->in_place;
        n->capacity_in = NODE_INPUTS_IN_PLACE;
        n->out = n->out_place;
        n->capacity_out = NODE_OUTPUTS_IN_PLACE;
        n->type = type;
        n->pos = pos;
        n->next = g->nodes;
        if (g->nodes)
                g->nodes->prev = n;
        g->nodes = n;
        g->n_nodes++;
        g->n_made++;
        return n;
}

/* Room for one more in an array that begins in the node itself. */
#define GROW_FROM(array, count, capacity, in_place) \
        ({ \
                int _k = 0; \
                if ((count) >= (capacity)) { \
                        size_t _want = (size_t) (capacity) * 2 + 2; \
                        void *_moved = reallocarray((array) == (in_place) ? NULL : (array), _want, sizeof(*(array))); \
                        if (!_moved) \
                                _k = -ENOMEM; \
                        else { \
                                if ((array) == (in_place)) \
                                        memcpy(_moved, (in_place), sizeof(in_place)); \
                                (array) = _moved; \
                                (capacity) = (uint32_t) _want; \
                        } \
                } \
                _k; \
        })

static void free_links(Node *n) {
        if (n->in != n->in_place)
                free(n->in);
        if (n->out != n->out_place)
                free(n->out);
        n->in = NULL;
        n->out = NULL;
}

static void remove_output(Node *from, uint32_t at) {
        from->n_out--;
        if (at < from->n_out) {
                from->out[at] = from->out[from->n_out];
                from->out[at].to->in[from->out[at].input].at = at;
        }
}

static bool is_loose(const Node *n) {
        return n->n_out == 0 && n->n_hold == 0 && !n->dead;
}

/* What a node holds itself goes; what it depends on does not yet. */
static void die(FuncGraph *g, Node *n) {
        n->dead = true;
        if (n->type->done)
                n->type->done(g, n);
        if (n->env) {
                if (n->env->slots[n->slot] == n)
                        n->env->slots[n->slot] = NULL;
                n->env = env_unref(n->env);
        }
        value_done(&n->value);
        n->failure = failure_unref(n->failure);
        if (g->swept == n)
                g->swept = n->next;
        if (n->prev)
                n->prev->next = n->next;
        else
                g->nodes = n->next;
        if (n->next)
                n->next->prev = n->prev;
        g->n_nodes--;
}

/* Takes the last input away, and what that came from if nothing else depends on it. False if there is none any more. */
static bool cut_last_input(Node *n, Node **ret_loose) {
        *ret_loose = NULL;
        if (n->n_in == 0)
                return false;
        NodeInput last = n->in[--n->n_in];
        if (last.from) {
                remove_output(last.from, last.at);
                if (is_loose(last.from))
                        *ret_loose = last.from;
        }
        return true;
}

/* Lets a node go that nothing depends on, and then what only it needed. A node that dies may let go of others by way of functions,
 * which hold their surroundings, which hold nodes, and so on: those wait in a list until it is dead. */
static void collect(FuncGraph *g, Node *n) {
        Node *dying = NULL;     /* chained by next: they are in no other list any more */

        if (!is_loose(n))
                return;
        if (g->collecting) {
                n->out[0].to = g->loose;        /* it has no outputs, but always room for one */
                g->loose = n;
                return;
        }
        g->collecting = true;
        for (;;) {
                if (n) {
                        die(g, n);
                        n->next = dying;
                        dying = n;
                }
                if (dying && cut_last_input(dying, &n))
                        continue;
                if (dying) {
                        Node *gone = dying;
                        dying = dying->next;
                        free_links(gone);
                        if (gone->queued)
                                leave_queue(g);
                        else
                                free(gone);
                } else if (g->loose) {
                        n = g->loose;
                        g->loose = n->out[0].to;
                } else
                        break;
        }
        g->collecting = false;
}

void node_hold(Node *n) {
        n->n_hold++;
}

void node_drop(FuncGraph *g, Node *n) {
        if (!n)
                return;
        n->n_hold--;
        collect(g, n);
}

/* Makes a node at least this high, and what depends on it higher. */
static int node_raise(FuncGraph *g, Node *n, uint32_t height) {
        _cleanup_free_ Node **stack = NULL;
        size_t n_stack = 0, capacity = 0;

        if (n->height >= height)
                return 0;
        if (buckets_grow(g, height) < 0 || GROW(stack, n_stack, capacity) < 0)
                return -ENOMEM;
        n->height = height;
        stack[n_stack++] = n;
        while (n_stack > 0) {
                Node *low = stack[--n_stack];
                for (uint32_t i = 0; i < low->n_out; i++) {
                        Node *high = low->out[i].to;
                        if (high->height > low->height)
                                continue;
                        if (buckets_grow(g, low->height + 1) < 0 || GROW(stack, n_stack, capacity) < 0)
                                return -ENOMEM;
                        high->height = low->height + 1;
                        stack[n_stack++] = high;
                }
        }
        return 0;
}

/* from may be NULL, if there is another now. */
static int connect(FuncGraph *g, Node *n, uint32_t i, Node *from) {
        Node *before = n->in[i].from;

        if (from) {
                if (GROW_FROM(from->out, from->n_out, from->capacity_out, from->out_place) < 0 || node_raise(g, n, from->height + 1) < 0)
                        return -ENOMEM;
                uint32_t at = n->in[i].at;
                n->in[i] = (NodeInput) { from, from->n_out };
                from->out[from->n_out++] = (NodeOutput) { n, i };
                if (before)
                        remove_output(before, at);
        } else {
                remove_output(before, n->in[i].at);
                n->in[i].from = NULL;
        }
        if (before)
                collect(g, before);
        return 0;
}

int node_set_input(FuncGraph *g, Node *n, uint32_t i, Node *from) {
        if (n->in[i].from == from)
                return 0;
        int r = connect(g, n, i, from);
        if (r >= 0 && from)
                node_queue(g, n);
        return r;
}

int node_see_input(FuncGraph *g, Node *n, Node *from) {
        if (GROW_FROM(n->in, n->n_in, n->capacity_in, n->in_place) < 0)
                return -ENOMEM;
        n->in[n->n_in++] = (NodeInput) {};
        int r = connect(g, n, n->n_in - 1, from);
        if (r < 0)
                n->n_in--;
        return r;
}

void node_forget_input(FuncGraph *g, Node *n, uint32_t i) {
        NodeInput gone = n->in[i];

        n->in[i] = n->in[--n->n_in];
        if (i < n->n_in && n->in[i].from)
                n->in[i].from->out[n->in[i].at].input = i;
        remove_output(gone.from, gone.at);
        collect(g, gone.from);
}

int node_add_input(FuncGraph *g, Node *n, Node *from) {
        if (GROW_FROM(n->in, n->n_in, n->capacity_in, n->in_place) < 0)
                return -ENOMEM;
        n->in[n->n_in++] = (NodeInput) {};
        int r = from ? node_set_input(g, n, n->n_in - 1, from) : 0;
        if (r < 0)
                n->n_in--;
        return r;
}

static void queue_outputs(FuncGraph *g, Node *n) {
        for (uint32_t i = 0; i < n->n_out; i++)
                node_queue(g, n->out[i].to);
}

void node_set(FuncGraph *g, Node *n, Value v) {
        if (n->set && !n->failure && value_same(n->value, v)) {
                value_done(&v);
                return;
        }
        if (n->failure)
                n->failure = failure_unref(n->failure);
        value_done(&n->value);
        n->value = v;
        n->set = true;
        queue_outputs(g, n);
}

void node_fail(FuncGraph *g, Node *n, Failure *f) {
        if (n->failure == f) {
                failure_unref(f);
                return;
        }
        failure_unref(n->failure);
        value_done(&n->value);
        n->failure = f;
        n->set = true;
        queue_outputs(g, n);
}

void node_unset(FuncGraph *g, Node *n) {
        if (!n->set)
                return;
        n->set = false;
        n->failure = failure_unref(n->failure);
        value_done(&n->value);
        queue_outputs(g, n);
}

/* What cannot be caught must not be hidden behind what can. */
static Failure *worst_failure(const Node *n, uint32_t from, uint32_t end) {
        Failure *worst = NULL;

        for (uint32_t i = from; i < end; i++) {
                Failure *f = n->in[i].from ? n->in[i].from->failure : NULL;
                if (f && (!worst || (worst->catchable && !f->catchable)))
                        worst = f;
        }
        return worst;
}

bool node_ready(FuncGraph *g, Node *n, uint32_t from, uint32_t end) {
        bool failed = false;

        for (uint32_t i = from; i < end; i++) {
                const Node *input = n->in[i].from;
                if (!input)
                        continue;
                if (!input->set) {
                        node_unset(g, n);
                        return false;
                }
                failed = failed || input->failure;
        }
        if (failed)
                node_fail(g, n, failure_ref(worst_failure(n, from, end)));
        return !failed;
}

static const NodeType source_type = { .name = "source", .size = sizeof(Node) };

Node *node_constant(FuncGraph *g, Value v) {
        Node *n = node_new(g, &source_type, (Pos) {});
        if (!n) {
                value_done(&v);
                return NULL;
        }
        n->value = v;
        n->set = true;
        return n;
}

int node_freeze(FuncGraph *g, Node *n) {
        if (n->type->done)
                n->type->done(g, n);
        n->type = &source_type;
        while (n->n_in > 0) {
                int r = node_set_input(g, n, n->n_in - 1, NULL);
                if (r < 0)
                        return r;
                n->n_in--;
        }
        n->constant = true;
        return 0;
}

/* ---- waves ---- */

static int run_node(FuncGraph *g, Node *n) {
        if (!n->type->run)
                return 0;
        g->n_runs++;
        return n->type->manual || node_ready(g, n, 0, n->n_in) ? n->type->run(g, n) : 0;
}

int funcgraph_run(FuncGraph *g) {
        Node *n;
        int r = 0;

        g->running = true;
        while (r >= 0 && (n = take_lowest(g))) {
                r = run_node(g, n);
                if (r < 0)
                        node_queue(g, n);       /* another attempt with the next wave */
        }
        g->running = false;
        g->n_made = 0;
        return r;
}

/* ---- environments ---- */

Env *env_ref(Env *e) {
        e->n_ref++;
        return e;
}

Env *env_unref(Env *e) {
        while (e && --e->n_ref == 0) {
                Env *parent = e->parent;
                for (uint32_t i = 0; i < e->n_held; i++)
                        node_drop(e->graph, e->slots[i]);
                free(e);
                e = parent;
        }
        return NULL;
}

/* ---- statements ---- */

StmtNode *stmt_node_new(FuncGraph *g, const NodeType *type, const Stmt *stmt) {
        StmtNode *s = (StmtNode *) node_new(g, type, stmt->pos);
        if (!s)
                return NULL;
        s->stmt = stmt;
        s->sequence = g->sequence++;
        node_queue(g, &s->node);
        return s;
}

void stmt_node_problem(FuncGraph *g, StmtNode *s, Failure *f) {
        bool had = s->problem;

        failure_unref(s->problem);
        s->problem = f;
        if (!had == !f)
                return;
        if (f) {
                s->prev_problem = NULL;
                s->next_problem = g->problems;
                if (g->problems)
                        g->problems->prev_problem = s;
                g->problems = s;
                return;
        }
        if (s->prev_problem)
                s->prev_problem->next_problem = s->next_problem;
        else
                g->problems = s->next_problem;
        if (s->next_problem)
                s->next_problem->prev_problem = s->prev_problem;
}

bool stmt_node_ready(FuncGraph *g, StmtNode *s) {
        for (uint32_t i = 0; i < s->node.n_in; i++) {
                const Node *from = s->node.in[i].from;
                if (from && !from->set) {
                        stmt_node_problem(g, s, NULL);
                        return false;
                }
        }
        Failure *f = worst_failure(&s->node, 0, s->node.n_in);
        if (f)
                stmt_node_problem(g, s, failure_ref(f));
        return !f;
}

void stmt_nodes_done(FuncGraph *g, StmtNodes *s) {
        for (size_t i = 0; i < s->n; i++)
                node_drop(g, &s->items[i]->node);
        free(s->items);
        *s = (StmtNodes) {};
}

const Failure *funcgraph_problem(const FuncGraph *g) {
        const StmtNode *first = g->problems;

        for (const StmtNode *s = g->problems; s; s = s->next_problem)
                if (s->sequence < first->sequence)
                        first = s;
        return first ? first->problem : NULL;
}

/* ---- the whole ---- */

int funcgraph_new(FuncGraph **ret, Program *p) {
        FuncGraph *g = calloc(1, sizeof(FuncGraph));
        if (!g)
                return -ENOMEM;
        g->program = p;
        g->max_nodes = NODES_MAX;
        g->max_made = NODES_MADE_MAX;
        g->root = calloc(1, sizeof(Env) + p->root->n_slots * sizeof(Node *));
        if (g->root) {
                g->root->n_ref = 1;
                g->root->level = p->root;
                g->root->graph = g;
        }
        if (!g->root || output_new(&g->output) < 0) {
                funcgraph_free(g);
                return -ENOMEM;
        }
        *ret = g;
        return 0;
}

FuncGraph *funcgraph_free(FuncGraph *g) {
        if (!g)
                return NULL;
        stmt_nodes_done(g, &g->statements);
        g->swept = NULL;
        funcgraph_sweep(g);
        g->root = env_unref(g->root);
        while (take_lowest(g))
                ;
        free(g->buckets);
        output_free(g->output);
        free(g);
        return NULL;
}

/* New nodes that were made but never used. None of them is an input of another one, so that letting one go leaves the others
 * alone. */
void funcgraph_sweep(FuncGraph *g) {
        _cleanup_free_ Node **loose = NULL;
        size_t n_loose = 0, capacity = 0;

        for (Node *n = g->nodes; n != g->swept; n = n->next)
                if (n->n_out == 0 && n->n_hold == 0) {
                        if (GROW(loose, n_loose, capacity) < 0)
                                return;         /* next time */
                        loose[n_loose++] = n;
                }
        g->swept = g->nodes;
        for (size_t i = 0; i < n_loose; i++)
                collect(g, loose[i]);
}

int funcgraph_build(FuncGraph *g) {
        return build_block(g, g->program->main->ast.block, g->root, &g->statements);
}
