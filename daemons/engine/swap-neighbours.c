/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Few resources look at others of their kind, so they are gathered once, and only they are asked of each that goes. */

#include "daemons/engine/engine-manager.h"
#include "daemons/engine/swap-neighbours.h"

typedef struct Minders {
        Vertex **items;
        size_t n, capacity;
} Minders;

static int gather(const KindSet *k, Minders *ret) {
        size_t i = 0;
        void *v;

        while (map_next(k->by_name, &i, NULL, &v)) {
                const Resource *r = ((const Vertex *) v)->resource;
                if (!k->type->minds(r, NULL))
                        continue;
                if (GROW(ret->items, ret->n, ret->capacity) < 0)
                        return -ENOMEM;
                ret->items[ret->n++] = v;
        }
        return 0;
}

static int ask(Swap *s, const Minders *minders, const Vertex *gone) {
        for (size_t i = 0; i < minders->n; i++) {
                Vertex *v = minders->items[i];
                if (v == gone || (v->swap && v->swap->removed) || !v->resource->type->minds(v->resource, gone->resource))
                        continue;
                if (GROW(s->neighbours, s->n_neighbours, s->capacity_neighbours) < 0)
                        return -ENOMEM;
                s->neighbours[s->n_neighbours++] = v;
        }
        return 0;
}

static bool goes(const SwapEntry *e) {
        return e->removed || (e->replacement && e->restart && !e->added);
}

static int find_of_kind(Swap *s, const KindSet *k) {
        Minders minders = {};
        int r = gather(k, &minders);

        for (size_t i = 0; r >= 0 && minders.n > 0 && i < s->n_entries; i++)
                if (goes(s->entries[i]) && s->entries[i]->vertex->resource->type == k->type)
                        r = ask(s, &minders, s->entries[i]->vertex);
        free(minders.items);
        return r;
}

int swap_find_neighbours(Swap *s) {
        bool any = false;
        size_t it = 0;
        void *k;
        int r = 0;

        for (size_t i = 0; i < s->n_entries && !any; i++)
                any = goes(s->entries[i]) && s->entries[i]->vertex->resource->type->minds;
        while (any && r >= 0 && map_next(s->manager->kinds, &it, NULL, &k))
                if (((const KindSet *) k)->type->minds)
                        r = find_of_kind(s, k);
        return r;
}

void swap_wake_neighbours(const Swap *s) {
        for (size_t i = 0; i < s->n_neighbours; i++)
                scheduler_dirty(&s->manager->scheduler, vertex_root(s->neighbours[i]));
}
