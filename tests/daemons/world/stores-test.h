/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A store of each kind, for cases that shall hold for all of them: STORES(name) { PLACE(p, b); … } */

#include <time.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "daemons/world/database.h"
#include "daemons/world/store.h"
#include "tests/daemons/world/etcd-cluster.h"
#include "tests/test.h"

typedef enum Backend { SQLITE, ETCD, _BACKEND_MAX } Backend;

typedef struct Place {
        char directory[64], path[96];
        sd_event *event;
        Database *database;
        Store *store;
} Place;

/* One member is enough for most, and all cases share it: each has keys of its own. */
static Cluster shared_cluster;

static inline uint64_t now_usec(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

#define RUN_FOR(place, condition, usec) \
        ({ \
                uint64_t _end = now_usec() + (usec); \
                bool _holds; \
                while (!(_holds = (condition)) && now_usec() < _end) \
                        (void) sd_event_run((place)->event, 20000); \
                _holds; \
        })

#define RUN_UNTIL(place, condition) RUN_FOR(place, condition, 30000000)

static inline void place_open(Place *p, Backend b, const char *endpoints) {
        if (b == ETCD) {
                CHECK_INT(store_open_etcd(&p->store, p->event, endpoints ?: shared_cluster.endpoints, NULL), 0);
                return;
        }
        CHECK_INT(database_open(&p->database, p->event, p->path, NULL), 0);
        CHECK_INT(store_open_sqlite(&p->store, p->database), 0);
}

static inline void place_close(Place *p) {
        p->database = database_free(p->database);
        p->store = store_free(p->store);
}

static inline bool place_init(Place *p, Backend b, const char *endpoints) {
        *p = (Place) { .directory = "/tmp/test-stores-XXXXXX" };
        if (b == ETCD && !endpoints && shared_cluster.n == 0) {
                if (!cluster_available())
                        return false;
                cluster_init(&shared_cluster, 1, NULL);
        }
        CHECK(mkdtemp(p->directory));
        snprintf(p->path, sizeof(p->path), "%s/world.sqlite", p->directory);
        CHECK(sd_event_new(&p->event) >= 0);
        place_open(p, b, endpoints);
        return true;
}

static inline void place_done(Place *p) {
        if (!p->event)
                return;
        place_close(p);
        sd_event_unref(p->event);
        (void) remove_tree(p->directory);
}

/* The case for each store: name(Backend). */
#define STORES(name) \
        static void name(Backend b); \
        TEST(name##_sqlite) { name(SQLITE); } \
        TEST(name##_etcd) { name(ETCD); } \
        static void name(Backend b)

#define PLACE(p, backend) \
        _cleanup_(place_done) Place p; \
        if (!place_init(&p, (backend), NULL)) \
                TEST_SKIP("etcd is not installed")

/* In place of TEST_MAIN(). */
#define STORES_MAIN() \
        int main(int argc, char *argv[]) { \
                int r = test_run(argc, argv); \
\
                if (shared_cluster.n > 0) \
                        cluster_done(&shared_cluster); \
                return r; \
        }
