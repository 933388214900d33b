/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The keys are exports/TARGET/KIND/HOST/NAME: what is meant for this host, and what is meant for all, each begin alike. What others
 * export to others never comes here. Somebody who exports a resource to a host and to all means the first for that host. */

#include <errno.h>
#include <stdio.h>
#include <sys/queue.h>

#include "common/map.h"
#include "common/sd/log.h"
#include "daemons/world/collector.h"
#include "daemons/world/store.h"

typedef enum Target { TARGET_ME, TARGET_ALL, _TARGET_MAX } Target;

struct Collecting {
        Collector *collector;
        collector_callback_t callback;
        void *userdata;
        bool closed;            /* while others are told */
        TAILQ_ENTRY(Collecting) link;
};

struct Collector {
        Collectors *owner;
        char *key;              /* in owner->by_key */
        char *prefixes[_TARGET_MAX];
        StoreWatch *watches[_TARGET_MAX];
        Map *records[_TARGET_MAX];      /* HOST/NAME → CollectRecord */
        bool synced[_TARGET_MAX];
        CollectRecord **sorted; /* those that count; made when somebody is told */
        size_t n_sorted;
        bool fresh;             /* sorted is up to date */
        bool telling;           /* it may not go */
        TAILQ_HEAD(, Collecting) users;
};

struct Collectors {
        Store *store;
        Map *by_key;            /* HOST/KIND → Collector */
};

/* ---- records ---- */

static void record_free(void *p) {
        CollectRecord *r = p;

        if (!r)
                return;
        value_done(&r->data);
        free(r->name);
        free(r->host);
        free(r);
}

static int record_new(const char *rest, const StoreItem *item, CollectRecord **ret) {
        const char *slash = strchr(rest, '/');
        CollectRecord *r;

        if (!slash || slash == rest || !slash[1])
                return -EBADMSG;
        r = calloc(1, sizeof(*r));
        if (!r)
                return -ENOMEM;
        r->host = strndup(rest, (size_t) (slash - rest));
        r->name = strdup(slash + 1);
        if (!r->host || !r->name || value_str(&r->data, item->data, item->size) < 0) {
                record_free(r);
                return -ENOMEM;
        }
        *ret = r;
        return 0;
}

static int put_record(Collector *c, Target t, const StoreItem *item) {
        const char *rest = item->key + strlen(c->prefixes[t]);
        CollectRecord *record;
        int r;

        record_free(map_remove(c->records[t], rest));
        if (!item->data)
                return 0;
        r = record_new(rest, item, &record);
        if (r == -EBADMSG)
                return 0;       /* no host of ours writes such a key */
        if (r >= 0)
                r = map_put(c->records[t], rest, record);
        return r;
}

static int by_name(const void *a, const void *b) {
        const CollectRecord *x = *(CollectRecord *const *) a, *y = *(CollectRecord *const *) b;

        return strcmp(x->name, y->name) ?: strcmp(x->host, y->host);
}

static int sort_records(Collector *c) {
        size_t n = map_size(c->records[TARGET_ME]) + map_size(c->records[TARGET_ALL]);
        CollectRecord **sorted = calloc(n + 1, sizeof(*sorted));

        if (!sorted)
                return -ENOMEM;
        n = 0;
        for (Target t = 0; t < _TARGET_MAX; t++) {
                size_t i = 0;
                const char *key;
                void *record;

                while (map_next(c->records[t], &i, &key, &record))
                        if (t == TARGET_ME || !map_get(c->records[TARGET_ME], key))
                                sorted[n++] = record;
        }
        qsort(sorted, n, sizeof(*sorted), by_name);
        free(c->sorted);
        c->sorted = sorted;
        c->n_sorted = n;
        c->fresh = true;
        return 0;
}

/* ---- telling ---- */

static void collector_unused(Collector *c);

static void user_free(Collecting *u) {
        TAILQ_REMOVE(&u->collector->users, u, link);
        free(u);
}

static void tell(Collecting *u) {
        Collector *c = u->collector;

        if (!c->synced[TARGET_ME] || !c->synced[TARGET_ALL])
                return;
        if (!c->fresh && sort_records(c) < 0) {
                log_error(-ENOMEM, "cannot collect: %m");
                return;
        }
        u->callback((const CollectRecord *const *) c->sorted, c->n_sorted, u->userdata);
}

void collector_tell(Collecting *u) {
        tell(u);
}

static void tell_all(Collector *c) {
        Collecting *next;

        c->telling = true;
        for (Collecting *u = TAILQ_FIRST(&c->users); u; u = TAILQ_NEXT(u, link))
                if (!u->closed)
                        tell(u);
        c->telling = false;
        for (Collecting *u = TAILQ_FIRST(&c->users); u; u = next) {
                next = TAILQ_NEXT(u, link);
                if (u->closed)
                        user_free(u);
        }
        collector_unused(c);
}

static void on_news(Collector *c, Target t, const StoreNews *news) {
        int r = 0;

        if (!news->snapshot && news->n == 0)
                return;
        if (news->snapshot) {
                map_free_with(c->records[t], record_free);
                c->records[t] = map_new();
                c->synced[t] = true;
                r = c->records[t] ? 0 : -ENOMEM;
        }
        for (size_t i = 0; i < news->n && r >= 0; i++)
                r = put_record(c, t, &news->items[i]);
        if (r < 0)
                log_error(r, "cannot keep what is exported: %m");
        c->fresh = false;
        tell_all(c);
}

static void on_news_me(StoreWatch *w, const StoreNews *news, void *userdata) {
        on_news(userdata, TARGET_ME, news);
}

static void on_news_all(StoreWatch *w, const StoreNews *news, void *userdata) {
        on_news(userdata, TARGET_ALL, news);
}

/* ---- opening ---- */

static Collector *collector_free(Collector *c) {
        for (Target t = 0; t < _TARGET_MAX; t++) {
                store_watch_free(c->watches[t]);
                map_free_with(c->records[t], record_free);
                free(c->prefixes[t]);
        }
        if (c->key)
                (void) map_remove(c->owner->by_key, c->key);
        free(c->key);
        free(c->sorted);
        free(c);
        return NULL;
}

static void collector_unused(Collector *c) {
        if (!c->telling && TAILQ_EMPTY(&c->users))
                collector_free(c);
}

static int collector_new(Collectors *owner, const char *key, const char *hostname, const char *kind, Collector **ret) {
        static const store_watch_callback_t callbacks[] = { on_news_me, on_news_all };
        Collector *c = calloc(1, sizeof(*c));
        int r = 0;

        if (!c)
                return -ENOMEM;
        c->owner = owner;
        TAILQ_INIT(&c->users);
        for (Target t = 0; t < _TARGET_MAX && r >= 0; t++) {
                if (asprintf(&c->prefixes[t], "exports/%s/%s/", t == TARGET_ME ? hostname : "*", kind) < 0)
                        c->prefixes[t] = NULL;
                c->records[t] = map_new();
                r = !c->prefixes[t] || !c->records[t] ? -ENOMEM :
                        store_watch(owner->store, (StoreRange) { c->prefixes[t], true }, callbacks[t], c, &c->watches[t]);
        }
        if (r >= 0)
                r = map_put(owner->by_key, key, c);
        if (r >= 0 && !(c->key = strdup(key))) {
                (void) map_remove(owner->by_key, key);
                r = -ENOMEM;
        }
        if (r < 0) {
                collector_free(c);
                return r;
        }
        *ret = c;
        return 0;
}

int collector_open(Collectors *owner, const char *hostname, const char *kind, collector_callback_t callback, void *userdata,
                   Collecting **ret) {
        _cleanup_free_ char *key = NULL;
        Collector *c;
        Collecting *u;
        int r = 0;

        if (!hostname[0] || strchr(hostname, '/') || !kind[0] || strchr(kind, '/'))
                return -EINVAL;
        if (asprintf(&key, "%s/%s", hostname, kind) < 0) {
                key = NULL;
                return -ENOMEM;
        }
        u = calloc(1, sizeof(*u));
        if (!u)
                return -ENOMEM;
        c = map_get(owner->by_key, key);
        if (!c)
                r = collector_new(owner, key, hostname, kind, &c);
        if (r < 0) {
                free(u);
                return r;
        }
        *u = (Collecting) { .collector = c, .callback = callback, .userdata = userdata };
        TAILQ_INSERT_TAIL(&c->users, u, link);
        *ret = u;
        tell(u);
        return 0;
}

Collecting *collector_close(Collecting *u) {
        Collector *c;

        if (!u)
                return NULL;
        c = u->collector;
        if (c->telling)
                u->closed = true;       /* tell_all() frees it */
        else {
                user_free(u);
                collector_unused(c);
        }
        return NULL;
}

int collectors_new(Collectors **ret, Store *store) {
        Collectors *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        c->store = store;
        c->by_key = map_new();
        if (!c->by_key) {
                free(c);
                return -ENOMEM;
        }
        *ret = c;
        return 0;
}

Collectors *collectors_free(Collectors *c) {
        if (!c)
                return NULL;
        map_free(c->by_key);
        free(c);
        return NULL;
}
