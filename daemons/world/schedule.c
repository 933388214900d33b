/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Votes of this host, and what becomes of them. Whoever has one, or wants to know of a decision, takes part in the election of who
 * decides: so a decision does not outlive the last candidate, however that one went, as long as anybody looks at it. */

#include <errno.h>
#include <stdio.h>
#include <sys/queue.h>

#include <systemd/sd-event.h>

#include "common/map.h"
#include "common/sd/log.h"
#include "common/strbuf.h"
#include "daemons/world/schedule.h"

/* How long a vote that was closed waits for whoever opens it again: the time of a change of the graph. */
#define CLOSED_USEC (UINT64_C(2) * 1000000)

/* How long a cast waits for the lease, before it says that the store cannot be reached. */
#define LEASE_USEC (UINT64_C(5) * 1000000)

struct Vote {
        Schedules *schedules;
        char *hostname, *namespace, *key;
        bool open, orphan;
        vote_callback_t callback;
        void *callback_userdata;

        StoreLease *lease;
        uint32_t ttl_sec;       /* of the lease */
        int64_t lease_id;       /* under which the vote was written last; 0: not under any, or not yet */
        int64_t asked_lease_id; /* under which it is being written */
        bool lost;              /* it was held, and is not any more: others may have been chosen */
        bool unreached;         /* the store could not be reached when it was cast last */
        sd_event_source *closing;

        /* The cast under way. */
        StoreCall *call;
        char *text;             /* what shall be there; NULL: nothing shall */
        bool persist, apply, changed;
        sd_event_source *waits; /* for the lease; NULL: it does not */
        vote_done_t done;
        void *userdata;
};

struct ScheduleWatch {
        Schedules *schedules;
        StoreWatch *watch;
        char *hostname, *namespace;
        char *chosen;           /* NULL: not known yet */
        int64_t revision;       /* that it was told of */
        schedule_callback_t callback;
        void *userdata;
        TAILQ_ENTRY(ScheduleWatch) link;
};

struct Schedules {
        sd_event *event;
        Store *store;
        Map *votes;             /* namespace → Vote */
        TAILQ_HEAD(, ScheduleWatch) watches;
        ScheduleLeader *leader; /* NULL: there is neither vote nor watch */
        bool only_looks;
};

static bool namespace_is_valid(const char *s) {
        return s[0] && !strchr(s, '/');
}

/* In a decision names are parted by commas. */
static bool hostname_is_valid(const char *s) {
        return s[0] && !strpbrk(s, "/,") && !streq(s, "*");
}

static char *chosen_key(const char *namespace) {
        char *key;

        return asprintf(&key, "schedule/chosen/%s", namespace) < 0 ? NULL : key;
}

static int need_leader(Schedules *s, const char *hostname) {
        if (s->leader || s->only_looks || !hostname_is_valid(hostname))
                return 0;
        return schedule_leader_new(&s->leader, s->event, s->store, hostname);
}

static void leader_unused(Schedules *s) {
        if (map_size(s->votes) == 0 && TAILQ_EMPTY(&s->watches))
                s->leader = schedule_leader_free(s->leader);
}

/* ---- decisions ---- */

static bool may_count_itself(const ScheduleWatch *w) {
        const Vote *v = map_get(w->schedules->votes, w->namespace);

        return !v || !v->lost;
}

static char *without(const char *chosen, const char *hostname) {
        _cleanup_(strbuf_done) StrBuf left = {};

        while (*chosen) {
                size_t n = strcspn(chosen, ",");

                if (n != strlen(hostname) || strncmp(chosen, hostname, n) != 0)
                        strbuf_printf(&left, "%s%.*s", left.size > 0 ? "," : "", (int) n, chosen);
                chosen += n + (chosen[n] == ',');
        }
        return strbuf_take(&left);
}

static void schedule_tell(ScheduleWatch *w) {
        _cleanup_free_ char *others = NULL;

        if (!w->chosen)
                return;
        if (!may_count_itself(w)) {
                others = without(w->chosen, w->hostname);
                if (!others)
                        return;
        }
        w->callback(others ?: w->chosen, w->userdata);
}

/* Whoever could not cast the vote of this host before does so now. */
static void store_answers(ScheduleWatch *w) {
        Vote *v = map_get(w->schedules->votes, w->namespace);

        if (!v || !v->open || !v->unreached || v->done)
                return;
        v->unreached = false;
        v->callback(v->callback_userdata);
}

/* False if something later is known already. */
static bool take_decision(ScheduleWatch *w, const StoreItem *item, int64_t revision) {
        char *chosen;

        if (revision < w->revision)
                return false;
        chosen = item && item->data ? strndup(item->data, item->size) : strdup("");
        if (!chosen) {
                log_error(-ENOMEM, "cannot keep who is scheduled: %m");
                return false;
        }
        free(w->chosen);
        w->chosen = chosen;
        w->revision = revision;
        return true;
}

static void on_chosen(StoreWatch *sw, const StoreNews *news, void *userdata) {
        ScheduleWatch *w = userdata;
        const StoreItem *last = news->n > 0 ? &news->items[news->n - 1] : NULL;

        store_answers(w);
        if (news->anew)
                w->revision = 0;
        if ((last || news->snapshot) && take_decision(w, last, news->revision))
                schedule_tell(w);
}

int schedule_watch(Schedules *s, const char *hostname, const char *namespace, schedule_callback_t callback, void *userdata,
                   ScheduleWatch **ret) {
        _cleanup_free_ char *key = NULL;
        ScheduleWatch *w;
        int r;

        if (!namespace_is_valid(namespace))
                return -EINVAL;
        key = chosen_key(namespace);
        w = key ? calloc(1, sizeof(*w)) : NULL;
        if (!w)
                return -ENOMEM;
        *w = (ScheduleWatch) { .schedules = s, .hostname = strdup(hostname), .namespace = strdup(namespace), .callback = callback,
                               .userdata = userdata };
        TAILQ_INSERT_TAIL(&s->watches, w, link);
        r = w->hostname && w->namespace ? store_watch(s->store, (StoreRange) { .key = key }, on_chosen, w, &w->watch) : -ENOMEM;
        if (r >= 0)
                r = need_leader(s, hostname);
        if (r < 0) {
                schedule_watch_free(w);
                return r;
        }
        *ret = w;
        return 0;
}

ScheduleWatch *schedule_watch_free(ScheduleWatch *w) {
        if (!w)
                return NULL;
        Schedules *s = w->schedules;
        TAILQ_REMOVE(&s->watches, w, link);
        store_watch_free(w->watch);
        free(w->hostname);
        free(w->namespace);
        free(w->chosen);
        free(w);
        leader_unused(s);
        return NULL;
}

/* ---- the life of a vote ---- */

static void vote_lost(Vote *v, bool lost) {
        ScheduleWatch *next;

        if (v->lost == lost)
                return;
        v->lost = lost;
        for (ScheduleWatch *w = TAILQ_FIRST(&v->schedules->watches); w; w = next) {
                next = TAILQ_NEXT(w, link);
                if (streq(w->namespace, v->namespace))
                        schedule_tell(w);
        }
}

static void vote_free(Vote *v, bool revoke) {
        Schedules *s = v->schedules;

        if (v->namespace && map_get(s->votes, v->namespace) == v)
                (void) map_remove(s->votes, v->namespace);
        vote_lost(v, false);
        store_call_cancel(v->call);
        store_lease_free(v->lease, revoke);
        (void) sd_event_source_disable_unref(v->closing);
        (void) sd_event_source_disable_unref(v->waits);
        free(v->hostname);
        free(v->namespace);
        free(v->key);
        free(v->text);
        free(v);
        leader_unused(s);
}

static int on_closed(sd_event_source *source, uint64_t usec, void *userdata) {
        Vote *v = userdata;

        vote_free(v, !v->orphan);
        return 0;
}

Vote *vote_close(Vote *v, bool orphan) {
        if (!v)
                return NULL;
        vote_cancel(v);
        v->open = false;
        v->orphan = orphan;
        if (sd_event_add_time_relative(v->schedules->event, &v->closing, CLOCK_MONOTONIC, CLOSED_USEC, 0, on_closed, v) < 0)
                vote_free(v, !orphan);
        return NULL;
}

static int vote_new(Schedules *s, const char *hostname, const char *namespace, Vote **ret) {
        Vote *v = calloc(1, sizeof(*v));
        int r;

        if (!v)
                return -ENOMEM;
        *v = (Vote) { .schedules = s, .hostname = strdup(hostname), .namespace = strdup(namespace) };
        if (asprintf(&v->key, "schedule/votes/%s/%s", hostname, namespace) < 0)
                v->key = NULL;
        r = v->hostname && v->namespace && v->key ? map_put(s->votes, namespace, v) : -ENOMEM;
        if (r < 0) {
                vote_free(v, false);
                return r;
        }
        *ret = v;
        return 0;
}

int vote_open(Schedules *s, const char *hostname, const char *namespace, vote_callback_t callback, void *userdata, Vote **ret) {
        Vote *v = map_get(s->votes, namespace);
        int r;

        if (!namespace_is_valid(namespace) || !hostname_is_valid(hostname))
                return -EINVAL;
        if (v && v->open)
                return -EEXIST;
        if (v && !streq(v->hostname, hostname)) {
                vote_free(v, true);
                v = NULL;
        }
        if (!v) {
                r = vote_new(s, hostname, namespace, &v);
                if (r < 0)
                        return r;
        }
        v->closing = sd_event_source_disable_unref(v->closing);
        v->open = true;
        v->callback = callback;
        v->callback_userdata = userdata;
        *ret = v;
        return 0;
}

/* ---- casting ---- */

void vote_cancel(Vote *v) {
        v->call = store_call_cancel(v->call);
        v->waits = sd_event_source_disable_unref(v->waits);
        v->done = NULL;
}

static void end(Vote *v, int error, const char *problem, bool changed) {
        vote_done_t done = v->done;

        v->done = NULL;
        v->unreached = error == -EHOSTDOWN;
        v->waits = sd_event_source_disable_unref(v->waits);
        if (done)
                done(error, problem, changed, v->userdata);
}

static void look(Vote *v);

static bool is_kept_alive(const Vote *v) {
        return !v->lease || (store_lease_held(v->lease) && store_lease_id(v->lease) == v->lease_id);
}

static void on_decision(const StoreReply *reply, void *userdata) {
        Vote *v = userdata;

        v->call = NULL;
        if (reply->error < 0 || !is_kept_alive(v)) {
                end(v, reply->error < 0 ? reply->error : -ESTALE, reply->problem, v->changed);
                return;
        }
        for (ScheduleWatch *w = TAILQ_FIRST(&v->schedules->watches); w; w = TAILQ_NEXT(w, link))
                if (streq(w->namespace, v->namespace))
                        (void) take_decision(w, reply->n > 0 ? &reply->items[0] : NULL, reply->revision);
        vote_lost(v, false);
        end(v, 0, NULL, v->changed);
}

/* The vote stands. After it was lost others may have been chosen, of which nobody here has heard yet. */
static void settle(Vote *v, bool changed) {
        _cleanup_free_ char *key = NULL;
        int r;

        if (!v->lost || !v->text) {
                end(v, 0, NULL, changed);
                return;
        }
        v->changed = changed;
        key = chosen_key(v->namespace);
        r = key ? store_read(v->schedules->store, (StoreRange) { .key = key }, on_decision, v, &v->call) : -ENOMEM;
        if (r < 0)
                end(v, r, NULL, changed);
}

static void on_written(const StoreReply *reply, void *userdata) {
        Vote *v = userdata;

        v->call = NULL;
        if (reply->error == -EINPROGRESS || (reply->error >= 0 && !reply->holds)) {
                look(v);        /* it has changed meanwhile, or nobody knows */
                return;
        }
        if (reply->error >= 0) {
                v->lease_id = v->asked_lease_id;
                settle(v, true);
        } else
                end(v, reply->error, reply->problem, true);
}

static void on_read(const StoreReply *reply, void *userdata) {
        Vote *v = userdata;
        bool there = reply->n > 0, right;
        StoreCondition as_seen = { .kind = STORE_MODIFIED, .key = v->key };
        StoreWrite w = { .key = v->key, .data = v->text, .size = v->text ? strlen(v->text) : 0, .lease = v->lease };
        int r;

        v->call = NULL;
        if (reply->error < 0) {
                end(v, reply->error, reply->problem, false);
                return;
        }
        right = v->text ? there && reply->items[0].size == w.size && memcmp(reply->items[0].data, v->text, w.size) == 0 : !there;
        if (right && v->text && v->lease && v->lease_id != v->lease->id)
                right = false;          /* it will run out with the lease of an earlier life */
        if (right) {
                settle(v, false);
                return;
        }
        if (!v->apply) {
                end(v, 0, NULL, true);
                return;
        }
        if (!v->text)
                w.lease = NULL;
        v->asked_lease_id = store_lease_held(w.lease) ? store_lease_id(w.lease) : 0;
        /* On this condition a write whose answer was lost cannot happen after the next one. */
        as_seen.modified = there ? reply->items[0].modified : 0;
        r = store_commit(v->schedules->store, &(StoreCommit) { .conditions = &as_seen, .n_conditions = 1, .writes = &w, .n_writes = 1 },
                         on_written, v, &v->call);
        if (r < 0)
                end(v, r, NULL, false);
}

static void look(Vote *v) {
        int r = store_read(v->schedules->store, (StoreRange) { .key = v->key }, on_read, v, &v->call);

        if (r < 0)
                end(v, r, NULL, false);
}

static void on_lease(StoreLease *l, bool held, void *userdata) {
        Vote *v = userdata;

        if (!held) {
                vote_lost(v, true);
                return;
        }
        if (v->waits) {
                v->waits = sd_event_source_disable_unref(v->waits);
                look(v);
        } else if (v->open)
                v->callback(v->callback_userdata);      /* it must be written anew */
}

/* When it is there after all, the callback tells. */
static int on_no_lease(sd_event_source *source, uint64_t usec, void *userdata) {
        Vote *v = userdata;

        end(v, -EHOSTDOWN, store_problem(v->schedules->store), false);
        return 0;
}

static int start(Vote *v, bool apply, vote_done_t done, void *userdata) {
        int r = apply ? need_leader(v->schedules, v->hostname) : 0;

        if (r < 0)
                return r;
        v->apply = apply;
        v->done = done;
        v->userdata = userdata;
        if (!v->text || !v->lease || store_lease_held(v->lease))
                return store_read(v->schedules->store, (StoreRange) { .key = v->key }, on_read, v, &v->call);
        return sd_event_add_time_relative(v->schedules->event, &v->waits, CLOCK_MONOTONIC, LEASE_USEC, 0, on_no_lease, v);
}

int vote_cast(Vote *v, const VoteOptions *o, bool apply, vote_done_t done, void *userdata) {
        int r;

        free(TAKE_PTR(v->text));
        if (asprintf(&v->text, "maxCount=%lld&persist=%s&sessionTTL=%u&strategy=%s", (long long) o->max, o->persist ? "true" : "false",
                     o->ttl_sec, o->strategy) < 0) {
                v->text = NULL;
                return -ENOMEM;
        }
        v->persist = o->persist;
        if (v->lease && (o->persist || v->ttl_sec != o->ttl_sec)) {
                v->lease = store_lease_free(v->lease, false);
                v->lease_id = 0;
        }
        if (apply && !o->persist && !v->lease) {
                r = store_lease_new(v->schedules->store, o->ttl_sec, on_lease, v, &v->lease);
                if (r < 0)
                        return r;
                v->ttl_sec = o->ttl_sec;
        }
        return start(v, apply, done, userdata);
}

int vote_withdraw(Vote *v, bool apply, vote_done_t done, void *userdata) {
        free(TAKE_PTR(v->text));
        v->persist = false;
        return start(v, apply, done, userdata);
}

/* ---- the whole ---- */

int schedules_new(Schedules **ret, sd_event *event, Store *store, bool only_looks) {
        Schedules *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        *s = (Schedules) { .event = event, .store = store, .votes = map_new(), .only_looks = only_looks };
        TAILQ_INIT(&s->watches);
        if (!s->votes) {
                free(s);
                return -ENOMEM;
        }
        *ret = s;
        return 0;
}

Schedules *schedules_free(Schedules *s) {
        size_t i = 0;
        const char *key;
        void *v;

        if (!s)
                return NULL;
        while (map_next(s->votes, &i, &key, &v))
                vote_free(v, false);
        schedule_leader_free(s->leader);
        map_free(s->votes);
        free(s);
        return NULL;
}
