/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The event stream of mgmt-engine. It outlives the engine: after a crash it goes on with the next one. */

#include "common/macro.h"
#include "common/message.h"

typedef struct sd_event sd_event;
typedef struct Stream Stream;

typedef struct StreamOps {
        void (*event)(Stream *s, const Message *m, void *userdata);
        void (*refused)(Stream *s, const char *text, void *userdata);   /* the engine does not talk to us */
} StreamOps;

/* pattern: a glob over "kind[name]", NULL for everything. Connecting starts the engine if need be. */
int stream_new(Stream **ret, sd_event *event, const char *socket_path, const char *pattern, const StreamOps *ops, void *userdata);
Stream *stream_free(Stream *s);
DEFINE_CLEANUP(Stream *, stream_free)
