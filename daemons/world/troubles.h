/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What is wrong and does not go by itself, and has nobody else to tell it: each is logged once when it begins and once when it is over, and
 * there to be looked at meanwhile. */

#include <stddef.h>

typedef struct Troubles Troubles;

enum { TROUBLES_MAX = 50 };             /* what is more is logged, each time */

/* changed() is called from within those below. */
Troubles *troubles_new(void (*changed)(void *userdata), void *userdata);
Troubles *troubles_free(Troubles *t);

/* about: whose it is. Another text about the same is another trouble. t may be NULL: then it is logged. */
void troubles_set(Troubles *t, const char *about, const char *text);
void troubles_over(Troubles *t, const char *about);

/* Something else has changed that is looked at together with them. t may be NULL. */
void troubles_touch(Troubles *t);

/* The texts, in the order in which they began; NULL-terminated, owned by the caller, the texts borrowed. NULL: out of memory. */
const char **troubles_texts(const Troubles *t);
