/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The user and the group that a resource is to give a file to, or to run a command as: from names or numbers, without waiting. */

#include <sys/types.h>

#include "common/resource.h"

typedef struct NameQuery NameQuery;
typedef struct Account Account;

/* error is 0 or negative errno; the content of diag may be taken. */
typedef void (*account_callback_t)(Account *a, int error, Diag *diag, void *userdata);

struct Account {
        uid_t uid;              /* (uid_t) -1: no user was given */
        gid_t gid;

        const Resource *resource;
        const char *user, *group;       /* borrowed */
        NameQuery *query;       /* under way */
        account_callback_t callback;
        void *userdata;
};

/* Either text may be empty; both must stay where they are. 1: all is known. 0: the callback will come. Or negative errno. What a had
 * under way is given up. */
int account_find(Account *a, const Resource *r, const char *user, const char *group, account_callback_t callback, void *userdata,
                 Diag *reterr);
void account_done(Account *a);
