/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Functions that another daemon serves (common/ipc/source-server.h). Their calls are sources like any other; where they stand, a
 * question goes to the daemon and its answers come back.
 *
 * A Remote is what is asked of one daemon, over a connection that comes and goes. When it is lost the last answers stay, and
 * everything is asked again over the next one. */

#include "common/ipc/channel.h"
#include "common/macro.h"
#include "common/source.h"

typedef struct Manager Manager;
typedef struct Remote Remote;

/* The function of that name, or NULL. Its sources' SourceHost.manager is the Manager. The connection is made when the first one
 * is opened, which starts the daemon. */
const SourceType *remote_find(const char *function);

/* With a connection of its own to the daemon; or without, for who has one and calls the functions below. daemon is a literal. */
int remote_connect(Remote **ret, Manager *m, const char *daemon);
int remote_new(Remote **ret, const char *daemon);
Remote *remote_free(Remote *r);         /* no source may be left */
DEFINE_CLEANUP(Remote *, remote_free)

void remote_connected(Remote *r, Channel *c);   /* HELLO was sent */
void remote_disconnected(Remote *r);
void remote_room(Remote *r);
bool remote_message(Remote *r, Message *m);     /* true if it was an answer */
