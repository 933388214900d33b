/* SPDX-License-Identifier: GPL-3.0-or-later */

/* fwattr, on a firmware made of files, in a mount namespace: what is right, what may be, and what is written. */

#include <sys/mount.h>

#include "tests/daemons/engine/kind-test.h"
#include "tests/namespace.h"

extern const ResourceType fwattr_type;

#define ATTRIBUTES "/sys/class/firmware-attributes/thinklmi/attributes/"

static bool make_firmware(void) {
        return unshare_as_root(CLONE_NEWNS) && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
               mount("tmpfs", "/sys/class", "tmpfs", 0, NULL) == 0 && make_directories(ATTRIBUTES, 0755) >= 0;
}

static void put(const char *key, const char *file, const char *text) {
        char path[200];

        (void) snprintf(path, sizeof(path), ATTRIBUTES "%s", key);
        CHECK_INT(make_directories(path, 0755), 0);
        (void) snprintf(path, sizeof(path), ATTRIBUTES "%s/%s", key, file);
        CHECK_INT(write_file_atomic_at(AT_FDCWD, path, text, strlen(text), 0644, false), 0);
}

static void check_now(const char *key, const char *want) {
        _cleanup_free_ char *text = NULL;
        char path[200];

        (void) snprintf(path, sizeof(path), ATTRIBUTES "%s/current_value", key);
        CHECK_INT(read_file_at(AT_FDCWD, path, 1000, &text, NULL), 0);
        CHECK_STR(text, want);
}

static int values(void) {
        static const struct {
                const char *key, *fields[4];
                int result;
                const char *after;      /* or what the error says */
        } cases[] = {
                { "SecureBoot", { "value=Enable" }, CHECK_CHANGED, "Enable\n" },
                { "SecureBoot", { "value=Enabled" }, CHECK_OK, "Enable\n" },
                { "SecureBoot", { "value=Enabled", "strict=true" }, -EINVAL, "one of 'Disable;Enable'" },
                { "SecureBoot", { "value=Disabled", "driver=thinklmi" }, CHECK_CHANGED, "Disable\n" },
                { "SecureBoot", { "value=maybe" }, -EINVAL, "one of 'Disable;Enable'" },
                { "SecureBoot", { "value=maybe", "check=false" }, CHECK_CHANGED, "maybe\n" },
                { "SecureBoot", { "value=Enable", "driver=dell" }, -ENOENT, "no driver 'dell'" },
                { "SecureBoot", { "value=Enable", "driver=dell", "skip=true" }, CHECK_OK, "maybe\n" },
                { "Nothing", { "value=x" }, -ENOENT, "no attribute 'Nothing'" },
                { "Delay", { "value=20" }, CHECK_CHANGED, "20\n" },
                { "Delay", { "value=4" }, -ERANGE, "at least 5" },
                { "Delay", { "value=105" }, -ERANGE, "at most 100" },
                { "Delay", { "value=21" }, -EINVAL, "steps of 5 from 5 on" },
                { "Delay", { "value=x" }, -EINVAL, "must be a number" },
                { "Tag", { "value=abc" }, CHECK_CHANGED, "abc\n" },
                { "Tag", { "value=a" }, -ERANGE, "at least 2" },
                { "Tag", { "value=abcde" }, -ERANGE, "at most 4" },
                { "Order", { "value=a;b" }, -EOPNOTSUPP, "ordered-list" },
                { "Order", { "value=a;b", "check=false" }, CHECK_CHANGED, "a;b\n" },
        };

        if (!make_firmware() || rig_begin("/tmp") < 0)
                return 77;
        __attribute__((__cleanup__(rig_endp), __unused__)) int guard = 0;
        put("SecureBoot", "type", "enumeration\n");
        put("SecureBoot", "possible_values", "Disable;Enable\n");
        put("SecureBoot", "current_value", "Disable\n");
        put("Delay", "type", "integer\n");
        put("Delay", "min_value", "5\n");
        put("Delay", "max_value", "100\n");
        put("Delay", "scalar_increment", "5\n");
        put("Delay", "current_value", "10\n");
        put("Tag", "type", "string\n");
        put("Tag", "min_length", "2\n");
        put("Tag", "max_length", "4\n");
        put("Tag", "current_value", "\n");
        put("Order", "type", "ordered-list\n");
        put("Order", "current_value", "b;a\n");
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                unsigned before = test_failures;
                CHECK_INT(rig_make(&fwattr_type, cases[i].key, cases[i].fields), 0);
                CHECK_INT(rig_watch(), 0);
                CHECK_INT(rig.host.n_armed, 1);
                CHECK_INT(rig_apply(false), cases[i].result);
                CHECK_INT(rig_apply(true), cases[i].result);
                if (cases[i].result < 0)
                        CHECK(rig.host.diag.message && strstr(rig.host.diag.message, cases[i].after));
                else {
                        check_now(cases[i].key, cases[i].after);
                        CHECK_INT(rig_apply(true), CHECK_OK);
                }
                if (test_failures > before)
                        printf("# case %zu: %s\n", i, rig.host.diag.message ? rig.host.diag.message : "");
        }

        /* What is written does not show. */
        put("Later", "type", "string\n");
        CHECK_INT(symlink("/dev/null", ATTRIBUTES "Later/current_value"), 0);
        CHECK_INT(rig_make(&fwattr_type, "Later", FIELDS("value=abc")), 0);
        CHECK_INT(rig_apply(true), -ERANGE);
        CHECK_STR(rig.host.diag.message, "value: the firmware has taken 'abc', and shows ''");
        put("", "pending_reboot", "1\n");
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_INT(rig_set("value=abcd"), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), CHECK_OK);

        CHECK_INT(rig_make(&fwattr_type, "Tag", FIELDS("value=abc")), 0);
        CHECK_INT(rig_watch(), 0);
        put("Tag", "current_value", "other\n");
        CHECK(RIG_UNTIL(rig.host.n_changed > 0));
        CHECK_INT(make_directories("/sys/class/firmware-attributes/dell", 0755), 0);
        CHECK_INT(rig_apply(true), -ENOTUNIQ);
        return 0;
}

TEST(values_of_a_machine) {
        int r = in_child(values);

        if (r == 77)
                TEST_SKIP("no private mount namespace here");
        CHECK_INT(r, 0);
}

TEST(validate) {
        RIG();

        CHECK(rig_make(&fwattr_type, "a/b", FIELDS("value=x")) < 0);
        CHECK(rig_make(&fwattr_type, "..", FIELDS("value=x")) < 0);
        CHECK(rig_make(&fwattr_type, "a", FIELDS("value=x", "driver=../b")) < 0);
        CHECK(rig_make(&fwattr_type, "a", FIELDS("value=x\ny")) < 0);
        CHECK_INT(rig_make(&fwattr_type, "x", FIELDS("key=a", "value=x", "skip=true")), 0);
}

TEST_MAIN()
