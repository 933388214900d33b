/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads sources.def; so does meson.build. */

#include "daemons/world/world-manager.h"

#define SOURCES(s) extern const SourceType s##_sources[];
#include "daemons/world/sources.def"
#undef SOURCES

const SourceType *const world_functions[] = {
#define SOURCES(s) s##_sources,
#include "daemons/world/sources.def"
#undef SOURCES
        NULL
};
