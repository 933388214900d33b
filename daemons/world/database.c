/* SPDX-License-Identifier: GPL-3.0-or-later */

/* SQLite calls block, but with a local file only as long as the disk takes: reading costs microseconds, and a turn of the loop
 * flushes at most once, whatever the number of jobs. A lock of another process (sqlite3 on the command line) is not waited for:
 * the transaction is tried again a little later. */

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/map.h"
#include "common/sd/log.h"
#include "daemons/world/database.h"
#include "daemons/world/stored-value.h"

enum {
        SCHEMA_VERSION = 4,
        JOBS_PER_TURN = 256,
        BUSY_TRIES = 500,
        COPY_TRIES = 20,
};

#define BUSY_USEC (UINT64_C(10) * 1000)
#define OTHERS_USEC (UINT64_C(100) * 1000)

/* What brings a database of version i to version i + 1. Never changed, only added to. */
static const char *const migrations[SCHEMA_VERSION] = {
        "CREATE TABLE strings ("        /* host '' is the value of all, others are one host's part of a map */
        "  key TEXT NOT NULL, host TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (key, host)) WITHOUT ROWID;"
        "CREATE TABLE local_values ("   /* of this host, of any type */
        "  key TEXT NOT NULL, host TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (key, host)) WITHOUT ROWID;"
        "CREATE TABLE deploys ("
        "  id INTEGER PRIMARY KEY AUTOINCREMENT, time_usec INTEGER NOT NULL, n_files INTEGER NOT NULL,"
        "  bundle BLOB NOT NULL, options BLOB NOT NULL);",

        "CREATE TABLE pool ("           /* numbers of this host, for ever */
        "  namespace TEXT NOT NULL, uid TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (namespace, uid),"
        "  UNIQUE (namespace, number)) WITHOUT ROWID;",

        "CREATE TABLE entries ("        /* what hosts share, and below local/ what is this one's; see store.h */
        "  key TEXT PRIMARY KEY, value BLOB NOT NULL, modified INTEGER NOT NULL, lease INTEGER NOT NULL) WITHOUT ROWID;"
        "CREATE INDEX entries_lease ON entries (lease) WHERE lease <> 0;"
        "CREATE TABLE leases (id INTEGER PRIMARY KEY AUTOINCREMENT, ttl_sec INTEGER NOT NULL);"
        "CREATE TABLE revision (revision INTEGER NOT NULL);"
        "INSERT INTO revision VALUES (1);"
        "INSERT INTO entries SELECT iif(host = '', 'strings/' || key, 'maps/' || key || '/' || host), value, 1, 0 FROM strings;"
        "INSERT INTO entries SELECT 'local/' || key, value, 1, 0 FROM local_values;"
        "DROP TABLE strings;"
        "DROP TABLE local_values;",

        "CREATE TABLE cluster_deploy (" /* the one of the cluster that is in force here */
        "  one INTEGER PRIMARY KEY CHECK (one = 1), id INTEGER NOT NULL, time_usec INTEGER NOT NULL, n_files INTEGER NOT NULL,"
        "  bundle BLOB NOT NULL, options BLOB NOT NULL);",
};

struct Database {
        sd_event *event;
        sqlite3 *db;
        Map *statements;        /* sql → sqlite3_stmt */
        DatabaseJob *first, **tail;
        sd_event_source *turn, *retry;
        unsigned n_tries;

        sd_event_source *others, *others_later;
        int64_t data_version;
        void (*others_callback)(void *userdata);
        void *others_userdata;
};

static int sqlite_error(int code) {
        switch (code & 0xff) {
        case SQLITE_OK: case SQLITE_ROW: case SQLITE_DONE:
                return 0;
        case SQLITE_BUSY: case SQLITE_LOCKED:
                return -EBUSY;
        case SQLITE_NOMEM:
                return -ENOMEM;
        case SQLITE_READONLY:
                return -EROFS;
        case SQLITE_FULL:
                return -ENOSPC;
        case SQLITE_TOOBIG:
                return -E2BIG;
        case SQLITE_PERM: case SQLITE_AUTH:
                return -EACCES;
        case SQLITE_CORRUPT: case SQLITE_NOTADB:
                return -EUCLEAN;
        default:
                return -EIO;
        }
}

static int execute(Database *d, const char *sql) {
        return sqlite_error(sqlite3_exec(d->db, sql, NULL, NULL, NULL));
}

/* ---- statements ---- */

int database_statement(Database *d, const char *sql, sqlite3_stmt **ret) {
        sqlite3_stmt *s;
        int r;

        s = map_get(d->statements, sql);
        if (!s) {
                r = sqlite_error(sqlite3_prepare_v3(d->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL));
                if (r < 0)
                        return r;
                r = map_put(d->statements, sql, s);
                if (r < 0) {
                        (void) sqlite3_finalize(s);
                        return r;
                }
        }
        (void) sqlite3_reset(s);
        (void) sqlite3_clear_bindings(s);
        *ret = s;
        return 0;
}

int database_step(Database *d, sqlite3_stmt *s) {
        int code = sqlite3_step(s);

        if (code == SQLITE_ROW)
                return 1;
        (void) sqlite3_reset(s);
        return sqlite_error(code);
}

int database_execute(Database *d, sqlite3_stmt *s) {
        int r;

        do
                r = database_step(d, s);
        while (r > 0);
        return r;
}

int database_changes(Database *d) {
        return sqlite3_changes(d->db);
}

int64_t database_last_id(Database *d) {
        return sqlite3_last_insert_rowid(d->db);
}

int database_bind_str(sqlite3_stmt *s, int i, const char *text) {
        return sqlite_error(sqlite3_bind_text(s, i, text, -1, SQLITE_TRANSIENT));
}

int database_bind_int(sqlite3_stmt *s, int i, int64_t x) {
        return sqlite_error(sqlite3_bind_int64(s, i, x));
}

int database_bind_bytes(sqlite3_stmt *s, int i, const void *data, size_t size) {
        return sqlite_error(sqlite3_bind_blob64(s, i, data ?: "", size, SQLITE_STATIC));
}

sd_event *database_event(Database *d) {
        return d->event;
}

int database_bind_value(sqlite3_stmt *s, int i, Value v) {
        _cleanup_(wire_writer_done) WireWriter w = {};
        int r = stored_value_encode(&w, v);

        return r < 0 ? r : sqlite_error(sqlite3_bind_blob64(s, i, w.data, w.size, SQLITE_TRANSIENT));
}

int database_column_value(sqlite3_stmt *s, int i, Value *ret) {
        return stored_value_decode(sqlite3_column_blob(s, i), (size_t) sqlite3_column_bytes(s, i), ret);
}

/* ---- transactions ---- */

/* A statement that was not read to its end would go on seeing the state of now. */
static void finish_statements(Database *d) {
        sqlite3_stmt *s = NULL;

        while ((s = sqlite3_next_stmt(d->db, s)))
                if (sqlite3_stmt_busy(s))
                        (void) sqlite3_reset(s);
}

/* All these jobs, or none of them. */
static int transact(Database *d, DatabaseJob *const *jobs, size_t n) {
        int r;

        r = execute(d, "BEGIN IMMEDIATE");
        if (r < 0)
                return r;
        for (size_t i = 0; i < n && r >= 0; i++)
                r = jobs[i]->run(jobs[i], d);
        finish_statements(d);
        if (r >= 0)
                r = execute(d, "COMMIT");
        if (r < 0 && !sqlite3_get_autocommit(d->db))
                (void) execute(d, "ROLLBACK");
        return r < 0 ? r : 0;
}

static int arm(Database *d);

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata) {
        Database *d = userdata;

        d->retry = sd_event_source_unref(d->retry);
        (void) arm(d);
        return 0;
}

static bool try_again_later(Database *d) {
        if (d->n_tries >= BUSY_TRIES)
                return false;
        d->n_tries++;
        return d->retry ||
                sd_event_add_time_relative(d->event, &d->retry, CLOCK_MONOTONIC, BUSY_USEC, 0, on_retry, d) >= 0;
}

static void run_queue(Database *d) {
        DatabaseJob *jobs[JOBS_PER_TURN];
        int errors[JOBS_PER_TURN] = {};
        size_t n = 0;
        int r;

        for (DatabaseJob *j = d->first; j && n < JOBS_PER_TURN; j = j->next)
                jobs[n++] = j;
        if (n == 0)
                return;

        r = transact(d, jobs, n);
        if (r == -EBUSY && try_again_later(d))
                return;
        d->n_tries = 0;
        if (r < 0)
                for (size_t i = 0; i < n; i++)
                        errors[i] = n == 1 ? r : transact(d, &jobs[i], 1);

        d->first = jobs[n - 1]->next;
        if (!d->first)
                d->tail = &d->first;
        for (size_t i = 0; i < n; i++) {
                jobs[i]->next = NULL;
                jobs[i]->done(jobs[i], errors[i]);
        }
        if (d->first)
                (void) arm(d);
}

static int on_turn(sd_event_source *s, void *userdata) {
        Database *d = userdata;

        d->turn = sd_event_source_unref(d->turn);
        run_queue(d);
        return 0;
}

static int arm(Database *d) {
        if (d->turn || d->retry)
                return 0;
        return sd_event_add_defer(d->event, &d->turn, on_turn, d);
}

void database_queue(Database *d, DatabaseJob *j) {
        j->next = NULL;
        *d->tail = j;
        d->tail = &j->next;
        if (arm(d) < 0)
                run_queue(d);   /* out of memory: now, then */
}

bool database_unqueue(Database *d, DatabaseJob *j) {
        for (DatabaseJob **p = &d->first; *p; p = &(*p)->next)
                if (*p == j) {
                        *p = j->next;
                        if (d->tail == &j->next)
                                d->tail = p;
                        return true;
                }
        return false;
}

int database_run(Database *d, DatabaseJob *j) {
        int r;

        r = transact(d, &j, 1);
        j->done(j, r);
        return r;
}

/* ---- writers beside us ---- */

static int read_pragma(Database *d, const char *sql, int64_t *ret) {
        sqlite3_stmt *s = NULL;
        int r;

        r = sqlite_error(sqlite3_prepare_v2(d->db, sql, -1, &s, NULL));
        if (r < 0)
                return r;
        r = sqlite3_step(s);
        if (r == SQLITE_ROW)
                *ret = sqlite3_column_int64(s, 0);
        (void) sqlite3_finalize(s);
        return r == SQLITE_ROW ? 0 : sqlite_error(r);
}

static void look_for_others(Database *d) {
        int64_t version = d->data_version;

        if (read_pragma(d, "PRAGMA data_version", &version) >= 0 && version == d->data_version)
                return;
        d->data_version = version;
        d->others_callback(d->others_userdata);
}

static int on_others_later(sd_event_source *s, uint64_t usec, void *userdata) {
        Database *d = userdata;

        d->others_later = sd_event_source_unref(d->others_later);
        look_for_others(d);
        return 0;
}

/* Our own writes come by here as well; they do not change data_version. A writer first extends the log, which we see, then
 * flushes it, and only then makes it count, which we do not see: so there is a second look a little later. */
static int on_others(sd_event_source *s, const struct inotify_event *event, void *userdata) {
        Database *d = userdata;

        look_for_others(d);
        if (!d->others_later)
                (void) sd_event_add_time_relative(d->event, &d->others_later, CLOCK_MONOTONIC, OTHERS_USEC, 0, on_others_later, d);
        return 0;
}

int database_watch_others(Database *d, void (*callback)(void *userdata), void *userdata) {
        _cleanup_free_ char *path = NULL;
        int r;

        if (asprintf(&path, "%s-wal", sqlite3_db_filename(d->db, NULL)) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        r = read_pragma(d, "PRAGMA data_version", &d->data_version);
        if (r < 0)
                return r;
        d->others_callback = callback;
        d->others_userdata = userdata;
        return sd_event_add_inotify(d->event, &d->others, path, IN_MODIFY|IN_CLOSE_WRITE, on_others, d);
}

/* ---- opening ---- */

static int configure(Database *d) {
        int r;

        (void) sqlite3_db_config(d->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        (void) sqlite3_db_config(d->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        r = execute(d, "PRAGMA journal_mode = WAL");
        if (r < 0)
                return r;
        return execute(d, "PRAGMA synchronous = FULL; PRAGMA cache_size = -512; PRAGMA temp_store = MEMORY;"
                          "PRAGMA journal_size_limit = 4194304");
}

static int migrate(Database *d, Diag *reterr) {
        int64_t version = 0;
        int r;

        r = execute(d, "BEGIN IMMEDIATE");
        if (r >= 0)
                r = read_pragma(d, "PRAGMA user_version", &version);
        if (r >= 0 && (version < 0 || version > SCHEMA_VERSION)) {
                (void) execute(d, "ROLLBACK");
                return diag_set(reterr, (Pos) {}, -EPROTONOSUPPORT, "'%s' has schema version %lld, expected at most %d",
                                sqlite3_db_filename(d->db, NULL), (long long) version, SCHEMA_VERSION);
        }
        for (int64_t i = version; r >= 0 && i < SCHEMA_VERSION; i++) {
                char sql[64];

                r = execute(d, migrations[i]);
                snprintf(sql, sizeof(sql), "PRAGMA user_version = %lld", (long long) i + 1);
                if (r >= 0)
                        r = execute(d, sql);
        }
        if (r >= 0)
                r = execute(d, "COMMIT");
        if (r < 0 && !sqlite3_get_autocommit(d->db))
                (void) execute(d, "ROLLBACK");
        return r;
}

/* SQLite gives its other files the mode of this one. */
static int open_file(Database *d, const char *path, int flags) {
        int fd, r;

        fd = open(path, O_RDWR|O_CLOEXEC|O_NOFOLLOW|flags, 0600);
        if (fd < 0)
                return -errno;
        (void) close(fd);       /* now: closing it later would drop SQLite's locks */
        r = sqlite_error(sqlite3_open_v2(path, &d->db, SQLITE_OPEN_READWRITE|SQLITE_OPEN_NOMUTEX, NULL));
        if (r >= 0)
                (void) sqlite3_busy_timeout(d->db, 1000);       /* only at the start */
        return r;
}

static int flush_path(const char *path, int flags) {
        _cleanup_close_ int fd = open(path, O_RDONLY|O_CLOEXEC|flags);

        return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int move_into_place(const char *draft, const char *path) {
        _cleanup_free_ char *directory = NULL;
        int r;

        directory = strndup(path, (size_t) (strrchr(path, '/') - path));
        if (!directory)
                return -ENOMEM;
        r = flush_path(draft, 0);
        if (r < 0)
                return r;
        if (rename(draft, path) < 0)
                return -errno;
        return flush_path(directory, O_DIRECTORY);
}

/* A draft of an earlier start that was cut off, with all that belongs to it. */
static void remove_draft(const char *draft) {
        static const char *const suffixes[] = { "", "-wal", "-shm", "-journal" };

        for (size_t i = 0; i < ELEMENTSOF(suffixes); i++) {
                _cleanup_free_ char *path = NULL;

                if (asprintf(&path, "%s%s", draft, suffixes[i]) >= 0)
                        (void) unlink(path);
                else
                        path = NULL;
        }
}

/* A new database is made beside its place without flushing, then flushed once and moved there: so it appears as a whole or not at
 * all, and costs two flushes rather than seven. */
static int create_file(const char *path, Diag *reterr) {
        _cleanup_free_ char *draft = NULL;
        Database d = {};
        int r;

        if (asprintf(&draft, "%s.new", path) < 0) {
                draft = NULL;
                return -ENOMEM;
        }
        remove_draft(draft);
        r = open_file(&d, draft, O_CREAT|O_EXCL);
        if (r >= 0)
                r = execute(&d, "PRAGMA synchronous = OFF; PRAGMA journal_mode = WAL");
        if (r >= 0)
                r = migrate(&d, reterr);
        if (sqlite3_close(d.db) != SQLITE_OK && r >= 0)
                r = -EIO;
        if (r >= 0)
                r = move_into_place(draft, path);
        if (r < 0)
                remove_draft(draft);
        return r;
}

int database_open(Database **ret, sd_event *event, const char *path, Diag *reterr) {
        _cleanup_(database_freep) Database *d = NULL;
        int r = 0;

        d = calloc(1, sizeof(*d));
        if (!d)
                return -ENOMEM;
        d->event = sd_event_ref(event);
        d->tail = &d->first;
        d->statements = map_new();
        if (!d->statements)
                return -ENOMEM;

        if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
                r = create_file(path, reterr);
        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "cannot create '%s': %m", path);
        r = open_file(d, path, 0);
        if (r >= 0)
                r = configure(d);
        if (r >= 0)
                r = migrate(d, reterr);
        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "cannot open '%s': %m", path);
        (void) sqlite3_busy_timeout(d->db, 0);

        *ret = TAKE_PTR(d);
        return 0;
}

/* ---- copies ---- */

static int copy_file(const char *from, const char *to, struct stat *ret) {
        _cleanup_close_ int in = open(from, O_RDONLY|O_CLOEXEC|O_NOFOLLOW|O_NONBLOCK), out = -EBADF;
        char buffer[65536];
        ssize_t n;

        *ret = (struct stat) {};
        (void) unlink(to);
        if (in < 0)
                return errno == ENOENT ? 0 : -errno;
        out = open(to, O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC|O_NOFOLLOW, 0600);
        if (out < 0)
                return -errno;
        while ((n = read(in, buffer, sizeof(buffer))) > 0) {
                int r = write_all(out, buffer, (size_t) n);
                if (r < 0)
                        return r;
        }
        return n < 0 || fstat(in, ret) < 0 ? -errno : 1;
}

static bool is_same(const char *path, const struct stat *before) {
        struct stat now = {};

        if (stat(path, &now) < 0 && errno != ENOENT)
                return false;
        return now.st_ino == before->st_ino && now.st_size == before->st_size &&
                now.st_mtim.tv_sec == before->st_mtim.tv_sec && now.st_mtim.tv_nsec == before->st_mtim.tv_nsec;
}

/* The database and its log belong together, so neither may change while the other is copied. SQLite itself could do this, but not
 * without making files beside the original. */
int database_copy(const char *from, const char *to) {
        _cleanup_free_ char *log = NULL, *log_copy = NULL;

        if (asprintf(&log, "%s-wal", from) < 0)
                log = NULL;
        if (asprintf(&log_copy, "%s-wal", to) < 0)
                log_copy = NULL;
        if (!log || !log_copy)
                return -ENOMEM;
        for (int attempt = 0; attempt < COPY_TRIES; attempt++) {
                struct stat data, lines;
                int r = copy_file(from, to, &data), k = r > 0 ? copy_file(log, log_copy, &lines) : 0;

                if (r <= 0 || k < 0)
                        return r < 0 ? r : k;
                if (is_same(from, &data) && is_same(log, &lines))
                        return 0;
        }
        return -EBUSY;
}

Database *database_free(Database *d) {
        size_t i = 0;
        void *statement;

        if (!d)
                return NULL;
        while (d->first) {
                DatabaseJob *j = d->first;

                d->first = j->next;
                j->next = NULL;
                j->done(j, -ECANCELED);
        }
        sd_event_source_disable_unref(d->turn);
        sd_event_source_disable_unref(d->retry);
        sd_event_source_disable_unref(d->others);
        sd_event_source_disable_unref(d->others_later);
        while (d->statements && map_next(d->statements, &i, NULL, &statement))
                (void) sqlite3_finalize(statement);
        map_free(d->statements);
        (void) sqlite3_close(d->db);
        sd_event_unref(d->event);
        free(d);
        return NULL;
}
