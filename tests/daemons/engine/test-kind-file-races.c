/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Somebody owns a directory in which root manages files, and wants them to go elsewhere. "home" is that directory, "secret" is where
 * nothing may ever change. */

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "tests/daemons/engine/file-test.h"

enum { OTHER = 65534, LARGE = 24 * 1024 * 1024 };

#define STAGE(BENCH_) \
        BENCH_(); \
        if (geteuid() != 0) \
                TEST_SKIP("needs to be root to be somebody else"); \
        make_stage()

static void give(const char *name) {
        CHECK_INT(lchown(in_dir(name), OTHER, OTHER), 0);
}

static void others_link(const char *text, const char *name) {
        CHECK_INT(symlink(text, in_dir(name)), 0);
        give(name);
}

static void make_stage(void) {
        make_dir("secret");
        put_file("secret/f", "keep");
        make_dir("secret/sub");
        put_file("secret/sub/g", "keep");
        CHECK_INT(chmod(in_dir("secret/f"), 0600), 0);
        make_dir("home");
        give("home");
        put_file("large", "");
        CHECK_INT(truncate(in_dir("large"), LARGE), 0);
}

static void check_secret(void) {
        struct stat st;

        check_tree("secret", "secret/f secret/sub/ secret/sub/g");
        check_file("secret/f", "keep");
        check_file("secret/sub/g", "keep");
        CHECK(lstat(in_dir("secret/f"), &st) >= 0 && st.st_uid == 0 && (st.st_mode & 07777) == 0600);
        CHECK(lstat(in_dir("secret"), &st) >= 0 && st.st_uid == 0 && (st.st_mode & 07777) == 0755);
        CHECK(lstat(in_dir("secret/sub"), &st) >= 0 && st.st_uid == 0 && (st.st_mode & 07777) == 0755);
}

static int make(const char *name, const char *const *fields) {
        int r = rig_make(&file_type, in_dir(name), fields);
        return r < 0 ? r : file_type.prepare(rig.r, &rig.host.diag);
}

TEST(a_directory_is_exchanged_for_a_link_while_a_file_is_written) {
        STAGE(RIG_FAST);

        make_dir("home/d");
        CHECK_INT(make("home/d/f", FIELDS("state=exists", "mode=0644", field_in_dir("source", "large"))), 0);
        CHECK_INT(begin_apply(), CHECK_PENDING);
        CHECK(RIG_UNTIL(n_entries("home/d") > 0));
        CHECK_INT(rename(in_dir("home/d"), in_dir("home/e")), 0);
        others_link("../secret", "home/d");
        CHECK_INT(finish_apply(), CHECK_CHANGED);
        check_secret();
        check_tree("home/e", "home/e/f");       /* the directory that it was begun in */
        CHECK_INT(rig_apply(true), -EPERM);
        check_secret();
}

TEST(a_file_is_exchanged_for_a_link_while_it_is_written) {
        STAGE(RIG_FAST);
        struct stat st;

        put_file("home/f", "old");
        CHECK_INT(make("home/f", FIELDS("state=exists", "mode=0644", "owner=65534", field_in_dir("source", "large"))), 0);
        CHECK_INT(begin_apply(), CHECK_PENDING);
        CHECK(RIG_UNTIL(n_entries("home") > 1));
        CHECK_INT(unlink(in_dir("home/f")), 0);
        others_link("../secret/f", "home/f");
        CHECK_INT(finish_apply(), CHECK_CHANGED);
        check_secret();
        CHECK(lstat(in_dir("home/f"), &st) >= 0 && S_ISREG(st.st_mode) && st.st_size == LARGE && st.st_uid == OTHER);
}

TEST(a_directory_is_exchanged_for_a_link_while_a_tree_is_removed) {
        STAGE(RIG_FAST);
        char name[40];

        make_dir("home/d");
        make_dir("home/d/z");
        for (int i = 0; i < 3000; i++) {
                (void) snprintf(name, sizeof(name), "home/d/z/%d", i);
                put_file(name, "x");
        }
        CHECK_INT(make("home/d/", FIELDS("state=absent", "recurse=true")), 0);
        CHECK_INT(begin_apply(), CHECK_PENDING);
        CHECK_INT(rename(in_dir("home/d/z"), in_dir("home/z")), 0);
        others_link("../../secret", "home/d/z");
        (void) finish_apply();                  /* may be well, or find that the directory is another */
        (void) rig_apply(true);
        check_secret();
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK(!exists("home/d"));
        check_secret();
}

/* The other one, as fast as it can: two names change places, one a directory or file, the other a link. */
static pid_t start_exchanging(const char *a, const char *b) {
        static char from[160], to[160];

        (void) snprintf(from, sizeof(from), "%s", in_dir(a));
        (void) snprintf(to, sizeof(to), "%s", in_dir(b));
        pid_t pid = fork();
        if (pid == 0)
                for (;;) {
                        (void) renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE);
                        if (getppid() == 1)
                                _exit(0);
                }
        return pid;
}

static void stop(pid_t pid) {
        CHECK_INT(kill(pid, SIGKILL), 0);
        CHECK(waitpid(pid, NULL, 0) == pid);
}

TEST(names_change_places_all_the_time) {
        static const struct {
                const char *name, *a, *b, *c;
        } cases[] = {
                { "home/d/f", "state=exists", "content=evil", "mode=0666" },
                { "home/d/f", "state=exists", "owner=65534", "mode=0666" },
                { "home/d/f", "state=absent", "force=true" },
                { "home/d/sub/", "state=exists", "owner=65534", "mode=0777" },
                { "home/d/sub/new/", "state=exists", "recurse=true" },
                { "home/d/", "state=exists", "recurse=true", "purge=true" },
                { "home/d/", "state=absent", "recurse=true" },
                { "home/d/sub", "state=absent", "recurse=true" },
                { "home/d/f", "state=exists", "symlink=true", "source=x" },
                { "home/d", "state=exists", "content=x", "force=true" },
        };
        STAGE(RIG_FAST);
        unsigned n_good = 0, n_refused = 0;

        make_dir("home/d");
        give("home/d");
        others_link("../secret", "home/l");
        pid_t pid = start_exchanging("home/d", "home/l");
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CHECK_INT(make(cases[i].name, FIELDS(cases[i].a, cases[i].b, cases[i].c)), 0);
                /* The first goes on until both ways were met with: on a busy machine the exchanger may not have run at all. */
                for (int k = 0; k < 300 || (i == 0 && k < 1000000 && (n_good == 0 || n_refused == 0)); k++) {
                        int r = rig_apply(true);
                        n_good += r >= 0;
                        n_refused += r == -EPERM;
                        struct stat st;
                        if (lstat(in_dir("home/d"), &st) < 0)
                                (void) mkdir(in_dir("home/d"), 0755);
                        if (k % 3 == 0)
                                (void) mkdir(in_dir("home/d/sub"), 0755);
                }
                unsigned before = test_failures;
                check_secret();
                if (test_failures > before)
                        printf("# case %zu: %s\n", i, cases[i].name);
        }
        stop(pid);
        CHECK(n_good > 0 && n_refused > 0);
}

/* Where others can write, a file may have been given a second name there. */
TEST(hard_links) {
        STAGE(RIG);

        CHECK_INT(link(in_dir("secret/f"), in_dir("home/f")), 0);
        fails(in_dir("home/f"), FIELDS("state=exists", "mode=0644"), -EMLINK);
        fails(in_dir("home/f"), FIELDS("state=exists", "owner=65534"), -EMLINK);
        fails(in_dir("home/f"), FIELDS("owner=65534"), -EMLINK);
        check_secret();
        /* A content that is known is simply written anew; the other name keeps the old one. */
        converge(in_dir("home/f"), FIELDS("state=exists", "content=keep", "mode=0644", "owner=65534"));
        check_secret();
        CHECK_INT(mode_of("home/f"), 0644);
        CHECK_INT(unlink(in_dir("home/f")), 0);
        CHECK_INT(link(in_dir("secret/f"), in_dir("home/f")), 0);
        converge(in_dir("home/f"), FIELDS("state=exists", "content=new"));
        check_secret();

        make_dir("ours");
        put_file("ours/a", "x");
        CHECK_INT(link(in_dir("ours/a"), in_dir("ours/b")), 0);
        converge(in_dir("ours/a"), FIELDS("state=exists", "mode=0600"));
        CHECK_INT(mode_of("ours/b"), 0600);
        CHECK_INT(chmod(in_dir("ours"), 01777), 0);
        fails(in_dir("ours/a"), FIELDS("state=exists", "mode=0644"), -EMLINK);
}

TEST(links_of_others_lead_nowhere) {
        static const struct {
                const char *name, *a, *field, *value;
                int error;
        } cases[] = {
                { "home/l/f", "state=exists", "content", NULL, -EPERM },
                { "home/lf", "state=exists", "content", NULL, -EPERM },
                { "home/l/new/", "state=exists", "recurse", "true", -EPERM },
                { "home/l/a/b/c/", "state=exists", "recurse", "true", -EPERM },
                { "home/l/", "purge=true", "recurse", "true", -EPERM },
                { "copy", "state=exists", "source", "home/lf", -EPERM },
                { "copy", "state=exists", "source", "home/l/f", -EPERM },
                { "copy", "state=exists", "fragments", "home/lf", -EPERM },
                { "copy", "state=exists", "fragments", "home/l/", -EPERM },
                { "copy", "state=exists", "fragments", "home/parts/", -EPERM },
        };
        STAGE(RIG);

        others_link("../secret", "home/l");
        others_link("../secret/f", "home/lf");
        make_dir("home/parts");
        others_link("../../secret/f", "home/parts/x");
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char text[200];
                if (streq(cases[i].field, "content"))
                        (void) snprintf(text, sizeof(text), "content=evil");
                else if (streq(cases[i].field, "recurse"))
                        (void) snprintf(text, sizeof(text), "recurse=true");
                else
                        (void) snprintf(text, sizeof(text), "%s=%s", cases[i].field, in_dir(cases[i].value));
                fails(in_dir(cases[i].name), FIELDS(cases[i].a, text), cases[i].error);
                check_secret();
                CHECK(!exists("copy"));
        }
        /* Neither do they in a tree that is copied. */
        fails(in_dir("copies/"), FIELDS("state=exists", "recurse=true", field_in_dir("source", "home/parts/")), -EPERM);
        check_tree("copies", "");
        /* But they can be removed, and replaced. */
        converge(in_dir("home/l"), FIELDS("state=absent"));
        converge(in_dir("home/lf"), FIELDS("state=absent", "recurse=true"));
        converge(in_dir("home/parts/x"), FIELDS("state=exists", "symlink=true", "source=y"));
        check_secret();
}

/* Whatever opens them without care waits for ever. */
TEST(fifos) {
        STAGE(RIG);

        CHECK_INT(mkfifo(in_dir("home/p"), 0666), 0);
        make_dir("home/parts");
        CHECK_INT(mkfifo(in_dir("home/parts/p"), 0666), 0);
        fails(in_dir("home/p"), FIELDS("state=exists", "content=x"), -EEXIST);
        fails(in_dir("home/p"), FIELDS("state=exists", "content=x", "force=true"), -EEXIST);
        fails(in_dir("f"), FIELDS("state=exists", field_in_dir("source", "home/p")), -EINVAL);
        fails(in_dir("f"), FIELDS("state=exists", field_in_dir("fragments", "home/p")), -EINVAL);
        converge(in_dir("f"), FIELDS("state=exists", field_in_dir("fragments", "home/parts/")));
        check_file("f", "");
        CHECK_INT(rig_make(&file_type, in_dir("home/p"), FIELDS("state=exists", "mode=0600")), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_INT(mode_of("home/p"), 0600);
        converge(in_dir("home/p"), FIELDS("state=absent"));
}

TEST(names_with_everything_in_them) {
        static const char *const names[] = { "a\nb", " ", "-rf", "'\"$(x)`", "\033[31m", "*?[", "..." };
        STAGE(RIG);

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                char name[40], dir[40];
                (void) snprintf(name, sizeof(name), "home/%s", names[i]);
                converge(in_dir(name), FIELDS("state=exists", "content=x"));
                check_file(name, "x");
                rig_run(10000);
                rig.host.n_changed = 0;
                put_file(name, "y");
                CHECK(RIG_UNTIL(rig.host.n_changed > 0));
                CHECK_INT(rig_apply(true), CHECK_CHANGED);
                converge(in_dir(name), FIELDS("state=absent"));
                (void) snprintf(dir, sizeof(dir), "home/%s/", names[i]);
                converge(in_dir(dir), FIELDS("state=exists"));
                CHECK_INT(rmdir(in_dir(name)), 0);
        }
}

TEST_MAIN()
