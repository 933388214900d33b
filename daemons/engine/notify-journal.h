/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Notifications that were made and not yet acted upon, on disk, so that none is lost when the engine is killed. Three facts
 * are appended to one file: an attempt of this vertex, which may have to notify, begins; it ended; this notification is
 * pending or consumed. An attempt found begun and not ended counts as one that did something: better one notification too many
 * than one too few. */

#include <stdbool.h>

#include "common/macro.h"

typedef struct NotifyJournal NotifyJournal;

/* A vertex is named by kind and name. A broken tail (the machine lost power) is dropped. */
int notify_journal_open(NotifyJournal **ret, const char *path);
NotifyJournal *notify_journal_free(NotifyJournal *j);
DEFINE_CLEANUP(NotifyJournal *, notify_journal_free)

typedef struct JournalVertex {
        const char *kind, *name;
} JournalVertex;

int notify_journal_begin(NotifyJournal *j, JournalVertex source);
int notify_journal_end(NotifyJournal *j, JournalVertex source);
int notify_journal_pend(NotifyJournal *j, JournalVertex source, JournalVertex target);
int notify_journal_consume(NotifyJournal *j, JournalVertex source, JournalVertex target);

/* Whether it was pending, or its source was in the middle of an attempt, when an earlier engine ended. */
bool notify_journal_is_pending(const NotifyJournal *j, JournalVertex source, JournalVertex target);

/* Whether an earlier engine ended in the middle of an attempt of it, and none of ours has ended since. */
bool notify_journal_is_open(const NotifyJournal *j, JournalVertex source);

/* Neither of any. */
bool notify_journal_is_empty(const NotifyJournal *j);

/* Forgets everything for which keep() is false; called when a whole graph was taken over. target is empty for an attempt. */
int notify_journal_prune(NotifyJournal *j, bool (*keep)(JournalVertex source, JournalVertex target, void *userdata), void *userdata);
