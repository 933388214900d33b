/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The libraries that our programs are loaded with here, for hosts that have not all of them. */

#include <stddef.h>

#include "common/macro.h"

typedef struct RemoteLibraries RemoteLibraries;
typedef struct sd_event sd_event;

/* programs: paths, NULL-terminated; borrowed until ready(), which comes once, from the loop. What could not be found out is not
 * there. */
int remote_libraries_new(RemoteLibraries **ret, sd_event *event, char *const *programs, void (*ready)(void *userdata), void *userdata);
RemoteLibraries *remote_libraries_free(RemoteLibraries *l);
DEFINE_CLEANUP(RemoteLibraries *, remote_libraries_free)

/* The path of the file; NULL: none of our programs needs such a library. */
const char *remote_libraries_find(const RemoteLibraries *l, const char *name);
