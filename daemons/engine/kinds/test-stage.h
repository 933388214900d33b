/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* For tests of the whole engine: what is outside of a test resource, and what it was asked, as files in a directory that the test
 * can see. NAME.wrong: it is not as it should be, and a repair removes the file. NAME.fails: it cannot be checked. log: a line for
 * the beginning and the end of each attempt, in the order in which they happened; what is in it was done before the engine went
 * on, however it may have ended since. */

#include "common/resource.h"

/* The caller's; NULL if out of memory. */
char *stage_path(const Resource *r, const char *stage, const char *suffix);

bool stage_is_wrong(const Resource *r, const char *stage);

/* A CheckResult, or negative errno. undo: to be wrong is what is wanted. */
int stage_act(const Resource *r, const char *stage, bool undo, bool apply, Diag *reterr);

/* "EVENT NAME TEXT" */
void stage_log(const Resource *r, const char *stage, const char *event, const char *text);
