/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What clients have of a pool, in a file: each lease is a line at its end, later ones count, and now and then the file is written anew
 * with those that are left. It is not flushed: what a power cut takes away, clients ask for again. */

#include "daemons/http/dhcp-pool.h"

typedef struct DhcpStore {
        char *path;                     /* NULL: nothing is kept */
        size_t n_lines;                 /* in the file */
} DhcpStore;

/* Puts what the file says into the pool, unless that knows more already, and writes the file anew. Takes the path, also on failure.
 * Lines that make no sense are passed over. */
int dhcp_store_open(DhcpStore *s, char *path, DhcpPool *pool, bool pool_knows);
void dhcp_store_done(DhcpStore *s);

/* The client has the address until then, or, if until is 0, not any more. */
int dhcp_store_add(DhcpStore *s, const DhcpPool *pool, const uint8_t mac[static DHCP_MAC_SIZE], uint32_t address, uint64_t until);
