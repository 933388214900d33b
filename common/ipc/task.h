/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The resources of a Worker, as trees. Only worker.c uses it.
 *
 * Every resource is a Task; a resource and those grouped into it are a tree of tasks, a group, that is put, watched, checked and
 * removed as a whole, by the messages for its root. */

#include <stdbool.h>
#include <stdint.h>

#include "common/ipc/channel.h"
#include "common/map.h"
#include "common/resource.h"

#define NO_PARENT UINT32_MAX

typedef struct Task Task;
typedef struct SourceServer SourceServer;
typedef struct Worker Worker;

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
        Channel *listener;      /* its own, by worker_serve(); else NULL */
        SourceServer *sources;  /* the same */
        PeerId engine;
        Map *by_id;
        Map *by_key;            /* "kind[name]" → Task: the settled roots. Those that are not registered are orphans */
        Task *roots;            /* the settled ones of this session */
        Task *unsettled;
        unsigned n_tasks;
};

Task *task_root(Task *t);
Task *task_find(Worker *w, uint32_t id);        /* NULL if there is none */

/* Takes what it needs out of spec. That it cannot be run is kept for the question about the root of its group; a failure is
 * returned only if nobody will ask, and has to be told at once. */
int task_put(Worker *w, uint32_t id, uint32_t parent_id, ResourceSpec *spec, Diag *reterr);

/* Completes a group. Returns the root that stands for it from now on: itself, or the equal one that was here before. */
Task *group_settle(Task *root);

Task *group_find(Worker *w, uint32_t id);       /* the root of a group, settled; NULL if id is none */
void group_unwatch(Task *root);
void group_cancel(Task *root);                  /* the attempt under way, if there is one */
void group_free(Task *root);

/* The group goes on, but the engine has to put an equal one for it to stay. */
void group_orphan(Task *root);

/* A value that does not fit, by itself or together with the others, makes every attempt fail (Task.bad) until a better one comes.
 * What comes during an attempt waits for its end. */
void task_receive(Worker *w, uint32_t id, char **field, Value *v);
void group_receive_waiting(Task *root);
