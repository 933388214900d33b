/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A domain as libvirt's XML, made and read with libxml2, so that no name or path can become markup. Usable in any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/diag.h"
#include "daemons/virt/xml.h"

typedef struct DomainFile {
        char *source, *type;
} DomainFile;

typedef struct DomainNetwork {
        char *name, *mac;
} DomainNetwork;

typedef struct DomainFilesystem {
        char *access, *source, *target;
        bool read_only;
} DomainFilesystem;

/* What a domain is to consist of. Owns everything. */
typedef struct DomainSpec {
        char *name;
        uint64_t memory_kib;
        unsigned cpus, maxcpus;
        bool hotcpus;
        char *osinit;           /* containers only; "" if none */
        char **boot;
        DomainFile *disks;
        size_t n_disks;
        DomainFile *cdroms;
        size_t n_cdroms;
        DomainNetwork *networks;        /* mac "": libvirt chooses one */
        size_t n_networks;
        DomainFilesystem *filesystems;
        size_t n_filesystems;
} DomainSpec;

void domain_spec_done(DomainSpec *s);

/* type as libvirt's "type" attribute: "kvm", "qemu", "lxc", "test", … -EINVAL if a text cannot stand in XML. */
int domain_xml_make(const DomainSpec *s, const char *type, char **ret, Diag *reterr);

/* One device among others of its sort: with the next name that is free, where it needs one. Gives NULL with the builder's error. */
xmlNode *domain_xml_add_disk(XmlBuilder *b, xmlNode *devices, const DomainFile *f);
xmlNode *domain_xml_add_cdrom(XmlBuilder *b, xmlNode *devices, const DomainFile *f);
xmlNode *domain_xml_add_interface(XmlBuilder *b, xmlNode *devices, const DomainNetwork *w);
xmlNode *domain_xml_add_filesystem(XmlBuilder *b, xmlNode *devices, const DomainFilesystem *f);

/* Whether the description of a running domain says that the agent inside it is connected. */
bool domain_xml_has_agent(const char *xml);
