/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Everybody who has a vote would decide, and whoever writes schedule/leader first does, as long as his lease lives. All others watch that
 * key, those who join later as well, and try when it is gone. A decision is written on the condition that the key is still the one that
 * was won: somebody who was leader and does not know yet that he is not any more changes nothing.
 *
 * Decisions are sticky: who is chosen stays as long as he is a candidate. The rest wait in the order in which they came. All of that
 * stands in the store, so it is the same whoever decides. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <systemd/sd-event.h>

#include "common/map.h"
#include "common/sd/log.h"
#include "common/strbuf.h"
#include "daemons/world/schedule.h"
#include "daemons/world/troubles.h"

enum { LEADER_TTL_SEC = 5, CANDIDATES_MAX = 100000, WRITES_MAX = 50 };

/* How long what the store has refused waits to be tried again. */
#define REFUSED_USEC (UINT64_C(5) * 1000000)

#define LEADER_KEY "schedule/leader"
#define VOTES "schedule/votes/"
#define CHOSEN "schedule/chosen/"

/* What troubles are about. */
#define STAND "schedule election"
#define DECIDE "schedule decisions"

typedef struct Candidate {
        char *host;
        int64_t since;          /* the revision of its vote */
        int64_t max;
        bool alpha;
        bool chosen;            /* by the decision before */
} Candidate;

typedef struct Namespace {
        char *name;
        Map *candidates;        /* host → Candidate */
        char *chosen;           /* what the store has; "" nothing */
        int64_t modified;       /* the revision that has written, or removed, it */
        char *decided;          /* being written; NULL: nothing is */
        bool dirty;
} Namespace;

struct ScheduleLeader {
        sd_event *event;
        Store *store;
        char *hostname;
        StoreLease *lease;
        StoreWatch *watch;      /* of the key */
        char *claim;            /* what is written there: our name, and which lease of ours it is */
        bool vacant;            /* nobody is leader, as far as we know */
        StoreCall *campaign;
        sd_event_source *again; /* what was refused */
        int64_t won;            /* the revision of the key that is ours; 0: we are not leader */

        StoreWatch *all;        /* while we are leader */
        bool synced;
        Map *namespaces;        /* → Namespace */
        StoreCall *deciding;
        Namespace *written[WRITES_MAX];
        size_t n_written;
};

static void campaign(ScheduleLeader *l);
static void decide(ScheduleLeader *l);

/* ---- what there is ---- */

static void candidate_free(void *p) {
        Candidate *c = p;

        if (c)
                free(c->host);
        free(c);
}

static void namespace_free(void *p) {
        Namespace *n = p;

        if (!n)
                return;
        map_free_with(n->candidates, candidate_free);
        free(n->name);
        free(n->chosen);
        free(n->decided);
        free(n);
}

static int namespace_get(ScheduleLeader *l, const char *name, Namespace **ret) {
        Namespace *n = map_get(l->namespaces, name);
        int r;

        if (!n) {
                n = calloc(1, sizeof(*n));
                if (!n)
                        return -ENOMEM;
                *n = (Namespace) { .name = strdup(name), .candidates = map_new(), .chosen = strdup("") };
                r = n->name && n->candidates && n->chosen ? map_put(l->namespaces, name, n) : -ENOMEM;
                if (r < 0) {
                        namespace_free(n);
                        return r;
                }
        }
        *ret = n;
        return 0;
}

/* The value of one option, or NULL. */
static const char *option(const char *text, const char *name, size_t *ret_size) {
        size_t n = strlen(name);

        while (*text) {
                size_t size = strcspn(text, "&");

                if (size > n && text[n] == '=' && strncmp(text, name, n) == 0) {
                        *ret_size = size - n - 1;
                        return text + n + 1;
                }
                text += size + (text[size] == '&');
        }
        return NULL;
}

/* What cannot be read is as if it were not there. */
static Candidate *candidate_new(const char *host, const StoreItem *item) {
        _cleanup_free_ char *text = strndup(item->data, item->size);
        Candidate *c = calloc(1, sizeof(*c));
        const char *value;
        size_t size;

        if (!c || !text || !(c->host = strdup(host))) {
                candidate_free(c);
                return NULL;
        }
        c->since = item->modified;
        value = option(text, "maxCount", &size);
        c->max = value ? strtoll(value, NULL, 10) : 0;
        if (c->max <= 0 || c->max > CANDIDATES_MAX)
                c->max = c->max > 0 ? CANDIDATES_MAX : 1;
        value = option(text, "strategy", &size);
        c->alpha = value && size == 5 && strncmp(value, "alpha", 5) == 0;
        return c;
}

static int take_vote(ScheduleLeader *l, const char *rest, const StoreItem *item) {
        const char *slash = strchr(rest, '/');
        _cleanup_free_ char *host = slash ? strndup(rest, (size_t) (slash - rest)) : NULL;
        Candidate *c, *before;
        Namespace *n;
        int r;

        if (!slash || !slash[1] || strchr(slash + 1, '/') || slash == rest)
                return 0;       /* no vote of ours */
        r = host ? namespace_get(l, slash + 1, &n) : -ENOMEM;
        if (r < 0)
                return r;
        n->dirty = true;
        before = map_remove(n->candidates, host);
        if (item->data) {
                c = candidate_new(host, item);
                r = c ? map_put(n->candidates, host, c) : -ENOMEM;
                if (r < 0)
                        candidate_free(c);
                else if (before)
                        c->since = before->since;       /* it says again what it said */
        }
        candidate_free(before);
        return r < 0 ? r : 0;
}

static int take_item(ScheduleLeader *l, const StoreItem *item) {
        const char *rest = startswith(item->key, VOTES);
        Namespace *n;
        char *chosen;
        int r;

        if (rest)
                return take_vote(l, rest, item);
        rest = startswith(item->key, CHOSEN);
        if (!rest)
                return 0;
        r = namespace_get(l, rest, &n);
        if (r < 0)
                return r;
        chosen = item->data ? strndup(item->data, item->size) : strdup("");
        if (!chosen)
                return -ENOMEM;
        free(n->chosen);
        n->chosen = chosen;
        n->modified = item->modified;
        n->dirty = true;
        return 0;
}

/* ---- deciding ---- */

static bool is_in(const char *list, const char *name) {
        size_t n = strlen(name);

        while (*list) {
                size_t size = strcspn(list, ",");

                if (size == n && strncmp(list, name, n) == 0)
                        return true;
                list += size + (list[size] == ',');
        }
        return false;
}

static int by_name(const void *a, const void *b) {
        return strcmp((*(Candidate *const *) a)->host, (*(Candidate *const *) b)->host);
}

/* Who is chosen first, then as they came. */
static int by_turn(const void *a, const void *b) {
        const Candidate *x = *(Candidate *const *) a, *y = *(Candidate *const *) b;

        if (x->chosen != y->chosen)
                return y->chosen - x->chosen;
        if (!x->chosen && x->since != y->since)
                return x->since < y->since ? -1 : 1;
        return strcmp(x->host, y->host);
}

/* The decision as text. Those that disagree about the options are counted: the greatest number, and any that says alpha. */
static char *choose(Namespace *n) {
        size_t n_all = map_size(n->candidates), i = 0, k = 0;
        _cleanup_free_ Candidate **all = calloc(n_all + 1, sizeof(*all));
        _cleanup_(strbuf_done) StrBuf b = {};
        int64_t max = 0;
        bool alpha = false;
        const char *host;
        void *c;

        if (!all)
                return NULL;
        while (map_next(n->candidates, &i, &host, &c)) {
                all[k] = c;
                all[k]->chosen = is_in(n->chosen, host);
                max = MAX(max, all[k]->max);
                alpha = alpha || all[k]->alpha;
                k++;
        }
        qsort(all, n_all, sizeof(*all), alpha ? by_name : by_turn);
        k = MIN(n_all, (size_t) max);
        qsort(all, k, sizeof(*all), by_name);
        for (i = 0; i < k; i++)
                strbuf_printf(&b, "%s%s", i > 0 ? "," : "", all[i]->host);
        return strbuf_take(&b);
}

static void abdicate(ScheduleLeader *l) {
        l->won = 0;
        l->synced = false;
        l->all = store_watch_free(l->all);
        l->deciding = store_call_cancel(l->deciding);
        l->n_written = 0;
        map_free_with(l->namespaces, namespace_free);
        l->namespaces = map_new();
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata) {
        ScheduleLeader *l = userdata;

        l->again = sd_event_source_disable_unref(l->again);
        campaign(l);
        decide(l);
        return 0;
}

static void refused(ScheduleLeader *l, const char *about, const char *what, const StoreReply *reply) {
        _cleanup_free_ char *text = NULL;

        if (asprintf(&text, "%s: %s", what, reply->problem ?: strerrordesc_np(-reply->error)) < 0)
                text = NULL;
        troubles_set(l->store->troubles, about, text ?: what);
}

static void try_again(ScheduleLeader *l) {
        if (!l->again)
                (void) sd_event_add_time_relative(l->event, &l->again, CLOCK_MONOTONIC, REFUSED_USEC, REFUSED_USEC / 10, on_again, l);
}

/* News may have been quicker than this answer: of a decision whose answer was lost, and which happened after this one. */
static void decided(Namespace *n, int64_t revision) {
        if (revision > n->modified) {
                free(n->chosen);
                n->chosen = TAKE_PTR(n->decided);
                n->modified = revision;
        } else {
                free(TAKE_PTR(n->decided));
                n->dirty = true;
        }
}

static void on_decided(const StoreReply *reply, void *userdata) {
        ScheduleLeader *l = userdata;

        l->deciding = NULL;
        if (reply->error >= 0 && !reply->holds) {
                log_info("somebody else decides about schedules now");
                abdicate(l);
                return;
        }
        for (size_t i = 0; i < l->n_written; i++) {
                Namespace *n = l->written[i];

                if (reply->error >= 0)
                        decided(n, reply->revision);
                else {
                        free(TAKE_PTR(n->decided));
                        n->dirty = true;
                }
        }
        l->n_written = 0;
        if (reply->error < 0 && reply->error != -EHOSTDOWN && reply->error != -EINPROGRESS) {
                refused(l, DECIDE, "cannot write who is scheduled", reply);
                try_again(l);
                return;
        }
        if (reply->error >= 0)
                troubles_over(l->store->troubles, DECIDE);
        decide(l);
}

static void write_decisions(ScheduleLeader *l, const StoreWrite *writes, size_t n) {
        StoreCondition still = { .kind = STORE_MODIFIED, .key = LEADER_KEY, .modified = l->won };
        int r;

        r = store_commit(l->store, &(StoreCommit) { .conditions = &still, .n_conditions = 1, .writes = writes, .n_writes = n },
                         on_decided, l, &l->deciding);
        if (r < 0)
                on_decided(&(StoreReply) { .error = r }, l);
}

static void decide(ScheduleLeader *l) {
        StoreWrite writes[WRITES_MAX];
        size_t i = 0, n_writes = 0;
        const char *name;
        void *p;

        if (!l->synced || l->deciding || l->won == 0)
                return;
        while (n_writes < WRITES_MAX && map_next(l->namespaces, &i, &name, &p)) {
                Namespace *n = p;
                char *decided, *key;

                if (!n->dirty)
                        continue;
                n->dirty = false;
                decided = choose(n);
                if (decided && streq(decided, n->chosen)) {
                        free(decided);
                        continue;
                }
                if (!decided || asprintf(&key, CHOSEN "%s", name) < 0) {
                        log_error(-ENOMEM, "cannot decide about schedule '%s': %m", name);
                        free(decided);
                        n->dirty = true;
                        try_again(l);
                        continue;
                }
                free(n->decided);
                n->decided = decided;
                writes[n_writes] = (StoreWrite) { .key = key, .data = decided[0] ? decided : NULL, .size = strlen(decided) };
                l->written[n_writes++] = n;
        }
        l->n_written = n_writes;
        if (n_writes > 0)
                write_decisions(l, writes, n_writes);
        for (i = 0; i < n_writes; i++)
                free((char *) writes[i].key);
}

static void on_all(StoreWatch *w, const StoreNews *news, void *userdata) {
        ScheduleLeader *l = userdata;
        int r = 0;

        if (news->snapshot) {
                l->deciding = store_call_cancel(l->deciding);
                l->n_written = 0;
                map_free_with(l->namespaces, namespace_free);
                l->namespaces = map_new();
                l->synced = true;
        }
        for (size_t i = 0; i < news->n && r >= 0; i++)
                r = l->namespaces ? take_item(l, &news->items[i]) : -ENOMEM;
        if (r < 0)
                log_error(r, "cannot keep who may be scheduled: %m");
        decide(l);
}

/* ---- the election ---- */

static void elected(ScheduleLeader *l, int64_t revision) {
        int r;

        if (l->won > 0)
                return;
        l->won = revision;
        log_info("this host decides about schedules");
        r = store_watch(l->store, (StoreRange) { "schedule/", true }, on_all, l, &l->all);
        if (r < 0) {
                log_error(r, "cannot watch who may be scheduled: %m");
                abdicate(l);
        }
}

static void on_elected(const StoreReply *reply, void *userdata) {
        ScheduleLeader *l = userdata;

        l->campaign = NULL;
        if (reply->error == -ESTALE)
                return;         /* the lease is gone; there will be another */
        if (reply->error == -EHOSTDOWN || reply->error == -EINPROGRESS) {
                campaign(l);    /* if it was won after all, the watch tells */
                return;
        }
        if (reply->error < 0) {
                refused(l, STAND, "cannot stand for election", reply);
                try_again(l);
                return;
        }
        troubles_over(l->store->troubles, STAND);
        if (reply->holds)
                elected(l, reply->revision);    /* else somebody was first; the watch tells when he is gone */
}

static void campaign(ScheduleLeader *l) {
        StoreCondition nobody = { .kind = STORE_MODIFIED, .key = LEADER_KEY };
        StoreWrite me = { .key = LEADER_KEY, .data = l->claim, .size = l->claim ? strlen(l->claim) : 0, .lease = l->lease };
        int r;

        if (!l->vacant || l->won > 0 || l->campaign || !l->claim || !store_lease_held(l->lease))
                return;
        r = store_commit(l->store, &(StoreCommit) { .conditions = &nobody, .n_conditions = 1, .writes = &me, .n_writes = 1 }, on_elected,
                         l, &l->campaign);
        if (r < 0)
                log_error(r, "cannot stand for election: %m");
}

static void on_leader(StoreWatch *w, const StoreNews *news, void *userdata) {
        ScheduleLeader *l = userdata;
        const StoreItem *last = news->n > 0 ? &news->items[news->n - 1] : NULL;

        if (!last && !news->snapshot)
                return;
        l->vacant = !last || !last->data;
        if (l->won > 0 && (!last || last->modified > l->won || news->anew))
                abdicate(l);
        if (last && last->data && l->claim && last->size == strlen(l->claim) && memcmp(last->data, l->claim, last->size) == 0)
                elected(l, last->modified);
        campaign(l);
}

static void on_lease(StoreLease *lease, bool held, void *userdata) {
        ScheduleLeader *l = userdata;

        free(TAKE_PTR(l->claim));
        l->campaign = store_call_cancel(l->campaign);   /* what was claimed under a lease that is gone goes with it */
        if (l->won > 0)
                abdicate(l);
        if (held && asprintf(&l->claim, "%s %lld", l->hostname, (long long) lease->id) < 0)
                l->claim = NULL;
        campaign(l);
}

int schedule_leader_new(ScheduleLeader **ret, sd_event *event, Store *store, const char *hostname) {
        ScheduleLeader *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return -ENOMEM;
        *l = (ScheduleLeader) { .event = event, .store = store, .hostname = strdup(hostname), .namespaces = map_new() };
        r = l->hostname && l->namespaces ? store_lease_new(store, LEADER_TTL_SEC, on_lease, l, &l->lease) : -ENOMEM;
        if (r >= 0)
                r = store_watch(store, (StoreRange) { .key = LEADER_KEY }, on_leader, l, &l->watch);
        if (r < 0) {
                schedule_leader_free(l);
                return r;
        }
        *ret = l;
        return 0;
}

ScheduleLeader *schedule_leader_free(ScheduleLeader *l) {
        if (!l)
                return NULL;
        store_watch_free(l->watch);
        store_watch_free(l->all);
        store_call_cancel(l->campaign);
        store_call_cancel(l->deciding);
        (void) sd_event_source_disable_unref(l->again);
        troubles_over(l->store->troubles, DECIDE);
        troubles_over(l->store->troubles, STAND);
        store_lease_free(l->lease, true);       /* so that nobody has to wait for it to run out */
        map_free_with(l->namespaces, namespace_free);
        free(l->hostname);
        free(l->claim);
        free(l);
        return NULL;
}
