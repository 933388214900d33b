/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What is grouped into a virt:network: a host or a range of addresses. Their kinds only hold what was declared; the network does
 * the work. */

#include "common/resource.h"
#include "daemons/virt/ipv4.h"

typedef struct NetworkHostChild {
        Resource resource;
        char *network;
        char *hostname;
        char *mac;
        char *ip;
} NetworkHostChild;

typedef struct NetworkRangeChild {
        Resource resource;
        char *network;
        char *start, *end;
} NetworkRangeChild;

extern const ResourceType virt_network_host_type, virt_network_range_type;

bool mac_is_canonical(const char *s);           /* "52:54:00:0a:0b:0c" */
int network_child_prepare(Resource *r, Diag *reterr);   /* says that nobody serves it, if so */
int network_child_check_apply(Resource *r, bool apply, Diag *reterr);   /* of one that is in no network */

/* What the fields say; they have been validated. */
static inline Ipv4Net network_host_child_ip(const NetworkHostChild *h) {
        Ipv4Net ip = {};

        (void) ipv4_parse_net(h->ip, &ip);
        return ip;
}

static inline uint32_t network_range_child_address(const char *text) {
        uint32_t address = 0;

        (void) ipv4_parse(text, &address);
        return address;
}
