/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A value of any type under the resource's name in the local store. It is what stands in the program until something is received,
 * then it is that; either way it is passed on. The host keeps what was received in the field itself. */

#include <errno.h>

#include "common/resource.h"
#include "daemons/world/keys.h"
#include "daemons/world/world-manager.h"

typedef struct ValueResource {
        Resource resource;
        Value any;              /* nil: nothing shall be stored */
        KeysCall *call;
        bool apply;
} ValueResource;

static const FieldSpec value_fields[] = {
        FIELD(ValueResource, any, FIELD_VALUE, FIELD_OPTIONAL, "The value. Without one, what is stored is removed.",
              .mcl_type = "variant"),
        {}
};

static const FieldSpec value_sends[] = {
        { .name = "any", .type = FIELD_VALUE, .mcl_type = "variant", .doc = "The value that is stored." },
        {}
};

static void value_cancel(Resource *r) {
        ValueResource *v = (ValueResource *) r;

        v->call = keys_call_cancel(v->call);
}

static void fail(ValueResource *v, int error, const char *what) {
        _cleanup_(diag_done) Diag diag = {};

        (void) resource_error(&v->resource, &diag, error, "cannot %s the value of '%s': %m", what, v->resource.name);
        resource_finish(&v->resource, error, &diag);
}

static void finish(ValueResource *v, int result) {
        int r;

        r = resource_send(&v->resource, "any", v->any);
        if (r < 0)
                fail(v, r, "send");
        else
                resource_finish(&v->resource, result, NULL);
}

static void on_written(const KeysReply *reply, void *userdata) {
        ValueResource *v = userdata;

        v->call = NULL;
        if (reply->error < 0)
                fail(v, reply->error, "store");
        else
                finish(v, CHECK_CHANGED);
}

static void on_read(const KeysReply *reply, void *userdata) {
        ValueResource *v = userdata;
        WorldManager *m = v->resource.host->manager;
        int r = reply->error;

        v->call = NULL;
        /* What cannot be read, because another version wrote it, is replaced. */
        if (r < 0 && r != -EBADMSG && r != -EPROTONOSUPPORT)
                return fail(v, r, "read");
        if (r >= 0 && reply->value.kind == v->any.kind && value_equal(reply->value, v->any))
                return finish(v, resource_received(&v->resource, "any") ? CHECK_CHANGED : CHECK_OK);
        resource_differs_value(&v->resource, "any", r < 0 ? VALUE_NIL : reply->value, v->any);
        if (!v->apply)
                return finish(v, CHECK_CHANGED);
        r = keys_set(m->local, v->resource.name, NULL, v->any, NULL, on_written, v, &v->call);
        if (r < 0)
                fail(v, r, "store");
}

static int value_check_apply(Resource *r, bool apply, Diag *reterr) {
        ValueResource *v = (ValueResource *) r;
        WorldManager *m = r->host->manager;
        int e;

        v->apply = apply;
        e = keys_get(m->local, r->name, NULL, on_read, v, &v->call);
        if (e < 0)
                return resource_error(r, reterr, e, "cannot read the value of '%s': %m", r->name);
        return CHECK_PENDING;
}

const ResourceType value_type = {
        .kind = "value",
        .doc = "Keeps a value of any type on this host, under the name of the resource, and passes it on. Programs read it with "
               "the functions of the value module; it survives restarts.",
        .example = "value \"answer\" {\n\tany => 42,\n}\n",
        .size = sizeof(ValueResource),
        .flags = RESOURCE_RECEIVES,
        .fields = value_fields,
        .sends = value_sends,
        .check_apply = value_check_apply,
        .cancel = value_cancel,
};
