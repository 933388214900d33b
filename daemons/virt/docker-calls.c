/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Each call has a connection of its own. A daemon that is about to stop takes no new ones, though it goes on to answer those it has:
 * so what we ask for is done by a daemon that stays, and by its successor if need be, which finds us waiting in the socket that
 * systemd holds. */

#include <stdio.h>
#include <string.h>

#include "common/strbuf.h"
#include "daemons/virt/docker-calls.h"

enum {
        REPLY_MAX = 8 * 1024 * 1024,
        N_CALLS_MAX = 16,               /* at a time; docker does not get faster from more */
        N_WAITING_MAX = 256,            /* of those that docker itself waits in */
        PULL_SILENT_SECONDS = 300,
        CHECK_MILLISECONDS = 2000,      /* to find out whether an error is one, or the end of the daemon */
};

struct DockerCall {
        CurlJob job;
        DockerCalls *calls;
        char *method, *path, *body, *version;
        bool pulls, waits;
        docker_call_done_t done;
        void *userdata;

        bool running;                   /* has a transfer */
        bool checking;                  /* it got an error, and another transfer is to tell what that means */
        struct curl_slist *headers;
        StrBuf reply;
        bool too_large;
        long status;
        char error[CURL_ERROR_SIZE];
        TAILQ_ENTRY(DockerCall) siblings;
};

static unsigned *counter(const DockerCall *c) {
        return c->pulls || c->waits ? &c->calls->n_waiting : &c->calls->n_running;
}

static void call_transfer_end(DockerCall *c) {
        if (!c->running)
                return;
        curl_loop_remove(c->calls->loop, &c->job);
        curl_easy_cleanup(c->job.easy);
        c->job.easy = NULL;
        curl_slist_free_all(c->headers);
        c->headers = NULL;
        c->running = false;
        TAILQ_REMOVE(&c->calls->running, c, siblings);
        (*counter(c))--;
}

static void call_finish(DockerCall *c, int result, Diag *diag) {
        DockerCalls *s = c->calls;
        DockerReply reply = { .status = c->status, .body = c->reply.data ? c->reply.data : "", .size = c->reply.size };

        if (c->running)
                call_transfer_end(c);
        else
                TAILQ_REMOVE(&s->queued, c, siblings);
        c->calls = NULL;
        s->moved(s);
        c->done(c, result, &reply, diag, c->userdata);  /* may free it */
}

static void call_fail(DockerCall *c, int error, const char *why) {
        _cleanup_(diag_done) Diag diag = {};

        (void) diag_set(&diag, (Pos) {}, error, "%s", why);
        call_finish(c, error, &diag);
}

static size_t on_reply(char *data, size_t one, size_t n, void *userdata) {
        DockerCall *c = userdata;

        if (c->checking)
                return n;
        if (c->pulls) {
                /* what counts is said in the last lines */
                const char *begin = n > REPLY_MAX / 2 ? data + n - REPLY_MAX / 2 : data;

                if (c->reply.size + (size_t) (data + n - begin) > REPLY_MAX)
                        strbuf_done(&c->reply);
                strbuf_add(&c->reply, begin, (size_t) (data + n - begin));
        } else {
                c->too_large = c->reply.size + n > REPLY_MAX;
                if (c->too_large)
                        return 0;
                strbuf_add(&c->reply, data, n);
        }
        return c->reply.failed ? 0 : n;
}

bool docker_transfer_set(CURL *easy, const char *socket, const char *url, char *error) {
        return curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, socket) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http") == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error) == CURLE_OK;
}

bool docker_transfer_hung_up(CURLcode code) {
        switch (code) {
        case CURLE_COULDNT_CONNECT:
        case CURLE_GOT_NOTHING:
        case CURLE_PARTIAL_FILE:
        case CURLE_RECV_ERROR:
        case CURLE_SEND_ERROR:
                return true;
        default:
                return false;
        }
}

static void on_call_done(CurlJob *j, CURLcode result);

static bool set_call(DockerCall *c, CURL *easy, const char *url) {
        if (!docker_transfer_set(easy, c->calls->socket, url, c->error) ||
            curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_reply) != CURLE_OK || curl_easy_setopt(easy, CURLOPT_WRITEDATA, c) != CURLE_OK)
                return false;
        if (c->checking)
                return curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long) CHECK_MILLISECONDS) == CURLE_OK;
        if (c->pulls ? curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long) PULL_SILENT_SECONDS) != CURLE_OK ||
                               curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L) != CURLE_OK
                     : curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long) DOCKER_CALL_SECONDS) != CURLE_OK)
                return false;
        if (streq(c->method, "POST")) {
                struct curl_slist *l = curl_slist_append(NULL, "Content-Type: application/json");

                c->headers = l ? curl_slist_append(l, "Expect:") : NULL;
                if (!c->headers) {
                        curl_slist_free_all(l);
                        return false;
                }
                return curl_easy_setopt(easy, CURLOPT_POSTFIELDS, c->body ? c->body : "") == CURLE_OK &&
                       curl_easy_setopt(easy, CURLOPT_HTTPHEADER, c->headers) == CURLE_OK;
        }
        return streq(c->method, "GET") || curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, c->method) == CURLE_OK;
}

static int call_start(DockerCall *c) {
        DockerCalls *s = c->calls;
        _cleanup_free_ char *url = NULL;
        int r;

        if (asprintf(&url, "http://docker%s%s%s", c->checking ? "/_ping" : "/",
                     c->checking ? "" : c->version ? c->version : s->version, c->checking ? "" : c->path) < 0)
                return -ENOMEM;
        c->job = (CurlJob) { .easy = curl_easy_init(), .done = on_call_done };
        if (!c->job.easy)
                return -ENOMEM;
        r = set_call(c, c->job.easy, url) ? curl_loop_add(s->loop, &c->job) : -ENOMEM;
        if (r < 0) {
                curl_easy_cleanup(c->job.easy);
                curl_slist_free_all(c->headers);
                c->job.easy = NULL;
                c->headers = NULL;
                return r;
        }
        TAILQ_REMOVE(&s->queued, c, siblings);
        TAILQ_INSERT_TAIL(&s->running, c, siblings);
        c->running = true;
        (*counter(c))++;
        return 0;
}

static void on_call_done(CurlJob *j, CURLcode result) {
        DockerCall *c = container_of(j, DockerCall, job);
        DockerCalls *s = c->calls;
        _cleanup_free_ char *why = NULL;

        if (c->checking && result == CURLE_OK) {
                call_finish(c, 0, NULL);        /* it is alive: the error was meant */
                return;
        }
        if (c->checking || docker_transfer_hung_up(result)) {
                call_fail(c, -EAGAIN, "waiting for docker, which has just gone");
                s->lost(s);
                return;
        }
        if (result != CURLE_OK) {
                if (asprintf(&why, "no answer from docker at '%s': %s", s->socket,
                             c->too_large ? "it is too large" : c->error[0] ? c->error : curl_easy_strerror(result)) < 0)
                        why = NULL;
                call_fail(c, result == CURLE_OPERATION_TIMEDOUT ? -ETIMEDOUT : -EIO, why ? why : "no answer from docker");
                return;
        }

        (void) curl_easy_getinfo(j->easy, CURLINFO_RESPONSE_CODE, &c->status);
        if (c->status < 500) {
                call_finish(c, 0, NULL);
                return;
        }
        /* One that is being stopped has errors for everything. */
        call_transfer_end(c);
        TAILQ_INSERT_HEAD(&s->queued, c, siblings);
        c->checking = true;
        if (call_start(c) < 0)
                call_finish(c, 0, NULL);
}

/* ---- all of them ---- */

static DockerCall *next_call(const DockerCalls *s) {
        DockerCall *c;

        TAILQ_FOREACH(c, &s->queued, siblings)
                if (*counter(c) < (c->pulls || c->waits ? N_WAITING_MAX : N_CALLS_MAX))
                        return c;
        return NULL;
}

void docker_calls_start(DockerCalls *s) {
        DockerCall *c;
        int r;

        while ((c = next_call(s))) {
                r = call_start(c);
                if (r < 0)
                        call_fail(c, r, "cannot make a request to docker");
        }
}

void docker_calls_fail(DockerCalls *s, int error, const char *why) {
        unsigned n = 0;
        DockerCall *c;

        TAILQ_FOREACH(c, &s->queued, siblings)
                n++;
        for (; n > 0 && (c = TAILQ_FIRST(&s->queued)); n--)
                call_fail(c, error, why);
}

int docker_calls_add(DockerCall **ret, DockerCalls *s, DockerRequest *request, docker_call_done_t done, void *userdata) {
        _cleanup_free_ char *path = TAKE_PTR(request->path), *body = TAKE_PTR(request->body);
        _cleanup_(docker_call_freep) DockerCall *c = calloc(1, sizeof(*c));

        if (!c || !path)
                return -ENOMEM;
        c->method = strdup(request->method);
        c->version = request->version ? strdup(request->version) : NULL;
        if (!c->method || (request->version && !c->version))
                return -ENOMEM;
        c->path = TAKE_PTR(path);
        c->body = TAKE_PTR(body);
        c->pulls = request->pulls;
        c->waits = request->waits;
        c->done = done;
        c->userdata = userdata;
        c->calls = s;
        if (request->goes_on)
                TAILQ_INSERT_HEAD(&s->queued, c, siblings);
        else
                TAILQ_INSERT_TAIL(&s->queued, c, siblings);
        s->moved(s);
        *ret = TAKE_PTR(c);
        return 0;
}

DockerCall *docker_call_free(DockerCall *c) {
        if (!c)
                return NULL;
        if (c->calls) {
                DockerCalls *s = c->calls;

                if (c->running)
                        call_transfer_end(c);
                else
                        TAILQ_REMOVE(&s->queued, c, siblings);
                s->moved(s);
        }
        free(c->method);
        free(c->path);
        free(c->body);
        free(c->version);
        strbuf_done(&c->reply);
        free(c);
        return NULL;
}
