/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A Response is there as long as somebody asks for it or something was published. */

#include <errno.h>
#include <fcntl.h>

#include "common/io.h"
#include "common/map.h"
#include "daemons/http/http-manager.h"
#include "daemons/http/response.h"

enum { OUTPUT_MAX = 32 * 1024 * 1024 };

typedef struct ResponseSource ResponseSource;

typedef struct Response {
        char *uid;
        int64_t status;         /* 0: nothing was published */
        char *path;
        ResponseSource *askers;
} Response;

struct ResponseSource {
        Source source;
        Response *response;
        ResponseSource *next, *previous;
};

static void response_free(void *data) {
        Response *r = data;

        free(r->uid);
        free(r->path);
        free(r);
}

static int response_get(HttpManager *m, const char *uid, Response **ret) {
        Response *r;
        int k;

        if (!m->responses)
                m->responses = map_new();
        r = map_get(m->responses, uid);
        if (!r) {
                r = calloc(1, sizeof(*r));
                if (!r)
                        return -ENOMEM;
                r->uid = strdup(uid);
                k = r->uid && m->responses ? map_put(m->responses, uid, r) : -ENOMEM;
                if (k < 0) {
                        response_free(r);
                        return k;
                }
        }
        *ret = r;
        return 0;
}

static void say(ResponseSource *s) {
        const Response *r = s->response;
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        Value v;
        int k = 0;

        if (r->path)
                k = read_file_at(AT_FDCWD, r->path, OUTPUT_MAX, &text, &size);
        if (k < 0) {
                source_failf(&s->source, false, k, "cannot read '%s': %m", r->path);
                return;
        }
        k = value_str(&v, text ?: "", size);
        if (k >= 0)
                k = value_struct(&v, (const char *const[]) { "status", "output" }, (Value[]) { VALUE_INT(r->status), v }, 2);
        source_result(&s->source, k, v);
}

int http_response_publish(HttpManager *m, const char *uid, int64_t status, const char *path) {
        char *copy = path ? strdup(path) : NULL;
        Response *r;

        if ((path && !copy) || response_get(m, uid, &r) < 0) {
                free(copy);
                return -ENOMEM;
        }
        free(r->path);
        r->path = copy;
        r->status = status;
        for (ResponseSource *s = r->askers; s; s = s->next)
                say(s);
        return 0;
}

int64_t http_response_status(const HttpManager *m, const char *uid) {
        const Response *r = map_get(m->responses, uid);

        return r ? r->status : 0;
}

void http_responses_done(HttpManager *m) {
        m->responses = map_free_with(m->responses, response_free);
}

/* ---- the function ---- */

static int response_open(Source *s, Diag *reterr) {
        ResponseSource *rs = (ResponseSource *) s;
        _cleanup_free_ char *uid = NULL;
        int r;

        r = source_name(s, 0, "uid", &uid, reterr);
        if (r >= 0)
                r = response_get(s->host->manager, uid, &rs->response);
        if (r < 0)
                return r;
        rs->next = rs->response->askers;
        if (rs->next)
                rs->next->previous = rs;
        rs->response->askers = rs;
        say(rs);
        return 0;
}

static void response_close(Source *s) {
        ResponseSource *rs = (ResponseSource *) s;
        HttpManager *m = s->host->manager;
        Response *r = rs->response;

        if (!r)
                return;
        if (rs->next)
                rs->next->previous = rs->previous;
        if (rs->previous)
                rs->previous->next = rs->next;
        else
                r->askers = rs->next;
        if (!r->askers && r->status == 0) {
                (void) map_remove(m->responses, r->uid);
                response_free(r);
        }
}

static const SourceType response_sources[] = {
        { .name = "net/http.response", .takes = "func(str)", .size = sizeof(ResponseSource),
          .open = response_open, .close = response_close },
        {}
};

const SourceType *const http_functions[] = { response_sources, NULL };
