/* SPDX-License-Identifier: GPL-3.0-or-later */

/* In the store, the value of all is strings/KEY and the part of a host maps/KEY/HOST. A key may have slashes, the name of a host has
 * none, so the two never meet, and what is below maps/KEY/ belongs to KEY if no further slash follows. */

#include <errno.h>

#include "common/map.h"
#include "daemons/world/keys.h"
#include "daemons/world/stored-value.h"

struct Keys {
        Store *store;
        const char *of_all, *of_hosts;  /* prefixes; of_hosts NULL: there are no maps */
        bool typed;
};

struct KeysCall {
        Keys *keys;
        StoreCall *call;
        KeysWatch *watch;
        keys_callback_t callback;
        void *userdata;
};

struct KeysWatch {
        Keys *keys;
        StoreWatch *watch;
        size_t prefix;          /* of a map: what stands before the host */
        Map *parts;             /* of a map: host → Part */
        int64_t own;            /* the last revision that was written for this watch by keys_set() */
        unsigned n_calls;       /* that know of it */
        bool freed;
        keys_watch_callback_t callback;
        void *userdata;
};

/* ---- values ---- */

static int decode(const Keys *k, const void *data, size_t size, Value *ret) {
        return k->typed ? stored_value_decode(data, size, ret) : value_str(ret, data, size);
}

/* *w holds what *ret_data may point to. */
static int encode(const Keys *k, Value v, WireWriter *w, const void **ret_data, size_t *ret_size) {
        int r;

        if (!k->typed) {
                if (v.kind != TYPE_STR)
                        return -EINVAL;
                *ret_data = v.s->data;
                *ret_size = v.s->size;
                return 0;
        }
        r = stored_value_encode(w, v);
        *ret_data = w->data;
        *ret_size = w->size;
        return r;
}

static int place(const Keys *k, const char *key, const char *host, char **ret) {
        _cleanup_(strbuf_done) StrBuf b = {};

        if (!key[0] || (host && (!host[0] || strchr(host, '/') || !k->of_hosts)))
                return -EINVAL;
        strbuf_puts(&b, host ? k->of_hosts : k->of_all);
        strbuf_puts(&b, key);
        if (host) {
                strbuf_putc(&b, '/');
                strbuf_puts(&b, host);
        }
        *ret = strbuf_take(&b);
        return *ret ? 0 : -ENOMEM;
}

/* ---- calls ---- */

static void watch_unref(KeysWatch *w);

static void call_free(KeysCall *c) {
        if (c->watch) {
                c->watch->n_calls--;
                watch_unref(c->watch);
        }
        free(c);
}

static KeysCall *call_new(Keys *k, KeysWatch *watch, keys_callback_t callback, void *userdata) {
        KeysCall *c = calloc(1, sizeof(*c));

        if (!c)
                return NULL;
        *c = (KeysCall) { .keys = k, .watch = watch, .callback = callback, .userdata = userdata };
        if (watch)
                watch->n_calls++;
        return c;
}

static void on_read(const StoreReply *reply, void *userdata) {
        _cleanup_(value_done) Value v = {};
        KeysCall *c = userdata;
        KeysReply told = { .error = reply->error, .problem = reply->problem };

        if (told.error >= 0 && reply->n > 0)
                told.error = decode(c->keys, reply->items[0].data, reply->items[0].size, &v);
        told.value = v;
        c->callback(&told, c->userdata);
        call_free(c);
}

static void on_written(const StoreReply *reply, void *userdata) {
        KeysCall *c = userdata;
        KeysReply told = { .error = reply->error, .problem = reply->problem, .changed = reply->error >= 0 && !reply->holds };

        if (told.changed && c->watch)
                c->watch->own = reply->revision;
        c->callback(&told, c->userdata);
        call_free(c);
}

int keys_get(Keys *k, const char *key, const char *host, keys_callback_t callback, void *userdata, KeysCall **ret) {
        _cleanup_free_ char *path = NULL;
        KeysCall *c;
        int r;

        r = place(k, key, host, &path);
        if (r < 0)
                return r;
        c = call_new(k, NULL, callback, userdata);
        if (!c)
                return -ENOMEM;
        r = store_read(k->store, (StoreRange) { .key = path }, on_read, c, &c->call);
        if (r < 0) {
                call_free(c);
                return r;
        }
        *ret = c;
        return 0;
}

/* What is right already is the condition, and then nothing is done. */
static int start_set(KeysCall *c, const char *path, Value v) {
        _cleanup_(wire_writer_done) WireWriter w = {};
        StoreCondition is_right = { .kind = STORE_MODIFIED, .key = path };
        StoreWrite write = { .key = path };
        int r;

        if (v.kind != TYPE_NIL) {
                r = encode(c->keys, v, &w, &write.data, &write.size);
                if (r < 0)
                        return r;
                is_right = (StoreCondition) { .kind = STORE_EQUAL, .key = path, .data = write.data, .size = write.size };
        }
        return store_commit(c->keys->store, &(StoreCommit) { .conditions = &is_right, .n_conditions = 1,
                                                             .otherwise = &write, .n_otherwise = 1 }, on_written, c, &c->call);
}

int keys_set(Keys *k, const char *key, const char *host, Value v, KeysWatch *except, keys_callback_t callback, void *userdata,
             KeysCall **ret) {
        _cleanup_free_ char *path = NULL;
        KeysCall *c;
        int r;

        r = place(k, key, host, &path);
        if (r < 0)
                return r;
        c = call_new(k, except, callback, userdata);
        if (!c)
                return -ENOMEM;
        r = start_set(c, path, v);
        if (r < 0) {
                call_free(c);
                return r;
        }
        *ret = c;
        return 0;
}

KeysCall *keys_call_cancel(KeysCall *c) {
        if (!c)
                return NULL;
        store_call_cancel(c->call);
        call_free(c);
        return NULL;
}

/* ---- watches ---- */

/* A part of a map. One that another version wrote is an error of the map. */
typedef struct Part {
        int error;
        Value value;
} Part;

static void part_free(void *p) {
        Part *part = p;

        if (part)
                value_done(&part->value);
        free(part);
}

static void forget_parts(KeysWatch *w) {
        size_t i = 0;
        const char *host;
        void *part;

        while (map_next(w->parts, &i, &host, &part))
                part_free(map_remove(w->parts, host));
}

static int put_part(KeysWatch *w, const StoreItem *item) {
        const char *host = item->key + w->prefix;
        Part *part;
        int r;

        if (!host[0] || strchr(host, '/'))
                return 0;       /* of a longer key */
        part_free(map_remove(w->parts, host));
        if (!item->data)
                return 0;
        part = calloc(1, sizeof(*part));
        if (!part)
                return -ENOMEM;
        part->error = decode(w->keys, item->data, item->size, &part->value);
        r = map_put(w->parts, host, part);
        if (r < 0)
                part_free(part);
        return r;
}

static int make_map(const KeysWatch *w, Value *ret) {
        size_t i = 0, n = 0;
        const char *host;
        Value *items;
        void *p;
        int r = 0;

        items = calloc(map_size(w->parts) * 2 + 1, sizeof(Value));
        if (!items)
                return -ENOMEM;
        while (r >= 0 && map_next(w->parts, &i, &host, &p)) {
                const Part *part = p;

                r = part->error < 0 ? part->error : value_strz(&items[n], host);
                if (r >= 0) {
                        items[n + 1] = value_ref(part->value);
                        n += 2;
                }
        }
        if (r >= 0)
                r = value_map(ret, items, n / 2);
        else
                while (n > 0)
                        value_done(&items[--n]);
        free(items);
        return r;
}

static int map_news(KeysWatch *w, const StoreNews *news, Value *ret) {
        int r = 0;

        if (news->snapshot)
                forget_parts(w);
        for (size_t i = 0; i < news->n && r >= 0; i++)
                r = put_part(w, &news->items[i]);
        return r < 0 ? r : make_map(w, ret);
}

static int one_news(const KeysWatch *w, const StoreNews *news, Value *ret) {
        const StoreItem *last = news->n > 0 ? &news->items[news->n - 1] : NULL;

        return last && last->data ? decode(w->keys, last->data, last->size, ret) : 0;
}

static void on_news(StoreWatch *store_watch, const StoreNews *news, void *userdata) {
        _cleanup_(value_done) Value v = {};
        KeysWatch *w = userdata;
        KeysNews told = { .back = !news->snapshot && news->n == 0 && news->error >= 0, .none = news->error < 0, .error = news->error };

        if (news->anew)
                w->own = 0;
        if (!told.back && !told.none) {
                if (!w->parts && !news->snapshot && news->items[news->n - 1].modified == w->own)
                        return;
                told.error = w->parts ? map_news(w, news, &v) : one_news(w, news, &v);
                told.value = v;
        }
        w->callback(w, &told, w->userdata);
}

static void watch_unref(KeysWatch *w) {
        if (w->freed && w->n_calls == 0)
                free(w);
}

KeysWatch *keys_watch_free(KeysWatch *w) {
        if (!w)
                return NULL;
        w->watch = store_watch_free(w->watch);
        if (w->parts) {
                forget_parts(w);
                w->parts = map_free(w->parts);
        }
        w->freed = true;
        watch_unref(w);
        return NULL;
}

static int watch_start(Keys *k, const char *path, bool map, keys_watch_callback_t callback, void *userdata, KeysWatch **ret) {
        KeysWatch *w = calloc(1, sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        *w = (KeysWatch) { .keys = k, .callback = callback, .userdata = userdata, .prefix = strlen(path) };
        w->parts = map ? map_new() : NULL;
        r = map && !w->parts ? -ENOMEM : store_watch(k->store, (StoreRange) { path, map }, on_news, w, &w->watch);
        if (r < 0) {
                keys_watch_free(w);
                return r;
        }
        *ret = w;
        return 0;
}

int keys_watch(Keys *k, const char *key, const char *host, keys_watch_callback_t callback, void *userdata, KeysWatch **ret) {
        _cleanup_free_ char *path = NULL;
        int r = place(k, key, host, &path);

        return r < 0 ? r : watch_start(k, path, false, callback, userdata, ret);
}

int keys_watch_map(Keys *k, const char *key, keys_watch_callback_t callback, void *userdata, KeysWatch **ret) {
        _cleanup_(strbuf_done) StrBuf b = {};
        _cleanup_free_ char *path = NULL;

        if (!key[0] || !k->of_hosts)
                return -EINVAL;
        strbuf_puts(&b, k->of_hosts);
        strbuf_puts(&b, key);
        strbuf_putc(&b, '/');
        path = strbuf_take(&b);
        return path ? watch_start(k, path, true, callback, userdata, ret) : -ENOMEM;
}

/* ---- opening ---- */

static int keys_new(Keys **ret, const Keys *like) {
        Keys *k = calloc(1, sizeof(*k));

        if (!k)
                return -ENOMEM;
        *k = *like;
        *ret = k;
        return 0;
}

int keys_open_shared(Keys **ret, Store *s) {
        return keys_new(ret, &(Keys) { .store = s, .of_all = "strings/", .of_hosts = "maps/" });
}

int keys_open_local(Keys **ret, Store *s) {
        return keys_new(ret, &(Keys) { .store = s, .of_all = "local/", .typed = true });
}

Keys *keys_free(Keys *k) {
        free(k);
        return NULL;
}

const char *keys_problem(const Keys *k) {
        return store_problem(k->store);
}
