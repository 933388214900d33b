/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reading and following; how one is added, and goes, stands in cluster-addition.c and cluster-vacuum.c. */

#include <errno.h>

#include "common/sd/log.h"
#include "daemons/world/cluster-work.h"
#include "daemons/world/stored-value.h"

void cluster_work_begin(ClusterWork *w, ClusterDeploys *c, void (*end)(ClusterWork *w, int error)) {
        w->deploys = c;
        w->end = end;
        TAILQ_INSERT_TAIL(&c->works, w, link);
}

void cluster_work_end(ClusterWork *w, int error) {
        TAILQ_REMOVE(&w->deploys->works, w, link);
        w->call = store_call_cancel(w->call);
        w->end(w, error);
}

int cluster_work_answered(ClusterWork *w, const StoreReply *reply) {
        ClusterDeploys *c = w->deploys;

        w->call = NULL;
        if (reply->error < 0) {
                free(c->problem);
                c->problem = reply->problem ? strdup(reply->problem) : NULL;
                c->error = reply->error;
        }
        return reply->error;
}

const char *cluster_deploys_problem(const ClusterDeploys *c, int error) {
        return c->error == error ? c->problem : NULL;
}

int cluster_work_list(ClusterWork *w, store_callback_t callback) {
        return store_read(w->deploys->store, (StoreRange) { .key = CLUSTER_LIST, .below = true }, callback, w, &w->call);
}

Deploy cluster_entry_deploy(const ClusterEntry *e) {
        return (Deploy) {
                .id = e->id, .time_usec = e->time_usec, .n_files = e->n_files, .size_bytes = e->size_bytes, .options = e->options,
        };
}

/* ---- the list ---- */

typedef struct Listing {
        ClusterWork work;       /* first */
        ClusterEntry *entries;
        size_t n;
        deploys_callback_t callback;
        void *userdata;
} Listing;

static void listing_end(ClusterWork *w, int error) {
        Listing *l = container_of(w, Listing, work);
        _cleanup_free_ Deploy *deploys = calloc(l->n + 1, sizeof(*deploys));
        size_t n = 0;

        if (error >= 0 && !deploys)
                error = -ENOMEM;
        for (size_t i = 0; i < l->n && error >= 0; i++)
                if (l->entries[i].complete)
                        deploys[n++] = cluster_entry_deploy(&l->entries[i]);
        l->callback(error, deploys, n, l->userdata);
        cluster_entries_free(l->entries, l->n);
        free(l);
}

static void on_listed(const StoreReply *reply, void *userdata) {
        Listing *l = userdata;
        int r = cluster_work_answered(&l->work, reply);

        if (r >= 0)
                r = cluster_entries_decode(reply->items, reply->n, &l->entries, &l->n);
        cluster_work_end(&l->work, r);
}

int cluster_deploys_list(ClusterDeploys *c, deploys_callback_t callback, void *userdata) {
        Listing *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return -ENOMEM;
        *l = (Listing) { .callback = callback, .userdata = userdata };
        cluster_work_begin(&l->work, c, listing_end);
        r = cluster_work_list(&l->work, on_listed);
        if (r < 0) {
                TAILQ_REMOVE(&c->works, &l->work, link);
                free(l);
        }
        return r;
}

/* ---- one with its files ---- */

typedef struct Fetch {
        ClusterWork work;       /* first */
        ClusterEntry entry;     /* id 0: it is not there (any more) */
        uint64_t id;
        uint8_t *bytes;
        size_t size;
        uint32_t part;          /* the next one */
        Value bundle;
        deploys_callback_t callback;
        void *userdata;
} Fetch;

static void fetch_end(ClusterWork *w, int error) {
        Fetch *f = container_of(w, Fetch, work);
        Deploy found = cluster_entry_deploy(&f->entry);

        found.bundle = f->bundle;
        f->callback(error, &found, error >= 0 && found.id > 0 ? 1 : 0, f->userdata);
        cluster_entry_done(&f->entry);
        value_done(&f->bundle);
        free(f->bytes);
        free(f);
}

static int fetch_unpack(Fetch *f) {
        int r;

        if (f->size != f->entry.size_bytes)
                return -EBADMSG;
        r = stored_value_decode(f->bytes, f->size, &f->bundle);
        return r < 0 ? r : value_check_type(f->bundle, f->work.deploys->bundle_type, NULL) < 0 ? -EBADMSG : 0;
}

static int fetch_next(Fetch *f);

static void on_part(const StoreReply *reply, void *userdata) {
        Fetch *f = userdata;
        int r = cluster_work_answered(&f->work, reply);

        if (r >= 0 && reply->n == 0) {          /* it was removed while we read */
                cluster_entry_done(&f->entry);
                cluster_work_end(&f->work, 0);
                return;
        }
        if (r >= 0 && reply->items[0].size > f->entry.size_bytes - f->size)
                r = -EBADMSG;
        if (r >= 0) {
                memcpy(f->bytes + f->size, reply->items[0].data, reply->items[0].size);
                f->size += reply->items[0].size;
                f->part++;
                if (f->part < f->entry.n_parts)
                        r = fetch_next(f);
        }
        if (r >= 0 && f->part == f->entry.n_parts)
                cluster_work_end(&f->work, fetch_unpack(f));
        else if (r < 0)
                cluster_work_end(&f->work, r);
}

static int fetch_next(Fetch *f) {
        _cleanup_free_ char *key = cluster_part_key(f->id, f->part);

        return key ? store_read(f->work.deploys->store, (StoreRange) { .key = key }, on_part, f, &f->work.call) : -ENOMEM;
}

static void on_entry(const StoreReply *reply, void *userdata) {
        Fetch *f = userdata;
        int r = cluster_work_answered(&f->work, reply);

        if (r >= 0 && reply->n > 0)
                r = cluster_entry_decode(&reply->items[0], &f->entry);
        if (r >= 0 && !f->entry.complete)
                cluster_entry_done(&f->entry);
        if (r >= 0 && f->entry.id > 0) {
                f->bytes = malloc(f->entry.size_bytes + 1);
                r = f->bytes ? fetch_next(f) : -ENOMEM;
        }
        if (r < 0 || f->entry.id == 0)
                cluster_work_end(&f->work, r);
}

int cluster_deploys_get(ClusterDeploys *c, uint64_t id, deploys_callback_t callback, void *userdata) {
        _cleanup_free_ char *key = cluster_entry_key(id);
        Fetch *f = calloc(1, sizeof(*f));
        int r;

        if (!f || !key) {
                free(f);
                return -ENOMEM;
        }
        *f = (Fetch) { .id = id, .callback = callback, .userdata = userdata };
        cluster_work_begin(&f->work, c, fetch_end);
        r = store_read(c->store, (StoreRange) { .key = key }, on_entry, f, &f->work.call);
        if (r < 0) {
                TAILQ_REMOVE(&c->works, &f->work, link);
                free(f);
        }
        return r;
}

/* ---- following ---- */

struct ClusterFollower {
        StoreWatch *watch;
        char *hostname;
        uint64_t newest, time_usec;
        bool told;
        cluster_newest_callback_t callback;
        void *userdata;
};

static void find_newest(const ClusterFollower *f, const StoreNews *news, uint64_t *ret, uint64_t *ret_time_usec) {
        *ret = news->snapshot ? 0 : f->newest;
        *ret_time_usec = news->snapshot ? 0 : f->time_usec;

        for (size_t i = 0; i < news->n; i++) {
                _cleanup_(cluster_entry_done) ClusterEntry e = {};

                int r = news->items[i].data ? cluster_entry_decode(&news->items[i], &e) : 0;

                if (r < 0)
                        log_warning(r, "cannot read '%s' in the store: %m, ignoring", news->items[i].key);
                if (r >= 0 && e.complete && e.id > *ret && cluster_entry_is_for(&e, f->hostname)) {
                        *ret = e.id;
                        *ret_time_usec = e.time_usec;
                }
        }
}

static void on_news(StoreWatch *w, const StoreNews *news, void *userdata) {
        ClusterFollower *f = userdata;
        uint64_t newest, time_usec;

        if (!news->snapshot && news->n == 0)
                return;
        find_newest(f, news, &newest, &time_usec);
        if (f->told && f->newest == newest && f->time_usec == time_usec)
                return;
        f->told = true;
        f->newest = newest;
        f->time_usec = time_usec;
        f->callback(newest, time_usec, f->userdata);
}

int cluster_deploys_follow(ClusterDeploys *c, const char *hostname, cluster_newest_callback_t callback, void *userdata,
                           ClusterFollower **ret) {
        ClusterFollower *f = calloc(1, sizeof(*f));
        int r;

        if (!f)
                return -ENOMEM;
        *f = (ClusterFollower) { .hostname = strdup(hostname), .callback = callback, .userdata = userdata };
        r = f->hostname ? store_watch(c->store, (StoreRange) { .key = CLUSTER_LIST, .below = true }, on_news, f, &f->watch) : -ENOMEM;
        if (r < 0) {
                cluster_follower_free(f);
                return r;
        }
        *ret = f;
        return 0;
}

ClusterFollower *cluster_follower_free(ClusterFollower *f) {
        if (!f)
                return NULL;
        store_watch_free(f->watch);
        free(f->hostname);
        free(f);
        return NULL;
}

/* ---- the whole ---- */

int cluster_deploys_new(ClusterDeploys **ret, Store *s) {
        ClusterDeploys *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        *c = (ClusterDeploys) { .store = s, .bundle_type = type_map(NULL, &type_str, &type_str) };
        TAILQ_INIT(&c->works);
        if (!c->bundle_type) {
                free(c);
                return -ENOMEM;
        }
        *ret = c;
        return 0;
}

ClusterDeploys *cluster_deploys_free(ClusterDeploys *c) {
        ClusterWork *w;

        if (!c)
                return NULL;
        while ((w = TAILQ_FIRST(&c->works)))
                cluster_work_end(w, -ECANCELED);
        free(c->problem);
        free(c);
        return NULL;
}
