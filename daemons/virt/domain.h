/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What is done to a domain: one attempt to find out whether it is as wanted, and to make it so. Runs in the thread of its
 * connection; everything it needs is in the task. */

#include <libvirt/libvirt.h>

#include "common/diag.h"
#include "common/difference.h"
#include "daemons/virt/domain-xml.h"

typedef enum DomainState {
        DOMAIN_ANY,             /* created if missing, then left as it is */
        DOMAIN_RUNNING,
        DOMAIN_PAUSED,
        DOMAIN_SHUTOFF,         /* of a transient domain: there is none */
        _DOMAIN_STATE_MAX,
        _DOMAIN_STATE_INVALID = -22 /* -EINVAL */
} DomainState;

DomainState domain_state_from_name(const char *s);

/* What to do where only a restart brings a running domain to what is wanted. */
typedef enum DomainRestart {
        DOMAIN_RESTART_IGNORE,
        DOMAIN_RESTART_IFNEEDED,
        DOMAIN_RESTART_ERROR,
        _DOMAIN_RESTART_MAX,
        _DOMAIN_RESTART_INVALID = -22 /* -EINVAL */
} DomainRestart;

/* What a guest was asked for. It follows in its own time, or never, so it is asked once; what it does then is an event. */
typedef struct DomainRequests {
        uint64_t memory_kib;    /* 0: nothing, or it has done it */
        unsigned cpus_from, cpus_to;
} DomainRequests;

/* Descriptions in which nothing was wrong, as hashes: such a one need not be read again. 0: none. For one spec only. */
typedef struct DomainSeen {
        uint64_t definition, memory, running;
} DomainSeen;

typedef struct DomainTask {
        DomainSpec spec;
        const char *driver;     /* "type" of domains there: "lxc", "test", …; "qemu": that or "kvm"; static */
        DomainState state;
        int autostart;          /* 1, 0, or negative: as it is */
        bool transient;
        DomainRestart restart;
        bool restart_now;       /* wanted in any case */
        bool apply;
        Differences *differences;       /* out: what was found wrong; borrowed */

        /* A restart takes two attempts: one asks the guest to shut down, the next one, when it has, starts it again. */
        bool stopping;          /* in: asked before; out: is under way */
        bool force;             /* it had its time: pull the plug */
        bool to_stop;           /* out: the guest is still to be asked, by domain_shut_down() */

        DomainRequests requests;        /* in and out */
        DomainSeen seen;                /* in and out */
} DomainTask;

/* CheckResult or negative errno; -EAGAIN: a shutdown is under way, its end will be an event. */
int domain_check_apply(virConnectPtr c, DomainTask *t, Diag *reterr);

/* Has the guest asked by its agent. libvirt waits up to a minute for it to follow. CHECK_CHANGED or negative errno. */
int domain_shut_down(virConnectPtr c, DomainTask *t, Diag *reterr);
