/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Packets of DHCP for IPv4 (RFC 2131, 2132), between servers and clients on Ethernet. Bytes in, bytes out. Addresses are numbers, as
 * the host counts. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum DhcpMessage {
        DHCP_DISCOVER = 1,
        DHCP_OFFER,
        DHCP_REQUEST,
        DHCP_DECLINE,
        DHCP_ACK,
        DHCP_NAK,
        DHCP_RELEASE,
        DHCP_INFORM,
} DhcpMessage;

typedef enum DhcpOption {
        DHCP_OPTION_PAD = 0,
        DHCP_OPTION_MASK = 1,
        DHCP_OPTION_ROUTERS = 3,
        DHCP_OPTION_DNS = 6,
        DHCP_OPTION_REQUESTED = 50,
        DHCP_OPTION_LEASE_TIME = 51,
        DHCP_OPTION_MESSAGE = 53,
        DHCP_OPTION_SERVER = 54,
        DHCP_OPTION_WANTED = 55,
        DHCP_OPTION_CLIENT = 61,
        DHCP_OPTION_BOOT_SERVER = 66,
        DHCP_OPTION_BOOT_FILE = 67,
        DHCP_OPTION_RELAY = 82,
        DHCP_OPTION_END = 255,
} DhcpOption;

enum {
        DHCP_MAC_SIZE = 6,
        DHCP_PACKET_MAX = 2048,
        DHCP_OPTION_MAX = 255,          /* bytes in one */
        DHCP_ADDRESSES_MAX = DHCP_OPTION_MAX / 4,
        DHCP_FLAG_BROADCAST = 0x8000,
};

typedef struct DhcpBytes {
        const uint8_t *data;
        size_t size;                    /* 0: there are none */
} DhcpBytes;

typedef struct DhcpRequest {
        DhcpMessage message;
        uint32_t xid;
        uint16_t flags;
        uint32_t ciaddr, siaddr, giaddr;
        uint8_t mac[DHCP_MAC_SIZE];
        uint32_t requested, server;     /* of options; 0: it is not there */
        DhcpBytes wanted;               /* options that the client asks for */
        DhcpBytes client, relay;        /* go back as they came */
} DhcpRequest;

/* What points into the packet does so for as long as that is there. -EBADMSG: it is no request of DHCP. -EPFNOSUPPORT: it is of a
 * network other than Ethernet. */
int dhcp_request_parse(const uint8_t *packet, size_t size, DhcpRequest *ret);
bool dhcp_request_wants(const DhcpRequest *q, DhcpOption option);

typedef struct DhcpReply {
        DhcpMessage message;
        uint32_t address;               /* 0 in a refusal */
        uint32_t server;                /* 0: it does not say who it is */
        bool has_lease_sec;
        uint32_t lease_sec;
        unsigned prefix;                /* of the mask; 0: none is sent */
        const uint32_t *routers, *dns;  /* at most DHCP_ADDRESSES_MAX each */
        size_t n_routers, n_dns;
        const char *boot_server, *boot_file;    /* NULL: not sent; else at most DHCP_OPTION_MAX bytes */
} DhcpReply;

size_t dhcp_reply_put(uint8_t ret[static DHCP_PACKET_MAX], const DhcpRequest *q, const DhcpReply *reply);
