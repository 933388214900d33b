/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Makes the table of kinds out of kinds.def. There is nothing else to say here: a new kind is a row there and a file. */

#include "daemons/virt/kinds.h"

#define KIND(k) extern const ResourceType k##_type;
#include "daemons/virt/kinds.def"
#undef KIND

const ResourceType *const virt_kinds[] = {
#define KIND(k) &k##_type,
#include "daemons/virt/kinds.def"
#undef KIND
        NULL
};
