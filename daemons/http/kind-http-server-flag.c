/* SPDX-License-Identifier: GPL-3.0-or-later */

/* http:server:flag: a value that clients set, by a POST of a form, and that is sent to other resources. Flags of one path are one
 * group, whose first member is asked by the server: a request sets all of them, and one attempt sends what it brought, so nobody
 * sees the half of it. */


#include "common/resource.h"
#include "daemons/http/child.h"
#include "daemons/http/form.h"
#include "daemons/http/http-manager.h"
#include "daemons/http/kept.h"

enum { BODY_MAX = 4 * 1024 * 1024 };

typedef struct HttpServerFlag {
        HttpChild child;
        char *server;
        char *path;
        char *key;

        HttpKept *value;                /* what came last; nil: nothing, or nothing under the key */
        Value found;                    /* in the request at hand */
        Value sent;                     /* nil: never yet */
} HttpServerFlag;

static const FieldSpec http_server_flag_fields[] = {
        FIELD(HttpServerFlag, server, FIELD_STR, 0, "Name of the http:server that takes the requests; empty: the one there is."),
        FIELD(HttpServerFlag, path, FIELD_STR, FIELD_IS_NAME,
              "Path to which clients post, such as /done. Several flags of one path and server get their values from one request."),
        FIELD(HttpServerFlag, key, FIELD_STR, 0,
              "Name of the form's field that has the value; a form without it takes the value away. Empty: no value is kept, but each "
              "request has the resource looked at."),
        {}
};

static const FieldSpec http_server_flag_sends[] = {
        { .name = "value", .type = FIELD_STR, .flags = FIELD_OPTIONAL,
          .doc = "The value that was posted last; empty if there was none." },
        {}
};

static bool flag_accepts(HttpChild *c, const HttpRequest *q) {
        return streq(http_request_path(q), ((const HttpServerFlag *) c)->path) && streq(http_request_method(q), "POST");
}

/* What a form has for the flag and for those that are grouped into it. */
static int find_values(HttpServerFlag *f, const HttpForm *form) {
        const HttpFormField *field = f->key[0] ? http_form_get(form, f->key) : NULL;
        const Resource *r = &f->child.resource;
        int e = 0;

        value_done(&f->found);
        if (field && field->value_size > 0)
                e = value_str(&f->found, field->value, field->value_size);
        for (size_t i = 0; i < r->n_children && e >= 0; i++)
                e = find_values((HttpServerFlag *) r->children[i], form);
        return e;
}

static void take_values(HttpServerFlag *f) {
        const Resource *r = &f->child.resource;

        http_kept_set(f->value, f->found);
        value_done(&f->found);
        for (size_t i = 0; i < r->n_children; i++)
                take_values((HttpServerFlag *) r->children[i]);
}

static void flag_serve(HttpChild *c, HttpRequest *q) {
        HttpServerFlag *f = (HttpServerFlag *) c;
        _cleanup_(http_form_done) HttpForm form = {};
        HttpReply *reply;
        int r;

        r = http_form_parse(&form, q);
        if (r >= 0)
                r = find_values(f, &form);
        if (r < 0) {
                http_request_reply_status(q, http_form_error_status(r));
                return;
        }
        take_values(f);
        resource_changed(&c->resource);
        reply = http_reply_new(200);
        if (reply)
                http_request_reply(q, reply);
}

static int flag_init(Resource *r) {
        static const HttpChildOps ops = { .accepts = flag_accepts, .serve = flag_serve, .body_max = BODY_MAX };

        ((HttpServerFlag *) r)->child.ops = &ops;
        return 0;
}

static void flag_done(Resource *r) {
        HttpServerFlag *f = (HttpServerFlag *) r;

        f->value = http_kept_leave(f->value);
        value_done(&f->found);
        value_done(&f->sent);
}

static int flag_validate(const Resource *r, Diag *reterr) {
        return http_child_validate_path(r, "path", ((const HttpServerFlag *) r)->path, HTTP_PATH_ANY, reterr);
}

static int flag_prepare(Resource *r, Diag *reterr) {
        HttpServerFlag *f = (HttpServerFlag *) r;

        http_child_warn_alone(r, f->server);
        return f->value ? 0 : http_kept_join(&f->value, r->host->manager, r);
}

/* Nothing has changed before somebody posts: that is about what came since the attempt before, so the first one has nothing to say. */
static int flag_check_apply(Resource *r, bool apply, Diag *reterr) {
        HttpServerFlag *f = (HttpServerFlag *) r;
        _cleanup_(value_done) Value v = value_ref(http_kept_get(f->value));
        int e;

        e = v.kind == TYPE_NIL ? value_strz(&v, "") : 0;
        if (e >= 0)
                e = resource_send(r, "value", v);
        if (e < 0)
                return resource_error(r, reterr, e, "cannot send the value: %m");
        bool first = f->sent.kind == TYPE_NIL, same = first || value_equal(f->sent, v);
        if (!same)
                resource_differs_value(r, "value", f->sent, v);
        value_done(&f->sent);
        f->sent = value_take(&v);
        return same ? CHECK_OK : CHECK_CHANGED;
}

const ResourceType http_server_flag_type = {
        .kind = "http:server:flag",
        .doc = "A value that is set from outside, by an HTTP request: whoever is told of by send/recv gets what was posted last. It is "
               "kept in memory only.",
        .example = "http:server \":8080\" {}\n"
                   "http:server:flag \"/done\" {\n"
                   "\tkey => \"token\",\n"
                   "}\n",
        .size = sizeof(HttpServerFlag),
        .fields = http_server_flag_fields,
        .sends = http_server_flag_sends,
        .parent_field = "server",
        .groups_by = "server path",             /* what the same requests set */
        .init = flag_init,
        .done = flag_done,
        .validate = flag_validate,
        .prepare = flag_prepare,
        .check_apply = flag_check_apply,
};
