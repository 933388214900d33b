/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files of the etcd store know of each other. */

#include <sys/queue.h>

#include "daemons/world/etcd.h"
#include "daemons/world/store.h"

typedef struct EtcdBundle EtcdBundle;
typedef struct EtcdWatch EtcdWatch;
typedef struct EtcdStore EtcdStore;
typedef struct Map Map;

/* Below this stands all that is ours, in this version's form. */
#define ETCD_ROOT "/mgmt/1/"

struct EtcdStore {
        Store store;            /* first */
        sd_event *event;
        Etcd *etcd;
        TAILQ_HEAD(, EtcdBundle) bundles;
        TAILQ_HEAD(, EtcdWatch) watches;
        Map *by_id;
        uint64_t last_watch;
        bool was_down;
};

static inline EtcdStore *etcd_store(Store *s) {
        return container_of(s, EtcdStore, store);
}

/* The beginning of a question: "key":…,"range_end":… */
void etcd_put_range(StrBuf *b, StoreRange range);

/* The items of an answer: array of KeyValue, or of events if they are that. Released by etcd_items_free(). */
int etcd_items(json_object *array, bool events, int64_t from_revision, StoreItem **ret, size_t *ret_n);
void etcd_items_free(StoreItem *items, size_t n);

/* ---- watches (store-etcd-watch.c) ---- */

int etcd_watches_init(EtcdStore *s);
void etcd_watches_done(EtcdStore *s);
void etcd_watches_changed(EtcdStore *s);        /* the cluster went down, or is back */
int etcd_watch(Store *store, StoreRange range, store_watch_callback_t callback, void *userdata, StoreWatch **ret);
void etcd_unwatch(StoreWatch *watch);
void etcd_watches_look(Store *store);

/* ---- leases (store-etcd-lease.c) ---- */

int etcd_lease(Store *store, uint32_t ttl_sec, store_lease_callback_t callback, void *userdata, StoreLease **ret);
void etcd_unlease(StoreLease *lease, bool revoke);
