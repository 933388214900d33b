/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What was asked of `mgmtctl remote`: for the help of mgmtctl, and for mgmt-ssh, which does it; or of mgmt-ssh alone, by the resource
 * `remote`. */

#include "daemons/mgmtctl/ctl.h"
#include "daemons/mgmtctl/program.h"

typedef struct RemoteOptions {
        ProgramOptions program;
        int64_t converger_timeout;      /* seconds; negative: none */
        bool converged_exit;
        int64_t max_runtime;            /* seconds; 0: for ever */
        int64_t sema;                   /* 0 or less: no limit */
        int64_t parallel;               /* hosts that are set up at a time */
        const char *identity;           /* paths; NULL: what ssh takes */
        const char *known_hosts;

        /* The resource's: what the cluster deploys runs there. */
        const char *resource;           /* its name; NULL: nothing of this was asked */
        const char *host_key;           /* NULL: none */
        bool no_keys, password;         /* the latter is what can be read from stdin */
        bool keep, deps, direct;
} RemoteOptions;

extern RemoteOptions arg_remote;
extern const Command command_remote;
extern const Command command_agent;     /* of mgmt-ssh; run is NULL */
