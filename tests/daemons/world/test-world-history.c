/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Five hosts on a cluster of three, for some seconds (MGMT_SECONDS; 1800 for a night): they write keys, export, and put themselves forward,
 * at random, while hosts and members are killed, members stand still, and what goes over the network is held back: between a host and
 * a member, or all of them, or between two members, in one direction or both. What each host was told is kept, and judged:
 *
 * - No acknowledged write of a key is lost: what is read was written, and not overwritten before that by a write that began after it
 *   had been acknowledged.
 * - At no moment are more hosts chosen than shall be, and those that are chosen have a vote, or had one when the leader looked last.
 * - In the end, when all are well again, every host collects exactly what is exported, and is told of the same decision.
 *
 * The seed is printed; MGMT_SEED plays it again, as far as real time lets it. */

#include <errno.h>
#include <signal.h>

#include "common/message.h"
#include "daemons/world/collector.h"
#include "daemons/world/exporter.h"
#include "daemons/world/keys.h"
#include "daemons/world/schedule.h"
#include "tests/daemons/world/proxy.h"
#include "tests/daemons/world/stores-test.h"
#include "tests/random.h"

enum { HOSTS = 5, MEMBERS = 3, KEYS = 4, EXPORTS = 6, MAX_CHOSEN = 2, WRITES_MAX = 1000000 };

#define CLUSTER_USEC (UINT64_C(120) * 1000000)
#define ANSWERS_USEC (UINT64_C(10) * 1000000)  /* hosts look for the cluster every five seconds at least */

typedef struct History History;

typedef struct Host {
        History *history;
        unsigned index;
        char name[8];
        bool up;
        Proxy *links[MEMBERS];
        bool held[MEMBERS];             /* such a link */
        char endpoints[256];
        Store *store;
        Keys *keys;
        Exporter *exporter;
        Collectors *collectors;
        Schedules *schedules;
        Vote *vote;
        ScheduleWatch *watch;
        char chosen[64];
        Collecting *collecting;
        char collected[512];
        unsigned exports[EXPORTS];      /* version of each; 0: not exported */
        bool candidate;                 /* shall be one */
        unsigned n_busy;                /* writes of keys under way */
        bool has_read;                  /* in the end */
} Host;

typedef enum Outcome { UNDER_WAY, ACKNOWLEDGED, UNKNOWN, REFUSED } Outcome;

typedef struct Write {
        Host *host;
        unsigned key, value;
        uint64_t began, ended;  /* usec; ended 0: never */
        Outcome outcome;
} Write;

struct History {
        Place *place;
        Cluster *cluster;
        Random random;
        Host hosts[HOSTS];
        Write *writes;
        size_t n_writes;
        uint64_t acknowledged[KEYS];    /* when one of its writes was first; 0: none was */
        unsigned n_reads, n_chosen, n_host_deaths, n_member_deaths, n_stops, n_held, n_parted;
        bool ends;
        bool stopped[MEMBERS];
        Proxy *peers[MEMBERS];
        bool parted[MEMBERS][MEMBERS];  /* what the first says does not come to the second */
};

/* ---- keys ---- */

/* Whether value may be what a key held at some moment between began and ended. */
static bool may_be(const History *h, unsigned key, unsigned value, uint64_t began, uint64_t ended) {
        const Write *mine = value > 0 && value <= h->n_writes ? &h->writes[value - 1] : NULL;

        if (value == 0)         /* not there: nothing was acknowledged before */
                return h->acknowledged[key] == 0 || h->acknowledged[key] >= began;
        if (!mine || mine->key != key || mine->outcome == REFUSED || mine->began > ended)
                return false;
        if (mine->outcome != ACKNOWLEDGED)
                return true;    /* it may have happened at any moment since */
        for (const Write *w = &h->writes[h->n_writes - 1]; w > mine && w->began > mine->ended; w--)
                if (w->key == key && w->outcome == ACKNOWLEDGED && w->ended < began)
                        return false;
        return true;
}

static void on_written(const KeysReply *reply, void *userdata) {
        Write *w = userdata;
        History *h = w->host->history;

        w->host->n_busy--;
        w->ended = now_usec();
        w->outcome = reply->error >= 0 ? ACKNOWLEDGED : reply->error == -EHOSTDOWN ? REFUSED : UNKNOWN;
        if (w->outcome == ACKNOWLEDGED && h->acknowledged[w->key] == 0)
                h->acknowledged[w->key] = w->ended;
}

static void write_key(History *h, Host *host) {
        _cleanup_(value_done) Value v = {};
        KeysCall *c;
        Write *w;
        char key[16], text[16];

        if (h->n_writes == WRITES_MAX || host->n_busy > 3)
                return;
        w = &h->writes[h->n_writes++];
        *w = (Write) { .host = host, .key = random_pick(&h->random, KEYS), .value = (unsigned) h->n_writes, .began = now_usec() };
        snprintf(key, sizeof(key), "k%u", w->key);
        snprintf(text, sizeof(text), "%u", w->value);
        CHECK_INT(value_strz(&v, text), 0);
        host->n_busy++;
        CHECK_INT(keys_set(host->keys, key, NULL, v, NULL, on_written, w, &c), 0);
}

typedef struct Reading {
        Host *host;
        unsigned key;
        uint64_t began;
} Reading;

static void read_key(History *h, Host *host);

static void on_read(const KeysReply *reply, void *userdata) {
        _cleanup_free_ Reading *r = userdata;
        History *h = r->host->history;
        unsigned value;

        if (reply->error < 0) {
                if (h->ends && reply->error != -ECANCELED)
                        read_key(h, r->host);
                return;
        }
        value = reply->value.kind == TYPE_NIL ? 0 : (unsigned) atoi(value_cstr(reply->value));
        h->n_reads++;
        r->host->has_read = h->ends;
        if (!may_be(h, r->key, value, r->began, now_usec()))
                TEST_FAIL("key %u was read as %u, which was overwritten or never written", r->key, value);
}

static void read_key(History *h, Host *host) {
        Reading *r = malloc(sizeof(*r));
        KeysCall *c;
        char key[16];

        *r = (Reading) { .host = host, .key = random_pick(&h->random, KEYS), .began = now_usec() };
        snprintf(key, sizeof(key), "k%u", r->key);
        CHECK_INT(keys_get(host->keys, key, NULL, on_read, r, &c), 0);
}

/* ---- exports ---- */

static void export(Host *host, unsigned i, unsigned version) {
        _cleanup_(value_done) Value parts = {};
        Value all = VALUE_NIL, part = VALUE_NIL, items[2] = {};
        char name[16], text[16];

        host->exports[i] = version;
        snprintf(name, sizeof(name), "e%u", i);
        snprintf(text, sizeof(text), "%u", version);
        if (version == 0) {
                CHECK(exporter_message(host->exporter, NULL, 0, &(Message) {
                        .type = MESSAGE_EXPORT_REMOVE, .export_remove = { .kind = (char *) "file", .name = name } }));
                return;
        }
        CHECK_INT(value_strz(&all, "*"), 0);
        CHECK_INT(value_list(&items[0], &all, 1), 0);
        CHECK_INT(value_strz(&items[1], text), 0);
        CHECK_INT(value_struct(&part, (const char *const[]) { "hosts", "data" }, items, 2), 0);
        CHECK_INT(value_list(&parts, &part, 1), 0);
        CHECK(exporter_message(host->exporter, NULL, 0, &(Message) {
                .type = MESSAGE_EXPORT_PUT, .export_put = { .kind = (char *) "file", .name = name, .parts = parts } }));
}

static void on_records(const CollectRecord *const *records, size_t n, void *userdata) {
        Host *host = userdata;
        size_t k = 0;

        host->collected[0] = 0;
        for (size_t i = 0; i < n && k < sizeof(host->collected); i++)
                k += (size_t) snprintf(host->collected + k, sizeof(host->collected) - k, "%s@%s=%s ", records[i]->name,
                                       records[i]->host, value_cstr(records[i]->data));
}

static void all_exports(const History *h, char *text, size_t size) {
        size_t k = 0;

        text[0] = 0;
        for (unsigned i = 0; i < EXPORTS; i++)
                for (unsigned n = 0; n < HOSTS; n++)
                        if (h->hosts[n].exports[i] > 0)
                                k += (size_t) snprintf(text + k, size - k, "e%u@%s=%u ", i, h->hosts[n].name, h->hosts[n].exports[i]);
}

/* ---- schedules ---- */

static void on_chosen(const char *chosen, void *userdata) {
        Host *host = userdata;

        snprintf(host->chosen, sizeof(host->chosen), "%s", chosen);
}

static void cast(Host *host);

/* What cannot be reached tells when it is back; what was refused is asked for again. */
static void on_cast(int error, const char *problem, bool changed, void *userdata) {
        if (error < 0 && error != -EHOSTDOWN && error != -ESTALE)
                cast(userdata);
}

static void on_vote_event(void *userdata);

static void cast(Host *host) {
        VoteOptions o = { .strategy = "rr", .max = MAX_CHOSEN, .ttl_sec = 3 };

        vote_cancel(host->vote);
        CHECK_INT(host->candidate ? vote_cast(host->vote, &o, true, on_cast, host) : vote_withdraw(host->vote, true, on_cast, host), 0);
}

static void on_vote_event(void *userdata) {
        cast(userdata);
}

/* The votes and the decision of one moment. */
static void on_schedule(const StoreReply *reply, void *userdata) {
        History *h = userdata;
        unsigned n = 0;

        for (size_t i = 0; reply->error >= 0 && i < reply->n; i++) {
                const StoreItem *item = &reply->items[i];

                if (!streq(item->key, "schedule/chosen/n"))
                        continue;
                n = 1;
                for (const char *c = item->data; *c; c++)
                        n += *c == ',';
                h->n_chosen++;
        }
        if (n > MAX_CHOSEN)
                TEST_FAIL("%u hosts are chosen", n);
}

static void look_at_schedule(History *h, Host *host) {
        StoreCall *c;

        CHECK_INT(store_read(host->store, (StoreRange) { "schedule/", true }, on_schedule, h, &c), 0);
}

/* ---- hosts and members ---- */

static void host_up(Host *host) {
        host->up = true;
        host->n_busy = 0;
        CHECK_INT(store_open_etcd(&host->store, host->history->place->event, host->endpoints, NULL), 0);
        CHECK_INT(keys_open_shared(&host->keys, host->store), 0);
        CHECK_INT(exporter_new(&host->exporter, host->history->place->event, host->store), 0);
        CHECK_INT(collectors_new(&host->collectors, host->store), 0);
        CHECK_INT(schedules_new(&host->schedules, host->history->place->event, host->store, false), 0);
        CHECK_INT(exporter_session(host->exporter, host->name), 0);
        CHECK_INT(collector_open(host->collectors, host->name, "file", on_records, host, &host->collecting), 0);
        CHECK_INT(schedule_watch(host->schedules, host->name, "n", on_chosen, host, &host->watch), 0);
        CHECK_INT(vote_open(host->schedules, host->name, "n", on_vote_event, host, &host->vote), 0);
        for (unsigned i = 0; i < EXPORTS; i++)
                if (host->exports[i] > 0)
                        export(host, i, host->exports[i]);
        CHECK(exporter_message(host->exporter, NULL, 0, &(Message) { .type = MESSAGE_EXPORT_SYNC }));
        if (host->candidate)
                cast(host);
}

/* Without a word to anybody: what it asked for and was not told of yet may have happened or not. */
static void host_down(Host *host) {
        History *h = host->history;

        for (size_t i = 0; i < h->n_writes; i++)
                if (h->writes[i].host == host && h->writes[i].outcome == UNDER_WAY)
                        h->writes[i].outcome = UNKNOWN;
        host->up = false;
        collector_close(host->collecting);
        schedule_watch_free(host->watch);
        vote_close(host->vote, true);
        exporter_free(host->exporter);
        collectors_free(host->collectors);
        schedules_free(host->schedules);
        host->store = store_free(host->store);
        host->keys = keys_free(host->keys);
        host->collected[0] = host->chosen[0] = 0;
}

/* Never more than one member at a time, so that the cluster goes on; but for a moment now and then, two. */
static void harm_member(History *h) {
        unsigned i = random_pick(&h->random, h->cluster->n), n_away = 0;

        for (unsigned k = 0; k < h->cluster->n; k++)
                n_away += h->stopped[k] || h->cluster->pids[k] == 0;
        if (h->stopped[i]) {
                cluster_signal(h->cluster, i, SIGCONT);
                h->stopped[i] = false;
        } else if (h->cluster->pids[i] == 0)
                cluster_start(h->cluster, i);
        else if (n_away > 0 && !random_percent(&h->random, 10))
                return;
        else if (random_percent(&h->random, 50)) {
                cluster_signal(h->cluster, i, SIGKILL);
                h->n_member_deaths++;
        } else {
                cluster_signal(h->cluster, i, SIGSTOP);
                h->stopped[i] = true;
                h->n_stops++;
        }
}

/* ---- the network ---- */

static void hold(Host *host, unsigned member, bool questions, bool answers) {
        proxy_hold(host->links[member], 0, questions, answers);
        host->held[member] = questions || answers;
        host->history->n_held += host->held[member];
}

/* Streams and questions go either way: who has connected is the source at the other's proxy. */
static void part(History *h, unsigned from, unsigned to, bool parted) {
        h->parted[from][to] = parted;
        h->n_parted += parted;
        proxy_hold(h->peers[to], from, h->parted[from][to], h->parted[to][from]);
        proxy_hold(h->peers[from], to, h->parted[to][from], h->parted[from][to]);
}

static void heal_links(Host *host) {
        for (unsigned i = 0; i < MEMBERS; i++)
                if (host->held[i])
                        hold(host, i, false, false);
}

static void heal_peers(History *h) {
        for (unsigned from = 0; from < MEMBERS; from++)
                for (unsigned to = 0; to < MEMBERS; to++)
                        if (h->parted[from][to])
                                part(h, from, to, false);
}

/* No more than two members at a time, in most cases. */
static void part_members(History *h) {
        unsigned from = random_pick(&h->random, MEMBERS), to = (from + 1 + random_pick(&h->random, MEMBERS - 1)) % MEMBERS;
        unsigned way = random_pick(&h->random, 3);

        if (random_percent(&h->random, 90))
                heal_peers(h);
        if (way == 2)
                part(h, to, from, true);
        part(h, from, to, true);
}

static void harm_network(History *h, Host *host) {
        unsigned what = random_pick(&h->random, 10), member = random_pick(&h->random, MEMBERS), way = random_pick(&h->random, 3);

        if (what < 4)
                hold(host, member, way != 1, way != 2);
        else if (what == 4)
                for (unsigned i = 0; i < MEMBERS; i++)
                        hold(host, i, true, true);
        else if (what == 5)
                proxy_cut(host->links[member], 0);
        else if (what == 6)
                part_members(h);
        else {
                heal_links(host);
                if (what == 7)
                        heal_peers(h);
        }
}

/* Whatever is under a lease has all its time again after an election. */
static void kill_members(History *h) {
        for (unsigned i = 0; i < h->cluster->n; i++) {
                if (h->cluster->pids[i] > 0)
                        cluster_signal(h->cluster, i, SIGKILL);
                h->stopped[i] = false;
        }
}

static void heal(History *h) {
        for (unsigned i = 0; i < h->cluster->n; i++) {
                if (h->stopped[i])
                        cluster_signal(h->cluster, i, SIGCONT);
                else if (h->cluster->pids[i] == 0)
                        cluster_start(h->cluster, i);
                h->stopped[i] = false;
        }
        heal_peers(h);
        for (unsigned i = 0; i < HOSTS; i++) {
                heal_links(&h->hosts[i]);
                if (!h->hosts[i].up)
                        host_up(&h->hosts[i]);
        }
}

static void step(History *h) {
        Host *host = &h->hosts[random_pick(&h->random, HOSTS)];
        unsigned what = random_pick(&h->random, 1000);

        if (what < 5)
                harm_member(h);
        else if (what < 10)
                harm_network(h, host);
        else if (!host->up) {
                if (what < 65)
                        host_up(host);
        } else if (what < 12) {
                host_down(host);
                h->n_host_deaths++;
        } else if (what < 400)
                write_key(h, host);
        else if (what < 700)
                read_key(h, host);
        else if (what < 850)
                export(host, random_pick(&h->random, EXPORTS), random_pick(&h->random, 4) ? random_pick(&h->random, 1000) + 1 : 0);
        else if (what < 930)
                look_at_schedule(h, host);
        else if (what < 960) {
                host->candidate = !host->candidate;
                cast(host);
        }
}

/* ---- the end ---- */

static bool all_collected(const History *h) {
        char want[512];

        all_exports(h, want, sizeof(want));
        for (unsigned i = 0; i < HOSTS; i++)
                if (!streq(h->hosts[i].collected, want))
                        return false;
        return true;
}

static unsigned count_names(const char *list) {
        unsigned n = list[0] != 0;

        for (; *list; list++)
                n += *list == ',';
        return n;
}

static bool all_agree(const History *h) {
        unsigned candidates = 0;

        for (unsigned i = 0; i < HOSTS; i++)
                candidates += h->hosts[i].candidate;
        for (unsigned i = 0; i < HOSTS; i++)
                if (!streq(h->hosts[i].chosen, h->hosts[0].chosen) || count_names(h->hosts[i].chosen) != MIN(candidates, (unsigned) MAX_CHOSEN))
                        return false;
        return true;
}

static bool all_answered(const History *h) {
        for (unsigned i = 0; i < HOSTS; i++)
                if (h->hosts[i].n_busy > 0 || !h->hosts[i].has_read)
                        return false;
        return true;
}

static void on_witness(const StoreReply *reply, void *userdata) {
        *(bool *) userdata = reply->error >= 0;
}

/* Somebody who was never cut off: members that a busy machine lets wait take their time to find each other. */
static bool cluster_answers(History *h) {
        Place witness = { .event = h->place->event };
        bool answered = false;
        StoreCall *c;

        CHECK_INT(store_open_etcd(&witness.store, witness.event, h->cluster->endpoints, NULL), 0);
        CHECK_INT(store_read(witness.store, (StoreRange) { .key = "k0" }, on_witness, &answered, &c), 0);
        (void) RUN_FOR(&witness, answered, 1000000);
        store_free(witness.store);
        return answered;
}

/* However long that takes, hosts shall know soon afterwards. */
static bool wait_for_cluster(History *h) {
        uint64_t began = now_usec(), back;
        bool well;

        h->ends = true;
        for (unsigned i = 0; i < HOSTS; i++)
                read_key(h, &h->hosts[i]);
        while (!cluster_answers(h))
                if (now_usec() - began > CLUSTER_USEC)
                        return false;
        back = now_usec();
        well = RUN_FOR(h->place, all_answered(h), ANSWERS_USEC);
        printf("# the cluster answered %llu ms after all was well again, the last host %llu ms later\n",
               (unsigned long long) (back - began) / 1000, (unsigned long long) (now_usec() - back) / 1000);
        return well;
}

/* ---- the beginning ---- */

static void network_init(History *h) {
        ClusterOptions o = {};

        for (unsigned i = 0; i < MEMBERS; i++) {
                h->peers[i] = proxy_new(h->place->event, true);
                o.peer_proxies[i] = proxy_port(h->peers[i]);
        }
        cluster_init(h->cluster, MEMBERS, &o);
        for (unsigned i = 0; i < MEMBERS; i++) {
                proxy_set_target(h->peers[i], h->cluster->peer_ports[i]);
                for (unsigned k = 0; k < MEMBERS; k++)
                        proxy_add_peer(h->peers[i], o.peer_proxies[k]);
        }
}

static void links_init(Host *host) {
        int n = 0;

        for (unsigned i = 0; i < MEMBERS; i++) {
                host->links[i] = proxy_new(host->history->place->event, false);
                proxy_set_target(host->links[i], host->history->cluster->client_ports[i]);
                n += snprintf(host->endpoints + n, sizeof(host->endpoints) - (size_t) n, "%shttp://127.0.0.1:%d", i > 0 ? "," : "",
                              proxy_port(host->links[i]));
        }
}

static uint64_t number_of(const char *variable, uint64_t otherwise) {
        const char *text = getenv(variable);

        return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

TEST(random_histories) {
        uint64_t seed = number_of("MGMT_SEED", getenv("MGMT_SECONDS") ? now_usec() % 1000000 : 1), seconds = number_of("MGMT_SECONDS", 6);
        _cleanup_(cluster_done) Cluster c = {};
        Place p = {};
        History *h;

        if (!cluster_available())
                TEST_SKIP("etcd is not installed");
        printf("# seed %llu, %llu seconds\n", (unsigned long long) seed, (unsigned long long) seconds);
        CHECK(sd_event_new(&p.event) >= 0);
        h = calloc(1, sizeof(*h));
        *h = (History) { .place = &p, .cluster = &c, .random = random_from(seed), .writes = calloc(WRITES_MAX, sizeof(Write)) };
        network_init(h);
        for (unsigned i = 0; i < HOSTS; i++) {
                Host *host = &h->hosts[i];

                *host = (Host) { .history = h, .index = i, .candidate = i % 2 == 0 };
                snprintf(host->name, sizeof(host->name), "h%u", i + 1);
                links_init(host);
                host_up(host);
        }
        for (uint64_t end = now_usec() + seconds * 1000000; now_usec() < end;) {
                step(h);
                (void) sd_event_run(p.event, 2000);
                while (sd_event_run(p.event, 0) > 0 && now_usec() < end)
                        ;
        }
        if (random_percent(&h->random, 50))
                kill_members(h);
        heal(h);
        CHECK(wait_for_cluster(h));
        for (unsigned i = 0; i < KEYS * 4; i++) {
                read_key(h, &h->hosts[i % HOSTS]);
                (void) sd_event_run(p.event, 10000);
        }
        if (!RUN_UNTIL(&p, all_collected(h))) {
                char want[512];

                all_exports(h, want, sizeof(want));
                for (unsigned i = 0; i < HOSTS; i++)
                        CHECK_STR(h->hosts[i].collected, want);
        }
        if (!RUN_UNTIL(&p, all_agree(h)))
                for (unsigned i = 0; i < HOSTS; i++)
                        TEST_FAIL("%s (%s) is told of %s", h->hosts[i].name, h->hosts[i].candidate ? "candidate" : "none", h->hosts[i].chosen);
        printf("# %zu writes, %u reads, %u looks at a decision; %u hosts and %u members died, %u stood still; %u links between hosts and "
               "members, %u between members were held\n", h->n_writes, h->n_reads, h->n_chosen, h->n_host_deaths, h->n_member_deaths,
               h->n_stops, h->n_held, h->n_parted);
        CHECK(h->n_reads > 0);
        for (unsigned i = 0; i < HOSTS; i++) {
                host_down(&h->hosts[i]);
                for (unsigned k = 0; k < MEMBERS; k++)
                        proxy_free(h->hosts[i].links[k]);
        }
        for (unsigned i = 0; i < MEMBERS; i++)
                proxy_free(h->peers[i]);
        sd_event_unref(p.event);
        free(h->writes);
        free(h);
}

TEST_MAIN()
