/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A deploy in stages: some hosts of the cluster take it first; when it does well there it is released to all, else they go back. */

#include <stdint.h>

#include "daemons/mgmtctl/program.h"

typedef struct sd_bus sd_bus;

typedef struct RolloutOptions {
        const char *canary;     /* how many hosts, the first ones by name; or their names, parted by commas */
        int64_t max_failing;    /* so many of them may fail */
        int64_t wait_sec;       /* who has not converged by then has failed */
        const char *sign;       /* path of a key, NULL: none */
} RolloutOptions;

/* EXIT_SUCCESS: it is released. Everything has been said. */
int rollout_run(Program *p, sd_bus *bus, const RolloutOptions *options);
