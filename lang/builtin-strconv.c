/* SPDX-License-Identifier: GPL-3.0-or-later */

/* golang/strconv: numbers and their texts. Unlike those of convert, its errors cannot be caught. */

#include <errno.h>
#include <string.h>

#include "lang/builtins.h"

static int itoa(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return value_strf(ret, "%lld", (long long) args[0].i);
}

static int format_bool(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return value_strz(ret, args[0].b ? "true" : "false");
}

static int format_int(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
        char text[66], *at = text + sizeof(text);
        int64_t i = args[0].i, base = args[1].i;
        uint64_t left = i < 0 ? -(uint64_t) i : (uint64_t) i;

        if (base < 2 || base > 36)
                return diag_set(reterr, (Pos) {}, -EINVAL, "the base must be from 2 to 36, got %lld", (long long) base);
        do {
                *--at = digits[left % (uint64_t) base];
                left /= (uint64_t) base;
        } while (left > 0);
        if (i < 0)
                *--at = '-';
        return value_str(ret, at, (size_t) (text + sizeof(text) - at));
}

static int atoi_(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        _cleanup_(diag_done) Diag problem = {};

        int r = builtin_find("convert.str_to_int")->eval(call, args, n, ret, &problem);
        if (r != BUILTIN_CATCHABLE)
                return r;
        /* The same but for the name of the function. */
        const char *rest = startswith(problem.message ?: "", "strconv.ParseInt");
        return diag_set(reterr, (Pos) {}, problem.error, "strconv.Atoi%s", rest ?: "");
}

const Builtin strconv_builtins[] = {
        { .name = "golang/strconv.atoi", .signature = "func(s str) int", .eval = atoi_, .flags = BUILTIN_PURE,
          .doc = "A decimal number with an optional sign." },
        { .name = "golang/strconv.format_bool", .signature = "func(b bool) str", .eval = format_bool, .flags = BUILTIN_PURE,
          .doc = "\"true\" or \"false\"." },
        { .name = "golang/strconv.format_int", .signature = "func(i int, base int) str", .eval = format_int,
          .flags = BUILTIN_PURE, .doc = "The number in a base from 2 to 36." },
        { .name = "golang/strconv.itoa", .signature = "func(i int) str", .eval = itoa, .flags = BUILTIN_PURE,
          .doc = "The number in decimal." },
        {}
};
