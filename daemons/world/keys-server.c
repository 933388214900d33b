/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A write is remembered until the store answers; whoever asked may be gone by then. */

#include <errno.h>

#include "common/sd/log.h"
#include "daemons/world/keys-server.h"

enum { WRITES_MAX = 4096 };             /* under way at once, of all peers */

typedef struct Write {
        KeysServer *server;
        Channel *channel;
        PeerId peer;
        uint64_t request;
        Keys *keys;
        char *key;
        Value value;
        KeysCall *call;                 /* NULL while the store cannot be reached: … */
        KeysWatch *watch;               /* … then this tells when it can */
        struct Write *next, *previous;
} Write;

struct KeysServer {
        Keys *shared, *local;
        Write *writes;
        unsigned n_writes;
};

static void answer(Channel *c, PeerId peer, uint64_t request, int error, const char *key) {
        _cleanup_(diag_done) Diag d = {};
        int r;

        if (error < 0)
                (void) diag_set(&d, (Pos) {}, error, "cannot write key '%s': %m", key ?: "");
        r = channel_send(c, peer, &(Message) { .type = MESSAGE_STORE_WRITTEN,
                                               .store_written = { .request = request, .diag = d } });         /* borrowed */
        if (r < 0 && r != -ENOTCONN)
                log_error(r, "cannot say that key '%s' was written, ignoring: %m", key ?: "");
}

static void write_free(Write *w) {
        KeysServer *s = w->server;

        if (w->previous)
                w->previous->next = w->next;
        else
                s->writes = w->next;
        if (w->next)
                w->next->previous = w->previous;
        s->n_writes--;
        keys_call_cancel(w->call);
        keys_watch_free(w->watch);
        value_done(&w->value);
        free(w->key);
        free(w);
}

static Write *write_new(KeysServer *s, Channel *c, PeerId peer, uint64_t request, Keys *keys, const char *key, Value value) {
        Write *w = malloc(sizeof(*w));

        if (!w)
                return NULL;
        *w = (Write) {
                .server = s, .channel = c, .peer = peer, .request = request, .keys = keys, .key = strdup(key),
                .value = value_ref(value), .next = s->writes,
        };
        if (!w->key) {
                value_done(&w->value);
                free(w);
                return NULL;
        }
        if (w->next)
                w->next->previous = w;
        s->writes = w;
        s->n_writes++;
        return w;
}

static void on_written(const KeysReply *reply, void *userdata);

static void end(Write *w, int error) {
        answer(w->channel, w->peer, w->request, error, w->key);
        write_free(w);
}

static int begin(Write *w) {
        return keys_set(w->keys, w->key, NULL, w->value, NULL, on_written, w, &w->call);
}

static void on_reachable(KeysWatch *watch, const KeysNews *news, void *userdata) {
        Write *w = userdata;
        int r;

        if (news->none && news->error == -EHOSTDOWN)
                return;
        w->watch = keys_watch_free(watch);
        r = begin(w);
        if (r < 0)
                end(w, r);
}

/* -EINPROGRESS: whether it took place nobody knows; to write it again does no harm. */
static void on_written(const KeysReply *reply, void *userdata) {
        Write *w = userdata;
        int r = reply->error;

        w->call = NULL;
        if (r == -EHOSTDOWN || r == -EINPROGRESS)
                r = keys_watch(w->keys, w->key, NULL, on_reachable, w, &w->watch);
        else if (r >= 0)
                r = 0;
        if (!w->watch)
                end(w, r);
}

/* What waits for the store, and is not what is wanted any more. */
static void overtake(KeysServer *s, const Keys *keys, const char *key) {
        for (Write *w = s->writes, *next; w; w = next) {
                next = w->next;
                if (w->watch && w->keys == keys && streq(w->key, key))
                        end(w, -ECANCELED);
        }
}

static int store_it(KeysServer *s, Channel *c, PeerId peer, const Message *m) {
        Keys *keys = m->store_set.shared ? s->shared : s->local;
        const char *key = m->store_set.key;
        Write *w;
        int r;

        if (!key || !*key)
                return -EINVAL;
        if (m->store_set.shared && m->store_set.value.kind != TYPE_STR && m->store_set.value.kind != TYPE_NIL)
                return -EINVAL;
        overtake(s, keys, key);
        if (s->n_writes >= WRITES_MAX)
                return -EBUSY;
        w = write_new(s, c, peer, m->store_set.request, keys, key, m->store_set.value);
        if (!w)
                return -ENOMEM;
        r = begin(w);
        if (r < 0)
                write_free(w);
        return r;
}

bool keys_server_message(KeysServer *s, Channel *c, PeerId peer, Message *m) {
        int r;

        if (m->type != MESSAGE_STORE_SET)
                return false;
        r = store_it(s, c, peer, m);
        if (r < 0)
                answer(c, peer, m->store_set.request, r, m->store_set.key);
        return true;
}

int keys_server_new(KeysServer **ret, Keys *shared, Keys *local) {
        KeysServer *s = malloc(sizeof(*s));

        if (!s)
                return -ENOMEM;
        *s = (KeysServer) { .shared = shared, .local = local };
        *ret = s;
        return 0;
}

KeysServer *keys_server_free(KeysServer *s) {
        if (!s)
                return NULL;
        while (s->writes)
                write_free(s->writes);
        free(s);
        return NULL;
}
