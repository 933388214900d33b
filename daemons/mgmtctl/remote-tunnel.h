/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Whither the mgmt-world of another host may get through us: to the endpoints of the cluster, and nowhere else. */

#include <stdbool.h>
#include <stddef.h>

#include "common/diag.h"
#include "common/remote/mux.h"

typedef struct CurlLoop CurlLoop;

enum { REMOTE_ENDPOINTS_MAX = 32 };

typedef struct RemoteEndpoint {
        char *target;           /* as a client asks for it: "HOST:PORT", "[ADDRESS]:PORT" */
        char *host;
        unsigned port;
} RemoteEndpoint;

typedef struct RemoteEndpoints {
        RemoteEndpoint items[REMOTE_ENDPOINTS_MAX];
        size_t n;
} RemoteEndpoints;

/* From what MGMT_STORE says; none if that is no cluster. */
int remote_endpoints_parse(RemoteEndpoints *ret, const char *store, Diag *reterr);
void remote_endpoints_done(RemoteEndpoints *e);
const RemoteEndpoint *remote_endpoints_find(const RemoteEndpoints *e, const char *target);

/* The same store for a host that gets there by itself: without the endpoints that are this host for whoever is on it. The caller's;
 * -ENOENT: there are no others. */
int remote_store_direct(const char *store, const RemoteEndpoints *e, char **ret);

/* For MuxOps. */
void remote_tunnel_open(MuxStream *s, const char *target, const RemoteEndpoints *e, CurlLoop *loop);
void remote_tunnel_closed(MuxStream *s);
