/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The state machine of one attempt. It ends in attempt_end(), whatever happened, but for a cancelled one, which is simply as if
 * it had not been made. */

#include <systemd/sd-event.h>

#include "common/sd/log.h"
#include "daemons/engine/arming.h"
#include "daemons/engine/attempt.h"
#include "daemons/engine/drift.h"
#include "daemons/engine/engine-manager.h"
#include "daemons/engine/exports.h"
#include "daemons/engine/reversals.h"
#include "daemons/engine/scheduler-steps.h"
#include "daemons/engine/semaphore.h"

static JournalVertex journal_vertex(const Vertex *v) {
        return (JournalVertex) { vertex_kind(v), vertex_name(v) };
}

/* ---- notifications ---- */

/* In memory they are kept all the same; but should the engine be killed now, some may be lost. */
static void check_journal(Manager *m, int r) {
        if (r < 0 && !m->journal_fails)
                (void) log_warning(r, "cannot write the journal of notifications: %m, ignoring");
        m->journal_fails = r < 0;
}

static void journal_begin(Vertex *root) {
        for (size_t i = 0; i < vertex_n_members(root); i++) {
                Vertex *v = vertex_member(root, i);
                if (!v->notifies || v->acting)
                        continue;
                v->acting = true;
                check_journal(v->manager, notify_journal_begin(v->manager->journal, journal_vertex(v)));
        }
}

static void journal_end(Vertex *root) {
        for (size_t i = 0; i < vertex_n_members(root); i++) {
                Vertex *v = vertex_member(root, i);
                if (!v->acting && !notify_journal_is_open(v->manager->journal, journal_vertex(v)))
                        continue;
                v->acting = false;
                check_journal(v->manager, notify_journal_end(v->manager->journal, journal_vertex(v)));
        }
}

/* What comes from now on was not there when the attempt began, and stays for the next. */
static void tell_notifications(Vertex *root) {
        Manager *m = root->manager;

        for (size_t i = 0; i < vertex_n_members(root); i++) {
                const Vertex *v = vertex_member(root, i);
                const GraphAdjacency *in = graph_predecessors(m->graph, v->id);

                for (uint32_t k = 0; k < in->n; k++)
                        if ((in->items[k].data & (EDGE_PENDING | EDGE_TOLD)) == EDGE_PENDING)
                                (void) graph_add_edge(m->graph, in->items[k].peer, v->id, in->items[k].data | EDGE_TOLD);
        }
}

/* Marks every edge out of the group that notifies; its target must run, however clean it is. */
static void notify_successors(Scheduler *s, Vertex *root) {
        Manager *m = root->manager;

        for (size_t i = 0; i < vertex_n_members(root); i++) {
                Vertex *v = vertex_member(root, i);
                if (!v->notifies)
                        continue;

                const GraphAdjacency *out = graph_successors(m->graph, v->id);
                for (uint32_t k = 0; k < out->n; k++) {
                        Vertex *target = manager_vertex(m, out->items[k].peer);
                        uint32_t data = out->items[k].data;

                        if (!(data & EDGE_NOTIFY) || !(target->resource->type->flags & RESOURCE_REFRESHABLE))
                                continue;
                        metrics_notified(target);
                        target->notified_by = v->id;
                        target->notified_by_serial = v->serial;
                        target->notified_usec = root->last_check_usec;
                        if (!(data & EDGE_PENDING))
                                check_journal(m, notify_journal_pend(m->journal, journal_vertex(v), journal_vertex(target)));
                        if ((data & (EDGE_PENDING | EDGE_TOLD)) != EDGE_PENDING)
                                (void) graph_add_edge(m->graph, v->id, target->id, (data | EDGE_PENDING) & ~(uint32_t) EDGE_TOLD);
                        scheduler_dirty(s, vertex_root(target));
                }
        }
}

static void consume_notifications(Vertex *root) {
        Manager *m = root->manager;

        for (size_t i = 0; i < vertex_n_members(root); i++) {
                Vertex *v = vertex_member(root, i);
                const GraphAdjacency *in = graph_predecessors(m->graph, v->id);

                for (uint32_t k = 0; k < in->n; k++) {
                        uint32_t data = in->items[k].data;
                        if ((data & (EDGE_PENDING | EDGE_TOLD)) != (EDGE_PENDING | EDGE_TOLD))
                                continue;

                        Vertex *source = manager_vertex(m, in->items[k].peer);
                        check_journal(m, notify_journal_consume(m->journal, journal_vertex(source), journal_vertex(v)));
                        (void) graph_add_edge(m->graph, source->id, v->id, data & ~(uint32_t) (EDGE_PENDING | EDGE_TOLD));
                }
        }
}

/* Attempts of the group that did not end well may have done something nevertheless. It speaks with one voice, but is kept at each
 * member, since it may fall apart before it has spoken. */
static void set_owes(Vertex *root, bool owes) {
        for (size_t i = 0; i < vertex_n_members(root); i++)
                vertex_member(root, i)->owes = owes;
}

static bool has_owes(Vertex *root) {
        for (size_t i = 0; i < vertex_n_members(root); i++)
                if (vertex_member(root, i)->owes)
                        return true;
        return false;
}

/* ---- received values ---- */

/* What is kept from people's eyes at its sender is so at its receiver. */
static void mark_secret(Resource *r, const FieldSpec *f, const FieldSpec *sent) {
        uint64_t bit = UINT64_C(1) << (f - r->type->fields);

        r->secret = sent && (sent->flags & FIELD_SECRET) ? r->secret | bit : r->secret & ~bit;
}

/* Returns 1 if the field is another than before. */
static int store_value(Resource *r, const FieldSpec *f, Receive *in, const Value *value, Diag *reterr) {
        _cleanup_(value_done) Value now = VALUE_NIL;
        int k;

        k = field_get(f, r, &now);
        if (k < 0)
                return resource_error(r, reterr, k, "cannot read field '%s': %m", in->field);
        if (!in->transferred)
                in->declared = value_ref(now);
        in->transferred = true;
        if (value_equal(now, *value))
                return 0;
        k = resource_store(r, f, *value, reterr);
        if (k < 0)
                return k;
        r->received |= UINT64_C(1) << (f - r->type->fields);
        return 1;
}

static int receive_value(Vertex *v, Receive *in, Diag *reterr) {
        Resource *r = v->resource;
        const FieldSpec *f = field_find(r->type->fields, in->field);
        const Vertex *sender = manager_vertex(v->manager, in->sender);
        const Value *value = sender ? vertex_sent(sender, in->send_key) : NULL;
        int k;

        if (!f || (!sender && in->sender != VERTEX_NONE))
                return resource_error(r, reterr, -EINVAL, "cannot receive into field '%s'", in->field);
        mark_secret(r, f, sender ? field_find(sender->resource->type->sends, in->send_key) : NULL);
        if (in->sender == VERTEX_NONE)
                return in->declared.kind == TYPE_NIL && !(f->flags & FIELD_OPTIONAL) ? 0 : store_value(r, f, in, &in->declared, reterr);
        if (!value || value->kind == TYPE_NIL)
                return resource_error(r, reterr, -ENODATA, "%s[%s] has not sent a value '%s' for field '%s'",
                                      vertex_kind(sender), vertex_name(sender), in->send_key, in->field);
        k = store_value(r, f, in, value, reterr);
        if (k < 0)
                diag_prefix(reterr, "value '%s' of %s[%s]", in->send_key, vertex_kind(sender), vertex_name(sender));
        return k;
}

/* 1: under noop, some are not known yet. */
static int receive_values(Vertex *v, Diag *reterr) {
        bool any = false, hidden = false;
        int k;

        for (size_t i = v->n_receives; i > 0; i--) {
                Receive *in = &v->receives[i - 1];

                if (drift_hides_value(v, in)) {
                        hidden = true;
                        continue;
                }
                k = receive_value(v, in, reterr);
                if (k < 0)
                        return k;
                any = any || k > 0;
                if (in->sender != VERTEX_NONE)
                        continue;
                receive_done(in);
                *in = v->receives[--v->n_receives];
        }
        k = any ? resource_validate(v->resource, reterr) : 0;
        return k < 0 ? k : hidden;
}

/* ---- the attempt ---- */

static void attempt_idle(Scheduler *s, Vertex *v) {
        v->pending = NULL;
        if (v->timeout_timer)
                (void) sd_event_source_set_enabled(v->timeout_timer, SD_EVENT_OFF);
        semaphores_release(v, &s->ready);
        scheduler_kick(s);
}

/* The state is known: right now, or (under noop) known to be wrong. */
static void attempt_succeeded(Scheduler *s, Vertex *v) {
        bool noop = v->resource->meta.noop, changed = v->changed || (!noop && has_owes(v));

        (void) sd_event_now(s->event, CLOCK_REALTIME, &v->last_check_usec);
        v->failures = v->n_given_up = 0;
        if (v->resource->meta.retryreset)
                v->retries = v->resource->meta.retry;
        for (size_t i = 0; i < vertex_n_members(v); i++)
                vertex_member(v, i)->realized = true;
        diag_done(&v->error);
        if (!noop) {
                for (size_t i = 0; i < vertex_n_members(v); i++)
                        vertex_member(v, i)->resource->received = 0;
                consume_notifications(v);
                if (changed)
                        notify_successors(s, v);
                set_owes(v, false);
                if (v->changed) {
                        v->last_apply_usec = v->last_check_usec;
                        manager_repaired(v->manager, v);
                        drift_applied(v);
                }
                journal_end(v);
                if (v->reversal) {
                        reversals_done(v->manager->reversals, v);
                        v->dirty = false;       /* what it did itself, say: it is about to leave */
                }
        } else {
                if (changed && v->reversal)
                        drift_add_reversal(v);
                drift_noticed(v, changed);
        }

        scheduler_set_state(s, v, noop && changed ? VERTEX_DRIFTED : VERTEX_OK);
        if (v->dirty)
                scheduler_dirty(s, v);
        else
                scheduler_wake_waiters(s, v);
}

/* What had been done already is not known. */
static void cut_off(Vertex *v) {
        v->pending->resource->type->cancel(v->pending->resource);
        if (!v->resource->meta.noop)
                set_owes(v, true);
}

static void attempt_end(Scheduler *s, Vertex *v, int result, Diag *diag) {
        metrics_attempt_ends(v);
        attempt_idle(s, v);
        if (result >= 0 && v->export_error) {
                result = v->export_error->error;
                diag_move(diag, v->export_error);
        }
        if (result >= 0) {
                attempt_succeeded(s, v);
                return;
        }
        if (drift_excuses(v, result, diag)) {
                v->changed = true;
                attempt_succeeded(s, v);
                return;
        }
        if (v->changed && !v->resource->meta.noop)      /* a member was repaired before another one failed */
                set_owes(v, true);
        if (!has_owes(v))
                journal_end(v);
        if (result == -EAGAIN) {
                if (diag->message)      /* else resource_waiting() has said why */
                        vertex_set_error(v, diag);
                v->starved = !v->dirty;
                scheduler_set_state(s, v, VERTEX_WAITING);
                if (v->dirty)
                        scheduler_wake(s, v);
                return;
        }
        (void) diag_set(diag, v->resource->pos, result, "%m");
        scheduler_failed(s, v, &v->retries, diag);
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        Vertex *v = userdata;
        Scheduler *s = &v->manager->scheduler;
        _cleanup_(diag_done) Diag diag = {};

        if (!v->pending)
                return 0;
        metrics_checked(v->pending, -ETIMEDOUT);
        cut_off(v);
        int r = diag_set(&diag, v->resource->pos, -ETIMEDOUT, "timeout after %g seconds",
                         (double) v->resource->meta.timeout / 1000);
        attempt_end(s, v, r, &diag);
        return 0;
}

static int start_timeout(Scheduler *s, Vertex *v) {
        uint64_t usec = v->resource->meta.timeout * 1000;
        int r;

        if (usec == 0)
                return 0;
        if (!v->timeout_timer)
                return sd_event_add_time_relative(s->event, &v->timeout_timer, CLOCK_MONOTONIC, usec, 0, on_timeout, v);
        r = sd_event_source_set_time_relative(v->timeout_timer, usec);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(v->timeout_timer, SD_EVENT_ONESHOT);
}

/* Runs members until one is pending, one fails, or all are done. */
static void attempt_step(Scheduler *s, Vertex *v) {
        _cleanup_(diag_done) Diag diag = {};
        int r;

        for (; v->step < vertex_n_members(v); v->step++) {
                Vertex *member = vertex_member(v, v->step);
                Resource *resource = member->resource;

                if (member->covered || !resource->type->check_apply)
                        continue;
                v->pending = member;
                r = resource->type->check_apply(resource, !v->resource->meta.noop, &diag);
                if (r == CHECK_PENDING)
                        return;
                metrics_checked(member, r);
                if (r < 0) {
                        attempt_end(s, v, r, &diag);
                        return;
                }
                if (r == CHECK_CHANGED)
                        v->changed = true;
        }
        attempt_end(s, v, 0, &diag);
}

/* On failure the diag says something, whatever happened. */
static int publish(Vertex *v, bool only_twins, Diag *reterr) {
        int r = 0;

        v->unpublished = false;
        vertex_set_export_error(v, NULL);
        for (size_t i = 0; i < vertex_n_members(v) && r >= 0; i++)
                r = exports_publish(v->manager->exports, vertex_member(v, i), only_twins, reterr);
        return r < 0 ? diag_set(reterr, v->resource->pos, r, "cannot export it: %m") : 0;
}

/* What runs here has nothing to do with it, and goes on; but the vertex has failed. */
void attempt_publish(Scheduler *s, Vertex *v) {
        _cleanup_(diag_done) Diag diag = {};

        if (publish(v, v->resource->meta.noop, &diag) >= 0)
                return;
        if (v->state == VERTEX_RUNNING)
                vertex_set_export_error(v, &diag);
        else if (v->state == VERTEX_FAILED)
                vertex_set_error(v, &diag);
        else
                scheduler_failed(s, v, &v->retries, &diag);
}

void attempt_start(Scheduler *s, Vertex *v) {
        _cleanup_(diag_done) Diag diag = {};
        bool noop = v->resource->meta.noop, hidden = false;
        int r = 0;

        v->dirty = false;
        v->starved = false;
        v->step = 0;
        v->changed = false;
        v->attempt++;
        scheduler_set_state(s, v, VERTEX_RUNNING);
        metrics_attempt_begins(v);
        drift_begin(v);

        for (size_t i = 0; i < vertex_n_members(v) && r >= 0; i++) {
                r = receive_values(vertex_member(v, i), &diag);
                hidden = hidden || r > 0;
        }
        for (size_t i = 0; i < vertex_n_members(v) && r >= 0 && !noop && !v->resource->meta.hidden; i++)
                r = reversals_keep(v->manager->reversals, vertex_member(v, i), &diag);
        if (r >= 0 && publish(v, noop || hidden, &diag) < 0)
                vertex_set_export_error(v, &diag);
        if (r >= 0)
                r = start_timeout(s, v);
        if (r < 0) {
                attempt_end(s, v, r, &diag);
                return;
        }

        if (noop && scheduler_refresh(v, EDGE_PENDING)) {
                v->changed = true;      /* it would act on the notification, which stays pending */
                drift_add_notification(v);
        }
        if (hidden) {
                v->changed = true;      /* nothing can be found out without what it is to receive */
                attempt_end(s, v, 0, &diag);
                return;
        }
        tell_notifications(v);
        if (v->resource->meta.hidden) {         /* it has its place in the order, and that is all */
                attempt_end(s, v, 0, &diag);
                return;
        }
        if (!noop)
                journal_begin(v);
        attempt_step(s, v);
}

void attempt_notifies(Vertex *v) {
        if (v->state == VERTEX_RUNNING && !v->resource->meta.noop)
                journal_begin(v);
}

void attempt_finished(Scheduler *s, Vertex *member, int result, Diag *diag) {
        Vertex *v = vertex_root(member);

        if (v->pending != member)
                return;
        metrics_checked(member, result);
        if (result < 0) {
                attempt_end(s, v, result, diag);
                return;
        }
        if (result == CHECK_CHANGED)
                v->changed = true;
        v->step++;
        attempt_step(s, v);
}

void attempt_cancel(Scheduler *s, Vertex *v) {
        if (v->state != VERTEX_RUNNING)
                return;

        if (v->pending)
                cut_off(v);
        attempt_idle(s, v);
        v->dirty = true;
        scheduler_set_state(s, v, VERTEX_WAITING);
}
