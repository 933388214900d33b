/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Blocks of growing size, filled from front to back. A request too large for the current block gets one of its own, which is
 * linked behind it, so that the room left in the current block is not lost. */

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/arena.h"

enum { ALIGNMENT = 16, BLOCK_MIN = 4096, BLOCK_MAX = 256 * 1024 };

typedef struct Block Block;

struct Block {
        Block *next;
        size_t size, used;
        _Alignas(ALIGNMENT) char data[];
};

struct Arena {
        Block *current;
        size_t limit, used;
};

Arena *arena_new(size_t limit_bytes) {
        Arena *a = calloc(1, sizeof(Arena));

        if (a)
                a->limit = limit_bytes > 0 ? limit_bytes : SIZE_MAX;
        return a;
}

Arena *arena_free(Arena *a) {
        if (!a)
                return NULL;
        for (Block *b = a->current, *next; b; b = next) {
                next = b->next;
                free(b);
        }
        free(a);
        return NULL;
}

static Block *add_block(Arena *a, size_t need) {
        size_t size = a->current ? MIN(a->current->size * 2, (size_t) BLOCK_MAX) : (size_t) BLOCK_MIN;
        bool alone = need > size / 2;

        if (alone)
                size = need;
        Block *b = malloc(sizeof(Block) + size);
        if (!b)
                return NULL;
        b->size = size;
        b->used = 0;
        if (alone && a->current) {
                b->next = a->current->next;
                a->current->next = b;
        } else {
                b->next = a->current;
                a->current = b;
        }
        return b;
}

void *arena_alloc(Arena *a, size_t size) {
        if (size > SIZE_MAX / 2)
                return NULL;
        size = size > 0 ? (size + ALIGNMENT - 1) & ~(size_t) (ALIGNMENT - 1) : ALIGNMENT;
        if (size > a->limit - a->used)
                return NULL;

        Block *b = a->current;
        if (!b || b->size - b->used < size) {
                b = add_block(a, size);
                if (!b)
                        return NULL;
        }
        void *p = b->data + b->used;
        b->used += size;
        a->used += size;
        return memset(p, 0, size);
}

char *arena_strndup(Arena *a, const char *s, size_t n) {
        char *copy = arena_alloc(a, n + 1);

        return copy ? memcpy(copy, s, n) : NULL;
}

char *arena_strdup(Arena *a, const char *s) {
        return arena_strndup(a, s, strlen(s));
}

char *arena_printf(Arena *a, const char *format, ...) {
        va_list ap, again;

        va_start(ap, format);
        va_copy(again, ap);
        int n = vsnprintf(NULL, 0, format, ap);
        va_end(ap);

        char *s = n >= 0 ? arena_alloc(a, (size_t) n + 1) : NULL;
        if (s)
                (void) vsnprintf(s, (size_t) n + 1, format, again);
        va_end(again);
        return s;
}

size_t arena_used(const Arena *a) {
        return a->used;
}
