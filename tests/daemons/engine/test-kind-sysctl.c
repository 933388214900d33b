/* SPDX-License-Identifier: GPL-3.0-or-later */

/* sysctl: in the file, and in the kernel of a network namespace. */

#include "tests/daemons/engine/kind-test.h"
#include "tests/namespace.h"

extern const ResourceType sysctl_type;

TEST(in_a_file) {
        BENCH();

        CHECK_INT(bench_make(&sysctl_type, "net.ipv4.ip_forward", FIELDS("value=1", "runtime=false", field_in_dir("path", "x.conf"))), 0);
        CHECK_INT(bench_watch(), 0);
        CHECK_INT(bench.n_armed, 1);
        CHECK_INT(bench_apply(false), CHECK_CHANGED);
        CHECK(bench.differences.data && strstr(bench.differences.data, "+net.ipv4.ip_forward = 1\n"));
        check_file("x.conf", NULL);
        CHECK_INT(bench_apply(true), CHECK_CHANGED);
        check_file("x.conf", "net.ipv4.ip_forward = 1\n");
        CHECK_INT(bench_apply(true), CHECK_OK);
        put_file("x.conf", "net.ipv4.ip_forward = 1\n# x\n");
        for (int i = 0; i < 200 && bench.n_changed == 0; i++)
                bench_run(10000);
        CHECK(bench.n_changed > 0);
        CHECK_INT(bench_apply(true), CHECK_CHANGED);
        check_file("x.conf", "net.ipv4.ip_forward = 1\n");
        CHECK_INT(bench_make(&sysctl_type, "a.b", FIELDS("value=1", "runtime=false", field_in_dir("path", "no/x.conf"))), 0);
        CHECK_INT(bench_apply(true), -ENOENT);
        CHECK_INT(bench.diag.pos.line, 3);
}

static void check_kernel(const char *want) {
        _cleanup_free_ char *text = NULL;

        CHECK_INT(read_file_at(AT_FDCWD, "/proc/sys/net/ipv4/ip_local_port_range", 100, &text, NULL), 0);
        CHECK_STR(text, want);
}

static int in_the_kernel(void) {
        if (!unshare_as_root(CLONE_NEWNET))
                return 77;
        if (access("/proc/sys/net/ipv4/ip_local_port_range", W_OK) < 0 || bench_begin("/tmp") < 0)
                return 77;
        __attribute__((__cleanup__(bench_endp), __unused__)) int guard = 0;

        CHECK_INT(bench_make(&sysctl_type, "net.ipv4.ip_local_port_range", FIELDS("value=20000 30000", "persist=false")), 0);
        CHECK_INT(bench_watch(), 0);
        CHECK_INT(bench_apply(false), CHECK_CHANGED);
        CHECK_INT(bench_apply(true), CHECK_CHANGED);
        check_kernel("20000\t30000\n");
        CHECK_INT(bench_apply(true), CHECK_OK);         /* blanks are as good as tabs */
        bench_run(10000);
        bench.n_changed = 0;
        CHECK(write_text("/proc/sys/net/ipv4/ip_local_port_range", "10000 20000"));
        for (int i = 0; i < 200 && bench.n_changed == 0; i++)
                bench_run(10000);
        CHECK(bench.n_changed > 0);
        CHECK_INT(bench_apply(true), CHECK_CHANGED);
        check_kernel("20000\t30000\n");

        CHECK_INT(bench_make(&sysctl_type, "net.ipv4.ip_local_port_range", FIELDS("value=x y", "persist=false")), 0);
        CHECK_INT(bench_apply(false), CHECK_CHANGED);
        CHECK_INT(bench_apply(true), -EINVAL);
        CHECK(bench.diag.message && strstr(bench.diag.message, "does not take 'x y'"));
        check_kernel("20000\t30000\n");
        CHECK_INT(bench_make(&sysctl_type, "net.no.such", FIELDS("value=1", "persist=false")), 0);
        CHECK_INT(bench_apply(true), -ENOENT);
        CHECK_INT(bench_apply(false), -ENOENT);
        return 0;
}

TEST(in_the_kernel) {
        if (in_child(in_the_kernel) == 77)
                TEST_SKIP("no private network namespace here");
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
        BENCH();

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (bench_make(&sysctl_type, bad[i].name, bad[i].fields) >= 0)
                        TEST_FAIL("case %zu is taken", i);
        CHECK_INT(bench_make(&sysctl_type, "a", FIELDS("value=1", "persist=false", "path=x")), 0);
}

TEST_MAIN()
