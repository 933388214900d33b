/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Resources on the bus, lazily: a fallback vtable answers for every path that names a vertex, an enumerator lists them for
 * Introspect and GetManagedObjects. */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "common/sd/daemon.h"
#include "common/sd/log.h"
#include "daemons/engine/clean-text.h"
#include "daemons/engine/engine-manager.h"
#include "daemons/engine/resource-bus.h"
#include "daemons/engine/semaphore.h"
#include "daemons/engine/waiting.h"

#define RESOURCE_PATH "/org/mgmt/engine1/resource"
#define RESOURCE_INTERFACE "org.mgmt.engine1.Resource"
#define MANAGER_PATH "/org/mgmt/engine1"
#define MANAGER_INTERFACE "org.mgmt.engine1.Manager"

enum {
        SIGNALS_PER_TURN = 32,
        TWINS_MAX = 100,        /* places of twins that are shown */
        SIGNALS_MAX = 256,      /* more changes at once than this are told by one ResourcesChanged */
};

struct ResourceBus {
        Manager *manager;
        sd_event_source *turn;  /* runs while there are changes to tell, when nothing else is to be done */
        TAILQ_HEAD(, Vertex) changed;
        size_t n_changed, n_removed;    /* since the last turn */
};

char *resource_bus_path(const Vertex *v) {
        char *path;

        return sd_bus_path_encode_many(&path, RESOURCE_PATH "/%/%", vertex_kind(v), vertex_name(v)) < 0 ? NULL : path;
}

static int find_resource(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret_found, sd_bus_error *reterr) {
        const Manager *m = userdata;
        _cleanup_free_ char *kind = NULL, *name = NULL;
        int r;

        r = sd_bus_path_decode_many(path, RESOURCE_PATH "/%/%", &kind, &name);
        if (r <= 0)
                return r;
        *ret_found = manager_find(m, kind, name);
        return *ret_found ? 1 : 0;
}

static int enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes, sd_bus_error *reterr) {
        const Manager *m = userdata;
        _cleanup_(strv_freep) char **nodes = calloc(graph_n_vertices(m->graph) + 1, sizeof(*nodes));
        size_t n = 0;

        if (!nodes)
                return -ENOMEM;
        for (VertexId id = 0; id < graph_id_limit(m->graph); id++) {
                const Vertex *v = manager_vertex(m, id);
                if (!v)
                        continue;
                nodes[n] = resource_bus_path(v);
                if (!nodes[n++])
                        return -ENOMEM;
        }
        *ret_nodes = TAKE_PTR(nodes);
        return 0;
}

/* ---- properties ---- */

#define PROPERTY(function) \
        static int function(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply, \
                            void *userdata, sd_bus_error *reterr)

PROPERTY(get_kind) {
        return sd_bus_message_append(reply, "s", vertex_kind(userdata));
}

PROPERTY(get_name) {
        return sd_bus_message_append(reply, "s", vertex_name(userdata));
}

PROPERTY(get_state) {
        return sd_bus_message_append(reply, "s", vertex_state_name(vertex_root(userdata)->state));
}

PROPERTY(get_converged) {
        return sd_bus_message_append(reply, "b", vertex_is_clean(vertex_root(userdata)));
}

PROPERTY(get_noop) {
        const Vertex *v = userdata;
        return sd_bus_message_append(reply, "b", v->resource->meta.noop);
}

PROPERTY(get_last_check) {
        return sd_bus_message_append(reply, "t", vertex_root(userdata)->last_check_usec);
}

PROPERTY(get_last_apply) {
        return sd_bus_message_append(reply, "t", vertex_root(userdata)->last_apply_usec);
}

PROPERTY(get_last_error) {
        const Vertex *v = vertex_root(userdata);
        return clean_text_append(reply, v->error.message);
}

static int append_pos(sd_bus_message *reply, Pos pos) {
        _cleanup_free_ char *text = NULL;

        if (!pos.file || pos.line == 0)
                return sd_bus_message_append(reply, "s", "");
        if (asprintf(&text, "%s:%u:%u", pos.file, pos.line, pos.column) < 0) {
                text = NULL;
                return -ENOMEM;
        }
        return clean_text_append(reply, text);
}

PROPERTY(get_source) {
        const Vertex *v = userdata;
        return append_pos(reply, v->resource->pos);
}

PROPERTY(get_twins) {
        const Vertex *v = userdata;
        int r = sd_bus_message_open_container(reply, 'a', "s");

        for (size_t i = 0; i < MIN(v->n_twins, (size_t) TWINS_MAX) && r >= 0; i++)
                r = append_pos(reply, v->twins[i]->pos);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* What keeps it from being checked. */
PROPERTY(get_waits_for) {
        const Vertex *v = vertex_root(userdata);
        const char *semaphore = v->state == VERTEX_WAITING && v->list ? semaphores_taken(v) : NULL;
        _cleanup_free_ char *text = NULL;

        if (v->blocker)
                text = resource_id(v->blocker->resource);
        else if (asprintf(&text, "%s%s", semaphore ? "semaphore " : "", semaphore ? semaphore : "") < 0)
                text = NULL;
        return text ? clean_text_append(reply, text) : -ENOMEM;
}

static int append_reason(const char *why, const char *what, void *userdata) {
        _cleanup_free_ char *clean = clean_text(what);

        return clean ? sd_bus_message_append(userdata, "(ss)", why, clean) : -ENOMEM;
}

PROPERTY(get_waiting) {
        int r = sd_bus_message_open_container(reply, 'a', "(ss)");

        if (r >= 0)
                r = waiting_tell(vertex_root(userdata), append_reason, reply);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

PROPERTY(get_waiting_until) {
        return sd_bus_message_append(reply, "t", waiting_until(vertex_root(userdata)));
}

/* Those whose notification is pending. */
PROPERTY(get_notifications) {
        Vertex *v = userdata;
        const GraphAdjacency *in = graph_predecessors(v->manager->graph, v->id);
        int r = sd_bus_message_open_container(reply, 'a', "s");

        for (uint32_t i = 0; i < in->n && r >= 0; i++) {
                if (!(in->items[i].data & EDGE_PENDING))
                        continue;
                _cleanup_free_ char *id = resource_id(manager_vertex(v->manager, in->items[i].peer)->resource);
                r = id ? sd_bus_message_append(reply, "s", id) : -ENOMEM;
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

PROPERTY(get_notified_by) {
        const Vertex *v = userdata, *by = v->notified_usec > 0 ? manager_vertex(v->manager, v->notified_by) : NULL;
        _cleanup_free_ char *id = NULL;

        if (!by || by->serial != v->notified_by_serial)
                return sd_bus_message_append(reply, "s", "");
        id = resource_id(by->resource);
        return id ? sd_bus_message_append(reply, "s", id) : -ENOMEM;
}

PROPERTY(get_notified) {
        const Vertex *v = userdata;
        return sd_bus_message_append(reply, "t", v->notified_usec);
}

PROPERTY(get_last_change) {
        const Vertex *v = userdata;
        return clean_text_append(reply, v->last_change);
}

PROPERTY(get_failures) {
        return sd_bus_message_append(reply, "u", vertex_root(userdata)->failures);
}

PROPERTY(get_retries_left) {
        return sd_bus_message_append(reply, "i", vertex_root(userdata)->retries);
}

PROPERTY(get_group) {
        const Vertex *v = userdata;
        _cleanup_free_ char *id = v->parent ? resource_id(v->parent->resource) : strdup("");

        return id ? sd_bus_message_append(reply, "s", id) : -ENOMEM;
}

static const sd_bus_vtable resource_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Kind", "s", get_kind, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Name", "s", get_name, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("State", "s", get_state, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Converged", "b", get_converged, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Noop", "b", get_noop, 0, 0),
        SD_BUS_PROPERTY("LastCheckUSec", "t", get_last_check, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("LastApplyUSec", "t", get_last_apply, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("LastError", "s", get_last_error, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Source", "s", get_source, 0, 0),
        SD_BUS_PROPERTY("WaitsFor", "s", get_waits_for, 0, 0),
        SD_BUS_PROPERTY("Waiting", "a(ss)", get_waiting, 0, 0),
        SD_BUS_PROPERTY("WaitingUntilUSec", "t", get_waiting_until, 0, 0),
        SD_BUS_PROPERTY("Notifications", "as", get_notifications, 0, 0),
        SD_BUS_PROPERTY("NotifiedBy", "s", get_notified_by, 0, 0),
        SD_BUS_PROPERTY("NotifiedUSec", "t", get_notified, 0, 0),
        SD_BUS_PROPERTY("LastChange", "s", get_last_change, 0, 0),
        SD_BUS_PROPERTY("Failures", "u", get_failures, 0, 0),
        SD_BUS_PROPERTY("RetriesLeft", "i", get_retries_left, 0, 0),
        SD_BUS_PROPERTY("Group", "s", get_group, 0, 0),
        SD_BUS_PROPERTY("Twins", "as", get_twins, 0, 0),
        SD_BUS_VTABLE_END
};

/* ---- changes ---- */

/* The bus, if there is one that takes signals now. */
static sd_bus *ready_bus(const ResourceBus *b) {
        sd_bus *bus = b->manager->daemon->bus;

        return bus && sd_bus_is_ready(bus) > 0 ? bus : NULL;
}

static int tell(ResourceBus *b, Vertex *v) {
        static const char *const properties[] = { "State", "Converged", "LastCheckUSec", "LastApplyUSec", "LastError", NULL };
        _cleanup_free_ char *path = resource_bus_path(v);

        if (!path)
                return -ENOMEM;
        if (!v->bus_announced) {
                v->bus_announced = true;
                return ready_bus(b) ? sd_bus_emit_object_added(ready_bus(b), path) : 0;
        }
        return daemon_emit_changed(b->manager->daemon, path, RESOURCE_INTERFACE, (char **) properties);
}

static void take_changed(ResourceBus *b, Vertex *v) {
        TAILQ_REMOVE(&b->changed, v, bus_link);
        v->bus_dirty = false;
        b->n_changed--;
}

static int on_turn(sd_event_source *source, void *userdata) {
        ResourceBus *b = userdata;
        Vertex *v;
        int r = 0;

        if (b->n_changed > SIGNALS_MAX || b->n_removed > SIGNALS_MAX) {
                r = daemon_emit(b->manager->daemon, MANAGER_PATH, MANAGER_INTERFACE, "ResourcesChanged", "t",
                                (uint64_t) (b->n_changed + b->n_removed));
                while ((v = TAILQ_FIRST(&b->changed))) {
                        take_changed(b, v);
                        v->bus_announced = true;
                }
        }
        b->n_removed = 0;
        for (unsigned i = 0; i < SIGNALS_PER_TURN && (v = TAILQ_FIRST(&b->changed)); i++) {
                take_changed(b, v);
                r = tell(b, v);
        }
        if (r < 0)
                (void) log_warning(r, "cannot tell the bus of changes: %m, ignoring");
        if (TAILQ_EMPTY(&b->changed))
                (void) sd_event_source_set_enabled(b->turn, SD_EVENT_OFF);
        return 0;
}

void resource_bus_changed(ResourceBus *b, Vertex *root) {
        for (size_t i = 0; i < vertex_n_members(root); i++) {
                Vertex *v = vertex_member(root, i);
                if (v->bus_dirty)
                        continue;
                v->bus_dirty = true;
                TAILQ_INSERT_TAIL(&b->changed, v, bus_link);
                b->n_changed++;
        }
        (void) sd_event_source_set_enabled(b->turn, SD_EVENT_ON);
}

void resource_bus_forget(ResourceBus *b, Vertex *v) {
        _cleanup_free_ char *path = NULL;

        if (v->bus_dirty)
                take_changed(b, v);
        if (!v->bus_announced)
                return;
        v->bus_announced = false;
        (void) sd_event_source_set_enabled(b->turn, SD_EVENT_ON);
        if (b->n_removed++ < SIGNALS_MAX && ready_bus(b) && (path = resource_bus_path(v)))
                (void) sd_bus_emit_object_removed(ready_bus(b), path);
}

int resource_bus_new(ResourceBus **ret, Manager *m) {
        _cleanup_(resource_bus_freep) ResourceBus *b = calloc(1, sizeof(*b));
        int r;

        if (!b)
                return -ENOMEM;
        b->manager = m;
        TAILQ_INIT(&b->changed);
        r = daemon_export_tree(m->daemon, RESOURCE_PATH, RESOURCE_INTERFACE, resource_vtable, find_resource, enumerate, m);
        if (r < 0)
                return r;
        r = sd_event_add_defer(m->event, &b->turn, on_turn, b);
        if (r < 0)
                return r;
        r = sd_event_source_set_priority(b->turn, SD_EVENT_PRIORITY_IDLE + 1);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(b->turn, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(b);
        return 0;
}

ResourceBus *resource_bus_free(ResourceBus *b) {
        Vertex *v;

        if (!b)
                return NULL;
        while ((v = TAILQ_FIRST(&b->changed)))
                take_changed(b, v);
        sd_event_source_disable_unref(b->turn);
        free(b);
        return NULL;
}
