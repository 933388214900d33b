/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What stands in the store of a cluster about a deploy, beside its files: JSON under deploys/list/ID. */

#include "daemons/world/deploys.h"
#include "daemons/world/store.h"

/* Keys of deploys/list/ are in the order of their numbers. */
#define CLUSTER_LIST "deploys/list/"
#define CLUSTER_PARTS "deploys/parts/"

typedef struct ClusterEntry {
        uint64_t id;            /* from the key */
        int64_t modified;       /* the revision that wrote it */
        uint64_t time_usec, n_files, size_bytes;
        uint32_t n_parts;
        bool complete;          /* its files are all there */
        char *token;            /* of the request that made it, so that one that is repeated makes no other */
        Value options;          /* struct */
} ClusterEntry;

char *cluster_entry_key(uint64_t id);
int cluster_entry_number(const char *key, uint64_t *ret);       /* -EBADMSG: the key of no entry */
char *cluster_part_key(uint64_t id, uint32_t part);
int cluster_entry_encode(const ClusterEntry *e, char **ret);

/* -EBADMSG: it is none that this version can read. */
int cluster_entry_decode(const StoreItem *item, ClusterEntry *ret);
bool cluster_entry_is_for(const ClusterEntry *e, const char *hostname);        /* NULL: for everybody */
void cluster_entry_done(ClusterEntry *e);

/* All that can be read, the newest first. Released by cluster_entries_free(). */
int cluster_entries_decode(const StoreItem *items, size_t n, ClusterEntry **ret, size_t *ret_n);
void cluster_entries_free(ClusterEntry *entries, size_t n);
