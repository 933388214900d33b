/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The order of calls is that of common/resource.h; whatever a kind may rely on there, it gets here. */

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "tests/daemons/testhost.h"

static TestHost *host_of(const Resource *r) {
        return container_of(r->host, TestHost, host);
}

static void on_changed(Resource *r) {
        host_of(r)->n_changed++;
}

static void on_armed(Resource *r) {
        host_of(r)->n_armed++;
}

static void on_watch_failed(Resource *r, int error, Diag *diag) {
        TestHost *h = host_of(r);

        h->n_watch_failed++;
        h->watch_error = error;
        if (diag)
                diag_move(&h->diag, diag);
}

static void on_finished(Resource *r, int result, Diag *diag) {
        TestHost *h = host_of(r);

        h->finished = result;
        if (diag)
                diag_move(&h->diag, diag);
}

static void on_waiting(Resource *r, const char *reason) {
        TestHost *h = host_of(r);

        free(h->reason);
        h->reason = strdup(reason);
}

static bool on_refresh(const Resource *r) {
        return host_of(r)->refresh;
}

static int on_send(Resource *r, const char *key, Value v) {
        TestHost *h = host_of(r);
        _cleanup_free_ char *text = value_text(v);

        strbuf_printf(&h->sends, "%s=%s\n", key, text ?: "?");
        free(h->sent_key);
        h->sent_key = strdup(key);
        value_done(&h->sent);
        h->sent = value_ref(v);
        return 0;
}

static void on_differs(Resource *r, Difference *d) {
        _cleanup_free_ char *text = difference_text(d, true);

        if (text)               /* there is none where memory is made to run out */
                strbuf_printf(&host_of(r)->differences, "%s\n", text);
        difference_done(d);
}

static void on_log(Resource *r, int priority, const char *text) {
        strbuf_printf(&host_of(r)->log, "%s\n", text);
}

int testhost_init(TestHost *h, sd_event *event, void *manager, const char *state_dir) {
        *h = (TestHost) {
                .host = {
                        .event = sd_event_ref(event),
                        .manager = manager,
                        .hostname = "testhost",
                        .state_dir = state_dir,
                        .changed = on_changed,
                        .armed = on_armed,
                        .watch_failed = on_watch_failed,
                        .finished = on_finished,
                        .waiting = on_waiting,
                        .refresh = on_refresh,
                        .send = on_send,
                        .differs = on_differs,
                        .log = on_log,
                },
                .finished = NOT_FINISHED,
        };
        return 0;
}

void testhost_forget(TestHost *h) {
        diag_done(&h->diag);
        free(h->reason);
        strbuf_done(&h->log);
        strbuf_done(&h->differences);
        strbuf_done(&h->sends);
        free(h->sent_key);
        value_done(&h->sent);
        *h = (TestHost) { .host = h->host, .finished = NOT_FINISHED };
}

void testhost_done(TestHost *h) {
        testhost_forget(h);
        h->host.event = sd_event_unref(h->host.event);
}

static int set_field(TestHost *h, Resource *r, const char *name, const char *text) {
        const FieldSpec *f = field_find(r->type->fields, name);
        _cleanup_(value_done) Value v = {};
        int e;

        if (!f)
                return diag_set(&h->diag, r->pos, -ENOENT, "there is no field '%s'", name);
        e = value_parse(text, field_mcl_type(f), &v, &h->diag);
        return e < 0 ? e : resource_set(r, name, v, &h->diag);
}

Resource *testhost_resource(TestHost *h, const ResourceType *type, const char *name, ...) {
        static const Pos pos = { .file = "test.mcl", .line = 1, .column = 1 };
        Resource *r;
        const char *field;
        va_list ap;
        int e;

        diag_done(&h->diag);
        if (resource_new(&r, type, &h->host, name, pos) < 0)
                return NULL;

        e = 0;
        va_start(ap, name);
        while (e >= 0 && (field = va_arg(ap, const char *)))
                e = set_field(h, r, field, va_arg(ap, const char *));
        va_end(ap);
        if (e >= 0)
                e = resource_validate(r, &h->diag);
        return e < 0 ? resource_free(r) : r;
}

int testhost_receive(TestHost *h, Resource *r, const char *field, const char *text) {
        const FieldSpec *f = field_find(r->type->fields, field);
        int e;

        diag_done(&h->diag);
        e = set_field(h, r, field, text);
        if (e < 0)
                return e;
        r->received |= UINT64_C(1) << (f - r->type->fields);
        return resource_validate(r, &h->diag);
}

static uint64_t now_msec(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * 1000 + (uint64_t) ts.tv_nsec / 1000000;
}

bool testhost_until(TestHost *h, bool (*condition)(void *userdata), void *userdata, unsigned milliseconds) {
        uint64_t end = now_msec() + milliseconds, now;
        bool holds;

        while (!(holds = condition(userdata)) && (now = now_msec()) < end) {
                int r = sd_event_run(h->host.event, (end - now) * 1000);
                if (r < 0 && r != -ENOMEM)      /* where a test takes the memory away: a daemon would end here, and begin anew */
                        return false;
        }
        /* However busy the machine was meanwhile, all that was ready at the end counts. */
        for (int i = 0; i < 1000 && !holds && sd_event_run(h->host.event, 0) > 0; i++)
                holds = condition(userdata);
        return holds;
}

typedef struct Count {
        const unsigned *counter;
        unsigned beyond;
} Count;

static bool is_beyond(void *userdata) {
        const Count *c = userdata;

        return *c->counter > c->beyond;
}

bool testhost_until_changed(TestHost *h, unsigned n_changed, unsigned milliseconds) {
        Count c = { .counter = &h->n_changed, .beyond = n_changed };

        return testhost_until(h, is_beyond, &c, milliseconds);
}

static bool never(void *userdata) {
        return false;
}

void testhost_run(TestHost *h, unsigned milliseconds) {
        (void) testhost_until(h, never, NULL, milliseconds);
}

static int prepare(TestHost *h, Resource *r) {
        for (size_t i = 0; i < r->n_children; i++) {
                int e = prepare(h, r->children[i]);
                if (e < 0)
                        return e;
        }
        return r->type->prepare ? r->type->prepare(r, &h->diag) : 0;
}

static int watch(TestHost *h, Resource *r) {
        Count c = { .counter = &h->n_armed, .beyond = h->n_armed };
        int e;

        for (size_t i = 0; i < r->n_children; i++) {
                e = watch(h, r->children[i]);
                if (e < 0)
                        return e;
        }
        if (!r->type->watch)
                return 0;
        c.beyond = h->n_armed;
        e = r->type->watch(r, &h->diag);
        if (e < 0)
                return e;
        return testhost_until(h, is_beyond, &c, PATIENCE_MSEC) ? 0 : -ETIMEDOUT;
}

int testhost_watch(TestHost *h, Resource *r) {
        int e;

        diag_done(&h->diag);
        e = prepare(h, r);
        return e < 0 ? e : watch(h, r);
}

void testhost_unwatch(Resource *r) {
        if (r->type->unwatch)
                r->type->unwatch(r);
        for (size_t i = r->n_children; i > 0; i--)
                testhost_unwatch(r->children[i - 1]);
}

static bool is_finished(void *userdata) {
        const TestHost *h = userdata;

        return h->finished != NOT_FINISHED;
}

static int check_tree(TestHost *h, Resource *r, bool apply) {
        int sum = CHECK_OK, e;

        r->applies = apply;

        if (!(r->type->flags & RESOURCE_RUNS_CHILDREN))
                for (size_t i = 0; i < r->n_children; i++) {
                        e = check_tree(h, r->children[i], apply);
                        if (e < 0)
                                return e;
                        sum = MAX(sum, e);
                }
        if (!r->type->check_apply)
                return sum;

        diag_done(&h->diag);
        h->finished = NOT_FINISHED;
        e = r->type->check_apply(r, apply, &h->diag);
        if (e == CHECK_PENDING) {
                if (!testhost_until(h, is_finished, h, PATIENCE_MSEC)) {
                        r->type->cancel(r);
                        return -ETIMEDOUT;
                }
                e = h->finished;
        }
        if (e < 0)
                return e;
        r->received = 0;
        return MAX(sum, e);
}

int testhost_check(TestHost *h, Resource *r, bool apply) {
        strbuf_done(&h->differences);
        return check_tree(h, r, apply);
}

/* Parents first: what a kind's done() looks at is still there. */
static void free_tree(Resource *r) {
        size_t n = r->n_children;
        _cleanup_free_ Resource **children = reallocarray(NULL, n + 1, sizeof(*children));

        if (!children)
                abort();
        if (n > 0)
                memcpy(children, r->children, n * sizeof(*children));
        (void) resource_free(r);
        for (size_t i = 0; i < n; i++)
                free_tree(children[i]);
}

void testhost_free(Resource *r) {
        if (!r)
                return;
        if (r->type->cancel)
                r->type->cancel(r);
        testhost_unwatch(r);
        free_tree(r);
}
