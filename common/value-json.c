/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Values as JSON. What JSON cannot say is said in strings (NaN, infinities) or pairs (maps whose keys are not str); a reader that
 * knows the type gets back what was written. */

#include <json.h>
#include <math.h>

#include "common/strbuf.h"
#include "common/utf8.h"
#include "common/value.h"

/* Text in which every byte that does not belong to a character is U+FFFD. */
static char *sanitize(const ValueStr *s, bool as_key, size_t *ret_size) {
        StrBuf b = {};
        uint32_t c;

        for (size_t i = 0; i < s->size;) {
                size_t n = utf8_decode(s->data + i, s->size - i, &c);
                if (n == 0 || (as_key && c == 0))       /* keys end at a NUL */
                        strbuf_puts(&b, "\xef\xbf\xbd");
                else
                        strbuf_add(&b, s->data + i, n);
                i += MAX(n, (size_t) 1);
        }
        *ret_size = b.size;
        return strbuf_take(&b);
}

static int str_to_json(const ValueStr *s, struct json_object **ret) {
        size_t size;

        if (utf8_valid(s->data, s->size))
                *ret = json_object_new_string_len(s->data, (int) s->size);
        else {
                _cleanup_free_ char *text = sanitize(s, false, &size);
                if (!text)
                        return -ENOMEM;
                *ret = json_object_new_string_len(text, (int) size);
        }
        return *ret ? 0 : -ENOMEM;
}

static int float_to_json(double f, struct json_object **ret) {
        char text[FLOAT_TEXT_MAX + 2];
        size_t n = float_text(f, text);

        if (!isfinite(f))
                *ret = json_object_new_string(text);
        else {
                if (!strchr(text, '.'))
                        (void) stpcpy(text + n, ".0");  /* stays a float */
                *ret = json_object_new_double_s(f, text);
        }
        return *ret ? 0 : -ENOMEM;
}

/* Both of these take over the element. */
static int array_add(struct json_object *array, struct json_object *element) {
        if (json_object_array_add(array, element) == 0)
                return 0;
        json_object_put(element);
        return -ENOMEM;
}

static int object_add(struct json_object *object, const ValueStr *key, struct json_object *element) {
        size_t size;
        _cleanup_free_ char *text = sanitize(key, true, &size);

        if (text && json_object_object_add(object, text, element) == 0)
                return 0;
        json_object_put(element);
        return -ENOMEM;
}

static int list_to_json(const ValueList *l, struct json_object *array) {
        VALUE_LIST_FOREACH(item, l) {
                struct json_object *element;
                int r = value_to_json(*item, &element);
                if (r >= 0)
                        r = array_add(array, element);
                if (r < 0)
                        return r;
        }
        return 0;
}

static bool has_str_keys(const ValueMap *m) {
        for (uint32_t i = 0; i < m->n; i++)
                if (m->items[i].key.kind != TYPE_STR)
                        return false;
        return true;
}

static int map_to_object(const ValueMap *m, struct json_object *object) {
        for (uint32_t i = 0; i < m->n; i++) {
                struct json_object *element;
                int r = value_to_json(m->items[i].value, &element);
                if (r >= 0)
                        r = object_add(object, m->items[i].key.s, element);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int map_to_pairs(const ValueMap *m, struct json_object *array) {
        for (uint32_t i = 0; i < m->n; i++) {
                struct json_object *pair = json_object_new_array(), *element;
                if (!pair)
                        return -ENOMEM;
                int r = array_add(array, pair);
                if (r >= 0)
                        r = value_to_json(m->items[i].key, &element);
                if (r >= 0)
                        r = array_add(pair, element);
                if (r >= 0)
                        r = value_to_json(m->items[i].value, &element);
                if (r >= 0)
                        r = array_add(pair, element);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int struct_to_json(const ValueStruct *st, struct json_object *object) {
        for (uint32_t i = 0; i < st->n; i++) {
                struct json_object *element;
                int r = value_to_json(st->fields[i].value, &element);
                if (r >= 0)
                        r = object_add(object, st->fields[i].name, element);
                if (r < 0)
                        return r;
        }
        return 0;
}

int value_to_json(Value v, struct json_object **ret) {
        struct json_object *j = NULL;
        int r = 0;

        switch (v.kind) {
        case TYPE_BOOL:
                j = json_object_new_boolean(v.b);
                break;
        case TYPE_INT:
                j = json_object_new_int64(v.i);
                break;
        case TYPE_FLOAT:
                return float_to_json(v.f, ret);
        case TYPE_STR:
                return str_to_json(v.s, ret);
        case TYPE_LIST:
                j = json_object_new_array();
                r = j ? list_to_json(v.l, j) : -ENOMEM;
                break;
        case TYPE_MAP:
                if (has_str_keys(v.m)) {
                        j = json_object_new_object();
                        r = j ? map_to_object(v.m, j) : -ENOMEM;
                } else {
                        j = json_object_new_array();
                        r = j ? map_to_pairs(v.m, j) : -ENOMEM;
                }
                break;
        case TYPE_STRUCT:
                j = json_object_new_object();
                r = j ? struct_to_json(v.st, j) : -ENOMEM;
                break;
        default:
                *ret = NULL;    /* which is json-c's null */
                return 0;
        }
        if (!j)
                return -ENOMEM;
        if (r < 0) {
                json_object_put(j);
                return r;
        }
        *ret = j;
        return 0;
}

/* ---- and back ---- */

typedef struct Values {
        Value *items;
        size_t n;
} Values;

static void values_done(Values *l) {
        for (size_t i = 0; i < l->n; i++)
                value_done(&l->items[i]);
        free(l->items);
}

static int from_json(struct json_object *j, const Type *type, unsigned depth, Value *ret, Diag *reterr);

static const char *json_kind(struct json_object *j) {
        switch (json_object_get_type(j)) {
        case json_type_null:
                return "null";
        case json_type_boolean:
                return "a boolean";
        case json_type_double:
        case json_type_int:
                return "a number";
        case json_type_object:
                return "an object";
        case json_type_array:
                return "an array";
        default:
                return "a string";
        }
}

static int mismatch(struct json_object *j, const Type *type, Diag *reterr) {
        _cleanup_free_ char *text = type_text(type);
        return diag_set(reterr, (Pos) {}, -EINVAL, "expected %s, got %s", text ?: "another type", json_kind(j));
}

static int list_from_json(struct json_object *j, const Type *element, unsigned depth, Value *ret, Diag *reterr) {
        size_t n = json_object_array_length(j);
        _cleanup_(values_done) Values l = { .items = calloc(n + 1, sizeof(Value)) };

        if (!l.items)
                return -ENOMEM;
        for (; l.n < n; l.n++) {
                int r = from_json(json_object_array_get_idx(j, l.n), element, depth, &l.items[l.n], reterr);
                if (r < 0) {
                        diag_prefix(reterr, "element %zu", l.n);
                        return r;
                }
        }
        return value_list(ret, l.items, l.n);
}

static int map_from_object(struct json_object *j, const Type *element, unsigned depth, Value *ret, Diag *reterr) {
        size_t n = (size_t) json_object_object_length(j);
        _cleanup_(values_done) Values l = { .items = calloc(2 * n + 1, sizeof(Value)) };

        if (!l.items)
                return -ENOMEM;
        json_object_object_foreach(j, key, child) {
                int r = value_strz(&l.items[l.n], key);
                if (r < 0)
                        return r;
                l.n++;
                r = from_json(child, element, depth, &l.items[l.n], reterr);
                if (r < 0) {
                        diag_prefix(reterr, "key '%s'", key);
                        return r;
                }
                l.n++;
        }
        return value_map(ret, l.items, n);
}

static int map_from_pairs(struct json_object *j, const Type *type, unsigned depth, Value *ret, Diag *reterr) {
        size_t n = json_object_array_length(j);
        _cleanup_(values_done) Values l = { .items = calloc(2 * n + 1, sizeof(Value)) };

        if (!l.items)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                struct json_object *pair = json_object_array_get_idx(j, i);
                if (!json_object_is_type(pair, json_type_array) || json_object_array_length(pair) != 2)
                        return diag_set(reterr, (Pos) {}, -EINVAL, "element %zu: expected a pair of key and value", i);
                for (size_t k = 0; k < 2; k++) {
                        int r = from_json(json_object_array_get_idx(pair, k), k == 0 ? type->key : type->element, depth,
                                          &l.items[l.n], reterr);
                        if (r < 0) {
                                diag_prefix(reterr, "element %zu", i);
                                return r;
                        }
                        l.n++;
                }
        }
        return value_map(ret, l.items, n);
}

static int struct_from_json(struct json_object *j, const Type *type, unsigned depth, Value *ret, Diag *reterr) {
        size_t n = type ? type->n_fields : (size_t) json_object_object_length(j);
        _cleanup_(values_done) Values l = { .items = calloc(n + 1, sizeof(Value)) };
        _cleanup_free_ const char **names = calloc(n + 1, sizeof(char *));

        if (!l.items || !names)
                return -ENOMEM;
        if (type && (size_t) json_object_object_length(j) != n)
                return diag_set(reterr, (Pos) {}, -EINVAL, "struct field count differs");
        if (!type) {
                size_t i = 0;
                json_object_object_foreach(j, key, child) {
                        (void) child;
                        names[i++] = key;
                }
        }
        for (; l.n < n; l.n++) {
                const char *name = type ? type->fields[l.n].name : names[l.n];
                struct json_object *child;

                names[l.n] = name;
                if (!json_object_object_get_ex(j, name, &child))
                        return diag_set(reterr, (Pos) {}, -EINVAL, "field '%s' is missing", name);
                int r = from_json(child, type ? type->fields[l.n].type : NULL, depth, &l.items[l.n], reterr);
                if (r < 0) {
                        diag_prefix(reterr, "field '%s'", name);
                        return r;
                }
        }
        return value_struct(ret, names, l.items, l.n);
}

static int int_from_json(struct json_object *j, Value *ret, Diag *reterr) {
        int64_t i = json_object_get_int64(j);

        if (i == INT64_MAX && json_object_get_uint64(j) > INT64_MAX)
                return diag_set(reterr, (Pos) {}, -ERANGE, "number is larger than the largest int");
        *ret = VALUE_INT(i);
        return 0;
}

static int natural(struct json_object *j, unsigned depth, Value *ret, Diag *reterr) {
        switch (json_object_get_type(j)) {
        case json_type_null:
                *ret = VALUE_NIL;
                return 0;
        case json_type_boolean:
                *ret = VALUE_BOOL(json_object_get_boolean(j));
                return 0;
        case json_type_double:
                *ret = VALUE_FLOAT(json_object_get_double(j));
                return 0;
        case json_type_int:
                return int_from_json(j, ret, reterr);
        case json_type_object:
                return struct_from_json(j, NULL, depth, ret, reterr);
        case json_type_array:
                return list_from_json(j, NULL, depth, ret, reterr);
        default:
                return value_str(ret, json_object_get_string(j), (size_t) json_object_get_string_len(j));
        }
}

static bool float_from_string(struct json_object *j, Value *ret) {
        const char *s = json_object_get_string(j);

        if (streq(s, "NaN"))
                *ret = VALUE_FLOAT(NAN);
        else if (streq(s, "+Inf"))
                *ret = VALUE_FLOAT(INFINITY);
        else if (streq(s, "-Inf"))
                *ret = VALUE_FLOAT(-INFINITY);
        else
                return false;
        return true;
}

static int from_json(struct json_object *j, const Type *type, unsigned depth, Value *ret, Diag *reterr) {
        enum json_type got = json_object_get_type(j);

        if (depth >= VALUE_DEPTH_MAX)
                return diag_set(reterr, (Pos) {}, -E2BIG, "nested deeper than %d", VALUE_DEPTH_MAX);
        depth++;
        if (!type || type->kind == TYPE_VARIANT)
                return natural(j, depth, ret, reterr);

        switch (type->kind) {
        case TYPE_NIL:
                if (got == json_type_null)
                        return natural(j, depth, ret, reterr);
                break;
        case TYPE_BOOL:
                if (got == json_type_boolean)
                        return natural(j, depth, ret, reterr);
                break;
        case TYPE_STR:
                if (got == json_type_string)
                        return natural(j, depth, ret, reterr);
                break;
        case TYPE_INT:
                if (got == json_type_int)
                        return natural(j, depth, ret, reterr);
                break;
        case TYPE_FLOAT:
                if (got == json_type_double || got == json_type_int) {
                        *ret = VALUE_FLOAT(json_object_get_double(j));
                        return 0;
                }
                if (got == json_type_string && float_from_string(j, ret))
                        return 0;
                break;
        case TYPE_LIST:
                if (got == json_type_array)
                        return list_from_json(j, type->element, depth, ret, reterr);
                break;
        case TYPE_MAP:
                if (got == json_type_object && type->key->kind == TYPE_STR)
                        return map_from_object(j, type->element, depth, ret, reterr);
                if (got == json_type_object && json_object_object_length(j) == 0)      /* has no keys to tell */
                        return value_map(ret, NULL, 0);
                if (got == json_type_array)
                        return map_from_pairs(j, type, depth, ret, reterr);
                break;
        case TYPE_STRUCT:
                if (got == json_type_object)
                        return struct_from_json(j, type, depth, ret, reterr);
                break;
        default:
                break;
        }
        return mismatch(j, type, reterr);
}

int value_from_json(struct json_object *j, const Type *type, Value *ret, Diag *reterr) {
        Value v = VALUE_NIL;
        int r = from_json(j, type, 0, &v, reterr);

        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "%m");
        *ret = v;
        return 0;
}
