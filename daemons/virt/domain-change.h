/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Compares the description of a domain that exists with what it is to consist of, and makes another one of it in which all else
 * stays. Usable in any thread.
 *
 * A list of devices that is empty in the spec says nothing about them. One that is not says all of its sort: what is there and not
 * in the list goes. Of that sort are only disks that are files, and interfaces on networks of libvirt: others cannot be said in a
 * spec, so they stay. */

#include "common/diag.h"
#include "daemons/virt/domain-xml.h"

/* One thing that is not as it shall be, in the words of the fields. */
typedef struct DomainDifference {
        const char *field;      /* static */
        char *from, *to;        /* NULL: not there */
        enum {
                DOMAIN_COLD,    /* a running domain cannot have it without a restart */
                DOMAIN_ATTACH,  /* it can, by this device */
                DOMAIN_UPDATE,
        } how;
        char *device;
} DomainDifference;

typedef struct DomainDifferences {
        DomainDifference *items;
        size_t n, capacity;
} DomainDifferences;

void domain_differences_done(DomainDifferences *list);

/* *ret is NULL if nothing is wrong. */
int domain_xml_change(const char *text, const DomainSpec *s, DomainDifferences *list, char **ret, Diag *reterr);

/* What a description says of its memory. */
typedef struct DomainMemory {
        uint64_t maximum_kib, current_kib;
        bool balloon;           /* whether it can have less than the maximum */
} DomainMemory;

int domain_xml_read_memory(const char *text, DomainMemory *ret, Diag *reterr);
