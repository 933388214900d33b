/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Messages over ZeroMQ, inside an sd-event loop. A daemon listens on the socket it inherited (ROUTER); whoever wants something
 * of it connects (DEALER), which starts it. Nothing here blocks. Messages to one peer that are sent in one turn of the loop
 * travel as one batch.
 *
 * Only this folder knows ZeroMQ. */

#include <stdbool.h>
#include <stdint.h>

#include "common/macro.h"
#include "common/message.h"

typedef struct sd_event sd_event;
typedef struct Channel Channel;

/* A listening channel's peers; 0 on a connecting channel, where there is only one. */
typedef uint32_t PeerId;

typedef struct ChannelOps {
        /* A message arrived; it is borrowed (take what you need with TAKE_PTR or value_take). */
        void (*message)(Channel *c, PeerId peer, Message *m, void *userdata);

        /* Connecting channels: the connection is up (send HELLO and everything again), or was lost, with all that was under
         * way. It reconnects by itself, at once and then at growing intervals up to a second. */
        void (*connected)(Channel *c, void *userdata);
        void (*disconnected)(Channel *c, void *userdata);

        /* Listening channels: a peer that had spoken left, and all it had sent was delivered. It never comes back under this
         * id. May be NULL. */
        void (*gone)(Channel *c, PeerId peer, void *userdata);

        /* A message was refused with -ENOBUFS, and now all that was queued for that peer has left. May be NULL. */
        void (*room)(Channel *c, PeerId peer, void *userdata);
} ChannelOps;

/* fd: a listening AF_UNIX stream socket (from systemd, or from mgmtctl run); the channel takes it over. Broken frames and
 * frames of another version are answered with MESSAGE_ERROR, logged, and otherwise dropped. */
int channel_listen(Channel **ret, sd_event *event, int fd, const ChannelOps *ops, void *userdata);

int channel_connect(Channel **ret, sd_event *event, const char *socket_path, const ChannelOps *ops, void *userdata);

Channel *channel_free(Channel *c);      /* also from a callback; sends what is queued, at most for 100 ms */
DEFINE_CLEANUP(Channel *, channel_free)

/* Queues a message (borrowed). 0; -ENOTCONN if the peer is gone, or never spoke, or a connecting channel is not connected; -ENOBUFS
 * if the peer does not read and its queue is full (64 MiB); -E2BIG; -ENOMEM. 0 does not mean that it arrives: the connection may
 * be lost meanwhile. Not to be called from prepare hooks of other event sources: it would not be sent before the next event. */
int channel_send(Channel *c, PeerId peer, const Message *m);

/* Bytes that wait for a peer that does not read fast enough. Those who send what can be left out look here first. */
size_t channel_queued(const Channel *c, PeerId peer);

int channel_flush(Channel *c);          /* does not wait for the end of the turn */
bool channel_is_connected(const Channel *c);
