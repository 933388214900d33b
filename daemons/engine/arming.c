/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Watches, and the timers that stand in for them. Nothing here ticks unless Meta:poll asks for it. */

#include <math.h>
#include <syslog.h>

#include <systemd/sd-event.h>

#include "daemons/engine/arming.h"
#include "daemons/engine/attempt.h"
#include "daemons/engine/engine-manager.h"
#include "daemons/engine/scheduler-steps.h"
#include "daemons/engine/semaphore.h"

enum { WATCH_WAIT_MAX_SHIFT = 7 };       /* so often Manager.watch_wait_usec doubles */

static int set_timer(Scheduler *s, sd_event_source **source, uint64_t usec, sd_event_time_handler_t handler, Vertex *v) {
        int r;

        if (!*source)
                return sd_event_add_time_relative(s->event, source, CLOCK_MONOTONIC, usec, 0, handler, v);
        r = sd_event_source_set_time_relative(*source, usec);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(*source, SD_EVENT_ONESHOT);
}

static void stop_timer(sd_event_source *source) {
        if (source)
                (void) sd_event_source_set_enabled(source, SD_EVENT_OFF);
}

static bool timer_runs(sd_event_source *source) {
        int enabled = SD_EVENT_OFF;

        return source && sd_event_source_get_enabled(source, &enabled) > 0;
}

/* ---- delay ---- */

static void retry_now(Scheduler *s, Vertex *v) {
        vertex_unlist(v);
        scheduler_set_state(s, v, VERTEX_WAITING);
        scheduler_wake(s, v);
}

static int on_delay(sd_event_source *source, uint64_t usec, void *userdata) {
        Vertex *v = userdata;

        if (v->state == VERTEX_RETRYING || v->state == VERTEX_FAILED)
                retry_now(&v->manager->scheduler, v);
        else if (v->watch_waits)
                scheduler_wake(&v->manager->scheduler, v);
        return 0;
}

void arming_delay(Scheduler *s, Vertex *v, uint64_t usec) {
        if (usec == 0 || set_timer(s, &v->delay_timer, usec, on_delay, v) < 0)
                retry_now(s, v);
}

void arming_rest(Scheduler *s, Vertex *v, uint64_t usec) {
        if (!timer_runs(v->delay_timer))
                arming_delay(s, v, usec);
}

/* ---- limit ---- */

static int on_limit(sd_event_source *source, uint64_t usec, void *userdata) {
        Vertex *v = userdata;

        v->tokens = 0;
        (void) sd_event_now(v->manager->event, CLOCK_MONOTONIC, &v->tokens_usec);
        scheduler_dirty(&v->manager->scheduler, v);
        return 0;
}

bool arming_is_limited(const Vertex *v) {
        return timer_runs(v->limit_timer);
}

bool arming_limit(Scheduler *s, Vertex *v) {
        const Meta *meta = &v->resource->meta;
        uint64_t now;

        if (!isfinite(meta->limit))
                return true;
        if (arming_is_limited(v)) {
                v->dirty = true;        /* will be seen when the token is due */
                return false;
        }

        (void) sd_event_now(s->event, CLOCK_MONOTONIC, &now);
        if (v->tokens_usec == 0)
                v->tokens = (double) meta->burst;
        else
                v->tokens = fmin((double) meta->burst, v->tokens + (double) (now - v->tokens_usec) * meta->limit / 1e6);
        v->tokens_usec = now;
        if (v->tokens >= 1) {
                v->tokens -= 1;
                return true;
        }

        if (meta->limit <= 0)
                return false;           /* burst was all there is; only the graph can start it again */
        double usec = ceil((1 - v->tokens) * 1e6 / meta->limit);
        return set_timer(s, &v->limit_timer, usec < 1e15 ? (uint64_t) usec : UINT64_C(1000000000000000), on_limit, v) < 0;
}

/* ---- poll ---- */

typedef enum HowToPoll {
        POLL_NEVER,             /* it has a watch */
        POLL_ONCE,              /* neither a watch nor a timer */
        POLL_REGULARLY,
} HowToPoll;

static HowToPoll how_to_poll(const Vertex *v) {
        int32_t poll = v->resource->meta.poll;

        if (v->manager->options.plan || poll < 0)
                return POLL_ONCE;
        return poll > 0 || v->polled ? POLL_REGULARLY : POLL_NEVER;
}

static uint64_t poll_usec(const Vertex *v) {
        return v->polled ? v->manager->fallback_poll_usec : (uint64_t) v->resource->meta.poll * 1000000;
}

/* The limit may have been raised, or others have given watches back. Armed or polled, it is looked at. */
static void try_to_watch(Scheduler *s, Vertex *v) {
        if (v->state == VERTEX_OK || v->state == VERTEX_DRIFTED)
                scheduler_set_state(s, v, VERTEX_WAITING);
        v->polled = false;
        arming_again(s, v);
}

static int on_poll(sd_event_source *source, uint64_t usec, void *userdata) {
        Vertex *v = userdata;
        Scheduler *s = &v->manager->scheduler;

        (void) set_timer(s, &v->poll_timer, poll_usec(v), on_poll, v);
        if (v->polled && v->state != VERTEX_RUNNING && v->state != VERTEX_RETRYING && v->state != VERTEX_FAILED)
                try_to_watch(s, v);
        else
                scheduler_event(s, v);
        return 0;
}

/* ---- watch ---- */

static void unwatch(Vertex *root) {
        for (size_t i = 0; i < vertex_n_members(root); i++) {
                Vertex *v = vertex_member(root, vertex_n_members(root) - 1 - i);
                if (v->hooked && v->resource->type->unwatch)
                        v->resource->type->unwatch(v->resource);
                v->hooked = false;
                v->armed = false;
        }
        root->watching = false;
        root->watch_waits = false;
}

void arming_armed(Scheduler *s, Vertex *member) {
        Vertex *v = vertex_root(member);

        if (!v->watching || member->armed)
                return;
        member->armed = true;
        if (--v->n_unarmed > 0)
                return;
        if (v->watch_waits) {
                v->watch_waits = false;
                stop_timer(v->delay_timer);
        }
        v->n_watch_waits = 0;
        v->starved = false;
        if (v->blind && !v->polled) {
                v->blind = false;
                resource_log(v->resource, LOG_NOTICE, "it is watched again");
        }
        (void) arming_limit(s, v);      /* the first look is an event as well */
        v->dirty = true;
        if (v->state == VERTEX_WAITING)
                scheduler_wake(s, v);
}

/* There is no watch to be had: because of the kernel's limits, of watches (fs.inotify.max_user_watches) or of instances
 * (fs.inotify.max_user_instances), or after one has broken. To give up would leave the resource alone for good. */
static bool is_blind(const Vertex *v, int error) {
        return error == -ENOSPC || error == -EMFILE || v->blind;
}

static void fall_back_to_polling(Scheduler *s, Vertex *v, const Diag *diag) {
        if (!v->blind)
                resource_log(v->resource, LOG_WARNING, "%s; looking at it every %g seconds until it can be watched",
                             diag->message ? diag->message : "no watches left", (double) v->manager->fallback_poll_usec / 1e6);
        v->blind = v->polled = true;
        v->dirty = true;
        scheduler_set_state(s, v, VERTEX_WAITING);
        scheduler_wake(s, v);
}

/* Not there yet is no failure, neither at first nor later. Most often it is a predecessor that brings it about, so nothing is
 * tried before those are right; then when something happens (the kind may well know when to ask again), and else after a while.
 * unwatch is not called before the next try, so that what the kind could arm goes on telling it. */
static void wait_for_watch(Scheduler *s, Vertex *v, Diag *diag) {
        uint32_t n = v->n_watch_waits;

        if (diag->message)      /* else resource_waiting() has said why */
                vertex_set_error(v, diag);
        v->watch_waits = true;
        v->starved = true;
        vertex_unlist(v);       /* a hook that reports a change and then waits would be called for ever */
        semaphores_pass_on(v, &s->ready);
        scheduler_kick(s);
        scheduler_set_state(s, v, VERTEX_WAITING);
        if (scheduler_block(s, v))
                return;
        v->n_watch_waits = MIN(n + 1, (uint32_t) WATCH_WAIT_MAX_SHIFT);
        (void) set_timer(s, &v->delay_timer, v->manager->watch_wait_usec << n, on_delay, v);
}

void arming_failed(Scheduler *s, Vertex *member, int error, Diag *diag) {
        Vertex *v = vertex_root(member);

        if (!v->watching)
                return;
        if (error == -EAGAIN) {
                attempt_cancel(s, v);
                v->n_unarmed += member->armed;
                member->armed = false;
                wait_for_watch(s, v, diag);
                return;
        }
        (void) diag_set(diag, member->resource->pos, error, "cannot watch: %m");
        attempt_cancel(s, v);
        unwatch(v);
        vertex_unlist(v);
        semaphores_pass_on(v, &s->ready);       /* it may have been woken because one was free */
        scheduler_kick(s);
        if (is_blind(v, error) && !v->polled) {
                fall_back_to_polling(s, v, diag);
                return;
        }
        scheduler_failed(s, v, &v->watch_retries, diag);
}

static int prepare(Vertex *v, Diag *reterr) {
        int r;

        if (v->prepared || !v->resource->type->prepare) {
                v->prepared = true;
                return 0;
        }
        r = v->resource->type->prepare(v->resource, reterr);
        if (r >= 0)
                v->prepared = true;
        return r;
}

static int watch(Scheduler *s, Vertex *v, bool poll, Diag *reterr) {
        if (poll || !v->resource->type->watch) {
                arming_armed(s, v);
                return 0;
        }
        v->hooked = true;
        return v->resource->type->watch(v->resource, reterr);
}

void arming_start(Scheduler *s, Vertex *v) {
        HowToPoll poll = how_to_poll(v);
        _cleanup_(diag_done) Diag diag = {};
        int r = 0;

        v->watching = true;
        v->n_unarmed = vertex_n_members(v);
        if (v->resource->meta.hidden) {         /* alone in its group; none of its hooks is called */
                arming_armed(s, v);
                return;
        }
        for (size_t i = 0; i < vertex_n_members(v) && r >= 0; i++)
                r = prepare(vertex_member(v, i), &diag);
        for (size_t i = 0; i < vertex_n_members(v) && r >= 0 && v->watching; i++)
                r = watch(s, vertex_member(v, i), poll != POLL_NEVER, &diag);
        if (r >= 0 && poll == POLL_REGULARLY)
                r = set_timer(s, &v->poll_timer, poll_usec(v), on_poll, v);
        if (r == -EAGAIN)
                wait_for_watch(s, v, &diag);
        else if (r < 0)
                arming_failed(s, v, r, &diag);
}

void arming_again(Scheduler *s, Vertex *v) {
        stop_timer(v->delay_timer);
        stop_timer(v->poll_timer);
        unwatch(v);
        arming_start(s, v);
}

void arming_stop(Scheduler *s, Vertex *v) {
        if (v->watching)
                unwatch(v);
        v->n_watch_waits = 0;
        stop_timer(v->delay_timer);
        stop_timer(v->limit_timer);
        stop_timer(v->poll_timer);
}
