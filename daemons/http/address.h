/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* "host:port" as a place to listen on: the host a literal address (IPv6 in brackets) or empty for all, the port a number or the
 * name of a service. */

#include <stdbool.h>
#include <sys/socket.h>

#include "common/diag.h"

/* Only the form is checked: nothing is looked up. */
int address_validate(const char *address, Pos pos, Diag *reterr);

int address_resolve(const char *address, struct sockaddr_storage *ret, socklen_t *ret_size);

bool address_is_loopback(const struct sockaddr *a);     /* IPv4 that came by an IPv6 socket included */

/* 0 if one could listen there; -EADDRINUSE if somebody does, or why else not. Nobody can connect meanwhile. */
int address_try(const char *address);
