/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A service that is installed and shall run, but does not: systemd is asked to start it. What was installed a moment ago is often so
 * until the next boot.
 *
 * "Shall run" is what systemd says: its unit is enabled. One that is disabled or masked is left alone. Whoever asks does it once for
 * each thing that needs the service, and not for a service that it has seen run: somebody has stopped that one.
 *
 * Where systemd is not on the bus, or does not let us, everything goes on as if nobody had been asked. */

typedef struct sd_bus sd_bus;
typedef struct sd_bus_slot sd_bus_slot;

typedef struct Activation {
        sd_bus *const *bus;             /* where our bus is found, which comes and goes; NULL: nobody is asked */
        const char *const *units;       /* the one it is about, and those that come after it */
        sd_bus_slot *call;              /* under way */
} Activation;

/* The first of the units that is enabled is started. units is static and ends with NULL. */
void activation_ask(Activation *a, const char *const *units);
void activation_done(Activation *a);
