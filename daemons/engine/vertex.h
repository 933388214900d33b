/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A vertex: one declared resource and everything the engine knows about it. It is identified by kind and name and outlives a
 * replacement of its resource, so edges, pending notifications and the retry budget survive a change of parameters.
 *
 * A resource that is grouped into another is a vertex as well and keeps its own edges; but it is the top of its group, the
 * root, that is scheduled, on behalf of all its members. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/diag.h"
#include "common/graph.h"
#include "common/resource.h"

typedef struct KindSet KindSet;
typedef struct Manager Manager;
typedef struct Vertex Vertex;
typedef struct Semaphore Semaphore;
typedef struct sd_event_source sd_event_source;
typedef TAILQ_HEAD(VertexList, Vertex) VertexList;

/* What a vertex is doing. This enum and its names are what D-Bus, events and mgmtctl show. */
typedef enum VertexState {
        VERTEX_WAITING,         /* to be checked: for its watch, a predecessor, a semaphore, its turn, or what its kind needs */
        VERTEX_RUNNING,         /* an attempt is under way */
        VERTEX_OK,              /* checked, and right */
        VERTEX_DRIFTED,         /* checked under noop: something would have to be changed */
        VERTEX_RETRYING,        /* the last attempt failed; the next one follows after Meta:delay */
        VERTEX_FAILED,          /* given up, until there is news */
        _VERTEX_STATE_MAX,
} VertexState;

const char *vertex_state_name(VertexState s);

/* The data of a graph edge: why it is there. It goes when none of EDGE_REASONS is left. */
typedef enum EdgeFlags {
        EDGE_DECLARED   = 1 << 0,       /* by the program */
        EDGE_AUTO       = 1 << 1,       /* found by autoedge */
        EDGE_TRANSFER   = 1 << 2,       /* a value is sent along it; the receiving vertex knows which */
        EDGE_NOTIFY     = 1 << 3,
        EDGE_PENDING    = 1 << 4,       /* a notification that the target has not acted upon yet */
        EDGE_DECLARED_NOTIFY = 1 << 5,  /* NOTIFY comes from the declared edge, not (only) from a transfer */
        EDGE_TOLD       = 1 << 6,       /* the target's attempt under way (or its last) was told of the one that is pending */
        EDGE_REVERSAL   = 1 << 7,       /* both ends are reversals: what came later is undone first */
        EDGE_REASONS    = EDGE_DECLARED | EDGE_AUTO | EDGE_TRANSFER | EDGE_REVERSAL,
        EDGE_SAID       = EDGE_DECLARED | EDGE_DECLARED_NOTIFY | EDGE_TRANSFER | EDGE_NOTIFY,   /* by the program */
} EdgeFlags;

/* One value that comes in from another vertex. */
typedef struct Receive {
        VertexId sender;        /* VERTEX_NONE: nothing comes any more, the next attempt puts the declared value back */
        char *send_key;         /* owned */
        char *field;            /* owned */
        bool notify;
        bool transferred;       /* declared is known */
        Value declared;         /* what the field was before the first transfer */
} Receive;

typedef struct SentValue {
        const char *key;        /* the kind's own string */
        Value value;
} SentValue;

typedef struct AutoEdge {
        VertexId peer;
        uint32_t peer_serial;   /* Vertex.serial */
        bool after;             /* the peer comes after me */
} AutoEdge;

/* What only the top of a group has. */
typedef struct Group {
        Vertex **members;       /* children before their parents, the root last; owned array */
        size_t n_members;
} Group;

struct Vertex {
        Manager *manager;
        KindSet *kind;          /* while it is in the table */
        Resource *resource;     /* owned */
        Resource **twins;       /* hidden ones of the same kind and name, which nothing but exports.c cares about; owned, as the array is */
        size_t n_twins;
        VertexId id;
        uint32_t serial;        /* of this vertex: ids are used again, serials are not */
        uint64_t spec_hash;     /* of what its resource was declared as (graph-swap.c) */
        uint64_t named_in;      /* number of the last swap whose set spoke of it */
        struct SwapEntry *swap; /* while a change of the graph is being built */

        VertexState state;
        VertexState told;       /* the last one that was an event; a new vertex need not say that it is ok */
        bool counted;           /* it is in the scheduler's hands */
        bool fresh;             /* new, so its retry budget is full */
        bool unpublished;       /* root: it is right, but has twins that are to be exported when its predecessors are right */
        bool reversal;          /* it is not in the program: it undoes what was, and then goes */
        bool realized;          /* this resource has been right once */
        bool dirty;             /* must be checked: something may have changed since the last attempt began */
        bool watching;          /* root: its members are watched, or about to be */
        bool hooked;            /* this member's watch hook was called, and unwatch was not */
        bool armed;             /* this member's watch is armed (or it has none) */
        bool prepared;
        bool watch_waits;       /* root: a watch needs what is not there yet, and will be tried again */
        uint32_t n_watch_waits; /* how often in a row */
        bool blind;             /* the kernel had no watches left for it */
        bool polled;            /* so it is looked at from time to time */
        size_t n_unarmed;       /* root: members whose watch is not armed yet */
        bool covered;           /* the parent's check_apply covers this one */
        bool starved;           /* the kind waits for something outside: only an event starts the next attempt */
        bool notifies;          /* it has edges that carry notifications */
        bool acting;            /* the journal says that an attempt which may have to notify is under way */
        bool owes;              /* attempts that were cut off, or failed half-way, may have done what nobody was notified of */

        int32_t retries, watch_retries; /* what is left; negative: for ever */
        uint32_t failures;      /* in a row */
        uint32_t n_given_up;    /* likewise */
        uint64_t rest_usec;     /* CLOCK_MONOTONIC: having given up, it makes no attempt before, whatever the news */
        uint32_t attempt;       /* counts attempts; late results of proxies are known by it */

        /* The attempt under way. */
        uint64_t attempt_usec;  /* CLOCK_MONOTONIC: when it began */
        size_t step;            /* which member */
        Vertex *pending;        /* the member whose check_apply has yet to finish */
        bool changed;           /* some member was wrong */
        Diag *export_error;     /* owned; what it is to export could not be published: it fails in the end. NULL: all is well */

        /* Waiting: in one list at a time. */
        VertexList *list;
        TAILQ_ENTRY(Vertex) link;
        VertexList waiters;     /* vertices that this one keeps from running */
        Vertex *blocker;        /* in whose waiters this one is */
        uint32_t scan;          /* predecessors are asked in a circle that begins here */
        Semaphore **semaphores; /* held or wanted, sorted; owned array */
        size_t n_semaphores;
        bool holds_semaphores;

        sd_event_source *delay_timer;   /* before a retry of the attempt or of the watch */
        sd_event_source *timeout_timer; /* of the attempt under way */
        sd_event_source *poll_timer;
        sd_event_source *limit_timer;   /* until the next token */
        double tokens;
        uint64_t tokens_usec;   /* when they were counted last; 0: never */

        /* Grouping. */
        Vertex *parent;
        Group *group;           /* NULL if nothing is grouped into this one */

        /* Send and receive. */
        Receive *receives;
        size_t n_receives, capacity_receives;
        SentValue *sent;
        size_t n_sent, capacity_sent;

        /* Autoedge: edges this vertex asked for. */
        AutoEdge *auto_edges;
        size_t n_auto_edges, capacity_auto_edges;
        uint32_t offer_serial, want_serial;     /* what the index has under other numbers is out of date */

        /* While a change of the graph is being built. */
        Vertex *regroup_parent, *regroup_children, *regroup_sibling;
        bool regroup_hit;       /* the group of this root changes */
        uint8_t regroup_marks;

        /* What attempts find wrong, see drift.h. */
        Differences *differences;       /* owned; NULL: nothing */
        char *last_change;      /* owned; the fields that the last attempt which changed something has changed, NULL: none, or it did
                                 * not say. Not what was in them: everybody may see this on the bus */
        bool behind_drift;      /* root, noop: something before it would be changed, so what it comes to is a guess */
        bool was_drifted, was_guess;    /* root, noop: as those behind it were told */
        uint64_t told_drift;    /* hash of the text that was told last */

        VertexId notified_by;   /* the last that notified it, if notified_usec is not 0 */
        uint32_t notified_by_serial;
        uint64_t notified_usec; /* CLOCK_REALTIME; 0: never */

        uint64_t last_check_usec, last_apply_usec;      /* CLOCK_REALTIME; 0: never */
        Diag error;             /* of the last failure, until an attempt succeeds; or what it waits for */

        bool bus_dirty;         /* PropertiesChanged is due */
        bool bus_announced;     /* InterfacesAdded was sent */
        TAILQ_ENTRY(Vertex) bus_link;
};

int vertex_new(Vertex **ret, Manager *m, Resource *resource);   /* takes the resource, on success */
Vertex *vertex_free(Vertex *v);
DEFINE_CLEANUP(Vertex *, vertex_free)

static inline const char *vertex_kind(const Vertex *v) {
        return v->resource->type->kind;
}

static inline const char *vertex_name(const Vertex *v) {
        return v->resource->name;
}

static inline Vertex *vertex_root(Vertex *v) {
        while (v->parent)
                v = v->parent;
        return v;
}

/* Checked, right (as far as noop allows) and not dirty: successors may run. */
static inline bool vertex_is_clean(const Vertex *v) {
        return (v->state == VERTEX_OK || v->state == VERTEX_DRIFTED) && !v->dirty;
}

static inline size_t vertex_n_members(const Vertex *v) {
        return v->group ? v->group->n_members : 1;
}

static inline Vertex *vertex_member(Vertex *v, size_t i) {
        return v->group ? v->group->members[i] : v;
}

void vertex_set_twins(Vertex *v, Resource **twins, size_t n);   /* takes the array and what is in it */

void vertex_set_export_error(Vertex *v, Diag *diag);    /* takes the content; NULL: none */

/* Keeps the content of diag as v's error, fit to be shown. */
void vertex_set_error(Vertex *v, Diag *diag);

/* Removes v from whatever list it is in. */
void vertex_unlist(Vertex *v);
void vertex_enlist(Vertex *v, VertexList *list);

/* The value last sent under a key, or NULL. */
const Value *vertex_sent(const Vertex *v, const char *key);

/* Keeps a value for receivers: 1 if it differs from the one before. */
int vertex_send(Vertex *v, const char *key, Value value);
void vertex_forget_sent(Vertex *v);

void receive_done(Receive *r);
