/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Fields: language values into C structs and back. One row of natives[] per FieldType says how it looks from both sides. */

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "common/field.h"
#include "common/map.h"

static const struct {
        const char *name;       /* as messages about overflow spell it */
        const Type *type;
        int64_t min, max;       /* integers */
        size_t size;
} natives[_FIELD_TYPE_MAX] = {
        [FIELD_BOOL]    = { "bool",    &type_bool,     0, 0, sizeof(bool) },
        [FIELD_STR]     = { "string",  &type_str,      0, 0, sizeof(char *) },
        [FIELD_INT8]    = { "int8",    &type_int,      INT8_MIN, INT8_MAX, 1 },
        [FIELD_INT16]   = { "int16",   &type_int,      INT16_MIN, INT16_MAX, 2 },
        [FIELD_INT32]   = { "int32",   &type_int,      INT32_MIN, INT32_MAX, 4 },
        [FIELD_INT64]   = { "int64",   &type_int,      INT64_MIN, INT64_MAX, 8 },
        [FIELD_UINT8]   = { "uint8",   &type_int,      0, UINT8_MAX, 1 },
        [FIELD_UINT16]  = { "uint16",  &type_int,      0, UINT16_MAX, 2 },
        [FIELD_UINT32]  = { "uint32",  &type_int,      0, UINT32_MAX, 4 },
        [FIELD_UINT64]  = { "uint64",  &type_int,      0, INT64_MAX, 8 },
        [FIELD_FLOAT32] = { "float32", &type_float,    0, 0, sizeof(float) },
        [FIELD_FLOAT64] = { "float64", &type_float,    0, 0, sizeof(double) },
        [FIELD_STRV]    = { "slice",   &type_list_str, 0, 0, sizeof(char **) },
        [FIELD_VALUE]   = { "interface", NULL,         0, 0, sizeof(Value) },
};

/* ---- tables ---- */

const char *field_type_name(FieldType type) {
        return natives[type].name;
}

int field_type_from_name(const char *name) {
        for (int i = 0; i < _FIELD_TYPE_MAX; i++)
                if (streq(natives[i].name, name))
                        return i;
        return -EINVAL;
}

size_t field_type_size(FieldType type) {
        return natives[type].size;
}

const Type *field_type_from_text(const char *text) {
        static Map *known;      /* a few dozen texts, parsed once each */

        if (streq(text, "str"))
                return &type_str;
        if (streq(text, "variant"))
                return &type_variant;
        const Type *t = map_get(known, text);
        if (t)
                return t;
        if (!known)
                known = map_new();
        if (!known || type_parse(NULL, text, &t, NULL) < 0 || map_put(known, text, (void *) t) < 0)
                return NULL;
        return t;
}

const Type *field_mcl_type(const FieldSpec *f) {
        return f->type == FIELD_VALUE ? field_type_from_text(f->mcl_type) : natives[f->type].type;
}

const FieldSpec *field_find(const FieldSpec *fields, const char *name) {
        for (const FieldSpec *f = fields; f && f->name; f++)
                if (f->name[0] == name[0] && streq(f->name, name))
                        return f;
        return NULL;
}

size_t fields_count(const FieldSpec *fields) {
        size_t n = 0;

        while (fields && fields[n].name)
                n++;
        return n;
}

/* ---- one field of one object ---- */

static inline const void *at(const FieldSpec *f, const void *object) {
        return (const char *) object + f->offset;
}

/* The bits of an integer member, sign-extended where it has a sign. */
static uint64_t get_bits(const FieldSpec *f, const void *p) {
        switch (f->type) {
        case FIELD_INT8:
                return (uint64_t) (int64_t) *(const int8_t *) p;
        case FIELD_INT16:
                return (uint64_t) (int64_t) *(const int16_t *) p;
        case FIELD_INT32:
                return (uint64_t) (int64_t) *(const int32_t *) p;
        case FIELD_UINT8:
                return *(const uint8_t *) p;
        case FIELD_UINT16:
                return *(const uint16_t *) p;
        case FIELD_UINT32:
                return *(const uint32_t *) p;
        default:
                return *(const uint64_t *) p;
        }
}

static void set_bits(const FieldSpec *f, void *p, uint64_t x) {
        switch (natives[f->type].size) {
        case 1:
                *(uint8_t *) p = (uint8_t) x;
                break;
        case 2:
                *(uint16_t *) p = (uint16_t) x;
                break;
        case 4:
                *(uint32_t *) p = (uint32_t) x;
                break;
        default:
                *(uint64_t *) p = x;
        }
}

static int set_int(const FieldSpec *f, void *p, int64_t i, Diag *reterr) {
        const char *native = natives[f->type].name;

        if (natives[f->type].min == 0 && i < 0)
                return diag_set(reterr, (Pos) {}, -ERANGE, "can't store negative int `%" PRId64 "` into unsigned `%s` field", i, native);
        if (i < natives[f->type].min || i > natives[f->type].max)
                return diag_set(reterr, (Pos) {}, -ERANGE, "%" PRId64 " is an `%s`, and rv `%" PRId64 "` will overflow it",
                                (int64_t) get_bits(f, p), native, i);
        set_bits(f, p, (uint64_t) i);
        return 0;
}

static int set_float(const FieldSpec *f, void *p, double x, Diag *reterr) {
        if (f->type == FIELD_FLOAT64) {
                *(double *) p = x;
                return 0;
        }
        if (isfinite(x) && fabs(x) > (double) FLT_MAX) {
                char now[FLOAT_TEXT_MAX], wanted[FLOAT_TEXT_MAX];
                (void) float_text((double) *(float *) p, now);
                (void) float_text(x, wanted);
                return diag_set(reterr, (Pos) {}, -ERANGE, "%s is an `float32`, and rv `%s` will overflow it", now, wanted);
        }
        *(float *) p = (float) x;
        return 0;
}

/* Most texts are empty. They are this one: it is never written to, and never freed. */
static char empty_text[] = "";

static void text_free(char *s) {
        if (s != empty_text)
                free(s);
}

void field_take_text(char **member, char *text) {
        text_free(*member);
        *member = text;
}

/* char * ends at the first NUL byte; what would be cut off silently is refused. */
static int copy_str(Value v, char **ret, Diag *reterr) {
        if (memchr(v.s->data, '\0', v.s->size))
                return diag_set(reterr, (Pos) {}, -EINVAL, "strings with NUL bytes cannot be stored here");
        *ret = strdup(v.s->data);
        return *ret ? 0 : -ENOMEM;
}

static int set_strv(char ***p, Value v, Diag *reterr) {
        char **list = calloc((size_t) v.l->n + 1, sizeof(char *));

        if (!list)
                return -ENOMEM;
        for (uint32_t i = 0; i < v.l->n; i++) {
                int r = copy_str(value_list_at(v.l, i), &list[i], reterr);
                if (r < 0) {
                        strv_free(list);
                        return r;
                }
        }
        strv_free(*p);
        *p = list;
        return 0;
}

bool field_holds_func(Value v) {
        switch (v.kind) {
        case TYPE_FUNC:
                return true;
        case TYPE_LIST:
                VALUE_LIST_FOREACH(item, v.l)
                        if (field_holds_func(*item))
                                return true;
                return false;
        case TYPE_MAP:
                for (uint32_t i = 0; i < v.m->n; i++)
                        if (field_holds_func(v.m->items[i].value))
                                return true;
                return false;
        case TYPE_STRUCT:
                for (uint32_t i = 0; i < v.st->n; i++)
                        if (field_holds_func(v.st->fields[i].value))
                                return true;
                return false;
        default:
                return false;
        }
}

static void clear(const FieldSpec *f, void *object) {
        void *p = (char *) object + f->offset;

        switch (f->type) {
        case FIELD_STR:
                field_take_text(p, NULL);
                break;
        case FIELD_STRV:
                *(char ***) p = strv_free(*(char ***) p);
                break;
        case FIELD_VALUE:
                value_done(p);
                break;
        default:
                break;
        }
}

int field_set(const FieldSpec *f, void *object, Value v, Diag *reterr) {
        void *p = (char *) object + f->offset;
        char *s = NULL;
        int r;

        if (v.kind == TYPE_NIL && (f->flags & FIELD_OPTIONAL)) {
                clear(f, object);
                return 0;
        }
        const Type *type = field_mcl_type(f);
        if (!type)
                return -ENOMEM;
        r = value_check_type(v, type, reterr);
        if (r < 0)
                return r;

        switch (f->type) {
        case FIELD_BOOL:
                *(bool *) p = v.b;
                return 0;
        case FIELD_STR:
                r = v.s->size > 0 ? copy_str(v, &s, reterr) : 0;
                if (r < 0)
                        return r;
                field_take_text(p, s ?: empty_text);
                return 0;
        case FIELD_FLOAT32:
        case FIELD_FLOAT64:
                return set_float(f, p, v.f, reterr);
        case FIELD_STRV:
                if (v.l->n == 0 && !(f->flags & FIELD_OPTIONAL)) {
                        clear(f, object);       /* [] is the same as saying nothing */
                        return 0;
                }
                return set_strv(p, v, reterr);
        case FIELD_VALUE: {
                if (field_holds_func(v))
                        return diag_set(reterr, (Pos) {}, -EINVAL, "functions cannot be stored in fields");
                Value old = *(Value *) p;
                *(Value *) p = value_ref(v);
                value_done(&old);
                return 0;
        }
        default:
                return set_int(f, p, v.i, reterr);
        }
}

int field_get(const FieldSpec *f, const void *object, Value *ret) {
        const void *p = at(f, object);

        switch (f->type) {
        case FIELD_BOOL:
                *ret = VALUE_BOOL(*(const bool *) p);
                return 0;
        case FIELD_FLOAT32:
                *ret = VALUE_FLOAT((double) *(const float *) p);
                return 0;
        case FIELD_FLOAT64:
                *ret = VALUE_FLOAT(*(const double *) p);
                return 0;
        case FIELD_STR: {
                const char *s = *(char *const *) p;
                if (s)
                        return value_strz(ret, s);
                break;
        }
        case FIELD_STRV: {
                char *const *v = *(char **const *) p;
                if (v || !(f->flags & FIELD_OPTIONAL))
                        return value_list_from_strv(ret, v);
                break;
        }
        case FIELD_VALUE:
                *ret = value_ref(*(const Value *) p);
                return 0;
        default: {
                uint64_t bits = get_bits(f, p);
                if (f->type == FIELD_UINT64 && bits > INT64_MAX)
                        return -ERANGE;
                *ret = VALUE_INT((int64_t) bits);
                return 0;
        }
        }
        *ret = VALUE_NIL;
        return 0;
}

int fields_to_struct(const FieldSpec *fields, const void *object, Value *ret) {
        size_t n = fields_count(fields), filled = 0;
        int r = 0;

        _cleanup_free_ const char **names = calloc(n + 1, sizeof(*names));
        _cleanup_free_ Value *values = calloc(n + 1, sizeof(*values));
        if (!names || !values)
                return -ENOMEM;
        for (; filled < n && r >= 0; filled++) {
                names[filled] = fields[filled].name;
                r = field_get(&fields[filled], object, &values[filled]);
        }
        if (r >= 0)
                return value_struct(ret, names, values, n);
        while (filled > 0)
                value_done(&values[--filled]);
        return r;
}

static bool value_is_zero(Value v) {
        switch (v.kind) {
        case TYPE_NIL:
                return true;
        case TYPE_BOOL:
                return !v.b;
        case TYPE_INT:
                return v.i == 0;
        case TYPE_FLOAT:
                return v.f == 0;
        case TYPE_STR:
                return v.s->size == 0;
        case TYPE_LIST:
                return v.l->n == 0;
        case TYPE_MAP:
                return v.m->n == 0;
        case TYPE_STRUCT:
                for (uint32_t i = 0; i < v.st->n; i++)
                        if (!value_is_zero(v.st->fields[i].value))
                                return false;
                return true;
        default:
                return false;
        }
}

bool field_is_zero(const FieldSpec *f, const void *object) {
        const void *p = at(f, object);

        switch (f->type) {
        case FIELD_BOOL:
                return !*(const bool *) p;
        case FIELD_STR:
                return !*(char *const *) p || !**(char *const *) p;
        case FIELD_FLOAT32:
                return *(const float *) p == 0;
        case FIELD_FLOAT64:
                return *(const double *) p == 0;
        case FIELD_STRV:
                return strv_count(*(char **const *) p) == 0;
        case FIELD_VALUE:
                return value_is_zero(*(const Value *) p);
        default:
                return get_bits(f, p) == 0;
        }
}

static bool floats_equal(double a, double b) {
        return a == b || (isnan(a) && isnan(b));        /* a field that is NaN did not change while it stays NaN */
}

bool field_equal(const FieldSpec *f, const void *a, const void *b) {
        const void *p = at(f, a), *q = at(f, b);

        switch (f->type) {
        case FIELD_BOOL:
                return *(const bool *) p == *(const bool *) q;
        case FIELD_STR:
                return streq_ptr(*(char *const *) p, *(char *const *) q);
        case FIELD_FLOAT32:
                return floats_equal((double) *(const float *) p, (double) *(const float *) q);
        case FIELD_FLOAT64:
                return floats_equal(*(const double *) p, *(const double *) q);
        case FIELD_STRV: {
                char *const *v = *(char **const *) p, *const *w = *(char **const *) q;
                if ((f->flags & FIELD_OPTIONAL) && !v != !w)
                        return false;
                return strv_equal(v, w);
        }
        case FIELD_VALUE:
                return value_equal(*(const Value *) p, *(const Value *) q);
        default:
                return get_bits(f, p) == get_bits(f, q);
        }
}

/* ---- all fields ---- */

static int init_one(const FieldSpec *f, void *object) {
        Value v = VALUE_NIL;
        int r;

        if (f->initial) {
                r = value_parse(f->initial, field_mcl_type(f), &v, NULL);
                if (r < 0)
                        return r;
                r = field_set(f, object, v, NULL);
                value_done(&v);
                return r;
        }
        if (f->type == FIELD_STR && !(f->flags & FIELD_OPTIONAL))
                *(char **) ((char *) object + f->offset) = empty_text;
        return 0;
}

int fields_init(const FieldSpec *fields, void *object) {
        for (const FieldSpec *f = fields; f && f->name; f++) {
                int r = init_one(f, object);
                if (r < 0)
                        return r;
        }
        return 0;
}

void fields_done(const FieldSpec *fields, void *object) {
        for (const FieldSpec *f = fields; f && f->name; f++)
                clear(f, object);
}

/* ---- string arrays ---- */

char **strv_free(char **v) {
        for (size_t i = 0; v && v[i]; i++)
                free(v[i]);
        free(v);
        return NULL;
}

int strv_copy(char ***ret, char *const *v) {
        if (!v) {
                *ret = NULL;
                return 0;
        }

        char **copy = calloc(strv_count(v) + 1, sizeof(char *));
        if (!copy)
                return -ENOMEM;
        for (size_t i = 0; v[i]; i++) {
                copy[i] = strdup(v[i]);
                if (!copy[i]) {
                        strv_free(copy);
                        return -ENOMEM;
                }
        }
        *ret = copy;
        return 0;
}

size_t strv_count(char *const *v) {
        size_t n = 0;

        while (v && v[n])
                n++;
        return n;
}

bool strv_equal(char *const *a, char *const *b) {
        size_t n = strv_count(a);

        if (strv_count(b) != n)
                return false;
        for (size_t i = 0; i < n; i++)
                if (!streq(a[i], b[i]))
                        return false;
        return true;
}
