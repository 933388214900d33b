/* SPDX-License-Identifier: GPL-3.0-or-later */

/* `mgmtctl version`: of this program, and of the daemons that run (asking does not start one). */

#include <json-c/json.h>
#include <stdio.h>

#include <systemd/sd-bus.h>

#include "common/macro.h"
#include "common/sd/bus.h"
#include "daemons/mgmtctl/ctl.h"
#include "daemons/mgmtctl/output.h"

static const char *const daemons[] = { "engine", "http", "lang", "virt", "world" };

static char *daemon_version(sd_bus *bus, const char *daemon) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        char name[64], path[64], interface[64];
        const char *version;

        (void) snprintf(name, sizeof(name), "org.mgmt.%s1", daemon);
        (void) snprintf(path, sizeof(path), "/org/mgmt/%s1", daemon);
        (void) snprintf(interface, sizeof(interface), "org.mgmt.%s1.Manager", daemon);
        if (sd_bus_message_new_method_call(bus, &m, name, path, "org.freedesktop.DBus.Properties", "Get") < 0 ||
            sd_bus_message_set_auto_start(m, false) < 0 ||
            sd_bus_message_append(m, "ss", interface, "Version") < 0 ||
            sd_bus_call(bus, m, 5 * 1000 * 1000, NULL, &reply) < 0 ||
            sd_bus_message_read(reply, "v", "s", &version) < 0)
                return NULL;
        return strdup(version);
}

static int run_version(char *arguments[], int n) {
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        struct json_object *j = json_object_new_object(), *running = json_object_new_object();

        if (arg_json)
                json_object_object_add(j, "version", json_object_new_string(MGMT_VERSION));
        else
                printf("mgmtctl %s\n", MGMT_VERSION);
        /* A host without a bus has no daemons either. */
        if (bus_open(&bus, NULL, "mgmtctl") >= 0)
                for (size_t i = 0; i < ELEMENTSOF(daemons); i++) {
                        _cleanup_free_ char *version = daemon_version(bus, daemons[i]);

                        if (version && arg_json)
                                json_object_object_add(running, daemons[i], json_object_new_string(version));
                        else if (version)
                                printf("mgmt-%s %s\n", daemons[i], version);
                }
        if (arg_json) {
                json_object_object_add(j, "daemons", running);
                output_json(j);
        } else {
                json_object_put(j);
                json_object_put(running);
        }
        return EXIT_SUCCESS;
}

const Command command_version = {
        .name = "version",
        .doc = "Show the version of mgmtctl and of the daemons that run",
        .run = run_version,
};
