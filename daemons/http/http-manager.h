/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the kinds of this daemon share: the listening sockets, the watcher of paths and that of the kernel's news. It is what
 * ResourceHost.manager points to.
 *
 * Listeners belong to the manager, not to the resources that are served on them. When a program changes a child of a server,
 * the engine takes the old server with all its children away and puts a new one in its place. The socket that the old one
 * leaves stays open for a moment, in which requests wait; the new one takes it over, with all connections, and clients notice
 * nothing. */

#include <systemd/sd-bus.h>

#include "common/sd/kernel-watch.h"
#include "common/sd/path-watch.h"
#include "daemons/http/dhcp-leases.h"
#include "daemons/http/mhd.h"
#include "daemons/http/static-cache.h"

typedef struct HttpManager HttpManager;
typedef struct HttpPort HttpPort;       /* a listening socket and who has it */
typedef struct BmcHold BmcHold;
typedef struct CurlLoop CurlLoop;
typedef struct Map Map;
typedef struct EngineLink EngineLink;
typedef struct UiHub UiHub;
typedef struct WorldLink WorldLink;

struct HttpManager {
        sd_event *event;
        PathWatcher *paths;
        KernelWatcher kernel;
        StaticCache *files;
        HttpPort *ports;                /* a list */
        CurlLoop *curl;                 /* see http_manager_curl() */
        Map *kept;                      /* see kept.h; NULL if there is none */
        DhcpLeases leases;
        BmcHold *holds;                 /* see bmc-hold.h; a list */
        Map *responses;                 /* see response.h; NULL if there are none */
        UiHub *hubs;                    /* see ui-hub.h; a list */
        uint64_t last_seq;              /* of a value, see ui-hub.h */
        EngineLink *engine;             /* see engine-follow.h; NULL: nobody follows it */
        WorldLink *world;               /* see world-key.h; NULL: there are no keys */
        sd_bus *const *bus;             /* the daemon's connection of the moment, which may be NULL; NULL: none at all */

        /* the list of ports has changed; for the bus object. May be NULL. */
        void (*ports_changed)(HttpManager *m, void *userdata);
        void *userdata;
};

int http_manager_init(HttpManager *m, sd_event *event);
void http_manager_done(HttpManager *m);         /* closes everything at once */

int http_manager_curl(HttpManager *m);          /* has m->curl made, unless it is there */

/* Listens on an address for the owner (the name of a server), and serves there from now on. -EADDRINUSE also if the address
 * is another owner's. */
int http_manager_listen(HttpManager *m, const char *owner, const char *address, const HttpServing *serving, Diag *reterr);

/* The userdata of a serving goes away. Unless its address is taken over soon, requests that are under way are answered for at
 * most timeout_usec (0: no limit), then it is closed. Nothing happens if another one of the same name has taken it already. */
void http_manager_release(HttpManager *m, const void *userdata, uint64_t timeout_usec);

/* Walks the ports: NULL gives the first. */
HttpPort *http_manager_next(const HttpManager *m, HttpPort *port);
const char *http_port_owner(const HttpPort *p); /* NULL: it is on its way out */
const char *http_port_address(const HttpPort *p);
unsigned http_port_n_connections(const HttpPort *p);
