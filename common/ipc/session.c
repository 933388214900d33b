/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See session.h. A daemon's name is that of its program, without what they all begin with. */

#include "common/ipc/session.h"
#include "common/sd/log.h"

static void say(Channel *c, PeerId peer, const Message *m) {
        int r = channel_send(c, peer, m);

        if (r < 0 && r != -ENOTCONN)
                log_error(r, "cannot send %s, ignoring: %m", message_name(m->type));
}

void session_welcome(Channel *c, PeerId peer) {
        const char *name = startswith(program_invocation_short_name, "mgmt-") ?: program_invocation_short_name;

        say(c, peer, &(Message) {
                        .type = MESSAGE_WELCOME,
                        .welcome = { .daemon = (char *) name, .version = (char *) MGMT_VERSION },
                });
}

void session_refuse(Channel *c, PeerId peer, int error, const char *text) {
        say(c, peer, &(Message) { .type = MESSAGE_ERROR, .error = { .error = error, .text = (char *) text } });
}
