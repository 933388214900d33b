/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Sends graphs to mgmt-engine. No set is assumed to have arrived unless it was answered, and a new connection knows nothing: so
 * each begins with the full graph, whether or not the engine asks for it. The engine keeps what is equal. */

#include "common/ipc/channel.h"
#include "common/paths.h"
#include "common/sd/log.h"
#include "daemons/lang/engine-link.h"
#include "daemons/lang/lang-manager.h"
#include "daemons/lang/waves.h"

enum { AHEAD = 256 };   /* messages that wait for the end of the turn, at most */

struct EngineLink {
        Manager *manager;
        Channel *channel;
        uint64_t unanswered;    /* generation of the set under way in this connection, 0 if all are answered */
        bool wanted;            /* the engine has no graph at all */
        bool refused;           /* it has not taken the last set, so that the next one must be full */
};

/* mgmt-engine puts the set together while the rest of it is encoded. */
static int send_change(EngineLink *l, size_t i, const Message *m) {
        int r = channel_send(l->channel, 0, m);

        if (r >= 0 && i % AHEAD == AHEAD - 1)
                (void) channel_flush(l->channel);
        return r;
}

static int send_resources(EngineLink *l, const ChangeSet *set) {
        int r = 0;

        /* Messages borrow what they carry. */
        for (size_t i = 0; r >= 0 && i < set->n_put; i++)
                r = send_change(l, i, &(Message) { .type = MESSAGE_GRAPH_PUT, .graph_put.resource = set->put[i] });
        for (size_t i = 0; r >= 0 && i < set->n_removed; i++)
                r = send_change(l, i, &(Message) {
                        .type = MESSAGE_GRAPH_REMOVE,
                        .graph_remove = { .kind = set->removed[i].kind, .name = set->removed[i].name },
                });
        for (size_t i = 0; r >= 0 && i < set->n_edges; i++)
                r = send_change(l, i, &(Message) { .type = MESSAGE_GRAPH_EDGE, .graph_edge.edge = set->edges[i] });
        for (size_t i = 0; r >= 0 && i < set->n_cut; i++)
                r = send_change(l, i, &(Message) { .type = MESSAGE_GRAPH_CUT, .graph_cut.edge = set->cut[i] });
        return r;
}

static int send_set(EngineLink *l, const Deployed *p, const ChangeSet *set) {
        uint64_t generation = ++l->manager->generation;
        int r;

        r = channel_send(l->channel, 0, &(Message) {
                .type = MESSAGE_GRAPH_BEGIN,
                .graph_begin = {
                        .generation = generation,
                        .full = set->full,
                        .deploy = p->deploy,
                        .noop = p->options.noop,
                        .sema = p->options.sema,
                        .autoedge = p->options.autoedge,
                        .autogroup = p->options.autogroup,
                },
        });
        if (r >= 0)
                r = send_resources(l, set);
        if (r >= 0)
                r = channel_send(l->channel, 0, &(Message) { .type = MESSAGE_GRAPH_COMMIT, .graph_commit.generation = generation });
        if (r < 0)
                return r;
        (void) channel_flush(l->channel);       /* to give back a big set takes a while */
        l->unanswered = generation;
        l->manager->sent = p;
        l->refused = l->refused && !set->full;
        return 0;
}

/* The whole graph of the program on offer, now or when the connection is there. */
static int engine_link_offer(EngineLink *l) {
        Deployed *p = manager_offered(l->manager);
        ChangeSet set;
        int r = 0;

        if (!p || !channel_is_connected(l->channel))
                return 0;       /* on_connected() does it */
        set = p->whole;
        p->whole = (ChangeSet) {};
        if (!set.full)
                r = lang_snapshot(p->lang, &set);
        if (r >= 0)
                r = send_set(l, p, &set);
        change_set_done(&set);
        return r == -ENOTCONN ? 0 : r;
}

int engine_link_send(EngineLink *l, Deployed *p, ChangeSet *set) {
        int r = 0;

        if (set->full) {
                change_set_done(&p->whole);
                p->whole = *set;
                *set = (ChangeSet) {};
                return engine_link_offer(l);
        }
        if (l->refused || l->manager->sent != p)
                r = engine_link_offer(l);
        else if (channel_is_connected(l->channel))      /* else on_connected() sends all of it */
                r = send_set(l, p, set);
        change_set_done(set);
        return r;
}

bool engine_link_is_busy(const EngineLink *l) {
        return l && l->unanswered != 0;
}

int engine_link_rename(EngineLink *l) {
        const Deployed *p = manager_offered(l->manager);

        return p && channel_is_connected(l->channel) ? send_set(l, p, &(ChangeSet) {}) : 0;
}

static void offer_again(EngineLink *l) {
        int r = engine_link_offer(l);

        if (r < 0) {
                _cleanup_(diag_done) Diag d = {};

                diag_set(&d, (Pos) {}, r, "cannot hand the graph to mgmt-engine: %m");
                manager_rejected(l->manager, l->manager->generation, &d);
        }
}

static void on_connected(Channel *c, void *userdata) {
        EngineLink *l = userdata;

        l->unanswered = 0;
        l->wanted = false;
        (void) channel_send(c, 0, &(Message) { .type = MESSAGE_HELLO,
                                               .hello = { .role = (char *) "lang", .hostname = l->manager->hostname } });
        offer_again(l);
}

static void on_disconnected(Channel *c, void *userdata) {
        EngineLink *l = userdata;

        l->unanswered = 0;
        manager_catch_up(l->manager);
}

static void on_message(Channel *c, PeerId peer, Message *m, void *userdata) {
        EngineLink *l = userdata;

        switch (m->type) {
        case MESSAGE_WELCOME:
                break;
        case MESSAGE_GRAPH_WANTED:
                l->wanted = true;
                if (l->unanswered == 0)         /* else it is on its way */
                        offer_again(l);
                break;
        case MESSAGE_GRAPH_ACCEPTED:
                if (m->graph_accepted.generation == l->unanswered)
                        l->unanswered = 0;
                l->wanted = false;
                manager_accepted(l->manager, m->graph_accepted.generation);
                if (l->unanswered == 0)
                        manager_catch_up(l->manager);
                break;
        case MESSAGE_GRAPH_STATE:
                manager_graph_state(l->manager, m->graph_state.generation, m->graph_state.converged, m->graph_state.failed,
                                    &m->graph_state.diag);
                break;
        case MESSAGE_GRAPH_REJECTED: {
                bool was_change = l->manager->change.program;

                if (m->graph_rejected.generation == l->unanswered)
                        l->unanswered = 0;
                l->refused = true;
                manager_rejected(l->manager, m->graph_rejected.generation, &m->graph_rejected.diag);
                if (l->unanswered == 0)
                        manager_catch_up(l->manager);
                /* What it ran before was lost with the engine before it. */
                if (was_change && l->wanted && l->unanswered == 0)
                        offer_again(l);
                break;
        }
        case MESSAGE_ERROR: {
                _cleanup_(diag_done) Diag d = {};

                diag_set(&d, (Pos) {}, m->error.error < 0 ? m->error.error : -EPROTO, "mgmt-engine: %s", m->error.text ?: "refused");
                manager_rejected(l->manager, l->manager->generation, &d);
                break;
        }
        default:
                log_warning(-EBADMSG, "unexpected message %s from mgmt-engine, ignoring", message_name(m->type) ?: "?");
        }
}

static const ChannelOps link_ops = { .message = on_message, .connected = on_connected, .disconnected = on_disconnected };

int engine_link_new(EngineLink **ret, Manager *m) {
        _cleanup_free_ char *socket = path_socket("engine");
        int r;

        _cleanup_(engine_link_freep) EngineLink *l = calloc(1, sizeof(*l));
        if (!l || !socket)
                return -ENOMEM;
        l->manager = m;
        r = channel_connect(&l->channel, m->event, socket, &link_ops, l);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(l);
        return 0;
}

EngineLink *engine_link_free(EngineLink *l) {
        if (!l)
                return NULL;
        channel_free(l->channel);
        free(l);
        return NULL;
}
