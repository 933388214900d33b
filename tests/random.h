/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Random numbers for tests: the same on every machine for the same seed. */

#include <stdbool.h>
#include <stdint.h>

typedef struct Random {
        uint64_t state;         /* never 0 */
} Random;

static inline Random random_from(uint64_t seed) {
        return (Random) { (seed * 2 + 1) * UINT64_C(0x9e3779b97f4a7c15) };
}

/* From 0 up to n - 1: xorshift. */
static inline unsigned random_pick(Random *r, unsigned n) {
        r->state ^= r->state << 13;
        r->state ^= r->state >> 7;
        r->state ^= r->state << 17;
        return (unsigned) (r->state >> 33) % n;
}

/* True that many times of a hundred. */
static inline bool random_percent(Random *r, unsigned percent) {
        return random_pick(r, 100) < percent;
}
