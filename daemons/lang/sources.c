/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads sources.def; so does meson.build. */

#include "daemons/lang/sources.h"

#define SOURCES(s) extern const SourceType s##_sources[];
#include "daemons/lang/sources.def"
#undef SOURCES

static const SourceType *const tables[] = {
#define SOURCES(s) s##_sources,
#include "daemons/lang/sources.def"
#undef SOURCES
};

const SourceType *lang_source_find(const char *function) {
        for (size_t i = 0; i < ELEMENTSOF(tables); i++) {
                const SourceType *t = source_type_find(tables[i], function);
                if (t)
                        return t;
        }
        return NULL;
}
