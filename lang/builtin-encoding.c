/* SPDX-License-Identifier: GPL-3.0-or-later */

/* encoding: base64 and JSON. */

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "common/base64.h"
#include "common/json-document.h"
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

enum { JSON_DEPTH_MAX = 1000, JSON_MEMORY_MAX = 256 * 1024 * 1024 };

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
static int text_from_json(JsonText text, Value *ret) {
        StrBuf b = {};

        for (size_t i = 0; i < text.size;) {
                uint32_t c;
                size_t length = utf8_decode(text.data + i, text.size - i, &c);
                if (length > 0)
                        strbuf_add(&b, text.data + i, length);
                else
                        strbuf_puts(&b, "\uFFFD");
                i += MAX(length, (size_t) 1);
        }
        return value_str_take(ret, &b);
}

static int typed_from_json(const JsonNode *j, const Type *type, bool flexible, Value *ret, Diag *reterr);

static int list_from_json(const JsonNode *j, const Type *type, bool flexible, Value *ret, Diag *reterr) {
        _cleanup_(items_done) Items l = {};
        int r = items_make(&l, j->n);

        for (; r >= 0 && l.n < j->n; l.n++)
                r = typed_from_json(j->items[l.n], type->element, flexible, &l.values[l.n], reterr);
        return r < 0 ? r : value_list(ret, l.values, l.n);
}

static int map_from_json(const JsonNode *j, const Type *type, bool flexible, Value *ret, Diag *reterr) {
        _cleanup_(items_done) Items l = {};
        int r = items_make(&l, 2 * j->n);

        if (r < 0)
                return r;
        if (type->key->kind != TYPE_STR && j->n > 0) {
                _cleanup_free_ char *text = type_text(type->key);
                return diag_set(reterr, (Pos) {}, -EINVAL, "type doesn't match %s", text ?: "key");
        }
        for (size_t i = 0; i < j->n; i++) {
                r = text_from_json(j->members[i].name, &l.values[l.n++]);
                if (r >= 0)
                        r = typed_from_json(j->members[i].value, type->element, flexible, &l.values[l.n++], reterr);
                if (r < 0)
                        return r;
        }
        return value_map(ret, l.values, l.n / 2);
}

static int struct_from_json(const JsonNode *j, const Type *type, bool flexible, Value *ret, Diag *reterr) {
        _cleanup_(items_done) Items l = {};
        int r = items_make(&l, type->n_fields);

        if (!flexible && j->n != type->n_fields)
                return refuse(reterr, "incompatible number of fields");
        for (; r >= 0 && l.n < type->n_fields; l.n++) {
                const TypeField *f = &type->fields[l.n];
                const JsonNode *child = json_object_find(j, (JsonText) { f->name, strlen(f->name) });

                l.names[l.n] = f->name;
                if (child)
                        r = typed_from_json(child, f->type, flexible, &l.values[l.n], reterr);
                else if (flexible)
                        r = value_zero(&l.values[l.n], f->type);
                else
                        r = diag_set(reterr, (Pos) {}, -EINVAL, "field %s was not found in struct", f->name);
        }
        return r < 0 ? r : value_struct(ret, l.names, l.values, l.n);
}

static bool is_number(const JsonNode *j) {
        return j->kind == JSON_LITERAL && (*j->text.data == '-' || isdigit((unsigned char) *j->text.data));
}

/* One that is written without a point and an exponent. */
static int int_from_json(JsonText text, Value *ret, Diag *reterr) {
        bool negative = *text.data == '-', ok = true;
        int64_t i = 0;

        for (size_t at = negative; at < text.size && ok; at++) {
                int digit = text.data[at] - '0';
                ok = digit >= 0 && digit <= 9 && !__builtin_mul_overflow(i, 10, &i) &&
                     !__builtin_add_overflow(i, negative ? -digit : digit, &i);
        }
        if (!ok)
                return refuse(reterr, "num doesn't contain int64");
        *ret = VALUE_INT(i);
        return 0;
}

static int float_from_json(JsonText text, Value *ret, Diag *reterr) {
        _cleanup_free_ char *copy = strndup(text.data, text.size);

        if (!copy)
                return -ENOMEM;
        *ret = VALUE_FLOAT(strtod(copy, NULL));
        return isfinite(ret->f) ? 0 : refuse(reterr, "num doesn't contain float64");
}

/* As deep as the type is. */
static int typed_from_json(const JsonNode *j, const Type *type, bool flexible, Value *ret, Diag *reterr) {
        switch (type->kind) {
        case TYPE_BOOL:
                if (j->kind != JSON_LITERAL || (*j->text.data != 't' && *j->text.data != 'f'))
                        return refuse(reterr, "type doesn't match bool");
                *ret = VALUE_BOOL(*j->text.data == 't');
                return 0;
        case TYPE_STR:
                return j->kind == JSON_STRING ? text_from_json(j->text, ret) : refuse(reterr, "type doesn't match str");
        case TYPE_INT:
                return is_number(j) ? int_from_json(j->text, ret, reterr) : refuse(reterr, "type doesn't match int");
        case TYPE_FLOAT:
                return is_number(j) ? float_from_json(j->text, ret, reterr) : refuse(reterr, "type doesn't match float");
        case TYPE_LIST:
                return j->kind == JSON_ARRAY ? list_from_json(j, type, flexible, ret, reterr) :
                       refuse(reterr, "type doesn't match list");
        case TYPE_MAP:
                return j->kind == JSON_OBJECT ? map_from_json(j, type, flexible, ret, reterr) :
                       refuse(reterr, "type doesn't match map");
        case TYPE_STRUCT:
                return j->kind == JSON_OBJECT ? struct_from_json(j, type, flexible, ret, reterr) :
                       refuse(reterr, "type doesn't match struct");
        default:
                return refuse(reterr, "func type");
        }
}

/* The first value of the text; what follows counts for nothing. */
static int parse_json(Arena *arena, const ValueStr *text, const JsonNode **ret, Diag *reterr) {
        _cleanup_(diag_done) Diag why = {};
        JsonNode *node;
        int r = json_document_parse_first(arena, text->data, text->size, JSON_DEPTH_MAX, &node, &why);

        if (r == -ENODATA)
                return diag_set(reterr, (Pos) {}, -EINVAL, "invalid JSON: %s",
                                strspn(text->data, " \t\r\n") == text->size ? "EOF" : "unexpected EOF");
        if (r < 0)
                return diag_set(reterr, (Pos) {}, -EINVAL, "invalid JSON: %s", why.message ?: "out of memory");
        *ret = node;
        return 0;
}

static int decode_typed(const BuiltinCall *call, const Value *args, size_t n, bool flexible, Value *ret, Diag *reterr) {
        _cleanup_(arena_freep) Arena *document = arena_new(JSON_MEMORY_MAX);
        const Type *type = call->type->element;
        const JsonNode *j = NULL;

        if (!document)
                return -ENOMEM;
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
        int r = parse_json(document, args[0].s, &j, reterr);
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
