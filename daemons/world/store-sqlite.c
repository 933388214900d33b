/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Stores in the SQLite database of this host. A call is a job of the database; who else watches a key is told when the write is
 * on the disk. Both stores are the same but for their table and for how values look in it: those of the shared one are plain
 * text, for people with sqlite3. */

#include <errno.h>
#include <sqlite3.h>

#include "common/map.h"
#include "daemons/world/database.h"
#include "daemons/world/store.h"

typedef struct StoreTable {
        const char *get, *get_map, *put, *remove;
        int (*bind)(sqlite3_stmt *s, int i, Value v);
        int (*column)(sqlite3_stmt *s, int i, Value *ret);
} StoreTable;

struct Store {
        const StoreTable *table;
        Database *database;
        Map *watches;           /* key → the first StoreWatch of it */
};

typedef enum StoreWork {
        STORE_GET,
        STORE_GET_MAP,
        STORE_SET,
} StoreWork;

struct StoreCall {
        DatabaseJob job;        /* must be first */
        Store *store;
        char *key, *host;
        StoreWork work;
        bool changed;
        Value value;            /* set: what is wanted; otherwise: what is there */
        const StoreWatch *except;       /* only compared: it may be gone */
        store_callback_t callback;      /* NULL: cancelled */
        void *userdata;
};

struct StoreWatch {
        Store *store;
        char *key;
        store_watch_callback_t callback;
        void *userdata;
        StoreWatch *next, *previous;    /* of the same key */
};

/* ---- tables ---- */

static int bind_text(sqlite3_stmt *s, int i, Value v) {
        if (v.kind != TYPE_STR)
                return -EINVAL;
        return database_bind_bytes(s, i, v.s->data, v.s->size);
}

static int column_text(sqlite3_stmt *s, int i, Value *ret) {
        const void *data = sqlite3_column_blob(s, i);

        return value_str(ret, data ?: "", (size_t) sqlite3_column_bytes(s, i));
}

#define TABLE(name) \
        .get = "SELECT value FROM " name " WHERE key = ?1 AND host = ?2", \
        .get_map = "SELECT value, host FROM " name " WHERE key = ?1 AND host <> ''", \
        .put = "INSERT INTO " name " VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET value = excluded.value", \
        .remove = "DELETE FROM " name " WHERE key = ?1 AND host = ?2"

static const StoreTable shared_table = { TABLE("strings"), .bind = bind_text, .column = column_text };
static const StoreTable local_table = { TABLE("local_values"), .bind = database_bind_value, .column = database_column_value };

/* ---- calls ---- */

static int statement_for(StoreCall *c, Database *d, const char *sql, sqlite3_stmt **ret) {
        int r;

        r = database_statement(d, sql, ret);
        if (r < 0)
                return r;
        r = database_bind_str(*ret, 1, c->key);
        if (r < 0)
                return r;
        return database_bind_str(*ret, 2, c->host ?: "");
}

static int read_value(StoreCall *c, Database *d, Value *ret) {
        sqlite3_stmt *s;
        int r;

        r = statement_for(c, d, c->store->table->get, &s);
        if (r < 0)
                return r;
        r = database_step(d, s);
        if (r <= 0)
                return r;
        return c->store->table->column(s, 0, ret);
}

/* Pairs of host and value. */
typedef struct Parts {
        Value *items;
        size_t n, capacity;     /* values */
} Parts;

static void parts_done(Parts *p) {
        for (size_t i = 0; i < p->n; i++)
                value_done(&p->items[i]);
        free(p->items);
}

static int read_part(StoreCall *c, sqlite3_stmt *s, Parts *p) {
        const char *host = (const char *) sqlite3_column_text(s, 1);
        int r;

        for (size_t i = 0; i < 2; i++) {
                r = GROW(p->items, p->n, p->capacity);
                if (r < 0)
                        return r;
                r = i == 0 ? value_strz(&p->items[p->n], host ?: "") : c->store->table->column(s, 0, &p->items[p->n]);
                if (r < 0)
                        return r;
                p->n++;
        }
        return 0;
}

static int read_map(StoreCall *c, Database *d, Value *ret) {
        _cleanup_(parts_done) Parts p = {};
        sqlite3_stmt *s;
        int r;

        r = database_statement(d, c->store->table->get_map, &s);
        if (r >= 0)
                r = database_bind_str(s, 1, c->key);
        while (r >= 0 && (r = database_step(d, s)) > 0)
                r = read_part(c, s, &p);
        if (r < 0)
                return r;
        size_t n = p.n;
        p.n = 0;                /* they are moved */
        return value_map(ret, p.items, n / 2);
}

static int write_value(StoreCall *c, Database *d) {
        _cleanup_(value_done) Value before = {};
        sqlite3_stmt *s;
        int r;

        c->changed = false;
        r = read_value(c, d, &before);
        if (r == -EBADMSG || r == -EPROTONOSUPPORT)
                r = 0;                          /* unreadable is different */
        else if (r >= 0 && before.kind == c->value.kind && value_equal(before, c->value))
                return 0;
        if (r < 0)
                return r;
        if (c->value.kind == TYPE_NIL)
                r = statement_for(c, d, c->store->table->remove, &s);
        else {
                r = statement_for(c, d, c->store->table->put, &s);
                if (r >= 0)
                        r = c->store->table->bind(s, 3, c->value);
        }
        if (r >= 0)
                r = database_execute(d, s);
        if (r >= 0)
                c->changed = true;
        return r;
}

static int call_run(DatabaseJob *j, Database *d) {
        StoreCall *c = container_of(j, StoreCall, job);

        if (c->work == STORE_SET)
                return write_value(c, d);
        value_done(&c->value);
        return c->work == STORE_GET ? read_value(c, d, &c->value) : read_map(c, d, &c->value);
}

static void call_free(StoreCall *c) {
        value_done(&c->value);
        free(c->key);
        free(c->host);
        free(c);
}

/* A callback may free its own watch, none but it. */
static void tell(Store *s, const char *key, const StoreWatch *except) {
        for (StoreWatch *w = map_get(s->watches, key), *next; w; w = next) {
                next = w->next;
                if (w != except)
                        w->callback(w, 0, w->userdata);
        }
}

static void call_done(DatabaseJob *j, int error) {
        StoreCall *c = container_of(j, StoreCall, job);
        StoreReply reply = { .error = error };

        if (error >= 0 && c->work == STORE_SET)
                reply.changed = c->changed;
        else if (error >= 0)
                reply.value = c->value;
        if (c->callback)
                c->callback(&reply, c->userdata);
        if (reply.changed)
                tell(c->store, c->key, c->except);
        call_free(c);
}

static int call_start(Store *s, const char *key, const char *host, store_callback_t callback, void *userdata, StoreCall **ret) {
        StoreCall *c;

        if (!key[0] || (host && !host[0]))
                return -EINVAL;
        c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        c->job = (DatabaseJob) { .run = call_run, .done = call_done };
        c->store = s;
        c->callback = callback;
        c->userdata = userdata;
        c->key = strdup(key);
        c->host = host ? strdup(host) : NULL;
        if (!c->key || (host && !c->host)) {
                call_free(c);
                return -ENOMEM;
        }
        *ret = c;
        return 0;
}

int store_get(Store *s, const char *key, const char *host, store_callback_t callback, void *userdata, StoreCall **ret) {
        int r;

        r = call_start(s, key, host, callback, userdata, ret);
        if (r < 0)
                return r;
        database_queue(s->database, &(*ret)->job);
        return 0;
}

int store_get_map(Store *s, const char *key, store_callback_t callback, void *userdata, StoreCall **ret) {
        int r;

        r = call_start(s, key, NULL, callback, userdata, ret);
        if (r < 0)
                return r;
        (*ret)->work = STORE_GET_MAP;
        database_queue(s->database, &(*ret)->job);
        return 0;
}

int store_set(Store *s, const char *key, const char *host, Value v, const StoreWatch *except,
              store_callback_t callback, void *userdata, StoreCall **ret) {
        int r;

        r = call_start(s, key, host, callback, userdata, ret);
        if (r < 0)
                return r;
        (*ret)->work = STORE_SET;
        (*ret)->value = value_ref(v);
        (*ret)->except = except;
        database_queue(s->database, &(*ret)->job);
        return 0;
}

StoreCall *store_call_cancel(StoreCall *c) {
        if (!c)
                return NULL;
        c->callback = NULL;
        if (database_unqueue(c->store->database, &c->job))
                call_free(c);
        return NULL;
}

/* ---- watches ---- */

int store_watch(Store *s, const char *key, store_watch_callback_t callback, void *userdata, StoreWatch **ret) {
        StoreWatch *w, *first;
        int r;

        w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        w->store = s;
        w->callback = callback;
        w->userdata = userdata;
        w->key = strdup(key);
        first = map_get(s->watches, key);
        r = w->key ? map_put(s->watches, key, w) : -ENOMEM;
        if (r < 0) {
                free(w->key);
                free(w);
                return r;
        }
        w->next = first;
        if (first)
                first->previous = w;

        *ret = w;
        callback(w, 0, userdata);
        return 0;
}

StoreWatch *store_watch_free(StoreWatch *w) {
        if (!w)
                return NULL;
        if (w->next)
                w->next->previous = w->previous;
        if (w->previous)
                w->previous->next = w->next;
        else if (w->next)
                (void) map_put(w->store->watches, w->key, w->next);     /* the key is there: cannot fail */
        else
                (void) map_remove(w->store->watches, w->key);
        free(w->key);
        free(w);
        return NULL;
}

void store_changed(Store *s) {
        size_t i = 0;
        const char *key;
        void *first;

        while (map_next(s->watches, &i, &key, &first))
                for (StoreWatch *w = first, *next; w; w = next) {
                        next = w->next;
                        w->callback(w, 0, w->userdata);
                }
}

/* ---- opening ---- */

static int store_new(Store **ret, const StoreTable *table, Database *d) {
        Store *s;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->table = table;
        s->database = d;
        s->watches = map_new();
        if (!s->watches) {
                free(s);
                return -ENOMEM;
        }
        *ret = s;
        return 0;
}

int store_open_shared(Store **ret, Database *d) {
        return store_new(ret, &shared_table, d);
}

int store_open_local(Store **ret, Database *d) {
        return store_new(ret, &local_table, d);
}

Store *store_free(Store *s) {
        if (!s)
                return NULL;
        map_free(s->watches);
        free(s);
        return NULL;
}
