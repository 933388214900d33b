/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A keeper (keeper.h) as somebody sees it who is connected: starts it, and hears of its end, but does not mind being cut off. */

#include <stdbool.h>
#include <stddef.h>

#include "common/diag.h"
#include "common/macro.h"

typedef struct sd_event sd_event;
typedef struct KeeperWatch KeeperWatch;

typedef struct KeeperWatchOps {
        void (*running)(void *userdata);
        void (*ended)(const char *text, void *userdata);        /* or could not be started; once. text: with what it said last */
} KeeperWatchOps;

/* The one that runs in the directory; or, if start is not NULL, a new one, which gets these size bytes. Both functions come from the
 * loop, and neither may free the watch. */
int keeper_watch_new(KeeperWatch **ret, sd_event *event, const char *directory, bool removes, const char *start, size_t size,
                     const KeeperWatchOps *ops, void *userdata, Diag *reterr);
KeeperWatch *keeper_watch_free(KeeperWatch *w);
DEFINE_CLEANUP(KeeperWatch *, keeper_watch_free)
