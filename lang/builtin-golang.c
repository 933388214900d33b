/* SPDX-License-Identifier: GPL-3.0-or-later */

/* golang: its templates, and how they reach the other functions. In a template a function is called by the name of its module
 * and its own, joined by _ (golang/strings.join is golang_strings_join); functions without a module begin with _. */

#include <errno.h>
#include <math.h>

#include "lang/builtins.h"
#include "lang/template.h"

static int template_infer(Arena *arena, const BuiltinArg *args, size_t n, const Type **ret, Diag *reterr) {
        if (n != 1 && n != 2)
                return diag_set(reterr, (Pos) {}, -EINVAL, "must have at either one or two args");
        return type_parse(arena, n == 1 ? "func(template str) str" : "func(template str, vars ?1) str", ret, reterr);
}

static bool has_unknown(const Type *t) {
        if (!t)
                return false;
        for (uint32_t i = 0; i < t->n_fields; i++)
                if (has_unknown(t->fields[i].type))
                        return true;
        return t->kind == TYPE_UNKNOWN || has_unknown(t->key) || has_unknown(t->element);
}

static bool is_called(const char *name, const char *in_template) {
        if (!strchr(name, '.'))
                return *in_template == '_' && streq(name, in_template + 1);
        for (; *name && *in_template; name++, in_template++)
                if (*in_template != (*name == '.' || *name == '/' ? '_' : *name))
                        return false;
        return *name == *in_template;
}

/* Only functions of one type that answer at once. */
static const Builtin *find(const char *in_template) {
        const Builtin *b;

        for (size_t i = 0; (b = builtin_at(i)); i++)
                if ((b->flags & (BUILTIN_PURE | BUILTIN_AT_ONCE)) && !b->infer && is_called(b->name, in_template) &&
                    !has_unknown(builtin_type(b)))
                        return b;
        return NULL;
}

static bool known(const char *name) {
        return find(name) != NULL;
}

/* As templates call them. */
static void put_type(StrBuf *b, const Type *t) {
        switch (t->kind) {
        case TYPE_INT:
                strbuf_puts(b, "int64");
                break;
        case TYPE_FLOAT:
                strbuf_puts(b, "float64");
                break;
        case TYPE_STR:
                strbuf_puts(b, "string");
                break;
        case TYPE_LIST:
                strbuf_puts(b, "[]");
                put_type(b, t->element);
                break;
        case TYPE_MAP:
                strbuf_puts(b, "map[");
                put_type(b, t->key);
                strbuf_puts(b, "]");
                put_type(b, t->element);
                break;
        default:
                strbuf_puts(b, type_kind_name(t->kind));
        }
}

/* A number that is written down is of either type that can say it. */
static void fit_constant(Value *v, const Type *t) {
        if (t->kind == TYPE_FLOAT && v->kind == TYPE_INT)
                *v = VALUE_FLOAT((double) v->i);
        else if (t->kind == TYPE_INT && v->kind == TYPE_FLOAT && fabs(v->f) < 9e15 && v->f == (double) (int64_t) v->f)
                *v = VALUE_INT((int64_t) v->f);
}

static int accept(void *userdata, const char *name, size_t i, const char *written, int written_size, Value *arg, Diag *reterr) {
        const Type *type = builtin_type(find(name));
        _cleanup_(strbuf_done) StrBuf want = {};

        if (i >= type->n_fields)        /* call() says so */
                return 0;
        type = type->fields[i].type;
        if (written)
                fit_constant(arg, type);
        if (value_check_type(*arg, type, NULL) >= 0)
                return 0;
        if (written && type->kind <= TYPE_FLOAT)
                return diag_set(reterr, (Pos) {}, -EINVAL, "expected %s; found %.*s",
                                type->kind == TYPE_INT ? "integer" : type->kind == TYPE_STR ? "string" : type_kind_name(type->kind),
                                written_size, written);
        put_type(&want, type);
        return diag_set(reterr, (Pos) {}, -EINVAL, "wrong type for value; expected %s; got %s", want.data ?: "?",
                        template_type_name(*arg));
}

static int call(void *userdata, const char *name, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const BuiltinCall *template_call = userdata;
        const Builtin *b = find(name);
        const Type *type = builtin_type(b);
        _cleanup_(value_done) Value result = VALUE_NIL;
        int r;

        if (n != type->n_fields)
                return diag_set(reterr, (Pos) {}, -EINVAL, "wrong number of args for %s: want %u got %zu", name, type->n_fields, n);
        BuiltinCall c = *template_call;
        c.builtin = b;
        c.type = type;
        r = b->eval ? b->eval(&c, args, n, &result, reterr) : builtin_ask(&c, b, args, n, &result, reterr);
        if (r != 0) {
                if (reterr)
                        (void) diag_prefix(reterr, "function `%s` errored", name);
                return r;
        }
        return template_value(result, ret);
}

static bool template_fits(const Value *args, size_t n) {
        return (n == 1 || n == 2) && args[0].kind == TYPE_STR;
}

static int template_eval(const BuiltinCall *c, const Value *args, size_t n, Value *ret, Diag *reterr) {
        _cleanup_(template_done) Template t = {};
        _cleanup_(strbuf_done) StrBuf out = { .limit = VALUE_STR_MAX };
        _cleanup_(value_done) Value data = VALUE_NIL;
        int r;

        if (n > 1) {
                r = template_value(args[1], &data);
                if (r == -EINVAL)
                        return diag_set(reterr, (Pos) {}, r, "can't use `func` as vars input");
                if (r < 0)
                        return r;
        }
        r = template_parse(&t, args[0].s->data, args[0].s->size, known, reterr);
        if (r == 0)
                r = template_run(&t, data, &(TemplateWorld) { (void *) c, accept, call }, &out, reterr);
        return r == 0 ? value_str_take(ret, &out) : r;
}

const Builtin golang_builtins[] = {
        { .name = "golang.template", .signature = "func(template str, vars ?1) str", .infer = template_infer, .n_args_max = -1,
          .fits = template_fits, .eval = template_eval, .flags = BUILTIN_PURE,
          .doc = "A text made by a template of Go: {{ .Name }} is the field name of vars, {{ if }} and {{ range }} are there, and "
                 "functions are called as in {{ strings_to_upper .Name }}.",
          .example = MCL(golang.template("hello, {{ .Name }}", struct{name => "you"})), .gives = MCL("hello, you") },
        {}
};
