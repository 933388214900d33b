/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The foreground's systemd: a private bus and the five daemons in a private directory, started by their sockets with the same
 * protocol (LISTEN_FDS), restarted when they die, ended together. */

#include <stdbool.h>
#include <stdint.h>

#include "common/diag.h"
#include "common/macro.h"

typedef struct sd_event sd_event;
typedef struct Supervisor Supervisor;

typedef struct SupervisorOps {
        /* Something about a service that its user should know: it died and comes back. Not called while stopping. */
        void (*died)(Supervisor *s, const char *service, const char *how, void *userdata);

        /* A service cannot be kept running. What runs goes on running until supervisor_stop(). */
        void (*failed)(Supervisor *s, const char *service, const char *how, void *userdata);

        /* After supervisor_stop(): everything has ended. */
        void (*stopped)(Supervisor *s, void *userdata);
} SupervisorOps;

/* Makes the private directory, the bus and the sockets; starts the bus. <prefix>/<daemon> becomes the state directory of each;
 * without a prefix the state is private, too, and goes with the rest. What earlier runs left behind that were killed is
 * removed. */
int supervisor_new(Supervisor **ret, sd_event *event, const char *prefix, const SupervisorOps *ops, void *userdata, Diag *reterr);

/* Kills what still runs, removes the directory. */
Supervisor *supervisor_free(Supervisor *s);
DEFINE_CLEANUP(Supervisor *, supervisor_free)

/* An argument for each future start of a daemon. */
int supervisor_add_argument(Supervisor *s, const char *service, const char *format, ...) _printf_(3, 4);

/* Starts one now, as a connection to its socket would, and from then on keeps it running even if nobody connects. */
int supervisor_start(Supervisor *s, const char *service, Diag *reterr);

/* Asks everything to end, and makes it end after a moment: stopped() follows in less than a second. */
void supervisor_stop(Supervisor *s);

/* The same for the rest of the moment: for somebody who asks twice. */
void supervisor_kill(Supervisor *s);

const char *supervisor_directory(const Supervisor *s);
const char *supervisor_bus_address(const Supervisor *s);
