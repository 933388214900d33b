/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A number is given once and never taken back: what was named by it may still be there. */

#include <errno.h>
#include <sqlite3.h>

#include "daemons/world/database.h"
#include "daemons/world/pool.h"

struct PoolCall {
        DatabaseJob job;        /* must be first */
        Database *database;
        char *namespace, *uid;
        int64_t number;
        pool_callback_t callback;       /* NULL: cancelled */
        void *userdata;
};

static int statement_for(PoolCall *c, Database *d, const char *sql, sqlite3_stmt **ret) {
        int r;

        r = database_statement(d, sql, ret);
        if (r >= 0)
                r = database_bind_str(*ret, 1, c->namespace);
        return r < 0 ? r : database_bind_str(*ret, 2, c->uid);
}

static int call_run(DatabaseJob *j, Database *d) {
        PoolCall *c = container_of(j, PoolCall, job);
        sqlite3_stmt *s;
        int r;

        r = statement_for(c, d, "SELECT number FROM pool WHERE namespace = ?1 AND uid = ?2", &s);
        if (r >= 0)
                r = database_step(d, s);
        if (r == 0) {
                r = statement_for(c, d, "INSERT INTO pool SELECT ?1, ?2, coalesce(max(number), 0) + 1 FROM pool WHERE namespace = ?1 "
                                        "RETURNING number", &s);
                if (r >= 0)
                        r = database_step(d, s);
        }
        if (r < 0)
                return r;
        c->number = sqlite3_column_int64(s, 0);
        return c->number > 0 ? 0 : -EUCLEAN;
}

static void call_free(PoolCall *c) {
        free(c->namespace);
        free(c->uid);
        free(c);
}

static void call_done(DatabaseJob *j, int error) {
        PoolCall *c = container_of(j, PoolCall, job);

        if (c->callback)
                c->callback(error, error < 0 ? 0 : c->number, c->userdata);
        call_free(c);
}

int pool_number(Database *d, const char *namespace, const char *uid, pool_callback_t callback, void *userdata, PoolCall **ret) {
        PoolCall *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        *c = (PoolCall) { .job = { .run = call_run, .done = call_done }, .database = d, .namespace = strdup(namespace),
                          .uid = strdup(uid), .callback = callback, .userdata = userdata };
        if (!c->namespace || !c->uid) {
                call_free(c);
                return -ENOMEM;
        }
        database_queue(d, &c->job);
        *ret = c;
        return 0;
}

PoolCall *pool_call_cancel(PoolCall *c) {
        if (!c)
                return NULL;
        c->callback = NULL;
        if (database_unqueue(c->database, &c->job))
                call_free(c);
        return NULL;
}
