/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* One program: the files it came as, how it is to be run, and what the compiler made of it. */

#include <stdbool.h>
#include <stdint.h>

#include "common/changeset.h"
#include "common/deploy.h"
#include "common/diag.h"
#include "common/field.h"
#include "common/macro.h"
#include "common/schema.h"
#include "common/value.h"
#include "lang/lang.h"

typedef struct Program Program;
typedef struct sd_event_source sd_event_source;

/* What the programs of one daemon share. */
typedef struct ProgramWorld {
        const Schema *schema;
        SourceHost sources;
        const SourceType *(*source)(const char *function);      /* NULL: it is not served here */
        void (*wave)(void *userdata, Program *p);       /* in the loop: its sources have said something, program_step() is due */
        void *userdata;
} ProgramWorld;

struct Program {
        const ProgramWorld *world;
        Value bundle;           /* map{str: str}, path → content */
        DeployOptions options;
        uint64_t deploy;        /* its id in mgmt-world, 0 if it is not stored there */
        Lang *lang;
        SourceHost sources;
        sd_event_source *wave;  /* runs once when something is due; after whatever else the loop has to do */
        char *error;            /* why it gives no graph at the moment, NULL if it does; the last good one stays in force */
        bool behind;            /* a step was put off */
};

/* Takes over bundle and options, also on failure. All static stages; nothing runs yet. world must outlive it. */
int program_compile(Program **ret, Value bundle, DeployOptions *options, const ProgramWorld *world, Diag *reterr);
Program *program_free(Program *p);
DEFINE_CLEANUP(Program *, program_free)

/* Runs what is due and returns the change set, which is empty while values are still to come. A failure is remembered; returns it.
 * *ret_news: the failure is another one than before, or there is none any more. */
int program_step(Program *p, ChangeSet *ret, bool *ret_news, Diag *reterr);

void program_poke(Program *p);          /* a step is due */

/* The same files, run the same way. */
bool program_equal(const Program *p, Value bundle, const DeployOptions *options);
