/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What needs no import: operators, lookups, len, contains, concat, panic. Names that begin with an underscore cannot be written
 * by a program; they are what syntax turns into. */

#include <errno.h>
#include <string.h>

#include "common/strbuf.h"
#include "lang/builtins.h"

/* ---- operators ---- */

typedef enum Operands {
        OPERANDS_SAME,          /* T, T → T */
        OPERANDS_DIVIDE,        /* T, T → float */
        OPERANDS_COMPARE,       /* T, T → bool */
        OPERANDS_BOOL,          /* bool, bool → bool */
        OPERANDS_NOT,           /* bool → bool */
        _OPERANDS_MAX,
} Operands;

static int unsupported(Value v, Diag *reterr) {
        return diag_set(reterr, (Pos) {}, -EINVAL, "unsupported kind: %s", type_kind_name(v.kind));
}

static int add(Value a, Value b, Value *ret, Diag *reterr) {
        if (a.kind == TYPE_STR) {
                StrBuf text = {};
                strbuf_add(&text, a.s->data, a.s->size);
                strbuf_add(&text, b.s->data, b.s->size);
                return value_str_take(ret, &text);
        }
        if (a.kind == TYPE_INT)
                *ret = VALUE_INT((int64_t) ((uint64_t) a.i + (uint64_t) b.i));
        else if (a.kind == TYPE_FLOAT)
                *ret = VALUE_FLOAT(a.f + b.f);
        else
                return unsupported(a, reterr);
        return 0;
}

static int op_add(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return add(args[1], args[2], ret, reterr);
}

static int op_subtract(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        Value a = args[1], b = args[2];

        if (a.kind == TYPE_INT)
                *ret = VALUE_INT((int64_t) ((uint64_t) a.i - (uint64_t) b.i));
        else if (a.kind == TYPE_FLOAT)
                *ret = VALUE_FLOAT(a.f - b.f);
        else
                return unsupported(a, reterr);
        return 0;
}

static int op_multiply(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        Value a = args[1], b = args[2];

        if (a.kind == TYPE_INT)
                *ret = VALUE_INT((int64_t) ((uint64_t) a.i * (uint64_t) b.i));
        else if (a.kind == TYPE_FLOAT)
                *ret = VALUE_FLOAT(a.f * b.f);
        else
                return unsupported(a, reterr);
        return 0;
}

static int op_divide(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        Value a = args[1], b = args[2];

        if (a.kind != TYPE_INT && a.kind != TYPE_FLOAT)
                return unsupported(a, reterr);

        double x = a.kind == TYPE_INT ? (double) a.i : a.f, y = b.kind == TYPE_INT ? (double) b.i : b.f;
        if (y == 0) {
                diag_set(reterr, (Pos) {}, -EDOM, "can't divide by zero");
                return BUILTIN_CATCHABLE;
        }
        *ret = VALUE_FLOAT(x / y);
        return 0;
}

/* Functions cannot be compared, wherever they hide. */
static bool has_func(Value v) {
        switch (v.kind) {
        case TYPE_FUNC:
                return true;
        case TYPE_LIST:
                return v.l->n > 0 && has_func(value_list_at(v.l, 0));
        case TYPE_MAP:
                return v.m->n > 0 && has_func(v.m->items[0].value);
        case TYPE_STRUCT:
                for (uint32_t i = 0; i < v.st->n; i++)
                        if (has_func(v.st->fields[i].value))
                                return true;
                return false;
        default:
                return false;
        }
}

static int op_equal(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        Value a = args[1], b = args[2];

        if (has_func(a) || has_func(b))
                return diag_set(reterr, (Pos) {}, -EINVAL, "unsupported kind: func");
        *ret = VALUE_BOOL(value_equal(a, b));
        return 0;
}

static int op_differ(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        int r = op_equal(call, args, n, ret, reterr);

        ret->b = r < 0 ? ret->b : !ret->b;
        return r;
}

#define COMPARISON(name, operator) \
        static int name(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) { \
                Value a = args[1], b = args[2]; \
                if (a.kind == TYPE_INT) \
                        *ret = VALUE_BOOL(a.i operator b.i); \
                else if (a.kind == TYPE_FLOAT) \
                        *ret = VALUE_BOOL(a.f operator b.f); \
                else \
                        return unsupported(a, reterr); \
                return 0; \
        }
COMPARISON(op_less, <)
COMPARISON(op_greater, >)
COMPARISON(op_less_equal, <=)
COMPARISON(op_greater_equal, >=)

static int op_and(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        Value a = args[1], b = args[2];

        *ret = VALUE_BOOL(a.b && b.b);
        return 0;
}

static int op_or(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        Value a = args[1], b = args[2];

        *ret = VALUE_BOOL(a.b || b.b);
        return 0;
}

static int op_not(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        *ret = VALUE_BOOL(!args[1].b);
        return 0;
}

/* On what an operator works, where its type leaves that open. */
typedef enum Works {
        WORKS_ON_BOOL           = 0,            /* its type says so */
        WORKS_ON_NUMBERS        = 1 << 0,
        WORKS_ON_STRINGS        = 1 << 1,
        WORKS_ON_ALL_BUT_FUNC   = 1 << 2,
} Works;

static const struct {
        const char *name;
        Operands operands;
        unsigned works;
        BuiltinEval *eval;
} operators[] = {
        { "+",   OPERANDS_SAME,    WORKS_ON_NUMBERS | WORKS_ON_STRINGS, op_add },
        { "-",   OPERANDS_SAME,    WORKS_ON_NUMBERS, op_subtract },
        { "*",   OPERANDS_SAME,    WORKS_ON_NUMBERS, op_multiply },
        { "/",   OPERANDS_DIVIDE,  WORKS_ON_NUMBERS, op_divide },
        { "==",  OPERANDS_COMPARE, WORKS_ON_ALL_BUT_FUNC, op_equal },
        { "!=",  OPERANDS_COMPARE, WORKS_ON_ALL_BUT_FUNC, op_differ },
        { "<",   OPERANDS_COMPARE, WORKS_ON_NUMBERS, op_less },
        { ">",   OPERANDS_COMPARE, WORKS_ON_NUMBERS, op_greater },
        { "<=",  OPERANDS_COMPARE, WORKS_ON_NUMBERS, op_less_equal },
        { ">=",  OPERANDS_COMPARE, WORKS_ON_NUMBERS, op_greater_equal },
        { "and", OPERANDS_BOOL,    WORKS_ON_BOOL, op_and },
        { "or",  OPERANDS_BOOL,    WORKS_ON_BOOL, op_or },
        { "not", OPERANDS_NOT,     WORKS_ON_BOOL, op_not },
};

static const char *const operator_types[_OPERANDS_MAX] = {
        [OPERANDS_SAME] = "func(op str, a ?1, b ?1) ?1",
        [OPERANDS_DIVIDE] = "func(op str, a ?1, b ?1) float",
        [OPERANDS_COMPARE] = "func(op str, a ?1, b ?1) bool",
        [OPERANDS_BOOL] = "func(op str, a bool, b bool) bool",
        [OPERANDS_NOT] = "func(op str, a bool) bool",
};

static size_t find_symbol(const char *name) {
        size_t i = 0;

        while (i < ELEMENTSOF(operators) && !streq(operators[i].name, name))
                i++;
        return i;
}

static size_t find_operator(Value name) {
        return find_symbol(value_cstr(name));
}

static bool holds_func(const Type *t) {
        if (t->kind == TYPE_FUNC || (t->key && holds_func(t->key)) || (t->element && holds_func(t->element)))
                return true;
        for (uint32_t i = 0; i < t->n_fields; i++)
                if (holds_func(t->fields[i].type))
                        return true;
        return false;
}

static int operator_check(const BuiltinCall *call, Diag *reterr) {
        size_t i = find_symbol(call->field);

        if (i == ELEMENTSOF(operators) || operators[i].works == WORKS_ON_BOOL)
                return 0;
        const Type *t = call->type->fields[1].type;
        unsigned works = operators[i].works;
        bool ok = works & WORKS_ON_ALL_BUT_FUNC
                          ? !holds_func(t)
                          : ((t->kind == TYPE_INT || t->kind == TYPE_FLOAT) && (works & WORKS_ON_NUMBERS)) ||
                                    (t->kind == TYPE_STR && (works & WORKS_ON_STRINGS)) || t->kind == TYPE_UNKNOWN;
        if (ok)
                return 0;
        return diag_set(reterr, (Pos) {}, -EINVAL, "operator `%s` does not work on %s", operators[i].name,
                        works & WORKS_ON_ALL_BUT_FUNC ? "func" : type_kind_name(t->kind));
}

static int operator_infer(Arena *arena, const BuiltinArg *args, size_t n, const Type **ret, Diag *reterr) {
        static const Type *types[_OPERANDS_MAX];

        if (n == 0 || !args[0].value || args[0].value->kind != TYPE_STR)
                return diag_set(reterr, (Pos) {}, -EINVAL, "the operator is not known");
        size_t i = find_operator(*args[0].value);
        if (i == ELEMENTSOF(operators))
                return diag_set(reterr, (Pos) {}, -EINVAL, "error finding signature for operator `%s`: operator not found",
                                value_cstr(*args[0].value));
        Operands o = operators[i].operands;
        if (!types[o] && type_parse(NULL, operator_types[o], &types[o], NULL) < 0)
                return -ENOMEM;
        if (types[o]->n_fields != n)
                return diag_set(reterr, (Pos) {}, -EINVAL, "error finding signature for operator `%s`: operator has wrong size",
                                operators[i].name);
        *ret = types[o];
        return 0;
}

static bool operator_fits(const Value *args, size_t n) {
        size_t i = n > 1 && args[0].kind == TYPE_STR ? find_operator(args[0]) : ELEMENTSOF(operators);

        if (i == ELEMENTSOF(operators) || n != (operators[i].operands == OPERANDS_NOT ? 2 : 3))
                return false;
        if (operators[i].operands >= OPERANDS_BOOL && args[1].kind != TYPE_BOOL)
                return false;
        return n == 2 || args[1].kind == args[2].kind;
}

static int operator_eval(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        size_t i = find_operator(args[0]);

        if (i == ELEMENTSOF(operators))
                return diag_set(reterr, (Pos) {}, -EINVAL, "operator `%s` does not exist", value_cstr(args[0]));
        return operators[i].eval(call, args, n, ret, reterr);
}

/* Programs always say which operator it is: it need not be looked up each time. */
static BuiltinEval *operator_choose(Value name) {
        size_t i = find_operator(name);

        return i < ELEMENTSOF(operators) ? operators[i].eval : NULL;
}

/* ---- lookups ---- */

int list_lookup(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const ValueList *l = args[0].l;
        int64_t i = args[1].i;

        if (i < 0) {
                diag_set(reterr, (Pos) {}, -ERANGE, "list index negative, got: %lld", (long long) i);
                return BUILTIN_CATCHABLE;
        }
        if (i >= l->n) {
                _cleanup_free_ char *text = value_text(args[0]);
                diag_set(reterr, (Pos) {}, -ERANGE, "list index not present, got: %lld, len is: %u, in: %s", (long long) i, l->n,
                         text ?: "?");
                return BUILTIN_CATCHABLE;
        }
        *ret = value_ref(value_list_at(l, (uint32_t) i));
        return 0;
}

int map_lookup(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const Value *found = value_map_get(args[0], args[1]);

        if (!found) {
                _cleanup_free_ char *key = value_text(args[1]), *map = value_text(args[0]);
                diag_set(reterr, (Pos) {}, -ENOENT, "map key not present, want: %s in %s", key ?: "?", map ?: "?");
                return BUILTIN_CATCHABLE;
        }
        *ret = value_ref(*found);
        return 0;
}

static int lookup_infer(Arena *arena, const BuiltinArg *args, size_t n, const Type **ret, Diag *reterr) {
        const char *text = "func(listormap ?1, indexorkey ?2) ?3";

        if (n == 2) {
                TypeKind kind = args[0].type ? args[0].type->kind : _TYPE_KIND_INVALID;
                if (kind == TYPE_LIST)
                        text = "func(list []?1, index int) ?1";
                else if (kind == TYPE_MAP || (kind != TYPE_LIST && args[1].type && args[1].type->kind != TYPE_INT))
                        text = "func(map map{?1: ?2}, key ?1) ?2";
        }
        return type_parse(arena, text, ret, reterr);
}

static int lookup_check(const BuiltinCall *call, Diag *reterr) {
        TypeKind kind = call->type->fields[0].type->kind;
        _cleanup_(diag_done) Diag difference = {};

        if (kind != TYPE_LIST && kind != TYPE_MAP)
                return diag_set(reterr, (Pos) {}, -EINVAL, "we must lookup from either a list or a map");
        const Type *key = kind == TYPE_LIST ? &type_int : call->type->fields[0].type->key;
        if (type_compare(key, call->type->fields[1].type, &difference) < 0 ||
            type_compare(call->type->fields[0].type->element, call->type->element, &difference) < 0)
                return diag_set(reterr, (Pos) {}, -EINVAL, "%s", difference.message ?: "types differ");
        return 0;
}

static bool lookup_fits(const Value *args, size_t n) {
        return n == 2 && (args[0].kind == TYPE_MAP || (args[0].kind == TYPE_LIST && args[1].kind == TYPE_INT));
}

static int lookup_eval(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return args[0].kind == TYPE_LIST ? list_lookup(call, args, n, ret, reterr) : map_lookup(call, args, n, ret, reterr);
}

static const Type *struct_field_type(const Type *t, const char *name) {
        for (uint32_t i = 0; t->kind == TYPE_STRUCT && i < t->n_fields; i++)
                if (streq(t->fields[i].name, name))
                        return t->fields[i].type;
        return NULL;
}

/* The struct argument is as known as it can be, and so is the result: from the field, or from what stands in for it. The name of
 * the field is always known, by syntax. */
static int field_infer(Arena *arena, const BuiltinArg *args, size_t n, const Type **ret, Diag *reterr) {
        if (n < 2 || !args[1].value || args[1].value->kind != TYPE_STR || args[1].value->s->size == 0)
                return diag_set(reterr, (Pos) {}, -EINVAL, "the field name is not known");

        const Type *st = args[0].type && args[0].type->kind == TYPE_STRUCT ? args[0].type : NULL;
        const Type *result = n > 2 ? args[2].type : st ? struct_field_type(st, value_cstr(*args[1].value)) : NULL;
        if (!st)
                st = type_unknown(arena, 1);
        if (!result)
                result = type_unknown(arena, 2);
        TypeField fields[3] = { { "struct", st }, { "field", &type_str }, { "optional", result } };
        if (!st || !result)
                return -ENOMEM;
        *ret = type_func(arena, fields, n, result);
        return *ret ? 0 : -ENOMEM;
}

static bool field_fits(const Value *args, size_t n) {
        return n >= 2 && args[0].kind == TYPE_STRUCT && args[1].kind == TYPE_STR;
}

static int field_check(const BuiltinCall *call, Diag *reterr) {
        const Type *st = call->type->fields[0].type;
        _cleanup_(diag_done) Diag difference = {};

        if (st->kind != TYPE_STRUCT)
                return diag_set(reterr, (Pos) {}, -EINVAL, "first arg must be of kind struct, got: %s", type_kind_name(st->kind));
        const Type *have = struct_field_type(st, call->field);
        if (!have)
                return diag_set(reterr, (Pos) {}, -EINVAL, "field %s was not found in struct", call->field);
        if (type_compare(call->type->element, have, &difference) < 0)
                return diag_set(reterr, (Pos) {}, -EINVAL, "field %s type error: %s", call->field, difference.message ?: "?");
        return 0;
}

static int field_or_check(const BuiltinCall *call, Diag *reterr) {
        const Type *st = call->type->fields[0].type;
        _cleanup_(diag_done) Diag difference = {};

        if (st->kind != TYPE_STRUCT)
                return diag_set(reterr, (Pos) {}, -EINVAL, "first arg must be of kind struct, got: %s", type_kind_name(st->kind));
        const Type *have = struct_field_type(st, call->field);
        if (have && type_compare(call->type->element, have, &difference) < 0)
                return diag_set(reterr, (Pos) {}, -EINVAL, "non-optional arg must match return type: %s", difference.message ?: "?");
        return 0;
}

static int field_eval(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const Value *found = value_struct_get(args[0], value_cstr(args[1]));

        if (!found)
                return diag_set(reterr, (Pos) {}, -ENOENT, "field %s was not found in struct", value_cstr(args[1]));
        *ret = value_ref(*found);
        return 0;
}

static int field_or_eval(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const Value *found = value_struct_get(args[0], value_cstr(args[1]));

        *ret = value_ref(found ? *found : args[2]);
        return 0;
}

/* ---- the rest ---- */

static int contains_eval(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        *ret = VALUE_BOOL(false);
        VALUE_LIST_FOREACH(item, args[1].l)
                if (value_equal(args[0], *item)) {
                        *ret = VALUE_BOOL(true);
                        break;
                }
        return 0;
}

static int concat_eval(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return add(args[0], args[1], ret, reterr);
}

static int len_check(const BuiltinCall *call, Diag *reterr) {
        TypeKind kind = call->type->fields[0].type->kind;

        if (kind != TYPE_STR && kind != TYPE_LIST && kind != TYPE_MAP)
                return diag_set(reterr, (Pos) {}, -EINVAL, "did not match");
        return 0;
}

static bool len_fits(const Value *args, size_t n) {
        return n == 1 && (args[0].kind == TYPE_STR || args[0].kind == TYPE_LIST || args[0].kind == TYPE_MAP);
}

static int len_eval(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        Value v = args[0];

        *ret = VALUE_INT(v.kind == TYPE_STR ? v.s->size : v.kind == TYPE_LIST ? v.l->n : v.m->n);
        return 0;
}

static int panic_check(const BuiltinCall *call, Diag *reterr) {
        TypeKind kind = call->type->fields[0].type->kind;

        if (kind != TYPE_BOOL && kind != TYPE_STR)
                return diag_set(reterr, (Pos) {}, -EINVAL, "did not match");
        return 0;
}

static int panic_eval(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        if (args[0].kind == TYPE_BOOL && args[0].b)
                return diag_set(reterr, (Pos) {}, -ECANCELED, "bool panic occurred");
        if (args[0].kind == TYPE_STR && args[0].s->size > 0)
                return diag_set(reterr, (Pos) {}, -ECANCELED, "str panic occurred: %s", value_cstr(args[0]));
        *ret = VALUE_BOOL(false);
        return 0;
}

static int panic_debug_eval(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        if (args[0].b)
                return diag_set(reterr, (Pos) {}, -ECANCELED, "bool panic occurred: %s", value_cstr(args[1]));
        *ret = VALUE_BOOL(false);
        return 0;
}

/* Names, with or without the hosts they come from. */
static int collect_check(const BuiltinCall *call, Diag *reterr) {
        static const char *const types[] = { "str", "[]str", "[]struct{name str; host str}" };

        for (size_t i = 0; i < ELEMENTSOF(types); i++) {
                static const Type *parsed[ELEMENTSOF(types)];
                if (!parsed[i] && type_parse(NULL, types[i], &parsed[i], NULL) < 0)
                        return diag_set(reterr, (Pos) {}, -ENOMEM, "out of memory");
                if (type_equal(parsed[i], call->type->fields[1].type))
                        return 0;
        }
        _cleanup_free_ char *text = type_text(call->type->fields[1].type);
        return diag_set(reterr, (Pos) {}, -EINVAL, "unexpected type: %s", text ?: "?");
}

const Builtin core_builtins[] = {
        { .name = "_collect", .signature = "func(kind str, names ?1) []struct{name str; host str; data str}",
          .check = collect_check, .flags = BUILTIN_SOURCE, .doc = "What other hosts export of a kind, under these names." },
        { .name = "_lookup", .signature = "func(listormap ?1, indexorkey ?2) ?3", .infer = lookup_infer, .n_args_max = 2,
          .fits = lookup_fits, .check = lookup_check, .eval = lookup_eval, .flags = BUILTIN_PURE,
          .doc = "An element of a list or map: list[index], map[key]." },
        { .name = "_operator", .signature = "func(op str, a ?1, b ?2) ?3", .infer = operator_infer, .n_args_max = 3,
          .fits = operator_fits, .check = operator_check, .eval = operator_eval, .choose = operator_choose,
          .flags = BUILTIN_PURE | BUILTIN_TAKES_SYMBOL, .doc = "An operator." },
        { .name = "_struct_lookup", .signature = "func(struct ?1, field str) ?2", .infer = field_infer, .n_args_max = 2,
          .fits = field_fits, .check = field_check, .eval = field_eval, .flags = BUILTIN_PURE | BUILTIN_TAKES_FIELD,
          .doc = "A field of a struct: st->field." },
        { .name = "_struct_lookup_optional", .signature = "func(struct ?1, field str, optional ?2) ?2", .infer = field_infer,
          .n_args_max = 3, .fits = field_fits, .check = field_or_check, .eval = field_or_eval,
          .flags = BUILTIN_PURE | BUILTIN_TAKES_FIELD,
          .doc = "A field of a struct, or another value where its type has none: st->field <|> other." },
        { .name = "concat", .signature = "func(a str, b str) str", .eval = concat_eval, .flags = BUILTIN_PURE,
          .doc = "Both strings in one.",
          .example = MCL(concat("a", "b")), .gives = MCL("ab") },
        { .name = "contains", .signature = "func(needle ?1, haystack []?1) bool", .eval = contains_eval, .flags = BUILTIN_PURE,
          .doc = "Whether the list haystack has an element equal to needle; also written needle in haystack.",
          .example = MCL(contains(2, [1, 2])), .gives = MCL(true) },
        { .name = "len", .signature = "func(0 ?1) int", .fits = len_fits, .check = len_check, .eval = len_eval,
          .flags = BUILTIN_PURE, .doc = "How many bytes a text has, elements a list, or pairs a map.",
          .example = MCL(len("hello")), .gives = MCL(5) },
        { .name = "list_lookup", .signature = "func(list []?1, index int) ?1", .eval = list_lookup, .flags = BUILTIN_PURE,
          .doc = "The element of list at index, counted from 0; also written list[index]. That there is none can be caught.",
          .example = MCL(list_lookup(["a", "b"], 1)), .gives = MCL("b") },
        { .name = "map_lookup", .signature = "func(map map{?1: ?2}, key ?1) ?2", .eval = map_lookup, .flags = BUILTIN_PURE,
          .doc = "The value of map under key; also written map[key]. That there is none can be caught.",
          .example = MCL(map_lookup({"a" => 1}, "a")), .gives = MCL(1) },
        { .name = "panic", .signature = "func(x ?1) bool", .check = panic_check, .eval = panic_eval,
          .doc = "Ends the program with an error when x is true, or a text that is not empty. It is a statement.",
          .example = MCL(panic($hostname == "")) },
        { .name = "panic_debug", .signature = "func(x bool, err str) bool", .eval = panic_debug_eval,
          .doc = "Ends the program with the error err when x is true.",
          .example = MCL(panic_debug($hostname == "", "no name")), .gives = MCL(false) },
        BUILTIN_WATCHED("history", "func(value ?1, index int) ?1",
                        "What value was, index milliseconds ago.",
                        MCL(history(42, 1000))),
        BUILTIN_WATCHED("random1", "func(length int) str",
                        "That many random letters; they stay the same as long as length does.",
                        MCL(random1(8))),
        {}
};
