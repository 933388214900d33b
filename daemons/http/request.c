/* SPDX-License-Identifier: GPL-3.0-or-later */

/* One request: what a handler may ask of it, and how its answer is handed to the library. */

#include <stdio.h>

#include "daemons/http/address.h"
#include "daemons/http/mhd-private.h"
#include "daemons/http/url.h"

enum {
        CALLBACK_BLOCK = 8 * 1024,      /* bytes buffered for a body that is put together from pieces */
};

HttpRequest *request_free(HttpRequest *q) {
        if (!q)
                return NULL;
        if (q->stream)
                stream_gone(q->stream);
        http_reply_free(q->reply);
        q->connection->listener->body_bytes -= q->body.size;
        strbuf_done(&q->body);
        free(q->target);
        free(q->path);
        free(q);
        return NULL;
}

void request_resume(HttpRequest *q) {
        MHD_resume_connection(q->mhd);
        q->connection->listener->resumed = true;        /* its epoll descriptor does not tell of that */
        listener_arm(q->connection->listener);
}

void request_release(HttpRequest *q) {
        if (q->previous)
                q->previous->next = q->next;
        else
                q->holds->first = q->next;
        if (q->next)
                q->next->previous = q->previous;
        q->next = q->previous = NULL;
        q->holds = NULL;
        request_resume(q);
}

bool http_request_hold(HttpRequest *q, HttpHolds *holds) {
        if (q->connection->hung_up) {
                q->gone = true;
                return false;
        }

        q->holds = holds;
        q->next = holds->first;
        if (q->next)
                q->next->previous = q;
        holds->first = q;
        slow_forget(q->connection);
        MHD_suspend_connection(q->mhd);
        return true;
}

void http_holds_wake(HttpHolds *holds) {
        while (holds->first) {
                holds->first->woken = true;
                request_release(holds->first);
        }
}

void http_holds_end(HttpHolds *holds) {
        while (holds->first) {
                holds->first->ended = true;
                request_release(holds->first);
        }
}

bool http_request_is_local(const HttpRequest *q) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(q->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

        return info && info->client_addr && address_is_loopback(info->client_addr);
}

const char *http_request_method(const HttpRequest *q) {
        return q->method;
}

const char *http_request_path(const HttpRequest *q) {
        return q->path;
}

const char *http_request_query(const HttpRequest *q) {
        return q->query ? q->query + 1 : NULL;
}

const StrBuf *http_request_body(const HttpRequest *q) {
        return &q->body;
}

bool http_request_lost_body(const HttpRequest *q) {
        return q->body_max == 0 && q->body_size > 0;
}

const char *http_request_header(const HttpRequest *q, const char *name) {
        return MHD_lookup_connection_value(q->mhd, MHD_HEADER_KIND, name);
}

bool http_request_is_woken(const HttpRequest *q) {
        return q->woken;
}

void http_request_reply(HttpRequest *q, HttpReply *reply) {
        http_reply_free(q->reply);
        q->reply = reply;
}

static void reply_status(HttpRequest *q, unsigned status, const char *header, const char *value) {
        _cleanup_(http_reply_freep) HttpReply *p = NULL;

        /* out of memory: no reply, which ends the connection */
        if (http_reply_new_status(&p, status) >= 0 && (!header || http_reply_header(p, header, "%s", value) >= 0))
                http_request_reply(q, TAKE_PTR(p));
}

void http_request_reply_status(HttpRequest *q, unsigned status) {
        reply_status(q, status, NULL, NULL);
}

void http_request_reply_again(HttpRequest *q) {
        reply_status(q, 503, "Retry-After", "1");
}

void http_request_reply_allow(HttpRequest *q, const char *methods) {
        reply_status(q, 405, "Allow", methods);
}

static void reply_redirect(HttpRequest *q, const char *path, const char *query) {
        _cleanup_free_ char *location = NULL, *escaped = url_escape_path(path);

        if (!escaped || asprintf(&location, "%s%s", escaped, query ? query : "") < 0)
                return;
        if (q->head_size + strlen(location) > HTTP_HEAD_MAX)
                reply_status(q, 414, NULL, NULL);
        else
                reply_status(q, 301, "Location", location);
}

static ssize_t body_read(void *userdata, uint64_t position, char *buffer, size_t size) {
        ssize_t n = http_reply_read(userdata, position, buffer, size);

        return n > 0 ? n : n == 0 ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void body_free(void *userdata) {
        http_reply_free(userdata);
}

static struct MHD_Response *make_body(HttpReply **reply) {
        HttpReply *p = *reply;
        const HttpPiece *piece = p->pieces;
        struct MHD_Response *response;

        if (p->size == 0)
                return MHD_create_response_from_buffer(0, (void *) "", MHD_RESPMEM_PERSISTENT);
        if (p->n_pieces == 1 && !piece->text && p->fd >= 0) {
                response = MHD_create_response_from_fd_at_offset64(piece->size, p->fd, piece->offset);
                if (response)
                        (void) TAKE_FD(p->fd);
                return response;
        }
        if (p->n_pieces == 1 && (!piece->text || piece->size == 0)) {
                char *data = piece->text ? piece->text : p->data.s->data + piece->offset;
                response = MHD_create_response_from_buffer_with_free_callback_cls(p->size, data, body_free, p);
        } else
                response = MHD_create_response_from_callback(p->size, CALLBACK_BLOCK, body_read, p, body_free);
        if (response)
                *reply = NULL;          /* the response owns it */
        return response;
}

static enum MHD_Result send_reply(HttpRequest *q) {
        _cleanup_(http_reply_freep) HttpReply *p = TAKE_PTR(q->reply);
        const HttpReply *headers = p;   /* stays valid: p is freed with the response at the earliest */
        enum MHD_Result r = MHD_YES;

        struct MHD_Response *response = q->stream ? stream_response(q->stream) : make_body(&p);
        if (!response)
                return MHD_NO;

        for (size_t i = 0; i < headers->n_headers && r == MHD_YES; i++)
                r = MHD_add_response_header(response, headers->headers[i].name, headers->headers[i].value);
        if (q->connection->listener->draining && r == MHD_YES)
                r = MHD_add_response_header(response, "Connection", "close");
        if (r == MHD_YES)
                r = MHD_queue_response(q->mhd, headers->status, response);
        MHD_destroy_response(response);
        return r;
}

static void ask(HttpRequest *q) {
        HttpListener *l = q->connection->listener;

        if (q->ended || !l->serving.request)
                http_request_reply_again(q);
        else if (!q->path)
                http_request_reply_status(q, 400);
        else if (q->redirect)
                reply_redirect(q, q->path, q->query);
        else
                l->serving.request(q, l->serving.userdata);
}

/* ---- from its first line to its end ---- */

HttpRequest *request_new(HttpConnection *c, struct MHD_Connection *mhd, const char *target) {
        HttpRequest *q = calloc(1, sizeof(*q));

        if (!q)
                return NULL;
        q->mhd = mhd;
        q->connection = c;
        q->target = strdup(target);
        return q->target ? q : request_free(q);
}

/* Finds out what is asked for. A target that makes no sense leaves the path NULL. */
static int request_parse(HttpRequest *q) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = url_parse_target(q->target, &path, &q->query);
        if (r == -EBADMSG)
                return 0;
        if (r < 0)
                return r;
        q->path = url_clean_path(path);
        if (!q->path)
                return -ENOMEM;
        q->redirect = !streq(q->path, path);
        return 0;
}

static enum MHD_Result refuse(HttpRequest *q, unsigned status) {
        q->connection->refused = true;
        http_request_reply_status(q, status);
        return q->reply ? send_reply(q) : MHD_NO;
}

/* The parts of a query count like headers, and the library has cookies twice. */
static void request_measure(HttpRequest *q) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(q->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
        int n = MHD_get_connection_values(q->mhd, MHD_HEADER_KIND | MHD_COOKIE_KIND | MHD_GET_ARGUMENT_KIND, NULL, NULL);
        const char *cookie = http_request_header(q, "Cookie");

        q->head_size = (info ? info->header_size : 0) + (size_t) n * HTTP_HEADER_COST + (cookie ? strlen(cookie) : 0);
}

/* The headers are there. A request that is refused here loses its connection, for its body is not read. */
enum MHD_Result request_begin(HttpRequest *q, const char *method, const char *version) {
        HttpListener *l = q->connection->listener;
        const char *text = http_request_header(q, "Content-Length");
        uint64_t size = text ? strtoull(text, NULL, 10) : 0;
        unsigned status = framing_check(q->mhd, method, q->target, version);

        q->begun = true;
        q->method = method;
        if (status > 0)
                return refuse(q, status);
        request_measure(q);
        if (q->head_size > HTTP_HEAD_MAX)       /* the head of the answer would not fit beside it */
                return refuse(q, strlen(q->target) > HTTP_HEAD_MAX / 2 ? 414 : 431);
        if (request_parse(q) < 0)
                return MHD_NO;
        if (q->path && !q->redirect && l->serving.request && l->serving.body_max)
                q->body_max = l->serving.body_max(q, l->serving.userdata);

        if (size > (q->body_max > 0 ? q->body_max : HTTP_BODY_MAX))
                return refuse(q, 413);
        if (q->body_max > 0 && size > HTTP_BODIES_MAX - l->body_bytes)
                return refuse(q, 503);
        slow_want(q->connection, WANTED_BODY);
        return MHD_YES;
}

enum MHD_Result request_add_body(HttpRequest *q, const char *data, size_t size) {
        HttpListener *l = q->connection->listener;

        q->body_size += size;
        if (q->body_max == 0)
                return q->body_size <= HTTP_BODY_MAX ? MHD_YES : MHD_NO;
        if (q->body_size > q->body_max || size > HTTP_BODIES_MAX - l->body_bytes)
                return MHD_NO;
        strbuf_add(&q->body, data, size);
        if (q->body.failed)
                return MHD_NO;
        l->body_bytes += size;
        return MHD_YES;
}

enum MHD_Result request_answer(HttpRequest *q) {
        HttpListener *l = q->connection->listener;

        if (q->gone || l->closing)
                return MHD_NO;
        if (!q->active) {
                q->active = true;
                l->n_active++;
                connection_enter(q->connection, PHASE_WRITING);
        }

        slow_want(q->connection, WANTED_TAKEN);
        ask(q);
        if (q->holds)
                return MHD_YES;
        return q->reply ? send_reply(q) : MHD_NO;
}
