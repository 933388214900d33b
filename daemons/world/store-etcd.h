/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files of the etcd store know of each other. */

#include <sys/queue.h>

#include "daemons/world/etcd.h"
#include "daemons/world/store.h"

typedef struct EtcdBundle EtcdBundle;
typedef struct EtcdLease EtcdLease;
typedef struct EtcdWatch EtcdWatch;
typedef struct EtcdStore EtcdStore;
typedef struct Map Map;
typedef struct sd_event_source sd_event_source;

/* Below this stands all that is ours, in this version's form. */
#define ETCD_ROOT "/mgmt/1/"

/* When something was so: see store-etcd-history.c. */
typedef struct EtcdMoment {
        uint64_t cluster;       /* its name; 0: none is known yet */
        int64_t term, revision;
        unsigned history;       /* ours: another number for another history */
} EtcdMoment;

struct EtcdStore {
        Store store;            /* first */
        sd_event *event;
        Etcd *etcd;
        TAILQ_HEAD(, EtcdBundle) bundles;
        TAILQ_HEAD(, EtcdWatch) watches;
        Map *by_id;
        uint64_t last_watch;
        TAILQ_HEAD(, EtcdLease) leases;
        bool was_down;
        EtcdMoment now;         /* the latest that was heard of */
        sd_event_source *anew;  /* somebody has to be told that it is another history */
        char *landmark;         /* the key that was written last, of all that watches have told of; NULL: there is none */
        int64_t landmark_at;    /* the revision that wrote it */
        EtcdCall *asking;       /* whether it is as before; NULL: nobody does */
        EtcdMoment asked;       /* when that was */
        int64_t asked_for;      /* landmark_at then; 0: there was none */
        unsigned asked_at;      /* etcd_generation() then */
};

static inline EtcdStore *etcd_store(Store *s) {
        return container_of(s, EtcdStore, store);
}

/* The beginning of a question: "key":…,"range_end":… */
void etcd_put_range(StrBuf *b, StoreRange range);

/* The items of an answer: array of KeyValue, or of events if they are that. Released by etcd_items_free(). */
int etcd_items(json_object *array, bool events, int64_t from_revision, StoreItem **ret, size_t *ret_n);
void etcd_items_free(StoreItem *items, size_t n);

/* ---- whether it is still the same history (store-etcd-history.c) ---- */

/* answer: to a read or a commit; asked: EtcdStore.now at that question. */
void etcd_heard(EtcdStore *s, json_object *answer, const EtcdMoment *asked);
void etcd_history_ask(EtcdStore *s);                    /* if that was not done since we connected */
void etcd_history_note(EtcdStore *s, const StoreItem *items, size_t n);
void etcd_history_done(EtcdStore *s);
int etcd_on_anew(sd_event_source *source, void *userdata);

int64_t etcd_revision(json_object *answer);

/* ---- watches (store-etcd-watch.c) ---- */

int etcd_watches_init(EtcdStore *s);
void etcd_watches_done(EtcdStore *s);
void etcd_watches_changed(EtcdStore *s);        /* the cluster went down, or is back */
int etcd_watch(Store *store, StoreRange range, store_watch_callback_t callback, void *userdata, StoreWatch **ret);
void etcd_unwatch(StoreWatch *watch);
void etcd_watches_look(Store *store);
void etcd_watches_anew(EtcdStore *s);

/* ---- leases (store-etcd-lease.c) ---- */

int etcd_lease(Store *store, uint32_t ttl_sec, store_lease_callback_t callback, void *userdata, StoreLease **ret);
void etcd_unlease(StoreLease *lease, bool revoke);
void etcd_leases_anew(EtcdStore *s);
