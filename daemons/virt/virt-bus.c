/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What mgmt-virt shows on the bus: its version, how much it hosts, and how its connections to hypervisors and to docker are
 * doing. */

#include <stdio.h>

#include <systemd/sd-bus.h>

#include "common/sd/bus.h"
#include "daemons/virt/virt.h"

#define OBJECT "/org/mgmt/virt1"
#define INTERFACE "org.mgmt.virt1.Manager"

static int property_resource_count(sd_bus *bus, const char *path, const char *interface, const char *property,
                                   sd_bus_message *reply, void *userdata, sd_bus_error *reterr) {
        const Virtd *v = userdata;

        return sd_bus_message_append(reply, "u", worker_n_resources(v->worker));
}

static int property_connections(sd_bus *bus, const char *path, const char *interface, const char *property,
                                sd_bus_message *reply, void *userdata, sd_bus_error *reterr) {
        const Virtd *v = userdata;
        int r;

        r = sd_bus_message_open_container(reply, 'a', "(ssu)");
        if (r < 0)
                return r;
        for (VirtConnection *c = virt_connection_next(&v->manager, NULL); c; c = virt_connection_next(&v->manager, c)) {
                r = sd_bus_message_append(reply, "(ssu)", virt_connection_uri(c), virt_connection_state_name(c),
                                          virt_connection_n_users(c));
                if (r < 0)
                        return r;
        }
        if (v->docker && docker_n_users(v->docker) > 0) {
                _cleanup_free_ char *uri = NULL;

                if (asprintf(&uri, "unix://%s", docker_socket(v->docker)) < 0) {
                        uri = NULL;
                        return -ENOMEM;
                }
                r = sd_bus_message_append(reply, "(ssu)", uri, docker_state_name(v->docker), docker_n_users(v->docker));
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(reply);
}

static const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        BUS_PROPERTY_VERSION,
        SD_BUS_PROPERTY("ResourceCount", "u", property_resource_count, 0, 0),
        SD_BUS_PROPERTY("Connections", "a(ssu)", property_connections, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_VTABLE_END
};

static void on_connections_changed(VirtManager *m, void *userdata) {
        static char *properties[] = { (char *) "Connections", NULL };
        const Virtd *v = userdata;

        (void) daemon_emit_changed(v->daemon, OBJECT, INTERFACE, properties);
}

/* Told together with those to hypervisors. */
static void on_docker_changed(void *userdata) {
        const Virtd *v = userdata;

        (void) sd_event_source_set_enabled(v->manager.tell, SD_EVENT_ONESHOT);
}

int virtd_export(Virtd *v) {
        v->manager.connections_changed = on_connections_changed;
        v->manager.userdata = v;
        if (v->docker)
                docker_set_observer(v->docker, on_docker_changed, v);
        return daemon_export(v->daemon, OBJECT, INTERFACE, manager_vtable, v);
}
