/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Autoedge: what a kind with a path of a file wants to come before it. For hooks `wants`, batch for batch, of kinds whose first match
 * ends the asking. */

#include "common/resource.h"

/* For a kind that edits a file: whoever makes it, or the package that it comes with; then as below. */
int file_path_wants(const char *path, unsigned batch, ResourceUids *ret);

/* For a kind that makes it: the nearest of the directories above. A path that ends in a slash is a directory. Two batches, with nothing
 * else in them: the one it lies in, which often is the one, and all the others. */
int file_path_wants_above(const char *path, unsigned batch, ResourceUids *ret);
