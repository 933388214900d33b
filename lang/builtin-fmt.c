/* SPDX-License-Identifier: GPL-3.0-or-later */

/* fmt.printf: a small format language of its own, checked when the program is compiled wherever the format is known then. */

#include <errno.h>
#include <string.h>

#include "common/strbuf.h"
#include "lang/builtins.h"

static const struct { char letter; const Type *type; } verbs[] = {
        { 's', &type_str }, { 'q', &type_str }, { 'd', &type_int }, { 't', &type_bool }, { 'f', &type_float },
        { 'v', NULL }, { 'T', NULL },
};

/* The next verb at or after *at, which is left behind it: 1 and its number, 0 at the end, or -EINVAL with *at on the bad byte.
 * Plain bytes and "%%" go to out, if there is one. */
static int next_verb(const char *format, size_t size, size_t *at, StrBuf *out, size_t *ret) {
        for (; *at < size; (*at)++) {
                if (format[*at] != '%') {
                        if (out)
                                strbuf_putc(out, format[*at]);
                        continue;
                }
                if (++*at >= size)
                        return 0;
                if (format[*at] == '%') {
                        if (out)
                                strbuf_putc(out, '%');
                        continue;
                }
                for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                        if (verbs[i].letter == format[*at]) {
                                *ret = i;
                                (*at)++;
                                return 1;
                        }
                return -EINVAL;
        }
        return 0;
}

/* What a format that is known says of the arguments behind it: fields[1] and so on. */
static int read_verbs(const ValueStr *format, const BuiltinArg *args, size_t n, TypeField *fields, Diag *reterr) {
        size_t at = 0, verb, n_verbs = 0;
        int r;

        while ((r = next_verb(format->data, format->size, &at, NULL, &verb)) > 0)
                if (++n_verbs < n && verbs[verb].type)
                        fields[n_verbs].type = verbs[verb].type;
        if (r < 0)
                return diag_set(reterr, (Pos) {}, -EINVAL, "could not parse format string: invalid format string at %zu", at);
        if (n_verbs != n - 1)
                return diag_set(reterr, (Pos) {}, -EINVAL, "number of args (%zu) doesn't match format string verb count (%zu)",
                                n - 1, n_verbs);
        for (size_t i = 1; i < n; i++)
                if (args[i].type && fields[i].type->kind != TYPE_UNKNOWN && args[i].type->kind != TYPE_UNKNOWN &&
                    args[i].type->kind != fields[i].type->kind)
                        return diag_set(reterr, (Pos) {}, -EINVAL, "inconsistent type at arg index %zu: type error: %s != %s", i,
                                        type_kind_name(args[i].type->kind), type_kind_name(fields[i].type->kind));
        return 0;
}

static int printf_infer(Arena *arena, const BuiltinArg *args, size_t n, const Type **ret, Diag *reterr) {
        if (n == 0)
                return diag_set(reterr, (Pos) {}, -EINVAL, "must have at least one arg");
        if (args[0].type && args[0].type->kind != TYPE_STR) {
                _cleanup_free_ char *text = type_text(args[0].type);
                return diag_set(reterr, (Pos) {}, -EINVAL, "format string was a %s", text ?: "?");
        }

        TypeField *fields = arena_array(arena, TypeField, n);
        if (!fields)
                return -ENOMEM;
        fields[0] = (TypeField) { "format", &type_str };
        for (size_t i = 1; i < n; i++) {
                fields[i] = (TypeField) { builtin_arg_name(arena, NULL, i - 1), type_unknown(arena, (uint32_t) i) };
                if (!fields[i].name || !fields[i].type)
                        return -ENOMEM;
        }
        if (args[0].value && args[0].value->kind == TYPE_STR) {
                int r = read_verbs(args[0].value->s, args, n, fields, reterr);
                if (r < 0)
                        return r;
        }
        *ret = type_func(arena, fields, n, &type_str);
        return *ret ? 0 : -ENOMEM;
}

static bool printf_fits(const Value *args, size_t n) {
        return n > 0 && args[0].kind == TYPE_STR;
}

static int printf_eval(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const ValueStr *format = args[0].s;
        StrBuf out = { .limit = VALUE_STR_MAX };
        size_t at = 0, verb, next = 1;
        int r;

        while ((r = next_verb(format->data, format->size, &at, &out, &verb)) > 0) {
                if (next >= n) {
                        r = diag_set(reterr, (Pos) {}, -EINVAL, "more specifiers (%zu) than values (%zu)", next, n - 1);
                        break;
                }
                Value v = args[next++];
                if (verbs[verb].type && verbs[verb].type->kind != v.kind) {
                        r = diag_set(reterr, (Pos) {}, -EINVAL, "unexpected type: base kind does not match (%s != %s)",
                                     type_kind_name(verbs[verb].type->kind), type_kind_name(v.kind));
                        break;
                }
                if (verbs[verb].letter == 'T') {
                        _cleanup_free_ char *text = call->type ? type_text(call->type->fields[next - 1].type) : NULL;
                        if (!text) {
                                r = diag_set(reterr, (Pos) {}, -EINVAL, "the type is not known yet");
                                break;
                        }
                        strbuf_puts(&out, text);
                } else if (v.kind == TYPE_STR && verbs[verb].letter != 'q')
                        strbuf_add(&out, v.s->data, v.s->size);
                else
                        strbuf_value(&out, v);
        }
        if (r == -EINVAL && reterr && reterr->error == 0)
                diag_set(reterr, (Pos) {}, -EINVAL, "invalid format string at %zu", at);
        if (r >= 0)
                return value_str_take(ret, &out);
        strbuf_done(&out);
        return r;
}

const Builtin fmt_builtins[] = {
        { .name = "fmt.printf", .signature = "func(format str, a ?1, …) str", .infer = printf_infer, .n_args_max = -1,
          .fits = printf_fits, .eval = printf_eval, .flags = BUILTIN_PURE,
          .doc = "A text made by a format: %s and %q take a str, %d an int, %t a bool, %f a float, %v anything, %T prints the "
                 "type of its argument, and %% is a percent sign.",
          .example = MCL(fmt.printf("%s has %d of %v", "x", 2, [1, 2, 3])), .gives = MCL("x has 2 of [1, 2, 3]") },
        {}
};
