/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <arpa/inet.h>
#include <stdio.h>

#include "common/macro.h"
#include "daemons/virt/ipv4.h"

int ipv4_parse(const char *s, uint32_t *ret) {
        struct in_addr a;

        if (inet_pton(AF_INET, s, &a) != 1)
                return -EINVAL;
        *ret = ntohl(a.s_addr);
        return 0;
}

int ipv4_parse_net(const char *s, Ipv4Net *ret) {
        char address[IPV4_TEXT_MAX];
        size_t n = strcspn(s, "/");
        unsigned prefix = 0;

        if (n >= sizeof(address) || s[n] != '/')
                return -EINVAL;
        memcpy(address, s, n);
        address[n] = 0;
        const char *p = s + n + 1;
        if (!*p || (*p == '0' && p[1]))
                return -EINVAL;
        for (; *p; p++) {
                if (*p < '0' || *p > '9')
                        return -EINVAL;
                prefix = prefix * 10 + (unsigned) (*p - '0');
                if (prefix > 32)
                        return -EINVAL;
        }
        ret->prefix = prefix;
        return ipv4_parse(address, &ret->address);
}

uint32_t ipv4_mask(unsigned prefix) {
        return prefix == 0 ? 0 : UINT32_MAX << (32 - prefix);
}

int ipv4_parse_mask(const char *s, unsigned *ret_prefix) {
        uint32_t mask;
        int r;

        r = ipv4_parse(s, &mask);
        if (r < 0)
                return r;
        for (unsigned prefix = 0; prefix <= 32; prefix++)
                if (ipv4_mask(prefix) == mask) {
                        *ret_prefix = prefix;
                        return 0;
                }
        return -EINVAL;
}

const char *ipv4_text(uint32_t address, char ret[static IPV4_TEXT_MAX]) {
        (void) snprintf(ret, IPV4_TEXT_MAX, "%u.%u.%u.%u", address >> 24, address >> 16 & 255, address >> 8 & 255, address & 255);
        return ret;
}

bool ipv4_contains(Ipv4Net net, uint32_t address) {
        return ((net.address ^ address) & ipv4_mask(net.prefix)) == 0;
}

bool ipv4_is_usable(Ipv4Net net, uint32_t address) {
        uint32_t hosts = ~ipv4_mask(net.prefix);

        if (!ipv4_contains(net, address))
                return false;
        return net.prefix > 30 || ((address & hosts) != 0 && (address & hosts) != hosts);
}
