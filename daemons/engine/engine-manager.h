/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the engine consists of. Nothing here needs a bus, a socket or systemd, so tests drive a whole engine in their own
 * process: manager_new(), change sets, the loop. */

#include <stdbool.h>
#include <stdint.h>

#include "common/change-set.h"
#include "common/graph.h"
#include "common/map.h"
#include "common/resource.h"
#include "common/sd/kernel-watch.h"
#include "common/sd/names.h"
#include "common/sd/path-watch.h"
#include "daemons/engine/converger.h"
#include "daemons/engine/events.h"
#include "daemons/engine/graph-swap.h"
#include "daemons/engine/host-bus.h"
#include "daemons/engine/metrics.h"
#include "daemons/engine/notify-journal.h"
#include "daemons/engine/proxy.h"
#include "daemons/engine/scheduler.h"
#include "daemons/engine/swap-memo.h"
#include "daemons/engine/vertex.h"

typedef struct Daemon Daemon;
typedef struct Exports Exports;
typedef struct GraphHold GraphHold;
typedef struct GraphLink GraphLink;
typedef struct ResourceBus ResourceBus;
typedef struct Reversals Reversals;
typedef struct UidIndex UidIndex;

/* From the command line. */
typedef struct EngineOptions {
        bool noop;                      /* for every resource */
        bool plan;                      /* with noop: find out what would be changed, once: no watches, no retries, no waiting for what
                                         * does not come by itself */
        const char *state_of;           /* with plan: the directory of the engine whose place this one takes; NULL: our own */
        uint32_t sema;                  /* at most so many attempts at once; 0: no limit */
        int converger_timeout;          /* seconds; negative: instant, and no status file */
        const char *status_file;
        const char *hostname;           /* in the cluster; NULL: that of the machine */
} EngineOptions;

/* All vertices of one kind. */
struct KindSet {
        const ResourceType *type;
        Map *by_name;                   /* → Vertex */
        bool planned;                   /* autogroup.c: it has groups, or may have; as of the last change of the graph */
        KindMetrics metrics;
};

struct Manager {
        Daemon *daemon;                 /* NULL in tests */
        sd_event *event;
        EngineOptions options;
        ResourceHost host;              /* for our own kinds and for proxies alike */
        char *hostname, *state_dir;
        const ResourceType *const *types;       /* the kinds of this daemon */
        PathWatcher *paths;
        uint64_t fallback_poll_usec;    /* between two looks at what cannot be watched */
        uint64_t watch_wait_usec;       /* before a watch that waits is tried again, the first time; it doubles */
        uint64_t rest_usec;             /* of who gives up twice in a row, whatever the news; it doubles each time */
        Names *names;
        const char *etc;                /* where they look; NULL: /etc */
        KernelWatcher kernel;
        HostBus *buses[_HOST_BUS_MAX];  /* NULL until a kind needs it */

        Graph *graph;
        Vertex **vertices;              /* by id; NULL where there is none */
        size_t capacity_vertices;
        Map *kinds;                     /* → KindSet; none goes before the manager does */
        KindSet *recent_kind;           /* that a vertex was put into last, or NULL */
        uint32_t last_serial;
        uint64_t n_swaps;               /* that were begun */
        UidIndex *uids;

        bool has_graph;
        uint64_t generation, deploy;
        SwapOptions swap_options;       /* of the last change of the graph */
        SwapMemo memo;

        Metrics metrics;
        Scheduler scheduler;
        Converger converger;
        Events *events;
        NotifyJournal *journal;
        bool journal_fails;             /* and somebody was told */
        Reversals *reversals;
        Exports *exports;
        Proxies *proxies;               /* NULL if the kinds of other daemons are not known */
        GraphLink *link;                /* NULL in tests */
        GraphHold *hold;                /* of the link, or of a test; may be NULL */
        ResourceBus *resource_bus;      /* NULL in tests */
};

/* state_dir exists. kinds_path: kinds.json, or NULL. */
int manager_new(Manager **ret, sd_event *event, const ResourceType *const *types, const char *state_dir,
                const char *kinds_path, const EngineOptions *options);
Manager *manager_free(Manager *m);
DEFINE_CLEANUP(Manager *, manager_free)

const ResourceType *manager_type(Manager *m, const char *kind);         /* ours, or a proxy's; NULL if unknown */
Vertex *manager_find(const Manager *m, const char *kind, const char *name);
Vertex *manager_vertex(const Manager *m, VertexId id);

/* The table of vertices by kind and name. */
int manager_index(Manager *m, Vertex *v);
void manager_unindex(Manager *m, Vertex *v);

/* Told by the scheduler: the state of a root is another, or details of it changed. */
void manager_state_changed(Manager *m, Vertex *v, VertexState before);
void manager_repaired(Manager *m, Vertex *v);

/* The bus face: org.mgmt.engine1.Manager (engine-bus.c). */
int manager_export(Manager *m);
void manager_emit_graph_changed(Manager *m);
void manager_emit_converged_changed(Manager *m);
