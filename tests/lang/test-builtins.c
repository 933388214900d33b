/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Functions of the library, called by name: each row has the arguments and what comes of them, in the printed form of values. An
 * error is "!" and its text if it can be caught, "!!" and its text if it cannot. */

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

TEST_MAIN()
