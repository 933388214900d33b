/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What is to be sent for a call is what differs between it and what the daemon knows of it; so it does not matter whether the
 * connection was lost, is not there yet, or has no room just now. */

#include "common/map.h"
#include "common/paths.h"
#include "common/sd/log.h"
#include "daemons/lang/lang-manager.h"
#include "daemons/lang/remote.h"

struct Remote {
        const char *daemon;
        Manager *manager;       /* with a connection of its own: the rest is NULL without */
        Channel *own;
        Channel *channel;       /* NULL while it is not connected; borrowed */
        Map *calls;             /* id → Call; owns them */
        uint64_t last_id;
        bool some_unsent;
};

/* A call that the daemon knows or shall know. */
typedef struct Call {
        Remote *remote;
        uint64_t id;
        uint32_t question;
        Source *source;         /* NULL: it is over, and the daemon has to be told */
        Value args;             /* list */
        char *result;
        bool known;             /* the daemon has a source for it */
        bool to_ask;            /* the daemon does not know the question yet */
        bool answered;          /* an answer came that the program has not taken */
        bool to_take;           /* it has now, and the daemon does not know */
} Call;

typedef struct RemoteSource {
        Source source;
        Call *call;
} RemoteSource;

/* ---- sending ---- */

static void call_free(void *data) {
        Call *c = data;

        value_done(&c->args);
        free(c->result);
        free(c);
}

static void call_remove(Call *c) {
        (void) map_remove_n(c->remote->calls, &c->id, sizeof(c->id));
        call_free(c);
}

static int send_one(Call *c) {
        Message m;

        if (!c->source)
                m = (Message) { .type = MESSAGE_SOURCE_CLOSE, .source_close.id = c->id };
        else if (c->to_ask)
                m = (Message) {
                        .type = MESSAGE_SOURCE_OPEN,
                        .source_open = { .id = c->id, .question = c->question, .function = (char *) c->source->function,
                                         .args = c->args, .result = c->result, .base = (char *) c->source->base },
                };
        else
                m = (Message) { .type = MESSAGE_SOURCE_TAKEN, .source_taken = { .id = c->id, .question = c->question } };
        return channel_send(c->remote->channel, 0, &m);         /* borrowed */
}

/* Brings the daemon up to date. The call may be gone afterwards, if it is over. */
static void call_sync(Call *c) {
        Remote *remote = c->remote;
        int r;

        if (!c->source && !c->known) {
                call_remove(c);
                return;
        }
        if (!remote->channel || (c->source && !c->to_ask && !c->to_take))
                return;
        r = send_one(c);
        if (r >= 0) {
                c->known = true;
                c->to_ask = c->to_take = false;
                if (!c->source)
                        call_remove(c);
        } else if (c->source && c->to_ask && (r == -E2BIG || r == -EINVAL)) {
                c->to_ask = false;      /* that will not change */
                source_failf(c->source, false, r, "cannot ask mgmt-%s: %m", remote->daemon);
        } else if (r != -ENOTCONN) {
                remote->some_unsent = true;
                if (r != -ENOBUFS)
                        log_error(r, "cannot ask mgmt-%s, trying again: %m", remote->daemon);
        }
}

void remote_room(Remote *r) {
        size_t i = 0;
        void *call;

        r->some_unsent = false;
        while (map_next(r->calls, &i, NULL, &call))
                call_sync(call);
}

void remote_connected(Remote *r, Channel *c) {
        size_t i = 0;
        void *data;

        r->channel = c;
        while (map_next(r->calls, &i, NULL, &data)) {
                Call *call = data;

                call->known = call->answered = call->to_take = false;
                call->to_ask = true;
        }
        remote_room(r);
}

void remote_disconnected(Remote *r) {
        r->channel = NULL;
}

/* ---- answers ---- */

/* Calls for which an answer of that number is not late. */
static Call *find_call(Remote *r, uint64_t id, uint32_t question) {
        Call *c = map_get_n(r->calls, &id, sizeof(id));

        return c && c->source && c->question == question && !c->to_ask ? c : NULL;
}

static void on_value(Remote *r, Message *m) {
        Call *c = find_call(r, m->source_value.id, m->source_value.question);
        _cleanup_(diag_done) Diag d = {};

        if (!c)
                return;
        c->answered = true;
        if (value_check_type(m->source_value.value, c->source->result, &d) < 0)
                source_failf(c->source, false, -EBADMSG, "mgmt-%s gave a wrong value: %s", r->daemon, d.message ?: "out of memory");
        else
                source_set(c->source, value_take(&m->source_value.value));
}

static void on_failed(Remote *r, Message *m) {
        Call *c = find_call(r, m->source_failed.id, m->source_failed.question);
        const Diag *d = &m->source_failed.diag;

        if (!c)
                return;
        c->answered = true;
        source_failf(c->source, m->source_failed.catchable, d->error < 0 ? d->error : -EBADMSG, "%s", d->message ?: "it failed");
}

bool remote_message(Remote *r, Message *m) {
        switch (m->type) {
        case MESSAGE_SOURCE_VALUE:
                on_value(r, m);
                break;
        case MESSAGE_SOURCE_FAILED:
                on_failed(r, m);
                break;
        default:
                return false;
        }
        if (r->some_unsent)
                remote_room(r);
        return true;
}

/* ---- what the function graph calls ---- */

static int remote_ask(Source *s) {
        Call *c = ((RemoteSource *) s)->call;
        Value *items = calloc(s->n_args + 1, sizeof(Value)), args;
        int r;

        if (!items)
                return -ENOMEM;
        for (size_t i = 0; i < s->n_args; i++)
                items[i] = value_ref(s->args[i]);
        r = value_list(&args, items, s->n_args);
        free(items);
        if (r < 0)
                return r;
        value_done(&c->args);
        c->args = args;
        c->question++;
        c->to_ask = true;
        c->answered = c->to_take = false;
        call_sync(c);
        return 0;
}

static int call_new(Call **ret, Remote *r, Source *s) {
        Call *c = calloc(1, sizeof(*c));
        int k;

        if (!c)
                return -ENOMEM;
        *c = (Call) { .remote = r, .id = ++r->last_id, .source = s, .result = type_text(s->result) };
        k = c->result ? map_put_n(r->calls, &c->id, sizeof(c->id), c) : -ENOMEM;
        if (k < 0) {
                call_free(c);
                return k;
        }
        *ret = c;
        return 0;
}

static int remote_open(Source *s, Diag *reterr) {
        RemoteSource *rs = (RemoteSource *) s;
        Remote *remote;
        int r;

        r = manager_remote(s->host->manager, s->type->name, &remote);
        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "cannot connect to mgmt-%s: %m", s->type->name);
        r = call_new(&rs->call, remote, s);
        return r < 0 ? r : remote_ask(s);
}

static int remote_change(Source *s, Diag *reterr) {
        return remote_ask(s);
}

static void remote_close(Source *s) {
        Call *c = ((RemoteSource *) s)->call;

        if (!c)
                return;
        c->source = NULL;
        call_sync(c);
}

static void remote_taken(Source *s) {
        Call *c = ((RemoteSource *) s)->call;

        c->to_take = c->answered;
        c->answered = false;
        call_sync(c);
}

/* Named as the daemons, each of which serves whole modules. */
#define REMOTE(daemon) \
        { .name = (daemon), .size = sizeof(RemoteSource), \
          .open = remote_open, .change = remote_change, .close = remote_close, .taken = remote_taken }

static const SourceType remote_http = REMOTE("http");
static const SourceType remote_world = REMOTE("world");

static const struct { const char *module; const SourceType *daemon; } modules[] = {
        { "_collect",           &remote_world },
        { "local.",             &remote_world },
        { "net/http.",          &remote_http },
        { "value.",             &remote_world },
        { "world.",             &remote_world },
        { "world/collect.",     &remote_world },
};

const SourceType *remote_find(const char *function) {
        for (size_t i = 0; i < ELEMENTSOF(modules); i++)
                if (startswith(function, modules[i].module))
                        return modules[i].daemon;
        return NULL;
}

/* ---- the whole ---- */

int remote_new(Remote **ret, const char *daemon) {
        Remote *r = calloc(1, sizeof(*r));

        if (!r)
                return -ENOMEM;
        *r = (Remote) { .daemon = daemon, .calls = map_new() };
        if (!r->calls) {
                free(r);
                return -ENOMEM;
        }
        *ret = r;
        return 0;
}

static void on_connected(Channel *c, void *userdata) {
        Remote *r = userdata;

        (void) channel_send(c, 0, &(Message) { .type = MESSAGE_HELLO,
                                               .hello = { .role = (char *) "lang", .hostname = r->manager->hostname } });
        remote_connected(r, c);
}

static void on_disconnected(Channel *c, void *userdata) {
        remote_disconnected(userdata);
}

static void on_room(Channel *c, PeerId peer, void *userdata) {
        remote_room(userdata);
}

static void on_message(Channel *c, PeerId peer, Message *m, void *userdata) {
        Remote *r = userdata;

        if (remote_message(r, m) || m->type == MESSAGE_WELCOME)
                return;
        if (m->type == MESSAGE_ERROR)
                log_warning(m->error.error < 0 ? m->error.error : -EPROTO, "mgmt-%s: %s", r->daemon, m->error.text ?: "refused");
        else
                log_warning(-EBADMSG, "unexpected message %s from mgmt-%s, ignoring", message_name(m->type) ?: "?", r->daemon);
}

static const ChannelOps remote_ops = {
        .message = on_message, .connected = on_connected, .disconnected = on_disconnected, .room = on_room,
};

int remote_connect(Remote **ret, Manager *m, const char *daemon) {
        _cleanup_free_ char *socket = path_socket(daemon);
        _cleanup_(remote_freep) Remote *r = NULL;
        int k;

        if (!socket)
                return -ENOMEM;
        k = remote_new(&r, daemon);
        if (k < 0)
                return k;
        r->manager = m;
        k = channel_connect(&r->own, m->event, socket, &remote_ops, r);
        if (k < 0)
                return k;
        *ret = TAKE_PTR(r);
        return 0;
}

Remote *remote_free(Remote *r) {
        if (!r)
                return NULL;
        channel_free(r->own);
        map_free_with(r->calls, call_free);
        free(r);
        return NULL;
}
