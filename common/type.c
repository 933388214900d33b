/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Types: a small tree, made once, compared by structure. Types made without an arena of their own live in one that is never
 * freed. */

#include <stdio.h>

#include "common/arena.h"
#include "common/strbuf.h"
#include "common/type.h"
#include "common/value.h"

const Type type_nil = { .kind = TYPE_NIL };
const Type type_bool = { .kind = TYPE_BOOL };
const Type type_str = { .kind = TYPE_STR };
const Type type_int = { .kind = TYPE_INT };
const Type type_float = { .kind = TYPE_FLOAT };
const Type type_variant = { .kind = TYPE_VARIANT };
const Type type_list_str = { .kind = TYPE_LIST, .element = &type_str };

static const char *const kind_names[_TYPE_KIND_MAX] = {
        [TYPE_NIL] = "nil",       [TYPE_BOOL] = "bool", [TYPE_STR] = "str", [TYPE_INT] = "int",
        [TYPE_FLOAT] = "float",   [TYPE_LIST] = "list", [TYPE_MAP] = "map", [TYPE_STRUCT] = "struct",
        [TYPE_FUNC] = "func",     [TYPE_VARIANT] = "variant", [TYPE_UNKNOWN] = "unknown",
};

static const Type *const simple_types[] = { &type_nil, &type_bool, &type_str, &type_int, &type_float, &type_variant };

const char *type_kind_name(TypeKind kind) {
        return (unsigned) kind < _TYPE_KIND_MAX ? kind_names[kind] : "invalid";
}

/* ---- making ---- */

static Arena *or_process_arena(Arena *arena) {
        static Arena *process;

        if (arena)
                return arena;
        if (!process)
                process = arena_new(0);
        return process;
}

static const Type *make(Arena *arena, Type t) {
        arena = or_process_arena(arena);
        Type *copy = arena ? arena_new0(arena, Type) : NULL;

        if (copy)
                *copy = t;
        return copy;
}

const Type *type_list(Arena *arena, const Type *element) {
        if (element == &type_str)
                return &type_list_str;
        return make(arena, (Type) { .kind = TYPE_LIST, .element = element });
}

const Type *type_map(Arena *arena, const Type *key, const Type *value) {
        return make(arena, (Type) { .kind = TYPE_MAP, .key = key, .element = value });
}

const Type *type_unknown(Arena *arena, uint32_t variable) {
        return make(arena, (Type) { .kind = TYPE_UNKNOWN, .variable = variable });
}

static const Type *make_with_fields(Arena *arena, TypeKind kind, const TypeField *fields, size_t n, const Type *result) {
        arena = or_process_arena(arena);
        TypeField *copy = arena && n <= TYPE_FIELDS_MAX ? arena_array(arena, TypeField, n) : NULL;

        if (!copy)
                return NULL;
        for (size_t i = 0; i < n; i++) {
                copy[i].type = fields[i].type;
                copy[i].name = fields[i].name ? arena_strdup(arena, fields[i].name) : arena_printf(arena, "%zu", i);
                if (!copy[i].name)
                        return NULL;
        }
        return make(arena, (Type) { .kind = kind, .n_fields = (uint32_t) n, .fields = copy, .element = result });
}

const Type *type_struct(Arena *arena, const TypeField *fields, size_t n) {
        return make_with_fields(arena, TYPE_STRUCT, fields, n, NULL);
}

const Type *type_func(Arena *arena, const TypeField *args, size_t n, const Type *result) {
        return make_with_fields(arena, TYPE_FUNC, args, n, result);
}

/* ---- parsing ---- */

typedef struct Parser {
        const char *text, *at;
        Arena *arena;
        unsigned depth;
        Diag *reterr;
} Parser;

static int parse_type(Parser *p, const Type **ret);

static int bad(Parser *p, const char *expected) {
        if (*p->at)
                return diag_set(p->reterr, (Pos) {}, -EINVAL, "invalid type '%s': expected %s at '%s'", p->text, expected, p->at);
        return diag_set(p->reterr, (Pos) {}, -EINVAL, "invalid type '%s': expected %s at the end", p->text, expected);
}

static void skip_blanks(Parser *p) {
        p->at += strspn(p->at, " ");
}

static bool accept(Parser *p, const char *token) {
        skip_blanks(p);
        const char *rest = startswith(p->at, token);

        if (rest)
                p->at = rest;
        return rest;
}

static size_t word_size(const char *s) {
        return strcspn(s, " {}()[],;:?");
}

static int parse_map(Parser *p, const Type **ret) {
        const Type *key, *value;
        int r;

        r = parse_type(p, &key);
        if (r < 0)
                return r;
        if (!accept(p, ":"))
                return bad(p, "':'");
        r = parse_type(p, &value);
        if (r < 0)
                return r;
        if (!accept(p, "}"))
                return bad(p, "'}'");
        *ret = type_map(p->arena, key, value);
        return *ret ? 0 : -ENOMEM;
}

typedef struct FieldList {
        TypeField *items;
        size_t n, capacity;
} FieldList;

static void field_list_done(FieldList *l) {
        for (size_t i = 0; i < l->n; i++)
                free((char *) l->items[i].name);
        free(l->items);
}

static int field_list_add(Parser *p, FieldList *l, const char *name, size_t name_size) {
        if (l->n >= TYPE_FIELDS_MAX)
                return diag_set(p->reterr, (Pos) {}, -E2BIG, "invalid type: more than %d fields", TYPE_FIELDS_MAX);
        if (GROW(l->items, l->n, l->capacity) < 0)
                return -ENOMEM;

        TypeField f = {};
        if (name && !(f.name = strndup(name, name_size)))
                return -ENOMEM;
        l->items[l->n++] = f;
        return 0;
}

static int parse_struct(Parser *p, const Type **ret) {
        _cleanup_(field_list_done) FieldList l = {};
        int r;

        while (!accept(p, "}")) {
                if (l.n > 0 && !accept(p, ";"))
                        return bad(p, "';' or '}'");
                if (l.n > 0 && accept(p, "}"))
                        break;
                skip_blanks(p);
                size_t size = word_size(p->at);
                if (size == 0)
                        return bad(p, "a field name");
                for (size_t i = 0; i < l.n; i++)
                        if (strlen(l.items[i].name) == size && memcmp(l.items[i].name, p->at, size) == 0)
                                return bad(p, "a new field name");
                r = field_list_add(p, &l, p->at, size);
                if (r < 0)
                        return r;
                p->at += size;
                r = parse_type(p, &l.items[l.n - 1].type);
                if (r < 0)
                        return r;
        }
        *ret = type_struct(p->arena, l.items, l.n);
        return *ret ? 0 : -ENOMEM;
}

static int parse_func(Parser *p, const Type **ret) {
        _cleanup_(field_list_done) FieldList l = {};
        const Type *result = NULL;
        int r;

        while (!accept(p, ")")) {
                if (l.n > 0 && !accept(p, ","))
                        return bad(p, "',' or ')'");
                skip_blanks(p);
                /* A word with another word or a type behind it is the argument's name. */
                size_t size = word_size(p->at), blanks = strspn(p->at + size, " ");
                bool named = size > 0 && blanks > 0 && !strchr(",)", p->at[size + blanks]);
                r = field_list_add(p, &l, named ? p->at : NULL, size);
                if (r < 0)
                        return r;
                if (named)
                        p->at += size;
                r = parse_type(p, &l.items[l.n - 1].type);
                if (r < 0)
                        return r;
        }
        skip_blanks(p);
        if (*p->at && !strchr(",;:)}", *p->at)) {
                r = parse_type(p, &result);
                if (r < 0)
                        return r;
        }
        *ret = type_func(p->arena, l.items, l.n, result);
        return *ret ? 0 : -ENOMEM;
}

static int parse_variable(Parser *p, const Type **ret) {
        uint64_t number = 0;

        if (*p->at < '1' || *p->at > '9')
                return bad(p, "a number");
        for (; *p->at >= '0' && *p->at <= '9'; p->at++) {
                number = number * 10 + (uint64_t) (*p->at - '0');
                if (number > UINT32_MAX)
                        return bad(p, "a smaller number");
        }
        *ret = type_unknown(p->arena, (uint32_t) number);
        return *ret ? 0 : -ENOMEM;
}

static int parse_list(Parser *p, const Type **ret) {
        const Type *element;
        int r = parse_type(p, &element);

        if (r < 0)
                return r;
        *ret = type_list(p->arena, element);
        return *ret ? 0 : -ENOMEM;
}

static int parse_type(Parser *p, const Type **ret) {
        static const struct {
                const char *opening;
                int (*parse)(Parser *p, const Type **ret);
        } forms[] = {
                { "[]", parse_list }, { "map{", parse_map }, { "struct{", parse_struct }, { "func(", parse_func },
                { "?", parse_variable },
        };

        if (p->depth >= VALUE_DEPTH_MAX)
                return diag_set(p->reterr, (Pos) {}, -E2BIG, "invalid type: nested deeper than %d", VALUE_DEPTH_MAX);

        for (size_t i = 0; i < ELEMENTSOF(forms); i++)
                if (accept(p, forms[i].opening)) {
                        p->depth++;
                        int r = forms[i].parse(p, ret);
                        p->depth--;
                        return r;
                }

        size_t size = word_size(p->at);
        for (size_t i = 0; i < ELEMENTSOF(simple_types); i++) {
                const char *name = kind_names[simple_types[i]->kind];
                if (strlen(name) == size && memcmp(name, p->at, size) == 0) {
                        p->at += size;
                        *ret = simple_types[i];
                        return 0;
                }
        }
        return bad(p, "a type");
}

int type_parse(Arena *arena, const char *text, const Type **ret, Diag *reterr) {
        Parser p = { .text = text, .at = text, .arena = arena, .reterr = reterr };
        const Type *t;
        int r;

        r = parse_type(&p, &t);
        if (r < 0)
                return r;
        skip_blanks(&p);
        if (*p.at)
                return bad(&p, "nothing more");
        *ret = t;
        return 0;
}

/* ---- printing ---- */

typedef struct Printer {
        StrBuf text;
        uint32_t *variables;    /* in order of appearance */
        size_t n, capacity;
} Printer;

static void put_variable(Printer *p, uint32_t variable) {
        size_t i = 0;

        while (i < p->n && p->variables[i] != variable)
                i++;
        if (i == p->n) {
                if (GROW(p->variables, p->n, p->capacity) < 0) {
                        p->text.failed = true;
                        return;
                }
                p->variables[p->n++] = variable;
        }
        strbuf_printf(&p->text, "?%zu", i + 1);
}

static void put_type(Printer *p, const Type *t);

static void put_fields(Printer *p, const Type *t, const char *separator) {
        for (uint32_t i = 0; i < t->n_fields; i++) {
                if (i > 0)
                        strbuf_puts(&p->text, separator);
                strbuf_puts(&p->text, t->fields[i].name);
                strbuf_putc(&p->text, ' ');
                put_type(p, t->fields[i].type);
        }
}

static void put_type(Printer *p, const Type *t) {
        switch (t->kind) {
        case TYPE_LIST:
                strbuf_puts(&p->text, "[]");
                put_type(p, t->element);
                break;
        case TYPE_MAP:
                strbuf_puts(&p->text, "map{");
                put_type(p, t->key);
                strbuf_puts(&p->text, ": ");
                put_type(p, t->element);
                strbuf_putc(&p->text, '}');
                break;
        case TYPE_STRUCT:
                strbuf_puts(&p->text, "struct{");
                put_fields(p, t, "; ");
                strbuf_putc(&p->text, '}');
                break;
        case TYPE_FUNC:
                strbuf_puts(&p->text, "func(");
                put_fields(p, t, ", ");
                strbuf_putc(&p->text, ')');
                if (t->element) {
                        strbuf_putc(&p->text, ' ');
                        put_type(p, t->element);
                }
                break;
        case TYPE_UNKNOWN:
                put_variable(p, t->variable);
                break;
        default:
                strbuf_puts(&p->text, type_kind_name(t->kind));
        }
}

char *type_text(const Type *t) {
        Printer p = {};

        put_type(&p, t);
        free(p.variables);
        return strbuf_take(&p.text);
}

/* ---- comparing ---- */

static int differ(Diag *reterr, const char *how) {
        return diag_set(reterr, (Pos) {}, -EINVAL, "%s", how);
}

int type_compare(const Type *a, const Type *b, Diag *reterr) {
        int r;

        if (a == b)
                return 0;
        if (!a || !b)   /* a func without result */
                return differ(reterr, "func result differs");
        if (a->kind != b->kind)
                return diag_set(reterr, (Pos) {}, -EINVAL, "base kind does not match (%s != %s)", type_kind_name(a->kind),
                                type_kind_name(b->kind));

        switch (a->kind) {
        case TYPE_MAP:
                r = type_compare(a->key, b->key, reterr);
                if (r < 0)
                        return r;
                return type_compare(a->element, b->element, reterr);
        case TYPE_LIST:
                return type_compare(a->element, b->element, reterr);
        case TYPE_STRUCT:
                if (a->n_fields != b->n_fields)
                        return differ(reterr, "struct field count differs");
                for (uint32_t i = 0; i < a->n_fields; i++)
                        if (!streq(a->fields[i].name, b->fields[i].name))
                                return differ(reterr, "struct fields differ");
                break;
        case TYPE_FUNC:
                if (a->n_fields != b->n_fields)
                        return differ(reterr, "func arg count differs");
                r = type_compare(a->element, b->element, reterr);
                if (r < 0)
                        return r;
                break;
        case TYPE_UNKNOWN:
                return a->variable == b->variable ? 0 : differ(reterr, "type variables differ");
        default:
                return 0;
        }

        for (uint32_t i = 0; i < a->n_fields; i++) {
                r = type_compare(a->fields[i].type, b->fields[i].type, reterr);
                if (r < 0)
                        return r;
        }
        return 0;
}

bool type_equal(const Type *a, const Type *b) {
        return type_compare(a, b, NULL) == 0;
}

bool type_is_hashable(const Type *t) {
        switch (t->kind) {
        case TYPE_BOOL:
        case TYPE_STR:
        case TYPE_INT:
        case TYPE_FLOAT:
                return true;
        case TYPE_STRUCT:
                for (uint32_t i = 0; i < t->n_fields; i++)
                        if (!type_is_hashable(t->fields[i].type))
                                return false;
                return true;
        default:
                return false;
        }
}
