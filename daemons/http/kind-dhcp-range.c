/* SPDX-License-Identifier: GPL-3.0-or-later */

/* dhcp:range: addresses of a dhcp:server for any client. Who has which is kept in memory. When a program changes something about the
 * server, all of it is made anew; the old range leaves what it knows to the manager, from which the new one takes it. After a restart
 * of the daemon that is known which was kept in a file, if persist is set; and a client that says which address it had keeps it. */

#include <syslog.h>

#include "daemons/http/dhcp-child.h"
#include "daemons/http/dhcp-leases.h"
#include "daemons/http/dhcp-store.h"
#include "daemons/http/dhcp-text.h"
#include "daemons/http/http-manager.h"

typedef struct DhcpRange {
        DhcpChild child;
        char *network, *from, *to, *mask;
        char **skip;
        bool persist;

        char *key;                      /* what the manager knows it by */
        DhcpPool *pool;
        DhcpStore store;
        bool failing;                   /* to keep it */
} DhcpRange;

static const FieldSpec dhcp_range_fields[] = {
        DHCP_CHILD_FIELDS(DhcpRange),
        FIELD(DhcpRange, network, FIELD_STR, FIELD_IS_NAME,
              "The network whose addresses are given out, all but its first and its last: '192.0.2.0/24'. Not with from and to."),
        FIELD(DhcpRange, from, FIELD_STR, 0, "The first address, alone or with the length of its network."),
        FIELD(DhcpRange, to, FIELD_STR, 0, "The last address, as from."),
        FIELD(DhcpRange, mask, FIELD_STR, 0, "Where from and to say no length, the mask: '/24' or '255.255.255.0'."),
        FIELD(DhcpRange, skip, FIELD_STRV, 0, "Addresses in between that nobody gets, alone or with the length of their network."),
        FIELD(DhcpRange, persist, FIELD_BOOL, 0, "Remember who has which address across restarts of the server."),
        {}
};

/* ---- what is in the range ---- */

typedef struct Extent {
        uint32_t first, last;
        unsigned prefix;
} Extent;

static int bad(const DhcpRange *d, Diag *reterr, const char *what, const char *got) {
        return resource_error(&d->child.resource, reterr, -EINVAL, "%s, got '%s'", what, got);
}

/* Alone, or with a length: then 1. */
static int parse_either(const char *s, uint32_t *ret, unsigned *ret_prefix) {
        if (dhcp_parse_address(s, ret) >= 0)
                return 0;
        return dhcp_parse_network(s, ret, ret_prefix) < 0 ? -EINVAL : 1;
}

static int extent_of_network(const DhcpRange *d, Extent *ret, Diag *reterr) {
        uint32_t address;

        if (*d->mask)
                return bad(d, reterr, "mask must be empty without from and to", d->mask);
        if (dhcp_parse_network(d->network, &address, &ret->prefix) < 0)
                return bad(d, reterr, "network must be IPv4, as '192.0.2.0/24'", d->network);
        if (ret->prefix > 30)
                return bad(d, reterr, "network must have more than its first and its last address", d->network);
        ret->first = (address & dhcp_mask(ret->prefix)) + 1;
        ret->last = (address | ~dhcp_mask(ret->prefix)) - 1;
        return 0;
}

static int extent_of_ends(const DhcpRange *d, Extent *ret, Diag *reterr) {
        unsigned a = 0, b = 0;
        int from, to;

        if (!*d->from || !*d->to)
                return bad(d, reterr, "from and to must be given together", *d->from ? d->from : d->to);
        from = parse_either(d->from, &ret->first, &a);
        if (from < 0)
                return bad(d, reterr, "from must be an IPv4 address", d->from);
        to = parse_either(d->to, &ret->last, &b);
        if (to < 0)
                return bad(d, reterr, "to must be an IPv4 address", d->to);
        if (from > 0 && to > 0 && a != b)
                return bad(d, reterr, "from and to must be of one network", d->to);
        if ((from > 0 || to > 0) == (*d->mask != '\0'))
                return bad(d, reterr, "the mask must be said once: by mask, or by a length in from and to", d->mask);
        ret->prefix = from > 0 ? a : b;
        if (*d->mask && dhcp_parse_mask(d->mask, &ret->prefix) < 0)
                return bad(d, reterr, "mask must be '/24' or '255.255.255.0' or another", d->mask);
        if (ret->first > ret->last)
                return bad(d, reterr, "to must not be before from", d->to);
        if ((ret->first & dhcp_mask(ret->prefix)) != (ret->last & dhcp_mask(ret->prefix)))
                return bad(d, reterr, "to must be in the network of from", d->to);
        return 0;
}

static int find_extent(const DhcpRange *d, Extent *ret, Diag *reterr) {
        return *d->from || *d->to ? extent_of_ends(d, ret, reterr) : extent_of_network(d, ret, reterr);
}

static int dhcp_range_validate(const Resource *r, Diag *reterr) {
        const DhcpRange *d = (const DhcpRange *) r;
        uint32_t address, other;
        unsigned prefix;
        Extent x;

        int k = find_extent(d, &x, reterr);
        if (k < 0)
                return k;
        for (char **s = d->skip; s && *s; s++) {
                if (parse_either(*s, &address, &prefix) < 0)
                        return bad(d, reterr, "skip must be IPv4 addresses", *s);
                if (address < x.first || address > x.last)
                        return bad(d, reterr, "skip must be addresses of the range", *s);
                for (char **t = d->skip; t != s; t++)
                        if (parse_either(*t, &other, &prefix) >= 0 && other == address)
                                return bad(d, reterr, "skip must name an address once", *s);
        }
        return dhcp_child_validate(&d->child, reterr);
}

/* ---- clients ---- */

/* Clients are served nevertheless. */
static void keep(DhcpRange *d, const uint8_t mac[static DHCP_MAC_SIZE], uint32_t address, uint64_t until) {
        int r = dhcp_store_add(&d->store, d->pool, mac, address, until);

        if (r < 0 && !d->failing)
                resource_log(&d->child.resource, LOG_WARNING, "cannot keep leases in '%s': %s, ignoring", d->store.path, strerror(-r));
        d->failing = r < 0;
}

static bool range_lease(DhcpChild *c, const DhcpClient *client, uint32_t *ret) {
        DhcpRange *d = (DhcpRange *) c;

        if (client->only_known && !dhcp_pool_knows(d->pool, client->mac))
                return false;
        if (!dhcp_pool_lease(d->pool, client->mac, client->wanted, client->only_wanted, client->now, client->until, ret))
                return false;
        if (client->only_wanted && *ret == client->wanted)
                keep(d, client->mac, *ret, client->until);
        return true;
}

static bool range_owns(const DhcpChild *c, uint32_t address) {
        return dhcp_pool_contains(((const DhcpRange *) c)->pool, address);
}

static void range_give_back(DhcpChild *c, const uint8_t mac[static DHCP_MAC_SIZE], uint32_t address, uint64_t declined_until) {
        DhcpRange *d = (DhcpRange *) c;

        if (dhcp_pool_give_back(d->pool, mac, address, declined_until))
                keep(d, mac, address, 0);
}

static void range_exclude(DhcpChild *c, uint32_t address) {
        (void) dhcp_pool_exclude(((DhcpRange *) c)->pool, address);     /* of another range: nothing to do */
}

/* ---- life ---- */

static int dhcp_range_init(Resource *r) {
        static const DhcpChildOps ops = {
                .lease = range_lease,
                .owns = range_owns,
                .give_back = range_give_back,
                .exclude = range_exclude,
        };

        ((DhcpChild *) r)->ops = &ops;
        return 0;
}

/* To the next one of this name; under noop others have what clients have. */
static void leave(DhcpRange *d) {
        if (d->pool && d->key)
                dhcp_leases_leave(&((HttpManager *) d->child.resource.host->manager)->leases, d->key, TAKE_PTR(d->pool));
        d->pool = dhcp_pool_free(d->pool);
        free(TAKE_PTR(d->key));
        dhcp_store_done(&d->store);
}

/* Under noop the file is somebody else's. */
static int open_store(DhcpRange *d, bool pool_knows) {
        const Resource *r = &d->child.resource;
        _cleanup_free_ char *dir = NULL;
        char *path;
        int k;

        if (!d->persist || r->meta.noop || r->host->only_looks)
                return 0;
        k = resource_state_dir(r, &dir);
        if (k < 0)
                return k;
        return asprintf(&path, "%sleases", dir) < 0 ? -ENOMEM : dhcp_store_open(&d->store, path, d->pool, pool_knows);
}

static int make_pool(DhcpRange *d, const Extent *x) {
        uint32_t address;
        unsigned prefix;
        int r;

        r = dhcp_pool_new(&d->pool, x->first, x->last);
        for (char **s = d->skip; r >= 0 && s && *s; s++)
                if (parse_either(*s, &address, &prefix) >= 0 && dhcp_pool_contains(d->pool, address))
                        r = dhcp_pool_exclude(d->pool, address);
        return r;
}

static int dhcp_range_prepare(Resource *r, Diag *reterr) {
        HttpManager *m = r->host->manager;
        DhcpRange *d = (DhcpRange *) r;
        Extent x;
        int k;

        leave(d);
        k = find_extent(d, &x, reterr);
        if (k < 0)
                return k;
        d->child.prefix = x.prefix;
        k = make_pool(d, &x);
        if (k >= 0 && r->parent && asprintf(&d->key, "%s %s", r->parent->name, r->name) < 0) {
                d->key = NULL;
                k = -ENOMEM;
        }
        if (k < 0)
                return resource_error(r, reterr, k, "cannot keep leases: %m");
        if (d->key) {
                bool known = dhcp_leases_take(&m->leases, d->key, d->pool);
                k = open_store(d, known);
        }
        if (k < 0)
                return resource_error(r, reterr, k, "cannot keep leases: %m");
        return dhcp_child_prepare(&d->child);
}

static void dhcp_range_done(Resource *r) {
        leave((DhcpRange *) r);
}

const ResourceType dhcp_range_type = {
        .kind = "dhcp:range",
        .doc = "Addresses that a dhcp:server gives to any client.",
        .example = "dhcp:server \":67\" {\n"
                   "\tinterface => \"eth1\",\n"
                   "}\n"
                   "dhcp:range \"192.0.2.0/24\" {\n"
                   "\tskip => [\"192.0.2.1\"],\n"
                   "}\n",
        .size = sizeof(DhcpRange),
        .fields = dhcp_range_fields,
        .parent_field = "server",
        .parent_kind = "dhcp:server",
        .init = dhcp_range_init,
        .done = dhcp_range_done,
        .validate = dhcp_range_validate,
        .prepare = dhcp_range_prepare,
        .check_apply = dhcp_child_check_apply,
};
