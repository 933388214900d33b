/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A change set comes as a row of messages between GRAPH_BEGIN and GRAPH_COMMIT, is put together here and then taken over or
 * rejected as a whole. One peer at a time can be in the middle of one; whoever begins later pushes the earlier aside, because the
 * usual reason is a mgmt-lang that was restarted. */

#include <inttypes.h>
#include <syslog.h>

#include <systemd/sd-event.h>

#include "common/ipc/channel.h"
#include "common/sd/log.h"
#include "daemons/engine/engine-manager.h"
#include "daemons/engine/graph-hold.h"
#include "daemons/engine/graph-link.h"

enum {
        CHANGES_MAX = 4 * 1000 * 1000,  /* resources, edges and the rest of one set */
};

struct GraphLink {
        Manager *manager;
        Channel *channel;
        GraphHold *hold;
        bool open;              /* between GRAPH_BEGIN and GRAPH_COMMIT */
        PeerId peer;            /* who began */
        PeerId committer;       /* who said GRAPH_COMMIT last */
        ChangeSet set;
        SwapOptions options;
        size_t n_changes;
        int error;              /* something in between did not fit; the answer to GRAPH_COMMIT will say so */
        sd_event_source *state; /* tells the committer what has become of the graph, at the end of a turn in which that changed */
        struct {
                uint64_t generation;
                bool converged, failed;
        } told;
};

static void answer(GraphLink *l, PeerId peer, const Message *m) {
        int r = channel_send(l->channel, peer, m);
        if (r < 0)
                (void) log_warning(r, "cannot answer with %s: %m, ignoring", message_name(m->type));
}

static void answer_error(GraphLink *l, PeerId peer, int error, const char *text) {
        Message m = { .type = MESSAGE_ERROR, .error = { .error = error, .text = (char *) text } };

        answer(l, peer, &m);
}

static void abandon(GraphLink *l) {
        change_set_done(&l->set);
        l->set = (ChangeSet) {};
        l->open = false;
        l->n_changes = 0;
        l->error = 0;
}

static void on_hello(GraphLink *l, PeerId peer, Message *m) {
        Message welcome = {
                .type = MESSAGE_WELCOME,
                .welcome = { .daemon = (char *) "engine", .version = (char *) MGMT_VERSION },
        };
        Message wanted = { .type = MESSAGE_GRAPH_WANTED };

        answer(l, peer, &welcome);
        if (streq_ptr(m->hello.role, "lang") && !l->manager->has_graph)
                answer(l, peer, &wanted);
}

static void on_begin(GraphLink *l, PeerId peer, Message *m) {
        const EngineOptions *o = &l->manager->options;

        abandon(l);
        l->open = true;
        l->peer = peer;
        l->set.generation = m->graph_begin.generation;
        l->set.full = m->graph_begin.full;
        l->options = (SwapOptions) {
                .deploy = m->graph_begin.deploy,
                .noop = m->graph_begin.noop || o->noop,
                .sema = m->graph_begin.sema > 0 ? m->graph_begin.sema : o->sema,
                .autoedge = m->graph_begin.autoedge,
                .autogroup = m->graph_begin.autogroup,
        };
}

static void on_change(GraphLink *l, PeerId peer, Message *m) {
        int r;

        if (!l->open || l->peer != peer) {
                answer_error(l, peer, -EPROTO, "a change of the graph must stand between GRAPH_BEGIN and GRAPH_COMMIT");
                return;
        }
        if (l->error < 0)
                return;
        if (++l->n_changes > CHANGES_MAX) {
                l->error = -E2BIG;
                return;
        }

        switch (m->type) {
        case MESSAGE_GRAPH_PUT:
                r = change_set_put(&l->set, &m->graph_put.resource);
                m->graph_put.resource = (ResourceSpec) {};
                break;
        case MESSAGE_GRAPH_REMOVE:
                r = m->graph_remove.kind && m->graph_remove.name
                                    ? change_set_remove(&l->set, m->graph_remove.kind, m->graph_remove.name)
                                    : -EBADMSG;
                break;
        case MESSAGE_GRAPH_EDGE:
                r = change_set_edge(&l->set, &m->graph_edge.edge);
                m->graph_edge.edge = (EdgeSpec) {};
                break;
        default:
                r = change_set_cut(&l->set, &m->graph_cut.edge);
                m->graph_cut.edge = (EdgeSpec) {};
                break;
        }
        if (r < 0)
                l->error = r;
}

/* ---- what becomes of it ---- */

static int describe_failure(const Manager *m, Diag *ret) {
        Vertex *v = TAILQ_FIRST(&m->scheduler.failed);

        if (!v)
                return 0;
        return diag_set(ret, v->error.pos, v->error.error < 0 ? v->error.error : -EIO, "%s[%s]: %s", vertex_kind(v), vertex_name(v),
                        v->error.message ?: "failed");
}

static int on_state(sd_event_source *source, void *userdata) {
        GraphLink *l = userdata;
        const Manager *m = l->manager;
        _cleanup_(diag_done) Diag diag = {};
        bool converged = m->converger.converged, failed = m->scheduler.n_failed > 0;

        if (!m->has_graph || l->open ||
            (l->told.generation == m->generation && l->told.converged == converged && l->told.failed == failed))
                return 0;
        l->told.generation = m->generation;
        l->told.converged = converged;
        l->told.failed = failed;
        (void) describe_failure(m, &diag);
        /* Whoever is not there any more is told by the next set that it sends. */
        (void) channel_send(l->channel, l->committer, &(Message) {
                .type = MESSAGE_GRAPH_STATE,
                .graph_state = { .generation = m->generation, .converged = converged, .failed = (uint32_t) m->scheduler.n_failed,
                                 .diag = diag },
        });
        return 0;
}

void graph_link_state_changed(GraphLink *l) {
        (void) sd_event_source_set_enabled(l->state, SD_EVENT_ONESHOT);
}

/* ---- the answer ---- */

static void announce(Manager *m, const Diag *diag) {
        _cleanup_free_ char *text = NULL;

        if (diag) {
                text = diag_text(diag);
                (void) log_diag(LOG_ERR, diag);
                events_emit(m->events, EVENT_GRAPH, NULL, NULL, LOG_ERR, NULL, text);
                return;
        }
        size_t n = graph_n_vertices(m->graph), n_edges = graph_n_edges(m->graph);
        if (asprintf(&text, "generation %" PRIu64 ": %zu resource%s, %zu edge%s", m->generation, n, n == 1 ? "" : "s",
                     n_edges, n_edges == 1 ? "" : "s") < 0)
                text = NULL;
        log_info("graph %s", text ? text : "");
        events_emit(m->events, EVENT_GRAPH, NULL, NULL, LOG_INFO, NULL, text);
        manager_emit_graph_changed(m);
}

static void announce_held(Manager *m, uint64_t generation, const Diag *why) {
        _cleanup_free_ char *text = NULL;

        if (asprintf(&text, "generation %" PRIu64 " waits: %s", generation, why->message ? why->message : "") < 0)
                text = NULL;
        log_info("graph %s", text ? text : "");
        events_emit(m->events, EVENT_GRAPH, NULL, NULL, LOG_INFO, NULL, text);
}

/* It was accepted because it could be taken over; if it cannot any more, there is a whole one to be had. */
static void on_released(GraphHold *h, uint64_t generation, int r, const Diag *diag, void *userdata) {
        GraphLink *l = userdata;
        Message wanted = { .type = MESSAGE_GRAPH_WANTED };

        announce(l->manager, r < 0 ? diag : NULL);
        if (r < 0)
                answer(l, l->committer, &wanted);
        graph_link_state_changed(l);
}

static void on_commit(GraphLink *l, PeerId peer, Message *message) {
        Manager *m = l->manager;
        uint64_t generation = message->graph_commit.generation;
        _cleanup_(diag_done) Diag diag = {};
        int r;

        if (!l->open || l->peer != peer || l->set.generation != generation)
                r = diag_set(&diag, (Pos) {}, -EPROTO, "GRAPH_COMMIT %" PRIu64 " without its GRAPH_BEGIN", generation);
        else if (l->error < 0)
                r = diag_set(&diag, (Pos) {}, l->error, "the change set is not usable: %m");
        else if (!l->set.full && !m->has_graph)
                r = diag_set(&diag, (Pos) {}, -ESTALE, "a difference to a graph that is not there: a full one is wanted");
        else
                r = graph_hold_submit(l->hold, &l->set, &l->options, &diag);

        l->committer = peer;
        Message reply = { .type = r < 0 ? MESSAGE_GRAPH_REJECTED : MESSAGE_GRAPH_ACCEPTED };
        if (r < 0) {
                reply.graph_rejected.generation = generation;
                reply.graph_rejected.diag = diag;
        } else
                reply.graph_accepted.generation = generation;
        answer(l, peer, &reply);
        if (r > 0)
                announce_held(m, generation, &diag);
        else
                announce(m, r < 0 ? &diag : NULL);
        abandon(l);
        l->told.generation = 0;         /* he is told in any case */
        graph_link_state_changed(l);
}

static void on_subscribe(GraphLink *l, PeerId peer, Message *m) {
        int r = events_subscribe(l->manager->events, l->channel, peer, m->events_subscribe.pattern);
        if (r < 0)
                answer_error(l, peer, r, "cannot subscribe to events");
}

static void on_message(Channel *c, PeerId peer, Message *m, void *userdata) {
        GraphLink *l = userdata;

        switch (m->type) {
        case MESSAGE_HELLO:
                on_hello(l, peer, m);
                break;
        case MESSAGE_GRAPH_BEGIN:
                on_begin(l, peer, m);
                break;
        case MESSAGE_GRAPH_PUT:
        case MESSAGE_GRAPH_REMOVE:
        case MESSAGE_GRAPH_EDGE:
        case MESSAGE_GRAPH_CUT:
                on_change(l, peer, m);
                break;
        case MESSAGE_GRAPH_COMMIT:
                on_commit(l, peer, m);
                break;
        case MESSAGE_EVENTS_SUBSCRIBE:
                on_subscribe(l, peer, m);
                break;
        default:
                answer_error(l, peer, -EOPNOTSUPP, "mgmt-engine does not take this message here");
                break;
        }
}

static void on_gone(Channel *c, PeerId peer, void *userdata) {
        GraphLink *l = userdata;

        events_unsubscribe(l->manager->events, c, peer);
        if (l->open && l->peer == peer)
                abandon(l);
}

static const ChannelOps link_ops = {
        .message = on_message,
        .gone = on_gone,
};

int graph_link_new(GraphLink **ret, Manager *m, int fd) {
        _cleanup_(graph_link_freep) GraphLink *l = calloc(1, sizeof(*l));
        int r;

        if (!l) {
                closep(&fd);
                return -ENOMEM;
        }
        l->manager = m;
        r = sd_event_add_defer(m->event, &l->state, on_state, l);
        if (r >= 0)
                r = sd_event_source_set_enabled(l->state, SD_EVENT_OFF);
        if (r >= 0)
                r = graph_hold_new(&l->hold, m, on_released, l);
        if (r < 0) {
                closep(&fd);
                return r;
        }
        r = channel_listen(&l->channel, m->event, fd, &link_ops, l);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(l);
        return 0;
}

GraphLink *graph_link_free(GraphLink *l) {
        if (!l)
                return NULL;
        abandon(l);
        channel_free(l->channel);
        graph_hold_free(l->hold);
        sd_event_source_disable_unref(l->state);
        free(l);
        return NULL;
}
