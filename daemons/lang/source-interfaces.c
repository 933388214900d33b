/* SPDX-License-Identifier: GPL-3.0-or-later */

/* net, the part that is about this host's network interfaces, and util. They are listed anew whenever the kernel says that
 * something happened to one of them or to its addresses. */

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>

#include "common/strbuf.h"
#include "daemons/lang/sources.h"

enum { MAC_SIZE = 6 };

/* ---- what there is ---- */

typedef struct Link {
        const char *name;
        int index;
        unsigned flags;
        size_t hardware_size;           /* of its address, 0 if there is none */
        const unsigned char *hardware;
} Link;

typedef struct Links {
        struct ifaddrs *addresses;      /* owned; what links point into */
        Link *items;                    /* owned, by index */
        size_t n;
} Links;

static void links_done(Links *l) {
        if (l->addresses)
                freeifaddrs(l->addresses);
        free(l->items);
        *l = (Links) {};
}

static int compare_links(const void *a, const void *b) {
        const Link *x = a, *y = b;

        return (x->index > y->index) - (x->index < y->index);
}

static bool is_zero(const unsigned char *p, size_t size) {
        while (size > 0 && *p == 0)
                p++, size--;
        return size == 0;
}

static int links_read(Links *ret) {
        Links l = {};
        size_t n = 0;

        if (getifaddrs(&l.addresses) < 0)
                return -errno;
        for (const struct ifaddrs *a = l.addresses; a; a = a->ifa_next)
                n += a->ifa_addr && a->ifa_addr->sa_family == AF_PACKET;
        l.items = calloc(n + 1, sizeof(Link));
        if (!l.items) {
                links_done(&l);
                return -ENOMEM;
        }
        for (const struct ifaddrs *a = l.addresses; a; a = a->ifa_next) {
                const struct sockaddr_ll *link = (const struct sockaddr_ll *) a->ifa_addr;

                if (!link || link->sll_family != AF_PACKET)
                        continue;
                l.items[l.n++] = (Link) {
                        .name = a->ifa_name,
                        .index = link->sll_ifindex,
                        .flags = a->ifa_flags,
                        .hardware_size = is_zero(link->sll_addr, link->sll_halen) ? 0 : link->sll_halen,
                        .hardware = link->sll_addr,
                };
        }
        qsort(l.items, l.n, sizeof(Link), compare_links);
        *ret = l;
        return 0;
}

static const Link *link_find(const Links *l, const char *name) {
        for (size_t i = 0; i < l->n; i++)
                if (streq(l->items[i].name, name))
                        return &l->items[i];
        return NULL;
}

/* "00:11:22:aa:bb:cc"; 0 if the link has no such address. */
static int link_mac(const Link *l, Value *ret) {
        const unsigned char *h = l->hardware;

        if (l->flags & IFF_LOOPBACK || l->hardware_size != MAC_SIZE)
                return 0;
        int r = value_strf(ret, "%02x:%02x:%02x:%02x:%02x:%02x", h[0], h[1], h[2], h[3], h[4], h[5]);
        return r < 0 ? r : 1;
}

/* ---- functions of them ---- */

/* Its value, or negative errno with reterr set. */
typedef int (*LinksEval)(const Links *l, const char *name, Value *ret, Diag *reterr);

static int eval_macs(const Links *l, const char *name, Value *ret, Diag *reterr) {
        _cleanup_free_ Value *items = calloc(l->n + 1, sizeof(Value));
        size_t n = 0;
        int r = items ? 0 : -ENOMEM;

        for (size_t i = 0; i < l->n && r >= 0; i++) {
                r = link_mac(&l->items[i], &items[n]);
                n += r > 0;
        }
        if (r >= 0)
                return value_list(ret, items, n);
        while (n > 0)
                value_done(&items[--n]);
        return r;
}

/* Private ones count as global. */
static bool is_global(uint32_t a) {
        return a != 0 && a >> 24 != 127 && a >> 28 != 14 && a >> 16 != 0xa9fe && a != UINT32_MAX;
}

/* An address may have a label of its own behind the name of its interface. */
static bool is_of_link(const struct ifaddrs *a, const char *name) {
        const char *rest = startswith(a->ifa_name, name);

        return rest && (*rest == '\0' || *rest == ':');
}

static int eval_cidr(const Links *l, const char *name, Value *ret, Diag *reterr) {
        if (!link_find(l, name))
                return diag_set(reterr, (Pos) {}, -ENODEV, "could not find interface `%s`", name);
        for (const struct ifaddrs *a = l->addresses; a; a = a->ifa_next) {
                const struct sockaddr_in *address = (const struct sockaddr_in *) a->ifa_addr;
                const struct sockaddr_in *mask = (const struct sockaddr_in *) a->ifa_netmask;
                char text[INET_ADDRSTRLEN];

                if (!address || !mask || address->sin_family != AF_INET || !is_of_link(a, name) ||
                    !is_global(ntohl(address->sin_addr.s_addr)))
                        continue;
                if (!inet_ntop(AF_INET, &address->sin_addr, text, sizeof(text)))
                        return -errno;
                return value_strf(ret, "%s/%d", text, __builtin_popcount(mask->sin_addr.s_addr));
        }
        return diag_set(reterr, (Pos) {}, -EADDRNOTAVAIL, "interface `%s` has no global-unicast IPv4 address", name);
}

static bool is_wired(const Link *l) {
        char path[64 + IFNAMSIZ];

        if (l->flags & IFF_LOOPBACK || l->hardware_size == 0)
                return false;
        (void) snprintf(path, sizeof(path), "/sys/class/net/%s/wireless", l->name);
        return access(path, F_OK) < 0;
}

static int eval_wired(const Links *l, const char *name, Value *ret, Diag *reterr) {
        const Link *found = NULL;

        for (size_t i = 0; i < l->n; i++)
                if (is_wired(&l->items[i]) && (!found || (!(found->flags & IFF_UP) && l->items[i].flags & IFF_UP)))
                        found = &l->items[i];
        return found ? value_strz(ret, found->name) : diag_set(reterr, (Pos) {}, -ENODEV, "no wired network interface found");
}

/* ---- watching ---- */

typedef struct Watched {
        Source source;
        KernelWatch *watch;
        LinksEval eval;
        char *name;
} Watched;

static void look(void *userdata) {
        Watched *w = userdata;
        _cleanup_(links_done) Links l = {};
        _cleanup_(diag_done) Diag d = {};
        Value v = VALUE_NIL;
        int r = links_read(&l);

        if (r >= 0)
                r = w->eval(&l, w->name, &v, &d);
        if (r < 0) {
                (void) diag_set(&d, (Pos) {}, r, "cannot list network interfaces: %m");
                source_fail(&w->source, false, &d);
        } else
                source_set(&w->source, v);
}

static int watched_open(Source *s, LinksEval eval, Diag *reterr) {
        Watched *w = (Watched *) s;

        w->eval = eval;
        if (s->n_args > 0 && !(w->name = strdup(value_cstr(s->args[0]))))
                return -ENOMEM;
        int r = source_watch_kernel(s, KERNEL_LINKS, NULL, look, w, &w->watch, reterr);
        if (r >= 0)
                look(w);
        return r;
}

static int macs_open(Source *s, Diag *reterr) {
        return watched_open(s, eval_macs, reterr);
}

static int cidr_open(Source *s, Diag *reterr) {
        return watched_open(s, eval_cidr, reterr);
}

static int wired_open(Source *s, Diag *reterr) {
        return watched_open(s, eval_wired, reterr);
}

static void watched_close(Source *s) {
        kernel_watch_free(((Watched *) s)->watch);
        free(((Watched *) s)->name);
}

/* ---- asked once ---- */

static bool contains(const Value *names, size_t n, Value name) {
        for (size_t i = 0; i < n; i++)
                if (value_equal(names[i], name))
                        return true;
        return false;
}

static int multiple_names(const Value *names, size_t n, Diag *reterr) {
        _cleanup_(strbuf_done) StrBuf b = {};

        for (size_t i = 0; i < n; i++) {
                strbuf_puts(&b, i > 0 ? "," : "");
                strbuf_puts(&b, value_cstr(names[i]));
        }
        return diag_set(reterr, (Pos) {}, -ENOTUNIQ, "multiple hostnames found: %s", b.data ?: "?");
}

static int mapper_open(Source *s, Diag *reterr) {
        _cleanup_(links_done) Links l = {};
        size_t n = 0;
        int r = links_read(&l);

        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "cannot list network interfaces: %m");
        _cleanup_free_ Value *names = calloc(l.n + 1, sizeof(Value));        /* borrowed from the map */
        if (!names)
                return -ENOMEM;
        for (size_t i = 0; i < l.n; i++) {
                _cleanup_(value_done) Value mac = VALUE_NIL;

                r = link_mac(&l.items[i], &mac);
                if (r < 0)
                        return r;
                const Value *name = r > 0 ? value_map_get(s->args[0], mac) : NULL;
                if (name && name->s->size > 0 && !contains(names, n, *name))
                        names[n++] = *name;
        }
        if (n > 1)
                return multiple_names(names, n, reterr);
        if (n == 1)
                source_set(s, value_ref(names[0]));
        else
                source_set_text(s, "");
        return 0;
}

const SourceType interfaces_sources[] = {
        { .name = "net.interface_cidr", .size = sizeof(Watched), .open = cidr_open, .close = watched_close },
        { .name = "net.macs", .size = sizeof(Watched), .open = macs_open, .close = watched_close },
        { .name = "net.wired_interface", .size = sizeof(Watched), .open = wired_open, .close = watched_close },
        { .name = "util.hostname_mapper", .size = sizeof(Source), .open = mapper_open },
        {}
};
