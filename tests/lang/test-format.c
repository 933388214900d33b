/* SPDX-License-Identifier: GPL-3.0-or-later */

/* format/ has pairs: what NAME.in is formatted to is NAME.out, and that is formatted to itself; NAME.bad does not parse. Beyond
 * them, every program of the tree (and of $MGMT_CONFORMANCE, if it is at hand) is given another layout at random: formatting must
 * undo it, and no tree may change. */

#include <dirent.h>
#include <fcntl.h>
#include <fts.h>

#include "common/io.h"
#include "common/strbuf.h"
#include "lang/ast.h"
#include "lang/format.h"
#include "lang/grammar.h"
#include "lang/lexer.h"
#include "tests/beside.h"
#include "tests/common/alloc.h"
#include "tests/test.h"

enum { FILE_MAX = 1024 * 1024 };

static char *format(const char *name, const char *text, size_t size) {
        _cleanup_(diag_done) Diag d = {};
        char *formatted = NULL;
        size_t n;

        if (format_text(name, text, size, &formatted, &n, &d) < 0) {
                _cleanup_free_ char *problem = diag_text(&d);
                TEST_FAIL("%s", problem);
        }
        return formatted;
}

static void check_case(const char *directory, const char *name) {
        _cleanup_free_ char *in = NULL, *out = NULL, *wanted = NULL, *text = NULL;
        size_t size = 0;

        REQUIRE(asprintf(&in, "%s/%s", directory, name) >= 0);
        REQUIRE(read_file_at(AT_FDCWD, in, FILE_MAX, &text, &size) >= 0);
        if (endswith(name, ".bad")) {
                _cleanup_(diag_done) Diag d = {};
                _cleanup_free_ char *none = NULL;
                CHECK_INT(format_text(name, text, size, &none, &size, &d), -EBADMSG);
                CHECK(d.message && d.pos.line > 0 && !none);
                return;
        }
        REQUIRE(asprintf(&out, "%.*s.out", (int) strlen(in) - 3, in) >= 0);
        if (read_file_at(AT_FDCWD, out, FILE_MAX, &wanted, NULL) < 0) {
                TEST_FAIL("%s has no .out", name);
                return;
        }
        _cleanup_free_ char *got = format(name, text, size);
        CHECK_STR(got, wanted);
        _cleanup_free_ char *again = format(out, wanted, strlen(wanted));
        CHECK_STR(again, wanted);
}

TEST(pairs) {
        _cleanup_free_ char *directory = BESIDE("format");
        struct dirent **list = NULL;
        int n, n_cases = 0;

        REQUIRE(directory);
        n = scandir(directory, &list, NULL, alphasort);
        for (int i = 0; i < n; i++) {
                if (endswith(list[i]->d_name, ".in") || endswith(list[i]->d_name, ".bad")) {
                        check_case(directory, list[i]->d_name);
                        n_cases++;
                }
                free(list[i]);
        }
        free(list);
        CHECK(n_cases > 5);
}

/* What a file cannot hold as it is. */
TEST(bytes) {
        static const struct { const char *in; size_t size; const char *out; size_t out_size; } cases[] = {
                { "", 0, "", 0 },
                { "\n\n\t\n", 4, "", 0 },
                { "$x = 1", 6, "$x = 1\n", 7 },
                { "# a\0b", 5, "# a\0b\n", 6 },
                { "$x=\"a\0b\"", 8, "$x = \"a\0b\"\n", 11 },
                { "import  \"a\0b\"", 13, "import \"a\0b\"\n", 13 },
                { "# a\r\n", 5, "# a\r\n", 5 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(diag_done) Diag d = {};
                _cleanup_free_ char *got = NULL;
                size_t size = 0;

                CHECK_INT(format_text("x", cases[i].in, cases[i].size, &got, &size, &d), 0);
                CHECK_INT(size, cases[i].out_size);
                CHECK(size == cases[i].out_size && memcmp(got, cases[i].out, size) == 0);
        }
}

static void check_nested(const char *open, const char *inner, const char *close, unsigned depth, int want) {
        _cleanup_(strbuf_done) StrBuf b = {};
        _cleanup_(diag_done) Diag d = {};
        _cleanup_free_ char *got = NULL;
        size_t size;

        strbuf_puts(&b, "$x = ");
        for (unsigned i = 0; i < depth; i++)
                strbuf_puts(&b, open);
        strbuf_puts(&b, inner);
        for (unsigned i = 0; i < depth; i++)
                strbuf_puts(&b, close);
        CHECK_INT(format_text("x", b.data, b.size, &got, &size, &d), want);
}

TEST(nesting_has_a_limit) {
        check_nested("[\n", "1", ",\n]", 1000, 0);
        check_nested("[\n", "1", ",\n]", 100000, -EBADMSG);
        check_nested("(", "1", ")", 100000, -EBADMSG);
        check_nested("if true { ", "1", " } else { 1 }", 100000, -EBADMSG);
}

/* Whichever allocation fails: it says so, or is done all the same. */
TEST(memory_that_runs_out) {
        static const char text[] = "# a\n$x=[\n1,\n[2,3], # b\n]\nfile \"x\" {\n\tcontent=>if $x==1{f(1.5)}else{\"b\"},\n}\n"
                                   "func g($a func(str) int, $b) map{str: int} { {\"a\" => $a($b)} }\n";

        for (uint64_t n = 1;; n++) {
                _cleanup_(diag_done) Diag d = {};
                char *got = NULL;
                size_t before = alloc_bytes(), size = 0;

                alloc_fail_at(n);
                int r = format_text("x", text, strlen(text), &got, &size, &d);
                bool failed = alloc_failed();
                CHECK((r < 0) == !got);
                if (r < 0)
                        CHECK_INT(r, -ENOMEM);
                free(got);
                diag_done(&d);
                CHECK_INT(alloc_bytes(), before);
                if (!failed) {
                        CHECK_INT(r, 0);
                        CHECK(n > 10);
                        return;
                }
        }
}

/* ---- programs of others ---- */

static uint64_t seed;

static unsigned dice(unsigned sides) {
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        return (unsigned) (seed >> 33) % sides;
}

/* Blanks between tokens and empty lines where there are lines: what never means anything. */
static char *mangle(const char *text, size_t size) {
        _cleanup_(arena_freep) Arena *arena = arena_new(0);
        Lexer l = { .arena = arena, .file = "x", .text = text, .size = size, .line = 1, .column = 1 };
        StrBuf b = {};
        Token t;

        if (!arena)
                return NULL;
        for (size_t from = 0; lexer_next(&l, &t) >= 0 && t.kind != 0 && t.kind != ERROR; from = l.at) {
                for (unsigned i = dice(3); i > 0; i--)
                        strbuf_putc(&b, dice(2) ? ' ' : '\t');
                strbuf_add(&b, text + from, l.at - from);
                if (t.kind != NEWLINE)
                        continue;
                if (l.at == from)
                        strbuf_putc(&b, '\n');
                for (unsigned i = dice(4) ? 0 : dice(4); i > 0; i--)
                        strbuf_puts(&b, dice(2) ? "\n" : "  \n");
        }
        return strbuf_take(&b);
}

static char *without_empty_lines(const char *text) {
        StrBuf b = {};

        for (const char *c = text; *c; c++)
                if (*c != '\n' || (b.size > 0 && b.data[b.size - 1] != '\n'))
                        strbuf_putc(&b, *c);
        return strbuf_take(&b);
}

static bool same_meaning(const char *a, const char *b) {
        _cleanup_(arena_freep) Arena *arena = arena_new(0);
        Ast x, y;

        return arena && ast_parse(arena, "a", a, strlen(a), &x, NULL) >= 0 && ast_parse(arena, "b", b, strlen(b), &y, NULL) >= 0 &&
               x.comments.n == y.comments.n && block_equal(x.block, y.block);
}

static unsigned n_programs;

static void check_program(const char *name, const char *text, size_t size, bool is_formatted) {
        n_programs++;
        _cleanup_free_ char *formatted = format(name, text, size);
        REQUIRE(formatted);
        if (is_formatted)
                CHECK_STR(formatted, text);
        CHECK(same_meaning(text, formatted));
        for (int i = 0; i < 3; i++) {
                _cleanup_free_ char *mangled = mangle(text, size);
                REQUIRE(mangled);
                _cleanup_free_ char *back = format(name, mangled, strlen(mangled));
                if (!back || !same_meaning(text, back)) {
                        TEST_FAIL("%s: formatting changed the meaning of\n%s", name, mangled);
                        return;
                }
                _cleanup_free_ char *want = without_empty_lines(formatted), *got = without_empty_lines(back);
                CHECK_STR(got, want);
        }
}

static int compare_names(const FTSENT **a, const FTSENT **b) {
        return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* Calls for each file below that ends so; how many there were. */
static int each_file(const char *root, const char *suffix, void (*file)(const char *path, const char *text, size_t size)) {
        char *const roots[] = { (char *) root, NULL };
        FTS *walk = fts_open(roots, FTS_PHYSICAL|FTS_NOCHDIR, compare_names);
        int n = 0;

        for (FTSENT *e; walk && (e = fts_read(walk));) {
                _cleanup_free_ char *text = NULL;
                size_t size = 0;

                if (e->fts_info != FTS_F || !endswith(e->fts_name, suffix) ||
                    read_file_at(AT_FDCWD, e->fts_path, FILE_MAX, &text, &size) < 0)
                        continue;
                file(e->fts_path, text, size);
                n++;
        }
        if (walk)
                (void) fts_close(walk);
        return n;
}

static void check_if_it_parses(const char *path, const char *text, size_t size) {
        _cleanup_(arena_freep) Arena *arena = arena_new(0);
        Ast ast;

        seed = 1;
        if (arena && ast_parse(arena, path, text, size, &ast, NULL) >= 0)
                check_program(path, text, size, false);
}

static void check_example(const char *path, const char *text, size_t size) {
        seed = 2;
        check_program(path, text, size, true);
}

TEST(programs_of_the_tree) {
        _cleanup_free_ char *programs = BESIDE("programs"), *examples = BESIDE("../../examples");

        REQUIRE(programs && examples);
        CHECK(each_file(programs, ".mcl", check_if_it_parses) > 2);
        CHECK(each_file(examples, ".mcl", check_example) > 0);
}

/* One archive: members between lines "-- NAME --". */
static void check_archive(const char *path, const char *text, size_t size) {
        static const char nofmt[] = "\"nofmt\": true";

        seed = 3;
        if (strstr(text, nofmt))
                return;
        for (const char *line = text; line && *line;) {
                const char *end = strchrnul(line, '\n');
                const char *body = *end ? end + 1 : end, *next = strstr(body, "\n-- ");
                size_t n = next ? (size_t) (next + 1 - body) : strlen(body);

                if (startswith(body, "-- ")) {
                        next = body - 1;
                        n = 0;
                }
                if (startswith(line, "-- ") && end - line > 10 && strncmp(end - strlen(".mcl --"), ".mcl --", strlen(".mcl --")) == 0) {
                        _cleanup_free_ char *name = NULL, *program = strndup(body, n);

                        if (program && asprintf(&name, "%s:%.*s", path, (int) (end - line), line) >= 0)
                                check_program(name, program, strlen(program), true);
                }
                line = next ? next + 1 : NULL;
        }
}

TEST(archives) {
        const char *given = getenv("MGMT_CONFORMANCE");
        _cleanup_free_ char *root = given ? strdup(given) : BESIDE("../../../shared/conformance");

        if (!root || access(root, R_OK) < 0)
                TEST_SKIP("no archives at hand, MGMT_CONFORMANCE may name them");
        n_programs = 0;
        CHECK(each_file(root, ".txtar", check_archive) > 0);
        CHECK(n_programs > 0);
        printf("# %u programs\n", n_programs);
}

TEST_MAIN()
