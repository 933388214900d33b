/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <stdio.h>

#include "common/macro.h"
#include "daemons/http/proxy-path.h"
#include "daemons/http/url.h"

static const char *without(const char *request, const char *prefix) {
        const char *rest = startswith(request, prefix);

        return rest ? rest + strspn(rest, "/") : NULL;
}

static int map_url(const char *sub, const char *head, const char *request, char **ret) {
        const char *rest = without(request, sub);
        _cleanup_free_ char *escaped = rest ? url_escape_path(rest) : NULL;

        *ret = NULL;
        if (!rest)
                return -ENOENT;
        if (!escaped)
                return -ENOMEM;
        return head[0] == 0 || asprintf(ret, "%s%s", head, escaped) >= 0 ? 0 : -ENOMEM;
}

int proxy_path_map(const char *path, const char *sub, const char *head, const char *request, char **ret_url, char **ret_file) {
        _cleanup_free_ char *url = NULL;
        const char *file;
        int r;

        if (request[0] != '/' || endswith(request, "/"))
                return -ENOENT;
        /* a tree, or one file, which has the last part of its path as a name */
        if (endswith(path, "/"))
                file = without(request, path);
        else
                file = streq(request, path) ? strrchr(request, '/') + 1 : NULL;
        if (!file)
                return -ENOENT;
        r = map_url(sub, head, request, &url);
        if (r < 0)
                return r;
        *ret_file = strdup(file);
        if (!*ret_file)
                return -ENOMEM;
        *ret_url = TAKE_PTR(url);
        return 0;
}
