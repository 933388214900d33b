/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Copies of parts of a bundle: exact, made with as few changes as possible, and nowhere else than where they belong. */

#include <stdarg.h>
#include <sys/stat.h>

#include "daemons/lang/mirror.h"
#include "tests/test.h"

/* Path and content in turn, until NULL. */
static Value bundle_of(const char *const *files) {
        Value items[64], v = {};
        size_t n = 0;

        for (; files[n]; n++)
                if (value_strz(&items[n], files[n]) < 0)
                        abort();
        if (value_map(&v, items, n / 2) < 0)
                abort();
        return v;
}

static char top[64];

/* What is there, as "d 755 name" and "f 644 name=content", one behind the other. */
static char *listing(const char *directory) {
        static const char format[] = "cd '%s/%s' && find . -mindepth 1 | LC_ALL=C sort | while read -r p; do "
                                     "if test -L \"$p\"; then printf 'l %%s;' \"$p\"; "
                                     "elif test -d \"$p\"; then printf 'd %%s %%s;' $(stat -c %%a \"$p\") \"$p\"; "
                                     "else printf 'f %%s %%s=%%s;' $(stat -c %%a \"$p\") \"$p\" \"$(cat \"$p\")\"; fi; done";
        char command[1024], line[4096] = "";

        (void) snprintf(command, sizeof(command), format, top, directory);
        FILE *f = popen(command, "r");
        if (!f)
                abort();
        (void) !fgets(line, sizeof(line), f);
        (void) pclose(f);
        return strdup(line);
}

_printf_(1, 2) static void run(const char *format, ...) {
        char script[512], command[640];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(script, sizeof(script), format, ap);
        va_end(ap);
        (void) snprintf(command, sizeof(command), "cd %s && %s", top, script);
        if (system(command) != 0)
                TEST_FAIL("%s", command);
}

static void top_make(void) {
        (void) snprintf(top, sizeof(top), "/tmp/mgmt-test-mirror-XXXXXX");
        if (!mkdtemp(top))
                abort();
}

static void top_remove(void) {
        run("cd / && rm -rf %s", top);
}

static const char *const files[] = {
        "/files-not", "no", "/files/a", "one", "/files/b.d/x", "ex", "/files/b.d/y/z", "zet", "/files/b/x", "bx", "/files/empty", "",
        "/main.mcl", "program", NULL,
};
#define TREE "f 644 ./a=one;d 755 ./b;d 755 ./b.d;f 644 ./b.d/x=ex;d 755 ./b.d/y;f 644 ./b.d/y/z=zet;f 644 ./b/x=bx;f 644 ./empty=;"

TEST(a_copy_is_exact_whatever_was_there) {
        /* What is done to a copy that is right, by a shell in it. */
        static const char *const before[] = {
                "true",
                "rm a",
                "echo other > a",
                "chmod 600 a; chmod 700 b",
                "echo more > more; mkdir -p d/e; echo x > d/e/x",
                "rm -r b; echo file > b",
                "rm a; mkdir -p a/deep; echo x > a/deep/x",
                "rm a; ln -s ../outside a",
                "rm -r b; ln -s ../outside.d b",
                "rm -r b.d/y; ln -s ../../outside.d b.d/y",
                "ln -s ../outside.d link; ln -s nowhere dangling",
                "rm a; mkfifo a",
                "rm -r b; ln -s b b",
                "rm -r * ",
        };
        Value v = bundle_of(files);

        top_make();
        run("echo untouched > outside && mkdir outside.d && echo untouched > outside.d/x");
        for (size_t i = 0; i < ELEMENTSOF(before); i++) {
                _cleanup_(diag_done) Diag d = {};

                if (i > 0)
                        run("cd copy && { %s; }", before[i]);
                if (mirror_files(top, "copy", v, "/files/", &d) < 0)
                        TEST_FAIL("after %s: %s", before[i], d.message);
                _cleanup_free_ char *got = listing("copy"), *outside = listing("outside.d");
                if (!streq(got, TREE))
                        TEST_FAIL("after %s there is %s", before[i], got);
                if (!strstr(outside, "x=untouched;") || strchr(outside, ';')[1])
                        TEST_FAIL("after %s there is outside %s", before[i], outside);
        }
        run("test \"$(cat outside)\" = untouched");
        value_done(&v);
        top_remove();
}

TEST(what_is_right_is_left_alone) {
        Value v = bundle_of(files);
        struct stat before, after;
        char path[128];

        top_make();
        (void) snprintf(path, sizeof(path), "%s/copy/b.d/y/z", top);
        CHECK_INT(mirror_files(top, "copy", v, "/files/", NULL), 0);
        CHECK_INT(stat(path, &before), 0);
        CHECK_INT(mirror_files(top, "copy", v, "/files/", NULL), 0);
        CHECK_INT(stat(path, &after), 0);
        CHECK(before.st_ino == after.st_ino && before.st_ctim.tv_sec == after.st_ctim.tv_sec &&
              before.st_ctim.tv_nsec == after.st_ctim.tv_nsec);
        value_done(&v);
        top_remove();
}

TEST(parts_and_places) {
        static const struct { const char *name, *prefix, *want; } cases[] = {
                { "copy", "/files/b.d/", "f 644 ./x=ex;d 755 ./y;f 644 ./y/z=zet;" },
                { "copy", "/files/b/", "f 644 ./x=bx;" },
                { "deep/er/copy", "/files/b/", "f 644 ./x=bx;" },
                { "/deep//er/copy/", "/files/b.d/y/", "f 644 ./z=zet;" },
                { "copy", "/", "d 755 ./files;f 644 ./files-not=no;f 644 ./files/a=one;d 755 ./files/b;d 755 ./files/b.d;"
                               "f 644 ./files/b.d/x=ex;d 755 ./files/b.d/y;f 644 ./files/b.d/y/z=zet;f 644 ./files/b/x=bx;"
                               "f 644 ./files/empty=;f 644 ./main.mcl=program;" },
        };
        Value v = bundle_of(files);

        top_make();
        (void) umask(077);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CHECK_INT(mirror_files(top, cases[i].name, v, cases[i].prefix, NULL), 0);
                _cleanup_free_ char *got = listing(cases[i].name);
                CHECK_STR(got, cases[i].want);
        }
        (void) umask(022);

        /* its parents are no links either */
        run("mkdir real && ln -s real link");
        CHECK_INT(mirror_files(top, "link/copy", v, "/files/b/", NULL), 0);
        run("test ! -e real/copy && test ! -L link && test -f link/copy/x");
        value_done(&v);
        top_remove();
}

TEST(what_cannot_be_is_an_error) {
        static const struct { const char *files[7]; const char *prefix, *want; } cases[] = {
                { { "/a/b", "x" }, "/b/", "the program has no directory '/b/'" },
                { { "/a/b", "x" }, "/a/b/", "the program has no directory '/a/b/'" },
                { { "/a/../b", "x" }, "/a/", "'/a/../b' is not a path that a file can have" },
                { { "/a/./b", "x" }, "/a/", "'/a/./b' is not a path that a file can have" },
                { { "/a//b", "x" }, "/a/", "'/a//b' is not a path that a file can have" },
                { { "/a/..", "x" }, "/a/", "'/a/..' is not a path that a file can have" },
                { { "/a/b", "x", "/a/b-c", "x", "/a/b/c", "x" }, "/a/", "'/a/b' is both a file and a directory" },
        };

        top_make();
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(diag_done) Diag d = {};
                Value v = bundle_of(cases[i].files);

                CHECK(mirror_files(top, "copy", v, cases[i].prefix, &d) < 0);
                CHECK_STR(d.message, cases[i].want);
                value_done(&v);
        }

        char deep[1024] = "/a";
        for (int i = 0; i < 100; i++)
                (void) memcpy(deep + strlen(deep), "/a", 3);
        _cleanup_(diag_done) Diag d = {};
        Value v = bundle_of((const char *const[]) { deep, "x", NULL });
        CHECK(mirror_files(top, "copy", v, "/a/", &d) < 0);
        CHECK(d.message && strstr(d.message, "more than 64 directories"));
        value_done(&v);
        top_remove();
}

TEST_MAIN()
