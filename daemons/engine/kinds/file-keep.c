/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See file-keep.h. */

#include <stdio.h>

#include "daemons/engine/kinds/file-keep.h"
#include "daemons/engine/kinds/file-path.h"
#include "daemons/engine/kinds/replacement.h"
#include "daemons/engine/local-host.h"

typedef struct Keep {
        const char *top;                /* tidy path of the directory */
        char **items;
        size_t n, capacity;
} Keep;

static int keep_add(Keep *k, char *item) {
        if (!item || GROW(k->items, k->n, k->capacity) < 0) {
                free(item);
                return -ENOMEM;
        }
        k->items[k->n++] = item;
        return 0;
}

static int keep_other(const Resource *r, void *userdata) {
        const File *f = (const File *) r;
        _cleanup_free_ char *made = NULL, *tidy = NULL;
        char name[REPLACEMENT_NAME_MAX], *beside;
        Keep *k = userdata;

        const char *target = file_target(f, &made);
        if (!target || !(tidy = path_tidy(target)))
                return -ENOMEM;
        const char *below = path_below(tidy, k->top);
        if (!below || !*below || r->meta.hidden)
                return 0;
        const char *slash = strrchr(below, '/');
        replacement_name(slash ? slash + 1 : below, name);
        if (asprintf(&beside, "%.*s%s", slash ? (int) (slash + 1 - below) : 0, below, name) < 0)
                return -ENOMEM;
        int e = keep_add(k, beside);
        return e < 0 ? e : keep_add(k, strdup(below));
}

static int compare_texts(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

int file_keep_collect(const File *f, char ***ret) {
        _cleanup_free_ char *top = path_tidy(f->target);
        Keep k = { .top = top };
        int r;

        r = top ? local_host_each_other(&f->resource, keep_other, &k) : -ENOMEM;
        if (k.n > 0)
                qsort(k.items, k.n, sizeof(*k.items), compare_texts);
        if (r >= 0 && GROW(k.items, k.n, k.capacity) < 0)
                r = -ENOMEM;
        if (r < 0) {
                for (size_t i = 0; i < k.n; i++)
                        free(k.items[i]);
                free(k.items);
                return r;
        }
        k.items[k.n] = NULL;
        *ret = k.items;
        return 0;
}
