/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A connection of its own, so that its signals wake nobody who does not care. Answers and signals of the engine arrive in the order in
 * which it sent them; so a signal that comes after the answer to a question speaks of what was later than the question. */

#include <time.h>

#include <systemd/sd-event.h>

#include "common/sd/bus-connection.h"
#include "common/sd/log.h"
#include "daemons/http/engine-follow.h"
#include "daemons/http/http-manager.h"

#define ENGINE "org.mgmt.engine1"
#define ENGINE_PATH "/org/mgmt/engine1"
#define ENGINE_MANAGER "org.mgmt.engine1.Manager"
#define LEFT_USEC UINT64_C(2000000)

typedef struct Question {
        EngineLink *link;
        sd_bus_slot *slot;
        uint64_t number;
        struct Question *next;
} Question;

struct EngineLink {
        HttpManager *manager;
        BusConnection *connection;
        sd_bus *bus;
        sd_event_source *left;          /* enabled while nobody follows */
        bool there, converged;
        bool sees_resources;            /* what followers with a signal() want to see is matched on this bus */
        uint64_t asked, answered;
        Question *questions;
        EngineFollower *followers;
};

struct EngineFollower {
        EngineLink *link;
        const EngineFollowerOps *ops;
        void *userdata;
        EngineFollower *next;
};

static void tell_converged(EngineLink *l, bool converged, uint64_t reached) {
        l->converged = converged;
        for (EngineFollower *f = l->followers; f; f = f->next)
                f->ops->converged(converged, reached, f->userdata);
}

static void question_free(Question *q) {
        Question **at = &q->link->questions;

        while (*at != q)
                at = &(*at)->next;
        *at = q->next;
        sd_bus_slot_unref(q->slot);
        free(q);
}

static void set_there(EngineLink *l, bool there) {
        if (l->there == there)
                return;
        l->there = there;
        for (EngineFollower *f = l->followers; f; f = f->next)
                if (f->ops->engine)
                        f->ops->engine(there, f->userdata);
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *reterr) {
        Question *q = userdata;
        EngineLink *l = q->link;
        uint64_t number = q->number;
        int converged;

        question_free(q);
        if (sd_bus_message_is_method_error(reply, NULL)) {
                set_there(l, false);
                return 0;
        }
        if (sd_bus_message_read(reply, "v", "b", &converged) < 0)
                return 0;
        l->answered = MAX(l->answered, number);
        set_there(l, true);
        tell_converged(l, converged, l->answered);
        return 0;
}

static int on_converged(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        EngineLink *l = userdata;
        int converged;

        if (sd_bus_message_read(m, "b", &converged) > 0)
                tell_converged(l, converged, l->answered);
        return 0;
}

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        EngineLink *l = userdata;

        for (EngineFollower *f = l->followers; f; f = f->next)
                if (f->ops->signal && sd_bus_message_rewind(m, true) >= 0)
                        f->ops->signal(m, f->userdata);
        return 0;
}

/* An engine that is not there is not started for this. */
static int ask(EngineLink *l, uint64_t number) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        Question *q;
        int r;

        if (!l->bus || sd_bus_is_ready(l->bus) <= 0)
                return -ENOTCONN;
        q = calloc(1, sizeof(*q));
        if (!q)
                return -ENOMEM;
        *q = (Question) { .link = l, .number = number, .next = l->questions };
        l->questions = q;
        r = sd_bus_message_new_method_call(l->bus, &call, ENGINE, ENGINE_PATH, "org.freedesktop.DBus.Properties", "Get");
        if (r >= 0)
                r = sd_bus_message_set_auto_start(call, false);
        if (r >= 0)
                r = sd_bus_message_append(call, "ss", ENGINE_MANAGER, "Converged");
        if (r >= 0)
                r = sd_bus_call_async(l->bus, &q->slot, call, on_answer, q, 0);
        if (r < 0)
                question_free(q);
        return r;
}

uint64_t engine_follow_ask(HttpManager *m) {
        EngineLink *l = m->engine;

        if (!l)
                return UINT64_MAX;
        l->asked++;
        (void) ask(l, l->asked);        /* if that fails, the engine's coming asks again */
        return l->asked;
}

static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        EngineLink *l = userdata;
        const char *name, *before, *after;

        if (sd_bus_message_read(m, "sss", &name, &before, &after) > 0) {
                if (*before)
                        set_there(l, false);
                if (*after)
                        (void) engine_follow_ask(l->manager);
        }
        return 0;
}

/* ---- the connection ---- */

static int setup(sd_bus *bus, void *userdata) {
        static const struct {
                const char *match;
                sd_bus_message_handler_t handler;
        } rows[] = {
                { "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='" ENGINE "'", on_owner },
                { "type='signal',sender='" ENGINE "',interface='" ENGINE_MANAGER "',member='ConvergedChanged'", on_converged },
        };
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(rows) && r >= 0; i++)
                r = sd_bus_add_match_async(bus, NULL, rows[i].match, rows[i].handler, NULL, userdata);
        return r;
}

static int match_more(EngineLink *l) {
        int r;

        if (!l->bus || l->sees_resources)
                return 0;
        l->sees_resources = true;
        r = sd_bus_add_match_async(l->bus, NULL, "type='signal',sender='" ENGINE "',interface='" ENGINE_MANAGER "'", on_signal, NULL, l);
        if (r >= 0)
                r = sd_bus_add_match_async(l->bus, NULL, "type='signal',sender='" ENGINE "',path_namespace='" ENGINE_PATH "/resource'",
                                           on_signal, NULL, l);
        return r;
}

static void on_connected(bool again, void *userdata) {
        EngineLink *l = userdata;

        for (EngineFollower *f = l->followers; f; f = f->next)
                if (f->ops->signal) {
                        (void) match_more(l);
                        break;
                }
        (void) engine_follow_ask(l->manager);
}

static void on_lost(bool was_connected, void *userdata) {
        EngineLink *l = userdata;

        l->sees_resources = false;
        while (l->questions)
                question_free(l->questions);
        set_there(l, false);
}

static void link_free(EngineLink *l) {
        while (l->questions)
                question_free(l->questions);
        bus_connection_free(l->connection);
        sd_event_source_disable_unref(l->left);
        free(l);
}

static int on_left(sd_event_source *source, uint64_t usec, void *userdata) {
        engine_follow_done(((EngineLink *) userdata)->manager);
        return 0;
}

static int link_new(HttpManager *m) {
        static const BusConnectionSpec spec = {
                .description = "the bus of the engine", .setup = setup, .connected = on_connected, .lost = on_lost,
        };
        EngineLink *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return -ENOMEM;
        l->manager = m;
        m->engine = l;
        r = sd_event_add_time(m->event, &l->left, CLOCK_MONOTONIC, UINT64_MAX, 10000, on_left, l);
        if (r >= 0)
                r = bus_connection_new(&l->connection, m->event, &spec, &l->bus, l);
        if (r < 0) {
                m->engine = NULL;
                link_free(l);
        }
        return r;
}

int engine_follow(EngineFollower **ret, HttpManager *m, const EngineFollowerOps *ops, void *userdata) {
        EngineFollower *f = calloc(1, sizeof(*f));
        int r = 0;

        if (!f)
                return -ENOMEM;
        if (!m->engine)
                r = link_new(m);
        if (r < 0) {
                free(f);
                return r;
        }
        *f = (EngineFollower) { .link = m->engine, .ops = ops, .userdata = userdata, .next = m->engine->followers };
        m->engine->followers = f;
        (void) sd_event_source_set_enabled(m->engine->left, SD_EVENT_OFF);
        if (ops->signal && sd_bus_is_ready(m->engine->bus) > 0)
                (void) match_more(m->engine);
        (void) engine_follow_ask(m);
        *ret = f;
        return 0;
}

EngineFollower *engine_unfollow(EngineFollower *f) {
        EngineFollower **at;
        EngineLink *l;

        if (!f)
                return NULL;
        l = f->link;
        for (at = &l->followers; *at != f; at = &(*at)->next)
                ;
        *at = f->next;
        free(f);
        if (!l->followers) {
                (void) sd_event_source_set_time_relative(l->left, LEFT_USEC);
                (void) sd_event_source_set_enabled(l->left, SD_EVENT_ONESHOT);
        }
        return NULL;
}

bool engine_follow_is_there(HttpManager *m) {
        return m->engine && m->engine->there;
}

bool engine_follow_is_converged(HttpManager *m) {
        return m->engine && m->engine->converged;
}

void engine_follow_done(HttpManager *m) {
        if (m->engine)
                link_free(TAKE_PTR(m->engine));
}

sd_bus *engine_follow_bus(HttpManager *m) {
        EngineLink *l = m->engine;

        return l && l->there && l->bus && sd_bus_is_ready(l->bus) > 0 ? l->bus : NULL;
}
