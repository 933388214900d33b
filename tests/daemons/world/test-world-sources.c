/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The functions that mgmt-world serves, over a database of their own. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "daemons/world/pool.h"
#include "daemons/world/vardir.h"
#include "daemons/world/world-manager.h"
#include "tests/daemons/testsource.h"
#include "tests/test.h"

typedef struct Place {
        char directory[64], path[96];
        WorldManager manager;
        Daemon daemon;
        SourceHost host;
} Place;

static void place_open(Place *p) {
        WorldManager *m = &p->manager;

        CHECK_INT(database_open(&m->database, p->daemon.event, p->path, NULL), 0);
        CHECK_INT(store_open_sqlite(&m->own, m->database), 0);
        m->store = m->own;
        CHECK_INT(keys_open_shared(&m->keys, m->store), 0);
        CHECK_INT(keys_open_local(&m->local, m->own), 0);
}

static void place_close(Place *p) {
        WorldManager *m = &p->manager;

        m->database = database_free(m->database);
        m->keys = keys_free(m->keys);
        m->local = keys_free(m->local);
        m->store = m->own = store_free(m->own);
}

static void place_init(Place *p) {
        *p = (Place) { .directory = "/tmp/test-world-XXXXXX" };
        CHECK(mkdtemp(p->directory));
        snprintf(p->path, sizeof(p->path), "%s/world.sqlite", p->directory);
        CHECK(sd_event_new(&p->daemon.event) >= 0);
        p->manager.daemon = &p->daemon;
        p->host = (SourceHost) { .event = p->daemon.event, .manager = &p->manager, .hostname = "h1", .state_dir = p->directory };
        place_open(p);
}

static void place_done(Place *p) {
        place_close(p);
        sd_event_unref(p->daemon.event);
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
                        (void) sd_event_run((place)->daemon.event, 20000); \
                _holds; \
        })

#define CHECK_SAYS(place, call, want) \
        do { \
                (void) RUN_UNTIL((place), streq_ptr((call)->text, (want))); \
                CHECK_STR((call)->text, (want)); \
        } while (0)

static void ask(Place *p, TestCall *c, const char *function, const char *args, const char *result) {
        test_call_open(c, world_functions, &p->host, function, args, result);
}

static void on_set(const KeysReply *reply, void *userdata) {
        *(int *) userdata = reply->error < 0 ? reply->error : 1;
}

/* Writes what stands there as in a program; NULL: removes it. */
static void set(Place *p, Keys *s, const char *key, const char *host, const char *text) {
        _cleanup_(value_done) Value v = {};
        int result = 0;
        KeysCall *c;

        if (text)
                CHECK_INT(value_parse(text, NULL, &v, NULL), 0);
        CHECK_INT(keys_set(s, key, host, v, NULL, on_set, &result, &c), 0);
        CHECK(RUN_UNTIL(p, result));
        CHECK_INT(result, 1);
}

/* Another program writes into the database. */
static void other_tool(Place *p, const char *sql) {
        sqlite3 *db;

        CHECK_INT(sqlite3_open(p->path, &db), SQLITE_OK);
        CHECK_INT(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
}

/* ---- value ---- */

TEST(values_of_this_host) {
        static const struct { const char *function, *type, *zero, *text, *printed; } cases[] = {
                { "value.get_str",      "str",                          "\"\"",                         "\"x\"",        "\"x\"" },
                { "value.get_int",      "int",                          "0",                            "42",           "42" },
                { "value.get_bool",     "bool",                         "false",                        "true",         "true" },
                { "value.get_float",    "float",                        "0",                            "1.5",          "1.5" },
                { "value.get",          "str",                          "\"\"",                         "\"x\"",        "\"x\"" },
                { "value.get",          "[]int",                        "[]",                           "[1]",          "[1]" },
                { "value.get",          "map{str: int}",                "{}",                           "{\"a\" => 1,}", "{\"a\": 1}" },
                { "value.get",          "struct{a int; b []struct{c bool}}", "struct{a: 0; b: []}",     "struct{a => 1, b => [],}", "struct{a: 1; b: []}" },
        };
        _cleanup_(place_done) Place p;

        place_init(&p);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char type[128], zero[128], there[128];
                TestCall a;

                snprintf(type, sizeof(type), "struct{value %s; ready bool}", cases[i].type);
                snprintf(zero, sizeof(zero), "struct{value: %s; ready: false}", cases[i].zero);
                snprintf(there, sizeof(there), "struct{value: %s; ready: true}", cases[i].printed);
                ask(&p, &a, cases[i].function, "[\"k\"]", type);
                CHECK_SAYS(&p, &a, zero);
                set(&p, p.manager.local, "k", NULL, cases[i].text);
                CHECK_SAYS(&p, &a, there);
                set(&p, p.manager.local, "other", NULL, "1");
                set(&p, p.manager.local, "k", NULL, NULL);
                CHECK_SAYS(&p, &a, zero);
                CHECK_INT(a.n_said, 3);
                test_call_close(&a);
                set(&p, p.manager.local, "k", NULL, "1");       /* nobody hears */
                set(&p, p.manager.local, "k", NULL, NULL);
        }
}

TEST(values_of_the_wrong_type) {
        _cleanup_(place_done) Place p;
        TestCall a, b;

        place_init(&p);
        set(&p, p.manager.local, "k", NULL, "42");
        ask(&p, &a, "value.get_str", "[\"k\"]", "struct{value str; ready bool}");
        ask(&p, &b, "value.get_int", "[\"k\"]", "struct{value int; ready bool}");
        CHECK_SAYS(&p, &a, "error: type mismatch, check type in Value[k]: base kind does not match (str != int)");
        CHECK_SAYS(&p, &b, "struct{value: 42; ready: true}");
        set(&p, p.manager.local, "k", NULL, "\"text\"");
        CHECK_SAYS(&p, &a, "struct{value: \"text\"; ready: true}");
        CHECK_SAYS(&p, &b, "error: type mismatch, check type in Value[k]: base kind does not match (int != str)");
        test_call_close(&a);
        test_call_close(&b);
}

TEST(values_that_cannot_be_read) {
        _cleanup_(place_done) Place p;
        TestCall a;

        place_init(&p);
        set(&p, p.manager.local, "k", NULL, "1");
        other_tool(&p, "UPDATE entries SET value = x'00' WHERE key LIKE 'local/%'");
        ask(&p, &a, "value.get_int", "[\"k\"]", "struct{value int; ready bool}");
        CHECK_SAYS(&p, &a, "error: channel read failed on `k`: Bad message");
        set(&p, p.manager.local, "k", NULL, "2");
        CHECK_SAYS(&p, &a, "struct{value: 2; ready: true}");
        test_call_close(&a);
}

TEST(what_cannot_be_asked) {
        static const struct { const char *function, *args, *result, *text; } cases[] = {
                { "value.get_str",  "[\"\"]",       "struct{value str; ready bool}",    "error: can't use an empty key" },
                { "value.get_str",  "[\"a\\x00b\"]", "struct{value str; ready bool}",    "error: can't use a key with a NUL byte" },
                { "value.get",      "[\"k\"]",      "str",                              "error: value.get() gives a struct of value and ready" },
                { "value.get",      "[\"k\"]",      "struct{value func() str; ready bool}", "error: a value of this type cannot be kept: Invalid argument" },
                { "world.getval",   "[\"\"]",       "struct{value str; exists bool}",   "error: can't use an empty key" },
                { "world.kvlookup", "[\"\"]",       "map{str: str}",                    "error: can't use an empty namespace" },
                { "local.pool",     "[\"\", \"u\"]", "int",                             "error: namespace is empty" },
                { "local.pool",     "[\"n\", \"\"]", "int",                             "error: uid is empty" },
                { "local.pool",     "[\"a/b\", \"u\"]", "int",                          "error: namespace contains slash" },
                { "local.pool",     "[\"n\", \"/\"]", "int",                            "error: uid contains slash" },
                { "local.vardir",   "[\"/a/\"]",    "str",                              "error: path must be relative, got '/a/'" },
                { "local.vardir",   "[\"a\"]",      "str",                              "error: path must be a dir, with a slash at its end, got 'a'" },
                { "local.vardir",   "[\"\"]",       "str",                              "error: path must be a dir, with a slash at its end, got ''" },
                { "local.vardir",   "[\"a\\x00/\"]",   "str",                              "error: path has a NUL byte" },
                { "local.vardir",   "[\"a/../b/\"]", "str",                             "error: path must stay below its place, got 'a/../b/'" },
                { "local.vardir",   "[\"../\"]",    "str",                              "error: path must stay below its place, got '../'" },
        };
        _cleanup_(place_done) Place p;

        place_init(&p);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                TestCall a;

                ask(&p, &a, cases[i].function, cases[i].args, cases[i].result);
                CHECK_SAYS(&p, &a, cases[i].text);
                test_call_close(&a);
        }
}

/* ---- world ---- */

TEST(texts_of_all_hosts) {
        _cleanup_(place_done) Place p;
        TestCall one, map;

        place_init(&p);
        ask(&p, &one, "world.getval", "[\"k\"]", "struct{value str; exists bool}");
        ask(&p, &map, "world.kvlookup", "[\"k\"]", "map{str: str}");
        CHECK_SAYS(&p, &one, "struct{value: \"\"; exists: false}");
        CHECK_SAYS(&p, &map, "{}");
        set(&p, p.manager.keys, "k", NULL, "\"all\"");
        CHECK_SAYS(&p, &one, "struct{value: \"all\"; exists: true}");
        CHECK_SAYS(&p, &map, "{}");
        set(&p, p.manager.keys, "k", "h2", "\"two\"");
        set(&p, p.manager.keys, "k", "h1", "\"\"");
        set(&p, p.manager.keys, "k/h3", NULL, "\"no part of it\"");
        CHECK_SAYS(&p, &map, "{\"h1\": \"\", \"h2\": \"two\"}");
        set(&p, p.manager.keys, "k", "h2", NULL);
        CHECK_SAYS(&p, &map, "{\"h1\": \"\"}");
        CHECK_SAYS(&p, &one, "struct{value: \"all\"; exists: true}");
        test_call_close(&one);
        test_call_close(&map);
}

/* Several writes while it is being read, and writes of others: the last word is heard. */
TEST(changes_in_a_row) {
        _cleanup_(place_done) Place p;
        int results[50] = {};
        TestCall a, b;

        place_init(&p);
        ask(&p, &a, "world.getval", "[\"k\"]", "struct{value str; exists bool}");
        for (size_t i = 0; i < ELEMENTSOF(results); i++) {
                _cleanup_(value_done) Value v = {};
                KeysCall *c;

                CHECK_INT(value_strf(&v, "%zu", i), 0);
                CHECK_INT(keys_set(p.manager.keys, "k", NULL, v, NULL, on_set, &results[i], &c), 0);
                if (i % 7 == 0)
                        (void) sd_event_run(p.daemon.event, 0);
        }
        CHECK_SAYS(&p, &a, "struct{value: \"49\"; exists: true}");
        ask(&p, &b, "world.getval", "[\"k\"]", "struct{value str; exists bool}");
        test_call_close(&b);                    /* before it was answered */
        other_tool(&p, "UPDATE entries SET value = 'theirs' WHERE key LIKE 'strings/%'");
        store_changed(p.manager.store);         /* as world-manager.c does */
        CHECK_SAYS(&p, &a, "struct{value: \"theirs\"; exists: true}");
        test_call_close(&a);
}

/* ---- local ---- */

TEST(numbers_for_names) {
        static const struct { const char *args, *number; } cases[] = {
                { "[\"ports\", \"web\"]",       "1" },
                { "[\"ports\", \"db\"]",        "2" },
                { "[\"uids\", \"web\"]",        "1" },
                { "[\"ports\", \"web\"]",       "1" },
                { "[\"ports\", \"mail\"]",      "3" },
                { "[\"ports\", \"db\"]",        "2" },
                { "[\"ports\", \"'; --\"]",     "4" },
        };
        _cleanup_(place_done) Place p;
        TestCall all[20];

        place_init(&p);
        for (unsigned round = 0; round < 2; round++) {
                for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                        TestCall a;

                        ask(&p, &a, "local.pool", cases[i].args, "int");
                        CHECK(!a.text);
                        CHECK_SAYS(&p, &a, cases[i].number);
                        CHECK_INT(a.n_said, 1);
                        test_call_close(&a);
                }
                place_close(&p);
                place_open(&p);
        }
        /* many at once, some of which are not waited for */
        for (size_t i = 0; i < ELEMENTSOF(all); i++) {
                char args[64];

                snprintf(args, sizeof(args), "[\"many\", \"%zu\"]", i % 10);
                ask(&p, &all[i], "local.pool", args, "int");
                if (i >= 15)
                        test_call_close(&all[i]);
        }
        for (size_t i = 0; i < 15; i++) {
                char want[8];

                snprintf(want, sizeof(want), "%zu", i % 10 + 1);
                CHECK_SAYS(&p, &all[i], want);
                test_call_close(&all[i]);
        }
        other_tool(&p, "UPDATE pool SET number = 7 WHERE uid = 'mail'");
        ask(&p, &all[0], "local.pool", "[\"ports\", \"new\"]", "int");
        CHECK_SAYS(&p, &all[0], "8");
        test_call_close(&all[0]);
}

TEST(a_number_is_on_the_disk_when_it_is_said) {
        _cleanup_(place_done) Place p;
        TestCall a;

        place_init(&p);
        other_tool(&p, "CREATE TRIGGER no BEFORE INSERT ON pool BEGIN SELECT raise(ABORT, 'no'); END");
        ask(&p, &a, "local.pool", "[\"n\", \"u\"]", "int");
        CHECK_SAYS(&p, &a, "error: cannot take a number: Input/output error");
        test_call_close(&a);
}

TEST(databases_of_versions_before) {
        _cleanup_(place_done) Place p;
        TestCall a, b;

        place_init(&p);
        set(&p, p.manager.keys, "k", NULL, "\"kept\"");
        place_close(&p);
        other_tool(&p, "CREATE TABLE strings (key TEXT NOT NULL, host TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (key, host));"
                       "CREATE TABLE local_values (key TEXT NOT NULL, host TEXT NOT NULL, value BLOB NOT NULL);"
                       "INSERT INTO strings SELECT 'k', '', value FROM entries;"
                       "DROP TABLE cluster_deploy; DROP TABLE entries; DROP TABLE leases; DROP TABLE revision; DROP TABLE pool; PRAGMA user_version = 1");
        place_open(&p);
        ask(&p, &a, "local.pool", "[\"n\", \"u\"]", "int");
        ask(&p, &b, "world.getval", "[\"k\"]", "struct{value str; exists bool}");
        CHECK_SAYS(&p, &a, "1");
        CHECK_SAYS(&p, &b, "struct{value: \"kept\"; exists: true}");
        test_call_close(&a);
        test_call_close(&b);
}

TEST(directories) {
        static const struct { const char *args, *path; } cases[] = {
                { "[\"a/\"]",           "a/" },
                { "[\"a/b/c/\"]",       "a/b/c/" },
                { "[\"./a//./b/\"]",    "a/b/" },
                { "[\"./\"]",           "" },
                { "[\"...a/\"]",        "...a/" },
                { "[\"\xc3\xa4 \\n/\"]", "\xc3\xa4 \n/" },
        };
        _cleanup_(place_done) Place p;

        place_init(&p);
        for (unsigned round = 0; round < 2; round++)
                for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                        char path[PATH_MAX], quoted[PATH_MAX + 2];
                        struct stat st;
                        TestCall a;

                        snprintf(path, sizeof(path), "%s/vardir/%s", p.directory, cases[i].path);
                        ask(&p, &a, "local.vardir", cases[i].args, "str");
                        if (!strchr(path, '\n') && !strstr(path, "\xc3")) {
                                snprintf(quoted, sizeof(quoted), "\"%s\"", path);
                                CHECK_SAYS(&p, &a, quoted);
                        }
                        CHECK_INT(a.n_said, 1);
                        CHECK_INT(stat(path, &st), 0);
                        CHECK(S_ISDIR(st.st_mode));
                        CHECK_INT(st.st_mode & 07777, 0750);
                        test_call_close(&a);
                }
}

TEST(directories_that_cannot_be_made) {
        static const struct { const char *path; int result; } cases[] = {
                { "link/",              -ENOTDIR },     /* to a directory elsewhere */
                { "link/below/",        -ENOTDIR },
                { "file/",              -ENOTDIR },
                { "file/below/",        -ENOTDIR },
        };
        _cleanup_(place_done) Place p;
        char path[PATH_MAX], elsewhere[96], name[NAME_MAX + 4];
        char *ret = NULL;

        place_init(&p);
        snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", p.directory);
        CHECK_INT(mkdir(elsewhere, 0700), 0);
        CHECK_INT(vardir_make(p.directory, "./", &ret, NULL), 0);
        free(ret);
        snprintf(path, sizeof(path), "%s/vardir/link", p.directory);
        CHECK_INT(symlink(elsewhere, path), 0);
        snprintf(path, sizeof(path), "%s/vardir/file", p.directory);
        CHECK_INT(write_file_atomic_at(AT_FDCWD, path, "x", 1, 0600, false), 0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(diag_done) Diag d = {};

                CHECK_INT(vardir_make(p.directory, cases[i].path, &ret, &d), cases[i].result);
                CHECK(d.message && startswith(d.message, "cannot make the directory"));
        }
        CHECK_INT(rmdir(elsewhere), 0);         /* it is empty */

        memset(name, 'x', sizeof(name));
        name[NAME_MAX + 1] = '/';
        name[NAME_MAX + 2] = '\0';
        CHECK_INT(vardir_make(p.directory, name, &ret, NULL), -ENAMETOOLONG);
        CHECK_INT(vardir_make("/nonexistent", "a/", &ret, NULL), -ENOENT);
}

TEST_MAIN()
