/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The database of mgmt-world and what is kept in it, in one process. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/strbuf.h"
#include "daemons/world/database.h"
#include "daemons/world/deploys.h"
#include "daemons/world/keys.h"
#include "tests/test.h"

typedef struct Place {
        char directory[64], path[96];
        sd_event *event;
        Database *database;
        Store *store;
        Keys *shared, *local;
        Deploys *deploys;
} Place;

static int place_open(Place *p, Diag *reterr) {
        int r;

        r = database_open(&p->database, p->event, p->path, reterr);
        if (r >= 0)
                r = store_open_sqlite(&p->store, p->database);
        if (r >= 0)
                r = keys_open_shared(&p->shared, p->store);
        if (r >= 0)
                r = keys_open_local(&p->local, p->store);
        if (r >= 0)
                r = deploys_open(&p->deploys, p->database, reterr);
        return r;
}

static void place_close(Place *p) {
        p->database = database_free(p->database);
        p->deploys = deploys_free(p->deploys);
        p->shared = keys_free(p->shared);
        p->local = keys_free(p->local);
        p->store = store_free(p->store);
}

static void place_init(Place *p) {
        *p = (Place) { .directory = "/tmp/test-world-XXXXXX" };
        CHECK(mkdtemp(p->directory));
        snprintf(p->path, sizeof(p->path), "%s/world.sqlite", p->directory);
        CHECK(sd_event_new(&p->event) >= 0);
        CHECK_INT(place_open(p, NULL), 0);
}

static void place_done(Place *p) {
        place_close(p);
        sd_event_unref(p->event);
        (void) remove_tree(p->directory);
}

static uint64_t now_usec(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

#define RUN_UNTIL(place, condition) \
        ({ \
                uint64_t _end = now_usec() + 60000000; \
                bool _holds; \
                while (!(_holds = (condition)) && now_usec() < _end) \
                        (void) sd_event_run((place)->event, 20000); \
                _holds; \
        })

/* ---- answers ---- */

typedef struct Answer {
        bool came;
        int error;
        bool changed;
        Value value;
} Answer;

static void on_reply(const KeysReply *reply, void *userdata) {
        Answer *a = userdata;

        CHECK(!a->came);
        a->came = true;
        a->error = reply->error;
        a->changed = reply->changed;
        a->value = value_ref(reply->value);
}

static void answer_done(Answer *a) {
        value_done(&a->value);
}

/* The value as text; NULL if there is none. */
static char *get(Place *p, Keys *s, const char *key, const char *host) {
        _cleanup_(answer_done) Answer a = {};
        KeysCall *c;

        CHECK_INT(keys_get(s, key, host, on_reply, &a, &c), 0);
        CHECK(!a.came);
        CHECK(RUN_UNTIL(p, a.came));
        CHECK_INT(a.error, 0);
        return a.value.kind == TYPE_NIL ? NULL : value_text(a.value);
}

static bool set(Place *p, Keys *s, const char *key, const char *host, Value v) {
        _cleanup_(answer_done) Answer a = {};
        KeysCall *c;

        CHECK_INT(keys_set(s, key, host, v, NULL, on_reply, &a, &c), 0);
        CHECK(RUN_UNTIL(p, a.came));
        CHECK_INT(a.error, 0);
        return a.changed;
}

static bool set_str(Place *p, const char *key, const char *host, const char *text) {
        _cleanup_(value_done) Value v = {};

        if (text)
                CHECK_INT(value_strz(&v, text), 0);
        return set(p, p->shared, key, host, v);
}

#define CHECK_VALUE(place, store, key, host, want) \
        do { \
                _cleanup_free_ char *_text = get((place), (store), (key), (host)); \
                CHECK_STR(_text, (want)); \
        } while (0)

/* ---- strings ---- */

TEST(strings_of_all_and_of_hosts_are_apart) {
        _cleanup_(place_done) Place p;

        place_init(&p);
        CHECK_VALUE(&p, p.shared, "k", NULL, NULL);
        CHECK(set_str(&p, "k", NULL, "all"));
        CHECK(set_str(&p, "k", "h1", "one"));
        CHECK(set_str(&p, "k", "h2", ""));
        CHECK(set_str(&p, "k/h1", NULL, "not a part of k"));
        CHECK_VALUE(&p, p.shared, "k", NULL, "\"all\"");
        CHECK_VALUE(&p, p.shared, "k", "h1", "\"one\"");
        CHECK_VALUE(&p, p.shared, "k", "h2", "\"\"");
        CHECK_VALUE(&p, p.shared, "k", "h3", NULL);
        CHECK(!set_str(&p, "k", NULL, "all"));
        CHECK(set_str(&p, "k", NULL, NULL));
        CHECK(!set_str(&p, "k", NULL, NULL));
        CHECK_VALUE(&p, p.shared, "k", NULL, NULL);
        CHECK_VALUE(&p, p.shared, "k", "h1", "\"one\"");
}

TEST(keys_and_values_are_any_bytes) {
        static const char *const keys[] = { "'", "a b", "\xff\xfe", "ключ", "x'; DROP TABLE entries; --", "%", "?1" };
        _cleanup_(place_done) Place p;
        _cleanup_(value_done) Value zeros = {};
        KeysCall *c;

        place_init(&p);
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                CHECK(set_str(&p, keys[i], NULL, keys[i]));
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                CHECK(!set_str(&p, keys[i], NULL, keys[i]));
        CHECK_INT(value_str(&zeros, "a\0b", 3), 0);
        CHECK(set(&p, p.shared, "zeros", NULL, zeros));
        CHECK(!set(&p, p.shared, "zeros", NULL, zeros));
        CHECK(set_str(&p, "zeros", NULL, "a"));

        CHECK_INT(keys_get(p.shared, "", NULL, on_reply, NULL, &c), -EINVAL);
        CHECK_INT(keys_get(p.shared, "k", "", on_reply, NULL, &c), -EINVAL);
        CHECK_INT(keys_set(p.shared, "", NULL, zeros, NULL, on_reply, NULL, &c), -EINVAL);
}

TEST(shared_values_are_text) {
        _cleanup_(place_done) Place p;
        Answer a = {};
        KeysCall *c;

        place_init(&p);
        CHECK_INT(keys_set(p.shared, "k", NULL, VALUE_INT(3), NULL, on_reply, &a, &c), -EINVAL);
        CHECK_VALUE(&p, p.shared, "k", NULL, NULL);
}

typedef struct Failing {
        DatabaseJob job;
        int error;
} Failing;

static int fail_to_run(DatabaseJob *j, Database *d) {
        return -EINVAL;
}

static void failed(DatabaseJob *j, int error) {
        container_of(j, Failing, job)->error = error;
}

/* A job that fails takes nothing of its neighbours in the same transaction along. */
TEST(one_failure_among_many) {
        Failing failing = { .job = { .run = fail_to_run, .done = failed } };
        _cleanup_(place_done) Place p;
        _cleanup_(value_done) Value v = {};
        Answer a[30] = {};
        KeysCall *c;
        char key[16];

        place_init(&p);
        CHECK_INT(value_strz(&v, "x"), 0);
        for (size_t i = 0; i < ELEMENTSOF(a); i++) {
                snprintf(key, sizeof(key), "k%zu", i);
                if (i == 17)
                        database_queue(p.database, &failing.job);
                CHECK_INT(keys_set(p.shared, key, NULL, v, NULL, on_reply, &a[i], &c), 0);
        }
        CHECK(RUN_UNTIL(&p, a[ELEMENTSOF(a) - 1].came));
        CHECK_INT(failing.error, -EINVAL);
        for (size_t i = 0; i < ELEMENTSOF(a); i++) {
                CHECK_INT(a[i].error, 0);
                CHECK(a[i].changed);
                snprintf(key, sizeof(key), "k%zu", i);
                CHECK_VALUE(&p, p.shared, key, NULL, "\"x\"");
        }
}

TEST(local_values_keep_their_type) {
        _cleanup_(place_done) Place p;

        place_init(&p);
        for (int i = 0; i <= 9; i++) {
                _cleanup_(value_done) Value v = {};
                Value items[2] = {};
                static const char *const names[] = { "a", "b" };

                switch (i) {
                case 0: v = VALUE_BOOL(true); break;
                case 1: v = VALUE_INT(42); break;
                case 2: v = VALUE_FLOAT(-1.5); break;
                case 3: CHECK_INT(value_strz(&v, ""), 0); break;
                case 4: CHECK_INT(value_strz(&v, "text"), 0); break;
                case 5: CHECK_INT(value_list(&v, NULL, 0), 0); break;
                case 6: CHECK_INT(value_list(&v, (Value[]) { VALUE_INT(1), VALUE_INT(2) }, 2), 0); break;
                case 7:
                        CHECK_INT(value_strz(&items[0], "a"), 0);
                        CHECK_INT(value_map(&v, (Value[]) { value_take(&items[0]), VALUE_INT(1) }, 1), 0);
                        break;
                case 8:
                        CHECK_INT(value_strz(&items[1], "x"), 0);
                        CHECK_INT(value_struct(&v, names, (Value[]) { VALUE_INT(1), value_take(&items[1]) }, 2), 0);
                        break;
                case 9:
                        CHECK_INT(value_strz(&items[0], "x"), 0);
                        CHECK_INT(value_list(&items[1], (Value[]) { value_take(&items[0]) }, 1), 0);
                        CHECK_INT(value_list(&items[0], NULL, 0), 0);
                        CHECK_INT(value_list(&v, (Value[]) { value_take(&items[1]), value_take(&items[0]) }, 2), 0);
                        break;
                }
                _cleanup_free_ char *text = value_text(v);
                CHECK(set(&p, p.local, "v", NULL, v));
                CHECK(!set(&p, p.local, "v", NULL, v));
                CHECK_VALUE(&p, p.local, "v", NULL, text);
        }
        CHECK_VALUE(&p, p.shared, "v", NULL, NULL);
        CHECK(set(&p, p.local, "v", NULL, VALUE_NIL));
        CHECK_VALUE(&p, p.local, "v", NULL, NULL);
}

/* ---- calls that end early ---- */

TEST(cancelled_calls_are_silent) {
        _cleanup_(place_done) Place p;
        Answer never = {}, last = {};
        KeysCall *c;

        place_init(&p);
        for (int i = 0; i < 3; i++) {
                CHECK_INT(keys_get(p.shared, "k", NULL, on_reply, &never, &c), 0);
                CHECK(!keys_call_cancel(c));
        }
        CHECK(!keys_call_cancel(NULL));
        CHECK_INT(keys_get(p.shared, "k", NULL, on_reply, &last, &c), 0);
        CHECK(RUN_UNTIL(&p, last.came));
        CHECK(!never.came);
}

static void cancel_the_other(const KeysReply *reply, void *userdata) {
        KeysCall **other = userdata;

        *other = keys_call_cancel(*other);
}

TEST(cancelled_by_the_call_before_it) {
        _cleanup_(place_done) Place p;
        KeysCall *first, *second;
        Answer never = {}, last = {};

        place_init(&p);
        CHECK_INT(keys_get(p.shared, "k", NULL, cancel_the_other, &second, &first), 0);
        CHECK_INT(keys_get(p.shared, "k", NULL, on_reply, &never, &second), 0);
        CHECK_INT(keys_get(p.shared, "k", NULL, on_reply, &last, &first), 0);
        CHECK(RUN_UNTIL(&p, last.came));
        CHECK(!never.came);
        CHECK(!second);
}

TEST(calls_that_wait_at_the_end_are_told) {
        Place p;
        Answer a = {};
        KeysCall *c;

        place_init(&p);
        CHECK_INT(keys_get(p.shared, "k", NULL, on_reply, &a, &c), 0);
        place_done(&p);
        CHECK(a.came);
        CHECK_INT(a.error, -ECANCELED);
}

/* ---- watches ---- */

typedef struct Seen {
        unsigned n;
        int error;
        char *last;             /* as text */
} Seen;

static void on_news(KeysWatch *w, const KeysNews *news, void *userdata) {
        Seen *seen = userdata;

        CHECK(!news->back);
        seen->n++;
        seen->error = news->error;
        free(seen->last);
        seen->last = news->value.kind == TYPE_NIL ? NULL : value_text(news->value);
}

static void seen_done(Seen *seen) {
        free(seen->last);
}

TEST(watches_see_every_change_and_nothing_else) {
        _cleanup_(seen_done) Seen all = {}, twin = {}, part = {}, map = {}, other = {}, local = {};
        _cleanup_(place_done) Place p;
        _cleanup_(value_done) Value v = {};
        KeysWatch *w[6];
        Answer a = {};
        KeysCall *c;

        place_init(&p);
        CHECK_INT(keys_watch(p.shared, "k", NULL, on_news, &all, &w[0]), 0);
        CHECK_INT(keys_watch(p.shared, "k", NULL, on_news, &twin, &w[1]), 0);
        CHECK_INT(keys_watch(p.shared, "k", "h1", on_news, &part, &w[2]), 0);
        CHECK_INT(keys_watch_map(p.shared, "k", on_news, &map, &w[3]), 0);
        CHECK_INT(keys_watch(p.shared, "other", NULL, on_news, &other, &w[4]), 0);
        CHECK_INT(keys_watch(p.local, "k", NULL, on_news, &local, &w[5]), 0);
        CHECK(RUN_UNTIL(&p, local.n > 0));
        CHECK_INT(all.n + twin.n + part.n + map.n + other.n + local.n, 6);
        CHECK_STR(all.last, NULL);
        CHECK_STR(map.last, "{}");

        CHECK(set_str(&p, "k", NULL, "x"));
        CHECK(!set_str(&p, "k", NULL, "x"));
        CHECK(set_str(&p, "k", "h1", "y"));
        CHECK(set_str(&p, "k/deeper", "h1", "not in this map"));
        CHECK(set_str(&p, "k", "h2", "z"));
        CHECK_INT(all.n, 2);
        CHECK_STR(all.last, "\"x\"");
        CHECK_INT(twin.n, 2);
        CHECK_INT(part.n, 2);
        CHECK_STR(part.last, "\"y\"");
        CHECK_STR(map.last, "{\"h1\": \"y\", \"h2\": \"z\"}");
        CHECK_INT(other.n + local.n, 2);
        CHECK(set_str(&p, "k", "h1", NULL));
        CHECK_STR(part.last, NULL);
        CHECK_STR(map.last, "{\"h2\": \"z\"}");

        /* our own writes */
        CHECK_INT(value_strz(&v, "w"), 0);
        CHECK_INT(keys_set(p.shared, "k", NULL, v, w[0], on_reply, &a, &c), 0);
        CHECK(RUN_UNTIL(&p, a.came));
        CHECK_INT(all.n, 2);
        CHECK_INT(twin.n, 3);

        /* in any order, and what is left goes on */
        w[1] = keys_watch_free(w[1]);
        CHECK(set_str(&p, "k", NULL, "v"));
        CHECK_INT(all.n, 3);
        CHECK_INT(keys_watch(p.shared, "k", NULL, on_news, &twin, &w[1]), 0);
        w[0] = keys_watch_free(w[0]);
        CHECK(set_str(&p, "k", NULL, "u"));
        CHECK_INT(all.n, 3);
        CHECK_STR(twin.last, "\"u\"");

        /* behind our back */
        twin.n = other.n = 0;
        store_changed(p.store);
        CHECK(RUN_UNTIL(&p, twin.n > 0 && other.n > 0));
        CHECK_STR(twin.last, "\"u\"");
        for (size_t i = 0; i < ELEMENTSOF(w); i++)
                keys_watch_free(w[i]);
        CHECK(set_str(&p, "k", NULL, "nobody looks"));
}

/* ---- others at the same file ---- */

static void other_tool(Place *p, const char *sql) {
        sqlite3 *db = NULL;

        CHECK_INT(sqlite3_open(p->path, &db), SQLITE_OK);
        CHECK_INT(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
        CHECK_INT(sqlite3_close(db), SQLITE_OK);
}

static void count_others(void *userdata) {
        (*(unsigned *) userdata)++;
}

TEST(writes_of_others_are_noticed_and_ours_are_not) {
        _cleanup_(place_done) Place p;
        unsigned n = 0;

        place_init(&p);
        CHECK_INT(database_watch_others(p.database, count_others, &n), 0);
        CHECK(set_str(&p, "k", NULL, "ours"));
        for (int i = 0; i < 20; i++)
                (void) sd_event_run(p.event, 1000);
        CHECK_INT(n, 0);
        other_tool(&p, "UPDATE entries SET value = 'theirs' WHERE key = 'strings/k'");
        CHECK(RUN_UNTIL(&p, n > 0));
        CHECK_VALUE(&p, p.shared, "k", NULL, "\"theirs\"");
}

TEST(locks_of_others_are_waited_for_without_blocking) {
        _cleanup_(place_done) Place p;
        _cleanup_(value_done) Value v = {};
        sqlite3 *db = NULL;
        uint64_t start;
        Answer a = {};
        KeysCall *c;

        place_init(&p);
        CHECK_INT(sqlite3_open(p.path, &db), SQLITE_OK);
        CHECK_INT(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
        CHECK_INT(value_strz(&v, "x"), 0);
        CHECK_INT(keys_set(p.shared, "k", NULL, v, NULL, on_reply, &a, &c), 0);
        for (start = now_usec(); now_usec() < start + 100000;)
                (void) sd_event_run(p.event, 1000);     /* whoever blocks does so until COMMIT, for ever */
        CHECK(!a.came);
        CHECK_INT(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
        CHECK(RUN_UNTIL(&p, a.came));
        CHECK_INT(a.error, 0);
        CHECK_INT(sqlite3_close(db), SQLITE_OK);
}

TEST(unreadable_values_are_errors_and_can_be_replaced) {
        _cleanup_(place_done) Place p;
        Answer a = {};
        KeysCall *c;

        place_init(&p);
        other_tool(&p, "INSERT INTO entries VALUES ('local/k', x'00112233', 1, 0)");
        CHECK_INT(keys_get(p.local, "k", NULL, on_reply, &a, &c), 0);
        CHECK(RUN_UNTIL(&p, a.came));
        CHECK_INT(a.error, -EBADMSG);
        CHECK(set(&p, p.local, "k", NULL, VALUE_INT(1)));
        CHECK_VALUE(&p, p.local, "k", NULL, "1");
}

/* ---- a disk that takes no more ---- */

TEST(failed_writes_are_told_and_leave_all_as_it_was) {
        _cleanup_(place_done) Place p;
        _cleanup_(value_done) Value v = {};
        struct rlimit before, limit;
        static char big[100000];
        Answer a = {}, b = {};
        struct stat st;
        char wal[128];
        KeysCall *c;

        place_init(&p);
        CHECK(set_str(&p, "k", NULL, "old"));
        snprintf(wal, sizeof(wal), "%s-wal", p.path);
        CHECK_INT(stat(wal, &st), 0);
        CHECK_INT(value_str(&v, big, sizeof(big)), 0);
        (void) signal(SIGXFSZ, SIG_IGN);
        CHECK_INT(getrlimit(RLIMIT_FSIZE, &before), 0);
        limit = before;
        limit.rlim_cur = (rlim_t) st.st_size + 8192;
        CHECK_INT(setrlimit(RLIMIT_FSIZE, &limit), 0);
        CHECK_INT(keys_set(p.shared, "k", NULL, v, NULL, on_reply, &a, &c), 0);
        CHECK_INT(keys_get(p.shared, "k", NULL, on_reply, &b, &c), 0);
        CHECK(RUN_UNTIL(&p, b.came));
        CHECK_INT(setrlimit(RLIMIT_FSIZE, &before), 0);
        CHECK_INT(a.error, -EIO);
        CHECK(!a.changed);
        CHECK_INT(b.error, 0);
        CHECK(b.value.kind == TYPE_STR && streq(value_cstr(b.value), "old"));
        answer_done(&b);

        CHECK(set(&p, p.shared, "k", NULL, v));
        CHECK(!set(&p, p.shared, "k", NULL, v));
        (void) signal(SIGXFSZ, SIG_DFL);
}

/* ---- opening ---- */

TEST(database_is_private_and_comes_back) {
        _cleanup_(place_done) Place p;
        struct stat st;
        char wal[128];

        place_init(&p);
        CHECK(set_str(&p, "k", NULL, "x"));
        CHECK_INT(stat(p.path, &st), 0);
        CHECK_INT(st.st_mode & 0777, 0600);
        snprintf(wal, sizeof(wal), "%s-wal", p.path);
        CHECK_INT(stat(wal, &st), 0);
        CHECK_INT(st.st_mode & 0777, 0600);
        place_close(&p);
        CHECK_INT(place_open(&p, NULL), 0);
        CHECK_VALUE(&p, p.shared, "k", NULL, "\"x\"");
}

/* Taken while somebody writes: whole, and without a trace at the original. */
TEST(copies) {
        _cleanup_(place_done) Place p;
        char copy[128], wal[128];
        struct stat before, after;

        place_init(&p);
        snprintf(copy, sizeof(copy), "%s/copy.sqlite", p.directory);
        snprintf(wal, sizeof(wal), "%s-wal", p.path);
        CHECK(set_str(&p, "k", NULL, "x"));
        CHECK_INT(stat(wal, &before), 0);
        CHECK(before.st_size > 0);      /* not in the file itself yet */
        CHECK_INT(database_copy(p.path, copy), 0);
        CHECK_INT(stat(wal, &after), 0);
        CHECK(before.st_size == after.st_size && before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);

        CHECK(set_str(&p, "k", NULL, "y"));
        place_close(&p);
        memcpy(p.path, copy, sizeof(p.path));
        CHECK_INT(place_open(&p, NULL), 0);
        CHECK_VALUE(&p, p.shared, "k", NULL, "\"x\"");

        /* again over the one that is there; of one that is not there; of one that may not be read */
        snprintf(copy, sizeof(copy), "%s/again.sqlite", p.directory);
        CHECK_INT(database_copy(p.path, copy), 0);
        CHECK_INT(database_copy(p.path, copy), 0);
        CHECK_INT(database_copy("/no/such/file", copy), 0);
        CHECK_INT(access(copy, F_OK), -1);
        CHECK_INT(database_copy(p.directory, copy), -EISDIR);
}

/* What a start that was cut off left behind is not taken for a database, nor for a part of the new one. */
TEST(drafts_are_removed) {
        static const char *const suffixes[] = { ".new", ".new-wal", ".new-journal", ".new-shm" };
        _cleanup_(place_done) Place p;
        char path[128];

        place_init(&p);
        CHECK(set_str(&p, "k", NULL, "old"));
        place_close(&p);
        snprintf(path, sizeof(path), "%s.new", p.path);
        CHECK_INT(rename(p.path, path), 0);
        for (size_t i = 1; i < ELEMENTSOF(suffixes); i++) {
                snprintf(path, sizeof(path), "%s%s", p.path, suffixes[i]);
                CHECK_INT(write_file_atomic_at(AT_FDCWD, path, "junk", 4, 0600, false), 0);
        }
        CHECK_INT(place_open(&p, NULL), 0);
        CHECK_VALUE(&p, p.shared, "k", NULL, NULL);
        CHECK(set_str(&p, "k", NULL, "new"));
        for (size_t i = 0; i < ELEMENTSOF(suffixes); i++) {
                snprintf(path, sizeof(path), "%s%s", p.path, suffixes[i]);
                CHECK(access(path, F_OK) < 0 && errno == ENOENT);
        }
}

TEST(databases_that_are_none) {
        _cleanup_(place_done) Place p;
        _cleanup_(diag_done) Diag newer = {}, junk = {}, link = {}, nowhere = {};
        char other[96];

        place_init(&p);
        place_close(&p);
        other_tool(&p, "PRAGMA user_version = 99");
        CHECK_INT(place_open(&p, &newer), -EPROTONOSUPPORT);
        CHECK(newer.message && strstr(newer.message, "has schema version 99, expected at most 4"));
        place_close(&p);

        CHECK_INT(write_file_atomic_at(AT_FDCWD, p.path, "this is not a database, whatever its name may say it is", 55, 0600, false), 0);
        CHECK_INT(place_open(&p, &junk), -EUCLEAN);
        CHECK(junk.message && strstr(junk.message, "cannot open"));
        place_close(&p);

        snprintf(other, sizeof(other), "%s/other", p.directory);
        CHECK_INT(unlink(p.path), 0);
        CHECK_INT(symlink(other, p.path), 0);
        CHECK_INT(place_open(&p, &link), -ELOOP);
        place_close(&p);

        snprintf(p.path, sizeof(p.path), "%s/nowhere/world.sqlite", p.directory);
        CHECK_INT(place_open(&p, &nowhere), -ENOENT);
        CHECK(nowhere.message && startswith(nowhere.message, "cannot create "));
}

/* What version 2 kept under its tables. */
TEST(older_databases_are_taken_over) {
        _cleanup_(place_done) Place p;

        place_init(&p);
        CHECK(set(&p, p.local, "v", NULL, VALUE_INT(42)));
        place_close(&p);
        other_tool(&p, "CREATE TABLE strings (key TEXT NOT NULL, host TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (key, host)) "
                       "WITHOUT ROWID;"
                       "CREATE TABLE local_values (key TEXT NOT NULL, host TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (key, host)) "
                       "WITHOUT ROWID;"
                       "INSERT INTO strings VALUES ('a/b', '', 'all'), ('a', 'b', 'part');"
                       "INSERT INTO local_values SELECT 'v', '', value FROM entries WHERE key = 'local/v';"
                       "DROP TABLE cluster_deploy; DROP TABLE entries; DROP TABLE leases; DROP TABLE revision; PRAGMA user_version = 2");
        CHECK_INT(place_open(&p, NULL), 0);
        CHECK_VALUE(&p, p.shared, "a/b", NULL, "\"all\"");
        CHECK_VALUE(&p, p.shared, "a", "b", "\"part\"");
        CHECK_VALUE(&p, p.local, "v", NULL, "42");
        CHECK(!set_str(&p, "a", "b", "part"));
}

/* ---- deploys ---- */

typedef struct Heard {
        bool came;
        int error;
        size_t n;
        Deploy first;
        uint64_t ids[DEPLOYS_KEPT];
} Heard;

static void on_deploys(int error, const Deploy *deploys, size_t n, void *userdata) {
        Heard *h = userdata;

        h->came = true;
        h->error = error;
        h->n = n;
        for (size_t i = 0; i < n; i++)
                h->ids[i] = deploys[i].id;
        if (n > 0) {
                h->first = deploys[0];
                h->first.bundle = value_ref(deploys[0].bundle);
                h->first.options = value_ref(deploys[0].options);
        }
}

static void heard_done(Heard *h) {
        value_done(&h->first.bundle);
        value_done(&h->first.options);
}

static void make_bundle(Value *ret, const char *text) {
        Value items[2] = {};

        CHECK_INT(value_strz(&items[0], "/main.mcl"), 0);
        CHECK_INT(value_strz(&items[1], text), 0);
        CHECK_INT(value_map(ret, items, 1), 0);
}

static void make_options(Value *ret) {
        CHECK_INT(value_struct(ret, (const char *const[]) { "noop" }, (Value[]) { VALUE_BOOL(true) }, 1), 0);
}

TEST(deploys_are_counted_and_the_last_ones_kept) {
        _cleanup_(place_done) Place p;
        _cleanup_(value_done) Value options = {};
        uint64_t last = 0;

        place_init(&p);
        make_options(&options);
        CHECK_INT(deploys_newest_id(p.deploys), 0);
        for (unsigned i = 1; i <= DEPLOYS_KEPT + 5; i++) {
                _cleanup_(value_done) Value bundle = {};
                _cleanup_(heard_done) Heard added = {}, newest = {}, list = {};
                char text[32];

                snprintf(text, sizeof(text), "# %u\n", i);
                make_bundle(&bundle, text);
                CHECK_INT(deploys_add(p.deploys, bundle, options, on_deploys, &added, NULL), 0);
                CHECK(!added.came);
                CHECK_INT(deploys_newest(p.deploys, on_deploys, &newest), 0);
                CHECK_INT(deploys_list(p.deploys, on_deploys, &list), 0);
                CHECK(RUN_UNTIL(&p, list.came));
                CHECK_INT(added.error, 0);
                CHECK(added.first.id > last);
                last = added.first.id;
                CHECK_INT(deploys_newest_id(p.deploys), last);
                CHECK_INT(newest.first.id, last);
                CHECK_INT(newest.first.n_files, 1);
                CHECK(newest.first.time_usec > 1500000000000000);
                CHECK(value_equal(newest.first.bundle, bundle));
                CHECK(value_equal(newest.first.options, options));
                CHECK_INT(list.n, i < DEPLOYS_KEPT ? i : DEPLOYS_KEPT);
                CHECK_INT(list.ids[0], last);
        }
        place_close(&p);
        CHECK_INT(place_open(&p, NULL), 0);
        CHECK_INT(deploys_newest_id(p.deploys), last);
}

TEST(deploys_that_are_none) {
        _cleanup_(place_done) Place p;
        _cleanup_(value_done) Value bundle = {}, options = {};
        _cleanup_(diag_done) Diag d1 = {}, d2 = {};
        _cleanup_(heard_done) Heard h = {};

        place_init(&p);
        make_bundle(&bundle, "");
        make_options(&options);
        CHECK(deploys_add(p.deploys, VALUE_INT(1), options, on_deploys, &h, &d1) < 0);
        CHECK(d1.message && startswith(d1.message, "bundle: "));
        CHECK_INT(deploys_add(p.deploys, bundle, VALUE_NIL, on_deploys, &h, &d2), -EINVAL);
        CHECK_INT(deploys_newest(p.deploys, on_deploys, &h), 0);
        CHECK(RUN_UNTIL(&p, h.came));
        CHECK_INT(h.n, 0);
        CHECK_INT(h.error, 0);
}

TEST_MAIN()
