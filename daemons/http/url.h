/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Request targets: what stands in the first line of a request, taken apart. Pure functions over text. */

#include <stdbool.h>

/* Takes the path out of "/path?query" or "http://host/path?query" and decodes it. *ret_query points into target, at the '?', or
 * is NULL. -EBADMSG if it is neither, or has a broken escape, or an escaped NUL; -ENOMEM. */
int url_parse_target(const char *target, char **ret_path, const char **ret_query);

/* An absolute path without "//", "/./", "/../"; a trailing slash stays. NULL if out of memory. */
char *url_clean_path(const char *path);

/* A path as it may stand in a Location header: whatever is special or not ASCII is escaped. NULL if out of memory. */
char *url_escape_path(const char *path);
