/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See testsource.h. */

#include <stdio.h>

#include "common/field.h"
#include "tests/daemons/testsource.h"

static void say(TestCall *c, char *text) {
        free(c->text);
        c->text = text ?: (abort(), NULL);
        c->n_said++;
}

static void say_error(TestCall *c, const char *what, const char *message) {
        char *text;

        if (asprintf(&text, "%s: %s", what, message) < 0)
                abort();
        say(c, text);
}

static void call_set(Source *s, Value v) {
        _cleanup_(diag_done) Diag d = {};

        if (value_check_type(v, s->result, &d) < 0)
                say_error(s->owner, "wrong", d.message);
        else
                say(s->owner, value_text(v));
        value_done(&v);
}

static void call_fail(Source *s, bool catchable, Diag *d) {
        if (d->error >= 0)
                abort();
        say_error(s->owner, catchable ? "catchable" : "error", d->message);
}

void test_call_open(TestCall *c, const SourceType *const *tables, SourceHost *host, const char *function, const char *args,
                    const char *result) {
        static const SourceSink sink = { .set = call_set, .fail = call_fail };
        _cleanup_(diag_done) Diag d = {};
        _cleanup_(value_done) Value v = VALUE_NIL;
        const SourceType *type = NULL;
        const Type *t = field_type_from_text(result);

        for (; *tables && !type; tables++)
                type = source_type_find(*tables, function);
        *c = (TestCall) {};
        if (!type || !t || value_parse(args, NULL, &v, &d) < 0)
                abort();
        if (source_open(&c->source, type, &(Source) { .host = host, .args = v.l->items, .n_args = v.l->n, .function = function,
                                                      .result = t, .base = "/", .sink = &sink, .owner = c }, &d) < 0) {
                c->source = source_close(c->source);
                say_error(c, "error", d.message ?: "?");
        }
}

void test_call_close(TestCall *c) {
        source_close(c->source);
        free(c->text);
        *c = (TestCall) {};
}
