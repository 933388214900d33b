/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Where an http:server:proxy looks for what it is asked for. */

/* ret_url: at the upstream server, escaped; NULL if head is empty. ret_file: relative to the cache directory. Both are the caller's.
 * request is a clean path. -ENOENT: the proxy has no such thing. */
int proxy_path_map(const char *path, const char *sub, const char *head, const char *request, char **ret_url, char **ret_file);
