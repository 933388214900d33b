/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Batching. Frames are encoded one behind the other into a buffer. Short batches are copied into a ZeroMQ message, so that the
 * buffer is used again; long ones are handed over with the buffer, and ZeroMQ frees it (in its own thread: nothing of ours but
 * free() may be reached from there). */

#include "common/ipc/outbox.h"

enum { COPY_MAX = 1024 };

static void free_data(void *data, void *hint) {
        free(data);
}

void outbox_init(Outbox *o) {
        *o = (Outbox) {};
        o->tail = &o->first;
}

void outbox_done(Outbox *o) {
        while (o->first)
                outbox_drop_first(o);
        wire_writer_done(&o->open);
        outbox_init(o);
}

static int close_batch(Outbox *o) {
        _cleanup_free_ Batch *b = NULL;

        b = calloc(1, sizeof(*b));
        if (!b)
                return -ENOMEM;

        if (o->open.size <= COPY_MAX) {
                if (zmq_msg_init_size(&b->message, o->open.size) < 0)
                        return -ENOMEM;
                memcpy(zmq_msg_data(&b->message), o->open.data, o->open.size);
                b->size = o->open.size;
                o->open.size = 0;
        } else {
                if (zmq_msg_init_data(&b->message, o->open.data, o->open.size, free_data, NULL) < 0)
                        return -ENOMEM;
                b->size = o->open.size;
                o->open = (WireWriter) {};
        }
        *o->tail = b;
        o->tail = &b->next;
        b = NULL;
        return 0;
}

int outbox_add(Outbox *o, const Message *m) {
        size_t before;
        int r;

        if (o->queued >= OUTBOX_MAX)
                return -ENOBUFS;
        if (o->open.size >= BATCH_SIZE) {
                r = close_batch(o);
                if (r < 0)
                        return r;
        }

        before = o->open.size;
        r = message_encode(&o->open, m);
        if (r < 0)
                return r;
        o->queued += o->open.size - before;
        return 0;
}

int outbox_first(Outbox *o, Batch **ret) {
        int r;

        if (!o->first && o->open.size > 0) {
                r = close_batch(o);
                if (r < 0)
                        return r;
        }
        *ret = o->first;
        return 0;
}

void outbox_drop_first(Outbox *o) {
        Batch *b = o->first;

        o->first = b->next;
        if (!o->first)
                o->tail = &o->first;
        o->queued -= b->size;
        (void) zmq_msg_close(&b->message);
        free(b);
}
