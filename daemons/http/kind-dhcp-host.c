/* SPDX-License-Identifier: GPL-3.0-or-later */

/* dhcp:host: one client of a dhcp:server, by its hardware address, and the address that it always has. */

#include <syslog.h>

#include "daemons/http/dhcp-child.h"
#include "daemons/http/dhcp-text.h"

typedef struct DhcpHost {
        DhcpChild child;
        char *mac, *ip;

        uint8_t bytes[DHCP_MAC_SIZE];
} DhcpHost;

static const FieldSpec dhcp_host_fields[] = {
        DHCP_CHILD_FIELDS(DhcpHost),
        FIELD(DhcpHost, mac, FIELD_STR, FIELD_REQUIRED, "Hardware address of the client, in small letters with colons."),
        FIELD(DhcpHost, ip, FIELD_STR, FIELD_REQUIRED, "The address that it gets, with the length of its network: '192.0.2.7/24'."),
        {}
};

int dhcp_child_validate(const DhcpChild *c, Diag *reterr) {
        const char *host, *path;
        size_t size;

        if (*c->nbp && dhcp_parse_boot(c->nbp, &host, &size, &path) < 0)
                return resource_error(&c->resource, reterr, -EINVAL, "nbp must be 'tftp://HOST/PATH', got '%s'", c->nbp);
        if (strlen(c->nbp_path) > DHCP_OPTION_MAX)
                return resource_error(&c->resource, reterr, -EINVAL, "nbp_path must have at most %d bytes", DHCP_OPTION_MAX);
        return 0;
}

int dhcp_child_prepare(const DhcpChild *c) {
        if (!c->resource.parent)
                resource_log((Resource *) &c->resource, LOG_WARNING, "there is no dhcp:server '%s' in the graph, so nobody serves this",
                             c->server);
        return 0;
}

int dhcp_child_check_apply(Resource *r, bool apply, Diag *reterr) {
        return CHECK_OK;
}

static bool host_lease(DhcpChild *c, const DhcpClient *client, uint32_t *ret) {
        *ret = c->address;
        return memcmp(((const DhcpHost *) c)->bytes, client->mac, DHCP_MAC_SIZE) == 0;
}

static bool host_owns(const DhcpChild *c, uint32_t address) {
        return c->address == address;
}

static int dhcp_host_init(Resource *r) {
        static const DhcpChildOps ops = { .for_one = true, .lease = host_lease, .owns = host_owns };

        ((DhcpChild *) r)->ops = &ops;
        return 0;
}

static int dhcp_host_validate(const Resource *r, Diag *reterr) {
        const DhcpHost *h = (const DhcpHost *) r;
        uint8_t mac[DHCP_MAC_SIZE];
        unsigned prefix;
        uint32_t ip;

        if (dhcp_parse_mac(h->mac, mac) < 0)
                return resource_error(r, reterr, -EINVAL, "mac must be six bytes, as '00:00:5e:00:53:01', got '%s'", h->mac);
        if (dhcp_parse_network(h->ip, &ip, &prefix) < 0)
                return resource_error(r, reterr, -EINVAL, "ip must be an IPv4 address and its network, as '192.0.2.7/24', got '%s'", h->ip);
        return dhcp_child_validate(&h->child, reterr);
}

static int dhcp_host_prepare(Resource *r, Diag *reterr) {
        DhcpHost *h = (DhcpHost *) r;

        (void) dhcp_parse_mac(h->mac, h->bytes);
        (void) dhcp_parse_network(h->ip, &h->child.address, &h->child.prefix);
        return dhcp_child_prepare(&h->child);
}

const ResourceType dhcp_host_type = {
        .kind = "dhcp:host",
        .doc = "A client that always gets the same address from a dhcp:server.",
        .example = "dhcp:server \":67\" {\n"
                   "\tinterface => \"eth1\",\n"
                   "}\n"
                   "dhcp:host \"printer\" {\n"
                   "\tmac => \"00:00:5e:00:53:01\",\n"
                   "\tip => \"192.0.2.7/24\",\n"
                   "}\n",
        .size = sizeof(DhcpHost),
        .fields = dhcp_host_fields,
        .parent_field = "server",
        .parent_kind = "dhcp:server",
        .init = dhcp_host_init,
        .validate = dhcp_host_validate,
        .prepare = dhcp_host_prepare,
        .check_apply = dhcp_child_check_apply,
};
