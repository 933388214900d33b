/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The deploys of this host: what was deployed, newest last. Only the last DEPLOYS_KEPT are kept. And, where they belong to a cluster,
 * the one of the cluster that is in force here, so that it can start alone. */

#include <stdint.h>

#include "common/diag.h"
#include "common/macro.h"
#include "common/value.h"

enum { DEPLOYS_KEPT = 10 };

typedef struct Database Database;
typedef struct Deploys Deploys;

typedef struct Deploy {
        uint64_t id;            /* 0: there is none */
        uint64_t time_usec;     /* CLOCK_REALTIME */
        uint64_t n_files;
        uint64_t size_bytes;    /* of the bundle, as it is stored; deploys_add() does not say it */
        Value bundle;           /* map{str: str}, path → content */
        Value options;
} Deploy;

int deploys_open(Deploys **ret, Database *d, Diag *reterr);
Deploys *deploys_free(Deploys *d);
DEFINE_CLEANUP(Deploys *, deploys_free)

uint64_t deploys_newest_id(const Deploys *d);   /* 0: none */

/* The callbacks are called once, from the loop (or with -ECANCELED at the end); what they get is borrowed. */
typedef void (*deploys_callback_t)(int error, const Deploy *deploys, size_t n, void *userdata);

/* Stores one; it has its id, and is on the disk, when the callback is called. */
int deploys_add(Deploys *d, Value bundle, Value options, deploys_callback_t callback, void *userdata, Diag *reterr);

int deploys_newest(Deploys *d, deploys_callback_t callback, void *userdata);    /* n is 0 or 1 */
int deploys_get(Deploys *d, uint64_t id, deploys_callback_t callback, void *userdata);  /* the same */
/* The one of a cluster; it takes the place of the one before. Its bundle and options are borrowed. */
int deploys_keep(Deploys *d, const Deploy *deploy, deploys_callback_t callback, void *userdata);
int deploys_kept(Deploys *d, deploys_callback_t callback, void *userdata);      /* n is 0 or 1 */

int deploys_list(Deploys *d, deploys_callback_t callback, void *userdata);      /* without bundles */
