/* SPDX-License-Identifier: GPL-3.0-or-later */

/* "02:00:00:00:00:01 192.0.2.5 1790000000": who, what, and until when, in seconds since 1970, since the clock of leases begins with the
 * machine; "forever", or "free". */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "common/io.h"
#include "common/strbuf.h"
#include "daemons/http/dhcp-leases.h"
#include "daemons/http/dhcp-store.h"
#include "daemons/http/dhcp-text.h"

#define USEC_PER_SEC UINT64_C(1000000)

enum { FILE_MAX = 64 * 1024 * 1024, LINES_MIN = 1000 };

static void put_line(StrBuf *b, const uint8_t mac[static DHCP_MAC_SIZE], uint32_t address, uint64_t until) {
        uint64_t now = dhcp_now();
        char text[DHCP_ADDRESS_TEXT];

        dhcp_address_text(address, text);
        strbuf_printf(b, "%02x:%02x:%02x:%02x:%02x:%02x %s ", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], text);
        if (until == 0)
                strbuf_puts(b, "free\n");
        else if (until == DHCP_FOREVER)
                strbuf_puts(b, "forever\n");
        else
                strbuf_printf(b, "%" PRIu64 "\n", (uint64_t) time(NULL) + (until > now ? (until - now) / USEC_PER_SEC : 0));
}

static bool parse_until(const char *s, uint64_t *ret) {
        uint64_t now = (uint64_t) time(NULL), then;
        char *end;

        if (streq(s, "free") || streq(s, "forever")) {
                *ret = streq(s, "free") ? 0 : DHCP_FOREVER;
                return true;
        }
        errno = 0;
        then = strtoull(s, &end, 10);
        if (errno != 0 || end == s || *end || *s == '-' || then > now + UINT32_MAX)
                return false;
        *ret = then > now ? dhcp_now() + (then - now) * USEC_PER_SEC : 0;
        return true;
}

static void take_line(DhcpPool *pool, char *line) {
        uint8_t mac[DHCP_MAC_SIZE];
        uint32_t address;
        uint64_t until;
        char *who = strsep(&line, " "), *what = strsep(&line, " ");

        if (!what || !line || dhcp_parse_mac(who, mac) < 0 || dhcp_parse_address(what, &address) < 0 || !parse_until(line, &until))
                return;
        if (until == 0)
                (void) dhcp_pool_give_back(pool, mac, address, 0);
        else
                dhcp_pool_restore(pool, mac, address, until);
}

typedef struct Writing {
        StrBuf text;
        size_t n;
} Writing;

static void write_lease(const uint8_t mac[static DHCP_MAC_SIZE], uint32_t address, uint64_t until, void *userdata) {
        Writing *w = userdata;

        put_line(&w->text, mac, address, until);
        w->n++;
}

static int write_anew(DhcpStore *s, const DhcpPool *pool) {
        Writing w = {};
        int r;

        dhcp_pool_each(pool, dhcp_now(), write_lease, &w);
        r = w.text.failed ? -ENOMEM : write_file_atomic_at(AT_FDCWD, s->path, w.text.data ? w.text.data : "", w.text.size, 0600, false);
        strbuf_done(&w.text);
        if (r >= 0)
                s->n_lines = w.n;
        return r;
}

static int read_leases(const char *path, DhcpPool *pool) {
        _cleanup_free_ char *text = NULL;
        char *next;
        int r;

        r = read_file_at(AT_FDCWD, path, FILE_MAX, &text, NULL);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        next = text;
        for (char *line; (line = strsep(&next, "\n"));)
                take_line(pool, line);
        return 0;
}

int dhcp_store_open(DhcpStore *s, char *path, DhcpPool *pool, bool pool_knows) {
        int r;

        dhcp_store_done(s);
        s->path = path;
        r = pool_knows ? 0 : read_leases(path, pool);
        return r < 0 ? r : write_anew(s, pool);
}

void dhcp_store_done(DhcpStore *s) {
        free(s->path);
        *s = (DhcpStore) {};
}

int dhcp_store_add(DhcpStore *s, const DhcpPool *pool, const uint8_t mac[static DHCP_MAC_SIZE], uint32_t address, uint64_t until) {
        _cleanup_(strbuf_done) StrBuf line = {};

        if (!s->path)
                return 0;
        if (s->n_lines > LINES_MIN + 4 * dhcp_pool_n_leases(pool, dhcp_now()))
                return write_anew(s, pool);
        put_line(&line, mac, address, until);
        if (line.failed)
                return -ENOMEM;
        _cleanup_close_ int fd = open(s->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        int r = fd < 0 ? -errno : write_all(fd, line.data, line.size);
        s->n_lines += r >= 0;
        return r;
}
