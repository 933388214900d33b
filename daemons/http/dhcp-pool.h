/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The addresses of a range, and who has which of them until when. Addresses are numbers, as the host counts; times are microseconds
 * of a clock that the user has. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"
#include "daemons/http/dhcp-packet.h"

enum { DHCP_POOL_MAX = 65536 };         /* addresses; a longer range ends there */

#define DHCP_FOREVER UINT64_MAX

typedef struct DhcpPool DhcpPool;

int dhcp_pool_new(DhcpPool **ret, uint32_t first, uint32_t last);
DhcpPool *dhcp_pool_free(DhcpPool *p);
DEFINE_CLEANUP(DhcpPool *, dhcp_pool_free)

bool dhcp_pool_contains(const DhcpPool *p, uint32_t address);

/* Never to be given to anybody. -ERANGE: it is none of ours. Twice is as good as once. */
int dhcp_pool_exclude(DhcpPool *p, uint32_t address);

/* An address for a client: the one it has; else the one it wants (0: any), if that is free; else, unless it must be that one, the lowest
 * that is free. It is held until then, or, if it was held for longer already, as before. False: there is none. */
bool dhcp_pool_lease(DhcpPool *p, const uint8_t mac[static DHCP_MAC_SIZE], uint32_t wanted, bool only_wanted, uint64_t now, uint64_t until,
                     uint32_t *ret);

/* Whether the client has an address, or had one that nobody else was given since. */
bool dhcp_pool_knows(const DhcpPool *p, const uint8_t mac[static DHCP_MAC_SIZE]);

/* As it was once: until then it is that client's, and what it had is not any more. */
void dhcp_pool_restore(DhcpPool *p, const uint8_t mac[static DHCP_MAC_SIZE], uint32_t address, uint64_t until);

/* The client gives it back, if it has it: whether it had. declined_until: somebody else was found to use it, and nobody gets it until
 * then; 0: it is free. */
bool dhcp_pool_give_back(DhcpPool *p, const uint8_t mac[static DHCP_MAC_SIZE], uint32_t address, uint64_t declined_until);

/* What clients have from another pool is theirs here as well, as far as it is possible. */
void dhcp_pool_adopt(DhcpPool *p, const DhcpPool *from, uint64_t now);

void dhcp_pool_each(const DhcpPool *p, uint64_t now,
                    void (*callback)(const uint8_t mac[static DHCP_MAC_SIZE], uint32_t address, uint64_t until, void *userdata),
                    void *userdata);
size_t dhcp_pool_n_leases(const DhcpPool *p, uint64_t now);
