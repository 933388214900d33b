/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A child process on the loop: started in a process group of its own, stdin /dev/null, output captured up to a limit, reaped
 * by pidfd, and killed as a group. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/diag.h"
#include "common/macro.h"
#include "common/strbuf.h"

typedef struct sd_event sd_event;
typedef struct Child Child;

typedef struct ChildSpec {
        char *const *argv;      /* argv[0] is searched in our own PATH if it has no slash */
        char *const *env;       /* the complete environment; NULL: empty */
        const char *cwd;        /* NULL: ours */
        uid_t uid;              /* (uid_t) -1: ours */
        gid_t gid;
        size_t output_max;      /* bytes kept per stream; more is read and dropped */
} ChildSpec;

typedef struct ChildResult {
        int status;             /* exit status, if it exited */
        int signal;             /* or the signal that ended it, else 0 */
        bool truncated;         /* there was more output than output_max */
        StrBuf output;          /* stdout and stderr in order of arrival; data NULL if nothing was ever written */
        StrBuf out, err;
} ChildResult;

typedef void (*child_callback_t)(Child *c, ChildResult *result, void *userdata);

/* exec failures are reported here (-ENOENT, -EACCES, …), synchronously. */
int child_start(Child **ret, sd_event *event, const ChildSpec *spec, child_callback_t callback, void *userdata, Diag *reterr);

int child_kill(Child *c, int signal);   /* to the whole group; -ESRCH after it was reaped */

/* Kills (SIGKILL) and reaps if it still runs; the callback is not called any more. */
Child *child_free(Child *c);
DEFINE_CLEANUP(Child *, child_free)
