/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What was said is kept, so that only differences are said, and all of it again over a new connection. What an engine before this one
 * exported mgmt-world still knows: so each connection ends its beginning with EXPORT_SYNC, after which only that stays which was
 * named. Those that are in the graph but have not come to their first attempt are named by EXPORT_KEEP.
 *
 * A mark in the state directory says that there may be something to take back. Without it, and without anything to export, mgmt-world
 * is left in peace. */

#include <fcntl.h>
#include <stdio.h>

#include "common/exported.h"
#include "common/io.h"
#include "common/ipc/channel.h"
#include "common/map.h"
#include "common/paths.h"
#include "common/sd/log.h"
#include "daemons/engine/engine-manager.h"
#include "daemons/engine/exports.h"

typedef struct Export {
        char *kind, *name;
        Value parts;            /* as EXPORT_PUT has it */
} Export;

struct Exports {
        Manager *manager;
        Channel *channel;       /* NULL: nothing was ever exported here */
        char *mark;             /* path */
        Map *by_key;            /* kind, NUL, name → Export */
        bool synced;            /* mgmt-world knows over this connection what is there */
};

static void export_free(void *p) {
        Export *e = p;

        if (!e)
                return;
        value_done(&e->parts);
        free(e->kind);
        free(e->name);
        free(e);
}

/* ---- saying ---- */

static void tell(Exports *x, const Message *m) {
        int r = x->channel ? channel_send(x->channel, 0, m) : -ENOTCONN;

        if (r < 0 && r != -ENOTCONN)
                log_warning(r, "cannot send %s to mgmt-world: %m, ignoring", message_name(m->type));
}

static void tell_put(Exports *x, const Export *e) {
        tell(x, &(Message) { .type = MESSAGE_EXPORT_PUT,
                             .export_put = { .kind = e->kind, .name = e->name, .parts = e->parts } });
}

static bool exports_something(const Vertex *v) {
        bool any = v->resource->meta.export;

        for (size_t i = 0; i < v->n_twins && !any; i++)
                any = v->twins[i]->meta.export;
        return any;
}

/* Once there is a graph: before, nobody knows what stays. */
static void sync_all(Exports *x) {
        Manager *m = x->manager;
        size_t i = 0;
        const char *key;
        void *e;

        if (x->synced || !m->has_graph || !x->channel || !channel_is_connected(x->channel))
                return;
        while (map_next(x->by_key, &i, &key, &e))
                tell_put(x, e);
        for (size_t id = 0; id < m->capacity_vertices; id++) {
                const Vertex *v = m->vertices[id];

                if (v && exports_something(v))
                        tell(x, &(Message) { .type = MESSAGE_EXPORT_KEEP,
                                             .export_keep = { .kind = (char *) vertex_kind(v), .name = (char *) vertex_name(v) } });
        }
        tell(x, &(Message) { .type = MESSAGE_EXPORT_SYNC });
        x->synced = true;
}

static void on_connected(Channel *c, void *userdata) {
        Exports *x = userdata;

        x->synced = false;
        tell(x, &(Message) { .type = MESSAGE_HELLO, .hello = { .role = (char *) "exports", .hostname = x->manager->hostname } });
        sync_all(x);
}

static void on_disconnected(Channel *c, void *userdata) {
        ((Exports *) userdata)->synced = false;
}

static void on_message(Channel *c, PeerId peer, Message *m, void *userdata) {
        if (m->type == MESSAGE_ERROR)
                log_warning(m->error.error < 0 ? m->error.error : -EPROTO, "mgmt-world: %s", m->error.text ?: "refused");
}

static const ChannelOps ops = { .message = on_message, .connected = on_connected, .disconnected = on_disconnected };

static int connect_to_world(Exports *x) {
        _cleanup_free_ char *path = NULL;
        int r;

        if (x->channel)
                return 0;
        path = path_socket("world");
        if (!path)
                return -ENOMEM;
        r = write_file_atomic_at(AT_FDCWD, x->mark, "", 0, 0600, false);
        if (r < 0)
                log_warning(r, "cannot write '%s': %m, ignoring", x->mark);
        return channel_connect(&x->channel, x->manager->event, path, &ops, x);
}

/* ---- what is there ---- */

static int make_key(const Vertex *v, char **ret, size_t *ret_size) {
        const char *kind = vertex_kind(v), *name = vertex_name(v);
        size_t n = strlen(kind) + 1, size = n + strlen(name);
        char *key = malloc(size + 1);

        if (!key)
                return -ENOMEM;
        memcpy(key, kind, n);
        memcpy(key + n, name, size - n + 1);
        *ret = key;
        *ret_size = size;
        return 0;
}

/* What one of them is for the hosts that it names: struct{hosts []str; data str}. */
static int make_part(const Resource *r, Value *ret, Diag *reterr) {
        _cleanup_free_ char *text = NULL;
        Value items[2] = {};
        int k;

        for (char **host = r->meta.export; *host; host++)
                if (strchr(*host, '/'))
                        return resource_error(r, reterr, -EINVAL, "cannot export it to '%s', which is no name of a host", *host);
        k = exported_encode(r, &text, reterr);
        if (k >= 0)
                k = value_list_from_strv(&items[0], r->meta.export);
        if (k >= 0)
                k = value_strz(&items[1], text);
        if (k < 0) {
                value_done(&items[0]);
                return k;
        }
        return value_struct(ret, (const char *const[]) { "hosts", "data" }, items, 2);
}

/* A twin has the same edges, and receives what the one in the graph does: -EAGAIN if that is not known yet. */
static int receive(const Vertex *v, Resource *twin, Diag *reterr) {
        for (size_t i = 0; i < v->n_receives; i++) {
                const Receive *in = &v->receives[i];
                const FieldSpec *f = field_find(twin->type->fields, in->field);
                _cleanup_(value_done) Value value = VALUE_NIL;
                int r;

                if (in->sender == VERTEX_NONE || !f)
                        continue;
                r = in->transferred ? field_get(f, v->resource, &value) : -EAGAIN;
                if (r >= 0)
                        r = resource_store(twin, f, value, reterr);
                if (r < 0)
                        return r;
                twin->secret |= v->resource->secret & UINT64_C(1) << (f - twin->type->fields);
        }
        return 0;
}

static int make_twin_part(const Vertex *v, const Resource *twin, Value *ret, Diag *reterr) {
        _cleanup_(resource_freep) Resource *copy = NULL;
        int r;

        if (v->n_receives == 0)
                return make_part(twin, ret, reterr);
        r = resource_copy(&copy, twin);
        if (r >= 0)
                r = receive(v, copy, reterr);
        return r < 0 ? r : make_part(copy, ret, reterr);
}

/* *ret_all is false if some of them say nothing, or not yet. */
static int make_parts(const Vertex *v, bool only_twins, Value *ret, bool *ret_all, Diag *reterr) {
        _cleanup_free_ Value *parts = calloc(v->n_twins + 1, sizeof(Value));
        size_t n = 0;
        int r = 0;

        if (!parts)
                return -ENOMEM;
        *ret_all = !only_twins || !v->resource->meta.export;
        if (!only_twins && v->resource->meta.export) {
                r = make_part(v->resource, &parts[n], reterr);
                n += r >= 0;
        }
        for (size_t i = 0; i < v->n_twins && r >= 0; i++) {
                const Resource *twin = v->twins[i];

                if (!twin->meta.export)
                        continue;
                r = twin->meta.noop ? -EAGAIN : make_twin_part(v, twin, &parts[n], reterr);
                n += r >= 0;
                if (r != -EAGAIN)
                        continue;
                *ret_all = false;
                r = 0;
        }
        if (r >= 0)
                return value_list(ret, parts, n);
        for (size_t i = 0; i < n; i++)
                value_done(&parts[i]);
        return r;
}

/* Takes the parts. */
static int put(Exports *x, const Vertex *v, Value *parts, Diag *reterr) {
        _cleanup_free_ char *key = NULL;
        Export *e = NULL, *before;
        size_t size;
        int r;

        r = make_key(v, &key, &size);
        if (r < 0)
                return r;
        before = map_get_n(x->by_key, key, size);
        if (before && value_equal(before->parts, *parts))
                return 0;
        e = calloc(1, sizeof(*e));
        if (!e)
                return -ENOMEM;
        e->parts = value_take(parts);
        e->kind = strdup(vertex_kind(v));
        e->name = strdup(vertex_name(v));
        r = e->kind && e->name ? connect_to_world(x) : -ENOMEM;
        if (r >= 0)
                r = map_put_n(x->by_key, key, size, e);
        if (r < 0) {
                export_free(e);
                return resource_error(v->resource, reterr, r, "cannot export it: %m");
        }
        export_free(before);
        if (x->synced)
                tell_put(x, e);
        return 0;
}

/* Under noop things stay as they were. */
int exports_publish(Exports *x, const Vertex *v, bool only_twins, Diag *reterr) {
        _cleanup_(value_done) Value parts = VALUE_NIL;
        bool all;
        int r;

        if (!exports_something(v)) {
                if (!only_twins)
                        exports_forget(x, v);
                return 0;
        }
        r = make_parts(v, only_twins, &parts, &all, reterr);
        if (r < 0 || (parts.l->n == 0 && !all))
                return r;
        return put(x, v, &parts, reterr);
}

void exports_forget(Exports *x, const Vertex *v) {
        _cleanup_free_ char *key = NULL;
        Export *e;
        size_t size;

        if (!x || (map_size(x->by_key) == 0 && !exports_something(v)) || make_key(v, &key, &size) < 0)
                return;
        e = map_remove_n(x->by_key, key, size);
        if (x->synced && (e || exports_something(v)))       /* else it was named by EXPORT_KEEP, perhaps */
                tell(x, &(Message) { .type = MESSAGE_EXPORT_REMOVE,
                                     .export_remove = { .kind = (char *) vertex_kind(v), .name = (char *) vertex_name(v) } });
        export_free(e);
}

void exports_graph_changed(Exports *x) {
        int r;

        if (x->manager->options.plan)
                return;
        if (!x->channel && access(x->mark, F_OK) == 0) {
                r = connect_to_world(x);        /* an engine before this one has exported something */
                if (r < 0)
                        log_warning(r, "cannot connect to mgmt-world: %m, ignoring");
        }
        sync_all(x);
}

/* ---- the whole ---- */

int exports_new(Exports **ret, Manager *m) {
        Exports *x = calloc(1, sizeof(*x));

        if (!x)
                return -ENOMEM;
        x->manager = m;
        x->by_key = map_new();
        if (asprintf(&x->mark, "%s/exports", m->state_dir) < 0)
                x->mark = NULL;
        if (!x->by_key || !x->mark) {
                exports_free(x);
                return -ENOMEM;
        }
        *ret = x;
        return 0;
}

Exports *exports_free(Exports *x) {
        if (!x)
                return NULL;
        channel_free(x->channel);
        map_free_with(x->by_key, export_free);
        free(x->mark);
        free(x);
        return NULL;
}
