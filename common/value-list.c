/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Lists. All parts of one height are full but the last, so the shape of a list follows from its length: items at the same index
 * stand at the same place of two lists, and what both share is found by comparing pointers. */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/value.h"

static uint32_t full_size(uint32_t height) {
        return (uint32_t) VALUE_LIST_PART << (VALUE_LIST_BITS * height);
}

static ValueList *list_new(uint32_t height, size_t n_slots) {
        ValueList *l = malloc(sizeof(ValueList) + n_slots * (height > 0 ? sizeof(ValueList *) : sizeof(Value)));

        if (l)
                *l = (ValueList) { .n_ref = 1, .height = height };
        return l;
}

static void unref(ValueList *l) {
        value_done(&(Value) { .kind = TYPE_LIST, .l = l });
}

static void add_part(ValueList *l, ValueList *part) {
        l->parts[value_list_n_parts(l)] = part;
        l->n += part->n;
        value_extent_join(&l->extent, part->extent);
}

static void add_item(ValueList *l, Value item) {
        l->items[l->n++] = item;
        value_extent_add(&l->extent, item);
}

void value_list_free(ValueList *l) {
        if (l->height > 0)
                for (uint32_t i = 0, n = value_list_n_parts(l); i < n; i++)
                        unref(l->parts[i]);
        else
                for (uint32_t i = 0; i < l->n; i++)
                        value_done(&l->items[i]);
        free(l);
}

/* What is still to be appended. */
typedef struct Rest {
        Value *items;
        size_t n;
} Rest;

static ValueList *grow_items(const ValueList *old, Rest *rest) {
        uint32_t n_old = old ? old->n : 0;
        size_t n = MIN(n_old + rest->n, (size_t) VALUE_LIST_PART);
        ValueList *l = list_new(0, n);

        if (!l)
                return NULL;
        for (uint32_t i = 0; i < n_old; i++)
                add_item(l, value_ref(old->items[i]));
        for (; l->n < n; rest->items++, rest->n--)
                add_item(l, value_take(rest->items));
        return l;
}

/* A list of that height that begins with the old one, which is not higher, or NULL, and takes of the rest what there is room for. */
static ValueList *grow(ValueList *old, uint32_t height, Rest *rest) {
        if (height == 0)
                return grow_items(old, rest);

        size_t n = MIN((old ? old->n : 0) + rest->n, (size_t) full_size(height));
        uint32_t full = full_size(height - 1), i = 0, n_old = 0;
        ValueList *const *parts = NULL, *l = list_new(height, (n + full - 1) / full);
        if (!l)
                return NULL;
        if (old) {
                parts = old->height == height ? old->parts : &old;
                n_old = old->height == height ? value_list_n_parts(old) : 1;
        }
        for (; i < n_old && (parts[i]->n == full || rest->n == 0); i++) {
                parts[i]->n_ref++;
                add_part(l, parts[i]);
        }
        for (; l->n < n; i++) {
                ValueList *part = grow(i < n_old ? parts[i] : NULL, height - 1, rest);
                if (!part) {
                        unref(l);
                        return NULL;
                }
                add_part(l, part);
        }
        return l;
}

int value_list_extend(Value *ret, Value list, Value *items, size_t n) {
        ValueList *old = list.kind == TYPE_LIST && list.l->n > 0 ? list.l : NULL, *l = NULL;
        size_t total = (old ? old->n : 0) + n;
        Rest rest = { items, n };
        uint32_t height = 0;

        if (total <= VALUE_ITEMS_MAX) {
                while (full_size(height) < total)
                        height++;
                l = grow(old, height, &rest);
        }
        for (size_t i = 0; i < rest.n; i++)
                value_done(&rest.items[i]);
        if (!l)
                return total <= VALUE_ITEMS_MAX ? -ENOMEM : -E2BIG;
        *ret = (Value) { .kind = TYPE_LIST, .l = l };
        return 0;
}

int value_list(Value *ret, Value *items, size_t n) {
        return value_list_extend(ret, VALUE_NIL, items, n);
}

int value_list_from_strv(Value *ret, char *const *strv) {
        size_t n = 0;

        while (strv && strv[n])
                n++;
        _cleanup_free_ Value *items = calloc(n + 1, sizeof(Value));
        if (!items)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                int r = value_strz(&items[i], strv[i]);
                if (r < 0) {
                        while (i-- > 0)
                                value_done(&items[i]);
                        return r;
                }
        }
        return value_list(ret, items, n);
}

static ValueList *copy_with(const ValueList *old, uint32_t i, Value *item) {
        uint32_t n = old->height > 0 ? value_list_n_parts(old) : old->n;
        ValueList *l = list_new(old->height, n);

        if (!l)
                return NULL;
        if (old->height == 0) {
                for (uint32_t k = 0; k < n; k++)
                        add_item(l, k == i ? value_take(item) : value_ref(old->items[k]));
                return l;
        }
        uint32_t full = full_size(old->height - 1);
        for (uint32_t k = 0; k < n; k++) {
                ValueList *part = old->parts[k];
                if (k == i / full)
                        part = copy_with(part, i % full, item);
                else
                        part->n_ref++;
                if (!part) {
                        unref(l);
                        return NULL;
                }
                add_part(l, part);
        }
        return l;
}

int value_list_replace(Value *ret, Value list, uint32_t i, Value item) {
        ValueList *l = copy_with(list.l, i, &item);

        value_done(&item);
        if (!l)
                return -ENOMEM;
        *ret = (Value) { .kind = TYPE_LIST, .l = l };
        return 0;
}

/* Its first n items, at least one, in as many parts down. */
static ValueList *copy_begin(ValueList *old, uint32_t n) {
        if (n == old->n) {
                old->n_ref++;
                return old;
        }

        uint32_t full = old->height > 0 ? full_size(old->height - 1) : 1;
        ValueList *l = list_new(old->height, (n + full - 1) / full);

        if (!l)
                return NULL;
        for (uint32_t k = 0; l->n < n; k++) {
                if (old->height == 0) {
                        add_item(l, value_ref(old->items[k]));
                        continue;
                }
                ValueList *part = copy_begin(old->parts[k], MIN(n - l->n, old->parts[k]->n));
                if (!part) {
                        unref(l);
                        return NULL;
                }
                add_part(l, part);
        }
        return l;
}

int value_list_truncate(Value *ret, Value list, uint32_t n) {
        ValueList *l = list.l;

        if (n == 0)
                return value_list(ret, NULL, 0);
        while (l->height > 0 && n <= full_size(l->height - 1))
                l = l->parts[0];
        l = copy_begin(l, n);
        if (!l)
                return -ENOMEM;
        *ret = (Value) { .kind = TYPE_LIST, .l = l };
        return 0;
}

int value_list_join(Value *ret, const Value *lists, size_t n) {
        uint32_t height = n > 0 ? lists[0].l->height + 1 : 0;
        ValueList *l = list_new(height, n);

        assert(n <= VALUE_LIST_PART);
        if (!l)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                assert(lists[i].l->n == full_size(height - 1) || i + 1 == n);
                lists[i].l->n_ref++;
                add_part(l, lists[i].l);
        }
        *ret = (Value) { .kind = TYPE_LIST, .l = l };
        return 0;
}

const Value *value_list_run(const ValueList *l, uint32_t i, uint32_t *ret_n) {
        while (l->height > 0) {
                uint32_t shift = VALUE_LIST_BITS * l->height;
                l = l->parts[i >> shift];
                i &= ((uint32_t) 1 << shift) - 1;
        }
        *ret_n = l->n - i;
        return &l->items[i];
}

/* Most items are equal to the byte, which is asked at once. */
static uint32_t items_difference(const ValueList *a, const ValueList *b, uint32_t i, uint32_t n) {
        if (i < n && memcmp(&a->items[i], &b->items[i], (n - i) * sizeof(Value)) == 0)
                return n;
        while (i < n && value_same(a->items[i], b->items[i]))
                i++;
        return i;
}

uint32_t value_list_difference(const ValueList *a, const ValueList *b, uint32_t i) {
        uint32_t n = MIN(a->n, b->n);

        if (i >= n || a == b)
                return n;
        while (a->height > b->height)
                a = a->parts[0];
        while (b->height > a->height)
                b = b->parts[0];
        if (a->height == 0)
                return items_difference(a, b, i, n);

        uint32_t full = full_size(a->height - 1);
        for (uint32_t k = i / full; k * full < n; k++, i = k * full) {
                const ValueList *x = a->parts[k], *y = b->parts[k];
                uint32_t at = x == y ? x->n : value_list_difference(x, y, i % full);
                if (at < MIN(x->n, y->n))
                        return k * full + at;
        }
        return n;
}
