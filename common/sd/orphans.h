/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Children that came to us because the process that started them has died: see PR_SET_CHILD_SUBREAPER. */

#include <stdbool.h>
#include <sys/types.h>

typedef struct OrphanSpec {
        bool (*is_ours)(pid_t pid, void *userdata);     /* a child that we have started and reap ourselves; NULL: none */
        void *userdata;
        unsigned grace_msec;    /* they may take so long, together, before they are killed */
        bool kill;              /* those that still live then */
        unsigned wait_msec;     /* how long each may take to go after it was killed */
} OrphanSpec;

/* Reaps those that have ended. The number of those that were there. */
size_t orphans_reap(const OrphanSpec *spec);
