/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A part of a bundle as files of this host. */

#include "common/diag.h"
#include "common/value.h"

/* Makes the directory top/name hold exactly the files of the bundle (a map, path → content) whose paths begin with prefix
 * ("/files/"), called by what follows. top is made if it is missing, with its parents; name is relative. What else is in there goes;
 * what is as it should be is left alone; and nothing is touched outside of it, whatever links there are. -ENOENT: the bundle has no
 * such directory. */
int mirror_files(const char *top, const char *name, Value bundle, const char *prefix, Diag *reterr);
