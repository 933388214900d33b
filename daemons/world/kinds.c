/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The kinds of mgmt-world, from the rows of kinds.def. */

#include "daemons/world/world-manager.h"

#define KIND(k) extern const ResourceType k##_type;
#include "daemons/world/kinds.def"
#undef KIND

const ResourceType *const world_kinds[] = {
#define KIND(k) &k##_type,
#include "daemons/world/kinds.def"
#undef KIND
        NULL
};
