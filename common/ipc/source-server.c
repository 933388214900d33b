/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The sink of sources whose program runs in mgmt-lang. Whatever the peer sends, wrong ids, types and arguments included, is
 * answered or ignored, never believed. */

#include "common/arena.h"
#include "common/field.h"
#include "common/ipc/session.h"
#include "common/ipc/source-server.h"
#include "common/map.h"
#include "common/sd/log.h"

enum {
        SERVED_MAX = 1024 * 1024,       /* open calls of one peer */
        TYPES_BYTES_MAX = 1024 * 1024,  /* of all the types that it named */
};

struct SourceServer {
        const SourceType *const *tables;
        SourceHost host;
        Map *askers;            /* PeerId → Asker */
        unsigned n_served;
};

/* A peer that said HELLO. */
typedef struct Asker {
        SourceServer *server;
        PeerId id;
        Channel *channel;
        SourceHost host;
        char *hostname;
        Arena *arena;
        Map *types;             /* text → Type, in the arena: programs have many calls and few types */
        Map *served;            /* id → Served */
} Asker;

typedef enum News {
        NEWS_NONE,
        NEWS_VALUE,
        NEWS_FAILURE,
} News;

/* One call of a program. */
typedef struct Served {
        Asker *asker;
        uint64_t id;
        uint32_t question;
        const SourceType *type;
        const Type *result;
        char *base;
        Source *source;         /* NULL if it could not be opened */

        bool under_way;         /* an answer was sent and is not taken */
        News news;              /* what is to be sent next, the newest only */
        Value value;
        bool catchable;
        Diag failure;
} Served;

/* ---- answers ---- */

static void news_drop(Served *d) {
        d->news = NEWS_NONE;
        value_done(&d->value);
        diag_done(&d->failure);
}

static int send_news(Served *d) {
        Message m = { .type = MESSAGE_SOURCE_VALUE, .source_value = { .id = d->id, .question = d->question, .value = d->value } };

        if (d->news == NEWS_FAILURE)
                m = (Message) {
                        .type = MESSAGE_SOURCE_FAILED,
                        .source_failed = { .id = d->id, .question = d->question, .catchable = d->catchable, .diag = d->failure },
                };
        return channel_send(d->asker->channel, d->asker->id, &m);       /* borrowed */
}

static void tell(Served *d) {
        int r;

        if (d->news == NEWS_NONE || d->under_way)
                return;
        r = send_news(d);
        if (r == -ENOBUFS)
                return;         /* source_server_room() follows */
        if (r < 0 && r != -ENOTCONN && d->news == NEWS_VALUE) {
                /* It cannot travel. */
                news_drop(d);
                d->news = NEWS_FAILURE;
                d->catchable = false;
                diag_set(&d->failure, (Pos) {}, r, "cannot send the value: %m");
                r = send_news(d);
                if (r == -ENOBUFS)
                        return;
        }
        if (r < 0 && r != -ENOTCONN)
                log_error(r, "cannot send an answer of %s, ignoring: %m", d->type ? d->type->name : "a function");
        news_drop(d);
        d->under_way = r >= 0;
}

static void sink_set(Source *s, Value v) {
        Served *d = s->owner;

        news_drop(d);
        d->news = NEWS_VALUE;
        d->value = v;
        tell(d);
}

static void served_fail(Served *d, bool catchable, Diag *diag) {
        news_drop(d);
        d->news = NEWS_FAILURE;
        d->catchable = catchable;
        diag_move(&d->failure, diag);
        tell(d);
}

static void sink_fail(Source *s, bool catchable, Diag *diag) {
        served_fail(s->owner, catchable, diag);
}

/* Of what is not even kept. */
static void refuse_to_open(Channel *c, PeerId peer, const Message *m, int error, const char *text) {
        Message answer = {
                .type = MESSAGE_SOURCE_FAILED,
                .source_failed = {
                        .id = m->source_open.id,
                        .question = m->source_open.question,
                        .diag = { .error = error, .message = (char *) text },
                },
        };
        int r = channel_send(c, peer, &answer);

        if (r < 0 && r != -ENOTCONN)
                log_error(r, "cannot refuse to open a function, ignoring: %m");
}

/* ---- asking ---- */

static const SourceType *find_type(const SourceServer *s, const char *function) {
        for (const SourceType *const *t = s->tables; *t; t++) {
                const SourceType *type = source_type_find(*t, function);
                if (type)
                        return type->takes ? type : NULL;
        }
        return NULL;
}

static int find_result(Asker *a, const char *text, const Type **ret, Diag *reterr) {
        const Type *t = map_get(a->types, text);
        int r = 0;

        if (!t) {
                r = type_parse(a->arena, text, &t, reterr);
                if (r >= 0)
                        r = map_put(a->types, text, (void *) t);
        }
        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "cannot take the type: %m");
        *ret = t;
        return 0;
}

static int check_args(const SourceType *type, Value args, Diag *reterr) {
        const Type *takes = field_type_from_text(type->takes);

        if (!takes)
                return diag_set(reterr, (Pos) {}, -ENOMEM, "%m");
        if (args.kind != TYPE_LIST || args.l->height > 0 || args.l->n != takes->n_fields)
                return diag_set(reterr, (Pos) {}, -EBADMSG, "function takes %u arguments", takes->n_fields);
        for (uint32_t i = 0; i < args.l->n; i++) {
                int r = value_check_type(value_list_at(args.l, i), takes->fields[i].type, reterr);
                if (r < 0) {
                        diag_prefix(reterr, "argument %u", i + 1);
                        return r;
                }
        }
        return 0;
}

static int served_open(Served *d, const SourceType *type, const Type *result, const char *base, Value args, Diag *reterr) {
        static const SourceSink sink = { .set = sink_set, .fail = sink_fail };
        Source like = { .host = &d->asker->host, .args = args.l->items, .n_args = args.l->n, .function = type->name,
                        .result = result, .sink = &sink, .owner = d };
        char *copy = strdup(base);

        if (!copy)
                return diag_set(reterr, (Pos) {}, -ENOMEM, "%m");
        d->source = source_close(d->source);
        free(d->base);
        like.base = d->base = copy;
        d->type = type;
        d->result = result;
        return source_open(&d->source, type, &like, reterr);
}

static int served_ask(Served *d, const Message *m, Diag *reterr) {
        const SourceType *type = find_type(d->asker->server, m->source_open.function ?: "");
        const char *base = m->source_open.base ?: "";
        Value args = m->source_open.args;
        const Type *result = NULL;
        int r;

        if (!type)
                return diag_set(reterr, (Pos) {}, -ENOSYS, "function `%s` has no value here", m->source_open.function ?: "");
        r = find_result(d->asker, m->source_open.result ?: "", &result, reterr);
        if (r >= 0)
                r = check_args(type, args, reterr);
        if (r < 0)
                return r;
        if (d->source && type->change && d->type == type && d->result == result && streq(d->base, base))
                return source_change(d->source, args.l->items, args.l->n, reterr);
        return served_open(d, type, result, base, args, reterr);
}

static void served_free(void *data) {
        Served *d = data;

        d->asker->server->n_served--;
        source_close(d->source);
        news_drop(d);
        free(d->base);
        free(d);
}

static Served *served_new(Asker *a, uint64_t id) {
        Served *d = calloc(1, sizeof(*d));

        if (!d)
                return NULL;
        *d = (Served) { .asker = a, .id = id };
        if (map_put_n(a->served, &id, sizeof(id), d) < 0) {
                free(d);
                return NULL;
        }
        a->server->n_served++;
        return d;
}

static void on_open(Asker *a, const Message *m) {
        _cleanup_(diag_done) Diag diag = {};
        uint64_t id = m->source_open.id;
        Served *d = map_get_n(a->served, &id, sizeof(id));
        int r;

        if (!d && map_size(a->served) >= SERVED_MAX)
                return refuse_to_open(a->channel, a->id, m, -ENOBUFS, "too many calls of functions");
        d = d ?: served_new(a, id);
        if (!d)
                return refuse_to_open(a->channel, a->id, m, -ENOMEM, "out of memory");
        news_drop(d);
        d->under_way = false;
        d->question = m->source_open.question;
        r = served_ask(d, m, &diag);
        if (r < 0) {
                diag_set(&diag, (Pos) {}, r, "%m");
                d->source = source_close(d->source);
                served_fail(d, false, &diag);
        }
}

static void on_taken(Asker *a, uint64_t id, uint32_t question) {
        Served *d = map_get_n(a->served, &id, sizeof(id));

        if (!d || d->question != question || !d->under_way)
                return;
        d->under_way = false;
        if (d->news != NEWS_NONE)
                tell(d);
        else if (d->source && d->type->taken)
                d->type->taken(d->source);
}

static void on_close(Asker *a, uint64_t id) {
        Served *d = map_remove_n(a->served, &id, sizeof(id));

        if (d)
                served_free(d);
}

/* ---- peers ---- */

static Asker *asker_free(Asker *a) {
        if (!a)
                return NULL;
        map_free_with(a->served, served_free);
        map_free(a->types);
        arena_free(a->arena);
        free(a->hostname);
        free(a);
        return NULL;
}
DEFINE_CLEANUP(Asker *, asker_free)

static Asker *find_asker(const SourceServer *s, PeerId peer) {
        return map_get_n(s->askers, &peer, sizeof(peer));
}

static int asker_add(SourceServer *s, Channel *c, PeerId peer, const char *hostname) {
        _cleanup_(asker_freep) Asker *a = calloc(1, sizeof(*a));

        if (!a)
                return -ENOMEM;
        *a = (Asker) { .server = s, .id = peer, .channel = c, .host = s->host, .hostname = strdup(hostname),
                       .arena = arena_new(TYPES_BYTES_MAX), .types = map_new(), .served = map_new() };
        a->host.hostname = a->hostname;
        if (!a->hostname || !a->arena || !a->types || !a->served || map_put_n(s->askers, &peer, sizeof(peer), a) < 0)
                return -ENOMEM;
        a = NULL;               /* the map's */
        return 0;
}

void source_server_gone(SourceServer *s, PeerId peer) {
        asker_free(map_remove_n(s->askers, &peer, sizeof(peer)));
}

void source_server_room(SourceServer *s, PeerId peer) {
        Asker *a = find_asker(s, peer);
        size_t i = 0;
        void *d;

        while (a && map_next(a->served, &i, NULL, &d))
                tell(d);
}

bool source_server_message(SourceServer *s, Channel *c, PeerId peer, Message *m) {
        Asker *a = find_asker(s, peer);

        switch (m->type) {

        case MESSAGE_HELLO:
                if (!streq_ptr(m->hello.role, "lang") && !streq_ptr(m->hello.role, "http"))
                        return false;
                source_server_gone(s, peer);    /* should it begin anew */
                if (asker_add(s, c, peer, m->hello.hostname ?: "") < 0)
                        session_refuse(c, peer, -ENOMEM, "out of memory");
                else
                        session_welcome(c, peer);
                return true;

        case MESSAGE_SOURCE_OPEN:
                if (a)
                        on_open(a, m);
                else
                        refuse_to_open(c, peer, m, -EPERM, "only a program that said HELLO may ask");
                return true;

        case MESSAGE_SOURCE_CLOSE:
                if (a)
                        on_close(a, m->source_close.id);
                return true;

        case MESSAGE_SOURCE_TAKEN:
                if (a)
                        on_taken(a, m->source_taken.id, m->source_taken.question);
                return true;

        default:
                return false;
        }
}

/* ---- the whole ---- */

int source_server_new(SourceServer **ret, const SourceType *const *tables, const SourceHost *host) {
        SourceServer *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        *s = (SourceServer) { .tables = tables, .host = *host, .askers = map_new() };
        if (!s->askers) {
                free(s);
                return -ENOMEM;
        }
        *ret = s;
        return 0;
}

static void free_asker(void *a) {
        asker_free(a);
}

SourceServer *source_server_free(SourceServer *s) {
        if (!s)
                return NULL;
        map_free_with(s->askers, free_asker);
        free(s);
        return NULL;
}

unsigned source_server_n_sources(const SourceServer *s) {
        return s ? s->n_served : 0;
}
