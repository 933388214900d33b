/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What hosts share: keys in the order of their bytes, each with some bytes under it and the revision that wrote them. This is the one
 * interface of stores. What is behind it may be a database of this host or a cluster, so every answer comes later, from the loop.
 *
 * A revision is a number that grows with every change of the store. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/diag.h"
#include "common/macro.h"

typedef struct Database Database;
typedef struct Store Store;
typedef struct StoreCall StoreCall;
typedef struct StoreLease StoreLease;
typedef struct StoreOps StoreOps;
typedef struct StoreWatch StoreWatch;
typedef struct Troubles Troubles;
typedef struct sd_event sd_event;

enum {
        STORE_KEY_MAX = 4096,           /* bytes, without the final NUL */
        STORE_WRITES_MAX = 100,         /* of one commit, and as many conditions: etcd takes 128 */
};

int store_open_sqlite(Store **ret, Database *d);
int store_open_etcd(Store **ret, sd_event *event, const char *endpoints, Diag *reterr); /* "https://a:2379,https://b:2379" */
Store *store_free(Store *s);    /* no watches and leases may be left; calls that wait end with -ECANCELED, here or with the database */
DEFINE_CLEANUP(Store *, store_free)

void store_changed(Store *s);   /* anything may have changed, behind our back: all watches look again */

/* Why the store cannot be reached just now, for people; NULL if it can, as far as anybody knows. */
const char *store_problem(const Store *s);

typedef struct StoreItem {
        const char *key;
        const void *data;       /* NULL, in news: it was removed */
        size_t size;
        int64_t modified;       /* the revision that wrote, or removed, it */
} StoreItem;

/* One key, or all that begin with it. */
typedef struct StoreRange {
        const char *key;
        bool below;
} StoreRange;

/* ---- calls ---- */

typedef struct StoreReply {
        int error;              /* 0 or negative errno. -EHOSTDOWN: it cannot be reached; what a commit asked for has not happened.
                                 * -EINPROGRESS: the answer of a commit was lost, so it may have happened or not */
        const char *problem;    /* with an error: more about it, for people; NULL: strerror() says it all */
        const StoreItem *items; /* of a read, in order; borrowed */
        size_t n;
        bool holds;             /* of a commit: whether its conditions held */
        int64_t revision;       /* what the store was at */
} StoreReply;

/* Called once, never before the function that started the call has returned. */
typedef void (*store_callback_t)(const StoreReply *reply, void *userdata);

int store_read(Store *s, StoreRange range, store_callback_t callback, void *userdata, StoreCall **ret);

typedef enum StoreConditionKind {
        STORE_MODIFIED,         /* the key was written last by this revision; 0: it is not there */
        STORE_EQUAL,            /* the key is there, with these bytes */
} StoreConditionKind;

typedef struct StoreCondition {
        StoreConditionKind kind;
        const char *key;
        int64_t modified;
        const void *data;
        size_t size;
} StoreCondition;

typedef struct StoreWrite {
        const char *key;
        const void *data;       /* NULL: the key is removed, if it is there */
        size_t size;
        StoreLease *lease;      /* with which the key goes; it is held. NULL: it stays */
        int64_t lease_id;       /* for stores: of a copy, whose lease may be gone */
} StoreWrite;

/* If all conditions hold the first writes are made, else the others; at once, or not at all. No key is written twice. */
typedef struct StoreCommit {
        const StoreCondition *conditions;
        size_t n_conditions;
        const StoreWrite *writes, *otherwise;
        size_t n_writes, n_otherwise;
} StoreCommit;

/* When the callback reports success, it has happened for good. Everything is copied. */
int store_commit(Store *s, const StoreCommit *commit, store_callback_t callback, void *userdata, StoreCall **ret);

/* The callback will not be called; whether the writes take place is open. The call is gone. Returns NULL. */
StoreCall *store_call_cancel(StoreCall *c);

/* ---- watches ---- */

typedef struct StoreNews {
        bool snapshot;          /* the items are all that there is: what is not among them is gone */
        bool anew;              /* a snapshot of another history: the store was restored from a backup, or made anew, and revisions say
                                 * nothing about those that were told before */
        const StoreItem *items; /* borrowed; none, and no snapshot: the store, which could not be reached, can be again */
        size_t n;
        int64_t revision;
        int error;              /* why there is no first snapshot yet; -EHOSTDOWN: it comes when the store is back. Else 0 */
} StoreNews;

/* First a snapshot, before which there may be errors, then each change after it, in the order of revisions, none lost and none twice.
 * What cannot be told that way (the store has forgotten what it was since a lost connection) is another snapshot. A watch never breaks:
 * it waits, and goes on. Called from the loop. The callback may free its watch. */
typedef void (*store_watch_callback_t)(StoreWatch *w, const StoreNews *news, void *userdata);

int store_watch(Store *s, StoreRange range, store_watch_callback_t callback, void *userdata, StoreWatch **ret);
StoreWatch *store_watch_free(StoreWatch *w);
DEFINE_CLEANUP(StoreWatch *, store_watch_free)

/* ---- leases: what is written with one goes when its holder does ---- */

/* held is true when it was granted, at first and after each loss; false when it was lost, and with it all that was written under it.
 * Called from the loop. */
typedef void (*store_lease_callback_t)(StoreLease *l, bool held, void *userdata);

/* It is kept alive until it is freed; if this host falls silent, it runs out after ttl_sec. */
int store_lease_new(Store *s, uint32_t ttl_sec, store_lease_callback_t callback, void *userdata, StoreLease **ret);
bool store_lease_held(const StoreLease *l);
int64_t store_lease_id(const StoreLease *l);    /* of one that is held: no other ever has it */

/* revoke: what was written under it goes at once; else in ttl_sec. Returns NULL. */
StoreLease *store_lease_free(StoreLease *l, bool revoke);

/* What stands under a lease that nobody holds any more goes at once. -ESTALE: there is no such lease (any more). */
int store_lease_end(Store *s, int64_t id, store_callback_t callback, void *userdata, StoreCall **ret);

/* ---- for stores: the first members of theirs ---- */

struct StoreOps {
        int (*read)(Store *s, StoreRange range, store_callback_t callback, void *userdata, StoreCall **ret);
        int (*commit)(Store *s, const StoreCommit *commit, store_callback_t callback, void *userdata, StoreCall **ret);
        void (*cancel)(StoreCall *c);
        int (*watch)(Store *s, StoreRange range, store_watch_callback_t callback, void *userdata, StoreWatch **ret);
        void (*unwatch)(StoreWatch *w);
        int (*lease)(Store *s, uint32_t ttl_sec, store_lease_callback_t callback, void *userdata, StoreLease **ret);
        void (*unlease)(StoreLease *l, bool revoke);
        int (*lease_end)(Store *s, int64_t id, store_callback_t callback, void *userdata, StoreCall **ret);
        void (*changed)(Store *s);
        const char *(*problem)(const Store *s);
        void (*free)(Store *s);
};

struct Store {
        const StoreOps *ops;
        Troubles *troubles;     /* where it says what it, and whoever uses it, cannot do; borrowed, NULL: in the log alone */
};

struct StoreCall {
        Store *store;
};

struct StoreWatch {
        Store *store;
};

struct StoreLease {
        Store *store;
        int64_t id;             /* while it is held */
        bool held;
};

/* A copy of a commit that was asked for; writes[1] are those of "otherwise". */
typedef struct StoreCommitCopy {
        StoreCondition *conditions;
        StoreWrite *writes[2];
        size_t n_conditions, n_writes[2];
} StoreCommitCopy;

int store_commit_copy(StoreCommitCopy *ret, const StoreCommit *c);
void store_commit_copy_done(StoreCommitCopy *c);

/* The first key after all those that begin with this one; NULL if out of memory, "" if there is none. */
char *store_range_end(const char *key);
