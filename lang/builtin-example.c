/* SPDX-License-Identifier: GPL-3.0-or-later */

/* example: small functions that programs learn with. */

#include <errno.h>
#include <string.h>

#include "lang/builtins.h"

static int answer(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        *ret = VALUE_INT(42);
        return 0;
}

static int error_bool(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        if (args[0].b)
                return diag_set(reterr, (Pos) {}, -ECANCELED, "we errored on request");
        return value_strz(ret, "set input to true to generate an error");
}

static int hello(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return value_strz(ret, "Hello!");
}

static int plus(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return builtin_find("concat")->eval(call, args, n, ret, reterr);
}

static int int_to_str(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return value_strf(ret, "%lld", (long long) args[0].i);
}

static int str_to_int(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        if (builtin_find("convert.str_to_int")->eval(call, args, n, ret, NULL) != 0)
                *ret = VALUE_INT(0);
        return 0;
}

const char example_source[] =
        "class test1 {\n"
        "\tprint \"wow, cool\" {}\n"
        "}\n";

const Builtin example_builtins[] = {
        { .name = "example.answer", .signature = "func() int", .eval = answer, .flags = BUILTIN_PURE, .doc = "42.",
          .example = MCL(example.answer()), .gives = MCL(42) },
        { .name = "example.errorbool", .signature = "func(a bool) str", .eval = error_bool, .doc = "Fails when given true.",
          .example = MCL(example.errorbool(false)), .gives = MCL("set input to true to generate an error") },
        { .name = "example.int2str", .signature = "func(a int) str", .eval = int_to_str, .flags = BUILTIN_PURE,
          .doc = "The number in decimal.",
          .example = MCL(example.int2str(42)), .gives = MCL("42") },
        { .name = "example.nativeanswer", .signature = "func() int", .eval = answer, .flags = BUILTIN_PURE, .doc = "42.",
          .example = MCL(example.nativeanswer()), .gives = MCL(42) },
        { .name = "example.plus", .signature = "func(y str, z str) str", .eval = plus, .flags = BUILTIN_PURE,
          .doc = "Both strings in one.",
          .example = MCL(example.plus("a", "b")), .gives = MCL("ab") },
        { .name = "example.str2int", .signature = "func(a str) int", .eval = str_to_int, .flags = BUILTIN_PURE,
          .doc = "The number that the text is, or 0.",
          .example = MCL(example.str2int("42")), .gives = MCL(42) },
        { .name = "example.test1", .signature = "func() int", .eval = answer, .flags = BUILTIN_PURE, .doc = "42.",
          .example = MCL(example.test1()), .gives = MCL(42) },
        { .name = "example/nested.hello", .signature = "func() str", .eval = hello, .flags = BUILTIN_PURE, .doc = "A greeting.",
          .example = MCL(nested.hello()), .gives = MCL("Hello!") },
        BUILTIN_WATCHED("example.flipflop", "func() bool",
                        "True and false in turn, every five seconds.",
                        MCL(example.flipflop())),
        BUILTIN_WATCHED("example.vumeter", "func(symbol str, multiplier int, peak float) str",
                        "How loud it is at the microphone, as a bar of symbols; anew each second.",
                        MCL(example.vumeter("#", 40, 0.9))),
        {}
};
