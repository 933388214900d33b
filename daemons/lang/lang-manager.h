/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What mgmt-lang is: one program in force, at most one that is to replace it, and links to those who need to know. */

#include <stdbool.h>
#include <stdint.h>

#include "common/diag.h"
#include "common/schema.h"
#include "common/value.h"
#include "daemons/lang/deploy-guard.h"
#include "daemons/lang/deploy-report.h"
#include "daemons/lang/deployed.h"
#include "daemons/lang/sources.h"

typedef struct Daemon Daemon;
typedef struct EngineLink EngineLink;
typedef struct Manager Manager;
typedef struct Remote Remote;
typedef struct WorldLink WorldLink;
typedef struct sd_event sd_event;

/* Told once, when it is decided: error 0, or negative errno with a message in d. */
typedef void (*change_done_t)(void *userdata, int error, uint64_t deploy, const Diag *d);

/* A program on its way to be the one in force: compiled → all its values are there → offered to the engine → accepted →
 * (stored by mgmt-world). */
typedef struct Change {
        Deployed *program;       /* NULL once it is in force */
        bool store;             /* it is to be kept in mgmt-world */
        change_done_t done;
        void *userdata;
} Change;

/* Somebody who waits until it is known which program the engine runs. */
typedef struct DecisionWaiter {
        void (*decided)(Manager *m, void *userdata);
        void *userdata;
} DecisionWaiter;

enum { DECISION_WAITERS_MAX = 64 };

/* A deploy that appeared while a change was under way; id 0: none. */
typedef struct Deploy {
        uint64_t id;
        Value bundle;
        DeployOptions options;
} Deploy;

/* What has become of the graph, as the engine said last. */
typedef struct GraphState {
        uint64_t generation;    /* 0: it has said nothing */
        bool converged;
        uint32_t n_failed;      /* resources that were given up */
        char *text;             /* of one of them */
} GraphState;

/* The last deploy that could not be put in force. */
typedef struct Refusal {
        uint64_t deploy;        /* 0: none */
        char *text;
} Refusal;

struct Manager {
        Daemon *daemon;         /* NULL in tests */
        sd_event *event;
        Schema *schema;
        char *hostname, *state_dir;
        DeployedHost programs;

        DeployGuard guard;      /* lets everybody in, until deploy_guard_init() */
        Deployed *current;      /* in force; NULL if there is none */
        Change change;          /* done is NULL if there is none */
        Deploy later;
        uint64_t trying;        /* the deploy that the last change was for, if it came from mgmt-world */
        char *last_error;       /* of the last attempt to change it; NULL if it went well */
        Refusal refused;
        GraphState graph;
        uint64_t in_force_since;        /* generation with which the engine accepted it; UINT64_MAX: not yet */
        DeployReport report;    /* the last one */
        uint64_t generation;    /* of the last set of graph changes that was sent */
        const Deployed *sent;    /* whose it was; NULL if that program is gone */

        EngineLink *engine;     /* made with the first program */
        WorldLink *world;       /* NULL until deploys or its functions matter */
        Remote *http;           /* NULL until its functions matter */
        SourceShare share;      /* of the functions that look outside */
        DecisionWaiter waiters[DECISION_WAITERS_MAX];
        unsigned n_waiters;
};

int manager_new(Manager **ret, sd_event *event, const char *hostname);
Manager *manager_free(Manager *m);
DEFINE_CLEANUP(Manager *, manager_free)

/* Compiles only. Takes over the bundle and the options. */
int manager_check(Manager *m, Value bundle, DeployOptions *options, Diag *reterr);

/* Makes a program the one in force. Errors that show at once are returned; later ones go to done. The program before stays in
 * force until the engine has accepted the new one; one that was on its way is dropped (-ESTALE). deploy: its id if it comes
 * from mgmt-world, else 0. Takes over the bundle and the options. -EBUSY while another is being stored. */
int manager_change(Manager *m, Value bundle, DeployOptions *options, uint64_t deploy, bool store,
                   change_done_t done, void *userdata, Diag *reterr);

/* The end of the change under way, whichever it is: error 0, or negative errno with its message in d. */
void manager_change_finish(Manager *m, int error, Diag *d);

/* While an engine has a change and has not answered, it may run the program before or already the new one. 1: decided() is called, once,
 * when it has answered, or at the end of the manager. 0: nothing is open, and nobody is called; -EBUSY: too many wait. */
int manager_wait_decision(Manager *m, void (*decided)(Manager *m, void *userdata), void *userdata);

/* Follows the deploys that mgmt-world has. */
int manager_watch_deploys(Manager *m);

/* ---- for the links ---- */

/* The program that the engine shall have: the one on its way, else the one in force. NULL: none that has a graph. */
Deployed *manager_offered(Manager *m);

void manager_accepted(Manager *m, uint64_t generation);
void manager_rejected(Manager *m, uint64_t generation, Diag *d);
void manager_graph_state(Manager *m, uint64_t generation, bool converged, uint32_t n_failed, const Diag *d);
void manager_stored(Manager *m, uint64_t deploy, Diag *d);      /* deploy 0: it failed */
void manager_deployed(Manager *m, uint64_t deploy, Value bundle, Value options);        /* another one appeared; borrowed */

/* What is asked of that daemon (a literal); connects to it if need be. */
int manager_remote(Manager *m, const char *daemon, Remote **ret);

/* ---- the bus face (lang-bus.c) ---- */

int manager_export(Manager *m);
void manager_emit_changed(Manager *m);
