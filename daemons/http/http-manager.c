/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A port goes through three states: owned, left (its owner is gone, another one may come), draining (nobody came; the socket is
 * closed, answers under way are finished). */

#include <time.h>

#include <systemd/sd-event.h>

#include "common/http/curl-loop.h"
#include "daemons/http/address.h"
#include "daemons/http/engine-follow.h"
#include "daemons/http/http-manager.h"
#include "daemons/http/kept.h"
#include "daemons/http/response.h"
#include "daemons/http/ui-hub.h"
#include "daemons/http/world-key.h"

/* How long a port that was left waits for a new owner. The engine takes milliseconds, on a busy machine more. */
#define LEFT_USEC UINT64_C(500000)

struct HttpPort {
        HttpManager *manager;
        HttpListener *listener;
        char *address;
        char *owner;                    /* stays when the owner has left, for the one that takes over */
        const void *user;               /* userdata of its serving; NULL if nobody serves */
        sd_event_source *left;          /* enabled while it is left */
        uint64_t drain_timeout_usec;
        bool draining;
        HttpPort *next;
};

static void ports_changed(HttpManager *m) {
        if (m->ports_changed)
                m->ports_changed(m, m->userdata);
}

static HttpPort *port_free(HttpPort *p) {
        if (!p)
                return NULL;
        sd_event_source_disable_unref(p->left);
        http_listener_free(p->listener);
        free(p->address);
        free(p->owner);
        free(p);
        return NULL;
}
DEFINE_CLEANUP(HttpPort *, port_free)

static void port_unlink(HttpPort *p) {
        HttpPort **at = &p->manager->ports;

        while (*at != p)
                at = &(*at)->next;
        *at = p->next;
}

static void on_drained(HttpListener *l, void *userdata) {
        HttpPort *p = userdata;
        HttpManager *m = p->manager;

        port_unlink(p);
        port_free(p);
        ports_changed(m);
}

static int on_left(sd_event_source *source, uint64_t usec, void *userdata) {
        HttpPort *p = userdata;

        p->draining = true;
        http_listener_drain(p->listener, p->drain_timeout_usec, on_drained, p);
        return 0;
}

static int port_new(HttpPort **ret, HttpManager *m, const char *owner, const char *address, bool tls) {
        _cleanup_(port_freep) HttpPort *p = calloc(1, sizeof(*p));
        struct sockaddr_storage where;
        socklen_t size;
        int r;

        if (!p)
                return -ENOMEM;
        p->manager = m;
        p->owner = strdup(owner);
        p->address = strdup(address);
        if (!p->owner || !p->address)
                return -ENOMEM;

        r = sd_event_add_time(m->event, &p->left, CLOCK_MONOTONIC, UINT64_MAX, 10000, on_left, p);
        if (r < 0)
                return r;
        (void) sd_event_source_set_enabled(p->left, SD_EVENT_OFF);

        r = address_resolve(address, &where, &size);
        if (r < 0)
                return r;
        r = http_listener_new(&p->listener, m->event, (const struct sockaddr *) &where, size, tls);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(p);
        return 0;
}

static HttpPort *port_find(const HttpManager *m, const char *address) {
        for (HttpPort *p = m->ports; p; p = p->next)
                if (!p->draining && streq(p->address, address))
                        return p;
        return NULL;
}

int http_manager_init(HttpManager *m, sd_event *event) {
        *m = (HttpManager) { .event = sd_event_ref(event) };
        int r = static_cache_new(&m->files, event);
        return r < 0 ? r : path_watcher_new(&m->paths, event);
}

void http_manager_done(HttpManager *m) {
        m->ports_changed = NULL;
        while (m->ports) {
                HttpPort *p = m->ports;
                m->ports = p->next;
                port_free(p);
        }
        ui_hubs_done(m);
        engine_follow_done(m);
        world_keys_done(m);
        m->files = static_cache_free(m->files);
        m->curl = curl_loop_free(m->curl);
        http_responses_done(m);
        dhcp_leases_done(&m->leases);
        http_kept_done(m);
        m->paths = path_watcher_free(m->paths);
        kernel_watcher_done(&m->kernel);
        m->event = sd_event_unref(m->event);
}

int http_manager_curl(HttpManager *m) {
        return m->curl ? 0 : curl_loop_new(&m->curl, m->event);
}

int http_manager_listen(HttpManager *m, const char *owner, const char *address, const HttpServing *serving,
                        Diag *reterr) {
        static const Pos nowhere = {};
        HttpPort *p = port_find(m, address);
        int r;

        if (p && p->user && !streq(p->owner, owner))
                return diag_set(reterr, nowhere, -EADDRINUSE, "cannot listen on '%s': http:server '%s' does",
                                address, p->owner);
        if (p && http_listener_has_tls(p->listener) != !!serving->tls) {
                port_unlink(p);         /* nobody can go on where another language is spoken */
                p = port_free(p);
        }
        if (!p) {
                r = port_new(&p, m, owner, address, serving->tls);
                if (r < 0)
                        return diag_set(reterr, nowhere, r, "cannot listen on '%s': %m", address);
                p->next = m->ports;
                m->ports = p;
        } else if (!streq(p->owner, owner)) {
                char *copy = strdup(owner);
                if (!copy)
                        return -ENOMEM;
                free(p->owner);
                p->owner = copy;
        }

        (void) sd_event_source_set_enabled(p->left, SD_EVENT_OFF);
        p->user = serving->userdata;
        http_listener_serve(p->listener, serving);
        ports_changed(m);
        return 0;
}

void http_manager_release(HttpManager *m, const void *userdata, uint64_t timeout_usec) {
        HttpPort *p = m->ports;

        while (p && p->user != userdata)
                p = p->next;
        if (!p)
                return;
        p->user = NULL;
        p->drain_timeout_usec = timeout_usec;
        http_listener_serve(p->listener, NULL);
        (void) sd_event_source_set_time_relative(p->left, LEFT_USEC);
        (void) sd_event_source_set_enabled(p->left, SD_EVENT_ONESHOT);
        ports_changed(m);
}

HttpPort *http_manager_next(const HttpManager *m, HttpPort *p) {
        return p ? p->next : m->ports;
}

const char *http_port_owner(const HttpPort *p) {
        return p->user ? p->owner : NULL;
}

const char *http_port_address(const HttpPort *p) {
        return p->address;
}

unsigned http_port_n_connections(const HttpPort *p) {
        return http_listener_n_connections(p->listener);
}
