/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The ground floor: diagnostics, arenas, growing texts, maps, files. */

#include <fcntl.h>
#include <sys/stat.h>

#include "common/arena.h"
#include "common/diag.h"
#include "common/hash.h"
#include "common/io.h"
#include "common/map.h"
#include "common/paths.h"
#include "common/strbuf.h"
#include "common/suggest.h"
#include "common/utf8.h"
#include "tests/test.h"

/* ---- diagnostics ---- */

TEST(diag_keeps_the_first_cause) {
        _cleanup_(diag_done) Diag d = {};
        char file[] = "site.mcl";

        CHECK_INT(diag_set(&d, (Pos) { file, 3, 7, 3, 9 }, -ENOENT, "cannot open '%s': %m", "x"), -ENOENT);
        CHECK_INT(diag_set(&d, (Pos) {}, -EPERM, "later"), -EPERM);
        file[0] = 'X';  /* the name was copied */
        _cleanup_free_ char *text = diag_text(&d);
        CHECK_STR(text, "site.mcl:3:7: cannot open 'x': No such file or directory");
        CHECK_INT(d.error, -ENOENT);
        CHECK_INT(diag_set(NULL, (Pos) {}, -EIO, "nobody listens"), -EIO);
}

TEST(diag_prefix_note_copy_move) {
        _cleanup_(diag_done) Diag d = {}, e = {}, f = {};

        CHECK_INT(diag_prefix(&d, "nothing is set"), 0);
        CHECK_INT(diag_note(&d, (Pos) {}, "nothing is set"), 0);
        CHECK(!d.message && !d.notes);
        diag_set(&d, (Pos) { "a", 1, 2, 0, 0 }, -EINVAL, "bad");
        diag_prefix(&d, "file[%s]", "/x");
        diag_note(&d, (Pos) { "b", 4, 5, 0, 0 }, "note: first declared here");
        REQUIRE(diag_copy(&e, &d) == 0);
        diag_move(&f, &d);
        CHECK_INT(d.error, 0);
        CHECK(!d.message && !d.pos.file);
        _cleanup_free_ char *one = diag_render(&e, NULL, 0, false), *two = diag_render(&f, NULL, 0, false);
        CHECK_STR(one, "a:1:2: file[/x]: bad\nb:4:5: note: first declared here\n");
        CHECK_STR(two, one);
}

TEST(diag_render_pictures) {
        static const struct {
                const char *source;
                Pos pos;
                const char *want;
        } cases[] = {
                { "panic(true)\n", { "m", 1, 1, 1, 12 }, "m:1:1: x\n\npanic(true)\n^^^^^^^^^^^\n" },
                { "a\n\t\tb => c,\n", { "m", 2, 8, 2, 9 }, "m:2:8: x\n\n\t\tb => c,\n\t\t     ^\n" },
                { "  one\n  two\n  three", { "m", 1, 3, 3, 8 },
                  "m:1:3: x\n\n  one\n  ^ from here ...\n  three\n      ^ ... to here\n" },
                { "end", { "m", 1, 4, 0, 0 }, "m:1:4: x\n\nend\n   ^\n" },
                { "end", { "m", 2, 1, 0, 0 }, "m:2:1: x\n" },                   /* no such line */
                { "a\x1b[2Jb\n", { "m", 1, 1, 1, 2 }, "m:1:1: x\n\na?[2Jb\n^\n" },
                { "short", { "m", 1, 4000000000, 1, 4000000001 }, "m:1:4000000000: x\n\nshort\n      ^\n" },
                { "short", { "m", 1, 1, 1, UINT32_MAX }, "m:1:1: x\n\nshort\n^^^^^^\n" },
                { "", { "m", 1, 1, 1, 1 }, "m:1:1: x\n\n\n^\n" },
                { "a", { NULL, 0, 0, 0, 0 }, "x\n" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(diag_done) Diag d = {};

                diag_set(&d, cases[i].pos, -EINVAL, "x");
                _cleanup_free_ char *text = diag_render(&d, cases[i].source, strlen(cases[i].source), false);
                CHECK_STR(text, cases[i].want);
        }

        _cleanup_(diag_done) Diag d = {};
        diag_set(&d, (Pos) { "m", 1, 1, 1, 2 }, -EINVAL, "x");
        _cleanup_free_ char *text = diag_render(&d, "a", 1, true);
        CHECK_STR(text, "m:1:1: x\n\na\n\x1b[1;31m^\x1b[0m\n");

        /* Values in messages may come from anywhere; what they would tell a terminal is shown. */
        _cleanup_(diag_done) Diag e = {};
        diag_set(&e, (Pos) {}, -EINVAL, "a\x1b[2J\tb\nc\xc2\x9b");
        (void) diag_note(&e, (Pos) {}, "note: \a");
        _cleanup_free_ char *clean = diag_render(&e, NULL, 0, false);
        CHECK_STR(clean, "a\\x1b[2J\tb\nc\\xc2\\x9b\nnote: \\x07\n");
}

TEST(diags_are_limited) {
        _cleanup_(diags_done) Diags list = {};

        for (unsigned i = 0; i < DIAGS_MAX + 7; i++) {
                Diag d = {};
                diag_set(&d, (Pos) {}, -EINVAL, "number %u", i);
                CHECK_INT(diags_add(&list, &d), 0);
                CHECK(!d.message);
        }
        CHECK_INT(list.n, DIAGS_MAX);
        CHECK_INT(list.dropped, 7);
        CHECK_STR(list.items[99].message, "number 99");
}

/* ---- memory ---- */

TEST(arena_aligns_zeroes_and_limits) {
        _cleanup_(arena_freep) Arena *a = arena_new(0), *small = arena_new(64);

        REQUIRE(a && small);
        for (size_t size = 0; size < 100000; size = size * 2 + 1) {
                char *p = arena_alloc(a, size);
                REQUIRE(p);
                CHECK_INT((uintptr_t) p % 16, 0);
                for (size_t i = 0; i < size; i++)
                        REQUIRE(p[i] == 0);
                memset(p, 0xaa, size);
        }
        CHECK_STR(arena_printf(a, "%s-%d", "x", 42), "x-42");
        CHECK_STR(arena_strndup(a, "hello", 4), "hell");
        CHECK(!arena_alloc(a, SIZE_MAX - 3));

        CHECK(arena_alloc(small, 33) != NULL);
        CHECK_INT(arena_used(small), 48);
        CHECK(!arena_alloc(small, 17));
        CHECK(arena_alloc(small, 16) != NULL);
        CHECK(!arena_alloc(small, 0));
}

TEST(strbuf_grows_and_sticks_to_failure) {
        StrBuf b = {};
        _cleanup_free_ char *long_text = malloc(5001);

        memset(long_text, 'y', 5000);
        long_text[5000] = '\0';
        strbuf_puts(&b, "x");
        strbuf_printf(&b, "%s|%d", long_text, 7);
        strbuf_putc(&b, '!');
        CHECK_INT(b.size, 1 + 5000 + 2 + 1);
        _cleanup_free_ char *text = strbuf_take(&b);
        CHECK(endswith(text, "y|7!"));
        CHECK(!b.data && b.size == 0);

        _cleanup_free_ char *empty = strbuf_take(&b);
        CHECK_STR(empty, "");

        strbuf_puts(&b, "x");
        strbuf_add(&b, "", SIZE_MAX / 2);
        CHECK(b.failed);
        strbuf_puts(&b, "y");
        CHECK(!strbuf_take(&b));
}

TEST(quoting) {
        static const struct {
                const char *data;
                size_t size;
                const char *want;
        } cases[] = {
                { "", 0, "\"\"" },
                { "plain text", 10, "\"plain text\"" },
                { "\a\b\f\n\r\t\v\\\"'", 10, "\"\\a\\b\\f\\n\\r\\t\\v\\\\\\\"'\"" },
                { "\0\x01\x1f\x7f", 4, "\"\\x00\\x01\\x1f\\x7f\"" },
                { "gr\xc3\xbc\xc3\x9f", 6, "\"gr\xc3\xbc\xc3\x9f\"" },
                { "\xff\xc3", 2, "\"\\xff\\xc3\"" },
                { "\xc0\x80\xed\xa0\x80", 5, "\"\\xc0\\x80\\xed\\xa0\\x80\"" },        /* overlong, surrogate */
                { "\xc2\xa0\xc2\xad", 4, "\"\\u00a0\\u00ad\"" },                       /* no-break space, soft hyphen */
                { "\xe2\x80\xa8", 3, "\"\\u2028\"" },
                { "\xf0\x9f\x98\x80", 4, "\"\xf0\x9f\x98\x80\"" },
                { "\xf4\x8f\xbf\xbf", 4, "\"\\U0010ffff\"" },
                { "\xf4\x90\x80\x80", 4, "\"\\xf4\\x90\\x80\\x80\"" },
                { "\xef\xbf\xbd", 3, "\"\xef\xbf\xbd\"" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                StrBuf b = {};
                strbuf_quote(&b, cases[i].data, cases[i].size);
                _cleanup_free_ char *text = strbuf_take(&b);
                CHECK_STR(text, cases[i].want);
        }
}

TEST(utf8_round_trip) {
        for (uint32_t c = 0; c <= 0x110000; c++) {
                char bytes[4];
                uint32_t back = 0;
                size_t n = utf8_encode(c, bytes);
                bool valid = c <= 0x10ffff && !(c >= 0xd800 && c < 0xe000);

                REQUIRE(utf8_decode(bytes, n, &back) == n);
                REQUIRE(back == (valid ? c : 0xfffd));
                if (n > 1)
                        REQUIRE(utf8_decode(bytes, n - 1, &back) == 0);
        }
}

/* ---- maps ---- */

TEST(map_against_an_array) {
        enum { N = 500 };
        _cleanup_(map_freep) Map *m = map_new();
        bool in[N] = {};
        int values[N];
        size_t n_in = 0;

        REQUIRE(m);
        srandom(42);
        for (unsigned step = 0; step < 20000; step++) {
                unsigned i = (unsigned) random() % N;
                char key[32];
                snprintf(key, sizeof(key), "key-%u", i);

                CHECK(map_get(m, key) == (in[i] ? &values[i] : NULL));
                long what = random() % 4;
                if (what == 0) {
                        CHECK_INT(map_put(m, key, &values[i]), !in[i]);
                        n_in += !in[i];
                        in[i] = true;
                } else if (what == 1) {
                        void **place = map_place_n(m, key, strlen(key));
                        REQUIRE(place);
                        CHECK(*place == (in[i] ? &values[i] : NULL));
                        *place = &values[i];
                        n_in += !in[i];
                        in[i] = true;
                } else {
                        CHECK(map_remove(m, key) == (in[i] ? &values[i] : NULL));
                        n_in -= in[i];
                        in[i] = false;
                }
                REQUIRE(map_size(m) == n_in);
        }

        size_t it = 0, seen = 0;
        const char *key;
        void *value;
        while (map_next(m, &it, &key, &value)) {
                unsigned i = (unsigned) ((int *) value - values);
                CHECK(in[i]);
                in[i] = false;
                seen++;
                if (seen % 2)
                        CHECK(map_remove(m, key) == value);
        }
        CHECK_INT(seen, n_in);
        CHECK_INT(map_size(m), n_in / 2);
}

static unsigned freed;
static void count_free(void *value) {
        freed++;
        free(value);
}

TEST(map_many_at_once) {
        enum { N = 300 };
        _cleanup_(map_freep) Map *m = map_new(), *other = map_new(), *none = map_new();
        MapQuery queries[2 * N + 2];
        char keys[N][16];
        int values[N];

        REQUIRE(m && other && none);
        for (unsigned i = 0; i < N; i++) {
                (void) snprintf(keys[i], sizeof(keys[i]), "key-%u", i);
                if (i % 3 != 0)
                        CHECK_INT(map_put(m, keys[i], &values[i]), 1);
                if (i % 5 == 0)
                        CHECK_INT(map_put(other, keys[i], &values[N - 1 - i]), 1);
        }
        for (unsigned i = 0; i < N; i += 7)
                (void) map_remove(m, keys[i]);
        for (unsigned i = 0; i < N; i++) {
                queries[2 * i] = (MapQuery) { .map = m, .key = keys[i], .value = &m };
                queries[2 * i + 1] = (MapQuery) { .map = other, .key = keys[i], .value = &m };
        }
        queries[2 * N] = (MapQuery) { .key = "a", .value = &m };
        queries[2 * N + 1] = (MapQuery) { .map = none, .key = "a", .value = &m };
        map_get_many(queries, 2 * N + 2);
        for (unsigned i = 0; i < N; i++) {
                CHECK(queries[2 * i].value == map_get(m, keys[i]));
                CHECK(queries[2 * i + 1].value == map_get(other, keys[i]));
                CHECK(queries[2 * i].value == (i % 3 != 0 && i % 7 != 0 ? &values[i] : NULL));
        }
        CHECK(!queries[2 * N].value);
        CHECK(!queries[2 * N + 1].value);
}

TEST(map_keys_are_bytes) {
        Map *m = map_new();

        CHECK_INT(map_put_n(m, "a\0b", 3, strdup("1")), 1);
        CHECK_INT(map_put_n(m, "a\0c", 3, strdup("2")), 1);
        CHECK_INT(map_put_n(m, "", 0, strdup("3")), 1);
        CHECK_INT(map_put(m, "a", strdup("4")), 1);
        CHECK_STR(map_get_n(m, "a\0c", 3), "2");
        CHECK_STR(map_get(m, ""), "3");
        CHECK_STR(map_get(m, "a"), "4");
        CHECK(!map_get_n(m, "a\0d", 3));
        CHECK(!map_get(NULL, "a"));
        CHECK(!map_remove(NULL, "a"));
        CHECK_INT(map_size(NULL), 0);
        freed = 0;
        m = map_free_with(m, count_free);
        CHECK_INT(freed, 4);
        CHECK(!m);
}

TEST(hash_depends_on_every_byte) {
        uint8_t data[40] = {};

        for (size_t size = 0; size <= sizeof(data); size++)
                for (size_t i = 0; i < size; i++) {
                        uint64_t before = hash_bytes(data, size);
                        data[i] ^= 1;
                        CHECK(hash_bytes(data, size) != before);
                        data[i] ^= 1;
                        CHECK(hash_bytes(data, size) == before);
                }
}

/* ---- files ---- */

static char *make_temporary(void) {
        char *path = strdup("/tmp/mgmt-test-XXXXXX");
        return mkdtemp(path);
}

TEST(files_are_written_whole) {
        _cleanup_free_ char *dir = make_temporary(), *text = NULL;
        size_t size;
        struct stat st;
        REQUIRE(dir);
        _cleanup_close_ int fd = open(dir, O_RDONLY|O_DIRECTORY|O_CLOEXEC);

        CHECK_INT(write_file_atomic_at(fd, "a", "one\0two", 7, 0640, true), 0);
        REQUIRE(read_file_at(fd, "a", 7, &text, &size) == 0);
        CHECK_INT(size, 7);
        CHECK(memcmp(text, "one\0two", 8) == 0);
        REQUIRE(fstatat(fd, "a", &st, 0) == 0);
        CHECK_INT(st.st_mode & 07777, 0640);

        char *unset = NULL;
        CHECK_INT(read_file_at(fd, "a", 6, &unset, &size), -E2BIG);
        CHECK_INT(read_file_at(fd, "none", 6, &unset, &size), -ENOENT);
        CHECK_INT(read_file_at(fd, ".", 6, &unset, &size), -EISDIR);
        CHECK_INT(read_file_at(AT_FDCWD, "/proc/self/status", 100, &unset, &size), -E2BIG);
        CHECK(!unset);
        CHECK_INT(read_file_at(AT_FDCWD, "/proc/self/status", 100000, &unset, &size), 0);
        CHECK(size > 100);
        free(unset);

        /* A failure leaves neither a change nor a temporary file. */
        REQUIRE(mkdirat(fd, "d", 0700) == 0);
        CHECK_INT(write_file_atomic_at(fd, "d", "x", 1, 0600, false), -EISDIR);
        CHECK_INT(write_file_atomic_at(fd, "none/a", "x", 1, 0600, false), -ENOENT);
        REQUIRE(unlinkat(fd, "a", 0) == 0);
        REQUIRE(unlinkat(fd, "d", AT_REMOVEDIR) == 0);
        CHECK(rmdir(dir) == 0);         /* was empty */
}

TEST(trees_are_made_and_removed) {
        _cleanup_free_ char *dir = make_temporary(), *deep = NULL, *link = NULL, *outside = make_temporary(), *kept = NULL;
        REQUIRE(dir && outside);

        REQUIRE(asprintf(&deep, "%s/a//b/c/", dir) >= 0);
        REQUIRE(asprintf(&link, "%s/a/link", dir) >= 0);
        REQUIRE(asprintf(&kept, "%s/kept", outside) >= 0);
        CHECK_INT(make_directories(deep, 0755), 0);
        CHECK_INT(make_directories(deep, 0755), 0);
        CHECK(access(deep, F_OK) == 0);
        CHECK_INT(write_file_atomic_at(AT_FDCWD, kept, "x", 1, 0600, false), 0);
        CHECK_INT(make_directories(kept, 0755), -ENOTDIR);
        CHECK(symlink(outside, link) == 0);
        CHECK_INT(remove_tree(dir), 0);
        CHECK(access(dir, F_OK) < 0);
        CHECK(access(kept, F_OK) == 0); /* links are not followed */
        CHECK_INT(remove_tree(dir), 0);
        CHECK_INT(remove_tree(outside), 0);
}

TEST(suggestions_are_near) {
        static const struct { const char *wanted, *best; } cases[] = {
                { "splti", "split" }, { "spit", "split" }, { "split", NULL }, { "xyz", NULL }, { "len", "lon" }, { "", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Suggestion s = suggestion_for(cases[i].wanted);
                suggestion_add(&s, "split");
                suggestion_add(&s, "lun");
                suggestion_add(&s, "lon");
                suggestion_add(&s, "spline");
                CHECK_STR(s.best, cases[i].best);
        }
}

TEST(paths_follow_the_environment) {
        setenv("MGMT_RUNTIME_DIR", "/tmp/here", 1);
        setenv("STATE_DIRECTORY", "/tmp/state:/tmp/other", 1);
        _cleanup_free_ char *socket = path_socket("engine"), *state = path_state_dir("engine");
        CHECK_STR(socket, "/tmp/here/engine.sock");
        CHECK_STR(state, "/tmp/state");

        unsetenv("MGMT_RUNTIME_DIR");
        unsetenv("STATE_DIRECTORY");
        _cleanup_free_ char *socket2 = path_socket("engine"), *state2 = path_state_dir("engine");
        CHECK_STR(socket2, "/run/mgmt/engine.sock");
        CHECK_STR(state2, "/var/lib/mgmt/engine");

        _cleanup_free_ char *none = path_data("there-is-no-such-file"), *self = path_data("test-base");
        CHECK_STR(none, MGMT_DATA_DIR "/there-is-no-such-file");
        CHECK(self && endswith(self, "/test-base") && access(self, X_OK) == 0);
}

TEST_MAIN()
