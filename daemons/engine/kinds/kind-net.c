/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Addresses, default route and state of one network interface, now through rtnetlink; and a file for systemd-networkd, so that it is so
 * after a reboot. An interface that is not there is waited for. */

#include <fcntl.h>
#include <inttypes.h>
#include <net/if.h>
#include <sys/epoll.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/resource.h"
#include "common/sd/path-watch.h"
#include "common/strbuf.h"
#include "daemons/engine/local-host.h"
#include "daemons/engine/kinds/rtnetlink.h"

#define NETWORK_DIRECTORY "/etc/systemd/network"

/* What would make the name one of many, or of all others, in the file. */
#define GLOB "*?[]!\\\"'"

enum { ADDRESSES_MAX = 1024, TEXT_MAX = 1024 * 1024, LOOKS_MAX = 5 };

typedef struct Net {
        Resource resource;
        char *state;
        char **addrs;
        char *gateway;
        Value ip_forward;

        char *path, *text;      /* the file of networkd, and what it shall say */
        PathWatch *watch;
        sd_event_source *events;
        unsigned index;         /* of the interface, while events are read; 0: it is not there */
} Net;

static const FieldSpec net_fields[] = {
        FIELD(Net, state, FIELD_STR, 0, "'up', 'down', or '' for whatever it is."),
        FIELD(Net, addrs, FIELD_STRV, FIELD_OPTIONAL, "All its addresses, such as '192.0.2.1/24'; if they are not given, any will do."),
        FIELD(Net, gateway, FIELD_STR, 0, "Where its default route leads; if it is empty, anywhere."),
        FIELD(Net, ip_forward, FIELD_VALUE, FIELD_OPTIONAL, "Whether networkd makes the host forward packets.", .mcl_type = "bool"),
        {}
};

static int net_validate(const Resource *r, Diag *reterr) {
        const Net *n = (const Net *) r;
        RtAddress a;

        if (strlen(r->name) >= IFNAMSIZ || strpbrk(r->name, "/ \t\n:" GLOB) || streq(r->name, ".") || streq(r->name, ".."))
                return resource_error(r, reterr, -EINVAL, "name must be that of an interface, got '%s'", r->name);
        if (*n->state && !streq(n->state, "up") && !streq(n->state, "down"))
                return resource_error(r, reterr, -EINVAL, "state must be 'up', 'down' or '', got '%s'", n->state);
        for (char **s = n->addrs; s && *s; s++)
                if (rt_address_parse(*s, true, &a) < 0)
                        return resource_error(r, reterr, -EINVAL, "addrs must be addresses with a prefix, such as '192.0.2.1/24', got '%s'",
                                              *s);
        if (*n->gateway && rt_address_parse(n->gateway, false, &a) < 0)
                return resource_error(r, reterr, -EINVAL, "gateway must be an address, got '%s'", n->gateway);
        return 0;
}

static char *make_text(const Net *n) {
        StrBuf b = {};

        strbuf_printf(&b, "[Match]\nName=%s\n[Network]", n->resource.name);
        for (char **s = n->addrs; s && *s; s++)
                strbuf_printf(&b, "\nAddress=%s", *s);
        if (*n->gateway)
                strbuf_printf(&b, "\nGateway=%s", n->gateway);
        if (n->ip_forward.kind == TYPE_BOOL)
                strbuf_printf(&b, "\nIPForward=%s", n->ip_forward.b ? "true" : "false");
        return strbuf_take(&b);
}

static int net_prepare(Resource *r, Diag *reterr) {
        Net *n = (Net *) r;

        free(n->path);
        free(n->text);
        n->text = make_text(n);
        if (asprintf(&n->path, NETWORK_DIRECTORY "/mgmt-%s.network", r->name) < 0)
                n->path = NULL;
        return n->text && n->path ? 0 : -ENOMEM;
}

/* ---- watch ---- */

static uint32_t number(const void *data, size_t size) {
        uint32_t n = 0;

        if (data && size == sizeof(n))
                memcpy(&n, data, sizeof(n));
        return n;
}

static bool concerns(const struct nlmsghdr *m, void *userdata) {
        const Net *n = userdata;
        size_t size = 0;
        const char *name;

        switch (m->nlmsg_type) {
        case RTM_NEWLINK:
        case RTM_DELLINK:
                name = rt_attribute(m, sizeof(struct ifinfomsg), IFLA_IFNAME, &size);
                return ((const struct ifinfomsg *) NLMSG_DATA(m))->ifi_index == (int) n->index ||
                       (name && strnlen(name, size) == strlen(n->resource.name) && startswith(n->resource.name, name));
        case RTM_NEWADDR:
        case RTM_DELADDR:
                return ((const struct ifaddrmsg *) NLMSG_DATA(m))->ifa_index == n->index;
        case RTM_NEWROUTE:
        case RTM_DELROUTE: {
                const void *oif = rt_attribute(m, sizeof(struct rtmsg), RTA_OIF, &size);
                return n->index > 0 && number(oif, size) == n->index;
        }
        default:
                return false;
        }
}

static int on_events(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        Net *n = userdata;

        n->index = if_nametoindex(n->resource.name);
        if (rt_drain(fd, concerns, n))
                resource_changed(&n->resource);
        return 0;
}

static int net_watch(Resource *r, Diag *reterr) {
        Net *n = (Net *) r;
        _cleanup_close_ int fd = rt_open(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE);
        int k = fd;

        if (k >= 0)
                k = sd_event_add_io(r->host->event, &n->events, fd, EPOLLIN, on_events, n);
        if (k >= 0)
                k = sd_event_source_set_io_fd_own(n->events, true);
        if (k >= 0)
                (void) TAKE_FD(fd);
        if (k >= 0 && *n->state)
                k = local_host_watch(r, n->path, 0, &n->watch, reterr);
        if (k < 0)
                return resource_error(r, reterr, k, "cannot watch interface '%s': %m", r->name);
        resource_armed(r);
        return 0;
}

static void net_unwatch(Resource *r) {
        Net *n = (Net *) r;

        n->watch = path_watch_free(n->watch);
        n->events = sd_event_source_disable_unref(n->events);
}

/* ---- what is ---- */

typedef struct Route {
        RtAddress destination;
        RtAddress gateway;              /* family 0: none */
        uint8_t protocol;
} Route;

typedef struct Found {
        const Net *net;
        int fd;                 /* owned */
        int index;
        bool up;
        RtAddress *addresses;   /* but for those that the kernel makes itself */
        size_t n_addresses, capacity_addresses;
        Route *routes;          /* of the main table, over this interface */
        size_t n_routes, capacity_routes;
} Found;

static void found_done(Found *f) {
        closep(&f->fd);
        free(f->addresses);
        free(f->routes);
}

static bool is_wanted(const Net *n, const RtAddress *a) {
        RtAddress wanted;

        for (char **s = n->addrs; s && *s; s++)
                if (rt_address_parse(*s, true, &wanted) >= 0 && rt_address_equal(&wanted, a))
                        return true;
        return false;
}

static int on_link(const struct nlmsghdr *m, void *userdata) {
        Found *f = userdata;
        const struct ifinfomsg *link = NLMSG_DATA(m);

        if (link->ifi_index == f->index)
                f->up = link->ifi_flags & IFF_UP;
        return 0;
}

static int on_address(const struct nlmsghdr *m, void *userdata) {
        Found *f = userdata;
        const struct ifaddrmsg *address = NLMSG_DATA(m);
        RtAddress a = { .family = address->ifa_family, .prefix = address->ifa_prefixlen };
        size_t size;
        const void *data;

        if ((int) address->ifa_index != f->index || (a.family != AF_INET && a.family != AF_INET6))
                return 0;
        data = rt_attribute(m, sizeof(*address), IFA_LOCAL, &size);
        if (!data)
                data = rt_attribute(m, sizeof(*address), IFA_ADDRESS, &size);
        if (!data || size != rt_address_size(&a))
                return 0;
        memcpy(a.bytes, data, size);
        if (a.family == AF_INET6 && a.bytes[0] == 0xfe && (a.bytes[1] & 0xc0) == 0x80 && !is_wanted(f->net, &a))
                return 0;
        if (f->n_addresses >= ADDRESSES_MAX || GROW(f->addresses, f->n_addresses, f->capacity_addresses) < 0)
                return -ENOMEM;
        f->addresses[f->n_addresses++] = a;
        return 0;
}

static int on_route(const struct nlmsghdr *m, void *userdata) {
        Found *f = userdata;
        const struct rtmsg *route = NLMSG_DATA(m);
        Route x = { .destination = { .family = route->rtm_family, .prefix = route->rtm_dst_len }, .protocol = route->rtm_protocol };
        size_t size = 0;
        const void *oif = rt_attribute(m, sizeof(*route), RTA_OIF, &size), *data;

        if (route->rtm_table != RT_TABLE_MAIN || route->rtm_type != RTN_UNICAST || (int) number(oif, size) != f->index)
                return 0;
        data = rt_attribute(m, sizeof(*route), RTA_DST, &size);
        if (data && size == rt_address_size(&x.destination))
                memcpy(x.destination.bytes, data, size);
        data = rt_attribute(m, sizeof(*route), RTA_GATEWAY, &size);
        if (data && size == rt_address_size(&x.destination)) {
                x.gateway = (RtAddress) { .family = route->rtm_family, .prefix = (unsigned) size * 8 };
                memcpy(x.gateway.bytes, data, size);
        }
        if (f->n_routes >= ADDRESSES_MAX || GROW(f->routes, f->n_routes, f->capacity_routes) < 0)
                return 0;       /* a router: we find what we look for among the first, or make it */
        f->routes[f->n_routes++] = x;
        return 0;
}

static int find_once(Found *f, bool *ret_changed) {
        int r;

        *ret_changed = false;
        f->n_addresses = f->n_routes = 0;
        r = rt_dump(f->fd, RTM_GETLINK, on_link, f, ret_changed);
        if (r >= 0)
                r = rt_dump(f->fd, RTM_GETADDR, on_address, f, ret_changed);
        if (r >= 0)
                r = rt_dump(f->fd, RTM_GETROUTE, on_route, f, ret_changed);
        return r;
}

/* What is missing because others made changes meanwhile would be a difference. Those who never stop are not waited for: what they do is
 * an event. */
static int find(Found *f) {
        bool changed = true;
        int r = 0;

        for (unsigned i = 0; i < LOOKS_MAX && changed && r >= 0; i++)
                r = find_once(f, &changed);
        return r;
}

/* ---- the parts ---- */

/* All parts return 1 if something was wrong. */
static int check_file(const Net *n, bool apply, Diag *reterr) {
        const Resource *r = &n->resource;
        _cleanup_free_ char *text = NULL;
        bool wanted = streq(n->state, "up");
        int k;

        if (!*n->state)
                return 0;
        k = read_file_at(AT_FDCWD, n->path, TEXT_MAX, &text, NULL);
        if (k < 0 && k != -ENOENT)
                return resource_error(r, reterr, k, "cannot read '%s': %m", n->path);
        if (wanted ? k >= 0 && streq(text, n->text) : k == -ENOENT)
                return 0;
        resource_differs((Resource *) r, "file", text, wanted ? n->text : NULL);
        if (!apply)
                return 1;
        if (!wanted)
                return unlink(n->path) < 0 && errno != ENOENT ? resource_error(r, reterr, -errno, "cannot remove '%s': %m", n->path) : 1;
        k = make_directories(NETWORK_DIRECTORY, 0755);
        if (k >= 0)
                k = write_file_atomic_at(AT_FDCWD, n->path, n->text, strlen(n->text), 0644, false);
        return k < 0 ? resource_error(r, reterr, k, "cannot write '%s': %m", n->path) : 1;
}

static int check_state(const Net *n, bool apply, Found *f, Diag *reterr) {
        bool up = streq(n->state, "up");
        RtRequest q;
        int r;

        if (!*n->state || f->up == up)
                return 0;
        resource_differs((Resource *) &n->resource, "state", f->up ? "up" : "down", n->state);
        if (!apply)
                return 1;
        const struct ifinfomsg link = { .ifi_index = f->index, .ifi_flags = up ? IFF_UP : 0, .ifi_change = IFF_UP };
        rt_request_init(&q, RTM_NEWLINK, 0, &link, sizeof(link));
        r = rt_change(f->fd, &q);
        return r < 0 ? resource_error(&n->resource, reterr, r, "state: cannot set the interface '%s': %m", n->state) : 1;
}

static int change_address(const Found *f, const RtAddress *a, bool add) {
        const struct ifaddrmsg address = {
                .ifa_family = (uint8_t) a->family,
                .ifa_prefixlen = (uint8_t) a->prefix,
                .ifa_index = (unsigned) f->index,
        };
        RtRequest q;

        rt_request_init(&q, add ? RTM_NEWADDR : RTM_DELADDR, add ? NLM_F_CREATE | NLM_F_EXCL : 0, &address, sizeof(address));
        rt_request_add(&q, IFA_LOCAL, a->bytes, rt_address_size(a));
        rt_request_add(&q, IFA_ADDRESS, a->bytes, rt_address_size(a));
        if (add && a->family == AF_INET && a->prefix < 31) {
                RtAddress broadcast = *a;
                for (unsigned bit = a->prefix; bit < 32; bit++)
                        broadcast.bytes[bit / 8] |= (uint8_t) (0x80 >> bit % 8);
                rt_request_add(&q, IFA_BROADCAST, broadcast.bytes, 4);
        }
        return rt_change(f->fd, &q);
}

static bool has_address(const Found *f, const RtAddress *a) {
        for (size_t i = 0; i < f->n_addresses; i++)
                if (rt_address_equal(&f->addresses[i], a))
                        return true;
        return false;
}

static char *addresses_text(const Found *f) {
        StrBuf b = {};
        char text[64];

        for (size_t i = 0; i < f->n_addresses; i++) {
                rt_address_text(&f->addresses[i], true, text, sizeof(text));
                strbuf_printf(&b, "%s%s", i > 0 ? " " : "", text);
        }
        return strbuf_take(&b);
}

static int apply_addresses(const Net *n, const Found *f, Diag *reterr) {
        char text[64];
        RtAddress a;
        int r;

        for (size_t i = 0; i < f->n_addresses; i++) {
                if (is_wanted(n, &f->addresses[i]))
                        continue;
                r = change_address(f, &f->addresses[i], false);
                if (r < 0 && r != -EADDRNOTAVAIL) {     /* a secondary one goes with its primary one */
                        rt_address_text(&f->addresses[i], true, text, sizeof(text));
                        return resource_error(&n->resource, reterr, r, "addrs: cannot remove '%s': %m", text);
                }
        }
        for (char **s = n->addrs; *s; s++) {
                (void) rt_address_parse(*s, true, &a);
                r = change_address(f, &a, true);        /* also where it is: it may have been a secondary one */
                if (r < 0 && r != -EEXIST)
                        return resource_error(&n->resource, reterr, r, "addrs: cannot add '%s': %m", *s);
        }
        return 1;
}

static int check_addresses(const Net *n, bool apply, const Found *f, Diag *reterr) {
        _cleanup_free_ char *is = NULL, *wanted = NULL;
        StrBuf b = {};
        bool wrong = false;
        RtAddress a;

        if (!n->addrs)
                return 0;
        for (size_t i = 0; i < f->n_addresses; i++)
                wrong = wrong || !is_wanted(n, &f->addresses[i]);
        for (char **s = n->addrs; *s; s++) {
                wrong = wrong || (rt_address_parse(*s, true, &a) >= 0 && !has_address(f, &a));
                strbuf_printf(&b, "%s%s", b.size > 0 ? " " : "", *s);
        }
        wanted = strbuf_take(&b);
        if (!wrong)
                return 0;
        is = addresses_text(f);
        resource_differs((Resource *) &n->resource, "addrs", is ? is : "", wanted ? wanted : "");
        return apply ? apply_addresses(n, f, reterr) : 1;
}

/* The kernel makes a route to the network of each address; somebody may have taken it away. */
static int check_networks(const Net *n, bool apply, const Found *f, Diag *reterr) {
        int wrong = 0;

        for (char **s = n->addrs; s && *s && f->up; s++) {
                RtAddress a, network;
                bool there = false;
                RtRequest q;
                (void) rt_address_parse(*s, true, &a);
                if (a.family != AF_INET || a.prefix == 32)
                        continue;
                network = rt_address_network(&a);
                for (size_t i = 0; i < f->n_routes; i++)
                        there = there || (rt_address_equal(&f->routes[i].destination, &network) && f->routes[i].protocol == RTPROT_KERNEL);
                if (there)
                        continue;
                wrong = 1;
                resource_differs((Resource *) &n->resource, "addrs", "no route", *s);
                if (!apply)
                        continue;
                const struct rtmsg route = {
                        .rtm_family = AF_INET, .rtm_dst_len = (uint8_t) a.prefix, .rtm_table = RT_TABLE_MAIN,
                        .rtm_protocol = RTPROT_KERNEL, .rtm_scope = RT_SCOPE_LINK, .rtm_type = RTN_UNICAST,
                };
                rt_request_init(&q, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &route, sizeof(route));
                rt_request_add(&q, RTA_DST, network.bytes, 4);
                rt_request_add(&q, RTA_PREFSRC, a.bytes, 4);
                rt_request_add(&q, RTA_OIF, &f->index, sizeof(f->index));
                int r = rt_change(f->fd, &q);
                if (r < 0)
                        return resource_error(&n->resource, reterr, r, "addrs: cannot add the route of '%s': %m", *s);
        }
        return wrong;
}

static int change_default(const Found *f, const RtAddress *gateway, bool add) {
        const struct rtmsg route = {
                .rtm_family = (uint8_t) gateway->family, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = add ? RTPROT_STATIC : RTPROT_UNSPEC,
                .rtm_scope = add ? RT_SCOPE_UNIVERSE : RT_SCOPE_NOWHERE, .rtm_type = add ? RTN_UNICAST : RTN_UNSPEC,
        };
        RtRequest q;

        rt_request_init(&q, add ? RTM_NEWROUTE : RTM_DELROUTE, add ? NLM_F_CREATE | NLM_F_REPLACE : 0, &route, sizeof(route));
        if (gateway->prefix > 0)
                rt_request_add(&q, RTA_GATEWAY, gateway->bytes, rt_address_size(gateway));
        rt_request_add(&q, RTA_OIF, &f->index, sizeof(f->index));
        return rt_change(f->fd, &q);
}

static int check_gateway(const Net *n, bool apply, const Found *f, Diag *reterr) {
        RtAddress wanted;
        char is[64] = "none";
        size_t n_others = 0;
        bool there = false;
        int r;

        if (!*n->gateway || rt_address_parse(n->gateway, false, &wanted) < 0)
                return 0;
        for (size_t i = 0; i < f->n_routes; i++) {
                const Route *x = &f->routes[i];
                if (x->destination.family != wanted.family || x->destination.prefix != 0)
                        continue;
                if (rt_address_equal(&x->gateway, &wanted) && !there)
                        there = true;
                else {
                        n_others++;
                        if (x->gateway.family)
                                rt_address_text(&x->gateway, false, is, sizeof(is));
                }
        }
        if (there && n_others == 0)
                return 0;
        resource_differs((Resource *) &n->resource, "gateway", is, n->gateway);
        if (!apply)
                return 1;
        for (size_t i = 0; i < f->n_routes; i++) {
                Route x = f->routes[i];
                if (x.destination.family != wanted.family || x.destination.prefix != 0)
                        continue;
                if (!x.gateway.family)
                        x.gateway = (RtAddress) { .family = wanted.family };
                r = change_default(f, &x.gateway, false);
                if (r < 0 && r != -ESRCH)
                        return resource_error(&n->resource, reterr, r, "gateway: cannot remove the default route over '%s': %m", is);
        }
        r = change_default(f, &wanted, true);
        return r < 0 ? resource_error(&n->resource, reterr, r, "gateway: cannot make '%s' the default route: %m", n->gateway) : 1;
}

/* ---- check ---- */

static int check_interface(const Net *n, bool apply, Found *f, Diag *reterr) {
        int state, addresses, networks = 0, gateway;

        state = check_state(n, apply, f, reterr);
        if (state < 0 || streq(n->state, "down"))
                return state;
        addresses = check_addresses(n, apply, f, reterr);
        if (addresses < 0)
                return addresses;
        if (apply && (state > 0 || addresses > 0)) {
                int r = find(f);
                if (r < 0)
                        return resource_error(&n->resource, reterr, r, "cannot ask the kernel about interfaces: %m");
        }
        if (apply || (state == 0 && addresses == 0))
                networks = check_networks(n, apply, f, reterr);
        gateway = networks < 0 ? networks : check_gateway(n, apply, f, reterr);
        return gateway < 0 ? gateway : state > 0 || addresses > 0 || networks > 0 || gateway > 0;
}

static int net_check_apply(Resource *r, bool apply, Diag *reterr) {
        const Net *n = (const Net *) r;
        _cleanup_(found_done) Found f = { .net = n, .fd = -EBADF };
        int file, k;

        file = check_file(n, apply, reterr);
        if (file < 0)
                return file;
        f.index = (int) if_nametoindex(r->name);
        if (f.index == 0) {
                _cleanup_free_ char *reason = NULL;
                if (asprintf(&reason, "there is no interface '%s'", r->name) < 0)
                        reason = NULL;
                return resource_waiting(r, reason ? reason : "there is no such interface");
        }
        f.fd = rt_open(0);
        k = f.fd < 0 ? f.fd : find(&f);
        if (k < 0)
                return resource_error(r, reterr, k, "cannot ask the kernel about interfaces: %m");
        k = check_interface(n, apply, &f, reterr);
        return k < 0 ? k : k > 0 || file > 0 ? CHECK_CHANGED : CHECK_OK;
}

/* ---- reverse ---- */

/* Up for down and down for up; all else is the same. */
static int net_reverse(const Resource *r, Resource **ret, Diag *reterr) {
        const Net *n = (const Net *) r;
        _cleanup_(resource_freep) Resource *other = NULL;
        int k = 0;

        *ret = NULL;
        if (!*n->state)
                return 0;
        k = resource_new(&other, r->type, r->host, r->name, r->pos);
        for (const FieldSpec *f = net_fields; f->name && k >= 0; f++) {
                _cleanup_(value_done) Value v = VALUE_NIL;
                k = field_get(f, r, &v);
                if (k >= 0 && streq(f->name, "state")) {
                        value_done(&v);
                        k = value_strz(&v, streq(n->state, "up") ? "down" : "up");
                }
                if (k >= 0 && v.kind != TYPE_NIL)
                        k = field_set(f, other, v, reterr);
        }
        if (k < 0)
                return k;
        *ret = TAKE_PTR(other);
        return 0;
}

static void net_done(Resource *r) {
        Net *n = (Net *) r;

        net_unwatch(r);
        free(n->path);
        free(n->text);
}

const ResourceType net_type = {
        .kind = "net",
        .doc = "A network interface.",
        .example = "net \"eth0\" {\n"
                   "\tstate => \"up\",\n"
                   "\taddrs => [\"192.0.2.1/24\"],\n"
                   "\tgateway => \"192.0.2.254\",\n"
                   "}\n",
        .size = sizeof(Net),
        .fields = net_fields,
        .done = net_done,
        .validate = net_validate,
        .prepare = net_prepare,
        .watch = net_watch,
        .unwatch = net_unwatch,
        .check_apply = net_check_apply,
        .reverse = net_reverse,
};
