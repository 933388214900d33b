/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <syslog.h>

#include "daemons/http/child.h"

int http_child_validate_path(const Resource *r, const char *field, const char *path, HttpPathForm form, Diag *reterr) {
        if (path[0] == '/' && (form == HTTP_PATH_ANY || endswith(path, "/")))
                return 0;
        return resource_error(r, reterr, -EINVAL, "%s must begin %swith a slash, got '%s'", field, form == HTTP_PATH_TREE ? "and end " : "",
                              path);
}

void http_child_warn_alone(Resource *r, const char *server) {
        if (!r->parent)
                resource_log(r, LOG_WARNING, "there is no http:server '%s' in the graph, so nobody serves this", server);
}
