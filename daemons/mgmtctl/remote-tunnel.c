/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See remote-tunnel.h. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <strings.h>

#include "common/http/connect.h"
#include "daemons/mgmtctl/remote-tunnel.h"

#define CONNECT_USEC (UINT64_C(5000) * 1000)

typedef struct Opening {
        MuxStream *stream;
        Connect *connect;
} Opening;

/* ---- endpoints ---- */

void remote_endpoints_done(RemoteEndpoints *e) {
        for (size_t i = 0; i < e->n; i++) {
                free(e->items[i].target);
                free(e->items[i].host);
        }
        *e = (RemoteEndpoints) {};
}

/* "HOST", "HOST:PORT", "[ADDRESS]:PORT" of a URL. */
static int parse_authority(RemoteEndpoint *ret, const char *text, size_t n, unsigned port) {
        const char *end = text + n, *host = text, *host_end = text[0] == '[' ? memchr(text, ']', n) : memchr(text, ':', n);
        bool brackets = text[0] == '[';
        char address[INET6_ADDRSTRLEN];
        struct in6_addr six;

        if (brackets && !host_end)
                return -EINVAL;
        host_end = host_end ?: end;
        host += brackets;
        const char *rest = host_end + brackets;
        if (rest < end) {
                char *number_end;
                unsigned long number = *rest == ':' ? strtoul(rest + 1, &number_end, 10) : 0;

                if (number == 0 || number > 65535 || number_end != end)
                        return -EINVAL;
                port = (unsigned) number;
        }
        ret->host = strndup(host, (size_t) (host_end - host));
        if (!ret->host)
                return -ENOMEM;
        if (!ret->host[0])
                return -EINVAL;
        ret->port = port;
        /* There are many ways to write one of these; a client says it in bytes. */
        if (brackets && (inet_pton(AF_INET6, ret->host, &six) != 1 || !inet_ntop(AF_INET6, &six, address, sizeof(address))))
                return -EINVAL;
        if (asprintf(&ret->target, brackets ? "[%s]:%u" : "%s:%u", brackets ? address : ret->host, port) < 0) {
                ret->target = NULL;
                return -ENOMEM;
        }
        return 0;
}

int remote_endpoints_parse(RemoteEndpoints *ret, const char *store, Diag *reterr) {
        const char *list = store ? startswith(store, "etcd:") : NULL;
        int r = 0;

        *ret = (RemoteEndpoints) {};
        for (size_t n; r >= 0 && list && *list; list += n + (list[n] == ',')) {
                n = strcspn(list, ",");
                bool tls = startswith(list, "https://") != NULL;
                const char *authority = startswith(list, "http://") ?: startswith(list, "https://");
                size_t length = authority ? strcspn(authority, ",/") : 0;

                if (ret->n >= REMOTE_ENDPOINTS_MAX)
                        return diag_set(reterr, (Pos) {}, -E2BIG, "MGMT_STORE has more than %d endpoints", REMOTE_ENDPOINTS_MAX);
                r = length > 0 ? parse_authority(&ret->items[ret->n++], authority, length, tls ? 443 : 80) : -EINVAL;
                if (r == -EINVAL)
                        r = diag_set(reterr, (Pos) {}, r, "'%.*s' in MGMT_STORE is no endpoint, expected 'https://HOST:PORT'",
                                     (int) n, list);
        }
        return r;
}

const RemoteEndpoint *remote_endpoints_find(const RemoteEndpoints *e, const char *target) {
        for (size_t i = 0; i < e->n; i++)
                if (strcasecmp(e->items[i].target, target) == 0)
                        return &e->items[i];
        return NULL;
}

/* What every host calls itself, or where it listens: nothing that another one could connect to. */
static bool is_local(const char *host) {
        struct in_addr four;
        struct in6_addr six;

        if (inet_pton(AF_INET, host, &four) == 1)
                return four.s_addr == htonl(INADDR_ANY) || ntohl(four.s_addr) >> 24 == IN_LOOPBACKNET;
        if (inet_pton(AF_INET6, host, &six) == 1)
                return IN6_IS_ADDR_UNSPECIFIED(&six) || IN6_IS_ADDR_LOOPBACK(&six);
        return strcasecmp(host, "localhost") == 0;
}

int remote_store_direct(const char *store, const RemoteEndpoints *e, char **ret) {
        _cleanup_(strbuf_done) StrBuf b = {};
        const char *list = startswith(store, "etcd:");

        for (size_t i = 0, n; list && *list && i < e->n; i++, list += n + (list[n] == ',')) {
                n = strcspn(list, ",");
                if (is_local(e->items[i].host))
                        continue;
                strbuf_puts(&b, b.size == 0 ? "etcd:" : ",");
                strbuf_add(&b, list, n);
        }
        if (b.size == 0 && !b.failed)
                return -ENOENT;
        *ret = strbuf_take(&b);
        return *ret ? 0 : -ENOMEM;
}

/* ---- connecting ---- */

static void on_connected(int fd, const char *problem, void *userdata) {
        Opening *o = userdata;
        MuxStream *s = o->stream;

        mux_set_owner(s, NULL);
        free(o);
        if (fd < 0)
                mux_close(s);
        else
                (void) mux_accept(s, fd);
}

void remote_tunnel_open(MuxStream *s, const char *target, const RemoteEndpoints *e, CurlLoop *loop) {
        const RemoteEndpoint *endpoint = remote_endpoints_find(e, target);
        Opening *o = endpoint ? calloc(1, sizeof(*o)) : NULL;

        if (!o) {
                mux_close(s);
                return;
        }
        o->stream = s;
        mux_set_owner(s, o);
        if (connect_start(loop, endpoint->host, endpoint->port, CONNECT_USEC, on_connected, o, &o->connect) < 0) {
                free(o);
                mux_close(s);
        }
}

void remote_tunnel_closed(MuxStream *s) {
        Opening *o = mux_owner(s);

        if (!o)
                return;
        connect_cancel(o->connect);
        free(o);
}
