/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <stdio.h>
#include <strings.h>

#include "common/hash.h"
#include "common/macro.h"
#include "common/strbuf.h"
#include "daemons/virt/domain-change.h"
#include "daemons/virt/xml.h"

typedef struct Change {
        XmlBuilder builder;
        xmlDoc *document;
        xmlNode *domain, *devices;
        const DomainSpec *spec;
        DomainDifferences *list;
} Change;

void domain_differences_done(DomainDifferences *list) {
        for (size_t i = 0; i < list->n; i++) {
                free(list->items[i].from);
                free(list->items[i].to);
                free(list->items[i].device);
        }
        free(list->items);
        *list = (DomainDifferences) {};
}

static int failed(Change *c, int r) {
        if (r < 0 && c->builder.error == 0)
                c->builder.error = r;
        return r;
}

/* device is the element that a running domain could be given, as it is now in the tree; NULL: none. */
static void tell(Change *c, const char *field, const char *from, const char *to, int how, xmlNode *device) {
        DomainDifference d = { .field = field, .how = how };

        if (GROW(c->list->items, c->list->n, c->list->capacity) < 0) {
                (void) failed(c, -ENOMEM);
                return;
        }
        d.from = from ? strdup(from) : NULL;
        d.to = to ? strdup(to) : NULL;
        c->list->items[c->list->n++] = d;
        if ((from && !d.from) || (to && !d.to))
                (void) failed(c, -ENOMEM);
        if (device && c->builder.error == 0)
                (void) failed(c, xml_print(&c->builder, c->document, device, &c->list->items[c->list->n - 1].device));
}

/* Elements of one sort, in order. Those that were found to be wanted are taken out; what is left is too much. */
typedef struct Elements {
        xmlNode **items;        /* NULL: taken */
        size_t n, capacity;
} Elements;

static void elements_done(Elements *e) {
        free(e->items);
}

static Elements elements_of(Change *c, const char *name, bool (*belongs)(xmlNode *n)) {
        Elements e = {};

        for (xmlNode *n = xml_child(c->devices, NULL, name); n; n = xml_child(c->devices, n, name)) {
                if (!belongs(n))
                        continue;
                if (GROW(e.items, e.n, e.capacity) < 0) {
                        (void) failed(c, -ENOMEM);
                        break;
                }
                e.items[e.n++] = n;
        }
        return e;
}

static xmlNode *take(Elements *e, const void *wanted, bool (*matches)(xmlNode *n, const void *wanted)) {
        for (size_t i = 0; i < e->n; i++)
                if (e->items[i] && matches(e->items[i], wanted))
                        return TAKE_PTR(e->items[i]);
        return NULL;
}

static void drop_rest(Change *c, Elements *e, const char *field, const char *element, const char *key) {
        for (size_t i = 0; i < e->n && c->builder.error == 0; i++) {
                if (!e->items[i])
                        continue;
                _cleanup_free_ char *from = xml_get(xml_child(e->items[i], NULL, element), key);
                tell(c, field, from ? from : "", NULL, DOMAIN_COLD, NULL);
                xml_remove(e->items[i]);
        }
}

/* ---- boot and init ---- */

static char *boot_text(xmlNode *os) {
        StrBuf text = {};

        for (xmlNode *n = xml_child(os, NULL, "boot"); n; n = xml_child(os, n, "boot")) {
                _cleanup_free_ char *device = xml_get(n, "dev");
                strbuf_printf(&text, "%s%s", text.size > 0 ? " " : "", device ? device : "");
        }
        return strbuf_take(&text);
}

static char *wanted_boot_text(char **boot) {
        StrBuf text = {};

        for (char **b = boot; *b; b++)
                strbuf_printf(&text, "%s%s", text.size > 0 ? " " : "", *b);
        return strbuf_take(&text);
}

/* The two ways of saying it exclude each other. */
static void drop_device_boot(Change *c) {
        for (xmlNode *n = c->devices ? c->devices->children : NULL; n; n = n->next)
                xml_remove(xml_child(n, NULL, "boot"));
}

static void change_boot(Change *c) {
        xmlNode *os = xml_child(c->domain, NULL, "os");
        _cleanup_free_ char *from = NULL, *to = NULL;

        if (!c->spec->boot || !c->spec->boot[0])
                return;
        from = boot_text(os);
        to = wanted_boot_text(c->spec->boot);
        if (!to)
                (void) failed(c, -ENOMEM);
        if (c->builder.error < 0 || streq_ptr(from, to))
                return;
        tell(c, "boot", from, to, DOMAIN_COLD, NULL);
        os = xml_need(&c->builder, c->domain, "os");
        for (xmlNode *n; (n = xml_child(os, NULL, "boot"));)
                xml_remove(n);
        for (char **b = c->spec->boot; *b; b++)
                (void) xml_add_leaf(&c->builder, os, "boot", "dev", *b);
        drop_device_boot(c);
}

static void change_init(Change *c) {
        xmlNode *init = xml_path(c->domain, "os/init");
        _cleanup_free_ char *now = xml_text(init);

        if (!xml_is(c->domain, "type", "lxc") || !c->spec->osinit[0] || streq_ptr(now, c->spec->osinit))
                return;
        tell(c, "osinit", now, c->spec->osinit, DOMAIN_COLD, NULL);
        xml_set_text(&c->builder, xml_need(&c->builder, xml_need(&c->builder, c->domain, "os"), "init"), c->spec->osinit);
}

/* ---- disks ---- */

static bool is_disk(xmlNode *n) {
        return xml_is(n, "type", "file") && !xml_is(n, "device", "cdrom") && !xml_is(n, "device", "floppy") && !xml_is(n, "device", "lun");
}

static bool is_cdrom(xmlNode *n) {
        return xml_is(n, "type", "file") && xml_is(n, "device", "cdrom");
}

static const char *format_of(const DomainFile *f) {
        return f->type[0] ? f->type : "raw";
}

static void change_format(Change *c, xmlNode *disk, const char *field, const DomainFile *f) {
        xmlNode *driver = xml_child(disk, NULL, "driver");
        _cleanup_free_ char *now = xml_get(driver, "type");

        if (!now || streq(now, format_of(f)))   /* without one it is probed, and there is nothing to compare */
                return;
        tell(c, field, now, format_of(f), DOMAIN_COLD, NULL);
        xml_set(&c->builder, driver, "type", format_of(f));
}

static bool has_source(xmlNode *disk, const void *wanted) {
        const DomainFile *f = wanted;

        return xml_is(xml_child(disk, NULL, "source"), "file", f->source);
}

static void change_disks(Change *c) {
        _cleanup_(elements_done) Elements list = {};

        if (c->spec->n_disks == 0)
                return;
        list = elements_of(c, "disk", is_disk);
        for (size_t i = 0; i < c->spec->n_disks && c->builder.error == 0; i++) {
                const DomainFile *f = c->spec->disks + i;
                xmlNode *disk = take(&list, f, has_source);

                if (disk) {
                        change_format(c, disk, "disk", f);
                        continue;
                }
                disk = domain_xml_add_disk(&c->builder, c->devices, f);
                tell(c, "disk", NULL, f->source, DOMAIN_ATTACH, disk);
        }
        drop_rest(c, &list, "disk", "source", "file");
}

/* A drive is known by its place; what is in it can change while it runs. */
static void change_cdroms(Change *c) {
        _cleanup_(elements_done) Elements list = {};

        if (c->spec->n_cdroms == 0)
                return;
        list = elements_of(c, "disk", is_cdrom);
        for (size_t i = 0; i < c->spec->n_cdroms && c->builder.error == 0; i++) {
                const DomainFile *f = c->spec->cdroms + i;

                if (i >= list.n) {
                        (void) domain_xml_add_cdrom(&c->builder, c->devices, f);
                        tell(c, "cdrom", NULL, f->source, DOMAIN_COLD, NULL);
                        continue;
                }
                xmlNode *drive = TAKE_PTR(list.items[i]), *source = xml_child(drive, NULL, "source");
                _cleanup_free_ char *now = xml_get(source, "file");
                if (streq_ptr(now, f->source))
                        continue;
                xml_set(&c->builder, xml_need(&c->builder, drive, "source"), "file", f->source);
                xml_set(&c->builder, xml_need(&c->builder, drive, "driver"), "type", format_of(f));
                tell(c, "cdrom", now, f->source, DOMAIN_UPDATE, drive);
        }
        drop_rest(c, &list, "cdrom", "source", "file");
}

/* ---- networks ---- */

static bool is_on_network(xmlNode *n) {
        return xml_is(n, "type", "network");
}

static bool has_mac(xmlNode *interface, const char *mac) {
        _cleanup_free_ char *now = xml_get(xml_child(interface, NULL, "mac"), "address");

        return now && strcasecmp(now, mac) == 0;
}

static bool has_network(xmlNode *interface, const void *wanted) {
        const DomainNetwork *w = wanted;

        return xml_is(xml_child(interface, NULL, "source"), "network", w->name) && (!w->mac[0] || has_mac(interface, w->mac));
}

/* One that is added to what is defined and to what runs has the same address in both. */
static void choose_mac(Change *c, size_t i, char ret[static 18]) {
        _cleanup_free_ char *uuid = xml_text(xml_child(c->domain, NULL, "uuid"));
        const char *network = c->spec->networks[i].name;
        const uint64_t key[2] = { i, uuid ? hash_bytes_keyed((const uint64_t[2]) {}, uuid, strlen(uuid)) : 0 };
        uint64_t hash = hash_bytes_keyed(key, network, strlen(network));

        (void) snprintf(ret, 18, "52:54:00:%02x:%02x:%02x", (unsigned) (hash >> 16 & 255), (unsigned) (hash >> 8 & 255),
                        (unsigned) (hash & 255));
}

/* Those with an address choose first: one without takes any that is left. */
static void change_networks(Change *c) {
        _cleanup_(elements_done) Elements list = {};

        if (c->spec->n_networks == 0)
                return;
        list = elements_of(c, "interface", is_on_network);
        for (unsigned pass = 0; pass < 2; pass++)
                for (size_t i = 0; i < c->spec->n_networks && c->builder.error == 0; i++) {
                        const DomainNetwork *w = c->spec->networks + i;

                        if ((w->mac[0] == 0) != (pass == 1) || take(&list, w, has_network))
                                continue;
                        char mac[18];
                        choose_mac(c, i, mac);
                        xmlNode *n = domain_xml_add_interface(&c->builder, c->devices,
                                                              &(DomainNetwork) { .name = w->name, .mac = w->mac[0] ? w->mac : mac });
                        tell(c, "network", NULL, w->name, DOMAIN_ATTACH, n);
                }
        drop_rest(c, &list, "network", "source", "network");
}

/* ---- filesystems ---- */

static bool is_mount(xmlNode *n) {
        return xml_is(n, "type", "mount");
}

static bool has_target(xmlNode *n, const void *wanted) {
        const DomainFilesystem *f = wanted;

        return xml_is(xml_child(n, NULL, "target"), "dir", f->target);
}

static void change_filesystem(Change *c, xmlNode *n, const DomainFilesystem *f) {
        xmlNode *source = xml_child(n, NULL, "source"), *read_only = xml_child(n, NULL, "readonly");
        _cleanup_free_ char *now = xml_get(source, "dir"), *access = xml_get(n, "accessmode");

        if (!streq_ptr(now, f->source)) {
                tell(c, "filesystem", now, f->source, DOMAIN_COLD, NULL);
                xml_set(&c->builder, xml_need(&c->builder, n, "source"), "dir", f->source);
        }
        if (f->access[0] && !streq_ptr(access, f->access)) {
                tell(c, "filesystem", access, f->access, DOMAIN_COLD, NULL);
                xml_set(&c->builder, n, "accessmode", f->access);
        }
        if ((read_only != NULL) != f->read_only) {
                tell(c, "filesystem", read_only ? "read-only" : "writable", read_only ? "writable" : "read-only", DOMAIN_COLD, NULL);
                if (f->read_only)
                        (void) xml_add(&c->builder, n, "readonly", NULL);
                else
                        xml_remove(read_only);
        }
}

static void change_filesystems(Change *c) {
        _cleanup_(elements_done) Elements list = {};

        if (c->spec->n_filesystems == 0)
                return;
        list = elements_of(c, "filesystem", is_mount);
        for (size_t i = 0; i < c->spec->n_filesystems && c->builder.error == 0; i++) {
                const DomainFilesystem *f = c->spec->filesystems + i;
                xmlNode *n = take(&list, f, has_target);

                if (n) {
                        change_filesystem(c, n, f);
                        continue;
                }
                (void) domain_xml_add_filesystem(&c->builder, c->devices, f);
                tell(c, "filesystem", NULL, f->target, DOMAIN_COLD, NULL);
        }
        drop_rest(c, &list, "filesystem", "target", "dir");
}

/* ---- all of it ---- */

int domain_xml_change(const char *text, const DomainSpec *s, DomainDifferences *list, char **ret, Diag *reterr) {
        _cleanup_(xml_freep) xmlDoc *document = NULL;
        int r;

        *ret = NULL;
        r = xml_parse(&document, text, reterr);
        if (r < 0)
                return r;

        Change c = {
                .builder = { .reterr = reterr },
                .document = document,
                .domain = xmlDocGetRootElement(document),
                .spec = s,
                .list = list,
        };
        c.devices = xml_need(&c.builder, c.domain, "devices");
        change_boot(&c);
        change_init(&c);
        change_disks(&c);
        change_cdroms(&c);
        change_networks(&c);
        change_filesystems(&c);
        return list->n > 0 || c.builder.error < 0 ? xml_print(&c.builder, document, NULL, ret) : 0;
}

/* ---- memory ---- */

/* libvirt prints KiB, whatever it was given. */
static uint64_t number_in(xmlNode *n) {
        _cleanup_free_ char *text = xml_text(n);

        return text ? strtoull(text, NULL, 10) : 0;
}

int domain_xml_read_memory(const char *text, DomainMemory *ret, Diag *reterr) {
        _cleanup_(xml_freep) xmlDoc *document = NULL;
        xmlNode *domain, *current;
        int r;

        r = xml_parse(&document, text, reterr);
        if (r < 0)
                return r;
        domain = xmlDocGetRootElement(document);
        current = xml_child(domain, NULL, "currentMemory");
        ret->maximum_kib = number_in(xml_child(domain, NULL, "memory"));
        ret->current_kib = current ? number_in(current) : ret->maximum_kib;
        ret->balloon = !xml_is(xml_path(domain, "devices/memballoon"), "model", "none");
        return 0;
}
