/* SPDX-License-Identifier: GPL-3.0-or-later */

/* sysctl: in the file, and in the kernel of a network namespace. */

#include "tests/daemons/engine/kind-test.h"
#include "tests/namespace.h"

extern const ResourceType sysctl_type;

TEST(in_a_file) {
        RIG();

        CHECK_INT(rig_make(&sysctl_type, "net.ipv4.ip_forward", FIELDS("value=1", "runtime=false", field_in_dir("path", "x.conf"))), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig.host.n_armed, 1);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK(rig.host.differences.data && strstr(rig.host.differences.data, "+net.ipv4.ip_forward = 1\n"));
        check_file("x.conf", NULL);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_file("x.conf", "net.ipv4.ip_forward = 1\n");
        CHECK_INT(rig_apply(true), CHECK_OK);
        put_file("x.conf", "net.ipv4.ip_forward = 1\n# x\n");
        CHECK(RIG_UNTIL(rig.host.n_changed > 0));
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_file("x.conf", "net.ipv4.ip_forward = 1\n");
        CHECK_INT(rig_make(&sysctl_type, "vm.swappiness", FIELDS("value=1", "runtime=false", field_in_dir("path", "no/x.conf"))), 0);
        CHECK_INT(rig_apply(true), -ENOENT);
        CHECK_INT(rig.host.diag.pos.line, 3);
}

TEST(a_name_that_is_wrong_is_not_kept) {
        RIG();

        CHECK_INT(rig_make(&sysctl_type, "vm.swapiness", FIELDS("value=1", "runtime=false", field_in_dir("path", "x.conf"))), 0);
        CHECK_INT(rig_apply(false), -ENOENT);
        CHECK_INT(rig_apply(true), -ENOENT);
        CHECK_STR(rig.host.diag.message, "there is no parameter 'vm.swapiness'");
        check_file("x.conf", NULL);
}

static void fails_untrusted(const char *path) {
        CHECK_INT(rig_make(&sysctl_type, "vm.swappiness", FIELDS("value=1", "runtime=false", field_in_dir("path", path))), 0);
        CHECK_INT(rig_apply(false), -EPERM);
        CHECK_INT(rig_apply(true), -EPERM);
        CHECK(rig.host.diag.message && strstr(rig.host.diag.message, "is not trusted"));
        CHECK_INT(rig.host.diag.pos.line, 3);
}

/* The path is the user's, and may lead through a directory of others: a link that they made is not gone over. */
TEST(links_of_others_are_not_followed) {
        RIG();

        if (geteuid() != 0)
                TEST_SKIP("needs to be root to make links of others");
        CHECK_INT(mkdir(in_dir("secret"), 0755), 0);
        put_file("secret/x.conf", "keep");
        CHECK_INT(symlink("secret", in_dir("d")), 0);
        CHECK_INT(symlink("secret/x.conf", in_dir("l.conf")), 0);
        CHECK_INT(lchown(in_dir("d"), 65534, 65534), 0);
        CHECK_INT(lchown(in_dir("l.conf"), 65534, 65534), 0);
        fails_untrusted("d/x.conf");
        fails_untrusted("l.conf");
        check_file("secret/x.conf", "keep");
        CHECK_INT(lchown(in_dir("d"), 0, 0), 0);
        CHECK_INT(rig_make(&sysctl_type, "vm.swappiness", FIELDS("value=1", "runtime=false", field_in_dir("path", "d/x.conf"))), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_file("secret/x.conf", "vm.swappiness = 1\n");
}

TEST(a_new_file_is_for_all_to_read_and_one_that_is_too_large_is_replaced) {
        RIG();
        char *large = calloc(1, 70 * 1024 + 1);
        struct stat st;

        REQUIRE(large);
        memset(large, '#', 70 * 1024);
        CHECK_INT(rig_make(&sysctl_type, "vm.swappiness", FIELDS("value=1", "runtime=false", field_in_dir("path", "x.conf"))), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_INT(stat(in_dir("x.conf"), &st), 0);
        CHECK_INT(st.st_mode & 07777, 0644);
        put_file("x.conf", large);
        free(large);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), CHECK_OK);
        check_file("x.conf", "vm.swappiness = 1\n");
}

static void check_kernel(const char *want) {
        _cleanup_free_ char *text = NULL;

        CHECK_INT(read_file_at(AT_FDCWD, "/proc/sys/net/ipv4/ip_local_port_range", 100, &text, NULL), 0);
        CHECK_STR(text, want);
}

static int in_the_kernel(void) {
        if (!unshare_as_root(CLONE_NEWNET))
                return 77;
        if (access("/proc/sys/net/ipv4/ip_local_port_range", W_OK) < 0 || rig_begin("/tmp") < 0)
                return 77;
        __attribute__((__cleanup__(rig_endp), __unused__)) int guard = 0;

        CHECK_INT(rig_make(&sysctl_type, "net.ipv4.ip_local_port_range", FIELDS("value=20000 30000", "persist=false")), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_kernel("20000\t30000\n");
        CHECK_INT(rig_apply(true), CHECK_OK);         /* blanks are as good as tabs */
        rig_run(10000);
        rig.host.n_changed = 0;
        CHECK(write_text("/proc/sys/net/ipv4/ip_local_port_range", "10000 20000"));
        CHECK(RIG_UNTIL(rig.host.n_changed > 0));
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_kernel("20000\t30000\n");

        CHECK_INT(rig_make(&sysctl_type, "net.ipv4.ip_local_port_range", FIELDS("value=x y", "persist=false")), 0);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), -EINVAL);
        CHECK(rig.host.diag.message && strstr(rig.host.diag.message, "does not take 'x y'"));
        check_kernel("20000\t30000\n");
        CHECK_INT(rig_make(&sysctl_type, "net.ipv4.ip_forward", FIELDS("value=01", "persist=false")), 0);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), -ERANGE);
        CHECK_STR(rig.host.diag.message, "value: the kernel has taken '01', and shows it as '1'");
        CHECK_INT(rig_set("value=1"), 0);
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_INT(rig_make(&sysctl_type, "net.no.such", FIELDS("value=1", "persist=false")), 0);
        CHECK_INT(rig_apply(true), -ENOENT);
        CHECK_INT(rig_apply(false), -ENOENT);
        return 0;
}

TEST(in_the_kernel) {
        int r = in_child(in_the_kernel);

        if (r == 77)
                TEST_SKIP("no private network namespace here");
        CHECK_INT(r, 0);
}

TEST(validate) {
        static const struct {
                const char *name, *fields[4];
        } bad[] = {
                { "a/b", { "value=1" } }, { "a=b", { "value=1" } }, { ".a", { "value=1" } }, { "a.", { "value=1" } }, { "a..b", { "value=1" } },
                { " a", { "value=1" } }, { "a", { "value=" } }, { "a", { "value= 1" } }, { "a", { "value=1\n" } }, { "a", { "value=1\n2" } },
                { "a", { "value=1", "runtime=false", "persist=false" } }, { "a", { "value=1", "path=x.conf" } },
                { "a", { "value=1", "path=/x" } }, { "../a", { "value=1" } },
        };
        RIG();

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (rig_make(&sysctl_type, bad[i].name, bad[i].fields) >= 0)
                        TEST_FAIL("case %zu is taken", i);
        CHECK_INT(rig_make(&sysctl_type, "a", FIELDS("value=1", "persist=false", "path=x")), 0);
}

TEST(what_it_wants_before_it) {
        RIG();

        CHECK_INT(rig_make(&sysctl_type, "a.b", FIELDS("value=1", "path=/a/x.conf")), 0);
        check_wants("file:/a/ | file:/");
        CHECK_INT(rig_make(&sysctl_type, "a.b", FIELDS("value=1")), 0);
        check_wants("file:/etc/sysctl.d/ | file:/etc/ | file:/");
        CHECK_INT(rig_make(&sysctl_type, "a.b", FIELDS("value=1", "persist=false", "path=/a/x.conf")), 0);
        check_wants("");
}

TEST_MAIN()
