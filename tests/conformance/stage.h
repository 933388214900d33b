/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Daemons for one program: each on a socket of its own in a directory that goes with it, without a bus. */

#include <stdbool.h>

/* programs: the directory they are in; borrowed. private_tmp: where we may, /tmp is another from now on. */
int stage_begin(const char *programs, bool private_tmp);
int stage_start(const char *name);      /* name is borrowed; one that runs already is no error */
const char *stage_directory(void);
void stage_end(void);
