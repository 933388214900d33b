/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The contract between a kind of resource and the daemon that hosts it. A kind is one file, kind-<kind>.c: a struct that
 * begins with a Resource, its field table, its hooks, and one ResourceType at the end. What each hook promises stands at its
 * member below; this is the page to read.
 *
 * Two hosts implement the other side (ResourceHost): mgmt-engine for its own kinds, and common/ipc/worker.c in the daemons
 * that host kinds for it. A kind cannot tell them apart, and the engine treats both alike.
 *
 * The life of a resource:
 *
 *      init → fields are stored → validate → [prepare] → watch … armed → check_apply ⇄ changed … → unwatch → done
 *
 * Nothing is checked before the watch is armed, so that no change can fall between the two. One check_apply runs at a time
 * per resource, and never before all predecessors in the graph have succeeded. watch, on the other hand, starts at once and
 * in any order: a kind that needs a service which another resource brings up reports resource_waiting() from watch or from
 * check_apply until the service is there. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/diag.h"
#include "common/difference.h"
#include "common/field.h"
#include "common/meta.h"
#include "common/value.h"

typedef struct sd_event sd_event;
typedef struct Resource Resource;
typedef struct EdgeRule EdgeRule;
typedef struct ResourceHost ResourceHost;
typedef struct ResourceType ResourceType;

/* What an attempt came to. Errors are negative errno beside it. */
typedef enum CheckResult {
        CHECK_OK,               /* was right already; nothing was done */
        CHECK_CHANGED,          /* was wrong: now repaired; or, with apply false, would have to be */
        CHECK_PENDING,          /* goes on; resource_finish() will follow, once */
} CheckResult;

typedef enum ResourceFlags {
        RESOURCE_REFRESHABLE    = 1 << 0,       /* a notification forces check_apply, which may ask resource_refresh() */
        RESOURCE_RECEIVES       = 1 << 1,       /* other resources may send into its fields */
        RESOURCE_RUNS_CHILDREN  = 1 << 2,       /* its check_apply covers the grouped ones; else the host runs each of them
                                                 * first, in order, then the parent */
        RESOURCE_NEEDS_POLL     = 1 << 3,       /* only with Meta:poll */
        RESOURCE_REFUSES_POLL   = 1 << 4,       /* never with Meta:poll */
} ResourceFlags;

/* Autoedge: what a resource is, or wants to come before it (or after it). Two match if domain and key are equal; the domain is
 * a word such as "file", "user" or "svc". */
typedef struct ResourceUid {
        char *id;               /* domain, NUL, key, of id_size without the last NUL; owned, with room for more */
        size_t id_size, room;
        const char *domain;     /* = id */
        const char *key;        /* in id */
        bool after;             /* wanted ones: the match comes after me; normally it comes before */
        bool fallback;          /* wanted ones: only if the one before it was asked for and had no match */
} ResourceUid;

typedef struct ResourceUids {
        ResourceUid *items;
        size_t n, capacity;
        size_t n_made;          /* items that have an id; those from n on wait to be used again */
        bool go_on;             /* wanted ones: a match among these does not end the asking */
} ResourceUids;

int resource_uids_add(ResourceUids *uids, const char *domain, const char *key, bool after);
int resource_uids_add_n(ResourceUids *uids, const char *domain, const char *key, size_t size, bool after);
void resource_uids_clear(ResourceUids *uids);   /* keeps its memory for the next ones */
void resource_uids_done(ResourceUids *uids);

/* First member of every kind's struct. The host fills it; a kind reads it. */
struct Resource {
        const ResourceType *type;
        ResourceHost *host;
        char *name;             /* owned */
        Pos pos;                /* the statement it comes from; pos.file is owned by this resource */
        Meta meta;
        Resource *parent;       /* the one it is grouped into, or NULL */
        Resource **children;    /* grouped into it, in order; the array is owned, the elements are not */
        size_t n_children;
        uint64_t given;         /* bit i: field i was set by the declaration */
        uint64_t received;      /* bit i: field i was received and changed since the last successful attempt */
        uint64_t secret;        /* bit i: what is in field i was received, and is a secret of its sender */
        bool applies;           /* the attempt under way may change things */
        void *vertex;           /* the host's own */
};

/* The daemon's side. Kinds use the functions below rather than these members, but for the first three. */
struct ResourceHost {
        sd_event *event;        /* the daemon's loop; kinds attach their sources to it */
        void *manager;          /* the daemon's Manager, for what its kinds share (a store, a connection) */
        const char *hostname;   /* this host's name in the cluster */
        const char *state_dir;  /* where this daemon may keep state, without trailing slash */
        bool only_looks;        /* no attempt applies, and what is in state_dir belongs to somebody else: it is only read */

        void (*changed)(Resource *r);
        void (*armed)(Resource *r);
        void (*watch_failed)(Resource *r, int error, Diag *diag);
        void (*finished)(Resource *r, int result, Diag *diag);
        void (*waiting)(Resource *r, const char *reason);
        bool (*refresh)(const Resource *r);
        int (*send)(Resource *r, const char *key, Value v);
        void (*differs)(Resource *r, Difference *d);    /* takes the content of d */
        void (*log)(Resource *r, int priority, const char *text);
        void (*exit_requested)(Resource *r, int code);
};

struct ResourceType {
        const char *kind;       /* "file", "http:server:file" */
        const char *doc;
        const char *example;    /* a complete statement in mcl, for the manual; its tests run it */
        size_t size;            /* of the struct that begins with Resource */
        unsigned flags;
        const FieldSpec *fields;        /* ends with an empty row */
        const FieldSpec *sends;         /* what it sends: name, type, doc; offsets unused. NULL: cannot send */

        /* Grouping. A resource of kind "a:b:c" can be grouped into one of kind "a:b", or of the kind that is named here, of the same
         * daemon, if the field named here is empty or equals the parent's name. */
        const char *parent_field;
        const char *parent_kind;
        /* Grouping of equals: whether child may be grouped into parent, both of this very kind. A kind of the engine says so by a
         * hook; one of another daemon, of which the engine has the description only, by the names of its str fields, with blanks
         * between them, in which the two must agree. One of the two, if any. */
        bool (*groups)(const Resource *parent, const Resource *child);
        const char *groups_by;

        /* Sets defaults that a FieldSpec row cannot say. The struct is zeroed, fields_init() has run. */
        int (*init)(Resource *r);

        /* Frees what the kind itself allocated (fields are freed by the host). Called once, also after a failed init or
         * validate; must accept every state in between. What watch has made, unwatch was called for; a watch that check_apply made
         * (its resource may be polled, and never watched) is to be freed here. */
        void (*done)(Resource *r);

        /* Pure check of the fields: touches nothing outside and does not allocate. Also called after fields were received. */
        int (*validate)(const Resource *r, Diag *reterr);

        /* Before the first watch, with name, fields, parent and children in place. May do local work (a snapshot, a path put
         * together); must not need any service. Children first. */
        int (*prepare)(Resource *r, Diag *reterr);

        /* Arms what tells about changes from outside and calls resource_armed(), now or later, once. From then on
         * resource_changed() for every possible change; merging is the host's business. A failure, here or later by
         * resource_watch_failed(), is retried under Meta:retry; unwatch is called before. But with -ENOSPC or -EMFILE there is no
         * watch to be had, and the host looks at it from time to time, until there is. NULL: nothing to watch.
         *
         * A service that is not there is no failure: return resource_waiting(), or later resource_watch_failed() with -EAGAIN.
         * The watch is tried again (unwatch first) as soon as the predecessors are right, whenever resource_changed() is called,
         * and now and then anyway. So a kind that can see the service come arms that much before it says so. */
        int (*watch)(Resource *r, Diag *reterr);
        void (*unwatch)(Resource *r);

        /* One attempt: finds out whether the state is right and, if apply is true, makes it so. Returns a CheckResult or
         * negative errno with reterr set. Must not block: anything that waits is a child process or an asynchronous call, and
         * the hook returns CHECK_PENDING. With apply false nothing may change. Must be idempotent: a second call after
         * CHECK_CHANGED gives CHECK_OK. What is found wrong is said with resource_differs(). */
        int (*check_apply)(Resource *r, bool apply, Diag *reterr);

        /* Stops a pending attempt at once (timeout, removal, shutdown). Afterwards the kind must not call
         * resource_finish() for it. Needed by every kind that can return CHECK_PENDING. */
        void (*cancel)(Resource *r);

        /* Whether the running resource a may stay in place of the newly declared b. NULL: all fields are compared. On a
         * difference *ret_field names a field. Where the declaration is the very same, it is asked about a and a. */
        bool (*equal)(const Resource *a, const Resource *b, const char **ret_field);

        /* For kinds that look at others of their kind in the graph (only in the engine): whether r is to be looked at again since other
         * leaves the graph, or becomes another one. other NULL: whether r cares at all. */
        bool (*minds)(const Resource *r, const Resource *other);

        /* Autoedge: what this resource is, and what it wants; wanted batches are numbered from 0 and asked for in turn,
         * until one is empty, or, if first_match_ends, until one had a match (unless it says go_on). Those that only count where
         * the one before is not there can stand in one batch as well (fallback). */
        int (*uids)(const Resource *r, ResourceUids *ret);
        int (*wants)(const Resource *r, unsigned batch, ResourceUids *ret);
        bool first_match_ends;
        const EdgeRule *edges;          /* the same as a table (edge-rule.h): all that the engine knows of kinds elsewhere */

        /* The resource of the same kind and name that would undo this one, with its fields set from the state of the machine
         * now; *ret NULL if there is nothing to undo yet. Called right before an attempt that may change something, as long as
         * there is none. Only with Meta:reverse; a combination of fields that cannot be undone is a matter of validate. */
        int (*reverse)(const Resource *r, Resource **ret, Diag *reterr);
};

/* ---- for kinds ---- */

void resource_changed(Resource *r);     /* something outside may have changed */
void resource_armed(Resource *r);       /* the watch sees changes from now on */
void resource_watch_failed(Resource *r, int error, Diag *diag);         /* takes the content of diag */

/* Ends an attempt that returned CHECK_PENDING: result is a CheckResult or negative errno; takes the content of diag. */
void resource_finish(Resource *r, int result, Diag *diag);

/* Ends an attempt, or watch, differently: what it needs is not there yet (a socket, a service). Returns -EAGAIN, for the hook to
 * return. The attempt does not count as a failure; resource_changed() starts the next. reason is shown to people. */
int resource_waiting(Resource *r, const char *reason);

bool resource_refresh(const Resource *r);       /* whether a notification is pending, during check_apply */
bool resource_received(const Resource *r, const char *field);   /* whether this field was received anew */

/* Publishes one of the values of .sends. To be called in every successful attempt, also where nothing had to change. */
int resource_send(Resource *r, const char *key, Value v);

/* During an attempt, before anything is done about it: this field (or, where none has the name, what the word says) is from and
 * shall be to; NULL is "not there", or "not worth a word". It is what people read of a change, and all that `mgmtctl plan` knows of
 * one that is not made, so with apply false a kind goes on and says all of it. Texts may be long: with apply false they are shown
 * as a diff. Secret fields are kept from everybody's eyes. */
void resource_differs(Resource *r, const char *field, const char *from, const char *to);
void resource_differs_bytes(Resource *r, const char *field, const char *from, size_t from_size, const char *to, size_t to_size);
void resource_differs_value(Resource *r, const char *field, Value from, Value to);      /* nil: not there */
void resource_differs_number(Resource *r, const char *field, uint64_t from, uint64_t to);

/* With apply false: what it sends under this key will be another value, and nobody knows which before the attempt is made. */
void resource_send_unknown(Resource *r, const char *key);

/* A line about this resource, for people. Priority as syslog. Never contains secrets. */
void resource_log(Resource *r, int priority, const char *format, ...) _printf_(3, 4);

/* Records an error at the place of the statement: returns error. Adds ": " and strerror for %m. */
#define resource_error(r, reterr, error, ...) diag_set((reterr), (r)->pos, (error), __VA_ARGS__)

/* The directory where this one resource may keep state, created on demand (mode 0700), with a trailing slash; it survives
 * restarts. Owned by the caller. With ResourceHost.only_looks it may not be there. */
int resource_state_dir(const Resource *r, char **ret);

/* A resource of the same kind, name, fields and metaparameters: what reverse() may begin with. */
int resource_copy(Resource **ret, const Resource *r);

/* ---- for hosts ---- */

/* Creates a resource of the type, with defaults; fields come next. pos.file is copied. */
int resource_new(Resource **ret, const ResourceType *type, ResourceHost *host, const char *name, Pos pos);
Resource *resource_free(Resource *r);
DEFINE_CLEANUP(Resource *, resource_free)

int resource_set(Resource *r, const char *field, Value v, Diag *reterr);        /* as the declaration says */
int resource_store(Resource *r, const FieldSpec *f, Value v, Diag *reterr);     /* as was received, say */
const char *resource_text(const Resource *r, const FieldSpec *f);       /* of a STR field; "" if it is unset */
int resource_validate(const Resource *r, Diag *reterr);         /* name, metaparameters, fields, then the kind's own */
bool resource_equal(const Resource *a, const Resource *b, const char **ret_field);      /* fields, metaparameters, children */
int resource_add_child(Resource *parent, Resource *child);
void resource_difference(Resource *r, Difference *d);   /* one that a kind elsewhere has found; takes the content of d */

char *resource_id(const Resource *r);           /* "kind[name]" */
char *resource_file_name(const char *id);       /* readable, different for different ids, short enough; owned by the caller */

bool resource_groups(const Resource *parent, const Resource *child);    /* by what their kind says of its equals */
bool resource_type_groups(const ResourceType *t);                       /* whether it says anything of them */

/* The kind of this name in a NULL-terminated array, or NULL. */
const ResourceType *resource_type_find(const ResourceType *const *types, const char *kind);

/* The kind into which resources of this one can be grouped by name: its length, 0 if there is none. *ret has no NUL at its end. */
size_t resource_type_parent_kind(const ResourceType *t, const char **ret);
bool resource_type_is_parent(const ResourceType *parent, const ResourceType *child);

/* Refuses tables that break the contract (no doc, a parent field or a parent kind that does not exist, children that nobody can be,
 * two fields of one name). Every daemon begins with it, also when the build asks what kinds it has. */
int resource_types_check(const ResourceType *const *types, Diag *reterr);
