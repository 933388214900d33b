/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The other end of mgmt-ssh. Runs mgmtctl in its directory as it is told, and goes, with everything that it has started, when that is
 * over, when it is told to, or when nobody speaks to it any more. Or, in the other modes, goes alone: what runs then has a keeper. */

#include <stdbool.h>

typedef enum AgentMode {
        AGENT_RUN,
        AGENT_START,                    /* starts a keeper as it is told, and says when that ends */
        AGENT_WATCH,                    /* says when the one that runs already ends */
} AgentMode;

typedef struct AgentSpec {
        AgentMode mode;
        const char *directory;          /* ours; the programs are in it */
        bool removes;                   /* the keeper shall remove it at its end */
        int input, output;              /* frames; the caller's */
        unsigned silence_sec;           /* nobody speaks for so long: nobody is there */
} AgentSpec;

/* Until the end; nothing that was started runs then. The exit status of the process. */
int agent_run(const AgentSpec *spec);
