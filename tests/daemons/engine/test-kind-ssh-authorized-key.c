/* SPDX-License-Identifier: GPL-3.0-or-later */

/* ssh:authorized_key: a key is there once, as it shall be, and all other lines stay as they are. */

#include "tests/daemons/engine/file-test.h"
#include "tests/names-service.h"

extern const ResourceType ssh_authorized_key_type;

#define TYPE "ssh-ed25519"
#define KEY "AAAAC3NzaC1lZDI1NTE5AAAAIGtleSBvZiB0aGUgZmlyc3QgcGVyc29uLCBmb3IgdGVz"
#define OTHER "AAAAC3NzaC1lZDI1NTE5AAAAIGtleSBvZiBzb21lYm9keSBlbHNlLCBmb3IgdGVzdHMu"

/* after NULL: it is right as it is. */
TEST(keys) {
        static const struct {
                const char *fields[6], *before, *after;
        } cases[] = {
                { { "type=" TYPE, "key=" KEY, "comment=me" }, NULL, TYPE " " KEY " me\n" },
                { { "type=" TYPE, "key=" KEY, "comment=me" }, TYPE " " KEY " me\n", NULL },
                { { "type=" TYPE, "key=" KEY, "comment=me" }, TYPE " " KEY " you\n", TYPE " " KEY " me\n" },
                { { "type=" TYPE, "key=" KEY, "comment=me" }, "# x\n" TYPE " " OTHER " me\n", "# x\n" TYPE " " OTHER " me\n" TYPE " " KEY " me\n" },
                { { "type=" TYPE, "key=" KEY }, TYPE " " OTHER, TYPE " " OTHER "\n" TYPE " " KEY "\n" },
                { { "type=" TYPE, "key=" KEY }, "no-pty " TYPE " " KEY " x\n# y\n", TYPE " " KEY "\n# y\n" },
                { { "type=" TYPE, "key=" KEY, "options=no-pty from=\"a\"" }, TYPE " " KEY "\n", "no-pty,from=\"a\" " TYPE " " KEY "\n" },
                { { "type=" TYPE, "key=" KEY }, TYPE " " KEY "\nx\n" TYPE " " KEY "\n", TYPE " " KEY "\nx\n" },
                { { "content=command=\"echo \\\"a b\\\"\" " TYPE " " KEY "  c d " }, "", "command=\"echo \\\"a b\\\"\" " TYPE " " KEY " c d\n" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                RIG();
                unsigned before = test_failures;
                const char *const *x = cases[i].fields;
                if (cases[i].before) {
                        put_file("keys", cases[i].before);
                        CHECK_INT(chmod(in_dir("keys"), 0640), 0);
                }
                CHECK_INT(rig_make(&ssh_authorized_key_type, "k", FIELDS("state=exists", field_in_dir("file", "keys"), x[0], x[1], x[2], x[3])), 0);
                CHECK_INT(rig_watch(), 0);
                CHECK_INT(rig_apply(false), cases[i].after ? CHECK_CHANGED : CHECK_OK);
                check_file("keys", cases[i].before);
                CHECK_INT(rig_apply(true), cases[i].after ? CHECK_CHANGED : CHECK_OK);
                check_file("keys", cases[i].after ? cases[i].after : cases[i].before);
                CHECK_INT(rig_apply(true), CHECK_OK);
                CHECK_INT(mode_of("keys"), cases[i].before ? 0640 : 0600);
                CHECK_INT(n_entries(""), 1);
                if (test_failures > before)
                        printf("# case %zu: %s\n", i, rig.host.diag.message ? rig.host.diag.message : "");
        }
}

/* Lines are lost behind a NUL: better none is written. */
TEST(what_is_no_text_is_left_alone) {
        static const char text[] = "# a\n\0" TYPE " " OTHER "\n";
        _cleanup_free_ char *now = NULL;
        size_t size = 0;
        RIG();

        CHECK_INT(write_file_atomic_at(AT_FDCWD, in_dir("keys"), text, sizeof(text) - 1, 0600, false), 0);
        CHECK_INT(rig_make(&ssh_authorized_key_type, TYPE " " KEY, FIELDS("state=exists", field_in_dir("file", "keys"))), 0);
        CHECK_INT(rig_apply(true), -EBADMSG);
        CHECK(rig.host.diag.message && strstr(rig.host.diag.message, "is no text"));
        CHECK_INT(read_file_at(AT_FDCWD, in_dir("keys"), 1024, &now, &size), 0);
        CHECK_INT(size, sizeof(text) - 1);
}

/* A link of our own is gone over, to read and to write; one of others is not. */
TEST(links) {
        struct stat st;
        RIG();

        CHECK_INT(mkdir(in_dir("d"), 0755), 0);
        put_file("d/keys", "# x\n");
        CHECK_INT(symlink("d/keys", in_dir("keys")), 0);
        CHECK_INT(rig_make(&ssh_authorized_key_type, TYPE " " KEY, FIELDS("state=exists", field_in_dir("file", "keys"))), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), CHECK_OK);
        check_file("d/keys", "# x\n" TYPE " " KEY "\n");
        CHECK(lstat(in_dir("keys"), &st) >= 0 && S_ISLNK(st.st_mode));
        if (geteuid() != 0)
                TEST_SKIP("needs to be root to make links of others");
        CHECK_INT(lchown(in_dir("keys"), 65534, 65534), 0);
        CHECK_INT(rig_set("comment="), 0);
        CHECK_INT(rig_apply(true), -EPERM);
}

TEST(absent_ones) {
        RIG();

        CHECK_INT(rig_make(&ssh_authorized_key_type, TYPE " " KEY, FIELDS("state=absent", field_in_dir("file", "keys"))), 0);
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK(!exists("keys"));
        put_file("keys", "a\n" TYPE " " KEY " x\nb\nno-pty " TYPE " " KEY "\n" TYPE " " OTHER "\n");
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_file("keys", "a\nb\n" TYPE " " OTHER "\n");
        CHECK_INT(rig_apply(true), CHECK_OK);
        put_file("keys", TYPE " " KEY);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_file("keys", "");
}

TEST(the_directory) {
        RIG();

        CHECK_INT(rig_make(&ssh_authorized_key_type, TYPE " " KEY, FIELDS("state=exists", field_in_dir("file", ".ssh/keys"), "mkdir=false")), 0);
        CHECK(rig_apply(true) < 0);
        CHECK_INT(rig_make(&ssh_authorized_key_type, TYPE " " KEY, FIELDS("state=exists", field_in_dir("file", ".ssh/keys"))), 0);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK(!exists(".ssh"));
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_INT(mode_of(".ssh"), 0700);
        check_file(".ssh/keys", TYPE " " KEY "\n");
        CHECK_INT(rig_apply(true), CHECK_OK);
}

TEST(changes_are_seen) {
        RIG();

        CHECK_INT(rig_make(&ssh_authorized_key_type, TYPE " " KEY, FIELDS("state=exists", field_in_dir("file", "keys"))), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig.host.n_armed, 1);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        rig_run(10000);
        rig.host.n_changed = 0;
        put_file("keys", "");
        CHECK(RIG_UNTIL(rig.host.n_changed > 0));
}

TEST(users_of_a_directory_elsewhere) {
        struct stat st;
        RIG();

        CHECK_INT(rig_make(&ssh_authorized_key_type, TYPE " " KEY, FIELDS("state=exists", "user=far", field_in_dir("file", "keys"))), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig.host.n_armed, 1);
        names_held = true;
        CHECK_INT(begin_apply(), CHECK_PENDING);
        ssh_authorized_key_type.cancel(rig.r);
        CHECK_INT(begin_apply(), CHECK_PENDING);
        names_held = false;
        if (geteuid() == 0) {
                CHECK_INT(finish_apply(), CHECK_CHANGED);
                check_file("keys", TYPE " " KEY "\n");
                CHECK(stat(in_dir("keys"), &st) >= 0 && st.st_uid == 5000 && st.st_gid == 5001);
                CHECK_INT(rig_apply(true), CHECK_OK);
        } else
                CHECK(finish_apply() < 0);
        CHECK_INT(names_asked_by_loop, 0);
        CHECK_INT(rig_make(&ssh_authorized_key_type, TYPE " " KEY, FIELDS("state=exists", "user=far")), 0);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK_INT(rig_make(&ssh_authorized_key_type, TYPE " " KEY, FIELDS("state=exists", "user=nobody-there")), 0);
        CHECK_INT(rig_apply(true), -ESRCH);
        CHECK_STR(rig.host.diag.message, "there is no user 'nobody-there'");
        CHECK_INT(rig_make(&ssh_authorized_key_type, TYPE " " KEY, FIELDS("state=exists", "user=sick")), 0);
        CHECK_INT(rig_apply(true), -EIO);
}

TEST(validate) {
        static const char *const bad[][5] = {
                { "state=present", "content=" TYPE " " KEY }, { "state=exists", "content=" TYPE }, { "state=exists", "content=# x" },
                { "state=exists", "content=" TYPE " " KEY, "comment=x" }, { "state=exists", "type=" TYPE }, { "state=exists", "key=" KEY },
                { "state=exists", "type=ssh-rsa", "key=" KEY }, { "state=exists", "type=" TYPE, "key=x" },
                { "state=exists", "type=" TYPE, "key=" KEY, "options=a=\"b" }, { "state=exists", "content=" TYPE " " KEY "\nx" },
                { "state=exists", "content=" TYPE " " KEY, "file=x" }, { "state=exists", "content=" TYPE " " KEY, "user=a b" },
                { "state=exists" },
        };
        RIG();

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (rig_make(&ssh_authorized_key_type, "k", bad[i]) >= 0)
                        TEST_FAIL("case %zu is taken", i);
}

TEST(what_it_wants_before_it) {
        static const struct {
                const char *file, *user, *wants;
        } cases[] = {
                { "file=/a/f", "user=", "file:/a/f package-file:/a/f | file:/a/ | file:/" },
                { "file=/a/f", "user=james", "user:james+ | file:/a/f package-file:/a/f | file:/a/ | file:/" },
                { "file=", "user=james", "user:james+" },
                { "file=", "user=", "" },
        };
        RIG();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CHECK_INT(rig_make(&ssh_authorized_key_type, TYPE " " KEY, FIELDS("state=exists", cases[i].file, cases[i].user)), 0);
                check_wants(cases[i].wants);
        }
}

TEST_MAIN()
