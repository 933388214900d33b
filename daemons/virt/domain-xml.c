/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Elements are built as a tree and printed by the library. The first failure sticks in the Builder, so that the shape of the
 * document can be read below without a check per line. */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/tree.h>

#include "common/field.h"
#include "common/macro.h"
#include "daemons/virt/domain-xml.h"

typedef struct Builder {
        int error;
        Diag *reterr;
} Builder;

static void be_quiet(void *userdata, const char *format, ...) {
}

void domain_xml_init(void) {
        xmlInitParser();
        xmlSetGenericErrorFunc(NULL, be_quiet);
        (void) xmlThrDefSetGenericErrorFunc(NULL, be_quiet);    /* of all threads to come, those of libvirt as well */
}

void domain_spec_done(DomainSpec *s) {
        for (size_t i = 0; i < s->n_disks; i++) {
                free(s->disks[i].source);
                free(s->disks[i].type);
        }
        for (size_t i = 0; i < s->n_cdroms; i++) {
                free(s->cdroms[i].source);
                free(s->cdroms[i].type);
        }
        for (size_t i = 0; i < s->n_networks; i++) {
                free(s->networks[i].name);
                free(s->networks[i].mac);
        }
        for (size_t i = 0; i < s->n_filesystems; i++) {
                free(s->filesystems[i].access);
                free(s->filesystems[i].source);
                free(s->filesystems[i].target);
        }
        free(s->disks);
        free(s->cdroms);
        free(s->networks);
        free(s->filesystems);
        strv_free(s->boot);
        free(s->osinit);
        free(s->name);
        *s = (DomainSpec) {};
}

static bool is_xml_text(const char *s) {
        if (!xmlCheckUTF8((const xmlChar *) s))
                return false;
        for (; *s; s++)
                if ((unsigned char) *s < 0x20 && !strchr("\t\n\r", *s))
                        return false;
        return true;
}

static const xmlChar *checked(Builder *b, const char *text) {
        if (!is_xml_text(text) && b->error == 0)
                b->error = diag_set(b->reterr, (Pos) {}, -EINVAL, "'%s' cannot stand in a domain's description", text);
        return (const xmlChar *) (b->error < 0 ? "" : text);
}

static xmlNode *element(Builder *b, xmlNode *parent, const char *name, const char *text) {
        xmlNode *n = b->error < 0 ? NULL : xmlNewTextChild(parent, NULL, (const xmlChar *) name, text ? checked(b, text) : NULL);

        if (!n && b->error == 0)
                b->error = -ENOMEM;
        return n;
}

static void attribute(Builder *b, xmlNode *node, const char *name, const char *value) {
        if (b->error == 0 && !xmlNewProp(node, (const xmlChar *) name, checked(b, value)))
                b->error = -ENOMEM;
}

static void attribute_number(Builder *b, xmlNode *node, const char *name, unsigned value) {
        char text[16];

        (void) snprintf(text, sizeof(text), "%u", value);
        attribute(b, node, name, text);
}

/* An element that has nothing but one attribute. */
static xmlNode *leaf(Builder *b, xmlNode *parent, const char *name, const char *key, const char *value) {
        xmlNode *n = element(b, parent, name, NULL);

        attribute(b, n, key, value);
        return n;
}

static void add_cpus(Builder *b, xmlNode *domain, const DomainSpec *s) {
        char text[16];

        (void) snprintf(text, sizeof(text), "%u", s->hotcpus ? s->maxcpus : s->cpus);
        xmlNode *vcpu = element(b, domain, "vcpu", text);
        if (!s->hotcpus)
                return;

        attribute_number(b, vcpu, "current", s->cpus);
        xmlNode *list = element(b, domain, "vcpus", NULL);
        for (unsigned i = 0; i < s->maxcpus && b->error == 0; i++) {
                xmlNode *n = element(b, list, "vcpu", NULL);
                attribute_number(b, n, "id", i);
                attribute(b, n, "enabled", i < s->cpus ? "yes" : "no");
                attribute(b, n, "hotpluggable", i > 0 ? "yes" : "no");
                if (i < s->cpus)
                        attribute_number(b, n, "order", i + 1);
        }
}

static void add_os(Builder *b, xmlNode *domain, const DomainSpec *s, bool container) {
        xmlNode *os = element(b, domain, "os", NULL);

        (void) element(b, os, "type", container ? "exe" : "hvm");
        if (container && s->osinit[0])
                (void) element(b, os, "init", s->osinit);
        for (char **device = s->boot; device && *device; device++)
                (void) leaf(b, os, "boot", "dev", *device);
        if (s->hotcpus && !container)
                (void) element(b, element(b, domain, "features", NULL), "acpi", NULL);
}

/* "vda", …, "vdz", "vdaa", … */
static void device_name(const char *prefix, size_t i, char ret[static 16]) {
        char letters[8];
        size_t n = sizeof(letters) - 1;

        letters[n] = 0;
        for (i++; i > 0 && n > 0; i = (i - 1) / 26)
                letters[--n] = (char) ('a' + (i - 1) % 26);
        (void) snprintf(ret, 16, "%s%s", prefix, letters + n);
}

static xmlNode *add_disk(Builder *b, xmlNode *devices, const DomainFile *f, const char *kind, const char *prefix,
                         const char *bus, size_t i) {
        xmlNode *disk = leaf(b, devices, "disk", "type", "file"), *driver, *target;
        char name[16];

        attribute(b, disk, "device", kind);
        driver = leaf(b, disk, "driver", "name", "qemu");
        attribute(b, driver, "type", f->type[0] ? f->type : "raw");
        (void) leaf(b, disk, "source", "file", f->source);
        device_name(prefix, i, name);
        target = leaf(b, disk, "target", "dev", name);
        attribute(b, target, "bus", bus);
        return disk;
}

static void add_filesystem(Builder *b, xmlNode *devices, const DomainFilesystem *f) {
        xmlNode *n = leaf(b, devices, "filesystem", "type", "mount");

        if (f->access[0])
                attribute(b, n, "accessmode", f->access);
        (void) leaf(b, n, "source", "dir", f->source);
        (void) leaf(b, n, "target", "dir", f->target);
        if (f->read_only)
                (void) element(b, n, "readonly", NULL);
}

static void add_devices(Builder *b, xmlNode *domain, const DomainSpec *s, bool container) {
        xmlNode *devices = element(b, domain, "devices", NULL), *n;

        for (size_t i = 0; i < s->n_disks; i++)
                (void) add_disk(b, devices, s->disks + i, "disk", "vd", "virtio", i);
        for (size_t i = 0; i < s->n_cdroms; i++)
                (void) element(b, add_disk(b, devices, s->cdroms + i, "cdrom", "hd", "ide", i), "readonly", NULL);
        for (size_t i = 0; i < s->n_networks; i++) {
                n = leaf(b, devices, "interface", "type", "network");
                if (s->networks[i].mac[0])
                        (void) leaf(b, n, "mac", "address", s->networks[i].mac);
                (void) leaf(b, n, "source", "network", s->networks[i].name);
        }
        for (size_t i = 0; i < s->n_filesystems; i++)
                add_filesystem(b, devices, s->filesystems + i);

        if (s->hotcpus && !container) {
                n = leaf(b, devices, "channel", "type", "unix");
                attribute(b, leaf(b, n, "target", "type", "virtio"), "name", "org.qemu.guest_agent.0");
        }
        if (!container)
                (void) leaf(b, devices, "serial", "type", "pty");
        (void) leaf(b, devices, "console", "type", "pty");
}

static void add_domain(Builder *b, xmlNode *domain, const DomainSpec *s, const char *type) {
        bool container = streq(type, "lxc");
        char memory[32];

        attribute(b, domain, "type", type);
        (void) element(b, domain, "name", s->name);
        (void) snprintf(memory, sizeof(memory), "%" PRIu64, s->memory_kib);
        attribute(b, element(b, domain, "memory", memory), "unit", "KiB");
        add_cpus(b, domain, s);
        add_os(b, domain, s, container);
        if (streq(type, "kvm"))
                (void) leaf(b, domain, "cpu", "mode", "host-model");
        add_devices(b, domain, s, container);
}

int domain_xml_make(const DomainSpec *s, const char *type, char **ret, Diag *reterr) {
        Builder b = { .reterr = reterr };
        xmlChar *text = NULL;

        xmlResetLastError();
        xmlDoc *document = xmlNewDoc((const xmlChar *) "1.0");
        xmlNode *domain = document ? xmlNewNode(NULL, (const xmlChar *) "domain") : NULL;

        if (domain) {
                (void) xmlDocSetRootElement(document, domain);
                add_domain(&b, domain, s, type);
                if (b.error == 0)
                        xmlDocDumpMemory(document, &text, NULL);
        }
        xmlFreeDoc(document);

        /* where memory runs out, the library leaves parts out without a word to its caller, but for this */
        const xmlError *e = xmlGetLastError();
        if (b.error == 0 && (!text || (e && e->code == XML_ERR_NO_MEMORY)))
                b.error = -ENOMEM;
        if (b.error < 0) {
                xmlFree(text);
                return diag_set(reterr, (Pos) {}, b.error, "cannot describe domain: %m");
        }

        /* libxml2 allocates with malloc() unless told otherwise, and nobody tells it */
        *ret = (char *) text;
        return 0;
}

/* ---- reading ---- */

static bool has_attribute(xmlNode *n, const char *name, const char *value, bool prefix) {
        xmlChar *text = xmlGetProp(n, (const xmlChar *) name);
        bool yes = text && (prefix ? startswith((const char *) text, value) != NULL : streq((const char *) text, value));

        xmlFree(text);
        return yes;
}

static xmlNode *child(xmlNode *parent, xmlNode *after, const char *name) {
        xmlNode *n = after ? after->next : parent ? parent->children : NULL;

        while (n && !(n->type == XML_ELEMENT_NODE && streq((const char *) n->name, name)))
                n = n->next;
        return n;
}

bool domain_xml_has_agent(const char *xml) {
        xmlDoc *document = xmlReadMemory(xml, (int) strlen(xml), "domain.xml", NULL,
                                         XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
        bool found = false;

        if (!document)
                return false;
        xmlNode *devices = child(xmlDocGetRootElement(document), NULL, "devices");
        for (xmlNode *n = child(devices, NULL, "channel"); n && !found; n = child(devices, n, "channel")) {
                xmlNode *target = child(n, NULL, "target");
                found = target && has_attribute(target, "name", "org.qemu.guest_agent.", true) &&
                        has_attribute(target, "state", "connected", false);
        }
        xmlFreeDoc(document);
        return found;
}
