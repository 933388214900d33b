/* SPDX-License-Identifier: GPL-3.0-or-later */

/* list: what the language's brackets cannot say. */

#include <errno.h>

#include "lang/builtins.h"

static int concat_infer(Arena *arena, const BuiltinArg *args, size_t n, const Type **ret, Diag *reterr) {
        const Type *element = type_unknown(arena, 1), *list = element ? type_list(arena, element) : NULL;
        TypeField *fields = list ? arena_array(arena, TypeField, n + 1) : NULL;

        if (n == 0)
                return diag_set(reterr, (Pos) {}, -EINVAL, "function must have at least one arg");
        if (!fields)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                fields[i] = (TypeField) { builtin_arg_name(arena, NULL, i), list };
                if (!fields[i].name)
                        return -ENOMEM;
        }
        *ret = type_func(arena, fields, n, list);
        return *ret ? 0 : -ENOMEM;
}

static bool concat_fits(const Value *args, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (args[i].kind != TYPE_LIST)
                        return false;
        return true;
}

static int concat_eval(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        size_t total = 0, k = 0;

        for (size_t i = 1; i < n; i++)
                total += args[i].l->n;
        _cleanup_free_ Value *items = calloc(total + 1, sizeof(Value));
        if (!items)
                return -ENOMEM;
        for (size_t i = 1; i < n; i++)
                VALUE_LIST_FOREACH(item, args[i].l)
                        items[k++] = value_ref(*item);
        return value_list_extend(ret, args[0], items, total);
}

const Builtin list_builtins[] = {
        { .name = "list.concat", .signature = "func(a []?1, …) []?1", .infer = concat_infer, .n_args_max = -1, .fits = concat_fits,
          .eval = concat_eval, .flags = BUILTIN_PURE, .doc = "All the lists, one after the other.",
          .example = MCL(list.concat([1], [2, 3])), .gives = MCL([1, 2, 3]) },
        { .name = "list.lookup", .signature = "func(list []?1, index int) ?1", .eval = list_lookup, .flags = BUILTIN_PURE,
          .doc = "The element of list at index, counted from 0. That there is none can be caught.",
          .example = MCL(list.lookup(["a", "b"], 1)), .gives = MCL("b") },
        {}
};
