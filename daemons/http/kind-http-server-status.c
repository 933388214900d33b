/* SPDX-License-Identifier: GPL-3.0-or-later */

/* http:server:status: a page that shows the whole host and changes nothing: the graph as it is now, what changed when and why, what is
 * wrong and where that stands in the program. It is the engine that is shown, by what it says on the bus; only this machine is answered,
 * unless the program says otherwise.
 *
 *      index.html      the page; all that is in it a script fetches from
 *      graph           all resources and edges
 *      resource?kind=K&name=N          all of one resource
 *      events          server-sent events: state of resources, changes, that the graph is another one */

#include <inttypes.h>
#include <stdio.h>

#include <systemd/sd-bus.h>

#include "daemons/http/asset.h"
#include "daemons/http/child.h"
#include "daemons/http/engine-follow.h"
#include "daemons/http/form.h"
#include "daemons/http/host-name.h"
#include "daemons/http/http-manager.h"
#include "daemons/http/markup.h"
#include "daemons/http/static-file.h"
#include "daemons/http/status-changes.h"
#include "daemons/http/status-graph.h"
#include "daemons/http/ui-hub.h"
#include "daemons/http/url.h"

typedef struct HttpServerStatus {
        HttpChild child;
        char *server, *path;
        bool remote;

        UiHub *hub;
        EngineFollower *follower;
        StatusQuestions *questions;
        bool engine_there, converged;
        StatusChanges *changes;         /* the hub's */
} HttpServerStatus;

static const FieldSpec http_server_status_fields[] = {
        FIELD(HttpServerStatus, server, FIELD_STR, 0, "Name of the http:server that serves it; empty: the one there is."),
        FIELD(HttpServerStatus, path, FIELD_STR, FIELD_IS_NAME, "Path of the page, such as /status/; it begins and ends with a slash."),
        FIELD(HttpServerStatus, remote, FIELD_BOOL, 0,
              "Whether others than this machine are answered: names of resources, errors and lines of the program are on the page."),
        {}
};

/* ---- what happens ---- */

static void tell(HttpServerStatus *s, const char *event, StrBuf *json) {
        if (s->hub && !json->failed && json->data)
                ui_hub_tell(s->hub, event, json->data);
        strbuf_done(json);
}

static void put_engine(StrBuf *b, const HttpServerStatus *s) {
        strbuf_printf(b, "{\"there\":%s,\"converged\":%s}", s->engine_there ? "true" : "false", s->converged ? "true" : "false");
}

static void tell_change(const char *json, void *userdata) {
        ui_hub_tell(userdata, "change", json);
}

static void free_changes(void *data) {
        status_changes_free(data);
}

static int take_changes(HttpServerStatus *s, HttpManager *m) {
        int r;

        s->changes = ui_hub_data(s->hub);
        if (s->changes)
                return 0;
        r = status_changes_new(&s->changes, m, tell_change, s->hub);
        if (r >= 0)
                ui_hub_set_data(s->hub, s->changes, free_changes);
        return r;
}

static void tell_engine(HttpServerStatus *s) {
        StrBuf b = {};

        put_engine(&b, s);
        tell(s, "engine", &b);
}

static int read_state(sd_bus_message *m, StatusState *ret) {
        const char *name;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &name);
                if (r < 0)
                        return r;
                r = streq(name, "State") ? sd_bus_message_read(m, "v", "s", &ret->state) :
                    streq(name, "LastError") ? sd_bus_message_read(m, "v", "s", &ret->error) :
                    streq(name, "LastCheckUSec") ? sd_bus_message_read(m, "v", "t", &ret->checked_usec) :
                    streq(name, "LastApplyUSec") ? sd_bus_message_read(m, "v", "t", &ret->applied_usec) : sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r;
}

/* m stands before the properties. */
static void on_state(HttpServerStatus *s, const char *path, sd_bus_message *m) {
        _cleanup_free_ char *kind = NULL, *name = NULL;
        StatusState now = { .state = "", .error = "" };
        StrBuf b = {};

        if (sd_bus_path_decode_many(path, "/org/mgmt/engine1/resource/%/%", &kind, &name) <= 0 || read_state(m, &now) < 0)
                return;
        strbuf_printf(&b, "{\"number\":%" PRIu64 ",\"kind\":", ++*status_changes_told(s->changes));
        markup_json(&b, kind);
        strbuf_puts(&b, ",\"name\":");
        markup_json(&b, name);
        strbuf_puts(&b, ",\"state\":");
        markup_json(&b, now.state);
        strbuf_printf(&b, ",\"checked\":%" PRIu64 ",\"applied\":%" PRIu64 ",\"error\":", now.checked_usec, now.applied_usec);
        markup_json(&b, now.error);
        strbuf_putc(&b, '}');
        tell(s, "resource", &b);
        status_changes_note(s->changes, kind, name, &now);
}

static void on_properties(HttpServerStatus *s, sd_bus_message *m) {
        if (sd_bus_message_skip(m, "s") >= 0)
                on_state(s, sd_bus_message_get_path(m), m);
}

/* The first state of a new resource is told so. A page may have read the graph before, when it was another. */
static void on_added(HttpServerStatus *s, sd_bus_message *m) {
        const char *path, *interface;
        int r;

        r = sd_bus_message_read(m, "o", &path);
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "{sa{sv}}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sa{sv}")) > 0) {
                r = sd_bus_message_read(m, "s", &interface);
                if (r >= 0 && streq(interface, "org.mgmt.engine1.Resource")) {
                        on_state(s, path, m);
                        return;
                }
                if (r >= 0)
                        r = sd_bus_message_skip(m, "a{sv}");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
}

static void on_signal(sd_bus_message *m, void *userdata) {
        HttpServerStatus *s = userdata;

        if (sd_bus_message_is_signal(m, "org.freedesktop.DBus.Properties", "PropertiesChanged"))
                on_properties(s, m);
        else if (sd_bus_message_is_signal(m, "org.freedesktop.DBus.ObjectManager", "InterfacesAdded"))
                on_added(s, m);
        else if (sd_bus_message_is_signal(m, NULL, "GraphChanged") || sd_bus_message_is_signal(m, NULL, "ResourcesChanged"))
                ui_hub_tell(s->hub, "graph", "{}");
}

static void on_converged(bool converged, uint64_t reached, void *userdata) {
        HttpServerStatus *s = userdata;

        if (s->converged == converged)
                return;
        s->converged = converged;
        tell_engine(s);
}

static void on_engine(bool there, void *userdata) {
        HttpServerStatus *s = userdata;

        s->engine_there = there;
        tell_engine(s);
        if (there && s->hub)
                ui_hub_tell(s->hub, "graph", "{}");
}

/* ---- answers ---- */

static void serve_events(HttpServerStatus *s, HttpRequest *q) {
        StrBuf b = {};

        strbuf_puts(&b, "retry: 1000\nevent: hello\ndata: {\"engine\":");
        put_engine(&b, s);
        strbuf_puts(&b, ",\"changes\":[");
        status_changes_put(s->changes, &b);
        strbuf_puts(&b, "]}\n\n");
        if (b.failed || !s->hub)
                http_request_reply_status(q, 503);
        else
                ui_hub_stream(s->hub, q, b.data, b.size);
        strbuf_done(&b);
}

static void put_page(StrBuf *b, const HttpServerStatus *s) {
        _cleanup_free_ char *common = asset_reference("ui.css"), *style = asset_reference("status.css");
        _cleanup_free_ char *script = asset_reference("status.js");
        const char *hostname = s->child.resource.host->hostname;

        strbuf_puts(b, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                       "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                       "<meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n<title>");
        markup_html(b, hostname && *hostname ? hostname : "this host");
        strbuf_printf(b, "</title>\n<link rel=\"stylesheet\" href=\"%s\">\n<link rel=\"stylesheet\" href=\"%s\">\n"
                         "<script defer src=\"%s\"></script>\n", common ?: "", style ?: "", script ?: "");
        strbuf_puts(b, "</head>\n<body class=\"status\">\n<header><h1>");
        markup_html(b, hostname && *hostname ? hostname : "this host");
        strbuf_puts(b, " <span>status</span></h1><p class=\"link\" role=\"status\"></p></header>\n"
                       "<noscript><p>This page needs its script. <code>mgmtctl status</code> shows the same in a terminal.</p></noscript>\n"
                       "<section id=\"problems\" aria-labelledby=\"problems-title\" hidden><h2 id=\"problems-title\">What is wrong</h2>"
                       "<div></div></section>\n<search class=\"bar\"><input type=\"search\" id=\"filter\" aria-label=\"Filter resources\" "
                       "placeholder=\"Filter, such as file or /etc\" autocomplete=\"off\"><div class=\"states\" role=\"group\" aria-label=\"States\"></div></search>\n"
                       "<section aria-labelledby=\"graph-title\"><h2 id=\"graph-title\">Graph</h2><div id=\"graph\" tabindex=\"0\" role=\"group\" "
                       "aria-labelledby=\"graph-title\"><p>It is drawn when the engine has told of it.</p></div><p id=\"legend\" class=\"legend\" "
                       "aria-label=\"Lines\"></p></section>\n"
                       "<section id=\"one\" aria-live=\"polite\" hidden></section>\n"
                       "<section aria-labelledby=\"changes-title\"><h2 id=\"changes-title\">What changed</h2><ol id=\"changes\">"
                       "<li class=\"none\">Nothing yet.</li></ol></section>\n"
                       "<section aria-labelledby=\"list-title\"><h2 id=\"list-title\">Resources</h2><div id=\"list\"><p>None that are known yet.</p></div></section>\n"
                       "<footer>mgmt " MGMT_VERSION "</footer>\n</body>\n</html>\n");
}

static int put_headers(HttpReply *p) {
        int r;

        r = http_reply_header(p, "Content-Type", "text/html; charset=utf-8");
        if (r >= 0)
                r = http_reply_header(p, "Cache-Control", "no-store");
        if (r >= 0)
                r = http_reply_header(p, "X-Content-Type-Options", "nosniff");
        if (r >= 0)
                r = http_reply_header(p, "Referrer-Policy", "same-origin");
        if (r >= 0)
                r = http_reply_header(p, "Content-Security-Policy",
                                      "default-src 'none'; base-uri 'none'; connect-src 'self'; form-action 'none'; frame-ancestors 'none'; "
                                      "img-src data:; script-src 'self'; style-src 'self'");
        return r;
}

static void serve_page(HttpServerStatus *s, HttpRequest *q) {
        _cleanup_(http_reply_freep) HttpReply *p = http_reply_new(200);
        StrBuf b = {};
        char *text;

        put_page(&b, s);
        text = strbuf_take(&b);
        if (p && text && put_headers(p) >= 0 && http_reply_piece(p, TAKE_PTR(text), 0, 0) >= 0)
                http_request_reply(q, TAKE_PTR(p));
        free(text);
}

static void serve_front(HttpServerStatus *s, HttpRequest *q) {
        _cleanup_(http_reply_freep) HttpReply *p = NULL;
        _cleanup_free_ char *path = url_escape_path(s->path);

        if (path && http_reply_new_status(&p, 301) >= 0 && http_reply_header(p, "Location", "%sindex.html", path) >= 0)
                http_request_reply(q, TAKE_PTR(p));
}

static void serve_graph(HttpServerStatus *s, HttpRequest *q) {
        status_answer_graph(s->questions, q);
}

static void serve_resource(HttpServerStatus *s, HttpRequest *q) {
        const char *query = http_request_query(q);
        const HttpFormField *kind, *name;
        HttpForm form = {};

        if (!query || http_form_parse_urlencoded(&form, query, strlen(query)) < 0) {
                http_request_reply_status(q, 400);
                return;
        }
        kind = http_form_get(&form, "kind");
        name = http_form_get(&form, "name");
        if (kind && name && *kind->value && *name->value)
                status_answer_resource(s->questions, q, kind->value, name->value);
        else
                http_request_reply_status(q, 400);
        http_form_done(&form);
}

static const struct {
        const char *name;
        void (*serve)(HttpServerStatus *s, HttpRequest *q);
} routes[] = {
        { "", serve_front },
        { "events", serve_events },
        { "graph", serve_graph },
        { "index.html", serve_page },
        { "resource", serve_resource },
};

static bool status_accepts(HttpChild *c, const HttpRequest *q) {
        return startswith(http_request_path(q), ((HttpServerStatus *) c)->path);
}

static void status_serve(HttpChild *c, HttpRequest *q) {
        HttpServerStatus *s = (HttpServerStatus *) c;
        const char *rest = startswith(http_request_path(q), s->path);

        if (!s->remote && (!http_request_is_local(q) || !host_is_local(http_request_header(q, "Host")))) {
                http_request_reply_status(q, 403);
                return;
        }
        for (size_t i = 0; rest && i < ELEMENTSOF(routes); i++)
                if (streq(rest, routes[i].name)) {
                        if (static_accept_method(q))
                                routes[i].serve(s, q);
                        return;
                }
        if (!rest || !asset_serve(rest, q))
                http_request_reply_status(q, 404);
}

/* ---- life ---- */

static int http_server_status_init(Resource *r) {
        static const HttpChildOps ops = { .accepts = status_accepts, .serve = status_serve };

        ((HttpServerStatus *) r)->child.ops = &ops;
        return 0;
}

static int http_server_status_validate(const Resource *r, Diag *reterr) {
        return http_child_validate_path(r, "path", ((const HttpServerStatus *) r)->path, HTTP_PATH_TREE, reterr);
}

static int http_server_status_prepare(Resource *r, Diag *reterr) {
        http_child_warn_alone(r, ((const HttpServerStatus *) r)->server);
        return 0;
}

static int http_server_status_watch(Resource *r, Diag *reterr) {
        static const EngineFollowerOps ops = { .converged = on_converged, .engine = on_engine, .signal = on_signal };
        HttpServerStatus *s = (HttpServerStatus *) r;
        HttpManager *m = r->host->manager;
        _cleanup_free_ char *name = NULL;
        int k;

        if (asprintf(&name, "%s[%s]", r->type->kind, r->name) < 0) {
                name = NULL;
                return -ENOMEM;
        }
        k = ui_hub_take(&s->hub, m, name, s);
        if (k >= 0)
                k = take_changes(s, m);
        if (k >= 0)
                k = status_questions_new(&s->questions, m, status_changes_told(s->changes));
        if (k >= 0)
                k = engine_follow(&s->follower, m, &ops, s);
        if (k < 0)
                return resource_error(r, reterr, k, "cannot follow the engine: %m");
        s->engine_there = engine_follow_is_there(m);
        s->converged = engine_follow_is_converged(m);
        resource_armed(r);
        return 0;
}

static void http_server_status_unwatch(Resource *r) {
        HttpServerStatus *s = (HttpServerStatus *) r;

        if (s->changes)
                status_changes_stop(s->changes);
        s->changes = NULL;
        s->questions = status_questions_free(s->questions);
        s->follower = engine_unfollow(s->follower);
        if (s->hub)
                ui_hub_release(s->hub, s);
        s->hub = NULL;
}

static void http_server_status_done(Resource *r) {
        http_server_status_unwatch(r);
}

static int http_server_status_check_apply(Resource *r, bool apply, Diag *reterr) {
        return CHECK_OK;
}

const ResourceType http_server_status_type = {
        .kind = "http:server:status",
        .doc = "A page that shows this host and changes nothing: the graph of resources as it is now, what changed when and why, errors "
               "and where they stand in the program. This machine only is answered, or everybody.",
        .example = "http:server \"127.0.0.1:8080\" {}\n"
                   "http:server:status \"/status/\" {}\n",
        .size = sizeof(HttpServerStatus),
        .fields = http_server_status_fields,
        .parent_field = "server",
        .init = http_server_status_init,
        .done = http_server_status_done,
        .validate = http_server_status_validate,
        .prepare = http_server_status_prepare,
        .watch = http_server_status_watch,
        .unwatch = http_server_status_unwatch,
        .check_apply = http_server_status_check_apply,
};
