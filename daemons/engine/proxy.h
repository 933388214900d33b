/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Kinds that other daemons host. For the rest of the engine a proxy is a kind like any other: a ResourceType, made at run time
 * from kinds.json, whose hooks send TASK_… messages to the daemon and report what comes back. Connections are made with the
 * first resource of a daemon and closed with the last. While a daemon is away, its resources wait: nothing counts as a failure;
 * when it is back it is told everything again. */

#include <stdbool.h>

#include "common/resource.h"

typedef struct Proxies Proxies;
typedef struct sd_event sd_event;

/* hostname is borrowed. The file is read when a kind is first asked for. */
int proxies_new(Proxies **ret, sd_event *event, const char *kinds_path, const char *hostname);
void proxies_stop(Proxies *p);          /* the engine ends; what runs in other daemons shall go on */
Proxies *proxies_free(Proxies *p);      /* after all resources of its types */
DEFINE_CLEANUP(Proxies *, proxies_free)

/* The type of a kind that lives in another daemon; NULL if there is none. It lives as long as p. */
const ResourceType *proxies_type(Proxies *p, const char *kind);

/* Whether the daemon that hosts this resource is not connected; false for what the engine hosts itself. */
bool proxies_waits_for_daemon(const Resource *r);

unsigned proxies_n_connections(const Proxies *p);
