/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A store in an etcd cluster. Its revisions, transactions and leases are etcd's. */

#include <errno.h>
#include <json.h>

#include <systemd/sd-event.h>

#include "daemons/world/store-etcd.h"
#include "daemons/world/troubles.h"

typedef struct EtcdStoreCall {
        StoreCall call;         /* first */
        EtcdCall *asked;
        bool reads;
        EtcdMoment moment;      /* of the question */
        store_callback_t callback;
        void *userdata;
} EtcdStoreCall;

/* ---- questions ---- */

static void put_key(StrBuf *b, const char *key) {
        _cleanup_(strbuf_done) StrBuf whole = {};

        strbuf_puts(&whole, ETCD_ROOT);
        strbuf_puts(&whole, key);
        etcd_put_bytes(b, whole.data ?: "", whole.size);
        b->failed = b->failed || whole.failed;
}

void etcd_put_range(StrBuf *b, StoreRange range) {
        _cleanup_free_ char *end = range.below ? store_range_end(range.key) : NULL;

        strbuf_puts(b, "\"key\":");
        put_key(b, range.key);
        if (!range.below)
                return;
        if (!end || !end[0]) {          /* what begins with 0xff and nothing else: no key of ours does */
                b->failed = true;
                return;
        }
        strbuf_puts(b, ",\"range_end\":");
        put_key(b, end);
}

static void put_condition(StrBuf *b, const StoreCondition *c) {
        strbuf_puts(b, "{\"result\":\"EQUAL\",\"key\":");
        put_key(b, c->key);
        if (c->kind == STORE_MODIFIED)
                strbuf_printf(b, ",\"target\":\"MOD\",\"mod_revision\":\"%lld\"}", (long long) c->modified);
        else {
                strbuf_puts(b, ",\"target\":\"VALUE\",\"value\":");
                etcd_put_bytes(b, c->data, c->size);
                strbuf_putc(b, '}');
        }
}

static void put_write(StrBuf *b, const StoreWrite *w) {
        strbuf_puts(b, w->data ? "{\"request_put\":{\"key\":" : "{\"request_delete_range\":{\"key\":");
        put_key(b, w->key);
        if (w->data) {
                strbuf_puts(b, ",\"value\":");
                etcd_put_bytes(b, w->data, w->size);
        }
        if (w->data && w->lease)
                strbuf_printf(b, ",\"lease\":\"%lld\"", (long long) w->lease->id);
        strbuf_puts(b, "}}");
}

static void put_writes(StrBuf *b, const char *member, const StoreWrite *writes, size_t n) {
        strbuf_printf(b, ",\"%s\":[", member);
        for (size_t i = 0; i < n; i++) {
                strbuf_puts(b, i > 0 ? "," : "");
                put_write(b, &writes[i]);
        }
        strbuf_putc(b, ']');
}

/* ---- answers ---- */

int64_t etcd_revision(json_object *answer) {
        return etcd_get_number(etcd_get(answer, "header"), "revision");
}

void etcd_items_free(StoreItem *items, size_t n) {
        for (size_t i = 0; i < n; i++) {
                free((char *) items[i].key);
                free((void *) items[i].data);
        }
        free(items);
}

static int read_item(json_object *kv, bool removed, StoreItem *ret) {
        _cleanup_(strbuf_done) StrBuf key = {}, data = {};
        int r;

        r = etcd_get_bytes(kv, "key", &key);
        if (r >= 0 && !removed)
                r = etcd_get_bytes(kv, "value", &data);
        if (r < 0)
                return r;
        const char *ours = key.data ? startswith(key.data, ETCD_ROOT) : NULL;
        if (!ours || strlen(key.data) != key.size)
                return -EBADMSG;
        ret->modified = etcd_get_number(kv, "mod_revision");
        ret->size = data.size;
        ret->key = strdup(ours);
        ret->data = removed ? NULL : strbuf_take(&data);
        return ret->key && (removed || ret->data) ? 0 : -ENOMEM;
}

int etcd_items(json_object *array, bool events, int64_t from_revision, StoreItem **ret, size_t *ret_n) {
        size_t n = json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0, filled = 0;
        StoreItem *items = calloc(n + 1, sizeof(StoreItem));

        if (!items)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                json_object *j = json_object_array_get_idx(array, i), *kv = events ? etcd_get(j, "kv") : j;
                json_object *type = events ? etcd_get(j, "type") : NULL;
                int r;

                if (etcd_get_number(kv, "mod_revision") < from_revision)
                        continue;       /* told already */
                r = read_item(kv, type && streq(json_object_get_string(type), "DELETE"), &items[filled++]);
                if (r == -EBADMSG) {    /* a key that no host writes */
                        free((char *) items[--filled].key);
                        items[filled] = (StoreItem) {};
                } else if (r < 0) {
                        etcd_items_free(items, filled);
                        return r;
                }
        }
        *ret = items;
        *ret_n = filled;
        return 0;
}

/* ---- calls ---- */

static void on_answer(const EtcdReply *answer, void *userdata) {
        EtcdStoreCall *c = userdata;
        StoreReply reply = { .error = answer->error, .problem = answer->problem };
        StoreItem *items = NULL;

        etcd_heard(etcd_store(c->call.store), answer->json, &c->moment);
        if (answer->error >= 0) {
                json_object *holds = etcd_get(answer->json, "succeeded");

                reply.revision = etcd_revision(answer->json);
                reply.holds = holds && json_object_get_boolean(holds);
                if (c->reads)
                        reply.error = etcd_items(etcd_get(answer->json, "kvs"), false, 0, &items, &reply.n);
                reply.items = items;
        } else if (answer->not_found)
                reply.error = -ESTALE;  /* the lease is gone */
        c->callback(&reply, c->userdata);
        etcd_items_free(items, items ? reply.n : 0);
        free(c);
}

static int ask(Store *s, const char *path, StrBuf *body, bool reads, store_callback_t callback, void *userdata, StoreCall **ret) {
        _cleanup_free_ char *text = strbuf_take(body);
        EtcdStoreCall *c = calloc(1, sizeof(*c));
        int r;

        if (!c || !text) {
                free(c);
                return -ENOMEM;
        }
        *c = (EtcdStoreCall) { .call.store = s, .reads = reads, .moment = etcd_store(s)->now, .callback = callback, .userdata = userdata };
        r = etcd_call(etcd_store(s)->etcd, path, text, reads, on_answer, c, &c->asked);
        if (r < 0) {
                free(c);
                return r;
        }
        *ret = &c->call;
        return 0;
}

static int etcd_read(Store *s, StoreRange range, store_callback_t callback, void *userdata, StoreCall **ret) {
        StrBuf b = {};

        strbuf_putc(&b, '{');
        etcd_put_range(&b, range);
        strbuf_putc(&b, '}');
        return ask(s, "kv/range", &b, true, callback, userdata, ret);
}

static int etcd_commit(Store *s, const StoreCommit *commit, store_callback_t callback, void *userdata, StoreCall **ret) {
        StrBuf b = {};

        strbuf_puts(&b, "{\"compare\":[");
        for (size_t i = 0; i < commit->n_conditions; i++) {
                strbuf_puts(&b, i > 0 ? "," : "");
                put_condition(&b, &commit->conditions[i]);
        }
        strbuf_putc(&b, ']');
        put_writes(&b, "success", commit->writes, commit->n_writes);
        put_writes(&b, "failure", commit->otherwise, commit->n_otherwise);
        strbuf_putc(&b, '}');
        return ask(s, "kv/txn", &b, false, callback, userdata, ret);
}

static int etcd_lease_end(Store *s, int64_t id, store_callback_t callback, void *userdata, StoreCall **ret) {
        StrBuf b = {};

        strbuf_printf(&b, "{\"ID\":\"%lld\"}", (long long) id);
        return ask(s, "lease/revoke", &b, true, callback, userdata, ret);
}

static void etcd_cancel(StoreCall *call) {
        EtcdStoreCall *c = container_of(call, EtcdStoreCall, call);

        etcd_call_cancel(c->asked);
        free(c);
}

/* ---- opening ---- */

static void on_changed(void *userdata) {
        EtcdStore *s = userdata;

        troubles_touch(s->store.troubles);
        etcd_watches_changed(s);
}

static const char *problem(const Store *s) {
        return etcd_problem(container_of(s, EtcdStore, store)->etcd);
}

static void etcd_store_free(Store *store) {
        EtcdStore *s = etcd_store(store);

        etcd_history_done(s);
        etcd_watches_done(s);
        etcd_free(s->etcd);
        (void) sd_event_unref(s->event);
        free(s);
}

static const StoreOps etcd_ops = {
        .read = etcd_read,
        .commit = etcd_commit,
        .cancel = etcd_cancel,
        .watch = etcd_watch,
        .unwatch = etcd_unwatch,
        .lease = etcd_lease,
        .unlease = etcd_unlease,
        .lease_end = etcd_lease_end,
        .changed = etcd_watches_look,
        .problem = problem,
        .free = etcd_store_free,
};

int store_open_etcd(Store **ret, sd_event *event, const char *endpoints, Diag *reterr) {
        EtcdStore *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->store.ops = &etcd_ops;
        s->event = sd_event_ref(event);
        TAILQ_INIT(&s->leases);
        r = etcd_watches_init(s);
        if (r >= 0)
                r = etcd_new(&s->etcd, event, endpoints, on_changed, s, reterr);
        if (r < 0) {
                etcd_store_free(&s->store);
                return r;
        }
        *ret = &s->store;
        return 0;
}
