/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A daemon's lasting place on the bus: a name, and objects. The connection below it may come late, break and come back. */

#include <systemd/sd-bus.h>

#include "common/macro.h"

typedef struct BusLink BusLink;

/* *current is the connection of the moment, or NULL; the link keeps it up to date as long as it lives. Both strings are borrowed.
 * Only an address that nobody could connect to is an error. */
int bus_link_new(BusLink **ret, sd_event *event, const char *program, const char *bus_name, sd_bus **current);
BusLink *bus_link_free(BusLink *l);     /* sends what is queued, if that needs no waiting for the connection */
DEFINE_CLEANUP(BusLink *, bus_link_free)

/* One row per object or tree; see daemon_export() and daemon_export_tree(). */
typedef struct BusExport {
        const char *path, *interface;
        const sd_bus_vtable *vtable;
        sd_bus_object_find_t find;              /* NULL: one object at path; else those below it */
        sd_bus_node_enumerator_t enumerate;
        void *userdata;
} BusExport;

int bus_link_export(BusLink *l, const BusExport *row);
