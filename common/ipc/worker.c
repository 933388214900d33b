/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The host of kinds outside of mgmt-engine: sessions with the engine, watches and attempts. The resources themselves are tasks, see
 * task.h. Whatever the engine sends, wrong ids and fields included, is answered or ignored, never believed. */

#include <inttypes.h>
#include <stdio.h>

#include "common/ipc/session.h"
#include "common/ipc/source-server.h"
#include "common/ipc/task.h"
#include "common/ipc/worker.h"
#include "common/sd/daemon.h"
#include "common/sd/log.h"

static Worker *worker_of(const Resource *r) {
        return container_of(r->host, Worker, host);
}

/* ---- answers ---- */

/* A message that does not get through is lost with the connection; the engine that comes next asks everything anew. */
static void answer(Worker *w, const Message *m) {
        int r;

        if (!w->channel)
                return;
        r = channel_send(w->channel, w->engine, m);
        if (r < 0 && r != -ENOTCONN)
                log_error(r, "cannot send %s to the engine, ignoring: %m", message_name(m->type));
}

static void answer_armed(Worker *w, uint32_t id) {
        answer(w, &(Message) { .type = MESSAGE_TASK_ARMED, .task_armed.id = id });
}

static void answer_watch_failed(Worker *w, uint32_t id, int error, const Diag *diag) {
        Message m = { .type = MESSAGE_TASK_WATCH_FAILED, .task_watch_failed = { .id = id, .error = error } };

        if (diag)
                m.task_watch_failed.diag = *diag;       /* borrowed, as the whole message is */
        answer(w, &m);
}

static void answer_result(Worker *w, uint32_t id, uint32_t attempt, int result, const Diag *diag) {
        Message m = { .type = MESSAGE_TASK_RESULT, .task_result = { .id = id, .attempt = attempt, .result = result } };

        if (diag)
                m.task_result.diag = *diag;
        answer(w, &m);
}

static int no_such_group(Worker *w, uint32_t id, Diag *reterr) {
        if (task_find(w, id))
                return diag_set(reterr, (Pos) {}, -EINVAL, "resource %" PRIu32 " is grouped into another", id);
        return diag_set(reterr, (Pos) {}, -ENOENT, "resource %" PRIu32 " is not here", id);
}

/* ---- watching ---- */

static int group_prepare(Task *root, Diag *reterr) {
        for (size_t i = 0; i < root->n_members; i++) {
                Task *t = root->members[i];
                int r;

                if (t->prepared)
                        continue;
                if (t->resource->type->prepare) {
                        r = t->resource->type->prepare(t->resource, reterr);
                        if (r < 0)
                                return r;
                }
                t->prepared = true;
        }
        return 0;
}

static void tell_if_armed(Task *root) {
        if (root->told_armed)
                return;
        for (size_t i = 0; i < root->n_members; i++)
                if (!root->members[i]->armed)
                        return;
        root->told_armed = true;
        answer_armed(root->worker, root->id);
}

static int member_watch(Task *t, Diag *reterr) {
        int r;

        t->watched = true;
        if (!t->resource->type->watch) {
                t->armed = true;
                return 0;
        }
        r = t->resource->type->watch(t->resource, reterr);
        return r < 0 ? r : 0;
}

/* Children first; the engine hears that the group is armed when the last of its members is. */
static int group_watch(Task *root, Diag *reterr) {
        int r;

        if (root->failed.error < 0) {
                (void) diag_copy(reterr, &root->failed);
                return root->failed.error;
        }
        if (root->told_armed) {         /* an adopted one */
                answer_armed(root->worker, root->id);
                return 0;
        }
        group_unwatch(root);
        root->told_changed = false;
        r = group_prepare(root, reterr);
        if (r < 0)
                return r;
        for (size_t i = 0; i < root->n_members; i++) {
                r = member_watch(root->members[i], reterr);
                if (r == -EAGAIN) {     /* what it could arm may tell it more; the engine will ask again */
                        (void) diag_set(reterr, root->resource->pos, r, "%s", root->members[i]->reason ?: "not there yet");
                        return r;
                }
                if (r < 0) {
                        group_unwatch(root);
                        return r;
                }
        }
        tell_if_armed(root);
        return 0;
}

static void watch_group(Worker *w, uint32_t id) {
        _cleanup_(diag_done) Diag diag = {};
        Task *root = group_find(w, id);
        int r;

        r = root ? group_watch(root, &diag) : no_such_group(w, id, &diag);
        if (r < 0)
                answer_watch_failed(w, id, r, &diag);
}

/* ---- attempts ---- */

static void attempt_end(Task *root, int result, Diag *diag) {
        root->running = false;
        for (size_t i = 0; i < root->n_members && result >= 0; i++)
                root->members[i]->resource->received = 0;
        group_receive_waiting(root);
        answer_result(root->worker, root->id, root->attempt, result, diag);
}

static int member_check(Task *root, Task *t, Diag *reterr) {
        const ResourceType *type = t->resource->type;
        int r;

        free(TAKE_PTR(t->reason));
        if (t->bad.error < 0) {
                (void) diag_copy(reterr, &t->bad);
                return t->bad.error;
        }
        if (!type->check_apply)
                return CHECK_OK;

        root->finished_early = false;
        root->in_hook = true;
        r = type->check_apply(t->resource, root->apply, reterr);
        root->in_hook = false;
        if (r == CHECK_PENDING && root->finished_early) {
                diag_move(reterr, &root->early_diag);
                r = root->early_result;
        }
        return r;
}

/* Takes the result of the member at work. Returns whether the attempt goes on. */
static bool member_result(Task *root, Task *t, int result, Diag *diag) {
        if (result == CHECK_OK || result == CHECK_CHANGED) {
                root->sum = MAX(root->sum, (CheckResult) result);
                root->step++;
                return true;
        }
        if (result >= 0)
                result = -EPROTO;
        if (result == -EAGAIN && t->reason)
                (void) diag_set(diag, t->resource->pos, result, "%s", t->reason);
        else
                (void) diag_set(diag, t->resource->pos, result, "%m");
        if (t != root)
                (void) diag_prefix(diag, "%s[%s]", t->resource->type->kind, t->resource->name);
        attempt_end(root, result, diag);
        return false;
}

static void attempt_continue(Task *root) {
        for (;;) {
                _cleanup_(diag_done) Diag diag = {};
                Task *t;
                int r;

                while (root->step < root->n_members && root->members[root->step]->covered)
                        root->step++;
                if (root->step >= root->n_members) {
                        attempt_end(root, (int) root->sum, NULL);
                        return;
                }
                t = root->members[root->step];
                r = member_check(root, t, &diag);
                if (r == CHECK_PENDING || !member_result(root, t, r, &diag))
                        return;
        }
}

static void check_group(Worker *w, uint32_t id, uint32_t attempt, bool apply, bool refresh) {
        _cleanup_(diag_done) Diag diag = {};
        Task *root = group_find(w, id);
        int r;

        if (!root)
                r = no_such_group(w, id, &diag);
        else {
                group_cancel(root);   /* nobody waits for the one before any more */
                root->told_changed = false;
                if (root->failed.error < 0) {
                        r = root->failed.error;
                        (void) diag_copy(&diag, &root->failed);
                } else
                        r = group_prepare(root, &diag);
        }
        if (r < 0) {
                answer_result(w, id, attempt, r, &diag);
                return;
        }

        root->running = true;
        root->attempt = attempt;
        root->apply = apply;
        root->refresh = refresh;
        root->step = 0;
        root->sum = CHECK_OK;
        for (size_t i = 0; i < root->n_members; i++)
                root->members[i]->resource->applies = apply;
        attempt_continue(root);
}

static void cancel_attempt(Worker *w, uint32_t id, uint32_t attempt) {
        Task *root = group_find(w, id);

        if (!root || !root->running || root->attempt != attempt)
                return;
        group_cancel(root);
        group_receive_waiting(root);
}

/* ---- what kinds call ---- */

static void host_changed(Resource *r) {
        Task *t = r->vertex;
        Task *root = task_root(t);

        if (root->told_changed || !root->registered)
                return;
        root->told_changed = true;
        answer(root->worker, &(Message) { .type = MESSAGE_TASK_CHANGED, .task_changed.id = root->id });
}

static void host_armed(Resource *r) {
        Task *t = r->vertex;
        Task *root = task_root(t);

        if (!t->watched)
                return;
        t->armed = true;
        if (root->registered && root->members[root->n_members - 1]->watched)
                tell_if_armed(root);
}

/* The kind is still at work on its watch: it is ended with the next TASK_WATCH, TASK_UNWATCH or TASK_REMOVE. */
static void host_watch_failed(Resource *r, int error, Diag *diag) {
        _cleanup_(diag_done) Diag own = {};
        Task *t = r->vertex;
        Task *root = task_root(t);

        root->told_armed = false;
        t->armed = false;
        if (diag)
                diag_move(&own, diag);
        (void) diag_set(&own, r->pos, error, "%m");
        if (t != root)
                (void) diag_prefix(&own, "%s[%s]", r->type->kind, r->name);
        if (root->registered)
                answer_watch_failed(root->worker, root->id, error, &own);
}

static void host_finished(Resource *r, int result, Diag *diag) {
        _cleanup_(diag_done) Diag own = {};
        Task *t = r->vertex;
        Task *root = task_root(t);

        if (diag)
                diag_move(&own, diag);
        if (!root->running || root->members[root->step] != t)
                return;         /* cancelled meanwhile */
        if (root->in_hook) {
                root->finished_early = true;
                root->early_result = result;
                diag_move(&root->early_diag, &own);
                return;
        }
        if (member_result(root, t, result, &own))
                attempt_continue(root);
}

static void host_waiting(Resource *r, const char *reason) {
        Task *t = r->vertex;
        char *copy;

        copy = strdup(reason);
        if (!copy)
                return;
        free(t->reason);
        t->reason = copy;
}

static bool host_refresh(const Resource *r) {
        Task *t = r->vertex;

        t = task_root(t);
        return t->running && t->refresh;
}

static int host_send(Resource *r, const char *key, Value v) {
        Worker *w = worker_of(r);
        Task *t = r->vertex;
        const FieldSpec *f;

        f = r->type->sends ? field_find(r->type->sends, key) : NULL;
        if (!f)
                return -EINVAL;
        if (!w->channel || !t->registered)
                return -ENOTCONN;
        return channel_send(w->channel, w->engine, &(Message) {
                        .type = MESSAGE_TASK_SEND,
                        .task_send = { .id = t->id, .key = (char *) key, .value = v },
                });
}

static void host_differs(Resource *r, Difference *d) {
        Task *t = r->vertex;

        if (!t->registered)
                return;
        answer(t->worker, &(Message) {
                        .type = MESSAGE_TASK_DIFFERS,
                        .task_differs = { t->id, d->field, d->from, d->to, d->diff, d->flags },
                });
}

static void host_log(Resource *r, int priority, const char *text) {
        Task *t = r->vertex;

        if (!t->registered) {
                (void) log_resource(priority, r->type->kind, r->name, r->pos, "%s", text);
                return;
        }
        answer(t->worker, &(Message) {
                        .type = MESSAGE_TASK_LOG,
                        .task_log = { .id = t->id, .priority = priority, .text = (char *) text },
                });
}

static void host_exit_requested(Resource *r, int code) {
        (void) log_resource(LOG_WARNING, r->type->kind, r->name, r->pos, "only a resource in the engine can ask for the end, ignoring");
}

/* ---- sessions ---- */

static void hello(Worker *w, Channel *c, PeerId peer, const char *hostname) {
        Task *t;

        if (hostname && !streq(hostname, w->hostname)) {
                char *copy = strdup(hostname);

                if (copy) {
                        free(w->hostname);
                        w->host.hostname = w->hostname = copy;
                }
        }
        w->channel = c;
        w->engine = peer;
        while ((t = w->unsettled ?: w->roots))
                group_orphan(t);
        session_welcome(c, peer);
}

static void put_task(Worker *w, uint32_t id, uint32_t parent, ResourceSpec *spec) {
        _cleanup_(diag_done) Diag diag = {};
        int r;

        r = task_put(w, id, parent, spec, &diag);
        if (r < 0)
                answer_watch_failed(w, id, r, &diag);
}

static void sync_tasks(Worker *w) {
        size_t i = 0;
        void *value;

        while (w->unsettled)
                (void) group_settle(w->unsettled);
        while (map_next(w->by_key, &i, NULL, &value)) {
                Task *t = value;

                if (!t->registered)
                        group_free(t);
        }
}

bool worker_message(Worker *w, Channel *c, PeerId peer, Message *m) {
        if (m->type == MESSAGE_HELLO && streq_ptr(m->hello.role, "engine")) {
                hello(w, c, peer, m->hello.hostname);
                return true;
        }
        if (m->type < MESSAGE_TASK_PUT || m->type > MESSAGE_TASK_SET)
                return false;
        if (c != w->channel || peer != w->engine) {
                session_refuse(c, peer, -EPERM, "only the engine that said HELLO last may give tasks");
                return true;
        }

        switch (m->type) {

        case MESSAGE_TASK_PUT:
                put_task(w, m->task_put.id, m->task_put.parent, &m->task_put.resource);
                break;

        case MESSAGE_TASK_SYNC:
                sync_tasks(w);
                break;

        case MESSAGE_TASK_REMOVE: {
                /* A grouped one goes with its root: what runs cannot lose a part. */
                Task *t = task_find(w, m->task_remove.id);

                if (t && !t->parent)
                        group_free(t);
                break;
        }

        case MESSAGE_TASK_WATCH:
                watch_group(w, m->task_watch.id);
                break;

        case MESSAGE_TASK_UNWATCH: {
                Task *root = group_find(w, m->task_unwatch.id);

                if (root)
                        group_unwatch(root);
                break;
        }

        case MESSAGE_TASK_CHECK:
                check_group(w, m->task_check.id, m->task_check.attempt, m->task_check.apply, m->task_check.refresh);
                break;

        case MESSAGE_TASK_CANCEL:
                cancel_attempt(w, m->task_cancel.id, m->task_cancel.attempt);
                break;

        case MESSAGE_TASK_SET:
                task_receive(w, m->task_set.id, &m->task_set.field, &m->task_set.value);
                break;

        default:
                return false;
        }
        return true;
}

int worker_new(Worker **ret, sd_event *event, const ResourceType *const *types, const char *state_dir, void *manager) {
        _cleanup_(worker_freep) Worker *w = NULL;

        w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        w->types = types;
        w->by_id = map_new();
        w->by_key = map_new();
        w->hostname = strdup("");
        w->state_dir = strdup(state_dir);
        if (!w->by_id || !w->by_key || !w->hostname || !w->state_dir)
                return -ENOMEM;
        w->host = (ResourceHost) {
                .event = event,
                .manager = manager,
                .hostname = w->hostname,
                .state_dir = w->state_dir,
                .changed = host_changed,
                .armed = host_armed,
                .watch_failed = host_watch_failed,
                .finished = host_finished,
                .waiting = host_waiting,
                .refresh = host_refresh,
                .send = host_send,
                .differs = host_differs,
                .log = host_log,
                .exit_requested = host_exit_requested,
        };

        *ret = TAKE_PTR(w);
        return 0;
}

static void on_served(Channel *c, PeerId peer, Message *m, void *userdata) {
        Worker *w = userdata;

        if (!worker_message(w, c, peer, m) && !(w->sources && source_server_message(w->sources, c, peer, m)))
                session_refuse(c, peer, -EPROTO, "nothing of that kind is served here");
}

static void on_gone(Channel *c, PeerId peer, void *userdata) {
        Worker *w = userdata;

        if (w->sources)
                source_server_gone(w->sources, peer);
}

static void on_room(Channel *c, PeerId peer, void *userdata) {
        Worker *w = userdata;

        if (w->sources)
                source_server_room(w->sources, peer);
}

int worker_serve(Worker **ret, Daemon *d, const ResourceType *const *types, const SourceType *const *functions, void *manager) {
        static const ChannelOps ops = { .message = on_served, .gone = on_gone, .room = on_room };
        _cleanup_(worker_freep) Worker *w = NULL;
        int r;

        r = worker_new(&w, d->event, types, d->state_dir, manager);
        if (r >= 0 && functions)
                r = source_server_new(&w->sources, functions,
                                      &(SourceHost) { .event = d->event, .manager = manager, .state_dir = d->state_dir });
        if (r < 0)
                return r;
        if (d->listen_fd >= 0) {
                r = channel_listen(&w->listener, d->event, TAKE_FD(d->listen_fd), &ops, w);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(w);
        return 0;
}

Worker *worker_free(Worker *w) {
        size_t i = 0;
        void *orphan;
        Task *t;

        if (!w)
                return NULL;
        w->channel = NULL;      /* nobody is told of the end */
        source_server_free(w->sources);
        while ((t = w->unsettled ?: w->roots))
                group_free(t);
        while (map_next(w->by_key, &i, NULL, &orphan))
                group_free(orphan);
        channel_free(w->listener);
        map_free(w->by_id);
        map_free(w->by_key);
        free(w->hostname);
        free(w->state_dir);
        free(w);
        return NULL;
}

unsigned worker_n_resources(const Worker *w) {
        return w->n_tasks;
}

unsigned worker_n_calls(const Worker *w) {
        return source_server_n_sources(w->sources);
}
