/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* sd-bus conventions of all daemons: names org.mgmt.<daemon>1, paths /org/mgmt/<daemon>1, interface
 * org.mgmt.<daemon>1.Manager. */

#include <stdbool.h>

#include <systemd/sd-bus.h>

#include "common/diag.h"

/* The bus we live on: $MGMT_BUS_ADDRESS (mgmtctl run), else the system bus. With an event loop it is attached to it and connects
 * asynchronously, also later, when the bus appears. -EINVAL: the address is none. */
int bus_open(sd_bus **ret, sd_event *event, const char *description);
int bus_open_address(sd_bus **ret, sd_event *event, const char *description, const char *address);     /* any other one */
const char *bus_own_address(void);              /* that of the bus we live on */
const char *bus_system_address(void);           /* that of the system bus, also where we live on another one */
bool bus_is_awaited(sd_bus *bus);               /* there is no bus at all yet, or no connection (NULL) */

/* The property Version, which every daemon's Manager has: the program's. One row of its vtable. */
int bus_get_version(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                    void *userdata, sd_bus_error *reterr);
#define BUS_PROPERTY_VERSION SD_BUS_PROPERTY("Version", "s", bus_get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST)

/* The error of a method call that failed because of d: org.mgmt.Error.<errno name>, text with place. Returns a negative errno
 * for the method handler to return. */
int bus_error_from_diag(sd_bus_error *reterr, const Diag *d);
