/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A JSON object: "mgmt": the version, "kind", "fields" and "meta", in which every value stands as text in mcl's notation. A field that
 * takes values of any type says the type as well, since 1 may be a float: {"type": "float", "value": "1"}. */

#include <json.h>
#include <limits.h>

#include "common/arena.h"
#include "common/exported.h"
#include "common/resource.h"

enum { VERSION = 1, FIELDS_MAX = 1000, TYPE_TEXT_MAX = 1024 * 1024 };

/* ---- writing ---- */

/* The type of a value, as text; that of what is in an empty list is anything. */
static void put_type(StrBuf *b, Value v) {
        switch (v.kind) {
        case TYPE_LIST:
                strbuf_puts(b, "[]");
                if (v.l->n > 0)
                        put_type(b, value_list_at(v.l, 0));
                else
                        strbuf_puts(b, "variant");
                break;
        case TYPE_MAP:
                strbuf_puts(b, "map{");
                if (v.m->n > 0) {
                        put_type(b, v.m->items[0].key);
                        strbuf_puts(b, ": ");
                        put_type(b, v.m->items[0].value);
                } else
                        strbuf_puts(b, "str: variant");
                strbuf_putc(b, '}');
                break;
        case TYPE_STRUCT:
                strbuf_puts(b, "struct{");
                for (uint32_t i = 0; i < v.st->n; i++) {
                        strbuf_printf(b, "%s%s ", i > 0 ? "; " : "", v.st->fields[i].name->data);
                        put_type(b, v.st->fields[i].value);
                }
                strbuf_putc(b, '}');
                break;
        default:
                strbuf_puts(b, type_kind_name(v.kind));
        }
}

static json_object *new_text(const StrBuf *b) {
        return b->failed || b->size > INT_MAX ? NULL : json_object_new_string_len(b->data ?: "", (int) b->size);
}

static int add(json_object *to, const char *name, json_object *j) {
        if (j && json_object_object_add(to, name, j) == 0)
                return 0;
        json_object_put(j);
        return -ENOMEM;
}

static int add_value(json_object *to, const FieldSpec *f, Value v) {
        _cleanup_(strbuf_done) StrBuf text = {}, type = {};
        json_object *j;

        strbuf_value(&text, v);
        if (f->type != FIELD_VALUE || !streq(f->mcl_type, "variant"))
                return add(to, f->name, new_text(&text));
        put_type(&type, v);
        j = json_object_new_object();
        if (!j || add(j, "type", new_text(&type)) < 0 || add(j, "value", new_text(&text)) < 0) {
                json_object_put(j);
                return -ENOMEM;
        }
        return add(to, f->name, j);
}

static int add_fields(json_object *to, const FieldSpec *fields, const void *object, const void *defaults) {
        for (const FieldSpec *f = fields; f->name; f++) {
                _cleanup_(value_done) Value v = {};
                int r;

                if ((f->flags & FIELD_HIDDEN) || field_equal(f, object, defaults))
                        continue;
                r = field_get(f, object, &v);
                if (r >= 0 && v.kind != TYPE_NIL)
                        r = add_value(to, f, v);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int refuse_secrets(const Resource *r, const Resource *defaults, Diag *reterr) {
        for (const FieldSpec *f = r->type->fields; f->name; f++) {
                bool received = r->secret & (UINT64_C(1) << (f - r->type->fields));

                if (((f->flags & FIELD_SECRET) && !field_equal(f, r, defaults)) || received)
                        return resource_error(r, reterr, -EPERM, "field '%s' is a secret, which every host that collects it could read; "
                                              "it cannot be exported", f->name);
        }
        return 0;
}

static int add_meta(json_object *to, const Resource *r) {
        Meta without = r->meta, defaults;

        meta_init(&defaults);
        without.export = NULL;
        return add_fields(to, meta_fields, &without, &defaults);
}

static int add_all(json_object *j, const Resource *r, const Resource *defaults) {
        json_object *fields = json_object_new_object(), *meta = json_object_new_object();
        int k;

        k = add(j, "mgmt", json_object_new_int(VERSION));
        if (k >= 0)
                k = add(j, "kind", json_object_new_string(r->type->kind));
        k = add(j, "fields", fields) < 0 ? -ENOMEM : k;
        k = add(j, "meta", meta) < 0 ? -ENOMEM : k;
        if (k >= 0)
                k = add_fields(fields, r->type->fields, r, defaults);
        return k < 0 ? k : add_meta(meta, r);
}

int exported_encode(const Resource *r, char **ret, Diag *reterr) {
        _cleanup_(resource_freep) Resource *defaults = NULL;
        json_object *j;
        int k;

        k = resource_new(&defaults, r->type, r->host, r->name, r->pos);
        if (k >= 0)
                k = refuse_secrets(r, defaults, reterr);
        if (k < 0)
                return k;
        j = json_object_new_object();
        k = j ? add_all(j, r, defaults) : -ENOMEM;
        if (k >= 0) {
                const char *text = json_object_to_json_string_ext(j, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
                *ret = text ? strdup(text) : NULL;
                k = *ret ? 0 : -ENOMEM;
        }
        json_object_put(j);
        return k < 0 ? resource_error(r, reterr, k, "cannot export it: %m") : 0;
}

/* ---- reading ---- */

static json_object *get(json_object *j, const char *member, json_type type) {
        json_object *found = NULL;

        return json_object_object_get_ex(j, member, &found) && json_object_is_type(found, type) ? found : NULL;
}

static int bad(Diag *reterr, const char *what) {
        return diag_set(reterr, (Pos) {}, -EBADMSG, "%s", what);
}

static int parse_text(json_object *text, const Type *type, Value *ret, Diag *reterr) {
        const char *s = json_object_get_string(text);

        if (strlen(s) != (size_t) json_object_get_string_len(text))
                return bad(reterr, "a value has a NUL byte");
        return value_parse(s, type, ret, reterr);
}

/* The types of such values come from outside: they live as long as they are looked at. */
static int parse_any(json_object *j, Value *ret, Diag *reterr) {
        json_object *type = get(j, "type", json_type_string), *text = get(j, "value", json_type_string);
        const Type *t;
        int r;

        if (!type || !text)
                return bad(reterr, "a value has no type");
        _cleanup_(arena_freep) Arena *arena = arena_new(TYPE_TEXT_MAX);
        if (!arena)
                return -ENOMEM;
        r = type_parse(arena, json_object_get_string(type), &t, reterr);
        return r < 0 ? r : parse_text(text, t, ret, reterr);
}

static int read_field(const SchemaField *f, json_object *j, ResourceSpec *spec, Diag *reterr) {
        FieldValue *v = &spec->fields[spec->n_fields];
        int r;

        if (json_object_is_type(j, json_type_string))
                r = parse_text(j, f->mcl_type, &v->value, reterr);
        else
                r = json_object_is_type(j, json_type_object) ? parse_any(j, &v->value, reterr) : bad(reterr, "it is no text");
        if (r >= 0)
                r = value_check_type(v->value, f->mcl_type, reterr);
        if (r >= 0) {
                v->name = strdup(f->name);
                r = v->name ? 0 : -ENOMEM;
        }
        if (r < 0) {
                value_done(&v->value);
                diag_prefix(reterr, "field '%s'", f->name);
                return r;
        }
        spec->n_fields++;
        return 0;
}

static int read_fields(json_object *fields, const SchemaKind *kind, ResourceSpec *spec, Diag *reterr) {
        size_t n = (size_t) json_object_object_length(fields);
        FieldValue *grown = n <= FIELDS_MAX ? reallocarray(spec->fields, spec->n_fields + n + 1, sizeof(FieldValue)) : NULL;

        if (!grown)
                return n <= FIELDS_MAX ? -ENOMEM : bad(reterr, "it has too many fields");
        spec->fields = grown;
        memset(grown + spec->n_fields, 0, (n + 1) * sizeof(FieldValue));
        json_object_object_foreach(fields, name, value) {
                const SchemaField *f = schema_field(kind, name);
                int r = f ? read_field(f, value, spec, reterr) :
                        diag_set(reterr, (Pos) {}, -EBADMSG, "%s has no field '%s' here", kind->kind, name);

                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_meta(json_object *meta, ResourceSpec *spec, Diag *reterr) {
        json_object_object_foreach(meta, name, value) {
                const FieldSpec *f = field_find(meta_fields, name);
                _cleanup_(value_done) Value v = {};
                int r;

                if (!f || !json_object_is_type(value, json_type_string) || streq(name, "export"))
                        return diag_set(reterr, (Pos) {}, -EBADMSG, "there is no metaparameter '%s' here", name);
                r = parse_text(value, field_mcl_type(f), &v, reterr);
                if (r >= 0)
                        r = field_set(f, &spec->meta, v, reterr);
                if (r < 0) {
                        diag_prefix(reterr, "metaparameter '%s'", name);
                        return r;
                }
        }
        return 0;
}

static int read_all(json_object *j, const SchemaKind *kind, ResourceSpec *spec, Diag *reterr) {
        json_object *version = get(j, "mgmt", json_type_int), *name = get(j, "kind", json_type_string);
        json_object *fields = get(j, "fields", json_type_object), *meta = get(j, "meta", json_type_object);
        int r;

        if (!version || json_object_get_int64(version) != VERSION)
                return bad(reterr, "it was exported by another version");
        if (!name || !streq(json_object_get_string(name), kind->kind) || !fields || !meta)
                return bad(reterr, "it is no resource of this kind");
        r = read_fields(fields, kind, spec, reterr);
        return r < 0 ? r : read_meta(meta, spec, reterr);
}

int exported_decode(const char *data, size_t size, const SchemaKind *kind, ResourceSpec *spec, Diag *reterr) {
        json_tokener *t = size < INT_MAX ? json_tokener_new() : NULL;
        json_object *j;
        int r;

        if (!t)
                return -ENOMEM;
        j = json_tokener_parse_ex(t, data, (int) size + 1);     /* with the NUL, which ends it */
        r = json_tokener_get_error(t) == json_tokener_success && json_tokener_get_parse_end(t) == size &&
                json_object_is_type(j, json_type_object) ?
                read_all(j, kind, spec, reterr) : bad(reterr, "it is no resource");
        json_object_put(j);
        json_tokener_free(t);
        return r == -EINVAL || r == -ERANGE ? -EBADMSG : r;
}
