/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What all five daemons do alike: command line (--help, --version, --describe-kinds), log, loop, SIGTERM, watchdog, readiness,
 * the bus name with org.freedesktop.LogControl1, the inherited socket. A daemon's main() is one DaemonSpec and one call. */

#include <stdbool.h>

#include <systemd/sd-bus.h>

#include "common/resource.h"

typedef struct Daemon {
        const char *name;       /* "engine" */
        sd_event *event;
        sd_bus *bus;            /* attached to the loop; may still be connecting, is NULL between attempts, and is a new one after
                                 * a lost connection: use the functions below, or ask sd_bus_is_ready() and do not keep it */
        int listen_fd;          /* the inherited socket, or -EBADF; whoever uses it takes it (TAKE_FD) */
        char *state_dir;        /* exists, mode 0700 */
        void *manager;          /* the daemon's own */
} Daemon;

typedef struct DaemonSpec {
        const char *name;               /* "engine": program mgmt-engine, bus name org.mgmt.engine1 */
        const char *doc;                /* one line for --help */
        const ResourceType *const *kinds;       /* NULL-terminated; NULL if it hosts none */

        /* Extra command line options, as struct option with val >= 256, ending with an empty one; NULL if none. option() gets val
         * and optarg, before anything of Daemon but name and manager exists; negative errno refuses the argument. */
        const struct option *options;
        const char *options_help;       /* their lines in --help */
        int (*option)(Daemon *d, int value, const char *argument);

        /* Builds the manager; bus and loop exist, the loop does not run yet. Export bus objects here. On failure stop() is called
         * as well, so it has to accept a half-built manager, or none. A failure that the daemon has already logged is
         * -ECANCELED. */
        int (*start)(Daemon *d);
        /* Ends it, within a second: whatever takes longer is cut off (900 ms after the signal the process is gone). */
        void (*stop)(Daemon *d);
} DaemonSpec;

/* Runs until SIGTERM or SIGINT. Returns what main() shall return: 0, EXIT_FAILURE, 2 for a wrong command line, or what
 * daemon_exit() said. */
int daemon_main(const DaemonSpec *spec, int argc, char *argv[]);

/* To be called by anything that wants the whole daemon to end; code is main()'s result. */
void daemon_exit(Daemon *d, int code);

/* Objects on the bus live as long as the daemon. They are said once, whether or not a bus is there, and return by themselves with
 * the bus. Everything is borrowed for good. */
int daemon_export(Daemon *d, const char *path, const char *interface, const sd_bus_vtable *vtable, void *userdata);

/* Any number of objects below prefix, found and listed on demand: nothing is kept per object. With org.freedesktop.DBus.
 * ObjectManager at prefix. enumerate may be NULL. */
int daemon_export_tree(Daemon *d, const char *prefix, const char *interface, const sd_bus_vtable *vtable,
                       sd_bus_object_find_t find, sd_bus_node_enumerator_t enumerate, void *userdata);

/* Signals for whoever listens: dropped, with 0, while there is no bus or one that does not take them. properties is
 * NULL-terminated. */
int daemon_emit(Daemon *d, const char *path, const char *interface, const char *member, const char *types, ...);
int daemon_emit_changed(Daemon *d, const char *path, const char *interface, char **properties);
