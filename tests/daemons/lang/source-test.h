/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A program that consists of single calls: each is opened as the function graph would, and what it says is kept. */

#include <dirent.h>
#include <limits.h>
#include <stdarg.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "daemons/lang/lang-manager.h"
#include "daemons/lang/sources.h"
#include "lang/builtins.h"
#include "tests/test.h"

enum { TURN_USEC = 5 * 1000, PATIENCE_MSEC = 60 * 1000 };

typedef struct Stage {
        sd_event *event;
        Manager manager;
        SourceHost host;
        char directory[64];
} Stage;

/* One call. Its text is the value as it is printed, or "error: …", or "catchable: …". */
typedef struct Call {
        Stage *stage;
        const Builtin *builtin;
        Source *source;
        unsigned n_said;
        char *text;
        Value history[64];      /* values, in the order in which they came */
        size_t n_history;
        bool held;              /* taken() is not called by itself */
        sd_event_source *taker;
} Call;

static inline size_t count_fds(void) {
        DIR *d = opendir("/proc/self/fd");
        size_t n = 0;

        for (const struct dirent *e; d && (e = readdir(d));)
                n += e->d_name[0] != '.';
        if (d)
                closedir(d);
        return n;
}

static inline void stage_start(Stage *stage) {
        *stage = (Stage) { .directory = "/tmp/mgmt-test-sources-XXXXXX" };
        if (!mkdtemp(stage->directory) || sd_event_new(&stage->event) < 0)
                abort();
        stage->manager.event = stage->event;
        stage->host = (SourceHost) { .event = stage->event, .manager = &stage->manager, .hostname = "testhost",
                                     .state_dir = stage->directory };
}

static inline void stage_end(Stage *stage) {
        char command[128];

        source_share_done(&stage->manager.share);
        sd_event_unref(stage->event);
        (void) snprintf(command, sizeof(command), "rm -rf '%s'", stage->directory);
        CHECK_INT(system(command), 0);
}

static inline const char *stage_path(const Stage *stage, const char *name) {
        static char path[PATH_MAX];

        (void) snprintf(path, sizeof(path), "%s/%s", stage->directory, name);
        return path;
}

/* ---- what it says ---- */

static inline void call_say(Call *c, char *text) {
        free(c->text);
        c->text = text;
        c->n_said++;
}

static int call_take(sd_event_source *source, void *userdata) {
        Call *c = userdata;

        c->source->type->taken(c->source);
        return 0;
}

static void call_set(Source *s, Value v) {
        Call *c = s->owner;
        _cleanup_(diag_done) Diag d = {};
        const Type *type = builtin_type(c->builtin)->element;

        if (type->kind != TYPE_UNKNOWN && value_check_type(v, type, &d) < 0)
                TEST_FAIL("%s: %s", c->builtin->name, d.message);
        call_say(c, value_text(v));
        if (c->n_history < ELEMENTSOF(c->history))
                c->history[c->n_history++] = v;
        else
                value_done(&v);
        if (!s->type->taken || c->held)
                return;
        if (c->taker)
                (void) sd_event_source_set_enabled(c->taker, SD_EVENT_ONESHOT);
        else if (sd_event_add_defer(c->stage->event, &c->taker, call_take, c) < 0)
                abort();
}

static void call_fail(Source *s, bool catchable, Diag *d) {
        char *text;

        CHECK(d->error < 0 && d->message);
        if (asprintf(&text, "%s: %s", catchable ? "catchable" : "error", d->message) < 0)
                abort();
        call_say(s->owner, text);
}

/* ---- asking ---- */

enum { ARGS_MAX = 4 };

/* Arguments as in a program, each with the type that the function wants; NULL after the last. */
static inline size_t call_args(const Builtin *b, va_list ap, Value args[static ARGS_MAX]) {
        const Type *signature = builtin_type(b);
        const char *text;
        size_t n = 0;

        for (; (text = va_arg(ap, const char *)); n++) {
                _cleanup_(diag_done) Diag d = {};
                const Type *type = n < signature->n_fields ? signature->fields[n].type : NULL;

                if (n == ARGS_MAX || !type || value_parse(text, type->kind == TYPE_UNKNOWN ? NULL : type, &args[n], &d) < 0)
                        abort();
        }
        if (n != signature->n_fields)
                abort();
        return n;
}

/* What open() returned; its error is the text as well. */
__attribute__((__sentinel__)) static inline int call_open(Stage *stage, Call *c, const char *function, ...) {
        static const SourceSink sink = { .set = call_set, .fail = call_fail };
        const SourceType *type = lang_source_find(function);
        _cleanup_(diag_done) Diag d = {};
        Value args[ARGS_MAX] = {};
        va_list ap;

        *c = (Call) { .stage = stage, .builtin = builtin_find(function), .held = c->held };
        if (!type || !c->builtin)
                abort();
        va_start(ap, function);
        size_t n = call_args(c->builtin, ap, args);
        va_end(ap);
        int r = source_open(&c->source, type, &(Source) { .host = &stage->host, .args = args, .n_args = n, .function = c->builtin->name,
                            .result = builtin_type(c->builtin)->element, .base = "/", .sink = &sink, .owner = c }, &d);
        for (size_t i = 0; i < n; i++)
                value_done(&args[i]);
        if (r < 0) {
                char *text;
                CHECK_INT(d.error, r);
                if (asprintf(&text, "error: %s", d.message ?: "?") < 0)
                        abort();
                call_say(c, text);
                c->source = source_close(c->source);
        }
        return r;
}

__attribute__((__sentinel__)) static inline int call_change(Call *c, ...) {
        _cleanup_(diag_done) Diag d = {};
        Value args[ARGS_MAX] = {};
        va_list ap;

        va_start(ap, c);
        size_t n = call_args(c->builtin, ap, args);
        va_end(ap);
        int r = source_change(c->source, args, n, &d);
        for (size_t i = 0; i < n; i++)
                value_done(&args[i]);
        return r;
}

static inline void call_close(Call *c) {
        c->source = source_close(c->source);
        c->taker = sd_event_source_disable_unref(c->taker);
        for (size_t i = 0; i < c->n_history; i++)
                value_done(&c->history[i]);
        free(c->text);
        *c = (Call) {};
}

/* ---- waiting ---- */

static inline int64_t now_msec(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline void stage_run(Stage *stage, int64_t msec) {
        int64_t end = now_msec() + msec;

        do
                (void) sd_event_run(stage->event, TURN_USEC);
        while (now_msec() < end);
}

/* Runs the loop until it has said so much in all. */
static inline bool call_until(Call *c, unsigned n_said) {
        int64_t end = now_msec() + PATIENCE_MSEC;

        while (c->n_said < n_said && now_msec() < end)
                (void) sd_event_run(c->stage->event, TURN_USEC);
        return c->n_said >= n_said;
}

/* Runs the loop until it says this. */
static inline bool call_until_text(Call *c, const char *text) {
        int64_t end = now_msec() + PATIENCE_MSEC;

        while (!streq_ptr(c->text, text) && now_msec() < end)
                (void) sd_event_run(c->stage->event, TURN_USEC);
        return streq_ptr(c->text, text);
}

#define CHECK_SAYS(call, want) \
        do { \
                if (!call_until_text((call), (want))) \
                        TEST_FAIL("%s says\n#   %s\n# not\n#   %s", (call)->builtin->name, (call)->text ? (call)->text : "(nothing)", (want)); \
        } while (0)
