/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The buses of this host, for the kinds that do their work through services on them: systemd, PackageKit, hostnamed and others. A
 * connection is shared by all resources, made when the first of them needs it, and may be missing, break and come back.
 *
 * A kind embeds a BusClient. It is zeroed at first and opened, with all it listens to, by bus_client_open(), both before the watch
 * and before an attempt, since either may come first (with Meta:poll there is no watch). An attempt is a row of calls, one at a time,
 * each with the function that goes on from its reply.
 *
 * A bus or a service that is not there makes the resource wait, and the client notices when it appears. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include <systemd/sd-bus.h>

#include "common/macro.h"
#include "common/resource.h"

typedef enum HostBusType {
        HOST_BUS_SYSTEM,
        HOST_BUS_USER,          /* that of the user we run as */
        HOST_BUS_OWN,           /* that of our own daemons, see host_bus_own() */
        _HOST_BUS_MAX,
} HostBusType;

typedef struct PathWatcher PathWatcher;
typedef struct HostBus HostBus;
typedef struct BusClient BusClient;
typedef struct BusListening BusListening;

/* The bus that our own daemons are on, which is the system bus unless mgmtctl runs them. */
HostBusType host_bus_own(void);

/* Goes on from the reply, which may be an error: what check_apply would return, CHECK_PENDING after it made another call. */
typedef int (*bus_reply_t)(BusClient *c, sd_bus_message *m, Diag *reterr);

/* A signal that the client listens to; NULL: the service, or the bus, is gone, and what was under way there with it. */
typedef void (*bus_signal_t)(BusClient *c, sd_bus_message *m);

struct BusClient {
        Resource *resource;             /* NULL: not open */
        HostBus *bus;
        const char *service;
        bus_signal_t signal;
        BusListening **listenings;
        size_t n_listenings, capacity_listenings;
        bool watching, armed;
        bool stale;                     /* signals were lost since the bus was last heard */
        bool missing;                   /* the last call found no service */
        bool news;                      /* there may be one since the call under way was made */
        uint64_t call_usec;             /* how long its calls may take; 0: as those of all (90 seconds). Set after it was opened */
        sd_bus_slot *call;              /* under way */
        bus_reply_t reply;
        unsigned n_lost_replies;        /* in a row: the service died before it answered */
        TAILQ_ENTRY(BusClient) link;
};

/* service is static. signal NULL: each one is a reason to look again. Nothing happens if it is open already. */
int bus_client_open(BusClient *c, Resource *r, HostBusType type, const char *service, bus_signal_t signal);

/* Also to be told of signals that match this rule. */
int bus_client_listen(BusClient *c, const char *format, ...) _printf_(2, 3);

/* Calls resource_armed() as soon as the signals come in, or at once if there is no bus. From then on a change of the service, a new
 * connection, and each signal without a function for it are reported by resource_changed(). */
int bus_client_watch(BusClient *c);

/* The same for another client of a resource, which the last one that is opened arms: nothing is said of that here. */
void bus_client_watch_beside(BusClient *c);
void bus_client_close(BusClient *c);    /* accepts a closed one */

/* From a signal's function: something may have changed. */
void bus_client_changed(BusClient *c);

/* These return what check_apply shall return: CHECK_PENDING; -EAGAIN (resource_waiting()) if there is no bus; or an error. */
int bus_call(BusClient *c, const char *path, const char *interface, const char *member, bus_reply_t reply, Diag *reterr,
             const char *types, ...);
int bus_new_call(BusClient *c, sd_bus_message **ret, const char *path, const char *interface, const char *member);
int bus_send_call(BusClient *c, sd_bus_message *m, bus_reply_t reply, Diag *reterr);
void bus_cancel(BusClient *c);

/* A call whose answer nobody waits for; nothing happens if there is no bus. */
void bus_tell(BusClient *c, const char *path, const char *interface, const char *member, const char *types, ...);

/* For an error reply: -EAGAIN if there is no service to answer, else an error that says "what: the service's words". */
int bus_failed(BusClient *c, sd_bus_message *m, Diag *reterr, const char *format, ...) _printf_(4, 5);

/* For a reply that is not as it should be. */
int bus_garbled(BusClient *c, int error, Diag *reterr);

/* ---- for the engine ---- */

int host_bus_new(HostBus **ret, sd_event *event, HostBusType type, PathWatcher *paths);
HostBus *host_bus_free(HostBus *b);     /* its clients are closed */
DEFINE_CLEANUP(HostBus *, host_bus_free)
