/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A connection to a bus that may come late, break and come back. An sd_bus cannot be connected a second time: each attempt has a
 * new one. */

#include <stdbool.h>

#include <systemd/sd-bus.h>

#include "common/macro.h"

typedef struct BusConnection BusConnection;

typedef struct BusConnectionSpec {
        const char *description;        /* borrowed for good */
        const char *address;            /* copied; NULL: the bus we live on, see bus.h */

        /* Puts what is to be there on a new bus, which is about to connect: objects, matches, a name. */
        int (*setup)(sd_bus *bus, void *userdata);
        void (*connected)(bool again, void *userdata);          /* again: not at the first attempt */
        void (*lost)(bool was_connected, void *userdata);       /* the next attempt follows by itself */
} BusConnectionSpec;

/* *current is the connection of the moment, or NULL; it is kept up to date as long as this lives. Only an address that nobody
 * could connect to (and no memory) is an error. */
int bus_connection_new(BusConnection **ret, sd_event *event, const BusConnectionSpec *spec, sd_bus **current, void *userdata);
BusConnection *bus_connection_free(BusConnection *c);   /* sends what is queued, if that needs no waiting for the connection */
DEFINE_CLEANUP(BusConnection *, bus_connection_free)

/* There is reason to think that it is there now: if it is not connected, it tries again at once. */
void bus_connection_again(BusConnection *c);
bool bus_connection_is_up(const BusConnection *c);
