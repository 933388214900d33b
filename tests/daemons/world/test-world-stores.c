/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What a store promises (daemons/world/store.h), of each store. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/map.h"
#include "tests/daemons/world/store-calls.h"
#include "tests/random.h"

/* ---- calls ---- */

STORES(reads_and_writes) {
        PLACE(p, b);
        Answer first, second;

        CHECK_READ(&p, "rw/", true, "");
        first = put(&p, "rw/b", "2", NULL);
        CHECK_INT(first.error, 0);
        CHECK(first.holds);
        second = put(&p, "rw/a", "1", NULL);
        CHECK(second.revision > first.revision);
        CHECK_INT(put(&p, "rw/c/d", "", NULL).error, 0);
        CHECK_INT(put(&p, "rw0", "outside", NULL).error, 0);
        CHECK_READ(&p, "rw/", true, "rw/a=1 rw/b=2 rw/c/d=");
        CHECK_READ(&p, "rw/b", false, "rw/b=2");
        CHECK_READ(&p, "rw/c", false, "");
        CHECK_INT(read_range(&p, "rw/a", false).modified, second.revision);
        CHECK_INT(put(&p, "rw/a", NULL, NULL).error, 0);
        CHECK_INT(put(&p, "rw/a", NULL, NULL).error, 0);
        CHECK_READ(&p, "rw/", true, "rw/b=2 rw/c/d=");
}

STORES(conditions) {
        PLACE(p, b);
        StoreWrite yes[] = { { .key = "if/yes", .data = "1", .size = 1 }, { .key = "if/old" } }, no = { .key = "if/no", .data = "1", .size = 1 };
        StoreCondition conditions[2] = { { .kind = STORE_MODIFIED, .key = "if/old" } };
        StoreCommit c = { .conditions = conditions, .n_conditions = 1, .writes = yes, .n_writes = 2, .otherwise = &no, .n_otherwise = 1 };
        int64_t modified;

        CHECK(commit(&p, &c).holds);            /* it is not there */
        CHECK_READ(&p, "if/", true, "if/yes=1");
        modified = put(&p, "if/old", "x", NULL).revision;
        CHECK(!commit(&p, &c).holds);
        CHECK_READ(&p, "if/", true, "if/no=1 if/old=x if/yes=1");

        conditions[0].modified = modified;
        conditions[1] = (StoreCondition) { .kind = STORE_EQUAL, .key = "if/no", .data = "2", .size = 1 };
        c.n_conditions = 2;
        CHECK(!commit(&p, &c).holds);
        conditions[1].data = "1";
        CHECK(commit(&p, &c).holds);
        CHECK_READ(&p, "if/", true, "if/no=1 if/yes=1");
        conditions[1] = (StoreCondition) { .kind = STORE_EQUAL, .key = "if/none", .data = "", .size = 0 };
        conditions[0].modified = 0;
        CHECK(!commit(&p, &c).holds);           /* nothing is not the same as not there */
}

/* Changes nothing: neither the revision nor anybody hears of it. */
STORES(what_changes_nothing) {
        PLACE(p, b);
        StoreCondition is = { .kind = STORE_EQUAL, .key = "same/k", .data = "v", .size = 1 };
        StoreWrite w = { .key = "same/k", .data = "v", .size = 1 };
        StoreCommit c = { .conditions = &is, .n_conditions = 1, .otherwise = &w, .n_otherwise = 1 };
        Answer a = commit(&p, &c), again = commit(&p, &c);

        CHECK(!a.holds);
        CHECK(again.holds);
        CHECK_INT(read_range(&p, "same/k", false).modified, a.revision);
}

STORES(refused) {
        PLACE(p, b);
        char long_key[STORE_KEY_MAX + 2];
        StoreWrite many[STORE_WRITES_MAX + 1];
        StoreCall *c;

        memset(long_key, 'k', sizeof(long_key) - 1);
        long_key[sizeof(long_key) - 1] = 0;
        for (size_t i = 0; i < ELEMENTSOF(many); i++)
                many[i] = (StoreWrite) { .key = "k" };
        CHECK_INT(store_read(p.store, (StoreRange) { "", true }, on_answer, NULL, &c), -EINVAL);
        CHECK_INT(store_read(p.store, (StoreRange) { long_key, true }, on_answer, NULL, &c), -EINVAL);
        CHECK_INT(store_commit(p.store, &(StoreCommit) { .writes = many, .n_writes = ELEMENTSOF(many) }, on_answer, NULL, &c), -E2BIG);
        many[0].key = "";
        CHECK_INT(store_commit(p.store, &(StoreCommit) { .otherwise = many, .n_otherwise = 1 }, on_answer, NULL, &c), -EINVAL);
}

STORES(cancelled_calls_are_silent) {
        PLACE(p, b);
        Answer never = {};
        StoreCall *c;

        for (int i = 0; i < 3; i++) {
                CHECK_INT(store_read(p.store, (StoreRange) { "cancel/", true }, on_answer, &never, &c), 0);
                CHECK(!store_call_cancel(c));
        }
        CHECK(!store_call_cancel(NULL));
        CHECK_READ(&p, "cancel/", true, "");
        CHECK(!never.came);
}

/* ---- watches ---- */

STORES(watches_begin_with_what_is_there_and_tell_each_change) {
        PLACE(p, b);
        StoreWrite both[] = { { .key = "w/1", .data = "x", .size = 1 }, { .key = "w/2" } };
        Seen below = {}, one = {}, other = {};
        StoreWatch *w[3];

        (void) put(&p, "w/1", "a", NULL);
        CHECK_INT(store_watch(p.store, (StoreRange) { "w/", true }, on_news, &below, &w[0]), 0);
        CHECK_INT(store_watch(p.store, (StoreRange) { "w/2", false }, on_news, &one, &w[1]), 0);
        CHECK_INT(store_watch(p.store, (StoreRange) { "x/", true }, on_news, &other, &w[2]), 0);
        CHECK_INT(below.n_snapshots, 0);
        CHECK(RUN_UNTIL(&p, below.n_snapshots == 1 && one.n_snapshots == 1 && other.n_snapshots == 1));
        (void) put(&p, "w/2", "b", NULL);
        (void) put(&p, "w/2/deeper", "c", NULL);
        (void) put(&p, "w", "not below", NULL);
        (void) put(&p, "w/2", "b", NULL);
        (void) commit(&p, &(StoreCommit) { .writes = both, .n_writes = 2 });
        (void) put(&p, "w/nothing", NULL, NULL);
        (void) put(&p, "w/end", "e", NULL);
        CHECK(RUN_UNTIL(&p, strstr(below.text, "w/end=e") && one.n_items == 3));
        CHECK_STR(below.text, "[ w/1=a ] w/2=b w/2/deeper=c w/2=b w/1=x w/2- w/end=e");
        CHECK_STR(one.text, "[ ] w/2=b w/2=b w/2-");
        CHECK_STR(other.text, "[ ]");
        for (size_t i = 0; i < ELEMENTSOF(w); i++)
                store_watch_free(w[i]);
}

STORES(watches_that_are_freed_when_told) {
        PLACE(p, b);
        Seen first = {}, last = {};
        StoreWatch *w;

        CHECK_INT(store_watch(p.store, (StoreRange) { "freed/", true }, on_news, &first, &w), 0);
        CHECK(RUN_UNTIL(&p, first.n_snapshots == 1));
        first.free = w;
        CHECK_INT(store_watch(p.store, (StoreRange) { "freed/", true }, on_news, &last, &w), 0);
        CHECK(RUN_UNTIL(&p, last.n_snapshots == 1));
        (void) put(&p, "freed/1", "a", NULL);
        (void) put(&p, "freed/2", "b", NULL);
        CHECK(RUN_UNTIL(&p, last.n_items == 2 && first.n_items > 0));
        CHECK(!first.free);
        store_watch_free(w);

        /* before anything came */
        CHECK_INT(store_watch(p.store, (StoreRange) { "freed/", true }, on_news, &first, &w), 0);
        store_watch_free(w);
        CHECK_READ(&p, "freed/", true, "freed/1=a freed/2=b");
}

/* ---- leases ---- */

STORES(what_is_written_under_a_lease_goes_with_it) {
        PLACE(p, b);
        StoreLease *revoked, *left;
        StoreWatch *w;
        Seen seen = {};
        Held held = {};
        StoreCall *c;

        CHECK_INT(store_watch(p.store, (StoreRange) { "lease/", true }, on_news, &seen, &w), 0);
        CHECK_INT(store_lease_new(p.store, 1, on_lease, &held, &revoked), 0);
        CHECK(!store_lease_held(revoked));
        StoreWrite early = { .key = "lease/early", .data = "", .lease = revoked };
        CHECK_INT(store_commit(p.store, &(StoreCommit) { .writes = &early, .n_writes = 1 }, on_answer, NULL, &c), -ESTALE);
        CHECK_INT(store_lease_new(p.store, 1, on_lease, &held, &left), 0);
        CHECK(RUN_UNTIL(&p, held.n_held == 2 && seen.n_snapshots == 1));

        CHECK_INT(put(&p, "lease/revoked", "1", revoked).error, 0);
        CHECK_INT(put(&p, "lease/left", "1", left).error, 0);
        CHECK_INT(put(&p, "lease/stays", "1", left).error, 0);
        CHECK_INT(put(&p, "lease/stays", "2", NULL).error, 0);
        store_lease_free(revoked, true);
        CHECK(RUN_UNTIL(&p, strstr(seen.text, "lease/revoked-")));
        CHECK(!strstr(seen.text, "lease/left-"));
        store_lease_free(left, false);
        CHECK(RUN_UNTIL(&p, strstr(seen.text, "lease/left-")));
        CHECK_READ(&p, "lease/", true, "lease/stays=2");
        CHECK_INT(held.n_lost, 0);
        store_watch_free(w);
}

/* ---- what is gone ---- */

/* Values that are written anew, removed, and gone with their leases; all of them are gone at the end. */
static void turn_over(Place *p) {
        char *big = malloc(64 * 1024 + 1), key[32];
        Held held = {};
        StoreLease *l;

        if (!big)
                abort();
        memset(big, 'x', 64 * 1024);
        big[64 * 1024] = 0;
        CHECK_INT(store_lease_new(p->store, 30, on_lease, &held, &l), 0);
        CHECK(RUN_UNTIL(p, held.n_held == 1));
        for (unsigned i = 0; i < 100; i++) {
                snprintf(key, sizeof(key), "room/%u", i % 4);
                CHECK_INT(put(p, key, big, i % 2 ? l : NULL).error, 0);
        }
        CHECK_INT(put(p, "room/0", NULL, NULL).error, 0);
        CHECK_INT(put(p, "room/2", NULL, NULL).error, 0);
        store_lease_free(l, true);
        while (read_range(p, "room/", true).n > 0)
                ;
        free(big);
}

STORES(what_is_gone_is_not_there) {
        PLACE(p, b);

        turn_over(&p);
        CHECK_READ(&p, "room/", true, "");
}

static uint64_t room(const Place *p) {
        static const char *const suffixes[] = { "", "-wal" };
        uint64_t sum = 0;

        for (size_t i = 0; i < ELEMENTSOF(suffixes); i++) {
                char path[128];
                struct stat st;

                snprintf(path, sizeof(path), "%s%s", p->path, suffixes[i]);
                if (stat(path, &st) >= 0)
                        sum += (uint64_t) st.st_size;
        }
        return sum;
}

/* Of etcd its own compaction sees to that. SQLite's log grows to its limit first. */
TEST(what_is_gone_takes_no_room) {
        PLACE(p, SQLITE);
        uint64_t before = 0;

        for (unsigned i = 0; i < 8; i++) {
                turn_over(&p);
                if (i == 3)
                        before = room(&p);
        }
        CHECK(before > 0);
        CHECK_INT(room(&p), before);
}

/* Whoever held them is gone without a word. */
STORES(leases_of_a_dead_host_run_out) {
        PLACE(p, b);
        StoreLease *l;
        Held held = {};

        CHECK_INT(store_lease_new(p.store, 1, on_lease, &held, &l), 0);
        CHECK(RUN_UNTIL(&p, held.n_held == 1));
        CHECK_INT(put(&p, "dead/k", "1", l).error, 0);
        store_lease_free(l, false);
        place_close(&p);
        place_open(&p, b, NULL);
        CHECK_READ(&p, "dead/k", false, "dead/k=1");
        CHECK(RUN_UNTIL(&p, read_range(&p, "dead/k", false).n == 0));
}

/* ---- a disk that is full ---- */

static void limit_files(uint64_t size) {
        struct rlimit l;

        CHECK_INT(getrlimit(RLIMIT_FSIZE, &l), 0);
        l.rlim_cur = MIN((rlim_t) size, l.rlim_max);
        CHECK_INT(setrlimit(RLIMIT_FSIZE, &l), 0);
}

/* Nobody else tells when there is room again: what could not be done is tried again. */
TEST(leases_begin_and_end_when_there_is_room_again) {
        PLACE(p, SQLITE);
        StoreLease *early, *late;
        Held held = {};

        (void) signal(SIGXFSZ, SIG_IGN);
        CHECK_INT(store_lease_new(p.store, 30, on_lease, &held, &early), 0);
        CHECK(RUN_UNTIL(&p, held.n_held == 1));
        CHECK_INT(put(&p, "full/k", "1", early).error, 0);
        limit_files(1);
        CHECK(put(&p, "full/other", "1", NULL).error < 0);
        store_lease_free(early, true);
        CHECK_INT(store_lease_new(p.store, 30, on_lease, &held, &late), 0);
        CHECK_READ(&p, "full/", true, "full/k=1");
        CHECK_INT(held.n_held, 1);
        limit_files(RLIM_INFINITY);
        CHECK(RUN_UNTIL(&p, held.n_held == 2 && read_range(&p, "full/k", false).n == 0));
        CHECK_INT(put(&p, "full/k", "2", late).error, 0);
        store_lease_free(late, true);
}

/* ---- at random ---- */

enum { RANDOM_KEYS = 12, RANDOM_STEPS = 100 };

typedef struct Mirror {
        char values[RANDOM_KEYS][16];   /* "": not there */
        unsigned n_news, n_snapshots;
        int64_t revision;
} Mirror;

static void on_mirror(StoreWatch *w, const StoreNews *news, void *userdata) {
        Mirror *m = userdata;

        if (news->snapshot) {
                memset(m->values, 0, sizeof(m->values));
                m->n_snapshots++;
        }
        for (size_t i = 0; i < news->n; i++) {
                unsigned key = (unsigned) atoi(strrchr(news->items[i].key, '/') + 1);

                CHECK(news->snapshot || news->items[i].modified >= m->revision);
                snprintf(m->values[key], sizeof(m->values[key]), "%s", news->items[i].data ? (const char *) news->items[i].data : "");
                m->n_news++;
        }
        m->revision = news->revision;
}

typedef struct Model {
        char values[RANDOM_KEYS][16];
        int64_t modified[RANDOM_KEYS];
} Model;

/* One commit on keys picked at random, with or without a condition that may or may not hold; the model says what must come of it. */
static void random_step(Place *p, Random *r, Model *m, const char *prefix, unsigned step) {
        unsigned a = random_pick(r, RANDOM_KEYS), with = random_pick(r, 3);
        char key[80], value[16];
        StoreCondition condition = { .key = key };
        StoreWrite w = { .key = key };
        bool holds = true;
        Answer got;

        snprintf(key, sizeof(key), "%.60s%u", prefix, a);
        snprintf(value, sizeof(value), "v%u", step);
        if (random_pick(r, 4) > 0) {
                w.data = value;
                w.size = strlen(value);
        }
        if (with == 1) {
                bool right = random_pick(r, 2);
                condition.kind = STORE_MODIFIED;
                condition.modified = right ? m->modified[a] : m->modified[a] + 1;
                holds = right;
        } else if (with == 2) {
                condition.kind = STORE_EQUAL;
                condition.data = random_pick(r, 2) ? m->values[a] : "other";
                condition.size = strlen(condition.data);
                holds = m->values[a][0] && streq(condition.data, m->values[a]);
        }
        got = commit(p, &(StoreCommit) { .conditions = &condition, .n_conditions = with > 0, .writes = &w, .n_writes = 1 });
        CHECK_INT(got.error, 0);
        CHECK_INT(got.holds, holds);
        if (!holds || (!w.data && !m->values[a][0]))
                return;
        snprintf(m->values[a], sizeof(m->values[a]), "%s", w.data ? value : "");
        m->modified[a] = w.data ? got.revision : 0;
}

static bool mirrors(const Mirror *mirror, const Model *m) {
        for (unsigned i = 0; i < RANDOM_KEYS; i++)
                if (!streq(mirror->values[i], m->values[i]))
                        return false;
        return true;
}

STORES(random_commits_and_watches_agree) {
        PLACE(p, b);
        const char *given = getenv("MGMT_SEED"), *rows = getenv("MGMT_ROWS");
        uint64_t seed = given ? strtoull(given, NULL, 10) : rows ? now_usec() : 1;
        unsigned n_steps = rows ? (unsigned) atoi(rows) : RANDOM_STEPS;
        Random r = random_from(seed);
        Mirror seen[3] = {};
        StoreWatch *w[3] = {};
        Model m = {};
        char prefix[64];

        printf("# seed %llu\n", (unsigned long long) seed);
        snprintf(prefix, sizeof(prefix), "random-%llu/", (unsigned long long) seed);
        for (unsigned step = 1; step <= n_steps; step++) {
                unsigned i = random_pick(&r, 30);

                if (i < ELEMENTSOF(w)) {
                        w[i] = store_watch_free(w[i]);
                        seen[i] = (Mirror) {};
                        CHECK_INT(store_watch(p.store, (StoreRange) { prefix, true }, on_mirror, &seen[i], &w[i]), 0);
                }
                random_step(&p, &r, &m, prefix, step);
        }
        for (unsigned i = 0; i < ELEMENTSOF(w); i++)
                CHECK(!w[i] || RUN_UNTIL(&p, mirrors(&seen[i], &m)));
        for (unsigned i = 0; i < ELEMENTSOF(w); i++)
                store_watch_free(w[i]);
}

STORES_MAIN()
