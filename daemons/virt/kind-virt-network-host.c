/* SPDX-License-Identifier: GPL-3.0-or-later */

/* virt:network:host: which name and address a machine gets on a virt:network. */

#include "daemons/virt/network-child.h"

static const FieldSpec host_fields[] = {
        FIELD(NetworkHostChild, network, FIELD_STR, 0, "Name of the virt:network that it is on; empty: the one there is."),
        FIELD(NetworkHostChild, hostname, FIELD_STR, FIELD_IS_NAME, "The name that it is given."),
        FIELD(NetworkHostChild, mac, FIELD_STR, FIELD_REQUIRED, "Its hardware address, in lower case: 52:54:00:0a:0b:0c."),
        FIELD(NetworkHostChild, ip, FIELD_STR, FIELD_REQUIRED,
              "The address that it is given, with the network's length of the mask: 192.168.42.13/24."),
        {}
};

static int host_validate(const Resource *r, Diag *reterr) {
        const NetworkHostChild *h = (const NetworkHostChild *) r;
        Ipv4Net ip;

        if (!mac_is_canonical(h->mac))
                return resource_error(r, reterr, -EINVAL, "mac must be like 52:54:00:0a:0b:0c, in lower case, got '%s'", h->mac);
        if (ipv4_parse_net(h->ip, &ip) < 0)
                return resource_error(r, reterr, -EINVAL, "ip must be like 192.168.42.13/24, got '%s'", h->ip);
        return 0;
}

const ResourceType virt_network_host_type = {
        .kind = "virt:network:host",
        .doc = "Which name and address a machine is given on a virt:network.",
        .example = "virt:network \"lab\" {\n"
                   "\turi => \"test:///default\",\n"
                   "\tstate => \"up\",\n"
                   "\tmac => \"52:54:00:00:2a:01\",\n"
                   "\tip => \"192.168.42.1/24\",\n"
                   "}\n"
                   "virt:network:host \"web1\" {\n"
                   "\tmac => \"52:54:00:00:2a:0d\",\n"
                   "\tip => \"192.168.42.13/24\",\n"
                   "}\n",
        .size = sizeof(NetworkHostChild),
        .fields = host_fields,
        .parent_field = "network",
        .validate = host_validate,
        .prepare = network_child_prepare,
        .check_apply = network_child_check_apply,
};
