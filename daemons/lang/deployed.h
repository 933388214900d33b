/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* One program: the files it came as, how it is to be run, and what the compiler made of it. */

#include <stdbool.h>
#include <stdint.h>

#include "common/change-set.h"
#include "common/deploy.h"
#include "common/diag.h"
#include "common/field.h"
#include "common/macro.h"
#include "common/schema.h"
#include "common/value.h"
#include "lang/lang.h"

typedef struct Deployed Deployed;
typedef struct sd_event_source sd_event_source;

/* What the programs of one daemon share. */
typedef struct DeployedHost {
        const Schema *schema;
        SourceHost sources;
        const SourceType *(*source)(const char *function);      /* NULL: it is not served here */
        void (*wave)(void *userdata, Deployed *p);       /* in the loop: its sources have said something, deployed_step() is due */
        void *userdata;
} DeployedHost;

struct Deployed {
        const DeployedHost *host;
        Value bundle;           /* map{str: str}, path → content */
        DeployOptions options;
        uint64_t deploy;        /* its id in mgmt-world, 0 if it is not stored there */
        Lang *lang;
        ChangeSet whole;        /* the whole graph, as the last step gave it, until somebody sent it; else empty */
        SourceHost sources;
        sd_event_source *wave;  /* runs once when something is due; after whatever else the loop has to do */
        char *error;            /* why it gives no graph at the moment, NULL if it does; the last good one stays in force */
        bool behind;            /* a step was put off */
};

/* Takes over bundle and options, also on failure. All static stages; nothing runs yet. host must outlive it. */
int deployed_compile(Deployed **ret, Value bundle, DeployOptions *options, const DeployedHost *host, Diag *reterr);
Deployed *deployed_free(Deployed *p);
DEFINE_CLEANUP(Deployed *, deployed_free)

/* Runs what is due and returns the change set, which is empty while values are still to come. A failure is remembered; returns it.
 * *ret_news: the failure is another one than before, or there is none any more. */
int deployed_step(Deployed *p, ChangeSet *ret, bool *ret_news, Diag *reterr);

void deployed_poke(Deployed *p);          /* a step is due */
