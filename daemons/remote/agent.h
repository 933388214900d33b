/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The other end of `mgmtctl remote`: runs mgmtctl in its directory as it is told, and goes, with everything that it has started, when
 * that is over, when it is told to, or when nobody speaks to it any more. */

typedef struct AgentSpec {
        const char *directory;          /* ours; the programs are in it */
        int input, output;              /* frames; the caller's */
        unsigned silence_sec;           /* nobody speaks for so long: nobody is there */
} AgentSpec;

/* Until the end; nothing that was started runs then. The exit status of the process. */
int agent_run(const AgentSpec *spec);
