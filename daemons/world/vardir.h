/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Directories in which programs keep things. They belong to this daemon; its group, in which are those that read for programs and
 * serve what is kept there, may look. */

#include "common/diag.h"

/* Makes the directory path, which is relative and ends with a slash, in its place below the state directory. *ret is the whole path,
 * with trailing slash. */
int vardir_make(const char *state_dir, const char *path, char **ret, Diag *reterr);
