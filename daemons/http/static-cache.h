/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Files that many clients ask for at the same moment. What was opened for one of them is served to all others whose requests are
 * dealt with in the same turn of the loop, small files from memory; when the turn is over, all is forgotten. So nobody gets what is
 * older than that turn, and where one client asks at a time, nothing is different. */

#include "daemons/http/static-file.h"

typedef struct sd_event sd_event;
typedef struct StaticCache StaticCache;

int static_cache_new(StaticCache **ret, sd_event *event);
StaticCache *static_cache_free(StaticCache *c);
DEFINE_CLEANUP(StaticCache *, static_cache_free)

/* As static_content_open(). */
int static_cache_open(StaticCache *c, StaticContent *ret, const char *directory, const char *path, bool links_inside);
