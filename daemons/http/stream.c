/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A stream is shared by two: its owner, who writes, and its request, from which the library reads. Whoever lets go last frees it.
 * While nothing is there to be sent the connection is suspended, or the library would ask again and again. */

#include "daemons/http/mhd-private.h"

enum { STREAM_BLOCK = 16 * 1024 };      /* bytes that the library takes at once */

struct HttpStream {
        HttpRequest *request;           /* NULL: it is over */
        const HttpStreamOps *ops;       /* NULL: the owner has ended it */
        void *userdata;
        int64_t size;
        uint64_t n_read;                /* by the library, of the whole */
        StrBuf out;
        size_t sent;                    /* bytes at the start of out that are gone already */
        bool suspended;
        bool asked;                     /* the owner was told of the room there is */
        int error;
        unsigned n_ref;
};

/* Streams that are idle most of the time keep no large buffers. */
static void stream_forget_sent(HttpStream *s) {
        if (s->sent < s->out.size)
                return;
        s->sent = s->out.size = 0;
        if (s->out.capacity > STREAM_BLOCK)
                strbuf_done(&s->out);
}

static void stream_unref(HttpStream *s) {
        if (--s->n_ref > 0)
                return;
        strbuf_done(&s->out);
        free(s);
}

int http_request_stream(HttpRequest *q, HttpReply *reply, int64_t size, const HttpStreamOps *ops, void *userdata,
                        HttpStream **ret) {
        HttpStream *s = calloc(1, sizeof(*s));

        if (!s) {
                http_reply_free(reply);
                return -ENOMEM;
        }
        *s = (HttpStream) { .request = q, .ops = ops, .userdata = userdata, .size = size, .n_ref = 2 };
        q->stream = s;
        http_request_reply(q, reply);
        *ret = s;
        return 0;
}

static void stream_resume(HttpStream *s) {
        if (!s->suspended)
                return;
        s->suspended = false;
        connection_enter(s->request->connection, PHASE_WRITING);
        slow_want(s->request->connection, WANTED_TAKEN);
        request_resume(s->request);
}

size_t http_stream_pending(const HttpStream *s) {
        return s->out.size - s->sent;
}

int http_stream_write(HttpStream *s, const void *data, size_t size) {
        if (!s->request)
                return -EPIPE;
        if (size > HTTP_STREAM_MAX - MIN(http_stream_pending(s), (size_t) HTTP_STREAM_MAX))
                return -ENOBUFS;
        if (size == 0)
                return 0;
        if (s->sent > 0) {
                memmove(s->out.data, s->out.data + s->sent, s->out.size - s->sent);
                s->out.size -= s->sent;
                s->sent = 0;
        }
        strbuf_add(&s->out, data, size);
        if (s->out.failed)
                return -ENOMEM;
        s->asked = false;
        stream_resume(s);
        return 0;
}

HttpStream *http_stream_end(HttpStream *s, int error) {
        if (!s)
                return NULL;
        s->ops = NULL;
        s->error = error;
        if (s->request)
                stream_resume(s);
        stream_unref(s);
        return NULL;
}

void stream_gone(HttpStream *s) {
        const HttpStreamOps *ops = s->ops;

        if (!s->request)
                return;
        stream_resume(s);
        s->request->stream = NULL;
        s->request = NULL;
        if (ops && (s->size < 0 || s->n_read < (uint64_t) s->size))
                ops->gone(s, s->userdata);
        stream_unref(s);
}

void stream_hang_up(HttpStream *s) {
        if (!s->suspended)              /* it is seen when all that was written is sent, or cannot be */
                return;
        s->request->gone = true;
        stream_resume(s);
}

/* ---- what the library calls ---- */

static ssize_t stream_read(void *userdata, uint64_t position, char *buffer, size_t size) {
        HttpStream *s = userdata;
        HttpRequest *q = s->request;

        if (!q || q->gone)
                return MHD_CONTENT_READER_END_WITH_ERROR;
        if (http_stream_pending(s) == 0 && s->ops && s->ops->room && !s->asked) {
                s->asked = true;
                s->ops->room(s, s->userdata);
        }

        size_t n = MIN(http_stream_pending(s), size);
        if (n > 0) {
                memcpy(buffer, s->out.data + s->sent, n);
                s->sent += n;
                s->n_read += n;
                stream_forget_sent(s);
                return (ssize_t) n;
        }
        if (!s->ops)
                return s->error < 0 || s->out.failed ? MHD_CONTENT_READER_END_WITH_ERROR : MHD_CONTENT_READER_END_OF_STREAM;
        if (q->connection->hung_up) {
                q->gone = true;
                return MHD_CONTENT_READER_END_WITH_ERROR;
        }
        s->suspended = true;
        connection_enter(q->connection, PHASE_STREAMING);
        slow_forget(q->connection);
        MHD_suspend_connection(q->mhd);
        return 0;
}

static void stream_release(void *userdata) {
        stream_unref(userdata);
}

struct MHD_Response *stream_response(HttpStream *s) {
        uint64_t size = s->size < 0 ? MHD_SIZE_UNKNOWN : (uint64_t) s->size;
        struct MHD_Response *response = MHD_create_response_from_callback(size, STREAM_BLOCK, stream_read, s, stream_release);

        if (response)
                s->n_ref++;
        return response;
}
