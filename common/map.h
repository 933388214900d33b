/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A hash table from byte strings to pointers, safe against chosen keys (SipHash-like keyed hash). Keys are copied. Iteration
 * order is unspecified; do not let it leak into output. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

typedef struct Map Map;

Map *map_new(void);
Map *map_free(Map *m);          /* does not touch the values */
Map *map_free_with(Map *m, void (*free_value)(void *value));
DEFINE_CLEANUP(Map *, map_free)

size_t map_size(const Map *m);                                  /* 0 for NULL */
void *map_get(const Map *m, const char *key);                   /* NULL if absent; m may be NULL */
void *map_get_n(const Map *m, const void *key, size_t size);

/* Many at once: the parts of memory that they stand in are asked for together, where map_get() would wait for each. */
typedef struct MapQuery {
        const Map *map;         /* may be NULL */
        const char *key;
        void *value;            /* is set; NULL if absent */
        size_t size;            /* what follows is the map's */
        uint64_t hash;
} MapQuery;

void map_get_many(MapQuery *queries, size_t n);

int map_put(Map *m, const char *key, void *value);              /* 1 new, 0 replaced, -ENOMEM */
int map_put_n(Map *m, const void *key, size_t size, void *value);
/* Where the value of the key stands, until the map is changed. Made if it is not there, with NULL in it; NULL: out of memory. */
void **map_place_n(Map *m, const void *key, size_t size);
void *map_remove(Map *m, const char *key);                      /* the value, or NULL */
void *map_remove_n(Map *m, const void *key, size_t size);

/* size_t i = 0; while (map_next(m, &i, &key, &value)) …; the current entry may be removed meanwhile, nothing else changed. */
bool map_next(const Map *m, size_t *iterator, const char **ret_key, void **ret_value);
