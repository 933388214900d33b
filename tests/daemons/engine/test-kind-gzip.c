/* SPDX-License-Identifier: GPL-3.0-or-later */

/* gzip: what is unpacked is what was to be packed, the same input gives the same bytes, and whatever is different is seen. */

#include <zlib.h>

#include "tests/daemons/engine/file-test.h"

extern const ResourceType gzip_type;

static void check_unpacked(const char *name, const char *want, size_t want_size) {
        size_t capacity = want_size + 10;
        _cleanup_free_ char *text = malloc(capacity);
        gzFile f = gzopen(in_dir(name), "rb");

        REQUIRE(f && text);
        CHECK(!gzdirect(f));
        int n = gzread(f, text, (unsigned) capacity);
        CHECK_INT(n, want_size);
        CHECK(n == (int) want_size && memcmp(text, want, want_size) == 0);
        CHECK_INT(gzclose(f), Z_OK);
}

static void check_header(const char *name) {
        static const unsigned char want[8] = { 0x1f, 0x8b, 8 };         /* deflate; no flags, no time */
        _cleanup_free_ char *text = NULL;
        size_t size;

        REQUIRE(read_file_at(AT_FDCWD, in_dir(name), 1 << 20, &text, &size) >= 0);
        CHECK(size > 18 && memcmp(text, want, sizeof(want)) == 0);
}

TEST(content) {
        RIG();

        CHECK_INT(rig_make(&gzip_type, in_dir("f.gz"), FIELDS("content=some text")), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK_DIFFERENCES("content: up to date\n");
        CHECK(!exists("f.gz"));
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_unpacked("f.gz", "some text", 9);
        check_header("f.gz");
        CHECK_INT(mode_of("f.gz"), 0644);
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_INT(rig_make(&gzip_type, in_dir("f.gz"), FIELDS("content=other text")), 0);
        CHECK_INT(chmod(in_dir("f.gz"), 0600), 0);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK_DIFFERENCES("content: out of date -> up to date\n");
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_unpacked("f.gz", "other text", 10);
        CHECK_INT(mode_of("f.gz"), 0600);
        CHECK_INT(n_entries(""), 1);
        CHECK_INT(rig_make(&gzip_type, in_dir("f.gz"), FIELDS("content=")), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_unpacked("f.gz", "", 0);
        CHECK_INT(rig_apply(true), CHECK_OK);
}

TEST(input_wins_over_content) {
        RIG();

        put_file("in", "from input");
        CHECK_INT(rig_make(&gzip_type, in_dir("f.gz"), FIELDS("content=from content", field_in_dir("input", "in"))), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_unpacked("f.gz", "from input", 10);
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_INT(unlink(in_dir("in")), 0);
        CHECK_INT(rig_apply(true), -ENOENT);
        check_unpacked("f.gz", "from input", 10);
}

TEST(what_is_different_is_seen) {
        RIG();

        put_file("in", "first");
        CHECK_INT(rig_make(&gzip_type, "g", FIELDS(field_in_dir("path", "f.gz"), field_in_dir("input", "in"))), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig.host.n_armed, 1);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_unpacked("f.gz", "first", 5);
        put_file("in", "second");
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_unpacked("f.gz", "second", 6);

        int fd = open(in_dir("f.gz"), O_WRONLY | O_APPEND);
        CHECK_INT(write(fd, "x", 1), 1);
        (void) close(fd);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_INT(truncate(in_dir("f.gz"), 5), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_unpacked("f.gz", "second", 6);
        CHECK_INT(rig_apply(true), CHECK_OK);

        rig_run(10000);
        rig.host.n_changed = 0;
        put_file("in", "third");
        CHECK(RIG_UNTIL(rig.host.n_changed > 0));
        rig_run(10000);
        rig.host.n_changed = 0;
        CHECK_INT(unlink(in_dir("f.gz")), 0);
        CHECK(RIG_UNTIL(rig.host.n_changed > 0));
}

static size_t size_of(const char *name) {
        struct stat st;

        return stat(in_dir(name), &st) < 0 ? 0 : (size_t) st.st_size;
}

TEST(levels) {
        enum { SIZE = 500000 };
        static const char *const levels[] = { "level=-2", "level=-1", "level=0", "level=1", "level=9" };
        _cleanup_free_ char *text = malloc(SIZE + 1);
        size_t sizes[ELEMENTSOF(levels)];
        RIG();

        REQUIRE(text);
        for (size_t i = 0; i < SIZE; i++)
                text[i] = "the quick brown fox "[i % 20 ^ (i / 1000 % 3)];
        text[SIZE] = '\0';
        put_file("in", text);
        for (size_t i = 0; i < ELEMENTSOF(levels); i++) {
                CHECK_INT(rig_make(&gzip_type, in_dir("f.gz"), FIELDS(field_in_dir("input", "in"), levels[i])), 0);
                CHECK_INT(rig_apply(true), CHECK_CHANGED);
                CHECK_INT(rig_apply(true), CHECK_OK);
                check_unpacked("f.gz", text, SIZE);
                sizes[i] = size_of("f.gz");
        }
        CHECK(sizes[2] > SIZE);                         /* not compressed */
        CHECK(sizes[0] < SIZE && sizes[0] > sizes[3]);  /* nothing but codes for bytes */
        CHECK(sizes[4] < sizes[3]);
}

TEST(a_cancelled_attempt_leaves_nothing) {
        enum { SIZE = 32 * 1024 * 1024 };
        RIG_FAST();

        int fd = open(in_dir("in"), O_WRONLY | O_CREAT, 0600);
        CHECK_INT(ftruncate(fd, SIZE), 0);
        (void) close(fd);
        put_file("f.gz", "old");
        CHECK_INT(rig_make(&gzip_type, in_dir("f.gz"), FIELDS(field_in_dir("input", "in"))), 0);
        CHECK_INT(begin_apply(), CHECK_PENDING);
        for (int i = 0; i < 10; i++)
                (void) sd_event_run(rig.event, 0);
        CHECK_INT(n_entries(""), 3);
        gzip_type.cancel(rig.r);
        CHECK_INT(n_entries(""), 2);
        check_file("f.gz", "old");
        rig_run(10000);
        CHECK_INT(rig.host.finished, NOT_FINISHED);
}

TEST(what_is_wrong_is_said) {
        RIG();

        CHECK_INT(rig_make(&gzip_type, in_dir("f.gz"), FIELDS(field_in_dir("input", "no"))), 0);
        CHECK_INT(rig_apply(true), -ENOENT);
        CHECK(rig.host.diag.message && strstr(rig.host.diag.message, "/no'"));
        CHECK_INT(rig.host.diag.pos.line, 3);
        put_file("in", "x");
        CHECK_INT(rig_make(&gzip_type, in_dir("no/f.gz"), FIELDS(field_in_dir("input", "in"))), 0);
        CHECK_INT(rig_apply(true), -ENOENT);
        CHECK_INT(rig_apply(false), -ENOENT);
        make_dir("f.gz");
        CHECK_INT(rig_make(&gzip_type, in_dir("f.gz"), FIELDS(field_in_dir("input", "in"))), 0);
        CHECK_INT(rig_apply(true), -EISDIR);
        CHECK_INT(rig_make(&gzip_type, in_dir("g.gz"), FIELDS(field_in_dir("input", "f.gz"))), 0);
        CHECK_INT(rig_apply(true), -EISDIR);
        CHECK_INT(n_entries(""), 2);
}

TEST(validate) {
        static const struct {
                const char *name, *fields[3];
        } bad[] = { { "f", { "content=x" } }, { "/f/", { "content=x" } }, { "/f", { "input=g" } }, { "/f", { "input=/g/" } },
                    { "/f", { "input=/f" } }, { "/f", { "input=/x/../f" } }, { "/f", { "level=10" } }, { "/f", { "level=-3" } },
                    { "/f", { "level=1000" } }, { "/f", { "input=" } } };
        RIG();

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (rig_make(&gzip_type, bad[i].name, bad[i].fields) >= 0)
                        TEST_FAIL("case %zu is taken", i);
        CHECK_INT(rig_make(&gzip_type, "g", FIELDS("path=/f", "input=/g")), 0);
}

TEST(its_place_in_the_graph) {
        RIG();

        CHECK_INT(rig_make(&gzip_type, "/a/b/f", FIELDS("input=/g")), 0);
        check_wants("file:/g file:/g/+ | file:/a/b/ | file:/a/ | file:/");
        CHECK_INT(rig_make(&gzip_type, "/a/f", FIELDS("content=x")), 0);
        check_wants("file:/a/ | file:/");
}

TEST_MAIN()
