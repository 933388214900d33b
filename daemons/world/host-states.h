/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What each host of a cluster says of the newest deploy that it was given: a key a host, under a lease, so that it is also the list of
 * the hosts that live. */

#include <stdint.h>

#include "common/deploy.h"
#include "common/macro.h"
#include "daemons/world/store.h"

typedef struct HostPublisher HostPublisher;
typedef struct HostStates HostStates;
typedef struct sd_event sd_event;

/* ---- that of this host ---- */

/* It is there from now on, without a deploy until host_publisher_set(). -EINVAL: no host can have that name. */
int host_publisher_new(HostPublisher **ret, sd_event *event, Store *s, const char *hostname);

/* Whoever restarts is not gone: what was said stays until the lease ends. */
HostPublisher *host_publisher_free(HostPublisher *p);
DEFINE_CLEANUP(HostPublisher *, host_publisher_free)

void host_publisher_set(HostPublisher *p, uint64_t deploy, DeployState state, const char *text);       /* text may be NULL */

/* ---- those of all ---- */

typedef struct HostStatesOps {
        /* state NULL: the host has gone. Strings are borrowed. */
        void (*state)(const char *host, uint64_t deploy, const char *state, const char *text, void *userdata);
        void (*told)(void *userdata);           /* hosts that were not named since the last of these, or ever, are not there */
} HostStatesOps;

/* All there are, told(), and then each change; all of it once more whenever the store has forgotten what was told. The callbacks may free
 * it only through the loop. */
int host_states_watch(HostStates **ret, Store *s, const HostStatesOps *ops, void *userdata);
HostStates *host_states_free(HostStates *h);
