/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* How full the directory is in which a proxy keeps files. What is in it is found out by looking, a little at a time: at the start, and
 * whenever it gets full, when those files go that were asked for longest ago (their time of access says when that was). Until there is
 * room again nothing more is kept, so the limits hold. */

#include <stdbool.h>
#include <stdint.h>

#include "common/macro.h"

typedef struct sd_event sd_event;
typedef struct ProxyCache ProxyCache;

enum {
        PROXY_CACHE_DEPTH = 32,         /* directories below each other; what is deeper is not kept */
};

int proxy_cache_new(ProxyCache **ret, sd_event *event, const char *directory, uint64_t bytes_max, uint64_t files_max);
ProxyCache *proxy_cache_free(ProxyCache *c);
DEFINE_CLEANUP(ProxyCache *, proxy_cache_free)

/* Whether there is room for another file, and for so many bytes more of it. Then it is taken. */
bool proxy_cache_take_file(ProxyCache *c);
bool proxy_cache_take(ProxyCache *c, uint64_t size);

/* One of them is there, or has come to nothing; size is what was taken for it. */
void proxy_cache_keep(ProxyCache *c, uint64_t size);
void proxy_cache_give_back(ProxyCache *c, uint64_t size);

/* A file of it, by its path in there, was asked for; accessed is its time of access, in seconds since 1970. */
void proxy_cache_used(ProxyCache *c, const char *file, int64_t accessed);
