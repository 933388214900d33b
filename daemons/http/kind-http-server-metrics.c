/* SPDX-License-Identifier: GPL-3.0-or-later */

/* http:server:metrics: what mgmt-engine counts, for a Prometheus or the like to fetch. Each request is held back while the engine is
 * asked over the bus; those that come meanwhile get the same answer. Only this machine is answered, unless the program says otherwise:
 * an http:server that is there for everybody shall not tell everybody how the host is doing. */


#include "common/resource.h"
#include "daemons/http/child.h"
#include "daemons/http/http-manager.h"
#include "daemons/http/static-file.h"

#define PATIENCE_USEC UINT64_C(5000000)         /* with the engine */
#define CONTENT_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

typedef struct HttpServerMetrics {
        HttpChild child;
        char *server;
        char *filename;
        bool remote;

        Value text;                     /* what the engine said last; nil: nothing */
        sd_bus_slot *call;              /* while it is asked */
        HttpHolds holds;
} HttpServerMetrics;

static const FieldSpec http_server_metrics_fields[] = {
        FIELD(HttpServerMetrics, server, FIELD_STR, 0, "Name of the http:server that serves it; empty: the one there is."),
        FIELD(HttpServerMetrics, filename, FIELD_STR, FIELD_IS_NAME, "Path as clients ask for it, usually /metrics."),
        FIELD(HttpServerMetrics, remote, FIELD_BOOL, 0, "Whether others than this machine are answered."),
        {}
};

static bool metrics_accepts(HttpChild *c, const HttpRequest *q) {
        return streq(http_request_path(q), ((const HttpServerMetrics *) c)->filename);
}

static int make_reply(const HttpServerMetrics *m, HttpReply **ret) {
        _cleanup_(http_reply_freep) HttpReply *p = http_reply_new(200);
        int r;

        if (!p)
                return -ENOMEM;
        r = http_reply_header(p, "Content-Type", "%s", CONTENT_TYPE);
        if (r >= 0)
                r = http_reply_header(p, "Cache-Control", "no-store");
        if (r >= 0)
                r = http_reply_piece(p, NULL, 0, m->text.s->size);
        if (r < 0)
                return r;
        p->data = value_ref(m->text);
        *ret = TAKE_PTR(p);
        return 0;
}

static void answer(HttpServerMetrics *m, HttpRequest *q) {
        HttpReply *reply;

        if (m->text.kind == TYPE_STR && make_reply(m, &reply) >= 0)
                http_request_reply(q, reply);
        else
                http_request_reply_status(q, 503);
}

static int on_metrics(sd_bus_message *reply, void *userdata, sd_bus_error *reterr) {
        HttpServerMetrics *m = userdata;
        const char *text;

        m->call = sd_bus_slot_unref(m->call);
        value_done(&m->text);
        if (!sd_bus_message_is_method_error(reply, NULL) && sd_bus_message_read(reply, "s", &text) > 0)
                (void) value_strz(&m->text, text);      /* else nil: they are told that there is none now */
        http_holds_wake(&m->holds);
        return 0;
}

/* An engine that is not there is not started for this. */
static int ask(HttpServerMetrics *m) {
        const HttpManager *manager = m->child.resource.host->manager;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        sd_bus *bus = manager->bus ? *manager->bus : NULL;
        int r;

        if (!bus || sd_bus_is_ready(bus) <= 0)
                return -ENOTCONN;
        r = sd_bus_message_new_method_call(bus, &call, "org.mgmt.engine1", "/org/mgmt/engine1", "org.mgmt.engine1.Manager", "GetMetrics");
        if (r >= 0)
                r = sd_bus_message_set_auto_start(call, false);
        return r < 0 ? r : sd_bus_call_async(bus, &m->call, call, on_metrics, m, PATIENCE_USEC);
}

static void metrics_serve(HttpChild *c, HttpRequest *q) {
        HttpServerMetrics *m = (HttpServerMetrics *) c;

        if (!m->remote && !http_request_is_local(q))
                http_request_reply_status(q, 403);
        else if (!static_accept_method(q))
                return;
        else if (http_request_is_woken(q))
                answer(m, q);
        else if (m->call || ask(m) >= 0)
                http_request_hold(q, &m->holds);
        else
                http_request_reply_status(q, 503);
}

static int http_server_metrics_init(Resource *r) {
        static const HttpChildOps ops = { .accepts = metrics_accepts, .serve = metrics_serve };

        ((HttpServerMetrics *) r)->child.ops = &ops;
        return 0;
}

static void stop(HttpServerMetrics *m) {
        m->call = sd_bus_slot_unref(m->call);
        http_holds_end(&m->holds);
}

static void http_server_metrics_done(Resource *r) {
        HttpServerMetrics *m = (HttpServerMetrics *) r;

        stop(m);
        value_done(&m->text);
}

static int http_server_metrics_validate(const Resource *r, Diag *reterr) {
        return http_child_validate_path(r, "filename", ((const HttpServerMetrics *) r)->filename, HTTP_PATH_ANY, reterr);
}

static int http_server_metrics_prepare(Resource *r, Diag *reterr) {
        http_child_warn_alone(r, ((const HttpServerMetrics *) r)->server);
        return 0;
}

static int http_server_metrics_watch(Resource *r, Diag *reterr) {
        resource_armed(r);
        return 0;
}

static void http_server_metrics_unwatch(Resource *r) {
        stop((HttpServerMetrics *) r);
}

static int http_server_metrics_check_apply(Resource *r, bool apply, Diag *reterr) {
        return CHECK_OK;
}

const ResourceType http_server_metrics_type = {
        .kind = "http:server:metrics",
        .doc = "What the engine counts, as OpenMetrics text, served by an http:server to this machine only, or to everybody.",
        .example = "http:server \"127.0.0.1:9233\" {}\n"
                   "http:server:metrics \"/metrics\" {}\n",
        .size = sizeof(HttpServerMetrics),
        .fields = http_server_metrics_fields,
        .parent_field = "server",
        .init = http_server_metrics_init,
        .done = http_server_metrics_done,
        .validate = http_server_metrics_validate,
        .prepare = http_server_metrics_prepare,
        .watch = http_server_metrics_watch,
        .unwatch = http_server_metrics_unwatch,
        .check_apply = http_server_metrics_check_apply,
};
