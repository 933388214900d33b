/* SPDX-License-Identifier: GPL-3.0-or-later */

/* http:server: an address, and who answers there. Its children (http:server:file and so on) are asked in order; what none of
 * them accepts comes from the root directory, if there is one. The socket itself belongs to the manager, so that a change of a
 * child, which makes a new server of this one, does not interrupt anybody. */

#include <sys/stat.h>
#include <syslog.h>

#include "common/resource.h"
#include "common/sd/log.h"
#include "common/strbuf.h"
#include "daemons/http/access.h"
#include "daemons/http/address.h"
#include "daemons/http/child.h"
#include "daemons/http/cross-site.h"
#include "daemons/http/http-manager.h"
#include "daemons/http/static-file.h"
#include "daemons/http/tls.h"

#define USEC_PER_SEC UINT64_C(1000000)

typedef struct HttpServer {
        Resource resource;
        char *address;
        Value timeout;                  /* the next three if they are not set; all are int, or nil */
        Value read_timeout;
        Value write_timeout;
        Value shutdown_timeout;
        char *root;
        char *certificate, *key;
        char *user, *password, *token;
        char **hosts;

        bool listens;
        HttpTls *tls;
} HttpServer;

static const FieldSpec http_server_fields[] = {
        FIELD(HttpServer, address, FIELD_STR, FIELD_IS_NAME,
              "Where to listen: 'host:port', the host a literal IP address (IPv6 in brackets), or empty for all of this "
              "machine."),
        FIELD(HttpServer, timeout, FIELD_VALUE, FIELD_OPTIONAL,
              "Seconds, for each of read_timeout, write_timeout and shutdown_timeout that is not given.", .mcl_type = "int"),
        FIELD(HttpServer, read_timeout, FIELD_VALUE, FIELD_OPTIONAL,
              "Seconds a client may take to send a request; 0 or nothing: no limit.", .mcl_type = "int"),
        FIELD(HttpServer, write_timeout, FIELD_VALUE, FIELD_OPTIONAL,
              "Seconds an answer may take, until the client has all of it; 0 or nothing: no limit.", .mcl_type = "int"),
        FIELD(HttpServer, shutdown_timeout, FIELD_VALUE, FIELD_OPTIONAL,
              "Seconds that answers under way are waited for when the server goes away; 0 or nothing: no limit.",
              .mcl_type = "int"),
        FIELD(HttpServer, root, FIELD_STR, 0,
              "Directory, absolute and with a trailing slash, whose files answer what nothing else does; symbolic links never "
              "lead out of it."),
        FIELD(HttpServer, certificate, FIELD_STR, 0,
              "Absolute path of a PEM file with the server's certificate and those that vouch for it: then it speaks https. Read again "
              "when it changes, without interrupting anybody."),
        FIELD(HttpServer, key, FIELD_STR, 0, "Absolute path of a PEM file with the private key of the certificate."),
        FIELD(HttpServer, user, FIELD_STR, 0,
              "Name that clients must give, with the password (HTTP basic authentication). Given neither user nor token, anybody may "
              "ask."),
        FIELD(HttpServer, password, FIELD_STR, FIELD_SECRET, "Password that clients must give with the name."),
        FIELD(HttpServer, token, FIELD_STR, FIELD_SECRET,
              "Token by which clients are let in (Authorization: Bearer …), beside those that know the password."),
        FIELD(HttpServer, hosts, FIELD_STRV, 0,
              "Names under which browsers on this machine may change something, besides localhost and the host's own: that of a proxy "
              "which passes the name on, say."),
        {}
};

static uint64_t timeout_usec(const HttpServer *s, Value own) {
        const Value *v = own.kind == TYPE_INT ? &own : &s->timeout;

        return v->kind == TYPE_INT ? (uint64_t) v->i * USEC_PER_SEC : 0;
}

static void serve_root(HttpServer *s, HttpRequest *q) {
        StaticContent content = STATIC_CONTENT_EMPTY;

        if (!static_accept_method(q))
                return;
        int r = static_cache_open(((HttpManager *) s->resource.host->manager)->files, &content, s->root, http_request_path(q) + 1, true);
        if (r < 0)
                static_serve_error(q, r);
        else
                static_serve(q, &content, false);
}

static void log_request(const HttpServer *s, const HttpRequest *q) {
        _cleanup_(strbuf_done) StrBuf path = {};

        if (log_level() < LOG_DEBUG)
                return;
        strbuf_quote(&path, http_request_path(q), strlen(http_request_path(q)));
        log_debug("http:server[%s]: %s %s", s->resource.name, http_request_method(q), path.data ? path.data : "");
}

static HttpChild *child_for(const HttpServer *s, const HttpRequest *q) {
        for (size_t i = 0; i < s->resource.n_children; i++) {
                HttpChild *c = (HttpChild *) s->resource.children[i];
                if (c->ops->accepts(c, q))
                        return c;
        }
        return NULL;
}

static HttpAccess access_of(const HttpServer *s) {
        return (HttpAccess) { .user = s->user, .password = s->password, .token = s->token };
}

static bool is_forbidden(const HttpServer *s, const HttpRequest *q, const HttpChild *c) {
        return http_request_is_cross_site(q) || (http_request_is_misled(q, s->hosts) && !(c && c->ops->knows_hosts));
}

/* What clients whose requests will be refused send is not kept. */
static uint64_t http_server_body_max(HttpRequest *q, void *userdata) {
        const HttpServer *s = userdata;
        HttpAccess access = access_of(s);
        const HttpChild *c = http_access_allows(&access, q) ? child_for(s, q) : NULL;

        return c && !is_forbidden(s, q, c) ? c->ops->body_max : 0;
}

static void http_server_request(HttpRequest *q, void *userdata) {
        HttpServer *s = userdata;
        HttpAccess access = access_of(s);
        HttpChild *c = child_for(s, q);

        log_request(s, q);
        if (!http_access_allows(&access, q))
                http_access_refuse(&access, q);
        else if (is_forbidden(s, q, c))
                http_request_reply_status(q, 403);
        else if (c && c->ops->body_max > 0 && http_request_lost_body(q))
                http_request_reply_again(q);    /* the child is younger than the request */
        else if (c)
                c->ops->serve(c, q);
        else if (s->root[0])
                serve_root(s, q);
        else
                http_request_reply_status(q, 404);
}

static int validate_secrets(const HttpServer *s, Diag *reterr) {
        const Resource *r = &s->resource;
        const char *const paths[] = { s->certificate, s->key };

        for (size_t i = 0; i < ELEMENTSOF(paths); i++)
                if (paths[i][0] && paths[i][0] != '/')
                        return resource_error(r, reterr, -EINVAL, "%s must be an absolute path, got '%s'",
                                              i == 0 ? "certificate" : "key", paths[i]);
        if (!s->certificate[0] != !s->key[0])
                return resource_error(r, reterr, -EINVAL, "certificate and key need each other, got only one");
        if (!s->user[0] != !s->password[0])
                return resource_error(r, reterr, -EINVAL, "user and password need each other, got only one");
        if (strchr(s->user, ':'))
                return resource_error(r, reterr, -EINVAL, "user must not have a colon in it, got '%s'", s->user);
        return 0;
}

static int http_server_validate(const Resource *r, Diag *reterr) {
        const HttpServer *s = (const HttpServer *) r;
        const struct {
                const char *name;
                Value value;
        } timeouts[] = {
                { "timeout", s->timeout },
                { "read_timeout", s->read_timeout },
                { "write_timeout", s->write_timeout },
                { "shutdown_timeout", s->shutdown_timeout },
        };

        for (size_t i = 0; i < ELEMENTSOF(timeouts); i++)
                if (timeouts[i].value.kind == TYPE_INT &&
                    (timeouts[i].value.i < 0 || timeouts[i].value.i > INT64_MAX / (int64_t) USEC_PER_SEC))
                        return resource_error(r, reterr, -EINVAL, "%s must be a number of seconds that is not negative, got '%lld'",
                                              timeouts[i].name, (long long) timeouts[i].value.i);
        if (s->root[0] && (s->root[0] != '/' || !endswith(s->root, "/")))
                return resource_error(r, reterr, -EINVAL, "root must be an absolute path with a trailing slash, got '%s'",
                                      s->root);
        int k = validate_secrets(s, reterr);
        return k < 0 ? k : address_validate(s->address, r->pos, reterr);
}

static void on_tls_complaint(const char *message, void *userdata) {
        resource_log(userdata, LOG_WARNING, "the certificate from before stays in force: %s", message);
}

/* Files that are not there yet may be what a resource before this one makes. */
static int load_certificate(HttpServer *s, Diag *reterr) {
        HttpManager *m = s->resource.host->manager;
        _cleanup_(diag_done) Diag diag = {};
        int k;

        if (!s->certificate[0] || s->tls)
                return 0;
        k = http_tls_new(&s->tls, m->paths, s->certificate, s->key, on_tls_complaint, &s->resource, &diag);
        if (k == -ENOENT)
                return resource_waiting(&s->resource, diag.message ? diag.message : "the certificate is not there");
        return k < 0 ? resource_error(&s->resource, reterr, k, "%s", diag.message ? diag.message : "out of memory") : 0;
}

static void forget_certificate(HttpServer *s) {
        if (s->tls)
                http_tls_quiet(s->tls);
        s->tls = http_tls_unref(s->tls);
}

static int http_server_watch(Resource *r, Diag *reterr) {
        HttpServer *s = (HttpServer *) r;
        HttpServing serving = {
                .request = http_server_request,
                .body_max = http_server_body_max,
                .userdata = s,
                .read_timeout_usec = timeout_usec(s, s->read_timeout),
                .write_timeout_usec = timeout_usec(s, s->write_timeout),
        };
        _cleanup_(diag_done) Diag diag = {};
        int k;

        if (r->meta.noop) {
                resource_armed(r);
                return 0;
        }
        k = load_certificate(s, reterr);
        if (k < 0)
                return k;
        serving.tls = s->tls;
        k = http_manager_listen(r->host->manager, r->name, s->address, &serving, &diag);
        if (k < 0)
                return resource_error(r, reterr, k, "%s", diag.message ? diag.message : "out of memory");
        s->listens = true;
        resource_armed(r);
        return 0;
}

static void http_server_unwatch(Resource *r) {
        HttpServer *s = (HttpServer *) r;

        if (s->listens)
                http_manager_release(r->host->manager, s, timeout_usec(s, s->shutdown_timeout));
        s->listens = false;
        forget_certificate(s);
}

static void http_server_done(Resource *r) {
        forget_certificate((HttpServer *) r);
}

/* Under noop nobody listens. If another process does, it is most likely the mgmt-http of the program that is in force. */
static int would_listen(HttpServer *s, Diag *reterr) {
        int k = address_try(s->address);

        if (k == -EADDRINUSE)
                return CHECK_OK;
        if (k < 0)
                return resource_error(&s->resource, reterr, k, "cannot listen on '%s': %m", s->address);
        resource_differs(&s->resource, "address", NULL, s->address);
        return CHECK_CHANGED;
}

static int http_server_check_apply(Resource *r, bool apply, Diag *reterr) {
        HttpServer *s = (HttpServer *) r;
        struct stat st;

        if (s->root[0]) {
                if (stat(s->root, &st) < 0)
                        return resource_error(r, reterr, -errno, "root '%s' cannot be served: %m", s->root);
                if (!S_ISDIR(st.st_mode))
                        return resource_error(r, reterr, -ENOTDIR, "root must be a directory, '%s' is not", s->root);
        }
        return apply || s->listens ? CHECK_OK : would_listen(s, reterr);
}

const ResourceType http_server_type = {
        .kind = "http:server",
        .doc = "A web server. What it serves is said by the resources that are grouped into it, such as http:server:file, and by "
               "its root directory.",
        .example = "http:server \"127.0.0.1:8080\" {\n"
                   "\ttimeout => 60,\n"
                   "}\n",
        .size = sizeof(HttpServer),
        .flags = RESOURCE_REFUSES_POLL,         /* without a watch, nobody would listen */
        .fields = http_server_fields,
        .done = http_server_done,
        .validate = http_server_validate,
        .watch = http_server_watch,
        .unwatch = http_server_unwatch,
        .check_apply = http_server_check_apply,
};
