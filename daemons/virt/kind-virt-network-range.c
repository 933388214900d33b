/* SPDX-License-Identifier: GPL-3.0-or-later */

/* virt:network:range: addresses of a virt:network that are given to whoever asks. */

#include "daemons/virt/network-child.h"

static const FieldSpec range_fields[] = {
        FIELD(NetworkRangeChild, network, FIELD_STR, 0, "Name of the virt:network that it is of; empty: the one there is."),
        FIELD(NetworkRangeChild, start, FIELD_STR, FIELD_REQUIRED, "The first address."),
        FIELD(NetworkRangeChild, end, FIELD_STR, FIELD_REQUIRED, "The last one."),
        {}
};

static int range_validate(const Resource *r, Diag *reterr) {
        const NetworkRangeChild *n = (const NetworkRangeChild *) r;
        uint32_t start, end;

        if (ipv4_parse(n->start, &start) < 0)
                return resource_error(r, reterr, -EINVAL, "start must be an address like 192.168.42.100, got '%s'", n->start);
        if (ipv4_parse(n->end, &end) < 0)
                return resource_error(r, reterr, -EINVAL, "end must be an address like 192.168.42.200, got '%s'", n->end);
        if (start > end)
                return resource_error(r, reterr, -EINVAL, "start must not be behind end, got '%s' and '%s'", n->start, n->end);
        return 0;
}

const ResourceType virt_network_range_type = {
        .kind = "virt:network:range",
        .doc = "Addresses of a virt:network that are given to whoever asks.",
        .example = "virt:network \"lab\" {\n"
                   "\turi => \"test:///default\",\n"
                   "\tstate => \"up\",\n"
                   "\tmac => \"52:54:00:00:2a:01\",\n"
                   "\tip => \"192.168.42.1/24\",\n"
                   "}\n"
                   "virt:network:range \"guests\" {\n"
                   "\tstart => \"192.168.42.100\",\n"
                   "\tend => \"192.168.42.200\",\n"
                   "}\n",
        .size = sizeof(NetworkRangeChild),
        .fields = range_fields,
        .parent_field = "network",
        .validate = range_validate,
        .prepare = network_child_prepare,
        .check_apply = network_child_check_apply,
};
