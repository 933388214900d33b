/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Deploys in the database. Bundles can be big: they are read when somebody asks, not kept in memory. */

#include <errno.h>
#include <sqlite3.h>

#include "common/usec.h"
#include "daemons/world/database.h"
#include "daemons/world/deploys.h"

struct Deploys {
        Database *database;
        const Type *bundle_type;
        uint64_t newest;
};

typedef struct DeployJob {
        DatabaseJob job;        /* must be first */
        Deploys *deploys;
        uint64_t id;            /* which one; UINT64_MAX: the newest */
        bool of_cluster;
        Deploy items[DEPLOYS_KEPT];
        size_t n;
        deploys_callback_t callback;
        void *userdata;
} DeployJob;

static void items_done(DeployJob *j) {
        for (size_t i = 0; i < j->n; i++) {
                value_done(&j->items[i].bundle);
                value_done(&j->items[i].options);
        }
        j->n = 0;
}

static void job_done(DatabaseJob *job, int error) {
        DeployJob *j = container_of(job, DeployJob, job);

        if (error >= 0 && j->n > 0 && !j->of_cluster && j->items[0].id > j->deploys->newest)
                j->deploys->newest = j->items[0].id;
        if (j->callback)
                j->callback(error, j->items, error < 0 ? 0 : j->n, j->userdata);
        items_done(j);
        free(j);
}

static int job_new(DeployJob **ret, Deploys *d, int (*run)(DatabaseJob *j, Database *d), deploys_callback_t callback, void *userdata) {
        DeployJob *j;

        j = calloc(1, sizeof(*j));
        if (!j)
                return -ENOMEM;
        j->job = (DatabaseJob) { .run = run, .done = job_done };
        j->deploys = d;
        j->callback = callback;
        j->userdata = userdata;
        *ret = j;
        return 0;
}

/* ---- adding ---- */

static int run_add(DatabaseJob *job, Database *d) {
        Deploy *new = &container_of(job, DeployJob, job)->items[0];
        sqlite3_stmt *s;
        int r;

        r = database_statement(d, "INSERT INTO deploys (time_usec, n_files, bundle, options) VALUES (?1, ?2, ?3, ?4)", &s);
        if (r >= 0)
                r = database_bind_int(s, 1, (int64_t) new->time_usec);
        if (r >= 0)
                r = database_bind_int(s, 2, (int64_t) new->n_files);
        if (r >= 0)
                r = database_bind_value(s, 3, new->bundle);
        if (r >= 0)
                r = database_bind_value(s, 4, new->options);
        if (r >= 0)
                r = database_execute(d, s);
        if (r < 0)
                return r;
        new->id = (uint64_t) database_last_id(d);

        r = database_statement(d, "DELETE FROM deploys WHERE id NOT IN (SELECT id FROM deploys ORDER BY id DESC LIMIT ?1)", &s);
        if (r >= 0)
                r = database_bind_int(s, 1, DEPLOYS_KEPT);
        return r < 0 ? r : database_execute(d, s);
}

int deploys_add(Deploys *d, Value bundle, Value options, deploys_callback_t callback, void *userdata, Diag *reterr) {
        DeployJob *j;
        int r;

        r = value_check_type(bundle, d->bundle_type, reterr);
        if (r < 0) {
                (void) diag_prefix(reterr, "bundle");
                return r;
        }
        if (options.kind != TYPE_STRUCT)
                return diag_set(reterr, (Pos) {}, -EINVAL, "options must be a struct, got %s", type_kind_name(options.kind));
        r = job_new(&j, d, run_add, callback, userdata);
        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "cannot store the deploy: %m");

        j->n = 1;
        j->items[0] = (Deploy) {
                .time_usec = usec_now(CLOCK_REALTIME),
                .n_files = bundle.m->n,
                .bundle = value_ref(bundle),
                .options = value_ref(options),
        };
        database_queue(d->database, &j->job);
        return 0;
}

/* ---- reading ---- */

static Deploy read_columns(sqlite3_stmt *s) {
        return (Deploy) {
                .id = (uint64_t) sqlite3_column_int64(s, 0),
                .time_usec = (uint64_t) sqlite3_column_int64(s, 1),
                .n_files = (uint64_t) sqlite3_column_int64(s, 2),
                .size_bytes = (uint64_t) sqlite3_column_int64(s, 3),
        };
}

static int run_get(DatabaseJob *job, Database *d) {
        DeployJob *j = container_of(job, DeployJob, job);
        Deploy *found = &j->items[0];
        sqlite3_stmt *s;
        int r;

        items_done(j);
        r = database_statement(d, "SELECT id, time_usec, n_files, length(bundle), options, bundle "
                                  "FROM deploys WHERE id = ?1 OR ?1 < 0 ORDER BY id DESC LIMIT 1", &s);
        if (r >= 0)
                r = database_bind_int(s, 1, j->id == UINT64_MAX ? -1 : (int64_t) j->id);
        if (r >= 0)
                r = database_step(d, s);
        if (r <= 0)
                return r;
        j->n = 1;
        *found = read_columns(s);
        r = database_column_value(s, 4, &found->options);
        return r < 0 ? r : database_column_value(s, 5, &found->bundle);
}

/* ---- the one of a cluster ---- */

static int run_keep(DatabaseJob *job, Database *d) {
        const Deploy *kept = &container_of(job, DeployJob, job)->items[0];
        sqlite3_stmt *s;
        int r;

        r = database_statement(d, "INSERT OR REPLACE INTO cluster_deploy (one, id, time_usec, n_files, bundle, options) "
                                  "VALUES (1, ?1, ?2, ?3, ?4, ?5)", &s);
        if (r >= 0)
                r = database_bind_int(s, 1, (int64_t) kept->id);
        if (r >= 0)
                r = database_bind_int(s, 2, (int64_t) kept->time_usec);
        if (r >= 0)
                r = database_bind_int(s, 3, (int64_t) kept->n_files);
        if (r >= 0)
                r = database_bind_value(s, 4, kept->bundle);
        if (r >= 0)
                r = database_bind_value(s, 5, kept->options);
        return r < 0 ? r : database_execute(d, s);
}

static int run_kept(DatabaseJob *job, Database *d) {
        DeployJob *j = container_of(job, DeployJob, job);
        sqlite3_stmt *s;
        int r;

        items_done(j);
        r = database_statement(d, "SELECT id, time_usec, n_files, length(bundle), options, bundle FROM cluster_deploy", &s);
        if (r >= 0)
                r = database_step(d, s);
        if (r <= 0)
                return r;
        j->n = 1;
        j->items[0] = read_columns(s);
        r = database_column_value(s, 4, &j->items[0].options);
        return r < 0 ? r : database_column_value(s, 5, &j->items[0].bundle);
}

/* ---- the list ---- */

static int run_list(DatabaseJob *job, Database *d) {
        DeployJob *j = container_of(job, DeployJob, job);
        sqlite3_stmt *s;
        int r;

        items_done(j);
        r = database_statement(d, "SELECT id, time_usec, n_files, length(bundle), options FROM deploys ORDER BY id DESC", &s);
        while (r >= 0 && j->n < DEPLOYS_KEPT && (r = database_step(d, s)) > 0) {
                Deploy *found = &j->items[j->n++];

                *found = read_columns(s);
                r = database_column_value(s, 4, &found->options);
        }
        return r < 0 ? r : 0;
}

static int ask(Deploys *d, int (*run)(DatabaseJob *j, Database *d), uint64_t id, deploys_callback_t callback, void *userdata) {
        DeployJob *j;
        int r;

        r = job_new(&j, d, run, callback, userdata);
        if (r < 0)
                return r;
        j->id = id;
        database_queue(d->database, &j->job);
        return 0;
}

int deploys_keep(Deploys *d, const Deploy *deploy, deploys_callback_t callback, void *userdata) {
        DeployJob *j;
        int r;

        r = job_new(&j, d, run_keep, callback, userdata);
        if (r < 0)
                return r;
        j->of_cluster = true;
        j->n = 1;
        j->items[0] = *deploy;
        j->items[0].bundle = value_ref(deploy->bundle);
        j->items[0].options = value_ref(deploy->options);
        database_queue(d->database, &j->job);
        return 0;
}

int deploys_kept(Deploys *d, deploys_callback_t callback, void *userdata) {
        DeployJob *j;
        int r;

        r = job_new(&j, d, run_kept, callback, userdata);
        if (r < 0)
                return r;
        j->of_cluster = true;
        database_queue(d->database, &j->job);
        return 0;
}

int deploys_newest(Deploys *d, deploys_callback_t callback, void *userdata) {
        return ask(d, run_get, UINT64_MAX, callback, userdata);
}

int deploys_get(Deploys *d, uint64_t id, deploys_callback_t callback, void *userdata) {
        return ask(d, run_get, MIN(id, (uint64_t) INT64_MAX), callback, userdata);
}

int deploys_list(Deploys *d, deploys_callback_t callback, void *userdata) {
        return ask(d, run_list, 0, callback, userdata);
}

uint64_t deploys_newest_id(const Deploys *d) {
        return d->newest;
}

int deploys_open(Deploys **ret, Database *database, Diag *reterr) {
        _cleanup_(deploys_freep) Deploys *d = NULL;
        DeployJob *j;
        int r;

        d = calloc(1, sizeof(*d));
        if (!d)
                return -ENOMEM;
        d->database = database;
        d->bundle_type = type_map(NULL, &type_str, &type_str);
        if (!d->bundle_type)
                return -ENOMEM;
        r = job_new(&j, d, run_list, NULL, NULL);
        if (r >= 0)
                r = database_run(database, &j->job);
        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "cannot read the deploys: %m");

        *ret = TAKE_PTR(d);
        return 0;
}

Deploys *deploys_free(Deploys *d) {
        free(d);
        return NULL;
}
