/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Addresses as text, what is refused, and what can be seen without being root. Real interfaces are for tests/system. */

#include <sys/socket.h>
#include <sys/syscall.h>

#include <linux/rtnetlink.h>

#include "daemons/engine/kinds/rtnetlink.h"
#include "tests/daemons/engine/kind-test.h"
#include "tests/namespace.h"

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

static unsigned n_changes;

/* Others make changes while addresses are listed, so that the first one is not among those that we get. */
__attribute__((__visibility__("default"))) ssize_t recv(int fd, void *buffer, size_t size, int flags) {
        ssize_t n = syscall(SYS_recvfrom, fd, buffer, size, flags, NULL, NULL);
        struct nlmsghdr *m = buffer;

        if (n_changes > 0 && n >= (ssize_t) sizeof(*m) && m->nlmsg_type == RTM_NEWADDR) {
                ((struct ifaddrmsg *) NLMSG_DATA(m))->ifa_index = 0;
                m->nlmsg_flags |= NLM_F_DUMP_INTR;
                n_changes--;
        }
        return n;
}

static int lists_anew(void) {
        if (!unshare_as_root(CLONE_NEWNET) || rig_begin("/tmp") < 0)
                return 77;
        __attribute__((__cleanup__(rig_endp), __unused__)) int guard = 0;

        CHECK_INT(rig_make(&net_type, "lo", FIELDS("addrs=192.0.2.77/24")), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), CHECK_OK);
        n_changes = 3;
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_INT(n_changes, 0);
        n_changes = 1000;                       /* they never stop */
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        n_changes = 0;
        CHECK_INT(rig_apply(true), CHECK_OK);
        return 0;
}

TEST(what_changes_meanwhile_is_no_difference) {
        int r = in_child(lists_anew);

        if (r == 77)
                TEST_SKIP("no private network namespace here");
        CHECK_INT(r, 0);
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
