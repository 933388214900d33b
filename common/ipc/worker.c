/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The host of kinds outside of mgmt-engine. Every resource here is a Task; a resource and those grouped into it are a tree of
 * tasks that is put, watched, checked and removed as a whole, by the messages for its root.
 *
 * A group is complete ("settled") when the first message after its TASK_PUTs asks something of it. Only then is it compared with
 * the one of the same kind and name that is here already, often an "orphan" of an earlier session of the engine: if all of it is
 * equal, the old group takes the place of the new one and was never interrupted; otherwise it is ended before the new one is
 * watched.
 *
 * Whatever the engine sends, wrong ids and fields included, is answered or ignored, never believed. */

#include <inttypes.h>
#include <stdio.h>

#include "common/ipc/worker.h"
#include "common/map.h"
#include "common/sd/log.h"

enum {
        TASKS_MAX = 1024 * 1024,
        GROUP_DEPTH_MAX = 8,
};

#define NO_PARENT UINT32_MAX

typedef struct Task Task;

/* What a field said before something was received into it. */
typedef struct Declared {
        const FieldSpec *field;
        Value value;
} Declared;

struct Task {
        Worker *worker;
        uint32_t id;
        bool registered;        /* in Worker.by_id */
        Resource *resource;     /* NULL if it could not even be made */
        Task *parent;
        Task **children;
        size_t n_children, capacity_children;
        Diag failed;            /* why it cannot be watched or checked at all; root: also a child's reason */

        Declared *declared;
        size_t n_declared, capacity_declared;
        size_t n_borrowed;      /* see borrow_received() */
        char *bad_field;        /* what was received last into it was refused; "" if the fields do not go together */
        Diag bad;
        FieldValue *later;      /* received during an attempt */
        size_t n_later, capacity_later;

        bool covered;           /* the check_apply of the one it is grouped into does its work */
        bool prepared, watched, armed;
        char *reason;           /* given to resource_waiting() */

        /* The rest is for roots. */
        Task **members;         /* of the whole group, children first, the root last; made when settled */
        size_t n_members;
        char *key;              /* in Worker.by_key */
        bool told_armed;
        bool told_changed;      /* TASK_CHANGED was sent, and no TASK_CHECK came since */

        bool running, apply, refresh;
        uint32_t attempt;
        size_t step;            /* the member at work */
        CheckResult sum;
        bool in_hook;           /* its check_apply has not returned yet */
        bool finished_early;
        int early_result;
        Diag early_diag;

        Task **list;            /* Worker.roots or .unsettled, NULL for orphans */
        Task *next, *previous;
};

struct Worker {
        ResourceHost host;      /* first: resources point to it */
        const ResourceType *const *types;
        char *hostname, *state_dir;
        Channel *channel;       /* of the engine, NULL before it came */
        PeerId engine;
        Map *by_id;
        Map *by_key;            /* "kind[name]" → Task: the settled roots. Those that are not registered are orphans */
        Task *roots;            /* the settled ones of this session */
        Task *unsettled;
        unsigned n_tasks;
};

static Worker *worker_of(const Resource *r) {
        return container_of(r->host, Worker, host);
}

static Task *root_of(Task *t) {
        while (t->parent)
                t = t->parent;
        return t;
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

static void answer_error(Channel *c, PeerId peer, int error, const char *text) {
        (void) channel_send(c, peer, &(Message) {
                        .type = MESSAGE_ERROR,
                        .error = { .error = error, .text = (char *) text },
                });
}

/* ---- the life of a task ---- */

static Task *task_find(Worker *w, uint32_t id) {
        return map_get_n(w->by_id, &id, sizeof(id));
}

static int task_register(Task *t, uint32_t id) {
        int r;

        r = map_put_n(t->worker->by_id, &id, sizeof(id), t);
        if (r < 0)
                return r;
        t->id = id;
        t->registered = true;
        return 0;
}

static void task_unregister(Task *t) {
        if (t->registered)
                (void) map_remove_n(t->worker->by_id, &t->id, sizeof(t->id));
        t->registered = false;
}

static void list_leave(Task *t) {
        if (!t->list)
                return;
        if (t->previous)
                t->previous->next = t->next;
        else
                *t->list = t->next;
        if (t->next)
                t->next->previous = t->previous;
        t->list = NULL;
        t->next = t->previous = NULL;
}

static void list_enter(Task *t, Task **list) {
        list_leave(t);
        t->list = list;
        t->next = *list;
        if (t->next)
                t->next->previous = t;
        *list = t;
}

static void later_clear(Task *t) {
        for (size_t i = 0; i < t->n_later; i++) {
                free(t->later[i].name);
                value_done(&t->later[i].value);
        }
        t->n_later = 0;
}

static void attempt_cancel(Task *root) {
        Task *t;

        if (!root->running)
                return;
        root->running = false;
        t = root->members[root->step];
        if (t->resource->type->cancel)
                t->resource->type->cancel(t->resource);
}

static void group_unwatch(Task *root) {
        for (size_t i = root->n_members; i > 0; i--) {
                Task *t = root->members[i - 1];

                if (t->watched && t->resource->type->unwatch)
                        t->resource->type->unwatch(t->resource);
                t->watched = t->armed = false;
        }
        root->told_armed = false;
}

/* Parents before children: a parent's done() may still look at them. */
static void task_free(Task *t) {
        task_unregister(t);
        resource_free(t->resource);
        for (size_t i = 0; i < t->n_children; i++)
                task_free(t->children[i]);
        for (size_t i = 0; i < t->n_declared; i++)
                value_done(&t->declared[i].value);
        later_clear(t);
        diag_done(&t->failed);
        diag_done(&t->bad);
        diag_done(&t->early_diag);
        free(t->key);
        free(t->bad_field);
        free(t->reason);
        free(t->declared);
        free(t->later);
        free(t->members);
        free(t->children);
        t->worker->n_tasks--;
        free(t);
}

static void group_free(Task *root) {
        attempt_cancel(root);
        group_unwatch(root);
        list_leave(root);
        if (root->key && map_get(root->worker->by_key, root->key) == root)
                (void) map_remove(root->worker->by_key, root->key);
        task_free(root);
}

static void group_unregister(Task *t) {
        task_unregister(t);
        for (size_t i = 0; i < t->n_children; i++)
                group_unregister(t->children[i]);
}

/* The group goes on, but the engine has to put an equal one for it to stay. */
static void group_orphan(Task *root) {
        attempt_cancel(root);
        if (!root->key) {
                group_free(root);
                return;
        }
        root->told_changed = false;
        list_leave(root);
        group_unregister(root);
}

/* ---- putting ---- */

static int task_new(Worker *w, uint32_t id, Task **ret) {
        Task *t;
        int r;

        if (w->n_tasks >= TASKS_MAX)
                return -E2BIG;
        t = calloc(1, sizeof(*t));
        if (!t)
                return -ENOMEM;
        t->worker = w;
        w->n_tasks++;
        r = task_register(t, id);
        if (r < 0) {
                task_free(t);
                return r;
        }
        *ret = t;
        return 0;
}

static int fill_resource(Task *t, ResourceSpec *spec, Diag *reterr) {
        Worker *w = t->worker;
        const ResourceType *type;
        int r;

        type = resource_type_find(w->types, spec->kind);        /* the wire knows no NULL names */
        if (!type)
                return diag_set(reterr, spec->pos, -ENOENT, "there is no kind '%s' here", spec->kind);
        r = resource_new(&t->resource, type, &w->host, spec->name, spec->pos);
        if (r < 0)
                return diag_set(reterr, spec->pos, r, "cannot make %s[%s]: %m", spec->kind, spec->name);
        t->resource->vertex = t;

        meta_done(&t->resource->meta);
        t->resource->meta = spec->meta;
        meta_init(&spec->meta);
        for (size_t i = 0; i < spec->n_fields; i++) {
                r = resource_set(t->resource, spec->fields[i].name, spec->fields[i].value, reterr);
                if (r < 0)
                        return diag_set(reterr, spec->pos, r, "cannot set field '%s': %m", spec->fields[i].name);
        }
        return resource_validate(t->resource, reterr);
}

/* Whether the kinds say that one may be grouped into the other; a parent relies on what its children are. */
static bool may_hold(const Resource *parent, const Resource *child) {
        const ResourceType *p = parent->type, *c = child->type;
        const char *rest;

        if (p == c)
                return c->groups && c->groups(parent, child);
        rest = startswith(c->kind, p->kind);
        return c->parent_field && rest && rest[0] == ':' && !strchr(rest + 1, ':');
}

static int join_parent(Task *t, uint32_t parent_id, Pos pos, Diag *reterr) {
        Task *parent = task_find(t->worker, parent_id);
        unsigned depth = 1;
        int r;

        if (!parent || parent == t)
                return diag_set(reterr, pos, -ENOENT, "the resource it is grouped into is not here");
        if (root_of(parent)->members)
                return diag_set(reterr, pos, -EBUSY, "the resource it is grouped into runs already without it");
        for (Task *p = parent; p; p = p->parent)
                depth++;
        if (depth > GROUP_DEPTH_MAX)
                return diag_set(reterr, pos, -ELOOP, "groups are nested too deeply, at most %d are allowed", GROUP_DEPTH_MAX);

        r = GROW(parent->children, parent->n_children, parent->capacity_children);
        if (r < 0)
                return diag_set(reterr, pos, r, "cannot group: %m");
        if (parent->resource && t->resource) {
                if (!may_hold(parent->resource, t->resource))
                        return diag_set(reterr, pos, -EINVAL, "'%s' cannot be grouped into '%s'", t->resource->type->kind,
                                        parent->resource->type->kind);
                r = resource_add_child(parent->resource, t->resource);
                if (r < 0)
                        return diag_set(reterr, pos, r, "cannot group: %m");
                t->covered = parent->covered || (parent->resource->type->flags & RESOURCE_RUNS_CHILDREN);
        }
        parent->children[parent->n_children++] = t;
        t->parent = parent;
        return 0;
}

/* Why a resource cannot be run is told when the engine asks for its watch or a check. It asks this of roots only, so a group that
 * lacks a part cannot be run at all. */
static void put_failed(Worker *w, Task *t, uint32_t parent_id, const ResourceSpec *spec, Diag *diag) {
        Task *parent = parent_id == NO_PARENT ? NULL : task_find(w, parent_id);
        Task *root = parent && parent != t ? root_of(parent) : NULL;

        if (parent_id != NO_PARENT) {
                (void) diag_prefix(diag, "%s[%s]", spec->kind, spec->name);
                if (!root || root->members)
                        answer_watch_failed(w, t->id, diag->error, diag);
                else if (root->failed.error == 0 && diag_copy(&root->failed, diag) < 0)
                        root->failed.error = diag->error;
        }
        diag_move(&t->failed, diag);
}

static void task_put(Worker *w, uint32_t id, uint32_t parent_id, ResourceSpec *spec) {
        _cleanup_(diag_done) Diag diag = {};
        Task *old, *t;
        int r, e = 0;

        old = task_find(w, id);
        if (old)
                group_orphan(root_of(old));

        r = task_new(w, id, &t);
        if (r < 0) {
                (void) diag_set(&diag, spec->pos, r, "cannot take %s[%s]: %m", spec->kind, spec->name);
                answer_watch_failed(w, id, r, &diag);
                return;
        }
        r = fill_resource(t, spec, &diag);
        if (parent_id != NO_PARENT)
                e = join_parent(t, parent_id, spec->pos, &diag);
        if (!t->parent)
                list_enter(t, &w->unsettled);
        if (r < 0 || e < 0) {
                (void) diag_set(&diag, spec->pos, r < 0 ? r : e, "cannot make %s[%s]: %m", spec->kind, spec->name);
                put_failed(w, t, parent_id, spec, &diag);
        }
}

/* ---- settling: the group is complete ---- */

static size_t group_size(const Task *t) {
        size_t n = 1;

        for (size_t i = 0; i < t->n_children; i++)
                n += group_size(t->children[i]);
        return n;
}

static void group_list(Task *t, Task *root) {
        for (size_t i = 0; i < t->n_children; i++)
                group_list(t->children[i], root);
        root->members[root->n_members++] = t;
}

/* The new task takes over what the old one received, so that they can be compared: a received value does not make a resource
 * another one. False if they were declared differently. */
static bool borrow_received(const Task *old, Task *t) {
        for (t->n_borrowed = 0; t->n_borrowed < old->n_declared; t->n_borrowed++) {
                _cleanup_(value_done) Value declared = {}, received = {};
                const Declared *d = &old->declared[t->n_borrowed];

                if (field_get(d->field, t->resource, &declared) < 0 || !value_equal(declared, d->value) ||
                    field_get(d->field, old->resource, &received) < 0 || field_set(d->field, t->resource, received, NULL) < 0)
                        return false;
        }
        return true;
}

static int return_borrowed(const Task *old, Task *t) {
        int r = 0;

        for (; t->n_borrowed > 0; t->n_borrowed--) {
                const Declared *d = &old->declared[t->n_borrowed - 1];

                if (field_set(d->field, t->resource, d->value, NULL) < 0)
                        r = -ENOMEM;
        }
        return r;
}

static bool same_shape(const Task *old, const Task *t) {
        if (old->resource->type != t->resource->type || !streq(old->resource->name, t->resource->name) ||
            old->n_children != t->n_children)
                return false;
        for (size_t i = 0; i < t->n_children; i++)
                if (!same_shape(old->children[i], t->children[i]))
                        return false;
        return true;
}

static bool group_equal(const Task *old, Task *t) {
        const char *field = NULL;
        bool equal;

        equal = same_shape(old, t);
        if (!equal)
                return false;
        for (size_t i = 0; i < t->n_members && equal; i++)
                equal = borrow_received(old->members[i], t->members[i]);
        equal = equal && resource_equal(old->resource, t->resource, &field);
        if (equal)
                return true;
        for (size_t i = 0; i < t->n_members; i++)
                if (return_borrowed(old->members[i], t->members[i]) < 0)
                        (void) diag_set(&t->failed, t->resource->pos, -ENOMEM, "cannot take the place of what ran before: %m");
        return false;
}

static int group_adopt(Task *old, Task *t) {
        for (size_t i = 0; i < t->n_members; i++) {
                Task *from = t->members[i], *to = old->members[i];
                Pos pos = to->resource->pos;
                uint32_t id = from->id;
                int r;

                task_unregister(from);
                r = task_register(to, id);
                if (r < 0)
                        return r;
                to->resource->pos = from->resource->pos;        /* the statement may have moved */
                from->resource->pos = pos;
        }
        return 0;
}

/* Completes the group. Returns the root that stands for it from now on: itself, or the equal one that was here before. */
static Task *group_settle(Task *root) {
        Worker *w = root->worker;
        Task *old;

        if (root->members)
                return root;
        list_enter(root, &w->roots);
        root->members = calloc(group_size(root), sizeof(Task *));
        if (!root->members) {
                (void) diag_set(&root->failed, (Pos) {}, -ENOMEM, "cannot complete the group: %m");
                return root;
        }
        group_list(root, root);
        if (!root->resource)
                return root;

        root->key = resource_id(root->resource);
        if (!root->key) {
                (void) diag_set(&root->failed, root->resource->pos, -ENOMEM, "cannot complete the group: %m");
                return root;
        }
        old = map_get(w->by_key, root->key);
        if (old && root->failed.error == 0 && old->failed.error == 0 && group_equal(old, root)) {
                attempt_cancel(old);
                group_unregister(old);
                if (group_adopt(old, root) >= 0) {
                        list_enter(old, &w->roots);
                        group_free(root);
                        return old;
                }
                (void) diag_set(&root->failed, root->resource->pos, -ENOMEM, "cannot take the place of what ran before: %m");
        }
        if (old)
                group_free(old);
        if (map_put(w->by_key, root->key, root) < 0)
                (void) diag_set(&root->failed, root->resource->pos, -ENOMEM, "cannot complete the group: %m");
        return root;
}

/* The root of the group with this id, complete; NULL if there is none. */
static Task *group_find(Worker *w, uint32_t id) {
        Task *t = task_find(w, id);

        return t && !t->parent ? group_settle(t) : NULL;
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
        r = group_prepare(root, reterr);
        if (r < 0)
                return r;
        for (size_t i = 0; i < root->n_members; i++) {
                r = member_watch(root->members[i], reterr);
                if (r < 0) {
                        group_unwatch(root);
                        return r;
                }
        }
        tell_if_armed(root);
        return 0;
}

static void task_watch(Worker *w, uint32_t id) {
        _cleanup_(diag_done) Diag diag = {};
        Task *root = group_find(w, id);
        int r;

        r = root ? group_watch(root, &diag) : no_such_group(w, id, &diag);
        if (r < 0)
                answer_watch_failed(w, id, r, &diag);
}

/* ---- received fields ---- */

static int note_bad(Task *t, const char *field, Diag *diag) {
        char *copy;

        copy = strdup(field);
        if (copy) {
                free(t->bad_field);
                t->bad_field = copy;
        }
        diag_move(&t->bad, diag);
        return t->bad.error;
}

static int remember_declared(Task *t, const FieldSpec *f, Value *v) {
        for (size_t i = 0; i < t->n_declared; i++)
                if (t->declared[i].field == f)
                        return 0;
        if (GROW(t->declared, t->n_declared, t->capacity_declared) < 0)
                return -ENOMEM;
        t->declared[t->n_declared++] = (Declared) { .field = f, .value = value_take(v) };
        return 0;
}

/* A value that does not fit, by itself or together with the others, makes every attempt fail until a better one comes. */
static void receive_field(Task *t, const char *name, Value v) {
        _cleanup_(value_done) Value before = {}, after = {};
        _cleanup_(diag_done) Diag diag = {};
        Resource *r = t->resource;
        const FieldSpec *f = field_find(r->type->fields, name);
        int e;

        if (!f) {
                (void) diag_set(&diag, r->pos, -ENOENT, "'%s' has no field '%s' that could receive", r->type->kind, name);
                (void) note_bad(t, name, &diag);
                return;
        }
        e = field_get(f, r, &before);
        if (e >= 0)
                e = resource_set(r, name, v, &diag);
        if (e >= 0)
                e = field_get(f, r, &after);
        if (e >= 0 && !value_equal(before, after)) {
                size_t i = (size_t) (f - r->type->fields);

                if (i < 64)
                        r->received |= UINT64_C(1) << i;
                e = remember_declared(t, f, &before);
        }
        if (e < 0) {
                (void) diag_set(&diag, r->pos, e, "cannot receive field '%s': %m", name);
                (void) note_bad(t, name, &diag);
                return;
        }

        if (t->bad.error < 0 && t->bad_field && !streq(t->bad_field, "") && !streq(t->bad_field, name))
                return;
        diag_done(&t->bad);
        if (resource_validate(r, &diag) < 0)
                (void) note_bad(t, "", &diag);
}

static void receive_later(Task *t, char **name, Value *v) {
        for (size_t i = 0; i < t->n_later; i++)
                if (streq(t->later[i].name, *name)) {
                        value_done(&t->later[i].value);
                        t->later[i].value = value_take(v);
                        return;
                }
        if (t->n_later >= fields_count(t->resource->type->fields) || GROW(t->later, t->n_later, t->capacity_later) < 0)
                return;         /* more fields than there are: the rest has no effect */
        t->later[t->n_later++] = (FieldValue) { .name = TAKE_PTR(*name), .value = value_take(v) };
}

static void task_set(Worker *w, uint32_t id, char **field, Value *v) {
        Task *t = task_find(w, id), *root;

        if (!t || !*field)
                return;
        root = group_settle(root_of(t));
        t = task_find(w, id);           /* the group may have been replaced by an orphan */
        if (!t || !t->resource || root->failed.error < 0)
                return;
        if (root->running)
                receive_later(t, field, v);
        else
                receive_field(t, *field, *v);
}

/* ---- attempts ---- */

static void attempt_end(Task *root, int result, Diag *diag) {
        root->running = false;
        for (size_t i = 0; i < root->n_members; i++) {
                Task *t = root->members[i];

                if (result >= 0)
                        t->resource->received = 0;
                for (size_t k = 0; k < t->n_later; k++)
                        receive_field(t, t->later[k].name, t->later[k].value);
                later_clear(t);
        }
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

static void task_check(Worker *w, uint32_t id, uint32_t attempt, bool apply, bool refresh) {
        _cleanup_(diag_done) Diag diag = {};
        Task *root = group_find(w, id);
        int r;

        if (!root)
                r = no_such_group(w, id, &diag);
        else {
                attempt_cancel(root);   /* nobody waits for the one before any more */
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
        attempt_continue(root);
}

static void task_cancel(Worker *w, uint32_t id, uint32_t attempt) {
        Task *root = group_find(w, id);

        if (!root || !root->running || root->attempt != attempt)
                return;
        attempt_cancel(root);
        for (size_t i = 0; i < root->n_members; i++) {
                Task *t = root->members[i];

                for (size_t k = 0; k < t->n_later; k++)
                        receive_field(t, t->later[k].name, t->later[k].value);
                later_clear(t);
        }
}

/* ---- what kinds call ---- */

static void host_changed(Resource *r) {
        Task *t = r->vertex;
        Task *root = root_of(t);

        if (root->told_changed || !root->registered)
                return;
        root->told_changed = true;
        answer(root->worker, &(Message) { .type = MESSAGE_TASK_CHANGED, .task_changed.id = root->id });
}

static void host_armed(Resource *r) {
        Task *t = r->vertex;
        Task *root = root_of(t);

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
        Task *root = root_of(t);

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
        Task *root = root_of(t);

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

        t = root_of(t);
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
        const char *name = startswith(program_invocation_short_name, "mgmt-");
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
        answer(w, &(Message) {
                        .type = MESSAGE_WELCOME,
                        .welcome = {
                                .daemon = (char *) (name ?: program_invocation_short_name),
                                .version = (char *) MGMT_VERSION,
                        },
                });
}

static void task_sync(Worker *w) {
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
                answer_error(c, peer, -EPERM, "only the engine that said HELLO last may give tasks");
                return true;
        }

        switch (m->type) {

        case MESSAGE_TASK_PUT:
                task_put(w, m->task_put.id, m->task_put.parent, &m->task_put.resource);
                break;

        case MESSAGE_TASK_SYNC:
                task_sync(w);
                break;

        case MESSAGE_TASK_REMOVE: {
                /* A grouped one goes with its root: what runs cannot lose a part. */
                Task *t = task_find(w, m->task_remove.id);

                if (t && !t->parent)
                        group_free(t);
                break;
        }

        case MESSAGE_TASK_WATCH:
                task_watch(w, m->task_watch.id);
                break;

        case MESSAGE_TASK_UNWATCH: {
                Task *root = group_find(w, m->task_unwatch.id);

                if (root)
                        group_unwatch(root);
                break;
        }

        case MESSAGE_TASK_CHECK:
                task_check(w, m->task_check.id, m->task_check.attempt, m->task_check.apply, m->task_check.refresh);
                break;

        case MESSAGE_TASK_CANCEL:
                task_cancel(w, m->task_cancel.id, m->task_cancel.attempt);
                break;

        case MESSAGE_TASK_SET:
                task_set(w, m->task_set.id, &m->task_set.field, &m->task_set.value);
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
                .log = host_log,
                .exit_requested = host_exit_requested,
        };

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
        while ((t = w->unsettled ?: w->roots))
                group_free(t);
        while (map_next(w->by_key, &i, NULL, &orphan))
                group_free(orphan);
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
