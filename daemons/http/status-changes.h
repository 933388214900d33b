/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What has changed since somebody began to look, by the signals of the engine; kept over changes of the program. Which fields it was is
 * asked for, so a change may be told a little after its signal. Those of a group are told of the group only. */

#include <stdint.h>

#include "common/macro.h"
#include "common/strbuf.h"

typedef struct HttpManager HttpManager;
typedef struct StatusChanges StatusChanges;

enum {
        STATUS_CHANGES_MAX = 200,       /* that are kept, the newest */
        STATUS_ASKED_MAX = 64,          /* of which we ask at a time what they were; of others we do not know */
        STATUS_KNOWN_MAX = 100000,      /* resources whose last change we know; those of others are not told */
};

/* Of a resource, as a signal says it. */
typedef struct StatusState {
        const char *state, *error;
        uint64_t checked_usec, applied_usec;
} StatusState;

/* tell() gets {"time":…,"kind":…,"name":…,"what":"changed", "failed" or "recovered","text":…}. */
int status_changes_new(StatusChanges **ret, HttpManager *m, void (*tell)(const char *json, void *userdata), void *userdata);
StatusChanges *status_changes_free(StatusChanges *c);
DEFINE_CLEANUP(StatusChanges *, status_changes_free)

/* How many states of resources were told to pages; whoever tells one counts it. It goes on over changes of the program, as pages do. */
uint64_t *status_changes_told(StatusChanges *c);

/* The engine is not asked any more, until there is something to note again. */
void status_changes_stop(StatusChanges *c);

void status_changes_note(StatusChanges *c, const char *kind, const char *name, const StatusState *now);
void status_changes_put(const StatusChanges *c, StrBuf *b);     /* all that are kept, with commas between them, oldest first */
