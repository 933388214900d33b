/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Functions that another daemon serves, from both ends: the proxies of mgmt-lang, and the server of that daemon over a real channel.
 * The daemon crashes now and then. What it serves are texts under keys, which the test changes. */

#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/ipc/source-server.h"
#include "common/strbuf.h"
#include "daemons/lang/lang-manager.h"
#include "daemons/lang/remote.h"
#include "tests/test.h"

enum { KEYS_MAX = 10 };

/* ---- the daemon ---- */

typedef struct Key {
        Source source;
        unsigned number;
        struct Key *next;
} Key;

static int texts[KEYS_MAX];     /* what is under each key */
static Key *keys;               /* open ones */
static unsigned n_opened, n_taken;

static void key_say(Key *k) {
        Value v;

        if (texts[k->number] < 0) {
                source_failf(&k->source, true, -ENOENT, "no %u", k->number);
                return;
        }
        CHECK_INT(value_strf(&v, "%u: %d", k->number, texts[k->number]), 0);
        source_set(&k->source, v);
}

static int key_open(Source *s, Diag *reterr) {
        Key *k = (Key *) s;

        n_opened++;
        k->number = (unsigned) s->args[0].i;
        k->next = keys;
        keys = k;
        key_say(k);
        return 0;
}

static void key_close(Source *s) {
        Key **at = &keys;

        while (*at != (Key *) s)
                at = &(*at)->next;
        *at = (*at)->next;
}

static void key_taken(Source *s) {
        n_taken++;
}

static void set_text(unsigned number, int text) {
        texts[number] = text;
        for (Key *k = keys; k; k = k->next)
                if (k->number == number)
                        key_say(k);
}

static int wrong_open(Source *s, Diag *reterr) {
        source_set(s, VALUE_INT(7));
        return 0;
}

static const SourceType table[] = {
        { .name = "value.get", .size = sizeof(Key), .takes = "func(int)", .open = key_open, .close = key_close, .taken = key_taken },
        { .name = "world.wrong", .size = sizeof(Source), .takes = "func(int)", .open = wrong_open },
        {}
};
static const SourceType *const tables[] = { table, NULL };

/* ---- the program ---- */

typedef struct Stage {
        char directory[64];
        sd_event *event;
        Channel *listener;
        SourceServer *server;
        Manager manager;
        Remote *remote;
        SourceHost host;
} Stage;

typedef struct Call {
        Stage *stage;
        Source *source;
        char *text;             /* what it said last: a value, or "!" and a failure */
        unsigned n_said;
        bool untaken;
} Call;

/* In place of lang-manager.c. */
int manager_remote(Manager *m, const char *daemon, Remote **ret) {
        Stage *s = container_of(m, Stage, manager);
        int r = s->remote ? 0 : remote_connect(&s->remote, m, daemon);

        CHECK_STR(daemon, "world");
        *ret = s->remote;
        return r;
}

static void said(Call *c, char *text) {
        free(c->text);
        c->text = text;
        c->n_said++;
        c->untaken = true;
}

static void sink_set(Source *source, Value v) {
        said(source->owner, strdup(v.kind == TYPE_STR ? value_cstr(v) : "?"));
        value_done(&v);
}

static void sink_fail(Source *source, bool catchable, Diag *d) {
        char *text;

        if (asprintf(&text, "%s%s", catchable ? "!" : "!!", d->message) < 0)
                abort();
        said(source->owner, text);
}

static const SourceSink sink = { .set = sink_set, .fail = sink_fail };

static void call_open(Stage *s, Call *c, const char *function, int64_t key) {
        Value args[] = { VALUE_INT(key) };
        Source like = { .host = &s->host, .args = args, .n_args = 1, .function = function, .result = &type_str, .base = "/", .sink = &sink,
                        .owner = c };

        *c = (Call) { .stage = s };
        CHECK_INT(source_open(&c->source, remote_find(function), &like, NULL), 0);
}

static void call_change(Call *c, int64_t key) {
        Value args[] = { VALUE_INT(key) };

        CHECK_INT(source_change(c->source, args, 1, NULL), 0);
}

/* As the function graph does after a wave. */
static void call_take(Call *c) {
        if (!c->source || !c->untaken)
                return;
        c->untaken = false;
        c->source->type->taken(c->source);
}

static void call_close(Call *c) {
        c->source = source_close(c->source);
        free(c->text);
        *c = (Call) {};
}

/* ---- both ---- */

static void on_message(Channel *c, PeerId peer, Message *m, void *userdata) {
        CHECK(source_server_message(((Stage *) userdata)->server, c, peer, m));
}

static void on_gone(Channel *c, PeerId peer, void *userdata) {
        source_server_gone(((Stage *) userdata)->server, peer);
}

static void on_room(Channel *c, PeerId peer, void *userdata) {
        source_server_room(((Stage *) userdata)->server, peer);
}

static const ChannelOps server_ops = { .message = on_message, .gone = on_gone, .room = on_room };

static void daemon_start(Stage *s) {
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0);

        snprintf(a.sun_path, sizeof(a.sun_path), "%s/world.sock", s->directory);
        (void) unlink(a.sun_path);
        if (fd < 0 || bind(fd, (struct sockaddr *) &a, sizeof(a)) < 0 || listen(fd, 8) < 0 ||
            source_server_new(&s->server, tables, &(SourceHost) { .event = s->event, .state_dir = "/state" }) < 0 ||
            channel_listen(&s->listener, s->event, fd, &server_ops, s) < 0)
                abort();
}

static void daemon_crash(Stage *s) {
        s->server = source_server_free(s->server);
        s->listener = channel_free(s->listener);
        CHECK(!keys);
}

static void stage_init(Stage *s) {
        *s = (Stage) { .directory = "/tmp/mgmt-test-remote-XXXXXX", .manager.hostname = (char *) "h1" };
        if (!mkdtemp(s->directory) || setenv("MGMT_RUNTIME_DIR", s->directory, 1) < 0 || sd_event_new(&s->event) < 0)
                abort();
        s->manager.event = s->event;
        s->host = (SourceHost) { .event = s->event, .manager = &s->manager };
        memset(texts, 0, sizeof(texts));
        n_opened = n_taken = 0;
}

static void stage_done(Stage *s) {
        remote_free(s->remote);
        source_server_free(s->server);
        channel_free(s->listener);
        sd_event_unref(s->event);
        (void) remove_tree(s->directory);
}

static uint64_t now_usec(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

#define RUN_UNTIL(stage, condition) \
        ({ \
                uint64_t _end = now_usec() + 60000000; \
                while (!(condition) && now_usec() < _end) \
                        (void) sd_event_run((stage)->event, 10000); \
                CHECK(condition); \
        })

/* More would show. */
static void run_a_little(Stage *s) {
        for (int i = 0; i < 5; i++)
                (void) sd_event_run(s->event, 5000);
}

#define HEARS(stage, call, want) \
        ({ \
                RUN_UNTIL(stage, streq_ptr((call)->text, (want))); \
                CHECK_STR((call)->text, (want)); \
        })

/* ---- the cases ---- */

TEST(functions_of_other_daemons) {
        static const struct { const char *function, *daemon; } cases[] = {
                { "value.get",          "world" },
                { "value.get_str",      "world" },
                { "world.kvlookup",     "world" },
                { "world/collect.res",  "world" },
                { "local.pool",         "world" },
                { "net/http.response",  "http" },
                { "net.macs",           NULL },
                { "os.readfile",        NULL },
                { "worldly",            NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const SourceType *t = remote_find(cases[i].function);

                CHECK_STR(t ? t->name : NULL, cases[i].daemon);
        }
}

TEST(values_come_and_change) {
        _cleanup_(stage_done) Stage s;
        Call a, b;

        stage_init(&s);
        daemon_start(&s);
        run_a_little(&s);
        CHECK(!s.remote);               /* nobody asked yet */
        call_open(&s, &a, "value.get", 1);
        call_open(&s, &b, "value.get", 2);
        HEARS(&s, &a, "1: 0");
        HEARS(&s, &b, "2: 0");
        call_take(&a);
        call_take(&b);
        set_text(1, 5);
        HEARS(&s, &a, "1: 5");
        set_text(1, 6);
        set_text(1, 7);
        run_a_little(&s);
        CHECK_STR(a.text, "1: 5");      /* it is at work on that */
        call_take(&a);
        HEARS(&s, &a, "1: 7");
        call_take(&a);
        set_text(1, -1);
        HEARS(&s, &a, "!no 1");
        call_take(&a);
        set_text(1, 1);
        HEARS(&s, &a, "1: 1");
        CHECK_INT(a.n_said, 5);
        CHECK_INT(b.n_said, 1);
        call_take(&a);
        RUN_UNTIL(&s, n_taken >= 2);    /* each time that nothing newer waits */
        call_close(&a);
        RUN_UNTIL(&s, source_server_n_sources(s.server) == 1);
        set_text(1, 2);
        call_close(&b);
        RUN_UNTIL(&s, source_server_n_sources(s.server) == 0);
}

TEST(another_question) {
        _cleanup_(stage_done) Stage s;
        Call a;

        stage_init(&s);
        daemon_start(&s);
        call_open(&s, &a, "value.get", 1);
        HEARS(&s, &a, "1: 0");
        set_text(1, 5);                 /* not sent: the first is not taken */
        call_change(&a, 2);
        set_text(1, 6);
        HEARS(&s, &a, "2: 0");
        call_take(&a);
        call_change(&a, 3);
        call_change(&a, 4);
        call_change(&a, 5);
        HEARS(&s, &a, "5: 0");
        CHECK_INT(a.n_said, 3);         /* none of those that were late */
        CHECK_INT(source_server_n_sources(s.server), 1);
        call_close(&a);
}

TEST(answers_that_cannot_be) {
        _cleanup_(stage_done) Stage s;
        Call a, b;

        stage_init(&s);
        daemon_start(&s);
        call_open(&s, &a, "world.wrong", 1);
        HEARS(&s, &a, "!!mgmt-world gave a wrong value: base kind does not match (str != int)");
        call_open(&s, &b, "world.none", 1);
        HEARS(&s, &b, "!!function `world.none` has no value here");
        call_close(&a);
        call_close(&b);
}

TEST(questions_that_cannot_be_sent) {
        _cleanup_(stage_done) Stage s;
        Value deep = VALUE_INT(1);
        Source *source;
        Call a = { .stage = &s };

        stage_init(&s);
        daemon_start(&s);
        for (unsigned i = 0; i < VALUE_DEPTH_MAX; i++) {
                Value item = deep;
                CHECK_INT(value_list(&deep, &item, 1), 0);
        }
        Source like = { .host = &s.host, .args = &deep, .n_args = 1, .function = "value.get", .result = &type_str, .base = "/", .sink = &sink,
                        .owner = &a };
        CHECK_INT(source_open(&source, remote_find("value.get"), &like, NULL), 0);
        HEARS(&s, &a, "!!cannot ask mgmt-world: Argument list too long");
        source_close(source);
        free(a.text);
        value_done(&deep);
}

TEST(a_daemon_that_is_not_there_yet) {
        _cleanup_(stage_done) Stage s;
        Call a, b;

        stage_init(&s);
        call_open(&s, &a, "value.get", 1);
        call_open(&s, &b, "value.get", 2);
        call_change(&a, 3);
        run_a_little(&s);
        CHECK_INT(a.n_said, 0);
        call_close(&b);
        daemon_start(&s);
        HEARS(&s, &a, "3: 0");
        CHECK_INT(n_opened, 1);
        call_close(&a);
}

TEST(a_crash_loses_nothing_and_fails_nothing) {
        _cleanup_(stage_done) Stage s;
        Call a, b, c;

        stage_init(&s);
        daemon_start(&s);
        call_open(&s, &a, "value.get", 1);
        call_open(&s, &b, "value.get", 2);
        call_open(&s, &c, "value.get", 3);
        HEARS(&s, &a, "1: 0");
        HEARS(&s, &b, "2: 0");
        HEARS(&s, &c, "3: 0");
        for (int round = 1; round < 5; round++) {
                unsigned opened = n_opened;

                if (round % 2)
                        call_take(&a);  /* else what was said before the crash is still on its way through the program */
                daemon_crash(&s);
                texts[1] = round;
                call_change(&b, 2 + round);
                run_a_little(&s);
                char want[16];
                snprintf(want, sizeof(want), "1: %d", round - 1);
                CHECK_STR(a.text, want);        /* it stays, until there is another */
                daemon_start(&s);
                snprintf(want, sizeof(want), "1: %d", round);
                HEARS(&s, &a, want);
                snprintf(want, sizeof(want), "%d: %d", 2 + round, texts[2 + round]);
                HEARS(&s, &b, want);
                HEARS(&s, &c, "3: 0");
                CHECK_INT(n_opened - opened, 3);
                call_take(&a);
                call_take(&b);
                call_take(&c);
        }
        daemon_crash(&s);
        call_close(&c);
        run_a_little(&s);
        daemon_start(&s);
        RUN_UNTIL(&s, source_server_n_sources(s.server) == 2);
        run_a_little(&s);
        CHECK_INT(source_server_n_sources(s.server), 2);
        call_close(&a);
        call_close(&b);
}

/* Calls that come, change and go, keys that change, a daemon that crashes; in the end everybody has heard what is true. */
TEST(whatever_happens_the_last_word_is_heard) {
        enum { CALLS = 20, STEPS = 3000 };
        _cleanup_(stage_done) Stage s;
        Call calls[CALLS] = {};
        int keys_of[CALLS] = {};
        unsigned seed = 1;
        bool there = true;

        stage_init(&s);
        daemon_start(&s);
        for (unsigned step = 0; step < STEPS; step++) {
                unsigned i = (unsigned) rand_r(&seed) % CALLS, key = (unsigned) rand_r(&seed) % KEYS_MAX;
                Call *c = &calls[i];

                switch (rand_r(&seed) % 16) {
                case 0 ... 1:
                        if (c->source)
                                call_close(c);
                        break;
                case 2 ... 5:
                        if (c->source)
                                call_change(c, key);
                        else
                                call_open(&s, c, "value.get", key);
                        keys_of[i] = (int) key;
                        break;
                case 6 ... 9:
                        if (there)
                                set_text(key, rand_r(&seed) % 5 - 1);
                        else
                                texts[key] = (int) step;
                        break;
                case 10 ... 14:
                        call_take(c);
                        (void) sd_event_run(s.event, 0);
                        break;
                default:
                        if (rand_r(&seed) % 8 > 0)
                                break;
                        if (there)
                                daemon_crash(&s);
                        else
                                daemon_start(&s);
                        there = !there;
                }
        }
        if (!there)
                daemon_start(&s);
        for (unsigned i = 0; i < CALLS; i++) {
                char want[32];

                if (!calls[i].source)
                        continue;
                if (texts[keys_of[i]] < 0)
                        snprintf(want, sizeof(want), "!no %d", keys_of[i]);
                else
                        snprintf(want, sizeof(want), "%d: %d", keys_of[i], texts[keys_of[i]]);
                RUN_UNTIL(&s, (call_take(&calls[i]), streq_ptr(calls[i].text, want)));
        }
        for (unsigned i = 0; i < CALLS; i++)
                if (calls[i].source)
                        call_close(&calls[i]);
        RUN_UNTIL(&s, source_server_n_sources(s.server) == 0);
}

TEST_MAIN()
