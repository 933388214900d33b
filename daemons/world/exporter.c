/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Each key that shall be there, or shall go, is a Path. Those that are not as they shall be stand in a list, from which one commit at a
 * time is made. A commit that did not get through is made again; so is everything when the lease had to be taken anew. What the
 * store refuses is told once, and tried again now and then.
 *
 * A commit whose answer was lost may happen yet, long after what followed it. So each one writes the key exporters/HOST as well, on the
 * condition that it is as the one before has left it: what comes late does nothing.
 *
 * The key holds the leases under which this host has written. A life that ends may leave what it should have taken away; the next one
 * ends its leases, when all that it was told of stands under its own. */

#include <errno.h>
#include <stdio.h>
#include <sys/queue.h>

#include <systemd/sd-event.h>

#include "common/ipc/session.h"
#include "common/map.h"
#include "common/sd/log.h"
#include "common/strbuf.h"
#include "daemons/world/exporter.h"
#include "daemons/world/former-leases.h"
#include "daemons/world/store.h"
#include "daemons/world/troubles.h"

enum {
        WRITES_MAX = 50,                /* of one commit */
        BYTES_MAX = 512 * 1024,         /* in them; etcd takes 1.5 MiB */
};

#define REFUSED_MIN_USEC (UINT64_C(1) * 1000000)       /* doubles up to … */
#define REFUSED_MAX_USEC (UINT64_C(60) * 1000000)
#define UNKNOWN_USEC (UINT64_C(3) * 1000000)    /* an error that tells nothing, as of a member that ends just now */

typedef enum PathState {
        PATH_CLEAN,
        PATH_DIRTY,             /* in the list */
        PATH_FLYING,            /* in the commit under way */
        PATH_REFUSED,           /* by the store */
} PathState;

typedef struct Path {
        char *path;
        Value data;             /* nil: it shall go */
        PathState state;
        bool changed;           /* while it was flying */
        bool refused;           /* when it was written last, which somebody was told of */
        bool there;             /* in the store, as far as anybody knows */
        TAILQ_ENTRY(Path) link; /* DIRTY */
} Path;

/* One exported resource. */
typedef struct Exported {
        Path **paths;           /* owned array */
        size_t n;
        bool named;             /* since the session began */
        bool promised;          /* by its name alone: what an earlier life exported under it stays until it comes */
} Exported;

struct Exporter {
        sd_event *event;
        Store *store;
        char *hostname;
        Map *resources;         /* kind, NUL, name → Exported */
        size_t n_promised;      /* of them */
        bool synced;            /* the session has named all of them */
        Map *paths;             /* → Path */
        TAILQ_HEAD(, Path) dirty;
        Path *flying[WRITES_MAX];
        size_t n_flying;
        StoreCall *call;
        StoreLease *lease;      /* NULL: nothing was ever exported */
        int64_t lease_id;       /* of it, when it was held last; 0: it never was */
        FormerLeases former;
        bool former_known;      /* those of earlier lives are among them */
        char *fence;            /* the key exporters/HOST */
        int64_t fence_modified; /* by the commit before; 0: it is not there */
        bool fence_known;
        bool one_by_one;        /* a commit was refused: to find out what for */
        sd_event_source *again; /* what was refused */
        unsigned n_refused;     /* times in a row */
};

static void flush(Exporter *x);

/* ---- writing ---- */

static void path_free(void *p) {
        Path *path = p;

        if (!path)
                return;
        value_done(&path->data);
        free(path->path);
        free(path);
}

static void mark_dirty(Exporter *x, Path *p) {
        if (p->state == PATH_FLYING)
                p->changed = true;
        else if (p->state != PATH_DIRTY) {
                p->state = PATH_DIRTY;
                TAILQ_INSERT_TAIL(&x->dirty, p, link);
        }
}

static int on_again(sd_event_source *s, uint64_t usec, void *userdata) {
        Exporter *x = userdata;
        size_t i = 0;
        const char *key;
        void *p;

        x->again = sd_event_source_disable_unref(x->again);
        while (map_next(x->paths, &i, &key, &p))
                if (((Path *) p)->state == PATH_REFUSED)
                        mark_dirty(x, p);
        flush(x);
        return 0;
}

/* What a role does not allow now it may later. */
static void try_again(Exporter *x, int error) {
        unsigned doublings = MIN(x->n_refused, 6u);
        uint64_t refused_usec = MIN(REFUSED_MIN_USEC << doublings, REFUSED_MAX_USEC);
        uint64_t usec = error == -EIO ? UNKNOWN_USEC : refused_usec;

        if (x->again)
                return;
        x->n_refused++;
        (void) sd_event_add_time_relative(x->event, &x->again, CLOCK_MONOTONIC, usec, usec / 10, on_again, x);
}

static void refused(Exporter *x, Path *p, const StoreReply *reply) {
        _cleanup_free_ char *text = NULL;

        p->state = PATH_REFUSED;
        if (asprintf(&text, "cannot %s '%s': %s", p->data.kind == TYPE_NIL ? "take back" : "export", p->path,
                     reply->problem ?: strerrordesc_np(-reply->error)) < 0)
                text = NULL;
        troubles_set(x->store->troubles, p->path, text ?: "cannot export: out of memory");
        p->refused = true;
        try_again(x, reply->error);
}

static void allowed(Exporter *x, Path *p) {
        if (!p->refused)
                return;
        troubles_over(x->store->troubles, p->path);
        p->refused = false;
        x->n_refused = 0;
}

static bool is_lost(const StoreReply *reply) {
        return reply->error == -EHOSTDOWN || reply->error == -EINPROGRESS || reply->error == -ESTALE;
}

/* What became of one of them. */
static void landed(Exporter *x, Path *p, const StoreReply *reply) {
        bool done = reply->error >= 0 && reply->holds;

        p->state = PATH_CLEAN;
        if (done)
                allowed(x, p);
        if (done || is_lost(reply))
                p->there = !done || p->data.kind != TYPE_NIL || p->changed;
        if (done && !p->changed && p->data.kind == TYPE_NIL) {
                (void) map_remove(x->paths, p->path);
                path_free(p);
        } else if (done ? p->changed : reply->error >= 0 || is_lost(reply) || x->n_flying > 1)
                mark_dirty(x, p);
        else if (!done)
                refused(x, p, reply);
}

static void on_written(const StoreReply *reply, void *userdata) {
        Exporter *x = userdata;

        x->call = NULL;
        for (size_t i = 0; i < x->n_flying; i++)
                landed(x, x->flying[i], reply);
        if (reply->error < 0 && !is_lost(reply) && x->n_flying > 1)
                x->one_by_one = true;
        if (reply->error >= 0 && reply->holds)
                x->fence_modified = reply->revision;
        else if (reply->error >= 0 || is_lost(reply))
                x->fence_known = false;
        x->n_flying = 0;
        if (reply->error != -ESTALE)    /* else the lease is gone; there will be another */
                flush(x);
}

static void fence_refused(Exporter *x, const StoreReply *reply) {
        _cleanup_free_ char *text = NULL;

        if (asprintf(&text, "cannot export anything: %s", reply->problem ?: strerrordesc_np(-reply->error)) < 0)
                text = NULL;
        troubles_set(x->store->troubles, x->fence, text ?: "cannot export anything: out of memory");
        try_again(x, reply->error);
}

static void on_fence(const StoreReply *reply, void *userdata) {
        Exporter *x = userdata;

        x->call = NULL;
        if (reply->error == -ECANCELED)
                return;
        if (reply->error < 0 && !is_lost(reply)) {
                fence_refused(x, reply);
                return;
        }
        if (reply->error >= 0) {
                troubles_over(x->store->troubles, x->fence);
                x->fence_modified = reply->n > 0 ? reply->items[0].modified : 0;
                x->fence_known = true;
                if (reply->n > 0 && !x->former_known)
                        former_leases_parse(&x->former, reply->items[0].data, reply->items[0].size);
                x->former_known = true;
        }
        flush(x);
}

static void read_fence(Exporter *x) {
        int r = store_read(x->store, (StoreRange) { .key = x->fence }, on_fence, x, &x->call);

        if (r < 0)
                log_error(r, "cannot export: %m");
}

/* All that shall be there is. Where not all names have come yet, those of earlier lives stand for them. */
static void end_former(Exporter *x) {
        if (!x->synced || x->n_promised > 0)
                return;
        if (x->former_known)
                former_leases_end(&x->former);
        else
                read_fence(x);
}

static int commit(Exporter *x, const StoreWrite *writes, size_t n) {
        StoreCondition as_left = { .kind = STORE_MODIFIED, .key = x->fence, .modified = x->fence_modified };

        return store_commit(x->store, &(StoreCommit) { .conditions = &as_left, .n_conditions = 1, .writes = writes, .n_writes = n },
                            on_written, x, &x->call);
}

static void flush(Exporter *x) {
        _cleanup_(strbuf_done) StrBuf leases = {};
        StoreWrite writes[WRITES_MAX + 1];
        size_t n = 0, bytes = 0;
        Path *p;
        int r;

        if (x->call)
                return;
        if (TAILQ_EMPTY(&x->dirty)) {
                x->one_by_one = false;
                end_former(x);
                return;
        }
        if (!store_lease_held(x->lease))
                return;
        if (!x->fence_known) {
                read_fence(x);
                return;
        }
        former_leases_print(&x->former, x->lease_id, &leases);
        while ((p = TAILQ_FIRST(&x->dirty)) && n < (x->one_by_one ? 1 : WRITES_MAX)) {
                bool goes = p->data.kind == TYPE_NIL;

                bytes += goes ? 0 : p->data.s->size;
                if (n > 0 && bytes > BYTES_MAX)
                        break;
                TAILQ_REMOVE(&x->dirty, p, link);
                p->state = PATH_FLYING;
                p->changed = false;
                writes[n] = (StoreWrite) { .key = p->path };
                if (!goes)
                        writes[n] = (StoreWrite) { .key = p->path, .data = p->data.s->data, .size = p->data.s->size, .lease = x->lease };
                x->flying[n++] = p;
        }
        x->n_flying = n;
        writes[n] = (StoreWrite) { .key = x->fence, .data = leases.data, .size = leases.size, .lease = x->lease };
        r = leases.failed ? -ENOMEM : commit(x, writes, n + 1);
        if (r < 0)
                on_written(&(StoreReply) { .error = r }, x);
}

/* Whatever is under way was asked for under a lease that is gone. If it happens nevertheless, the fence tells. */
static void give_up(Exporter *x) {
        x->call = store_call_cancel(x->call);
        for (size_t i = 0; i < x->n_flying; i++) {
                x->flying[i]->state = PATH_CLEAN;
                mark_dirty(x, x->flying[i]);
        }
        x->n_flying = 0;
        x->fence_known = false;
}

static void on_lease(StoreLease *l, bool held, void *userdata) {
        Exporter *x = userdata;
        size_t i = 0;
        const char *key;
        void *p;

        if (!held)
                return;
        give_up(x);
        former_leases_add(&x->former, x->lease_id);
        x->lease_id = store_lease_id(l);
        while (map_next(x->paths, &i, &key, &p))
                mark_dirty(x, p);
        flush(x);
}

/* ---- what shall be there ---- */

static int set_path(Exporter *x, const char *path, Value data, Path **ret) {
        Path *p = map_get(x->paths, path);
        int r;

        if (!p) {
                p = calloc(1, sizeof(*p));
                if (!p || !(p->path = strdup(path))) {
                        free(p);
                        return -ENOMEM;
                }
                r = map_put(x->paths, path, p);
                if (r < 0) {
                        path_free(p);
                        return r;
                }
        } else if (p->data.kind == data.kind && value_equal(p->data, data)) {
                *ret = p;
                return 0;
        }
        value_done(&p->data);
        p->data = value_ref(data);
        mark_dirty(x, p);
        *ret = p;
        return 0;
}

static void take_away(Exporter *x, Path *p) {
        if (p->state == PATH_REFUSED && !p->there) {
                allowed(x, p);
                (void) map_remove(x->paths, p->path);
                path_free(p);
                return;
        }
        value_done(&p->data);
        mark_dirty(x, p);
}

static void exported_free(void *p) {
        Exported *e = p;

        if (e)
                free(e->paths);
        free(e);
}

static bool has(Path *const *paths, size_t n, const Path *p) {
        for (size_t i = 0; i < n; i++)
                if (paths[i] == p)
                        return true;
        return false;
}

/* Takes paths. Those that it had before and has no more go. */
static void set_paths(Exporter *x, Exported *e, Path **paths, size_t n) {
        for (size_t i = 0; i < e->n; i++)
                if (!has(paths, n, e->paths[i]))
                        take_away(x, e->paths[i]);
        free(e->paths);
        e->paths = paths;
        e->n = n;
        e->named = true;
}

static char *key_of(const char *kind, const char *name, size_t *ret_size) {
        size_t n = strlen(kind) + 1, m = strlen(name);
        char *key = malloc(n + m + 1);

        if (!key)
                return NULL;
        memcpy(key, kind, n);
        memcpy(key + n, name, m + 1);
        *ret_size = n + m;
        return key;
}

static void set_promised(Exporter *x, Exported *e, bool promised) {
        x->n_promised = x->n_promised - e->promised + promised;
        e->promised = promised;
}

static int find_or_add(Exporter *x, const char *kind, const char *name, Exported **ret) {
        size_t size;
        _cleanup_free_ char *key = key_of(kind, name, &size);
        Exported *e = key ? map_get_n(x->resources, key, size) : NULL;
        int r;

        if (!key)
                return -ENOMEM;
        if (!e) {
                e = calloc(1, sizeof(*e));
                r = e ? map_put_n(x->resources, key, size, e) : -ENOMEM;
                if (r < 0) {
                        free(e);
                        return r;
                }
        }
        *ret = e;
        return 0;
}

static bool host_is_valid(Value v) {
        const char *host = v.kind == TYPE_STR ? value_cstr(v) : "";

        return host[0] && strlen(host) == v.s->size && !strchr(host, '/');
}

static int put_one(Exporter *x, Value host, const char *kind, const char *name, Value data, Path **ret) {
        _cleanup_(strbuf_done) StrBuf b = {};

        if (!host_is_valid(host))
                return -EINVAL;
        strbuf_printf(&b, "exports/%s/%s/%s/%s", value_cstr(host), kind, x->hostname, name);
        if (b.failed)
                return -ENOMEM;
        return b.size > STORE_KEY_MAX ? -ENAMETOOLONG : set_path(x, b.data, data, ret);
}

/* What is said to one host twice counts once. */
static int put_part(Exporter *x, const char *kind, const char *name, Value part, Path **paths, size_t *n) {
        Value hosts = *value_struct_get(part, "hosts"), data = *value_struct_get(part, "data");
        int r = 0;

        for (uint32_t i = 0; i < hosts.l->n && r >= 0; i++) {
                Path *p;

                r = put_one(x, value_list_at(hosts.l, i), kind, name, data, &p);
                if (r >= 0 && !has(paths, *n, p))
                        paths[(*n)++] = p;
        }
        return r;
}

static size_t count_hosts(Value parts) {
        size_t n = 0;

        for (uint32_t i = 0; i < parts.l->n; i++)
                n += value_struct_get(value_list_at(parts.l, i), "hosts")->l->n;
        return n;
}

static int put(Exporter *x, const char *kind, const char *name, Value parts) {
        Path **paths = calloc(count_hosts(parts) + 1, sizeof(Path *));
        Exported *e;
        size_t n = 0;
        int r;

        r = paths ? find_or_add(x, kind, name, &e) : -ENOMEM;
        for (uint32_t i = 0; i < parts.l->n && r >= 0; i++)
                r = put_part(x, kind, name, value_list_at(parts.l, i), paths, &n);
        if (r < 0) {
                for (size_t i = 0; i < n; i++)
                        if (!has(e->paths, e->n, paths[i]))
                                take_away(x, paths[i]);
                free(paths);
                return r;
        }
        set_promised(x, e, false);
        set_paths(x, e, paths, n);
        if (!x->lease)
                r = store_lease_new(x->store, EXPORT_TTL_SEC, on_lease, x, &x->lease);
        flush(x);
        return r;
}

static void drop(Exporter *x, const char *kind, const char *name) {
        size_t size;
        _cleanup_free_ char *key = key_of(kind, name, &size);
        Exported *e = key ? map_remove_n(x->resources, key, size) : NULL;

        if (!e)
                return;
        set_promised(x, e, false);
        set_paths(x, e, NULL, 0);
        exported_free(e);
        flush(x);
}

/* ---- the session with mgmt-engine ---- */

/* What does not even come to the store. */
static void report(Exporter *x, const char *kind, const char *name, int error) {
        _cleanup_free_ char *about = NULL, *text = NULL;

        if (asprintf(&about, "%s[%s]", kind, name) < 0)
                about = NULL;
        const char *why = error == -ENAMETOOLONG ? "its name is too long" :
                          error == -EINVAL ? "it is meant for a host that has no valid name" : strerrordesc_np(-error);
        if (about && error < 0 && asprintf(&text, "cannot export %s: %s", about, why) < 0)
                text = NULL;
        if (error < 0)
                troubles_set(x->store->troubles, about ?: "export", text ?: "cannot export: out of memory");
        else if (about)
                troubles_over(x->store->troubles, about);
}

static void forget_names(Exporter *x) {
        size_t i = 0;
        const char *key;
        void *e;

        while (map_next(x->resources, &i, &key, &e))
                ((Exported *) e)->named = false;
}

static void drop_unnamed(Exporter *x) {
        size_t i = 0;
        const char *key;
        void *e;

        while (map_next(x->resources, &i, &key, &e))
                if (!((Exported *) e)->named) {
                        const char *kind = key;

                        report(x, kind, kind + strlen(kind) + 1, 0);
                        (void) map_remove_n(x->resources, key, strlen(kind) + 1 + strlen(kind + strlen(kind) + 1));
                        set_promised(x, e, false);
                        set_paths(x, e, NULL, 0);
                        exported_free(e);
                }
        x->synced = true;
        flush(x);
}

static void forget_troubles(Exporter *x) {
        size_t i = 0;
        const char *path;
        void *p;

        if (x->fence)
                troubles_over(x->store->troubles, x->fence);
        while (map_next(x->paths, &i, &path, &p))
                allowed(x, p);
}

/* Another name is another host: what the old one exported runs out. */
static int set_hostname(Exporter *x, const char *hostname) {
        char *copy, *fence;

        if (!hostname[0] || strchr(hostname, '/') || streq(hostname, "*"))
                return -EINVAL;
        if (x->hostname && streq(x->hostname, hostname))
                return 0;
        if (asprintf(&fence, "exporters/%s", hostname) < 0)
                return -ENOMEM;
        copy = strdup(hostname);
        if (!copy) {
                free(fence);
                return -ENOMEM;
        }
        forget_troubles(x);
        free(x->fence);
        x->fence = fence;
        x->fence_known = x->former_known = false;
        x->call = store_call_cancel(x->call);
        former_leases_clear(&x->former);
        x->n_flying = x->n_promised = 0;
        x->lease = store_lease_free(x->lease, true);
        x->lease_id = 0;
        TAILQ_INIT(&x->dirty);
        map_free_with(x->resources, exported_free);
        map_free_with(x->paths, path_free);
        x->resources = map_new();
        x->paths = map_new();
        free(x->hostname);
        x->hostname = copy;
        return x->resources && x->paths ? 0 : -ENOMEM;
}

int exporter_session(Exporter *x, const char *hostname) {
        int r = set_hostname(x, hostname);

        if (r >= 0)
                forget_names(x);
        x->synced = false;
        return r;
}

static bool names_are_valid(const Exporter *x, const char *kind, const char *name) {
        return x->hostname && kind && name && kind[0] && name[0] && !strchr(kind, '/');
}

static bool parts_are_valid(Value parts) {
        if (parts.kind != TYPE_LIST)
                return false;
        for (uint32_t i = 0; i < parts.l->n; i++) {
                Value part = value_list_at(parts.l, i);
                const Value *hosts = part.kind == TYPE_STRUCT ? value_struct_get(part, "hosts") : NULL;
                const Value *data = hosts ? value_struct_get(part, "data") : NULL;

                if (!data || data->kind != TYPE_STR || hosts->kind != TYPE_LIST)
                        return false;
        }
        return true;
}

static int message_put(Exporter *x, Message *m) {
        const char *kind = m->export_put.kind, *name = m->export_put.name;

        if (!names_are_valid(x, kind, name) || !parts_are_valid(m->export_put.parts))
                return -EBADMSG;
        report(x, kind, name, put(x, kind, name, m->export_put.parts));
        return 0;
}

static int message_keep(Exporter *x, const char *kind, const char *name) {
        Exported *e;
        int r;

        if (!names_are_valid(x, kind, name))
                return 0;
        r = find_or_add(x, kind, name, &e);
        if (r < 0)
                return r;
        if (!e->paths)
                set_promised(x, e, true);
        e->named = true;
        return 0;
}

bool exporter_message(Exporter *x, Channel *c, PeerId peer, Message *m) {
        int r = 0;

        switch (m->type) {
        case MESSAGE_HELLO:
                if (!streq_ptr(m->hello.role, "exports"))
                        return false;
                r = exporter_session(x, m->hello.hostname ?: "");
                if (r >= 0)
                        session_welcome(c, peer);
                break;
        case MESSAGE_EXPORT_PUT:
                r = message_put(x, m);
                break;
        case MESSAGE_EXPORT_KEEP:
                r = message_keep(x, m->export_keep.kind, m->export_keep.name);
                break;
        case MESSAGE_EXPORT_REMOVE:
                if (!names_are_valid(x, m->export_remove.kind, m->export_remove.name))
                        break;
                drop(x, m->export_remove.kind, m->export_remove.name);
                report(x, m->export_remove.kind, m->export_remove.name, 0);
                break;
        case MESSAGE_EXPORT_SYNC:
                drop_unnamed(x);
                break;
        default:
                return false;
        }
        if (r < 0)
                session_refuse(c, peer, r, "cannot export");
        return true;
}

unsigned exporter_n_exports(const Exporter *x) {
        return (unsigned) map_size(x->paths);
}

/* ---- the whole ---- */

int exporter_new(Exporter **ret, sd_event *event, Store *store) {
        Exporter *x = calloc(1, sizeof(*x));

        if (!x)
                return -ENOMEM;
        *x = (Exporter) { .event = event, .store = store, .resources = map_new(), .paths = map_new(), .former.store = store };
        TAILQ_INIT(&x->dirty);
        if (!x->resources || !x->paths) {
                exporter_free(x);
                return -ENOMEM;
        }
        *ret = x;
        return 0;
}

Exporter *exporter_free(Exporter *x) {
        if (!x)
                return NULL;
        store_call_cancel(x->call);
        former_leases_clear(&x->former);
        store_lease_free(x->lease, false);      /* mgmt-world may be back before that is noticed */
        (void) sd_event_source_disable_unref(x->again);
        map_free_with(x->resources, exported_free);
        map_free_with(x->paths, path_free);
        free(x->hostname);
        free(x->fence);
        free(x);
        return NULL;
}
