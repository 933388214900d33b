/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The state of mgmt-world. Kinds find it in ResourceHost.manager. */

#include "common/ipc/channel.h"
#include "common/ipc/source-server.h"
#include "common/ipc/worker.h"
#include "common/sd/daemon.h"
#include "daemons/world/collector.h"
#include "daemons/world/database.h"
#include "daemons/world/deploy-server.h"
#include "daemons/world/deploys.h"
#include "daemons/world/exporter.h"
#include "daemons/world/keys.h"
#include "daemons/world/keys-server.h"
#include "daemons/world/schedule.h"
#include "daemons/world/troubles.h"

typedef struct WorldManager {
        Daemon *daemon;
        Database *database;
        Store *own;             /* in the database */
        Store *store;           /* shared with the cluster, if there is one; else own */
        Keys *keys;             /* in store */
        Keys *local;            /* in own */
        Exporter *exporter;
        Collectors *collectors;
        Schedules *schedules;
        Deploys *deploys;       /* in the database */
        DeployServer *deploy_server;
        Channel *channel;       /* NULL if nobody passed a socket */
        Worker *worker;
        SourceServer *sources;
        KeysServer *writes;
        char *store_uri;
        int64_t converger_timeout;      /* of this run of mgmt, in seconds; negative: none */
        Troubles *troubles;     /* of the store, and of whoever uses it */
        sd_event_source *troubled;      /* they have changed, and nobody was told yet */
} WorldManager;

extern const ResourceType *const world_kinds[];
extern const SourceType *const world_functions[];

enum {
        WORLD_OPTION_COPY_OF = 256,     /* begin with a copy of the database in this directory */
        WORLD_OPTION_STORE,             /* where what hosts share is kept */
        WORLD_OPTION_CONVERGER_TIMEOUT, /* what remote hands on */
};

/* As DaemonSpec wants them; d->manager is the WorldManager. */
int world_option(Daemon *d, int value, const char *argument);
int world_manager_start(Daemon *d);
void world_manager_stop(Daemon *d);

int world_bus_export(WorldManager *m);
void world_bus_deploy_added(WorldManager *m, uint64_t id);      /* tells the bus */
void world_bus_troubled(WorldManager *m);                       /* so does this: the troubles are others, or the store's problem is */
