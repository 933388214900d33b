/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Lets other daemons of this host write keys (STORE_SET). They read them as functions of programs are read, see
 * common/ipc/source-server.h. Every STORE_SET is answered by one STORE_WRITTEN, in any order, unless the connection is lost. While
 * the store cannot be reached the answer waits, and so does the write; another one of the same key takes its place. */

#include "common/ipc/channel.h"
#include "daemons/world/keys.h"

typedef struct KeysServer KeysServer;

int keys_server_new(KeysServer **ret, Keys *shared, Keys *local);
KeysServer *keys_server_free(KeysServer *s);    /* before the keys; whether what is under way is written is open */
DEFINE_CLEANUP(KeysServer *, keys_server_free)

bool keys_server_message(KeysServer *s, Channel *c, PeerId peer, Message *m);        /* true if it was one of these */
