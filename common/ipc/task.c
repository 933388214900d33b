/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Making and replacing tasks. A group is complete ("settled") when the first message after its TASK_PUTs asks something of it.
 * Only then is it compared with the one of the same kind and name that is here already, often an "orphan" of an earlier session
 * of the engine: if all of it is equal, the old group takes the place of the new one and was never interrupted; otherwise it is
 * ended before the new one is watched. */

#include <inttypes.h>

#include "common/ipc/task.h"

enum {
        TASKS_MAX = 1024 * 1024,
        GROUP_DEPTH_MAX = 8,
};

Task *task_root(Task *t) {
        while (t->parent)
                t = t->parent;
        return t;
}

Task *task_find(Worker *w, uint32_t id) {
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

void group_cancel(Task *root) {
        Task *t;

        if (!root->running)
                return;
        root->running = false;
        t = root->members[root->step];
        if (t->resource->type->cancel)
                t->resource->type->cancel(t->resource);
}

void group_unwatch(Task *root) {
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

void group_free(Task *root) {
        group_cancel(root);
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

void group_orphan(Task *root) {
        group_cancel(root);
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
        return parent->type == child->type ? resource_groups(parent, child) : resource_type_is_parent(parent->type, child->type);
}

static int join_parent(Task *t, uint32_t parent_id, Pos pos, Diag *reterr) {
        Task *parent = task_find(t->worker, parent_id);
        unsigned depth = 1;
        int r;

        if (!parent || parent == t)
                return diag_set(reterr, pos, -ENOENT, "the resource it is grouped into is not here");
        if (task_root(parent)->members)
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

/* A group that lacks a part cannot be run at all. */
static int put_failed(Task *t, uint32_t parent_id, const ResourceSpec *spec, Diag *diag, Diag *reterr) {
        Task *parent = parent_id == NO_PARENT ? NULL : task_find(t->worker, parent_id);
        Task *root = parent && parent != t ? task_root(parent) : NULL;
        int r = diag->error;

        if (parent_id == NO_PARENT) {
                diag_move(&t->failed, diag);
                return 0;
        }
        (void) diag_prefix(diag, "%s[%s]", spec->kind, spec->name);
        if (diag_copy(&t->failed, diag) < 0)
                t->failed.error = r;
        if (!root || root->members) {
                diag_move(reterr, diag);
                return r;
        }
        if (root->failed.error == 0)
                diag_move(&root->failed, diag);
        return 0;
}

int task_put(Worker *w, uint32_t id, uint32_t parent_id, ResourceSpec *spec, Diag *reterr) {
        _cleanup_(diag_done) Diag diag = {};
        Task *old, *t;
        int r, e = 0;

        old = task_find(w, id);
        if (old)
                group_orphan(task_root(old));

        r = task_new(w, id, &t);
        if (r < 0)
                return diag_set(reterr, spec->pos, r, "cannot take %s[%s]: %m", spec->kind, spec->name);
        r = fill_resource(t, spec, &diag);
        if (parent_id != NO_PARENT)
                e = join_parent(t, parent_id, spec->pos, &diag);
        if (!t->parent)
                list_enter(t, &w->unsettled);
        if (r >= 0 && e >= 0)
                return 0;
        (void) diag_set(&diag, spec->pos, r < 0 ? r : e, "cannot make %s[%s]: %m", spec->kind, spec->name);
        return put_failed(t, parent_id, spec, &diag, reterr);
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

Task *group_settle(Task *root) {
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
                group_cancel(old);
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
        if (map_put(w->by_key, root->key, root) < 0) {
                (void) diag_set(&root->failed, root->resource->pos, -ENOMEM, "cannot complete the group: %m");
                free(TAKE_PTR(root->key));      /* those with a key can be found by it */
        }
        return root;
}

Task *group_find(Worker *w, uint32_t id) {
        Task *t = task_find(w, id);

        return t && !t->parent ? group_settle(t) : NULL;
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

void task_receive(Worker *w, uint32_t id, char **field, Value *v) {
        Task *t = task_find(w, id), *root;

        if (!t || !*field)
                return;
        root = group_settle(task_root(t));
        t = task_find(w, id);           /* the group may have been replaced by the one before it */
        if (!t || !t->resource || root->failed.error < 0)
                return;
        if (root->running)
                receive_later(t, field, v);
        else
                receive_field(t, *field, *v);
}

void group_receive_waiting(Task *root) {
        for (size_t i = 0; i < root->n_members; i++) {
                Task *t = root->members[i];

                for (size_t k = 0; k < t->n_later; k++)
                        receive_field(t, t->later[k].name, t->later[k].value);
                later_clear(t);
        }
}
