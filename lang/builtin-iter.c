/* SPDX-License-Identifier: GPL-3.0-or-later */

/* iter: functions over lists. Those that take a function are not evaluated: the function graph grows a copy of the function's
 * body per element (funcgraph.c, BUILTIN_PER_ELEMENT). */

#include <errno.h>
#include <string.h>

#include "lang/builtins.h"

enum { RANGE_MAX = 1024 * 1024 };

static int flatten(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        size_t total = 0, k = 0;

        VALUE_LIST_FOREACH(list, args[0].l)
                total += list->l->n;
        _cleanup_free_ Value *items = calloc(total + 1, sizeof(Value));
        if (!items)
                return -ENOMEM;
        VALUE_LIST_FOREACH(list, args[0].l)
                VALUE_LIST_FOREACH(item, list->l)
                        items[k++] = value_ref(*item);
        return value_list(ret, items, total);
}

static int range_infer(Arena *arena, const BuiltinArg *args, size_t n, const Type **ret, Diag *reterr) {
        static const char *const types[] = { "func(0 int) []int", "func(0 int, 1 int) []int", "func(0 int, 1 int, 2 int) []int" };

        if (n < 1 || n > ELEMENTSOF(types))
                return diag_set(reterr, (Pos) {}, -EINVAL, "function must have between 1 and 3 args");
        return type_parse(arena, types[n - 1], ret, reterr);
}

static bool range_fits(const Value *args, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (args[i].kind != TYPE_INT)
                        return false;
        return n >= 1 && n <= 3;
}

static int range_eval(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        int64_t start = n > 1 ? args[0].i : 0, stop = args[n > 1].i, step = n > 2 ? args[2].i : 1;

        if (step == 0)
                return diag_set(reterr, (Pos) {}, -EINVAL, "step value cannot be 0");
        uint64_t span = 0, stride = step > 0 ? (uint64_t) step : -(uint64_t) step;
        if (step > 0 && start < stop)
                span = (uint64_t) stop - (uint64_t) start;
        else if (step < 0 && start > stop)
                span = (uint64_t) start - (uint64_t) stop;
        uint64_t count = span / stride + (span % stride > 0);
        if (count > RANGE_MAX)
                return diag_set(reterr, (Pos) {}, -E2BIG, "the range has %llu elements, more than %d", (unsigned long long) count,
                                RANGE_MAX);
        _cleanup_free_ Value *items = calloc(count + 1, sizeof(Value));
        if (!items)
                return -ENOMEM;
        for (uint64_t i = 0; i < count; i++)
                items[i] = VALUE_INT((int64_t) ((uint64_t) start + i * (uint64_t) step));
        return value_list(ret, items, count);
}

static int reduce_infer(Arena *arena, const BuiltinArg *args, size_t n, const Type **ret, Diag *reterr) {
        if (n != 2 && n != 3)
                return diag_set(reterr, (Pos) {}, -EINVAL, "must have either two or three args");
        return type_parse(arena, n == 2 ? "func(inputs []?1, function func(x ?1, y ?1) ?1) ?1"
                                        : "func(initval ?1, inputs []?1, function func(x ?1, y ?1) ?1) ?1", ret, reterr);
}

const Builtin iter_builtins[] = {
        { .name = "iter.filter", .signature = "func(inputs []?1, function func(0 ?1) bool) []?1",
          .flags = BUILTIN_PER_ELEMENT, .each = BUILTIN_EACH_FILTER,
          .doc = "The elements for which the function gives true, in their order.",
          .example = MCL(iter.filter([1, 2, 3], func($x) { $x > 1 })), .gives = MCL([2, 3]) },
        { .name = "iter.flatten", .signature = "func(inputs [][]?1) []?1", .eval = flatten, .flags = BUILTIN_PURE,
          .doc = "The elements of all the lists in one list.",
          .example = MCL(iter.flatten([[1], [2, 3]])), .gives = MCL([1, 2, 3]) },
        { .name = "iter.map", .signature = "func(inputs []?1, function func(0 ?1) ?2) []?2",
          .flags = BUILTIN_PER_ELEMENT, .each = BUILTIN_EACH_MAP, .doc = "What the function makes of each element, in their order.",
          .example = MCL(iter.map([1, 2], func($x) { $x * 10 })), .gives = MCL([10, 20]) },
        { .name = "iter.range", .signature = "func(start int, stop int, step int) []int", .infer = range_infer, .n_args_max = -1,
          .fits = range_fits, .eval = range_eval, .flags = BUILTIN_PURE,
          .doc = "The numbers from start (0) up to, without, stop, in steps of 1 or as given.",
          .example = MCL(iter.range(2, 8, 2)), .gives = MCL([2, 4, 6]) },
        { .name = "iter.reduce", .signature = "func(initval ?1, inputs []?1, function func(x ?1, y ?1) ?1) ?1",
          .infer = reduce_infer, .n_args_max = -1, .flags = BUILTIN_PER_ELEMENT, .each = BUILTIN_EACH_REDUCE,
          .doc = "Puts the elements together, from the left, by a function of two of them. The first argument may be left out.",
          .example = MCL(iter.reduce([1, 2, 3], func($x, $y) { $x + $y })), .gives = MCL(6) },
        { .name = "iter.zip", .signature = "func(inputs1 []?1, inputs2 []?2, function func(x ?1, y ?2) ?3) []?3",
          .flags = BUILTIN_PER_ELEMENT, .each = BUILTIN_EACH_ZIP,
          .doc = "What the function makes of each pair of elements; the shorter list decides how many.",
          .example = MCL(iter.zip([1, 2], [10, 20, 30], func($x, $y) { $x + $y })), .gives = MCL([11, 22]) },
        {}
};
