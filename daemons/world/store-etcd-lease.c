/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A lease is asked for, and then kept alive three times within its time. It counts as lost when the cluster says so, or when it
 * has said nothing for so long that it must have given it to the wind: counted from when we last asked with success, on a clock
 * that goes on while the machine sleeps. Then another one is asked for. */

#include <errno.h>
#include <stdio.h>

#include <systemd/sd-event.h>

#include "common/sd/log.h"
#include "daemons/world/store-etcd.h"
#include "daemons/world/troubles.h"

#define RETRY_USEC (UINT64_C(1000) * 1000)

/* Troubles of all leases: what keeps one keeps the others. */
#define TAKE "cannot take a lease"
#define KEEP "cannot keep a lease alive"

struct EtcdLease {
        StoreLease lease;       /* first */
        uint32_t ttl_sec;
        EtcdCall *call;         /* that grants it or keeps it alive */
        uint64_t asked_usec;    /* CLOCK_BOOTTIME, as the others: when that was sent */
        uint64_t ends_usec;     /* if nobody answers until then, it is lost */
        sd_event_source *timer;
        store_lease_callback_t callback;
        void *userdata;
        unsigned history;       /* EtcdMoment.history in which it was granted, or is asked for */
        TAILQ_ENTRY(EtcdLease) link;
};

static void lease_ask(EtcdLease *l);

static EtcdStore *store_of(const EtcdLease *l) {
        return etcd_store(l->lease.store);
}

static uint64_t now_usec(const EtcdLease *l) {
        uint64_t t = 0;

        (void) sd_event_now(store_of(l)->event, CLOCK_BOOTTIME, &t);
        return t;
}

static uint64_t third_usec(const EtcdLease *l) {
        return l->ttl_sec * UINT64_C(1000000) / 3;
}

/* After an error. A question that cannot be asked waits by itself until the cluster is back, so the next one need not. */
static uint64_t retry_usec(const EtcdLease *l, int error) {
        return error == -EHOSTDOWN ? MIN(third_usec(l) / 4, RETRY_USEC) : third_usec(l) / 4;
}

static void lease_refused(EtcdLease *l, const char *what, const EtcdReply *reply) {
        _cleanup_free_ char *text = NULL;

        if (asprintf(&text, "%s: %s", what, reply->problem ?: strerrordesc_np(-reply->error)) < 0)
                text = NULL;
        troubles_set(l->lease.store->troubles, what, text ?: what);
}

static void lease_lost(EtcdLease *l, const char *why) {
        l->call = etcd_call_cancel(l->call);
        l->lease.held = false;
        log_warning(0, "a lease was lost (%s), and with it what was written under it; asking for another", why);
        lease_ask(l);
        l->callback(&l->lease, false, l->userdata);
}

/* Either it is time to keep it alive, or nobody has answered in time. */
static int on_timer(sd_event_source *s, uint64_t usec, void *userdata) {
        EtcdLease *l = userdata;

        if (l->lease.held && now_usec(l) >= l->ends_usec)
                lease_lost(l, "nobody could be asked to keep it alive in time");
        else if (!l->call)
                lease_ask(l);
        return 0;
}

static void set_timer(EtcdLease *l, uint64_t at_usec) {
        int r;

        if (l->timer) {
                r = sd_event_source_set_time(l->timer, at_usec);
                if (r >= 0)
                        r = sd_event_source_set_enabled(l->timer, SD_EVENT_ONESHOT);
        } else
                r = sd_event_add_time(store_of(l)->event, &l->timer, CLOCK_BOOTTIME, at_usec, third_usec(l) / 10, on_timer, l);
        if (r < 0)
                log_error(r, "cannot keep a lease alive: %m");
}

static void on_kept(const EtcdReply *reply, void *userdata) {
        EtcdLease *l = userdata;
        int64_t ttl_sec = etcd_get_number(etcd_get(reply->json, "result"), "TTL");

        l->call = NULL;
        if (reply->not_found || (reply->error >= 0 && ttl_sec <= 0)) {
                lease_lost(l, now_usec(l) < l->ends_usec ? "somebody has ended it before its time; another host that has the same name does"
                                                         : "it has run out");
                return;
        }
        if (reply->error >= 0) {
                troubles_over(l->lease.store->troubles, KEEP);
                etcd_history_ask(store_of(l));
                l->ends_usec = l->asked_usec + (uint64_t) ttl_sec * 1000000;
                set_timer(l, MAX(l->asked_usec, now_usec(l)) + third_usec(l));
                return;
        }
        if (reply->error != -EHOSTDOWN)
                lease_refused(l, KEEP, reply);
        set_timer(l, MIN(l->ends_usec, now_usec(l) + retry_usec(l, reply->error)));
}

static void on_granted(const EtcdReply *reply, void *userdata) {
        EtcdLease *l = userdata;

        l->call = NULL;
        if (reply->error < 0) {
                if (reply->error != -EHOSTDOWN)
                        lease_refused(l, TAKE, reply);
                set_timer(l, now_usec(l) + (reply->error == -EHOSTDOWN ? retry_usec(l, reply->error) : third_usec(l)));
                return;
        }
        troubles_over(l->lease.store->troubles, TAKE);
        l->lease.id = etcd_get_number(reply->json, "ID");
        l->ends_usec = l->asked_usec + (uint64_t) MAX(etcd_get_number(reply->json, "TTL"), 1) * 1000000;
        l->lease.held = true;
        set_timer(l, l->asked_usec + third_usec(l));
        l->callback(&l->lease, true, l->userdata);
}

static void lease_ask(EtcdLease *l) {
        char body[64];
        int r;

        if (l->lease.held)
                snprintf(body, sizeof(body), "{\"ID\":\"%lld\"}", (long long) l->lease.id);
        else
                snprintf(body, sizeof(body), "{\"TTL\":\"%u\"}", l->ttl_sec);
        l->asked_usec = now_usec(l);
        if (!l->lease.held)
                l->history = store_of(l)->now.history;
        if (l->lease.held)
                set_timer(l, l->ends_usec);
        r = etcd_call(store_of(l)->etcd, l->lease.held ? "lease/keepalive" : "lease/grant", body, true,
                      l->lease.held ? on_kept : on_granted, l, &l->call);
        if (r < 0) {
                log_error(r, "cannot ask for a lease: %m");
                set_timer(l, now_usec(l) + third_usec(l));
        }
}

int etcd_lease(Store *store, uint32_t ttl_sec, store_lease_callback_t callback, void *userdata, StoreLease **ret) {
        EtcdLease *l = calloc(1, sizeof(*l));

        if (!l)
                return -ENOMEM;
        *l = (EtcdLease) { .lease.store = store, .ttl_sec = ttl_sec, .callback = callback, .userdata = userdata };
        TAILQ_INSERT_TAIL(&store_of(l)->leases, l, link);
        lease_ask(l);
        *ret = &l->lease;
        return 0;
}

static void on_revoked(const EtcdReply *reply, void *userdata) {}      /* else it runs out */

void etcd_unlease(StoreLease *lease, bool revoke) {
        EtcdLease *l = container_of(lease, EtcdLease, lease);
        EtcdCall *call;
        char body[64];

        TAILQ_REMOVE(&store_of(l)->leases, l, link);
        etcd_call_cancel(l->call);
        (void) sd_event_source_disable_unref(l->timer);
        snprintf(body, sizeof(body), "{\"ID\":\"%lld\"}", (long long) lease->id);
        if (lease->held && revoke)
                (void) etcd_call(store_of(l)->etcd, "lease/revoke", body, true, on_revoked, NULL, &call);
        free(l);
}

static EtcdLease *lease_of_before(EtcdStore *s) {
        EtcdLease *l;

        TAILQ_FOREACH(l, &s->leases, link)
                if (l->history != s->now.history)
                        return l;
        return NULL;
}

/* It may be in the backup, without all that was written under it since. Whoever is told may free any of them. */
void etcd_leases_anew(EtcdStore *s) {
        EtcdLease *l;

        while ((l = lease_of_before(s))) {
                l->history = s->now.history;
                if (l->lease.held)
                        lease_lost(l, "it is of another history");
        }
}
