/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What hosts export and collect, and which of them are scheduled: several hosts in one process, each with what mgmt-world makes of a
 * store, on one store. */

#include <errno.h>

#include "common/message.h"
#include "common/strbuf.h"
#include "daemons/world/collector.h"
#include "daemons/world/exporter.h"
#include "daemons/world/schedule.h"
#include "tests/daemons/world/late-store.h"
#include "tests/daemons/world/stores-test.h"

typedef struct Host {
        Place *place;
        const char *name;
        Exporter *exporter;
        Collectors *collectors;
        Schedules *schedules;
} Host;

static void host_init(Host *h, Place *p, const char *name) {
        *h = (Host) { .place = p, .name = name };
        CHECK_INT(exporter_new(&h->exporter, p->event, p->store), 0);
        CHECK_INT(collectors_new(&h->collectors, p->store), 0);
        CHECK_INT(schedules_new(&h->schedules, p->event, p->store, false), 0);
        CHECK_INT(exporter_session(h->exporter, name), 0);
}

static void host_done(Host *h) {
        exporter_free(h->exporter);
        collectors_free(h->collectors);
        schedules_free(h->schedules);
}

static void on_counted(const StoreReply *reply, void *userdata) {
        *(size_t *) userdata = reply->n;
}

static size_t read_n(Place *p, const char *prefix) {
        size_t n = SIZE_MAX;
        StoreCall *c;

        CHECK_INT(store_read(p->store, (StoreRange) { prefix, true }, on_counted, &n, &c), 0);
        CHECK(RUN_UNTIL(p, n != SIZE_MAX));
        return n;
}

/* ---- exports ---- */

static void message(Host *h, Message *m) {
        CHECK(exporter_message(h->exporter, NULL, 0, m));
}

/* targets: words with blanks between them. */
static Value make_part(const char *targets, const char *data) {
        char copy[128], *save = NULL;
        Value items[8], pair[2] = {}, part = {};
        size_t n = 0;

        snprintf(copy, sizeof(copy), "%s", targets);
        for (char *t = strtok_r(copy, " ", &save); t; t = strtok_r(NULL, " ", &save))
                CHECK_INT(value_strz(&items[n++], t), 0);
        CHECK_INT(value_list(&pair[0], items, n), 0);
        CHECK_INT(value_strz(&pair[1], data), 0);
        CHECK_INT(value_struct(&part, (const char *const[]) { "hosts", "data" }, pair, 2), 0);
        return part;
}

static void export_parts(Host *h, const char *kind, const char *name, Value *items, size_t n) {
        _cleanup_(value_done) Value parts = {};

        CHECK_INT(value_list(&parts, items, n), 0);
        message(h, &(Message) { .type = MESSAGE_EXPORT_PUT,
                                .export_put = { .kind = (char *) kind, .name = (char *) name, .parts = parts } });
}

static void export(Host *h, const char *kind, const char *name, const char *targets, const char *data) {
        Value part = make_part(targets, data);

        export_parts(h, kind, name, &part, 1);
}

static void keep(Host *h, const char *kind, const char *name) {
        message(h, &(Message) { .type = MESSAGE_EXPORT_KEEP, .export_keep = { .kind = (char *) kind, .name = (char *) name } });
}

static void take_back(Host *h, const char *kind, const char *name) {
        message(h, &(Message) { .type = MESSAGE_EXPORT_REMOVE, .export_remove = { .kind = (char *) kind, .name = (char *) name } });
}

static void end_of_all(Host *h) {
        message(h, &(Message) { .type = MESSAGE_EXPORT_SYNC });
}

typedef struct Collected {
        Collecting *collecting;
        unsigned n;
        char text[512];         /* "name@host=data …" */
        bool close;             /* when told */
} Collected;

static void on_records(const CollectRecord *const *records, size_t n, void *userdata) {
        Collected *c = userdata;
        size_t k = 0;

        c->n++;
        c->text[0] = 0;
        for (size_t i = 0; i < n && k < sizeof(c->text); i++)
                k += (size_t) snprintf(c->text + k, sizeof(c->text) - k, "%s%s@%s=%s", i > 0 ? " " : "", records[i]->name,
                                       records[i]->host, value_cstr(records[i]->data));
        if (c->close)
                c->collecting = collector_close(c->collecting);
}

static void collect(Host *h, const char *kind, Collected *c) {
        CHECK_INT(collector_open(h->collectors, h->name, kind, on_records, c, &c->collecting), 0);
}

#define CHECK_COLLECTED(place, c, want) \
        do { \
                if (!RUN_UNTIL((place), streq((c).text, (want)) && (c).n > 0)) \
                        CHECK_STR((c).text, (want)); \
        } while (0)

STORES(exports_reach_those_that_they_are_meant_for) {
        PLACE(p, b);
        _cleanup_(host_done) Host h1, h2;
        Collected one = {}, two = {}, other = {};

        host_init(&h1, &p, "h1");
        host_init(&h2, &p, "h2");
        collect(&h1, "file", &one);
        collect(&h2, "file", &two);
        collect(&h2, "file:other", &other);
        CHECK_COLLECTED(&p, one, "");
        export(&h1, "file", "/a/b", "h2", "first");
        export(&h2, "file", "c", "*", "all");
        CHECK_COLLECTED(&p, two, "/a/b@h1=first c@h2=all");
        CHECK_COLLECTED(&p, one, "c@h2=all");
        export(&h1, "file", "c", "h1 h2", "from 1");
        CHECK_COLLECTED(&p, two, "/a/b@h1=first c@h1=from 1 c@h2=all");
        CHECK_COLLECTED(&p, one, "c@h1=from 1 c@h2=all");

        /* other hosts, other content, none */
        export(&h1, "file", "c", "h1", "from 1");
        CHECK_COLLECTED(&p, two, "/a/b@h1=first c@h2=all");
        CHECK_COLLECTED(&p, one, "c@h1=from 1 c@h2=all");
        export(&h1, "file", "/a/b", "h2", "second");
        CHECK_COLLECTED(&p, two, "/a/b@h1=second c@h2=all");
        take_back(&h1, "file", "/a/b");
        take_back(&h1, "file", "never was");
        CHECK_COLLECTED(&p, two, "c@h2=all");
        CHECK(RUN_UNTIL(&p, exporter_n_exports(h1.exporter) == 1));

        /* to a host and to all: what is meant for the host counts */
        export(&h1, "file", "c", "h2 *", "both");
        CHECK_COLLECTED(&p, two, "c@h1=both c@h2=all");
        CHECK_INT(other.n, 1);
        CHECK_STR(other.text, "");
        collector_close(one.collecting);
        collector_close(two.collecting);
        collector_close(other.collecting);
        take_back(&h2, "file", "c");
        take_back(&h1, "file", "c");
        CHECK(RUN_UNTIL(&p, exporter_n_exports(h1.exporter) + exporter_n_exports(h2.exporter) == 0));
}

/* One name, and something else for each host. */
STORES(hosts_are_told_different_things) {
        PLACE(p, b);
        _cleanup_(host_done) Host h1, h2;
        Collected one = {}, two = {};

        host_init(&h1, &p, "h1");
        host_init(&h2, &p, "h2");
        collect(&h1, "file", &one);
        collect(&h2, "file", &two);
        export_parts(&h1, "file", "c", (Value[]) { make_part("h1", "for 1"), make_part("*", "for all"), make_part("h1", "late") }, 3);
        CHECK_COLLECTED(&p, one, "c@h1=late");
        CHECK_COLLECTED(&p, two, "c@h1=for all");

        /* they change places */
        export_parts(&h1, "file", "c", (Value[]) { make_part("*", "for 1"), make_part("h1", "for all") }, 2);
        CHECK_COLLECTED(&p, one, "c@h1=for all");
        CHECK_COLLECTED(&p, two, "c@h1=for 1");
        export_parts(&h1, "file", "c", (Value[]) { make_part("h2", "left") }, 1);
        CHECK_COLLECTED(&p, one, "");
        CHECK_COLLECTED(&p, two, "c@h1=left");
        export_parts(&h1, "file", "c", NULL, 0);
        CHECK_COLLECTED(&p, two, "");
        collector_close(one.collecting);
        collector_close(two.collecting);
        CHECK(RUN_UNTIL(&p, exporter_n_exports(h1.exporter) == 0));
}

/* A new engine says what it exports now; what it does not name goes, what it only names stays. */
STORES(sessions) {
        PLACE(p, b);
        _cleanup_(host_done) Host h;
        Collected c = {};

        host_init(&h, &p, "session");
        collect(&h, "kv", &c);
        export(&h, "kv", "a", "session", "1");
        export(&h, "kv", "b", "session", "1");
        export(&h, "kv", "c", "session", "1");
        end_of_all(&h);
        CHECK_COLLECTED(&p, c, "a@session=1 b@session=1 c@session=1");
        CHECK_INT(exporter_session(h.exporter, "session"), 0);
        keep(&h, "kv", "a");
        keep(&h, "kv", "none");
        export(&h, "kv", "b", "session", "2");
        CHECK_COLLECTED(&p, c, "a@session=1 b@session=2 c@session=1");
        end_of_all(&h);
        CHECK_COLLECTED(&p, c, "a@session=1 b@session=2");

        /* under another name it is another host */
        CHECK_INT(exporter_session(h.exporter, "renamed"), 0);
        CHECK_COLLECTED(&p, c, "");
        CHECK_INT(exporter_session(h.exporter, "no/host"), -EINVAL);
        CHECK_INT(exporter_session(h.exporter, "*"), -EINVAL);
        collector_close(c.collecting);
}

/* mgmt-world dies before it has taken away what it should: the next one knows nothing of it, and its lease would last. */
STORES(what_an_earlier_life_left_goes_at_once) {
        PLACE(p, b);
        _cleanup_(host_done) Host watching;
        Host h;
        Collected c = {};
        uint64_t began;

        host_init(&watching, &p, "watching");
        collect(&watching, "file", &c);
        host_init(&h, &p, "lives");
        export(&h, "file", "gone", "watching", "1");
        export(&h, "file", "kept", "watching", "1");
        CHECK_COLLECTED(&p, c, "gone@lives=1 kept@lives=1");
        take_back(&h, "file", "gone");          /* too late */
        host_done(&h);

        /* What is only named may not have come yet: until it has, all stays. */
        host_init(&h, &p, "lives");
        keep(&h, "file", "kept");
        export(&h, "file", "new", "watching", "1");
        end_of_all(&h);
        CHECK_COLLECTED(&p, c, "gone@lives=1 kept@lives=1 new@lives=1");
        began = now_usec();
        export(&h, "file", "kept", "watching", "2");
        CHECK_COLLECTED(&p, c, "kept@lives=2 new@lives=1");

        /* One that dies before it has come to that leaves it to the next. */
        host_done(&h);
        host_init(&h, &p, "lives");
        export(&h, "file", "other", "watching", "1");
        CHECK_COLLECTED(&p, c, "kept@lives=2 new@lives=1 other@lives=1");
        host_done(&h);
        host_init(&h, &p, "lives");
        keep(&h, "file", "other");
        end_of_all(&h);
        CHECK(c.n < 100);
        CHECK_STR(c.text, "kept@lives=2 new@lives=1 other@lives=1");
        take_back(&h, "file", "other");
        CHECK_COLLECTED(&p, c, "");
        CHECK(now_usec() - began < EXPORT_TTL_SEC * UINT64_C(1000000) / 2);     /* they did not run out */
        collector_close(c.collecting);
        host_done(&h);
}

STORES(many_exports_at_once) {
        PLACE(p, b);
        _cleanup_(host_done) Host h;
        _cleanup_free_ char *big = malloc(200001);
        Collected c = {};
        char name[16];

        memset(big, 'x', 200000);
        big[200000] = 0;
        host_init(&h, &p, "many");
        collect(&h, "file", &c);
        for (unsigned i = 0; i < 130; i++) {
                snprintf(name, sizeof(name), "%03u", i);
                export(&h, "file", name, "many", i < 10 ? big : "small");
        }
        CHECK(RUN_UNTIL(&p, read_n(&p, "exports/many/file/") == 130));
        for (unsigned i = 1; i < 130; i++) {
                snprintf(name, sizeof(name), "%03u", i);
                take_back(&h, "file", name);
        }
        export(&h, "file", "000", "many", "left");
        CHECK_COLLECTED(&p, c, "000@many=left");
        collector_close(c.collecting);
}

/* What cannot be stored takes nothing else along. */
TEST(one_that_is_too_large) {
        PLACE(p, ETCD);
        _cleanup_(host_done) Host h;
        _cleanup_free_ char *huge = malloc(4000001);
        Collected c = {};

        memset(huge, 'x', 4000000);
        huge[4000000] = 0;
        host_init(&h, &p, "large");
        collect(&h, "file", &c);
        export(&h, "file", "a", "large", "1");
        export(&h, "file", "huge", "large", huge);
        export(&h, "file", "z", "large", "1");
        CHECK_COLLECTED(&p, c, "a@large=1 z@large=1");
        export(&h, "file", "huge", "large", "not any more");
        CHECK_COLLECTED(&p, c, "a@large=1 huge@large=not any more z@large=1");
        collector_close(c.collecting);
}

STORES(collecting_ends_when_told) {
        PLACE(p, b);
        _cleanup_(host_done) Host h;
        Collected first = {}, second = { .close = true }, third = {};

        host_init(&h, &p, "ends");
        collect(&h, "file", &first);
        collect(&h, "file", &second);
        CHECK(RUN_UNTIL(&p, first.n == 1 && second.n == 1));
        CHECK(!second.collecting);
        export(&h, "file", "x", "ends", "1");
        CHECK_COLLECTED(&p, first, "x@ends=1");
        CHECK_INT(second.n, 1);
        collect(&h, "file", &third);            /* it is known already */
        CHECK_STR(third.text, "x@ends=1");
        collector_close(first.collecting);
        collector_close(third.collecting);
        CHECK_INT(collector_open(h.collectors, "a/b", "file", on_records, &first, &first.collecting), -EINVAL);
        CHECK_INT(collector_open(h.collectors, "ends", "", on_records, &first, &first.collecting), -EINVAL);
}

/* ---- schedules ---- */

typedef struct Chosen {
        ScheduleWatch *watch;
        unsigned n;
        char text[128];
} Chosen;

static void on_chosen(const char *chosen, void *userdata) {
        Chosen *c = userdata;

        c->n++;
        snprintf(c->text, sizeof(c->text), "%s", chosen);
}

typedef struct Cast {
        bool came, changed;
        int error;
} Cast;

static void on_cast(int error, const char *problem, bool changed, void *userdata) {
        *(Cast *) userdata = (Cast) { .came = true, .error = error, .changed = changed };
}

static void on_vote_event(void *userdata) {}

static Vote *candidate(Host *h, const char *namespace) {
        Vote *v = NULL;

        CHECK_INT(vote_open(h->schedules, h->name, namespace, on_vote_event, NULL, &v), 0);
        return v;
}

static bool cast(Host *h, Vote *v, int64_t max, const char *strategy, bool apply) {
        Cast c = {};

        CHECK_INT(vote_cast(v, &(VoteOptions) { .strategy = strategy, .max = max, .ttl_sec = 3 }, apply, on_cast, &c), 0);
        CHECK(RUN_UNTIL(h->place, c.came));
        CHECK_INT(c.error, 0);
        return c.changed;
}

static bool withdraw(Host *h, Vote *v) {
        Cast c = {};

        CHECK_INT(vote_withdraw(v, true, on_cast, &c), 0);
        CHECK(RUN_UNTIL(h->place, c.came));
        CHECK_INT(c.error, 0);
        return c.changed;
}

#define CHECK_CHOSEN(place, c, want) \
        do { \
                if (!RUN_UNTIL((place), streq((c).text, (want)) && (c).n > 0)) \
                        CHECK_STR((c).text, (want)); \
        } while (0)

STORES(so_many_of_the_candidates_are_chosen_and_stay) {
        PLACE(p, b);
        _cleanup_(host_done) Host h1, h2, h3;
        Vote *v1, *v2, *v3;
        Chosen seen = {};

        host_init(&h1, &p, "n1");
        host_init(&h2, &p, "n2");
        host_init(&h3, &p, "n3");
        CHECK_INT(schedule_watch(h1.schedules, "n1", "db", on_chosen, &seen, &seen.watch), 0);
        CHECK_CHOSEN(&p, seen, "");
        v3 = candidate(&h3, "db");
        CHECK(cast(&h3, v3, 2, "rr", false));           /* only looks */
        CHECK(cast(&h3, v3, 2, "rr", true));
        CHECK(!cast(&h3, v3, 2, "rr", true));
        CHECK_CHOSEN(&p, seen, "n3");
        v2 = candidate(&h2, "db");
        CHECK(cast(&h2, v2, 2, "rr", true));
        CHECK_CHOSEN(&p, seen, "n2,n3");
        v1 = candidate(&h1, "db");
        CHECK(cast(&h1, v1, 2, "rr", true));            /* waits, although it is the first by name */

        /* withdrawn, and back at the end of the row */
        CHECK(withdraw(&h3, v3));
        CHECK(!withdraw(&h3, v3));
        CHECK_CHOSEN(&p, seen, "n1,n2");
        CHECK(cast(&h3, v3, 2, "rr", true));
        CHECK(cast(&h2, v2, 1, "rr", true));            /* the greatest number counts */
        CHECK(cast(&h1, v1, 3, "rr", true));
        CHECK_CHOSEN(&p, seen, "n1,n2,n3");

        /* the leader goes; who decides now comes to the same */
        vote_close(v3, false);
        CHECK_CHOSEN(&p, seen, "n1,n2");
        vote_close(v1, false);
        CHECK_CHOSEN(&p, seen, "n2");
        vote_close(v2, false);
        schedule_watch_free(seen.watch);
}

STORES(alpha_takes_the_first_by_name) {
        PLACE(p, b);
        _cleanup_(host_done) Host h1, h2;
        Vote *v1, *v2;
        Chosen seen = {};

        host_init(&h1, &p, "a1");
        host_init(&h2, &p, "a2");
        CHECK_INT(schedule_watch(h1.schedules, "observer", "alpha", on_chosen, &seen, &seen.watch), 0);
        v2 = candidate(&h2, "alpha");
        CHECK(cast(&h2, v2, 1, "alpha", true));
        CHECK_CHOSEN(&p, seen, "a2");
        v1 = candidate(&h1, "alpha");
        CHECK(cast(&h1, v1, 1, "alpha", true));
        CHECK_CHOSEN(&p, seen, "a1");
        vote_close(v1, true);
        vote_close(v2, true);
        schedule_watch_free(seen.watch);
}

/* Votes and leadership of a host that is gone run out; nobody has to notice but the store. */
STORES(a_host_that_is_gone_is_replaced) {
        PLACE(p, b);
        _cleanup_(host_done) Host h1;
        Host h2;
        Vote *v1, *v2;
        Chosen seen = {};

        host_init(&h1, &p, "g1");
        host_init(&h2, &p, "g2");
        CHECK_INT(schedule_watch(h1.schedules, "g1", "gone", on_chosen, &seen, &seen.watch), 0);
        v2 = candidate(&h2, "gone");
        CHECK(cast(&h2, v2, 1, "rr", true));            /* and is leader */
        CHECK_CHOSEN(&p, seen, "g2");
        v1 = candidate(&h1, "gone");
        CHECK(cast(&h1, v1, 1, "rr", true));
        host_done(&h2);                                 /* its votes run out */
        CHECK_CHOSEN(&p, seen, "g1");
        vote_close(v1, false);
        CHECK_CHOSEN(&p, seen, "");
        schedule_watch_free(seen.watch);
}

STORES(a_schedule_whose_name_is_long) {
        PLACE(p, b);
        _cleanup_(host_done) Host h;
        char name[2000] = "";
        Chosen seen = {};
        Vote *v;

        memset(name, 'n', sizeof(name) - 1);
        host_init(&h, &p, "n1");
        CHECK_INT(schedule_watch(h.schedules, "n1", name, on_chosen, &seen, &seen.watch), 0);
        v = candidate(&h, name);
        CHECK(cast(&h, v, 1, "rr", true));
        CHECK_CHOSEN(&p, seen, "n1");
        vote_close(v, false);
        schedule_watch_free(seen.watch);
}

STORES(votes_that_are_opened_again_stay) {
        PLACE(p, b);
        _cleanup_(host_done) Host h;
        Vote *v, *again;
        Chosen seen = {};

        host_init(&h, &p, "o1");
        CHECK_INT(schedule_watch(h.schedules, "o1", "open", on_chosen, &seen, &seen.watch), 0);
        v = candidate(&h, "open");
        CHECK_INT(vote_open(h.schedules, "o1", "open", on_vote_event, NULL, &again), -EEXIST);
        CHECK_INT(vote_open(h.schedules, "o1", "a/b", on_vote_event, NULL, &again), -EINVAL);
        CHECK_INT(vote_open(h.schedules, "o,1", "other", on_vote_event, NULL, &again), -EINVAL);
        CHECK(cast(&h, v, 1, "rr", true));
        CHECK_CHOSEN(&p, seen, "o1");
        unsigned n = seen.n;
        vote_close(v, false);
        v = candidate(&h, "open");
        CHECK(!cast(&h, v, 1, "rr", true));
        CHECK_INT(seen.n, n);
        vote_close(v, false);
        CHECK_CHOSEN(&p, seen, "");
        schedule_watch_free(seen.watch);
}

/* ---- answers that come late, or not ---- */

/* A decision whose answer was lost happens after one that was made later, and is heard of before that is answered. */
TEST(a_late_decision_does_not_stay) {
        PLACE(p, SQLITE);
        _cleanup_(store_freep) Store *lost = late_store_new(p.event, p.store);
        _cleanup_(store_freep) Store *slow = late_store_new(p.event, lost);
        Place behind_both = { .event = p.event, .store = slow };
        _cleanup_(host_done) Host leader, other;
        Vote *v1, *v2;
        Chosen seen = {};

        host_init(&leader, &behind_both, "l1");
        host_init(&other, &p, "l2");
        CHECK_INT(schedule_watch(leader.schedules, "l1", "late", on_chosen, &seen, &seen.watch), 0);
        v1 = candidate(&leader, "late");
        CHECK(cast(&leader, v1, 2, "rr", true));
        CHECK_CHOSEN(&p, seen, "l1");
        late_store_next(lost, "schedule/chosen/", LATE_LOST);
        v2 = candidate(&other, "late");
        CHECK(cast(&other, v2, 2, "rr", true));
        CHECK_CHOSEN(&p, seen, "l1,l2");        /* it was written again */
        CHECK(late_store_waits(lost));

        late_store_next(slow, "schedule/chosen/", LATE_ANSWER);
        CHECK(withdraw(&other, v2));
        CHECK_CHOSEN(&p, seen, "l1");
        CHECK(late_store_waits(slow));
        late_store_deliver(lost);
        CHECK_CHOSEN(&p, seen, "l1,l2");
        late_store_deliver(slow);
        CHECK_CHOSEN(&p, seen, "l1");
        vote_close(v1, true);
        vote_close(v2, true);
        schedule_watch_free(seen.watch);
}

TEST(votes_whose_answer_is_lost_are_looked_at) {
        PLACE(p, SQLITE);
        _cleanup_(store_freep) Store *lost = late_store_new(p.event, p.store);
        Place behind_it = { .event = p.event, .store = lost };
        _cleanup_(host_done) Host h;
        Chosen seen = {};
        Vote *v;

        host_init(&h, &behind_it, "lost");
        CHECK_INT(schedule_watch(h.schedules, "lost", "lost", on_chosen, &seen, &seen.watch), 0);
        v = candidate(&h, "lost");
        late_store_next(lost, "schedule/votes/", LATE_LOST);
        CHECK(cast(&h, v, 1, "rr", true));
        CHECK_CHOSEN(&p, seen, "lost");
        late_store_next(lost, "schedule/votes/", LATE_LOST);
        late_store_deliver(lost);               /* the cast, which does nothing any more */
        CHECK(!late_store_waits(lost));
        CHECK(withdraw(&h, v));
        CHECK_CHOSEN(&p, seen, "");
        vote_close(v, true);
        schedule_watch_free(seen.watch);
}

static void on_own_lease(StoreLease *l, bool held, void *userdata) {
        *(bool *) userdata = held;
}

/* All of them have been granted anew when one is that was asked for later. */
static void lose_leases(Place *p, Store *late) {
        bool held = false;
        StoreLease *l;

        late_store_lose_leases(late);
        CHECK_INT(store_lease_new(p->store, 30, on_own_lease, &held, &l), 0);
        CHECK(RUN_UNTIL(p, held));
        store_lease_free(l, true);
}

/* The store says so of a commit that was under way, when there is another lease already. */
TEST(a_lease_that_is_lost_under_way) {
        PLACE(p, SQLITE);
        _cleanup_(store_freep) Store *late = late_store_new(p.event, p.store);
        Place behind_it = { .event = p.event, .store = late };
        _cleanup_(host_done) Host h;
        Collected c = {};
        Chosen seen = {};
        Vote *v;

        host_init(&h, &behind_it, "stale");
        collect(&h, "file", &c);
        export(&h, "file", "a", "stale", "1");
        CHECK_COLLECTED(&p, c, "a@stale=1");
        late_store_next(late, "exports/", LATE_STALE);
        export(&h, "file", "b", "stale", "1");
        CHECK(late_store_waits(late));
        lose_leases(&p, late);
        late_store_deliver(late);
        CHECK_COLLECTED(&p, c, "a@stale=1 b@stale=1");
        collector_close(c.collecting);

        late_store_next(late, "schedule/leader", LATE_STALE);
        CHECK_INT(schedule_watch(h.schedules, "stale", "stale", on_chosen, &seen, &seen.watch), 0);
        v = candidate(&h, "stale");
        CHECK(cast(&h, v, 1, "rr", true));
        CHECK(RUN_UNTIL(&p, late_store_waits(late)));
        lose_leases(&p, late);
        late_store_deliver(late);
        CHECK(cast(&h, v, 1, "rr", true));
        CHECK_CHOSEN(&p, seen, "stale");
        vote_close(v, true);
        schedule_watch_free(seen.watch);
}

/* A host has lost its vote, another was chosen, and it has not heard of that when it is a candidate again. */
TEST(who_was_lost_looks_before_it_counts_itself) {
        PLACE(p, SQLITE);
        _cleanup_(store_freep) Store *late = late_store_new(p.event, p.store);
        Place behind_it = { .event = p.event, .store = late };
        _cleanup_(host_done) Host deaf, other;
        Chosen seen = {}, right = {};
        Vote *v1, *v2;

        host_init(&deaf, &behind_it, "deaf");
        host_init(&other, &p, "other");
        CHECK_INT(schedule_watch(other.schedules, "other", "deaf", on_chosen, &right, &right.watch), 0);        /* and is leader */
        CHECK_CHOSEN(&p, right, "");
        CHECK_INT(schedule_watch(deaf.schedules, "deaf", "deaf", on_chosen, &seen, &seen.watch), 0);
        v1 = candidate(&deaf, "deaf");
        CHECK(cast(&deaf, v1, 1, "rr", true));
        CHECK_CHOSEN(&p, seen, "deaf");
        v2 = candidate(&other, "deaf");
        CHECK(cast(&other, v2, 1, "rr", true));

        late_store_silence(late, true);
        lose_leases(&p, late);
        CHECK_STR(seen.text, "");
        CHECK_CHOSEN(&p, right, "other");
        CHECK(cast(&deaf, v1, 1, "rr", true));
        CHECK_STR(seen.text, "other");
        late_store_silence(late, false);
        vote_close(v2, false);
        CHECK_CHOSEN(&p, seen, "deaf");
        vote_close(v1, true);
        schedule_watch_free(seen.watch);
        schedule_watch_free(right.watch);
}

STORES_MAIN()
