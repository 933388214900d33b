/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A TCP connection and nothing else: libcurl looks the name up and tries its addresses, without anybody waiting. */

#include <stdint.h>

#include "common/macro.h"

typedef struct Connect Connect;
typedef struct CurlLoop CurlLoop;

/* fd: a connected socket, which does not block and is the callee's; or negative errno, and problem says why. The connect is gone
 * afterwards. Never before connect_start() has returned. */
typedef void (*connect_callback_t)(int fd, const char *problem, void *userdata);

/* host may be an address of IPv6, without brackets. */
int connect_start(CurlLoop *l, const char *host, unsigned port, uint64_t timeout_usec, connect_callback_t callback, void *userdata,
                  Connect **ret);
Connect *connect_cancel(Connect *c);    /* silent. Returns NULL */
