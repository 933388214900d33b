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
        Value hosts;            /* list of str */
        Value data;             /* as exported_encode() made it */
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
        value_done(&e->hosts);
        value_done(&e->data);
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
                             .export_put = { .kind = e->kind, .name = e->name, .hosts = e->hosts, .data = e->data } });
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

                if (v && v->resource->meta.export)
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

static int export_new(const Vertex *v, Export **ret, Diag *reterr) {
        _cleanup_free_ char *text = NULL;
        Export *e;
        int r;

        r = exported_encode(v->resource, &text, reterr);
        if (r < 0)
                return r;
        e = calloc(1, sizeof(*e));
        if (!e)
                return -ENOMEM;
        e->kind = strdup(vertex_kind(v));
        e->name = strdup(vertex_name(v));
        r = e->kind && e->name ? value_strz(&e->data, text) : -ENOMEM;
        if (r >= 0)
                r = value_list_from_strv(&e->hosts, v->resource->meta.export);
        if (r < 0) {
                export_free(e);
                return r;
        }
        *ret = e;
        return 0;
}

int exports_publish(Exports *x, const Vertex *v, Diag *reterr) {
        _cleanup_free_ char *key = NULL;
        Export *e = NULL, *before;
        size_t size;
        int r;

        if (!v->resource->meta.export) {
                exports_forget(x, v);
                return 0;
        }
        for (char **host = v->resource->meta.export; *host; host++)
                if (strchr(*host, '/'))
                        return resource_error(v->resource, reterr, -EINVAL, "cannot export it to '%s', which is no name of a host", *host);
        r = make_key(v, &key, &size);
        if (r >= 0)
                r = export_new(v, &e, reterr);
        if (r < 0)
                return r;
        before = map_get_n(x->by_key, key, size);
        if (before && value_equal(before->data, e->data) && value_equal(before->hosts, e->hosts)) {
                export_free(e);
                return 0;
        }
        r = connect_to_world(x);
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

void exports_forget(Exports *x, const Vertex *v) {
        _cleanup_free_ char *key = NULL;
        Export *e;
        size_t size;

        if (!x || map_size(x->by_key) == 0 || make_key(v, &key, &size) < 0)
                return;
        e = map_remove_n(x->by_key, key, size);
        if (!e)
                return;
        if (x->synced)
                tell(x, &(Message) { .type = MESSAGE_EXPORT_REMOVE, .export_remove = { .kind = e->kind, .name = e->name } });
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
