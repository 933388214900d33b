/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The peers of a listening channel: those that have spoken and not left. Only channel.c uses it.
 *
 * That one has left is known from ZeroMQ's monitor, which only knows file descriptors. So connections on one descriptor are
 * counted, and a peer is said to be on the last of them when its first message is read. (In a race it may be taken for the next
 * one on its descriptor; then it leaves together with that one.) */

#include <stdbool.h>
#include <stdint.h>

#include "common/ipc/channel.h"
#include "common/ipc/outbox.h"
#include "common/map.h"

typedef struct Peer Peer;
struct Peer {
        PeerId id;
        int fd;                 /* of its connection, which is the generation-th on it; -1 if unknown */
        uint32_t generation;
        bool gone;              /* found out while sending */
        bool refused;           /* there was no room for a message */
        Outbox out;
        bool listed;            /* in Channel.flush */
        Peer *next;             /* there */
};

/* What the monitor saw on one descriptor. */
typedef struct Connections {
        uint32_t accepted, closed;
} Connections;

typedef struct Peers {
        Map *by_id;             /* PeerId → Peer; owns them */
        Connections *connections;       /* by descriptor */
        size_t n_connections;
        bool some_left;
} Peers;

int peers_init(Peers *ps);
void peers_done(Peers *ps);     /* also before peers_init(), of a zeroed one */

Peer *peers_find(const Peers *ps, PeerId id);           /* NULL if there is none */
int peers_add(Peers *ps, PeerId id, int fd);
void peers_remove(Peers *ps, Peer *p);

void peers_accepted(Peers *ps, int fd);
void peers_closed(Peers *ps, int fd);
void peers_set_gone(Peers *ps, Peer *p);                /* drops what waits for it */

bool peers_has_left(const Peers *ps, const Peer *p);
Peer *peers_find_left(Peers *ps);                       /* one of those that have left, NULL if there is none */
Peer *peers_find_roomy(const Peers *ps);                /* one that refused a message and has room again, or NULL */
