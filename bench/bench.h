/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What benchmarks share: a clock, medians, and one line per result. A result stands beside a floor that was measured in the
 * same run on the same machine; only the ratio says something. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline uint64_t now_nsec(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000000000 + (uint64_t) t.tv_nsec;
}

/* For what only computes: time in which others had the processor does not count. */
static inline uint64_t cpu_nsec(void) {
        struct timespec t;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        return (uint64_t) t.tv_sec * 1000000000 + (uint64_t) t.tv_nsec;
}

static int compare_u64(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

        return (x > y) - (x < y);
}

static inline uint64_t median(uint64_t *samples, size_t n) {
        qsort(samples, n, sizeof(*samples), compare_u64);
        return samples[n / 2];
}

static inline void report(const char *what, uint64_t nsec, uint64_t floor_nsec) {
        if (floor_nsec > 0)
                printf("%-56s %12.3f ms   floor %10.3f ms   ratio %6.2f\n", what, (double) nsec / 1e6, (double) floor_nsec / 1e6,
                       (double) nsec / (double) floor_nsec);
        else
                printf("%-56s %12.3f ms\n", what, (double) nsec / 1e6);
}

/* For work that is done n times: what one costs. */
static inline void report_each(const char *what, uint64_t nsec, uint64_t floor_nsec, uint64_t n) {
        printf("%-56s %12.1f ns   floor %10.1f ns   ratio %6.2f\n", what, (double) nsec / (double) n, (double) floor_nsec / (double) n,
               (double) nsec / (double) (floor_nsec > 0 ? floor_nsec : 1));
}
