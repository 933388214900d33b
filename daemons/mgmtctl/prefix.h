/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Where runs in the foreground keep their state. */

/* The directory: what was said on the command line (NULL: nothing), else $STATE_DIRECTORY, else one of this user. Absolute, the
 * caller's. */
int prefix_path(const char *said, char **ret);

/* Makes it and locks it: two runs in one would fight over its databases. Returns an open descriptor that holds the lock; errors have
 * been printed. */
int prefix_open(const char *path);
