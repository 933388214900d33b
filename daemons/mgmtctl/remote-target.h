/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The hosts that `mgmtctl remote` is given: [NAME=][USER@]HOST[:PORT], several with commas between them; @FILE has one a line. */

#include <stddef.h>

#include "common/diag.h"

enum { REMOTE_TARGETS_MAX = 1024 };

typedef struct RemoteTarget {
        char *label;            /* what messages call it: NAME, or HOST as it was written */
        char *name;             /* who it shall be in the program; NULL: who it says it is */
        char *user;             /* NULL: not said */
        char *host;
        unsigned port;          /* 0: not said */
} RemoteTarget;

typedef struct RemoteTargets {
        RemoteTarget *items;
        size_t n, capacity;
} RemoteTargets;

int remote_targets_parse(RemoteTargets *ret, const char *text, Diag *reterr);
void remote_targets_done(RemoteTargets *t);
