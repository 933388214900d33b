/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Whatever a client sends, the reply to it fits, and echoes nothing that is not in the request. */

#include <stdlib.h>

#include "common/duration.h"
#include "common/macro.h"
#include "daemons/http/dhcp-packet.h"
#include "daemons/http/dhcp-text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_inside(DhcpBytes b, const uint8_t *data, size_t size) {
        return b.size == 0 || (b.data >= data && b.data + b.size <= data + size && b.size <= DHCP_OPTION_MAX);
}

static void parse_texts(const char *s) {
        uint8_t mac[DHCP_MAC_SIZE];
        const char *host, *path;
        unsigned prefix;
        uint32_t n;
        size_t k;

        if (dhcp_parse_network(s, &n, &prefix) >= 0 && prefix > 32)
                abort();
        if (dhcp_parse_mask(s, &prefix) >= 0 && prefix > 32)
                abort();
        if (dhcp_parse_boot(s, &host, &k, &path) >= 0 && (host + k != path || k == 0))
                abort();
        (void) dhcp_parse_mac(s, mac);
        (void) duration_parse(s, &n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const uint32_t list[DHCP_ADDRESSES_MAX];
        uint8_t reply[DHCP_PACKET_MAX];
        DhcpRequest q;

        if (dhcp_request_parse(data, size, &q) >= 0) {
                const DhcpReply r = {
                        .message = q.message == DHCP_DISCOVER ? DHCP_OFFER : DHCP_NAK,
                        .server = 1, .has_lease_sec = true, .prefix = 24,
                        .routers = list, .n_routers = DHCP_ADDRESSES_MAX, .dns = list, .n_dns = DHCP_ADDRESSES_MAX,
                };
                if (!is_inside(q.wanted, data, size) || !is_inside(q.client, data, size) || !is_inside(q.relay, data, size))
                        abort();
                (void) dhcp_request_wants(&q, DHCP_OPTION_DNS);
                size_t n = dhcp_reply_put(reply, &q, &r);
                if (n < 300 || n > sizeof(reply))
                        abort();
        }
        _cleanup_free_ char *text = strndup((const char *) data, size);
        if (text)
                parse_texts(text);
        return 0;
}
