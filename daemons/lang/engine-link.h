/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* mgmt-lang's session with mgmt-engine. What it sends is always the manager's: after a lost connection it sends a full set
 * again, whichever side was restarted. */

#include <stdint.h>

#include "common/changeset.h"
#include "common/macro.h"

typedef struct EngineLink EngineLink;
typedef struct Manager Manager;

/* Connecting starts the engine. */
int engine_link_new(EngineLink **ret, Manager *m);
EngineLink *engine_link_free(EngineLink *l);
DEFINE_CLEANUP(EngineLink *, engine_link_free)

/* The whole graph of the program on offer, now or when the connection is there. */
int engine_link_offer(EngineLink *l);

/* Only the id of the deploy is another. */
int engine_link_rename(EngineLink *l);
