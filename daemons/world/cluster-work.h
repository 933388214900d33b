/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Between the files about the deploys of a cluster: work that asks the store one thing after the other. */

#include <sys/queue.h>

#include "daemons/world/cluster-deploys.h"
#include "daemons/world/cluster-entry.h"

typedef struct ClusterWork ClusterWork;
typedef struct Type Type;

struct ClusterWork {
        ClusterDeploys *deploys;
        StoreCall *call;        /* the question of the moment; NULL: none */
        void (*end)(ClusterWork *w, int error);         /* frees it */
        TAILQ_ENTRY(ClusterWork) link;
};

struct ClusterDeploys {
        Store *store;
        const Type *bundle_type;
        TAILQ_HEAD(, ClusterWork) works;
        int error;              /* the last one of the store, and what it said about it, or NULL */
        char *problem;
};

void cluster_work_begin(ClusterWork *w, ClusterDeploys *c, void (*end)(ClusterWork *w, int error));
void cluster_work_end(ClusterWork *w, int error);

/* The question of the moment has this answer. Its error is returned, and what is said about it remembered. */
int cluster_work_answered(ClusterWork *w, const StoreReply *reply);
int cluster_work_list(ClusterWork *w, store_callback_t callback);      /* asks for all entries; userdata is the work */

Deploy cluster_entry_deploy(const ClusterEntry *e);     /* borrows what is in it; without the bundle */

/* Removes what is too old. Nobody waits for it; what is left over the next addition removes. */
void cluster_vacuum(ClusterDeploys *c);
