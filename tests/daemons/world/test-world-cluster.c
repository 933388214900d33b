/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What only happens to a store that is a cluster: members and links that fail, users, certificates. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

#include "daemons/world/store-etcd.h"
#include "tests/daemons/world/proxy.h"
#include "tests/daemons/world/store-calls.h"

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

/* ---- links that fail ---- */

/* A host, and the network between it and the members. */
typedef struct Far {
        Place place;
        Proxy *links[CLUSTER_MAX];
        unsigned n;
} Far;

static void hold_link(Far *f, unsigned i, bool held) {
        proxy_hold(f->links[i], 0, held, held);
}

static void far_init(Far *f, const Cluster *c) {
        char endpoints[256] = "";

        *f = (Far) { .n = c->n };
        CHECK(sd_event_new(&f->place.event) >= 0);
        for (unsigned i = 0; i < c->n; i++) {
                size_t n = strlen(endpoints);

                f->links[i] = proxy_new(f->place.event, false);
                proxy_set_target(f->links[i], c->client_ports[i]);
                snprintf(endpoints + n, sizeof(endpoints) - n, "%shttp://127.0.0.1:%d", i > 0 ? "," : "", proxy_port(f->links[i]));
        }
        place_open(&f->place, ETCD, endpoints);
}

static void far_done(Far *f) {
        if (!f->place.event)
                return;
        place_close(&f->place);
        for (unsigned i = 0; i < f->n; i++)
                proxy_free(f->links[i]);
        sd_event_unref(f->place.event);
}

static Answer put_until_done(Place *p, const char *key, const char *data) {
        Answer a;

        do
                a = put(p, key, data, NULL);
        while (a.error == -EINPROGRESS || a.error == -EHOSTDOWN);
        return a;
}

/* Whichever one it is at: the two that say nothing cost the time of one. */
TEST(one_link_of_three_is_enough) {
        CLUSTER(c, 3);
        _cleanup_(far_done) Far f = {};

        far_init(&f, &c);
        CHECK_INT(put_until_done(&f.place, "k", "1").error, 0);
        for (unsigned good = 3; good-- > 0;) {
                for (unsigned i = 0; i < 3; i++)
                        hold_link(&f, i, i != good);
                CHECK_READ(&f.place, "k", false, "k=1");
                CHECK(!store_problem(f.place.store));
        }
}

/* The one that is asked last of all, if they are asked one after the other: it was asked before the one that is asked just now. */
static unsigned least_wanted(Far *f) {
        unsigned before[CLUSTER_MAX], order[CLUSTER_MAX], n = 0;

        for (unsigned i = 0; i < f->n; i++)
                before[i] = proxy_n_connections(f->links[i]);
        for (uint64_t end = now_usec() + 30000000; n < f->n && now_usec() < end;) {
                for (unsigned i = 0; i < f->n && n < f->n; i++)
                        if (proxy_n_connections(f->links[i]) != before[i]) {
                                before[i] = proxy_n_connections(f->links[i]);
                                order[n++] = i;
                        }
                (void) sd_event_run(f->place.event, 20000);
        }
        CHECK(n == f->n);
        return order[f->n - 2];
}

/* All that goes on while all links are dead are questions with pauses, at most five seconds; so it takes no longer than that, whichever
 * link heals, and what waits is told. */
TEST(a_link_that_heals_is_noticed_soon) {
        CLUSTER(c, 3);
        _cleanup_(far_done) Far f = {};
        Seen seen = {};
        StoreWatch *w;
        Held held = {};
        StoreLease *l;

        far_init(&f, &c);
        CHECK_INT(put_until_done(&f.place, "k", "1").error, 0);
        CHECK_INT(store_watch(f.place.store, (StoreRange) { .key = "k" }, on_news, &seen, &w), 0);
        CHECK_INT(store_lease_new(f.place.store, 3, on_lease, &held, &l), 0);
        CHECK(RUN_UNTIL(&f.place, seen.n_snapshots == 1 && held.n_held == 1));
        for (unsigned i = 0; i < 3; i++)
                hold_link(&f, i, true);
        CHECK(RUN_UNTIL(&f.place, store_problem(f.place.store) && held.n_lost == 1));
        unsigned link = least_wanted(&f), before = proxy_n_connections(f.links[link]);
        uint64_t healed = now_usec();
        hold_link(&f, link, false);
        CHECK(RUN_UNTIL(&f.place, proxy_n_connections(f.links[link]) != before));
        CHECK(now_usec() - healed < 8000000);           /* five seconds, and what a busy machine adds */
        CHECK(RUN_UNTIL(&f.place, held.n_held == 2 && seen.n_back == 1));
        CHECK(!store_problem(f.place.store));
        CHECK_READ(&f.place, "k", false, "k=1");
        CHECK_INT(put(&f.place, "k", "2", NULL).error, 0);
        CHECK(RUN_UNTIL(&f.place, strstr(seen.text, "k=2")));
        CHECK_INT(seen.n_snapshots, 1);
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

/* It answers again as soon as it is asked whether it does. */
TEST(a_member_that_is_slow_for_a_moment_is_not_given_up) {
        CLUSTER(c, 1);
        _cleanup_(far_done) Far f = {};
        Answer late = {};
        Seen seen = {};
        StoreWatch *w;
        StoreCall *call;
        unsigned before;

        far_init(&f, &c);
        CHECK_INT(put_until_done(&f.place, "k", "1").error, 0);
        CHECK_INT(store_watch(f.place.store, (StoreRange) { .key = "k" }, on_news, &seen, &w), 0);
        CHECK(RUN_UNTIL(&f.place, seen.n_snapshots == 1));
        CHECK_INT(put(&f.place, "k", "2", NULL).error, 0);
        CHECK(RUN_UNTIL(&f.place, seen.n_items == 1));
        Etcd *etcd = etcd_store(f.place.store)->etcd;
        before = etcd_generation(etcd);
        hold_link(&f, 0, true);
        CHECK_INT(store_read(f.place.store, (StoreRange) { .key = "k" }, on_answer, &late, &call), 0);
        CHECK(RUN_UNTIL(&f.place, etcd_generation(etcd) != before));   /* nothing came for too long */
        hold_link(&f, 0, false);
        CHECK(RUN_UNTIL(&f.place, late.came));
        CHECK_INT(late.error, 0);
        CHECK(!store_problem(f.place.store));
        CHECK_INT(put(&f.place, "k", "3", NULL).error, 0);
        CHECK(RUN_UNTIL(&f.place, seen.n_items == 2));
        CHECK_INT(seen.n_back, 0);
        store_watch_free(w);
}

/* ---- a backup ---- */

/* Revisions go back; what stood under the lease goes on the lease being taken anew. */
static void check_restored(unsigned n_writes_since, unsigned n_writes_of_others) {
        _cleanup_(cluster_done) Cluster c = {};
        _cleanup_(place_done) Place p, other = {};
        Seen seen = {};
        Held held = {};
        StoreLease *l;
        StoreWatch *w;
        char text[16];

        cluster_init(&c, 1, NULL);
        CHECK(place_init(&p, ETCD, c.endpoints));
        CHECK_INT(put_until_done(&p, "k/old", "1").error, 0);
        CHECK_INT(store_watch(p.store, (StoreRange) { "k/", true }, on_news, &seen, &w), 0);
        CHECK_INT(store_lease_new(p.store, 30, on_lease, &held, &l), 0);
        CHECK(RUN_UNTIL(&p, seen.n_snapshots == 1 && held.n_held == 1));
        CHECK(cluster_back_up(&c));
        for (unsigned i = 0; i < n_writes_since; i++) {
                snprintf(text, sizeof(text), "%u", i);
                CHECK_INT(put(&p, "k/lost", text, l).error, 0);
        }
        CHECK(RUN_UNTIL(&p, seen.n_items == n_writes_since));
        CHECK(cluster_restore(&c));
        CHECK(place_init(&other, ETCD, c.endpoints));
        for (unsigned i = 0; i < n_writes_of_others; i++)
                CHECK_INT(put_until_done(&other, "others", "1").error, 0);

        CHECK(RUN_UNTIL(&p, seen.n_anew == 1 && held.n_lost == 1 && held.n_held == 2));
        CHECK_STR(strrchr(seen.text, '['), "[ k/old=1 ]");
        CHECK_INT(put_until_done(&p, "k/new", "1").error, 0);
        CHECK(RUN_UNTIL(&p, strstr(seen.text, "] k/new=1")));
        CHECK_INT(seen.n_anew, 1);
        CHECK_INT(held.n_lost, 1);
        store_lease_free(l, true);
        store_watch_free(w);
}

TEST(a_cluster_that_is_restored_from_a_backup) {
        if (!cluster_can_back_up())
                TEST_SKIP("etcd or etcdctl is not installed");
        check_restored(5, 0);
}

TEST(a_cluster_that_is_restored_while_nobody_writes) {
        if (!cluster_can_back_up())
                TEST_SKIP("etcd or etcdctl is not installed");
        check_restored(1, 0);
}

/* Before this host is back: revisions alone do not tell. */
TEST(a_cluster_that_is_restored_and_written_to) {
        if (!cluster_can_back_up())
                TEST_SKIP("etcd or etcdctl is not installed");
        check_restored(2, 20);
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

typedef struct Certificates {
        char directory[32], ca[64], certificate[64], key[64];
} Certificates;

/* A cluster of one that believes, and shows, certificates only. It borrows their paths. */
static void start_secured(Cluster *ret, Certificates *t) {
        snprintf(t->directory, sizeof(t->directory), "/tmp/test-tls-XXXXXX");
        REQUIRE(mkdtemp(t->directory));
        REQUIRE(make_certificates(t->directory));
        snprintf(t->ca, sizeof(t->ca), "%s/etcd.ca", t->directory);
        snprintf(t->certificate, sizeof(t->certificate), "%s/etcd.cert", t->directory);
        snprintf(t->key, sizeof(t->key), "%s/etcd.key", t->directory);
        cluster_init(ret, 1, &(ClusterOptions) { .ca = t->ca, .certificate = t->certificate, .key = t->key });
}

TEST(certificates_of_both_ends) {
        char link_to_ca[96], elsewhere[64];
        Certificates t;
        _cleanup_(place_done) Place known = {}, stranger = {}, trusting = {};
        _cleanup_(cluster_done) Cluster c = {};

        if (!cluster_available() || access("/usr/bin/openssl", X_OK) < 0)
                TEST_SKIP("etcd or openssl is not installed");
        start_secured(&c, &t);

        setenv("CREDENTIALS_DIRECTORY", t.directory, 1);
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
        snprintf(elsewhere, sizeof(elsewhere), "%s/only-ca", t.directory);
        CHECK_INT(make_directories(elsewhere, 0700), 0);
        snprintf(link_to_ca, sizeof(link_to_ca), "%s/etcd.ca", elsewhere);
        CHECK_INT(link(t.ca, link_to_ca), 0);
        setenv("CREDENTIALS_DIRECTORY", elsewhere, 1);
        CHECK(place_init(&trusting, ETCD, c.endpoints));
        CHECK(strstr(problem_of(&trusting), "certificate"));
        unsetenv("CREDENTIALS_DIRECTORY");
        (void) remove_tree(t.directory);
}

/* An authority and certificates that replace those of before, under the same names. */
TEST(certificates_that_are_renewed) {
        Certificates t;
        _cleanup_(place_done) Place p = {};
        _cleanup_(cluster_done) Cluster c = {};

        if (!cluster_available() || access("/usr/bin/openssl", X_OK) < 0)
                TEST_SKIP("etcd or openssl is not installed");
        start_secured(&c, &t);
        setenv("CREDENTIALS_DIRECTORY", t.directory, 1);
        CHECK(place_init(&p, ETCD, c.endpoints));
        unsetenv("CREDENTIALS_DIRECTORY");
        CHECK_INT(put_until_done(&p, "k", "1").error, 0);

        cluster_signal(&c, 0, SIGKILL);
        REQUIRE(make_certificates(t.directory));
        cluster_start(&c, 0);
        CHECK_INT(put_until_done(&p, "k", "2").error, 0);
        CHECK_READ(&p, "k", false, "k=2");
        (void) remove_tree(t.directory);
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

TEST_MAIN()
