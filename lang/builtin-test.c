/* SPDX-License-Identifier: GPL-3.0-or-later */

/* test: functions that tests of programs are written with. Those named one_instance are not computed early: a program shows with
 * them that what is bound to a name is computed once. */

#include <errno.h>
#include <string.h>

#include "common/strbuf.h"
#include "lang/builtins.h"

static int one_instance(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return value_strz(ret, "hello");
}

static int one_stream(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        Value x = VALUE_NIL;

        if (args[0].i < 0)
                return diag_set(reterr, (Pos) {}, -EINVAL, "cannot use a negative count");
        int r = value_strz(&x, "x");
        if (r >= 0)
                r = builtin_find("golang/strings.repeat")->eval(call, (Value[]) { x, args[0] }, 2, ret, reterr);
        value_done(&x);
        return r;
}

static int forkv_loop(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        Value pair[2] = {};
        int r = value_strz(&pair[0], "foo");

        if (r >= 0)
                r = value_strz(&pair[1], "bar");
        if (r >= 0)
                r = value_map(ret, pair, 1);
        value_done(&pair[0]);
        value_done(&pair[1]);
        return r;
}

#define ONE_INSTANCE(letter) \
        { .name = "test.one_instance_" letter, .signature = "func() str", .eval = one_instance, \
          .doc = "A greeting, computed once.", .example = "test.one_instance_" letter "()", .gives = MCL("hello") }

const Builtin test_builtins[] = {
        { .name = "test.forkvloop", .signature = "func() map{str: str}", .eval = forkv_loop, .doc = "A map with one pair.",
          .example = MCL(test.forkvloop()), .gives = MCL({"foo": "bar"}) },
        ONE_INSTANCE("a"),
        ONE_INSTANCE("b"),
        ONE_INSTANCE("c"),
        ONE_INSTANCE("d"),
        ONE_INSTANCE("e"),
        ONE_INSTANCE("f"),
        ONE_INSTANCE("g"),
        ONE_INSTANCE("h"),
        { .name = "test.one_stream", .signature = "func(count int) str", .eval = one_stream, .doc = "That many letters x.",
          .example = MCL(test.one_stream(3)), .gives = MCL("xxx") },
        {}
};
