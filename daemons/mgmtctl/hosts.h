/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What has become of deploys on all hosts of the cluster, as mgmt-world tells it, kept up to date. It outlives a mgmt-world. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/deploy.h"
#include "common/macro.h"

typedef struct Hosts Hosts;
typedef struct sd_event sd_event;

typedef struct HostRow {
        char *name;
        uint64_t deploy;        /* the newest that it was given */
        DeployState state;
        char *text;             /* why it was refused, or failed; "": nothing to say */
        bool seen;              /* hosts.c's own */
} HostRow;

typedef struct HostsOps {
        void (*told)(Hosts *h, void *userdata);         /* all hosts are known; again after each lost connection */
        void (*changed)(Hosts *h, const HostRow *row, void *userdata);
        void (*refused)(Hosts *h, const char *text, void *userdata);    /* it does not tell us */
} HostsOps;

/* Connecting starts mgmt-world if need be. */
int hosts_new(Hosts **ret, sd_event *event, const HostsOps *ops, void *userdata);
Hosts *hosts_free(Hosts *h);
DEFINE_CLEANUP(Hosts *, hosts_free)

/* By name. Those that live; others are not there. */
const HostRow *hosts_rows(const Hosts *h, size_t *ret_n);
const HostRow *hosts_find(const Hosts *h, const char *name);
