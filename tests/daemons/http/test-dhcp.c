/* SPDX-License-Identifier: GPL-3.0-or-later */

/* dhcp:server, dhcp:host and dhcp:range: what their fields mean, packets, who gets which address; and a server on the loopback interface
 * of a network namespace, asked over real sockets. */

#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/duration.h"
#include "common/io.h"
#include "daemons/http/dhcp-leases.h"
#include "daemons/http/dhcp-packet.h"
#include "daemons/http/dhcp-pool.h"
#include "daemons/http/dhcp-store.h"
#include "daemons/http/dhcp-text.h"
#include "daemons/http/http-manager.h"
#include "daemons/http/kinds.h"
#include "tests/daemons/testhost.h"
#include "tests/namespace.h"
#include "tests/test.h"

#define IP(a, b, c, d) ((uint32_t) (a) << 24 | (uint32_t) (b) << 16 | (uint32_t) (c) << 8 | (uint32_t) (d))

/* ---- texts ---- */

TEST(networks_and_masks) {
        static const struct {
                const char *text;
                int prefix;             /* -1: it is none */
        } networks[] = { { "10.0.0.1/24", 24 }, { "10.0.0.1/0", 0 }, { "10.0.0.1/32", 32 }, { "10.0.0.1", -1 }, { "10.0.0.1/33", -1 },
                         { "10.0.0.1/", -1 }, { "10.0.0.1/024", -1 }, { "10.0.0.1/-1", -1 }, { "10.0.0/24", -1 }, { "::1/64", -1 },
                         { "10.0.0.1/24 ", -1 }, { "100.100.100.1000/24", -1 } },
          masks[] = { { "/24", 24 }, { "255.255.255.0", 24 }, { "255.255.255.255", 32 }, { "0.0.0.0", 0 }, { "255.255.255.254", 31 },
                      { "255.0.255.0", -1 }, { "0.0.0.255", -1 }, { "24", -1 }, { "", -1 } };
        uint32_t address;
        unsigned prefix;

        for (size_t i = 0; i < ELEMENTSOF(networks); i++) {
                int r = dhcp_parse_network(networks[i].text, &address, &prefix);
                if ((r < 0) != (networks[i].prefix < 0) || (r >= 0 && (int) prefix != networks[i].prefix))
                        TEST_FAIL("'%s'", networks[i].text);
        }
        for (size_t i = 0; i < ELEMENTSOF(masks); i++) {
                int r = dhcp_parse_mask(masks[i].text, &prefix);
                if ((r < 0) != (masks[i].prefix < 0) || (r >= 0 && (int) prefix != masks[i].prefix))
                        TEST_FAIL("'%s'", masks[i].text);
        }
}

TEST(durations) {
        static const struct {
                const char *text;
                int64_t sec;            /* -1: it is none */
        } cases[] = { { "60s", 60 }, { "10m", 600 }, { "1h42m13s", 6133 }, { "1.5h", 5400 }, { "1500ms", 1 }, { "0s", 0 }, { ".5m", 30 },
                      { "", -1 }, { "60", -1 }, { "s", -1 }, { "-1s", -1 }, { "1d", -1 }, { "1s ", -1 }, { "1e3s", -1 }, { ".s", -1 },
                      { "99999999999h", -1 }, { "1µs", 0 } };
        uint32_t sec;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                int r = duration_parse(cases[i].text, &sec);
                if ((r < 0) != (cases[i].sec < 0) || (r >= 0 && sec != cases[i].sec))
                        TEST_FAIL("'%s' is %d, %u", cases[i].text, r, sec);
        }
}

TEST(macs_and_what_is_booted) {
        static const char *const bad_macs[] = { "", "00:00:5e:00:53", "00:00:5e:00:53:01:02", "00:00:5E:00:53:01", "0:0:5e:0:53:1",
                                                "00-00-5e-00-53-01", "00:00:5e:00:53:0g", "00:00:5e:00:53:011" },
                          *const bad_boots[] = { "", "http://a/b", "tftp://", "tftp://a", "tftp://a/", "tftp:///b", "a/b" };
        static const uint8_t want[DHCP_MAC_SIZE] = { 0, 0, 0x5e, 0, 0x53, 0xf1 };
        uint8_t mac[DHCP_MAC_SIZE];
        const char *host, *path;
        size_t size;

        CHECK_INT(dhcp_parse_mac("00:00:5e:00:53:f1", mac), 0);
        CHECK(memcmp(mac, want, sizeof(mac)) == 0);
        for (size_t i = 0; i < ELEMENTSOF(bad_macs); i++)
                if (dhcp_parse_mac(bad_macs[i], mac) >= 0)
                        TEST_FAIL("'%s'", bad_macs[i]);
        CHECK_INT(dhcp_parse_boot("tftp://10.0.0.1/a/b", &host, &size, &path), 0);
        CHECK_INT(size, 8);
        CHECK_STR(path, "/a/b");
        for (size_t i = 0; i < ELEMENTSOF(bad_boots); i++)
                if (dhcp_parse_boot(bad_boots[i], &host, &size, &path) >= 0)
                        TEST_FAIL("'%s'", bad_boots[i]);
}

/* ---- pools ---- */

static bool lease(DhcpPool *p, uint8_t client, uint32_t wanted, bool only, uint64_t now, uint32_t *ret) {
        const uint8_t mac[DHCP_MAC_SIZE] = { 2, 0, 0, 0, 0, client };

        *ret = 0;
        return dhcp_pool_lease(p, mac, wanted, only, now, now + 100, ret);
}

TEST(leases) {
        static const uint8_t third[DHCP_MAC_SIZE] = { 2, 0, 0, 0, 0, 3 };
        _cleanup_(dhcp_pool_freep) DhcpPool *p = NULL, *next = NULL;
        uint32_t a;

        REQUIRE(dhcp_pool_new(&p, IP(10, 0, 0, 1), IP(10, 0, 0, 4)) >= 0);
        CHECK_INT(dhcp_pool_exclude(p, IP(10, 0, 0, 2)), 0);
        CHECK_INT(dhcp_pool_exclude(p, IP(10, 0, 0, 2)), 0);
        CHECK_INT(dhcp_pool_exclude(p, IP(10, 0, 0, 5)), -ERANGE);
        CHECK(lease(p, 1, 0, false, 0, &a) && a == IP(10, 0, 0, 1));
        CHECK(lease(p, 2, IP(10, 0, 0, 4), false, 0, &a) && a == IP(10, 0, 0, 4));
        CHECK(lease(p, 1, IP(10, 0, 0, 3), false, 50, &a) && a == IP(10, 0, 0, 1));     /* it has one */
        CHECK(!lease(p, 3, IP(10, 0, 0, 1), true, 50, &a));
        CHECK(!lease(p, 3, IP(10, 0, 0, 2), true, 50, &a));
        CHECK(!lease(p, 3, IP(9, 0, 0, 1), true, 50, &a));
        CHECK(lease(p, 3, IP(10, 0, 0, 2), false, 50, &a) && a == IP(10, 0, 0, 3));
        CHECK(!lease(p, 4, 0, false, 99, &a));
        CHECK(lease(p, 4, 0, false, 100, &a) && a == IP(10, 0, 0, 4));                  /* the second one's has expired */
        CHECK(!lease(p, 2, 0, false, 100, &a));
        CHECK_INT(dhcp_pool_n_leases(p, 100), 3);
        CHECK_INT(dhcp_pool_n_leases(p, 1000), 0);

        dhcp_pool_give_back(p, third, IP(10, 0, 0, 1), 0);      /* not its own */
        CHECK(!lease(p, 5, 0, false, 100, &a));
        dhcp_pool_give_back(p, third, IP(10, 0, 0, 3), 400);    /* somebody else uses it */
        CHECK(!lease(p, 5, 0, false, 140, &a));
        dhcp_pool_give_back(p, (const uint8_t[]) { 2, 0, 0, 0, 0, 4 }, IP(10, 0, 0, 4), 0);
        CHECK(lease(p, 5, 0, false, 140, &a) && a == IP(10, 0, 0, 4));
        CHECK(lease(p, 6, 0, false, 200, &a) && a == IP(10, 0, 0, 1));
        CHECK(!lease(p, 7, 0, false, 200, &a));
        CHECK(lease(p, 5, 0, false, 239, &a));
        CHECK(lease(p, 6, 0, false, 299, &a));
        CHECK(!lease(p, 7, 0, false, 300, &a));
        CHECK(lease(p, 5, 0, false, 338, &a));
        CHECK(lease(p, 7, 0, false, 400, &a) && a == IP(10, 0, 0, 1));
        CHECK(lease(p, 8, 0, false, 400, &a) && a == IP(10, 0, 0, 3));

        REQUIRE(dhcp_pool_new(&next, IP(10, 0, 0, 3), IP(10, 0, 0, 9)) >= 0);
        CHECK_INT(dhcp_pool_exclude(next, IP(10, 0, 0, 4)), 0);
        dhcp_pool_adopt(next, p, 400);
        CHECK_INT(dhcp_pool_n_leases(next, 400), 1);
        CHECK(lease(next, 8, 0, false, 400, &a) && a == IP(10, 0, 0, 3));
        CHECK(lease(next, 7, 0, false, 400, &a) && a == IP(10, 0, 0, 5));
}

static void put_text(const char *path, const char *text) {
        CHECK_INT(write_file_atomic_at(AT_FDCWD, path, text, strlen(text), 0600, false), 0);
}

static unsigned n_lines(const char *path) {
        _cleanup_free_ char *text = NULL;
        unsigned n = 0;

        CHECK_INT(read_file_at(AT_FDCWD, path, 1 << 20, &text, NULL), 0);
        for (const char *p = text; p && *p; p++)
                n += *p == '\n';
        return n;
}

TEST(leases_outlive_the_daemon) {
        static const uint8_t first[DHCP_MAC_SIZE] = { 2, 0, 0, 0, 0, 1 }, second[DHCP_MAC_SIZE] = { 2, 0, 0, 0, 0, 2 };
        char dir[] = "/tmp/test-dhcp-XXXXXX", path[64];
        uint64_t now = dhcp_now(), hour = now + UINT64_C(3600000000);
        DhcpStore store = {};
        uint32_t a;

        REQUIRE(mkdtemp(dir));
        (void) snprintf(path, sizeof(path), "%s/leases", dir);
        for (int round = 0; round < 3; round++) {
                _cleanup_(dhcp_pool_freep) DhcpPool *p = NULL;
                REQUIRE(dhcp_pool_new(&p, IP(10, 0, 0, 1), IP(10, 0, 0, 9)) >= 0);
                CHECK_INT(dhcp_store_open(&store, strdup(path), p, false), 0);
                CHECK_INT(dhcp_pool_n_leases(p, now), round);
                if (round == 0) {
                        CHECK(dhcp_pool_lease(p, first, IP(10, 0, 0, 7), true, now, hour, &a));
                        CHECK_INT(dhcp_store_add(&store, p, first, a, hour), 0);
                        CHECK(dhcp_pool_lease(p, second, 0, false, now, DHCP_FOREVER, &a));
                        CHECK_INT(dhcp_store_add(&store, p, second, a, DHCP_FOREVER), 0);
                        CHECK(dhcp_pool_give_back(p, second, a, 0));
                        CHECK_INT(dhcp_store_add(&store, p, second, a, 0), 0);
                        CHECK(!dhcp_pool_give_back(p, second, a, 0));
                        CHECK_INT(n_lines(path), 3);
                } else if (round == 1) {
                        CHECK_INT(n_lines(path), 1);
                        CHECK(dhcp_pool_lease(p, first, 0, false, now, now, &a) && a == IP(10, 0, 0, 7));
                        CHECK(dhcp_pool_lease(p, second, IP(10, 0, 0, 8), true, now, DHCP_FOREVER, &a));
                        for (int i = 0; i < 3000; i++)
                                CHECK_INT(dhcp_store_add(&store, p, second, a, DHCP_FOREVER), 0);
                        CHECK(n_lines(path) < 1100);
                }
        }
        _cleanup_(dhcp_pool_freep) DhcpPool *p = NULL;
        REQUIRE(dhcp_pool_new(&p, IP(10, 0, 0, 1), IP(10, 0, 0, 9)) >= 0);
        CHECK_INT(dhcp_pool_exclude(p, IP(10, 0, 0, 5)), 0);
        put_text(path, "nonsense\n\n02:00:00:00:00:01 10.0.0.3 forever\n02:00:00:00:00:01 10.0.0.4 forever\n02:00:00:00:00:02 10.0.0.5 forever\n"
                       "02:00:00:00:00:03 10.0.1.1 forever\n02:00:00:00:00:04 10.0.0.6 1000\n02:00:00:00:00:05 10.0.0.7 99999999999999\n"
                       "02:00:00:00:00:06 10.0.0.8 x\n02:00:00:00:00:07 10.0.0.9\n02:00:00:00:00:08 10.0.0.9 -1\n02:00:00:00:00:09 10.0.0.2 for");
        CHECK_INT(dhcp_store_open(&store, strdup(path), p, false), 0);
        CHECK_INT(dhcp_pool_n_leases(p, now), 1);
        CHECK(dhcp_pool_lease(p, first, 0, false, now, now, &a) && a == IP(10, 0, 0, 4));
        put_text(path, "02:00:00:00:00:02 10.0.0.6 forever\n");
        CHECK_INT(dhcp_store_open(&store, strdup(path), p, true), 0);
        CHECK_INT(dhcp_pool_n_leases(p, now), 1);
        CHECK_INT(n_lines(path), 1);
        dhcp_store_done(&store);
        CHECK_INT(dhcp_store_add(&store, p, first, a, hour), 0);        /* nothing is kept */
        (void) remove_tree(dir);
}

TEST(a_large_range_ends_somewhere) {
        _cleanup_(dhcp_pool_freep) DhcpPool *p = NULL;
        uint32_t a, n = 0;

        REQUIRE(dhcp_pool_new(&p, IP(10, 0, 0, 1), IP(10, 255, 255, 254)) >= 0);
        for (uint32_t i = 0; i < DHCP_POOL_MAX; i++) {
                const uint8_t mac[DHCP_MAC_SIZE] = { 2, 0, 0, (uint8_t) (i >> 16), (uint8_t) (i >> 8), (uint8_t) i };
                n += dhcp_pool_lease(p, mac, 0, false, 0, 100, &a) && a == IP(10, 0, 0, 1) + i;
        }
        CHECK_INT(n, DHCP_POOL_MAX);
        CHECK(!lease(p, 1, 0, false, 0, &a) || a < IP(10, 2, 0, 0));
        CHECK(dhcp_pool_contains(p, IP(10, 0, 255, 255)));
        CHECK(!dhcp_pool_contains(p, IP(10, 1, 0, 1)));
}

/* ---- packets ---- */

typedef struct Packet {
        uint8_t data[DHCP_PACKET_MAX];
        size_t size;
} Packet;

static void set32(uint8_t *at, uint32_t n) {
        for (int i = 3; i >= 0; i--, n >>= 8)
                at[i] = (uint8_t) n;
}

static uint32_t read32(const uint8_t *at) {
        return IP(at[0], at[1], at[2], at[3]);
}

static Packet request(DhcpMessage message, uint8_t client) {
        Packet p = { .size = 240 };
        const uint8_t mac[DHCP_MAC_SIZE] = { 2, 0, 0, 0, 0, client };

        p.data[0] = 1;
        p.data[1] = 1;
        p.data[2] = DHCP_MAC_SIZE;
        set32(p.data + 4, 0x12345678);
        memcpy(p.data + 28, mac, sizeof(mac));
        set32(p.data + 236, 0x63825363);
        p.data[p.size++] = DHCP_OPTION_MESSAGE;
        p.data[p.size++] = 1;
        p.data[p.size++] = (uint8_t) message;
        return p;
}

static void add_option(Packet *p, uint8_t option, const void *data, size_t size) {
        p->data[p->size++] = option;
        p->data[p->size++] = (uint8_t) size;
        memcpy(p->data + p->size, data, size);
        p->size += size;
}

static void add_address(Packet *p, uint8_t option, uint32_t address) {
        uint8_t bytes[4];

        set32(bytes, address);
        add_option(p, option, bytes, sizeof(bytes));
}

/* The option's place in a reply, or NULL. */
static const uint8_t *find_option(const Packet *p, uint8_t option, size_t *ret_size) {
        for (size_t i = 240; i + 1 < p->size && p->data[i] != DHCP_OPTION_END; i += 2 + p->data[i + 1])
                if (p->data[i] == option) {
                        *ret_size = p->data[i + 1];
                        return p->data + i + 2;
                }
        return NULL;
}

static uint32_t option_number(const Packet *p, uint8_t option) {
        size_t size;
        const uint8_t *at = find_option(p, option, &size);

        return !at ? 0 : size == 1 ? *at : size >= 4 ? read32(at) : 0;
}

TEST(requests) {
        DhcpRequest q;
        Packet p = request(DHCP_REQUEST, 7);

        add_address(&p, DHCP_OPTION_REQUESTED, IP(10, 0, 0, 7));
        p.data[p.size++] = DHCP_OPTION_PAD;
        add_address(&p, DHCP_OPTION_SERVER, IP(10, 0, 0, 1));
        add_address(&p, DHCP_OPTION_SERVER, IP(10, 0, 0, 2));
        add_option(&p, DHCP_OPTION_WANTED, "\1\3\6", 3);
        CHECK_INT(dhcp_request_parse(p.data, p.size, &q), 0);           /* an end is not insisted upon */
        CHECK_INT(q.message, DHCP_REQUEST);
        CHECK_INT(q.requested, IP(10, 0, 0, 7));
        CHECK_INT(q.server, IP(10, 0, 0, 1));
        CHECK(dhcp_request_wants(&q, 6) && !dhcp_request_wants(&q, 66));
        for (size_t n = 0; n < p.size; n++) {
                int r = dhcp_request_parse(p.data, n, &q);
                CHECK(r == 0 || r == -EBADMSG);
        }
        p.data[0] = 2;
        CHECK_INT(dhcp_request_parse(p.data, p.size, &q), -EBADMSG);
        p = request(9, 1);
        CHECK_INT(dhcp_request_parse(p.data, p.size, &q), -EBADMSG);
        p = request(DHCP_DISCOVER, 1);
        p.data[2] = 16;
        CHECK_INT(dhcp_request_parse(p.data, p.size, &q), -EPFNOSUPPORT);
        p = request(DHCP_DISCOVER, 1);
        add_option(&p, DHCP_OPTION_REQUESTED, "abc", 3);
        CHECK_INT(dhcp_request_parse(p.data, p.size, &q), 0);
        CHECK_INT(q.requested, 0);
}

/* All options as long as they can be. */
TEST(the_longest_reply_fits) {
        static char text[400];
        uint32_t list[DHCP_ADDRESSES_MAX] = {};
        Packet p = request(DHCP_DISCOVER, 1), reply;
        DhcpRequest q;

        memset(text, 'x', sizeof(text) - 1);
        add_option(&p, DHCP_OPTION_CLIENT, text, 255);
        add_option(&p, DHCP_OPTION_RELAY, text, 255);
        REQUIRE(dhcp_request_parse(p.data, p.size, &q) == 0);
        reply.size = dhcp_reply_put(reply.data, &q, &(DhcpReply) {
                .message = DHCP_OFFER, .address = 1, .server = 2, .has_lease_sec = true, .prefix = 24, .routers = list, .dns = list,
                .n_routers = DHCP_ADDRESSES_MAX, .n_dns = DHCP_ADDRESSES_MAX, .boot_server = text, .boot_file = text });
        CHECK(reply.size < DHCP_PACKET_MAX);
        CHECK_INT(reply.data[reply.size - 1], DHCP_OPTION_END);
}

/* ---- a server ---- */

typedef struct Fixture {
        sd_event *event;
        HttpManager manager;
        TestHost host;
        Resource *server;
        int fd;                         /* the client's */
        Packet reply;
} Fixture;

static const ResourceType *kind(const char *name) {
        return resource_type_find(http_kinds, name);
}

static bool bring_up_loopback(void) {
        struct ifreq q = { .ifr_name = "lo", .ifr_flags = IFF_UP };
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        bool up = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &q) >= 0;

        closep(&fd);
        return up;
}

static bool setup(Fixture *f) {
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(68) };

        *f = (Fixture) {};
        f->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        return bind(f->fd, (struct sockaddr *) &a, sizeof(a)) >= 0 && sd_event_new(&f->event) >= 0 &&
               http_manager_init(&f->manager, f->event) >= 0 && testhost_init(&f->host, f->event, &f->manager, NULL) >= 0;
}

static void teardown(Fixture *f) {
        testhost_free(f->server);
        testhost_done(&f->host);
        http_manager_done(&f->manager);
        sd_event_unref(f->event);
        closep(&f->fd);
}

static void serve(Fixture *f, Resource *server, Resource **children, size_t n) {
        if (!server) {
                TEST_FAIL("%s", f->host.diag.message);
                return;
        }
        for (size_t i = 0; i < n; i++)
                if (!children[i] || resource_add_child(server, children[i]) < 0)
                        TEST_FAIL("child %zu: %s", i, f->host.diag.message);
        f->server = server;
        CHECK_INT(testhost_watch(&f->host, server), 0);
        CHECK_INT(testhost_check(&f->host, server, true), CHECK_OK);
}

static bool arrived(void *userdata) {
        Fixture *f = userdata;
        ssize_t n = recv(f->fd, f->reply.data, sizeof(f->reply.data), MSG_DONTWAIT);

        f->reply.size = (size_t) MAX(n, (ssize_t) 0);
        return n >= 0;
}

/* What is answered: the message, or 0 for none. */
static unsigned ask(Fixture *f, Packet *p) {
        const struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(67), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

        p->data[p->size++] = DHCP_OPTION_END;
        CHECK_INT(sendto(f->fd, p->data, p->size, 0, (const struct sockaddr *) &to, sizeof(to)), p->size);
        return testhost_until(&f->host, arrived, f, 60) ? option_number(&f->reply, DHCP_OPTION_MESSAGE) : 0;
}

static uint32_t offered(const Fixture *f) {
        return read32(f->reply.data + 16);
}

/* Gets what it is offered. */
static uint32_t get_address(Fixture *f, uint8_t client) {
        Packet p = request(DHCP_DISCOVER, client);

        if (ask(f, &p) != DHCP_OFFER)
                return 0;
        uint32_t address = offered(f);
        p = request(DHCP_REQUEST, client);
        add_address(&p, DHCP_OPTION_REQUESTED, address);
        add_address(&p, DHCP_OPTION_SERVER, option_number(&f->reply, DHCP_OPTION_SERVER));
        return ask(f, &p) == DHCP_ACK && offered(f) == address ? address : 0;
}

static Resource *make_server(Fixture *f) {
        return testhost_resource(&f->host, kind("dhcp:server"), ":67", "interface", "\"lo\"", "serverid", "\"10.0.0.1\"", "leasetime",
                                 "\"1h\"", "dns", "[\"10.0.0.2\", \"10.0.0.3\"]", "routers", "[\"10.0.0.254\"]", "nbp",
                                 "\"tftp://10.0.0.4/boot\"", NULL);
}

static void serve_all(Fixture *f) {
        Resource *children[] = {
                testhost_resource(&f->host, kind("dhcp:range"), "10.0.0.0/29", "skip", "[\"10.0.0.5\", \"10.0.0.6/29\"]", NULL),
                testhost_resource(&f->host, kind("dhcp:host"), "h", "mac", "\"02:00:00:00:00:09\"", "ip", "\"10.0.0.4/8\"", "nbp_path", "\"x\"", NULL),
        };

        serve(f, make_server(f), children, 2);
}

static int answers(void) {
        size_t size;
        Fixture f;

        if (!unshare_as_root(CLONE_NEWNET) || !bring_up_loopback())
                return 77;
        CHECK(setup(&f));
        serve_all(&f);

        /* The range has .1 to .6: .1 to .3 are the server and name servers, .4 is the host's, the others are skipped. */
        Packet p = request(DHCP_DISCOVER, 1);
        CHECK_INT(ask(&f, &p), 0);
        testhost_free(f.server);
        Resource *range = testhost_resource(&f.host, kind("dhcp:range"), "r", "from", "\"10.0.0.3\"", "to", "\"10.0.0.6\"", "mask", "\"/24\"", NULL);
        Resource *host = testhost_resource(&f.host, kind("dhcp:host"), "h", "mac", "\"02:00:00:00:00:09\"", "ip", "\"10.0.0.4/8\"",
                                           "nbp_path", "\"x\"", NULL);
        serve(&f, make_server(&f), (Resource *[]) { range, host }, 2);

        p = request(DHCP_DISCOVER, 1);
        add_option(&p, DHCP_OPTION_WANTED, "\1\3\6\x42\x43", 5);
        add_option(&p, DHCP_OPTION_CLIENT, "\1me", 3);
        add_option(&p, DHCP_OPTION_RELAY, "relay", 5);
        CHECK_INT(ask(&f, &p), DHCP_OFFER);
        CHECK_INT(f.reply.size >= 300, 1);
        CHECK_INT(offered(&f), IP(10, 0, 0, 5));
        CHECK_INT(read32(f.reply.data + 4), 0x12345678);
        CHECK_INT(option_number(&f.reply, DHCP_OPTION_SERVER), IP(10, 0, 0, 1));
        CHECK_INT(option_number(&f.reply, DHCP_OPTION_LEASE_TIME), 3600);
        CHECK_INT(option_number(&f.reply, DHCP_OPTION_MASK), IP(255, 255, 255, 0));
        CHECK_INT(option_number(&f.reply, DHCP_OPTION_ROUTERS), IP(10, 0, 0, 254));
        const uint8_t *at = find_option(&f.reply, DHCP_OPTION_DNS, &size);
        CHECK(at && size == 8 && read32(at) == IP(10, 0, 0, 2) && read32(at + 4) == IP(10, 0, 0, 3));
        at = find_option(&f.reply, DHCP_OPTION_BOOT_SERVER, &size);
        CHECK(at && size == 8 && memcmp(at, "10.0.0.4", 8) == 0);
        at = find_option(&f.reply, DHCP_OPTION_BOOT_FILE, &size);
        CHECK(at && size == 5 && memcmp(at, "/boot", 5) == 0);
        at = find_option(&f.reply, DHCP_OPTION_CLIENT, &size);
        CHECK(at && size == 3 && memcmp(at, "\1me", 3) == 0);
        at = find_option(&f.reply, DHCP_OPTION_RELAY, &size);
        CHECK(at && size == 5);

        CHECK_INT(get_address(&f, 1), IP(10, 0, 0, 5));
        CHECK(!find_option(&f.reply, DHCP_OPTION_DNS, &size));          /* not asked for */
        CHECK(find_option(&f.reply, DHCP_OPTION_ROUTERS, &size));
        CHECK_INT(get_address(&f, 1), IP(10, 0, 0, 5));
        CHECK_INT(get_address(&f, 2), IP(10, 0, 0, 6));
        CHECK_INT(get_address(&f, 3), 0);                               /* there are no more */
        CHECK_INT(get_address(&f, 9), IP(10, 0, 0, 4));                 /* but for whom it knows */
        p = request(DHCP_DISCOVER, 9);
        add_option(&p, DHCP_OPTION_WANTED, "\x43", 1);
        CHECK_INT(ask(&f, &p), DHCP_OFFER);
        CHECK_INT(option_number(&f.reply, DHCP_OPTION_MASK), IP(255, 0, 0, 0));
        at = find_option(&f.reply, DHCP_OPTION_BOOT_FILE, &size);
        CHECK(at && size == 1 && *at == 'x');
        CHECK(!find_option(&f.reply, DHCP_OPTION_BOOT_SERVER, &size));

        /* Again, by who has an address; what is another's; what we know nothing of; what is for another server. */
        p = request(DHCP_REQUEST, 1);
        add_address(&p, DHCP_OPTION_REQUESTED, IP(10, 0, 0, 5));
        CHECK_INT(ask(&f, &p), DHCP_ACK);
        p = request(DHCP_REQUEST, 1);
        add_address(&p, DHCP_OPTION_REQUESTED, IP(10, 0, 0, 6));
        CHECK_INT(ask(&f, &p), DHCP_NAK);
        CHECK_INT(offered(&f), 0);
        CHECK(!find_option(&f.reply, DHCP_OPTION_MASK, &size));
        CHECK(f.reply.data[10] & 0x80);
        p = request(DHCP_REQUEST, 9);
        add_address(&p, DHCP_OPTION_REQUESTED, IP(10, 0, 0, 5));
        CHECK_INT(ask(&f, &p), DHCP_NAK);
        p = request(DHCP_REQUEST, 4);
        add_address(&p, DHCP_OPTION_REQUESTED, IP(10, 0, 0, 4));        /* the host's */
        CHECK_INT(ask(&f, &p), DHCP_NAK);
        p = request(DHCP_REQUEST, 4);
        add_address(&p, DHCP_OPTION_REQUESTED, IP(192, 168, 0, 1));
        CHECK_INT(ask(&f, &p), 0);
        p = request(DHCP_REQUEST, 1);
        add_address(&p, DHCP_OPTION_REQUESTED, IP(10, 0, 0, 5));
        add_address(&p, DHCP_OPTION_SERVER, IP(10, 0, 0, 99));
        CHECK_INT(ask(&f, &p), 0);
        p = request(DHCP_DISCOVER, 1);
        set32(p.data + 20, IP(10, 0, 0, 99));
        CHECK_INT(ask(&f, &p), 0);
        p = request(DHCP_REQUEST, 1);
        CHECK_INT(ask(&f, &p), 0);                                      /* of nothing */
        p = request(DHCP_INFORM, 1);
        CHECK_INT(ask(&f, &p), 0);

        /* What is given back is free; what was found in use is not. */
        p = request(DHCP_RELEASE, 2);
        set32(p.data + 12, IP(10, 0, 0, 6));
        CHECK_INT(ask(&f, &p), 0);
        CHECK_INT(get_address(&f, 3), IP(10, 0, 0, 6));
        p = request(DHCP_DECLINE, 3);
        add_address(&p, DHCP_OPTION_REQUESTED, IP(10, 0, 0, 6));
        CHECK_INT(ask(&f, &p), 0);
        CHECK_INT(get_address(&f, 3), 0);

        /* Another server of the name, with another range: who has something keeps it. */
        testhost_free(f.server);
        range = testhost_resource(&f.host, kind("dhcp:range"), "r", "from", "\"10.0.0.4\"", "to", "\"10.0.0.9\"", "mask", "\"/24\"", NULL);
        serve(&f, make_server(&f), (Resource *[]) { range }, 1);
        CHECK_INT(get_address(&f, 5), IP(10, 0, 0, 4));
        CHECK_INT(get_address(&f, 6), IP(10, 0, 0, 6));
        CHECK_INT(get_address(&f, 1), IP(10, 0, 0, 5));
        p = request(DHCP_REQUEST, 8);                                   /* one that was here before a restart, say */
        add_address(&p, DHCP_OPTION_REQUESTED, IP(10, 0, 0, 8));
        CHECK_INT(ask(&f, &p), DHCP_ACK);
        teardown(&f);
        return 0;
}

TEST(a_server_answers) {
        int r = in_child(answers);

        if (r == 77)
                TEST_SKIP("no private network namespace here");
        CHECK_INT(r, 0);
}

/* Also where an earlier range has one again. */
static int keeps(void) {
        Fixture f;

        if (!unshare_as_root(CLONE_NEWNET) || !bring_up_loopback())
                return 77;
        CHECK(setup(&f));
        Resource *ranges[] = {
                testhost_resource(&f.host, kind("dhcp:range"), "a", "from", "\"10.0.0.5\"", "to", "\"10.0.0.5\"", "mask", "\"/24\"", NULL),
                testhost_resource(&f.host, kind("dhcp:range"), "b", "from", "\"10.0.0.6\"", "to", "\"10.0.0.7\"", "mask", "\"/24\"", NULL),
        };
        serve(&f, make_server(&f), ranges, 2);
        CHECK_INT(get_address(&f, 1), IP(10, 0, 0, 5));
        CHECK_INT(get_address(&f, 2), IP(10, 0, 0, 6));
        Packet p = request(DHCP_RELEASE, 1);
        set32(p.data + 12, IP(10, 0, 0, 5));
        CHECK_INT(ask(&f, &p), 0);
        CHECK_INT(get_address(&f, 2), IP(10, 0, 0, 6));
        CHECK_INT(get_address(&f, 3), IP(10, 0, 0, 5));
        teardown(&f);
        return 0;
}

TEST(a_client_keeps_its_address) {
        int r = in_child(keeps);

        if (r == 77)
                TEST_SKIP("no private network namespace here");
        CHECK_INT(r, 0);
}

static int gate(void) {
        Fixture f;

        if (!unshare_as_root(CLONE_NEWNET) || !bring_up_loopback())
                return 77;
        CHECK(setup(&f));
        f.server = make_server(&f);
        Resource *range = testhost_resource(&f.host, kind("dhcp:range"), "10.0.0.0/28", NULL);
        CHECK(range && resource_add_child(f.server, range) >= 0);
        CHECK_INT(testhost_watch(&f.host, f.server), 0);
        Packet p = request(DHCP_DISCOVER, 1);
        CHECK_INT(ask(&f, &p), 0);
        CHECK_INT(testhost_check(&f.host, f.server, true), CHECK_OK);
        CHECK(!testhost_until(&f.host, arrived, &f, 50));               /* what came before is not answered */
        p = request(DHCP_DISCOVER, 1);
        CHECK_INT(ask(&f, &p), DHCP_OFFER);
        teardown(&f);

        /* An interface that is not there is waited for; one without an address does not say who it is. */
        CHECK(setup(&f));
        f.server = testhost_resource(&f.host, kind("dhcp:server"), ":67", "interface", "\"eth9\"", NULL);
        CHECK_INT(testhost_watch(&f.host, f.server), -EAGAIN);
        CHECK_INT(testhost_check(&f.host, f.server, true), -EADDRNOTAVAIL);
        teardown(&f);

        CHECK(setup(&f));
        f.server = make_server(&f);
        f.server->meta.noop = true;
        CHECK_INT(testhost_watch(&f.host, f.server), 0);
        CHECK_INT(testhost_check(&f.host, f.server, false), CHECK_CHANGED);
        teardown(&f);
        return 0;
}

TEST(nobody_is_answered_before_all_is_right) {
        int r = in_child(gate);

        if (r == 77)
                TEST_SKIP("no private network namespace here");
        CHECK_INT(r, 0);
}

static bool make_bridge(bool there) {
        _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        return fd >= 0 && ioctl(fd, there ? SIOCBRADDBR : SIOCBRDELBR, "br9") >= 0;
}

static bool is_changed(void *userdata) {
        const Fixture *f = userdata;

        return f->host.n_changed > 0;
}

static bool is_lost(void *userdata) {
        const Fixture *f = userdata;

        return f->host.watch_error < 0;
}

/* It comes, goes, and another one of the name comes. */
static int changing_interface(void) {
        Fixture f;

        if (!unshare_as_root(CLONE_NEWNET) || !bring_up_loopback())
                return 77;
        CHECK(setup(&f));
        f.server = testhost_resource(&f.host, kind("dhcp:server"), "10.0.0.1:67", "interface", "\"br9\"", NULL);
        CHECK_INT(testhost_watch(&f.host, f.server), -EAGAIN);
        if (!make_bridge(true)) {
                teardown(&f);
                return 77;
        }
        CHECK(testhost_until(&f.host, is_changed, &f, PATIENCE_MSEC));
        testhost_unwatch(f.server);
        CHECK_INT(testhost_watch(&f.host, f.server), 0);
        CHECK_INT(testhost_check(&f.host, f.server, true), CHECK_OK);
        f.host.n_changed = 0;
        CHECK(make_bridge(false));
        CHECK(testhost_until(&f.host, is_lost, &f, PATIENCE_MSEC));
        CHECK_INT(f.host.watch_error, -EAGAIN);
        CHECK_STR(f.host.reason, "the interface has gone");
        CHECK_INT(f.host.n_changed, 0);
        CHECK(make_bridge(true));
        CHECK(testhost_until(&f.host, is_changed, &f, PATIENCE_MSEC));
        testhost_unwatch(f.server);
        CHECK_INT(testhost_watch(&f.host, f.server), 0);
        CHECK_INT(testhost_check(&f.host, f.server, true), CHECK_OK);
        teardown(&f);
        return 0;
}

TEST(an_interface_comes_and_goes) {
        int r = in_child(changing_interface);

        if (r == 77)
                TEST_SKIP("no bridges of our own here");
        CHECK_INT(r, 0);
}

TEST(validate) {
        static const struct {
                const char *kind, *name, *fields[8];
        } bad[] = {
                { "dhcp:server", ":67", { "interface", "\"\"" } },
                { "dhcp:server", ":67", { "interface", "\"a name that is too long\"" } },
                { "dhcp:server", "[::1]:67", { "interface", "\"lo\"" } },
                { "dhcp:server", "67", { "interface", "\"lo\"" } },
                { "dhcp:server", ":67", { "interface", "\"lo\"", "serverid", "\"::1\"" } },
                { "dhcp:server", ":67", { "interface", "\"lo\"", "leasetime", "\"1 hour\"" } },
                { "dhcp:server", ":67", { "interface", "\"lo\"", "leasetime", "\"0s\"" } },
                { "dhcp:server", ":67", { "interface", "\"lo\"", "dns", "[\"a\"]" } },
                { "dhcp:server", ":67", { "interface", "\"lo\"", "routers", "[\"::1\"]" } },
                { "dhcp:server", ":67", { "interface", "\"lo\"", "nbp", "\"http://a/b\"" } },
                { "dhcp:host", "h", { "mac", "\"02:00:00:00:00:0A\"", "ip", "\"10.0.0.1/24\"" } },
                { "dhcp:host", "h", { "mac", "\"02:00:00:00:00:0a\"", "ip", "\"10.0.0.1\"" } },
                { "dhcp:host", "h", { "mac", "\"02:00:00:00:00:0a\"", "ip", "\"10.0.0.1/24\"", "nbp", "\"x\"" } },
                { "dhcp:range", "r", { NULL } },
                { "dhcp:range", "10.0.0.0/31", { NULL } },
                { "dhcp:range", "10.0.0.0/24", { "mask", "\"/24\"" } },
                { "dhcp:range", "10.0.0.0/24", { "skip", "[\"10.0.1.1\"]" } },
                { "dhcp:range", "10.0.0.0/24", { "skip", "[\"10.0.0.1\", \"10.0.0.1/24\"]" } },
                { "dhcp:range", "r", { "from", "\"10.0.0.1/24\"" } },
                { "dhcp:range", "r", { "from", "\"10.0.0.1\"", "to", "\"10.0.0.9\"" } },
                { "dhcp:range", "r", { "from", "\"10.0.0.1/24\"", "to", "\"10.0.0.9\"", "mask", "\"/24\"" } },
                { "dhcp:range", "r", { "from", "\"10.0.0.1/24\"", "to", "\"10.0.0.9/25\"" } },
                { "dhcp:range", "r", { "from", "\"10.0.0.9/24\"", "to", "\"10.0.0.1/24\"" } },
                { "dhcp:range", "r", { "from", "\"10.0.0.1/24\"", "to", "\"10.0.1.1/24\"" } },
                { "dhcp:range", "r", { "from", "\"10.0.0.1\"", "to", "\"10.0.0.9\"", "mask", "\"255.0.255.0\"" } },
        };
        Fixture f = { .fd = -EBADF };

        REQUIRE(sd_event_new(&f.event) >= 0 && http_manager_init(&f.manager, f.event) >= 0 &&
                testhost_init(&f.host, f.event, &f.manager, NULL) >= 0);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                const char *const *x = bad[i].fields;
                if (testhost_resource(&f.host, kind(bad[i].kind), bad[i].name, x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], NULL))
                        TEST_FAIL("case %zu is taken", i);
        }
        Resource *hosts[] = {
                testhost_resource(&f.host, kind("dhcp:host"), "a", "mac", "\"02:00:00:00:00:01\"", "ip", "\"10.0.0.1/24\"", NULL),
                testhost_resource(&f.host, kind("dhcp:host"), "b", "mac", "\"02:00:00:00:00:02\"", "ip", "\"10.0.0.1/8\"", NULL),
        };
        f.server = make_server(&f);
        REQUIRE(f.server && hosts[0] && hosts[1]);
        CHECK(resource_add_child(f.server, hosts[0]) >= 0 && resource_add_child(f.server, hosts[1]) >= 0);
        CHECK(testhost_watch(&f.host, f.server) < 0);
        teardown(&f);
}

TEST_MAIN()
