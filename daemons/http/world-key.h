/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Keys that mgmt-world keeps, seen from here: what is under one, as often as that changes, and writing it. There is a connection to
 * mgmt-world only while there are keys, and a moment longer; when it is lost everything is asked again, and what was not acknowledged
 * is written again. */

#include <stdbool.h>

#include "common/diag.h"
#include "common/macro.h"

typedef struct HttpManager HttpManager;
typedef struct WorldKey WorldKey;
typedef struct WorldLink WorldLink;     /* the connection, which belongs to the manager */

/* Called from the loop. What they point to is borrowed. */
typedef struct WorldKeyOps {
        void (*value)(WorldKey *k, const char *value, void *userdata);          /* what is there, NULL: nothing is */
        void (*failed)(WorldKey *k, const Diag *d, void *userdata);             /* it cannot be read, for now */
        void (*written)(WorldKey *k, const Diag *d, void *userdata);            /* the last write; d: why not, or NULL */
} WorldKeyOps;

/* shared: of all hosts, else of this one alone. */
int world_key_open(WorldKey **ret, HttpManager *m, bool shared, const char *key, const WorldKeyOps *ops, void *userdata);
WorldKey *world_key_close(WorldKey *k);
DEFINE_CLEANUP(WorldKey *, world_key_close)

/* Takes the place of a write that is under way, of which nothing is said any more. It is acknowledged when it is on the disk. */
int world_key_write(WorldKey *k, const char *value);
void world_keys_done(HttpManager *m);

void world_key_forget_write(WorldKey *k);       /* it may take place or not; nothing is said of it */
