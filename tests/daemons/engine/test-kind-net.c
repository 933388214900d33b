/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Addresses as text, what is refused, and what can be seen without being root. Real interfaces are for tests/system. */

#include "daemons/engine/kinds/rtnetlink.h"
#include "tests/daemons/engine/kind-test.h"

extern const ResourceType net_type;

TEST(addresses) {
        static const struct {
                const char *text;
                bool with_prefix;
                int result;
                const char *network;
        } cases[] = {
                { "10.1.2.3/8", true, 0, "10.0.0.0/8" },
                { "10.1.2.3/32", true, 0, "10.1.2.3/32" },
                { "10.1.2.3/0", true, 0, "0.0.0.0/0" },
                { "192.168.77.9/27", true, 0, "192.168.77.0/27" },
                { "fd00:1:2::ff/60", true, 0, "fd00:1:2::/60" },
                { "10.1.2.3", false, 0, "10.1.2.3/32" },
                { "::1", false, 0, "::1/128" },
                { "10.1.2.3/33", true, -EINVAL, NULL },
                { "::1/129", true, -EINVAL, NULL },
                { "10.1.2.3/", true, -EINVAL, NULL },
                { "10.1.2.3/x", true, -EINVAL, NULL },
                { "10.1.2.3/+8", true, -EINVAL, NULL },
                { "10.1.2/8", true, -EINVAL, NULL },
                { "10.1.2.3", true, -EINVAL, NULL },
                { "10.1.2.3/8", false, -EINVAL, NULL },
                { "", true, -EINVAL, NULL },
                { "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/1", true, -EINVAL, NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                RtAddress a;
                char text[64];
                int r = rt_address_parse(cases[i].text, cases[i].with_prefix, &a);
                if (r != cases[i].result)
                        TEST_FAIL("'%s': %d", cases[i].text, r);
                if (r < 0)
                        continue;
                RtAddress network = rt_address_network(&a);
                rt_address_text(&network, true, text, sizeof(text));
                CHECK_STR(text, cases[i].network);
        }
}

TEST(the_loopback_interface_is_seen) {
        RIG();

        CHECK_INT(rig_make(&net_type, "lo", FIELDS()), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig.host.n_armed, 1);
        CHECK_INT(rig_apply(false), CHECK_OK);
        CHECK_INT(rig_make(&net_type, "lo", FIELDS("addrs=192.0.2.77/24")), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK_INT(rig_make(&net_type, "nosuch0", FIELDS()), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig_apply(false), -EAGAIN);
        CHECK_STR(rig.host.reason, "there is no interface 'nosuch0'");
}

TEST(validate) {
        static const struct {
                const char *name, *field, *message;
        } cases[] = {
                { "a/b", "state=up", "name must be that of an interface, got 'a/b'" },
                { "..", "state=up", "name must be that of an interface, got '..'" },
                { "averyverylongname", "state=up", "name must be that of an interface, got 'averyverylongname'" },
                { "eth*", "state=up", "name must be that of an interface, got 'eth*'" },
                { "!eth0", "state=up", "name must be that of an interface, got '!eth0'" },
                { "eth0", "state=on", "state must be 'up', 'down' or '', got 'on'" },
                { "eth0", "addrs=10.0.0.1/24 10.0.0.2", "addrs must be addresses with a prefix, such as '192.0.2.1/24', got '10.0.0.2'" },
                { "eth0", "gateway=10.0.0.1/24", "gateway must be an address, got '10.0.0.1/24'" },
        };
        RIG();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CHECK_INT(rig_make(&net_type, cases[i].name, FIELDS(cases[i].field)), -EINVAL);
                CHECK_STR(rig.host.diag.message, cases[i].message);
        }
}

TEST(reverse) {
        RIG();
        _cleanup_(diag_done) Diag diag = {};
        Resource *other;
        _cleanup_(value_done) Value state = VALUE_NIL, addrs = VALUE_NIL;

        CHECK_INT(rig_make(&net_type, "eth0", FIELDS("state=up", "addrs=10.0.0.1/24")), 0);
        REQUIRE(net_type.reverse(rig.r, &other, &diag) >= 0 && other);
        CHECK_INT(field_get(field_find(net_type.fields, "state"), other, &state), 0);
        CHECK_STR(value_cstr(state), "down");
        CHECK_INT(field_get(field_find(net_type.fields, "addrs"), other, &addrs), 0);
        CHECK(addrs.kind == TYPE_LIST);
        resource_free(other);
        CHECK_INT(rig_make(&net_type, "eth0", FIELDS()), 0);
        CHECK_INT(net_type.reverse(rig.r, &other, &diag), 0);
        CHECK(!other);
}

TEST_MAIN()
