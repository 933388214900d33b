/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Addresses of IPv4 as numbers, in host order. */

#include <stdbool.h>
#include <stdint.h>

typedef struct Ipv4Net {
        uint32_t address;       /* of one host in it */
        unsigned prefix;        /* 0 to 32 */
} Ipv4Net;

enum { IPV4_TEXT_MAX = 16 };

int ipv4_parse(const char *s, uint32_t *ret);           /* four decimal numbers; -EINVAL */
int ipv4_parse_net(const char *s, Ipv4Net *ret);        /* "192.168.1.1/24"; -EINVAL */
int ipv4_parse_mask(const char *s, unsigned *ret_prefix);       /* "255.255.255.0"; -EINVAL, also where it has holes */
const char *ipv4_text(uint32_t address, char ret[static IPV4_TEXT_MAX]);
uint32_t ipv4_mask(unsigned prefix);

bool ipv4_contains(Ipv4Net net, uint32_t address);
/* In the net, and neither its own address nor the one for broadcasts, which there are up to a prefix of 30. */
bool ipv4_is_usable(Ipv4Net net, uint32_t address);
