/* SPDX-License-Identifier: GPL-3.0-or-later */

/* virt:network and what is grouped into it, against libvirt's test driver. A second connection of ours is the one "from outside". That
 * driver shows one description only; what runs and what is defined are told apart by the system suite, with a real libvirtd. */

#include <libvirt/libvirt.h>

#include "daemons/virt/connection.h"
#include "daemons/virt/kinds.h"
#include "daemons/virt/network-xml.h"
#include "tests/daemons/testhost.h"
#include "tests/test.h"

#define URI "test:///default"

typedef struct Fixture {
        sd_event *event;
        VirtManager manager;
        TestHost host;
        virConnectPtr outside;
} Fixture;

static void setup(Fixture *f) {
        *f = (Fixture) {};
        if (sd_event_new(&f->event) < 0 || virt_manager_init(&f->manager, f->event) < 0 ||
            testhost_init(&f->host, f->event, &f->manager, NULL) < 0)
                abort();
        f->outside = virConnectOpen(URI);
        if (!f->outside)
                abort();
}

static void teardown(Fixture *f) {
        (void) virConnectClose(f->outside);
        testhost_done(&f->host);
        virt_manager_done(&f->manager);
        sd_event_unref(f->event);
}

static const ResourceType *kind(const char *name) {
        return resource_type_find(virt_kinds, name);
}

#define NETWORK(f, ...) \
        testhost_resource(&(f)->host, kind("virt:network"), "lab", "uri", "\"" URI "\"", "mac", "\"52:54:00:00:2a:01\"", __VA_ARGS__, NULL)
#define HOST(f, name, m, a) \
        testhost_resource(&(f)->host, kind("virt:network:host"), (name), "mac", "\"52:54:00:00:2a:" m "\"", "ip", "\"" a "\"", NULL)
#define RANGE(f, name, a, b) \
        testhost_resource(&(f)->host, kind("virt:network:range"), (name), "start", "\"" a "\"", "end", "\"" b "\"", NULL)

static char *xml_of(Fixture *f) {
        virNetworkPtr n = virNetworkLookupByName(f->outside, "lab");
        char *xml = n ? virNetworkGetXMLDesc(n, 0) : NULL;

        if (n)
                (void) virNetworkFree(n);
        return xml;
}

static void check_xml(Fixture *f, const char *part, bool want) {
        _cleanup_free_ char *xml = xml_of(f);

        if (!xml || (strstr(xml, part) != NULL) != want)
                TEST_FAIL("%s is %sin\n# %s", part, want ? "not " : "", xml ? xml : "(none)");
}

static int activity(Fixture *f) {
        virNetworkPtr n = virNetworkLookupByName(f->outside, "lab");
        int active = n ? virNetworkIsActive(n) : -1;

        if (n)
                (void) virNetworkFree(n);
        return active;
}

static void check_repair(Fixture *f, Resource *r) {
        CHECK_INT(testhost_check(&f->host, r, false), CHECK_CHANGED);
        CHECK_INT(testhost_check(&f->host, r, false), CHECK_CHANGED);
        CHECK_INT(testhost_check(&f->host, r, true), CHECK_CHANGED);
        CHECK_STR(f->host.diag.message, NULL);
        CHECK_INT(testhost_check(&f->host, r, true), CHECK_OK);
        CHECK_INT(testhost_check(&f->host, r, false), CHECK_OK);
}

static void settle(Fixture *f, Resource *r) {
        CHECK_INT(testhost_watch(&f->host, r), 0);
        CHECK_INT(testhost_check(&f->host, r, true), CHECK_CHANGED);
        testhost_free(r);
}

#define FIRST "\"192.168.42.1/24\""

TEST(every_state_is_reached_from_every_other) {
        static const struct {
                const char *state, *transient;
                int active;
        } cases[] = {
                { "\"up\"", "false", 1 },
                { "\"down\"", "false", 0 },
                { "\"up\"", "true", 1 },
                { "\"down\"", "true", -1 },
        };
        Fixture f;

        setup(&f);
        for (size_t from = 0; from < ELEMENTSOF(cases); from++)
                for (size_t to = 0; to < ELEMENTSOF(cases); to++) {
                        Resource *r = NETWORK(&f, "ip", FIRST, "state", cases[from].state, "transient", cases[from].transient);
                        REQUIRE(r);
                        CHECK_INT(testhost_watch(&f.host, r), 0);
                        CHECK(testhost_check(&f.host, r, true) >= 0);
                        testhost_free(r);
                        CHECK_INT(activity(&f), cases[from].active);

                        r = NETWORK(&f, "ip", FIRST, "state", cases[to].state, "transient", cases[to].transient);
                        CHECK_INT(testhost_watch(&f.host, r), 0);
                        if (from != to)
                                check_repair(&f, r);
                        else
                                CHECK_INT(testhost_check(&f.host, r, true), CHECK_OK);
                        CHECK_INT(activity(&f), cases[to].active);
                        testhost_free(r);
                }
        teardown(&f);
}

TEST(what_a_new_one_is_made_of) {
        Fixture f;

        setup(&f);
        Resource *r = NETWORK(&f, "ip", FIRST, "device", "\"virbr42\"", "uuid", "\"6a5cd3e6-6bd8-4c62-9b0d-6d1b1a6f5c3e\"",
                              "startup", "\"enabled\"");
        REQUIRE(r);
        CHECK_INT(testhost_watch(&f.host, r), 0);
        check_repair(&f, r);
        CHECK_INT(activity(&f), 0);             /* nobody has said that it shall be up */
        check_xml(&f, "<bridge name='virbr42'", true);
        check_xml(&f, "<uuid>6a5cd3e6-6bd8-4c62-9b0d-6d1b1a6f5c3e</uuid>", true);
        check_xml(&f, "<forward mode='nat'", true);
        check_xml(&f, "address='192.168.42.1' netmask='255.255.255.0'", true);
        check_xml(&f, "dhcp", false);        /* neither hosts nor ranges */
        virNetworkPtr n = virNetworkLookupByName(f.outside, "lab");
        int autostart = -1;
        REQUIRE(n && virNetworkGetAutostart(n, &autostart) >= 0);
        CHECK_INT(autostart, 1);
        (void) virNetworkFree(n);
        testhost_free(r);
        teardown(&f);
}

/* And nothing else of it. */
TEST(what_it_is_made_of_is_put_right) {
        static const struct {
                const char *field, *text, *part;
        } cases[] = {
                { "device", "\"virbr43\"", "<bridge name='virbr43'" },
                { "device", "\"Virbr42\"", "<bridge name='Virbr42'" },
                { "mac", "\"52:54:00:00:2a:02\"", "<mac address='52:54:00:00:2a:02'/>" },
                { "ip", "\"192.168.43.1/25\"", "netmask='255.255.255.128'" },
                { "uuid", "\"6a5cd3e6-6bd8-4c62-9b0d-6d1b1a6f5c3e\"", "6a5cd3e6-6bd8-4c62-9b0d-6d1b1a6f5c3e" },
        };
        static const char *const transients[] = { "false", "true" };

        for (size_t t = 0; t < ELEMENTSOF(transients); t++)
                for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                        Fixture f;

                        setup(&f);
                        virNetworkPtr n = virNetworkDefineXML(f.outside,
                                                              "<network><name>lab</name><forward mode='nat'/><bridge name='virbr42'/>"
                                                              "<mac address='52:54:00:00:2a:01'/><domain name='keep.me'/>"
                                                              "<ip address='192.168.42.1' prefix='24'/></network>");
                        REQUIRE(n && virNetworkCreate(n) >= 0);
                        (void) virNetworkFree(n);
                        Resource *r = testhost_resource(&f.host, kind("virt:network"), "lab", "uri", "\"" URI "\"", "state", "\"up\"",
                                                        "transient", transients[t], "device", "\"virbr42\"",
                                                        "mac", "\"52:54:00:00:2a:01\"", "ip", FIRST, NULL);
                        REQUIRE(r);
                        CHECK_INT(testhost_watch(&f.host, r), 0);
                        CHECK_INT(testhost_check(&f.host, r, true), t == 0 ? CHECK_OK : CHECK_CHANGED);
                        CHECK_INT(testhost_receive(&f.host, r, cases[i].field, cases[i].text), 0);
                        check_repair(&f, r);
                        check_xml(&f, cases[i].part, true);
                        if (t == 0)             /* the driver has to make it anew to make it transient */
                                check_xml(&f, "keep.me", true);
                        CHECK_INT(activity(&f), 1);
                        testhost_free(r);
                        teardown(&f);
                }
}

static int make_vanish(virNetworkPtr n) {
        return virNetworkDestroy(n) < 0 ? -1 : virNetworkUndefine(n);
}

TEST(what_others_do_is_an_event_and_is_repaired) {
        static int (*const changes[])(virNetworkPtr) = { virNetworkDestroy, make_vanish };
        Fixture f;

        setup(&f);
        Resource *r = NETWORK(&f, "ip", FIRST, "state", "\"up\"");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
        testhost_run(&f.host, 50);
        for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
                unsigned n = f.host.n_changed;
                virNetworkPtr net = virNetworkLookupByName(f.outside, "lab");

                REQUIRE(net && changes[i](net) >= 0);
                (void) virNetworkFree(net);
                CHECK(testhost_until_changed(&f.host, n, 20000));
                check_repair(&f, r);
                CHECK_INT(activity(&f), 1);
                testhost_run(&f.host, 50);
        }

        /* other networks are not our business */
        unsigned n = f.host.n_changed;
        virNetworkPtr other = virNetworkLookupByName(f.outside, "default");
        REQUIRE(other && virNetworkDestroy(other) >= 0);
        (void) virNetworkFree(other);
        testhost_run(&f.host, 50);
        CHECK_INT(f.host.n_changed, n);
        testhost_free(r);
        teardown(&f);
}

/* ---- hosts and ranges ---- */

static Resource *with_children(Resource *parent, Resource **children, size_t n) {
        for (size_t i = 0; parent && i < n; i++)
                if (!children[i] || resource_add_child(parent, children[i]) < 0)
                        return NULL;
        return parent;
}

#define WITH(parent, ...) \
        with_children(parent, (Resource *[]) { __VA_ARGS__ }, sizeof((Resource *[]) { __VA_ARGS__ }) / sizeof(Resource *))

TEST(hosts_and_ranges_are_told) {
        Fixture f;

        setup(&f);
        Resource *r = WITH(NETWORK(&f, "ip", FIRST, "state", "\"up\""), HOST(&f, "a", "0a", "192.168.42.10/24"),
                           HOST(&f, "b", "0b", "192.168.42.11/24"), RANGE(&f, "r", "192.168.42.100", "192.168.42.200"));
        REQUIRE(r);
        CHECK_INT(testhost_watch(&f.host, r), 0);
        check_repair(&f, r);
        check_xml(&f, "<host mac='52:54:00:00:2a:0a' name='a' ip='192.168.42.10'/>", true);
        check_xml(&f, "<range start='192.168.42.100' end='192.168.42.200'/>", true);
        testhost_free(r);

        /* changed, without a restart; b is not ours any more, but stays */
        r = WITH(NETWORK(&f, "ip", FIRST, "state", "\"up\""), HOST(&f, "c", "0a", "192.168.42.12/24"),
                 RANGE(&f, "r", "192.168.42.110", "192.168.42.190"));
        CHECK_INT(testhost_watch(&f.host, r), 0);
        unsigned n = f.host.n_changed;
        check_repair(&f, r);
        testhost_run(&f.host, 50);
        CHECK_INT(f.host.n_changed, n);         /* neither stopped nor started */
        check_xml(&f, "<host mac='52:54:00:00:2a:0a' name='c' ip='192.168.42.12'/>", true);
        check_xml(&f, "<host mac='52:54:00:00:2a:0b' name='b' ip='192.168.42.11'/>", true);
        check_xml(&f, "start='192.168.42.110' end='192.168.42.190'", true);
        check_xml(&f, "192.168.42.100", false);       /* it overlapped */
        testhost_free(r);

        /* another machine with the address of b */
        r = WITH(NETWORK(&f, "ip", FIRST, "state", "\"up\""), HOST(&f, "d", "0d", "192.168.42.11/24"));
        CHECK_INT(testhost_watch(&f.host, r), 0);
        check_repair(&f, r);
        check_xml(&f, "<host mac='52:54:00:00:2a:0d' name='d' ip='192.168.42.11'/>", true);
        check_xml(&f, "2a:0b", false);
        check_xml(&f, "2a:0a", true);
        testhost_free(r);

        /* nothing but what is declared */
        r = NETWORK(&f, "ip", FIRST, "state", "\"up\"", "purge_hosts", "true", "purge_ranges", "true");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        check_repair(&f, r);
        CHECK_INT(testhost_check(&f.host, r, false), CHECK_OK);
        check_xml(&f, "<host", false);
        check_xml(&f, "<range", false);
        testhost_free(r);
        teardown(&f);
}

/* In whatever order libvirt has them. */
TEST(hosts_exchange_what_they_have) {
        static const char *const orders[] = {
                "<host mac='52:54:00:00:2a:0a' name='a' ip='192.168.42.10'/><host mac='52:54:00:00:2a:0b' name='b' ip='192.168.42.11'/>",
                "<host mac='52:54:00:00:2a:0b' name='b' ip='192.168.42.11'/><host mac='52:54:00:00:2a:0a' name='a' ip='192.168.42.10'/>",
                ("<host mac='52:54:00:00:2a:0b' name='b' ip='192.168.42.11'/><host mac='52:54:00:00:2a:0a' name='a' ip='192.168.42.10'/>"
                 "<host mac='52:54:00:00:2a:0a' name='old' ip='192.168.42.13'/>"),
        };
        static const struct {
                const char *name_a, *ip_a, *name_b, *ip_b;
        } cases[] = {
                { "a", "\"192.168.42.11/24\"", "b", "\"192.168.42.10/24\"" },
                { "a", "\"192.168.42.11/24\"", "b", "\"192.168.42.12/24\"" },
                { "a", "\"192.168.42.12/24\"", "b", "\"192.168.42.10/24\"" },
                { "b", "\"192.168.42.10/24\"", "a", "\"192.168.42.11/24\"" },
        };

        for (size_t o = 0; o < ELEMENTSOF(orders); o++)
                for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                        _cleanup_free_ char *xml = NULL;
                        char want[128];
                        Fixture f;

                        setup(&f);
                        if (asprintf(&xml, "<network><name>lab</name><forward mode='nat'/><bridge name='virbr0'/><mac address='52:54:00:00:2a:01'/>"
                                     "<ip address='192.168.42.1' prefix='24'><dhcp>%s</dhcp></ip></network>", orders[o]) < 0)
                                abort();
                        virNetworkPtr n = virNetworkDefineXML(f.outside, xml);
                        REQUIRE(n && virNetworkCreate(n) >= 0);
                        (void) virNetworkFree(n);
                        Resource *r = WITH(NETWORK(&f, "ip", FIRST, "state", "\"up\""),
                                           testhost_resource(&f.host, kind("virt:network:host"), cases[i].name_a, "mac",
                                                             "\"52:54:00:00:2a:0a\"", "ip", cases[i].ip_a, NULL),
                                           testhost_resource(&f.host, kind("virt:network:host"), cases[i].name_b, "mac",
                                                             "\"52:54:00:00:2a:0b\"", "ip", cases[i].ip_b, NULL));
                        REQUIRE(r);
                        CHECK_INT(testhost_watch(&f.host, r), 0);
                        check_repair(&f, r);
                        (void) snprintf(want, sizeof(want), "<host mac='52:54:00:00:2a:0a' name='%s' ip='%.13s'/>", cases[i].name_a, cases[i].ip_a + 1);
                        check_xml(&f, want, true);
                        (void) snprintf(want, sizeof(want), "<host mac='52:54:00:00:2a:0b' name='%s' ip='%.13s'/>", cases[i].name_b, cases[i].ip_b + 1);
                        check_xml(&f, want, true);
                        check_xml(&f, "name='old'", false);
                        testhost_free(r);
                        teardown(&f);
                }
}

TEST(a_uuid_that_changes_leaves_its_start_with_the_host) {
        Fixture f;
        int autostart = -1;

        setup(&f);
        settle(&f, NETWORK(&f, "ip", FIRST, "state", "\"up\"", "startup", "\"enabled\""));
        Resource *r = NETWORK(&f, "ip", FIRST, "state", "\"up\"", "uuid", "\"6a5cd3e6-6bd8-4c62-9b0d-6d1b1a6f5c3e\"");
        REQUIRE(r);
        CHECK_INT(testhost_watch(&f.host, r), 0);
        check_repair(&f, r);
        virNetworkPtr n = virNetworkLookupByName(f.outside, "lab");
        REQUIRE(n && virNetworkGetAutostart(n, &autostart) >= 0);
        CHECK_INT(autostart, 1);
        (void) virNetworkFree(n);
        testhost_free(r);
        teardown(&f);
}

TEST(a_net_that_moves_takes_its_hosts_along) {
        Fixture f;

        setup(&f);
        settle(&f, WITH(NETWORK(&f, "ip", FIRST, "state", "\"up\""), HOST(&f, "a", "0a", "192.168.42.10/24"),
                        RANGE(&f, "r", "192.168.42.100", "192.168.42.200")));
        Resource *r = WITH(NETWORK(&f, "ip", "\"10.7.0.1/16\"", "state", "\"up\""), HOST(&f, "a", "0a", "10.7.3.1/16"),
                           RANGE(&f, "r", "10.7.100.0", "10.7.100.255"));
        REQUIRE(r);
        CHECK_INT(testhost_watch(&f.host, r), 0);
        check_repair(&f, r);
        check_xml(&f, "192.168", false);
        check_xml(&f, "ip='10.7.3.1'", true);
        check_xml(&f, "end='10.7.100.255'", true);
        testhost_free(r);
        teardown(&f);
}

TEST(what_cannot_be_true_of_a_net_is_refused) {
        Fixture f;

        setup(&f);
        const struct {
                Resource *a, *b;
                const char *want;
        } cases[] = {
                { HOST(&f, "a", "0a", "192.168.42.10/24"), HOST(&f, "b", "0a", "192.168.42.11/24"),
                  "mac '52:54:00:00:2a:0a' is that of 'a' as well" },
                { HOST(&f, "a", "0a", "192.168.42.10/24"), HOST(&f, "b", "0b", "192.168.42.10/24"),
                  "ip '192.168.42.10/24' is that of 'a' as well" },
                { HOST(&f, "a", "0a", "192.168.42.1/24"), NULL, "ip '192.168.42.1/24' is the network's own" },
                { HOST(&f, "a", "0a", "192.168.42.10/25"), NULL,
                  "ip must have the length of mask of the network, 24, got '192.168.42.10/25'" },
                { HOST(&f, "a", "0a", "192.168.43.10/24"), NULL,
                  "ip must be the address of a host in '192.168.42.1/24', got '192.168.43.10/24'" },
                { HOST(&f, "a", "0a", "192.168.42.255/24"), NULL,
                  "ip must be the address of a host in '192.168.42.1/24', got '192.168.42.255/24'" },
                { RANGE(&f, "r", "192.168.42.100", "192.168.42.255"), NULL,
                  "start and end must be addresses of hosts in '192.168.42.1/24', got '192.168.42.100' and '192.168.42.255'" },
                { RANGE(&f, "r", "192.168.42.1", "192.168.42.9"), NULL, "the range contains '192.168.42.1/24', which is the network's own" },
                { HOST(&f, "a", "0a", "192.168.42.10/24"), RANGE(&f, "r", "192.168.42.5", "192.168.42.15"),
                  "the range contains '192.168.42.10/24', which is that of 'a'" },
                { RANGE(&f, "r", "192.168.42.5", "192.168.42.15"), HOST(&f, "a", "0a", "192.168.42.15/24"),
                  "the range contains '192.168.42.15/24', which is that of 'a'" },
                { RANGE(&f, "r", "192.168.42.5", "192.168.42.15"), RANGE(&f, "s", "192.168.42.15", "192.168.42.20"),
                  "the range overlaps with 'r'" },
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Resource *r = NETWORK(&f, "ip", FIRST);

                REQUIRE(r && cases[i].a && resource_add_child(r, cases[i].a) >= 0);
                if (cases[i].b)
                        REQUIRE(resource_add_child(r, cases[i].b) >= 0);
                CHECK_INT(testhost_watch(&f.host, r), -EINVAL);
                CHECK_STR(f.host.diag.message, cases[i].want);
                testhost_free(r);
        }
        teardown(&f);
}

TEST(what_is_received_is_judged_as_a_whole_again) {
        Fixture f;

        setup(&f);
        Resource *host = HOST(&f, "a", "0a", "192.168.42.10/24");
        Resource *r = WITH(NETWORK(&f, "ip", FIRST, "state", "\"up\""), host, RANGE(&f, "r", "192.168.42.100", "192.168.42.200"));
        REQUIRE(r);
        CHECK_INT(testhost_watch(&f.host, r), 0);
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
        CHECK_INT(testhost_receive(&f.host, host, "ip", "\"192.168.42.150/24\""), 0);
        CHECK_INT(testhost_check(&f.host, r, true), -EINVAL);
        CHECK_STR(f.host.diag.message, "the range contains '192.168.42.150/24', which is that of 'a'");
        CHECK_INT(testhost_receive(&f.host, host, "ip", "\"192.168.42.50/24\""), 0);
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
        check_xml(&f, "ip='192.168.42.50'", true);
        testhost_free(r);
        teardown(&f);
}

TEST(fields_that_are_refused_say_so) {
        static const struct {
                const char *kind, *field, *text, *want;
        } cases[] = {
                { "virt:network", "state", "\"on\"", "state must be up, down or empty, got 'on'" },
                { "virt:network", "startup", "\"yes\"", "startup must be enabled, disabled or empty, got 'yes'" },
                { "virt:network", "mode", "\"route\"", "mode must be nat, got 'route'" },
                { "virt:network", "mac", "\"52:54:00:00:2A:01\"",
                  "mac must be like 52:54:00:0a:0b:0c, in lower case, got '52:54:00:00:2A:01'" },
                { "virt:network", "mac", "\"\"", "mac must be like 52:54:00:0a:0b:0c, in lower case, got ''" },
                { "virt:network", "ip", "\"192.168.42.1\"", "ip must be like 192.168.42.1/24, got '192.168.42.1'" },
                { "virt:network", "ip", "\"192.168.42.0/24\"", "ip must be the address of a host, got '192.168.42.0/24'" },
                { "virt:network", "ip", "\"192.168.42.1/33\"", "ip must be like 192.168.42.1/24, got '192.168.42.1/33'" },
                { "virt:network", "uuid", "\"abc\"", "uuid must be like 6a5cd3e6-6bd8-4c62-9b0d-6d1b1a6f5c3e, got 'abc'" },
                { "virt:network", "device", "\"a/b\"", "device must be the name of a bridge, of at most 15 letters, got 'a/b'" },
                { "virt:network:host", "mac", "\"x\"", "mac must be like 52:54:00:0a:0b:0c, in lower case, got 'x'" },
                { "virt:network:host", "ip", "\"::1/64\"", "ip must be like 192.168.42.13/24, got '::1/64'" },
                { "virt:network:range", "start", "\"a\"", "start must be an address like 192.168.42.100, got 'a'" },
                { "virt:network:range", "end", "\"10.0.0.0/8\"", "end must be an address like 192.168.42.200, got '10.0.0.0/8'" },
                { "virt:network:range", "start", "\"10.0.0.3\"", "start must not be behind end, got '10.0.0.3' and '10.0.0.2'" },
        };
        Fixture f;

        setup(&f);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const char *k = cases[i].kind;
                Resource *r = streq(k, "virt:network") ?
                                      testhost_resource(&f.host, kind(k), "x", "mac", "\"52:54:00:00:00:01\"", "ip", FIRST,
                                                        cases[i].field, cases[i].text, NULL) :
                              streq(k, "virt:network:host") ?
                                      testhost_resource(&f.host, kind(k), "x", "mac", "\"52:54:00:00:00:01\"", "ip", FIRST,
                                                        cases[i].field, cases[i].text, NULL) :
                                      testhost_resource(&f.host, kind(k), "x", "start", "\"10.0.0.1\"", "end", "\"10.0.0.2\"",
                                                        cases[i].field, cases[i].text, NULL);
                CHECK(!r);
                CHECK_STR(f.host.diag.message, cases[i].want);
        }
        /* where there shall be none, there is nothing to say about it */
        Resource *r = testhost_resource(&f.host, kind("virt:network"), "x", "uri", "\"" URI "\"", "transient", "true", "state", "\"down\"",
                                        NULL);
        REQUIRE(r);
        CHECK_INT(testhost_watch(&f.host, r), 0);
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_OK);
        testhost_free(r);
        teardown(&f);
}

TEST(which_address_is_ours) {
        static const struct {
                const char *ips;
                int want;
                bool changes;
        } cases[] = {
                { "", 0, true },
                { "<ip address='192.168.42.1' netmask='255.255.255.0'/>", 0, false },
                { "<ip address='192.168.42.1'/>", 0, false },                           /* of class C */
                { "<ip address='10.0.0.1' prefix='8'/>", 0, true },                     /* the only one */
                { "<ip family='ipv6' address='fd00::1' prefix='64'/><ip address='10.0.0.1' prefix='8'/>", 0, true },
                { "<ip address='10.0.0.1' prefix='8'/><ip address='192.168.42.1' prefix='24'/>", 0, false },
                { "<ip address='10.0.0.1' prefix='8'/><ip address='10.0.1.1' prefix='24'/>", -EINVAL, false },
        };
        NetworkSpec s = {
                .name = (char *) "n", .uuid = (char *) "", .device = (char *) "b", .mode = (char *) "nat",
                .mac = (char *) "52:54:00:00:00:01", .ip = { .address = 0xc0a82a01, .prefix = 24 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(diag_done) Diag diag = {};
                _cleanup_free_ char *xml = NULL, *changed = NULL;
                bool identity;

                if (asprintf(&xml, "<network><forward mode='nat'/><bridge name='b'/><mac address='52:54:00:00:00:01'/>%s</network>",
                             cases[i].ips) < 0)
                        abort();
                CHECK_INT(network_xml_change(xml, &s, NULL, &changed, &identity, &diag), cases[i].want);
                CHECK_INT(changed != NULL, cases[i].changes);
                CHECK(!changed || (strstr(changed, "address=\"192.168.42.1\"") && !strstr(changed, "10.0.0.1")));
        }
}

TEST_MAIN()
