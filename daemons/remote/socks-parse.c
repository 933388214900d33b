/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The bytes of SOCKS 5; see socks.h. */

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>

#include "daemons/remote/socks.h"

enum {
        SOCKS_VERSION = 5,
        SOCKS_NO_AUTHENTICATION = 0,
        SOCKS_CONNECT = 1,
        ADDRESS_IPV4 = 1,
        ADDRESS_NAME = 3,
        ADDRESS_IPV6 = 4,
        REQUEST_HEAD = 4,       /* version, command, reserved, type of the address */
};

int socks_parse_greeting(const char *data, size_t n, size_t *ret_size) {
        if (n > 0 && data[0] != SOCKS_VERSION)
                return -EPROTO;
        if (n < 2 || n < 2 + (size_t) (uint8_t) data[1])
                return 0;
        if (!memchr(data + 2, SOCKS_NO_AUTHENTICATION, (uint8_t) data[1]))
                return -EPROTO;
        *ret_size = 2 + (size_t) (uint8_t) data[1];
        return 1;
}

static bool is_name(const char *name, size_t n) {
        for (size_t i = 0; i < n; i++) {
                char c = name[i];

                if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '.' && c != '-' && c != '_')
                        return false;
        }
        return n > 0;
}

int socks_parse_request(const char *data, size_t n, size_t *ret_size, char ret_target[static MUX_TARGET_MAX]) {
        char text[INET6_ADDRSTRLEN];
        size_t length;

        if (n <= REQUEST_HEAD)
                return 0;
        if (data[0] != SOCKS_VERSION || data[1] != SOCKS_CONNECT)
                return -EPROTO;
        const char *address = data + REQUEST_HEAD;
        switch (data[3]) {
        case ADDRESS_IPV4:
                length = 4;
                break;
        case ADDRESS_IPV6:
                length = 16;
                break;
        case ADDRESS_NAME:
                length = (uint8_t) *address++;
                break;
        default:
                return -EPROTO;
        }
        if (n < (size_t) (address - data) + length + 2)
                return 0;
        const char *end = address + length;
        unsigned port = (unsigned) (uint8_t) end[0] << 8 | (uint8_t) end[1];

        if (data[3] == ADDRESS_NAME) {
                if (!is_name(address, length))
                        return -EPROTO;
                (void) snprintf(ret_target, MUX_TARGET_MAX, "%.*s:%u", (int) length, address, port);
        } else {
                bool six = data[3] == ADDRESS_IPV6;

                if (!inet_ntop(six ? AF_INET6 : AF_INET, address, text, sizeof(text)))
                        return -EPROTO;
                (void) snprintf(ret_target, MUX_TARGET_MAX, six ? "[%s]:%u" : "%s:%u", text, port);
        }
        *ret_size = (size_t) (end + 2 - data);
        return 1;
}
