/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Who may say what this host is to be. If there is a file of trusted keys, a program must be signed by one of them, and no older
 * than what was accepted before: somebody who can write where deploys are kept can neither change one nor bring an old one back. */

#include <stdint.h>

#include "common/deploy.h"
#include "common/diag.h"

typedef struct DeployGuard {
        const char *trust;      /* path of the keys, borrowed; NULL: everybody may */
        char *memory;           /* path of the file with the highest sequence that was accepted */
        uint64_t accepted;      /* that; of DeployOptions.sequence */
        int error;              /* of reading it: then nothing is accepted */
} DeployGuard;

int deploy_guard_init(DeployGuard *g, const char *trust, const char *state_dir);
void deploy_guard_done(DeployGuard *g);

/* The keys are read anew each time, so a change of the file counts for the next deploy. */
int deploy_guard_check(const DeployGuard *g, Value bundle, const DeployOptions *options, Diag *reterr);

/* It is in force: what is older will not be any more. On the disk when it returns. */
int deploy_guard_accepted(DeployGuard *g, const DeployOptions *options, Diag *reterr);
