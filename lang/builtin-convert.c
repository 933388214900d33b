/* SPDX-License-Identifier: GPL-3.0-or-later */

/* convert: between scalars and their text. */

#include <errno.h>
#include <math.h>
#include <string.h>

#include "common/strbuf.h"
#include "lang/builtins.h"

static int catchable(Diag *reterr, int error, const char *function, const char *text, const char *problem) {
        StrBuf b = {};

        strbuf_quote(&b, text, strlen(text));
        _cleanup_free_ char *quoted = strbuf_take(&b);
        diag_set(reterr, (Pos) {}, error, "strconv.%s: parsing %s: %s", function, quoted ?: "?", problem);
        return BUILTIN_CATCHABLE;
}

static int format_bool(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return value_strz(ret, args[0].b ? "true" : "false");
}

static int parse_bool(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        static const char *const words[] = { "1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False" };

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (streq(value_cstr(args[0]), words[i])) {
                        *ret = VALUE_BOOL(i < ELEMENTSOF(words) / 2);
                        return 0;
                }
        diag_set(reterr, (Pos) {}, -EINVAL, "invalid bool: `%s`", value_cstr(args[0]));
        return BUILTIN_CATCHABLE;
}

static int int_to_str(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return value_strf(ret, "%lld", (long long) args[0].i);
}

static int str_to_int(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const char *text = value_cstr(args[0]), *s = text;
        bool negative = *s == '-', overflow = false;
        uint64_t x = 0, limit;

        if (*s == '-' || *s == '+')
                s++;
        limit = (uint64_t) INT64_MAX + negative;
        if (*s == 0)
                return catchable(reterr, -EINVAL, "ParseInt", text, "invalid syntax");
        for (; *s; s++) {
                if (*s < '0' || *s > '9')
                        return catchable(reterr, -EINVAL, "ParseInt", text, "invalid syntax");
                unsigned digit = (unsigned) (*s - '0');
                overflow = overflow || x > (limit - digit) / 10;
                x = overflow ? 0 : x * 10 + digit;
        }
        if (overflow || strlen(text) != args[0].s->size)
                return catchable(reterr, -ERANGE, "ParseInt", text, overflow ? "value out of range" : "invalid syntax");
        *ret = VALUE_INT((int64_t) (negative ? -x : x));
        return 0;
}

static int to_float(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        *ret = VALUE_FLOAT((double) args[0].i);
        return 0;
}

static int to_int(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        double x = args[0].f;

        *ret = VALUE_INT(x >= -0x1p63 && x < 0x1p63 ? (int64_t) x : INT64_MIN);
        return 0;
}

const Builtin convert_builtins[] = {
        { .name = "convert.format_bool", .signature = "func(a bool) str", .eval = format_bool, .flags = BUILTIN_PURE,
          .doc = "\"true\" or \"false\".",
          .example = MCL(convert.format_bool(true)), .gives = MCL("true") },
        { .name = "convert.int_to_str", .signature = "func(a int) str", .eval = int_to_str, .flags = BUILTIN_PURE,
          .doc = "The number a in decimal.",
          .example = MCL(convert.int_to_str(42)), .gives = MCL("42") },
        { .name = "convert.parse_bool", .signature = "func(a str) bool", .eval = parse_bool, .flags = BUILTIN_PURE,
          .doc = "True for 1, t, T, TRUE, true and True; false for 0, f, F, FALSE, false and False. Anything else is an error "
                 "that can be caught.",
          .example = MCL(convert.parse_bool("TRUE")), .gives = MCL(true) },
        { .name = "convert.str_to_int", .signature = "func(a str) int", .eval = str_to_int, .flags = BUILTIN_PURE,
          .doc = "The decimal number that the text a is, with or without a sign. Anything else is an error that can be caught.",
          .example = MCL(convert.str_to_int("-42")), .gives = MCL(-42) },
        { .name = "convert.to_float", .signature = "func(a int) float", .eval = to_float, .flags = BUILTIN_PURE,
          .doc = "The number a as a float: the nearest there is.",
          .example = MCL(convert.to_float(42) / 4.0), .gives = MCL(10.5) },
        { .name = "convert.to_int", .signature = "func(a float) int", .eval = to_int, .flags = BUILTIN_PURE,
          .doc = "The number a without its fraction. What does not fit gives the smallest int.",
          .example = MCL(convert.to_int(-1.9)), .gives = MCL(-1) },
        {}
};
