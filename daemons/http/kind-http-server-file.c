/* SPDX-License-Identifier: GPL-3.0-or-later */

/* http:server:file: one path, or everything below one, of an http:server. Content is a file, a directory, or a text that may be
 * received from another resource. Texts have no date of their own, so they get a cursor: a time in seconds that moves forward
 * with each change, if need be into the future, so that two contents never share a date.
 *
 * With longpoll, a conditional request for the content that the client has already is held back until there is another. A client that
 * has lost its server for a while must not be told that it has what there is now when it has not. So the last cursor is written down
 * before anybody sees it, and the next life of this resource begins behind it. */

#include <fcntl.h>
#include <stdio.h>
#include <syslog.h>
#include <time.h>

#include "common/edge-rule.h"
#include "common/io.h"
#include "daemons/http/child.h"
#include "daemons/http/date.h"
#include "daemons/http/http-manager.h"
#include "daemons/http/static-file.h"

typedef struct HttpServerFile {
        HttpChild child;
        char *server;
        char *filename;
        char *path;
        Value data;
        bool longpoll;

        Value snapshot;                 /* of data: what is being served */
        int64_t cursor;                 /* seconds since 1970 */
        HttpHolds holds;
        PathWatch *watch;
} HttpServerFile;

static const FieldSpec http_server_file_fields[] = {
        FIELD(HttpServerFile, server, FIELD_STR, 0, "Name of the http:server that serves it; empty: the one there is."),
        FIELD(HttpServerFile, filename, FIELD_STR, FIELD_IS_NAME,
              "Path as clients ask for it, such as /hello.txt; with a directory, whatever begins with it."),
        FIELD(HttpServerFile, path, FIELD_STR, 0,
              "Absolute path of the file to serve, or, with a trailing slash, of a directory. Symbolic links do not lead out of "
              "the directory."),
        FIELD(HttpServerFile, data, FIELD_VALUE, 0, "The content itself, where path is empty.",
              .mcl_type = "str", .initial = "\"\""),
        FIELD(HttpServerFile, longpoll, FIELD_BOOL, 0,
              "Hold a request with If-Modified-Since back until the content is newer than that."),
        {}
};

enum { CURSOR_TEXT_MAX = 32 };

static char *cursor_path(const HttpServerFile *f) {
        const Resource *r = &f->child.resource;
        _cleanup_free_ char *dir = NULL;
        char *path;

        if (!f->longpoll || !r->host->state_dir || resource_state_dir(r, &dir) < 0)
                return NULL;
        return asprintf(&path, "%scursor", dir) < 0 ? NULL : path;
}

/* 0: there was none. */
static int64_t cursor_of_last_life(const HttpServerFile *f) {
        _cleanup_free_ char *path = cursor_path(f), *text = NULL;
        size_t size;

        if (!path || read_file_at(AT_FDCWD, path, CURSOR_TEXT_MAX, &text, &size) < 0)
                return 0;
        return MAX((int64_t) strtoll(text, NULL, 10), (int64_t) 0);
}

static void cursor_advance(HttpServerFile *f, int64_t beyond) {
        const Resource *r = &f->child.resource;
        _cleanup_free_ char *path = cursor_path(f);
        char text[CURSOR_TEXT_MAX];
        int e = 0;

        f->cursor = MAX((int64_t) time(NULL), beyond + 1);
        if (!path || r->host->only_looks || r->meta.noop)
                return;
        (void) snprintf(text, sizeof(text), "%lld\n", (long long) f->cursor);
        e = write_file_atomic_at(AT_FDCWD, path, text, strlen(text), 0600, false);
        if (e < 0) {
                errno = -e;
                resource_log(&f->child.resource, LOG_WARNING, "cannot write '%s', so clients may miss a change over a restart: %m", path);
        }
}

/* The path below the directory that a request asks for; NULL if it is none. */
static const char *path_below(const HttpServerFile *f, const HttpRequest *q) {
        const char *rest = endswith(f->filename, "/") ? startswith(http_request_path(q), f->filename) : NULL;

        return rest && rest[0] && !endswith(rest, "/") ? rest : NULL;
}

static int open_content(const HttpServerFile *f, const HttpRequest *q, StaticContent *ret) {
        StaticCache *files = ((HttpManager *) f->child.resource.host->manager)->files;
        int r;

        if (f->path[0] == 0)
                return static_content_from_value(ret, f->snapshot, f->cursor);

        if (endswith(f->path, "/")) {
                const char *below = path_below(f, q);
                return below ? static_cache_open(files, ret, f->path, below, false) : -ENOENT;
        }

        r = static_cache_open(files, ret, NULL, f->path, false);
        if (r >= 0 && f->longpoll)
                ret->modified = f->cursor;
        return r;
}

static bool file_accepts(HttpChild *c, const HttpRequest *q) {
        const HttpServerFile *f = (const HttpServerFile *) c;
        const char *path = http_request_path(q);

        return endswith(f->path, "/") ? startswith(path, f->filename) != NULL : streq(path, f->filename);
}

/* Whether the client has what there is now. */
static bool is_current(const HttpServerFile *f, const HttpRequest *q) {
        const char *since = http_request_header(q, "If-Modified-Since");
        int64_t date;

        return since && http_date_parse(since, &date) >= 0 && f->cursor <= date;
}

static void file_serve(HttpChild *c, HttpRequest *q) {
        HttpServerFile *f = (HttpServerFile *) c;
        StaticContent content = STATIC_CONTENT_EMPTY;

        if (!static_accept_method(q))
                return;
        if (f->longpoll && !http_request_is_woken(q) && is_current(f, q)) {
                http_request_hold(q, &f->holds);
                return;
        }

        int r = open_content(f, q, &content);
        if (r < 0)
                static_serve_error(q, r);
        else
                static_serve(q, &content, http_request_is_woken(q));
}

static int http_server_file_init(Resource *r) {
        static const HttpChildOps ops = { .accepts = file_accepts, .serve = file_serve };
        HttpServerFile *f = (HttpServerFile *) r;

        f->child.ops = &ops;
        return 0;
}

static void http_server_file_done(Resource *r) {
        HttpServerFile *f = (HttpServerFile *) r;

        http_holds_end(&f->holds);
        f->watch = path_watch_free(f->watch);
        value_done(&f->snapshot);
}

static int http_server_file_validate(const Resource *r, Diag *reterr) {
        const HttpServerFile *f = (const HttpServerFile *) r;

        if (f->path[0] && f->path[0] != '/')
                return resource_error(r, reterr, -EINVAL, "path must be absolute, got '%s'", f->path);
        if (f->path[0] && f->data.kind == TYPE_STR && f->data.s->size > 0)
                return resource_error(r, reterr, -EINVAL, "path and data exclude each other, got both");
        if (f->longpoll && endswith(f->path, "/"))
                return resource_error(r, reterr, -EINVAL, "longpoll needs a file, path '%s' is a directory", f->path);
        return 0;
}

static int http_server_file_prepare(Resource *r, Diag *reterr) {
        HttpServerFile *f = (HttpServerFile *) r;

        value_done(&f->snapshot);
        f->snapshot = value_ref(f->data);
        cursor_advance(f, cursor_of_last_life(f));
        http_child_warn_alone(r, f->server);
        return 0;
}

static void on_path(PathWatch *w, int error, void *userdata) {
        HttpServerFile *f = userdata;

        if (error < 0) {
                Diag diag = {};

                f->watch = path_watch_free(f->watch);
                (void) diag_set(&diag, f->child.resource.pos, error, "cannot watch '%s': %m", f->path);
                resource_watch_failed(&f->child.resource, error, &diag);
                diag_done(&diag);
                return;
        }
        cursor_advance(f, f->cursor);
        http_holds_wake(&f->holds);
}

static int http_server_file_watch(Resource *r, Diag *reterr) {
        HttpServerFile *f = (HttpServerFile *) r;
        HttpManager *m = r->host->manager;
        int k;

        if (f->longpoll && f->path[0]) {
                k = path_watch_new(&f->watch, m->paths, f->path, 0, on_path, f);
                if (k < 0)
                        return resource_error(r, reterr, k, "cannot watch '%s': %m", f->path);
        }
        resource_armed(r);
        return 0;
}

static void http_server_file_unwatch(Resource *r) {
        HttpServerFile *f = (HttpServerFile *) r;

        http_holds_end(&f->holds);
        f->watch = path_watch_free(f->watch);
}

static const char *text_of(Value v) {
        return v.kind == TYPE_STR ? v.s->data : NULL;
}

static size_t size_of(Value v) {
        return v.kind == TYPE_STR ? v.s->size : 0;
}

static int http_server_file_check_apply(Resource *r, bool apply, Diag *reterr) {
        HttpServerFile *f = (HttpServerFile *) r;

        if (value_equal(f->data, f->snapshot))
                return CHECK_OK;
        resource_differs_bytes(r, "data", text_of(f->snapshot), size_of(f->snapshot), text_of(f->data), size_of(f->data));
        if (apply) {
                value_done(&f->snapshot);
                f->snapshot = value_ref(f->data);
                cursor_advance(f, f->cursor);
                http_holds_wake(&f->holds);
        }
        return CHECK_CHANGED;
}

/* The file that is served comes first. */
static const EdgeRule http_server_file_edges[] = {
        { .domain = "file", .field = "path" },
        {}
};

const ResourceType http_server_file_type = {
        .kind = "http:server:file",
        .doc = "A file, a directory, or a text of the program, served by an http:server.",
        .example = "http:server \":8080\" {}\n"
                   "http:server:file \"/hello.txt\" {\n"
                   "\tdata => \"hello\\n\",\n"
                   "}\n",
        .size = sizeof(HttpServerFile),
        .flags = RESOURCE_RECEIVES,
        .fields = http_server_file_fields,
        .parent_field = "server",
        .init = http_server_file_init,
        .done = http_server_file_done,
        .validate = http_server_file_validate,
        .prepare = http_server_file_prepare,
        .watch = http_server_file_watch,
        .unwatch = http_server_file_unwatch,
        .check_apply = http_server_file_check_apply,
        .edges = http_server_file_edges,
};
