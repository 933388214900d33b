/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What mgmt-http shows on the bus: its version, how much it hosts, and where it listens. Nothing can be changed here. */

#include <systemd/sd-bus.h>

#include "common/sd/bus.h"
#include "daemons/http/http.h"

#define OBJECT "/org/mgmt/http1"
#define INTERFACE "org.mgmt.http1.Manager"

static int property_resource_count(sd_bus *bus, const char *path, const char *interface, const char *property,
                                   sd_bus_message *reply, void *userdata, sd_bus_error *reterr) {
        const Httpd *h = userdata;

        return sd_bus_message_append(reply, "u", worker_n_resources(h->worker));
}

static int property_call_count(sd_bus *bus, const char *path, const char *interface, const char *property,
                               sd_bus_message *reply, void *userdata, sd_bus_error *reterr) {
        const Httpd *h = userdata;

        return sd_bus_message_append(reply, "u", worker_n_calls(h->worker));
}

static int property_servers(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                            void *userdata, sd_bus_error *reterr) {
        const Httpd *h = userdata;
        int r;

        r = sd_bus_message_open_container(reply, 'a', "(ss)");
        if (r < 0)
                return r;
        for (HttpPort *p = http_manager_next(&h->manager, NULL); p; p = http_manager_next(&h->manager, p)) {
                if (!http_port_owner(p))
                        continue;
                r = sd_bus_message_append(reply, "(ss)", http_port_owner(p), http_port_address(p));
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(reply);
}

static int property_connections(sd_bus *bus, const char *path, const char *interface, const char *property,
                                sd_bus_message *reply, void *userdata, sd_bus_error *reterr) {
        const Httpd *h = userdata;
        unsigned n = 0;

        for (HttpPort *p = http_manager_next(&h->manager, NULL); p; p = http_manager_next(&h->manager, p))
                n += http_port_n_connections(p);
        return sd_bus_message_append(reply, "u", n);
}

static const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        BUS_PROPERTY_VERSION,
        SD_BUS_PROPERTY("ResourceCount", "u", property_resource_count, 0, 0),
        SD_BUS_PROPERTY("CallCount", "u", property_call_count, 0, 0),
        SD_BUS_PROPERTY("Servers", "a(ss)", property_servers, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Connections", "u", property_connections, 0, 0),
        SD_BUS_VTABLE_END
};

static void on_ports_changed(HttpManager *m, void *userdata) {
        static char *properties[] = { (char *) "Servers", NULL };
        const Httpd *h = userdata;

        (void) daemon_emit_changed(h->daemon, OBJECT, INTERFACE, properties);
}

int httpd_export(Httpd *h) {
        h->manager.ports_changed = on_ports_changed;
        h->manager.userdata = h;
        return daemon_export(h->daemon, OBJECT, INTERFACE, manager_vtable, h);
}
