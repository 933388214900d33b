/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Many small things that die together (a syntax tree, its types): allocated in big blocks, freed at once. */

#include <stddef.h>

#include "common/macro.h"

typedef struct Arena Arena;

Arena *arena_new(size_t limit_bytes);           /* 0: no limit. NULL if out of memory */
Arena *arena_free(Arena *a);
DEFINE_CLEANUP(Arena *, arena_free)

void *arena_alloc(Arena *a, size_t size) _malloc_;      /* aligned to 16, zeroed; NULL if out of memory or limit */
char *arena_strndup(Arena *a, const char *s, size_t n);
char *arena_strdup(Arena *a, const char *s);
char *arena_printf(Arena *a, const char *format, ...) _printf_(2, 3);
size_t arena_used(const Arena *a);              /* bytes handed out */

#define arena_new0(a, type) ((type *) arena_alloc((a), sizeof(type)))
#define arena_array(a, type, n) ((type *) arena_alloc((a), sizeof(type) * (n)))
