/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What stays in a directory that is purged, or made a copy: what other file resources manage there. */

#include "daemons/engine/kinds/kind-file.h"

/* Paths below the directory, sorted by bytes, NULL at the end: of each resource's file, and of the one that it may just be making beside
 * it. For strv_free(). -ENOMEM. */
int file_keep_collect(const File *f, char ***ret);
