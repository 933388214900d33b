/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What every daemon says to those who connect to it. What cannot be sent is lost with the connection. */

#include "common/ipc/channel.h"

void session_welcome(Channel *c, PeerId peer);          /* the answer to HELLO */
void session_refuse(Channel *c, PeerId peer, int error, const char *text);      /* MESSAGE_ERROR */
