/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The function graph: what a program computes, node by node, again and again. A node is higher than all it depends on; changed
 * nodes wait in a queue ordered by height, so that a node runs at most once per wave and never sees one new and one old input.
 * A node whose value comes out equal ends the wave there. Nodes live as long as something depends on them. */

#include "lang/program.h"

typedef struct Env Env;
typedef struct Failure Failure;
typedef struct FuncGraph FuncGraph;
typedef struct Node Node;
typedef struct Output Output;

/* Why a node has no value. Shared by all that depend on it. */
struct Failure {
        uint32_t n_ref;
        bool catchable;         /* <|> may take another value */
        bool interpret;         /* found while making resources, not while computing values */
        Diag diag;
};

typedef struct NodeType {
        const char *name;
        size_t size;            /* of the struct that begins with Node */
        /* Computes the node from its inputs and calls node_set() or node_fail(), or neither if it was put off. Negative only
         * when out of memory. */
        int (*run)(FuncGraph *g, Node *n);
        void (*done)(FuncGraph *g, Node *n);
        bool manual;            /* looks at missing and failed inputs itself; otherwise the graph does */
} NodeType;

typedef struct NodeInput {
        Node *from;             /* NULL: not connected */
        uint32_t at;            /* place among from's outputs */
} NodeInput;

typedef struct NodeOutput {
        Node *to;
        uint32_t input;         /* place among to's inputs */
} NodeOutput;

/* Most nodes have one or two inputs and one output: those stand in the node itself. What a wave touches comes first. */
enum { NODE_INPUTS_IN_PLACE = 2, NODE_OUTPUTS_IN_PLACE = 2 };

struct Node {
        uint32_t n_hold;        /* who keeps it besides its outputs */
        uint32_t slot;          /* where env remembers it */
        Env *env;               /* or NULL */
        Pos pos;
        Node *prev, *next;      /* of all nodes */
        uint32_t capacity_in, capacity_out;
        /* From here on, what each wave needs; nodes are many, and the nearer it stands together the better. */
        Value value;
        Failure *failure;
        const NodeType *type;
        Node *queue_next;
        uint32_t height;
        bool set;               /* has a value (nil counts) or a failure; if not, it is still to come */
        bool queued;
        bool dead : 1, constant : 1;
        bool placed : 1;        /* calls that give it have no say in where it stands, see stamp() */
        uint32_t n_in, n_out;
        NodeInput *in;          /* in_place, or owned */
        NodeOutput *out;        /* likewise */
        NodeInput in_place[NODE_INPUTS_IN_PLACE];
        NodeOutput out_place[NODE_OUTPUTS_IN_PLACE];
};

/* Where the values of one instance of a Level live: parameters are held, definitions are only remembered while they exist. */
struct Env {
        uint32_t n_ref;
        uint32_t n_held;
        Level *level;
        Env *parent;
        FuncGraph *graph;
        Node *slots[];
};

/* A statement that is active: what it says, or why it cannot. */
typedef struct StmtNode {
        Node node;
        const Stmt *stmt;
        uint64_t sequence;      /* order of appearance */
        Failure *problem;
        struct StmtNode *prev_problem, *next_problem;
} StmtNode;

typedef struct StmtNodes {
        StmtNode **items;       /* owned, each is held */
        size_t n, capacity;
} StmtNodes;

typedef struct Bucket {
        Node *first, *last;
} Bucket;

struct FuncGraph {
        Program *program;
        Env *root;
        StmtNodes statements;
        Node *nodes;            /* all, the newest first */
        Node *swept;            /* the newest one that funcgraph_sweep() has seen */
        size_t n_nodes, n_made; /* that there are; that were made since the wave before */
        size_t max_nodes, max_made;     /* so many there may be, and be made; NODES_MAX and NODES_MADE_MAX, but for tests */
        bool too_large;         /* more were wanted, the last one there */
        Pos too_large_at;
        Node *loose;            /* to be let go of; chained by their first output, while collecting */
        bool collecting;
        Bucket *buckets;        /* queued nodes by height, in the order in which they came */
        uint32_t n_buckets, lowest;
        size_t n_dead;          /* of those in the queue */
        uint64_t n_runs;        /* how often a node ran, for tests and benchmarks */
        uint64_t sequence;
        unsigned depth;         /* of building */
        StmtNode *problems;
        Output *output;

        Diag error;             /* empty, but while a node is failing: so that nodes need not prepare one each time */

        bool running;           /* a wave is under way */
        size_t n_waiting;       /* sources whose value is still to come */
        struct SourceNode *spoken;      /* sources that said something and want to know that it was taken */
};

/* A program can be short and want more than any host has: functions that call others twice, loops in loops. */
enum {
        NODES_MAX = 4 * 1024 * 1024,            /* at once */
        NODES_MADE_MAX = 16 * 1024 * 1024,      /* in one wave: those of calls that are computed once are soon gone again */
};

int funcgraph_new(FuncGraph **ret, Program *p);
FuncGraph *funcgraph_free(FuncGraph *g);
int funcgraph_build(FuncGraph *g);      /* the whole program; nothing runs yet */
int funcgraph_run(FuncGraph *g);        /* until nothing is queued */
void funcgraph_sweep(FuncGraph *g);     /* lets go of nodes that building left over */
const Failure *funcgraph_problem(const FuncGraph *g);   /* the first in the program, or NULL */

/* ---- nodes ---- */

Node *node_new(FuncGraph *g, const NodeType *type, Pos pos);
Node *node_new_with(FuncGraph *g, const NodeType *type, size_t extra, Pos pos);         /* with that many bytes after its struct */
int node_add_input(FuncGraph *g, Node *n, Node *from);  /* 0 or -ENOMEM */
int node_set_input(FuncGraph *g, Node *n, uint32_t i, Node *from);      /* NULL: none, and n need not run for that */
/* As both, from a node that runs and has seen what from is: it does not run again for that. */
int node_see_input(FuncGraph *g, Node *n, Node *from);
void node_forget_input(FuncGraph *g, Node *n, uint32_t i);      /* the last one takes its place */
void node_hold(Node *n);
void node_drop(FuncGraph *g, Node *n);  /* lets go of a hold; accepts NULL */
void node_queue(FuncGraph *g, Node *n);
void node_set(FuncGraph *g, Node *n, Value v);          /* takes the reference */
void node_fail(FuncGraph *g, Node *n, Failure *f);      /* takes the reference */
void node_unset(FuncGraph *g, Node *n);                 /* its value is still to come */
/* Whether all inputs from one place up to, without, another have values. If not, the node has none either, for the same reason. */
bool node_ready(FuncGraph *g, Node *n, uint32_t from, uint32_t end);
Failure *failure_new(Diag *d, Pos pos, bool catchable); /* takes the content of d; pos where d has no place. NULL if out of memory */
Failure *failure_ref(Failure *f);

/* Makes a node that has a value a constant, without inputs. */
int node_freeze(FuncGraph *g, Node *n);

/* A node without inputs: what its value is, it stays. */
Node *node_constant(FuncGraph *g, Value v);

/* node-builtin.c: a change set was made of what sources said; they may say the next. */
void sources_taken(FuncGraph *g);

/* ---- building ---- */

Env *env_ref(Env *e);
Env *env_unref(Env *e);
int build_expr(FuncGraph *g, Expr *e, Env *env, Node **ret);
int build_block(FuncGraph *g, const Block *b, Env *env, StmtNodes *ret);
void stmt_nodes_done(FuncGraph *g, StmtNodes *s);

/* statements.c: those that make resources and edges. */
int build_resource(FuncGraph *g, const Stmt *s, Env *env, StmtNode **ret);
int build_edge(FuncGraph *g, const Stmt *s, Env *env, StmtNode **ret);
StmtNode *stmt_node_new(FuncGraph *g, const NodeType *type, const Stmt *s);
void stmt_node_problem(FuncGraph *g, StmtNode *s, Failure *f);  /* takes the reference; NULL: none any more */
/* Whether all inputs have values; else the problem is noted (or the node waits). */
bool stmt_node_ready(FuncGraph *g, StmtNode *s);
