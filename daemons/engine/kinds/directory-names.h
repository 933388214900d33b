/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <stddef.h>

/* What is in a directory, sorted by bytes, without files that are just being made (replacement.h). Owned by the caller, as each name
 * is; on failure there are none. */
int directory_names(int dir_fd, char ***ret, size_t *ret_n);
void directory_names_free(char **names, size_t n);
