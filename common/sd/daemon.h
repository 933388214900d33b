/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What all five daemons do alike: command line (--help, --version, --describe-kinds), log, loop, SIGTERM, watchdog, readiness,
 * the bus name with org.freedesktop.LogControl1, the inherited socket. A daemon's main() is one DaemonSpec and one call. */

#include <stdbool.h>

#include "common/resource.h"

typedef struct sd_bus sd_bus;
typedef struct sd_event sd_event;

typedef struct Daemon {
        const char *name;       /* "engine" */
        sd_event *event;
        sd_bus *bus;            /* attached to the loop; may still be connecting */
        int listen_fd;          /* the inherited socket, or -EBADF; whoever uses it takes it (TAKE_FD) */
        char *state_dir;        /* exists, mode 0700 */
        void *manager;          /* the daemon's own */
} Daemon;

typedef struct DaemonSpec {
        const char *name;               /* "engine": program mgmt-engine, bus name org.mgmt.engine1 */
        const char *doc;                /* one line for --help */
        const ResourceType *const *kinds;       /* NULL-terminated; NULL if it hosts none */

        /* Extra command line options, as struct option with val >= 256; NULL if none. option() gets val and optarg. */
        const struct option *options;
        const char *options_help;
        int (*option)(Daemon *d, int value, const char *argument);

        /* Builds the manager; bus and loop exist, the loop does not run yet. Export bus objects here (daemon_export()). */
        int (*start)(Daemon *d);
        /* Ends it, within a second. */
        void (*stop)(Daemon *d);
} DaemonSpec;

/* Runs until SIGTERM or SIGINT. Returns what main() shall return. */
int daemon_main(const DaemonSpec *spec, int argc, char *argv[]);

/* To be called by anything that wants the whole daemon to end; code is main()'s result. */
void daemon_exit(Daemon *d, int code);
