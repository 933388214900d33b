/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A store in the SQLite database of this host. A call is a job of the database; who watches is told when a write is on the disk.
 *
 * Nobody else keeps leases here, so one that is held cannot run out. What an earlier run of this daemon wrote under leases gets
 * their time once more, which is enough to write it again. */

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include <systemd/sd-event.h>

#include "common/map.h"
#include "common/sd/log.h"
#include "daemons/world/database.h"
#include "daemons/world/store.h"
#include "daemons/world/troubles.h"

/* A disk that is full may have room again. */
#define RETRY_USEC (UINT64_C(5) * 1000000)
#define TAKE "cannot take a lease"

typedef struct SqliteStore SqliteStore;
typedef struct SqliteWatch SqliteWatch;
typedef struct Expiry Expiry;

typedef TAILQ_HEAD(WatchList, SqliteWatch) WatchList;
typedef TAILQ_HEAD(ExpiryList, Expiry) ExpiryList;

struct SqliteStore {
        Store store;            /* first, as in the other structs below */
        Database *database;
        Map *by_key;            /* watches of one key: key → the first */
        WatchList watches;      /* all */
        WatchList below;        /* those of many keys */
        ExpiryList expiries;
        unsigned telling;       /* watches that are freed meanwhile stay in their lists */
        bool dead_watches;
};

typedef struct SqliteCall {
        StoreCall call;
        DatabaseJob job;
        char *key;              /* read: its range */
        bool below, reads;
        int64_t expires;        /* the lease that ends; 0: none does */
        StoreCommitCopy commit;
        store_callback_t callback;      /* NULL: cancelled */
        void *userdata;

        StoreItem *items;       /* read: what is there; commit: what was changed. Keys and data are owned */
        size_t n_items, capacity;
        bool holds;
        int64_t revision;
} SqliteCall;

struct SqliteWatch {
        StoreWatch watch;
        char *key;
        bool below, dead;
        bool synced;            /* a snapshot was told */
        StoreCall *snapshot;    /* under way */
        sd_event_source *again; /* it could not be read; NULL: it could */
        store_watch_callback_t callback;
        void *userdata;
        TAILQ_ENTRY(SqliteWatch) all, of_many;
        SqliteWatch *next;      /* of the same key */
};

typedef struct SqliteLease {
        StoreLease lease;
        uint32_t ttl_sec;
        DatabaseJob job;        /* that takes its number */
        sd_event_source *again; /* it could not be taken; NULL: it could */
        bool waits, freed, revoke;
        store_lease_callback_t callback;
        void *userdata;
} SqliteLease;

/* A lease that nobody holds any more. */
struct Expiry {
        SqliteStore *store;
        int64_t id;
        sd_event_source *timer;
        StoreCall *call;        /* that removes what stands under it */
        TAILQ_ENTRY(Expiry) link;
};

static SqliteStore *sqlite_store(Store *s) {
        return container_of(s, SqliteStore, store);
}

/* ---- items ---- */

static int add_item(SqliteCall *c, const char *key, const void *data, size_t size, int64_t modified) {
        StoreItem item = { .size = size, .modified = modified };
        char *copy = NULL;

        if (GROW(c->items, c->n_items, c->capacity) < 0)
                return -ENOMEM;
        item.key = strdup(key);
        if (data) {
                copy = malloc(size + 1);
                if (copy) {
                        memcpy(copy, data, size);
                        copy[size] = 0;
                }
                item.data = copy;
        }
        if (!item.key || (data && !copy)) {
                free((char *) item.key);
                free(copy);
                return -ENOMEM;
        }
        c->items[c->n_items++] = item;
        return 0;
}

static void forget_items(SqliteCall *c) {
        for (size_t i = 0; i < c->n_items; i++) {
                free((char *) c->items[i].key);
                free((void *) c->items[i].data);
        }
        c->n_items = 0;
}

/* ---- telling ---- */

static void bury_watches(SqliteStore *s);
static void watch_look(SqliteWatch *w);

static void watch_tell(SqliteStore *s, SqliteWatch *w, const StoreNews *news) {
        if (!w->dead)
                w->callback(&w->watch, news, w->userdata);
}

static void tell_below(SqliteStore *s, SqliteWatch *w, const SqliteCall *c) {
        _cleanup_free_ StoreItem *items = NULL;
        size_t n = 0;

        items = calloc(c->n_items, sizeof(StoreItem));
        if (!items) {
                watch_look(w);          /* it is told all then */
                return;
        }
        for (size_t i = 0; i < c->n_items; i++)
                if (startswith(c->items[i].key, w->key))
                        items[n++] = c->items[i];
        if (n > 0)
                watch_tell(s, w, &(StoreNews) { .items = items, .n = n, .revision = c->revision });
}

static void tell(SqliteStore *s, const SqliteCall *c) {
        if (c->n_items == 0)
                return;
        s->telling++;
        for (size_t i = 0; i < c->n_items; i++)
                for (SqliteWatch *w = map_get(s->by_key, c->items[i].key); w; w = w->next)
                        if (w->synced)
                                watch_tell(s, w, &(StoreNews) { .items = &c->items[i], .n = 1, .revision = c->revision });
        for (SqliteWatch *w = TAILQ_FIRST(&s->below); w; w = TAILQ_NEXT(w, of_many))
                if (w->synced)
                        tell_below(s, w, c);
        if (--s->telling == 0)
                bury_watches(s);
}

/* ---- reading ---- */

static int get_revision(Database *d, int64_t *ret) {
        sqlite3_stmt *s;
        int r;

        r = database_statement(d, "SELECT revision FROM revision", &s);
        if (r >= 0)
                r = database_step(d, s);
        if (r <= 0)
                return r < 0 ? r : -EUCLEAN;
        *ret = sqlite3_column_int64(s, 0);
        return 0;
}

static const char *column_key(sqlite3_stmt *s, int i) {
        return (const char *) sqlite3_column_text(s, i) ?: "";
}

static int run_read(SqliteCall *c, Database *d) {
        _cleanup_free_ char *end = store_range_end(c->key);
        sqlite3_stmt *s;
        int r;

        if (!end)
                return -ENOMEM;
        r = database_statement(d, !c->below ? "SELECT key, value, modified FROM entries WHERE key = ?1" :
                               end[0] ? "SELECT key, value, modified FROM entries WHERE key >= ?1 AND key < ?2 ORDER BY key" :
                               "SELECT key, value, modified FROM entries WHERE key >= ?1 ORDER BY key", &s);
        if (r >= 0)
                r = database_bind_str(s, 1, c->key);
        if (r >= 0 && c->below && end[0])
                r = database_bind_str(s, 2, end);
        while (r >= 0 && (r = database_step(d, s)) > 0)
                r = add_item(c, column_key(s, 0), sqlite3_column_blob(s, 1) ?: "", (size_t) sqlite3_column_bytes(s, 1),
                             sqlite3_column_int64(s, 2));
        return r;
}

/* ---- writing ---- */

/* 1 if it holds. */
static int condition_holds(const StoreCondition *c, Database *d) {
        sqlite3_stmt *s;
        int r;

        r = database_statement(d, "SELECT value, modified FROM entries WHERE key = ?1", &s);
        if (r >= 0)
                r = database_bind_str(s, 1, c->key);
        if (r >= 0)
                r = database_step(d, s);
        if (r < 0)
                return r;
        if (c->kind == STORE_MODIFIED)
                return (r > 0 ? sqlite3_column_int64(s, 1) : 0) == c->modified;
        return r > 0 && (size_t) sqlite3_column_bytes(s, 0) == c->size &&
                (c->size == 0 || memcmp(sqlite3_column_blob(s, 0), c->data, c->size) == 0);
}

static int write_one(SqliteCall *c, const StoreWrite *w, Database *d) {
        sqlite3_stmt *s;
        int r;

        r = database_statement(d, w->data ? "INSERT INTO entries VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET "
                               "value = excluded.value, modified = excluded.modified, lease = excluded.lease" :
                               "DELETE FROM entries WHERE key = ?1", &s);
        if (r >= 0)
                r = database_bind_str(s, 1, w->key);
        if (r >= 0 && w->data) {
                r = database_bind_bytes(s, 2, w->data, w->size);
                if (r >= 0)
                        r = database_bind_int(s, 3, c->revision);
                if (r >= 0)
                        r = database_bind_int(s, 4, w->lease_id);
        }
        if (r >= 0)
                r = database_execute(d, s);
        if (r < 0 || database_changes(d) == 0)
                return r;
        return add_item(c, w->key, w->data, w->size, c->revision);
}

static int put_revision(Database *d, int64_t revision) {
        sqlite3_stmt *s;
        int r;

        r = database_statement(d, "UPDATE revision SET revision = ?1", &s);
        if (r >= 0)
                r = database_bind_int(s, 1, revision);
        return r < 0 ? r : database_execute(d, s);
}

static int run_commit(SqliteCall *c, Database *d) {
        const StoreCommitCopy *commit = &c->commit;
        int r = 1;

        for (size_t i = 0; i < commit->n_conditions && r > 0; i++)
                r = condition_holds(&commit->conditions[i], d);
        if (r < 0)
                return r;
        c->holds = r > 0;
        c->revision++;
        r = 0;
        for (size_t i = 0; i < commit->n_writes[!c->holds] && r >= 0; i++)
                r = write_one(c, &commit->writes[!c->holds][i], d);
        if (r >= 0 && c->n_items > 0)
                return put_revision(d, c->revision);
        c->revision--;
        return r;
}

/* All that was written under the lease goes. */
static int run_expiry(SqliteCall *c, Database *d) {
        sqlite3_stmt *s;
        int r;

        r = database_statement(d, "DELETE FROM entries WHERE lease = ?1 RETURNING key", &s);
        if (r >= 0)
                r = database_bind_int(s, 1, c->expires);
        while (r >= 0 && (r = database_step(d, s)) > 0)
                r = add_item(c, column_key(s, 0), NULL, 0, c->revision + 1);
        if (r >= 0)
                r = database_statement(d, "DELETE FROM leases WHERE id = ?1", &s);
        if (r >= 0)
                r = database_bind_int(s, 1, c->expires);
        if (r >= 0)
                r = database_execute(d, s);
        if (r < 0 || c->n_items == 0)
                return r;
        return put_revision(d, ++c->revision);
}

/* ---- calls ---- */

static int call_run(DatabaseJob *j, Database *d) {
        SqliteCall *c = container_of(j, SqliteCall, job);
        int r;

        forget_items(c);
        r = get_revision(d, &c->revision);
        if (r < 0)
                return r;
        return c->reads ? run_read(c, d) : c->expires ? run_expiry(c, d) : run_commit(c, d);
}

static void call_free(SqliteCall *c) {
        forget_items(c);
        free(c->items);
        free(c->key);
        store_commit_copy_done(&c->commit);
        free(c);
}

static void call_done(DatabaseJob *j, int error) {
        SqliteCall *c = container_of(j, SqliteCall, job);
        StoreReply reply = { .error = error, .holds = c->holds, .revision = c->revision };

        if (error >= 0 && c->reads) {
                reply.items = c->items;
                reply.n = c->n_items;
        }
        if (c->callback)
                c->callback(&reply, c->userdata);
        if (error >= 0 && !c->reads)
                tell(sqlite_store(c->call.store), c);
        call_free(c);
}

static SqliteCall *call_new(Store *s, store_callback_t callback, void *userdata) {
        SqliteCall *c = calloc(1, sizeof(*c));

        if (c)
                *c = (SqliteCall) { .call.store = s, .job = { .run = call_run, .done = call_done }, .callback = callback,
                                    .userdata = userdata };
        return c;
}

static int sqlite_read(Store *s, StoreRange range, store_callback_t callback, void *userdata, StoreCall **ret) {
        SqliteCall *c = call_new(s, callback, userdata);

        if (!c)
                return -ENOMEM;
        c->reads = true;
        c->below = range.below;
        c->key = strdup(range.key);
        if (!c->key) {
                call_free(c);
                return -ENOMEM;
        }
        database_queue(sqlite_store(s)->database, &c->job);
        *ret = &c->call;
        return 0;
}

static int sqlite_commit(Store *s, const StoreCommit *commit, store_callback_t callback, void *userdata, StoreCall **ret) {
        SqliteCall *c = call_new(s, callback, userdata);
        int r;

        r = c ? store_commit_copy(&c->commit, commit) : -ENOMEM;
        if (r < 0) {
                free(c);
                return r;
        }
        database_queue(sqlite_store(s)->database, &c->job);
        *ret = &c->call;
        return 0;
}

static void sqlite_cancel(StoreCall *call) {
        SqliteCall *c = container_of(call, SqliteCall, call);

        c->callback = NULL;
        if (database_unqueue(sqlite_store(call->store)->database, &c->job))
                call_free(c);
}

/* ---- watches ---- */

static int on_look_again(sd_event_source *source, uint64_t usec, void *userdata) {
        SqliteWatch *w = userdata;

        w->again = sd_event_source_disable_unref(w->again);
        watch_look(w);
        return 0;
}

static void watch_look_later(SqliteWatch *w, int error) {
        sd_event *event = database_event(sqlite_store(w->watch.store)->database);

        log_error(error, "cannot read what is below '%s': %m", w->key);
        if (!w->again)
                (void) sd_event_add_time_relative(event, &w->again, CLOCK_MONOTONIC, RETRY_USEC, 0, on_look_again, w);
}

static void on_snapshot(const StoreReply *reply, void *userdata) {
        SqliteWatch *w = userdata;
        SqliteStore *s = sqlite_store(w->watch.store);

        w->snapshot = NULL;
        if (reply->error < 0) {
                if (reply->error != -ECANCELED)
                        watch_look_later(w, reply->error);
                return;
        }
        w->synced = true;
        s->telling++;
        watch_tell(s, w, &(StoreNews) { .snapshot = true, .items = reply->items, .n = reply->n, .revision = reply->revision });
        if (--s->telling == 0)
                bury_watches(s);
}

static void watch_look(SqliteWatch *w) {
        int r;

        if (w->snapshot || w->dead)
                return;
        r = sqlite_read(w->watch.store, (StoreRange) { w->key, w->below }, on_snapshot, w, &w->snapshot);
        if (r < 0)
                watch_look_later(w, r);
}

static void unlink_key(SqliteStore *s, SqliteWatch *w) {
        SqliteWatch *first = map_get(s->by_key, w->key);

        if (first != w) {
                while (first->next != w)
                        first = first->next;
                first->next = w->next;
        } else if (w->next)
                (void) map_put(s->by_key, w->key, w->next);     /* the key is there: cannot fail */
        else
                (void) map_remove(s->by_key, w->key);
}

static void watch_bury(SqliteStore *s, SqliteWatch *w) {
        TAILQ_REMOVE(&s->watches, w, all);
        if (w->below)
                TAILQ_REMOVE(&s->below, w, of_many);
        else
                unlink_key(s, w);
        free(w->key);
        free(w);
}

static void bury_watches(SqliteStore *s) {
        SqliteWatch *next;

        if (!s->dead_watches)
                return;
        s->dead_watches = false;
        for (SqliteWatch *w = TAILQ_FIRST(&s->watches); w; w = next) {
                next = TAILQ_NEXT(w, all);
                if (w->dead)
                        watch_bury(s, w);
        }
}

static int sqlite_watch(Store *store, StoreRange range, store_watch_callback_t callback, void *userdata, StoreWatch **ret) {
        SqliteStore *s = sqlite_store(store);
        SqliteWatch *w;
        int r = 0;

        w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        *w = (SqliteWatch) { .watch.store = store, .below = range.below, .callback = callback, .userdata = userdata,
                             .key = strdup(range.key) };
        if (!w->key)
                r = -ENOMEM;
        else if (!range.below) {
                w->next = map_get(s->by_key, w->key);
                r = map_put(s->by_key, w->key, w);
        }
        if (r < 0) {
                free(w->key);
                free(w);
                return -ENOMEM;
        }
        TAILQ_INSERT_TAIL(&s->watches, w, all);
        if (range.below)
                TAILQ_INSERT_TAIL(&s->below, w, of_many);
        r = sqlite_read(store, range, on_snapshot, w, &w->snapshot);
        if (r < 0) {
                w->dead = true;
                watch_bury(s, w);
                return r;
        }
        *ret = &w->watch;
        return 0;
}

static void sqlite_unwatch(StoreWatch *watch) {
        SqliteWatch *w = container_of(watch, SqliteWatch, watch);
        SqliteStore *s = sqlite_store(watch->store);

        w->snapshot = store_call_cancel(w->snapshot);
        w->again = sd_event_source_disable_unref(w->again);
        w->dead = true;
        if (s->telling > 0)
                s->dead_watches = true;
        else
                watch_bury(s, w);
}

static void sqlite_changed(Store *store) {
        SqliteStore *s = sqlite_store(store);

        for (SqliteWatch *w = TAILQ_FIRST(&s->watches); w; w = TAILQ_NEXT(w, all))
                watch_look(w);
}

/* ---- leases ---- */

static int sqlite_lease_end(Store *s, int64_t id, store_callback_t callback, void *userdata, StoreCall **ret) {
        SqliteCall *c = call_new(s, callback, userdata);

        if (!c)
                return -ENOMEM;
        c->expires = id;
        database_queue(sqlite_store(s)->database, &c->job);
        *ret = &c->call;
        return 0;
}

static void expiry_free(Expiry *e) {
        TAILQ_REMOVE(&e->store->expiries, e, link);
        e->call = store_call_cancel(e->call);
        (void) sd_event_source_disable_unref(e->timer);
        free(e);
}

static int on_expiry(sd_event_source *timer, uint64_t usec, void *userdata);

static int expiry_wait(Expiry *e, uint64_t usec) {
        e->timer = sd_event_source_disable_unref(e->timer);
        return sd_event_add_time_relative(database_event(e->store->database), &e->timer, CLOCK_BOOTTIME, usec, 0, on_expiry, e);
}

static void expiry_failed(Expiry *e, int error) {
        log_error(error, "cannot remove what was written under a lease, trying again: %m");
        if (expiry_wait(e, RETRY_USEC) < 0)
                expiry_free(e);         /* the next run does */
}

static void on_expired(const StoreReply *reply, void *userdata) {
        Expiry *e = userdata;

        e->call = NULL;
        if (reply->error == -ECANCELED)
                return;         /* the end */
        if (reply->error < 0)
                expiry_failed(e, reply->error);
        else
                expiry_free(e);
}

static void expire(Expiry *e) {
        int r = sqlite_lease_end(&e->store->store, e->id, on_expired, e, &e->call);

        if (r < 0)
                expiry_failed(e, r);
}

static int on_expiry(sd_event_source *timer, uint64_t usec, void *userdata) {
        expire(userdata);
        return 0;
}

static int expiry_new(SqliteStore *s, int64_t id, Expiry **ret) {
        Expiry *e = calloc(1, sizeof(*e));

        if (!e)
                return -ENOMEM;
        *e = (Expiry) { .store = s, .id = id };
        TAILQ_INSERT_TAIL(&s->expiries, e, link);
        *ret = e;
        return 0;
}

static int expire_later(SqliteStore *s, int64_t id, uint32_t ttl_sec) {
        Expiry *e;
        int r;

        r = expiry_new(s, id, &e);
        if (r < 0)
                return r;
        r = expiry_wait(e, ttl_sec * UINT64_C(1000000));
        if (r < 0)
                expiry_free(e);
        return r;
}

static int lease_run(DatabaseJob *j, Database *d) {
        SqliteLease *l = container_of(j, SqliteLease, job);
        sqlite3_stmt *s;
        int r;

        r = database_statement(d, "INSERT INTO leases (ttl_sec) VALUES (?1)", &s);
        if (r >= 0)
                r = database_bind_int(s, 1, l->ttl_sec);
        if (r >= 0)
                r = database_execute(d, s);
        l->lease.id = r < 0 ? 0 : database_last_id(d);
        return r;
}

static void lease_end(SqliteLease *l) {
        SqliteStore *s = sqlite_store(l->lease.store);
        Expiry *e = NULL;
        int r = 0;

        if (l->lease.id > 0)
                r = l->revoke ? expiry_new(s, l->lease.id, &e) : expire_later(s, l->lease.id, l->ttl_sec);
        if (r < 0)
                log_error(r, "cannot end a lease: %m");
        else if (e)
                expire(e);
        (void) sd_event_source_disable_unref(l->again);
        free(l);
}

static int on_take_again(sd_event_source *source, uint64_t usec, void *userdata) {
        SqliteLease *l = userdata;

        l->again = sd_event_source_disable_unref(l->again);
        l->waits = true;
        database_queue(sqlite_store(l->lease.store)->database, &l->job);
        return 0;
}

static void lease_refused(SqliteLease *l, int error) {
        sd_event *event = database_event(sqlite_store(l->lease.store)->database);
        char text[128];

        snprintf(text, sizeof(text), TAKE ": %s", strerrordesc_np(-error));
        troubles_set(l->lease.store->troubles, TAKE, text);
        (void) sd_event_add_time_relative(event, &l->again, CLOCK_MONOTONIC, RETRY_USEC, 0, on_take_again, l);
}

static void lease_done(DatabaseJob *j, int error) {
        SqliteLease *l = container_of(j, SqliteLease, job);

        l->waits = false;
        if (error < 0) {
                l->lease.id = 0;
                if (error != -ECANCELED && !l->freed)
                        lease_refused(l, error);
        }
        if (l->freed)
                lease_end(l);
        else if (error >= 0) {
                troubles_over(l->lease.store->troubles, TAKE);
                l->lease.held = true;
                l->callback(&l->lease, true, l->userdata);
        }
}

static int sqlite_lease(Store *s, uint32_t ttl_sec, store_lease_callback_t callback, void *userdata, StoreLease **ret) {
        SqliteLease *l = calloc(1, sizeof(*l));

        if (!l)
                return -ENOMEM;
        *l = (SqliteLease) { .lease.store = s, .ttl_sec = ttl_sec, .job = { .run = lease_run, .done = lease_done }, .waits = true,
                             .callback = callback, .userdata = userdata };
        database_queue(sqlite_store(s)->database, &l->job);
        *ret = &l->lease;
        return 0;
}

static void sqlite_unlease(StoreLease *lease, bool revoke) {
        SqliteLease *l = container_of(lease, SqliteLease, lease);

        l->revoke = revoke;
        if (l->waits && !database_unqueue(sqlite_store(lease->store)->database, &l->job))
                l->freed = true;        /* it is being run */
        else
                lease_end(l);
}

/* ---- opening ---- */

typedef struct Opening {
        DatabaseJob job;
        SqliteStore *store;
} Opening;

/* What an earlier run held. */
static int opening_run(DatabaseJob *j, Database *d) {
        Opening *o = container_of(j, Opening, job);
        sqlite3_stmt *s;
        int r;

        r = database_statement(d, "SELECT id, ttl_sec FROM leases", &s);
        while (r >= 0 && (r = database_step(d, s)) > 0)
                r = expire_later(o->store, sqlite3_column_int64(s, 0), (uint32_t) sqlite3_column_int64(s, 1));
        return r;
}

static void opening_done(DatabaseJob *j, int error) {}

static void sqlite_free(Store *store) {
        SqliteStore *s = sqlite_store(store);

        while (!TAILQ_EMPTY(&s->expiries))
                expiry_free(TAILQ_FIRST(&s->expiries));
        map_free(s->by_key);
        free(s);
}

static const StoreOps sqlite_ops = {
        .read = sqlite_read,
        .commit = sqlite_commit,
        .cancel = sqlite_cancel,
        .watch = sqlite_watch,
        .unwatch = sqlite_unwatch,
        .lease = sqlite_lease,
        .unlease = sqlite_unlease,
        .lease_end = sqlite_lease_end,
        .changed = sqlite_changed,
        .free = sqlite_free,
};

int store_open_sqlite(Store **ret, Database *d) {
        Opening o = { .job = { .run = opening_run, .done = opening_done } };
        SqliteStore *s;
        int r;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->store.ops = &sqlite_ops;
        s->database = d;
        TAILQ_INIT(&s->watches);
        TAILQ_INIT(&s->below);
        TAILQ_INIT(&s->expiries);
        s->by_key = map_new();
        o.store = s;
        r = s->by_key ? database_run(d, &o.job) : -ENOMEM;
        if (r < 0) {
                sqlite_free(&s->store);
                return r;
        }
        *ret = &s->store;
        return 0;
}
