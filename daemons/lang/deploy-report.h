/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What this host says of the newest deploy that it was given. mgmt-world keeps the deploy once it is in force, and tells a cluster. */

#include <stdbool.h>
#include <stdint.h>

#include "common/deploy.h"

typedef struct Manager Manager;

typedef struct DeployReport {
        uint64_t deploy;        /* 0: nothing to say */
        DeployState state;
        bool in_force;
        char *text;             /* why it was refused, or failed; NULL: there is nothing more to say */
} DeployReport;

/* Something may have changed: if so, it is told. */
void manager_report(Manager *m);
void deploy_report_done(DeployReport *r);
