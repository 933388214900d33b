/* SPDX-License-Identifier: GPL-3.0-or-later */

/* virt:network: a network of libvirt with a bridge, address translation and DHCP, and the hosts and ranges that are grouped into it.
 * What there is to do is in network.c, which runs in the thread of the connection and gets a copy of everything. */

#include "daemons/virt/attempt.h"
#include "daemons/virt/network-child.h"
#include "daemons/virt/network.h"

typedef struct VirtNetwork {
        Resource resource;
        char *uri;
        char *state;
        bool transient;
        char *startup;
        char *uuid;
        char *device;
        char *mode;
        char *mac;
        char *ip;
        bool purge_hosts, purge_ranges;
        Value auth;

        VirtClient client;
} VirtNetwork;

typedef struct NetworkAttempt {
        VirtAttempt attempt;            /* must be first */
        NetworkTask task;
} NetworkAttempt;

static const FieldSpec virt_network_fields[] = {
        FIELD(VirtNetwork, uri, FIELD_STR, 0,
              "Where the hypervisor is, such as qemu:///system or test:///default; empty: what libvirt has for root."),
        FIELD(VirtNetwork, state, FIELD_STR, 0,
              "What it shall be: up or down; empty: whatever it is. Transient and down is: not there."),
        FIELD(VirtNetwork, transient, FIELD_BOOL, 0, "Without a definition that outlives it."),
        FIELD(VirtNetwork, startup, FIELD_STR, 0, "Whether it starts with its host: enabled or disabled; empty: as it is."),
        FIELD(VirtNetwork, uuid, FIELD_STR, 0, "Its UUID; empty: libvirt chooses one."),
        FIELD(VirtNetwork, device, FIELD_STR, 0, "Name of its bridge on the host.", .initial = "\"virbr0\""),
        FIELD(VirtNetwork, mode, FIELD_STR, 0, "How it leads to the world: nat.", .initial = "\"nat\""),
        FIELD(VirtNetwork, mac, FIELD_STR, 0,
              "Hardware address of the bridge, in lower case: 52:54:00:0a:0b:0c. Needed unless there shall be no network."),
        FIELD(VirtNetwork, ip, FIELD_STR, 0,
              "The host's address on it and the length of the mask: 192.168.42.1/24. Needed unless there shall be no network."),
        FIELD(VirtNetwork, purge_hosts, FIELD_BOOL, 0, "Remove hosts that are not declared."),
        FIELD(VirtNetwork, purge_ranges, FIELD_BOOL, 0, "Remove ranges that are not declared."),
        FIELD(VirtNetwork, auth, FIELD_VALUE, FIELD_OPTIONAL | FIELD_SECRET, "Who to be towards the hypervisor.",
              .mcl_type = "struct{username str; password str}"),
        {}
};

static bool is_absent(const VirtNetwork *n) {
        return n->transient && streq(n->state, "down");
}

static Ipv4Net ip_of(const VirtNetwork *n) {
        Ipv4Net ip = {};

        (void) ipv4_parse_net(n->ip, &ip);
        return ip;
}

static bool is_uuid(const char *s) {
        for (unsigned i = 0; i < 36; i++)
                if (i == 8 || i == 13 || i == 18 || i == 23 ? s[i] != '-' : !s[i] || !strchr("0123456789abcdefABCDEF", s[i]))
                        return false;
        return s[36] == 0;
}

static int validate_base(const VirtNetwork *n, Diag *reterr) {
        const Resource *r = &n->resource;
        Ipv4Net ip;

        if (n->uuid[0] && !is_uuid(n->uuid))
                return resource_error(r, reterr, -EINVAL, "uuid must be like 6a5cd3e6-6bd8-4c62-9b0d-6d1b1a6f5c3e, got '%s'", n->uuid);
        if (!n->device[0] || strlen(n->device) > 15 || strpbrk(n->device, "/: \t\n"))
                return resource_error(r, reterr, -EINVAL, "device must be the name of a bridge, of at most 15 letters, got '%s'",
                                      n->device);
        if (!streq(n->mode, "nat"))
                return resource_error(r, reterr, -EINVAL, "mode must be nat, got '%s'", n->mode);
        if (!mac_is_canonical(n->mac))
                return resource_error(r, reterr, -EINVAL, "mac must be like 52:54:00:0a:0b:0c, in lower case, got '%s'", n->mac);
        if (ipv4_parse_net(n->ip, &ip) < 0)
                return resource_error(r, reterr, -EINVAL, "ip must be like 192.168.42.1/24, got '%s'", n->ip);
        if (!ipv4_is_usable(ip, ip.address))
                return resource_error(r, reterr, -EINVAL, "ip must be the address of a host, got '%s'", n->ip);
        return 0;
}

static int virt_network_validate(const Resource *r, Diag *reterr) {
        const VirtNetwork *n = (const VirtNetwork *) r;

        if (strchr(r->name, '/'))
                return resource_error(r, reterr, -EINVAL, "name must be without '/', got '%s'", r->name);
        if (network_state_from_name(n->state) < 0)
                return resource_error(r, reterr, -EINVAL, "state must be up, down or empty, got '%s'", n->state);
        if (n->startup[0] && !streq(n->startup, "enabled") && !streq(n->startup, "disabled"))
                return resource_error(r, reterr, -EINVAL, "startup must be enabled, disabled or empty, got '%s'", n->startup);
        if (n->transient && n->startup[0])
                return resource_error(r, reterr, -EINVAL, "startup must be empty for a transient network, got '%s'", n->startup);
        return is_absent(n) ? 0 : validate_base(n, reterr);
}

/* ---- the whole of it ---- */

static const NetworkHostChild *host_child(const Resource *r) {
        return r->type == &virt_network_host_type ? (const NetworkHostChild *) r : NULL;
}

static const NetworkRangeChild *range_child(const Resource *r) {
        return r->type == &virt_network_range_type ? (const NetworkRangeChild *) r : NULL;
}

static int check_host(const VirtNetwork *n, size_t at, Diag *reterr) {
        const NetworkHostChild *h = host_child(n->resource.children[at]);
        Ipv4Net net = ip_of(n), ip = network_host_child_ip(h);

        if (ip.prefix != net.prefix)
                return resource_error(&h->resource, reterr, -EINVAL, "ip must have the length of mask of the network, %u, got '%s'",
                                      net.prefix, h->ip);
        if (!ipv4_is_usable(net, ip.address))
                return resource_error(&h->resource, reterr, -EINVAL, "ip must be the address of a host in '%s', got '%s'", n->ip, h->ip);
        if (ip.address == net.address)
                return resource_error(&h->resource, reterr, -EINVAL, "ip '%s' is the network's own", h->ip);
        for (size_t i = 0; i < at; i++) {
                const NetworkHostChild *other = host_child(n->resource.children[i]);

                if (other && streq(other->mac, h->mac))
                        return resource_error(&h->resource, reterr, -EINVAL, "mac '%s' is that of '%s' as well", h->mac,
                                              other->resource.name);
                if (other && network_host_child_ip(other).address == ip.address)
                        return resource_error(&h->resource, reterr, -EINVAL, "ip '%s' is that of '%s' as well", h->ip,
                                              other->resource.name);
        }
        return 0;
}

static int check_range(const VirtNetwork *n, size_t at, Diag *reterr) {
        const NetworkRangeChild *range = range_child(n->resource.children[at]);
        uint32_t start = network_range_child_address(range->start), end = network_range_child_address(range->end);
        const Resource *r = &range->resource;
        Ipv4Net net = ip_of(n);

        if (!ipv4_is_usable(net, start) || !ipv4_is_usable(net, end))
                return resource_error(r, reterr, -EINVAL, "start and end must be addresses of hosts in '%s', got '%s' and '%s'", n->ip,
                                      range->start, range->end);
        if (start <= net.address && net.address <= end)
                return resource_error(r, reterr, -EINVAL, "the range contains '%s', which is the network's own", n->ip);
        for (size_t i = 0; i < n->resource.n_children; i++) {
                const NetworkHostChild *h = host_child(n->resource.children[i]);
                const NetworkRangeChild *other = i < at ? range_child(n->resource.children[i]) : NULL;
                uint32_t ip = h ? network_host_child_ip(h).address : 0;

                if (h && start <= ip && ip <= end)
                        return resource_error(r, reterr, -EINVAL, "the range contains '%s', which is that of '%s'", h->ip,
                                              h->resource.name);
                if (other && start <= network_range_child_address(other->end) && network_range_child_address(other->start) <= end)
                        return resource_error(r, reterr, -EINVAL, "the range overlaps with '%s'", other->resource.name);
        }
        return 0;
}

static int virt_network_prepare(Resource *r, Diag *reterr) {
        const VirtNetwork *n = (const VirtNetwork *) r;
        int k = 0;

        for (size_t i = 0; k >= 0 && !is_absent(n) && i < r->n_children; i++)
                k = host_child(r->children[i]) ? check_host(n, i, reterr) : check_range(n, i, reterr);
        return k;
}

/* Each of them may have received an address of its own since. */
static bool has_received(const Resource *r) {
        bool received = r->received != 0;

        for (size_t i = 0; i < r->n_children; i++)
                received = received || r->children[i]->received != 0;
        return received;
}

/* ---- attempts ---- */

static int copy_entries(const VirtNetwork *n, NetworkEntries *e) {
        int k = 0;

        for (size_t i = 0; k >= 0 && i < n->resource.n_children; i++) {
                const NetworkHostChild *h = host_child(n->resource.children[i]);
                const NetworkRangeChild *range = range_child(n->resource.children[i]);

                if (h)
                        k = network_entries_add_host(e, h->mac, h->hostname, network_host_child_ip(h).address);
                else if (range)
                        k = network_entries_add_range(e, network_range_child_address(range->start),
                                                      network_range_child_address(range->end));
        }
        return k;
}

static int copy_spec(const VirtNetwork *n, NetworkSpec *s) {
        *s = (NetworkSpec) {
                .name = strdup(n->resource.name),
                .uuid = strdup(n->uuid),
                .device = strdup(n->device),
                .mode = strdup(n->mode),
                .mac = strdup(n->mac),
                .ip = ip_of(n),
        };
        if (!s->name || !s->uuid || !s->device || !s->mode || !s->mac)
                return -ENOMEM;
        return copy_entries(n, &s->entries);
}

static void attempt_free(VirtAttempt *a) {
        network_spec_done(&((NetworkAttempt *) a)->task.spec);
        free(a);
}

static int attempt_run(VirtAttempt *a, virConnectPtr c, Diag *reterr) {
        return network_check_apply(c, &((NetworkAttempt *) a)->task, reterr);
}

static int virt_network_check_apply(Resource *r, bool apply, Diag *reterr) {
        VirtNetwork *n = (VirtNetwork *) r;
        NetworkAttempt *a;
        int k = has_received(r) ? virt_network_prepare(r, reterr) : 0;

        if (k < 0)
                return k;
        k = virt_client_open(&n->client, r, VIRT_NETWORK, n->uri, n->auth, reterr);
        if (k < 0)
                return k;
        a = calloc(1, sizeof(*a));
        if (!a)
                return -ENOMEM;
        *a = (NetworkAttempt) {
                .attempt = { .run = attempt_run, .free = attempt_free },
                .task = {
                        .state = network_state_from_name(n->state),
                        .autostart = n->startup[0] ? streq(n->startup, "enabled") : -1,
                        .transient = n->transient,
                        .purge_hosts = n->purge_hosts,
                        .purge_ranges = n->purge_ranges,
                        .apply = apply,
                        .differences = &a->attempt.differences,
                },
        };
        k = copy_spec(n, &a->task.spec);
        if (k < 0) {
                attempt_free(&a->attempt);
                return resource_error(r, reterr, k, "cannot copy fields: %m");
        }
        return virt_client_attempt(&n->client, r, &a->attempt, reterr);
}

static void virt_network_cancel(Resource *r) {
        virt_client_cancel(&((VirtNetwork *) r)->client);
}

/* ---- events ---- */

static int virt_network_watch(Resource *r, Diag *reterr) {
        VirtNetwork *n = (VirtNetwork *) r;
        int k;

        k = virt_client_open(&n->client, r, VIRT_NETWORK, n->uri, n->auth, reterr);
        if (k < 0)
                return k;
        virt_client_watch_files(&n->client, r, n->uri);
        resource_armed(r);
        return 0;
}

static void virt_network_unwatch(Resource *r) {
        virt_client_close(&((VirtNetwork *) r)->client);
}

static void virt_network_done(Resource *r) {
        virt_network_cancel(r);
        virt_network_unwatch(r);
}

const ResourceType virt_network_type = {
        .kind = "virt:network",
        .doc = "A network of libvirt: a bridge of this host with address translation and DHCP, for machines that are on it. Its hosts "
               "and ranges are virt:network:host and virt:network:range. It is stopped and started again only where it is to be up "
               "and its bridge or address was wrong.",
        .example = "virt:network \"lab\" {\n"
                   "\turi => \"test:///default\",\n"
                   "\tstate => \"up\",\n"
                   "\tstartup => \"enabled\",\n"
                   "\tdevice => \"virbr42\",\n"
                   "\tmac => \"52:54:00:00:2a:01\",\n"
                   "\tip => \"192.168.42.1/24\",\n"
                   "}\n",
        .size = sizeof(VirtNetwork),
        .flags = RESOURCE_RUNS_CHILDREN,
        .fields = virt_network_fields,
        .done = virt_network_done,
        .validate = virt_network_validate,
        .prepare = virt_network_prepare,
        .watch = virt_network_watch,
        .unwatch = virt_network_unwatch,
        .check_apply = virt_network_check_apply,
        .cancel = virt_network_cancel,
};
