/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Nothing is sent to keep a stream alive: that a client has left is seen by the connection. */

#include <stdio.h>

#include <systemd/sd-event.h>

#include "common/usec.h"
#include "daemons/http/http-manager.h"
#include "daemons/http/ui-hub.h"

#define LEFT_USEC UINT64_C(2000000)     /* how long pages wait for a new owner */

typedef struct UiStream {
        UiHub *hub;
        HttpStream *stream;
        struct UiStream *next, *previous;
} UiStream;

struct UiHub {
        HttpManager *manager;
        char *name;
        const void *owner;              /* NULL: it has left */
        sd_event_source *left;          /* enabled while there is none */
        UiStream *streams;
        unsigned n_streams;
        void *data;
        void (*free_data)(void *data);
        UiHub *next;
};

/* ---- streams ---- */

static void stream_end(UiStream *s, int error) {
        UiHub *h = s->hub;

        if (s->previous)
                s->previous->next = s->next;
        else
                h->streams = s->next;
        if (s->next)
                s->next->previous = s->previous;
        h->n_streams--;
        http_stream_end(s->stream, error);
        free(s);
}

static void on_gone(HttpStream *stream, void *userdata) {
        stream_end(userdata, 0);
}

static int make_reply(HttpReply **ret) {
        _cleanup_(http_reply_freep) HttpReply *p = http_reply_new(200);
        int r;

        if (!p)
                return -ENOMEM;
        r = http_reply_header(p, "Content-Type", "text/event-stream");
        if (r >= 0)
                r = http_reply_header(p, "Cache-Control", "no-store");
        if (r >= 0)
                r = http_reply_header(p, "X-Content-Type-Options", "nosniff");
        if (r >= 0)
                r = http_reply_header(p, "X-Accel-Buffering", "no");    /* for a proxy in between */
        if (r >= 0)
                *ret = TAKE_PTR(p);
        return r;
}

static int stream_begin(UiHub *h, HttpRequest *q, UiStream **ret) {
        static const HttpStreamOps ops = { .gone = on_gone };
        UiStream *s = calloc(1, sizeof(*s));
        HttpReply *reply = NULL;
        int r;

        r = s ? make_reply(&reply) : -ENOMEM;
        if (r >= 0)
                r = http_request_stream(q, reply, HTTP_STREAM_OPEN, &ops, s, &s->stream);
        if (r < 0) {
                free(s);
                return r;
        }
        s->hub = h;
        s->next = h->streams;
        if (s->next)
                s->next->previous = s;
        h->streams = s;
        h->n_streams++;
        *ret = s;
        return 0;
}

void ui_hub_stream(UiHub *h, HttpRequest *q, const char *first, size_t size) {
        UiStream *s;

        if (h->n_streams >= UI_STREAMS_MAX || stream_begin(h, q, &s) < 0) {
                http_request_reply_status(q, 503);
                return;
        }
        if (http_stream_write(s->stream, first, size) < 0)
                stream_end(s, -ENOBUFS);
}

void ui_hub_tell(UiHub *h, const char *event, const char *json) {
        _cleanup_free_ char *text = NULL;
        int size;

        if (!h || !h->streams)
                return;
        size = asprintf(&text, "event: %s\ndata: %s\n\n", event, json);
        if (size < 0)
                text = NULL;
        for (UiStream *s = h->streams, *next; s; s = next) {
                next = s->next;
                if (!text || http_stream_write(s->stream, text, (size_t) size) < 0)
                        stream_end(s, -ENOBUFS);
        }
}

bool ui_hub_is_watched(const UiHub *h) {
        return h->streams;
}

void *ui_hub_data(const UiHub *h) {
        return h->data;
}

void ui_hub_set_data(UiHub *h, void *data, void (*free_data)(void *data)) {
        h->data = data;
        h->free_data = free_data;
}

/* ---- hubs ---- */

static void hub_free(UiHub *h) {
        UiHub **at = &h->manager->hubs;

        while (*at != h)
                at = &(*at)->next;
        *at = h->next;
        while (h->streams)
                stream_end(h->streams, 0);
        if (h->data)
                h->free_data(h->data);
        sd_event_source_disable_unref(h->left);
        free(h->name);
        free(h);
}

static int on_left(sd_event_source *source, uint64_t usec, void *userdata) {
        hub_free(userdata);
        return 0;
}

static int hub_new(UiHub **ret, HttpManager *m, const char *name) {
        UiHub *h = calloc(1, sizeof(*h));
        int r;

        if (!h)
                return -ENOMEM;
        *h = (UiHub) { .manager = m, .name = strdup(name), .next = m->hubs };
        r = h->name ? sd_event_add_time(m->event, &h->left, CLOCK_MONOTONIC, UINT64_MAX, 10000, on_left, h) : -ENOMEM;
        if (r < 0) {
                free(h->name);
                free(h);
                return r;
        }
        m->hubs = h;
        *ret = h;
        return 0;
}

int ui_hub_take(UiHub **ret, HttpManager *m, const char *name, const void *owner) {
        UiHub *h = m->hubs;
        int r;

        while (h && !streq(h->name, name))
                h = h->next;
        if (!h) {
                r = hub_new(&h, m, name);
                if (r < 0)
                        return r;
        }
        (void) sd_event_source_set_enabled(h->left, SD_EVENT_OFF);
        h->owner = owner;
        *ret = h;
        return 0;
}

void ui_hub_release(UiHub *h, const void *owner) {
        if (h->owner != owner)
                return;
        h->owner = NULL;
        (void) sd_event_source_set_time_relative(h->left, LEFT_USEC);
        (void) sd_event_source_set_enabled(h->left, SD_EVENT_ONESHOT);
}

void ui_hubs_done(HttpManager *m) {
        while (m->hubs)
                hub_free(m->hubs);
}

uint64_t ui_hub_next_seq(HttpManager *m) {
        m->last_seq = MAX(m->last_seq + 1, usec_now(CLOCK_REALTIME));
        return m->last_seq;
}
