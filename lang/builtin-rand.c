/* SPDX-License-Identifier: GPL-3.0-or-later */

/* golang/math/rand: drawn anew each time that a program asks. */

#include "lang/builtins.h"

const Builtin rand_builtins[] = {
        BUILTIN_ASKED("golang/math/rand.exp_float_64", "func() float",
                      "A random number, exponentially distributed with rate one.",
                      MCL(rand.exp_float_64())),
        BUILTIN_ASKED("golang/math/rand.float_64", "func() float",
                      "A random number in [0, 1).",
                      MCL(rand.float_64())),
        BUILTIN_ASKED("golang/math/rand.int", "func() int",
                      "A random number that is not negative.",
                      NULL),
        BUILTIN_ASKED("golang/math/rand.int_63", "func() int",
                      "A random number that is not negative.",
                      MCL(rand.int_63())),
        BUILTIN_ASKED("golang/math/rand.int_63_n", "func(n int) int",
                      "A random number in [0, n).",
                      MCL(rand.int_63_n(6))),
        BUILTIN_ASKED("golang/math/rand.intn", "func(n int) int",
                      "A random number in [0, n).",
                      MCL(rand.intn(6))),
        BUILTIN_ASKED("golang/math/rand.norm_float_64", "func() float",
                      "A random number, normally distributed around 0 with deviation 1.",
                      MCL(rand.norm_float_64())),
        BUILTIN_ASKED("golang/math/rand.read", "func(p str) int",
                      "How many random bytes a text of that length would take: its length.",
                      MCL(rand.read("1234"))),
        {}
};
