/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A proxy's fields lie behind its struct, at offsets that are made up when its kind is. So the engine stores, compares and receives
 * them as those of any other kind; what travels is read back from there.
 *
 * A group travels as one: the root puts itself and all that is grouped into it, and only the root is watched, checked and
 * removed. Everything here is about roots, but for logs and sent values, which may come from any member. */

#include <inttypes.h>
#include <sys/queue.h>
#include <syslog.h>

#include <systemd/sd-event.h>

#include "common/ipc/channel.h"
#include "common/map.h"
#include "common/paths.h"
#include "common/schema.h"
#include "common/sd/log.h"
#include "daemons/engine/proxy.h"

/* Every kind of field fits, and is aligned. */
#define SLOT_SIZE 16

typedef struct Link Link;
typedef struct Proxy Proxy;

typedef struct ProxyKind {
        ResourceType type;      /* first: the type of a resource leads here */
        Proxies *proxies;
        const SchemaKind *schema;
        FieldSpec *fields, *sends;
} ProxyKind;

struct Proxy {
        Resource resource;      /* first */
        Link *link;             /* NULL until it was put for the first time */
        uint32_t id;
        bool put;               /* the daemon knows it, as far as we know */
        bool watched;
        bool told_armed;        /* to the engine; after a lost connection it is not told again */
        bool checking;
        bool missed;            /* a check found no connection: one is due when there is one */
        uint32_t attempt;
        TAILQ_ENTRY(Proxy) siblings;
};

/* The connection to one daemon. */
struct Link {
        Proxies *proxies;
        char *daemon, *waiting;
        Channel *channel;
        bool connected;
        TAILQ_HEAD(, Proxy) members;
        sd_event_source *ready; /* connected, and about to say everything */
        sd_event_source *close; /* the last member went; perhaps the same change of the graph brings another */
};

struct Proxies {
        sd_event *event;
        const char *hostname;
        char *kinds_path;
        Schema *schema;         /* NULL until a kind is asked for */
        Map *kinds;             /* → ProxyKind */
        Map *links;             /* by daemon → Link */
        Map *by_id;             /* → Proxy; of all daemons */
        uint32_t last_id;
        bool stopping;
};

static ProxyKind *kind_of(const Resource *r) {
        return container_of(r->type, ProxyKind, type);
}

/* ---- messages ---- */

/* A message that does not get through is lost with the connection, and everything is said again to the next. */
static void tell(Link *l, const Message *m) {
        int r;

        if (!l->connected)
                return;
        r = channel_send(l->channel, 0, m);
        if (r < 0 && r != -ENOTCONN)
                (void) log_warning(r, "cannot send %s to mgmt-%s: %m, ignoring", message_name(m->type), l->daemon);
}

static int make_spec(const Proxy *p, ResourceSpec *ret) {
        const Resource *r = &p->resource;
        const FieldSpec *fields = r->type->fields;
        int k;

        *ret = (ResourceSpec) {};
        ret->kind = strdup(r->type->kind);
        ret->name = strdup(r->name);
        ret->pos = r->pos;
        ret->pos.file = r->pos.file ? strdup(r->pos.file) : NULL;
        ret->fields = calloc(fields_count(fields) + 1, sizeof(*ret->fields));
        if (!ret->kind || !ret->name || (r->pos.file && !ret->pos.file) || !ret->fields)
                return -ENOMEM;
        k = meta_copy(&ret->meta, &r->meta);
        if (k < 0)
                return k;
        for (const FieldSpec *f = fields; f->name; f++) {
                FieldValue *v = &ret->fields[ret->n_fields];

                k = field_get(f, r, &v->value);
                if (k < 0)
                        return k;
                if (v->value.kind == TYPE_NIL)
                        continue;
                ret->n_fields++;
                v->name = strdup(f->name);
                if (!v->name)
                        return -ENOMEM;
        }
        return 0;
}

static int put(Link *l, Proxy *p, uint32_t parent) {
        Message m = { .type = MESSAGE_TASK_PUT, .task_put = { .id = p->id, .parent = parent } };
        int r = make_spec(p, &m.task_put.resource);

        if (r >= 0)
                tell(l, &m);
        message_done(&m);
        for (size_t i = 0; i < p->resource.n_children && r >= 0; i++)
                r = put(l, (Proxy *) p->resource.children[i], p->id);
        return r;
}

static int put_root(Proxy *p) {
        int r;

        if (p->put || !p->link->connected)
                return 0;
        r = put(p->link, p, UINT32_MAX);
        p->put = r >= 0;
        return r;
}

static void tell_id(Link *l, MessageType type, uint32_t id) {
        Message m = { .type = type };

        switch (type) {
        case MESSAGE_TASK_REMOVE:
                m.task_remove.id = id;
                break;
        case MESSAGE_TASK_WATCH:
                m.task_watch.id = id;
                break;
        case MESSAGE_TASK_UNWATCH:
                m.task_unwatch.id = id;
                break;
        default:
                return;
        }
        tell(l, &m);
}

/* Fields that were received since the last success, of the whole group. */
static int tell_received(Link *l, Proxy *p) {
        int r = 0;

        for (size_t i = 0; i < p->resource.n_children && r >= 0; i++)
                r = tell_received(l, (Proxy *) p->resource.children[i]);
        for (size_t i = 0; r >= 0 && i < 64 && p->resource.received >> i; i++) {
                const FieldSpec *f = &p->resource.type->fields[i];
                Message m = { .type = MESSAGE_TASK_SET, .task_set = { .id = p->id } };

                if (!(p->resource.received >> i & 1))
                        continue;
                r = field_get(f, p, &m.task_set.value);
                if (r >= 0)
                        tell(l, &(Message) { .type = MESSAGE_TASK_SET,
                                             .task_set = { .id = p->id, .field = (char *) f->name, .value = m.task_set.value } });
                message_done(&m);
        }
        return r;
}

/* ---- the daemon answers ---- */

static void on_armed(Proxy *p) {
        if (!p->told_armed) {
                p->told_armed = true;
                resource_armed(&p->resource);
        } else
                resource_changed(&p->resource); /* it was away; who knows what happened meanwhile */
}

static void on_result(Proxy *p, Message *m) {
        int result = m->task_result.result;

        if (!p->checking || p->attempt != m->task_result.attempt)
                return;
        p->checking = false;
        if (result > CHECK_CHANGED)
                result = -EBADMSG;
        if (result == -EAGAIN)
                (void) resource_waiting(&p->resource, m->task_result.diag.message ? m->task_result.diag.message : "");
        resource_finish(&p->resource, result, &m->task_result.diag);
}

static void on_differs(Proxy *p, Message *m) {
        Difference d = {
                .field = TAKE_PTR(m->task_differs.field),
                .from = TAKE_PTR(m->task_differs.from),
                .to = TAKE_PTR(m->task_differs.to),
                .diff = TAKE_PTR(m->task_differs.diff),
                .flags = m->task_differs.flags & _DIFFERENCE_FLAGS,
        };

        if (d.field)
                resource_difference(&p->resource, &d);
        difference_done(&d);
}

/* A daemon speaks of its own resources only. */
static Proxy *find(const Link *l, uint32_t id) {
        Proxy *p = map_get_n(l->proxies->by_id, &id, sizeof(id));

        return p && streq(kind_of(&p->resource)->schema->daemon, l->daemon) ? p : NULL;
}

static void on_message(Channel *c, PeerId peer, Message *m, void *userdata) {
        Link *l = userdata;
        Proxy *p;

        switch (m->type) {
        case MESSAGE_TASK_ARMED:
                if ((p = find(l, m->task_armed.id)) && p->watched)
                        on_armed(p);
                break;
        case MESSAGE_TASK_WATCH_FAILED:
                if ((p = find(l, m->task_watch_failed.id)) && p->watched)
                        resource_watch_failed(&p->resource, m->task_watch_failed.error < 0 ? m->task_watch_failed.error : -EBADMSG,
                                              &m->task_watch_failed.diag);
                break;
        case MESSAGE_TASK_CHANGED:
                if ((p = find(l, m->task_changed.id)))
                        resource_changed(&p->resource);
                break;
        case MESSAGE_TASK_RESULT:
                if ((p = find(l, m->task_result.id)))
                        on_result(p, m);
                break;
        case MESSAGE_TASK_SEND:
                if ((p = find(l, m->task_send.id)) && m->task_send.key && p->resource.type->sends &&
                    field_find(p->resource.type->sends, m->task_send.key))
                        (void) resource_send(&p->resource, m->task_send.key, m->task_send.value);
                break;
        case MESSAGE_TASK_DIFFERS:
                if ((p = find(l, m->task_differs.id)))
                        on_differs(p, m);
                break;
        case MESSAGE_TASK_LOG:
                if ((p = find(l, m->task_log.id)) && m->task_log.text)
                        resource_log(&p->resource, m->task_log.priority & LOG_PRIMASK, "%s", m->task_log.text);
                break;
        case MESSAGE_WELCOME:
                log_debug("mgmt-%s %s is there", l->daemon, m->welcome.version ? m->welcome.version : "");
                break;
        case MESSAGE_ERROR:
                (void) log_warning(m->error.error, "mgmt-%s answered: %s, ignoring", l->daemon, m->error.text ? m->error.text : "");
                break;
        default:
                (void) log_warning(-EBADMSG, "mgmt-%s sent %s, ignoring", l->daemon, message_name(m->type));
        }
}

/* Once the scheduler has nothing to start any more, all that this graph has of the daemon has joined. To say TASK_SYNC before
 * would end what an earlier engine left running there. */
static int on_ready(sd_event_source *source, void *userdata) {
        Link *l = userdata;
        Message hello = {
                .type = MESSAGE_HELLO,
                .hello = { .role = (char *) "engine", .hostname = (char *) l->proxies->hostname },
        };
        Proxy *p, *next;

        if (!l->channel || !channel_is_connected(l->channel))
                return 0;
        l->connected = true;
        tell(l, &hello);
        TAILQ_FOREACH(p, &l->members, siblings) {
                p->put = false;
                int r = put_root(p);
                if (r < 0)
                        (void) log_warning(r, "cannot put %s[%s]: %m, ignoring", p->resource.type->kind, p->resource.name);
        }
        tell(l, &(Message) { .type = MESSAGE_TASK_SYNC });
        for (p = TAILQ_FIRST(&l->members); p; p = next) {
                next = TAILQ_NEXT(p, siblings);
                if (p->watched)
                        tell_id(l, MESSAGE_TASK_WATCH, p->id);
                else if (p->missed)
                        resource_changed(&p->resource);
                p->missed = false;
        }
        return 0;
}

static void on_connected(Channel *c, void *userdata) {
        Link *l = userdata;
        int r;

        if (l->ready)
                r = sd_event_source_set_enabled(l->ready, SD_EVENT_ONESHOT);
        else {
                r = sd_event_add_defer(l->proxies->event, &l->ready, on_ready, l);
                if (r >= 0)
                        r = sd_event_source_set_priority(l->ready, SD_EVENT_PRIORITY_IDLE);
        }
        if (r < 0)
                (void) log_error(r, "cannot talk to mgmt-%s: %m", l->daemon);
}

static void on_disconnected(Channel *c, void *userdata) {
        Link *l = userdata;
        Proxy *p, *next;

        if (!l->connected)
                return;
        l->connected = false;
        for (p = TAILQ_FIRST(&l->members); p; p = next) {
                next = TAILQ_NEXT(p, siblings);
                p->put = false;
                if (!p->checking)
                        continue;
                p->checking = false;
                p->missed = true;
                (void) resource_waiting(&p->resource, l->waiting);
                resource_finish(&p->resource, -EAGAIN, NULL);
        }
}

/* ---- links ---- */

static const ChannelOps link_ops = {
        .message = on_message,
        .connected = on_connected,
        .disconnected = on_disconnected,
};

static void link_free(void *p) {
        Link *l = p;

        if (!l)
                return;
        sd_event_source_disable_unref(l->ready);
        sd_event_source_disable_unref(l->close);
        channel_free(l->channel);
        free(l->daemon);
        free(l->waiting);
        free(l);
}

static int link_get(Proxies *ps, const char *daemon, Link **ret) {
        Link *l = map_get(ps->links, daemon);
        int r;

        if (!l) {
                l = calloc(1, sizeof(*l));
                if (!l)
                        return -ENOMEM;
                l->proxies = ps;
                TAILQ_INIT(&l->members);
                l->daemon = strdup(daemon);
                if (asprintf(&l->waiting, "mgmt-%s is not there", daemon) < 0)
                        l->waiting = NULL;
                r = l->daemon && l->waiting ? map_put(ps->links, daemon, l) : -ENOMEM;
                if (r < 0) {
                        link_free(l);
                        return r;
                }
        }
        if (l->close)
                (void) sd_event_source_set_enabled(l->close, SD_EVENT_OFF);
        if (!l->channel) {
                _cleanup_free_ char *path = path_socket(daemon);
                if (!path)
                        return -ENOMEM;
                r = channel_connect(&l->channel, ps->event, path, &link_ops, l);
                if (r < 0)
                        return r;
                l->connected = false;
        }
        *ret = l;
        return 0;
}

static int on_close(sd_event_source *source, void *userdata) {
        Link *l = userdata;

        if (TAILQ_EMPTY(&l->members)) {
                l->channel = channel_free(l->channel);
                l->connected = false;
        }
        return 0;
}

static void link_unused(Link *l) {
        if (!l->close) {
                if (sd_event_add_defer(l->proxies->event, &l->close, on_close, l) < 0)
                        return;
                return;
        }
        (void) sd_event_source_set_enabled(l->close, SD_EVENT_ONESHOT);
}

static int join(Proxy *p, Diag *reterr) {
        const SchemaKind *schema = kind_of(&p->resource)->schema;
        int r;

        if (p->link)
                return 0;
        r = link_get(kind_of(&p->resource)->proxies, schema->daemon, &p->link);
        if (r < 0)
                return resource_error(&p->resource, reterr, r, "cannot connect to mgmt-%s: %m", schema->daemon);
        TAILQ_INSERT_TAIL(&p->link->members, p, siblings);
        return 0;
}

/* ---- hooks ---- */

static int proxy_init(Resource *r) {
        Proxy *p = (Proxy *) r;
        Proxies *ps = kind_of(r)->proxies;

        do
                p->id = ps->last_id++;
        while (p->id == UINT32_MAX || map_get_n(ps->by_id, &p->id, sizeof(p->id)));
        return map_put_n(ps->by_id, &p->id, sizeof(p->id), p);
}

static void proxy_done(Resource *r) {
        Proxy *p = (Proxy *) r;
        Proxies *ps = kind_of(r)->proxies;

        if (map_get_n(ps->by_id, &p->id, sizeof(p->id)) == p)
                (void) map_remove_n(ps->by_id, &p->id, sizeof(p->id));
        if (!p->link)
                return;
        /* An engine that ends leaves everything running; the next one will find it. */
        if (p->put && !ps->stopping)
                tell_id(p->link, MESSAGE_TASK_REMOVE, p->id);
        TAILQ_REMOVE(&p->link->members, p, siblings);
        if (TAILQ_EMPTY(&p->link->members))
                link_unused(p->link);
}

/* Grouped ones are there for their root. */
static int proxy_watch(Resource *r, Diag *reterr) {
        Proxy *p = (Proxy *) r;
        int k;

        if (r->parent) {
                resource_armed(r);
                return 0;
        }
        k = join(p, reterr);
        if (k < 0)
                return k;
        p->watched = true;
        p->told_armed = false;
        p->put = false;         /* the group may be another; the daemon sees whether it is */
        k = put_root(p);
        if (k < 0)
                return resource_error(r, reterr, k, "cannot put it: %m");
        tell_id(p->link, MESSAGE_TASK_WATCH, p->id);
        return 0;
}

static void proxy_unwatch(Resource *r) {
        Proxy *p = (Proxy *) r;

        if (p->link && p->watched && !kind_of(r)->proxies->stopping)
                tell_id(p->link, MESSAGE_TASK_UNWATCH, p->id);
        p->watched = false;
}

static int proxy_check_apply(Resource *r, bool apply, Diag *reterr) {
        Proxy *p = (Proxy *) r;
        int k;

        if (r->parent)
                return CHECK_OK;
        k = join(p, reterr);
        if (k < 0)
                return k;
        if (!p->link->connected) {
                p->missed = true;
                return resource_waiting(r, p->link->waiting);
        }
        k = put_root(p);
        if (k >= 0)
                k = tell_received(p->link, p);
        if (k < 0)
                return resource_error(r, reterr, k, "cannot put it: %m");

        p->checking = true;
        p->attempt++;
        tell(p->link, &(Message) {
                        .type = MESSAGE_TASK_CHECK,
                        .task_check = { .id = p->id, .attempt = p->attempt, .apply = apply, .refresh = resource_refresh(r) },
                });
        return CHECK_PENDING;
}

static void proxy_cancel(Resource *r) {
        Proxy *p = (Proxy *) r;

        if (!p->checking)
                return;
        p->checking = false;
        if (!kind_of(r)->proxies->stopping)
                tell(p->link, &(Message) { .type = MESSAGE_TASK_CANCEL, .task_cancel = { .id = p->id, .attempt = p->attempt } });
}

/* ---- kinds ---- */

static void proxy_kind_free(void *p) {
        ProxyKind *k = p;

        if (!k)
                return;
        for (FieldSpec *f = k->fields; f && f->name; f++)
                free((char *) f->mcl_type);
        free(k->fields);
        free(k->sends);
        free(k);
}

static int make_fields(const SchemaField *from, size_t n, bool with_offsets, FieldSpec **ret) {
        FieldSpec *fields = calloc(n + 1, sizeof(*fields));
        size_t base = (sizeof(Proxy) + SLOT_SIZE - 1) / SLOT_SIZE * SLOT_SIZE;

        if (!fields)
                return -ENOMEM;
        *ret = fields;
        for (size_t i = 0; i < n; i++) {
                fields[i] = (FieldSpec) {
                        .name = from[i].name,
                        .native = from[i].native,
                        .type = from[i].type,
                        .flags = from[i].flags,
                        .offset = with_offsets ? base + i * SLOT_SIZE : 0,
                        .initial = from[i].initial,
                        .doc = from[i].doc,
                };
                if (!with_offsets || from[i].type != FIELD_VALUE)
                        continue;
                fields[i].mcl_type = type_text(from[i].mcl_type);
                if (!fields[i].mcl_type)
                        return -ENOMEM;
        }
        return 0;
}

static int make_kind(Proxies *ps, const SchemaKind *schema, ProxyKind **ret) {
        ProxyKind *k = calloc(1, sizeof(*k));
        int r;

        if (!k)
                return -ENOMEM;
        k->proxies = ps;
        k->schema = schema;
        r = make_fields(schema->fields, schema->n_fields, true, &k->fields);
        if (r >= 0 && schema->n_sends > 0)
                r = make_fields(schema->sends, schema->n_sends, false, &k->sends);
        if (r >= 0)
                r = map_put(ps->kinds, schema->kind, k);
        if (r < 0) {
                proxy_kind_free(k);
                return r;
        }
        k->type = (ResourceType) {
                .kind = schema->kind,
                .doc = schema->doc,
                .example = schema->example,
                .size = (sizeof(Proxy) + SLOT_SIZE - 1) / SLOT_SIZE * SLOT_SIZE + schema->n_fields * SLOT_SIZE,
                .flags = schema->flags | RESOURCE_RUNS_CHILDREN,        /* seen from here: the daemon runs them */
                .fields = k->fields,
                .sends = k->sends,
                .parent_field = schema->parent_field,
                .parent_kind = schema->parent_kind,
                .groups_by = schema->groups_by,
                .edges = schema->edges,
                .init = proxy_init,
                .done = proxy_done,
                .watch = proxy_watch,
                .unwatch = proxy_unwatch,
                .check_apply = proxy_check_apply,
                .cancel = proxy_cancel,
        };
        *ret = k;
        return 0;
}

/* Most programs need no other daemon, and to read what they all say of themselves takes a while. */
static const SchemaKind *find_schema(Proxies *ps, const char *kind) {
        _cleanup_(diag_done) Diag diag = {};

        if (!ps->schema) {
                int r = schema_load(&ps->schema, ps->kinds_path, &diag);
                if (r < 0) {
                        (void) log_warning(r, "kinds of other daemons are not known: %s, ignoring", diag.message ?: "out of memory");
                        return NULL;
                }
        }
        return schema_kind(ps->schema, kind);
}

const ResourceType *proxies_type(Proxies *ps, const char *kind) {
        ProxyKind *k = map_get(ps->kinds, kind);
        int r;

        if (k)
                return &k->type;
        const SchemaKind *schema = find_schema(ps, kind);
        if (!schema || !schema->daemon || streq(schema->daemon, "engine"))
                return NULL;
        r = make_kind(ps, schema, &k);
        if (r < 0) {
                (void) log_error(r, "cannot make a proxy for kind '%s': %m", kind);
                return NULL;
        }
        return &k->type;
}

int proxies_new(Proxies **ret, sd_event *event, const char *kinds_path, const char *hostname) {
        _cleanup_(proxies_freep) Proxies *ps = calloc(1, sizeof(*ps));

        if (!ps)
                return -ENOMEM;
        ps->event = sd_event_ref(event);
        ps->hostname = hostname;
        ps->kinds_path = strdup(kinds_path);
        ps->kinds = map_new();
        ps->links = map_new();
        ps->by_id = map_new();
        if (!ps->kinds_path || !ps->kinds || !ps->links || !ps->by_id)
                return -ENOMEM;
        *ret = TAKE_PTR(ps);
        return 0;
}

void proxies_stop(Proxies *ps) {
        ps->stopping = true;
}

Proxies *proxies_free(Proxies *ps) {
        if (!ps)
                return NULL;
        map_free_with(ps->links, link_free);
        map_free_with(ps->kinds, proxy_kind_free);
        map_free(ps->by_id);
        schema_free(ps->schema);
        free(ps->kinds_path);
        sd_event_unref(ps->event);
        free(ps);
        return NULL;
}

bool proxies_waits_for_daemon(const Resource *r) {
        return r->type->check_apply == proxy_check_apply && (!((const Proxy *) r)->link || !((const Proxy *) r)->link->connected);
}

unsigned proxies_n_connections(const Proxies *ps) {
        unsigned n = 0;
        size_t i = 0;
        void *l;

        while (map_next(ps->links, &i, NULL, &l))
                n += ((const Link *) l)->channel ? 1 : 0;
        return n;
}
