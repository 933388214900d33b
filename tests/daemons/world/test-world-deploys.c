/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The deploys that hosts share, and what each host says of them, on both stores: numbers, parts, who is meant, what is removed, and
 * what is left when the answer of a write is lost or somebody dies in the middle. */

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>

#include "common/deploy.h"
#include "common/strbuf.h"
#include "daemons/world/cluster-deploys.h"
#include "daemons/world/cluster-entry.h"
#include "daemons/world/host-states.h"
#include "tests/daemons/world/stores-test.h"

/* ---- a store that loses answers ---- */

typedef struct Lossy {
        Store store;            /* first */
        Store *real;
        unsigned n_commits;
        unsigned lose;          /* the answer of this one; 0: none */
        bool before;            /* and the commit itself */
} Lossy;

typedef struct LostAnswer {
        store_callback_t callback;
        void *userdata;
} LostAnswer;

static Lossy *lossy(Store *s) {
        return container_of(s, Lossy, store);
}

static void on_lost(const StoreReply *reply, void *userdata) {
        LostAnswer *l = userdata;

        l->callback(&(StoreReply) { .error = -EINPROGRESS }, l->userdata);
        free(l);
}

static int lossy_read(Store *s, StoreRange range, store_callback_t callback, void *userdata, StoreCall **ret) {
        return store_read(lossy(s)->real, range, callback, userdata, ret);
}

static int lossy_commit(Store *s, const StoreCommit *commit, store_callback_t callback, void *userdata, StoreCall **ret) {
        Lossy *l = lossy(s);
        LostAnswer *lost;

        if (++l->n_commits != l->lose)
                return store_commit(l->real, commit, callback, userdata, ret);
        lost = malloc(sizeof(*lost));
        if (!lost)
                return -ENOMEM;
        *lost = (LostAnswer) { callback, userdata };
        if (l->before)
                return store_read(l->real, (StoreRange) { .key = "nothing" }, on_lost, lost, ret);
        return store_commit(l->real, commit, on_lost, lost, ret);
}

static void lossy_cancel(StoreCall *c) {
        c->store->ops->cancel(c);
}

static const StoreOps lossy_ops = { .read = lossy_read, .commit = lossy_commit, .cancel = lossy_cancel };

/* ---- helpers ---- */

typedef struct Answer {
        bool done;
        int error;
        size_t n;
        uint64_t id;
        char sources[512];      /* "id source hosts" of each, one a line */
        Value bundle;
} Answer;

static void on_answer(int error, const Deploy *deploys, size_t n, void *userdata) {
        Answer *a = userdata;
        int at = 0;

        a->done = true;
        a->error = error;
        a->n = n;
        a->id = n > 0 ? deploys[0].id : 0;
        a->sources[0] = 0;
        for (size_t i = 0; i < n; i++) {
                DeployOptions o = {};

                CHECK_INT(deploy_options_from_value(&o, deploys[i].options, NULL), 0);
                at += snprintf(a->sources + at, sizeof(a->sources) - (size_t) at, "%llu %s %s\n", (unsigned long long) deploys[i].id,
                               o.source, o.hosts);
                deploy_options_done(&o);
        }
        value_done(&a->bundle);
        a->bundle = n == 1 ? value_ref(deploys[0].bundle) : VALUE_NIL;
}

static void answer_done(Answer *a) {
        value_done(&a->bundle);
}

static Value text(const char *s) {
        Value v = {};

        CHECK_INT(value_strz(&v, s), 0);
        return v;
}

static Value make_bundle(size_t size) {
        Value items[4] = { text("/metadata.yaml"), text("main: main.mcl\n"), text("/main.mcl") }, ret = {};
        char *big = malloc(size + 1);

        if (!big)
                abort();
        for (size_t i = 0; i < size; i++)
                big[i] = (char) ('a' + (i * 7919 + i / 251) % 26);
        CHECK_INT(value_str(&items[3], big, size), 0);
        free(big);
        CHECK_INT(value_map(&ret, items, 2), 0);
        return ret;
}

static Value make_options(const char *source, const char *hosts) {
        DeployOptions o = {};
        Value ret = {}, s = text(source), h = text(hosts);

        CHECK_INT(deploy_options_from_value(&o, VALUE_NIL, NULL), 0);
        CHECK_INT(deploy_options_set(&o, "source", s, NULL), 0);
        CHECK_INT(deploy_options_set(&o, "hosts", h, NULL), 0);
        CHECK_INT(deploy_options_to_value(&o, &ret), 0);
        deploy_options_done(&o);
        value_done(&s);
        value_done(&h);
        return ret;
}

typedef struct What {
        const char *source, *hosts, *token;
        size_t size;
        uint64_t after, above;
} What;

static int start_add(ClusterDeploys *c, const What *w, Answer *a) {
        Value bundle = make_bundle(w->size), options = make_options(w->source ?: "s", w->hosts ?: "");
        int r;

        answer_done(a);
        *a = (Answer) {};
        r = cluster_deploys_add(c, &(ClusterAddition) { .bundle = bundle, .options = options, .after = w->after, .above = w->above,
                                                        .token = w->token }, on_answer, a, NULL);
        value_done(&bundle);
        value_done(&options);
        return r;
}

/* The number, or the error. */
static int64_t add(Place *p, ClusterDeploys *c, const What *w) {
        _cleanup_(answer_done) Answer a = {};

        CHECK_INT(start_add(c, w, &a), 0);
        CHECK(RUN_UNTIL(p, a.done));
        return a.error < 0 ? a.error : (int64_t) a.id;
}

#define ADD(p, c, ...) add((p), (c), &(What) { __VA_ARGS__ })

#define LIST(p, c, a) \
        do { \
                answer_done(a); \
                *(a) = (Answer) {}; \
                CHECK_INT(cluster_deploys_list((c), on_answer, (a)), 0); \
                CHECK(RUN_UNTIL((p), (a)->done)); \
                CHECK_INT((a)->error, 0); \
        } while (0)

#define GET(p, c, id, a) \
        do { \
                answer_done(a); \
                *(a) = (Answer) {}; \
                CHECK_INT(cluster_deploys_get((c), (id), on_answer, (a)), 0); \
                CHECK(RUN_UNTIL((p), (a)->done)); \
        } while (0)

typedef struct Seen {
        bool done;
        StrBuf keys;            /* one a line */
        size_t n;
} Seen;

static void on_seen(const StoreReply *reply, void *userdata) {
        Seen *s = userdata;

        CHECK_INT(reply->error, 0);
        for (size_t i = 0; i < reply->n; i++)
                strbuf_printf(&s->keys, "%s\n", reply->items[i].key);
        s->n = reply->n;
        s->done = true;
}

static void seen_done(Seen *s) {
        strbuf_done(&s->keys);
}

#define LOOK(p, prefix, s) \
        do { \
                StoreCall *_c; \
                seen_done(s); \
                *(s) = (Seen) {}; \
                CHECK_INT(store_read((p)->store, (StoreRange) { .key = (prefix), .below = true }, on_seen, (s), &_c), 0); \
                CHECK(RUN_UNTIL((p), (s)->done)); \
        } while (0)

static void on_wiped(const StoreReply *reply, void *userdata) {
        CHECK_INT(reply->error, 0);
        *(bool *) userdata = true;
}

/* All cases share an etcd, and there is one list. */
static void wipe(Place *p) {
        _cleanup_(seen_done) Seen s = {};
        char *rest, *key;

        LOOK(p, "deploys/", &s);
        rest = s.keys.data;
        while (rest && (key = strsep(&rest, "\n")) && *key) {
                StoreWrite w = { .key = key };
                bool done = false;
                StoreCall *c;

                CHECK_INT(store_commit(p->store, &(StoreCommit) { .writes = &w, .n_writes = 1 }, on_wiped, &done, &c), 0);
                CHECK(RUN_UNTIL(p, done));
        }
}

#define CLUSTER(p, c, backend) \
        PLACE(p, backend); \
        _cleanup_(cluster_deploys_freep) ClusterDeploys *c = NULL; \
        wipe(&p); \
        CHECK_INT(cluster_deploys_new(&c, p.store), 0)

/* What the cleanups of a case need to go before the place. */
#define END(c) (c = cluster_deploys_free(c))

/* ---- the cases ---- */

STORES(what_is_added_is_there) {
        _cleanup_(answer_done) Answer a = {};
        _cleanup_(value_done) Value small = make_bundle(10), big = make_bundle(1300 * 1000);
        _cleanup_(seen_done) Seen s = {};
        CLUSTER(p, c, b);

        LIST(&p, c, &a);
        CHECK_INT(a.n, 0);
        CHECK_INT(ADD(&p, c, .source = "one", .size = 10), 1);
        CHECK_INT(ADD(&p, c, .source = "two", .hosts = "h1,h2", .size = 1300 * 1000), 2);
        LOOK(&p, CLUSTER_PARTS, &s);
        CHECK_INT(s.n, 1 + 3);
        LIST(&p, c, &a);
        CHECK_STR(a.sources, "2 two h1,h2\n1 one \n");
        GET(&p, c, 1, &a);
        CHECK_STR(a.sources, "1 one \n");
        CHECK(value_equal(a.bundle, small));
        GET(&p, c, 2, &a);
        CHECK(value_equal(a.bundle, big));
        GET(&p, c, 3, &a);
        CHECK_INT(a.error, 0);
        CHECK_INT(a.n, 0);
        END(c);
}

STORES(what_is_too_large_is_refused) {
        _cleanup_(answer_done) Answer a = {};
        CLUSTER(p, c, b);

        CHECK_INT(start_add(c, &(What) { .size = (size_t) CLUSTER_PART_SIZE * CLUSTER_PARTS_MAX }, &a), -EFBIG);
        CHECK(!a.done);
        LIST(&p, c, &a);
        CHECK_INT(a.n, 0);
        END(c);
}

STORES(nobody_shares_a_number) {
        enum { N = 6 };
        Answer answers[2 * N] = {};
        bool taken[2 * N + 1] = {};
        _cleanup_(cluster_deploys_freep) ClusterDeploys *other = NULL;
        CLUSTER(p, c, b);

        CHECK_INT(cluster_deploys_new(&other, p.store), 0);
        for (unsigned i = 0; i < 2 * N; i++)
                CHECK_INT(start_add(i % 2 ? c : other, &(What) { .size = 10 }, &answers[i]), 0);
        for (unsigned i = 0; i < 2 * N; i++) {
                CHECK(RUN_UNTIL(&p, answers[i].done));
                CHECK_INT(answers[i].error, 0);
                REQUIRE(answers[i].id >= 1 && answers[i].id <= 2 * N);
                CHECK(!taken[answers[i].id]);
                taken[answers[i].id] = true;
                answer_done(&answers[i]);
        }
        other = cluster_deploys_free(other);
        END(c);
}

STORES(one_may_have_to_follow_another) {
        CLUSTER(p, c, b);

        CHECK_INT(ADD(&p, c, .size = 1), 1);
        CHECK_INT(ADD(&p, c, .size = 1, .after = 1), 2);
        CHECK_INT(ADD(&p, c, .size = 1, .after = 1), -ESTALE);
        CHECK_INT(ADD(&p, c, .size = 1, .after = 3), -ESTALE);
        CHECK_INT(ADD(&p, c, .size = 1, .above = 7), 8);
        CHECK_INT(ADD(&p, c, .size = 1, .above = 7), 9);
        END(c);
}

STORES(a_repeated_request_makes_no_second_one) {
        _cleanup_(answer_done) Answer a = {};
        CLUSTER(p, c, b);

        CHECK_INT(ADD(&p, c, .size = 1, .token = "x"), 1);
        CHECK_INT(ADD(&p, c, .size = 1, .token = "y"), 2);
        CHECK_INT(ADD(&p, c, .size = 1, .token = "x", .after = 7), 1);
        LIST(&p, c, &a);
        CHECK_INT(a.n, 2);
        END(c);
}

/* At each commit, whether or not it took place. */
STORES(a_lost_answer_does_no_harm) {
        _cleanup_(value_done) Value bundle = make_bundle(1300 * 1000);
        PLACE(p, b);

        for (unsigned k = 0; k < 2; k++)
                for (unsigned lose = 1; lose <= 4; lose++) {
                        Lossy l = { .store.ops = &lossy_ops, .real = p.store, .lose = lose, .before = k == 1 };
                        _cleanup_(cluster_deploys_freep) ClusterDeploys *c = NULL;
                        _cleanup_(answer_done) Answer a = {};

                        wipe(&p);
                        CHECK_INT(cluster_deploys_new(&c, &l.store), 0);
                        CHECK_INT(ADD(&p, c, .source = "big", .size = 1300 * 1000), 1);
                        CHECK(l.n_commits >= 4);
                        LIST(&p, c, &a);
                        CHECK_STR(a.sources, "1 big \n");
                        GET(&p, c, 1, &a);
                        CHECK(value_equal(a.bundle, bundle));
                        END(c);
                }
}

/* Whoever dies in the middle leaves nothing that counts, and nothing that stays. */
STORES(half_a_deploy_counts_for_nobody) {
        PLACE(p, b);

        for (unsigned n = 1; n <= 3; n++) {
                Lossy l = { .store.ops = &lossy_ops, .real = p.store };
                _cleanup_(cluster_deploys_freep) ClusterDeploys *dies = NULL, *c = NULL;
                _cleanup_(answer_done) Answer dead = {}, a = {};
                _cleanup_(seen_done) Seen s = {};

                wipe(&p);
                CHECK_INT(cluster_deploys_new(&c, p.store), 0);
                CHECK_INT(ADD(&p, c, .source = "before", .size = 1), 1);
                CHECK_INT(cluster_deploys_new(&dies, &l.store), 0);
                CHECK_INT(start_add(dies, &(What) { .size = 1300 * 1000 }, &dead), 0);
                CHECK(RUN_UNTIL(&p, l.n_commits > n));
                dies = cluster_deploys_free(dies);
                CHECK_INT(dead.error, -ECANCELED);
                LIST(&p, c, &a);
                CHECK_STR(a.sources, "1 before \n");
                GET(&p, c, 2, &a);
                CHECK_INT(a.n, 0);

                CHECK_INT(ADD(&p, c, .source = "after", .size = 1), 3);
                do
                        LOOK(&p, CLUSTER_LIST "00000000000000000002", &s);
                while (s.n > 0);
                LOOK(&p, CLUSTER_PARTS, &s);
                CHECK_STR(s.keys.data, CLUSTER_PARTS "00000000000000000001/0000\n" CLUSTER_PARTS "00000000000000000003/0000\n");
                END(c);
        }
}

typedef struct Follower {
        uint64_t newest;
        unsigned n;
} Follower;

static void on_newest(uint64_t id, uint64_t time_usec, void *userdata) {
        Follower *f = userdata;

        CHECK((id == 0) == (time_usec == 0));
        f->newest = id;
        f->n++;
}

STORES(a_host_follows_what_is_meant_for_it) {
        Follower h1 = { .newest = 99 }, h2 = { .newest = 99 };
        ClusterFollower *f1, *f2;
        CLUSTER(p, c, b);

        CHECK_INT(cluster_deploys_follow(c, "h1", on_newest, &h1, &f1), 0);
        CHECK(RUN_UNTIL(&p, h1.n == 1));
        CHECK_INT(h1.newest, 0);
        CHECK_INT(ADD(&p, c, .size = 1), 1);
        CHECK(RUN_UNTIL(&p, h1.newest == 1));
        CHECK_INT(cluster_deploys_follow(c, "h2", on_newest, &h2, &f2), 0);
        CHECK(RUN_UNTIL(&p, h2.newest == 1));
        CHECK_INT(ADD(&p, c, .size = 1, .hosts = "h0,h2"), 2);
        CHECK(RUN_UNTIL(&p, h2.newest == 2));
        CHECK_INT(ADD(&p, c, .size = 1300 * 1000), 3);
        CHECK(RUN_UNTIL(&p, h1.newest == 3 && h2.newest == 3));
        CHECK_INT(h1.n, 3);
        CHECK_INT(h2.n, 3);
        cluster_follower_free(f1);
        cluster_follower_free(f2);
        END(c);
}

STORES(old_deploys_are_removed_with_their_files) {
        enum { KEPT = CLUSTER_DEPLOYS_KEPT };
        _cleanup_(seen_done) Seen list = {}, parts = {};
        _cleanup_(answer_done) Answer a = {};
        CLUSTER(p, c, b);

        CHECK_INT(ADD(&p, c, .source = "all", .size = 600 * 1000), 1);
        CHECK_INT(ADD(&p, c, .source = "old", .hosts = "h1", .size = 600 * 1000), 2);
        for (int64_t i = 3; i <= KEPT + 3; i++)
                CHECK_INT(ADD(&p, c, .source = "some", .hosts = "h1", .size = 1), i);
        do {
                LOOK(&p, CLUSTER_LIST, &list);
        } while (list.n > KEPT + 1);
        LOOK(&p, CLUSTER_PARTS, &parts);
        CHECK_INT(list.n, KEPT + 1);
        CHECK_INT(parts.n, KEPT + 2);           /* the newest of all has two */
        LIST(&p, c, &a);
        CHECK(strstr(a.sources, "\n4 some h1\n1 all \n"));

        for (int64_t i = KEPT + 4; i <= 2 * KEPT + 3; i++)
                CHECK_INT(ADD(&p, c, .source = "all", .size = 1), i);
        do {
                LOOK(&p, CLUSTER_LIST "00000000000000000001", &list);
        } while (list.n > 0);
        LOOK(&p, CLUSTER_LIST, &list);
        LOOK(&p, CLUSTER_PARTS, &parts);
        CHECK_INT(list.n, 2 * KEPT);
        CHECK_INT(parts.n, 2 * KEPT);
        END(c);
}

/* Nobody may choke on what somebody else wrote. */
STORES(what_cannot_be_read_is_passed_over) {
        static const char *const bad[] = {
                "", "{", "[]", "{}", "null", "{\"options\":{}}", "{\"n_parts\":1}",
                "{\"n_parts\":65,\"complete\":true,\"options\":{}}",
                "{\"n_parts\":1,\"size_bytes\":600000,\"complete\":true,\"options\":{}}",
                "{\"n_parts\":-1,\"complete\":true,\"options\":{}}",
                "{\"n_parts\":1,\"complete\":\"yes\",\"options\":{}}",
        };
        Follower h1 = { .newest = 99 };
        ClusterFollower *f;
        _cleanup_(answer_done) Answer a = {};
        CLUSTER(p, c, b);

        CHECK_INT(cluster_deploys_follow(c, "h1", on_newest, &h1, &f), 0);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_free_ char *key = cluster_entry_key(100 + i);
                StoreWrite w = { .key = key, .data = bad[i], .size = strlen(bad[i]) };
                bool done = false;
                StoreCall *call;

                CHECK_INT(store_commit(p.store, &(StoreCommit) { .writes = &w, .n_writes = 1 }, on_wiped, &done, &call), 0);
                CHECK(RUN_UNTIL(&p, done));
                GET(&p, c, 100 + i, &a);
                CHECK_INT(a.error, -EBADMSG);
        }
        LIST(&p, c, &a);
        CHECK_INT(a.n, 0);
        CHECK_INT(ADD(&p, c, .size = 1), 100 + ELEMENTSOF(bad));        /* a later version may be able to */
        CHECK(RUN_UNTIL(&p, h1.newest == 100 + ELEMENTSOF(bad)));
        cluster_follower_free(f);
        END(c);
}

/* ---- what hosts say ---- */

typedef struct Hosts {
        StrBuf said;            /* "host deploy state text" per line */
        unsigned n_told;
} Hosts;

static void on_host(const char *host, uint64_t deploy, const char *state, const char *reason, void *userdata) {
        strbuf_printf(&((Hosts *) userdata)->said, "%s %llu %s %s\n", host, (unsigned long long) deploy, state ?: "gone", reason ?: "");
}

static void on_told(void *userdata) {
        ((Hosts *) userdata)->n_told++;
}

static bool said(const Hosts *h, const char *line) {
        return h->said.data && strstr(h->said.data, line);
}

STORES(each_host_says_what_has_become_of_its_deploy) {
        static const HostStatesOps ops = { .state = on_host, .told = on_told };
        HostPublisher *h1 = NULL, *h2 = NULL;
        Hosts hosts = {}, late = {};
        HostStates *watch = NULL, *watch_late = NULL;
        char long_text[3000];
        PLACE(p, b);

        wipe(&p);
        CHECK_INT(host_states_watch(&watch, p.store, &ops, &hosts), 0);
        CHECK(RUN_UNTIL(&p, hosts.n_told == 1));
        CHECK_INT(hosts.said.size, 0);
        CHECK_INT(host_publisher_new(&h1, p.event, p.store, "a/b"), -EINVAL);
        CHECK_INT(host_publisher_new(&h1, p.event, p.store, "h1"), 0);
        CHECK(RUN_UNTIL(&p, said(&hosts, "h1 0 unknown \n")));
        host_publisher_set(h1, 5, DEPLOY_ACCEPTED, NULL);
        CHECK(RUN_UNTIL(&p, said(&hosts, "h1 5 accepted \n")));
        host_publisher_set(h1, 5, DEPLOY_FAILED, "exec[x]: no");
        CHECK(RUN_UNTIL(&p, said(&hosts, "h1 5 failed exec[x]: no\n")));

        /* The next deploy is news at once; the same one again and again is not. */
        host_publisher_set(h1, 5, DEPLOY_CONVERGED, NULL);
        host_publisher_set(h1, 6, DEPLOY_CONVERGED, NULL);
        CHECK(RUN_UNTIL(&p, said(&hosts, "h1 6 converged \n")));
        CHECK(!said(&hosts, "h1 5 converged"));

        memset(long_text, 'x', sizeof(long_text) - 1);
        long_text[sizeof(long_text) - 1] = 0;
        CHECK_INT(host_publisher_new(&h2, p.event, p.store, "h2"), 0);
        host_publisher_set(h2, 6, DEPLOY_REFUSED, long_text);
        CHECK(RUN_UNTIL(&p, said(&hosts, "h2 6 refused xxx")));
        CHECK_INT(host_states_watch(&watch_late, p.store, &ops, &late), 0);
        CHECK(RUN_UNTIL(&p, late.n_told == 1));
        CHECK(startswith(late.said.data, "h1 6 converged \nh2 6 refused xxx"));
        CHECK(late.said.size < 1100);
        CHECK_INT(hosts.n_told, 1);

        host_publisher_free(h1);
        host_publisher_free(h2);
        host_states_free(watch);
        host_states_free(watch_late);
        strbuf_done(&hosts.said);
        strbuf_done(&late.said);
}

/* News of what was removed may be lost in a snapshot. */
TEST(hosts_that_are_not_in_a_later_snapshot_are_gone) {
        static const HostStatesOps ops = { .state = on_host, .told = on_told };
        HostPublisher *h1 = NULL;
        HostStates *watch = NULL;
        Hosts hosts = {};
        PLACE(p, SQLITE);

        CHECK_INT(host_states_watch(&watch, p.store, &ops, &hosts), 0);
        CHECK_INT(host_publisher_new(&h1, p.event, p.store, "h1"), 0);
        host_publisher_set(h1, 5, DEPLOY_CONVERGED, NULL);
        CHECK(RUN_UNTIL(&p, said(&hosts, "h1 5 converged \n")));

        /* by somebody else, who tells nobody */
        sqlite3 *db;
        CHECK_INT(sqlite3_open(p.path, &db), SQLITE_OK);
        CHECK_INT(sqlite3_exec(db, "DELETE FROM entries WHERE key = 'deploys/hosts/h1'", NULL, NULL, NULL), SQLITE_OK);
        CHECK_INT(sqlite3_close(db), SQLITE_OK);
        store_changed(p.store);
        CHECK(RUN_UNTIL(&p, said(&hosts, "h1 0 gone \n")));
        host_publisher_free(h1);
        host_states_free(watch);
        strbuf_done(&hosts.said);
}

STORES_MAIN()
