/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Of options that come twice the first one counts; one whose size is wrong is passed over. */

#include "common/macro.h"
#include "daemons/http/dhcp-packet.h"

/* Where things are in a packet. */
enum {
        AT_OP = 0,
        AT_HTYPE = 1,
        AT_HLEN = 2,
        AT_XID = 4,
        AT_FLAGS = 10,
        AT_CIADDR = 12,
        AT_YIADDR = 16,
        AT_SIADDR = 20,
        AT_GIADDR = 24,
        AT_CHADDR = 28,
        AT_COOKIE = 236,
        AT_OPTIONS = 240,

        OP_REQUEST = 1,
        OP_REPLY = 2,
        HTYPE_ETHERNET = 1,
        REPLY_MIN = 300,                /* some expect as much as BOOTP had */
};

#define COOKIE UINT32_C(0x63825363)

static uint32_t get32(const uint8_t *p) {
        return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 | p[3];
}

static void put32(uint8_t *p, uint32_t n) {
        for (int i = 3; i >= 0; i--, n >>= 8)
                p[i] = (uint8_t) n;
}

/* ---- requests ---- */

static void take_address(const uint8_t *data, size_t size, uint32_t *ret) {
        if (size == 4 && *ret == 0)
                *ret = get32(data);
}

static void take_bytes(const uint8_t *data, size_t size, DhcpBytes *ret) {
        if (ret->size == 0)
                *ret = (DhcpBytes) { data, size };
}

static void take_option(DhcpRequest *q, uint8_t option, const uint8_t *data, size_t size) {
        switch (option) {
        case DHCP_OPTION_MESSAGE:
                if (size == 1 && q->message == 0)
                        q->message = data[0];
                break;
        case DHCP_OPTION_REQUESTED:
                take_address(data, size, &q->requested);
                break;
        case DHCP_OPTION_SERVER:
                take_address(data, size, &q->server);
                break;
        case DHCP_OPTION_WANTED:
                take_bytes(data, size, &q->wanted);
                break;
        case DHCP_OPTION_CLIENT:
                take_bytes(data, size, &q->client);
                break;
        case DHCP_OPTION_RELAY:
                take_bytes(data, size, &q->relay);
                break;
        }
}

static int parse_options(DhcpRequest *q, const uint8_t *at, const uint8_t *end) {
        while (at < end && *at != DHCP_OPTION_END) {
                uint8_t option = *at++;
                if (option == DHCP_OPTION_PAD)
                        continue;
                if (at == end || end - at - 1 < *at)
                        return -EBADMSG;
                take_option(q, option, at + 1, *at);
                at += 1 + *at;
        }
        return 0;
}

int dhcp_request_parse(const uint8_t *packet, size_t size, DhcpRequest *ret) {
        if (size < AT_OPTIONS || packet[AT_OP] != OP_REQUEST || get32(packet + AT_COOKIE) != COOKIE)
                return -EBADMSG;
        if (packet[AT_HTYPE] != HTYPE_ETHERNET || packet[AT_HLEN] != DHCP_MAC_SIZE)
                return -EPFNOSUPPORT;
        *ret = (DhcpRequest) {
                .xid = get32(packet + AT_XID),
                .flags = (uint16_t) (packet[AT_FLAGS] << 8 | packet[AT_FLAGS + 1]),
                .ciaddr = get32(packet + AT_CIADDR),
                .siaddr = get32(packet + AT_SIADDR),
                .giaddr = get32(packet + AT_GIADDR),
        };
        memcpy(ret->mac, packet + AT_CHADDR, DHCP_MAC_SIZE);
        int r = parse_options(ret, packet + AT_OPTIONS, packet + size);
        if (r < 0)
                return r;
        return ret->message >= DHCP_DISCOVER && ret->message <= DHCP_INFORM ? 0 : -EBADMSG;
}

bool dhcp_request_wants(const DhcpRequest *q, DhcpOption option) {
        return q->wanted.size > 0 && memchr(q->wanted.data, option, q->wanted.size);
}

/* ---- replies ---- */

static uint8_t *put_option(uint8_t *to, DhcpOption option, const void *data, size_t size) {
        *to++ = (uint8_t) option;
        *to++ = (uint8_t) size;
        memcpy(to, data, size);
        return to + size;
}

static uint8_t *put_number(uint8_t *to, DhcpOption option, uint32_t n) {
        uint8_t bytes[4];

        put32(bytes, n);
        return put_option(to, option, bytes, sizeof(bytes));
}

static uint8_t *put_addresses(uint8_t *to, DhcpOption option, const uint32_t *list, size_t n) {
        uint8_t bytes[DHCP_ADDRESSES_MAX * 4];

        n = MIN(n, (size_t) DHCP_ADDRESSES_MAX);
        if (n == 0)
                return to;
        for (size_t i = 0; i < n; i++)
                put32(bytes + 4 * i, list[i]);
        return put_option(to, option, bytes, 4 * n);
}

static uint8_t *put_text(uint8_t *to, DhcpOption option, const char *text) {
        return text ? put_option(to, option, text, MIN(strlen(text), (size_t) DHCP_OPTION_MAX)) : to;
}

static uint8_t *put_bytes(uint8_t *to, DhcpOption option, DhcpBytes bytes) {
        return bytes.size > 0 ? put_option(to, option, bytes.data, bytes.size) : to;
}

static void put_header(uint8_t *packet, const DhcpRequest *q, const DhcpReply *reply) {
        /* A client that is refused has no address that it could be reached at, which is what a relay has to know. */
        uint16_t flags = (uint16_t) (q->flags | (reply->message == DHCP_NAK ? DHCP_FLAG_BROADCAST : 0));

        packet[AT_OP] = OP_REPLY;
        packet[AT_HTYPE] = HTYPE_ETHERNET;
        packet[AT_HLEN] = DHCP_MAC_SIZE;
        put32(packet + AT_XID, q->xid);
        packet[AT_FLAGS] = (uint8_t) (flags >> 8);
        packet[AT_FLAGS + 1] = (uint8_t) flags;
        put32(packet + AT_CIADDR, reply->message == DHCP_ACK ? q->ciaddr : 0);
        put32(packet + AT_YIADDR, reply->address);
        put32(packet + AT_SIADDR, reply->message == DHCP_NAK ? 0 : reply->server);
        put32(packet + AT_GIADDR, q->giaddr);
        memcpy(packet + AT_CHADDR, q->mac, DHCP_MAC_SIZE);
        put32(packet + AT_COOKIE, COOKIE);
}

size_t dhcp_reply_put(uint8_t ret[static DHCP_PACKET_MAX], const DhcpRequest *q, const DhcpReply *reply) {
        const uint8_t message = (uint8_t) reply->message;
        uint8_t *to = ret + AT_OPTIONS;

        memset(ret, 0, DHCP_PACKET_MAX);
        put_header(ret, q, reply);
        to = put_option(to, DHCP_OPTION_MESSAGE, &message, 1);
        if (reply->server != 0)
                to = put_number(to, DHCP_OPTION_SERVER, reply->server);
        if (reply->has_lease_sec)
                to = put_number(to, DHCP_OPTION_LEASE_TIME, reply->lease_sec);
        if (reply->prefix > 0)
                to = put_number(to, DHCP_OPTION_MASK, UINT32_MAX << (32 - reply->prefix));
        to = put_addresses(to, DHCP_OPTION_ROUTERS, reply->routers, reply->n_routers);
        to = put_addresses(to, DHCP_OPTION_DNS, reply->dns, reply->n_dns);
        to = put_text(to, DHCP_OPTION_BOOT_SERVER, reply->boot_server);
        to = put_text(to, DHCP_OPTION_BOOT_FILE, reply->boot_file);
        to = put_bytes(to, DHCP_OPTION_CLIENT, q->client);
        to = put_bytes(to, DHCP_OPTION_RELAY, q->relay);
        *to++ = DHCP_OPTION_END;
        return MAX((size_t) (to - ret), (size_t) REPLY_MIN);
}
