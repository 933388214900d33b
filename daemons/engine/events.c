/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The ring of recent events and those who listen. Events are kept as the messages they travel as. */

#include <stdio.h>
#include <syslog.h>

#include "common/usec.h"
#include "daemons/engine/clean-text.h"
#include "daemons/engine/events.h"
#include "daemons/engine/id-pattern.h"

enum {
        RING_MAX = 256,
        SUBSCRIBERS_MAX = 64,
        QUEUE_MAX = 1024 * 1024,        /* bytes that may wait for one who does not read */
};

typedef struct Subscriber {
        Channel *channel;
        PeerId peer;
        char *pattern;          /* NULL: all */
        unsigned lost;          /* events that found its queue full */
} Subscriber;

struct Events {
        Message ring[RING_MAX];
        size_t n, first;
        Subscriber subscribers[SUBSCRIBERS_MAX];
        unsigned n_subscribers;
};

int events_new(Events **ret) {
        *ret = calloc(1, sizeof(**ret));
        return *ret ? 0 : -ENOMEM;
}

Events *events_free(Events *e) {
        if (!e)
                return NULL;
        for (size_t i = 0; i < e->n; i++)
                message_done(&e->ring[(e->first + i) % RING_MAX]);
        for (unsigned i = 0; i < e->n_subscribers; i++)
                free(e->subscribers[i].pattern);
        free(e);
        return NULL;
}

unsigned events_n_subscribers(const Events *e) {
        return e->n_subscribers;
}

static bool is_wanted(const Subscriber *s, const Message *m) {
        return !m->event.kind || id_pattern_match(s->pattern, m->event.kind, m->event.name);
}

static void unsubscribe(Events *e, unsigned i) {
        free(e->subscribers[i].pattern);
        e->subscribers[i] = e->subscribers[--e->n_subscribers];
}

void events_unsubscribe(Events *e, const Channel *c, PeerId peer) {
        for (unsigned i = 0; i < e->n_subscribers; i++)
                if (e->subscribers[i].channel == c && e->subscribers[i].peer == peer) {
                        unsubscribe(e, i);
                        return;
                }
}

/* Returns false if the subscriber is gone. */
static bool deliver(Subscriber *s, const Message *m) {
        int r;

        if (!is_wanted(s, m))
                return true;
        if (channel_queued(s->channel, s->peer) >= QUEUE_MAX) {
                s->lost++;
                return true;
        }
        if (s->lost > 0) {
                char text[64];
                (void) snprintf(text, sizeof(text), "%u events were lost: too slow a reader", s->lost);
                Message note = {
                        .type = MESSAGE_EVENT,
                        .event = { .time_usec = m->event.time_usec, .type = (char *) EVENT_LOG, .priority = LOG_WARNING, .text = text },
                };
                if (channel_send(s->channel, s->peer, &note) >= 0)
                        s->lost = 0;
        }
        r = channel_send(s->channel, s->peer, m);
        if (r < 0)
                s->lost++;
        return r != -ENOTCONN;
}

static char *copy(const char *s, bool *failed) {
        char *c = s ? strdup(s) : NULL;

        *failed = *failed || (s && !c);
        return c;
}

void events_emit(Events *e, const char *type, const char *kind, const char *name, int priority, const char *state, const char *text) {
        bool failed = false;

        Message m = {
                .type = MESSAGE_EVENT,
                .event = {
                        .time_usec = usec_now(CLOCK_REALTIME),
                        .type = copy(type, &failed),
                        .kind = copy(kind, &failed),
                        .name = copy(name, &failed),
                        .priority = priority,
                        .state = copy(state, &failed),
                        .text = clean_text(text),
                },
        };
        if (failed || (text && !m.event.text)) {
                message_done(&m);
                return;
        }

        for (unsigned i = 0; i < e->n_subscribers;)
                if (deliver(&e->subscribers[i], &m))
                        i++;
                else
                        unsubscribe(e, i);

        if (e->n == RING_MAX) {
                message_done(&e->ring[e->first]);
                e->first = (e->first + 1) % RING_MAX;
                e->n--;
        }
        e->ring[(e->first + e->n++) % RING_MAX] = m;
}

int events_subscribe(Events *e, Channel *c, PeerId peer, const char *pattern) {
        _cleanup_free_ char *mine = NULL;
        unsigned at = 0;

        if (pattern && !(mine = strdup(pattern)))
                return -ENOMEM;
        while (at < e->n_subscribers && (e->subscribers[at].channel != c || e->subscribers[at].peer != peer))
                at++;
        if (at == SUBSCRIBERS_MAX)
                return -EUSERS;
        if (at == e->n_subscribers)
                e->subscribers[e->n_subscribers++] = (Subscriber) { .channel = c, .peer = peer };
        free(e->subscribers[at].pattern);
        e->subscribers[at].pattern = TAKE_PTR(mine);

        for (size_t i = 0; i < e->n; i++)
                if (!deliver(&e->subscribers[at], &e->ring[(e->first + i) % RING_MAX])) {
                        unsubscribe(e, at);
                        return -ENOTCONN;
                }
        return 0;
}
