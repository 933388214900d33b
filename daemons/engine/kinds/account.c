/* SPDX-License-Identifier: GPL-3.0-or-later */

/* First the user, then the group: at most one question is open at a time. */

#include <stdio.h>

#include "common/sd/names.h"
#include "common/sd/path-watch.h"
#include "daemons/engine/kinds/account.h"
#include "daemons/engine/local-host.h"

static int unknown(const Account *a, const char *what, const char *text, int error, Diag *reterr) {
        if (error == -ESRCH)
                return resource_error(a->resource, reterr, error, "there is no %s '%s'", what, text);
        return resource_error(a->resource, reterr, error, "cannot find out about %s '%s': %m", what, text);
}

static void on_group(NameQuery *q, int result, NameEntry *entry, void *userdata) {
        Account *a = userdata;
        _cleanup_(diag_done) Diag diag = {};

        a->gid = entry->id;
        a->query = name_query_free(q);
        if (result < 0)
                (void) unknown(a, "group", a->group, result, &diag);
        a->callback(a, result, &diag, a->userdata);
}

/* As account_find(). */
static int find_group(Account *a, Diag *reterr) {
        _cleanup_(name_entry_done) NameEntry entry = {};
        int r;

        if (!*a->group)
                return 1;
        r = names_find(local_host_names(a->resource), NAME_GROUP, a->group, &entry, &a->query, on_group, a);
        if (r > 0)
                a->gid = entry.id;
        return r < 0 ? unknown(a, "group", a->group, r, reterr) : r;
}

static void take_user(Account *a, NameEntry *entry) {
        a->uid = entry->id;
        a->user_gid = entry->group;
        a->home = TAKE_PTR(entry->home);
}

static void on_user(NameQuery *q, int result, NameEntry *entry, void *userdata) {
        Account *a = userdata;
        _cleanup_(diag_done) Diag diag = {};

        take_user(a, entry);
        a->query = name_query_free(q);
        int r = result < 0 ? unknown(a, "user", a->user, result, &diag) : find_group(a, &diag);
        if (r != 0)
                a->callback(a, MIN(r, 0), &diag, a->userdata);
}

int account_find(Account *a, const Resource *r, const char *user, const char *group, account_callback_t callback, void *userdata,
                 Diag *reterr) {
        _cleanup_(name_entry_done) NameEntry entry = {};
        int k = 1;

        account_done(a);
        *a = (Account) {
                .uid = (uid_t) -1,
                .gid = (gid_t) -1,
                .user_gid = (gid_t) -1,
                .resource = r,
                .user = user,
                .group = group,
                .callback = callback,
                .userdata = userdata,
        };
        if (*user) {
                k = names_find(local_host_names(r), NAME_USER, user, &entry, &a->query, on_user, a);
                if (k < 0)
                        return unknown(a, "user", user, k, reterr);
                if (k > 0)
                        take_user(a, &entry);
        }
        return k > 0 ? find_group(a, reterr) : 0;
}

/* The watch that the kind wants may be possible now. */
static void on_list(PathWatch *w, int error, void *userdata) {
        Resource *r = userdata;

        if (error < 0) {
                local_host_path_changed(w, error, r);
                return;
        }
        resource_watch_failed(r, resource_waiting(r, "looking for its account again"), NULL);
        resource_changed(r);
}

int account_await(Resource *r, int error, PathWatch *watches[ACCOUNT_WATCHES], Diag *why) {
        static const char *const lists[ACCOUNT_WATCHES] = { "passwd", "group" };

        if (error != -ESRCH)
                return error;
        diag_done(why);
        for (size_t i = 0; i < ACCOUNT_WATCHES; i++) {
                _cleanup_free_ char *path = NULL;

                if (watches[i])
                        continue;
                if (asprintf(&path, "%s/%s", local_host_etc(r), lists[i]) < 0) {
                        path = NULL;
                        return -ENOMEM;
                }
                int k = path_watch_new(&watches[i], local_host_paths(r), path, 0, on_list, r);
                if (k < 0)
                        return resource_error(r, why, k, "cannot watch '%s': %m", path);
        }
        return 0;
}

void account_done(Account *a) {
        a->query = name_query_free(a->query);
        free(TAKE_PTR(a->home));
}
