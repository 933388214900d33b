/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Hosts kinds for mgmt-engine: the ResourceHost of every daemon but the engine itself. It takes TASK_… messages on the daemon's
 * listening channel, runs the kinds' hooks and answers. One engine at a time; when it comes again after a crash, resources that
 * it puts unchanged are kept running, so that a restart of the engine does not interrupt what they serve.
 *
 * What the engine can rely on:
 * - A group is put as a whole, parents before those grouped into them, and then spoken of by the id of its root. It cannot grow or
 *   shrink afterwards, only be put anew.
 * - Why a resource cannot be made is told when its watch or a check is asked for, and then each time.
 * - Every TASK_CHECK gets one TASK_RESULT, unless it was cancelled, or another one for the same resource followed.
 * - After a TASK_CHANGED there is no other before the next TASK_CHECK.
 * - TASK_WATCH of what is watched already, an adopted one for instance, gets TASK_ARMED at once. */

#include "common/ipc/channel.h"
#include "common/resource.h"
#include "common/source.h"

typedef struct Daemon Daemon;
typedef struct Worker Worker;

/* types is NULL-terminated and lives for ever; manager is handed to the kinds as ResourceHost.manager. */
int worker_new(Worker **ret, sd_event *event, const ResourceType *const *types, const char *state_dir, void *manager);

/* The whole of a daemon that does nothing else: a worker on the socket that the daemon inherited, and a SourceServer beside it where
 * there are functions (tables as for source_server_new(), or NULL). Whoever wants something else is told so. worker_free() ends
 * them and the channel as well. */
int worker_serve(Worker **ret, Daemon *d, const ResourceType *const *types, const SourceType *const *functions, void *manager);

Worker *worker_free(Worker *w);
DEFINE_CLEANUP(Worker *, worker_free)

/* To be called from the daemon's ChannelOps.message: true if the message was one of the worker's (HELLO with role "engine" or
 * TASK_…). */
bool worker_message(Worker *w, Channel *c, PeerId peer, Message *m);

unsigned worker_n_resources(const Worker *w);
unsigned worker_n_calls(const Worker *w);       /* of functions, that programs have open */
