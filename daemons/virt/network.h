/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What is done to a network: one attempt to find out whether it is as wanted, and to make it so. Runs in the thread of its
 * connection; everything it needs is in the task. */

#include <libvirt/libvirt.h>

#include "common/diag.h"
#include "common/difference.h"
#include "daemons/virt/network-xml.h"

typedef enum NetworkState {
        NETWORK_ANY,            /* defined if missing, then left as it is */
        NETWORK_UP,
        NETWORK_DOWN,           /* of a transient network: there is none */
        _NETWORK_STATE_MAX,
        _NETWORK_STATE_INVALID = -22 /* -EINVAL */
} NetworkState;

NetworkState network_state_from_name(const char *s);

typedef struct NetworkTask {
        NetworkSpec spec;
        NetworkState state;
        int autostart;          /* 1, 0, or negative: as it is */
        bool transient;
        bool purge_hosts, purge_ranges;
        bool apply;
        Differences *differences;       /* out: what was found wrong; borrowed */
} NetworkTask;

int network_check_apply(virConnectPtr c, NetworkTask *t, Diag *reterr); /* CheckResult or negative errno */
