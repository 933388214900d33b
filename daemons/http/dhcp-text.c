/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>

#include "common/macro.h"
#include "common/strbuf.h"
#include "daemons/http/dhcp-text.h"

int dhcp_parse_address(const char *s, uint32_t *ret) {
        struct in_addr a;

        if (inet_pton(AF_INET, s, &a) != 1)
                return -EINVAL;
        *ret = ntohl(a.s_addr);
        return 0;
}

static int parse_prefix(const char *s, unsigned *ret) {
        if (!isdigit((unsigned char) s[0]) || (s[1] && (!isdigit((unsigned char) s[1]) || s[2])) || (s[0] == '0' && s[1]))
                return -EINVAL;
        *ret = (unsigned) (s[0] - '0');
        if (s[1])
                *ret = *ret * 10 + (unsigned) (s[1] - '0');
        return *ret <= 32 ? 0 : -EINVAL;
}

int dhcp_parse_network(const char *s, uint32_t *ret, unsigned *ret_prefix) {
        const char *slash = strchr(s, '/');
        char address[DHCP_ADDRESS_TEXT];

        if (!slash || (size_t) (slash - s) >= sizeof(address))
                return -EINVAL;
        memcpy(address, s, (size_t) (slash - s));
        address[slash - s] = '\0';
        return dhcp_parse_address(address, ret) < 0 ? -EINVAL : parse_prefix(slash + 1, ret_prefix);
}

int dhcp_parse_mask(const char *s, unsigned *ret_prefix) {
        uint32_t mask;

        if (*s == '/')
                return parse_prefix(s + 1, ret_prefix);
        if (dhcp_parse_address(s, &mask) < 0)
                return -EINVAL;
        unsigned prefix = mask == 0 ? 0 : (unsigned) __builtin_clz(~mask | 1);
        if (mask == UINT32_MAX)
                prefix = 32;
        *ret_prefix = prefix;
        return dhcp_mask(prefix) == mask ? 0 : -EINVAL;
}

int dhcp_parse_mac(const char *s, uint8_t ret[static DHCP_MAC_SIZE]) {
        for (size_t i = 0; i < DHCP_MAC_SIZE; i++, s += 3) {
                if (strspn(s, "0123456789abcdef") != 2 || s[2] != (i + 1 < DHCP_MAC_SIZE ? ':' : '\0'))
                        return -EINVAL;
                ret[i] = (uint8_t) (hex_digit(s[0]) << 4 | hex_digit(s[1]));
        }
        return 0;
}

int dhcp_parse_boot(const char *s, const char **ret_host, size_t *ret_host_size, const char **ret_path) {
        const char *host = startswith(s, "tftp://"), *path = host ? strchr(host, '/') : NULL;

        if (!path || path == host || !path[1] || path - host > DHCP_OPTION_MAX || strlen(path) > DHCP_OPTION_MAX)
                return -EINVAL;
        *ret_host = host;
        *ret_host_size = (size_t) (path - host);
        *ret_path = path;
        return 0;
}

void dhcp_address_text(uint32_t address, char ret[static DHCP_ADDRESS_TEXT]) {
        (void) snprintf(ret, DHCP_ADDRESS_TEXT, "%u.%u.%u.%u", address >> 24, address >> 16 & 255, address >> 8 & 255, address & 255);
}
