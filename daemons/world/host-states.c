/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A host writes its key when it has news, one write at a time: what comes meanwhile is written after it, the newest only. How a deploy
 * ends is written at once; should it then change again and again, not more often than every HOST_PACE_USEC. */

#include <errno.h>
#include <stdio.h>

#include <systemd/sd-event.h>

#include "common/map.h"
#include "common/sd/log.h"
#include "daemons/world/host-states.h"
#include "daemons/world/stored-fields.h"
#include "daemons/world/troubles.h"

#define HOSTS "deploys/hosts/"
#define HOST_PACE_USEC UINT64_C(10000000)
#define RETRY_USEC UINT64_C(3000000)
#define REFUSED_USEC UINT64_C(60000000)         /* what will not change by itself, such as rights */

enum { LEASE_SEC = 60, TEXT_MAX = 1000 };

typedef struct HostState {
        uint64_t deploy;
        char *state, *text;
} HostState;

static const FieldSpec state_fields[] = {
        FIELD(HostState, deploy, FIELD_UINT64, 0, "The newest that it was given."),
        FIELD(HostState, state,  FIELD_STR,    0, "What has become of it.", .initial = "\"unknown\""),
        FIELD(HostState, text,   FIELD_STR,    0, "Why it was refused, or failed."),
        {}
};

/* ---- that of this host ---- */

struct HostPublisher {
        sd_event *event;
        Store *store;
        StoreLease *lease;
        StoreCall *call;
        sd_event_source *later; /* enabled: the next write waits for it */
        char *key;
        HostState now;
        bool dirty;             /* it is not in the store yet */
        bool ended;             /* what was written last is how its deploy ended */
        uint64_t written;       /* the deploy that was written last */
        int error;              /* of the last write, if somebody was told of it */
};

static void publish(HostPublisher *p);

static int on_later(sd_event_source *source, uint64_t usec, void *userdata) {
        publish(userdata);
        return 0;
}

static void wait_a_while(HostPublisher *p, uint64_t usec) {
        (void) sd_event_source_set_time_relative(p->later, usec);
        (void) sd_event_source_set_enabled(p->later, SD_EVENT_ONESHOT);
}

static void on_written(const StoreReply *reply, void *userdata) {
        _cleanup_free_ char *text = NULL;
        HostPublisher *p = userdata;

        p->call = NULL;
        if (reply->error >= 0) {
                if (p->error < 0)
                        troubles_over(p->store->troubles, p->key);
                p->error = 0;
                if (p->ended && p->now.deploy == p->written)
                        wait_a_while(p, HOST_PACE_USEC);
                publish(p);
                return;
        }
        p->dirty = true;
        if (reply->error == -EHOSTDOWN || reply->error == -EINPROGRESS || reply->error == -ESTALE) {
                wait_a_while(p, RETRY_USEC);
                return;
        }
        if (asprintf(&text, "cannot tell the cluster what has become of the deploy: %s",
                     reply->problem ?: strerrordesc_np(-reply->error)) < 0)
                text = NULL;
        troubles_set(p->store->troubles, p->key, text ?: "cannot tell the cluster what has become of the deploy");
        p->error = reply->error;
        wait_a_while(p, REFUSED_USEC);
}

static bool has_ended(const HostState *s) {
        DeployState state = deploy_state_from_name(s->state);

        return state == DEPLOY_CONVERGED || state == DEPLOY_FAILED || state == DEPLOY_REFUSED;
}

static void publish(HostPublisher *p) {
        _cleanup_free_ char *text = NULL;
        int later = SD_EVENT_OFF, r;

        (void) sd_event_source_get_enabled(p->later, &later);
        if (!p->dirty || p->call || later != SD_EVENT_OFF || !store_lease_held(p->lease))
                return;
        r = stored_fields_encode(state_fields, &p->now, &text);
        if (r >= 0)
                r = store_commit(p->store, &(StoreCommit) {
                                .writes = &(StoreWrite) { .key = p->key, .data = text, .size = strlen(text), .lease = p->lease },
                                .n_writes = 1,
                        }, on_written, p, &p->call);
        if (r < 0) {
                log_warning(r, "cannot tell the cluster what has become of the deploy: %m");
                wait_a_while(p, RETRY_USEC);
                return;
        }
        p->dirty = false;
        p->ended = has_ended(&p->now);
        p->written = p->now.deploy;
}

static void on_lease(StoreLease *l, bool held, void *userdata) {
        HostPublisher *p = userdata;

        p->dirty = true;
        if (held)
                publish(p);
}

static char *cut(const char *text) {
        return strndup(text ?: "", TEXT_MAX);
}

void host_publisher_set(HostPublisher *p, uint64_t deploy, DeployState state, const char *text) {
        HostState new = { .deploy = deploy, .state = strdup(deploy_state_name(state)), .text = cut(text) };

        if (!new.state || !new.text) {
                fields_done(state_fields, &new);
                return;
        }
        fields_done(state_fields, &p->now);
        p->now = new;
        p->dirty = true;
        if (deploy != p->written)
                (void) sd_event_source_set_enabled(p->later, SD_EVENT_OFF);
        publish(p);
}

int host_publisher_new(HostPublisher **ret, sd_event *event, Store *s, const char *hostname) {
        HostPublisher *p;
        int r;

        if (!hostname[0] || strpbrk(hostname, "/,"))
                return -EINVAL;
        p = calloc(1, sizeof(*p));
        if (!p)
                return -ENOMEM;
        *p = (HostPublisher) { .event = sd_event_ref(event), .store = s, .dirty = true };
        r = fields_init(state_fields, &p->now);
        if (r >= 0 && asprintf(&p->key, HOSTS "%s", hostname) < 0) {
                p->key = NULL;
                r = -ENOMEM;
        }
        if (r >= 0)
                r = sd_event_add_time_relative(event, &p->later, CLOCK_MONOTONIC, 0, 0, on_later, p);
        if (r >= 0)
                r = sd_event_source_set_enabled(p->later, SD_EVENT_OFF);
        if (r >= 0)
                r = store_lease_new(s, LEASE_SEC, on_lease, p, &p->lease);
        if (r < 0) {
                host_publisher_free(p);
                return r;
        }
        *ret = p;
        return 0;
}

HostPublisher *host_publisher_free(HostPublisher *p) {
        if (!p)
                return NULL;
        store_call_cancel(p->call);
        store_lease_free(p->lease, false);
        sd_event_source_disable_unref(p->later);
        sd_event_unref(p->event);
        fields_done(state_fields, &p->now);
        free(p->key);
        free(p);
        return NULL;
}

/* ---- those of all ---- */

struct HostStates {
        StoreWatch *watch;
        Map *told;              /* hosts that are there → the last snapshot before they were seen */
        uintptr_t n_snapshots;
        const HostStatesOps *ops;
        void *userdata;
};

static void tell_gone(HostStates *h, const char *host) {
        (void) map_remove(h->told, host);
        h->ops->state(host, 0, NULL, NULL, h->userdata);
}

/* Who is not in the latest snapshot. */
static void tell_missing(HostStates *h) {
        size_t i = 0;
        const char *host;
        void *seen_in;

        while (map_next(h->told, &i, &host, &seen_in))
                if ((uintptr_t) seen_in != h->n_snapshots) {
                        _cleanup_free_ char *copy = strdup(host);

                        if (copy)
                                tell_gone(h, copy);
                }
}

static void tell(HostStates *h, const StoreItem *item) {
        const char *host = item->key + strlen(HOSTS);
        HostState s = {};
        int r;

        if (!item->data) {
                tell_gone(h, host);
                return;
        }
        r = map_put(h->told, host, (void *) h->n_snapshots);
        if (r < 0)
                log_warning(r, "cannot remember host '%s': %m", host);
        r = fields_init(state_fields, &s);
        if (r >= 0)
                r = stored_fields_decode(state_fields, &s, item->data);
        if (r >= 0)
                h->ops->state(host, s.deploy, deploy_state_name(deploy_state_from_name(s.state)), s.text, h->userdata);
        else
                log_warning(r, "cannot read '%s' in the store: %m, ignoring", item->key);
        fields_done(state_fields, &s);
}

static void on_news(StoreWatch *w, const StoreNews *news, void *userdata) {
        HostStates *h = userdata;

        h->n_snapshots += news->snapshot;
        for (size_t i = 0; i < news->n; i++)
                tell(h, &news->items[i]);
        if (news->snapshot)
                tell_missing(h);
        if (news->snapshot)
                h->ops->told(h->userdata);
}

int host_states_watch(HostStates **ret, Store *s, const HostStatesOps *ops, void *userdata) {
        HostStates *h = calloc(1, sizeof(*h));
        int r;

        if (!h)
                return -ENOMEM;
        *h = (HostStates) { .told = map_new(), .ops = ops, .userdata = userdata };
        r = !h->told ? -ENOMEM : store_watch(s, (StoreRange) { .key = HOSTS, .below = true }, on_news, h, &h->watch);
        if (r < 0) {
                host_states_free(h);
                return r;
        }
        *ret = h;
        return 0;
}

HostStates *host_states_free(HostStates *h) {
        if (!h)
                return NULL;
        store_watch_free(h->watch);
        map_free(h->told);
        free(h);
        return NULL;
}
