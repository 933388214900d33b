/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The deploys that hosts share, in their store. Each has a number, in the order in which they were made, and is never changed: a host
 * runs the one with the highest number that is meant for it. Files are stored in parts, since requests to etcd have a limit; an entry
 * of the list counts once all parts are there. Old ones are removed: the last CLUSTER_DEPLOYS_KEPT of those that are meant for all
 * stay, and as many of those that are meant for some. */

#include <stdint.h>

#include "common/diag.h"
#include "common/macro.h"
#include "common/value.h"
#include "daemons/world/deploys.h"
#include "daemons/world/store.h"

enum {
        CLUSTER_DEPLOYS_KEPT = 10,
        CLUSTER_PART_SIZE = 512 * 1024,         /* bytes; etcd takes requests of 1.5 MiB */
        CLUSTER_PARTS_MAX = 64,                 /* all are removed in one commit */
};

typedef struct ClusterDeploys ClusterDeploys;
typedef struct ClusterFollower ClusterFollower;

/* The store is borrowed. */
int cluster_deploys_new(ClusterDeploys **ret, Store *s);
ClusterDeploys *cluster_deploys_free(ClusterDeploys *c);        /* what is under way ends with -ECANCELED */
DEFINE_CLEANUP(ClusterDeploys *, cluster_deploys_free)

/* What the store said about the error that the last callback has told; NULL: nothing more. Borrowed, until the next one. */
const char *cluster_deploys_problem(const ClusterDeploys *c, int error);

typedef struct ClusterAddition {
        Value bundle;           /* map{str: str} */
        Value options;          /* struct */
        uint64_t after;         /* it must follow this one, or fails with -ESTALE; 0: it may follow any */
        uint64_t above;         /* its number is higher than this: what this host knows of another life of the cluster */
        const char *token;      /* if there is one with this token already, that is it; NULL: it is new */
} ClusterAddition;

/* As with Deploys; it has a number, and all hosts can have it, when the callback is called. -EFBIG: it has more than fits. */
int cluster_deploys_add(ClusterDeploys *c, const ClusterAddition *a, deploys_callback_t callback, void *userdata, Diag *reterr);
int cluster_deploys_get(ClusterDeploys *c, uint64_t id, deploys_callback_t callback, void *userdata);
int cluster_deploys_list(ClusterDeploys *c, deploys_callback_t callback, void *userdata);       /* newest first, without bundles */

/* Called from the loop with the highest number of those that are meant for the host, and when that was made, at first (0: there is none)
 * and whenever it is another: in a cluster that was restored from a backup it may be one of before, or have the number of one. */
typedef void (*cluster_newest_callback_t)(uint64_t id, uint64_t time_usec, void *userdata);

int cluster_deploys_follow(ClusterDeploys *c, const char *hostname, cluster_newest_callback_t callback, void *userdata,
                           ClusterFollower **ret);
ClusterFollower *cluster_follower_free(ClusterFollower *f);
