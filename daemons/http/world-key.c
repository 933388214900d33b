/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reading is calling a function, as programs do (common/ipc/source-server.h); writing is a message of its own. */

#include <time.h>

#include <systemd/sd-event.h>

#include "common/ipc/channel.h"
#include "common/paths.h"
#include "common/sd/log.h"
#include "daemons/http/http-manager.h"
#include "daemons/http/world-key.h"

#define LEFT_USEC UINT64_C(2000000)     /* when a program changes something of a server, its keys are closed and opened again */

struct WorldLink {
        HttpManager *manager;
        Channel *channel;
        sd_event_source *left;          /* enabled while there are no keys */
        uint64_t last_number;
        WorldKey *keys;
};

struct WorldKey {
        WorldLink *link;
        uint64_t id;
        bool shared;
        char *key;
        const WorldKeyOps *ops;
        void *userdata;
        uint64_t request;               /* of the write that is under way; 0: none is */
        Value writing;
        bool unsent;                    /* there was no room for something of it */
        WorldKey *next, *previous;
};

/* ---- sending ---- */

static int send_open(WorldKey *k) {
        _cleanup_(value_done) Value args = {}, name = {};
        int r;

        r = value_strz(&name, k->key);
        if (r >= 0)
                r = value_list(&args, (Value[]) { value_ref(name) }, 1);
        if (r < 0)
                return r;
        return channel_send(k->link->channel, 0, &(Message) {
                .type = MESSAGE_SOURCE_OPEN,
                .source_open = { .id = k->id, .function = (char *) (k->shared ? "world.getval" : "value.get_str"), .args = args,
                                 .result = (char *) (k->shared ? "struct{value str; exists bool}" : "struct{value str; ready bool}"),
                                 .base = (char *) "/" },
        });
}

static int send_write(WorldKey *k) {
        return channel_send(k->link->channel, 0, &(Message) {
                .type = MESSAGE_STORE_SET,
                .store_set = { .request = k->request, .shared = k->shared, .key = k->key, .value = k->writing },
        });
}

/* All that mgmt-world has to know of a key. What could not be sent for want of room is sent when there is some; what is lost with
 * the connection, when that is back. */
static void key_send(WorldKey *k) {
        int r;

        if (!channel_is_connected(k->link->channel))
                return;
        r = send_open(k);
        if (r >= 0 && k->request > 0)
                r = send_write(k);
        k->unsent = r < 0 && r != -ENOTCONN;
        if (k->unsent && r != -ENOBUFS)
                log_error(r, "cannot ask mgmt-world for key '%s', trying again: %m", k->key);
}

/* ---- what mgmt-world says ---- */

static WorldKey *find_key(WorldLink *l, uint64_t id) {
        WorldKey *k = l->keys;

        while (k && k->id != id)
                k = k->next;
        return k;
}

static void on_value(WorldLink *l, const Message *m) {
        WorldKey *k = find_key(l, m->source_value.id);
        Value v = m->source_value.value;
        int r;

        if (!k)
                return;
        r = channel_send(l->channel, 0, &(Message) { .type = MESSAGE_SOURCE_TAKEN, .source_taken.id = k->id });
        if (r < 0 && r != -ENOTCONN)
                k->unsent = true;       /* to be asked anew, which takes it as well */
        if (v.kind != TYPE_STRUCT || v.st->n != 2 || v.st->fields[0].value.kind != TYPE_STR || v.st->fields[1].value.kind != TYPE_BOOL)
                return;
        k->ops->value(k, v.st->fields[1].value.b ? value_cstr(v.st->fields[0].value) : NULL, k->userdata);
}

static void on_failed(WorldLink *l, const Message *m) {
        WorldKey *k = find_key(l, m->source_failed.id);

        if (!k)
                return;
        (void) channel_send(l->channel, 0, &(Message) { .type = MESSAGE_SOURCE_TAKEN, .source_taken.id = k->id });
        k->ops->failed(k, &m->source_failed.diag, k->userdata);
}

static void on_written(WorldLink *l, const Message *m) {
        WorldKey *k = l->keys;

        while (k && (k->request == 0 || k->request != m->store_written.request))
                k = k->next;
        if (!k)
                return;
        world_key_forget_write(k);
        k->ops->written(k, m->store_written.diag.error < 0 ? &m->store_written.diag : NULL, k->userdata);
}

static void on_message(Channel *c, PeerId peer, Message *m, void *userdata) {
        WorldLink *l = userdata;

        switch (m->type) {
        case MESSAGE_SOURCE_VALUE:
                on_value(l, m);
                break;
        case MESSAGE_SOURCE_FAILED:
                on_failed(l, m);
                break;
        case MESSAGE_STORE_WRITTEN:
                on_written(l, m);
                break;
        case MESSAGE_ERROR:
                log_warning(m->error.error < 0 ? m->error.error : -EPROTO, "mgmt-world: %s", m->error.text ?: "refused");
                break;
        default:
                break;
        }
}

static void on_connected(Channel *c, void *userdata) {
        WorldLink *l = userdata;

        (void) channel_send(c, 0, &(Message) { .type = MESSAGE_HELLO, .hello = { .role = (char *) "http", .hostname = (char *) "" } });
        for (WorldKey *k = l->keys; k; k = k->next)
                key_send(k);
}

static void on_disconnected(Channel *c, void *userdata) {
        /* what was said last stays in force */
}

static void on_room(Channel *c, PeerId peer, void *userdata) {
        WorldLink *l = userdata;

        for (WorldKey *k = l->keys; k; k = k->next)
                if (k->unsent)
                        key_send(k);
}

/* ---- the connection ---- */

static WorldLink *link_free(WorldLink *l) {
        if (!l)
                return NULL;
        channel_free(l->channel);
        sd_event_source_disable_unref(l->left);
        free(l);
        return NULL;
}
DEFINE_CLEANUP(WorldLink *, link_free)

void world_keys_done(HttpManager *m) {
        m->world = link_free(m->world);
}

static int on_left(sd_event_source *source, uint64_t usec, void *userdata) {
        world_keys_done(((WorldLink *) userdata)->manager);
        return 0;
}

static int link_get(HttpManager *m, WorldLink **ret) {
        static const ChannelOps ops = {
                .message = on_message, .connected = on_connected, .disconnected = on_disconnected, .room = on_room,
        };
        _cleanup_(link_freep) WorldLink *l = NULL;
        int r;

        if (!m->world) {
                _cleanup_free_ char *socket = path_socket("world");

                l = calloc(1, sizeof(*l));
                if (!l || !socket)
                        return -ENOMEM;
                l->manager = m;
                r = sd_event_add_time(m->event, &l->left, CLOCK_MONOTONIC, UINT64_MAX, 10000, on_left, l);
                if (r >= 0)
                        r = channel_connect(&l->channel, m->event, socket, &ops, l);
                if (r < 0)
                        return r;
                m->world = TAKE_PTR(l);
        }
        (void) sd_event_source_set_enabled(m->world->left, SD_EVENT_OFF);
        *ret = m->world;
        return 0;
}

/* ---- keys ---- */

static void key_free(WorldKey *k) {
        value_done(&k->writing);
        free(k->key);
        free(k);
}

int world_key_open(WorldKey **ret, HttpManager *m, bool shared, const char *key, const WorldKeyOps *ops, void *userdata) {
        WorldKey *k = calloc(1, sizeof(*k));
        int r;

        if (!k)
                return -ENOMEM;
        k->key = strdup(key);
        r = k->key ? link_get(m, &k->link) : -ENOMEM;
        if (r < 0) {
                key_free(k);
                return r;
        }
        k->id = ++k->link->last_number;
        k->shared = shared;
        k->ops = ops;
        k->userdata = userdata;
        k->next = k->link->keys;
        if (k->next)
                k->next->previous = k;
        k->link->keys = k;
        key_send(k);
        *ret = k;
        return 0;
}

WorldKey *world_key_close(WorldKey *k) {
        WorldLink *l;

        if (!k)
                return NULL;
        l = k->link;
        if (k->previous)
                k->previous->next = k->next;
        else
                l->keys = k->next;
        if (k->next)
                k->next->previous = k->previous;
        (void) channel_send(l->channel, 0, &(Message) { .type = MESSAGE_SOURCE_CLOSE, .source_close.id = k->id });
        if (!l->keys) {
                (void) sd_event_source_set_time_relative(l->left, LEFT_USEC);
                (void) sd_event_source_set_enabled(l->left, SD_EVENT_ONESHOT);
        }
        key_free(k);
        return NULL;
}

void world_key_forget_write(WorldKey *k) {
        k->request = 0;
        value_done(&k->writing);
}

int world_key_write(WorldKey *k, const char *value) {
        Value v;
        int r;

        r = value_strz(&v, value);
        if (r < 0)
                return r;
        world_key_forget_write(k);
        k->writing = v;
        k->request = ++k->link->last_number;
        if (!channel_is_connected(k->link->channel))
                return 0;               /* on_connected() does it */
        r = send_write(k);
        k->unsent = k->unsent || (r < 0 && r != -ENOTCONN);
        return 0;
}
