/* SPDX-License-Identifier: GPL-3.0-or-later */

/* org.mgmt.engine1.Manager: the engine as a whole. Described in dbus/org.mgmt.engine1.xml. */

#include <systemd/sd-bus.h>

#include "common/sd/bus.h"
#include "common/sd/daemon.h"
#include "common/sd/log.h"
#include "daemons/engine/engine-manager.h"
#include "daemons/engine/graph-bus.h"
#include "daemons/engine/id-pattern.h"
#include "daemons/engine/resource-bus.h"

#define MANAGER_PATH "/org/mgmt/engine1"
#define MANAGER_INTERFACE "org.mgmt.engine1.Manager"

enum { LIST_MAX = 10000 };      /* resources per answer; whoever wants more asks again with an offset */

#define PROPERTY(function) \
        static int function(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply, \
                            void *userdata, sd_bus_error *reterr)

PROPERTY(get_resource_count) {
        const Manager *m = userdata;
        return sd_bus_message_append(reply, "u", (uint32_t) graph_n_vertices(m->graph));
}

PROPERTY(get_unsettled_count) {
        const Manager *m = userdata;
        return sd_bus_message_append(reply, "u", (uint32_t) m->scheduler.n_unsettled);
}

PROPERTY(get_converged) {
        const Manager *m = userdata;
        return sd_bus_message_append(reply, "b", m->converger.converged);
}

PROPERTY(get_generation) {
        const Manager *m = userdata;
        return sd_bus_message_append(reply, "t", m->generation);
}

PROPERTY(get_deploy_id) {
        const Manager *m = userdata;
        return sd_bus_message_append(reply, "t", m->deploy);
}

static int append_resource(sd_bus_message *reply, Vertex *v) {
        const Vertex *root = vertex_root(v);
        Pos pos = v->resource->pos;
        _cleanup_free_ char *source = NULL;

        if (pos.file && pos.line > 0 && asprintf(&source, "%s:%u:%u", pos.file, pos.line, pos.column) < 0) {
                source = NULL;
                return -ENOMEM;
        }
        return sd_bus_message_append(reply, "(sssttss)", vertex_kind(v), vertex_name(v), vertex_state_name(root->state),
                                     root->last_check_usec, root->last_apply_usec, root->error.message ? root->error.message : "",
                                     source ? source : "");
}

typedef bool (*vertex_filter_t)(Vertex *v, const void *argument);

static int list_vertices(Manager *m, sd_bus_message *reply, vertex_filter_t wanted, const void *argument, uint32_t offset, uint32_t limit) {
        int r;

        r = sd_bus_message_open_container(reply, 'a', "(sssttss)");
        if (r < 0)
                return r;
        for (VertexId id = 0; id < graph_id_limit(m->graph) && limit > 0; id++) {
                Vertex *v = manager_vertex(m, id);
                if (!v || !wanted(v, argument))
                        continue;
                if (offset > 0) {
                        offset--;
                        continue;
                }
                limit--;
                r = append_resource(reply, v);
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(reply);
}

static bool matches_pattern(Vertex *v, const void *argument) {
        return id_pattern_match(argument, vertex_kind(v), vertex_name(v));
}

static bool has_error(Vertex *v, const void *argument) {
        const Vertex *root = vertex_root(v);

        return root->state == VERTEX_FAILED || root->state == VERTEX_RETRYING;
}

static int method_list_resources(sd_bus_message *message, void *userdata, sd_bus_error *reterr) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *pattern;
        uint32_t offset, limit;
        int r;

        r = sd_bus_message_read(message, "suu", &pattern, &offset, &limit);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_return(message, &reply);
        if (r < 0)
                return r;
        r = list_vertices(userdata, reply, matches_pattern, pattern, offset, limit == 0 ? LIST_MAX : MIN(limit, (uint32_t) LIST_MAX));
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int method_get_metrics(sd_bus_message *message, void *userdata, sd_bus_error *reterr) {
        _cleanup_free_ char *text = metrics_text(userdata);

        return text ? sd_bus_reply_method_return(message, "s", text) : -ENOMEM;
}

static int method_get_errors(sd_bus_message *message, void *userdata, sd_bus_error *reterr) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(message, &reply);
        if (r < 0)
                return r;
        r = list_vertices(userdata, reply, has_error, NULL, 0, LIST_MAX);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int read_vertex(sd_bus_message *message, Manager *m, Vertex **ret, sd_bus_error *reterr) {
        const char *kind, *name;
        int r;

        r = sd_bus_message_read(message, "ss", &kind, &name);
        if (r < 0)
                return r;
        *ret = manager_find(m, kind, name);
        return *ret ? 0 : sd_bus_error_setf(reterr, "org.mgmt.Error.NoSuchResource", "there is no resource %s[%s]", kind, name);
}

static int method_get_resource(sd_bus_message *message, void *userdata, sd_bus_error *reterr) {
        _cleanup_free_ char *path = NULL;
        Vertex *v;
        int r;

        r = read_vertex(message, userdata, &v, reterr);
        if (r < 0)
                return r;
        path = resource_bus_path(v);
        return path ? sd_bus_reply_method_return(message, "o", path) : -ENOMEM;
}

static int method_check(sd_bus_message *message, void *userdata, sd_bus_error *reterr) {
        Manager *m = userdata;
        Vertex *v;
        int r;

        r = read_vertex(message, m, &v, reterr);
        if (r < 0)
                return r;
        v = vertex_root(v);
        if (v->state == VERTEX_FAILED) {
                /* Somebody who asks has perhaps removed the cause: it starts from the beginning. */
                scheduler_remove(&m->scheduler, v);
                v->fresh = true;
                scheduler_add(&m->scheduler, v);
                manager_state_changed(m, v, VERTEX_FAILED);
        } else
                scheduler_dirty(&m->scheduler, v);
        return sd_bus_reply_method_return(message, NULL);
}

static const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        BUS_PROPERTY_VERSION,
        SD_BUS_PROPERTY("ResourceCount", "u", get_resource_count, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("UnsettledCount", "u", get_unsettled_count, 0, 0),
        SD_BUS_PROPERTY("Converged", "b", get_converged, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Generation", "t", get_generation, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("DeployId", "t", get_deploy_id, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_METHOD_WITH_ARGS("ListResources", SD_BUS_ARGS("s", pattern, "u", offset, "u", limit),
                                SD_BUS_RESULT("a(sssttss)", resources), method_list_resources, 0),
        SD_BUS_METHOD_WITH_ARGS("GetMetrics", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", text), method_get_metrics, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetErrors", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(sssttss)", resources), method_get_errors, 0),
        SD_BUS_METHOD_WITH_ARGS("GetGraph", SD_BUS_ARGS("u", first, "u", limit),
                                SD_BUS_RESULT("t", generation, "u", next, "a(ussusbttss)", vertices, "a(uuu)", edges),
                                graph_bus_get_graph, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListDifferences", SD_BUS_ARGS("u", offset, "u", limit),
                                SD_BUS_RESULT("a(sssssaa{sv})", resources), graph_bus_list_differences, 0),
        SD_BUS_METHOD_WITH_ARGS("GetResource", SD_BUS_ARGS("s", kind, "s", name), SD_BUS_RESULT("o", path), method_get_resource, 0),
        SD_BUS_METHOD_WITH_ARGS("Check", SD_BUS_ARGS("s", kind, "s", name), SD_BUS_NO_RESULT, method_check, 0),
        SD_BUS_SIGNAL_WITH_ARGS("GraphChanged", SD_BUS_ARGS("t", generation), 0),
        SD_BUS_SIGNAL_WITH_ARGS("ConvergedChanged", SD_BUS_ARGS("b", converged), 0),
        SD_BUS_SIGNAL_WITH_ARGS("ResourcesChanged", SD_BUS_ARGS("t", count), 0),
        SD_BUS_VTABLE_END
};

int manager_export(Manager *m) {
        int r;

        r = daemon_export(m->daemon, MANAGER_PATH, MANAGER_INTERFACE, manager_vtable, m);
        if (r < 0)
                return log_error(r, "cannot export the manager on the bus: %m");
        r = resource_bus_new(&m->resource_bus, m);
        return r < 0 ? log_error(r, "cannot export resources on the bus: %m") : 0;
}

void manager_emit_graph_changed(Manager *m) {
        static const char *const properties[] = { "ResourceCount", "Generation", "DeployId", NULL };

        if (!m->daemon)
                return;
        (void) daemon_emit(m->daemon, MANAGER_PATH, MANAGER_INTERFACE, "GraphChanged", "t", m->generation);
        (void) daemon_emit_changed(m->daemon, MANAGER_PATH, MANAGER_INTERFACE, (char **) properties);
}

void manager_emit_converged_changed(Manager *m) {
        static const char *const properties[] = { "Converged", NULL };

        if (!m->daemon)
                return;
        (void) daemon_emit(m->daemon, MANAGER_PATH, MANAGER_INTERFACE, "ConvergedChanged", "b", (int) m->converger.converged);
        (void) daemon_emit_changed(m->daemon, MANAGER_PATH, MANAGER_INTERFACE, (char **) properties);
}
