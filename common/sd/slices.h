/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Work that may take long (copying, comparing, packing), done in slices of a few milliseconds, between which the loop sees to
 * everything else. */

#include "common/macro.h"

typedef struct sd_event sd_event;
typedef struct Slices Slices;

/* Does a little of it, such as one entry of a directory or a piece of a file: 1 if there is more to do, else 0 or negative errno. */
typedef int (*slices_step_t)(void *userdata);

/* The result is 0 or negative errno. May free the slices. */
typedef void (*slices_end_t)(int result, void *userdata);

/* Does the first slice at once. 0 or negative errno: that was all, and nothing follows. 1: *ret goes on with it from the loop, until
 * it calls end, or is freed. */
int slices_start(Slices **ret, sd_event *event, slices_step_t step, slices_end_t end, void *userdata);
Slices *slices_free(Slices *s);
DEFINE_CLEANUP(Slices *, slices_free)
