/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What waits to be sent to one peer: frames gathered into batches, each of which becomes one ZeroMQ message. Only channel.c
 * uses it. */

#include <stdbool.h>
#include <stddef.h>
#include <zmq.h>

#include "common/message.h"

enum {
        BATCH_SIZE = 64 * 1024,         /* a batch is closed once it is as big; a single frame may be bigger */
        OUTBOX_MAX = WIRE_HEADER_SIZE + WIRE_BODY_MAX,  /* bytes; enough for the biggest frame there is */
};

typedef struct Batch Batch;
struct Batch {
        zmq_msg_t message;
        size_t size;
        Batch *next;
};

typedef struct Outbox {
        WireWriter open;        /* the batch that still grows */
        Batch *first, **tail;   /* the closed ones, oldest first */
        size_t queued;          /* bytes in all of them */
} Outbox;

void outbox_init(Outbox *o);
void outbox_done(Outbox *o);

/* Adds a frame. -ENOBUFS if there is more waiting than OUTBOX_MAX; otherwise as message_encode(). */
int outbox_add(Outbox *o, const Message *m);

/* The oldest batch, still owned by the outbox; closes the open one if there is no other. *ret NULL if all is sent. */
int outbox_first(Outbox *o, Batch **ret);
void outbox_drop_first(Outbox *o);
