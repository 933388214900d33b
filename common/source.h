/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The contract between a function whose value comes from outside of the program (a clock, a file, a key of the cluster) and
 * whoever runs it. Such a function is a row SourceType; each call of it that is alive in a program is one Source.
 *
 * Two stand on the other side (SourceSink): the function graph of lang/, and common/ipc/source-server.c in the daemons that serve
 * functions to mgmt-lang. A function cannot tell them apart.
 *
 * The life of a source:
 *
 *      open → [change …] → close           and in between: source_set() or source_fail(), as often as there is news
 *
 * All of it happens in one loop. A source says nothing before open was called and nothing after close. */

#include <stdbool.h>
#include <stddef.h>

#include "common/diag.h"
#include "common/macro.h"
#include "common/value.h"

typedef struct sd_event sd_event;
typedef struct Source Source;
typedef struct SourceHost SourceHost;
typedef struct SourceSink SourceSink;
typedef struct SourceType SourceType;

/* The daemon, as far as its functions need it. */
struct SourceHost {
        sd_event *event;        /* its loop */
        void *manager;          /* what its functions share: a store, a connection */
        const char *hostname;   /* this host's name in the cluster */
        const char *state_dir;  /* where this daemon may keep state, without trailing slash; NULL: nowhere */
};

/* First member of every function's struct. Whoever opens it fills it; the function reads it. */
struct Source {
        const SourceType *type;
        SourceHost *host;
        const Value *args;      /* the arguments: valid while open() and change() run */
        size_t n_args;
        const char *function;   /* the name it was called by, which is type->name where there is one */
        const Type *result;     /* the type that the value must have */
        const char *base;       /* directory of the module that calls it in the files of the program, with trailing slash */
        const SourceSink *sink;
        void *owner;            /* the sink's own */
};

struct SourceType {
        const char *name;       /* as in the standard library: "os.readfile" */
        size_t size;            /* of the struct that begins with Source, zeroed before open() */

        /* "func(str, int)": the types of its arguments, which are checked where they come from another process. NULL: it is not
         * served to any. */
        const char *takes;

        /* Takes the arguments in and begins. The first value may be set at once, or later if it has to come from somewhere; the
         * program waits for it. Negative errno with reterr set: the call fails with that, and close() is called at once.
         * Must not block. */
        int (*open)(Source *s, Diag *reterr);

        /* The arguments are others than before. NULL: the source is closed and opened anew. */
        int (*change)(Source *s, Diag *reterr);

        /* Ends it and frees what it allocated; must accept what a failed open() left. NULL: nothing to do. */
        void (*close)(Source *s);

        /* Called after a wave that this source caused has run to its end, for those that have more values waiting and want none
         * of them skipped. Not for values that were said before change(). NULL: not of interest. */
        void (*taken)(Source *s);
};

struct SourceSink {
        void (*set)(Source *s, Value v);
        void (*fail)(Source *s, bool catchable, Diag *d);
};

/* ---- for functions ---- */

/* A copy of argument i, a text that names something: it is not empty. what is how the error calls it. */
int source_name(const Source *s, size_t i, const char *what, char **ret, Diag *reterr);

/* There is a new value: takes the reference. Equal ones are cut off by the function graph. */
void source_set(Source *s, Value v);

/* There is none, for this reason (the content of d is taken; its place is the call's). The source stays open, and may have
 * a value again. Catchable ones can be replaced by <|>. */
void source_fail(Source *s, bool catchable, Diag *d);

/* The same in one line, with a message as for printf. %m is the text of error. */
void source_failf(Source *s, bool catchable, int error, const char *format, ...) _printf_(4, 5);

/* What value_str() and its like returned, then the value: fails the source if that was not 0. */
void source_result(Source *s, int error, Value v);

/* ---- for sinks ---- */

/* Makes one like the given one, of which everything that is borrowed but the arguments must outlive it. The sink may be called
 * before this returns. *ret is there to be closed also if open() failed; NULL if out of memory. */
int source_open(Source **ret, const SourceType *type, const Source *like, Diag *reterr);
int source_change(Source *s, const Value *args, size_t n_args, Diag *reterr);  /* for types that have change() */
Source *source_close(Source *s);

/* The function of that name in an array that ends with an empty row, or NULL. */
const SourceType *source_type_find(const SourceType *types, const char *name);
