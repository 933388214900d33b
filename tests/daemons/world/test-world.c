/* SPDX-License-Identifier: GPL-3.0-or-later */

/* mgmt-world as a process, spoken to as mgmt-engine and mgmt-lang do. It gets its socket as a service manager passes it, and no
 * bus. The database is also looked at from the side. */

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <sqlite3.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/ipc/channel.h"
#include "common/paths.h"
#include "common/strbuf.h"
#include "tests/test.h"

#define NO_PARENT UINT32_MAX

typedef struct World {
        sd_event *event;
        char directory[64], path[96], database[128];
        int fd;                 /* the listening socket, as a service manager keeps it */
        pid_t pid;
        Channel *channel;
        unsigned n_connected, n_disconnected;
        bool speak_as_lang;

        uint32_t n_results, n_changed, n_armed, n_failed, last_attempt;
        int last_result;
        char last_text[256];
        Value last_sent;
        char *last_difference;  /* field, from, to */
        uint64_t n_sent;

        unsigned n_deploys, n_added;
        uint64_t last_deploy, last_added;
        Value last_bundle;
        char last_added_text[256];
        int last_error;

        unsigned n_written;
        uint64_t last_written;
        int last_write_error;
} World;

static void on_message(Channel *c, PeerId peer, Message *m, void *userdata) {
        World *w = userdata;

        switch (m->type) {
        case MESSAGE_WELCOME:
                CHECK_STR(m->welcome.daemon, "world");
                break;
        case MESSAGE_TASK_ARMED:
                w->n_armed++;
                break;
        case MESSAGE_TASK_CHANGED:
                w->n_changed++;
                break;
        case MESSAGE_TASK_WATCH_FAILED:
                w->n_failed++;
                snprintf(w->last_text, sizeof(w->last_text), "%s", m->task_watch_failed.diag.message ?: "");
                break;
        case MESSAGE_TASK_RESULT:
                w->n_results++;
                w->last_attempt = m->task_result.attempt;
                w->last_result = m->task_result.result;
                snprintf(w->last_text, sizeof(w->last_text), "%s", m->task_result.diag.message ?: "");
                break;
        case MESSAGE_TASK_DIFFERS:
                free(w->last_difference);
                if (asprintf(&w->last_difference, "%s %s %s", m->task_differs.field, m->task_differs.from ?: "-", m->task_differs.to ?: "-") < 0)
                        abort();
                break;
        case MESSAGE_TASK_SEND:
                w->n_sent++;
                value_done(&w->last_sent);
                w->last_sent = value_take(&m->task_send.value);
                break;
        case MESSAGE_DEPLOY:
                w->n_deploys++;
                w->last_deploy = m->deploy.deploy;
                value_done(&w->last_bundle);
                w->last_bundle = value_take(&m->deploy.bundle);
                break;
        case MESSAGE_DEPLOY_ADDED:
                w->n_added++;
                w->last_added = m->deploy_added.deploy;
                snprintf(w->last_added_text, sizeof(w->last_added_text), "%s", m->deploy_added.diag.message ?: "");
                break;
        case MESSAGE_STORE_WRITTEN:
                w->n_written++;
                w->last_written = m->store_written.request;
                w->last_write_error = m->store_written.diag.error;
                break;
        case MESSAGE_ERROR:
                w->last_error = m->error.error;
                break;
        default:
                break;
        }
}

static void on_connected(Channel *c, void *userdata) {
        World *w = userdata;

        w->n_connected++;
        CHECK_INT(channel_send(c, 0, &(Message) {
                        .type = MESSAGE_HELLO,
                        .hello = { .role = (char *) (w->speak_as_lang ? "lang" : "engine"), .hostname = (char *) "h1" },
                  }), 0);
}

static void on_disconnected(Channel *c, void *userdata) {
        ((World *) userdata)->n_disconnected++;
}

static const ChannelOps ops = { .message = on_message, .connected = on_connected, .disconnected = on_disconnected };

/* ---- the process ---- */

static uint64_t now_usec(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

#define RUN_UNTIL(world, condition) \
        ({ \
                uint64_t _end = now_usec() + 60000000; \
                bool _holds; \
                while (!(_holds = (condition)) && now_usec() < _end) \
                        (void) sd_event_run((world)->event, 20000); \
                _holds; \
        })

static void start_world(World *w) {
        _cleanup_free_ char *program = path_daemon("world");
        char *argv[] = { (char *) "sh", (char *) "-c", (char *) "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\"", program, NULL };
        posix_spawn_file_actions_t actions;
        char state[128], bus[128], level[] = "MGMT_LOG_LEVEL=err";
        char *env[] = { state, bus, level, NULL };

        snprintf(state, sizeof(state), "STATE_DIRECTORY=%s/state", w->directory);
        snprintf(bus, sizeof(bus), "MGMT_BUS_ADDRESS=unix:path=%s/no-bus", w->directory);
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, w->fd, 3);
        CHECK_INT(posix_spawn(&w->pid, "/bin/sh", &actions, NULL, argv, env), 0);
        posix_spawn_file_actions_destroy(&actions);
}

static int end_world(World *w, int signal) {
        int status = -1;

        if (w->pid > 0) {
                (void) kill(w->pid, signal);
                (void) waitpid(w->pid, &status, 0);
        }
        w->pid = 0;
        return status;
}

static void world_init(World *w, bool speak_as_lang) {
        struct sockaddr_un a = { .sun_family = AF_UNIX };

        *w = (World) { .directory = "/tmp/test-world-XXXXXX", .speak_as_lang = speak_as_lang };
        CHECK(mkdtemp(w->directory));
        snprintf(w->path, sizeof(w->path), "%s/world.sock", w->directory);
        snprintf(w->database, sizeof(w->database), "%s/state/world.sqlite", w->directory);
        snprintf(a.sun_path, sizeof(a.sun_path), "%s", w->path);
        w->fd = socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0);
        CHECK(bind(w->fd, (struct sockaddr *) &a, sizeof(a)) == 0 && listen(w->fd, 64) == 0);
        CHECK(sd_event_new(&w->event) >= 0);
        start_world(w);
        CHECK_INT(channel_connect(&w->channel, w->event, w->path, &ops, w), 0);
        CHECK(RUN_UNTIL(w, w->n_connected == 1));
}

static void world_done(World *w) {
        channel_free(w->channel);
        (void) end_world(w, SIGKILL);
        sd_event_unref(w->event);
        value_done(&w->last_sent);
        free(w->last_difference);
        value_done(&w->last_bundle);
        close(w->fd);
        (void) remove_tree(w->directory);
}

/* ---- tasks ---- */

static void send_message(World *w, const Message *m) {
        CHECK_INT(channel_send(w->channel, 0, m), 0);
}

/* A statement: the fields follow as name, value; the values are moved. */
static void put(World *w, uint32_t id, const char *kind, const char *name, FieldValue *fields, size_t n) {
        Message m = {
                .type = MESSAGE_TASK_PUT,
                .task_put = { .id = id, .parent = NO_PARENT, .resource = {
                        .kind = (char *) kind, .name = (char *) name, .fields = fields, .n_fields = n,
                } },
        };

        meta_init(&m.task_put.resource.meta);
        send_message(w, &m);
        meta_done(&m.task_put.resource.meta);
        for (size_t i = 0; i < n; i++)
                value_done(&fields[i].value);
}

static Value text(const char *s) {
        Value v = {};

        CHECK_INT(value_strz(&v, s), 0);
        return v;
}

#define PUT(world, id, kind, name, ...) \
        do { \
                FieldValue _fields[] = { __VA_ARGS__ }; \
                put((world), (id), (kind), (name), _fields, ELEMENTSOF(_fields)); \
        } while (0)
#define STR_FIELD(name_, value_) { .name = (char *) (name_), .value = text(value_) }
#define BOOL_FIELD(name_, value_) { .name = (char *) (name_), .value = VALUE_BOOL(value_) }
#define INT_FIELD(name_, value_) { .name = (char *) (name_), .value = VALUE_INT(value_) }

static void remove_task(World *w, uint32_t id) {
        send_message(w, &(Message) { .type = MESSAGE_TASK_REMOVE, .task_remove.id = id });
}

static void watch(World *w, uint32_t id) {
        uint32_t before = w->n_armed;

        send_message(w, &(Message) { .type = MESSAGE_TASK_WATCH, .task_watch.id = id });
        CHECK(RUN_UNTIL(w, w->n_armed > before));
}

static void start_check(World *w, uint32_t id, uint32_t attempt, bool apply, bool refresh) {
        send_message(w, &(Message) {
                        .type = MESSAGE_TASK_CHECK,
                        .task_check = { .id = id, .attempt = attempt, .apply = apply, .refresh = refresh },
                });
}

enum { OK = 0, CHANGED = 1 };

static int check_with(World *w, uint32_t id, bool apply, bool refresh) {
        static uint32_t attempt;
        uint32_t before = w->n_results;

        start_check(w, id, ++attempt, apply, refresh);
        if (!RUN_UNTIL(w, w->n_results > before))
                return -ETIME;
        CHECK_INT(w->last_attempt, attempt);
        return w->last_result;
}

static int check(World *w, uint32_t id) {
        return check_with(w, id, false, false);
}

static int apply(World *w, uint32_t id) {
        return check_with(w, id, true, false);
}

/* What the database says, from the side: rows as text, columns joined by |, rows by a space. */
static char *query(World *w, const char *sql) {
        sqlite3_stmt *s = NULL;
        sqlite3 *db = NULL;
        StrBuf b = {};

        CHECK_INT(sqlite3_open_v2(w->database, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
        (void) sqlite3_busy_timeout(db, 5000);
        CHECK_INT(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
        while (sqlite3_step(s) == SQLITE_ROW) {
                if (b.size > 0)
                        strbuf_putc(&b, ' ');
                for (int i = 0; i < sqlite3_column_count(s); i++)
                        strbuf_printf(&b, "%s%s", i > 0 ? "|" : "", (const char *) sqlite3_column_text(s, i));
        }
        CHECK_INT(sqlite3_finalize(s), SQLITE_OK);
        CHECK_INT(sqlite3_close(db), SQLITE_OK);
        return strbuf_take(&b);
}

#define CHECK_QUERY(world, sql, want) \
        do { \
                _cleanup_free_ char *_rows = query((world), (sql)); \
                CHECK_STR(_rows, (want)); \
        } while (0)
#define STRINGS "SELECT key, value FROM entries WHERE key NOT LIKE 'local/%' ORDER BY key"

/* ---- kv ---- */

TEST(kv_writes_and_removes) {
        _cleanup_(world_done) World w;

        world_init(&w, false);
        PUT(&w, 1, "kv", "greeting", STR_FIELD("value", "hello"));
        watch(&w, 1);
        CHECK_INT(check(&w, 1), CHANGED);
        CHECK_STR(w.last_difference, "value - hello");
        CHECK_QUERY(&w, STRINGS, "");
        CHECK_INT(apply(&w, 1), CHANGED);
        CHECK_QUERY(&w, STRINGS, "strings/greeting|hello");
        CHECK_INT(apply(&w, 1), OK);
        CHECK_INT(check(&w, 1), OK);

        /* another value, another key, our part of a map */
        PUT(&w, 2, "kv", "greeting", STR_FIELD("value", "bye"));
        PUT(&w, 3, "kv", "b", STR_FIELD("key", "second"), STR_FIELD("value", ""));
        PUT(&w, 4, "kv", "c", STR_FIELD("key", "greeting"), STR_FIELD("value", "mine"), BOOL_FIELD("mapped", true));
        CHECK_INT(apply(&w, 2), CHANGED);
        CHECK_STR(w.last_difference, "value hello bye");
        CHECK_INT(apply(&w, 3), CHANGED);
        CHECK_INT(apply(&w, 4), CHANGED);
        CHECK_INT(apply(&w, 4), OK);
        CHECK_QUERY(&w, STRINGS, "maps/greeting/h1|mine strings/greeting|bye strings/second|");

        /* no value: gone; gone already */
        put(&w, 5, "kv", "greeting", NULL, 0);
        CHECK_INT(check(&w, 5), CHANGED);
        CHECK_STR(w.last_difference, "value bye -");
        CHECK_INT(apply(&w, 5), CHANGED);
        CHECK_INT(apply(&w, 5), OK);
        PUT(&w, 6, "kv", "d", STR_FIELD("key", "greeting"), BOOL_FIELD("mapped", true));
        CHECK_INT(apply(&w, 6), CHANGED);
        CHECK_INT(apply(&w, 6), OK);
        CHECK_QUERY(&w, STRINGS, "strings/second|");
}

TEST(kv_sees_what_others_write) {
        _cleanup_(world_done) World w;
        unsigned before;

        world_init(&w, false);
        PUT(&w, 1, "kv", "a", STR_FIELD("key", "k"), STR_FIELD("value", "one"));
        PUT(&w, 2, "kv", "b", STR_FIELD("key", "k"), STR_FIELD("value", "two"));
        watch(&w, 1);
        watch(&w, 2);
        CHECK_INT(apply(&w, 1), CHANGED);
        CHECK_INT(w.n_changed, 1);              /* the other one, and not itself */
        CHECK_INT(apply(&w, 2), CHANGED);
        CHECK_INT(w.n_changed, 2);
        CHECK_INT(apply(&w, 1), CHANGED);
        remove_task(&w, 2);

        /* with another tool */
        before = w.n_changed;
        CHECK_QUERY(&w, "UPDATE entries SET value = 'drift' WHERE key = 'strings/k'", "");
        CHECK(RUN_UNTIL(&w, w.n_changed > before));
        CHECK_INT(apply(&w, 1), CHANGED);
        CHECK_QUERY(&w, STRINGS, "strings/k|one");
}

TEST(kv_that_only_grows) {
        static const struct { int64_t style; const char *stored, *wanted; int want; } cases[] = {
                { 0, "5", "3", OK },
                { 0, "5", "5", OK },
                { 0, "5", "05", CHANGED },              /* equal as numbers, but not the same text */
                { 0, "5", "7", CHANGED },
                { 0, "10", "9", OK },
                { 0, "-1", "-2", OK },
                { 0, "x", "1", CHANGED },               /* what is no number is replaced */
                { 0, "9999999999999999999999", "1", CHANGED },
                { 1, "10", "9", CHANGED },
                { 1, "b", "a", OK },
                { 1, "a", "b", CHANGED },
        };
        _cleanup_(world_done) World w;

        world_init(&w, false);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                PUT(&w, 1, "kv", "writer", STR_FIELD("key", "k"), STR_FIELD("value", cases[i].stored));
                CHECK(apply(&w, 1) >= 0);
                PUT(&w, 2, "kv", "k", STR_FIELD("value", cases[i].wanted), BOOL_FIELD("skiplessthan", true),
                    INT_FIELD("skipcmpstyle", cases[i].style));
                if (apply(&w, 2) != cases[i].want)
                        TEST_FAIL("style %d, '%s' over '%s': %d", (int) cases[i].style, cases[i].wanted, cases[i].stored, w.last_result);

                /* a notification writes it all the same */
                CHECK(apply(&w, 1) >= 0);
                CHECK_INT(check_with(&w, 2, true, true), streq(cases[i].stored, cases[i].wanted) ? OK : CHANGED);
                CHECK_INT(check_with(&w, 2, true, true), OK);
        }
}

TEST(kv_that_is_refused) {
        _cleanup_(world_done) World w;

        world_init(&w, false);
        PUT(&w, 1, "kv", "k", STR_FIELD("value", "x"), BOOL_FIELD("skiplessthan", true));
        CHECK_INT(apply(&w, 1), -EINVAL);
        CHECK_STR(w.last_text, "value must be a whole number for skiplessthan, got 'x'");
        PUT(&w, 1, "kv", "k", STR_FIELD("value", "1"), BOOL_FIELD("skiplessthan", true), INT_FIELD("skipcmpstyle", 2));
        CHECK_INT(apply(&w, 1), -EINVAL);
        CHECK_STR(w.last_text, "skipcmpstyle must be 0 or 1, got '2'");
        PUT(&w, 1, "kv", "k", INT_FIELD("value", 1));
        CHECK_INT(apply(&w, 1), -EINVAL);
        PUT(&w, 1, "kv", "k", STR_FIELD("nonsuch", "1"));
        CHECK_INT(apply(&w, 1), -EINVAL);
        PUT(&w, 1, "file", "/tmp/x", STR_FIELD("content", "1"));
        CHECK_INT(apply(&w, 1), -ENOENT);
        CHECK_QUERY(&w, STRINGS, "");
}

TEST(kv_receives) {
        _cleanup_(world_done) World w;
        _cleanup_(value_done) Value v = text("received");

        world_init(&w, false);
        PUT(&w, 1, "kv", "k", STR_FIELD("value", "declared"));
        CHECK_INT(apply(&w, 1), CHANGED);
        send_message(&w, &(Message) { .type = MESSAGE_TASK_SET, .task_set = { .id = 1, .field = (char *) "value", .value = v } });
        CHECK_INT(apply(&w, 1), CHANGED);
        CHECK_QUERY(&w, STRINGS, "strings/k|received");
}

/* ---- value ---- */

TEST(value_stores_and_passes_on) {
        _cleanup_(world_done) World w;
        _cleanup_(value_done) Value list = {};

        world_init(&w, false);
        CHECK_INT(value_list(&list, (Value[]) { VALUE_INT(1), VALUE_INT(2) }, 2), 0);
        PUT(&w, 1, "value", "v", INT_FIELD("any", 42));
        watch(&w, 1);
        CHECK_INT(check(&w, 1), CHANGED);
        CHECK_STR(w.last_difference, "any - 42");
        CHECK_INT(w.n_sent, 1);
        CHECK(value_equal(w.last_sent, VALUE_INT(42)));
        CHECK_INT(apply(&w, 1), CHANGED);
        CHECK_INT(apply(&w, 1), OK);
        CHECK_INT(w.n_sent, 3);

        /* received: once a change, then as any other; of another type */
        send_message(&w, &(Message) { .type = MESSAGE_TASK_SET, .task_set = { .id = 1, .field = (char *) "any", .value = list } });
        CHECK_INT(apply(&w, 1), CHANGED);
        CHECK_STR(w.last_difference, "any 42 [1, 2]");
        CHECK(value_equal(w.last_sent, list));
        CHECK_INT(apply(&w, 1), OK);

        /* it survives, and the statement's own value replaces it */
        (void) end_world(&w, SIGKILL);
        start_world(&w);
        CHECK(RUN_UNTIL(&w, w.n_connected == 2));
        PUT(&w, 1, "value", "v", { .name = (char *) "any", .value = value_ref(list) });
        CHECK_INT(apply(&w, 1), OK);
        put(&w, 1, "value", "v", NULL, 0);
        CHECK_INT(apply(&w, 1), CHANGED);
        CHECK_INT(w.last_sent.kind, TYPE_NIL);
        CHECK_INT(apply(&w, 1), OK);
        CHECK_QUERY(&w, "SELECT count(*) FROM entries WHERE key LIKE 'local/%'", "0");
}

/* ---- writing keys ---- */

static void store_it(World *w, uint64_t request, bool shared, const char *key, Value v) {
        unsigned before = w->n_written;

        CHECK_INT(channel_send(w->channel, 0, &(Message) {
                        .type = MESSAGE_STORE_SET,
                        .store_set = { .request = request, .shared = shared, .key = (char *) key, .value = v },
                  }), 0);
        CHECK(RUN_UNTIL(w, w->n_written > before));
        CHECK_INT(w->last_written, request);
}

TEST(keys_that_others_write) {
        _cleanup_(value_done) Value three = {};
        _cleanup_(world_done) World w;
        unsigned before;

        world_init(&w, false);
        CHECK_INT(value_strz(&three, "three"), 0);
        PUT(&w, 1, "kv", "k", STR_FIELD("value", "two"));
        watch(&w, 1);
        CHECK_INT(apply(&w, 1), CHANGED);
        before = w.n_changed;
        store_it(&w, 11, true, "k", three);
        CHECK_INT(w.last_write_error, 0);
        CHECK(RUN_UNTIL(&w, w.n_changed > before));             /* who watches the key hears of it */
        CHECK_QUERY(&w, STRINGS, "strings/k|three");
        store_it(&w, 12, true, "k", VALUE_NIL);
        CHECK_INT(w.last_write_error, 0);
        CHECK_QUERY(&w, STRINGS, "");

        store_it(&w, 13, false, "k", VALUE_INT(7));
        CHECK_INT(w.last_write_error, 0);
        CHECK_QUERY(&w, "SELECT count(*) FROM entries WHERE key LIKE 'local/%'", "1");
        store_it(&w, 14, true, "k", VALUE_INT(7));              /* all hosts share texts only */
        CHECK_INT(w.last_write_error, -EINVAL);
        store_it(&w, 15, true, "", three);
        CHECK_INT(w.last_write_error, -EINVAL);
        CHECK_QUERY(&w, STRINGS, "");
}

/* ---- what was acknowledged is there ---- */

/* Killed at any moment: whatever was reported as done is in the database afterwards. */
TEST(kill_loses_nothing_that_was_acknowledged) {
        enum { ROUNDS = 8, WRITES = 200 };
        _cleanup_(world_done) World w;
        unsigned seed = 7, n_acknowledged = 0;

        world_init(&w, false);
        for (unsigned round = 0; round < ROUNDS; round++) {
                unsigned acknowledged = 0, limit = (unsigned) rand_r(&seed) % WRITES;
                char key[32];

                CHECK(RUN_UNTIL(&w, w.n_connected == round + 1));
                w.n_results = 0;
                for (unsigned i = 0; i < WRITES; i++) {
                        snprintf(key, sizeof(key), "r%u-%03u", round, i);
                        PUT(&w, i, "kv", key, STR_FIELD("value", key));
                        start_check(&w, i, i, true, false);
                        if (i % 10 == 9)
                                (void) sd_event_run(w.event, 0);
                }
                CHECK(RUN_UNTIL(&w, w.n_results >= limit));
                acknowledged = w.n_results;     /* they come in order */
                (void) end_world(&w, SIGKILL);
                CHECK(RUN_UNTIL(&w, w.n_disconnected == round + 1));
                start_world(&w);
                for (unsigned i = 0; i < acknowledged; i++) {
                        char sql[128];

                        snprintf(sql, sizeof(sql), "SELECT value FROM entries WHERE key = 'strings/r%u-%03u'", round, i);
                        snprintf(key, sizeof(key), "r%u-%03u", round, i);
                        CHECK_QUERY(&w, sql, key);
                }
                n_acknowledged += acknowledged;
        }
        CHECK(n_acknowledged > 0);
        CHECK(RUN_UNTIL(&w, w.n_connected == ROUNDS + 1));
        CHECK_QUERY(&w, "PRAGMA integrity_check", "ok");
}

TEST(ends_within_a_second_and_starts_again) {
        _cleanup_(world_done) World w;
        unsigned n = 0;
        int status;

        world_init(&w, false);
        do {                            /* a busy machine may take longer */
                PUT(&w, 1, "kv", "k", STR_FIELD("value", "x"));
                watch(&w, 1);
                status = end_world(&w, SIGTERM);
                n++;
                CHECK(RUN_UNTIL(&w, w.n_disconnected == n));
                start_world(&w);
                CHECK(RUN_UNTIL(&w, w.n_connected == n + 1));
        } while (!(WIFEXITED(status) && WEXITSTATUS(status) == 0) && n < 10);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);   /* who takes longer ends with another one */
        PUT(&w, 1, "kv", "k", STR_FIELD("value", "x"));
        CHECK_INT(apply(&w, 1), CHANGED);
}

/* ---- deploys ---- */

static Value make_bundle(const char *program) {
        Value items[2] = { text("/main.mcl"), text(program) }, v = {};

        CHECK_INT(value_map(&v, items, 1), 0);
        return v;
}

static void deploy(World *w, uint64_t request, Value bundle, Value options) {
        unsigned before = w->n_added;

        send_message(w, &(Message) { .type = MESSAGE_DEPLOY_ADD,
                                     .deploy_add = { .request = request, .bundle = bundle, .options = options } });
        CHECK(RUN_UNTIL(w, w->n_added > before));
}

TEST(deploys_are_stored_told_and_survive) {
        _cleanup_(world_done) World w;
        _cleanup_(value_done) Value bundle = make_bundle("print \"a\" {}\n"), other = make_bundle("# nothing\n"), options = {};

        world_init(&w, true);
        CHECK_INT(value_struct(&options, NULL, NULL, 0), 0);
        send_message(&w, &(Message) { .type = MESSAGE_DEPLOY_WATCH });
        CHECK(RUN_UNTIL(&w, w.n_deploys == 1));
        CHECK_INT(w.last_deploy, 0);
        deploy(&w, 7, bundle, options);
        CHECK_INT(w.last_added, 1);
        CHECK(RUN_UNTIL(&w, w.n_deploys == 2));
        CHECK_INT(w.last_deploy, 1);
        CHECK(value_equal(w.last_bundle, bundle));
        deploy(&w, 8, other, options);
        CHECK_INT(w.last_added, 2);
        CHECK(RUN_UNTIL(&w, w.n_deploys == 3));

        (void) end_world(&w, SIGKILL);
        start_world(&w);
        CHECK(RUN_UNTIL(&w, w.n_connected == 2));
        send_message(&w, &(Message) { .type = MESSAGE_DEPLOY_WATCH });
        CHECK(RUN_UNTIL(&w, w.n_deploys == 4));
        CHECK_INT(w.last_deploy, 2);
        CHECK(value_equal(w.last_bundle, other));
}

TEST(deploys_that_are_none_are_refused) {
        _cleanup_(world_done) World w;
        _cleanup_(value_done) Value bundle = make_bundle(""), options = {};

        world_init(&w, true);
        CHECK_INT(value_struct(&options, NULL, NULL, 0), 0);
        deploy(&w, 1, VALUE_INT(3), options);
        CHECK_INT(w.last_added, 0);
        CHECK(startswith(w.last_added_text, "bundle: "));
        deploy(&w, 2, bundle, VALUE_BOOL(true));
        CHECK_INT(w.last_added, 0);
        CHECK_STR(w.last_added_text, "options must be a struct, got bool");
        deploy(&w, 3, bundle, options);
        CHECK_INT(w.last_added, 1);

        /* what is not for it */
        send_message(&w, &(Message) { .type = MESSAGE_GRAPH_WANTED });
        CHECK(RUN_UNTIL(&w, w.last_error != 0));
        CHECK_INT(w.last_error, -EOPNOTSUPP);
        w.last_error = 0;
        start_check(&w, 1, 1, true, false);
        CHECK(RUN_UNTIL(&w, w.last_error != 0));
        CHECK_INT(w.last_error, -EPERM);
}

TEST_MAIN()
