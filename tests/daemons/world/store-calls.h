/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What cases ask a store, and what they were told, as texts that can be compared. */

#include "tests/daemons/world/stores-test.h"

/* ---- calls ---- */

typedef struct Answer {
        bool came, holds;
        int error;
        int64_t revision;
        size_t n;
        char text[512];         /* "key=value key=value" */
        int64_t modified;       /* of the last item */
} Answer;

static inline void add_mark(char *text, size_t size, const char *mark) {
        size_t n = strlen(text);

        snprintf(text + n, size - n, "%s%s", n > 0 ? " " : "", mark);
}

static inline void add_text(char *text, size_t size, const StoreItem *item) {
        size_t n = strlen(text);

        snprintf(text + n, size - n, "%s%s%s%.*s", n > 0 ? " " : "", item->key, item->data ? "=" : "-", (int) item->size,
                 item->data ? (const char *) item->data : "");
}

static inline void on_answer(const StoreReply *reply, void *userdata) {
        Answer *a = userdata;

        CHECK(!a->came);
        a->came = true;
        a->holds = reply->holds;
        a->error = reply->error;
        a->revision = reply->revision;
        a->n = reply->n;
        for (size_t i = 0; i < reply->n; i++) {
                add_text(a->text, sizeof(a->text), &reply->items[i]);
                a->modified = reply->items[i].modified;
        }
}

static inline Answer read_range(Place *p, const char *key, bool below) {
        Answer a = {};
        StoreCall *c;

        CHECK_INT(store_read(p->store, (StoreRange) { key, below }, on_answer, &a, &c), 0);
        CHECK(!a.came);
        CHECK(RUN_UNTIL(p, a.came));
        return a;
}

static inline Answer commit(Place *p, const StoreCommit *what) {
        Answer a = {};
        StoreCall *c;

        CHECK_INT(store_commit(p->store, what, on_answer, &a, &c), 0);
        CHECK(!a.came);
        CHECK(RUN_UNTIL(p, a.came));
        return a;
}

static inline Answer put(Place *p, const char *key, const char *data, StoreLease *lease) {
        StoreWrite w = { .key = key, .data = data, .size = data ? strlen(data) : 0, .lease = lease };

        return commit(p, &(StoreCommit) { .writes = &w, .n_writes = 1 });
}

#define CHECK_READ(place, key, below, want) \
        do { \
                Answer _a = read_range((place), (key), (below)); \
                CHECK_INT(_a.error, 0); \
                CHECK_STR(_a.text, (want)); \
        } while (0)

/* ---- watches ---- */

typedef struct Seen {
        unsigned n_snapshots, n_back, n_anew;
        unsigned n_items;       /* of later news */
        char text[1024];        /* "[snapshot] then news" */
        int64_t revision;
        StoreWatch *free;       /* in the callback */
} Seen;

static inline void on_news(StoreWatch *w, const StoreNews *news, void *userdata) {
        Seen *s = userdata;

        if (!news->snapshot && news->n == 0) {
                s->n_back++;
                return;
        }
        CHECK(news->anew || news->revision >= s->revision);
        s->revision = news->revision;
        *(news->snapshot ? &s->n_snapshots : &s->n_items) += news->snapshot ? 1 : (unsigned) news->n;
        s->n_anew += news->anew;
        if (news->snapshot)
                add_mark(s->text, sizeof(s->text), "[");
        for (size_t i = 0; i < news->n; i++)
                add_text(s->text, sizeof(s->text), &news->items[i]);
        if (news->snapshot)
                add_mark(s->text, sizeof(s->text), "]");
        s->free = store_watch_free(s->free);
}

/* ---- leases ---- */

typedef struct Held {
        unsigned n_held, n_lost;
} Held;

static inline void on_lease(StoreLease *l, bool held, void *userdata) {
        Held *h = userdata;

        CHECK(store_lease_held(l) == held);
        *(held ? &h->n_held : &h->n_lost) += 1;
}
