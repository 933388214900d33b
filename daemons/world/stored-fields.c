/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <errno.h>
#include <json.h>

#include "daemons/world/stored-fields.h"

int stored_fields_encode(const FieldSpec *fields, const void *object, char **ret) {
        _cleanup_(value_done) Value v = {};
        json_object *j = NULL;
        const char *text;
        int r;

        r = fields_to_struct(fields, object, &v);
        if (r >= 0)
                r = value_to_json(v, &j);
        if (r < 0)
                return r;
        text = json_object_to_json_string_ext(j, JSON_C_TO_STRING_PLAIN);
        *ret = text ? strdup(text) : NULL;
        json_object_put(j);
        return *ret ? 0 : -ENOMEM;
}

int stored_fields_decode(const FieldSpec *fields, void *object, const char *data) {
        _cleanup_(value_done) Value v = {};
        json_object *j = json_tokener_parse(data);
        int r;

        r = j ? value_from_json(j, NULL, &v, NULL) : -EBADMSG;
        json_object_put(j);
        if (r < 0 || v.kind != TYPE_STRUCT)
                return r == -ENOMEM ? r : -EBADMSG;
        for (const FieldSpec *f = fields; f->name; f++) {
                const Value *given = value_struct_get(v, f->name);

                r = given ? field_set(f, object, *given, NULL) : 0;
                if (r < 0)
                        return r == -ENOMEM ? r : -EBADMSG;
        }
        return 0;
}
