/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A bus object under test, without a bus and without a daemon: stands in for daemon_export() and its kin (common/sd/daemon.h), with
 * the object at one end of a socket pair and a client at the other. */

#include "common/sd/daemon.h"

typedef struct BusStage {
        sd_event *event;
        sd_bus *server, *client;
        sd_bus_message *answer;
        bool answered;
        unsigned n_changed;             /* PropertiesChanged seen by the client */
} BusStage;

/* One at a time in a process; before anything is exported. */
void busstage_init(BusStage *s, sd_event *event);
void busstage_done(BusStage *s);

/* Reads a property; the answer, inside of its variant of that type, stays in the stage. Negative errno if it is an error. */
int busstage_get(BusStage *s, const char *path, const char *interface, const char *property, const char *type);

bool busstage_until_changed(BusStage *s, unsigned n_changed);   /* more often than that; at most for some seconds */
