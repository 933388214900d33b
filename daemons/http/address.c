/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Names of hosts are refused on purpose: looking them up can block, and can give another answer next time. */

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>

#include "common/macro.h"
#include "daemons/http/address.h"

enum { HOST_MAX = 64, PORT_MAX = 32 };

static int address_split(const char *address, char ret_host[static HOST_MAX], char ret_port[static PORT_MAX]) {
        const char *host = address, *colon = strrchr(address, ':');

        if (!colon)
                return -EINVAL;

        size_t host_size = (size_t) (colon - address), port_size = strlen(colon + 1);
        if (host[0] == '[') {
                if (host_size < 2 || host[host_size - 1] != ']')
                        return -EINVAL;
                host++;
                host_size -= 2;
        } else if (memchr(host, ':', host_size))
                return -EINVAL;
        if (host_size >= HOST_MAX || port_size == 0 || port_size >= PORT_MAX)
                return -EINVAL;

        memcpy(ret_host, host, host_size);
        ret_host[host_size] = 0;
        memcpy(ret_port, colon + 1, port_size + 1);
        return 0;
}

static bool is_port(const char *s) {
        if (strspn(s, "0123456789") == strlen(s))
                return strlen(s) <= 5 && strtoul(s, NULL, 10) <= 65535;
        return strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == strlen(s);
}

static bool is_host(const char *s) {
        char address[HOST_MAX];
        struct in6_addr buffer;

        if (s[0] == 0)
                return true;
        (void) snprintf(address, sizeof(address), "%.*s", (int) strcspn(s, "%"), s);    /* fe80::1%eth0 */
        return inet_pton(AF_INET, s, &buffer) == 1 || inet_pton(AF_INET6, address, &buffer) == 1;
}

int address_validate(const char *address, Pos pos, Diag *reterr) {
        char host[HOST_MAX], port[PORT_MAX];

        if (address_split(address, host, port) < 0)
                return diag_set(reterr, pos, -EINVAL, "address must be 'host:port' (or ':port'), got '%s'", address);
        if (!is_host(host))
                return diag_set(reterr, pos, -EINVAL, "host of address must be empty or a literal IP address, got '%s'",
                                host);
        if (!is_port(port))
                return diag_set(reterr, pos, -EINVAL, "port of address must be 0 to 65535 or a service name, got '%s'", port);
        return 0;
}

static bool have_ipv6(void) {
        _cleanup_close_ int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

        return fd >= 0;
}

int address_resolve(const char *address, struct sockaddr_storage *ret, socklen_t *ret_size) {
        char host[HOST_MAX], port[PORT_MAX];
        struct addrinfo hints = {
                .ai_family = AF_UNSPEC,
                .ai_flags = AI_NUMERICHOST | AI_PASSIVE,
        };
        struct addrinfo *list;
        int r;

        r = address_split(address, host, port);
        if (r < 0)
                return r;
        if (host[0] == 0)               /* one IPv6 socket takes both */
                hints.ai_family = have_ipv6() ? AF_INET6 : AF_INET;

        r = getaddrinfo(host[0] ? host : NULL, port, &hints, &list);
        if (r != 0)
                return r == EAI_SYSTEM ? -errno : r == EAI_MEMORY ? -ENOMEM : -EADDRNOTAVAIL;

        memcpy(ret, list->ai_addr, list->ai_addrlen);
        *ret_size = list->ai_addrlen;
        freeaddrinfo(list);
        return 0;
}

bool address_is_loopback(const struct sockaddr *a) {
        if (a->sa_family == AF_INET)
                return ntohl(((const struct sockaddr_in *) a)->sin_addr.s_addr) >> 24 == 127;
        if (a->sa_family != AF_INET6)
                return false;
        const struct in6_addr *six = &((const struct sockaddr_in6 *) a)->sin6_addr;
        return IN6_IS_ADDR_LOOPBACK(six) || (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == 127);
}

int address_try(const char *address) {
        struct sockaddr_storage a;
        int yes = 1, no = 0, r;
        socklen_t size;

        r = address_resolve(address, &a, &size);
        if (r < 0)
                return r;
        _cleanup_close_ int fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0)
                return -errno;
        if (a.ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no)) < 0)
                return -errno;
        return bind(fd, (const struct sockaddr *) &a, size) < 0 ? -errno : 0;
}
