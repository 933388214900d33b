/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What attempts find wrong. It is collected at the members of a group while an attempt is under way; when that has changed something,
 * the names of the fields are kept as the last change; under noop all of it stays, as what would be changed.
 *
 * Under noop a vertex is looked at although nothing was done at those before it, so it may not know what it will find: a value that is
 * yet to be sent, a program that is yet to be installed. What fails behind a vertex that would be changed is therefore not a failure
 * but unknown; and who would be notified is looked at as if it had been. */

#include <stdbool.h>

#include "common/difference.h"
#include "daemons/engine/vertex.h"

/* An attempt begins: nothing is known. */
void drift_begin(Vertex *root);

/* One more that is wrong, while an attempt is under way. Takes the content of d. */
void drift_add(Vertex *member, Difference *d);

/* Whether the vertex cannot know what it will receive; then this was added. */
bool drift_hides_value(Vertex *v, const Receive *in);

/* Whether noop vertices before it would have notified some member of the group; then it may add that. */
bool drift_would_notify(const Vertex *root);
void drift_add_notification(Vertex *root);

/* Would undo something. */
void drift_add_reversal(Vertex *root);

/* Whether a failed attempt only means that something cannot be known yet; then this was added. */
bool drift_excuses(Vertex *root, int error, const Diag *diag);

/* An attempt went well. It has changed something: keeps in which fields. */
void drift_applied(Vertex *root);
/* It has looked, and this is what would be changed. If that is news, those behind it look again. */
void drift_noticed(Vertex *root, bool drifted);

/* All that was found, of all members, for people; NULL if nothing was said, or out of memory. */
char *drift_text(const Vertex *root, bool with_diffs);
