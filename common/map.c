/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A dense array of entries in order of insertion, and an open-addressed index of positions in it. Walking is walking the array.
 * Removal leaves a hole in the array, which the next rebuild closes, and none in the index (the entries behind move up). */

#include <stdio.h>
#include <sys/auxv.h>
#include <sys/random.h>

#include "common/hash.h"
#include "common/map.h"

#define SLOT_EMPTY UINT32_MAX

typedef struct Entry {
        uint64_t hash;
        char *key;              /* NULL: removed */
        size_t size;
        void *value;
} Entry;

struct Map {
        Entry *entries;
        uint32_t *slots;
        uint32_t n_entries;     /* with holes */
        uint32_t n_live;
        uint32_t capacity;      /* of entries; there are twice as many slots */
};

/* ---- the hash ---- */

static uint64_t hash_key[2];

static void make_hash_key(void) {
        static bool made;

        if (made)
                return;
        if (getrandom(hash_key, sizeof(hash_key), GRND_NONBLOCK) != sizeof(hash_key)) {
                /* Early in boot the kernel may have no entropy yet: it gave every process 16 bytes all the same. */
                const void *bytes = (const void *) getauxval(AT_RANDOM);
                if (bytes)
                        memcpy(hash_key, bytes, sizeof(hash_key));
        }
        made = true;
}

static inline uint64_t rotate(uint64_t x, unsigned n) {
        return x << n | x >> (64 - n);
}

static inline void sip_round(uint64_t v[static 4]) {
        v[0] += v[1];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[0] = rotate(v[0], 32);
        v[2] += v[3];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[2] = rotate(v[2], 32);
}

/* SipHash-1-3: https://131002.net/siphash/ */
uint64_t hash_bytes_keyed(const uint64_t key[static 2], const void *data, size_t size) {
        const uint8_t *p = data;
        uint64_t v[4] = { key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
                          key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573 };
        uint64_t word;
        size_t left = size;

        for (; left >= 8; p += 8, left -= 8) {
                memcpy(&word, p, 8);
                v[3] ^= word;
                sip_round(v);
                v[0] ^= word;
        }
        word = 0;
        if (left > 0)
                memcpy(&word, p, left);
        word |= (uint64_t) size << 56;
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
        v[2] ^= 0xff;
        sip_round(v);
        sip_round(v);
        sip_round(v);
        return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t hash_bytes(const void *data, size_t size) {
        make_hash_key();
        return hash_bytes_keyed(hash_key, data, size);
}

/* ---- the index ---- */

static inline uint32_t slot_mask(const Map *m) {
        return m->capacity * 2 - 1;
}

/* The slot of the key, or the empty one where it would go. */
static uint32_t find_slot(const Map *m, const void *key, size_t size, uint64_t hash) {
        uint32_t i = (uint32_t) hash & slot_mask(m);

        for (;; i = (i + 1) & slot_mask(m)) {
                if (m->slots[i] == SLOT_EMPTY)
                        return i;
                const Entry *e = &m->entries[m->slots[i]];
                if (e->hash == hash && e->size == size && memcmp(e->key, key, size) == 0)
                        return i;
        }
}

static int rebuild(Map *m) {
        uint32_t capacity = 8;

        if (m->n_live >= UINT32_MAX / 8)
                return -ENOMEM;
        while (capacity < m->n_live + m->n_live / 2 + 1)
                capacity *= 2;

        Entry *entries = malloc(capacity * sizeof(Entry));
        uint32_t *slots = malloc(capacity * 2 * sizeof(uint32_t));
        if (!entries || !slots) {
                free(entries);
                free(slots);
                return -ENOMEM;
        }
        memset(slots, 0xff, capacity * 2 * sizeof(uint32_t));

        uint32_t n = 0, mask = capacity * 2 - 1;
        for (uint32_t i = 0; i < m->n_entries; i++) {
                if (!m->entries[i].key)
                        continue;
                uint32_t slot = (uint32_t) m->entries[i].hash & mask;
                while (slots[slot] != SLOT_EMPTY)
                        slot = (slot + 1) & mask;
                slots[slot] = n;
                entries[n++] = m->entries[i];
        }
        free(m->entries);
        free(m->slots);
        m->entries = entries;
        m->slots = slots;
        m->n_entries = n;
        m->capacity = capacity;
        return 0;
}

/* Closes the gap: whatever follows and would be found no more moves up. */
static void empty_slot(Map *m, uint32_t gap) {
        uint32_t mask = slot_mask(m);

        for (uint32_t i = (gap + 1) & mask; m->slots[i] != SLOT_EMPTY; i = (i + 1) & mask) {
                uint32_t home = (uint32_t) m->entries[m->slots[i]].hash & mask;
                if (((i - home) & mask) >= ((i - gap) & mask)) {
                        m->slots[gap] = m->slots[i];
                        gap = i;
                }
        }
        m->slots[gap] = SLOT_EMPTY;
}

/* ---- the map ---- */

Map *map_new(void) {
        return calloc(1, sizeof(Map));
}

Map *map_free(Map *m) {
        return map_free_with(m, NULL);
}

Map *map_free_with(Map *m, void (*free_value)(void *value)) {
        if (!m)
                return NULL;
        for (uint32_t i = 0; i < m->n_entries; i++) {
                if (m->entries[i].key && free_value)
                        free_value(m->entries[i].value);
                free(m->entries[i].key);
        }
        free(m->entries);
        free(m->slots);
        free(m);
        return NULL;
}

size_t map_size(const Map *m) {
        return m ? m->n_live : 0;
}

void *map_get(const Map *m, const char *key) {
        return map_get_n(m, key, strlen(key));
}

void *map_get_n(const Map *m, const void *key, size_t size) {
        if (!m || m->n_live == 0)
                return NULL;
        uint32_t slot = m->slots[find_slot(m, key, size, hash_bytes(key, size))];
        return slot == SLOT_EMPTY ? NULL : m->entries[slot].value;
}

/* One step for all of them, then the next: a step needs what the one before has asked for. */
void map_get_many(MapQuery *queries, size_t n) {
        for (MapQuery *q = queries; q < queries + n; q++) {
                if (map_size(q->map) == 0)
                        continue;
                q->size = strlen(q->key);
                q->hash = hash_bytes(q->key, q->size);
                __builtin_prefetch(&q->map->slots[(uint32_t) q->hash & slot_mask(q->map)]);
        }
        for (MapQuery *q = queries; q < queries + n; q++) {
                uint32_t first = map_size(q->map) == 0 ? SLOT_EMPTY : q->map->slots[(uint32_t) q->hash & slot_mask(q->map)];
                if (first != SLOT_EMPTY)
                        __builtin_prefetch(&q->map->entries[first]);
        }
        for (MapQuery *q = queries; q < queries + n; q++) {
                uint32_t first = map_size(q->map) == 0 ? SLOT_EMPTY : q->map->slots[(uint32_t) q->hash & slot_mask(q->map)];
                if (first != SLOT_EMPTY)
                        __builtin_prefetch(q->map->entries[first].key);
        }
        for (MapQuery *q = queries; q < queries + n; q++) {
                uint32_t slot = map_size(q->map) == 0 ? SLOT_EMPTY : q->map->slots[find_slot(q->map, q->key, q->size, q->hash)];
                q->value = slot == SLOT_EMPTY ? NULL : q->map->entries[slot].value;
        }
}

int map_put(Map *m, const char *key, void *value) {
        return map_put_n(m, key, strlen(key), value);
}

/* The entry of the key, made if it is not there; *ret_made says so. NULL: out of memory. */
static Entry *find_or_add(Map *m, const void *key, size_t size, bool *ret_made) {
        uint64_t hash = hash_bytes(key, size);
        uint32_t slot = 0;

        *ret_made = false;
        if (m->capacity > 0) {
                slot = find_slot(m, key, size, hash);
                if (m->slots[slot] != SLOT_EMPTY)
                        return &m->entries[m->slots[slot]];
        }

        char *copy = malloc(size + 1);
        if (!copy)
                return NULL;
        if (m->n_entries == m->capacity) {
                if (rebuild(m) < 0) {
                        free(copy);
                        return NULL;
                }
                slot = find_slot(m, key, size, hash);
        }
        if (size > 0)
                memcpy(copy, key, size);
        copy[size] = '\0';
        Entry *e = &m->entries[m->n_entries];
        *e = (Entry) { .hash = hash, .key = copy, .size = size };
        m->slots[slot] = m->n_entries++;
        m->n_live++;
        *ret_made = true;
        return e;
}

int map_put_n(Map *m, const void *key, size_t size, void *value) {
        bool made;
        Entry *e = find_or_add(m, key, size, &made);

        if (!e)
                return -ENOMEM;
        e->value = value;
        return made;
}

void **map_place_n(Map *m, const void *key, size_t size) {
        bool made;
        Entry *e = find_or_add(m, key, size, &made);

        return e ? &e->value : NULL;
}

void *map_remove(Map *m, const char *key) {
        return map_remove_n(m, key, strlen(key));
}

void *map_remove_n(Map *m, const void *key, size_t size) {
        if (!m || m->n_live == 0)
                return NULL;
        uint32_t slot = find_slot(m, key, size, hash_bytes(key, size));
        if (m->slots[slot] == SLOT_EMPTY)
                return NULL;

        Entry *e = &m->entries[m->slots[slot]];
        void *value = e->value;
        empty_slot(m, slot);
        free(e->key);
        *e = (Entry) {};
        m->n_live--;
        return value;
}

bool map_next(const Map *m, size_t *iterator, const char **ret_key, void **ret_value) {
        for (; m && *iterator < m->n_entries; (*iterator)++) {
                const Entry *e = &m->entries[*iterator];
                if (!e->key)
                        continue;
                if (ret_key)
                        *ret_key = e->key;
                if (ret_value)
                        *ret_value = e->value;
                (*iterator)++;
                return true;
        }
        return false;
}
