/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What clients have from ranges that were, by the names of these, until a range of the same name takes over. */

#include "daemons/http/dhcp-pool.h"

typedef struct Map Map;

typedef struct DhcpLeases {
        Map *pools;                     /* NULL if there are none */
} DhcpLeases;

uint64_t dhcp_now(void);                /* the clock of leases */

/* Takes the pool. What has expired of others by now goes, and so does the pool where there is no memory for it. */
void dhcp_leases_leave(DhcpLeases *l, const char *name, DhcpPool *pool);

/* Into this pool, as far as it goes. False: there is nothing of the name. */
bool dhcp_leases_take(DhcpLeases *l, const char *name, DhcpPool *pool);
void dhcp_leases_done(DhcpLeases *l);
