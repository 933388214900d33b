/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What http:server:ui knows of the http:server:ui:input that are grouped into it, and they of it. */

#include "common/resource.h"
#include "daemons/http/mhd.h"
#include "daemons/http/ui-memory.h"
#include "daemons/http/ui-page.h"
#include "daemons/http/world-key.h"

typedef struct UiInput {
        Resource resource;
        char *path, *id, *value, *store, *type, *sort, *label, *unit, *help;
        char **options;

        UiField field;                  /* as it is shown; the texts are those above, or of memory */
        UiMemory memory;
        char *file;                     /* where memory is kept; NULL: nowhere */
        uint64_t question;              /* to the engine, after the value was applied; see engine-follow.h */
        uint64_t changed_usec;          /* CLOCK_MONOTONIC: when the value was changed last */
        char *error;

        WorldKey *key;                  /* with a store */
        bool armed;
        bool unread;                    /* what is in the store could not be read … */
        char *why_unread;
        char *writing;                  /* what an attempt waits for until it is in the store; NULL: none does */
        uint64_t told_seq;              /* of the value that watchers have heard of */
        HttpHolds watchers;             /* who wait for another value */
} UiInput;

/* Somebody has sent this. -EINVAL with reterr: it is not a value of the type; others: it could not be kept. */
int ui_input_set(UiInput *i, const char *data, size_t size, Diag *reterr);

void ui_input_stage(UiInput *i, UiStage stage, const char *error);      /* and tells */

/* By the ui (http:server:ui): this input of it is not as it was. */
void http_server_ui_changed(Resource *ui, UiInput *i);
