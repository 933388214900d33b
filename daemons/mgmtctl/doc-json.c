/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Topics of the manual for programs. What has no value is left out. */

#include <json-c/json.h>

#include "daemons/mgmtctl/doc-manual.h"
#include "daemons/mgmtctl/output.h"

static void add_bool(struct json_object *j, const char *key, bool b) {
        json_object_object_add(j, key, json_object_new_boolean(b));
}

static void add_type(struct json_object *j, const Type *t) {
        _cleanup_free_ char *text = type_text(t);

        output_json_str(j, "mcl", text);
}

static void describe_field(struct json_object *j, const SchemaField *f) {
        output_json_str(j, "field", f->name);
        add_type(j, f->mcl_type);
        output_json_str(j, "native", field_type_name(f->type));
        output_json_str(j, "initial", f->initial);
        add_bool(j, "required", f->flags & FIELD_REQUIRED);
        add_bool(j, "optional", f->flags & FIELD_OPTIONAL);
        add_bool(j, "secret", f->flags & FIELD_SECRET);
        add_bool(j, "is_name", f->flags & FIELD_IS_NAME);
        output_json_str(j, "doc", f->doc);
}

static struct json_object *describe_fields(const SchemaField *fields, size_t n) {
        struct json_object *array = json_object_new_array();

        for (size_t i = 0; i < n; i++) {
                struct json_object *j = json_object_new_object();

                describe_field(j, &fields[i]);
                json_object_array_add(array, j);
        }
        return array;
}

static void describe_kind(struct json_object *j, const SchemaKind *k) {
        output_json_str(j, "daemon", k->daemon);
        output_json_str(j, "doc", k->doc);
        output_json_str(j, "example", k->example);
        output_json_str(j, "parent_field", k->parent_field);
        output_json_str(j, "parent_kind", k->parent_kind);
        add_bool(j, "groups", k->groups);
        add_bool(j, "edgeable", k->edgeable);
        add_bool(j, "reversible", k->reversible);
        add_bool(j, "refreshable", k->flags & RESOURCE_REFRESHABLE);
        add_bool(j, "receives", k->flags & RESOURCE_RECEIVES);
        add_bool(j, "needs_poll", k->flags & RESOURCE_NEEDS_POLL);
        add_bool(j, "refuses_poll", k->flags & RESOURCE_REFUSES_POLL);
        json_object_object_add(j, "fields", describe_fields(k->fields, k->n_fields));
        json_object_object_add(j, "sends", describe_fields(k->sends, k->n_sends));
}

static void describe_function(struct json_object *j, const Builtin *b) {
        output_json_str(j, "signature", b->signature);
        output_json_str(j, "doc", b->doc);
        output_json_str(j, "example", b->example);
        output_json_str(j, "gives", b->gives);
        add_bool(j, "pure", b->flags & BUILTIN_PURE);
        add_bool(j, "watched", (b->flags & BUILTIN_SOURCE) && !(b->flags & BUILTIN_AT_ONCE));
}

static void describe_meta(struct json_object *j, const FieldSpec *f) {
        add_type(j, field_mcl_type(f));
        output_json_str(j, "native", field_type_name(f->type));
        output_json_str(j, "initial", f->initial);
        output_json_str(j, "doc", f->doc);
}

static void describe_const(struct json_object *j, const Topic *t) {
        const BuiltinConst *c = t->constant;

        if (c->is_hostname)
                output_json_str(j, "doc", t->doc);
        else
                json_object_object_add(j, "value", c->text ? json_object_new_string(c->text) : json_object_new_int64(c->number));
}

struct json_object *manual_json(const Manual *m, const Topic *t) {
        static const char *const types[] = {
                [TOPIC_MODULE] = "module", [TOPIC_FUNCTION] = "function", [TOPIC_KIND] = "kind", [TOPIC_FIELD] = "field",
                [TOPIC_META] = "metaparameter", [TOPIC_METAS] = "property", [TOPIC_PROPERTY] = "property", [TOPIC_CONST] = "constant",
        };
        struct json_object *j = json_object_new_object();

        if (!j)
                return NULL;
        output_json_str(j, "type", types[t->kind]);
        output_json_str(j, "name", t->name);
        switch (t->kind) {
        case TOPIC_FUNCTION:
                describe_function(j, t->function);
                break;
        case TOPIC_KIND:
                describe_kind(j, t->resource);
                break;
        case TOPIC_FIELD:
                output_json_str(j, "kind", t->resource->kind);
                describe_field(j, t->field);
                break;
        case TOPIC_META:
                describe_meta(j, t->meta);
                break;
        case TOPIC_CONST:
                describe_const(j, t);
                break;
        default:
                output_json_str(j, "doc", t->doc);
        }
        return j;
}
