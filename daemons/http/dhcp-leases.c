/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The clock goes on while the machine sleeps, as those of its clients do. */

#include "common/map.h"
#include "common/usec.h"
#include "daemons/http/dhcp-leases.h"

uint64_t dhcp_now(void) {
        return usec_now(CLOCK_BOOTTIME);
}

static void pool_freep(void *p) {
        dhcp_pool_free(p);
}

/* One that nobody took over is forgotten once no client has anything of it. */
static void forget_expired(DhcpLeases *l) {
        uint64_t now = dhcp_now();
        const char *name;
        size_t i = 0;
        void *pool;

        while (map_next(l->pools, &i, &name, &pool))
                if (dhcp_pool_n_leases(pool, now) == 0) {
                        (void) map_remove(l->pools, name);
                        dhcp_pool_free(pool);
                }
}

void dhcp_leases_leave(DhcpLeases *l, const char *name, DhcpPool *pool) {
        _cleanup_(dhcp_pool_freep) DhcpPool *owned = pool;

        if (l->pools)
                forget_expired(l);
        if (dhcp_pool_n_leases(pool, dhcp_now()) == 0)
                return;
        if (!l->pools)
                l->pools = map_new();
        if (!l->pools)
                return;
        dhcp_pool_free(map_get(l->pools, name));
        (void) map_remove(l->pools, name);
        if (map_put(l->pools, name, pool) >= 0)
                owned = NULL;
}

bool dhcp_leases_take(DhcpLeases *l, const char *name, DhcpPool *pool) {
        DhcpPool *from = l->pools ? map_get(l->pools, name) : NULL;

        if (!from)
                return false;
        dhcp_pool_adopt(pool, from, dhcp_now());
        (void) map_remove(l->pools, name);
        dhcp_pool_free(from);
        return true;
}

void dhcp_leases_done(DhcpLeases *l) {
        if (l->pools)
                map_free_with(l->pools, pool_freep);
        l->pools = NULL;
}
