/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What a domain consists of, as libvirt's elements. */

#include <inttypes.h>
#include <stdio.h>

#include "common/field.h"
#include "common/macro.h"
#include "daemons/virt/domain-xml.h"
#include "daemons/virt/xml.h"

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

static void add_cpus(XmlBuilder *b, xmlNode *domain, const DomainSpec *s) {
        char text[16];

        (void) snprintf(text, sizeof(text), "%u", s->hotcpus ? s->maxcpus : s->cpus);
        xmlNode *vcpu = xml_add(b, domain, "vcpu", text);
        if (!s->hotcpus)
                return;

        xml_set_number(b, vcpu, "current", s->cpus);
        xmlNode *list = xml_add(b, domain, "vcpus", NULL);
        for (unsigned i = 0; i < s->maxcpus && b->error == 0; i++) {
                xmlNode *n = xml_add(b, list, "vcpu", NULL);
                xml_set_number(b, n, "id", i);
                xml_set(b, n, "enabled", i < s->cpus ? "yes" : "no");
                xml_set(b, n, "hotpluggable", i > 0 ? "yes" : "no");
                if (i < s->cpus)
                        xml_set_number(b, n, "order", i + 1);
        }
}

static void add_os(XmlBuilder *b, xmlNode *domain, const DomainSpec *s, bool container) {
        xmlNode *os = xml_add(b, domain, "os", NULL);

        (void) xml_add(b, os, "type", container ? "exe" : "hvm");
        if (container && s->osinit[0])
                (void) xml_add(b, os, "init", s->osinit);
        for (char **device = s->boot; device && *device; device++)
                (void) xml_add_leaf(b, os, "boot", "dev", *device);
        if (s->hotcpus && !container)
                (void) xml_add(b, xml_add(b, domain, "features", NULL), "acpi", NULL);
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

static bool has_device(xmlNode *devices, const char *name) {
        for (xmlNode *n = xml_child(devices, NULL, "disk"); n; n = xml_child(devices, n, "disk"))
                if (xml_is(xml_child(n, NULL, "target"), "dev", name))
                        return true;
        return false;
}

static xmlNode *add_drive(XmlBuilder *b, xmlNode *devices, const DomainFile *f, const char *kind, const char *prefix, const char *bus) {
        xmlNode *disk, *driver, *target;
        size_t i = 0;
        char name[16];

        do
                device_name(prefix, i++, name);
        while (has_device(devices, name));
        disk = xml_add_leaf(b, devices, "disk", "type", "file");
        xml_set(b, disk, "device", kind);
        driver = xml_add_leaf(b, disk, "driver", "name", "qemu");
        xml_set(b, driver, "type", f->type[0] ? f->type : "raw");
        (void) xml_add_leaf(b, disk, "source", "file", f->source);
        target = xml_add_leaf(b, disk, "target", "dev", name);
        xml_set(b, target, "bus", bus);
        return disk;
}

xmlNode *domain_xml_add_disk(XmlBuilder *b, xmlNode *devices, const DomainFile *f) {
        return add_drive(b, devices, f, "disk", "vd", "virtio");
}

xmlNode *domain_xml_add_cdrom(XmlBuilder *b, xmlNode *devices, const DomainFile *f) {
        xmlNode *n = add_drive(b, devices, f, "cdrom", "hd", "ide");

        (void) xml_add(b, n, "readonly", NULL);
        return n;
}

xmlNode *domain_xml_add_interface(XmlBuilder *b, xmlNode *devices, const DomainNetwork *w) {
        xmlNode *n = xml_add_leaf(b, devices, "interface", "type", "network");

        if (w->mac[0])
                (void) xml_add_leaf(b, n, "mac", "address", w->mac);
        (void) xml_add_leaf(b, n, "source", "network", w->name);
        return n;
}

xmlNode *domain_xml_add_filesystem(XmlBuilder *b, xmlNode *devices, const DomainFilesystem *f) {
        xmlNode *n = xml_add_leaf(b, devices, "filesystem", "type", "mount");

        if (f->access[0])
                xml_set(b, n, "accessmode", f->access);
        (void) xml_add_leaf(b, n, "source", "dir", f->source);
        (void) xml_add_leaf(b, n, "target", "dir", f->target);
        if (f->read_only)
                (void) xml_add(b, n, "readonly", NULL);
        return n;
}

static void add_devices(XmlBuilder *b, xmlNode *domain, const DomainSpec *s, bool container) {
        xmlNode *devices = xml_add(b, domain, "devices", NULL), *n;

        for (size_t i = 0; i < s->n_disks; i++)
                (void) domain_xml_add_disk(b, devices, s->disks + i);
        for (size_t i = 0; i < s->n_cdroms; i++)
                (void) domain_xml_add_cdrom(b, devices, s->cdroms + i);
        for (size_t i = 0; i < s->n_networks; i++)
                (void) domain_xml_add_interface(b, devices, s->networks + i);
        for (size_t i = 0; i < s->n_filesystems; i++)
                (void) domain_xml_add_filesystem(b, devices, s->filesystems + i);

        if (s->hotcpus && !container) {
                n = xml_add_leaf(b, devices, "channel", "type", "unix");
                xml_set(b, xml_add_leaf(b, n, "target", "type", "virtio"), "name", "org.qemu.guest_agent.0");
        }
        if (!container)
                (void) xml_add_leaf(b, devices, "serial", "type", "pty");
        (void) xml_add_leaf(b, devices, "console", "type", "pty");
}

static void add_domain(XmlBuilder *b, xmlNode *domain, const DomainSpec *s, const char *type) {
        bool container = streq(type, "lxc");
        char memory[32];

        xml_set(b, domain, "type", type);
        (void) xml_add(b, domain, "name", s->name);
        (void) snprintf(memory, sizeof(memory), "%" PRIu64, s->memory_kib);
        xml_set(b, xml_add(b, domain, "memory", memory), "unit", "KiB");
        add_cpus(b, domain, s);
        add_os(b, domain, s, container);
        if (streq(type, "kvm"))
                (void) xml_add_leaf(b, domain, "cpu", "mode", "host-model");
        add_devices(b, domain, s, container);
}

int domain_xml_make(const DomainSpec *s, const char *type, char **ret, Diag *reterr) {
        XmlBuilder b = { .reterr = reterr };
        _cleanup_(xml_freep) xmlDoc *document = xml_new(&b, "domain");

        add_domain(&b, document ? xmlDocGetRootElement(document) : NULL, s, type);
        return xml_print(&b, document, NULL, ret);
}

/* ---- reading ---- */

bool domain_xml_has_agent(const char *xml) {
        _cleanup_(xml_freep) xmlDoc *document = NULL;
        bool found = false;

        if (xml_parse(&document, xml, NULL) < 0)
                return false;
        xmlNode *devices = xml_child(xmlDocGetRootElement(document), NULL, "devices");
        for (xmlNode *n = xml_child(devices, NULL, "channel"); n && !found; n = xml_child(devices, n, "channel")) {
                xmlNode *target = xml_child(n, NULL, "target");
                found = xml_begins(target, "name", "org.qemu.guest_agent.") && xml_is(target, "state", "connected");
        }
        return found;
}
