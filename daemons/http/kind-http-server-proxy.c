/* SPDX-License-Identifier: GPL-3.0-or-later */

/* http:server:proxy: what another server has, under paths of this one; and kept in a directory, so that it is fetched once. What is
 * fetched goes to the client and into the cache at the same time, no faster than the client takes it. A file appears in the cache
 * when it is complete. A transfer that breaks off is taken up again where it was, if the other server says of what date the file is,
 * so that two halves of different files are never put together. Nobody waits for somebody else's transfer: who asks for a file that
 * is on its way gets it from the other server as well, and only the first one writes it down.
 *
 * The client's request is held back until the other server has said whether there is such a thing. */

#include <sys/queue.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "common/http/fetch.h"
#include "common/io.h"
#include "common/resource.h"
#include "common/url.h"
#include "daemons/http/child.h"
#include "daemons/http/content-type.h"
#include "daemons/http/date.h"
#include "daemons/http/download.h"
#include "daemons/http/http-manager.h"
#include "daemons/http/proxy-cache.h"
#include "daemons/http/proxy-path.h"
#include "daemons/http/static-file.h"

enum {
        TRANSFERS_MAX = 256,            /* of one proxy, at a time */
        RESUMES_MAX = 5,                /* of one transfer */
        COLLECT_USEC = 10 * 1000 * 1000,        /* a request that was woken and does not come any more has lost its client */
};

typedef struct HttpServerProxy HttpServerProxy;

/* One request at the other server, for one of a client. */
typedef struct Transfer {
        HttpServerProxy *proxy;
        char *url, *file;               /* file: in the cache */
        bool head_only;
        HttpFetch *fetch;
        HttpHolds holds;                /* the client's request, until the head is there */
        bool ready;                     /* the head is there, or will never be, and the request has not come for it yet */
        bool over;
        int error;
        int64_t size;                   /* of the whole; -1: nobody knows */
        uint64_t n_received;
        unsigned n_resumes;
        bool resuming;                  /* the head of what is left is not there yet */
        sd_event_source *collect;
        HttpStream *stream;             /* the answer to the client */
        Download *download;             /* into the cache; NULL if it is not written, or could not be */
        uint64_t n_taken;               /* bytes of room in the cache that it has */
        TAILQ_ENTRY(Transfer) entries;
} Transfer;

struct HttpServerProxy {
        HttpChild child;
        char *server, *path, *sub, *head, *cache;
        int64_t cache_size, cache_files;
        ProxyCache *kept;               /* NULL: without a cache, or nothing is put in yet */

        TAILQ_HEAD(, Transfer) transfers;
        unsigned n_transfers;
};

static const FieldSpec http_server_proxy_fields[] = {
        FIELD(HttpServerProxy, server, FIELD_STR, 0, "Name of the http:server that serves it; empty: the one there is."),
        FIELD(HttpServerProxy, path, FIELD_STR, FIELD_IS_NAME,
              "Path as clients ask for it; with a slash at its end, whatever begins with it."),
        FIELD(HttpServerProxy, sub, FIELD_STR, 0,
              "What is taken away from the start of a client's path before it is asked for at the other server; begins and ends with a "
              "slash."),
        FIELD(HttpServerProxy, head, FIELD_STR, 0,
              "URL at the other server to which the rest of the path is added, with a slash at its end; empty: only what is in the "
              "cache is served."),
        FIELD(HttpServerProxy, cache, FIELD_STR, 0,
              "Absolute path of a directory, with a slash at its end, where files are kept once they were fetched; empty: "
              "nothing is kept. It belongs to the user mgmt-http, and to one proxy."),
        FIELD(HttpServerProxy, cache_size, FIELD_INT64, 0,
              "Bytes that the files in the cache may have together. Those that were asked for longest ago make room for others.",
              .initial = "10737418240"),
        FIELD(HttpServerProxy, cache_files, FIELD_INT64, 0, "How many files may be in the cache; likewise.", .initial = "100000"),
        {}
};

static HttpManager *manager_of(const HttpServerProxy *p) {
        return p->child.resource.host->manager;
}

static unsigned depth(const char *file) {
        unsigned n = 0;

        for (const char *p = file; (p = strchr(p, '/')); p++)
                n++;
        return n;
}

/* Whether a file of that name may be in the cache. What looks like one that is being written stays out of it. */
static bool keeps(const HttpServerProxy *p, const char *file) {
        const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file;

        return p->cache[0] && !(name[0] == '.' && endswith(name, ".part")) && depth(file) <= PROXY_CACHE_DEPTH;
}

/* Nothing, or no longer, is written of it. */
static void drop(Transfer *t) {
        if (!t->download)
                return;
        t->download = download_free(t->download);
        proxy_cache_give_back(t->proxy->kept, t->n_taken);
}

static bool takes_room(Transfer *t, uint64_t size) {
        if (size <= t->n_taken)
                return true;
        if (!proxy_cache_take(t->proxy->kept, size - t->n_taken))
                return false;
        t->n_taken = size;
        return true;
}

/* ---- transfers ---- */

static Transfer *transfer_free(Transfer *t) {
        if (!t)
                return NULL;
        TAILQ_REMOVE(&t->proxy->transfers, t, entries);
        t->proxy->n_transfers--;
        t->fetch = http_fetch_free(t->fetch);
        drop(t);
        t->stream = http_stream_end(t->stream, -ECONNABORTED);
        http_holds_end(&t->holds);
        sd_event_source_disable_unref(t->collect);
        free(t->url);
        free(t->file);
        free(t);
        return NULL;
}

static int on_collect(sd_event_source *source, uint64_t usec, void *userdata) {
        transfer_free(userdata);
        return 0;
}

/* What the other server has said can be passed on. */
static void transfer_ready(Transfer *t) {
        t->ready = true;
        (void) sd_event_source_set_time_relative(t->collect, t->holds.first ? COLLECT_USEC : 0);
        (void) sd_event_source_set_enabled(t->collect, SD_EVENT_ONESHOT);
        http_holds_wake(&t->holds);
}

static void on_head(HttpFetch *f, void *userdata) {
        Transfer *t = userdata;

        if (!t->stream)
                transfer_ready(t);
        else if (http_fetch_from(f) == (int64_t) t->n_received)
                t->resuming = false;
}

/* The cache is a convenience: the client gets its file without it as well. */
static void write_down(Transfer *t, const void *data, size_t size) {
        int r;

        if (!t->download)
                return;
        r = takes_room(t, download_size(t->download) + size) ? download_write(t->download, data, size) : -EDQUOT;
        if (r >= 0)
                return;
        errno = -r;
        resource_log(&t->proxy->child.resource, LOG_WARNING, "cannot write '%s%s', so it is not kept: %m", t->proxy->cache, t->file);
        drop(t);
}

static int on_data(HttpFetch *f, const void *data, size_t size, void *userdata) {
        Transfer *t = userdata;
        int r;

        if (t->resuming)                /* it is another file by now */
                return -ESTALE;
        if (!t->stream)
                return t->ready ? -EAGAIN : -ECANCELED;
        r = http_stream_write(t->stream, data, size);
        if (r == -ENOBUFS)
                return -EAGAIN;
        if (r < 0)
                return r;
        t->n_received += size;
        write_down(t, data, size);
        return 0;
}

static void keep(Transfer *t) {
        const char *modified = t->fetch ? http_fetch_last_modified(t->fetch) : NULL;
        int64_t date;
        bool same;
        int r;

        if (!t->download)
                return;
        if (!modified || http_date_parse(modified, &date) < 0)
                date = time(NULL);
        r = download_finish(t->download, NULL, date, &same);
        if (r >= 0) {
                t->download = download_free(t->download);
                proxy_cache_keep(t->proxy->kept, t->n_taken);
                return;
        }
        errno = -r;
        resource_log(&t->proxy->child.resource, LOG_WARNING, "cannot write '%s%s', so it is not kept: %m", t->proxy->cache, t->file);
}

/* Everything has come, or will never come. */
static void transfer_end(Transfer *t) {
        if (t->error >= 0)
                keep(t);
        t->stream = http_stream_end(t->stream, t->error);
        transfer_free(t);
}

static int transfer_fetch(Transfer *t, const char *if_range);

/* Goes on where it broke off. Whether it does. */
static bool transfer_resume(Transfer *t) {
        _cleanup_free_ char *date = NULL;
        const char *modified = http_fetch_last_modified(t->fetch);

        if (!t->stream || t->resuming || !modified || t->n_received == 0 || t->size < 0 || t->n_received >= (uint64_t) t->size ||
            t->n_resumes >= RESUMES_MAX)
                return false;
        date = strdup(modified);
        t->fetch = http_fetch_free(t->fetch);
        t->n_resumes++;
        t->resuming = true;
        return date && transfer_fetch(t, date) >= 0;
}

static void on_done(HttpFetch *f, int error, const char *message, void *userdata) {
        Transfer *t = userdata;

        if (error < 0) {
                _cleanup_free_ char *url = http_url_redacted(t->url);
                resource_log(&t->proxy->child.resource, LOG_WARNING, "cannot fetch '%s': %s", url ?: "", message);
        }
        if (error < 0 && transfer_resume(t))
                return;
        if (error >= 0 && t->resuming)
                error = -ESTALE;
        t->over = true;
        t->error = error;
        if (t->stream)
                transfer_end(t);
        else if (!t->ready)             /* there will be no head */
                transfer_ready(t);
}

static void on_left(HttpHolds *holds) {
        Transfer *t = container_of(holds, Transfer, holds);

        if (!t->ready)                  /* else it is collected */
                transfer_free(t);
}

static void on_gone(HttpStream *s, void *userdata) {
        transfer_free(userdata);
}

static void on_room(HttpStream *s, void *userdata) {
        Transfer *t = userdata;

        if (t->fetch)
                http_fetch_go_on(t->fetch);
}

static Transfer *find_transfer(const HttpServerProxy *p, const char *url, bool head_only) {
        Transfer *t;

        TAILQ_FOREACH(t, &p->transfers, entries)
                if (t->ready && t->head_only == head_only && streq(t->url, url))
                        return t;
        return NULL;
}

/* With if_range, what has not come yet. */
static int transfer_fetch(Transfer *t, const char *if_range) {
        static const HttpFetchOps ops = { .head = on_head, .data = on_data, .done = on_done };

        return http_fetch_new(&t->fetch, manager_of(t->proxy)->curl, &(HttpFetchRequest) {
                        .method = t->head_only ? "HEAD" : "GET",
                        .url = t->url,
                        .from = if_range ? t->n_received : 0,
                        .if_range = if_range,
                }, &ops, t);
}

/* url and file are taken over, also on failure. */
static int transfer_new(HttpServerProxy *p, char *url, char *file, bool head_only, Transfer **ret) {
        Transfer *t = calloc(1, sizeof(*t));
        int r;

        if (!t) {
                free(url);
                free(file);
                return -ENOMEM;
        }
        *t = (Transfer) { .proxy = p, .url = url, .file = file, .head_only = head_only, .holds.gone = on_left };
        TAILQ_INSERT_TAIL(&p->transfers, t, entries);
        p->n_transfers++;

        r = sd_event_add_time(manager_of(p)->event, &t->collect, CLOCK_MONOTONIC, UINT64_MAX, 0, on_collect, t);
        if (r >= 0)
                r = sd_event_source_set_enabled(t->collect, SD_EVENT_OFF);
        if (r >= 0)
                r = http_manager_curl(manager_of(p));
        if (r >= 0)
                r = transfer_fetch(t, NULL);
        if (r < 0) {
                transfer_free(t);
                return r;
        }
        *ret = t;
        return 0;
}

static bool is_written(const Transfer *t) {
        const Transfer *other;

        TAILQ_FOREACH(other, &t->proxy->transfers, entries)
                if (other->download && streq(other->file, t->file))
                        return true;
        return false;
}

static int start_cache(HttpServerProxy *p) {
        return p->kept ? 0 : proxy_cache_new(&p->kept, manager_of(p)->event, p->cache, (uint64_t) p->cache_size, (uint64_t) p->cache_files);
}

static int open_cache(Transfer *t) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = start_cache(t->proxy);
        if (r < 0)
                return r;
        if (asprintf(&path, "%s%s", t->proxy->cache, t->file) < 0)
                return -ENOMEM;
        *strrchr(path, '/') = 0;
        r = make_directories(path, 0700);
        path[strlen(path)] = '/';
        if (r < 0)
                return r;
        if (!proxy_cache_take_file(t->proxy->kept))
                return -EDQUOT;
        r = download_new(&t->download, path);
        if (r < 0)
                proxy_cache_give_back(t->proxy->kept, 0);
        else if (t->size > 0 && !takes_room(t, (uint64_t) t->size))
                drop(t);
        return r;
}

/* ---- answers ---- */

static int make_reply(const HttpRequest *q, const HttpFetch *f, HttpReply **ret) {
        _cleanup_(http_reply_freep) HttpReply *reply = http_reply_new(200);
        const char *modified = http_fetch_last_modified(f), *type = content_type_by_name(http_request_path(q));
        char date[HTTP_DATE_SIZE];
        int64_t when;
        int r = 0;

        if (!reply)
                return -ENOMEM;
        if (!modified || http_date_parse(modified, &when) < 0)
                when = time(NULL);
        http_date_format(when, date);
        if (date[0])
                r = http_reply_header(reply, "Last-Modified", "%s", date);
        if (r >= 0 && type)
                r = http_reply_header(reply, "Content-Type", "%s", type);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(reply);
        return 0;
}

static void begin_body(Transfer *t) {
        if (!t->head_only && keeps(t->proxy, t->file) && !is_written(t)) {
                int r = open_cache(t);
                if (r < 0) {
                        errno = -r;
                        resource_log(&t->proxy->child.resource, LOG_WARNING, "cannot write '%s%s', so it is not kept: %m",
                                     t->proxy->cache, t->file);
                }
        }
        if (t->over || t->head_only)
                transfer_end(t);
        else
                http_fetch_go_on(t->fetch);
}

/* The request has come again, for what it was held back for. */
static void pass_on(Transfer *t, HttpRequest *q) {
        static const HttpStreamOps ops = { .gone = on_gone, .room = on_room };
        unsigned status = http_fetch_status(t->fetch);
        int64_t size = http_fetch_size(t->fetch);
        HttpReply *reply;

        t->ready = false;
        t->size = size;
        (void) sd_event_source_set_enabled(t->collect, SD_EVENT_OFF);
        if (status != 200 || t->error < 0) {
                http_request_reply_status(q, status == 0 || t->error < 0 ? 500 : 404);
                transfer_free(t);
        } else if (make_reply(q, t->fetch, &reply) < 0 ||
                   http_request_stream(q, reply, size < 0 ? HTTP_STREAM_OPEN : size, &ops, t, &t->stream) < 0)
                transfer_free(t);
        else
                begin_body(t);
}

/* Whether it was in the cache, or there was something wrong with that. */
static bool serve_kept(const HttpServerProxy *p, HttpRequest *q, const char *file) {
        StaticContent content = STATIC_CONTENT_EMPTY;
        int r;

        if (!keeps(p, file))
                return false;
        r = static_cache_open(manager_of(p)->files, &content, p->cache, file, false);
        if (r == -ENOENT || r == -ENOTDIR || r == -ENAMETOOLONG)
                return false;
        if (r < 0)
                http_request_reply_status(q, 500);
        else {
                if (p->kept)
                        proxy_cache_used(p->kept, file, content.accessed);
                static_serve(q, &content, false);
        }
        return true;
}

static bool proxy_accepts(HttpChild *c, const HttpRequest *q) {
        const char *path = ((const HttpServerProxy *) c)->path;

        return endswith(path, "/") ? startswith(http_request_path(q), path) != NULL : streq(http_request_path(q), path);
}

static void proxy_serve(HttpChild *c, HttpRequest *q) {
        HttpServerProxy *p = (HttpServerProxy *) c;
        _cleanup_free_ char *url = NULL, *file = NULL;
        bool head_only;
        Transfer *t;
        int r;

        if (!static_accept_method(q))
                return;
        head_only = streq(http_request_method(q), "HEAD");
        r = proxy_path_map(p->path, p->sub, p->head, http_request_path(q), &url, &file);
        if (r < 0)
                http_request_reply_status(q, r == -ENOENT ? 404 : 500);
        else if (url && http_request_is_woken(q) && (t = find_transfer(p, url, head_only)))
                pass_on(t, q);
        else if (serve_kept(p, q, file))
                return;
        else if (!url)
                http_request_reply_status(q, 500);
        else if (p->n_transfers >= TRANSFERS_MAX)
                http_request_reply_status(q, 503);
        else if (transfer_new(p, TAKE_PTR(url), TAKE_PTR(file), head_only, &t) < 0)
                http_request_reply_status(q, 500);
        else if (!http_request_hold(q, &t->holds))
                transfer_free(t);
}

/* ---- hooks ---- */

static void stop(HttpServerProxy *p) {
        while (!TAILQ_EMPTY(&p->transfers))
                transfer_free(TAILQ_FIRST(&p->transfers));
        p->kept = proxy_cache_free(p->kept);
}

static int proxy_init(Resource *r) {
        static const HttpChildOps ops = { .accepts = proxy_accepts, .serve = proxy_serve };
        HttpServerProxy *p = (HttpServerProxy *) r;

        p->child.ops = &ops;
        TAILQ_INIT(&p->transfers);
        return 0;
}

static void proxy_done(Resource *r) {
        stop((HttpServerProxy *) r);
}

static bool is_directory(const char *path) {
        return path[0] == '/' && endswith(path, "/");
}

static int proxy_validate(const Resource *r, Diag *reterr) {
        const HttpServerProxy *p = (const HttpServerProxy *) r;

        int k = http_child_validate_path(r, "path", p->path, HTTP_PATH_ANY, reterr);
        if (k < 0)
                return k;
        if (p->sub[0] && !is_directory(p->sub))
                return resource_error(r, reterr, -EINVAL, "sub must begin and end with a slash, got '%s'", p->sub);
        if (p->cache[0] && !is_directory(p->cache))
                return resource_error(r, reterr, -EINVAL, "cache must be an absolute path with a slash at its end, got '%s'", p->cache);
        if (p->cache_size < 1 || p->cache_files < 1)
                return resource_error(r, reterr, -EINVAL, "cache_size and cache_files must be positive, got '%lld' and '%lld'",
                                      (long long) p->cache_size, (long long) p->cache_files);
        if (p->head[0] && (!http_url_is_valid(p->head) || !endswith(p->head, "/") || strpbrk(p->head, "?#")))
                return resource_error(r, reterr, -EINVAL, "head must be an http or https URL with a slash at its end");
        return 0;
}

static int proxy_prepare(Resource *r, Diag *reterr) {
        http_child_warn_alone(r, ((const HttpServerProxy *) r)->server);
        return 0;
}

static int proxy_watch(Resource *r, Diag *reterr) {
        HttpServerProxy *p = (HttpServerProxy *) r;
        int k;

        if (p->cache[0] && !r->meta.noop && (k = start_cache(p)) < 0)
                return resource_error(r, reterr, k, "%s", strerror(-k));
        resource_armed(r);
        return 0;
}

static void proxy_unwatch(Resource *r) {
        stop((HttpServerProxy *) r);
}

static int proxy_check_apply(Resource *r, bool apply, Diag *reterr) {
        return CHECK_OK;
}

const ResourceType http_server_proxy_type = {
        .kind = "http:server:proxy",
        .doc = "What another web server has, served by an http:server, and kept in a directory.",
        .example = "http:server \":8080\" {}\n"
                   "http:server:proxy \"/debian/\" {\n"
                   "\thead => \"http://mirror.example.com/debian/\",\n"
                   "\tcache => \"/var/cache/mgmt/debian/\",\n"
                   "}\n",
        .size = sizeof(HttpServerProxy),
        .fields = http_server_proxy_fields,
        .parent_field = "server",
        .init = proxy_init,
        .done = proxy_done,
        .validate = proxy_validate,
        .prepare = proxy_prepare,
        .watch = proxy_watch,
        .unwatch = proxy_unwatch,
        .check_apply = proxy_check_apply,
};
