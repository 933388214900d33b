/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* One file on its way to one client, block by block, from a socket of its own. The last packet is kept until it is acknowledged, and
 * sent again a few times. */

#include "daemons/http/static-file.h"
#include "daemons/http/tftp-packet.h"

typedef struct sd_event sd_event;
typedef struct TftpTransfer TftpTransfer;

/* It is over, for whatever reason; to be freed by whoever made it. */
typedef void (*tftp_ended_t)(TftpTransfer *t, void *userdata);

/* Takes fd, a socket that is connected to the client, and the content; on failure as well. The first packet is on its way then.
 * timeout_usec: until a packet is sent again, if the client does not ask for another time. */
int tftp_transfer_new(TftpTransfer **ret, sd_event *event, int fd, StaticContent *content, const TftpRequest *q, uint64_t timeout_usec,
                      tftp_ended_t ended, void *userdata);
bool tftp_transfer_is_heard(const TftpTransfer *t);             /* its client has acknowledged something */
bool tftp_transfer_has_sent_all(const TftpTransfer *t);         /* if perhaps not for the last time */
TftpTransfer *tftp_transfer_free(TftpTransfer *t);
DEFINE_CLEANUP(TftpTransfer *, tftp_transfer_free)
