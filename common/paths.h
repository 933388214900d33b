/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Where things are, for an installed system, for mgmtctl run, and in a build directory; and paths as texts. */

#include <stddef.h>

/* kinds.json and programs: beside the running executable if they are there (a build directory), else where they were
 * installed. Owned by the caller. NULL if out of memory. */
char *path_data(const char *name);              /* "kinds.json" */
char *path_daemon(const char *name);            /* "engine" → …/mgmt-engine */
char *path_ctl(void);                           /* …/mgmtctl */

/* $MGMT_RUNTIME_DIR, else /run/mgmt. Sockets are in it: path_socket("engine") → /run/mgmt/engine.sock. */
const char *path_runtime_dir(void);
char *path_socket(const char *daemon);

/* $STATE_DIRECTORY (set by systemd and by mgmtctl run), else /var/lib/mgmt/<daemon>. */
char *path_state_dir(const char *daemon);

/* The shortest path that means the same, if none of its directories is a symbolic link ("" is "."). At most as long as s; ret has
 * room for size + 2 bytes, and no NUL is added. Returns its length. */
size_t path_clean(const char *s, size_t size, char *ret);
