/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Several resources run as one: children inside the server they belong to (ResourceType.parent_field), equals in one go
 * (ResourceType.groups). Grouping never makes a cycle: what is reachable one way or the other stays apart. */

#include "daemons/engine/swap.h"

/* Decides the parents that all groupable vertices will have after the swap. */
int autogroup_update(Swap *s);
void autogroup_restore(const Swap *s);          /* the swap is rejected: what was found out about kinds may be wrong */
