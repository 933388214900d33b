/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What functions of the world and those who run them have in common. */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/source.h"

/* ---- for functions ---- */

int source_name(const Source *s, size_t i, const char *what, char **ret, Diag *reterr) {
        const ValueStr *text = s->args[i].s;

        if (text->size == 0)
                return diag_set(reterr, (Pos) {}, -EINVAL, "can't use an empty %s", what);
        if (memchr(text->data, 0, text->size))
                return diag_set(reterr, (Pos) {}, -EINVAL, "can't use a %s with a NUL byte", what);
        *ret = strdup(text->data);
        return *ret ? 0 : diag_set(reterr, (Pos) {}, -ENOMEM, "out of memory");
}

void source_set(Source *s, Value v) {
        s->sink->set(s, v);
}

void source_fail(Source *s, bool catchable, Diag *d) {
        s->sink->fail(s, catchable, d);
        diag_done(d);
}

void source_failf(Source *s, bool catchable, int error, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        Diag d = {};
        va_list ap;

        errno = -error;         /* for %m */
        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        diag_set(&d, (Pos) {}, error, "%s", text ?: "out of memory");
        source_fail(s, catchable, &d);
}

void source_result(Source *s, int error, Value v) {
        if (error < 0)
                source_failf(s, false, error, "%m");
        else
                source_set(s, v);
}

/* ---- for sinks ---- */

int source_open(Source **ret, const SourceType *type, const Source *like, Diag *reterr) {
        Source *s = calloc(1, type->size);
        if (!s)
                return -ENOMEM;
        *s = *like;
        s->type = type;
        *ret = s;

        int r = type->open(s, reterr);
        s->args = NULL;
        s->n_args = 0;
        return r < 0 ? r : 0;
}

int source_change(Source *s, const Value *args, size_t n_args, Diag *reterr) {
        s->args = args;
        s->n_args = n_args;
        int r = s->type->change(s, reterr);
        s->args = NULL;
        s->n_args = 0;
        return r < 0 ? r : 0;
}

Source *source_close(Source *s) {
        if (!s)
                return NULL;
        if (s->type->close)
                s->type->close(s);
        free(s);
        return NULL;
}

const SourceType *source_type_find(const SourceType *types, const char *name) {
        for (; types->name; types++)
                if (streq(types->name, name))
                        return types;
        return NULL;
}
