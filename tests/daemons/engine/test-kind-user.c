/* SPDX-License-Identifier: GPL-3.0-or-later */

/* user and group with files of the test's own, and programs that only write down how they were called. */

#include "tests/daemons/engine/kind-test.h"

extern const ResourceType user_type, group_type;

static const char *const programs[] = { "useradd", "usermod", "userdel", "groupadd", "groupmod", "groupdel" };

/* PATH leads to the recorders, etc to passwd and group. */
static int accounts_begin(void) {
        static const char recorder[] = "#!/bin/sh\necho \"${0##*/} $*\" >>\"${0%/*}/calls\"\ntest ! -e \"${0%/*}/refuse\" || { echo no >&2; exit 8; }\n";

        for (size_t i = 0; i < ELEMENTSOF(programs); i++) {
                put_file(programs[i], recorder);
                if (chmod(in_dir(programs[i]), 0755) < 0)
                        return -errno;
        }
        put_file("passwd", "root:x:0:0:root:/root:/bin/bash\n"
                           "jane:x:1000:1000::/users/jane:/bin/sh\n"
                           "slash:x:1001:1001::/users/slash/:/bin/sh\n");
        put_file("group", "root:x:0:\njane:x:1000:jane\ncrew:x:50:jane,root\ngames:x:60:jane\nempty:x:70:\njoe:x:80:\n");
        names_free(rig.manager.names);
        rig.manager.etc = rig.dir;
        return names_new(&rig.manager.names, rig.event, rig.dir);
}

#define ACCOUNTS() \
        RIG(); \
        REQUIRE(accounts_begin() >= 0); \
        (void) setenv("PATH", rig.dir, 1)

typedef struct AccountCase {
        const char *name, *fields[4];
        int result;
        const char *calls;      /* NULL: none; or the message of an error */
} AccountCase;

static void check_cases(const ResourceType *type, const AccountCase *cases, size_t n) {
        for (size_t i = 0; i < n; i++) {
                const AccountCase *c = &cases[i];
                const char *const fields[] = { c->fields[0], c->fields[1], c->fields[2], c->fields[3], NULL };
                _cleanup_free_ char *calls = NULL;

                (void) unlink(in_dir("calls"));
                CHECK_INT(rig_make(type, c->name, fields), 0);
                int r = rig_apply(false);
                struct stat st;
                if (r != c->result || stat(in_dir("calls"), &st) >= 0)
                        TEST_FAIL("case %zu, noop: %d (%s)", i, r, rig.host.diag.message);
                r = rig_apply(true);
                if (read_file_at(AT_FDCWD, in_dir("calls"), 65536, &calls, NULL) < 0)
                        calls = NULL;
                const char *got = r < 0 ? rig.host.diag.message : calls;
                if (r != c->result || !streq_ptr(got, c->calls))
                        TEST_FAIL("case %zu: %d, '%s', not '%s'", i, r, got, c->calls);
        }
}

TEST(what_users_need) {
        static const AccountCase cases[] = {
                { "jane", { "state=exists" }, CHECK_OK, NULL },
                { "nobody1", { "state=absent" }, CHECK_OK, NULL },
                { "jane", { "state=absent" }, CHECK_CHANGED, "userdel jane\n" },
                { "bob", { "state=exists" }, CHECK_CHANGED, "useradd --no-create-home bob\n" },
                { "bob", { "state=exists", "uid=5", "homedir=/x//y/", "shell=/bin/sh" }, CHECK_CHANGED,
                  "useradd --no-create-home --uid 5 --home /x/y --shell /bin/sh bob\n" },
                { "bob", { "state=exists", "gid=50" }, CHECK_CHANGED, "useradd --no-create-home --gid 50 bob\n" },
                { "bob", { "state=exists", "group=crew", "groups=games empty" }, CHECK_CHANGED,
                  "useradd --no-create-home --gid crew --groups empty,games bob\n" },
                { "joe", { "state=exists" }, CHECK_CHANGED, "useradd --no-create-home --gid joe joe\n" },    /* there is a group joe */
                { "jane", { "state=exists", "uid=1000", "gid=1000", "shell=/bin/sh" }, CHECK_OK, NULL },
                { "jane", { "state=exists", "uid=1000", "shell=/bin/bash" }, CHECK_CHANGED, "usermod --shell /bin/bash jane\n" },
                { "jane", { "state=exists", "homedir=/users/jane/" }, CHECK_OK, NULL },
                { "slash", { "state=exists", "homedir=/users/slash/" }, CHECK_OK, NULL },
                { "jane", { "state=exists", "homedir=/srv/" }, CHECK_CHANGED, "usermod --home /srv jane\n" },
                { "jane", { "state=exists", "homedir=/" }, CHECK_CHANGED, "usermod --home / jane\n" },
                { "jane", { "state=exists", "group=jane" }, CHECK_OK, NULL },
                { "jane", { "state=exists", "group=crew" }, CHECK_CHANGED, "usermod --gid crew jane\n" },
                { "jane", { "state=exists", "groups=games crew" }, CHECK_OK, NULL },
                { "jane", { "state=exists", "groups=crew empty" }, CHECK_CHANGED, "usermod --groups crew,empty jane\n" },
                { "jane", { "state=exists", "groups=" }, CHECK_CHANGED, "usermod --groups  jane\n" },
                { "slash", { "state=exists", "groups=" }, CHECK_OK, NULL },
                { "bob", { "state=exists", "uid=1000" }, -EEXIST, "uid 1000 belongs to user 'jane'" },
                { "bob", { "state=exists", "uid=1000", "allowduplicateuid=true" }, CHECK_CHANGED,
                  "useradd --no-create-home --non-unique --uid 1000 bob\n" },
                { "bob", { "state=absent", "uid=1000" }, CHECK_OK, NULL },
                { "jane", { "state=exists", "uid=7" }, CHECK_CHANGED, "usermod --uid 7 jane\n" },
        };
        ACCOUNTS();

        check_cases(&user_type, cases, ELEMENTSOF(cases));
}

TEST(what_groups_need) {
        static const AccountCase cases[] = {
                { "crew", { "state=exists" }, CHECK_OK, NULL },
                { "crew", { "state=exists", "gid=50" }, CHECK_OK, NULL },
                { "crew", { "state=exists", "gid=51" }, CHECK_CHANGED, "groupmod -g 51 crew\n" },
                { "crew", { "state=exists", "gid=60" }, -EEXIST, "gid 60 belongs to group 'games'" },
                { "new", { "state=exists" }, CHECK_CHANGED, "groupadd new\n" },
                { "new", { "state=exists", "gid=61" }, CHECK_CHANGED, "groupadd -g 61 new\n" },
                { "new", { "state=exists", "gid=60" }, -EEXIST, "gid 60 belongs to group 'games'" },
                { "crew", { "state=absent", "gid=60" }, CHECK_CHANGED, "groupdel crew\n" },
                { "new", { "state=absent", "gid=60" }, CHECK_OK, NULL },
        };
        ACCOUNTS();

        check_cases(&group_type, cases, ELEMENTSOF(cases));
}

TEST(what_the_program_says_is_the_error) {
        ACCOUNTS();

        put_file("refuse", "");
        CHECK_INT(rig_make(&user_type, "jane", FIELDS("state=exists", "uid=7")), 0);
        CHECK_INT(rig_apply(true), -EPROTO);
        CHECK_STR(rig.host.diag.message, "usermod failed with status 8: no");
        CHECK_INT(unlink(in_dir("userdel")), 0);
        CHECK_INT(rig_make(&user_type, "jane", FIELDS("state=absent")), 0);
        CHECK_INT(rig_apply(true), -ENOENT);
}

/* The lock of lckpwdf(3), taken by another process until the pipe to it is closed. */
static pid_t lock_lists(int *ret_hold) {
        int hold[2], locked[2];
        char c;

        if (pipe2(hold, O_CLOEXEC) < 0 || pipe2(locked, O_CLOEXEC) < 0)
                return -1;
        pid_t pid = fork();
        if (pid == 0) {
                struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
                int fd = open(in_dir(".pwd.lock"), O_WRONLY | O_CREAT, 0600);

                (void) close(hold[1]);
                if (fcntl(fd, F_SETLK, &lock) >= 0 && write(locked[1], "x", 1) == 1)
                        (void) !read(hold[0], &c, 1);
                _exit(0);
        }
        (void) close(hold[0]);
        (void) close(locked[1]);
        (void) !read(locked[0], &c, 1);
        (void) close(locked[0]);
        *ret_hold = hold[1];
        return pid;
}

TEST(somebody_else_has_the_lists) {
        _cleanup_free_ char *calls = NULL;
        int hold;
        ACCOUNTS();

        pid_t pid = lock_lists(&hold);
        REQUIRE(pid > 0);
        CHECK_INT(rig_make(&user_type, "bob", FIELDS("state=exists")), 0);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), -EAGAIN);
        CHECK_INT(rig.host.n_changed, 0);
        CHECK(read_file_at(AT_FDCWD, in_dir("calls"), 65536, &calls, NULL) < 0);
        (void) close(hold);
        CHECK_INT(waitpid(pid, NULL, 0), pid);
        CHECK(RIG_UNTIL(rig.host.n_changed > 0));
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
}

TEST(files_are_watched) {
        ACCOUNTS();

        CHECK_INT(rig_make(&user_type, "jane", FIELDS("state=exists")), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig.host.n_armed, 1);
        put_file("passwd", "root:x:0:0:root:/root:/bin/bash\n");
        CHECK(RIG_UNTIL(rig.host.n_changed > 0));
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
}

TEST(validate) {
        static const struct {
                const ResourceType *type;
                const char *name, *a, *b, *message;
        } cases[] = {
                { &user_type, "x", "state=yes", NULL, "state must be 'exists' or 'absent', got 'yes'" },
                { &user_type, "1x", "state=exists", NULL, "name must be letters, digits, '_' and '-', at most 31, got '1x'" },
                { &user_type, "x", "state=exists", "homedir=/users/x", "homedir must begin and end with a slash, got '/users/x'" },
                { &user_type, "x", "state=exists", "shell=sh", "shell must be an absolute path, got 'sh'" },
                { &user_type, "x", "state=exists", "uid=-1", "uid must be from 0 to 4294967294, got -1" },
                { &user_type, "x", "state=exists", "gid=4294967295", "gid must be from 0 to 4294967294, got 4294967295" },
                { &user_type, "x", "state=exists", "groups=x y", "groups must not have the primary group in it, got 'x'" },
                { &user_type, "x", "state=exists", "groups=a: y", "groups must be names of groups, got 'a:'" },
                { &user_type, "x", "state=exists", "group=", "group must be the name of a group, got ''" },
                { &group_type, "x", "state=", NULL, "field 'state' is required" },
                { &group_type, "x y", "state=exists", NULL, "name must be letters, digits, '_' and '-', at most 31, got 'x y'" },
        };
        RIG();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CHECK_INT(rig_make(cases[i].type, cases[i].name, FIELDS(cases[i].a, cases[i].b)), -EINVAL + (strstr(cases[i].message, "from 0") ? EINVAL - ERANGE : 0));
                CHECK_STR(rig.host.diag.message, cases[i].message);
        }
        CHECK_INT(rig_make(&user_type, "x", FIELDS("state=exists", "group=a", "gid=1")), -EINVAL);
        CHECK_STR(rig.host.diag.message, "only one of group and gid can be given");
}

TEST(groups_come_first) {
        RIG();
        _cleanup_(resource_uids_done) ResourceUids wants = {}, gone = {};

        CHECK_INT(rig_make(&user_type, "x", FIELDS("state=exists", "group=a", "groups=b")), 0);
        CHECK_INT(user_type.wants(rig.r, 0, &wants), 0);
        REQUIRE(wants.n == 2);
        CHECK_STR(wants.items[0].key, "a");
        CHECK_STR(wants.items[1].key, "b");
        CHECK(!wants.items[0].after && !wants.items[1].after);
        CHECK_INT(rig_make(&user_type, "x", FIELDS("state=absent", "gid=5")), 0);
        CHECK_INT(user_type.wants(rig.r, 0, &gone), 0);
        REQUIRE(gone.n == 2);
        CHECK_STR(gone.items[0].key, "5");
        CHECK(gone.items[0].after && gone.items[1].after);
}

TEST_MAIN()
