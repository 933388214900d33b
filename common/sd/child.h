/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A child process on the loop: started in a process group of its own, output captured up to a limit, reaped
 * by pidfd, and killed as a group. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/diag.h"
#include "common/macro.h"
#include "common/strbuf.h"

typedef struct sd_event sd_event;
typedef struct Child Child;

typedef enum ChildStream {
        CHILD_STDOUT,
        CHILD_STDERR,
        _CHILD_STREAM_MAX,
} ChildStream;

typedef struct ChildSpec {
        char *const *argv;      /* argv[0] is searched in our own PATH (absolute entries only) if it has no slash */
        char *const *env;       /* the complete environment; NULL: empty */
        const char *cwd;        /* NULL: ours */
        uid_t uid;              /* (uid_t) -1: ours. Zero is root: set both, also where nothing is to change */
        gid_t gid;              /* if uid or gid differ from ours, the supplementary groups become empty */
        int input;              /* a descriptor that it reads as its stdin, borrowed; 0: there is nothing to read */
        size_t output_max;      /* bytes kept per stream; more is read and dropped */
        bool whole_group;       /* what it left behind in its group is killed when it ends; else that may go on */

        /* Every piece of output as it arrives, for those who follow a child while it runs; it is kept as well, up to output_max.
         * May free the child. NULL: nobody does. */
        void (*output)(Child *c, ChildStream stream, const char *data, size_t size, void *userdata);
} ChildSpec;

typedef struct ChildResult {
        int status;             /* exit status, if it exited */
        int signal;             /* or the signal that ended it, else 0 */
        bool truncated;         /* there was more output than output_max (or than memory) */
        StrBuf output;          /* stdout and stderr in order of arrival; data NULL if nothing was ever written */
        StrBuf out, err;
} ChildResult;

/* The child has ended and was reaped, once. The result is borrowed (strbuf_take() what you need); the child may be freed. A
 * background process that it left behind and that holds its output open is not waited for. */
typedef void (*child_callback_t)(Child *c, ChildResult *result, void *userdata);

/* exec failures are reported here (-ENOENT, -EACCES, …), synchronously. The spec is not needed afterwards. */
int child_start(Child **ret, sd_event *event, const ChildSpec *spec, child_callback_t callback, void *userdata, Diag *reterr);

int child_kill(Child *c, int signal);   /* to the whole group; -ESRCH after it was reaped */

/* For one whose end is no news any more: signal now. The callback is not called; child_free(), when its time is up, kills who is
 * left of the group by then. It is not reaped before, as its number is that of the group. */
int child_dismiss(Child *c, int signal);

/* Nothing of the stream is read meanwhile, so a child that writes a lot has to wait. What it wrote before its end comes anyway. */
void child_hold_output(Child *c, ChildStream stream, bool hold);
pid_t child_pid(const Child *c);        /* also after it was reaped, when the number may be somebody else's */

/* Kills the group (SIGKILL) if it still runs; the callback is not called any more. Does not wait: the loop reaps it. */
Child *child_free(Child *c);
DEFINE_CLEANUP(Child *, child_free)

/* The same with good manners: signal now, SIGKILL after grace_usec for who is still there. Its output is read and dropped meanwhile. */
Child *child_release(Child *c, int signal, uint64_t grace_usec);

/* Raises our own limit of open files as far as allowed. Children start with the one we had. */
int child_raise_files_limit(void);
