/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A few watches share a stream, and so a connection. What is watched is said when it begins; so a new watch begins it anew, and every
 * other goes on at the revision after the last one that it has heard of. Nothing is lost or told twice that way, whatever breaks. A
 * revision that the cluster has compacted away makes a new snapshot.
 *
 * Why a few and not all: the gateway answers the first request of a stream while it still reads the others, and what it has not read when
 * the answer begins is thrown away without a word. It reads 512 bytes at once, so that much is safe. */

#include <errno.h>
#include <json.h>
#include <stdio.h>

#include <systemd/sd-event.h>

#include "common/map.h"
#include "common/sd/log.h"
#include "daemons/world/store-etcd.h"
#include "daemons/world/troubles.h"

enum { BUNDLE_BYTES = 500 };

/* What a role does not allow is tried again, since roles change. */
#define REFUSED_MIN_USEC (UINT64_C(1) * 1000000)
#define REFUSED_MAX_USEC (UINT64_C(60) * 1000000)

struct EtcdBundle {
        EtcdStore *store;
        EtcdStream *stream;
        size_t bytes;           /* that its requests take at most */
        TAILQ_ENTRY(EtcdBundle) link;
};

struct EtcdWatch {
        StoreWatch watch;       /* first */
        uint64_t id;
        char *key, *name;       /* and what troubles are called that it has */
        bool below;
        EtcdBundle *bundle;
        size_t bytes;           /* of its request, at most */
        int64_t next;           /* the first revision that it has not heard of; 0: it needs a snapshot */
        StoreCall *snapshot;    /* under way */
        bool anew;              /* it will be of another history */
        unsigned n_refused;     /* in a row */
        sd_event_source *again; /* after that; NULL: it was not */
        store_watch_callback_t callback;
        void *userdata;
        TAILQ_ENTRY(EtcdWatch) link;
};

/* ---- what is refused ---- */

static void watch_look(EtcdWatch *w);

static int on_again(sd_event_source *s, uint64_t usec, void *userdata) {
        EtcdWatch *w = userdata;

        w->again = sd_event_source_disable_unref(w->again);
        watch_look(w);
        return 0;
}

/* Whoever watches is told once, and may free the watch. */
static void watch_refused(EtcdWatch *w, int error, const char *problem) {
        _cleanup_free_ char *text = NULL;
        unsigned doublings = MIN(w->n_refused, 6u);
        uint64_t usec = MIN(REFUSED_MIN_USEC << doublings, REFUSED_MAX_USEC);
        int r;

        w->next = 0;
        w->n_refused++;
        if (asprintf(&text, "cannot read what is %s '%s': %s", w->below ? "below" : "at", w->key, problem) < 0)
                text = NULL;
        troubles_set(w->watch.store->troubles, w->name, text ?: problem);
        if (!w->again) {
                r = sd_event_add_time_relative(etcd_store(w->watch.store)->event, &w->again, CLOCK_MONOTONIC, usec, usec / 10, on_again, w);
                if (r < 0)
                        log_error(r, "cannot look at '%s' again: %m", w->key);
        }
        if (w->n_refused == 1)
                w->callback(&w->watch, &(StoreNews) { .error = error }, w->userdata);
}

static void watch_allowed(EtcdWatch *w) {
        w->n_refused = 0;
        troubles_over(w->watch.store->troubles, w->name);
}

/* ---- snapshots ---- */

static void on_snapshot(const StoreReply *reply, void *userdata) {
        EtcdWatch *w = userdata;
        w->snapshot = NULL;
        if (reply->error == -ECANCELED)
                return;
        if (reply->error == -EHOSTDOWN) {
                w->callback(&w->watch, &(StoreNews) { .error = reply->error }, w->userdata);
                return;
        }
        if (reply->error < 0) {
                watch_refused(w, reply->error, reply->problem ?: strerrordesc_np(-reply->error));
                return;
        }
        StoreNews news = { .snapshot = true, .anew = w->anew, .items = reply->items, .n = reply->n, .revision = reply->revision };
        w->next = reply->revision + 1;
        w->anew = false;
        etcd_history_note(etcd_store(w->watch.store), reply->items, reply->n);
        etcd_stream_restart(w->bundle->stream);
        w->callback(&w->watch, &news, w->userdata);
}

static void watch_look(EtcdWatch *w) {
        int r;

        w->next = 0;
        w->again = sd_event_source_disable_unref(w->again);
        if (w->snapshot)
                return;
        r = store_read(w->watch.store, (StoreRange) { w->key, w->below }, on_snapshot, w, &w->snapshot);
        if (r < 0)
                log_error(r, "cannot read what is below '%s': %m", w->key);
}

/* ---- the stream ---- */

static void put_request(StrBuf *b, const EtcdWatch *w, int64_t from) {
        strbuf_printf(b, "{\"create_request\":{\"watch_id\":\"%llu\",\"start_revision\":\"%lld\",", (unsigned long long) w->id,
                      (long long) from);
        etcd_put_range(b, (StoreRange) { w->key, w->below });
        strbuf_puts(b, "}}");
}

static char *stream_body(void *userdata) {
        EtcdBundle *bundle = userdata;
        StrBuf b = {};

        etcd_history_ask(bundle->store);
        for (EtcdWatch *w = TAILQ_FIRST(&bundle->store->watches); w; w = TAILQ_NEXT(w, link))
                if (w->bundle == bundle && w->next > 0)
                        put_request(&b, w, w->next);
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
                etcd_history_note(etcd_store(w->watch.store), items, n);
                w->callback(&w->watch, &(StoreNews) { .items = items, .n = n, .revision = items[n - 1].modified }, w->userdata);
        }
        etcd_items_free(items, n);
}

/* Which one was refused it does not say; reading tells. */
static void look_at_all(EtcdBundle *bundle) {
        for (EtcdWatch *w = TAILQ_FIRST(&bundle->store->watches); w; w = TAILQ_NEXT(w, link))
                if (w->bundle == bundle && w->next > 0)
                        watch_look(w);
}

static void watch_cancelled(EtcdBundle *bundle, EtcdWatch *w, json_object *result) {
        json_object *reason = etcd_get(result, "cancel_reason");
        const char *text = reason ? json_object_get_string(reason) : "without a reason";

        if (w && etcd_get_number(result, "compact_revision") > 0)
                watch_look(w);
        else if (strstr(text, "Unauthenticated"))     /* it was restarted, and its tokens went with it; that has no number here */
                etcd_stream_unknown(bundle->stream, text);
        else if (w)
                watch_refused(w, -EACCES, text);
        else
                look_at_all(bundle);
}

static void stream_message(json_object *result, void *userdata) {
        EtcdBundle *bundle = userdata;
        json_object *events = etcd_get(result, "events"), *cancelled = etcd_get(result, "canceled"), *created = etcd_get(result, "created");
        EtcdWatch *w = find(bundle->store, (uint64_t) etcd_get_number(result, "watch_id"));

        if (cancelled && json_object_get_boolean(cancelled)) {
                watch_cancelled(bundle, w, result);
        } else if (w && w->n_refused > 0 && created)
                watch_allowed(w);
        else if (w && w->next > 0 && events)
                watch_events(w, result, events);
}

static const EtcdStreamOps stream_ops = { .body = stream_body, .message = stream_message };

/* ---- watches ---- */

static int bundle_new(EtcdStore *s, EtcdBundle **ret) {
        EtcdBundle *bundle = calloc(1, sizeof(*bundle));
        int r;

        if (!bundle)
                return -ENOMEM;
        bundle->store = s;
        r = etcd_stream_new(s->etcd, "watch", &stream_ops, bundle, &bundle->stream);
        if (r < 0) {
                free(bundle);
                return r;
        }
        TAILQ_INSERT_TAIL(&s->bundles, bundle, link);
        *ret = bundle;
        return 0;
}

/* One in which there is room, or to itself. */
static int find_bundle(EtcdStore *s, EtcdWatch *w) {
        _cleanup_(strbuf_done) StrBuf b = {};
        EtcdBundle *bundle;
        int r = 0;

        put_request(&b, w, INT64_MAX);
        if (b.failed)
                return -ENOMEM;
        w->bytes = b.size;
        TAILQ_FOREACH(bundle, &s->bundles, link)
                if (bundle->bytes == 0 || bundle->bytes + w->bytes <= BUNDLE_BYTES)
                        break;
        if (!bundle)
                r = bundle_new(s, &bundle);
        if (r < 0)
                return r;
        bundle->bytes += w->bytes;
        w->bundle = bundle;
        return 0;
}

static void watch_free(EtcdStore *s, EtcdWatch *w) {
        (void) map_remove_n(s->by_id, &w->id, sizeof(w->id));
        store_call_cancel(w->snapshot);
        (void) sd_event_source_disable_unref(w->again);
        if (w->n_refused > 0)
                troubles_over(s->store.troubles, w->name);
        if (w->bundle) {
                w->bundle->bytes -= w->bytes;
                if (w->bundle->bytes == 0)
                        etcd_stream_restart(w->bundle->stream);         /* to ask for nothing */
        }
        free(w->key);
        free(w->name);
        free(w);
}

int etcd_watch(Store *store, StoreRange range, store_watch_callback_t callback, void *userdata, StoreWatch **ret) {
        EtcdStore *s = etcd_store(store);
        EtcdWatch *w = calloc(1, sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        *w = (EtcdWatch) { .watch.store = store, .id = ++s->last_watch, .key = strdup(range.key), .below = range.below,
                           .callback = callback, .userdata = userdata };
        if (asprintf(&w->name, "watch %llu", (unsigned long long) w->id) < 0)
                w->name = NULL;
        r = w->key && w->name ? map_put_n(s->by_id, &w->id, sizeof(w->id), w) : -ENOMEM;
        if (r >= 0)
                r = find_bundle(s, w);
        if (r >= 0)
                r = store_read(store, range, on_snapshot, w, &w->snapshot);
        if (r < 0) {
                watch_free(s, w);
                return r;
        }
        TAILQ_INSERT_TAIL(&s->watches, w, link);
        *ret = &w->watch;
        return 0;
}

void etcd_unwatch(StoreWatch *watch) {
        EtcdWatch *w = container_of(watch, EtcdWatch, watch);
        EtcdStore *s = etcd_store(watch->store);

        TAILQ_REMOVE(&s->watches, w, link);
        watch_free(s, w);
}

void etcd_watches_look(Store *store) {
        for (EtcdWatch *w = TAILQ_FIRST(&etcd_store(store)->watches); w; w = TAILQ_NEXT(w, link))
                watch_look(w);
}

void etcd_watches_anew(EtcdStore *s) {
        for (EtcdWatch *w = TAILQ_FIRST(&s->watches); w; w = TAILQ_NEXT(w, link)) {
                w->anew = true;
                w->snapshot = store_call_cancel(w->snapshot);   /* it may be of the one before */
                watch_look(w);
        }
}

void etcd_watches_changed(EtcdStore *s) {
        bool down = etcd_problem(s->etcd);

        /* Whoever is told may free any of them; those that are new then need no telling. */
        if (!down && s->was_down)
                for (uint64_t id = 1, end = s->last_watch; id <= end; id++) {
                        EtcdWatch *w = find(s, id);

                        if (w && w->next > 0)
                                w->callback(&w->watch, &(StoreNews) {}, w->userdata);
                        else if (w && !w->again)
                                watch_look(w);
                }
        s->was_down = down;
}

int etcd_watches_init(EtcdStore *s) {
        TAILQ_INIT(&s->bundles);
        TAILQ_INIT(&s->watches);
        s->by_id = map_new();
        return s->by_id ? 0 : -ENOMEM;
}

void etcd_watches_done(EtcdStore *s) {
        EtcdBundle *bundle;

        while ((bundle = TAILQ_FIRST(&s->bundles))) {
                TAILQ_REMOVE(&s->bundles, bundle, link);
                etcd_stream_free(bundle->stream);
                free(bundle);
        }
        map_free(s->by_id);
}
