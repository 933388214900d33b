/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Puts this host forward in a namespace, or withdraws it. Since the vote is cast when the resource is applied, what comes before it
 * decides whether there is one: a host on which that fails is not chosen. */

#include <errno.h>
#include <stdio.h>
#include <syslog.h>

#include "common/resource.h"
#include "daemons/world/schedule.h"
#include "daemons/world/world-manager.h"

enum { MAX_DEFAULT = 1, TTL_DEFAULT_SEC = 10, TTL_MAX_SEC = 7 * 24 * 3600 };

typedef struct ScheduleResource {
        Resource resource;
        char *namespace;
        char *strategy;         /* NULL or "": rr */
        Value max, ttl;         /* int; nil: not given */
        bool persist;
        bool withdraw;

        ScheduleWatch *watch;
        bool heard;             /* who is chosen, since the watch began */
        Vote *vote;
} ScheduleResource;

static const FieldSpec schedule_fields[] = {
        FIELD(ScheduleResource, namespace, FIELD_STR, FIELD_IS_NAME, "What is scheduled: hosts that put themselves forward under the same "
              "name are chosen from."),
        FIELD(ScheduleResource, strategy, FIELD_STR, FIELD_OPTIONAL, "How hosts are chosen: \"rr\" keeps those that are chosen and lets "
              "the others wait in the order in which they came, \"alpha\" takes the first by name. The default is \"rr\"."),
        FIELD(ScheduleResource, max, FIELD_VALUE, FIELD_OPTIONAL, "How many hosts are chosen at most; 1 without it, or if it is not "
              "positive.", .mcl_type = "int"),
        FIELD(ScheduleResource, persist, FIELD_BOOL, 0, "Whether this host remains a candidate when it is gone."),
        FIELD(ScheduleResource, ttl, FIELD_VALUE, FIELD_OPTIONAL, "Seconds after which a host that is gone is replaced; 10 without it, or "
              "if it is not positive. With it the host is replaced no sooner either when the resource leaves the program.",
              .mcl_type = "int"),
        FIELD(ScheduleResource, withdraw, FIELD_BOOL, 0, "Takes the vote of this host back. Excludes all the other parameters."),
        {}
};

static int64_t positive_or(Value v, int64_t otherwise) {
        return v.kind == TYPE_INT && v.i > 0 ? v.i : otherwise;
}

static int schedule_validate(const Resource *r, Diag *reterr) {
        const ScheduleResource *s = (const ScheduleResource *) r;

        if (strchr(s->namespace, '/'))
                return resource_error(r, reterr, -EINVAL, "namespace must not contain a slash, got '%s'", s->namespace);
        if (s->strategy && s->strategy[0] && !streq(s->strategy, "rr") && !streq(s->strategy, "alpha"))
                return resource_error(r, reterr, -EINVAL, "strategy must be 'rr' or 'alpha', got '%s'", s->strategy);
        if (positive_or(s->ttl, 0) > TTL_MAX_SEC)
                return resource_error(r, reterr, -EINVAL, "ttl must be at most %d seconds, got '%lld'", TTL_MAX_SEC, (long long) s->ttl.i);
        if (s->persist && positive_or(s->ttl, 0) > 0)
                return resource_error(r, reterr, -EINVAL, "persist and ttl exclude each other");
        if (s->withdraw && (s->strategy || s->max.kind != TYPE_NIL || s->ttl.kind != TYPE_NIL || s->persist))
                return resource_error(r, reterr, -EINVAL, "withdraw excludes strategy, max, persist and ttl");
        return 0;
}

static bool schedule_equal(const Resource *a, const Resource *b, const char **ret_field) {
        const ScheduleResource *x = (const ScheduleResource *) a, *y = (const ScheduleResource *) b;
        const char *differs =
                !streq(x->namespace, y->namespace) ? "namespace" :
                !streq_ptr(x->strategy, y->strategy) ? "strategy" :
                x->max.kind != y->max.kind || !value_equal(x->max, y->max) ? "max" :
                x->ttl.kind != y->ttl.kind || !value_equal(x->ttl, y->ttl) ? "ttl" :
                x->persist != y->persist ? "persist" :
                x->withdraw != y->withdraw ? "withdraw" : NULL;

        if (differs && ret_field)
                *ret_field = differs;
        return !differs;
}

/* ---- watch ---- */

static void on_chosen(const char *chosen, void *userdata) {
        ScheduleResource *s = userdata;

        if (s->heard)
                resource_changed(&s->resource);
        s->heard = true;
}

static int schedule_watch_hook(Resource *r, Diag *reterr) {
        ScheduleResource *s = (ScheduleResource *) r;
        WorldManager *m = r->host->manager;
        int e;

        s->heard = false;
        e = schedule_watch(m->schedules, r->host->hostname, s->namespace, on_chosen, s, &s->watch);
        if (e < 0)
                return resource_error(r, reterr, e, "cannot watch the schedule '%s': %m", s->namespace);
        /* An attempt need not know who is chosen, and finds out whether the store can be reached. */
        resource_armed(r);
        return 0;
}

static void schedule_unwatch(Resource *r) {
        ScheduleResource *s = (ScheduleResource *) r;

        s->watch = schedule_watch_free(s->watch);
}

/* ---- check and apply ---- */

static void on_vote_event(void *userdata) {
        resource_changed(userdata);
}

static void on_done(int error, const char *problem, bool changed, void *userdata) {
        _cleanup_(diag_done) Diag diag = {};
        ScheduleResource *s = userdata;
        Resource *r = &s->resource;

        if (error == -EHOSTDOWN || error == -EINPROGRESS || error == -ESTALE) {
                _cleanup_free_ char *reason = NULL;

                /* A lease that is granted anew wakes us, and so does the store when it is back. */
                if (asprintf(&reason, "the store cannot be reached: %s", problem ?: "it does not answer") < 0)
                        reason = NULL;
                resource_finish(r, resource_waiting(r, reason ?: "the store cannot be reached"), &diag);
        } else if (error < 0) {
                error = resource_error(r, &diag, error, "cannot %s: %s", s->withdraw ? "withdraw" : "put this host forward",
                                       problem ?: strerrordesc_np(-error));
                resource_finish(r, error, &diag);
        } else {
                if (changed)
                        resource_differs(r, "vote", s->withdraw ? "cast" : NULL, s->withdraw ? NULL : "cast");
                resource_finish(r, changed ? CHECK_CHANGED : CHECK_OK, NULL);
        }
}

static int schedule_check_apply(Resource *r, bool apply, Diag *reterr) {
        ScheduleResource *s = (ScheduleResource *) r;
        WorldManager *m = r->host->manager;
        VoteOptions options = {
                .strategy = s->strategy && s->strategy[0] ? s->strategy : "rr",
                .max = positive_or(s->max, MAX_DEFAULT),
                .persist = s->persist,
                .ttl_sec = (uint32_t) positive_or(s->ttl, TTL_DEFAULT_SEC),
        };
        int e = 0;

        if (!s->vote)
                e = vote_open(m->schedules, r->host->hostname, s->namespace, on_vote_event, s, &s->vote);
        if (e == -EEXIST)
                return resource_error(r, reterr, e, "another resource schedules '%s' on this host already", s->namespace);
        if (e >= 0)
                e = s->withdraw ? vote_withdraw(s->vote, apply, on_done, s) : vote_cast(s->vote, &options, apply, on_done, s);
        return e < 0 ? resource_error(r, reterr, e, "cannot %s: %m", s->withdraw ? "withdraw" : "put this host forward") : CHECK_PENDING;
}

static void schedule_cancel(Resource *r) {
        vote_cancel(((ScheduleResource *) r)->vote);
}

static void schedule_done(Resource *r) {
        ScheduleResource *s = (ScheduleResource *) r;

        s->vote = vote_close(s->vote, s->persist || positive_or(s->ttl, 0) > 0);
}

const ResourceType schedule_type = {
        .kind = "schedule",
        .doc = "Puts this host forward to be one of those that are chosen in a namespace. Who was chosen says world.schedule(), on any "
               "host. A host that is gone, or whose resource leaves the program, is replaced by another.",
        .example = "schedule \"database\" {\n\tmax => 2,\n}\n",
        .size = sizeof(ScheduleResource),
        .fields = schedule_fields,
        .validate = schedule_validate,
        .watch = schedule_watch_hook,
        .unwatch = schedule_unwatch,
        .check_apply = schedule_check_apply,
        .cancel = schedule_cancel,
        .equal = schedule_equal,
        .done = schedule_done,
};
