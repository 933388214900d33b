/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A program that runs, for benchmarks: two kinds, and sources that say what the benchmark says.
 *
 * Kinds: count (value int, text str) and file (path, content, mode str). Sources: local.pool("n", "7") is the number that
 * running_say() gives number 7, at first 0; world.schedule("l") is a list of texts, at first empty. */

#include "lang/funcgraph.h"

typedef struct Running {
        Lang *lang;
        Source **numbers;       /* by number; NULL where the program does not ask */
        size_t n_numbers;
        Source *list;
        Value list_value;       /* what it says when it is asked */
} Running;

/* Compiles and starts it; ends the benchmark with the error if that fails. list is taken; nil for an empty one. */
void running_start(Running *r, const char *text, Value list);
void running_done(Running *r);

void running_say(Running *r, size_t number, int64_t value);
void running_say_list(Running *r, Value list);          /* takes it */

/* The change set, counted: puts. Ends the benchmark on failure. */
size_t running_step(Running *r);
