/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Where things are, for an installed system, for mgmtctl run, and in a build directory. */

/* kinds.json and programs: beside the running executable if they are there (a build directory), else where they were
 * installed. Owned by the caller. NULL if out of memory. */
char *path_data(const char *name);              /* "kinds.json" */
char *path_daemon(const char *name);            /* "engine" → …/mgmt-engine */

/* $MGMT_RUNTIME_DIR, else /run/mgmt. Sockets are in it: path_socket("engine") → /run/mgmt/engine.sock. */
const char *path_runtime_dir(void);
char *path_socket(const char *daemon);

/* $STATE_DIRECTORY (set by systemd and by mgmtctl run), else /var/lib/mgmt/<daemon>. */
char *path_state_dir(const char *daemon);
