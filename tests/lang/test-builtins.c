/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Functions of the library, called by name: each row has the arguments and what comes of them, in the printed form of values. An
 * error is "!" and its text if it can be caught, "!!" and its text if it cannot. */

#include "common/strbuf.h"
#include "lang/builtins.h"
#include "lang/lang.h"
#include "tests/test.h"

enum { ARGS_MAX = 4 };

typedef struct Case {
        const char *name;
        const char *args[ARGS_MAX];
        const char *want;
        const char *type;       /* of the result, where the signature leaves it open */
} Case;

static int read_file(void *userdata, const char *path, char **ret, size_t *ret_size) {
        if (streq(path, "/mod/"))
                return -EISDIR;
        if (!streq(path, "/mod/files/a"))
                return -ENOENT;
        *ret = strdup("content\n");
        *ret_size = strlen("content\n");
        return *ret ? 0 : -ENOMEM;
}

static char *call_case(const Case *c) {
        static const LangHost host = { .read_file = read_file };
        const Builtin *b = builtin_find(c->name);
        _cleanup_(diag_done) Diag error = {};
        Value args[ARGS_MAX] = {}, result = VALUE_NIL;
        _cleanup_(arena_freep) Arena *arena = arena_new(0);
        const Type *type = NULL, *result_type = NULL;
        char *text = NULL;
        size_t n = 0;
        int r = 0;

        if (!b || !b->eval)
                return strdup("no such function");
        if (!b->infer)
                type = builtin_type(b);
        else if (type_parse(arena, c->type, &result_type, NULL) >= 0)
                type = type_func(arena, NULL, 0, result_type);
        for (; r >= 0 && n < ARGS_MAX && c->args[n]; n++)
                r = value_parse(c->args[n], b->infer || n >= type->n_fields ? NULL : type->fields[n].type, &args[n], &error);
        if (r >= 0 && type)
                r = b->eval(&(BuiltinCall) { .builtin = b, .type = type, .base = "/mod/", .host = &host }, args, n, &result, &error);
        if (r == 0)
                text = value_text(result);
        else if (asprintf(&text, "%s%s", r == BUILTIN_CATCHABLE ? "!" : "!!", error.message ?: strerror(-r)) < 0)
                text = NULL;
        for (size_t i = 0; i < n; i++)
                value_done(&args[i]);
        value_done(&result);
        return text;
}

static void check_cases(const Case *cases, size_t n) {
        for (size_t i = 0; i < n; i++) {
                _cleanup_free_ char *got = call_case(&cases[i]);
                if (!got || !streq(got, cases[i].want))
                        TEST_FAIL("%s(%s, %s, %s) is\n#   %s\n# not\n#   %s", cases[i].name, cases[i].args[0] ?: "",
                                  cases[i].args[1] ?: "", cases[i].args[2] ?: "", got ?: "(null)", cases[i].want);
        }
}

#define CHECK_CASES(...) \
        do { \
                static const Case cases[] = { __VA_ARGS__ }; \
                check_cases(cases, ELEMENTSOF(cases)); \
        } while (0)

TEST(deploy_looks_below_its_module) {
        CHECK_CASES({ "deploy.abspath", { "\"\"" }, "\"/mod/\"" },
                    { "deploy.abspath", { "\"/files/a\"" }, "\"/mod/files/a\"" },
                    { "deploy.abspath", { "\"files/a\"" }, "!!path was not absolute, got: `files/a`" },
                    { "deploy.readfile", { "\"/files/a\"" }, "\"content\\n\"" },
                    { "deploy.readfile", { "\"/a\"" }, "!!can't read file `/a` (/mod/a): No such file or directory" },
                    { "deploy.readfile", { "\"a\"" }, "!!filename was not absolute, got: `a`" },
                    { "deploy.readfileabs", { "\"/mod/files/a\"" }, "\"content\\n\"" },
                    { "deploy.readfileabs", { "\"/files/a\"" }, "!!can't read file `/files/a`: No such file or directory" },
                    { "deploy.file_exists", { "\"/files/a\"" }, "true" },
                    { "deploy.file_exists", { "\"/files/b\"" }, "false" },
                    { "deploy.file_exists", { "\"/\"" }, "true" },
                    { "deploy.bootstrap_packages", { "\"plan9\"" }, "!!missing distro" });
}

#define JSON(text, type_, want_) { "encoding.decode_json", { text }, want_, type_ }
#define FLEXIBLE(text, type_, want_) { "encoding.decode_json_flexible", { text }, want_, type_ }

TEST(json_of_a_type) {
        CHECK_CASES(JSON("\"true\"", "bool", "true"),
                    JSON("\" 42 \"", "int", "42"),
                    JSON("\"-9223372036854775808\"", "int", "-9223372036854775808"),
                    JSON("\"9223372036854775808\"", "int", "!!num doesn't contain int64"),
                    JSON("\"1.0\"", "int", "!!num doesn't contain int64"),
                    JSON("\"1e3\"", "int", "!!num doesn't contain int64"),
                    JSON("\"1e3\"", "float", "1000"),
                    JSON("\"1e400\"", "float", "!!num doesn't contain float64"),
                    JSON("\"1\"", "str", "!!type doesn't match str"),
                    JSON("\"null\"", "str", "!!type doesn't match str"),
                    JSON("\"[1, 2]\"", "[]int", "[1, 2]"),
                    JSON("\"[1, \\\"x\\\"]\"", "[]int", "!!type doesn't match int"),
                    JSON("\"{\\\"a\\\": 1, \\\"a\\\": 2}\"", "map{str: int}", "{\"a\": 2}"),
                    JSON("\"{\\\"1\\\": 1}\"", "map{int: int}", "!!type doesn't match int"),
                    JSON("\"{\\\"a\\\": 1, \\\"b\\\": true}\"", "struct{b bool; a int}", "struct{b: true; a: 1}"),
                    JSON("\"{\\\"a\\\": 1}\"", "struct{b bool; a int}", "!!incompatible number of fields"),
                    JSON("\"{\\\"a\\\": 1}\"", "struct{b bool}", "!!field b was not found in struct"),
                    JSON("\"{} x\"", "struct{}", "struct{}"),
                    JSON("\"\"", "int", "!!invalid JSON: EOF"),
                    JSON("\" \"", "int", "!!invalid JSON: EOF"),
                    JSON("\"[1\"", "[]int", "!!invalid JSON: unexpected EOF"),
                    FLEXIBLE("\"{\\\"z\\\": {}, \\\"a\\\": 1}\"", "struct{a int; s struct{l []str; f float}}",
                             "struct{a: 1; s: struct{l: []; f: 0}}"),
                    FLEXIBLE("\"{\\\"a\\\": true}\"", "struct{a int}", "!!type doesn't match int"));
}

TEST(json_that_is_too_deep) {
        enum { DEPTH = 100000 };
        _cleanup_free_ char *deep = malloc(DEPTH + 1);
        _cleanup_(arena_freep) Arena *arena = arena_new(0);
        _cleanup_(value_done) Value text = {}, result = {};
        _cleanup_(diag_done) Diag error = {};
        const Builtin *b = builtin_find("encoding.decode_json_flexible");

        REQUIRE(deep && arena);
        memset(deep, '[', DEPTH);
        REQUIRE(value_str(&text, deep, DEPTH) >= 0);
        BuiltinCall call = { .builtin = b, .type = type_func(arena, NULL, 0, &type_int) };
        CHECK(b->eval(&call, &text, 1, &result, &error) < 0);
}

TEST_MAIN()
