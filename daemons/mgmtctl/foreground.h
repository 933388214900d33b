/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The whole system in the foreground, for one program. The supervisor keeps the daemons alive; mgmt-lang gets the program as soon as it
 * is on the bus, again whenever it comes back; whoever runs it hears the engine's events. */

#include <stdbool.h>
#include <stdint.h>

#include "common/message.h"
#include "daemons/mgmtctl/program.h"

typedef struct sd_bus sd_bus;
typedef struct Foreground Foreground;

typedef struct ForegroundSpec {
        const char *input;              /* NULL: what mgmt-world has, or gets, as a deploy */
        const ProgramOptions *program;
        const char *prefix;             /* of the state, locked; NULL: a temporary one */
        int64_t converger_timeout;      /* seconds; negative: none */
        const char *status_file;        /* NULL: none */
        int64_t max_runtime;            /* seconds; 0: for ever */
        bool plan;                      /* change nothing, only look, once */
        const char *state_of;           /* with plan: the prefix whose state is looked at; NULL: none */
        bool quiet;                     /* says nothing of itself but errors */

        /* What the engine tells. That it rejected a graph is told as an error, and ends it. */
        void (*event)(Foreground *f, const Message *m, void *userdata);
        void *userdata;
} ForegroundSpec;

/* Until somebody ends it: a signal, an error, or the function below. Returns what main() shall return; errors have been printed. */
int foreground_run(const ForegroundSpec *spec);

/* Ends it, in less than a second, with the exit code of the first reason; asked twice, at once. */
void foreground_end(Foreground *f, int code);

const Program *foreground_program(const Foreground *f);
sd_bus *foreground_bus(const Foreground *f);    /* the private one, attached to the loop; NULL for the moments in which there is none */
