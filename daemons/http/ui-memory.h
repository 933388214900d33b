/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What an input remembers over changes of the program, restarts and kill -9: the last value that was accepted, and how far it got.
 *
 * The program may declare a value as well. A new declaration counts, unless it is an echo: a value that came from a browser a moment
 * ago, went through the program, and comes back while somebody has moved on already. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UI_RECENT_MAX = 32 };

#define UI_ECHO_USEC UINT64_C(5000000)  /* how long a value may be on its way through a program */

typedef struct UiMemory {
        char *declared;         /* by the program, last; NULL: nothing yet */
        char *value;            /* NULL: there is none yet */
        char *applied;          /* the last one that got through; NULL: none did */
        struct {
                char *value;
                uint64_t usec;  /* CLOCK_REALTIME; compared only to find out what is old */
        } recent[UI_RECENT_MAX];        /* accepted since the last declaration that counted, oldest first */
        size_t n_recent;
} UiMemory;

void ui_memory_done(UiMemory *m);

/* path: of a file. What cannot be read, or is none of ours, is empty: 0. */
int ui_memory_load(UiMemory *ret, const char *path);
int ui_memory_save(const UiMemory *m, const char *path);

/* All -ENOMEM at worst, with nothing changed. */
int ui_memory_accept(UiMemory *m, const char *value, uint64_t now_usec);        /* somebody has chosen it */
int ui_memory_declare(UiMemory *m, const char *value, uint64_t now_usec);
int ui_memory_apply(UiMemory *m, const char *value);    /* it got through; NULL: that there is none */
bool ui_memory_is_applied(const UiMemory *m);
bool ui_memory_is_recent(const UiMemory *m, uint64_t now_usec);         /* somebody has chosen it a moment ago */
