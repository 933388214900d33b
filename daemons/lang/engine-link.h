/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* mgmt-lang's session with mgmt-engine. What it sends is always the manager's: after a lost connection it sends a full set
 * again, whichever side was restarted. */

#include <stdbool.h>
#include <stdint.h>

#include "common/change-set.h"
#include "common/macro.h"

typedef struct EngineLink EngineLink;
typedef struct Manager Manager;
typedef struct Deployed Deployed;

/* Connecting starts the engine. */
int engine_link_new(EngineLink **ret, Manager *m);
EngineLink *engine_link_free(EngineLink *l);
DEFINE_CLEANUP(EngineLink *, engine_link_free)

/* What changed in the program on offer; takes the content of set. Instead of it the whole graph goes out where the engine does not
 * have what was before. */
int engine_link_send(EngineLink *l, Deployed *p, ChangeSet *set);
bool engine_link_is_busy(const EngineLink *l);  /* the set before is not answered yet: changes are better gathered */

/* Only the id of the deploy is another. */
int engine_link_rename(EngineLink *l);
