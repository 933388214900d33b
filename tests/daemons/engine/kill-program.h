/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What test-kill.c declares to the engine: up to eight resources, a to h, and what goes from one to another. Every graph that was
 * sent is kept under its generation. */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
        STEPS = 30,
        LETTERS = 8,
        GENERATIONS = 1000,
};

static uint64_t random_state;

static unsigned pick(unsigned n) {
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        return (unsigned) (random_state >> 33) % n;
}

typedef struct Declared {
        bool here, semaphore, reverse, realize;
        unsigned wait, value;   /* milliseconds; what it sends */
} Declared;

typedef enum Link {
        LINK_NONE,
        LINK_ORDER,
        LINK_NOTIFY,
        LINK_TRANSFER,
} Link;

typedef struct Program {
        Declared letters[LETTERS];
        Link links[LETTERS][LETTERS];   /* only from a lower to a higher letter: no cycles */
} Program;

static Program graphs[GENERATIONS];     /* by generation; 0: nothing */

static bool same_declared(const Declared *a, const Declared *b) {
        return a->here == b->here && a->semaphore == b->semaphore && a->reverse == b->reverse && a->realize == b->realize &&
               a->wait == b->wait && a->value == b->value;
}

static void change_randomly(Program *g, bool anew) {
        for (unsigned x = 0; x < LETTERS; x++)
                if (anew || pick(5) == 0)
                        g->letters[x] = (Declared) {
                                .here = pick(5) > 0, .semaphore = pick(4) == 0, .reverse = pick(3) == 0, .realize = pick(3) == 0,
                                .wait = pick(3) == 0 ? 1 + pick(4) : 0, .value = pick(10),
                        };
        for (unsigned x = 0; x < LETTERS; x++)
                for (unsigned y = x + 1; y < LETTERS; y++) {
                        if (anew || pick(12) == 0)
                                g->links[x][y] = pick(3) > 0 ? LINK_NONE : LINK_ORDER + pick(3);
                        if (!g->letters[x].here || !g->letters[y].here)
                                g->links[x][y] = LINK_NONE;
                        /* A field is received from one place. */
                        for (unsigned z = 0; z < x; z++)
                                if (g->links[x][y] == LINK_TRANSFER && g->links[z][y] == LINK_TRANSFER)
                                        g->links[x][y] = LINK_ORDER;
                }
}
