/* SPDX-License-Identifier: GPL-3.0-or-later */

/* http:client: a file that is what some URL gives. It is asked for anew with each attempt; or, by long poll, a request is always under
 * way, and its answer is the event. The head of that answer is looked at, the rest stays unread until an attempt takes it, and the
 * next request follows when that attempt is over: so the server is never ahead of us.
 *
 * While a long poll is under way and the file is the one that came last, there is nothing to ask. Somebody who has changed the file
 * is found by the watch of its path, and then it is asked for whole, on a connection of its own. */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>

#include "common/http/fetch.h"
#include "common/io.h"
#include "common/resource.h"
#include "common/sd/slices.h"
#include "common/url.h"
#include "daemons/http/date.h"
#include "daemons/http/download.h"
#include "daemons/http/http-manager.h"
#include "daemons/http/reply.h"
#include "daemons/http/response.h"

#define USEC_PER_SEC UINT64_C(1000000)

enum {
        CONTENT_MAX = 16 * 1024 * 1024, /* bytes that are sent to other resources */
        GRACE_SECONDS = 15,             /* after a server has said that it is restarting */
        BACKOFF_MAX_SECONDS = 32,
        HOLD_SECONDS = 5,               /* a server that says nothing for so long has nothing new */
};

typedef struct HttpClient HttpClient;

/* A request and its answer. */
typedef struct Exchange {
        HttpClient *client;
        HttpFetch *fetch;               /* NULL: there is none */
        Download *download;
        bool accepted;                  /* an attempt has taken it; until then the body waits */
        bool over;
        int error;
        char *message;
} Exchange;

typedef enum AttemptState {
        ATTEMPT_NONE,
        ATTEMPT_WAITS,                  /* for what the long poll says first */
        ATTEMPT_COMPARES,               /* the digest of the file is being made */
        ATTEMPT_FETCHES,                /* with exchange */
} AttemptState;

struct HttpClient {
        Resource resource;
        char *file, *method, *url;
        Value body;                     /* a str, or nil */
        bool mtime_check;
        char *sha256;
        bool longpoll, longpoll_redirect, longpoll_conditional;

        char *path;                     /* of the file */
        char *shown_url;
        struct stat have;               /* the file when it was known to be right; have.st_ino is 0: never */
        sd_event_source *turn;          /* enabled when the head of an answer has come */

        AttemptState state;
        Exchange *exchange;             /* own, or poll */
        Exchange own;
        bool apply;
        FileDigest *digest;
        Slices *slices;
        sd_event_source *patience;

        Exchange poll;
        PathWatch *watch;
        bool polls;                     /* between watch and unwatch */
        bool polled;                    /* an answer has come and was taken */
        sd_event_source *again;
        uint64_t asked_usec;            /* when the poll under way began */
        unsigned backoff_seconds;
        uint64_t grace_until_usec;
};

static const FieldSpec http_client_fields[] = {
        FIELD(HttpClient, file, FIELD_STR, 0,
              "Absolute path of the file. Not given: the name of the resource, if that is an absolute path, else a file in the state "
              "directory of the daemon. The daemon runs as a user of its own, mgmt-http, who must be allowed to write to the "
              "directory."),
        FIELD(HttpClient, method, FIELD_STR, 0, "Method of the request.", .initial = "\"GET\""),
        FIELD(HttpClient, url, FIELD_STR, FIELD_REQUIRED, "What to fetch: an http or https URL."),
        FIELD(HttpClient, body, FIELD_VALUE, FIELD_OPTIONAL, "Body of the request.", .mcl_type = "str"),
        FIELD(HttpClient, mtime_check, FIELD_BOOL, 0,
              "Ask for what is newer than the file only (If-Modified-Since).", .initial = "true"),
        FIELD(HttpClient, sha256, FIELD_STR, 0,
              "Digest that the content must have, in lower-case hexadecimal digits. If the file has it, nothing is fetched."),
        FIELD(HttpClient, longpoll, FIELD_BOOL, 0,
              "Keep a request open, which the server answers when there is something new; one of the next two says how."),
        FIELD(HttpClient, longpoll_redirect, FIELD_BOOL, 0, "The server redirects to the request that it holds."),
        FIELD(HttpClient, longpoll_conditional, FIELD_BOOL, 0,
              "The server holds requests for content that the client has, as http:server:file does; from the second one on, they say "
              "\"Prefer: wait=60\"."),
        {}
};

static const FieldSpec http_client_sends[] = {
        { .name = "content", .type = FIELD_STR, .flags = FIELD_OPTIONAL,
          .doc = "What is in the file, any bytes. Not sent if there are more than 16 MiB." },
        {}
};

static void exchange_end(Exchange *x);
static void poll_start(HttpClient *c);
static void poll_later(HttpClient *c, uint64_t usec);

static HttpManager *manager_of(const HttpClient *c) {
        return c->resource.host->manager;
}

static uint64_t now_usec(const HttpClient *c) {
        uint64_t now = 0;

        (void) sd_event_now(c->resource.host->event, CLOCK_MONOTONIC, &now);
        return now;
}

/* ---- the file ---- */

static bool file_stat(const HttpClient *c, struct stat *ret) {
        return stat(c->path, ret) >= 0 && S_ISREG(ret->st_mode);
}

static bool is_same_file(const struct stat *a, const struct stat *b) {
        return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
               a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
               a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Whether the file is the one that was right last time. */
static bool file_is_known(const HttpClient *c) {
        struct stat st;

        return c->have.st_ino != 0 && file_stat(c, &st) && is_same_file(&st, &c->have);
}

static int send_content(HttpClient *c) {
        _cleanup_free_ char *text = NULL;
        _cleanup_(value_done) Value v = {};
        size_t size;
        int r;

        r = read_file_at(AT_FDCWD, c->path, CONTENT_MAX, &text, &size);
        if (r == -E2BIG || r == -ENOENT)        /* who has removed it will be noticed */
                return 0;
        if (r >= 0)
                r = value_str(&v, text, size);
        return r < 0 ? r : resource_send(&c->resource, "content", v);
}

/* The file is as it should be: what an attempt that says so has to do. download: it was put there right now. */
static int conclude_right(HttpClient *c, int result, const Download *download, Diag *reterr) {
        bool known = download ? download_identity(download, &c->have) : file_stat(c, &c->have);
        int r;

        if (!known)
                c->have.st_ino = 0;
        r = send_content(c);
        if (r < 0)
                return resource_error(&c->resource, reterr, r, "cannot send the content of '%s': %m", c->path);
        if (result == CHECK_CHANGED || http_response_status(manager_of(c), c->resource.name) != 200)
                (void) http_response_publish(manager_of(c), c->resource.name, 200, c->path);
        return result;
}

/* ---- exchanges ---- */

static void exchange_stop(Exchange *x) {
        x->fetch = http_fetch_free(x->fetch);
        x->download = download_free(x->download);
        free(x->message);
        *x = (Exchange) { .client = x->client };
}

static bool is_poll(const Exchange *x) {
        return x == &x->client->poll;
}

/* A server that says when it will be there again. */
static bool is_postponed(const Exchange *x) {
        return is_poll(x) && http_fetch_status(x->fetch) == 503 && http_fetch_retry_after(x->fetch);
}

static void on_redirected(HttpFetch *f, void *userdata) {
        Exchange *x = userdata;

        if (is_poll(x) && x->client->longpoll_redirect)
                (void) sd_event_source_set_enabled(x->client->turn, SD_EVENT_ONESHOT);
}

static void on_head(HttpFetch *f, void *userdata) {
        Exchange *x = userdata;

        (void) sd_event_source_set_enabled(x->client->turn, SD_EVENT_ONESHOT);
}

static int on_data(HttpFetch *f, const void *data, size_t size, void *userdata) {
        Exchange *x = userdata;

        if (is_postponed(x))
                return -ECANCELED;
        if (!x->accepted)
                return -EAGAIN;
        return x->download ? download_write(x->download, data, size) : -ECANCELED;
}

static void poll_postponed(HttpClient *c, const char *when);
static void poll_failed(HttpClient *c, int error, const char *message);

static void on_done(HttpFetch *f, int error, const char *message, void *userdata) {
        Exchange *x = userdata;
        HttpClient *c = x->client;

        if (http_fetch_status(f) > 0 && is_postponed(x)) {
                _cleanup_free_ char *when = strdup(http_fetch_retry_after(f));
                exchange_stop(x);
                poll_postponed(c, when ?: "");
                return;
        }
        if (is_poll(x) && !x->accepted && http_fetch_status(f) == 0) {
                _cleanup_free_ char *copy = strdup(message);
                exchange_stop(x);
                poll_failed(c, error, copy ?: "");
                return;
        }
        x->over = true;
        x->error = error;
        x->message = error < 0 ? strdup(message) : NULL;
        if (x->accepted || http_fetch_status(f) == 0)   /* else on_turn() comes */
                exchange_end(x);
}

/* With since, only what is newer than the file. */
static int exchange_start(Exchange *x, bool since, const char *prefer) {
        static const HttpFetchOps ops = { .redirected = on_redirected, .head = on_head, .data = on_data, .done = on_done };
        HttpClient *c = x->client;
        char date[HTTP_DATE_SIZE] = "";
        struct stat st;
        int r;

        r = http_manager_curl(manager_of(c));
        if (r < 0)
                return r;
        if (since && c->mtime_check && file_stat(c, &st) && st.st_mtim.tv_sec != 0)
                http_date_format(st.st_mtim.tv_sec, date);
        return http_fetch_new(&x->fetch, manager_of(c)->curl, &(HttpFetchRequest) {
                        .method = c->method,
                        .url = c->url,
                        .body = c->body.kind == TYPE_STR ? c->body.s->data : NULL,
                        .body_size = c->body.kind == TYPE_STR ? c->body.s->size : 0,
                        .modified_since = date[0] ? date : NULL,
                        .prefer = prefer,
                }, &ops, x);
}

/* ---- the end of an attempt ---- */

static void attempt_clear(HttpClient *c) {
        c->state = ATTEMPT_NONE;
        c->exchange = NULL;
        c->slices = slices_free(c->slices);
        c->digest = file_digest_free(c->digest);
        (void) sd_event_source_set_enabled(c->patience, SD_EVENT_OFF);
        exchange_stop(&c->own);
}

static void back_off(HttpClient *c) {
        unsigned twice = c->backoff_seconds > 0 ? c->backoff_seconds * 2 : 1;

        c->backoff_seconds = MIN(twice, (unsigned) BACKOFF_MAX_SECONDS);
}

/* The next request follows at once; but if the server answers at once as well, and nothing comes of it, slower and slower. */
static void poll_next(HttpClient *c, int result) {
        bool quick = now_usec(c) - c->asked_usec < USEC_PER_SEC;

        exchange_stop(&c->poll);
        c->polled = true;
        if (result == CHECK_CHANGED && c->apply)
                c->backoff_seconds = 0;
        else if (quick)
                back_off(c);
        else
                c->backoff_seconds = 0;
        poll_later(c, c->backoff_seconds * USEC_PER_SEC);
}

static void attempt_finish(HttpClient *c, int result, Diag *diag) {
        bool polled = c->exchange == &c->poll;

        attempt_clear(c);
        if (polled)
                poll_next(c, result);
        resource_finish(&c->resource, result, diag);
}

/* Something went wrong below HTTP. */
static int conclude_failure(HttpClient *c, int error, const char *message, Diag *reterr) {
        (void) http_response_publish(manager_of(c), c->resource.name, RESPONSE_FAILED, NULL);
        return resource_error(&c->resource, reterr, error, "cannot fetch '%s': %s", c->shown_url, message ?: strerror(-error));
}

static int conclude_download(HttpClient *c, Exchange *x, Diag *reterr) {
        const char *modified = http_fetch_last_modified(x->fetch), *want = c->sha256[0] ? c->sha256 : NULL;
        char digest[SHA256_TEXT_SIZE];
        int64_t date = 0;
        bool same;
        int r;

        if (x->error < 0)
                return conclude_failure(c, x->error, x->message, reterr);
        if (modified && http_date_parse(modified, &date) < 0)
                resource_log(&c->resource, LOG_WARNING, "the server's Last-Modified is no date: '%s', ignoring", modified);

        download_sha256(x->download, digest);
        r = download_finish(x->download, want, date, &same);
        if (r < 0) {
                (void) http_response_publish(manager_of(c), c->resource.name, RESPONSE_FAILED, NULL);
                if (r == -EBADMSG)
                        return resource_error(&c->resource, reterr, r, "what '%s' gives has the SHA-256 digest %s, not %s",
                                              c->shown_url, digest, want);
                return resource_error(&c->resource, reterr, r, "cannot write '%s': %m", c->path);
        }
        if (same)
                return conclude_right(c, CHECK_OK, x->download, reterr);
        resource_differs(&c->resource, "file", NULL, c->path);
        return conclude_right(c, CHECK_CHANGED, x->download, reterr);
}

static int conclude(HttpClient *c, Exchange *x, Diag *reterr) {
        unsigned status = http_fetch_status(x->fetch);
        struct stat st;

        if (status == 0)
                return conclude_failure(c, x->error, x->message, reterr);
        if (status == 304 && c->mtime_check && file_stat(c, &st))
                return conclude_right(c, CHECK_OK, NULL, reterr);
        if (status != 200) {
                (void) http_response_publish(manager_of(c), c->resource.name, status, NULL);
                return resource_error(&c->resource, reterr, -EREMOTEIO, "'%s' gives %u %s", c->shown_url, status, http_status_text(status));
        }
        if (!c->apply) {
                resource_differs(&c->resource, "file", NULL, c->path);
                resource_send_unknown(&c->resource, "content");
                return CHECK_CHANGED;
        }
        if (!x->download) {
                (void) http_response_publish(manager_of(c), c->resource.name, RESPONSE_FAILED, NULL);
                return resource_error(&c->resource, reterr, x->error, "cannot write '%s': %s", c->path, strerror(-x->error));
        }
        return conclude_download(c, x, reterr);
}

static void exchange_end(Exchange *x) {
        _cleanup_(diag_done) Diag diag = {};
        HttpClient *c = x->client;
        int result;

        c->exchange = x;
        result = conclude(c, x, &diag);
        attempt_finish(c, result, &diag);
}

/* The attempt takes an answer whose head is there. Not from a callback of the fetch. */
static void exchange_accept(Exchange *x) {
        HttpClient *c = x->client;

        c->state = ATTEMPT_FETCHES;
        c->exchange = x;
        x->accepted = true;
        (void) sd_event_source_set_enabled(c->patience, SD_EVENT_OFF);
        if (http_fetch_status(x->fetch) == 200 && c->apply) {
                int r = download_new(&x->download, c->path);
                if (r < 0) {
                        x->error = r;
                        x->over = true;
                }
        }
        if (x->over || !x->download)
                exchange_end(x);
        else
                http_fetch_go_on(x->fetch);
}

static bool is_live(const Exchange *x) {
        return x->fetch && !x->accepted && http_fetch_status(x->fetch) > 0 && !is_postponed(x);
}

/* The head of an answer has come, or a redirect. */
static int on_turn(sd_event_source *source, void *userdata) {
        HttpClient *c = userdata;

        if (is_live(&c->own))
                exchange_accept(&c->own);
        else if (is_live(&c->poll) && c->state == ATTEMPT_WAITS)
                exchange_accept(&c->poll);
        else if (c->poll.fetch && !c->poll.accepted)
                resource_changed(&c->resource);
        return 0;
}

/* ---- long poll ---- */

static void poll_broken(HttpClient *c, int error, const char *format, const char *detail) {
        Diag diag = {};

        c->polls = false;
        (void) resource_error(&c->resource, &diag, error, format, c->shown_url, detail);
        if (c->state == ATTEMPT_WAITS) {
                Diag copy = {};
                (void) resource_error(&c->resource, &copy, error, format, c->shown_url, detail);
                attempt_finish(c, error, &copy);
                diag_done(&copy);
        }
        resource_watch_failed(&c->resource, error, &diag);
        diag_done(&diag);
}

/* What a server does that goes down for a moment: for a while after the time that it has said, it need not be there. */
static void poll_postponed(HttpClient *c, const char *when) {
        uint64_t seconds = 0;
        int64_t date;
        char *end;

        if (when[0] >= '0' && when[0] <= '9') {
                errno = 0;
                seconds = strtoull(when, &end, 10);
                if (*end || errno != 0 || seconds > UINT32_MAX)
                        return poll_broken(c, -EBADMSG, "'%s' gives a Retry-After that makes no sense: '%s'", when);
        } else if (http_date_parse(when, &date) >= 0)
                seconds = date > time(NULL) ? (uint64_t) (date - time(NULL)) : 0;
        else
                return poll_broken(c, -EBADMSG, "'%s' gives a Retry-After that makes no sense: '%s'", when);

        c->backoff_seconds = 0;
        c->grace_until_usec = now_usec(c) + (seconds + GRACE_SECONDS) * USEC_PER_SEC;
        poll_later(c, seconds * USEC_PER_SEC);
}

static void poll_failed(HttpClient *c, int error, const char *message) {
        uint64_t now = now_usec(c);

        if (now >= c->grace_until_usec)
                return poll_broken(c, error, "cannot fetch '%s': %s", message);
        back_off(c);
        poll_later(c, MIN(c->backoff_seconds * USEC_PER_SEC, c->grace_until_usec - now));
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata) {
        poll_start(userdata);
        return 0;
}

static void poll_later(HttpClient *c, uint64_t usec) {
        if (!c->polls)
                return;
        (void) sd_event_source_set_time(c->again, now_usec(c) + usec);
        (void) sd_event_source_set_enabled(c->again, SD_EVENT_ONESHOT);
}

static void poll_start(HttpClient *c) {
        int r;

        c->asked_usec = now_usec(c);
        r = exchange_start(&c->poll, true, c->longpoll_conditional && c->polled ? "wait=60" : NULL);
        if (r < 0)
                poll_broken(c, r, "cannot fetch '%s': %s", strerror(-r));
}

static void on_path(PathWatch *w, int error, void *userdata) {
        HttpClient *c = userdata;

        if (error < 0) {
                c->watch = path_watch_free(c->watch);
                poll_broken(c, error, "cannot fetch '%s': cannot watch its file: %s", strerror(-error));
        } else if (!file_is_known(c))
                resource_changed(&c->resource);
}

/* ---- hooks ---- */

static int on_patience_over(sd_event_source *source, uint64_t usec, void *userdata) {
        _cleanup_(diag_done) Diag diag = {};
        HttpClient *c = userdata;
        struct stat st;
        int r;

        if (c->state != ATTEMPT_WAITS || !file_stat(c, &st))
                return 0;
        r = conclude_right(c, CHECK_OK, NULL, &diag);
        attempt_finish(c, r, &diag);
        return 0;
}

static void attempt_fetch(HttpClient *c, bool since) {
        _cleanup_(diag_done) Diag diag = {};
        int r;

        c->state = ATTEMPT_FETCHES;
        c->exchange = &c->own;
        r = exchange_start(&c->own, since, NULL);
        if (r < 0) {
                r = conclude_failure(c, r, NULL, &diag);
                attempt_finish(c, r, &diag);
        }
}

static int digest_step(void *userdata) {
        char digest[SHA256_TEXT_SIZE];
        HttpClient *c = userdata;
        int r = file_digest_step(c->digest, digest);

        return r != 0 ? r : streq(digest, c->sha256) ? 0 : -EBADMSG;
}

static void on_digest(int result, void *userdata) {
        _cleanup_(diag_done) Diag diag = {};
        HttpClient *c = userdata;

        c->slices = slices_free(c->slices);
        c->digest = file_digest_free(c->digest);
        if (result < 0)
                return attempt_fetch(c, false); /* what is there is wrong, however new it is */
        result = conclude_right(c, CHECK_OK, NULL, &diag);
        attempt_finish(c, result, &diag);
}

static void attempt_compare(HttpClient *c) {
        int r;

        c->state = ATTEMPT_COMPARES;
        r = file_digest_new(&c->digest, c->path, -1);
        if (r >= 0)
                r = slices_start(&c->slices, c->resource.host->event, digest_step, on_digest, c);
        if (r <= 0)
                on_digest(r, c);
}

static int http_client_check_apply(Resource *r, bool apply, Diag *reterr) {
        HttpClient *c = (HttpClient *) r;
        struct stat st;
        bool there = file_stat(c, &st), harmless = streq(c->method, "GET") || streq(c->method, "HEAD");

        c->apply = apply;
        if (is_live(&c->poll))
                exchange_accept(&c->poll);
        else if (there && c->sha256[0] && !resource_refresh(r))
                attempt_compare(c);
        else if (c->polls && file_is_known(c) && !resource_refresh(r))
                return conclude_right(c, CHECK_OK, NULL, reterr);
        else if (c->polls && !c->polled) {
                c->state = ATTEMPT_WAITS;
                (void) sd_event_source_set_time_relative(c->patience, HOLD_SECONDS * USEC_PER_SEC);
                (void) sd_event_source_set_enabled(c->patience, SD_EVENT_ONESHOT);
        } else if (!apply && !harmless)
                return CHECK_CHANGED;
        else
                attempt_fetch(c, !c->longpoll);
        return CHECK_PENDING;
}

static void http_client_cancel(Resource *r) {
        HttpClient *c = (HttpClient *) r;
        bool polled = c->exchange == &c->poll;

        attempt_clear(c);
        if (polled) {
                exchange_stop(&c->poll);
                poll_later(c, 0);
        }
}

static int http_client_watch(Resource *r, Diag *reterr) {
        HttpClient *c = (HttpClient *) r;
        int k;

        if (c->longpoll) {
                k = path_watch_new(&c->watch, manager_of(c)->paths, c->path, 0, on_path, c);
                if (k < 0)
                        return resource_error(r, reterr, k, "cannot watch '%s': %m", c->path);
                c->polls = true;
                c->grace_until_usec = 0;
                poll_later(c, 0);
        }
        resource_armed(r);
        return 0;
}

static void http_client_unwatch(Resource *r) {
        HttpClient *c = (HttpClient *) r;

        c->polls = false;
        (void) sd_event_source_set_enabled(c->again, SD_EVENT_OFF);
        c->watch = path_watch_free(c->watch);
        if (c->state == ATTEMPT_WAITS || c->exchange == &c->poll)
                attempt_finish(c, -ECANCELED, NULL);
        exchange_stop(&c->poll);
}

static int http_client_init(Resource *r) {
        HttpClient *c = (HttpClient *) r;

        c->own.client = c->poll.client = c;
        return 0;
}

static void http_client_done(Resource *r) {
        HttpClient *c = (HttpClient *) r;

        c->polls = false;
        attempt_clear(c);
        exchange_stop(&c->poll);
        c->watch = path_watch_free(c->watch);
        sd_event_source_disable_unref(c->turn);
        sd_event_source_disable_unref(c->again);
        sd_event_source_disable_unref(c->patience);
        free(c->path);
        free(c->shown_url);
}

static const char *destination(const HttpClient *c) {
        return c->file[0] ? c->file : c->resource.name[0] == '/' && !endswith(c->resource.name, "/") ? c->resource.name : NULL;
}

static int add_timer(HttpClient *c, sd_event_source **ret, sd_event_time_handler_t handler) {
        int r = *ret ? 0 : sd_event_add_time(c->resource.host->event, ret, CLOCK_MONOTONIC, UINT64_MAX, 1000, handler, c);

        return r < 0 ? r : sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
}

static int add_sources(HttpClient *c) {
        int r = c->turn ? 0 : sd_event_add_defer(c->resource.host->event, &c->turn, on_turn, c);

        if (r >= 0)
                r = sd_event_source_set_enabled(c->turn, SD_EVENT_OFF);
        if (r >= 0)
                r = add_timer(c, &c->again, on_again);
        return r < 0 ? r : add_timer(c, &c->patience, on_patience_over);
}

static int find_path(HttpClient *c, Diag *reterr) {
        _cleanup_free_ char *dir = NULL;
        int r;

        if (destination(c)) {
                c->path = strdup(destination(c));
                return c->path ? 0 : -ENOMEM;
        }
        r = resource_state_dir(&c->resource, &dir);
        if (r < 0)
                return resource_error(&c->resource, reterr, r, "cannot make a directory for the file: %m");
        if (asprintf(&c->path, "%sdst", dir) < 0) {
                c->path = NULL;
                return -ENOMEM;
        }
        return 0;
}

/* May be called again after a failure. */
static int http_client_prepare(Resource *r, Diag *reterr) {
        HttpClient *c = (HttpClient *) r;
        int k = 0;

        if (!c->shown_url)
                c->shown_url = http_url_redacted(c->url);
        if (!c->shown_url)
                return -ENOMEM;
        if (!c->path)
                k = find_path(c, reterr);
        return k < 0 ? k : add_sources(c);
}

static const char *const methods[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE" };

static int validate_method(const HttpClient *c, Diag *reterr) {
        const Resource *r = &c->resource;

        for (size_t i = 0; i < ELEMENTSOF(methods); i++) {
                if (streq(methods[i], c->method))
                        return 0;
                if (strcasecmp(methods[i], c->method) == 0)
                        return resource_error(r, reterr, -EINVAL, "method must be upper case, '%s', got '%s'", methods[i], c->method);
        }
        return resource_error(r, reterr, -EINVAL, "method is none of HTTP: '%s'", c->method);
}

static int validate_longpoll(const HttpClient *c, Diag *reterr) {
        const Resource *r = &c->resource;

        if (!c->longpoll)
                return r->meta.poll != 0 ? 0 : resource_error(r, reterr, -EINVAL, "without longpoll, Meta:poll must say how often to ask");
        if (r->meta.poll != 0)
                return resource_error(r, reterr, -EINVAL, "longpoll and Meta:poll exclude each other, got both");
        if (c->longpoll_redirect == c->longpoll_conditional)
                return resource_error(r, reterr, -EINVAL, "longpoll needs longpoll_redirect or longpoll_conditional, got %s",
                                      c->longpoll_redirect ? "both" : "none");
        return 0;
}

static int http_client_validate(const Resource *r, Diag *reterr) {
        const HttpClient *c = (const HttpClient *) r;
        int k;

        if (c->file[0] && (c->file[0] != '/' || endswith(c->file, "/")))
                return resource_error(r, reterr, -EINVAL, "file must be an absolute path, without a slash at its end, got '%s'", c->file);
        if (!http_url_is_valid(c->url))         /* which may have a password in it */
                return resource_error(r, reterr, -EINVAL, "url must be an http or https URL");
        if (c->sha256[0] && (strlen(c->sha256) != SHA256_TEXT_SIZE - 1 || strspn(c->sha256, "0123456789abcdef") != SHA256_TEXT_SIZE - 1))
                return resource_error(r, reterr, -EINVAL, "sha256 must be 64 lower-case hexadecimal digits, got '%s'", c->sha256);
        k = validate_method(c, reterr);
        return k < 0 ? k : validate_longpoll(c, reterr);
}

const ResourceType http_client_type = {
        .kind = "http:client",
        .doc = "A file that is fetched from a web server: now and then, or, by long poll, whenever there is something new.",
        .example = "http:client \"/var/cache/motd\" {\n"
                   "\turl => \"https://www.example.com/motd\",\n"
                   "\n"
                   "\tMeta:poll => 300,\n"
                   "}\n",
        .size = sizeof(HttpClient),
        .flags = RESOURCE_REFRESHABLE,
        .fields = http_client_fields,
        .sends = http_client_sends,
        .init = http_client_init,
        .done = http_client_done,
        .validate = http_client_validate,
        .prepare = http_client_prepare,
        .watch = http_client_watch,
        .unwatch = http_client_unwatch,
        .check_apply = http_client_check_apply,
        .cancel = http_client_cancel,
};
