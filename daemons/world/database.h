/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The SQLite database of mgmt-world, as a source of the loop. Work is queued as jobs; all jobs of one turn of the loop share one
 * transaction, and so one flush to the disk. A job's done() is called when its transaction is on the disk (or failed). */

#include <stdbool.h>
#include <stdint.h>

#include "common/diag.h"
#include "common/macro.h"
#include "common/value.h"

typedef struct sd_event sd_event;
typedef struct sqlite3_stmt sqlite3_stmt;
typedef struct Database Database;
typedef struct DatabaseJob DatabaseJob;

/* The first member of what describes a piece of work. */
struct DatabaseJob {
        /* Inside a transaction. Reads its input from the job, leaves its result there. May be called more than once: if a
         * transaction fails, its jobs are run again, each in a transaction of its own. Negative errno takes everything back. */
        int (*run)(DatabaseJob *j, Database *d);

        /* The end; error is 0 or what run() or the transaction failed with. Owns the job. */
        void (*done)(DatabaseJob *j, int error);

        DatabaseJob *next;      /* the queue's own */
};

/* Opens the database, or makes it. path is absolute. */
int database_open(Database **ret, sd_event *event, const char *path, Diag *reterr);

/* Makes a file of a database that somebody else may be writing, without touching theirs. 0 also if there is none. */
int database_copy(const char *from, const char *to);

Database *database_free(Database *d);   /* jobs that wait end with -ECANCELED */
DEFINE_CLEANUP(Database *, database_free)

sd_event *database_event(Database *d);  /* borrowed */

void database_queue(Database *d, DatabaseJob *j);
bool database_unqueue(Database *d, DatabaseJob *j);     /* false if it is not waiting any more */

/* Runs a job at once, in a transaction of its own; for start-up only. done() is called before this returns. */
int database_run(Database *d, DatabaseJob *j);

/* ---- for run(): statements are prepared once ---- */

/* A statement without bindings; sql is a literal. Belongs to the database. */
int database_statement(Database *d, const char *sql, sqlite3_stmt **ret);

int database_step(Database *d, sqlite3_stmt *s);        /* 1: a row; 0: done, and the statement is reset */
int database_execute(Database *d, sqlite3_stmt *s);     /* to the end; rows are skipped */
int database_changes(Database *d);      /* rows that the last statement changed */
int64_t database_last_id(Database *d);
int database_bind_str(sqlite3_stmt *s, int i, const char *text);
int database_bind_int(sqlite3_stmt *s, int i, int64_t x);
int database_bind_bytes(sqlite3_stmt *s, int i, const void *data, size_t size); /* borrowed until the statement is reset */

/* A value in a column: encoded as between daemons, with the version in front, so that every type survives. */
int database_bind_value(sqlite3_stmt *s, int i, Value v);
int database_column_value(sqlite3_stmt *s, int i, Value *ret);

/* Somebody else wrote to the file: callback, from the loop. */
int database_watch_others(Database *d, void (*callback)(void *userdata), void *userdata);
