/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* mgmt-lang's session with mgmt-world: the deploys, and the functions that it serves. */

#include <stdbool.h>

#include "common/macro.h"

typedef struct DeployReport DeployReport;
typedef struct Manager Manager;
typedef struct Deployed Deployed;
typedef struct Remote Remote;
typedef struct WorldLink WorldLink;

/* watch: the newest deploy is wanted now, and every later one. Connecting starts mgmt-world. */
int world_link_new(WorldLink **ret, Manager *m, bool watch);
WorldLink *world_link_free(WorldLink *l);
DEFINE_CLEANUP(WorldLink *, world_link_free)

Remote *world_link_remote(WorldLink *l);

/* Keeps the program; manager_stored() follows. One at a time. */
int world_link_store(WorldLink *l, const Deployed *p);

/* What has become of a deploy: now, and again with each connection. The report is the manager's. */
void world_link_report(WorldLink *l, const DeployReport *r);
