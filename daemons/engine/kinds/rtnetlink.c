/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A few messages of a protocol that never changes: that needs no library. */

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>

#include "daemons/engine/kinds/rtnetlink.h"

enum { BUFFER_SIZE = 64 * 1024 };

/* ---- addresses ---- */

size_t rt_address_size(const RtAddress *a) {
        return a->family == AF_INET ? 4 : 16;
}

int rt_address_parse(const char *text, bool with_prefix, RtAddress *ret) {
        char copy[INET6_ADDRSTRLEN + 8];
        char *slash, *end;
        size_t n = strlen(text);

        if (n >= sizeof(copy))
                return -EINVAL;
        memcpy(copy, text, n + 1);
        slash = strchr(copy, '/');
        if (!slash != !with_prefix)
                return -EINVAL;
        if (slash)
                *slash = '\0';
        *ret = (RtAddress) { .family = strchr(copy, ':') ? AF_INET6 : AF_INET };
        if (inet_pton(ret->family, copy, ret->bytes) != 1)
                return -EINVAL;
        ret->prefix = (unsigned) rt_address_size(ret) * 8;
        if (!slash)
                return 0;
        if (slash[1] < '0' || slash[1] > '9')
                return -EINVAL;
        unsigned long prefix = strtoul(slash + 1, &end, 10);
        if (*end != '\0' || prefix > ret->prefix)
                return -EINVAL;
        ret->prefix = (unsigned) prefix;
        return 0;
}

void rt_address_text(const RtAddress *a, bool with_prefix, char *ret, size_t size) {
        char text[INET6_ADDRSTRLEN] = "?";

        (void) inet_ntop(a->family, a->bytes, text, sizeof(text));
        if (with_prefix)
                (void) snprintf(ret, size, "%s/%u", text, a->prefix);
        else
                (void) snprintf(ret, size, "%s", text);
}

bool rt_address_equal(const RtAddress *a, const RtAddress *b) {
        return a->family == b->family && a->prefix == b->prefix && memcmp(a->bytes, b->bytes, rt_address_size(a)) == 0;
}

RtAddress rt_address_network(const RtAddress *a) {
        RtAddress n = *a;

        for (unsigned bit = a->prefix; bit < rt_address_size(a) * 8; bit++)
                n.bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
        return n;
}

/* ---- requests ---- */

void rt_request_init(RtRequest *q, uint16_t type, uint16_t flags, const void *body, size_t size) {
        memset(q, 0, sizeof(*q));
        q->header.nlmsg_type = type;
        q->header.nlmsg_flags = (uint16_t) (NLM_F_REQUEST | flags);
        q->header.nlmsg_len = (uint32_t) NLMSG_LENGTH(size);
        memcpy(NLMSG_DATA(&q->header), body, size);
}

/* There is room for all that we ever add. */
void rt_request_add(RtRequest *q, uint16_t type, const void *data, size_t size) {
        struct rtattr *a = (struct rtattr *) ((uint8_t *) q + NLMSG_ALIGN(q->header.nlmsg_len));

        if (NLMSG_ALIGN(q->header.nlmsg_len) + RTA_SPACE(size) > sizeof(*q))
                abort();
        a->rta_type = type;
        a->rta_len = (unsigned short) RTA_LENGTH(size);
        memcpy(RTA_DATA(a), data, size);
        q->header.nlmsg_len = (uint32_t) (NLMSG_ALIGN(q->header.nlmsg_len) + RTA_SPACE(size));
}

int rt_open(uint32_t groups) {
        const struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = groups };
        _cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

        if (fd < 0 || bind(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;
        return TAKE_FD(fd);
}

/* The first message in what was received, or the one after m; NULL if there is none. (The macros of the header mix signed and unsigned
 * numbers.) */
static const struct nlmsghdr *next_message(const char *buffer, size_t size, const struct nlmsghdr *m) {
        size_t at = m ? (size_t) ((const char *) m - buffer) + NLMSG_ALIGN((size_t) m->nlmsg_len) : 0;

        if (at + sizeof(*m) > size)
                return NULL;
        m = (const struct nlmsghdr *) (buffer + at);
        return m->nlmsg_len >= sizeof(*m) && m->nlmsg_len <= size - at ? m : NULL;
}

static int send_request(int fd, const RtRequest *q) {
        const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

        return sendto(fd, q, q->header.nlmsg_len, 0, (const struct sockaddr *) &kernel, sizeof(kernel)) < 0 ? -errno : 0;
}

/* One datagram of answers: 1 if the last one was among them. */
static int receive(int fd, rt_message_t callback, void *userdata, bool *ret_changed) {
        _cleanup_free_ char *buffer = malloc(BUFFER_SIZE);
        int r;

        if (!buffer)
                return -ENOMEM;
        ssize_t n = recv(fd, buffer, BUFFER_SIZE, 0);
        if (n < 0)
                return -errno;
        for (const struct nlmsghdr *m = NULL; (m = next_message(buffer, (size_t) n, m));) {
                *ret_changed = *ret_changed || (m->nlmsg_flags & NLM_F_DUMP_INTR);
                if (m->nlmsg_type == NLMSG_DONE)
                        return 1;
                if (m->nlmsg_type == NLMSG_ERROR) {
                        const struct nlmsgerr *e = NLMSG_DATA(m);
                        return e->error < 0 ? e->error : 1;
                }
                r = callback ? callback(m, userdata) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

int rt_change(int fd, RtRequest *q) {
        bool changed = false;
        int r;

        q->header.nlmsg_flags |= NLM_F_ACK;
        r = send_request(fd, q);
        while (r == 0)
                r = receive(fd, NULL, NULL, &changed);
        return MIN(r, 0);
}

int rt_dump(int fd, uint16_t type, rt_message_t callback, void *userdata, bool *ret_changed) {
        const struct rtgenmsg body = { .rtgen_family = AF_UNSPEC };
        RtRequest q;
        int r;

        rt_request_init(&q, type, NLM_F_DUMP, &body, sizeof(body));
        r = send_request(fd, &q);
        while (r == 0)
                r = receive(fd, callback, userdata, ret_changed);
        return MIN(r, 0);
}

const void *rt_attribute(const struct nlmsghdr *m, size_t fixed, uint16_t type, size_t *ret_size) {
        const struct rtattr *a = (const struct rtattr *) ((const uint8_t *) NLMSG_DATA(m) + NLMSG_ALIGN(fixed));
        int left = (int) m->nlmsg_len - (int) NLMSG_SPACE(fixed);

        for (; RTA_OK(a, left); a = RTA_NEXT(a, left))
                if (a->rta_type == type) {
                        *ret_size = RTA_PAYLOAD(a);
                        return RTA_DATA(a);
                }
        return NULL;
}

bool rt_drain(int fd, bool (*callback)(const struct nlmsghdr *m, void *userdata), void *userdata) {
        _cleanup_free_ char *buffer = malloc(BUFFER_SIZE);
        bool any = !buffer;

        for (;;) {
                ssize_t n = buffer ? recv(fd, buffer, BUFFER_SIZE, 0) : -1;
                if (n < 0)
                        return any || errno == ENOBUFS;
                for (const struct nlmsghdr *m = NULL; (m = next_message(buffer, (size_t) n, m));)
                        any = any || callback(m, userdata);
        }
}
