/* SPDX-License-Identifier: GPL-3.0-or-later */

/* encoding: base64 and JSON. */

#include <errno.h>
#include <json.h>
#include <math.h>
#include <string.h>

#include "common/base64.h"
#include "common/strbuf.h"
#include "common/utf8.h"
#include "lang/builtins.h"

static int encode(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        StrBuf b = {};

        strbuf_base64(&b, args[0].s->data, args[0].s->size);
        return value_str_take(ret, &b);
}

static int decode(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        StrBuf b = {};
        size_t at;
        int r;

        r = strbuf_unbase64(&b, args[0].s->data, args[0].s->size, &at);
        if (r >= 0)
                return value_str_take(ret, &b);
        strbuf_done(&b);
        return r != -EINVAL ? r :
                diag_set(reterr, (Pos) {}, -EINVAL, "could not decode base64: illegal base64 data at input byte %zu", at);
}

/* ---- JSON ---- */

enum { JSON_DEPTH_MAX = 1000 };

/* What values are made of while they are read: released together, whatever becomes of them. */
typedef struct Items {
        Value *values;
        const char **names;
        size_t n;
} Items;

static void items_done(Items *l) {
        for (size_t i = 0; i < l->n; i++)
                value_done(&l->values[i]);
        free(l->values);
        free(l->names);
}

static int items_make(Items *l, size_t n) {
        l->values = calloc(n + 1, sizeof(Value));
        l->names = calloc(n + 1, sizeof(char *));
        return l->values && l->names ? 0 : -ENOMEM;
}

static int refuse(Diag *reterr, const char *problem) {
        return diag_set(reterr, (Pos) {}, -EINVAL, "%s", problem);
}

/* Bytes that are not UTF-8 become replacement characters. */
static int text_from_json(const char *s, size_t size, Value *ret) {
        StrBuf b = {};

        for (size_t i = 0; i < size;) {
                uint32_t c;
                size_t length = utf8_decode(s + i, size - i, &c);
                if (length > 0)
                        strbuf_add(&b, s + i, length);
                else
                        strbuf_puts(&b, "\uFFFD");
                i += MAX(length, (size_t) 1);
        }
        return value_str_take(ret, &b);
}

static int typed_from_json(struct json_object *j, const Type *type, bool flexible, Value *ret, Diag *reterr);

static int list_from_json(struct json_object *j, const Type *type, bool flexible, Value *ret, Diag *reterr) {
        size_t n = json_object_array_length(j);
        _cleanup_(items_done) Items l = {};
        int r = items_make(&l, n);

        for (; r >= 0 && l.n < n; l.n++)
                r = typed_from_json(json_object_array_get_idx(j, l.n), type->element, flexible, &l.values[l.n], reterr);
        return r < 0 ? r : value_list(ret, l.values, l.n);
}

static int map_from_json(struct json_object *j, const Type *type, bool flexible, Value *ret, Diag *reterr) {
        _cleanup_(items_done) Items l = {};
        int r = items_make(&l, 2 * (size_t) json_object_object_length(j));

        if (r < 0)
                return r;
        if (type->key->kind != TYPE_STR && json_object_object_length(j) > 0) {
                _cleanup_free_ char *text = type_text(type->key);
                return diag_set(reterr, (Pos) {}, -EINVAL, "type doesn't match %s", text ?: "key");
        }
        json_object_object_foreach(j, key, child) {
                r = text_from_json(key, strlen(key), &l.values[l.n++]);
                if (r >= 0)
                        r = typed_from_json(child, type->element, flexible, &l.values[l.n++], reterr);
                if (r < 0)
                        return r;
        }
        return value_map(ret, l.values, l.n / 2);
}

static int struct_from_json(struct json_object *j, const Type *type, bool flexible, Value *ret, Diag *reterr) {
        _cleanup_(items_done) Items l = {};
        int r = items_make(&l, type->n_fields);

        if (!flexible && (size_t) json_object_object_length(j) != type->n_fields)
                return refuse(reterr, "incompatible number of fields");
        for (; r >= 0 && l.n < type->n_fields; l.n++) {
                const TypeField *f = &type->fields[l.n];
                struct json_object *child;

                l.names[l.n] = f->name;
                if (json_object_object_get_ex(j, f->name, &child))
                        r = typed_from_json(child, f->type, flexible, &l.values[l.n], reterr);
                else if (flexible)
                        r = value_zero(&l.values[l.n], f->type);
                else
                        r = diag_set(reterr, (Pos) {}, -EINVAL, "field %s was not found in struct", f->name);
        }
        return r < 0 ? r : value_struct(ret, l.names, l.values, l.n);
}

/* As deep as the type is. */
static int typed_from_json(struct json_object *j, const Type *type, bool flexible, Value *ret, Diag *reterr) {
        enum json_type got = json_object_get_type(j);
        bool number = got == json_type_int || got == json_type_double;

        switch (type->kind) {
        case TYPE_BOOL:
                if (got != json_type_boolean)
                        return refuse(reterr, "type doesn't match bool");
                *ret = VALUE_BOOL(json_object_get_boolean(j));
                return 0;
        case TYPE_STR:
                if (got != json_type_string)
                        return refuse(reterr, "type doesn't match str");
                return text_from_json(json_object_get_string(j), (size_t) json_object_get_string_len(j), ret);
        case TYPE_INT:
                if (!number)
                        return refuse(reterr, "type doesn't match int");
                if (got == json_type_double ||
                    (json_object_get_int64(j) == INT64_MAX && json_object_get_uint64(j) > (uint64_t) INT64_MAX))
                        return refuse(reterr, "num doesn't contain int64");
                *ret = VALUE_INT(json_object_get_int64(j));
                return 0;
        case TYPE_FLOAT:
                if (!number)
                        return refuse(reterr, "type doesn't match float");
                *ret = VALUE_FLOAT(json_object_get_double(j));
                return isfinite(ret->f) ? 0 : refuse(reterr, "num doesn't contain float64");
        case TYPE_LIST:
                return got == json_type_array ? list_from_json(j, type, flexible, ret, reterr) :
                       refuse(reterr, "type doesn't match list");
        case TYPE_MAP:
                return got == json_type_object ? map_from_json(j, type, flexible, ret, reterr) :
                       refuse(reterr, "type doesn't match map");
        case TYPE_STRUCT:
                return got == json_type_object ? struct_from_json(j, type, flexible, ret, reterr) :
                       refuse(reterr, "type doesn't match struct");
        default:
                return refuse(reterr, "func type");
        }
}

static void tokener_freep(struct json_tokener **t) { json_tokener_free(*t); }
static void object_putp(struct json_object **j) { json_object_put(*j); }

/* The first value of the text; what follows counts for nothing. */
static int parse_json(const ValueStr *text, struct json_object **ret, Diag *reterr) {
        _cleanup_(tokener_freep) struct json_tokener *t = json_tokener_new_ex(JSON_DEPTH_MAX);

        if (!t)
                return -ENOMEM;
        json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS);
        *ret = json_tokener_parse_ex(t, text->data, (int) text->size);
        if (json_tokener_get_error(t) == json_tokener_continue)
                *ret = json_tokener_parse_ex(t, "", 1);         /* the end of a number */
        switch (json_tokener_get_error(t)) {
        case json_tokener_success:
                return 0;
        case json_tokener_continue:
        case json_tokener_error_parse_eof:
                return diag_set(reterr, (Pos) {}, -EINVAL, "invalid JSON: %s",
                                strspn(text->data, " \t\r\n") == text->size ? "EOF" : "unexpected EOF");
        default:
                return diag_set(reterr, (Pos) {}, -EINVAL, "invalid JSON: %s at byte %zu",
                                json_tokener_error_desc(json_tokener_get_error(t)), json_tokener_get_parse_end(t));
        }
}

static int decode_typed(const BuiltinCall *call, const Value *args, size_t n, bool flexible, Value *ret, Diag *reterr) {
        _cleanup_(object_putp) struct json_object *j = NULL;
        const Type *type = call->type->element;

        if (n == 2) {
                _cleanup_free_ char *text = type_text(type);
                if (!text)
                        return -ENOMEM;
                _cleanup_(arena_freep) Arena *arena = arena_new(0);
                const Type *asked;
                if (!arena)
                        return -ENOMEM;
                if (type_parse(arena, value_cstr(args[1]), &asked, NULL) < 0)
                        return refuse(reterr, "invalid type specification");
                if (!type_equal(asked, type))
                        return diag_set(reterr, (Pos) {}, -EINVAL, "incompatible types: %s is not %s", value_cstr(args[1]), text);
        }
        int r = parse_json(args[0].s, &j, reterr);
        return r < 0 ? r : typed_from_json(j, type, flexible, ret, reterr);
}

static int decode_json(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return decode_typed(call, args, n, false, ret, reterr);
}

static int decode_json_flexible(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return decode_typed(call, args, n, true, ret, reterr);
}

/* The second argument says the type of the result, if it is known. */
static int decode_infer(Arena *arena, const BuiltinArg *args, size_t n, const Type **ret, Diag *reterr) {
        const Type *result = type_unknown(arena, 1);

        if (n != 1 && n != 2)
                return diag_set(reterr, (Pos) {}, -EINVAL, "must have either one or two args");
        if (n == 2 && args[1].value && args[1].value->kind == TYPE_STR &&
            type_parse(arena, value_cstr(*args[1].value), &result, NULL) < 0)
                return diag_set(reterr, (Pos) {}, -EINVAL, "invalid type specification");
        TypeField fields[] = { { "data", &type_str }, { "type", &type_str } };
        *ret = result ? type_func(arena, fields, n, result) : NULL;
        return *ret ? 0 : -ENOMEM;
}

const Builtin encoding_builtins[] = {
        { .name = "encoding.base64_decode", .signature = "func(data str) str", .eval = decode, .flags = BUILTIN_PURE,
          .doc = "The bytes that a text in base64 stands for.",
          .example = MCL(encoding.base64_decode("aGVsbG8=")), .gives = MCL("hello") },
        { .name = "encoding.base64_encode", .signature = "func(data str) str", .eval = encode, .flags = BUILTIN_PURE,
          .doc = "The bytes as a text in base64, with padding.",
          .example = MCL(encoding.base64_encode("hello")), .gives = MCL("aGVsbG8=") },
        { .name = "encoding.decode_json", .signature = "func(data str, type str) ?1", .infer = decode_infer, .n_args_max = -1,
          .eval = decode_json, .doc = "The value that data says in JSON, of the type that is given, or else of the one it is used as.",
          .example = MCL(encoding.decode_json("[1, 2]", "[]int")), .gives = MCL([1, 2]) },
        { .name = "encoding.decode_json_flexible", .signature = "func(data str, type str) ?1", .infer = decode_infer,
          .n_args_max = -1, .eval = decode_json_flexible,
          .doc = "As decode_json, but members that a struct does not have count for nothing, and fields that are not there are "
                 "zero.",
          .example = MCL(encoding.decode_json_flexible("{\"a\": 1, \"b\": 2}", "struct{a int; c str}")),
          .gives = MCL(struct{a: 1; c: ""}) },
        {}
};
