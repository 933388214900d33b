/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Whatever the store has acknowledged is there after a kill between any two writes, and after a power cut at any of them; what it has not
 * acknowledged is there as a whole or not at all. MGMT_SEED plays one draw of the sectors again, MGMT_ROWS=N
 * draws N new ones. */

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "tests/daemons/world/faulty-disk.h"
#include "tests/daemons/world/stores-test.h"

enum { COMMITS = 14, SLOTS = 5, REOPEN_AT = 7 };

typedef struct Commit {
        bool came;
        int error;
} Commit;

static void on_committed(const StoreReply *reply, void *userdata) {
        *(Commit *) userdata = (Commit) { .came = true, .error = reply->error };
}

/* Two keys at once, the second of them large, some of them in place of older ones. */
static void commit(Place *p, unsigned i, Commit *ret) {
        char a[32], b[32], value[16], big[6000];
        StoreWrite w[2] = { { .key = a, .data = value }, { .key = b, .data = big, .size = sizeof(big) } };
        StoreCall *c;

        snprintf(a, sizeof(a), "c/a/%u", i % SLOTS);
        snprintf(b, sizeof(b), "c/b/%u", i % SLOTS);
        w[0].size = (size_t) snprintf(value, sizeof(value), "%u", i);
        memset(big, 'a' + (int) i, sizeof(big));
        CHECK_INT(store_commit(p->store, &(StoreCommit) { .writes = w, .n_writes = 2 }, on_committed, ret, &c), 0);
}

/* Of each slot, which commit wrote its two keys; -1: there are none. */
typedef struct Found {
        bool came;
        int error, small[SLOTS], big[SLOTS];
} Found;

static void on_found(const StoreReply *reply, void *userdata) {
        Found *f = userdata;

        f->came = true;
        f->error = reply->error;
        for (size_t i = 0; i < reply->n; i++) {
                const StoreItem *item = &reply->items[i];
                unsigned slot = (unsigned) atoi(item->key + 4);

                if (item->key[2] == 'a')
                        f->small[slot] = atoi(item->data);
                else
                        f->big[slot] = *(const char *) item->data - 'a';
        }
}

static void judge(Place *p, const Commit *commits, unsigned n_tried, unsigned operation) {
        Found f = {};
        StoreCall *c;

        for (unsigned i = 0; i < SLOTS; i++)
                f.small[i] = f.big[i] = -1;
        CHECK_INT(store_read(p->store, (StoreRange) { "c/", true }, on_found, &f, &c), 0);
        CHECK(RUN_UNTIL(p, f.came));
        CHECK_INT(f.error, 0);
        for (unsigned slot = 0; slot < SLOTS; slot++) {
                int acknowledged = -1, tried = -1;

                for (unsigned i = slot; i < n_tried; i += SLOTS) {
                        tried = (int) i;
                        if (commits[i].came && commits[i].error >= 0)
                                acknowledged = (int) i;
                }
                if (f.small[slot] != f.big[slot])
                        TEST_FAIL("operation %u: slot %u has halves of %d and %d", operation, slot, f.small[slot], f.big[slot]);
                if (f.small[slot] < acknowledged || f.small[slot] > tried)
                        TEST_FAIL("operation %u: slot %u is of %d, and %d was acknowledged, %d tried", operation, slot, f.small[slot],
                                  acknowledged, tried);
        }
}

/* Commits until it is cut off; some share a transaction with the next. In between the log is written back and removed. */
static unsigned work(Place *p, Commit *commits) {
        unsigned i;

        for (i = 0; i < COMMITS && !faulty_disk_failed(); i++) {
                if (i == REOPEN_AT) {
                        place_close(p);
                        if (database_open(&p->database, p->event, p->path, NULL) < 0 || store_open_sqlite(&p->store, p->database) < 0)
                                return i;
                }
                commit(p, i, &commits[i]);
                if (i % 3 != 1)
                        CHECK(RUN_UNTIL(p, commits[i].came));
        }
        return i;
}

/* False if there was no such operation. */
static bool play(unsigned operation, bool power_cut, uint64_t seed) {
        Commit commits[COMMITS] = {};
        unsigned n_tried;
        bool cut_off;
        Place p;

        CHECK(place_init(&p, SQLITE, NULL));
        faulty_disk_fail_at(operation);
        n_tried = work(&p, commits);
        cut_off = faulty_disk_failed();
        if (!cut_off)
                (void) RUN_UNTIL(&p, commits[COMMITS - 1].came);
        if (p.store)
                place_close(&p);
        else
                p.database = database_free(p.database);
        faulty_disk_crash(power_cut, seed);
        place_open(&p, SQLITE, NULL);
        judge(&p, commits, n_tried, operation);
        place_done(&p);
        return cut_off;
}

static uint64_t number_of(const char *variable, uint64_t otherwise) {
        const char *text = getenv(variable);

        return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

TEST(killed_between_any_two_writes) {
        unsigned n = 1;

        while (play(n, false, 0))
                n++;
        printf("# at each of %u operations\n", n - 1);
        CHECK(n > COMMITS * 2);
}

TEST(power_cut_at_any_write) {
        uint64_t seed = number_of("MGMT_SEED", getenv("MGMT_ROWS") ? now_usec() % 1000000 : 1), rows = number_of("MGMT_ROWS", 3);
        unsigned n;

        printf("# seed %llu\n", (unsigned long long) seed);
        for (uint64_t i = 0; i < rows; i++)
                for (n = 1; play(n, true, seed + i * 1000 + n);)
                        n++;
}

int main(int argc, char *argv[]) {
        faulty_disk_install();
        return test_run(argc, argv);
}
