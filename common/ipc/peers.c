/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who has left is looked for among all peers, but only after something was closed. */

#include "common/ipc/peers.h"

int peers_init(Peers *ps) {
        *ps = (Peers) { .by_id = map_new() };
        return ps->by_id ? 0 : -ENOMEM;
}

static void peer_free(void *data) {
        Peer *p = data;

        outbox_done(&p->out);
        free(p);
}

void peers_done(Peers *ps) {
        map_free_with(ps->by_id, peer_free);
        free(ps->connections);
        *ps = (Peers) {};
}

Peer *peers_find(const Peers *ps, PeerId id) {
        return map_get_n(ps->by_id, &id, sizeof(id));
}

int peers_add(Peers *ps, PeerId id, int fd) {
        bool known = fd >= 0 && (size_t) fd < ps->n_connections;
        Peer *p;
        int r;

        p = calloc(1, sizeof(*p));
        if (!p)
                return -ENOMEM;
        p->id = id;
        p->fd = known ? fd : -1;
        p->generation = known ? ps->connections[fd].accepted : 0;
        outbox_init(&p->out);
        r = map_put_n(ps->by_id, &id, sizeof(id), p);
        if (r < 0) {
                peer_free(p);
                return r;
        }
        return 0;
}

void peers_remove(Peers *ps, Peer *p) {
        (void) map_remove_n(ps->by_id, &p->id, sizeof(p->id));
        peer_free(p);
}

void peers_accepted(Peers *ps, int fd) {
        if (fd < 0)
                return;
        if ((size_t) fd >= ps->n_connections) {
                size_t n = MAX((size_t) fd + 1, ps->n_connections * 2);
                Connections *grown = reallocarray(ps->connections, n, sizeof(*grown));
                if (!grown)
                        return;         /* that its peer is gone will be found out while sending */
                memset(grown + ps->n_connections, 0, (n - ps->n_connections) * sizeof(*grown));
                ps->connections = grown;
                ps->n_connections = n;
        }
        ps->connections[fd].accepted++;
}

void peers_closed(Peers *ps, int fd) {
        if (fd < 0 || (size_t) fd >= ps->n_connections)
                return;
        ps->connections[fd].closed = ps->connections[fd].accepted;
        ps->some_left = true;
}

void peers_set_gone(Peers *ps, Peer *p) {
        outbox_done(&p->out);
        p->gone = ps->some_left = true;
}

bool peers_has_left(const Peers *ps, const Peer *p) {
        return p->gone || (p->fd >= 0 && p->generation <= ps->connections[p->fd].closed);
}

Peer *peers_find_left(Peers *ps) {
        size_t i = 0;
        void *p;

        while (ps->some_left && map_next(ps->by_id, &i, NULL, &p))
                if (peers_has_left(ps, p))
                        return p;
        ps->some_left = false;
        return NULL;
}

Peer *peers_find_roomy(const Peers *ps) {
        size_t i = 0;
        void *p;

        while (map_next(ps->by_id, &i, NULL, &p))
                if (((Peer *) p)->refused && ((Peer *) p)->out.queued == 0)
                        return p;
        return NULL;
}
