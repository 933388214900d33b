/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Metaparameters: what the engine does with a resource, whatever its kind. One row of the table in meta.c per parameter;
 * the compiler, the wire, comparison, D-Bus and the manual are fed from it. */

#include <stdbool.h>
#include <stdint.h>

#include "common/field.h"

typedef struct Meta {
        bool noop;              /* check only, never change anything */
        int16_t retry;          /* further attempts after a failure; negative: for ever */
        bool retryreset;        /* a success refills retry */
        uint64_t delay;         /* milliseconds before a retry */
        uint64_t timeout;       /* milliseconds one attempt may take; 0: no limit */
        int32_t poll;           /* seconds between checks in place of watching; 0: watch; negative: check once */
        double limit;           /* events per second */
        int64_t burst;          /* events that may come at once before limit counts */
        bool reset;             /* a changed resource starts with a full retry budget */
        char **sema;            /* semaphores "id" or "id:count"; NULL-terminated, NULL if none; owned */
        bool rewatch;           /* start a resource that had given up again at the next graph change */
        bool realize;           /* converge once before a graph change removes it */
        bool dollar;            /* the name may begin with a $ */
        bool hidden;            /* neither watched nor checked here (but ordered, and exported) */
        char **export;          /* hosts that may collect this resource, "*" for all; as sema */
        bool reverse;           /* undo when it disappears from the graph */
        bool autoedge;
        bool autogroup;
} Meta;

/* In the order of the language's Meta struct. Ends with an empty row. Offsets are into Meta. */
extern const FieldSpec meta_fields[];

void meta_init(Meta *m);        /* the defaults */
void meta_done(Meta *m);
int meta_copy(Meta *to, const Meta *from);      /* to is emptied first */
int meta_validate(const Meta *m, Diag *reterr);
bool meta_equal(const Meta *a, const Meta *b, const char **ret_field);  /* names the first that differs */
