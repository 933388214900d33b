/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* useradd and its like, which know how the files of users and groups are changed: one call is the end of an attempt. They wait for
 * each other's lock for seconds only, so ours run one after the other. */

#include <sys/stat.h>

#include "common/resource.h"
#include "common/sd/child.h"

typedef struct PathWatch PathWatch;

typedef struct AccountTool {
        Resource *resource;
        char **argv;            /* from account_tool_run() until it has ended */
        struct AccountTool *next;       /* in the line of those who are to run */
        bool in_line;
        Child *child;           /* under way */
        PathWatch *lock_watch;  /* somebody else has the lists */
        struct stat files[2];   /* the lists of users and groups when it was started */
} AccountTool;

/* CHECK_PENDING, or an error. The attempt ends with CHECK_CHANGED, or with an error that has the last line the program said. If
 * somebody else is changing the lists (userdel does so in several steps), or has while it ran, that is no failure: what is to be
 * done may be something else by now, and is looked at again. */
int account_tool_run(AccountTool *t, Resource *r, char *const *argv, Diag *reterr);
void account_tool_cancel(AccountTool *t);

bool account_name_is_valid(const char *name);   /* of a user or a group */

/* A number of a user or a group in a field that may be unset. */
int account_validate_id(const Resource *r, const char *field, Value id, Diag *reterr);
