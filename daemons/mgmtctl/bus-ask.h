/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Questions to the daemons, and why they failed. */

#include <stdbool.h>

#include <systemd/sd-bus.h>

/* Calls a method of "org.mgmt.<daemon>1", as sd_bus_call_method() does. The question does not start a daemon: who has stopped mgmt.target
 * does not want that. It may be asked twice, if the daemon dies over it while mgmt.target is active. Where interface is NULL it is the
 * daemon's Manager, at its own object. */
int bus_ask(sd_bus *bus, const char *daemon, const char *path, const char *interface, const char *method, sd_bus_error *reterr,
            sd_bus_message **ret, const char *types, ...);

/* Whether systemd says so of mgmt.target; not where there is no systemd. */
bool bus_target_is(sd_bus *bus, const char *property, const char *value);

/* There is nobody of that name on the bus. */
bool bus_error_is_absence(const sd_bus_error *e);
extern const char bus_absence_text[];

/* For people: what e says, or r if it is not set. Borrowed from e. */
const char *bus_error_text(const sd_bus_error *e, int r);
