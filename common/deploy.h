/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* How a program is to be run: what travels with its files (common/bundle.h) from mgmtctl to mgmt-lang, and is kept with them. */

#include <stdbool.h>
#include <stdint.h>

#include "common/diag.h"
#include "common/field.h"
#include "common/value.h"

typedef struct DeployOptions {
        bool noop;
        uint32_t sema;          /* at most so many resources at once; 0: no limit */
        bool autoedge, autogroup;
        char *source;           /* where the program comes from, for people */
        char *hosts;            /* names, parted by commas: no other host takes it; "": all do */
        uint64_t sequence;      /* higher in every later one that is signed; 0: it is not */
        char *signature;        /* of all that, and of the files: common/sign/deploy-signature.h; "" if it is not signed */
} DeployOptions;

/* One row per option: the bus, the store of mgmt-world and defaults are fed from it. */
extern const FieldSpec deploy_options_fields[];

/* What has become of a deploy on a host. */
typedef enum DeployState {
        DEPLOY_UNKNOWN,         /* the host has said nothing about it */
        DEPLOY_ACCEPTED,        /* it is in force */
        DEPLOY_REFUSED,         /* the program before stays in force */
        DEPLOY_CONVERGED,       /* it is in force, and the host is as it says */
        DEPLOY_FAILED,          /* it is in force; a resource was given up, or the program gives no graph */
        _DEPLOY_STATE_MAX,
} DeployState;

const char *deploy_state_name(DeployState s);
DeployState deploy_state_from_name(const char *name);   /* DEPLOY_UNKNOWN for whatever is none */

/* hosts: as in DeployOptions. */
bool deploy_hosts_have(const char *hosts, const char *hostname);

int deploy_options_set(DeployOptions *o, const char *name, Value v, Diag *reterr);      /* -EINVAL: no such option */
int deploy_options_to_value(const DeployOptions *o, Value *ret);        /* a struct */
int deploy_options_from_value(DeployOptions *ret, Value v, Diag *reterr);       /* nil: the defaults */
bool deploy_options_equal(const DeployOptions *a, const DeployOptions *b);
bool deploy_options_run_alike(const DeployOptions *a, const DeployOptions *b);  /* but for whom it is meant for, and who said so */
void deploy_options_done(DeployOptions *o);
