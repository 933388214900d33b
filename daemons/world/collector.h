/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What is exported of one kind to one host, and to all. Whoever wants to know of the same shares two watches. */

#include "common/macro.h"
#include "common/value.h"

typedef struct Collector Collector;
typedef struct Collectors Collectors;
typedef struct Collecting Collecting;
typedef struct Store Store;

typedef struct CollectRecord {
        char *name, *host;      /* of the resource, and who exports it */
        Value data;             /* str */
} CollectRecord;

/* All of them, by name and then by host; borrowed. Called from the loop, or from collector_open() if it is known already, and then for
 * every change. The callback may close its own. */
typedef void (*collector_callback_t)(const CollectRecord *const *records, size_t n, void *userdata);

int collectors_new(Collectors **ret, Store *store);     /* borrowed */
Collectors *collectors_free(Collectors *c);             /* nobody may be collecting */
DEFINE_CLEANUP(Collectors *, collectors_free)

int collector_open(Collectors *c, const char *hostname, const char *kind, collector_callback_t callback, void *userdata, Collecting **ret);
Collecting *collector_close(Collecting *c);
void collector_tell(Collecting *c);     /* calls back with what is known, if anything is */
