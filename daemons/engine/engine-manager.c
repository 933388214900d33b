/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The engine put together, and the table of its vertices. */

#include <sys/stat.h>
#include <syslog.h>

#include <systemd/sd-event.h>

#include "common/hash.h"
#include "common/sd/log.h"
#include "daemons/engine/autoedge.h"
#include "daemons/engine/drift.h"
#include "daemons/engine/engine-manager.h"
#include "daemons/engine/exports.h"
#include "daemons/engine/graph-hold.h"
#include "daemons/engine/graph-link.h"
#include "daemons/engine/graph-swap.h"
#include "daemons/engine/local-host.h"
#include "daemons/engine/resource-bus.h"
#include "daemons/engine/reversals.h"

enum {
        WATCH_WAIT_USEC = 250 * 1000,
        REST_USEC = 1000 * 1000,
};

static void on_converged(Converger *c, bool converged, void *userdata) {
        Manager *m = userdata;

        m->metrics.converged += converged;
        events_emit(m->events, EVENT_CONVERGED, NULL, NULL, LOG_INFO, converged ? "true" : "false", NULL);
        manager_emit_converged_changed(m);
        if (m->link)
                graph_link_state_changed(m->link);
}

static int own_hostname(const char *given, char **ret) {
        char name[256];

        if (given) {
                *ret = strdup(given);
                return *ret ? 0 : -ENOMEM;
        }
        if (gethostname(name, sizeof(name)) < 0)
                return -errno;
        name[sizeof(name) - 1] = '\0';
        *ret = strdup(name[0] ? name : "localhost");
        return *ret ? 0 : -ENOMEM;
}

static int open_journal(Manager *m) {
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s/notify-journal", m->state_dir) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        int r = notify_journal_open(&m->journal, path);
        return r < 0 ? log_error(r, "cannot open the journal of notifications '%s': %m", path) : 0;
}

static int open_reversals(Manager *m) {
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s/reversals", m->options.state_of ?: m->state_dir) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        int r = reversals_open(&m->reversals, m, path);
        return r < 0 ? log_error(r, "cannot read the reversals in '%s': %m", path) : 0;
}

int manager_new(Manager **ret, sd_event *event, const ResourceType *const *types, const char *state_dir,
                const char *kinds_path, const EngineOptions *options) {
        _cleanup_(manager_freep) Manager *m = calloc(1, sizeof(*m));
        int r;

        if (!m)
                return -ENOMEM;
        m->event = sd_event_ref(event);
        m->types = types;
        m->options = *options;
        m->state_dir = strdup(state_dir);
        metrics_init(&m->metrics);
        m->graph = graph_new();
        m->kinds = map_new();
        if (!m->state_dir || !m->graph || !m->kinds)
                return -ENOMEM;
        r = own_hostname(options->hostname, &m->hostname);
        if (r < 0)
                return r;
        r = events_new(&m->events);
        if (r < 0)
                return r;
        r = uid_index_new(&m->uids);
        if (r < 0)
                return r;
        r = scheduler_init(&m->scheduler, event);
        if (r < 0)
                return r;
        r = converger_init(&m->converger, event, options->converger_timeout, options->status_file, on_converged, m);
        if (r < 0)
                return r;
        m->fallback_poll_usec = PATH_WATCH_FALLBACK_USEC;
        m->watch_wait_usec = WATCH_WAIT_USEC;
        m->rest_usec = REST_USEC;
        r = path_watcher_new(&m->paths, event);
        if (r < 0)
                return log_error(r, "cannot watch files: %m");
        r = names_new(&m->names, event, "/etc");
        if (r < 0)
                return r;
        r = open_journal(m);
        if (r < 0)
                return r;
        if (kinds_path) {
                r = proxies_new(&m->proxies, event, kinds_path, m->hostname);
                if (r < 0)
                        return r;
        }
        r = open_reversals(m);
        if (r < 0)
                return r;
        r = exports_new(&m->exports, m);
        if (r < 0)
                return r;
        local_host_init(&m->host, m);
        *ret = TAKE_PTR(m);
        return 0;
}

static void kind_set_free(void *p) {
        KindSet *k = p;

        map_free(k->by_name);
        free(k);
}

Manager *manager_free(Manager *m) {
        if (!m)
                return NULL;
        m->link = graph_link_free(m->link);
        m->resource_bus = resource_bus_free(m->resource_bus);
        if (m->proxies)
                proxies_stop(m->proxies);
        m->exports = exports_free(m->exports);  /* before the graph: what this host exports stays */
        if (m->graph)
                graph_clear(m);
        m->proxies = proxies_free(m->proxies);
        m->names = names_free(m->names);
        kernel_watcher_done(&m->kernel);
        for (HostBusType i = 0; i < _HOST_BUS_MAX; i++)
                m->buses[i] = host_bus_free(m->buses[i]);
        swap_memo_done(&m->memo);
        m->paths = path_watcher_free(m->paths);
        converger_done(&m->converger);
        scheduler_done(&m->scheduler);
        m->journal = notify_journal_free(m->journal);
        m->reversals = reversals_free(m->reversals);
        m->uids = uid_index_free(m->uids);
        m->events = events_free(m->events);
        map_free_with(m->kinds, kind_set_free);
        graph_free(m->graph);
        free(m->vertices);
        free(m->hostname);
        free(m->state_dir);
        sd_event_unref(m->event);
        free(m);
        return NULL;
}

/* Change sets name one resource after another of the same kind. */
static KindSet *find_kind(const Manager *m, const char *kind) {
        return m->recent_kind && streq(m->recent_kind->type->kind, kind) ? m->recent_kind : map_get(m->kinds, kind);
}

const ResourceType *manager_type(Manager *m, const char *kind) {
        const KindSet *k = find_kind(m, kind);
        if (k)
                return k->type;
        const ResourceType *t = resource_type_find(m->types, kind);
        return t || !m->proxies ? t : proxies_type(m->proxies, kind);
}

Vertex *manager_find(const Manager *m, const char *kind, const char *name) {
        const KindSet *k = find_kind(m, kind);

        return k ? map_get(k->by_name, name) : NULL;
}

Vertex *manager_vertex(const Manager *m, VertexId id) {
        return id < m->capacity_vertices ? m->vertices[id] : NULL;
}

static int make_room(Manager *m, VertexId id) {
        size_t want = m->capacity_vertices ? m->capacity_vertices : 64;

        if (id < m->capacity_vertices)
                return 0;
        while (want <= id)
                want *= 2;
        Vertex **grown = reallocarray(m->vertices, want, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        memset(grown + m->capacity_vertices, 0, (want - m->capacity_vertices) * sizeof(*grown));
        m->vertices = grown;
        m->capacity_vertices = want;
        return 0;
}

static int get_kind(Manager *m, const ResourceType *type, KindSet **ret) {
        int r;

        *ret = find_kind(m, type->kind);
        if (*ret) {
                m->recent_kind = *ret;
                return 0;
        }
        KindSet *k = calloc(1, sizeof(*k));
        if (!k || !(k->by_name = map_new())) {
                free(k);
                return -ENOMEM;
        }
        k->type = type;
        r = map_put(m->kinds, type->kind, k);
        if (r < 0) {
                kind_set_free(k);
                return r;
        }
        *ret = m->recent_kind = k;
        return 0;
}

int manager_index(Manager *m, Vertex *v) {
        KindSet *k;
        VertexId id;
        int r;

        r = get_kind(m, v->resource->type, &k);
        if (r < 0)
                return r;
        r = graph_add_vertex(m->graph, &id);
        if (r < 0)
                return r;
        r = make_room(m, id);
        if (r >= 0)
                r = map_put(k->by_name, v->resource->name, v);
        if (r < 0) {
                graph_remove_vertex(m->graph, id);
                return r;
        }
        v->id = id;
        v->kind = k;
        m->vertices[id] = v;
        return 0;
}

void manager_unindex(Manager *m, Vertex *v) {
        const KindSet *k = find_kind(m, vertex_kind(v));

        if (v->id == VERTEX_NONE)
                return;
        exports_forget(m->exports, v);
        if (m->resource_bus)
                resource_bus_forget(m->resource_bus, v);
        if (k)
                (void) map_remove(k->by_name, vertex_name(v));
        m->vertices[v->id] = NULL;
        graph_remove_vertex(m->graph, v->id);
        v->id = VERTEX_NONE;
}

/* ---- what the scheduler tells ---- */

static void report_failure(Manager *m, const Vertex *v) {
        _cleanup_free_ char *text = NULL;
        int priority = v->state == VERTEX_FAILED ? LOG_ERR : LOG_WARNING;

        text = diag_text(&v->error);
        (void) log_resource(priority, vertex_kind(v), vertex_name(v), v->error.pos, "%s%s", v->error.message ? v->error.message : "failed",
                            v->state == VERTEX_RETRYING ? ", retrying" : "");
        events_emit(m->events, EVENT_STATE, vertex_kind(v), vertex_name(v), priority, vertex_state_name(v->state), text);
}

/* The journal is read by more people than the events are: what is in files is not for all of them. */
static void report_drift(Manager *m, Vertex *v) {
        _cleanup_free_ char *brief = drift_text(v, false), *full = drift_text(v, true), *text = NULL;
        uint64_t hash = full ? hash_bytes(full, strlen(full)) : 0;

        if (v->told == VERTEX_DRIFTED && v->told_drift == hash)
                return;
        v->told = VERTEX_DRIFTED;
        v->told_drift = hash;
        if (asprintf(&text, "would change%s%s", full ? ": " : "", full ? full : "") < 0)
                text = NULL;
        (void) log_resource(LOG_NOTICE, vertex_kind(v), vertex_name(v), v->resource->pos, "would change%s%s", brief ? ": " : "",
                            brief ? brief : "");
        events_emit(m->events, EVENT_STATE, vertex_kind(v), vertex_name(v), LOG_NOTICE, vertex_state_name(v->state), text);
}

void manager_state_changed(Manager *m, Vertex *v, VertexState before) {
        const char *state = vertex_state_name(v->state);

        switch (v->state) {
        case VERTEX_RETRYING:
        case VERTEX_FAILED:
                v->told = v->state;
                metrics_failed(v);
                report_failure(m, v);
                break;
        case VERTEX_WAITING:
                if (!v->starved || v->told == VERTEX_WAITING)
                        break;
                v->told = VERTEX_WAITING;
                events_emit(m->events, EVENT_STATE, vertex_kind(v), vertex_name(v), LOG_INFO, state, v->error.message);
                break;
        case VERTEX_DRIFTED:
                report_drift(m, v);
                break;
        case VERTEX_OK:
                if (v->told == VERTEX_OK)
                        break;
                v->told = VERTEX_OK;
                events_emit(m->events, EVENT_STATE, vertex_kind(v), vertex_name(v), LOG_INFO, state, NULL);
                break;
        default:
                break;
        }

        converger_update(&m->converger, m->scheduler.n_unsettled);
        if (m->link && (before == VERTEX_FAILED) != (v->state == VERTEX_FAILED))
                graph_link_state_changed(m->link);
        if (m->hold)
                graph_hold_poke(m->hold);
        if (m->resource_bus)
                resource_bus_changed(m->resource_bus, v);
}

void manager_repaired(Manager *m, Vertex *v) {
        _cleanup_free_ char *text = drift_text(v, false);

        (void) log_resource(LOG_INFO, vertex_kind(v), vertex_name(v), v->resource->pos, "changed%s%s", text ? ": " : "", text ? text : "");
        events_emit(m->events, EVENT_CHANGED, vertex_kind(v), vertex_name(v), LOG_NOTICE, NULL, text);
        converger_activity(&m->converger);
}
