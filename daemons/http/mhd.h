/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* libmicrohttpd on an sd-event loop: one io source and, only while connections are open, one timer per listener. Nobody else
 * knows that library.
 *
 * A request comes to the handler once it is complete, with as much of its body as somebody said to want. The handler answers it
 * (by a reply, or by a stream that is written as things happen), or holds it back; a request that was held back comes to the
 * handler again when it is woken. Whatever a client does, the memory of a listener is bounded: by the number of connections, the
 * size of headers, of each body and of all bodies, and of what a stream may be behind. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/diag.h"
#include "common/macro.h"
#include "common/strbuf.h"
#include "daemons/http/reply.h"

typedef struct sd_event sd_event;
typedef struct HttpListener HttpListener;
typedef struct HttpRequest HttpRequest;
typedef struct HttpStream HttpStream;
typedef struct HttpTls HttpTls;

enum {
        HTTP_CONNECTIONS_MAX = 12 * 1024,       /* of one listener, or five eighths of the files that this process may open; the
                                                 * last place is freed by closing an idle one. If all are being answered, more
                                                 * wait in the kernel's queue */
        HTTP_HEAD_MAX = 8 * 1024,               /* bytes of a request's line and headers; each header counts HTTP_HEADER_COST more */
        HTTP_HEADER_COST = 64,
        HTTP_BODY_MAX = 64 * 1024,              /* bytes of a request's body that are read (and dropped) though nobody wants it */
        HTTP_BODIES_MAX = 64 * 1024 * 1024,     /* bytes of all bodies that one listener keeps at a time */
        HTTP_STREAM_MAX = 256 * 1024,           /* bytes that were written to a stream and are not sent yet */
        HTTP_SILENCE_SECONDS = 120,             /* a connection on which nothing moves for so long is closed */
        HTTP_PATIENCE_SECONDS = 20,             /* within it, a request that was begun has all of its headers, */
        HTTP_RATE = 512,                        /* and so many bytes a second of its body have come; likewise of an answer are taken,
                                                 * where three quarters of the places are in use */
};

/* Who serves a listener. Changing it leaves socket and connections alone. */
typedef struct HttpServing {
        void (*request)(HttpRequest *q, void *userdata);

        /* How many bytes of its body are wanted; asked when the headers are there. A request with more is refused (413). 0, or
         * no such hook: none, it is read and dropped. */
        uint64_t (*body_max)(HttpRequest *q, void *userdata);
        void *userdata;
        uint64_t read_timeout_usec;             /* until a request is complete; 0: none */
        uint64_t write_timeout_usec;            /* from then on, until the answer is out; 0: none */
        uint64_t patience_usec;                 /* instead of HTTP_PATIENCE_SECONDS; 0: that */
        HttpTls *tls;                           /* borrowed; for listeners that were made for it */
} HttpServing;

/* A list of requests that one resource holds back. */
typedef struct HttpHolds HttpHolds;
struct HttpHolds {
        HttpRequest *first;
        void (*gone)(HttpHolds *holds); /* a client of one of them has left, which is not in the list any more; NULL: nobody wants to
                                         * know. From the loop, never from http_request_hold() */
};

/* Listens, at once. Until somebody serves, requests wait. With tls, servings have one. */
int http_listener_new(HttpListener **ret, sd_event *event, const struct sockaddr *address, socklen_t size, bool tls);
HttpListener *http_listener_free(HttpListener *l);      /* closes everything at once */
DEFINE_CLEANUP(HttpListener *, http_listener_free)

void http_listener_serve(HttpListener *l, const HttpServing *serving);  /* copied; NULL: nobody, for now */

/* Gives up the listening socket; what is being answered goes on, other requests get a 503. drained is called once, when nothing
 * is left to answer or the time (0: no limit) is over; the listener may then be freed. Not called after http_listener_free(). */
void http_listener_drain(HttpListener *l, uint64_t timeout_usec, void (*drained)(HttpListener *l, void *userdata),
                         void *userdata);

bool http_listener_has_tls(const HttpListener *l);
unsigned http_listener_n_connections(const HttpListener *l);
unsigned http_listener_connections_max(const HttpListener *l);

/* ---- for handlers ---- */

const char *http_request_method(const HttpRequest *q);
const char *http_request_path(const HttpRequest *q);    /* decoded and clean: absolute, without "//" and "/../" */
const char *http_request_query(const HttpRequest *q);   /* as it came: what follows the '?'; NULL if there is none */
const char *http_request_header(const HttpRequest *q, const char *name);        /* NULL if absent */
const StrBuf *http_request_body(const HttpRequest *q);  /* what was wanted of it; its data is NULL if it is empty */
bool http_request_lost_body(const HttpRequest *q);      /* it had one, which nobody wanted when it came */
bool http_request_is_local(const HttpRequest *q);       /* it comes from this machine, over loopback */
bool http_request_is_woken(const HttpRequest *q);       /* it was held back before, and woken */

void http_request_reply(HttpRequest *q, HttpReply *reply);      /* takes the reply over */
void http_request_reply_status(HttpRequest *q, unsigned status);

void http_request_reply_again(HttpRequest *q);          /* 503, with a Retry-After: 1 */

/* 405, with the methods that would do, such as "GET, HEAD". */
void http_request_reply_allow(HttpRequest *q, const char *methods);

bool http_request_hold(HttpRequest *q, HttpHolds *holds);       /* false: its client has left already */
void http_holds_wake(HttpHolds *holds);         /* all of them come to the handler again */
void http_holds_end(HttpHolds *holds);          /* all of them are answered with 503 and a Retry-After: 1 */

/* ---- answers that go on ---- */

enum { HTTP_STREAM_OPEN = -1 };         /* a size: nobody knows */

/* Both are called from the loop, and may write to the stream or end it. */
typedef struct HttpStreamOps {
        void (*gone)(HttpStream *s, void *userdata);    /* the client has left before the end; all that is written is lost */
        void (*room)(HttpStream *s, void *userdata);    /* all that was written is on its way; NULL: nobody wants to know */
} HttpStreamOps;

/* Answers by status and headers of the reply (which is taken over, and has no body), and a body that is still to be written: of
 * that size, or HTTP_STREAM_OPEN. The caller owns the stream and ends it, once, gone or not. -ENOMEM: nothing has happened but
 * that the reply is freed. */
int http_request_stream(HttpRequest *q, HttpReply *reply, int64_t size, const HttpStreamOps *ops, void *userdata,
                        HttpStream **ret);

/* Never waits. -ENOBUFS: more than HTTP_STREAM_MAX would be waiting to be sent, nothing was taken; -EPIPE: the client is gone. */
int http_stream_write(HttpStream *s, const void *data, size_t size);
size_t http_stream_pending(const HttpStream *s);        /* bytes written and not sent */

/* The body is over, and what was written is still sent; or, with an error, it has failed, and the client sees that something is
 * missing. Returns NULL. */
HttpStream *http_stream_end(HttpStream *s, int error);
