/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the fields of the DHCP kinds are written in. Addresses are numbers, as the host counts. All of these give 0 or -EINVAL, and are
 * exact: nothing may stand before or behind. */

#include <stdbool.h>
#include <stdint.h>

#include "daemons/http/dhcp-packet.h"

int dhcp_parse_address(const char *s, uint32_t *ret);                           /* "192.0.2.1" */
int dhcp_parse_network(const char *s, uint32_t *ret, unsigned *ret_prefix);     /* "192.0.2.1/24" */
int dhcp_parse_mask(const char *s, unsigned *ret_prefix);                       /* "/24" or "255.255.255.0" */
int dhcp_parse_mac(const char *s, uint8_t ret[static DHCP_MAC_SIZE]);           /* "00:00:5e:00:53:01", in small letters */

/* "tftp://HOST/PATH". Where its parts are: *ret_host has no NUL at its end, *ret_path begins with the slash. */
int dhcp_parse_boot(const char *s, const char **ret_host, size_t *ret_host_size, const char **ret_path);

enum { DHCP_ADDRESS_TEXT = 16 };
void dhcp_address_text(uint32_t address, char ret[static DHCP_ADDRESS_TEXT]);

static inline uint32_t dhcp_mask(unsigned prefix) {
        return prefix == 0 ? 0 : UINT32_MAX << (32 - prefix);
}
