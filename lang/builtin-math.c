/* SPDX-License-Identifier: GPL-3.0-or-later */

/* math: a few functions of numbers. Those that take ints or floats are checked after inference. */

#include <errno.h>
#include <math.h>

#include "lang/builtins.h"

static int not_a_number(Diag *reterr) {
        diag_set(reterr, (Pos) {}, -EDOM, "result is not a number");
        return BUILTIN_CATCHABLE;
}

static int finite_or_error(double x, Value *ret, Diag *reterr) {
        if (isnan(x))
                return not_a_number(reterr);
        if (isinf(x)) {
                diag_set(reterr, (Pos) {}, -ERANGE, "result is %s infinity", x > 0 ? "positive" : "negative");
                return BUILTIN_CATCHABLE;
        }
        *ret = VALUE_FLOAT(x);
        return 0;
}

static int number_check(const BuiltinCall *call, Diag *reterr) {
        TypeKind kind = call->type->element->kind;

        return kind == TYPE_INT || kind == TYPE_FLOAT ? 0 : diag_set(reterr, (Pos) {}, -EINVAL, "did not match");
}

/* Which of the two it is follows from the use, so that there is no answer before types are known. */
static int fortytwo(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        *ret = call->type->element->kind == TYPE_INT ? VALUE_INT(42) : VALUE_FLOAT(42);
        return 0;
}

static int minus1(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        *ret = VALUE_INT((int64_t) ((uint64_t) args[0].i - 1));
        return 0;
}

static bool mod_fits(const Value *args, size_t n) {
        return (args[0].kind == TYPE_INT || args[0].kind == TYPE_FLOAT) && args[0].kind == args[1].kind;
}

static int mod(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        if (args[0].kind == TYPE_FLOAT) {
                double x = fmod(args[0].f, args[1].f);
                if (isnan(x))
                        return not_a_number(reterr);
                *ret = VALUE_FLOAT(x);
                return 0;
        }
        if (args[1].i == 0)
                return not_a_number(reterr);
        *ret = VALUE_INT(args[1].i == -1 ? 0 : args[0].i % args[1].i);
        return 0;
}

static int power(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return finite_or_error(pow(args[0].f, args[1].f), ret, reterr);
}

static int square_root(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return finite_or_error(sqrt(args[0].f), ret, reterr);
}

const Builtin math_builtins[] = {
        { .name = "math.fortytwo", .signature = "func() ?1", .check = number_check, .eval = fortytwo,
          .doc = "42, as an int or a float, as it is needed.",
          .example = MCL(math.fortytwo() + 0.5), .gives = MCL(42.5) },
        { .name = "math.minus1", .signature = "func(x int) int", .eval = minus1, .flags = BUILTIN_PURE, .doc = "One less than x.",
          .example = MCL(math.minus1(42)), .gives = MCL(41) },
        { .name = "math.mod", .signature = "func(0 ?1, 1 ?1) ?1", .check = number_check, .fits = mod_fits, .eval = mod,
          .flags = BUILTIN_PURE,
          .doc = "The remainder of a division, with the sign of the first number. That there is none can be caught.",
          .example = MCL(math.mod(-7, 3)), .gives = MCL(-1) },
        { .name = "math.pow", .signature = "func(x float, y float) float", .eval = power, .flags = BUILTIN_PURE,
          .doc = "x to the power of y. What is no finite number is an error that can be caught.",
          .example = MCL(math.pow(2.0, 10.0)), .gives = MCL(1024) },
        { .name = "math.sqrt", .signature = "func(x float) float", .eval = square_root, .flags = BUILTIN_PURE,
          .doc = "The square root of x. What is no finite number is an error that can be caught.",
          .example = MCL(math.sqrt(9.0)), .gives = MCL(3) },
        {}
};
