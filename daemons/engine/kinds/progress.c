/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "daemons/engine/kinds/progress.h"

enum {
        STEPS = 64,             /* between two looks at the clock */
        FIRST_SEC = 1,
        NEXT_SEC = 10,
};

bool progress_is_due(Progress *p) {
        struct timespec t;

        if (p->n_steps++ % STEPS != 0)
                return false;
        (void) clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
        if (p->said == 0)
                p->said = t.tv_sec;
        if (t.tv_sec - p->said < (p->has_said ? NEXT_SEC : FIRST_SEC))
                return false;
        p->said = t.tv_sec;
        p->has_said = true;
        return true;
}
