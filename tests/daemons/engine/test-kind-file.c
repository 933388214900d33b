/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Files: drift is found, repaired, and then there is none; what cannot be, and what must not be. */

#include <sys/xattr.h>

#include "daemons/engine/kinds/file-mode.h"
#include "daemons/engine/kinds/file-path.h"
#include "daemons/engine/kinds/safe-path.h"
#include "tests/daemons/engine/file-test.h"
#include "tests/names-service.h"

TEST(content) {
        RIG();

        converge(in_dir("f"), FIELDS("state=exists", "content=hello\n", "mode=0640"));
        check_file("f", "hello\n");
        CHECK_INT(mode_of("f"), 0640);
        put_file("f", "hellx\n");
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_file("f", "hello\n");
        CHECK_INT(mode_of("f"), 0640);
        CHECK_INT(chmod(in_dir("f"), 0600), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_INT(mode_of("f"), 0640);
        CHECK_INT(unlink(in_dir("f")), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_file("f", "hello\n");
        converge(in_dir("f"), FIELDS("state=exists", "content="));
        check_file("f", "");
        CHECK_INT(mode_of("f"), 0640);          /* what is not said stays */
        converge(in_dir("f"), FIELDS("content=x"));
        check_file("f", "x");
        CHECK_INT(n_entries(""), 1);
}

/* What is not said is as open() would make it; what is said holds whatever that would do. */
TEST(mode_of_a_new_file) {
        RIG();
        static const struct {
                mode_t mask;
                const char *mode;
                mode_t want;
        } cases[] = {
                { 0022, NULL, 0644 }, { 0027, NULL, 0640 }, { 0, NULL, 0666 },
                { 0022, "mode=0644", 0644 }, { 0077, "mode=0644", 0644 }, { 0022, "mode=0666", 0666 }, { 0777, "mode=0600", 0600 },
                { 0022, "mode=0400", 0400 }, { 0022, "mode=4755", 04755 }, { 0022, "mode=u=rwx,g=rx,o=", 0750 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                mode_t saved = umask(cases[i].mask);
                converge(in_dir("f"), cases[i].mode ? FIELDS("state=exists", "content=x", cases[i].mode) : FIELDS("state=exists", "content=x"));
                umask(saved);
                CHECK_INT(mode_of("f"), cases[i].want);
                CHECK_INT(n_entries(""), 1);
                CHECK_INT(unlink(in_dir("f")), 0);
        }
}

TEST(content_of_any_length_is_compared_to_its_end) {
        RIG();
        size_t sizes[] = { 1, 65535, 65536, 65537, 131072, 1000000 };

        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                _cleanup_free_ char *text = malloc(sizes[i] + 20);
                (void) snprintf(text, 20, "content=");
                memset(text + 8, 'x', sizes[i]);
                text[sizes[i] + 8] = '\0';
                (void) unlink(in_dir("f"));
                converge(in_dir("f"), FIELDS("state=exists", text));
                check_file("f", text + 8);

                _cleanup_close_ int fd = open(in_dir("f"), O_WRONLY | O_CLOEXEC);
                CHECK(pwrite(fd, "y", 1, (off_t) sizes[i] - 1) == 1);
                CHECK_INT(rig_apply(true), CHECK_CHANGED);
                check_file("f", text + 8);
        }
}

TEST(bytes_that_are_no_text) {
        RIG();
        _cleanup_(value_done) Value v = VALUE_NIL;
        _cleanup_free_ char *data = NULL;
        size_t size;

        CHECK_INT(rig_make(&file_type, in_dir("f"), FIELDS("state=exists")), 0);
        CHECK_INT(value_str(&v, "a\0b\xff", 4), 0);
        CHECK_INT(field_set(field_find(file_type.fields, "content"), rig.r, v, NULL), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), CHECK_OK);
        REQUIRE(read_file_at(AT_FDCWD, in_dir("f"), 100, &data, &size) >= 0);
        CHECK(size == 4 && memcmp(data, "a\0b\xff", 4) == 0);
}

TEST(what_is_not_said_to_exist_is_not_created) {
        RIG();

        fails(in_dir("f"), FIELDS("content=x"), -ENOENT);
        fails(in_dir("f"), FIELDS("mode=0600"), -ENOENT);
        fails(in_dir("no/f"), FIELDS("state=exists", "content=x"), -ENOENT);
        fails(in_dir("no/d/"), FIELDS("state=exists"), -ENOENT);
        CHECK_INT(rig_make(&file_type, in_dir("f"), FIELDS()), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_INT(n_entries(""), 0);
}

TEST(state) {
        RIG();

        converge(in_dir("empty"), FIELDS("state=exists"));
        check_file("empty", "");
        converge(in_dir("empty"), FIELDS("state=absent"));
        CHECK(!exists("empty"));

        converge(in_dir("d/"), FIELDS("state=exists", "mode=0750"));
        CHECK_INT(mode_of("d"), 0750);
        converge(in_dir("d/e/f/"), FIELDS("state=exists", "recurse=true"));
        put_file("d/e/x", "x");
        fails(in_dir("d/"), FIELDS("state=absent"), -ENOTEMPTY);
        converge(in_dir("d/"), FIELDS("state=absent", "recurse=true"));
        CHECK(!exists("d"));
        CHECK_INT(n_entries(""), 0);
        fails("/", FIELDS("state=absent", "recurse=true"), -EINVAL);
        fails("//./", FIELDS("state=absent", "recurse=true"), -EINVAL);
        fails("/tmp/..", FIELDS("state=absent", "recurse=true"), -EINVAL);
}

TEST(something_else_is_in_the_way) {
        RIG();

        CHECK_INT(mkdir(in_dir("d"), 0755), 0);
        put_file("d/x", "x");
        put_file("f", "f");
        fails(in_dir("d"), FIELDS("state=exists", "content=x"), -EISDIR);
        fails(in_dir("f/"), FIELDS("state=exists"), -EEXIST);
        check_file("d/x", "x");
        converge(in_dir("d"), FIELDS("state=exists", "content=x", "force=true"));
        check_file("d", "x");
        converge(in_dir("f/"), FIELDS("state=exists", "force=true"));
        CHECK_INT(n_entries("f"), 0);
        CHECK_INT(mkfifo(in_dir("p"), 0600), 0);
        fails(in_dir("p"), FIELDS("state=exists", "content=x"), -EEXIST);
        converge(in_dir("p"), FIELDS("state=absent"));
}

TEST(source_and_fragments) {
        RIG();

        put_file("src", "from there");
        CHECK_INT(chmod(in_dir("src"), 0604), 0);
        converge(in_dir("f"), FIELDS("state=exists", field_in_dir("source", "src")));
        check_file("f", "from there");
        CHECK_INT(mode_of("f"), 0604);
        put_file("src", "from thxre");
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_file("f", "from thxre");
        CHECK_INT(unlink(in_dir("src")), 0);
        CHECK_INT(rig_apply(true), -ENOENT);
        check_file("f", "from thxre");

        CHECK_INT(mkdir(in_dir("d"), 0755), 0);
        CHECK_INT(mkdir(in_dir("d/sub"), 0755), 0);
        put_file("d/2", "two ");
        put_file("d/1", "one ");
        put_file("z", "zero ");
        char list[300];
        (void) snprintf(list, sizeof(list), "fragments=%s %s %s", in_dir("z"), in_dir("d/"), in_dir("d/1"));
        converge(in_dir("f"), FIELDS("state=exists", list));
        check_file("f", "zero one two one ");
        fails(in_dir("f"), FIELDS("state=exists", field_in_dir("fragments", "no")), -ENOENT);
        CHECK_STR(strstr(rig.host.diag.message, "cannot open fragment"), rig.host.diag.message);
        fails(in_dir("f"), FIELDS("state=exists", field_in_dir("fragments", "d")), -EISDIR);
        fails(in_dir("f"), FIELDS("state=exists", field_in_dir("source", "d")), -EISDIR);
}

/* Whichever way the paths lead there. */
TEST(a_file_is_no_fragment_of_itself) {
        static const char *const fragments[] = {
                "d/../f", "./f", "l/f", "l/../f", "link-to-f", "d/../", "l/", "d/up/",
        };
        RIG();

        make_dir("d");
        CHECK_INT(symlink(".", in_dir("l")), 0);
        CHECK_INT(symlink("f", in_dir("link-to-f")), 0);
        CHECK_INT(symlink("..", in_dir("d/up")), 0);
        put_file("f", "x");
        for (size_t i = 0; i < ELEMENTSOF(fragments); i++) {
                /* Some are seen through without looking at the disk. */
                int r = rig_make(&file_type, in_dir("f"), FIELDS("state=exists", field_in_dir("fragments", fragments[i])));
                if (r >= 0) {
                        CHECK_INT(file_type.prepare(rig.r, &rig.host.diag), 0);
                        r = rig_apply(true);
                }
                if (r >= 0 || !rig.host.diag.message || !strstr(rig.host.diag.message, "inside a frag"))
                        TEST_FAIL("%s: %d (%s)", fragments[i], r, rig.host.diag.message);
        }
        check_file("f", "x");
        /* The same file by another name is another file. */
        CHECK_INT(link(in_dir("f"), in_dir("d/g")), 0);
        converge(in_dir("h"), FIELDS("state=exists", field_in_dir("fragments", "d/g")));
        check_file("h", "x");
}

TEST(fragments_that_are_large_or_many) {
        RIG();
        enum { SIZE = 200000, N = 300 };
        _cleanup_free_ char *text = malloc(SIZE + 1), *list = malloc(N * 8 + 1);

        make_dir("d");
        memset(text, 'l', SIZE);
        text[SIZE] = '\0';
        put_file("d/large", text);
        for (unsigned i = 0; i < N; i++) {
                char name[20];
                (void) snprintf(name, sizeof(name), "d/s%03u", i);
                (void) snprintf(list + i * 4, 5, "%03u\n", i);
                put_file(name, list + i * 4);
        }
        put_file("d/.mgmt-0123456789abcdef", "one that is just being made");
        CHECK_INT(mkfifo(in_dir("d/fifo"), 0600), 0);
        converge(in_dir("f"), FIELDS("state=exists", field_in_dir("fragments", "d/")));
        _cleanup_free_ char *got = NULL;
        size_t size;
        REQUIRE(read_file_at(AT_FDCWD, in_dir("f"), 1 << 20, &got, &size) >= 0);
        CHECK_INT(size, SIZE + N * 4);
        CHECK(memcmp(got, text, SIZE) == 0 && memcmp(got + SIZE, list, N * 4) == 0);
}

TEST(links) {
        RIG();
        char text[100] = {};

        converge(in_dir("l"), FIELDS("state=exists", "symlink=true", "source=nowhere"));
        CHECK_INT(readlink(in_dir("l"), text, sizeof(text) - 1), 7);
        CHECK_STR(text, "nowhere");
        converge(in_dir("l"), FIELDS("state=exists", "symlink=true", "source=f"));
        put_file("f", "x");
        fails(in_dir("f"), FIELDS("state=exists", "symlink=true", "source=y"), -EEXIST);
        converge(in_dir("f"), FIELDS("state=exists", "symlink=true", "source=y", "force=true"));
        CHECK_INT(unlink(in_dir("f")), 0);

        /* Our own link is followed when content is written, and only itself is removed. */
        put_file("f", "x");
        converge(in_dir("l"), FIELDS("state=exists", "content=through the link"));
        check_file("f", "through the link");
        converge(in_dir("l"), FIELDS("state=absent"));
        CHECK(exists("f") && !exists("l"));
        CHECK_INT(n_entries(""), 1);
}

/* A link that somebody else made leads root nowhere. */
TEST(links_of_others_are_not_followed) {
        RIG();

        if (geteuid() != 0)
                TEST_SKIP("needs to be root to make links of others");
        CHECK_INT(mkdir(in_dir("secret"), 0755), 0);
        put_file("secret/f", "keep");
        CHECK_INT(mkdir(in_dir("home"), 0755), 0);
        CHECK_INT(symlink("../secret", in_dir("home/d")), 0);
        CHECK_INT(symlink("../secret/f", in_dir("home/l")), 0);
        CHECK_INT(lchown(in_dir("home/d"), 65534, 65534), 0);
        CHECK_INT(lchown(in_dir("home/l"), 65534, 65534), 0);
        fails(in_dir("home/d/f"), FIELDS("state=exists", "content=evil"), -EPERM);
        fails(in_dir("home/l"), FIELDS("state=exists", "content=evil"), -EPERM);
        fails(in_dir("home/d/f"), FIELDS("state=absent"), -EPERM);
        fails(in_dir("home/d/new/"), FIELDS("state=exists"), -EPERM);
        check_file("secret/f", "keep");
        CHECK_INT(lchown(in_dir("home/d"), 0, 0), 0);
        converge(in_dir("home/d/f"), FIELDS("state=exists", "content=good"));
        check_file("secret/f", "good");
}

TEST(attributes_stay_but_not_capabilities) {
        RIG();
        char value[20] = {};

        put_file("f", "old");
        if (setxattr(in_dir("f"), "user.note", "keep", 4, 0) < 0)
                TEST_SKIP("the file system has no extended attributes");
        static const uint8_t capability[20] = { 1, 0, 0, 2, 0, 4, 0, 0 };       /* cap_net_bind_service, permitted and effective */
        bool capable = setxattr(in_dir("f"), "security.capability", capability, sizeof(capability), 0) >= 0;
        converge(in_dir("f"), FIELDS("state=exists", "content=new"));
        CHECK_INT(getxattr(in_dir("f"), "user.note", value, sizeof(value)), 4);
        CHECK_STR(value, "keep");
        if (capable)
                CHECK(getxattr(in_dir("f"), "security.capability", value, sizeof(value)) < 0);
}

/* In both modes all that is wrong is said; only what is looked at for eyes is shown line by line. */
TEST(what_is_wrong_is_said) {
        RIG();
        put_file("there", "one\ntwo\n");
        put_file("source", "from elsewhere\n");
        CHECK_INT(chmod(in_dir("there"), 0644), 0);
        CHECK_INT(mkdir(in_dir("folder"), 0755), 0);
        CHECK_INT(symlink("old", in_dir("link")), 0);

        const struct { const char *name; const char *const *fields; const char *want; } cases[] = {
                { "there", FIELDS("state=exists", "content=one\n2\n", "mode=0600"),
                  "content:\n@@ -1,2 +1,2 @@\n one\n-two\n+2\nmode: 0644 -> 0600\n" },
                { "there", FIELDS("state=exists", "content=one\ntwo\n", "mode=0600"), "mode: 0644 -> 0600\n" },
                { "there", FIELDS("state=exists", "content=one\ntwo\n", "mode=0644"), "" },
                { "there", FIELDS("state=absent"), "state: file -> absent\n" },
                { "new", FIELDS("state=exists", "content=a\nb", "mode=0600"),
                  "state: absent -> file\ncontent:\n@@ -0,0 +1,2 @@\n+a\n+b\n\\ No newline at end of file\nmode: 0600\n" },
                { "new", FIELDS("state=exists", field_in_dir("source", "source")),
                  "state: absent -> file\ncontent:\n@@ -0,0 +1 @@\n+from elsewhere\n" },
                { "new", FIELDS("state=exists", field_in_dir("fragments", "there")),
                  "state: absent -> file\ncontent:\n@@ -0,0 +1,2 @@\n+one\n+two\n" },
                { "new", FIELDS("state=exists"), "state: absent -> file\n" },
                { "new/", FIELDS("state=exists"), "state: absent -> directory\n" },
                { "new", FIELDS("state=exists", "symlink=true", "source=there"), "state: absent -> symbolic link\nsource: there\n" },
                { "link", FIELDS("state=exists", "symlink=true", "source=there"), "source: old -> there\n" },
                { "folder", FIELDS("state=exists", "content=x", "force=true"), "state: directory -> file\ncontent: x\n" },
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CHECK_INT(rig_make(&file_type, in_dir(cases[i].name), cases[i].fields), 0);
                CHECK_INT(rig_watch(), 0);
                CHECK_INT(rig_apply(false), *cases[i].want ? CHECK_CHANGED : CHECK_OK);
                CHECK_DIFFERENCES(cases[i].want);
        }

        CHECK_INT(rig_make(&file_type, in_dir("there"), cases[0].fields), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_DIFFERENCES("content: 8 bytes -> 6 bytes\nmode: 0644 -> 0600\n");
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_DIFFERENCES("");
}

/* What cannot be done is an error without being tried, too. */
TEST(what_would_fail_fails) {
        RIG();
        CHECK_INT(mkdir(in_dir("folder"), 0755), 0);

        CHECK_INT(rig_make(&file_type, in_dir("folder"), FIELDS("state=exists", "content=x")), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig_apply(false), -EISDIR);
        CHECK_INT(rig_make(&file_type, in_dir("nowhere/x"), FIELDS("state=exists", "content=x")), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig_apply(false), -ENOENT);
        CHECK_DIFFERENCES("state: absent -> file\ncontent: x\n");
        CHECK_INT(rig_make(&file_type, in_dir("nowhere/x/"), FIELDS("state=exists", "recurse=true")), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK_INT(access(in_dir("nowhere"), F_OK), -1);
}

TEST(owner_and_group) {
        RIG();
        struct stat st;

        if (geteuid() != 0)
                TEST_SKIP("needs to be root to give files away");
        converge(in_dir("f"), FIELDS("state=exists", "content=x", "owner=nobody", "group=65534", "mode=4755"));
        CHECK(stat(in_dir("f"), &st) >= 0 && st.st_uid == 65534 && st.st_gid == 65534);
        CHECK_INT(mode_of("f"), 04755);
        CHECK_INT(chown(in_dir("f"), 0, 0), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK(stat(in_dir("f"), &st) >= 0 && st.st_uid == 65534 && st.st_gid == 65534);
        converge(in_dir("f"), FIELDS("state=exists", "content=y"));             /* new content, same owner */
        CHECK(stat(in_dir("f"), &st) >= 0 && st.st_uid == 65534 && st.st_gid == 65534);
        fails(in_dir("f"), FIELDS("state=exists", "owner=nosuchuser"), -ESRCH);
        fails(in_dir("f"), FIELDS("state=exists", "group=4000000000"), -ESRCH);
        /* The link, not what it points to. */
        converge(in_dir("l"), FIELDS("state=exists", "symlink=true", "source=f", "owner=65534"));
        CHECK_INT(chown(in_dir("f"), 0, 0), 0);
        CHECK_INT(lchown(in_dir("l"), 1, 1), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK(lstat(in_dir("l"), &st) >= 0 && st.st_uid == 65534 && st.st_gid == 1);
        CHECK(stat(in_dir("f"), &st) >= 0 && st.st_uid == 0);
        converge(in_dir("d/"), FIELDS("state=exists", "owner=nobody", "mode=2750"));
        CHECK_INT(mode_of("d"), 02750);
}

TEST(a_slow_directory_service_holds_nobody_up) {
        RIG();
        struct stat st;

        put_file("f", "x");
        names_held = true;
        CHECK_INT(rig_make(&file_type, in_dir("f"), FIELDS("state=exists", "owner=far", "group=farers")), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(begin_apply(), CHECK_PENDING);
        file_type.cancel(rig.r);
        CHECK_INT(begin_apply(), CHECK_PENDING);
        rig_run(10000);
        CHECK_INT(rig.host.finished, NOT_FINISHED);
        CHECK_INT(names_asked_by_loop, 0);
        names_held = false;
        CHECK_INT(finish_apply(), geteuid() == 0 ? CHECK_CHANGED : -EPERM);
        CHECK(stat(in_dir("f"), &st) >= 0 && (geteuid() != 0 || (st.st_uid == 5000 && st.st_gid == 5001)));
        CHECK_INT(rig_make(&file_type, in_dir("f"), FIELDS("state=exists", "owner=sick")), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig_apply(true), -EIO);
        CHECK_STR(rig.host.diag.message, "cannot find out about user 'sick': Input/output error");
}

static void check_context(const char *name, const char *want) {
        char value[100] = {};
        ssize_t n = lgetxattr(in_dir(name), "security.selinux", value, sizeof(value) - 1);

        CHECK_STR(n < 0 ? "" : value, want);
}

TEST(security_contexts) {
        RIG();

        put_file("f", "x");
        if (lsetxattr(in_dir("f"), "security.selinux", "a_t", 4, 0) < 0)
                TEST_SKIP("security contexts cannot be set here");
        CHECK_INT(rig_make(&file_type, in_dir("f"), FIELDS("state=exists", "selinux=a_t")), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig_apply(true), CHECK_OK);                         /* the NUL at its end does not count */
        converge(in_dir("f"), FIELDS("state=exists", "selinux=b_t"));
        check_context("f", "b_t");
        converge(in_dir("f"), FIELDS("state=exists", "content=y"));
        check_context("f", "b_t");                                      /* what is not said stays, also with a new content */
        converge(in_dir("f"), FIELDS("state=exists", "content=z", "selinux=c_t"));
        check_context("f", "c_t");
        converge(in_dir("f"), FIELDS("state=exists", "selinux="));
        check_context("f", "");
        converge(in_dir("d/"), FIELDS("state=exists", "selinux=d_t"));
        check_context("d", "d_t");
        converge(in_dir("l"), FIELDS("state=exists", "symlink=true", "source=f", "selinux=l_t"));
        check_context("l", "l_t");
        check_context("f", "");
        CHECK_INT(lremovexattr(in_dir("d"), "security.selinux"), 0);
        CHECK_INT(lremovexattr(in_dir("l"), "security.selinux"), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_context("l", "l_t");
}

TEST(dirname_and_basename) {
        RIG();
        CHECK_INT(mkdir(in_dir("other"), 0755), 0);

        converge(in_dir("f"), FIELDS("state=exists", "content=1", field_in_dir("dirname", "other/")));
        check_file("other/f", "1");
        converge(in_dir("f"), FIELDS("state=exists", "content=2", "basename=g"));
        check_file("g", "2");
        converge(in_dir("f"), FIELDS("state=exists", "content=3", "basename=h", field_in_dir("dirname", "other/")));
        check_file("other/h", "3");
        converge("a name that is no path", FIELDS("state=exists", "content=4", field_in_dir("path", "p")));
        check_file("p", "4");
}

TEST(a_temporary_file_that_was_left_behind_is_used_up) {
        RIG();

        converge(in_dir("f"), FIELDS("state=exists", "content=one"));
        /* As if an engine had been killed between writing and renaming: the name follows from the file's (FNV-1a). */
        char temporary[40];
        uint64_t hash = (UINT64_C(14695981039346656037) ^ 'f') * UINT64_C(1099511628211);
        (void) snprintf(temporary, sizeof(temporary), ".mgmt-%016llx", (unsigned long long) hash);
        put_file(temporary, "half of");
        put_file("f", "two");
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_INT(n_entries(""), 1);
        check_file("f", "one");
}

TEST(validate) {
        static const struct {
                const char *name, *a, *b;
        } cases[] = {
                { "etc/motd" },
                { "/f", "dirname=/x" },
                { "/f", "basename=/x" },
                { "/f", "state=present" },
                { "/f", "content=x", "source=/y" },
                { "/f", "content=x", "fragments=/y" },
                { "/f", "state=exists", "symlink=true" },
                { "/f", "symlink=true", "content=x" },
                { "/f", "state=absent", "content=x" },
                { "/f", "state=absent", "mode=0644" },
                { "/d/", "content=x" },
                { "/d/", "symlink=true" },
                { "/f", "source=/d/" },
                { "/d/", "source=/f" },
                { "/f", "source=f" },
                { "/f", "mode=u+x" },
                { "/f", "mode=999" },
                { "/f", "mode=10000" },
                { "/f", "fragments=x" },
                { "/f", "state=absent", "selinux=x" },
                { "/f", "source=/s", "recurse=true" },
                { "/d/", "source=/s/" },
                { "/d/", "purge=true" },
                { "/f", "purge=true", "recurse=true" },
                { "/f", "symlink=true", "recurse=true" },
                { "/", "purge=true", "recurse=true" },
                { "/x/../", "purge=true", "recurse=true" },
                { "/", "source=/s/", "recurse=true" },
                { "/d/sub/", "source=/d/", "recurse=true" },
                { "/d/", "source=/d/sub/", "recurse=true" },
                { "/d/", "source=/x/../d/./", "recurse=true" },
                { "/f", "fragments=/f" },
                { "/f", "fragments=/x/../f" },
                { "/d/./f", "fragments=/x/..//d/" },
                { "/d/f", "fragments=/d/" },
                { "$f" },
        };
        RIG();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                int r = rig_make(&file_type, cases[i].name, FIELDS(cases[i].a ? cases[i].a : "content=", cases[i].b));
                if (r >= 0 || !rig.host.diag.message)
                        TEST_FAIL("%s with %s and %s is taken", cases[i].name, cases[i].a, cases[i].b);
        }
        CHECK_INT(rig_make(&file_type, "/dd/f", FIELDS("fragments=/d")), 0);
        CHECK_INT(rig_make(&file_type, "/dd/f", FIELDS("content=x", "fragments=")), 0);      /* none */
}

TEST(modes) {
        static const struct {
                const char *text;
                mode_t now, want;
        } cases[] = {
                { "0644", 0, 0644 },
                { "7777", 0, 07777 },
                { "0", 0777, 0 },
                { "u=rw,go=r", 0, 0644 },
                { "a=rx", 0, 0555 },
                { "=rw", 0111, 0666 },
                { "u=rwx", 0644, 0744 },
                { "g=", 0777, 0707 },
                { "u=rws,o=t", 0, 05600 },
                { "u=rw", 04755, 0655 },
        }, bad[] = { { "" }, { "u" }, { "u=q" }, { "u=r,u=w" }, { "uu=r" }, { "=r,u=w" }, { "u=r,," }, { "8" }, { "-1" }, { "u+r" } };
        mode_t mode;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CHECK_INT(file_mode_parse(cases[i].text, cases[i].now, &mode), 0);
                CHECK_INT(mode, cases[i].want);
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (file_mode_parse(bad[i].text, 0, &mode) >= 0)
                        TEST_FAIL("'%s' is taken", bad[i].text);
}

TEST(paths_as_text) {
        static const struct {
                const char *path, *tidy, *top;
                bool inside;
        } cases[] = {
                { "/", "", "/", true },
                { "/a/b/", "/a/b", "/a", true },
                { "/a/b", "/a/b", "/a/b/", true },
                { "//a/./b/../c", "/a/c", "/a//", true },
                { "/a/bc", "/a/bc", "/a/b", false },
                { "/a", "/a", "/a/b", false },
                { "/../../a", "/a", "/", true },
                { "/a/b/../../..", "", "/a", false },
                { "/x/a/b", "/x/a/b", "/a/b", false },
                { "/a/..b", "/a/..b", "/a/", true },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *tidy = path_tidy(cases[i].path);
                CHECK_STR(tidy, cases[i].tidy);
                if (path_is_inside(cases[i].path, cases[i].top) != cases[i].inside)
                        TEST_FAIL("%s in %s", cases[i].path, cases[i].top);
        }
        CHECK_STR(path_below("/a/b", "/a"), "b");
        CHECK_STR(path_below("/a", "/a"), "");
        CHECK_STR(path_below("/ab", "/a"), NULL);
        CHECK_STR(path_below("/ab", ""), "ab");
}

TEST(watch) {
        RIG();

        put_file("src", "1");
        CHECK_INT(rig_make(&file_type, in_dir("d/f"), FIELDS("state=exists", field_in_dir("source", "src"))), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig.host.n_armed, 1);
        rig_run(20000);
        CHECK_INT(rig.host.n_changed, 0);
        CHECK_INT(mkdir(in_dir("d"), 0755), 0);
        CHECK(RIG_UNTIL(rig.host.n_changed > 0));        /* it can be created now */
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        rig_run(20000);

        static const struct {
                const char *what;
                bool event;
        } steps[] = { { "write", true }, { "chmod", true }, { "unlink", true }, { "create", true }, { "neighbour", false }, { "source", true } };
        for (size_t i = 0; i < ELEMENTSOF(steps); i++) {
                rig.host.n_changed = 0;
                switch (i) {
                case 0: {
                        _cleanup_close_ int fd = open(in_dir("d/f"), O_WRONLY | O_APPEND | O_CLOEXEC);
                        CHECK(write(fd, "x", 1) == 1);
                        break;
                }
                case 1:
                        CHECK_INT(chmod(in_dir("d/f"), 0600), 0);
                        break;
                case 2:
                        CHECK_INT(unlink(in_dir("d/f")), 0);
                        break;
                case 3:
                        put_file("d/f", "y");
                        break;
                case 4:
                        put_file("d/g", "y");
                        break;
                default:
                        put_file("src", "2");
                        break;
                }
                rig_run(20000);
                if ((rig.host.n_changed > 0) != steps[i].event)
                        TEST_FAIL("%s: %u events", steps[i].what, rig.host.n_changed);
        }
}

TEST(what_it_wants_before_it) {
        static const struct {
                const char *name, *field, *wants;
        } cases[] = {
                { "/a/b/c", "content=", "file:/a/b/ | file:/a/ | file:/" },
                { "/a/b/", "state=", "file:/a/ | file:/" },
                { "/", "state=", "" },
                { "/a/f", "fragments=/x /y", "file:/x file:/y+ | file:/a/ | file:/" },
                { "/a/f", "source=/x", "file:/x+ | file:/a/ | file:/" },
        };
        RIG();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CHECK_INT(rig_make(&file_type, cases[i].name, FIELDS(cases[i].field)), 0);
                check_wants(cases[i].wants);
        }
}

/* before and after: the content, NULL if the file is not there. */
TEST(reversal) {
        static const struct {
                const char *fields[5], *before, *after;
                bool nothing;           /* to undo */
        } cases[] = {
                { { "state=exists", "content=new" }, NULL, NULL },
                { { "state=exists", "content=new" }, "old", NULL },     /* what it was to be, it shall not be */
                { { "state=exists", "content=new", "mode=0600" }, "old", NULL },
                { { "state=exists" }, NULL, NULL },
                { { "content=new" }, "old", "old" },
                { { "content=new" }, "", "" },
                { { "content=new" }, "\x01\xff\n", "\x01\xff\n" },
                { { "content=new" }, NULL, NULL, .nothing = true },
                { { "state=absent" }, "old", "old" },
                { { "state=absent" }, "", "" },
                { { "state=absent" }, NULL, NULL, .nothing = true },
                { { "state=absent", "recurse=true" }, "old", "old" },
                { { "mode=0600" }, "old", "old" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                RIG();
                if (cases[i].before)
                        put_file("f", cases[i].before);
                CHECK_INT(rig_make(&file_type, in_dir("f"), cases[i].fields), 0);
                CHECK_INT(rig_watch(), 0);
                Resource *undoes = NULL;
                CHECK_INT(file_type.reverse(rig.r, &undoes, &rig.host.diag), 0);
                CHECK_INT(!undoes, cases[i].nothing);
                if (!undoes)
                        continue;
                CHECK_INT(rig_apply(true), CHECK_CHANGED);
                rig_unmake();
                rig.r = undoes;
                CHECK_INT(resource_validate(undoes, &rig.host.diag), 0);
                CHECK_INT(rig_watch(), 0);
                CHECK_INT(rig_apply(true), CHECK_CHANGED);
                CHECK_INT(rig_apply(true), CHECK_OK);
                check_file("f", cases[i].after);
                if (cases[i].after)
                        CHECK_INT(mode_of("f"), 0644);
        }
}

TEST(reversal_of_access_and_fragments) {
        RIG();

        put_file("f", "old");
        put_file("a", "x");
        CHECK_INT(chmod(in_dir("f"), 0604), 0);
        CHECK_INT(rig_make(&file_type, in_dir("f"), FIELDS(field_in_dir("fragments", "a"), "mode=u=rw,go=")), 0);
        CHECK_INT(rig_watch(), 0);
        Resource *undoes = NULL;
        CHECK_INT(file_type.reverse(rig.r, &undoes, &rig.host.diag), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_file("f", "x");
        CHECK_INT(mode_of("f"), 0600);
        REQUIRE(undoes);
        rig_unmake();
        rig.r = undoes;
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_file("f", "old");
        CHECK_INT(mode_of("f"), 0604);
}

TEST(no_reversal) {
        RIG();
        static const char *const fields[][3] = { { "state=exists" }, { "state=exists", "source=/etc/passwd" },
                                                 { "symlink=true", "source=x" } };

        for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
                CHECK_INT(rig_make(&file_type, in_dir(i == 0 ? "d/" : "f"), fields[i]), 0);
                rig.r->meta.reverse = true;
                CHECK_INT(resource_validate(rig.r, &rig.host.diag), -EINVAL);
        }
        CHECK_INT(mkdir(in_dir("tree"), 0755), 0);
        CHECK_INT(rig_make(&file_type, in_dir("tree"), FIELDS("state=absent", "recurse=true")), 0);
        CHECK_INT(rig_watch(), 0);
        Resource *undoes = NULL;
        CHECK_INT(file_type.reverse(rig.r, &undoes, &rig.host.diag), -EINVAL);
        CHECK(!undoes && rig.host.diag.message);
        CHECK(exists("tree"));
}

TEST(walking) {
        RIG();

        CHECK_INT(mkdir(in_dir("a"), 0755), 0);
        put_file("a/f", "x");
        CHECK_INT(symlink("a", in_dir("l")), 0);
        CHECK_INT(symlink("loop", in_dir("loop")), 0);
        CHECK_INT(symlink(in_dir("a/f"), in_dir("a/abs")), 0);
        static const struct {
                const char *path, *base;
                int result;
        } cases[] = {
                { "a/f", "f", 0 },
                { "l/f", "f", 0 },
                { "l/../a/./f", "f", 0 },
                { "l/abs", "f", 0 },
                { "a/new", "new", 0 },
                { "no/new", NULL, -ENOENT },
                { "a/f/x", NULL, -ENOTDIR },
                { "loop", NULL, -ELOOP },
                { "loop/x", NULL, -ELOOP },
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(safe_path_done) SafePath p = SAFE_PATH_INIT;
                CHECK_INT(safe_path_find(in_dir(cases[i].path), true, &p), cases[i].result);
                CHECK_STR(p.base, cases[i].base);
        }
        _cleanup_close_ int fd = safe_open(in_dir("l/f"), O_RDONLY);
        CHECK(fd >= 0);
        CHECK_INT(safe_open("relative", O_RDONLY), -ENOENT);
}

static void receive(const char *field, const char *name) {
        CHECK_INT(rig_set(field_in_dir(field, name)), 0);
        rig.r->received |= UINT64_C(1) << (field_find(file_type.fields, field) - file_type.fields);
}

/* It is told from then on of what is there, not of what is where it was. */
static void check_told(const char *now, const char *before) {
        rig.r->received = 0;
        put_file(before, "x");
        rig_run(0);
        CHECK_INT(rig.host.n_changed, 0);
        put_file(now, "y");
        CHECK(RIG_UNTIL(rig.host.n_changed > 0));
        rig.host.n_changed = 0;
}

TEST(what_is_received_is_watched) {
        RIG();

        put_file("from", "a");
        put_file("other", "b");
        CHECK_INT(rig_make(&file_type, in_dir("one"), FIELDS("state=exists", field_in_dir("source", "from"))), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        rig.host.n_changed = 0;

        receive("path", "two");
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_file("two", "a");
        check_told("two", "one");
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_file("two", "a");

        receive("source", "other");
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_file("two", "b");
        check_told("other", "from");
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_file("two", "y");

        /* Without a watch it needs none either. */
        file_type.unwatch(rig.r);
        receive("path", "three");
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_file("three", "y");
        CHECK_INT(path_watcher_n_watches(rig.manager.paths), 1);
}

TEST_MAIN()
