/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* mgmtctl, started in its directory as a START says (common/remote/frame.h). */

#include "common/sd/child.h"

typedef struct LaunchSpec {
        const char *directory;          /* the programs are in it, and perhaps credentials/ and program/ */
        const char *socket;             /* the way to the cluster; NULL: there is none but its own */
        const char *start;              /* what the START says; size bytes */
        size_t size;
        void (*output)(Child *c, ChildStream stream, const char *data, size_t size, void *userdata);
        child_callback_t ended;
        void *userdata;
} LaunchSpec;

/* -EPROTO: it says nothing that can be started. */
int launch(Child **ret, sd_event *event, const LaunchSpec *spec, Diag *reterr);
