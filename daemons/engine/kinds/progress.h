/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Long work says now and then how far it is: first after a second, then every ten. */

#include <stdbool.h>
#include <time.h>

typedef struct Progress {
        unsigned n_steps;
        time_t said;            /* when there was a line; before that, when it began */
        bool has_said;
} Progress;

/* To be called with every step; whether something should be said now. */
bool progress_is_due(Progress *p);
