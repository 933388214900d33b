/* SPDX-License-Identifier: GPL-3.0-or-later */

/* libcurl sees the whole of one request, redirects included, as one transfer. Of the heads that pass by, the last one counts: each
 * status line makes us forget those before. */

#include <stdio.h>
#include <strings.h>

#include "common/http/curl-loop.h"
#include "common/http/fetch.h"
#include "common/strbuf.h"

enum {
        REDIRECTS_MAX = 10,
        KEEP_ALIVE_SECONDS = 60,        /* how long a silent peer is believed to be there, about */
        VALUE_MAX = 256,                /* bytes of a header's value that is remembered */
};

struct HttpFetch {
        CurlJob job;
        CurlLoop *loop;
        const HttpFetchOps *ops;
        void *userdata;
        struct curl_slist *headers;
        unsigned status;
        char last_modified[VALUE_MAX], retry_after[VALUE_MAX], content_range[VALUE_MAX];
        bool location;                  /* the head has one */
        bool paused;
        int error;                      /* what data() has said */
        char message[CURL_ERROR_SIZE];
};

/* ---- the answer ---- */

static bool is_redirect(const HttpFetch *f, long status) {
        return f->location && (status == 301 || status == 302 || status == 303 || status == 307 || status == 308);
}

static void head_end(HttpFetch *f) {
        long status = 0;

        (void) curl_easy_getinfo(f->job.easy, CURLINFO_RESPONSE_CODE, &status);
        if (status < 200)
                return;
        if (is_redirect(f, status)) {
                if (f->ops->redirected)
                        f->ops->redirected(f, f->userdata);
                return;
        }
        f->status = (unsigned) status;
        if (f->ops->head)
                f->ops->head(f, f->userdata);
}

static void remember(const char *line, size_t size, const char *name, char value[static VALUE_MAX]) {
        size_t n = strlen(name);

        if (size <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
                return;
        line += n + 1;
        size -= n + 1;
        while (size > 0 && (*line == ' ' || *line == '\t')) {
                line++;
                size--;
        }
        while (size > 0 && strchr(" \t\r\n", line[size - 1]))
                size--;
        (void) snprintf(value, VALUE_MAX, "%.*s", (int) MIN(size, (size_t) VALUE_MAX), line);
}

static size_t on_header(char *line, size_t one, size_t size, void *userdata) {
        HttpFetch *f = userdata;
        char location[VALUE_MAX] = "";

        if (f->status > 0)              /* what follows a body in pieces */
                return size;
        if (size >= 5 && memcmp(line, "HTTP/", 5) == 0) {
                f->last_modified[0] = f->retry_after[0] = f->content_range[0] = 0;
                f->location = false;
        } else if (size > 0 && (line[0] == '\r' || line[0] == '\n'))
                head_end(f);
        else {
                remember(line, size, "Last-Modified", f->last_modified);
                remember(line, size, "Retry-After", f->retry_after);
                remember(line, size, "Content-Range", f->content_range);
                remember(line, size, "Location", location);
                f->location = f->location || location[0];
        }
        return size;
}

static size_t on_data(char *data, size_t one, size_t size, void *userdata) {
        HttpFetch *f = userdata;

        if (f->status == 0)             /* the body of a redirect */
                return size;
        f->error = f->ops->data(f, data, size, f->userdata);
        if (f->error == -EAGAIN) {
                f->error = 0;
                f->paused = true;
                return CURL_WRITEFUNC_PAUSE;
        }
        return f->error < 0 ? CURL_WRITEFUNC_ERROR : size;
}

static int error_of(const HttpFetch *f, CURLcode result) {
        switch (result) {
        case CURLE_OK:
                return 0;
        case CURLE_WRITE_ERROR:
                return f->error < 0 ? f->error : -EIO;
        case CURLE_OUT_OF_MEMORY:
                return -ENOMEM;
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_RESOLVE_PROXY:
                return -EHOSTUNREACH;
        case CURLE_COULDNT_CONNECT:
                return -ECONNREFUSED;
        case CURLE_OPERATION_TIMEDOUT:
                return -ETIMEDOUT;
        case CURLE_TOO_MANY_REDIRECTS:
                return -ELOOP;
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CONNECT_ERROR:
                return -EPROTO;
        case CURLE_RECV_ERROR:
        case CURLE_SEND_ERROR:
        case CURLE_GOT_NOTHING:
        case CURLE_PARTIAL_FILE:
                return -ECONNRESET;
        default:
                return -EIO;
        }
}

static void on_done(CurlJob *j, CURLcode result) {
        HttpFetch *f = container_of(j, HttpFetch, job);
        const char *message = f->message[0] ? f->message : curl_easy_strerror(result);
        int error = error_of(f, result);

        if (error < 0 && f->error < 0)  /* its owner knows better */
                message = strerror(-error);
        f->ops->done(f, error, message, f->userdata);
}

/* ---- the request ---- */

static int add_header(HttpFetch *f, const char *name, const char *value) {
        _cleanup_free_ char *line = NULL;
        struct curl_slist *more;

        if (asprintf(&line, "%s:%s%s", name, *value ? " " : "", value) < 0)
                return -ENOMEM;
        more = curl_slist_append(f->headers, line);
        if (!more)
                return -ENOMEM;
        f->headers = more;
        return 0;
}

/* An empty value takes away what the library would say by itself. */
static int add_headers(HttpFetch *f, const HttpFetchRequest *request) {
        char range[40];
        int r = 0;

        if (request->modified_since)
                r = add_header(f, "If-Modified-Since", request->modified_since);
        if (r >= 0 && request->prefer)
                r = add_header(f, "Prefer", request->prefer);
        if (r >= 0 && request->from > 0) {
                (void) snprintf(range, sizeof(range), "bytes=%llu-", (unsigned long long) request->from);
                r = add_header(f, "Range", range);
        }
        if (r >= 0 && request->if_range)
                r = add_header(f, "If-Range", request->if_range);
        if (r >= 0 && request->body)
                r = add_header(f, "Content-Type", "");
        return r < 0 ? r : add_header(f, "Expect", "");
}

static int set_options(HttpFetch *f, const HttpFetchRequest *request) {
        CURL *c = f->job.easy;
        bool ok = curl_easy_setopt(c, CURLOPT_URL, request->url) == CURLE_OK &&
                  curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
                  curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https") == CURLE_OK &&
                  curl_easy_setopt(c, CURLOPT_USERAGENT, "mgmt/" MGMT_VERSION) == CURLE_OK &&
                  curl_easy_setopt(c, CURLOPT_HTTPHEADER, f->headers) == CURLE_OK &&
                  curl_easy_setopt(c, CURLOPT_ERRORBUFFER, f->message) == CURLE_OK;

        (void) curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
        (void) curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
        (void) curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long) REDIRECTS_MAX);
        (void) curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L);
        (void) curl_easy_setopt(c, CURLOPT_TCP_KEEPIDLE, (long) KEEP_ALIVE_SECONDS);
        (void) curl_easy_setopt(c, CURLOPT_TCP_KEEPINTVL, (long) KEEP_ALIVE_SECONDS / 4);
        (void) curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
        (void) curl_easy_setopt(c, CURLOPT_HEADERDATA, f);
        (void) curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_data);
        (void) curl_easy_setopt(c, CURLOPT_WRITEDATA, f);

        if (request->body) {
                (void) curl_easy_setopt(c, CURLOPT_POSTFIELDS, request->body);
                (void) curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) request->body_size);
        }
        if (streq(request->method, "HEAD"))
                (void) curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
        else if (request->body || !streq(request->method, "GET"))
                ok = ok && curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, request->method) == CURLE_OK;
        return ok ? 0 : -ENOMEM;
}

int http_fetch_new(HttpFetch **ret, CurlLoop *loop, const HttpFetchRequest *request, const HttpFetchOps *ops, void *userdata) {
        _cleanup_(http_fetch_freep) HttpFetch *f = calloc(1, sizeof(*f));
        int r;

        if (!f)
                return -ENOMEM;
        f->ops = ops;
        f->userdata = userdata;
        f->job.done = on_done;
        f->job.easy = curl_easy_init();
        if (!f->job.easy)
                return -ENOMEM;
        r = add_headers(f, request);
        if (r >= 0)
                r = set_options(f, request);
        if (r >= 0)
                r = curl_loop_add(loop, &f->job);
        if (r < 0)
                return r;
        f->loop = loop;
        *ret = TAKE_PTR(f);
        return 0;
}

HttpFetch *http_fetch_free(HttpFetch *f) {
        if (!f)
                return NULL;
        curl_loop_remove(f->loop, &f->job);
        curl_easy_cleanup(f->job.easy);
        curl_slist_free_all(f->headers);
        free(f);
        return NULL;
}

void http_fetch_go_on(HttpFetch *f) {
        if (!f->paused)
                return;
        f->paused = false;
        (void) curl_easy_pause(f->job.easy, CURLPAUSE_CONT);
}

unsigned http_fetch_status(const HttpFetch *f) {
        return f->status;
}

const char *http_fetch_last_modified(const HttpFetch *f) {
        return f->last_modified[0] ? f->last_modified : NULL;
}

const char *http_fetch_retry_after(const HttpFetch *f) {
        return f->retry_after[0] ? f->retry_after : NULL;
}

int64_t http_fetch_from(const HttpFetch *f) {
        const char *range = startswith(f->content_range, "bytes ");

        return f->status == 206 && range && range[0] >= '0' && range[0] <= '9' ? (int64_t) strtoll(range, NULL, 10) : -1;
}

int64_t http_fetch_size(const HttpFetch *f) {
        curl_off_t size = -1;

        (void) curl_easy_getinfo(f->job.easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &size);
        return size;
}
