/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The host of kinds against a scripted engine, over a real channel. The kinds here do nothing but write down what is asked of
 * them; a script is a few messages, then what the kinds saw and what the engine heard, as text. */

#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/ipc/worker.h"
#include "common/strbuf.h"
#include "tests/test.h"

/* ---- kinds that write down what happens ---- */

static StrBuf seen;             /* what the kinds saw since it was last looked at */
static Resource *pending;       /* the last one that answered CHECK_PENDING */
static Resource *watching;      /* the last one whose watch() was called */

typedef struct Fake {
        Resource resource;
        char *text;
        char *how;              /* what check_apply does: "ok", "change", "pending", "early", "wait", "fail" */
        int64_t number;
        char *parent;
        unsigned n_checks;
} Fake;

#define FAKE_FIELDS \
        FIELD(Fake, text, FIELD_STR, FIELD_OPTIONAL, "Any text but 'bad'."), \
        FIELD(Fake, how, FIELD_STR, 0, "What an attempt comes to.", .initial = "\"ok\""), \
        FIELD(Fake, number, FIELD_INT64, 0, "Anything."), \
        FIELD(Fake, parent, FIELD_STR, 0, "What it is grouped into.")

static const FieldSpec fake_fields[] = { FAKE_FIELDS, {} };
static const FieldSpec fake_sends[] = {
        { .name = "out", .type = FIELD_STR, .doc = "What was sent." },
        {}
};

#define SEE(r, what) strbuf_printf(&seen, "%s %s; ", (what), (r)->name)

static int fake_validate(const Resource *r, Diag *reterr) {
        const Fake *f = (const Fake *) r;

        if (f->text && streq(f->text, "bad"))
                return resource_error(r, reterr, -EINVAL, "text must not be 'bad'");
        return 0;
}

static int fake_prepare(Resource *r, Diag *reterr) {
        SEE(r, "prepare");
        if (streq(r->name, "unprepared"))
                return resource_error(r, reterr, -EIO, "not today");
        return 0;
}

static int fake_watch(Resource *r, Diag *reterr) {
        SEE(r, "watch");
        watching = r;
        if (streq(r->name, "blind"))
                return resource_error(r, reterr, -ENOSPC, "no watches left");
        if (streq(r->name, "early"))
                return resource_waiting(r, "no service");
        if (!streq(r->name, "slow"))
                resource_armed(r);
        return 0;
}

static void fake_unwatch(Resource *r) {
        SEE(r, "unwatch");
}

static int fake_check_apply(Resource *r, bool apply, Diag *reterr) {
        Fake *f = (Fake *) r;

        f->n_checks++;
        strbuf_printf(&seen, "%s%s%s%s %s; ", apply ? "apply" : "check", resource_refresh(r) ? "+refresh" : "",
                      resource_received(r, "text") ? "+text" : "", r->n_children > 0 ? "+children" : "", r->name);
        if (streq(f->how, "differ")) {
                resource_differs(r, "text", "a", "b\n");
                resource_differs(r, "how", NULL, apply == r->applies ? "right" : "wrong");
                return CHECK_CHANGED;
        }
        if (streq(f->how, "change"))
                return CHECK_CHANGED;
        if (streq(f->how, "fail"))
                return resource_error(r, reterr, -EIO, "it broke");
        if (streq(f->how, "wait"))
                return resource_waiting(r, "something that is not there yet");
        if (streq(f->how, "nonsense"))
                return 17;
        if (streq(f->how, "pending")) {
                pending = r;
                return CHECK_PENDING;
        }
        if (streq(f->how, "early")) {
                resource_finish(r, CHECK_CHANGED, NULL);
                return CHECK_PENDING;
        }
        if (streq(f->how, "send")) {
                _cleanup_(value_done) Value v = {};

                CHECK_INT(value_strz(&v, "x"), 0);
                CHECK_INT(resource_send(r, "out", v), 0);
                resource_log(r, 5, "sent %d", 1);
        }
        return CHECK_OK;
}

static void fake_cancel(Resource *r) {
        SEE(r, "cancel");
        if (pending == r)
                pending = NULL;
}

static void fake_done(Resource *r) {
        SEE(r, "done");
        if (watching == r)
                watching = NULL;
        if (pending == r)
                pending = NULL;
}

#define FAKE_HOOKS \
        .doc = "For tests.", .size = sizeof(Fake), .fields = fake_fields, .validate = fake_validate, .prepare = fake_prepare, \
        .watch = fake_watch, .unwatch = fake_unwatch, .check_apply = fake_check_apply, .cancel = fake_cancel, .done = fake_done

static const ResourceType fake = { .kind = "fake", FAKE_HOOKS, .sends = fake_sends };
static const ResourceType fake_part = { .kind = "fake:part", FAKE_HOOKS, .parent_field = "parent" };
static const ResourceType fake_part_deep = { .kind = "fake:part:deep", FAKE_HOOKS, .parent_field = "parent" };
static const ResourceType runs = { .kind = "runs", FAKE_HOOKS, .flags = RESOURCE_RUNS_CHILDREN };
static const ResourceType runs_part = { .kind = "runs:part", FAKE_HOOKS, .parent_field = "parent" };
static const ResourceType *const types[] = { &fake, &fake_part, &fake_part_deep, &runs, &runs_part, NULL };

/* ---- the two ends ---- */

typedef struct Stage {
        sd_event *event;
        char directory[64], path[96];
        Channel *listener, *engine;
        Worker *worker;
        StrBuf heard;           /* by the engine */
        unsigned n_connected;
        bool done;              /* the answer to the last question of all came */
} Stage;

enum { LAST_QUESTION = 4000000000u };

static void on_task(Channel *c, PeerId peer, Message *m, void *userdata) {
        Stage *s = userdata;

        if (!worker_message(s->worker, c, peer, m))
                strbuf_printf(&s->heard, "(not the worker's: %s) ", message_name(m->type));
}

static void hear(StrBuf *b, const Message *m) {
        switch (m->type) {
        case MESSAGE_WELCOME:
                strbuf_printf(b, "welcome; ");
                break;
        case MESSAGE_ERROR:
                strbuf_printf(b, "error %s; ", strerrorname_np(-m->error.error));
                break;
        case MESSAGE_TASK_ARMED:
                strbuf_printf(b, "armed %u; ", m->task_armed.id);
                break;
        case MESSAGE_TASK_CHANGED:
                strbuf_printf(b, "changed %u; ", m->task_changed.id);
                break;
        case MESSAGE_TASK_WATCH_FAILED:
                strbuf_printf(b, "watch failed %u %s '%s'; ", m->task_watch_failed.id, strerrorname_np(-m->task_watch_failed.error),
                              m->task_watch_failed.diag.message ?: "");
                break;
        case MESSAGE_TASK_RESULT:
                strbuf_printf(b, "result %u/%u ", m->task_result.id, m->task_result.attempt);
                if (m->task_result.result < 0)
                        strbuf_printf(b, "%s '%s'; ", strerrorname_np(-m->task_result.result), m->task_result.diag.message ?: "");
                else
                        strbuf_printf(b, "%s; ", m->task_result.result == CHECK_OK ? "ok" : "changed");
                break;
        case MESSAGE_TASK_SEND:
                strbuf_printf(b, "send %u %s; ", m->task_send.id, m->task_send.key);
                break;
        case MESSAGE_TASK_LOG:
                strbuf_printf(b, "log %u %d %s; ", m->task_log.id, m->task_log.priority, m->task_log.text);
                break;
        case MESSAGE_TASK_DIFFERS:
                strbuf_printf(b, "differs %u %s '%s' '%s' '%s' %u; ", m->task_differs.id, m->task_differs.field,
                              m->task_differs.from ?: "-", m->task_differs.to ?: "-", m->task_differs.diff ?: "-", m->task_differs.flags);
                break;
        default:
                strbuf_printf(b, "%s; ", message_name(m->type));
        }
}

static void on_answer(Channel *c, PeerId peer, Message *m, void *userdata) {
        Stage *s = userdata;

        if (m->type == MESSAGE_TASK_RESULT && m->task_result.id == LAST_QUESTION)
                s->done = true;
        else
                hear(&s->heard, m);
}

static void on_connected(Channel *c, void *userdata) {
        ((Stage *) userdata)->n_connected++;
}

static const ChannelOps worker_ops = { .message = on_task }, engine_ops = { .message = on_answer, .connected = on_connected };

static uint64_t now_usec(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

static void send_task(Stage *s, const Message *m) {
        CHECK_INT(channel_send(s->engine, 0, m), 0);
}

static void stage_connect(Stage *s) {
        uint64_t end = now_usec() + 60000000;

        s->n_connected = 0;
        CHECK_INT(channel_connect(&s->engine, s->event, s->path, &engine_ops, s), 0);
        while (s->n_connected == 0 && now_usec() < end)
                (void) sd_event_run(s->event, 10000);
        CHECK_INT(s->n_connected, 1);
}

static void hello(Stage *s) {
        send_task(s, &(Message) { .type = MESSAGE_HELLO, .hello = { .role = (char *) "engine", .hostname = (char *) "h1" } });
}

static void stage_init(Stage *s) {
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0);

        *s = (Stage) { .directory = "/tmp/test-worker-XXXXXX" };
        CHECK(mkdtemp(s->directory));
        snprintf(s->path, sizeof(s->path), "%s/x.sock", s->directory);
        snprintf(a.sun_path, sizeof(a.sun_path), "%s", s->path);
        CHECK(bind(fd, (struct sockaddr *) &a, sizeof(a)) == 0 && listen(fd, 8) == 0);
        CHECK(sd_event_new(&s->event) >= 0);
        CHECK_INT(worker_new(&s->worker, s->event, types, s->directory, NULL), 0);
        CHECK_INT(channel_listen(&s->listener, s->event, fd, &worker_ops, s), 0);
        stage_connect(s);
        strbuf_done(&seen);
        seen = (StrBuf) {};
        hello(s);
}

static void stage_done(Stage *s) {
        worker_free(s->worker);
        channel_free(s->engine);
        channel_free(s->listener);
        strbuf_done(&s->heard);
        strbuf_done(&seen);
        seen = (StrBuf) {};
        sd_event_unref(s->event);
        (void) remove_tree(s->directory);
}

/* Waits until all that was sent is answered. */
static void settle(Stage *s) {
        uint64_t end = now_usec() + 60000000;

        s->done = false;
        send_task(s, &(Message) { .type = MESSAGE_TASK_CHECK, .task_check.id = LAST_QUESTION });
        while (!s->done && now_usec() < end)
                (void) sd_event_run(s->event, 10000);
        CHECK(s->done);
}

static void check_text(const char *file, int line, StrBuf *got, const char *want) {
        _cleanup_free_ char *text = strbuf_take(got);

        if (!text || !streq(text, want)) {
                test_failures++;
                printf("# %s:%d: got\n#   %s\n# not\n#   %s\n", file, line, text ?: "(null)", want);
        }
}

/* What the kinds saw and what the engine heard. */
#define EXPECT(stage, kinds, engine) \
        do { \
                settle(stage); \
                check_text(__FILE__, __LINE__, &seen, (kinds)); \
                check_text(__FILE__, __LINE__, &(stage)->heard, (engine)); \
        } while (0)

/* ---- the words of the scripts ---- */

#define NO_PARENT UINT32_MAX

static void put_full(Stage *s, uint32_t id, uint32_t parent, const char *kind, const char *name, const char *how, const char *text) {
        FieldValue fields[2] = { { .name = (char *) "how" }, { .name = (char *) "text" } };
        Message m = { .type = MESSAGE_TASK_PUT, .task_put = { .id = id, .parent = parent } };

        meta_init(&m.task_put.resource.meta);
        m.task_put.resource.kind = (char *) kind;
        m.task_put.resource.name = (char *) name;
        m.task_put.resource.pos = (Pos) { .file = "main.mcl", .line = id, .column = 1 };
        m.task_put.resource.fields = fields;
        m.task_put.resource.n_fields = text ? 2 : 1;
        CHECK_INT(value_strz(&fields[0].value, how), 0);
        if (text)
                CHECK_INT(value_strz(&fields[1].value, text), 0);
        send_task(s, &m);
        value_done(&fields[0].value);
        value_done(&fields[1].value);
        meta_done(&m.task_put.resource.meta);
}

static void put(Stage *s, uint32_t id, const char *name, const char *how) {
        put_full(s, id, NO_PARENT, "fake", name, how, NULL);
}

static void sync_tasks(Stage *s) {
        send_task(s, &(Message) { .type = MESSAGE_TASK_SYNC });
}

static void watch(Stage *s, uint32_t id) {
        send_task(s, &(Message) { .type = MESSAGE_TASK_WATCH, .task_watch.id = id });
}

static void unwatch(Stage *s, uint32_t id) {
        send_task(s, &(Message) { .type = MESSAGE_TASK_UNWATCH, .task_unwatch.id = id });
}

static void remove_task(Stage *s, uint32_t id) {
        send_task(s, &(Message) { .type = MESSAGE_TASK_REMOVE, .task_remove.id = id });
}

static void check(Stage *s, uint32_t id, uint32_t attempt, bool apply, bool refresh) {
        send_task(s, &(Message) {
                        .type = MESSAGE_TASK_CHECK,
                        .task_check = { .id = id, .attempt = attempt, .apply = apply, .refresh = refresh },
                });
}

static void cancel(Stage *s, uint32_t id, uint32_t attempt) {
        send_task(s, &(Message) { .type = MESSAGE_TASK_CANCEL, .task_cancel = { .id = id, .attempt = attempt } });
}

static void set_value(Stage *s, uint32_t id, const char *field, Value v) {
        send_task(s, &(Message) { .type = MESSAGE_TASK_SET, .task_set = { .id = id, .field = (char *) field, .value = v } });
}

static void set_text(Stage *s, uint32_t id, const char *text) {
        _cleanup_(value_done) Value v = {};

        CHECK_INT(value_strz(&v, text), 0);
        set_value(s, id, "text", v);
}

/* ---- the cases ---- */

TEST(life_of_a_resource) {
        _cleanup_(stage_done) Stage s;

        stage_init(&s);
        put(&s, 1, "a", "change");
        sync_tasks(&s);
        EXPECT(&s, "", "welcome; ");
        CHECK_INT(worker_n_resources(s.worker), 1);
        watch(&s, 1);
        EXPECT(&s, "prepare a; watch a; ", "armed 1; ");
        check(&s, 1, 7, false, false);
        EXPECT(&s, "check a; ", "result 1/7 changed; ");
        check(&s, 1, 8, true, true);
        EXPECT(&s, "apply+refresh a; ", "result 1/8 changed; ");
        unwatch(&s, 1);
        EXPECT(&s, "unwatch a; ", "");
        watch(&s, 1);
        EXPECT(&s, "watch a; ", "armed 1; ");
        remove_task(&s, 1);
        EXPECT(&s, "unwatch a; done a; ", "");
        CHECK_INT(worker_n_resources(s.worker), 0);
}

TEST(results) {
        static const struct { const char *how, *heard; } cases[] = {
                { "ok",         "result 1/1 ok; " },
                { "change",     "result 1/1 changed; " },
                { "fail",       "result 1/1 EIO 'it broke'; " },
                { "wait",       "result 1/1 EAGAIN 'something that is not there yet'; " },
                { "early",      "result 1/1 changed; " },
                { "nonsense",   "result 1/1 EPROTO 'Protocol error'; " },
                { "differ",     "differs 1 text '1 byte' '2 bytes' '-' 0; differs 1 how '-' 'right' '-' 0; result 1/1 changed; " },
                { "send",       "send 1 out; log 1 5 sent 1; result 1/1 ok; " },
        };
        _cleanup_(stage_done) Stage s;

        stage_init(&s);
        EXPECT(&s, "", "welcome; ");
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                put(&s, 1, "a", cases[i].how);
                check(&s, 1, 1, true, false);
                EXPECT(&s, "prepare a; apply a; ", cases[i].heard);
                remove_task(&s, 1);
                EXPECT(&s, "done a; ", "");
        }
}

TEST(what_would_be_changed_is_shown) {
        _cleanup_(stage_done) Stage s;

        stage_init(&s);
        put(&s, 1, "a", "differ");
        check(&s, 1, 1, false, false);
        EXPECT(&s, "prepare a; check a; ", "welcome; differs 1 text '-' '-' '@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n' 0; "
                   "differs 1 how '-' 'right' '-' 0; result 1/1 changed; ");
}

TEST(pending_attempts) {
        _cleanup_(stage_done) Stage s;
        _cleanup_(diag_done) Diag diag = {};

        stage_init(&s);
        put(&s, 1, "a", "pending");
        check(&s, 1, 1, true, false);
        EXPECT(&s, "prepare a; apply a; ", "welcome; ");
        REQUIRE(pending);
        resource_finish(pending, CHECK_CHANGED, NULL);
        EXPECT(&s, "", "result 1/1 changed; ");

        check(&s, 1, 2, true, false);
        EXPECT(&s, "apply a; ", "");
        (void) resource_error(pending, &diag, -EIO, "late");
        resource_finish(pending, -EIO, &diag);
        CHECK_INT(diag.error, 0);
        EXPECT(&s, "", "result 1/2 EIO 'late'; ");

        /* cancelled: no result, and a wrong number cancels nothing */
        check(&s, 1, 3, true, false);
        cancel(&s, 1, 2);
        EXPECT(&s, "apply a; ", "");
        cancel(&s, 1, 3);
        cancel(&s, 1, 3);
        EXPECT(&s, "cancel a; ", "");

        /* a new attempt takes the place of the one that is under way */
        check(&s, 1, 4, true, false);
        check(&s, 1, 5, false, false);
        EXPECT(&s, "apply a; cancel a; check a; ", "");
        resource_finish(pending, CHECK_OK, NULL);
        EXPECT(&s, "", "result 1/5 ok; ");

        check(&s, 1, 6, true, false);
        remove_task(&s, 1);
        EXPECT(&s, "apply a; cancel a; done a; ", "");
}

TEST(changes_are_merged_until_the_next_check) {
        _cleanup_(stage_done) Stage s;

        stage_init(&s);
        put(&s, 1, "a", "ok");
        watch(&s, 1);
        EXPECT(&s, "prepare a; watch a; ", "welcome; armed 1; ");
        REQUIRE(watching);
        for (int i = 0; i < 10; i++)
                resource_changed(watching);
        EXPECT(&s, "", "changed 1; ");
        resource_changed(watching);
        check(&s, 1, 1, true, false);
        EXPECT(&s, "apply a; ", "result 1/1 ok; ");
        resource_changed(watching);
        EXPECT(&s, "", "changed 1; ");
}

TEST(watches_that_fail) {
        _cleanup_(stage_done) Stage s;
        _cleanup_(diag_done) Diag diag = {};

        stage_init(&s);
        put(&s, 1, "blind", "ok");
        put(&s, 2, "unprepared", "ok");
        put(&s, 3, "slow", "ok");
        watch(&s, 1);
        EXPECT(&s, "prepare blind; watch blind; unwatch blind; ", "welcome; watch failed 1 ENOSPC 'no watches left'; ");
        watch(&s, 1);
        EXPECT(&s, "watch blind; unwatch blind; ", "watch failed 1 ENOSPC 'no watches left'; ");
        watch(&s, 2);
        EXPECT(&s, "prepare unprepared; ", "watch failed 2 EIO 'not today'; ");
        check(&s, 2, 9, true, false);
        EXPECT(&s, "prepare unprepared; ", "result 2/9 EIO 'not today'; ");

        /* its service is not there yet: what it could arm stays, and may tell the engine when to ask again */
        put(&s, 4, "early", "ok");
        for (int i = 0; i < 2; i++) {
                watch(&s, 4);
                EXPECT(&s, i == 0 ? "prepare early; watch early; " : "unwatch early; watch early; ",
                       "watch failed 4 EAGAIN 'no service'; ");
                resource_changed(watching);
                EXPECT(&s, "", "changed 4; ");
        }
        resource_armed(watching);
        EXPECT(&s, "", "armed 4; ");

        /* armed later, and broken later */
        watch(&s, 3);
        EXPECT(&s, "prepare slow; watch slow; ", "");
        REQUIRE(watching);
        resource_armed(watching);
        resource_armed(watching);
        EXPECT(&s, "", "armed 3; ");
        (void) resource_error(watching, &diag, -EIO, "gone");
        resource_watch_failed(watching, -EIO, &diag);
        EXPECT(&s, "", "watch failed 3 EIO 'gone'; ");
        resource_watch_failed(watching, -EIO, NULL);
        EXPECT(&s, "", "watch failed 3 EIO 'Input/output error'; ");
        watch(&s, 3);
        EXPECT(&s, "unwatch slow; watch slow; ", "");
        resource_armed(watching);
        EXPECT(&s, "", "armed 3; ");
}

TEST(what_cannot_be_made_is_told_when_it_is_asked_for) {
        _cleanup_(stage_done) Stage s;

        stage_init(&s);
        put_full(&s, 1, NO_PARENT, "nonsuch", "a", "ok", NULL);
        put_full(&s, 2, NO_PARENT, "fake", "b", "ok", "bad");
        put_full(&s, 3, NO_PARENT, "fake", "", "ok", NULL);
        for (uint32_t id = 1; id <= 3; id++) {
                watch(&s, id);
                check(&s, id, 1, true, false);
        }
        EXPECT(&s, "",
               "welcome; "
               "watch failed 1 ENOENT 'there is no kind 'nonsuch' here'; result 1/1 ENOENT 'there is no kind 'nonsuch' here'; "
               "watch failed 2 EINVAL 'text must not be 'bad''; result 2/1 EINVAL 'text must not be 'bad''; "
               "watch failed 3 EINVAL 'the Res has an empty Name'; result 3/1 EINVAL 'the Res has an empty Name'; ");
        for (uint32_t id = 1; id <= 3; id++)
                remove_task(&s, id);
        EXPECT(&s, "done b; done ; ", "");
        CHECK_INT(worker_n_resources(s.worker), 0);
}

TEST(received_fields) {
        _cleanup_(stage_done) Stage s;

        stage_init(&s);
        put_full(&s, 1, NO_PARENT, "fake", "a", "ok", "one");
        set_text(&s, 1, "one");
        check(&s, 1, 1, true, false);
        EXPECT(&s, "prepare a; apply a; ", "welcome; result 1/1 ok; ");
        set_text(&s, 1, "two");
        check(&s, 1, 2, true, false);
        check(&s, 1, 3, true, false);
        EXPECT(&s, "apply+text a; apply a; ", "result 1/2 ok; result 1/3 ok; ");

        /* not valid, then valid again */
        set_text(&s, 1, "bad");
        check(&s, 1, 4, true, false);
        EXPECT(&s, "", "result 1/4 EINVAL 'text must not be 'bad''; ");
        set_text(&s, 1, "three");
        check(&s, 1, 5, true, false);
        EXPECT(&s, "apply+text a; ", "result 1/5 ok; ");

        /* of the wrong type: the field stays as it is, and no other field makes up for it */
        set_value(&s, 1, "text", VALUE_INT(3));
        set_value(&s, 1, "number", VALUE_INT(3));
        check(&s, 1, 6, true, false);
        settle(&s);
        CHECK(s.heard.data && strstr(s.heard.data, "result 1/6 EINVAL 'field 'text'"));
        strbuf_done(&s.heard);
        s.heard = (StrBuf) {};
        set_text(&s, 1, "three");
        check(&s, 1, 7, true, false);
        EXPECT(&s, "apply a; ", "result 1/7 ok; ");

        set_value(&s, 1, "nonsuch", VALUE_INT(3));
        check(&s, 1, 8, true, false);
        EXPECT(&s, "", "result 1/8 ENOENT ''fake' has no field 'nonsuch' that could receive'; ");
        set_value(&s, 2, "text", VALUE_INT(3));         /* nobody has this number */
        EXPECT(&s, "", "");
}

TEST(what_is_received_during_an_attempt_comes_after_it) {
        _cleanup_(stage_done) Stage s;
        Fake *f;

        stage_init(&s);
        put_full(&s, 1, NO_PARENT, "fake", "a", "pending", "one");
        check(&s, 1, 1, true, false);
        set_text(&s, 1, "two");
        set_text(&s, 1, "three");
        EXPECT(&s, "prepare a; apply a; ", "welcome; ");
        REQUIRE(pending);
        f = (Fake *) pending;
        CHECK_STR(f->text, "one");
        resource_finish(pending, CHECK_OK, NULL);
        CHECK_STR(f->text, "three");
        check(&s, 1, 2, true, false);
        EXPECT(&s, "apply+text a; ", "result 1/1 ok; ");
        set_text(&s, 1, "four");
        cancel(&s, 1, 2);
        EXPECT(&s, "cancel a; ", "");
        CHECK_STR(f->text, "four");
}

static void put_group(Stage *s, uint32_t id, const char *kind, const char *how_first, const char *how_second) {
        char part[32];

        snprintf(part, sizeof(part), "%s:part", kind);
        put_full(s, id, NO_PARENT, kind, "p", "ok", NULL);
        put_full(s, id + 1, id, part, "c1", how_first, NULL);
        put_full(s, id + 2, id, part, "c2", how_second, NULL);
}

TEST(groups_run_children_first) {
        _cleanup_(stage_done) Stage s;

        stage_init(&s);
        put_group(&s, 10, "fake", "change", "pending");
        watch(&s, 10);
        EXPECT(&s, "prepare c1; prepare c2; prepare p; watch c1; watch c2; watch p; ", "welcome; armed 10; ");
        check(&s, 10, 1, true, false);
        EXPECT(&s, "apply c1; apply c2; ", "");
        REQUIRE(pending);
        resource_changed(pending);
        resource_finish(pending, CHECK_OK, NULL);
        EXPECT(&s, "apply+children p; ", "changed 10; result 10/1 changed; ");

        /* questions about a child have their own answer */
        watch(&s, 11);
        check(&s, 11, 1, true, false);
        EXPECT(&s, "", "watch failed 11 EINVAL 'resource 11 is grouped into another'; "
               "result 11/1 EINVAL 'resource 11 is grouped into another'; ");
        remove_task(&s, 11);
        EXPECT(&s, "", "");
        remove_task(&s, 10);
        EXPECT(&s, "unwatch p; unwatch c2; unwatch c1; done p; done c1; done c2; ", "");
        CHECK_INT(worker_n_resources(s.worker), 0);
}

TEST(group_stops_at_the_first_error) {
        _cleanup_(stage_done) Stage s;

        stage_init(&s);
        put_group(&s, 10, "fake", "fail", "change");
        check(&s, 10, 1, true, false);
        EXPECT(&s, "prepare c1; prepare c2; prepare p; apply c1; ", "welcome; result 10/1 EIO 'fake:part[c1]: it broke'; ");
        remove_task(&s, 10);
        put_group(&s, 20, "fake", "change", "wait");
        check(&s, 20, 1, true, false);
        EXPECT(&s, "done p; done c1; done c2; prepare c1; prepare c2; prepare p; apply c1; apply c2; ",
               "result 20/1 EAGAIN 'fake:part[c2]: something that is not there yet'; ");
        remove_task(&s, 20);
        put_group(&s, 30, "fake", "pending", "change");
        check(&s, 30, 1, true, false);
        cancel(&s, 30, 1);
        EXPECT(&s, "done p; done c1; done c2; prepare c1; prepare c2; prepare p; apply c1; cancel c1; ", "");
}

TEST(parent_that_runs_its_children) {
        _cleanup_(stage_done) Stage s;

        stage_init(&s);
        put_group(&s, 10, "runs", "change", "fail");
        watch(&s, 10);
        check(&s, 10, 1, true, false);
        EXPECT(&s, "prepare c1; prepare c2; prepare p; watch c1; watch c2; watch p; apply+children p; ",
               "welcome; armed 10; result 10/1 ok; ");
}

TEST(groups_in_groups) {
        _cleanup_(stage_done) Stage s;

        stage_init(&s);
        put_full(&s, 1, NO_PARENT, "fake", "p", "ok", NULL);
        put_full(&s, 2, 1, "fake:part", "c", "ok", NULL);
        put_full(&s, 3, 2, "fake:part:deep", "d", "change", NULL);
        check(&s, 1, 1, false, false);
        EXPECT(&s, "prepare d; prepare c; prepare p; check d; check+children c; check+children p; ",
               "welcome; result 1/1 changed; ");
        set_text(&s, 3, "new");
        check(&s, 1, 2, false, false);
        EXPECT(&s, "check+text d; check+children c; check+children p; ", "result 1/2 changed; ");
}

TEST(groups_that_cannot_be) {
        _cleanup_(stage_done) Stage s;

        stage_init(&s);
        EXPECT(&s, "", "welcome; ");

        /* a part is refused: the group does not run without it */
        put_full(&s, 1, NO_PARENT, "fake", "p", "ok", NULL);
        put_full(&s, 2, 1, "fake:part", "c", "ok", "bad");
        watch(&s, 1);
        EXPECT(&s, "", "watch failed 1 EINVAL 'fake:part[c]: text must not be 'bad''; ");

        /* kinds that do not go together */
        put_full(&s, 3, NO_PARENT, "fake", "q", "ok", NULL);
        put_full(&s, 4, 3, "runs:part", "c", "ok", NULL);
        check(&s, 3, 1, true, false);
        EXPECT(&s, "", "result 3/1 EINVAL 'runs:part[c]: 'runs:part' cannot be grouped into 'fake''; ");
        put_full(&s, 5, NO_PARENT, "fake", "r", "ok", NULL);
        put_full(&s, 6, 5, "fake", "s", "ok", NULL);
        put_full(&s, 7, 5, "fake:part:deep", "s", "ok", NULL);
        check(&s, 5, 1, true, false);
        EXPECT(&s, "", "result 5/1 EINVAL 'fake[s]: 'fake' cannot be grouped into 'fake''; ");

        /* a parent that is not there, is itself, or runs already */
        put_full(&s, 8, 99, "fake:part", "x", "ok", NULL);
        put_full(&s, 9, 9, "fake:part", "y", "ok", NULL);
        put_full(&s, 20, NO_PARENT, "fake", "t", "ok", NULL);
        watch(&s, 20);
        put_full(&s, 21, 20, "fake:part", "z", "ok", NULL);
        EXPECT(&s, "prepare t; watch t; ",
               "watch failed 8 ENOENT 'fake:part[x]: the resource it is grouped into is not here'; "
               "watch failed 9 ENOENT 'fake:part[y]: the resource it is grouped into is not here'; "
               "armed 20; "
               "watch failed 21 EBUSY 'fake:part[z]: the resource it is grouped into runs already without it'; ");
}

/* ---- sessions ---- */

TEST(engine_comes_back_and_finds_all_running) {
        _cleanup_(stage_done) Stage s;

        stage_init(&s);
        put(&s, 1, "a", "ok");
        put(&s, 2, "b", "ok");
        put_group(&s, 10, "fake", "ok", "ok");
        sync_tasks(&s);
        watch(&s, 1);
        watch(&s, 2);
        watch(&s, 10);
        EXPECT(&s, "prepare a; watch a; prepare b; watch b; prepare c1; prepare c2; prepare p; watch c1; watch c2; watch p; ",
               "welcome; armed 1; armed 2; armed 10; ");

        channel_free(s.engine);
        stage_connect(&s);
        hello(&s);
        put_group(&s, 30, "fake", "ok", "ok");
        put(&s, 41, "a", "ok");
        watch(&s, 41);
        watch(&s, 30);
        EXPECT(&s, "done a; done p; done c1; done c2; ", "welcome; armed 41; armed 30; ");    /* of the new ones, which were not needed */
        CHECK_INT(worker_n_resources(s.worker), 5);
        sync_tasks(&s);
        EXPECT(&s, "unwatch b; done b; ", "");
        CHECK_INT(worker_n_resources(s.worker), 4);

        check(&s, 41, 1, true, false);
        check(&s, 30, 1, true, false);
        check(&s, 1, 1, true, false);
        EXPECT(&s, "apply a; apply c1; apply c2; apply+children p; ",
               "result 41/1 ok; result 30/1 ok; result 1/1 ENOENT 'resource 1 is not here'; ");
}

TEST(what_changed_meanwhile_is_made_anew) {
        _cleanup_(stage_done) Stage s;

        stage_init(&s);
        put(&s, 1, "a", "ok");
        put_group(&s, 10, "fake", "ok", "ok");
        watch(&s, 1);
        watch(&s, 10);
        EXPECT(&s, "prepare a; watch a; prepare c1; prepare c2; prepare p; watch c1; watch c2; watch p; ",
               "welcome; armed 1; armed 10; ");
        hello(&s);
        put(&s, 1, "a", "change");
        put_group(&s, 10, "fake", "ok", "change");
        watch(&s, 1);
        watch(&s, 10);
        sync_tasks(&s);
        EXPECT(&s, "unwatch a; done a; prepare a; watch a; "
               "unwatch p; unwatch c2; unwatch c1; done p; done c1; done c2; "
               "prepare c1; prepare c2; prepare p; watch c1; watch c2; watch p; ",
               "welcome; armed 1; armed 10; ");

        /* a part less */
        hello(&s);
        put_full(&s, 10, NO_PARENT, "fake", "p", "ok", NULL);
        put_full(&s, 11, 10, "fake:part", "c1", "ok", NULL);
        watch(&s, 10);
        EXPECT(&s, "unwatch p; unwatch c2; unwatch c1; done p; done c1; done c2; prepare c1; prepare p; watch c1; watch p; ",
               "welcome; armed 10; ");
}

TEST(replaced_within_a_session) {
        _cleanup_(stage_done) Stage s;

        stage_init(&s);
        put(&s, 1, "a", "ok");
        watch(&s, 1);
        EXPECT(&s, "prepare a; watch a; ", "welcome; armed 1; ");

        /* under another number, before the old one is removed */
        put(&s, 2, "a", "change");
        remove_task(&s, 1);
        watch(&s, 2);
        EXPECT(&s, "unwatch a; done a; prepare a; watch a; ", "armed 2; ");
        put(&s, 3, "a", "change");
        watch(&s, 3);
        remove_task(&s, 2);
        EXPECT(&s, "done a; ", "armed 3; ");

        /* under the same number */
        put(&s, 3, "a", "ok");
        check(&s, 3, 1, true, false);
        EXPECT(&s, "unwatch a; done a; prepare a; apply a; ", "result 3/1 ok; ");
        put(&s, 3, "b", "ok");
        sync_tasks(&s);
        EXPECT(&s, "done a; ", "");
        CHECK_INT(worker_n_resources(s.worker), 1);
}

TEST(received_values_do_not_stand_in_the_way) {
        _cleanup_(stage_done) Stage s;

        stage_init(&s);
        put_full(&s, 1, NO_PARENT, "fake", "a", "ok", "declared");
        watch(&s, 1);
        set_text(&s, 1, "received");
        EXPECT(&s, "prepare a; watch a; ", "welcome; armed 1; ");
        REQUIRE(watching);
        CHECK_STR(((Fake *) watching)->text, "received");

        hello(&s);
        put_full(&s, 5, NO_PARENT, "fake", "a", "ok", "declared");
        watch(&s, 5);
        EXPECT(&s, "done a; ", "welcome; armed 5; ");

        /* declared differently, also if it is what was received */
        hello(&s);
        put_full(&s, 5, NO_PARENT, "fake", "a", "ok", "received");
        watch(&s, 5);
        EXPECT(&s, "unwatch a; done a; prepare a; watch a; ", "welcome; armed 5; ");
        CHECK_STR(((Fake *) watching)->text, "received");

        /* and what was borrowed for the comparison is given back */
        set_text(&s, 5, "other");
        EXPECT(&s, "", "");
        hello(&s);
        put_full(&s, 6, NO_PARENT, "fake", "a", "change", "received");
        watch(&s, 6);
        EXPECT(&s, "unwatch a; done a; prepare a; watch a; ", "welcome; armed 6; ");
        CHECK_STR(((Fake *) watching)->text, "received");
}

TEST(attempts_of_the_old_session_end_with_it) {
        _cleanup_(stage_done) Stage s;

        stage_init(&s);
        put(&s, 1, "a", "pending");
        check(&s, 1, 1, true, false);
        EXPECT(&s, "prepare a; apply a; ", "welcome; ");
        hello(&s);
        EXPECT(&s, "cancel a; ", "welcome; ");
        put(&s, 2, "a", "pending");
        check(&s, 2, 1, true, false);
        EXPECT(&s, "done a; apply a; ", "");
        REQUIRE(pending);
        resource_finish(pending, CHECK_OK, NULL);
        EXPECT(&s, "", "result 2/1 ok; ");
}

TEST(without_hello_there_are_no_tasks) {
        _cleanup_(stage_done) Stage s;

        stage_init(&s);
        put(&s, 1, "a", "ok");
        watch(&s, 1);
        EXPECT(&s, "prepare a; watch a; ", "welcome; armed 1; ");
        channel_free(s.engine);
        stage_connect(&s);
        remove_task(&s, 1);
        check(&s, 1, 1, true, false);
        for (uint64_t end = now_usec() + 60000000; now_usec() < end && !(s.heard.data && strstr(s.heard.data, "EPERM; error"));)
                (void) sd_event_run(s.event, 10000);
        CHECK_STR(s.heard.data, "error EPERM; error EPERM; ");
        CHECK_INT(worker_n_resources(s.worker), 1);

        /* only HELLO of the engine is the worker's */
        CHECK(!worker_message(s.worker, s.listener, 1, &(Message) { .type = MESSAGE_HELLO, .hello.role = (char *) "lang" }));
        CHECK(!worker_message(s.worker, s.listener, 1, &(Message) { .type = MESSAGE_HELLO }));
        CHECK(!worker_message(s.worker, s.listener, 1, &(Message) { .type = MESSAGE_TASK_ARMED }));
        strbuf_done(&s.heard);
        s.heard = (StrBuf) {};
        strbuf_done(&seen);
        seen = (StrBuf) {};
        hello(&s);
        EXPECT(&s, "", "welcome; ");
}

/* Any order of anything: nothing breaks, and all of it is gone in the end. */
TEST(nonsense_from_the_engine) {
        static const char *const hows[] = { "ok", "change", "pending", "wait", "fail", "early" };
        static const char *const kinds[] = { "fake", "fake:part", "fake:part:deep", "runs", "runs:part", "nonsuch" };
        static const char *const names[] = { "a", "b", "c", "slow", "blind", "unprepared", "" };
        _cleanup_(stage_done) Stage s;
        unsigned seed = 1, n_armed = 0, n_heard = 0;

        stage_init(&s);
        for (unsigned i = 0; i < 20000; i++) {
                uint32_t random[6];

                for (size_t k = 0; k < ELEMENTSOF(random); k++)
                        random[k] = (uint32_t) rand_r(&seed);
                uint32_t id = random[0] % 12, other = random[1] % 12;

                switch (random[2] % 16) {
                case 0: case 1: case 2: case 3: case 4:
                        put_full(&s, id, random[3] % 3 == 0 ? NO_PARENT : other, kinds[random[4] % ELEMENTSOF(kinds)],
                                 names[random[5] % ELEMENTSOF(names)], hows[random[1] % ELEMENTSOF(hows)],
                                 random[0] % 50 == 0 ? "bad" : NULL);
                        break;
                case 5: case 6: case 7:
                        watch(&s, id);
                        break;
                case 8:
                        unwatch(&s, id);
                        break;
                case 9: case 10: case 11:
                        check(&s, id, random[3] % 4, random[4] % 2, random[5] % 2);
                        break;
                case 12:
                        cancel(&s, id, random[3] % 4);
                        break;
                case 13:
                        set_text(&s, id, names[random[3] % ELEMENTSOF(names)]);
                        break;
                case 14:
                        if (random[3] % 4 == 0)
                                hello(&s);
                        else if (random[3] % 4 == 1)
                                sync_tasks(&s);
                        else
                                remove_task(&s, id);
                        break;
                case 15:
                        settle(&s);
                        if (pending)
                                resource_finish(pending, random[3] % 2 ? CHECK_OK : -EIO, NULL);
                        if (watching && random[4] % 2)
                                resource_changed(watching);
                        if (watching && random[4] % 8 == 0)
                                resource_armed(watching);
                        pending = NULL;
                        break;
                }
                if (s.heard.size > 10000) {
                        n_heard += s.heard.size;
                        n_armed += strstr(s.heard.data, "armed") != NULL;
                        strbuf_done(&s.heard);
                        strbuf_done(&seen);
                        s.heard = seen = (StrBuf) {};
                }
        }
        CHECK(n_heard > 100000);
        CHECK(n_armed > 10);
        hello(&s);
        sync_tasks(&s);
        settle(&s);
        CHECK_INT(worker_n_resources(s.worker), 0);
}

TEST_MAIN()
