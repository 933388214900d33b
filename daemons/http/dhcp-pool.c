/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A slot for each address, and an index of clients. What has expired is found when somebody needs an address: the client itself, or,
 * when all are taken, anybody; then all slots are gone through, but not before the first of them can have expired. */

#include "common/map.h"
#include "daemons/http/dhcp-pool.h"

typedef enum SlotState {
        SLOT_FREE,
        SLOT_LEASED,
        SLOT_DECLINED,
        SLOT_EXCLUDED,
} SlotState;

typedef struct Slot {
        uint64_t until;
        uint8_t mac[DHCP_MAC_SIZE];
        uint8_t state;
} Slot;

struct DhcpPool {
        uint32_t first;
        size_t n;
        size_t lowest;          /* none before it is free */
        uint64_t expires;       /* nothing does before that */
        Map *clients;           /* hardware address → Slot */
        Slot slots[];
};

int dhcp_pool_new(DhcpPool **ret, uint32_t first, uint32_t last) {
        size_t n = MIN((size_t) last - first + 1, (size_t) DHCP_POOL_MAX);
        _cleanup_(dhcp_pool_freep) DhcpPool *p = calloc(1, sizeof(*p) + n * sizeof(Slot));

        if (!p)
                return -ENOMEM;
        p->first = first;
        p->n = n;
        p->expires = DHCP_FOREVER;
        p->clients = map_new();
        if (!p->clients)
                return -ENOMEM;
        *ret = TAKE_PTR(p);
        return 0;
}

DhcpPool *dhcp_pool_free(DhcpPool *p) {
        if (p)
                map_free(p->clients);
        free(p);
        return NULL;
}

static Slot *slot_of(DhcpPool *p, uint32_t address) {
        return dhcp_pool_contains(p, address) ? &p->slots[address - p->first] : NULL;
}

static uint32_t address_of(const DhcpPool *p, const Slot *slot) {
        return p->first + (uint32_t) (slot - p->slots);
}

bool dhcp_pool_contains(const DhcpPool *p, uint32_t address) {
        return address >= p->first && address - p->first < p->n;
}

/* ---- slots ---- */

static void slot_clear(DhcpPool *p, Slot *slot) {
        if (slot->state == SLOT_LEASED)
                (void) map_remove_n(p->clients, slot->mac, DHCP_MAC_SIZE);
        *slot = (Slot) {};
        p->lowest = MIN(p->lowest, (size_t) (slot - p->slots));
}

static bool slot_is_free(DhcpPool *p, Slot *slot, uint64_t now) {
        if ((slot->state == SLOT_LEASED || slot->state == SLOT_DECLINED) && slot->until <= now)
                slot_clear(p, slot);
        return slot->state == SLOT_FREE;
}

static bool slot_take(DhcpPool *p, Slot *slot, const uint8_t mac[static DHCP_MAC_SIZE], uint64_t until) {
        if (map_put_n(p->clients, mac, DHCP_MAC_SIZE, slot) < 0)
                return false;
        *slot = (Slot) { .state = SLOT_LEASED, .until = until };
        memcpy(slot->mac, mac, DHCP_MAC_SIZE);
        p->expires = MIN(p->expires, until);
        return true;
}

static void sweep(DhcpPool *p, uint64_t now) {
        if (now < p->expires)
                return;
        p->expires = DHCP_FOREVER;
        for (size_t i = 0; i < p->n; i++) {
                Slot *slot = &p->slots[i];
                if (!slot_is_free(p, slot, now) && slot->state != SLOT_EXCLUDED)
                        p->expires = MIN(p->expires, slot->until);
        }
}

static Slot *lowest_free(DhcpPool *p) {
        while (p->lowest < p->n && p->slots[p->lowest].state != SLOT_FREE)
                p->lowest++;
        return p->lowest < p->n ? &p->slots[p->lowest] : NULL;
}

/* ---- clients ---- */

int dhcp_pool_exclude(DhcpPool *p, uint32_t address) {
        Slot *slot = slot_of(p, address);

        if (!slot)
                return -ERANGE;
        slot_clear(p, slot);
        slot->state = SLOT_EXCLUDED;
        return 0;
}

bool dhcp_pool_lease(DhcpPool *p, const uint8_t mac[static DHCP_MAC_SIZE], uint32_t wanted, bool only_wanted, uint64_t now, uint64_t until,
                     uint32_t *ret) {
        Slot *slot = map_get_n(p->clients, mac, DHCP_MAC_SIZE);

        if (slot) {
                slot->until = MAX(slot->until, until);
                *ret = address_of(p, slot);
                return true;
        }
        slot = slot_of(p, wanted);
        if ((!slot || !slot_is_free(p, slot, now)) && only_wanted)
                return false;
        if (!slot || !slot_is_free(p, slot, now))
                slot = lowest_free(p);
        if (!slot) {
                sweep(p, now);
                slot = lowest_free(p);
        }
        if (!slot || !slot_take(p, slot, mac, until))
                return false;
        *ret = address_of(p, slot);
        return true;
}

bool dhcp_pool_knows(const DhcpPool *p, const uint8_t mac[static DHCP_MAC_SIZE]) {
        return map_get_n(p->clients, mac, DHCP_MAC_SIZE);
}

void dhcp_pool_restore(DhcpPool *p, const uint8_t mac[static DHCP_MAC_SIZE], uint32_t address, uint64_t until) {
        Slot *slot = slot_of(p, address), *before = map_get_n(p->clients, mac, DHCP_MAC_SIZE);

        if (!slot || slot->state == SLOT_EXCLUDED)
                return;
        slot_clear(p, slot);
        if (before && before != slot)
                slot_clear(p, before);
        (void) slot_take(p, slot, mac, until);
}

bool dhcp_pool_give_back(DhcpPool *p, const uint8_t mac[static DHCP_MAC_SIZE], uint32_t address, uint64_t declined_until) {
        Slot *slot = slot_of(p, address);

        if (!slot || slot->state != SLOT_LEASED || memcmp(slot->mac, mac, DHCP_MAC_SIZE) != 0)
                return false;
        slot_clear(p, slot);
        if (declined_until > 0) {
                slot->state = SLOT_DECLINED;
                slot->until = declined_until;
                p->expires = MIN(p->expires, declined_until);
        }
        return true;
}

void dhcp_pool_adopt(DhcpPool *p, const DhcpPool *from, uint64_t now) {
        for (size_t i = 0; i < from->n; i++) {
                const Slot *old = &from->slots[i];
                Slot *slot = slot_of(p, address_of(from, old));
                if (old->state == SLOT_LEASED && old->until > now && slot && slot->state == SLOT_FREE)
                        (void) slot_take(p, slot, old->mac, old->until);
        }
}

void dhcp_pool_each(const DhcpPool *p, uint64_t now,
                    void (*callback)(const uint8_t mac[static DHCP_MAC_SIZE], uint32_t address, uint64_t until, void *userdata),
                    void *userdata) {
        for (size_t i = 0; i < p->n; i++)
                if (p->slots[i].state == SLOT_LEASED && p->slots[i].until > now)
                        callback(p->slots[i].mac, p->first + (uint32_t) i, p->slots[i].until, userdata);
}

size_t dhcp_pool_n_leases(const DhcpPool *p, uint64_t now) {
        size_t n = 0;

        for (size_t i = 0; i < p->n; i++)
                n += p->slots[i].state == SLOT_LEASED && p->slots[i].until > now;
        return n;
}
