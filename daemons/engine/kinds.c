/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads kinds.def; so does meson.build. */

#include "daemons/engine/kinds.h"

#define KIND(k) extern const ResourceType k##_type;
#include "daemons/engine/kinds.def"
#undef KIND

const ResourceType *const engine_kinds[] = {
#define KIND(k) &k##_type,
#include "daemons/engine/kinds.def"
#undef KIND
        NULL
};
