/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What a kind must be to be grouped into a dhcp:server: a struct that begins with a DhcpChild, whose ops are set by the kind's init
 * hook. */

#include "common/resource.h"
#include "daemons/http/dhcp-packet.h"

typedef struct DhcpChild DhcpChild;

typedef struct DhcpClient {
        uint8_t mac[DHCP_MAC_SIZE];
        uint32_t wanted;                /* an address; 0: any */
        bool only_wanted;               /* it must be that one */
        bool only_known;                /* one that it has already */
        uint64_t now, until;            /* how long it would have it; of the same clock */
} DhcpClient;

typedef struct DhcpChildOps {
        bool for_one;                   /* it knows its client; asked before those that take anybody */

        /* The address that the client has, or gets here; false: none. */
        bool (*lease)(DhcpChild *c, const DhcpClient *client, uint32_t *ret);

        /* Whether it is for this child to say who has the address. */
        bool (*owns)(const DhcpChild *c, uint32_t address);

        /* The client does not want the address any more; declined_until as in dhcp-pool.h. NULL: it has it nevertheless. */
        void (*give_back)(DhcpChild *c, const uint8_t mac[static DHCP_MAC_SIZE], uint32_t address, uint64_t declined_until);

        /* The address is another child's. NULL: it has none to give. */
        void (*exclude)(DhcpChild *c, uint32_t address);
} DhcpChildOps;

struct DhcpChild {
        Resource resource;              /* must be first */
        const DhcpChildOps *ops;
        char *server;                   /* fields of all of them */
        char *nbp, *nbp_path;
        unsigned prefix;                /* of the mask that goes with its addresses */
        uint32_t address;               /* for_one: the one it gives */
};

#define DHCP_CHILD_FIELDS(Struct) \
        FIELD_NAMED(Struct, child.server, "server", FIELD_STR, 0, "Name of the dhcp:server that it belongs to; empty: the one there is."), \
        FIELD_NAMED(Struct, child.nbp, "nbp", FIELD_STR, 0, \
                    "What clients that ask for it boot: 'tftp://HOST/PATH'. The default is what the server has."), \
        FIELD_NAMED(Struct, child.nbp_path, "nbp_path", FIELD_STR, 0, "The path that is sent instead of that in nbp.")

int dhcp_child_validate(const DhcpChild *c, Diag *reterr);      /* the fields of all of them */
int dhcp_child_prepare(const DhcpChild *c);                     /* says so if there is no server */
int dhcp_child_check_apply(Resource *r, bool apply, Diag *reterr);       /* it is right once its server serves it */
