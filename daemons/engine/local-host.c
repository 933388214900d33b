/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <syslog.h>

#include "common/sd/log.h"
#include "daemons/engine/arming.h"
#include "daemons/engine/attempt.h"
#include "daemons/engine/drift.h"
#include "daemons/engine/engine-manager.h"
#include "daemons/engine/local-host.h"

static void host_changed(Resource *r) {
        Vertex *v = vertex_root(r->vertex);

        metrics_event(v);
        scheduler_event(&v->manager->scheduler, v);
}

static void host_armed(Resource *r) {
        Vertex *v = r->vertex;

        arming_armed(&v->manager->scheduler, v);
}

static void host_watch_failed(Resource *r, int error, Diag *diag) {
        Vertex *v = r->vertex;
        _cleanup_(diag_done) Diag none = {};

        arming_failed(&v->manager->scheduler, v, error, diag ? diag : &none);
}

static void host_finished(Resource *r, int result, Diag *diag) {
        Vertex *v = r->vertex;
        _cleanup_(diag_done) Diag none = {};

        attempt_finished(&v->manager->scheduler, v, result, diag ? diag : &none);
}

static void host_waiting(Resource *r, const char *reason) {
        Vertex *v = vertex_root(r->vertex);

        _cleanup_(diag_done) Diag diag = {};

        (void) diag_set(&diag, r->pos, -EAGAIN, "%s", reason);
        vertex_set_error(v, &diag);
}

static bool host_refresh(const Resource *r) {
        const Vertex *v = r->vertex;

        return scheduler_refresh(v, EDGE_PENDING | EDGE_TOLD);
}

static int host_send(Resource *r, const char *key, Value value) {
        Vertex *v = r->vertex;
        Manager *m = v->manager;
        int k;

        k = vertex_send(v, key, value);
        if (k <= 0)
                return k;
        const GraphAdjacency *out = graph_successors(m->graph, v->id);
        for (uint32_t i = 0; i < out->n; i++)
                if (out->items[i].data & EDGE_TRANSFER)
                        scheduler_dirty(&m->scheduler, vertex_root(manager_vertex(m, out->items[i].peer)));
        return 0;
}

static void host_differs(Resource *r, Difference *d) {
        drift_add(r->vertex, d);
}

static void host_log(Resource *r, int priority, const char *text) {
        Vertex *v = r->vertex;

        (void) log_resource(priority, r->type->kind, r->name, r->pos, "%s", text);
        events_emit(v->manager->events, EVENT_LOG, r->type->kind, r->name, priority, NULL, text);
}

static void host_exit_requested(Resource *r, int code) {
        Vertex *v = r->vertex;
        char state[16];

        (void) snprintf(state, sizeof(state), "%d", code);
        events_emit(v->manager->events, EVENT_EXIT, r->type->kind, r->name, LOG_NOTICE, state, NULL);
}

void local_host_init(ResourceHost *host, Manager *m) {
        *host = (ResourceHost) {
                .event = m->event,
                .manager = m,
                .hostname = m->hostname,
                .state_dir = m->options.state_of ? m->options.state_of : m->state_dir,
                .only_looks = m->options.plan,
                .changed = host_changed,
                .armed = host_armed,
                .watch_failed = host_watch_failed,
                .finished = host_finished,
                .waiting = host_waiting,
                .refresh = host_refresh,
                .send = host_send,
                .differs = host_differs,
                .log = host_log,
                .exit_requested = host_exit_requested,
        };
}

PathWatcher *local_host_paths(const Resource *r) {
        const Manager *m = r->host->manager;

        return m->paths;
}

void local_host_path_changed(PathWatch *w, int error, void *userdata) {
        Resource *r = userdata;
        _cleanup_(diag_done) Diag diag = {};

        if (error >= 0) {
                resource_changed(r);
                return;
        }
        /* A server of files that does not answer, say: it may be back, and until then there is no watch to be had. */
        (void) resource_error(r, &diag, error, "cannot watch any longer: %m");
        resource_watch_failed(r, -ENOSPC, &diag);
}

int local_host_watch(Resource *r, const char *path, unsigned flags, PathWatch **ret, Diag *reterr) {
        int k = path_watch_new(ret, local_host_paths(r), path, flags, local_host_path_changed, r);

        return k < 0 ? resource_error(r, reterr, k, "cannot watch '%s': %m", path) : 0;
}

static void on_kernel(void *userdata) {
        resource_changed(userdata);
}

int local_host_watch_kernel(Resource *r, KernelTopic topic, KernelWatch **ret, Diag *reterr) {
        Manager *m = r->host->manager;
        int k = kernel_watch_new(ret, &m->kernel, r->host->event, topic, NULL, on_kernel, r);

        return k < 0 ? resource_error(r, reterr, k, "cannot watch %s: %m", kernel_topic_name(topic)) : 0;
}

Names *local_host_names(const Resource *r) {
        const Manager *m = r->host->manager;

        return m->names;
}

int local_host_each_other(const Resource *r, int (*callback)(const Resource *other, void *userdata), void *userdata) {
        const Manager *m = r->host->manager;
        const KindSet *k = map_get(m->kinds, r->type->kind);
        size_t i = 0;
        void *v;

        while (k && map_next(k->by_name, &i, NULL, &v)) {
                const Resource *other = ((const Vertex *) v)->resource;
                int e = other != r ? callback(other, userdata) : 0;
                if (e < 0)
                        return e;
        }
        return 0;
}

int local_host_bus(const Resource *r, HostBusType type, HostBus **ret) {
        Manager *m = r->host->manager;
        int k = m->buses[type] ? 0 : host_bus_new(&m->buses[type], r->host->event, type, local_host_paths(r));

        *ret = m->buses[type];
        return k;
}

const char *local_host_etc(const Resource *r) {
        const Manager *m = r->host->manager;

        return m->etc ? m->etc : "/etc";
}
