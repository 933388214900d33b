/* SPDX-License-Identifier: GPL-3.0-or-later */

/* os.system: a command of the shell, of which each line is a value. A line that comes while the one before is on its way through
 * the program waits; when many do, the command has to wait as well. So none is skipped, however fast they come. */

#include <signal.h>
#include <stdio.h>

#include "common/sd/child.h"
#include "common/sd/log.h"
#include "daemons/lang/sources.h"

enum {
        LINE_SIZE_MAX = 16 * 1024 * 1024,
        WAITING_MAX = 1024,             /* lines */
        WAITING_SIZE_MAX = 1024 * 1024, /* bytes of them */
        LOGGED_MAX = 1024,              /* bytes of a line on standard error */
};

typedef struct System {
        Source source;
        char *command;
        Child *child;                   /* NULL once it has ended */
        StrBuf out, err;                /* lines that have not ended yet */
        Value *waiting;                 /* owned, oldest first */
        size_t first, n, capacity;      /* those before first are gone */
        size_t waiting_size;
        bool spoke;                     /* the last line is on its way */
        bool held;
        bool said;                      /* there was a line at all */
} System;

/* ---- lines ---- */

static void fail(System *y, int error, const char *text) {
        y->child = child_free(y->child);
        source_failf(&y->source, false, error, "command `%s`: %s", y->command, text);
}

static void say(System *y, Value v) {
        y->spoke = y->said = true;
        source_set(&y->source, v);
}

static void hold(System *y) {
        bool full = y->n - y->first >= WAITING_MAX || y->waiting_size >= WAITING_SIZE_MAX;

        if (full == y->held || !y->child)
                return;
        y->held = full;
        child_hold_output(y->child, CHILD_STDOUT, full);
}

static int queue(System *y, Value v) {
        if (y->n == y->capacity && y->first > 0) {
                y->n -= y->first;
                memmove(y->waiting, y->waiting + y->first, y->n * sizeof(Value));
                y->first = 0;
        }
        if (GROW(y->waiting, y->n, y->capacity) < 0) {
                value_done(&v);
                return -ENOMEM;
        }
        y->waiting[y->n++] = v;
        y->waiting_size += v.s->size;
        return 0;
}

static int take_line(System *y, const char *data, size_t size) {
        Value v = VALUE_NIL;

        if (size > 0 && data[size - 1] == '\r')
                size--;
        int r = value_str(&v, data, size);
        if (r < 0)
                return r;
        if (y->spoke)
                return queue(y, v);
        say(y, v);
        return 0;
}

static int log_line(System *y, const char *data, size_t size) {
        log_info("command `%s`: %.*s", y->command, (int) size, data);
        return 0;
}

/* Hands on the lines that are complete, and keeps the rest. -E2BIG: one is longer than max, and the rest of that is gone. */
static int split(System *y, StrBuf *rest, size_t max, const char *data, size_t size,
                 int (*line)(System *y, const char *data, size_t size)) {
        int result = 0;

        while (size > 0) {
                const char *end = memchr(data, '\n', size);
                size_t n = end ? (size_t) (end - data) : size, room = max - rest->size;

                strbuf_add(rest, data, MIN(n, room));
                if (rest->failed)
                        return -ENOMEM;
                if (n > room)
                        result = -E2BIG;
                if (!end)
                        break;
                int r = line(y, rest->data ?: "", rest->size);
                if (r < 0)
                        return r;
                strbuf_done(rest);
                data = end + 1;
                size -= n + 1;
        }
        return result;
}

static void system_output(Child *c, ChildStream stream, const char *data, size_t size, void *userdata) {
        System *y = userdata;

        if (stream == CHILD_STDERR) {
                (void) split(y, &y->err, LOGGED_MAX, data, size, log_line);
                return;
        }
        int r = split(y, &y->out, LINE_SIZE_MAX, data, size, take_line);
        if (r < 0)
                fail(y, r, r == -E2BIG ? "a line is longer than 16 MiB" : "out of memory");
        else
                hold(y);
}

/* ---- the command ---- */

static void describe_end(const ChildResult *result, char *ret, size_t size) {
        if (result->signal != 0)
                (void) snprintf(ret, size, "killed by SIG%s", sigabbrev_np(result->signal) ?: "?");
        else
                (void) snprintf(ret, size, "exit status %d", result->status);
}

static void system_ended(Child *c, ChildResult *result, void *userdata) {
        System *y = userdata;
        bool failed = result->signal != 0 || result->status != 0;
        char end[64];
        int r = 0;

        describe_end(result, end, sizeof(end));
        y->child = child_free(c);
        if (failed)
                (void) log_warning(0, "command `%s`: %s", y->command, end);
        else
                log_debug("command `%s`: %s", y->command, end);
        if (y->err.size > 0)
                (void) log_line(y, y->err.data, y->err.size);
        if (y->out.size > 0)
                r = take_line(y, y->out.data, y->out.size);
        strbuf_done(&y->out);
        strbuf_done(&y->err);
        if (r < 0)
                fail(y, r, "out of memory");
        else if (!y->said) {
                _cleanup_free_ char *text = NULL;
                if (asprintf(&text, "printed nothing, %s", end) < 0)
                        text = NULL;
                fail(y, -ENODATA, text ?: "printed nothing");
        }
}

static int system_open(Source *s, Diag *reterr) {
        System *y = (System *) s;

        if (strlen(value_cstr(s->args[0])) != s->args[0].s->size)
                return diag_set(reterr, (Pos) {}, -EINVAL, "command `%s` has a NUL byte in it", value_cstr(s->args[0]));
        y->command = strdup(value_cstr(s->args[0]));
        if (!y->command)
                return -ENOMEM;
        const ChildSpec spec = {
                .argv = (char *[]) { (char *) "sh", (char *) "-c", y->command, NULL },
                .env = environ,
                .uid = (uid_t) -1,
                .gid = (gid_t) -1,
                .whole_group = true,
                .output = system_output,
        };
        return child_start(&y->child, s->host->event, &spec, system_ended, y, reterr);
}

static void system_taken(Source *s) {
        System *y = (System *) s;

        y->spoke = false;
        if (y->first == y->n)
                return;
        Value v = y->waiting[y->first++];
        y->waiting_size -= v.s->size;
        if (y->first == y->n)
                y->first = y->n = 0;
        hold(y);
        say(y, v);
}

static void system_close(Source *s) {
        System *y = (System *) s;

        child_free(y->child);
        for (size_t i = y->first; i < y->n; i++)
                value_done(&y->waiting[i]);
        free(y->waiting);
        strbuf_done(&y->out);
        strbuf_done(&y->err);
        free(y->command);
}

const SourceType system_sources[] = {
        { .name = "os.system", .size = sizeof(System), .open = system_open, .close = system_close, .taken = system_taken },
        {}
};
