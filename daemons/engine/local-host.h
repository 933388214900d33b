/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The engine's side of the resource contract (common/resource.h): what a kind reports, brought to its vertex. */

#include "common/resource.h"
#include "common/sd/kernel-watch.h"
#include "daemons/engine/host-bus.h"

typedef struct Manager Manager;
typedef struct Names Names;
typedef struct PathWatch PathWatch;
typedef struct PathWatcher PathWatcher;

void local_host_init(ResourceHost *host, Manager *m);

/* For the engine's own kinds: watches a path by the one inotify watcher of this daemon. What happens there is a change of r, and so
 * said; if the watch breaks, that of r has failed. flags as of path_watch_new(). An error is at r's place, with the path. */
int local_host_watch(Resource *r, const char *path, unsigned flags, PathWatch **ret, Diag *reterr);
void local_host_path_changed(PathWatch *w, int error, void *userdata);          /* what it calls; userdata is r */

/* That watcher, for those who want to be called themselves. */
PathWatcher *local_host_paths(const Resource *r);

/* What the kernel tells: a change of r as well. */
int local_host_watch_kernel(Resource *r, KernelTopic topic, KernelWatch **ret, Diag *reterr);

/* And the one place where they look for users and groups; account.h is made of it. */
Names *local_host_names(const Resource *r);

/* Calls back for every resource of the same kind in the graph but r itself, until one returns negative errno. */
int local_host_each_other(const Resource *r, int (*callback)(const Resource *other, void *userdata), void *userdata);

/* A bus of this host, see host-bus.h, which is what calls this. */
int local_host_bus(const Resource *r, HostBusType type, HostBus **ret);

/* The directory of passwd and group: "/etc", but for tests. */
const char *local_host_etc(const Resource *r);
