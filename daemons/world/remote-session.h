/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* One `mgmt-ssh agent`, a child that speaks SSH with one host (docs/remote.md). So neither libssh nor whatever another host does to it
 * is in this process; and to end the child ends all of it. */

#include <stdbool.h>
#include <stdint.h>

#include "common/diag.h"
#include "common/macro.h"

typedef struct sd_event sd_event;
typedef struct RemoteSession RemoteSession;

typedef enum SessionNews {
        SESSION_RUNNING,        /* what shall run there runs: already, if the session is to start it */
        SESSION_STARTED,        /* it was started */
        SESSION_WAS,            /* it runs, or ran until it was stopped */
        SESSION_IDLE,           /* nothing ran there */
        _SESSION_NEWS_MAX,
} SessionNews;

/* Either may free the session. Texts are for people, and there until the function returns, session or not. */
typedef struct SessionOps {
        void (*news)(SessionNews news, const char *text, void *userdata);
        void (*ended)(const char *problem, void *userdata);     /* once; NULL: well */
} SessionOps;

typedef struct SessionSpec {
        const char *verb;               /* run, start, look or stop */
        const char *resource;           /* whose directory there it is */
        const char *target;             /* [NAME=]USER@HOST:PORT */
        const char *identity;           /* path of a key; NULL: the usual ones */
        const char *host_key;           /* NULL: none but those of known_hosts */
        const char *password;           /* NULL: none */
        bool no_keys, keep, deps, direct;
        int64_t converger_timeout;      /* seconds; negative: none */
        const char *store;              /* of the cluster, as MGMT_STORE has it; NULL: not needed */
} SessionSpec;

/* Nothing of the spec is needed afterwards. */
int remote_session_new(RemoteSession **ret, sd_event *event, const SessionSpec *spec, const SessionOps *ops, void *userdata, Diag *reterr);
RemoteSession *remote_session_free(RemoteSession *s);   /* cuts the connection */
DEFINE_CLEANUP(RemoteSession *, remote_session_free)

/* The same, but what was run there gets so long to end. */
RemoteSession *remote_session_release(RemoteSession *s, uint64_t grace_usec);
