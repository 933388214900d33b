/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Serves functions to mgmt-lang: it takes SOURCE_… messages on the daemon's listening channel and runs a Source (common/source.h)
 * for each call that a program of the peer has. When the peer leaves, its sources are closed; it opens them again when it is back.
 *
 * What mgmt-lang can rely on:
 * - Every SOURCE_OPEN is answered, sooner or later, by SOURCE_VALUE or SOURCE_FAILED with its number; that something cannot be
 *   asked at all is such a failure. More may follow whenever there is news, until SOURCE_CLOSE.
 * - At most one answer of each source is under way: the next is sent after SOURCE_TAKEN, or after another question. What was
 *   overtaken meanwhile by something newer is left out. So a peer that is slow costs nothing. */

#include "common/ipc/channel.h"
#include "common/source.h"

typedef struct SourceServer SourceServer;

/* tables is a NULL-terminated list of arrays of functions, each ending with an empty row, and lives for ever; of host, event,
 * manager and state_dir are copied and borrowed for good. */
int source_server_new(SourceServer **ret, const SourceType *const *tables, const SourceHost *host);
SourceServer *source_server_free(SourceServer *s);
DEFINE_CLEANUP(SourceServer *, source_server_free)

/* To be called from the daemon's ChannelOps. message: true if it was one of these (HELLO with role "lang" or "http", SOURCE_…). */
bool source_server_message(SourceServer *s, Channel *c, PeerId peer, Message *m);
void source_server_gone(SourceServer *s, PeerId peer);
void source_server_room(SourceServer *s, PeerId peer);

unsigned source_server_n_sources(const SourceServer *s);        /* 0 for NULL */
