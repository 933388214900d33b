/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* useradd and its like, which know how the files of users and groups are changed: one call is the end of an attempt. */

#include <sys/stat.h>

#include "common/resource.h"
#include "common/sd/child.h"

typedef struct AccountTool {
        Resource *resource;
        const char *program;
        Child *child;           /* under way */
        struct stat files[2];   /* the lists of users and groups when it was started */
} AccountTool;

/* CHECK_PENDING, or an error. The attempt ends with CHECK_CHANGED, or with an error that has the last line the program said. If
 * somebody else has changed the lists meanwhile (userdel does so in several steps) that is no failure: what is to be done may be
 * something else by now, and is looked at again. argv[0] is static. */
int account_tool_run(AccountTool *t, Resource *r, char *const *argv, Diag *reterr);
void account_tool_cancel(AccountTool *t);

bool account_name_is_valid(const char *name);   /* of a user or a group */

/* A number of a user or a group in a field that may be unset. */
int account_validate_id(const Resource *r, const char *field, Value id, Diag *reterr);
