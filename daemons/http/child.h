/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What a kind must be to be grouped into an http:server: a struct that begins with an HttpChild, whose ops are set by the kind's
 * init hook. The server asks its children in order; the first that accepts a request serves it.
 *
 * What a child sees has passed the server: the client is who it says it is, if the server asks for that, and a request that
 * changes something does not come from a page of another site in somebody's browser. */

#include "common/resource.h"
#include "daemons/http/mhd.h"

typedef struct HttpChild HttpChild;

typedef struct HttpChildOps {
        /* By method and path. Asked before the body is read, and again when the request is complete. */
        bool (*accepts)(HttpChild *c, const HttpRequest *q);

        /* Answers, holds the request back, or begins a stream. What is held back or still being written when the resource is
         * unwatched, the child ends. */
        void (*serve)(HttpChild *c, HttpRequest *q);

        uint64_t body_max;              /* bytes of a body that serve() wants to see; 0: none */
        bool knows_hosts;               /* serve() looks itself whether a browser on this machine came by a name that is meant */
} HttpChildOps;

struct HttpChild {
        Resource resource;              /* must be first */
        const HttpChildOps *ops;
};

typedef enum HttpPathForm {
        HTTP_PATH_ANY,
        HTTP_PATH_TREE,                 /* ends with a slash: what is served is below */
} HttpPathForm;

/* That a path of this server, in the field of that name, begins with a slash. */
int http_child_validate_path(const Resource *r, const char *field, const char *path, HttpPathForm form, Diag *reterr);

void http_child_warn_alone(Resource *r, const char *server);      /* if it is in no server */
