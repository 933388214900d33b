/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A subscriber of the engine. A new subscriber is told the recent past; after a lost connection that would be told twice, so
 * what is not newer than the last event before is dropped. */

#include <sys/utsname.h>

#include "common/ipc/channel.h"
#include "daemons/mgmtctl/stream.h"

struct Stream {
        Channel *channel;
        char *pattern;
        const StreamOps *ops;
        void *userdata;
        uint64_t last_usec, known_usec;         /* of the last event; of the last one before the connection was lost */
};

static void on_connected(Channel *c, void *userdata) {
        Stream *s = userdata;
        struct utsname host = {};

        (void) uname(&host);
        Message hello = { .type = MESSAGE_HELLO, .hello = { .role = (char *) "mgmtctl", .hostname = host.nodename } };
        Message subscribe = { .type = MESSAGE_EVENTS_SUBSCRIBE, .events_subscribe.pattern = s->pattern };
        int r = channel_send(c, 0, &hello);

        if (r >= 0)
                r = channel_send(c, 0, &subscribe);
        if (r < 0 && r != -ENOTCONN)
                s->ops->refused(s, strerrordesc_np(-r), s->userdata);
}

static void on_disconnected(Channel *c, void *userdata) {
        Stream *s = userdata;

        s->known_usec = s->last_usec;
}

static void on_message(Channel *c, PeerId peer, Message *m, void *userdata) {
        Stream *s = userdata;

        if (m->type == MESSAGE_ERROR)
                s->ops->refused(s, m->error.text ?: strerrordesc_np(-m->error.error), s->userdata);
        if (m->type != MESSAGE_EVENT || m->event.time_usec <= s->known_usec)
                return;
        s->last_usec = MAX(s->last_usec, m->event.time_usec);
        s->ops->event(s, m, s->userdata);
}

static const ChannelOps stream_ops = { .message = on_message, .connected = on_connected, .disconnected = on_disconnected };

int stream_new(Stream **ret, sd_event *event, const char *socket_path, const char *pattern, const StreamOps *ops, void *userdata) {
        _cleanup_(stream_freep) Stream *s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        *s = (Stream) { .ops = ops, .userdata = userdata, .pattern = pattern ? strdup(pattern) : NULL };
        if (pattern && !s->pattern)
                return -ENOMEM;

        int r = channel_connect(&s->channel, event, socket_path, &stream_ops, s);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

Stream *stream_free(Stream *s) {
        if (!s)
                return NULL;
        channel_free(s->channel);
        free(s->pattern);
        free(s);
        return NULL;
}
