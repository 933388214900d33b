/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See late-store.h. */

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

#include <systemd/sd-event.h>

#include "daemons/world/store.h"
#include "tests/daemons/world/late-store.h"

typedef struct LateCall {
        StoreCall call;                 /* first */
        LateHow how;
        StoreCommitCopy commit;         /* not made yet */
        StoreCall *made;                /* under way behind; NULL: it has been answered, or is not made */
        StoreReply reply;
        sd_event_source *defer;
        store_callback_t callback;      /* NULL: nobody wants to know any more */
        void *userdata;
} LateCall;

typedef struct LateLease {
        StoreLease lease;               /* first */
        StoreLease *behind;
        uint32_t ttl_sec;
        store_lease_callback_t callback;
        void *userdata;
        LIST_ENTRY(LateLease) link;
} LateLease;

typedef struct LateWatch {
        StoreWatch watch;               /* first */
        StoreWatch *behind;             /* NULL: it is silent */
        char *key;
        bool below;
        store_watch_callback_t callback;
        void *userdata;
        LIST_ENTRY(LateWatch) link;
} LateWatch;

typedef struct LateStore {
        Store store;                    /* first */
        sd_event *event;
        Store *behind;
        const char *prefix;             /* of the next one; NULL: none shall be late */
        LateHow how;
        LateCall *late;
        LIST_HEAD(, LateLease) leases;
        LIST_HEAD(, LateWatch) watches;
} LateStore;

static void need(bool holds) {
        if (!holds)
                abort();
}

static LateStore *late(Store *s) {
        return container_of(s, LateStore, store);
}

/* ---- commits ---- */

static void call_free(LateCall *c) {
        LateStore *s = late(c->call.store);

        if (s->late == c)
                s->late = NULL;
        store_call_cancel(c->made);
        store_commit_copy_done(&c->commit);
        sd_event_source_disable_unref(c->defer);
        free(c);
}

static void tell(LateCall *c, const StoreReply *reply) {
        if (c->callback)
                c->callback(reply, c->userdata);
        c->callback = NULL;
}

static int on_lost(sd_event_source *source, void *userdata) {
        tell(userdata, &(StoreReply) { .error = -EINPROGRESS });
        return 0;
}

static void on_made(const StoreReply *reply, void *userdata) {
        LateCall *c = userdata;

        c->made = NULL;
        c->reply = (StoreReply) { .error = reply->error, .holds = reply->holds, .revision = reply->revision };
}

static bool writes_below(const StoreCommit *c, const char *prefix) {
        for (size_t i = 0; prefix && i < c->n_writes; i++)
                if (startswith(c->writes[i].key, prefix))
                        return true;
        return false;
}

static int late_commit(Store *store, const StoreCommit *commit, store_callback_t callback, void *userdata, StoreCall **ret) {
        LateStore *s = late(store);
        LateCall *c;

        if (!writes_below(commit, s->prefix))
                return store_commit(s->behind, commit, callback, userdata, ret);
        c = calloc(1, sizeof(*c));
        *c = (LateCall) { .call.store = store, .how = s->how, .callback = callback, .userdata = userdata };
        need(!s->late);
        s->late = c;
        s->prefix = NULL;
        if (c->how == LATE_ANSWER)
                need(store_commit(s->behind, commit, on_made, c, &c->made) >= 0);
        else
                need(store_commit_copy(&c->commit, commit) >= 0);
        if (c->how == LATE_LOST)
                need(sd_event_add_defer(s->event, &c->defer, on_lost, c) >= 0);
        *ret = &c->call;
        return 0;
}

static void late_cancel(StoreCall *call) {
        LateCall *c = container_of(call, LateCall, call);

        c->callback = NULL;             /* it happens nevertheless */
}

static void on_happened(const StoreReply *reply, void *userdata) {}

/* The leases of a copy are only numbers. */
static void make_now(LateStore *s, const StoreCommitCopy *copy) {
        StoreLease leases[STORE_WRITES_MAX];
        StoreCall *call;

        for (size_t i = 0; i < copy->n_writes[0]; i++) {
                StoreWrite *w = &copy->writes[0][i];

                leases[i] = (StoreLease) { .store = s->behind, .id = w->lease_id, .held = true };
                w->lease = w->lease_id ? &leases[i] : NULL;
        }
        need(store_commit(s->behind, &(StoreCommit) { .conditions = copy->conditions, .n_conditions = copy->n_conditions,
                                                      .writes = copy->writes[0], .n_writes = copy->n_writes[0] },
                          on_happened, NULL, &call) >= 0);
}

void late_store_next(Store *s, const char *prefix, LateHow how) {
        late(s)->prefix = prefix;
        late(s)->how = how;
}

bool late_store_waits(Store *s) {
        return late(s)->late && !late(s)->late->made;
}

void late_store_deliver(Store *store) {
        LateStore *s = late(store);
        LateCall *c = s->late;

        if (!c)
                return;
        s->late = NULL;
        if (c->how == LATE_LOST)
                make_now(s, &c->commit);
        else if (c->how == LATE_STALE)
                tell(c, &(StoreReply) { .error = -ESTALE });
        else {
                need(!c->made);
                tell(c, &c->reply);
        }
        call_free(c);
}

/* ---- leases ---- */

static void on_lease(StoreLease *behind, bool held, void *userdata) {
        LateLease *l = userdata;

        l->lease.id = behind->id;
        l->lease.held = held;
        l->callback(&l->lease, held, l->userdata);
}

static int late_lease(Store *store, uint32_t ttl_sec, store_lease_callback_t callback, void *userdata, StoreLease **ret) {
        LateStore *s = late(store);
        LateLease *l = calloc(1, sizeof(*l));

        *l = (LateLease) { .lease.store = store, .ttl_sec = ttl_sec, .callback = callback, .userdata = userdata };
        LIST_INSERT_HEAD(&s->leases, l, link);
        *ret = &l->lease;
        return store_lease_new(s->behind, ttl_sec, on_lease, l, &l->behind);
}

static void late_unlease(StoreLease *lease, bool revoke) {
        LateLease *l = container_of(lease, LateLease, lease);

        LIST_REMOVE(l, link);
        store_lease_free(l->behind, revoke);
        free(l);
}

void late_store_lose_leases(Store *store) {
        LateStore *s = late(store);
        LateLease *l;

        LIST_FOREACH(l, &s->leases, link) {
                store_lease_free(l->behind, true);
                l->lease.held = false;
                l->callback(&l->lease, false, l->userdata);
                need(store_lease_new(s->behind, l->ttl_sec, on_lease, l, &l->behind) >= 0);
        }
}

/* ---- watches ---- */

static void on_news(StoreWatch *behind, const StoreNews *news, void *userdata) {
        LateWatch *w = userdata;

        w->callback(&w->watch, news, w->userdata);
}

static int listen_behind(LateWatch *w) {
        return store_watch(late(w->watch.store)->behind, (StoreRange) { w->key, w->below }, on_news, w, &w->behind);
}

static int late_watch(Store *store, StoreRange range, store_watch_callback_t callback, void *userdata, StoreWatch **ret) {
        LateWatch *w = calloc(1, sizeof(*w));

        *w = (LateWatch) { .watch.store = store, .key = strdup(range.key), .below = range.below, .callback = callback,
                           .userdata = userdata };
        LIST_INSERT_HEAD(&late(store)->watches, w, link);
        *ret = &w->watch;
        return listen_behind(w);
}

static void late_unwatch(StoreWatch *watch) {
        LateWatch *w = container_of(watch, LateWatch, watch);

        LIST_REMOVE(w, link);
        store_watch_free(w->behind);
        free(w->key);
        free(w);
}

void late_store_silence(Store *s, bool silent) {
        LateWatch *w;

        LIST_FOREACH(w, &late(s)->watches, link)
                if (silent)
                        w->behind = store_watch_free(w->behind);
                else
                        need(listen_behind(w) >= 0);
}

/* ---- the rest is passed on ---- */

static int late_read(Store *s, StoreRange range, store_callback_t callback, void *userdata, StoreCall **ret) {
        return store_read(late(s)->behind, range, callback, userdata, ret);
}

static int late_lease_end(Store *s, int64_t id, store_callback_t callback, void *userdata, StoreCall **ret) {
        return store_lease_end(late(s)->behind, id, callback, userdata, ret);
}

static void late_free(Store *s) {
        late_store_deliver(s);
        free(late(s));
}

Store *late_store_new(sd_event *event, Store *behind) {
        static const StoreOps ops = { .read = late_read, .commit = late_commit, .cancel = late_cancel, .watch = late_watch,
                                      .unwatch = late_unwatch, .lease = late_lease, .unlease = late_unlease,
                                      .lease_end = late_lease_end, .free = late_free };
        LateStore *s = calloc(1, sizeof(*s));

        *s = (LateStore) { .store.ops = &ops, .event = event, .behind = behind };
        LIST_INIT(&s->leases);
        LIST_INIT(&s->watches);
        return &s->store;
}
