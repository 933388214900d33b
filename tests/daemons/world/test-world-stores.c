/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What a store promises (daemons/world/store.h), of each store. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "common/map.h"
#include "tests/daemons/world/stores-test.h"
#include "tests/random.h"

/* ---- calls ---- */

typedef struct Answer {
        bool came, holds;
        int error;
        int64_t revision;
        size_t n;
        char text[512];         /* "key=value key=value" */
        int64_t modified;       /* of the last item */
} Answer;

static void add_mark(char *text, size_t size, const char *mark) {
        size_t n = strlen(text);

        snprintf(text + n, size - n, "%s%s", n > 0 ? " " : "", mark);
}

static void add_text(char *text, size_t size, const StoreItem *item) {
        size_t n = strlen(text);

        snprintf(text + n, size - n, "%s%s%s%.*s", n > 0 ? " " : "", item->key, item->data ? "=" : "-", (int) item->size,
                 item->data ? (const char *) item->data : "");
}

static void on_answer(const StoreReply *reply, void *userdata) {
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

static Answer read_range(Place *p, const char *key, bool below) {
        Answer a = {};
        StoreCall *c;

        CHECK_INT(store_read(p->store, (StoreRange) { key, below }, on_answer, &a, &c), 0);
        CHECK(!a.came);
        CHECK(RUN_UNTIL(p, a.came));
        return a;
}

static Answer commit(Place *p, const StoreCommit *what) {
        Answer a = {};
        StoreCall *c;

        CHECK_INT(store_commit(p->store, what, on_answer, &a, &c), 0);
        CHECK(!a.came);
        CHECK(RUN_UNTIL(p, a.came));
        return a;
}

static Answer put(Place *p, const char *key, const char *data, StoreLease *lease) {
        StoreWrite w = { .key = key, .data = data, .size = data ? strlen(data) : 0, .lease = lease };

        return commit(p, &(StoreCommit) { .writes = &w, .n_writes = 1 });
}

#define CHECK_READ(place, key, below, want) \
        do { \
                Answer _a = read_range((place), (key), (below)); \
                CHECK_INT(_a.error, 0); \
                CHECK_STR(_a.text, (want)); \
        } while (0)

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

typedef struct Seen {
        unsigned n_snapshots, n_back;
        unsigned n_items;       /* of later news */
        char text[1024];        /* "[snapshot] then news" */
        int64_t revision;
        StoreWatch *free;       /* in the callback */
} Seen;

static void on_news(StoreWatch *w, const StoreNews *news, void *userdata) {
        Seen *s = userdata;

        if (!news->snapshot && news->n == 0) {
                s->n_back++;
                return;
        }
        CHECK(news->revision >= s->revision);
        s->revision = news->revision;
        *(news->snapshot ? &s->n_snapshots : &s->n_items) += news->snapshot ? 1 : (unsigned) news->n;
        if (news->snapshot)
                add_mark(s->text, sizeof(s->text), "[");
        for (size_t i = 0; i < news->n; i++)
                add_text(s->text, sizeof(s->text), &news->items[i]);
        if (news->snapshot)
                add_mark(s->text, sizeof(s->text), "]");
        s->free = store_watch_free(s->free);
}

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

typedef struct Held {
        unsigned n_held, n_lost;
} Held;

static void on_lease(StoreLease *l, bool held, void *userdata) {
        Held *h = userdata;

        CHECK(store_lease_held(l) == held);
        *(held ? &h->n_held : &h->n_lost) += 1;
}

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
        uint64_t seed = getenv("MGMT_SEED") ? strtoull(getenv("MGMT_SEED"), NULL, 10) : now_usec();
        unsigned n_steps = getenv("MGMT_ROWS") ? (unsigned) atoi(getenv("MGMT_ROWS")) : RANDOM_STEPS;
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

/* ---- what only happens to a cluster ---- */

#define CLUSTER(c, n) \
        _cleanup_(cluster_done) Cluster c = {}; \
        if (!cluster_available()) \
                TEST_SKIP("etcd is not installed"); \
        cluster_init(&c, (n), NULL)

/* Killed and started again: the watch goes on where it was, and hears of everything that happened meanwhile once. */
TEST(watches_survive_their_endpoint) {
        CLUSTER(c, 3);
        _cleanup_(place_done) Place p, writer;
        Seen seen = {};
        StoreWatch *w;
        char want[256] = "[ ]";

        CHECK(place_init(&p, ETCD, c.endpoints));
        CHECK(place_init(&writer, ETCD, c.endpoints));
        CHECK_INT(store_watch(p.store, (StoreRange) { "k/", true }, on_news, &seen, &w), 0);
        CHECK(RUN_UNTIL(&p, seen.n_snapshots == 1));
        for (unsigned i = 0; i < 3; i++) {
                char key[16];
                Answer a;

                cluster_signal(&c, i % 3, SIGKILL);     /* the leader is among them */
                snprintf(key, sizeof(key), "k/%u", i);
                do
                        a = put(&writer, key, "x", NULL);
                while (a.error == -EINPROGRESS || a.error == -EHOSTDOWN);
                CHECK_INT(a.error, 0);
                snprintf(want + strlen(want), sizeof(want) - strlen(want), " %s=x", key);
                CHECK(RUN_UNTIL(&p, strstr(seen.text, key)));
                cluster_start(&c, i % 3);
        }
        CHECK_INT(seen.n_snapshots, 1);
        /* A put whose answer was lost may have been made twice. */
        for (char *twice, *next = seen.text; (next = strstr(next, " k/")); next++)
                while ((twice = strstr(next + 1, " k/")) && strncmp(next, twice, 6) == 0)
                        memmove(twice, twice + 6, strlen(twice + 6) + 1);
        CHECK_STR(seen.text, want);
        store_watch_free(w);
}

static int post(Cluster *c, const char *path, const char *body) {
        char command[512];

        snprintf(command, sizeof(command), "curl -sf -o /dev/null --retry 20 --retry-connrefused --retry-delay 0 "
                 "http://127.0.0.1:%d/v3/%s -d '%s'", c->client_ports[0], path, body);
        return system(command);
}

TEST(what_was_compacted_away_is_a_new_snapshot) {
        CLUSTER(c, 1);
        _cleanup_(place_done) Place p, writer;
        Seen seen = {};
        StoreWatch *w;
        char body[64];
        Answer a;

        CHECK(place_init(&p, ETCD, c.endpoints));
        CHECK(place_init(&writer, ETCD, c.endpoints));
        (void) put(&writer, "k/gone", "1", NULL);
        CHECK_INT(store_watch(p.store, (StoreRange) { "k/", true }, on_news, &seen, &w), 0);
        CHECK(RUN_UNTIL(&p, seen.n_snapshots == 1));
        cluster_signal(&c, 0, SIGKILL);         /* what has been sent is not read until much has happened */
        cluster_start(&c, 0);
        do
                a = put(&writer, "k/new", "1", NULL);
        while (a.error < 0);
        (void) put(&writer, "k/gone", NULL, NULL);
        for (int i = 0; i < 5; i++)
                a = put(&writer, "k/new", "2", NULL);
        snprintf(body, sizeof(body), "{\"revision\":\"%lld\"}", (long long) a.revision);
        CHECK_INT(post(&c, "kv/compaction", body), 0);
        CHECK(RUN_UNTIL(&p, seen.n_snapshots == 2));
        CHECK_STR(strrchr(seen.text, '['), "[ k/new=2 ]");
        (void) put(&writer, "k/more", "3", NULL);
        CHECK(RUN_UNTIL(&p, strstr(seen.text, "] k/more=3")));
        store_watch_free(w);
}

TEST(a_cluster_that_is_away_costs_nothing_and_comes_back) {
        CLUSTER(c, 3);
        _cleanup_(place_done) Place p, writer;
        Seen seen = {};
        Held held = {};
        StoreLease *l;
        StoreWatch *w;
        unsigned n_turns = 0;
        Answer a = {};
        StoreCall *call;

        CHECK(place_init(&p, ETCD, c.endpoints));
        CHECK_INT(store_watch(p.store, (StoreRange) { "k/", true }, on_news, &seen, &w), 0);
        CHECK_INT(store_lease_new(p.store, 30, on_lease, &held, &l), 0);
        CHECK(RUN_UNTIL(&p, seen.n_snapshots == 1 && held.n_held == 1));
        CHECK(!store_problem(p.store));
        for (unsigned i = 0; i < c.n; i++)
                cluster_signal(&c, i, SIGKILL);
        CHECK_INT(store_read(p.store, (StoreRange) { "k/", true }, on_answer, &a, &call), 0);
        CHECK(RUN_UNTIL(&p, a.came));
        CHECK_INT(a.error, -EHOSTDOWN);
        CHECK(store_problem(p.store) && strstr(store_problem(p.store), "127.0.0.1"));

        struct timespec before, after;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
        for (uint64_t end = now_usec() + 2000000; now_usec() < end; n_turns++)
                (void) sd_event_run(p.event, 100000);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
        CHECK((after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 < 100);       /* of two seconds */

        for (unsigned i = 0; i < c.n; i++)
                cluster_start(&c, i);
        CHECK(place_init(&writer, ETCD, c.endpoints));
        do
                a = put(&writer, "k/after", "1", NULL);
        while (a.error < 0);
        CHECK(RUN_UNTIL(&p, strstr(seen.text, "k/after=1") && seen.n_back > 0));
        CHECK(!store_problem(p.store));
        CHECK_INT(held.n_lost, 0);
        store_lease_free(l, true);
        store_watch_free(w);
}

/* Nobody can keep it alive while they stand still; so it is lost, told, and taken anew. */
TEST(leases_that_nobody_could_keep_are_lost_and_taken_again) {
        CLUSTER(c, 1);
        _cleanup_(place_done) Place p;
        Held held = {};
        StoreLease *l;

        CHECK(place_init(&p, ETCD, c.endpoints));
        CHECK_INT(store_lease_new(p.store, 3, on_lease, &held, &l), 0);
        CHECK(RUN_UNTIL(&p, held.n_held == 1));
        CHECK_INT(put(&p, "k", "1", l).error, 0);
        cluster_signal(&c, 0, SIGSTOP);
        CHECK(RUN_UNTIL(&p, held.n_lost == 1));
        CHECK(!store_lease_held(l));
        cluster_signal(&c, 0, SIGCONT);
        CHECK(RUN_UNTIL(&p, held.n_held == 2));
        CHECK_INT(put(&p, "again", "1", l).error, 0);
        store_lease_free(l, true);
}

/* ---- as whom ---- */

/* Why it cannot be reached, as soon as it is known; whoever asks would be told after some more attempts. */
static const char *problem_of(Place *p) {
        Answer never = {};
        StoreCall *c;

        CHECK_INT(store_read(p->store, (StoreRange) { .key = "k" }, on_answer, &never, &c), 0);
        CHECK(RUN_UNTIL(p, store_problem(p->store)));
        CHECK(!never.came);
        store_call_cancel(c);
        return store_problem(p->store) ?: "";
}

static void write_credential(const char *directory, const char *name, const char *text) {
        char path[128];

        snprintf(path, sizeof(path), "%s/%s", directory, name);
        CHECK_INT(write_file_atomic_at(AT_FDCWD, path, text, strlen(text), 0600, false), 0);
}

TEST(users_and_passwords) {
        static const char *const set_up[][2] = {
                { "auth/user/add",      "{\"name\":\"root\",\"password\":\"r\"}" },
                { "auth/user/grant",    "{\"user\":\"root\",\"role\":\"root\"}" },
                { "auth/user/add",      "{\"name\":\"host\",\"password\":\"it\\\"s secret\"}" },
                { "auth/role/add",      "{\"name\":\"hosts\"}" },
                { "auth/role/grant",    "{\"name\":\"hosts\",\"perm\":{\"permType\":\"READWRITE\",\"key\":\"L21nbXQvMS9vcGVuLw==\",\"range_end\":\"L21nbXQvMS9vcGVuMA==\"}}" },
                { "auth/user/grant",    "{\"user\":\"host\",\"role\":\"hosts\"}" },
                { "auth/enable",        "{}" },
        };
        CLUSTER(c, 1);
        _cleanup_(place_done) Place known = {}, wrong = {}, nobody = {};
        Seen seen = {};
        StoreWatch *w;
        Answer a;

        for (size_t i = 0; i < ELEMENTSOF(set_up); i++)
                CHECK_INT(post(&c, set_up[i][0], set_up[i][1]), 0);
        setenv("CREDENTIALS_DIRECTORY", c.directory, 1);
        write_credential(c.directory, "etcd.password", "it\"s secret\n");

        setenv("MGMT_STORE_USER", "host", 1);
        CHECK(place_init(&known, ETCD, c.endpoints));
        CHECK_INT(put(&known, "open/k", "1", NULL).error, 0);
        CHECK_INT(put(&known, "closed/k", "1", NULL).error, -EACCES);
        CHECK_INT(store_watch(known.store, (StoreRange) { "open/", true }, on_news, &seen, &w), 0);
        CHECK(RUN_UNTIL(&known, seen.n_snapshots == 1));
        cluster_signal(&c, 0, SIGKILL);         /* tokens are forgotten with it */
        cluster_start(&c, 0);
        do
                a = put(&known, "open/k", "2", NULL);
        while (a.error == -EINPROGRESS || a.error == -EHOSTDOWN);
        CHECK_INT(a.error, 0);
        CHECK(RUN_UNTIL(&known, strstr(seen.text, "open/k=2")));
        store_watch_free(w);

        write_credential(c.directory, "etcd.password", "guessed");
        CHECK(place_init(&wrong, ETCD, c.endpoints));
        CHECK(strstr(problem_of(&wrong), "authentication failed"));

        unsetenv("MGMT_STORE_USER");
        CHECK(place_init(&nobody, ETCD, c.endpoints));
        CHECK_INT(read_range(&nobody, "open/k", false).error, -EACCES);
        unsetenv("CREDENTIALS_DIRECTORY");
}

/* An authority, and a certificate of it for both ends. */
static bool make_certificates(const char *directory) {
        char command[2048];

        snprintf(command, sizeof(command),
                 "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out etcd.ca -days 2 "
                 "-subj /CN=authority 2>/dev/null && "
                 "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout etcd.key -out host.csr -subj /CN=host 2>/dev/null && "
                 "printf 'subjectAltName=IP:127.0.0.1\\nextendedKeyUsage=serverAuth,clientAuth\\n' >ext && "
                 "openssl x509 -req -in host.csr -CA etcd.ca -CAkey ca.key -CAcreateserial -out etcd.cert -days 2 -extfile ext 2>/dev/null",
                 directory);
        return system(command) == 0;
}

TEST(certificates_of_both_ends) {
        char directory[] = "/tmp/test-tls-XXXXXX", ca[64], certificate[96], key[64], elsewhere[64];
        _cleanup_(place_done) Place known = {}, stranger = {}, trusting = {};
        _cleanup_(cluster_done) Cluster c = {};

        if (!cluster_available() || access("/usr/bin/openssl", X_OK) < 0)
                TEST_SKIP("etcd or openssl is not installed");
        CHECK(mkdtemp(directory));
        REQUIRE(make_certificates(directory));
        snprintf(ca, sizeof(ca), "%s/etcd.ca", directory);
        snprintf(certificate, sizeof(certificate), "%s/etcd.cert", directory);
        snprintf(key, sizeof(key), "%s/etcd.key", directory);
        cluster_init(&c, 1, &(ClusterOptions) { .ca = ca, .certificate = certificate, .key = key });

        setenv("CREDENTIALS_DIRECTORY", directory, 1);
        CHECK(place_init(&known, ETCD, c.endpoints));
        Answer a;
        do
                a = put(&known, "k", "1", NULL);
        while (a.error == -EHOSTDOWN);
        CHECK_INT(a.error, 0);
        CHECK_READ(&known, "k", false, "k=1");

        /* a server that nobody vouches for, and a client that shows no certificate */
        unsetenv("CREDENTIALS_DIRECTORY");
        CHECK(place_init(&stranger, ETCD, c.endpoints));
        CHECK(strstr(problem_of(&stranger), "certificate"));
        snprintf(elsewhere, sizeof(elsewhere), "%s/only-ca", directory);
        CHECK_INT(make_directories(elsewhere, 0700), 0);
        snprintf(certificate, sizeof(certificate), "%s/etcd.ca", elsewhere);
        CHECK_INT(link(ca, certificate), 0);
        setenv("CREDENTIALS_DIRECTORY", elsewhere, 1);
        CHECK(place_init(&trusting, ETCD, c.endpoints));
        CHECK(strstr(problem_of(&trusting), "certificate"));
        unsetenv("CREDENTIALS_DIRECTORY");
        (void) remove_tree(directory);
}

TEST(endpoints_that_are_none) {
        static const char *const cases[] = { "", ",", "localhost:2379", "ftp://a", "http://", "http://a/path", "http://a,b" };
        sd_event *event;

        CHECK(sd_event_new(&event) >= 0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(diag_done) Diag d = {};
                Store *s = NULL;

                CHECK_INT(store_open_etcd(&s, event, cases[i], &d), -EINVAL);
                CHECK(d.message && strstr(d.message, "endpoint"));
        }
        sd_event_unref(event);
}

STORES_MAIN()
