/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What this host exports, kept in the store as mgmt-engine says it: exports/TARGET/KIND/HOST/NAME, TARGET being a host or "*". All of
 * it is written under one lease, so it goes when this host does. */

#include "common/ipc/channel.h"
#include "common/macro.h"

typedef struct Exporter Exporter;
typedef struct Store Store;
typedef struct sd_event sd_event;

enum { EXPORT_TTL_SEC = 30 };

int exporter_new(Exporter **ret, sd_event *event, Store *store);        /* both are borrowed */
Exporter *exporter_free(Exporter *x);
DEFINE_CLEANUP(Exporter *, exporter_free)

/* To be called from ChannelOps.message: true if it was one of these (HELLO with role "exports" or EXPORT_…). */
bool exporter_message(Exporter *x, Channel *c, PeerId peer, Message *m);

int exporter_session(Exporter *x, const char *hostname);        /* a HELLO begins one; for tests */

unsigned exporter_n_exports(const Exporter *x);         /* keys that are, or shall be, in the store */
