/* SPDX-License-Identifier: GPL-3.0-or-later */

/* golang/math: the functions of the C library on floats. Nothing is an error here: NaN and infinities are numbers. */

#include <limits.h>
#include <math.h>

#include "lang/builtins.h"

/* ---- what the C library does not have, or sees otherwise ---- */

static double dim(double x, double y) {
        double d = x - y;

        return d > 0 || isnan(d) ? d : 0;       /* that of two equal infinities is NaN */
}

static double larger(double x, double y) {
        if (isinf(x) && x > 0)
                return x;
        if ((isinf(y) && y > 0) || isnan(y))
                return y;
        if (x == 0 && y == 0)
                return signbit(x) ? y : x;
        return isnan(x) || x > y ? x : y;
}

static double smaller(double x, double y) {
        return -larger(-x, -y);
}

/* cbrt() is wrong in the last place even for 27. */
static double cube_root(double x) {
        return (double) cbrtl(x);
}

static double gamma_of(double x) {
        return isinf(x) && x < 0 ? NAN : tgamma(x);
}

/* Winitzki's closed form gives two digits; each of Halley's steps triples them. */
static double erfinv(double x) {
        if (isnan(x) || x < -1 || x > 1)
                return NAN;
        if (x == 1 || x == -1)
                return x * INFINITY;
        if (x == 0)
                return x;

        static const double a = 0.147;
        double sign = x < 0 ? -1 : 1, l = log1p(-x * x), t = 2 / (M_PI * a) + l / 2;
        double y = copysign(sqrt(sqrt(t * t - l / a) - t), x);
        for (unsigned i = 0; i < 4; i++) {
                /* Where erf is close to 1 its complement has the digits. */
                double error = fabs(x) > 0.5 ? sign * ((1 - fabs(x)) - erfc(fabs(y))) : erf(y) - x;
                double step = error / (M_2_SQRTPI * exp(-y * y));
                y -= step / (1 + y * step);
        }
        return y;
}

static double erfcinv(double x) {
        return erfinv(1 - x);
}

/* ---- of one and of two floats ---- */

#define ONES \
        X(abs, fabs, "The number without its sign.", "-1.5", "1.5") \
        X(acos, acos, "The arc cosine.", "1.0", "0") \
        X(acosh, acosh, "The inverse of cosh.", "1.0", "0") \
        X(asin, asin, "The arc sine.", "0.0", "0") \
        X(asinh, asinh, "The inverse of sinh.", "0.0", "0") \
        X(atan, atan, "The arc tangent.", "0.0", "0") \
        X(atanh, atanh, "The inverse of tanh.", "1.0", "+Inf") \
        X(cbrt, cube_root, "The cube root.", "27.0", "3") \
        X(ceil, ceil, "The next whole number above.", "1.2", "2") \
        X(cos, cos, "The cosine.", "0.0", "1") \
        X(cosh, cosh, "The hyperbolic cosine.", "0.0", "1") \
        X(erf, erf, "The error function.", "0.0", "0") \
        X(erfc, erfc, "1 - erf(x).", "0.0", "1") \
        X(erfcinv, erfcinv, "The inverse of erfc.", "1.0", "0") \
        X(erfinv, erfinv, "The inverse of erf.", "1.0", "+Inf") \
        X(exp, exp, "e to the power of x.", "0.0", "1") \
        X(exp_2, exp2, "2 to the power of x.", "3.0", "8") \
        X(expm_1, expm1, "exp(x) - 1, exact for small x.", "0.0", "0") \
        X(floor, floor, "The next whole number below.", "-1.2", "-2") \
        X(gamma, gamma_of, "The gamma function.", "5.0", "24") \
        X(j_0, j0, "The Bessel function of the first kind, order 0.", "0.0", "1") \
        X(j_1, j1, "The Bessel function of the first kind, order 1.", "0.0", "0") \
        X(log, log, "The natural logarithm.", "1.0", "0") \
        X(log_10, log10, "The decimal logarithm.", "100.0", "2") \
        X(log_1_p, log1p, "log(1 + x), exact for small x.", "0.0", "0") \
        X(log_2, log2, "The binary logarithm.", "8.0", "3") \
        X(logb, logb, "The binary exponent.", "10.0", "3") \
        X(round, round, "The nearest whole number, halves away from zero.", "2.5", "3") \
        X(round_to_even, rint, "The nearest whole number, halves to the even one.", "2.5", "2") \
        X(sin, sin, "The sine.", "0.0", "0") \
        X(sinh, sinh, "The hyperbolic sine.", "0.0", "0") \
        X(sqrt, sqrt, "The square root; NaN for negative numbers.", "9.0", "3") \
        X(tan, tan, "The tangent.", "0.0", "0") \
        X(tanh, tanh, "The hyperbolic tangent.", "0.0", "0") \
        X(trunc, trunc, "The number without its fraction.", "-1.8", "-1") \
        X(y_0, y0, "The Bessel function of the second kind, order 0.", "0.0", "-Inf") \
        X(y_1, y1, "The Bessel function of the second kind, order 1.", "0.0", "-Inf")

#define TWOS \
        X(atan_2, atan2, "y float, x float", "The angle of the point x, y.", "0.0, 1.0", "0") \
        X(copysign, copysign, "f float, sign float", "f with the sign of the other.", "3.0, -1.0", "-3") \
        X(dim, dim, "x float, y float", "x - y, or 0 where that is negative.", "5.0, 3.0", "2") \
        X(hypot, hypot, "p float, q float", "How far the point p, q is from 0, 0.", "3.0, 4.0", "5") \
        X(max, larger, "x float, y float", "The larger number.", "1.0, 2.0", "2") \
        X(min, smaller, "x float, y float", "The smaller number.", "1.0, 2.0", "1") \
        X(mod, fmod, "x float, y float", "The remainder, with the sign of x.", "7.0, -4.0", "3") \
        X(nextafter, nextafter, "x float, y float", "The float next to x on the way to y.", "1.0, 2.0", "1.0000000000000002") \
        X(pow, pow, "x float, y float", "x to the power of y.", "2.0, 10.0", "1024") \
        X(remainder, remainder, "x float, y float", "What is left of x after the nearest whole multiple of y.", "7.0, 4.0", "-1")

#define X(name, function, doc_, example_, gives_) \
        static int eval_##name(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) { \
                *ret = VALUE_FLOAT(function(args[0].f)); \
                return 0; \
        }
ONES
#undef X
#define X(name, function, args_, doc_, example_, gives_) \
        static int eval_##name(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) { \
                *ret = VALUE_FLOAT(function(args[0].f, args[1].f)); \
                return 0; \
        }
TWOS
#undef X

/* ---- with other arguments ---- */

static int clamp(int64_t i) {
        return (int) (i < INT_MIN ? INT_MIN : i > INT_MAX ? INT_MAX : i);
}

static int eval_fma(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        *ret = VALUE_FLOAT(fma(args[0].f, args[1].f, args[2].f));
        return 0;
}

static int eval_ilogb(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        double x = args[0].f;

        *ret = VALUE_INT(x == 0 ? INT32_MIN : isfinite(x) ? ilogb(x) : INT32_MAX);
        return 0;
}

static int eval_inf(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        *ret = VALUE_FLOAT(args[0].i >= 0 ? INFINITY : -INFINITY);
        return 0;
}

static int eval_is_inf(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        double x = args[0].f;

        *ret = VALUE_BOOL(isinf(x) && (args[1].i == 0 || (args[1].i > 0) == (x > 0)));
        return 0;
}

static int eval_is_nan(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        *ret = VALUE_BOOL(isnan(args[0].f));
        return 0;
}

/* The order is bounded because each is computed from those below it. */
enum { BESSEL_ORDER_MAX = 1000000 };

static int bessel(const Value *args, double (*function)(int order, double x), Value *ret, Diag *reterr) {
        if (args[0].i < -BESSEL_ORDER_MAX || args[0].i > BESSEL_ORDER_MAX)
                return diag_set(reterr, (Pos) {}, -ERANGE, "the order %lld is too large", (long long) args[0].i);
        *ret = VALUE_FLOAT(function((int) args[0].i, args[1].f));
        return 0;
}

static int eval_jn(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return bessel(args, jn, ret, reterr);
}

static int eval_yn(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return bessel(args, yn, ret, reterr);
}

static int eval_ldexp(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        *ret = VALUE_FLOAT(ldexp(args[0].f, clamp(args[1].i)));
        return 0;
}

static int eval_nan(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        *ret = VALUE_FLOAT(NAN);
        return 0;
}

static int eval_pow10(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        *ret = VALUE_FLOAT(args[0].i < -323 ? 0 : pow(10, clamp(args[0].i)));
        return 0;
}

static int eval_signbit(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        *ret = VALUE_BOOL(signbit(args[0].f));
        return 0;
}

const Builtin floats_builtins[] = {
#define X(name_, function, doc_, example_, gives_) \
        { .name = "golang/math." #name_, .signature = "func(x float) float", .eval = eval_##name_, .flags = BUILTIN_PURE, \
          .doc = doc_, .example = "math." #name_ "(" example_ ")", .gives = gives_ },
        ONES
#undef X
#define X(name_, function, args_, doc_, example_, gives_) \
        { .name = "golang/math." #name_, .signature = "func(" args_ ") float", .eval = eval_##name_, .flags = BUILTIN_PURE, \
          .doc = doc_, .example = "math." #name_ "(" example_ ")", .gives = gives_ },
        TWOS
#undef X
        { .name = "golang/math.fma", .signature = "func(x float, y float, z float) float", .eval = eval_fma, .flags = BUILTIN_PURE,
          .doc = "x * y + z, rounded once.",
          .example = MCL(math.fma(2.0, 3.0, 4.0)), .gives = MCL(10) },
        { .name = "golang/math.ilogb", .signature = "func(x float) int", .eval = eval_ilogb, .flags = BUILTIN_PURE,
          .doc = "The binary exponent as an int.",
          .example = MCL(math.ilogb(10.0)), .gives = MCL(3) },
        { .name = "golang/math.inf", .signature = "func(sign int) float", .eval = eval_inf, .flags = BUILTIN_PURE,
          .doc = "Infinity, negative if the sign is.",
          .example = MCL(math.inf(-1)), .gives = MCL(-Inf) },
        { .name = "golang/math.is_inf", .signature = "func(f float, sign int) bool", .eval = eval_is_inf, .flags = BUILTIN_PURE,
          .doc = "Whether f is infinity with that sign; 0 stands for either.",
          .example = MCL(math.is_inf(math.inf(-1), 0)), .gives = MCL(true) },
        { .name = "golang/math.is_na_n", .signature = "func(f float) bool", .eval = eval_is_nan, .flags = BUILTIN_PURE,
          .doc = "Whether f is not a number.",
          .example = MCL(math.is_na_n(math.sqrt(-1.0))), .gives = MCL(true) },
        { .name = "golang/math.jn", .signature = "func(n int, x float) float", .eval = eval_jn, .flags = BUILTIN_PURE,
          .doc = "The Bessel function of the first kind, order n.",
          .example = MCL(math.jn(0, 0.0)), .gives = MCL(1) },
        { .name = "golang/math.ldexp", .signature = "func(frac float, exp int) float", .eval = eval_ldexp, .flags = BUILTIN_PURE,
          .doc = "frac times 2 to the power of exp.",
          .example = MCL(math.ldexp(0.5, 4)), .gives = MCL(8) },
        { .name = "golang/math.na_n", .signature = "func() float", .eval = eval_nan, .flags = BUILTIN_PURE,
          .doc = "What is not a number.",
          .example = MCL(math.na_n()), .gives = MCL(NaN) },
        { .name = "golang/math.pow_10", .signature = "func(n int) float", .eval = eval_pow10, .flags = BUILTIN_PURE,
          .doc = "10 to the power of n.",
          .example = MCL(math.pow_10(3)), .gives = MCL(1000) },
        { .name = "golang/math.signbit", .signature = "func(x float) bool", .eval = eval_signbit, .flags = BUILTIN_PURE,
          .doc = "Whether x has a minus, which 0 may have too.",
          .example = MCL(math.signbit(-1.0)), .gives = MCL(true) },
        { .name = "golang/math.yn", .signature = "func(n int, x float) float", .eval = eval_yn, .flags = BUILTIN_PURE,
          .doc = "The Bessel function of the second kind, order n.",
          .example = MCL(math.yn(0, 0.0)), .gives = MCL(-Inf) },
        {}
};
