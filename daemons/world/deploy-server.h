/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What becomes of deploys in mgmt-world: mgmt-lang brings new ones, and is given the newest that is meant for this host. On a host of
 * its own they are in the database; with a store that hosts share they are there (cluster-deploys.h), and the database has the one that
 * is in force, for the next start. */

#include "common/ipc/channel.h"
#include "daemons/world/cluster-deploys.h"
#include "daemons/world/deploys.h"
#include "daemons/world/store.h"

typedef struct DeployServer DeployServer;

/* shared: NULL if this host shares nothing. added() is called when there is another one that hosts may run. All is borrowed. */
int deploy_server_new(DeployServer **ret, sd_event *event, Deploys *own, Store *shared, void (*added)(uint64_t id, void *userdata),
                      void *userdata);
DeployServer *deploy_server_free(DeployServer *s);      /* before the channel, and the database */

/* Of any peer: mgmt-lang says who this host is. */
void deploy_server_hello(DeployServer *s, const Message *m);

/* Whether it was for us. */
bool deploy_server_message(DeployServer *s, Channel *c, PeerId peer, Message *m);
void deploy_server_gone(DeployServer *s, PeerId peer);
void deploy_server_room(DeployServer *s, PeerId peer);

/* ---- for the bus ---- */

uint64_t deploy_server_newest(const DeployServer *s);   /* of those that are meant for this host */
int deploy_server_list(DeployServer *s, deploys_callback_t callback, void *userdata);
int deploy_server_get(DeployServer *s, uint64_t id, deploys_callback_t callback, void *userdata);

/* Without running it here first. -EOPNOTSUPP: there is no cluster. */
int deploy_server_add(DeployServer *s, const ClusterAddition *a, deploys_callback_t callback, void *userdata, Diag *reterr);

/* Why an addition failed, for people. Borrowed, until the next error. */
const char *deploy_server_problem(const DeployServer *s, int error);
