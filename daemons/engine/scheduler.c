/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The queue and the ordering rule. What an attempt is, stands in attempt.c; how a watch is started, in arming.c.
 *
 * A vertex is looked at when it is taken from the ready queue, and nowhere else. There it either starts an attempt or is put
 * where it will be woken: with the predecessor that is not clean, with the semaphore that is taken, or nowhere, if its watch
 * or a timer will call. */

#include <systemd/sd-event.h>

#include "common/usec.h"
#include "daemons/engine/arming.h"
#include "daemons/engine/attempt.h"
#include "daemons/engine/drift.h"
#include "daemons/engine/engine-manager.h"
#include "daemons/engine/reversals.h"
#include "daemons/engine/scheduler-steps.h"
#include "daemons/engine/scheduler.h"
#include "daemons/engine/semaphore.h"

/* So long may the queue keep the loop from its other sources. */
#define TURN_USEC UINT64_C(5000)

enum { REST_MAX_SHIFT = 6 };     /* so often Manager.rest_usec doubles */

static bool is_unsettled(VertexState s) {
        return s != VERTEX_OK && s != VERTEX_DRIFTED && s != VERTEX_FAILED;
}

void scheduler_set_state(Scheduler *s, Vertex *v, VertexState state) {
        VertexState before = v->state;

        v->state = state;
        if (v->counted && is_unsettled(before) != is_unsettled(state))
                s->n_unsettled += is_unsettled(state) ? 1 : -1;
        if (v->counted && (before == VERTEX_FAILED) != (state == VERTEX_FAILED))
                s->n_failed += state == VERTEX_FAILED ? 1 : -1;
        manager_state_changed(v->manager, v, before);
}

static void queue(Scheduler *s, Vertex *v) {
        vertex_enlist(v, &s->ready);
}

void scheduler_wake(Scheduler *s, Vertex *v) {
        if (!v->list)
                queue(s, v);
        scheduler_kick(s);
}

void scheduler_kick(Scheduler *s) {
        if (!TAILQ_EMPTY(&s->ready) && !s->yields && !s->in_turn)
                (void) sd_event_source_set_enabled(s->turn, SD_EVENT_ONESHOT);
}

void scheduler_wake_waiters(Scheduler *s, Vertex *v) {
        Vertex *w;

        while ((w = TAILQ_FIRST(&v->waiters)))
                queue(s, w);
        scheduler_kick(s);
}

static Vertex *unclean_root(Vertex *v, VertexId predecessor) {
        Vertex *p = manager_vertex(v->manager, predecessor);
        if (!p)
                return NULL;
        p = vertex_root(p);
        return p == v || vertex_is_clean(p) ? NULL : p;
}

/* The first direct predecessor of the group that is not clean. A single vertex asks in a circle that begins where it last
 * found one, so that n predecessors finishing one after another cost O(n) in all. */
static Vertex *find_blocker(Vertex *v) {
        const Graph *g = v->manager->graph;

        if (!v->group) {
                const GraphAdjacency *p = graph_predecessors(g, v->id);
                for (uint32_t i = 0; i < p->n; i++) {
                        uint32_t at = (uint32_t) (((uint64_t) v->scan + i) % p->n);
                        Vertex *blocker = unclean_root(v, p->items[at].peer);
                        if (!blocker)
                                continue;
                        v->scan = at;
                        return blocker;
                }
                return NULL;
        }

        for (size_t k = 0; k < v->group->n_members; k++) {
                const GraphAdjacency *p = graph_predecessors(g, v->group->members[k]->id);
                for (uint32_t i = 0; i < p->n; i++) {
                        Vertex *blocker = unclean_root(v, p->items[i].peer);
                        if (blocker)
                                return blocker;
                }
        }
        return NULL;
}

bool scheduler_block(Scheduler *s, Vertex *v) {
        Vertex *blocker = find_blocker(v);

        if (!blocker)
                return false;
        vertex_enlist(v, &blocker->waiters);
        v->blocker = blocker;
        return true;
}

static bool is_settled(const Vertex *v) {
        return v->state == VERTEX_OK || v->state == VERTEX_DRIFTED;
}

static bool is_armed(const Vertex *v) {
        return v->watching && v->n_unarmed == 0 && !v->watch_waits;
}

/* Returns whether an attempt was started. */
static bool look_at(Scheduler *s, Vertex *v) {
        if (v->unpublished && is_settled(v)) {
                if (!scheduler_block(s, v))
                        attempt_publish(s, v);
                return false;
        }
        if (v->state != VERTEX_WAITING)
                return false;
        if (!v->watching) {
                arming_start(s, v);
                if (!is_armed(v))
                        return false;
                vertex_unlist(v);       /* not at the end of the queue: all that was just touched is still in the caches */
        }
        if (v->watch_waits) {
                if (!scheduler_block(s, v))
                        arming_again(s, v);
                return false;
        }
        if (v->n_unarmed > 0 || !v->dirty || arming_is_limited(v))
                return false;
        if (scheduler_block(s, v))
                return false;
        if (!semaphores_take(v, &s->ready))
                return true;    /* in the semaphore's queue, which passed the chance on */

        attempt_start(s, v);
        return true;
}

/* A source that is always ready would be dispatched for ever before those that became so later. A timer that is due stands behind
 * whatever is waiting already. */
static void yield(Scheduler *s) {
        s->yields = sd_event_source_set_time(s->resume, 0) >= 0 && sd_event_source_set_enabled(s->resume, SD_EVENT_ONESHOT) >= 0;
        (void) sd_event_source_set_enabled(s->turn, s->yields ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

/* Whether it came to the end of those that are ready. */
static bool take_all(Scheduler *s) {
        uint64_t begin = usec_now(CLOCK_MONOTONIC);
        unsigned n = 0;
        Vertex *v;

        while ((v = TAILQ_FIRST(&s->ready))) {
                vertex_unlist(v);
                if (!look_at(s, v))
                        semaphores_pass_on(v, &s->ready);
                if (++n % 16 == 0 && usec_now(CLOCK_MONOTONIC) - begin > TURN_USEC)
                        return false;
        }
        return true;
}

static void take_turn(Scheduler *s) {
        s->in_turn = true;
        bool all = take_all(s);
        s->in_turn = false;
        if (all)
                (void) sd_event_source_set_enabled(s->turn, SD_EVENT_OFF);
        else
                yield(s);
}

static int on_turn(sd_event_source *source, void *userdata) {
        take_turn(userdata);
        return 0;
}

static int on_resume(sd_event_source *source, uint64_t usec, void *userdata) {
        Scheduler *s = userdata;

        s->yields = false;
        take_turn(s);
        return 0;
}

int scheduler_init(Scheduler *s, sd_event *event) {
        int r;

        *s = (Scheduler) { .event = event };
        TAILQ_INIT(&s->ready);
        TAILQ_INIT(&s->failed);
        s->semaphores = map_new();
        if (!s->semaphores)
                return -ENOMEM;
        r = sd_event_add_defer(event, &s->turn, on_turn, s);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(s->turn, "scheduler");
        r = sd_event_source_set_enabled(s->turn, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = sd_event_add_time(event, &s->resume, CLOCK_MONOTONIC, 0, 1, on_resume, s);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(s->resume, "scheduler-resume");
        return sd_event_source_set_enabled(s->resume, SD_EVENT_OFF);
}

void scheduler_done(Scheduler *s) {
        s->turn = sd_event_source_disable_unref(s->turn);
        s->resume = sd_event_source_disable_unref(s->resume);
        semaphores_free_all(s->semaphores);
        s->semaphores = NULL;
}

static int32_t budget(Vertex *v) {
        return v->resource->meta.retry;
}

/* Who has given up makes no attempt of its own accord. That something has changed, outside or in the graph, is a reason for another one
 * (and not for more: the budget stays used up). An attempt may cause the very change, so after the second time it has to rest, longer
 * each time. */
static void give_up(Scheduler *s, Vertex *v) {
        v->rest_usec = v->n_given_up == 0 ? 0 : usec_now(CLOCK_MONOTONIC) +
                       (v->manager->rest_usec << MIN(v->n_given_up - 1, (uint32_t) REST_MAX_SHIFT));
        v->n_given_up++;
        vertex_enlist(v, &s->failed);
        scheduler_set_state(s, v, VERTEX_FAILED);
}

static void hear_news(Scheduler *s, Vertex *v) {
        uint64_t now = 0;

        (void) sd_event_now(s->event, CLOCK_MONOTONIC, &now);   /* the loop's: the timer counts from there */
        if (!v->manager->options.plan)
                arming_rest(s, v, v->rest_usec > now ? v->rest_usec - now : 0);
}

void scheduler_add(Scheduler *s, Vertex *v) {
        int r = semaphores_bind(s->semaphores, v);

        v->counted = true;
        s->n_unsettled++;
        v->state = VERTEX_WAITING;
        v->dirty = true;
        v->watch_retries = budget(v);
        v->blind = v->polled = false;
        v->tokens_usec = 0;
        v->n_given_up = 0;
        if (v->fresh || v->resource->meta.reset)
                v->retries = budget(v);
        v->fresh = false;

        if (r < 0) {
                (void) diag_set(&v->error, v->resource->pos, r, "cannot have its semaphores: %m");
                give_up(s, v);
        } else
                scheduler_wake(s, v);
}

void scheduler_remove(Scheduler *s, Vertex *v) {
        if (!v->counted)
                return;

        attempt_cancel(s, v);
        arming_stop(s, v);
        vertex_unlist(v);
        semaphores_pass_on(v, &s->ready);
        semaphores_unbind(s->semaphores, v);
        scheduler_wake_waiters(s, v);
        if (is_unsettled(v->state))
                s->n_unsettled--;
        if (v->state == VERTEX_FAILED)
                s->n_failed--;
        v->counted = false;
        v->state = VERTEX_WAITING;
        v->starved = false;
        v->scan = 0;
        diag_done(&v->error);
}

void scheduler_requeue(Scheduler *s, Vertex *v) {
        if (!v->counted || v->state != VERTEX_WAITING)
                return;
        vertex_unlist(v);
        scheduler_wake(s, v);
}

/* A reversal that has succeeded is about to leave the graph. */
static bool is_undone(const Vertex *v) {
        return v->reversal && !reversals_find(v->manager->reversals, vertex_kind(v), vertex_name(v));
}

void scheduler_dirty(Scheduler *s, Vertex *v) {
        if (!v->counted || is_undone(v))
                return;
        if (v->state == VERTEX_FAILED) {
                hear_news(s, v);
                return;
        }
        v->dirty = true;
        v->starved = false;
        if (is_settled(v))
                scheduler_set_state(s, v, VERTEX_WAITING);
        if (v->state == VERTEX_WAITING)
                scheduler_wake(s, v);
}

void scheduler_publish(Scheduler *s, Vertex *v) {
        if (is_settled(v)) {
                v->unpublished = true;
                scheduler_wake(s, v);
        } else if (v->state == VERTEX_RUNNING || (v->state == VERTEX_FAILED && !find_blocker(v)))
                attempt_publish(s, v);
}

void scheduler_event(Scheduler *s, Vertex *v) {
        if (arming_limit(s, v) || arming_is_limited(v))         /* then look_at() passes it over until a token is there */
                scheduler_dirty(s, v);
}

bool scheduler_is_coming(const Vertex *v) {
        for (; v; v = v->blocker)
                switch (v->state) {
                case VERTEX_RUNNING:
                        return true;
                case VERTEX_RETRYING:
                        return v->resource->meta.retry >= 0;
                case VERTEX_WAITING:
                        if (v->blocker)
                                break;
                        return !v->starved && (v->failures == 0 || v->resource->meta.retry >= 0);
                default:
                        return false;
                }
        return false;
}

bool scheduler_refresh(const Vertex *v, EdgeFlags flags) {
        if (v->resource->meta.noop)
                return drift_would_notify(v);
        for (size_t k = 0; k < (v->group ? v->group->n_members : 1); k++) {
                const Vertex *member = v->group ? v->group->members[k] : v;
                if (!(member->resource->type->flags & RESOURCE_REFRESHABLE))
                        continue;
                const GraphAdjacency *p = graph_predecessors(v->manager->graph, member->id);
                for (uint32_t i = 0; i < p->n; i++)
                        if ((p->items[i].data & flags) == flags)
                                return true;
        }
        return false;
}

/* A failure of an attempt or of a watch: what comes next? The vertex is idle when this is called. */
void scheduler_failed(Scheduler *s, Vertex *v, int32_t *budget_left, Diag *diag) {
        uint64_t delay_usec = v->resource->meta.delay * 1000;

        vertex_set_error(v, diag);
        v->dirty = true;
        v->failures++;
        if (*budget_left == 0) {
                if (!v->watching)
                        arming_stop(s, v);
                give_up(s, v);
                return;
        }
        if (*budget_left > 0)
                (*budget_left)--;

        /* Without a delay the first retries come at once. Who fails on and on would keep a processor busy for nothing. */
        if (delay_usec == 0 && v->failures > 10)
                delay_usec = UINT64_C(100000);
        scheduler_set_state(s, v, VERTEX_RETRYING);
        arming_delay(s, v, delay_usec);
}
