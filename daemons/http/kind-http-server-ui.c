/* SPDX-License-Identifier: GPL-3.0-or-later */

/* http:server:ui: a page on which people set values, the http:server:ui:input that are grouped into it. Below its path are
 *
 *      index.html      the page; it works without a script
 *      events          all that happens to the values, as server-sent events
 *      all             what the first of those events says, by itself
 *      save/           takes one value (POST: id, value)
 *      list/, list/ID, watch/ID, ping          for programs, as the reference has them; watch/ID takes ?since=SEQUENCE as well
 *
 * That a POST does not come from a page of another site, the server has made sure of. */

#include <inttypes.h>
#include <stdio.h>
#include <syslog.h>

#include "common/usec.h"
#include "daemons/http/asset.h"
#include "daemons/http/child.h"
#include "daemons/http/engine-follow.h"
#include "daemons/http/form.h"
#include "daemons/http/host-name.h"
#include "daemons/http/http-manager.h"
#include "daemons/http/markup.h"
#include "daemons/http/static-file.h"
#include "daemons/http/ui-hub.h"
#include "daemons/http/ui-input.h"
#include "daemons/http/url.h"

#define BODY_MAX (4 * UI_VALUE_MAX)             /* a value whose every byte is escaped, and its id */
#define FRESH_USEC UINT64_C(5000000)            /* so long after a change, what the engine does is thought to come from it */

typedef struct HttpServerUi {
        HttpChild child;
        char *server, *path;
        char **hosts;
        Value data;

        const UiField **fields;         /* of the inputs, as they are shown */
        UiHub *hub;
        EngineFollower *follower;
        bool engine_there, converged;
        char *style, *script;           /* references to them */
} HttpServerUi;

static const FieldSpec http_server_ui_fields[] = {
        FIELD(HttpServerUi, server, FIELD_STR, 0, "Name of the http:server that serves it; empty: the one there is."),
        FIELD(HttpServerUi, path, FIELD_STR, FIELD_IS_NAME, "Path of the page, such as /ui/; it begins and ends with a slash."),
        FIELD(HttpServerUi, hosts, FIELD_STRV, 0,
              "Names under which clients on this machine may know it, besides localhost and the host's own: that of a proxy which passes "
              "the name on, say. It keeps pages of other sites out that pretend to be this one."),
        FIELD(HttpServerUi, data, FIELD_VALUE, FIELD_OPTIONAL,
              "The title of the page, and HTML for its head, which is put there as it is. Styles may stand in it, scripts may not.",
              .mcl_type = "struct{title str; head str}"),
        {}
};

static UiInput *input_at(const HttpServerUi *u, size_t i) {
        return (UiInput *) u->child.resource.children[i];
}

static UiInput *find_input(const HttpServerUi *u, const char *id, size_t size) {
        for (size_t i = 0; i < u->child.resource.n_children; i++)
                if (strlen(input_at(u, i)->field.id) == size && memcmp(input_at(u, i)->field.id, id, size) == 0)
                        return input_at(u, i);
        return NULL;
}

static const char *data_text(const HttpServerUi *u, size_t i, const char *fallback) {
        const char *text = u->data.kind == TYPE_STRUCT ? value_cstr(u->data.st->fields[i].value) : "";

        return *text ? text : fallback;
}

static const char *hostname_of(const HttpServerUi *u) {
        const char *name = u->child.resource.host->hostname;

        return name && *name ? name : "this host";
}

static UiPage page_of(const HttpServerUi *u) {
        return (UiPage) {
                .title = data_text(u, 0, hostname_of(u)),
                .head = data_text(u, 1, ""),
                .hostname = hostname_of(u),
                .version = MGMT_VERSION,
                .style = u->style ?: "ui.css",
                .script = u->script ?: "ui.js",
                .fields = u->fields,
                .n_fields = u->fields ? u->child.resource.n_children : 0,
        };
}

/* ---- answers ---- */

static int put_headers(HttpReply *p, const char *type, bool has_head) {
        int r;

        r = http_reply_header(p, "Content-Type", "%s; charset=utf-8", type);
        if (r >= 0)
                r = http_reply_header(p, "Cache-Control", "no-store");
        if (r >= 0)
                r = http_reply_header(p, "X-Content-Type-Options", "nosniff");
        if (r >= 0)
                r = http_reply_header(p, "Referrer-Policy", "same-origin");
        if (r >= 0)
                r = http_reply_header(p, "Content-Security-Policy",
                                      "default-src 'none'; base-uri 'none'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; "
                                      "img-src 'self' data:; script-src 'self'; style-src 'self'%s", has_head ? " 'unsafe-inline'" : "");
        return r;
}

/* Takes what is in the buffer. */
static void reply_text(HttpRequest *q, unsigned status, const char *type, bool has_head, StrBuf *b) {
        _cleanup_(http_reply_freep) HttpReply *p = http_reply_new(status);
        char *text = strbuf_take(b);

        if (p && text && put_headers(p, type, has_head) >= 0 && http_reply_piece(p, TAKE_PTR(text), 0, 0) >= 0)
                http_request_reply(q, TAKE_PTR(p));     /* else no reply, which ends the connection */
        free(text);
}

static void reply_json(HttpRequest *q, unsigned status, StrBuf *b) {
        reply_text(q, status, "application/json", false, b);
}

static void reply_error(HttpRequest *q, unsigned status, const char *error) {
        StrBuf b = {};

        strbuf_puts(&b, "{\"error\":");
        markup_json(&b, error);
        strbuf_putc(&b, '}');
        reply_json(q, status, &b);
}

static void reply_page(const HttpServerUi *u, HttpRequest *q, unsigned status) {
        UiPage page = page_of(u);
        StrBuf b = {};

        ui_page_render(&b, &page);
        reply_text(q, status, "text/html", *page.head, &b);
}

static void reply_redirect(const HttpServerUi *u, HttpRequest *q, unsigned status, const UiInput *i) {
        _cleanup_(http_reply_freep) HttpReply *p = NULL;
        _cleanup_free_ char *path = url_escape_path(u->path);
        StrBuf fragment = {};

        if (i) {
                strbuf_puts(&fragment, "#f-");
                markup_word(&fragment, i->field.id);
        }
        if (path && !fragment.failed && http_reply_new_status(&p, status) >= 0 &&
            http_reply_header(p, "Location", "%sindex.html%s", path, fragment.data ?: "") >= 0)
                http_request_reply(q, TAKE_PTR(p));
        strbuf_done(&fragment);
}

/* ---- taking a value ---- */

/* A person's browser, without our script: it shows what we answer. */
static bool wants_page(const HttpRequest *q) {
        const char *accept = http_request_header(q, "Accept");

        return accept && strstr(accept, "text/html");
}

static void reply_refused(HttpServerUi *u, HttpRequest *q, UiInput *i, const char *typed, const char *why) {
        if (!i || !wants_page(q)) {
                reply_error(q, 400, why);
                return;
        }
        i->field.typed = typed;
        i->field.objection = why;
        reply_page(u, q, 400);
        i->field.typed = i->field.objection = NULL;
}

static void reply_saved(HttpServerUi *u, HttpRequest *q, const UiInput *i) {
        _cleanup_(http_reply_freep) HttpReply *p = NULL;
        char *text;

        if (wants_page(q)) {
                reply_redirect(u, q, 303, i);
                return;
        }
        p = http_reply_new(200);
        text = p ? strdup("null") : NULL;
        if (text && put_headers(p, "application/json", false) >= 0 &&
            http_reply_header(p, "Mgmt-Sequence", "%" PRIu64, i->field.seq) >= 0 && http_reply_piece(p, TAKE_PTR(text), 0, 0) >= 0)
                http_request_reply(q, TAKE_PTR(p));
        free(text);
}

/* The last one of that name: a hidden one before a box says what it is while that is not ticked. *ret_n: how many there are. */
static const HttpFormField *find_value(const HttpForm *f, size_t *ret_n) {
        const HttpFormField *found = NULL;

        *ret_n = 0;
        for (size_t i = 0; i < f->n; i++)
                if (streq(f->fields[i].name, "value")) {
                        found = f->fields + i;
                        ++*ret_n;
                }
        return found;
}

static void save_value(HttpServerUi *u, HttpRequest *q, const HttpForm *form) {
        const HttpFormField *id = http_form_get(form, "id"), *value;
        _cleanup_(diag_done) Diag diag = {};
        UiInput *i;
        size_t n;
        int r;

        value = find_value(form, &n);
        if (!id || id->value_size == 0) {
                reply_error(q, 400, "id is missing");
                return;
        }
        i = find_input(u, id->value, id->value_size);
        if (!i) {
                reply_error(q, 400, "there is no input of this id");
                return;
        }
        if (!value || (n > 1 && !streq(ui_type_name(&i->field.type), "checkbox"))) {
                reply_refused(u, q, i, NULL, value ? "there must be one value" : "value is missing");
                return;
        }
        r = ui_input_set(i, value->value, value->value_size, &diag);
        if (r == -EINVAL)
                reply_refused(u, q, i, value->value, diag.message ?: "it is not valid");
        else if (r < 0)
                http_request_reply_status(q, 503);
        else
                reply_saved(u, q, i);
}

static void serve_save(HttpServerUi *u, HttpRequest *q, const char *rest) {
        HttpForm form = {};
        int r;

        if (!streq(http_request_method(q), "POST")) {
                http_request_reply_allow(q, "POST");
                return;
        }
        r = http_form_parse(&form, q);
        if (r == -ENOMEM)
                http_request_reply_status(q, 503);
        else if (r < 0)
                reply_error(q, 400, "it is not a form");
        else
                save_value(u, q, &form);
        http_form_done(&form);
}

/* ---- reading ---- */

static void serve_page(HttpServerUi *u, HttpRequest *q, const char *rest) {
        reply_page(u, q, 200);
}

static void serve_front(HttpServerUi *u, HttpRequest *q, const char *rest) {
        reply_redirect(u, q, 301, NULL);
}

static void reply_value(HttpRequest *q, const UiInput *i) {
        StrBuf b = {};

        strbuf_puts(&b, "{\"value\":");
        markup_json(&b, i->field.value ?: "");
        strbuf_printf(&b, ",\"seq\":%" PRIu64 "}", i->field.seq);
        reply_json(q, 200, &b);
}

static void serve_list(HttpServerUi *u, HttpRequest *q, const char *id) {
        UiPage page = page_of(u);
        StrBuf b = {};
        UiInput *i;

        if (!*id) {
                ui_list_json(&b, &page);
                reply_json(q, 200, &b);
        } else if ((i = find_input(u, id, strlen(id))))
                reply_value(q, i);
        else
                reply_error(q, 400, "there is no input of this id");
}

static void serve_watch(HttpServerUi *u, HttpRequest *q, const char *id) {
        const char *query = http_request_query(q), *since = query ? startswith(query, "since=") : NULL;
        UiInput *i = find_input(u, id, strlen(id));

        if (!i)
                reply_error(q, 400, "there is no input of this id");
        else if (http_request_is_woken(q) || (since && i->field.seq > strtoull(since, NULL, 10)))
                reply_value(q, i);
        else
                http_request_hold(q, &i->watchers);
}

static void serve_ping(HttpServerUi *u, HttpRequest *q, const char *rest) {
        StrBuf b = {};

        strbuf_puts(&b, "{\"message\":\"pong\"}");
        reply_json(q, 200, &b);
}

/* ---- telling ---- */

static void put_engine(StrBuf *b, const HttpServerUi *u) {
        strbuf_printf(b, "{\"there\":%s,\"converged\":%s}", u->engine_there ? "true" : "false", u->converged ? "true" : "false");
}

/* All there is to know. */
static void put_everything(StrBuf *b, const HttpServerUi *u) {
        UiPage page = page_of(u);

        strbuf_printf(b, "{\"shape\":\"%016" PRIx64 "\",\"engine\":", ui_page_shape(&page));
        put_engine(b, u);
        strbuf_puts(b, ",\"fields\":[");
        for (size_t i = 0; i < page.n_fields; i++) {
                if (i > 0)
                        strbuf_putc(b, ',');
                ui_field_json(b, page.fields[i]);
        }
        strbuf_puts(b, "]}");
}

/* For one who has just come, or when another resource speaks. What is too much for a stream has to be fetched. */
static void put_hello(StrBuf *b, const HttpServerUi *u) {
        size_t before = b->size;

        put_everything(b, u);
        if (b->failed || b->size - before < HTTP_STREAM_MAX / 2)
                return;
        b->size = before;
        strbuf_puts(b, "{\"more\":true,\"engine\":");
        put_engine(b, u);
        strbuf_putc(b, '}');
}

static void serve_all(HttpServerUi *u, HttpRequest *q, const char *rest) {
        StrBuf b = {};

        put_everything(&b, u);
        reply_json(q, 200, &b);
}

static void serve_events(HttpServerUi *u, HttpRequest *q, const char *rest) {
        StrBuf b = {};

        strbuf_puts(&b, "retry: 500\nevent: hello\ndata: ");
        put_hello(&b, u);
        strbuf_puts(&b, "\n\n");
        if (b.failed || !u->hub)
                http_request_reply_status(q, 503);
        else
                ui_hub_stream(u->hub, q, b.data, b.size);
        strbuf_done(&b);
}

static void tell(const HttpServerUi *u, const char *event, StrBuf *json) {
        if (!json->failed && json->data)
                ui_hub_tell(u->hub, event, json->data);
        strbuf_done(json);
}

static bool is_watched(const HttpServerUi *u) {
        return u->hub && ui_hub_is_watched(u->hub);
}

void http_server_ui_changed(Resource *ui, UiInput *i) {
        HttpServerUi *u = (HttpServerUi *) ui;
        StrBuf b = {};

        if (i->told_seq != i->field.seq) {
                i->told_seq = i->field.seq;
                http_holds_wake(&i->watchers);
        }
        if (!is_watched(u))
                return;
        ui_field_json(&b, &i->field);
        tell(u, "field", &b);
}

static void tell_engine(HttpServerUi *u) {
        StrBuf b = {};

        if (!is_watched(u))
                return;
        put_engine(&b, u);
        tell(u, "engine", &b);
}

/* What a value causes may come in waves: the engine is done, then the program has thought about the value and gives it more to do. */
static void on_converged(bool converged, uint64_t reached, void *userdata) {
        HttpServerUi *u = userdata;
        uint64_t now = usec_now(CLOCK_MONOTONIC);
        bool is_new = u->converged != converged;

        u->converged = converged;
        for (size_t k = 0; k < u->child.resource.n_children; k++) {
                UiInput *i = input_at(u, k);

                if (converged && i->field.stage == UI_APPLIED && i->question <= reached)
                        ui_input_stage(i, UI_CONVERGED, NULL);
                else if (!converged && i->field.stage == UI_CONVERGED && i->changed_usec > 0 && now - i->changed_usec < FRESH_USEC)
                        ui_input_stage(i, UI_APPLIED, NULL);
        }
        if (is_new)
                tell_engine(u);
}

static void on_engine(bool there, void *userdata) {
        HttpServerUi *u = userdata;

        u->engine_there = there;
        tell_engine(u);
}

/* ---- routes ---- */

static const struct {
        const char *name;               /* that ends with a slash: and whatever is below */
        void (*serve)(HttpServerUi *u, HttpRequest *q, const char *rest);
        bool any_method;
} routes[] = {
        { "", serve_front },
        { "all", serve_all },
        { "events", serve_events },
        { "index.html", serve_page },
        { "list/", serve_list },
        { "ping", serve_ping },
        { "save/", serve_save, true },
        { "watch/", serve_watch },
};

static bool ui_accepts(HttpChild *c, const HttpRequest *q) {
        return startswith(http_request_path(q), ((HttpServerUi *) c)->path);
}

static void ui_serve(HttpChild *c, HttpRequest *q) {
        HttpServerUi *u = (HttpServerUi *) c;
        const char *rest = startswith(http_request_path(q), u->path), *host = http_request_header(q, "Host"), *below;

        if (http_request_is_local(q) && !host_is_local(host) && !host_is_one_of(host, u->hosts)) {
                reply_error(q, 403, "this page has another name, see the field hosts of http:server:ui");
                return;
        }
        for (size_t i = 0; rest && i < ELEMENTSOF(routes); i++) {
                below = startswith(rest, routes[i].name);
                if (!below || (*below && !endswith(routes[i].name, "/")))
                        continue;
                if (routes[i].any_method || static_accept_method(q))
                        routes[i].serve(u, q, below);
                return;
        }
        if (!rest || !asset_serve(rest, q))
                http_request_reply_status(q, 404);
}

/* ---- life ---- */

static int http_server_ui_init(Resource *r) {
        static const HttpChildOps ops = { .accepts = ui_accepts, .serve = ui_serve, .body_max = BODY_MAX, .knows_hosts = true };

        ((HttpServerUi *) r)->child.ops = &ops;
        return 0;
}

static int http_server_ui_validate(const Resource *r, Diag *reterr) {
        return http_child_validate_path(r, "path", ((const HttpServerUi *) r)->path, HTTP_PATH_TREE, reterr);
}

static int check_ids(const HttpServerUi *u, Diag *reterr) {
        for (size_t i = 0; i < u->child.resource.n_children; i++) {
                const UiInput *x = input_at(u, i), *y = find_input(u, x->field.id, strlen(x->field.id));

                if (x != y)
                        return resource_error(&x->resource, reterr, -EEXIST, "id '%s' is that of another input as well, '%s'", x->field.id,
                                              y->resource.name);
        }
        return 0;
}

static int http_server_ui_prepare(Resource *r, Diag *reterr) {
        HttpServerUi *u = (HttpServerUi *) r;

        http_child_warn_alone(r, u->server);
        free(u->fields);
        u->fields = calloc(r->n_children + 1, sizeof(*u->fields));
        if (!u->fields)
                return -ENOMEM;
        for (size_t i = 0; i < r->n_children; i++)
                u->fields[i] = &input_at(u, i)->field;
        qsort(u->fields, r->n_children, sizeof(*u->fields), ui_field_compare);
        free(u->style);
        free(u->script);
        u->style = asset_reference("ui.css");
        u->script = asset_reference("ui.js");
        return check_ids(u, reterr);
}

static int http_server_ui_watch(Resource *r, Diag *reterr) {
        static const EngineFollowerOps ops = { .converged = on_converged, .engine = on_engine };
        HttpServerUi *u = (HttpServerUi *) r;
        HttpManager *m = r->host->manager;
        StrBuf b = {};
        int k;

        k = ui_hub_take(&u->hub, m, r->name, u);
        if (k < 0)
                return resource_error(r, reterr, k, "cannot make room for pages: %m");
        k = engine_follow(&u->follower, m, &ops, u);
        u->engine_there = engine_follow_is_there(m);
        u->converged = engine_follow_is_converged(m);
        if (k < 0)
                resource_log(r, LOG_WARNING, "pages will not show whether all is done: %s", strerrordesc_np(-k));
        if (is_watched(u)) {
                put_hello(&b, u);
                tell(u, "hello", &b);
        }
        resource_armed(r);
        return 0;
}

static void http_server_ui_unwatch(Resource *r) {
        HttpServerUi *u = (HttpServerUi *) r;

        u->follower = engine_unfollow(u->follower);
        if (u->hub)
                ui_hub_release(u->hub, u);
        u->hub = NULL;
}

static void http_server_ui_done(Resource *r) {
        HttpServerUi *u = (HttpServerUi *) r;

        http_server_ui_unwatch(r);
        free(u->fields);
        free(u->style);
        free(u->script);
}

static int http_server_ui_check_apply(Resource *r, bool apply, Diag *reterr) {
        return CHECK_OK;
}

const ResourceType http_server_ui_type = {
        .kind = "http:server:ui",
        .doc = "A page of an http:server on which people set values: those of the http:server:ui:input that are grouped into it. What "
               "one does shows on the pages of all.",
        .example = "http:server \"127.0.0.1:8080\" {}\n"
                   "http:server:ui \"/ui/\" {\n"
                   "\tdata => struct{\n"
                   "\t\ttitle => \"Settings\",\n"
                   "\t\thead => \"\",\n"
                   "\t},\n"
                   "}\n",
        .size = sizeof(HttpServerUi),
        .fields = http_server_ui_fields,
        .parent_field = "server",
        .init = http_server_ui_init,
        .done = http_server_ui_done,
        .validate = http_server_ui_validate,
        .prepare = http_server_ui_prepare,
        .watch = http_server_ui_watch,
        .unwatch = http_server_ui_unwatch,
        .check_apply = http_server_ui_check_apply,
};
