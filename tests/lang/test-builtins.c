/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Functions of the library, called by name: each row has the arguments and what comes of them, in the printed form of values. An
 * error is "!" and its text if it can be caught, "!!" and its text if it cannot. */

#include <math.h>
#include <time.h>

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

static int copy_directory(void *userdata, const char *directory, char **ret, Diag *reterr) {
        if (streq(directory, "/mod/none/"))
                return -ENOENT;
        return asprintf(ret, "/copies%s", directory) < 0 ? -ENOMEM : 0;
}

static char *call_case(const Case *c) {
        static const LangHost host = { .read_file = read_file, .copy_directory = copy_directory };
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
                    { "deploy.directory", { "\"/files/\"" }, "\"/copies/mod/files/\"" },
                    { "deploy.directory", { "\"/\"" }, "\"/copies/mod/\"" },
                    { "deploy.directory", { "\"/none/\"" }, "!!can't copy directory `/none/` (/mod/none/): No such file or directory" },
                    { "deploy.directory", { "\"files/\"" }, "!!directory was not absolute, got: `files/`" },
                    { "deploy.directory", { "\"\"" }, "!!directory was not absolute, got: ``" },
                    { "deploy.directory", { "\"/files\"" }, "!!directory path must be a dir" },
                    { "deploy.directory", { "\"/../../files/\"" }, "!!directory has no plain path, got: `/../../files/`" },
                    { "deploy.directory", { "\"/./\"" }, "!!directory has no plain path, got: `/./`" },
                    { "deploy.directory", { "\"//\"" }, "!!directory has no plain path, got: `//`" },
                    { "deploy.bootstrap_packages", { "\"plan9\"" }, "!!missing distro" });
}

#define JSON(text, type_, want_) { "encoding.decode_json", { text }, want_, type_ }
#define FLEXIBLE(text, type_, want_) { "encoding.decode_json_flexible", { text }, want_, type_ }

TEST(json_of_a_type) {
        CHECK_CASES(JSON("\"true\"", "bool", "true"),
                    JSON("\" 42 \"", "int", "42"),
                    JSON("\"-9223372036854775808\"", "int", "-9223372036854775808"),
                    JSON("\"9223372036854775807\"", "int", "9223372036854775807"),
                    JSON("\"9223372036854775808\"", "int", "!!num doesn't contain int64"),
                    JSON("\"-9223372036854775809\"", "int", "!!num doesn't contain int64"),
                    JSON("\"123456789012345678901234567890\"", "float", "123456789012345680000000000000"),
                    JSON("\"-123456789012345678901234567890\"", "float", "-123456789012345680000000000000"),
                    JSON("\"-0\"", "float", "-0"),
                    JSON("\"NaN\"", "float", "!!invalid JSON: line 1, column 1: expected a value"),
                    JSON("\"[\\n1.]\"", "[]float", "!!invalid JSON: line 2, column 3: expected a digit after the point"),
                    JSON("\"01\"", "int", "0"),
                    JSON("\"0x10\"", "float", "0"),
                    JSON("\"[1] ]\"", "[]int", "[1]"),
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
                    JSON("\"\\\"\\\\ud83d\\\\ude00\\\\ud83d\\\\u0041\\\\ude00\\\"\"", "str", "\"\U0001f600\ufffdA\ufffd\""),
                    JSON("\"\\\"a\\tb\\\"\"", "str", "!!invalid JSON: line 1, column 3: control character in a string"),
                    JSON("\"{\\\"a\\\\u0000b\\\": 1, \\\"a\\\": 2}\"", "map{str: int}", "{\"a\": 2, \"a\\x00b\": 1}"),
                    JSON("\"{\\\"a\\\\u0000b\\\": 1}\"", "struct{a int}", "!!field a was not found in struct"),
                    JSON("\"\"", "int", "!!invalid JSON: EOF"),
                    JSON("\" \"", "int", "!!invalid JSON: EOF"),
                    JSON("\"[1\"", "[]int", "!!invalid JSON: unexpected EOF"),
                    JSON("\"\\\"a\"", "str", "!!invalid JSON: unexpected EOF"),
                    JSON("\"-\"", "int", "!!invalid JSON: unexpected EOF"),
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
        CHECK_STR(error.message, "invalid JSON: line 1, column 1002: too many levels");
}

TEST(addresses_and_prefixes) {
        CHECK_CASES({ "net.cidr_to_ip", { "\" 192.0.2.12/24\\n\"" }, "\"192.0.2.12\"" },
                    { "net.cidr_to_prefix", { "\"192.0.2.12/024\"" }, "\"24\"" },
                    { "net.cidr_to_mask", { "\"192.0.2.12/24\"" }, "\"255.255.255.0\"" },
                    { "net.cidr_to_mask", { "\"::/32\"" }, "\"ffff:ffff::\"" },
                    { "net.cidr_to_network", { "\"192.0.2.12/25\"" }, "\"192.0.2.0/25\"" },
                    { "net.cidr_to_network", { "\"2001:DB8:0:0:1::1/48\"" }, "\"2001:db8::/48\"" },
                    { "net.cidr_to_ip", { "\"::ffff:1.2.3.4/120\"" }, "\"1.2.3.4\"" },
                    { "net.cidr_to_mask", { "\"::ffff:1.2.3.4/120\"" }, "\"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff00\"" },
                    { "net.cidr_to_network", { "\"::ffff:1.2.3.4/120\"" }, "\"1.2.3.0/120\"" },
                    { "net.cidr_to_ip", { "\"1:0:0:2:0:0:0:3/1\"" }, "\"1:0:0:2::3\"" },
                    { "net.cidr_to_ip", { "\"1:2:3:4:5:6:7::/1\"" }, "\"1:2:3:4:5:6:7:0\"" },
                    { "net.cidr_to_ip", { "\"1:2:3:4:5:6:7::8/1\"" }, "!invalid CIDR address: 1:2:3:4:5:6:7::8/1" },
                    { "net.cidr_to_ip", { "\"1.2.3.4/33\"" }, "!invalid CIDR address: 1.2.3.4/33" },
                    { "net.cidr_to_ip", { "\"1.2.3.4/+1\"" }, "!invalid CIDR address: 1.2.3.4/+1" },
                    { "net.cidr_to_ip", { "\"1.2.3.4/\"" }, "!invalid CIDR address: 1.2.3.4/" },
                    { "net.cidr_to_ip", { "\"1.2.3.4/99999999999999999999\"" }, "!invalid CIDR address: 1.2.3.4/99999999999999999999" },
                    { "net.cidr_to_ip", { "\"01.2.3.4/1\"" }, "!invalid CIDR address: 01.2.3.4/1" },
                    { "net.cidr_to_ip", { "\"fe80::1%eth0/64\"" }, "!invalid CIDR address: fe80::1%eth0/64" },
                    { "net.cidr_to_first", { "\"192.168.1.0/24\"" }, "\"192.168.1.1\"" },
                    { "net.cidr_to_first", { "\"192.168.1.7/24\"" }, "\"192.168.1.8\"" },
                    { "net.cidr_to_first", { "\"192.168.1.255/24\"" }, "!no usable next address" },
                    { "net.cidr_to_first", { "\"255.255.255.255/0\"" }, "!no usable next address" },
                    { "net.cidr_to_first", { "\"1.2.3.4/32\"" }, "!no usable next address" },
                    { "net.cidr_to_last", { "\"192.168.1.0/24\"" }, "\"192.168.1.255\"" },
                    { "net.cidr_to_last", { "\"2001:db8::/127\"" }, "\"2001:db8::1\"" },
                    { "net.cidr_to_last", { "\"1.2.3.4\"" }, "!netip.ParsePrefix(\"1.2.3.4\"): no '/'" },
                    { "net.cidr_to_last", { "\"1.2.3/8\"" },
                      "!netip.ParsePrefix(\"1.2.3/8\"): ParseAddr(\"1.2.3\"): IPv4 address too short" },
                    { "net.cidr_to_last", { "\"12345::/8\"" },
                      "!netip.ParsePrefix(\"12345::/8\"): ParseAddr(\"12345::\"): each group must have 4 or less digits (at \"12345::\")" },
                    { "net.cidr_to_last", { "\"::%a/8\"" }, "!netip.ParsePrefix(\"::%a/8\"): IPv6 zones cannot be present in a prefix" },
                    { "net.cidr_to_last", { "\"1.2.3.4/08\"" }, "!netip.ParsePrefix(\"1.2.3.4/08\"): bad bits after slash: \"08\"" },
                    { "net.cidr_to_last", { "\"1.2.3.4\\n/8\"" },
                      "!netip.ParsePrefix(\"1.2.3.4\\n/8\"): ParseAddr(\"1.2.3.4\\n\"): unexpected character (at \"\\n\")" },
                    { "net.cidr_to_last", { "\"1.2.3.4/8\\\"\"" }, "!netip.ParsePrefix(\"1.2.3.4/8\\\"\"): bad bits after slash: \"8\\\"\"" },
                    { "net.url_parser", { "\"http://h/\\n\"" },
                      "!error parsing the URL: parse \"http://h/\\n\": net/url: invalid control character in URL" },
                    { "net.cidr_to_last", { "\"1.2.3.4/33\"" }, "!netip.ParsePrefix(\"1.2.3.4/33\"): prefix length out of range" },
                    { "net.ip_in_cidr", { "\"10.1.2.3\"", "\"10.0.0.0/8\"" }, "true" },
                    { "net.ip_in_cidr", { "\"::ffff:10.1.2.3\"", "\"10.0.0.0/8\"" }, "true" },
                    { "net.ip_in_cidr", { "\"11.1.2.3\"", "\"10.0.0.0/8\"" }, "false" },
                    { "net.ip_in_cidr", { "\"::1\"", "\"0.0.0.0/0\"" }, "false" },
                    { "net.ip_in_cidr", { "\"x\"", "\"10.0.0.0/8\"" }, "!invalid IP: x" },
                    { "net.ip_in_cidr", { "\"::1\"", "\"x\"" }, "!invalid CIDR address: x" });
}

TEST(times_as_an_example_shows) {
        setenv("TZ", "NZT-13:45:30", 1);
        tzset();
        CHECK_CASES({ "datetime.format", { "1443158163", "\"2006 06|January Jan|01 1|Monday Mon|02 2 _2|002 __2|15 03 3|04 4|05 5\"" },
                      "\"2015 15|September Sep|09 9|Friday Fri|25 25 25|268 268|19 07 7|01 1|33 33\"" },
                    { "datetime.format", { "0", "\"-0700 -07:00 -07 -070000 -07:00:00 Z0700 MST PM pm\"" },
                      "\"+1345 +13:45 +13 +134530 +13:45:30 +1345 NZT PM pm\"" },
                    { "datetime.format", { "0", "\"05.000 05.999 05,00 05.0005 Month Janus _2006\"" },
                      "\"30.000 30 30,00 30.0030 Month Janus _1970\"" },
                    { "datetime.hour", { "0" }, "13" },
                    { "datetime.weekday", { "0" }, "\"thursday\"" },
                    { "datetime.weekday", { "-1" }, "!!epoch delta must be positive" });
        setenv("TZ", "UTC0", 1);
        tzset();
        CHECK_CASES({ "datetime.print", { "1443158163" }, "\"2015-09-25 05:16:03 +0000 UTC\"" },
                    { "datetime.format", { "0", "\"Z0700 Z07:00:00 3PM _2 __2\"" }, "\"Z Z 12AM  1   1\"" },
                    { "datetime.print", { "-5" }, "!!epoch delta must be positive" },
                    { "datetime.print", { "9223372036854775807" }, "!!9223372036854775807 seconds are too far away" });
}

TEST(cases_of_letters) {
        CHECK_CASES({ "strings.to_upper", { "\"abc äßŉ ǆ ａ\"" }, "\"ABC Äßŉ Ǆ Ａ\"" },
                    { "strings.to_lower", { "\"ABC ÄẞİΣ 𐐀\"" }, "\"abc äßiσ 𐐨\"" },
                    { "golang/strings.to_upper", { "\"x\\xffy\"" }, "\"X\uFFFDY\"" },
                    { "golang/strings.to_title", { "\"ǆa\"" }, "\"ǅA\"" },
                    { "golang/strings.title", { "\"it's a-b_c é\u2003é\"" }, "\"It'S A-B_c É\\u2003É\"" },
                    { "golang/strings.equal_fold", { "\"Straẞe K\"", "\"sTRAßE \u212a\"" }, "true" },
                    { "golang/strings.equal_fold", { "\"i\"", "\"ı\"" }, "false" },
                    { "golang/strings.equal_fold", { "\"a\"", "\"ab\"" }, "false" },
                    { "golang/strings.to_valid_utf_8", { "\"a\\xff\\xfeb\\xc3\"", "\"?\"" }, "\"a?b?\"" },
                    { "golang/html.escape_string", { "\"<a href='x'>\\\"&amp;\"" }, "\"&lt;a href=&#39;x&#39;&gt;&#34;&amp;amp;\"" });
}

#define CLEAN(path, want_) { "golang/path.clean", { "\"" path "\"" }, "\"" want_ "\"" }
#define MATCH(pattern, name_, want_) { "golang/path.match", { "\"" pattern "\"", "\"" name_ "\"" }, want_ }
#define REL(base_, target, want_) { "golang/path/filepath.rel", { "\"" base_ "\"", "\"" target "\"" }, want_ }

TEST(paths) {
        CHECK_CASES(CLEAN("", "."), CLEAN("/", "/"), CLEAN("//", "/"), CLEAN("a//b/./c/", "a/b/c"), CLEAN("a/../b", "b"),
                    CLEAN("a/..", "."), CLEAN("../../a", "../../a"), CLEAN("../a/../../b", "../../b"), CLEAN("/../a", "/a"),
                    CLEAN("/a/../..", "/"), CLEAN("a/b/../../..", ".."), CLEAN("...", "..."),
                    { "golang/path.join", { "[\"\", \"a\", \"\", \"../b\"]" }, "\"b\"" },
                    { "golang/path.join", { "[\"\", \"\"]" }, "\"\"" },
                    { "golang/path.base", { "\"/a/b//\"" }, "\"b\"" },
                    { "golang/path.base", { "\"\"" }, "\".\"" },
                    { "golang/path.base", { "\"//\"" }, "\"/\"" },
                    { "golang/path.dir", { "\"/a/b/\"" }, "\"/a/b\"" },
                    { "golang/path.dir", { "\"a\"" }, "\".\"" },
                    { "golang/path.dir", { "\"/a\"" }, "\"/\"" },
                    { "golang/path.ext", { "\"a.b/c.tar.gz\"" }, "\".gz\"" },
                    { "golang/path.ext", { "\"a.b/c\"" }, "\"\"" },
                    { "golang/path/filepath.is_local", { "\"a/../b\"" }, "true" },
                    { "golang/path/filepath.is_local", { "\"a/../../b\"" }, "false" },
                    { "golang/path/filepath.is_local", { "\"\"" }, "false" },
                    { "golang/path/filepath.is_local", { "\"/a\"" }, "false" },
                    { "golang/path/filepath.localize", { "\"a/b\"" }, "\"a/b\"" },
                    { "golang/path/filepath.localize", { "\"a//b\"" }, "!!invalid path" },
                    { "golang/path/filepath.localize", { "\"\"" }, "!!invalid path" });
        CHECK_CASES(REL("a/b", "a/b", "\".\""), REL("a/b", "a/c", "\"../c\""), REL("a/b", "a/b/c/d", "\"c/d\""), REL("a/b/c", "a", "\"../..\""),
                    REL("/", "/a", "\"a\""), REL("/a", "/", "\"..\""), REL(".", "a", "\"a\""), REL("a", ".", "\"..\""), REL("a/bc", "a/b", "\"../b\""),
                    REL("a/b", "../x", "\"../../../x\""), REL(".", "..", "\"..\""), REL("..", "..", "\".\""),
                    REL("..", "a", "!!Rel: can't make a relative to .."), REL("../..", "..", "!!Rel: can't make .. relative to ../.."),
                    REL("/a", "b", "!!Rel: can't make b relative to /a"), REL("a", "/b", "!!Rel: can't make /b relative to a"));
        CHECK_CASES(MATCH("*", "abc", "true"), MATCH("*", "a/b", "false"), MATCH("a*/b", "a/b", "true"), MATCH("a*/b", "a/c/b", "false"),
                    MATCH("a*b*c*d*e*/f", "axbxcxdxexxx/f", "true"), MATCH("a*b?c*x", "abxbbxdbxebxczzx", "true"),
                    MATCH("a*b?c*x", "abxbbxdbxebxczzy", "false"), MATCH("[a-c]?", "bé", "true"), MATCH("[^a-c]", "b", "false"),
                    MATCH("[^a]", "/", "false"), MATCH("\\\\*", "*", "true"), MATCH("", "", "true"), MATCH("", "a", "false"),
                    MATCH("[]a]", "]", "!!syntax error in pattern"), MATCH("[a-]", "a", "!!syntax error in pattern"),
                    MATCH("a[", "b", "!!syntax error in pattern"), MATCH("\\\\", "a", "!!syntax error in pattern"),
                    MATCH("[\\\\]a]", "]", "true"));
}

#define FLOAT1(function, x, want_) { "golang/math." function, { x }, want_ }
#define FLOAT2(function, x, y, want_) { "golang/math." function, { x, y }, want_ }

TEST(floats) {
        CHECK_CASES(FLOAT1("abs", "-2.5", "2.5"), FLOAT1("cbrt", "27.0", "3"), FLOAT1("cbrt", "-0.001", "-0.1"),
                    FLOAT1("round", "-2.5", "-3"), FLOAT1("round_to_even", "2.5", "2"), FLOAT1("sqrt", "-1.0", "NaN"),
                    FLOAT1("gamma", "5.0", "24"), FLOAT1("gamma", "-1.0", "NaN"), FLOAT1("logb", "0.0", "-Inf"), FLOAT1("ilogb", "0.0", "-2147483648"),
                    FLOAT1("ilogb", "10.0", "3"), FLOAT1("erfinv", "1.0", "+Inf"), FLOAT1("erfinv", "2.0", "NaN"), FLOAT1("erfcinv", "1.0", "0"),
                    FLOAT1("pow_10", "3", "1000"), FLOAT1("pow_10", "309", "+Inf"), FLOAT1("pow_10", "-324", "0"), FLOAT1("inf", "-1", "-Inf"),
                    FLOAT2("max", "-0.0", "0.0", "0"), FLOAT2("min", "0.0", "-0.0", "-0"), FLOAT2("dim", "1.0", "3.0", "0"),
                    FLOAT2("mod", "-7.0", "3.0", "-1"), FLOAT2("remainder", "5.0", "3.0", "-1"), FLOAT2("hypot", "3.0", "4.0", "5"),
                    FLOAT2("atan_2", "0.0", "1.0", "0"), FLOAT2("ldexp", "1.0", "9223372036854775807", "+Inf"), FLOAT2("ldexp", "1.0", "3", "8"),
                    FLOAT2("is_inf", "1.0", "0", "false"), FLOAT2("jn", "0", "0.0", "1"),
                    FLOAT2("jn", "9223372036854775807", "0.0", "!!the order 9223372036854775807 is too large"),
                    { "golang/math.fma", { "2.0", "3.0", "4.0" }, "10" }, { "golang/math.na_n", {}, "NaN" });
}

/* The inverse is one. */
TEST(erfinv_is_the_inverse_of_erf) {
        static const double xs[] = { -0.999999, -0.75, -0.5, -1e-10, 1e-300, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.9999999999 };
        const Builtin *b = builtin_find("golang/math.erfinv");

        for (size_t i = 0; i < ELEMENTSOF(xs); i++) {
                Value x = VALUE_FLOAT(xs[i]), y;
                CHECK_INT(b->eval(NULL, &x, 1, &y, NULL), 0);
                if (!(fabs(erf(y.f) - xs[i]) <= 4e-16 * fabs(xs[i])))
                        TEST_FAIL("erf(erfinv(%.17g)) is %.17g", xs[i], erf(y.f));
        }
}

#define RE(pattern, text, want_) { "regexp.match", { "\"" pattern "\"", "\"" text "\"" }, want_ }
#define BAD(pattern, want_) { "regexp.match", { "\"" pattern "\"", "\"\"" }, "!!pattern did not compile: error parsing regexp: " want_ }

TEST(regular_expressions) {
        CHECK_CASES(RE("", "", "true"), RE("b", "abc", "true"), RE("^b", "abc", "false"), RE("^a.c$", "abc", "true"), RE("a.c", "a\\nc", "false"),
                    RE("(?s)a.c", "a\\nc", "true"), RE("^b", "a\\nb", "false"), RE("(?m)^b$", "a\\nb\\nc", "true"), RE("x*", "", "true"),
                    RE("^a+$", "", "false"), RE("^(a|bc)*$", "abcbca", "true"), RE("^(a|bc)*$", "abcb", "false"), RE("^a{2,3}$", "aa", "true"),
                    RE("^a{2,3}$", "aaaa", "false"), RE("^a{2,}$", "aaaa", "true"), RE("^a{2}$", "aaa", "false"), RE("^a{0}b$", "b", "true"),
                    RE("^a{0,1}b$", "aab", "false"), RE("^a{0,}b$", "aab", "true"), RE("^a{,2}$", "a{,2}", "true"), RE("^a{x$", "a{x", "true"),
                    RE("^(a*)*b$", "aaab", "true"), RE("^(|a)+b$", "aab", "true"), RE("^a+?$", "aa", "true"));
        CHECK_CASES(RE("^[a-c]+$", "abc", "true"), RE("[^a-c]", "abc", "false"), RE("^[]a]+$", "]a", "true"), RE("^[a-]+$", "a-", "true"),
                    RE("^\\\\d+\\\\s\\\\w\\\\W$", "12 _-", "true"), RE("\\\\D", "12", "false"), RE("[\\\\d\\\\s]x", "1x", "true"),
                    RE("^[[:alpha:]]+$", "aZ", "true"), RE("[[:^digit:]]", "12", "false"), RE("[[:cntrl:]]", "\\x00", "true"),
                    RE("[[:^cntrl:]]", "\\x00\\x1f", "false"), RE("^[[:space:]]$", "\\v", "true"), RE("^\\\\s$", "\\v", "false"),
                    RE("^é.$", "éß", "true"), RE("^.$", "\\xff", "true"), RE("(?i)straẞe", "STRAßE", "true"), RE("(?i)^[x-z\u212a]$", "k", "true"),
                    RE("(?i)[^k]", "K\u212a", "false"), RE("a(?i)b(?-i)c", "aBc", "true"), RE("a(?i)b(?-i)c", "aBC", "false"),
                    RE("(?i:a)b", "AB", "false"), RE("^(?P<n>a)(?<m>b)(?:c)$", "abc", "true"), RE("\\\\bb\\\\b", "a b c", "true"),
                    RE("\\\\bb\\\\b", "abc", "false"), RE("a\\\\Bb", "ab", "true"), RE("^\\\\x41\\\\x{42}\\\\103\\\\.$", "ABC.", "true"),
                    RE("^\\\\Qa.*\\\\E+$", "a.**", "true"), RE("^\\\\Qa.\\\\Eb$", "a.b", "true"), RE("\\\\Ab\\\\z", "b", "true"), RE("a|^", "x", "true"));
        CHECK_CASES(RE("^\\\\p{Greek}+$", "αΩ", "true"), RE("\\\\p{Greek}", "aя", "false"), RE("^\\\\pL\\\\PL$", "я1", "true"),
                    RE("^\\\\p{^Lu}\\\\P{^Lu}$", "яЯ", "true"), RE("^[^\\\\p{L}\\\\d]$", "б", "false"), RE("^[\\\\p{Nd}x-]+$", "٣x-", "true"),
                    RE("(?i)^\\\\p{Lu}$", "я", "true"), RE("(?i)\\\\P{Lu}", "я", "false"), RE("^\\\\p{Any}\\\\pS$", "\\xff€", "true"),
                    RE("\\\\p{C}", "\u0378", "false"), RE("^\\\\p{Co}$", "\U0010fffd", "true"), RE("^\\\\p{Phags_Pa}$", "\ua840", "true"),
                    RE("^\\\\p{Zs}\\\\p{Han}$", "\u3000\u4e2d", "true"));
        CHECK_CASES(BAD("\\\\p{Greek", "invalid character class range: `\\p{Greek`"), BAD("\\\\pX", "invalid character class range: `\\pX`"),
                    BAD("\\\\p", "invalid character class range: `\\p`"), BAD("[\\\\p{}]", "invalid character class range: `\\p{}`"),
                    BAD("\\\\p{greek}", "invalid character class range: `\\p{greek}`"), BAD("\\\\pé", "invalid character class range: `\\pé`"));
        CHECK_CASES(BAD("[a", "missing closing ]: `[a`"), BAD("(a", "missing closing ): `(a`"), BAD("a)", "unexpected ): `a)`"),
                    BAD("*", "missing argument to repetition operator: `*`"), BAD("a|+", "missing argument to repetition operator: `+`"),
                    BAD("[b-a]", "invalid character class range: `b-a`"), BAD("\\\\y", "invalid escape sequence: `\\y`"),
                    BAD("\\\\1", "invalid escape sequence: `\\1`"), BAD("\\\\Z", "invalid escape sequence: `\\Z`"),
                    BAD("a{1001}", "invalid repeat count: `{1001}`"), BAD("a{2,1}", "invalid repeat count: `{2,1}`"),
                    BAD("((a{100}){100}){100}", "invalid repeat count: `{100}`"), BAD("a**", "invalid nested repetition operator: `**`"),
                    BAD("a*+", "invalid nested repetition operator: `*+`"), BAD("(?P<n", "invalid named capture: `(?P<n`"),
                    BAD("(?=a)", "invalid or unsupported Perl syntax: `(?=`"), BAD("(?<!a)", "invalid or unsupported Perl syntax: `(?<`"),
                    BAD("a\\\\", "trailing backslash at end of expression: ``"), BAD("[[:x:]]", "invalid character class range: `[:x:]`"),
                    BAD("\\xff", "invalid UTF-8: `\xff`"), BAD("[\\\\", "trailing backslash at end of expression: ``"), BAD("(?", "missing closing ): `(?`"));
}

static int match(const char *pattern, const char *text) {
        _cleanup_(value_done) Value p = {}, t = {};
        _cleanup_(diag_done) Diag error = {};
        Value result = VALUE_NIL;

        if (value_strz(&p, pattern) < 0 || value_strz(&t, text) < 0)
                return -ENOMEM;
        int r = builtin_find("regexp.match")->eval(NULL, (Value[]) { p, t }, 2, &result, &error);
        return r < 0 ? r : result.b;
}

/* Patterns that take a backtracking matcher for ever, and some that ask for more than there is. */
TEST(regular_expressions_that_are_hostile) {
        enum { LONG = 20000 };
        _cleanup_free_ char *text = malloc(2 * LONG + 2);

        REQUIRE(text);
        memset(text, 'a', LONG);
        text[LONG] = '\0';
        CHECK_INT(match("^(a+)+$", text), 1);
        CHECK_INT(match("^(a|a)*(a?){100}b$", text), 0);
        CHECK_INT(match("(x+x+)+y", text), 0);
        CHECK_INT(match("((((a{10}){10}){10}))$", text), 1);
        CHECK_INT(match("(?i)[\\x{0}-\\x{10ffff}]$", text), 1);
        memset(text, '(', LONG);
        CHECK_INT(match(text, ""), -EINVAL);
        for (size_t i = 0; i < 900; i++) {
                text[i] = '(';
                text[900 + i] = ')';
        }
        text[1800] = '\0';
        CHECK_INT(match(text, ""), 1);
        for (size_t i = 0; i < LONG; i += 8)
                memcpy(text + i, "a{1000}|", 9);
        CHECK_INT(match(text, ""), -EINVAL);
}

#define STRCONV(function, text, want_) { "golang/strconv." function, { "\"" text "\"" }, want_ }
#define TO_FLOAT(text, want_) { "convert.str_to_float", { "\"" text "\"" }, want_ }
#define NO_FLOAT(text, want_) TO_FLOAT(text, "!strconv.ParseFloat: parsing \"" text "\": " want_)
#define PARSE_INT(text, base_, bits, want_) { "golang/strconv.parse_int", { "\"" text "\"", base_, bits }, want_ }
#define NO_INT(text, base_, bits, want_) PARSE_INT(text, base_, bits, "!!strconv.ParseInt: parsing \"" text "\": " want_)

/* Parts of a value can be shared, and be printed each time. */
TEST(texts_that_would_be_huge) {
        enum { PIECE = 1024 * 1024, TIMES = 100 };
        static const struct { const char *function, *text; } printing[] = {
                { "fmt.printf", "%v" }, { "golang.template", "{{ . }}" }, { "golang.template", "{{ range . }}{{ . }}{{ end }}" },
                { "golang.template", "{{ printf \"%s\" . }}" }, { "golang.template", "{{ html . }}" },
        };
        _cleanup_free_ char *text = malloc(PIECE);
        _cleanup_free_ Value *items = calloc(TIMES, sizeof(Value));
        _cleanup_(value_done) Value piece = {}, list = {}, short_text = {}, empty = {};

        REQUIRE(text && items);
        memset(text, 'x', PIECE);
        REQUIRE(value_str(&piece, text, PIECE) >= 0 && value_str(&short_text, text, TIMES) >= 0 && value_strz(&empty, "") >= 0);
        for (size_t i = 0; i < TIMES; i++)
                items[i] = value_ref(piece);
        REQUIRE(value_list(&list, items, TIMES) >= 0);
        CHECK(value_text(list) == NULL);
        for (size_t i = 0; i < ELEMENTSOF(printing); i++) {
                _cleanup_(value_done) Value format = {}, result = {};
                _cleanup_(diag_done) Diag error = {};
                const Builtin *b = builtin_find(printing[i].function);
                BuiltinCall call = { .builtin = b };

                REQUIRE(value_strz(&format, printing[i].text) >= 0);
                int r = b->eval(&call, (Value[]) { format, list }, 2, &result, &error);
                if (r != -E2BIG && !(r == -EINVAL && strstr(error.message, "too")))
                        TEST_FAIL("%s of %s gives %d, %s", printing[i].function, printing[i].text, r, error.message ?: "nothing said");
        }
        const struct { const char *function; Value args[3]; size_t n; } joining[] = {
                { "golang/strings.join", { list, piece }, 2 },
                { "strings.replace_all", { short_text, empty, piece }, 3 },
                { "strings.replace_all", { short_text, short_text, piece }, 3 },
        };
        for (size_t i = 0; i < ELEMENTSOF(joining); i++) {
                _cleanup_(value_done) Value result = {};
                CHECK_INT(builtin_find(joining[i].function)->eval(NULL, joining[i].args, joining[i].n, &result, NULL),
                          i < 2 ? -E2BIG : 0);
        }
}

TEST(texts_of_numbers) {
        CHECK_CASES(TO_FLOAT("1.5", "1.5"), TO_FLOAT(".5", "0.5"), TO_FLOAT("5.", "5"), TO_FLOAT("-1e3", "-1000"), TO_FLOAT("0x1p-2", "0.25"),
                    TO_FLOAT("+Inf", "+Inf"), TO_FLOAT("-infinity", "-Inf"), TO_FLOAT("NaN", "NaN"), TO_FLOAT("1_000.5", "1000.5"),
                    TO_FLOAT("1e-999", "0"), NO_FLOAT("", "invalid syntax"), NO_FLOAT(".", "invalid syntax"), NO_FLOAT(" 1", "invalid syntax"),
                    NO_FLOAT("0x1", "invalid syntax"), NO_FLOAT("+nan", "invalid syntax"), NO_FLOAT("1e", "invalid syntax"),
                    NO_FLOAT("_1", "invalid syntax"), NO_FLOAT("1e999", "value out of range"), NO_FLOAT("nan(1)", "invalid syntax"),
                    { "golang/strconv.parse_float", { "\"0.1\"", "32" }, "0.10000000149011612" },
                    { "golang/strconv.parse_float", { "\"1e39\"", "32" }, "!!strconv.ParseFloat: parsing \"1e39\": value out of range" });
        CHECK_CASES(PARSE_INT("0x_1F", "0", "64", "31"), PARSE_INT("-ff", "16", "0", "-255"), PARSE_INT("0b11", "0", "8", "3"),
                    PARSE_INT("017", "0", "0", "15"), PARSE_INT("0", "0", "0", "0"), PARSE_INT("1_000", "0", "0", "1000"), PARSE_INT("z", "36", "0", "35"),
                    PARSE_INT("-128", "10", "8", "-128"), PARSE_INT("-9223372036854775808", "10", "64", "-9223372036854775808"),
                    NO_INT("9223372036854775808", "10", "64", "value out of range"), NO_INT("128", "10", "8", "value out of range"),
                    NO_INT("1_000", "10", "0", "invalid syntax"), NO_INT("1__0", "0", "0", "invalid syntax"), NO_INT("_1", "0", "0", "invalid syntax"),
                    NO_INT("0x", "0", "0", "invalid syntax"), NO_INT("-", "10", "0", "invalid syntax"), NO_INT("9", "8", "0", "invalid syntax"),
                    NO_INT("1", "1", "0", "invalid base 1"), NO_INT("1", "10", "65", "invalid bit size 65"),
                    STRCONV("parse_bool", "T", "true"), STRCONV("parse_bool", "yes", "!!strconv.ParseBool: parsing \"yes\": invalid syntax"));
}

TEST(quotes) {
        CHECK_CASES(STRCONV("quote", "a\\n\\\"é\u00a0\\xff", "\"\\\"a\\\\n\\\\\\\"é\\\\u00a0\\\\xff\\\"\""),
                    STRCONV("quote_to_ascii", "é😀", "\"\\\"\\\\u00e9\\\\U0001f600\\\"\""),
                    STRCONV("unquote", "'a'", "\"a\""), STRCONV("unquote", "'ab'", "!!invalid syntax"), STRCONV("unquote", "`a\\r\\\\n`", "\"a\\\\n\""),
                    STRCONV("unquote", "\\\"\\\\x41\\\\101\\\\u00e9\\\\t\\\\\\\"\\\"", "\"AAé\\t\\\"\""), STRCONV("unquote", "\\\"a", "!!invalid syntax"),
                    STRCONV("unquote", "\\\"\\\\'\\\"", "!!invalid syntax"), STRCONV("unquote", "\\\"\\\\400\\\"", "!!invalid syntax"),
                    STRCONV("unquote", "\\\"\\\\ud800\\\"", "!!invalid syntax"), STRCONV("unquote", "\\\"\\\\x4", "!!invalid syntax"),
                    STRCONV("unquote", "", "!!invalid syntax"), STRCONV("quoted_prefix", "`a`b", "\"`a`\""),
                    STRCONV("quoted_prefix", "b", "!!invalid syntax"), STRCONV("can_backquote", "a\\tb", "true"),
                    STRCONV("can_backquote", "a`b", "false"), { "golang/strconv.append_int", { "\"x\"", "-255", "16" }, "\"x-ff\"" },
                    { "golang/strconv.append_int", { "\"x\"", "1", "1" }, "!!the base must be from 2 to 36, got 1" },
                    { "golang/strconv.append_bool", { "\"x\"", "true" }, "\"xtrue\"" },
                    { "golang/strconv.append_quote_to_graphic", { "\"x\"", "\"\u00a0\"" }, "\"x\\\"\\u00a0\\\"\"" });
}

#define UNESCAPE(text, want_) { "golang/html.unescape_string", { "\"" text "\"" }, "\"" want_ "\"" }
#define DISTRO(text, want_) { "os.parse_distro_uid", { "\"" text "\"" }, "struct{" want_ "}" }

TEST(texts_of_pages_and_distributions) {
        CHECK_CASES(UNESCAPE("&lt;a&gt; &amp;&quot;&#39;", "<a> &\\\"'"), UNESCAPE("&notit; &notin; &not", "¬it; ∉ ¬"),
                    UNESCAPE("&eacute;&eacute &CounterClockwiseContourIntegral;", "éé ∳"), UNESCAPE("&nosuch; & &; &#; &#x;", "&nosuch; & &; &#; &#x;"),
                    UNESCAPE("&#65;&#x42&#x1F600;", "AB😀"), UNESCAPE("&#128;&#0;&#xd800;&#99999999999;", "€���"), UNESCAPE("&", "&"),
                    DISTRO("fedora39-x86_64", "distro: \"fedora\"; version: \"39\"; arch: \"x86_64\""),
                    DISTRO("a1-b-c", "distro: \"a\"; version: \"1\"; arch: \"b-c\""),
                    DISTRO("fedora-x", "distro: \"\"; version: \"\"; arch: \"\""), DISTRO("39-x", "distro: \"\"; version: \"\"; arch: \"\""),
                    DISTRO("f39-", "distro: \"\"; version: \"\"; arch: \"\""), DISTRO("", "distro: \"\"; version: \"\"; arch: \"\""));
}

TEST_MAIN()
