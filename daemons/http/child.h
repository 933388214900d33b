/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What a kind must be to be grouped into an http:server: a struct that begins with an HttpChild, whose ops are set by the kind's
 * init hook. The server asks its children in order; the first that accepts a request serves it. */

#include "common/resource.h"
#include "daemons/http/mhd.h"

typedef struct HttpChild HttpChild;

typedef struct HttpChildOps {
        bool (*accepts)(HttpChild *c, const HttpRequest *q);
        void (*serve)(HttpChild *c, HttpRequest *q);    /* answers, or holds the request back */
} HttpChildOps;

struct HttpChild {
        Resource resource;              /* must be first */
        const HttpChildOps *ops;
};
