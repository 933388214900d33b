/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Directories: copied, purged, removed; and that large ones leave the loop alone. */

#include <malloc.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "daemons/engine/kinds/replacement.h"
#include "tests/daemons/engine/file-test.h"

static const char *source_field(void) {
        return field_in_dir("source", "src/");
}

/* A source with files on two levels. */
static void make_source(void) {
        make_dir("src");
        make_dir("src/sub");
        make_dir("src/sub/deep");
        make_dir("src/empty");
        put_file("src/a", "one");
        put_file("src/sub/b", "two");
        put_file("src/sub/deep/c", "three");
}

static int compare_lines(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

TEST(a_directory_is_copied) {
        RIG();

        make_source();
        CHECK_INT(chmod(in_dir("src/a"), 0640), 0);
        CHECK_INT(chmod(in_dir("src/sub"), 0710), 0);
        converge(in_dir("d/"), FIELDS("state=exists", "recurse=true", source_field()));
        check_tree("d", "d/a d/empty/ d/sub/ d/sub/b d/sub/deep/ d/sub/deep/c");
        check_file("d/sub/deep/c", "three");
        CHECK_INT(mode_of("d/a"), 0640);
        CHECK_INT(mode_of("d/sub"), 0710);
        check_tree("src", "src/a src/empty/ src/sub/ src/sub/b src/sub/deep/ src/sub/deep/c");

        static const struct {
                const char *what;
                int (*spoil)(const char *path);
                const char *name;
        } drifts[] = {
                { "a file is gone", unlink, "d/sub/b" },
                { "an empty directory is gone", rmdir, "d/empty" },
                { "a whole directory is gone", remove_tree, "d/sub" },
                { "all is gone", remove_tree, "d" },
        };
        for (size_t i = 0; i < ELEMENTSOF(drifts); i++) {
                CHECK_INT(drifts[i].spoil(in_dir(drifts[i].name)), 0);
                CHECK_INT(rig_apply(false), CHECK_CHANGED);
                int r = rig_apply(true);
                if (r != CHECK_CHANGED)
                        TEST_FAIL("%s: %d (%s)", drifts[i].what, r, rig.host.diag.message);
                CHECK_INT(rig_apply(true), CHECK_OK);
                check_tree("d", "d/a d/empty/ d/sub/ d/sub/b d/sub/deep/ d/sub/deep/c");
        }

        put_file("d/sub/b", "twx");
        put_file("d/more", "x");
        make_dir("d/empty/too");
        put_file("d/empty/too/much", "x");
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), CHECK_OK);
        check_tree("d", "d/a d/empty/ d/sub/ d/sub/b d/sub/deep/ d/sub/deep/c");
        check_file("d/sub/b", "two");

        /* What goes from the source goes from the copy. */
        CHECK_INT(remove_tree(in_dir("src/sub/deep")), 0);
        put_file("src/new", "four");
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_tree("d", "d/a d/empty/ d/new d/sub/ d/sub/b");
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_INT(remove_tree(in_dir("src")), 0);
        CHECK_INT(rig_apply(true), -ENOENT);
        check_tree("d", "d/a d/empty/ d/new d/sub/ d/sub/b");
}

TEST(a_directory_that_shall_not_be_made_is_not) {
        RIG();

        make_source();
        fails(in_dir("d/"), FIELDS("recurse=true", source_field()), -ENOENT);
        fails(in_dir("d/"), FIELDS("recurse=true", "purge=true"), -ENOENT);
        CHECK(!exists("d"));
        put_file("f", "x");
        fails(in_dir("f/"), FIELDS("recurse=true", "purge=true"), -ENOTDIR);
        check_file("f", "x");
}

TEST(something_else_is_in_the_way) {
        RIG();

        make_source();
        make_dir("d");
        make_dir("d/a");
        put_file("d/a/x", "x");
        fails(in_dir("d/"), FIELDS("state=exists", "recurse=true", source_field()), -EISDIR);
        check_file("d/a/x", "x");
        converge(in_dir("d/"), FIELDS("state=exists", "recurse=true", "force=true", source_field()));
        check_file("d/a", "one");

        CHECK_INT(remove_tree(in_dir("d/sub")), 0);
        put_file("d/sub", "a file");
        fails(in_dir("d/"), FIELDS("state=exists", "recurse=true", source_field()), -ENOTDIR);
        check_file("d/sub", "a file");
        converge(in_dir("d/"), FIELDS("state=exists", "recurse=true", "force=true", source_field()));
        check_file("d/sub/deep/c", "three");

        /* A link is no directory, wherever it leads, and what it leads to stays. */
        make_dir("other");
        put_file("other/keep", "x");
        CHECK_INT(remove_tree(in_dir("d/empty")), 0);
        CHECK_INT(symlink("../other", in_dir("d/empty")), 0);
        fails(in_dir("d/"), FIELDS("state=exists", "recurse=true", source_field()), -ENOTDIR);
        converge(in_dir("d/"), FIELDS("state=exists", "recurse=true", "force=true", source_field()));
        check_tree("other", "other/keep");
        CHECK_INT(unlink(in_dir("d/a")), 0);
        CHECK_INT(symlink("../other/keep", in_dir("d/a")), 0);
        converge(in_dir("d/"), FIELDS("state=exists", "recurse=true", source_field()));
        check_file("d/a", "one");
        check_file("other/keep", "x");
        CHECK_INT(unlink(in_dir("d/a")), 0);
        CHECK_INT(mkfifo(in_dir("d/a"), 0600), 0);
        fails(in_dir("d/"), FIELDS("state=exists", "recurse=true", "force=true", source_field()), -EEXIST);
}

TEST(what_can_be_in_a_source) {
        RIG();

        make_source();
        put_file("file", "by a link");
        CHECK_INT(symlink("../file", in_dir("src/link")), 0);
        put_file("src/two\nlines", "x");
        put_file("src/ -rf \"'$x*", "y");
        put_file("src/\xff\xfe", "z");
        converge(in_dir("d/"), FIELDS("state=exists", "recurse=true", source_field()));
        check_file("d/link", "by a link");
        check_file("d/two\nlines", "x");
        CHECK_INT(unlink(in_dir("src/two\nlines")), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK(!exists("d/two\nlines"));

        CHECK_INT(symlink("sub", in_dir("src/link-to-dir")), 0);
        fails(in_dir("d/"), FIELDS("state=exists", "recurse=true", source_field()), -EISDIR);
        CHECK_INT(unlink(in_dir("src/link-to-dir")), 0);
        CHECK_INT(symlink("nowhere", in_dir("src/dangling")), 0);
        CHECK_INT(rig_apply(true), CHECK_OK);                         /* as good as not there */
        CHECK_INT(mkfifo(in_dir("src/fifo"), 0600), 0);
        fails(in_dir("d/"), FIELDS("state=exists", "recurse=true", source_field()), -EINVAL);
}

TEST(source_and_target_do_not_lie_in_one_another) {
        RIG();

        make_source();
        CHECK_INT(symlink("src", in_dir("alias")), 0);
        fails(in_dir("alias/sub/"), FIELDS("state=exists", "recurse=true", source_field()), -EINVAL);
        CHECK(strstr(rig.host.diag.message, "lies in its source"));
        CHECK_INT(symlink("src/sub", in_dir("inner")), 0);
        fails(in_dir("src/"), FIELDS("state=exists", "recurse=true", field_in_dir("source", "inner/")), -EINVAL);
        CHECK(strstr(rig.host.diag.message, "is the source"));
        check_file("src/sub/b", "two");
        check_file("src/sub/deep/c", "three");
}

TEST(purge) {
        RIG();

        make_source();
        converge(in_dir("src/"), FIELDS("state=exists", "recurse=true", "purge=true"));
        check_tree("src", "");
        CHECK_INT(remove_tree(in_dir("src")), 0);
        make_source();
        put_file("src/sub-x", "x");
        put_file("src/sub/deep/d", "x");

        /* Managed ones stay, with the directories they are in; and whatever else is in those. */
        CHECK_INT(rig_neighbour(&file_type, in_dir("src/sub/deep/c")), 1);
        CHECK_INT(rig_neighbour(&file_type, in_dir("src/empty/")), 1);
        CHECK_INT(rig_neighbour(&file_type, in_dir("src/a-not-there")), 1);
        CHECK_INT(rig_neighbour(&file_type, in_dir("elsewhere/a")), 1);
        converge(in_dir("src/"), FIELDS("state=exists", "recurse=true", "purge=true"));
        check_tree("src", "src/empty/ src/sub/ src/sub/b src/sub/deep/ src/sub/deep/c src/sub/deep/d");
        rig_forget_neighbours();
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_tree("src", "");
}

TEST(what_others_manage_is_theirs_in_a_copy_as_well) {
        RIG();

        make_source();
        make_dir("d");
        make_dir("d/own");
        put_file("d/own/x", "x");
        put_file("d/a", "another's");
        CHECK_INT(rig_neighbour(&file_type, in_dir("d/a")), 1);
        CHECK_INT(rig_neighbour(&file_type, in_dir("d/own/../own/x")), 1);
        converge(in_dir("d/"), FIELDS("state=exists", "recurse=true", source_field()));
        check_tree("d", "d/a d/empty/ d/own/ d/own/x d/sub/ d/sub/b d/sub/deep/ d/sub/deep/c");
        check_file("d/a", "another's");

        /* Also the file that it is just making. */
        char name[40] = "d/";
        replacement_name("a", name + 2);
        put_file(name, "half of");
        CHECK_INT(rig_apply(true), CHECK_OK);
        check_file(name, "half of");
        rig_forget_neighbours();
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_tree("d", "d/a d/empty/ d/sub/ d/sub/b d/sub/deep/ d/sub/deep/c");
        check_file("d/a", "one");
}

/* One line for each path, and no more for what is in a directory that comes or goes as a whole. */
TEST(what_is_wrong_is_said) {
        static const char want[] =
                "a: 5 bytes -> 3 bytes\n"
                "empty: absent -> directory\n"
                "more: directory -> absent\n"
                "sub/b: 3 bytes -> other 3 bytes\n"
                "sub/deep: file -> directory\n"
                "sub/link: symbolic link -> absent\n";
        RIG();

        make_source();
        make_dir("d");
        make_dir("d/sub");
        make_dir("d/more");
        put_file("d/more/x", "x");
        put_file("d/a", "1 2 3");
        put_file("d/sub/b", "Two");
        put_file("d/sub/deep", "x");
        CHECK_INT(symlink("x", in_dir("d/sub/link")), 0);
        CHECK_INT(rig_make(&file_type, in_dir("d/"), FIELDS("state=exists", "recurse=true", "force=true", source_field())), 0);
        CHECK_INT(rig_watch(), 0);
        for (int apply = 0; apply < 2; apply++) {
                /* The order is that of the directories; sub/deep/c is missed only when there is something to put it in. */
                CHECK_INT(rig_apply(apply), CHECK_CHANGED);
                char *lines[20], *state, *text = strbuf_take(&rig.host.differences);
                size_t n = 0;
                StrBuf sorted = {};
                for (char *line = strtok_r(text, "\n", &state); line && n < ELEMENTSOF(lines); line = strtok_r(NULL, "\n", &state))
                        if (!streq(line, "sub/deep/c: absent -> file"))
                                lines[n++] = line;
                qsort(lines, n, sizeof(*lines), compare_lines);
                for (size_t i = 0; i < n; i++)
                        strbuf_printf(&sorted, "%s\n", lines[i]);
                CHECK_STR(sorted.data, want);
                strbuf_done(&sorted);
                free(text);
        }
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_DIFFERENCES("");

        /* A directory that has to give way to a file is one difference. */
        CHECK_INT(unlink(in_dir("d/a")), 0);
        make_dir("d/a");
        put_file("d/a/x", "x");
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_DIFFERENCES("a: directory -> file\n");
}

TEST(a_source_with_other_owners_special_bits) {
        RIG();

        if (geteuid() != 0)
                TEST_SKIP("needs to be root to give files away");
        make_dir("src");
        put_file("src/prog", "x");
        CHECK_INT(chown(in_dir("src/prog"), 65534, 65534), 0);
        CHECK_INT(chmod(in_dir("src/prog"), 06755), 0);
        converge(in_dir("d/"), FIELDS("state=exists", "recurse=true", source_field()));
        CHECK_INT(mode_of("d/prog"), 0755);             /* it would run as root now */
        converge(in_dir("p"), FIELDS("state=exists", field_in_dir("source", "src/prog")));
        CHECK_INT(mode_of("p"), 0755);
        converge(in_dir("q"), FIELDS("state=exists", field_in_dir("source", "src/prog"), "owner=65534"));
        CHECK_INT(mode_of("q"), 04755);
}

/* ---- mount points ---- */

static void with_mounts(void) {
        make_dir("d");
        make_dir("d/m");
        make_dir("t");
        if (mount("tmpfs", in_dir("d/m"), "tmpfs", 0, NULL) < 0 || mount("tmpfs", in_dir("t"), "tmpfs", 0, NULL) < 0)
                return;
        put_file("d/m/precious", "x");
        put_file("t/precious", "x");
        put_file("d/x", "x");
        fails(in_dir("d/"), FIELDS("state=exists", "recurse=true", "purge=true"), -EBUSY);
        check_file("d/m/precious", "x");
        fails(in_dir("d/"), FIELDS("state=absent", "recurse=true"), -EBUSY);
        check_file("d/m/precious", "x");
        fails(in_dir("t/"), FIELDS("state=absent", "recurse=true"), -EBUSY);
        fails(in_dir("t"), FIELDS("state=exists", "content=x", "force=true"), -EBUSY);
        check_file("t/precious", "x");
        /* A bind mount of the same file system is one as well. */
        make_dir("b");
        make_dir("d/m/b");
        put_file("b/precious", "x");
        make_dir("e");
        make_dir("e/m");
        CHECK_INT(mount(in_dir("b"), in_dir("e/m"), NULL, MS_BIND, NULL), 0);
        fails(in_dir("e/"), FIELDS("state=absent", "recurse=true"), -EBUSY);
        check_file("b/precious", "x");
        /* A file that is one is written in place. */
        put_file("f", "old and long");
        put_file("g", "x");
        CHECK_INT(mount(in_dir("g"), in_dir("f"), NULL, MS_BIND, NULL), 0);
        converge(in_dir("f"), FIELDS("state=exists", "content=new"));
        check_file("g", "new");
        CHECK_INT(umount(in_dir("f")), 0);
        CHECK_INT(umount(in_dir("e/m")), 0);
        CHECK_INT(umount(in_dir("t")), 0);
        CHECK_INT(umount(in_dir("d/m")), 0);
}

TEST(nothing_is_removed_beyond_a_mount_point) {
        RIG();

        if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                TEST_SKIP("needs to be root to mount something");
        with_mounts();
}

/* ---- large ones ---- */

enum { N_DIRS = 20, N_FILES = 250 };            /* in each */

static void make_large_source(void) {
        char name[40];

        make_dir("src");
        for (unsigned d = 0; d < N_DIRS; d++) {
                (void) snprintf(name, sizeof(name), "src/%03u", d);
                make_dir(name);
                for (unsigned f = 0; f < N_FILES; f++) {
                        (void) snprintf(name, sizeof(name), "src/%03u/%04u", d, f);
                        int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
                        CHECK(fd >= 0 && write(fd, name, strlen(name)) > 0);
                        (void) close(fd);
                }
        }
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata) {
        ++*(unsigned *) userdata;
        (void) sd_event_source_set_time_relative(source, 1000);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

TEST(a_large_tree) {
        RIG_FAST();
        _cleanup_(sd_event_source_unrefp) sd_event_source *timer = NULL;
        unsigned n_ticks = 0, n_turns = 0;
        size_t least = SIZE_MAX, most = 0;

        make_large_source();
        CHECK_INT(rig_make(&file_type, in_dir("d/"), FIELDS("state=exists", "recurse=true", source_field())), 0);
        CHECK_INT(file_type.prepare(rig.r, &rig.host.diag), 0);
        REQUIRE(sd_event_add_time_relative(rig.event, &timer, CLOCK_MONOTONIC, 1000, 1, on_tick, &n_ticks) >= 0);

        /* In the middle it is stopped, and nothing half-made is left. */
        CHECK_INT(begin_apply(), CHECK_PENDING);
        CHECK(RIG_UNTIL(n_entries("d") > 0));
        file_type.cancel(rig.r);
        rig_run(10000);
        CHECK_INT(rig.host.finished, NOT_FINISHED);
        for (unsigned d = 0; d < N_DIRS; d++) {
                char name[20], made[REPLACEMENT_NAME_MAX + 40];
                for (unsigned f = 0; f < N_FILES; f++) {
                        (void) snprintf(name, sizeof(name), "%04u", f);
                        int n = snprintf(made, sizeof(made), "d/%03u/", d);
                        replacement_name(name, made + n);
                        CHECK(!exists(made));
                }
        }

        /* It goes on from there, says how far it is, and needs the same memory all the time. */
        n_ticks = 0;
        CHECK_INT(begin_apply(), CHECK_PENDING);
        (void) nanosleep(&(struct timespec) { .tv_sec = 1, .tv_nsec = 100000000 }, NULL);
        for (; rig.host.finished == NOT_FINISHED && n_turns < 100000; n_turns++) {
                (void) sd_event_run(rig.event, 2000);
                size_t now = mallinfo2().uordblks;
                if (rig.host.finished == NOT_FINISHED) {
                        least = MIN(least, now);
                        most = MAX(most, now);
                }
        }
        CHECK_INT(rig.host.finished, CHECK_CHANGED);
        CHECK(n_turns > 10 && n_ticks > 10);
        if (least < most && most - least > 200000)      /* two directories are open on each level */
                TEST_FAIL("memory: from %zu to %zu", least, most);
        _cleanup_free_ char *log = strbuf_take(&rig.host.log);
        if (!strstr(log, "entries looked at"))
                TEST_FAIL("log: %s", log);
        CHECK_INT(n_entries("d"), N_DIRS);
        CHECK_INT(n_entries("d/019"), N_FILES);
        CHECK_INT(rig_apply(true), CHECK_OK);

        /* So does removing. */
        CHECK_INT(rig_make(&file_type, in_dir("d/"), FIELDS("state=absent", "recurse=true")), 0);
        CHECK_INT(file_type.prepare(rig.r, &rig.host.diag), 0);
        CHECK_INT(begin_apply(), CHECK_PENDING);
        CHECK_INT(finish_apply(), CHECK_CHANGED);
        CHECK(!exists("d"));
}

TEST(a_large_file) {
        RIG_FAST();
        enum { SIZE = 48 * 1024 * 1024 };
        _cleanup_(sd_event_source_unrefp) sd_event_source *timer = NULL;
        unsigned n_ticks = 0;
        struct stat st;

        put_file("src", "");
        CHECK_INT(truncate(in_dir("src"), SIZE), 0);
        int fd = open(in_dir("src"), O_WRONLY | O_CLOEXEC);
        CHECK(pwrite(fd, "end", 3, SIZE - 3) == 3);
        (void) close(fd);
        REQUIRE(sd_event_add_time_relative(rig.event, &timer, CLOCK_MONOTONIC, 1000, 1, on_tick, &n_ticks) >= 0);
        CHECK_INT(rig_make(&file_type, in_dir("f"), FIELDS("state=exists", field_in_dir("source", "src"))), 0);
        CHECK_INT(file_type.prepare(rig.r, &rig.host.diag), 0);
        CHECK_INT(begin_apply(), CHECK_PENDING);
        CHECK_INT(n_entries(""), 2);                    /* the source, and what is being made */
        file_type.cancel(rig.r);
        CHECK_INT(n_entries(""), 1);
        CHECK_INT(begin_apply(), CHECK_PENDING);
        CHECK_INT(finish_apply(), CHECK_CHANGED);
        CHECK(stat(in_dir("f"), &st) >= 0 && st.st_size == SIZE);
        CHECK(n_ticks > 3);
        CHECK_INT(begin_apply(), CHECK_PENDING);        /* comparing takes its time as well */
        CHECK_INT(finish_apply(), CHECK_OK);
        fd = open(in_dir("f"), O_WRONLY | O_CLOEXEC);
        CHECK(pwrite(fd, "x", 1, SIZE - 3) == 1);
        (void) close(fd);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), CHECK_OK);

        /* One that is much larger than it should be is not even read. */
        CHECK_INT(truncate(in_dir("f"), INT64_C(1) << 40), 0);
        CHECK_INT(rig_make(&file_type, in_dir("f"), FIELDS("state=exists", "content=small")), 0);
        CHECK_INT(file_type.prepare(rig.r, &rig.host.diag), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_file("f", "small");
}

TEST(a_tree_that_is_too_deep) {
        RIG_FAST();
        StrBuf b = {};

        make_dir("src");
        int fd = open(in_dir("src"), O_PATH | O_DIRECTORY | O_CLOEXEC);
        for (int i = 0; i < 600; i++) {
                CHECK_INT(mkdirat(fd, "d", 0755), 0);
                int next = openat(fd, "d", O_PATH | O_DIRECTORY | O_CLOEXEC);
                (void) close(fd);
                fd = next;
        }
        (void) close(fd);
        fails(in_dir("src/"), FIELDS("state=absent", "recurse=true"), -ELOOP);
        /* rig_end() cannot remove it either, with so few descriptors; from below it can be. */
        for (int i = 0; i < 3; i++) {
                strbuf_puts(&b, "src");
                for (int k = 0; k < 400 - i * 200; k++)
                        strbuf_puts(&b, "/d");
                _cleanup_free_ char *name = strbuf_take(&b), *path = NULL;
                CHECK(asprintf(&path, "%s/%s", rig.dir, name) > 0);
                CHECK_INT(remove_tree(path), 0);
        }
}

TEST_MAIN()
