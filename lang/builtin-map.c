/* SPDX-License-Identifier: GPL-3.0-or-later */

/* map: keys, values, lookup. Keys come in their order, so that nothing changes that need not. */

#include <errno.h>

#include "lang/builtins.h"

static int half(const ValueMap *m, bool values, Value *ret) {
        _cleanup_free_ Value *items = calloc((size_t) m->n + 1, sizeof(Value));

        if (!items)
                return -ENOMEM;
        for (uint32_t i = 0; i < m->n; i++)
                items[i] = value_ref(values ? m->items[i].value : m->items[i].key);
        return value_list(ret, items, m->n);
}

static int keys(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return half(args[0].m, false, ret);
}

static int values(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return half(args[0].m, true, ret);
}

const Builtin map_builtins[] = {
        { .name = "map.keys", .signature = "func(x map{?1: ?2}) []?1", .eval = keys, .flags = BUILTIN_PURE,
          .doc = "The keys, in their order.",
          .example = MCL(map.keys({"b" => 2, "a" => 1})), .gives = MCL(["a", "b"]) },
        { .name = "map.lookup", .signature = "func(map map{?1: ?2}, key ?1) ?2", .eval = map_lookup, .flags = BUILTIN_PURE,
          .doc = "The value of map under key. That there is none can be caught.",
          .example = MCL(map.lookup({"b" => 2, "a" => 1}, "b")), .gives = MCL(2) },
        { .name = "map.values", .signature = "func(x map{?1: ?2}) []?2", .eval = values, .flags = BUILTIN_PURE,
          .doc = "The values, in the order of their keys.",
          .example = MCL(map.values({"b" => 2, "a" => 1})), .gives = MCL([1, 2]) },
        {}
};
