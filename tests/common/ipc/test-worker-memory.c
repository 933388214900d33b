/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The worker when memory runs out: with whichever allocation fails, every question of the engine is answered and nothing is lost.
 * The channel is replaced by functions that count (ZeroMQ itself aborts without memory). */

#include <systemd/sd-event.h>

#include "common/ipc/worker.h"
#include "tests/common/alloc.h"
#include "tests/test.h"

#define NO_PARENT UINT32_MAX

/* ---- instead of common/ipc/channel.c ---- */

static unsigned n_armed, n_watch_failed, n_results, n_good_results, n_welcomes;

int channel_listen(Channel **ret, sd_event *event, int fd, const ChannelOps *ops, void *userdata) {
        return -EOPNOTSUPP;     /* nobody serves here */
}

Channel *channel_free(Channel *c) {
        return NULL;
}

int channel_send(Channel *c, PeerId peer, const Message *m) {
        n_welcomes += m->type == MESSAGE_WELCOME;
        n_armed += m->type == MESSAGE_TASK_ARMED;
        n_watch_failed += m->type == MESSAGE_TASK_WATCH_FAILED;
        n_results += m->type == MESSAGE_TASK_RESULT;
        n_good_results += m->type == MESSAGE_TASK_RESULT && m->task_result.result >= 0;
        return 0;
}

/* ---- a kind ---- */

typedef struct Fake {
        Resource resource;
        char *text;
        char *parent;
} Fake;

static const FieldSpec fields[] = {
        FIELD(Fake, text, FIELD_STR, FIELD_OPTIONAL, "Anything."),
        FIELD(Fake, parent, FIELD_STR, 0, "What it is grouped into."),
        {}
};

static int fake_watch(Resource *r, Diag *reterr) {
        resource_armed(r);
        return 0;
}

static void fake_unwatch(Resource *r) {
}

static int fake_check_apply(Resource *r, bool apply, Diag *reterr) {
        if (streq(r->name, "waits"))
                return resource_waiting(r, "something");
        if (streq(r->name, "fails"))
                return resource_error(r, reterr, -EIO, "it broke");
        return CHECK_CHANGED;
}

static const ResourceType fake = {
        .kind = "fake", .doc = "For tests.", .size = sizeof(Fake), .fields = fields,
        .watch = fake_watch, .unwatch = fake_unwatch, .check_apply = fake_check_apply,
};
static const ResourceType part = {
        .kind = "fake:part", .doc = "For tests.", .size = sizeof(Fake), .fields = fields, .parent_field = "parent",
        .watch = fake_watch, .unwatch = fake_unwatch, .check_apply = fake_check_apply,
};
static const ResourceType *const types[] = { &fake, &part, NULL };

/* ---- the engine ---- */

static void give(Worker *w, Message *m) {
        CHECK(worker_message(w, (Channel *) &fake, 7, m));      /* only compared */
}

static void hello(Worker *w) {
        give(w, &(Message) { .type = MESSAGE_HELLO, .hello = { .role = (char *) "engine", .hostname = (char *) "h" } });
}

static void put(Worker *w, uint32_t id, uint32_t parent, const ResourceType *type, const char *name, Value text) {
        FieldValue field = { .name = (char *) "text", .value = text };
        Message m = { .type = MESSAGE_TASK_PUT, .task_put = { .id = id, .parent = parent } };

        m.task_put.resource = (ResourceSpec) {
                .kind = (char *) type->kind, .name = (char *) name, .pos = { .file = "main.mcl", .line = 1 },
                .fields = &field, .n_fields = 1,
        };
        meta_init(&m.task_put.resource.meta);
        give(w, &m);
}

static void put_all(Worker *w, Value text) {
        put(w, 1, NO_PARENT, &fake, "p", text);
        put(w, 2, 1, &part, "c1", text);
        put(w, 3, 1, &part, "c2", text);
        put(w, 4, NO_PARENT, &fake, "waits", text);
        put(w, 5, NO_PARENT, &fake, "fails", text);
}

static unsigned ask_all(Worker *w) {
        static const uint32_t roots[] = { 1, 4, 5 };

        for (size_t i = 0; i < ELEMENTSOF(roots); i++) {
                give(w, &(Message) { .type = MESSAGE_TASK_WATCH, .task_watch.id = roots[i] });
                give(w, &(Message) { .type = MESSAGE_TASK_CHECK, .task_check = { .id = roots[i], .attempt = 1, .apply = true } });
        }
        return ELEMENTSOF(roots);
}

/* Two sessions: one that finds nothing, one that finds all of it, partly changed by what was received. */
static unsigned talk(Worker *w, Value one, Value two) {
        unsigned n;

        hello(w);
        put_all(w, one);
        n = ask_all(w);
        give(w, &(Message) { .type = MESSAGE_TASK_SET,
                             .task_set = { .id = 2, .field = (char *) "text", .value = two } });
        give(w, &(Message) { .type = MESSAGE_TASK_SYNC });
        hello(w);
        put_all(w, one);
        n += ask_all(w);
        put(w, 4, NO_PARENT, &fake, "waits", two);
        n += ask_all(w);
        give(w, &(Message) { .type = MESSAGE_TASK_SYNC });
        give(w, &(Message) { .type = MESSAGE_TASK_REMOVE, .task_remove.id = 1 });
        return n;
}

TEST(every_question_is_answered) {
        _cleanup_(value_done) Value one = {}, two = {};
        sd_event *event = NULL;
        uint64_t n;

        CHECK_INT(value_strz(&one, "one"), 0);
        CHECK_INT(value_strz(&two, "two"), 0);
        CHECK(sd_event_new(&event) >= 0);
        for (n = 0; n < 100000; n++) {
                size_t before = alloc_bytes();
                Worker *w = NULL;
                unsigned n_asked;
                bool failed;

                n_armed = n_watch_failed = n_results = n_good_results = n_welcomes = 0;
                CHECK_INT(worker_new(&w, event, types, "/nowhere", NULL), 0);
                alloc_fail_at(n);
                n_asked = talk(w, one, two);
                failed = alloc_failed();
                CHECK_INT(n_welcomes, 2);
                CHECK(n_armed + n_watch_failed >= n_asked);
                CHECK_INT(n_results, n_asked);
                if (!failed) {
                        CHECK_INT(n_armed, n_asked);
                        CHECK_INT(n_good_results, 3);
                        CHECK_INT(worker_n_resources(w), 2);
                }

                /* whatever went wrong, the next session gets everything right */
                n_armed = n_results = n_good_results = n_watch_failed = 0;
                hello(w);
                put_all(w, one);
                n_asked = ask_all(w);
                give(w, &(Message) { .type = MESSAGE_TASK_SYNC });
                CHECK_INT(n_armed, n_asked);
                CHECK_INT(n_watch_failed, 0);
                CHECK_INT(n_results, n_asked);
                CHECK_INT(n_good_results, 1);
                CHECK_INT(worker_n_resources(w), 5);
                worker_free(w);
                if (n > 0 && alloc_bytes() != before)
                        TEST_FAIL("%zu bytes were lost with allocation %" PRIu64, alloc_bytes() - before, n);
                if (n > 0 && !failed)
                        break;
        }
        CHECK(n > 100);
        sd_event_unref(event);
}

TEST_MAIN()
