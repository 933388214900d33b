/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The way from here to the cluster: a socket in our private directory, at which a client says by SOCKS 5 (RFC 1928, without
 * authentication) whither. Each connection becomes a stream; the other side knows what is allowed. */

#include "common/diag.h"
#include "common/macro.h"
#include "common/remote/mux.h"

typedef struct Socks Socks;

int socks_new(Socks **ret, sd_event *event, Mux *mux, const char *path, Diag *reterr);
Socks *socks_free(Socks *s);            /* after the mux */
DEFINE_CLEANUP(Socks *, socks_free)

/* For MuxOps. */
void socks_opened(MuxStream *s);
void socks_closed(MuxStream *s);

/* Reading what a client says. 1: it was whole, and size bytes of data are done with; 0: there is more to come; negative: it is
 * none. */
int socks_parse_greeting(const char *data, size_t n, size_t *ret_size);
int socks_parse_request(const char *data, size_t n, size_t *ret_size, char ret_target[static MUX_TARGET_MAX]);
