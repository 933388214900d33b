/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Moments in microseconds, as sd-event has them. CLOCK_BOOTTIME goes on while the machine sleeps, CLOCK_MONOTONIC does not; nobody sets
 * either. CLOCK_REALTIME is since 1970, and may be set. */

#include <stdint.h>
#include <time.h>

static inline uint64_t usec_now(clockid_t clock) {
        struct timespec t = {};

        (void) clock_gettime(clock, &t);
        return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}
