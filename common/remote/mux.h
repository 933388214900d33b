/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Connections carried in frames: whoever connects over there is connected here, or refused. A stream is opened by one side, answered by
 * the other, and has then a descriptor on each; what comes out of the one goes into the other. Each direction of a stream has a window,
 * so that a slow reader holds up his own stream and nothing else, and what is buffered is bounded. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"
#include "common/remote/frame.h"

typedef struct sd_event sd_event;
typedef struct Mux Mux;
typedef struct MuxStream MuxStream;

enum {
        MUX_STREAMS_MAX = 256,
        MUX_WINDOW = 128 * 1024,        /* bytes */
        MUX_TARGET_MAX = 300,
};

/* None of them may free the mux. */
typedef struct MuxOps {
        /* One or more whole frames for the other side. */
        void (*send)(const char *data, size_t size, void *userdata);

        /* A frame that is about no stream. */
        void (*frame)(const Frame *f, void *userdata);

        /* The other side wants a stream to target; answer it with mux_accept() or mux_close(), now or later. NULL: it may not. */
        void (*open)(MuxStream *s, const char *target, void *userdata);

        /* One that was opened here: take it with mux_attach(), now. */
        void (*opened)(MuxStream *s, void *userdata);

        /* The other side has closed it, before or after it was answered; or the mux is freed. s is gone afterwards. */
        void (*closed)(MuxStream *s, void *userdata);
} MuxOps;

int mux_new(Mux **ret, sd_event *event, const MuxOps *ops, void *userdata);
Mux *mux_free(Mux *m);
DEFINE_CLEANUP(Mux *, mux_free)

/* What came from the other side. -EPROTO: it speaks something else, or does what it may not; nothing can be done with it any more. */
int mux_input(Mux *m, const char *data, size_t size);
int mux_send(Mux *m, FrameType type, const void *payload, size_t size);

int mux_open(Mux *m, const char *target, void *owner, MuxStream **ret);         /* -EBUSY: there are too many */
int mux_accept(MuxStream *s, int fd);           /* takes the descriptor, which does not block, also on failure */
int mux_attach(MuxStream *s, int fd);           /* the same */
void mux_close(MuxStream *s);                   /* closed() is not called, and s is not to be used any more */

void *mux_owner(const MuxStream *s);            /* whoever closed() is to find; NULL at first */
void mux_set_owner(MuxStream *s, void *owner);
