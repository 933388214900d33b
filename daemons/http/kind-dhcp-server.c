/* SPDX-License-Identifier: GPL-3.0-or-later */

/* dhcp:server: gives addresses to the hosts of one network. Who gets which say the resources in it: each dhcp:host knows its client,
 * and the ranges take the others. A client that wants an address which it cannot have is refused, if it is for us to say; who asks
 * another server, or is none of ours, gets no answer.
 *
 * Requests come to a broadcast address, so the socket is bound to the interface, and to no address. */

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <syslog.h>

#include <systemd/sd-event.h>

#include "common/duration.h"
#include "common/resource.h"
#include "common/sd/log.h"
#include "daemons/http/address.h"
#include "daemons/http/dhcp-child.h"
#include "daemons/http/dhcp-leases.h"
#include "daemons/http/dhcp-text.h"
#include "daemons/http/http-manager.h"

#define USEC_PER_SEC UINT64_C(1000000)

enum {
        CLIENT_PORT = 68,
        RELAY_PORT = 67,
        OFFER_SEC = 60,                 /* how long an address is kept for a client that was offered it */
        PACKETS_AT_ONCE = 16,           /* in one turn of the loop */
        BACKLOG_MAX = 4096,             /* more than a socket keeps */
};

typedef struct DhcpServer {
        Resource resource;
        char *address, *interface;
        char *serverid, *leasetime;     /* NULL: not given */
        char **dns, **routers;
        char *nbp;

        /* What they mean. */
        bool sends_lease_sec;
        uint32_t lease_sec;
        uint32_t dns_list[DHCP_ADDRESSES_MAX], routers_list[DHCP_ADDRESSES_MAX];
        size_t n_dns, n_routers;

        int fd;
        sd_event_source *io;            /* NULL: nobody is answered yet */
        KernelWatch *links;
        unsigned seen_index;            /* of the interface, to which the socket is bound; 0: it is not there */
        uint32_t seen_address;          /* what the interface had when it was looked at */
} DhcpServer;

static const FieldSpec dhcp_server_fields[] = {
        FIELD(DhcpServer, address, FIELD_STR, FIELD_IS_NAME,
              "Where to listen: 'host:port', the port usually 67; the host, if it is not empty, is the IPv4 address that says who answers."),
        FIELD(DhcpServer, interface, FIELD_STR, FIELD_REQUIRED, "The network interface of the network."),
        FIELD(DhcpServer, serverid, FIELD_STR, FIELD_OPTIONAL,
              "The IPv4 address that says who answers; '' for none. Where it is not given: the host in address, or the first address of "
              "the interface."),
        FIELD(DhcpServer, leasetime, FIELD_STR, FIELD_OPTIONAL,
              "How long a client may keep an address without asking again, such as '60s' or '1h30m'; '' says nothing of it. Ten minutes "
              "where it is not given."),
        FIELD(DhcpServer, dns, FIELD_STRV, 0, "IPv4 addresses of name servers."),
        FIELD(DhcpServer, routers, FIELD_STRV, 0, "IPv4 addresses of routers."),
        FIELD(DhcpServer, nbp, FIELD_STR, 0, "What clients that ask for it boot from the network: 'tftp://HOST/PATH'."),
        {}
};

/* ---- fields ---- */

static int parse_list(const Resource *r, const char *field, char *const *list, uint32_t *ret, size_t *ret_n, Diag *reterr) {
        size_t n = 0;

        for (; list && *list; list++, n++) {
                uint32_t address;
                if (dhcp_parse_address(*list, &address) < 0)
                        return resource_error(r, reterr, -EINVAL, "%s must be IPv4 addresses, got '%s'", field, *list);
                if (n >= DHCP_ADDRESSES_MAX)
                        return resource_error(r, reterr, -E2BIG, "%s must be at most %d", field, DHCP_ADDRESSES_MAX);
                ret[n] = address;
        }
        *ret_n = n;
        return 0;
}

static int parse_leasetime(const DhcpServer *s, uint32_t *ret, Diag *reterr) {
        const char *text = s->leasetime ? s->leasetime : "10m";

        *ret = 0;
        if (*text && (duration_parse(text, ret) < 0 || *ret == 0))
                return resource_error(&s->resource, reterr, -EINVAL, "leasetime must be a time such as '60s' or '1h30m', got '%s'", text);
        return 0;
}

/* The host in the address: 1 if there is one. */
static int host_of(const DhcpServer *s, uint32_t *ret) {
        const char *address = s->address;
        size_t n = strcspn(address, ":");
        char host[DHCP_ADDRESS_TEXT];

        if (n == 0)
                return 0;
        if (n >= sizeof(host))
                return -EINVAL;
        memcpy(host, address, n);
        host[n] = '\0';
        return dhcp_parse_address(host, ret) < 0 ? -EINVAL : 1;
}

static int dhcp_server_validate(const Resource *r, Diag *reterr) {
        const DhcpServer *s = (const DhcpServer *) r;
        uint32_t list[DHCP_ADDRESSES_MAX], number;
        const char *host, *path;
        size_t size;
        int k;

        k = address_validate(s->address, r->pos, reterr);
        if (k < 0)
                return k;
        if (host_of(s, &number) < 0)
                return resource_error(r, reterr, -EINVAL, "host of address must be empty or IPv4, got '%s'", s->address);
        if (!*s->interface || strlen(s->interface) >= IFNAMSIZ || strpbrk(s->interface, "/ \t\n"))
                return resource_error(r, reterr, -EINVAL, "interface must be the name of one, got '%s'", s->interface);
        if (s->serverid && *s->serverid && dhcp_parse_address(s->serverid, &number) < 0)
                return resource_error(r, reterr, -EINVAL, "serverid must be an IPv4 address, got '%s'", s->serverid);
        if (*s->nbp && dhcp_parse_boot(s->nbp, &host, &size, &path) < 0)
                return resource_error(r, reterr, -EINVAL, "nbp must be 'tftp://HOST/PATH', got '%s'", s->nbp);
        k = parse_leasetime(s, &number, reterr);
        if (k >= 0)
                k = parse_list(r, "dns", s->dns, list, &size, reterr);
        return k < 0 ? k : parse_list(r, "routers", s->routers, list, &size, reterr);
}

/* The first one, which the interface may get only later. 0: it has none. */
static uint32_t interface_address(const DhcpServer *s) {
        struct ifreq q = { .ifr_addr.sa_family = AF_INET };
        struct sockaddr_in a;

        _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        memcpy(q.ifr_name, s->interface, strlen(s->interface) + 1);     /* validated */
        if (fd < 0 || ioctl(fd, SIOCGIFADDR, &q) < 0)
                return 0;
        memcpy(&a, &q.ifr_addr, sizeof(a));
        return ntohl(a.sin_addr.s_addr);
}

static bool says_who(const DhcpServer *s) {
        return !s->serverid || *s->serverid;
}

static uint32_t server_id(const DhcpServer *s) {
        uint32_t id = 0;

        if (s->serverid)
                (void) (*s->serverid && dhcp_parse_address(s->serverid, &id));
        else if (host_of(s, &id) <= 0)
                id = interface_address(s);
        return id;
}

/* ---- who gets what ---- */

static DhcpChild *child_of(const DhcpServer *s, size_t i) {
        return (DhcpChild *) s->resource.children[i];
}

static DhcpChild *find_among(const DhcpServer *s, bool for_one, const DhcpClient *client, uint32_t *ret) {
        for (size_t i = 0; i < s->resource.n_children; i++) {
                DhcpChild *c = child_of(s, i);
                if (c->ops->for_one == for_one && c->ops->lease(c, client, ret))
                        return c;
        }
        return NULL;
}

/* Of those that know their client the first one; else of the others the first where it has an address, so that it keeps that also
 * when an earlier one is not exhausted any more; else the first that has one to give. */
static DhcpChild *find_lease(const DhcpServer *s, const DhcpClient *client, uint32_t *ret) {
        DhcpClient known = *client;
        DhcpChild *c = find_among(s, true, client, ret);

        known.only_known = true;
        if (!c && !client->only_wanted)
                c = find_among(s, false, &known, ret);
        return c ? c : find_among(s, false, client, ret);
}

static bool owns(const DhcpServer *s, uint32_t address) {
        for (size_t i = 0; i < s->resource.n_children; i++)
                if (child_of(s, i)->ops->owns(child_of(s, i), address))
                        return true;
        return false;
}

static void give_back(const DhcpServer *s, const DhcpRequest *q, uint32_t address, uint64_t declined_until) {
        for (size_t i = 0; i < s->resource.n_children; i++) {
                DhcpChild *c = child_of(s, i);
                if (c->ops->give_back)
                        c->ops->give_back(c, q->mac, address, declined_until);
        }
}

static uint64_t lease_end(const DhcpServer *s, const DhcpRequest *q, uint64_t now) {
        uint64_t sec = s->lease_sec;

        if (q->message == DHCP_DISCOVER)
                sec = s->sends_lease_sec ? MIN(sec, (uint64_t) OFFER_SEC) : (uint64_t) OFFER_SEC;
        else if (!s->sends_lease_sec || s->lease_sec == UINT32_MAX)
                return DHCP_FOREVER;
        return now + sec * USEC_PER_SEC;
}

/* ---- answers ---- */

typedef struct BootTexts {
        char host[DHCP_OPTION_MAX + 1];
} BootTexts;

static void fill_boot(const DhcpServer *s, const DhcpChild *c, const DhcpRequest *q, BootTexts *texts, DhcpReply *reply) {
        const char *nbp = *c->nbp ? c->nbp : s->nbp, *host = NULL, *path = NULL;
        size_t size = 0;

        if (*nbp && dhcp_parse_boot(nbp, &host, &size, &path) >= 0) {
                memcpy(texts->host, host, size);
                texts->host[size] = '\0';
        }
        if (host && dhcp_request_wants(q, DHCP_OPTION_BOOT_SERVER))
                reply->boot_server = texts->host;
        if (*c->nbp_path)
                path = c->nbp_path;
        if (path && dhcp_request_wants(q, DHCP_OPTION_BOOT_FILE))
                reply->boot_file = path;
}

static void fill_lease(const DhcpServer *s, const DhcpChild *c, const DhcpRequest *q, BootTexts *texts, DhcpReply *reply) {
        reply->has_lease_sec = s->sends_lease_sec;
        reply->lease_sec = s->lease_sec;
        reply->prefix = c->prefix;
        reply->routers = s->routers_list;
        reply->n_routers = s->n_routers;
        reply->dns = s->dns_list;
        reply->n_dns = dhcp_request_wants(q, DHCP_OPTION_DNS) ? s->n_dns : 0;
        fill_boot(s, c, q, texts, reply);
}

/* To a relay; to who is known to have the address; else to all. */
static void send_reply(const DhcpServer *s, const DhcpRequest *q, const DhcpReply *reply) {
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(CLIENT_PORT), .sin_addr.s_addr = htonl(INADDR_BROADCAST) };
        uint8_t packet[DHCP_PACKET_MAX];
        size_t size = dhcp_reply_put(packet, q, reply);

        if (q->giaddr != 0) {
                to.sin_addr.s_addr = htonl(q->giaddr);
                to.sin_port = htons(RELAY_PORT);
        } else if (reply->message != DHCP_NAK && q->ciaddr != 0)
                to.sin_addr.s_addr = htonl(q->ciaddr);
        (void) sendto(s->fd, packet, size, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *) &to, sizeof(to));
}

static void log_answer(const DhcpServer *s, const DhcpRequest *q, const DhcpReply *reply) {
        char address[DHCP_ADDRESS_TEXT];

        if (log_level() < LOG_DEBUG)
                return;
        dhcp_address_text(reply->address, address);
        log_debug("dhcp:server[%s]: %02x:%02x:%02x:%02x:%02x:%02x: %s %s", s->resource.name, q->mac[0], q->mac[1], q->mac[2], q->mac[3],
                  q->mac[4], q->mac[5], reply->message == DHCP_OFFER ? "offered" : reply->message == DHCP_ACK ? "has" : "cannot have",
                  address);
}

static void answer(DhcpServer *s, const DhcpRequest *q, uint32_t id) {
        bool commits = q->message == DHCP_REQUEST;
        DhcpClient client = { .wanted = q->requested ? q->requested : q->ciaddr, .only_wanted = commits, .now = dhcp_now() };
        DhcpReply reply = { .message = commits ? DHCP_ACK : DHCP_OFFER, .server = id };
        BootTexts texts;
        const DhcpChild *c;

        if (commits && client.wanted == 0)
                return;
        memcpy(client.mac, q->mac, DHCP_MAC_SIZE);
        client.until = lease_end(s, q, client.now);
        c = find_lease(s, &client, &reply.address);
        if (!c && (!commits || (!owns(s, client.wanted) && (q->server == 0 || q->server != id))))
                return;
        if (commits && (!c || reply.address != client.wanted)) {
                reply.message = DHCP_NAK;
                reply.address = 0;
        } else
                fill_lease(s, c, q, &texts, &reply);
        log_answer(s, q, &reply);
        send_reply(s, q, &reply);
}

static void take_request(DhcpServer *s, const DhcpRequest *q) {
        uint32_t id = server_id(s);

        if (id == 0 && says_who(s))                             /* the interface has lost its address */
                return;
        if ((q->siaddr != 0 && q->siaddr != id) || (q->server != 0 && q->server != id))
                return;
        switch (q->message) {
        case DHCP_DISCOVER:
        case DHCP_REQUEST:
                answer(s, q, id);
                break;
        case DHCP_DECLINE:
                give_back(s, q, q->requested, dhcp_now() + MAX(s->lease_sec, (uint32_t) OFFER_SEC) * USEC_PER_SEC);
                break;
        case DHCP_RELEASE:
                give_back(s, q, q->ciaddr, 0);
                break;
        default:
                break;
        }
}

static int on_packet(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        uint8_t packet[DHCP_PACKET_MAX];
        DhcpServer *s = userdata;
        DhcpRequest q;

        for (unsigned i = 0; i < PACKETS_AT_ONCE; i++) {
                ssize_t n = recv(fd, packet, sizeof(packet), MSG_DONTWAIT);
                if (n < 0)
                        return 0;
                if (dhcp_request_parse(packet, (size_t) n, &q) >= 0)
                        take_request(s, &q);
        }
        return 0;
}

/* ---- life ---- */

static int check_hosts(const DhcpServer *s, const DhcpChild *host, Diag *reterr) {
        for (size_t i = 0; i < s->resource.n_children; i++) {
                DhcpChild *c = child_of(s, i);
                char address[DHCP_ADDRESS_TEXT];
                dhcp_address_text(host->address, address);
                if (c != host && c->ops->for_one && c->address == host->address)
                        return resource_error(&host->resource, reterr, -EEXIST, "ip '%s' is that of %s[%s] as well", address,
                                              c->resource.type->kind, c->resource.name);
                if (c->ops->exclude)
                        c->ops->exclude(c, host->address);
        }
        return 0;
}

static int dhcp_server_init(Resource *r) {
        ((DhcpServer *) r)->fd = -EBADF;
        return 0;
}

/* What hosts have no range gives away, nor our own address. */
static int dhcp_server_prepare(Resource *r, Diag *reterr) {
        DhcpServer *s = (DhcpServer *) r;
        int k;

        k = parse_leasetime(s, &s->lease_sec, reterr);
        s->sends_lease_sec = s->lease_sec > 0;
        if (k >= 0)
                k = parse_list(r, "dns", s->dns, s->dns_list, &s->n_dns, reterr);
        if (k >= 0)
                k = parse_list(r, "routers", s->routers, s->routers_list, &s->n_routers, reterr);
        for (size_t i = 0; k >= 0 && i < r->n_children; i++)
                if (child_of(s, i)->ops->for_one)
                        k = check_hosts(s, child_of(s, i), reterr);
        return k;
}

static void exclude_ours(const DhcpServer *s) {
        uint32_t ours[2 + DHCP_ADDRESSES_MAX * 2] = { server_id(s), interface_address(s) };
        size_t n = 2;

        for (size_t i = 0; i < s->n_routers; i++)
                ours[n++] = s->routers_list[i];
        for (size_t i = 0; i < s->n_dns; i++)
                ours[n++] = s->dns_list[i];
        for (size_t i = 0; i < s->resource.n_children; i++)
                for (size_t k = 0; k < n; k++)
                        if (child_of(s, i)->ops->exclude)
                                child_of(s, i)->ops->exclude(child_of(s, i), ours[k]);
}

static int open_socket(const DhcpServer *s, int *ret) {
        struct sockaddr_storage where;
        struct sockaddr_in a = { .sin_family = AF_INET };
        socklen_t size;
        int yes = 1, r;

        r = address_resolve(s->address, &where, &size);
        if (r < 0)
                return r;
        a.sin_port = where.ss_family == AF_INET ? ((struct sockaddr_in *) &where)->sin_port : ((struct sockaddr_in6 *) &where)->sin6_port;
        _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, s->interface, (socklen_t) strlen(s->interface) + 1) < 0 ||
            setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &yes, sizeof(yes)) < 0 || bind(fd, (struct sockaddr *) &a, sizeof(a)) < 0)
                return -errno;
        *ret = TAKE_FD(fd);
        return 0;
}

static int cannot_listen(const DhcpServer *s, int error, Diag *reterr) {
        return resource_error(&s->resource, reterr, error, "cannot listen on '%s' of interface '%s': %m", s->address, s->interface);
}

static void stop(DhcpServer *s) {
        s->io = sd_event_source_disable_unref(s->io);
        closep(&s->fd);
        s->fd = -EBADF;
}

/* A socket stays with its interface. One that comes later is another one, whatever its name. */
static void on_links(void *userdata) {
        DhcpServer *s = userdata;
        unsigned index = if_nametoindex(s->interface);
        uint32_t address = interface_address(s);
        bool is_other = index != s->seen_index, moved = address != s->seen_address;

        s->seen_index = index;
        s->seen_address = address;
        if (is_other && s->fd >= 0) {
                stop(s);
                resource_watch_failed(&s->resource, resource_waiting(&s->resource, "the interface has gone"), NULL);
        }
        if (index > 0 && (is_other || moved))
                resource_changed(&s->resource);
}

static int dhcp_server_watch(Resource *r, Diag *reterr) {
        DhcpServer *s = (DhcpServer *) r;
        HttpManager *m = r->host->manager;
        int k;

        k = kernel_watch_new(&s->links, &m->kernel, r->host->event, KERNEL_LINKS, NULL, on_links, s);
        if (k < 0)
                return resource_error(r, reterr, k, "cannot watch network interfaces: %m");
        s->seen_index = if_nametoindex(s->interface);
        s->seen_address = interface_address(s);
        if (!r->meta.noop) {
                k = open_socket(s, &s->fd);
                if (k == -ENODEV)
                        return resource_waiting(r, "the interface is not there");
                if (k < 0)
                        return cannot_listen(s, k, reterr);
        }
        resource_armed(r);
        return 0;
}

static void dhcp_server_unwatch(Resource *r) {
        DhcpServer *s = (DhcpServer *) r;

        s->links = kernel_watch_free(s->links);
        stop(s);
}

/* Under noop nobody listens. If another process does, it is most likely the mgmt-http of the program that is in force. */
static int would_listen(DhcpServer *s, Diag *reterr) {
        _cleanup_close_ int fd = -EBADF;
        int k = open_socket(s, &fd);

        if (k == -EADDRINUSE)
                return CHECK_OK;
        if (k == -ENODEV)
                return resource_waiting(&s->resource, "the interface is not there");
        if (k < 0)
                return cannot_listen(s, k, reterr);
        resource_differs(&s->resource, "address", NULL, s->address);
        return CHECK_CHANGED;
}

static int start(DhcpServer *s) {
        uint8_t packet[1];

        exclude_ours(s);
        if (s->io)
                return 0;
        for (unsigned i = 0; i < BACKLOG_MAX && recv(s->fd, packet, sizeof(packet), MSG_DONTWAIT) >= 0; i++)
                ;
        return sd_event_add_io(s->resource.host->event, &s->io, s->fd, EPOLLIN, on_packet, s);
}

static int dhcp_server_check_apply(Resource *r, bool apply, Diag *reterr) {
        DhcpServer *s = (DhcpServer *) r;

        if (says_who(s) && server_id(s) == 0)
                return resource_error(r, reterr, -EADDRNOTAVAIL, "interface '%s' has no IPv4 address, and serverid is not given",
                                      s->interface);
        if (s->fd < 0)
                return apply ? CHECK_OK : would_listen(s, reterr);
        int k = apply ? start(s) : 0;
        return k < 0 ? resource_error(r, reterr, k, "cannot serve: %m") : CHECK_OK;
}

const ResourceType dhcp_server_type = {
        .kind = "dhcp:server",
        .doc = "A server for DHCP (IPv4) on one network. Who gets which address say the resources dhcp:host and dhcp:range in it.",
        .example = "dhcp:server \":67\" {\n"
                   "\tinterface => \"eth1\",\n"
                   "\tleasetime => \"1h\",\n"
                   "\trouters => [\"192.0.2.1\"],\n"
                   "\tdns => [\"192.0.2.1\"],\n"
                   "}\n",
        .size = sizeof(DhcpServer),
        .flags = RESOURCE_REFUSES_POLL,         /* without a watch, nobody would listen */
        .fields = dhcp_server_fields,
        .init = dhcp_server_init,
        .done = dhcp_server_unwatch,
        .validate = dhcp_server_validate,
        .prepare = dhcp_server_prepare,
        .watch = dhcp_server_watch,
        .unwatch = dhcp_server_unwatch,
        .check_apply = dhcp_server_check_apply,
};
