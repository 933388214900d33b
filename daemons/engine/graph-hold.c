/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A queue of change sets. Who is waited for is found by trying: graph_swap() builds everything, and only then sees whom it would
 * take away. It is tried again when that one vertex stands in the way no more, so waiting costs next to nothing. */

#include <sys/queue.h>

#include <systemd/sd-event.h>

#include "daemons/engine/engine-manager.h"
#include "daemons/engine/graph-hold.h"

enum { WAITING_MAX = 4 * 1000 * 1000 };         /* resources, edges and the rest of all that wait */

typedef struct Held {
        ChangeSet set;
        SwapOptions options;
        TAILQ_ENTRY(Held) link;
} Held;

struct GraphHold {
        Manager *manager;
        TAILQ_HEAD(, Held) queue;
        size_t n, n_changes;
        VertexId holder;        /* for whom the first waits */
        uint32_t holder_serial;
        sd_event_source *retry;
        graph_hold_callback_t callback;
        void *userdata;
};

static size_t count(const ChangeSet *c) {
        return c->n_put + c->n_removed + c->n_edges + c->n_cut;
}

static void held_free(GraphHold *h, Held *x) {
        h->n--;
        h->n_changes -= count(&x->set);
        TAILQ_REMOVE(&h->queue, x, link);
        change_set_done(&x->set);
        free(x);
}

static void forget_all(GraphHold *h) {
        while (!TAILQ_EMPTY(&h->queue))
                held_free(h, TAILQ_FIRST(&h->queue));
}

static int append(GraphHold *h, ChangeSet *set, const SwapOptions *options) {
        Held *x;

        if (h->n_changes + count(set) > WAITING_MAX)
                return -ENOBUFS;
        x = calloc(1, sizeof(*x));
        if (!x)
                return -ENOMEM;
        x->options = *options;
        x->set = *set;
        *set = (ChangeSet) {};
        TAILQ_INSERT_TAIL(&h->queue, x, link);
        h->n++;
        h->n_changes += count(&x->set);
        return 0;
}

/* -EBUSY: somebody stands in the way, and is remembered. */
static int try(GraphHold *h, const ChangeSet *set, const SwapOptions *options, Diag *reterr) {
        const Vertex *holder = NULL;
        int r = graph_swap_unless_held(h->manager, set, options, &holder, reterr);

        if (r == -EBUSY) {
                h->holder = holder->id;
                h->holder_serial = holder->serial;
        }
        return r;
}

int graph_hold_submit(GraphHold *h, ChangeSet *set, const SwapOptions *options, Diag *reterr) {
        int r = -EBUSY;

        if (set->full || h->n == 0) {
                r = try(h, set, options, reterr);
                if (r >= 0 || r == -EBUSY)
                        forget_all(h);
                if (r != -EBUSY)
                        return r;
        }
        r = append(h, set, options);
        return r < 0 ? diag_set(reterr, (Pos) {}, r, "too many changes of the graph wait for Meta:realize") : 1;
}

static bool is_held(const GraphHold *h) {
        const Vertex *v = manager_vertex(h->manager, h->holder);

        return v && v->serial == h->holder_serial && graph_holds(v);
}

static int on_retry(sd_event_source *source, void *userdata) {
        GraphHold *h = userdata;

        while (h->n > 0 && !is_held(h)) {
                _cleanup_(diag_done) Diag diag = {};
                Held *x = TAILQ_FIRST(&h->queue);
                uint64_t generation = x->set.generation;
                int r = try(h, &x->set, &x->options, &diag);

                if (r == -EBUSY)
                        break;
                held_free(h, x);
                h->callback(h, generation, r, &diag, h->userdata);
        }
        return 0;
}

/* What the vertex will wait for next is not known before the scheduler's turn is over. */
void graph_hold_poke(GraphHold *h) {
        if (h->n > 0)
                (void) sd_event_source_set_enabled(h->retry, SD_EVENT_ONESHOT);
}

size_t graph_hold_n(const GraphHold *h) {
        return h->n;
}

int graph_hold_new(GraphHold **ret, Manager *m, graph_hold_callback_t callback, void *userdata) {
        _cleanup_(graph_hold_freep) GraphHold *h = calloc(1, sizeof(*h));
        int r;

        if (!h)
                return -ENOMEM;
        h->manager = m;
        h->callback = callback;
        h->userdata = userdata;
        TAILQ_INIT(&h->queue);
        r = sd_event_add_defer(m->event, &h->retry, on_retry, h);
        if (r < 0)
                return r;
        r = sd_event_source_set_priority(h->retry, SD_EVENT_PRIORITY_IDLE);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(h->retry, SD_EVENT_OFF);
        if (r < 0)
                return r;
        m->hold = h;
        *ret = TAKE_PTR(h);
        return 0;
}

GraphHold *graph_hold_free(GraphHold *h) {
        if (!h)
                return NULL;
        forget_all(h);
        sd_event_source_disable_unref(h->retry);
        if (h->manager->hold == h)
                h->manager->hold = NULL;
        free(h);
        return NULL;
}
