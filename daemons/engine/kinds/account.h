/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The user and the group that a resource is to give a file to, or to run a command as: from names or numbers, without waiting. */

#include <sys/types.h>

#include "common/resource.h"

typedef struct NameQuery NameQuery;
typedef struct PathWatch PathWatch;
typedef struct Account Account;

/* error is 0 or negative errno; the content of diag may be taken. */
typedef void (*account_callback_t)(Account *a, int error, Diag *diag, void *userdata);

struct Account {
        uid_t uid;              /* (uid_t) -1: no user was given */
        gid_t gid;              /* of the group */
        gid_t user_gid;         /* the user's own */
        char *home;             /* the user's; owned */

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

/* For a watch that needs an account, and ended with this error: that there is none (-ESRCH) is for the attempt to say, once everything
 * before it has been done. Meanwhile the lists of users and groups are what is watched, and a change of them has the kind's watch begin
 * anew. The watches are the caller's to free, by unwatch. 0: the resource is watched; or the error. */
enum { ACCOUNT_WATCHES = 2 };
int account_await(Resource *r, int error, PathWatch *watches[ACCOUNT_WATCHES], Diag *why);
