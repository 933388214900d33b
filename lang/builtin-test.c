/* SPDX-License-Identifier: GPL-3.0-or-later */

/* test: functions that tests of programs are written with. */

#include "lang/builtins.h"

const Builtin test_builtins[] = {
        BUILTIN_WATCHED("test.fastcount", "func() int",
                        "Counts from one, as fast as it is asked.",
                        MCL(test.fastcount())),
        BUILTIN_WATCHED("test.forkvloop", "func() map{str: str}",
                        "A map with one pair, said again every five seconds.",
                        MCL(test.forkvloop())),
        BUILTIN_WATCHED("test.forloop", "func() []str",
                        "A list of one text, another one from the second time on; every five seconds.",
                        MCL(test.forloop())),
        BUILTIN_WATCHED("test.one_instance_a", "func() str",
                        "A greeting; an error if a program asks more than once.",
                        MCL(test.one_instance_a())),
        BUILTIN_WATCHED("test.one_instance_b", "func() str",
                        "A greeting; an error if a program asks more than once.",
                        MCL(test.one_instance_b())),
        BUILTIN_WATCHED("test.one_instance_c", "func() str",
                        "A greeting; an error if a program asks more than once.",
                        MCL(test.one_instance_c())),
        BUILTIN_WATCHED("test.one_instance_d", "func() str",
                        "A greeting; an error if a program asks more than once.",
                        MCL(test.one_instance_d())),
        BUILTIN_WATCHED("test.one_instance_e", "func() str",
                        "A greeting; an error if a program asks more than once.",
                        MCL(test.one_instance_e())),
        BUILTIN_WATCHED("test.one_instance_f", "func() str",
                        "A greeting; an error if a program asks more than once.",
                        MCL(test.one_instance_f())),
        BUILTIN_WATCHED("test.one_instance_g", "func() str",
                        "A greeting; an error if a program asks more than once.",
                        MCL(test.one_instance_g())),
        BUILTIN_WATCHED("test.one_instance_h", "func() str",
                        "A greeting; an error if a program asks more than once.",
                        MCL(test.one_instance_h())),
        BUILTIN_WATCHED("test.one_stream", "func(count int) str",
                        "That many letters x; an error if it is asked for anything else later.",
                        MCL(test.one_stream(3))),
        BUILTIN_WATCHED("test.slow_string", "func() str",
                        "Five seconds later, a text.",
                        MCL(test.slow_string())),
        {}
};
