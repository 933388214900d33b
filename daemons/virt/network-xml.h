/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A network as libvirt's XML. Usable in any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/diag.h"
#include "common/difference.h"
#include "daemons/virt/ipv4.h"

/* Who gets which address. */
typedef struct NetworkHost {
        char *mac;              /* lower case */
        char *name;             /* "" if none */
        uint32_t address;
} NetworkHost;

typedef struct NetworkRange {
        uint32_t start, end;
} NetworkRange;

/* What DHCP is told of a network: what is wanted, or what there is. Owns everything. */
typedef struct NetworkEntries {
        NetworkHost *hosts;
        size_t n_hosts, hosts_capacity;
        NetworkRange *ranges;
        size_t n_ranges, ranges_capacity;
} NetworkEntries;

typedef struct NetworkSpec {
        char *name;
        char *uuid;             /* "": libvirt chooses it */
        char *device, *mode, *mac;
        Ipv4Net ip;             /* the router's address */
        NetworkEntries entries;
} NetworkSpec;

void network_spec_done(NetworkSpec *s);
void network_entries_done(NetworkEntries *e);
int network_entries_add_host(NetworkEntries *e, const char *mac, const char *name, uint32_t address);
int network_entries_add_range(NetworkEntries *e, uint32_t start, uint32_t end);

/* -EINVAL if a text cannot stand in XML. */
int network_xml_make(const NetworkSpec *s, char **ret, Diag *reterr);
int network_host_xml(const NetworkHost *h, char **ret, Diag *reterr);
int network_range_xml(const NetworkRange *r, char **ret, Diag *reterr);

/* Makes text say what is wanted, but for the entries; all else in it stays, except for entries that the new net has no place for.
 * What was wrong is added to list (NULL: need not be told). *ret is NULL if nothing was. *ret_identity: the UUID was, which cannot
 * change in place. -EINVAL: it has several addresses, none of them ours. */
int network_xml_change(const char *text, const NetworkSpec *s, Differences *list, char **ret, bool *ret_identity, Diag *reterr);

/* The entries at our address, and which of the network's addresses that is; -ENOENT if it has none of ours. */
int network_xml_read_entries(const char *text, const NetworkSpec *s, NetworkEntries *ret, int *ret_index, Diag *reterr);
