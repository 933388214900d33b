/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What becomes of /etc/fstab, and what is read from the table of mounts. Real mounts are for tests/system. */

#include "daemons/engine/kinds/fstab.h"
#include "tests/daemons/engine/kind-test.h"

extern const ResourceType mount_type;

static FstabEntry wanted(void) {
        return (FstabEntry) { .device = (char *) "/dev/x", .point = (char *) "/a b", .type = (char *) "ext4", .options = (char *) "rw,nosuid" };
}

TEST(a_line_comes_and_goes) {
        static const struct {
                const char *before;
                bool exists;
                const char *after;      /* NULL: as it is */
        } cases[] = {
                { "", true, "/dev/x /a\\040b ext4 rw,nosuid 0 0\n" },
                { "", false, NULL },
                { "/dev/x /a\\040b ext4 rw,nosuid 0 0\n", true, NULL },
                { "/dev/x\t/a\\040b  ext4 nosuid,rw", true, NULL },             /* blanks, order, and zeroes that are not there */
                { "/dev/x /a\\040b ext4 rw,nosuid 0 1\n", true, "/dev/x /a\\040b ext4 rw,nosuid 0 0\n" },
                { "/dev/x /a\\040b ext4 rw 0 0\n", true, "/dev/x /a\\040b ext4 rw,nosuid 0 0\n" },
                { "/dev/y /a\\040b ext4 rw,nosuid 0 0\n", true, "/dev/x /a\\040b ext4 rw,nosuid 0 0\n" },
                { "# /a b\n/dev/y /y ext4 ro\n", true, "# /a b\n/dev/y /y ext4 ro\n/dev/x /a\\040b ext4 rw,nosuid 0 0\n" },
                { "# c\n/dev/y /a\\040b x y\n\n/dev/z /z z z", true, "# c\n/dev/x /a\\040b ext4 rw,nosuid 0 0\n\n/dev/z /z z z\n" },
                { "/dev/x /a\\040b ext4 rw,nosuid 0 0\n/dev/y /a\\040b x y\n", true, "/dev/x /a\\040b ext4 rw,nosuid 0 0\n" },
                { "/dev/y /a\\040b x y\n# c\n/dev/z /a\\040b x y\n", false, "# c\n" },
                { "/dev/y /a x y\n#/dev/z /a\\040b x y\n", false, NULL },
                { "garbage\n", true, "garbage\n/dev/x /a\\040b ext4 rw,nosuid 0 0\n" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const FstabEntry entry = wanted();
                _cleanup_free_ char *after = NULL, *again = NULL;
                int r = fstab_edit(cases[i].before, "/a b", cases[i].exists ? &entry : NULL, &after);
                if (r != (cases[i].after ? 1 : 0) || !streq_ptr(after, cases[i].after))
                        TEST_FAIL("case %zu: %d, '%s'", i, r, after);
                if (after)
                        CHECK_INT(fstab_edit(after, "/a b", cases[i].exists ? &entry : NULL, &again), 0);
        }
}

TEST(the_table_of_mounts) {
        static const char text[] =
                "22 1 0:20 / / rw,relatime shared:1 - overlay overlay rw\n"
                "30 22 0:30 / /a\\040b rw,nosuid - tmpfs one rw,size=4k\n"
                "31 30 0:31 / /a\\040b ro,nodev shared:2 master:3 - ext4 /dev/x rw\n"
                "broken\n";
        _cleanup_(fstab_entry_done) FstabEntry e = {};

        CHECK_INT(mountinfo_find(text, "/a b", &e), 1);
        CHECK_STR(e.device, "/dev/x");
        CHECK_STR(e.type, "ext4");
        CHECK_STR(e.options, "ro,nodev");
        fstab_entry_done(&e);
        CHECK_INT(mountinfo_find(text, "/a", &e), 0);
        CHECK_INT(mountinfo_find("", "/", &e), 0);
}

TEST(validate) {
        static const struct {
                const char *name, *a, *b, *c, *message;
        } cases[] = {
                { "a", "state=absent", NULL, NULL, "name must be the absolute path of a directory, without a slash at the end, got 'a'" },
                { "/a//b", "state=absent", NULL, NULL, "name must be the absolute path of a directory, without a slash at the end, got '/a//b'" },
                { "/a/", "state=absent", NULL, NULL, "name must be the absolute path of a directory, without a slash at the end, got '/a/'" },
                { "/..", "state=absent", NULL, NULL, "name must be a path without '.' and '..' in it, got '/..'" },
                { "/a/./b", "state=absent", NULL, NULL, "name must be a path without '.' and '..' in it, got '/a/./b'" },
                { "/a", "state=mounted", NULL, NULL, "state must be 'exists' or 'absent', got 'mounted'" },
                { "/a", "state=exists", "device=x", NULL, "device and type must be given" },
                { "/a", "state=exists", "device=x", "type=a b", "device and type must be one line, got 'x' and 'a b'" },
                { "/a", "state=absent", "options.a,b=", NULL, "an option must be a word, got 'a,b' with value ''" },
        };
        RIG();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CHECK_INT(rig_make(&mount_type, cases[i].name, FIELDS(cases[i].a, cases[i].b, cases[i].c)), -EINVAL);
                CHECK_STR(rig.host.diag.message, cases[i].message);
        }
        CHECK_INT(rig_make(&mount_type, "/", FIELDS("state=absent")), 0);
        CHECK_INT(rig_make(&mount_type, "/.a/..b/c./...", FIELDS("state=absent")), 0);
        CHECK_INT(rig_make(&mount_type, "/a", FIELDS("state=exists", "device=UUID=1", "type=ext4", "options.size=1")), 0);
}

TEST_MAIN()
