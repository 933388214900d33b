/* SPDX-License-Identifier: GPL-3.0-or-later */

/* tar: what is in the archive is what is on the disk, in an order that does not depend on the disk; whatever is different is seen; and
 * nothing outside of the inputs gets in. */

#include <malloc.h>

#include <archive.h>
#include <archive_entry.h>

#include "tests/daemons/engine/file-test.h"

extern const ResourceType tar_type;

enum { BIG = 32 * 1024 * 1024 };

/* "d/ 755\nd/f 644 content\n" */
static void check_archive(const char *name, const char *want) {
        _cleanup_(strbuf_done) StrBuf b = {};
        struct archive *a = archive_read_new();
        struct archive_entry *e;
        char text[1000];
        int r;

        (void) archive_read_support_format_tar(a);
        CHECK_INT(archive_read_open_filename(a, in_dir(name), 10240), ARCHIVE_OK);
        while ((r = archive_read_next_header(a, &e)) == ARCHIVE_OK || r == ARCHIVE_WARN) {     /* of letters that are none here */
                strbuf_printf(&b, "%s %o", archive_entry_pathname(e), (unsigned) archive_entry_perm(e));
                ssize_t n = archive_read_data(a, text, sizeof(text));
                CHECK_INT(n, archive_entry_size(e));
                CHECK_INT(archive_entry_uid(e), getuid());
                strbuf_printf(&b, "%s%.*s\n", n > 0 ? " " : "", (int) MAX(n, 0), text);
        }
        CHECK_INT(r, ARCHIVE_EOF);
        CHECK_STR(b.data ?: "", want);
        (void) archive_read_free(a);
}

static void make_tree(void) {
        make_dir("d");
        make_dir("d/sub");
        make_dir("d/empty");
        put_file("d/b", "text of b");
        put_file("d/a", "text of a");
        put_file("d/sub/c", "");
        put_file("f", "text of f");
        CHECK_INT(chmod(in_dir("d/sub"), 0700), 0);
        CHECK_INT(chmod(in_dir("f"), 04711), 0);
}

static int make(const char *inputs, const char *more) {
        _cleanup_free_ char *text = NULL;
        StrBuf b = {};

        strbuf_puts(&b, "inputs=");
        for (const char *p = inputs; *p;) {
                size_t n = strcspn(p, " ");
                strbuf_printf(&b, "%s%s/%.*s", p == inputs ? "" : " ", rig.dir, (int) n, p);
                p += n + strspn(p + n, " ");
        }
        text = strbuf_take(&b);
        return rig_make(&tar_type, in_dir("t.tar"), FIELDS(text, more));
}

static void converge_archive(const char *inputs, const char *more, const char *want) {
        CHECK_INT(make(inputs, more), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        if (rig.host.diag.message)
                TEST_FAIL("%s", rig.host.diag.message);
        check_archive("t.tar", want);
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_INT(rig_apply(false), CHECK_OK);
}

TEST(inputs) {
        static const char in_d[] = "a 644 text of a\nb 644 text of b\nempty/ 755\nsub/ 700\nsub/c 644\n";
        RIG();

        make_tree();
        converge_archive("d/ f", NULL, "a 644 text of a\nb 644 text of b\nempty/ 755\nsub/ 700\nsub/c 644\nf 4711 text of f\n");
        converge_archive("f d", NULL, "f 4711 text of f\nd/ 755\nd/a 644 text of a\nd/b 644 text of b\nd/empty/ 755\nd/sub/ 700\nd/sub/c 644\n");
        converge_archive("d/sub/ d/empty/", NULL, "c 644\n");
        converge_archive("d/", "format=2", in_d);
        converge_archive("d/", "format=8", in_d);
        converge_archive("d/", "format=4", in_d);
        CHECK_INT(n_entries(""), 3);
}

TEST(nothing_in_it) {
        RIG();

        converge_archive("", NULL, "");
}

/* Each of these makes it out of date. */
static void is_seen(void) {
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), CHECK_OK);
}

TEST(what_is_different_is_seen) {
        struct timespec times[2] = { { 1000, 0 }, { 1000, 0 } };
        RIG();

        make_tree();
        CHECK_INT(make("d", NULL), 0);
        is_seen();
        put_file("d/sub/c", "more");
        is_seen();
        put_file("d/sub/new", "new");
        is_seen();
        CHECK_INT(unlink(in_dir("d/sub/new")), 0);
        is_seen();
        CHECK_INT(chmod(in_dir("d/a"), 0600), 0);
        is_seen();
        CHECK_INT(utimensat(AT_FDCWD, in_dir("d/a"), times, 0), 0);
        is_seen();
        CHECK_INT(rename(in_dir("d/b"), in_dir("d/bb")), 0);
        is_seen();
        put_file("t.tar", "");
        is_seen();
        CHECK_INT(truncate(in_dir("t.tar"), 512), 0);
        is_seen();
        CHECK_INT(make("d", "format=4"), 0);
        is_seen();
}

TEST(changes_are_watched) {
        RIG();

        make_tree();
        CHECK_INT(make("d f", NULL), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig.host.n_armed, 1);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        static const char *const names[] = { "d/sub/c", "f", "t.tar" };
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                rig_run(10000);
                rig.host.n_changed = 0;
                put_file(names[i], "other");
                CHECK(RIG_UNTIL(rig.host.n_changed > 0));
        }
}

/* What libarchive has opened is lost when it says that it cannot go on at all: 33 bytes, of which LeakSanitizer would tell. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
        return "leak:libarchive.so";
}

TEST(names) {
        RIG();
        char longest[256] = {};

        memset(longest, 'x', 200);
        make_dir("d");
        put_file("d/ä", "letters");
        put_file("d/\xff", "bytes");
        put_file("d/new\nline", "line");
        put_file("d/.mgmt-0123456789abcdef", "a file in the making");
        _cleanup_free_ char *name = NULL, *want = NULL;
        REQUIRE(asprintf(&name, "d/%.110s", longest) > 0);
        put_file(name, "long");
        REQUIRE(asprintf(&want, "new\nline 644 line\n%s 644 long\nä 644 letters\n\xff 644 bytes\n", name + 2) > 0);
        converge_archive("d/", NULL, want);
        converge_archive("d/", "format=8", want);
        CHECK_INT(make("d/", "format=2"), 0);
        CHECK(rig_apply(true) < 0);
        CHECK(rig.host.diag.message && strstr(rig.host.diag.message, "cannot pack"));
        check_archive("t.tar", want);
}

TEST(what_is_no_file) {
        RIG();

        make_tree();
        CHECK_INT(symlink("/etc/passwd", in_dir("d/sub/link")), 0);
        CHECK_INT(make("d", NULL), 0);
        CHECK_INT(rig_apply(true), -EINVAL);
        CHECK(rig.host.diag.message && strstr(rig.host.diag.message, "sub/link"));
        CHECK_INT(rig.host.diag.pos.line, 3);
        CHECK_INT(unlink(in_dir("d/sub/link")), 0);
        CHECK_INT(mkfifo(in_dir("d/fifo"), 0600), 0);
        CHECK_INT(rig_apply(true), -EINVAL);
        CHECK(!exists("t.tar"));
        CHECK_INT(make("d/no", NULL), 0);
        CHECK_INT(rig_apply(true), -ENOENT);
        CHECK_INT(make("f/", NULL), 0);
        CHECK_INT(rig_apply(true), -ENOTDIR);
        CHECK_INT(n_entries(""), 2);
}

TEST(not_itself) {
        RIG();

        make_tree();
        CHECK_INT(make("", NULL), 0);
        CHECK(rig_make(&tar_type, in_dir("d/t.tar"), FIELDS(field_in_dir("inputs", "d"))) < 0);
        CHECK(rig_make(&tar_type, in_dir("t.tar"), FIELDS(field_in_dir("inputs", "d/../t.tar"))) < 0);
        CHECK_INT(symlink("d", in_dir("link")), 0);
        CHECK_INT(rig_make(&tar_type, in_dir("link/t.tar"), FIELDS(field_in_dir("inputs", "d"))), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), -ELOOP);
        CHECK(rig.host.diag.message && strstr(rig.host.diag.message, "the archive itself"));
}

TEST(many_levels) {
        RIG();

        make_dir("d");
        _cleanup_free_ char *path = strdup(in_dir("d"));
        int fd = open(path, O_RDONLY | O_DIRECTORY);
        for (int i = 0; i < 200; i++) {
                CHECK_INT(mkdirat(fd, "x", 0755), 0);
                int next = openat(fd, "x", O_RDONLY | O_DIRECTORY);
                (void) close(fd);
                fd = next;
        }
        (void) close(fd);
        CHECK_INT(make("d", NULL), 0);
        CHECK_INT(rig_apply(true), -ELOOP);
}

TEST(a_cancelled_attempt_leaves_nothing) {
        enum { SIZE = 64 * 1024 * 1024 };
        RIG_FAST();

        int fd = open(in_dir("in"), O_WRONLY | O_CREAT, 0600);
        CHECK_INT(ftruncate(fd, SIZE), 0);
        (void) close(fd);
        put_file("t.tar", "old");
        CHECK_INT(make("in", NULL), 0);
        CHECK_INT(begin_apply(), CHECK_PENDING);
        CHECK_INT(n_entries(""), 3);
        tar_type.cancel(rig.r);
        CHECK_INT(n_entries(""), 2);
        check_file("t.tar", "old");
        rig_run(10000);
        CHECK_INT(rig.host.finished, NOT_FINISHED);
}

static void attempts(const char *text) {
        CHECK_INT(begin_apply(), CHECK_PENDING);        /* given up in the middle of a file */
        tar_type.cancel(rig.r);
        put_file("f", text);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), CHECK_OK);
        strbuf_done(&rig.host.differences);
}

/* Nor in the library; the loop's own memory may change a little, and what malloc() keeps for itself counts as well. */
TEST(nothing_is_left_in_memory) {
        enum { ROUNDS = 32, WARM = 2, SLACK = 4096 };
        size_t before = 0;
        RIG_FAST();

        put_file("f", "text");
        put_file("big", "");
        CHECK_INT(truncate(in_dir("big"), BIG), 0);
        CHECK_INT(make("big f", NULL), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        for (int i = 0; i < ROUNDS; i++) {
                if (i == WARM)
                        before = mallinfo2().uordblks;
                attempts(i % 2 ? "some" : "others");
        }
        size_t after = mallinfo2().uordblks;
        if (after > before + SLACK)
                TEST_FAIL("from %zu to %zu bytes", before, after);
}

TEST(validate) {
        static const struct {
                const char *name, *field;
        } bad[] = { { "t", "inputs=/x" }, { "/t/", "inputs=/x" }, { "/t", "inputs=x" }, { "/t", "inputs=/x y" }, { "/t", "format=1" },
                    { "/t", "format=3" }, { "/t", "inputs=/" }, { "/t", "inputs=/t" } };
        RIG();

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (rig_make(&tar_type, bad[i].name, FIELDS(bad[i].field)) >= 0)
                        TEST_FAIL("case %zu is taken", i);
}

TEST_MAIN()
