/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <systemd/sd-event.h>

#include "daemons/engine/arming.h"
#include "daemons/engine/engine-manager.h"
#include "daemons/engine/semaphore.h"
#include "daemons/engine/waiting.h"

static int tell_id(const Vertex *v, const char *why, waiting_tell_t tell, void *userdata) {
        _cleanup_free_ char *id = resource_id(v->resource);

        return id ? tell(why, id, userdata) : -ENOMEM;
}

static int tell_predecessors(Vertex *root, waiting_tell_t tell, void *userdata) {
        const Manager *m = root->manager;
        unsigned n = 0;
        int r = 0;

        for (size_t i = 0; i < vertex_n_members(root); i++) {
                const GraphAdjacency *in = graph_predecessors(m->graph, vertex_member(root, i)->id);
                for (uint32_t k = 0; k < in->n && r >= 0 && n < WAITING_MAX; k++) {
                        Vertex *p = manager_vertex(m, in->items[k].peer);
                        if (vertex_root(p) == root || vertex_is_clean(vertex_root(p)))
                                continue;
                        r = tell_id(p, "resource", tell, userdata);
                        n++;
                }
        }
        return r < 0 ? r : (int) n;
}

static int tell_watches(Vertex *root, waiting_tell_t tell, void *userdata) {
        unsigned n = 0;
        int r = 0;

        for (size_t i = 0; i < vertex_n_members(root) && r >= 0 && n < WAITING_MAX; i++) {
                const Vertex *v = vertex_member(root, i);
                if (v->armed)
                        continue;
                r = tell_id(v, "watch", tell, userdata);
                n++;
        }
        return r < 0 ? r : (int) n;
}

static int tell_waiting(Vertex *root, waiting_tell_t tell, void *userdata) {
        const char *semaphore = semaphores_taken(root);
        int r, n;

        r = n = tell_predecessors(root, tell, userdata);
        if (r >= 0 && root->starved) {
                r = tell("service", root->error.message ? root->error.message : "", userdata);
                n++;
        } else if (r >= 0 && root->watching && root->n_unarmed > 0) {
                r = tell_watches(root, tell, userdata);
                n += MAX(r, 0);
        }
        if (r >= 0 && arming_is_limited(root)) {
                r = tell("limit", "", userdata);
                n++;
        }
        if (r >= 0 && semaphore) {
                r = tell("semaphore", semaphore, userdata);
                n++;
        }
        return r < 0 || n > 0 ? r : tell("turn", "", userdata);
}

int waiting_tell(Vertex *root, waiting_tell_t tell, void *userdata) {
        switch (root->state) {
        case VERTEX_WAITING:
                return tell_waiting(root, tell, userdata);
        case VERTEX_RUNNING:
                return tell_id(root->pending ? root->pending : root, "attempt", tell, userdata);
        case VERTEX_RETRYING:
                return tell("delay", "", userdata);
        default:
                return 0;
        }
}

static uint64_t timer_usec(sd_event_source *source) {
        int enabled = SD_EVENT_OFF;
        uint64_t usec;

        if (!source || sd_event_source_get_enabled(source, &enabled) <= 0 || sd_event_source_get_time(source, &usec) < 0)
                return UINT64_MAX;
        return usec;
}

uint64_t waiting_until(const Vertex *root) {
        uint64_t usec = MIN(timer_usec(root->delay_timer), timer_usec(root->limit_timer)), monotonic, realtime;

        if (usec == UINT64_MAX || sd_event_now(root->manager->event, CLOCK_MONOTONIC, &monotonic) < 0 ||
            sd_event_now(root->manager->event, CLOCK_REALTIME, &realtime) < 0)
                return 0;
        return realtime + (usec > monotonic ? usec - monotonic : 0);
}
