/* SPDX-License-Identifier: GPL-3.0-or-later */

/* All watches of this host share one stream, so they cost the cluster one connection. What is watched is said when it begins; so a
 * new watch begins it anew, and every other goes on at the revision after the last one that it has heard of. Nothing is lost or told
 * twice that way, whatever breaks. A revision that the cluster has compacted away makes a new snapshot. */

#include <errno.h>
#include <json.h>

#include "common/map.h"
#include "common/sd/log.h"
#include "daemons/world/store-etcd.h"

/* So many watches that are gone the stream may still tell of, beside as many as there are. */
enum { STALE_MAX = 16 };

struct EtcdWatch {
        StoreWatch watch;       /* first */
        uint64_t id;
        char *key;
        bool below;
        bool streamed;          /* the stream that runs, or is about to, tells of it */
        int64_t next;           /* the first revision that it has not heard of; 0: it needs a snapshot */
        StoreCall *snapshot;    /* under way */
        store_watch_callback_t callback;
        void *userdata;
        TAILQ_ENTRY(EtcdWatch) link;
};

static void watch_look(EtcdWatch *w);

/* ---- snapshots ---- */

static void on_snapshot(const StoreReply *reply, void *userdata) {
        EtcdWatch *w = userdata;
        EtcdStore *s = etcd_store(w->watch.store);

        w->snapshot = NULL;
        if (reply->error == -EHOSTDOWN || reply->error == -ECANCELED)
                return;         /* until it is back */
        if (reply->error < 0) {
                log_error(reply->error, "cannot read what is below '%s': %s", w->key, reply->problem ?: strerrordesc_np(-reply->error));
                return;
        }
        w->next = reply->revision + 1;
        etcd_stream_restart(s->stream);
        w->callback(&w->watch, &(StoreNews) { .snapshot = true, .items = reply->items, .n = reply->n, .revision = reply->revision },
                    w->userdata);
}

static void watch_look(EtcdWatch *w) {
        int r;

        w->next = 0;
        if (w->snapshot)
                return;
        r = store_read(w->watch.store, (StoreRange) { w->key, w->below }, on_snapshot, w, &w->snapshot);
        if (r < 0)
                log_error(r, "cannot read what is below '%s': %m", w->key);
}

/* ---- the stream ---- */

static char *stream_body(void *userdata) {
        EtcdStore *s = userdata;
        StrBuf b = {};

        s->n_stale = 0;
        for (EtcdWatch *w = TAILQ_FIRST(&s->watches); w; w = TAILQ_NEXT(w, link)) {
                w->streamed = w->next > 0;
                if (!w->streamed)
                        continue;
                strbuf_printf(&b, "{\"create_request\":{\"watch_id\":\"%llu\",\"start_revision\":\"%lld\",\"progress_notify\":true,",
                              (unsigned long long) w->id, (long long) w->next);
                etcd_put_range(&b, (StoreRange) { w->key, w->below });
                strbuf_puts(&b, "}}\n");
        }
        return strbuf_take(&b);
}

static EtcdWatch *find(EtcdStore *s, uint64_t id) {
        return map_get_n(s->by_id, &id, sizeof(id));
}

static void watch_events(EtcdWatch *w, json_object *result, json_object *events) {
        StoreItem *items;
        size_t n;

        if (etcd_items(events, true, w->next, &items, &n) < 0) {
                log_error(-ENOMEM, "cannot read what changed below '%s', looking again: %m", w->key);
                watch_look(w);
                return;
        }
        if (n > 0) {
                w->next = items[n - 1].modified + 1;
                w->callback(&w->watch, &(StoreNews) { .items = items, .n = n, .revision = items[n - 1].modified }, w->userdata);
        }
        etcd_items_free(items, n);
}

static void stream_message(json_object *result, void *userdata) {
        EtcdStore *s = userdata;
        json_object *events = etcd_get(result, "events"), *cancelled = etcd_get(result, "canceled");
        json_object *reason = etcd_get(result, "cancel_reason");
        EtcdWatch *w = find(s, (uint64_t) etcd_get_number(result, "watch_id"));

        if (cancelled && json_object_get_boolean(cancelled)) {
                if (w && etcd_get_number(result, "compact_revision") > 0)
                        watch_look(w);
                else
                        log_error(-EACCES, "the cluster refuses a watch: %s", reason ? json_object_get_string(reason) : "without a reason");
        } else if (w && w->next > 0 && events)
                watch_events(w, result, events);
        else if (w && w->next > 0 && !etcd_get(result, "created"))
                w->next = MAX(w->next, etcd_revision(result) + 1);      /* nothing happened up to there */
}

static const EtcdStreamOps stream_ops = { .body = stream_body, .message = stream_message };

/* ---- watches ---- */

int etcd_watch(Store *store, StoreRange range, store_watch_callback_t callback, void *userdata, StoreWatch **ret) {
        EtcdStore *s = etcd_store(store);
        EtcdWatch *w = calloc(1, sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        *w = (EtcdWatch) { .watch.store = store, .id = ++s->last_watch, .key = strdup(range.key), .below = range.below,
                           .callback = callback, .userdata = userdata };
        r = w->key ? store_read(store, range, on_snapshot, w, &w->snapshot) : -ENOMEM;
        if (r >= 0) {
                r = map_put_n(s->by_id, &w->id, sizeof(w->id), w);
                if (r < 0)
                        store_call_cancel(w->snapshot);
        }
        if (r < 0) {
                free(w->key);
                free(w);
                return r;
        }
        TAILQ_INSERT_TAIL(&s->watches, w, link);
        s->n_watches++;
        *ret = &w->watch;
        return 0;
}

void etcd_unwatch(StoreWatch *watch) {
        EtcdWatch *w = container_of(watch, EtcdWatch, watch);
        EtcdStore *s = etcd_store(watch->store);

        TAILQ_REMOVE(&s->watches, w, link);
        (void) map_remove_n(s->by_id, &w->id, sizeof(w->id));
        s->n_watches--;
        s->n_stale += w->streamed;
        if (s->n_stale > s->n_watches + STALE_MAX)
                etcd_stream_restart(s->stream);
        store_call_cancel(w->snapshot);
        free(w->key);
        free(w);
}

void etcd_watches_look(Store *store) {
        for (EtcdWatch *w = TAILQ_FIRST(&etcd_store(store)->watches); w; w = TAILQ_NEXT(w, link))
                watch_look(w);
}

void etcd_watches_changed(EtcdStore *s) {
        bool down = etcd_problem(s->etcd);

        /* Whoever is told may free any of them; those that are new then need no telling. */
        if (!down && s->was_down)
                for (uint64_t id = 1, end = s->last_watch; id <= end; id++) {
                        EtcdWatch *w = find(s, id);

                        if (w && w->next > 0)
                                w->callback(&w->watch, &(StoreNews) {}, w->userdata);
                        else if (w)
                                watch_look(w);
                }
        s->was_down = down;
}

int etcd_watches_init(EtcdStore *s) {
        s->by_id = map_new();
        return !s->by_id ? -ENOMEM : etcd_stream_new(s->etcd, "watch", &stream_ops, s, &s->stream);
}
