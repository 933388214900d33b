/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Functions about network interfaces, in a network of the test's own, which `ip` changes. */

#include <fcntl.h>
#include <sched.h>

#include "tests/daemons/lang/source-test.h"

static bool write_file(const char *path, const char *text) {
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

        return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t) strlen(text);
}

/* Root of a network of our own; once. */
static bool has_network(void) {
        static int result = -1;
        char uid_map[64], gid_map[64];

        if (result >= 0)
                return result;
        (void) snprintf(uid_map, sizeof(uid_map), "0 %u 1", geteuid());
        (void) snprintf(gid_map, sizeof(gid_map), "0 %u 1", getegid());
        result = (unshare(CLONE_NEWNET) == 0 ||
                  (unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 && write_file("/proc/self/uid_map", uid_map) &&
                   write_file("/proc/self/setgroups", "deny") && write_file("/proc/self/gid_map", gid_map))) &&
                 system("ip link add probe type bridge 2>/dev/null && ip link del probe") == 0;
        return result;
}

static void ip(const char *arguments) {
        char command[256];

        (void) snprintf(command, sizeof(command), "ip %s", arguments);
        if (system(command) != 0)
                TEST_FAIL("%s", command);
}

TEST(interfaces_are_followed) {
        if (!has_network())
                TEST_SKIP("may not have a network of its own, or there is no ip");

        size_t fds = count_fds();
        Stage stage;
        Call macs = {}, cidr = {}, wired = {};

        stage_start(&stage);
        CHECK_INT(call_open(&stage, &macs, "net.macs", NULL), 0);
        CHECK_INT(call_open(&stage, &cidr, "net.interface_cidr", "\"b1\"", NULL), 0);
        CHECK_INT(call_open(&stage, &wired, "net.wired_interface", NULL), 0);
        CHECK_STR(macs.text, "[]");
        CHECK_STR(cidr.text, "error: could not find interface `b1`");
        CHECK_STR(wired.text, "error: no wired network interface found");

        ip("link add b1 address 02:00:00:00:AB:01 type bridge");
        CHECK_SAYS(&macs, "[\"02:00:00:00:ab:01\"]");
        CHECK_SAYS(&cidr, "error: interface `b1` has no global-unicast IPv4 address");
        CHECK_SAYS(&wired, "\"b1\"");
        ip("link add b2 address 02:00:00:00:ab:02 type bridge");
        CHECK_SAYS(&macs, "[\"02:00:00:00:ab:01\", \"02:00:00:00:ab:02\"]");
        CHECK_STR(wired.text, "\"b1\"");
        ip("link set b2 up");
        CHECK_SAYS(&wired, "\"b2\"");           /* one that is up is better */
        ip("link set b1 up");
        CHECK_SAYS(&wired, "\"b1\"");

        ip("address add 169.254.7.7/16 dev b1");
        ip("address add 127.9.9.9/8 dev b1");
        ip("address add 10.1.2.3/20 dev b1 label b1:x");
        CHECK_SAYS(&cidr, "\"10.1.2.3/20\"");
        ip("address del 10.1.2.3/20 dev b1");
        CHECK_SAYS(&cidr, "error: interface `b1` has no global-unicast IPv4 address");
        ip("address add 192.0.2.1/32 dev b2");
        ip("address add 192.0.2.2/32 dev b1");
        CHECK_SAYS(&cidr, "\"192.0.2.2/32\"");
        ip("link del b1");
        CHECK_SAYS(&cidr, "error: could not find interface `b1`");
        CHECK_SAYS(&wired, "\"b2\"");
        CHECK_SAYS(&macs, "[\"02:00:00:00:ab:02\"]");
        ip("link del b2");
        CHECK_SAYS(&macs, "[]");
        call_close(&macs);
        call_close(&cidr);
        call_close(&wired);
        stage_end(&stage);
        CHECK_INT(count_fds(), fds);
}

TEST(a_host_is_found_by_its_hardware) {
        static const struct { const char *map, *want; } cases[] = {
                { "{}", "\"\"" },
                { "{\"02:00:00:00:ab:01\" => \"one\",}", "\"one\"" },
                { "{\"02:00:00:00:ab:01\" => \"\", \"02:00:00:00:ab:02\" => \"two\",}", "\"two\"" },
                { "{\"02:00:00:00:ab:01\" => \"same\", \"02:00:00:00:ab:02\" => \"same\",}", "\"same\"" },
                { "{\"02:00:00:00:AB:01\" => \"upper\",}", "\"\"" },
                { "{\"00:00:00:00:00:00\" => \"loopback\",}", "\"\"" },
                { "{\"02:00:00:00:ab:01\" => \"one\", \"02:00:00:00:ab:02\" => \"two\",}", "error: multiple hostnames found: one,two" },
        };
        Stage stage;

        if (!has_network())
                TEST_SKIP("may not have a network of its own, or there is no ip");
        ip("link add b1 address 02:00:00:00:ab:01 type bridge");
        ip("link add b2 address 02:00:00:00:ab:02 type bridge");
        stage_start(&stage);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Call c = {};

                (void) call_open(&stage, &c, "util.hostname_mapper", cases[i].map, NULL);
                CHECK_STR(c.text, cases[i].want);
                call_close(&c);
        }
        stage_end(&stage);
        ip("link del b1");
        ip("link del b2");
}

TEST_MAIN()
