/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A watch on a path that does not end. Where it cannot be watched (the kernel has no watch left to give, a directory may not be read),
 * and after a watch has broken, it is tried again: when something happens above it, and now and then; and its user looks meanwhile. */

#include <stdint.h>

#include "common/sd/path-watch.h"

typedef struct SteadyWatch SteadyWatch;

/* Something may have changed: it was seen to, or it may have been missed. Called from the loop. May free the watch. */
typedef void (*steady_watch_callback_t)(void *userdata);

/* The first look is the caller's. poll_usec: between two looks at what cannot be watched; 0: the usual. -EINVAL, -ENAMETOOLONG: this
 * can be no path; -ENOMEM. */
int steady_watch_new(SteadyWatch **ret, PathWatcher *p, const char *path, uint64_t poll_usec, steady_watch_callback_t callback,
                     void *userdata);
SteadyWatch *steady_watch_free(SteadyWatch *w);
