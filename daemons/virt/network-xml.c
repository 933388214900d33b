/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <stdio.h>
#include <strings.h>

#include "daemons/virt/attempt.h"
#include "daemons/virt/network-xml.h"
#include "daemons/virt/xml.h"

void network_entries_done(NetworkEntries *e) {
        for (size_t i = 0; i < e->n_hosts; i++) {
                free(e->hosts[i].mac);
                free(e->hosts[i].name);
        }
        free(e->hosts);
        free(e->ranges);
        *e = (NetworkEntries) {};
}

void network_spec_done(NetworkSpec *s) {
        free(s->name);
        free(s->uuid);
        free(s->device);
        free(s->mode);
        free(s->mac);
        network_entries_done(&s->entries);
        *s = (NetworkSpec) {};
}

int network_entries_add_host(NetworkEntries *e, const char *mac, const char *name, uint32_t address) {
        _cleanup_free_ char *m = strdup(mac), *n = strdup(name);

        if (!m || !n || GROW(e->hosts, e->n_hosts, e->hosts_capacity) < 0)
                return -ENOMEM;
        e->hosts[e->n_hosts++] = (NetworkHost) { .mac = TAKE_PTR(m), .name = TAKE_PTR(n), .address = address };
        return 0;
}

int network_entries_add_range(NetworkEntries *e, uint32_t start, uint32_t end) {
        if (GROW(e->ranges, e->n_ranges, e->ranges_capacity) < 0)
                return -ENOMEM;
        e->ranges[e->n_ranges++] = (NetworkRange) { .start = start, .end = end };
        return 0;
}

/* ---- making ---- */

static void set_address(XmlBuilder *b, xmlNode *n, const char *key, uint32_t address) {
        char text[IPV4_TEXT_MAX];

        xml_set(b, n, key, ipv4_text(address, text));
}

static void fill_host(XmlBuilder *b, xmlNode *n, const NetworkHost *h) {
        xml_set(b, n, "mac", h->mac);
        if (h->name[0])
                xml_set(b, n, "name", h->name);
        set_address(b, n, "ip", h->address);
}

static void fill_range(XmlBuilder *b, xmlNode *n, const NetworkRange *r) {
        set_address(b, n, "start", r->start);
        set_address(b, n, "end", r->end);
}

static void fill_ip(XmlBuilder *b, xmlNode *n, Ipv4Net ip) {
        set_address(b, n, "address", ip.address);
        set_address(b, n, "netmask", ipv4_mask(ip.prefix));
}

int network_xml_make(const NetworkSpec *s, char **ret, Diag *reterr) {
        XmlBuilder b = { .reterr = reterr };
        _cleanup_(xml_freep) xmlDoc *document = xml_new(&b, "network");
        xmlNode *root = document ? xmlDocGetRootElement(document) : NULL;

        (void) xml_add(&b, root, "name", s->name);
        if (s->uuid[0])
                (void) xml_add(&b, root, "uuid", s->uuid);
        (void) xml_add_leaf(&b, root, "forward", "mode", s->mode);
        (void) xml_add_leaf(&b, root, "bridge", "name", s->device);
        (void) xml_add_leaf(&b, root, "mac", "address", s->mac);
        xmlNode *ip = xml_add(&b, root, "ip", NULL);
        fill_ip(&b, ip, s->ip);
        if (s->entries.n_hosts + s->entries.n_ranges > 0) {
                xmlNode *dhcp = xml_add(&b, ip, "dhcp", NULL);

                for (size_t i = 0; i < s->entries.n_ranges; i++)
                        fill_range(&b, xml_add(&b, dhcp, "range", NULL), s->entries.ranges + i);
                for (size_t i = 0; i < s->entries.n_hosts; i++)
                        fill_host(&b, xml_add(&b, dhcp, "host", NULL), s->entries.hosts + i);
        }
        return xml_print(&b, document, NULL, ret);
}

int network_host_xml(const NetworkHost *h, char **ret, Diag *reterr) {
        XmlBuilder b = { .reterr = reterr };
        _cleanup_(xml_freep) xmlDoc *document = xml_new(&b, "host");

        fill_host(&b, document ? xmlDocGetRootElement(document) : NULL, h);
        return xml_print(&b, document, document ? xmlDocGetRootElement(document) : NULL, ret);
}

int network_range_xml(const NetworkRange *r, char **ret, Diag *reterr) {
        XmlBuilder b = { .reterr = reterr };
        _cleanup_(xml_freep) xmlDoc *document = xml_new(&b, "range");

        fill_range(&b, document ? xmlDocGetRootElement(document) : NULL, r);
        return xml_print(&b, document, document ? xmlDocGetRootElement(document) : NULL, ret);
}

/* ---- reading ---- */

static int get_address(xmlNode *n, const char *key, uint32_t *ret) {
        _cleanup_free_ char *text = xml_get(n, key);

        return text ? ipv4_parse(text, ret) : -ENOENT;
}

/* A mask is written as one, or as its length. Without any, it is of the class of the address, as in the old days. */
static int get_ip(xmlNode *n, Ipv4Net *ret) {
        _cleanup_free_ char *prefix = xml_get(n, "prefix"), *mask = xml_get(n, "netmask");
        int r;

        r = get_address(n, "address", &ret->address);
        if (r < 0)
                return r;
        if (mask)
                return ipv4_parse_mask(mask, &ret->prefix);
        if (prefix) {
                ret->prefix = (unsigned) strtoul(prefix, NULL, 10);
                return ret->prefix > 32 ? -EINVAL : 0;
        }
        ret->prefix = ret->address >> 31 == 0 ? 8 : ret->address >> 30 == 2 ? 16 : 24;
        return 0;
}

/* The one of ours, else the only one of IPv4, else none; -ENOTUNIQ if there are several. ret_index counts all of them. */
static int find_ip(xmlNode *root, uint32_t address, xmlNode **ret, int *ret_index) {
        xmlNode *only = NULL;
        int i = 0, at = 0, n = 0;

        *ret = NULL;
        for (xmlNode *ip = xml_child(root, NULL, "ip"); ip; ip = xml_child(root, ip, "ip"), i++) {
                Ipv4Net net;

                if (get_ip(ip, &net) < 0)
                        continue;
                if (net.address == address || n == 0) {
                        only = ip;
                        at = i;
                }
                n++;
                if (net.address == address) {
                        n = 1;
                        break;
                }
        }
        if (n > 1)
                return -ENOTUNIQ;
        *ret = only;
        *ret_index = at;
        return 0;
}

static int read_entries(xmlNode *ip, NetworkEntries *e) {
        xmlNode *dhcp = xml_child(ip, NULL, "dhcp");
        int r = 0;

        for (xmlNode *n = xml_child(dhcp, NULL, "host"); n && r >= 0; n = xml_child(dhcp, n, "host")) {
                _cleanup_free_ char *mac = xml_get(n, "mac"), *name = xml_get(n, "name");
                uint32_t address;

                if (mac && get_address(n, "ip", &address) >= 0)         /* others are not of the sort that we know */
                        r = network_entries_add_host(e, mac, name ? name : "", address);
        }
        for (xmlNode *n = xml_child(dhcp, NULL, "range"); n && r >= 0; n = xml_child(dhcp, n, "range")) {
                NetworkRange range;

                if (get_address(n, "start", &range.start) >= 0 && get_address(n, "end", &range.end) >= 0)
                        r = network_entries_add_range(e, range.start, range.end);
        }
        return r;
}

int network_xml_read_entries(const char *text, const NetworkSpec *s, NetworkEntries *ret, int *ret_index, Diag *reterr) {
        _cleanup_(xml_freep) xmlDoc *document = NULL;
        xmlNode *ip;
        Ipv4Net net;
        int r;

        r = xml_parse(&document, text, reterr);
        if (r >= 0)
                r = find_ip(xmlDocGetRootElement(document), s->ip.address, &ip, ret_index);
        if (r < 0)
                return r;
        if (!ip || get_ip(ip, &net) < 0 || net.address != s->ip.address || net.prefix != s->ip.prefix)
                return -ENOENT;
        return read_entries(ip, ret);
}

/* ---- changing ---- */

typedef struct Change {
        XmlBuilder builder;
        Differences *list;
        bool changed;
} Change;

static void tell(Change *c, const char *field, const char *from, const char *to) {
        c->changed = true;
        if (c->list)
                virt_differs(c->list, field, from, to);
}

/* One attribute of one element; the digits of a hardware address may be in either case. */
static void want(Change *c, xmlNode *root, const char *name, const char *key, const char *field, const char *value) {
        _cleanup_free_ char *now = xml_get(xml_child(root, NULL, name), key);

        if (now && (streq(field, "mac") ? strcasecmp(now, value) : strcmp(now, value)) == 0)
                return;
        tell(c, field, now, value);
        xml_set(&c->builder, xml_need(&c->builder, root, name), key, value);
}

static void want_uuid(Change *c, xmlNode *root, const char *uuid, bool *ret_identity) {
        xmlNode *n = xml_child(root, NULL, "uuid");
        _cleanup_free_ char *now = xml_text(n);

        if (!uuid[0] || (now && strcasecmp(now, uuid) == 0))
                return;
        *ret_identity = true;
        tell(c, "uuid", now, uuid);
        xml_set_text(&c->builder, xml_need(&c->builder, root, "uuid"), uuid);
}

/* libvirt refuses a net with entries that are outside of it. */
static void drop_strangers(xmlNode *ip, Ipv4Net net) {
        xmlNode *dhcp = xml_child(ip, NULL, "dhcp"), *next;
        uint32_t a, b;

        for (xmlNode *n = xml_child(dhcp, NULL, "host"); n; n = next) {
                next = xml_child(dhcp, n, "host");
                if (get_address(n, "ip", &a) >= 0 && !ipv4_contains(net, a))
                        xml_remove(n);
        }
        for (xmlNode *n = xml_child(dhcp, NULL, "range"); n; n = next) {
                next = xml_child(dhcp, n, "range");
                if (get_address(n, "start", &a) >= 0 && get_address(n, "end", &b) >= 0 &&
                    !(ipv4_contains(net, a) && ipv4_contains(net, b)))
                        xml_remove(n);
        }
}

static void ip_text(Ipv4Net net, char ret[static IPV4_TEXT_MAX + 4]) {
        (void) ipv4_text(net.address, ret);
        (void) snprintf(ret + strlen(ret), 5, "/%u", net.prefix);
}

static int want_ip(Change *c, xmlNode *root, Ipv4Net wanted, Diag *reterr) {
        char from[IPV4_TEXT_MAX + 4], to[IPV4_TEXT_MAX + 4];
        Ipv4Net now = {};
        xmlNode *ip;
        int unused;

        if (find_ip(root, wanted.address, &ip, &unused) < 0)
                return diag_set(reterr, (Pos) {}, -EINVAL, "the network has several addresses, and none of them is ours");
        if (ip && get_ip(ip, &now) >= 0 && now.address == wanted.address && now.prefix == wanted.prefix)
                return 0;
        ip_text(now, from);
        ip_text(wanted, to);
        tell(c, "ip", ip ? from : NULL, to);
        if (!ip)
                ip = xml_add(&c->builder, root, "ip", NULL);
        if (c->builder.error < 0)
                return 0;
        (void) xmlUnsetProp(ip, (const xmlChar *) "prefix");
        fill_ip(&c->builder, ip, wanted);
        drop_strangers(ip, wanted);
        return 0;
}

int network_xml_change(const char *text, const NetworkSpec *s, Differences *list, char **ret, bool *ret_identity, Diag *reterr) {
        Change c = { .builder = { .reterr = reterr }, .list = list };
        _cleanup_(xml_freep) xmlDoc *document = NULL;
        xmlNode *root;
        int r;

        *ret = NULL;
        *ret_identity = false;
        r = xml_parse(&document, text, reterr);
        if (r < 0)
                return r;
        root = xmlDocGetRootElement(document);
        want_uuid(&c, root, s->uuid, ret_identity);
        want(&c, root, "forward", "mode", "mode", s->mode);
        want(&c, root, "bridge", "name", "device", s->device);
        want(&c, root, "mac", "address", "mac", s->mac);
        r = want_ip(&c, root, s->ip, reterr);
        if (r < 0)
                return r;
        return c.changed ? xml_print(&c.builder, document, NULL, ret) : 0;
}
