/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Files of this host that a program names. */

#include <stddef.h>

#include "common/diag.h"

enum { HOST_FILE_MAX = 16 * 1024 * 1024 };

/* The whole file, with a NUL after it. What is not a regular file, or one that is larger, is refused without being opened: that
 * may take for ever, or do something. */
int host_file_read(const char *path, char **ret, size_t *ret_size, Diag *reterr);
